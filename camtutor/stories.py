"Cats and dogs drawn for a story, the network that learns them in seconds, and scenes drawn again without their parts."
import json
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from camtutor.errors import CamError, doing, expect_choice
from camtutor.networks import gap_linear, load_body, load_weights
from camtutor.networks.shipped import DATA
from camtutor.networks.transform import attach
from camtutor.scenes.bulk import pictures

__all__ = ['SPECIES', 'PARTS', 'FAR', 'STRENGTHS', 'Set', 'draw_set', 'new_net', 'inputs', 'fine_tuned', 'small_parts',
           'load_strength', 'MEASURED', 'told_stories', 'Redrawn', 'redrawn', 'as_drawn', 'batch_of', 'finished',
           'tint', 'as_table']

SPECIES = 'cat', 'dog'
PARTS = 'head', 'body', 'legs', 'tail', 'object', 'background'

FAR = .05                             # the share of the picture of an animal that is far away
STRENGTHS = 50, 60, 70, 80, 90, 100   # percent of the animals that are where their kind always is

# ---- sets

class Set(NamedTuple):
    "Cats and dogs to learn from, or to be judged on."
    images:np.ndarray # (N,H,W,3) uint8
    animals:Tensor    # where the animal is (N,H,W), bool
    y:Tensor          # 0 is a cat, 1 a dog (N,)
    groups:Tensor     # which of the pairs it is one of (N,)

@doing('Drawing a set')
def draw_set(
    pairs,    # (species, background) of each group; None is any background
    n:int,    # scenes of each group
    seed:int, # of the first scene
    **fixed,  # the same for all: pose, area, …
)->Set:
    "`n` scenes of each group, drawn once and read from the cache after that."
    def group(i, species, place):
        where = fixed if place is None else dict(fixed, background=place)
        return pictures(range(seed + i * n, seed + i * n + n), [species] * n, **where)
    drawn = [group(i, *pair) for i, pair in enumerate(pairs)]
    y, groups = torch.tensor([SPECIES.index(s) for s, _ in pairs]), torch.arange(len(pairs))
    animals = torch.from_numpy(np.concatenate([p.instances for p in drawn]) > 0)
    images = np.concatenate([p.images for p in drawn])
    return Set(images, animals, y.repeat_interleave(n), groups.repeat_interleave(n))

# ---- networks

def new_net():
    "The shipped backbone, and a new head for cats and dogs."
    body = load_body()
    return attach(nn.Sequential(body, gap_linear(128, 2)), vocab=list(SPECIES), transform=body.transform,
                  activation=nn.Softmax(1))

def inputs(images)->Tensor: # (N,3,H,W)
    "Pictures (N,H,W,3) as the network takes them."
    transform = load_body().transform
    return torch.stack([transform(im) for im in images])

@doing('Fine-tuning')
def fine_tuned(
    x:Tensor, y:Tensor, # pictures (N,3,H,W), class numbers (N,)
    price=None, # (activations, weight of the head, numbers of the pictures) -> what is added to the loss
    seed=0, epochs=4, lr=6e-3, bs=32,
)->nn.Sequential: # body, head
    "All but the backbone's first convolution learns, and a new head: AdamW, one cycle."
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        net, x = new_net().to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
        turns = [i for _ in range(epochs) for i in torch.randperm(len(y)).split(bs)]
        stem, rest, head = net[0][:4], net[0][4:].train(), net[1]
        with torch.no_grad(): seen = torch.cat([stem(b) for b in x.split(64)])
        opt = torch.optim.AdamW([*rest.parameters(), *head.parameters()], lr)
        sched = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=len(turns))
        for i in turns:
            acts = rest(seen[i])
            loss = F.cross_entropy(head(acts), y[i]) + (price(acts, head[-1].weight, i) if price else 0)
            opt.zero_grad(); loss.backward(); opt.step(); sched.step()
    return net.eval()

# ---- networks that were trained before, by tools/make_stories.py

def small_parts(net, name)->bool:
    "Is this parameter or buffer one of those that make a network of `load_strength`: batch norm or head?"
    owner = net.get_submodule(name.rpartition('.')[0])
    return isinstance(owner, (nn.BatchNorm2d, nn.Linear)) and not name.endswith('num_batches_tracked')

