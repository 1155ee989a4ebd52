"Chapter 14: a network's mistakes."
import math

import torch
from torch import Tensor
from torch.nn import functional as F

from camtutor.exercises.common import gives, keeps, one_by_one, rand
from camtutor.exercises.declare import exercise
from camtutor.protocols import order_of

# 14.1 How bad a mistake is

P = torch.tensor([[.7, .2, .1], [.5, .25, .25], [1., 0., 0.], [1., 5e-8, 0.]])
Y = torch.tensor([0, 2, 1, 1])
P_, Y_ = rand(5, 7).softmax(1), torch.tensor([6, 0, 3, 3, 1])

e = exercise('14.1', 'How bad a mistake is',
    'Write `loss_of(p, y)`: minus the natural logarithm of the probability that each picture\'s true class was given. '
    'Probabilities `p` (N,K) and classes `y` (N,) give (N,). A probability below 1e-12 counts as 1e-12.',
    library='camtutor.mistakes',
    trials=(gives('Worked by hand; the third class got nothing', P, Y, want=[.35667, 1.38629, 27.63102, 16.81124]),
            gives('Five pictures, seven classes', P_, Y_),
            gives('Probabilities by sigmoid, which need not sum to 1', rand(4, 6, seed=1).sigmoid(),
                  torch.tensor([5, 0, 2, 2])), keeps(P_, Y_), one_by_one(P_, Y_)),
    hints=('One entry of each row, its logarithm, its sign.', '`gather` along axis 1 takes an index with two axes.',
           'The smallest probability that counts is set by `clamp`.'),
    why='A list of mistakes begins with blunders: where the network gave the truth next to nothing.')

@e.reference
def loss_of(p:Tensor, # probabilities (N,K)
            y:Tensor # the true classes (N,)
           )->Tensor: # (N,), 0 or more
    "Minus the logarithm of what each picture's true class was given."
    given = p.gather(1, y[:, None])[:, 0]
    return -given.clamp(min=1e-12).log()

e.edit('-given', 'given', 'The sign is missing: a logarithm of a probability is below 0, and a loss above.')
e.edit('.clamp(min=1e-12)', '', 'A class that got nothing has an infinite loss. Raise the probability to 1e-12 first.')
e.edit('p.gather(1, y[:, None])[:, 0]', 'p.amax(1)',
       'You take the class that was *said*. How badly it erred is in what the true class was given.')
e.edit('.log()', '.log2()', 'This is the logarithm to base 2. The natural one is asked for.')
e.edit('.log()', '.log10()', 'This is the logarithm to base 10. The natural one is asked for.')
e.edit('-given.clamp(min=1e-12).log()', '1 - given', 'You take what is missing to 1. The loss is minus a logarithm: '
       'it grows without limit as the probability goes to 0.')
e.edit('.log()', '.log().mean()', 'You take the mean of all pictures. Each has a loss of its own, or the worst cannot '
       'be found.')
e.edit('.clamp(min=1e-12)', '.clamp(min=1e-7)', 'You raise probabilities to 1e-7. They count down to 1e-12.')
e.edit('given.clamp(min=1e-12)', '(given + 1e-7)', 'You add a small number to every probability, and change them all. '
       'Raise only those below 1e-12.')
e.wrong(lambda p, y: F.cross_entropy(p, y, reduction='none'),
        'cross_entropy takes scores and makes a softmax of them. These are probabilities already: take the logarithm.')
e.wrong(lambda p, y: F.nll_loss(p, y, reduction='none'),
        'nll_loss takes logarithms of probabilities. Here it gives minus the probability: the logarithm is missing.')
e.wrong(lambda p, y: -p.clamp(min=1e-12).log().mean(1),
        'You take the mean over all classes. Only the true class counts.')
e.wrong(lambda p, y: -(p.clamp(min=1e-12)*p.clamp(min=1e-12).log()).sum(1),
        'This is the entropy: how unsure the network is. It does not know the truth `y`.')
e.wrong(lambda p, y: -p[:, y].diagonal().clamp(min=1e-12).log().flip(0),
        'The losses are in the wrong order. The first belongs to the first picture.')
