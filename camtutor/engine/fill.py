"Holes in pictures, filled by what lies round them: each lost pixel is the weighted mean of its neighbours."
# Rong et al., A Consistent and Efficient Evaluation Strategy for Attribution Methods, 2022: 1/6 for a neighbour at an
# edge, 1/12 for one at a corner. The equations are solved exactly, one sparse system for each picture.
import numpy as np
import torch
from torch import Tensor

NEIGHBOURS = [(dy, dx, 1/12 if dy and dx else 1/6) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]

def system(gone):
    "The sparse matrix of the lost pixels (n,n), and the weights of the pixels that are left, (n,H·W)."
    from scipy.sparse import coo_matrix
    h, w = gone.shape
    y, x = np.nonzero(gone)
    number = np.cumsum(gone.ravel()) - 1
    rows, places, weights = [], [], []
    for dy, dx, weight in NEIGHBOURS:
        v, u = y + dy, x + dx
        inside = np.nonzero((v >= 0) & (v < h) & (u >= 0) & (u < w))[0]
        rows.append(inside); places.append(v[inside] * w + u[inside]); weights.append(np.full(len(inside), weight))
    rows, places, weights = map(np.concatenate, (rows, places, weights))
    lost, n = gone.ravel()[places], len(y)
    own = np.arange(n), np.arange(n), np.bincount(rows, weights, n)
    r, c, v = (np.concatenate(p) for p in zip(own, (rows[lost], number[places[lost]], -weights[lost])))
    return (coo_matrix((v, (r, c)), (n, n)).tocsc(),
            coo_matrix((weights[~lost], (rows[~lost], places[~lost])), (n, h * w)).tocsr())

def filled(picture, gone):
    "One picture (C,H,W) with its holes (H,W) filled. Where nothing is left, nothing is known: 0."
    from scipy.sparse.linalg import splu
    out = picture.reshape(len(picture), -1).astype(np.float64)
    hole = gone.ravel()
    if hole.all(): return np.zeros_like(picture)
    if hole.any():
        matrix, known = system(gone)
        solver = splu(matrix, 'MMD_AT_PLUS_A', diag_pivot_thresh=0, options=dict(SymmetricMode=True))
        out[:, hole] = solver.solve(known @ out.T).T
    return out.reshape(picture.shape).astype(picture.dtype)

def fill_holes(
    x:Tensor,       # pictures (N,C,H,W)
    gone:Tensor,    # where they are lost (N,H,W), bool
    noise:float=0., # standard deviation of what is added in the holes
    seed:int=0,     # of that noise, the same for every picture
)->Tensor:          # (N,C,H,W)
    "The pictures with their holes filled smoothly from the pixels round them; noise hides that the holes are smooth."
    pictures, holes = x.detach().cpu().float().numpy(), gone.cpu().numpy()
    out = torch.from_numpy(np.stack([filled(p, g) for p, g in zip(pictures, holes)])).to(x)
    if not noise: return out
    added = torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(seed)).to(x) * noise
    return torch.where(gone[:, None], out + added, out)
