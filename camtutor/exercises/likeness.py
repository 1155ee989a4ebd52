"What is a wrong result like? Diagnoses that need no bank: twice the right values, an axis too many, the batch mixed."
# `told(triples)` looks at what an answer gives and at what it should give, on every trial that differs, and says the
# first sentence of `LIKENESS` that fits them all. Each row is a function `(got, want, sizes) -> text or ''`.
from itertools import permutations, product
import math

import torch, torch.nn.functional as F
from torch import Tensor

from camtutor.exercises.compare import close, numeric, telling
from camtutor.exercises.kinds import a_number, factor_text, keyed, other_kind, rows, swapped

def alone(f):
    "A row for tensors of the same shape."
    def row(got, want, sizes):
        if got.shape != want.shape or not telling(want) or close(got, want): return ''
        return f(numeric(got), numeric(want), sizes)
    row.__name__, row.__doc__ = f.__name__, f.__doc__
    return row

# ---- The shape

def number_of_axes(got, want, sizes):
    if got.ndim == want.ndim or got.numel() != want.numel() or not close(got.reshape(want.shape), want): return ''
    if got.ndim > want.ndim:
        return (f'The numbers are right, but there is an axis of length 1 too many: {tuple(got.shape)} instead of '
                f'{tuple(want.shape)}. Leave out `keepdim`, `None` or `[i:i+1]`, or take `[:, 0]`.'
                if 1 in got.shape else flat(got, want))
    return (f'The numbers are right, but an axis of length 1 is missing: {tuple(got.shape)} instead of '
            f'{tuple(want.shape)}. `keepdim=True` keeps it, `[:, None]` puts it in.' if 1 in want.shape
            else flat(got, want))

def flat(got, want):
    return (f'The numbers are right, but laid out as {tuple(got.shape)} where {tuple(want.shape)} is asked: '
            '`reshape` or `unflatten` gives them their axes.')

def axes_exchanged(got, want, sizes):
    if got.ndim != want.ndim or not 2 <= got.ndim <= 5 or sorted(got.shape) != sorted(want.shape): return ''
    if not telling(want) or close(got, want): return ''
    for order in permutations(range(got.ndim)):
        if order != tuple(range(got.ndim)) and close(got.permute(order), want):
            back = [order.index(i) for i in range(got.ndim)] # axis i of yours is axis back[i] of what is asked
            return ('The numbers are right, but the axes come in another order: yours holds, one after the other, '
                    f'axes {", ".join(map(str, back))} of what is asked. `permute` or `transpose` moves them'
                    + ('; in an einsum, the letters behind the arrow.' if got.ndim > 2 else '.'))
    return ''

def shape_only(got, want, sizes):
    if got.ndim != want.ndim or got.shape == want.shape or got.numel() != want.numel(): return ''
    if not close(got.flatten(), want.flatten()): return ''
    return (f'The numbers come in the right order, but the shape is {tuple(got.shape)} and not {tuple(want.shape)}: '
            'two sizes are exchanged in a `reshape` or `view`.')

REDUCED = dict(sum=lambda t, d: t.sum(d), mean=lambda t, d: t.mean(d), amax=lambda t, d: t.amax(d),
               amin=lambda t, d: t.amin(d), first=lambda t, d: t.select(d, 0), last=lambda t, d: t.select(d, -1))
DID = dict(sum='added up', mean='averaged', amax='replaced by its largest value', amin='replaced by its smallest value',
           first='cut down to its first entry', last='cut down to its last entry')

def axis_reduced(got, want, sizes):
    "One axis of what is asked is summed, averaged … away."
    for d, (how, f) in product(range(want.ndim), REDUCED.items()):
        for shape in (f(numeric(want), d), f(numeric(want), d).unsqueeze(d)):
            if want.shape[d] > 1 and close(numeric(got), shape):
                what = 'the batch' if d == 0 else f'axis {d}'
                return (f'In yours, {what} is {DID[how]}: {tuple(got.shape)} where {tuple(want.shape)} is asked. '
                        + ('Each picture has a result of its own.' if d == 0 else 'That axis should stay.'))
    return ''

def all_reduced(got, want, sizes):
    if got.numel() != 1 or want.numel() == 1: return ''
    for how, value in (('the sum', want.sum()), ('the mean', numeric(want).mean()), ('the largest', want.max()),
                       ('the first', want.flatten()[0])):
        if close(got.reshape(()), value):
            return f'You give a single number, {how} of all {want.numel()}. It should be {tuple(want.shape)}.'
    return ''

