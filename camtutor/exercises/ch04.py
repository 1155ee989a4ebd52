"Chapter 04: guided backprop."
from contextlib import nullcontext
from copy import deepcopy
from itertools import islice
from math import ceil, inf
import torch, torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.overrides import TorchFunctionMode

from camtutor.exercises.common import gives, hooks_left, keeps, one_by_one, pictures, rand, seeded, tiny
from camtutor.exercises.core import Exercise, Mistake, Trial
from camtutor.gradcam import capture, class_score, grad_cam, last_layer
from camtutor.guided import PAINTERS, RULES
from camtutor.hooks import Hook
from camtutor.show import upsample

g, A = torch.tensor([2., -1., 3., -4.]), torch.tensor([1., 5., -2., -3.])
G_, A_ = rand(3, 4, 5, 6), rand(3, 4, 5, 6, seed=1)
FOUR = 'Four numbers by hand: gradients 2, −1, 3, −4 at a ReLU that read 1, 5, −2, −3'

# 4.1 showing signed numbers

def signed_image(g:Tensor, # signed pixels (N,3,H,W)
                 clip=99 # this percentile of |g| becomes full black or white, image by image
                )->Tensor: # (N,3,H,W) in [0,1]
    "For the eye: zero is mid-grey (0.5), each picture's percentile of the absolute values is black or white, what lies beyond it too."
    a = g.abs().flatten(1)
    end = a.kthvalue(ceil(a.shape[1]*clip/100), 1).values
    end = end.where(end > 0, a.amax(1)).clamp(min=1e-30)
    return (.5 + g/end[:, None, None, None]/2).clamp(0, 1)

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

def signed_by(g, clip=99, size=lambda g: g.abs().flatten(1), end=None, draw=lambda g, end: (.5 + g/end/2).clamp(0, 1)):
    "The drawing with its parts exchangeable, for the wrong versions below."
    a = size(g)
    top = a.kthvalue(ceil(a.shape[1]*clip/100), 1).values
    top = top.where(top > 0, a.amax(1)).clamp(min=1e-30)
    return draw(g, top.view(-1, *[1]*3))
def signed_min_max(g, clip=99):
    low, high = g.amin((1, 2, 3), True), g.amax((1, 2, 3), True)
    return (g - low)/(high - low).clamp(min=1e-30)
def signed_largest(g, clip=99): return signed_image(g, 100)
def signed_batch(g, clip=99): return signed_by(g, clip, size=lambda g: g.abs().flatten()[None])
def signed_channels(g, clip=99): return signed_image(g.flatten(0, 1)[:, None], clip).view_as(g)
def signed_abs(g, clip=99): return signed_by(g, clip, draw=lambda g, end: (g.abs()/end).clamp(0, 1))
def signed_positive_end(g, clip=99): return signed_by(g, clip, size=lambda g: g.flatten(1))
def signed_not_clipped(g, clip=99): return signed_by(g, clip, draw=lambda g, end: .5 + g/end/2)
def signed_not_halved(g, clip=99): return signed_by(g, clip, draw=lambda g, end: (.5 + g/end).clamp(0, 1))
def signed_black_zero(g, clip=99): return signed_by(g, clip, draw=lambda g, end: (g/end).clamp(0, 1))
def signed_fraction(g, clip=99):
    a = g.abs().flatten(1)
    end = a.amax(1)*clip/100
    return (.5 + g/end.clamp(min=1e-30)[:, None, None, None]/2).clamp(0, 1)
def signed_quantile(g, clip=99):
    end = torch.quantile(g.abs().flatten(1), clip/100, dim=1)
    end = end.where(end > 0, g.abs().amax((1, 2, 3))).clamp(min=1e-30)
    return (.5 + g/end[:, None, None, None]/2).clamp(0, 1)
def signed_nan(g, clip=99):
    a = g.abs().flatten(1)
    end = a.kthvalue(ceil(a.shape[1]*clip/100), 1).values
    return (.5 + g/end[:, None, None, None]/2).clamp(0, 1)

SIGNED = torch.tensor([4., -2., 0., 1., 2., -4., 0., 0., 0., 0., 0., 2.]).view(1, 3, 2, 2)
SPARSE = torch.zeros(2, 3, 10, 10).index_put((torch.tensor([0, 0]), torch.tensor([1, 2]), torch.tensor([3, 3]), torch.tensor([4, 5])), torch.tensor([2., -1.]))

# 4.2 one number a pixel

def strength(g:Tensor)->Tensor: # (N,3,H,W) -> (N,H,W)
    "One number a pixel: the largest absolute value of its channels."
    return g.abs().amax(1)

def strength_both(g): return torch.maximum(g.amax(1), -g.amin(1))
def strength_stack(g): return torch.stack([c.abs() for c in g.unbind(1)]).max(0).values

def strength_signed(g): return g.amax(1)
def strength_mean(g): return g.abs().mean(1)
def strength_kept(g): return g.abs().amax(1, keepdim=True)
def strength_of_sum(g): return g.sum(1).abs()
def strength_batch(g): return g.abs().amax(0)

# 4.3 to 4.5: three ways back through a ReLU

def backprop_rule(g:Tensor, # the gradient that arrives from above
                  A:Tensor # what the ReLU read on the way forward, same shape
                 )->Tensor:
    "What ordinary backpropagation sends on through a ReLU."
    return g*(A > 0)

def backprop_where(g, A): return torch.where(A > 0, g, 0.)
def backprop_autograd(g, A):
    A = A.detach().clone().requires_grad_()
    return torch.autograd.grad(A.relu(), A, g)[0]

def deconvnet_rule(g:Tensor, # the gradient that arrives from above
                   A:Tensor # what the ReLU read on the way forward, same shape
                  )->Tensor:
    "What a deconvnet sends on through a ReLU."
    return g.clamp(min=0)

def deconvnet_relu(g, A): return F.relu(g)
def deconvnet_mask(g, A): return g*(g > 0)

def guided_rule(g:Tensor, # the gradient that arrives from above
                A:Tensor # what the ReLU read on the way forward, same shape
               )->Tensor:
    "What guided backprop sends on through a ReLU."
    return g.clamp(min=0)*(A > 0)

def guided_mask(g, A): return g*((g > 0) & (A > 0))
def guided_where(g, A): return torch.where(A > 0, g, torch.zeros_like(g)).relu()

def rule_times_relu(g, A): return g*A.relu()
def rule_abs(g, A): return g.abs()*(A > 0)
def rule_either(g, A): return g*((g > 0) | (A > 0))
def rule_all(g, A): return g
def rule_closed(g, A): return g*(A < 0)
def rule_product(g, A): return g*(g*A > 0)
def rule_in_place(g, A): return g.clamp_(min=0)
def rule_acts(g, A): return A.clamp(min=0)
def rule_guided_in_place(g, A):
    g[A <= 0] = 0
    return g.relu_()

# 4.6 as an autograd function

class RuledReLU(Function):
    "A ReLU call that goes back by one of `RULES`; used as `RuledReLU.apply(x, relu, rule, top)`."
    @staticmethod
    def forward(ctx, x, relu, rule, top):
        out = relu(x)
        if out is x: ctx.mark_dirty(x)
        ctx.save_for_backward(out)
        ctx.rule, ctx.top = rule, top
        return out
    @staticmethod
    def backward(ctx, g):
        A, = ctx.saved_tensors
        return RULES[ctx.rule](g, A*(A < ctx.top)), None, None, None

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

class RuledAlwaysGuided(RuledReLU):
    @staticmethod
    def forward(ctx, x, relu, rule, top): return RuledReLU.forward(ctx, x, relu, 'guided', top)
class RuledAlwaysReLU(RuledReLU):
    @staticmethod
    def forward(ctx, x, relu, rule, top):
        out = x.clamp(min=0)
        ctx.save_for_backward(out)
        ctx.rule, ctx.top = rule, top
        return out
class RuledNotCut(RuledReLU):
    @staticmethod
    def forward(ctx, x, relu, rule, top):
        ctx.save_for_backward(relu(x.clone()))
        ctx.rule, ctx.top = rule, top
        return x.clone()
class RuledNoTop(RuledReLU):
    @staticmethod
    def backward(ctx, g): return RULES[ctx.rule](g, ctx.saved_tensors[0]), None, None, None
class RuledNotDirty(RuledReLU):
    @staticmethod
    def forward(ctx, x, relu, rule, top):
        out = relu(x)
        ctx.save_for_backward(out)
        ctx.rule, ctx.top = rule, top
        return out
class RuledOneGradient(RuledReLU):
    @staticmethod
    def backward(ctx, g): return RuledReLU.backward(ctx, g)[0]
class RuledTuple(RuledReLU):
    @staticmethod
    def backward(ctx, g):
        A = ctx.saved_tensors
        return RULES[ctx.rule](g, A*(A < ctx.top)), None, None, None
class RuledExchanged(RuledReLU):
    @staticmethod
    def backward(ctx, g):
        A, = ctx.saved_tensors
        return RULES[ctx.rule](A*(A < ctx.top), g), None, None, None
class RuledTwice(RuledReLU):
    @staticmethod
    def backward(ctx, g):
        A, = ctx.saved_tensors
        return RULES[ctx.rule](g, A*(A < ctx.top))*(A > 0), None, None, None

def there_and_back(rule, relu=torch.relu, top=inf, x=A):
    def run(answer):
        pixels = x.clone().requires_grad_()
        mine = pixels*1 # no leaf, so that it may be changed in place
        out = answer.apply(mine, relu, rule, top)
        found = {'forward': out.detach().clone(), 'backward': torch.autograd.grad(out, pixels, g, retain_graph=True)[0]}
        return found | ({'backward from the tensor that was changed in place': torch.autograd.grad(mine, pixels, g)[0]} if relu is torch.relu_ else {})
    return run

def through_network(answer):
    a, b = seeded(nn.Conv2d(3, 4, 3)), seeded(nn.Conv2d(4, 2, 3), 1)
    found = {}
    for rule in RULES:
        x = pictures(2).requires_grad_()
        out = answer.apply(b(answer.apply(a(x), torch.relu_, rule, inf)), F.relu6, rule, 6)
        found[rule] = torch.autograd.grad(out[:, 1].sum(), x)[0]
    return found

# 4.7 every ReLU of any network

class ReLURule(TorchFunctionMode):
    "While it is in place, every ReLU that is called goes back by `rule`; `met` counts the calls."
    def __init__(self, rule:str='guided'): # 'backprop', 'deconvnet' or 'guided'
        super().__init__()
        self.rule, self.met = rule, 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func.__name__ not in ('relu', 'relu_'): return func(*args, **(kwargs or {}))
        self.met += 1
        return RuledReLU.apply(args[0], torch.relu, self.rule, inf)

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

class RuleOneName(ReLURule):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is not F.relu: return func(*args, **(kwargs or {}))
        return super().__torch_function__(func, types, args, kwargs)
class RuleLosesKeywords(ReLURule):
    def __torch_function__(self, func, types, args=(), kwargs=None): return super().__torch_function__(func, types, args)
