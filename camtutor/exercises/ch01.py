"Chapter 01: hooks."
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
import torch
from torch import Tensor, nn

import camtutor.hooks as library
from camtutor.exercises.common import hooks_left, pictures, seeded, tiny
from camtutor.exercises.core import Exercise, Mistake, Trial

# 1.1 a hook as a note

def note_shape(shapes:list # grows by one shape at every pass
              ): # a forward hook
    "A forward hook that appends the shape of the layer's output, as a tuple, to `shapes`."
    def hook(module, args, out): shapes.append(tuple(out.shape))
    return hook

def note_shape_short(shapes): return lambda module, args, out: shapes.append(tuple(out.shape))
def note_shape_partial(shapes):
    def hook(shapes, module, args, out): shapes += [tuple(out.shape)]
    return partial(hook, shapes)

def notes_input(shapes): return lambda module, args, out: shapes.append(tuple(args[0].shape))
def notes_and_replaces(shapes):
    def hook(module, args, out):
        shapes.append(tuple(out.shape))
        return tuple(out.shape)
    return hook
def notes_and_returns_list(shapes):
    def hook(module, args, out):
        shapes.append(tuple(out.shape))
        return shapes
    return hook
def notes_without_batch(shapes): return lambda module, args, out: shapes.append(tuple(out.shape[1:]))
def notes_two_arguments(shapes): return lambda module, out: shapes.append(tuple(out.shape))
def notes_last(shapes):
    def hook(module, args, out): shapes[:] = [tuple(out.shape)]
    return hook

def shapes_noted(answer):
    net, shapes = tiny(), []
    for layer in (net[0][0], net[0][2]): layer.register_forward_hook(answer(shapes))
    out = net(pictures(2))
    net(pictures(1))
    return {'shapes': shapes, 'the network gives what it gave': torch.equal(out, tiny()(pictures(2)))}

# 1.2 a hook that stores

class Store:
    "Keeps a copy of the last output of `module` in `stored`, until `remove()`."
    def __init__(self, module:nn.Module):
        self.handle = module.register_forward_hook(self.see)
    def see(self, module, args, out): self.stored = out.detach().clone()
    def remove(self): self.handle.remove()

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

class NoClone(Store):
    def see(self, module, args, out): self.stored = out.detach()
class NoDetach(Store):
    def see(self, module, args, out): self.stored = out.clone()
class StoresOutput(Store):
    def see(self, module, args, out): self.stored = out
class StoresAndReturns(Store):
    def see(self, module, args, out):
        self.stored = out.detach().clone()
        return self.stored
class StoresInput(Store):
    def see(self, module, args, out): self.stored = args[0].detach().clone()
class StaysOn(Store):
    def remove(self): self.handle = None
class StoresFirst(Store):
    def see(self, module, args, out):
        if not hasattr(self, 'stored'): self.stored = out.detach().clone()

def stores(answer):
    net = tiny(inplace=True)
    h = answer(net[0][0])
    net(pictures(2))
    first = h.stored
    return {'stored': first.detach(), 'stored.requires_grad': first.requires_grad}

def stores_last(answer):
    net = tiny()
    h = answer(net[0][3])
    net(pictures(2, seed=1))
    net(pictures(3, seed=2)).sum().backward()
    return {'stored after a second batch': h.stored.detach(), 'gradients go past the hook': net[0][0].weight.grad is not None}

def stops(answer):
    net = tiny()
    h = answer(net[0][3])
    net(pictures(2, seed=1))
    before, on = h.stored, hooks_left(net)
    h.remove()
    net(pictures(2, seed=2))
    return {'hooks on the network before remove()': on, 'hooks after it': hooks_left(net),
            'stored stays as it was after remove()': torch.equal(before, h.stored)}

# 1.3 the same with a context manager

class Hook:
    "While it is in place, `stored` is a detached copy of the last output of `module`."
    def __init__(self, module:nn.Module):
        self.handle = module.register_forward_hook(self.see)
    def see(self, module, args, out): self.stored = out.detach().clone()
    def remove(self): self.handle.remove()
    def __enter__(self): return self
    def __exit__(self, *exc): self.remove()

class HookLate(Store):
    def __init__(self, module): self.module = module
    def __enter__(self):
        super().__init__(self.module)
        return self
    def __exit__(self, kind, error, trace): self.handle.remove()

class HookSelf(StoreClosure):
    def __enter__(self): return self
    def __exit__(self, *exc): return bool(self.remove())

class ExitsOnly(Hook):
    def __exit__(self, *exc): return False
class EntersNothing(Hook):
    def __enter__(self): self.entered = True
class Swallows(Hook):
    def __exit__(self, *exc):
        self.remove()
        return True
class OnlyWhenWell(Hook):
    def __exit__(self, kind, *exc):
        if kind is None: self.remove()
class ExitTakesNothing(Hook):
    def __exit__(self): self.remove()
class HookView(Hook):
    def see(self, module, args, out): self.stored = out.detach()

def within(answer):
    net = tiny(inplace=True)
    with answer(net[0][0]) as h:
        net(pictures(2))
        stored = h.stored
    return {'stored': stored.detach(), 'stored.requires_grad': stored.requires_grad, 'hooks left after the with': hooks_left(net)}

def within_error(answer):
    net = tiny()
    came_out = False
    try:
        with answer(net[0][0]): net(torch.zeros(1, 2, 5, 5))
    except RuntimeError: came_out = True
    return {'the error inside the with comes out': came_out, 'hooks left after the error': hooks_left(net)}

# 1.4 counting hooks

def count_hooks(model:nn.Module)->int:
    "How many forward hooks are on `model` and on all modules inside it."
    return sum(len(m._forward_hooks) for m in model.modules())

def count_by_walk(model): return len(model._forward_hooks) + sum(map(count_by_walk, model.children()))
def count_by_names(model):
    n = 0
    for _, m in model.named_modules(): n += len(list(m._forward_hooks.values()))
    return n

def count_own(model): return len(model._forward_hooks)
def count_children(model): return sum(len(m._forward_hooks) for m in model.children())
def count_layers(model): return sum(bool(m._forward_hooks) for m in model.modules())
def count_twice(model): return len(model._forward_hooks) + sum(len(m._forward_hooks) for m in model.modules())
def count_inside(model): return sum(len(m._forward_hooks) for m in model.modules() if m is not model)

def counted(*places):
    def run(answer):
        net = tiny()
        for p in places: net.get_submodule(p).register_forward_hook(lambda *a: None)
        return answer(net)
    return run

