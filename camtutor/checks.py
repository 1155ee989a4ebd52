"The known causes of bad maps, each as an experiment on one network and one picture."
from functools import cached_property
from math import ceil, exp
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor, nn

from camtutor.engine.ask import scores
from camtutor.engine.covers import ground_of
from camtutor.engine.forward import PIXELS, Forward, key_of, layer_name, without_graph
from camtutor.engine.inputs import (as_list, batch_of, is_batch, is_learner, knows_pictures, network, normaliser_of,
                                    probabilities, steps_of, vocab_of)
from camtutor.engine.layers import last_layer, map_layers
from camtutor.engine.targets import by_number, class_numbers, class_score, score_matrix, scores_of
from camtutor.errors import CamError
from camtutor.explanation import Explanation, explain
from camtutor.hooks import get_layer
from camtutor.images import picture
from camtutor.methods import METHODS, method_name
from camtutor.networks import picture_transform
from camtutor.protocols import cascade, order_of, spearman

# ---- what a check finds

WELL, NOTE, CAUSE, UNKNOWN = 'well', 'note', 'cause', 'not known'

class Finding(NamedTuple):
    "What one check has seen."
    verdict:str  # 'well'; 'cause' of a bad map; 'note': this map is safe, others may not be; 'not known'
    saw:str      # what came out of the experiment
    do:str=''    # what mends it, in words
    write:str='' # the line that does; `model` and `image` are those that were given

def well(saw): return Finding(WELL, saw)

def unknown(saw): return Finding(UNKNOWN, saw)

# ---- the case

DEFAULT = 'grad_cam' # the method, as of `explain`

class Case:
    "A network, a picture and a question, and what several checks want to know of them."
    def __init__(self, model, image, target=None, method=DEFAULT, layer=None, transform=None, vocab=None,
                 activation=None, layout=None):
        self.model, self.net, self.image, self.transform = model, network(model), image, transform
        self.method, self.layout, self.activation, self.asked = method_name(method), layout, activation, target
        self.vocab, self.given = vocab_of(model, vocab), layer
        self.prepared = is_batch(image) or all(map(is_batch, as_list(image)))
        self.knows = self.prepared or knows_pictures(model, transform)
        self.all = self.batch(image)
        if not isinstance(self.all, Tensor) or self.all.ndim != 4 or not self.all.is_floating_point():
            raise CamError("the doctor knows networks that read pictures (N,C,H,W). For texts, signals, volumes and "
                           "networks of several inputs use explain.")
        self.x = self.all[:1]
        if layer is not None: key_of(self.net, layer) # is there such a layer?

    def batch(self, image):
        "The picture as the network takes it; by ImageNet's mean and std where nothing else is known."
        if self.knows: return batch_of(self.model, image, self.transform)
        return batch_of(self.model, image, picture_transform(224, *NORMALS['ImageNet']))

    @cached_property
    def pictures(self)->list: # of PIL images; none if tensors were given
        "What was given, as pictures."
        return [] if self.prepared else [picture(i) for i in as_list(self.image)]

    @cached_property
    def out(self): return scores(self.net, self.x)

    @cached_property
    def ending(self): return ending_of(self)

    @cached_property
    def top(self)->int: return score_matrix(self.out)[0].argmax().item()

    @cached_property
    def number(self): # None if the target is a function
        "The class that is asked for."
        if callable(self.asked): return None
        if self.asked is None: return self.top
        asked = by_number(self.asked, self.vocab)
        if isinstance(asked, (list, tuple, Tensor)): asked = asked[0]
        return class_numbers(asked, 1, score_matrix(self.out).shape[1], self.vocab)[0]

    def rival(self, k)->int:
        "The other class with the highest score."
        return next(i for i in score_matrix(self.out)[0].argsort(descending=True).tolist() if i != k)

    def target_for(self, k):
        "A score for class `k` that can be explained: before the softmax or sigmoid that the network ends in."
        kind = self.ending.kind
        if not kind: return k
        rival = self.rival(k)
        if kind == 'Sigmoid': return lambda out: scores_of(out)[:, k].logit(1e-7)
        if kind == 'LogSoftmax': return lambda out: scores_of(out)[:, k] - scores_of(out)[:, rival]
        return lambda out: (scores_of(out)[:, k].clamp(1e-30) / scores_of(out)[:, rival].clamp(1e-30)).log()

    @property
    def target(self): return self.asked if self.number is None else self.target_for(self.number)

    def scores(self, xs)->Tensor: # (M,)
        "The score that is explained, of any pictures."
        target = self.target
        def some(x):
            with without_graph(self.net): return class_score(self.net(x), target, len(x), self.vocab)
        return torch.cat([some(x) for x in xs.split(16)])

    def likely(self, xs)->Tensor: # (M,K)
        "The probabilities of all classes."
        out = scores(self.net, xs, 16)
        if self.ending.kind: return out.exp() if self.ending.kind == 'LogSoftmax' else out
        p = probabilities(self.model, out, self.activation)
        if p is None: raise CamError("the network gives no probabilities of classes.")
        return p

    @cached_property
    def has_probabilities(self)->bool:
        return bool(self.ending.kind) or probabilities(self.model, self.out, self.activation) is not None

    @cached_property
    def needs(self)->str: return METHODS[self.method].needs

    @cached_property
    def layer(self):
        "The layer that is looked at: the one that was given if it can be drawn, or the default one."
        if self.given is None: return last_layer(self.net, self.x)
        name = layer_name(self.net, self.given)
        return last_layer(self.net, self.x) if layer_trouble(self) else name

    def explain(self, target=None, net=None, **other)->Explanation:
        "A map of the first picture, by the method and at the layer that were asked for, if nothing else is said."
        where = dict(layer=None if self.needs == 'network' else self.layer, layout=self.layout)
        how = dict(method=self.method, target=self.target if target is None else target) | where | other
        return explain(net or self.net, self.x, **how)

    @cached_property
    def explanation(self)->Explanation: return self.explain()

    @cached_property
    def map(self)->Tensor: return flat(self.explanation) # (1,h,w)

    @cached_property
    def untrained(self)->str: return signs_of_no_training(self)

    def check_trained(self):
        if self.untrained: raise CamError("this says nothing of a network that seems untrained.")

    def check_map(self):
        "`CamError` where the map is empty: nothing can be compared with it."
        if not (self.map.max() > 0): raise CamError("the map is empty, so there is nothing to compare.")

    def line(self, **more)->str:
        "The line that asks again, with something changed."
        said = dict(target=self.asked if not callable(self.asked) else None, layer=self.given and self.name_given,
                    method=None if self.method == DEFAULT else self.method) | more
        own = ', transform=transform' * (self.transform is not None)
        return f"explain(model, image{''.join(f', {k}={v!r}' for k, v in said.items() if v is not None)}{own})"

    @property
    def name_given(self): return layer_name(self.net, self.given)

    def named(self, k)->str: return repr(self.vocab[k]) if self.vocab and k < len(self.vocab) else f'class {k}'

