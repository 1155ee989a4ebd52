"Chapter 12: regions, boxes, numbers, likeness."
import torch, torch.nn.functional as F
from torch import Tensor

from camtutor.exercises.common import a_batch, gives, keeps, odd_maps, one_by_one, rand
from camtutor.exercises.declare import exercise
from camtutor.protocols import pixel_auc
from camtutor.where import mask_iou

# 12.1 Cutting a map

M = torch.tensor([[[4., 2., 0.], [0., 1., 2.]], [[8., 3., 1.], [0., 0., 4.]]])
M_ = rand(3, 5, 7)

e = exercise('12.1', 'Cutting a map',
    'Write `segment(m, threshold)`: of maps (N,H,W) the places that are at or above a share of *their own* map\'s '
    'largest value, as bool. Places at or below 0 never belong to it.',
    library='camtutor.where',
    trials=(gives('Worked by hand', M, .5, want=torch.tensor([[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 0, 1]]]).bool()),
            gives('Maps of all signs', M_, .3), gives('Maps that are seldom thought of', odd_maps(), .5),
            gives('A threshold of 0', odd_maps(), 0.), keeps(M_, .3)),
    hints=('What is the largest value of each map?',
           '`amax` takes two axes, and `keepdim` lets the result be compared.',
           'A map of negative values has a negative largest one: look at the sign as well.'),
    why='A share of the own top lets one threshold serve maps of different scales.')

@e.reference
def segment(m:Tensor, # maps (N,H,W)
            threshold:float # a share of each map's largest value
           )->Tensor: # (N,H,W) bool
    "The places of each map at or above a share of its largest value; nothing where nothing is positive."
    top = m.amax((1, 2), keepdim=True)
    return (m >= threshold*top) & (m > 0)

e.edit('m.amax((1, 2), keepdim=True)', 'm.max()',
       'You take the largest value of the whole batch. Each map has its own scale.')
e.edit('threshold*top', 'threshold',
       'You compare with the threshold itself. It is a share of the map\'s largest value.')
e.edit(' & (m > 0)', '', 'Places at or below 0 belong to your region, where the top is negative or the threshold is 0.')
e.edit('>= threshold', '> threshold', 'A place exactly at the threshold is left out. At *or* above it belongs to it.')
e.edit('>= threshold', '<= threshold', 'You keep what is *below* the threshold.')
e.edit('m.amax((1, 2), keepdim=True)', 'm.mean((1, 2), keepdim=True)',
       'You take a share of the mean. The share is of the largest value.')
e.edit('m.amax((1, 2), keepdim=True)', 'm.amax(2, keepdim=True)',
       'You take the largest value of each row. It is the map\'s largest, over both axes.')
e.edit('m.amax((1, 2), keepdim=True)', 'm.amax(1, keepdim=True)',
       'You take the largest value of each column. It is the map\'s largest, over both axes.')
e.edit('m.amax((1, 2), keepdim=True)', 'm.abs().amax((1, 2), keepdim=True)',
       'You take the largest *size*. A very negative place then raises the bar for all others.')
e.edit('m.amax((1, 2), keepdim=True)', 'm.flatten(1).quantile(threshold, 1)[:, None, None]', 'threshold*top', 'top',
       'You keep a share of the *places*. The threshold is a share of the largest value.')
e.wrong(lambda m, threshold: ((m - m.amin((1, 2), keepdim=True)) >= threshold*(
    m.amax((1, 2), keepdim=True) - m.amin((1, 2), keepdim=True))) & (m > 0),
        'You stretch the map from its lowest place first. The share is of the largest value, counted from 0.')
e.wrong(lambda m, threshold: m*((m >= threshold*m.amax((1, 2), keepdim=True)) & (m > 0)),
        'You give the values back. A region is bool: inside or not.')

e.wrong(lambda m, threshold: m >= m.flatten(1).quantile(1 - threshold, 1)[:, None, None],
        'You keep a share of the *places*, the highest. The threshold is a share of the largest *value*.')
e.edit('m.amax((1, 2), keepdim=True)', 'm[0].max()', 'You take the first map\'s largest value for all. '
       'Each has its own.')
e.edit('threshold*top', '(1 - threshold)*top', 'You turn the threshold round. A place belongs to the '
       'region from the share on upwards.')

# 12.2 A box round a mask

MASKS = torch.zeros(3, 6, 9, dtype=torch.bool)
MASKS[0, 1:4, 2:8], MASKS[1, 5, 0] = True, True

e = exercise('12.2', 'A box round a mask',
    'Write `box_round(mask)`: for masks (N,H,W) boxes (N,4), float: left, top, right, bottom by their *edges*, so '
    'right '
    'and bottom are one more than the last column and row. An empty mask has the box 0 0 0 0.',
    library='camtutor.where',
    trials=(gives('A rectangle, one pixel, nothing', MASKS, want=[[2., 1., 8., 4.], [0., 5., 1., 6.], [0.]*4]),
            gives('Random masks', rand(4, 5, 7) > 1.2), keeps(MASKS), one_by_one(MASKS)),
    hints=('`nonzero` of one mask gives rows first, then columns.',
           'Left and right come from columns, top and bottom from rows.',
           'One pixel has width 1: the right edge is its column plus one.'),
    why='By their edges, width is right less left, and boxes that touch share nothing.')

@e.reference
def box_round(mask:Tensor # (N,H,W) bool
             )->Tensor: # (N,4): left, top, right, bottom; all 0 where the mask is empty
    "The box round each mask, by its edges."
    out = torch.zeros(len(mask), 4)
    for i, one in enumerate(mask):
        if one.any():
            y, x = one.nonzero().T
            out[i] = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1])
    return out

e.edit('y, x = one', 'x, y = one', 'x and y are exchanged: `nonzero` gives rows first, and a row is a y.')
e.edit('x.max() + 1, y.max() + 1', 'x.max(), y.max()',
       'Right and bottom are the last column and row themselves. By edges they are one more.')
e.edit('x.max() + 1, y.max() + 1', 'x.max() + 1 - x.min(), y.max() + 1 - y.min()',
       'The last two are width and height. Right and bottom are asked for.')
e.edit('[x.min(), y.min(), x.max() + 1, y.max() + 1]', '[x.min(), x.max() + 1, y.min(), y.max() + 1]',
       'The order is left, right, top, bottom. It must be left, top, right, bottom.')
