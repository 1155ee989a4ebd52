"Chapter 02: class activation maps."
import copy, math
import torch, torch.nn.functional as F
from torch import Tensor, nn

from camtutor.errors import CamError
from camtutor.exercises.common import gives, hooks_left, keeps, one_by_one, pictures, rand, seeded, tiny
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise
from camtutor.hooks import eval_mode

# 2.1 The score at one place

W, A = torch.tensor([[1., 2.], [0., -1.], [3., 1.]]), torch.tensor([[[[1., 0.], [2., 4.]], [[0., 1.], [5., 0.]]]])
W_ = rand(4, 5)
A_ = rand(3, 5, 6, 7, seed=1)

e = exercise('2.1', 'The score at one place',
    'Write `score_at(weight, A, i, j)`: what each class gets from the place `(i,j)` of each picture. It is the last '
    'linear layer applied to the channels at that place, without the bias. Shape (N,K).',
    trials=(gives('Worked by hand, at row 1, column 0', W, A, 1, 0, want=[[12., -5., 11.]]),
            gives('Random weights and maps', W_, A_, 1, 5),
            one_by_one(W_, A_, 4, 2, batched=(1,))),
    hints=('`A[:, :, i, j]` are the channels at one place: (N,C).',
           'Which axis do (N,C) and (K,C) share? It is summed over.',
           '`F.linear` does just that; so does `@` with one of them transposed.'),
    why='Global average pooling followed by a linear layer is the same as the linear layer at every place, followed '
        'by the mean. That exchange is the whole of CAM.')

@e.reference
def score_at(weight:Tensor, # of the last Linear (K,C)
             A:Tensor, # the maps it reads (N,C,h,w)
             i:int, j:int # a row and a column
            )->Tensor: # (N,K)
    "What each class gets from the place `(i,j)`: the linear layer, applied to that place alone, without its bias."
    return A[:, :, i, j] @ weight.T

e.edit(':, i, j', ':, j, i', '`i` is the row and `j` the column; your indexing has them the other way round.')
e.edit('weight.T', 'weight.T/weight.shape[1]',
       'You divide by the number of channels. A linear layer adds up; nothing is averaged over channels.')
e.edit('A[:, :, i, j] @ weight.T', 'weight @ A[:, :, i, j].T', 'This is (K,N). Pictures come first: (N,K).')
e.edit('[:, :, i, j]', '.mean((2, 3))',
       'This is the score of the whole picture: the maps were averaged over all places. Take one place instead.')
e.edit('A[:, :, i, j] @ weight.T', '(A[:, :, i, j] @ weight.T).softmax(1)',
       'There is a softmax in it. CAM is about scores, which add up over places; probabilities do not.')

# 2.2 CAM as a loop

e = exercise('2.2', 'CAM as a loop',
    'Write `cam_loop(w, A)` for one class, `w` of shape (C,), and one picture, `A` of shape (C,h,w): go through the '
    'channels and add up.',
    trials=(gives('Worked by hand, the weights 1 and 2', W[0], A[0], want=[[1., 2.], [12., 4.]]),
            gives('Random weights and maps', W_[1], A_[0]),
            keeps(W_[1], A_[0])),
    hints=('Start with a map of zeros of the right size.',
           "In each turn: this channel's map times this channel's weight.",
           '`torch.zeros_like` of one channel, a `for` over the channels, and `m = m + …`.'),
    why='A CAM is no more than this. What follows only makes it quick.')

@e.reference
def cam_loop(w:Tensor, # the weights of one class (C,)
             A:Tensor # the maps of one picture (C,h,w)
            )->Tensor: # (h,w)
    "One class's map: the channels, each times its weight, added up in a loop."
    m = torch.zeros_like(A[0])
    for c in range(len(w)): m = m + w[c]*A[c]
    return m

e.edit('m = m + w', 'm = w', 'Only the last channel is left: each turn of the loop replaces what was there. Add to it.')
e.edit('return m', 'return m/len(w)', 'You divide by the number of channels. The linear layer adds them up.')
e.edit('torch.zeros_like(A[0])', 'A[0].mul_(w[0])', 'range(len(w)): m = m +', 'range(1, len(w)): m +=',
       "`m = A[0]` is a view, and `+=` writes into the network's own activations. Start from zeros.")
e.edit('range(len(w))', 'range(1, len(w))', 'Channel 0 is left out: `range` starts too late.')
e.edit('torch.zeros_like(A[0])', 'A[0]',
       'You start from `A[0]`, and then add it once more, weighted. Start from zeros.')

# 2.3 CAM as one einsum

def cam_large(answer): return answer(rand(12, 64), rand(8, 64, 14, 14, seed=1))
HAND = 'Worked by hand: two channels of 2 × 2, three classes'

e = exercise('2.3', 'CAM as one einsum',
    'Write `cam(weight, A)` for all pictures and classes at once: (K,C) and (N,C,h,w) give (N,K,h,w). One line will '
    'do, without a loop.',
    library='camtutor.cam', speed=cam_large,
    trials=(gives(HAND, W, A, want=[[[[1., 2.], [12., 4.]], [[0., -1.], [-5., 0.]], [[3., 1.], [11., 12.]]]]),
            gives('Random weights and maps, not square', W_, A_),
            one_by_one(W_, A_, batched=(1,)),
            keeps(W_, A_)),
    hints=('Give every axis a letter: k classes, c channels, n pictures, i rows, j columns.',
           'A letter that is missing after the arrow is summed over: here only c.',
           'Two groups before the arrow, `kc` and `ncij`; after it, pictures, classes, rows, columns.'),
    why='One call for every class and picture: a slider over classes costs nothing once the forward pass is done.')

@e.reference
def cam(weight:Tensor, # the last Linear's weight (K,C)
        A:Tensor # activations that are pooled for it (N,C,h,w)
       )->Tensor: # one map for each image and class (N,K,h,w)
    "Class activation maps: at each place, the channels weighted by each class's weights and added up."
    return torch.einsum('kc,ncij->nkij', weight, A)

e.edit('A)', 'A).relu()',
       'This is CAM with a ReLU. Plain CAM keeps negative evidence; without it the mean no longer gives the score.')
e.edit('A)', 'A)/A.shape[1]', 'You take the mean over channels. It is a sum: the linear layer adds up.')
e.edit("'kc,ncij->nkij'", "'kc,ncij->knij'",
       'The result is (K,N,h,w). The letters after the arrow decide: pictures first.')
e.edit("'kc,ncij->nkij'", "'kc,ncij->nkji'",
       'Rows and columns are exchanged: the last two letters after the arrow are in the wrong order.')
e.edit("'kc,ncij->nkij'", "'kc,ncij->kij'",
       'The batch is summed away: the letter of the pictures is missing after the arrow.')
