"Chapter 09: metrics on trial."
import math

import torch
from torch import Tensor

from camtutor.exercises.common import gives, keeps, one_by_one, rand
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise
from camtutor.protocols import order_of, spearman

# 9.1 How much of a map lies in each part

M = torch.tensor([[[3., 1., 0.], [0., -5., 4.]], [[-1., -2., 0.], [0., -5., -4.]]])
PARTS = torch.tensor([[[1, 0, 0], [1, 1, 0]], [[0, 1, 0], [0, 0, 0]], [[0, 0, 1], [0, 0, 1]]]).bool()
PARTS = torch.stack([PARTS, PARTS])
M_, PARTS_ = rand(3, 5, 7), rand(3, 4, 5, 7, seed=1) > 0

e = exercise('9.1', 'How much of a map lies in each part',
    'Write `part_shares(m, masks)`: the share of each map\'s positive part that lies in each of its parts. Maps '
    '(N,H,W) and masks (N,P,H,W) give (N,P). A map without a positive place has 0 everywhere.',
    library='camtutor.metrics',
    trials=(gives('Worked by hand; the second map has nothing above 0', M, PARTS,
                  want=[[.375, .125, .5], [0., 0., 0.]]),
            gives('Random maps and masks', M_, PARTS_), gives('Maps of tiny values', 1e-20*M_, PARTS_),
            keeps(M_, PARTS_), one_by_one(M_, PARTS_)),
    hints=('Cut, sum inside, divide by the sum of everything.',
           'An einsum sums over places; the masks must be of the maps\' type.',
           'Divide by 1 where the total is 0: `where` does that.'),
    why='With parts a map becomes a short row of numbers, and such rows can be ranked.')

@e.reference
def part_shares(m:Tensor, # maps (N,H,W)
                masks:Tensor # where each part is (N,P,H,W), bool
               )->Tensor: # (N,P), 0 to 1
    "The share of each map's positive part that lies in each part; 0 where nothing is positive."
    m = m.clamp(min=0)
    total = m.sum((1, 2))
    inside = torch.einsum('nhw,nphw->np', m, masks.to(m))
    return inside/total.where(total > 0, 1)[:, None]

e.edit('m = m.clamp(min=0)\n    ', '', 'Negative places count too, and take away from their part. Cut them first.')
e.edit('m = m.clamp(min=0)', 'm = m.abs()',
       'You take the size of negative places. What speaks against is cut, not turned.')
e.edit('.where(total > 0, 1)', '', 'A map without a positive place gives 0/0. Its shares are 0.')
e.edit('total = m.sum((1, 2))', 'total = torch.einsum("nhw,nphw->n", m, masks.to(m))',
       'You divide by what lies in *parts*. What lies in none belongs to the map as well.')
e.edit("inside = torch.einsum('nhw,nphw->np', m, masks.to(m))",
       "inside = torch.einsum('nhw,nphw->np', m, masks.to(m))/masks.sum((2, 3)).clamp(min=1)",
       'You divide by the area of the part as well. That is a density; here the whole share is asked for.')
e.edit('total = m.sum((1, 2))', 'total = m.sum().expand(len(m))',
       'You divide by the sum of all maps. Each has its own.')
e.edit('m = m.clamp(min=0)\n    ', '', 'm.sum((1, 2))', 'm.clamp(min=0).sum((1, 2))',
       'Negative places are cut from the total but not from the parts. Cut the map first, for both.')
e.edit('total.where(total > 0, 1)[:, None]', '(total + 1e-7)[:, None]',
       'A small number stands in the divisor. Maps of tiny values then have hardly any shares: replace only a total '
       'of 0.')
e.edit('m = m.clamp(min=0)', 'm = (m > 0).float()',
       'You count positive places. How strong the map is there counts as well.')
e.edit('m = m.clamp(min=0)', 'm = m.clamp(min=0)**2', 'You square the map. Its values count as they are.')
e.edit('/total.where(total > 0, 1)[:, None]', '',
       'These are sums. A share is a sum over the total of the map.')
e.edit('total = m.sum((1, 2))', 'total = m.amax((1, 2))',
       'You divide by the largest place. A share is of the sum of all places.')
e.edit('total = m.sum((1, 2))', 'total = m.mean((1, 2))',
       'You divide by the mean of the map. A share is of its sum.')
e.edit('m = m.clamp(min=0)', 'm = m - m.amin((1, 2), keepdim=True)',
       'You lift the map until its lowest place is 0, so negative places count too. Cut what is below 0.')
e.edit('total = m.sum((1, 2))', 'total = masks.to(m).sum((1, 2, 3))',
       'You divide by the places of the parts. The share is of the map\'s sum.')
