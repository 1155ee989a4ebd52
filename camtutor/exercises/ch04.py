"Chapter 04: guided backprop."
from copy import deepcopy
from math import inf
import torch, torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.overrides import TorchFunctionMode

from camtutor.exercises.common import gives, hooks_left, keeps, one_by_one, pictures, rand, seeded, tiny
from camtutor.exercises.core import Exercise, Mistake, Trial
from camtutor.guided import RuledReLU, scramble

g, A = torch.tensor([2., -1., 3., -4.]), torch.tensor([1., 5., -2., -3.])
G_, A_ = rand(3, 4, 5, 6), rand(3, 4, 5, 6, seed=1)
FOUR = 'Four numbers by hand: gradients 2, −1, 3, −4 at a ReLU that read 1, 5, −2, −3'

# 4.1 to 4.3: three ways back through a ReLU

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

# 4.4 as an autograd function

class GuidedReLU(Function):
    "A ReLU whose way back is guided; used as `GuidedReLU.apply(x)`."
    @staticmethod
    def forward(ctx, x):
        out = x.clamp(min=0)
        ctx.save_for_backward(out)
        return out
    @staticmethod
    def backward(ctx, g):
        out, = ctx.saved_tensors
        return g.clamp(min=0)*(out > 0)

class GuidedReLUInput(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return F.relu(x)
    @staticmethod
    def backward(ctx, g): return torch.where(ctx.saved_tensors[0] > 0, g.relu(), 0.)
class GuidedReLUMask(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.open = x > 0
        return x*ctx.open
    @staticmethod
    def backward(ctx, g): return g*ctx.open*(g > 0)

class PlainReLU(GuidedReLUMask):
    @staticmethod
    def backward(ctx, g): return g*ctx.open
class DeconvReLU(GuidedReLUMask):
    @staticmethod
    def backward(ctx, g): return g.relu()
class IdentityForward(GuidedReLUMask):
    @staticmethod
    def forward(ctx, x):
        ctx.open = x > 0
        return x.clone()
class SavesAfterChange(GuidedReLUMask):
    @staticmethod
    def forward(ctx, x):
        ctx.open = x >= 0
        return x.clamp(min=0)
    @staticmethod
    def backward(ctx, g): return (g*ctx.open).abs()
class MasksByGradient(GuidedReLUMask):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.relu()
    @staticmethod
    def backward(ctx, g): return ctx.saved_tensors[0].relu()*(g > 0)

def through(answer):
    x = A.clone().requires_grad_()
    out = answer.apply(x)
    return {'forward': out.detach(), 'backward': torch.autograd.grad(out, x, g)[0]}

def through_network(answer):
    a, b = seeded(nn.Conv2d(3, 4, 3)), seeded(nn.Conv2d(4, 2, 3), 1)
    x = pictures(2).requires_grad_()
    out = answer.apply(b(answer.apply(a(x))))
    return torch.autograd.grad(out[:, 1].sum(), x)[0]

# 4.5 the plain gradient

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

# 4.6 guided backprop

def guided_backprop(model:nn.Module, # a network in eval mode whose ReLUs are `nn.ReLU` modules, not in place
                    x:Tensor, # batch (N,3,H,W)
                    target:int # a class
                   )->Tensor: # (N,3,H,W), signed
    "The gradient at the pixels, with only positive values let through on the way back out of each ReLU. No hook stays."
    def back(module, grad_in, grad_out): return (grad_in[0].clamp(min=0),)
    handles = [m.register_full_backward_hook(back) for m in model.modules() if isinstance(m, nn.ReLU)]
    try: return saliency(model, x, target)
    finally:
        for h in handles: h.remove()

def guided_swap(model, x, target):
    import copy
    class Guided(nn.Module):
        def forward(self, x): return GuidedReLU.apply(x)
    def swap(m):
        for name, child in m.named_children():
            if isinstance(child, nn.ReLU): setattr(m, name, Guided())
            else: swap(child)
        return m
    return saliency(swap(copy.deepcopy(model)), x, target)
def guided_tensor_hooks(model, x, target):
    def see(m, args, out):
        if args[0].requires_grad: args[0].register_hook(lambda g: g.relu())
    handles = [m.register_forward_hook(see) for m in model.modules() if type(m) is nn.ReLU]
    try: return saliency(model, x, target)
    finally: [h.remove() for h in handles]

def guided_deconv(model, x, target):
    handles = [m.register_full_backward_hook(lambda m, gi, go: (go[0].clamp(min=0),)) for m in model.modules() if isinstance(m, nn.ReLU)]
    try: return saliency(model, x, target)
    finally:
        for h in handles: h.remove()
def guided_at_the_end(model, x, target): return saliency(model, x, target).relu()
def guided_left_on(model, x, target):
    for m in model.modules():
        if isinstance(m, nn.ReLU): m.register_full_backward_hook(lambda m, gi, go: (gi[0].clamp(min=0),))
    return saliency(model, x, target)
def guided_plain(model, x, target): return saliency(model, x, target)
def guided_last_only(model, x, target):
    last = [m for m in model.modules() if isinstance(m, nn.ReLU)][-1]
    h = last.register_full_backward_hook(lambda m, gi, go: (gi[0].clamp(min=0),))
    try: return saliency(model, x, target)
    finally: h.remove()

# 4.7 the product

def combine(pixels:Tensor, # guided backprop (N,3,H,W)
            m:Tensor # Grad-CAM (N,h,w)
           )->Tensor: # (N,3,H,W)
    "Guided Grad-CAM: the map, brought to the size of the picture bilinearly, times the pixels."
    return pixels*F.interpolate(m[:, None], pixels.shape[-2:], mode='bilinear')

def combine_show(pixels, m):
    from camtutor.show import upsample
    return torch.einsum('nchw,nhw->nchw', pixels, upsample(m, pixels.shape[2:]))
def combine_loop(pixels, m): return torch.stack([p*F.interpolate(a[None, None], p.shape[1:], mode='bilinear')[0, 0] for p, a in zip(pixels, m)])

def combine_nearest(pixels, m): return pixels*F.interpolate(m[:, None], pixels.shape[-2:])
def combine_sum(pixels, m): return pixels + F.interpolate(m[:, None], pixels.shape[-2:], mode='bilinear')
def combine_positive(pixels, m): return combine(pixels, m).relu()
def combine_scaled(pixels, m): return combine(pixels, m/m.amax((1, 2), True).clamp(min=1e-9))
def combine_first(pixels, m): return pixels*F.interpolate(m[None, :1], pixels.shape[-2:], mode='bilinear')
def combine_shrunk(pixels, m): return F.adaptive_avg_pool2d(pixels, m.shape[-2:])*m[:, None]

# 4.8 showing signed numbers

def grey_zero(g:Tensor # signed pixels (N,3,H,W)
             )->Tensor: # (N,3,H,W) in [0,1]
    "For the eye: zero is mid-grey (0.5), each picture's largest absolute value is black or white."
    return .5 + .5*g/g.abs().amax((1, 2, 3), keepdim=True)

def grey_loop(g): return torch.stack([p/p.abs().max()/2 + .5 for p in g])
def grey_flat(g): return ((g.flatten(1)/g.flatten(1).abs().max(1, keepdim=True).values + 1)/2).view_as(g)

def grey_min_max(g):
    low, high = g.amin((1, 2, 3), True), g.amax((1, 2, 3), True)
    return (g - low)/(high - low)
def grey_batch(g): return .5 + .5*g/g.abs().max()
def grey_channels(g): return .5 + .5*g/g.abs().amax((2, 3), keepdim=True)
def grey_abs(g): return g.abs()/g.abs().amax((1, 2, 3), keepdim=True)
def grey_positive_max(g): return .5 + .5*g/g.amax((1, 2, 3), keepdim=True)
def grey_clamped(g): return (.5 + g).clamp(0, 1)

SIGNED = torch.tensor([4., -2., 0., 1., 2., -4., 0., 0., 0., 0., 0., 2.]).view(1, 3, 2, 2)

# 4.9 one number a pixel

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

# 4.10 comparing orders

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

# 4.11 nothing learned

def shuffle_weights(module:nn.Module):
    "Put the numbers of each parameter in a random order, in place: the same numbers, and nothing learned."
    with torch.no_grad():
        for p in module.parameters(): p.copy_(p.flatten()[torch.randperm(p.numel())].view_as(p))

def shuffle_data(module):
    for p in module.parameters(): p.data = p.data.view(-1)[torch.randperm(p.numel())].reshape(p.shape)
def shuffle_argsort(module):
    for p in module.parameters():
        flat = p.detach().view(-1)
        flat[:] = flat[torch.rand(p.numel()).argsort()].clone()

def shuffle_new(module):
    with torch.no_grad():
        for p in module.parameters(): p.normal_(p.mean().item(), .5)
def shuffle_rows(module):
    with torch.no_grad():
        for p in module.parameters(): p.copy_(p[torch.randperm(len(p))])
def shuffle_copy(module):
    for p in module.parameters(): p = p.flatten()[torch.randperm(p.numel())].view_as(p)
def shuffle_weights_only(module):
    with torch.no_grad():
        for p in module.parameters():
            if p.ndim > 1: p.copy_(p.flatten()[torch.randperm(p.numel())].view_as(p))
def shuffle_zero(module):
    with torch.no_grad():
        for p in module.parameters(): p.zero_()
def shuffle_by_copy_of_parameter(module):
    for name, p in list(module.named_parameters()):
        *path, last = name.split('.')
        setattr(module.get_submodule('.'.join(path)), last, nn.Parameter(p.detach().flatten()[torch.randperm(p.numel())].view_as(p)))

def shuffled(answer):
    net = seeded(nn.Sequential(nn.Conv2d(6, 8, 3), nn.Conv2d(8, 40, 3)))
    before, ids = [p.detach().clone() for p in net.parameters()], [id(p) for p in net.parameters()]
    answer(net)
    after = [p.detach() for p in net.parameters()]
    return {'parameters with the same numbers as before': sum(torch.equal(a.flatten().sort().values, b.flatten().sort().values) for a, b in zip(before, after)),
            'parameters in the same order as before': sum(torch.equal(a, b) for a, b in zip(before, after)),
            'parameters that are zero everywhere': sum(not a.any() for a in after),
            'kernels that are whole as before': bool((before[2].flatten(1).sum(1)[:, None] - after[2].flatten(1).sum(1)).abs().min(1).values.max() < 1e-5),
            'the parameters are the same objects': ids == [id(p) for p in net.parameters()]}

# 4.14 the start of the way back

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
def unit_one_image(A, channel=None, whole=False):
    mask = torch.zeros_like(A)
    mask[:1] = unit_mask(A[:1], channel, whole)
    return mask

UNITS = torch.tensor([[[[1., 2.], [3., 4.]], [[0., 9.], [5., 0.]]], [[[7., 6.], [6., 6.]], [[2., 2.], [8., 1.]]], [[[3., 5.], [0., 5.]], [[1., 0.], [0., 0.]]]])

# 4.15 every ReLU of any network

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

# 4.16 one layer after another forgets

def cascade(model:nn.Module, # a network; it is copied, not changed
            layers:list, # names, bottom first
            seed:int=0 # of the scrambling
           ): # yields (name, model): first (None, an untouched copy)
    "The network again and again, each time with one more layer scrambled, from the top."
    model = deepcopy(model)
    yield None, model
    for i, name in enumerate(reversed(layers)):
        scramble(model.get_submodule(name), seed + i)
        yield name, model

def cascade_list(model, layers, seed=0):
    found = [(None, deepcopy(model))]
    for name in layers[::-1]:
        found.append((name, deepcopy(found[-1][1])))
        shuffle_weights(found[-1][1].get_submodule(name))
    return found
def cascade_anew(model, layers, seed=0):
    for k in range(len(layers) + 1):
        copy = deepcopy(model)
        for name in layers[len(layers)-k:]: scramble(dict(copy.named_modules())[name], seed)
        yield (layers[-k] if k else None), copy

def cascade_from_below(model, layers, seed=0): return cascade(model, layers[::-1], seed)
def cascade_alone(model, layers, seed=0):
    yield None, deepcopy(model)
    for name in reversed(layers):
        copy = deepcopy(model)
        scramble(copy.get_submodule(name), seed)
        yield name, copy
def cascade_in_place(model, layers, seed=0):
    yield None, model
    for name in reversed(layers):
        scramble(model.get_submodule(name), seed)
        yield name, model
def cascade_pops(model, layers, seed=0):
    model = deepcopy(model)
    yield None, model
    while layers:
        name = layers.pop()
        scramble(model.get_submodule(name), seed)
        yield name, model
def cascade_no_start(model, layers, seed=0): return list(cascade_list(model, layers, seed))[1:]
def cascade_late(model, layers, seed=0):
    model = deepcopy(model)
    yield None, model
    for name in reversed(layers):
        yield name, model
        scramble(model.get_submodule(name), seed)
def cascade_all(model, layers, seed=0):
    model = deepcopy(model)
    yield None, model
    for name in reversed(layers):
        for n in layers: scramble(model.get_submodule(n), seed)
        yield name, model
def cascade_same(model, layers, seed=0): return list(cascade(model, layers, seed))

def falling(*layers):
    def run(answer):
        net = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Conv2d(5, 6, 3)))
        before, steps, names = deepcopy(net), [], list(layers)
        for name, model in answer(net, names):
            steps.append((str(name), [n for n, m in model.named_children() if any(not torch.equal(p, q) for p, q in zip(m.parameters(), before.get_submodule(n).parameters()))]))
        return {'names': [n for n, _ in steps], 'layers that differ from the trained ones, step by step': [' '.join(c) for _, c in steps],
                'the caller\'s model is as before': all(torch.equal(p, q) for p, q in zip(net.parameters(), before.parameters())), 'the caller\'s list of names': names}
    return run

