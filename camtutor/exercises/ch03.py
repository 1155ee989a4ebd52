"Chapter 03: Grad-CAM."
from contextlib import nullcontext
import torch, torch.nn.functional as F
from torch import Tensor, nn

from camtutor.exercises.common import gives, hooks_left, keeps, one_by_one, pictures, rand, seeded, tiny
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise

# 3.1 A channel's worth

G = torch.tensor([[[[2., 0.], [1., 1.]], [[-4., 0.], [0., -4.]]]]) # means 1 and -2
A_, G_ = rand(3, 5, 6, 7).abs(), rand(3, 5, 6, 7, seed=1)

e = exercise('3.1', "A channel's worth",
    'Write `channel_weights(g)`: the mean gradient of each channel, in a shape that can multiply activations '
    '(N,C,h,w) directly.',
    trials=(gives('Worked by hand: means 1 and −2', G, want=[[[[1.]], [[-2.]]]]),
            gives('Random gradients', G_),
            one_by_one(G_)),
    hints=('Which two axes are places?',
           '`mean` takes a tuple of axes.',
           'It also takes `keepdim`: the averaged axes stay, with length 1.'),
    why="This line is what Grad-CAM has in the place of CAM's weights. Without `keepdim` it fails, or, when the sizes "
        "happen to agree, silently does something else.")

@e.reference
def channel_weights(g:Tensor # gradients of a score (N,C,h,w)
                   )->Tensor: # (N,C,1,1)
    "What each channel is worth to the score: its mean gradient, in a shape that multiplies activations."
    return g.mean((2, 3), keepdim=True)

e.edit(', keepdim=True', '',
       'The shape is (N,C). Multiplied with (N,C,h,w), PyTorch would line it up with the last two axes: '
       '`keepdim=True` keeps both places as 1.')
e.edit('g.mean', 'g.sum',
       'You take the sum. Then a larger map would give a larger weight; the mean does not depend on the size.')
e.edit('g.mean((2, 3)', 'g.mean(1',
       'You average over channels and keep the places. It is the other way round: one number for each channel.')
e.edit('g.mean((2, 3), keepdim=True)', 'g.mean((0, 2, 3), keepdim=True).expand(len(g), -1, -1, -1)',
       'You average over the pictures as well. Each picture has its own weights.')
e.edit('g.mean((2', 'g.mean((0, 2',
       'The pictures are averaged too, so there is one row of weights for all of them. Only places are averaged: axes '
       '2 and 3.')
e.edit('g.mean', 'g.amax', 'You take the largest gradient. It is the mean.')
e.edit('g.mean', 'g.abs().mean', 'You lose the sign: a channel that speaks against the class would count for it.')

# 3.2 Grad-CAM

A = torch.tensor([[[[1., 2.], [0., 4.]], [[3., 0.], [1., 1.]]]])
HAND = 'Worked by hand: two channels of 2 × 2, mean gradients 1 and −2'

e = exercise('3.2', 'Grad-CAM',
    'Write `grad_cam(A, g)`: weigh each channel of `A` by its mean gradient, add up, cut what is negative. (N,C,h,w) '
    'twice gives (N,h,w).',
    library='camtutor.gradcam',
    trials=(gives(HAND, A, G, want=[[[0., 2.], [0., 2.]]]),
            gives('Random activations and gradients, not square', A_, G_),
            gives('Activations that can be negative', rand(2, 4, 3, 5, seed=3), rand(2, 4, 3, 5, seed=4)),
            one_by_one(A_, G_),
            keeps(A_, G_)),
    hints=('Three steps: weights, weighted sum, cut.',
           'The weights are a mean over the two axes of places, (N,C).',
           'The sum over c of `nc` times `nchw` is an einsum; a ReLU follows.'),
    why='Three operations, any network, any layer. For pooling and one Linear it is CAM, up to h·w and the ReLU.')

@e.reference
def grad_cam(A:Tensor, # activations (N,C,h,w)
             g:Tensor # gradients of the score, same shape
            )->Tensor: # maps (N,h,w), nothing below 0
    "Grad-CAM: the channels of `A`, weighted by their mean gradient, added up, negatives cut."
    return torch.einsum('nc,nchw->nhw', g.mean((2, 3)), A).relu()

no_relu = e.edit('.relu()', '',
                 'This is Grad-CAM without the ReLU. Places that speak against the class come out negative; the ReLU, '
                 'at the very end, cuts them.')
e.edit('g.mean', 'g.sum', 'You take the sum of the gradient where its mean belongs, so the map is h·w times too large.')
e.wrong(lambda A, g: (g.mean((2, 3), keepdim=True)*A).mean(1).relu(),
        'You take the mean over channels at the end. Channels are added up.')
e.edit('g.mean((2, 3)), A', 'A.mean((2, 3)), g',
       'Activations and gradients are exchanged: it is the *gradient* that is averaged to a weight, and the '
       'activations that are drawn.')
e.edit('g.mean((2, 3))', 'g.mean((2, 3)).abs()',
       'The weights have lost their sign. A channel that speaks against the class must count against it.')
e.wrong(lambda A, g: (g.mean((2, 3), keepdim=True)*A).relu().sum(1),
        'The ReLU comes too early: each channel is cut before they are added, so nothing can speak against a place. '
        'Add first, cut last.')
e.edit('g.mean((2, 3))', 'g.mean((2, 3)).relu()', '.relu()', '',
       'You cut the negative *weights*. The ReLU belongs to the sum.')
e.edit('g.mean((2, 3))', 'g.mean((2, 3)).relu()',
       'You cut twice, the weights and the sum. A channel that speaks against a place must be able to outweigh one '
       'that speaks for it: cut the sum alone.')
e.wrong(lambda A, g: (g*A).sum(1).relu(),
        'You multiply with the gradient place by place. That is a method too, called HiResCAM; Grad-CAM averages the '
        'gradient over places first.')
e.edit("'nc,nchw->nhw'", "'nc,mchw->mhw'",
       'The weights of all pictures are added together: the letter n of the weights is not the one of the maps.')
e.wrong(lambda A, g: (g.mean(1, keepdim=True)*A).sum(1).relu(),
        'You average the gradient over channels. Average over places: one weight for each channel.')

@e.wrong
def min_max_for_relu(A, g):
    """You stretch from lowest to highest where the ReLU belongs. Then zero has no meaning any more: a map of
    evidence against looks like evidence for."""
    m = no_relu(A, g)
    low, high = m.amin((1, 2), True), m.amax((1, 2), True)
    return (m - low)/(high - low)

