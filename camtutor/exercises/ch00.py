"Chapter 00: pictures with a known truth."
from copy import deepcopy
from functools import lru_cache
import numpy as np, torch

from camtutor.exercises.common import gives, keeps, rand
from camtutor.exercises.core import Exercise, Mistake, Trial
from camtutor.scenes import PARTS, Scene, scene

@lru_cache
def drawn(*args, **kw): return scene(*args, size=48, **kw)
def two(): return drawn(5, ('dog', 'fox'))
def one(): return drawn(3, 'cat')

# 0.1 the truth in numbers

def part_shares(s:Scene)->dict: # name of a part -> share
    "For each name in `PARTS`, its share of the animals' pixels; what is no part of an animal gets 0."
    inside = s.parts[s.instances > 0]
    return {name: float((inside == i).mean()) for i, name in enumerate(PARTS)}

def part_shares_masks(s):
    animal = s.mask('animal')
    return {p: float((s.mask(p) & animal).sum()/animal.sum()) for p in PARTS}
def part_shares_counts(s):
    n = np.bincount(s.parts[s.mask()].ravel(), minlength=len(PARTS))
    return dict(zip(PARTS, (n/n.sum()).tolist()))

def shares_of_picture(s): return {p: float(s.mask(p).mean()) for p in PARTS}
def shares_of_all(s): return {p: float(s.mask(p).sum()/s.mask().sum()) for p in PARTS}
def shares_counted(s): return {p: int((s.mask(p) & s.mask()).sum()) for p in PARTS}
def shares_with_objects(s):
    inside = s.parts[s.parts > 0]
    return {name: float((inside == i).mean()) for i, name in enumerate(PARTS)}
def shares_of_first(s):
    inside = s.parts[s.instances == 1]
    return {name: float((inside == i).mean()) for i, name in enumerate(PARTS)}
def shares_present(s): return {p: v for p, v in part_shares(s).items() if v > 0}

# 0.2 back to a picture

MEAN, STD = (.5, .4, .3), (.2, .25, .3)

def decode(x:torch.Tensor, # normalised batch (N,3,H,W)
           mean, std # three numbers each
          )->torch.Tensor: # (N,3,H,W) in [0,1]
    "Undo the normalisation: pictures whose values lie in [0,1]."
    mean, std = [torch.as_tensor(v, dtype=x.dtype, device=x.device)[:, None, None] for v in (mean, std)]
    return (x*std + mean).clamp(0, 1)

def decode_view(x, mean, std): return (x*x.new_tensor(std).view(1, 3, 1, 1) + x.new_tensor(mean).view(1, 3, 1, 1)).clamp(min=0, max=1)
def decode_last(x, mean, std): return (x.movedim(1, -1)*x.new_tensor(std) + x.new_tensor(mean)).movedim(-1, 1).clip(0, 1)

def decode_again(x, mean, std):
    m, s = [x.new_tensor(v)[:, None, None] for v in (mean, std)]
    return ((x - m)/s).clamp(0, 1)
def decode_order(x, mean, std):
    m, s = [x.new_tensor(v)[:, None, None] for v in (mean, std)]
    return ((x + m)*s).clamp(0, 1)
def decode_no_clamp(x, mean, std):
    m, s = [x.new_tensor(v)[:, None, None] for v in (mean, std)]
    return x*s + m
def decode_min_max(x, mean, std):
    low, high = x.amin((1, 2, 3), True), x.amax((1, 2, 3), True)
    return (x - low)/(high - low)
def decode_width(x, mean, std): return (x*x.new_tensor(std) + x.new_tensor(mean)).clamp(0, 1)
def decode_tuples(x, mean, std): return (x*std + mean).clamp(0, 1)
def decode_in_place(x, mean, std):
    m, s = [x.new_tensor(v)[:, None, None] for v in (mean, std)]
    return x.mul_(s).add_(m).clamp_(0, 1)

DECODED = torch.tensor([0., 1., -2.])[:, None, None].expand(3, 3, 3)[None].clone()

# 0.3 which number is the dog

def accuracy(out:torch.Tensor, # scores (N,K)
             names, # the N right names
             vocab # the K names, in the order of the scores
            )->float:
    "The share of pictures whose highest score belongs to the right name."
    right = torch.tensor([vocab.index(n) for n in names])
    return (out.argmax(1) == right).float().mean().item()

def accuracy_names(out, names, vocab):
    said = [vocab[i] for i in out.argmax(1).tolist()]
    return sum(a == b for a, b in zip(said, names))/len(names)
