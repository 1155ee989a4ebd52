"Copies of pictures with noise, for methods that ask about changed pictures."
import torch
from torch import Tensor

from camtutor.engine.targets import scores_of
from camtutor.errors import CamError, describe

def changeable(x, n)->Tensor:
    "The batch itself. `CamError` for one that noise cannot be added to, and for `n` passes that are none."
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise CamError(f"it changes the batch, which must be one tensor of floats, not {describe(x)}. "
                       "Use 'grad_cam' or 'hires_cam'.")
    if n < 1: raise CamError(f"it was to make {n} passes. Give 1 or more.")
    return x

def own_target(target, out):
    "The target as it is for the batch itself, by what the network gave for it: None is each picture's top class."
    return scores_of(out).argmax(1).tolist() if target is None else target

def noisy_copies(x, n, sigma, seed):
    "`n` copies of a batch with noise of its own; sigma is in parts of each image's range."
    gen, axes = torch.Generator().manual_seed(seed), tuple(range(1, x.ndim))
    spread = sigma * (x.amax(axes, keepdim=True) - x.amin(axes, keepdim=True))
    for _ in range(n): yield x + spread * torch.randn(x.shape, generator=gen).to(x)