e.wrong(lambda A, g: (g.mean((2, 3))*A).sum(1).relu(),
        'The weights have the shape (N,C), and PyTorch lines that up with the last two axes, rows and columns: an '
        'error, or a wrong map where the sizes happen to agree. Use `keepdim=True`, or an einsum.')
e.wrong(lambda A, g: (g.mean((2, 3), keepdim=True)*A).sum().relu(),
        '`sum()` without an axis adds up everything. Only the channels are summed: axis 1.')
e.edit('.relu()', '.relu()[:, None]', 'There is an axis too many: channels are added up, so theirs is gone. (N,h,w).')

@e.wrong
def normalised(A, g):
    "You divide by the maximum. That belongs to drawing; here the strength is information."
    m = grad_cam(A, g)
    return m/m.amax((1, 2), True).clamp(min=1e-9)

# 3.3 Which score?

OUT = torch.tensor([[3., 1., 2.], [0., 5., 7.], [4., 6., -1.]])

e = exercise('3.3', 'Which score?',
    "Write `class_score(out, target=None)`: from scores (N,K) one for each image (N,). `target` is None (each image's "
    "top class), an int for all, or a list of N ints.",
    graph=True,
    trials=(gives('A class for each: 0, 2, 1', OUT, [0, 2, 1], want=[3., 7., 6.]),
            gives('One class for all: 0', OUT, 0, want=[3., 0., 4.]),
            gives('No target', OUT, want=[3., 7., 6.]),
            gives('No target, four pictures', rand(4, 5))),
    hints=("`argmax(1)` gives each image's top class.",
           'Bring all three cases to a list of N classes.',
           'Indexing with two lists of the same length pairs them: `out[[0, 1], [5, 2]]`.'),
    why='Whatever can be computed from the output can be explained; this is where you say what.')

@e.reference
def class_score(out:Tensor, # scores (N,K), before any softmax
                target=None # None: each image's top class; an int: one class for all; N ints: one each
               )->Tensor: # (N,)
    "The score to explain, one for each image."
    if target is None: target = out.argmax(1)
    target = torch.as_tensor(target).expand(len(out))
    return out[torch.arange(len(out)), target]

@e.wrong
def columns(out, target=None):
    """`out[:, target]` takes whole *columns*: for a list of classes that is (N,N). Pair each row with its own class:
    `out[arange(N), target]` or `gather`."""
    if target is None: target = out.argmax(1)
    return out[:, target].diagonal() if not isinstance(target, int) and len(target) != len(out) else out[:, target]

e.edit('return out', 'return out.softmax(1)',
       'There is a softmax in it. Its gradient vanishes where the network is sure; explain the score.')
e.edit('out.argmax(1)', 'out[0].argmax()', 'All pictures get the top class of the first. Each has its own.')
e.edit('target]', 'target].sum()',
       'The pictures are added up. That comes later, just before the backward pass; here one score for each.')
e.edit('target is None', 'target in (None, 0)',
       'Class 0 is taken for None: `if not target` is true for both. Ask `target is None`.')
e.wrong(lambda out, target=None: out.argmax(1).float() if target is None else class_score(out, target),
        'This is the *number* of the top class. It has no gradient; its score is wanted.')
e.wrong(lambda out, target=None: out.max() if target is None else class_score(out, target),
        '`out.max()` is the largest score of all pictures together. Each picture has its own top class: `max(1)`.')
e.wrong(lambda out, target=None: tuple(out.max(1)) if target is None else class_score(out, target),
        '`max(1)` gives a pair, the values and where they are. Take `.values`.')

# 3.4 A batch with one backward pass

class Counting(nn.Sequential):
    "A sequence that counts how often it runs, and how often one goes back from what it gives."
    runs = backs = 0
    def forward(self, x):
        self.runs += 1
        out = super().forward(x)
        if out.requires_grad: out.register_hook(self.went_back)
        return out
    def went_back(self, g): self.backs += 1

