"""One pass of a network, recorded: what each module takes and puts out, and so which layers have places."""
from collections import Counter
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from threading import get_ident
from typing import NamedTuple
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn

from camtutor.engine.layout import (FIRST, Layout, grid_like, in_doubt, layout_by_grids, layout_by_growth,
                                    layout_by_shape)
from camtutor.engine.modes import evaluating, modules_in
from camtutor.errors import CamError

CONVOLUTIONS = nn.Conv1d, nn.Conv2d, nn.Conv3d
POOLS = 'MaxPool', 'AvgPool', 'AdaptiveMaxPool', 'AdaptiveAvgPool'
NO_LAYER = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d,
            *(getattr(nn, f'{pool}{n}d') for pool in POOLS for n in (1, 2, 3)))
UPWARDS = nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Upsample
CONTAINERS = nn.Sequential, nn.ModuleList, nn.ModuleDict

# ---- inputs

def tensors_in(x)->list:
    "The tensors of a batch: one, or the several inputs of one call."
    if isinstance(x, Tensor): return [x]
    return [t for t in (x.values() if hasattr(x, 'values') else x) if isinstance(t, Tensor)]

def map_inputs(fn, x):
    "A batch with `fn` of each tensor in it."
    if isinstance(x, Tensor): return fn(x)
    if hasattr(x, 'keys'): return {k: fn(v) if isinstance(v, Tensor) else v for k, v in x.items()}
    return tuple(fn(t) if isinstance(t, Tensor) else t for t in x)

def main_input(x)->Tensor:
    "The tensor that has the places: of floats that with most axes, or else the token ids."
    return max(tensors_in(x), key=lambda t: (t.ndim if t.ndim > 2 else 2 * (not t.is_floating_point())))

def places_of(x)->tuple: # such as (H,W); (L,) of token ids
    "The places of a batch."
    main = main_input(x)
    return tuple(main.shape[2:] if main.is_floating_point() and main.ndim > 2 else main.shape[1:2])

def image_of(x, i):
    "Picture `i` of a batch, as a batch."
    n = len(main_input(x))
    return map_inputs(lambda t: t[i:i + 1] if t.ndim and len(t) == n else t, x)

def first_of(x): return image_of(x, 0)

def spread(t, n):
    "What there is of one picture, for n of them, without a copy."
    return t.expand(n, *t.shape[1:]) if t.ndim and len(t) == 1 else t

def call(model, x):
    "What a model gives for a batch: a tensor, a tuple of inputs or a dict of them."
    try:
        with uncompiled(model):
            if isinstance(x, Tensor): return model(x)
            return model(**x) if hasattr(x, 'keys') else model(*x)
    except IndexError as e:
        check_ids(model, x)
        raise e
    except AssertionError as e: # a vision transformer's own check of sizes, or an exported part's
        raise CamError(f"the network itself refuses the batch {tuple(main_input(x).shape)} "
                       f"({str(e).strip() or 'an assertion'}). Give pictures of the size that it was made for.") from e

def check_ids(model, x):
    "`CamError` for token ids that lie outside all embeddings of a network, or texts that are longer than they are."
    rows = [m.num_embeddings for m in model.modules() if isinstance(m, nn.Embedding)]
    ids = main_input(x)
    if not rows or ids.is_floating_point(): return
    raise CamError(f"the token ids (N,L) = {tuple(ids.shape)} lie from {ids.min()} to {ids.max()}, and the network's "
                   f"embeddings have {', '.join(map(str, rows))} rows, counted from 0. Make the ids by the network's "
                   "own list of words or tokenizer, and give no longer texts than it takes.")

def uncompiled(model):
    "Inside the `with`, compiled parts run as they were written: hooks would be compiled too, with a page of warnings."
    compiled = any('_orig_mod' in m._modules or m._compiled_call_impl is not None for m in modules_in(model))
    return torch.compiler.set_stance('force_eager') if compiled else nullcontext()

