"What metrics of maps are given: network, pictures, maps, classes, and what is known of the truth."
from typing import Callable, NamedTuple

from torch import Tensor

from camtutor.engine.ask import ask, classes_of
from camtutor.engine.fast import fast
from camtutor.errors import CamError, doing
from camtutor.show import upsample

class Case(NamedTuple):
    "Maps to be judged, and what a judge may look at. What is not known is None."
    model:object   # the network
    x:Tensor       # pictures as it takes them (N,C,H,W)
    m:Tensor       # maps (N,H,W)
    target:Tensor  # the class that each map is for (N,)
    p:Tensor       # its probability (N,)
    mask:Tensor=None    # where the thing is (N,H,W), bool
    other:Tensor=None   # where the other thing is (N,H,W), bool
    masks:Tensor=None   # where each part is (N,P,H,W), bool
    effects:Tensor=None # how much each part matters to the target (N,P)
    explain:Callable=None # (model, x, target) -> maps (N,h,w), for metrics that need new maps
    noted:dict=None     # what was found of the pictures, for all maps of them

@doing('Judging maps')
def case(model, x, m, target=None, **truth)->Case: # see `Case`; a map may be coarse, a target as for `explain`
    "A case for the metrics: the maps brought to the pictures' size, the classes as numbers, their probability."
    if not isinstance(m, Tensor) or m.ndim != 3 or len(m) != len(x):
        raise CamError(f"there are {len(x)} pictures, so maps must be a tensor ({len(x)},h,w).")
    if not m.isfinite().all(): raise CamError("the maps hold NaN or infinite values.")
    m = m if m.shape[1:] == x.shape[2:] else upsample(m, x.shape[2:])
    c = Case(model, x, m.detach(), classes_of(model, x, target), None, noted={}, **truth)
    return c._replace(p=answer(c, x))

def known(c, name):
    "A field of the case, if it is there."
    if getattr(c, name) is not None: return getattr(c, name)
    raise CamError(f"this metric needs {name}, which is missing. Give {name}=…; see camtutor.metrics.Case.")

def once(c, name, find):
    "What `find()` gives: found once for all cases that share their notes."
    if name not in c.noted: c.noted[name] = find()
    return c.noted[name]

def answer(c, x)->Tensor: # (N,)
    "The probability of the case's classes in these pictures, asked of a faster copy of the network."
    return ask(c.model, x, c.target, runs=once(c, 'fast', lambda: fast(c.model, c.x[:1])))