def deep_head():
    return seeded(Counting(nn.Conv2d(5, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                           nn.Linear(6, 3)))

BACKS = 'times you went back from its scores'

def of_batch(answer):
    head, A = deep_head(), A_.clone()
    g = answer(head, A, 1)
    return {'the gradient': g.detach() if isinstance(g, Tensor) else g, 'times the head ran': head.runs,
            BACKS: head.backs, 'parameters with a .grad left': sum(p.grad is not None for p in head.parameters()),
            'your A is marked with requires_grad': A.requires_grad}

e = exercise('3.4', 'A batch with one backward pass',
    "Write `gradients(head, A, target)`: the gradient of each image's score with respect to its own activations. Run "
    "`head` once and go back once. Leave no `.grad` behind, and `A` as it was.",
    trials=(Trial('A head with a hidden convolution, three images', of_batch,
                  says={BACKS: 'Go back once, from the sum of the scores.'}),),
    hints=("Image 1's score does not depend on image 2's activations.",
           "So the gradient of the sum of the scores is, image by image, each one's own.",
           'Detach, `requires_grad_()`, head, one column, sum, `torch.autograd.grad`.'),
    why='A batch of 32 costs one backward pass, not 32.')

@e.reference
def gradients(head:nn.Module, # from activations (N,C,h,w) to scores (N,K)
              A:Tensor, # activations (N,C,h,w)
              target:int # the class to explain in every image
             )->Tensor: # (N,C,h,w)
    "The gradient of each image's score at its own activations, one pass forward and one back; nothing is left behind."
    A = A.detach().requires_grad_()
    score = head(A)[:, target]
    return torch.autograd.grad(score.sum(), A)[0]

e.edit('score.sum()', 'score.mean()',
       'You take the mean of the scores, so each gradient is N times too small: the sum leaves each image its own.')
e.edit('return torch.autograd.grad(score.sum(), A)[0]', 'score.sum().backward(); return A.grad',
       "`backward()` fills the `.grad` of every parameter. Somebody's next training step would add it in. "
       "`torch.autograd.grad` asks for what you want only.")
e.edit('A.detach()', 'A', 'return torch.autograd.grad(score.sum(), A)[0]', 'score.sum().backward(); return A.grad',
       "`backward()` has filled the `.grad` of every parameter, and the caller's `A` is marked with `requires_grad`. "
       "Start from `A.detach()`, and let `torch.autograd.grad` give you the one gradient that you want.")
e.edit('A)[0]', 'A)',
       '`torch.autograd.grad` gives a tuple, one gradient for each tensor that you ask about, also if it is only one. '
       'Take the first: `[0]`.')
e.wrong(lambda head, A, target: torch.cat([gradients(head, A[i:i+1], target) for i in range(len(A))]),
        'It is right, but the head runs once for each image. Images do not mix, so the sum of their scores has all '
        'gradients in it.')

@e.wrong
def back_each(head, A, target):
    "It is right, but you go back once for each image. Images do not mix: go back once, from the sum of their scores."
    A = A.detach().requires_grad_()
    score = head(A)[:, target]
    return torch.stack([torch.autograd.grad(s, A, retain_graph=True)[0][i] for i, s in enumerate(score)])

e.edit('[:, target]', '', 'You add up all classes. One column is wanted.')
e.edit('head(A)', 'head(A).softmax(1)', 'You go back from the probability. Take the score before softmax.')
e.edit(':, target', '0, target', "Only the first image's score is used; the others' gradient is 0.")
e.edit('score.sum()', 'score',
       'A gradient belongs to a single number, and you ask for that of N scores. Add them up: each image keeps its '
       'own gradient.')
e.edit('A.detach()', 'A',
       "The caller's `A` now has `requires_grad`. Work on `A.detach()`, which is a tensor of your own.")

# 3.5 The engine

def captured(inplace, name='0.3', target=1, outer=torch.enable_grad):
    def run(answer):
        net, below = tiny(inplace=inplace), []
        watch = net[0][0].register_forward_hook(lambda m, a, o: below.append(o.requires_grad))
        with outer():
            out, A, g = answer(net, pictures(3), name, target)
            grad_on = torch.is_grad_enabled()
        watch.remove()
        return {'the scores': out.detach(), 'the activations': A.detach(), 'the gradient': g.detach(),
                'hooks left': hooks_left(net),
                'parameters with a .grad left': sum(p.grad is not None for p in net.parameters()),
                'parameters that can learn, as before': sum(p.requires_grad for p in net.parameters()),
                'grad mode is as before': grad_on == (outer is torch.enable_grad),
                'a graph was recorded below the layer': any(below) if name != '0.0' else False}
    return run

class Breaks(nn.Module):
    def forward(self, x): raise ValueError('as planned')

def broken(answer):
    net = nn.Sequential(tiny(), Breaks())
    try: answer(net, pictures(2), '0.0.3', 1)
    except ValueError: return {'hooks left': hooks_left(net), 'grad mode is as before': torch.is_grad_enabled()}

TIDY = {'the activations': 'If a layer behind works in place, hand a clone on.',
        'hooks left': 'Keep the handle; remove it in `finally`.',
        'parameters with a .grad left': '`backward()` fills them. `torch.autograd.grad` gives only what you ask for.',
        'a graph was recorded below the layer': 'Run under `no_grad`, and switch grad on in the hook, on a detached '
                                                'tensor that requires a gradient.',
        'grad mode is as before': 'A `with` puts it back.',
        'parameters that can learn': 'Change no flag of somebody else\'s network.'}

e = exercise('3.5', 'The engine',
    'Write `capture(model, x, layers, target=None)` for one layer by name: `(out, acts, grads)` from one pass. Record '
    'no graph below the layer; work in front of an in-place ReLU; leave no hook, no `.grad`, no changed flag, and the '
    'grad mode as it was, also where the network breaks; the caller may have switched gradients off. `class_score` of '
    '3.3 may be imported from `camtutor.engine.targets`.',
    library='camtutor.gradcam',
    trials=(Trial('The second convolution, class 1', captured(False), says=TIDY),
            Trial('In front of an in-place ReLU', captured(True), says=TIDY),
            Trial('A class for each picture', captured(True, target=[0, 2, 1]), says=TIDY),
            Trial('The caller has switched gradients off', captured(False, target=None, outer=torch.no_grad),
                  says=TIDY),
            Trial('The first layer', captured(True, '0.0'), says=TIDY),
            Trial('A network that breaks behind the layer', broken, says=TIDY)),
    hints=("What a forward hook returns takes the place of the layer's output.",
           'In the hook: detach, `requires_grad_()`, keep it, switch grad on, hand a clone on.',
           'Around the pass: `with torch.no_grad()`, which also puts the mode back; afterwards `torch.autograd.grad` '
           'of the summed score, under `torch.enable_grad()`.'),
    why='This is the engine of the library: Grad-CAM of any network at about the price of its forward pass.')

@e.reference
def capture(model:nn.Module, # any network, in eval mode
            x:Tensor, # batch (N,3,H,W)
            layers, # the name of one layer
            target=None # None, an int or N ints
           )->tuple: # (out, acts, grads)
    "Scores, activations and gradient of a layer: one pass forward, one back; no graph below it, nothing left behind."
    kept = []
    def see(module, args, out):
        torch.set_grad_enabled(True)
        kept.append(out.detach().requires_grad_())
        return kept[0].clone()
    handle = model.get_submodule(layers).register_forward_hook(see)
    try:
        with torch.no_grad(): out = model(x)
    finally: handle.remove()
    with torch.enable_grad(): g, = torch.autograd.grad(class_score(out, target).sum(), kept)
    return out.detach(), kept[0].detach(), g

e.edit('finally: handle.remove()', 'finally: pass',
       'The hook is still on the layer. Keep its handle and remove it in `finally`.')
e.edit('finally:', 'except TypeError: raise\n    else:',
       'Where the network raises, the line that removes the hook never runs. Put it into `finally`.')
e.edit('.clone()', '', 'An in-place ReLU behind the layer writes into what you kept. Hand a `clone()` on.')
e.edit('torch.enable_grad()', 'nullcontext()',
       'The graph is there, but the score is taken from it where the caller has switched gradients off, so the score '
       'is not part of it. Choose the score and go back under `torch.enable_grad()`.')
e.edit('.clone()', '', 'torch.enable_grad()', 'nullcontext()',
       'Two things. An in-place ReLU behind the layer would write into what you keep: hand a `clone()` on. And choose '
       'the score under `torch.enable_grad()`, since the caller may have switched gradients off.')
e.edit('out.detach().requires_grad_()', 'out', 'kept[0].clone()', 'None', 'torch.no_grad()', 'nullcontext()',
       'torch.enable_grad()', 'nullcontext()',
       'This keeps the live tensor, as rung 2 does. Then the graph reaches down to the picture, an in-place ReLU '
       'writes into what you keep, and nothing works where the caller has switched gradients off.')
e.edit('torch.no_grad()', 'torch.enable_grad()',
       'The graph reaches down to the picture: time and memory for nothing. Run under `no_grad`, and switch grad on '
       'in the hook.')
e.edit('class_score(out,', 'class_score(out.softmax(1),',
       'You go back from the probability. Take the score before softmax.')

@e.wrong
def backward(model, x, layers, target=None):
    "`backward()` has filled the `.grad` of parameters above the layer, and a graph was recorded below it."
    kept = []
    def see(m, args, out):
        kept.append(out.detach().clone().requires_grad_())
        return kept[0].clone()
    handle = model.get_submodule(layers).register_forward_hook(see)
    with torch.enable_grad():
        out = model(x)
        class_score(out, target).sum().backward()
    handle.remove()
    return out.detach(), kept[0].detach(), kept[0].grad

e.edit('kept = []', 'kept = []\n    for p in model.parameters(): p.requires_grad = False',
       "The parameters are frozen afterwards. Change no flag of somebody else's network.")
e.edit('with torch.enable_grad(): g', 'torch.set_grad_enabled(True)\n    g',
       'Grad mode is on afterwards, though the caller had it off. A `with` puts it back.')

# 3.6 Around the network

class Own(nn.Module):
    "A network that has a part named `module`."
    def __init__(self):
        super().__init__()
        self.module, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
    def forward(self, x): return self.head(self.module(x).mean((2, 3)))

def wrapped(make, layers=0):
    def run(answer):
        net = model = make()
        for _ in range(layers): model = nn.DataParallel(model)
        got = answer(model)
        return {'it is the network itself': got is net, 'what you gave': type(got).__name__}
    return run

e = exercise('3.6', 'Around the network',
    'Write `unwrap(model)`: the network inside `nn.DataParallel`, which keeps it in its attribute `module`, however '
    'often it is wrapped. Any other network comes back as it is, also one that has a part of its own called `module`. '
    '(The library also knows `DistributedDataParallel`, and `torch.compile`, which keeps the network in `_orig_mod`; '
    'you need not.)',
    trials=(Trial('Not wrapped', wrapped(tiny)),
            Trial('Wrapped once', wrapped(tiny, 1)),
            Trial('Wrapped twice', wrapped(tiny, 2)),
            Trial('A network with a part of its own that is called `module`', wrapped(Own))),
    hints=('What is the type of the wrapper?',
           '`isinstance` asks for it. The attribute alone says nothing: any network may have a part called `module`.',
           'Repeat until it is something else.'),
    why="A layer's name differs inside and outside of a wrapper. Unwrapped first, `layer4` is `layer4`.")

@e.reference
def unwrap(model:nn.Module # a network, perhaps inside `nn.DataParallel`, perhaps inside several
          )->nn.Module:
    "The network itself."
    while isinstance(model, nn.DataParallel): model = model.module
    return model

e.edit('while', 'if', 'It takes off one wrapper. There may be several: `while`, not `if`.')
e.wrong(lambda model: model.module,
        'It takes for granted that there is a wrapper. Ask `isinstance(model, nn.DataParallel)`.')
e.edit('isinstance(model, nn.DataParallel)', "hasattr(model, 'module')",
       'A network may have a part of its own that is called `module`. Ask for the type, not for the name.')

@e.wrong
def copy(model):
    "This is a copy. Hooks on a copy see nothing of the original."
    from copy import deepcopy
    return deepcopy(unwrap(model))

# 3.7 Laid out as maps

TOKENS = torch.tensor([[[9., 9.], [1., -1.], [2., -2.], [3., -3.], [4., -4.], [5., -5.], [6., -6.]]])
ON_GRID = [[[[1., 2., 3.], [4., 5., 6.]], [[-1., -2., -3.], [-4., -5., -6.]]]]

e = exercise('3.7', 'Laid out as maps',
    "Write `as_maps(a, size, last=None)`: whatever a layer put out, as maps (N,C,h,w), for images of `size` (H,W). "
    "Four axes: as they are, or, with `last=True`, from (N,h,w,C). Three axes are a transformer's tokens (N,T,C): the "
    "patches row by row, on a grid with the proportions of the image, h : w = H : W; if there is one token more than "
    "such a grid has places, the first is the class token, which is left out. (The library also guesses `last`, and "
    "knows grids that fit only roughly; you need not.)",
    trials=(gives('A class token and 2 × 3 patches of two channels, by hand', TOKENS, (20, 30), want=ON_GRID),
            gives('The same patches without a class token', TOKENS[:, 1:], (20, 30), want=ON_GRID),
            gives('Random tokens, upright: 5 × 4 and one more', rand(2, 21, 3), (80, 64)),
            gives('Random tokens, 4 × 4, none more', rand(2, 16, 3), (32, 32)),
            gives('A very wide picture: a class token and one row of 3 patches', rand(2, 4, 3), (16, 48)),
            gives('Channels last', rand(2, 4, 5, 3), (64, 80), True),
            gives('Maps already', rand(2, 3, 4, 5), (64, 80))),
    hints=('From h · w = n and h : w = H : W follows h: it is a square root.',
           'Try n = T, and then n = T − 1: a grid is right if both are whole numbers and their product is n.',
           '`unflatten(1, (h, w))` makes a grid of the axis of the patches; then the channels are the last axis, as '
           'they are with `last=True`. `movedim` or `permute` brings them to the front.'),
    why='After this, everything in this chapter works for transformers and for networks that keep their channels last.')

@e.reference
def as_maps(a:Tensor, # what a layer put out: maps (N,C,h,w), channels last (N,h,w,C), or tokens (N,T,C)
            size, # (H,W) of the images
            last=None # True: four axes, and the channels are the last
           )->Tensor: # (N,C,h,w)
    "What a layer put out, laid out as maps; a class token in front of the patches is left out."
    if a.ndim == 4: return a.movedim(-1, 1) if last else a
    for extra in (0, 1):
        n = a.shape[1] - extra
        h = round((n*size[0]/size[1])**.5)
        if h and n % h == 0 and h*size[1] == n//h*size[0]: return a[:, extra:].unflatten(1, (h, n//h)).movedim(-1, 1)

e.edit('.unflatten(1, (h, n//h)).movedim(-1, 1)', '.reshape(len(a), a.shape[2], h, n//h)',
       "The numbers are read in the order in which they lie: token after token, with the channels innermost. Move the "
       "channels' axis first; `reshape` moves nothing.")
e.edit('a[:, extra:]', 'a[:, :n]', 'The class token is the *first*. You left out the last one.')
e.edit('(h, n//h)).movedim(-1, 1)', '(n//h, h)).permute(0, 3, 2, 1)',
       'You fill the grid column by column. The patches come row by row.')
e.edit('(h, n//h)', '(n//h, h)', 'Height and width are exchanged. Rows come first: (h, w).')
e.edit('(h, n//h)).movedim(-1, 1)', '(h, n//h))', 'The channels come last. Maps are (N,C,h,w).')
e.edit('a[:, extra:]', 'a[:, 1:]',
       'You leave out the first token in any case. Not every transformer has a class token: count first whether the '
       'patches fill the grid without it.')
e.edit('h and n % h == 0 and h*size[1] == n//h*size[0]', 'h',
       'The class token is still among them, and it has no place on the grid.')

@e.wrong
def square(a, size, last=None):
    "Your grid is always square. A wide picture has a wide grid: ask `size`."
    if a.ndim == 4: return as_maps(a, size, last)
    side = int(a.shape[1]**.5)
    return a[:, -side*side:].unflatten(1, (side, side)).movedim(-1, 1)

e.edit(' and h*size[1] == n//h*size[0]', '',
       'You round, and then ask only whether h · w is the number of tokens. A class token and one row of three '
       'patches then pass for a row of four. The proportions must be right as well: h : w = H : W.')
e.edit('a.movedim(-1, 1) if last else a', 'a', '`last` is not used: with `last=True` four axes are (N,h,w,C).')
e.edit(' if last else a', '', 'You move the last axis of any four. Only `last=True` says that it holds the channels.')

# 3.8 Several layers, one pass

def several(target, inplace=False):
    def run(answer):
        net = seeded(Counting(*tiny(inplace=inplace)))
        got = answer(net, pictures(2), ['0.3', '0.0', '0.2'], target)
        pair = isinstance(got, tuple) and len(got) == 2
        out, maps = got if pair else (None, got)
        return {'a pair, of the scores and a list of maps': pair, 'the scores': out.detach() if pair else None,
                'maps': [m.detach() for m in maps], 'times the network ran': net.runs, BACKS: net.backs,
                'hooks left': hooks_left(net)}
    return run

ONE_PASS = {'times the network ran': 'One run, with all hooks in place, is enough.',
            BACKS: '`torch.autograd.grad(score, [a, b, c])` gives all gradients from one way back.',
            'hooks left': 'Keep the handles; remove them in `finally`.'}

e = exercise('3.8', 'Several layers, one pass',
    'Write `grad_cam_maps(model, x, layers, target=None)`: a pair, of the scores (N,K) and a list of maps (N,h,w), '
    'one for each name in `layers`, in that order, from one pass forward and one back: both are counted. It must work '
    'in front of an in-place ReLU and leave no hook. `class_score` of 3.3 and `grad_cam` of 3.2 may be imported from '
    '`camtutor.gradcam`. (The library also takes a single layer, and several scores at once; you need not.)',
    library='camtutor.gradcam',
    trials=(Trial('Three layers, class 2', several(2), says=ONE_PASS),
            Trial('A class for each picture, ReLUs in place', several([0, 2], True), says=ONE_PASS),
            Trial('No target', several(None), says=ONE_PASS)),
    hints=('One hook for each layer; all keep what they see, under their own name.',
           '`torch.autograd.grad(score, [a, b, c])` returns a gradient for each.',
           'Bind the name with a default argument; hand on a clone; remove the hooks; then pair activations and '
           'gradients.'),
    why="With this a slider over layers needs no further pass. The library's makes each map as its gradient comes by "
        "and keeps no gradient, so that a thousand classes fit into memory.")

@e.reference
def grad_cam_maps(model:nn.Module, # a network, in eval mode
                  x:Tensor, # batch (N,3,H,W)
                  layers:list, # names
                  target=None # see `class_score`
                 )->tuple: # the scores (N,K), and a list of maps (N,h,w), one stack for each layer
    "Grad-CAM at several layers, from one pass forward and one back; no hook stays."
    acts, handles = {}, []
    for name in layers:
        def see(m, args, out, name=name):
            acts[name] = out
            return out.clone()
        handles.append(model.get_submodule(name).register_forward_hook(see))
    try: out = model(x)
    finally:
        for h in handles: h.remove()
    grads = torch.autograd.grad(class_score(out, target).sum(), [acts[n] for n in layers])
    return out.detach(), [grad_cam(acts[n].detach(), g) for n, g in zip(layers, grads)]

e.edit('return out.detach(), ', 'return ',
       'The scores are missing. Whoever asks for maps wants to know what the network said, and the pass is paid for: '
       'give a pair, scores and maps.')

@e.wrong
def one_run_each(model, x, layers, target=None):
    "The network runs once for each layer. `torch.autograd.grad` takes a list: one pass is enough."
    found = [grad_cam_maps(model, x, [n], target) for n in layers]
    return found[0][0], [maps[0] for _, maps in found]

e.edit('torch.autograd.grad(class_score(out, target).sum(), [acts[n] for n in layers])',
       '[torch.autograd.grad(class_score(out, target).sum(), acts[n], retain_graph=True)[0] for n in layers]',
       'The maps are right, but you go back once for each layer. `torch.autograd.grad` takes a list of tensors and '
       'gives a gradient for each, from one way back.')
e.edit('[acts[n] for n in layers]', 'list(acts.values())', 'zip(layers', 'zip(acts',
       'These maps are in the order in which the layers run; `layers` has another. Keep what the hooks see by name, '
       "and give the maps in the caller's order.")
e.edit('[acts[n] for n in layers]', 'list(acts.values())', 'zip(layers', 'zip(acts', 'return out.clone()', 'return out',
       'Two things. These maps are in the order in which the layers run; `layers` has another. And an in-place ReLU '
       'behind a layer writes into what you kept: hand a `clone()` on.')
e.edit('torch.autograd.grad(class_score(out, target).sum(), [acts[n] for n in layers])',
       '[torch.autograd.grad(class_score(out, target).sum(), a, retain_graph=True)[0] for a in acts.values()]',
       'zip(layers', 'zip(acts',
       'Two things. These maps are in the order in which the layers run; `layers` has another. And you go back once '
       'for each layer: `torch.autograd.grad` takes a list of tensors.')
e.edit('for h in handles: h.remove()', 'pass', 'The hooks are still on.')
e.edit(', name=name', '',
       'All hooks share one variable `name`, and when they run, it holds the last name: so only that layer is found. '
       'Bind it when the hook is made: `def see(m, args, out, name=name)`.')
e.edit('return out.clone()', 'return out',
       'An in-place ReLU behind the layer writes into what you kept, so both the map and its weights are those '
       '*behind* the ReLU. Hand a `clone()` on.')

@e.wrong
def upsampled(model, x, layers, target=None):
    "The maps are enlarged to the picture. Give them at their layers' own resolution; drawing is another step."
    out, maps = grad_cam_maps(model, x, layers, target)
    return out, [F.interpolate(m[:, None], x.shape[-2:], mode='bilinear')[:, 0] for m in maps]

e.edit('grad_cam(', 'no_relu(', 'The ReLU at the end is missing.')

# 3.9 The last layer with places

class Backwards(nn.Module):
    "Its layers are defined in another order than they run in."
    def __init__(self):
        super().__init__()
        self.head, self.pool = nn.Linear(5, 3), nn.AdaptiveAvgPool2d(1)
        self.last, self.first = nn.Sequential(nn.Conv2d(4, 5, 3), nn.ReLU()), nn.Conv2d(3, 4, 3, stride=2)
    def forward(self, x): return self.head(self.pool(self.last(self.first(x))).flatten(1))

class Watched(nn.Module):
    "Its last layer draws something that the scores do not come from."
    def __init__(self):
        super().__init__()
        self.body, self.mask, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 1, 1), nn.Linear(4, 3)
    def forward(self, x):
        A = self.body(x)
        self.drawn = self.mask(A)
        return self.head(A.relu().mean((2, 3)))

