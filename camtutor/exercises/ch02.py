"Chapter 02: class activation maps."
from copy import deepcopy
import torch
from torch import Tensor, nn

from camtutor.exercises.common import gives, keeps, one_by_one, pictures, rand, seeded, tiny
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
e.edit('A[:, :, i, j] @ weight.T', 'A[:, :, i, j].mean(1, keepdim=True)*weight.mean(1)',
       'The channels are averaged before they meet the weights. Each channel has its own weight: multiply, then add '
       'up.')
e.edit('A[:, :, i, j]', 'A[:1, :, i, j]', 'Only the first picture is looked at. Keep the batch: `A[:, :, i, j]`.')
e.wrong(lambda weight, A, i, j: weight*A[:1, :, i, j],
        'Weights and channels are multiplied, but not added up: channels are still there. A linear layer sums over '
        'them.')
e.edit('A[:, :, i, j]', 'A[:, :, i].mean(2)', 'The whole row `i` is averaged. One place is wanted: `A[:, :, i, j]`.')
e.edit('A[:, :, i, j]', 'A[:, :, :, j].mean(2)', 'The whole column `j` is averaged. One place is wanted: `A[:, :, i, '
                                                 'j]`.')
e.edit('A[:, :, i, j]', 'A.flatten(2)[:, :, i + j]',
       'In a flattened map the place `(i,j)` is number `i*w + j`. Simpler: `A[:, :, i, j]`.')
e.edit('A[:, :, i, j] @ weight.T', 'weight*A[:, :, i, j]',
       'Weights and channels are multiplied, but not added up, and classes meet pictures. `@` multiplies and sums over '
       'the channels.')

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
e.edit('return m', 'return m.relu()', 'There is a ReLU in it. Plain CAM keeps what speaks against the class.')
e.wrong(lambda w, A: torch.stack([w[c]*A[c] for c in range(len(w))]),
        'The weighted channels are stacked, not added up. One map (h,w) is wanted.')
e.wrong(lambda w, A: A.sum(0)*w.sum(), 'All channels are added, and all weights. Each channel needs its own weight '
        'before anything is added.')
e.edit('range(len(w))', 'range(len(w) - 1)', 'The last channel is left out: `range` ends too early.')
e.edit('w[c]*A[c]', 'A[c]', 'The channels are added up without their weights.')
e.edit('m = m + w[c]*A[c]\n    return m', 'return m + w[c]*A[c]',
       'Only channel 0 is there: `return` stands in the loop and ends it in its first turn.')
e.edit('w[c]*A[c]', 'w[c].abs()*A[c]', 'The weights have lost their sign. A channel may speak against the class.')

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
       'There is a softmax over the classes in it. Only without it does the mean of a map give the score.')

@e.wrong
def min_max(weight, A):
    "The maps are stretched to 0…1. That belongs to drawing; here the numbers have a meaning."
    m = cam(weight, A)
    low, high = m.amin((2, 3), True), m.amax((2, 3), True)
    return (m - low)/(high - low)
e.edit('A)', 'A)/A[0, 0].numel()', 'You divide by the number of places. That is what a place adds to the score; the '
                                   'CAM itself is not divided.')
e.edit("'kc,ncij->nkij'", "'kc,ncij->nk'", 'The places are added up too: the letters i and j are missing after the '
                                           'arrow. A map keeps them.')
e.edit("weight, A)", "weight.abs(), A)", 'The weights have lost their sign. A channel may speak against a class.')
e.edit("weight, A)", "weight/weight.norm(dim=1, keepdim=True), A)",
       'The weights are brought to length 1. Then the mean of a map is no score any more: take them as they are.')
e.edit("weight, A)", "weight.softmax(1), A)", 'There is a softmax over the weights. Take them as they are, with their '
                                              'signs.')
e.edit("torch.einsum('kc,ncij->nkij', weight, A)", '(weight[None, :, :, None, None]*A[:, None]).sum(1)',
       'You add up over the classes: with axes n, k, c, i, j the channels are axis 2.')

# 2.4 Back to the score

def identity(answer):
    net, x = tiny(), pictures(4)
    with torch.no_grad():
        m = cam(net[1][2].weight, net[0](x))
        return {"the network's own scores": answer(m, net[1][2].bias) - net(x)}

