"Chapter 08: ask by covering."
import torch
from torch import Tensor, nn

from camtutor.engine.covers import RandomMasks
from camtutor.exercises.common import gives, hooks_left, keeps, pictures, rand, tiny
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise
from camtutor.hooks import Hook
from camtutor.show import upsample

def asked(*args, k=5, seed=0):
    "A trial on a small network and two pictures: what comes out, and whether the pictures stayed as they were."
    def run(answer):
        net, x = tiny(k=k, seed=seed), pictures(2)
        before = x.clone()
        m = answer(net, x, *args)
        return {'the maps': m.detach() if isinstance(m, Tensor) else m,
                'the pictures are as before': torch.equal(x, before),
                'hooks left': hooks_left(net)}
    return run

# 8.1 One cover at a time

e = exercise('8.1', 'One cover at a time',
    'A score is `max(left, right)`; both are 4, and cover is 0. Occlusion covers the left alone, the right alone, and '
    'both. Give the three falls as a tuple.',
    reference=(0, 0, 4),
    kind='value',
    hints=('What is the maximum of 0 and 4?', 'One of them is enough for the score.',
           'Only the third cover hides both.'),
    why='Evidence that is there twice is invisible to one cover. Every method of this chapter has this failure in '
        'some form.')
e.wrong((4, 4, 4), 'The other place is still there, and it is enough: the score stays 4.')
e.wrong((2, 2, 4), 'That would be a fair share of each. A maximum gives no shares: it stays 4 until both are gone.')
e.wrong((4, 4, 8), 'That is a sum of both. The score is their maximum.')

# 8.2 Occlusion

def linear(answer):
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 8, 2)).eval(), rand(2, 3, 6, 8)
    with torch.no_grad():
        for i, p in enumerate(net.parameters()): p.copy_(rand(*p.shape, seed=i + 3))
    return answer(net, x, target=1, size=2, stride=2)

def slid(**how):
    def run(answer):
        x = pictures(2)
        return {'the maps': answer(tiny(k=5), x, **how), 'the pictures are as before': torch.equal(x, pictures(2))}
    return run

e = exercise('8.2', 'A sliding square',
    'Write `occlusion(model, x, target, size, stride)`: cover each `size`×`size` square with 0, `stride` apart, as '
    'long as '
    'it fits. A pixel gets the mean fall of the score over the squares that cover it. One map for each picture.',
    library='camtutor.perturbation',
    trials=(Trial('A linear score', linear), Trial('A small network, squares that overlap',
                                                   slid(target=1, size=4, stride=2)),
            Trial('Another class', slid(target=3, size=6, stride=2))),
    hints=('Two loops over corners; two running sums, of falls and of how often a pixel was covered.',
           'Clone the pictures before you cover them.',
           'The fall is the whole score minus the covered one, a number for each picture.'),
    why='No gradient, no layer: any program that gives a score can be asked like this.')

@e.reference
def occlusion(model:nn.Module, # a network
              x:Tensor,        # pictures (N,3,H,W)
              target:int,      # the class
              size:int,        # of the square
              stride:int       # from one square to the next
             )->Tensor:        # (N,H,W)
    "How far the score falls when a square covers a pixel, the mean over the squares that cover it."
    H, W = x.shape[2:]
    total, count = torch.zeros(len(x), H, W), torch.zeros(H, W)
    with torch.no_grad():
        whole = model(x)[:, target]
        for i in range(0, H - size + 1, stride):
            for j in range(0, W - size + 1, stride):
                hidden = x.clone()
                hidden[:, :, i:i + size, j:j + size] = 0
                total[:, i:i + size, j:j + size] += (whole - model(hidden)[:, target])[:, None, None]
                count[i:i + size, j:j + size] += 1
    return total / count.clamp(min=1)

e.edit('whole - model(hidden)[:, target]', 'model(hidden)[:, target] - whole',
       'The sign is turned round: a place that matters makes the score *fall*. Take the whole score minus the covered '
       'one.')
e.edit('(whole - model(hidden)[:, target])', '(model(hidden)[:, target])',
       'You keep the covered score itself. It is low where it matters: subtract it from the whole score.')
e.edit(' / count.clamp(min=1)', '',
       'You sum over squares, so pixels in the middle get more for being covered more often. Take the mean.')
