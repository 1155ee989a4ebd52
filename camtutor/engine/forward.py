"""One forward pass kept, and the way back from any score to any of its layers."""
# The network runs without a graph until the first wanted layer fires. There the graph begins, and a clone goes on, so
# that an in-place ReLU behind the layer spoils nothing. Going back stops at the wanted layers, so a pass costs little
# more than the network's own.
import threading, warnings
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from camtutor.engine.inputs import network, vocab_of
from camtutor.engine.layout import FIRST, lay_out
from camtutor.engine.modes import evaluating
from camtutor.engine.targets import At, class_score, map_tensors
from camtutor.engine.trace import (call, first_convolution, known_layouts, layout_of, main_input, map_inputs, places_of,
                                   places_read, shapes_of, tensors_in)
from camtutor.errors import CamError, describe, doing, nearest
from camtutor.hooks import get_layer

PIXELS = '.input'  # the batch itself, by a name that no layer can have
AT_ONCE = 4e6      # bytes of gradient at one layer; with more than the processor's cache holds nothing is gained

# ---- layers by name

def key_of(model, layer):
    "What a layer is kept under: (module, which run); or a name of the batch, `PIXELS` or, if no layer has it, 'input'."
    module, run = layer if is_run(layer) else (layer, None)
    if not isinstance(module, (str, nn.Module)):
        raise CamError(f"the layer is {module!r}, which is neither a name nor a module. Leave layer away for the last "
                       "with places, or choose among camtutor.engine.layers.map_layers(model, x).")
    if isinstance(module, str) and module == PIXELS: return module
    if module == 'input' and not isinstance(getattr(model, 'input', None), nn.Module): return module
    found = get_layer(model, module)
    if not isinstance(found, torch.jit.ScriptModule): return found, run
    raise CamError(f"the layer {layer_name(model, module)!r} is scripted, and nothing can look into that. Give a layer "
                   "around or before it, or put in the module that was scripted.")

def is_run(layer)->bool:
    "Is it one run of a layer that runs more than once, such as ('body', 0)?"
    if not isinstance(layer, tuple) or len(layer) != 2: return False
    return isinstance(layer[0], (str, nn.Module)) and type(layer[1]) is int

def as_layers(layers)->tuple:
    "The layers as a list, and whether several were asked for."
    if layers is None: return [], False
    several = isinstance(layers, (list, tuple)) and not is_run(layers)
    return (list(layers), True) if several else ([layers], False)

def layer_name(model, layer):
    "The name of a layer in `model`, for messages; ('body', 0) for one run of it."
    if is_run(layer): return layer_name(model, layer[0]), layer[1]
    if isinstance(layer, str): return layer.removeprefix('.')
    if not isinstance(layer, nn.Module): return repr(layer)
    return next((n for n, m in model.named_modules() if m is layer), type(layer).__name__)

def plain_name(name):
    "The name of a layer, whichever of its runs is meant."
    return name[0] if is_run(name) else name

@contextmanager
def doing_at(action, model, layers=None):
    "A `CamError` from inside begins with the action and the layers that were asked for: \"Grad-CAM at 'layer4'\"."
    with doing(action):
        names = [repr(layer_name(network(model), l)) for l in as_layers(layers)[0]]
    with doing(action + ' at ' * bool(names) + ', '.join(names)): yield

# ---- checks

def check_batch(model, x):
    "`CamError` unless this is a batch that the model may take."
    several = isinstance(x, tuple) or hasattr(x, 'keys')
    if not isinstance(x, Tensor) and not (several and tensors_in(x)):
        raise CamError(f"the batch is {describe(x)}, not a tensor (N,3,H,W), "
                       "nor a tuple or dict of the network's inputs.")
    main, places = main_input(x), places_read(model)
    cut = isinstance(x, Tensor) and x.is_floating_point() and places is not None and x.ndim != places + 2
    if cut or 0 in main.shape or main.ndim < 2:
        raise CamError(f"the batch has shape {tuple(main.shape)}, but the model wants {wanted(places)}, none of the "
                       "sizes 0." + " For one image use x[None]." * (main.ndim == (places or 2) + 1))
    if isinstance(x, Tensor) and not x.is_floating_point() and (x.ndim != 2 or x.dtype not in (torch.int, torch.long)):
        raise CamError(f"the batch is {x.dtype}. Make it float and normalise it as the model expects.")
    for t in tensors_in(x):
        if t.is_floating_point(): _check_match(model, t)
    p = next(model.parameters(), None)
    if p is not None and p.device != main.device: raise CamError(_elsewhere(p, main))

