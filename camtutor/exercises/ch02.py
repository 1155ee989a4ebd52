"Chapter 02: class activation maps."
from functools import partial
import copy, math
import torch, torch.nn.functional as F
from torch import Tensor, nn

from camtutor.errors import CamError
from camtutor.exercises.common import gives, hooks_left, keeps, one_by_one, pictures, rand, seeded, tiny
from camtutor.exercises.core import Exercise, Mistake, Trial
from camtutor.hooks import Hook, eval_mode

W, A = torch.tensor([[1., 2.], [0., -1.], [3., 1.]]), torch.tensor([[[[1., 0.], [2., 4.]], [[0., 1.], [5., 0.]]]])
W_, A_ = rand(4, 5), rand(3, 5, 6, 7, seed=1) # drawn: four classes, five channels

# 2.1 one place

def score_at(weight:Tensor, # of the last Linear (K,C)
             A:Tensor, # the maps it reads (N,C,h,w)
             i:int, j:int # a row and a column
            )->Tensor: # (N,K)
    "What each class gets from the place `(i,j)`: the linear layer, applied to that place alone, without its bias."
    return A[:, :, i, j] @ weight.T

def score_at_linear(weight, A, i, j): return F.linear(A[..., i, j], weight)
def score_at_einsum(weight, A, i, j): return torch.einsum('nc,kc->nk', A[:, :, i, j], weight)

def at_swapped(weight, A, i, j): return A[:, :, j, i] @ weight.T
def at_averaged(weight, A, i, j): return A[:, :, i, j] @ weight.T / weight.shape[1]
def at_turned(weight, A, i, j): return weight @ A[:, :, i, j].T
def at_pooled(weight, A, i, j): return A.mean((2, 3)) @ weight.T
def at_softmax(weight, A, i, j): return (A[:, :, i, j] @ weight.T).softmax(1)

# 2.2 a loop

def cam_loop(w:Tensor, # the weights of one class (C,)
             A:Tensor # the maps of one picture (C,h,w)
            )->Tensor: # (h,w)
    "One class's map: the channels, each times its weight, added up in a loop."
    m = torch.zeros_like(A[0])
    for c in range(len(w)): m = m + w[c]*A[c]
    return m

def cam_loop_places(w, A):
    m = torch.empty(A.shape[1:])
    for i in range(m.shape[0]):
        for j in range(m.shape[1]): m[i, j] = sum(w[c]*A[c, i, j] for c in range(len(w)))
    return m
def cam_loop_sum(w, A): return sum(wc*Ac for wc, Ac in zip(w, A))

def loop_last(w, A):
    for c in range(len(w)): m = w[c]*A[c]
    return m
def loop_mean(w, A): return cam_loop(w, A)/len(w)
def loop_in_place(w, A):
    m = A[0]
    m *= w[0]
    for c in range(1, len(w)): m += w[c]*A[c]
    return m
def loop_from_one(w, A):
    m = torch.zeros_like(A[0])
    for c in range(1, len(w)): m = m + w[c]*A[c]
    return m
def loop_starts_at_first(w, A):
    m = A[0]
    for c in range(len(w)): m = m + w[c]*A[c]
    return m

# 2.3 one einsum

def cam(weight:Tensor, # the last Linear's weight (K,C)
        A:Tensor # activations that are pooled for it (N,C,h,w)
       )->Tensor: # one map for each image and class (N,K,h,w)
    "Class activation maps: at each place, the channels weighted by each class's weights and added up."
    return torch.einsum('kc,ncij->nkij', weight, A)

def cam_conv(weight, A): return F.conv2d(A, weight[:, :, None, None])
def cam_matmul(weight, A): return (weight @ A.flatten(2)).unflatten(2, A.shape[2:])
def cam_reversed(weight, A): return torch.einsum('bchw,oc->bohw', A, weight)
def cam_broadcast(weight, A): return (weight[None, :, :, None, None]*A[:, None]).sum(2)

def cam_loops(weight, A):
    out = torch.zeros(len(A), len(weight), *A.shape[2:])
    for n in range(len(A)):
        for k in range(len(weight)):
            for i in range(A.shape[2]):
                for j in range(A.shape[3]): out[n, k, i, j] = weight[k] @ A[n, :, i, j]
    return out

def cam_relu(weight, A): return cam(weight, A).relu()
def cam_mean(weight, A): return cam(weight, A)/A.shape[1]
def cam_all_classes(weight, A): return torch.einsum('kc,ncij->nij', weight, A)
def cam_classes_first(weight, A): return torch.einsum('kc,ncij->knij', weight, A)
def cam_transposed(weight, A): return torch.einsum('kc,ncij->nkji', weight, A)
def cam_all_images(weight, A): return torch.einsum('kc,ncij->kij', weight, A)
def cam_at_sign(weight, A): return weight @ A
def cam_softmax(weight, A): return cam(weight, A).softmax(1)
def cam_min_max(weight, A):
    m = cam(weight, A)
    low, high = m.amin((2, 3), True), m.amax((2, 3), True)
    return (m - low)/(high - low)

def cam_large(answer): return answer(rand(12, 64), rand(8, 64, 14, 14, seed=1))

# 2.4 back to the logit

def logits_from_cam(m:Tensor, # class activation maps (N,K,h,w)
                    bias:Tensor # of the last Linear (K,)
                   )->Tensor: # (N,K)
    "The network's own scores, from its class activation maps."
    return m.mean((2, 3)) + bias

def logits_pooled(m, bias): return F.adaptive_avg_pool2d(m, 1).flatten(1) + bias
def logits_loop(m, bias): return torch.stack([torch.stack([m[n, k].mean() + bias[k] for k in range(m.shape[1])]) for n in range(len(m))])

def logits_sum(m, bias): return m.sum((2, 3)) + bias
def logits_max(m, bias): return m.amax((2, 3)) + bias
def logits_no_bias(m, bias): return m.mean((2, 3))
def logits_bias_each(m, bias): return (m + bias[None, :, None, None]).sum((2, 3))

def identity(answer):
    net, x = tiny(), pictures(4)
    with torch.no_grad():
        m = cam(net[1][2].weight, net[0](x))
        return {"the network's own scores": answer(m, net[1][2].bias) - net(x)}

# 2.5 the weight, and the guarantee

def find_head(model:nn.Module, # Sequentials, also within each other; a Linear comes last
              x:Tensor # a batch it accepts
             )->tuple: # acts (N,C,h,w), weight (K,C), bias (K,)
    "What the last Linear of `model` pools, and what it multiplies with. `CamError` if it does not read the mean of the maps."
    layers = [m for m in model.modules() if not list(m.children())]
    with torch.no_grad():
        for m in layers:
            given, x = x, m(x)
            if x.ndim == 4 and x.shape[2:].numel() > 1: acts = x
    if given.shape != acts.shape[:2] or not torch.allclose(given, acts.mean((2, 3)), atol=1e-5):
        raise CamError('The Linear does not read the mean over places: CAM is not exact here.')
    return acts, m.weight, m.bias

def caught(model, x):
    "All outputs with more than one place, in order, and what each Linear was given; by hooks."
    maps, given = [], []
    def keep(m, args, out):
        if isinstance(m, nn.Linear): given.append(args[0])
        if out.ndim == 4 and out.shape[2:].numel() > 1: maps.append(out)
    hooks = [m.register_forward_hook(keep) for m in model.modules()]
    with torch.no_grad(): model(x)
    return maps, given, hooks
def linears(model): return [m for m in model.modules() if isinstance(m, nn.Linear)]
def is_mean(z, acts): return z.shape == acts.shape[:2] and torch.allclose(z, acts.mean((2, 3)), atol=1e-5)

def find_head_hooks(model, x):
    maps, given, hooks = caught(model, x)
    for h in hooks: h.remove()
    if not is_mean(given[-1], maps[-1]): raise CamError('no CAM')
    return maps[-1], linears(model)[-1].weight, linears(model)[-1].bias
def find_head_watched(model, x):
    from camtutor.cam import _Watch, _is_mean
    with _Watch() as seen, torch.no_grad(): model(x)
    acts, z, weight, bias, _ = seen.linears[-1]
    if not _is_mean(z, acts): raise CamError('no CAM')
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

