"A confusion matrix whose cells open the pictures behind them: on a sheet, and in the explorer."
import ipywidgets as w

from camtutor.blunders import Mistakes
from camtutor.errors import CamError
from camtutor.files import smaller
from camtutor.report import confusion_table
from camtutor.sheets import jpeg_of
from camtutor.ui import html
from camtutor.ui.explorer import Explorer, drive
from camtutor.ui.helper import show_widget
from camtutor.ui.panel import button, classed, framed, show_when, text

MOST = 8   # pictures that a cell opens at most; the worst
SHOW = 'class', 'compare', 'layer', 'method', 'look', 'pictures', 'methods', 'layers'   # of the explorer

class Confusion:
    "Buttons with counts: a row for each true class, a column for each that was said. Displays itself."
    def __init__(self, mistakes, model=None, **thresholds):
        if not len(mistakes): raise CamError('there is no mistake to open.', 'Showing a confusion matrix')
        self.mistakes, self.model, self.thresholds = mistakes, model, thresholds
        self.cells = {(i, j): self.button(i, j) for i in range(self.k) for j in range(self.k)}
        self.image, self.text = w.Image(format='jpeg', width=720), text('', 'ct-cap')
        self.explore = button('Open in the explorer', 'the pictures of this cell, with both maps')
        self.alert, self.below = text(), w.VBox()
        self.explore.on_click(lambda _: self.open_explorer())
        show_when(self.explore, model is not None)
        rows = [w.Label('true ↓ said →'), *map(w.Label, mistakes.vocab)]
        for i, name in enumerate(mistakes.vocab): rows += [w.Label(name), *(self.cells[i, j] for j in range(self.k))]
        grid = w.GridBox(rows, layout=w.Layout(grid_template_columns=f'max-content repeat({self.k}, minmax(4em, 1fr))'))
        stage = classed(w.VBox([grid, self.text, self.image, self.explore]), 'ct-stage')
        self.root = w.VBox([framed(self.alert, stage), self.below])
        self.open(*self.largest())

    @property
    def k(self): return len(self.mistakes.vocab)

    def button(self, i, j):
        "The button of one cell; only mistakes can be opened."
        n, names = int(self.mistakes.counts[i, j]), self.mistakes.vocab
        b = w.Button(description=str(n), tooltip=f'{names[i]} called {names[j]}: {n}', layout=w.Layout(width='auto'),
                     disabled=i == j or not self.behind(i, j))
        b.on_click(lambda _: self.open(i, j))
        return b

    def behind(self, i, j):
        "The mistakes of one cell, the worst first."
        true, said = self.mistakes.vocab[i], self.mistakes.vocab[j]
        return [m for m in self.mistakes if m.true == true and m.said == said]

    def largest(self):
        "The cell with the most mistakes that can be shown."
        return max(((i, j) for i, j in self.cells if i != j), key=lambda at: len(self.behind(*at)))

    def open(self, i, j):
        "Show the pictures of a cell."
        found, names = self.behind(i, j), self.mistakes.vocab
        self.opened, self.below.children, self.alert.value = found[:MOST], (), ''
        some = Mistakes(self.opened, self.mistakes.counts, names, self.mistakes.method)
        self.image.value = jpeg_of(some.sheet(**self.thresholds))
        more = f'; the worst {MOST} of them' if len(found) > MOST else ''
        self.text.value = html.status(html.emphasised('', names[i], ' called ', names[j], f': {len(found)}{more}'))

    def open_explorer(self):
        "The pictures of the cell in an explorer below; what goes wrong is shown in words."
        try: self.below.children = [self.explorer().panel.root]
        except Exception as e: self.alert.value = html.alert(e)

    def explorer(self):
        "An explorer of the cell's pictures: the map of what was said beside the map of what was true."
        m = self.opened[0]
        ex = Explorer(self.model, [m.x for m in self.opened], self.mistakes.vocab, show=SHOW,
                      method=self.mistakes.method, class_=m.said, compare='two', class2=m.true)
        for b in ex.panel.thumbs.children: b.on_click(lambda _: drive(ex, class2=m.true))
        return ex

    def static(self):
        "The counts and the first cell's pictures as HTML, for readers of a saved page."
        note = '<small>Run this cell in Jupyter, and click on a number to see its pictures.</small>'
        shown = html.picture_tag(smaller(self.image.value, 560), 'the pictures of one cell')
        return confusion_table(self.mistakes) + f'<figure style="margin:0">{shown}<figcaption>{self.text.value}{note}' \
                                                f'</figcaption></figure>'

    def _ipython_display_(self): show_widget(self.root, self.static(), repr(self))

    def __repr__(self): return f'confusion({self.mistakes!r})'

def confusion(
    mistakes:Mistakes, # from `top_mistakes`, with n=None for all
    model=None,        # the network that made them, or a fastai Learner: then a cell also opens in the explorer
    **thresholds,      # near=, high=, off=; see `camtutor.mistakes.cause`
)->Confusion:
    "A confusion matrix to click on. `CamError` where there is no mistake."
    return Confusion(mistakes, model, **thresholds)
