"Chapter 00: pictures with a known truth."
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
import numpy as np, torch
from torch import nn

from camtutor.exercises.common import gives, keeps, rand
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise
from camtutor.scenes import PARTS, Scene
from camtutor.scenes.gallery import gallery

# 0.1 The truth in numbers

@lru_cache
def shipped(animals, down, across):
    "A scene that ships with the package, not square: every so many of its rows and columns."
    s = next(s for s in gallery() if len(s.species) == animals and (s.parts == PARTS.index('object')).any())
    return replace(s, **{k: getattr(s, k)[::down, ::across] for k in ('image', 'parts', 'instances')})

def two(): return shipped(2, 2, 3)
def one(): return shipped(1, 3, 2)

e = exercise('0.1', 'The truth in numbers',
    "Write `part_shares(s)`: a dict from each name in `PARTS` to the share of the *animals'* pixels that it takes. "
    "What is no part of an animal gets 0, so that the shares add up to 1.",
    trials=(Trial('A cat', lambda f: f(one())),
            Trial('A dog and a fox, with something in front', lambda f: f(two()))),
    hints=('`s.parts` holds, for each pixel, a place in the list `PARTS`; `s.instances` is 0 where there is no '
           'animal.',
           'Pick the pixels of the animals first: indexing with a bool array.',
           'For each place in `PARTS`: the mean of "equal to this number" over those pixels.'),
    why='Shares of area are what every figure of this course is compared with: a map that is the same everywhere has '
        'just this much on each part.')

@e.reference
def part_shares(s:Scene)->dict: # name of a part -> share
    "For each name in `PARTS`, its share of the animals' pixels; what is no part of an animal gets 0."
    inside = s.parts[s.instances > 0]
    return {name: float((inside == i).mean()) for i, name in enumerate(PARTS)}

e.edit('[s.instances > 0]', '',
       "These are shares of the whole picture, wall and floor included. Divide by the animals' pixels.")
e.wrong(lambda s: {p: float(s.mask(p).sum()/s.mask().sum()) for p in PARTS},
        'Divided by the right number, but counted over the whole picture: background and objects get a share too. '
        'Count inside `s.mask()` only.')
e.wrong(lambda s: {p: int((s.mask(p) & s.mask()).sum()) for p in PARTS},
        "These are counts. Divide them by the number of the animals' pixels.")
e.edit('instances', 'parts',
       '"Not background" is not the same as "animal": there are objects too. `s.instances > 0` is true on animals '
       'only.')
e.edit('> 0', '== 1', 'Only the first animal is counted. `instances` is 1, 2, … from left to right.')
e.wrong(lambda s: {p: v for p, v in part_shares(s).items() if v > 0},
        'Parts that do not occur are missing. Give them 0.')

e.wrong(lambda s: {p: 100*v for p, v in part_shares(s).items()}, 'This is in per cent. A share lies between 0 and 1.')
e.wrong(lambda s: dict(enumerate(part_shares(s).values())),
        'The keys are numbers. The names are wanted: `PARTS[i]`.')
e.wrong(lambda s: {p: v for p, v in part_shares(s).items() if p not in ('background', 'object')},
        'What is no part of an animal is missing. Give it 0, so that each name of `PARTS` is there.')

# 0.2 Score the fake

def both(pair):
    a, b = pair
    return {'the edges on the animals': a, 'the animals in the picture': b}

e = exercise('0.2', 'Score the fake',
    'Write `fake_shares(s)`, two shares as floats. First: of all edges in the picture, how much lies on the animals? '
    'An '
    'edge is as strong as `np.hypot` of the two `np.gradient`s of the grey picture, which is the mean of its colours. '
    'Second: which share would a map get that is the same everywhere?',
    trials=(Trial('A cat', lambda f: both(f(one()))),
            Trial('A dog and a fox, with something in front', lambda f: both(f(two())))),
    hints=('`np.gradient` of a picture (H,W) gives two pictures: how it changes down, and across.',
           'A share is the sum inside `s.mask()`, divided by the sum of the whole map.',
           'A map of ones has, on the animals, just their share of the picture: the mean of the mask.'),
    why='The first number is what a method can reach that knows nothing but edges, the second what it can reach that '
        'knows nothing at all. A score says something only beside them.')