e = exercise('2.4', 'Back to the score',
    'Write `scores_from_cam(m, bias)`: the scores (N,K) that the network itself gives, from its class activation maps '
    '(N,K,h,w).',
    trials=(gives('Worked by hand: a map 1, 2, 3, 6 and the bias −1', torch.tensor([[[[1., 2.], [3., 6.]]]]),
                  torch.tensor([-1.]), want=[[2.]]),
            Trial('A small network', identity)),
    hints=('What does the network do between the maps and the linear layer?',
           'Averaging and weighting can change places; the bias comes last.',
           'The mean over the two axes of places, plus the bias.'),
    why='The check that tells a true CAM from a picture that merely looks like one.')

@e.reference
def scores_from_cam(m:Tensor, # class activation maps (N,K,h,w)
                    bias:Tensor # of the last Linear (K,)
                   )->Tensor: # (N,K)
    "The network's own scores, from its class activation maps."
    return m.mean((2, 3)) + bias

e.edit('mean', 'sum', 'You add up the places. The pooling takes their mean.')
e.edit('mean', 'amax', 'This is the highest place. The network takes the mean over all places.')
e.edit(' + bias', '', 'The bias is missing. It is the part of a score that no place is responsible for.')
e.edit('m.mean((2, 3)) + bias', '(m + bias[None, :, None, None]).sum((2, 3))',
       'The bias is added at every place. It comes once, after the mean.')
e.edit('m.mean', 'm.relu().mean', 'What speaks against a class is cut off before the mean. The score counts it too.')
e.edit('+ bias', '- bias', 'The bias is subtracted. A linear layer adds it.')
e.edit('+ bias', '+ bias/m[0, 0].numel()', 'The bias is divided by the number of places. It comes once, after the '
                                           'mean.')
e.edit('m.mean((2, 3)) + bias', '(m.mean((2, 3)) + bias).softmax(1)',
       'These are probabilities. The identity is about scores, before any softmax.')
e.edit('(2, 3)', '(0, 2, 3)', 'The pictures are averaged, too. Each has its own scores: (N,K).')
e.edit('m.mean((2, 3))', 'm.amax(3).mean(2)', 'The highest place of each row, averaged over the rows. The network '
                                              'takes the mean over all places.')
e.edit('m.mean((2, 3)) + bias', '(m.mean((2, 3)) + bias).sigmoid()',
       'There is a sigmoid in it: these are probabilities. The identity is about scores.')
e.edit('m.mean((2, 3))', 'm.flatten(2).median(2).values',
       'This is the median of the places. The pooling takes their mean.')

# 2.5 Which head has a CAM?

def pool(): return nn.AdaptiveAvgPool2d(1)
def headed(*layers): return seeded(nn.Sequential(*layers))

class Twice(nn.Module):
    def forward(self, x): return 2*x

def whole(linear):
    "The same Linear with whole numbers as weights."
    with torch.no_grad():
        for p in linear.parameters(): p.copy_((3*p).round())
    return linear

def heads():
    "What it is, the head, and the activations that it reads: (3,5,6,7), or (3,5,1,1)."
    flat, K = nn.Flatten(), 4
    yield 'pooling and one Linear', headed(pool(), flat, nn.Linear(5, K)), A_
    yield 'the same without a bias', headed(pool(), flat, nn.Linear(5, K, bias=False)), A_
    yield 'with a dropout, which does nothing in eval mode', headed(pool(), flat, nn.Dropout(), nn.Linear(5, K)), A_
    yield 'activations that all speak for every class', all_for(headed(pool(), flat, nn.Linear(5, K))), A_.abs()
    yield 'whole numbers', whole(headed(pool(), flat, nn.Linear(5, K))), A_[..., :1, :1].round().expand(-1, -1, 6, 7)
    yield 'the highest place in place of the mean', headed(nn.AdaptiveMaxPool2d(1), flat, nn.Linear(5, K)), A_
    yield 'a hidden layer of five units', headed(pool(), flat, nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, K)), A_
    yield 'a hidden layer of nine units', headed(pool(), flat, nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, K)), A_
    yield 'a norm between pooling and Linear', headed(pool(), flat, nn.LayerNorm(5), nn.Linear(5, K)), A_
    yield 'twice the mean', headed(pool(), flat, Twice(), nn.Linear(5, K, bias=False)), A_
    yield 'no pooling', headed(flat, nn.Linear(5*6*7, K)), A_
    yield 'no pooling, but a single place', headed(flat, nn.Linear(5, K)), A_[..., :1, :1]