class RuleUncounted(ReLURule):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = super().__torch_function__(func, types, args, kwargs)
        self.met = 0
        return out
class RuleAlwaysGuided(ReLURule):
    def __init__(self, rule='guided'): super().__init__()
class RuleCountsAll(ReLURule):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        before = self.met
        out = super().__torch_function__(func, types, args, kwargs)
        self.met = before + 1
        return out
class RuleNever(ReLURule):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func.__name__ in ('relu', 'relu_'): self.met += 1
        return func(*args, **(kwargs or {}))

class RuleNotEntered(ReLURule):
    def __torch_function__(self, func, types, args=(), kwargs=None): return super().__torch_function__(func, types, args, kwargs)
    def __enter__(self): ...
    def __exit__(self, kind, *exc): ...

WAYS = {'nn.ReLU': lambda x: nn.ReLU()(x), 'F.relu': lambda x: F.relu(x), 'torch.relu': lambda x: torch.relu(x), 'x.relu()': lambda x: x.relu()}

def ruled(rule):
    def run(answer):
        found = {}
        for name, relu in WAYS.items():
            x = A.clone().requires_grad_()
            with answer(rule): out = relu(x)
            found[name] = torch.autograd.grad(out, x, g)[0]
        return found
    return run
def ruled_network(answer):
    net, x = nn.Sequential(*tiny()[0], *tiny()[1]), pictures(2).requires_grad_()
    mode = answer('guided')
    with mode: score = (net(x)*torch.tensor([1., -1., 2.])).sum(dim=1)
    return {'the pixels': torch.autograd.grad(score.sum(), x)[0] if score.ndim else score, 'ReLUs met': mode.met}

# 4.8 the start of the way back

def unit_mask(A:Tensor, # activations (N,C,h,w)
              channel:int=None, # which channel; None: each image's strongest
              whole:bool=False # the channel's whole map instead of its strongest place
             )->Tensor: # 1 at the wanted places, 0 elsewhere, same shape
    "Mark what is to be explained: one place of each image, or one channel of it."
    flat, n = A.flatten(2), torch.arange(len(A))
    c = flat.amax(2).argmax(1) if channel is None else torch.full((len(A),), channel)
    mask = torch.zeros_like(flat)
    mask[n, c] = 1. if whole else F.one_hot(flat[n, c].argmax(1), flat.shape[2]).to(A.dtype)
    return mask.view_as(A)

def unit_loop(A, channel=None, whole=False):
    mask = torch.zeros(A.shape)
    for a, m in zip(A, mask):
        c = max(range(len(a)), key=lambda i: a[i].max().item()) if channel is None else channel
        if whole: m[c] = 1
        else: m[c].view(-1)[a[c].argmax()] = 1
    return mask
def unit_scatter(A, channel=None, whole=False):
    wanted = A.flatten(1) if channel is None else torch.full_like(A, -torch.inf).index_copy(1, torch.tensor([channel]), A[:, [channel]]).flatten(1)
    mask = torch.zeros_like(wanted).scatter(1, wanted.argmax(1, keepdim=True), 1.).view_as(A)
    return mask.amax((2, 3), keepdim=True).expand_as(A).clone() if whole else mask

def unit_ties(A, channel=None, whole=False):
    flat = A.flatten(2)
    best = (flat.amax(2) == flat.amax((1, 2))[:, None]).float() if channel is None else F.one_hot(torch.tensor(channel), A.shape[1]).float().expand(len(A), -1)
    if whole: return best[:, :, None, None].expand_as(A).clone()
    return best[:, :, None, None]*(A == A.amax((2, 3), keepdim=True))
def unit_or(A, channel=None, whole=False): return unit_mask(A, channel or None, whole)
def unit_batch(A, channel=None, whole=False):
    if channel is None: channel = A.amax((0, 2, 3)).argmax().item()
    return unit_mask(A, channel, whole)
def unit_by_mean(A, channel=None, whole=False):
    if channel is not None: return unit_mask(A, channel, whole)
    return torch.cat([unit_mask(a[None], a.mean((1, 2)).argmax().item(), whole) for a in A])
def unit_values(A, channel=None, whole=False): return A*unit_mask(A, channel, whole)
def unit_never_whole(A, channel=None, whole=False): return unit_mask(A, channel)
def unit_every_channel(A, channel=None, whole=False):
    flat = A.flatten(2)
    mask = torch.ones_like(A) if whole else F.one_hot(flat.argmax(2), flat.shape[2]).to(A.dtype).view_as(A)
    return mask if channel is None else mask*F.one_hot(torch.tensor(channel), A.shape[1])[:, None, None]
def unit_once(A, channel=None, whole=False, image_only=False):
    a = A if channel is None else A[:, [channel]]
    n, c, i, j = [int(k) for k in (a == a.amax()).nonzero()[0]]
    if channel is not None: c = channel
    mask = torch.zeros_like(A)
    if not whole: mask[n, c, i, j] = 1
    elif image_only and channel is None: mask[n, c] = 1
    else: mask[:, c] = 1
    return mask
def unit_once_alone(A, channel=None, whole=False): return unit_once(A, channel, whole, image_only=True)
def unit_once_without_channel(A, channel=None, whole=False): return unit_once(A, None, whole) if channel is None else unit_mask(A, channel, whole)
def unit_once_whole_batch(A, channel=None, whole=False): return unit_whole_batch(A, channel, True) if whole else unit_once(A, channel)
def unit_whole_batch(A, channel=None, whole=False):
    if not whole: return unit_mask(A, channel)
    mask = torch.zeros_like(A)
    mask[:, channel] = 1
    return mask
def unit_one_image(A, channel=None, whole=False):
    mask = torch.zeros_like(A)
    mask[:1] = unit_mask(A[:1], channel, whole)
    return mask

UNITS = torch.tensor([[[[1., 2.], [3., 4.]], [[0., 9.], [5., 0.]]], [[[7., 6.], [6., 6.]], [[2., 2.], [8., 1.]]], [[[3., 5.], [0., 5.]], [[1., 0.], [0., 0.]]]])

ONE_EACH = 'One 1 in each image, at its own strongest place; of two that are equally strong, at the first.'

# 4.9 the plain gradient

def saliency(model:nn.Module, # a network, in eval mode
             x:Tensor, # batch (N,3,H,W)
             target:int=None # a class; None: each image's own top class
            )->Tensor: # (N,3,H,W), signed
    "The gradient of each image's score at its own pixels. Nothing is left behind."
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad(): out = model(x)
    score = out.amax(1) if target is None else out[:, target]
    return torch.autograd.grad(score.sum(), x)[0]

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

def saliency_backward(model, x, target=None):
    x = x.clone().requires_grad_()
    out = model(x)
    (out.amax(1) if target is None else out[:, target]).sum().backward()
    return x.grad
def saliency_marks(model, x, target=None):
    x.requires_grad_()
    out = model(x)
    return torch.autograd.grad((out.amax(1) if target is None else out[:, target]).sum(), x)[0]
def saliency_no_sum(model, x, target=None):
    x = x.clone().requires_grad_()
    out = model(x)
    return torch.autograd.grad(out.amax(1) if target is None else out[:, target], x)[0]
def saliency_abs(model, x, target=None): return saliency(model, x, target).abs()
def saliency_softmax(model, x, target=None): return saliency(lambda x: model(x).softmax(1), x, target)
def saliency_first(model, x, target=None):
    x = x.clone().requires_grad_()
    out = model(x)
    return torch.autograd.grad(out[0].max() if target is None else out[0, target], x)[0]
def saliency_first_none(model, x, target=None):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(model(x)[0, target], x)[0]
def saliency_first_adds(model, x, target=None):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(model(x)[0, target].sum(), x)[0]
def saliency_largest(model, x, target=None):
    x = x.clone().requires_grad_()
    out = model(x)
    return torch.autograd.grad(out.max() if target is None else out[:, target].sum(), x)[0]
def saliency_none_adds(model, x, target=None):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(model(x)[:, target].sum(), x)[0]
def saliency_every_class(model, x, target=None):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(model(x).sum(), x)[0]
def saliency_one_map(model, x, target=None): return saliency(model, x, target).abs().amax(1)
def saliency_times_input(model, x, target=None): return saliency(model, x, target)*x

def pixels(target, inplace=False, **kw):
    def run(answer):
        net, x = tiny(inplace=inplace), pictures(3)
        out = answer(net, x, target)
        return {'the pixels': out.detach(), 'parameters with a .grad left': sum(p.grad is not None for p in net.parameters()),
                'your x is marked with requires_grad': x.requires_grad, 'hooks left': hooks_left(net)}
    return run

# 4.10 guided backprop

def guided_backprop(model:nn.Module, # a network in eval mode whose ReLUs are `nn.ReLU` modules, not in place
                    x:Tensor, # batch (N,3,H,W)
                    target:int=None # a class; None: each image's own top class
                   )->Tensor: # (N,3,H,W), signed
    "The gradient at the pixels, with only positive values let through on the way back out of each ReLU. No hook stays."
    def back(module, grad_in, grad_out): return (grad_in[0].clamp(min=0),)
    handles = [m.register_full_backward_hook(back) for m in model.modules() if isinstance(m, nn.ReLU)]
    try: return saliency(model, x, target)
    finally:
        for h in handles: h.remove()

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

def guided_deconv(model, x, target=None):
    handles = [m.register_full_backward_hook(lambda m, gi, go: (go[0].clamp(min=0),)) for m in model.modules() if isinstance(m, nn.ReLU)]
    try: return saliency(model, x, target)
    finally:
        for h in handles: h.remove()
def guided_at_the_end(model, x, target=None): return saliency(model, x, target).relu()
def guided_left_on(model, x, target=None):
    for m in model.modules():
        if isinstance(m, nn.ReLU): m.register_full_backward_hook(lambda m, gi, go: (gi[0].clamp(min=0),))
    return saliency(model, x, target)
def guided_plain(model, x, target=None): return saliency(model, x, target)
def guided_none_adds(model, x, target=None):
    handles = [m.register_full_backward_hook(lambda m, gi, go: (gi[0].clamp(min=0),)) for m in model.modules() if isinstance(m, nn.ReLU)]
    x = x.clone().requires_grad_()
    try: return torch.autograd.grad(model(x)[range(len(x)), target].sum(), x)[0]
    finally:
        for h in handles: h.remove()
def guided_last_only(model, x, target=None):
    last = [m for m in model.modules() if isinstance(m, nn.ReLU)][-1]
    h = last.register_full_backward_hook(lambda m, gi, go: (gi[0].clamp(min=0),))
    try: return saliency(model, x, target)
    finally: h.remove()

# 4.11 one function for all