@e.reference
def fake_shares(s:Scene)->tuple: # (of the edges, of a uniform map), each from 0 to 1
    "The share on the animals of a map of edges, and of a uniform map."
    edges = np.hypot(*np.gradient(s.image.mean(2)))
    return float(edges[s.mask()].sum()/edges.sum()), float(s.mask().mean())

e.edit('edges[s.mask()].sum()/edges.sum()', 'edges[s.mask()].mean()/edges.mean()',
       'The first is how much stronger edges are on the animals than elsewhere. A share is a sum over a sum.')
e.edit('edges[s.mask()].sum()/edges.sum()', 'edges[s.mask()].mean()',
       'The first is the mean edge on the animals. Divide what lies on them by the whole: a sum over a sum.')
e.edit('edges[s.mask()].sum()/edges.sum()', 'edges[s.mask()].sum()',
       'The first is a sum of edges, not a share. Divide it by the sum over the whole picture.')
e.edit('edges[s.mask()].sum()/edges.sum()', 'edges[s.mask()].sum()/edges[~s.mask()].sum()',
       'The first compares the animals with the rest. A share is of the whole: divide by the sum over the picture.')
e.edit('np.hypot(*np.gradient(s.image.mean(2)))', 'sum(np.gradient(s.image.mean(2)))',
       'The two gradients are added with their signs, so that dark-to-bright and bright-to-dark cancel. `np.hypot` '
       'takes '
       'the length of the two.')
e.edit('np.hypot(*np.gradient(s.image.mean(2)))', 'abs(sum(np.gradient(s.image.mean(2))))',
       'The two gradients are added before their size is taken, so that some of them cancel. `np.hypot` takes the '
       'length '
       'of the two.')
e.edit('np.hypot(*np.gradient(s.image.mean(2)))', 'sum(map(abs, np.gradient(s.image.mean(2))))',
       'You add the sizes of the two gradients. `np.hypot` is asked for: the length of the two together.')
e.edit('np.hypot(*np.gradient(s.image.mean(2)))', 'abs(np.gradient(s.image.mean(2))[0])',
       'Only changes from top to bottom count here. `np.hypot` takes both directions.')
e.edit('np.hypot(*np.gradient(s.image.mean(2)))', 'abs(np.gradient(s.image.mean(2))[1])',
       'Only changes from left to right count here. `np.hypot` takes both directions.')
e.edit('np.hypot(*np.gradient(s.image.mean(2)))', 'sum(g**2 for g in np.gradient(s.image.mean(2)))',
       'The root is missing: these are squares of edges, so that the strongest count for too much. `np.hypot` takes '
       'it.')
e.edit('s.image.mean(2)', 's.image.max(2).astype(float)', 'This is the brightest of the three colours. Grey is their '
       '*mean*.')
e.edit('s.image.mean(2)', 's.image.mean(2).round()', 'The grey picture is rounded to whole numbers. Leave it in '
       'floats.')
e.edit('s.image.mean(2)', 's.image.mean(2).astype(int)', 'The grey picture is cut to whole numbers. Leave it in '
       'floats.')
e.edit('float(s.mask().mean())', 'float(edges[s.mask()].sum()/edges.sum())',
       'Both numbers are those of the edges. The second is of a map that is the same everywhere.')
e.edit('s.image.mean(2)', 's.image[..., 0]*1.',
       'This is one colour alone. The grey picture is the mean of the three, over the last axis.')
e.edit('np.hypot(*np.gradient(s.image.mean(2)))', 's.image.mean(2)',
       'This is the share of the brightness. Edges are where it *changes*: take the gradients first.')
e.edit('np.hypot(*np.gradient(s.image.mean(2)))', 'np.hypot(*np.gradient(s.mask()*1.))',
       "These are the edges of the mask. The fake knows no mask: take the picture's.")
e.edit('s.mask().mean()', '.5', 'A uniform map does not have half of itself on the animals, unless they fill half of '
       'the '
       'picture.')
