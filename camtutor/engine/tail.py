"""What follows a layer, run again for other activations, without what comes before it."""
# One pass is recorded. In a copy of the network that shares its weights, every module that had ended when the layer
# ended hands out what it gave then; what stands between modules runs again, on those. Whether that is the same network
# is tried out once. Where it is not, the whole network runs, with a hook that exchanges what the layer gives.
from contextlib import contextmanager
from threading import get_ident

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from camtutor.engine.forward import key_of, layer_name, run, without_graph
from camtutor.engine.graft import graft
from camtutor.engine.inputs import network
from camtutor.engine.targets import map_tensors
from camtutor.engine.trace import map_inputs, spread
from camtutor.errors import CamError

class Given(nn.Module):
    "Stands in a layer's place: hands out what it is given, in the run that is meant."
    def __init__(self, layer, nr):
        super().__init__()
        self.layer, self.nr, self.runs, self.value = layer, nr, 0, None

    def forward(self, *args, **kwargs):
        self.runs += 1
        return self.value if self.runs == self.nr + 1 else self.layer(*args, **kwargs)

class Replayed(nn.Module):
    "Stands in the place of a module that had ended before: hands out what it gave, for any number of images."
    def __init__(self, module, outs):
        super().__init__()
        self.module, self.outs, self.runs, self.n = module, outs, 0, 1

    def forward(self, *args, **kwargs):
        if self.runs == len(self.outs): return self.module(*args, **kwargs)
        self.runs += 1
        return map_tensors(lambda t: spread(t, self.n), self.outs[self.runs - 1])

@contextmanager
def hooked(modules, hook):
    "A forward hook on each of these modules inside the `with`."
    handles = []
    try: yield handles.extend(m.register_forward_hook(hook) for m in modules)
    finally:
        for h in handles: h.remove()

def ended_before(model, x, layer, nr):
    "What the network gives, what the layer gave in run `nr`, and what had ended by then: module -> its outputs."
    ended, found, me = {}, [], get_ident()
    def note(m, args, out):
        if found or get_ident() != me: return
        ended.setdefault(m, []).append(map_tensors(Tensor.clone, out))
        if m is layer and len(ended[m]) == nr + 1: found.append(ended[m][-1])
    with hooked(set(model.modules()), note): out = run(model, x)
    if found and isinstance(found[0], Tensor): return out, found[0], ended
    name = layer_name(model, layer)
    raise CamError(f"the layer {name!r} never ran, or gave no tensor. Give one that the model uses.")

class Tail:
    "What follows a layer of a network, for one image: called with other activations it gives what the network would."
    def __init__(self, model, x, layer, axis=0): # x: one image; axis: where the layer's output has the image
        self.model, self.x, self.axis = network(model), x, axis
        key = key_of(self.model, layer)
        if isinstance(key, str): raise CamError("the batch itself is no layer with channels to leave out.")
        self.layer, self.nr = key[0], key[1] or 0
        with without_graph(self.model):
            self.out, self.acts, ended = ended_before(self.model, x, self.layer, self.nr)
            self.given = Given(self.layer, self.nr)
            self.replayed = [Replayed(m, outs) for m, outs in ended.items() if m is not self.layer]
            swap = {r.module: r for r in self.replayed if not holds(r.module, self.layer)}
            self.net = graft(self.model, swap | {self.layer: self.given})
            self.short = axis == 0 and self.is_right()

    def is_right(self)->bool:
        "Does the copy give what the network gave, also for two images?"
        try: again = self.shortcut(self.acts.expand(2, *self.acts.shape[1:]).clone())
        except Exception: return False   # whatever a forward of its own does with modules that are no longer there
        return all(close(a, b[:1], 1e-4) and close(a, b[1:], 1e-4)
                   for a, b in zip(tensors(self.out), tensors(again)) if a.ndim and len(a) == 1)

    def images(self, n): return map_inputs(lambda t: spread(t, n), self.x)

    def shortcut(self, acts):
        for m in (self.given, *self.replayed): m.runs = 0
        for m in self.replayed: m.n = len(acts)
        self.given.value = acts
        try: return run(self.net, self.images(len(acts)))
        finally: self.given.value = None

    def whole(self, acts):
        "The same by the whole network."
        nr, me = [-1], get_ident()
        def exchange(m, args, out):
            if get_ident() == me: nr[0] += 1
            return acts if nr[0] == self.nr and get_ident() == me else None
        with hooked([self.layer], exchange): return run(self.model, self.images(acts.shape[self.axis]))

    def __call__(self, acts:Tensor): # as many as one likes, laid out as the layer's own
        "What the network gives for these activations of the layer; they may be overwritten."
        with without_graph(self.model): return self.shortcut(acts) if self.short else self.whole(acts)

def close(a, b, off):
    "Is `b` like `a`, but for this share of its largest value?"
    a, b = a.float(), b.float()
    return a.shape == b.shape and bool((a - b).abs().max() <= off * a.abs().max())

def holds(m, layer): return any(child is layer for child in m.modules())

def tensors(out): return [t for t in tree_leaves(out) if isinstance(t, Tensor)]
