"Chapter 01: hooks."
from collections import Counter
from contextlib import contextmanager
from functools import partial
import torch
from torch import Tensor, nn

from camtutor.exercises.declare import exercise
import camtutor.hooks as library
from camtutor.exercises.common import hooks_left, pictures, seeded, tiny
from camtutor.exercises.core import Trial

# 1.1 A hook that takes notes

def shapes_noted(answer):
    net, shapes = tiny(), []
    for layer in (net[0][0], net[0][2]): layer.register_forward_hook(answer(shapes))
    out = net(pictures(2))
    net(pictures(1))
    return {'shapes': shapes, 'the network gives what it gave': torch.equal(out, tiny()(pictures(2)))}

e = exercise('1.1', 'A hook that takes notes',
    'A forward hook is a function that PyTorch calls as `hook(module, args, out)` each time the module has run. Write '
    '`note_shape(shapes)`: it makes such a hook, which appends the shape of `out`, as a tuple, to the list `shapes`.',
    trials=(Trial('Two hooked layers, a batch of two and a batch of one', shapes_noted),),
    hints=("A function inside a function can use the outer one's variables.",
           'The inner function takes three arguments and uses only the third.',
           'The outer function returns the inner one, without calling it; the inner one appends and returns nothing.'),
    why='Every tool that looks into a network, from a summary table to Grad-CAM, is a function of this form.')

@e.reference
def note_shape(shapes:list # grows by one shape at every pass
              ): # a forward hook
    "A forward hook that appends the shape of the layer's output, as a tuple, to `shapes`."
    def hook(module, args, out): shapes.append(tuple(out.shape))
    return hook

e.edit('out.shape', 'args[0].shape',
       'This is the shape of what goes *in*. The hook gets `(module, args, out)`; `out` is what the layer made.')
e.edit('shapes.append(tuple(out.shape))', 'shapes.append(tuple(out.shape)); return tuple(out.shape)',
       "Your hook returns something, and whatever a forward hook returns takes the place of the layer's output. Only "
       "note; return nothing.")
e.edit('shapes.append(tuple(out.shape))', 'shapes.append(tuple(out.shape)); return shapes',
       "The inner function returns the list, and whatever a forward hook returns takes the place of the layer's "
       "output. Let it only append; the outer function returns the hook.")
e.edit('out.shape', 'out.shape[1:]',
       'The first number, how many pictures there are in the batch, is missing. Here the whole shape of `out` is '
       'asked for.')
e.edit('def hook(module, args, out)', 'def hook(module, out)',
       'A forward hook is called with three arguments: the module, a tuple of its inputs, and its output.')
e.edit('shapes.append(tuple(out.shape))', 'shapes[:] = [tuple(out.shape)]',
       'Only the last shape is kept. Each pass through the layer should add one.')

# 1.2 A hook that stores

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
    return {'stored after a second batch': h.stored.detach(),
            'gradients go past the hook': net[0][0].weight.grad is not None}

def stops(answer):
    net = tiny()
    h = answer(net[0][3])
    net(pictures(2, seed=1))
    before, on = h.stored, hooks_left(net)
    h.remove()
    net(pictures(2, seed=2))
    return {'hooks on the network before remove()': on, 'hooks after it': hooks_left(net),
            'stored stays as it was after remove()': torch.equal(before, h.stored)}

e = exercise('1.2', 'A hook that stores',
    "Write a class `Store(module)`. After each forward pass, `stored` is a copy of the module's output: its own "
    "memory, and no part of the graph. `remove()` takes the hook away.",
    trials=(Trial('A layer in front of an in-place ReLU', stores,
                  says='What comes later in the network must not change what you stored, nor should the graph hang '
                       'on it.'),
            Trial('Two batches', stores_last),
            Trial('After remove()', stops)),
    hints=('`module.register_forward_hook(f)` returns a handle; keep it.',
           'A method with three arguments besides `self` can be the hook itself.',
           'Two things turn the output into a copy: one cuts it from the graph, one gives it its own memory.'),
    why='detach and clone are different promises: no graph, and no shared memory. A CAM of a ResNet needs both, since '
        'its ReLUs work in place.')

@e.reference
class Store:
    "Keeps a copy of the last output of `module` in `stored`, until `remove()`."
    def __init__(self, module:nn.Module):
        self.handle = module.register_forward_hook(self.see)
    def see(self, module, args, out): self.stored = out.detach().clone()
    def remove(self): self.handle.remove()

e.edit('.clone()', '',
       '`detach()` gives a view of the same memory. The next layer here is an in-place ReLU: it has overwritten your '
       'copy. `clone()` it.')
e.edit('.detach()', '', '`stored` is still part of the graph: it keeps every activation below it alive. `detach()` it.')
e.edit('.detach().clone()', '',
       'You keep the very tensor that the network goes on with. The layer behind it has changed it in place, and the '
       'whole graph hangs on it. `clone()` and `detach()` it, one for each, and return nothing.')
