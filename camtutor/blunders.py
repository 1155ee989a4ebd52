"A network's worst mistakes on some data, each with two maps. The data is gone through once: the worst so far are kept."
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from camtutor.engine.ask import scores
from camtutor.engine.inputs import probabilities, vocab_of
from camtutor.errors import CamError, doing
from camtutor.fields import fields_of_batch, picture_of
from camtutor.labelled import labelled, numbers_of, same_random
from camtutor.methods import method_name
from camtutor.metrics import Case, masked
from camtutor.mistakes import cause, counts_of, loss_of, outside, overlap, top_places
from camtutor.sheets import figure_of, jpeg_of, sheet_of

__all__ = ['Mistake', 'cause_of', 'show_mistake', 'Mistakes', 'Wrong', 'wrong_in', 'worst', 'seen_by', 'looked_at',
           'top_mistakes']

class Mistake(NamedTuple):
    "A picture that a network got wrong, and what its two maps say."
    number:int      # its place in the data
    name:str        # what it is called
    x:Tensor        # what the network read (3,H,W), normalised
    picture:Tensor  # the same for the eye, 0 to 1
    said:str        # class names
    true:str
    loss:float
    p_said:float    # probabilities
    p_true:float
    map_said:Tensor # (H,W)
    map_true:Tensor
    overlap:float   # see `cause`
    alone_said:float
    alone_true:float
    outside:float   # NaN where nobody knows where the thing is

def cause_of(m:Mistake, **thresholds)->str: # near=, high=, off=; see `cause`
    "The cause of a mistake by the rule."
    return cause(m.overlap, m.alone_said, m.alone_true, m.outside, **thresholds)

def show_mistake(m:Mistake, **thresholds): # a figure
    "The picture, both maps, and their places: orange what was said, blue what was true, white both."
    return figure_of(m, top_places, cause_of(m, **thresholds))

@dataclass(frozen=True, eq=False, repr=False)
class Mistakes:
    "The worst mistakes of a network on some data, the worst first."
    items:list    # of `Mistake`
    counts:Tensor # of all pictures: how often each class (row) was called each class (column) (K,K)
    vocab:list    # class names
    method:str    # of the maps

    def __len__(self): return len(self.items)
    def __getitem__(self, i): return self.items[i]
    def __repr__(self):
        n = int(self.counts.sum())
        return f'Mistakes({n - int(self.counts.trace())} of {n} pictures were wrong; {len(self)} are here)'

    def causes(self, **thresholds)->Counter: # cause -> how many
        "How often the rule names each cause; see `cause` for the thresholds."
        return Counter(cause_of(m, **thresholds) for m in self.items)

    def sheet(self, most=None, **thresholds): # a figure
        "Picture and both maps of each mistake, and its cause by the rule."
        some = self.items[:most]
        return sheet_of(some, top_places, [cause_of(m, **thresholds) for m in some])

    def _repr_jpeg_(self): return jpeg_of(self.sheet(most=12)) if len(self) else None

class Wrong(NamedTuple):
    "A mistake before anybody has looked at it."
    loss:float; number:int; name:str; x:Tensor; said:int; true:int; p_said:float; p_true:float; thing:Tensor

def wrong_in(b, p, y, first)->list:
    "What is wrong in a batch, whose first picture has the number `first`."
    loss, said = loss_of(p, y), p.argmax(1)
    return [Wrong(loss[i].item(), first + i, b.names[i], b.x[i], said[i].item(), y[i].item(),
                  p[i, said[i]].item(), p[i, y[i]].item(), b.things[i])
            for i in (said != y).nonzero()[:, 0].tolist()]

def worst(model, batches, n=None)->tuple: # list of Wrong, counts (K,K)
    "The `n` wrong pictures with the largest loss, and how often each class was called each."
    kept, counts = [], None
    for b in batches:
        p = probabilities(model, scores(model, b.x))
        if p is None: raise CamError("the network gives no probabilities of classes, so it makes no such mistakes.")
        p, y = p.cpu(), numbers_of(model, b.y, p.shape[1], b.names)
        kept += wrong_in(b, p, y, 0 if counts is None else int(counts.sum()))
        counts = counts_of(y, p.argmax(1), p.shape[1]) + (0 if counts is None else counts)
        kept = sorted(kept, key=lambda w: -w.loss)[:n]
    if counts is None: raise CamError("the data holds no picture.")
    return kept, counts

def seen_by(model, x, classes, method, layer, transform):
    "For one class of each picture: the maps, the probability of what they mark alone, pixels of half a cell."
    found = fields_of_batch(model, x, method, layer, classes, transform)
    m = found['map']
    c = Case(model, x, m, torch.tensor(classes, device=x.device), p=None, noted={})   # p is known
    return m.cpu(), masked(c)[1].cpu(), x.shape[-1] // found['raw'].shape[-1] // 2

def looked_at(model, wrong, method, layer, transform, names)->list: # of Mistake
    "Some wrong pictures, looked at."
    x = torch.stack([w.x for w in wrong])
    said, alone_said, margin = seen_by(model, x, [w.said for w in wrong], method, layer, transform)
    true, alone_true, _ = seen_by(model, x, [w.true for w in wrong], method, layer, transform)
    a, b, pictures = top_places(said), top_places(true), picture_of(model, x, transform).cpu()
    both = overlap(a, b)
    off = [float('nan') if w.thing is None else outside(a[i:i+1], w.thing[None], margin).item()
           for i, w in enumerate(wrong)]
    return [Mistake(w.number, w.name, w.x, pictures[i], names[w.said], names[w.true], w.loss, w.p_said, w.p_true,
                    said[i], true[i], both[i].item(), alone_said[i].item(), alone_true[i].item(), off[i])
            for i, w in enumerate(wrong)]

@doing('Looking for mistakes')
def top_mistakes(
    model,             # a network, or a fastai Learner
    data=None,         # None: the Learner's validation set | DataLoader | folder of folders | list of (picture, label)
    n:int=9,           # how many; None = all
    method='grad_cam', # of the maps: a key of METHODS
    layer=None,        # as for `explain`
    transform=None,    # as for `explain`
    bs:int=32,         # pictures at a time
)->Mistakes:
    """The mistakes with the largest loss, the worst first, each with its two maps; see `labelled` for the data.

    `CamError` for pictures without labels, and for labels that are no class of the network."""
    method = method_name(method)
    with same_random(): wrong, counts = worst(model, labelled(model, data, transform, bs), n)
    names = vocab_of(model) or [f'class {k}' for k in range(len(counts))]
    parts = [wrong[i:i + bs] for i in range(0, len(wrong), bs)]
    items = [m for part in parts for m in looked_at(model, part, method, layer, transform, names)]
    return Mistakes(items, counts, names, method)