# 1.6 evaluation mode and back

@contextmanager
def eval_mode(model:nn.Module):
    "All of `model` in evaluation mode inside the `with`; afterwards each module has its own mode back."
    modes = [(m, m.training) for m in model.modules()]
    try:
        for m, _ in modes: m.training = False
        yield model
    finally:
        for m, mode in modes: m.training = mode

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

@contextmanager
def back_to_train(model):
    model.eval()
    try: yield model
    finally: model.train()
@contextmanager
def top_mode_only(model):
    was = model.training
    model.eval()
    try: yield model
    finally: model.train(was)
@contextmanager
def back_to_train_unsafe(model):
    model.eval()
    yield model
    model.train()
@contextmanager
def top_mode_unsafe(model):
    was = model.training
    model.eval()
    yield model
    model.train(was)
@contextmanager
def no_finally(model):
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    yield model
    for m, mode in modes: m.training = mode
def eval_generator(model):
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    yield model
    for m, mode in modes: m.training = mode
@contextmanager
def eval_stays(model): yield model.eval()
@contextmanager
def yields_nothing(model):
    with eval_mode(model): yield

def modes(error=False, train=True):
    def run(answer):
        net = tiny().train(train)
        net[0].eval()
        net[0][1].train()
        before = [m.training for m in net.modules()]
        try:
            with answer(net) as same:
                inside = any(m.training for m in net.modules())
                if error: raise KeyError('as planned')
        except KeyError: pass
        return {'some module trains inside the with': inside, 'the with gives the model': same is net,
                'modules that train afterwards': sum(m.training for m in net.modules()),
                'each module has its own mode back': [m.training for m in net.modules()] == before}
    return run

# 1.7 running statistics

class RunningStats:
    "`mean` and `std` (as of all values at once) of everything that `module` has put out so far."
    def __init__(self, module:nn.Module):
        self.n, self.total, self.squares = 0, 0., 0.
        self.handle = module.register_forward_hook(self.see)
    def see(self, module, args, out):
        out = out.detach().double()
        self.n, self.total, self.squares = self.n + out.numel(), self.total + out.sum(), self.squares + (out**2).sum()
    @property
    def mean(self): return (self.total/self.n).item()
    @property
    def std(self): return (self.squares/self.n - (self.total/self.n)**2).sqrt().item()
    def remove(self): self.handle.remove()

class StatsOfLast(RunningStats):
    def see(self, module, args, out):
        self.n, self.total, self.squares = out.numel(), out.detach().sum(), (out.detach()**2).sum()
class StatsOfMeans(RunningStats):
    def see(self, module, args, out):
        self.n, self.total, self.squares = self.n + 1, self.total + out.detach().mean(), self.squares + (out.detach()**2).mean()
class StatsStdOfMeans(RunningStats):
    def __init__(self, module):
        super().__init__(module)
        self.stds = []
    def see(self, module, args, out):
        super().see(module, args, out)
        self.stds.append(out.detach().double().std(correction=0))
    @property
    def std(self): return torch.stack(self.stds).mean().item()
class StatsOfBatches:
    def __init__(self, module):
        self.means, self.stds = [], []
        self.remove = module.register_forward_hook(self.see).remove
    def see(self, module, args, out):
        self.means.append(out.detach().mean())
        self.stds.append(out.detach().std(correction=0))
    @property
    def mean(self): return torch.stack(self.means).mean().item()
    @property
    def std(self): return torch.stack(self.stds).mean().item()
class StatsPooled(RunningStats):
    def see(self, module, args, out):
        out = out.detach().double()
        self.n, self.total, self.squares = self.n + out.numel(), self.total + out.sum(), self.squares + out.var(correction=0)*out.numel()
    @property
    def std(self): return (self.squares/self.n).sqrt().item()
class StatsPerImage(RunningStats):
    def see(self, module, args, out):
        super().see(module, args, out)
        self.n += len(out) - out.numel()
class StatsStayOn(RunningStats):
    def remove(self): self.handle = None

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

def stats_by_hand(answer):
    layer = nn.Identity()
    s = answer(layer)
    layer(torch.tensor([1., 1., 1., 1.]))
    layer(torch.tensor([3., 5.]))
    return {'mean': float(s.mean), 'std': float(s.std)}

def stats_of_net(answer):
    net = tiny()
    s = answer(net[0][3])
    for n in (1, 4, 2): net(pictures(n, seed=n))
    got = {'mean': float(s.mean), 'std': float(s.std)}
    s.remove()
    net(10*pictures(4))
    return got | {'mean after remove()': float(s.mean), 'hooks left': hooks_left(net)}

# 1.8 several layers

class Hooks:
    "One hook for each of `modules`; `stored` is the list of their last outputs, in the same order."
    def __init__(self, modules:list):
        self.hooks = [Hook(m) for m in modules]
    @property
    def stored(self): return [h.stored for h in self.hooks]
    def remove(self):
        for h in self.hooks: h.remove()
    def __enter__(self): return self
    def __exit__(self, *exc): self.remove()

class HooksOwn:
    def __init__(self, modules):
        self.stored = [None for _ in modules]
        self.handles = [m.register_forward_hook(self.keeper(i)) for i, m in enumerate(modules)]
    def keeper(self, i):
        def see(m, args, out): self.stored[i] = out.detach().clone()
        return see
    def remove(self):
        while self.handles: self.handles.pop().remove()
    def __enter__(self): return self
    def __exit__(self, *exc): self.remove()

class HooksStack(Hooks):
    def __init__(self, modules):
        self.stack = ExitStack()
        self.hooks = [self.stack.enter_context(Hook(m)) for m in modules]
    def remove(self): self.stack.close()

class HooksFirstOff(Hooks):
    def remove(self):
        for h in self.hooks: return h.remove()
class HooksInOrderOfRun(Hooks):
    def __init__(self, modules):
        self.kept = []
        self.hooks = [m.register_forward_hook(lambda m, a, out: self.kept.append(out.detach().clone())) for m in modules]
    @property
    def stored(self): return self.kept
class HooksLateBinding(HooksOwn):
    def __init__(self, modules):
        self.stored, self.handles = [None for _ in modules], []
        for i, m in enumerate(modules):
            def see(m, args, out): self.stored[i] = out.detach().clone()
            self.handles.append(m.register_forward_hook(see))
class HooksViews(Hooks):
    def __init__(self, modules): self.hooks = [HookView(m) for m in modules]