e.edit('x.clone()', 'x', "The caller's pictures are covered, and stay so from one square to the next. Work on a clone.")
e.edit('H - size + 1', 'H - size',
       'The last row of squares is missing: it starts at H − size, which `range` leaves out.')
e.edit('model(x)[:, target]', 'model(x).softmax(1)[:, target]', 'model(hidden)[:, target]',
       'model(hidden).softmax(1)[:, target]',
       'You ask for the probability. It hardly moves where the network is sure; here it is the score.')

# 8.3 Ablation

e = exercise('8.3', 'Without a channel',
    'Write `ablation_cam(model, x, layer, target)`: for each channel of `layer` (a name) set it to 0 in a forward '
    'hook and run '
    'again. The fall of the score is its weight. Weighted sum of the activations, negatives cut. Leave no hook.',
    library='camtutor.perturbation',
    trials=(Trial('Behind pooling and a Linear', asked('0', 1)), Trial('An inner layer', asked('0.0', 2)),
            Trial('A class that the network says no to', asked('0', 4))),
    hints=('A forward hook may return what replaces its output.',
           'Return a clone with channel k set to 0, and take the hook off in a `finally`.',
           'Weights (N,C); then `nc,nchw->nhw`, and a ReLU.'),
    why='A fall is what the channel brings, all of it; a gradient is what a little more of it would bring.')

@e.reference
def ablation_cam(model:nn.Module, # a network
                 x:Tensor,        # pictures (N,3,H,W)
                 layer:str,       # the name of a layer that gives (N,C,h,w)
                 target:int       # the class
                )->Tensor:        # (N,h,w)
    "Channels weighted by how far the score falls without them, summed, negatives cut."
    module = model.get_submodule(layer)
    with torch.no_grad(), Hook(module) as seen: whole = model(x)[:, target]
    A, falls = seen.stored, []
    for k in range(A.shape[1]):
        gone = A.clone()
        gone[:, k] = 0
        handle = module.register_forward_hook(lambda m, args, out: gone)
        try:
            with torch.no_grad(): falls.append(whole - model(x)[:, target])
        finally: handle.remove()
    return torch.einsum('nc,nchw->nhw', torch.stack(falls, 1), A).relu()

e.edit('torch.stack(falls, 1)', 'torch.stack(falls, 1) / whole[:, None]',
       'You divide by the score, as the paper does. Where the network says no, it is below 0, and every weight is '
       'turned '
       'round. Leave the fall as it is.')
e.edit('        finally: handle.remove()', '        finally: pass',
       'The hooks stay, so the caller\'s network goes on without what you took away. Remove each hook after its pass.')
e.edit('whole - model(x)[:, target]', 'model(x)[:, target] - whole',
       'The sign is turned round: a channel that speaks for the class makes the score fall when it goes.')
e.edit('gone = A.clone()', 'gone = A',
       'You write zeros into the activations themselves: the channels stay gone for the next pass, and the map is '
       'black. '
       'Clone them.')
e.edit('gone[:, k] = 0', 'gone = torch.zeros_like(A); gone[:, k] = A[:, k]',
       'You keep channel k alone and take all others away. It is the other way round.')
e.edit('gone[:, k] = 0', 'gone[k:k + 1] = 0', 'You set a picture to 0. Channels are axis 1.')
e.edit('.relu()', '', 'The ReLU is missing: what speaks against the class is cut at the end.')

# 8.4 Without running anything

e = exercise('8.4', 'Without running anything',
    'The layer is what pooling reads, and one Linear with `weight` (K,C) follows. Write `falls(A, weight, k)`: how '
    'far the '
    'score of class k falls without each channel of A (N,C,h,w), as (N,C), without a network.',
    trials=(gives('By hand: weights 2 and −1', torch.tensor([[[[1., 3.]], [[4., 0.]]]]),
                  torch.tensor([[0., 0.], [2., -1.]]), 1,
                  want=[[4., -2.]]),
            gives('Random, not square', rand(3, 5, 6, 7).abs(), rand(4, 5, seed=1), 2),
            keeps(rand(3, 5, 6, 7).abs(), rand(4, 5, seed=1), 2)),
    hints=('Write the score as a sum over channels.', 'Each term is weight times mean.', 'One term goes.'),
    why='Exact, for all channels and classes at once: one pass instead of C + 1. It also shows that Ablation-CAM '
        'is not CAM.')

