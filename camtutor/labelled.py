"""Pictures with labels, batch after batch, from whatever holds them: a Learner, a DataLoader, a list, a folder of
folders."""
import random
import warnings
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from camtutor.engine.inputs import batch_of, is_learner, network, vocab_of
from camtutor.engine.sources import pictures_in
from camtutor.engine.targets import class_numbers
from camtutor.errors import CamError, describe, doing
from camtutor.images import open_image
from camtutor.scenes import Scene

class Batch(NamedTuple):
    "Some pictures with their labels."
    x:Tensor     # as the network takes them (N,C,H,W)
    y:list       # the class numbers, or names, as they were given
    names:list   # what each picture is called
    things:list  # where the thing is (H,W), bool; None where nobody knows

@doing('Reading pictures with labels')
def labelled(
    model,          # a network, or a fastai Learner
    data=None,      # None: the Learner's validation set | DataLoader | folder of folders | list of (picture, label)
    transform=None, # PIL image -> normalised tensor; None = the model's own
    bs:int=32,      # of folders and lists: pictures at a time
):                  # a generator of `Batch`
    """Batches of pictures with labels.

    In a folder the folders' names are the labels. An item of a list may have a third part, a mask of the thing; a
    `Scene` brings its own. A file that cannot be read is left out with a warning. `CamError` for pictures without
    labels."""
    if isinstance(bs, bool) or not isinstance(bs, int) or bs < 1: raise CamError(f"bs is {bs!r}; it counts pictures.")
    data = source(model, data)
    return loaded(model, data) if loads(data) else read(model, items_of(data), transform, bs)

def source(model, data):
    "What the pictures come from."
    if data is None and is_learner(model): data = model.dls
    if data is None: raise CamError("there are no pictures. Give data=, or a fastai Learner, which has its own.")
    return getattr(data, 'valid', data)

def loads(data):
    "Does it hand out batches?"
    return isinstance(data, torch.utils.data.DataLoader) or hasattr(data, 'one_batch')

# ---- of a DataLoader

def loaded(model, data):
    place, n = next(network(model).parameters(), torch.empty(0)), 0
    for b in data:
        with doing('Reading pictures with labels'): x, y = pair_of(b)
        yield Batch(x.to(place.device), y.tolist(), [f'picture {n + i}' for i in range(len(x))], [None] * len(x))
        n += len(x)

def pair_of(b):
    "Pictures and labels of a batch, as plain tensors."
    if not isinstance(b, (tuple, list)) or len(b) != 2 or not all(isinstance(t, Tensor) for t in b):
        raise CamError(f"the DataLoader gives {describe(b)}. It must give pairs (pictures, class numbers).")
    x, y = (t.as_subclass(Tensor) for t in b)
    if y.ndim != 1 or y.is_floating_point() or len(x) != len(y):
        raise CamError(f"the labels of a batch are {describe(y)}. They must be class numbers, one for each picture.")
    return x, y

# ---- of a folder or a list

def items_of(data):
    "Items (picture, label, mask or None, name), one after the other."
    if isinstance(data, (str, Path)): return in_folders(Path(data).expanduser())
    if not hasattr(data, '__iter__') or isinstance(data, Tensor):
        raise CamError(f"{describe(data)} holds no pictures with labels. Give a DataLoader, a folder whose folders are "
                       "the labels, or a list of (picture, label).")
    return in_list(data)

def in_folders(folder):
    files = [f for f in pictures_in(folder) if f.parent != folder]
    if files: return ((f, f.relative_to(folder).parts[0], None, str(f.relative_to(folder))) for f in files)
    raise CamError(f"'{folder}' has its pictures all in one place. Put those of each class into a folder "
                   "below it that is named like the class.")

def in_list(data):
    for n, item in enumerate(data):
        if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
            with doing('Reading pictures with labels'):
                raise CamError(f"item {n} is {describe(item)}. It must be (picture, label), or (picture, label, mask).")
        picture, label, mask = (*item, None)[:3]
        if mask is None and isinstance(picture, Scene): mask = torch.from_numpy(picture.mask())
        name = str(picture) if isinstance(picture, (str, Path)) else f'picture {n}'
        yield picture, label, mask, name

def read(model, items, transform, bs):
    items = filter(None, map(opened, items))
    while some := list(islice(items, bs)):
        pictures, y, things, names = map(list, zip(*some))
        with doing('Reading pictures with labels'):
            x = batch_of(model, pictures, transform)
            yield Batch(x, y, names, [fitting(t, x, n) for t, n in zip(things, names)])

def opened(item):
    "The item with its file read; None, with a warning, if that cannot be."
    picture, *rest = item
    if not isinstance(picture, (str, Path)): return item
    try: return open_image(picture), *rest
    except CamError as e: warnings.warn(f'left out: {e}')

def fitting(mask, x, name):
    "A mask of the network's picture."
    if mask is None: return None
    mask = torch.as_tensor(mask).bool()
    if mask.shape == x.shape[2:]: return mask
    raise CamError(f"the mask of {name} is {tuple(mask.shape)}, but the network's picture is {tuple(x.shape[2:])}. "
                   "Give masks of the prepared picture.")

# ---- labels, randomness

def numbers_of(model, y, k, names, vocab=None)->Tensor:
    "Labels as class numbers (N,). `CamError` for a label that is no class of the network."
    try: return torch.tensor(class_numbers(y, len(y), k, vocab_of(model, vocab)))
    except CamError as e: raise CamError(f"a label among {names[0]} … {names[-1]} is no class of the network: "
                                         f"{e.reason}") from e

@contextmanager
def same_random():
    "Random numbers afterwards as before: a loader may draw some."
    state = random.getstate()
    try:
        with torch.random.fork_rng(devices=[]): yield
    finally: random.setstate(state)
