"Chapter 05: other right answers, in other styles; each must be accepted."
import torch, torch.nn.functional as F
from torch import nn

from camtutor.engine.sequence import in_sequence
from camtutor.engine.targets import At
from camtutor.exercises.ch05 import MachineByGradient, filter_back, unpool
from camtutor.gradcam import capture
from camtutor.guided import ReLURule, pixel_grad

def unpool_loop(y, idx, shape):
    out = torch.zeros(shape)
    for n in range(shape[0]):
        for c in range(shape[1]):
            for v, at in zip(y[n, c].flatten().tolist(), idx[n, c].flatten().tolist()):
                out[n, c, at//shape[3], at % shape[3]] += v
    return out

def unpool_one_hot(y, idx, shape):
    place = F.one_hot(idx.flatten(2), shape[2]*shape[3]).to(y.dtype)
    return torch.einsum('ncip,nci->ncp', place, y.flatten(2)).reshape(shape)

def filter_back_grad(y, conv, shape):
    x = torch.zeros(shape, requires_grad=True)
    return torch.autograd.grad(conv(x), x, y)[0]

def filter_back_input(y, conv, shape):
    return torch.nn.grad.conv2d_input(tuple(shape), conv.weight, y, conv.stride, conv.padding)

def filter_back_paint(y, conv, shape):
    (sh, sw), (ph, pw), (kh, kw) = conv.stride, conv.padding, conv.kernel_size
    out = torch.zeros(shape[0], shape[1], shape[2] + 2*ph, shape[3] + 2*pw)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            out[:, :, i*sh:i*sh+kh, j*sw:j*sw+kw] += torch.einsum('nd,dcij->ncij', y[:, :, i, j], conv.weight)
    return out[:, :, ph:ph+shape[2], pw:pw+shape[3]]

def inner_dot(there, back, x, y):
    constant = there(x - x)
    return torch.dot((there(x) - constant).flatten(), y.flatten()), torch.dot(x.flatten(), back(y).flatten())

def inner_python(there, back, x, y):
    pairs = (there(x) - there(0*x), y), (x, back(y))
    return [sum(a*b for a, b in zip(p.flatten().tolist(), q.flatten().tolist())) for p, q in pairs]

class MachineOfClosures:
    def __init__(self, model): self.model, self.back = model, []
    @torch.no_grad()
    def __call__(self, x, layer=None):
        self.back = []
        for name, m in in_sequence(self.model):
            shape, switches = x.shape, None
            if isinstance(m, nn.MaxPool2d):
                x, switches = F.max_pool2d(x, m.kernel_size, m.stride, m.padding, return_indices=True)
            else: x = m(x)
            self.back.insert(0, lambda y, m=m, shape=shape, switches=switches: self.undo(m, y, shape, switches))
            if name == layer: return x
        return x
    @torch.no_grad()
    def undo(self, m, y, shape, switches):
        if isinstance(m, nn.MaxPool2d): return unpool(y, switches, shape)
        return F.relu(y) if isinstance(m, nn.ReLU) else filter_back(y, m, shape)
    def project(self, y):
        for step in self.back: y = step(y)
        return y

def deconvnet_one_line(model, x, target=None):
    weighed = target
    if isinstance(target, At): weighed = At(target.layer, lambda A: weigh(A, target), target.title)
    return pixel_grad(model, x, weighed, 'deconvnet')

def weigh(A, target):
    mask, = torch.autograd.grad(target.fn(A).sum(), A, retain_graph=True)
    return (A*(A*mask).detach()).sum((1, 2, 3))

def deconvnet_mask(model, x, target=None):
    if not isinstance(target, At): return pixel_grad(model, x, target, 'deconvnet')
    return pixel_grad(model, x, At(target.layer, lambda A: target.fn(A, weigh=True), target.title), 'deconvnet')

def deconvnet_capture(model, x, target=None):
    with ReLURule('deconvnet'):
        if not isinstance(target, At): return capture(model, x, 'input', target).grads
        return capture(model, x, 'input', At(target.layer, lambda A: weigh(A, target), target.title)).grads

def windows_up_to(model, layer):
    "(kernel, stride, padding) of each layer with windows, as far as `layer`."
    def one(v): return v if isinstance(v, int) else v[0]
    mine = list(model)[:[n for n, _ in model.named_children()].index(layer) + 1]
    return [(one(m.kernel_size), one(m.stride), one(m.padding)) for m in mine if hasattr(m, 'kernel_size')]

def field_of_two_units(model, layer):
    def seen(i):
        low = high = i
        for k, s, p in reversed(windows_up_to(model, layer)): low, high = low*s - p, high*s - p + k - 1
        return low, high
    (low, high), (after, _) = seen(0), seen(1)
    return high - low + 1, after - low, low

def field_from_windows(model, layer):
    size, step, start = 1, 1, 0
    for k, s, p in windows_up_to(model, layer):
        start -= p*step
        size += (k - 1)*step
        step *= s
    return size, step, start

def strongest_sort(A, channel, k=9):
    maps = A[:, channel]
    images = maps.amax((1, 2)).argsort(descending=True)[:k]
    where = [divmod(maps[i].argmax().item(), A.shape[3]) for i in images]
    return images, torch.tensor([r for r, _ in where]), torch.tensor([c for _, c in where])

def strongest_unravel(A, channel, k=9):
    best = A[:, channel].amax((-1, -2)).topk(k).indices
    r, c = torch.unravel_index(A[best, channel].flatten(1).argmax(1), A.shape[2:])
    return best, r, c

def contrast_threshold(x, soft, d, k):
    change = (soft - x).abs().max(1).values.masked_fill(d <= 0, -1)
    return (change.flatten(1) >= change.flatten(1).topk(k).values[:, -1:]).view(len(x), 1, *x.shape[2:])

def contrast_loop(x, soft, d, k):
    mask = torch.zeros(len(x), 1, *x.shape[2:], dtype=torch.bool)
    for n in range(len(x)):
        change = torch.where(d[n] > 0, (x[n] - soft[n]).abs().amax(0), 0.)
        for at in change.flatten().argsort(descending=True)[:k].tolist():
            mask[n, 0, at//x.shape[3], at % x.shape[3]] = True
    return mask

def first_place_parity(idx, w): return idx - idx//w % 2*w - idx % w % 2

def first_place_windows(idx, w):
    row, col = torch.div(idx, 2*w, rounding_mode='floor'), (idx % w)//2
    return 2*w*row + 2*col

def message_loop(model, x, target, rule):
    d = [pixel_grad(model, p[None], target, rule).flatten() for p in x]
    return sum(float(d[i] @ d[i-1]/(d[i].norm()*d[i-1].norm())) for i in range(len(d)))/len(d)

def message_normed(model, x, target, rule):
    d = F.normalize(pixel_grad(model, x, target, rule).flatten(1))
    return torch.einsum('ni,ni->n', d, torch.cat([d[-1:], d[:-1]])).mean()

ANSWERS = {
    '5.1': (unpool_loop, unpool_one_hot),
    '5.2': (filter_back_grad, filter_back_input, filter_back_paint),
    '5.3': (inner_dot, inner_python),
    '5.4': (MachineOfClosures, MachineByGradient),
    '5.5': (deconvnet_one_line, deconvnet_mask, deconvnet_capture),
    '5.7': (field_of_two_units, field_from_windows),
    '5.8': (strongest_sort, strongest_unravel),
    '5.9': (contrast_threshold, contrast_loop),
    '5.10': (first_place_parity, first_place_windows),
    '5.11': (message_loop, message_normed),
}
