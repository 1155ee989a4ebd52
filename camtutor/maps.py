"Maps that are to be drawn: checked, counted, and put where they belong on larger pictures."
from operator import index

import torch
import torch.nn.functional as F
from torch import Tensor

from camtutor.errors import CamError, describe

def as_maps(m, dims=(2, 3)):
    "`m` as a finite floating tensor."
    try: m = torch.as_tensor(m).detach()
    except (TypeError, ValueError, RuntimeError) as e:
        raise CamError(f"{describe(m)} is no map (N,h,w) or (h,w).") from e
    if m.ndim not in dims or 0 in m.shape:
        raise CamError(f"got shape {tuple(m.shape)}, but a map is (N,h,w) or (h,w) and not empty. "
                       "Pick one class of a (N,K,h,w) stack with m[:, k].")
    if not m.is_floating_point(): m = m.float()
    if not m.isfinite().all():
        raise CamError(f"{int((~m.isfinite()).sum())} of {m.numel()} values are NaN or infinite, so there is nothing "
                       "to draw. Look for a division by zero, or half precision overflowing, where the map was made.")
    return m

def as_stack(m):
    "One map (h,w) or several (N,h,w) as (N,h,w), single precision."
    m = as_maps(m).float()
    return m[None] if m.ndim == 2 else m

def sides(size):
    "An int as (H,W); otherwise one to three numbers, as a tuple."
    try: sizes = (size, size) if isinstance(size, int) else tuple(map(index, size))
    except TypeError: sizes = ()
    if 1 <= len(sizes) <= 3 and min(sizes) >= 1: return sizes
    raise CamError(f"size {size!r} must be an int, (L,), (H,W) or (D,H,W), each at least 1.")

MODES = { # by the number of places; the first is the one that is meant if none is said
    1: dict(linear='linear', nearest='nearest-exact'),
    2: dict(bilinear='bilinear', nearest='nearest-exact', bicubic='bicubic'),
    3: dict(trilinear='trilinear', nearest='nearest-exact')}

def check_like(m, size):
    "`CamError` where maps and pictures have other proportions, by more than the rounding of a small grid."
    (h, w), (H, W) = m.shape[-2:], size
    if abs(w - h * W / H) <= max(1.5, .04 * h * W / H) or abs(h - w * H / W) <= max(1.5, .04 * w * H / W): return
    raise CamError(f"the map {h}×{w} has other proportions than the picture {H}×{W} (height × width): the network has "
                   "seen a part of it, or squeezed it. Use the overlay of the Explanation, which knows, or say on "
                   "which pixels the map lies, box=(left, top, right, bottom); all of them: "
                   f"box=(0, 0, {W}, {H}).")

def check_counts(img, m):
    "`CamError` unless there is a picture for each map, or one for all."
    if len(img) == len(m) or 1 in (len(img), len(m)): return
    raise CamError(f"{len(m)} maps but {len(img)} pictures. Give one picture for all maps, or as many as maps.")

def placed(
    m:Tensor, # maps (N,h,w)
    size,     # (H,W) of the pictures
    box,      # (left, top, right, bottom) of the part that the maps cover, in the pictures' pixels; it may reach beyond
)->tuple:     # maps (N,H,W), 0 outside; and which places lie inside (H,W)
    "Put maps where they belong on larger pictures."
    left, top, right, bottom = box
    x, y = (2 * (torch.arange(n, device=m.device) + .5 - a) / (b - a) - 1
            for n, a, b in ((size[1], left, right), (size[0], top, bottom)))
    inside = (y.abs() <= 1)[:, None] & (x.abs() <= 1)
    grid = torch.stack([x.expand(*size), y[:, None].expand(*size)], -1).to(m)
    big = F.grid_sample(m[:, None], grid.expand(len(m), *size, 2), padding_mode='border', align_corners=False)
    return big[:, 0] * inside, inside
