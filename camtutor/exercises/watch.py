"Looking at an answer while it is tried: what its calls get, give back, change and leave behind."
# `Watch.of(answer)` is the answer with its eyes on it: before each call the arguments are noted (values, versions,
# parts, modes, hooks, `.grad`, `requires_grad`), and so are grad mode, random numbers and warning filters; after the
# call, also one that raised, all of it is compared. What was changed is put back at the end of the trial, so that no
# answer spoils the data of the next. With `marked=True` every network gets a hook and a `.grad` of somebody else's
# first, and with `graph=True` every tensor a `requires_grad`: then it shows who wipes them or loses the graph.
from dataclasses import dataclass
from functools import wraps
import inspect, random, types, warnings

import numpy as np
import torch
from torch import Tensor, nn

from camtutor.exercises.guard import OURS
from camtutor.exercises.kinds import sizes_of

OURS.add(__file__)

HOOKS = '_forward_hooks', '_forward_pre_hooks', '_backward_hooks', '_backward_pre_hooks'

SAYS = dict(
    value='You change {0} in place, and whoever called still needs it: look for `relu_`, `+=`, `[…] =`, `clamp_`; '
          'work on a copy.',
    marked='{0} is marked with `requires_grad` afterwards. Work on `{1}.detach()`, which is a tensor of your own.',
    grad='You leave a `.grad` on {0}. Ask `torch.autograd.grad` for the one gradient that you want.',
    wiped='The `.grad` that {0} had before is gone or changed: somebody collects gradients there. Neither '
          '`backward()` nor `zero_grad()`: `torch.autograd.grad` touches no `.grad`.',
    hook='You leave a hook on {0}. Keep its handle and call `remove()`, in a `finally`.',
    hooks='The hooks that others had put on {0} are gone. Remove your own, by its handle, and no other.',
    mode='{0} is in another mode afterwards (`train` or `eval`), or a layer in it is. Note each layer\'s '
         '`training`, and put it back.',
    flags='Parameters of {0} have another `requires_grad` afterwards. It is somebody else\'s network: put back what '
          'you change, or work on a copy.',
    weights='The parameters of {0} are others afterwards. Work on a `deepcopy`, or put them back.',
    buffers='The buffers of {0} have moved: batch norm counts what it sees in training mode. Run it in eval mode, '
            'or run a copy.',
    parts='Layers of {0} are replaced. Work on a `deepcopy`.',
    items='You change {0}, and whoever called still needs it. Make one of your own: `list(…)`, `dict(…)`.',
    gradmode='Gradients are switched {0} afterwards, and before they were not. A `with torch.no_grad():` or '
             '`with torch.enable_grad():` puts it back by itself.',
    random='The random numbers of the session ({0}) have moved on, or begin anew. Draw from a '
           '`torch.Generator().manual_seed(seed)` of your own.',
    filters='The filters of warnings are others afterwards. `with warnings.catch_warnings():` puts them back.')

@dataclass(frozen=True)
class Effect:
    "One thing that an answer has changed or left."
    kind:str # a key of SAYS
    name:str # of the argument, or of what is not as before

    def __str__(self):
        named = f'`{self.name}`' if self.name.isidentifier() else self.name
        return SAYS[self.kind].format(self.name if self.kind in ('gradmode', 'random') else named, self.name)

# ---- What can be noted, compared and put back

class OfTensor:
    def __init__(self, t, name, own=True): # own: an argument itself, not a part of a network
        self.t, self.name, self.own, self.shape, self.needed = t, name, own, t.shape, t.requires_grad
        self.kept, self.version = t.detach().clone(), version(t)
        self.grad = t.grad if t.is_leaf else None
        self.grads = None if self.grad is None else self.grad.detach().clone()

    def changed(self):
        t = self.t
        if self.moved(): yield self.what()
        if t.requires_grad != self.needed: yield 'marked' if self.own else 'flags'
        grad = t.grad if t.is_leaf else None
        if self.grads is None and grad is not None: yield 'grad'
        if self.grads is not None and (grad is None or not equal(grad, self.grads)): yield 'wiped'

    def moved(self):
        if self.own and version(self.t) != self.version: return True
        return self.t.shape != self.shape or not equal(self.t, self.kept)

    def what(self): return 'value' if self.own else 'weights' if isinstance(self.t, nn.Parameter) else 'buffers'

    def put_back(self):
        t = self.t
        if t.shape != self.shape: t.data = self.kept.clone()
        elif self.moved(): t.detach().copy_(self.kept) # a view: what it is a view of, too
        if t.is_leaf:
            t.requires_grad_(self.needed)
            t.grad = self.grad
            if self.grad is not None: self.grad.copy_(self.grads)