e.edit('torch.zeros(len(mask), 4)', 'torch.zeros(len(mask), 4, dtype=torch.long)',
       'These are whole numbers. Boxes are float here, so that they can be compared with predicted ones.')
e.edit('x.min(), y.min()', 'x.min() + 1, y.min() + 1', 'You count columns and rows from 1. The first edge is 0.')
e.edit('[x.min(), y.min(), x.max() + 1, y.max() + 1]',
       '[(x.min() + x.max() + 1)/2, (y.min() + y.max() + 1)/2, x.max() + 1 - x.min(), y.max() + 1 - y.min()]',
       'This is centre, width and height. Four edges are asked for.')
e.edit('torch.zeros(len(mask), 4)', 'torch.tensor([[0., 0., mask.shape[2], mask.shape[1]]]).repeat(len(mask), 1)',
       'An empty mask gets the whole picture as its box. It has none: four zeros.')

e.edit('x.max() + 1, y.max() + 1', 'x.max() - x.min(), y.max() - y.min()',
       'The last two are width and height, and one too small at that. Right and bottom edge are asked for.')
e.edit('one.nonzero().T', 'mask.any(0).nonzero().T', 'All masks get one box, round all of them. Each has its own.')
e.edit('return out', 'return out/torch.tensor([mask.shape[2], mask.shape[1]]*2)',
       'These are shares of the picture\'s sides. Pixels are asked for.')

# 12.3 Intersection over union

A4 = torch.tensor([[0., 0., 4., 2.], [0., 0., 1., 1.], [1., 1., 3., 5.], [0., 0., 2., 2.], [0.]*4,
                   [0., 0., 4., 1.], [0., 0., 2., 2.], [0., 0., 1., 1.]])
B4 = torch.tensor([[2., 0., 6., 2.], [3., 4., 5., 9.], [1., 1., 3., 5.], [.5, .5, 1.5, 1.], [0.]*4,
                   [1., 3., 3., 4.], [1., 1., 3., 3.], [0., 0., 3., 3.]])
R4 = torch.cat([rand(6, 2), rand(6, 2) + rand(6, 2, seed=1).abs() + .1], 1)

e = exercise('12.3', 'Intersection over union',
    'Write `iou(a, b)`: for two tensors of boxes (…,4), left top right bottom, the area both share over the area that '
    'either covers, pair by pair: (…). Boxes apart give 0; so do two empty ones.',
    library='camtutor.where',
    trials=(gives('Worked by hand', A4, B4, want=[1/3, 0., 1., 1/8, 0., 0., 1/7, 1/9]),
            gives('Random boxes', R4, R4.flip(0)),
            gives('Single boxes', A4[0], B4[0]), gives('A grid of boxes', R4.view(2, 3, 4), R4.flip(0).view(2, 3, 4)),
            keeps(A4, B4)),
    hints=('The shared box begins at the larger left and ends at the smaller right.',
           'Sides that come out negative mean that nothing is shared: cut each at 0 before you multiply.',
           'What both share is counted twice in the sum of the areas.'),
    why='It punishes a box that is too large as much as one that is too small.')

@e.reference
def iou(a:Tensor, # boxes (…,4): left, top, right, bottom
        b:Tensor # others, one for each
       )->Tensor: # (…), 0 to 1
    "Intersection over union of boxes, pair by pair; 0 where both are empty."
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    both = sides.clamp(min=0).prod(-1)
    areas = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1)
    return both/(areas - both).clamp(min=1e-12)

e.edit('sides.clamp(min=0).prod(-1)', 'sides.prod(-1).clamp(min=0)',
       'You cut the product. Two negative sides make a positive area: cut each side at 0 first.')
e.edit('sides.clamp(min=0)', 'sides',
       'Boxes apart have negative sides, and their product is an area. Cut each side at 0.')
e.edit('(areas - both)', 'areas',
       'You divide by the sum of both areas. The union counts what is shared only once: take it off.')
e.edit('both/(areas - both).clamp(min=1e-12)', 'both',
       'This is the intersection without the union. A huge box would always be best.')
e.edit('both/(areas - both).clamp(min=1e-12)', '2*both/areas.clamp(min=1e-12)',
       'This is the Dice score, twice the shared area over the sum. IoU divides by the union.')
e.edit('both/(areas - both).clamp(min=1e-12)', 'both/(b[..., 2:] - b[..., :2]).prod(-1).clamp(min=1e-12)',
       'You divide by one of the two areas. A box that covers everything would be perfect.')
e.edit('both/(areas - both).clamp(min=1e-12)', 'both/(a[..., 2:] - a[..., :2]).prod(-1).clamp(min=1e-12)',
       'You divide by the first area alone. A tiny box inside would be perfect.')
e.edit('.clamp(min=1e-12)', '', 'Two empty boxes give 0/0. They share nothing: 0.')
e.edit('a[..., 2:] - a[..., :2]', 'a[..., 2:]', 'b[..., 2:] - b[..., :2]', 'b[..., 2:]',
       'You read the last two numbers as width and height. They are the right and the bottom edge.')
e.edit('sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])',
       'sides = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])',
       'This is the box round both, not what they share: larger left, smaller right.')
e.edit('(areas - both)', '(torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)',
       'You divide by the box round both. The union is smaller: both areas, less what is shared.')
e.edit(' - torch.maximum(a[..., :2], b[..., :2])', ' - torch.maximum(a[..., :2], b[..., :2]) + 1',
       'You add one pixel to each side, as for boxes that name their last place. These go by edges.')

e.edit('sides.clamp(min=0).prod(-1)', 'sides.clamp(min=0).sum(-1)', '(a[..., 2:] - a[..., :2]).prod(-1)',
       '(a[..., 2:] - a[..., :2]).sum(-1)', '(b[..., 2:] - b[..., :2]).prod(-1)', '(b[..., 2:] - b[..., :2]).sum(-1)',
       'You add width and height. An area is their product.')
e.edit('(areas - both)', 'torch.minimum((a[..., 2:] - a[..., :2]).prod(-1), (b[..., 2:] - b[..., :2]).prod(-1))',
       'You divide by the smaller area. A tiny box inside would be perfect.')
