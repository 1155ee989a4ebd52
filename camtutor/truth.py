"What a map's score stands beside: maps that ask no network, scenes whose truth is known, how sure a mean is."
from itertools import combinations
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from camtutor.errors import CamError, describe, doing
from camtutor.hooks import eval_mode
from camtutor.scenes import Scene, scene

__all__ = ['uniform', 'edges', 'centre_blob', 'BASELINES', 'Scenes', 'one_animal', 'two_animals', 'mean_interval',
           'PIECES', 'Effects', 'true_effects']

# ---- maps that ask no network

def as_batch(x):
    if isinstance(x, Tensor) and x.ndim == 4: return x.float()
    raise CamError(f"pictures must be a tensor (N,C,H,W), got {describe(x)}. For one picture: x[None].")

@doing('Drawing a uniform map')
def uniform(
    x:Tensor, # pictures (N,C,H,W)
)->Tensor:    # (N,H,W)
    "The same value everywhere."
    return torch.ones_like(as_batch(x)[:, 0])

@doing('Drawing a map of edges')
def edges(
    x:Tensor, # pictures (N,C,H,W)
)->Tensor:    # (N,H,W)
    "How much the picture changes there, a little blurred: the length of its gradient, over all colours."
    x = as_batch(x)
    dy, dx = (F.pad(x.diff(dim=d), pad).square().sum(1) for d, pad in ((2, (0, 0, 0, 1)), (3, (0, 1))))
    m = F.avg_pool2d((dx + dy).sqrt()[:, None], 9, 1, 4)[:, 0]
    return m - m.amin((1, 2), keepdim=True)

@doing('Drawing a map of the middle')
def centre_blob(
    x:Tensor, # pictures (N,C,H,W)
    spread:float=.2, # standard deviation, in sides of the picture
)->Tensor:    # (N,H,W)
    "One soft blob in the middle, the same for every picture."
    down, across = (torch.linspace(-.5, .5, n, device=x.device).square() for n in as_batch(x).shape[2:])
    return torch.exp(-(down[:, None] + across) / (2 * spread**2)).expand(len(x), -1, -1).contiguous()

BASELINES = dict(uniform=uniform, edges=edges, centre_blob=centre_blob)   # x (N,C,H,W) -> maps (N,H,W)

# ---- scenes whose truth is known

class Scenes(NamedTuple):
    "Scenes as a network's input, and what is known of each animal in them: P of them in each, one or two."
    scenes:list    # N of them, as `scene` draws them
    x:Tensor       # (N,3,H,W)
    classes:Tensor # the class number of each animal (N,P)
    masks:Tensor   # where each animal is (N,P,H,W), bool

def drawn(net, species, seed):
    vocab = list(net.vocab)
    scenes = [scene(seed + i, species=s) for i, s in enumerate(species)]
    n = len(species[0])
    masks = [[torch.from_numpy(s.mask(instance=j + 1)) for j in range(n)] for s in scenes]
    x = torch.stack([net.transform(s) for s in scenes])
    masks = torch.stack([torch.stack(m) for m in masks])
    return Scenes(scenes, x, torch.tensor([[vocab.index(v) for v in s] for s in species]), masks)

def expect_drawn(net, n):
    if not getattr(net, 'vocab', None) or not getattr(net, 'transform', None):
        raise CamError(f"{describe(net)} has no vocab or no transform. Give a network of camtutor.networks.")
    if n < 1: raise CamError(f"{n} scenes are none. Ask for one or more.")

@doing('Drawing scenes with one animal')
def one_animal(
    net,              # a network with `.vocab` and `.transform`
    n:int=100,        # how many; the species take turns
    seed:int=920_000, # of the first scene
)->Scenes:
    "Scenes with one animal each."
    expect_drawn(net, n)
    return drawn(net, [(net.vocab[i % len(net.vocab)],) for i in range(n)], seed)

@doing('Drawing scenes with two animals')
def two_animals(
    net,              # a network with `.vocab` and `.transform`
    n:int=60,         # how many; all pairs of species take turns
    seed:int=930_000, # of the first scene
)->Scenes:
    "Scenes with two animals of different species each."
    expect_drawn(net, n)
    teams = list(combinations(net.vocab, 2))
    return drawn(net, [teams[i % len(teams)] for i in range(n)], seed)

# ---- how sure a mean is

@doing('Finding an interval')
def mean_interval(
    values:Tensor,   # (N,)
    draws:int=1000,  # how often N of them are drawn again
    level:float=.95, # how often the interval should hold the mean
    seed:int=0,
)->tuple:            # (mean, lower, upper)
    "The mean and its bootstrap interval (Efron, 1979)."
    values = torch.as_tensor(values, dtype=torch.float64).flatten().cpu()
    if not len(values): raise CamError("there are no values to take the mean of.")
    again = torch.randint(len(values), (draws, len(values)), generator=torch.Generator().manual_seed(seed))
    means, tail = values[again].mean(1), (1 - level) / 2
    return tuple(v.item() for v in (values.mean(), means.quantile(tail), means.quantile(1 - tail)))

# ---- how much each part matters, by drawing it away

PIECES = 'ears', 'head', 'eyes', 'muzzle', 'body', 'legs', 'tail', 'collar', 'object', 'background'

class Effects(NamedTuple):
    "What each of P parts does to each score, and where it is."
    parts:tuple    # their names
    effects:Tensor # the score of the whole scene, less the score without the part (N,P,K)
    masks:Tensor   # where each part is seen (N,P,H,W), bool
    scores:Tensor  # of the whole scene (N,K)

    def of(self, classes):
        "The effects on one class in each scene (N,P)."
        return self.effects[range(len(classes)), :, classes]

@doing('Measuring true effects')
def true_effects(
    net,          # a network with `.transform`
    scenes,       # a scene as `scene` draws it, or a list of them, all of one size
    parts=PIECES, # what to draw away, one after the other
)->Effects:
    """How much each part matters to each score: the scene is drawn again without it, and no hole is left.

    A part that is not to be seen has no effect. A background that is drawn away is grey. `CamError` for a scene that
    cannot be drawn again."""
    scenes = [scenes] if isinstance(scenes, Scene) else list(scenes)
    if not scenes or not all(isinstance(s, Scene) for s in scenes):
        raise CamError(f"{describe(scenes)} is no list of scenes. Give what `scene` draws.")
    if not getattr(net, 'transform', None): raise CamError(f"{describe(net)} has no transform. Set net.transform.")
    masks = torch.stack([torch.stack([torch.from_numpy(s.mask(p)) for p in parts]) for s in scenes])
    device = next(net.parameters()).device
    def score(drawn): return scored(net, torch.stack([net.transform(s) for s in drawn]).to(device)).cpu()
    whole = score(scenes)
    effects = whole.new_zeros(len(scenes), len(parts), whole.shape[1])
    for i, part in enumerate(parts):
        seen = masks[:, i].flatten(1).any(1).nonzero()[:, 0].tolist()
        if seen: effects[seen, i] = whole[seen] - score([scenes[n].again(without=part) for n in seen])
    return Effects(tuple(parts), effects, masks, whole)

def scored(net, x, bs=64):
    "The scores (N,K), at most `bs` pictures at a time."
    with eval_mode(net), torch.no_grad(): return torch.cat([net(x[i:i + bs]) for i in range(0, len(x), bs)])