e.wrong(lambda p, y: -(1 - p.gather(1, y[:, None])[:, 0]).clamp(min=1e-12).log(),
        'You take the logarithm of what the true class was *not* given.')

e.wrong(lambda p, y: p.amax(1) - p.gather(1, y[:, None])[:, 0],
        'This is how far the truth lies behind what was said. The loss is minus the logarithm of what the truth got.')
e.wrong(lambda p, y: -p[:, 0].clamp(min=1e-12).log(),
        'You take class 0 of every picture. Each has its own class in `y`.')

# 14.2 The highest places

M = torch.tensor([[[5., 1., 0.], [0., -2., 3.]], [[0., 0., 0.], [0., 3., 0.]]])
M_ = rand(3, 9, 11)

e = exercise('14.2', 'The highest places',
    'Write `top_places(m, share)`: for maps (N,H,W) a mask of the highest `round(share·H·W)` places of each map, '
    'without those that are not above 0. `order_of(m)` of `camtutor.protocols` ranks places, 0 first, equal ones by '
    'lot.',
    library='camtutor.mistakes',
    trials=(gives('Worked by hand: half of six places', M, .5,
                  want=torch.tensor([[[1, 1, 0], [0, 0, 1]], [[0, 0, 0], [0, 1, 0]]]).bool()),
            gives('Random maps, 15 %', M_, .15), gives('Random maps, 11.5 %', M_, .115),
            gives('A map that is 7 everywhere', torch.full((2, 5, 8), 7.), .15),
            gives('Nothing above 0', -rand(2, 4, 7).abs(), .4), keeps(M_)),
    hints=('Two conditions on each place.', 'A rank below a number, and a value above 0.',
           'How many places one map has: `m[0].numel()`.'),
    why='A Grad-CAM is 0 on much of the picture. Places that are 0 would be taken by lot, and overlap by chance.')

@e.reference
def top_places(m:Tensor, # maps (N,H,W)
               share:float=.15 # of the places
              )->Tensor: # (N,H,W) bool
    "The highest places of each map, of those above 0. Equal values come in random order."
    many = round(share*m[0].numel())
    return (order_of(m) < many) & (m > 0)

e.edit(' & (m > 0)', '', 'Places that are 0 or below are taken too, where nothing better is left. They say nothing.')
e.edit('order_of(m) < many', 'order_of(m) <= many', 'One place too many: ranks begin at 0.')
e.edit('m[0].numel()', 'm.numel()', 'You count the places of all maps together. The share is of one map.')
e.edit('(m > 0)', '(m >= 0)', 'Places that are exactly 0 are taken. They must be above 0.')
e.edit('order_of(m) < many', 'order_of(-m) < many', 'You take the *lowest* places.')
e.edit('order_of(m) < many', 'order_of(m) >= many', 'You take all the places but the highest.')
e.edit('(order_of(m) < many) & (m > 0)', '(order_of(m) < many) | (m > 0)',
       'Either condition is enough for you. Both must hold.')
e.edit('(order_of(m) < many) & (m > 0)', 'm*(order_of(m) < many)*(m > 0)',
       'You return the values. A mask is asked for: True or False at each place.')
e.edit('(order_of(m) < many) & (m > 0)', '((order_of(m) < many) & (m > 0)).float()',
       'You return numbers. A mask is of type bool, so that `&` and `|` work on it.')
e.edit('round(share*m[0].numel())', 'math.ceil(share*m[0].numel())', 'You round up. `round` is asked for.')
e.edit('round(share*m[0].numel())', 'int(share*m[0].numel())', 'You cut off. `round` is asked for.')
e.edit('round(share*m[0].numel())', 'round(share*len(m[0]))', 'You count rows. A map has H·W places.')
e.wrong(lambda m, share=.15: m > (1 - share)*m.amax((1, 2), keepdim=True),
        'You compare with a part of the highest value. The share is of places, not of the value.')
e.wrong(lambda m, share=.15: (m >= m.flatten(1).quantile(1 - share, dim=1)[:, None, None]) & (m > 0),
        'A quantile takes all equal values, or none. `order_of` makes it exactly so many.')