e.edit("'kc,ncij->nkij'", "'kc,ncij->nij'",
       'The classes are summed into one map: the letter k is missing after the arrow.')
e.edit("torch.einsum('kc,ncij->nkij', weight, A)", 'weight @ A',
       '`@` multiplies along the last two axes, rows and columns here. The channels are axis 1: flatten the places '
       'first, or say with einsum which axis is meant.')
e.edit('A)', 'A).softmax(1)',
       'There is a softmax over the classes in it. Keep the scores; they are what adds up to the logit.')

@e.wrong
def min_max(weight, A):
    "The maps are stretched to 0…1. That belongs to drawing; here the numbers have a meaning."
    m = cam(weight, A)
    low, high = m.amin((2, 3), True), m.amax((2, 3), True)
    return (m - low)/(high - low)

# 2.4 Back to the score

def identity(answer):
    net, x = tiny(), pictures(4)
    with torch.no_grad():
        m = cam(net[1][2].weight, net[0](x))
        return {"the network's own scores": answer(m, net[1][2].bias) - net(x)}

e = exercise('2.4', 'Back to the score',
    'Write `logits_from_cam(m, bias)`: the scores (N,K) that the network itself gives, from its class activation maps '
    '(N,K,h,w).',
    trials=(gives('Worked by hand: a map 1, 2, 3, 6 and the bias −1', torch.tensor([[[[1., 2.], [3., 6.]]]]),
                  torch.tensor([-1.]), want=[[2.]]),
            Trial('A small network', identity)),
    hints=('What does the network do between the maps and the linear layer?',
           'Averaging and weighting can change places; the bias comes last.',
           'The mean over the two axes of places, plus the bias.'),
    why='The check that tells a true CAM from a picture that merely looks like one.')

@e.reference
def logits_from_cam(m:Tensor, # class activation maps (N,K,h,w)
                    bias:Tensor # of the last Linear (K,)
                   )->Tensor: # (N,K)
    "The network's own scores, from its class activation maps."
    return m.mean((2, 3)) + bias

e.edit('mean', 'sum', 'You add up the places. The pooling takes their mean.')
e.edit('mean', 'amax', 'This is the highest place. The network takes the mean over all places.')
e.edit(' + bias', '', 'The bias is missing. It is the part of a score that no place is responsible for.')
e.edit('m.mean((2, 3)) + bias', '(m + bias[None, :, None, None]).sum((2, 3))',
       'The bias is added at every place. It comes once, after the mean.')

# 2.5 The head, found and proved

def headed(*head): return seeded(nn.Sequential(tiny()[0], nn.Sequential(*head)))
def pool(): return nn.AdaptiveAvgPool2d(1)

def found_in(model):
    def run(answer):
        net = model()
        got = answer(net, pictures(3))
        three = isinstance(got, (list, tuple)) and len(got) == 3
        parts = [t.detach() if isinstance(t, Tensor) else t for t in (got if three else [None]*3)]
        return {'a tuple of three is returned': three, **dict(zip(('acts', 'weight', 'bias'), parts)),
                'hooks left on the network': hooks_left(net)}
    return run

def in_a_row():
    "The same kind of network without a body and a head: layer after layer."
    return seeded(nn.Sequential(nn.Conv2d(3, 6, 3), nn.Sequential(nn.BatchNorm2d(6), nn.ReLU()), pool(), nn.Flatten(),
                                nn.Linear(6, 4)))

REFUSE = {'the highest place instead of the mean': lambda: headed(nn.AdaptiveMaxPool2d(1), nn.Flatten(),
                                                                  nn.Linear(5, 3)),
          'a hidden layer': lambda: headed(pool(), nn.Flatten(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 3)),
          'no pooling': lambda: headed(nn.Flatten(), nn.Linear(5*6*5, 3))}

def refused(answer):
    def what(net):
        try: answer(net, pictures(2))
        except CamError: return 'refused'
        return 'accepted'
    return {name: what(make()) for name, make in REFUSE.items()}

e = exercise('2.5', 'The head, found and proved',
    'Write `find_head(model, x)` for a network made of `nn.Sequential`s, also within each other, whose last layer is '
    'an `nn.Linear`. It returns what CAM needs, as a tuple: `acts` (N,C,h,w), the last maps before the pooling, and '
    'the `weight` (K,C) and `bias` (K,) of that Linear. If the Linear was not given the mean of `acts` over places, '
    'raise a `CamError` (from `camtutor.errors`).',
    trials=(Trial('A body and a head', found_in(tiny),
                  says={'a tuple': 'Return `acts`, `weight` and `bias`, in this order.'}),
            Trial('Layers in a row, without a body and a head', found_in(in_a_row),
                  says={'acts': '(Here `model[0]` is a single convolution, and more layers come before the pooling.)'}),
            Trial('Heads that CAM cannot read must raise a `CamError`', refused, dict.fromkeys(REFUSE, 'refused'))),
    hints=('The maps are the last output with four axes and more than one place. What comes after them is pooled, or '
           'flat.',
           'Two ways to see the outputs: send `x` through the innermost layers one by one (those without '
           '`children()`), or watch the whole run, with hooks.',
           'Keep two things on the way: the newest maps, and what the Linear is given. If the second is not the mean '
           'of the first, in shape and in numbers, raise.'),
    why='A weight of the right shape makes a picture. Only this check makes it the CAM of the network.')

@e.reference
def find_head(model:nn.Module, # Sequentials, also within each other; a Linear comes last
              x:Tensor # a batch it accepts
             )->tuple: # acts (N,C,h,w), weight (K,C), bias (K,)
    "What the last Linear pools, and what it multiplies with. `CamError` if it does not read the mean of the maps."
    layers = [m for m in model.modules() if not list(m.children())]
    with torch.no_grad():
        for m in layers:
            given, x = x, m(x)
            if x.ndim == 4 and x.shape[2:].numel() > 1: acts = x
    if given.shape != acts.shape[:2] or not torch.allclose(given, acts.mean((2, 3)), atol=1e-5):
        raise CamError('The Linear does not read the mean over places: CAM is not exact here.')
    return acts, m.weight, m.bias

e.edit("raise CamError('The Linear does not read the mean over places: CAM is not exact here.')", 'pass',
       'The right things are found, but nothing is proved: a head that CAM cannot read is accepted as well. Compare '
       'what the Linear was given with the mean of the maps.')
e.edit(' or not torch.allclose(given, acts.mean((2, 3)), atol=1e-5)', '',
       'Shapes that fit prove nothing: the highest places are (N,C) too, and so is a hidden layer of C units. Compare '
       'the numbers.')
e.edit('given.shape != acts.shape[:2] or ', '',
       'Without pooling the Linear is given C·h·w numbers, which cannot be compared with C means at all. Look at the '
       'shapes first.')