e.edit('self.stored = out.detach().clone()', 'self.stored = out.detach().clone(); return self.stored',
       '`see` returns your copy, and what a forward hook returns takes the place of the output: the network goes on '
       'with it, and no gradient gets past. Store, and return nothing.')
e.edit('out.detach()', 'args[0].detach()', "This is the layer's input. The output is the hook's third argument.")
e.edit('self.handle.remove()', 'self.handle = None',
       "The hook is still on the layer after `remove()`. Forgetting the handle does not take it off: call the "
       "handle's own `remove()`.")
e.edit('out.detach().clone()', "getattr(self, 'stored', out.detach().clone())",
       'It keeps the first output for ever. `stored` should be the *last*.')

# 1.3 A hook that cleans up after itself

def within(answer):
    net = tiny(inplace=True)
    with answer(net[0][0]) as h:
        net(pictures(2))
        stored = h.stored
    return {'stored': stored.detach(), 'stored.requires_grad': stored.requires_grad,
            'hooks left after the with': hooks_left(net)}

def within_error(answer):
    net = tiny()
    came_out = False
    try:
        with answer(net[0][0]): net(torch.zeros(1, 2, 5, 5))
    except RuntimeError: came_out = True
    return {'the error inside the with comes out': came_out, 'hooks left after the error': hooks_left(net)}

e = exercise('1.3', 'A hook that cleans up after itself',
    "Exercises 1.1 and 1.2 lead up to this one. Write `Hook(module)`: `stored` is a detached copy of the module's "
    "last output, and it can be used in a `with`: `with Hook(layer) as h: …`. The hook is gone afterwards, also after "
    "an error, and the error comes out.",
    library='camtutor.hooks',
    trials=(Trial('One pass inside a with', within),
            Trial('An error inside the with', within_error)),
    hints=('A context manager is any object with two methods, `__enter__` and `__exit__`.',
           '`__enter__` returns what `as` binds; `__exit__` takes three arguments, or `*exc`.',
           'Start from a hook that stores. Return the object itself on the way in, and call `remove()` on the way '
           'out.'),
    why='A hook left behind runs on every later pass, and holds its memory. A `with` makes forgetting impossible.')

@e.reference
class Hook:
    "While it is in place, `stored` is a detached copy of the last output of `module`."
    def __init__(self, module:nn.Module):
        self.handle = module.register_forward_hook(self.see)
    def see(self, module, args, out): self.stored = out.detach().clone()
    def remove(self): self.handle.remove()
    def __enter__(self): return self
    def __exit__(self, *exc): self.remove()

e.edit('self.remove()', 'return False',
       'The hook is still on the layer after the `with`. `__exit__` is the place to remove it.')
e.edit('return self', 'self.entered = True',
       '`as h` is what `__enter__` returns, and yours returns nothing. Return `self`.')
e.edit('self.remove()', 'self.remove(); return True',
       "An `__exit__` that returns something true swallows the error: the learner's typo would vanish without a word. "
       "Return nothing.")
e.edit('self.remove()', 'exc[0] or self.remove()',
       'After an error the hook stays. `__exit__` is called then too, with the error as arguments; clean up in any '
       'case.')
e.edit('self, *exc', 'self',
       '`__exit__` is given three arguments, about the error if there was one: take them, as `*exc` for example.')
HookView = e.edit('.clone()', '',
                  "`stored` shares its memory with the layer's output, and the in-place ReLU behind it has changed "
                  "it. `clone()` it.")

# 1.4 Count the hooks

def counted(*places):
    def run(answer):
        net = tiny()
        for p in places: net.get_submodule(p).register_forward_hook(lambda *a: None)
        return answer(net)
    return run

e = exercise('1.4', 'Count the hooks',
    'Write `count_hooks(model)`: how many forward hooks are on the model and on everything inside it. Each module '
    'keeps its own in the dict `_forward_hooks`.',
    trials=(Trial('No hook', counted(), 0),
            Trial('One hook on a layer inside a layer', counted('0.3'), 1),
            Trial('One hook on a part', counted('1'), 1),
            Trial('Three hooks on one layer, one on another, one on the whole network',
                  counted('0.3', '0.3', '0.3', '1', ''), 5)),
    hints=('`model.modules()` yields the model and everything inside it.',
           'The length of a dict is the number of its entries.',
           'One `sum` over the modules.'),
    why='A count before and after is the simplest test that a tool leaves a network as it found it. Ours does it for '
        'every method.')

@e.reference
def count_hooks(model:nn.Module)->int:
    "How many forward hooks are on `model` and on all modules inside it."
    return sum(len(m._forward_hooks) for m in model.modules())

e.wrong(lambda model: len(model._forward_hooks),
        'This counts the hooks of the outermost module only. `model.modules()` walks through all of them.')
