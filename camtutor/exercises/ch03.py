"Chapter 03: Grad-CAM."
from contextlib import nullcontext
import torch, torch.nn.functional as F
from torch import Tensor, nn

from camtutor.exercises.common import gives, hooks_left, keeps, one_by_one, pictures, rand, seeded, tiny, uneven
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise

# 3.1 CAM without looking at the weights

def identity(answer):
    net, x = uneven(), rand(2, 3, 16, 12)
    A = net[0](x).detach().requires_grad_()
    g, = torch.autograd.grad(net[1](A)[:, 1].sum(), A)
    m = answer(A.detach(), g)
    want = torch.einsum('c,nchw->nhw', net[1][2].weight[1].detach(), A.detach())
    return {"your map": m, "the CAM by the weights, less yours": want - m}

e = exercise('3.1', 'CAM without looking at the weights',
    'Write `cam_from_gradient(A, g)`: for a head of pooling and one Linear, the exact CAM of the class, from '
    'activations and gradients alone.',
    trials=(Trial('A small network, whose CAM by its weights is known; two pictures, maps of 8 × 6', identity),),
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
e.edit('g.mean((2, 3)), A)*h*w', 'g.mean((2, 3)).abs(), A)*h*w',
       'The weights have lost their sign. A channel may speak against the class.')
e.edit('h, w = A.shape[2:]', 'h, w = A.shape[1], 1',
       'You multiply by the number of channels. The mean is over h·w places.')
e.edit('h, w = A.shape[2:]', 'h = w = A.shape[2]', 'You take the map to be square. It has `h` rows and `w` columns.')
e.edit('g.mean((2, 3)), A)', 'g.sum((2, 3)), A)',
       'The gradient is added up over the places, and then multiplied by their number once more. One of the two is '
       'enough.')
e.wrong(lambda A, g: g.sum(1)*A[0, 0].numel(), 'The activations are not in it: this is the gradient, added up. The '
                                               'gradient gives the weights; the activations are what is weighed.')

# 3.2 Grad-CAM

G = torch.tensor([[[[2., 0.], [1., 1.]], [[-4., 0.], [0., -4.]]]]) # means 1 and -2
A_, G_ = rand(3, 5, 6, 7).abs(), rand(3, 5, 6, 7, seed=1)
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
e.edit('g.mean((2, 3))', 'g.amax((2, 3))', 'You take the largest gradient of each channel. It is the mean.')
e.edit('.relu()', '.abs()', 'You take absolute values, so that evidence against the class is drawn as evidence for '
                            'it. Cut it.')
e.edit('.relu()', '.sigmoid()', 'There is a sigmoid where the ReLU belongs. Then a place that says nothing gets ½.')
e.edit('g.mean((2, 3)), A', 'g.mean((0, 2, 3)).expand(len(A), -1), A',
       'The gradient is averaged over the pictures as well. Each picture has its own weights.')
e.edit('g.mean((2, 3)), A', 'g.flatten(2).median(2).values, A',
       'You take the median of the gradient over places. It is the mean.')
e.edit('g.mean((2, 3)), A', 'g.mean((2, 3)).softmax(1), A',
       'There is a softmax over the weights, so none is below 0 any more. Take them as they are, with their signs.')

# 3.3 Which score?

OUT = torch.tensor([[3., 1., 2.], [0., 5., 7.], [4., 6., -1.]])

e = exercise('3.3', 'Which score?',
    "Write `pick_scores(out, target=None)`: from scores (N,K) one for each image (N,). `target` is None (each image's "
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
def pick_scores(out:Tensor, # scores (N,K), before any softmax
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
e.wrong(lambda out, target=None: out.argmax(1).float() if target is None else pick_scores(out, target),
        'This is the *number* of the top class. It has no gradient; its score is wanted.')
e.wrong(lambda out, target=None: out.max() if target is None else pick_scores(out, target),
        '`out.max()` is the largest score of all pictures together. Each picture has its own top class: `max(1)`.')
e.wrong(lambda out, target=None: tuple(out.max(1)) if target is None else pick_scores(out, target),
        '`max(1)` gives a pair, the values and where they are. Take `.values`.')
e.wrong(lambda out, target=None: torch.tensor([s.item() for s in pick_scores(out, target)]),
        'The graph is lost, by `item()`, `detach()` or a list of numbers: then there is no way back from the score to '
        'the activations. Stay with tensors.')
e.edit('return out[torch.arange(len(out)), target]', 'return out[target, torch.arange(len(out))]',
       'Rows and columns are exchanged: `out[picture, class]`.')
e.edit('return out[', 'return out.log_softmax(1)[',
       'There is a log-softmax in it. It mixes in the other classes; explain the score itself.')
e.wrong(lambda out, target=None: pick_scores(out, target) if target is None else out[target],
        '`out[target]` is a *row*, which belongs to a picture. A class is a column: `out[picture, class]`.')

# 3.4 Every class from one pass

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
                           nn.Linear(6, 4)))

BACKS = 'times you went back from its scores'

def of_classes(answer):
    head, A = deep_head(), A_.clone()
    g = answer(head, A)
    return {'the gradients': g.detach() if isinstance(g, Tensor) else g, 'times the head ran': head.runs,
            'you go back at most once for each class': head.backs <= 4,
            'parameters with a .grad left': sum(p.grad is not None for p in head.parameters()),
            'your A is marked with requires_grad': A.requires_grad}

e = exercise('3.4', 'Every class of a batch', task=
    'Write `every_class(head, A)`: the gradients (K,N,C,h,w) of all K classes at the activations of N pictures. Run '
    '`head` once, and go back once for each class, not for each picture. Leave no `.grad` behind, and `A` as it was.',
    trials=(Trial('Four classes, three pictures', of_classes,
                  says={'times the head ran': 'Keep the output, and go back from each of its columns.',
                        'you go back': 'Pictures do not mix, so one way back, from the sum of their scores, serves '
                                       'all of them.'}),),
    hints=('The score of picture 1 does not depend on the activations of picture 2. So the gradient of a sum of '
           "scores is, picture by picture, each one's own.",
           '`out.T` is a list of classes, each with the scores of all pictures.',
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

def once(head, A, k):
    A = A.detach().requires_grad_()
    return torch.autograd.grad(head(A)[:, k].sum(), A)[0]

e.wrong(lambda head, A: torch.stack([once(head, A, k) for k in range(head[-1].out_features)]),
        'It is right, but the head runs once for each class. One forward pass has all scores in it; only the way back '
        'differs.')
e.edit(', retain_graph=True', '',
       'The first way back throws the graph away. Say `retain_graph=True` for as long as another class follows.')
e.edit('T])', 'T]).transpose(0, 1)', 'The axes are exchanged: classes come first, (K,N,C,h,w).')
e.edit('s.sum()', 'out.sum()', 'You add the classes up before you go back, so all K answers are the same.')
e.edit('head(A)', 'head(A).softmax(1)', 'You go back from probabilities. Take the scores before softmax.')
e.edit('.T', '', 'You go back from each *row*, which is a picture. A class is a column: `out.T`.')
e.wrong(lambda head, A: torch.cat([every_class(head, a[None]) for a in A], 1),
        'It is right, but the head runs once for each picture. Pictures do not mix: one run, and one way back for '
        'each class, serve the whole batch.')
e.edit('s.sum()', 's.mean()',
       'You take the mean of the scores, so each gradient is N times too small: the sum leaves each picture its own.')
e.edit('s.sum()', 's[0]', "Only the first picture's score is used; the others' gradient is 0.")
e.edit('s.sum()', 's',
       'A gradient belongs to a single number, and you ask for that of N scores. Add them up: each picture keeps its '
       'own gradient.')
e.edit('A.detach()', 'A',
       "The caller's `A` now has `requires_grad`. Work on `A.detach()`, which is a tensor of your own.")
e.edit('A, retain_graph=True)[0]', 'A, retain_graph=True)',
       '`torch.autograd.grad` gives a tuple, one gradient for each tensor that you ask about, also if it is only one. '
       'Take the first: `[0]`.')

@e.wrong
def back_each(head, A):
    'It is right, but you go back once for each picture and class. Pictures do not mix: go back from the sum of a '
    'column.'
    A = A.detach().requires_grad_()
    out = head(A)
    return torch.stack([torch.stack([torch.autograd.grad(s, A, retain_graph=True)[0][i] for i, s in enumerate(col)])
                        for col in out.T])

@e.wrong
def added_up(head, A):
    """`A.grad` adds up: the second class gets the first one's gradient as well, and `backward()` fills the `.grad` of
    every parameter. `torch.autograd.grad` gives only what you ask for."""
    A, found = A.detach().requires_grad_(), []
    for s in head(A).T:
        s.sum().backward(retain_graph=True)
        found.append(A.grad.clone())
    return torch.stack(found)

@e.wrong
def filled(head, A):
    """`backward()` fills the `.grad` of every parameter. Somebody's next training step would add it in.
    `torch.autograd.grad` asks for what you want only."""
    A, found = A.detach().requires_grad_(), []
    for s in head(A).T:
        A.grad = None
        s.sum().backward(retain_graph=True)
        found.append(A.grad)
    return torch.stack(found)

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
                'a graph was recorded below the layer': any(below) if name != '0.0' else False,
                'they are detached': not any(t.requires_grad for t in (out, A, g))}
    return run

class Breaks(nn.Module):
    def forward(self, x): raise ValueError('as planned')

def broken(answer):
    net = nn.Sequential(tiny(), Breaks())
    try: answer(net, pictures(2), '0.0.3', 1)
    except ValueError: return {'hooks left': hooks_left(net), 'grad mode is as before': torch.is_grad_enabled()}

TIDY = {'they are detached': '`detach()` lets go of the graph, which is large.', 'the activations':
        'If a layer behind works in place, hand a clone on.',
        'hooks left': 'Keep the handle; remove it in `finally`.',
        'parameters with a .grad left': '`backward()` fills them. `torch.autograd.grad` gives only what you ask for.',
        'a graph was recorded below the layer': 'Run under `no_grad`, and switch grad on in the hook, on a detached '
                                                'tensor that requires a gradient.',
        'grad mode is as before': 'A `with` puts it back.',
        'parameters that can learn': 'Change no flag of somebody else\'s network.'}

e = exercise('3.5', 'The engine', hard=True, task=
    'Write `capture(model, x, layers, target=None)` for one layer by name: `(out, acts, grads)`, detached, from one '
    'pass. No graph below the layer; right in front of an in-place ReLU; also where the caller has switched gradients '
    'off. Nothing is left behind, also where the network breaks. (`pick_scores` is in `camtutor.engine.targets`.)',
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
    with torch.enable_grad(): g, = torch.autograd.grad(pick_scores(out, target).sum(), kept)
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
e.edit('pick_scores(out,', 'pick_scores(out.softmax(1),',
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
        pick_scores(out, target).sum().backward()
    handle.remove()
    return out.detach(), kept[0].detach(), kept[0].grad

e.edit('kept = []', 'kept = []\n    for p in model.parameters(): p.requires_grad = False',
       "The parameters are frozen afterwards. Change no flag of somebody else's network.")
e.edit('with torch.enable_grad(): g', 'torch.set_grad_enabled(True)\n    g',
       'Grad mode is on afterwards, though the caller had it off. A `with` puts it back.')
e.edit('return out.detach(), kept[0].detach(), g', 'return out, kept[0], g',
       'Scores and activations still hang on the graph, which keeps it in memory. Give them `detach()`ed.')
e.edit('return out.detach(), kept[0].detach(), g', 'return out.detach(), g, kept[0].detach()',
       'Activations and gradient are exchanged: `(out, acts, grads)`.')
e.edit('pick_scores(out, target)', 'pick_scores(out, None)', '`target` is not used: this is always the top class.')
e.wrong(lambda model, x, layers, target=None: capture(model, x, '0', target),
        'You look at one fixed layer, or the last; `layers` says which one is wanted: `model.get_submodule(layers)`.')

# 3.6 What speaks against it

e = exercise('3.6', 'What speaks against it',
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
e.edit(', A)', ', -A)', 'This is Grad-CAM itself, what speaks *for* the class: a sign is missing, or two of them '
                        'cancel, as with −A and −g.')
e.edit('.relu()', '.abs()', 'You take absolute values, so that evidence for the class is drawn as evidence against it.')
e.edit('-g.mean((2, 3)), A).relu()', 'g.mean((2, 3)), A).clamp(max=0)',
       'These are the right places, but with negative values. Turn the sign round: positive where it speaks against.')
e.wrong(lambda A, g: (-g*A).sum(1).relu(), 'You multiply with the gradient place by place. Average it over places '
                                           'first, as Grad-CAM does; then turn the sign round.')
e.wrong(lambda A, g: 1/(grad_cam(A, g) + 1), 'This is large where the class has no evidence. A place that does not '
                                             'speak for the class need not speak against it: turn the gradient round.')

# 3.7 Several layers, one pass

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

e = exercise('3.7', 'Several layers, one pass', hard=True, task=
    'Write `grad_cam_maps(model, x, layers, target=None)`: the scores (N,K), and a list of maps (N,h,w), one for each '
    'name in `layers` and in that order, from one pass forward and one back. It must work in front of an in-place '
    'ReLU and leave no hook. (`pick_scores` is in `camtutor.engine.targets`, `grad_cam` in `camtutor.gradcam`.)',
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
                  target=None # see `pick_scores`
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
    grads = torch.autograd.grad(pick_scores(out, target).sum(), [acts[n] for n in layers])
    return out.detach(), [grad_cam(acts[n].detach(), g) for n, g in zip(layers, grads)]

e.edit('return out.detach(), ', 'return ',
       'The scores are missing. Whoever asks for maps wants to know what the network said, and the pass is paid for: '
       'give a pair, scores and maps.')

@e.wrong
def one_run_each(model, x, layers, target=None):
    "The network runs once for each layer. `torch.autograd.grad` takes a list: one pass is enough."
    found = [grad_cam_maps(model, x, [n], target) for n in layers]
    return found[0][0], [maps[0] for _, maps in found]

e.edit('torch.autograd.grad(pick_scores(out, target).sum(), [acts[n] for n in layers])',
       '[torch.autograd.grad(pick_scores(out, target).sum(), acts[n], retain_graph=True)[0] for n in layers]',
       'The maps are right, but you go back once for each layer. `torch.autograd.grad` takes a list of tensors and '
       'gives a gradient for each, from one way back.')
e.edit('[acts[n] for n in layers]', 'list(acts.values())', 'zip(layers', 'zip(acts',
       'These maps are in the order in which the layers run; `layers` has another. Keep what the hooks see by name, '
       "and give the maps in the caller's order.")
e.edit('[acts[n] for n in layers]', 'list(acts.values())', 'zip(layers', 'zip(acts', 'return out.clone()', 'return out',
       'Two things. These maps are in the order in which the layers run; `layers` has another. And an in-place ReLU '
       'behind a layer writes into what you kept: hand a `clone()` on.')
e.edit('torch.autograd.grad(pick_scores(out, target).sum(), [acts[n] for n in layers])',
       '[torch.autograd.grad(pick_scores(out, target).sum(), a, retain_graph=True)[0] for a in acts.values()]',
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
e.edit('pick_scores(out, target)', 'pick_scores(out, None)',
       '`target` is not used: these are always the maps of the top class.')

# 3.8 This rather than that

def preferred(answer):
    out = OUT.clone().requires_grad_()
    score = answer(2, 0)(out)
    grad, = torch.autograd.grad(score.sum(), out) if score.requires_grad else (torch.zeros(3, 3),)
    return {'the scores': score.detach(), 'their gradient': grad}

e = exercise('3.8', 'This rather than that',
    'Write `rather_than(a, b)`: a target for `explain`, that is a function which takes scores (N,K) and returns one '
    'number for each image: how much more the network says `a` than `b`.',
    graph=True,
    trials=(Trial('Three images, class 2 rather than 0', preferred),
            Trial('Five images of four classes, 1 rather than 3', lambda f: f(1, 3)(rand(5, 4)))),
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
e.edit('out[:, a] - out[:, b]', 'out[:, a]/out[:, b]',
       'This is a ratio. A score can be 0 or negative, and its size has no zero point: subtract.')
e.edit('out[:, a] - out[:, b]', 'out[:, a] + out[:, b]', 'The two are added: this is "a or b". Subtract the second.')
e.edit('out[:, a] - out[:, b]', 'out[:, a]', 'This is the score of `a` alone, whatever the network says of `b`. '
                                             'Subtract it.')

# 3.9 As alike as another picture

def way_back(answer):
    out = rand(4, 6).requires_grad_()
    score = answer(rand(6, seed=2))(out)
    return torch.autograd.grad(score.sum(), out)[0] if score.requires_grad else 'the graph is lost'

e = exercise('3.9', 'As alike as another picture',
    "Write `alike(other)`: a target for a network that puts out embeddings (N,D). It returns the cosine between each "
    "picture's embedding and `other` (D,).",
    graph=True,
    trials=(Trial('Worked by hand: the same direction, at a right angle, opposite',
                  lambda f: f(torch.tensor([2., 0.]))(torch.tensor([[5., 0.], [0., 3.], [-1., 0.]])),
                  torch.tensor([1., 0., -1.])),
            Trial('Random embeddings', lambda f: f(rand(6, seed=2))(rand(4, 6))),
            Trial('The way back', way_back)),
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
e.edit('cosine_similarity(out,', 'cosine_similarity(out.detach(),',
       'You detach the embedding. Then there is no way back from the score: the graph is lost.')
e.edit('F.cosine_similarity(out, other[None], dim=1)', '1 - F.cosine_similarity(out, other[None], dim=1)',
       'This is the distance: it is large where the two are unlike.')
e.edit('F.cosine_similarity(out, other[None], dim=1)', 'F.cosine_similarity(out, other[None], dim=1).abs()',
       'Without the sign, the opposite counts as alike.')
e.wrong(lambda other: lambda out: (out @ other)/other.norm(),
        'Only the length of `other` is divided out. That of each embedding is still in it.')
e.edit('dim=1)', 'dim=1).mean()', 'One number for the whole batch, the mean. One for each image is wanted.')
e.edit('F.cosine_similarity(out, other[None], dim=1)', 'F.cosine_similarity(out, other[None], dim=1)**2',
       'It is squared, so the opposite counts as alike. Keep the cosine, with its sign.')
e.edit('F.cosine_similarity(out, other[None], dim=1)',
       'F.cosine_similarity(out, other[None], dim=1).clamp(-1, 1).acos()',
       'This is the angle: it is small where the two are alike. The cosine itself is wanted.')

# 3.10 By hand

e = exercise('3.10', 'By hand',
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
e.wrong(.5, 'You took the absolute value of the sum. The ReLU cuts what is below 0.')
e.wrong(-5.5, 'The weights are exchanged: 3 meets 0.5, and 1 meets −2.')
e.wrong(-1.5, 'You added up the gradients. Each weighs the activation of its own channel.')
