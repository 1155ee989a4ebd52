"Chapter 04: wrong answers that people may well give, and that are not in the bank; nearly all should be named."
from copy import deepcopy
from math import ceil
import torch, torch.nn.functional as F
from torch import nn

from camtutor.cam import own_share
from camtutor.engine.layers import last_layer
from camtutor.exercises.ch04 import ReLURule, cascade, guided_backprop, rank_correlation, relu_rules, scramble
from camtutor.gradcam import capture, grad_cam
from camtutor.guided import RuledReLU, saliency, strength
from camtutor.show import upsample

def signed_from_above(g, clip=99):
    a = g.abs().flatten(1).sort(1, descending=True).values
    end = a[:, ceil(a.shape[1]*clip/100) - 1].clamp(min=1e-30)
    return (.5 + g/end[:, None, None, None]/2).clamp(0, 1)

def signed_by_length(g, clip=99):
    return (.5 + g/g.flatten(1).norm(dim=1).clamp(min=1e-30)[:, None, None, None]/2).clamp(0, 1)

def signed_for_matplotlib(g, clip=99): return signed_right(g, clip).permute(0, 2, 3, 1)

def signed_in_bytes(g, clip=99): return signed_right(g, clip)*255

def signed_right(g, clip):
    a = g.abs().flatten(1)
    end = a.kthvalue(ceil(a.shape[1]*clip/100), 1).values
    end = end.where(end > 0, a.amax(1)).clamp(min=1e-30)
    return (.5 + g/end[:, None, None, None]/2).clamp(0, 1)

def rules_as_tuple(g, A): return tuple(relu_rules(g, A).values())

def rules_by_sign(g, A):
    return dict(backprop=g*A.sign(), deconvnet=g.relu(), guided=(g*A.sign()).relu())

def rules_smaller_of_two(g, A):
    back, dec = g*(A > 0), g.relu()
    return dict(backprop=back, deconvnet=dec, guided=torch.minimum(back, dec))

def rules_written_into_g(g, A):
    found = dict(backprop=g*(A > 0), guided=(g*(A > 0)).relu())
    return found | dict(deconvnet=g.relu_())

class InPlaceOnly(ReLURule):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func.__name__ != 'relu_': return func(*args, **(kwargs or {}))
        self.met += 1
        return RuledReLU.apply(args[0], torch.relu, float('inf'), self.rule)

class NoParent(ReLURule):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func.__name__ in ('relu', 'relu_'):
            self.met += 1
            return RuledReLU.apply(args[0], torch.relu, float('inf'), self.rule)

def saliency_scaled(model, x, target=None):
    g = saliency(model, x, target)
    return g/g.abs().amax((1, 2, 3), keepdim=True)

def saliency_lowest(model, x, target=None): return saliency(model, x, model(x).argmin(1) if target is None else target)

def saliency_frozen(model, x, target=None):
    for p in model.parameters(): p.requires_grad_(False)
    return saliency(model, x, target)

def saliency_zeroed(model, x, target=None):
    x = x.detach().clone().requires_grad_()
    out = model(x)
    (out.amax(1) if target is None else out[range(len(x)), target]).sum().backward()
    model.zero_grad()
    return x.grad

def guided_top_only(model, x, target=None):
    handles = [m.register_full_backward_hook(lambda m, gi, go: (gi[0].relu(),)) for m in model.children()
               if isinstance(m, nn.ReLU)]
    try: return saliency(model, x, target)
    finally: [h.remove() for h in handles]

def guided_clears_all(model, x, target=None):
    try: return guided_backprop(model, x, target)
    finally:
        for m in model.modules(): m._backward_hooks.clear()

def guided_returns_nothing(model, x, target=None):
    def back(m, gi, go): gi[0].relu()
    handles = [m.register_full_backward_hook(back) for m in model.modules() if isinstance(m, nn.ReLU)]
    try: return saliency(model, x, target)
    finally: [h.remove() for h in handles]