e.edit('modules()', 'children()',
       '`children()` goes one level down. Layers sit deeper, and the model itself can have hooks too: `modules()`.')
e.edit('len', 'bool', 'This counts layers that have a hook. One layer can have several.')
e.edit('sum(len', 'len(model._forward_hooks) + sum(len',
       '`modules()` begins with the model itself, so its own hooks are counted twice here.')
e.edit('model.modules()', 'model.modules() if m is not model',
       'The model itself is a module as well, and can carry a hook.')

# 1.5 How many are left?

e = exercise('1.5', 'How many are left?',
    'Three lines run: `a = Hook(layer)`, then `for i in range(3): b = Hook(layer)`, then `with Hook(layer) as c: '
    'net(x)`. Then `a.remove()` and `del b`. How many hooks are on the layer?',
    reference=3,
    kind='value',
    hints=('Who holds a hook: your variable, or the layer?',
           'Count what was put on: 1 + 3 + 1.',
           'Of these five, `remove()` and the `with` took one each.'),
    why="The layer keeps the hook alive, so Python's own clean-up never comes: exactly the leak that a context "
        "manager cures.")
e.wrong(2,
        '`del b` deletes the name `b`. The layer itself still holds the third hook, and the first two of the loop as '
        'well.')
e.wrong(4, '`a.remove()` took one off, and the `with` took its own.')
e.wrong(1, 'Each turn of the loop puts a new hook on; giving `b` a new value does not remove the old one.')
e.wrong(5, 'That is how many were put on. Two of them were taken off again.')
e.wrong(0, 'Python forgets a name, but the layer holds the hook. Only `remove()`, or a `with`, takes one off.')

# 1.6 Evaluation mode, and back

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

e = exercise('1.6', 'Evaluation mode, and back',
    'Write the context manager `eval_mode(model)` as a function with a `yield`, not as a class; `@contextmanager` '
    'goes between `@ex` and `def`. Inside the `with`, the model and all its modules evaluate; afterwards each module '
    'has *its own* mode back, also after an error. `as` gives the model.',
    library='camtutor.hooks',
    trials=(Trial('A network that trains, with a frozen part', modes()),
            Trial('A network that evaluates, with one layer that trains', modes(train=False)),
            Trial('An error inside the with', modes(error=True))),
    hints=('`model.modules()` lists all modules; each has a flag `training`.',
           'Write down pairs of module and mode; set all to False; `yield`; set them back.',
           'Put `@contextmanager` between `@ex` and `def`, and the way back into `finally`.'),
    why="A tool that leaves batch norm in another mode spoils the learner's next epoch without a word.")

@e.reference
@contextmanager
def eval_mode(model:nn.Module):
    "All of `model` in evaluation mode inside the `with`; afterwards each module has its own mode back."
    modes = [(m, m.training) for m in model.modules()]
    try:
        for m, _ in modes: m.training = False
        yield model
    finally:
        for m, mode in modes: m.training = mode

e.edit('for m, mode in modes: m.training = mode', 'model.train()',
       'Afterwards everything trains, also the part that was frozen before. Remember how each module was.')
e.edit('for m, mode in modes: m.training = mode', 'model.train(modes[0][1])',
       'You remember one mode for the whole model, but its parts can differ: a frozen batch norm in a network that '
       'trains.')
e.edit('finally:\n        for m, mode in modes: m.training = mode', 'except TypeError: raise\n    else: model.train()',
       'Two things. Afterwards all modules train, also those that did not before. And after an error the line below '
       '`yield` never runs: put it into `finally`.')
e.edit('finally:\n        for m, mode in modes: m.training = mode',
       'except TypeError: raise\n    else: model.train(modes[0][1])',
       'Two things. One mode is remembered for the whole model, and `train(was)` gives it to every part; each module '
       'needs its own. And after an error the line below `yield` never runs: put it into `finally`.')
e.edit('finally:', 'except TypeError: raise\n    else:',
       'After an error the modes stay changed: what comes after a `yield` is skipped then. Put it into `finally`.')
e.edit('@contextmanager\n', '',
       'A function with `yield` makes a generator. `@contextmanager`, between `@ex` and `def`, makes it usable in a '
       '`with`.')
e.edit('for m, mode in modes: m.training = mode', 'pass', 'Nothing sets the modes back.')
e.edit('yield model', 'yield', '`as` gets what you `yield`: the model.')

# 1.7 Running statistics

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

e = exercise('1.7', 'Running statistics',
    'Write `RunningStats(module)`: `mean` and `std` are those of *all* values the module has put out so far, as if '
    'every batch were one long list (`correction=0`). Batches differ in size. `remove()` ends it.',
    trials=(Trial('Four ones, then a 3 and a 5', stats_by_hand, {'mean': 2., 'std': (7/3)**.5}),
            Trial('Batches of one, four and two pictures', stats_of_net)),
    hints=('Three numbers are enough: how many values, their sum, the sum of their squares.',
           'The variance is the mean of the squares less the square of the mean.',
           'In the hook: add `out.numel()`, `out.sum()` and the sum of `out**2`. `mean` and `std` are properties '
           'that divide.'),
    why="fastai's ActivationStats is this hook on every layer: it shows at a glance where a network dies or explodes.")

