"Chapter 01: hooks."
from contextlib import contextmanager
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
    from functools import partial
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

# 1.6 running statistics

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

# 1.7 several layers

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
        from contextlib import ExitStack
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

# 1.8 gradients

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

# 1.10 evaluation mode and back

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

# 1.11 what there is to look at

def map_layers(model:nn.Module, # a network
               x:Tensor # a batch (N,3,H,W)
              )->dict: # name -> (C,h,w)
    "The layers without layers inside whose output is (N,C,h,w), in the order in which they run; no hook stays."
    shapes, handles = {}, []
    for name, m in model.named_modules():
        def see(m, args, out, name=name):
            if out.ndim == 4: shapes[name] = tuple(out.shape[1:])
        if not list(m.children()): handles.append(m.register_forward_hook(see))
    try:
        with torch.no_grad(): model(x)
    finally:
        for h in handles: h.remove()
    return shapes

def map_layers_names(model, x):
    names, seen = {m: n for n, m in model.named_modules()}, []
    leaves = [m for m in model.modules() if not len(list(m.children()))]
    handles = [m.register_forward_hook(lambda m, a, out: seen.append((names[m], out.shape))) for m in leaves]
    try: model(x)
    finally: [h.remove() for h in handles]
    return {n: tuple(s[1:]) for n, s in seen if len(s) == 4}
def map_layers_partial(model, x):
    from functools import partial
    from contextlib import ExitStack
    shapes = dict()
    def see(name, m, args, out): shapes.update({name: tuple(out.shape)[1:]} if out.ndim == 4 else {})
    with ExitStack() as stack:
        for name, m in model.named_modules():
            if not m._modules: stack.callback(m.register_forward_hook(partial(see, name)).remove)
        model(x)
    return shapes

def map_layers_left_on(model, x):
    shapes = {}
    for name, m in model.named_modules():
        def see(m, args, out, name=name):
            if out.ndim == 4: shapes[name] = tuple(out.shape[1:])
        if not list(m.children()): m.register_forward_hook(see)
    model(x)
    return shapes
def map_layers_late(model, x):
    shapes, handles = {}, []
    for name, m in model.named_modules():
        def see(m, args, out):
            if out.ndim == 4: shapes[name] = tuple(out.shape[1:])
        if not list(m.children()): handles.append(m.register_forward_hook(see))
    model(x)
    for h in handles: h.remove()
    return shapes
def layers_seen(model, x, leaves=True, maps=True, late=False):
    "What several wrong versions have in common; it removes its hooks, unless the network raises."
    shapes, handles = {}, []
    for name, m in model.named_modules():
        def see(m, args, out, bound=name):
            if out.ndim == 4 or not maps: shapes[name if late else bound] = tuple(out.shape[1:])
        if not leaves or not list(m.children()): handles.append(m.register_forward_hook(see))
    model(x)
    for h in handles: h.remove()
    return shapes
def map_layers_late_all(model, x): return layers_seen(model, x, maps=False, late=True)
def map_layers_all(model, x): return layers_seen(model, x, maps=False)
def map_layers_outer(model, x): return layers_seen(model, x, leaves=False)
def map_layers_registered(model, x):
    found = map_layers(model, x)
    return {n: found[n] for n, _ in model.named_modules() if n in found}
def map_layers_with_batch(model, x):
    return {n: (len(x), *s) for n, s in map_layers(model, x).items()}
def map_layers_unsafe(model, x):
    shapes, handles = {}, []
    for name, m in model.named_modules():
        def see(m, args, out, name=name):
            if out.ndim == 4: shapes[name] = tuple(out.shape[1:])
        if not list(m.children()): handles.append(m.register_forward_hook(see))
    model(x)
    for h in handles: h.remove()
    return shapes

class Crossed(nn.Module):
    "Runs its second layer first."
    def __init__(self):
        super().__init__()
        self.late, self.early = nn.Conv2d(4, 2, 3), nn.Conv2d(3, 4, 1)
        seeded(self)
    def forward(self, x): return self.late(self.early(x))

def layers_of(make):
    def run(answer):
        net = make()
        found = answer(net, pictures(2))
        return {'layers': list(found.items()), 'hooks left': hooks_left(net)}
    return run

def layers_error(answer):
    net = tiny()
    try: answer(net, torch.zeros(1, 2, 8, 8))
    except RuntimeError: pass
    return {'hooks left after an error': hooks_left(net)}

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
    Exercise('1.6', 'Running statistics',
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
    Exercise('1.7', 'Several layers at once',
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
    Exercise('1.8', 'The gradient that comes back',
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
    Exercise('1.10', 'Evaluation mode, and back',
        'Write the context manager `eval_mode(model)`: inside the `with`, the model and all its modules evaluate; afterwards each module has *its own* mode back, also after an error. `as` gives the model.',
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
    Exercise('1.11', 'What there is to look at',
        'Write `map_layers(model, x)`: a dict from name to `(C,h,w)` for each layer that has no layers inside and puts out `(N,C,h,w)`, in the order in which they *run*. Leave no hook, not even after an error.',
        map_layers,
        trials=(Trial('A small network', layers_of(tiny), says={'layers': 'One entry for each layer that has no layers inside and puts out four dimensions.'}),
                Trial('A network whose second layer runs first', layers_of(Crossed)),
                Trial('A batch that the network refuses', layers_error)),
        mistakes=(Mistake(map_layers_left_on, 'The hooks are still on. Keep the handles, and remove them.'),
                  Mistake(map_layers_late, 'All hooks write under the last name: they look `name` up when they run. Bind it with a default argument, `name=name`, or `partial`.'),
                  Mistake(map_layers_late_all, 'Only one name is left: all hooks look `name` up when they run, and by then the loop is over. Bind it with a default argument, `name=name`, or `partial`. Then keep outputs with four dimensions only.'),
                  Mistake(map_layers_all, 'The head\'s layers are in it too. Their outputs are no maps: keep those with four dimensions. And let the removal of the hooks stand in `finally`.'),
                  Mistake(map_layers_outer, 'The parts that hold other layers are in it too. A layer without layers inside has no `children()`. And let the removal of the hooks stand in `finally`.'),
                  Mistake(map_layers_registered, 'This is the order in which the layers were *defined*. The hooks know the order in which they run.'),
                  Mistake(map_layers_with_batch, 'The batch axis is not the layer\'s: leave the first number out.'),
                  Mistake(map_layers_unsafe, 'After an error in the forward pass the hooks stay. Put their removal into `finally`.')),
        hints=('Hook every module that has no children; let the hook note name and shape.',
               'A dict keeps the order in which it was filled: the order of the passes.',
               'Bind the name when the hook is made: a default argument, `partial`, or a function that makes the hook. Remove in `finally`.'),
        why='This list is the layer slider of the explorer.', also=(map_layers_names, map_layers_partial)),
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