def looked_for(make):
    def run(answer):
        net = make()
        name = answer(net, pictures(1))
        return {'the name': name if isinstance(name, str) else f'a {type(name).__name__}, not a name',
                'hooks left': hooks_left(net),
                'parameters with a .grad left': sum(p.grad is not None for p in net.parameters())}
    return run

LEFT = {'hooks left': 'Keep the handles; remove them in `finally`.',
        'parameters with a .grad left': '`torch.autograd.grad` gives only what you ask for.'}

e = exercise('3.9', 'The last layer with places',
    'Write `last_layer(model, x, target=None)`: the name of the module, *in the order of execution*, that is the last '
    'to put out maps (N,C,h,w) of more than one place on which the scores depend. A block counts as a layer does, and '
    'ends after the layers in it; the network itself does not count. Leave no hook and no `.grad` behind. (`target` '
    'is for networks with several outputs; you need not use it.)',
    trials=(Trial('A block of two convolutions, pooling, a linear layer', looked_for(tiny), says=LEFT),
            Trial('A network whose layers are defined in another order than they run',
                  looked_for(lambda: seeded(Backwards())), says=LEFT),
            Trial('A network whose last layer draws a mask beside the scores', looked_for(lambda: seeded(Watched())),
                  says=LEFT)),
    hints=('A hook on each module; each keeps its output under its name when it runs.',
           'A dict keeps the order in which names were added. Which of these tensors have a gradient?',
           'Bind the name with a default argument, leave out the empty name, remove the hooks, ask for all gradients '
           'at once with `allow_unused=True`.'),
    why="It is what `layer=None` means. The library's also knows tokens, where only a class token may be read, takes "
        "the last stage where one block holds the whole body, and remembers the answer.")