@e.reference
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

e.edit('self.n + out.numel(), self.total + out.sum(), self.squares + (out**2).sum()',
       'out.numel(), out.sum(), (out**2).sum()',
       'These are the figures of the last batch alone. Something has to add up from pass to pass.')
e.edit('out.numel(), self.total + out.sum(), self.squares + (out**2).sum()',
       '1, self.total + out.mean(), self.squares + (out**2).mean()',
       'This averages the averages. A batch of one picture then weighs as much as a batch of four: add sums and '
       'counts instead.')

@e.wrong
class StdOfMeans(RunningStats):
    "The mean of the batches' deviations misses how far the batches lie from each other. Keep the sum of squares."
    def __init__(self, module):
        super().__init__(module)
        self.stds = []
    def see(self, module, args, out):
        super().see(module, args, out)
        self.stds.append(out.detach().double().std(correction=0))
    @property
    def std(self): return torch.stack(self.stds).mean().item()

@e.wrong
class Batches:
    """Mean and deviation of each batch, then their average: small batches weigh too much, and how far the batches
    lie from each other is lost. Add up sums, squares and counts, and divide at the end."""
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

@e.wrong
class Pooled(RunningStats):
    """The mean is right. Averaging the batches' variances, even by size, leaves out how far their means lie from
    each other. Keep the sum of squares."""
    def see(self, module, args, out):
        out = out.detach().double()
        self.n, self.total = self.n + out.numel(), self.total + out.sum()
        self.squares = self.squares + out.var(correction=0)*out.numel()
    @property
    def std(self): return (self.squares/self.n).sqrt().item()

e.edit('out.numel()', 'len(out)',
       'You divide by the number of images, but sum over all values. Count values with `numel()`.')
e.edit('self.handle.remove()', 'self.handle = None',
       'After `remove()` the statistics still move: the hook is still there.')

# 1.8 Several layers at once

def several(answer):
    net = tiny(inplace=True)
    with answer([net[0][3], net[0][0]]) as h:
        net(pictures(1))
        net(pictures(2, seed=3))
        stored = list(h.stored)
    return {'stored': stored, 'hooks left': hooks_left(net)}

e = exercise('1.8', 'Several layers at once',
    'Write `Hooks(modules)`: one hook for each; `stored` is the list of their last outputs, in the order of '
    '`modules`, whatever the order in which they run. It can be used in a `with`. (This is what is checked. '
    '`hooks[i]`, `len(hooks)` and `kind`, where the stub has them, are extras.)',
    library='camtutor.hooks',
    trials=(Trial('A deep layer and a shallow one, two batches', several),),
    hints=('You have a class for one layer already.',
           'Keep a list of `Hook`s; `stored` is a property that asks each of them.',
           '`remove` loops over all of them, and `__exit__` calls it.'),
    why="One forward pass is enough for any number of layers: this is how the explorer's layer slider stays quick.")

@e.reference
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

e.edit('for h in self.hooks: h.remove()', 'for h in self.hooks: return h.remove()',
       'Only the first hook is removed: a `return` inside a loop ends it.')

@e.wrong
class InOrderOfRun(Hooks):
    "These are in the order in which the layers ran, and grow with every pass. Give each layer its own place."
    def __init__(self, modules):
        self.kept = []
        self.hooks = [m.register_forward_hook(lambda m, a, out: self.kept.append(out.detach().clone()))
                      for m in modules]
    @property
    def stored(self): return self.kept

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

@e.wrong
class LateBinding(HooksOwn):
    """All your hooks write to the last place: they look up `i` when they run, and by then it has its last value.
    Bind it when you make the hook."""
    def __init__(self, modules):
        self.stored, self.handles = [None for _ in modules], []
        for i, m in enumerate(modules):
            def see(m, args, out): self.stored[i] = out.detach().clone()
            self.handles.append(m.register_forward_hook(see))

e.edit('Hook(m)', 'HookView(m)',
       "The shallow layer's copy was overwritten by the in-place ReLU behind it: `clone()` it.")

# 1.9 A layer by its name

def layer_at(name):
    def run(answer):
        net = tiny()
        return answer(net, name) is net.get_submodule(name)
    return run

def layer_itself(answer):
    net = tiny()
    return answer(net, net[0]) is net[0]

