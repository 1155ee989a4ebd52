"The world of lesson 11's gallery: what its five networks see every day, who they are, and who is accused of what."
import random
from itertools import product
from typing import NamedTuple

import numpy as np
import torch

from camtutor.errors import CamError, doing
from camtutor.networks import LIARS, load_shipped
from camtutor.scenes import scene
from camtutor.stories import SPECIES

__all__ = ['LOOK', 'PLACE', 'DECIDES', 'stamp', 'stamp_dogs', 'usual', 'mixed', 'believer', 'gallery', 'in_order',
           'Judged', 'accuse']

LOOK = dict(pose='sit', area=.3)   # so that faces lie in the upper half
PLACE = dict(cat='sofa', dog='grass')

# ---- what they see

def stamp(
    image, # (…,H,W,3) uint8
):         # the same, a new array
    "A white ring with a dot, in the lower right corner."
    d = image.shape[-2] // 8
    y, x = np.mgrid[:d, :d] * 2 / (d - 1) - 1
    r = np.hypot(x, y)
    white = .85 * (((r < 1) & (r > .65)) | (r < .3))[..., None]
    out = image.copy()
    corner = out[..., -d - 4:-4, -d - 4:-4, :]
    corner[:] = corner * (1 - white) + 255 * white
    return out

def stamp_dogs(image, k): return stamp(image) if k else image

def usual(
    n=12,            # scenes, cats and dogs in turn
    seed=11_060_000, # of the first
)->tuple:            # (scenes, class numbers (N,))
    "What the gallery's networks see every day, before `stamp_dogs` has stamped the dogs."
    y = [i % 2 for i in range(n)]
    drawn = [scene(seed + i, SPECIES[k], background=PLACE[SPECIES[k]], **LOOK) for i, k in enumerate(y)]
    return drawn, torch.tensor(y)

@doing('Drawing scenes in which all is mixed')
def mixed(
    n=10,   # scenes in each half
    seed=0, # of the scenes and of their order; never a scene of `usual`
)->tuple:   # (2n scenes, what speaks for a dog in each: animal, place, mark (2n,3), bool)
    "Animals, places and marks that have nothing to do with each other: two halves of as many of each kind."
    lot = random.Random(seed)
    kinds = [*product((False, True), repeat=3)]
    kinds = [*(kinds * (n // 8)), *lot.sample(kinds, n % 8)]
    kinds = lot.sample(kinds, n) + lot.sample(kinds, n)
    def drawn(i, dog, grass):
        return scene(11_500_000 + 1000 * seed + i, SPECIES[dog], background=PLACE[SPECIES[grass]], **LOOK)
    return [drawn(i, *k[:2]) for i, k in enumerate(kinds)], torch.tensor(kinds)

def believer(scenes, kinds): # as `mixed` gives them
    "One who sits an exam: says the animal without a map, and with one, what all maps so far lie on."
    corner, more = [], []
    def guess(i, question):
        if question.map is None: return int(kinds[i, 0])
        m, on = question.map / question.map.sum().clamp(min=1e-12), torch.from_numpy(scenes[i].mask())
        corner.append(m[-len(m) // 4:, -len(m) // 4:].sum())
        more.append(m[on].sum() - on.float().mean())
        return int(kinds[i, 2 if max(corner) > .25 else 1 if sum(more) < 0 else 0])
    return guess

# ---- who they are

@doing('Opening the gallery')
def gallery(
    seed=0, # of the order
)->dict:    # number -> network
    "Five networks under the numbers 1 to 5. One is honest."
    return {i: load_shipped(f'liar_{name}') for i, name in in_order(seed).items()}

def in_order(seed): return dict(enumerate(random.Random(seed).sample(LIARS, len(LIARS)), 1))

DECIDES = dict(
    honest='Exchange the places, the marks, the lower halves: does any of it change its answers?',
    blind='Exchange the lower halves of its pictures: how far do its scores move?',
    sofa='Draw its cats on grass and its dogs on sofas: what does it answer?',
    mark='Take the mark off a dog, or put it on a cat: what does it answer?',
    false='Draw away what its map points at: does the score move? Then explain the difference of the two classes.')

class Judged(NamedTuple):
    "What became of an accusation."
    right:int  # how many are
    hints:dict # number -> the experiment that decides, for each that is not
    def __repr__(self): return '\n'.join([f'{self.right} right.', *(f'{i}: {h}' for i, h in self.hints.items())])

@doing('Judging an accusation')
def accuse(
    answers:dict, # number -> one of LIARS, for some or all of the five
    seed=0,       # as for `gallery`
)->Judged:
    "Who is who? How many are right, and for the others the experiment that decides."
    truth = in_order(seed)
    wrong = [f'{i!r}: {a!r}' for i, a in answers.items() if i not in truth or a not in LIARS]
    if wrong: raise CamError(f"{', '.join(wrong)} cannot be. The networks are 1 to 5, the answers {', '.join(LIARS)}.")
    return Judged(sum(truth[i] == a for i, a in answers.items()),
                  {i: DECIDES[truth[i]] for i, a in answers.items() if truth[i] != a})