@e.reference
def last_layer(model:nn.Module, # a network, in eval mode
               x:Tensor, # a batch (N,3,H,W)
               target=None # of a network with several outputs, which score; not needed here
              )->str: # a name
    "The last layer or block that puts out maps (N,C,h,w) of more than one place, on which the scores depend."
    acts, handles = {}, []
    for name, m in model.named_modules():
        def see(m, args, out, name=name):
            if name and out.ndim == 4 and out.shape[2]*out.shape[3] > 1: acts[name] = out
        handles.append(m.register_forward_hook(see))
    try: out = model(x)
    finally:
        for h in handles: h.remove()
    grads = torch.autograd.grad(out.sum(), list(acts.values()), allow_unused=True)
    return [name for name, g in zip(acts, grads) if g is not None][-1]

e.edit(' if g is not None', '',
       'This layer is the last to run, but the scores do not come from it: it has no gradient, so Grad-CAM has '
       'nothing to draw there. Ask `torch.autograd.grad` with `allow_unused=True`, and pass over those that give None.')
e.edit('return [name', 'found = [name', 'is not None][-1]',
       'is not None]\n    return [n for n, _ in model.named_modules() if n in found][-1]',
       'This is the last in the order of *definition*. A hook knows when a layer runs.')
e.edit(' and out.shape[2]*out.shape[3] > 1', '',
       'This one has a single place, (N,C,1,1): all places are pooled into it. Ask for more than one.')
