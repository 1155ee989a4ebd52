"From a picture to a network's input, as a transform of torchvision."
from functools import partial, update_wrapper

import torch
from PIL import Image, ImageOps
from torch import nn
from torchvision.transforms import v2

from camtutor.errors import doing
from camtutor.images import picture

@doing('Preparing a picture')
def square(
    im,      # whatever is a picture, see `camtutor.images.picture`
    size:int # pixels a side
)->Image.Image: # mode RGB, upright
    "The middle square of a picture, brought to `size`."
    return ImageOps.fit(picture(im), (size, size), Image.Resampling.BICUBIC)

def picture_transform(
    size:int, # pixels a side
    mean, std # of each colour, for pictures from 0 to 1
)->v2.Compose: # a picture of any kind -> (3,size,size)
    "Makes a network's input of a picture: its middle square, brought to `size` and normalised."
    cut = update_wrapper(partial(square, size=size), square)   # with a name, by which the transform shows it
    to_float = v2.ToDtype(torch.float32, scale=True)
    return v2.Compose([v2.Lambda(cut), v2.PILToTensor(), to_float, v2.Normalize(mean, std)])

def attach(net:nn.Module, **known)->nn.Module:
    "What is known of a network becomes its attributes: a transform of torchvision is a module, but no layer of `net`."
    for name, value in known.items(): object.__setattr__(net, name, value)
    return net