e.edit('(areas - both)', 'torch.maximum((a[..., 2:] - a[..., :2]).prod(-1), (b[..., 2:] - b[..., :2]).prod(-1))',
       'You divide by the larger area. The union is both areas, less what is shared.')

# 12.4 One threshold for all

X4, T4 = rand(5, 6, 8).abs(), rand(5, 6, 8, seed=1) > .4
X4 = X4*torch.tensor([1., 1., 9., .2, 3.])[:, None, None] + T4*.6
SEVERAL = (.1, .3, .5, .7)
Z4 = rand(5, 4, 5, seed=14).abs() # mean, median and the commonest choose differently
V4 = Z4/Z4.amax((1, 2), keepdim=True) + .6*rand(5, 4, 5, seed=5014) > .45
Y4 = rand(4, 5, 6, seed=262).abs()*torch.tensor([1., 3., .5, 2.])[:, None, None] # one is wide where another is high
U4 = Y4/Y4.amax((1, 2), keepdim=True) + .35*rand(4, 5, 6, seed=1261) > .45

e = exercise('12.4', 'A threshold chosen elsewhere',
    'Write `best_threshold(m, mask, thresholds)`: of the thresholds the one for which the *mean* IoU of all pictures '
    'is '
    'largest. `segment(m, t)` and `mask_iou(a, b)` of `camtutor.where` are there for you.',
    library='camtutor.where',
    trials=(gives('Maps (5,6,8), four thresholds', X4, T4, SEVERAL),
            gives('Others', rand(7, 5, 4), rand(7, 5, 4) > 0, SEVERAL),
            gives('Maps of four scales', Y4, U4, SEVERAL),
            gives('Five pictures', Z4, V4, SEVERAL),
            gives('One picture likes another', X4[:2], T4[2:4], (.2, .8, .4)), gives('Thin masks', X4, X4 > 2.,
            (.6, .2, .9)),
            gives('Unlike sizes', torch.stack([torch.arange(12.).view(3, 4)]*3), torch.stack(
                [torch.arange(12).view(3, 4) > 1, torch.arange(12).view(3, 4) > 1, torch.arange(12).view(3, 4) > 9]),
                (.9, .3, .15)), keeps(X4, T4, SEVERAL)),
    hints=('For each threshold one number: the mean over the pictures.',
           'Then the place of the largest of these numbers.',
           '`argmax` gives the place; the threshold stands there in the list.'),
    why='One number for all can be used on a picture without a mask.')

@e.reference
def best_threshold(m:Tensor, # maps (N,H,W)
                   mask:Tensor, # their truth (N,H,W), bool
                   thresholds # to choose from
                  )->float:
    "The threshold with the largest mean IoU over all these pictures."
    from camtutor.where import segment
    means = torch.stack([mask_iou(segment(m, t), mask).mean() for t in thresholds])
    return thresholds[means.argmax()]

e.edit('return thresholds[means.argmax()]', 'return means.argmax().item()',
       'You give the *place* of the best threshold. The threshold itself is asked for.')
e.edit('return thresholds[means.argmax()]', 'return means.max().item()',
       'You give the best mean IoU. The threshold that reaches it is asked for.')
e.edit('argmax', 'argmin', 'You take the worst threshold.')
e.edit('mask_iou(segment(m, t), mask).mean()', 'mask_iou(segment(m, t), mask).median()',
       'You take the median of the pictures. The mean is asked for.')
e.edit('mask_iou(segment(m, t), mask).mean()', 'mask_iou(segment(m, t), mask).max()',
       'You look at the picture that does best. All of them count: the mean.')
e.edit('mask_iou(segment(m, t), mask).mean()', '(segment(m, t) == mask).float().mean()',
       'You count places that agree. Mostly that is background: take the IoU.')
e.edit('mask_iou(segment(m, t), mask).mean()', '(segment(m, t) & mask).sum().float()',
       'You take the intersection without the union, so the lowest threshold always wins.')
e.edit('mask_iou(segment(m, t), mask).mean()',
       '((segment(m, t) & mask).sum()/(segment(m, t) | mask).sum().clamp(min=1))',
       'You pool all pictures into one IoU, so large animals count more. Take each picture\'s IoU, then the mean.')
e.edit('segment(m, t)', '(m >= t)',
       'You compare with the threshold itself. It is a share of each map\'s largest value.')
e.edit('segment(m, t)', '(m >= t*m.max())', 'You take a share of the largest value of *all* maps. Each has its own.')
e.wrong(lambda m, mask, thresholds: sum(best_threshold(a[None], b[None], thresholds) for a, b in zip(m, mask))/len(m),
        'You choose a threshold for each picture, and take their mean. One is chosen for all, by the mean IoU.')
e.wrong(lambda m, mask, thresholds: [best_threshold(a[None], b[None], thresholds) for a, b in zip(m, mask)],
        'You choose a threshold for each picture. Who uses the map has no mask: one for all is asked for.')

e.edit('mask_iou(segment(m, t), mask).mean()', 'mask_iou(segment(m[:1], t), mask[:1]).mean()',
       'You look at the first picture alone. All of them count: the mean.')
e.edit('mask_iou(segment(m, t), mask).mean()', 'mask_iou(segment(m, t), mask).min()',
       'You look at the picture that does worst. All of them count: the mean.')

@e.wrong
def mode_of_each(m, mask, thresholds):
    "You choose a threshold for each picture, and take the commonest. One is chosen for all, by the *mean* IoU."
    each = torch.stack([mask_iou(segment(m, t), mask) for t in thresholds])
    return thresholds[each.argmax(0).mode().values]

# 12.5 Average precision of places

P1, Q1 = torch.tensor([[[4., 3.], [2., 1.]]]), torch.tensor([[[1, 0], [1, 0]]]).bool()
P5, Q5 = rand(3, 4, 5).abs()*torch.tensor([1., 7., .1])[:, None, None], rand(3, 4, 5, seed=1) > .3

