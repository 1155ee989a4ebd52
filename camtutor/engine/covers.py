"""Asking a network again and again, with parts of a picture covered: masks are made a few at a time, on the device."""
from copy import copy
from functools import cached_property
from itertools import product
from math import ceil

import torch
from fastprogress.fastprogress import progress_bar
from torch import Tensor

from camtutor.engine.fast import at_once, channels_last, fast
from camtutor.engine.forward import Forward, check_batch, run, without_graph
from camtutor.engine.inputs import activation_of, network, normaliser_of, probabilities, steps_of, vocab_of
from camtutor.engine.layers import last_layer
from camtutor.engine.targets import At, class_numbers, class_score, map_tensors, score_matrix, scores_of
from camtutor.engine.trace import image_of, main_input, map_inputs, places_of, spread
from camtutor.errors import CamError, describe, expect_choice
from camtutor.show import upsample

GROUNDS = 'mean', 'black', 'blur'
SCORES = 'score', 'probability'
FIRST_LOOK = 64 # random masks; then 128, 256, …

# ---- what is under the cover

def ground_of(
    model,         # a network, or a fastai Learner
    x:Tensor,      # pictures (N,C,*places)
    ground='mean', # 'mean' (0 once normalised), 'black', 'blur', a number, or a tensor that broadcasts to `x`
)->Tensor:         # of the shape of `x`
    "What stands where a picture is covered. `CamError` where black is not known."
    if isinstance(ground, (int, float, Tensor)) and not isinstance(ground, bool): return as_ground(x, ground)
    expect_choice(ground, GROUNDS, 'ground')
    if ground == 'mean': return torch.zeros_like(x)
    if ground == 'blur':
        if x.ndim != 4: raise CamError(f"only pictures (N,C,H,W) can be blurred, not {tuple(x.shape)}. Give a number "
                                       "or a tensor as the ground, or use 'score_cam', which blurs nothing.")
        from torchvision.transforms.v2.functional import gaussian_blur  # takes long to import
        spread = min(x.shape[2:]) / 8
        return gaussian_blur(x, 2 * ceil(2 * spread) + 1, spread)
    found = next((s for s in steps_of(normaliser_of(model)) if hasattr(s, 'mean') and hasattr(s, 'std')), None)
    if found is None: raise CamError("how black looks to this network is not known: its transform has no mean and std. "
                                     "Give the number or the tensor itself as the ground.")
    mean, std = (torch.as_tensor(v, dtype=x.dtype, device=x.device).flatten() for v in (found.mean, found.std))
    return as_ground(x, (-mean / std).view(-1, *[1] * (x.ndim - 2)))

def as_ground(x, value):
    try: return torch.as_tensor(value, dtype=x.dtype, device=x.device).expand_as(x)
    except RuntimeError as e:
        raise CamError(f"a ground {tuple(value.shape)} does not fit pictures {tuple(x.shape)}.") from e

def covered(
    x:Tensor,      # one picture (1,C,*places)
    masks:Tensor,  # what stays to be seen (M,*places), from 0 to 1
    ground=0,      # what stands elsewhere, (1,C,*places) or a number
)->Tensor:         # (M,C,*places)
    "A picture under each of the masks."
    return torch.lerp(torch.as_tensor(ground, dtype=x.dtype, device=x.device).expand_as(x), x, masks[:, None].to(x))

# ---- what is asked