def scramble_afresh(module, seed=0):
    torch.manual_seed(seed)
    for m in module.modules():
        if hasattr(m, 'reset_parameters'): m.reset_parameters()

def scramble_means_only(module, seed=0):
    kept = [m.running_var.clone() for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    scramble(module, seed)
    for m, v in zip([m for m in module.modules() if isinstance(m, nn.BatchNorm2d)], kept): m.running_var.copy_(v)

def product_of_strengths(model, x, layer=None, target=None):
    seen = capture(model, x, layer or last_layer(model, x), target)
    return upsample(grad_cam(seen.acts, seen.grads), x.shape[-2:])*strength(guided_backprop(model, x, target))

def product_squared(model, x, layer=None, target=None):
    seen = capture(model, x, layer or last_layer(model, x), target)
    return upsample(grad_cam(seen.acts, seen.grads), x.shape[-2:])[:, None]**2*guided_backprop(model, x, target)

def product_turned(model, x, layer=None, target=None):
    seen = capture(model, x, layer or last_layer(model, x), target)
    m = upsample(grad_cam(seen.acts, seen.grads), x.shape[:1:-1])[:, None]
    return m*guided_backprop(model, x, target)

def share_of_totals(method, model, x, classes, masks):
    own = both = 0.
    for i in (0, 1):
        m = strength(method(model, x, classes[:, i]))
        own, both = own + (m*masks[:, i]).sum(), both + (m*masks.any(1)).sum()
    return own/both

def share_that_wins(method, model, x, classes, masks):
    won = [own_share(strength(method(model, x, classes[:, i])), masks[:, i], masks[:, 1 - i]) > .5 for i in (0, 1)]
    return torch.cat(won).float().mean()

def share_against_the_rest(method, model, x, classes, masks):
    return torch.cat([own_share(strength(method(model, x, classes[:, i])), masks[:, i], ~masks[:, i])
                      for i in (0, 1)]).mean()

def cascade_numbered_from_below(model, layers, seed=0):
    model = deepcopy(model)
    yield None, model
    for i, name in reversed(list(enumerate(layers))):
        scramble(model.get_submodule(name), seed + i)
        yield name, model

def cascade_without_none(model, layers, seed=0):
    for name, m in cascade(model, layers, seed): yield name or '', m

def cascade_swapped(model, layers, seed=0):
    for name, m in cascade(model, layers, seed): yield m, name

def ranks_turned(a, b): return rank_correlation(a, -b)

def ranks_of_the_batch(a, b):
    ra, rb = [t.flatten().argsort().argsort().float().view(len(t), -1) for t in (a, b)]
    return F.cosine_similarity(ra - ra.mean(1, keepdim=True), rb - rb.mean(1, keepdim=True))

def ranks_squared(a, b): return rank_correlation(a, b)**2

def smooth_median(model, x, target=None, n=8, noise=.1, seed=0):
    gen = torch.Generator().manual_seed(seed)
    target = model(x).argmax(1) if target is None else target
    return torch.stack([saliency(model, x + noise*torch.randn(x.shape, generator=gen), target)
                        for _ in range(n)]).median(0).values

def smooth_session(model, x, target=None, n=8, noise=.1, seed=0):
    torch.manual_seed(seed)
    target = model(x).argmax(1) if target is None else target
    return sum(saliency(model, x + noise*torch.randn(x.shape), target) for _ in range(n))/n

def smooth_by_range(model, x, target=None, n=8, noise=.1, seed=0):
    gen = torch.Generator().manual_seed(seed)
    target = model(x).argmax(1) if target is None else target
    size = noise*(x.max() - x.min())
    return sum(saliency(model, x + size*torch.randn(x.shape, generator=gen), target) for _ in range(n))/n

def smooth_into_x(model, x, target=None, n=8, noise=.1, seed=0):
    gen, total = torch.Generator().manual_seed(seed), 0
    target = model(x).argmax(1) if target is None else target
    for _ in range(n):
        x += noise*torch.randn(x.shape, generator=gen)
        total = total + saliency(model, x, target)
    return total/n

# ---- a second round, written when the bank had been extended by the first

def signed_black_zero(g, clip=99): return (signed_right(g, clip) - .5).abs()*2

def signed_per_row(g, clip=99):
    a = g.abs().flatten(2)
    end = a.kthvalue(ceil(a.shape[2]*clip/100), 2).values.clamp(min=1e-30)
    return (.5 + g/end[:, :, None, None]/2).clamp(0, 1)

def rules_of_the_output(g, A): return dict(backprop=A*(g > 0), deconvnet=A.relu(), guided=A*(g > 0)*(A > 0))

class AlwaysDeconvnet(ReLURule):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func.__name__ not in ('relu', 'relu_'): return func(*args, **(kwargs or {}))
        self.met += 1
        return RuledReLU.apply(args[0], torch.relu, float('inf'), 'deconvnet')

def saliency_summed_colours(model, x, target=None): return saliency(model, x, target).sum(1, keepdim=True)

def guided_twice(model, x, target=None): return guided_backprop(model, x, target).relu()

def scramble_rows(module, seed=0):
    gen = torch.Generator().manual_seed(seed)
    scramble(module, seed)
    with torch.no_grad():
        for p in module.parameters(): p.copy_(p.abs()*(torch.rand(p.shape, generator=gen) < .5).float().mul(2).sub(1))
        for p in module.parameters(): p.div_(p.norm())

def product_unguided_map(model, x, layer=None, target=None):
    seen = capture(model, x, layer or last_layer(model, x), target)
    return upsample(seen.acts.mean(1), x.shape[-2:])[:, None]*guided_backprop(model, x, target)

def share_of_the_first_picture(method, model, x, classes, masks):
    m = strength(method(model, x[:1], classes[:1, 0]))
    return own_share(m, masks[:1, 0], masks[:1, 1]).mean()

def cascade_all_names(model, layers, seed=0):
    for name, m in cascade(model, layers, seed): yield name and f'layer {name}', m

def ranks_from_above(a, b):
    ra, rb = [t.flatten(1).argsort(1, descending=True).float() for t in (a, b)]
    return F.cosine_similarity(ra - ra.mean(1, keepdim=True), rb - rb.mean(1, keepdim=True))

def smooth_times_n(model, x, target=None, n=8, noise=.1, seed=0):
    gen = torch.Generator().manual_seed(seed)
    target = model(x).argmax(1) if target is None else target
    return saliency(model, x + noise/n**.5*torch.randn(x.shape, generator=gen), target)

WRONG = {
    '4.1': (signed_from_above, signed_by_length, signed_for_matplotlib, signed_in_bytes,
            signed_black_zero, signed_per_row),
    '4.2': (rules_as_tuple, rules_by_sign, rules_smaller_of_two, rules_written_into_g,
            rules_of_the_output),
    '4.3': (InPlaceOnly, NoParent,
            AlwaysDeconvnet),
    '4.4': (saliency_scaled, saliency_lowest, saliency_frozen, saliency_zeroed,
            saliency_summed_colours),
    '4.5': (guided_top_only, guided_clears_all, guided_returns_nothing,
            guided_twice),
    '4.6': (scramble_afresh, scramble_means_only,
            scramble_rows),
    '4.7': (product_of_strengths, product_squared, product_turned,
            product_unguided_map),
    '4.8': (share_of_totals, share_that_wins, share_against_the_rest,
            share_of_the_first_picture),
    '4.9': (cascade_numbered_from_below, cascade_without_none, cascade_swapped,
            cascade_all_names),
    '4.10': (ranks_turned, ranks_of_the_batch, ranks_squared,
             ranks_from_above),
    '4.11': (smooth_median, smooth_session, smooth_by_range, smooth_into_x,
             smooth_times_n),
}