@e.reference
def falls(A:Tensor,      # activations that pooling reads (N,C,h,w)
          weight:Tensor, # of the Linear (K,C)
          k:int          # the class
         )->Tensor:      # (N,C)
    "How far the score of class k falls without each channel."
    return weight[k] * A.mean((2, 3))

e.edit('A.mean', 'A.sum', 'You take the sum over places. Pooling takes the mean.')
e.edit('weight[k] * A.mean((2, 3))', 'weight[k].expand(A.shape[:2])',
       'That is the weight of CAM. A channel takes its weight *times its mean* with it.')
e.edit('A.mean((2, 3))', 'A.amax((2, 3))', 'You take the largest activation. The head reads the mean.')
e.edit('weight[k]', 'weight[:, k]', 'You take a column of the weight. Classes are its rows: `weight[k]`.')
e.edit('weight[k] *', '-weight[k] *', 'The sign is turned round: the fall is the whole score minus the one without.')

e.wrong(lambda A, weight, k: weight[k][:, None, None]*A,
        'You keep the places. The head reads the mean over them: one number for each channel, (N,C).')

# 8.5 Score-CAM

e = exercise('8.5', 'Only this channel',
    'Write `score_cam(model, x, layer, target)`: enlarge each channel with `upsample`, stretch it from 0 to 1 (a '
    'constant one: '
    'zeros), multiply the picture with it, take the score. Softmax over the channels; weighted sum of the '
    'activations, ReLU.',
    library='camtutor.perturbation',
    trials=(Trial('A small network', asked('0', 1)), Trial('An inner layer, with negative activations',
                                                           asked('0.0', 2)),
            Trial('Another network', asked('0', 0, seed=3))),
    hints=('One pass for the activations, one for each channel.',
           'The lowest and the highest are those of *each* picture\'s mask.',
           'Scores (N,C), `softmax(1)`, then the usual einsum.'),
    why='Channels are taken at their word: what does the network say if it sees only this?')

@e.reference
def score_cam(model:nn.Module, # a network
              x:Tensor,        # pictures (N,3,H,W)
              layer:str,       # the name of a layer that gives (N,C,h,w)
              target:int       # the class
             )->Tensor:        # (N,h,w)
    "Channels weighted by the score of the picture that shows only them."
    with torch.no_grad(), Hook(model.get_submodule(layer)) as seen: model(x)
    A, scores = seen.stored, []
    for k in range(A.shape[1]):
        mask = upsample(A[:, k], x.shape[2:])
        low, high = mask.amin((1, 2), True), mask.amax((1, 2), True)
        mask = torch.where(high > low, (mask - low) / (high - low), 0)
        with torch.no_grad(): scores.append(model(x * mask[:, None])[:, target])
    w = torch.stack(scores, 1).softmax(1)
    return torch.einsum('nc,nchw->nhw', w, A).relu()

e.edit('        mask = torch.where(high > low, (mask - low) / (high - low), 0)\n', '',
       'The raw activation is the mask. It must be stretched from 0 to 1, or a strong channel makes the picture '
       'brighter.')
e.edit('(mask - low) / (high - low)', 'mask / (high - low)',
       'You divide by the range and do not take the lowest off first, so the mask does not begin at 0.')
e.edit('.softmax(1)', '.softmax(0)', 'The softmax runs over the pictures. It belongs to the channels, axis 1.')
e.edit('.softmax(1)', '',
       'There is no softmax, so a score below 0 becomes a weight below 0. Put one over the channels.')
e.edit('[:, target])', '.softmax(1)[:, target])',
       'You take the softmax over *classes*, a probability. With it no channel can weigh more than e times another; '
       'the softmax '
       'belongs over the channels.')
e.edit('mask.amin((1, 2), True), mask.amax((1, 2), True)', 'mask.amin(), mask.amax()',
       'Lowest and highest are those of the whole batch. Each picture\'s mask is stretched by itself.')
e.edit('torch.where(high > low, (mask - low) / (high - low), 0)', '(mask - low) / (high - low)',
       'A channel that is the same everywhere divides 0 by 0, and the whole map becomes NaN. Such a channel has a '
       'mask of zeros.')

# 8.6 RISE

def drawn(n, cells, seed): return RandomMasks.drawn(n, cells, .5, (9, 12), torch.zeros(1), seed)