def caught(model, x):
    "All outputs with more than one place, in order, and what each Linear was given; by hooks."
    maps, given = [], []
    def keep(m, args, out):
        if isinstance(m, nn.Linear): given.append(args[0])
        if out.ndim == 4 and out.shape[2:].numel() > 1: maps.append(out)
    hooks = [m.register_forward_hook(keep) for m in model.modules()]
    with torch.no_grad(): model(x)
    return maps, given, hooks

def linears(model): return [m for m in model.modules() if isinstance(m, nn.Linear)]
def is_mean(z, acts): return z.shape == acts.shape[:2] and torch.allclose(z, acts.mean((2, 3)), atol=1e-5)

@e.wrong
def first_linear(model, x):
    "This is the first Linear. With a hidden layer it reads the mean, but it does not give the scores: take the last."
    maps, given, hooks = caught(model, x)
    for h in hooks: h.remove()
    if not is_mean(given[0], maps[-1]): raise CamError('no CAM')
    return maps[-1], linears(model)[0].weight, linears(model)[0].bias

e.edit('return acts', 'return acts.mean((2, 3), keepdim=True)',
       'These maps are pooled already: (N,C,1,1). Keep the last output that has more than one place.')

@e.wrong
def convolution(model, x):
    """This is what the last convolution gives. Other layers, such as a ReLU, come between it and the pooling. Keep
    the very last maps."""
    kept = []
    h = [m for m in model.modules()
         if isinstance(m, nn.Conv2d)][-1].register_forward_hook(lambda m, args, out: kept.append(out.clone()))
    _, weight, bias = find_head(model, x)
    h.remove()
    return kept[0], weight, bias

e.edit('return acts, m.weight, m.bias', 'return acts, m.weight',
       'The bias is missing. Without it the mean of the map does not give the score.')

@e.wrong
def found_hooks_left(model, x):
    "Your hooks stay on the network. Remove them when it has run."
    maps, given, hooks = caught(model, x)
    if not is_mean(given[-1], maps[-1]): raise CamError('no CAM')
    return maps[-1], linears(model)[-1].weight, linears(model)[-1].bias

def pooled(net, batches):
    with eval_mode(net), torch.no_grad(): pairs = [(net[1][:-1](net[0](x)), y) for x, y in batches]
    return map(torch.cat, zip(*pairs))

@e.wrong
def one_layout(model, x):
    """This fits one layout, `model[0]` and `model[1]`. Other networks are nested otherwise: go through
    `model.modules()`, or watch the network run."""
    with torch.no_grad(): acts = model[0](x)
    pooled, linear = model[1][:-1](acts), model[1][-1]
    if not is_mean(pooled, acts): raise CamError('no CAM')
    return acts, linear.weight, linear.bias

# 2.6 Where the weights are

def weights_of(seed):
    def run(answer): return answer(tiny(seed, k=seed + 3)).detach()
    return run

e = exercise('2.6', 'Where the weights are',
    'Write `head_weight(model)`: the weight (K,C) of the last `nn.Linear` of a network.',
    trials=(Trial('A small network of three classes, Sequential(body, Sequential(pool, flatten, linear))',
                  weights_of(0)),
            Trial('One of five classes', weights_of(2))),
    hints=('`model.modules()` walks through all layers in order.',
           '`isinstance(m, nn.Linear)` tells which are linear.',
           'Make a list of the linear ones and take the last; it has an attribute `weight`.'),
    why='CAM needs just two things from a network: this, and what it is multiplied with.')

@e.reference
def head_weight(model:nn.Module # ends in global average pooling and one Linear
               )->Tensor: # (K,C)
    "The weight of the last Linear of `model`."
    return [m for m in model.modules() if isinstance(m, nn.Linear)][-1].weight

e.edit('[m for m in model.modules() if isinstance(m, nn.Linear)]', 'model',
       '`model[-1]` is the whole head here, not its Linear. Layers can lie in each other: look among all of them.')
e.edit('].weight', '].weight.T',
       "It is transposed. PyTorch keeps a Linear's weight as (outputs, inputs), which is (K,C) already.")
e.edit('.weight', '.bias', 'This is the bias. The weight comes just before it among the parameters.')
e.wrong(lambda model: next(model.parameters()), 'These are the weights of the *first* layer.')
e.edit('.Linear', '.Conv2d', "These are a convolution's kernels. Look for `nn.Linear`.")

# 2.7 Energy inside a mask

M = torch.tensor([[[4., -1.], [0., 0.]], [[1., 1.], [1., 1.]]])
INSIDE = torch.tensor([[[1, 1], [0, 0]], [[1, 0], [0, 0]]]).bool()
M_, INSIDE_ = rand(3, 8, 9), rand(3, 8, 9, seed=5) > .3
ZERO = -torch.ones(1, 2, 2)

e = exercise('2.7', 'Energy inside a mask',
    'Write `energy(m, mask)`: the share of the positive part of each map (N,H,W) that lies inside its mask. A map '
    'without positive values has energy 0.',
    library='camtutor.cam',
    trials=(gives('Worked by hand: 4 of 4 inside, then 1 of 4', M, INSIDE, want=[1., .25]),
            gives('Random maps and masks', M_, INSIDE_),
            gives('A map without positive values', ZERO, INSIDE[:1], want=[0.]),
            one_by_one(M_, INSIDE_),
            keeps(M_, INSIDE_)),
    hints=('First the positive part.',
           'A boolean mask times a map leaves the part inside.',
           'Sum inside over sum of all, each over the last two axes; take care of a total of 0.'),
    why='With exact masks "it looks at the cat" becomes a number, to be read beside the uniform and the best possible '
        'one.')

@e.reference
def energy(m:Tensor, # maps (N,H,W)
           mask:Tensor # (N,H,W) bool
          )->Tensor: # (N,), 0 to 1
    "The share of each map's positive part that lies inside its mask; 0 where a map has no positive part."
    m = m.clamp(min=0)
    total = m.sum((1, 2))
    return (m*mask).sum((1, 2))/total.where(total > 0, 1)

e.edit('m = m.clamp(min=0)\n    ', '', 'total > 0', 'total != 0',
       'Negative values count against it. Cut them off first: energy is about what the map points *to*.')
e.edit('m.clamp(min=0)', 'm.abs()', 'You take absolute values, so that evidence against counts as evidence for.')
e.edit('total = m.sum', 'total = mask.sum',
       "You divide by the area of the mask: that is how bright the map is inside. Divide by the map's own total.")
e.edit('m.sum((1, 2))', 'm.sum()',
       'All pictures share one total. Each map has its own: sum over the two axes of places only.')
e.edit('total.where(total > 0, 1)', 'total',
       'For a map without positive values you divide 0 by 0, which gives nan. It should be 0.')