def found_unchecked(model, x):
    maps, given, hooks = caught(model, x)
    for h in hooks: h.remove()
    return maps[-1], linears(model)[-1].weight, linears(model)[-1].bias
def found_by_shape(model, x):
    acts, weight, bias = found_unchecked(model, x)
    if weight.shape[1] != acts.shape[1]: raise CamError('no CAM')
    return acts, weight, bias
def found_by_numbers(model, x):
    maps, given, hooks = caught(model, x)
    for h in hooks: h.remove()
    if not torch.allclose(given[-1], maps[-1].mean((2, 3))): raise CamError('no CAM')
    return maps[-1], linears(model)[-1].weight, linears(model)[-1].bias
def found_first_linear(model, x):
    maps, given, hooks = caught(model, x)
    for h in hooks: h.remove()
    if not is_mean(given[0], maps[-1]): raise CamError('no CAM')
    return maps[-1], linears(model)[0].weight, linears(model)[0].bias
def found_pooled(model, x):
    acts, weight, bias = find_head(model, x)
    return acts.mean((2, 3), keepdim=True), weight, bias
def found_convolution(model, x):
    kept = []
    h = [m for m in model.modules() if isinstance(m, nn.Conv2d)][-1].register_forward_hook(lambda m, args, out: kept.append(out.clone()))
    _, weight, bias = find_head(model, x)
    h.remove()
    return kept[0], weight, bias
def found_without_bias(model, x): return find_head(model, x)[:2]
def found_hooks_left(model, x):
    maps, given, hooks = caught(model, x)
    if not is_mean(given[-1], maps[-1]): raise CamError('no CAM')
    return maps[-1], linears(model)[-1].weight, linears(model)[-1].bias
def found_one_layout(model, x):
    with torch.no_grad(): acts = model[0](x)
    pooled, linear = model[1][:-1](acts), model[1][-1]
    if not is_mean(pooled, acts): raise CamError('no CAM')
    return acts, linear.weight, linear.bias

def headed(*head): return seeded(nn.Sequential(tiny()[0], nn.Sequential(*head)))
def pool(): return nn.AdaptiveAvgPool2d(1)

def found_in(model):
    def run(answer):
        net = model()
        got = answer(net, pictures(3))
        three = isinstance(got, (list, tuple)) and len(got) == 3
        parts = [t.detach() if isinstance(t, Tensor) else t for t in (got if three else [None]*3)]
        return {'a tuple of three is returned': three, **dict(zip(('acts', 'weight', 'bias'), parts)), 'hooks left on the network': hooks_left(net)}
    return run
def in_a_row():
    "The same kind of network without a body and a head: layer after layer."
    return seeded(nn.Sequential(nn.Conv2d(3, 6, 3), nn.Sequential(nn.BatchNorm2d(6), nn.ReLU()), pool(), nn.Flatten(), nn.Linear(6, 4)))

REFUSE = {'the highest place instead of the mean': lambda: headed(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(5, 3)),
          'a hidden layer': lambda: headed(pool(), nn.Flatten(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 3)),
          'no pooling': lambda: headed(nn.Flatten(), nn.Linear(5*6*5, 3))}

def refused(answer):
    def what(net):
        try: answer(net, pictures(2))
        except CamError: return 'refused'
        return 'accepted'
    return {name: what(make()) for name, make in REFUSE.items()}

# 2.6 the weight

def head_weight(model:nn.Module # ends in global average pooling and one Linear
               )->Tensor: # (K,C)
    "The weight of the last Linear of `model`."
    return [m for m in model.modules() if isinstance(m, nn.Linear)][-1].weight

def weight_by_index(model): return model[-1][-1].weight
def weight_by_parameters(model): return list(model.parameters())[-2].data

def weight_outermost(model): return model[-1].weight
def weight_turned(model): return head_weight(model).T
def weight_bias(model): return list(model.parameters())[-1]
def weight_first(model): return next(model.parameters())
def weight_of_conv(model): return [m for m in model.modules() if isinstance(m, nn.Conv2d)][-1].weight

def weights_of(seed):
    def run(answer): return answer(tiny(seed, k=seed + 3)).detach()
    return run

# 2.7 energy and its companions

M = torch.tensor([[[4., -1.], [0., 0.]], [[1., 1.], [1., 1.]]])
INSIDE = torch.tensor([[[1, 1], [0, 0]], [[1, 0], [0, 0]]]).bool()
M_, INSIDE_ = rand(3, 8, 9), rand(3, 8, 9, seed=5) > .3
ZERO = -torch.ones(1, 2, 2)

def energy(m:Tensor, # maps (N,H,W)
           mask:Tensor # (N,H,W) bool
          )->Tensor: # (N,), 0 to 1
    "The share of each map's positive part that lies inside its mask; 0 where a map has no positive part."
    m = m.clamp(min=0)
    total = m.sum((1, 2))
    return (m*mask).sum((1, 2))/total.where(total > 0, 1)

def energy_loop(m, mask):
    parts = [(a.relu()[k].sum(), a.relu().sum()) for a, k in zip(m, mask)]
    return torch.stack([i/t if t > 0 else t*0 for i, t in parts])
def energy_nan(m, mask):
    m = m.relu()
    return (torch.einsum('nhw,nhw->n', m, mask.to(m.dtype))/m.flatten(1).sum(1)).nan_to_num(0.)

def energy_signed(m, mask):
    total = m.sum((1, 2))
    return (m*mask).sum((1, 2))/total.where(total != 0, 1)
def energy_abs(m, mask): return energy(m.abs(), mask)
def energy_density(m, mask): return (m.clamp(min=0)*mask).sum((1, 2))/mask.sum((1, 2))
def energy_batch(m, mask):
    m = m.clamp(min=0)
    total = m.sum()
    return (m*mask).sum((1, 2))/total.where(total > 0, 1)
def energy_0_by_0(m, mask):
    m = m.clamp(min=0)
    return (m*mask).sum((1, 2))/m.sum((1, 2))
def energy_indexed(m, mask):
    m = m.clamp(min=0)
    return m[mask].sum()/m.sum()
def energy_area(m, mask):
    m = m.clamp(min=0)
    return ((m > 0) & mask).sum((1, 2))/(m > 0).sum((1, 2)).clamp(min=1)

def peak_inside(m:Tensor, # maps (N,H,W)
                mask:Tensor # (N,H,W) bool
               )->Tensor: # (N,) bool
    "Is each map's highest place inside its mask? A map with no positive part has no peak."
    top, where = m.flatten(1).max(1)
    return mask.flatten(1)[torch.arange(len(m)), where] & (top > 0)

def peak_loop(m, mask):
    return torch.tensor([bool(k.flatten()[a.argmax()]) and a.max().item() > 0 for a, k in zip(m, mask)])
def peak_gather(m, mask):
    p = m.flatten(1).argmax(1, keepdim=True)
    return mask.flatten(1).gather(1, p).squeeze(1).logical_and(m.amax((1, 2)) > 0)

def peak_of_batch(m, mask):
    best = m.argmax()
    return mask.flatten()[best].expand(len(m)) & (m.amax((1, 2)) > 0)
def peak_abs(m, mask): return peak_inside(m.abs(), mask)
def peak_any(m, mask): return ((m > 0) & mask).any(2).any(1)
def peak_always(m, mask): return mask.flatten(1)[torch.arange(len(m)), m.flatten(1).argmax(1)]
def peak_rows(m, mask): return mask.flatten(1)[m.flatten(1).argmax(1)]
def peak_float(m, mask): return peak_inside(m, mask).float()

PEAKS = torch.tensor([[[0., 3.], [-9., 1.]], [[2., 0.], [5., 0.]], [[-1., -2.], [-3., -4.]]])
PLACES = torch.tensor([[[0, 1], [0, 0]], [[1, 1], [0, 0]], [[1, 0], [0, 0]]]).bool()

def uniform_energy(mask:Tensor # (N,H,W) bool
                  )->Tensor: # (N,)
    "The energy of a map that is the same everywhere: what a method that knows nothing would get."
    return mask.float().mean((1, 2))

def uniform_energy_counts(mask): return mask.sum((1, 2))/mask[0].numel()
def uniform_energy_map(mask): return energy(torch.ones(mask.shape), mask)