ALL_FOUR = RandomMasks(torch.tensor([[[True]], [[False]]]), torch.zeros(2, 2, dtype=torch.long), (2, 3), torch.zeros(1))

def of_masks(n, cells, p, seed):
    def run(answer): return answer(rand(n, seed=seed).abs() + 3, drawn(n, cells, seed), p)
    return run

e = exercise('8.6', 'Masks to map',
    'Write `rise_map(f, masks, p)`: the mean answer, plus the covariance (N − 1 below) of the answers f (M,) with the '
    'masks, over '
    'p. `masks.sum(w)` gives Σ wᵢMᵢ, `len(masks)` their number.',
    library='camtutor.perturbation',
    trials=(Trial('Two masks, all and nothing: answers 3 and 1', lambda a: a(torch.tensor([3., 1.]), ALL_FOUR, .5),
                  torch.full((2, 3), 4.)),
            Trial('Thirty random masks', of_masks(30, 3, .5, 1)), Trial('Another share of ones',
                                                                        of_masks(12, 4, .25, 2))),
    hints=('Take the mean off f first.', 'Σ(fᵢ − f̄)(Mᵢ − p) is Σ(fᵢ − f̄)Mᵢ. Why?', 'Divide by p·(M − 1), add f̄.'),
    why='The published estimate has the same mean and far more noise: a constant in f goes into it with every uneven '
        'draw.')

@e.reference
def rise_map(f:Tensor,  # answers under the masks (M,)
             masks,     # M of them
             p:float=.5 # the share of ones
            )->Tensor:  # (H,W)
    "How much surer the network is where a place can be seen."
    mean = f.mean()
    return mean + masks.sum(f - mean) / (p * (len(masks) - 1))

e.edit('mean + masks.sum(f - mean) / (p * (len(masks) - 1))', 'masks.sum(f) / (p * len(masks))',
       'This is the published, uncentred estimate: the constant part of f brings most of its noise. Take the mean off '
       'f first.')
e.edit('mean + ', '', 'The mean answer is missing: this is the covariance over p alone.')
e.edit('(len(masks) - 1)', 'len(masks)', 'A covariance from draws has N − 1 below, since the mean was taken from the '
                                         'same draws.')
e.edit('p * (len', '(len', 'The p is missing. It makes the map the mean answer over the masks that show a place.')
e.edit('masks.sum(f - mean)', 'masks.sum(f)', 'The mean is added, and was not taken off before.')

# 8.7 SIDU

P8 = rand(2, 4, 3).softmax(-1)

e = exercise('8.7', 'Similar and unique',
    'Write `sidu_weights(P, P0, width=.25)`: P (N,C,K) are predictions under C masks, P0 (N,K) those of the whole '
    'pictures. The weight '
    'is exp(−‖P−P0‖/(2·width²)) times the sum of Euclidean distances to all other masks\' predictions.',
    library='camtutor.perturbation',
    trials=(gives('Two masks that change nothing, one that does', torch.tensor([[[1., 0.], [1., 0.], [0., 1.]]]),
                  torch.tensor([[1., 0.]])),
            gives('Random predictions', P8, rand(2, 3, seed=1).softmax(-1)),
            gives('A narrow width', P8, P8[:, 0], .2)),
    hints=('`norm(dim=-1)` of a difference.', '`torch.cdist(P, P)` has all distances (N,C,C).',
           'Sum over one axis, multiply.'),
    why='Duplicates lower each other\'s weight. There is no class in it, and so no map of one.')

@e.reference
def sidu_weights(P:Tensor,  # predictions under masks (N,C,K)
                 P0:Tensor, # of the whole pictures (N,K)
                 width:float=.25 # how soon another prediction is unlike
                )->Tensor:  # (N,C)
    "Similar to the whole picture's prediction, and unlike the other masks'."
    similar = torch.exp(-(P - P0[:, None]).norm(dim=-1) / (2 * width**2))
    unique = torch.cdist(P, P).sum(-1)
    return similar * unique

e.edit('similar * unique', 'similar', 'The uniqueness is missing.')
e.edit('similar * unique', 'unique', 'The similarity is missing: the mask that hides everything would win.')
e.edit('similar * unique', 'similar + unique', 'You add the two. A mask must be both: multiply.')
e.edit('.norm(dim=-1) /', '.square().sum(-1) /', 'You square the distance, as a Gaussian would. The paper takes the '
                                                 'norm itself.')