e = exercise('12.5', 'Average precision of places', hard=True,
    task='Write `pixel_ap(m, mask)`: scale each map by its largest value, negative places cut; put the places of all '
    'pictures into one row, highest first. Average precision is the mean, over the places inside a mask, of the share '
    'of inside places among all that are as high or higher. A float.',
    library='camtutor.where',
    trials=(gives('Worked by hand', P1, Q1, want=(1 + 2/3)/2), gives('Maps of three scales', P5, Q5),
            gives('Maps of all signs', rand(2, 5, 6), rand(2, 5, 6, seed=1) > 0),
            gives('Equal values', torch.tensor([[[1., 1., 1., .5]]]), torch.tensor([[[0, 0, 1, 1]]]).bool(),
            want=(1/3 + 2/4)/2),
            gives('All equal', torch.ones(1, 2, 2), Q1, want=.5), keeps(P5, Q5)),
    hints=('Sort once, then `cumsum`: how many inside so far, how many in all.',
           'Equal values come together: each of them sees all of its equals.',
           'Take the cumulative sums at the last of each run of equal values.'),
    why='It needs no threshold, and its floor is the share of the picture that the animal covers.')

@e.reference
def pixel_ap(m:Tensor, # maps (N,H,W), each of its own scale
             mask:Tensor # their truth (N,H,W), bool
            )->float: # 0 to 1
    "Average precision of the places of all pictures together, each map from 0 to its largest."
    m = m.clamp(min=0)
    m = (m/m.amax((1, 2), keepdim=True).clamp(min=1e-12)).flatten()
    value, order = m.sort(descending=True)
    hits = mask.flatten()[order].double()
    last = torch.cat([value[1:] != value[:-1], torch.tensor([True])])
    found, seen = hits.cumsum(0)[last], torch.arange(1, len(m) + 1)[last]
    return ((found.diff(prepend=found.new_zeros(1))*found/seen).sum()/hits.sum()).item()

e.edit('m.amax((1, 2), keepdim=True)', 'm.max()', 'The maps keep their scales, so one picture comes '
       'before all others. Scale each by its own largest value.')
e.edit('descending=True', 'descending=False', 'You begin with the *lowest* place.')
e.edit('torch.cat([value[1:] != value[:-1], torch.tensor([True])])', 'torch.ones_like(value, dtype=torch.bool)',
       'Equal values come in the order in which they happen to lie. They must count together.')
e.edit('/hits.sum()).item()', '/len(hits)).item()', 'You divide by all places. The mean is over those inside a mask.')
e.edit('m = m.clamp(min=0)\n    ', '', 'Negative places keep their order. They are cut at 0, and equal then.')
e.wrong(lambda m, mask: sum(pixel_ap(a[None], b[None]) for a, b in zip(m, mask))/len(m),
        'You take the mean of each picture\'s own value. All places go into *one* row.')
e.wrong(lambda m, mask: (mask.flatten()[m.flatten().argsort(descending=True)][:mask.sum()]).float().mean().item(),
        'You look at one cut: as many places as the masks have. Average precision looks at every place inside.')

e.edit('mask.flatten()[order]', '(~mask).flatten()[order]', 'You look at the places *outside* the masks.')
e.wrong(lambda m, mask: (m.clamp(min=0)*mask).sum().item()/m.clamp(min=0).sum().item(),
        'This is the share of the maps that lies inside. Precision counts *places*, in their order.')
e.wrong(lambda m, mask: pixel_auc(m, mask).mean().item(),
        'This is how often a place inside is higher than one outside: the area under another curve. Take precision.')
e.wrong(lambda m, mask: pixel_auc((m.clamp(min=0)/m.amax((1, 2), keepdim=True)).view(1, 1, -1),
                                  mask.view(1, 1, -1)).item(),
        'This is how often a place inside is higher than one outside, over all pictures. Precision is asked for.')

# 12.6 Seeds

S6 = torch.tensor([[[9., 5., 1., 7.], [8., 4., 0., 6.]]])
S6_ = rand(3, 4, 5)

def seeded_once(*args):
    "Values without ties, so that any way of sorting gives the same."
    return gives('Random maps, other shares', S6_, *args)

e = exercise('12.6', 'Seeds',
    'Write `seeds(m, high, low)`: of maps (N,h,w) labels (N,h,w), int64: 1 for the highest share `high` of each map\'s '
    'places, 0 for the lowest share `low`, -100 for all others. The shares are rounded to whole places.',
    library='camtutor.where',
    trials=(gives('Worked by hand', S6, .25, .5, want=torch.tensor([[[1, 0, 0, -100], [1, 0, 0, -100]]])),
            seeded_once(.2, .3), gives('Nothing is low', S6_, .4, 0.), gives('Nothing is high', S6_, 0., .4),
            gives('Maps of two scales', S6_*torch.tensor([1., 50., .1])[:, None, None], .3, .3),
            gives('Shares that need rounding', S6_, .19, .41), keeps(S6_, .2, .3), one_by_one(S6_, .2, .3,
            batched=[0])),
    hints=('A share of the places: each place needs its rank.', '`argsort` twice gives ranks.',
           'Begin with -100 everywhere, then write the ones and the zeros.'),
    why='-100 is what `cross_entropy` leaves out: nothing is claimed where the map is unsure.')

@e.reference
def seeds(m:Tensor, # maps (N,h,w)
          high:float, # the share of places, the highest, that become 1
          low:float # the share, the lowest, that become 0
         )->Tensor: # (N,h,w) int: 1, 0, or -100 where nothing is said
    "Labels for a segmentation network from the surest places of each map."
    n = m[0].numel()
    order = m.flatten(1).argsort(1, descending=True).argsort(1).view(m.shape)
    labels = torch.full(m.shape, -100)
    labels[order < round(high*n)] = 1
    labels[order >= n - round(low*n)] = 0
    return labels

e.edit('m.shape, -100', 'm.shape, 0', 'The places in between are background. Nothing is said about them: -100.')
e.edit('m.shape, -100', 'm.shape, -1',
       'The places in between are -1, which `cross_entropy` does not leave out. It is -100.')
e.edit('descending=True', 'descending=False', 'High and low are exchanged: you sort the lowest place first.')
e.edit('] = 1', '] = 2', '] = 0', '] = 1', 'You count labels from 1. The animal is 1, the background 0.')
e.edit('.argsort(1, descending=True).argsort(1)', '.argsort(1, descending=True)',
       'One `argsort` tells which place is first, not which rank a place has. Sort twice.')
e.edit('n - round(low*n)', 'round(low*n)',
       'All but the highest `low` become 0. It is the *lowest* share: count from the end.')
e.edit('round(high*n)', 'int(high*n)', 'round(low*n)', 'int(low*n)',
       'You cut the number of places down. It is rounded.')