def all_for(head):
    with torch.no_grad(): head[-1].weight.abs_()
    return head

def of_heads(answer): return {name: answer(head, A) for name, head, A in heads()}

e = exercise('2.5', 'Which head has a CAM?', hard=True, task=
    'Write `has_cam(head, A)`: does the head have an exact CAM? `head` is an `nn.Sequential` in eval mode whose last '
    'layer is an `nn.Linear`; `A` are the activations it reads. Prove it by the identity: the CAM of its last weight, '
    'averaged, plus the bias, must be what the head gives. Return True or False.',
    trials=(Trial('Twelve heads', of_heads),),
    hints=('What can go wrong before any number is compared? The weight may not fit the channels.',
           'Compute the scores twice: with `head(A)`, and as mean of the class map plus the bias, if there is one.',
           '`torch.allclose` compares numbers; `head[-1]` has `in_features`, `weight` and `bias`.'),
    why='A weight of the right shape makes a picture. Only the identity makes it the CAM of the network. No list of '
        'layer names can replace it.')

@e.reference
def has_cam(head:nn.Sequential, # ends in an nn.Linear; in eval mode
            A:Tensor # activations that it reads (N,C,h,w)
           )->bool:
    "Does the mean of the class maps, plus the bias, give what the head gives?"
    linear = head[-1]
    if linear.in_features != A.shape[1]: return False
    scores = torch.einsum('kc,ncij->nkij', linear.weight, A).mean((2, 3))
    if linear.bias is not None: scores = scores + linear.bias
    return torch.allclose(scores, head(A), atol=1e-4)

e.edit('return torch.allclose(scores, head(A), atol=1e-4)', 'return True',
       'Shapes that fit prove nothing: the highest places are (N,C) too, and so is a hidden layer of C units. Compare '
       'the scores.')
e.edit('    if linear.bias is not None: scores = scores + linear.bias\n', '',
       'The bias is left out, so a head that has one never passes. Add it after the mean.')
e.edit('if linear.bias is not None: scores = scores + linear.bias', 'scores = scores + linear.bias',
       'A Linear may have no bias; then `linear.bias` is None.')
e.edit('    if linear.in_features != A.shape[1]: return False\n', '',
       'A weight that does not fit the channels makes the einsum fail. Such a head has no CAM: look at the shapes '
       'first.')
e.wrong(lambda head, A: any(isinstance(m, nn.AdaptiveAvgPool2d) for m in head),
        'You look for a pooling layer by name. A hidden layer or a norm behind it ends the CAM as well: compare '
        'numbers.')
e.wrong(lambda head, A: sum(isinstance(m, nn.Linear) for m in head) == 1,
        'You count the Linear layers. One Linear behind another pooling, or behind none, has no CAM either: compare '
        'numbers.')
e.wrong(lambda head, A: isinstance(head[0], nn.AdaptiveAvgPool2d) and sum(isinstance(m, nn.Linear) for m in head) == 1,
        'You go by the types of the layers. A norm between pooling and Linear passes, and a head that pools in another '
        'way does not. Compare the numbers.')
e.edit('.mean((2, 3))', '.sum((2, 3))', 'You add up the places. The pooling takes their mean.')
e.edit('head(A), atol=1e-4)', 'head(A).softmax(1), atol=1e-4)',
       'You compare with probabilities. The identity is about scores.')
e.edit('return torch.allclose(scores, head(A), atol=1e-4)',
       "return bool((scores.argmax(1) == head(A).argmax(1)).all())",
       'You compare the top classes only. They can agree by chance: all scores must agree.')
e.edit("torch.einsum('kc,ncij->nkij', linear.weight, A)", "torch.einsum('kc,ncij->nkij', linear.weight, A).relu()",
       'The class maps are cut at 0 before the mean. What speaks against a class counts in its score.')