def pixel_grad(model:nn.Module, x:Tensor, # a network in eval mode, and its batch (N,3,H,W)
               target=None, # a class; None: each image's own top class
               rule=None, # None: the gradient itself; or one of `RULES`
               layer=None, channel=None, whole=False, # in the place of a class: a channel of a layer, see `unit_mask`
               weigh=False # weigh the channel's places by their activations, as a deconvnet does
              )->Tensor: # (N,3,H,W)
    "What comes back to the pixels from a class score or a channel, under a rule or none."
    x, seen = x.detach().clone().requires_grad_(), []
    def keep(m, args, out):
        seen.append(out)
        return out.clone()
    handle = (model.get_submodule(layer) if layer else nn.Identity()).register_forward_hook(keep)
    try:
        with ReLURule(rule) if rule else nullcontext(): out = model(x)
    finally: handle.remove()
    if layer is None: score = out.amax(1) if target is None else out[:, target]
    else:
        mask = unit_mask(seen[0], channel, whole)
        score = seen[0]*mask*(seen[0].detach() if weigh else 1)
    return torch.autograd.grad(score.sum(), x)[0]

def pixel_grad_capture(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False):
    kept = []
    def of_unit(out):
        mask = unit_loop(kept[0].detach(), channel, whole)
        return (kept[0]*mask*(kept[0].detach() if weigh else 1)).flatten(1).sum(1)
    handles = []
    if layer: handles.append(model.get_submodule(layer).register_forward_hook(lambda m, a, out: (kept.append(out), out*1)[1]))
    try:
        with RuleInSet(rule or 'backprop'): return capture(model, x, 'input', of_unit if layer else target).grads
    finally:
        for h in handles: h.remove()
def pixel_grad_seeded(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False):
    pixels, kept = x.clone().requires_grad_(True), []
    handle = model.get_submodule(layer or '').register_forward_hook(lambda m, a, out: (kept.append(out), out.clone())[1])
    with RuleOfOnesOwn(rule or 'backprop'): out = model(pixels)
    handle.remove()
    if layer is None: return torch.autograd.grad(class_score(out, target), pixels, torch.ones(len(x)))[0]
    message = unit_scatter(kept[0].detach(), channel, whole)
    return torch.autograd.grad(kept[0], pixels, message*kept[0].detach() if weigh else message)[0]

def way(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False, hand_on=lambda out: out.clone(), remove=True,
        mask_of=unit_mask, weight=lambda A, weigh: A.detach() if weigh else 1, by=lambda rule: ReLURule(rule) if rule else nullcontext()):
    "The way back with its parts exchangeable, for the wrong versions below."
    x, seen = x.detach().clone().requires_grad_(), []
    handle = (model.get_submodule(layer) if layer else nn.Identity()).register_forward_hook(lambda m, a, out: (seen.append(out), hand_on(out))[1])
    try:
        with by(rule): out = model(x)
    finally:
        if remove: handle.remove()
    score = class_score(out, target) if layer is None else seen[0]*mask_of(seen[0], channel, whole)*weight(seen[0], weigh)
    return torch.autograd.grad(score.sum(), x)[0]
def way_no_clone(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False): return way(model, x, target, rule, layer, channel, whole, weigh, hand_on=lambda out: None)
def way_detached(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False):
    if layer is None: return way(model, x, target, rule)
    x = x.detach().clone().requires_grad_()
    with Hook(model.get_submodule(layer)) as hook, ReLURule(rule) if rule else nullcontext(): model(x)
    score = hook.stored*unit_mask(hook.stored, channel, whole)*(hook.stored if weigh else 1)
    return torch.autograd.grad(score.sum(), x)[0]
def way_left_on(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False): return way(model, x, target, rule, layer, channel, whole, weigh, remove=False)
def way_guided(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False): return way(model, x, target, 'guided' if rule else None, layer, channel, whole, weigh)
def way_no_rule(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False):
    x, seen = x.detach().clone().requires_grad_(), []
    handle = (model.get_submodule(layer) if layer else nn.Identity()).register_forward_hook(lambda m, a, out: (seen.append(out), out.clone())[1])
    out = model(x)
    handle.remove()
    with ReLURule(rule) if rule else nullcontext():
        score = class_score(out, target) if layer is None else seen[0]*unit_mask(seen[0], channel, whole)*(seen[0].detach() if weigh else 1)
        return torch.autograd.grad(score.sum(), x)[0]
def way_squared(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False): return way(model, x, target, rule, layer, channel, whole, weigh, weight=lambda A, weigh: A if weigh else 1)
def way_unweighed(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False): return way(model, x, target, rule, layer, channel, whole)
def way_always_weighed(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False): return way(model, x, target, rule, layer, channel, whole, True)
def way_whole_layer(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False): return way(model, x, target, rule, layer, channel, whole, weigh, mask_of=lambda A, c, w: 1)
def way_class_only(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False): return way(model, x, target, rule)
def way_never_whole(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False): return way(model, x, target, rule, layer, channel, False, weigh)

def comes_back(inplace=False, **kw):
    def run(answer):
        net, x = tiny(inplace=inplace), pictures(3, seed=1)
        out = answer(net, x, **kw)
        return {'the pixels': out.detach(), 'hooks left': hooks_left(net), 'parameters with a .grad left': sum(p.grad is not None for p in net.parameters())}
    return run

# 4.12 the product

def guided_grad_cam(model:nn.Module, # a network with ReLUs, in eval mode
                    x:Tensor, # batch (N,3,H,W)
                    target=None, # a class; None: each image's own top class
                    layer=None # where Grad-CAM looks; None: the last layer with places
                   )->Tensor: # (N,3,H,W), signed
    "Guided Grad-CAM: the map, brought to the size of the picture bilinearly, times guided backprop."
    if layer is None: layer = last_layer(model, x)
    _, A, g = capture(model, x, layer, target)
    return upsample(grad_cam(A, g), x.shape[-2:])[:, None]*guided_backprop(model, x, target)

def product_interpolated(model, x, target=None, layer=None):
    seen = capture(model, x, layer or last_layer(model, x), target)
    m = (seen.grads.mean((2, 3), keepdim=True)*seen.acts).sum(1, keepdim=True).relu()
    return guided_backprop(model, x, target)*F.interpolate(m, x.shape[2:], mode='bilinear')
def product_loop(model, x, target=None, layer=None):
    found = []
    for one in x.split(1):
        c = capture(model, one, last_layer(model, one) if layer is None else layer, target)
        found.append(torch.einsum('nchw,nhw->nchw', guided_tensor_hooks(model, one, target), upsample(grad_cam(c.acts, c.grads), one.shape[2:])))
    return torch.cat(found)

def parts(model, x, target, layer):
    "Grad-CAM (N,h,w) and guided backprop (N,3,H,W), for the wrong versions below."
    return grad_cam(*capture(model, x, last_layer(model, x) if layer is None else layer, target)[1:]), guided_backprop(model, x, target)
def product_nearest(model, x, target=None, layer=None):
    m, p = parts(model, x, target, layer)
    return p*F.interpolate(m[:, None], x.shape[2:])
def product_sum(model, x, target=None, layer=None):
    m, p = parts(model, x, target, layer)
    return p + upsample(m, x.shape[2:])[:, None]
def product_positive(model, x, target=None, layer=None): return guided_grad_cam(model, x, target, layer).relu()
def product_scaled(model, x, target=None, layer=None):
    m, p = parts(model, x, target, layer)
    return p*upsample(m/m.amax((1, 2), True).clamp(min=1e-9), x.shape[2:])[:, None]
def product_first(model, x, target=None, layer=None):
    m, p = parts(model, x, target, layer)
    return p*upsample(m[:1], x.shape[2:])
def product_shrunk(model, x, target=None, layer=None):
    m, p = parts(model, x, target, layer)
    return F.adaptive_avg_pool2d(p, m.shape[1:])*m[:, None]
def product_plain(model, x, target=None, layer=None): return upsample(parts(model, x, target, layer)[0], x.shape[2:])[:, None]*saliency(model, x, target)
def product_guided_cam(model, x, target=None, layer=None):
    handles = [m.register_full_backward_hook(lambda m, gi, go: (gi[0].clamp(min=0),)) for m in model.modules() if isinstance(m, nn.ReLU)]
    try: m = grad_cam(*capture(model, x, layer or last_layer(model, x), target)[1:])
    finally:
        for h in handles: h.remove()
    return upsample(m, x.shape[2:])[:, None]*guided_backprop(model, x, target)
def product_last_only(model, x, target=None, layer=None): return guided_grad_cam(model, x, target)
def product_top_map(model, x, target=None, layer=None): return upsample(parts(model, x, None, layer)[0], x.shape[2:])[:, None]*guided_backprop(model, x, target)

def multiplied(target, layer=None):
    def run(answer):
        net, x = tiny(), pictures(3, seed=2)
        p = answer(net, x, target, layer)
        return {'the pixels': p.detach(), 'parameters with a .grad left': sum(p.grad is not None for p in net.parameters()), 'hooks left': hooks_left(net)}
    return run

# 4.13 nothing learned

@torch.no_grad()
def scramble(module:nn.Module, # changed in place
             seed=0 # of the order and the signs
            ):
    "Put the numbers of each parameter of `module` in a random order, with random signs."
    gen = torch.Generator().manual_seed(seed)
    for p in module.parameters():
        order, sign = torch.randperm(p.numel(), generator=gen), torch.randint(2, p.shape, generator=gen)*2 - 1
        p.copy_(p.flatten()[order].view_as(p)*sign)

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

def mixed(p, gen=None): return p.detach().flatten()[torch.randperm(p.numel(), generator=gen)].view_as(p)
def signs(p, gen=None): return torch.randint(2, p.shape, generator=gen)*2 - 1
def scramble_each(module, change, seed=0):
    "In place, each parameter becomes what `change(p, gen)` gives; for the wrong versions below."
    gen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters(): p.copy_(change(p, gen))
def scramble_order_only(module, seed=0): scramble_each(module, mixed, seed)
def scramble_signs_only(module, seed=0): scramble_each(module, lambda p, gen: p*signs(p, gen), seed)
def scramble_one_sign(module, seed=0): scramble_each(module, lambda p, gen: -mixed(p, gen), seed)
def scramble_new(module, seed=0): scramble_each(module, lambda p, gen: torch.randn(p.shape, generator=gen)*p.std(), seed)
def scramble_rows(module, seed=0): scramble_each(module, lambda p, gen: p[torch.randperm(len(p), generator=gen)]*signs(p, gen), seed)
def scramble_zero(module, seed=0): scramble_each(module, lambda p, gen: p*0, seed)
def scramble_zero_signs(module, seed=0): scramble_each(module, lambda p, gen: mixed(p, gen)*torch.randint(-1, 2, p.shape, generator=gen), seed)
def scramble_weights_only(module, seed=0): scramble_each(module, lambda p, gen: mixed(p, gen)*signs(p, gen) if p.ndim > 1 else p, seed)
def scramble_copy(module, seed=0):
    for p in module.parameters(): p = mixed(p)*signs(p)
def scramble_no_seed(module, seed=0):
    with torch.no_grad():
        for p in module.parameters(): p.copy_(mixed(p)*signs(p))
def scramble_session(module, seed=0):
    torch.manual_seed(seed)
    scramble_no_seed(module)