class Question:
    "What is asked of a network, picture by picture, with the pictures whole and covered."
    def __init__(self,
                 model,           # a network, or a fastai Learner
                 x,               # a batch that it takes
                 target=None,     # see `class_score`; read from the output, not from a layer
                 of='score',      # 'score', before the softmax, or 'probability', by the network's own activation
                 ground='mean',   # see `ground_of`
                 bs=None,         # covered pictures that go through the network together; None = see `at_once`
                 progress=False,  # show a bar?
                 fast=False):     # see `fast`
        self.model, self.net, self.x, self.vocab = model, network(model), x, vocab_of(model)
        check_batch(self.net, x)
        self.of, self.progress = expect_choice(of, SCORES, 'of'), progress
        self.bs = None if bs is None else check_count(bs, 'bs')
        if not main_input(x).is_floating_point():
            raise CamError("token ids cannot be covered. Leave words out with camtutor.text.without_words"
                           "(net, ids, k), or use 'grad_cam'.")
        if isinstance(target, At): raise CamError("a score read from a layer cannot be asked for by covering. "
                                                  "Give a class, or a function of the output.")
        self.target, self.quick = target, fast
        self.ground, self.places = ground_of(model, main_input(x), ground), places_of(x)

    def begin(self, out):
        "Settle what is asked of each picture, by what the network gave for the whole ones."
        self.out, n = out, len(main_input(self.x))
        if callable(self.target): self.asked = [self.target] * n
        elif self.target is None: self.asked = score_matrix(out).argmax(1).tolist()
        else: self.asked = class_numbers(self.target, *score_matrix(out).shape, self.vocab)
        return self

    @cached_property
    def runs(self):
        "What is asked about covered pictures: a faster copy of the network, if that is wanted."
        return fast(self.net, self.x) if self.quick else self.net

    def look(self):
        "Ask about the whole pictures."
        with without_graph(self.net): return self.begin(run(self.net, self.x))

    def at(self, layer=None)->Tensor: # (N,C,*places)
        "Ask about the whole pictures, and keep what one layer put out."
        kept = Forward(self.net, self.x, self.only(layer))
        self.begin(kept.out)
        return kept.at(kept.names[0])

    def pairs(self, layers, of)->list: # of (A, g), each (N,C,*places)
        "The same for several layers, with the gradients at them of what is asked, a 'score' or a 'probability'."
        kept = Forward(self.net, self.x, layers)
        self.begin(kept.out)
        def score(out): return torch.cat([self.answer(row, i, of) for i, row in enumerate(self.rows(out))], -1)
        found = next(kept.back(score))
        if found[0][1].ndim == found[0][0].ndim: return found
        raise CamError("the target gives several scores for each picture, and this method takes one.")

    def only(self, layer):
        "The layer, or the default one. `CamError` for several."
        if layer is None: return last_layer(self.net, self.x, self.target)
        if isinstance(layer, list): raise CamError(f"{len(layer)} layers were given, and this method looks at one.")
        return layer

    def rows(self, out)->list:
        "What the network gave, picture by picture."
        n = len(self.asked)
        return [map_tensors(lambda t: t[i:i + 1] if t.ndim and len(t) == n else t, out) for i in range(n)]

    def answer(self, out, i, of)->Tensor: # (M,), or (K,M)
        "What is asked of picture `i`, in an output for any number of covered pictures."
        ask, n = self.asked[i], len(scores_or_first(out))
        out = out if of == 'score' else self.likely(out)
        return class_score(out, ask if callable(ask) else lambda o: score_matrix(o)[:, ask], n)

    def likely(self, out):
        "Probabilities, in double precision: of a sure network single precision knows only 1."
        scores = scores_of(out)
        known = activation_of(self.model)
        if known is None or not isinstance(scores, Tensor) or scores.ndim != 2: p = probabilities(self.model, out)
        else: p = known(scores.double() if scores.device.type != 'mps' else scores)
        if p is None: raise CamError(f"the model gave {describe(out)}, which has no probabilities. Ask of='score'.")
        return p

    def whole(self)->Tensor: # (N,), or (K,N)
        "The answers for the whole pictures."
        return torch.cat([self.answer(row, i, self.of) for i, row in enumerate(self.rows(self.out))], -1)

    def under(self, i, n, masks, keep=None)->Tensor: # (…,n)
        """What is answered for picture `i` under each of `n` masks. `masks(part)`: those of a slice (M,*places).

        `keep(out)`: something else than the answer to keep of each output, with the masks last."""
        keep = keep or (lambda out: self.answer(out, i, self.of))
        one = image_of(self.x, i)
        found, main, ground = [], main_input(one), self.ground[i:i + 1]
        with without_graph(self.runs):
            for part in parts(n, self.bs or at_once(main), self.progress):
                seen = covered(main, masks(part), ground)
                if self.quick: seen = channels_last(seen)
                batch = map_inputs(lambda t: seen if t is main else spread(t, len(seen)), one)
                found.append(keep(run(self.runs, batch)))
        found = torch.cat(found, -1)
        return found.float() if found.element_size() < 4 else found   # half precision is too coarse for differences

    def until(self, i, masks, enough=None)->Tensor: # (…,M)
        "The answers for picture `i` under all random masks, or under 64, 128, 256, …, until `enough(answers, masks)`."
        f = self.under(i, len(masks) if enough is None else min(FIRST_LOOK, len(masks)), masks.masks)
        while (n := f.shape[-1]) < len(masks) and not enough(f, masks[:n]):
            more = masks[n:2 * n]
            f = torch.cat([f, self.under(i, len(more), more.masks)], -1)
        return f

    def under_channels(self, A, masks=None, keep=None)->Tensor: # (…,N,C)
        "The answers under a mask made of each channel of `A` (N,C,*places), see `under_each`."
        return torch.stack([self.under_each(i, a, masks, keep) for i, a in enumerate(A)], -2)

    def under_each(self, i, a, masks=None, keep=None)->Tensor: # (…,C)
        """The answers for picture `i` under a mask made of each of `a` (C,*places); equal ones share a pass.

        `masks(a, size)`: from activations to masks (M,*size); None = `channel_masks`."""
        kinds, which = unlike(flat_to_zero(a) if masks is None else a)
        made = masks or channel_masks
        return self.under(i, len(kinds), lambda part: made(kinds[part], self.places), keep)[..., which]

