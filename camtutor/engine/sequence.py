"Layers in sequence: their names, one run that remembers, the windows that they read, the patches that a unit sees."
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from camtutor.errors import CamError, nearest

class Seen(NamedTuple):
    "What the way back must know of one layer: the shape that it read and, for max pooling, its switches."
    shape:tuple
    idx:Tensor = None

class Field(NamedTuple):
    "Unit i of a layer sees pixels from start + i*step, `size` of them, in each direction."
    size:int
    step:int
    start:int

def in_sequence(model, prefix=''):
    "(name, layer) for each layer of a sequence of sequences, in order; one that stands in two places comes twice."
    if type(model) is not nn.Sequential: return [(prefix, model)]
    return [pair for n, m in model._modules.items() for pair in in_sequence(m, f'{prefix}.{n}' if prefix else n)]

def layers_of(
    model,           # an nn.Sequential
    known,           # the types of layer that are allowed
)->dict:             # layer by name
    "The layers in sequence. `CamError` for one of another type."
    layers = dict(in_sequence(model))
    for name, m in layers.items():
        if type(m) not in known:
            kinds = ', '.join(t.__name__ for t in known)
            raise CamError(f"there is no way back through {name or 'the model'}, a {type(m).__name__}. It knows "
                           f"nn.Sequential of {kinds}; `deconvnet` works on any network.")
    return layers

def upto(
    layers,    # layer by name
    last=None, # the name of the last one wanted; None = all
)->list:       # of (name, layer)
    "The layers as far as `last`. `CamError` if there is none of that name."
    names = list(layers)
    if last is not None and last not in layers:
        raise CamError(f"there is no layer {last!r} in sequence. {nearest(last, names)}")
    return list(layers.items())[:None if last is None else names.index(last) + 1]

def look(m, x):
    "Run one layer, and note what the way back must know: its output, and a `Seen`."
    if not isinstance(m, nn.MaxPool2d): return m(x), Seen(tuple(x.shape))
    y, idx = F.max_pool2d(x, m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, return_indices=True)
    return y, Seen(tuple(x.shape), idx)

def window(m, name)->tuple: # kernel, stride, padding, dilation
    "The square window that a layer reads; 1, 1, 0, 1 for a layer that works place by place."
    if isinstance(m, (nn.ReLU, nn.BatchNorm2d, nn.Dropout, nn.Identity)): return 1, 1, 0, 1
    if not isinstance(m, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)) or isinstance(m.padding, str):
        raise CamError(f"{name!r} is a {type(m).__name__}, which reads no window of fixed size.")
    return tuple(one_number(getattr(m, a, 1), name) for a in ('kernel_size', 'stride', 'padding', 'dilation'))

def one_number(v, name):
    if isinstance(v, int): return v
    if len(set(v)) == 1: return v[0]
    raise CamError(f"{name!r} has {v} rows and columns; only square windows are known here.")

def crop(
    x:Tensor, field:Field, # pictures (N,3,H,W), and what a unit of them sees, see `receptive_field`
    rows:Tensor, cols:Tensor, # a unit for each picture (N,)
    fill=0.,  # colour outside the picture
)->Tensor:    # (N,3,size,size)
    "Cut out what one unit of each picture sees; what lies outside the picture is filled."
    padded = F.pad(x, [field.size] * 4, value=fill)
    top, left = [field.size + field.start + field.step * at for at in (rows, cols)]
    return torch.stack([p[:, t:t+field.size, l:l+field.size] for p, t, l in zip(padded, top.tolist(), left.tolist())])