e.edit('torch.allclose(scores, head(A), atol=1e-4)', '(scores == head(A)).all().item()',
       'You ask for numbers that are equal to the last digit. Sums in another order differ a little: `torch.allclose`.')
e.edit('return torch.allclose(scores, head(A), atol=1e-4)', 'return not torch.allclose(scores, head(A), atol=1e-4)',
       'The answer is turned round: True where the numbers agree.')
e.wrong(lambda head, A: len(head) == 3,
        'You count the layers. A dropout between changes nothing, and three layers can pool in another way: compare '
        'numbers.')

@e.wrong
def complains(head, A):
    "It raises where there is no CAM. A yes-or-no question has two answers: return False."
    if not has_cam(head, A): raise ValueError('no CAM')
    return True
e.wrong(lambda head, A: True, 'It says True of every head. Compute the scores in both ways, and compare.')

# 2.6 Cat rather than dog

B_ = torch.tensor([.5, -1., 2., .25])

e = exercise('2.6', 'Cat rather than dog', task=
    'Write `rather(weight, bias, A, a, b)`: a pair. First the map `a − b`, (N,h,w): the class map of `a` less that of '
    '`b`. Then the score (N,) that it explains, from this map: its mean, and what no place is responsible for.',
    trials=(gives('Worked by hand: class 0 rather than 1', W, torch.tensor([1., 3., 0.]), A, 0, 1),
            gives('Random weights and maps', W_, B_, A_, 2, 0)),
    hints=('Both maps are sums over the same channels. What is the difference of two such sums?',
           'Subtract the two rows of the weight first, or the two maps afterwards: it is the same.',
           'The score: mean over the two axes of places, plus the difference of the two biases.'),
    why='The mean of cat − dog is score(cat) − score(dog): "why this rather than that" has an exact map as well, and '
        'what speaks for both drops out.')

@e.reference
def rather(weight:Tensor, # the last Linear's weight (K,C)
           bias:Tensor, # and its bias (K,)
           A:Tensor, # activations that are pooled for it (N,C,h,w)
           a:int, b:int # two classes
          )->tuple: # the map a - b (N,h,w), and the score it explains (N,)
    "What speaks for `a` rather than `b` at each place, and the difference of the two scores."
    m = torch.einsum('c,ncij->nij', weight[a] - weight[b], A)
    return m, m.mean((1, 2)) + bias[a] - bias[b]

e.edit(' + bias[a] - bias[b]', '', 'The biases are missing. Two classes have two biases, and their difference is in '
                                   'the difference of the scores.')
e.edit(' - bias[b]', '', 'Only one bias is in it. Each of the two scores has its own.')
e.edit('bias[a] - bias[b]', 'bias[a] + bias[b]', 'The biases are added. The second score is subtracted, its bias with '
                                                 'it.')
e.edit('weight[a] - weight[b]', 'weight[b] - weight[a]', 'bias[a] - bias[b]', 'bias[b] - bias[a]',
       'This is `b` rather than `a`.')
e.edit("m = torch.einsum('c,ncij->nij', weight[a] - weight[b], A)",
       "m = torch.einsum('c,ncij->nij', weight[a], A).relu() - torch.einsum('c,ncij->nij', weight[b], A).relu()",
       'Each map is cut at 0 before they are subtracted. Then the mean is no score any more: subtract first.')
e.edit("weight[a] - weight[b], A)", "weight[a] - weight[b], A).relu()",
       'The map is cut at 0. Then its mean is no score any more: keep what speaks for `b`.')
e.edit("weight[a] - weight[b], A)", "weight[a] - weight[b], A).abs()",
       'Without the sign it is the same map for `b` rather than `a`.')
e.edit('m.mean((1, 2))', 'm.sum((1, 2))', 'You add up the places. The pooling takes their mean.')
e.edit('m.mean((1, 2))', 'm.mean()', 'This is one number for the whole batch. Each picture has its own score: mean '
                                     'over the two axes of places.')
e.edit('weight[a] - weight[b]', 'weight[a]', 'Class `b` is missing from the map: subtract its weights too.')
e.edit('weight[a] - weight[b]', 'weight[:, a] - weight[:, b]',
       '`weight[:, a]` is a column, which belongs to a channel. A class is a row: `weight[a]`.')