e.edit('masks.to(m)', '(~masks).to(m)', 'You add up what lies *outside* of a part.')
e.wrong(lambda m, masks: (m.clamp(min=0)[:, None]*masks).amax((2, 3)),
        'You take the largest place of each part. Add up its places, and divide by the total.')
e.wrong(lambda m, masks: masks.flatten(2)[torch.arange(len(m)), :, m.flatten(1).argmax(1)].to(m),
        'You look at the highest place alone. All positive places count.')
e.edit('m.clamp(min=0)', '(-m).clamp(min=0)',
       'You take what is *negative* in the map. Its positive part is shared out.')

# 9.2 Do the parts that matter have more of the map?

S, E = rand(4, 6).abs(), rand(4, 6, seed=1)
SEEN = rand(4, 6, seed=2) > -.7
SEEN[0], SEEN[:, :2] = True, True

def few(shares, effects):
    "A trial: three scenes; in the second one part is seen, in the third none."
    seen = torch.tensor([[1, 1, 1, 0, 1, 0], [0, 1, 0, 0, 0, 0], [0]*6]).bool()
    def run(answer):
        found = answer(shares[:3].clone(), effects[:3].clone(), seen.clone())
        if not isinstance(found, Tensor) or found.shape != (3,): return found
        return {'where it is NaN': found.isnan(), 'the others': found[~found.isnan()]}
    return Trial('Scenes with fewer than two parts', run)

e = exercise('9.2', 'Do the parts that matter have more of the map?',
    'Write `single_deletion(shares, effects, seen)`, all (N,P): for each scene (ρ+1)/2, where ρ is the rank '
    'correlation over the parts that are seen. Fewer than two: NaN. `spearman(a, b)` of `camtutor.protocols` takes '
    'rows (N,M).',
    library='camtutor.metrics',
    trials=(gives('Worked by hand', torch.tensor([[.1, .2, .3, .4]]), torch.tensor([[1., 2., 4., 3.]]),
                  torch.tensor([[True]*4]), want=[.9]),
            gives('The last part is not seen', torch.tensor([[.1, .2, .9]]), torch.tensor([[1., 2., 0.]]),
                  torch.tensor([[True, True, False]]), want=[1.]),
            gives('Four scenes', S, E, SEEN), few(S, E), keeps(S, E, SEEN)),
    hints=('Each scene has its own number of parts: a loop over the rows.',
           'Choose with the row of `seen` before you rank.',
           '`spearman` wants two axes: a row as `[None]`.'),
    why='A part that is not in the picture has no effect and no share. Counted, it would agree for nothing.')

@e.reference
def single_deletion(shares:Tensor, # of the map in each part (N,P)
                    effects:Tensor, # the true effect of each part (N,P)
                    seen:Tensor # is it to be seen? (N,P) bool
                   )->Tensor: # (N,), 0 to 1; NaN where fewer than two parts are seen
    "Do the parts that hold more of the map matter more? (ρ+1)/2 over the parts that are seen."
    out = shares.new_full((len(shares),), torch.nan)
    for i, on in enumerate(seen):
        if on.sum() > 1: out[i] = (spearman(shares[i, on][None], effects[i, on][None])[0] + 1)/2
    return out

e.edit('shares[i, on]', 'shares[i]', 'effects[i, on]', 'effects[i]',
       'Parts that are not to be seen are ranked too. Their share and their effect are both 0, so they agree for '
       'nothing.')
e.edit(' + 1)/2', ')', 'This is ρ itself, from −1 to 1. Move it to the range from 0 to 1.')
e.edit('effects[i, on]', 'effects[i, on].abs()',
       'You rank the *size* of effects. A part that lowers the score when it is there matters least of all, not most.')
e.wrong(lambda shares, effects, seen: torch.stack([
    (torch.corrcoef(torch.stack([a[on], b[on]]))[0, 1] + 1)/2 if on.sum() > 1 else torch.tensor(torch.nan)
    for a, b, on in zip(shares, effects, seen)]),
    'You correlate the values. Shares and effects have different units, so only their order can be compared.')
e.edit('shares[i, on]', '(shares*seen)[i]', 'effects[i, on]', '(effects*seen)[i]',
       'You set parts that are not seen to 0, and rank them all the same. Leave them out.')
e.edit('torch.nan', '0.', 'A scene with fewer than two parts gets 0, as if everything were in the wrong order. It has '
       'no rank correlation: NaN.')
e.edit('torch.nan', '.5', 'A scene with fewer than two parts gets 0.5. It has no rank correlation: NaN.')
e.edit('> 1', '> 2', 'You ask for three parts. Two can be ranked.')
e.edit('(spearman(', 'abs(spearman(', ' + 1)/2', ')',
       'You take the size of ρ, so the wrong order counts as much as the right one. It is (ρ+1)/2.')