def axis_kept(got, want, sizes):
    "An axis is there that should have been summed, averaged … away."
    if got.ndim != want.ndim + 1: return ''
    for d, how in product(range(got.ndim), ('sum', 'mean', 'amax')):
        if got.shape[d] > 1 and close(REDUCED[how](numeric(got), d), numeric(want)):
            do = dict(sum='add it up: `.sum({})`', mean='average over it: `.mean({})`',
                      amax='take its largest value: `.amax({})`')[how].format(d)
            return f'Axis {d} of yours is one too many, {tuple(got.shape)} where {tuple(want.shape)} is asked: {do}.'
    return ''

def every_with_every(got, want, sizes):
    "(N,N,…) where the diagonal is asked."
    if got.ndim != want.ndim + 1 or got.ndim < 2 or got.shape[0] != got.shape[1]: return ''
    if not close(got.diagonal().movedim(-1, 0), want): return ''
    return ('You pair everything with everything; what is asked stands on the diagonal. Pair each picture with its '
            'own: `x[torch.arange(len(x)), i]` or `gather`.')

def cut_short(got, want, sizes):
    "One entry too few or too many at the end of an axis."
    if got.ndim != want.ndim: return ''
    for d in range(got.ndim):
        n, m = got.shape[d], want.shape[d]
        if n == m - 1 and n:
            for at, where in ((0, 'last'), (1, 'first')):
                if close(want.narrow(d, at, n), got):
                    return f'Along axis {d} the {where} entry is missing: {n} and not {m}.'
        if n == m + 1 and m:
            for at, where in ((0, 'end'), (1, 'beginning')):
                if close(got.narrow(d, at, m), want):
                    return f'Along axis {d} there is an entry too many at its {where}.'
    return ''

def other_size(got, want, sizes):
    "The maps are right, but enlarged or shrunk."
    if got.ndim != want.ndim or got.ndim < 3 or got.shape[:-2] == () or got.shape[-2:] == want.shape[-2:]: return ''
    if got.shape[:-2] != want.shape[:-2]: return ''
    small, large = sorted((numeric(got), numeric(want)), key=lambda t: t.shape[-1]*t.shape[-2])
    a, size = small.reshape(1, -1, *small.shape[-2:]), large.shape[-2:]
    made = F.interpolate(a, size), F.interpolate(a, size, mode='bilinear'), F.interpolate(a, size, mode='bilinear',
                                                                                          align_corners=True)
    if not any(close(m.reshape(large.shape), large) for m in made): return ''
    did = 'enlarged' if got.numel() > want.numel() else 'left small'
    return f'The maps are right, but {did}: {tuple(got.shape[-2:])} where {tuple(want.shape[-2:])} is asked.'

def an_axis_by_its_length(got, want, sizes):
    "Which axis is too many, gone, not reduced or reduced, seen from the shapes alone."
    mine, asked = tuple(got.shape), tuple(want.shape)
    where = f'{mine} where {asked} is asked'
    if mine == asked: return ''
    if len(mine) == len(asked) + 1:
        fit = [d for d in range(len(mine)) if mine[:d] + mine[d+1:] == asked]
        if not fit: return ''
        return f'There is an axis too many, {which(fit)}{where}: something is still to be added up or chosen.'
    if len(mine) == len(asked) - 1:
        fit = [d for d in range(len(asked)) if asked[:d] + asked[d+1:] == mine]
        return f'An axis is gone, {which(fit)}{where}: too much is added up, averaged or chosen.' if fit else ''
    if len(mine) != len(asked): return ''
    off = [d for d, (a, b) in enumerate(zip(mine, asked)) if a != b]
    if all(asked[d] == 1 for d in off):
        return f'{numbered(off)} should have length 1: {where}. It is not averaged or added up yet.'
    if all(mine[d] == 1 for d in off): return f'{numbered(off)} should keep all its length: {where}.'
    return ''

def which(fit): return f'axis {fit[0]}: ' if len(fit) == 1 else ''
def numbered(axes): return f'Ax{"i" if len(axes) == 1 else "e"}s {" and ".join(map(str, axes))}'

# ---- Same shape, other values

@alone
def nothing(got, want, sizes):
    if bool((got == 0).all()): return 'All of it is 0. Was anything written into it, or is it cut or multiplied away?'
    if got.numel() > 2 and got.unique().numel() == 1:
        return f'It is {got.flatten()[0].item():.4g} everywhere. What differs from place to place is lost on the way.'
    return ''

