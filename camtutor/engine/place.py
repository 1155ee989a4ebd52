"""Which part of a picture a network sees: how its transform cuts and scales is found by trying it."""
# A ramp from black to white goes through the transform: the values that come out say from where in the picture they
# came. That needs no knowledge of the transform, so it holds for torchvision's, timm's, a Learner's and one's own.
import random
from functools import cached_property
from os import PathLike
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from camtutor.errors import CamError
from camtutor.images import open_small, picture, smaller

RIM = .02   # the share at either end of a ramp that smoothing and clipping may bend
OFF = .012  # how far, as a share of the picture, a value may lie from the straight line

class Place(NamedTuple):
    "What a network sees of a picture, in the picture's own pixels; where it is padded the box reaches beyond."
    left:float
    top:float
    right:float
    bottom:float
    size:tuple  # (width, height) of the picture

    @property
    def box(self): return self[:4]

    @property
    def whole(self)->bool:
        "Is nothing cut away?"
        (w, h), rim = self.size, .01
        return self.left <= rim * w and self.right >= (1 - rim) * w and self.top <= rim * h and \
            self.bottom >= (1 - rim) * h

    @property
    def padded(self)->bool:
        "Does it reach beyond the picture?"
        (w, h), rim = self.size, .01
        return self.left < -rim * w or self.right > (1 + rim) * w or self.top < -rim * h or self.bottom > (1 + rim) * h

    @property
    def middle(self)->bool:
        "Is as much cut away on either side?"
        w, h = self.size
        return abs(self.left + self.right - w) <= .02 * w and abs(self.top + self.bottom - h) <= .02 * h

    @property
    def words(self)->str:
        "What is seen, in words."
        return 'the whole' if self.whole else 'its middle' if self.middle else 'a part of it'

    def scaled(self, size): # (width, height)
        "The same on the picture brought to another size."
        x, y = (new / old for new, old in zip(size, self.size))
        return Place(self.left * x, self.top * y, self.right * x, self.bottom * y, size)

def ramp(size, axis)->Image.Image: # axis 0: from left to right; 1: from top to bottom
    "A picture that goes from black to white."
    line = ((np.arange(size[axis]) + .5) * 255 / size[axis]).round().astype(np.uint8)
    grey = line[None] if axis == 0 else line[:, None]
    return Image.fromarray(np.broadcast_to(grey[..., None], (size[1], size[0], 3)).copy())

def states(): return random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()

class Places:
    "Where pictures of any size are cut by one way of preparing them, each size tried once."
    def __init__(self, prepare): # a PIL image -> (C,h,w)
        self.prepare, self.known = prepare, {}

    @cached_property
    def levels(self)->tuple:
        "What black and white become."
        plain = (self.grey(Image.new('RGB', (64, 64), (v,) * 3)) for v in (0, 255))
        return tuple(a[a.shape[0] // 2, a.shape[1] // 2] for a in plain)

    def of(self, size)->Place: # (width, height) -> None where it cannot be known
        "The part that is seen of a picture of this size."
        if size not in self.known: self.known[size] = self.tried(size)
        return self.known[size]

    def tried(self, size):
        "None if the transform is random, or does more than cut, scale, pad and normalise."
        before, numpy_state, python_state = states(), np.random.get_state(), random.getstate()
        try:
            with torch.random.fork_rng(devices=[]):
                found = [self.line(size, axis) for axis in (0, 1)]
                if states() != before: return None
        except (CamError, RuntimeError, ValueError, TypeError): return None   # it takes no picture of grey
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)
        if None in found: return None
        (left, right), (top, bottom) = found
        return Place(left, top, right, bottom, size)

    def line(self, size, axis):
        "Along one axis: where in the picture what comes out begins and ends."
        low, high = self.levels
        if not high > low: return None
        u = (self.grey(ramp(size, axis)) - low) / (high - low)
        return ends(u if axis == 0 else u.T, size[axis])

    def grey(self, im)->np.ndarray: # (h,w)
        return self.prepare(im).detach().float().mean(0).cpu().numpy().astype(np.float64)

def ends(u, n): # u (rows, along): shares of the way from black to white; n pixels along in the picture
    "Where the straight line through the values in `u` begins and ends, in pixels; None if there is none."
    line, at = np.median(u[len(u) // 3:max(len(u) // 3 + 1, 2 * len(u) // 3)], 0), np.arange(u.shape[1])
    inner = (line > RIM) & (line < 1 - RIM)
    third = inner & (at >= len(at) // 4) & (at < len(at) - len(at) // 4)
    if third.sum() < 4: return None
    slope, start = np.polyfit(at[third], line[third], 1)
    near = inner & (abs(slope * at + start - line) < OFF)
    if slope <= 0 or near.sum() < 4: return None
    slope, start = np.polyfit(at[near], line[near], 1)
    want = slope * at + start
    due = (want > RIM) & (want < 1 - RIM)   # here the picture must be
    if (abs(want - line)[due] > OFF).mean() > .02 or slope <= 0: return None
    if (abs(want - u[len(u) // 2])[due] > 2 * OFF).mean() > .02: return None
    return float((start - slope / 2) * n), float((start + slope * (len(at) - .5)) * n)

class Seen(NamedTuple):
    "A picture as it was given, and how its place in the network's view is found."
    source:object # whatever `picture` reads
    places:Places

    def opened(self, longest=None)->tuple: # a PIL image of mode RGB; its Place, or None
        "The picture, and the part of it that the network saw; with its longer side made `longest` if it is longer."
        im, size = pictured(self.source, longest)
        place = self.places.of(size)
        return im, place and place.scaled(im.size)

def pictured(source, longest)->tuple: # a PIL image; its size (width, height) before it was made smaller
    "A picture, of which the longer side is made `longest`."
    if longest and isinstance(source, (str, PathLike)): return open_small(source, longest)
    im = picture(source)
    return smaller(im, longest) if longest else im, im.size