e.edit('(spearman(', '(-spearman(', 'The sign of ρ is turned round: more share should go with more effect.')

@e.wrong
def left_out(shares, effects, seen):
    "You leave out scenes with fewer than two parts. They are NaN, so that each scene keeps its place."
    return torch.stack([(spearman(a[on][None], b[on][None])[0] + 1)/2 for a, b, on in zip(shares, effects, seen)
                        if on.sum() > 1])

@e.wrong
def numbers(shares, effects, seen):
    "You choose with whole numbers, so 1 and 0 mean part 1 and part 0. A row of `seen` chooses as it is, as bool."
    return torch.stack([(spearman(a[on.int()][None], b[on.int()][None])[0] + 1)/2 if on.sum() > 1 else
                        torch.tensor(torch.nan) for a, b, on in zip(shares, effects, seen)])
e.edit('on.sum()', '(~on).sum()', 'shares[i, on]', 'shares[i, ~on]', 'effects[i, on]', 'effects[i, ~on]',
       'You rank the parts that are *not* seen.')
e.wrong(lambda shares, effects, seen: (spearman(shares, effects) + 1)/2,
        '`seen` is not used: you rank all parts. Choose in each row the parts that are seen.')
e.wrong(lambda shares, effects, seen: (spearman(shares.T, effects.T) + 1)/2,
        'You rank the scenes for each part. Rank the parts of each scene.')

# 9.3 From 0 to 1

U = torch.tensor([[[1., 3.], [2., 1.]], [[.7, .7], [.7, .7]], [[0., 0.], [0., 0.]], [[-4., -4.], [-4., -4.]]])

e = exercise('9.3', 'From 0 to 1',
    'Write `unit(m)`: each of the maps (N,H,W) stretched so that its lowest place is 0 and its highest 1. A '
    'constant map becomes 1 everywhere if it is above 0, else 0 everywhere.',
    library='camtutor.metrics',
    trials=(gives('Worked by hand: one map, three constants', U,
                  want=[[[0., 1.], [.5, 0.]], [[1., 1.], [1., 1.]], [[0., 0.], [0., 0.]], [[0., 0.], [0., 0.]]]),
            gives('Random maps', M_), gives('A map of tiny values', M_*1e-20), keeps(M_), one_by_one(M_)),
    hints=('Lowest and highest of each map, with their axes kept.',
           '`torch.where` chooses between the stretched and the constant.',
           'Where highest and lowest are equal, divide by 1.'),
    why='A constant map says "everything alike". Shown as 1, it shows the whole picture, and average drop shows '
        'its flaw.')

@e.reference
def unit(m:Tensor # maps (N,H,W)
        )->Tensor: # (N,H,W), 0 to 1
    "Each map stretched from its lowest place to its highest; a constant one 1, or 0 if nothing is above 0."
    low, high = m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)
    stretched = (m - low)/(high - low).where(high > low, 1)
    return torch.where(high > low, stretched, (high > 0).to(m))

e.edit('(high - low).where(high > low, 1)', '(high - low + 1e-7)',
       'A small number stands in the divisor. A map of tiny values then stays dark: whether 1e-7 is small depends '
       'on the map.')
e.edit('torch.where(high > low, stretched, (high > 0).to(m))', 'stretched',
       'A constant map becomes 0 everywhere, as if it marked nothing. Above 0 it marks everything.')
e.edit('torch.where(high > low, stretched, (high > 0).to(m))', 'torch.where(high > low, stretched, torch.ones_like(m))',
       'A map of zeros becomes 1 everywhere. It marks nothing.')
e.edit('m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)', 'm.amin(), m.amax()',
       'All maps are stretched together. Each by its own lowest and highest place.')
e.edit('(m - low)', 'm', '(high - low).where(high > low, 1)', 'high.where(high > low, 1)',
       'You divide by the highest place and leave the lowest where it is. It should become 0.')
e.edit('(high - low).where(high > low, 1)', '(high - low)', 'torch.where(high > low, stretched, (high > 0).to(m))',
       'stretched', 'A constant map is 0 divided by 0: NaN. It becomes 1 if it is above 0, else 0.')
e.edit('torch.where(high > low, stretched, (high > 0).to(m))', 'm/high',
       'You divide by the highest place alone, and a constant map becomes 1 or NaN. Take the lowest off first.')
e.edit('(high > 0)', '(high != 0)', 'A constant map *below* 0 becomes 1. It marks nothing.')
e.edit('(high > 0).to(m)', 'm', 'A constant map keeps its value. It becomes 1 if it is above 0, else 0.')
e.edit('(high > 0).to(m)', 'm.clamp(0, 1)',
       'A constant map is cut to 0 … 1, so .7 stays .7. It becomes 1 if it is above 0.')
