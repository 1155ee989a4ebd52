"""Which layers can be drawn, and which of them is the default: the last with places on which the score depends."""
from itertools import chain
from math import prod

import torch
from torch import Tensor

from camtutor.engine.forward import Forward, check_batch
from camtutor.engine.inputs import network
from camtutor.engine.targets import scores_of, tensors_of
from camtutor.engine.trace import main_input, places_in, places_of, reused, shapes_of, trace_of
from camtutor.errors import CamError

FEW = 4  # layers that are tried first, from the end

def drawn_shapes(model, x)->dict:
    "The layers that may be drawn: name -> (C,*places) for one picture of this size; also those with one place."
    trace, shapes, size = trace_of(model, x), shapes_of(model, x), places_of(x)
    found = {}
    for l in trace.layers:
        s = shapes.get(l.name)
        if not s: continue
        grids = {l.layout.grid_of: shapes[l.layout.grid_of][2:]} if l.layout.grid_of in shapes else {}
        found[l.name] = s[1] if l.layout.kind in ('first', 'columns') else s[-1], *places_in(s, l.layout, size, grids)
    return found

def map_layers(
    model, # a network, or a fastai Learner
    x,     # a batch it takes; only its first picture is used
)->dict:   # name -> (C,*places), in order of execution
    """The layers of a network that can be drawn: stacks of maps in either layout, a transformer's blocks.

    `CamError` if there is none."""
    model = network(model)
    check_batch(model, x)
    norms = trace_of(model, x).norms
    shapes = {n: s for n, s in drawn_shapes(model, x).items() if prod(s[1:]) > 1}
    default = last_layer(model, x) if norms else ''
    found = {n: s for n, s in shapes.items() if n not in norms or n == default}
    if found: return found
    raise CamError(f"no layer of this {type(model).__name__} gave maps of more than one place for a batch "
                   f"{tuple(main_input(x).shape)}, or all of them ran more than once. "
                   "Name one run of a layer, such as ('body', 0).")

def stage_ends(model, x)->list: # of names
    "The last layer on each grid, from the finest to the coarsest."
    return list({shape[1:]: name for name, shape in map_layers(model, x).items()}.values())

def _none(model, x):
    again = [] if trace_of(model, x).names else reused(model, x)
    if again: return (f"every layer of this {type(model).__name__} that has places runs more than once. Say which run "
                      f"is meant: layer=({again[0]!r}, 0) for the first.")
    return (f"no layer of this {type(model).__name__} has both places and a gradient of the output. Does its head hold "
            "anything but zeros, and has it, if it is a detector, found anything in the picture? If so, name a layer "
            "yourself, with layout=, a function from its output to maps, where no rule finds its places; if the "
            "network gives no tensors, a callable target too.")

# ---- the default layer

def tries(trace):
    """The layers among which the default is sought, in turn: from the first that ever was one to the end; the last
    few; all."""
    names = trace.names
    if trace.chosen: yield names[min(map(names.index, trace.chosen)):]
    elif len(names) > FEW: yield names[-FEW:]
    yield names

def has_places(kept, name)->bool:
    "Is this layer, in this pass, more than one place, and one stack of maps for each image?"
    try: return prod(kept.maps(name, kept.acts[name]).shape[2:]) > 1
    except CamError: return False

def last_read(kept, names, grads, norms):
    "The last of these layers from whose places, not only a class token, there is a gradient; None if there is none."
    read = [n for n, g in zip(names, grads) if g is not None and has_places(kept, n) and _any(kept, n, g)]
    if not read: return None
    return encoder_end(kept, read, norms) if is_dense(kept.out, len(kept.size)) else read[-1]

def _any(kept, name, g):
    several = g.ndim > kept.acts[name].ndim
    return any(bool(kept.maps(name, k).any()) for k in (g if several else [g]))