e.edit('2 * width**2', '2 * width', 'The width is not squared.')
e.edit('torch.cdist(P, P).sum(-1)', 'torch.cdist(P, P).sum((-2, -1))[:, None].expand(P.shape[:2])',
       'You sum the distances of all pairs. Each mask has its own sum.')

# 8.8 Otsu

e = exercise('8.8', "Otsu's threshold",
    'Write `otsu(v)`: values from 0 to 1 in 256 bins (`torch.histc`). For each bin as the last dark one: '
    'n₀·n₁·(difference of the '
    'mean bin numbers)². Give the upper edge of the best bin, from 0 to 1.',
    library='camtutor.perturbation',
    trials=(gives('Two groups', torch.tensor([.1, .1, .2, .7, .8, .9])), gives('Skewed', rand(40, 30).sigmoid()**3),
            gives('Mostly dark', torch.cat([torch.zeros(90), torch.linspace(.4, 1, 10)]))),
    hints=('Two running sums over bins: of counts, and of counts times bin number.',
           'With totals n and s: the difference of the means is s₀/n₀ − (s − s₀)/n₁.',
           'Where a side is empty the value is 0. The upper edge of bin i is (i + 1)/256.'),
    why='The gate between two layers of SISE; the choice of channels in Ada-SISE.')

@e.reference
def otsu(v:Tensor # values from 0 to 1
        )->float:
    "The threshold that makes the dark and the bright values most unlike."
    h = torch.histc(v.float(), 256, 0, 1).double()
    n0, s0 = h.cumsum(0), (h * torch.arange(256)).cumsum(0)
    n1, s1 = n0[-1] - n0, s0[-1] - s0
    unlike = n0 * n1 * (s0 / n0.clamp(min=1) - s1 / n1.clamp(min=1))**2
    return (unlike.argmax().item() + 1) / 256

e.edit('(unlike.argmax().item() + 1)', 'unlike.argmax().item()',
       'Off by one: this is the lower edge, so the last dark bin itself counts as bright.')
e.edit('(h * torch.arange(256)).cumsum(0)', 'h.cumsum(0)', 'The bin numbers are missing: both running sums are counts.')
e.wrong(lambda v: v.float().mean().item(), 'That is the mean. Otsu tries every threshold.')
e.wrong(lambda v: v.float().median().item(), 'That is the median: half of the values on either side, however alike '
                                             'they are.')
e.wrong(lambda v: .5, 'Half way is no threshold of this picture.')

e.wrong(lambda v: round(otsu(v)*256), 'This is the number of the bin. Divide by 256: the threshold is a value from 0 '
                                      'to 1.')

# 8.9 Fusing

def halves(v): return (v > .5).to(v)

MAPS = [rand(5, 6, seed=s).sigmoid() for s in range(3)]

def of_maps(maps):
    def run(answer):
        mine = [m.clone() for m in maps]
        got = answer(mine, halves)
        return {'the fused map': got, 'your maps are as before': all(torch.equal(a, b) for a, b in zip(mine, maps))}
    return run

e = exercise('8.9', 'Fine to coarse',
    'Write `fuse(maps, gate)`: begin with the first map. For each next one: add it to what there is, and multiply the '
    '*sum* with '
    '`gate` of the next map. `maps` is a list of (H,W), the finest first.',
    library='camtutor.perturbation',
    trials=(Trial('Two maps by hand', lambda a: a([torch.tensor([[.2, .4]]), torch.tensor([[0., 1.]])], halves),
                  torch.tensor([[0., 1.4]])),
            Trial('Three maps', of_maps(MAPS)), Trial('One map', of_maps(MAPS[:1]))),
    hints=('A loop over maps[1:].', 'Add, then gate.', 'What the gate multiplies is the sum, old and new.'),
    why='Where the deepest map is dark nothing is left, however clear it was before: the last gate has the last word.')

@e.reference
def fuse(maps:list, # of (H,W), the finest layer first
         gate       # from a map to what it lets through
        )->Tensor:
    "Each map is added to those before it, and the sum kept where that map is bright."
    e = maps[0]
    for v in maps[1:]: e = (e + v) * gate(v)
    return e

e.edit('(e + v) * gate(v)', 'e + v * gate(v)', 'Only the new map is gated. The gate is for the sum.')
e.edit('(e + v) * gate(v)', 'e * gate(v)', 'The new map is not added.')
e.edit('(e + v) * gate(v)', '(e + v) * gate(e)', 'You gate with the map so far. It is the *new*, deeper map that '
                                                 'decides.')