@alone
def not_finite(got, want, sizes):
    bad = ~got.isfinite() & want.isfinite()
    if not bad.any() or not close(got[~bad], want[~bad]): return ''
    return ('It is right but for nan or inf, where something is divided by 0, or 0 by 0. `clamp(min=…)` on the '
            'divisor, or `torch.where`, takes care of it.')

@alone
def opposite(got, want, sizes):
    if close(got, -want): return 'The sign is turned round: yours is minus the right value everywhere.'
    if want.min() >= 0 and want.max() <= 1 and close(got, 1 - want):
        return 'It is the opposite: 1 minus what is asked, or true where false is asked.'
    return ''

@alone
def cut(got, want, sizes):
    "ReLU and absolute value, missing or too much."
    if (got < 0).any() and (want >= 0).all() and close(got.relu(), want):
        return 'Negative values are left, the rest is right: the ReLU at the end is missing.'
    if (want < 0).any() and close(got, want.relu()):
        return 'Negative values are cut to 0, and they should stay: there is a ReLU or `clamp(min=0)` too much.'
    if (want < 0).any() and close(got, want.abs()): return 'The sign is lost: there is an `abs` or a square too much.'
    if (got < 0).any() and close(got.abs(), want):
        return 'The sizes are right, and some signs are not: an `abs` is missing.'
    if (want >= 0).all() and close((-got).relu(), want) and telling(got):
        return 'The sign is turned round, and nothing is cut.'
    return ''

@alone
def scaled(got, want, sizes):
    "One factor everywhere."
    f = ratio(got, want)
    return '' if f is None else factor_text(f, sizes)

def ratio(got, want):
    "got/want, where that is the same everywhere, and neither 1 nor 0; else None."
    at = want.abs().argmax()
    f = (got.flatten()[at]/want.flatten()[at]).item()
    return f if math.isfinite(f) and abs(f) > 1e-9 and abs(f - 1) > 1e-4 and close(got, want*f) else None

@alone
def scaled_each(got, want, sizes):
    "Each picture has a factor of its own."
    if len(got) < 2 or got.ndim < 2: return ''
    pairs = [(g, w) for g, w in zip(got, want) if telling(w)]
    f = [1. if close(g, w) else ratio(g, w) for g, w in pairs]
    if len(pairs) < 2 or None in f or len({round(x, 6) for x in f}) < 2: return ''
    norms = {'its largest value': lambda w: w.max(), 'its largest absolute value': lambda w: w.abs().max(),
             'its sum': lambda w: w.sum(), 'its length': lambda w: w.norm(), 'its mean': lambda w: w.mean(),
             'its spread': lambda w: w.std(correction=0)}
    for what, of in norms.items():
        if all(math.isclose(x*of(w).item(), 1, rel_tol=1e-3) for x, (_, w) in zip(f, pairs)):
            return f'Each picture is divided by {what}. That is a step for drawing; here the strength should stay.'
    return 'Each picture is scaled by a factor of its own: something is normalised that should not be, or not alike.'

@alone
def stretched(got, want, sizes):
    "Min–max, max, sum or softmax of what is asked."
    for f, text in STRETCHED:
        if close(got, f(want, tuple(range(want.ndim)))): return text.format('the whole batch')
        if want.ndim > 1 and len(want) > 1 and close(got, f(want, tuple(range(1, want.ndim)))):
            return text.format('each picture')
    for d in range(want.ndim):
        if close(got, want.softmax(d)): return f'There is a softmax in it, along axis {d}: take the scores themselves.'
        if close(got, want.log_softmax(d)): return f'There is a log-softmax in it, along axis {d}.'
    return ''

def low(t, d): return t.amin(d, keepdim=True)
def span(t, d): return (t.amax(d, keepdim=True) - low(t, d)).clamp(min=1e-12)
STRETCHED = (
    (lambda t, d: (t - low(t, d))/span(t, d), '{} is stretched from its lowest to its highest value. Then 0 means '
                                              'nothing any more; leave the values as they are.'),
    (lambda t, d: t - low(t, d), 'The lowest value of {} is subtracted. Then 0 means nothing any more.'),
    (lambda t, d: t - t.mean(d, keepdim=True), 'The mean of {} is subtracted, and that is not asked.'),
    (lambda t, d: t/t.amax(d, keepdim=True), 'You divide by the maximum of {}; the strength should stay.'),
    (lambda t, d: t/t.sum(d, keepdim=True), 'You divide by the sum of {}.'),
    (lambda t, d: t/t.flatten().norm() if len(d) == t.ndim else t/(t*t).sum(d, keepdim=True).sqrt(),
     'You divide by the length (the norm) of {}.'))