def stretched(x):
    "The batch with pictures twice as wide, or of half the width where that is still wide."
    width = main_input(x).shape[-1]
    def other(t):
        if not t.ndim or t.shape[-1] != width: return t
        return t[..., :width // 2].contiguous() if width >= 128 else torch.cat([t, t], -1)
    return map_inputs(other, x)

def first_convolution(model): return next((m for m in model.modules() if isinstance(m, CONVOLUTIONS)), None)

def places_read(model):
    "How many axes of places the model's first convolution reads; None without one."
    conv = first_convolution(model)
    return next((n + 1 for n, kind in enumerate(CONVOLUTIONS) if isinstance(conv, kind)), None)

# ---- recording

class Run(NamedTuple):
    "One call of one module."
    name:str
    module:nn.Module
    nr:int      # outputs that are one and the same tensor share it
    came:tuple  # the shape of the first floating-point tensor that it took; () if it took none
    shape:tuple # of the tensor that it put out; () if it is none

@contextmanager
def looking(model, x):
    "Evaluation mode, no graph, and afterwards the random numbers as before."
    cuda = [t.device for t in tensors_in(x) if t.is_cuda]
    with evaluating(model), torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng(cuda[:1]): yield

def record(model, x, experiment=False)->list: # of Run, in the order in which they ended
    """Every call of every module for the batch `x`; in an `experiment`, which a network may refuse, of those that
    ended before."""
    seen, last, me, handles = [], [None, 0], get_ident(), []
    def note(name, m, args, kwargs, out):
        if get_ident() != me: return   # another thread runs the same network
        is_map = isinstance(out, Tensor) and out.is_floating_point()
        same = is_map and out is last[0] and out._version == last[1]
        if is_map: last[:] = out, out._version
        came = next((t for t in (*args, *kwargs.values()) if isinstance(t, Tensor) and t.ndim > 1), None)
        seen.append(Run(name, m, seen[-1].nr if same else len(seen), () if came is None else tuple(came.shape),
                        tuple(out.shape) if is_map else ()))
    try:
        for name, m in model.named_modules():
            if isinstance(m, torch.jit.ScriptModule): continue   # it takes no hook
            handles.append(m.register_forward_hook(partial(note, name), with_kwargs=True))
        with looking(model, x), suppress(Exception) if experiment else nullcontext():
            call(model, map_inputs(Tensor.clone, x))
    finally:
        for h in handles: h.remove()
    return seen

def reused(model, x)->list:
    "The names of the modules with places that run more than once; blocks before what is in them."
    runs = record(model, x)
    times = Counter(r.module for r in runs)
    found = {r.name for r in runs if times[r.module] > 1 and len(r.shape) > 2}
    return [n for n, _ in model.named_modules() if n in found]

# ---- layouts

def grids_of(runs)->dict:
    "The grids of the convolutions: name -> places."
    return {r.name: r.shape[2:] for r in runs if isinstance(r.module, CONVOLUTIONS) and r.shape}

def is_doubtful(r, size, grids, seen)->bool:
    "Can the shape of this output not tell where its places are, and whether they are places of the picture?"
    if len(r.shape) != len(size) + 2: return len(r.shape) == 3 and 1 in r.shape[:2] and r.shape[-1] > 1
    if len(r.came) == len(r.shape) and r.came[2:] not in seen and r.shape[2:].count(1) < len(size): return True
    if isinstance(r.module, CONVOLUTIONS): return False
    return in_doubt(r.shape, size) and (r.shape[2:] in grids) == (r.shape[1:-1] in grids)

def any_doubt(runs, size, grids)->bool:
    "Must a picture of another width be tried?"
    seen, known = {size}, set(grids.values())
    for r in runs:
        if is_doubtful(r, size, known, seen): return True
        seen |= {r.shape[2:], r.shape[1:-1]}
    return False

def layouts_of(model, x, runs)->dict: # name -> Layout, or None for an output without places
    "Where each module's output keeps its places. A picture of another width is tried where shapes leave it open."
    size, grids = places_of(x), grids_of(runs)
    shapes = {r.name: r.shape for r in runs}
    if not any_doubt(runs, size, grids): return {n: layout_by_grids(s, size, grids) for n, s in shapes.items()}
    wide_runs = record(model, stretched(x), experiment=True)
    wide, wide_grids = {r.name: r.shape for r in wide_runs}, grids_of(wide_runs)
    # it brings pictures to one size
    if grids and wide_grids and all(wide_grids[n] == grids.get(n) for n in wide_grids): wide = {}
    return {n: layout_by_growth(s, wide[n], size, grids, wide_grids) if n in wide else layout_by_grids(s, size, grids)
            for n, s in shapes.items()}

def places_in(shape, layout, size, grids)->tuple:
    "The places of an output that has this layout."
    if layout.kind == 'first': return shape[2:]
    if layout.kind == 'last': return shape[1:-1]
    t = shape[dict(tokens=1, sequence=0, columns=2)[layout.kind]] - layout.extra
    return grids.get(layout.grid_of) or grid_like(t, size) or (t,)

# ---- which of them can be drawn

class Layer(NamedTuple):
    "An output with places."
    name:str
    module:nn.Module
    nr:int
    layout:Layout
    shrink:float # how many times lower than what it took; None if that had no places

def is_token(layer)->bool: return layer.layout.kind in ('tokens', 'sequence', 'columns')

def is_norm(layer)->bool: return is_token(layer) and 'norm' in type(layer.module).__name__.lower()

def in_a_row(model, name)->bool:
    "Does this module stand in a sequence or list of its like, as a transformer's blocks do?"
    parent = name.rpartition('.')[0]
    return isinstance(model.get_submodule(parent), CONTAINERS) if parent else True

def is_block(layer)->bool:
    "A layer, block or stage shrinks the map by two at most. What shrinks it more is a whole body."
    return layer.shrink is not None and layer.shrink < 3

def is_u(layer)->bool:
    "Does it bring its maps down and up again, as what lies between the ends of a U-Net does?"
    return layer.shrink == 1 and any(isinstance(m, UPWARDS) for m in layer.module.modules())

def hides(model, layer)->bool:
    "Is it a block with a forward of its own, whose insides are half the story?"
    own = type(layer.module).forward is not nn.Sequential.forward and any(True for _ in layer.module.children())
    if not own or is_u(layer): return False
    return is_block(layer) and (not is_token(layer) or '.' in layer.name and in_a_row(model, layer.name))

def can_be_drawn(model, layer)->bool:
    "Is it more than a stop on the way? Of tokens a block or a norm."
    if not is_token(layer): return True
    return is_norm(layer) or in_a_row(model, layer.name) and any(True for _ in layer.module.children())

def outermost(group):
    "One of several modules with the same output: the outermost block around the first."
    first, *rest = group
    return [first, *(l for l in rest if is_block(l) and not is_token(l) and first.name.startswith(l.name + '.'))][-1]

def layers_in(runs, layouts, size, grids)->list:
    "Every output that has places, as a Layer."
    known, found = {}, []
    for r in runs:
        layout = layouts[r.name]
        if layout is None or layout.kind in ('first', 'last') and r.shape[0] != 1: continue   # tiles, boxes or copies
        places = known[r.shape] = places_in(r.shape, layout, size, grids)
        came = known.get(r.came) or (size if r.came[2:] == size else None)
        found.append(Layer(r.name, r.module, r.nr, layout, came[0] / places[0] if came else None))
    return found

def drawable(model, x, runs, layouts)->list: # of Layer, in order of execution
    """Each output once, blocks from outside, none that runs twice, none that takes no numbers (such as a table of
    positions)."""
    layers = layers_in(runs, layouts, places_of(x), grids_of(runs))
    times, takes = Counter(r.module for r in runs), {r.name for r in runs if r.came}
    hidden = tuple(l.name + '.' for l in layers if l.name and hides(model, l))
    layers = [l for l in layers if l.name and times[l.module] == 1 and l.name in takes
              and (is_norm(l) or not l.name.startswith(hidden)) and can_be_drawn(model, l)]
    return [outermost(list(g)) for _, g in groupby(layers, key=lambda l: l.nr)]

# ---- what is remembered of a network

@dataclass
class Trace:
    "What one recorded pass told of a network."
    modules:tuple                              # weak references: another part, and it must be looked at again
    layouts:dict                               # name -> Layout, or None
    layers:list                                # of Layer, in order of execution
    shapes:dict = field(default_factory=dict)  # places of the picture -> {name: shape of one picture's output}
    chosen:set = field(default_factory=set)    # names of layers that were the default for some target

    @property
    def names(self):
        "Those that can be the default: none that only pools or hands on."
        return [l.name for l in self.layers if not isinstance(l.module, NO_LAYER)]

    @property
    def norms(self):
        "Layers that normalise tokens."
        return {l.name for l in self.layers if is_norm(l)}

_traces = WeakKeyDictionary()

def trace_of(model, x)->Trace:
    "What is known of a network; it is recorded once, with the first picture of the first batch."
    modules, known = tuple(map(ref, model.modules())), _traces.get(model)
    if known is None or known.modules != modules:
        x = first_of(map_inputs(Tensor.detach, x))
        runs = record(model, x)
        layouts = layouts_of(model, x, runs)
        known = _traces[model] = Trace(modules, layouts, drawable(model, x, runs, layouts))
        known.shapes[places_of(x)] = {r.name: r.shape for r in runs}
    return known

def shapes_of(model, x)->dict:
    "Shapes of what the modules put out for one picture of this size: name -> shape."
    known, size = trace_of(model, x), places_of(x)
    if size not in known.shapes:
        known.shapes[size] = {r.name: r.shape for r in record(model, first_of(map_inputs(Tensor.detach, x)))}
    return known.shapes[size]

def forget(model):
    "Forget what was recorded of a network."
    _traces.pop(model, None)

def known_layouts(model)->dict:
    "What is known of the network's layouts without running it."
    return _traces[model].layouts if model in _traces else {}

def layout_of(model, x, module, name, shape):
    """The layout of what the layer `name` put out; the network is recorded only where the shape leaves it open.

    None: no places."""
    size = places_of(x)
    own = isinstance(module, CONVOLUTIONS) or not in_doubt(tuple(shape), size) if len(shape) == len(size) + 2 else False
    if own: return FIRST
    layouts = trace_of(model, x).layouts
    return layouts[name] if name in layouts else layout_by_shape(shape, size)
