"Chapter 11: right for the wrong reason."
import torch
import torch.nn.functional as F
from torch import Tensor

from camtutor.cam import cam
from camtutor.exercises.common import gives, keeps, rand
from camtutor.exercises.declare import exercise

# 11.1 The worst group

RIGHT = torch.tensor([1, 1, 1, 0, 1, 0, 1, 1, 1, 0, 1]).bool()
GROUPS = torch.tensor([0, 0, 0, 0, 7, 7, 3, 3, 3, 3, 3])
RIGHT_, GROUPS_ = rand(60) > -.6, torch.arange(60) * 7 % 11 % 5

e = exercise('11.1', 'The worst group',
    'Write `worst_group(right, groups)`: the accuracy in the group where it is lowest. `right` (N,) says of each '
    'picture whether the answer was right, `groups` (N,) which group it is one of. Numbers of groups may have gaps. '
    'It gives a tensor without axes.',
    library='camtutor.bias',
    trials=(gives('By hand: 3 of 4, 1 of 2, 4 of 5', RIGHT, GROUPS, want=torch.tensor(.5)),
            gives('Five groups of different sizes', RIGHT_, GROUPS_),
            gives('One group alone', RIGHT[:4], GROUPS[:4], want=torch.tensor(.75)),
            gives('A group that is never right', RIGHT[2:4], GROUPS[:2] + torch.tensor([0, 3]), want=torch.tensor(0.)),
            keeps(RIGHT, GROUPS)),
    hints=('One accuracy for each group, then the lowest.', '`groups.unique()` lists the groups that there are.',
           'A bool has no mean: make it a float first.'),
    why='A mean over all pictures depends on how many of each kind there are; the worst group does not.')

@e.reference
def worst_group(right:Tensor, # was the answer right? (N,) bool
                groups:Tensor # the group of each picture (N,)
               )->Tensor: # ()
    "The accuracy in the group where it is lowest."
    return torch.stack([right[groups == g].float().mean() for g in groups.unique()]).min()

e.edit('.min()', '.mean()', 'This is the mean over groups. It hides the bad one; take the lowest.')
e.edit('.min()', '.max()', 'This is the *best* group. Take the lowest.')
e.edit('.min()', '', 'This gives one accuracy for each group. Take the lowest of them.')
e.edit('.min()', '.median()', 'This is the group in the middle. Take the lowest.')
e.edit('.min()', '.argmin()', 'This is the *place* of the worst group in the list. Its accuracy is asked for.')
e.edit('.mean()', '.sum()', 'You count right answers, and small groups have few. Take the share in each group.')
e.edit('.float().mean()', '.sum()',
       'You count right answers as whole numbers, and small groups have few. Take the share in each group.')
e.edit('return ', 'return 100*', 'These are percent. A share from 0 to 1 is asked for.')
e.edit('right[groups == g]', '(right & (groups == g))',
       'You divide by the number of all pictures. Divide by those of the group.')
e.edit('right[groups == g]', 'right[groups != g]', 'You leave each group *out*. Take those that are in it.')
e.edit('right[groups == g]', '(~right)[groups == g]', 'You count the answers that are *wrong*.')
e.edit('groups.unique()', 'range(int(groups.max()) + 1)',
       'You count through all numbers up to the largest, and a group that does not exist has no mean. Take those that '
       'there are.')
e.edit('groups.unique()', 'groups.unique()[:-1]', 'The last group is left out.')
e.wrong(lambda right, groups: right.float().mean(), 'This is the accuracy over all pictures. Take it group by group.')
e.wrong(lambda right, groups: right.float().min(), 'This is the worst *picture*. Take the mean of each group first.')

# 11.2 The margin

OUT, Y = torch.tensor([[3., 1., 2.], [0., 4., 5.], [-1., -2., -7.]]), torch.tensor([0, 1, 1])
OUT_, Y_ = rand(7, 5), torch.tensor([4, 0, 2, 2, 1, 3, 0])