e.edit('in model.named_modules():', 'in list(model.named_modules())[1:]:', 'for h in handles: h.remove()', 'pass',
       'The hooks are still on.')
e.edit('for h in handles: h.remove()', 'pass', 'The hooks are still on, also that of the network itself.')
e.edit('in model.named_modules():', 'in model.named_modules():\n        if list(m.children()): continue',
       'You pass over modules that have layers inside. A block ends after its last layer, and it is the better name: '
       'what it puts out is what goes on from it, a shortcut included.')
e.wrong(lambda model, x, target=None: model.get_submodule(last_layer(model, x)),
        'You return the layer itself. Its name is wanted.')
e.edit('if name and', 'if isinstance(m, nn.Conv2d) and',
       'A layer need not be a convolution: the ReLU behind it puts out maps too, and so does the block around both.')
e.edit(', name=name', '',
       'All hooks share one variable `name`, and when they run, it holds the name of the last module. Bind it when '
       'the hook is made: `def see(m, args, out, name=name)`.')

@e.wrong
def filled(model, x, target=None):
    """`backward()` has filled the `.grad` of every parameter, only to look for a name. `torch.autograd.grad` asks
    and leaves nothing."""
    acts, handles = {}, []
    for name, m in model.named_modules():
        def see(m, args, out, name=name):
            if name and out.ndim == 4 and out.shape[2]*out.shape[3] > 1:
                out.retain_grad()
                acts[name] = out
        handles.append(m.register_forward_hook(see))
    model(x).sum().backward()
    for h in handles: h.remove()
    return [n for n, a in acts.items() if a.grad is not None][-1]

# 3.10 What speaks against it

e = exercise('3.10', 'What speaks against it',
    'Write `counterfactual(A, g)`: the map of what speaks *against* the class, positive where it does.',
    trials=(gives(HAND, A, G, want=[[[5., 0.], [2., 0.]]]),
            gives('Random activations and gradients', A_, G_),
            keeps(A_, G_)),
    hints=('Evidence against a class is evidence for minus its score.',
           'The gradient of minus the score is minus the gradient.',
           'Change one sign in `grad_cam`.'),
    why='"Which region would have to go for the network to change its mind?"')

@e.reference
def counterfactual(A:Tensor, # activations (N,C,h,w)
                   g:Tensor # gradients of the score, same shape
                  )->Tensor: # maps (N,h,w), nothing below 0
    "What speaks against the class: Grad-CAM with the sign of the gradient turned round."
    return torch.einsum('nc,nchw->nhw', -g.mean((2, 3)), A).relu()

e.wrong(lambda A, g: -grad_cam(A, g),
        'You turn the finished map round: the ReLU has cut the negative places already, and nothing is left of them. '
        'Turn the gradient round first.')
e.edit('.relu()', '', 'The ReLU is missing: what speaks for the class is negative now and should be cut.')

