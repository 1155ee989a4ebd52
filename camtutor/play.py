"Sliders on a plain function that makes a picture: `play(frame, name=['cat', 'dog'], alpha=(0., 1.))`."
from html import escape
from inspect import signature

import ipywidgets as w

from camtutor.course import show_widget
from camtutor.errors import CamError
from camtutor.panel import CSS, SCRIPT, html_of, row_of, alert_html, picture_tag, small
from camtutor.show import to_jpeg

def control(name, choices, first=None):
    "A slider over a list of values, a range of whole numbers, or two ends (low, high); it begins at `first` if that can be."
    title = name.strip('_').replace('_', ' ').capitalize()
    if isinstance(choices, tuple) and len(choices) == 2 and all(isinstance(c, float) for c in choices):
        low, high = choices
        first = first if isinstance(first, float) and low <= first <= high else (low + high) / 2
        return row_of(w.FloatSlider(first, min=low, max=high, step=(high - low) / 20, description=title), 'ct-short')
    values = list(choices)
    if not values: raise CamError(f'Playing with {name!r}: there is nothing to choose from. Give a list, a range, or two floats (low, high).')
    first = first if first in values else values[0]
    if isinstance(choices, range): return row_of(w.IntSlider(first, values[0], values[-1], choices.step, description=title), 'ct-short')
    return row_of(w.SelectionSlider(options=[(str(v), v) for v in values], value=first, description=title))

def picture_and_text(made):
    "What a function made, as JPEG bytes and a line of text."
    picture, text = made if isinstance(made, tuple) else (made, '')
    if not isinstance(picture, bytes): picture = to_jpeg(picture, 92)
    return picture, str(text)

class Play:
    "A picture, and a slider for each argument of the function that makes it. Displays itself."
    def __init__(self, fn, choices, width):
        defaults = {name: p.default for name, p in signature(fn).parameters.items()}
        self.fn, self.controls = fn, {name: control(name, c, defaults.get(name)) for name, c in choices.items()}
        self.image, self.text, self.alert = w.Image(format='jpeg', width=width), html_of('', 'ct-cap'), html_of()
        self.draw()   # an error in the function is raised here, where a test run sees it
        for c in self.controls.values(): c.observe(self.moved, 'value')
        side, stage = w.VBox(list(self.controls.values())), w.VBox([self.image, self.text])
        main = w.Box([stage, side])
        self.root = w.VBox([w.HTML(CSS + f'<img src="data:," alt="" hidden onerror="{escape(SCRIPT)}">'), self.alert, main])
        for box, name in ((self.root, 'ct'), (main, 'ct-main'), (stage, 'ct-stage'), (side, 'ct-side')): box.add_class(name)
        stage.layout.flex, stage.layout.max_width = f'1 1 {min(width, 300)}px', f'{width}px'

    def values(self): return {name: c.value for name, c in self.controls.items()}

    def draw(self):
        "Call the function, and show what it makes."
        self.image.value, text = picture_and_text(self.fn(**self.values()))
        self.text.value = f'<div role="status" aria-live="polite">{escape(text)}</div>' if text else ''

    def moved(self, change):
        "A slider moved: the new picture, or in words what went wrong."
        said = ''
        try: self.draw()
        except Exception as e: said = str(e) if isinstance(e, CamError) else f'{type(e).__name__}: {e}'
        self.alert.value = alert_html(said)

    def static(self):
        "The first picture as HTML, for readers of a saved page."
        sliders = ', '.join(f'{c.description.lower()} {v if isinstance(v, int) else format(v, ".2g") if isinstance(v, float) else v}' for c, v in zip(self.controls.values(), self.values().values()))
        return (f'<figure style="margin:0">{picture_tag(small(self.image.value), "what the function draws", 256)}'
                f'<figcaption>{self.text.value}<small>{escape(sliders)}. Run this cell in Jupyter for the sliders.</small></figcaption></figure>')

    def _ipython_display_(self): show_widget(self.root, self.static(), repr(self))
    def __repr__(self): return f'play({getattr(self.fn, "__name__", "function")}, {", ".join(f"{k}={v!r}" for k, v in self.values().items())})'

def play(
    fn, # keyword arguments -> a picture (Scene, PIL image, tensor (3,H,W), bytes), or (picture, text)
    width=384, # pixels of the picture on the screen
    **choices # for each argument a list of values, a range, or two floats (low, high); it begins at the function's default
)->Play:
    "Sliders on a function. It is called once at once, so that a mistake in it is seen without a hand on a slider."
    return Play(fn, choices, width)