def several(answer):
    net = tiny(inplace=True)
    with answer([net[0][3], net[0][0]]) as h:
        net(pictures(1))
        net(pictures(2, seed=3))
        stored = list(h.stored)
    return {'stored': stored, 'hooks left': hooks_left(net)}

# 1.9 finding a layer

def get_layer(model:nn.Module, # a network
              layer # a name as in `model.named_modules()`, or a module of it
             )->nn.Module:
    "The module of `model` that `layer` names; a module is returned as it is."
    return layer if isinstance(layer, nn.Module) else dict(model.named_modules())[layer]

def get_layer_walk(model, layer):
    if isinstance(layer, nn.Module): return layer
    for part in layer.split('.'): model = getattr(model, part)
    return model
def get_layer_torch(model, layer): return model.get_submodule(layer) if isinstance(layer, str) else layer

def layer_flat(model, layer): return layer if isinstance(layer, nn.Module) else dict(model.named_children())[layer]
def layer_attr(model, layer): return layer if isinstance(layer, nn.Module) else getattr(model, layer)
def layer_names_only(model, layer): return dict(model.named_modules())[layer]
def layer_part(model, layer):
    if isinstance(layer, nn.Module): return layer
    return next(m for n, m in model.named_modules() if n.endswith(layer[-1]))

def layer_at(name):
    def run(answer):
        net = tiny()
        return answer(net, name) is net.get_submodule(name)
    return run

def layer_itself(answer):
    net = tiny()
    return answer(net, net[0]) is net[0]

# 1.10 what there is to look at

def feature_layers(model:nn.Module, # a network
                   x:Tensor # a batch (N,3,H,W); only its first picture is used
                  )->dict: # name -> (C,h,w)
    "The layers whose output is a stack of maps, in the order in which they run: each output once, blocks from outside, none that runs twice."
    seen, handles, layers = [], [], {}
    def note(name, m, args, out): seen.append((name, m, out))
    try:
        for name, m in model.named_modules(): handles.append(m.register_forward_hook(partial(note, name)))
        with eval_mode(model), torch.no_grad(): model(x[:1])
    finally:
        for h in handles: h.remove()
    runs = Counter(name for name, _, _ in seen)
    blocks = tuple(name + '.' for name, m, _ in seen if name and list(m.children()) and not isinstance(m, nn.Sequential))
    for name, _, out in seen:
        if name and runs[name] == 1 and not name.startswith(blocks) and out.ndim == 4 and out.shape[2:].numel() > 1:
            layers[id(out)] = name, tuple(out.shape[1:])
    return dict(layers.values())

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

def layers_wrong(model, x, late=False, leaves=False, train=False, unsafe=False, stay=False, top=False, twice=False, insides=False,
                 row=False, dot='.', flat=False, pooled=False, every=False, inner=False, batch=False, own=True, model_too=False):
    "What wrong versions have in common; each name is one fault."
    seen, handles, layers = [], [], {}
    def off():
        for h in handles: h.remove()
    with ExitStack() as stack:
        if not stay and not unsafe: stack.callback(off)
        for name, m in model.named_modules():
            def see(m, args, out, bound=name): seen.append((name if late else bound, m, out))
            if not leaves or not list(m.children()): handles.append(m.register_forward_hook(see))
        with nullcontext() if train else eval_mode(model): model(x)
    if unsafe: off()
    runs = Counter(name for name, _, _ in seen)
    blocks = tuple(name for name, m, _ in seen if (name or model_too) and list(m.children()) and (row or not isinstance(m, nn.Sequential)))
    def inside(name): return any(name.startswith(b + dot) and (own or name != b) for b in blocks)
    for name, _, out in seen:
        if (top or name) and (twice or runs[name] == 1) and (insides or not inside(name)):
            if (flat or out.ndim == 4) and (pooled or out.ndim != 4 or out.shape[2:].numel() > 1) and not (inner and (name if every else id(out)) in layers):
                layers[name if every else id(out)] = name, tuple(out.shape[0 if batch else 1:])
    return dict(layers.values())
def layers_first_attempt(model, x): return layers_wrong(model, x, train=True, unsafe=True, top=True, twice=True, insides=True, every=True)
def layers_every_name(model, x): return layers_wrong(model, x, twice=True, insides=True, every=True)
def layers_innermost(model, x): return layers_wrong(model, x, leaves=True, twice=True, insides=True)
def layers_innermost_once(model, x): return layers_wrong(model, x, leaves=True, insides=True)
def layers_late(model, x): return layers_wrong(model, x, late=True)
def layers_late_uncounted(model, x): return layers_wrong(model, x, late=True, twice=True, insides=True, every=True)
def layers_late_first(model, x): return layers_wrong(model, x, late=True, twice=True, insides=True, every=True, inner=True)
def layers_stay(model, x): return layers_wrong(model, x, stay=True)
def layers_unsafe(model, x): return layers_wrong(model, x, unsafe=True)
def layers_train(model, x): return layers_wrong(model, x, train=True)
def layers_train_unsafe(model, x): return layers_wrong(model, x, train=True, unsafe=True)
def layers_all_names(model, x): return layers_wrong(model, x, every=True)
def layers_inner_name(model, x): return layers_wrong(model, x, inner=True)
def layers_twice(model, x): return layers_wrong(model, x, twice=True)
def layers_insides(model, x): return layers_wrong(model, x, insides=True)
def layers_rows_as_blocks(model, x): return layers_wrong(model, x, row=True)
def layers_no_dot(model, x): return layers_wrong(model, x, dot='')
def layers_no_dot_model(model, x): return layers_wrong(model, x, dot='', model_too=True)
def layers_no_dot_others(model, x): return layers_wrong(model, x, dot='', own=False)
def layers_no_dot_others_model(model, x): return layers_wrong(model, x, dot='', own=False, model_too=True)
def layers_pooled(model, x): return layers_wrong(model, x, pooled=True)
def layers_flat(model, x): return layers_wrong(model, x, flat=True, pooled=True)
def layers_top(model, x): return layers_wrong(model, x, top=True)
def layers_with_batch(model, x): return layers_wrong(model, x, batch=True)
def layers_defined(model, x):
    found = feature_layers(model, x)
    return {n: found[n] for n, _ in model.named_modules() if n in found}

