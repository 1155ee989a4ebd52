"Is one value another, and how do two values differ, in words."
import math

import torch
from torch import Tensor

from camtutor.course import check_tensor
from camtutor.exercises.trace import shortened

def without_nan(v):
    "The same with a number in the place of nan, so that two results with nan at the same places are alike."
    if isinstance(v, Tensor) and v.is_complex(): v = torch.view_as_real(v)
    if isinstance(v, Tensor) and v.is_floating_point(): return v.nan_to_num(9e9)
    if isinstance(v, dict): return {k: without_nan(x) for k, x in v.items()}
    if type(v) in (list, tuple): return [without_nan(x) for x in v]
    return 9e9 if isinstance(v, float) and v != v else v

def difference(got, want, name='the result')->str:
    "How `got` differs from `want`, in words: type, shape, dtype, not finite, values, in this order; '' if it does not."
    looks = {Tensor: tensors_differ, dict: dicts_differ, (list, tuple): rows_differ, float: floats_differ}
    for kind, look in looks.items():
        if isinstance(want, kind): return look(got, want, name)
    if type(got) is not type(want) or got != want: return f'{name} should be {want!r}, but it is {shortened(got)}.'
    return ''

def tensors_differ(got, want, name):
    if got is None: return f'{name} is None. Is there a `return`?'
    try: check_tensor(got, want, name=name)
    except AssertionError as e: return str(e)
    return ''

def dicts_differ(got, want, name):
    if not isinstance(got, dict): return f'{name} should be a dict, but it is {type(got).__name__}.'
    if list(got) != list(want): return f'{name} should have the keys {list(want)}, but it has {list(got)}.'
    return next(filter(None, (difference(got[k], want[k], str(k)) for k in want)), '')

def rows_differ(got, want, name):
    if not isinstance(got, (list, tuple)):
        return f'{name} should be a {type(want).__name__}, but it is {type(got).__name__}.'
    if len(got) != len(want): return f'{name} should have {len(want)} parts, but it has {len(got)}.'
    return next(filter(None, (difference(g, w, f'{name}[{i}]') for i, (g, w) in enumerate(zip(got, want)))), '')

def floats_differ(got, want, name):
    number = isinstance(got, (int, float))
    if number and (math.isclose(got, want, rel_tol=1e-4, abs_tol=1e-6) or got != got and want != want): return ''
    return f'{name} should be {want:.6g}, but it is {format(got, ".6g") if isinstance(got, float) else got}.'

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