e.wrong(lambda m, share=.15: (order_of(m) < round(share*int((m[0] > 0).sum()))) & (m > 0),
        'You take the share of the places above 0. It is of all places of a map.')

e.edit('(order_of(m) < many) & (m > 0)', '(order_of(m) >= m[0].numel() - many) & (m > 0)',
       'You take the *last* ranks, the lowest places. Rank 0 is the highest.')
e.edit('order_of(m) < many', 'order_of(m.abs()) < many', '(m > 0)', '(m != 0)',
       'You rank the size of values. Places far below 0 are no high places.')

# 14.3 Do they overlap?

A = torch.tensor([[[1, 1, 0], [0, 1, 0]], [[0, 0, 0], [0, 0, 0]], [[1, 0, 0], [0, 0, 0]]]).bool()
B = torch.tensor([[[0, 1, 1], [0, 0, 1]], [[0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 1, 0]]]).bool()
A_, B_ = rand(4, 6, 5) > 0, rand(4, 6, 5, seed=1) > .5

e = exercise('14.3', 'Do they overlap?',
    'Write `overlap(a, b)`: of two sets of places (N,H,W), bool, how many are in both, as a share of those that are '
    'in at least one. It gives (N,). Where both sets are empty it is 0.',
    library='camtutor.mistakes',
    trials=(gives('Worked by hand; the second pair is empty', A, B, want=[.2, 0., 0.]),
            gives('Random places', A_, B_), gives('The other way round', B_, A_), keeps(A_, B_), one_by_one(A_, B_)),
    hints=('Count two masks for each pair.', '`&` and `|` of masks are masks.', 'Divide by 1 where there is nothing.'),
    why='It is 1 for the same places and 0 for none in common, and large areas are not favoured.')

@e.reference
def overlap(a:Tensor, # places (N,H,W), bool
            b:Tensor # other places (N,H,W), bool
           )->Tensor: # (N,), 0 to 1
    "Places in both, of the places in either; 0 where there are none."
    both = (a & b).sum((1, 2))
    either = (a | b).sum((1, 2))
    return both/either.clamp(min=1)

e.edit('(a | b).sum((1, 2))', 'a.sum((1, 2)) + b.sum((1, 2))',
       'You count the places in both twice below the line. Of a + b take them off once, or use `|`.')
e.edit('both/either', '2*both/(a.sum((1, 2)) + b.sum((1, 2)))',
       'This is Dice, twice the common places over the sum of both. Here the common are a share of the union.')
e.edit('either.clamp(min=1)', 'either', 'Two empty sets give 0/0, NaN. They overlap by 0.')
e.edit('(a | b)', 'a', 'You divide by the first set alone: how much of `a` is in `b`. Divide by the places in either.')
e.edit('(a | b)', 'b', 'You divide by the second set alone: how much of `b` is in `a`. Divide by the places in either.')
e.edit('(a & b)', '(a == b)', 'Places that are in neither count as agreement too. Only those in both count.')
e.edit('(a & b)', '(a ^ b)', '`^` finds the places in exactly one. Those in both are asked for.')
e.edit('both/either.clamp(min=1)', '1 - both/either.clamp(min=1)', 'This is the distance of the sets, 1 where they '
       'have nothing in common. The overlap is what is left to 1.')
e.edit('both/either.clamp(min=1)', 'both/a[0].numel()',
       'You divide by the whole picture. It is a share of the places in either.')
e.edit('both/either.clamp(min=1)', 'both.float()', 'You count common places. A share is asked for.')
e.edit('either.clamp(min=1)', '(either + 1)', 'You add 1 to every count, so no two sets are alike. Replace only 0.')
e.edit('both/either.clamp(min=1)', '(both/either.clamp(min=1)).mean()',
       'You take the mean over all pairs. Each has its own.')
e.edit('both/either.clamp(min=1)', 'both.sum()/either.sum().expand(len(a))',
       'You put all pairs together. Each has its own.')
e.edit('both/either.clamp(min=1)', 'torch.where(either > 0, both/either.clamp(min=1), 1.)',
       'Two empty sets get 1. There is nothing that overlaps: 0.')
