"Many pictures, from a folder, a list or a loader: found, opened and prepared ahead, each failure in its place."
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from camtutor.engine.ahead import WORKERS, ahead
from camtutor.engine.inputs import as_list, batch_of, channels_read, check_knows_pictures, is_batch, is_learner, network
from camtutor.engine.place import Places, Seen
from camtutor.engine.targets import At, plain
from camtutor.errors import CamError, describe, doing
from camtutor.images import open_image
from camtutor.marks import is_own

# ---- what there is

SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.gif', '.tif', '.tiff', '.ppm', '.jp2', '.avif', '.heic',
            '.heif')

@doing('Explaining a folder')
def pictures_in(folder)->list:
    """The pictures of a folder and of the folders in it, in order of their names. `CamError` if there is none.

    Hidden files are left out, and explanations that were saved there, unless there is nothing else."""
    folder = Path(folder).expanduser()
    if not folder.is_dir(): raise CamError(f"'{folder}' is not one. For a single file use explain.")
    found = sorted(p for p in folder.rglob('*') if p.suffix.lower() in SUFFIXES and p.is_file()
                   and not any(part.startswith('.') for part in p.relative_to(folder).parts))
    found = [p for p in found if not is_own(p)] or found
    if found: return found
    raise CamError(f"'{folder}' holds no picture ({', '.join(SUFFIXES)}).")

def is_path(image): return isinstance(image, (str, os.PathLike))

def sources_of(images):
    "The pictures of a folder; or whatever else can be gone through. `CamError` for one picture."
    if is_path(images): return pictures_in(images)
    stack = isinstance(images, (Tensor, np.ndarray))
    several = images.ndim >= 4 if stack else hasattr(images, '__iter__') or hasattr(images, '__getitem__')
    if several: return images
    raise CamError(f"{describe(images)} is not several. Give a folder, a list of pictures, or an array (N,H,W,3); "
                   "for a single picture use explain.")

@doing('Explaining many pictures')
def check_many(images, target, bs):
    "The pictures, how many (or 'noinfer'), and the target, if they fit. `CamError` if not, before any work is done."
    if isinstance(bs, bool) or not isinstance(bs, int) or bs < 1:
        raise CamError(f"bs is {bs!r}, but it counts pictures: 1 or more.")
    images = sources_of(images)
    total = len(images) if hasattr(images, '__len__') else 'noinfer'
    target = target if callable(target) or isinstance(target, At) else plain(target)
    if isinstance(target, (list, tuple)) and len(target) != total:
        raise CamError(f"{len(target)} targets, but "
                       f"{total if total != 'noinfer' else 'an unknown number of'} "
                       "pictures. Give one target for all, or one for each.")
    return images, total, target

# ---- one after the other

class Failed(NamedTuple):
    "A picture that could not be explained."
    source:str # its file, or which one it is
    reason:str # what was found, and what to do
    def __bool__(self): return False

class Row(NamedTuple):
    "One picture, prepared."
    number:int  # its place among the pictures
    name:str    # its file, or 'image 3'
    x:Tensor    # (C,H,W)
    seen:object # a `Seen`; None of a tensor

def rows_of(model, images, transform, single, bs):
    "One picture after the other, as a Row or a Failed, prepared ahead. `single`: is each item to be one picture?"
    places, n = Places(lambda im: batch_of(model, im, transform)[0]), 0
    def ready(item): return readied(model, item, transform, single)
    for item, xs in ahead(ready, images, bs, 0 if is_learner(model) else WORKERS):
        if isinstance(xs, Failed): yield xs
        else:
            for i, (one, x) in enumerate(zip(as_list(item), xs), n):
                yield Row(i, str(item) if is_path(item) else f'image {i}', x,
                          None if is_batch(one) else Seen(one, places))
        n += 1 if isinstance(xs, Failed) else len(xs)

def readied(model, item, transform, single)->tuple:
    "An item without its label, and the batch that it makes; or a Failed if its file cannot be read."
    item = without_label(item)
    if hasattr(item, 'read'): item = open_image(item)
    check_item(model, item, transform, single)
    try: opened = open_image(item, 'RGBA' if channels_read(network(model)) == 4 else 'RGB') if is_path(item) else item
    except CamError as e: return item, Failed(str(item), e.reason)
    return item, batch_of(model, opened, transform)

def without_label(item):
    "The pictures of a pair (pictures, labels); anything else as it is. `CamError` for what is no such pair."
    if not isinstance(item, (tuple, list)): return item
    if len(item) == 2 and is_label(item[1], item[0]): return item[0]
    raise CamError(f"an item is {describe(item)}. Give pictures alone, or pairs (picture, label) as a DataLoader does.")

def is_label(y, x)->bool:
    "Can this be the label of a picture, or the labels of a batch?"
    if isinstance(y, (Tensor, np.ndarray)): return y.ndim <= 1 or y.ndim == 2 and getattr(x, 'ndim', 0) == 4
    return isinstance(y, (int, float)) or isinstance(y, str) and not is_path(x)

def check_item(model, image, transform, single):
    "`CamError` unless this is what `explain_all` can explain as one of its `images`."
    if not is_batch(image): check_knows_pictures(model, transform)
    if single and len(as_list(image)) > 1:
        raise CamError(f"an item is a batch of {len(image)}, but with a target "
                       "for each picture the pictures come one by one.")
