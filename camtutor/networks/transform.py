"From a picture to a network's input, without torchvision, whose import takes longer than a photo."
from functools import partial, update_wrapper

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from camtutor.errors import doing
from camtutor.images import picture

class Steps:
    "One after the other; `transforms` are its steps, as in torchvision's `Compose`; `size`: of what comes out."
    def __init__(self, transforms, size:int): self.transforms, self.size = list(transforms), size

    def __call__(self, image):
        for step in self.transforms: image = step(image)
        return image

    def __repr__(self): return f"Steps({', '.join(getattr(t, '__name__', repr(t)) for t in self.transforms)})"

class Normalize:
    "Subtract the mean and divide by the std of each colour."
    def __init__(self, mean, std): self.mean, self.std = list(mean), list(std)

    def __call__(self, x): return (x - across(self.mean, x)).div_(across(self.std, x))

    def __repr__(self): return f'Normalize(mean={self.mean}, std={self.std})'

def across(v, x): return torch.tensor(v, dtype=x.dtype, device=x.device)[:, None, None]

def to_tensor(im)->Tensor: # a PIL image of mode RGB -> (3,H,W)
    "The colours from 0 to 1."
    return torch.from_numpy(np.array(im)).permute(2, 0, 1).contiguous().float().mul_(1 / 255)

@doing('Preparing a picture')
def square(
    im,      # whatever is a picture, see `camtutor.images.picture`
    size:int # pixels a side
)->Image.Image: # mode RGB, upright
    "The middle square of a picture, brought to `size`."
    return ImageOps.fit(picture(im), (size, size), Image.Resampling.BICUBIC)

@doing('Preparing a picture')
def middle(
    im,        # whatever is a picture, see `camtutor.images.picture`
    short:int, # pixels that its shorter side is brought to
    size:int   # pixels a side of what is cut out
)->Image.Image: # mode RGB, upright
    "The middle of a picture that was brought to another size first."
    im = picture(im)
    new = [short * s // min(im.size) for s in im.size]
    left, top = (round((s - size) / 2) for s in new)
    return im.resize(new, Image.Resampling.BICUBIC).crop((left, top, left + size, top + size))

def step(fn, **arguments):
    "A function with its arguments filled in, and its name, by which a transform shows it."
    return update_wrapper(partial(fn, **arguments), fn)

def picture_transform(
    size:int, # pixels a side
    mean, std # of each colour, for pictures from 0 to 1
)->Steps: # a picture of any kind -> (3,size,size)
    "Makes a network's input of a picture: its middle square, brought to `size` and normalised."
    return Steps([step(square, size=size), to_tensor, Normalize(mean, std)], size)

def attach(net:nn.Module, **known)->nn.Module:
    "What is known of a network becomes its attributes: a transform may be a module, but it is no layer of `net`."
    for name, value in known.items(): object.__setattr__(net, name, value)
    return net