e.edit('(high > 0).to(m)', '.5*torch.ones_like(m)',
       'A constant map becomes 0.5. It becomes 1 if it is above 0, else 0.')
e.edit('m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)', 'm.amin(2, keepdim=True), m.amax(2, keepdim=True)',
       'Each row is stretched by itself. Lowest and highest are over both axes of a map.')
e.edit('torch.where(high > low, stretched, (high > 0).to(m))', 'm/m.sum((1, 2), keepdim=True)',
       'You divide by the sum. Take the lowest place off, and divide by the span.')
e.edit('low, high = m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)\n',
       'low, high = 0, m.amax((1, 2), keepdim=True)\n    m = m.clamp(min=0)\n',
       'You cut what is below 0 and divide by the highest place. The lowest place becomes 0, whatever its value.')
e.edit('torch.where(high > low, stretched, (high > 0).to(m))',
       '2*torch.where(high > low, stretched, (high > 0).to(m)) - 1',
       'You stretch from −1 to 1. The range is from 0 to 1.')
e.wrong(lambda m: m.sigmoid(), 'This is a sigmoid: it squeezes values, and no place reaches 0 or 1. Stretch them.')
e.edit('low, high =', 'm = m.abs()\n    low, high =', 'The map has lost its sign. What is below 0 stays below.')
e.edit('m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)', 'm.amin(0, keepdim=True), m.amax(0, keepdim=True)',
       'torch.where(high > low, stretched, (high > 0).to(m))', 'stretched',
       'You take the lowest and highest map at each place. They are over the places of one map.')
e.wrong(lambda m: 1 - order_of(m)/(m[0].numel() - 1),
        'You give ranks. How far apart values are is to be seen in the stretched map as well.')
e.edit('m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)', 'm.amin(1, keepdim=True), m.amax(1, keepdim=True)',
       'Each column is stretched by itself. Lowest and highest are over both axes of a map.')
e.edit('torch.where(high > low, stretched, (high > 0).to(m))', 'm - low',
       'You take the lowest place off and leave it at that. Divide by the span, so that the highest becomes 1.')

# 9.4 The drop

P, O = torch.tensor([.8, .5, .1, 0.]), torch.tensor([.4, .6, .1, 0.])

e = exercise('9.4', 'The drop',
    'Write `drop(p, o)`: the share of the probability `p` that is lost when the network sees only the marked part, '
    'where it is `o`. A rise is a drop of 0. Where `p` is 0, so is the drop.',
    library='camtutor.metrics',
    trials=(gives('Worked by hand', P, O, want=[.5, 0., 0., 0.]),
            gives('Random probabilities', rand(9).sigmoid(), rand(9, seed=1).sigmoid()),
            gives('Small probabilities', 1e-20*P, 1e-20*O, want=[.5, 0., 0., 0.]), keeps(P, O)),
    hints=('A difference, cut at 0.', 'As a share of what there was.', 'Divide by 1 where there was nothing.'),
    why='Their mean over pictures is the average drop. With Σ(p−o)/Σp instead, sure pictures would count more.')

@e.reference
def drop(p:Tensor, # probability of the class in the picture (N,)
         o:Tensor # and when only the marked part is shown (N,)
        )->Tensor: # (N,), 0 to 1
    "The share of the probability that is lost."
    lost = (p - o).clamp(min=0)
    return lost/p.where(p > 0, 1)

e.edit('lost/p.where(p > 0, 1)', 'lost',
       'You do not divide: from .2 to .1 counts as much as from 1 to .9. The share of `p` is asked for.')
e.edit('.clamp(min=0)', '', 'A rise counts as a negative drop, and makes up for another picture\'s loss. Cut it at 0.')
e.edit('(p - o)', '(o - p)', 'This is what was *won*. The drop is what was lost.')
e.edit('p.where(p > 0, 1)', 'p', 'Where `p` is 0 you get NaN, and so is the mean over all pictures.')
e.edit('(p - o).clamp(min=0)', '(p - o).abs()', 'A rise counts as a drop of the same size. It counts 0.')
e.edit('lost/p.where(p > 0, 1)', 'lost/o.where(o > 0, 1)',
       'You divide by what is left. The share is of what there was: `p`.')
e.edit('lost/p.where(p > 0, 1)', 'lost/(p + 1e-7)',
       'A small number stands in the divisor. A small probability then hardly drops: replace only 0.')
e.edit('(p - o).clamp(min=0)', 'torch.minimum(p, o)', 'This is the share that is *left*. The drop is what is lost.')
e.edit('p.where(p > 0, 1)', 'p.sum()', 'You divide by the sum of all pictures. Each has its own `p`.')
e.edit('p.where(p > 0, 1)', 'p.max()', 'You divide by the largest `p`. Each picture has its own.')
e.edit('lost = (p - o).clamp(min=0)\n    return lost/p.where(p > 0, 1)', 'return (1 - o).clamp(min=0)',
       'You start from 1. The network was only as sure as `p` before.')