e.edit('both/either.clamp(min=1)', 'both/torch.minimum(a.sum((1, 2)), b.sum((1, 2))).clamp(min=1)',
       'You divide by the smaller set, so a point inside a large one overlaps wholly. Divide by the places in either.')

e.edit('both/either.clamp(min=1)', 'both', 'You count common places. A share of those in either is asked for.')

# 14.4 Off the thing

PLACES = torch.tensor([[[1, 1, 1, 1, 0]], [[0, 0, 0, 0, 0]]]).bool()
THING = torch.tensor([[[1, 0, 0, 0, 0]], [[0, 0, 1, 0, 0]]]).bool()
PLACES_, THING_ = rand(3, 9, 7) > .3, rand(3, 9, 7, seed=1) > 1.2

e = exercise('14.4', 'Off the thing',
    'Write `outside(places, thing, margin)`: the share of a map\'s places (N,H,W) that lie off the thing (N,H,W), both '
    'bool. Pixels at most `margin` away from the thing, also diagonally, count as the thing. 0 where there are no '
    'places.',
    library='camtutor.mistakes',
    trials=(gives('By hand, no margin', PLACES, THING, want=[.75, 0.]),
            gives('By hand, a margin of 1', PLACES, THING, 1, want=[.5, 0.]),
            gives('Random, no margin', PLACES_, THING_), gives('Random, a margin of 2', PLACES_, THING_, 2),
            gives('A large thing', PLACES_, THING_ | (rand(3, 9, 7, seed=2) > .2), 1),
            keeps(PLACES_, THING_), one_by_one(PLACES_, THING_)),
    hints=('The thing grows first; then count.', '`F.max_pool2d` with stride 1 makes the largest of the neighbours.',
           'A window of 2·margin + 1, padded by margin; it wants floats and an axis for channels.'),
    why='A cell of an 8×8 map is 16 pixels wide. Without a margin a map that could not be better lies partly off.')

@e.reference
def outside(places:Tensor, # of a map (N,H,W), bool
            thing:Tensor, # where the thing is (N,H,W), bool
            margin:int=0 # pixels round it that count as the thing
           )->Tensor: # (N,), 0 to 1
    "The share of the places that lie off the thing; 0 where there are none."
    grown = F.max_pool2d(thing[:, None].float(), 2*margin + 1, 1, margin)[:, 0] > 0
    off = (places & ~grown).sum((1, 2))
    return off/places.sum((1, 2)).clamp(min=1)

e.edit('F.max_pool2d(thing[:, None].float(), 2*margin + 1, 1, margin)[:, 0] > 0', 'thing',
       'The margin is not used. The thing grows by it on every side.')
e.edit('~grown', 'grown', 'This is the share *on* the thing. What lies off it is asked for.')
e.edit('.clamp(min=1)', '', 'A map without places gives 0/0, NaN. It has nothing off the thing: 0.')
e.edit('off/places.sum((1, 2)).clamp(min=1)', 'off/places[0].numel()',
       'You divide by the whole picture. The share is of the map\'s places.')
e.edit('off/places.sum((1, 2)).clamp(min=1)', 'off/(~grown).sum((1, 2)).clamp(min=1)',
       'You divide by all that is not the thing. The share is of the map\'s places.')
e.edit('off/places.sum((1, 2)).clamp(min=1)', 'off/grown.sum((1, 2)).clamp(min=1)',
       'You divide by the size of the thing. The share is of the map\'s places.')
e.edit('2*margin + 1, 1, margin', '4*margin + 1, 1, 2*margin', 'The thing grows by twice the margin.')
e.edit('places & ~grown', '~places & grown', 'These are places of the *thing* that the map leaves out.')
e.edit('thing[:, None]', 'places[:, None]', 'You let the map\'s places grow. It is the thing that grows.')
e.edit('places.sum((1, 2))', '(places & grown).sum((1, 2))',
       'You divide by the places *on* the thing. The share is of all the map\'s places.')