e = exercise('1.9', 'A layer by its name',
    'Write `get_layer(model, layer)`: `layer` is a name as in `model.named_modules()`, such as `"0.3"`, or a module, '
    'which is returned as it is.',
    library='camtutor.hooks',
    trials=(Trial('A name with a dot, "0.3"', layer_at('0.3'), True),
            Trial('"1.2", with the same ending as "0.2"', layer_at('1.2'), True),
            Trial('"1", a whole part of the network', layer_at('1'), True),
            Trial('A module instead of a name', layer_itself, True)),
    hints=('`model.named_modules()` yields pairs of name and module.',
           'Pairs make a `dict`.',
           'Test `isinstance(layer, nn.Module)` first.'),
    why='A name can be written down, saved and put on a slider; a module cannot.')

@e.reference
def get_layer(model:nn.Module, # a network
              layer # a name as in `model.named_modules()`, or a module of it
             )->nn.Module:
    "The module of `model` that `layer` names; a module is returned as it is."
    return layer if isinstance(layer, nn.Module) else dict(model.named_modules())[layer]

e.edit('(model.named_modules())', '(model.named_children())',
       '`named_children()` knows the first level only; "0.3" lies below it.')
e.edit('dict(model.named_modules())[layer]', 'getattr(model, layer)',
       '`getattr` takes one step. A name with dots is a path: one step for each part.')
e.edit('layer if isinstance(layer, nn.Module) else ', '',
       'A module may be given instead of its name. Return it as it is.')

@e.wrong
def layer_part(model, layer):
    "Several layers can end in the same number. The whole name counts."
    if isinstance(layer, nn.Module): return layer
    return next(m for n, m in model.named_modules() if n.endswith(layer[-1]))

# 1.10 What there is to look at

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

e = exercise('1.10', 'What there is to look at',
    "Write `feature_layers(model, x)`: a dict from name to `(C,h,w)` for the layers that give a stack of maps "
    "`(N,C,h,w)` of more than one place, in the order in which they *run*. The model itself is not listed. Leave out "
    "what runs more than once, and whatever is inside a *block*: a module in the model that has layers inside and is "
    "no `nn.Sequential`. Where several modules give back the very same tensor, the outermost name stands for it. Run "
    "the model in evaluation mode, and leave neither a hook nor another mode behind, not even after an error. (It "
    "needs none of the chapter's helpers, and no layer here works in place. `last`, where the stub has it, is an "
    "extra: you need not use it.)",
    library='camtutor.hooks',
    trials=(Trial('A row of layers', layers_of(in_a_row), found(_0=(4, 12, 10), _1=(4, 12, 10), _2=(4, 6, 5)),
                  says={'layers': 'One entry for each layer whose output has four dimensions and more than one '
                                  'place.'}),
            Trial('A body and a head: `0` gives back what its last layer, `0.4`, gave it', layers_of(tiny),
                  found(_0_0=(4, 12, 10), _0_1=(4, 12, 10), _0_2=(4, 6, 5), _0_3=(5, 6, 5), _0=(5, 6, 5)),
                  says={'layers': 'An `nn.Sequential` hands on what its last layer gave: one tensor, and the outer '
                                  'name counts.'}),
            Trial('Two residual blocks in an `nn.Sequential`', layers_of(with_blocks),
                  found(_0=(4, 12, 10), _1=(4, 12, 10), _2_0=(4, 12, 10), _2=(4, 12, 10)),
                  says={'layers': 'The blocks are `2.0` and `2.1`; `2` gives back what `2.1` gave it.'}),
            Trial('A ReLU that stands at two places', layers_of(with_one_relu), found(_0=(4, 12, 10), _2=(5, 12, 10)),
                  says={'layers': 'The ReLU `1` runs twice.'}),
            Trial('A network whose second layer runs first', layers_of(crossed),
                  found(early=(4, 12, 10), late=(2, 10, 8))),
            Trial('A block called `stage1`, and behind it a layer called `stage10`', layers_of(alike_names),
                  found(stage1=(3, 12, 10), stage10=(4, 10, 8)),
                  says={'layers': '`stage10` is not inside `stage1`; `stage1.conv1` is.'}),
            Trial('A network in training mode', layers_in_training),
            Trial('A batch that the network refuses', layers_error)),
    hints=('Start from `all_outputs` of the chapter. Hook every module, let the hook keep name, module and output, '
           'and choose when the run is over.',
           'Keep the outputs themselves, not only their shapes: then `is`, or `id`, tells whether two names stand '
           'for one tensor. An outer module ends later than what is inside it.',
           '`Counter` finds names that came twice. What is inside a block begins with its name and a dot; '
           '`startswith` takes a tuple. In a dict by `id` of the output, a later name takes the place of an earlier '
           'one.'),
    why="This list is the layer slider of the explorer. The library's also copes with layers that work in place and "
        "with channels that come last, and says what is wrong with bad input.")

