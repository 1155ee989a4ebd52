"""What is a wrong result like? Diagnoses that need no bank: twice the right values, an axis too many, the batch mixed.

`told(pairs)` looks at what an answer gives and at what it should give, on every trial that differs, and says the first
sentence of `LIKENESS` that fits them all. Each row is a function `(got, want, sizes) -> text or ''`."""
from itertools import permutations, product
import math, numbers

import numpy as np
import torch, torch.nn.functional as F
from torch import Tensor

from camtutor.exercises.trace import shortened

# ---- Sameness

def close(a, b)->bool:
    "Two tensors of the same shape with the same values."
    if a.shape != b.shape: return False
    a, b = numeric(a), numeric(b)
    scale = b[b.isfinite()].abs().max().item() if b.isfinite().any() else 1.
    return bool(torch.isclose(a, b, rtol=1e-4, atol=1e-6 + 1e-5*scale, equal_nan=True).all())

def numeric(t): return torch.view_as_real(t).double() if t.is_complex() else t.detach().double().cpu()

def telling(t)->bool:
    "Are its values different enough for a likeness to mean anything?"
    return t.numel() > 1 and numeric(t).unique().numel() > 1

def alone(f):
    "A row for tensors of the same shape."
    def row(got, want, sizes):
        if got.shape != want.shape or not telling(want): return ''
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
                if close(want.narrow(d, at, n), got): return f'Along axis {d} the {where} entry is missing: {n} and not {m}.'
        if n == m + 1 and m:
            for at, where in ((0, 'end'), (1, 'beginning')):
                if close(got.narrow(d, at, m), want): return f'Along axis {d} there is an entry too many at its {where}.'
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
    if (got < 0).any() and close(got.abs(), want): return 'The sizes are right, and some signs are not: an `abs` is missing.'
    if (want >= 0).all() and close((-got).relu(), want) and telling(got): return 'The sign is turned round, and nothing is cut.'
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

def factor_text(f, sizes):
    big = f if abs(f) > 1 else 1/f
    times = f'{abs(f):.4g} times the right value' if abs(f) > 1 else f'the right value divided by {abs(big):.4g}'
    sign = ', and the sign is turned round' if f < 0 else ''
    names = [n for n, s in sizes.items() if s > 1 and math.isclose(s, abs(big), rel_tol=1e-3)]
    if not names: return f'Yours is {times} everywhere{sign}: a factor is missing, or one too many.'
    did = ('You add up where the mean is asked, or multiply by it once too often' if abs(f) > 1 else
           'You take the mean where the sum is asked, or divide by it once too often')
    return f'Yours is {times}{sign}; {abs(big):.4g} is {" or ".join(names[:2])}. {did}.'

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
        if value.isfinite().all() and telling(value) and close(got, value) and not close(value, want): return f'Yours is {what}: {means}.'
    if telling(got) and (got >= 0).all() and (got <= 1).all() and close(got.clamp(0, 1), want.clamp(0, 1)):
        return 'Values beyond 0 … 1 are cut, and they should stay.'
    if want.min() >= 0 and want.max() <= 1 and not close(got, want) and close(got.clamp(0, 1), want):
        return 'Values lie outside of 0 … 1, the rest is right: `clamp(0, 1)` at the end is missing.'
    return ''

@alone
def first_for_all(got, want, sizes):
    if len(want) < 2: return ''
    for i, which in ((0, 'first'), (-1, 'last')):
        others = [w for j, w in enumerate(want) if j != i % len(want)]
        if close(got, want[i].expand_as(got)) and not all(close(w, want[i]) for w in others):
            return (f'Every picture gets what is right for the {which}. Is there an index `[{i}]` that should be the '
                    "picture's own, or a variable that keeps its last value?")
        if want.ndim > 0 and close(got[i], want[i]) and all(not close(g, w) for j, (g, w) in
                                                            enumerate(zip(got, want)) if j != i % len(want)):
            if got[i].numel() > 1 or len(want) > 2:
                return (f'Only the {which} picture is right: something of it, its class, its weights or its scale, '
                        f'is used for all of them. Look for `[{i}]`, or for an axis that is missing.')
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
        return f'Yours is off by {off.flatten()[0].item():+.4g} everywhere: something is added or subtracted that should not be, or is missing.'
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
        return 'It is right where the right value is not 0, and elsewhere it should be 0: something is to be cut or masked.'
    return ''

@alone
def edge_only(got, want, sizes):
    "Right inside, wrong at the border."
    if want.ndim < 2 or min(want.shape[-2:]) < 4: return ''
    off = ~torch.isclose(got, want, rtol=1e-4, atol=1e-6 + 1e-5*want.abs().max().item())
    if off.any() and not off[..., 1:-1, 1:-1].any():
        return 'It is right inside and wrong along the border: look at the padding, or at `align_corners`.'
    return ''