def uniform_one_figure(mask): return mask.float().mean()
def uniform_area(mask): return mask.float().sum((1, 2))
def uniform_counts(mask): return mask.sum((1, 2))
def uniform_half(mask): return torch.full((len(mask),), .5)
def uniform_rows(mask): return mask.float().mean(1)

def best_energy(mask:Tensor, # (N,H,W) bool
                size # the grid to see it through, (h,w) or an int
               )->Tensor: # (N,)
    "The energy of the mask itself, averaged onto a grid of `size` and brought back bilinearly: what that grid can do."
    grid = F.adaptive_avg_pool2d(mask.float()[:, None], size)
    return energy(F.interpolate(grid, mask.shape[-2:], mode='bilinear')[:, 0], mask)

def best_energy_show(mask, size):
    from camtutor.show import upsample
    return energy(upsample(F.adaptive_avg_pool2d(mask.float(), size), mask.shape[-2:]), mask)
def best_energy_loop(mask, size): return torch.cat([best_energy(k[None], size) for k in mask])

def best_nearest_down(mask, size):
    grid = F.interpolate(mask.float()[:, None], size, mode='nearest-exact')
    return energy(F.interpolate(grid, mask.shape[-2:], mode='bilinear')[:, 0], mask)
def best_nearest_up(mask, size):
    grid = F.adaptive_avg_pool2d(mask.float()[:, None], size)
    return energy(F.interpolate(grid, mask.shape[-2:], mode='nearest-exact')[:, 0], mask)
def best_bilinear_down(mask, size):
    grid = F.interpolate(mask.float()[:, None], size, mode='bilinear')
    return energy(F.interpolate(grid, mask.shape[-2:], mode='bilinear')[:, 0], mask)
def best_max_pool(mask, size):
    grid = F.adaptive_max_pool2d(mask.float()[:, None], size)
    return energy(F.interpolate(grid, mask.shape[-2:], mode='bilinear')[:, 0], mask)
def best_is_one(mask, size): return energy(mask.float(), mask)
def best_corners(mask, size):
    grid = F.adaptive_avg_pool2d(mask.float()[:, None], size)
    return energy(F.interpolate(grid, mask.shape[-2:], mode='bilinear', align_corners=True)[:, 0], mask)

def blob(n=2, size=16):
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing='ij')
    return torch.stack([(y - 6 - i)**2 + (x - 7)**2 < (4 + i)**2 for i in range(n)])

# 2.11 head surgery

def gap_head(body:nn.Module, # ends in maps (N,C,h,w)
             n_classes:int, # K
             x:Tensor # a batch it accepts
            )->nn.Sequential: # (body, head)
    "`body` frozen, then a head that CAM can read: global average pooling and a new Linear (C,K)."
    with torch.no_grad(): C = body(x).shape[1]
    for p in body.parameters(): p.requires_grad = False
    return nn.Sequential(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(C, n_classes)))

class MeanHead(nn.Module):
    def __init__(self, C, K):
        super().__init__()
        self.linear = nn.Linear(C, K)
    def forward(self, A): return self.linear(A.mean((-2, -1)))
def gap_head_module(body, n_classes, x):
    return nn.Sequential(body.requires_grad_(False), MeanHead(body(x).size(1), n_classes))
def gap_head_flat(body, n_classes, x):
    body.requires_grad_(False)
    return nn.Sequential(body, nn.Sequential(nn.AvgPool2d(body(x).shape[-2:]), nn.Flatten(1), nn.Linear(body(x).shape[1], n_classes)))

def head_unfrozen(body, n_classes, x):
    return nn.Sequential(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(body(x).shape[1], n_classes)))
def head_max(body, n_classes, x):
    net = gap_head(body, n_classes, x)
    net[1][0] = nn.AdaptiveMaxPool2d(1)
    return net
def head_flattened(body, n_classes, x):
    net = gap_head(body, n_classes, x)
    net[1] = nn.Sequential(nn.Flatten(), nn.Linear(body(x)[0].numel(), n_classes))
    return net
def head_all_frozen(body, n_classes, x): return gap_head(body, n_classes, x).requires_grad_(False)
def head_hidden(body, n_classes, x):
    net = gap_head(body, n_classes, x)
    C = net[1][2].in_features
    net[1] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(C, 16), nn.ReLU(), nn.Linear(16, n_classes))
    return net

def head_in_pieces(body, n_classes, x): return nn.Sequential(body.requires_grad_(False), *gap_head(body, n_classes, x)[1])

def surgery(answer):
    body, x = tiny()[0], pictures(2)
    net = answer(body, 4, x)
    linears = [m for m in net.modules() if isinstance(m, nn.Linear)]
    read = []
    linears[0].register_forward_hook(lambda m, args, out: read.append(args[0]))
    shape = tuple(net(x).shape)
    same = read[0].shape == (2, 5) and torch.allclose(read[0], net[0](x).mean((2, 3)), atol=1e-5)
    return {'the shape of the scores': shape, 'parts of the network': len(net), 'Linear layers': len(linears), 'numbers that the Linear reads': read[0].shape[1], 'the Linear reads the mean over places': bool(same),
            'parameters of the body that can learn': sum(p.requires_grad for p in net[0].parameters()),
            'parameters of the head that can learn': sum(p.requires_grad for p in net[1].parameters())}

# 2.12 training it

