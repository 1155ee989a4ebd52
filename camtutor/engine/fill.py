"Holes in pictures, filled by what lies round them: each lost pixel is the weighted mean of its neighbours."
# Rong et al., A Consistent and Efficient Evaluation Strategy for Attribution Methods, 2022: 1/6 for a neighbour at an
# edge, 1/12 for one at a corner. The equations are solved exactly, one sparse system for each picture.
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from camtutor.engine.ahead import WORKERS

def dissected(places):
    "Places of a grid (h,w) in a good order to eliminate them: both halves, then the line between (George, 1973)."
    if places.size <= 64: return places.ravel()
    if len(places) < places.shape[1]: places = places.T
    m = len(places) // 2
    return np.concatenate([dissected(places[:m]), dissected(places[m + 1:]), places[m]])

@lru_cache(maxsize=2)
def equations(h, w):
    "The matrix (h·w,h·w) of all places, weight·u − the neighbours' weighted sum, and the order its rows are in."
    from scipy.sparse import diags, identity, kron
    def line(n): return diags([1., 2., 1.], [-1, 0, 1], (n, n))
    near = (kron(line(h), line(w)) - 4 * identity(h * w)) / 12
    order = dissected(np.arange(h * w).reshape(h, w))
    return (diags(np.asarray(near.sum(1)).ravel()) - near).tocsr()[order][:, order], order

def filled(picture, gone):
    "One picture (C,H,W) with its holes (H,W) filled. Where nothing is left, nothing is known: 0."
    from scipy.sparse.linalg import splu
    if gone.all(): return np.zeros_like(picture)
    if not gone.any(): return picture
    matrix, order = equations(*gone.shape)
    values, lost = picture.reshape(len(picture), -1)[:, order].T.astype(np.float64), gone.ravel()[order]
    values[lost] = 0
    rows = matrix[lost]
    solver = splu(rows[:, lost].tocsc(), 'NATURAL', diag_pivot_thresh=0, panel_size=4, options=dict(SymmetricMode=True))
    out = picture.reshape(len(picture), -1).copy()
    out[:, order[lost]] = solver.solve(-(rows @ values)).T
    return out.reshape(picture.shape)

def fill_holes(
    x:Tensor,       # pictures (N,C,H,W)
    gone:Tensor,    # where they are lost (N,H,W), bool
    noise:float=0., # standard deviation of what is added in the holes
    seed:int=0,     # of that noise, the same for every picture
)->Tensor:          # (N,C,H,W)
    "The pictures with their holes filled smoothly from the pixels round them; noise hides that the holes are smooth."
    pictures, holes = x.detach().cpu().float().numpy(), gone.cpu().numpy()
    with ThreadPoolExecutor(WORKERS) as pool: out = list(pool.map(filled, pictures, holes)) # SciPy lets others work
    out = torch.from_numpy(np.stack(out)).to(x)
    if not noise: return out
    added = torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(seed)).to(x) * noise
    return torch.where(gone[:, None], out + added, out)

def blurred(x:Tensor, side:int=11)->Tensor: # (N,C,H,W)
    "Each pixel the mean of `side` by `side` round it, twice; the picture's rim is mirrored."
    r = side // 2
    for _ in range(2): x = F.avg_pool2d(F.avg_pool2d(F.pad(x, (r, r, r, r), 'reflect'), (side, 1), 1), (1, side), 1)
    return x
