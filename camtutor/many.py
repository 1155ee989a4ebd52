"The work of `explain_all`: pictures of one size go through the network, or a quick copy of it, together."
from dataclasses import replace

from camtutor.engine.fast import channels_last, fast as quick_copy
from camtutor.engine.forward import layer_name, plain_name
from camtutor.engine.inputs import network, stacked, vocab_of
from camtutor.engine.layers import last_layer
from camtutor.engine.sources import Failed, Row
from camtutor.engine.targets import by_number
from camtutor.errors import CamError, doing
from camtutor.fields import fields_of_batch, one_layer
from camtutor.methods import METHODS

def size_of(row):
    "What rows must share to go together; None of what could not be read."
    return tuple(row.x.shape) if isinstance(row, Row) else None

class Work:
    "What is done with a list of rows of one size."
    def __init__(self, made, model, method, layer, target, transform, kwargs, fast): # made: fields -> an Explanation
        self.made, self.model, self.method, self.layer, self.target = made, model, method, layer, target
        self.transform, self.kwargs, self.fast, self.runs, self.sizes = transform, kwargs, fast, None, set()

    def __call__(self, rows)->list: # of Explanations; of Failed where the network cannot take pictures of this size
        x = stacked([r.x for r in rows])
        try: e = self.explained(rows, x)
        except CamError as why:
            if not self.sizes or x.shape[1:] in self.sizes: raise   # it is not the size
            return [Failed(r.name, str(why)) for r in rows]
        self.sizes.add(x.shape[1:])
        return [replace(one, source=[r.name], seen=[r.seen]) for r, one in zip(rows, e)]

    def explained(self, rows, x):
        "The explanation of a batch, on the CPU."
        target = [self.target[r.number] for r in rows] if isinstance(self.target, (list, tuple)) else self.target
        if self.fast and self.runs is None: speed_up(self, x, target)
        found = fields_of_batch(self.model, channels_last(x) if self.fast else x, self.method, self.layer, target,
                                self.transform, **self.kwargs, runs=self.runs)
        return self.made(**found).cpu()

def speed_up(work, x, target):
    "Give the work a quick copy of its network; the layer by its name, which means the same in both."
    row, vocab = METHODS[work.method], vocab_of(work.model, work.kwargs.get('vocab'))
    with doing(row.title):
        if work.layer is not None: work.layer = layer_name(network(work.model), one_layer(work.layer, row))
        elif row.needs != 'network': work.layer = last_layer(work.model, x, by_number(target, vocab))
        work.runs = quick_copy(work.model, x, layer=plain_name(work.layer))