def retrain_head(net:nn.Sequential, # (body, head) as `gap_head` makes it; the last Linear is trained in place
                 batches, # (x, y) pairs: a DataLoader or a list
                 steps=300, # steps of AdamW, all pictures at once
                 lr=.05, # step size
                 wd=.1 # weight decay
                )->list: # the loss after each step
    "Fit only the last Linear, on features that the frozen body computes once."
    linear, losses = net[1][-1], []
    with eval_mode(net), torch.no_grad(): pairs = [(net[1][:-1](net[0](x)), y) for x, y in batches]
    feats, y = map(torch.cat, zip(*pairs))
    opt = torch.optim.AdamW(linear.parameters(), lr=lr, weight_decay=wd)
    for _ in range(steps):
        loss = F.cross_entropy(linear(feats), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses

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

def take_step(opt, loss, sign=1):
    opt.zero_grad()
    (sign*loss).backward()
    opt.step()
    return loss.item()
def pooled(net, batches):
    with eval_mode(net), torch.no_grad(): pairs = [(net[1][:-1](net[0](x)), y) for x, y in batches]
    return map(torch.cat, zip(*pairs))
def fitted(linear, feats, y, steps, lr, wd, sign=1):
    opt = torch.optim.AdamW(linear.parameters(), lr, weight_decay=wd)
    return [take_step(opt, F.cross_entropy(linear(feats), y), sign) for _ in range(steps)]

def every_step(net, params, batches, steps, lr, wd):
    "The whole network at each step."
    x, y = map(torch.cat, zip(*batches))
    opt = torch.optim.AdamW(params, lr, weight_decay=wd)
    return [take_step(opt, F.cross_entropy(net(x), y)) for _ in range(steps)]
def trains_all(net, batches, steps=300, lr=.05, wd=.1):
    with eval_mode(net): return every_step(net, net.parameters(), batches, steps, lr, wd)
def trains_all_in_train_mode(net, batches, steps=300, lr=.05, wd=.1): return every_step(net, net.parameters(), batches, steps, lr, wd)
def trains_slowly(net, batches, steps=300, lr=.05, wd=.1):
    with eval_mode(net): return every_step(net, net[1].parameters(), batches, steps, lr, wd)
def trains_slowly_in_train_mode(net, batches, steps=300, lr=.05, wd=.1): return every_step(net, net[1].parameters(), batches, steps, lr, wd)
def trains_by_batch(net, batches, steps=300, lr=.05, wd=.1):
    opt, losses = torch.optim.AdamW(net[1].parameters(), lr, weight_decay=wd), []
    with eval_mode(net):
        for _ in range(steps):
            for x, y in batches: losses.append(take_step(opt, F.cross_entropy(net(x), y)))
    return losses
def trains_with(loss=F.cross_entropy, zero=True):
    "All is right but the loss, or the zeroing of gradients."
    def retrain(net, batches, steps=300, lr=.05, wd=.1):
        (feats, y), linear, losses = pooled(net, batches), net[1][-1], []
        opt = torch.optim.AdamW(linear.parameters(), lr, weight_decay=wd)
        for _ in range(steps):
            if zero: opt.zero_grad()
            l = loss(linear(feats), y)
            l.backward()
            opt.step()
            losses.append(l.item())
        return losses
    return retrain
trains_on_sum, trains_adding_up = trains_with(partial(F.cross_entropy, reduction='sum')), trains_with(zero=False)
trains_softmaxed = trains_with(lambda scores, y: F.cross_entropy(scores.softmax(1), y))
trains_with_other_loss = trains_with(lambda scores, y: F.mse_loss(scores, F.one_hot(y, scores.shape[1]).float()))
def trains_batch_by_batch(net, batches, steps=300, lr=.05, wd=.1):
    "Steps on the features of each batch, and notes the last one's loss."
    with eval_mode(net), torch.no_grad(): pairs = [(net[1][:-1](net[0](x)), y) for x, y in batches]
    opt = torch.optim.AdamW(net[1][-1].parameters(), lr, weight_decay=wd)
    return [[take_step(opt, F.cross_entropy(net[1][-1](f), y)) for f, y in pairs][-1] for _ in range(steps)]
def trains_on_mean_of_means(net, batches, steps=300, lr=.05, wd=.1):
    with eval_mode(net), torch.no_grad(): pairs = [(net[1][:-1](net[0](x)), y) for x, y in batches]
    opt = torch.optim.AdamW(net[1][-1].parameters(), lr, weight_decay=wd)
    return [take_step(opt, sum(F.cross_entropy(net[1][-1](f), y) for f, y in pairs)/len(pairs)) for _ in range(steps)]
def trains_in_train_mode(net, batches, steps=300, lr=.05, wd=.1):
    with torch.no_grad(): pairs = [(net[1][:-1](net[0](x)), y) for x, y in batches]
    return fitted(net[1][-1], *map(torch.cat, zip(*pairs)), steps, lr, wd)
def trains_on_last_batch(net, batches, steps=300, lr=.05, wd=.1): return fitted(net[1][-1], *pooled(net, list(batches)[-1:]), steps, lr, wd)
def trains_on_first_batch(net, batches, steps=300, lr=.05, wd=.1): return fitted(net[1][-1], *pooled(net, list(batches)[:1]), steps, lr, wd)
def trains_on_what_is_left(net, batches, steps=300, lr=.05, wd=.1):
    with eval_mode(net), torch.no_grad():
        for x, y in batches: feats = net[1][:-1](net[0](x))
    return fitted(net[1][-1], feats, y, steps, lr, wd)
def trains_on_mixed_labels(net, batches, steps=300, lr=.05, wd=.1):
    with eval_mode(net), torch.no_grad(): feats = torch.cat([net[1][:-1](net[0](x)) for x, _ in batches])
    return fitted(net[1][-1], feats, torch.cat([y for _, y in batches]), steps, lr, wd)
def trains_a_copy(net, batches, steps=300, lr=.05, wd=.1):
    feats, y = pooled(net, batches)
    return fitted(nn.Linear(feats.shape[1], net[1][-1].out_features), feats, y, steps, lr, wd)
def trains_a_twin(net, batches, steps=300, lr=.05, wd=.1): return fitted(copy.deepcopy(net[1][-1]), *pooled(net, batches), steps, lr, wd)
def trains_anew(net, batches, steps=300, lr=.05, wd=.1):
    net[1][-1].reset_parameters()
    return retrain_head(net, batches, steps, lr, wd)
def trains_without_decay(net, batches, steps=300, lr=.05, wd=.1): return fitted(net[1][-1], *pooled(net, batches), steps, lr, 0)
def trains_at_fixed_rate(net, batches, steps=300, lr=.05, wd=.1): return fitted(net[1][-1], *pooled(net, batches), steps, .05, wd)
def trains_scaled(net, batches, steps=300, lr=.05, wd=.1):
    feats, y = pooled(net, batches)
    return fitted(net[1][-1], feats/feats.std(), y, steps, lr, wd)
def trains_uphill(net, batches, steps=300, lr=.05, wd=.1): return fitted(net[1][-1], *pooled(net, batches), steps, lr, wd, -1)
def trains_not(net, batches, steps=300, lr=.05, wd=.1):
    feats, y = pooled(net, batches)
    return [F.cross_entropy(net[1][-1](feats), y).item() for _ in range(steps)]
def trains_graphs(net, batches, steps=300, lr=.05, wd=.1): return [torch.tensor(l) for l in retrain_head(net, batches, steps, lr, wd)]
def returns_last(net, batches, steps=300, lr=.05, wd=.1): return retrain_head(net, batches, steps, lr, wd)[-1]
def returns_nothing(net, batches, steps=300, lr=.05, wd=.1): retrain_head(net, batches, steps, lr, wd)

def leaves_eval(net, batches, steps=300, lr=.05, wd=.1):
    losses = retrain_head(net, batches, steps, lr, wd)
    net.eval()
    return losses
def leaves_body_eval(net, batches, steps=300, lr=.05, wd=.1):
    losses = retrain_head(net, batches, steps, lr, wd)
    net[0].eval()
    return losses
def leaves_train(net, batches, steps=300, lr=.05, wd=.1):
    losses = retrain_head(net, batches, steps, lr, wd)
    net.train()
    return losses
def leaves_one_mode(net, batches, steps=300, lr=.05, wd=.1):
    losses = retrain_head(net, batches, steps, lr, wd)
    net.train(net.training)
    return losses

class Shuffled:
    "Batches of pictures in another order each time that one goes through them, as a DataLoader gives them; the last ones are in `given`."
    def __init__(self, x, y): self.x, self.y, self.shift = x, y, lambda batches: batches
    def __iter__(self):
        self.given = self.shift([(self.x[b], self.y[b]) for b in torch.randperm(len(self.x)).split(6)])
        return iter(self.given)

def to_learn():
    "A network in training mode, whose features are small numbers; sixteen pictures of two classes, as batches."
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    net = seeded(nn.Sequential(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))))
    x, y = rand(16, 3, 6, 6), torch.arange(16) % 2
    x[y == 1, 0] += 2
    return net.train(), Shuffled(x, y)

def loss_of(net, x, y):
    with eval_mode(net): return F.cross_entropy(net(x), y).item()
def number(l):
    "A loss as a number, whatever it came as."
    return float(l.detach()) if isinstance(l, Tensor) else float(l)
def near(a, b): return math.isclose(a, b, rel_tol=1e-4)

OWN, LATER = 'the mean cross-entropy of the network', 'not looked at yet'

def starts(answer, change=None):
    "Is the loss at a step size of 0 that of the network? Its value, the network's loss, the network, the data, and whether the weights moved."
    net, data = to_learn()
    net[1][-1].bias.data = torch.tensor([.5, -1.]) # then the classes differ in what they cost
    if change: change(net[1][-1], data)
    own, before = loss_of(net, data.x, data.y), net[1][-1].weight.detach().clone()
    first = number(answer(net, data, 1, 0.)[0])
    return first, own, net, data, not torch.allclose(before, net[1][-1].weight, atol=1e-6)
def without_weights(linear, data): # then the features count for nothing
    linear.weight.data.zero_()
    data.y = (torch.arange(len(data.y)) % 4 == 0).long()
def of_one_class(linear, data): data.y = torch.zeros_like(data.y) # then it does not matter which picture has which class

def kind_of_loss(answer):
    "What the loss is while nothing is learned."
    first, own, net, data, moved = starts(answer)
    if near(first, own): return OWN
    if math.isnan(first): return 'nan'
    if near(first, own*len(data.x)): return 'the sum of the cross-entropy over the pictures'
    with torch.no_grad(), eval_mode(net): softmaxed = F.cross_entropy(net(data.x).softmax(1), data.y).item()
    if near(first, softmaxed): return 'the cross-entropy of a softmax of the scores'
    each = [loss_of(net, *batch) for batch in data.given]
    for i, which in (-1, 'last'), (0, 'first'):
        if near(first, each[i]): return f'that of the {which} batch' + (' alone' if learns_only(answer, i) else ', but others count, too')
    if near(first, sum(each)/len(each)): return "the mean of the batches' means"
    if moved: return 'that of another Linear than the network came with'
    if near(*starts(answer, without_weights)[:2]):
        return 'that of pictures and classes that do not belong together' if near(*starts(answer, of_one_class)[:2]) else 'that of other features than the network reads'
    return 'another number'

