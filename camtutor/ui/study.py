"What the explorer knows without a single widget: a network, a picture, its maps, their truth and their scale."
import io
from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor

from camtutor.cam import grid_energy, energy, peak_inside
from camtutor.captions import readable
from camtutor.engine.inputs import network, said_probabilities, vocab_of
from camtutor.engine.layers import last_layer, map_layers
from camtutor.engine.targets import scores_of
from camtutor.errors import CamError, describe, doing, nearest
from camtutor.gradcam import capture
from camtutor.explanation import Explanation
from camtutor.images import open_image
from camtutor.methods import FORMULAS, METHODS, apply, by_formula
from camtutor.networks import load_pets
from camtutor.show import colorize, normalize, overlay, to_jpeg, to_png, upsample
from camtutor.ui import html
from camtutor.ui.cache import CamCache
from camtutor.ui.drawing import PALETTE, Scale, colours, one_thread, outlined, ring, scale_of
from camtutor.ui.subject import PICTURES, Eye, Subject, enlarged, read
from camtutor.where import parts_by_class

MOST = 8   # classes that are compared place by place: as many as there are colours to tell apart
DEAR = 8   # a method with more forward passes than this waits until the slider rests, and runs beside
MAX_UPLOAD = 32 * 2**20   # bytes

class View(NamedTuple):
    "What is asked to be seen."
    class_:int            # class number
    layer:str
    method:str='grad_cam' # a key of METHODS
    compare:str='one'     # 'one' class, 'two' beside each other, or their 'difference'
    class2:int=None       # the other class
    opacity:float=.7
    cmap:str='magma'
    ground:str='over'     # the map 'over' the picture, or 'alone'
    outline:str=''        # a part whose truth is known
    held:float=None       # the raw value drawn brightest; None = each map's own

    @property
    def signed(self): return self.compare == 'difference'

    @property
    def classes(self): return (self.class_,) if self.compare == 'one' else (self.class_, self.class2)

class Shown(NamedTuple):
    "A map that is to be seen."
    raw:Tensor        # (1,h,w), not scaled
    classes:tuple     # the class number that it is of; of a difference both

class Truth(NamedTuple):
    "A map against a part of the picture."
    part:str
    energy:float      # the share of the map that lies inside
    uniform:float     # what a map without any preference would have
    grid:float        # what the mask itself has on the map's grid
    inside:bool       # does its peak lie inside? None for an empty map

class Places(NamedTuple):
    "What each place of a picture adds to the scores of the likeliest classes."
    classes:list      # K class numbers, the one it is most sure of first
    maps:Tensor       # (K,H,W), as large as the picture shown
    parts:Tensor      # (H,W): which of the K each place speaks for, -1 for none

    def at(self, x, y): # from 0 to 1, from left and top
        "The values of the K classes at a place, and which of them it speaks for: -1 for none."
        h, w = self.parts.shape
        row, column = min(int(y * h), h - 1), min(int(x * w), w - 1)
        return self.maps[:, row, column], self.parts[row, column].item()

def sizes(shape): return '×'.join(map(str, shape))

def fitting_methods(
    net, # a network
    x:Tensor, # a batch it takes
)->list: # keys of METHODS
    "The methods that can explain this network: each cheap one is tried once on its top class."
    pair = capture(net, x[:1])[1:]
    def fits(row):
        if row.passes > DEAR: return True
        try: by_formula(row, *pair) if row.needs in FORMULAS else apply(row, net, x[:1])
        except CamError: return False
        return True
    return [name for name in METHODS if fits(METHODS[name])]

