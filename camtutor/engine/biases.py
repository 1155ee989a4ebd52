"""What the biases of a network of ReLUs add to a score."""
import torch
from torch import Tensor, nn

from camtutor.engine.trace import shapes_of
from camtutor.errors import CamError

AFFINE = nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d

def bias_of(m)->Tensor: # (C,)
    "What a convolution, a Linear or a batch norm in eval mode adds to each channel; None for anything else."
    if not isinstance(m, AFFINE) or m.bias is None: return None
    if getattr(m, 'running_mean', None) is None: return m.bias.detach()
    return (m.bias - m.running_mean * m.weight * (m.running_var + m.eps).rsqrt()).detach()

def with_bias(net, x)->list: # of names
    "The layers that add a bias."
    return [n for n in shapes_of(net, x) if n and bias_of(net.get_submodule(n)) is not None]

def times_bias(
    m,        # a module with a bias
    g:Tensor, # the gradient at what it put out
)->Tensor:    # same shape
    "A bias times the gradient: what it adds to the score. A Linear has its channels last."
    b = bias_of(m)
    return g * (b if isinstance(m, nn.Linear) else b.view(-1, *[1] * (g.ndim - 2)))

def check_complete(terms, score):
    "`CamError` unless these parts (N,…) add up to the score (N,)."
    sums = torch.stack([t.flatten(1).sum(1) for t in terms]).double()
    off, tolerance = (sums.sum(0) - score).abs(), 1e-3 if score.dtype in (torch.float32, torch.float64) else .05
    if (off <= tolerance * sums.abs().sum(0)).all(): return
    raise CamError(f"its parts sum to {sums.sum(0)[off.argmax()]:.4g}, but the score is {score[off.argmax()]:.4g}. "
                   "They are the same in a network of convolutions, Linears, batch norms, ReLUs and poolings; this "
                   "one has something else, such as SiLU, ReLU6 or attention. Use grad_cam or hires_cam.")
