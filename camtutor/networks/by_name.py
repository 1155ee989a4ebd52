"Networks by name: shipped, torchvision's or timm's, with weights from a file that cannot run code."
from inspect import signature
from pathlib import Path
from typing import get_type_hints
from urllib.error import URLError

import torch
from torch import nn

from camtutor.errors import CamError, doing, nearest
from camtutor.networks.imagenet import imagenet_names, load_imagenet
from camtutor.networks.shipped import load_pets, load_plain
from camtutor.networks.transform import attach

@doing('Reading weights')
def read_state(path)->dict: # name -> tensor
    "A state dict from a safetensors file, or from a checkpoint of tensors; a pickle that could run code is refused."
    path = Path(path).expanduser()
    if not path.is_file(): raise CamError(f"there is no file '{path}'.")
    try: state = _tensors(path)
    except Exception as e:   # each reader has errors of its own; all mean that the file cannot be used
        raise CamError(f"'{path}' holds more than tensors, or is damaged ({type(e).__name__}). "
                       'Give a safetensors file, or one written by torch.save(model.state_dict(), path).') from e
    for key in ('state_dict', 'model'):
        if isinstance(state, dict) and isinstance(state.get(key), dict): state = state[key]
    if not _is_state(state):
        raise CamError(f"'{path}' holds a {type(state).__name__} that is no state dict. "
                       'Write it with torch.save(model.state_dict(), path).')
    return {k.removeprefix('module.'): v for k, v in state.items()}

def _tensors(path):
    "What is in the file, read without running any of it."
    if path.suffix.lower() != '.safetensors': return torch.load(path, map_location='cpu', weights_only=True)
    from safetensors.torch import load_file
    return load_file(path)

def _is_state(o):
    "Is it tensors by name, one or more?"
    if not isinstance(o, dict) or not o: return False
    return all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in o.items())

def fill(model:nn.Module, state, name):
    "Put a state dict into `model`, completely. Names that differ from the model's by dots alone are its own."
    own = model.state_dict()
    near = {k.replace('.', ''): k for k in own}
    state = {k if k in own else near.get(k.replace('.', ''), k): v for k, v in state.items()}
    try: model.load_state_dict(state)
    except RuntimeError as e:
        raise CamError(f'the weights do not fit a {name}. ' + ' '.join(str(e).split())[:300]) from e
    return model

def last_tensor(model): return list(model.state_dict())[-1]

def n_outputs(model): return len(model.state_dict()[last_tensor(model)])

def n_classes(model, state, name):
    "How many classes the weights are for: the length of the model's last tensor, its classifier's bias."
    last = last_tensor(model)
    if last not in state:
        raise CamError(f'the weights do not fit a {name}. There is no {last!r} among their {len(state)} tensors.')
    if state[last].ndim != 1:
        raise CamError(f'the weights do not fit a {name}. {last!r} should have shape (K,), '
                       f'but it has {tuple(state[last].shape)}.')
    return len(state[last])

OURS = dict(imagenet=load_imagenet, pets=load_pets, plain=load_plain)   # need no weights from elsewhere

@doing('Making a network')
def load_network(
    name='pets',  # 'imagenet', for photographs; 'pets', 'plain'; one of torchvision's; 'timm:' and one of timm's
    weights=None, # a file; 'DEFAULT': the published ones, by download; None: for the first three alone
)->nn.Module:     # in eval mode, with .transform, and .vocab where it is known
    "A network that `explain` can use as it is."
    if name in OURS:
        net = OURS[name]()
        return fill(net, read_state(weights), f'{name} network') if weights else net
    if name.startswith('timm:'): return from_timm(name.removeprefix('timm:'), weights)
    return from_torchvision(name, weights)

def expect_weights(name, weights):
    "`weights`, if there are any."
    if weights is not None: return weights
    raise CamError(f'without weights a {name} knows nothing. '
                   'Say --weights FILE, or --weights DEFAULT to download those that are published.')

# ---- torchvision
def from_torchvision(name, weights):
    "One of torchvision's classifiers, with its published weights or those of a file."
    from torchvision import models
    known = models.list_models(module=models)
    if name not in known:
        raise CamError(f"there is no {name!r}. {nearest(name, [*OURS, *known])}")
    official = models.get_model_weights(name).DEFAULT
    if expect_weights(name, weights) == 'DEFAULT': net = downloaded(name, official)
    else: net = filled(name, read_state(weights), official)
    vocab = official.meta['categories']
    if n_outputs(net) != len(vocab): vocab = None
    return attach(net.eval(), vocab=vocab, transform=official.transforms())

def filled(name, state, official):
    "A network for the weights in `state`, without the heads that only help to train."
    with torch.device('meta'): n = n_classes(build(name, 1, official), state, name)
    helpers = helping_heads(name)
    return fill(build(name, n, official), {k: v for k, v in state.items() if k.partition('.')[0] not in helpers}, name)

def build(name, n, official):
    "A network of `n` classes; if the published weights have as many, it is built as for them."
    from torchvision.models import get_model
    more = dict(aux_logits=False, init_weights=False)
    if n == len(official.meta['categories']):
        more |= dict(transform_input=True, image_size=official.meta['min_size'][0])
    takes = _takes(name)
    return get_model(name, weights=None, num_classes=n, **{k: v for k, v in more.items() if k in takes})

def _takes(name):
    "The arguments of a builder's class: a builder hands on whatever it is given."
    from torchvision.models import get_model_builder
    return signature(get_type_hints(get_model_builder(name))['return']).parameters

def helping_heads(name):
    "The heads that only help to train: those a network has not without `aux_logits`."
    from torchvision.models import get_model
    if 'aux_logits' not in _takes(name): return set()
    with torch.device('meta'):
        more, less = (get_model(name, weights=None, init_weights=False, aux_logits=a) for a in (True, False))
    return {k for k, _ in more.named_children()} - {k for k, _ in less.named_children()}

def downloaded(name, official):
    from torchvision.models import get_model
    try: return get_model(name, weights=official)
    except (URLError, OSError) as e:
        raise CamError(f'the weights of a {name} cannot be downloaded from {official.url} ({e}). '
                       'Give a file with --weights FILE.') from e

# ---- timm
def from_timm(name, weights):
    "One of timm's networks, with its published weights or those of a file."
    try: import timm
    except ImportError as e: raise CamError(f'{name!r} comes from timm. Install it with: pip install timm') from e
    if not timm.is_model(name): raise CamError(f'timm has no {name!r}. {nearest(name, timm.list_models())}')
    if expect_weights(f'timm:{name}', weights) == 'DEFAULT': net = timm_downloaded(name)
    else:
        state = read_state(weights)
        with torch.device('meta'): n = n_classes(timm.create_model(name), state, name)
        net = fill(timm.create_model(name, num_classes=n), state, name)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(net))
    return attach(net.eval(), vocab=names_for(net.num_classes), transform=transform)

def timm_downloaded(name):
    import timm
    try: return timm.create_model(name, pretrained=True)
    except Exception as e:   # what its hub raises, down to a RuntimeError for a network without published weights
        why = ' '.join(str(e).split())[:200]
        raise CamError(f'the weights of a timm:{name} cannot be downloaded ({why}). '
                       'Give a file with --weights FILE.') from e

def names_for(n):
    "ImageNet's thousand names, if there are as many classes."
    names = imagenet_names()
    return names if n == len(names) else None