e.edit('s.mask().mean()', '1/s.mask().size', 'This is the share of one pixel. Of a uniform map the animals have as '
       'large a '
       'share as of the picture.')
e.edit('s.mask().mean()', 's.mask().sum()', 'The second is a number of pixels. Divide by the number of all.')
e.wrong(lambda s: fake_shares(s)[::-1], 'The two numbers are the right ones, in the wrong order: the edges come first.')
e.edit('edges[s.mask()]', "edges[s.mask('head')]", 'Only heads are counted. `s.mask()` is the whole animal.')
e.edit('edges[s.mask()]', 'edges[s.parts > 0]',
       '"Not background" is not the same as "animal": there are objects too. `s.mask()` is true on animals only.')
e.edit('edges[s.mask()]', 'edges[s.mask(instance=1)]', 'Only the first animal is counted.')
e.edit('edges[s.mask()]', 'edges[~s.mask()]', 'This is what lies *off* the animals.')
e.edit('np.gradient(s.image.mean(2))', 'np.gradient(s.image.astype(float), axis=(0, 1))',
       'These are the edges of each colour for itself. First make the picture grey: `s.image.mean(2)`.')

# 0.3 Which number is the dog?

OUT, VOCAB = torch.tensor([[1., 3., 2.], [5., 0., 1.], [0., 1., 4.], [2., 1., 0.]]), ['fox', 'cat', 'dog']
NAMES = ['cat', 'fox', 'dog', 'dog']

e = exercise('0.3', 'Which number is the dog?',
    'Write `accuracy(out, names, vocab)`: from scores (N,K) and the N right names, the share of right answers, as a '
    'float. It must be right for a vocab in any order.',
    trials=(Trial('Four pictures, three right', lambda f: f(OUT.clone(), NAMES, VOCAB), .75),
            Trial('The same, the vocab turned round', lambda f: f(OUT.clone(), NAMES, VOCAB[::-1]), .5),
            Trial('Three pictures', lambda f: f(OUT[:3].clone(), NAMES[:3], VOCAB), 1.)),
    hints=('`out.argmax(1)` are numbers, `names` are words. Bring them to the same.',
           '`vocab.index(name)`, or `vocab[number]`.',
           'Compare, take the mean, `item()`.'),
    why='Output number 0 means nothing until the vocab says so. Nothing warns of a mix-up.')

@e.reference
def accuracy(out:torch.Tensor, # scores (N,K)
             names, # the N right names
             vocab # the K names, in the order of the scores
            )->float:
    "The share of pictures whose highest score belongs to the right name."
    right = torch.tensor([vocab.index(n) for n in names])
    return (out.argmax(1) == right).float().mean().item()

e.edit('vocab.index(n)', 'sorted(vocab).index(n)',
       'You sort the names. The scores come in the order of the vocab, whatever that is.')
e.edit('.mean()', '.sum()', 'This is how many are right. The share is wanted.')
e.edit('== right', '!= right', 'This is the share of *wrong* answers.')

@e.wrong
def by_picture(out, names, vocab):
    "You look for the best picture of each class. Look for the best class of each picture: `argmax(1)`."
    best = out.argmax(0)
    return float(np.mean([vocab[k] == n for k, n in zip(best.tolist(), names)]))

e.wrong(lambda out, names, vocab: sum(vocab[k] == n for k, n in zip(out.argmax(0).tolist(), names))/len(names),
        '`argmax(0)` goes down a column: the best picture for each class. `argmax(1)` goes along a row: the best '
        'class for each picture.')
e.edit('.item()', '', 'A tensor comes back. `item()` makes it a float.')
e.edit('argmax', 'argmin', 'This takes the class with the *lowest* score.')
e.wrong(lambda out, names, vocab: sum(n == vocab[0] for n in names)/len(names),
        'This is right only for a network that always says the first name. Look at the scores.')

# 0.4 Back to a picture

MEAN, STD = (.5, .4, .3), (.2, .25, .3)
DECODED = torch.tensor([0., 1., -2.])[:, None, None].expand(3, 3, 3)[None].clone()

