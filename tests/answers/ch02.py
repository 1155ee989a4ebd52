"Chapter 02: other right answers, in other styles; each must be accepted."
import torch, torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from camtutor.errors import CamError
from camtutor.exercises.ch02 import grid_energy, caught, energy, is_mean, linears, take_step
from camtutor.hooks import Hook, eval_mode

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
def logits_pooled(m, bias): return F.adaptive_avg_pool2d(m, 1).flatten(1) + bias

def logits_loop(m, bias):
    return torch.stack([torch.stack([m[n, k].mean() + bias[k] for k in range(m.shape[1])]) for n in range(len(m))])

def find_head_hooks(model, x):
    maps, given, hooks = caught(model, x)
    for h in hooks: h.remove()
    if not is_mean(given[-1], maps[-1]): raise CamError('no CAM')
    return maps[-1], linears(model)[-1].weight, linears(model)[-1].bias

class Watch(TorchFunctionMode):
    "Keeps the latest maps, and of each Linear on (N,C) those maps, its input, weight and bias."
    maps, linears = None, ()
    def __torch_function__(self, f, types, args=(), kwargs=None):
        out = f(*args, **(kwargs or {}))
        if f is F.linear and out.ndim == 2: self.linears += ((self.maps, *args),)
        elif isinstance(out, Tensor) and out.ndim == 4 and out.shape[2:].numel() > 1: self.maps = out
        return out

def find_head_watched(model, x):
    with Watch() as seen, torch.no_grad(): model(x)
    acts, z, weight, bias = seen.linears[-1]
    if not is_mean(z, acts): raise CamError('no CAM')
    return acts, weight, bias

def find_head_backwards(model, x):
    layers = [m for m in model.modules() if not list(m.children())]
    with torch.no_grad():
        for cut in range(len(layers) - 1, 0, -1):
            acts = nn.Sequential(*layers[:cut])(x)
            if acts.ndim == 4 and acts.shape[-1]*acts.shape[-2] > 1: break
        pooled = nn.Sequential(*layers[cut:-1])(acts)
    if not is_mean(pooled, acts): raise CamError('no CAM')
    return acts, layers[-1].weight, layers[-1].bias

def weight_by_index(model): return model[-1][-1].weight
def weight_by_parameters(model): return list(model.parameters())[-2].data

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

def grid_energy_show(mask, size):
    from camtutor.show import upsample
    return energy(upsample(F.adaptive_avg_pool2d(mask.float(), size), mask.shape[-2:]), mask)

def grid_energy_loop(mask, size): return torch.cat([grid_energy(k[None], size) for k in mask])

class MeanHead(nn.Module):
    def __init__(self, C, K):
        super().__init__()
        self.linear = nn.Linear(C, K)
    def forward(self, A): return self.linear(A.mean((-2, -1)))

def gap_head_module(body, n_classes, x):
    return nn.Sequential(body.requires_grad_(False), MeanHead(body(x).size(1), n_classes))

def gap_head_flat(body, n_classes, x):
    body.requires_grad_(False)
    return nn.Sequential(body, nn.Sequential(nn.AvgPool2d(body(x).shape[-2:]), nn.Flatten(1),
                                             nn.Linear(body(x).shape[1], n_classes)))

def retrain_hook(net, batches, steps=300, lr=.05, wd=.1):
    "What the Linear is given, caught by a hook."
    *_, linear = net.modules()
    given, labels = [], []
    with eval_mode(net), torch.no_grad(), Hook(net[1][-2]) as h:
        for x, y in batches:
            net(x)
            given.append(h.stored)
            labels.append(y)
    given, labels = torch.cat(given), torch.cat(labels)
    opt = torch.optim.Adam(linear.parameters(), lr, weight_decay=wd)
    return [take_step(opt, nn.CrossEntropyLoss()(linear(given), labels)) for _ in range(steps)]

def retrain_by_hand(net, batches, steps=300, lr=.05, wd=.1):
    "Gradient descent with momentum, written out."
    with eval_mode(net), torch.no_grad(): pairs = [(net[0](x).mean((2, 3)), y) for x, y in batches]
    z, y = (torch.cat(part) for part in zip(*pairs))
    params, losses = list(net[1][-1].parameters()), []
    speed = [torch.zeros_like(p) for p in params]
    for _ in range(steps):
        loss = F.cross_entropy(F.linear(z, *params), y)
        for p, v, g in zip(params, speed, torch.autograd.grad(loss, params)):
            v.mul_(.9).add_(g)
            p.data -= 2*lr*v + lr*wd*p.data
        losses.append(loss.item())
    return losses

ANSWERS = {
    '2.1': (score_at_linear, score_at_einsum),
    '2.2': (cam_loop_places, cam_loop_sum),
    '2.3': (cam_conv, cam_matmul, cam_reversed, cam_broadcast),
    '2.4': (logits_pooled, logits_loop),
    '2.5': (find_head_hooks, find_head_watched, find_head_backwards),
    '2.6': (weight_by_index, weight_by_parameters),
    '2.7': (energy_loop, energy_nan),
    '2.8': (peak_loop, peak_gather),
    '2.9': (uniform_energy_counts, uniform_energy_map),
    '2.10': (grid_energy_show, grid_energy_loop),
    '2.11': (gap_head_module, gap_head_flat),
    '2.12': (retrain_hook, retrain_by_hand),
}