@e.wrong
def rest(A, g):
    "A place that does not speak for the class need not speak against it."
    m = grad_cam(A, g)
    return m.amax((1, 2), True) - m

e.edit('-g.mean((2, 3))', '(-g.mean((2, 3))).relu()',
       'You keep the negative weights only. Positive channels at the same place must be able to outweigh them: turn '
       'all weights round, add, cut.')
e.edit('-g', '(-g).relu()',
       'You cut the gradient before you average it. Nothing is cut until the channels are added: turn the sign of g '
       'round, then do all of Grad-CAM.')
e.edit(', A)', ', -A)', 'Two signs cancel: with −A and −g it is the ordinary map again.')

# 3.11 Every class from one pass

def of_classes(answer):
    head, A = deep_head(), A_.clone()
    g = answer(head, A)
    return {'the gradients': g.detach(), 'times the head ran': head.runs,
            'parameters with a .grad left': sum(p.grad is not None for p in head.parameters())}

e = exercise('3.11', 'Every class from one pass',
    'Write `every_class(head, A)`: the gradients (K,N,C,h,w) of all K classes. Run `head` once and go back once for '
    'each class. Leave no `.grad` behind.',
    trials=(Trial('Three classes, three images', of_classes,
                  says={'times the head ran': 'Keep the output, and go back from each of its columns.'}),),
    hints=('`out.T` is a list of classes, each with the scores of all images.',
           'For each class, sum over the images and ask `torch.autograd.grad`.',
           'A graph is freed when it has been used; `retain_graph` keeps it for the next class.'),
    why='The explorer does this: the picture runs through the network once, and each class you slide to costs one way '
        'back.')

@e.reference
def every_class(head:nn.Module, # from activations (N,C,h,w) to scores (N,K)
                A:Tensor # activations (N,C,h,w)
               )->Tensor: # (K,N,C,h,w)
    "The gradient of every class's score, from one pass forward and K back."
    A = A.detach().requires_grad_()
    out = head(A)
    return torch.stack([torch.autograd.grad(s.sum(), A, retain_graph=True)[0] for s in out.T])

e.wrong(lambda head, A: torch.stack([gradients(head, A, k) for k in range(head(A).shape[1])]),
        'It is right, but the head runs once for each class. One forward pass has all scores in it; only the way back '
        'differs.')
e.edit(', retain_graph=True', '',
       'The first way back throws the graph away. Say `retain_graph=True` for as long as another class follows.')
e.edit('T])', 'T]).transpose(0, 1)', 'The axes are exchanged: classes come first, (K,N,C,h,w).')
e.edit('s.sum()', 'out.sum()', 'You add the classes up before you go back, so all K answers are the same.')
e.edit('head(A)', 'head(A).softmax(1)', 'You go back from probabilities. Take the scores before softmax.')
e.edit('.T', '', 'You go back from each *row*, which is a picture. A class is a column: `out.T`.')

# 3.12 This rather than that

def preferred(answer):
    out = OUT.clone().requires_grad_()
    score = answer(2, 0)(out)
    grad, = torch.autograd.grad(score.sum(), out) if score.requires_grad else (torch.zeros(3, 3),)
    return {'the scores': score.detach(), 'their gradient': grad}

e = exercise('3.12', 'This rather than that',
    'Write `rather_than(a, b)`: a target for `explain`, that is a function which takes scores (N,K) and returns one '
    'number for each image: how much more the network says `a` than `b`.',
    graph=True,
    trials=(Trial('Three images, class 2 rather than 0', preferred),),
    hints=('A function that returns a function.',
           '`out[:, a]` are the scores of class a of all images.',
           'A lambda that subtracts two columns.'),
    why='"Why a cat rather than a dog?" is often the better question: what both share drops out.')

@e.reference
def rather_than(a:int, b:int # two classes
               ): # a callable: scores (N,K) -> (N,)
    "A target: how much more the network says `a` than `b`."
    return lambda out: out[:, a] - out[:, b]

e.edit('out[:, a] - out[:, b]', 'out.softmax(1)[:, a] - out.softmax(1)[:, b]',
       'There is a softmax in it. Take the difference of scores: it is the log of the ratio of the probabilities '
       'already.')
e.edit('out[:, a] - out[:, b]', '(out[:, a] - out[:, b]).abs()',
       'Without the sign it is the same for "b rather than a".')
e.edit('out[:, a] - out[:, b]', '(out[:, a] - out[:, b]).sum()',
       'One number for the whole batch. One for each image is wanted.')
e.edit('out[:, a] - out[:, b]', 'out[0, a] - out[0, b]', "Only the first image's. Use `out[:, a]`.")
e.edit('out[:, a] - out[:, b]', 'out[:, b] - out[:, a]', 'This is b rather than a.')
e.edit('out[:, a] - out[:, b]', 'out[a] - out[b]',
       '`out[a]` is row a, and a row is a picture. A class is a column: `out[:, a]`.')
e.edit('out[:, a] - out[:, b]', '(out[:, a] - out[:, b]).relu()',
       'The difference may be negative: this picture is then more of a b. Nothing is cut in a score.')
e.edit('lambda out: out[:, a] - out[:, b]', 'a - b',
       'You subtract the numbers of the classes. The scores are not known yet: return a function that takes them.')
e.edit('out[:, a] - out[:, b]', 'torch.tensor([r[a].item() - r[b].item() for r in out])',
       '`item()` leaves the graph: there is no way back from a plain number. Stay with tensors.')

# 3.13 As alike as another picture

e = exercise('3.13', 'As alike as another picture',
    "Write `alike(other)`: a target for a network that puts out embeddings (N,D). It returns the cosine between each "
    "picture's embedding and `other` (D,).",
    graph=True,
    trials=(Trial('Worked by hand: the same direction, at a right angle, opposite',
                  lambda f: f(torch.tensor([2., 0.]))(torch.tensor([[5., 0.], [0., 3.], [-1., 0.]])),
                  torch.tensor([1., 0., -1.])),
            Trial('Random embeddings', lambda f: f(rand(6, seed=2))(rand(4, 6)))),
    hints=('The cosine is the dot product of two vectors of length 1.',
           '`F.cosine_similarity` has an argument `dim`.',
           '`other[None]` is (1,D) and goes with (N,D).'),
    why='The target need not be a class: text, faces and search work with embeddings.')

@e.reference
def alike(other:Tensor # the embedding of another picture (D,)
         ): # a callable: embeddings (N,D) -> (N,)
    "A target: the cosine between each picture's embedding and `other`."
    return lambda out: F.cosine_similarity(out, other[None], dim=1)