@e.reference
def feature_layers(model:nn.Module, # a network
                   x:Tensor # a batch (N,3,H,W); only its first picture is used
                  )->dict: # name -> (C,h,w)
    "Layers whose output is a stack of maps, as they run: each output once, blocks from outside, none that runs twice."
    seen, handles, layers = [], [], {}
    def note(name, m, args, out): seen.append((name, m, out))
    try:
        for name, m in model.named_modules(): handles.append(m.register_forward_hook(partial(note, name)))
        with eval_mode(model), torch.no_grad(): model(x[:1])
    finally:
        for h in handles: h.remove()
    runs = Counter(name for name, _, _ in seen)
    blocks = tuple(name + '.' for name, m, _ in seen
                   if name and list(m.children()) and not isinstance(m, nn.Sequential))
    for name, _, out in seen:
        if name and runs[name] == 1 and not name.startswith(blocks) and out.ndim == 4 and out.shape[2:].numel() > 1:
            layers[id(out)] = name, tuple(out.shape[1:])
    return dict(layers.values())

e.edit('with eval_mode(model), torch', 'with torch', 'finally:', 'except TypeError: raise\n    else:',
       'if name and runs[name] == 1 and not name.startswith(blocks) and', 'if', 'layers[id(out)]', 'layers[name]',
       'This is the first attempt of the chapter: every output under every name. Look for what ran twice, for the '
       'insides of blocks, and for one tensor under several names; run in `eval_mode`, and remove the hooks in '
       '`finally`.')
e.edit('runs[name] == 1 and not name.startswith(blocks) and ', '', 'layers[id(out)]', 'layers[name]',
       'Everything is listed under every name. Leave out what ran twice and what is inside a block, and keep one name '
       'for each tensor.')
e.edit('handles.append', 'list(m.children()) or handles.append', 'runs[name] == 1 and not name.startswith(blocks) and ',
       '',
       'Blocks are missing, and their insides are listed instead, even what runs twice. Did you hook only layers that '
       'have none inside, or keep the innermost name of each tensor? Hook every module, and choose after the run: the '
       'outermost name counts.')
e.edit('handles.append', 'list(m.children()) or handles.append', ' and not name.startswith(blocks)', '',
       'What runs twice is left out. But blocks are missing, and their insides are listed. Either you hook only '
       'layers that have none inside, or you keep the innermost name of each tensor: hook every module, and let the '
       'outermost name count.')
e.edit('partial(note, name)', 'lambda *args: note(name, *args)',
       "Nothing is left. Do all hooks note the same name, so that it seems to run many times? A hook looks a loop's "
       "variable up when it *runs*, and by then the loop is over. Bind the name when the hook is made: `n=n` as a "
       "default argument, or `partial`.")
e.edit('partial(note, name)', 'lambda *args: note(name, *args)', 'runs[name] == 1 and not name.startswith(blocks) and ',
       '', 'layers[id(out)]', 'layers[name]',
       'There is one name only, the last: all hooks look it up when they run, and by then the loop is over. Bind it '
       'when the hook is made: `name=name` as a default argument, or `partial`.')
e.edit('partial(note, name)', 'lambda *args: note(name, *args)', 'runs[name] == 1 and not name.startswith(blocks) and ',
       '', 'layers[id(out)] = name, tuple(out.shape[1:])', 'layers.setdefault(name, (name, tuple(out.shape[1:])))',
       "There is one name only, that of the last module, with the shape of the first maps. The hooks look the loop's "
       "variable up when they run, and by then the loop is over. Bind the name when the hook is made: `n=n` as a "
       "default argument, or `partial`.")
e.edit('for h in handles: h.remove()', 'pass',
       'The list is right, but the hooks are still on. Keep their handles, and remove them in `finally`.')
e.edit('finally:', 'except TypeError: raise\n    else:',
       'After an error in the forward pass the hooks stay. Put their removal into `finally`.')
e.edit('with eval_mode(model), torch', 'with torch',
       'A network in training mode was changed by looking at it: its batch norm has moved. Run it inside '
       '`eval_mode(model)`.')
e.edit('with eval_mode(model), torch', 'with torch', 'finally:', 'except TypeError: raise\n    else:',
       'Two things. In training mode the run moves the averages of batch norm: use `eval_mode(model)`. And after an '
       'error the hooks stay: remove them in `finally`.')
e.edit('layers[id(out)]', 'layers[name]',
       'The same tensor is listed under several names: an `nn.Sequential` gives back what its last layer gave it. '
       'Keep one, the outermost.')
e.edit('layers[id(out)] = name, tuple(out.shape[1:])', 'layers.setdefault(id(out), (name, tuple(out.shape[1:])))',
       'One name for each tensor, but the inner one. The outer module ends last: let the later name take the place of '
       'the earlier.')
e.edit(' and runs[name] == 1', '',
       'A layer that runs twice is still listed. Which of its two outputs would its name mean? Count the runs.')
e.edit(' and not name.startswith(blocks)', '',
       'The insides of blocks are listed. There the picture takes two ways, and one of them is only half the story. '
       'Leave out names that begin with the name of a block and a dot.')
