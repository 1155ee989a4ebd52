"The face of the explorer: its widgets and their layout. Nothing is computed here; `camtutor.ui.explorer` listens."
import ipywidgets as w

from camtutor.ui import html
from camtutor.ui.helper import Helper, Point, Upload

SECTIONS = ('class', 'layer', 'method', 'compare', 'look', 'truth',
            'pictures', 'scene', 'photo', 'places', 'methods', 'layers', 'save')
PANES = dict(pictures='Pictures', scene='Make a scene', photo='Your own photo', places='Class by class',
             methods='All methods', layers='All layers', save='Save')
CMAPS = 'magma', 'viridis', 'cividis', 'gray'

# ---- widgets
def classed(widget, *names):
    "The widget, with these CSS classes."
    for n in names: widget.add_class(n)
    return widget

def row(widget, *classes):
    "A control with its name at its left."
    widget.layout.width = 'auto'
    if widget.tooltip is None: widget.tooltip = ''   # or the label gets the title "null"
    return classed(widget, 'ct-row', *classes)

def text(value='', *classes): return classed(w.HTML(value, tooltip=''), 'ct-wide', *classes)

def pairs(options): return [o if isinstance(o, tuple) else (o, o) for o in options]

def slider(name, *classes): return row(w.SelectionSlider(options=[('-', -1)], description=name), *classes)

def menu(name, options, first=()): return row(w.Dropdown(options=[*first, *pairs(options)], description=name))

def choice(name, options):
    return row(w.ToggleButtons(options=options, description=name, style=dict(button_width='auto')))

def button(name, tip):
    return classed(w.Button(description=name, tooltip=tip, layout=w.Layout(width='auto')), 'ct-go')

def show_when(widget, wanted): widget.layout.display = None if wanted else 'none'

def box(children, *classes): return classed(w.Box(children), *classes)

def framed(alert, stage, *side):
    "The root of a display: a stage, and beside it the controls."
    return classed(w.VBox([Helper(), alert, box([stage, *side], 'ct-main')]), 'ct')

# ---- the controls, by the names of the explorer's traits
def view_controls(methods): # (title, name) of each
    "What is shown, and how."
    return dict(
        class_=slider('Class', 'ct-long'),
        classes=choice('Classes', [('Top 5', 'top'), ('All', 'all')]),
        find=row(w.Combobox(description='Find', placeholder='type a class name', continuous_update=False)),
        layer=slider('Layer'),
        method=menu('Method', methods),
        compare=choice('Compare', [('One class', 'one'), ('Two classes', 'two'), ('Difference', 'difference')]),
        class2=slider('Against', 'ct-long'),
        opacity=row(w.FloatSlider(.7, min=0, max=1, step=.05, description='Opacity', readout_format='.0%'), 'ct-short'),
        cmap=menu('Colours', CMAPS),
        ground=choice('Ground', [('Over the picture', 'over'), ('The map alone', 'alone')]),
        scale=choice('Range', [('Each map its own', 'own'), ('Hold this range', 'hold')]),
        outline=menu('Outline', [('none', '')]))

def scene_controls(choices): # species, poses, backgrounds, patterns; empty = there is no such pane
    "What a scene is made of."
    free = [('as the seed has it', '')]
    species = choices.get('species', ())
    return dict(species=menu('Animal', species),
                pose=menu('Pose', choices.get('poses', ()), free),
                background=menu('Place', choices.get('backgrounds', ()), free),
                pattern=menu('Fur', choices.get('patterns', ()), free),
                second=menu('Second', species, [('no other animal', '')]),
                seed=row(w.IntSlider(7, min=0, max=199, description='Seed'), 'ct-short'))