e.wrong(lambda m, high, low: torch.where(m >= (1 - high)*m.amax((1, 2), keepdim=True), 1, torch.where(
    m <= low*m.amax((1, 2), keepdim=True), 0, -100)),
        'You cut by value, so a map of one bright place has one seed. The shares are of the *places*.')
e.wrong(lambda m, high, low: seeds(m, high, low).float(),
        'The labels are float. Classes for `cross_entropy` are whole numbers.')
e.wrong(lambda m, high, low: seeds(m, low, high), 'The two shares are exchanged.')

e.wrong(lambda m, high, low: seeds(m, high, low) == 1, 'You tell animal from all else. Three labels: 1, 0, -100.')
e.edit('labels[order >= n - round(low*n)] = 0\n    ', '',
       'Nothing becomes background. Without zeros a student says animal everywhere.')
e.edit('labels[order < round(high*n)] = 1\n    ', '', 'Nothing becomes animal. Write the ones, too.')

@e.wrong
def seeds_together(m, high, low):
    "You rank the places of all maps together. Each map has its own highest places."
    n, rank = m.numel(), m.flatten().argsort(descending=True).argsort().view(m.shape)
    return torch.where(rank < round(high*n), 1, torch.where(rank >= n - round(low*n), 0, -100))

# 12.7 Compared with what?

A7, G7 = a_batch()
A0 = rand(5, seed=4).abs()

e = exercise('12.7', 'Compared with what?',
    'Write `contrast(A, g, A0)`: for activations and gradients (N,C,h,w), and ordinary activations (C,), how much each '
    'place moves the number away from ordinary: (A - A0)·g summed over channels, with its sign, (N,h,w).',
    library='camtutor.where',
    trials=(gives('Worked by hand', torch.tensor([[[[3., 1.]],
            [[0., 2.]]]]), torch.ones(1, 2, 1, 2), torch.tensor([1., 1.]),
                  want=[[[1., 1.]]]),
            gives('Random, not square', A7, G7, A0), gives('Against nothing', A7, G7, torch.zeros(5)),
            keeps(A7, G7, A0), one_by_one(A7, G7, A0, batched=[0, 1])),
    hints=('`A0` has one number for each channel.', 'It needs two more axes to be taken off.',
           'Then multiply by g, and sum over axis 1.'),
    why='The map adds up to this picture\'s number less the ordinary one.')

@e.reference
def contrast(A:Tensor, # activations (N,C,h,w)
             g:Tensor, # gradients of a number, same shape
             A0:Tensor # what they are compared with (C,)
            )->Tensor: # (N,h,w), with its sign
    "How much each place moves a number away from what it would be if all places were ordinary."
    return ((A - A0[:, None, None])*g).sum(1)

e.edit('.sum(1)', '.sum(1).relu()', 'The sign is lost: a place that lowers the number is cut to 0. Leave the ReLU out.')
e.edit('.sum(1)', '.sum(1).abs()', 'The sign is lost: what lowers the number looks like what raises it.')
e.edit(' - A0[:, None, None]', '', 'You compare with activations of 0, which no picture has. Take `A0` off.')
e.edit('A - A0[:, None, None]', 'A0[:, None, None] - A', 'The sign is turned: ordinary less this picture.')
e.edit('A - A0[:, None, None]', 'A - A.mean((0, 2, 3))[:, None, None]',
       'You compare with the mean of *this batch*, so a picture changes with its neighbours. Use `A0`.')
e.edit('A - A0[:, None, None]', 'A - A.mean((2, 3), keepdim=True)',
       'You compare each picture with its own mean, so the map adds up to nothing. Use `A0`.')
e.edit('A - A0[:, None, None]', 'A - A0.mean()', 'You take off one number for all channels. Each has its own.')
e.edit('.sum(1)', '.mean(1)', 'You take the mean over channels, so the map no longer adds up. Sum them.')
e.edit('*g).sum(1)', '*g.mean((2, 3), keepdim=True)).sum(1)',
       'You take the mean gradient of each channel, as Grad-CAM does. Multiply place by place.')
e.edit('((A - A0[:, None, None])*g).sum(1)', '(A*g).sum(1) - A0.sum()',
       'You take `A0` off after the product. It belongs to the activations, before they meet the gradient.')
e.edit('((A - A0[:, None, None])*g).sum(1)', '((A - A0[:, None, None])*g).relu().sum(1)',
       'You cut channel by channel what lowers the number. Sum first, and keep the sign.')
e.edit('.sum(1)', '.sum(0)', 'You sum over the batch. Channels are axis 1.')
e.edit('.sum(1)', '', 'All channels are still there. Sum over axis 1.')

e.edit('(A - A0[:, None, None])*g', '(A - A0[:, None, None]).relu()*g',
       'What is less than ordinary is cut to 0. It counts too: keep the sign.')
e.edit('.sum(1)', '.sum((1, 2, 3))', 'You sum over the places too. A map (N,h,w) is asked for.')
e.edit('.sum(1)', '.amax(1)', 'You take the largest channel. All of them are summed.')

# 12.8 Triplets

E8 = torch.tensor([[1., 0.], [1., 0.], [0., 1.], [0., 2.]])
W8 = torch.tensor([0, 1, 0, 1])
MIXED = torch.tensor([[1., 0.], [1., .1], [-1., .2], [0., -1.]])
E8_, W8_ = rand(7, 5, seed=2), torch.tensor([0, 1, 2, 0, 1, 2, 0])

e = exercise('12.8', 'Triplets', graph=True,
    task='Write `triplet(e, who, margin)`: for embeddings (N,D) and whose picture each is (N,), the mean over '
    'pictures of '
    'margin + (largest cosine with a *stranger\'s* picture) - (smallest cosine with one of its *own*), each cut at 0. '
    'A '
    'picture counts as one of its own.',
    library='camtutor.where',
    trials=(gives('Worked by hand: own 0, stranger 1', E8, W8, .1, want=torch.tensor(1.1)),
            gives('All is well', E8, torch.tensor([0, 0, 1, 1]), .1, want=torch.tensor(0.)),
            gives('Random', E8_, W8_, .1), gives('Another margin', E8_, W8_, .7),
            gives('Some are right by far', MIXED, torch.tensor([0, 0, 1, 1]), .1),
            gives('Strangers far away', MIXED, torch.tensor([0, 0, 1, 1]), 2.5), keeps(E8_, W8_, .1)),
    hints=('Normalise, then one product gives all cosines (N,N).', 'A mask (N,N) says who is one of its own.',
           'Fill what does not count with a number that never wins, beyond -1 and 1.'),
    why='The hardest of each kind teach most. What is right by the margin teaches nothing.')

