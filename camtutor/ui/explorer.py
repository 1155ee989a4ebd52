"""Slide through classes and layers and see the map follow: `study` computes it, `panel` shows it, this binds the two.
The explorer's traits are its state. Each is bound to the control of its name, and a change is acted upon, whether it
came from a hand or from a line of code."""
import threading
from weakref import WeakSet

from traitlets import Float, HasTraits, Int, TraitError, Unicode, validate

from camtutor.errors import CamError, doing, expect_choice, nearest
from camtutor.methods import METHODS
from camtutor.scenes import BACKGROUNDS, PATTERNS, POSES, SPECIES
from camtutor.show import to_jpeg
from camtutor.ui import html
from camtutor.ui.beside import Beside, is_followed
from camtutor.ui.helper import show_widget
from camtutor.ui.panel import SECTIONS, Panel, show_when
from camtutor.ui.study import DEAR, MAX_UPLOAD, Study, View, fitting_methods
from camtutor.ui.subject import enlarged, squared

OPEN = WeakSet()   # the explorers of this session
SCENE = 'species', 'second', 'seed', 'pose', 'background', 'pattern'

class Explorer(HasTraits):
    "Pictures, classes, layers and methods to slide through. Displays itself; `drive` moves it from code."
    class_, class2, layer, method = Int(-1), Int(-1), Unicode(), Unicode('grad_cam')
    classes, find, compare = Unicode('top'), Unicode(), Unicode('one')
    opacity, cmap, ground, scale, outline = Float(.7), Unicode('magma'), Unicode('over'), Unicode('own'), Unicode()
    species, second, pose, background, pattern = Unicode(SPECIES[0]), Unicode(), Unicode(), Unicode(), Unicode()
    seed = Int(7)

    def __init__(self, model=None, # a torch module or a fastai Learner; None = the shipped pets network
                 images=None, # scenes, paths, PIL images, tensors, or dicts of `scene`'s arguments; None = its own ten
                 vocab=None, # class names; None = the model's own, or numbers
                 transform=None, # PIL image -> normalised tensor (3,H,W); None = the model's own
                 show=SECTIONS, # what is laid out: names of SECTIONS, as a list or in one string such as 'class layer'
                 size=384, # pixels on the longer side of the picture shown
                 code='model', # how the copied line of Python names the model
                 **start): # the state to begin with, as for `drive`
        super().__init__()
        show = show.split() if isinstance(show, str) else show
        with doing('Building an explorer'):
            for section in show: expect_choice(section, SECTIONS, 'section')
        self.study = Study(model, images, vocab, transform, size, code)
        self.lock = threading.RLock()   # JupyterLab hands clicks and slider moves to two threads
        self.error, self.held, self.drawn = None, None, None
        self.chosen, self.recipe, self.wish = 0, None, ''
        self.places = self.mapped = None
        self._build(show)
        drive(self, **start)

    def _build(self, show):
        "Panel, thumbnails, bindings, and the first picture."
        study = self.study
        subjects, errors = study.read_all()
        self.methods = fitting_methods(study.net, subjects[0].x)
        knows_pets = study.vocab is not None and set(study.vocab) <= set(SPECIES)
        scenes = dict(species=SPECIES, poses=POSES, backgrounds=BACKGROUNDS, patterns=PATTERNS) if knows_pets else {}
        self.panel = Panel([(METHODS[m].title, m) for m in self.methods], scenes, MAX_UPLOAD, show)
        self.panel.controls['method'].value = self.method
        self.beside = Beside(self.lock, self.do, self.panel.show_progress)
        self.titles = [s.title for s in subjects]
        if 'pictures' in show:
            self.panel.set_thumbs([(to_jpeg(enlarged(squared(s.image), 168)), s.title) for s in subjects])
        self._bind()
        self.arrive(0, subjects[0])
        self._fit_classes(len(study.prob))
        if errors: self.tell(CamError(f'left out: {"; ".join(e.reason for e in errors)}', 'Exploring'), 'pane_alert')
        OPEN.add(self)

    def _fit_classes(self, n):
        "A few classes are all on the slider at once; of many, the top five, and a name can be typed."
        c = self.panel.controls
        self.classes = 'all' if n <= 12 else 'top'
        show_when(c['classes'], n > 5)
        show_when(c['find'], n > 12)
        c['find'].options = [self.study.name(k) for k in range(n)]

    # ---- bindings
    def _bind(self):
        "Which trait and which button does what."
        p = self.panel
        acts = dict(method=self.choose_method, classes=self.refill, find=self.go_to_typed, scale=self.hold,
                    outline=self.choose_outline) | dict.fromkeys(SCENE, self.make)
        def bind(name, control, act):
            "A trait and the control of its name: each follows the other, and then something is done."
            place = 'pane_alert' if name in SCENE else 'alert'
            def changed(change):
                control.value = change['new']
                self.do(act, place=place)
            def moved(change): self.moved(name, change)
            self.observe(changed, name)
            control.observe(moved, 'value')
        for name, control in p.controls.items(): bind(name, control, acts.get(name, self.redraw))
        for i, b in enumerate(p.thumbs.children): b.on_click(lambda _, i=i: self.do(self.pick, i, place='pane_alert'))
        buttons = {p.draw_methods: self.all_methods, p.draw_layers: self.all_layers, p.make_files: self.files}
        for button, act in buttons.items(): button.on_click(lambda _, act=act: self.do(act, place='pane_alert'))
        p.tabs.observe(lambda _: self.do(self.draw_places, place='pane_alert'), 'value')
        p.point.observe(lambda _: self.do(self.say_place, place='pane_alert'), 'at')
        p.go_there.on_click(lambda _: self.do(self.go_there, place='pane_alert'))
        p.upload.on_file(lambda data, name: self.do(self.receive, data, name, place='pane_alert'))
        p.stop.on_click(lambda _: self.beside.job and self.beside.job.stop())

    def moved(self, name, change):
        "A control was moved. A click that was still at work may have moved it too, but a person's move came later."
        control, wanted = change['owner'], change['new']
        with self.lock:
            overtaken, choices = control.value != wanted, self.panel.choices(name)
            if choices is not None and wanted not in choices: return
            setattr(self, name, wanted)
            if overtaken: control.send_state('index' if control.has_trait('index') else 'value')

    @validate('class_', 'class2', 'layer', 'method', 'compare', 'classes', 'cmap', 'ground', 'scale', 'outline', *SCENE)
    def _possible(self, proposal):
        "What a control does not offer cannot be chosen from code either."
        name, wanted = proposal['trait'].name, proposal['value']
        choices = self.panel.choices(name)
        if choices is None or wanted in choices: return wanted
        raise CamError(f'{name} cannot be {wanted!r}. {nearest(wanted, choices)}', 'Driving the explorer')

    def do(self, act, *args, place='alert'):
        "Do something on a person's behalf, one thing after the other; what goes wrong is shown where they look."
        with self.lock:
            self.tell(None)
            try: act(*args)
            except Exception as e:
                self.drawn = None
                self.tell(e, place)

    def tell(self, error, place='alert'):
        "Show an error, or that there is none."
        self.error = error
        for p in ('alert', 'pane_alert'): getattr(self.panel, p).value = html.alert(error) if p == place else ''

    # ---- what is seen
    def view(self)->View:
        "What the traits ask for."
        class2 = None if self.compare == 'one' else self.class2
        return View(self.class_, self.layer, self.method, self.compare, class2, self.opacity, self.cmap, self.ground,
                    self.outline, self.held)

    def redraw(self):
        "Compute and show what the traits ask for, unless that is shown already, or being worked on."
        asked = self.study.taken, self.view()
        if asked == self.drawn: return
        self.drawn = asked
        self.need([(self.method, k, self.layer) for k in self.view().classes], self.draw, lambda: self.draw(draft=True))

    def draw(self, draft=False):
        "Pictures, captions, truth and the line of Python; of rough maps, as a preview, if that is wanted."
        p, view, study = self.panel, self.view(), self.study
        shown = study.shown(view, draft)
        for s, image, caption, truth in zip(shown, p.images, p.captions, p.truths):
            image.value = study.jpeg(s.raw, view)
            caption.value = study.caption(s, view, draft)
            if 'truth' in p.show: truth.value = html.truth(study.truth(s.raw, view.outline)) if view.outline else ''
        two = len(shown) > 1
        show_when(p.views[1], two)
        (p.stage.add_class if two else p.stage.remove_class)('ct-two')
        show_when(p.controls['class2'], view.compare != 'one')
        p.controls['cmap'].disabled = view.signed   # a difference has colours of its own
        p.code.value, p.files.value = html.code(study.line(view)), ''
        if not draft: self.draw_places()

    def refresh(self):
        "Work out again what is shown: a function of the library has been exchanged."
        with self.lock:
            self.beside.halt()
            self.study.forget()
            self.drawn = self.mapped = None
            self.do(self.redraw)

    # ---- pictures
    def take(self, subject, keep=False): # keep: stay with the class that is chosen?
        "Go on with another picture."
        self.beside.halt()
        self.study.take(subject)
        self.panel.showing.value = ''
        for grid in (self.panel.method_grid, self.panel.layer_grid):
            if grid.value: grid.value = html.heading('Drawn for another picture; draw again.')
        self.offer(keep)
        self.redraw()

    def offer(self, keep=False):
        "Fill the sliders for this picture: classes with their probabilities, layers with their sizes, its parts."
        study, offer = self.study, self.panel.offer
        ranked = study.ranked()
        top = ranked[:5] if self.classes == 'top' else range(len(ranked))
        classes = [(f'{study.sure(k)} · {study.name(k)}', k) for k in top]
        layers = [(study.layer_label(n), n) for n in study.layers]
        stays = keep and self.compare != 'one'   # a person is looking at their own choice
        with self.hold_trait_notifications():
            offer('class_', classes, self.class_ if keep else ranked[0])
            other = next((k for k in ranked if k != self.class_), ranked[0])   # the strongest other one
            offer('class2', classes, self.class2 if stays else other)
            layer = next(n for n in (self.layer, study.last, layers[-1][1]) if n in study.layers)
            offer('layer', layers, layer)
            offer('outline', [('none', ''), *((p, p) for p in study.subject.masks)], self.wish)
        self.panel.controls['outline'].disabled = not study.subject.masks

    def mark(self, number=None):
        "Which picture of the list it is; None for one that is not among them."
        self.chosen = number
        self.panel.mark_thumb(number, self.titles)

    def pick(self, i:int):
        "Go to picture number `i` of the list."
        sources = self.study.sources
        if not isinstance(i, int) or not 0 <= i < len(sources):
            raise CamError(f'there is no number {i!r}; they run from 0 to {len(sources) - 1}.', 'Choosing a picture')
        self.arrive(i, self.study.read(sources[i], i))

    def arrive(self, i, subject):
        "Go on with picture number `i`; *Make a scene* begins with it."
        self.take(subject)
        source, self.recipe = self.study.sources[i], None
        if isinstance(source, dict): self.show_recipe(**source)
        self.mark(i)

    def show_recipe(self, seed, species, **how):
        "Set the scene's controls to a recipe; there is nothing to draw for it."
        first, second = (species, '') if isinstance(species, str) else (*species, '')[:2]
        wanted = dict(seed=seed, species=first, second=second)
        wanted |= {k: how.get(k) or '' for k in ('pose', 'background', 'pattern')}
        with self.hold_trait_notifications():
            for name, v in wanted.items():
                if name == 'seed' or v in self.panel.choices(name): self.panel.controls[name].value = v
            self.recipe = self.asked_scene()

    def asked_scene(self)->dict:
        "The recipe that the scene's traits describe."
        species = (self.species, self.second) if self.second else self.species
        return dict(seed=self.seed, species=species, background=self.background or None, pose=self.pose or None,
                    pattern=self.pattern or None)

    def make(self):
        "Draw the scene that is asked for. The class stays, so that one sees what a change does to it."
        recipe = self.asked_scene()
        if recipe == self.recipe: return
        self.take(self.study.read(recipe), keep=self.chosen is None)
        self.recipe = recipe
        self.mark()

    def receive(self, data:bytes, name='photo'):
        "Take in the bytes of an image file."
        subject, cut = self.study.photo(data, name)
        self.take(subject)
        middle = ': its middle,' if cut else ''
        self.panel.showing.value = html.status(html.emphasised('Showing ', name, f'{middle} as the network sees it.'))
        self.recipe = None
        self.mark()

    # ---- what a change brings with it
    def refill(self):
        "Top five or all classes."
        self.offer(keep=True)
        self.redraw()

    def go_to_typed(self):
        "Go to the class whose name was typed."
        if not self.find: return
        k = self.study.number(self.find)
        self.find = ''
        self.go_to('class_', k)

    def go_to(self, name, k):
        "Set a class, also one that is not among the top five."
        if k not in self.panel.choices(name): self.classes = 'all'
        setattr(self, name, k)

    def choose_method(self):
        "Cheap methods follow the drag; dear ones wait until the slider is let go. A range belongs to its method."
        p, row = self.panel, METHODS[self.method]
        p.controls['layer'].disabled = p.draw_layers.disabled = row.needs == 'network'
        for name in ('class_', 'class2', 'layer', 'seed'): p.controls[name].continuous_update = row.passes <= DEAR
        self.held, self.scale = None, 'own'
        self.redraw()

    def choose_outline(self):
        "Remember the part, for the next picture that has it."
        if self.outline or self.wish in self.study.subject.masks: self.wish = self.outline
        self.redraw()

    def hold(self):
        "Keep the range of the map shown now for all that follow, or let each map have its own."
        self.held = self.study.brightest(self.view()) if self.scale == 'hold' else None
        self.redraw()

    # ---- which class each place speaks for
    def draw_places(self):
        "The picture class by class at the layer chosen, while its pane is open; once for each picture and layer."
        p, study, asked = self.panel, self.study, (self.study.taken, self.layer)
        if p.opened != 'places' or asked == self.mapped: return
        self.places, self.mapped = study.places(self.layer), asked
        p.point.src = html.data_uri(study.painted(self.places), 'image/jpeg')
        p.point.alt = f'{study.subject.title}, each place in the colour of the class that it speaks for'
        p.point.grid = list(reversed(study.layers[self.layer][1:]))
        p.place_title.value = html.heading(study.places_title(self.layer))
        p.place_key.value = study.key_of(self.places)
        self.say_place()

    def point_at(self, x:float, y:float):
        "Open the pane, and point at a place: from 0 to 1, from left and top."
        if not 0 <= x <= 1 or not 0 <= y <= 1:
            raise CamError(f'({x:g}, {y:g}) is outside. Give two numbers from 0 to 1.', 'Choosing a place')
        if 'places' not in self.panel.panes:
            raise CamError("there is no such pane: show= leaves it out.", 'Choosing a place')
        self.panel.tabs.value = 'places'
        self.panel.point.at = [float(x), float(y)]

    def say_place(self):
        "Which class the place speaks for that was pointed at."
        p = self.panel
        if self.places is None: return
        p.place_said.value = self.study.said_at(self.places, *p.point.at)
        p.go_there.disabled = self.places.at(*p.point.at)[1] < 0

    def go_there(self):
        "Go to the class that the place speaks for."
        if self.places is not None: self.go_to('class_', self.places.classes[self.places.at(*self.panel.point.at)[1]])

    # ---- what takes longer
    def need(self, keys, then, meanwhile=None):
        """Have the maps of `keys` (method, class, layer) ready, the dear ones from a thread, and then go on.

        `meanwhile`: what to do with rough maps, if they are wanted."""
        study, missing = self.study, self.study.missing(keys)
        if not missing: return then()
        def rough(m): return METHODS[m].rough if meanwhile and is_followed() else {}
        todo = {k: rough(k[0]) for k in missing}
        def work(job, results=study.results, drafts=study.drafts):
            for k, drafted in todo.items():
                for how in drafted.values(): drafts[k], job.news = study.compute(*k, **how), True
                results[k] = study.compute(*k)
        total = sum(METHODS[k[0]].passes + sum(drafted) for k, drafted in todo.items())
        self.beside.begin(study.net, work, total, then, meanwhile)

    def all_methods(self):
        "Every method that fits, for this picture, class and layer."
        study, view = self.study, self.view()
        def show():
            cells = [study.tile(view._replace(method=m), METHODS[m].title) for m in self.methods]
            self.panel.method_grid.value = html.grid(study.heading(view, study.layer_name(view.layer)), cells)
        self.need([(m, view.class_, view.layer) for m in self.methods], show)

    def all_layers(self):
        "This class at every layer, from the first to the last, by the method chosen."
        study, view, row = self.study, self.view(), METHODS[self.method]
        if row.needs == 'network':
            raise CamError(f'{row.title} looks at the network as a whole. '
                           'Choose a method with layers, such as Grad-CAM.', 'Drawing all layers')
        def show():
            cells = [study.tile(view._replace(layer=n), study.layer_label(n)) for n in study.layers]
            self.panel.layer_grid.value = html.grid(study.heading(view, f'{row.title}, first to last layer'), cells)
        self.need([(view.method, view.class_, n) for n in study.layers], show)

    def files(self):
        "Links to save the picture, the figure and the numbers."
        self.panel.files.value = html.files(self.study.files(self.view()))

    # ---- itself
    def raw(self, class_:int): # (1,h,w)
        "The map of one class by the method and at the layer chosen, not scaled."
        return self.study.raw(self.method, class_, self.layer)

    def line(self)->str:
        "The Python that makes the map shown."
        return self.study.line(self.view())

    def static(self)->str:
        "The state shown now as HTML, for readers of a saved page."
        p, n, style = self.panel, 1 + (self.compare == 'two'), 'margin:0;max-width:256px'
        views = [html.figure(image.value, 'picture with its map', caption.value.partition('<div class=')[0], style)
                 for image, caption in zip(p.images[:n], p.captions)]
        return (f'<div style="display:flex;flex-wrap:wrap;gap:12px">{"".join(views)}</div>'
                '<p>Run this cell in Jupyter for the sliders.</p>')

    def _ipython_display_(self): show_widget(self.panel.root, self.static(), repr(self))

    def __repr__(self):
        s = self.study
        return f'Explorer({s.subject.title}: {s.name(self.class_)} at {self.layer}, {METHODS[self.method].title})'

    def set(self, name, wanted):
        "Set one trait, or `picture` or `upload`, as a person's hand would."
        if name == 'picture': return self.do(self.pick, wanted, place='pane_alert')
        if name == 'upload': return self.do(self.receive, wanted, place='pane_alert')
        controls = self.panel.controls
        if name == 'place': return self.do(self.point_at, *wanted, place='pane_alert')
        if name not in controls:
            raise CamError(f'there is no control {name!r}. {nearest(name, [*controls, "picture", "place", "upload"])}',
                           'Driving the explorer')
        if name in ('class_', 'class2'): return self.go_to(name, self.study.number(wanted))
        try: setattr(self, name, '' if wanted is None else wanted)
        except TraitError as e: raise CamError(f'{name} cannot be {wanted!r}.', 'Driving the explorer') from e

def drive(explorer:Explorer,
          **state # by name: picture=2, class_='cat', layer='0.6', method=, compare=, class2=, opacity=, cmap=, scale=,
                  # outline=, species=, background=, …
         )->Explorer:
    "Set controls from code, in the order given, as a person's hand would. An error is raised; long work is waited for."
    with explorer.lock:
        for name, wanted in state.items():
            explorer.tell(None)
            explorer.set(name, wanted)
            if explorer.beside.job: explorer.do(explorer.beside.finish)
            if explorer.error: raise explorer.error
    return explorer
