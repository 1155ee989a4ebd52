"Chapter 04: other right answers, in other styles; each must be accepted."
from copy import deepcopy
from math import ceil, inf
import torch, torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.overrides import TorchFunctionMode

from camtutor.cam import own_share
from camtutor.engine.layers import last_layer
from camtutor.exercises.ch04 import ReLURule, guided_backprop, relu_rules, scramble
from camtutor.guided import RuledReLU, saliency, strength
from camtutor.gradcam import capture, grad_cam
from camtutor.show import upsample

def signed_loop(g, clip=99):
    found = []
    for p in g:
        a = p.abs().flatten().sort().values
        end = a[ceil(len(a)*clip/100) - 1] or a[-1] or torch.tensor(1.)
        found.append(p.div(end).clamp(-1, 1)/2 + .5)
    return torch.stack(found)

def signed_flat(g, clip=99):
    a = g.flatten(1)
    k = a.shape[1] - ceil(a.shape[1]*clip/100) + 1
    end = a.abs().topk(k, 1).values[:, -1:]
    end = torch.where(end == 0, a.abs().max(1, keepdim=True).values, end) + 1e-30
    return ((torch.minimum(torch.maximum(a, -end), end)/end + 1)/2).view_as(g)

def rules_where(g, A):
    zero = torch.zeros_like(g)
    back = torch.where(A > 0, g, zero)
    return {'backprop': back, 'deconvnet': g.relu(), 'guided': back.clamp(min=0)}

def rules_autograd(g, A):
    A = A.detach().clone().requires_grad_()
    back, = torch.autograd.grad(A.relu(), A, g)
    return dict(guided=F.relu(back), deconvnet=F.relu(g), backprop=back)

