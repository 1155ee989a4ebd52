"Made up, so that the truth is known: sentences, heartbeats, and volumes."
import random

import torch

__all__ = ['sentences', 'beats', 'volumes']

GOOD, BAD = ['superb', 'brilliant', 'touching', 'witty'], ['dreadful', 'tedious', 'clumsy', 'bland']
THINGS, FILLERS = ['plot', 'cast', 'score', 'ending'], ['really', 'perhaps', 'again', 'somewhat', 'here']

def sentence(r, twists=True):
    "A made-up review: text, class, first and last of the deciding words, and whether another book comes first."
    positive, negated = r.random() < .5, twists and r.random() < .3
    decides = r.choice(GOOD if positive != negated else BAD)
    book = ['unlike', 'the', r.choice(GOOD + BAD), 'book'] if twists and r.random() < .5 else []
    start, end = book + r.sample(FILLERS, r.randint(0, 2)), r.sample(FILLERS, r.randint(0, 3))
    said = [*start, 'the', r.choice(THINGS), 'is', *['not'] * negated, decides, *end]
    return ' '.join(said), int(positive), [len(start) + 3, len(start) + 3 + negated], bool(book)

def sentences(
    n:int,       # how many
    twists=True, # negations, and other books?
    seed:int=0,
):               # four lists: texts, classes, the first and last of the deciding words, whether a book comes first
    "Made-up reviews in which one word decides, or `not` and a word. What is said of another book must not count."
    r = random.Random(seed)
    return tuple(map(list, zip(*[sentence(r, twists) for _ in range(n)])))

def beats(n:int, seed:int=0):
    "Heartbeats: signals (n,1,256), whether one beat is odd, wide and late (n,), and where (n,256)."
    r, t = torch.Generator().manual_seed(seed), torch.arange(256.)
    x, odd = .15 * torch.randn(n, 1, 256, generator=r), torch.rand(n, generator=r) < .5
    mask, first = torch.zeros(n, 256).bool(), torch.randint(8, 32, (n,), generator=r)
    which = torch.randint(0, 5, (n,), generator=r)
    for i in range(n):
        for b in range(5):
            at, strange = first[i] + 48 * b, odd[i] and b == which[i]
            width = 9. if strange else 3.
            x[i, 0] += torch.exp(-(t - at - (6 if strange else 0))**2 / (2 * width**2))
            if strange: mask[i] = (t - at - 6).abs() < 18
    return x, odd.long(), mask

def volumes(n:int, seed:int=0):
    "Noise (n,1,20,20,20), whether there is a ball in it (n,), and where (n,20,20,20)."
    r = torch.Generator().manual_seed(seed)
    there, at = torch.rand(n, generator=r) < .5, torch.randint(5, 15, (n, 3, 1, 1, 1), generator=r)
    away = (torch.stack(torch.meshgrid(*[torch.arange(20)] * 3, indexing='ij'))[None] - at).float()
    mask = (away.square().sum(1) < 12) & there[:, None, None, None]
    return mask[:, None] + .5 * torch.randn(n, 1, 20, 20, 20, generator=r), there.long(), mask