e.edit('return m, m.mean((1, 2)) + bias[a] - bias[b]', 'return m.mean((1, 2)) + bias[a] - bias[b], m',
       'The two are in the wrong order: the map comes first, the score second.')
e.edit('return m, m.mean((1, 2)) + bias[a] - bias[b]', 'return m',
       'Only the map is returned. A pair is wanted: map and score.')

@e.wrong
def of_probabilities(weight, bias, A, a, b):
    """The second is a difference of probabilities. The mean of the map is a difference of scores: leave the softmax
    out."""
    m = torch.einsum('kc,ncij->nkij', weight, A)
    p = (m.mean((2, 3)) + bias).softmax(1)
    return m[:, a] - m[:, b], p[:, a] - p[:, b]
e.edit('m.mean((1, 2))', 'm.amax((1, 2))', 'This is the highest place. The pooling takes the mean over all places.')
e.edit('m.mean((1, 2)) + bias[a] - bias[b]', 'A.mean((2, 3)) @ weight[a] + bias[a]',
       'This is the score of `a` alone. The map is `a − b`, and so is the score that it explains.')
e.edit('m.mean((1, 2)) + bias[a] - bias[b]', 'A.mean((2, 3)) @ weight[a]',
       'This is the score of `a` alone, and without its bias. The map is `a − b`, and so is the score that it '
       'explains.')
e.edit('return m,', 'm = m + bias[a] - bias[b]\n    return m,', 'm.mean((1, 2)) + bias[a] - bias[b]', 'm.mean((1, 2))',
       'The biases are added at every place. No place is responsible for them: they come once, after the mean.')

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
    why='With exact masks "it looks at the cat" becomes a number, to be read beside those of maps that know nothing.')

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
e.edit('m = m.clamp(min=0)', 'm = m - m.amin((1, 2), keepdim=True)',
       'You subtract the lowest value, so a place that speaks against the class counts a little, too. Cut at 0 '
       'instead.')
e.edit('/total.where(total > 0, 1)', '', 'This is the sum inside. Divide by that of the whole map: energy is a share.')
e.edit('m.clamp(min=0)', 'm.clamp(min=0)**2', 'The values are squared, so a strong place counts more than it should. '
                                              'Add them up as they are.')
e.edit('m.sum((1, 2))', '(m*~mask).sum((1, 2))', 'You divide by what lies *outside*. A share is of the whole: inside '
                                                 'and outside together.')

# 2.8 The right animal of two

OTHER = torch.tensor([[[0, 0], [1, 1]], [[0, 1], [0, 1]]]).bool()
OTHER_ = (rand(3, 8, 9, seed=6) > .2) & ~INSIDE_

e = exercise('2.8', 'The right animal of two', task=
    'Write `own_share(m, own, other)`: of the positive part of each map (N,H,W) that lies on either animal, the share '
    'on `own`, the mask of the one that was asked for. Where nothing lies on either it is ½.',
    library='camtutor.cam',
    trials=(gives('Worked by hand: 4 against 0, then 1 against 2', M, INSIDE, OTHER, want=[1., 1/3]),
            gives('Random maps and masks', M_, INSIDE_, OTHER_),
            gives('Nothing on either animal', ZERO, INSIDE[:1], OTHER[:1], want=[.5])),
    hints=('Three numbers for each map: on `own`, on `other`, and both together.',
           'What lies on neither animal does not count at all.',
           'One sum over the other, and `torch.where` for the case in which both are 0.'),
    why='A map that does not depend on the class gets one half on average, whatever it draws. Edges and blobs cannot '
        'win here.')

@e.reference
def own_share(m:Tensor, # maps (N,H,W)
              own:Tensor, # the animal that was asked for (N,H,W) bool
              other:Tensor # the other one (N,H,W) bool
             )->Tensor: # (N,), 0 to 1
    "Of each map's positive part that lies on either animal, the share on `own`; a half where nothing does."
    m = m.clamp(min=0)
    a, b = (m*own).sum((1, 2)), (m*other).sum((1, 2))
    return torch.where(a + b > 0, a/(a + b).where(a + b > 0, 1), .5)

