"fastai DataLoaders of tensors with labels. Of texts, those of like length come together, each batch without filling."
import random

import torch
from torch import Tensor

__all__ = ['loaders']

def loaders(
    known, new, # pairs (inputs, labels), to learn from and held out: tensors (N,…), of texts ids (N,L) that end in 0
    bs:int=64,
    seed:int=0, # of their order
):              # fastai DataLoaders
    "Batches for a `Learner`, in an order that repeats."
    from fastai.data.core import DataLoaders
    made = DataLoaders(loader(*known, bs, seed), loader(*new, 2 * bs), device='cpu')
    made.n_inp = 1
    return made

def loader(x, y, bs, seed=None):
    "A fastai DataLoader; without a seed it goes through the items in their order."
    from fastai.data.core import TfmdDL
    y, r, lengths = torch.as_tensor(y), random.Random(seed), lengths_of(x)
    def cut(numbers): return x[numbers, :max(lengths[i] for i in numbers)] if x.ndim == 2 else x[numbers], y[numbers]
    def mixed(numbers): return in_like_lengths(numbers, lengths, bs, r)
    return TfmdDL(range(len(x)), bs=bs, shuffle=seed is not None, drop_last=seed is not None, num_workers=0,
                  create_batch=cut, shuffle_fn=mixed, device='cpu')

def lengths_of(x:Tensor)->list:
    "How many places of each item are filled; of what is no text, all."
    return (x > 0).sum(1).tolist() if x.ndim == 2 else [0] * len(x)

def in_like_lengths(numbers, lengths, bs, r)->list:
    "Shuffled; every 50 batches are sorted by length, and then the whole batches shuffled once more."
    mixed = r.sample(list(numbers), len(numbers))
    some = [sorted(mixed[i:i + 50 * bs], key=lengths.__getitem__) for i in range(0, len(mixed), 50 * bs)]
    rows = [i for part in some for i in part]
    whole = [rows[i:i + bs] for i in range(0, len(rows) - len(rows) % bs, bs)]
    r.shuffle(whole)
    return sum(whole, []) + rows[len(rows) - len(rows) % bs:]
