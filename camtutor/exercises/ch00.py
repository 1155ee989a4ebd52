"Chapter 00: pictures with a known truth."
from copy import deepcopy
from functools import lru_cache
import numpy as np, torch

from camtutor.exercises.common import gives, keeps, rand
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise
from camtutor.scenes import PARTS, Scene, scene

# 0.1 The truth in numbers

@lru_cache
def drawn(*args, **kw): return scene(*args, size=48, **kw)

def two(): return drawn(5, ('dog', 'fox'))
def one(): return drawn(3, 'cat')

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

# 0.2 Back to a picture

MEAN, STD = (.5, .4, .3), (.2, .25, .3)
DECODED = torch.tensor([0., 1., -2.])[:, None, None].expand(3, 3, 3)[None].clone()

e = exercise('0.2', 'Back to a picture',
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
e.edit('[torch.as_tensor(v, dtype=x.dtype, device=x.device)[:, None, None] for v in (mean, std)]', 'mean, std',
       'A tensor cannot be multiplied by a tuple. Make tensors of `mean` and `std` first, of the shape (3,1,1).')
e.edit('(x*std + mean).clamp(0, 1)', 'x.mul_(std).add_(mean).clamp_(0, 1)',
       "You have changed the caller's batch, which the network still needs: names with `_` at their end work in place.")

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

# 0.4 On a plain colour

def pasted(make):
    def run(answer):
        s = deepcopy(make())
        before = s.image.copy()
        out = answer(s, (10, 200, 255))
        return {'the picture': torch.from_numpy(np.ascontiguousarray(out)),
                "the scene's own picture is as before": np.array_equal(before, s.image)}
    return run

e = exercise('0.4', 'On a plain colour',
    'Write `paste(s, colour)`: the animals of a scene on a plain colour (r, g, b), as (H,W,3) uint8. Then find out '
    'how often the network is still right on white, grey and green.',
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
e.edit('mask()', 'mask(instance=1)', 'Only the first animal is left.')
e.edit('mask()', "mask('head')", 'Only heads are left. `s.mask()` is the whole animal.')
e.edit('s.mask()', '(s.parts > 0)', 'The objects are still there. "Not background" is not "animal".')
e.edit('np.array(colour, dtype=np.uint8)', 'np.uint8(colour[0])', "All three channels have the first one's value.")