def accuracy_dict(out, names, vocab):
    number = {n: i for i, n in enumerate(vocab)}
    return float(np.mean([row.argmax().item() == number[n] for row, n in zip(out, names)]))

def accuracy_sorted(out, names, vocab): return accuracy(out, names, sorted(vocab))
def accuracy_count(out, names, vocab): return accuracy(out, names, vocab)*len(names)
def accuracy_error(out, names, vocab): return 1 - accuracy(out, names, vocab)
def accuracy_by_picture(out, names, vocab):
    best = out.argmax(0)
    return float(np.mean([vocab[k] == n for k, n in zip(best.tolist(), names)]))
def accuracy_of_columns(out, names, vocab): return sum(vocab[k] == n for k, n in zip(out.argmax(0).tolist(), names))/len(names)
def accuracy_tensor(out, names, vocab): return torch.tensor(accuracy(out, names, vocab))

OUT, VOCAB = torch.tensor([[1., 3., 2.], [5., 0., 1.], [0., 1., 4.], [2., 1., 0.]]), ['fox', 'cat', 'dog']
NAMES = ['cat', 'fox', 'dog', 'dog']

# 0.4 on a plain colour

def paste(s:Scene,
          colour # (r, g, b), each 0 to 255
         ): # (H,W,3) uint8
    "The animals of a scene on a plain colour."
    return np.where(s.mask()[..., None], s.image, np.array(colour, dtype=np.uint8))

def paste_copy(s, colour):
    image = s.image.copy()
    image[~s.mask('animal')] = colour
    return image
def paste_fill(s, colour):
    out = np.empty_like(s.image)
    out[:] = colour
    out[s.instances > 0] = s.image[s.instances > 0]
    return out

def paste_turned(s, colour): return np.where(~s.mask()[..., None], s.image, np.array(colour, dtype=np.uint8))
def paste_type(s, colour): return np.where(s.mask()[..., None], s.image, np.array(colour))
def paste_in_place(s, colour):
    s.image[~s.mask()] = colour
    return s.image
def paste_axis(s, colour): return np.where(s.mask(), s.image, colour)
def paste_first(s, colour): return np.where(s.mask(instance=1)[..., None], s.image, np.array(colour, dtype=np.uint8))
def paste_head(s, colour): return np.where(s.mask('head')[..., None], s.image, np.array(colour, dtype=np.uint8))
def paste_objects(s, colour): return np.where((s.parts > 0)[..., None], s.image, np.array(colour, dtype=np.uint8))
def paste_grey(s, colour): return np.where(s.mask()[..., None], s.image, np.uint8(colour[0]))

def pasted(make):
    def run(answer):
        s = deepcopy(make())
        before = s.image.copy()
        out = answer(s, (10, 200, 255))
        return {'the picture': torch.from_numpy(np.ascontiguousarray(out)), "the scene's own picture is as before": np.array_equal(before, s.image)}
    return run