def flat(e): return e.raw if METHODS[e.method].kind == 'map' else e.raw.abs().amax(1)

def percent(v): return f'{100 * v:.0f} %' if .01 <= v < .995 or v in (0, 1) else f'{100 * v:.3g} %'

def size_of(s): return '×'.join(str(v) for v in s)

# ---- numbers

def finite(c):
    "Is every number a number?"
    places = dict(picture=[c.all], weights=list(c.net.parameters()), buffers=list(c.net.buffers()), scores=[c.out])
    bad = [name for name, ts in places.items()
           if not all(t.isfinite().all() for t in ts if isinstance(t, Tensor) and t.is_floating_point())]
    if not bad: return well("all are finite")
    line = 'image = image.nan_to_num(0)' if 'picture' in bad and c.prepared else ''
    return Finding(CAUSE, f"there are NaN or infinite values in the {', the '.join(bad)}",
                   "Clean the picture" if line else "Load weights from before the loss became NaN", line)

# ---- mode

def training_mode(c):
    "Does the network predict in training mode, and differently?"
    on = [m for m in c.net.modules() if m.training]
    if not on: return well("the whole network is in evaluation mode")
    if is_learner(c.model): return well("it is in training mode now, which fastai's own predictions switch off")
    calm = scores(c.net, torch.cat([c.x, c.x.flip(-1)]))
    far = ((as_it_is(c.net, c.x) - calm).abs().max() / calm.abs().max().clamp(min=1e-12)).item()
    if far < 1e-3: return well(f"{len(on)} modules are in training mode, which changes nothing here")
    return Finding(CAUSE, f"{len(on)} modules are in training mode, and scores differ by up to {percent(far)} "
                   "of the largest. The map is of the network in evaluation mode, your own predictions are not",
                   "Switch to evaluation mode before you predict", 'model.eval()')

def as_it_is(net, x):
    "Scores in the mode that the network is in, of a picture and its mirror image; its buffers are spared."
    held = {n: b.clone() for n, b in net.named_buffers()}
    with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng([x.device] if x.is_cuda else []):
        torch.manual_seed(0)
        return scores_of(torch.func.functional_call(net, held, (torch.cat([x, x.flip(-1)]),)))

# ---- the end of the network

class Ending(NamedTuple):
    "What the network ends in."
    kind:str    # 'Softmax', 'LogSoftmax', 'Sigmoid', or ''
    module:str  # the name of the module that does it; '' if it is a function

