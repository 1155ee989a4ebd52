"What maps are made by when many are judged: methods of the tables, functions, or maps that are there already."
from itertools import groupby
from typing import Callable, NamedTuple

from torch import Tensor

from camtutor.errors import CamError, describe, doing, nearest
from camtutor.gradcam import capture
from camtutor.methods import METHODS, apply
from camtutor.show import upsample
from camtutor.truth import BASELINES

class Job(NamedTuple):
    "One method at one layer."
    name:str
    fn:Callable        # (model, x, target) -> maps (N,h,w); None where `maps` are given
    layer:object=None
    formula:Callable=None # of (A, g), where these are all that the method needs
    maps:Tensor=None   # a map for each picture (N,h,w)

def key_of(job): return job.name, str(job.layer or '')   # as it stands in the result file

def all_jobs(methods, layers):
    "What is to be done for all methods, see `evaluate`."
    methods = methods if isinstance(methods, dict) else dict.fromkeys(listed(methods))
    return [job for name, fn in methods.items() for job in jobs_of(name, fn, listed(layers))]

def listed(names):
    "One name, or several, as a list of them."
    return [names] if names is None or isinstance(names, str) else names

def jobs_of(name, fn, layers):
    "What is to be done for one method: at each layer, if it looks at one."
    if isinstance(fn, Tensor): return [Job(name, None, maps=fn)]
    if fn is not None: return [Job(name, fn)]
    if name in BASELINES: return [Job(name, lambda model, x, target: BASELINES[name](x))]
    if name not in METHODS: raise CamError(f"there is no method {name!r}. {nearest(name, [*METHODS, *BASELINES])}")
    fn, needs = METHODS[name].fn, METHODS[name].needs
    layers = layers if needs != 'network' else [None]
    return [Job(name, by_key(name, l), l, fn if needs == 'gradients' else None) for l in layers]

def by_key(name, layer):
    "A method of the table as a function; of pixels the largest absolute value of the channels."
    row = METHODS[name]
    def fn(model, x, target):
        raw = apply(row, model, x, layer, target.tolist()).raw
        return raw if row.kind == 'map' else raw.abs().amax(1)
    return fn

def check_maps(job, n):
    "`CamError` unless given maps are as many as there are pictures (None: not known)."
    if job.maps is not None and n not in (None, len(job.maps)):
        raise CamError(f"{len(job.maps)} maps of {job.name!r}, but there are {n} pictures. Give one for each.")

# ---- maps

def maps_by(jobs, model, x, target, numbers=None):
    "The maps of all jobs: (job, (N,H,W)), one after the other."
    shared = sorted((j for j in jobs if j.formula), key=lambda j: str(j.layer))
    for layer, same in groupby(shared, key=lambda j: j.layer):
        kept = capture(model, x, layer, target.tolist())
        for j in same: yield j, fitted(j.formula(kept.acts, kept.grads), x, j.name)
    for j in jobs:
        if not j.formula: yield j, fitted(made(j, model, x, target, numbers), x, j.name)

def made(job, model, x, target, numbers):
    "The maps of one job, of any size."
    if job.maps is not None: return job.maps[numbers].to(x.device)
    with doing(f'Making maps by {job.name!r}'): return job.fn(model, x, target)

def fitted(m, x, name):
    "The maps at the pictures' size."
    if not isinstance(m, Tensor) or m.ndim != 3 or len(m) != len(x):
        raise CamError(f"{name!r} gave {describe(m)} for {len(x)} pictures. It must be maps ({len(x)},h,w).")
    return upsample(m.detach().float(), x.shape[2:])