def learns_only(answer, i):
    "Does nothing but batch `i` count for what is learned?"
    weights = []
    for shift in (0, 1):
        net, data = to_learn()
        data.shift = lambda batches: [(x + shift*(b != i % len(batches)), y) for b, (x, y) in enumerate(batches)]
        torch.manual_seed(0)
        answer(net, data, 3, .2)
        weights.append(net[1][-1].weight.detach())
    return torch.allclose(*weights, atol=1e-5)

def grads_add_up(answer):
    "Is the gradient three times as large after three steps of size 0 as after one?"
    found = []
    for steps in (1, 3):
        net, data = to_learn()
        answer(net, data, steps, 0.)
        found.append([p.grad for p in net[1][-1].parameters()])
    return all(a is not None and b is not None and a.norm() > 0 and torch.allclose(3*a, b, rtol=1e-3) for a, b in zip(*found))

def learns(answer):
    net, data = to_learn()
    before, seen = [t.clone() for t in net[0].state_dict().values()], []
    linear = net[1][-1].weight.detach().clone()
    net[0].register_forward_hook(lambda m, args, out: seen.append(len(out)))
    losses = answer(net, data, 20, .2)
    said = {'what is returned': type(losses).__name__} | dict.fromkeys((
        'losses in it', 'the type of a loss', 'the weights of the body are as before', 'its batch norm is as before', 'pictures that went through the body',
        'the loss at a step size of 0', 'the gradient of each step', 'the Linear of the network has changed', 'the last loss', 'the loss of the network now'), LATER)
    if not isinstance(losses, list) or not losses: return said | ({'losses in it': 0} if losses == [] else {})
    unmoved, kind = [torch.equal(a, b) for a, b in zip(before, net[0].state_dict().values())], kind_of_loss(answer)
    said |= {'losses in it': len(losses), 'the type of a loss': type(losses[-1]).__name__, 'the weights of the body are as before': all(unmoved[:4]),
             'its batch norm is as before': all(unmoved[4:6]), 'pictures that went through the body': sum(seen), 'the loss at a step size of 0': kind}
    changed = {'the Linear of the network has changed': not torch.allclose(linear, net[1][-1].weight)}
    if kind != OWN: return said | (changed if kind == 'another number' else {}) # what comes later depends on this
    said['the gradient of each step'] = 'added to those before it' if grads_add_up(answer) else 'its own'
    if said['the gradient of each step'] != 'its own': return said
    first, last, own = number(losses[0]), number(losses[-1]), loss_of(net, data.x, data.y)
    return said | changed | {
        'the last loss': 'well below the first' if last < first/2 else 'the same' if last == first else 'higher' if last > first else 'a little below the first',
        'the loss of the network now': 'about the last loss' if abs(own - last) < .2*last else 'a higher loss' if own > last else 'a lower loss'}

def then(run):
    "This trial is of interest only for an answer that has passed the first."
    def later(answer): return run(answer) if learns(answer) == learns(retrain_head) else dict.fromkeys(run(retrain_head), LATER)
    return later

def heeds(answer):
    "What `lr` and `wd` do."
    (still, data), (free, _), (bound, _) = to_learn(), to_learn(), to_learn()
    losses = answer(still, data, 3, 0.)
    for net, wd in ((free, 0.), (bound, 8.)): answer(net, data, 12, .05, wd)
    return {'with a step size of 0 the loss stays the same': len({round(number(l), 5) for l in losses}) == 1,
            'with a weight decay of 8 the weights become smaller than with 0': bool(bound[1][-1].weight.norm() < .7*free[1][-1].weight.norm())}

def gives_modes_back(answer):
    (a, data), (b, _), (c, _) = to_learn(), to_learn(), to_learn()
    b.eval()
    c[0].eval()
    for net in (a, b, c): answer(net, data, 1, .05)
    def modes(net): return ', '.join(f'{what} {"trains" if m.training else "evaluates"}' for what, m in (('the body', net[0]), ('the head', net[1])))
    return {'a network that trained': modes(a), 'one that evaluated': modes(b), 'one whose body evaluated and whose head trained': modes(c)}


HAND = 'Worked by hand: two channels of 2 × 2, three classes'