class Study:
    "A network and a picture: maps of any class at any layer by any method, kept, drawn, and held against the truth."
    def __init__(self, model=None, # a torch module or a fastai Learner; None = the shipped pets network
                 images=None, # scenes, paths, PIL images, tensors, or dicts of `scene`'s arguments; None = `PICTURES`
                 vocab=None, # class names; None = the model's own, or numbers
                 transform=None, # PIL image -> normalised tensor (3,H,W); None = the model's own
                 size=384, # pixels on the longer side of the picture shown
                 code='model'): # how a line of Python names the model
        if model is None: model, code = load_pets(), 'load_pets()'
        self.model, self.net, self.size, self.code = model, network(model), size, code
        self.eye = Eye(model, transform)
        self.vocab = vocab_of(model, vocab)
        self.sources = list(PICTURES if images is None else images if isinstance(images, (list, tuple)) else [images])
        if not self.sources: raise CamError('the list of images is empty.', 'Building an explorer')
        self.cache, self.subject, self.layers, self.taken = None, None, {}, 0

    # ---- pictures
    def read(self, source, number=0)->Subject:
        "Prepare whatever stands for a picture."
        with doing('Exploring'): return read(self.eye, source, number, self.size)

    def read_all(self)->tuple: # the Subjects, and what is to be said of pictures that cannot be read
        "Prepare all pictures of the list, and leave out of it those that cannot be read, unless that is all."
        subjects, errors = [], []
        for i, s in enumerate(self.sources):
            try: subjects.append((s, self.read(s, i)))
            except CamError as e: errors.append(e)
        if not subjects: raise errors[0]
        self.sources = [s for s, _ in subjects]
        return [subject for _, subject in subjects], errors

    def photo(self, data:bytes, name:str)->tuple: # a Subject, and: is it the photo's middle only?
        "Prepare the bytes of an image file; they stay in memory."
        if len(data) > MAX_UPLOAD:
            raise CamError(f'it has {len(data) / 2**20:.1f} MB, and at most {MAX_UPLOAD >> 20} MB are taken. '
                           'Save a smaller copy.', f'Opening {name!r}')
        file = io.BytesIO(data)
        file.name = name
        photo = open_image(file)
        return self.read(photo)._replace(title=name, code=repr(name)), self.eye.cuts(photo.size)

    @doing('Exploring')
    def take(self, subject:Subject):
        "Go on with another picture: one forward pass; what was kept for the old one is freed."
        same = self.subject is not None and self.subject.x.shape == subject.x.shape
        if same: layers, last = self.layers, self.last
        else: layers, last = map_layers(self.net, subject.x), last_layer(self.net, subject.x)
        cache = CamCache(self.net, subject.x, layers)
        scores = scores_of(cache.out)
        if getattr(scores, 'ndim', 0) != 2:
            raise CamError(f'the model gave {describe(cache.out)}, but classes need scores (N,K).')
        if self.cache: self.cache.free()
        self.cache, self.subject, self.layers, self.last = cache, subject, layers, last
        self.results, self.drafts, self.known, self.taken = OrderedDict(), {}, {}, self.taken + 1
        self.scores, self.probabilities = scores, said_probabilities(self.model, scores)[0]
        values, self.how = readable(self.probabilities, scores)
        self.prob = values[0]   # how sure it is of each class, or the scores where there are no probabilities

    # ---- classes
    def ranked(self)->list: # of class numbers
        "The classes, the one it is most sure of first."
        return self.prob.argsort(descending=True).tolist()

    def name(self, k):
        "What class number `k` is called."
        return self.vocab[k] if self.vocab and k < len(self.vocab) else f'class {k}'

    def sure(self, k):
        "A class's probability, or its score where there is none, in words."
        return f'{self.prob[k].item():{self.how}}'

    def number(self, name):
        "The number of a class given by name, by a part that only one name has, or by number."
        names, typed = [self.name(k) for k in range(len(self.prob))], str(name).strip().lower()
        if name in names: return names.index(name)
        if isinstance(name, int) and 0 <= name < len(names): return name
        within = [k for k, n in enumerate(names) if typed in n.lower() and not isinstance(name, int)]
        same = [k for k in within if names[k].lower() == typed]
        for found in (same, within):
            if len(found) == 1: return found[0]
        like = [names[k] for k in within] or names
        raise CamError(f'there is no {name!r}. {nearest(name, like)}', 'Choosing a class')

    # ---- maps
    def key(self, method, class_, layer):
        "What a map depends on; the layer does not count for a method of the network as a whole."
        return method, class_, None if METHODS[method].needs == 'network' else layer

    def missing(self, keys)->list:
        "Those of `keys` whose maps take long and are not known yet."
        return [k for k in map(lambda k: self.key(*k), keys) if METHODS[k[0]].passes > DEAR and k not in self.results]

    def raw(self, method, class_:int, layer)->Tensor: # (1,h,w) at the layer, or (1,H,W)
        "The map of one class, not scaled; of pixels the largest absolute value over colours."
        if METHODS[method].needs in FORMULAS: return by_formula(METHODS[method], *self.cache.get(layer, class_))
        key = self.key(method, class_, layer)
        if key not in self.results: self.results[key] = self.compute(*key)
        self.results.move_to_end(key)
        if len(self.results) > 64 + len(self.layers): self.results.popitem(last=False)
        return self.results[key]

    def forget(self):
        "Let go of all maps and truths, which were made with a function that has been exchanged."
        for kept in (self.results, self.drafts, self.known): kept.clear()

    def compute(self, method, class_, layer, **how):
        "Run a method of the table on this picture; `how` it is run, if not as usual."
        row = METHODS[method]
        with doing(f'{row.title} at {layer!r}' if layer else row.title):
            raw = apply(row, self.net, self.subject.x, layer, class_, **how).raw
        return raw if row.kind == 'map' else raw.abs().amax(1)

    def places(self, layer)->Places:
        "The class that each place speaks for, among the likeliest eight: all their maps on one scale."
        classes = self.ranked()[:MOST]
        maps = torch.cat([(A * g).sum(1) for A, g in (self.cache.get(layer, k) for k in classes)]).float()
        maps = upsample(maps, self.subject.image.shape[-2:])
        return Places(classes, maps, parts_by_class(maps[:, None])[0])

    def draft(self, method, class_:int, layer)->Tensor: # (1,h,w)
        "The rough map of one class, or the map itself where it is known; None if neither is."
        key = self.key(method, class_, layer)
        return self.results.get(key, self.drafts.get(key))

    def shown(self, view:View, draft=False)->list: # of Shown; none if a rough map is asked for that is not there yet
        "The maps that are to be seen: one, two, or a difference."
        maps = [(self.draft if draft else self.raw)(view.method, k, view.layer) for k in view.classes]
        if any(m is None for m in maps): return []
        if view.signed: return [Shown(maps[0] - maps[1], view.classes)]
        return [Shown(m, (k,)) for m, k in zip(maps, view.classes)]

    # ---- drawing
    def top(self, m, view):
        "The raw value drawn brightest: the one held, or what 1 in 200 pixels exceeds; None for a map's own largest."
        if view.held or METHODS[view.method].kind == 'map': return view.held
        return m.abs().float().flatten().quantile(.995).item() or None   # a few pixels outshine all others

    def picture(self, m:Tensor, view:View)->Tensor: # a raw map (1,h,w) -> (1,3,S,S) from 0 to 1
        "The map over the picture, or alone, with the outline."
        ground, top = self.subject.image.to(m.device), self.top(m, view)
        cmap = None if view.signed else view.cmap   # a difference has colours of its own
        if view.ground == 'alone':
            img = colorize(normalize(upsample(m.float(), ground.shape[-2:]), view.signed, top), cmap, view.signed)
        else: img = overlay(ground, m.float(), view.opacity, cmap, view.signed, top)
        return outlined(img, self.part(view.outline, m)[1]) if view.outline else img

    def jpeg(self, m, view)->bytes:
        "The same as a file."
        with one_thread(): return to_jpeg(self.picture(m, view), 92)

    def painted(self, places:Places)->bytes: # a JPEG
        "The picture in grey, each place in the colour of its class."
        grey = self.subject.image.mean(1, keepdim=True).to(places.maps.device).expand(-1, 3, -1, -1)
        colours = torch.tensor(PALETTE, device=grey.device).T[:, places.parts.clamp(min=0)][None] / 255
        with one_thread(): return to_jpeg(torch.where(places.parts < 0, grey, .45 * grey + .55 * colours), 92)

    def tile(self, view:View, title, size=192)->tuple: # (JPEG, title), or (None, the reason why there is none)
        "One cell of a sheet: a small picture of one map."
        try: m = self.raw(view.method, view.class_, view.layer)
        except CamError as e: return None, f'{title}: {e}'
        ground, top = enlarged(self.subject.image, size).to(m.device), self.top(m, view._replace(held=None))
        return to_jpeg(overlay(ground, m.float(), view.opacity, view.cmap, vmax=top), 88), title

    def scale(self, m, view)->Scale:
        "Which raw values stand at the ends of the colours of a map."
        return scale_of(upsample(m.float(), self.subject.image.shape[-2:]), view.signed, self.top(m, view))

    def brightest(self, view)->float:
        "The largest raw value of the maps that are to be seen; None if they are empty."
        def top(m): return self.top(m, view) or upsample(m.abs().float(), self.subject.image.shape[-2:]).max().item()
        return max(top(s.raw) for s in self.shown(view._replace(held=None))) or None

    # ---- in words
    def layer_label(self, layer): return f"{layer} · {sizes(self.layers[layer][1:])}"

    def layer_name(self, layer):
        "A layer in a sentence."
        return layer if layer.startswith('layer') else f'layer {layer}'

    def caption(self, shown:Shown, view:View, draft=False)->str: # HTML
        "What is shown, and the scale of its colours."
        row, m = METHODS[view.method], shown.raw
        where = '' if row.needs == 'network' else f' at {self.layer_name(view.layer)} ({sizes(m.shape[1:])})'
        label = html.class_label([(self.name(k), self.sure(k)) for k in shown.classes])
        scale = self.scale(m, view) if view.signed or m.max() > 0 else None
        title = row.title + ', preview' * draft
        return html.caption(title, label, where, scale, m, colours('RdBu_r' if view.signed else view.cmap))

    def heading(self, view:View, what)->str: # HTML
        "Above a sheet of maps."
        return html.emphasised('Picture ', self.subject.title, ', class ', self.name(view.class_), f', {what}')

    def places_title(self, layer)->str: # HTML
        "Above the picture class by class."
        n = len(self.prob)
        which = 'all classes' if n <= MOST else f'the {MOST} classes it is most sure of'
        what = f', {which}, at {self.layer_name(layer)}: what each place adds to their scores'
        return html.emphasised('Picture ', self.subject.title, what)

    def key_of(self, places:Places)->str: # HTML
        "Colour, name and share of the picture of each class that some place speaks for."
        shares = [(places.parts == i).float().mean().item() for i in range(-1, len(places.classes))]
        named = zip(PALETTE, map(self.name, places.classes), shares[1:])
        return html.key([row for row in named if row[2]] + [(None, 'no class', shares[0])])

    def said_at(self, places:Places, x, y)->str: # HTML
        "In words, which class a place speaks for, and what it adds to the likeliest others."
        values, k = places.at(x, y)
        ranked = [(self.name(places.classes[i]), f'{values[i]:+.2g}') for i in values.argsort(descending=True)[:3]]
        return html.place(None if k < 0 else self.name(places.classes[k]), ranked)

    # ---- truth
    def part(self, part, m):
        "What is known of a part, for maps of the size of `m`: mask, outline, share, energy of the mask on that grid."
        key = part, tuple(m.shape[-2:])
        if key not in self.known:
            mask = self.eye.mask(self.subject.masks[part])
            lines, share = ring(mask, self.subject.image.shape[-2:]), mask.float().mean().item()
            self.known[key] = mask, lines, share, grid_energy(mask, m.shape[-2:]).item()
        return self.known[key]

    def truth(self, m, part)->Truth:
        "The map against a part: energy and peak, beside the uniform map and the mask on this grid."
        mask, _, uniform, grid = self.part(part, m)
        big = upsample(m.float(), mask.shape[-2:])
        inside = bool(peak_inside(big, mask)) if big.max() > 0 else None
        return Truth(part, energy(big, mask).item(), uniform, grid, inside)

    # ---- to take away
    def line(self, view:View)->str:
        "The Python that makes the maps to be seen."
        row, known = METHODS[view.method], vocab_of(self.model)
        layer = '' if row.needs == 'network' else f', layer={view.layer!r}'
        more = '' if self.eye.transform is None else ', transform=transform'
        def call(k):
            target = self.vocab[k] if known else k
            args = f'{self.code}, {self.subject.code}, {view.method!r}{layer}, target={target!r}{more}'
            return f"explain({args}).{'raw' if row.kind == 'map' else 'map'}"
        return {'one': ', ', 'two': ', ', 'difference': ' - '}[view.compare].join(map(call, view.classes))

    def explanation(self, view:View)->Explanation:
        "The first map to be seen as an `Explanation`, which can draw and save itself."
        x, raw = self.subject.x, self.raw(view.method, view.class_, view.layer)
        layer = self.key(view.method, 0, view.layer)[2]
        return Explanation(self.eye.shown(x), self.cache.out, raw, upsample(raw.float(), x.shape[-2:]),
                           torch.tensor([view.class_], device=raw.device), layer, view.method, self.vocab,
                           prob=self.probabilities)

    def numbers(self, view:View)->str:
        "The map as a table of comma-separated values, with what it is above."
        m, k = self.raw(view.method, view.class_, view.layer), view.class_
        sure = '' if self.probabilities is None else f'probability {self.probabilities[0, k]:.6f}, '
        lines = [f'# picture: {self.subject.title}', f'# class: {self.name(k)}, {sure}score {self.scores[0, k]:.6f}',
                 f'# method: {view.method}, layer: {view.layer}', f'# python: {self.line(view)}']
        return '\n'.join(lines + [','.join(f'{v:.6g}' for v in row) for row in m[0].tolist()]) + '\n'

    def files(self, view:View)->list: # (file name, bytes, mime, what it is) of each
        "What can be saved: the picture, the figure and the numbers."
        stem = '-'.join([self.subject.title.split('.')[0], view.method, self.name(view.class_)]).replace(' ', '_')
        pictures = torch.cat([self.picture(s.raw, view) for s in self.shown(view)], 3)
        return [(f'{stem}.png', to_png(pictures), 'image/png', 'Picture'),
                (f'{stem}-figure.png', self.explanation(view)._repr_png_(), 'image/png', 'Figure'),
                (f'{stem}.csv', self.numbers(view).encode(), 'text/csv', 'Numbers')]