e.edit('(m*mask).sum((1, 2))/total.where(total > 0, 1)', 'm[mask].sum()/m.sum()',
       'This is one figure for the whole batch. Sum over the two axes of places only. (`m[mask]` loses the batch too; '
       '`m*mask` keeps the shape.)')
e.edit('m = m.clamp(min=0)', 'm = m > 0',
       'You count places. A strong place weighs more than a weak one: add up the values.')

# 2.8 Is the peak inside?

PEAKS = torch.tensor([[[0., 3.], [-9., 1.]], [[2., 0.], [5., 0.]], [[-1., -2.], [-3., -4.]]])
PLACES = torch.tensor([[[0, 1], [0, 0]], [[1, 1], [0, 0]], [[1, 0], [0, 0]]]).bool()

e = exercise('2.8', 'Is the peak inside?',
    'Write `peak_inside(m, mask)`: for each map (N,H,W), is its highest place inside its mask? A bool each; False for '
    'a map without positive values.',
    library='camtutor.cam',
    trials=(gives('Worked by hand: inside, outside, no peak', PEAKS, PLACES, want=torch.tensor([True, False, False])),
            gives('Random maps and masks', rand(12, 5, 6), rand(12, 5, 6, seed=9) > 0),
            keeps(M_, INSIDE_)),
    hints=('`flatten(1)` lays each map out in a row.',
           '`max(1)` gives value and place of each row.',
           'Look the place up in the flattened mask, and ask that the value is above 0.'),
    why='The pointing game: the oldest score for a heat map, and still one that is easy to explain.')

@e.reference
def peak_inside(m:Tensor, # maps (N,H,W)
                mask:Tensor # (N,H,W) bool
               )->Tensor: # (N,) bool
    "Is each map's highest place inside its mask? A map with no positive part has no peak."
    top, where = m.flatten(1).max(1)
    return mask.flatten(1)[torch.arange(len(m)), where] & (top > 0)

e.edit('m.flatten(1).max(1)', 'm.amax((1, 2)), m.argmax()', 'mask.flatten(1)[torch.arange(len(m)), where]',
       'mask.flatten()[where]',
       'This is the peak of the whole batch. Flatten the places only, and take the maximum of each row.')
e.edit('m.flatten(1).max', 'm.abs().flatten(1).max', 'The most negative place is no peak: it speaks against.')
e.edit('mask.flatten(1)[torch.arange(len(m)), where] & (top > 0)', '((m > 0) & mask).any(2).any(1)',
       'This asks whether any positive place is inside. Only the highest counts.')
e.edit(' & (top > 0)', '',
       'A map without positive values has a largest value too, but no peak. Test that it is above 0.')
e.edit('[torch.arange(len(m)), where] & (top > 0)', '[where]',
       'Indexing by the places alone picks whole rows of the mask. Each map needs one value, from its own row: its '
       'number and its place, or `gather`.')
e.edit('return mask', 'return 1.*mask', '& (top', '*(top', 'These are numbers. The answer is yes or no: a bool.')

# 2.9 The baseline

e = exercise('2.9', 'The baseline',
    'Write `uniform_energy(mask)`: the energy that a map gets which is the same everywhere.',
    trials=(gives('Worked by hand: two of four places, then one', INSIDE, want=[.5, .25]),
            gives('Random masks', INSIDE_)),
    hints=('Put a map of ones into the definition of energy.',
           'What is left is a share of area.',
           'The mean of the mask as numbers, over both axes of places.'),
    why='An energy of 0.6 says nothing until one knows that a map which knows nothing gets 0.3.')

@e.reference
def uniform_energy(mask:Tensor # (N,H,W) bool
                  )->Tensor: # (N,)
    "The energy of a map that is the same everywhere: what a method that knows nothing would get."
    return mask.float().mean((1, 2))

e.edit('mean((1, 2))', 'mean()', 'One figure for all pictures: keep one for each.')
e.edit('mean', 'sum', 'This counts places. As a share it can be compared with an energy.')
e.edit('float().mean', 'sum',
       'You count the places inside. Divide by all places: an energy is a share, between 0 and 1.')
e.edit('mask.float().mean((1, 2))', 'torch.full((len(mask),), .5)',
       'It depends on the mask: a large animal catches more of a map that knows nothing.')
e.edit('mean((1, 2))', 'mean(1)', 'One axis of places is left over.')

# 2.10 The best that a grid can do

def blob(n=2, size=16):
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing='ij')
    return torch.stack([(y - 6 - i)**2 + (x - 7)**2 < (4 + i)**2 for i in range(n)])

e = exercise('2.10', 'The best that a grid can do',
    'Write `grid_energy(mask, size)`: average the mask onto a grid of `size`, bring it back to its own size '
    'bilinearly, and take its `energy` (write it, or import it from `camtutor.cam`).',
    library='camtutor.cam',
    trials=(gives('Round masks of 16 × 16 on a grid of 4 × 4', blob(), 4),
            gives('The same on a grid of 4 × 8', blob(3), (4, 8)),
            gives('The same on its own grid', blob(1), 16, want=[1.])),
    hints=('`F.adaptive_avg_pool2d` averages onto a grid of any size; it wants channels, so add an axis.',
           '`F.interpolate(…, mode="bilinear")` brings it back.',
           'The result is a map like any other: give it to `energy`.'),
    why="An 8 × 8 map cannot follow an ear. The best possible figure tells the method's fault from the grid's.")

@e.reference
def grid_energy(mask:Tensor, # (N,H,W) bool
                size # the grid to see it through, (h,w) or an int
               )->Tensor: # (N,)
    "The energy of the mask itself, averaged onto a grid of `size` and brought back bilinearly: what that grid can do."
    grid = F.adaptive_avg_pool2d(mask.float()[:, None], size)
    return energy(F.interpolate(grid, mask.shape[-2:], mode='bilinear')[:, 0], mask)

e.edit('F.adaptive_avg_pool2d(mask.float()[:, None], size)',
       "F.interpolate(mask.float()[:, None], size, mode='nearest-exact')",
       'You pick one pixel for each cell of the grid. Average over the cell: half covered is 0.5.')
e.edit("'bilinear'", "'nearest-exact'", 'The way back is in blocks. Maps are drawn bilinearly, so measure them so.')
e.edit('F.adaptive_avg_pool2d(mask.float()[:, None], size)',
       "F.interpolate(mask.float()[:, None], size, mode='bilinear')",
       "`F.interpolate` reads only the pixels nearest to each cell's centre. On the way down, average over all of the "
       "cell: `F.adaptive_avg_pool2d`.")
e.edit('adaptive_avg_pool2d', 'adaptive_max_pool2d',
       'Each cell takes its highest value, so that a cell that is just touched counts as full. Average.')
e.edit("F.interpolate(grid, mask.shape[-2:], mode='bilinear')[:, 0]", 'mask.float()',
       'The mask itself has energy 1. See it through the coarse grid first.')
