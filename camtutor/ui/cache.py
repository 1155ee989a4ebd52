"One forward pass, kept: everything that a slider asks for afterwards is small."
from collections import OrderedDict

import torch

from camtutor.engine.forward import Forward
from camtutor.engine.inputs import network
from camtutor.engine.layers import map_layers
from camtutor.engine.targets import At, class_numbers, score_matrix
from camtutor.errors import CamError, doing, nearest

def versions(net):
    "How often each weight and statistic was written into."
    return [None if t.is_inference() else t._version for t in (*net.parameters(), *net.buffers())]

class CamCache:
    "One forward pass, kept: activations and gradients of any class at any layer, each backward pass made once."
    def __init__(self, model, # a network, or a fastai Learner
                 x, # a batch it takes
                 layers=None, # their names in order of execution; None = all that `map_layers` finds
                 keep_mb=256): # memory for gradients; those of the class unused for longest go first
        net = network(model)
        with doing('Exploring'): self.forward = Forward(net, x, list(layers or map_layers(net, x)))
        self.layers, self.out, self.vocab = self.forward.names, self.forward.out, self.forward.vocab
        self.keep_mb, self.kept, self.backwards, self.versions = keep_mb, OrderedDict(), 0, versions(net)

    def __repr__(self):
        return f'CamCache({len(self.layers)} layers, {len(self.kept)} classes, {self.mb:.1f} MB of gradients)'

    @property
    def mb(self):
        "Megabytes of gradients that are kept now."
        return sum(g.nbytes for grads in self.kept.values() for g in grads.values() if g is not None) / 1e6

    def get(self,
            layer:str, # one of `self.layers`
            target=None, # a class number or name, one for each image, None for the top class, or a callable out -> (N,)
           )->tuple: # A, g: activations and gradients (N,C,*places)
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

    def key(self, target):
        "A target under which gradients can be kept: plain numbers, which nobody can write into."
        if target is None or callable(target) or isinstance(target, At): return target
        numbers = class_numbers(target, *score_matrix(self.out).shape, self.vocab)
        return tuple(numbers) if len(set(numbers)) > 1 else numbers[0]

    def backward(self, target, layers)->dict: # layer -> gradient
        "Gradients of one score at `layers`; the graph stays for the next score."
        self.backwards += 1
        try: chunks = list(self.forward.grads(target, layers, again=True))
        except RuntimeError as e:
            if versions(self.forward.model) == self.versions: raise
            raise CamError("the network's weights have changed since this cache was made. Make a new one.") from e
        return {n: g[0] if len(g) == 1 or g[0] is None else torch.cat(g) for n, g in zip(layers, zip(*chunks))}

    def keep(self, target, grads):
        "Keep gradients, and let go of those that were unused for longest."
        self.kept[target] = grads
        self.kept.move_to_end(target)
        while self.mb > self.keep_mb and len(self.kept) > 1: self.kept.popitem(last=False)

    def free(self):
        "Let go of the graph and of everything kept."
        self.forward = None
        self.kept.clear()
