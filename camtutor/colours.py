"Colour tables for maps, looked up once."
from functools import lru_cache

import matplotlib as mpl
import numpy as np
import torch

from camtutor.errors import expect_choice

def colour_map(cmap, signed=False):
    "A colour map of matplotlib, by its name or itself; None = 'magma', or 'RdBu_r' if signed."
    if isinstance(cmap, mpl.colors.Colormap): return cmap
    name = ('RdBu_r' if signed else 'magma') if cmap is None else cmap
    return mpl.colormaps[expect_choice(name, mpl.colormaps, 'colour map')]

def colours(cmap, signed):
    "The colours of a map, looked up once where it is known by its name."
    found = colour_map(cmap, signed)
    return colours_of(found) if isinstance(cmap, mpl.colors.Colormap) else named(found.name)

@lru_cache
def named(name): return colours_of(mpl.colormaps[name])

def colours_of(cmap):
    "A colour map as a (256,3) tensor."
    return torch.tensor(cmap(np.linspace(0, 1, 256)), dtype=torch.float32)[:, :3]