e.edit('off/places.sum((1, 2)).clamp(min=1)', 'off.float()', 'You count places. A share is asked for.')
e.edit('> 0', '> 1', 'Nothing counts as the thing any more: its highest value is 1.')
e.edit('F.max_pool2d(thing', '-F.max_pool2d(-thing', 'The thing shrinks by the margin. It should grow.')
e.edit('off/places.sum((1, 2)).clamp(min=1)', 'off.sum()/places.sum().clamp(min=1).expand(len(places))',
       'You put all pictures together. Each has its own.')
e.edit('F.max_pool2d(thing[:, None].float(), 2*margin + 1, 1, margin)', 'F.avg_pool2d(thing[:, None].float(), '
       '2*margin + 1, 1, margin)', '> 0', '> .5', 'You take the mean of the neighbours: only where more than half are '
       'the thing it counts. One is enough.')

e.edit('off/places.sum((1, 2)).clamp(min=1)', 'off', 'You count places. A share of the map\'s places is asked for.')
e.edit('thing[:, None]', 'places[:, None]', 'places & ~grown', 'thing & ~grown', 'off/places.sum', 'off/thing.sum',
       'Map and thing are exchanged: this is the share of the *thing* that lies off the map.')

# 14.5 The rule

RULED = [(.6, .5, .4, .1), (0., .9, .8, .1), (0., .9, .8, .9), (.6, .5, .4, .9), (0., .9, .1, .1), (0., .1, .9, .1),
         (.25, .1, .1, .0), (.1, .3, .3, .1), (.1, .9, .9, .2), (0., .9, .8, math.nan), (.7, .0, .0, math.nan),
         (0., .1, .9, .9)]

def ruled(title, rows, **thresholds):
    "A trial: the rule on many mistakes."
    from camtutor.exercises.core import Trial
    return Trial(title, lambda answer: [answer(*row, **thresholds) for row in rows])

e = exercise('14.5', 'The rule',
    'Write `cause(overlap, alone_said, alone_true, outside, near, high, off)`. Outside from `off` on: '
    '"habit of the data". Else, overlap from `near` on: "look-alikes". Else, both probabilities from `high` on: '
    '"two right answers". Else "unclear". `outside` may be NaN: nobody knows.',
    library='camtutor.mistakes',
    trials=(ruled('Twelve mistakes, the usual thresholds', RULED),
            ruled('Other thresholds', RULED, near=.65, high=.85, off=.95),
            ruled('Thresholds that nearly all reach', RULED, near=.05, high=.05, off=.05)),
    hints=('Three questions, in that order.', 'The first that says yes decides.',
           'A comparison with NaN is False, so nothing more is needed for it.'),
    why='The order matters: a habit with a map on the grass would pass for two right answers.')

@e.reference
def cause(overlap:float, # of the two maps' top places
          alone_said:float, # the probability of what was said, its map's part of the picture alone
          alone_true:float, # and of what was true
          outside:float=float('nan'), # the share of the first map's places off every thing; NaN if nobody knows
          near:float=.25, # overlap from here on: look-alikes
          high:float=.3, # both probabilities from here on: two right answers
          off:float=.2 # outside from here on: a habit
         )->str:
    "Why a network was wrong: a habit of the data, look-alikes, two right answers, or unclear."
    if outside >= off: return 'habit of the data'
    if overlap >= near: return 'look-alikes'
    return 'two right answers' if min(alone_said, alone_true) >= high else 'unclear'

e.edit('min(alone_said, alone_true)', 'max(alone_said, alone_true)',
       'One high probability is enough for you. Two answers are right only if both are high.')
e.edit('min(alone_said, alone_true)', 'alone_said', 'You do not ask about what was true. Both must be high.')
e.edit('min(alone_said, alone_true)', 'alone_true', 'You do not ask about what was said. Both must be high.')
e.edit('min(alone_said, alone_true)', '(alone_said + alone_true)/2',
       'You take the mean, so one high probability makes up for a low one. Both must be high.')
e.edit('outside >= off', 'outside > off', 'Exactly at the threshold counts too: from `off` *on*.')
e.edit('overlap >= near', 'overlap > near', 'Exactly at the threshold counts too: from `near` *on*.')
e.edit(') >= high', ') > high', 'Exactly at the threshold counts too: from `high` *on*.')
e.edit('outside >= off', 'not outside < off',
       'Where nobody knows, `outside` is NaN, and you call that a habit. `NaN < off` is False, and so `not` is True.')