def wanted(places):
    "How a batch is written, by its number of places."
    names = {1: 'signals (N,C,L), or token ids (N,L) that are whole numbers', 3: 'volumes (N,C,D,H,W)'}
    return names.get(places, 'images (N,3,H,W)')

def _elsewhere(p, x): return f"the batch is on {x.device}, the model on {p.device}. Move one: x.to({str(p.device)!r})."

def _check_match(model, x):
    "Do the model's parameters and the batch fit together?"
    floats = (p for p in model.parameters() if p.is_floating_point())
    first = next(floats, None)
    if first is None: return
    p = first if first.dtype == x.dtype else next((q for q in floats if q.dtype == x.dtype), first)
    if p.is_inference():
        raise CamError("the model was built under torch.inference_mode, so nothing in it can have a gradient. "
                       "Build it, or copy.deepcopy it, outside.")
    if p.device != x.device: raise CamError(_elsewhere(p, x))
    if p.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
        raise CamError(f"the batch is {x.dtype}, the model {p.dtype}. Convert one: x.to({p.dtype}).")

def run(model, x):
    "The model's output; a failure that is the batch's fault is said to be so."
    try: return call(model, x)
    except RuntimeError as e:
        main = main_input(x)
        conv = first_convolution(model)
        if conv and main.is_floating_point() and conv.in_channels != main.shape[1]:
            raise CamError(f"the batch {tuple(main.shape)} has {main.shape[1]} channel{'s' * (main.shape[1] > 1)}, "
                           f"the model's first convolution reads {conv.in_channels}.") from e
        if 'too small' in str(e) or "can't be greater than actual input size" in str(e):
            what, size = ('images', main.shape[2:]) if main.ndim == 4 else ('inputs', main.shape[1:])
            raise CamError(f"the {what} {tuple(size)} are too small for this "
                           f"{type(model).__name__} ({e}). Give larger ones.") from e
        e.add_note("This came from the model itself, while it ran on a batch "
                   f"{tuple(main.shape)}, {main.dtype}, on {main.device}.")
        raise

# ---- keeping

@contextmanager
def without_graph(model):
    "No graph yet and evaluation mode, whatever mode the caller is in."
    with torch.inference_mode(False), torch.no_grad(), evaluating(model): yield

class Tap:
    """Keeps what wanted layers put out, and starts the graph at the first of them that runs.

    `watched` layers start none."""
    def __init__(self, model, keys, watched=()):
        self.model, self.thread = model, threading.get_ident()
        self.keys, self.watched = {k for k in keys if not isinstance(k, str)}, set(watched)
        self.acts, self.runs = {}, {}

    @contextmanager
    def hooked(self):
        "The tap's hook on each of its modules, for the time being."
        handles = []
        try: yield handles.extend(m.register_forward_hook(self.hook) for m in {m for m, _ in self.keys | self.watched})
        finally:
            for h in handles: h.remove()

    def hook(self, m, args, out):
        "Note one output of a layer, and hand on a clone."
        if threading.get_ident() != self.thread: return
        nr = self.runs[m] = self.runs.get(m, -1) + 1
        if nr and (m, None) in self.keys | self.watched: raise CamError(self.twice(m))
        wanted = [k for k in ((m, None), (m, nr)) if k in self.keys | self.watched]
        if not wanted: return
        if not isinstance(out, Tensor) or not out.is_floating_point():
            raise CamError(f"the layer {layer_name(self.model, m)!r} gives {describe_output(out)}, not activations. "
                           "Give a layer inside or around it.")
        if not any(k in self.keys for k in wanted): return self.watch(wanted[0], out)
        same = any(isinstance(a, Tensor) and a.data_ptr() == out.data_ptr() for a in args)
        return self.keep(wanted, out.clone() if same else out)  # an Identity hands on what others may still write into

    def keep(self, keys, out):
        torch.set_grad_enabled(True)
        kept = out if out.requires_grad else out.detach().requires_grad_()
        for k in keys: self.acts[k] = kept
        return kept.clone()  # an in-place ReLU behind this layer changes the clone

    def watch(self, key, out):
        self.acts[key] = out
        return out.clone()

    def twice(self, m):
        name = layer_name(self.model, m)
        return (f"the layer {name!r} runs more than once in a forward pass, so which output is meant? "
                f"Give one of its runs, such as ({name!r}, 0) for the first, or the block around it.")

    def check_ran(self):
        for k in self.keys | self.watched:
            if k in self.acts: continue
            m, nr = k
            ran = f"ran {self.runs.get(m, -1) + 1} times" if nr is not None else 'never ran'
            raise CamError(f"the layer {layer_name(self.model, m)!r} {ran} in this "
                           "forward pass. Give one that the model uses.")