class Residual(nn.Module):
    "A block: two convolutions with a shortcut past them, and one ReLU that runs twice."
    def __init__(self, c):
        super().__init__()
        self.conv1, self.conv2, self.relu = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, 3, padding=1), nn.ReLU()
    def forward(self, x): return self.relu(x + self.conv2(self.relu(self.conv1(x))))

class Crossed(nn.Module):
    "Runs its second layer first."
    def __init__(self):
        super().__init__()
        self.late, self.early = nn.Conv2d(4, 2, 3), nn.Conv2d(3, 4, 1)
    def forward(self, x): return self.late(self.early(x))

class Alike(nn.Module):
    "A layer's name begins with that of a block."
    def __init__(self):
        super().__init__()
        self.stage1, self.stage10 = Residual(3), nn.Conv2d(3, 4, 3)
    def forward(self, x): return self.stage10(self.stage1(x))

def scored(c, *layers):
    "These layers, then pooling and three scores."
    return seeded(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 3)))
def conv(into, out): return nn.Conv2d(into, out, 3, padding=1)
def in_a_row(): return scored(4, conv(3, 4), nn.ReLU(), nn.MaxPool2d(2))
def with_blocks(): return scored(4, conv(3, 4), nn.ReLU(), nn.Sequential(Residual(4), Residual(4)))
def with_one_relu():
    relu = nn.ReLU()
    return scored(5, conv(3, 4), relu, conv(4, 5), relu)
def crossed(): return seeded(Crossed())
def alike_names(): return seeded(Alike())

def layers_of(make):
    def run(answer):
        net = make()
        found = answer(net, pictures(2))
        return {'layers': found, 'hooks left': hooks_left(net)}
    return run
def found(**layers): return {'layers': {n.strip('_').replace('_', '.'): s for n, s in layers.items()}, 'hooks left': 0}

def one_name(answer):
    "Do all hooks note the name of the last module, so that nothing else is worth a look?"
    net = in_a_row()
    return set(answer(net, pictures(2))) <= {[*net._modules][-1]}

def layers_in_training(answer):
    net = scored(4, conv(3, 4), nn.BatchNorm2d(4), nn.ReLU()).train()
    before = net[1].running_mean.clone()
    layers = answer(net, pictures(2))
    kept = {"batch norm's running mean is as before": torch.equal(before, net[1].running_mean),
            'modules that train afterwards': sum(m.training for m in net.modules())}
    return {'layers': layers} | (dict.fromkeys(kept, 'not looked at yet') if one_name(answer) else kept)

def layers_error(answer):
    net = tiny()
    try: answer(net, torch.zeros(1, 2, 8, 8))
    except RuntimeError: pass
    return {'hooks left after an error': 'not looked at yet' if one_name(answer) else hooks_left(net)}

# 1.11 gradients

class HookBwd:
    "While it is in place, `stored` is a copy of the last gradient that came back to the output of `module`."
    def __init__(self, module:nn.Module):
        self.handle = module.register_forward_hook(self.see)
    def see(self, module, args, out): out.register_hook(self.keep)
    def keep(self, grad): self.stored = grad.detach().clone()
    def remove(self): self.handle.remove()
    def __enter__(self): return self
    def __exit__(self, *exc): self.remove()

class HookBwdLambda(HookBwd):
    def see(self, module, args, out):
        def keep(g): self.stored = torch.clone(g.data)
        out.register_hook(keep)
class HookBwdLate(HookBwd):
    def __init__(self, module): self.module = module
    def __enter__(self):
        super().__init__(self.module)
        return self

class BwdModuleHook(HookBwd):
    def __init__(self, module): self.handle = module.register_full_backward_hook(self.back)
    def back(self, module, grad_in, grad_out): self.stored = grad_out[0].detach().clone()
class BwdGradInput(HookBwd):
    def see(self, module, args, out):
        if args[0].requires_grad: args[0].register_hook(self.keep)
class BwdActivations(HookBwd):
    def see(self, module, args, out): self.stored = out.detach().clone()
class BwdTooEarly(HookBwd):
    def see(self, module, args, out):
        out.retain_grad()
        self.stored = out.grad
class BwdRetains(HookBwd):
    def see(self, module, args, out):
        out.retain_grad()
        self.out = out
    @property
    def stored(self): return self.out.grad
class BwdOwnInit(library.Hook):
    def __init__(self, module): self.handle = module.register_full_backward_hook(self.back)
    def back(self, module, grad_in, grad_out): self.stored = grad_out[0]
class BwdWeight(HookBwd):
    def see(self, module, args, out): module.weight.register_hook(self.keep)
class BwdHandle(HookBwd):
    def see(self, module, args, out): return out.register_hook(self.keep)
class BwdReplaces(HookBwd):
    def keep(self, grad):
        self.stored = grad.detach().clone()
        return torch.zeros_like(grad)
class BwdStaysOn(HookBwd):
    def __exit__(self, *exc): return False

def backward(inplace):
    def run(answer):
        net, x = tiny(inplace=inplace), pictures(2).requires_grad_()
        with answer(net[0][3]) as h: net(x)[:, 1].sum().backward()
        return {'stored': h.stored, 'hooks left': hooks_left(net), 'the gradient goes on to the picture': bool(x.grad.abs().sum() > 0)}
    return run