e.edit('overlap >= near', 'overlap < near', 'You turn it round: look-alikes are those whose maps *overlap*.')
e.edit('outside >= off', 'outside < off', 'You turn it round: a habit is what lies *off* every thing.')
e.edit('outside >= off', 'outside >= .2', '`off` is not used: its usual value is written into the function.')
e.edit('overlap >= near', 'overlap >= .25', '`near` is not used: its usual value is written into the function.')
e.edit(') >= high', ') >= .3', '`high` is not used: its usual value is written into the function.')
e.edit(" if min(alone_said, alone_true) >= high else 'unclear'", '',
       'What is left is always "two right answers" for you. A rule should be able to say that it does not know.')

e.edit('outside >= off', 'outside > off', 'overlap >= near', 'overlap > near', ') >= high', ') > high',
       'Exactly at a threshold counts too, for all three: from there *on*.')
e.edit('outside >= off', 'outside >= .2', 'overlap >= near', 'overlap >= .25', ') >= high', ') >= .3',
       'The thresholds are not used: their usual values are written into the function.')
e.edit("    if outside >= off: return 'habit of the data'\n", '',
       'You never ask whether the map lies off the thing, so no habit is found.')

@e.wrong
def overlap_first(overlap, alone_said, alone_true, outside=math.nan, near=.25, high=.3, off=.2):
    "You ask about the overlap first. Two maps on the same grass overlap, and are a habit all the same."
    if overlap >= near: return 'look-alikes'
    if outside >= off: return 'habit of the data'
    return 'two right answers' if min(alone_said, alone_true) >= high else 'unclear'

@e.wrong
def two_first(overlap, alone_said, alone_true, outside=math.nan, near=.25, high=.3, off=.2):
    "You ask about the two probabilities first. Both may be high for look-alikes as well, on the same place."
    if min(alone_said, alone_true) >= high: return 'two right answers'
    if outside >= off: return 'habit of the data'
    return 'look-alikes' if overlap >= near else 'unclear'

@e.wrong
def habit_last(overlap, alone_said, alone_true, outside=math.nan, near=.25, high=.3, off=.2):
    "You ask about the thing last. A habit whose two parts both score high is then two right answers."
    if overlap >= near: return 'look-alikes'
    if min(alone_said, alone_true) >= high: return 'two right answers'
    return 'habit of the data' if outside >= off else 'unclear'

# 14.6 Which was called which

SAID, TRUE = torch.tensor([0, 2, 2, 1, 2, 0]), torch.tensor([0, 2, 1, 1, 1, 2])

e = exercise('14.6', 'Which was called which',
    'Write `counts_of(y, said, k)`: a matrix (k,k) of whole numbers (torch.long) that says how often each class, a '
    'row, was called each class, a column. True classes `y` and what was `said` are (N,).',
    library='camtutor.mistakes',
    trials=(gives('Worked by hand', TRUE, SAID, 3, want=torch.tensor([[1, 0, 0], [0, 1, 2], [1, 0, 1]])),
            gives('More classes than were seen', TRUE, SAID, 5),
            gives('Nothing yet', torch.tensor([], dtype=torch.long), torch.tensor([], dtype=torch.long), 4),
            gives('Fifty pictures', (rand(50).abs()*3).long().clamp(max=6),
                  (rand(50, seed=1).abs()*3).long().clamp(max=6),
                  7), keeps(TRUE, SAID, 3)),
    hints=('Each picture adds 1 to one cell.', 'Row and column make one number: y·k + said.',
           '`bincount` counts numbers; `minlength` makes room for all.'),
    why='The diagonal is what was right. Behind every other cell are pictures to look at.')

@e.reference
def counts_of(y:Tensor, # the true classes (N,)
              said:Tensor, # what was said (N,)
              k:int # how many classes there are
             )->Tensor: # (k,k): rows are true, columns said
    "How often each class was called each."
    cell = y*k + said
    return cell.bincount(minlength=k*k).view(k, k)