def scores_or_first(out):
    "Something in an output that has an entry for each picture."
    scores = scores_of(out)
    if isinstance(scores, Tensor): return scores
    seen = []
    map_tensors(lambda t: seen.append(t) or t, out)
    return next(t for t in seen if t.ndim)

def check_count(n, name):
    if isinstance(n, int) and not isinstance(n, bool) and n > 0: return n
    raise CamError(f"{name} is {n!r}, but it must be 1 or more.")

def parts(n, bs, progress=False):
    "Slices of at most `bs` that make up `n`; with a bar, if one is wanted."
    starts = range(0, n, bs)
    return (slice(a, min(a + bs, n)) for a in (progress_bar(starts, leave=False) if progress else starts))

# ---- masks from activations

def unlike(rows:Tensor)->tuple: # rows (M,…) -> those that differ, and for each row which of them it is
    "Equal masks are asked about once."
    flat, back = torch.unique(rows.flatten(1), dim=0, return_inverse=True)
    return flat.unflatten(1, rows.shape[1:]), back

def flat_to_zero(A:Tensor)->Tensor: # (C,*places)
    "Channels that are the same everywhere as zeros: they have no mask."
    flat = A.flatten(1)
    return torch.where((flat.amax(1) > flat.amin(1)).view(-1, *[1] * (A.ndim - 1)), A, 0)

def min_max(m:Tensor)->Tensor: # (M,*places), 0 to 1
    "Each mask from its lowest to its highest value; zeros where these are equal."
    flat = m.flatten(1)
    low, high = (v.view(-1, *[1] * (m.ndim - 1)) for v in (flat.amin(1), flat.amax(1)))
    return torch.where(high > low, (m - low) / (high - low).where(high > low, 1), 0)

def channel_masks(A:Tensor, size)->Tensor: # (M,*places) -> (M,*size)
    "Activations as masks: enlarged, each from 0 to 1."
    return min_max(upsample(A, size))

def mask_mass(A:Tensor, size)->Tensor: # (M,)
    "How much of a picture each channel's mask shows, before it is stretched to 1: the sum over all places."
    def of_some(a):
        m = upsample(a, size).flatten(1)
        return (m - m.amin(1, keepdim=True)).sum(1)
    return torch.cat([of_some(A[part]) for part in parts(len(A), 64)])

# ---- windows