LIKENESS = (number_of_axes, every_with_every, axes_exchanged, shape_only, all_reduced, axis_reduced, axis_kept, cut_short,
            other_size, nothing, not_finite, opposite, cut, scaled, stretched, scaled_each, a_function_of_it,
            first_for_all, batch_turned, shifted, exchanged_values, partly_zero, edge_only)

def compared(got, want, sizes)->list: # of texts, '' where a row does not fit
    return [row(got, want, sizes) for row in LIKENESS]

# ---- What is no tensor

def kind(v)->str:
    "What a value is, in a word."
    if v is None: return 'nothing (None)'
    for of, word in ((Tensor, 'a tensor'), (np.ndarray, 'a NumPy array'), (bool, 'True or False'), (str, 'a string'),
                     (torch.nn.Module, 'a network or layer'), (torch.Size, 'a shape'), (dict, 'a dict'),
                     (list, 'a list'), (tuple, 'a tuple'), (set, 'a set'), (numbers.Integral, 'a whole number'),
                     (numbers.Real, 'a number')):
        if isinstance(v, of): return word
    if hasattr(v, '__next__'): return 'a generator'
    return 'a function' if callable(v) else f'a {type(v).__name__}'

HOW = {('a list', 'a tensor'): '`torch.stack` makes one of a list of tensors, `torch.tensor` of numbers.',
       ('a tuple', 'a tensor'): 'Some calls, such as `max(1)` or `torch.autograd.grad`, give several: take the one you need.',
       ('a NumPy array', 'a tensor'): 'Stay with torch: `.numpy()` leaves the graph and the device.',
       ('a number', 'a tensor'): 'Leave out `.item()`.', ('a whole number', 'a tensor'): 'Leave out `.item()`.',
       ('a tensor', 'a number'): '`.item()` makes one of a tensor with one value.',
       ('a tensor', 'a whole number'): '`.item()` makes one of a tensor with one value.',
       ('a tensor', 'True or False'): '`bool(…)` or `.item()` makes one of it.',
       ('a tensor', 'a list'): '`.tolist()` makes one of it.',
       ('a string', 'a network or layer'): 'The name is not the layer: `model.get_submodule(name)` finds it.',
       ('a network or layer', 'a string'): 'The layer itself is not its name: `named_modules()` gives both.',
       ('a generator', 'a list'): '`list(…)` makes one of it.'}

def other_kind(got, want, name='the result')->str:
    "Another sort of thing than what is asked, said before anything is done with it; '' if it is of that sort."
    mine, asked = kind(got), kind(want)
    if mine == asked or {mine, asked} <= {'a number', 'a whole number'} or alike_kinds(got, want): return ''
    how = 'Is there a `return`?' if got is None else HOW.get((mine, asked), '')
    right = ' The numbers in it are right.' if isinstance(want, Tensor) and right_numbers(got, want) else ''
    return f'{name} should be {asked}, and it is {mine}.{right} {how}'.rstrip()

def alike_kinds(a, b):
    return isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) or callable(a) and callable(b) and not (
        isinstance(a, torch.nn.Module) or isinstance(b, torch.nn.Module))

def right_numbers(got, want)->bool:
    try: got = torch.stack([torch.as_tensor(g) for g in got]) if isinstance(got, (list, tuple)) else torch.as_tensor(got)
    except (ValueError, TypeError, RuntimeError): return False
    return got.numel() == want.numel() and close(got.reshape(want.shape), want)

def dtypes(got, want):
    if got.dtype == want.dtype: return ''
    if not close(got.to(want.dtype), want) if got.shape == want.shape else True: return ''
    return (f'The values are right, but of another type: {str(got.dtype)[6:]} where {str(want.dtype)[6:]} is asked. '
            f'`.to(…)`, `.float()` or `.long()` changes it.')

def a_number(got, want, sizes=())->str:
    "One number where another is asked."
    plain = [isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in (got, want)]
    if not all(plain) or want == 0 or got == 0: return ''
    sizes = dict(sizes)
    if math.isclose(got, -want, rel_tol=1e-4): return 'The sign is turned round.'
    if math.isclose(got, 1 - want, rel_tol=1e-4) and 0 <= want <= 1: return 'This is 1 minus what is asked: the rest of it.'
    if math.isclose(got, 100*want, rel_tol=1e-4): return 'This is in percent, and a share between 0 and 1 is asked.'
    if math.isclose(got*want, 1, rel_tol=1e-4): return 'It is upside down: one over what is asked.'
    if math.isclose(got, want*want, rel_tol=1e-4): return 'This is the square: the root is missing.'
    if want > 0 and math.isclose(got, want**.5, rel_tol=1e-4): return 'This is the root of what is asked.'
    if isinstance(got, int) and isinstance(want, int) and abs(got - want) == 1:
        return f'It is {"one too many" if got > want else "one too few"}: is an end counted wrongly, or the network itself?'
    named = any(s > 1 and math.isclose(s, max(abs(got/want), abs(want/got)), rel_tol=1e-3) for s in sizes.values())
    whole = any(math.isclose(r, round(r), rel_tol=1e-4) and 2 <= abs(r) <= 64 for r in (got/want, want/got))
    return factor_text(got/want, sizes) if named or whole and not isinstance(want, int) else ''

