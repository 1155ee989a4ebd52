"A channel of a layer, or one neuron of it, as a target: what `unit` makes, any method explains."
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from camtutor.engine.targets import At, plain
from camtutor.errors import CamError

def checked_channel(A, channel, whole):
    "`channel` in Python's own numbers, if it is in `A`."
    neuron = isinstance(channel, tuple)
    channel = tuple(map(plain, channel)) if neuron else plain(channel)
    wanted = () if channel is None else channel if neuron else (channel,)
    if any(type(i) is not int for i in wanted) or neuron and len(wanted) != A.ndim - 1:
        raise CamError(f"the channel {channel!r} must be None, an int, or a neuron (channel, row, column) "
                       f"of activations {tuple(A.shape)}.")
    if any(not 0 <= i < n for i, n in zip(wanted, A.shape[1:])):
        raise CamError(f"channel {channel} is out of range: the layer's "
                       f"activations are {tuple(A.shape)}, counted from 0.")
    if whole and neuron: raise CamError(f"the neuron {channel} has no map of its own. Give whole=True with a channel.")
    return channel

def unit_mask(
    A:Tensor,     # activations (N,C,h,w), or (N,C)
    channel=None, # which channel, or (channel, row, column) for one neuron; None = each image's strongest
    whole=False,  # the whole map instead of its strongest place?
)->Tensor:        # 1 at the wanted places, 0 elsewhere, same shape
    "Mark what is to be explained in `A`. `CamError` if there is no such channel or neuron."
    channel = checked_channel(A, channel, whole)
    flat, mask, n = A.detach().view(*A.shape[:2], -1), torch.zeros_like(A), torch.arange(len(A), device=A.device)
    if isinstance(channel, tuple): mask[(slice(None), *channel)] = 1
    else:
        best = flat.amax(2).argmax(1) if channel is None else channel
        places = 1 if whole else F.one_hot(flat[n, best].argmax(1), flat.shape[2]).to(mask.dtype)
        mask.view_as(flat)[n, best] = places
    return mask

def unit_score(A, channel, whole, weigh=False):
    "The sum (N,) of what `unit_mask` marks, each place `weigh`ed by its own activation if a deconvnet asks."
    if A.ndim < 2: raise CamError(f"the layer gave {tuple(A.shape)}, but a unit is one of activations (N,C,…).")
    mask = unit_mask(A, channel, whole)
    return (A * (mask * A.detach() if weigh else mask)).flatten(1).sum(1)

def unit(
    layer,        # a name or a module
    channel=None, # which channel, or (channel, row, column) for one neuron; None = each image's strongest
    whole=False,  # the whole map instead of its strongest place?
)->At:            # a target
    "One channel of a layer, or one neuron, as a target; see `unit_mask`."
    what = 'the strongest channel' if channel is None else f'channel {channel}'
    return At(layer, partial(unit_score, channel=channel, whole=whole),
              f"{what} of {layer if isinstance(layer, str) else 'a layer'}")