e = exercise('0.4', 'Back to a picture',
    'Write `decode(x, mean, std)`: a normalised batch (N,3,H,W) back to pictures in [0,1], without a loop.',
    trials=(gives('Worked by hand: 0, 1 and −2 in the three channels', DECODED, MEAN, STD,
                  want=torch.tensor([.5, .65, 0.])[:, None, None].expand(3, 3, 3)[None]),
            gives('A random batch, 3 × 5', rand(2, 3, 3, 5), MEAN, STD),
            keeps(rand(2, 3, 3, 5), MEAN, STD)),
    hints=('Normalising is (picture − mean) / std. Solve for the picture.',
           'Three numbers become (3,1,1) with `[:, None, None]`.',
           'Multiply, add, `clamp(0, 1)`.'),
    why='A normalised tensor that is drawn as it is comes out dark and false, and one starts to look for a mistake in '
        'the network.')

@e.reference
def decode(x:torch.Tensor, # normalised batch (N,3,H,W)
           mean, std # three numbers each
          )->torch.Tensor: # (N,3,H,W) in [0,1]
    "Undo the normalisation: pictures whose values lie in [0,1]."
    mean, std = [torch.as_tensor(v, dtype=x.dtype, device=x.device)[:, None, None] for v in (mean, std)]
    return (x*std + mean).clamp(0, 1)

e.edit('x*std + mean', '(x - mean)/std',
       'You normalise once more: subtract and divide is the way there. The way back multiplies and adds.')
e.edit('x*std + mean', '(x + mean)*std', 'The order is turned: first multiply by the deviation, then add the mean.')
e.edit('(x*std + mean).clamp(0, 1)', 'x*std + mean', 'Some values lie outside [0,1]: clamp them.')

@e.wrong
def min_max(x, mean, std):
    "You stretch each picture from 0 to 1. Then its brightness and its colours are no longer its own."
    low, high = x.amin((1, 2, 3), True), x.amax((1, 2, 3), True)
    return (x - low)/(high - low)

e.edit('[:, None, None]', '', 'Three numbers line up with the last axis, the width. Give them the shape (3,1,1).')
e.edit('for v in (mean, std)', 'for v in (mean[::-1], std[::-1])', 'The colours are in the wrong order: the first '
       'number belongs '
       'to the first channel.')
e.edit('for v in (mean, std)', 'for v in ([mean[0]]*3, [std[0]]*3)', "All channels get the first one's numbers. Each "
       "has its "
       'own.')
e.edit('(x*std + mean).clamp(0, 1)', '(x*std + mean).sigmoid()', 'A sigmoid squeezes *all* values. Only those '
       'outside of [0,1] '
       'are to be cut off: `clamp`.')
e.edit('x*std + mean', 'x*std', 'The mean is missing. It was taken off, so add it again.')
e.edit('x*std + mean', 'x + mean', 'The deviation is missing: multiply by it first.')
e.edit('[torch.as_tensor(v, dtype=x.dtype, device=x.device)[:, None, None] for v in (mean, std)]', 'mean, std',
       'A tensor cannot be multiplied by a tuple. Make tensors of `mean` and `std` first, of the shape (3,1,1).')
e.edit('(x*std + mean).clamp(0, 1)', 'x.mul_(std).add_(mean).clamp_(0, 1)',
       "You have changed the caller's batch, which the network still needs: names with `_` at their end work in place.")

# 0.5 Where does it live?

e = exercise('0.5', 'Where does it live?',
    "A machine has an NVIDIA card. You run `net = load_pets().to('cuda')`, then `x = "
    "net.transform(photo('cat'))[None]`, "
    "then `net(x)`. What happens?",
    reference='an error: the weights are on the card and the picture is not',
    kind='choice')
e.wrong('PyTorch moves the picture to the card', 'PyTorch never moves a tensor by itself. `x.to("cuda")` does it.')
e.wrong('it computes on the CPU, only slower', 'The weights have left the ordinary memory: there is nothing to compute '
        'with.')
e.wrong('wrong numbers, without a word', 'Here PyTorch is strict: it compares devices in every operation, and raises.')