e.edit('lost/p.where(p > 0, 1)', '(lost/p.where(p > 0, 1)).mean()', 'This is the mean over pictures, the *average* '
       'drop. One number for each picture is asked.')
e.edit('lost/p.where(p > 0, 1)', '(p > o).to(p)', 'You say whether something is lost. How much is asked.')
e.edit('lost/p.where(p > 0, 1)', '100*lost/p.where(p > 0, 1)', 'This is in percent. A share from 0 to 1 is asked.')
e.edit('lost/p.where(p > 0, 1)', 'o/p.where(p > 0, 1)',
       'You give what is left, as a share of `p`. What is lost is asked.')
e.edit('lost/p.where(p > 0, 1)', 'p*(1 - o)', 'You multiply. It is a difference, divided by `p`.')
e.edit('p.where(p > 0, 1)', '(p + o).where(p + o > 0, 1)', 'You divide by the sum of both. The share is of `p` alone.')

# 9.5 Exactly so many places

K = torch.tensor([[[.2, .9], [.5, .1]]])

e = exercise('9.5', 'Exactly so many places',
    'Write `keep_top(m, share)`: maps (N,H,W) in which only the highest places keep their value, the others become '
    '0. Exactly `round(share·H·W)` are kept, also where values are equal: `order_of(m)` of `camtutor.protocols` '
    'ranks places, 0 first, equal ones by lot.',
    library='camtutor.metrics',
    trials=(gives('Worked by hand: half', K, .5, want=[[[0., .9], [.5, 0.]]]),
            gives('All are equal, a third is kept', torch.ones(1, 4, 6), 1/3),
            gives('Random maps, 15 %', M_.abs(), .15), gives('Of 35 places, 31 %', M_.abs(), .31),
            gives('Everything', M_.abs(), 1.), keeps(M_.abs(), .15)),
    hints=('Each place has a rank. Which ranks stay?', 'A comparison gives a mask of places.',
           'Multiply the maps by it; do not write into them.'),
    why='A map that is changed in place gives other numbers at 50 % when 15 % was measured before.')

@e.reference
def keep_top(m:Tensor, # maps (N,H,W), 0 to 1
             share:float=1. # of the places that are kept
            )->Tensor: # (N,H,W)
    "The highest places with their values, the others 0; equal values come in random order."
    n = round(share*m[0].numel())
    return m*(order_of(m) < n)

e.edit('m*(order_of(m) < n)', 'm*(m >= m.flatten(1).sort(dim=1, descending=True).values[:, n - 1][:, None, None])',
       'You keep whatever reaches a threshold. Where values are equal, all of them do: a constant map is kept whole.')
e.edit('m*(order_of(m) < n)', '(order_of(m) < n).float()', 'You keep places as 1. They keep their value.')
e.edit('order_of(m) < n', 'order_of(m) >= n', 'You keep the *lowest* places.')
e.edit('order_of(m) < n', 'order_of(m) <= n', 'One place too many is kept: ranks begin at 0.')
e.edit('round(share', 'int(share', 'You cut the number of places off. It is to be rounded.')
e.edit('round(share', 'math.ceil(share', 'You round the number of places up. `round` takes the nearest.')
e.edit('m[0].numel()', 'm.numel()', 'You count the places of the whole batch. Each map keeps its own share.')
e.edit('m[0].numel()', 'm.shape[1]', 'You count rows. The share is of all places, H·W.')
e.edit('m*(order_of(m) < n)', 'm*(m >= m.flatten(1).quantile(1 - share, dim=1)[:, None, None])',
       'You keep whatever reaches a quantile. That is not an exact number of places; where values are equal, all stay. '
       'Compare ranks.')
e.edit('m*(order_of(m) < n)', 'm*(m >= 1 - share)',
       'You take the share for a threshold on values. It says how many places are kept.')
e.edit('m*(order_of(m) < n)', 'm*(m >= share*m.amax((1, 2), keepdim=True))',
       'You keep what reaches a share of the highest *value*. It is a share of the places.')
e.edit('m*(order_of(m) < n)', 'order_of(m) < n', 'This is the mask alone. Multiply the map by it.')
e.edit('order_of(m)', 'order_of(-m)', 'You rank the *lowest* places first. `order_of(m)` gives 0 to the highest.')
e.edit('m*(order_of(m) < n)', 'm[order_of(m) < n]',
       'You pick the values out, so their places are lost. The map keeps its shape, with 0 elsewhere.')
