"""The Linear that reads global average pooling, found by watching the network run; where there is none, why not."""
from math import prod
from typing import NamedTuple

import torch, torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from camtutor.engine.inputs import network
from camtutor.engine.modes import evaluating
from camtutor.engine.targets import scores_of
from camtutor.engine.trace import call, main_input, places_of
from camtutor.errors import CamError, doing

class Head(NamedTuple):
    "A linear head on global average pooling: what it pools, and what it multiplies with."
    acts:Tensor   # (N,C,*places)
    weight:Tensor # (K,C)
    bias:Tensor   # (K,), or None

class Reading(NamedTuple):
    "What one Linear was given, and gave."
    maps:Tensor   # the latest maps (N,C,*places) before it
    z:Tensor      # its input (N,C)
    weight:Tensor # (K,C)
    bias:Tensor   # (K,), or None
    out:Tensor    # (N,K)

class Watch(TorchFunctionMode):
    "Keeps the latest maps (N,C,*places), and a `Reading` of each Linear on (N,C)."
    def __init__(self, places=2):
        super().__init__()
        self.ndim, self.maps, self.linears = places + 2, None, ()

    def __torch_function__(self, f, types, args=(), kwargs=None):
        out = f(*args, **(kwargs or {}))
        if f is F.linear and out.ndim == 2: self.linears += (reading(self.maps, out.clone(), *args, **(kwargs or {})),)
        elif isinstance(out, Tensor) and out.ndim == self.ndim and is_map(*out.shape): self.maps = out
        return out

def reading(maps, out, input, weight, bias=None): return Reading(maps, input, weight, bias, out)

def is_map(n, c, *places): # a pooled (N,C,1,1) is none, nor the same with channels last
    return prod(places) > 1 and c * prod(places[:-1]) > 1

def is_mean(z, acts)->bool:
    "Is z (N,C) the mean over places of the maps (N,C,*places)?"
    if acts is None or z.shape != acts.shape[:2]: return False
    tol = 1e-4 if z.dtype in (torch.float32, torch.float64) else 2e-2
    return bool((z - acts.flatten(2).mean(2)).abs().max() <= tol * z.abs().max())

def is_scores(out, o)->bool:
    "Are `out`, what the network gave, the scores `o` (N,K), or their softmax?"
    out = scores_of(out)
    if not isinstance(out, Tensor) or out.shape != o.shape: return False
    return any(torch.allclose(out, s, equal_nan=True) for s in (o, o.softmax(1), o.log_softmax(1)))

def bare(t): return None if t is None else t.detach()

@doing('Looking for the head')
def find_head(
    model,         # ends in global average pooling and one Linear
    x:Tensor=None, # a batch it accepts; None = one noise picture, 224×224
)->Head:           # acts (N,C,*places), weight (K,C), bias (K,)
    """Run `model` once and find the Linear that gives the scores, and what it pools.

    `CamError`, with the reason, if CAM is not exact there."""
    model = network(model)
    with Watch(2 if x is None else len(places_of(x))) as seen: out = run_once(model, x)
    head = head_in(seen, out)
    if head: return head
    raise CamError(f"CAM of a {type(model).__name__}: {why_not(seen)} CAM is exact only for "
                   "pooling and one Linear. Use Grad-CAM, which works with any head, or make a "
                   "head that CAM can read: gap_head(body, n_classes) and retrain_head.")

def head_in(seen, out)->Head:
    "The head among what a `Watch` has seen of a pass that gave `out`; None where CAM is not exact."
    for l in seen.linears:
        if is_mean(l.z, l.maps) and is_scores(out, l.out): return Head(bare(l.maps), bare(l.weight), bare(l.bias))

def head_weight(
    model,         # ends in global average pooling and one Linear
    x:Tensor=None, # a batch it accepts; None = one noise picture, 224×224
)->Tensor:         # (K,C), shares memory with the model
    "The weight (K,C) of the Linear that reads global average pooling. `CamError` where CAM is not exact."
    return find_head(model, x).weight

def probe(model, size=224)->Tensor:
    "A fixed noise picture (1,C,size,size) like the ones `model` reads."
    conv = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    if conv is None: raise CamError(f"this {type(model).__name__} has no Conv2d, so there are no maps over places.")
    noise = torch.rand(1, conv.in_channels, size, size, generator=torch.Generator().manual_seed(0))
    return noise.to(conv.weight)

def run_once(model, x=None):
    "What `model` gives for `x`, or for a probe; a failure becomes a `CamError` that says how it was run."
    model = network(model)
    hint = "Give a batch that it accepts as x=…" if x is None else "Check its shape, dtype and device."
    x = probe(model) if x is None else x
    try:
        with evaluating(model), torch.no_grad(): return call(model, x)
    except RuntimeError as e:
        shape = tuple(main_input(x).shape)
        raise CamError(f"the {type(model).__name__} failed on a batch {shape} ({e}). {hint}") from e

def why_not(seen)->str:
    "What stands between the last map and the scores: one or two sentences."
    if seen.maps is None: return "no map over places was seen while it ran (a compiled or scripted model hides them)."
    last = tuple(seen.maps.shape)
    if not seen.linears:
        return f"no Linear layer ran. If {last[1]} is the number of classes, its last map {last} already is the CAM."
    z = seen.linears[-1].z
    if is_mean(z, seen.linears[-1].maps):
        return ("what it gives are not the scores of its Linear: something comes after it, "
                "or several outputs are put together.")
    after = [l.weight for l in seen.linears if l.maps is seen.maps]
    if len(after) > 1:
        return f"{len(after)} Linear layers follow the last map {last}: {chain(after)}, with a hidden layer between."
    if z[0].numel() == seen.maps[0].numel(): return f"its Linear reads the last map {last} flattened, without pooling."
    return (f"its Linear reads {z.shape[1]} numbers that are not the mean over places of the last map {last} "
            "(other pooling, or a norm after it).")

def chain(weights): return ' → '.join(str(w.shape[1]) for w in weights) + f' → {weights[-1].shape[0]}'

# ---- weights and features that fit

def common_dtype(weight, A):
    "The common dtype of weight (K,C) and activations (N,C,h,w), if they fit."
    if weight.ndim != 2 or A.ndim < 3 or weight.shape[1] != A.shape[1]:
        raise CamError(f"weight {tuple(weight.shape)} and activations {tuple(A.shape)} do not fit; "
                       "they must be (K,C) and (N,C,h,w) with the same C. Hook the layer that "
                       "global average pooling reads; for one image keep N with A[None].")
    if weight.device != A.device: raise CamError(f"the weight is on {weight.device}, the "
                                                 f"activations on {A.device}. Move one of them.")
    return torch.promote_types(weight.dtype, A.dtype)

def pooled_features(net, batches):
    "The pooled features (M,C) and labels (M,) of all batches, computed once."
    place = next(net.parameters())
    with evaluating(net), torch.no_grad():
        pairs = [(net[1][:-1](net[0](x.to(place.device))), y.to(place.device)) for x, y in batches]
    if not pairs: raise CamError("there was no batch to learn from.")
    return map(torch.cat, zip(*pairs))

def last_linear(net):
    "The Linear of a network that `gap_head` has made."
    parts = list(net) if isinstance(net, nn.Sequential) else []
    if len(parts) == 2 and isinstance(parts[1], nn.Sequential) and isinstance(parts[1][-1], nn.Linear):
        return net[1][-1].requires_grad_()
    raise CamError(f"expected nn.Sequential(body, head) as gap_head makes it, got {type(net).__name__}.")