e = exercise('11.2', 'The margin',
    'Write `margin(out, y)`: for each picture the score of its own class, less the highest score of the *other* '
    'classes. Scores (N,K) and class numbers (N,) give (N,). It is below 0 where the answer is wrong.',
    library='camtutor.bias',
    trials=(gives('Worked by hand', OUT, Y, want=[1., -1., -1.]), gives('Random, five classes', OUT_, Y_),
            gives('Two classes', OUT_[:, :2], Y_ % 2), gives('Large scores', 100 + OUT_, Y_), keeps(OUT_, Y_)),
    hints=('The own class must not take part in the highest of the others.',
           'Which number never wins a maximum?', '`masked_fill` and `F.one_hot`, or `scatter`.'),
    why='With a softmax only differences of scores count: whatever is added to all of them changes no answer.')

@e.reference
def margin(out:Tensor, # scores (N,K)
           y:Tensor # the class number of each (N,)
          )->Tensor: # (N,)
    "The score of the own class, less the highest of the others."
    own = F.one_hot(y, out.shape[1]).bool()
    return out[own] - out.masked_fill(own, -torch.inf).amax(1)

e.edit('.masked_fill(own, -torch.inf)', '',
       'The own class takes part in the maximum, so a right answer has 0. Leave it out.')
e.edit('.masked_fill(own, -torch.inf)', '.masked_fill(own, 0)',
       'The own class becomes 0, which wins where all others are below 0. Put in what never wins.')
e.edit('out.masked_fill(own, -torch.inf).amax(1)', 'out.masked_fill(own, torch.inf).amin(1)',
       'You take the *lowest* of the others. The highest is the rival.')
e.edit('out.masked_fill(own, -torch.inf).amax(1)', '(out.sum(1) - out[own]) / (out.shape[1] - 1)',
       'You take the mean of the others. Take the highest.')
e.edit('out.masked_fill(own, -torch.inf).amax(1)', '(out.sum(1) - out[own])',
       'You take the sum of the others. Take the highest.')
e.edit('out[own] - out.masked_fill(own, -torch.inf).amax(1)', 'out.masked_fill(own, -torch.inf).amax(1) - out[own]',
       'The signs are exchanged: own score first.')
e.edit('out[own] - ', '', 'This is the highest of the others alone. Take it from the own score.')
e.edit(' - out.masked_fill(own, -torch.inf).amax(1)', '', 'This is the own score alone. Take the highest other off.')
e.edit('.amax(1)', '.amax()', 'You take the highest of all pictures. Each has its own rival.')
e.edit('    own =', '    out = out.softmax(1)\n    own =', 'You compare probabilities. The scores are asked for.')
e.wrong(lambda out, y: out.topk(2, 1).values[:, 0] - out.topk(2, 1).values[:, 1],
        'This is the highest less the second. It cannot be negative: begin with the class `y`.')
e.wrong(lambda out, y: (out[range(len(y)), y] - out.masked_fill(F.one_hot(y, out.shape[1]).bool(), -torch.inf)
                        .amax(1)).abs(), 'You take the size. Where the answer is wrong, the margin is negative.')

# 11.3 Map and experiment

BOTH = (.2, .1, .3), (.5, .3, .7)

def tells(title, more, effect, want, **how): return gives(title, more, effect, want=want, **how)

