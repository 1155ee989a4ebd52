"""What a caller may give, resolved here and nowhere else: a model or Learner, pictures, transform, class names,
activation."""
import io, random
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor, nn

from camtutor.engine.trace import first_convolution, places_read
from camtutor.errors import CamError, describe
from camtutor.images import picture

# ---- the model

def is_learner(model)->bool:
    "Is this a fastai Learner?"
    return hasattr(model, 'dls') and hasattr(model, 'model')

def unwrap(model:nn.Module)->nn.Module:
    """The network inside `DataParallel`, `DistributedDataParallel` or `torch.compile`, whose own forward hides its
    layers."""
    wrapped = nn.DataParallel, nn.parallel.DistributedDataParallel
    while isinstance(model, wrapped) or hasattr(model, '_orig_mod'):
        model = model.module if isinstance(model, wrapped) else model._orig_mod
    if isinstance(model, torch.fx.GraphModule) and not any(map(_calls_a_layer, model.graph.nodes)):
        raise CamError("the model is an exported graph, in which the network's layers are gone. "
                       "Give the nn.Module that was exported.")
    if isinstance(model, nn.Module) and not isinstance(model, torch.jit.ScriptModule): return model
    raise CamError(f"the model is a {type(model).__name__}, not a torch module whose layers can be watched. "
                   "Give the nn.Module itself: learn.model for a fastai Learner, the original for a scripted one.")

def _calls_a_layer(node): return node.op == 'call_module' and not str(node.target).startswith('_')

def network(model)->nn.Module:
    "The network itself: a Learner's, and without what wraps it."
    return unwrap(model.model if is_learner(model) else model)

def owners(model)->list:
    "Where what belongs to a model may be kept: on itself, and on the network in it."
    return [model, network(model)]

# ---- its classes

def vocab_of(model, given=None):
    """Class names: those `given`, or where the model, its Learner's data or its configuration have them.

    A list of str, or None."""
    if given is not None: return _given_names(given)
    config = getattr(network(model), 'config', None)
    places = getattr(model, 'dls', None), *owners(model)
    found = [getattr(o, 'vocab', None) for o in places] + [getattr(config, 'id2label', None)]
    return next(filter(None, map(names_of, found)), None)

def _given_names(given):
    names = names_of(given)
    if names: return names
    raise CamError(f"vocab is {describe(given)}, but it must be a list of class names.")

def names_of(v):
    "A list of names, or a dict from numbers to names or back, as a list of str; None for anything else."
    if isinstance(v, dict) and all(isinstance(k, int) for k in v): v = [v[k] for k in sorted(v)]
    elif isinstance(v, dict) and all(isinstance(n, int) for n in v.values()): v = sorted(v, key=v.get)
    many = hasattr(v, '__len__') and hasattr(v, '__getitem__') and not isinstance(v, (str, bytes, dict))
    return [str(n) for n in v] if many and all(isinstance(n, (str, int, float)) for n in v) else None

# ---- its probabilities

def activation_of(model, given=None):
    """What makes probabilities of scores: `given`, the model's own `activation`, or that of a Learner's loss.

    None if unknown."""
    if given is not None and not callable(given):
        raise CamError(f"the activation is {given!r}. Give a function from scores to probabilities: torch.sigmoid, or "
                       "lambda out: out.softmax(1).")
    if given is not None: return given
    own = (getattr(o, 'activation', None) for o in owners(model))
    loss = getattr(getattr(model, 'loss_func', None), 'activation', None) if is_learner(model) else None
    return next(filter(_makes_probabilities, own), loss)

def _makes_probabilities(f):
    """Is it an activation of scores?

    A layer of the network that happens to have that name is none, unless it can be no other."""
    return callable(f) and (not isinstance(f, nn.Module) or isinstance(f, (nn.Sigmoid, nn.Softmax)))

def probabilities(
    model,           # a network, or a fastai Learner
    out,             # what it gave
    activation=None, # scores -> probabilities; None = the model's own, else softmax
)->Tensor:           # (N,K), or None
    """Probabilities of scores (N,K), by the model's own activation, otherwise their softmax.

    None where there are none: one score alone, a regression, an output of another kind."""
    if not isinstance(out, Tensor) or out.ndim != 2: return None
    known = activation_of(model, activation)
    if known is None: return out.float().softmax(1) if out.shape[1] > 1 else None
    p = known(out.float())
    return p if isinstance(p, Tensor) and p.shape == out.shape and (p != out).any() else None

def said_probabilities(model, out, activation=None)->tuple:
    """Probabilities for a reader's eye, or None, and what is to be said of them where nobody said how they are made.

    Outputs that all lie between 0 and 1 may have a sigmoid or a softmax behind them already: no other is taken."""
    p = probabilities(model, out, activation)
    if p is None or activation_of(model, activation) is not None: return p, ''
    if out.min() < 0 or out.max() > 1: return p, 'softmax assumed'
    if ((out.float().sum(1) - 1).abs() < 1e-3).all(): return out.float(), 'its outputs add up to 1 already'
    return None, 'its outputs lie between 0 and 1, so no softmax is taken'