e.edit('    m = m.clamp(min=0)\n', '', 'Negative values count against it. Cut them off first.')
e.edit('m.clamp(min=0)', 'm.abs()', 'You take absolute values, so that evidence against counts as evidence for.')
e.edit('torch.where(a + b > 0, a/(a + b).where(a + b > 0, 1), .5)', 'a/(a + b)',
       'Where nothing lies on either animal you divide 0 by 0, which gives nan. It should be ½: such a map does not '
       'tell.')
e.edit(', .5)', ', 0.)', 'Where nothing lies on either animal you give 0, as if the map were wrong. It does not tell: '
                         '½.')
e.edit('torch.where(a + b > 0, a/(a + b).where(a + b > 0, 1), .5)', 'a/m.sum((1, 2)).clamp(min=1e-9)',
       'You divide by all that is positive in the map: that is energy. What lies on neither animal does not count '
       'here.')
e.edit('a/(a + b)', 'b/(a + b)', 'This is the share of the *other* animal.')
e.edit('torch.where(a + b > 0, a/(a + b).where(a + b > 0, 1), .5)', '(a > b).float()',
       'This says which animal has more, yes or no. The share is wanted.')
e.edit('torch.where(a + b > 0, a/(a + b).where(a + b > 0, 1), .5)', '(a - b)/(a + b).where(a + b > 0, 1)',
       'You subtract before you divide, so it runs from −1 to 1. The share on `own` is wanted.')
e.edit('m.clamp(min=0)', '(m > 0).float()', 'You count places. A strong place weighs more than a weak one: add up the '
                                            'values.')
e.wrong(lambda m, own, other: own_share(m.sum(0, keepdim=True), own[:1], other[:1]),
        'This is one figure for the whole batch. Each map has its own masks: sum over the two axes of places.')

@e.wrong
def means(m, own, other):
    """You compare mean values inside the masks. Then a small animal counts as much as a large one, and the share is not
    one of the map: add up, do not average."""
    m = m.clamp(min=0)
    a, b = (m*own).sum((1, 2))/own.sum((1, 2)), (m*other).sum((1, 2))/other.sum((1, 2))
    return torch.where(a + b > 0, a/(a + b).where(a + b > 0, 1), .5)
e.edit('m.clamp(min=0)', 'torch.ones_like(m)', 'The map has no part in it: this compares the areas of the two animals.')
e.edit(', .5)', ', 1.)', 'Where nothing lies on either animal you give 1, as if the map were right. It does not tell: '
                         '½.')
e.edit('(m*other)', '(m*~own)', 'You compare with all that is not `own`. Only what lies on `other` counts against it.')
e.edit('torch.where(a + b > 0, a/(a + b).where(a + b > 0, 1), .5)', 'torch.stack([a, b], 1).softmax(1)[:, 0]',
       'A softmax is no share: it takes exponentials first. Divide by the sum of the two.')
e.edit('a, b = (m*own).sum((1, 2)), (m*other).sum((1, 2))', 'a, b = (m*own).amax((1, 2)), (m*other).amax((1, 2))',
       'You compare the highest places only. All that lies on the animals counts: add it up.')

@e.wrong
def of_energies(m, own, other):
    "A softmax of the two energies is no share: it takes exponentials first. Divide by the sum of the two."
    a, b = energy(m, own), energy(m, other)
    return torch.stack([a, b], 1).softmax(1)[:, 0]

# 2.9 Is the peak inside?

PEAKS = torch.tensor([[[0., 3.], [-9., 1.]], [[2., 0.], [5., 0.]], [[-1., -2.], [-3., -4.]], [[0., 0.], [0., 0.]],
                      [[0., 3.], [-1., -1.]]])
PLACES = torch.tensor([[[0, 1], [0, 0]], [[1, 1], [0, 0]], [[1, 0], [0, 0]], [[1, 1], [0, 0]],
                       [[1, 0], [1, 0]]]).bool()

