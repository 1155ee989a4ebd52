"""What is explained: one number for each image, made from what the network gave."""
from copy import copy
from dataclasses import dataclass, fields, is_dataclass
from math import isfinite
from typing import Callable

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from camtutor.errors import CamError, describe, nearest

@dataclass(frozen=True)
class At:
    "A target that is read from a layer instead of the output."
    layer:object   # a name or a module
    fn:Callable    # its activations -> a score for each image (N,)
    title:str      # what is explained, in words

def title_of(target)->str:
    "What a target that is no class is called."
    if isinstance(target, At): return target.title
    return getattr(target, '__name__', type(target).__name__).replace('<lambda>', 'function')

# ---- outputs of any kind

def map_tensors(fn, out):
    "What a network gave, with `fn` of each tensor in it; in tuples, dicts and dataclasses too."
    def leaf(o):
        if isinstance(o, Tensor): return fn(o)
        if not is_dataclass(o) or isinstance(o, type): return o
        new = copy(o)
        for f in fields(o): object.__setattr__(new, f.name, map_tensors(fn, getattr(o, f.name)))
        return new
    return tree_map(leaf, out)

def tensors_of(out)->list:
    "The floating-point tensors in an output, in order."
    found = []
    map_tensors(lambda t: found.append(t) or t, out)
    return [t for t in found if t.is_floating_point()]

def scores_of(out):
    "The score matrix in an output: itself, `.logits`, the logits of (probabilities, logits), or all that a dict holds."
    if isinstance(out, Tensor): return out
    if isinstance(getattr(out, 'logits', None), Tensor): return out.logits
    if isinstance(out, dict) and len(out) == 1: return scores_of(*out.values())
    if isinstance(out, (tuple, list)) and len(out) == 2 and all(isinstance(o, Tensor) for o in out):
        probabilities, logits = out
        if is_softmax_of(probabilities, logits): return logits
    return out

def is_softmax_of(p, logits)->bool:
    "Are these the probabilities of those scores (N,K)?"
    if p.ndim != 2 or p.shape != logits.shape or not logits.is_floating_point(): return False
    return torch.allclose(p.detach(), logits.detach().softmax(1).to(p.dtype), atol=1e-3)

# ---- classes

def plain(t):
    "Numbers of Python in the place of a tensor, an array or numpy's own numbers."
    return t.tolist() if hasattr(t, 'tolist') else t

def class_numbers(target, n, k, vocab=None)->list:
    "`target` as N class numbers, each checked against the K there are; names are looked up in `vocab`."
    target = plain(target)
    idx = list(target) if isinstance(target, (list, tuple, range)) else [target] * n
    if len(idx) != n: raise CamError(_miscounted(idx, n))
    return [_class_number(plain(i), n, k, vocab) for i in idx]

def by_number(target, vocab=None):
    "`target` with class names replaced by their numbers."
    if isinstance(target, (list, tuple)): return [by_number(t, vocab) for t in target]
    return class_called(target, vocab) if isinstance(target, str) else target

def _class_number(i, n, k, vocab):
    if isinstance(i, str): return class_called(i, vocab)
    if isinstance(i, bool) or not isinstance(i, int):
        raise CamError(f"the target {i!r} is a {type(i).__name__}, not a class. "
                       f"Give None, an int, {n} int{'s' * (n > 1)}, or a callable out -> (N,).")
    if 0 <= i < k: return i
    raise CamError(f"class {i} is out of range: the model gives {k} scores, so classes run from 0 to {k - 1}.")

def class_called(name, vocab)->int:
    "The number of a class, by its name."
    if vocab is None:
        raise CamError(f"the target {name!r} is a name, but no list of class names is known here. "
                       "Set model.vocab to one, or give the class's number.")
    if name in vocab: return vocab.index(name)
    raise CamError(f"there is no class {name!r}. {nearest(name, vocab)}")

def _miscounted(idx, n):
    shown = ', '.join(map(str, idx[:8]))
    have = f"{n} image{'s' * (n != 1)} but {len(idx)} target{'s' * (len(idx) != 1)}" + f" ({shown})" * bool(idx)
    return f"{have}. Give one class for all of them as an int" + (f', or {n} classes.' if n > 1 else '.')

# ---- scores