def version(t): return None if t.is_inference() else t._version

def equal(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and bool(torch.equal(a, b) or torch.allclose(
        a.detach().double(), b.detach().double(), rtol=0, atol=0, equal_nan=True))

class OfModule:
    "One layer, without those in it."
    DICTS = dict.fromkeys(HOOKS, 'hook') | dict.fromkeys(('_parameters', '_buffers', '_modules'), 'parts')
    def __init__(self, m, name):
        self.m, self.name, self.training = m, name, m.training
        self.kept = {d: dict(getattr(m, d)) for d in self.DICTS}

    def changed(self):
        if self.m.training != self.training: yield 'mode'
        for d, kind in self.DICTS.items():
            now, before = getattr(self.m, d), self.kept[d]
            if kind == 'parts' and not same_items(now, before): yield 'parts'
            if kind == 'hook' and set(now) - set(before): yield 'hook'
            if kind == 'hook' and set(before) - set(now): yield 'hooks'

    def put_back(self):
        self.m.training = self.training
        for d, before in self.kept.items():
            now = getattr(self.m, d)
            if not same_items(now, before):
                now.clear()
                now.update(before)

def same_items(a, b): return list(a) == list(b) and all(x is y for x, y in zip(a.values(), b.values()))

class OfItems:
    "A list, dict or set; what is in it is noted by itself."
    def __init__(self, v, name): self.v, self.name, self.kept = v, name, v.copy()
    def changed(self):
        now, before = list(self.v), list(self.kept)
        if isinstance(self.v, dict): now, before = now + list(self.v.values()), before + list(self.kept.values())
        if len(now) != len(before) or any(a is not b for a, b in zip(now, before)): yield 'items'
    def put_back(self):
        kept = self.kept.copy()
        self.v.clear()
        (self.v.extend if isinstance(self.v, list) else self.v.update)(kept)

class OfArray:
    def __init__(self, v, name): self.v, self.name, self.kept = v, name, v.copy()
    def changed(self):
        if not np.array_equal(self.v, self.kept, equal_nan=self.v.dtype.kind == 'f'): yield 'value'
    def put_back(self):
        if self.v.flags.writeable: self.v[...] = self.kept

def noted(v, name)->list:
    "What there is to compare in an argument, looked through to the bottom."
    if isinstance(v, Tensor): return [OfTensor(v, name)]
    if isinstance(v, nn.Module):
        held = [*v.parameters(), *v.buffers()]
        return [*(OfModule(m, name) for m in v.modules()), *(OfTensor(t, name, own=False) for t in held)]
    if isinstance(v, np.ndarray) and v.dtype != object: return [OfArray(v, name)]
    if type(v) in (list, dict, set): return [OfItems(v, name), *inside(v, name)]
    return inside(v, name) if isinstance(v, tuple) else []

def inside(v, name): return [p for x in (v.values() if isinstance(v, dict) else v) for p in noted(x, name)]

class Session:
    "What belongs to no argument: grad mode, random numbers, warning filters."
    def __init__(self):
        self.grad, self.filters = torch.is_grad_enabled(), warnings.filters[:]
        self.random = self.numbers()
    def numbers(self):
        return dict(torch=torch.random.get_rng_state().numpy().tobytes(),
                    numpy=np.random.get_state()[1].tobytes() + bytes([np.random.get_state()[2] % 256]),
                    Python=hash(random.getstate()))
    def effects(self):
        if torch.is_grad_enabled() != self.grad: yield Effect('gradmode', 'off' if self.grad else 'on')
        for whose, now in self.numbers().items():
            if now != self.random[whose]: yield Effect('random', f"{whose}'s")
        if warnings.filters != self.filters: yield Effect('filters', 'warnings')

# ---- The calls

class Watch:
    "Keeps what the calls of one answer do within one trial; without a reference it does not look."
    def __init__(self, reference, marked=False, graph=False):
        self.reference, self.marked, self.graph = reference, marked, graph
        self.effects, self.given, self.carried, self.marks, self.spoilt = [], [], [], [], []
        self.sizes, self.networks = {}, False

    def of(self, answer):
        "The same function or class, watched."
        if self.reference is None or not callable(answer): return answer
        if inspect.isclass(answer): return self.of_class(answer)
        @wraps(answer)
        def watched(*args, **kwargs): return self.call(answer, args, kwargs)
        return watched

    def of_class(self, answer):
        if issubclass(answer, torch.autograd.Function): return answer
        mine = {n: self.of_method(f) for n, f in vars(answer).items()
                if inspect.isfunction(f) and (n in ('__init__', '__call__') or not n.startswith('_'))}
        return type(answer.__name__, (answer,), mine | dict(__doc__=answer.__doc__, __module__=answer.__module__,
                                                            __qualname__=answer.__qualname__))

    def of_method(self, method):
        @wraps(method)
        def watched(one, *args, **kwargs):
            self.networks |= any(map(modules_in, args))
            self.mark(args)
            parts = [p for v in args for p in noted(v, 'what it is given') if not isinstance(p, OfModule)]
            parts = [p for p in parts if getattr(p, 'own', True)]
            try: return method(one, *args, **kwargs)
            finally: self.compare(parts)
        return watched

    def call(self, answer, args, kwargs):
        if self.graph: args, kwargs = needing(args), needing(kwargs)
        marked = self.mark((*args, *kwargs.values()), grads=True)
        named = self.by_name(args, kwargs)
        self.sizes |= sizes_of(named)
        parts = [p for name, v in named.items() for p in noted(v, name)]
        self.networks |= any(isinstance(p, OfModule) for p in parts)
        session = Session()
        try: result = answer(*args, **kwargs)
        finally:
            self.compare(parts)
            self.effects += session.effects()
            unmark(marked)
        self.given.append(result)
        self.carried.append([t.requires_grad for t in tensors_in(result)])
        return self.of_inner(result) if isinstance(result, types.FunctionType) else result

    def of_inner(self, function):
        "A function that the answer has made."
        @wraps(function)
        def watched(*args, **kwargs):
            if self.graph: args, kwargs = needing(args), needing(kwargs)
            parts = [p for v in args for p in noted(v, 'what it is given') if isinstance(p, OfTensor) and p.own]
            try: result = function(*args, **kwargs)
            finally: self.compare(parts)
            self.given.append(result)
            self.carried.append([t.requires_grad for t in tensors_in(result)])
            return result
        return watched

    def by_name(self, args, kwargs):
        "The arguments by the names that the stub gives them."
        try: return inspect.signature(self.reference).bind(*args, **kwargs).arguments
        except (TypeError, ValueError): return {f'argument {i}': v for i, v in enumerate((*args, *kwargs.values()))}

    def compare(self, parts):
        for p in parts:
            found = list(p.changed())
            self.effects += [Effect(kind, p.name) for kind in found]
            if found: self.spoilt.append(p)

    def mark(self, args, grads=False)->list:
        "Somebody else's hook on every layer, and a `.grad` on every parameter that has none."
        if not self.marked: return []
        networks = [m for v in args for m in modules_in(v)]
        for m in networks:
            if not any(m is other for other, _ in self.marks):
                self.marks.append((m, m.register_forward_hook(lambda *_: None)))
        own = [p for m in networks for p in m.parameters(recurse=False) if grads and p.grad is None]
        for p in own: p.grad = torch.full_like(p, .5)
        return own

    def end(self):
        "After the trial: are the marks there? What was spoilt is put back."
        if any(h.id not in m._forward_hooks for m, h in self.marks): self.effects.append(Effect('hooks', 'the network'))
        for _, h in self.marks: h.remove()
        for p in reversed(self.spoilt): # the first note is of what was there before all calls
            with torch.no_grad(): p.put_back()
        self.effects = list(dict.fromkeys(self.effects))

def unmark(parameters):
    for p in parameters: p.grad = None

def modules_in(v):
    if isinstance(v, nn.Module): return list(v.modules())
    return [m for x in v for m in modules_in(x)] if type(v) in (list, tuple) else []

def tensors_in(v)->list:
    if isinstance(v, Tensor): return [v]
    if isinstance(v, dict): v = list(v.values())
    return [t for x in v for t in tensors_in(x)] if isinstance(v, (list, tuple)) else []

def needing(v):
    "The same with copies of its tensors that require a gradient."
    if isinstance(v, Tensor): return v.detach().clone().requires_grad_() if v.is_floating_point() else v
    if type(v) in (list, tuple): return type(v)(map(needing, v))
    return {k: needing(x) for k, x in v.items()} if type(v) is dict else v
