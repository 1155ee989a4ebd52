"A picture under study: what the network reads, what a person sees, and what is known to be true of it."
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np, torch.nn.functional as F
from PIL import Image
from torch import Tensor

from camtutor.engine.inputs import as_shown, batch_of, normaliser_of
from camtutor.errors import CamError
from camtutor.scenes import PARTS, Scene, scene
from camtutor.show import as_images

PICTURES = [dict(seed=s, species=n, background=b) for s, n, b in (
    (3, 'cat', 'sofa'), (12, 'dog', 'grass'), (5, 'rabbit', 'carpet'), (8, 'fox', 'snow'), (21, 'bear', 'brick'),
    (2, 'pig', 'grass'), (6, 'mouse', 'wood'), (9, 'elephant', 'beach'), (31, ('cat', 'dog'), 'carpet'),
    (14, ('rabbit', 'fox'), 'grass'))]

class Subject(NamedTuple):
    "A picture under study."
    title:str         # a few words
    code:str          # the Python that makes or opens it
    x:Tensor          # the batch of one that the network reads (1,3,H,W)
    image:Tensor      # what a person is shown (1,3,S,S), from 0 to 1; may be finer than what the network reads
    masks:dict        # part -> mask (H,W) bool as drawn; empty where no truth is known

class Eye(NamedTuple):
    "How a network sees: what becomes of a picture on its way in."
    model:object      # a torch module, or a fastai Learner
    transform:object  # PIL image -> normalised tensor (3,H,W); None = the model's own

    def batch(self, picture):
        "A picture as the batch that the network reads."
        return batch_of(self.model, picture, self.transform)

    def shown(self, x):
        "The batch as pictures from 0 to 1."
        return as_shown(x, normaliser_of(self.model, self.transform))

    def mask(self, mask): # (H,W) bool
        "A mask as the network's own transform crops and resizes it: (1,H,W) bool."
        white = Image.fromarray(np.repeat(mask[..., None], 3, 2).astype(np.uint8) * 255)
        return self.shown(self.batch(white)).mean(1) > .5

    def cuts(self, size): # (width, height) of a picture
        "Does the network see less than the whole of it? Tried with a picture of this shape whose ends are white."
        w, h = (max(1, round(s * 512 / max(size))) for s in size)
        ends = np.zeros((h, w), bool)
        ends[(slice(None), slice(w // 16)) if w > h else slice(h // 16)] = True
        return not self.mask(ends).any()

def read(
    eye:Eye,
    source, # a scene, path, PIL image, tensor, or a dict of `scene`'s arguments
    number=0, # its place in the list
    size=384, # pixels on the longer side of the picture shown
)->Subject:
    "Prepare a picture: what the network reads, what a person sees, what is known about it."
    recipe = source if isinstance(source, dict) else None
    picture = drawn(recipe) if recipe else source
    x = eye.batch(picture)
    if len(x) != 1: raise CamError(f'picture {number + 1} is a batch of {len(x)}. Give its pictures one by one.')
    fine = recipe and np.array_equal(eye.mask(picture.mask())[0].cpu(), picture.mask())   # the outline stays as it is
    image = as_images(drawn(recipe, size)) if fine else enlarged(eye.shown(x).float(), size)
    return Subject(*titled(source, picture, number), x, image, known_parts(picture))

def drawn(recipe, size=128):
    "The scene of a recipe."
    return scene(**{k: v for k, v in recipe.items() if v is not None}, size=size)

def scene_code(recipe:dict)->str: # arguments of `scene` -> the call as Python
    "The line that draws a scene again; what the seed chooses is left out."
    args = [f'{k}={v!r}' for k, v in recipe.items() if k != 'seed' and v is not None]
    return f"scene({', '.join([repr(recipe['seed']), *args])})"

def titled(source, picture, number):
    "A picture's title, and the Python that stands for it."
    if isinstance(source, dict): return ' and '.join(picture.species), scene_code(source)
    if isinstance(source, (str, os.PathLike)): return Path(source).name, repr(str(source))
    title = ' and '.join(picture.species) if isinstance(picture, Scene) else f'picture {number + 1}'
    return title, f'images[{number}]'

def known_parts(picture)->dict: # part -> mask (H,W) bool
    "The parts of a scene that can be seen in it; each animal of several by its place."
    if not isinstance(picture, Scene): return {}
    masks = {p: picture.mask(p) for p in ('animal', *PARTS[1:])}
    if len(picture.species) > 1:
        masks |= {f'animal {i}: {name}': picture.mask('animal', i) for i, name in enumerate(picture.species, 1)}
    return {p: m for p, m in masks.items() if m.any()}

def enlarged(img, size):
    "Pictures (N,3,H,W) with `size` pixels on their longer side."
    h, w = img.shape[-2:]
    new = [max(1, round(s * size / max(h, w))) for s in (h, w)]
    if new == [h, w]: return img
    return F.interpolate(img, new, mode='bicubic', align_corners=False, antialias=max(h, w) > size).clamp(0, 1)

def squared(img):
    "The middle of pictures (N,3,H,W)."
    h, w = img.shape[-2:]
    s, y, x = min(h, w), max(h - w, 0) // 2, max(w - h, 0) // 2
    return img[..., y:y + s, x:x + s]