class Panel:
    "All controls of an explorer, by name in `controls`, inside `root`."
    def __init__(self, methods, # (title, name) of each
                 scenes, # the scene pane's choices: species, poses, backgrounds, patterns; empty = no such pane
                 limit, # bytes that an upload may have
                 show=SECTIONS): # which sections are laid out
        self.show, self.scene, self.opened = show, scene_controls(scenes), None
        self.controls = view_controls(methods) | self.scene
        self._stage()
        self._panes(scenes, limit)
        self._root()

    def _stage(self):
        "The pictures, what is written below them, and the progress of work beside."
        self.alert, self.pane_alert = text(), text()   # beside the picture, and beside the pane that a person works in
        self.images = [w.Image(format='jpeg', width=384) for _ in range(2)]
        self.captions = [text('', 'ct-cap') for _ in range(2)]
        self.truths = [text() for _ in range(2)]
        self.views = [classed(w.VBox(v), 'ct-view') for v in zip(self.images, self.captions, self.truths)]
        self.progress, self.stop = row(w.IntProgress(description='Working')), button('Stop', 'stop the running method')
        self.progress.layout.flex = '1 1 auto'
        self.working = w.HBox([self.progress, self.stop])
        for hidden in (self.views[1], self.working): show_when(hidden, False)
        self.stage = classed(w.VBox([box(self.views, 'ct-views'), self.working]), 'ct-stage')

    def _panes(self, scenes, limit):
        "What lies under the tabs."
        self.thumbs, self.thumb_css = box([], 'ct-thumbs'), w.HTML(tooltip='')
        self.draw_methods = button('Draw all methods', 'every method for this picture, class and layer')
        self.draw_layers = button('Draw all layers', 'this class at every layer')
        self.make_files = button('Make the files', 'the picture, the figure and the numbers of this map')
        self.place_title, self.place_key, self.place_said = (text() for _ in range(3))
        self.point = Point(label='Choose a place: click, or use the arrow keys')
        self.go_there = button('Go to this class', 'the map of the class that the place speaks for')
        told = w.VBox([self.place_key, self.place_said, self.go_there])
        self.method_grid, self.layer_grid, self.files, self.code, self.showing = (text() for _ in range(5))
        drop = f'Drop a photo here. At most {limit >> 20} MB; it stays in memory and is written nowhere.'
        if scenes: drop += ' The shipped network knows drawn animals only: what it says of a photo is a guess.'
        self.upload = Upload(text=drop, limit=limit)
        content = dict(pictures=[self.thumb_css, self.thumbs], scene=[box([*self.scene.values()], 'ct-controls')],
                       photo=[self.upload, self.showing],
                       places=[self.place_title, box([self.point, told], 'ct-places')],
                       methods=[self.draw_methods, self.method_grid],
                       layers=[self.draw_layers, self.layer_grid],
                       save=[text('This line of Python makes exactly this map:'), self.code,
                             self.make_files, self.files])
        names = [n for n in PANES if n in self.show and (n != 'scene' or scenes)]
        self.panes = {n: w.VBox(content[n]) for n in names}
        self.tabs = classed(choice('', [(PANES[n], n) for n in names] or ['none']), 'ct-tabs')
        self.tabs.observe(lambda change: self.open(change['new']), 'value')
        if names: self.open(names[0])

    def open(self, name):
        "Show one pane. An error spoke of the pane that was left."
        self.opened = name
        for n, pane in self.panes.items(): show_when(pane, n == name)
        self.pane_alert.value = ''

    def _root(self):
        c = self.controls
        sections = {'class': [c['class_'], c['classes'], c['find']], 'layer': [c['layer']], 'method': [c['method']],
                    'compare': [c['compare'], c['class2']], 'look': [c['opacity'], c['cmap'], c['ground'], c['scale']],
                    'truth': [c['outline']]}
        side = w.VBox([x for name, items in sections.items() if name in self.show for x in items])
        self.root = framed(self.alert, self.stage, classed(side, 'ct-side'))
        tabs = [self.tabs] * (len(self.panes) > 1) + [self.pane_alert, *self.panes.values()]
        self.root.children += tuple(tabs)

    def choices(self, name):
        "What a control can be set to; None for a slider over numbers, and for typed text."
        control = self.controls[name]
        listed = isinstance(control, (w.SelectionSlider, w.Dropdown, w.ToggleButtons))
        return [v for _, v in control.options] if listed else None

    def offer(self, name, options, wanted): # options: (label, value) of each
        "New options for a slider or menu, staying with the wanted value if it is among them."
        control = self.controls[name]
        if tuple(control.options) != tuple(options): control.options = options
        values = self.choices(name)
        control.value = wanted if wanted in values else values[0]

    def show_progress(self, done=0, total=0):
        "How far a running method is; nothing where none runs."
        show_when(self.working, total)
        if total: self.progress.max, self.progress.value = total, done

    def set_thumbs(self, thumbs): # (jpeg, title) of each picture
        "Buttons with the pictures on them."
        self.thumb_css.value = html.thumb_rules([jpeg for jpeg, _ in thumbs])
        self.thumbs.children = [
            classed(w.Button(description=title, tooltip=f'picture {i + 1}: {title}'), 'ct-thumb', f'ct-thumb-{i}')
            for i, (_, title) in enumerate(thumbs)]

    def mark_thumb(self, chosen, titles):
        "Show which picture is chosen, also without colour."
        for i, (b, title) in enumerate(zip(self.thumbs.children, titles)):
            (b.add_class if i == chosen else b.remove_class)('ct-on')
            b.description = ('✓ ' if i == chosen else '') + title