e.edit('y*k + said', 'said*k + y', 'Rows and columns are exchanged: rows are what is true.')
e.edit('minlength=k*k', 'minlength=0', 'view(k, k)', 'view(-1, k)',
       'Cells that come after the last one seen are missing. `minlength` makes room for all k·k.')
e.edit('.view(k, k)', '.view(k, k).float()', 'You return floats. Counts are whole numbers, torch.long.')
e.edit('.view(k, k)', '.view(k, k).fill_diagonal_(0)', 'The diagonal is 0. What was right is counted too.')
e.edit('cell.bincount(minlength=k*k).view(k, k)', 'cell.bincount(minlength=k*k)',
       'The counts are in one row. A matrix (k,k) is asked for.')

@e.wrong
def once(y, said, k):
    "You count a cell once, however many pictures it has. Adding by indexing does that too: repeats are lost."
    out = torch.zeros(k, k, dtype=torch.long)
    out[y, said] += 1
    return out

@e.wrong
def up_to_the_largest(y, said, k):
    "Your matrix ends at the largest class that was seen. It is (k,k), also where some classes never occur."
    k = int(max(y.max(), said.max())) + 1 if len(y) else 0
    return (y*k + said).bincount(minlength=k*k).view(k, k)

@e.wrong
def shares(y, said, k):
    "You return shares of each row. Counts are asked for."
    out = (y*k + said).bincount(minlength=k*k).view(k, k)
    return out/out.sum(1, keepdim=True).clamp(min=1)

@e.wrong
def mistakes_of_rows(y, said, k):
    "You count how often each class occurs, on the diagonal. Off the diagonal is what was called by another name."
    return torch.diag(y.bincount(minlength=k))

# 14.7 By hand

e = exercise('14.7', 'By hand',
    'Each of two maps has 6 top places. 4 of them are the same. What is the overlap?', reference=.5, kind='value',
    hints=('How many are in at least one?', '6 and 6, and 4 counted twice.', 'Four of eight.'),
    why='The common places are counted once below the line, so even two thirds in common give only ½.')
e.wrong(2/3, 'That is the share of *one* map that is in the other. Divide by the places in either.')
e.wrong(1/3, 'You divide by 12, and count the common places twice.')
e.wrong(4, 'That is how many are common. As a share of those in either?')
e.wrong(.25, 'That is two of eight. Four are the same, and eight are in at least one.')
e.wrong(.75, 'That is six of eight: one whole map. In both are only four.')
e.wrong(.4, 'That is four of ten. Six and six, of which four are the same, make eight.')
e.wrong(1, 'That would be the same places in both maps. Only four of six are the same.')
e.wrong(8, 'That is how many are in at least one. Which share of them is in both?')

# 14.8, 14.9 Questions

e = exercise('14.8', 'One box', 'Two animals, one label, and a box round the labelled animal alone. What does the '
    'rule call it when the network names the other?', kind='choice', reference='A habit of the data',
    hints=('Which question comes first?', 'Where is the map of what was said?', 'It lies off the box.'),
    why='The other animal is off the box, as grass would be. Somebody has to look before a habit is blamed.')
e.wrong('Two right answers', 'So it is, but the first question is whether the map lies off the box, and it does.')
e.wrong('Look-alikes', 'Their maps would overlap. Here each lies on an animal of its own.')
e.wrong('Unclear', 'That is what fits no question. Here the first one says yes.')

e = exercise('14.9', 'A control', 'You add 60 scenes that were missing, and a mistake becomes rarer. Against what do '
    'you compare?', kind='choice', reference='60 more scenes of the old kind',
    hints=('What else has changed?', 'There is more data now, of whatever kind.', 'The comparison has as much.'),
    why='More data of any kind may help. Only what the control does not do is owed to the kind of data.')
e.wrong('The network before', 'That one had 60 scenes less: any data may have helped.')
e.wrong('A network with random weights', 'It says nothing about what the 60 scenes did.')
e.wrong('The same network on the training scenes', 'Those it has seen. The question is what the 60 scenes did.')