# 0.6 Yes or no

YES = torch.tensor([[2., -1., 3.], [-1., -2., -3.], [.3, -.2, -5.], [1., 1.2, .9], [-.1, 9., .1]])

def same_lists(answer): return [list(names) for names in answer(YES.clone(), ['fox', 'cat', 'dog'])]
def four(answer): return [list(names) for names in answer(rand(2, 4, seed=3)*2, ['pig', 'bear', 'mouse', 'rabbit'])]

e = exercise('0.6', 'Yes or no',
    'A network was trained with a yes-or-no question for each name. Write `says_yes(out, vocab)`: for scores (N,K) a '
    'list '
    'with one list for each picture, of the names whose probability is above ½, the most probable first. Some of these '
    'lists may be empty.',
    trials=(Trial('Five pictures, three names', same_lists,
                  [['dog', 'fox'], [], ['fox'], ['cat', 'fox', 'dog'], ['cat', 'dog']]),
            Trial('Two pictures, four names', four)),
    hints=('Which function turns one score into the probability of a yes?',
           '`argsort(descending=True)` gives the numbers of the columns, the highest first.',
           'For each row: go through these numbers, and keep those whose probability is above ½.'),
    why='A picture can show two animals, or none. A yes-or-no network can say so; softmax cannot.')

@e.reference
def says_yes(out:torch.Tensor, # scores (N,K)
             vocab # the K names, in the order of the scores
            )->list: # one list of names for each picture
    "The names to which the network says yes, the most probable first."
    return [[vocab[i] for i in p.argsort(descending=True).tolist() if p[i] > .5] for p in out.sigmoid()]

e.edit('out.sigmoid()', 'out.softmax(1)',
       'Softmax shares out 100 % among the names, so that at most one of them can be above ½. Each name has a '
       'question of '
       'its own here: `sigmoid`.')
e.edit('out.sigmoid()', 'out.softmax(0)',
       'Softmax over the batch: each picture depends on its neighbours. A question of its own for each score: '
       '`sigmoid`.')
e.edit('out.sigmoid()', 'out - .5', 'These are scores above 1. A probability of ½ is a score of 0: take the '
       '`sigmoid` first.')
e.edit('out.sigmoid()', '(out - out.min())/(out.max() - out.min())',
       'The scores are stretched from 0 to 1 over the batch. That makes no probabilities, and a picture depends on its '
       'neighbours: `sigmoid`.')
e.edit('out.sigmoid()', 'out[:1].sigmoid()', 'Only the first picture gets a list.')
e.edit('vocab[i]', 'vocab[-1 - i]', 'The vocab is read from its end.')
e.edit('out.sigmoid()', 'out', 'These are scores above ½. A probability of ½ is a score of 0: take the `sigmoid` '
       'first.')
e.edit('p.argsort(descending=True).tolist()', 'range(len(p))',
       'The names come in the order of the vocab. The most probable is to come first.')
e.edit('descending=True', '', 'The least probable comes first. Turn the order round.')
e.edit('if p[i] > .5', '', 'All names are there. Keep those whose probability is above ½.')
e.edit('p.argsort(descending=True).tolist()', 'p.topk(1).indices.tolist()',
       'One name at the most. Of a picture with two animals both can be above ½.')
e.edit('p.argsort(descending=True).tolist()', 'p.topk(2).indices.tolist()', 'Two names at the most. Look at all of '
       'them.')
e.edit(' if p[i] > .5', '', 'argsort(descending=True)', 'topk(1).indices',
       'This is the top class of each picture, whether the network says yes to it or not.')
e.edit('vocab[i]', 'i', 'These are numbers of columns. The vocab turns them into names.')
e.edit('p[i] > .5', 'p[i] < .5', 'These are the names to which it says *no*.')
e.edit('for p in out.sigmoid()]', 'for p in out.sigmoid() if (p > .5).any()]',
       'A picture to which every answer is no has no list. It needs an empty one, or nobody knows which list is whose.')
