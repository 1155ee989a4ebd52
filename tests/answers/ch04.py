"Chapter 04: other right answers, in other styles; each must be accepted."
from copy import deepcopy
from math import ceil, inf
import torch, torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.overrides import TorchFunctionMode

from camtutor.engine.layers import last_layer
from camtutor.engine.targets import At, class_score
from camtutor.exercises.ch04 import (ReLURule, RuledReLU, backprop_rule, cascade, deconvnet_rule, guided_backprop,
                                     guided_rule, order_only, saliency, scramble, ssim_of, unit_mask)
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

def strength_both(g): return torch.maximum(g.amax(1), -g.amin(1))
def strength_stack(g): return torch.stack([c.abs() for c in g.unbind(1)]).max(0).values
def backprop_where(g, A): return torch.where(A > 0, g, 0.)

def backprop_autograd(g, A):
    A = A.detach().clone().requires_grad_()
    return torch.autograd.grad(A.relu(), A, g)[0]

def deconvnet_relu(g, A): return F.relu(g)
def deconvnet_mask(g, A): return g*(g > 0)
def guided_mask(g, A): return g*((g > 0) & (A > 0))
def guided_where(g, A): return torch.where(A > 0, g, torch.zeros_like(g)).relu()

class RuledByHand(Function):
    @staticmethod
    def forward(ctx, x, relu, rule, top):
        ctx.open = (x > 0) & (x < top)
        ctx.rule = rule
        out = relu(x)
        if out.data_ptr() == x.data_ptr(): ctx.mark_dirty(x)
        return out
    @staticmethod
    def backward(ctx, g):
        if ctx.rule != 'deconvnet': g = g*ctx.open
        if ctx.rule != 'backprop': g = g*(g > 0)
        return g, None, None, None

class RuledWithTop(RuledReLU):
    @staticmethod
    def forward(ctx, x, relu, rule, top):
        ctx.by = {'backprop': backprop_where, 'deconvnet': deconvnet_rule, 'guided': guided_where}[rule]
        out = relu(x)
        if out is x: ctx.mark_dirty(out)
        ctx.save_for_backward(out.where(out < top, 0.))
        return out
    @staticmethod
    def backward(ctx, g): return ctx.by(g, *ctx.saved_tensors), None, None, None

class RuleOfOnesOwn(TorchFunctionMode):
    def __init__(self, rule='guided'):
        super().__init__()
        self.by, self.met = dict(backprop=backprop_rule, deconvnet=deconvnet_rule, guided=guided_rule)[rule], 0
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if 'relu' not in func.__name__: return func(*args, **kwargs)
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
            return RuledReLU.apply(args[0], F.relu, self.rule, inf)
        return func(*args, **(kwargs or {}))

def unit_loop(A, channel=None, whole=False):
    mask = torch.zeros(A.shape)
    for a, m in zip(A, mask):
        c = max(range(len(a)), key=lambda i: a[i].max().item()) if channel is None else channel
        if whole: m[c] = 1
        else: m[c].view(-1)[a[c].argmax()] = 1
    return mask

def unit_scatter(A, channel=None, whole=False):
    wanted = A.flatten(1) if channel is None else torch.full_like(A, -torch.inf).index_copy(1, torch.tensor([channel]),
                                                                                            A[:, [channel]]).flatten(1)
    mask = torch.zeros_like(wanted).scatter(1, wanted.argmax(1, keepdim=True), 1.).view_as(A)
    return mask.amax((2, 3), keepdim=True).expand_as(A).clone() if whole else mask

def saliency_ones(model, x, target=None):
    pixels = x.clone().requires_grad_(True)
    out = model(pixels)
    idx = out.argmax(1) if target is None else torch.full((len(x),), target)
    g, = torch.autograd.grad(out.gather(1, idx[:, None])[:, 0], [pixels], torch.ones(len(x)))
    return g

def saliency_loop(model, x, target=None):
    found = []
    for one in x:
        one = one[None].clone().requires_grad_()
        out = model(one)[0]
        found.append(torch.autograd.grad(out.max() if target is None else out[target], one)[0])
    return torch.cat(found)

def guided_swap(model, x, target=None):
    import copy
    class Guided(nn.Module):
        def forward(self, x): return RuledReLU.apply(x, torch.relu, 'guided', inf)
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

def pixel_grad_capture(model, x, target=None, rule=None):
    kept, handles = [], []
    if isinstance(target, At):
        def see(m, args, out):
            kept.append(out)
            return out*1
        handles.append(model.get_submodule(target.layer).register_forward_hook(see))
    of = (lambda out: target.fn(kept[0])) if handles else target
    try:
        with RuleInSet(rule or 'backprop'): return capture(model, x, 'input', of).grads
    finally:
        for h in handles: h.remove()

