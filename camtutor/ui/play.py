"Sliders on a plain function that makes a picture, or words: `play(frame, name=['cat', 'dog'], alpha=(0., 1.))`."
from html import escape
from inspect import signature

import ipywidgets as w

from camtutor.errors import CamError
from camtutor.show import to_jpeg
from camtutor.ui import html
from camtutor.ui.helper import show_widget
from camtutor.ui.panel import classed, framed, row, text

def control(name, choices, first=None):
    "A slider over a list of values, a range of whole numbers, or two ends (low, high); it begins at `first` if it can."
    title = name.strip('_').replace('_', ' ').capitalize()
    if isinstance(choices, tuple) and len(choices) == 2 and all(isinstance(c, float) for c in choices):
        low, high = choices
        first = first if isinstance(first, float) and low <= first <= high else (low + high) / 2
        return row(w.FloatSlider(first, min=low, max=high, step=(high - low) / 20, description=title), 'ct-short')
    values = list(choices)
    if not values:
        raise CamError('there is nothing to choose from. Give a list, a range, or two floats (low, high).',
                       f'Playing with {name!r}')
    first = first if first in values else values[0]
    if isinstance(choices, range):
        return row(w.IntSlider(first, values[0], values[-1], choices.step, description=title), 'ct-short')
    return row(w.SelectionSlider(options=[(str(v), v) for v in values], value=first, description=title))

def picture_and_text(made):
    "What a function made, as JPEG bytes, or HTML of what has no picture but that, and a line of text."
    picture, said = made if isinstance(made, tuple) else (made, '')
    if hasattr(picture, '_repr_html_'): return picture._repr_html_(), str(said)
    return picture if isinstance(picture, bytes) else to_jpeg(picture, 92), str(said)

def in_words(value):
    "A control's value for a saved page."
    return format(value, '.2g') if isinstance(value, float) else str(value)

class Play:
    "A picture, and a slider for each argument of the function that makes it. Displays itself."
    def __init__(self, fn, choices, width):
        defaults = {name: p.default for name, p in signature(fn).parameters.items()}
        self.fn, self.controls = fn, {name: control(name, c, defaults.get(name)) for name, c in choices.items()}
        self.image, self.text, self.alert = w.Image(format='jpeg', width=width), text('', 'ct-cap'), text()
        made = picture_and_text(fn(**self.values()))   # an error in it is raised here, where a test run sees it
        if isinstance(made[0], str): self.image = w.HTML()
        self.put(*made)
        for c in self.controls.values(): c.observe(self.moved, 'value')
        stage = classed(w.VBox([self.image, self.text]), 'ct-stage')
        stage.layout.flex, stage.layout.max_width = f'1 1 {min(width, 300)}px', f'{width}px'
        self.root = framed(self.alert, stage, classed(w.VBox(list(self.controls.values())), 'ct-side'))

    def values(self): return {name: c.value for name, c in self.controls.items()}

    def draw(self):
        "Call the function, and show what it makes."
        self.put(*picture_and_text(self.fn(**self.values())))

    def put(self, picture, said):
        self.image.value, self.text.value = picture, html.status(escape(said)) if said else ''

    def moved(self, change):
        "A slider moved: the new picture, or in words what went wrong."
        error = None
        try: self.draw()
        except Exception as e: error = e
        self.alert.value = html.alert(error)

    def static(self):
        "The first picture as HTML, for readers of a saved page."
        sliders = ', '.join(f'{c.description.lower()} {in_words(c.value)}' for c in self.controls.values())
        told = f'{self.text.value}<small>{escape(sliders)}. Run this cell in Jupyter for the sliders.</small>'
        if isinstance(self.image.value, str): return self.image.value + told
        return html.figure(self.image.value, 'what the function draws', told, width=256)

    def _ipython_display_(self): show_widget(self.root, self.static(), repr(self))

    def __repr__(self):
        values = ', '.join(f'{k}={v!r}' for k, v in self.values().items())
        return f'play({getattr(self.fn, "__name__", "function")}, {values})'

def play(
    fn, # keyword arguments -> a picture (Scene, PIL image, tensor (3,H,W), bytes), Words, or (either of them, text)
    width=384, # pixels of the picture on the screen
    **choices # for each argument a list of values, a range, or two floats (low, high); it begins at the default
)->Play:
    "Sliders on a function. It is called once at once, so that a mistake in it is seen without a hand on a slider."
    return Play(fn, choices, width)