def scramble_new_objects(module, seed=0):
    gen = torch.Generator().manual_seed(seed)
    for name, p in list(module.named_parameters()):
        *path, last = name.split('.')
        setattr(module.get_submodule('.'.join(path)), last, nn.Parameter(mixed(p, gen)*signs(p, gen)))

def in_order(p): return p.flatten().sort().values
def scrambled(answer):
    nets = [seeded(nn.Sequential(nn.Conv2d(6, 24, 3), nn.Conv2d(24, 40, 3))) for _ in range(3)]
    before, ids = [p.detach().clone() for p in nets[0].parameters()], [id(p) for p in nets[0].parameters()]
    session = torch.random.get_rng_state()
    for net, seed in zip(nets, (0, 0, 1)): answer(net, seed)
    after, again, other = [[p.detach() for p in net.parameters()] for net in nets]
    pairs = list(zip(before, after))
    return {'parameters with numbers of the same sizes as before': sum(torch.equal(in_order(b.abs()), in_order(a.abs())) for b, a in pairs),
            'some numbers have become 0': not all(a.all() for a in after),
            'parameters in the same order as before': sum(torch.equal(b.abs(), a.abs()) for b, a in pairs),
            'parameters with all their signs as before': sum(torch.equal(in_order(b), in_order(a)) for b, a in pairs),
            'parameters with all their signs turned round': sum(torch.equal(in_order(-b), in_order(a)) for b, a in pairs),
            'kernels that are whole as before': bool((before[2].abs().flatten(1).sum(1)[:, None] - after[2].abs().flatten(1).sum(1)).abs().min(1).values.max() < 1e-4),
            'the parameters are the same objects': ids == [id(p) for p in nets[0].parameters()],
            'the same seed gives the same, another seed something else': [all(map(torch.equal, after, t)) for t in (again, other)],
            'the random numbers of the session go on as before': torch.equal(session, torch.random.get_rng_state())}

SCRAMBLED = {'parameters with numbers of the same sizes as before': 4, 'some numbers have become 0': False, 'parameters in the same order as before': 0, 'parameters with all their signs as before': 0, 'parameters with all their signs turned round': 0,
             'kernels that are whole as before': False, 'the parameters are the same objects': True, 'the same seed gives the same, another seed something else': [True, False], 'the random numbers of the session go on as before': True}

# 4.14 one layer after another forgets

def cascade(model:nn.Module, # a network; it is copied, not changed
            layers=None, # names, bottom first; None: all modules that hold weights
            seed:int=0 # of the scrambling
           ): # yields (name, model): first (None, an untouched copy)
    "The network again and again, each time with one more layer scrambled, from the top."
    model = deepcopy(model)
    if layers is None: layers = [n for n, m in model.named_modules() if list(m.parameters(recurse=False))]
    yield None, model
    for i, name in enumerate(reversed(layers)):
        scramble(model.get_submodule(name), seed + i)
        yield name, model

def cascade_list(model, layers=None, seed=0):
    found = [(None, deepcopy(model))]
    for name in layers[::-1]:
        found.append((name, deepcopy(found[-1][1])))
        scramble_order_only(found[-1][1].get_submodule(name))
    return found
def cascade_anew(model, layers=None, seed=0):
    for k in range(len(layers) + 1):
        copy = deepcopy(model)
        for name in layers[len(layers)-k:]: scramble(dict(copy.named_modules())[name], seed)
        yield (layers[-k] if k else None), copy

def cascade_from_below(model, layers=None, seed=0): return cascade(model, layers[::-1], seed)
def cascade_alone(model, layers=None, seed=0):
    yield None, deepcopy(model)
    for name in reversed(layers):
        copy = deepcopy(model)
        scramble(copy.get_submodule(name), seed)
        yield name, copy
def cascade_in_place(model, layers=None, seed=0):
    yield None, model
    for name in reversed(layers):
        scramble(model.get_submodule(name), seed)
        yield name, model
def cascade_pops(model, layers=None, seed=0):
    model = deepcopy(model)
    yield None, model
    while layers:
        name = layers.pop()
        scramble(model.get_submodule(name), seed)
        yield name, model
def cascade_no_start(model, layers=None, seed=0): return list(cascade_list(model, layers, seed))[1:]
def cascade_late(model, layers=None, seed=0):
    model = deepcopy(model)
    yield None, model
    for name in reversed(layers):
        yield name, model
        scramble(model.get_submodule(name), seed)
def cascade_all(model, layers=None, seed=0):
    model = deepcopy(model)
    yield None, model
    for name in reversed(layers):
        for n in layers: scramble(model.get_submodule(n), seed)
        yield name, model
def cascade_same(model, layers=None, seed=0): return list(cascade(model, layers, seed))

def falling(*layers):
    def run(answer):
        net = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Conv2d(5, 6, 3)))
        before, steps, names = deepcopy(net), [], list(layers)
        for name, model in answer(net, names):
            steps.append((str(name), [n for n, m in model.named_children() if any(not torch.equal(p, q) for p, q in zip(m.parameters(), before.get_submodule(n).parameters()))]))
        return {'names': [n for n, _ in steps], 'layers that differ from the trained ones, step by step': [' '.join(c) for _, c in steps],
                'the caller\'s model is as before': all(torch.equal(p, q) for p, q in zip(net.parameters(), before.parameters())), 'the caller\'s list of names': names}
    return run

# 4.15 comparing orders

def rank_correlation(a:Tensor, # pictures or maps, N first
                     b:Tensor # same shape
                    )->Tensor: # (N,)
    "Spearman's correlation: the ordinary correlation of the *ranks* of the pixels, for each of the N pairs (no ties here)."
    ra, rb = [t.flatten(1).argsort(1).argsort(1).float() for t in (a, b)]
    ra, rb = ra - ra.mean(1, keepdim=True), rb - rb.mean(1, keepdim=True)
    return (ra*rb).sum(1)/(ra.norm(dim=1)*rb.norm(dim=1))

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

def pearson(a, b):
    a, b = [t.flatten(1) - t.flatten(1).mean(1, keepdim=True) for t in (a, b)]
    return (a*b).sum(1)/(a.norm(dim=1)*b.norm(dim=1))
def ranks_once(a, b): return pearson(a.flatten(1).argsort(1).float(), b.flatten(1).argsort(1).float())
def ranks_of_all(a, b): return rank_correlation(a[None], b[None]).expand(len(a))
def ranks_uncentred(a, b):
    ra, rb = [t.flatten(1).argsort(1).argsort(1).float() for t in (a, b)]
    return (ra*rb).sum(1)/(ra.norm(dim=1)*rb.norm(dim=1))
def ranks_of_size(a, b): return rank_correlation(a.abs(), b.abs())

# 4.16 alike to an eye

def ssim(a:Tensor, b:Tensor, # pictures (N,C,H,W) in [0,1]
         size:int=7 # side of the window
        )->Tensor: # (N,)
    "Structural similarity: in every window of size × size, compare means, variances and covariance; then average."
    def mean(t): return F.avg_pool2d(t, size, 1)
    ma, mb, n = mean(a), mean(b), size**2/(size**2 - 1)
    va, vb, cov = n*(mean(a*a) - ma**2), n*(mean(b*b) - mb**2), n*(mean(a*b) - ma*mb)
    alike = (2*ma*mb + .01**2)*(2*cov + .03**2)/((ma**2 + mb**2 + .01**2)*(va + vb + .03**2))
    return alike.mean((1, 2, 3))

def ssim_unfold(a, b, size=7):
    wa, wb = [t.unfold(2, size, 1).unfold(3, size, 1).flatten(4) for t in (a, b)]
    ma, mb, va, vb = wa.mean(-1), wb.mean(-1), wa.var(-1), wb.var(-1)
    cov = ((wa - ma[..., None])*(wb - mb[..., None])).sum(-1)/(size**2 - 1)
    light, rest = (2*ma*mb + 1e-4)/(ma**2 + mb**2 + 1e-4), (2*cov + 9e-4)/(va + vb + 9e-4)
    return (light*rest).flatten(1).mean(1)
def ssim_loop(a, b, size=7):
    found = []
    for p, q in zip(a, b):
        here = [ssim_of(p[c, i:i+size, j:j+size], q[c, i:i+size, j:j+size]) for c in range(len(p)) for i in range(p.shape[1]-size+1) for j in range(p.shape[2]-size+1)]
        found.append(torch.stack(here).mean())
    return torch.stack(found)
def ssim_of(p, q, bias=1, c1=1e-4, c2=9e-4):
    cov = ((p - p.mean())*(q - q.mean())).sum()/(p.numel() - bias)
    return (2*p.mean()*q.mean() + c1)*(2*cov + c2)/((p.mean()**2 + q.mean()**2 + c1)*(p.var(correction=bias) + q.var(correction=bias) + c2))

def ssim_whole(a, b, size=7): return torch.stack([torch.stack([ssim_of(p, q) for p, q in zip(x, y)]).mean() for x, y in zip(a, b)])
def ssim_biased(a, b, size=7):
    def mean(t): return F.avg_pool2d(t, size, 1)
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a*a) - ma**2, mean(b*b) - mb**2, mean(a*b) - ma*mb
    return ((2*ma*mb + 1e-4)*(2*cov + 9e-4)/((ma**2 + mb**2 + 1e-4)*(va + vb + 9e-4))).mean((1, 2, 3))
def ssim_half_divided(a, b, size=7):
    def mean(t): return F.avg_pool2d(t, size, 1)
    ma, mb, n = mean(a), mean(b), size**2/(size**2 - 1)
    va, vb, cov = n*(mean(a*a) - ma**2), n*(mean(b*b) - mb**2), n*(mean(a*b) - ma*mb)
    return ((2*ma*mb + 1e-4)*(2*cov + 9e-4)/(ma**2 + mb**2 + 1e-4)*(va + vb + 9e-4)).mean((1, 2, 3))
def ssim_light(a, b, size=7):
    ma, mb = F.avg_pool2d(a, size, 1), F.avg_pool2d(b, size, 1)
    return ((2*ma*mb + 1e-4)/(ma**2 + mb**2 + 1e-4)).mean((1, 2, 3))