def pixel_grad_seeded(model, x, target=None, rule=None):
    pixels, kept = x.clone().requires_grad_(True), []
    def see(m, args, out):
        kept.append(out)
        return out.clone()
    handle = model.get_submodule(getattr(target, 'layer', '')).register_forward_hook(see)
    with RuleOfOnesOwn(rule or 'backprop'): out = model(pixels)
    handle.remove()
    score = target.fn(kept[0]) if isinstance(target, At) else class_score(out, target)
    return torch.autograd.grad(score, pixels, torch.ones(len(x)))[0]

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

def scramble_numpy(module, seed=0):
    import numpy as np
    rng = np.random.default_rng(seed)
    for p in module.parameters():
        numbers = rng.permutation(p.detach().numpy().ravel())*rng.choice([-1, 1], p.numel())
        p.data.copy_(torch.from_numpy(numbers).float().view(p.shape))

def cascade_list(model, layers=None, seed=0):
    found = [(None, deepcopy(model))]
    for name in layers[::-1]:
        found.append((name, deepcopy(found[-1][1])))
        order_only(found[-1][1].get_submodule(name))
    return found

def cascade_anew(model, layers=None, seed=0):
    for k in range(len(layers) + 1):
        copy = deepcopy(model)
        for name in layers[len(layers)-k:]: scramble(dict(copy.named_modules())[name], seed)
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

def ssim_unfold(a, b, size=7):
    wa, wb = [t.unfold(2, size, 1).unfold(3, size, 1).flatten(4) for t in (a, b)]
    ma, mb, va, vb = wa.mean(-1), wb.mean(-1), wa.var(-1), wb.var(-1)
    cov = ((wa - ma[..., None])*(wb - mb[..., None])).sum(-1)/(size**2 - 1)
    light, rest = (2*ma*mb + 1e-4)/(ma**2 + mb**2 + 1e-4), (2*cov + 9e-4)/(va + vb + 9e-4)
    return (light*rest).flatten(1).mean(1)

def ssim_loop(a, b, size=7):
    found = []
    for p, q in zip(a, b):
        here = [ssim_of(p[c, i:i+size, j:j+size], q[c, i:i+size, j:j+size]) for c in range(len(p))
                for i in range(p.shape[1]-size+1) for j in range(p.shape[2]-size+1)]
        found.append(torch.stack(here).mean())
    return torch.stack(found)

def paint_enumerate(model, x, method=guided_backprop, target=None, clip=99, scrambled=0, layers=None):
    for n, (name, forgetful) in enumerate(cascade(model, layers)):
        if n == scrambled: return signed_loop(method(forgetful, x, target), clip)

def paint_next(model, x, method=guided_backprop, target=None, clip=99, scrambled=0, layers=None):
    steps = cascade(model, layers)
    for _ in range(scrambled): next(steps)
    name, copy = next(steps)
    return signed_flat(method(copy, x, target=target), clip=clip)

def unit_lambda(layer, channel=None, whole=False):
    return At(layer, lambda A: torch.einsum('nchw,nchw->n', A, unit_mask(A, channel, whole)), 'mine')

def unit_masked(layer, channel=None, whole=False):
    def fn(acts):
        mask = unit_loop(acts.detach(), channel, whole)
        return torch.where(mask > 0, acts, 0.).flatten(1).sum(1)
    return At(layer=layer, fn=fn, title=f'{layer}, {channel}')

ANSWERS = {
    '4.1': (signed_loop, signed_flat),
    '4.2': (strength_both, strength_stack),
    '4.3': (backprop_where, backprop_autograd),
    '4.4': (deconvnet_relu, deconvnet_mask),
    '4.5': (guided_mask, guided_where),
    '4.6': (RuledByHand, RuledWithTop),
    '4.7': (RuleOfOnesOwn, RuleInSet),
    '4.8': (unit_loop, unit_scatter),
    '4.9': (saliency_ones, saliency_loop),
    '4.10': (guided_swap, guided_tensor_hooks),
    '4.11': (pixel_grad_capture, pixel_grad_seeded),
    '4.12': (product_interpolated, product_loop),
    '4.13': (scramble_argsort, scramble_numpy),
    '4.14': (cascade_list, cascade_anew),
    '4.15': (ranks_formula, ranks_corrcoef),
    '4.16': (ssim_unfold, ssim_loop),
    '4.17': (paint_enumerate, paint_next),
    '4.21': (unit_lambda, unit_masked),
}
