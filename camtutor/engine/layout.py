"""Whatever a layer puts out, as maps (N,C,*places)."""
# Two rules find where its places are: a convolution of the network has that grid, or that axis grows when the picture
# does. Where neither holds, the caller says it, as `layout=`, a function from the layer's output to maps.
from math import log, prod
from typing import NamedTuple

import torch
from torch import Tensor

from camtutor.errors import CamError
from camtutor.show import upsample

class Layout(NamedTuple):
    "Where a layer's output keeps its places."
    # 'first' (N,C,*places) | 'last' (N,*places,C) | 'tokens' (N,T,C) | 'sequence' (T,N,C) | 'columns' (N,C,T)
    kind:str
    extra:int=0     # class and register tokens before the places
    grid_of:str=''  # the convolution on whose grid the tokens lie; '' = the grid most like the picture

FIRST = Layout('first')

def is_like(grid, size, slack=.4)->bool:
    "Is this grid (h,w) more than one place, of about the proportions of a picture of `size` (H,W)?"
    if len(grid) != len(size) or prod(grid) <= 1: return False
    if len(size) != 2: return True
    want = grid[0] * size[1] / size[0]
    return abs(grid[1] - want) <= max(1, slack * want)

def off(grid, size)->float:
    "How far a grid (h,w) is from the proportions of a picture (H,W)."
    return abs(log(grid[0] / grid[1] * size[1] / size[0]))

def in_doubt(shape, size)->bool:
    "Could an output of this shape, with as many axes as the batch, have its channels last as well as first?"
    first, last = shape[2:], shape[1:-1]
    if prod(first) == 1: return False
    return is_like(last, size, 0) or not is_like(first, size, 0)

def grid_like(n, size):
    "The grid of exactly `n` places that is most like a picture of `size`; None if none is."
    if len(size) == 1: return (n,)
    if len(size) != 2 or n < 1: return None
    how_far, grid = min((off((h, n // h), size), (h, n // h)) for h in range(1, n + 1) if n % h == 0)
    return grid if how_far < .3 else None

def grid_of_tokens(t, size):
    """The grid of `t` tokens that is most like a picture of `size`, and how many (class, registers) come before it;
    None if none is."""
    found = [(grid, extra) for extra in (0, 1, 2, 4, 5) if (grid := grid_like(t - extra, size))]
    return min(found, key=lambda f: (off(f[0], size), f[1]) if len(size) == 2 else f[1]) if found else None

# ---- which layout?

def layout_by_shape(shape, size):
    "A layout by the shape alone, for a batch of pictures of `size`; None if it has no places."
    if len(shape) == len(size) + 2:
        first, last = shape[2:], shape[1:-1]
        wide = len(size) == 2 and shape[-1] > max(last) and prod(last) > 1
        return Layout('last') if wide and off(last, size) + .15 < off(first, size) else FIRST
    if len(shape) == 3 and (found := grid_of_tokens(shape[1], size)): return Layout('tokens', found[1])
    return None

def layout_by_growth(shape, wide, size, grids, wide_grids):
    """A layout by what became of the `shape` of one picture when the picture became wider or narrower; None if it
    has no places."""
    grown, places = [i for i, (a, b) in enumerate(zip(shape, wide)) if a != b], len(size)
    if len(shape) == len(wide) == places + 2 > 3 and len(grown) == places:  # a detector keeps proportions, not heights
        return {tuple(range(2, places + 2)): FIRST, tuple(range(1, places + 1)): Layout('last')}.get(tuple(grown))
    if len(shape) != len(wide) or len(grown) != 1: return None
    axis = grown[0]
    if len(shape) == places + 2 and axis in (places, places + 1):
        kind, grid = ('first', shape[2:]) if axis == places + 1 else ('last', shape[1:-1])
        return Layout(kind) if grid in grids.values() or is_like(grid, size) else None
    if len(shape) != 3 or 1 not in shape[:2] or shape[2] == 1 and axis == 2: return None
    kind = {1: 'tokens', 0: 'sequence', 2: 'columns'}[axis]
    return _tokens(kind, shape[axis], wide[axis], size, grids, wide_grids)

def _tokens(kind, t, wide_t, size, grids, wide_grids):
    "The layout of `t` tokens that became `wide_t`: on a convolution's grid, or on one like the picture's."
    for name, grid in reversed(grids.items()):
        extra = t - prod(grid)
        if extra >= 0 and name in wide_grids and wide_t - prod(wide_grids[name]) == extra:
            return Layout(kind, extra, name)
    extra = 2 * t - wide_t if wide_t > t else 2 * wide_t - t
    if extra < 0 or t - extra < 2: return None
    return Layout(kind, extra) if grid_like(t - extra, size) else None

def layout_by_grids(shape, size, grids):
    "A layout of one picture's output by the grids of the network's convolutions, where no wider picture can be tried."
    if len(shape) == len(size) + 2:
        first, last = shape[2:] in grids.values(), shape[1:-1] in grids.values()
        if first != last: return FIRST if first else Layout('last')
        layout = layout_by_shape(shape, size)
        grid = shape[2:] if layout is FIRST else shape[1:-1]
        return layout if prod(grid) == 1 or first or is_like(grid, size) else None   # heads, tokens, channels of each
    if len(shape) != 3 or 1 not in shape[:2]: return None
    kind, t = ('tokens', shape[1]) if shape[0] == 1 else ('sequence', shape[0])
    extras = {name: t - prod(g) for name, g in reversed(grids.items()) if prod(g) > 1}
    fits = {name: e for name, e in extras.items() if 0 <= e <= max(8, (t - e) // 4)}
    if fits: return Layout(kind, min(fits.values()), min(fits, key=fits.get))
    found, known = grid_of_tokens(t, size), [g for g in grids.values() if prod(g) > 1]
    if not found or known and not any(is_like(found[0], g, 0) for g in known): return None   # anchors, queries
    return Layout(kind, found[1])

# ---- laying out

def lay_out(
    a:Tensor,      # what a layer put out, or its gradient; or with an axis for K scores in front of it
    layout:Layout, # see `layers.layout_of`
    size,          # the picture's places, such as (H,W)
    grid=None,     # the grid of `layout.grid_of` in this pass
)->Tensor:         # a view (N,C,*places); class and register tokens are left out
    "A layer's output as maps."
    if layout.kind == 'first': return a
    if layout.kind == 'last': return a.movedim(-1, 1)
    if layout.kind == 'sequence': a = a.transpose(0, 1)
    if layout.kind == 'columns': a = a.transpose(1, 2)
    grid = grid or grid_like(a.shape[1] - layout.extra, size)
    return a[:, layout.extra:].unflatten(1, grid).movedim(-1, 1)

def as_maps(
    a:Tensor, # what a layer put out: (N,C,h,w), channels last (N,h,w,C), or tokens (N,T,C)
    size,     # (H,W) of the images
)->Tensor:    # a view (N,C,h,w); class and register tokens are left out
    "Lay a layer's output out as maps (N,C,h,w), by its shape alone. `CamError` if it has no places."
    layout = layout_by_shape(a.shape, size)
    if layout: return lay_out(a, layout, size)
    raise CamError(f"it gives {tuple(a.shape)}, which has no places to draw on; "
                   "(N,C,h,w) or tokens (N,T,C) do. Give an earlier layer.")

def on_the_finest(maps)->list:
    "Maps of several layers, each (N,*places), on the finest of their grids."
    size = max((m.shape[1:] for m in maps), key=torch.Size.numel)
    return [upsample(m, size) for m in maps]
