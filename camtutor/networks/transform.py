"From a picture to a network's input, as a transform of torchvision."
from functools import partial, update_wrapper

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn
from torchvision.transforms import v2

from camtutor.errors import CamError, describe
from camtutor.images import as_seen

def square(
    im, # a `Scene`, PIL image or (H,W,3) uint8 array
    size:int # pixels a side
)->Image.Image: # mode RGB, upright
    "The middle square of a picture, brought to `size`."
    im = getattr(im, 'image', im)
    if isinstance(im, np.ndarray) and im.dtype == np.uint8 and im.shape[2:] == (3,): im = Image.fromarray(im)
    if isinstance(im, Image.Image): return ImageOps.fit(as_seen(im), (size, size), Image.Resampling.BICUBIC)
    raise CamError(f'{describe(im)} is none of Scene, PIL image, (H,W,3) uint8 array. Open files with open_image.',
                   'Preparing a picture')

def picture_transform(
    size:int, # pixels a side
    mean, std # of each colour, for pictures from 0 to 1
)->v2.Compose: # a `Scene`, PIL image or (H,W,3) uint8 array -> (3,size,size)
    "Makes a network's input of a picture: its middle square, brought to `size` and normalised."
    cut = update_wrapper(partial(square, size=size), square)   # with a name, by which the transform shows it
    to_float = v2.ToDtype(torch.float32, scale=True)
    return v2.Compose([v2.Lambda(cut), v2.PILToTensor(), to_float, v2.Normalize(mean, std)])

def attach(net:nn.Module, **known)->nn.Module:
    "What is known of a network becomes its attributes: a transform of torchvision is a module, but no layer of `net`."
    for name, value in known.items(): object.__setattr__(net, name, value)
    return net