EXERCISES = (
    Exercise('2.1', 'The score at one place',
        'Write `score_at(weight, A, i, j)`: what each class gets from the place `(i,j)` of each picture. It is the last linear layer applied to the channels at that place, without the bias. Shape (N,K).',
        score_at,
        trials=(gives('Worked by hand, at row 1, column 0', W, A, 1, 0, want=[[12., -5., 11.]]), gives('Random weights and maps', W_, A_, 1, 5),
                one_by_one(W_, A_, 4, 2, batched=(1,))),
        mistakes=(Mistake(at_swapped, '`i` is the row and `j` the column; your indexing has them the other way round.'),
                  Mistake(at_averaged, 'You divide by the number of channels. A linear layer adds up; nothing is averaged over channels.'),
                  Mistake(at_turned, 'This is (K,N). Pictures come first: (N,K).'),
                  Mistake(at_pooled, 'This is the score of the whole picture: the maps were averaged over all places. Take one place instead.'),
                  Mistake(at_softmax, 'There is a softmax in it. CAM is about scores, which add up over places; probabilities do not.')),
        hints=('`A[:, :, i, j]` are the channels at one place: (N,C).', 'Which axis do (N,C) and (K,C) share? It is summed over.', '`F.linear` does just that; so does `@` with one of them transposed.'),
        why='Global average pooling followed by a linear layer is the same as the linear layer at every place, followed by the mean. That exchange is the whole of CAM.',
        also=(score_at_linear, score_at_einsum)),
    Exercise('2.2', 'CAM as a loop',
        'Write `cam_loop(w, A)` for one class, `w` of shape (C,), and one picture, `A` of shape (C,h,w): go through the channels and add up.',
        cam_loop,
        trials=(gives('Worked by hand, the weights 1 and 2', W[0], A[0], want=[[1., 2.], [12., 4.]]), gives('Random weights and maps', W_[1], A_[0]), keeps(W_[1], A_[0])),
        mistakes=(Mistake(loop_last, 'Only the last channel is left: each turn of the loop replaces what was there. Add to it.'),
                  Mistake(loop_mean, 'You divide by the number of channels. The linear layer adds them up.'),
                  Mistake(loop_in_place, '`m = A[0]` is a view, and `+=` writes into the network\'s own activations. Start from zeros.'),
                  Mistake(loop_from_one, 'Channel 0 is left out: `range` starts too late.'),
                  Mistake(loop_starts_at_first, 'You start from `A[0]`, and then add it once more, weighted. Start from zeros.')),
        hints=('Start with a map of zeros of the right size.', 'In each turn: this channel\'s map times this channel\'s weight.', '`torch.zeros_like` of one channel, a `for` over the channels, and `m = m + …`.'),
        why='A CAM is no more than this. What follows only makes it quick.', also=(cam_loop_places, cam_loop_sum)),
    Exercise('2.3', 'CAM as one einsum',
        'Write `cam(weight, A)` for all pictures and classes at once: (K,C) and (N,C,h,w) give (N,K,h,w). One line will do, without a loop.',
        cam, library='camtutor.cam', speed=cam_large,
        trials=(gives(HAND, W, A, want=[[[[1., 2.], [12., 4.]], [[0., -1.], [-5., 0.]], [[3., 1.], [11., 12.]]]]), gives('Random weights and maps, not square', W_, A_),
                one_by_one(W_, A_, batched=(1,)), keeps(W_, A_)),
        mistakes=(Mistake(cam_relu, 'This is CAM with a ReLU. Plain CAM keeps negative evidence; without it the mean no longer gives the score.'),
                  Mistake(cam_mean, 'You take the mean over channels. It is a sum: the linear layer adds up.'),
                  Mistake(cam_classes_first, 'The result is (K,N,h,w). The letters after the arrow decide: pictures first.'),
                  Mistake(cam_transposed, 'Rows and columns are exchanged: the last two letters after the arrow are in the wrong order.'),
                  Mistake(cam_all_images, 'The batch is summed away: the letter of the pictures is missing after the arrow.'),
                  Mistake(cam_all_classes, 'The classes are summed into one map: the letter k is missing after the arrow.'),
                  Mistake(cam_at_sign, '`@` multiplies along the last two axes, rows and columns here. The channels are axis 1: flatten the places first, or say with einsum which axis is meant.'),
                  Mistake(cam_softmax, 'There is a softmax over the classes in it. Keep the scores; they are what adds up to the logit.'),
                  Mistake(cam_min_max, 'The maps are stretched to 0…1. That belongs to drawing; here the numbers have a meaning.')),
        hints=('Give every axis a letter: k classes, c channels, n pictures, i rows, j columns.', 'A letter that is missing after the arrow is summed over: here only c.', 'Two groups before the arrow, `kc` and `ncij`; after it, pictures, classes, rows, columns.'),
        why='One call for every class and picture: a slider over classes costs nothing once the forward pass is done.',
        also=(cam_conv, cam_matmul, cam_reversed, cam_broadcast)),
    Exercise('2.4', 'Back to the score',
        'Write `logits_from_cam(m, bias)`: the scores (N,K) that the network itself gives, from its class activation maps (N,K,h,w).',
        logits_from_cam,
        trials=(gives('Worked by hand: a map 1, 2, 3, 6 and the bias −1', torch.tensor([[[[1., 2.], [3., 6.]]]]), torch.tensor([-1.]), want=[[2.]]), Trial('A small network', identity)),
        mistakes=(Mistake(logits_sum, 'You add up the places. The pooling takes their mean.'), Mistake(logits_max, 'This is the highest place. The network takes the mean over all places.'),
                  Mistake(logits_no_bias, 'The bias is missing. It is the part of a score that no place is responsible for.'),
                  Mistake(logits_bias_each, 'The bias is added at every place. It comes once, after the mean.')),
        hints=('What does the network do between the maps and the linear layer?', 'Averaging and weighting can change places; the bias comes last.', 'The mean over the two axes of places, plus the bias.'),
        why='The check that tells a true CAM from a picture that merely looks like one.', also=(logits_pooled, logits_loop)),
    Exercise('2.5', 'The head, found and proved',
        'Write `find_head(model, x)` for a network made of `nn.Sequential`s, also within each other, whose last layer is an `nn.Linear`. It returns what CAM needs, as a tuple: `acts` (N,C,h,w), the last maps before the pooling, and the `weight` (K,C) and `bias` (K,) of that Linear. If the Linear was not given the mean of `acts` over places, raise a `CamError` (from `camtutor.errors`).',
        find_head, library='camtutor.cam',
        trials=(Trial('A body and a head', found_in(tiny), says={'a tuple': 'Return `acts`, `weight` and `bias`, in this order.'}),
                Trial('Layers in a row, without a body and a head', found_in(in_a_row), says={'acts': '(Here `model[0]` is a single convolution, and more layers come before the pooling.)'}),
                Trial('Heads that CAM cannot read must raise a `CamError`', refused, dict.fromkeys(REFUSE, 'refused'))),
        mistakes=(Mistake(found_unchecked, 'The right things are found, but nothing is proved: a head that CAM cannot read is accepted as well. Compare what the Linear was given with the mean of the maps.'),
                  Mistake(found_by_shape, 'Shapes that fit prove nothing: the highest places are (N,C) too, and so is a hidden layer of C units. Compare the numbers.'),
                  Mistake(found_by_numbers, 'Without pooling the Linear is given C·h·w numbers, which cannot be compared with C means at all. Look at the shapes first.'),
                  Mistake(found_first_linear, 'This is the first Linear. With a hidden layer it reads the mean, but it does not give the scores: take the last.'),
                  Mistake(found_pooled, 'These maps are pooled already: (N,C,1,1). Keep the last output that has more than one place.'),
                  Mistake(found_convolution, 'This is what the last convolution gives. Other layers, such as a ReLU, come between it and the pooling. Keep the very last maps.'),
                  Mistake(found_without_bias, 'The bias is missing. Without it the mean of the map does not give the score.'),
                  Mistake(found_hooks_left, 'Your hooks stay on the network. Remove them when it has run.'),
                  Mistake(found_one_layout, 'This fits one layout, `model[0]` and `model[1]`. Other networks are nested otherwise: go through `model.modules()`, or watch the network run.')),
        hints=('The maps are the last output with four axes and more than one place. What comes after them is pooled, or flat.',
               'Two ways to see the outputs: send `x` through the innermost layers one by one (those without `children()`), or watch the whole run, with hooks or with `_Watch` from the chapter.',
               'Keep two things on the way: the newest maps, and what the Linear is given. If the second is not the mean of the first, in shape and in numbers, raise.'),
        why='A weight of the right shape makes a picture. Only this check makes it the CAM of the network.',
        also=(find_head_hooks, find_head_watched, find_head_backwards)),
    Exercise('2.6', 'Where the weights are',
        'Write `head_weight(model)`: the weight (K,C) of the last `nn.Linear` of a network.',
        head_weight, library='camtutor.cam', trials=(Trial('A small network of three classes, Sequential(body, Sequential(pool, flatten, linear))', weights_of(0)), Trial('One of five classes', weights_of(2))),
        mistakes=(Mistake(weight_outermost, '`model[-1]` is the whole head here, not its Linear. Layers can lie in each other: look among all of them.'),
                  Mistake(weight_turned, 'It is transposed. PyTorch keeps a Linear\'s weight as (outputs, inputs), which is (K,C) already.'),
                  Mistake(weight_bias, 'This is the bias. The weight comes just before it among the parameters.'),
                  Mistake(weight_first, 'These are the weights of the *first* layer.'),
                  Mistake(weight_of_conv, 'These are a convolution\'s kernels. Look for `nn.Linear`.')),
        hints=('`model.modules()` walks through all layers in order.', '`isinstance(m, nn.Linear)` tells which are linear.', 'Make a list of the linear ones and take the last; it has an attribute `weight`.'),
        why='CAM needs just two things from a network: this, and what it is multiplied with.', also=(weight_by_index, weight_by_parameters)),
    Exercise('2.7', 'Energy inside a mask',
        'Write `energy(m, mask)`: the share of the positive part of each map (N,H,W) that lies inside its mask. A map without positive values has energy 0.',
        energy, library='camtutor.cam',
        trials=(gives('Worked by hand: 4 of 4 inside, then 1 of 4', M, INSIDE, want=[1., .25]), gives('Random maps and masks', M_, INSIDE_), gives('A map without positive values', ZERO, INSIDE[:1], want=[0.]),
                one_by_one(M_, INSIDE_), keeps(M_, INSIDE_)),
        mistakes=(Mistake(energy_signed, 'Negative values count against it. Cut them off first: energy is about what the map points *to*.'),
                  Mistake(energy_abs, 'You take absolute values, so that evidence against counts as evidence for.'),
                  Mistake(energy_density, 'You divide by the area of the mask: that is how bright the map is inside. Divide by the map\'s own total.'),
                  Mistake(energy_batch, 'All pictures share one total. Each map has its own: sum over the two axes of places only.'),
                  Mistake(energy_0_by_0, 'For a map without positive values you divide 0 by 0, which gives nan. It should be 0.'),
                  Mistake(energy_indexed, 'This is one figure for the whole batch. Sum over the two axes of places only. (`m[mask]` loses the batch too; `m*mask` keeps the shape.)'),
                  Mistake(energy_area, 'You count places. A strong place weighs more than a weak one: add up the values.')),
        hints=('First the positive part.', 'A boolean mask times a map leaves the part inside.', 'Sum inside over sum of all, each over the last two axes; take care of a total of 0.'),
        why='With exact masks "it looks at the cat" becomes a number, to be read beside the uniform and the best possible one.', also=(energy_loop, energy_nan)),
    Exercise('2.8', 'Is the peak inside?',
        'Write `peak_inside(m, mask)`: for each map (N,H,W), is its highest place inside its mask? A bool each; False for a map without positive values.',
        peak_inside, library='camtutor.cam',
        trials=(gives('Worked by hand: inside, outside, no peak', PEAKS, PLACES, want=torch.tensor([True, False, False])), gives('Random maps and masks', rand(12, 5, 6), rand(12, 5, 6, seed=9) > 0),
                keeps(M_, INSIDE_)),
        mistakes=(Mistake(peak_of_batch, 'This is the peak of the whole batch. Flatten the places only, and take the maximum of each row.'),
                  Mistake(peak_abs, 'The most negative place is no peak: it speaks against.'),
                  Mistake(peak_any, 'This asks whether any positive place is inside. Only the highest counts.'),
                  Mistake(peak_always, 'A map without positive values has a largest value too, but no peak. Test that it is above 0.'),
                  Mistake(peak_rows, 'Indexing by the places alone picks whole rows of the mask. Each map needs one value, from its own row: its number and its place, or `gather`.'),
                  Mistake(peak_float, 'These are numbers. The answer is yes or no: a bool.')),
        hints=('`flatten(1)` lays each map out in a row.', '`max(1)` gives value and place of each row.', 'Look the place up in the flattened mask, and ask that the value is above 0.'),
        why='The pointing game: the oldest score for a heat map, and still one that is easy to explain.', also=(peak_loop, peak_gather)),
    Exercise('2.9', 'The baseline',
        'Write `uniform_energy(mask)`: the energy that a map gets which is the same everywhere.',
        uniform_energy, trials=(gives('Worked by hand: two of four places, then one', INSIDE, want=[.5, .25]), gives('Random masks', INSIDE_)),
        mistakes=(Mistake(uniform_one_figure, 'One figure for all pictures: keep one for each.'), Mistake(uniform_area, 'This counts places. As a share it can be compared with an energy.'),
                  Mistake(uniform_counts, 'You count the places inside. Divide by all places: an energy is a share, between 0 and 1.'),
                  Mistake(uniform_half, 'It depends on the mask: a large animal catches more of a map that knows nothing.'),
                  Mistake(uniform_rows, 'One axis of places is left over.')),
        hints=('Put a map of ones into the definition of energy.', 'What is left is a share of area.', 'The mean of the mask as numbers, over both axes of places.'),
        why='An energy of 0.6 says nothing until one knows that a map which knows nothing gets 0.3.', also=(uniform_energy_counts, uniform_energy_map)),
    Exercise('2.10', 'The best that a grid can do',
        'Write `best_energy(mask, size)`: average the mask onto a grid of `size`, bring it back to its own size bilinearly, and take its `energy` (write it, or import it from `camtutor.cam`).',
        best_energy, library='camtutor.cam', trials=(gives('Round masks of 16 × 16 on a grid of 4 × 4', blob(), 4), gives('The same on a grid of 4 × 8', blob(3), (4, 8)),
                gives('The same on its own grid', blob(1), 16, want=[1.])),
        mistakes=(Mistake(best_nearest_down, 'You pick one pixel for each cell of the grid. Average over the cell: half covered is 0.5.'),
                  Mistake(best_nearest_up, 'The way back is in blocks. Maps are drawn bilinearly, so measure them so.'),
                  Mistake(best_bilinear_down, '`F.interpolate` reads only the pixels nearest to each cell\'s centre. On the way down, average over all of the cell: `F.adaptive_avg_pool2d`.'),
                  Mistake(best_max_pool, 'Each cell takes its highest value, so that a cell that is just touched counts as full. Average.'),
                  Mistake(best_is_one, 'The mask itself has energy 1. See it through the coarse grid first.'),
                  Mistake(best_corners, '`align_corners=True` stretches the grid so that its outer cells lie on the edge. Leave it out.')),
        hints=('`F.adaptive_avg_pool2d` averages onto a grid of any size; it wants channels, so add an axis.', '`F.interpolate(…, mode="bilinear")` brings it back.', 'The result is a map like any other: give it to `energy`.'),
        why='An 8 × 8 map cannot follow an ear. The best possible figure tells the method\'s fault from the grid\'s.', also=(best_energy_show, best_energy_loop)),
    Exercise('2.11', 'A head that CAM can read',
        'Write `gap_head(body, n_classes, x)`: `nn.Sequential` of the body, frozen, and a head of global average pooling and one new `nn.Linear`. `x` is a batch to try the body with: how many channels come out?',
        gap_head, library='camtutor.cam', trials=(Trial('A small body, four classes', surgery),),
        mistakes=(Mistake(head_unfrozen, 'The body can still learn. Set `requires_grad` of its parameters to False: only the new layer is to be trained.'),
                  Mistake(head_max, 'This pools the *highest* place. CAM is exact for the mean only, since only a mean may change places with the weights.'),
                  Mistake(head_flattened, 'The Linear reads every place separately: without pooling there is no weight for a channel. Pool first.'),
                  Mistake(head_all_frozen, 'The new Linear is frozen as well. It is the one that must learn.'),
                  Mistake(head_in_pieces, 'The layers of the head stand beside the body, one by one. Put them into an `nn.Sequential` of their own, so that `net[0]` is the body and `net[1]` the head.'),
                  Mistake(head_hidden, 'There is a hidden layer in the head. Then the last weights do not belong to the channels of the map any more.')),
        hints=('Run the body once without gradients and look at the shape.', '`nn.AdaptiveAvgPool2d(1)` leaves (N,C,1,1); a Linear wants (N,C).', 'Freeze, then `nn.Sequential(body, nn.Sequential(pool, flatten, linear))`.'),
        why='This is what the original CAM paper did to VGG, which has no pooling of this kind.', also=(gap_head_module, gap_head_flat)),
    Exercise('2.12', 'Train the head alone',
        'Write `retrain_head(net, batches, steps, lr, wd)` for a network as `gap_head` makes it. `batches` gives pairs `(x, y)` of pictures and classes. Each picture goes through the body *once*; '
        'then fit the last Linear of `net[1]` to all of them together, `steps` times, with the mean `F.cross_entropy` and AdamW (or another optimiser), `lr` as step size and `wd` as weight decay. Begin with the weights that it has. '
        'Return the list of losses, as plain numbers. Weights and batch norm of the body stay as they are, even if `net` is in training mode; and afterwards each module has its own mode back.',
        retrain_head, library='camtutor.cam',
        trials=(Trial('Sixteen pictures of two classes in shuffled batches, 20 steps', learns,
                      says={'losses in it': 'One for each step, and each step uses all pictures together.', 'its batch norm': 'In training mode every run moves its averages.',
                            'pictures that': 'The body is frozen, so it gives the same at every step: compute it before the loop.', 'the type of a loss': 'A tensor keeps its graph alive: `item()` gives the number.',
                            'the loss at': 'Then nothing is learned, so each loss should be `F.cross_entropy(net(x), y)` for all pictures, in evaluation mode.',
                            'the gradient': '`backward()` adds to the gradients that are there: `zero_grad()` comes before it at each step.'}),
                Trial('Other step sizes and weight decays', then(heeds)), Trial('The mode of each module, afterwards', then(gives_modes_back), says='`eval_mode(net)` gives each its own back.')),
        mistakes=(Mistake(trains_all, 'The body has changed: the optimiser was given all parameters, and gradients came as far as that. Compute the body\'s features before the loop, under `no_grad`, and give the optimiser those of the Linear.'),
                  Mistake(trains_all_in_train_mode, 'Two things. The optimiser was given all parameters, so the weights of the body have changed. And it ran in training mode, which moves the averages of its batch norm: use `eval_mode(net)`.'),
                  Mistake(trains_slowly, 'Right, but the body runs at every step and gives the same each time. Keep what the Linear reads, and run only the Linear in the loop.'),
                  Mistake(trains_slowly_in_train_mode, 'Two things. The body runs at every step, though it is frozen: compute the features once. And it runs in training mode, so that its batch norm moves: use `eval_mode(net)`.'),
                  Mistake(trains_by_batch, 'That is how a whole network is trained: batch by batch, and the body runs each time. Here the body is frozen. Go through the batches once, keep what the Linear reads, and let each step use all of it.'),
                  Mistake(trains_in_train_mode, 'The body\'s batch norm has moved its running averages. They are no parameters: neither freezing nor `no_grad` keeps them still, only evaluation mode. `eval_mode(net)` does it, and puts the mode back.'),
                  Mistake(trains_on_what_is_left, 'Only the last batch was learned: each turn of the loop over the batches replaces what was there. Collect, and join with `torch.cat`.'),
                  Mistake(trains_on_last_batch, 'Only the last batch goes through the body, and only that is learned. Take all of them, and join their features with `torch.cat`.'),
                  Mistake(trains_on_first_batch, 'Only the first batch was learned. Is there a `return` in the loop over the batches, or a `next`? Take all of them, and join their features with `torch.cat`.'),
                  Mistake(trains_batch_by_batch, 'You step once for each batch and note the loss of the last one. Join all features with `torch.cat` before the loop: then one step uses all of them, and its loss is that of all.'),
                  Mistake(trains_on_mean_of_means, 'This is the mean of the batches\' means. The last batch is smaller, so its pictures count for more than the others. Join all features with `torch.cat` and take one mean.'),
                  Mistake(trains_on_mixed_labels, 'Features and classes do not belong together: you go through `batches` twice, and a DataLoader shuffles each time. Take `x` and `y` from the same pass.'),
                  Mistake(trains_a_copy, 'The network is as before, and the losses are not its own: you trained a Linear of your own. Train the one that is in `net[1]`.'),
                  Mistake(trains_a_twin, 'The losses fall, but the network is as before: you trained a copy of its Linear. Train the one that is in `net[1]`.'),
                  Mistake(trains_anew, 'The training does not begin with the weights that the network has: even at a step size of 0 they change. Did you reset the Linear, or put a new one in its place? Or did you scale the features, and the weight only at the end? Then multiply it by the scale before the first step.'),
                  Mistake(trains_without_decay, '`wd` has no effect. The optimiser takes it as `weight_decay`.'),
                  Mistake(trains_at_fixed_rate, '`lr` has no effect: the step size is always the same.'),
                  Mistake(trains_scaled, 'The Linear learns from other numbers than the network will give it. Are the features scaled, or pooled in another way? `net[1][:-1]` gives what the network reads; and a scale has to be undone in the weight.'),
                  Mistake(trains_on_sum, 'This is the sum over the pictures: the loss is as many times too large as there are pictures, and so is each gradient. Take the mean, which `F.cross_entropy` gives unless told otherwise.'),
                  Mistake(trains_adding_up, 'The gradients of all steps add up, since `backward()` adds to what is there: each step also goes where the steps before it went. `opt.zero_grad()` at each step, before `backward()`.'),
                  Mistake(trains_with_other_loss, 'Features and Linear may be right, but the loss is not the mean cross-entropy over all pictures. Is it mean squared error, or binary cross-entropy? `F.cross_entropy` takes the scores of all pictures and the numbers of their classes, as they are.'),
                  Mistake(trains_uphill, 'The loss rises: the step goes the wrong way.'),
                  Mistake(trains_not, 'Nothing is learned: a step needs `backward()` and then `opt.step()`, with no `zero_grad()` between the two.'),
                  Mistake(trains_softmaxed, 'There is a softmax before the loss. `F.cross_entropy` takes scores and has its own softmax: with two of them the loss cannot come near 0.'),
                  Mistake(leaves_eval, 'The network is left in evaluation mode, whatever it was in. Whoever trains it further does so without dropout, and with a batch norm that stands still. `eval_mode(net)` gives each module its own mode back.'),
                  Mistake(leaves_body_eval, 'The body is left in evaluation mode, also where it trained before. `eval_mode(net)` gives each module its own mode back.'),
                  Mistake(leaves_train, 'Afterwards everything trains, also what evaluated before. `eval_mode(net)` gives each module its own mode back.'),
                  Mistake(leaves_one_mode, 'One mode is remembered for the whole network, but its parts can differ: a frozen body often evaluates. `eval_mode(net)` gives each module its own mode back.'),
                  Mistake(trains_graphs, 'These are tensors. Put `loss.item()` into the list.'),
                  Mistake(returns_last, 'This is the last loss alone. The whole list is wanted: it shows whether more steps would help.'),
                  Mistake(returns_nothing, 'Nothing is returned. The learner of a network wants to see the losses.')),
        hints=('The Linear is `net[1][-1]`; all that comes before it in the head is `net[1][:-1]`.',
               'First a pass over the batches, in `eval_mode` and without gradients: collect what the Linear will read, and the classes beside it. `torch.cat` makes one batch of all.',
               'Then an optimiser on the Linear\'s own parameters, and a loop of five lines: loss, zero the gradients, backward, step, note the number.'),
        why='A network can be given a readable head in seconds, since the body runs once. The library\'s also divides the features by their deviation, and the weight in return: so one step size fits every body.',
        also=(retrain_hook, retrain_by_hand)),
    Exercise('2.13', 'A shape', '`weight` is (37, 128), `A` is (5, 128, 8, 8). What is the shape of `torch.einsum("kc,ncij->nkij", weight, A)`?',
        (5, 37, 8, 8), kind='value',
        mistakes=(Mistake((37, 5, 8, 8), 'The letters after the arrow give the order: n comes before k.'), Mistake((5, 128, 8, 8), 'c is missing after the arrow: it is summed over, and k takes its place.'),
                  Mistake((5, 37), 'i and j stand after the arrow, so the places stay.')),
        hints=('Read the letters after the arrow one by one.', 'n is 5, k is 37.', 'i and j are 8 each.'), why='Whoever can read the letters needs no other documentation of a formula.'),
    Exercise('2.14', 'By hand', 'The CAM of a class is [[1, 2], [3, 8]], the bias of its Linear is −1. What is the logit?',
        2.5, kind='value',
        mistakes=(Mistake(13, 'You added up the places. The pooling takes their mean.'), Mistake(3.5, 'The bias is missing.'), Mistake(14, 'This is the sum of the places. The pooling takes their mean, and the bias comes after it.'), Mistake(7, 'This is the highest place with the bias. The pooling takes the mean.')),
        hints=('How does the network get from maps to scores?', 'The mean of the four places.', 'Add the bias once.'), why='mean + bias == logit is the identity that every CAM of this course is checked with.'),
    Exercise('2.15', 'Which class is which', 'You have a trained `learn` and the scores (1, 2). How do you find out which of the two is the cat, and why would you call `decode` on a batch before drawing it?',
        '`learn.dls.vocab` lists the classes in the order of the scores, which is alphabetical unless you said otherwise. The batch is normalised: mean 0, deviation 1. `decode` undoes that, so that the colours are those of the picture again.', kind='written',
        why='Mixing up two classes is the commonest mistake of all, and no shape error warns of it.'),
    Exercise('2.16', 'Which layer', 'Plain CAM uses the activations of …', 'the last convolutional stage, which global average pooling reads', kind='choice',
        mistakes=(Mistake('the last Linear layer', 'It gives one number for each class: there are no places left. CAM uses its *weights*.'),
                  Mistake('the first convolution, which is the sharpest', 'It is sharp, but it sees edges and colours, and no linear weights connect it with a class.'),
                  Mistake('any layer you like', 'Only one: the classifier\'s weights belong to the channels that are pooled for it. Grad-CAM lifts that limit.'))),
    Exercise('2.17', 'Why a hook', 'Why does CAM need a hook?', 'The network returns scores only; the activations inside are freed unless someone catches them', kind='choice',
        mistakes=(Mistake('To get at the weights', 'The weights are parameters: they can be read at any time.'), Mistake('To change the activations', 'CAM changes nothing.'),
                  Mistake('To run the last layer twice', 'It runs once. CAM repeats its multiplication outside, place by place.'))),
    Exercise('2.18', 'Why not inside', 'Why can plain CAM not look at an inner layer?', 'Between it and the scores lie more layers, so that no weight connects one of its channels with a class', kind='choice',
        mistakes=(Mistake('Its maps are too large', 'Size is no obstacle to an einsum.'), Mistake('It cannot be hooked', 'Any module can be hooked.'),
                  Mistake('Its activations are negative', 'After a ReLU they are not, and it would not matter.'))),
    Exercise('2.19', 'A hidden layer', 'fastai\'s stock head has two Linear layers. The last one\'s weights, multiplied with the body\'s maps …', 'give a picture, but not that network\'s CAM: the mean of the map does not give the score', kind='choice',
        mistakes=(Mistake('give the CAM, since they are the last weights', 'They belong to the hidden layer\'s units, not to the channels of the map. It only runs at all if the numbers happen to agree.'),
                  Mistake('give the CAM after a ReLU', 'A ReLU does not bring back what the hidden layer mixes.'))),
)