e.edit("'bilinear'", "'bilinear', align_corners=True",
       '`align_corners=True` stretches the grid so that its outer cells lie on the edge. Leave it out.')

# 2.11 A head that CAM can read

def surgery(answer):
    body, x = tiny()[0], pictures(2)
    net = answer(body, 4, x)
    linears = [m for m in net.modules() if isinstance(m, nn.Linear)]
    read = []
    linears[0].register_forward_hook(lambda m, args, out: read.append(args[0]))
    shape = tuple(net(x).shape)
    same = read[0].shape == (2, 5) and torch.allclose(read[0], net[0](x).mean((2, 3)), atol=1e-5)
    return {'the shape of the scores': shape, 'parts of the network': len(net), 'Linear layers': len(linears),
            'numbers that the Linear reads': read[0].shape[1], 'the Linear reads the mean over places': bool(same),
            'parameters of the body that can learn': sum(p.requires_grad for p in net[0].parameters()),
            'parameters of the head that can learn': sum(p.requires_grad for p in net[1].parameters())}

e = exercise('2.11', 'A head that CAM can read',
    'Write `gap_head(body, n_classes, x)`: `nn.Sequential` of the body, frozen, and a head of global average pooling '
    'and one new `nn.Linear`. `x` is a batch to try the body with: how many channels come out?',
    changes=('body', 'random numbers'),
    library='camtutor.cam',
    trials=(Trial('A small body, four classes', surgery),),
    hints=('Run the body once without gradients and look at the shape.',
           '`nn.AdaptiveAvgPool2d(1)` leaves (N,C,1,1); a Linear wants (N,C).',
           'Freeze, then `nn.Sequential(body, nn.Sequential(pool, flatten, linear))`.'),
    why='This is what the original CAM paper did to VGG, which has no pooling of this kind.')

@e.reference
def gap_head(body:nn.Module, # ends in maps (N,C,h,w)
             n_classes:int, # K
             x:Tensor # a batch it accepts
            )->nn.Sequential: # (body, head)
    "`body` frozen, then a head that CAM can read: global average pooling and a new Linear (C,K)."
    with torch.no_grad(): C = body(x).shape[1]
    for p in body.parameters(): p.requires_grad = False
    return nn.Sequential(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(C, n_classes)))

e.edit('requires_grad = False', 'requires_grad = True',
       'The body can still learn. Set `requires_grad` of its parameters to False: only the new layer is to be trained.')
e.edit('AdaptiveAvgPool2d', 'AdaptiveMaxPool2d',
       'This pools the *highest* place. CAM is exact for the mean only, since only a mean may change places with the '
       'weights.')
e.edit('nn.AdaptiveAvgPool2d(1), ', '', 'nn.Linear(C,', 'nn.Linear(body(x)[0].numel(),',
       'The Linear reads every place separately: without pooling there is no weight for a channel. Pool first.')
e.edit('n_classes)))', 'n_classes))).requires_grad_(False)',
       'The new Linear is frozen as well. It is the one that must learn.')
e.edit('nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(C, n_classes))',
       'nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(C, n_classes)',
       'The layers of the head stand beside the body, one by one. Put them into an `nn.Sequential` of their own, so '
       'that `net[0]` is the body and `net[1]` the head.')

@e.wrong
def hidden(body, n_classes, x):
    "There is a hidden layer in the head. Then the last weights do not belong to the channels of the map any more."
    net = gap_head(body, n_classes, x)
    C = net[1][2].in_features
    net[1] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(C, 16), nn.ReLU(), nn.Linear(16, n_classes))
    return net

# 2.12 Train the head alone

class Shuffled:
    """Batches of pictures in another order each time that one goes through them, as a DataLoader gives them; the
    last ones are in `given`."""
    def __init__(self, x, y): self.x, self.y, self.shift = x, y, lambda batches: batches
    def __iter__(self):
        self.given = self.shift([(self.x[b], self.y[b]) for b in torch.randperm(len(self.x)).split(6)])
        return iter(self.given)

def to_learn():
    "A network in training mode, whose features are small numbers; sixteen pictures of two classes, as batches."
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    net = seeded(nn.Sequential(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))))
    x, y = rand(16, 3, 6, 6), torch.arange(16) % 2
    x[y == 1, 0] += 2
    return net.train(), Shuffled(x, y)

def loss_of(net, x, y):
    with eval_mode(net): return F.cross_entropy(net(x), y).item()

def number(l):
    "A loss as a number, whatever it came as."
    return float(l.detach()) if isinstance(l, Tensor) else float(l)

def near(a, b): return math.isclose(a, b, rel_tol=1e-4)
OWN, LATER = 'the mean cross-entropy of the network', 'not looked at yet'

def starts(answer, change=None):
    """Is the loss at a step size of 0 that of the network? Its value, the network's loss, the network, the data, and
    whether the weights moved."""
    net, data = to_learn()
    net[1][-1].bias.data = torch.tensor([.5, -1.]) # then the classes differ in what they cost
    if change: change(net[1][-1], data)
    own, before = loss_of(net, data.x, data.y), net[1][-1].weight.detach().clone()
    first = number(answer(net, data, 1, 0.)[0])
    return first, own, net, data, not torch.allclose(before, net[1][-1].weight, atol=1e-6)

def without_weights(linear, data): # then the features count for nothing
    linear.weight.data.zero_()
    data.y = (torch.arange(len(data.y)) % 4 == 0).long()

# then it does not matter which picture has which class
def of_one_class(linear, data): data.y = torch.zeros_like(data.y)

def kind_of_loss(answer):
    "What the loss is while nothing is learned."
    first, own, net, data, moved = starts(answer)
    if near(first, own): return OWN
    if math.isnan(first): return 'nan'
    if near(first, own*len(data.x)): return 'the sum of the cross-entropy over the pictures'
    with torch.no_grad(), eval_mode(net): softmaxed = F.cross_entropy(net(data.x).softmax(1), data.y).item()
    if near(first, softmaxed): return 'the cross-entropy of a softmax of the scores'
    each = [loss_of(net, *batch) for batch in data.given]
    for i, which in (-1, 'last'), (0, 'first'):
        if near(first, each[i]):
            return f'that of the {which} batch' + (' alone' if learns_only(answer, i) else ', but others count, too')
    if near(first, sum(each)/len(each)): return "the mean of the batches' means"
    if moved: return 'that of another Linear than the network came with'
    return kind_of_features(answer)

def kind_of_features(answer):
    "Does the loss fit a Linear without weights, and one class?"
    if not near(*starts(answer, without_weights)[:2]): return 'another number'
    if near(*starts(answer, of_one_class)[:2]): return 'that of pictures and classes that do not belong together'
    return 'that of other features than the network reads'