def rows(got, want)->str:
    "Lists, tuples: other order, other length, parts exchanged."
    if got is want or not want: return ''
    got, want = list(got), list(want)
    try: same = [same_part(a, b) for a, b in zip(got, want)]
    except (TypeError, ValueError, RuntimeError): return ''
    if len(got) == len(want):
        if all(same): return ''
        if all(any(same_part(a, b) for b in want) for a in got) and all(any(same_part(a, b) for a in got) for b in want):
            return 'The right parts, in another order' + (': the two are exchanged.' if len(want) == 2 else '.')
        return ''
    few, many = sorted((got, want), key=len)
    if all(any(same_part(a, b) for b in many) for a in few):
        n = len(many) - len(few)
        return f'{"Parts are" if n > 1 else "A part is"} {"too many" if len(got) > len(want) else "missing"}: {len(got)} and not {len(want)}.'
    return ''

def same_part(a, b):
    if isinstance(a, Tensor) and isinstance(b, Tensor): return close(a, b)
    return type(a) is type(b) and not isinstance(a, Tensor) and bool(a == b)

def keyed(got, want)->str:
    if set(got) != set(want):
        missing, more = [k for k in want if k not in got], [k for k in got if k not in want]
        parts = ([f'{shortened(missing)} missing'] if missing else []) + ([f'{shortened(more)} too many'] if more else [])
        return f'The keys differ: {" and ".join(parts)}.'
    return 'The keys are right, but in another order.' if list(got) != list(want) else ''

# ---- Put together

def first_difference(got, want, name='the result'):
    "The first pair `(got, want, name)` deep inside two values that are not the same; None if there is none."
    if isinstance(want, dict) and isinstance(got, dict) and list(got) == list(want):
        return first_of(first_difference(got[k], want[k], str(k)) for k in want)
    if type(want) in (list, tuple) and isinstance(got, (list, tuple)) and len(got) == len(want) and not rows(got, want):
        return first_of(first_difference(g, w, name) for g, w in zip(got, want))
    if isinstance(got, Tensor) and isinstance(want, Tensor):
        return None if close(got, want) and got.dtype == want.dtype else (got, want, name)
    try: same = bool(type(got) is type(want) and got == want)
    except (TypeError, ValueError, RuntimeError): same = got is want
    near = isinstance(got, float) and isinstance(want, (int, float)) and math.isclose(got, want, rel_tol=1e-4, abs_tol=1e-6)
    return None if same or near else (got, want, name)

def first_of(found): return next((x for x in found if x is not None), None)

def of_pair(got, want, name, sizes)->list: # of texts
    "What fits one pair; for tensors one text for each row of LIKENESS."
    if text := other_kind(got, want, name): return [text]
    if isinstance(want, Tensor): return [dtypes(got, want), *compared(got, want, sizes)]
    if isinstance(want, dict): return [keyed(got, want)]
    if isinstance(want, (list, tuple)): return [rows(got, want)]
    if isinstance(want, bool): return [f'{name} should be {want}, and it is {got}: the other way round.'] if name == 'the result' else ['']
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
    fits = [i for i in range(len(found[0][1])) if all(t[i] or too_small(p) for p, t in found) and any(t[i] for _, t in found)]
    return next((next(t[i] for _, t in found if t[i]) for i in fits), '')

def too_small(pair):
    "Too few values to be sure of anything."
    return isinstance(pair[1], Tensor) and not telling(pair[1])

def sizes_of(args)->dict: # what it counts -> how many
    "The sizes that a factor may be, read from the tensors among the arguments."
    found = {}
    for name, v in args.items():
        if not isinstance(v, Tensor) or v.ndim < 1: continue
        found[f'the number of pictures, the length of `{name}`'] = v.shape[0]
        if v.ndim > 1: found[f'the number of channels or columns, axis 1 of `{name}`'] = v.shape[1]
        if v.ndim > 2:
            found[f'h·w, the number of places of `{name}`'] = math.prod(v.shape[-2:])
            found[f'C·h·w, the number of values of one picture in `{name}`'] = v[0].numel()
            found[f'N·h·w of `{name}`'] = v.shape[0]*math.prod(v.shape[-2:])
            found[f'N·C of `{name}`'] = v.shape[0]*v.shape[1]
            found[f'the height of `{name}`'], found[f'the width of `{name}`'] = v.shape[-2:]
        found[f'the number of all values of `{name}`'] = v.numel()
    return found
