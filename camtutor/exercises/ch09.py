"Chapter 09: metrics on trial."
import torch
from torch import Tensor

from camtutor.exercises.common import gives, keeps, one_by_one, rand
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
            gives('Random maps and masks', M_, PARTS_), keeps(M_, PARTS_), one_by_one(M_, PARTS_)),
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

# 9.2 Do the parts that matter have more of the map?

S, E = rand(4, 6).abs(), rand(4, 6, seed=1)
SEEN = rand(4, 6, seed=2) > -.7
SEEN[0], SEEN[:, :2] = True, True

e = exercise('9.2', 'Do the parts that matter have more of the map?',
    'Write `single_deletion(shares, effects, seen)`, all (N,P): for each scene (ρ+1)/2, where ρ is the rank '
    'correlation over the parts that are seen. Fewer than two: NaN. `spearman(a, b)` of `camtutor.protocols` takes '
    'rows (N,M).',
    library='camtutor.metrics',
    trials=(gives('Worked by hand', torch.tensor([[.1, .2, .3, .4]]), torch.tensor([[1., 2., 4., 3.]]),
                  torch.tensor([[True]*4]), want=[.9]),
            gives('The last part is not seen', torch.tensor([[.1, .2, .9]]), torch.tensor([[1., 2., 0.]]),
                  torch.tensor([[True, True, False]]), want=[1.]),
            gives('Four scenes', S, E, SEEN), keeps(S, E, SEEN)),
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

# 9.3 From 0 to 1

U = torch.tensor([[[1., 3.], [2., 1.]], [[7., 7.], [7., 7.]], [[0., 0.], [0., 0.]], [[-4., -4.], [-4., -4.]]])

e = exercise('9.3', 'From 0 to 1',
    'Write `unit(m)`: each of the maps (N,H,W) stretched so that its lowest place is 0 and its highest 1. A '
    'constant map becomes 1 everywhere if it is above 0, else 0 everywhere.',
    library='camtutor.metrics',
    trials=(gives('Worked by hand: one map, three constants', U,
                  want=[[[0., 1.], [.5, 0.]], [[1., 1.], [1., 1.]], [[0., 0.], [0., 0.]], [[0., 0.], [0., 0.]]]),
            gives('Random maps', M_), gives('A map of tiny values', M_*1e-12), keeps(M_), one_by_one(M_)),
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
       'You add a small number to the divisor. A map of tiny values then stays dark: whether 1e-7 is small depends '
       'on the map.')
e.edit('torch.where(high > low, stretched, (high > 0).to(m))', 'stretched',
       'A constant map becomes 0 everywhere, as if it marked nothing. Above 0 it marks everything.')
e.edit('torch.where(high > low, stretched, (high > 0).to(m))', 'torch.where(high > low, stretched, torch.ones_like(m))',
       'A map of zeros becomes 1 everywhere. It marks nothing.')
e.edit('m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)', 'm.amin(), m.amax()',
       'All maps are stretched together. Each by its own lowest and highest place.')
e.edit('(m - low)', 'm', '(high - low).where(high > low, 1)', 'high.where(high > low, 1)',
       'You divide by the highest place and leave the lowest where it is. It should become 0.')

# 9.4 The drop

P, O = torch.tensor([.8, .5, .1, 0.]), torch.tensor([.4, .6, .1, 0.])

e = exercise('9.4', 'The drop',
    'Write `drop(p, o)`: the share of the probability `p` that is lost when the network sees only the marked part, '
    'where it is `o`. A rise is a drop of 0. Where `p` is 0, so is the drop.',
    library='camtutor.metrics',
    trials=(gives('Worked by hand', P, O, want=[.5, 0., 0., 0.]),
            gives('Random probabilities', rand(9).sigmoid(), rand(9, seed=1).sigmoid()), keeps(P, O)),
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

# 9.5 Exactly so many places

K = torch.tensor([[[.2, .9], [.5, .1]]])

e = exercise('9.5', 'Exactly so many places',
    'Write `keep_top(m, share)`: maps (N,H,W) in which only the highest places keep their value, the others become '
    '0. Exactly `round(share·H·W)` are kept, also where values are equal: `order_of(m)` of `camtutor.protocols` '
    'ranks places, 0 first, equal ones by lot.',
    library='camtutor.metrics',
    trials=(gives('Worked by hand: half', K, .5, want=[[[0., .9], [.5, 0.]]]),
            gives('All are equal, a third is kept', torch.ones(1, 4, 6), 1/3),
            gives('Random maps, 15 %', M_.abs(), .15), gives('Everything', M_.abs(), 1.), keeps(M_.abs(), .15)),
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

# 9.6 Which places are gone?

ORDER = torch.tensor([[[3, 1], [0, 2]], [[0, 1], [2, 3]]])

e = exercise('9.6', 'Which places are gone?',
    'Write `gone_at(order, q)`: a mask (N,H,W) of the places that are gone when the share `q` has been taken. '
    '`order` holds ranks, 0 goes first. Exactly `round(q·H·W)` are gone.',
    library='camtutor.metrics',
    trials=(gives('Worked by hand: half', ORDER, .5, want=torch.tensor([[[False, True], [True, False]],
                                                                        [[True, True], [False, False]]])),
            gives('Nothing', ORDER, 0.), gives('Everything', ORDER, 1.),
            gives('Of 35 places, 31 %', order_of(rand(2, 5, 7)), .31)),
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

# 9.8 One threshold for all

HITS = torch.tensor([[True, False, False], [False, True, False], [False, True, False], [False, False, True]])

e = exercise('9.8', 'One threshold for all',
    'Write `best_accuracy(hits)`: `hits` (N,T) says of each picture and each of T thresholds whether the box was '
    'right. The share of pictures that are right at the best threshold of the whole set, as a tensor without axes.',
    trials=(gives('Worked by hand', HITS, want=torch.tensor(.5)), gives('Random', rand(9, 12) > .8), keeps(HITS)),
    hints=('Mean and maximum: in which order?', 'First one number for each threshold.', 'Of these the largest.'),
    why='The other order chooses a threshold for each picture by looking at the answer. It is the commonest error '
        'here.')

@e.reference
def best_accuracy(hits:Tensor # right at each threshold? (N,T) bool
                 )->Tensor: # ()
    "The accuracy at the threshold that is best for the whole set."
    return hits.float().mean(0).max()

e.edit('.mean(0).max()', '.amax(1).mean()', 'You choose the best threshold for each picture. It must be one for all.')
e.edit('.mean(0).max()', '.mean()', 'This is the mean over all thresholds. Take the best one.')
e.edit('.mean(0)', '.sum(0)', 'This is how many are right. The share is asked for.')
e.edit('.mean(0).max()', '.mean(1).max()', 'You average over the thresholds and take the best *picture*.')

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