e.edit('m*(order_of(m) < n)', 'm.where(order_of(m) < n, torch.nan)', 'The other places become NaN. They become 0.')
e.edit('m*(order_of(m) < n)', 'm*(m.flatten(1).argsort(1, descending=True).view_as(m) < n)',
       '`argsort` says which place comes first, not which rank a place has. `order_of` gives ranks.')

@e.wrong
def written(m, share=1.):
    "You write into the map that was given, and whoever called still needs it. Multiply by the mask."
    m[order_of(m) >= round(share*m[0].numel())] = 0
    return m
e.edit('order_of(m) < n', 'order_of(m) >= m[0].numel() - n', 'You keep the last ranks, the *lowest* places. Rank 0 is '
       'the highest place.')
e.edit('round(share*', 'round((1 - share)*', 'You keep 1 − share of the places. `share` says how many stay.')
e.edit('m*(order_of(m) < n)', 'm.flatten(1).topk(n, dim=1).values',
       'You give the highest values in a row. The map keeps its shape, with 0 elsewhere.')
e.edit('m*(order_of(m) < n)', 'm*(m >= m.flatten().topk(n*len(m)).values[-1])',
       'You rank the places of all maps together, by a threshold. Each map keeps its own, counted by rank.')

# 9.6 Which places are gone?

ORDER = torch.tensor([[[3, 1], [0, 2]], [[0, 1], [2, 3]]])

e = exercise('9.6', 'Which places are gone?',
    'Write `gone_at(order, q)`: a mask (N,H,W) of the places that are gone when the share `q` has been taken. '
    '`order` holds ranks, 0 goes first. Exactly `round(q·H·W)` are gone.',
    library='camtutor.metrics',
    trials=(gives('Worked by hand: half', ORDER, .5, want=torch.tensor([[[False, True], [True, False]],
                                                                        [[True, True], [False, False]]])),
            gives('Nothing', ORDER, 0.), gives('Everything', ORDER, 1.),
            gives('Of 35 places, 31 %', order_of(rand(2, 5, 7)), .31),
            gives('Of 35 places, 29 %', order_of(rand(2, 5, 7)), .29)),
    hints=('How many are gone? Compare the ranks with that.', 'The number of places of *one* picture.',
           '`numel` of the first row; Python rounds with `round`.'),
    why='Ranks and a number: there is no threshold, so there is nothing that equal values could break.')

@e.reference
def gone_at(order:Tensor, # each place's rank, 0 first (N,H,W)
            q:float # the share that is taken
           )->Tensor: # (N,H,W) bool
    "The places that are gone when exactly the share q of them has been taken, in order."
    return order < round(q*order[0].numel())

e.edit('order[0].numel()', 'order.numel()',
       'You count the places of the whole batch. Each picture loses its own share.')
e.edit('order <', 'order <=', 'One place too many: ranks begin at 0, so the first n are those below n.')
e.edit('order <', 'order >=', 'These are the places that are *left*.')
e.edit('round(q*order[0].numel())', 'int(q*order[0].numel())', 'You cut the number off. It is to be rounded.')
e.edit('round(q*order[0].numel())', 'math.ceil(q*order[0].numel())',
       'The number of places is rounded up, or ranks are compared with the share unrounded. `round` takes the nearest.')
e.edit('order[0].numel()', 'order.shape[1]', 'You count rows. The share is of all places, H·W.')
e.edit('order[0].numel()', 'len(order)', 'You count pictures. The share is of the places of one.')
e.edit('order < round(q*order[0].numel())', 'order >= order[0].numel() - round(q*order[0].numel())',
       'You take the *last* ranks. Rank 0 goes first.')
e.edit('order < round(q*order[0].numel())', 'order == round(q*order[0].numel())',
       'This is one place alone. All ranks below are gone as well.')
e.edit('order < round(q*order[0].numel())', 'order*(order < round(q*order[0].numel()))',
       'You give ranks, and 0 elsewhere. The mask alone is asked.')
e.edit('order < round(q*order[0].numel())', 'order/order[0].numel() <= q',
       'A place too many is gone where q·H·W is whole, and elsewhere the number is rounded up. Compare ranks with the '
       'rounded number.')

@e.wrong
def first_places(order, q):
    "You take the first places of the picture. Which go first is said by their ranks."
    places = torch.arange(order[0].numel()).view_as(order[0]).expand_as(order)
    return places < round(q*order[0].numel())

@e.wrong
def as_places(order, q):
    "You take `order` for a list of places. It holds, at each place, the rank of that place: compare it."
    mask = torch.zeros_like(order, dtype=torch.bool).flatten(1)
    return mask.scatter(1, order.flatten(1)[:, :round(q*order[0].numel())], True).view_as(order)