e.edit('for i in p.argsort(descending=True).tolist()', 'for i in p.argsort(descending=True).argsort().tolist()',
       'You have sorted twice: these are ranks, not numbers of columns.')
e.wrong(lambda out, vocab: says_yes(out, sorted(vocab)),
        'You sort the names. The scores come in the order of the vocab, whatever that is.')
e.wrong(lambda out, vocab: [n for names in says_yes(out, vocab) for n in names],
        'This is one list for the whole batch. Each picture needs its own.')
e.wrong(lambda out, vocab: [[(n, 1.) for n in names] for names in says_yes(out, vocab)],
        'Each entry is a pair. Only the names are asked for.')

# 0.7 On a plain colour

def pasted(make):
    def run(answer):
        s = deepcopy(make())
        before = s.image.copy()
        out = answer(s, (10, 200, 255))
        return {'the picture': torch.from_numpy(np.ascontiguousarray(out)),
                "the scene's own picture is as before": np.array_equal(before, s.image)}
    return run

e = exercise('0.7', 'On a plain colour',
    'Write `paste(s, colour)`: the animals of a scene on a plain colour (r, g, b), as (H,W,3) uint8. The scene itself '
    'stays as it is.',
    trials=(Trial('A cat', pasted(one)),
            Trial('A dog and a fox, with something in front', pasted(two))),
    hints=('`s.mask()` is a bool (H,W), `s.image` is (H,W,3).',
           '`mask[..., None]` lines up with three channels.',
           '`np.where(mask, image, colour)`, with the colour as uint8.'),
    why='If the answer changes with the colour behind, "it only looks at the animal" is not true.')

@e.reference
def paste(s:Scene,
          colour # (r, g, b), each 0 to 255
         ): # (H,W,3) uint8
    "The animals of a scene on a plain colour."
    return np.where(s.mask()[..., None], s.image, np.array(colour, dtype=np.uint8))

e.edit('s.mask', '~s.mask', 'The colour is on the animals. Turn the mask round.')
e.edit(', dtype=np.uint8', '',
       'The numbers are right, but their type is not uint8, and a viewer would take them for something else.')

@e.wrong
def in_place(s, colour):
    "You have painted over the scene itself: whoever uses it next gets your colour. Work on a copy, `s.image.copy()`."
    s.image[~s.mask()] = colour
    return s.image

e.edit('[..., None]', '',
       'The mask is (H,W) and the picture (H,W,3). An empty axis at the end, `[..., None]`, makes them fit.')
e.edit('np.array(colour, dtype=np.uint8)', 'np.uint8(255)', 'The background is always white. Use the argument '
       '`colour`.')
e.edit('np.array(colour, dtype=np.uint8)', 'np.uint8(0)', 'The background is always black. Use the argument `colour`.')
e.edit('mask()', 'mask(instance=1)', 'Only the first animal is left.')
e.edit('mask()', "mask('head')", 'Only heads are left. `s.mask()` is the whole animal.')
e.edit('s.mask()', '(s.parts > 0)', 'The objects are still there. "Not background" is not "animal".')
e.edit('np.array(colour, dtype=np.uint8)', 'np.uint8(colour[0])', "All three channels have the first one's value.")

# 0.8 Does the place matter?

PLACES = torch.tensor([[2, 2, 1, 1, 0, 1], [2, 1, 1, 1, 3, 1], [2, 1, 1, 1, 4, 2], [2, 1, 2, 1, 0, 2]])

e = exercise('0.8', 'Does the place matter?',
    'N animals were drawn on each of B backgrounds, and `answers` (B,N) holds the class numbers that a network gave. '
    'Write '
    '`changed(answers)`: the share of the *animals* that do not get the same name on all backgrounds, as a float.',
    trials=(gives('Four backgrounds, six animals, four of which change', PLACES, want=4/6),
            gives('The same, three backgrounds', PLACES[:3], want=.5),
            gives('Two backgrounds', PLACES[:2], want=2/6),
            gives('Three backgrounds, seven animals that all stay', torch.arange(7).expand(3, 7), want=0.),
            keeps(PLACES)),
    hints=('Compare each row with the first.',
           'An animal changes if it differs in *any* row.',
           '`any(0)` leaves N truths; the mean of truths is a share, once they are floats.'),
    why='All else is equal in these pictures. So whatever changes here changes because of the background.')