@e.reference
def triplet(e:Tensor, # embeddings (N,D)
            who:Tensor, # whose picture each is (N,)
            margin:float
           )->Tensor: # one number
    "The mean of (margin + cosine of the likest stranger - cosine of the least like of its own), each cut at 0."
    e = F.normalize(e, dim=1)
    alike, same = e @ e.T, who[:, None] == who
    own = alike.masked_fill(~same, 2).amin(1)
    stranger = alike.masked_fill(same, -2).amax(1)
    return (margin + stranger - own).relu().mean()

e.edit('e = F.normalize(e, dim=1)\n    ', '',
       'These are dot products, so long vectors are like everything. Normalise first.')
e.edit('F.normalize(e, dim=1)', 'F.normalize(e, dim=0)',
       'You normalise over the pictures. Each vector gets length 1: axis 1.')
e.edit('.relu().mean()', '.mean()', 'A picture that is right by far makes up for others. Cut each at 0.')
e.edit('.relu().mean()', '.mean().relu()', 'You cut the mean. Each picture is cut by itself, then comes the mean.')
e.edit('.relu().mean()', '.relu().sum()', 'You sum over pictures. The mean is asked for.')
e.edit('stranger - own', 'own - stranger', 'The sign is turned: this pushes a picture away from its own.')
e.edit('(margin + stranger', '(stranger', 'The margin is missing, so it is enough if own and stranger are equal.')
e.edit('(margin + stranger', '(stranger - margin',
       'You take the margin off. It is added: own must be nearer *by the margin*.')
e.edit('.masked_fill(~same, 2).amin(1)', '.masked_fill(~same, -2).amax(1)',
       'You take the *likest* of its own, which is the picture itself, so the cosine is always 1.')
e.edit('.masked_fill(same, -2).amax(1)', '.masked_fill(same, 2).amin(1)',
       'You take the stranger that is *least* like. The likest one is the danger.')
e.edit('.masked_fill(~same, 2)', '.masked_fill(~same, 0)',
       'You fill strangers with 0, which may be the smallest. Fill with more than 1.')
e.edit('.masked_fill(same, -2)', '.masked_fill(same, 0)',
       'You fill its own with 0, which may be the largest. Fill with less than -1.')
e.edit('alike.masked_fill(~same, 2).amin(1)', '(alike*same).sum(1)/same.sum(1)',
       'You take the mean of its own. The least like of them is asked for.')
e.edit('alike.masked_fill(same, -2).amax(1)', '(alike*~same).sum(1)/(~same).sum(1)',
       'You take the mean of the strangers. The likest of them is asked for.')
e.edit('e = F.normalize(e, dim=1)', 'e = F.normalize(e, dim=1).detach()',
       'The graph ends at your vectors, so nothing can learn from the loss. Do not detach.')

e.edit('alike, same = e @ e.T', 'alike, same = -torch.cdist(e, e)',
       'You take distances. The margin is meant for cosines, of which 1 is the largest.')
e.edit('same = e @ e.T, who[:, None] == who', 'same = e @ e.T, torch.eye(len(e), dtype=torch.bool)',
       'Only the picture itself counts as its own. All with the same number in `who` do.')
e.edit('.relu().mean()', '.relu()', 'This is one number for each picture. Their mean is asked for.')

# 12.9 Witnesses

E9, S9, L9 = rand(3, 4), rand(5, 4, seed=1), torch.tensor([2, 0, 1, 0, 2])

e = exercise('12.9', 'Witnesses',
    'Write `matching(e, support, labels, scale)`: each known picture (S,D) votes on each new one (N,D) by a softmax '
    'over '
    'the known ones of scale times the cosine. Return scores (N,K), the votes added up for each label (S,), and the '
    'votes '
    '(N,S).',
    library='camtutor.where',
    trials=(gives('Three new, five known', E9, S9, L9, 20.), gives('A soft vote', E9, S9, L9, 1.),
            gives('Vectors of other lengths', 3*E9, S9*torch.tensor([1., 9., .1, 2., 5.])[:, None], L9, 5.),
            gives('Four labels', E9, S9, torch.tensor([3, 1, 0, 2, 1]), 5.), keeps(E9, S9, L9, 5.),),
    hints=('Cosines (N,S): both sides normalised, one product.', 'The softmax is over the S known pictures.',
           '`F.one_hot(labels)` is (S,K): a product adds the votes up.'),
    why='An answer that is a sum of votes names its witnesses.')

@e.reference
def matching(e:Tensor, # embeddings of new pictures (N,D)
             support:Tensor, # of known ones (S,D)
             labels:Tensor, # whose they are (S,), from 0
             scale:float # how much the likest outvotes the others
            )->tuple: # scores (N,K), and the votes (N,S), which sum to 1
    "Each known picture votes for its label, by a softmax of cosines."
    votes = (scale*F.normalize(e, dim=1) @ F.normalize(support, dim=1).T).softmax(1)
    return votes @ F.one_hot(labels).to(votes), votes

e.edit('.softmax(1)', '.softmax(0)',
       'The softmax runs over the new pictures. Each new one has its own vote, over the known: axis 1.')
e.edit('.softmax(1)', '', 'These are cosines, no votes. A softmax over the known pictures makes them sum to 1.')
e.edit('.softmax(1)', '.sigmoid()', 'Each known picture votes by itself. A softmax makes them share one vote.')
e.edit('F.normalize(e, dim=1)', 'e', 'The new vectors keep their lengths. A cosine needs both normalised.')
e.edit('F.normalize(support, dim=1)', 'support', 'The known vectors keep their lengths, so long ones outvote others.')
e.edit('scale*', '', '`scale` is not used. It says how much the likest outvotes the others.')
e.edit('scale*', '1/scale*', 'You divide by the scale. A larger one shall make the vote *harder*.')
e.edit('return votes @ F.one_hot(labels).to(votes), votes', 'return votes @ F.one_hot(labels).to(votes)',
       'The votes are missing: two things are to be returned.')