e.wrong(lambda other: lambda out: out @ other,
        'The lengths are in it: a long embedding looks alike to everything. Divide by both lengths.')
e.wrong(lambda other: lambda out: -(out - other).norm(dim=1),
        'This is a distance. The cosine asks for the direction only.')
e.edit('dim=1', 'dim=0', 'You compare along the batch. Each row is one picture: sum over D.')
e.wrong(lambda other: lambda out: out @ other/(out.norm()*other.norm()),
        '`out.norm()` is one length for the whole batch. Each row has its own: `out.norm(dim=1)`.')
e.edit('dim=1)', 'dim=1).sum()', 'One number for the whole batch. One for each image is wanted.')

# 3.14 CAM without looking at the weights

def identity(answer):
    net, x = tiny(), pictures(2)
    _, A, g = capture(net, x, '0', 1)
    m = answer(A, g)
    want = torch.einsum('c,nchw->nhw', net[1][2].weight[1].detach(), A)
    return {"your map": m, "the CAM by the weights, less yours": want - m}

e = exercise('3.14', 'CAM without looking at the weights',
    'Write `cam_from_gradient(A, g)`: for a head of pooling and one Linear, the exact CAM of the class, from '
    'activations and gradients alone.',
    trials=(Trial('A small network, whose CAM by its weights is known', identity),),
    hints=('What is the gradient of a mean over h·w places at one of them?',
           'The gradient at every place is the weight over h·w.',
           'Grad-CAM without the ReLU, times the number of places.'),
    why='Grad-CAM is CAM with the weights read from the gradient, and so it works where there are none to read.')

@e.reference
def cam_from_gradient(A:Tensor, # activations that global average pooling reads (N,C,h,w)
                      g:Tensor # gradients of a class's score, same shape
                     )->Tensor: # (N,h,w)
    "That class's CAM, exactly, for a head of pooling and one Linear, without looking at its weights."
    h, w = A.shape[2:]
    return torch.einsum('nc,nchw->nhw', g.mean((2, 3)), A)*h*w

e.edit('return torch', 'return (torch', 'A)*h*w', 'A)*h*w).relu()', 'CAM keeps its negative part. No ReLU here.')
e.edit('*h*w', '', 'The pooling divides by h·w, so the mean gradient is the weight divided by h·w. Multiply it back.')
e.edit('*h*w', '*g.numel()', '`numel()` counts pictures and channels too. The mean is over h·w places.')
e.edit('*h*w', '*(h + w)', 'It is a mean over h *times* w places.')
e.edit('*h*w', '/(h*w)', 'You divide by h·w once more. Multiply.')

# 3.15 By hand

e = exercise('3.15', 'By hand',
    'One picture, two channels at one place: activations 3 and 1. Their mean gradients over the whole map are 0.5 and '
    '−2. What is Grad-CAM there?',
    reference=0,
    kind='value',
    hints=('Weigh and add.',
           '0.5 · 3 + (−2) · 1.',
           'Then the ReLU.'),
    why='The channel with less activation decides, since the class listens to it more.')
e.wrong(-.5, 'That is the weighted sum. The ReLU cuts it.')
e.wrong(3.5, 'The second channel speaks against the class: its sign counts.')
e.wrong(1.5, 'You cut the second channel by itself. Add first, then cut.')

# 3.16 Before softmax

e = exercise('3.16', 'Before softmax',
    'Why explain the score before softmax and not the probability? Two sentences.',
    reference='The gradient of a probability p is p(1−p) times that of the score and vanishes where the network is '
              'sure, and there the map would be noise. And a probability also rises when other classes fall, so that '
              'its map mixes evidence for this class with evidence against others.',
    kind='written',
    why='If you want exactly that mixture, ask for it: a difference of two scores says it openly.')

# 3.17 A shape

e = exercise('3.17', 'A shape',
    '`capture(net, x, "layer3")` on a ResNet-50 with x of (4, 3, 224, 224). Its third stage has 1024 channels and a '
    'stride of 16 altogether. The shape of `grads`?',
    reference=(4, 1024, 14, 14),
    kind='value',
    hints=('A gradient has the shape of what it belongs to.',
           "Divide the picture's side by the stride.",
           'Batch, channels, rows, columns.'),
    why='The map is 14 × 14, so one of its places stands for 16 × 16 pixels.')
e.wrong((4, 1024, 7, 7), "That is the fourth stage's grid. 224 / 16 = 14.")
e.wrong((4, 1024), 'Before averaging, the gradient has a value at every place.')
e.wrong((1024, 14, 14), 'A batch has four pictures.')
e.wrong((1, 1024, 14, 14), 'There are four pictures, and each has its own gradient.')
e.wrong((4, 14, 14), 'That is the shape of the maps, when the channels are added up. The gradient still has them.')

# 3.18 Without keepdim

e = exercise('3.18', 'Without keepdim',
    '`w = g.mean((2, 3))` without `keepdim`, then `w * A`, with A of shape (2, 512, 7, 7). What happens?',
    reference='An error: (2, 512) is lined up with the last two axes, (7, 7)',
    kind='choice')
e.wrong('The same as with keepdim', 'Shapes are lined up from the *right*: 512 meets a width of 7.')
e.wrong('Each picture is multiplied by its weights',
        'PyTorch does not know that 512 means channels; it lines axes up from the right.')

# 3.19 When it does not fail

e = exercise('3.19', 'When it does not fail',
    'The same without `keepdim`, but A is (8, 8, 8, 8). What happens now?',
    reference='It runs, and multiplies places by weights: a wrong map without an error',
    kind='choice')
e.wrong('An error, as before', '(8, 8) fits on (8, 8). That is what makes it dangerous.')
e.wrong('It runs and is right', 'It runs; but rows stand where pictures should, and columns where channels should.')

# 3.20 output.backward()

e = exercise('3.20', 'output.backward()',
    "Why can you not call `output.backward()` on a classifier's output (N,K)?",
    reference='It holds N·K numbers, and only a single number has a gradient; say which',
    kind='choice')
e.wrong('The network is in eval mode', '`eval()` changes dropout and batch norm, not gradients.')
e.wrong('It can, but the result is 0', 'It raises: grad can be implicitly created only for scalar outputs.')

# 3.21 A hook on the way back

e = exercise('3.21', 'A hook on the way back',
    'Why does Grad-CAM need the gradient to be caught on its way back?',
    reference='PyTorch keeps gradients of leaves only; those of inner activations are freed as soon as they are used',
    kind='choice')
e.wrong('Because gradients flow only when hooked', 'They flow anyway. You would only not see them.')
e.wrong('To stop the gradient at the layer', 'It may go on. (That the engine stops there is for speed.)')