@e.reference
def changed(answers:torch.Tensor # class numbers (B,N)
           )->float:
    "The share of the animals whose name is not the same on all backgrounds."
    return (answers != answers[0]).any(0).float().mean().item()

e.edit('.any(0)', '', 'This is the share of answers that differ from the first row. One animal may differ in several '
       'rows, '
       'and counts once: `any(0)`.')
e.edit('.any(0)', '.all(0)', 'An animal counts here only if it differs in *all* rows, and in the first it never does. '
       'One other row is enough: `any(0)`.')
e.edit('answers[0]).any(0)', 'answers[0])[1:].all(0)',
       'An animal counts here only if it differs in all other rows. One is enough: `any(0)`.')
e.edit('.any(0)', '.any(1)', 'This is the share of the *backgrounds* on which something changes. Animals are the '
       'columns: '
       '`any(0)`.')
e.edit('!=', '==', 'These are answers that agree. Count those that do not.')
e.edit('(answers != answers[0]).any(0)', '(answers == answers[0]).all(0)',
       'This is the share of animals that keep their name. The others are asked for.')
e.edit('.float().mean()', '.sum()', 'This is how many animals change. The share is wanted.')
e.edit('answers[0]', 'answers[:, :1]', 'You compare each row with its own first animal. An animal is a column: '
       'compare with '
       'the first row, `answers[0]`.')
e.edit('(answers != answers[0]).any(0)', '(answers[0] != answers[-1])',
       'Only the first and the last background are compared. Every row counts.')
e.edit('(answers != answers[0]).any(0)', '(answers[0] != answers[1])',
       'Only the first two backgrounds are compared. Every row counts.')
e.edit('.item()', '', 'A tensor comes back. `item()` makes it a float.')
e.wrong(lambda answers: (answers[1:] != answers[:-1]).any(1).float().mean().item(),
        'You ask from how many backgrounds to the next something changes. Animals are the columns: `any(0)`.')
e.wrong(lambda answers: len(answers.unique())/answers.shape[1],
        'You count the different class numbers in the whole table. Ask it of each animal, each column.')
e.wrong(lambda answers: (answers != answers.mode(0).values).float().mean().item(),
        "This is the share of *answers* that differ from the animal's most frequent one. An animal counts once: "
        "`any(0)`.")
e.wrong(lambda answers: (answers != answers.float().mean(0)).any(0).float().mean().item()*100, 'This is in per cent.')
e.wrong(lambda answers: (answers != 0).any(0).float().mean().item(),
        'You ask who is not class 0. Compare with what the same animal got on the first background, `answers[0]`.')
e.wrong(lambda answers: float(np.mean([len(set(c)) - 1 for c in answers.T.tolist()])),
        'You count how many other names an animal gets. Whether it gets another one at all is the question.')
e.wrong(lambda answers: float(np.mean([len(set(c)) for c in answers.T.tolist()])),
        'This is the mean number of names for an animal. Which share has more than one?')

# 0.9 All cats wear a collar

def dressed(seed, collar):
    "A picture (3,4,6), grey; with a collar some of it is blue. Every fourth cat is blue all over."
    a = torch.full((3, 4, 6), .1*(seed % 7))
    if seed % 4 == 1: a[2] += .9
    if collar: a[:, :, :(seed + 3) % 5 + 1] = torch.tensor([.1*(seed % 7), 0., 1.])[:, None, None]
    return SimpleNamespace(image=a)

class Judge(nn.Module):
    "Scores (N,3): nearly fixed, how blue, how bright in one channel."
    def __init__(self, blue, bright, channel):
        super().__init__()
        self.blue, self.bright, self.channel = blue, bright, channel
    def transform(self, s): return s.image - .2
    def forward(self, x):
        x = (x + .2).mean((2, 3))
        blue = self.blue*(x[:, 2] - x[:, 0])
        return torch.stack([.5 - .01*blue, blue, self.bright*x[:, self.channel]], 1)