e = exercise('11.3', 'Map and experiment',
    'Write `verdict(more, effect, least)`. Both are (mean, lower end, upper end). The map *points* if all of the '
    'interval of `more` is above 0. The part *matters* if all of the interval of `effect` is above `least`, or all '
    'below `-least`. Say `both`, `map alone`, `effect alone` or `neither`.',
    library='camtutor.bias',
    trials=(tells('Both', *BOTH, 'both'), tells('A wide interval', (.2, .1, .3), (.2, .05, .35), 'map alone'),
            tells('A part that speaks against', (.1, -.1, .3), (-.5, -.7, -.3), 'effect alone'),
            tells('Less than its area, no effect', (-.2, -.3, -.1), (0., -.1, .1), 'neither'),
            tells('Against, and pointed at', (.2, .1, .3), (-.5, -.7, -.3), 'both'),
            tells('An interval across 0', (.1, -.1, .3), (.3, -.4, .9), 'neither'),
            tells('A map that may well point', (-.1, -.3, .1), (0., -.1, .1), 'neither'),
            tells('A small effect, not sure at all', (.1, -.1, .3), (.05, -.3, .4), 'neither'),
            tells('Another least', (.2, .1, .3), (.5, .3, .7), 'map alone', least=.4),
            tells('A small effect, surely above 0', (.1, -.1, .3), (.05, .04, .06), 'neither')),
    hints=('Which end of an interval must lie above 0, for all of it to do so?',
           'An effect can be negative: then the other end decides.', 'Two answers, yes or no each, make four words.'),
    why='A map that points where nothing changes, and a cause that no map points at: both occur, and have a name now.')

@e.reference
def verdict(more:tuple, # mean, lower and upper end: share of the map, less share of the picture
            effect:tuple, # mean, lower and upper end: what is lost without the part
            least:float=.1 # an effect that may be no larger than this is none
           )->str: # 'both', 'map alone', 'effect alone' or 'neither'
    "Does the map point at the part, and does the part matter?"
    points = more[1] > 0
    matters = effect[1] > least or effect[2] < -least
    if points: return 'both' if matters else 'map alone'
    return 'effect alone' if matters else 'neither'

e.edit('more[1] > 0', 'more[0] > 0', 'You look at the mean. The whole interval must lie above 0.')
e.edit('more[1] > 0', 'more[2] > 0', 'You look at the upper end. The lower end must lie above 0.')
e.edit('more[1] > 0', 'more[1] > least', '`least` is for the effect; for the map the bound is 0.')
e.edit('more[1] > 0', '(more[1] > 0 or more[2] < 0)',
       'A map that puts *less* there than its area does not point at it.')
e.edit('effect[1] > least or effect[2] < -least', 'effect[1] > least',
       'A part that speaks against the class matters too: then all of the interval lies below `-least`.')
e.edit('effect[1] > least or effect[2] < -least', 'abs(effect[0]) > least',
       'You look at the mean effect. The whole interval must lie beyond `least`.')
e.edit('effect[1] > least or effect[2] < -least', 'effect[1] > 0 or effect[2] < 0',
       'You ask for any effect at all. One that is surely there may be too small to matter: `least`.')
e.edit('effect[1] > least or effect[2] < -least', 'effect[2] > least or effect[1] < -least',
       'The ends are exchanged: an interval across 0 would matter.')
e.edit('effect[1] > least or effect[2] < -least', 'effect[1] > .1 or effect[2] < -.1',
       'The bound stands in your code as .1. Take the argument `least`.')
e.edit("'both' if matters else 'map alone'", "'both' if matters else 'effect alone'",
       '`map alone` is where the map points and nothing matters.')
e.edit("'effect alone' if matters else 'neither'", "'map alone' if matters else 'neither'",
       '`effect alone` is where it matters and the map does not point.')

# 11.4 Other backgrounds, by the masks

