"Chapter 01: other right answers, in other styles; each must be accepted."
from contextlib import ExitStack, contextmanager
from functools import partial
import torch
from torch import nn

from camtutor.exercises.ch01 import Hook, HookBwd, Hooks, HooksOwn, RunningStats, Store, eval_mode

def note_shape_short(shapes): return lambda module, args, out: shapes.append(tuple(out.shape))

def note_shape_partial(shapes):
    def hook(shapes, module, args, out): shapes += [tuple(out.shape)]
    return partial(hook, shapes)

class StoreClosure:
    def __init__(self, module):
        def see(module, args, out): self.stored = torch.empty_like(out).copy_(out.data)
        self.remove = module.register_forward_hook(see).remove

class StoreSlots:
    __slots__ = 'stored', 'handle'
    def __init__(self, module): self.handle = module.register_forward_hook(lambda *a: self.see(a[-1]))
    def see(self, out):
        with torch.no_grad(): self.stored = out + 0
    def remove(self): self.handle.remove()

class HookLate(Store):
    def __init__(self, module): self.module = module
    def __enter__(self):
        super().__init__(self.module)
        return self
    def __exit__(self, kind, error, trace): self.handle.remove()

class HookSelf(StoreClosure):
    def __enter__(self): return self
    def __exit__(self, *exc): return bool(self.remove())

def count_by_walk(model): return len(model._forward_hooks) + sum(map(count_by_walk, model.children()))

def count_by_names(model):
    n = 0
    for _, m in model.named_modules(): n += len(list(m._forward_hooks.values()))
    return n

class EvalMode:
    def __init__(self, model): self.model = model
    def __enter__(self):
        self.on = [m for m in self.model.modules() if m.training]
        return self.model.eval()
    def __exit__(self, *exc):
        for m in self.on: m.training = True

def eval_mode_class(model): return EvalMode(model)

@contextmanager
def eval_mode_dict(model):
    was = {n: m.training for n, m in model.named_modules()}
    model.eval()
    try: yield model
    finally:
        for n, m in model.named_modules(): m.training = was[n]

class StatsKept:
    def __init__(self, module):
        self.all = []
        self.remove = module.register_forward_hook(lambda m, a, out: self.all.append(out.detach().flatten())).remove
    @property
    def mean(self): return torch.cat(self.all).mean().item()
    @property
    def std(self): return torch.cat(self.all).std(correction=0).item()

class StatsWelford(RunningStats):
    def __init__(self, module):
        super().__init__(module)
        self.m, self.v = 0., 0.
    def see(self, module, args, out):
        x = out.detach().double()
        d, n = x.mean() - self.m, self.n + x.numel()
        self.v = (self.v*self.n + x.var(correction=0)*x.numel() + d**2*self.n*x.numel()/n)/n
        self.m, self.n = self.m + d*x.numel()/n, n
    @property
    def mean(self): return float(self.m)
    @property
    def std(self): return float(self.v)**.5

class HooksStack(Hooks):
    def __init__(self, modules):
        self.stack = ExitStack()
        self.hooks = [self.stack.enter_context(Hook(m)) for m in modules]
    def remove(self): self.stack.close()

def get_layer_walk(model, layer):
    if isinstance(layer, nn.Module): return layer
    for part in layer.split('.'): model = getattr(model, part)
    return model

def get_layer_torch(model, layer): return model.get_submodule(layer) if isinstance(layer, str) else layer

def feature_layers_walk(model, x):
    "Hooks nothing inside a block."
    def stops(m, path):
        for name, child in m.named_children():
            if isinstance(child, nn.Sequential): yield from stops(child, f'{path}{name}.')
            yield path + name, child
    seen = {}
    with ExitStack() as stack:
        stack.enter_context(eval_mode(model))
        for name, m in stops(model, ''):
            def see(m, args, out, name=name): seen.setdefault(name, []).append(out)
            stack.callback(m.register_forward_hook(see).remove)
        model(x)
    once = [(n, o[0]) for n, o in seen.items() if len(o) == 1 and o[0].ndim == 4 and o[0].shape[2:] != (1, 1)]
    return {n: tuple(o.shape[1:]) for i, (n, o) in enumerate(once) if not any(o is later for _, later in once[i+1:])}

def feature_layers_kinds(model, x):
    "Follows the last output from module to module, as the library does; in-place layers would count, too."
    found, ran, inside, last = [], [], [], (None, 0)
    def note(m, args, out):
        nonlocal last
        name = names[m]
        ran.append(name)
        if type(m) is not nn.Sequential and len(m._modules): inside.append(name + '.')
        if name and torch.is_tensor(out) and out.dim() == 4 and out.size(2)*out.size(3) > 1:
            if out is last[0] and out._version == last[1]: found.pop()
            found.append((name, tuple(out.shape)[1:]))
            last = out, out._version
    names = {m: n for n, m in model.named_modules()}
    handles = [m.register_forward_hook(note) for m in names]
    try:
        with torch.no_grad(), eval_mode_dict(model): model(x)
    finally: [h.remove() for h in handles]
    return {n: s for n, s in found if ran.count(n) == 1 and not any(i != '.' and n.startswith(i) for i in inside)}

class HookBwdLambda(HookBwd):
    def see(self, module, args, out):
        def keep(g): self.stored = torch.clone(g.data)
        out.register_hook(keep)

class HookBwdLate(HookBwd):
    def __init__(self, module): self.module = module
    def __enter__(self):
        super().__init__(self.module)
        return self

ANSWERS = {
    '1.1': (note_shape_short, note_shape_partial),
    '1.2': (StoreClosure, StoreSlots),
    '1.3': (HookLate, HookSelf),
    '1.4': (count_by_walk, count_by_names),
    '1.6': (eval_mode_class, eval_mode_dict),
    '1.7': (StatsKept, StatsWelford),
    '1.8': (HooksOwn, HooksStack),
    '1.9': (get_layer_walk, get_layer_torch),
    '1.10': (feature_layers_walk, feature_layers_kinds),
    '1.11': (HookBwdLambda, HookBwdLate),
}