# ---- its pictures

def transform_of(model, transform=None):
    "The transform that was given, or else the network's own."
    if transform is None:
        transform = next(filter(_is_transform, (getattr(o, 'transform', None) for o in owners(model))), None)
        if transform is None: return None
    if isinstance(transform, type):
        raise CamError(f"the transform is the class {transform.__name__}, not one of its instances. "
                       f"Call it first: {transform.__name__}().")
    if callable(transform): return transform
    raise CamError(f"the transform is {describe(transform)}, but it must be a function: PIL image -> "
                   "normalised float tensor (3,H,W). For torchvision use weights.transforms().")

def _is_transform(t):
    "Could it prepare a picture? A layer, which has weights, does not."
    return callable(t) and not (isinstance(t, nn.Module) and any(True for _ in t.parameters()))

def knows_pictures(model, transform=None)->bool:
    "Is it known how this model wants its pictures prepared?"
    return transform_of(model, transform) is not None or is_learner(model)

def check_knows_pictures(model, transform=None):
    "`CamError` where it is not known how pictures are prepared."
    if knows_pictures(model, transform): return
    if reads_texts(model): raise CamError("this network reads texts. Give a list of them to explain.")
    raise CamError(f"how this {type(network(model)).__name__} wants its pictures prepared is "
                   "not known. Pass transform=, for torchvision weights.transforms(), or give "
                   "a normalised float tensor (N,3,H,W).")

def is_batch(image)->bool:
    "Is it a tensor that the network takes as it is: of floats, or of token ids (N,L)?"
    if not isinstance(image, Tensor): return False
    return image.is_floating_point() or image.ndim == 2 and image.dtype in (torch.int, torch.long)

def is_inputs(x)->bool:
    "Are these the several inputs of one call, a tuple or a dict of tensors? A list is several pictures."
    if isinstance(x, tuple): return len(x) > 1 and all(isinstance(t, Tensor) for t in x)
    return hasattr(x, 'keys') and any(isinstance(v, Tensor) for v in x.values())

def is_text(model, image)->bool:
    "Is it a text, or a list of them, for a network that says how it reads texts, by its attribute `read`?"
    texts = [image] if isinstance(image, str) else image
    many = isinstance(texts, (list, tuple)) and texts and all(isinstance(t, str) for t in texts)
    return bool(many) and callable(getattr(network(model), 'read', None))

def reads_texts(model)->bool:
    "Was a network given a `read` of texts? A method of that name, in a network's own class, may read anything."
    return callable(vars(network(model)).get('read'))

def as_list(image)->list:
    "One picture or several, as a list of single ones."
    if isinstance(image, (list, tuple)): return [p for i in image for p in as_list(i)]
    if isinstance(image, Tensor) and image.ndim == 1:
        raise CamError(f"{describe(image)} has no axis of images, or of texts. Of the ids of one text: ids[None].")
    return list(image) if isinstance(image, (Tensor, np.ndarray)) and image.ndim == 4 else [image]

def stacked(xs):
    "Prepared pictures as one batch."
    if len({x.shape for x in xs}) == 1: return torch.stack(xs)
    raise CamError(f"the pictures have different sizes {sorted({tuple(x.shape) for x in xs})[:3]}, so they "
                   "make no batch. Resize and crop in the transform, or explain them one by one.")

def check_normalised(x):
    "`CamError` for a float tensor that looks like a picture, where a transform was given for it."
    if x.ndim < 3 or not x.is_floating_point() or x.min() < 0 or x.max() > 1: return
    raise CamError(f"the tensor {tuple(x.shape)} has values from 0 to 1, like a picture, but a float tensor counts as "
                   "normalised already, so the transform would not be applied. Give bytes, (x * 255).byte(), for the "
                   "transform to work on; or leave transform= away if this is what the network reads.")

def prepared(p, transform)->Tensor: # (3,H,W)
    "One picture as the transform makes it. `CamError` if that is no normalised tensor."
    x = transform(p)
    if isinstance(x, Tensor) and x.ndim == 4 and len(x) == 1: x = x[0]
    if isinstance(x, Tensor) and x.ndim == 3 and x.is_floating_point(): return x
    got = f'a {x.dtype} tensor {tuple(x.shape)}' if isinstance(x, Tensor) else describe(x)
    raise CamError(f"the transform made {got}; it must make a normalised float tensor (3,H,W). "
                   "For torchvision use weights.transforms().")

def prepared_by_own(p, transform)->Tensor:
    "The same by what the network has under that name, which may be meant for something else."
    try: return prepared(p, transform)
    except Exception as e:
        said = ' '.join(str(e).split())[:200].rstrip('.')
        raise CamError(f"the network has a transform of its own, a {type(transform).__name__}, "
                       f"but it does not prepare a picture ({said}). Pass one that does as "
                       "transform=, or give a normalised float tensor (N,3,H,W).") from e

MODES = {1: 'L', 4: 'RGBA'} # of pictures, by the channels that a network reads

def channels_read(net):
    "How many channels the first convolution reads; None without one."
    conv = first_convolution(net)
    return None if conv is None else conv.in_channels