def learns_only(answer, i):
    "Does nothing but batch `i` count for what is learned?"
    weights = []
    for shift in (0, 1):
        net, data = to_learn()
        data.shift = lambda batches: [(x + shift*(b != i % len(batches)), y) for b, (x, y) in enumerate(batches)]
        torch.manual_seed(0)
        answer(net, data, 3, .2)
        weights.append(net[1][-1].weight.detach())
    return torch.allclose(*weights, atol=1e-5)

def grads_add_up(answer):
    "Is the gradient three times as large after three steps of size 0 as after one?"
    found = []
    for steps in (1, 3):
        net, data = to_learn()
        answer(net, data, steps, 0.)
        found.append([p.grad for p in net[1][-1].parameters()])
    return all(a is not None and b is not None and a.norm() > 0 and torch.allclose(3*a, b, rtol=1e-3)
               for a, b in zip(*found))

LOOKED_AT = ('losses in it', 'the type of a loss', 'the weights of the body are as before',
             'its batch norm is as before', 'pictures that went through the body', 'the loss at a step size of 0',
             'the gradient of each step', 'the Linear of the network has changed', 'the last loss',
             'the loss of the network now')

def learns(answer):
    net, data = to_learn()
    before, seen = [t.clone() for t in net[0].state_dict().values()], []
    linear = net[1][-1].weight.detach().clone()
    net[0].register_forward_hook(lambda m, args, out: seen.append(len(out)))
    losses = answer(net, data, 20, .2)
    said = {'what is returned': type(losses).__name__} | dict.fromkeys(LOOKED_AT, LATER)
    if not isinstance(losses, list) or not losses: return said | ({'losses in it': 0} if losses == [] else {})
    unmoved, kind = [torch.equal(a, b) for a, b in zip(before, net[0].state_dict().values())], kind_of_loss(answer)
    said |= {'losses in it': len(losses), 'the type of a loss': type(losses[-1]).__name__,
             'the weights of the body are as before': all(unmoved[:4]),
             'its batch norm is as before': all(unmoved[4:6]), 'pictures that went through the body': sum(seen),
             'the loss at a step size of 0': kind}
    changed = {'the Linear of the network has changed': not torch.allclose(linear, net[1][-1].weight)}
    if kind != OWN: return said | (changed if kind == 'another number' else {}) # what comes later depends on this
    said['the gradient of each step'] = 'added to those before it' if grads_add_up(answer) else 'its own'
    if said['the gradient of each step'] != 'its own': return said
    return said | changed | how_it_went(number(losses[0]), number(losses[-1]), loss_of(net, data.x, data.y))

def how_it_went(first, last, own):
    "The last loss beside the first, and the network's own beside the last, in words."
    end = 'the same' if last == first else 'higher' if last > first else 'a little below the first'
    now = 'a higher loss' if own > last else 'a lower loss'
    return {'the last loss': 'well below the first' if last < first/2 else end,
            'the loss of the network now': 'about the last loss' if abs(own - last) < .2*last else now}

def then(run):
    "This trial is of interest only for an answer that has passed the first."
    def later(answer):
        return run(answer) if learns(answer) == learns(retrain_head) else dict.fromkeys(run(retrain_head), LATER)
    return later

def heeds(answer):
    "What `lr` and `wd` do."
    (still, data), (free, _), (bound, _) = to_learn(), to_learn(), to_learn()
    losses = answer(still, data, 3, 0.)
    for net, wd in ((free, 0.), (bound, 8.)): answer(net, data, 12, .05, wd)
    return {'with a step size of 0 the loss stays the same': len({round(number(l), 5) for l in losses}) == 1,
            'with a weight decay of 8 the weights become smaller than with 0': bool(bound[1][-1].weight.norm()
                                                                                    < .7*free[1][-1].weight.norm())}

def gives_modes_back(answer):
    (a, data), (b, _), (c, _) = to_learn(), to_learn(), to_learn()
    b.eval()
    c[0].eval()
    for net in (a, b, c): answer(net, data, 1, .05)
    def modes(net):
        return ', '.join(f'{what} {"trains" if m.training else "evaluates"}' for what, m in (('the body', net[0]),
                                                                                             ('the head', net[1])))
    return {'a network that trained': modes(a), 'one that evaluated': modes(b),
            'one whose body evaluated and whose head trained': modes(c)}

e = exercise('2.12', 'Train the head alone',
    'Write `retrain_head(net, batches, steps, lr, wd)` for a network as `gap_head` makes it. `batches` gives pairs '
    '`(x, y)` of pictures and classes. Each picture goes through the body *once*; then fit the last Linear of '
    '`net[1]` to all of them together, `steps` times, with the mean `F.cross_entropy` and AdamW (or another '
    'optimiser), `lr` as step size and `wd` as weight decay. Begin with the weights that it has. Return the list of '
    'losses, as plain numbers. Weights and batch norm of the body stay as they are, even if `net` is in training '
    'mode; and afterwards each module has its own mode back.',
    changes=('net', 'random numbers'),
    library='camtutor.cam',
    trials=(Trial('Sixteen pictures of two classes in shuffled batches, 20 steps', learns,
                  says={'losses in it': 'One for each step, and each step uses all pictures together.',
                        'its batch norm': 'In training mode every run moves its averages.',
                        'pictures that': 'The body is frozen, so it gives the same at every step: compute it before '
                                         'the loop.',
                        'the type of a loss': 'A tensor keeps its graph alive: `item()` gives the number.',
                        'the loss at': 'Then nothing is learned, so each loss should be `F.cross_entropy(net(x), y)` '
                                       'for all pictures, in evaluation mode.',
                        'the gradient': '`backward()` adds to the gradients that are there: `zero_grad()` comes '
                                        'before it at each step.'}),
            Trial('Other step sizes and weight decays', then(heeds)),
            Trial('The mode of each module, afterwards', then(gives_modes_back),
                  says='`eval_mode(net)` gives each its own back.')),
    hints=('The Linear is `net[1][-1]`; all that comes before it in the head is `net[1][:-1]`.',
           'First a pass over the batches, in `eval_mode` and without gradients: collect what the Linear will read, '
           'and the classes beside it. `torch.cat` makes one batch of all.',
           "Then an optimiser on the Linear's own parameters, and a loop of five lines: loss, zero the gradients, "
           "backward, step, note the number."),
    why="A network can be given a readable head in seconds, since the body runs once. The library's also divides the "
        "features by their deviation, and the weight in return: so one step size fits every body.")