FUNCTIONS = (
    ('the square of the right value', 'a square root is missing, or a square too much', lambda t: t*t),
    ('the square root of the right value', 'there is a root too much, or a square is missing', lambda t: t.sqrt()),
    ('one over the right value', 'numerator and denominator are exchanged', lambda t: 1/t),
    ('the exponential of the right value', 'a logarithm is missing, or an `exp` too much', torch.exp),
    ('the logarithm of the right value', 'there is a logarithm too much', torch.log),
    ('the sigmoid of the right value', 'take the scores themselves', torch.sigmoid),
    ('the right value without its fraction', 'something is rounded or made whole: use `/`, not `//`', torch.floor),
    ('the right value, rounded', 'something is rounded or made whole', torch.round),
    ('the right value, cut to 0 … 1', 'there is a `clamp` too much', lambda t: t.clamp(0, 1)),
    ('only the sign of the right value', 'its size is lost', torch.sign),
    ('yes or no where the right value is asked', 'multiply the mask by the values', lambda t: (t > 0).double()))

@alone
def a_function_of_it(got, want, sizes):
    for what, means, f in FUNCTIONS:
        value = f(want)
        if value.isfinite().all() and telling(value) and close(got, value): return f'Yours is {what}: {means}.'
    if telling(got) and (got >= 0).all() and (got <= 1).all() and close(got.clamp(0, 1), want.clamp(0, 1)):
        return 'Values beyond 0 … 1 are cut, and they should stay.'
    if want.min() >= 0 and want.max() <= 1 and not close(got, want) and close(got.clamp(0, 1), want):
        return 'Values lie outside of 0 … 1, the rest is right: `clamp(0, 1)` at the end is missing.'
    return ''

@alone
def first_for_all(got, want, sizes):
    if len(want) < 2: return ''
    for i, which in ((0, 'first'), (-1, 'last')):
        if close(got, want[i].expand_as(got)):
            return (f'Every picture gets what is right for the {which}. Is there an index `[{i}]` that should be the '
                    "picture's own, or a variable that keeps its last value?")
    if (got[0].numel() > 1 or len(want) > 2) and close(got[0], want[0]) and not any(map(close, got[1:], want[1:])):
        return ('Only the first picture is right: something of it, its class, its weights or its scale, is used for '
                'all of them. Look for `[0]`, or for an axis that is missing.')
    return ''

@alone
def batch_turned(got, want, sizes):
    for d in range(want.ndim):
        if want.shape[d] < 2: continue
        axis = 'the batch' if d == 0 and want.ndim > 1 else f'axis {d}'
        if close(got, want.flip(d)): return f'The order along {axis} is turned round.'
        for k in (1, -1):
            if want.shape[d] > 2 and close(got, want.roll(k, d)): return f'Along {axis} everything has moved by one.'
    return ''

@alone
def shifted(got, want, sizes):
    "A constant, everywhere or for each picture, class …"
    off = got - want
    if close(off, torch.full_like(off, off.flatten()[0].item())) and got.numel() > 2:
        return (f'Yours is off by {off.flatten()[0].item():+.4g} everywhere: something is added or subtracted that '
                'should not be, or is missing.')
    if want.ndim > 1 and len(want) > 1 and close(off, off[:1].expand_as(off)):
        return ('Every picture is off by the same amounts: a part that does not depend on the picture, such as a '
                'bias, is missing or there twice.')
    for d in range(1, want.ndim):
        if want.shape[d] > 1 and close(off, off.narrow(d, 0, 1).expand_as(off)):
            return f'Along axis {d} everything is off by the same amount: it is shifted as a whole.'
    return ''

@alone
def exchanged_values(got, want, sizes):
    "The same numbers in other places."
    if got.numel() < 3 or not close(got.flatten().sort().values, want.flatten().sort().values): return ''
    if want.ndim == 1: return 'The right numbers, in another order.'
    for d in range(want.ndim - 1, 0, -1):
        if close(got.sort(d).values, want.sort(d).values):
            return f'The right numbers, in another order along axis {d}.'
    return ('The right numbers, at other places: they are laid out in another order. Does a `reshape` or `view` stand '
            'where `permute` is needed, or are rows and columns exchanged?')