ENDINGS = nn.Softmax, nn.LogSoftmax, nn.Sigmoid

def ending_of(c)->Ending:
    "By the graph of the scores; where there is none, by the scores themselves."
    seen, handles = [], []
    def note(name): return lambda m, args, out: seen.append((name, out.detach().clone()))
    try:
        handles += [m.register_forward_hook(note(n)) for n, m in c.net.named_modules() if isinstance(m, ENDINGS) and n]
        out = scores_of(Forward(c.net, c.x, [PIXELS]).scores)
    finally:
        for h in handles: h.remove()
    kind = last_function(out) if isinstance(out, Tensor) and out.ndim == 2 else ''
    return Ending(kind, next((n for n, o in reversed(seen) if o.shape == out.shape and torch.equal(o, out)), ''))

COPIES = 'ToCopy', 'View', 'Squeeze', 'Unsqueeze', 'Clone', 'Alias', 'Slice', 'Reshape', 'Flatten'

def last_function(out)->str:
    "'Softmax', 'LogSoftmax' or 'Sigmoid' if that is the last thing that made `out`; '' otherwise."
    node = out.grad_fn
    while node is not None and node.name().startswith(COPIES) and node.next_functions: node = node.next_functions[0][0]
    name = '' if node is None else node.name()
    found = next((k for k in ('LogSoftmax', 'Softmax', 'Sigmoid') if name.startswith(k)), '')
    sums_to_one = out.shape[1] > 1 and (out >= 0).all() and (out.sum(1) - 1).abs().max() < 1e-4
    return found or ('Softmax' if sums_to_one else '')

def probabilities_at_the_end(c):
    "Does it give probabilities where scores are wanted?"
    kind, module = c.ending
    if not kind: return well("it gives scores, as it should")
    k = c.number
    if k is None: return Finding(CAUSE, f"it ends in a {kind}", "Explain what comes before it")
    p, before = gradient_size(c, lambda out: scores_of(out)[:, k]), gradient_size(c, c.target)
    return Finding(CAUSE, f"it ends in a {kind}. The gradient of {c.named(k)} at {c.layer!r} has the size {p:.2g}; of "
                   f"what is behind that number, {before:.2g}",
                   "Take it off the network" if module else "Undo it in the target", without_ending(c))

def without_ending(c)->str:
    "The line that explains what comes before the softmax or sigmoid."
    (kind, module), k = c.ending, c.number
    if module:
        line = f"model.set_submodule({module!r}, torch.nn.Identity())"
        return line + '; model.activation = torch.sigmoid' * (kind == 'Sigmoid')
    undone = dict(Sigmoid=f'out[:, {k}].logit()', LogSoftmax=f'out[:, {k}] - out[:, {c.rival(k)}]',
                  Softmax=f'(out[:, {k}] / out[:, {c.rival(k)}]).log()')[kind]
    return f"{c.line(target=None)[:-1]}, target=lambda out: {undone})"

def gradient_size(c, target):
    "The largest gradient of a score at the layer."
    g, = next(Forward(c.net, c.x, [c.layer]).grads(target))
    return 0. if g is None else g.abs().max().item()

# ---- training

