"The explorer: what happens when a person moves a control. The computation is `CamCache`, the widgets are `camtutor.panel`."
import asyncio, io, os, threading
from collections import OrderedDict
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import NamedTuple
from weakref import WeakSet
import numpy as np, torch, torch.nn.functional as F
from PIL import Image
from ipywidgets import Widget
from torch import Tensor
from camtutor.cam import best_energy, energy, peak_inside
from camtutor.course import show_widget
from camtutor.errors import CamError, nearest
from camtutor.explain import METHODS, Explanation, net_of, as_shown, probabilities, readable, steps_of, vocab_of, batch_of
from camtutor.explorer import FORMULAS, CamCache, outlined, ring
from camtutor.gradcam import last_layer, map_layers, saying
from camtutor.images import open_image
from camtutor.panel import (MAX_UPLOAD, SECTIONS, Panel, alert_html, code_html, files_html, grid_html, picture_tag, scale_html, show_when,
                            small, truth_html)
from camtutor.networks import load_pets
from camtutor.scenes import BACKGROUNDS, PARTS, PATTERNS, POSES, SPECIES, Scene, scene
from camtutor.show import as_images, colorize, normalize, overlay, to_jpeg, to_png, upsample

NO_LAYER = 'cam', 'saliency', 'deconvnet', 'guided_backprop'   # methods of the network as a whole
DEAR = 8   # a method with more forward passes than this waits until the slider rests, and runs beside
PICTURES = [dict(seed=s, species=n, background=b) for s, n, b in (
    (3, 'cat', 'sofa'), (12, 'dog', 'grass'), (5, 'rabbit', 'carpet'), (8, 'fox', 'snow'), (21, 'bear', 'brick'), (2, 'pig', 'grass'),
    (6, 'mouse', 'wood'), (9, 'elephant', 'beach'), (31, ('cat', 'dog'), 'carpet'), (14, ('rabbit', 'fox'), 'grass'))]

# ---- pictures
class Subject(NamedTuple):
    "A picture under study."
    title:str         # a few words
    code:str          # the Python that makes or opens it
    x:Tensor          # the batch of one that the network reads (1,3,H,W)
    image:Tensor      # what a person is shown (1,3,S,S), from 0 to 1; may be finer than what the network reads
    masks:dict        # part -> mask (H,W) bool as drawn; empty where no truth is known

def scene_code(recipe:dict)->str: # arguments of `scene` -> the call as Python
    "The line that draws a scene again; what the seed chooses is left out."
    args = [f'{k}={v!r}' for k, v in recipe.items() if k != 'seed' and v is not None]
    return f"scene({', '.join([repr(recipe['seed']), *args])})"

def drawn(recipe, size=128):
    "The scene of a recipe."
    return scene(**{k: v for k, v in recipe.items() if v is not None}, size=size)

def enlarged(img, size):
    "Pictures (N,3,H,W) with `size` pixels on their longer side."
    h, w = img.shape[-2:]
    new = [max(1, round(s * size / max(h, w))) for s in (h, w)]
    if new == [h, w]: return img
    return F.interpolate(img, new, mode='bicubic', align_corners=False, antialias=max(h, w) > size).clamp(0, 1)

def squared(img):
    "The middle of pictures (N,3,H,W)."
    h, w = img.shape[-2:]
    s, y, x = min(h, w), max(h - w, 0) // 2, max(w - h, 0) // 2
    return img[..., y:y + s, x:x + s]

def known_parts(s)->dict: # a Scene -> part -> mask (H,W) bool
    "The parts that a scene knows the truth of and that can be seen in it; each animal of several by its place."
    if not isinstance(s, Scene): return {}
    masks = {p: s.mask(p) for p in ('animal', *PARTS[1:])}
    if len(s.species) > 1: masks |= {f'animal {i + 1}: {name}': s.mask('animal', i + 1) for i, name in enumerate(s.species)}
    return {p: m for p, m in masks.items() if m.any()}

def titled(source, pic, number):
    "A picture's title, and the Python that stands for it."
    if isinstance(source, dict): return ' and '.join(pic.species), scene_code(source)
    if isinstance(source, (str, os.PathLike)): return Path(source).name, repr(str(source))
    title = ' and '.join(pic.species) if isinstance(pic, Scene) else f'picture {number + 1}'
    return title, f'images[{number}]'