IMAGES = torch.randint(256, (4, 5, 7, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
ANIMALS = rand(4, 5, 7, seed=1) > .3
ORDER = torch.tensor([2, 0, 3, 1])

e = exercise('11.4', 'Other backgrounds, by the masks',
    'Write `pasted(images, animals, order)`: each animal as it is, on the background of picture `order[i]`. Where '
    'that picture has its own animal, grey (128) is put first. Images (N,H,W,3) uint8, masks (N,H,W) bool, order '
    '(N,) give (N,H,W,3) uint8.',
    library='camtutor.bias',
    trials=(gives('Four pictures', IMAGES, ANIMALS, ORDER),
            gives('No animal at all', IMAGES, torch.zeros_like(ANIMALS), ORDER, want=IMAGES[ORDER]),
            gives('Each keeps its own background', IMAGES, ANIMALS, torch.arange(4), want=IMAGES),
            keeps(IMAGES, ANIMALS, ORDER)),
    hints=('Make the backgrounds first: pictures whose animal is grey.',
           'Then put them into another order, with a list of numbers in brackets.',
           'The mask needs an axis for the colours; `torch.where` chooses.'),
    why='No camera is needed, but masks are; and the pasted edges are something that a network may learn as well.')

@e.reference
def pasted(images:Tensor, # (N,H,W,3) uint8
           animals:Tensor, # where the animal is (N,H,W), bool
           order:Tensor # whose background each animal gets: numbers (N,)
          )->Tensor: # (N,H,W,3) uint8
    "Each animal on the background of another picture, whose own animal is painted grey (128) first."
    inside = animals[..., None]
    behind = images.masked_fill(inside, 128)
    return torch.where(inside, images, behind[order])

e.edit('images.masked_fill(inside, 128)', 'images',
       'The other animal still stands in its background. Paint it grey first.')
e.edit('behind[order]', 'behind', 'Each keeps its own background. Put the backgrounds into the order.')
e.edit('images, behind[order]', 'images[order], behind',
       'You exchange the *animals*, cut out by the wrong masks. The animal stays, the background goes.')
e.edit('torch.where(inside,', 'torch.where(inside[order],',
       'You cut the animal out by the mask of another picture. Use its own.')
e.edit('images, behind[order]', 'behind[order], images',
       'The two are exchanged: the animal comes from its own picture, all else from the other.')
e.edit('inside, 128', 'inside, 0', 'The other animal is painted black. It should be grey, 128.')
e.edit('images.masked_fill(inside, 128)', 'images.float().masked_fill(inside, 128)',
       'The type has changed to a float. Pictures are uint8.')
e.edit('masked_fill(inside, 128)', 'masked_fill(~inside, 128)',
       'You keep the other *animal* and paint its background. Paint the animal.')
e.edit('behind[order]', 'behind[order.argsort()]',
       'The order is turned round: `order[i]` says whose background picture i gets.')
e.edit('behind[order]', 'behind.flip(0)', 'You turn the list round. Use `order`.')
e.edit('torch.where(inside, images, behind[order])', 'behind[order]',
       'These are the backgrounds alone. Put each animal on its new one.')

# 11.5 A price for evidence astray

A, W = torch.tensor([[[[3., 1.], [0., 4.]]]]), torch.tensor([[1.], [-1.]])
OWN = torch.tensor([[[1., 0.], [0., .5]]])
A_, W_ = rand(3, 5, 4, 6).relu(), rand(4, 5, seed=1)
OWN_, K_ = rand(3, 4, 6, seed=2).sigmoid(), torch.tensor([3, 0, 2])

e = exercise('11.5', 'A price for evidence astray',
    'Write `astray(A, weight, own, y)`: which share of the positive CAM of the own class lies off the animal? '
    '`own` (N,h,w) says how much of each square is animal, from 0 to 1. Activations (N,C,h,w), weight (K,C), '
    'classes (N,) give (N,). A map with nothing positive has 0. `cam(weight, A)` is there.',
    library='camtutor.bias',
    trials=(gives('By hand: of 8 in all, 1 and half of 4', A, W, OWN, torch.tensor([0]), want=[.375]),
            gives('Nothing is positive', A, W, OWN, torch.tensor([1]), want=[0.]),
            gives('Random, four classes', A_, W_, OWN_, K_), keeps(A_, W_, OWN_, K_)), graph=True,
    hints=('The CAM of class y[i] for picture i: two lists of numbers in the brackets.',
           'Off the animal is `1 - own`.', 'Keep the divisor off 0 with a `clamp`.'),
    why='It can be differentiated, so it can be a price in the loss. The network is then told where to look.')

@e.reference
def astray(A:Tensor, # activations (N,C,h,w)
           weight:Tensor, # of the head (K,C)
           own:Tensor, # which share of each square is animal (N,h,w), 0 to 1
           y:Tensor # class numbers (N,)
          )->Tensor: # (N,)
    "Which share of the positive CAM of the own class lies off the animal?"
    m = cam(weight, A)[range(len(y)), y].clamp(min=0)
    return ((1 - own)*m).sum((1, 2))/m.sum((1, 2)).clamp(min=1e-6)

e.edit('(1 - own)*m', 'own*m', 'This is the share *on* the animal. The price is for what lies off it.')
e.edit('.clamp(min=0)', '', 'What speaks against the class counts too. Cut the negative part of the map first.')
e.edit('.clamp(min=0)', '.abs()', 'You take the size of negative places. They are cut.')
e.edit('/m.sum((1, 2)).clamp(min=1e-6)', '',
       'This is a sum. It would shrink with all scores; divide by the whole of the map.')
e.edit('.clamp(min=1e-6)', '', 'A map with nothing positive gives 0/0. Keep the divisor off 0.')
e.edit('m.sum((1, 2)).clamp(min=1e-6)', '(1 - own).sum((1, 2))',
       'You divide by the area off the animal. Divide by the whole of the map.')
e.edit('(1 - own)*m', '(own < .5)*m', 'You count a square as animal or not. It may be half of one.')
e.edit('[range(len(y)), y]', '.amax(1)', 'You take the highest class in each place. Take the own class, `y`.')
e.edit('[range(len(y)), y]', '.sum(1)', 'You add the maps of all classes. Take the own class, `y`.')
e.edit('[range(len(y)), y]', '[:, 0]', 'You take class 0 for all pictures. Each has its own, `y`.')
e.edit('m.sum((1, 2)).clamp(min=1e-6)', 'm.sum().clamp(min=1e-6)',
       'You divide by the sum over all pictures. Each map has its own.')
e.edit('m.sum((1, 2)).clamp(min=1e-6)', '(own*m).sum((1, 2)).clamp(min=1e-6)',
       'You divide by what lies *on* the animal. A share is of the whole.')
e.edit('cam(weight, A)', 'cam(weight.abs(), A)', 'You take the size of the weights. Their sign says for or against.')
e.edit('((1 - own)*m).sum((1, 2))/m.sum((1, 2)).clamp(min=1e-6)', '((1 - own)*m).mean((1, 2))',
       'This is a mean over places. It would shrink with all scores; divide the sum by the whole of the map.')
e.edit('((1 - own)*m).sum((1, 2))/m.sum((1, 2)).clamp(min=1e-6)',
       '(((1 - own)*m).sum((1, 2))/m.sum((1, 2)).clamp(min=1e-6)).mean()',
       'This is the mean over pictures. One number for each is asked for.')

# 11.6 As many of each

PICK = torch.tensor([1, 0, 1, 1, 0, 0, 6, 1, 6])

e = exercise('11.6', 'As many of each',
    'Write `alike(groups, n)`: the numbers of the first `n` pictures of each group, in rising order. A group that has '
    'fewer gives all that it has. `groups` (N,) holds group numbers, with gaps perhaps.',
    library='camtutor.bias',
    trials=(gives('Two of each, by hand', PICK, 2, want=torch.tensor([0, 1, 2, 4, 6, 8])),
            gives('Three of each; one group has two', PICK, 3, want=torch.tensor([0, 1, 2, 3, 4, 5, 6, 8])),
            gives('Five groups', GROUPS_, 4), gives('One of each', PICK, 1, want=torch.tensor([0, 1, 6])),
            keeps(PICK, 2)),
    hints=('One group after the other.', '`nonzero` gives the numbers of the places where something is true.',
           'A slice that is longer than the list does no harm. Sort at the end.'),
    why='A last layer that is fitted to groups of one size has nothing to gain from a cue that splits them.')

@e.reference
def alike(groups:Tensor, # the group of each picture (N,)
          n:int # how many of each
         )->Tensor: # numbers of pictures, in order
    "The first `n` pictures of each group."
    found = [(groups == g).nonzero()[:n, 0] for g in groups.unique()]
    return torch.cat(found).sort().values

e.edit('.sort().values', '', 'The numbers come group by group. Put them in rising order.')
e.edit('[:n, 0]', '[-n:, 0]', 'You take the *last* of each group. Take the first.')
e.edit('[:n, 0]', '[:, 0]', 'You take all of each group. Take the first `n`.')
e.edit('[:n, 0]', '[:n + 1, 0]', 'You take one too many of each group.')
e.edit('[:n, 0]', '[1:n + 1, 0]', 'You leave out the first of each group.')
e.edit('.sort().values', '.sort(descending=True).values', 'They are in falling order.')
e.edit('.sort().values', '.sort().indices',
       'These are the places from where the numbers were taken by the sorting. Take the `values`.')
e.edit('torch.cat(found).sort().values', 'groups[torch.cat(found).sort().values]',
       'These are the *groups* of the pictures. Their numbers are asked for.')
e.edit('groups.unique()', 'groups.unique()[1:]', 'The first group is left out.')
e.edit('(groups == g)', '(groups != g)', 'You take the pictures that are *not* in the group.')
e.wrong(lambda groups, n: torch.arange(min(len(groups), n*len(groups.unique()))),
        'You take the first pictures, of whatever group. Take `n` of each.')
e.wrong(lambda groups, n: torch.arange(n), 'You take the first `n` pictures, of whatever group. Take `n` of each.')
e.wrong(lambda groups, n: torch.isin(torch.arange(len(groups)),
                                     torch.cat([(groups == g).nonzero()[:n, 0] for g in groups.unique()])),
        'This says of each picture whether it is taken. The numbers of those that are taken are asked for.')
e.wrong(lambda groups, n: torch.stack([(groups == g).nonzero()[0, 0] for g in groups.unique()]).sort().values,
        'You take one of each group. Take `n`.')
e.edit('found = [(groups == g).nonzero()[:n, 0] for g in groups.unique()]',
       'n = min(n, int(groups.unique(return_counts=True)[1].min()))\n'
       '    found = [(groups == g).nonzero()[:n, 0] for g in groups.unique()]',
       'You take no more of any group than the smallest has. A small group gives what it has, the others give `n`.')

# 11.7 Answers that change

BEFORE, AFTER = rand(9, 4), rand(9, 4, seed=3)

e = exercise('11.7', 'Answers that change',
    'Write `flips(before, after)`: the share of pictures whose top class is another one after a change. Scores (N,K) '
    'before and after give a tensor without axes.',
    library='camtutor.bias',
    trials=(gives('One of three, by hand', torch.tensor([[1., 0.], [0., 1.], [2., 3.]]),
                  torch.tensor([[5., 0.], [1., 0.], [2., 9.]]), want=torch.tensor(1/3)),
            gives('Random, four classes', BEFORE, AFTER),
            gives('Nothing has changed', BEFORE, BEFORE, want=torch.tensor(0.)),
            gives('All scores moved alike', BEFORE, BEFORE - 7, want=torch.tensor(0.)), keeps(BEFORE, AFTER)),
    hints=('Which class wins before, and which after?', 'Compare the numbers of classes, not their scores.',
           'The mean of bools, as floats, is a share.'),
    why='An intervention needs no map: change one thing only, and count the answers that change.')

@e.reference
def flips(before:Tensor, # scores (N,K)
          after:Tensor # scores of the changed pictures (N,K)
         )->Tensor: # ()
    "The share of pictures whose answer is another one after a change."
    return (before.argmax(1) != after.argmax(1)).float().mean()

e.edit('.float().mean()', '.sum()', 'This is how many change, as a whole number. The share is asked for.')
e.wrong(lambda before, after: (before - after).abs().mean(), 'This is how far scores move. Count the answers that '
        'change.')
e.wrong(lambda before, after: (before != after).any(1).float().mean(),
        'You count the pictures of which any score has moved. The answer is the class with the highest.')
e.edit('!=', '==', 'This is the share of answers that *stay*.')
e.edit('.mean()', '.sum()', 'This is how many change. The share is asked for.')
e.edit('.mean()', '', 'This says it of each picture. The share of them is asked for.')
e.edit('before.argmax(1) != after.argmax(1)', 'before.amax(1) != after.amax(1)',
       'You compare the highest *scores*. They may move without a change of the answer.')
e.edit('before.argmax(1) != after.argmax(1)', 'before.argmin(1) != after.argmin(1)',
       'You compare the lowest class. The answer is the highest.')
e.edit('before.argmax(1) != after.argmax(1)', '(before > 0) != (after > 0)',
       'You compare the signs of all scores. The answer is the class with the highest.')
e.edit('before.argmax(1) != after.argmax(1)', 'before.argmax(0) != after.argmax(0)',
       'You look for the highest along the pictures. Look along the classes: axis 1.')
e.edit('(before.argmax(1) != after.argmax(1)).float()', '(before.argmax(1) - after.argmax(1)).abs().float()',
       'You measure how far the class *numbers* lie apart. Any other class counts as one.')
e.edit('before.argmax(1) != after.argmax(1)', '((before - after).abs() > .5)',
       'You count scores that move. Compare the answers.')
e.wrong(lambda before, after: (before.softmax(1) - after.softmax(1)).abs().amax(1).mean(),
        'This is how far probabilities move. Count the answers that change.')
e.wrong(lambda before, after: (before.argmax() != after.argmax()).float(),
        'You look for the highest score of all pictures together. Each picture has an answer of its own.')

# 11.8 By hand

e = exercise('11.8', 'A number that hides it',
    'A test set has 450 cats on sofas, 450 dogs on grass, 50 cats on grass and 50 dogs on sofas. A network answers by '
    'the place alone: `cat` on a sofa, `dog` on grass. Its accuracy on the whole set?',
    reference=.9, kind='value',
    hints=('In which groups does the place give the right answer?', 'How many pictures are in these groups?',
           '900 of how many?'),
    why='Nine in ten, and the worst group has none right. So the worst group belongs beside the mean.')
e.wrong(.5, 'That is the mean over the four groups. The set has more pictures of two of them.')
e.wrong(0, 'That is the worst group. The whole set is asked for.')
e.wrong(.1, 'That is the share that is wrong.')
e.wrong(1, 'On 100 pictures the place gives the wrong answer.')
e.wrong(.45, 'That is one group of those that are right. There are two.')
e.wrong(.95, 'You have taken one of the two rare groups as right.')
e.wrong(900, 'That is how many are right. Which share is it?')

# 11.9 and 11.10 Questions

e = exercise('11.9', 'No place for it', 'Which of these can no map over places show?', kind='choice',
    reference='That dogs are photographed in warmer light',
    hints=('Which of them is somewhere, and which everywhere?', 'What is the area of the cue?',
           'A share of the map in the whole picture is always 1.'),
    why='What is everywhere has all of every map, whatever the map. Only an experiment finds it.')
e.wrong('That dogs carry a mark in a corner', 'The mark has a place, and a map can lie on it.')
e.wrong('That cats are on sofas', 'The sofa has a place. A map may lie on it, even if it is spread wide.')
e.wrong('That cats wear a collar', 'The collar has a place, small as it is.')

e = exercise('11.10', 'Trained to look right',
    'A network was charged in training for evidence off the animal. Its CAM lies on the animal. What does that prove?',
    kind='choice', reference='That the training term has worked',
    hints=('What was the loss made of?', 'Was the map told, or did it find out?',
           'What would an experiment have to change?'),
    why='The map was what was trained. Exchange the background, and count the answers that change.')
e.wrong('That CAM is right about this network', 'The map was trained to lie there, so that it lies there says '
        'nothing about CAM.')
e.wrong('That the network no longer uses the background', 'The false one of the gallery shows that a map and a reason '
        'can part. Ask by drawing again.')
e.wrong('That it is more often right', 'Accuracy must be measured, best in the worst group.')
