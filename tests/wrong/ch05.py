"Chapter 05: plausible wrong answers that are not in the bank."
import torch, torch.nn.functional as F

from camtutor.deconvnet import BACK
from camtutor.engine.sequence import look
from camtutor.engine.targets import At
from camtutor.exercises.ch05 import (DeconvNet, contrast_mask, deconvnet, filter_back, first_place, inner_products,
                                     receptive_field, same_message, strongest, unpool)
from camtutor.guided import pixel_grad

# 5.1
def unpool_flat(y, idx, shape): return unpool(y, idx, shape).flatten(2)
def unpool_torch(y, idx, shape): return F.max_unpool2d(y, idx, 2, output_size=tuple(shape[2:]))
def unpool_assigns(y, idx, shape):
    out = torch.zeros(shape)
    out.flatten(2)[:] = torch.zeros(*shape[:2], shape[2]*shape[3]).scatter(2, idx.flatten(2), y.flatten(2))
    return out
def unpool_spoils(y, idx, shape):
    out = unpool(y, idx, shape)
    y.zero_()
    return out
def unpool_one(y, idx, shape): return unpool(torch.ones_like(y), idx, shape)
def unpool_int(y, idx, shape): return unpool(y, idx, shape).long()
def unpool_first(y, idx, shape): return unpool(y, idx, shape)[:1]

# 5.2
def back_as_list(y, conv, shape): return [filter_back(p[None], conv, (1, *shape[1:]))[0] for p in y]
def back_bare(y, conv, shape): return F.conv_transpose2d(y, conv.weight)
def back_spoils(y, conv, shape):
    conv.bias = None
    return filter_back(y, conv, shape)
def back_averaged(y, conv, shape): return filter_back(y, conv, shape)/conv.weight[0, 0].numel()
def back_abs(y, conv, shape): return F.conv_transpose2d(y, conv.weight.abs(), None, conv.stride, conv.padding)
def back_cut(y, conv, shape): return F.conv_transpose2d(y, conv.weight, None, conv.stride)[:, :, :shape[2], :shape[3]]

# 5.3
def inner_one(there, back, x, y): return inner_products(there, back, x, y)[0]
def inner_dims(there, back, x, y):
    ahead = there(x) - there(torch.zeros_like(x))
    return (ahead*y).flatten(1).sum(1), (x*back(y)).flatten(1).sum(1)
def inner_back_twice(there, back, x, y): return (there(x)*y).sum() - there(torch.zeros_like(x)).sum(), (x*back(y)).sum()
def inner_halves(there, back, x, y): return tuple(v/2 for v in inner_products(there, back, x, y))

# 5.4
class Shorter(DeconvNet):
    def project(self, y):
        for m, seen in self.seen[:0:-1]: y = BACK[type(m)](y, m, seen)
        return y
class Records(DeconvNet):
    def __call__(self, x, layer=None):
        self.seen = []
        for name, m in self.layers:
            x, seen = look(m, x)
            self.seen.append((m, seen))
            if name == layer: break
        return x
class Popped(DeconvNet):
    def project(self, y):
        while self.seen:
            m, seen = self.seen.pop()
            y = BACK[type(m)](y, m, seen)
        return y
class Children(DeconvNet):
    def __init__(self, model): self.layers, self.seen = list(model.named_children()), []
class ReLUFirst(DeconvNet):
    def project(self, y): return super().project(y.relu())

# 5.5
def deconv_ones(model, x, target=None): return pixel_grad(model, x, target, 'deconvnet')
def deconv_strong(model, x, target=None): return deconvnet(model, x, target).sum(1)
def deconv_normed(model, x, target=None):
    d = deconvnet(model, x, target)
    return d/d.abs().amax((1, 2, 3), keepdim=True)
def deconv_first(model, x, target=None): return deconvnet(model, x[:1], target)
def deconv_squared(model, x, target=None):
    if isinstance(target, At): target = At(target.layer, lambda A, fn=target.fn: fn(A*A), target.title)
    return pixel_grad(model, x, target, 'deconvnet')
def deconv_twice(model, x, target=None): return 2*deconvnet(model, x, target)

# 5.7
def field_size(model, layer): return receptive_field(model, layer)[0]
def field_centre(model, layer):
    f = receptive_field(model, layer)
    return f[0], f[1], f[2] + f[0]//2
def field_swapped(model, layer):
    size, step, start = receptive_field(model, layer)
    return step, size, start
def field_list(model, layer): return list(receptive_field(model, layer))[::-1]

# 5.8
def strongest_values(A, channel, k=9): return A[:, channel].flatten(1).max(1).values.topk(k).values
def strongest_flat(A, channel, k=9):
    value, at = A[:, channel].flatten(1).max(1)
    images = value.topk(k).indices
    return images, at[images]
def strongest_stacked(A, channel, k=9): return torch.stack(strongest(A, channel, k))
def strongest_from_one(A, channel, k=9): return tuple(t + 1 for t in strongest(A, channel, k))

# 5.9
def mask_float(x, soft, d, k): return contrast_mask(x, soft, d, k).float()
def mask_random(x, soft, d, k):
    change = torch.rand_like(d)*(d > 0)
    return (change.flatten(1) >= change.flatten(1).topk(k).values[:, -1:]).view_as(d)[:, None]
def mask_colours(x, soft, d, k): return contrast_mask(x, soft, d, k).expand(-1, x.shape[1], -1, -1)
def mask_places(x, soft, d, k): return ((x - soft).abs().amax(1)*(d > 0)).flatten(1).topk(k).indices

# 5.10
def place_float(idx, w): return first_place(idx, w).float()
def place_window(idx, w): return torch.arange(idx.shape[2]*idx.shape[3]).view(1, 1, *idx.shape[2:]).expand_as(idx)
def place_minus(idx, w): return idx - idx % 2
def place_next(idx, w): return first_place(idx, w) + 1

# 5.11
def message_one(model, x, target, rule): return 1.
def message_all(model, x, target, rule):
    d = F.normalize(pixel_grad(model, x, target, rule).flatten(1))
    return (d @ d.T).fill_diagonal_(0).mean().item()
def message_axis(model, x, target, rule):
    d = pixel_grad(model, x, target, rule)
    return F.cosine_similarity(d, d.roll(1, 0)).mean().item()
def message_distance(model, x, target, rule): return 1 - same_message(model, x, target, rule)

WRONG = {
    '5.1': [unpool_flat, unpool_torch, unpool_assigns, unpool_spoils, unpool_one, unpool_int, unpool_first],
    '5.2': [back_as_list, back_bare, back_spoils, back_averaged, back_abs, back_cut],
    '5.3': [inner_one, inner_dims, inner_back_twice, inner_halves],
    '5.4': [Shorter, Records, Popped, Children, ReLUFirst],
    '5.5': [deconv_ones, deconv_strong, deconv_normed, deconv_first, deconv_squared, deconv_twice],
    '5.6': [10, 6, '13', 24],
    '5.7': [field_size, field_centre, field_swapped, field_list],
    '5.8': [strongest_values, strongest_flat, strongest_stacked, strongest_from_one],
    '5.9': [mask_float, mask_random, mask_colours, mask_places],
    '5.10': [place_float, place_window, place_minus, place_next],
    '5.11': [message_one, message_all, message_axis, message_distance],
}