e.edit('votes @ F.one_hot(labels).to(votes), votes', 'votes, votes @ F.one_hot(labels).to(votes)',
       'The two are exchanged: scores first, then votes.')
e.edit('votes @ F.one_hot(labels).to(votes)', 'votes @ (F.one_hot(labels)/F.one_hot(labels).sum(0)).to(votes)',
       'You take the mean of each label\'s votes. They are added up.')
e.edit('votes @ F.one_hot(labels).to(votes)', 'votes @ F.one_hot(labels.flip(0)).to(votes)',
       'The votes are counted for another picture\'s label.')
e.edit('votes @ F.one_hot(labels).to(votes), votes', 'votes @ F.one_hot(labels).to(votes), votes.argmax(1)',
       'You give the number of the strongest witness. All votes (N,S) are asked for.')
e.wrong(lambda e, support, labels, scale: (torch.stack([matching(e, support, labels, scale)[1][:, labels == k].amax(1)
        for k in range(int(labels.max()) + 1)], 1), matching(e, support, labels, scale)[1]),
        'You take each label\'s strongest vote. They are added up.')

e.edit('votes @ F.one_hot(labels).to(votes), votes',
       'F.one_hot(labels[votes.argmax(1)], int(labels.max()) + 1).to(votes), votes',
       'Only the strongest witness counts. All votes are added up.')
e.edit('F.normalize(e, dim=1) @ F.normalize(support, dim=1).T', '-torch.cdist(e, support)',
       'You compare by distance. The cosine is asked for.')

# 12.10 A likeness that adds up

E10, O10 = rand(3, 4, seed=5), rand(3, 4, seed=6)

def value_and_gradient(title, e, other, want=None):
    "A trial: the score, and what goes back to the embeddings."
    from camtutor.exercises.core import Trial
    def run(answer):
        mine = e.clone().requires_grad_()
        found = answer(mine, other.clone())
        if not isinstance(found, Tensor) or not found.requires_grad: return found
        return {'score': found.detach(), 'gradient': torch.autograd.grad(found.sum(), mine)[0]}
    return Trial(title, run, want) if want else Trial(title, run)

e = exercise('12.10', 'A likeness that adds up', graph=True, hard=True,
    task='Write `likeness(e, other)`: the cosine (N,) of each pair of two batches of embeddings (N,D), as a target: '
    'the lengths are constants for the way back, so that e times its gradient sums to the cosine. `other` is a '
    'constant altogether.',
    trials=(value_and_gradient('Worked by hand', torch.tensor([[3., 4.]]), torch.tensor([[5., 0.]]),
                               {'score': torch.tensor([.6]), 'gradient': torch.tensor([[.2, 0.]])}),
            value_and_gradient('Random', E10, O10), gives('The score', E10, O10),
            value_and_gradient('Long vectors', 7*E10, O10*9)),
    hints=('A cosine is a dot product over two lengths.', 'What has no gradient is detached.',
           'Detach the *length* of `e`, not `e` itself.'),
    why='With the length in the graph every map of a cosine sums to 0, whatever the pictures are.')

@e.reference
def likeness(e:Tensor, # embeddings (N,D)
             other:Tensor # what each is compared with (N,D)
            )->Tensor: # cosines (N,)
    "The cosine of each pair; lengths count as constants."
    return (e*F.normalize(other.detach(), dim=1)).sum(1)/e.detach().norm(dim=1)

e.edit('e.detach().norm', 'e.norm',
       'The length of `e` is in the graph. The value is right, but the map of it sums to 0: '
       'detach the length.')
e.edit('(e*F.', '(e.detach()*F.', 'e.detach().norm', 'e.norm',
       'You detach `e` and keep its length in the graph. It is the other way round.')
e.edit('/e.detach().norm(dim=1)', '', 'The length of `e` is missing: this is no cosine.')
e.edit('F.normalize(other.detach(), dim=1)', 'other.detach()', 'The length of `other` is missing: this is no cosine.')
e.edit('.sum(1)/', '.mean(1)/', 'You take the mean over the vector. A dot product is a sum.')
e.edit('.sum(1)/', '.sum(0)/', 'You sum over the pictures. A dot product runs over axis 1.')
e.edit('.sum(1)/e.detach().norm(dim=1)', '.sum(1)/e.detach().square().sum(1)',
       'You divide by the squared length. One root is missing.')
e.wrong(lambda e, other: 1 - F.cosine_similarity(e, other), 'This is a distance: 1 less the cosine.')
e.edit('/e.detach().norm(dim=1)', '/e.detach().norm()', 'You take the length of the whole batch. Each vector '
       'has its own.')
e.wrong(lambda e, other: torch.nn.functional.cosine_similarity(e, other).square(), 'You square the cosine.')

# 12.11 Without each witness

E11, S11 = rand(5, 4, seed=7), rand(6, 4, seed=8)
L11 = torch.tensor([0, 1, 2, 2, 0, 1])

e = exercise('12.11', 'Without each witness', hard=True,
    task='Write `lead_without(e, support, labels, scale)`: leave each known picture (S,D) out in turn, and let the '
    'others of `matching` vote again. Return how far the answer of *all* votes then leads over the best other label, '
    '(N,S); below 0 it is no longer the answer.',
    library='camtutor.where',
    trials=(gives('Five new, six known', E11, S11, L11, 3.), gives('A harder vote', E11, S11, L11, 9.),
            gives('Uneven: a label with one picture', E9, S9, L9, 2.), gives('The other order', E9, S9.flip(0), L9, 4.),
            keeps(E11, S11, L11, 3.)),
    hints=('`matching(e, support, labels, scale)` gives scores (N,K) and votes (N,S).',
           'Those who are left share one vote: what they had, over 1 less the vote that is gone.',
           'The answer is chosen once, from all votes; its lead can be negative.'),
    why='A loud witness has decided nothing where another says the same.')

@e.reference
def lead_without(e:Tensor, # embeddings of new pictures (N,D)
                 support:Tensor, # of known ones (S,D)
                 labels:Tensor, # whose they are (S,), from 0
                 scale:float # see `matching`
                )->Tensor: # (N,S), from -1 to 1
    "How far the answer leads once each known picture is left out; below 0 it is no longer the answer."
    from camtutor.where import matching
    scores, votes = matching(e, support, labels, scale)
    gone = votes[:, :, None]*F.one_hot(labels)
    left = (scores[:, None] - gone)/(1 - votes)[:, :, None].clamp(min=1e-6)
    answer = F.one_hot(scores.argmax(1), scores.shape[1]).bool()[:, None]
    return (left*answer).sum(2) - left.masked_fill(answer, -1).amax(2)

