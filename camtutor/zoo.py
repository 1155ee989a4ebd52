"Networks by name: the shipped one, or torchvision's with weights from a file that cannot run code."
import re
from pathlib import Path
from urllib.error import URLError

import torch
from torch import nn

from camtutor.errors import CamError, nearest
from camtutor.pets import load_pets

def read_state(path)->dict: # name -> tensor
    "A state dict from a safetensors file, or from a checkpoint that holds tensors alone; a pickle that could run code is refused."
    path = Path(path).expanduser()
    if not path.is_file(): raise CamError(f"Reading weights: there is no file '{path}'.")
    try:
        if path.suffix.lower() == '.safetensors':
            from safetensors.torch import load_file
            state = load_file(path)
        else: state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as e:   # each reader has errors of its own; all mean that the file cannot be used
        raise CamError(f"Reading weights: '{path}' holds more than tensors, or is damaged ({type(e).__name__}). Give a safetensors file, "
                       'or one written by torch.save(model.state_dict(), path).') from e
    for key in ('state_dict', 'model'):
        if isinstance(state, dict) and isinstance(state.get(key), dict): state = state[key]
    if not isinstance(state, dict) or not state or not all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items()):
        raise CamError(f"Reading weights: '{path}' holds a {type(state).__name__} that is no state dict. Write it with torch.save(model.state_dict(), path).")
    return {name_now(k): v for k, v in state.items()}

def name_now(key):
    "A tensor's name without what a wrapper put before it; a DenseNet's layers, `norm.1` in torchvision's files, are called `norm1`."
    return re.sub(r'(denselayer\d+\.(?:norm|conv))\.(?=[12]\.)', r'\1', key.removeprefix('module.'))

def fill(model:nn.Module, state, name):
    "Put a state dict into `model`, completely."
    try: model.load_state_dict(state)
    except RuntimeError as e: raise CamError(f'Reading weights: they do not fit a {name}. ' + ' '.join(str(e).split())[:300]) from e

INCEPTIONS, HELPERS = ('googlenet', 'inception_v3'), ('aux1.', 'aux2.', 'AuxLogits.') # networks with heads that only help to train

def built(name, n, official):
    "A network of `n` classes; if torchvision's published weights have as many, it is built as for them."
    from torchvision import models
    theirs = n == len(official.meta['categories'])
    if name in INCEPTIONS: more = dict(aux_logits=False, init_weights=False, transform_input=theirs)
    elif theirs and name.startswith('vit_'): more = dict(image_size=official.meta['min_size'][0])
    else: more = {}
    return models.get_model(name, weights=None, num_classes=n, **more)

def n_classes(name, state, official):
    "How many classes the weights are for: the length of the network's last tensor, its classifier's bias."
    with torch.device('meta'): last = list(built(name, 1, official).state_dict())[-1]
    if last not in state: raise CamError(f'Reading weights: they do not fit a {name}. There is no {last!r} among their {len(state)} tensors.')
    if state[last].ndim != 1: raise CamError(f'Reading weights: they do not fit a {name}. {last!r} should have shape (K,), but it has {tuple(state[last].shape)}.')
    return len(state[last])

def load_network(name='pets', # 'pets': the shipped network; otherwise one of torchvision's
                 weights=None, # a file; 'DEFAULT': torchvision's own, which are downloaded; None: for 'pets' alone
                )->nn.Module: # in eval mode, with .vocab and .transform
    "A network that `explain` can use as it is."
    from torchvision import models
    if name == 'pets':
        net = load_pets()
        if weights: fill(net, read_state(weights), 'pets network')
        return net
    known = models.list_models(module=models)
    if name not in known: raise CamError(f"Making a network: there is no {name!r}. {nearest(name, ['pets', *known])}")
    if weights is None: raise CamError(f'Making a {name}: without weights it knows nothing. Say --weights FILE, or --weights DEFAULT to download those of torchvision.')
    official = models.get_model_weights(name).DEFAULT
    if weights == 'DEFAULT': net, vocab = downloaded(name, official), official.meta['categories']
    else:
        state = read_state(weights)
        if name in INCEPTIONS: state = {k: v for k, v in state.items() if not k.startswith(HELPERS)}
        n = n_classes(name, state, official)
        net = built(name, n, official)
        fill(net, state, name)
        vocab = official.meta['categories'] if n == len(official.meta['categories']) else None
    net.vocab, net.transform = vocab, official.transforms()
    return net.eval()

def downloaded(name, official):
    from torchvision import models
    try: return models.get_model(name, weights=official)
    except (URLError, OSError) as e:
        raise CamError(f'Making a {name}: its weights cannot be downloaded from {official.url} ({e}). Give a file with --weights FILE.') from e