e.edit('order < round', 'order > round', 'You turn the comparison round: the lowest ranks go first.')
e.edit('round(q*order[0].numel())', 'q', 'You compare ranks with a share. Make it a number of places first.')
e.edit('order < round', 'round', 'This is how many are gone. Which places are, is asked: compare the ranks with it.')
e.edit('order < round(q*order[0].numel())', '(order < round(q*order[0].numel())).sum((1, 2))',
       'You count the places. The mask itself is asked.')
e.edit('round(q*', 'round((1 - q)*', '`q` is the share that is gone. You take as many as are left.')

# 9.7 The area under a curve

C = torch.tensor([[1., .5, 0.], [1., 0., 0.]])

e = exercise('9.7', 'The area under a curve',
    'Write `area(curve)`: the area under each row of values (N,S+1) taken at equal distances from 0 to 1, by '
    'trapezoids. It gives (N,).',
    library='camtutor.metrics',
    trials=(gives('Worked by hand', C, want=[.5, .25]), gives('Always 1', torch.ones(1, 9), want=[1.]),
            gives('Random curves', rand(4, 17).sigmoid()), keeps(C), one_by_one(rand(4, 17))),
    hints=('A trapezoid is as high as the mean of its two sides.', 'S+1 values have S trapezoids between them.',
           'All are equally wide: a mean does the rest.'),
    why='With the plain mean of all values both ends would count twice what they should.')

@e.reference
def area(curve:Tensor # values at equal distances (N,S+1)
        )->Tensor: # (N,), 0 to 1
    "The area under a curve over the range from 0 to 1."
    left, right = curve[:, :-1], curve[:, 1:]
    return ((left + right)/2).mean(1)

e.edit('((left + right)/2).mean(1)', 'curve.mean(1)',
       'This is the mean of the values: each end counts whole, though only half of it lies in the range.')
e.edit('((left + right)/2).mean(1)', 'left.mean(1)',
       'You take the left side of each step only: a falling curve comes out too large.')
e.edit('((left + right)/2).mean(1)', 'right.mean(1)',
       'You take the right side of each step only: a falling curve comes out too small.')
e.edit('.mean(1)', '.sum(1)', 'You add the trapezoids as if each were 1 wide. Together they are 1 wide.')
e.edit('(left + right)/2', 'left + right', 'A trapezoid is as high as the *mean* of its sides.')
e.edit('((left + right)/2).mean(1)', '((left + right)/2).sum(1)/curve.shape[1]',
       'You divide by the number of values, S+1. There are S trapezoids.')
e.edit('curve[:, :-1], curve[:, 1:]', 'curve[:-1], curve[1:]', '.mean(1)', '.mean(0)',
       'You go along axis 0, from picture to picture. A curve is a row.')
e.edit('((left + right)/2).mean(1)', 'curve[:, 1:-1].mean(1)', 'The ends are left out. Each counts half.')
e.edit('((left + right)/2).mean(1)', 'curve.sum(1)',
       'You add the values up. A trapezoid is 1/S wide, and each end counts half.')
e.edit('((left + right)/2).mean(1)', '(curve[:, 0] + curve[:, -1])/2',
       'You take the two ends only, as if the curve were straight. Each step has a trapezoid.')
e.edit('(left + right)/2', '(right - left)/2', 'You take differences of the two sides. Their mean is the height.')
e.edit('((left + right)/2).mean(1)', '1 - ((left + right)/2).mean(1)', 'This is the area *over* the curve.')
e.edit('(left + right)/2', 'torch.maximum(left, right)',
       'You take the higher side of each step. A trapezoid is as high as the mean of its sides.')
e.edit('((left + right)/2).mean(1)', 'curve.median(1).values', 'This is the median of the values. An area is a mean.')

# 9.8 One threshold for all

HITS = torch.tensor([[True, False, False], [False, True, False], [False, True, False], [False, False, True]])

e = exercise('9.8', 'One threshold for all',
    'Write `best_accuracy(hits)`: `hits` (N,T) says of each picture and each of T thresholds whether the box was '
    'right. The share of pictures that are right at the best threshold of the whole set, as a tensor without axes.',
    trials=(gives('Worked by hand', HITS, want=torch.tensor(.5)), gives('Random', rand(9, 12) > .8), keeps(HITS)),
    hints=('Mean and maximum: in which order?', 'First one number for each threshold.', 'Of these the largest.'),
    why='The other order chooses a threshold for each picture by looking at the answer.')

@e.reference
def best_accuracy(hits:Tensor # right at each threshold? (N,T) bool
                 )->Tensor: # ()
    "The accuracy at the threshold that is best for the whole set."
    return hits.float().mean(0).max()