def class_score(
    out,         # what the model gave: scores (N,K), before any softmax, or an output that holds them
    target=None, # None (each image's top class) | int or name | N of them | callable out -> (N,) or (K,N)
    n=None,      # how many images there are; None = the length of `out`, if it is a tensor
    vocab=None,  # class names, for targets that are names
)->Tensor:       # one score for each image (N,); what a callable gave, as it is
    "The score to explain (N,). `CamError` for a wrong number of targets, a class out of range, no score matrix, NaN."
    if callable(target):
        return _checked_score(target(out), out, n or (len(out) if isinstance(out, Tensor) else None))
    scores = score_matrix(out)
    _check_not_softmax(scores)
    if target is None: return _finite(scores.gather(1, scores.argmax(1)[:, None])[:, 0])
    idx = class_numbers(target, *scores.shape, vocab)
    if len(set(idx)) == 1: return _finite(scores[:, idx[0]])
    return _finite(scores.gather(1, torch.as_tensor(idx, device=scores.device)[:, None])[:, 0])

def score_matrix(out)->Tensor: # (N,K)
    "The scores in an output; a `CamError` that says how to choose one if there is no such matrix."
    scores = scores_of(out)
    if isinstance(scores, Tensor) and scores.ndim == 2 and scores.shape[1]: return scores
    raise CamError(f"the model gave {_short(out)}, not scores (N,K). "
                   f"Say what to explain with a callable, for example target=lambda out: {_first_score(out)}.")

def _short(o): return f"a tensor {tuple(o.shape)}" if isinstance(o, Tensor) else describe(o)

def _first_score(out):
    "The Python that takes one score of each image from an output that is no (N,K)."
    where = 'out'
    while isinstance(out, (dict, tuple, list)) and len(out):
        key = next(iter(out)) if isinstance(out, dict) else 0
        where, out = f'{where}[{key!r}]', out[key]
    if not isinstance(out, Tensor): return f'{where}.logits[:, 0]'
    if out.ndim == 1: return where
    return f'{where}[:, 0]' + '.flatten(1).mean(1)' * (out.ndim > 2)

def _checked_score(score, out, n):
    "What a callable target returned for `n` images: one finite score for each, or K of them."
    if not _is_for_each_image(score, n):
        raise CamError(f"the target function returned {_short(score)} for {n or 'a batch of'} images. It must return "
                       f"one score for each: (N,), or (K,N) for K scores, for example lambda out: {_first_score(out)}.")
    if not score.is_floating_point():
        raise CamError(f"the target function returned {score.dtype} numbers, which "
                       "have no gradient. Return scores, not classes.")
    if score.ndim == 2 and len(score) == n > 1 and _has_a_row_for_each_image(score, out):
        raise CamError(f"the target function returned {(n, n)}, with a row for each image. "
                       "Give a row for each score, (K,N): add .T.")
    return _finite(score)

def _is_for_each_image(score, n):
    "Is it (N,) or (K,N)?"
    if not isinstance(score, Tensor) or score.ndim not in (1, 2) or not len(score): return False
    return n in (None, score.shape[-1])

def _has_a_row_for_each_image(score, out):
    "Is score 0 of image 1 really a score of image 0?"
    outs = [t for t in tensors_of(out) if t.requires_grad and t.ndim and len(t) == len(score)]
    if not outs or not score.requires_grad: return False
    grads = torch.autograd.grad(score[0, 1], outs, retain_graph=True, allow_unused=True)
    return any(g is not None and bool(g[0].any() and not g[1].any()) for g in grads)

def _finite(score):
    if isfinite(score.detach().sum()) or score.isfinite().all(): return score
    at = (~score.isfinite()).nonzero()[0]
    raise CamError(f"the score of image {at[-1].item()} is {score[tuple(at)].item()}, which has no gradient to "
                   "explain. Look for NaN in the batch or the weights, or half precision overflowing.")

_COPIES = 'ToCopy', 'View', 'Squeeze', 'Unsqueeze', 'Clone', 'Alias', 'Slice', 'Reshape', 'Flatten'

def _check_not_softmax(out):
    "Refuse probabilities: walk back from `out` through nodes that only copy or reshape."
    node = out.grad_fn
    while node is not None and node.name().startswith(_COPIES) and node.next_functions: node = node.next_functions[0][0]
    if node is not None and 'Softmax' in node.name():
        raise CamError("the model ends in a softmax, and the gradient of a probability vanishes where the model is "
                       "sure. Explain the score before it: take the softmax off the model, or pass "
                       "target=lambda out: out[:, k] with your class's number for k if you mean the probability.")