e.edit(' and not isinstance(m, nn.Sequential)', '',
       'You take an `nn.Sequential` for a block and leave out what is in it. It only holds layers in a row: what is '
       'inside counts.')
e.edit("name + '.'", 'name',
       'The blocks themselves are gone: the name of `2.0` begins with `2.0`. Only what begins with `2.0.`, with the '
       'dot, is inside it.')
e.edit("name + '.'", 'name', 'if name and list', 'if list',
       "Two things, with one cure. The blocks themselves are gone, since the name of `2.0` begins with `2.0`. And "
       "where the model is no `nn.Sequential` nothing is left, since every name begins with the empty one, the "
       "model's own. Compare with the block's name and a dot: `2.0.`.")
e.edit("name + '.'", 'name', 'not name.startswith(blocks)', 'not any(name.startswith(b) and name != b for b in blocks)',
       '`stage10` is left out, since its name begins with `stage1`; but it stands beside that block. What is inside a '
       'block begins with its name *and a dot*.')
e.edit("name + '.'", 'name', 'not name.startswith(blocks)', 'not any(name.startswith(b) and name != b for b in blocks)',
       'if name and list', 'if list',
       "Where the model is no `nn.Sequential` nothing is left: it counts as a block, and every name begins with its "
       "empty one. Leave the model out of the blocks. And compare with a block's name *and a dot*: `stage10` is not "
       "inside `stage1`.")
e.edit(' and out.shape[2:].numel() > 1', '',
       'Outputs of one place are in it too: (C,1,1), after the pooling. There is nothing to see in them.')
e.edit(' and out.ndim == 4 and out.shape[2:].numel() > 1', '',
       "The head's layers are in it too. What they give are no maps: keep four dimensions, and more than one place.")
e.edit('if name and runs', 'if runs',
       'The model itself is in the list, under the empty name. It cannot be a stop on a slider.')

@e.wrong
def defined(model, x):
    "This is the order in which the layers were *defined*. The hooks know the order in which they run."
    found = feature_layers(model, x)
    return {n: found[n] for n, _ in model.named_modules() if n in found}

e.edit('(out.shape[1:])', '(out.shape)', 'x[:1]', 'x', "The batch axis is not the layer's: leave the first number out.")

# 1.11 The gradient that comes back

def backward(inplace):
    def run(answer):
        net, x = tiny(inplace=inplace), pictures(2).requires_grad_()
        with answer(net[0][3]) as h: net(x)[:, 1].sum().backward()
        return {'stored': h.stored, 'hooks left': hooks_left(net),
                'the gradient goes on to the picture': bool(x.grad.abs().sum() > 0)}
    return run

e = exercise('1.11', 'The gradient that comes back',
    "Write `HookBwd(module)` for use in a `with`: after `score.backward()`, `stored` is the gradient of the score "
    "with respect to the module's *output*. It must work in front of an in-place ReLU. If yours begins with `class "
    "HookBwd(Hook)`, only `see` is left to write: the library's `Hook` has a method `keep(value)`, which stores a "
    "copy.",
    library='camtutor.hooks',
    trials=(Trial('A convolution followed by a ReLU', backward(False)),
            Trial('A convolution followed by an in-place ReLU', backward(True))),
    hints=('Every tensor of the graph has `register_hook(f)`; `f` is called with its gradient.',
           'You meet the output tensor in a forward hook.',
           'In the forward hook: `out.register_hook(self.keep)`; `keep` stores a copy and returns nothing.'),
    why='The gradient at a layer says what each activation is worth to a class. Averaged over places, it is all that '
        'Grad-CAM needs.')

@e.reference
class HookBwd:
    "While it is in place, `stored` is a copy of the last gradient that came back to the output of `module`."
    def __init__(self, module:nn.Module):
        self.handle = module.register_forward_hook(self.see)
    def see(self, module, args, out): out.register_hook(self.keep)
    def keep(self, grad): self.stored = grad.detach().clone()
    def remove(self): self.handle.remove()
    def __enter__(self): return self
    def __exit__(self, *exc): self.remove()

@e.wrong
class ModuleHook(HookBwd):
    """`register_full_backward_hook` refuses an output that is then changed in place. A hook on the output *tensor*
    does not mind."""
    def __init__(self, module): self.handle = module.register_full_backward_hook(self.back)
    def back(self, module, grad_in, grad_out): self.stored = grad_out[0].detach().clone()

e.edit('out.register_hook', 'args[0].register_hook',
       "This is the gradient at the layer's *input*. Put the tensor hook on its output.")
e.edit('out.register_hook(self.keep)', 'self.stored = out.detach().clone()',
       'These are activations: what went forward. The gradient comes later; let the output tensor call you then.')

