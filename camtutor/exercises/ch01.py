"Chapter 01: hooks."
from collections import Counter
from contextlib import contextmanager
import torch
from torch import Tensor, nn

from camtutor.exercises.declare import exercise
import camtutor.hooks as library
from camtutor.exercises.common import gives, hooks_left, keeps, pictures, rand, tiny
from camtutor.exercises.core import Trial

# 1.1 A hook that takes notes

def shapes_noted(answer):
    net, shapes = tiny(), []
    for layer in (net[0][0], net[0][2]): layer.register_forward_hook(answer(shapes))
    out = net(pictures(2))
    net(pictures(1))
    return {'shapes': shapes, 'each is a tuple': [type(s) in (tuple, torch.Size) for s in shapes],
            'the network gives what it gave': torch.equal(out, tiny()(pictures(2)))}

e = exercise('1.1', 'A hook that takes notes',
    'PyTorch calls a forward hook as `hook(module, args, out)` each time the module has run. Write '
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
e.edit('tuple(out.shape)', 'list(out.shape)', 'These are lists. A tuple is asked for: `tuple(out.shape)`.')
e.edit('shapes.append(tuple(out.shape))', 'shapes.extend(out.shape)',
       '`extend` adds the numbers one by one. `append` adds the shape as one thing.')
e.edit('out.shape', 'out.shape[1:]',
       'The first number, how many pictures there are in the batch, is missing. Here the whole shape of `out` is '
       'asked for.')
e.edit('def hook(module, args, out)', 'def hook(module, out)',
       'A forward hook is called with three arguments: the module, a tuple of its inputs, and its output.')
e.edit('shapes.append(tuple(out.shape))', 'shapes[:] = [tuple(out.shape)]',
       'Only the last shape is kept. Each pass through the layer should add one.')

# 1.2 A hook that cleans up after itself

def plain(t): return t.detach() if isinstance(t, Tensor) else [*map(plain, t)] if isinstance(t, list) else str(type(t))

def within(answer):
    net = tiny(inplace=True)
    others = net[0][0].register_forward_hook(lambda m, a, out: None)
    with answer(net[0][0]) as h:
        net(pictures(2))
        stored = h.stored
    left = hooks_left(net)
    others.remove()
    return {'stored': plain(stored), 'stored.requires_grad': getattr(stored, 'requires_grad', None),
            "hooks left after the with: one, somebody else's": left}

def two_batches(answer):
    net = tiny()
    with answer(net[0][3]) as h:
        net(pictures(4, seed=1))
        net(pictures(3, seed=2)).sum().backward()
        stored = h.stored
    net(pictures(2, seed=3))
    return {'stored after a second batch': plain(stored),
            'gradients go past the hook': net[0][0].weight.grad is not None,
            'stored stays as it was after the with': h.stored is stored}

def within_error(answer):
    net = tiny()
    came_out = False
    try:
        with answer(net[0][0]): net(torch.zeros(1, 2, 5, 5))
    except RuntimeError: came_out = True
    return {'the error inside the with comes out': came_out, 'hooks left after the error': hooks_left(net)}

e = exercise('1.2', 'A hook that cleans up after itself',
    "Write `Hook(module)`: `stored` is a copy of the module's last output, in memory of its own and no part of the "
    "graph. "
    "It can be used in a `with`: `with Hook(layer) as h: …`. Afterwards the hook is gone, also after an error, and the "
    "error comes out.",
    library='camtutor.hooks',
    trials=(Trial('A layer in front of an in-place ReLU', within,
                  says='What comes later in the network must not change what you stored, nor should the graph hang '
                       'on it.'),
            Trial('Two batches', two_batches),
            Trial('An error inside the with', within_error)),
    hints=('`register_forward_hook(f)` returns a handle; a method with three arguments besides `self` can be `f`.',
           'Two things turn the output into a copy: one cuts it from the graph, one gives it its own memory.',
           '`__enter__` returns what `as` binds; `__exit__` takes three arguments, or `*exc`, and removes the handle.'),
    why='detach and clone are different promises: no graph, and no shared memory. And a `with` makes forgetting '
        'impossible: a hook left behind runs on every later pass, and holds its memory.')

@e.reference
class Hook:
    "While it is in place, `stored` is a detached copy of the last output of `module`."
    def __init__(self, module:nn.Module):
        self.handle = module.register_forward_hook(self.see)
    def see(self, module, args, out): self.stored = out.detach().clone()
    def remove(self): self.handle.remove()
    def __enter__(self): return self
    def __exit__(self, *exc): self.remove()

HookView = e.edit('.clone()', '',
                  "`detach()` gives a view of the same memory. The next layer here is an in-place ReLU: it has "
                  "overwritten "
                  "your copy. `clone()` it.")
HookGraph = e.edit('.detach()', '',
                   '`stored` is still part of the graph: it keeps every activation below it alive. `detach()` it.')
e.edit('.detach().clone()', '',
       'You keep the very tensor that the network goes on with. The layer behind it has changed it in place, and the '
       'whole graph hangs on it. `clone()` and `detach()` it, one for each, and return nothing.')
e.edit('self.stored = out.detach().clone()', 'self.stored = out.detach().clone(); return self.stored',
       '`see` returns your copy, and what a forward hook returns takes the place of the output: the network goes on '
       'with it, and no gradient gets past. Store, and return nothing.')
e.edit('out.detach()', 'args[0].detach()', "This is the layer's input. The output is the hook's third argument.")
e.edit('out.detach().clone()', "getattr(self, 'stored', out.detach().clone())",
       'It keeps the first output for ever. `stored` should be the *last*.')
e.edit('self.stored = out.detach().clone()', "self.stored = [*getattr(self, 'stored', []), out.detach().clone()]",
       '`stored` is a list of all outputs. Only the last one is asked for, as a tensor.')
e.edit('out.detach().clone()', 'out.detach().clone().numpy()', '`stored` is an array of NumPy. A tensor is wanted.')
e.edit('self.remove()', 'self.remove(); self.stored = None',
       'What was stored is thrown away at the end of the `with`. It is needed afterwards.')
e.edit('out.detach().clone()', 'out.detach().clone().mean((2, 3))' , 'You store a mean over places. The output '
       'itself is asked '
       'for.')
e.edit('out.detach().clone()', 'out.detach().clone()[0]', 'This is the first picture. The whole batch is asked for.')
e.edit('self.handle.remove()', 'self.handle = None',
       "The hook is still on the layer after the `with`. Forgetting the handle does not take it off: call the handle's "
       "own `remove()`.")
e.edit('self.handle.remove()', 'self.module._forward_hooks.clear()', 'self.handle = module',
       'self.module = module; self.handle = module',
       "This removes everybody's hooks, also those that somebody else put on the layer. Remove your own, by its "
       "handle.")
e.edit('return self', 'self.entered = True',
       '`as h` is what `__enter__` returns, and yours returns nothing, or what is stored, which is nothing yet. Return '
       '`self`.')
e.edit('self.remove()', 'self.remove(); return True',
       "An `__exit__` that returns something true swallows the error: the learner's typo would vanish without a word. "
       "Return nothing.")
e.edit('self.remove()', 'exc[0] or self.remove()',
       'After an error the hook stays. `__exit__` is called then too, with the error as arguments; clean up in any '
       'case.')
e.edit('self, *exc', 'self',
       '`__exit__` is given three arguments, about the error if there was one: take them, as `*exc` for example.')

# 1.3 How many are left?

e = exercise('1.3', 'How many are left?',
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

# 1.4 Evaluation mode, and back

def modes(error=False, train=True):
    def run(answer):
        net, came_out = tiny().train(train), False
        net[0].eval()
        net[0][1].train()
        before = [m.training for m in net.modules()]
        try:
            with answer(net) as same:
                inside = any(m.training for m in net.modules())
                if error: raise KeyError('as planned')
        except KeyError: came_out = True
        return {'the error inside the with comes out': came_out == error,
            'some module trains inside the with': inside, 'the with gives the model': same is net,
                'modules that train afterwards': sum(m.training for m in net.modules()),
                'each module has its own mode back': [m.training for m in net.modules()] == before}
    return run

e = exercise('1.4', 'Evaluation mode, and back',
    'Write the context manager `eval_mode(model)` as a function with a `yield`; `@contextmanager` goes between `@ex` '
    'and '
    '`def`. Inside the `with`, the model and all its modules evaluate. Afterwards each module has *its own* mode back, '
    'also after an error. `as` gives the model.',
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
       'Every module gets the mode of the whole model: either one mode was remembered, or `train(mode)` of an outer '
       'module, '
       'which reaches everything inside it, came last. Set the flag `training` of each module for itself.')
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
e.edit('finally:', 'except Exception: pass\n    finally:',
       'The error inside the `with` is swallowed: a typo there would vanish without a word. `finally` lets it out.')
e.edit('yield model', 'yield', '`as` gets what you `yield`: the model.')
e.edit('model.modules()', 'model.children()',
       '`children()` goes one level down, and leaves the model itself out. `modules()` walks through all of them.')

# 1.5 Several layers at once

def several(answer):
    net = tiny(inplace=True)
    with answer([net[0][3], net[0][0]]) as h:
        net(pictures(1))
        net(pictures(2, seed=3))
        stored = list(h.stored)
    return {'stored': stored, 'stored has no graph': [t.grad_fn is None for t in stored if isinstance(t, Tensor)],
            'hooks left': hooks_left(net)}

e = exercise('1.5', 'Several layers at once',
    'Write `Hooks(modules)`: one hook for each; `stored` is the list of their last outputs, in the order of '
    '`modules`, whatever the order in which they run. It can be used in a `with`. (`hooks[i]`, `len(hooks)` and '
    '`kind`, where the stub has them, are extras.)',
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
e.edit('Hook(m)', 'HookGraph(m)',
       "What you store is still part of the graph, and keeps it alive for every layer: `detach()` it.")
e.edit('return self', 'self.entered = True', '`as h` is what `__enter__` returns, and yours returns nothing. Return '
       '`self`.')
e.edit('@property\n    ', '', '`stored` is a method here. With `@property` above it, it is asked for without '
       'parentheses.')
e.edit('self.remove()', 'return False', 'The hooks are still on after the `with`. `__exit__` is the place to remove '
       'them.')
e.edit('[Hook(m) for m in modules]', '[Hook(modules[0])]', 'Only the first module is hooked.')
e.edit('[h.stored for h in self.hooks]', 'self.hooks[-1].stored', 'This is what the last module gave. A list of all '
       'is wanted.')
e.edit('[h.stored for h in self.hooks]', 'self.hooks[0].stored', 'This is what the first module gave. A list of all '
       'is wanted.')
e.edit('[h.stored for h in self.hooks]', '{i: h.stored for i, h in enumerate(self.hooks)}',
       '`stored` is a dict. A list is wanted, in the order of `modules`.')
e.edit('[h.stored for h in self.hooks]', '[h.stored for h in self.hooks][::-1]',
       'The order is turned round. Keep that of `modules`.')

# 1.6 Maps that are dark

A6 = torch.tensor([[[[0., .01], [.05, -3.]], [[0., 0.], [0., .06]], [[-1., -2.], [-.5, -.1]]],
                   [[[.2, .3], [.1, .4]], [[0., 0.], [0., 0.]], [[1., 0.], [0., 0.]]]])

e = exercise('1.6', 'Maps that are dark',
    'A map is *dark* if no place of it is above a bound. Write `dark_share(A, bound=.05)`: for activations '
    '(N,C,h,w), picture '
    'by picture, which share of the C maps is dark: (N,).',
    trials=(gives('Two pictures, three maps of 2 × 2', A6, want=[2/3, 1/3]),
            gives('Random, four pictures, six maps of 2 × 3', rand(4, 6, 2, 3, seed=2) - .8),
            gives('The same, another bound', rand(4, 6, 2, 3, seed=2), 1.1),
            keeps(A6)),
    hints=('The highest place of each map tells whether all of it is dark.',
           '`A.amax((2, 3))` is (N,C): the highest place of each map.',
           'Compare with the bound, make floats of the truths, and take the mean over the channels.'),
    why='A share near zero of 90 % can be healthy: many maps, each lit in one place. Maps that never light up pass '
        'nothing '
        'on and learn nothing.')

@e.reference
def dark_share(A:Tensor, # activations (N,C,h,w)
               bound:float=.05 # what is not above it is dark
              )->Tensor: # (N,)
    "The share of maps that are dark all over, picture by picture."
    return (A.amax((2, 3)) <= bound).float().mean(1)

e.edit('A.amax((2, 3)) <= bound', 'A.flatten(2) <= bound', '.mean(1)', '.mean((1, 2))',
       'This is the share of dark *places*. A map counts as dark only if all of its places are.')
e.edit('A.amax((2, 3))', 'A.amin((2, 3))', 'Here a map is dark if *any* place of it is. All must be: look at its '
       'highest.')
e.edit('A.amax((2, 3))', 'A.mean((2, 3))', 'The mean of a map can be low although one place is bright. Look at its '
       'highest.')
e.edit('A.amax((2, 3))', 'A.abs().amax((2, 3))',
       'Large negative values count as light here. A ReLU would make them 0: leave the sign.')
e.edit('.float().mean(1)', '.any(1).float()', 'This says whether any map is dark. Which *share* of them is? Take the '
       'mean.')
e.edit('.mean(1)', '.mean()', 'This is one number for the whole batch. Each picture has its own.')
e.edit('.mean(1)', '.mean(0)', 'This is a share for each channel, over the pictures. One for each picture is asked '
       'for.')
e.edit('.float().mean(1)', '.sum(1)', 'These are counts. Divide by the number of maps.')
e.edit('<=', '>', 'This is the share of maps that are lit.')
e.edit('<= bound', '<= .05', 'The bound is fixed at 0.05. Use the argument.')
e.edit('<= bound', '<= 0', 'The bound is 0 here. Use the argument.')
e.edit('<= bound', '== 0', 'Only maps whose highest place is exactly 0 count. What is not above the bound is dark.')
e.edit('<= bound', '< bound', 'A place that is just at the bound counts as lit here. Dark is what is *not above* it: '
       '`<=`.')
e.edit('A.amax((2, 3))', 'A.amax(1).flatten(1)',
       'You take the highest of the *channels*, place by place. Take the highest place of each map: axes 2 and 3.')
e.edit('A.amax((2, 3))', 'A.amax(3)', '.mean(1)', '.mean((1, 2))',
       'This is the share of dark rows. All rows of a map must be dark: the maximum over both axes of places.')
e.edit('A.amax((2, 3))', 'A.amax((0, 2, 3))[None].expand(len(A), -1)',
       'You ask which maps are dark in the whole batch. Ask it for each picture.')
e.edit('A.amax((2, 3))', 'A.relu_().amax((2, 3))', "You have changed the caller's activations: names with `_` at "
       "their end "
       'work in place.')
e.wrong(lambda A, bound=.05: 100*dark_share(A, bound), 'This is in per cent. A share lies between 0 and 1.')
e.wrong(lambda A, bound=.05: dark_share(A, bound).tolist(), 'This is a list. A tensor (N,) is wanted.')

# 1.7 One name each

def tell_apart(*names):
    "What a run of hooks collected: (name, output), where the same letter stands for the same tensor."
    tensors = {}
    return [(n, tensors.setdefault(letter, rand(2, 3, i % 3 + 1, 4, seed=ord(letter)))) for i, (n, letter) in
            enumerate(names)]

def named(*names): return lambda answer: list(answer(tell_apart(*names)))

def equal_values(answer):
    same = rand(1, 2, 3, 4)
    return list(answer([('a', same), ('b', same.clone()), ('c', same)]))

ROW = ('0.0', 'a'), ('0.1', 'b'), ('0', 'b'), ('1.0', 'c'), ('1.1', 'd'), ('1', 'd'), ('', 'd')
NESTED = ('stem', 'a'), ('body.0.0', 'b'), ('body.0', 'b'), ('body.1', 'c'), ('body', 'c'), ('', 'e')
TWICE = ('conv', 'a'), ('relu', 'b'), ('conv2', 'c'), ('relu', 'd'), ('block', 'd'), ('last', 'e'), ('', 'f')

e = exercise('1.7', 'One name each', hard=True, task=
    '`seen` lists what hooks on all modules collected in one pass: pairs `(name, output)`, in the order in which the '
    'modules *ended*. Write `one_name_each(seen)`: the names worth a slider, in that order. No name that ran twice; '
    'not the '
    'model itself, whose name is empty; and where several names have the very same tensor, only the outermost.',
    trials=(Trial('A row of two parts', named(*ROW), ['0.0', '0', '1.0', '1']),
            Trial('Three levels', named(*NESTED), ['stem', 'body.0', 'body']),
            Trial('A ReLU that runs in two places', named(*TWICE), ['conv', 'conv2', 'block', 'last']),
            Trial('Two tensors with equal values', equal_values, ['b', 'c']),
            Trial('Nothing', lambda f: list(f([])), [])),
    hints=('`Counter(name for name, _ in seen)` counts how often each ran.',
           'The outermost of several modules with one tensor ends last. `is`, or `id(out)`, tells whether it is the '
           'same '
           'tensor; equal values are not enough.',
           'Drop the empty name and what ran twice. Then keep a pair only if no later one that is left has its '
           'tensor.'),
    why='With one more rule, which leaves out the insides of blocks, this is the layer slider of the explorer.')

@e.reference
def one_name_each(seen:list # of (name, output), in the order in which the modules ended
                 )->list: # of names
    "Names of outputs worth a look: each tensor once, by its outermost name, and none that ran twice."
    times = Counter(name for name, _ in seen)
    once = [(name, out) for name, out in seen if name and times[name] == 1]
    return [name for i, (name, out) in enumerate(once) if not any(out is later for _, later in once[i+1:])]

e.edit(' if not any(out is later for _, later in once[i+1:])', '',
       'The same tensor is still listed under several names. Keep the outermost, which ended last.')
e.edit('later in once[i+1:]', 'later in once[:i]',
       'One name for each tensor, but the inner one. The outermost module ends last.')
e.edit(' and times[name] == 1', '', 'A name that ran twice is still listed. Which of its two outputs would it mean?')
e.edit('if name and times', 'if times', 'The model itself is in the list, under the empty name. Leave it out.')
e.edit('out is later', 'out.shape == later.shape',
       'An equal shape is not the same tensor: all layers of a stage have one. Ask with `is`.')
e.wrong(lambda seen: [n for n, _ in seen if n.count('.') == max(m.count('.') for m, _ in seen)],
        'You keep the deepest level. Layers of any level count, if they are the outermost of their tensor.')
e.wrong(lambda seen: [n for n in one_name_each([(n or 'model', o) for n, o in seen])],
        'The model itself is in the list, under a name that you gave it. Leave it out.')
e.wrong(lambda seen: list({tuple(o.shape): n for n, o in seen if n}.values()),
        'You keep one name for each *shape*. Different tensors can have the same shape: use `id(out)`, or `is`.')
e.edit('out is later', 'torch.equal(out, later)',
       'Equal values are not the same tensor: two layers may well put out the same numbers. Ask with `is`.')
e.edit('for i, (name, out) in enumerate(once)', 'for i, (name, out) in sorted(enumerate(once), key=lambda p: p[1][0])',
       'The names are sorted. They should come in the order in which the modules ended.')
e.edit('in once[i+1:]', 'in seen[[n for n, _ in seen].index(name)+1:]',
       'Names that are dropped still take a tensor from those that stay: the model itself has the tensor of its last '
       'part. '
       'Drop first, then look for the outermost.')
e.edit('[name for i, (name, out)', '[(name, out) for i, (name, out)', 'These are pairs. Only the names are asked for.')
e.edit('times[name] == 1', 'times[name] > 1', 'These are the names that ran twice. They are to be dropped.')
e.wrong(lambda seen: [n for n in dict.fromkeys(n for n, _ in seen) if n],
        'These are all names, once each. What ran twice is to go, and each tensor is to have one name.')
e.wrong(lambda seen: [n for n in one_name_each(seen) if '.' not in n],
        'Inner layers are gone, also those whose tensor has no other name.')
e.wrong(lambda seen: [n for n, _ in seen if n and not any(m.startswith(n + '.') for m, _ in seen)],
        'Only the innermost names are left. Where an outer module gives the same tensor, its name counts.')
e.wrong(lambda seen: one_name_each(seen)[::-1], 'The order is turned round.')

# 1.8 The gradient that comes back

def backward(inplace):
    def run(answer):
        net, x = tiny(inplace=inplace), pictures(2).requires_grad_()
        with answer(net[0][3]) as h: net(x)[:, 1].sum().backward()
        return {'stored': h.stored, 'hooks left': hooks_left(net),
                'the gradient goes on to the picture': bool(x.grad.abs().sum() > 0)}
    return run

e = exercise('1.8', 'The gradient that comes back',
    "Write `HookBwd(module)` for use in a `with`: after `score.backward()`, `stored` is the gradient of the score "
    "with respect to the module's *output*. It must work in front of an in-place ReLU. (If yours begins with `class "
    "HookBwd(Hook)`, only `see` is left: `Hook` has `keep(value)`, which stores a copy.)",
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
e.edit('grad.detach().clone()', 'grad.mean((2, 3))', 'You store the mean over places: the weights of Grad-CAM. Here '
       'the gradient '
       'itself is asked for.')
e.edit('grad.detach().clone()', 'grad.abs()', 'The signs are lost. A negative gradient says that the activation '
       'speaks against '
       'the class.')
@e.wrong
class InputGradient(HookBwd):
    "This is the gradient at the layer's *input*, as a full backward hook lists it first. The output's is wanted."
    def __init__(self, module): self.handle = module.register_full_backward_hook(self.back)
    def back(self, module, grad_in, grad_out): self.stored = grad_in[0].detach().clone()

# 1.9 A gradient without a backward pass

W9 = torch.tensor([[1., -2.], [6., 0.], [3., 12.]])

def hand(weight, k, A): return gives(f'{len(A)} pictures, {A.shape[1]} maps of {A.shape[2]} × {A.shape[3]}', weight,
       k, A)

def from_autograd(answer):
    head, A = tiny()[1], rand(2, 5, 3, 4, seed=1).requires_grad_()
    head(A)[:, 2].sum().backward()
    return {'the same as autograd': bool(torch.allclose(answer(head[-1].weight.detach(), 2, A.detach()), A.grad))}

e = exercise('1.9', 'A gradient without a backward pass',
    'A head averages each map over its places, and a Linear with `weight` (K,C) makes scores of the averages. Write '
    '`last_gradient(weight, k, A)`: the gradient of the score of class k with respect to the activations `A` '
    '(N,C,h,w), '
    'in the shape of `A`, without autograd.',
    trials=(gives('By hand: class 1 of three, two maps of 1 × 3', W9, 1, torch.zeros(1, 2, 1, 3),
                  want=[[[[2., 2., 2.]], [[0., 0., 0.]]]]),
            hand(rand(6, 3, seed=4), 5, rand(2, 3, 4, 5)), Trial('A head like ours', from_autograd)),
    hints=('By how much does the average of a map grow if one of its places grows by 1?',
           'And by how much does the score, if that average grows?',
           'One number for each channel, `weight[k]/(h*w)`; give it the axes (1,C,1,1), and expand.'),
    why='Grad-CAM weighs maps by this gradient. So on such a head it must give what CAM gives, up to the factor h·w: '
        'chapter 03 checks it.')

@e.reference
def last_gradient(weight:Tensor, # of the Linear (K,C)
                  k:int, # a class
                  A:Tensor # activations (N,C,h,w)
                 )->Tensor: # (N,C,h,w)
    "The gradient of the score of class `k` with respect to `A`, for a head of averages and one Linear."
    h, w = A.shape[2:]
    return (weight[k]/(h*w))[None, :, None, None].expand_as(A)

e.edit('weight[k]/(h*w)', 'weight[k]', 'The average is missing: one place is only one of h·w, so divide by that.')
e.edit('weight[k]/(h*w)', 'weight[k]*(h*w)', 'You multiply by the number of places. One place moves the average by '
       '*one part* '
       'of it: divide.')
e.edit('(h*w)', 'h', 'You divide by the height alone. There are h·w places.')
e.edit('(h*w)', 'w', 'You divide by the width alone. There are h·w places.')
e.edit('(h*w)', 'A[0].numel()', 'You divide by the channels too. Each map is averaged for itself: h·w.')
e.edit('(h*w)', 'A.numel()', 'You divide by the size of the whole batch. Each map is averaged for itself: h·w.')
e.edit('.expand_as(A)', '*A', 'This is gradient times activation. The gradient of a linear head does not depend on '
       '`A`.')
e.edit('.expand_as(A)', '*(A > 0)', 'The gradient is cut off where `A` is not positive. There is no ReLU in this head.')
e.edit('.expand_as(A)', '.relu().expand_as(A)', 'Negative weights are cut off. There is no ReLU in this head.')
e.edit('.expand_as(A)', '', 'The numbers are right, once for each channel. Give them the shape of `A`: `expand_as(A)`.')
e.edit('(weight[k]/(h*w))[None, :, None, None]', '(weight.sum(0)/(h*w))[None, :, None, None]',
       'This is the gradient of the sum of all scores. Take the row of class k.')
e.edit('(weight[k]/(h*w))[None, :, None, None]', '(weight.mean(0)/(h*w))[None, :, None, None]',
       'This is the gradient of the mean score. Take the row of class k.')
e.edit('weight[k]', 'weight[0]', 'This is class 0. Take the row of class k.')
e.edit('weight[k]', '-weight[k]', 'The sign is turned: where the weight is positive, more activation means a higher '
       'score.')
e.edit('weight[k]/(h*w)', 'weight[k].softmax(0)/(h*w)', 'The weights went through a softmax. The score is taken '
       'before any.')
e.edit('weight[k]/(h*w)', 'weight[k].abs()/(h*w)', 'The signs of the weights are lost. A channel may speak against '
       'the class.')
e.wrong(lambda weight, k, A: last_gradient(weight, k, A).mean((2, 3)),
        'This is one number for each channel. The gradient has the shape of `A`.')
e.wrong(lambda weight, k, A: last_gradient(weight, k, A[:1]), 'This is one picture\'s. Each of the N has the same.')
e.wrong(lambda weight, k, A: last_gradient(weight, k, A)/len(A),
        'You divide by the number of pictures too. Each score is one picture\'s, and no mean over the batch was taken.')