e.edit('(e + v) * gate(v)', '(e + v) * v', 'You multiply with the map itself. Multiply with its gate.')
e.edit('maps[0]', 'maps[-1]', 'maps[1:]', 'maps[-2::-1]',
       'You go from coarse to fine, so the finest map decides. Begin with the first.')
e.edit('e = maps[0]', 'e = maps[0]*0', 'maps[1:]', 'maps', 'The first map is gated too. It is the beginning.')
e.edit('    e = maps[0]\n    for v in maps[1:]: e = (e + v) * gate(v)\n',
       '    e = maps[0]\n    for v in maps[1:]: e += v; e *= gate(v)\n',
       "`+=` and `*=` write into the caller's first map. Make a new one.")

# 8.10 Which channels

e = exercise('8.10', 'Which channels speak for it',
    "Write `by_otsu(g)`: mean gradients (C,) to bool. Of the positive ones, each over the largest, those above their "
    "own "
    "`otsu` threshold; all positive ones if they are equal. `otsu` may be imported from `camtutor.perturbation`.",
    library='camtutor.perturbation',
    trials=(gives('Six channels', torch.tensor([-1., 0., .1, .2, .9, 1.])), gives('Many', rand(60)),
            gives('Equal ones', torch.tensor([.5, -1., .5])), gives('None', torch.tensor([-1., -2.]))),
    hints=('A list of true and false in the brackets picks the positive ones.', 'An empty tensor has no maximum.',
           'Compare g over the maximum with the threshold.'),
    why='SISE keeps every positive channel. Ada-SISE asks about fewer; what that saves and costs is in the table of '
        'the lesson.')

@e.reference
def by_otsu(g:Tensor # the mean gradient of each channel (C,)
           )->Tensor: # (C,), bool
    "Of the channels that speak for the class, those above Otsu's threshold; all of them if they are equal."
    some = g[g > 0]
    if not len(some) or some.min() == some.max(): return g > 0
    return g / some.max() > otsu(some / some.max())

e.edit('g / some.max() > otsu(some / some.max())', 'g > 0',
       'You keep all that are positive. That is SISE; Otsu decides among them.')
e.edit('otsu(some / some.max())', 'otsu((g / some.max()).clamp(min=0))',
       'The negative gradients are in the histogram, as zeros, and pull the threshold down. Take the positive ones '
       'alone.')
e.edit('g / some.max() >', 'g >', 'The threshold is for values over the largest, and you compare it with the raw ones.')
e.edit('g / some.max() > otsu', 'g.abs() / some.max() > otsu',
       'Strong gradients *against* the class are kept as well. Drop the `abs`.')

e.wrong(lambda g: by_otsu(g).nonzero()[:, 0],
        'These are the *numbers* of the channels. A bool for each channel is '
                                              'asked for: leave `nonzero` out.')

# questions

e = exercise('8.11', 'A baseline', 'Score-CAM subtracts the score of an empty picture, and puts a softmax over the '
                                   'channels. What does the '
             'subtraction change?', reference='Nothing: a softmax does not see a constant', kind='choice',
    hints=('The baseline is one number. Which channels is it taken off?', 'What does exp turn a difference into?',
           'A factor that all have in common leaves the fraction.'),
    why='So the published baseline has no effect. Without the softmax it would have one.')
e.wrong('Channels below the baseline get a weight of 0', 'Every weight of a softmax is above 0.')
e.wrong('All weights become smaller', 'They still sum to 1.')

e = exercise('8.12', 'What is nothing?', 'You take a channel away in front of a batch norm by setting it to 0. What '
                                         'is wrong?',
    reference='0 is not its lowest value there, and behind the norm it may be a strong activation', kind='choice',
    hints=('What does a batch norm make of 0?', 'It takes a mean off, and adds a shift.',
           'Which value would be silent behind the ReLU that follows?'),
    why="Take the channel away behind the ReLU, or say `absent='low'`.")
e.wrong('Nothing: 0 is nothing', 'Behind a ReLU it is. A batch norm turns 0 into shift − mean·scale, which may be '
                                 'anything.')
e.wrong('The other channels change too', 'In eval mode a batch norm treats each channel by itself.')