# ---- methods
def fitting_methods(
    net, # a network
    x:Tensor, # a batch it takes
)->list: # keys of METHODS
    "The methods that can explain this network: each cheap one is tried once on its top class."
    def fits(name):
        row = METHODS[name]
        if name in FORMULAS or row.forward_passes > DEAR: return True
        try: row.fn(net, x[:1], None, None if name in NO_LAYER else last_layer(net, x[:1]))
        except CamError: return False
        return True
    return [n for n in METHODS if fits(n)]

class Stopped(Exception): "Raised inside a method's forward pass to end it."

class Job:
    "Dear methods on a thread of their own: counts the network's forward passes, and can be stopped between two of them."
    def __init__(self, net, work, total): # work: a function without arguments
        self.net, self.work, self.total, self.done, self.stopped, self.error = net, work, total, 0, False, None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def tick(self, module, args):
        if threading.get_ident() != self.thread.ident: return
        if self.stopped: raise Stopped
        self.done += 1

    def run(self):
        handle = self.net.register_forward_pre_hook(self.tick)
        try: self.work()
        except Exception as e: self.error = e
        finally: handle.remove()

# ---- the explorer
OPEN = WeakSet()   # the explorers of this session

@contextmanager
def one_thread():
    "Painting is many small steps: threads that wait for each other make it slower."
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    try: yield
    finally: torch.set_num_threads(n)

def set_options(slider, options, wanted):
    "New options for a slider or menu, staying with the wanted value if it is among them."
    if tuple(slider.options) != tuple(options): slider.options = options
    values = [v for _, v in options]
    slider.value = wanted if wanted in values else values[0]

def top_of(m, method):
    "The raw value drawn brightest; None for a map's largest. A few pixels outshine all others, so of pixels it is what 1 in 200 exceeds."
    return None if METHODS[method].kind == 'map' else m.abs().float().flatten().quantile(.995).item() or None

def in_words(e):
    "An error as a sentence; one that is not ours with its type."
    return '' if e is None else str(e) if isinstance(e, CamError) else f'{type(e).__name__}: {e}'