@doing('Loading a bias of some strength')
def load_strength(
    percent:int, # one of STRENGTHS
    seed:int=0,  # 0, 1 or 2
    folder=DATA, # where its weights are
):               # (network, how often it is right: same kind, exchanged, worst group)
    "The backbone with batch norms and a head that saw so many percent of the cats on sofas and of the dogs on grass."
    if percent not in STRENGTHS or seed not in (0, 1, 2):
        raise CamError(f'there is no {percent} % with seed {seed}. Strengths are {STRENGTHS}, seeds 0, 1 and 2.')
    (state, meta), net, mine = load_weights('strengths', folder), new_net(), f'{percent}-{seed}/'
    net.load_state_dict({k.removeprefix(mine): t for k, t in state.items() if k.startswith(mine)}, strict=False)
    return net.eval(), meta['scores'][f'{percent}-{seed}']

MEASURED = {   # of the lesson's networks, by tools/make_stories.py; a network has what its story asks for
    'same': 'right: new scenes of the same kind', 'elsewhere': 'right: in places of another kind',
    'exchanged': 'right: cue exchanged', 'worst': 'right: worst group', 'cut': 'right: background cut away',
    'channel': 'right: the worst channel off', 'animal': 'map on the animal', 'cue': 'map on the cue, less its area',
    'own': 'two animals: own share', 'effect': 'effect of the cue'}

@doing('Telling stories')
def told_stories(
    *names,      # of networks of the lesson
    of=MEASURED, # which measures, all that they have if nothing is said
    folder=DATA, # where stories.json is
):               # a pandas DataFrame
    "What was measured when scenes and training had other seeds: three numbers for each network."
    import pandas as pd
    told = json.loads((folder/'stories.json').read_text(encoding='utf8'))
    for n in names: expect_choice(n, told, 'network')
    for k in of: expect_choice(k, MEASURED, 'measure')
    def cell(n, k): return ', '.join(f'{one[k]:.2f}' for one in told[n]) if k in told[n][0] else '–'
    rows = {MEASURED[k]: [cell(n, k) for n in names] for k in of if any(k in told[n][0] for n in names)}
    return pd.DataFrame(rows, list(names)).T

# ---- scenes drawn again

class Redrawn(NamedTuple):
    "Scenes, what they show, and each of them drawn again without each part."
    scenes:list  # N of them
    y:Tensor     # class numbers (N,)
    without:dict # part -> (the numbers of the scenes in which it is seen, these scenes without it)

@doing('Drawing scenes again')
def redrawn(
    scenes,      # as `scene` draws them
    y,           # their class numbers
    parts=PARTS, # what to draw away, one after the other
)->Redrawn:
    "Every part of every scene drawn away, once for as many networks as there are."
    def without(part):
        seen = [i for i, s in enumerate(scenes) if s.mask(part).any()]
        return seen, [scenes[i].again(without=part) for i in seen]
    return Redrawn(list(scenes), torch.as_tensor(y), {p: without(p) for p in parts})

def as_drawn(image, k): return image

def batch_of(net, scenes, y, finish=as_drawn)->Tensor: # (N,3,H,W)
    "Scenes as the network takes them, each finished by a function of picture and class number."
    return torch.stack([net.transform(finish(s.image, int(k))) for s, k in zip(scenes, y)])

def finished(s, finish, swapped=False):
    "A set whose finished pictures are changed by a function of picture and class number, or of the other class's."
    return s._replace(images=np.stack([finish(im, k ^ swapped) for im, k in zip(s.images, s.y.tolist())]))

def tint(image, k):
    "Warm light for a dog (k=1), cold for a cat."
    light = np.array([1.12, 1., .85] if k else [.85, 1., 1.12])
    return (image * light).clip(0, 255).astype(np.uint8)

# ---- tables

def as_table(
    found, # part -> Finding, see `biases`
):         # a pandas DataFrame
    "Map and experiment, part by part."
    import pandas as pd
    effect = ['{:.2f} ({:.2f} to {:.2f})'.format(*f.effect) for f in found.values()]
    t = pd.DataFrame([(f.area, f.share) for f in found.values()], list(found), ['area', 'share of the map']).round(2)
    return t.assign(**{'effect (95 % interval)': effect, 'says so': [f.says for f in found.values()]})