class RuleOfOnesOwn(TorchFunctionMode):
    def __init__(self, rule='guided'):
        super().__init__()
        self.by, self.met = (lambda g, A: relu_rules(g, A)[rule]), 0
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.__name__ not in ('relu', 'relu_'): return func(*args, **kwargs)
        self.met += 1
        by = self.by
        class Ruled(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x.clamp(min=0)
            @staticmethod
            def backward(ctx, g): return by(g, ctx.saved_tensors[0])
        return Ruled.apply(*args)

class RuleInSet(ReLURule):
    def __torch_function__(self, func, types, args=(), kwargs={}):
        if func in {F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}:
            self.met = self.met + 1
            return RuledReLU.apply(args[0], F.relu, inf, self.rule)
        return func(*args, **(kwargs or {}))

def saliency_ones(model, x, target=None):
    pixels = x.clone().requires_grad_(True)
    out = model(pixels)
    idx = out.argmax(1) if target is None else torch.as_tensor(target).expand(len(x))
    g, = torch.autograd.grad(out.gather(1, idx[:, None])[:, 0], [pixels], torch.ones(len(x)))
    return g

def saliency_loop(model, x, target=None):
    found = []
    for i, one in enumerate(x):
        one = one[None].clone().requires_grad_()
        out = model(one)[0]
        k = out.argmax() if target is None else target[i] if isinstance(target, Tensor) else target
        found.append(torch.autograd.grad(out[k], one)[0])
    return torch.cat(found)

def guided_swap(model, x, target=None):
    import copy
    class Guided(nn.Module):
        def forward(self, x): return RuledReLU.apply(x, torch.relu, inf, 'guided')
    def swap(m):
        for name, child in m.named_children():
            if isinstance(child, nn.ReLU): setattr(m, name, Guided())
            else: swap(child)
        return m
    return saliency(swap(copy.deepcopy(model)), x, target)

def guided_tensor_hooks(model, x, target=None):
    def see(m, args, out):
        if args[0].requires_grad: args[0].register_hook(lambda g: g.relu())
    handles = [m.register_forward_hook(see) for m in model.modules() if type(m) is nn.ReLU]
    try: return saliency(model, x, target)
    finally: [h.remove() for h in handles]

def product_interpolated(model, x, layer=None, target=None):
    seen = capture(model, x, layer or last_layer(model, x), target)
    m = (seen.grads.mean((2, 3), keepdim=True)*seen.acts).sum(1, keepdim=True).relu()
    return guided_backprop(model, x, target)*F.interpolate(m, x.shape[2:], mode='bilinear')

def product_loop(model, x, layer=None, target=None):
    found = []
    for one in x.split(1):
        c = capture(model, one, last_layer(model, one) if layer is None else layer, target)
        found.append(torch.einsum('nchw,nhw->nchw', guided_tensor_hooks(model, one, target),
                                  upsample(grad_cam(c.acts, c.grads), one.shape[2:])))
    return torch.cat(found)

def scramble_argsort(module, seed=0):
    gen = torch.Generator()
    gen.manual_seed(seed)
    for p in module.parameters():
        flat = p.detach().view(-1)
        mixed = flat[torch.rand(p.numel(), generator=gen).argsort()]
        flat[:] = torch.where(torch.rand(p.numel(), generator=gen) < .5, mixed, -mixed)
    for m in module.modules(): getattr(m, 'reset_running_stats', int)()

def scramble_numpy(module, seed=0):
    import numpy as np
    rng = np.random.default_rng(seed)
    for p in module.parameters():
        numbers = rng.permutation(p.detach().numpy().ravel())*rng.choice([-1, 1], p.numel())
        p.data.copy_(torch.from_numpy(numbers).float().view(p.shape))
    for m in module.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.zero_()
            m.running_var.fill_(1)

def asked_list(method, model, x, classes, masks):
    m = [strength(method(model, x, c)) for c in classes.unbind(1)]
    first, second = masks.unbind(1)
    return torch.stack([own_share(m[0], first, second), own_share(m[1], second, first)]).mean()

def asked_number(method, model, x, classes, masks):
    total = 0.
    for a, b in ((0, 1), (1, 0)):
        m = method(model, x, classes[:, a]).abs().amax(1)
        own, other = [(m*masks[:, i]).flatten(1).sum(1) for i in (a, b)]
        total += (own/(own + other)).sum().item()
    return total/classes.numel()

def cascade_list(model, layers, seed=0):
    found = [(None, deepcopy(model))]
    for name in layers[::-1]:
        found.append((name, deepcopy(found[-1][1])))
        scramble(found[-1][1].get_submodule(name), seed + len(found) - 2)
    return found

def cascade_anew(model, layers, seed=0):
    for k in range(len(layers) + 1):
        copy = deepcopy(model)
        for i in range(k): scramble(dict(copy.named_modules())[layers[-1 - i]], seed + i)
        yield (layers[-k] if k else None), copy

def ranks_formula(a, b):
    n = a[0].numel()
    d = a.flatten(1).argsort(1).argsort(1) - b.flatten(1).argsort(1).argsort(1)
    return 1 - 6*(d.double()**2).sum(1).float()/(n*(n*n - 1))

def ranks_corrcoef(a, b):
    def rank(t):
        r = torch.empty(t.numel())
        r[t.flatten().argsort()] = torch.arange(t.numel()).float()
        return r
    return torch.stack([torch.corrcoef(torch.stack([rank(p), rank(q)]))[0, 1] for p, q in zip(a, b)])

def smooth_loop(model, x, target=None, n=8, noise=.1, seed=0):
    gen, total = torch.Generator().manual_seed(seed), torch.zeros_like(x)
    with torch.no_grad(): top = model(x).argmax(1)
    for _ in range(n):
        near = x + noise*torch.randn(x.shape, generator=gen)
        total += saliency_ones(model, near, top if target is None else target)
    return total/n

def smooth_stack(model, x, target=None, n=8, noise=.1, seed=0):
    gen = torch.Generator()
    gen.manual_seed(seed)
    target = model(x).argmax(1).tolist() if target is None else [target]*len(x)
    near = torch.cat([x + torch.randn(x.shape, generator=gen)*noise for _ in range(n)])
    return saliency(model, near, target*n).view(n, *x.shape).mean(0)

ANSWERS = {
    '4.1': (signed_loop, signed_flat),
    '4.2': (rules_where, rules_autograd),
    '4.3': (RuleOfOnesOwn, RuleInSet),
    '4.4': (saliency_ones, saliency_loop),
    '4.5': (guided_swap, guided_tensor_hooks),
    '4.6': (scramble_argsort, scramble_numpy),
    '4.7': (product_interpolated, product_loop),
    '4.8': (asked_list, asked_number),
    '4.9': (cascade_list, cascade_anew),
    '4.10': (ranks_formula, ranks_corrcoef),
    '4.11': (smooth_loop, smooth_stack),
}