e.edit('/(1 - votes)[:, :, None].clamp(min=1e-6)', '',
       'The votes that are left do not sum to 1. Share the whole among them: divide by 1 less the vote that is gone.')
e.edit('(1 - votes)[:, :, None]', 'votes[:, :, None]',
       'You divide by the vote that is gone. What is left sums to 1 less that vote.')
e.edit('.masked_fill(answer, -1)', '', 'The best label may be the answer itself, so the lead is never above 0. '
       'Compare with the best *other* one.')
e.edit('scores.argmax(1), scores.shape[1]', 'left.argmax(2), scores.shape[1]', '.bool()[:, None]', '.bool()',
       'You choose the answer anew each time, so its lead is never below 0. It is the answer of *all* votes.')
e.edit('scores[:, None] - gone', 'scores[:, None] + gone', 'You count the picture twice. It is to be left out.')
e.edit('(left*answer).sum(2) - left.masked_fill(answer, -1).amax(2)', '(left*answer).sum(2)',
       'This is the answer\'s share. Its lead is that less the best other label\'s.')
e.edit('(left*answer).sum(2) - left.masked_fill(answer, -1).amax(2)',
       'left.masked_fill(answer, -1).amax(2) - (left*answer).sum(2)',
       'The sign is turned round: a lead is the answer\'s share less the other\'s.')
e.edit('left.masked_fill(answer, -1).amax(2)', '(left*~answer).sum(2)',
       'You take all other labels together. The answer leads over the *best* of them.')
e.edit('left.masked_fill(answer, -1).amax(2)', 'left.masked_fill(answer, 2).amin(2)',
       'You compare with the worst other label. The best is the rival.')
e.edit('return (left*answer).sum(2) - left.masked_fill(answer, -1).amax(2)',
       'lead = (left*answer).sum(2) - left.masked_fill(answer, -1).amax(2)\n    return lead < 0',
       'You say only whether the answer changes. The lead itself is asked for, (N,S).')
e.edit('gone = votes[:, :, None]*F.one_hot(labels)',
       'gone = (votes @ F.one_hot(labels).to(votes))[:, labels][:, :, None]*F.one_hot(labels)',
       'You leave out all pictures of that label. One picture is left out at a time.')
e.wrong(lambda e, support, labels, scale: (lambda l, w: w[:, None] - l)(
    lead_without(e, support, labels, scale), (lambda t: t[:, 0] - t[:, 1])(
        __import__('camtutor.where', fromlist=['matching']).matching(e, support, labels, scale)[0].topk(2).values)),
        'You give how much the lead *shrinks*. The lead that is left is asked for.')

# 12.12 Which class where?

M12 = torch.tensor([[[4., 1., .3], [-1., 0., 2.]], [[1., 2., .2], [-2., 0., 2.5]],
                    [[0., 1.5, -1.], [-3., 0., .1]]])[:, None]
M12_ = rand(3, 2, 4, 5)

e = exercise('12.12', 'Which class where?',
    'Write `parts_by_class(m, least)`: of maps (K,N,H,W), one for each class and all on one scale, the number of the '
    'class that is largest at each place, (N,H,W); -1 where no map is above 0, or where the largest is below '
    '`least` times the largest value of that picture\'s maps.',
    library='camtutor.where',
    trials=(gives('Worked by hand', M12, .1, want=torch.tensor([[[0, 1, -1], [-1, -1, 1]]])),
            gives('Random', M12_, .3), gives('A least of 0', M12, 0.), gives('Nothing above 0', -M12_.abs(), .1),
            gives('Pictures of different scales', M12_*torch.tensor([1., 50.])[:, None, None], .3), keeps(M12_, .3)),
    hints=('`max` over the classes gives value and number at once.',
           'Each picture has its own largest value: over its places, after the classes.',
           '`k.where(condition, -1)` keeps `k` where the condition holds.'),
    why='One scale for all classes, or an absent class would speak as loudly as one that is there.')

@e.reference
def parts_by_class(m:Tensor, # a map of each class, on one scale (K,N,H,W)
                   least:float # below this share of a picture's largest value a place speaks for none
                  )->Tensor: # (N,H,W): which of the K, or -1
    "The class that each place speaks for: the one whose map is largest there."
    top, k = m.max(0)
    return k.where((top > 0) & (top >= least*top.amax((1, 2), keepdim=True)), -1)

e.edit('(top > 0) & ', '', 'Places where no map is above 0 get a class. They speak for none: -1.')
e.edit(' & (top >= least*top.amax((1, 2), keepdim=True))', '',
       '`least` is not used: places that say next to nothing get a class.')
e.edit('top.amax((1, 2), keepdim=True)', 'top.max()',
       'You take the largest value of the whole batch. Each picture has its own.')
e.edit('top.amax((1, 2), keepdim=True)', '1', 'You compare with `least` itself. It is a share of the largest value.')
e.edit('m.max(0)', '(m/m.amax((2, 3), keepdim=True)).max(0)',
       'You scale each class\'s map by its own largest value, so an absent class speaks as loudly as any.')
e.edit(', -1)', ', 0)', 'Where no class speaks you say class 0. It is -1.')
e.edit('m.max(0)', 'm.abs().max(0)', 'You take the largest *size*. What speaks against a class does not speak for it.')
e.edit('m.max(0)', 'm.min(0)', 'You take the class that the place speaks *against* most.')
e.edit('m.max(0)', 'm.max(1)', 'You take the largest over the pictures. The classes are axis 0.')
e.edit('k.where((top > 0) & (top >= least*top.amax((1, 2), keepdim=True)), -1)', 'k',
       'Every place gets a class. Those that say nothing, or next to nothing, speak for none: -1.')
e.edit('keepdim=True)), -1)', 'keepdim=True)), -1) + 1',
       'You count classes from 1, and none is 0. They count from 0, none is -1.')
e.edit('k.where(', 'top.where(', 'You give the values. The number of the class is asked for.')
e.edit('>= least', '<= least', 'You keep what says *little*.')