@contextmanager
def shapes_noted(model, names):
    "Inside the `with`, a dict that gets the shape of what each of these modules puts out."
    shapes, handles = {}, []
    def note(name): return lambda m, args, out: shapes.__setitem__(name, tuple(out.shape))
    try:
        handles += [model.get_submodule(n).register_forward_hook(note(n)) for n in names]
        yield shapes
    finally:
        for h in handles: h.remove()

def describe_output(o): return f"a tensor {tuple(o.shape)}" if isinstance(o, Tensor) else describe(o)

class Noted:
    "What the network gave in its first pass inside the `with`, on this thread, for as many images as there are."
    out = None

@contextmanager
def first_output(model, n):
    "Notes what `model` gives in its first pass for `n` images inside the `with`, as `.out`, detached."
    noted, me = Noted(), threading.get_ident()
    def see(m, args, kwargs, out):
        given = next((t for t in (*args, *kwargs.values()) if isinstance(t, Tensor)), None)
        if noted.out is None and given is not None and len(given) == n and threading.get_ident() == me:
            noted.out = map_tensors(Tensor.detach, out)
    handle = model.register_forward_hook(see, with_kwargs=True)
    try: yield noted
    finally: handle.remove()

# ---- going back

def gradients(score, acts, again=False, create_graph=False):
    """Gradients of `score` (N,), or of each row of it (K,N), at all of `acts`. `again`: the graph is needed once more;
    `create_graph`: they have a graph themselves."""
    if not score.requires_grad: return [None] * len(acts)
    if score.ndim == 1: return _back(score.sum(), acts, again, create_graph)
    if create_graph:
        rows = [_back(s.sum(), acts, True, True) for s in score]
        return [None if any(k is None for k in g) else torch.stack(g) for g in zip(*rows)]
    if len(score) == 1: return [None if g is None else g[None] for g in gradients(score[0], acts, again)]
    try: return _together(score.sum(1), acts)
    except RuntimeError: rows = [gradients(s[None], acts, again=True) for s in score]
    return [None if any(k is None for k in g) else torch.cat(g) for g in zip(*rows)]

def _back(total, acts, again, create_graph=False):
    "Gradients of one number."
    again = again or create_graph
    try: return torch.autograd.grad(total, acts, retain_graph=again, create_graph=create_graph, allow_unused=True)
    except RuntimeError as e:
        if 'use_reentrant' not in str(e): raise
        raise CamError("a part of the model is a checkpoint of the old, reentrant kind, which only "
                       "`backward()` can go through. Build it with use_reentrant=False.") from e