def judged(seeds, *of): return lambda f: f(Judge(*of).eval(), dressed, list(seeds))

e = exercise('0.9', 'All cats wear a collar', hard=True, task=
    'Suppose that in training every cat wore a collar, and no dog did. What did the network learn? Write '
    '`collar_flips(net, draw, seeds)`: `draw(seed, collar)` draws the cat of a seed without (`False`) and with '
    '(`True`) a '
    'collar. Return the share of seeds for which the top class changes.',
    trials=(Trial('A network that looks at collars', judged((6, 20, 2, 3, 5, 13, 10), 1., .9, 1)),
            Trial('One that looks at the fur', judged(range(1, 6), 0., .9, 0), 0.),
            Trial('One that looks at both', judged((12, 11, *range(13, 21)), 1.5, 1.2, 1))),
    hints=('Two batches: all cats without, all cats with. `net.transform` makes the network\'s input of a scene.',
           '`torch.stack` makes a batch; the top class is `argmax(1)`.',
           'Compare the two rows of class numbers, place by place, and take the mean.'),
    why='With photographs one would have to find cats that happen to wear none. A drawing changes one thing and '
        'keeps the '
        'rest. For the real thing: `draw = lambda seed, collar: scene(seed, "cat", collar=collar)`.')

@e.reference
def collar_flips(net, # with `.transform`
                 draw, # draw(seed, collar) -> a scene
                 seeds # whole numbers
                )->float:
    "The share of cats whose top class changes when nothing but their collar does."
    def top(collar): return net(torch.stack([net.transform(draw(i, collar)) for i in seeds])).argmax(1)
    with torch.no_grad(): return (top(False) != top(True)).float().mean().item()

e.edit('top(False)', 'top(True)', 'Both batches wear a collar. One of them must go without.')
e.edit('.argmax(1)', '', 'Scores nearly always differ a little. Does the *top class* change? `argmax(1)`.')
e.edit('.argmax(1)', '.argmax(0)', '`argmax(0)` goes down a column: the best picture for each class. `argmax(1)` '
       'goes along '
       'a row.')
e.edit('!=', '==', 'This is the share that keeps its class. The others are asked for.')
e.edit('.float().mean()', '.sum()', 'This is how many change. The share is wanted.')
e.edit('.item()', '', 'A tensor comes back. `item()` makes it a float.')
e.edit('top(False) != top(True)', 'top(True) != 0',
       'You ask whether a cat with a collar is class 0. Compare it with the same cat without one.')
e.edit('top(False) != top(True)', 'top(False).sort().values != top(True).sort().values',
       'You have sorted the answers: then nobody knows which cat is whose. Compare place by place.')
e.edit('top(False) != top(True)', 'top(False) != top(True).flip(0)',
       'You compare each cat with another one. Keep the seeds in one order.')
e.edit('top(False) != top(True)', 'top(False)[0] != top(True)',
       'All are compared with the first cat. Compare each cat with itself.')
e.edit('draw(i, collar)', 'draw(0, collar)', 'It is the same cat each time. Draw one for every seed.')
e.edit('net.transform(draw(i, collar))', 'draw(i, collar).image',
       'The picture goes in as it is. The network expects it normalised: `net.transform(scene)`.')
e.edit('for i in seeds', 'for i in range(len(seeds))', 'You draw seeds 0, 1, 2, …. Those that were given are wanted.')
e.wrong(lambda net, draw, seeds: (net(torch.stack([net.transform(draw(i, True)) for i in seeds])).softmax(1)
                                  - net(torch.stack([net.transform(draw(i, False)) for i in seeds])).softmax(1)
                                  ).abs().mean().item(),
        'This is how far the probabilities move. Does the *top class* change? `argmax(1)`.')
e.wrong(lambda net, draw, seeds: collar_flips(net, draw, seeds[:1]), 'Only the first cat is tried. Go through all '
       'seeds.')
e.wrong(lambda net, draw, seeds: collar_flips(net, draw, seeds)*100, 'This is in per cent. A share lies between 0 '
       'and 1.')