def ssim_batch(a, b, size=7): return ssim(a, b, size).mean()
def ssim_apart(a, b, size=7): return F.avg_pool2d(a, size, size).sub(F.avg_pool2d(b, size, size)).abs().mean((1, 2, 3))
def ssim_tiles(a, b, size=7): return torch.stack([ssim(x, y, size) for x, y in zip(tiles(a, size), tiles(b, size))]).mean(0)
def tiles(t, size): return [t[..., i:i+size, j:j+size] for i in range(0, t.shape[2]-size+1, size) for j in range(0, t.shape[3]-size+1, size)]
def ssim_padded(a, b, size=7):
    def mean(t): return F.avg_pool2d(t, size, 1, size//2)
    ma, mb, n = mean(a), mean(b), size**2/(size**2 - 1)
    va, vb, cov = n*(mean(a*a) - ma**2), n*(mean(b*b) - mb**2), n*(mean(a*b) - ma*mb)
    return ((2*ma*mb + 1e-4)*(2*cov + 9e-4)/((ma**2 + mb**2 + 1e-4)*(va + vb + 9e-4))).mean((1, 2, 3))

P_, Q_ = rand(3, 3, 12, 10).sigmoid(), (rand(3, 3, 12, 10) + .6*rand(3, 3, 12, 10, seed=1)).sigmoid()
FLAT = torch.full((1, 1, 8, 8), .2), torch.full((1, 1, 8, 8), .4)

# 4.17 on sliders

def paint(model:nn.Module, x:Tensor, # a network with ReLUs, and its batch (N,3,H,W)
          method='guided_backprop', # a key of `PAINTERS`
          target=None, clip=99, # see `class_score` and `signed_image`
          scrambled:int=0, layers=None # how many layers to scramble, from the top, of those that `cascade` takes
         )->Tensor: # pictures (N,3,H,W) in [0,1]
    "Draw a method's result around a grey zero, the network as it is or with its top layers scrambled."
    *_, (_, model) = islice(cascade(model, layers), scrambled + 1)
    return signed_image(PAINTERS[method](model, x, target), clip)

def paint_enumerate(model, x, method='guided_backprop', target=None, clip=99, scrambled=0, layers=None):
    for n, (name, forgetful) in enumerate(cascade(model, layers)):
        if n == scrambled: return signed_loop(PAINTERS[method](forgetful, x, target), clip)
def paint_next(model, x, method='guided_backprop', target=None, clip=99, scrambled=0, layers=None):
    steps = cascade(model, layers)
    for _ in range(scrambled): next(steps)
    name, copy = next(steps)
    return signed_flat(PAINTERS[method](copy, x, target=target), clip=clip)

def paint_one_less(model, x, method='guided_backprop', target=None, clip=99, scrambled=0, layers=None): return paint(model, x, method, target, clip, max(scrambled - 1, 0), layers)
def paint_one_more(model, x, method='guided_backprop', target=None, clip=99, scrambled=0, layers=None): return paint(model, x, method, target, clip, scrambled + 1, layers)
def paint_trained(model, x, method='guided_backprop', target=None, clip=99, scrambled=0, layers=None): return paint(model, x, method, target, clip)
def paint_list(model, x, method='guided_backprop', target=None, clip=99, scrambled=0, layers=None):
    _, model = list(cascade(model, layers))[scrambled]
    return signed_image(PAINTERS[method](model, x, target), clip)
def paint_in_place(model, x, method='guided_backprop', target=None, clip=99, scrambled=0, layers=None):
    if layers is None: layers = [n for n, m in model.named_modules() if list(m.parameters(recurse=False))]
    for i in range(scrambled): scramble(model.get_submodule(layers[-1 - i]), i)
    return signed_image(PAINTERS[method](model, x, target), clip)
def paint_raw(model, x, method='guided_backprop', target=None, clip=99, scrambled=0, layers=None):
    *_, (_, model) = islice(cascade(model, layers), scrambled + 1)
    return PAINTERS[method](model, x, target)
def paint_one_method(model, x, method='guided_backprop', target=None, clip=99, scrambled=0, layers=None): return paint(model, x, 'guided_backprop', target, clip, scrambled, layers)
def paint_clip(model, x, method='guided_backprop', target=None, clip=99, scrambled=0, layers=None): return paint(model, x, method, target, 99, scrambled, layers)
def paint_top_class(model, x, method='guided_backprop', target=None, clip=99, scrambled=0, layers=None): return paint(model, x, method, None, clip, scrambled, layers)
def paint_first_asked(model, x, method='guided_backprop', target=None, clip=99, scrambled=0, layers=None):
    if target is None: target = model(x).argmax(1)
    return paint(model, x, method, target, clip, scrambled, layers)
def paint_some_layers(model, x, method='guided_backprop', target=None, clip=99, scrambled=0, layers=None): return paint(model, x, method, target, clip, scrambled)

def painted(**kw):
    def run(answer):
        net, before = tiny(), list(tiny().parameters())
        return {'the picture': answer(net, pictures(2), **kw), 'the caller\'s model is as before': all(map(torch.equal, net.parameters(), before))}
    return run

EXERCISES = (
    Exercise('4.1', 'Grey is zero', 'Write `signed_image(g, clip=99)`: signed pixels (N,3,H,W) as pictures in [0,1], zero at 0.5. Of each picture\'s n = 3·H·W absolute values, the one that is number ⌈n · clip / 100⌉ from below is the end of the scale: drawn as 0 or 1, by its sign, and so is what lies beyond it. If that one is 0, the largest takes its place; a picture of zeros is grey all over.', signed_image, library='camtutor.guided',
        trials=(Trial('Worked by hand: 4, −2, 0, 1, … up to the largest', lambda f: f(SIGNED.clone(), 100), SIGNED/8 + .5),
                Trial('The same, clipped at 80: number 10 of 12 is a 2', lambda f: f(SIGNED.clone(), 80), (SIGNED/4 + .5).clamp(0, 1)),
                gives('Random pixels', rand(3, 3, 9, 10)*torch.tensor([1., 5., .1]).view(3, 1, 1, 1)), gives('A picture with two pixels that are not zero, and one with none', SPARSE), one_by_one(rand(3, 3, 9, 10)), keeps(rand(3, 3, 9, 10))),
        mistakes=(Mistake(signed_min_max, 'You stretch from lowest to highest. Then zero has another grey in every picture, and "nothing here" cannot be told from "something".'), Mistake(signed_largest, '`clip` is not used: the largest value is the end of the scale, and one loud pixel makes all others pale.'),
                  Mistake(signed_batch, 'All pictures share one scale. Each has its own.'), Mistake(signed_channels, 'Each colour has its own scale, so that the hue is lost. One scale for a picture.'), Mistake(signed_abs, 'The sign is gone: for and against look alike.'),
                  Mistake(signed_positive_end, 'The percentile is that of the signed values. Take the absolute ones: a strong negative pixel counts as much.'), Mistake(signed_not_clipped, 'What lies beyond the end of the scale leaves [0,1]. Clamp it.'),
                  Mistake(signed_not_halved, 'From grey to white is only a half: divide by *twice* the end of the scale.'), Mistake(signed_black_zero, 'Zero is black, and all that is negative with it. Shift it to 0.5.'),
                  Mistake(signed_fraction, 'You take 99 hundredths of the largest value. A percentile is a place in the order: one loud pixel does not move it.'), Mistake(signed_quantile, '`torch.quantile` draws a line between two neighbours; asked for here is one of the values themselves, number ⌈n · clip / 100⌉. (It also refuses large pictures.)'), Mistake(signed_nan, 'The end of the scale can be 0, where hardly a pixel is touched, and you divide by it. Put the largest value in its place, and something tiny if that is 0 too.')),
        hints=('`kthvalue(k, 1)` gives number k of each row, in order.', 'Flatten each picture, without signs, to a row. The end of its scale is one number, which needs three more axes to divide the picture.', 'Divided by the end, values lie about −1 to 1. Half of it plus a half; then clamp.'), why='A colour scale is a claim; here the claim is that grey means nothing, and that a few loud pixels do not drown the rest.', also=(signed_loop, signed_flat)),
    Exercise('4.2', 'One number a pixel', 'Write `strength(g)`: (N,3,H,W) to (N,H,W), the largest absolute value of each pixel\'s channels.', strength, library='camtutor.guided',
        trials=(gives('Worked by hand', SIGNED, want=SIGNED.abs().amax(1)), gives('Random pixels', rand(2, 3, 4, 5))),
        mistakes=(Mistake(strength_signed, 'A strong negative value is overlooked.'), Mistake(strength_mean, 'This is the mean. The largest.'), Mistake(strength_kept, 'There is an axis too many: leave `keepdim` out.'),
                  Mistake(strength_of_sum, 'Values of opposite sign cancel before you look at their size.'), Mistake(strength_batch, 'You reduce over the pictures. Channels are axis 1.')),
        hints=('Sign off first.', 'Which axis holds the channels?', '`abs`, then `amax`.'), why='This is how Simonyan and others drew the first saliency maps, in 2013.', also=(strength_both, strength_stack)),
    Exercise('4.3', 'Back through a ReLU: backprop', 'Write `backprop_rule(g, A)`: what ordinary backpropagation lets through a ReLU that read `A`, when `g` arrives.', backprop_rule,
        trials=(gives(FOUR, g, A, want=[2., -1., 0., 0.]), gives('Random numbers', G_, A_), keeps(G_, A_)),
        mistakes=(Mistake(deconvnet_rule, 'This lets positive *gradients* through, as a deconvnet does. Backprop asks whether the ReLU was open: the sign of `A`.'),
                  Mistake(guided_rule, 'This is the guided rule. Backprop does not mind a negative gradient.'), Mistake(rule_closed, 'You let through where the ReLU was closed.'),
                  Mistake(rule_times_relu, 'The gradient is passed on as it is, not multiplied by the activation: the slope of an open ReLU is 1.'), Mistake(rule_all, 'Everything passes. Where the ReLU was closed, nothing may.')),
        hints=('What is the slope of a ReLU, left and right of 0?', 'The sign of the gradient plays no part.', 'Multiply by a mask made from `A`.'), why='The first of three rules that differ in one line, and give three famous pictures.', also=(backprop_where, backprop_autograd)),
    Exercise('4.4', 'Back through a ReLU: deconvnet', 'Write `deconvnet_rule(g, A)`: a deconvnet applies a ReLU to what comes back.', deconvnet_rule,
        trials=(gives(FOUR, g, A, want=[2., 0., 3., 0.]), gives('Random numbers', G_, A_), keeps(G_, A_)),
        mistakes=(Mistake(backprop_rule, 'This is backprop\'s rule: it looks at `A`. A deconvnet does not.'), Mistake(guided_rule, 'This is the guided rule. A deconvnet does not look at `A` at all.'),
                  Mistake(rule_in_place, 'It is right, but it has changed the caller\'s gradient: a name with `_` at its end works in place.'), Mistake(rule_acts, 'You rectify the activations. What comes back is `g`.')),
        hints=('One of the two arguments is not needed.', 'What does a ReLU do to a number?', 'Apply it to `g`.'), why='Zeiler and Fergus rectified on the way back since the forward pass does: a deconvnet is backprop with this rule.', also=(deconvnet_relu, deconvnet_mask)),
    Exercise('4.5', 'Back through a ReLU: guided', 'Write `guided_rule(g, A)`: both conditions at once.', guided_rule,
        trials=(gives(FOUR, g, A, want=[2., 0., 0., 0.]), gives('Random numbers', G_, A_), keeps(G_, A_)),
        mistakes=(Mistake(backprop_rule, 'This is backprop: negative gradients still pass.'), Mistake(deconvnet_rule, 'This is the deconvnet: it also passes where the ReLU was closed.'),
                  Mistake(rule_either, 'You ask for one *or* the other. Both must hold.'), Mistake(rule_product, 'The product of two negative numbers is positive as well. Ask for each sign by itself.'),
                  Mistake(rule_abs, 'Negative gradients come out positive. They should be stopped.'), Mistake(rule_guided_in_place, 'It is right, but it has changed the caller\'s gradient. Make a new tensor.')),
        hints=('Let backprop\'s rule go first.', 'Then the deconvnet\'s.', 'Rectified `g`, times a mask made from `A`.'), why='Only paths that are positive all the way survive: crisp pictures, and, as the chapter shows, hardly a trace of the class.', also=(guided_mask, guided_where)),
    Exercise('4.6', 'A ReLU with another way back', 'The ladder has a ReLU whose way back is guided. Write the autograd function `RuledReLU` for any ReLU call and any rule. `forward(ctx, x, relu, rule, top)` gives what `relu(x)` gives; that may be `torch.relu`, one that ends at a `top` such as `F.relu6`, or one that works in place, which autograd must be told (`ctx.mark_dirty`). `backward(ctx, g)` sends on what `RULES[rule](g, A)` lets through, with `RULES` from `camtutor.guided`; `A` must be positive just where the ReLU was open, that is above 0 and below `top` (`inf`, if there is none).', RuledReLU, library='camtutor.guided',
        trials=(Trial(FOUR + ', guided', there_and_back('guided'), {'forward': A.clamp(min=0), 'backward': torch.tensor([2., 0., 0., 0.])}),
                Trial('The same as a deconvnet', there_and_back('deconvnet'), {'forward': A.clamp(min=0), 'backward': torch.tensor([2., 0., 3., 0.])}),
                Trial('The same by backprop', there_and_back('backprop'), {'forward': A.clamp(min=0), 'backward': torch.tensor([2., -1., 0., 0.])}),
                Trial('A ReLU6 that read 1, 8, −2, 3, by backprop', there_and_back('backprop', F.relu6, 6, torch.tensor([1., 8., -2., 3.])), {'forward': torch.tensor([1., 6., 0., 3.]), 'backward': torch.tensor([2., 0., 0., -4.])}),
                Trial('A ReLU in place, guided', there_and_back('guided', torch.relu_), {'forward': A.clamp(min=0), 'backward': torch.tensor([2., 0., 0., 0.]), 'backward from the tensor that was changed in place': torch.tensor([2., 0., 0., 0.])},
                      'If `relu` gives back `x` itself, it has worked in place: `ctx.mark_dirty(x)`.'),
                Trial('Two convolutions with it, by all three rules', through_network)),
        mistakes=(Mistake(RuledAlwaysGuided, 'It is guided whatever rule was asked for. Keep `rule` in `ctx`, and look it up in `RULES` on the way back.'),
                  Mistake(RuledAlwaysReLU, 'On the way forward you run a ReLU of your own. Run the one that was called: a `F.relu6` ends at 6, and one in place changes `x`.'),
                  Mistake(RuledNotCut, 'On the way forward nothing is cut: hand on what `relu(x)` gives.'),
                  Mistake(RuledNoTop, '`top` is not used. A ReLU6 is shut again above 6: there its output does not move, and backprop sends nothing.'),
                  Mistake(RuledNotDirty, 'One that works in place is not announced. Whoever goes on with `x`, as many networks do, then goes back past your rule: `ctx.mark_dirty(x)`.'),
                  Mistake(RuledOneGradient, '`backward` must give one thing for each argument of `forward`: the gradient for `x`, and None for the three that have none.'),
                  Mistake(RuledTuple, '`ctx.saved_tensors` is a tuple, also if it holds only one. Take it apart: `A, = ctx.saved_tensors`.'),
                  Mistake(RuledExchanged, 'You hand the rule its arguments in the wrong order, so activations come back. It is `(g, A)`.'),
                  Mistake(RuledTwice, 'You apply backprop\'s mask once more after the rule. A deconvnet does not ask whether the ReLU was open.')),
        hints=('Both methods are static: `@staticmethod` above each. Tensors go across in `ctx.save_for_backward`, anything else as an attribute of `ctx`.', 'Save the output: it is positive exactly where the input was, and it outlives a ReLU in place.', '`backward` gets that tensor from `ctx.saved_tensors`, sets it to 0 where it has reached the top, and returns the rule\'s answer and three times None.'),
        why='With this the library changes every ReLU of any network without touching one module.', also=(RuledByHand, RuledWithTop)),
    Exercise('4.7', 'Every ReLU of any network', 'Write the mode `ReLURule(rule)`: while it is in place, each ReLU that is called, by whatever name, goes back by the rule, and `met` counts these calls; all other calls run as they are. `RuledReLU.apply(x, torch.relu, rule, float("inf"))`, from `camtutor.guided`, is such a ReLU. Write `__init__` and `__torch_function__`. If `__enter__` and `__exit__` are in your cell, delete them: they are inherited. (The library also knows ReLU6 and `clamp`, and complains if it met no ReLU; you need not.)', ReLURule, library='camtutor.guided',
        trials=(Trial('A ReLU called in four ways, guided', ruled('guided'), {k: torch.tensor([2., 0., 0., 0.]) for k in WAYS}), Trial('The same, by the deconvnet\'s rule', ruled('deconvnet'), {k: torch.tensor([2., 0., 3., 0.]) for k in WAYS}),
                Trial('A network with two ReLUs, and a sum with a keyword', ruled_network)),
        mistakes=(Mistake(RuleOneName, 'You ask whether `func` *is* `F.relu`. `torch.relu(x)` and `x.relu()` are other objects, and they keep the ordinary gradient without a word. Their name is the same.'), Mistake(RuleLosesKeywords, 'Keyword arguments get lost on the way: `sum(dim=1)` becomes `sum()`. Hand `kwargs` on as well; it may be None.'),
                  Mistake(RuleUncounted, 'The rule works, but `met` stays 0. A rule that met no ReLU has changed nothing, and the count is how one notices.'), Mistake(RuleAlwaysGuided, 'It is guided whatever rule was asked for. Keep `rule` and hand it on.'),
                  Mistake(RuleCountsAll, '`met` counts every call, convolutions too. Count the ReLUs.'), Mistake(RuleNotEntered, 'No ReLU was met: the gradient is the ordinary one, and `met` is 0. Either the mode was never in place, as with an empty `__enter__` (delete it, it is inherited), or your condition never holds.'), Mistake(RuleNever, 'You count the ReLUs and then call them as they were: the gradient is the ordinary one.')),
        hints=('PyTorch asks `__torch_function__` before every call, and `func` is what is about to run.', '`func.__name__` is `relu` for the module, the function and the method; `relu_` in place.', 'Two cases: a ReLU is counted and replaced by `RuledReLU.apply(…)` on the first of `args`; anything else is called with its `args` and `kwargs`. In `__init__`, let the parent class begin.'),
        why='No module hooked, copied or edited, and no `F.relu` missed: this is the engine of the chapter, and of the next.', also=(RuleOfOnesOwn, RuleInSet)),
    Exercise('4.8', 'One place to start from', 'Write `unit_mask(A, channel=None, whole=False)` for activations (N,C,h,w): zeros, and in each image a 1 at the strongest place of `channel`, or, if that is None, of the whole image. With `whole=True` the ones fill the map of that channel; if it is None, of the channel in which the image\'s strongest place lies. Of two places that are equally strong, the first counts. (The library also takes a single neuron, `(channel, row, column)`; you need not.)', unit_mask, library='camtutor.guided',
        trials=(Trial('Three images worked by hand, the strongest place of each', gives('', UNITS).run, torch.tensor([[[[0., 0.], [0., 0.]], [[0., 1.], [0., 0.]]], [[[0., 0.], [0., 0.]], [[0., 0.], [1., 0.]]], [[[0., 1.], [0., 0.]], [[0., 0.], [0., 0.]]]]), ONE_EACH),
                Trial('The strongest place of channel 0', gives('', UNITS, 0).run, says=ONE_EACH), gives('The whole map of channel 1', UNITS, 1, True), Trial('The whole map of each image\'s own strongest channel', gives('', UNITS, None, True).run, says='In each image, that is the channel in which its strongest place lies.'), gives('Random activations', A_), keeps(A_)),
        mistakes=(Mistake(unit_ties, 'Where two places are equally strong you mark both: `A == A.amax(…)` does that, and a map of zeros would be marked all over. `argmax` names one.'), Mistake(unit_or, 'With channel 0 you take the strongest channel: 0 counts as false in `channel or …` and in `if channel`. Ask `channel is None`.'), Mistake(unit_batch, 'You look for the strongest channel of the whole batch. Each image has its own.'),
                  Mistake(unit_by_mean, 'You choose the channel with the largest mean. The strongest single place decides.'), Mistake(unit_values, 'The marks hold the activations themselves. A mask is 1 or 0; whoever wants the value multiplies.'),
                  Mistake(unit_never_whole, '`whole` is not used: with it, every place of the channel is 1.'), Mistake(unit_every_channel, 'Without a channel you mark one place in every channel. One channel of each image: the strongest.'),
                  Mistake(unit_whole_batch, 'With `whole=True` and no channel you mark every channel. (`m[:, None]` is all of `m`: None as an index only adds an axis.) Choose one in each image first: the one in which its strongest place lies.'),
                  Mistake(unit_once, 'There is one mark in the whole batch: you ask for the strongest place of all images together, as `A.amax()` does. Each image has its own, and so has its map of one channel: look over each image\'s axes only.'),
                  Mistake(unit_once_whole_batch, 'Two things. You look for the strongest place of all images together, as `A.amax()` does: each image has its own. And with `whole=True` and no channel you mark every channel, as `m[:, None] = 1` does: choose one in each image first, the one in which its strongest place lies.'),
                  Mistake(unit_once_alone, 'You look for the strongest place of all images together, as `A.amax()` does, and mark only the image that has it; the others stay empty. Each image has its own.'),
                  Mistake(unit_once_without_channel, 'Without a channel, you ask for the strongest place of all images together, as `A.amax()` does. Each image has its own; with a channel you see to that already.'),
                  Mistake(unit_one_image, 'Only the first image is marked. `mask[c]` and `mask[0, c]` are places in the batch: go through all of it.')),
        hints=('Flatten the places first: (N,C,h·w). Then a place is one number.', 'The strongest channel of an image is an argmax of maxima; the place within it is a second argmax.', 'Index images and channels in pairs, `t[torch.arange(N), c]`, and let `F.one_hot` turn a place into zeros and a one.'),
        why='Multiply it by the activations, add up, and you have a score: with that, a channel or a single neuron can be explained like a class.', also=(unit_loop, unit_scatter)),
    Exercise('4.9', 'The gradient at the pixels', 'Write `saliency(model, x, target=None)`: the signed gradient of each image\'s score at its own pixels (N,3,H,W). None means each image\'s top class. Leave nothing behind. (The library also explains a channel of a layer, with `layer`, `channel` and `whole`; you need not.)', saliency, library='camtutor.guided',
        trials=(Trial('Three pictures, class 1', pixels(1)), Trial('Three pictures, each its top class', pixels(None)), Trial('In-place ReLUs', pixels(0, True))),
        mistakes=(Mistake(saliency_backward, '`backward()` has filled the `.grad` of every parameter. `torch.autograd.grad(score, x)` does not.'), Mistake(saliency_marks, 'The caller\'s `x` is marked with `requires_grad` now. Work on a copy.'),
                  Mistake(saliency_no_sum, 'A gradient belongs to a single number, and you ask for that of N scores. Add them up: images do not mix.'),
                  Mistake(saliency_abs, 'The sign is gone. Take it off only when you draw.'), Mistake(saliency_softmax, 'You go back from the probability. Take the score before softmax.'),
                  Mistake(saliency_first, 'Only the first picture\'s score is used, as in `out[0, target]`; the gradient of all others is 0. Add up the scores of all pictures: they do not mix.'),
                  Mistake(saliency_first_none, 'Two things. Only the first picture\'s score is used, as in `out[0, target]`: add up the scores of all pictures, they do not mix. And without a target you go back from more than one number, since None as an index chooses nothing: take each image\'s highest score.'),
                  Mistake(saliency_first_adds, 'Two things. Only the first picture\'s scores are used, as in `out[0, target]`: add up those of all pictures, they do not mix. And without a target you add up all classes, since None as an index chooses nothing: take each image\'s highest score.'),
                  Mistake(saliency_largest, 'Without a target you take the one highest score of the whole batch, as `out.max()` does, so only one picture gets a gradient. Each has its own top class: `out.amax(1)`.'),
                  Mistake(saliency_none_adds, 'With a class it is right. Without one you add up all classes: None as an index, `out[:, None]`, chooses nothing. Take each image\'s highest score.'),
                  Mistake(saliency_every_class, 'You add up all classes.'), Mistake(saliency_one_map, 'You reduce to one number a pixel. That is a step of its own: give all three channels.'),
                  Mistake(saliency_times_input, 'You multiply by the picture. That is a method too, "gradient × input"; here the gradient alone.')),
        hints=('A copy of the batch that requires a gradient.', 'Pick each image\'s score and add them up.', '`torch.autograd.grad` returns a tuple with one entry.'),
        why='The oldest explanation of a network: which pixels, changed a little, would change the score.', also=(saliency_ones, saliency_loop)),
    Exercise('4.10', 'Guided backprop', 'Write `guided_backprop(model, x, target=None)` for a network with `nn.ReLU` modules that do not work in place. None means each image\'s top class, as in 4.9. `saliency` may be imported from `camtutor.guided`. Leave no hook. (The library takes networks with any kind of ReLU, and `layer`, `channel` and `whole` as well; you need not.)', guided_backprop, library='camtutor.guided',
        trials=(Trial('Three pictures, class 1', pixels(1)), Trial('Three pictures, class 2', pixels(2)), Trial('Three pictures, each its top class', pixels(None))),
        mistakes=(Mistake(guided_deconv, 'You rectify what *arrives* at the ReLU and pass it where the ReLU was closed: the deconvnet\'s rule. `grad_in` has been through the ReLU already.'),
                  Mistake(guided_at_the_end, 'You rectify once, at the pixels. It has to happen at every ReLU.'), Mistake(guided_left_on, 'The hooks stay on the network: its next training would be guided as well.'),
                  Mistake(guided_none_adds, 'With a class it is right. Without one you add up all classes: None as an index chooses nothing. Take each image\'s highest score.'),
                  Mistake(guided_plain, 'This is the plain gradient.'), Mistake(guided_last_only, 'Only the last ReLU is guided. All of them.')),
        hints=('`register_full_backward_hook(f)` calls `f(module, grad_in, grad_out)`; what `f` returns replaces `grad_in`.', '`grad_in[0]` is zero already where the ReLU was closed. What is left to do?', 'Return a tuple with the rectified first entry; remove all hooks in `finally`.'),
        why='The library does it without hooks, since module hooks miss every `F.relu`; on this network both agree exactly.', also=(guided_swap, guided_tensor_hooks)),
    Exercise('4.11', 'Any start, any rule', 'Exercises 4.9 and 4.10 led up to this one. Write `pixel_grad(model, x, target=None, rule=None, layer=None, channel=None, whole=False, weigh=False)`: what comes back to the pixels (N,3,H,W), by the plain gradient or under a rule. The start is each image\'s score of the class `target`, or its highest if that is None; or, if `layer` is a name, the sum of that layer\'s activations over the places that `unit_mask(A, channel, whole)` marks. With `weigh=True` each of these places counts as often as it is active, as in a deconvnet: its activation is a weight, through which nothing flows back. Leave no hook and no `.grad`, and work in front of an in-place ReLU. For the layer, write a forward hook of your own (`register_forward_hook`): `Hook` of chapter 01 detaches what it keeps, and from there is no way back. From `camtutor.guided` you may import `ReLURule` and `unit_mask`. (The library also takes every other kind of target.)', pixel_grad, library='camtutor.guided',
        trials=(Trial('Class 1, no rule', comes_back(target=1)), Trial('Each picture\'s top class, guided', comes_back(rule='guided')), Trial('Class 2, as a deconvnet, ReLUs in place', comes_back(True, target=2, rule='deconvnet')),
                Trial('The strongest place of channel 2 of a layer, guided', comes_back(rule='guided', layer='0.3', channel=2)), Trial('The whole map of a channel, in front of a ReLU in place', comes_back(True, layer='0.3', channel=1, whole=True)),
                Trial('Each picture\'s strongest channel, weighed, as a deconvnet', comes_back(rule='deconvnet', layer='0.4', whole=True, weigh=True))),
        mistakes=(Mistake(way_no_clone, 'An in-place ReLU behind the layer writes into what your hook has kept: the marks then stand where *its* output is strongest, and the way back begins behind it. Hand a `clone()` on.'), Mistake(way_left_on, 'The hook is still on the layer. Remove it in `finally`.'),
                  Mistake(way_detached, 'At a layer, you go back from a tensor that is cut off from the picture: no graph leads there. `Hook` of chapter 01 cuts (its `stored` is a detached copy), and so do `detach()`, `.data` and `no_grad()`. Keep the layer\'s output itself, in a forward hook of your own; only the weight is detached.'),
                  Mistake(way_guided, 'Any rule is taken for the guided one. Hand `rule` on.'), Mistake(way_no_rule, 'The rule has no effect. A ReLU is swapped when it is *called*: the forward pass must run inside the `with`.'),
                  Mistake(way_squared, 'The gradient flows through the weight as well, so everything comes out twice as strong. The weight is a plain number: `detach()` it.'), Mistake(way_unweighed, '`weigh` is not used: the places must count by their activations.'),
                  Mistake(way_always_weighed, 'The places are weighed though nobody asked for it. Without `weigh` each marked place counts once.'), Mistake(way_whole_layer, 'You go back from everything the layer puts out. Multiply by the mask first.'),
                  Mistake(way_class_only, 'A layer was named, and you explain the class. The start is then a channel of that layer.'), Mistake(way_never_whole, '`whole` is not handed on: you always begin at a single place.')),
        hints=('One forward pass of a copy of `x` that requires a gradient; what differs is which number you go back from.', 'A hook on the layer keeps its output for you. It is in the graph already, so it can be multiplied by the mask and added up.', 'The pass runs inside the rule, or inside nothing: `contextlib.nullcontext()` is a `with` that does nothing. Afterwards one `torch.autograd.grad` of the sum at the pixels.'),
        why='All methods of this chapter, and the next one\'s, are this function with other arguments.', also=(pixel_grad_capture, pixel_grad_seeded)),
    Exercise('4.12', 'Guided Grad-CAM', 'Write `guided_grad_cam(model, x, target=None, layer=None)`: Grad-CAM at `layer`, brought bilinearly to the size of the picture, times guided backprop (N,3,H,W), both for the same target. None as a layer means `last_layer(model, x)`. From `camtutor.gradcam` you may import `capture`, `grad_cam` and `last_layer`, from `camtutor.guided` `guided_backprop`, from `camtutor.show` `upsample`.', guided_grad_cam, library='camtutor.guided',
        trials=(Trial('Class 0 at an inner layer, three pictures', multiplied(0, '0.3')), Trial('Class 2, no layer named', multiplied(2)), Trial('Each picture\'s top class', multiplied(None, '0.0'))),
        mistakes=(Mistake(product_nearest, 'The map is enlarged in blocks. Bilinearly: `upsample` does that.'), Mistake(product_sum, 'You add. A product is zero where either is.'), Mistake(product_positive, 'Negative pixels are cut. They are evidence too, and the drawing knows what to do with a sign.'),
                  Mistake(product_scaled, 'You scale the map first. That belongs to drawing.'), Mistake(product_first, 'Every picture is multiplied by the first one\'s map.'), Mistake(product_shrunk, 'You shrink the pixels to the map. Enlarge the map.'),
                  Mistake(product_plain, 'The pixels are the plain gradient\'s. Take guided backprop.'), Mistake(product_guided_cam, 'Your Grad-CAM went back under the guided rule as well. The map is an ordinary Grad-CAM; only the pixels are guided.'),
                  Mistake(product_last_only, '`layer` is not used: the map always comes from the last layer.'), Mistake(product_top_map, 'The map explains the top class, whichever was asked for. Hand `target` to both halves.')),
        hints=('Two explanations of the same score, and one product.', '`capture` gives what `grad_cam` needs; the size is that of the last two axes of `x`.', 'The map (N,H,W) needs an axis for the colours before it can multiply (N,3,H,W).'), why='Where from Grad-CAM, how fine from guided backprop. And all that is specific to the class comes from the map.', also=(product_interpolated, product_loop)),
    Exercise('4.13', 'Nothing learned', 'Write `scramble(module, seed=0)`: put the numbers of *each* parameter in a random order, and give each number a random sign, in place. The same seed gives the same result, and nobody else\'s random numbers change: draw from a `torch.Generator` of your own.', scramble, library='camtutor.guided',
        trials=(Trial('Two convolutions', scrambled, SCRAMBLED, {'the same seed gives': 'All random numbers must come from a generator that begins with the seed.', 'the random numbers of the session': '`torch.manual_seed` begins the whole session\'s numbers anew.'}),),
        mistakes=(Mistake(scramble_order_only, 'The order is new, the signs are as before: a layer that holds mostly positive weights still does. Multiply by −1 or 1 at random.'), Mistake(scramble_signs_only, 'The signs are new, the order is as before, so each weight has its old size at its old place. Exchange places as well.'),
                  Mistake(scramble_one_sign, 'All numbers of a parameter have changed their sign together. Each draws its own.'), Mistake(scramble_new, 'The numbers are new. Keep their sizes, so that nothing but what was learned is lost.'),
                  Mistake(scramble_rows, 'Whole kernels change places, and each keeps the sizes of its numbers where they were. Shuffle the numbers within.'), Mistake(scramble_zero, 'Everything is zero: that is another network altogether, with no output.'), Mistake(scramble_zero_signs, 'Some numbers are 0 now: among your signs there are zeros, as `torch.randint(-1, 2, …)` gives −1, 0 and 1. Draw from 0 and 1, double it, take 1 away.'),
                  Mistake(scramble_weights_only, 'The biases are learned too.'),
                  Mistake(scramble_copy, 'Nothing has changed: `p = …` gives the name to another tensor. Write into `p`, for example with `copy_`.'), Mistake(scramble_no_seed, '`seed` is not used. Two runs of a sanity check could then not be compared.'),
                  Mistake(scramble_session, '`torch.manual_seed` sets the random numbers of the whole session: a training that draws its batches would go on with others. Make a `torch.Generator().manual_seed(seed)` and hand it to each draw.'),
                  Mistake(scramble_new_objects, 'The parameters are new objects. An optimiser, or another reference, would still hold the old ones: write in place.')),
        hints=('`torch.randperm(n, generator=…)` is a random order.', 'Flatten, index, back into shape; signs are `torch.randint(2, …)` made to −1 and 1.', 'Under `no_grad`, write it into the parameter with `copy_`.'), why='As large as before, and nothing learned is left. An explanation that looks the same afterwards was not explaining what the network had learned.', also=(scramble_argsort, scramble_numpy)),
    Exercise('4.14', 'Forgetting from the top', 'Write the generator `cascade(model, layers=None, seed=0)` of the sanity check. `layers` holds names, bottom first. (None means all modules that hold weights of their own; it is not tried.) Yield `(None, an untouched copy)`, and then `(name, model)` again and again, each time with one more layer scrambled, from the top down. `scramble(module, seed)` may be imported from `camtutor.guided`. The caller\'s model stays as it is.', cascade, library='camtutor.guided',
        trials=(Trial('Three convolutions', falling('0', '2', '4')), Trial('Two of them', falling('0', '4')), Trial('No layer', falling())),
        mistakes=(Mistake(cascade_from_below, 'You begin at the bottom. From the top: the class is forgotten first, the edges last.'), Mistake(cascade_alone, 'Each time only one layer is scrambled, and the one before is whole again. That is the paper\'s other test, "independent randomisation". In a cascade they stay scrambled.'),
                  Mistake(cascade_in_place, 'You have scrambled the caller\'s own network, and nothing brings it back. Work on a `deepcopy`.'), Mistake(cascade_pops, 'The steps are right, but `pop` has emptied the caller\'s list. Go through it without taking from it.'), Mistake(cascade_no_start, 'The first step is missing: `(None, an untouched copy)`, with which all others are compared.'),
                  Mistake(cascade_late, 'You yield a step before it is done: the network is one layer behind its name.'), Mistake(cascade_all, 'All layers are scrambled in the first step. One more each time.'),
                  Mistake(cascade_same, 'You gather all steps in a list first. They are one and the same network, and so every entry of the list shows its last state. Yield each step as it is made, or copy it.')),
        hints=('One copy at the beginning; after that it only gets worse.', '`reversed(layers)` goes from the top down, and `get_submodule` finds a layer by its name.', 'Yield the copy, and then in a loop: scramble one layer, yield its name and the same network.'),
        why='An explanation of what was learned must fall apart along the cascade. Guided backprop hardly does.', also=(cascade_list, cascade_anew)),
    Exercise('4.15', 'The same order?', 'Write `rank_correlation(a, b)`: Spearman\'s correlation of each of N pairs of pictures, that is the ordinary correlation of the ranks of their pixels. There are no ties.', rank_correlation, library='camtutor.guided',
        trials=(gives('Worked by hand: the same order, the reverse', torch.tensor([[1., 2., 30.], [1., 2., 3.]]), torch.tensor([[5., 6., 7.], [9., 4., 0.]]), want=[1., -1.]), gives('Random pictures', rand(3, 3, 4, 4), rand(3, 3, 4, 4, seed=1)**3)),
        mistakes=(Mistake(pearson, 'This is the ordinary correlation of the values. Replace each by its rank first.'), Mistake(ranks_once, 'One `argsort` gives the place of the smallest, the next … . The *rank* of each value is the argsort of that.'),
                  Mistake(ranks_of_all, 'All pairs go into one figure.'), Mistake(ranks_uncentred, 'The mean must be taken off before multiplying.'), Mistake(ranks_of_size, 'You rank by size without the sign.')),
        hints=('The rank of a value: how many are smaller.', '`argsort` twice.', 'Centre both, multiply, add up, divide by both lengths.'), why='The sanity check asks whether an explanation changes when the network\'s weights do; this is its ruler.', also=(ranks_formula, ranks_corrcoef)),
    Exercise('4.16', 'Alike to an eye', 'Write `ssim(a, b, size=7)`: structural similarity of pictures (N,C,H,W), one number each. In every window of size × size (step 1, none over the edge), with means ma and mb, variances va and vb and covariance c: `(2 ma mb + 0.01²)(2 c + 0.03²) / ((ma² + mb² + 0.01²)(va + vb + 0.03²))`; then the mean over windows and channels. Variances and covariance divide by size² − 1.', ssim, library='camtutor.guided',
        trials=(gives('Two flat pictures by hand, .2 and .4: (.16 + .0001) / (.04 + .16 + .0001)', *FLAT, want=[.1601/.2001]), gives('A picture with itself', P_, P_, want=[1., 1., 1.]), gives('Random pictures', P_, Q_), gives('Windows of 3', P_, Q_, 3)),
        mistakes=(Mistake(ssim_whole, 'You compare whole pictures in one go. An eye looks here and there: compute it in each window, and average.'), Mistake(ssim_biased, 'Variances and covariance divide by the number of pixels. By one less here: multiply by n / (n − 1).'),
                  Mistake(ssim_half_divided, 'You divide by the first bracket below the line and multiply by the second: `a/b*c` is `(a/b)*c`. Put the whole denominator in brackets.'), Mistake(ssim_light, 'Only the means are compared: that is the brightness. The pattern is in the second factor, with the covariance.'), Mistake(ssim_batch, 'All pictures end in one number. One for each: leave axis 0 alone.'),
                  Mistake(ssim_tiles, 'Your windows lie side by side. They overlap: step 1.'), Mistake(ssim_padded, 'Your windows hang over the edge, where the padding counts as black. Only whole windows.'), Mistake(ssim_apart, 'This is a difference: 0 for the same picture. A similarity gives 1.')),
        hints=('`F.avg_pool2d(t, size, 1)` is the mean in every window.', 'A variance is the mean of the squares less the square of the mean; a covariance is the same with a product.', 'Five maps (two means, two variances, one covariance) go into the formula; its mean over the last three axes is the answer.'),
        why='The second ruler of the sanity check. Rank correlation looks at pixels one by one; this one at patches, as a reader of the picture does.', also=(ssim_unfold, ssim_loop)),
    Exercise('4.17', 'Paint, and forget', 'Write `paint(model, x, method="guided_backprop", target=None, clip=99, scrambled=0, layers=None)`, which the sliders call: the picture in [0,1] that `PAINTERS[method](model, x, target)` gives when `signed_image` draws it with `clip`; and before that, as many layers are scrambled as `scrambled` says, from the top, by `cascade(model, layers)`. Without a target, it is the top class of the network that is painted, scrambled or not. All three names may be imported from `camtutor.guided`.', paint, library='camtutor.guided',
        trials=(Trial('As it is', painted(target=1)), Trial('Another method, drawn with another clip', painted(method='saliency', target=2, clip=90)), Trial('One layer scrambled, of two', painted(target=0, scrambled=1, layers=['0.0', '0.3'])),
                Trial('Both, another method', painted(method='guided_grad_cam', scrambled=2, target=2, layers=['0.0', '1.2'])), Trial('Two, of all that have weights', painted(method='saliency', scrambled=2))),
        mistakes=(Mistake(paint_one_less, 'One layer too few is scrambled. The first step of `cascade` is the untouched copy, so step number n has n scrambled layers.'), Mistake(paint_one_more, 'One layer too many is scrambled. The first step of `cascade` is the untouched copy: with `scrambled=0` take that one.'),
                  Mistake(paint_trained, '`scrambled` is not used: this is the trained network\'s picture in any case.'),
                  Mistake(paint_list, 'All layers are scrambled, however few were asked for: you run `cascade` to its end before you choose a step. It hands out one and the same network each time, and at the end all of its layers are scrambled. Stop it at the step that you want.'),
                  Mistake(paint_in_place, 'The picture is right, but you have scrambled the caller\'s own network, and nothing brings it back. `cascade` works on a copy.'),
                  Mistake(paint_raw, 'These are the signed numbers, not a picture. `signed_image` draws them.'), Mistake(paint_one_method, '`method` is not used. Look it up in `PAINTERS`.'), Mistake(paint_clip, '`clip` is not handed on.'),
                  Mistake(paint_top_class, '`target` is not handed on: each picture is asked about its own top class.'),
                  Mistake(paint_first_asked, 'Where no target is given, you explain the top class of the untouched network. Hand `target` on as it is: each painter then asks the network that it paints.'),
                  Mistake(paint_some_layers, '`layers` is not handed on: `cascade` then takes all layers that have weights.')),
        hints=('Three functions in a row: `cascade`, a painter, `signed_image`.', '`cascade` is a generator: it scrambles one more layer each time it is asked for the next step.', 'Ask it once for the untouched network and once more for each layer, and no further; `itertools.islice` or `next` does that.'),
        why='A plain function, with a check of its own, since a slider hides the errors of what it calls.', also=(paint_enumerate, paint_next)),
    Exercise('4.18', 'By hand', 'A ReLU read 3, −1, 2, −5. The gradients 1, 4, −2, −3 arrive. What does guided backprop send on? Give a list.', [1, 0, 0, 0], kind='value',
        mistakes=(Mistake([1, 0, -2, 0], 'This is backprop: it passes the −2.'), Mistake([1, 4, 0, 0], 'This is the deconvnet: it passes the 4, though the ReLU was closed.')),
        hints=('Two conditions for each number.', 'Where was the ReLU open? The first and the third.', 'Which of those gradients are positive?'), why='One number out of four is left: that is why the pictures are so clean.'),
    Exercise('4.19', 'Crisp and wrong?', 'Guided backprop draws whiskers and eyes sharply. Why is that no proof that the network uses them? Two sentences.',
        'Its rule lets through only paths that are positive all the way, and those follow strong edges of the picture whatever the class is. The same picture comes out for another class, or with shuffled weights.', kind='written',
        why='A picture that pleases is judged more kindly than one that is right: hence masks, baselines and sanity checks.'),
    Exercise('4.20', 'The sanity check', 'You shuffle the weights of a network from the top down. The guided backprop picture hardly changes. What follows?', 'The picture shows little of what the network has learned; much of it is the input\'s own edges', kind='choice',
        mistakes=(Mistake('Guided backprop is robust, which is good', 'Robust against the very thing it should show.'), Mistake('The network has learned nothing', 'It had; you destroyed it, and the picture did not notice.'),
                  Mistake('The shuffling went wrong', 'Look at the accuracy: it is gone.'))),
)