EXERCISES = (
    Exercise('1.1', 'A hook that takes notes',
        'A forward hook is a function that PyTorch calls as `hook(module, args, out)` each time the module has run. '
        'Write `note_shape(shapes)`: it makes such a hook, which appends the shape of `out`, as a tuple, to the list `shapes`.',
        note_shape, trials=(Trial('Two hooked layers, a batch of two and a batch of one', shapes_noted),),
        mistakes=(Mistake(notes_input, 'This is the shape of what goes *in*. The hook gets `(module, args, out)`; `out` is what the layer made.'),
                  Mistake(notes_and_replaces, 'Your hook returns something, and whatever a forward hook returns takes the place of the layer\'s output. Only note; return nothing.'),
                  Mistake(notes_and_returns_list, 'The inner function returns the list, and whatever a forward hook returns takes the place of the layer\'s output. Let it only append; the outer function returns the hook.'),
                  Mistake(notes_without_batch, 'The first number, how many pictures there are in the batch, is missing. Here the whole shape of `out` is asked for.'),
                  Mistake(notes_two_arguments, 'A forward hook is called with three arguments: the module, a tuple of its inputs, and its output.'),
                  Mistake(notes_last, 'Only the last shape is kept. Each pass through the layer should add one.')),
        hints=('A function inside a function can use the outer one\'s variables.',
               'The inner function takes three arguments and uses only the third.',
               'The outer function returns the inner one, without calling it; the inner one appends and returns nothing.'),
        why='Every tool that looks into a network, from a summary table to Grad-CAM, is a function of this form.',
        also=(note_shape_short, note_shape_partial)),
    Exercise('1.2', 'A hook that stores',
        'Write a class `Store(module)`. After each forward pass, `stored` is a copy of the module\'s output: its own memory, and no part of the graph. '
        '`remove()` takes the hook away.',
        Store, trials=(Trial('A layer in front of an in-place ReLU', stores, says='What comes later in the network must not change what you stored, nor should the graph hang on it.'),
                       Trial('Two batches', stores_last), Trial('After remove()', stops)),
        mistakes=(Mistake(NoClone, '`detach()` gives a view of the same memory. The next layer here is an in-place ReLU: it has overwritten your copy. `clone()` it.'),
                  Mistake(NoDetach, '`stored` is still part of the graph: it keeps every activation below it alive. `detach()` it.'),
                  Mistake(StoresOutput, 'You keep the very tensor that the network goes on with. The layer behind it has changed it in place, and the whole graph hangs on it. `clone()` and `detach()` it, one for each, and return nothing.'),
                  Mistake(StoresAndReturns, '`see` returns your copy, and what a forward hook returns takes the place of the output: the network goes on with it, and no gradient gets past. Store, and return nothing.'),
                  Mistake(StoresInput, 'This is the layer\'s input. The output is the hook\'s third argument.'),
                  Mistake(StaysOn, 'The hook is still on the layer after `remove()`. Forgetting the handle does not take it off: call the handle\'s own `remove()`.'),
                  Mistake(StoresFirst, 'It keeps the first output for ever. `stored` should be the *last*.')),
        hints=('`module.register_forward_hook(f)` returns a handle; keep it.',
               'A method with three arguments besides `self` can be the hook itself.',
               'Two things turn the output into a copy: one cuts it from the graph, one gives it its own memory.'),
        why='detach and clone are different promises: no graph, and no shared memory. A CAM of a ResNet needs both, since its ReLUs work in place.',
        also=(StoreClosure, StoreSlots)),
    Exercise('1.3', 'A hook that cleans up after itself',
        'Exercises 1.1 and 1.2 lead up to this one. Write `Hook(module)`: `stored` is a detached copy of the module\'s last output, and it can be used in a `with`: `with Hook(layer) as h: …`. The hook is gone afterwards, also after an error, and the error comes out.',
        Hook, library='camtutor.hooks',
        trials=(Trial('One pass inside a with', within), Trial('An error inside the with', within_error)),
        mistakes=(Mistake(ExitsOnly, 'The hook is still on the layer after the `with`. `__exit__` is the place to remove it.'),
                  Mistake(EntersNothing, '`as h` is what `__enter__` returns, and yours returns nothing. Return `self`.'),
                  Mistake(Swallows, 'An `__exit__` that returns something true swallows the error: the learner\'s typo would vanish without a word. Return nothing.'),
                  Mistake(OnlyWhenWell, 'After an error the hook stays. `__exit__` is called then too, with the error as arguments; clean up in any case.'),
                  Mistake(ExitTakesNothing, '`__exit__` is given three arguments, about the error if there was one: take them, as `*exc` for example.'),
                  Mistake(HookView, '`stored` shares its memory with the layer\'s output, and the in-place ReLU behind it has changed it. `clone()` it.')),
        hints=('A context manager is any object with two methods, `__enter__` and `__exit__`.',
               '`__enter__` returns what `as` binds; `__exit__` takes three arguments, or `*exc`.',
               'Start from a hook that stores. Return the object itself on the way in, and call `remove()` on the way out.'),
        why='A hook left behind runs on every later pass, and holds its memory. A `with` makes forgetting impossible.',
        also=(HookLate, HookSelf)),
    Exercise('1.4', 'Count the hooks',
        'Write `count_hooks(model)`: how many forward hooks are on the model and on everything inside it. Each module keeps its own in the dict `_forward_hooks`.',
        count_hooks,
        trials=(Trial('No hook', counted(), 0), Trial('One hook on a layer inside a layer', counted('0.3'), 1),
                Trial('One hook on a part', counted('1'), 1),
                Trial('Three hooks on one layer, one on another, one on the whole network', counted('0.3', '0.3', '0.3', '1', ''), 5)),
        mistakes=(Mistake(count_own, 'This counts the hooks of the outermost module only. `model.modules()` walks through all of them.'),
                  Mistake(count_children, '`children()` goes one level down. Layers sit deeper, and the model itself can have hooks too: `modules()`.'),
                  Mistake(count_layers, 'This counts layers that have a hook. One layer can have several.'),
                  Mistake(count_twice, '`modules()` begins with the model itself, so its own hooks are counted twice here.'),
                  Mistake(count_inside, 'The model itself is a module as well, and can carry a hook.')),
        hints=('`model.modules()` yields the model and everything inside it.', 'The length of a dict is the number of its entries.',
               'One `sum` over the modules.'),
        why='A count before and after is the simplest test that a tool leaves a network as it found it. Ours does it for every method.',
        also=(count_by_walk, count_by_names)),
    Exercise('1.5', 'How many are left?',
        'Three lines run: `a = Hook(layer)`, then `for i in range(3): b = Hook(layer)`, then `with Hook(layer) as c: net(x)`. Then `a.remove()` and `del b`. How many hooks are on the layer?',
        3, kind='value',
        mistakes=(Mistake(2, '`del b` deletes the name `b`. The layer itself still holds the third hook, and the first two of the loop as well.'),
                  Mistake(4, '`a.remove()` took one off, and the `with` took its own.'),
                  Mistake(1, 'Each turn of the loop puts a new hook on; giving `b` a new value does not remove the old one.'),
                  Mistake(5, 'That is how many were put on. Two of them were taken off again.'),
                  Mistake(0, 'Python forgets a name, but the layer holds the hook. Only `remove()`, or a `with`, takes one off.')),
        hints=('Who holds a hook: your variable, or the layer?', 'Count what was put on: 1 + 3 + 1.', 'Of these five, `remove()` and the `with` took one each.'),
        why='The layer keeps the hook alive, so Python\'s own clean-up never comes: exactly the leak that a context manager cures.'),
    Exercise('1.6', 'Evaluation mode, and back',
        'Write the context manager `eval_mode(model)` as a function with a `yield`, not as a class; `@contextmanager` goes between `@ex` and `def`. Inside the `with`, the model and all its modules evaluate; afterwards each module has *its own* mode back, also after an error. `as` gives the model.',
        eval_mode, library='camtutor.hooks',
        trials=(Trial('A network that trains, with a frozen part', modes()), Trial('A network that evaluates, with one layer that trains', modes(train=False)),
                Trial('An error inside the with', modes(error=True))),
        mistakes=(Mistake(back_to_train, 'Afterwards everything trains, also the part that was frozen before. Remember how each module was.'),
                  Mistake(top_mode_only, 'You remember one mode for the whole model, but its parts can differ: a frozen batch norm in a network that trains.'),
                  Mistake(back_to_train_unsafe, 'Two things. Afterwards all modules train, also those that did not before. And after an error the line below `yield` never runs: put it into `finally`.'),
                  Mistake(top_mode_unsafe, 'Two things. One mode is remembered for the whole model, and `train(was)` gives it to every part; each module needs its own. And after an error the line below `yield` never runs: put it into `finally`.'),
                  Mistake(no_finally, 'After an error the modes stay changed: what comes after a `yield` is skipped then. Put it into `finally`.'),
                  Mistake(eval_generator, 'A function with `yield` makes a generator. `@contextmanager`, between `@ex` and `def`, makes it usable in a `with`.'),
                  Mistake(eval_stays, 'Nothing sets the modes back.'), Mistake(yields_nothing, '`as` gets what you `yield`: the model.')),
        hints=('`model.modules()` lists all modules; each has a flag `training`.',
               'Write down pairs of module and mode; set all to False; `yield`; set them back.',
               'Put `@contextmanager` between `@ex` and `def`, and the way back into `finally`.'),
        why='A tool that leaves batch norm in another mode spoils the learner\'s next epoch without a word.', also=(eval_mode_class, eval_mode_dict)),
    Exercise('1.7', 'Running statistics',
        'Write `RunningStats(module)`: `mean` and `std` are those of *all* values the module has put out so far, as if every batch were one long list (`correction=0`). Batches differ in size. `remove()` ends it.',
        RunningStats,
        trials=(Trial('Four ones, then a 3 and a 5', stats_by_hand, {'mean': 2., 'std': (7/3)**.5}),
                Trial('Batches of one, four and two pictures', stats_of_net)),
        mistakes=(Mistake(StatsOfLast, 'These are the figures of the last batch alone. Something has to add up from pass to pass.'),
                  Mistake(StatsOfMeans, 'This averages the averages. A batch of one picture then weighs as much as a batch of four: add sums and counts instead.'),
                  Mistake(StatsStdOfMeans, 'The mean of the batches\' deviations misses how far the batches lie from each other. Keep the sum of squares.'),
                  Mistake(StatsOfBatches, 'Mean and deviation of each batch, then their average: small batches weigh too much, and how far the batches lie from each other is lost. Add up sums, squares and counts, and divide at the end.'),
                  Mistake(StatsPooled, 'The mean is right. Averaging the batches\' variances, even by size, leaves out how far their means lie from each other. Keep the sum of squares.'),
                  Mistake(StatsPerImage, 'You divide by the number of images, but sum over all values. Count values with `numel()`.'),
                  Mistake(StatsStayOn, 'After `remove()` the statistics still move: the hook is still there.')),
        hints=('Three numbers are enough: how many values, their sum, the sum of their squares.',
               'The variance is the mean of the squares less the square of the mean.',
               'In the hook: add `out.numel()`, `out.sum()` and the sum of `out**2`. `mean` and `std` are properties that divide.'),
        why='fastai\'s ActivationStats is this hook on every layer: it shows at a glance where a network dies or explodes.',
        also=(StatsKept, StatsWelford)),
    Exercise('1.8', 'Several layers at once',
        'Write `Hooks(modules)`: one hook for each; `stored` is the list of their last outputs, in the order of `modules`, whatever the order in which they run. It can be used in a `with`. '
        '(This is what is checked. `hooks[i]`, `len(hooks)` and `kind`, where the stub has them, are extras.)',
        Hooks, library='camtutor.hooks', trials=(Trial('A deep layer and a shallow one, two batches', several),),
        mistakes=(Mistake(HooksFirstOff, 'Only the first hook is removed: a `return` inside a loop ends it.'),
                  Mistake(HooksInOrderOfRun, 'These are in the order in which the layers ran, and grow with every pass. Give each layer its own place.'),
                  Mistake(HooksLateBinding, 'All your hooks write to the last place: they look up `i` when they run, and by then it has its last value. Bind it when you make the hook.'),
                  Mistake(HooksViews, 'The shallow layer\'s copy was overwritten by the in-place ReLU behind it: `clone()` it.')),
        hints=('You have a class for one layer already.', 'Keep a list of `Hook`s; `stored` is a property that asks each of them.',
               '`remove` loops over all of them, and `__exit__` calls it.'),
        why='One forward pass is enough for any number of layers: this is how the explorer\'s layer slider stays quick.',
        also=(HooksOwn, HooksStack)),
    Exercise('1.9', 'A layer by its name',
        'Write `get_layer(model, layer)`: `layer` is a name as in `model.named_modules()`, such as `"0.3"`, or a module, which is returned as it is.',
        get_layer, library='camtutor.hooks',
        trials=(Trial('A name with a dot, "0.3"', layer_at('0.3'), True), Trial('"1.2", with the same ending as "0.2"', layer_at('1.2'), True),
                Trial('"1", a whole part of the network', layer_at('1'), True), Trial('A module instead of a name', layer_itself, True)),
        mistakes=(Mistake(layer_flat, '`named_children()` knows the first level only; "0.3" lies below it.'),
                  Mistake(layer_attr, '`getattr` takes one step. A name with dots is a path: one step for each part.'),
                  Mistake(layer_names_only, 'A module may be given instead of its name. Return it as it is.'),
                  Mistake(layer_part, 'Several layers can end in the same number. The whole name counts.')),
        hints=('`model.named_modules()` yields pairs of name and module.', 'Pairs make a `dict`.', 'Test `isinstance(layer, nn.Module)` first.'),
        why='A name can be written down, saved and put on a slider; a module cannot.', also=(get_layer_walk, get_layer_torch)),
    Exercise('1.10', 'What there is to look at',
        'Write `feature_layers(model, x)`: a dict from name to `(C,h,w)` for the layers that give a stack of maps `(N,C,h,w)` of more than one place, in the order in which they *run*. '
        'The model itself is not listed. Leave out what runs more than once, and whatever is inside a *block*: a module in the model that has layers inside and is no `nn.Sequential`. '
        'Where several modules give back the very same tensor, the outermost name stands for it. Run the model in evaluation mode, and leave neither a hook nor another mode behind, not even after an error. '
        '(It needs none of the chapter\'s helpers, and no layer here works in place. `last`, where the stub has it, is an extra: you need not use it.)',
        feature_layers, library='camtutor.hooks',
        trials=(Trial('A row of layers', layers_of(in_a_row), found(_0=(4, 12, 10), _1=(4, 12, 10), _2=(4, 6, 5)),
                      says={'layers': 'One entry for each layer whose output has four dimensions and more than one place.'}),
                Trial('A body and a head: `0` gives back what its last layer, `0.4`, gave it', layers_of(tiny),
                      found(_0_0=(4, 12, 10), _0_1=(4, 12, 10), _0_2=(4, 6, 5), _0_3=(5, 6, 5), _0=(5, 6, 5)), says={'layers': 'An `nn.Sequential` hands on what its last layer gave: one tensor, and the outer name counts.'}),
                Trial('Two residual blocks in an `nn.Sequential`', layers_of(with_blocks), found(_0=(4, 12, 10), _1=(4, 12, 10), _2_0=(4, 12, 10), _2=(4, 12, 10)),
                      says={'layers': 'The blocks are `2.0` and `2.1`; `2` gives back what `2.1` gave it.'}),
                Trial('A ReLU that stands at two places', layers_of(with_one_relu), found(_0=(4, 12, 10), _2=(5, 12, 10)), says={'layers': 'The ReLU `1` runs twice.'}),
                Trial('A network whose second layer runs first', layers_of(crossed), found(early=(4, 12, 10), late=(2, 10, 8))),
                Trial('A block called `stage1`, and behind it a layer called `stage10`', layers_of(alike_names), found(stage1=(3, 12, 10), stage10=(4, 10, 8)),
                      says={'layers': '`stage10` is not inside `stage1`; `stage1.conv1` is.'}),
                Trial('A network in training mode', layers_in_training),
                Trial('A batch that the network refuses', layers_error)),
        mistakes=(Mistake(layers_first_attempt, 'This is the first attempt of the chapter: every output under every name. Look for what ran twice, for the insides of blocks, and for one tensor under several names; run in `eval_mode`, and remove the hooks in `finally`.'),
                  Mistake(layers_every_name, 'Everything is listed under every name. Leave out what ran twice and what is inside a block, and keep one name for each tensor.'),
                  Mistake(layers_innermost, 'Blocks are missing, and their insides are listed instead, even what runs twice. Did you hook only layers that have none inside, or keep the innermost name of each tensor? Hook every module, and choose after the run: the outermost name counts.'),
                  Mistake(layers_innermost_once, 'What runs twice is left out. But blocks are missing, and their insides are listed. Either you hook only layers that have none inside, or you keep the innermost name of each tensor: hook every module, and let the outermost name count.'),
                  Mistake(layers_late, 'Nothing is left. Do all hooks note the same name, so that it seems to run many times? A hook looks a loop\'s variable up when it *runs*, and by then the loop is over. Bind the name when the hook is made: `n=n` as a default argument, or `partial`.'),
                  Mistake(layers_late_uncounted, 'There is one name only, the last: all hooks look it up when they run, and by then the loop is over. Bind it when the hook is made: `name=name` as a default argument, or `partial`.'),
                  Mistake(layers_late_first, 'There is one name only, that of the last module, with the shape of the first maps. The hooks look the loop\'s variable up when they run, and by then the loop is over. Bind the name when the hook is made: `n=n` as a default argument, or `partial`.'),
                  Mistake(layers_stay, 'The list is right, but the hooks are still on. Keep their handles, and remove them in `finally`.'),
                  Mistake(layers_unsafe, 'After an error in the forward pass the hooks stay. Put their removal into `finally`.'),
                  Mistake(layers_train, 'A network in training mode was changed by looking at it: its batch norm has moved. Run it inside `eval_mode(model)`.'),
                  Mistake(layers_train_unsafe, 'Two things. In training mode the run moves the averages of batch norm: use `eval_mode(model)`. And after an error the hooks stay: remove them in `finally`.'),
                  Mistake(layers_all_names, 'The same tensor is listed under several names: an `nn.Sequential` gives back what its last layer gave it. Keep one, the outermost.'),
                  Mistake(layers_inner_name, 'One name for each tensor, but the inner one. The outer module ends last: let the later name take the place of the earlier.'),
                  Mistake(layers_twice, 'A layer that runs twice is still listed. Which of its two outputs would its name mean? Count the runs.'),
                  Mistake(layers_insides, 'The insides of blocks are listed. There the picture takes two ways, and one of them is only half the story. Leave out names that begin with the name of a block and a dot.'),
                  Mistake(layers_rows_as_blocks, 'You take an `nn.Sequential` for a block and leave out what is in it. It only holds layers in a row: what is inside counts.'),
                  Mistake(layers_no_dot, 'The blocks themselves are gone: the name of `2.0` begins with `2.0`. Only what begins with `2.0.`, with the dot, is inside it.'),
                  Mistake(layers_no_dot_model, 'Two things, with one cure. The blocks themselves are gone, since the name of `2.0` begins with `2.0`. And where the model is no `nn.Sequential` nothing is left, since every name begins with the empty one, the model\'s own. Compare with the block\'s name and a dot: `2.0.`.'),
                  Mistake(layers_no_dot_others, '`stage10` is left out, since its name begins with `stage1`; but it stands beside that block. What is inside a block begins with its name *and a dot*.'),
                  Mistake(layers_no_dot_others_model, 'Where the model is no `nn.Sequential` nothing is left: it counts as a block, and every name begins with its empty one. Leave the model out of the blocks. And compare with a block\'s name *and a dot*: `stage10` is not inside `stage1`.'),
                  Mistake(layers_pooled, 'Outputs of one place are in it too: (C,1,1), after the pooling. There is nothing to see in them.'),
                  Mistake(layers_flat, 'The head\'s layers are in it too. What they give are no maps: keep four dimensions, and more than one place.'),
                  Mistake(layers_top, 'The model itself is in the list, under the empty name. It cannot be a stop on a slider.'),
                  Mistake(layers_defined, 'This is the order in which the layers were *defined*. The hooks know the order in which they run.'),
                  Mistake(layers_with_batch, 'The batch axis is not the layer\'s: leave the first number out.')),
        hints=('Start from `all_outputs` of the chapter. Hook every module, let the hook keep name, module and output, and choose when the run is over.',
               'Keep the outputs themselves, not only their shapes: then `is`, or `id`, tells whether two names stand for one tensor. An outer module ends later than what is inside it.',
               '`Counter` finds names that came twice. What is inside a block begins with its name and a dot; `startswith` takes a tuple. In a dict by `id` of the output, a later name takes the place of an earlier one.'),
        why='This list is the layer slider of the explorer. The library\'s also copes with layers that work in place and with channels that come last, and says what is wrong with bad input.',
        also=(feature_layers_walk, feature_layers_kinds)),
    Exercise('1.11', 'The gradient that comes back',
        'Write `HookBwd(module)` for use in a `with`: after `score.backward()`, `stored` is the gradient of the score with respect to the module\'s *output*. It must work in front of an in-place ReLU. '
        'If yours begins with `class HookBwd(Hook)`, only `see` is left to write: the library\'s `Hook` has a method `keep(value)`, which stores a copy.',
        HookBwd, library='camtutor.hooks',
        trials=(Trial('A convolution followed by a ReLU', backward(False)), Trial('A convolution followed by an in-place ReLU', backward(True))),
        mistakes=(Mistake(BwdModuleHook, '`register_full_backward_hook` refuses an output that is then changed in place. A hook on the output *tensor* does not mind.'),
                  Mistake(BwdGradInput, 'This is the gradient at the layer\'s *input*. Put the tensor hook on its output.'),
                  Mistake(BwdActivations, 'These are activations: what went forward. The gradient comes later; let the output tensor call you then.'),
                  Mistake(BwdTooEarly, 'When the output appears nothing has come back yet, so `out.grad` is None. Leave a function there that is called later: `out.register_hook`.'),
                  Mistake(BwdRetains, '`retain_grad` belongs to the tensor. The in-place ReLU takes that tensor over, and then `out.grad` is the gradient *behind* the ReLU. `out.register_hook` belongs to the step that made `out`.'),
                  Mistake(BwdOwnInit, 'Your `__init__` takes the place of the one in `Hook`, which `remove` relies on. Leave it out and write `see` only. (A full backward hook would not do here: it refuses an output that is then changed in place.)'),
                  Mistake(BwdWeight, 'This is the gradient of the layer\'s weights, the one that training uses. Here the output\'s is wanted: same shape as the activations.'),
                  Mistake(BwdHandle, 'Your forward hook returns the handle of the tensor hook, and that takes the place of the layer\'s output. Register it, and return nothing. (A lambda always returns something.)'),
                  Mistake(BwdReplaces, 'Your tensor hook returns something, and that replaces the gradient for everything below. Return nothing.'),
                  Mistake(BwdStaysOn, 'The forward hook is still on after the `with`.')),
        hints=('Every tensor of the graph has `register_hook(f)`; `f` is called with its gradient.',
               'You meet the output tensor in a forward hook.',
               'In the forward hook: `out.register_hook(self.keep)`; `keep` stores a copy and returns nothing.'),
        why='The gradient at a layer says what each activation is worth to a class. Averaged over places, it is all that Grad-CAM needs.',
        also=(HookBwdLambda, HookBwdLate)),
    Exercise('1.12', 'A shape',
        '`net = load_pets()` turns a picture of 128 × 128 into maps of 8 × 8 with 128 channels. You hook its body, `net[0]`, and run a batch of five. What is the shape of `stored`?',
        (5, 128, 8, 8), kind='value',
        mistakes=(Mistake((5, 8, 8, 128), 'PyTorch puts channels before places: (N,C,h,w).'),
                  Mistake((128, 8, 8), 'That is one picture\'s. The batch axis comes first.'),
                  Mistake((5, 8), 'Those are the scores, one for each species: what the whole network gives.'),
                  Mistake((5, 128), 'That is after pooling, which belongs to the head, `net[1]`.')),
        hints=('Four axes: pictures, channels, rows, columns.', 'The body ends before the pooling.', 'The batch comes first.'),
        why='(N,C,h,w) is the `A` of every formula in this course.'),
    Exercise('1.13', 'Why eval and no_grad', 'You look into a trained network. What do `model.eval()` and `torch.no_grad()` do for you? One sentence each.',
        '`eval()` makes dropout and batch norm behave as in use: the same picture gives the same activations, and the running statistics stay as they were. '
        '`no_grad()` records no graph, so that activations are freed at once and the pass needs less memory and time. They are independent: neither implies the other.', kind='written',
        why='If you said only one of these halves for each, that is the usual gap: eval is about layers, no_grad about bookkeeping.'),
    Exercise('1.14', 'What a hook is', 'In PyTorch, a forward hook is …',
        'a function that PyTorch calls after a module has run, with the module, its inputs and its output', kind='choice',
        mistakes=(Mistake('a layer that is inserted into the network', 'The network stays as it is. The hook is called beside it.'),
                  Mistake('a copy of the network that also stores activations', 'Nothing is copied unless your hook copies it.'),
                  Mistake('a method of the module that you overwrite', 'You register any function; the module\'s own methods stay.'))),
    Exercise('1.15', 'A context manager', 'Which two methods make an object usable in a `with`?', '__enter__ and __exit__', kind='choice',
        mistakes=(Mistake('__init__ and __del__', '`__del__` runs when nothing holds the object any more. A hooked layer holds its hook, so that moment never comes.'),
                  Mistake('__call__ and __exit__', 'Nothing is called. On the way in Python asks for `__enter__`.'),
                  Mistake('open and close', 'These are methods of files. Files can be used in a `with` because they have the two special methods as well.'))),
    Exercise('1.16', 'ActivationStats', 'fastai\'s `ActivationStats` callback shows how a training goes wrong. How does it get its numbers?',
        'It hooks the layers, and each hook notes mean, standard deviation and share near zero of its output', kind='choice',
        mistakes=(Mistake('It reads them from the weights after each batch', 'Weights are not activations: what a layer puts out depends on its input as well.'),
                  Mistake('It runs the model a second time on each batch', 'No second pass is needed: a hook sees the first.'),
                  Mistake('It asks the optimiser', 'The optimiser only meets parameters and their gradients.'))),
)