class Explorer:
    "Pictures, classes, layers and methods to slide through. Displays itself; `drive` moves it from code."
    def __init__(self, model=None, # a torch module or a fastai Learner; None = the shipped pets network
                 images=None, # scenes, paths, PIL images, tensors, or dicts of `scene`'s arguments; None = `PICTURES`
                 vocab=None, # class names; None = the model's own, or numbers
                 transform=None, # PIL image -> normalised tensor (3,H,W); None = the model's own
                 show=SECTIONS, # what is laid out: names of SECTIONS, as a list or in one string such as 'class layer'
                 size=384, # pixels on the longer side of the picture shown
                 code='model', # how the copied line of Python names the model
                 **start): # the state to begin with, as for `drive`
        if model is None: model, code = load_pets(), 'load_pets()'
        self.model, self.net, self.transform, self.size, self.code = model, net_of(model), transform, size, code
        self.vocab = [str(v) for v in vocab] if vocab is not None else vocab_of(model)
        self.sources = list(PICTURES if images is None else images if isinstance(images, (list, tuple)) else [images])
        self.busy, self.driven, self.error, self.job, self.held = False, False, None, None, None
        self.lock = threading.RLock()   # JupyterLab hands clicks and slider moves to two threads
        self.cache, self.subject, self.layers, self.chosen, self.outline = None, None, {}, 0, ''
        self._build(show.split() if isinstance(show, str) else show)
        drive(self, **start)

    def _build(self, show):
        "Panel, thumbnails, listeners, and the first picture."
        unknown = [s for s in show if s not in SECTIONS]
        if unknown: raise CamError(f'Building an explorer: there is no section {unknown[0]!r}. {nearest(unknown[0], SECTIONS)}')
        if not self.sources: raise CamError('Building an explorer: the list of images is empty.')
        subjects = [self.study(s, i) for i, s in enumerate(self.sources)]
        self.methods = fitting_methods(self.net, subjects[0].x)
        knows_pets = self.vocab is not None and set(self.vocab) <= set(SPECIES)
        scenes = dict(species=SPECIES, poses=POSES, backgrounds=BACKGROUNDS, patterns=PATTERNS) if knows_pets else {}
        self.panel = Panel([(METHODS[m].title, m) for m in self.methods], scenes, show)
        self.titles = [s.title for s in subjects]
        if 'pictures' in show: self.panel.set_thumbs([(to_jpeg(enlarged(squared(s.image), 168)), s.title) for s in subjects])
        self.panel.controls['method'].value = 'grad_cam'
        self.take(subjects[0])
        self._fit_classes()
        self.panel.mark_thumb(0, self.titles)
        if isinstance(self.sources[0], dict): self.show_recipe(**self.sources[0])
        self._listen()
        OPEN.add(self)

    def _fit_classes(self):
        "A few classes are all on the slider at once; of many, the top five, and a name can be typed."
        c, n = self.panel.controls, len(self.prob)
        c['classes'].value = 'all' if n <= 12 else 'top'
        show_when(c['classes'], n > 5)
        show_when(c['find'], n > 12)
        c['find'].options = [self.name(k) for k in range(n)]
        self.offer()
        self.draw()

    def study(self,
              source, # whatever stands for a picture
              number=0, # its place in the list
             )->Subject:
        "Prepare a picture: what the network reads, what a person sees, what is known about it."
        recipe = source if isinstance(source, dict) else None
        pic = drawn(recipe) if recipe else source
        x = batch_of(self.model, pic, self.transform)
        if len(x) != 1: raise CamError(f'Exploring: picture {number + 1} is a batch of {len(x)}. Give its pictures one by one.')
        shown = as_shown(x, steps_of(self.model, self.transform)).float()
        fine = recipe and np.array_equal(self.seen(pic.mask())[0].cpu(), pic.mask())   # the transform leaves a scene's outline as it is
        image = as_images(drawn(recipe, self.size)) if fine else enlarged(shown, self.size)
        return Subject(*titled(source, pic, number), x, image, known_parts(pic))

    def take(self,
             subject:Subject, # the new picture
             keep=False): # stay with the class that is chosen, instead of the new picture's top class?
        "Go on with another picture: one forward pass; what was kept for the old one is freed."
        self.halt()
        same = self.subject is not None and self.subject.x.shape == subject.x.shape
        layers, last = (self.layers, self.last) if same else (map_layers(self.net, subject.x), last_layer(self.net, subject.x))
        cache = CamCache(self.net, subject.x, layers)
        if getattr(cache.out, 'ndim', 0) != 2:
            what = f'scores of shape {tuple(cache.out.shape)}' if isinstance(cache.out, Tensor) else f'a {type(cache.out).__name__}'
            raise CamError(f'Exploring: the model gave {what}, but classes need scores (N,K).')
        if self.cache: self.cache.free()
        self.cache, self.subject, self.layers, self.last, self.results, self.truths = cache, subject, layers, last, OrderedDict(), {}
        values, self.how = readable(probabilities(self.model, cache.out), cache.out)
        self.prob = values[0]   # how sure it is of each class, or the scores where there are no probabilities
        self.panel.showing.value = ''
        for grid in (self.panel.method_grid, self.panel.layer_grid):
            if grid.value: grid.value = '<div class="ct-h">Drawn for another picture; draw again.</div>'
        self.offer(keep)
        self.redraw()

    def offer(self, keep=False):
        "Fill the sliders for this picture: classes with their probabilities, layers with their sizes, the parts that it has."
        c, order = self.panel.controls, self.prob.argsort(descending=True).tolist()
        top = order[:5] if c['classes'].value == 'top' else range(len(order))
        classes = [(f'{self.sure(k)} · {self.name(k)}', k) for k in top]
        layers = [(f"{n} · {'×'.join(map(str, s[1:]))}", n) for n, s in self.layers.items()]
        self.busy = True
        set_options(c['class_'], classes, c['class_'].value if keep else order[0])
        other = next((k for k in order if k != c['class_'].value), order[0])   # the strongest other one, unless a person is looking at their own choice
        set_options(c['class2'], classes, c['class2'].value if keep and c['compare'].value != 'one' else other)
        set_options(c['layer'], layers, next(n for n in (c['layer'].value, self.last, layers[-1][1]) if n in self.layers))
        set_options(c['outline'], [('none', ''), *((p, p) for p in self.subject.masks)], self.outline)
        c['outline'].disabled = not self.subject.masks
        self.busy = False

    def name(self, k):
        "What class number `k` is called."
        return self.vocab[k] if self.vocab and k < len(self.vocab) else f'class {k}'

    def raw(self,
            class_:int, # class number
            layer=None, # None = the chosen one
            method=None, # None = the chosen one
           )->Tensor: # (1,h,w) at the layer, or (1,H,W): the largest absolute value over colours
        "The map of one class, not scaled. Formulas come from the cache; other methods run once for each picture, class and layer."
        layer, method = layer or self.value('layer'), method or self.value('method')
        if method in FORMULAS: return FORMULAS[method](*self.cache.get(layer, class_))
        key = method, class_, None if method in NO_LAYER else layer
        if key not in self.results: self.results[key] = self.compute(*key)
        self.results.move_to_end(key)
        if len(self.results) > 64 + len(self.layers): self.results.popitem(last=False)
        return self.results[key]

    def compute(self, method, class_, layer):
        "Run a method of the table on this picture."
        row = METHODS[method]
        with saying(f'{row.title} at {layer!r}' if layer else row.title): r = row.fn(self.net, self.subject.x, class_, layer)
        return r if row.kind == 'map' else r.abs().amax(1)

    def value(self, name):
        "What a control is set to."
        return self.panel.controls[name].value

    def seen(self, mask):
        "A mask (H,W) as the network's own transform crops and resizes it: (1,H,W) bool."
        white = Image.fromarray(np.repeat(mask[..., None], 3, 2).astype(np.uint8) * 255)
        return as_shown(batch_of(self.model, white, self.transform), steps_of(self.model, self.transform)).mean(1) > .5

    def cut(self, size): # (width, height) of a picture
        "Does the network see less than the whole of it? Tried with a picture of this shape whose ends are white."
        w, h = (max(1, round(s * 512 / max(size))) for s in size)
        ends = np.zeros((h, w), bool)
        ends[(slice(None), slice(w // 16)) if w > h else slice(h // 16)] = True
        return not self.seen(ends).any()

    def known(self, part, m):
        "The truth about a part, for maps of the size of `m`: mask, outline, its share of the picture, the best energy on that grid."
        key = part, tuple(m.shape[-2:])
        if key not in self.truths:
            mask = self.seen(self.subject.masks[part])
            lines = ring(mask, self.subject.image.shape[-2:])
            self.truths[key] = mask, lines, mask.float().mean().item(), best_energy(mask, m.shape[-2:]).item()
        return self.truths[key]

    def picture(self, m:Tensor, signed=False): # a raw map (1,h,w) -> a picture (1,3,S,S) from 0 to 1
        "The map laid over the picture as the controls say, with the outline."
        c, part = self.panel.controls, self.value('outline')
        cmap, ground = None if signed else c['cmap'].value, self.subject.image.to(m.device)
        if c['ground'].value == 'alone': img = colorize(normalize(upsample(m.float(), ground.shape[-2:]), signed, self.bright(m)), cmap, signed)
        else: img = overlay(ground, m.float(), c['opacity'].value, cmap, signed, self.bright(m))
        return outlined(img, self.known(part, m)[1]) if part else img

    def bright(self, m):
        "The value at the top of the scale: that of the range that is held, or the map's own."
        return self.held or top_of(m, self.value('method'))

    def shown_maps(self):
        "The raw maps that are to be seen now, each with its title: one, two, or a difference."
        a, b, how = self.value('class_'), self.value('class2'), self.value('compare')
        if how == 'one': return [(self.raw(a), self.label(a))]
        if how == 'two': return [(self.raw(k), self.label(k)) for k in (a, b)]
        return [(self.raw(a) - self.raw(b), f'{self.label(a)} minus {self.label(b)}')]

    def sure(self, k):
        "A class's probability, or its score where there is none, in words."
        return f'{self.prob[k].item():{self.how}}'

    def label(self, k): return f'<b>{escape(self.name(k))}</b> ({self.sure(k)})'

    def redraw(self, change=None):
        "Compute and show what the controls say."
        self.need([(self.value('method'), k, self.value('layer')) for k in self.classes()], self.draw)

    def refresh(self):
        "Work out again what is shown: a function of the library has been exchanged."
        with self.lock:
            self.results.clear()
            self.truths.clear()
            self.guard(self.redraw)

    def classes(self):
        "The class numbers that are to be seen now."
        return [self.value('class_')] + [self.value('class2')] * (self.value('compare') != 'one')

    def draw(self):
        "Pictures, captions, truth and the line of Python."
        maps, signed = self.shown_maps(), self.value('compare') == 'difference'
        for i, (m, title) in enumerate(maps):
            with one_thread(): self.panel.images[i].value = to_jpeg(self.picture(m, signed), 92)
            self.panel.captions[i].value = self.caption(m, title, signed)
            if 'truth' in self.panel.show: self.panel.truths[i].value = self.truth(m)
        show_when(self.panel.views[1], len(maps) > 1)
        (self.panel.stage.add_class if len(maps) > 1 else self.panel.stage.remove_class)('ct-two')
        show_when(self.panel.controls['class2'], self.value('compare') != 'one')
        self.panel.controls['cmap'].disabled = signed   # a difference has colours of its own
        self.panel.code.value = code_html(self.line())
        self.panel.files.value = ''

    def caption(self, m, title, signed):
        "What is shown, in words, and the scale of its colours in raw values."
        row, layer = METHODS[self.value('method')], '' if self.value('method') in NO_LAYER else f" at {self.layer_called()} ({'×'.join(map(str, m.shape[1:]))})"
        def told(more): return f'<div role="status" aria-live="polite">{row.title} for {title}{layer}{more}</div>'
        if not signed and m.max() <= 0: return told(f'. Nothing here speaks for {title.rpartition(" (")[0]}: the map has no positive value.')
        given, m = self.bright(m), upsample(m.float(), self.subject.image.shape[-2:])
        top = given or (m.abs() if signed else m.clamp(min=0)).max().item()
        low, cut = -top if signed else 0 if given else m.clamp(min=0).min().item(), m.abs().max().item() > 1.001 * top
        hidden = cut or m.min() < min(low, 0)   # values that the scale does not show
        return told(f'; raw {m.min():.3g} to {m.max():.3g}' if hidden else '') + scale_html(low, top, cut, self.colours('RdBu_r' if signed else self.value('cmap')))

    def colours(self, cmap):
        "Nine colours (r,g,b) in bytes along a colour map."
        return (colorize(torch.linspace(0, 1, 9)[None, None], cmap)[0, :, 0].T * 255).round().int().tolist()

    def truth(self, m):
        "The map against the chosen part: energy and peak, beside the uniform and the best possible figure."
        part = self.value('outline')
        if not part: return ''
        mask, _, uniform, best = self.known(part, m)
        big = upsample(m.float(), mask.shape[-2:])
        return truth_html(part, energy(big, mask).item(), uniform, best, peak_inside(big, mask).item() if big.max() > 0 else None)

    def line(self):
        "The Python that makes the map shown."
        method, more = self.value('method'), '' if self.transform is None else ', transform=transform'
        layer, kind = '' if method in NO_LAYER else f", layer={self.value('layer')!r}", 'raw' if METHODS[method].kind == 'map' else 'map'
        def call(k):
            target = self.vocab[k] if vocab_of(self.model) else k
            return f'explain({self.code}, {self.subject.code}, {method!r}{layer}, target={target!r}{more}).{kind}'
        a, b = self.value('class_'), self.value('class2')
        return {'one': call(a), 'two': f'{call(a)}, {call(b)}', 'difference': f'{call(a)} - {call(b)}'}[self.value('compare')]

    def guard(self, action, *args, place='alert'):
        "Do something on a person's behalf; whatever goes wrong is shown where they look, and everything stays usable."
        self.error = None
        try: action(*args)
        except Exception as e:
            self.error = e
            if self.driven: raise
        finally:
            for p in ('alert', 'pane_alert'): getattr(self.panel, p).value = alert_html(in_words(self.error)) if p == place else ''

    def need(self, keys, then):
        "Have the maps of `keys` (method, class, layer) ready, the dear ones from a thread, and then go on."
        keys = [(m, k, None if m in NO_LAYER else l) for m, k, l in keys]
        missing = [k for k in keys if METHODS[k[0]].forward_passes > DEAR and k not in self.results]
        if not missing or self.driven: return then()
        self.halt()
        results, total = self.results, sum(METHODS[m].forward_passes for m, *_ in missing)
        def work():
            for k in missing: results[k] = self.compute(*k)
        self.job = Job(self.net, work, total)
        asyncio.get_running_loop().create_task(self.follow(self.job, then))

    async def follow(self, job, then):
        "Show a job's progress, and go on when it is done."
        p = self.panel
        if job is not self.job: return
        p.progress.value, p.progress.max = 0, job.total
        show_when(p.working, True)
        job.thread.start()
        while job.thread.is_alive():
            p.progress.value = job.done
            await asyncio.sleep(.1)
        with self.lock:
            if job is not self.job: return
            self.job = None
            show_when(p.working, False)
            self.guard(self.finish, job, then)

    def finish(self, job, then):
        if isinstance(job.error, Stopped): raise CamError(f'Stopped after {job.done} of about {job.total} forward passes. Move a slider to start again.')
        if job.error: raise job.error
        then()

    def halt(self):
        "Stop a running job and wait for its thread: a moment, the rest of one forward pass."
        job, self.job = self.job, None
        if job is None: return
        job.stopped = True
        if job.thread.is_alive(): job.thread.join()
        show_when(self.panel.working, False)

    def _listen(self):
        "Which control does what."
        p, c = self.panel, self.panel.controls
        acts = dict.fromkeys(('class_', 'class2', 'layer', 'compare', 'opacity', 'cmap', 'ground'), self.redraw)
        acts |= dict.fromkeys(('species', 'pose', 'background', 'pattern', 'second', 'seed'), self.make)
        acts |= dict(method=self.choose_method, classes=self.refill, find=self.find, scale=self.hold, outline=self.choose_outline)
        for name, act in acts.items(): c[name].observe(self.answer(act, 'pane_alert' if act == self.make else 'alert'), 'value')
        for i, b in enumerate(p.thumbs.children): b.on_click(self.answer(lambda _, i=i: self.pick(i), 'pane_alert'))
        p.upload.observe(self.answer(self.uploaded, 'pane_alert'), 'value')
        for button, act in ((p.draw_methods, self.all_methods), (p.draw_layers, self.all_layers), (p.make_files, self.files)):
            button.on_click(self.answer(act, 'pane_alert'))
        p.stop.on_click(self.answer(self.stop, 'alert'))

    def answer(self, act, place):
        "A listener: one event after the other, none while the explorer itself moves its controls. An error goes to `place`."
        def listener(change):
            with self.lock:
                if self.busy: return
                if not isinstance(change, Widget): self.keep(change)   # a click passes the button
                self.guard(act, change, place=place)
        return listener

    def keep(self, change):
        "A slider that was moved while a click was still at work: the click may have moved it too, but the person's move came later."
        slider, wanted = change['owner'], change['new']
        choices = [v for _, v in getattr(slider, '_options_full', [(None, wanted)])]
        if slider.value == wanted or wanted not in choices: return
        self.busy = True
        slider.value = wanted
        self.busy = False
        slider.send_state('index' if slider.has_trait('index') else 'value')

    def pick(self, i:int):
        "Go to picture number `i` of the list."
        if not 0 <= i < len(self.sources): raise CamError(f'Choosing a picture: there is no number {i}; they run from 0 to {len(self.sources) - 1}.')
        self.take(self.study(self.sources[i], i))
        self.chosen = i
        if isinstance(self.sources[i], dict): self.show_recipe(**self.sources[i])
        self.panel.mark_thumb(i, self.titles)

    def show_recipe(self, seed, species, **how):
        "Set the scene's controls to a recipe, so that *Make a scene* begins with the picture that is seen."
        first, second = (species, '') if isinstance(species, str) else (*species, '')[:2]
        c, wanted = self.panel.controls, dict(seed=seed, species=first, second=second) | {k: how.get(k) or '' for k in ('pose', 'background', 'pattern')}
        self.busy = True
        for name, v in wanted.items():
            if name == 'seed' or v in [o for _, o in c[name]._options_full]: c[name].value = v
        self.busy = False

    def make(self, change=None):
        "Draw the scene that the controls describe. The class stays, so that one sees what a change does to it."
        species, second = self.value('species'), self.value('second')
        recipe = dict(seed=self.value('seed'), species=(species, second) if second else species,
                      **{k: self.value(k) or None for k in ('background', 'pose', 'pattern')})
        self.take(self.study(recipe), keep=self.chosen is None)
        self.chosen = None
        self.panel.mark_thumb(None, self.titles)

    def uploaded(self, change):
        "Take in a file that a person chose or dropped; it stays in memory."
        if not change['new']: return
        file = change['new'][0]
        self.busy = True
        self.panel.upload.value = ()
        self.busy = False
        self.receive(bytes(file['content']), file['name'])

    def receive(self, data:bytes, name='photo'):
        "Take in the bytes of an image file."
        if len(data) > MAX_UPLOAD:
            raise CamError(f'Opening {name!r}: it has {len(data) / 2**20:.1f} MB, and at most {MAX_UPLOAD >> 20} MB are taken. Save a smaller copy.')
        file = io.BytesIO(data)
        file.name = name
        photo = open_image(file)
        self.take(self.study(photo)._replace(title=name, code=repr(name)))
        self.panel.showing.value = f'<div role="status">Showing <em>{escape(name)}</em>{": its middle," if self.cut(photo.size) else ""} as the network sees it.</div>'
        self.chosen = None
        self.panel.mark_thumb(None, self.titles)

    def refill(self, change):
        "Top five or all classes."
        self.offer(keep=True)
        self.redraw()

    def find(self, change):
        "Go to the class whose name was typed."
        if not change['new']: return
        self.go_to('class_', self.number(change['new']))
        self.busy = True
        self.panel.controls['find'].value = ''
        self.busy = False

    def number(self, name):
        "The number of a class given by name or number."
        names, typed = [self.name(k) for k in range(len(self.prob))], str(name).strip().lower()
        if name in names: return names.index(name)
        if isinstance(name, int) and 0 <= name < len(names): return name
        within = [k for k, n in enumerate(names) if typed in n.lower() and not isinstance(name, int)]
        same = [k for k in within if names[k].lower() == typed]
        for found in (same, within):
            if len(found) == 1: return found[0]
        raise CamError(f'Choosing a class: there is no {name!r}. {nearest(name, [names[k] for k in within] or names)}')

    def go_to(self, control, k):
        "Move a class slider to class `k`, also if it is not among the top five."
        c = self.panel.controls
        if k not in [v for _, v in c[control].options]: c['classes'].value = 'all'
        c[control].value = k

    def choose_method(self, change):
        "Cheap methods follow the drag; for dear ones the sliders wait until they are let go. A range that was held belonged to another method."
        c, dear, whole = self.panel.controls, METHODS[change['new']].forward_passes > DEAR, change['new'] in NO_LAYER
        c['layer'].disabled = self.panel.draw_layers.disabled = whole
        c['scale'].value, self.held = 'own', None
        for name in ('class_', 'class2', 'layer', 'seed'): c[name].continuous_update = not dear
        self.redraw()

    def choose_outline(self, change):
        "Remember the part, for the next picture that has it."
        self.outline = change['new']
        self.redraw()

    def hold(self, change):
        "Keep the range of the map shown now for all that follow, or let each map have its own."
        self.held = None
        def top(m): return self.bright(m) or upsample(m.abs().float(), self.subject.image.shape[-2:]).max().item()
        if change['new'] == 'hold': self.held = max(top(m) for m, _ in self.shown_maps()) or None
        self.draw()

    def stop(self, button):
        "Ask the running method to end; it does so before its next forward pass."
        if self.job: self.job.stopped = True

    def tile(self, method, layer):
        "One cell of a grid: a picture, or the reason why there is none."
        what = METHODS[method].title if layer is None else f"{layer} · {'×'.join(map(str, self.layers[layer][1:]))}"
        try: m = self.raw(self.value('class_'), layer or self.value('layer'), method)
        except CamError as e: return None, f'{what}: {e}'
        img = overlay(enlarged(self.subject.image, 192).to(m.device), m.float(), self.value('opacity'), self.value('cmap'), vmax=top_of(m, method))
        return to_jpeg(img, 88), what

    def layer_called(self):
        "The chosen layer in a sentence."
        return ('' if self.value('layer').startswith('layer') else 'layer ') + self.value('layer')

    def heading(self, k): return f'Picture <em>{escape(self.subject.title)}</em>, class <em>{escape(self.name(k))}</em>'

    def all_methods(self, button=None):
        "Every method that fits, for this picture, class and layer."
        k, layer = self.value('class_'), self.value('layer')
        def show():
            cells = [self.tile(m, None) for m in self.methods]
            self.panel.method_grid.value = grid_html(cells, f'{self.heading(k)}, {escape(self.layer_called())}')
        self.need([(m, k, layer) for m in self.methods], show)

    def all_layers(self, button=None):
        "This class at every layer, from the first to the last, by the method chosen."
        k, method = self.value('class_'), self.value('method')
        if method in NO_LAYER: raise CamError(f'Drawing all layers: {METHODS[method].title} looks at the network as a whole. Choose a method with layers, such as Grad-CAM.')
        def show():
            cells = [self.tile(method, n) for n in self.layers]
            self.panel.layer_grid.value = grid_html(cells, f'{self.heading(k)}, {METHODS[method].title}, first to last layer')
        self.need([(method, k, n) for n in self.layers], show)

    def explanation(self):
        "What is shown now as an `Explanation`, which can draw and save itself."
        k, method, x = self.value('class_'), self.value('method'), self.subject.x
        raw = self.raw(k)
        return Explanation(as_shown(x, steps_of(self.model, self.transform)), self.cache.out, raw, upsample(raw.float(), x.shape[-2:]),
                           torch.tensor([k]), None if method in NO_LAYER else self.value('layer'), method, self.vocab,
                           prob=probabilities(self.model, self.cache.out))

    def numbers(self)->str:
        "The map as a table of comma-separated values, with what it is above."
        m, k = self.raw(self.value('class_')), self.value('class_')
        prob = probabilities(self.model, self.cache.out)
        sure = '' if prob is None else f'probability {prob[0, k]:.6f}, '
        lines = [f'# picture: {self.subject.title}', f'# class: {self.name(k)}, {sure}score {self.cache.out[0, k]:.6f}',
                 f"# method: {self.value('method')}, layer: {self.value('layer')}", f'# python: {self.line()}']
        return '\n'.join(lines + [','.join(f'{v:.6g}' for v in row) for row in m[0].tolist()]) + '\n'

    def files(self, button=None):
        "Links to save the picture, the figure and the numbers."
        stem = '-'.join([self.subject.title.split('.')[0], self.value('method'), self.name(self.value('class_'))]).replace(' ', '_')
        shown = [(self.picture(m, self.value('compare') == 'difference')) for m, _ in self.shown_maps()]
        self.panel.files.value = files_html([(f'{stem}.png', to_png(torch.cat(shown, 3)), 'image/png', 'Picture'),
            (f'{stem}-figure.png', self.explanation()._repr_png_(), 'image/png', 'Figure'), (f'{stem}.csv', self.numbers().encode(), 'text/csv', 'Numbers')])

    def static(self)->str:
        "The state shown now as HTML, for readers of a saved page."
        def view(image, caption): return (f'<figure style="margin:0;max-width:256px">{picture_tag(small(image.value), "picture with its map")}'
                                          f'<figcaption>{caption.value.partition("<div class=")[0]}</figcaption></figure>')
        views = [view(i, c) for i, c, _ in zip(self.panel.images, self.panel.captions, self.shown_maps())]
        return f'<div style="display:flex;flex-wrap:wrap;gap:12px">{"".join(views)}</div><p>Run this cell in Jupyter for the sliders.</p>'

    def _ipython_display_(self): show_widget(self.panel.root, self.static(), repr(self))

    def __repr__(self): return f"Explorer({self.subject.title}: {self.name(self.value('class_'))} at {self.value('layer')}, {METHODS[self.value('method')].title})"

    def set(self, name, wanted):
        "Set one control, or `picture` or `upload`."
        if name == 'picture': return self.guard(self.pick, wanted)
        if name == 'upload': return self.guard(self.receive, wanted)
        if name not in self.panel.controls: raise CamError(f'Driving the explorer: there is no control {name!r}. {nearest(name, [*self.panel.controls, "picture", "upload"])}')
        if name in ('class_', 'class2'): return self.go_to(name, self.number(wanted))
        control, wanted = self.panel.controls[name], '' if wanted is None else wanted
        values = [v for _, v in getattr(control, '_options_full', ())]
        if values and wanted not in values: raise CamError(f'Driving the explorer: {name} cannot be {wanted!r}. {nearest(wanted, values)}')
        control.value = wanted

def drive(explorer:Explorer,
          **state # controls by name: picture=2, class_='cat', layer='0.6', method=, compare=, class2=, opacity=, cmap=, scale=, outline=, species=, background=, …
         )->Explorer:
    "Move controls from code, in the order given, as a person's hand would; an error is raised."
    was, explorer.driven = explorer.driven, True
    try:
        for name, wanted in state.items(): explorer.set(name, wanted)
    finally: explorer.driven = was
    return explorer