EXERCISES = (
    Exercise('0.1', 'The truth in numbers', 'Write `part_shares(s)`: a dict from each name in `PARTS` to the share of the *animals\'* pixels that it takes. What is no part of an animal gets 0, so that the shares add up to 1.', part_shares,
        trials=(Trial('A cat', lambda f: f(one())), Trial('A dog and a fox, with something in front', lambda f: f(two()))),
        mistakes=(Mistake(shares_of_picture, 'These are shares of the whole picture, wall and floor included. Divide by the animals\' pixels.'), Mistake(shares_of_all, 'Divided by the right number, but counted over the whole picture: background and objects get a share too. Count inside `s.mask()` only.'), Mistake(shares_counted, 'These are counts. Divide them by the number of the animals\' pixels.'),
                  Mistake(shares_with_objects, '"Not background" is not the same as "animal": there are objects too. `s.instances > 0` is true on animals only.'), Mistake(shares_of_first, 'Only the first animal is counted. `instances` is 1, 2, … from left to right.'),
                  Mistake(shares_present, 'Parts that do not occur are missing. Give them 0.')),
        hints=('`s.parts` holds, for each pixel, a place in the list `PARTS`; `s.instances` is 0 where there is no animal.', 'Pick the pixels of the animals first: indexing with a bool array.', 'For each place in `PARTS`: the mean of "equal to this number" over those pixels.'),
        why='Shares of area are what every figure of this course is compared with: a map that is the same everywhere has just this much on each part.', also=(part_shares_masks, part_shares_counts)),
    Exercise('0.2', 'Back to a picture', 'Write `decode(x, mean, std)`: a normalised batch (N,3,H,W) back to pictures in [0,1], without a loop.', decode,
        trials=(gives('Worked by hand: 0, 1 and −2 in the three channels', DECODED, MEAN, STD, want=torch.tensor([.5, .65, 0.])[:, None, None].expand(3, 3, 3)[None]), gives('A random batch, 3 × 5', rand(2, 3, 3, 5), MEAN, STD), keeps(rand(2, 3, 3, 5), MEAN, STD)),
        mistakes=(Mistake(decode_again, 'You normalise once more: subtract and divide is the way there. The way back multiplies and adds.'), Mistake(decode_order, 'The order is turned: first multiply by the deviation, then add the mean.'), Mistake(decode_no_clamp, 'Some values lie outside [0,1]: clamp them.'),
                  Mistake(decode_min_max, 'You stretch each picture from 0 to 1. Then its brightness and its colours are no longer its own.'), Mistake(decode_width, 'Three numbers line up with the last axis, the width. Give them the shape (3,1,1).'), Mistake(decode_tuples, 'A tensor cannot be multiplied by a tuple. Make tensors of `mean` and `std` first, of the shape (3,1,1).'), Mistake(decode_in_place, 'You have changed the caller\'s batch, which the network still needs: names with `_` at their end work in place.')),
        hints=('Normalising is (picture − mean) / std. Solve for the picture.', 'Three numbers become (3,1,1) with `[:, None, None]`.', 'Multiply, add, `clamp(0, 1)`.'), why='A normalised tensor that is drawn as it is comes out dark and false, and one starts to look for a mistake in the network.', also=(decode_view, decode_last)),
    Exercise('0.3', 'Which number is the dog?', 'Write `accuracy(out, names, vocab)`: from scores (N,K) and the N right names, the share of right answers, as a float. It must be right for a vocab in any order.', accuracy,
        trials=(Trial('Four pictures, three right', lambda f: f(OUT.clone(), NAMES, VOCAB), .75), Trial('The same, the vocab turned round', lambda f: f(OUT.clone(), NAMES, VOCAB[::-1]), .5), Trial('Three pictures', lambda f: f(OUT[:3].clone(), NAMES[:3], VOCAB), 1.)),
        mistakes=(Mistake(accuracy_sorted, 'You sort the names. The scores come in the order of the vocab, whatever that is.'), Mistake(accuracy_count, 'This is how many are right. The share is wanted.'), Mistake(accuracy_error, 'This is the share of *wrong* answers.'),
                  Mistake(accuracy_by_picture, 'You look for the best picture of each class. Look for the best class of each picture: `argmax(1)`.'), Mistake(accuracy_of_columns, '`argmax(0)` goes down a column: the best picture for each class. `argmax(1)` goes along a row: the best class for each picture.'), Mistake(accuracy_tensor, 'A tensor comes back. `item()` makes it a float.')),
        hints=('`out.argmax(1)` are numbers, `names` are words. Bring them to the same.', '`vocab.index(name)`, or `vocab[number]`.', 'Compare, take the mean, `item()`.'), why='Output number 0 means nothing until the vocab says so. Nothing warns of a mix-up.', also=(accuracy_names, accuracy_dict)),
    Exercise('0.4', 'On a plain colour', 'Write `paste(s, colour)`: the animals of a scene on a plain colour (r, g, b), as (H,W,3) uint8. Then find out how often the network is still right on white, grey and green.', paste,
        trials=(Trial('A cat', pasted(one)), Trial('A dog and a fox, with something in front', pasted(two))),
        mistakes=(Mistake(paste_turned, 'The colour is on the animals. Turn the mask round.'), Mistake(paste_type, 'The numbers are right, but their type is not uint8, and a viewer would take them for something else.'), Mistake(paste_in_place, 'You have painted over the scene itself: whoever uses it next gets your colour. Work on a copy, `s.image.copy()`.'), Mistake(paste_axis, 'The mask is (H,W) and the picture (H,W,3). An empty axis at the end, `[..., None]`, makes them fit.'), Mistake(paste_first, 'Only the first animal is left.'),
                  Mistake(paste_head, 'Only heads are left. `s.mask()` is the whole animal.'), Mistake(paste_objects, 'The objects are still there. "Not background" is not "animal".'), Mistake(paste_grey, 'All three channels have the first one\'s value.')),
        hints=('`s.mask()` is a bool (H,W), `s.image` is (H,W,3).', '`mask[..., None]` lines up with three channels.', '`np.where(mask, image, colour)`, with the colour as uint8.'), why='If the answer changes with the colour behind, "it only looks at the animal" is not true.', also=(paste_copy, paste_fill)),
)