def signs_of_no_training(c)->str: # '' if there are none
    "What a network says that has learned nothing: of anything the same."
    norms = [m for m in c.net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    fresh = [m for m in norms if m.running_mean is not None and not m.running_mean.any() and m.running_var.eq(1).all()]
    if norms and len(fresh) > len(norms) / 2:
        return f"{len(fresh)} of {len(norms)} batch norms have never seen a picture"
    if not c.has_probabilities: return ''
    p = c.likely(torch.cat([c.x, *unlike(c.x)]))
    far = (p[1:] - p[:1]).abs().max()
    if far >= .05: return ''
    return f"noise, grey, its negative and its own pieces change no class's probability by more than {far:.2g}"

def unlike(x)->list:
    "Pictures that are something else: its negative, noise, grey, its own pieces in another order."
    g = torch.Generator().manual_seed(0)
    noise = torch.randn(x.shape, generator=g).to(x) * x.std() + x.mean()
    return [2 * x.mean() - x, noise, torch.zeros_like(x) + x.mean(), in_pieces(x)]

def in_pieces(x, n=4):
    "A picture cut into n × n pieces, put together in another order."
    h, w = (s // n for s in x.shape[2:])
    pieces = [x[..., i * h:(i + 1) * h, j * w:(j + 1) * w] for i in range(n) for j in range(n)]
    pieces = [pieces[(5 * i + 3) % len(pieces)] for i in range(len(pieces))]
    return F.interpolate(torch.cat([torch.cat(pieces[i * n:(i + 1) * n], 3) for i in range(n)], 2), x.shape[2:])

def trained(c):
    "Has it learned anything?"
    if not c.untrained and not c.has_probabilities: return unknown("it gives no probabilities that could be compared")
    if not c.untrained: return well("it says different things of different pictures")
    return Finding(CAUSE, c.untrained, "Load trained weights; with strict=False look at what it returns",
                   "model.load_state_dict(torch.load('weights.pth', weights_only=True))")

def names(c):
    "Is there a name for each class?"
    if not c.vocab: return well("it has no names of classes, so none can be wrong")
    k = score_matrix(c.out).shape[1]
    if k == len(c.vocab): return well(f"{k} names for {k} scores")
    return Finding(CAUSE, f"{len(c.vocab)} names for {k} scores: names may be shifted against the scores",
                   "Give the list in the order of the network's training", f'{c.line()[:-1]}, vocab=names[:{k}])')

# ---- how pictures are prepared

NORMALS = {'ImageNet': ((.485, .456, .406), (.229, .224, .225)), '-1 to 1': ((.5,) * 3, (.5,) * 3),
           '0 to 1': ((0., 0., 0.), (1., 1., 1.)), '0 to 255': ((0., 0., 0.), (1 / 255,) * 3)}
OFF = 4. # by e to this the first batch norm may see another variance than in training, and no more
SURE = .6 # so much more probable than for noise the answer must be in another preparation, at least
MARGIN = .25 # and by so much more than as it is, for one picture
SWAPPED, SEVERAL = 'red and blue exchanged', 4 # so many pictures it takes to tell
LITTLE = .04 # for several, by so much and by three standard errors

def across(v, x): return torch.as_tensor(v, dtype=x.dtype, device=x.device)[:, None, None]

def own_normal(c):
    "The mean and std by which pictures come to the network, as far as can be known; None where it cannot."
    if not c.knows: return NORMALS['ImageNet']
    low, high = c.all.min().item(), c.all.max().item()
    if c.prepared and low >= 0: return NORMALS['0 to 1'] if high <= 1 else NORMALS['0 to 255'] if high <= 255 else None
    found = next((s for s in steps_of(normaliser_of(c.model, c.transform)) if hasattr(s, 'mean') and hasattr(s, 'std')),
                 None)
    if found is not None: return tuple(tuple(torch.as_tensor(v).flatten().tolist()) for v in (found.mean, found.std))
    if max(high, -low) <= 1: return NORMALS['-1 to 1']
    return NORMALS['ImageNet'] if -2.2 < low and high < 2.7 else None

def preparations(pixels, own)->dict: # name -> the batch
    "The pictures as the network gets them, and as they would be by each of the usual preparations."
    def made(p, normal): return (p - across(normal[0], p)) / across(normal[1], p)
    return {'as it is': made(pixels, own), SWAPPED: made(pixels.flip(1), own),
            **{name: made(pixels, normal) for name, normal in NORMALS.items() if not same(normal, own)}}

def same(a, b)->bool:
    "Are they as good as equal, as CLIP's and ImageNet's are?"
    return all(abs(p - q) < .25 * max(t, u) for m, n in zip(a, b) for p, q, t, u in zip(m, n, a[1], b[1]))

def seen_otherwise(p)->list:
    "The same pictures mirrored, from nearer, shifted."
    h, w = p.shape[2:]
    near = F.interpolate(p[..., h // 16:h - h // 16, w // 16:w - w // 16], (h, w), mode='bilinear')
    return [p, p.flip(-1), near, p.roll(w // 32, -1)]

def steady(c, x)->Tensor: # (N,)
    "By how much more probable the answer is in four views of each picture than for noise and grey."
    p = torch.stack([c.likely(v) for v in seen_otherwise(x)]).mean(0)
    answer = p.argmax(1, keepdim=True)
    return (p - torch.stack([c.likely(v) for v in unlike(x)[1:3]]).mean(0)).gather(1, answer)[:, 0]

def clearly(better, worse)->bool: # (N,) each
    "Is it more than chance, for these pictures?"
    far = better - worse
    needed = MARGIN if len(far) == 1 else max(LITTLE, 3 * (far.std() / len(far)**.5).item())
    return bool(better.mean() > SURE and far.mean() > needed)

def off(c, x)->float:
    "How many times, as a power of e, the first batch norm sees another variance than it was trained with; 0 without."
    norms = (m for m in c.net.modules() if isinstance(m, nn.BatchNorm2d) and m.running_var is not None)
    seen, me = [], next(norms, None)
    if me is None: return 0.
    def note(m, args): seen.append((args[0].var((0, 2, 3)) / (m.running_var + m.eps)).median().log().item())
    handle = me.register_forward_pre_hook(note)
    try: scores(c.net, x, len(x))
    finally: handle.remove()
    return seen[0] if seen else 0.

def normalisation(c):
    "Does another of the usual preparations give a more probable and more stable answer?"
    own = own_normal(c)
    if c.x.shape[1] != 3 or own is None: return unknown("the mean and std of these pictures cannot be known")
    c.check_trained()
    ways = preparations(c.all * across(own[1], c.all) + across(own[0], c.all), own)
    has_norm = any(isinstance(m, nn.BatchNorm2d) for m in c.net.modules())
    far = {n: off(c, x) for n, x in ways.items()}
    sure = {n: steady(c, x) for n, x in ways.items() if has_norm or n != '0 to 255'}
    fits = {n: s.mean().item() for n, s in sure.items() if abs(far[n]) < min(OFF, abs(far['as it is']) + .5)
            and (n != SWAPPED or len(c.all) >= SEVERAL)}
    best = max(fits, key=fits.get, default='as it is')
    table = ', '.join(f'{n} {percent(s.mean().item())}' for n, s in sure.items())
    if abs(far['as it is']) >= OFF and fits:
        return mended(c, own, best, f"its first batch norm sees {exp(far['as it is']):.2g} times the variance that it "
                      f"was trained with; prepared as for {best}, {exp(far[best]):.2g} times")
    if clearly(sure[best], sure['as it is']):
        return mended(c, own, best, f"how much more probable its answer is than for noise: {table}")
    if not c.knows: return mended(c, own, best if best != SWAPPED else 'as it is',
                                  "how this network wants its pictures is written nowhere. How much more probable "
                                  f"its answer is than for noise, 'as it is' with ImageNet's mean and std: {table}")
    return well(f"no other way is clearly better. How much more probable its answer is than for noise: {table}")

def mended(c, own, best, saw):
    "The cause, and the line that prepares pictures in the better way."
    normal = NORMALS.get(best, own)
    swapped = best == SWAPPED
    say = "Exchange red and blue" if swapped else f"Prepare pictures as for {best if best in NORMALS else 'ImageNet'}"
    if not c.prepared: say += ", and give that as transform="
    if c.prepared: line = of_tensor(own, normal, swapped)
    elif swapped: line = f"prepare = {owner(c)}; transform = lambda image: prepare(image).flip(-3)"
    else: line = prepared_by(c, normal)
    return Finding(CAUSE, saw, say, line)

def owner(c)->str: return 'model.transform' if c.transform is None else 'transform'

def prepared_by(c, normal)->str:
    "The line that prepares pictures of the size that they have now."
    return (f"from camtutor.networks import picture_transform; transform = picture_transform({c.x.shape[2]}, "
            f"{normal[0]}, {normal[1]})")

def of_tensor(own, normal, swapped):
    "The line that changes the preparation of a batch."
    if swapped: return 'image = image.flip(1)'
    shift = [round((b - a) / s, 4) for a, s, b in zip(*own, normal[0])]
    scale = [round(t / s, 4) for s, t in zip(own[1], normal[1])]
    return f"image = (image - torch.tensor({shift})[:, None, None]) / torch.tensor({scale})[:, None, None]"

# ---- the picture

STRIPS, REGIONS = 24, 6 # how many strips, and regions a side, the picture is tried in

def shown(c, im): return c.batch(im)[:1]

def same_again(c):
    "Does the transform give the same picture twice?"
    if not c.pictures: return unknown("a tensor was given, so the transform was not seen")
    a, b = shown(c, c.pictures[0]), shown(c, c.pictures[0])
    if a.shape == b.shape and torch.equal(a, b): return well("the transform gives the same picture twice")
    return Finding(CAUSE, "the transform gives another picture each time: it is one for training",
                   "Give the transform for validation as transform=; for torchvision's weights, weights.transforms()",
                   prepared_by(c, own_normal(c) or NORMALS['ImageNet']))

def strip(im, axis, i):
    "A grey picture of this size with one white strip."
    size, other = im.size[axis], im.size[1 - axis]
    a, b = (size * k // STRIPS for k in (i, i + 1))
    box = (a, 0, b, other) if axis == 0 else (0, a, other, b)
    new = Image.new('RGB', im.size, (90, 90, 90))
    new.paste((255, 255, 255), box)
    return new

def cut(c, axis)->tuple: # how many of STRIPS are missing at either end
    "How much of the picture the transform cuts away."
    im = c.pictures[0]
    plain, white = (shown(c, Image.new('RGB', im.size, colour)) for colour in ((90, 90, 90), (255, 255, 255)))
    def seen(i): return bool((shown(c, strip(im, axis, i)) - plain).abs().max() > (white - plain).abs().max() / 2)
    def missing(order): return next((n for n, i in enumerate(order) if seen(i)), STRIPS)
    return missing(range(STRIPS)), missing(range(STRIPS - 1, -1, -1))

def whole_picture(c):
    "Is enough of the picture left, and is it large enough?"
    if not c.pictures: return unknown("a tensor was given, so what became of the picture was not seen")
    im, side = c.pictures[0], min(c.x.shape[2:])
    if 2 * min(im.size) < side:
        return Finding(CAUSE, f"the picture has {size_of(im.size)} pixels, enlarged to {size_of(c.x.shape[:1:-1])}",
                       "Give the original, larger picture: the network was hardly trained on such blur")
    same = shown(c, im), shown(c, im)
    if same[0].shape != same[1].shape or not torch.equal(*same): return unknown("the transform is another each time")
    (left, right), (top, bottom) = cut(c, 0), cut(c, 1)
    share = max(0, STRIPS - left - right) * max(0, STRIPS - top - bottom) / STRIPS**2
    return cropped(c, share)

def cropped(c, share):
    "A finding about a picture of which the network sees a share."
    im = c.pictures[0]
    wide = ceil(max(im.size) * 8 / 7)
    border = tuple((wide - s + 1) // 2 for s in im.size)
    before, after = (c.likely(shown(c, i))[0, c.number].item() if c.number is not None else 0
                     for i in (im, ImageOps.expand(im, border, (124, 116, 104))))
    saw = f"the network sees about {percent(share)} of it"
    if c.number is not None: saw += (f"; {c.named(c.number)} has {percent(before)} there, "
                                     f"and {percent(after)} in the whole picture with a border")
    if share >= .4 and not (after >= .3 and after >= 3 * before): return well(saw)
    return Finding(CAUSE, saw, "Put a border round it, so that the whole is seen; or crop it yourself",
                   f"import PIL.ImageOps; from camtutor.images import picture; "
                   f"image = PIL.ImageOps.expand(picture(image), {border}, (124, 116, 104))")

def blind_spots(c):
    "Is there a region that changes nothing?"
    n, (h, w) = REGIONS, c.x.shape[2:]
    if min(h, w) < 2 * n: return unknown(f"the picture of {size_of((w, h))} is too small for {n}×{n} regions")
    c.check_trained()
    boxes = [(h * i // n, h * (i + 1) // n, w * j // n, w * (j + 1) // n) for i in range(n) for j in range(n)]
    plain = everything(c, c.x)
    blind = [b for b, moved in zip(boxes, changes(c, boxes, plain, 0)) if not moved]
    if blind: blind = [b for b, moved in zip(blind, changes(c, blind, plain, 1)) if not moved]
    if not blind: return well(f"each of {n}×{n} regions changes the scores")
    t, b, l, r = (f(x[i] for x in blind) for f, i in ((min, 0), (max, 1), (min, 2), (max, 3)))
    return Finding(CAUSE, f"{len(blind)} of {n}×{n} regions change no score, whatever is in them; they lie in rows {t} "
                   f"to {b} and columns {l} to {r}. A map can be bright there all the same",
                   "Look for a crop or a mask in its forward; do not trust the map there",
                   f"e = {c.line()}; e.map[..., {t}:{b}, {l}:{r}] = 0")

def everything(c, xs)->Tensor: # (M,…)
    "All that the network gives; of probabilities the logarithms, since a sure network's hardly change."
    out = scores(c.net, xs, 16).flatten(1)
    return out.clamp(1e-30).log() if c.ending.kind in ('Softmax', 'Sigmoid') else out

def changes(c, boxes, plain, seed)->list: # of bool
    "Does noise in each box change any score?"
    noise = torch.randn(c.x.shape, generator=torch.Generator().manual_seed(seed)).to(c.x) * 2 * c.x.std() + c.x.mean()
    def with_noise(b):
        x = c.x.clone()
        x[..., b[0]:b[1], b[2]:b[3]] = noise[..., b[0]:b[1], b[2]:b[3]]
        return x
    far = torch.cat([(everything(c, torch.cat([with_noise(b) for b in boxes[i:i + 16]])) - plain).abs().amax(1)
                     for i in range(0, len(boxes), 16)])
    return (far > 1e-5 * plain.abs().max()).tolist()

# ---- the layer

def layer_trouble(c)->str: # '' if there is none
    "Why nothing can be drawn at the layer that was given."
    if c.given is None or c.layout: return ''
    try: A = Forward(c.net, c.x, [c.given]).at(layer_name(c.net, c.given))
    except CamError as e: return e.reason
    return 'it has one place' if A[0, 0].numel() == 1 else token_trouble(c)

def token_trouble(c)->str:
    "Is it only the class token of a layer that is read behind it?"
    try: next(Forward(c.net, c.x, [c.given]).back(c.target))
    except CamError as e: return e.reason if 'class token' in e.reason else ''
    return ''

def places(c):
    "Has the layer places?"
    if c.needs == 'network': return well(f"{METHODS[c.method].title} looks at no layer")
    trouble = layer_trouble(c)
    if trouble and 'class token' not in trouble:
        return Finding(CAUSE, f"nothing can be drawn at {c.name_given!r}: {trouble.rstrip('.')}",
                       "Look before the pooling", c.line(layer=c.layer))
    shape = (map_layers(c.net, c.x).get(c.layer) or c.explanation.raw.shape)[1:]
    if shape[0] * shape[-1] > 4: return well(f"the map at {c.layer!r} has {size_of(shape)} places")
    finer = [n for n, s in map_layers(c.net, c.x).items() if min(s[1:]) >= 4]
    return Finding(CAUSE, f"the map at {c.layer!r} has only {size_of(shape)} places, for a picture of "
                   f"{size_of(c.x.shape[2:])}", "Give a larger picture, or look at an earlier layer",
                   c.line(layer=finer[-1]) if finer else '')

def class_token(c):
    "Is there a patch that is read behind the layer?"
    if c.needs == 'network': return well(f"{METHODS[c.method].title} looks at no layer")
    trouble = layer_trouble(c)
    if 'class token' not in trouble: return well("the score depends on the layer's places")
    return Finding(CAUSE, f"at {c.name_given!r} only the class token is read by what follows: no patch has a gradient",
                   "Look before the last attention", c.line(layer=c.layer))

def dead_channels(c):
    "Do the channels ever change?"
    xs = torch.cat([c.x, *unlike(c.x)])
    share = dead_share(Forward(c.net, xs, [c.layer]).at(c.layer))
    if share < .9: return well(f"{percent(1 - share)} of the channels of {c.layer!r} change with place or picture")
    names = list(map_layers(c.net, c.x))
    kept = Forward(c.net, xs, names)
    alive = [n for n in names if dead_share(kept.at(n)) < .5]
    return Finding(CAUSE, f"{percent(share)} of the channels of {c.layer!r} have one value, at all places of five very "
                   "different pictures", "Look at an earlier layer; in training, a lower learning rate helps",
                   c.line(layer=alive[-1]) if alive else '')

def dead_share(A)->float:
    "The share of the channels of A (N,C,*places) that have one value."
    v = A.transpose(0, 1).flatten(1)
    return (v.amax(1) - v.amin(1) <= 1e-6 * v.abs().max()).float().mean().item()

def in_place(c):
    "Does something behind the layer write into what it gave?"
    seen = []
    handle = get_layer(c.net, c.layer).register_forward_hook(lambda m, args, out: seen.append((out, out.clone())))
    try: scores(c.net, c.x)
    finally: handle.remove()
    if all(torch.equal(a, b) for a, b in seen): return well(f"what {c.layer!r} gives stays as it is")
    return Finding(NOTE, f"something behind {c.layer!r} changes its output in place, such as ReLU(inplace=True). This "
                   "map is safe, since a copy is handed on; a plain hook of your own sees the changed one",
                   "In a hook of your own keep a copy", f"model.get_submodule({c.layer!r}).register_forward_hook("
                   "lambda m, args, out: kept.append(out.clone()))")

# ---- the target

def evidence(c):
    "Does anything speak for the target?"
    m = c.map
    if m.max() > 0: return weak(c)
    for do, how in other_questions(c):
        if flat(c.explain(**how)).max() > 0:
            how = how | (dict(target=c.top) if 'target' in how else {})
            return Finding(CAUSE, f"no place of the map is above 0: at {c.layer!r} nothing speaks for the target", do,
                           c.line(**how))
    return Finding(CAUSE, f"no place of the map is above 0 at {c.layer!r}, nor by LayerCAM or Occlusion",
                   "Nothing in this picture speaks for the target")

def other_questions(c):
    "What may find something: the top class, another method, one that covers."
    if c.number not in (None, c.top): yield "Ask for what it sees", dict(target=c.target_for(c.top))
    yield "Use a method that finds something", dict(method='layer_cam')
    yield "Use a method that finds something", dict(method='occlusion', layer=None)

def weak(c):
    "A map that is not empty; does the network believe in the class at all?"
    share = f"{percent((c.map > 0).float().mean().item())} of the map's places are above 0"
    if c.number is None: return well(share)
    p = c.likely(c.x)[0]
    saw = f"{share}; {c.named(c.number)} has a probability of {percent(p[c.number].item())}"
    if p[c.number] >= .01 or p[c.top] < .5: return well(saw)
    return Finding(NOTE, f"{saw}, {c.named(c.top)} of {percent(p[c.top].item())}. The map shows what little speaks "
                   "for it", "Ask for what it sees", c.line(target=c.top))

def saturation(c):
    "Does the gradient still say what covering says?"
    target = c.asked if c.number is None else (lambda out: scores_of(out)[:, c.number]) if c.ending.kind else c.number
    kept = Forward(c.net, c.x, [c.layer], target)
    (A, g), = next(kept.back(target))
    told = (A * g).abs().sum().item()
    with without_graph(c.net): y, y0 = (class_score(c.net(x), target, 1).item() for x in (c.x, torch.zeros_like(c.x)))
    saw = (f"the score falls by {y - y0:.3g} when the whole picture is covered; activations times gradients come to "
           f"{told:.3g}")
    if abs(y - y0) < 1e-2 * max(abs(y), 1e-6) or told > 1e-2 * abs(y - y0): return well(saw)
    line = c.line(target=c.top) if c.number is None else without_ending(c) if c.ending.kind else ''
    return Finding(CAUSE, f"{saw}. The score is saturated: its gradient says almost nothing",
                   "Explain the score before the function that saturates", line)

# ---- does the map depend on what it should depend on?

def alike(a, b)->float:
    "Rank correlation of two maps; 0 where one is constant."
    return spearman(a.flatten(1), b.flatten(1)).nan_to_num(0.).item()

def other_weights(c):
    "Is the map another with random weights?"
    c.check_trained(), c.check_map()
    nets = [list(cascade(c.net, c.x, 1, seed))[-1] for seed in range(3)]
    found = sorted(abs(alike(c.map, flat(c.explain(net=net)))) for net in nets)
    saw = f"rank correlations of {', '.join(f'{f:.2f}' for f in found)} with the maps of three random networks"
    if found[1] < .9: return well(saw)
    return Finding(CAUSE, f"{saw}: this map shows the picture more than the network",
                   "Use a method that depends on what was learned", c.line(method=DEFAULT, layer=None))

def other_classes(c):
    "Is the map another for other classes?"
    if c.number is None: return unknown("the target is a function, so there are no other classes")
    c.check_trained(), c.check_map()
    order = score_matrix(c.out)[0].argsort(descending=True).tolist()
    if len(order) < 2: return unknown("it knows one class")
    others = dict.fromkeys(order[i] for i in (0, 1, len(order) // 2, -1))
    found = {k: alike(c.map, flat(c.explain(c.target_for(k)))) for k in others if k != c.number}
    saw = f"rank correlations: {', '.join(f'{f:.2f} with {c.named(k)}' for k, f in found.items())}"
    if min(found.values()) < .95: return well(saw)
    return Finding(CAUSE, f"{saw}: it is the same map for every class", "Use a method that asks for a class",
                   c.line(method=DEFAULT if c.method != DEFAULT else 'occlusion', layer=None))

SQUARES, SIDE = 48, .25 # squares in random places, and their side as a share of the picture's
AGAINST = -.21          # agreement below this is no chance: of 59 maps of networks that are well the lowest was -.18

def squares(size, n=SQUARES, seed=0)->Tensor: # (n,H,W) bool
    "Squares in random places."
    g, masks = torch.Generator().manual_seed(seed), torch.zeros(n, *size, dtype=torch.bool)
    sides = [max(1, int(s * SIDE)) for s in size]
    for mask in masks:
        (t, h), (l, w) = ((torch.randint(s - k + 1, (1,), generator=g).item(), k) for s, k in zip(size, sides))
        mask[t:t + h, l:l + w] = True
    return masks

def agreement(marked, falls)->tuple: # (n,) each
    """Do the squares that a map marks cost the score more: rank correlation, and by how many standard deviations of
    all squares a square costs more that is weighted by the map."""
    rank = spearman(marked[None], falls[None]).nan_to_num(0.).item()
    weighted = (falls * marked).sum() / marked.sum()
    return rank, ((weighted - falls.mean()) / falls.std().clamp(min=1e-12)).item()

def covering(c):
    "Does covering agree with the map?"
    c.check_trained(), c.check_map()
    m = c.explanation.map.clamp(min=0)
    masks = squares(m.shape[1:]).to(m.device)
    marked, found = (masks * m).flatten(1).sum(1), {}
    for name, ground in (('the mean colour', 'mean'), ('blur', 'blur')):
        y = c.scores(torch.cat([c.x, torch.where(masks[:, None], ground_of(c.model, c.x, ground), c.x)]))
        found[name] = agreement(marked, y[0] - y[1:])
    saw = '; '.join(f"under {name} the rank correlation of what the map has in a square with what covering it costs is "
                    f"{rank:.2f}, and squares weighted by the map cost {abs(more):.2f} standard deviations "
                    f"{'more' if more >= 0 else 'less'} than the mean one" for name, (rank, more) in found.items())
    if sum(sum(f) for f in found.values()) / 4 >= AGAINST: return well(saw)
    return Finding(CAUSE, f"{saw}. Most other places matter more than those it marks", "Ask by covering instead",
                   c.line(method='occlusion', layer=None))
