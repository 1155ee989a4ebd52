"Chapter 05: other right answers, in other styles; each must be accepted."
import torch, torch.nn.functional as F
from torch import nn

from camtutor.deconvnet import BACK, DeconvNet as Machine, SWITCHES, in_sequence, look
from camtutor.engine.targets import At
from camtutor.exercises.ch05 import MachineByGradient, filter_back, unpool
from camtutor.gradcam import capture
from camtutor.guided import ReLURule, pixel_grad, signed_image, unit_mask

def pool_unfold(x):
    H, W = x.shape[2:]
    place = torch.arange(H*W).view(H, W)
    def windows(t): return t.unflatten(-1, (W//2, 2)).unflatten(-3, (H//2, 2)).transpose(-3, -2).flatten(-2)
    best, at = windows(x).max(-1)
    return best, windows(place).expand(*best.shape, 4).gather(-1, at[..., None])[..., 0]

def pool_module(x): return nn.MaxPool2d(2, return_indices=True)(x)

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

def inner_grad(conv, x, y):
    x = x.detach().clone().requires_grad_()
    ahead = conv(x) - conv(torch.zeros_like(x))
    back, = torch.autograd.grad(ahead, x, y, retain_graph=True)
    return torch.dot(ahead.flatten(), y.flatten()), torch.dot(x.flatten(), back.flatten())

def inner_einsum(conv, x, y):
    ahead = conv(x) - conv.bias[:, None, None]
    return torch.einsum('ncij,ncij->', ahead, y), torch.einsum('ncij,ncij->', x, filter_back_input(y, conv, x.shape))

def layer_back_torch(y, conv, idx, pooled, read):
    up = F.max_unpool2d(y, idx, 2, output_size=tuple(pooled[2:]))
    return filter_back_input(up.clamp(min=0), conv, read)

def layer_back_early(y, conv, idx, pooled, read): return filter_back_grad(unpool(F.relu(y), idx, pooled), conv, read)

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

def deconvnet_capture(model, x, target=None):
    with ReLURule('deconvnet'):
        if not isinstance(target, At): return capture(model, x, 'input', target).grads
        upto = nn.Sequential(*[m for _, m in steps_to(model, target.layer)])
        return capture(upto, x, 'input', lambda A: weigh(A, target)).grads

def steps_to(model, layer):
    pairs = in_sequence(model)
    return pairs[:[n for n, _ in pairs].index(layer) + 1]

def field_backwards(layers):
    size, step = 1, 1
    for k, s in reversed(layers): size, step = (size - 1)*s + k, step*s
    return size, step

def field_recursive(layers):
    if not layers: return 1, 1
    size, step = field_recursive(layers[:-1])
    return size + (layers[-1][0] - 1)*step, step*layers[-1][1]

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

def crop_by_pixel(x, field, rows, cols, fill=0.):
    N, C, H, W = x.shape
    out = torch.full((N, C, field.size, field.size), float(fill))
    for n in range(N):
        for i in range(field.size):
            for j in range(field.size):
                r, c = int(rows[n])*field.step + field.start + i, int(cols[n])*field.step + field.start + j
                if 0 <= r < H and 0 <= c < W: out[n, :, i, j] = x[n, :, r, c]
    return out

def crop_indexed(x, field, rows, cols, fill=0.):
    span, n = torch.arange(field.size), torch.arange(len(x))[:, None, None, None]
    r, c = [(at[:, None]*field.step + field.start + span + 50) for at in (rows, cols)]
    return F.pad(x, [50]*4, value=fill)[n, torch.arange(x.shape[1])[:, None, None], r[:, None, :, None],
                                        c[:, None, None, :]]

def swap_in_place(machine, how):
    for i, (m, (shape, idx)) in enumerate(machine.seen):
        if isinstance(m, nn.MaxPool2d):
            machine.seen[i] = m, type(machine.seen[i][1])(shape, SWITCHES[how](idx, shape[-1]))
    return machine

def swap_by_hand(machine, how):
    def changed(idx, w):
        if how == 'other': return torch.cat([idx[-1:], idx[:-1]])
        return idx - idx//w % 2*w - idx % w % 2 if how == 'first' else idx
    machine.seen = [(m, s if s.idx is None else s._replace(idx=changed(s.idx, s.shape[3]))) for m, s in machine.seen]
    return machine

def project_loop(model, x, layer, channel=None, whole=True, switches='own', clip=99.5):
    kept = []
    with torch.no_grad():
        for name, m in in_sequence(model):
            before = tuple(x.shape)
            x, memory = look(m, x)
            if memory.idx is not None: memory = type(memory)(before, SWITCHES[switches](memory.idx, before[3]))
            kept.insert(0, (m, memory))
            if name == layer: break
        y = torch.where(unit_mask(x, channel, whole) > 0, x, 0.)
        for m, memory in kept: y = BACK[type(m)](y, m, memory)
    return signed_image(y, clip=clip)

def project_draws(model, x, layer, channel=None, whole=True, switches='own', clip=99.5):
    machine = Machine(model)
    y = machine(x, layer=layer)
    y = y*unit_mask(y, channel=channel, whole=whole)
    y = swap_by_hand(machine, switches).project(y)
    top = torch.stack([p.abs().flatten().sort().values[-(-round(p.numel()*clip*10)//1000) - 1] for p in y])
    return (y/top[:, None, None, None]/2 + .5).clamp(0, 1)

ANSWERS = {
    '5.1': (pool_unfold, pool_module),
    '5.2': (unpool_loop, unpool_one_hot),
    '5.3': (filter_back_grad, filter_back_input, filter_back_paint),
    '5.4': (inner_grad, inner_einsum),
    '5.5': (layer_back_torch, layer_back_early),
    '5.6': (MachineOfClosures, MachineByGradient),
    '5.7': (deconvnet_one_line, deconvnet_capture),
    '5.8': (field_backwards, field_recursive),
    '5.10': (field_of_two_units, field_from_windows),
    '5.11': (strongest_sort, strongest_unravel),
    '5.12': (crop_by_pixel, crop_indexed),
    '5.13': (swap_in_place, swap_by_hand),
    '5.14': (project_loop, project_draws),
}
