"Chapter 02: other right answers, in other styles; each must be accepted."
import copy
import torch, torch.nn.functional as F
from torch import nn

from camtutor.exercises.ch02 import energy
from camtutor.hooks import eval_mode

def score_at_linear(weight, A, i, j): return F.linear(A[..., i, j], weight)
def score_at_einsum(weight, A, i, j): return torch.einsum('nc,kc->nk', A[:, :, i, j], weight)

def cam_loop_places(w, A):
    m = torch.empty(A.shape[1:])
    for i in range(m.shape[0]):
        for j in range(m.shape[1]): m[i, j] = sum(w[c]*A[c, i, j] for c in range(len(w)))
    return m

def cam_loop_sum(w, A): return sum(wc*Ac for wc, Ac in zip(w, A))
def cam_conv(weight, A): return F.conv2d(A, weight[:, :, None, None])
def cam_matmul(weight, A): return (weight @ A.flatten(2)).unflatten(2, A.shape[2:])
def cam_reversed(weight, A): return torch.einsum('bchw,oc->bohw', A, weight)
def cam_broadcast(weight, A): return (weight[None, :, :, None, None]*A[:, None]).sum(2)
def scores_pooled(m, bias): return F.adaptive_avg_pool2d(m, 1).flatten(1) + bias

def scores_loop(m, bias):
    return torch.stack([torch.stack([m[n, k].mean() + bias[k] for k in range(m.shape[1])]) for n in range(len(m))])

def has_cam_hook(head, A):
    "What the Linear is given, caught by a hook, and what it gives."
    given = []
    h = head[-1].register_forward_hook(lambda m, args, out: given.append(args[0]))
    try: head(A)
    finally: h.remove()
    mean = A.mean((2, 3))
    return given[0].shape == mean.shape and torch.allclose(given[0], mean, atol=1e-5)

def has_cam_conv(head, A):
    try: m = F.conv2d(A, head[-1].weight[:, :, None, None], head[-1].bias)
    except RuntimeError: return False
    return bool((m.mean((2, 3)) - head(A)).abs().max() < 1e-3)

def rather_two_maps(weight, bias, A, a, b):
    one, two = (torch.einsum('c,ncij->nij', weight[k], A) for k in (a, b))
    return one - two, one.mean((1, 2)) + bias[a] - two.mean((1, 2)) - bias[b]

def rather_conv(weight, bias, A, a, b):
    m = F.conv2d(A, (weight[a] - weight[b])[None, :, None, None])[:, 0]
    scores = A.mean((2, 3)) @ weight.T + bias
    return m, scores[:, a] - scores[:, b]

def energy_loop(m, mask):
    parts = [(a.relu()[k].sum(), a.relu().sum()) for a, k in zip(m, mask)]
    return torch.stack([i/t if t > 0 else t*0 for i, t in parts])

def energy_nan(m, mask):
    m = m.relu()
    return (torch.einsum('nhw,nhw->n', m, mask.to(m.dtype))/m.flatten(1).sum(1)).nan_to_num(0.)

def peak_loop(m, mask):
    return torch.tensor([bool(k.flatten()[a.argmax()]) and a.max().item() > 0 for a, k in zip(m, mask)])

def peak_gather(m, mask):
    p = m.flatten(1).argmax(1, keepdim=True)
    return mask.flatten(1).gather(1, p).squeeze(1).logical_and(m.amax((1, 2)) > 0)

def uniform_energy_counts(mask): return mask.sum((1, 2))/mask[0].numel()
def uniform_energy_map(mask): return energy(torch.ones(mask.shape), mask)

def own_share_energies(m, own, other):
    a, b = energy(m, own), energy(m, other)
    return (a/(a + b)).nan_to_num(.5)

def own_share_loop(m, own, other):
    rows = []
    for k, o, p in zip(m.relu(), own, other):
        a, b = k[o].sum(), k[p].sum()
        rows.append(a/(a + b) if a + b > 0 else torch.tensor(.5))
    return torch.stack(rows)

class MeanHead(nn.Module):
    def __init__(self, C, K):
        super().__init__()
        self.linear = nn.Linear(C, K)
    def forward(self, A): return self.linear(A.mean((-2, -1)))

def gap_head_module(body, n_classes, x):
    frozen = copy.deepcopy(body).requires_grad_(False)
    was = copy.deepcopy(frozen).eval()
    return nn.Sequential(frozen, MeanHead(was(x).size(1), n_classes))

def gap_head_loop(body, n_classes, x):
    mine = copy.deepcopy(body)
    for p in mine.parameters(): p.requires_grad = False
    with eval_mode(mine): C, h, w = mine(x).shape[1:]
    return nn.Sequential(mine, nn.Sequential(nn.AvgPool2d((h, w)), nn.Flatten(1), nn.Linear(C, n_classes)))

ANSWERS = {
    '2.1': (score_at_linear, score_at_einsum),
    '2.2': (cam_loop_places, cam_loop_sum),
    '2.3': (cam_conv, cam_matmul, cam_reversed, cam_broadcast),
    '2.4': (scores_pooled, scores_loop),
    '2.5': (has_cam_hook, has_cam_conv),
    '2.6': (rather_two_maps, rather_conv),
    '2.7': (energy_loop, energy_nan),
    '2.8': (own_share_energies, own_share_loop),
    '2.9': (peak_loop, peak_gather),
    '2.10': (uniform_energy_counts, uniform_energy_map),
    '2.11': (gap_head_module, gap_head_loop),
}