@e.reference
def retrain_head(net:nn.Sequential, # (body, head) as `gap_head` makes it; the last Linear is trained in place
                 batches, # (x, y) pairs: a DataLoader or a list
                 steps=300, # steps of AdamW, all pictures at once
                 lr=.05, # step size
                 wd=.1 # weight decay
                )->list: # the loss after each step
    "Fit only the last Linear, on features that the frozen body computes once."
    linear, losses = net[1][-1], []
    with eval_mode(net), torch.no_grad(): pairs = [(net[1][:-1](net[0](x)), y) for x, y in batches]
    feats, y = map(torch.cat, zip(*pairs))
    opt = torch.optim.AdamW(linear.parameters(), lr=lr, weight_decay=wd)
    for _ in range(steps):
        loss = F.cross_entropy(linear(feats), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses

def take_step(opt, loss, sign=1):
    opt.zero_grad()
    (sign*loss).backward()
    opt.step()
    return loss.item()

def every_step(net, params, batches, steps, lr, wd):
    "The whole network at each step."
    x, y = map(torch.cat, zip(*batches))
    opt = torch.optim.AdamW(params, lr, weight_decay=wd)
    return [take_step(opt, F.cross_entropy(net(x), y)) for _ in range(steps)]

@e.wrong
def trains_all(net, batches, steps=300, lr=.05, wd=.1):
    """The body has changed: the optimiser was given all parameters, and gradients came as far as that. Compute the
    body's features before the loop, under `no_grad`, and give the optimiser those of the Linear."""
    with eval_mode(net): return every_step(net, net.parameters(), batches, steps, lr, wd)

e.wrong(lambda net, batches, steps=300, lr=.05, wd=.1: every_step(net, net.parameters(), batches, steps, lr, wd),
        'Two things. The optimiser was given all parameters, so the weights of the body have changed. And it ran in '
        'training mode, which moves the averages of its batch norm: use `eval_mode(net)`.')

@e.wrong
def slowly(net, batches, steps=300, lr=.05, wd=.1):
    """Right, but the body runs at every step and gives the same each time. Keep what the Linear reads, and run only
    the Linear in the loop."""
    with eval_mode(net): return every_step(net, net[1].parameters(), batches, steps, lr, wd)

e.wrong(lambda net, batches, steps=300, lr=.05, wd=.1: every_step(net, net[1].parameters(), batches, steps, lr, wd),
        'Two things. The body runs at every step, though it is frozen: compute the features once. And it runs in '
        'training mode, so that its batch norm moves: use `eval_mode(net)`.')

@e.wrong
def by_batch(net, batches, steps=300, lr=.05, wd=.1):
    """That is how a whole network is trained: batch by batch, and the body runs each time. Here the body is frozen.
    Go through the batches once, keep what the Linear reads, and let each step use all of it."""
    opt, losses = torch.optim.AdamW(net[1].parameters(), lr, weight_decay=wd), []
    with eval_mode(net):
        for _ in range(steps):
            for x, y in batches: losses.append(take_step(opt, F.cross_entropy(net(x), y)))
    return losses

def fitted(linear, feats, y, steps, lr, wd, sign=1):
    opt = torch.optim.AdamW(linear.parameters(), lr, weight_decay=wd)
    return [take_step(opt, F.cross_entropy(linear(feats), y), sign) for _ in range(steps)]

@e.wrong
def in_train_mode(net, batches, steps=300, lr=.05, wd=.1):
    """The body's batch norm has moved its running averages. They are no parameters: neither freezing nor `no_grad`
    keeps them still, only evaluation mode. `eval_mode(net)` does it, and puts the mode back."""
    with torch.no_grad(): pairs = [(net[1][:-1](net[0](x)), y) for x, y in batches]
    return fitted(net[1][-1], *map(torch.cat, zip(*pairs)), steps, lr, wd)

e.edit('feats, y = map(torch.cat, zip(*pairs))', 'feats, y = pairs[-1]',
       'Only the last batch was learned: each turn of the loop over the batches replaces what was there. Collect, and '
       'join with `torch.cat`.')
e.edit('for x, y in batches', 'for x, y in list(batches)[-1:]',
       'Only the last batch goes through the body, and only that is learned. Take all of them, and join their '
       'features with `torch.cat`.')
e.edit('for x, y in batches', 'for x, y in list(batches)[:1]',
       'Only the first batch was learned. Is there a `return` in the loop over the batches, or a `next`? Take all of '
       'them, and join their features with `torch.cat`.')

@e.wrong
def batch_by_batch(net, batches, steps=300, lr=.05, wd=.1):
    """You step once for each batch and note the loss of the last one. Join all features with `torch.cat` before the
    loop: then one step uses all of them, and its loss is that of all."""
    with eval_mode(net), torch.no_grad(): pairs = [(net[1][:-1](net[0](x)), y) for x, y in batches]
    opt = torch.optim.AdamW(net[1][-1].parameters(), lr, weight_decay=wd)
    return [[take_step(opt, F.cross_entropy(net[1][-1](f), y)) for f, y in pairs][-1] for _ in range(steps)]

@e.wrong
def mean_of_means(net, batches, steps=300, lr=.05, wd=.1):
    """This is the mean of the batches' means. The last batch is smaller, so its pictures count for more than the
    others. Join all features with `torch.cat` and take one mean."""
    with eval_mode(net), torch.no_grad(): pairs = [(net[1][:-1](net[0](x)), y) for x, y in batches]
    opt = torch.optim.AdamW(net[1][-1].parameters(), lr, weight_decay=wd)
    return [take_step(opt, sum(F.cross_entropy(net[1][-1](f), y) for f, y in pairs)/len(pairs)) for _ in range(steps)]

e.edit('feats, y = map(torch.cat, zip(*pairs))', 'feats, y = torch.cat([f for f, _ in pairs]), torch.cat([y for _, y '
                                                 'in batches])',
       'Features and classes do not belong together: you go through `batches` twice, and a DataLoader shuffles each '
       'time. Take `x` and `y` from the same pass.')
e.edit('losses = net[1][-1]', 'losses = nn.Linear(net[1][-1].in_features, net[1][-1].out_features)',
       'The network is as before, and the losses are not its own: you trained a Linear of your own. Train the one '
       'that is in `net[1]`.')
e.edit('losses = net[1][-1]', 'losses = copy.deepcopy(net[1][-1])',
       'The losses fall, but the network is as before: you trained a copy of its Linear. Train the one that is in '
       '`net[1]`.')
e.edit('linear, losses = net[1][-1], []', 'linear, losses = net[1][-1], []\n    linear.reset_parameters()',
       'The training does not begin with the weights that the network has: even at a step size of 0 they change. Did '
       'you reset the Linear, or put a new one in its place? Or did you scale the features, and the weight only at '
       'the end? Then multiply it by the scale before the first step.')
e.edit('weight_decay=wd', 'weight_decay=0', '`wd` has no effect. The optimiser takes it as `weight_decay`.')
e.edit('lr=lr', 'lr=.05', '`lr` has no effect: the step size is always the same.')
e.edit('linear(feats)', 'linear(feats/feats.std())',
       'The Linear learns from other numbers than the network will give it. Are the features scaled, or pooled in '
       'another way? `net[1][:-1]` gives what the network reads; and a scale has to be undone in the weight.')
e.edit('linear(feats), y)', "linear(feats), y, reduction='sum')",
       'This is the sum over the pictures: the loss is as many times too large as there are pictures, and so is each '
       'gradient. Take the mean, which `F.cross_entropy` gives unless told otherwise.')
e.edit('opt.zero_grad()', 'pass',
       'The gradients of all steps add up, since `backward()` adds to what is there: each step also goes where the '
       'steps before it went. `opt.zero_grad()` at each step, before `backward()`.')
e.edit('F.cross_entropy(linear(feats), y)', 'F.mse_loss(linear(feats), F.one_hot(y, linear.out_features).float())',
       'Features and Linear may be right, but the loss is not the mean cross-entropy over all pictures. Is it mean '
       'squared error, or binary cross-entropy? `F.cross_entropy` takes the scores of all pictures and the numbers of '
       'their classes, as they are.')
e.edit('loss.backward()', '(-loss).backward()', 'The loss rises: the step goes the wrong way.')
e.edit('opt.step()', 'pass',
       'Nothing is learned: a step needs `backward()` and then `opt.step()`, with no `zero_grad()` between the two.')
e.edit('linear(feats)', 'linear(feats).softmax(1)',
       'There is a softmax before the loss. `F.cross_entropy` takes scores and has its own softmax: with two of them '
       'the loss cannot come near 0.')
e.edit('return losses', 'net.eval()\n    return losses',
       'The network is left in evaluation mode, whatever it was in. Whoever trains it further does so without '
       'dropout, and with a batch norm that stands still. `eval_mode(net)` gives each module its own mode back.')
e.edit('return losses', 'net[0].eval()\n    return losses',
       'The body is left in evaluation mode, also where it trained before. `eval_mode(net)` gives each module its own '
       'mode back.')
e.edit('return losses', 'net.train()\n    return losses',
       'Afterwards everything trains, also what evaluated before. `eval_mode(net)` gives each module its own mode '
       'back.')

@e.wrong
def one_mode(net, batches, steps=300, lr=.05, wd=.1):
    """One mode is remembered for the whole network, but its parts can differ: a frozen body often evaluates.
    `eval_mode(net)` gives each module its own mode back."""
    losses = retrain_head(net, batches, steps, lr, wd)
    net.train(net.training)
    return losses

e.edit('loss.item()', 'loss.detach()', 'These are tensors. Put `loss.item()` into the list.')
e.edit('return losses', 'return losses[-1]',
       'This is the last loss alone. The whole list is wanted: it shows whether more steps would help.')
e.edit('return losses', 'return', 'Nothing is returned. The learner of a network wants to see the losses.')

# 2.13 A shape

e = exercise('2.13', 'A shape',
    '`weight` is (37, 128), `A` is (5, 128, 8, 8). What is the shape of `torch.einsum("kc,ncij->nkij", weight, A)`?',
    reference=(5, 37, 8, 8),
    kind='value',
    hints=('Read the letters after the arrow one by one.',
           'n is 5, k is 37.',
           'i and j are 8 each.'),
    why='Whoever can read the letters needs no other documentation of a formula.')
e.wrong((37, 5, 8, 8), 'The letters after the arrow give the order: n comes before k.')
e.wrong((5, 128, 8, 8), 'c is missing after the arrow: it is summed over, and k takes its place.')
e.wrong((5, 37), 'i and j stand after the arrow, so the places stay.')

# 2.14 By hand

e = exercise('2.14', 'By hand',
    'The CAM of a class is [[1, 2], [3, 8]], the bias of its Linear is −1. What is the logit?',
    reference=2.5,
    kind='value',
    hints=('How does the network get from maps to scores?',
           'The mean of the four places.',
           'Add the bias once.'),
    why='mean + bias == logit is the identity that every CAM of this course is checked with.')
e.wrong(13, 'You added up the places. The pooling takes their mean.')
e.wrong(3.5, 'The bias is missing.')
e.wrong(14, 'This is the sum of the places. The pooling takes their mean, and the bias comes after it.')
e.wrong(7, 'This is the highest place with the bias. The pooling takes the mean.')

# 2.15 Which class is which

e = exercise('2.15', 'Which class is which',
    'You have a trained `learn` and the scores (1, 2). How do you find out which of the two is the cat, and why would '
    'you call `decode` on a batch before drawing it?',
    reference='`learn.dls.vocab` lists the classes in the order of the scores, which is alphabetical unless you said '
              'otherwise. The batch is normalised: mean 0, deviation 1. `decode` undoes that, so that the colours are '
              'those of the picture again.',
    kind='written',
    why='Mixing up two classes is the commonest mistake of all, and no shape error warns of it.')

# 2.16 Which layer

e = exercise('2.16', 'Which layer',
    'Plain CAM uses the activations of …',
    reference='the last convolutional stage, which global average pooling reads',
    kind='choice')
e.wrong('the last Linear layer',
        'It gives one number for each class: there are no places left. CAM uses its *weights*.')
e.wrong('the first convolution, which is the sharpest',
        'It is sharp, but it sees edges and colours, and no linear weights connect it with a class.')
e.wrong('any layer you like',
        "Only one: the classifier's weights belong to the channels that are pooled for it. Grad-CAM lifts that limit.")

# 2.17 Why a hook

e = exercise('2.17', 'Why a hook',
    'Why does CAM need a hook?',
    reference='The network returns scores only; the activations inside are freed unless someone catches them',
    kind='choice')
e.wrong('To get at the weights', 'The weights are parameters: they can be read at any time.')
e.wrong('To change the activations', 'CAM changes nothing.')
e.wrong('To run the last layer twice', 'It runs once. CAM repeats its multiplication outside, place by place.')

# 2.18 Why not inside

e = exercise('2.18', 'Why not inside',
    'Why can plain CAM not look at an inner layer?',
    reference='Between it and the scores lie more layers, so that no weight connects one of its channels with a class',
    kind='choice')
e.wrong('Its maps are too large', 'Size is no obstacle to an einsum.')
e.wrong('It cannot be hooked', 'Any module can be hooked.')
e.wrong('Its activations are negative', 'After a ReLU they are not, and it would not matter.')

# 2.19 A hidden layer

e = exercise('2.19', 'A hidden layer',
    "fastai's stock head has two Linear layers. The last one's weights, multiplied with the body's maps …",
    reference="give a picture, but not that network's CAM: the mean of the map does not give the score",
    kind='choice')
e.wrong('give the CAM, since they are the last weights',
        "They belong to the hidden layer's units, not to the channels of the map. It only runs at all if the numbers "
        "happen to agree.")
e.wrong('give the CAM after a ReLU', 'A ReLU does not bring back what the hidden layer mixes.')
