"""Published ways to judge maps: against a mask or a box, against drawn-away parts, by changed pictures or weights.

Functions of tensors, batch first; each gives one number for each picture (N,), if nothing else is said."""
from copy import deepcopy

import torch
from torch import Tensor

from camtutor.engine.ask import scores
from camtutor.errors import CamError, describe, doing

__all__ = ['order_of', 'spearman', 'rank_accuracy', 'pixel_auc', 'pointing_game', 'box_of', 'box_overlaps',
           'energy_pointing_game', 'max_box_accuracy', 'win_rate', 'important', 'preservation', 'deletion_check',
           'distractibility', 'target_sensitivity', 'background_independence', 'infidelity', 'squares', 'sensitivity',
           'cascade', 'randomisation', 'unrelated']

# ---- ranks

def both_fit(m, mask):
    if not all(isinstance(t, Tensor) for t in (m, mask)) or m.ndim != 3 or m.shape != mask.shape:
        raise CamError(f"maps {describe(m)} and masks {describe(mask)} must both be tensors (N,H,W) of one shape. "
                       "Bring the maps to the masks' size with upsample(m, mask.shape[-2:]).")
    if not m.isfinite().all(): raise CamError("the maps hold NaN or infinite values.")
    return m.flatten(1), mask.to(m.device).flatten(1).bool()

def order_of(
    m:Tensor,   # maps (N,H,W)
    seed:int=0, # of the order of equal values
)->Tensor:      # (N,H,W) int: 0 is the highest place
    "Each place's rank in its map. Equal values come in a random order, so that no side of the picture is preferred."
    flat = m.flatten(1)
    shuffled = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(seed)).to(m.device)
    found = shuffled[flat[:, shuffled].argsort(dim=1, descending=True, stable=True)]
    places = torch.arange(flat.shape[1], device=m.device).expand_as(found)
    return torch.empty_like(found).scatter_(1, found, places).view(m.shape)

def mid_ranks(v):
    "Ranks from 0 of each row of (N,M); equal values share the mean of theirs."
    ordered = v.sort(dim=1).values.contiguous()
    low, high = (torch.searchsorted(ordered, v.contiguous(), right=r) for r in (False, True))
    return (low + high - 1).double() / 2

def spearman(a:Tensor, b:Tensor)->Tensor: # (N,M) twice -> (N,)
    "Rank correlation of each row; NaN where one of the two is constant."
    a, b = (r - r.mean(1, keepdim=True) for r in map(mid_ranks, (a, b)))
    return ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))).float()

# ---- against a mask

@doing('Rank accuracy')
def rank_accuracy(m:Tensor, mask:Tensor)->Tensor:
    "Of as many highest places as the mask has, the share inside it; of equal values the expected share. NaN: no mask."
    flat, inside = both_fit(m, mask)
    k = inside.sum(1)
    if not k.all(): return per_picture(rank_accuracy, m, mask, k > 0)
    cut = flat.sort(dim=1, descending=True).values.gather(1, k[:, None] - 1)
    above, equal = flat > cut, flat == cut
    left = k - above.sum(1)
    return ((above & inside).sum(1) + left * (equal & inside).sum(1) / equal.sum(1)) / k

def per_picture(f, m, mask, known):
    "`f` where it is known, NaN elsewhere."
    out = m.new_full((len(m),), float('nan'))
    if known.any(): out[known] = f(m[known], mask[known]).to(out.dtype)
    return out

@doing('Pixel AUC')
def pixel_auc(m:Tensor, mask:Tensor)->Tensor:
    "How often a place inside is higher than one outside; equal ones count half. NaN where either side is empty."
    flat, inside = both_fit(m, mask)
    n, n_out = inside.sum(1), (~inside).sum(1)
    ranks = (mid_ranks(flat) * inside).sum(1)
    return ((ranks - n * (n - 1) / 2) / (n * n_out).where((n * n_out) > 0, torch.nan)).float()