e = exercise('2.9', 'Is the peak inside?',
    'Write `peak_inside(m, mask)`: for each map (N,H,W), is its highest place inside its mask? A bool each; False for '
    'a map without positive values.',
    library='camtutor.cam',
    trials=(gives('Worked by hand: inside, outside, no peak twice, outside', PEAKS, PLACES,
                  want=torch.tensor([True, False, False, False, False])),
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
e.wrong(lambda m, mask: (m*mask).amax((1, 2)) == m.amax((1, 2)),
        'An all-black map passes: its highest value inside is 0, as it is outside. Such a map has no peak; test that '
        'the value is above 0.')
e.edit('mask.flatten(1)[torch.arange(len(m)), where] & (top > 0)',
       '~mask.flatten(1)[torch.arange(len(m)), where] & (top > 0)',
       'This is True where the peak lies *outside*.')
e.wrong(lambda m, mask: (m.flatten(1).max(1).values > 0),
        'This asks only whether there is a peak at all. Look its place up in the mask.')
e.wrong(lambda m, mask: m.flatten(1).argmax(1), 'This says *where* the peak is. The question is whether the mask '
                                                'holds it: look the place up.')
e.edit('m.flatten(1).max(1)', 'm.amax((1, 2)), m.argmax(1)',
       'mask.flatten(1)[torch.arange(len(m)), where] & (top > 0)', 'mask[where]',
       '`m.argmax(1)` has a place for each *column*, and indexing the mask by it picks whole pictures. Lay each map '
       'out in a row first: `flatten(1)`.')

# 2.10 The baseline

e = exercise('2.10', 'The baseline',
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
e.edit('mask.float()', '(~mask).float()', 'This is the share *outside*.')
e.edit('mask.float().mean((1, 2))', 'energy(mask.float(), mask)',
       'This is the energy of the mask itself. The map is the same everywhere, not only inside.')
e.edit('mask.float().mean((1, 2))', 'energy(torch.zeros(mask.shape), mask)',
       'A map of zeros has no positive part, so its energy is 0. Take one of ones.')
e.edit('mask.float().mean((1, 2))', 'mask.any(2).float().mean(1)',
       'You count the rows that the mask touches. Count places.')
e.edit('mask.float().mean((1, 2))', 'mask.any(1).float().mean(1)',
       'You count the columns that the mask touches. Count places.')

# 2.11 A head that CAM can read

def a_body():
    "A body with a batch norm, in training mode, whose maps are (N,5,6,4)."
    return seeded(nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(), nn.MaxPool2d(2))).train()

def learnable(m): return sum(p.requires_grad for p in m.parameters())

def surgery(answer):
    body, x = a_body(), rand(2, 3, 12, 8)
    before = [t.clone() for t in body.state_dict().values()]
    net = answer(body, 4, x)
    mine = {'parts of the network': len(net), 'Linear layers': sum(isinstance(m, nn.Linear) for m in net.modules()),
            'parameters of the body that can learn': learnable(net[0]),
            'parameters of the head that can learn': learnable(net[1])}
    yours = {'your own body can learn as before': learnable(body) == 4,
        'your own body is in training as before': body.training,
             'the averages of its batch norm are as before': all(map(torch.equal, before, body.state_dict().values())),
             'the averages of the copy are those of your body': all(map(torch.equal, before,
                                                                        net[0].state_dict().values()))}
    read = []
    linear = [m for m in net.modules() if isinstance(m, nn.Linear)][0]
    linear.register_forward_hook(lambda m, args, out: read.append(args[0]))
    with eval_mode(net), torch.no_grad():
        out, A = net(x), net[0](x)
    same = read[0].shape == (2, 5) and torch.allclose(read[0], A.mean((2, 3)), atol=1e-5)
    mine |= {'the shape of the scores': tuple(out.shape), 'the Linear reads the mean over places': bool(same),
             'the scores are what the Linear gives': torch.allclose(out, linear(read[0]), atol=1e-5)}
    return mine | yours

YOURS = {'your own body can learn': 'Freeze a copy: `deepcopy(body)`. The caller may want to train the body again.',
         'your own body is in training': '`eval_mode(body)` gives each module its own mode back.',
         'the averages of its': 'In training mode a run moves them. Try the body in `eval_mode(body)`.'}

e = exercise('2.11', 'A head that CAM can read', task=
    'Write `gap_head(body, n_classes, x)`: `nn.Sequential` of a frozen *copy* of the body, and a head of global '
    'average pooling and one new `nn.Linear`. `x` is a batch to try the body with: how many channels come out? The '
    "caller's body stays as it is.",
    library='camtutor.cam', changes=('random numbers',),
    trials=(Trial('A small body with a batch norm, in training mode; four classes', surgery, says=YOURS),),
    hints=('Run the body once in `eval_mode` and without gradients, and look at the shape.',
           '`nn.AdaptiveAvgPool2d(1)` leaves (N,C,1,1); a Linear wants (N,C).',
           'Copy, freeze the copy, then two parts: the copy, and an `nn.Sequential` of pool, flatten, linear.'),
    why='This is what the original CAM paper did to VGG, which has no pooling of this kind.')

@e.reference
def gap_head(body:nn.Module, # ends in maps (N,C,h,w); it is copied, not changed
             n_classes:int, # K
             x:Tensor # a batch it accepts
            )->nn.Sequential: # (body, head)
    "A frozen copy of `body`, then a head that CAM can read: global average pooling and a new Linear (C,K)."
    with eval_mode(body), torch.no_grad(): C = body(x).shape[1]
    frozen = deepcopy(body).requires_grad_(False)
    return nn.Sequential(frozen, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(C, n_classes)))

e.edit('.requires_grad_(False)', '',
       'The body can still learn. Set `requires_grad` of its parameters to False: only the new layer is to be trained.')
e.edit('deepcopy(body)', 'body',
       "You freeze the caller's own body. Whoever trains it further would wonder why nothing is learned: freeze a "
       'copy.')
e.edit('with eval_mode(body), torch.no_grad()', 'with torch.no_grad()',
       'Your trial run moves the averages of the batch norm, since the body is in training mode. Run it in '
       '`eval_mode(body)`.')
e.edit('with eval_mode(body), torch.no_grad()', 'body.eval()\n    with torch.no_grad()',
       'The body is left in evaluation mode. `eval_mode(body)` gives each module its own mode back.')
e.edit('AdaptiveAvgPool2d', 'AdaptiveMaxPool2d',
       'This pools the *highest* place. CAM is exact for the mean only, since only a mean may change places with the '
       'weights.')
e.edit('nn.AdaptiveAvgPool2d(1), ', '', 'nn.Linear(C,', 'nn.Linear(body(x)[0].numel(),',
       'The Linear reads every place separately: without pooling there is no weight for a channel. Pool first.')
e.edit('n_classes)))', 'n_classes))).requires_grad_(False)',
       'The new Linear is frozen as well. It is the one that must learn.')
e.edit('nn.Flatten(), ', '', 'The pooling leaves (N,C,1,1), and a Linear reads the last axis. `nn.Flatten()` makes '
                             '(N,C) of it.')
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

@e.wrong
def probabilities(body, n_classes, x):
    "There is a softmax at the end. Training wants scores, and so does CAM: leave it out."
    net = gap_head(body, n_classes, x)
    net[1].append(nn.Softmax(1))
    return net

@e.wrong
def convolutions_only(body, n_classes, x):
    'The batch norm of the body can still learn: only some kinds of layers are frozen. `body.requires_grad_(False)` '
    'is for all.'
    net = gap_head(body, n_classes, x)
    for m in net[0].modules():
        if isinstance(m, nn.BatchNorm2d): m.requires_grad_(True)
    return net
@e.wrong
def copy_moved(body, n_classes, x):
    "Your trial run moves the averages of the copy's batch norm, since it is in training mode. Run it in `eval_mode`."
    net = gap_head(body, n_classes, x)
    with torch.no_grad(): net[0].train()(x)
    return net

# 2.12 Which layer

e = exercise('2.12', 'Which layer', 'Plain CAM uses the activations of …',
    reference='the layer which global average pooling reads',
    kind='choice')
e.wrong('the last Linear layer, since its weights belong to the classes',
        'It gives one number for each class: there are no places left. CAM uses its *weights*.')
e.wrong('the first convolution, which is the sharpest',
        'It is sharp, but it sees edges and colours, and no linear weights connect it with a class.')
e.wrong('any layer you like',
        "Only one: the classifier's weights belong to the channels that are pooled for it. Grad-CAM lifts that limit.")
