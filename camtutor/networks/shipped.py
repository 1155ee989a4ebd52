"The networks whose weights are in camtutor/data, from safetensors: numbers and a few words about them, no code."
import json
from importlib.resources import files

import torch
from safetensors import safe_open
from torch import nn

from camtutor.errors import CamError, doing, expect_choice, nearest
from camtutor.networks.build import Suspect, plain_net, small_body, small_resnet
from camtutor.networks.transform import attach, picture_transform

SHIPPED = 'pets', 'coached', 'backbone', 'plain'   # networks for pictures
LIARS = 'honest', 'blind', 'sofa', 'mark', 'false' # lesson 11's gallery
WEIGHTS = *SHIPPED, *(f'liar_{name}' for name in LIARS), 'reviews', 'strengths' # built by lesson 13 and by stories

def softmax(out): return out.softmax(1)

ACTIVATIONS = dict(sigmoid=torch.sigmoid, softmax=softmax)   # what makes probabilities of a network's scores (N,K)

DATA = files('camtutor')/'data'

@doing('Loading weights')
def load_weights(
    name:str, # one of WEIGHTS
    folder=DATA # where the file is
)->tuple: # the tensors by name, and what is known of them: vocab, size, mean, std, activation, made
    "Shipped weights and their metadata; half precision becomes float32."
    if name not in WEIGHTS: raise CamError(f'nothing ships under {name!r}. {nearest(name, WEIGHTS)}')
    with safe_open(str(folder/f'{name}.safetensors'), 'pt') as f:
        state = {k: f.get_tensor(k) for k in f.keys()}
        meta = {k: json.loads(v) for k, v in f.metadata().items()}
    return {k: t.float() if t.is_floating_point() else t for k, t in state.items()}, meta

# for n classes
BUILD = dict(pets=small_resnet, coached=small_resnet, backbone=lambda n: small_body(), plain=plain_net)
BUILD |= {f'liar_{name}': lambda n, wall=name == 'blind': Suspect(wall) for name in LIARS}

def load_shipped(
    name:str, # one of SHIPPED, or liar_ and one of LIARS
    folder=DATA # where its weights are
)->nn.Module: # with `.vocab`, `.transform` and `.activation`
    "A shipped network, in eval mode. `CamError` for another name."
    expect_choice(name, BUILD, 'network')
    state, meta = load_weights(name, folder)
    net = BUILD[name](len(meta['vocab']))
    net.load_state_dict(state)
    transform = picture_transform(meta['size'], meta['mean'], meta['std'])
    return attach(net.eval(), vocab=meta['vocab'], transform=transform, activation=ACTIVATIONS[meta['activation']])

@doing('Loading the pets network')
def load_pets(
    how:str='pets', # 'pets' learned from labels alone; 'coached' paid for evidence off its own animal
)->nn.Sequential:   # body, head; with `.vocab`, `.transform` and `.activation`
    "The shipped network, which knows all species, in eval mode: (N,3,128,128) -> (N,len(vocab))."
    return load_shipped(expect_choice(how, ('pets', 'coached'), 'network'))

def load_body()->nn.Sequential: # `.vocab` names the species it has seen
    "The shipped backbone, which has never seen a cat or a dog, in eval mode: (N,3,128,128) -> (N,128,8,8)."
    return load_shipped('backbone')

def load_plain()->nn.Sequential: # with `.vocab`, `.transform` and `.activation`
    "The shipped network without skip connections, in eval mode: (N,3,128,128) -> (N,len(vocab))."
    return load_shipped('plain')
