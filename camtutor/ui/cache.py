"One forward pass, kept: everything that a slider asks for afterwards is small."
from collections import OrderedDict

from torch import Tensor

from camtutor.errors import CamError, doing, nearest
from camtutor.explain import net_of
from camtutor.gradcam import Forward, class_score, map_layers, plain

def versions(net):
    "How often each weight and statistic was written into."
    return [None if t.is_inference() else t._version for t in (*net.parameters(), *net.buffers())]

class CamCache:
    "One forward pass, kept: activations and gradients of any class at any layer, each backward pass made once."
    def __init__(self, model, # a network, or a fastai Learner
                 x:Tensor, # normalised batch (N,3,H,W)
                 layers=None, # their names in order of execution; None = all that `map_layers` finds
                 keep_mb=256): # memory for gradients; those of the class unused for longest go first
        net = net_of(model)
        with doing('Exploring'): self.forward = Forward(net, x, list(layers or map_layers(net, x)))
        self.layers, self.out = self.forward.names, self.forward.out
        self.keep_mb, self.kept, self.backwards, self.versions = keep_mb, OrderedDict(), 0, versions(net)

    def __repr__(self):
        return f'CamCache({len(self.layers)} layers, {len(self.kept)} classes, {self.mb:.1f} MB of gradients)'

    @property
    def mb(self):
        "Megabytes of gradients that are kept now."
        return sum(g.nbytes for grads in self.kept.values() for g in grads.values() if g is not None) / 1e6

    def key(self, target):
        "A target under which gradients can be kept. `CamError` for what is none."
        if target is None or callable(target): return target
        class_score(self.out, target)
        target = plain(target)
        return tuple(map(plain, target)) if isinstance(target, (list, tuple, range)) else target

    def backward(self, target, layers):
        "Gradients of one score at `layers`; the graph stays for the next score."
        self.backwards += 1
        try: return dict(zip(layers, self.forward.each(lambda name, g: g, target, layers, again=True)))
        except RuntimeError as e:
            if versions(self.forward.model) == self.versions: raise
            raise CamError("the network's weights have changed since this cache was made. Make a new one.") from e

    def get(self,
            layer:str, # one of `self.layers`
            target=None, # a class number, N of them, None for the top class, or a callable out -> (N,)
           )->tuple: # A, g: activations and gradients (N,C,h,w)
        "Activations and gradients, as the formulas want them: at most two backward passes for each target."
        with doing('Exploring'):
            if self.forward is None:
                raise CamError('this cache was emptied, since another picture was chosen. Make a new one.')
            if layer not in self.layers: raise CamError(f'no layer {layer!r} was kept. {nearest(layer, self.layers)}')
        with doing(f'Exploring at {layer!r}'):
            target = self.key(target)
            grads = self.kept.get(target, {})
            if layer not in grads:
                grads = self.backward(target, self.layers[0 if grads else self.layers.index(layer):])
            self.keep(target, grads)
            return self.forward.pair(layer, grads[layer])

    def keep(self, target, grads):
        "Keep gradients, and let go of those that were unused for longest."
        self.kept[target] = grads
        self.kept.move_to_end(target)
        while self.mb > self.keep_mb and len(self.kept) > 1: self.kept.popitem(last=False)

    def free(self):
        "Let go of the graph and of everything kept."
        self.forward = None
        self.kept.clear()