@alone
def partly_zero(got, want, sizes):
    same = torch.isclose(got, want, rtol=1e-4, atol=1e-6)
    if same.all() or not same.any(): return ''
    if (got[~same] == 0).all():
        return 'It is right where it is not 0, and 0 in places where it should not be: a part was left out or cut.'
    if (want[~same] == 0).all() and (got[~same] != 0).all():
        return ('It is right where the right value is not 0, and elsewhere it should be 0: something is to be cut or '
                'masked.')
    return ''

@alone
def edge_only(got, want, sizes):
    "Right inside, wrong at the border."
    if want.ndim < 2 or min(want.shape[-2:]) < 4: return ''
    off = ~torch.isclose(got, want, rtol=1e-4, atol=1e-6 + 1e-5*want.abs().max().item())
    if off.any() and not off[..., 1:-1, 1:-1].any():
        return 'It is right inside and wrong along the border: look at the padding, or at `align_corners`.'
    return ''

LIKENESS = (number_of_axes, every_with_every, axes_exchanged, shape_only, all_reduced, axis_reduced, axis_kept,
            cut_short, other_size, an_axis_by_its_length, nothing, not_finite, opposite, cut, stretched, scaled,
            scaled_each, a_function_of_it,
            partly_zero, edge_only, first_for_all, batch_turned, shifted, exchanged_values)

def compared(got, want, sizes)->list: # of texts, '' where a row does not fit
    return [row(got, want, sizes) for row in LIKENESS]

def dtypes(got, want):
    if got.dtype == want.dtype: return ''
    if not close(got.to(want.dtype), want) if got.shape == want.shape else True: return ''
    return (f'The values are right, but of another type: {str(got.dtype)[6:]} where {str(want.dtype)[6:]} is asked. '
            f'`.to(…)`, `.float()` or `.long()` changes it.')

# ---- Put together

def first_difference(got, want, name='the result'):
    "The first pair `(got, want, name)` deep inside two values that are not the same; None if there is none."
    if isinstance(want, dict) and isinstance(got, dict) and list(got) == list(want) and not swapped(got, want):
        return first_of(first_difference(got[k], want[k], str(k)) for k in want)
    if type(want) in (list, tuple) and isinstance(got, (list, tuple)) and len(got) == len(want) and not rows(got, want):
        return first_of(first_difference(g, w, name) for g, w in zip(got, want))
    if isinstance(got, Tensor) and isinstance(want, Tensor):
        return None if close(got, want) and got.dtype == want.dtype else (got, want, name)
    try: same = bool(type(got) is type(want) and got == want)
    except (TypeError, ValueError, RuntimeError): same = got is want
    return None if same or near(got, want) else (got, want, name)

def near(got, want):
    return (isinstance(got, float) and isinstance(want, (int, float))
            and math.isclose(got, want, rel_tol=1e-4, abs_tol=1e-6))

def first_of(found): return next((x for x in found if x is not None), None)

def of_pair(got, want, name, sizes)->list: # of texts
    "What fits one pair; for tensors one text for each row of LIKENESS."
    if text := other_kind(got, want, name): return [text]
    if isinstance(want, Tensor): return [dtypes(got, want), *compared(got, want, sizes)]
    if isinstance(want, dict): return [keyed(got, want) or swapped(got, want)]
    if isinstance(want, (list, tuple)): return [rows(got, want)]
    if isinstance(want, bool) and name != 'the result': return [''] # a trial's own, which speaks for itself
    if isinstance(want, bool): return [f'It is {got}, and {want} is asked: the other way round.']
    return [a_number(got, want, sizes)]

def told(triples # of (got, want, sizes): each trial that differs
        )->str:
    "The first diagnosis that fits every trial; '' if none does."
    found = []
    for got, want, sizes in triples:
        pair = first_difference(got, want)
        if pair is None: continue
        texts = of_pair(*pair, sizes)
        if not found or len(texts) == len(found[0][1]): found.append((pair, texts))
    if not found: return ''
    columns = zip(*(texts for _, texts in found)) # what one row says to each of the trials
    fits = (c for c in columns if any(c) and all(text or too_small(p) for (p, _), text in zip(found, c)))
    largest = max(range(len(found)), key=lambda i: size_of(found[i][0]))
    return next((c[largest] or next(filter(None, c)) for c in fits), '')

def size_of(pair): return pair[1].numel() if isinstance(pair[1], Tensor) else 0

def too_small(pair):
    "Too few values to be sure of anything."
    return isinstance(pair[1], Tensor) and not telling(pair[1])