e.edit('.mean(0).max()', '.amax(1).mean()', 'You choose the best threshold for each picture. It must be one for all.')
e.edit('.mean(0).max()', '.mean()', 'This is the mean over all thresholds. Take the best one.')
e.edit('.mean(0)', '.sum(0)', 'This is how many are right. The share is asked for.')
e.edit('.mean(0).max()', '.mean(1).max()', 'You average over the thresholds and take the best *picture*.')
e.edit('.max()', '.argmax()', 'This is which threshold is best. The accuracy there is asked.')
e.edit('.float().mean(0).max()', '.sum(0).max()/hits.shape[1]',
       'You divide by the number of thresholds. The share is of the pictures.')
e.edit('.float().mean(0).max()', '[:, 0].float().mean()', 'You take the first threshold. The best is asked.')
e.edit('.float().mean(0).max()', '[:, hits.shape[1]//2].float().mean()',
       'You take the threshold in the middle. The best is asked.')
e.edit('.max()', '.median()', 'You take the median over thresholds. The best is asked.')
e.edit('.max()', '.min()', 'You take the worst threshold. The best is asked.')
e.edit('.float().mean(0).max()', '.any(0).float().mean()',
       'This is the share of *thresholds* at which some picture is right. Average over the pictures, axis 0.')
e.edit('hits.float().mean(0).max()', 'int(hits.sum(0).max())',
       'This is how many pictures are right, as a Python number. Their share is asked, as a tensor.')
e.edit('hits.float()', '100*hits.float()', 'This is in percent. The share is asked.')
e.edit('.float().mean(0).max()', '.all(1).float().mean()',
       'You count the pictures that are right at *every* threshold. One threshold is chosen for all.')

# 9.9 By hand

e = exercise('9.9', 'By hand',
    'Two pictures. Before: .8 and .1. With only the marked part shown: .4 and .2. The average drop, as a share?',
    reference=.25, kind='value',
    hints=('Each picture first.', 'The second has risen.', 'The mean of ½ and 0.'),
    why='The second picture has gained, which counts as no drop, and does not make up for the first.')
e.wrong(.2, 'You did not divide by the probability before: half of .8 is lost in the first.')
e.wrong(-.25, 'A rise is a drop of 0, not a negative one.')
e.wrong(1/3, 'You put the sums in relation. Each picture has its own share, then the mean.')
e.wrong(.5, 'That is the first picture. The second counts too.')
e.wrong(.75, 'That is the mean of ½ and 1: the rise counts as a drop of its size. It counts 0.')
e.wrong(.15, 'That is the mean of .4 and −.1. Divide each by its probability before, and cut at 0.')
e.wrong(.4, 'That is what the first picture loses, not as a share of .8, and without the second.')
e.wrong(0, 'The first picture loses half of its probability, and a rise in the second does not make up for it.')
e.wrong(.3, 'That is the mean of what is left. What is lost, as a share of what there was?')
e.wrong(2/3, 'The sums are compared, .6 of .9: what is left of all. Each picture has its own share that is lost.')
e.wrong(.2/.45, 'The mean loss is divided by the mean probability. Divide for each picture, then take the mean.')

# 9.10 to 9.12 Questions

e = exercise('9.10', 'Who wins?', 'Which map has an average drop of 0 on every network?', kind='choice',
    reference='The uniform one',
    hints=('What does the network see?', 'Where is nothing hidden?', 'Nothing is lost if nothing is taken away.'),
    why='It shows the whole picture. So average drop must stand beside the area, or with 15 % shown.')
e.wrong('The mask of the animal', 'Where the surroundings speak for the class, hiding them costs something.')
e.wrong('Grad-CAM', 'It hides places, and what it hides may have mattered.')
e.wrong('One of random dots', 'It hides half of the picture, dot by dot.')

e = exercise('9.11', 'Passing for nothing', 'Which map passes the test with forgotten layers best?', kind='choice',
    reference='Noise that is new every time',
    hints=('The test wants maps to change.', 'What changes whatever happens?', 'It need not even look at the network.'),
    why='The test can only catch maps that do not change. To pass it is necessary, and nothing more.')
e.wrong('A blob in the middle', 'It never changes, so it fails.')
e.wrong('Edges of the picture', 'They do not ask the network, so they do not change, and fail.')
e.wrong('Grad-CAM', 'It changes, but something of the picture\'s layout stays.')

e = exercise('9.12', 'What is drawn away', 'What do effects of single parts *not* show?', kind='choice',
    reference='That either of two parts would do',
    hints=('Take one of two away: what happens?', 'A network that is content with ears *or* eyes.',
           'Neither seems to matter alone.'),
    why='With both gone the score would fall. Single effects are a truth about single parts.')
e.wrong('Whether a part speaks against the class', 'They do: then the score rises without it.')
e.wrong('How much the background matters', 'They do: it is drawn away as well.')
e.wrong('Which class a part speaks for', 'They do: the effect on every class is known.')