def prepared_in_colours(p, transform, prepare, channels)->Tensor:
    "A picture prepared as RGB, or grey or with its transparency if that is what gives the network's channels."
    if channels not in MODES: return prepare(picture(p), transform)
    if channels == 1:
        with suppress(CamError, RuntimeError, ValueError, TypeError): # it may want grey, and is asked again below
            if len(x := prepare(picture(p), transform)) == 1: return x
    return prepare(picture(p, MODES[channels]), transform)

def learner_batch(learn, pictures)->Tensor:
    """Pictures through a Learner's own steps, from a file's bytes on. fastai's loader draws random numbers; they are
    given back."""
    from fastai.data.core import Datasets, TfmdLists
    if not isinstance(getattr(learn.dls, 'valid_ds', None), (Datasets, TfmdLists)):
        raise CamError("how this Learner's pictures are prepared is not known: its DataLoaders were not made of "
                       "fastai's blocks. Pass transform=, or give a normalised float tensor (N,3,H,W).")
    files, state = [io.BytesIO() for p in pictures], random.getstate()
    for p, f in zip(pictures, files): p.save(f, 'png', compress_level=1)
    try:
        with torch.random.fork_rng(devices=[]):
            dl = learn.dls.test_dl([f.getvalue() for f in files], bs=len(pictures), num_workers=0)
            return dl.one_batch()[0].as_subclass(Tensor)
    finally: random.setstate(state)

def _check_one_input(learn):
    "Refuse pictures for a Learner whose network reads more than one input."
    n = getattr(learn.dls, 'n_inp', 1)
    if n > 1:
        raise CamError(f"this Learner's network reads {n} inputs, and a picture is one. Give "
                       "all of them, as a tuple of tensors, each with the batch first.")

def _transformed(model, items, transform):
    "A batch of pictures that are not normalised yet, by the first transform that is known."
    known = transform_of(model, transform)
    prepare = prepared if transform is not None else prepared_by_own
    def one(i): return i if is_batch(i) else prepared_in_colours(i, known, prepare, channels_read(network(model)))
    if known is not None: return stacked([one(i) for i in items])
    if is_learner(model): return learner_batch(model, [picture(i) for i in items])
    picture(items[0])  # not a picture at all: that is said first
    return check_knows_pictures(model)

def batch_of(
    model,          # a torch module, or a fastai Learner
    image,          # path, PIL image, Scene, array of bytes or floats from 0 to 1, tensor, list of them, several inputs
    transform=None, # PIL image -> normalised tensor (3,H,W); None = `model.transform`, or the Learner's own
):                  # (N,3,H,W), on the model's device, of its dtype; several inputs as they are
    """The batch that `model` reads. `CamError` for what is no picture.

    A text goes through the network's own `read`. Float tensors (N,3,H,W) count as normalised already; a tuple or a
    dict of tensors is the several inputs of one call."""
    net = network(model)
    if is_inputs(image): return image
    if is_text(model, image): return net.read([image] if isinstance(image, str) else list(image))
    if transform is not None and is_batch(image): check_normalised(image)
    if is_batch(image) and (image.ndim != 3 or places_read(net) == 1): return image.as_subclass(Tensor)
    items = as_list(image)
    if not items: raise CamError("there is nothing to explain: the list is empty.")
    if is_learner(model): _check_one_input(model)
    if all(map(is_batch, items)): return stacked(items).as_subclass(Tensor)
    if reads_texts(model): raise CamError(f"{describe(image)} is no text. Give a str, a list of them, or ids (N,L).")
    x = _transformed(model, items, transform)
    p = next((p for p in net.parameters() if p.is_floating_point()), x)
    return x.to(p.device, p.dtype)

# ---- what the network saw, as a picture

def normaliser_of(model, transform=None):
    "The transform that knows the mean and std of the pictures."
    known = transform_of(model, transform)
    return getattr(model.dls.valid, 'after_batch', None) if known is None and is_learner(model) else known

def as_shown(x, transform)->Tensor: # (N,3,H,W), 0 to 1
    "The batch as pictures: by the transform's mean and std if it has them, otherwise each by its own range."
    found = next((s for s in steps_of(transform) if hasattr(s, 'mean') and hasattr(s, 'std')), None)
    if found is None:
        low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
        return _rgb((x - low) / (high - low).clamp(min=1e-12))
    mean, std = (torch.as_tensor(v, dtype=x.dtype, device=x.device).flatten()[:, None, None]
                 for v in (found.mean, found.std))
    return _rgb((x * std + mean).clamp(0, 1))

def steps_of(t):
    "A transform, and all that it is composed of."
    yield t
    children = t.children() if isinstance(t, nn.Module) else ()
    for s in (*getattr(t, 'transforms', ()), *getattr(t, 'fs', ()), *children): yield from steps_of(s)

def _rgb(x):
    "Three channels of any number: the first three, or grey."
    return x[:, :3] if x.shape[1] >= 3 else x.mean(1, keepdim=True).expand(-1, 3, -1, -1)