@e.wrong
class TooEarly(HookBwd):
    """When the output appears nothing has come back yet, so `out.grad` is None. Leave a function there that is
    called later: `out.register_hook`."""
    def see(self, module, args, out):
        out.retain_grad()
        self.stored = out.grad

@e.wrong
class Retains(HookBwd):
    """`retain_grad` belongs to the tensor. The in-place ReLU takes that tensor over, and then `out.grad` is the
    gradient *behind* the ReLU. `out.register_hook` belongs to the step that made `out`."""
    def see(self, module, args, out):
        out.retain_grad()
        self.out = out
    @property
    def stored(self): return self.out.grad

@e.wrong
class OwnInit(library.Hook):
    """Your `__init__` takes the place of the one in `Hook`, which `remove` relies on. Leave it out and write `see`
    only. (A full backward hook would not do here: it refuses an output that is then changed in place.)"""
    def __init__(self, module): self.handle = module.register_full_backward_hook(self.back)
    def back(self, module, grad_in, grad_out): self.stored = grad_out[0]

e.edit('out.register_hook', 'module.weight.register_hook',
       "This is the gradient of the layer's weights, the one that training uses. Here the output's is wanted: same "
       "shape as the activations.")

@e.wrong
class Handle(HookBwd):
    """Your forward hook returns the handle of the tensor hook, and that takes the place of the layer's output.
    Register it, and return nothing. (A lambda always returns something.)"""
    def see(self, module, args, out): return out.register_hook(self.keep)

@e.wrong
class Replaces(HookBwd):
    "Your tensor hook returns something, and that replaces the gradient for everything below. Return nothing."
    def keep(self, grad):
        self.stored = grad.detach().clone()
        return torch.zeros_like(grad)

e.edit('self.remove()', 'return False', 'The forward hook is still on after the `with`.')

# 1.12 A shape

e = exercise('1.12', 'A shape',
    '`net = load_pets()` turns a picture of 128 × 128 into maps of 8 × 8 with 128 channels. You hook its body, '
    '`net[0]`, and run a batch of five. What is the shape of `stored`?',
    reference=(5, 128, 8, 8),
    kind='value',
    hints=('Four axes: pictures, channels, rows, columns.',
           'The body ends before the pooling.',
           'The batch comes first.'),
    why='(N,C,h,w) is the `A` of every formula in this course.')
e.wrong((5, 8, 8, 128), 'PyTorch puts channels before places: (N,C,h,w).')
e.wrong((128, 8, 8), "That is one picture's. The batch axis comes first.")
e.wrong((5, 8), 'Those are the scores, one for each species: what the whole network gives.')
e.wrong((5, 128), 'That is after pooling, which belongs to the head, `net[1]`.')

# 1.13 Why eval and no_grad

e = exercise('1.13', 'Why eval and no_grad',
    'You look into a trained network. What do `model.eval()` and `torch.no_grad()` do for you? One sentence each.',
    reference='`eval()` makes dropout and batch norm behave as in use: the same picture gives the same activations, '
              'and the running statistics stay as they were. `no_grad()` records no graph, so that activations are '
              'freed at once and the pass needs less memory and time. They are independent: neither implies the other.',
    kind='written',
    why='If you said only one of these halves for each, that is the usual gap: eval is about layers, no_grad about '
        'bookkeeping.')

# 1.14 What a hook is

e = exercise('1.14', 'What a hook is',
    'In PyTorch, a forward hook is …',
    reference='a function that PyTorch calls after a module has run, with the module, its inputs and its output',
    kind='choice')
e.wrong('a layer that is inserted into the network', 'The network stays as it is. The hook is called beside it.')
e.wrong('a copy of the network that also stores activations', 'Nothing is copied unless your hook copies it.')
e.wrong('a method of the module that you overwrite', "You register any function; the module's own methods stay.")

# 1.15 A context manager

e = exercise('1.15', 'A context manager',
    'Which two methods make an object usable in a `with`?',
    reference='__enter__ and __exit__',
    kind='choice')
e.wrong('__init__ and __del__',
        '`__del__` runs when nothing holds the object any more. A hooked layer holds its hook, so that moment never '
        'comes.')
e.wrong('__call__ and __exit__', 'Nothing is called. On the way in Python asks for `__enter__`.')
e.wrong('open and close',
        'These are methods of files. Files can be used in a `with` because they have the two special methods as well.')

# 1.16 ActivationStats

e = exercise('1.16', 'ActivationStats',
    "fastai's `ActivationStats` callback shows how a training goes wrong. How does it get its numbers?",
    reference='It hooks the layers, and each hook notes mean, standard deviation and share near zero of its output',
    kind='choice')
e.wrong('It reads them from the weights after each batch',
        'Weights are not activations: what a layer puts out depends on its input as well.')
e.wrong('It runs the model a second time on each batch', 'No second pass is needed: a hook sees the first.')
e.wrong('It asks the optimiser', 'The optimiser only meets parameters and their gradients.')