@doing('Pointing game')
def pointing_game(
    m:Tensor, mask:Tensor, # (N,H,W)
    tolerance:float=None,  # how near counts, in pixels; None = 15 of a picture 224 high, and as much in proportion
    seed:int=0,            # of the choice among equal places
)->Tensor:                 # (N,) 0 or 1; NaN where the mask is empty
    "Is the highest place nearer than `tolerance` to the mask? Zhang et al., 2016."
    flat, inside = both_fit(m, mask)
    h, w = m.shape[1:]
    near = 15 * h / 224 if tolerance is None else tolerance
    top = (order_of(m, seed).flatten(1) == 0).float().argmax(1)
    y, x = (torch.arange(h * w, device=m.device) // w).float(), (torch.arange(h * w, device=m.device) % w).float()
    away = (y - y[top, None]).square() + (x - x[top, None]).square()
    nearest = away.where(inside, torch.inf).amin(1).sqrt()
    return ((nearest < near) | (nearest == 0)).float().where(inside.any(1), torch.nan)

# ---- against a box

def box_of(mask:Tensor)->Tensor: # (N,H,W) bool -> (N,4) x0 y0 x1 y1, both ends inside; zeros of an empty mask
    "The box round each mask."
    out = torch.zeros(len(mask), 4, dtype=torch.long, device=mask.device)
    for i, one in enumerate(mask):
        if one.any():
            y, x = one.nonzero().unbind(1)
            out[i] = torch.stack([x.min(), y.min(), x.max(), y.max()])
    return out

def overlap(a, b):
    "Intersection over union of boxes (…,4)."
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    both = (high - low + 1).clamp(min=0).prod(-1)
    areas = [(c[..., 2:] - c[..., :2] + 1).prod(-1) for c in (a, b)]
    return both / (areas[0] + areas[1] - both)

def boxes_at(m, cut, largest):
    "Boxes (R,4) round the connected regions of a map above `cut`, or round the largest alone."
    from scipy.ndimage import find_objects, label
    import numpy as np
    found, n = label(m > cut, np.ones((3, 3)))
    if not n: return torch.zeros(1, 4, dtype=torch.long)
    slices = find_objects(found)
    if largest: slices = [slices[np.bincount(found.ravel())[1:].argmax()]]
    return torch.from_numpy(np.array([[x.start, y.start, x.stop - 1, y.stop - 1] for y, x in slices]))

def box_overlaps(
    m:Tensor, boxes:Tensor, # maps (N,H,W) and the true boxes (N,4)
    largest:bool=True,      # only the largest region (V1), or any of them (V2)
    cuts:int=100,           # how many thresholds, from 0 to 1 of the map's range
)->Tensor:                  # (N,cuts)
    "How well a box round what is above each threshold overlaps the true box. A constant map has no box."
    low, high = m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)
    unit = ((m - low) / (high - low).where(high > low, 1)).cpu().numpy()
    def best(i, c): return overlap(boxes_at(unit[i], c / cuts, largest), boxes[i].cpu()).max().item()
    return torch.tensor([[best(i, c) for c in range(cuts)] for i in range(len(m))])

@doing('Energy pointing game')
def energy_pointing_game(m:Tensor, mask:Tensor)->Tensor: # (N,H,W) twice -> (N,), 0 to 1
    """The share of a map's positive part that lies in the box round the mask; 0 of an empty map. Wang et al., 2020.

    Higher is better. A uniform map gets the box's share of the picture. It asks the network nothing."""
    both_fit(m, mask)
    def between(on): return (on.cumsum(1) > 0) & (on.flip(1).cumsum(1).flip(1) > 0)   # the first, the last, all between
    box = between(mask.bool().any(2))[:, :, None] & between(mask.bool().any(1))[:, None]
    m = m.clamp(min=0)
    total = m.sum((1, 2))
    return (m * box.to(m)).sum((1, 2)) / total.where(total > 0, 1)

