"Another sort of thing than is asked; numbers, lists and dicts that are nearly right; what a factor may stand for."
from itertools import combinations
import math, numbers

import numpy as np
import torch
from torch import Tensor

from camtutor.exercises.compare import close
from camtutor.exercises.trace import shortened

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
       ('a tuple', 'a tensor'): 'Some calls, such as `max(1)` or `torch.autograd.grad`, give several: take the one you '
                                'need.',
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
    return f'{name[:1].upper() + name[1:]} should be {asked}, and it is {mine}.{right} {how}'.rstrip()

def alike_kinds(a, b):
    return isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) or callable(a) and callable(b) and not (
        isinstance(a, torch.nn.Module) or isinstance(b, torch.nn.Module))

def right_numbers(got, want)->bool:
    several = isinstance(got, (list, tuple))
    try: got = torch.stack(list(map(torch.as_tensor, got))) if several else torch.as_tensor(got)
    except (ValueError, TypeError, RuntimeError): return False
    return got.numel() == want.numel() and close(got.reshape(want.shape), want)

NUMBERS = ((lambda w: -w, 'The sign is turned round.'),
           (lambda w: 1 - w if 0 <= w <= 1 else math.nan, 'This is 1 minus what is asked: the rest of it.'),
           (lambda w: 100*w, 'This is in percent, and a share between 0 and 1 is asked.'),
           (lambda w: 1/w, 'It is upside down: one over what is asked.'),
           (lambda w: w*w, 'This is the square: the root is missing.'),
           (lambda w: w**.5 if w > 0 else math.nan, 'This is the root of what is asked.'))

def a_number(got, want, sizes=())->str:
    "One number where another is asked."
    plain = [isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in (got, want)]
    if not all(plain) or want == 0 or got == 0: return ''
    sizes = dict(sizes)
    found = next((text for f, text in NUMBERS if math.isclose(got, f(want), rel_tol=1e-4)), '')
    if found: return found
    if isinstance(got, int) and isinstance(want, int) and abs(got - want) == 1:
        many = 'many' if got > want else 'few'
        return f'It is one too {many}: is an end counted wrongly, or the network itself?'
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
        if all(same) or not (within(got, want) and within(want, got)): return ''
        return 'The right parts, in another order' + (': the two are exchanged.' if len(want) == 2 else '.')
    few, many = sorted((got, want), key=len)
    if not within(few, many): return ''
    what = 'Parts are' if len(many) - len(few) > 1 else 'A part is'
    return f'{what} {"too many" if len(got) > len(want) else "missing"}: {len(got)} and not {len(want)}.'

def within(few, many): return all(any(same_part(a, b) for b in many) for a in few)

def same_part(a, b):
    if isinstance(a, Tensor) and isinstance(b, Tensor): return close(a, b)
    if type(a) is not type(b) or isinstance(a, (Tensor, dict)): return False
    if isinstance(a, (list, tuple)): return len(a) == len(b) and all(map(same_part, a, b))
    return bool(a == b)

def keyed(got, want)->str:
    if set(got) != set(want):
        missing, more = [k for k in want if k not in got], [k for k in got if k not in want]
        parts = [f'{shortened(v)} {what}' for v, what in ((missing, 'missing'), (more, 'too many')) if v]
        return f'The keys differ: {" and ".join(parts)}.'
    return 'The keys are right, but in another order.' if list(got) != list(want) else ''

def swapped(got, want)->str:
    "Two entries of a dict that have changed places."
    off = [k for k in want if k in got and isinstance(want[k], Tensor) and not same_part(got[k], want[k])]
    for a, b in combinations(off, 2):
        if same_part(got[a], want[b]) and same_part(got[b], want[a]): return f'{a} and {b} are exchanged.'.capitalize()
    return ''

# ---- Factors

def factor_text(f, sizes):
    big = f if abs(f) > 1 else 1/f
    times = f'{abs(f):.4g} times the right value' if abs(f) > 1 else f'the right value divided by {abs(big):.4g}'
    sign = ', and the sign is turned round' if f < 0 else ''
    names = [n for n, s in sizes.items() if s > 1 and math.isclose(s, abs(big), rel_tol=1e-3)]
    if not names: return f'Yours is {times} everywhere{sign}: a factor is missing, or one too many.'
    did = ('You add up where the mean is asked, or multiply by it once too often' if abs(f) > 1 else
           'You take the mean where the sum is asked, or divide by it once too often')
    return f'Yours is {times}{sign}; {abs(big):.4g} is {" or ".join(names[:2])}. {did}.'

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