class Windows:
    "Squares that slide over a picture; the last of a row or column may be cut."
    def __init__(self, places, size, stride):
        self.places, self.size = places, size
        self.starts = [[s * t for s in range(ceil(max(0, d - w) / t) + 1)] for d, w, t in zip(places, size, stride)]
        self.corners = torch.tensor(list(product(*self.starts)))

    @classmethod
    def fitting(cls, places, size=None, stride=None):
        """Windows, of one size for all axes or of one each; None = a quarter of the picture, moved by a quarter of it.

        `CamError` if they leave holes, or do not fit."""
        def each(v, default):
            return list(default) if v is None else [v] * len(places) if isinstance(v, int) else list(v)
        size = each(size, [max(1, d // 4) for d in places])
        stride = each(stride, [max(1, s // 4) for s in size])
        fits = len(size) == len(stride) == len(places)
        if fits and all(1 <= t <= s <= d for d, s, t in zip(places, size, stride)): return cls(places, size, stride)
        raise CamError(f"windows of {size}, moved by {stride}, on places {tuple(places)}: each stride must be 1 or "
                       "more and no larger than its window, and each window no larger than the picture.")

    def __len__(self): return len(self.corners)

    def masks(self, part, like)->Tensor: # (M,*places)
        "0 inside the window, 1 elsewhere."
        inside = torch.ones(1, dtype=torch.bool)
        for axis, (d, w) in enumerate(zip(self.places, self.size)):
            at = torch.arange(d) - self.corners[part, axis, None]
            inside = inside[..., None] & ((at >= 0) & (at < w)).view(len(at), *[1] * axis, d)
        return (~inside).to(like)

    def spread(self, values:Tensor)->Tensor: # (…,M) -> (…,*places)
        "Each place's mean over the windows that cover it; 0 where none does."
        total, count = (values.new_zeros(*s, *self.places) for s in (values.shape[:-1], ()))
        for m, corner in enumerate(self.corners.tolist()):
            box = (..., *(slice(c, c + w) for c, w in zip(corner, self.size)))
            total[box] += values[..., m].view(*values.shape[:-1], *[1] * len(self.places))
            count[box] += 1
        return total / count.clamp(min=1)

# ---- random masks

def resize_matrix(n, size, like)->Tensor: # (size,n)
    "The linear map from `n` values to `size` interpolated ones."
    return upsample(torch.eye(n, dtype=like.dtype, device=like.device), (size,)).T

class RandomMasks:
    """Coarse grids of 0 and 1, enlarged and shifted: kept as bits and two shifts each, drawn when they are needed.

    A grid of `cells` is stretched over `cells`+1 cells, so that every shift leaves the picture covered by it."""
    def __init__(self, bits, shifts, places, like, paired=False): # bits (M,s,s) bool; shifts (M,2); is each second
        self.bits, self.shifts, self.places, self.paired = bits, shifts, places, paired   # one the first's opposite?
        s = bits.shape[-1]
        self.cell = tuple(ceil(d / s) for d in places)
        self.rows = [self.shifted(s, c, d, like) for c, d in zip(self.cell, places)]

    @staticmethod
    def shifted(s, cell, size, like): # (cell,size,s)
        "What each shift makes of a row of a grid."
        return resize_matrix(s, (s + 1) * cell, like).unfold(0, size, 1)[:cell].transpose(1, 2)

    @classmethod
    def drawn(cls, n, cells, p, places, like, seed=0, antithetic=False):
        "`n` random masks; antithetic ones come in pairs, each the other's opposite."
        if check_count(n, 'n') < 4: raise CamError(f"n is {n}, but a map needs 4 masks or more.")
        check_count(cells, 'cells')
        if not isinstance(p, float) or not 0 < p < 1:
            raise CamError(f"p is {p!r}, but it is a share of ones, above 0 and below 1.")
        if antithetic and p != .5:
            raise CamError(f"p is {p}, and the opposite of such a mask has another share. Pairs need p=.5.")
        make = torch.Generator('cpu').manual_seed(seed)
        m = (n + 1) // 2 if antithetic else n
        bits = torch.rand(m, cells, cells, generator=make, device='cpu') < p
        shifts = torch.stack([torch.randint(ceil(d / cells), (m,), generator=make, device='cpu') for d in places], 1)
        if antithetic: bits, shifts = (torch.stack(two, 1).flatten(0, 1)[:n] for two in ((bits, ~bits),
                                                                                         (shifts, shifts)))
        return cls(bits, shifts, places, like, antithetic)

    def __len__(self): return len(self.bits)

    def __getitem__(self, part): # a slice, or a bool for each
        "Some of the masks."
        some = copy(self)
        some.bits, some.shifts = self.bits[part], self.shifts[part]
        return some

    def at(self, part):
        "The bits of some masks, and the rows that their shifts make."
        down, across = self.rows
        return self.bits[part].to(down), down[self.shifts[part, 0]], across[self.shifts[part, 1]]

    def masks(self, part)->Tensor: # (M,H,W)
        g, down, across = self.at(part)
        return down @ g @ across.transpose(1, 2)

    def sum(self, weights:Tensor, bs=512)->Tensor: # (…,M) -> (…,H,W)
        "The weighted sum of all masks, which are never drawn for it: one product for each shift."
        w, across = weights.reshape(-1, len(self)).to(self.rows[0]), self.rows[1]
        total = 0
        for part in parts(len(self), bs):
            g, down, _ = self.at(part)
            which = torch.nn.functional.one_hot(self.shifts[part, 1], len(across)).to(w)
            total = total + torch.einsum('km,me,mhs->kehs', w[:, part], which, down @ g)
        return torch.einsum('kehs,ews->khw', total, across).reshape(*weights.shape[:-1], *self.places)

    def grid(self, k): return [torch.linspace(0, d - 1, k).round().long() for d in self.places]

    def covariance(self, weights:Tensor, k, p)->Tensor: # (…,k·k) -> (…,H,W)
        "How a weighted sum of a random mask's values at k×k points goes with its value at each place: exact."
        (down, across), at = (torch.einsum('esp,etp->st', r, r) / len(r) for r in self.rows), self.grid(k)
        w = weights.to(down).unflatten(-1, (k, k))
        return p * (1 - p) * torch.einsum('...ab,ah,bw->...hw', w, down[at[0]], across[at[1]])

    def points(self, k)->Tensor: # (M,k,k)
        "All masks at k×k points of the picture."
        at = self.grid(k)
        g, (down, across) = self.bits.to(self.rows[0]), self.rows
        return down[:, at[0]][self.shifts[:, 0]] @ g @ across[:, at[1]][self.shifts[:, 1]].transpose(1, 2)