# 4.17 alike to an eye

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

EXERCISES = (
    Exercise('4.1', 'Back through a ReLU: backprop', 'Write `backprop_rule(g, A)`: what ordinary backpropagation lets through a ReLU that read `A`, when `g` arrives.', backprop_rule,
        trials=(gives(FOUR, g, A, want=[2., -1., 0., 0.]), gives('Random numbers', G_, A_), keeps(G_, A_)),
        mistakes=(Mistake(deconvnet_rule, 'This lets positive *gradients* through, as a deconvnet does. Backprop asks whether the ReLU was open: the sign of `A`.'),
                  Mistake(guided_rule, 'This is the guided rule. Backprop does not mind a negative gradient.'), Mistake(rule_closed, 'You let through where the ReLU was closed.'),
                  Mistake(rule_times_relu, 'The gradient is passed on as it is, not multiplied by the activation: the slope of an open ReLU is 1.'), Mistake(rule_all, 'Everything passes. Where the ReLU was closed, nothing may.')),
        hints=('What is the slope of a ReLU, left and right of 0?', 'The sign of the gradient plays no part.', 'Multiply by a mask made from `A`.'), why='The first of three rules that differ in one line, and give three famous pictures.', also=(backprop_where, backprop_autograd)),
    Exercise('4.2', 'Back through a ReLU: deconvnet', 'Write `deconvnet_rule(g, A)`: a deconvnet applies a ReLU to what comes back.', deconvnet_rule,
        trials=(gives(FOUR, g, A, want=[2., 0., 3., 0.]), gives('Random numbers', G_, A_), keeps(G_, A_)),
        mistakes=(Mistake(backprop_rule, 'This is backprop\'s rule: it looks at `A`. A deconvnet does not.'), Mistake(guided_rule, 'This is the guided rule. A deconvnet does not look at `A` at all.'),
                  Mistake(rule_in_place, 'It is right, but it has changed the caller\'s gradient: a name with `_` at its end works in place.'), Mistake(rule_acts, 'You rectify the activations. What comes back is `g`.')),
        hints=('One of the two arguments is not needed.', 'What does a ReLU do to a number?', 'Apply it to `g`.'), why='Zeiler and Fergus rectified on the way back since the forward pass does: a deconvnet is backprop with this rule.', also=(deconvnet_relu, deconvnet_mask)),
    Exercise('4.3', 'Back through a ReLU: guided', 'Write `guided_rule(g, A)`: both conditions at once.', guided_rule,
        trials=(gives(FOUR, g, A, want=[2., 0., 0., 0.]), gives('Random numbers', G_, A_), keeps(G_, A_)),
        mistakes=(Mistake(backprop_rule, 'This is backprop: negative gradients still pass.'), Mistake(deconvnet_rule, 'This is the deconvnet: it also passes where the ReLU was closed.'),
                  Mistake(rule_either, 'You ask for one *or* the other. Both must hold.'), Mistake(rule_product, 'The product of two negative numbers is positive as well. Ask for each sign by itself.'),
                  Mistake(rule_abs, 'Negative gradients come out positive. They should be stopped.'), Mistake(rule_guided_in_place, 'It is right, but it has changed the caller\'s gradient. Make a new tensor.')),
        hints=('Let backprop\'s rule go first.', 'Then the deconvnet\'s.', 'Rectified `g`, times a mask made from `A`.'), why='Only paths that are positive all the way survive: crisp pictures, and, as the chapter shows, hardly a trace of the class.', also=(guided_mask, guided_where)),
    Exercise('4.4', 'A ReLU with another way back', 'Write the autograd function `GuidedReLU`: `forward(ctx, x)` is a ReLU, `backward(ctx, g)` the guided rule. `ctx.save_for_backward` carries a tensor across.', GuidedReLU,
        trials=(Trial(FOUR, through, {'forward': A.clamp(min=0), 'backward': torch.tensor([2., 0., 0., 0.])}), Trial('Two convolutions with it', through_network)),
        mistakes=(Mistake(PlainReLU, 'The way back is backprop\'s: negative gradients pass.'), Mistake(DeconvReLU, 'The way back is a deconvnet\'s: it passes where the ReLU was closed.'),
                  Mistake(IdentityForward, 'On the way forward nothing is cut: it should be a ReLU.'), Mistake(SavesAfterChange, 'Negative gradients come out positive. Stop them.'),
                  Mistake(MasksByGradient, 'You send activations back. Send the gradient, where both are positive.')),
        hints=('Both methods are static: `@staticmethod` above each.', 'Save the output: it is positive exactly where the ReLU was open.', '`backward` gets that tensor from `ctx.saved_tensors` and returns rectified `g` times the mask.'),
        why='An autograd function is how the library changes every ReLU of any network without touching one module.', also=(GuidedReLUInput, GuidedReLUMask)),
    Exercise('4.5', 'The gradient at the pixels', 'Write `saliency(model, x, target=None)`: the signed gradient of each image\'s score at its own pixels (N,3,H,W). None means each image\'s top class. Leave nothing behind.', saliency, library='camtutor.guided',
        trials=(Trial('Three pictures, class 1', pixels(1)), Trial('Three pictures, each its top class', pixels(None)), Trial('In-place ReLUs', pixels(0, True))),
        mistakes=(Mistake(saliency_backward, '`backward()` has filled the `.grad` of every parameter. `torch.autograd.grad(score, x)` does not.'), Mistake(saliency_marks, 'The caller\'s `x` is marked with `requires_grad` now. Work on a copy.'),
                  Mistake(saliency_no_sum, 'A gradient belongs to a single number, and you ask for that of N scores. Add them up: images do not mix.'),
                  Mistake(saliency_abs, 'The sign is gone. Take it off only when you draw.'), Mistake(saliency_softmax, 'You go back from the probability. Take the score before softmax.'),
                  Mistake(saliency_every_class, 'You add up all classes.'), Mistake(saliency_one_map, 'You reduce to one number a pixel. That is a step of its own: give all three channels.'),
                  Mistake(saliency_times_input, 'You multiply by the picture. That is a method too, "gradient × input"; here the gradient alone.')),
        hints=('A copy of the batch that requires a gradient.', 'Pick each image\'s score and add them up.', '`torch.autograd.grad` returns a tuple with one entry.'),
        why='The oldest explanation of a network: which pixels, changed a little, would change the score.', also=(saliency_ones, saliency_loop)),
    Exercise('4.6', 'Guided backprop', 'Write `guided_backprop(model, x, target)` for a network with `nn.ReLU` modules that do not work in place. `saliency` may be imported from `camtutor.guided`. Leave no hook.', guided_backprop, library='camtutor.guided',
        trials=(Trial('Three pictures, class 1', pixels(1)), Trial('Three pictures, class 2', pixels(2))),
        mistakes=(Mistake(guided_deconv, 'You rectify what *arrives* at the ReLU and pass it where the ReLU was closed: the deconvnet\'s rule. `grad_in` has been through the ReLU already.'),
                  Mistake(guided_at_the_end, 'You rectify once, at the pixels. It has to happen at every ReLU.'), Mistake(guided_left_on, 'The hooks stay on the network: its next training would be guided as well.'),
                  Mistake(guided_plain, 'This is the plain gradient.'), Mistake(guided_last_only, 'Only the last ReLU is guided. All of them.')),
        hints=('`register_full_backward_hook(f)` calls `f(module, grad_in, grad_out)`; what `f` returns replaces `grad_in`.', '`grad_in[0]` is zero already where the ReLU was closed. What is left to do?', 'Return a tuple with the rectified first entry; remove all hooks in `finally`.'),
        why='The library does it without hooks, since module hooks miss every `F.relu`; on this network both agree exactly.', also=(guided_swap, guided_tensor_hooks)),
    Exercise('4.7', 'Guided Grad-CAM', 'Write `combine(pixels, m)`: Grad-CAM (N,h,w), brought bilinearly to the size of the picture, times guided backprop (N,3,H,W).', combine,
        trials=(gives('Random pixels and maps', rand(2, 3, 12, 10), rand(2, 6, 5, seed=1).abs()), one_by_one(rand(2, 3, 12, 10), rand(2, 6, 5, seed=1).abs()), keeps(rand(2, 3, 12, 10), rand(2, 6, 5, seed=1).abs())),
        mistakes=(Mistake(combine_nearest, 'The map is enlarged in blocks: ask for `mode="bilinear"`.'), Mistake(combine_sum, 'You add. A product is zero where either is.'), Mistake(combine_positive, 'Negative pixels are cut. They are evidence too, and the drawing knows what to do with a sign.'),
                  Mistake(combine_scaled, 'You scale the map first. That belongs to drawing.'), Mistake(combine_first, 'Every picture is multiplied by the first one\'s map.'), Mistake(combine_shrunk, 'You shrink the pixels to the map. Enlarge the map.')),
        hints=('`F.interpolate` wants (N,C,h,w): give the map an axis of channels.', 'The size is that of the last two axes of `pixels`.', 'One channel multiplies three.'), why='Where from Grad-CAM, how fine from guided backprop.', also=(combine_show, combine_loop)),
    Exercise('4.8', 'Grey is zero', 'Write `grey_zero(g)`: signed pixels (N,3,H,W) as pictures in [0,1], zero at 0.5, each picture\'s largest absolute value at 0 or 1.', grey_zero,
        trials=(gives('Worked by hand: 4, −2, 0, 1, …', SIGNED, want=(SIGNED/8 + .5)), gives('Random pixels', rand(3, 3, 4, 5)), one_by_one(rand(3, 3, 4, 5))),
        mistakes=(Mistake(grey_min_max, 'You stretch from lowest to highest. Then zero has another grey in every picture, and "nothing here" cannot be told from "something".'), Mistake(grey_batch, 'All pictures share one scale. Each has its own.'),
                  Mistake(grey_channels, 'Each colour has its own scale, so that the hue is lost. One scale for a picture.'), Mistake(grey_abs, 'The sign is gone: for and against look alike.'),
                  Mistake(grey_positive_max, 'The largest *absolute* value counts; a strong negative one would leave [0,1].'), Mistake(grey_clamped, 'Nothing is scaled: small values stay grey, large ones are cut.')),
        hints=('Divide so that every value lies between −1 and 1.', 'By the largest absolute value of each picture, over three axes.', 'Half of it plus a half.'), why='A colour scale is a claim; here the claim is that grey means nothing.', also=(grey_loop, grey_flat)),
    Exercise('4.9', 'One number a pixel', 'Write `strength(g)`: (N,3,H,W) to (N,H,W), the largest absolute value of each pixel\'s channels.', strength, library='camtutor.guided',
        trials=(gives('Worked by hand', SIGNED, want=SIGNED.abs().amax(1)), gives('Random pixels', rand(2, 3, 4, 5))),
        mistakes=(Mistake(strength_signed, 'A strong negative value is overlooked.'), Mistake(strength_mean, 'This is the mean. The largest.'), Mistake(strength_kept, 'There is an axis too many: leave `keepdim` out.'),
                  Mistake(strength_of_sum, 'Values of opposite sign cancel before you look at their size.'), Mistake(strength_batch, 'You reduce over the pictures. Channels are axis 1.')),
        hints=('Sign off first.', 'Which axis holds the channels?', '`abs`, then `amax`.'), why='This is how Simonyan and others drew the first saliency maps, in 2013.', also=(strength_both, strength_stack)),
    Exercise('4.10', 'The same order?', 'Write `rank_correlation(a, b)`: Spearman\'s correlation of each of N pairs of pictures, that is the ordinary correlation of the ranks of their pixels. There are no ties.', rank_correlation, library='camtutor.guided',
        trials=(gives('Worked by hand: the same order, the reverse', torch.tensor([[1., 2., 30.], [1., 2., 3.]]), torch.tensor([[5., 6., 7.], [9., 4., 0.]]), want=[1., -1.]), gives('Random pictures', rand(3, 3, 4, 4), rand(3, 3, 4, 4, seed=1)**3)),
        mistakes=(Mistake(pearson, 'This is the ordinary correlation of the values. Replace each by its rank first.'), Mistake(ranks_once, 'One `argsort` gives the place of the smallest, the next … . The *rank* of each value is the argsort of that.'),
                  Mistake(ranks_of_all, 'All pairs go into one figure.'), Mistake(ranks_uncentred, 'The mean must be taken off before multiplying.'), Mistake(ranks_of_size, 'You rank by size without the sign.')),
        hints=('The rank of a value: how many are smaller.', '`argsort` twice.', 'Centre both, multiply, add up, divide by both lengths.'), why='The sanity check asks whether an explanation changes when the network\'s weights do; this is its ruler.', also=(ranks_formula, ranks_corrcoef)),
    Exercise('4.11', 'Nothing learned', 'Write `shuffle_weights(module)`: the numbers of *each* parameter in a random order, in place.', shuffle_weights,
        trials=(Trial('Two convolutions', shuffled, {'parameters with the same numbers as before': 4, 'parameters in the same order as before': 0, 'parameters that are zero everywhere': 0, 'kernels that are whole as before': False, 'the parameters are the same objects': True}),),
        mistakes=(Mistake(shuffle_new, 'The numbers are new. Keep them, so that nothing but what was learned is lost.'), Mistake(shuffle_rows, 'Whole kernels change places and stay as learned. Shuffle the numbers within.'),
                  Mistake(shuffle_copy, 'Nothing has changed: `p = …` gives the name to another tensor. Write into `p`, for example with `copy_`.'), Mistake(shuffle_weights_only, 'The biases are learned too.'),
                  Mistake(shuffle_zero, 'Everything is zero: that is another network altogether, with no output.'), Mistake(shuffle_by_copy_of_parameter, 'The parameters are new objects. An optimiser, or another reference, would still hold the old ones: write in place.')),
        hints=('`torch.randperm(n)` is a random order.', 'Flatten, index, back into shape.', 'Under `no_grad`, write it into the parameter with `copy_`.'), why='An explanation that looks the same afterwards was not explaining what the network had learned.', also=(shuffle_data, shuffle_argsort)),
    Exercise('4.12', 'By hand', 'A ReLU read 3, −1, 2, −5. The gradients 1, 4, −2, −3 arrive. What does guided backprop send on? Give a list.', [1, 0, 0, 0], kind='value',
        mistakes=(Mistake([1, 0, -2, 0], 'This is backprop: it passes the −2.'), Mistake([1, 4, 0, 0], 'This is the deconvnet: it passes the 4, though the ReLU was closed.')),
        hints=('Two conditions for each number.', 'Where was the ReLU open? The first and the third.', 'Which of those gradients are positive?'), why='One number out of four is left: that is why the pictures are so clean.'),
    Exercise('4.13', 'Crisp and wrong?', 'Guided backprop draws whiskers and eyes sharply. Why is that no proof that the network uses them? Two sentences.',
        'Its rule lets through only paths that are positive all the way, and those follow strong edges of the picture whatever the class is. The same picture comes out for another class, or with shuffled weights.', kind='written',
        why='A picture that pleases is judged more kindly than one that is right: hence masks, baselines and sanity checks.'),
    Exercise('4.14', 'One place to start from', 'Write `unit_mask(A, channel=None, whole=False)` for activations (N,C,h,w): zeros, and in each image a 1 at the strongest place of `channel`, or, if that is None, of the whole image. With `whole=True` the ones fill the map of that channel. Of two places that are equally strong, the first counts. (The library also takes a single neuron, `(channel, row, column)`; you need not.)', unit_mask, library='camtutor.guided',
        trials=(gives('Three images worked by hand, the strongest place of each', UNITS, want=[[[[0., 0.], [0., 0.]], [[0., 1.], [0., 0.]]], [[[0., 0.], [0., 0.]], [[0., 0.], [1., 0.]]], [[[0., 1.], [0., 0.]], [[0., 0.], [0., 0.]]]]),
                gives('The strongest place of channel 0', UNITS, 0), gives('The whole map of channel 1', UNITS, 1, True), gives('The whole map of each image\'s own strongest channel', UNITS, None, True), gives('Random activations', A_), keeps(A_)),
        mistakes=(Mistake(unit_ties, 'Where two places are equally strong you mark both: `A == A.amax(…)` does that, and a map of zeros would be marked all over. `argmax` names one.'), Mistake(unit_or, 'With channel 0 you take the strongest channel: 0 counts as false in `channel or …` and in `if channel`. Ask `channel is None`.'), Mistake(unit_batch, 'You look for the strongest channel of the whole batch. Each image has its own.'),
                  Mistake(unit_by_mean, 'You choose the channel with the largest mean. The strongest single place decides.'), Mistake(unit_values, 'The marks hold the activations themselves. A mask is 1 or 0; whoever wants the value multiplies.'),
                  Mistake(unit_never_whole, '`whole` is not used: with it, every place of the channel is 1.'), Mistake(unit_every_channel, 'Without a channel you mark one place in every channel. One channel of each image: the strongest.'),
                  Mistake(unit_one_image, 'Only the first image is marked. `mask[c]` and `mask[0, c]` are places in the batch: go through all of it.')),
        hints=('Flatten the places first: (N,C,h·w). Then a place is one number.', 'The strongest channel of an image is an argmax of maxima; the place within it is a second argmax.', 'Index images and channels in pairs, `t[torch.arange(N), c]`, and let `F.one_hot` turn a place into zeros and a one.'),
        why='Multiply it by the activations, add up, and you have a score: with that, a channel or a single neuron can be explained like a class.', also=(unit_loop, unit_scatter)),
    Exercise('4.15', 'Every ReLU of any network', 'Write the mode `ReLURule(rule)`: while it is in place, each ReLU that is called, by whatever name, goes back by the rule, and `met` counts these calls; all other calls run as they are. `RuledReLU.apply(x, torch.relu, rule, float("inf"))`, from `camtutor.guided`, is such a ReLU. Write `__init__` and `__torch_function__`. If `__enter__` and `__exit__` are in your cell, delete them: they are inherited. (The library also knows ReLU6 and `clamp`, and complains if it met no ReLU; you need not.)', ReLURule, library='camtutor.guided',
        trials=(Trial('A ReLU called in four ways, guided', ruled('guided'), {k: torch.tensor([2., 0., 0., 0.]) for k in WAYS}), Trial('The same, by the deconvnet\'s rule', ruled('deconvnet'), {k: torch.tensor([2., 0., 3., 0.]) for k in WAYS}),
                Trial('A network with two ReLUs, and a sum with a keyword', ruled_network)),
        mistakes=(Mistake(RuleOneName, 'You ask whether `func` *is* `F.relu`. `torch.relu(x)` and `x.relu()` are other objects, and they keep the ordinary gradient without a word. Their name is the same.'), Mistake(RuleLosesKeywords, 'Keyword arguments get lost on the way: `sum(dim=1)` becomes `sum()`. Hand `kwargs` on as well; it may be None.'),
                  Mistake(RuleUncounted, 'The rule works, but `met` stays 0. A rule that met no ReLU has changed nothing, and the count is how one notices.'), Mistake(RuleAlwaysGuided, 'It is guided whatever rule was asked for. Keep `rule` and hand it on.'),
                  Mistake(RuleCountsAll, '`met` counts every call, convolutions too. Count the ReLUs.'), Mistake(RuleNotEntered, 'No ReLU was met: the gradient is the ordinary one, and `met` is 0. Either the mode was never in place, as with an empty `__enter__` (delete it, it is inherited), or your condition never holds.'), Mistake(RuleNever, 'You count the ReLUs and then call them as they were: the gradient is the ordinary one.')),
        hints=('PyTorch asks `__torch_function__` before every call, and `func` is what is about to run.', '`func.__name__` is `relu` for the module, the function and the method; `relu_` in place.', 'Two cases: a ReLU is counted and replaced by `RuledReLU.apply(…)` on the first of `args`; anything else is called with its `args` and `kwargs`. In `__init__`, let the parent class begin.'),
        why='No module hooked, copied or edited, and no `F.relu` missed: this is the engine of the chapter, and of the next.', also=(RuleOfOnesOwn, RuleInSet)),
    Exercise('4.16', 'Forgetting from the top', 'Write the generator `cascade(model, layers, seed=0)` of the sanity check. `layers` holds names, bottom first. Yield `(None, an untouched copy)`, and then `(name, model)` again and again, each time with one more layer scrambled, from the top down. `scramble(module, seed)` may be imported from `camtutor.guided`. The caller\'s model stays as it is.', cascade, library='camtutor.guided',
        trials=(Trial('Three convolutions', falling('0', '2', '4')), Trial('Two of them', falling('0', '4')), Trial('No layer', falling())),
        mistakes=(Mistake(cascade_from_below, 'You begin at the bottom. From the top: the class is forgotten first, the edges last.'), Mistake(cascade_alone, 'Each time only one layer is scrambled, and the one before is whole again. That is the paper\'s other test, "independent randomisation". In a cascade they stay scrambled.'),
                  Mistake(cascade_in_place, 'You have scrambled the caller\'s own network, and nothing brings it back. Work on a `deepcopy`.'), Mistake(cascade_pops, 'The steps are right, but `pop` has emptied the caller\'s list. Go through it without taking from it.'), Mistake(cascade_no_start, 'The first step is missing: `(None, an untouched copy)`, with which all others are compared.'),
                  Mistake(cascade_late, 'You yield a step before it is done: the network is one layer behind its name.'), Mistake(cascade_all, 'All layers are scrambled in the first step. One more each time.'),
                  Mistake(cascade_same, 'You gather all steps in a list first. They are one and the same network, and so every entry of the list shows its last state. Yield each step as it is made, or copy it.')),
        hints=('One copy at the beginning; after that it only gets worse.', '`reversed(layers)` goes from the top down, and `get_submodule` finds a layer by its name.', 'Yield the copy, and then in a loop: scramble one layer, yield its name and the same network.'),
        why='An explanation of what was learned must fall apart along the cascade. Guided backprop hardly does.', also=(cascade_list, cascade_anew)),
    Exercise('4.17', 'Alike to an eye', 'Write `ssim(a, b, size=7)`: structural similarity of pictures (N,C,H,W), one number each. In every window of size × size (step 1, none over the edge), with means ma and mb, variances va and vb and covariance c: `(2 ma mb + 0.01²)(2 c + 0.03²) / ((ma² + mb² + 0.01²)(va + vb + 0.03²))`; then the mean over windows and channels. Variances and covariance divide by size² − 1.', ssim, library='camtutor.guided',
        trials=(gives('Two flat pictures by hand, .2 and .4: (.16 + .0001) / (.04 + .16 + .0001)', *FLAT, want=[.1601/.2001]), gives('A picture with itself', P_, P_, want=[1., 1., 1.]), gives('Random pictures', P_, Q_), gives('Windows of 3', P_, Q_, 3)),
        mistakes=(Mistake(ssim_whole, 'You compare whole pictures in one go. An eye looks here and there: compute it in each window, and average.'), Mistake(ssim_biased, 'Variances and covariance divide by the number of pixels. By one less here: multiply by n / (n − 1).'),
                  Mistake(ssim_half_divided, 'You divide by the first bracket below the line and multiply by the second: `a/b*c` is `(a/b)*c`. Put the whole denominator in brackets.'), Mistake(ssim_light, 'Only the means are compared: that is the brightness. The pattern is in the second factor, with the covariance.'), Mistake(ssim_batch, 'All pictures end in one number. One for each: leave axis 0 alone.'),
                  Mistake(ssim_tiles, 'Your windows lie side by side. They overlap: step 1.'), Mistake(ssim_padded, 'Your windows hang over the edge, where the padding counts as black. Only whole windows.'), Mistake(ssim_apart, 'This is a difference: 0 for the same picture. A similarity gives 1.')),
        hints=('`F.avg_pool2d(t, size, 1)` is the mean in every window.', 'A variance is the mean of the squares less the square of the mean; a covariance is the same with a product.', 'Five maps (two means, two variances, one covariance) go into the formula; its mean over the last three axes is the answer.'),
        why='The second ruler of the sanity check. Rank correlation looks at pixels one by one; this one at patches, as a reader of the picture does.', also=(ssim_unfold, ssim_loop)),
    Exercise('4.18', 'The sanity check', 'You shuffle the weights of a network from the top down. The guided backprop picture hardly changes. What follows?', 'The picture shows little of what the network has learned; much of it is the input\'s own edges', kind='choice',
        mistakes=(Mistake('Guided backprop is robust, which is good', 'Robust against the very thing it should show.'), Mistake('The network has learned nothing', 'It had; you destroyed it, and the picture did not notice.'),
                  Mistake('The shuffling went wrong', 'Look at the accuracy: it is gone.'))),
)