@doing('Max box accuracy')
def max_box_accuracy(
    m:Tensor, mask:Tensor, # (N,H,W)
    v2:bool=True,          # the mean over overlaps of .3, .5 and .7, any region; else .5 and the largest region
    cuts:int=100,
)->float:
    """The share of pictures that are hit at the best threshold *of the whole set*: never the best of each picture.

    Choe et al., 2020. Higher is better, 0 to 1; a uniform map has no box and gets 0. It asks the network nothing. A
    number for the set, so it is not in the table of metrics of one picture."""
    both_fit(m, mask)
    overlaps = box_overlaps(m, box_of(mask), not v2, cuts)
    best = [(overlaps >= share).float().mean(0).max().item() for share in ((.3, .5, .7) if v2 else (.5,))]
    return sum(best) / len(best)

def win_rate(a:Tensor, b:Tensor)->float:
    """The share of pictures in which the drop `a` is smaller than `b`; equal ones go to neither. Higher is better.

    It has the flaws of the drop: nothing wins against a uniform map."""
    return (a < b).float().mean().item()

# ---- against parts that were drawn away: FunnyBirds' questions (Hesse et al., 2023), asked of our scenes

ANIMAL = 'ears', 'head', 'eyes', 'muzzle', 'body', 'legs', 'tail'

def important(
    shares:Tensor, # of each map in each part (N,P)
    t:float=.1,    # the share above which a part counts
)->Tensor:         # (N,P) bool
    return shares > t

def tops(net, scenes):
    x = torch.stack([net.transform(s) for s in scenes])
    return scores(net, x.to(next(net.parameters()).device)).argmax(1).cpu()

def kept_top(net, scenes, parts, keep):
    "Is the top class still the same when only these of the animal's parts are drawn?"
    less = [s.again(without=[p for p, k in zip(parts, row) if p in ANIMAL and not k] or None)
            for s, row in zip(scenes, keep.tolist())]
    return tops(net, less) == tops(net, scenes)

def preservation(net, scenes, parts, chosen)->Tensor: # chosen (N,P) bool
    "1 where the chosen parts alone keep the network's answer. Higher is better; to choose all parts gives 1."
    return kept_top(net, scenes, parts, chosen).float()

def deletion_check(net, scenes, parts, chosen)->Tensor: # chosen (N,P) bool
    "1 where the network changes its answer when the chosen parts are drawn away. Higher is better; no parts give 0."
    return (~kept_top(net, scenes, parts, ~chosen)).float()

def distractibility(
    chosen:Tensor,  # (N,P) bool
    effects:Tensor, # true effects on the score (N,P)
    score:Tensor,   # the score itself (N,)
    seen:Tensor,    # is the part to be seen? (N,P) bool
)->Tensor:
    """Of the parts that hardly matter (less than 5 % of the score), the share that is *not* chosen. NaN: there is none.

    Higher is better, 0 to 1; to choose no part gives 1."""
    idle = seen & (effects < .05 * score[:, None])
    return 1 - (chosen & idle).sum(1) / idle.sum(1).where(idle.any(1), torch.nan)

def background_independence(effects:Tensor, score:Tensor)->Tensor: # the background's effect (N,) and the score (N,)
    "1 where drawing the background away lowers the score by less than 5 %. Says something of the network, not of maps."
    return (effects < .05 * score).float()

@doing('Target sensitivity')
def target_sensitivity(
    m:Tensor, other_m:Tensor, # maps for the one animal, and for the other (N,H,W)
    own:Tensor, other:Tensor, # where the animals are (N,H,W) bool
)->Tensor:                    # 0, ½ or 1
    "Has each animal more of the map that was made for it? Equal is no, so one map for both gets 0. Higher is better."
    (a, own_), (b, other_) = both_fit(m, own), both_fit(other_m, other)
    def on(m, mask): return (m.clamp(min=0) * mask).sum(1) / m.clamp(min=0).sum(1).clamp(min=1e-12)
    return ((on(a, own_) > on(b, own_)).float() + (on(b, other_) > on(a, other_)).float()) / 2