def is_dense(out, places)->bool:
    "Does the network give maps, boxes or masks in place of scores (N,K)?"
    scores = scores_of(out)
    if isinstance(scores, Tensor): return scores.ndim > 2   # maps (N,K,h,w), or a detector's (N,4+K,M)
    return any(t.ndim >= places + 2 for t in tensors_of(out)) or isinstance(out, list)

def encoder_end(kept, names, norms):
    """Where an encoder ends: before the maps first grow again, the last of the layers with the most channels.

    A norm that sees a smaller map than the block around it, as in attention on reduced maps, does not count."""
    shapes, after, stages = {n: kept.at(n).shape for n in names}, None, []
    for n in reversed(names):
        if n not in norms: after = prod(shapes[n][2:])
        if after in (None, prod(shapes[n][2:])): stages.insert(0, n)
    sizes = [prod(shapes[n][2:]) for n in stages]
    grown = next((i for i in range(1, len(stages)) if sizes[i] > sizes[i - 1]), len(stages))
    return stages[max(range(grown), key=lambda i: (shapes[stages[i]][1], i))]

def settle(model, x, target):
    "One pass with its way back begun: the pass, the default layer's name, and raw gradients at all layers tried."
    trace = trace_of(network(model), x)
    for names in tries(trace):
        if not names: break
        kept = Forward(model, x, list(names), target)
        grads = kept.grads(target)
        first = next(grads)
        found = last_read(kept, names, first, trace.norms)
        if found and (names == trace.names or found in trace.chosen or not is_dense(kept.out, len(kept.size))):
            trace.chosen.add(found)
            return kept, found, chain([first], grads)
    raise CamError(_none(network(model), x))

def look(
    model,        # a network, or a fastai Learner
    x,            # a batch it takes
    layers=None,  # a layer or a list of them, see `Forward`; None = the last with places that the score depends on
    target=None,  # see `class_score`
    layout=None,  # see `Forward`
    create_graph=False, # see `Forward`
):                # the pass kept, whose `names` are the layers; a generator of lists of pairs (A, g)
    """One pass and the way back from a score to layers, given or default.

    What `back` yields, for a few rows of K scores at a time."""
    if layers is None and create_graph: layers = last_layer(model, x, target)
    if layers is not None:
        kept = Forward(model, x, layers, target, layout, create_graph)
        return kept, kept.back(target)
    if layout is not None: raise CamError("layout= says how one layer is laid out. Say which, with layer=.")
    check_batch(network(model), x)
    kept, name, grads = settle(model, x, target)
    at = kept.names.index(name)
    kept.names, kept.many = [name], False
    return kept, ([kept.pair(name, g[at])] for g in grads)

def everything(out, n):
    "A score for each of `n` images that depends on all that a network gives."
    squares = [t.float().square().sum() for t in tensors_of(out) if t.requires_grad]
    return sum(squares, torch.zeros(())).expand(n)

def last_layer(
    model,       # a network, or a fastai Learner
    x,           # a batch it takes
    target=None, # see `class_score`; it counts where parts of the output come from different layers
)->str:          # a name, see `get_layer`
    """The default layer: the last with places on which the score depends.

    A CNN's last before pooling, a transformer's last before an attention; of networks that give maps or boxes, the end
    of the encoder. It is remembered."""
    model = network(model)
    check_batch(model, x)
    last = trace_of(model, x).names[-1:]
    if last and trace_of(model, x).chosen == set(last) and prod(drawn_shapes(model, x)[last[0]][1:]) > 1: return last[0]
    n = len(main_input(x))
    def top_or_all(out):
        scores = scores_of(out)
        matrix = isinstance(scores, Tensor) and scores.ndim == 2 and scores.shape[1] and scores.requires_grad
        return scores.amax(1) if matrix else everything(out, n)
    return settle(model, x, top_or_all if target is None else target)[1]

def joined(pairs):
    "Pairs (A, g) of one layer, for a few rows of scores each, as one pair."
    return pairs[0][0], torch.cat([g for A, g in pairs]) if len(pairs) > 1 else pairs[0][1]
