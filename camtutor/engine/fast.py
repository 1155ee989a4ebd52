"""The same network, faster: batch norm folded into the convolution before it, channels last, and no more pictures at a
time than suit the machine."""
from copy import copy
from math import prod
from threading import get_ident

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from camtutor.engine.forward import run, without_graph
from camtutor.engine.graft import graft
from camtutor.engine.inputs import network
from camtutor.engine.tail import close, hooked, tensors
from camtutor.engine.trace import first_of

NORMS = nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d
CONVOLUTIONS = nn.Conv1d, nn.Conv2d, nn.Conv3d

def pairs_of(model, x):
    "What the network gives, and each convolution with the batch norm that reads it alone; both run once."
    seen, me = [], get_ident()
    def note(m, args, out):
        if isinstance(m, CONVOLUTIONS + NORMS) and get_ident() == me: seen.append((m, args[0], out))
    with hooked(set(model.modules()), note): out = run(model, x)
    once = [s for s in seen if sum(t[0] is s[0] for t in seen) == 1]
    made = {id(out): m for m, _, out in once if isinstance(m, CONVOLUTIONS)}
    pairs = {made[id(came)]: m for m, came, _ in once if isinstance(m, NORMS) and id(came) in made}
    return out, {c: b for c, b in pairs.items() if b.running_mean is not None and not watched(c) and not watched(b)}

def watched(m):
    "Has somebody a hook on it, who wants to see what it gives?"
    return bool(m._forward_hooks or m._forward_pre_hooks)

def channels_last(t):
    "Pictures, or the kernels that read them, with their channels last in memory."
    return t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t

def quick(conv, norm=None):
    "A convolution with channels last, that does the work of the batch norm behind it too."
    w, b = conv.weight, conv.bias
    if norm is not None:
        w, b = fuse_conv_bn_weights(w, b, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    new = copy(conv)
    new.__dict__['_parameters'] = dict(weight=nn.Parameter(channels_last(w.detach()), False),
                                       bias=None if b is None else nn.Parameter(b.detach(), False))
    return new

def besides(norm)->nn.Module:
    "What a batch norm does besides, such as the activation that timm has in it."
    return nn.Sequential(*norm.children()) if norm._modules else nn.Identity()

def fast(
    model,        # a network, or a fastai Learner
    x,            # a batch that it takes
    off:float=1e-4, # how far its output may be from the network's, relative to the largest value
    layer=None,     # the name of a layer that must give what the network's gives
)->nn.Module:     # in eval mode; the network itself where the copy does not give the same
    "A copy for many passes: batch norm folded, channels last. It shares the rest, hooks too, with the network."
    net = network(model)
    with without_graph(net):
        out, pairs = pairs_of(net, x := first_of(x))
        inside = set(dict(net.named_modules()).get(layer, nn.Identity()).modules()) if layer else set()
        pairs = {c: b for c, b in pairs.items() if b in inside or c not in inside}
        plain = {m for m in net.modules() if isinstance(m, CONVOLUTIONS)}
        swap = {c: quick(c, pairs.get(c)) for c in plain} | {b: besides(b) for c, b in pairs.items() if c in plain}
        copied = graft(net, swap)
        try: again = run(copied, channels_last(x) if isinstance(x, Tensor) else x)
        except Exception: return net   # a forward of its own reads what is no longer there
    return copied if all(close(a, b, off) for a, b in zip(tensors(out), tensors(again))) else net

def at_once(x)->int:
    "How many of these go through a network together: on a processor, as many pictures as its cache can hold."
    if x.ndim < 3: return 64 # texts
    return max(1, round((CACHED if x.device.type == 'cpu' else CARD) / prod(x.shape[2:])))

CACHED = 4e5 # places: 8 pictures of 224×224, of which 32 together take a tenth to a half longer
CARD = 16 * CACHED # places: 128 of them; an H100 takes 1.4 to 1.8 times as long with 32 at a time