def _together(total, acts):
    "Gradients of each number in `total` (K,) at `acts`, from one backward pass with an axis for K in front."
    found = [] # all gradients, None among them: vmap hands out tensors only
    def back(row):
        found[:] = torch.autograd.grad(total, acts, row, retain_graph=True, allow_unused=True)
        return [g for g in found if g is not None]
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'There is a performance drop because we have '
                                          'not yet implemented the batching rule')
        grads = iter(torch.func.vmap(back)(torch.eye(len(total), dtype=total.dtype, device=total.device)))
    return [None if g is None else next(grads) for g in found]

def rows_at_once(model, acts)->int:
    """How many rows of scores go back together.

    One, if the model has hooks: they are somebody's, and want to see plain gradients."""
    everywhere = torch.nn.modules.module
    if everywhere._global_backward_hooks or everywhere._global_backward_pre_hooks or everywhere._global_forward_hooks:
        return 1
    if any(m._forward_hooks or m._backward_hooks or m._backward_pre_hooks for m in model.modules()): return 1
    return max(1, int(AT_ONCE // max(a.nbytes for a in acts)))

# ---- one pass

class Forward:
    """One forward pass in eval mode, kept: `out`, what each wanted layer put out, and the graph between them.

    `CamError` for bad input."""
    def __init__(self,
                 model,        # any network, or a fastai Learner; `DataParallel` and compiled ones are unwrapped
                 x,            # normalised batch (N,C,*places), token ids (N,L), or a tuple or dict of inputs
                 layers,       # a name, a module, ('body', 0) for one run, 'input' for the batch, or a list of these
                 target=None,  # the score that `back` will go from, if that is read from a layer: an `At`
                 layout=None,  # a function from a layer's output to maps (N,C,*places), for a network that no rule fits
                 create_graph=False): # keep the graph from the weights on, and give gradients one of their own?
        self.model, self.vocab, self.layout, self.create_graph = network(model), vocab_of(model), layout, create_graph
        wanted, self.many = as_layers(layers)
        keys = [key_of(self.model, l) for l in wanted]
        if not keys: raise CamError("the list of layers is empty. Give at least one name or module.", 'Capturing')
        self.names = [layer_name(self.model, k if isinstance(k, str) or k[1] is not None else k[0]) for k in keys]
        check_batch(self.model, x)
        self.size, self.n, self.spent = places_of(x), len(main_input(x)), False
        self.start(x, keys, [key_of(self.model, target.layer)] if isinstance(target, At) else [])

    def start(self, x, keys, watched):
        "Run the network, with the tap on the wanted layers."
        known = known_layouts(self.model)
        measured = {l.grid_of for n in map(plain_name, self.names) if (l := known.get(n)) and l.grid_of}
        tap = Tap(self.model, keys, watched)
        begin = self.going_back() if self.create_graph else without_graph(self.model)
        with begin, tap.hooked(), shapes_noted(self.model, measured) as shapes:
            seen = x = map_inputs(lambda t: (t if self.create_graph else t.detach()).clone(), x)
            for k in keys:
                if isinstance(k, str): seen = _with_main(seen, tap.keep([k], _with_gradient(main_input(seen))))
            self.scores = run(self.model, seen)
        tap.check_ran()
        self.acts, self.kept = dict(zip(self.names, map(tap.acts.get, keys))), tap.acts
        self.layouts = {} if self.layout else {n: self.find_layout(x, n, k) for n, k in zip(self.names, keys)}
        missing = {l.grid_of for l in self.layouts.values() if l and l.grid_of} - shapes.keys()
        self.grids = {n: s[2:] for n, s in (shapes | ({n: shapes_of(self.model, x)[n] for n in missing})).items()}

    def find_layout(self, x, name, key):
        "Where a layer keeps its places; None where it has none."
        if isinstance(key, str): return FIRST
        return layout_of(self.model, x, key[0], plain_name(name), self.acts[name].shape)

    @property
    def out(self):
        "What the model gave, without its graph unless that is kept."
        return self.scores if self.create_graph else map_tensors(Tensor.detach, self.scores)

    def name_of(self, layer):
        "The name of a layer that was kept."
        name = layer if isinstance(layer, str) else layer_name(self.model, layer)
        if name in self.acts: return name
        raise CamError(f"no layer {name!r} was kept in this pass. {nearest(name, self.names)}")

    def maps(self, name, a):
        "What a layer put out, or its gradient, as maps (N,C,*places)."
        if self.layout: return self.layout(a)
        layout, shape = self.layouts[name], tuple(self.acts[name].shape)
        if layout is None:
            raise CamError(f"the layer {name!r} is not spatial: it gives {shape}, which has no "
                           "places to draw on; (N,C,h,w) or tokens (N,T,C) do. Give an earlier "
                           "layer, or layout=, a function from its output to maps.")
        if shape[1 if layout.kind == 'sequence' else 0] != self.n:
            raise CamError(f"the layer {name!r} gives {shape} for {self.n} image{'s' * (self.n != 1)}: crops, "
                           "boxes, windows or copies, not each image once. Give an earlier layer.")
        return lay_out(a, layout, self.size, self.grids.get(layout.grid_of))

    def at(self, layer)->Tensor: # (N,C,*places)
        "Activations of a layer. `CamError` if it was not asked for."
        name = self.name_of(layer)
        return self.maps(name, self.acts[name].detach())

    def pair(self, layer, g)->tuple: # A (N,C,*places), and g of the same shape, or (K,N,C,*places)
        "Activations of a layer and its gradient `g`, as maps. `CamError` if the score does not depend on them."
        name = self.name_of(layer)
        if g is None:
            raise CamError(f"the score does not depend on the layer {name!r}: it is on a side "
                           "branch, or a part of the model behind it runs under torch.no_grad, as "
                           "reentrant checkpoints do. Give a layer on the way to the score.")
        a = self.acts[name]
        A = self.maps(name, a)
        G = torch.stack([self.maps(name, k) for k in g]) if g.ndim > a.ndim else self.maps(name, g)
        if a.ndim == A.ndim or G.any(): return A if self.create_graph else A.detach(), G
        if not g.any():
            raise CamError(f"the gradient of the score at the layer {name!r} is 0 everywhere. "
                           "Has the head behind it weights other than 0?")
        raise CamError(f"behind the layer {name!r} only its class token is read, so no image patch has a gradient. "
                       "Give a layer in front of the last attention.")

    def score(self, target=None)->Tensor: # (N,) or (K,N)
        "The score that a target means in this pass."
        if not isinstance(target, At): return class_score(self.scores, target, self.n, self.vocab)
        return class_score(self.scores, lambda out: target.fn(self.kept[key_of(self.model, target.layer)]), self.n)

    def grads(self, target=None, layers=None, again=False):
        "Go back from the score: yields the raw gradients at each layer, or None, for a few rows of K scores at a time."
        if self.spent:
            raise CamError("the way back was freed after the last target. "
                           "Say again=True with every target but the last.")
        names = [self.name_of(l) for l in (self.names if layers is None else layers)]
        with self.going_back():
            score, acts = self.score(target), [self.acts[n] for n in names]
            rows = [score] if score.ndim == 1 else score.split(rows_at_once(self.model, acts))
        self.spent = not again
        for i, row in enumerate(rows):
            with self.going_back(): found = gradients(row, acts, again or i + 1 < len(rows), self.create_graph)
            yield found

    def back(self, target=None, layers=None, again=False):
        "The same as pairs (A, g): yields a list of them, one for each layer, for a few rows of K scores at a time."
        names = [self.name_of(l) for l in (self.names if layers is None else layers)]
        for grads in self.grads(target, names, again): yield [self.pair(n, g) for n, g in zip(names, grads)]

    @contextmanager
    def going_back(self):
        "The modes in which gradients are made."
        with torch.inference_mode(False), torch.enable_grad(), evaluating(self.model): yield

def _with_gradient(x):
    if x.is_floating_point(): return x
    raise CamError("token ids have no gradient, so nothing can be asked at the input. Use 'hires_cam' with the "
                   "embedding as the layer; its name is among camtutor.engine.layers.map_layers(model, x).")

def _with_main(x, new):
    "The batch with another main input."
    main = main_input(x)
    return map_inputs(lambda t: new if t is main else t, x)