# ---- by changed pictures

def squares(
    shape,          # (H,W)
    n:int=32,       # how many
    side:float=.25, # of the picture's shorter side
    seed:int=0,
)->Tensor:          # (n,H,W) bool
    "Squares at random places, whole ones."
    h, w = shape
    s = max(1, round(side * min(h, w)))
    g = torch.Generator().manual_seed(seed)
    out = torch.zeros(n, h, w, dtype=torch.bool)
    ys, xs = (torch.randint(size - s + 1, (n,), generator=g).tolist() for size in (h, w))
    for i, (y, x) in enumerate(zip(ys, xs)): out[i, y:y + s, x:x + s] = True
    return out

@doing('Infidelity')
def infidelity(
    sums:Tensor,  # the map's sum over each hole (N,S)
    drops:Tensor, # by how much each hole lowers the score (N,S)
)->Tensor:        # (N,), 0 to 1
    """What of the drops a map does not tell, at its best scale: 1 says nothing, as an empty map; 0 tells all.

    Yeh et al., 2019, divided by what the empty map gets. NaN where no hole changes anything."""
    beta = (sums * drops).sum(1) / sums.square().sum(1).where(sums.any(1), 1)
    floor = drops.square().mean(1)
    return (beta[:, None] * sums - drops).square().mean(1) / floor.where(floor > 0, torch.nan)

@doing('Sensitivity')
def sensitivity(
    explain,         # (model, x, target) -> maps
    model, x, target,
    m:Tensor,        # the maps of x
    radius:float=.02, n:int=4, seed:int=0, # how far pixels move, how often
)->Tensor:
    "The largest change of a map under noise of the pixels, against its own size. Yeh et al., 2019."
    g, size = torch.Generator().manual_seed(seed), m.flatten(1).norm(dim=1)
    def moved(): return x + (2 * torch.rand(x.shape, generator=g) - 1).to(x) * radius
    far = [(explain(model, moved(), target) - m).flatten(1).norm(dim=1) for _ in range(n)]
    return torch.stack(far).amax(0) / size.where(size > 0, 1)

# ---- by changed weights

def cascade(
    model,      # is copied, not changed
    x:Tensor,   # pictures by which batch norms find their statistics again
    steps:int=4, # how many networks; the last has no learned layer left
    seed:int=0,
): # networks
    "Copies of the network, with more and more of its layers forgotten, from the answer down. Adebayo et al., 2018."
    net = deepcopy(model).eval()
    learned = [m for m in net.modules() if hasattr(m, 'reset_parameters') and any(True for _ in m.parameters(False))]
    size = -(-len(learned) // steps)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for i in range(len(learned), 0, -size):
            for m in learned[max(0, i - size):i]: m.reset_parameters()
            settle(net, x)
            yield net

def settle(net, x):
    "Batch norms find the statistics of `x` again: with those of other weights most channels would be dead."
    norms = [m for m in net.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    for m in norms:
        m.momentum = None   # a plain mean
        m.reset_running_stats()
        m.train()
    with torch.no_grad(): net(x)
    for m in norms: m.eval()

def alike(a, b):
    "The size of the rank correlation of maps (N,h,w); 0 where one is constant."
    return spearman(a.flatten(1), b.flatten(1)).abs().nan_to_num(0.)

@doing('Randomisation')
def randomisation(
    explain,         # (model, x, target) -> maps
    model, x, target,
    m:Tensor,        # the maps of x
    steps:int=4, seed:int=0,
)->Tensor:           # (N,), 0 to 1
    "How alike maps stay when layers are forgotten: the mean over `cascade`. The network as it was is not among them."
    return torch.stack([alike(explain(net, x, target), m) for net in cascade(model, x, steps, seed)]).mean(0)

def unrelated(m:Tensor)->Tensor:
    "How alike each map is to the next picture's: what `randomisation` stands beside."
    return alike(m, m.roll(1, 0))
