"""Targets that are more than one class. A target is a function of what the network gave: out -> a score for each image
(N,). Any method explains it."""
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from camtutor.engine.targets import class_numbers, class_score, score_matrix, scores_of
from camtutor.engine.units import unit
from camtutor.errors import CamError, describe, doing

__all__ = ['score', 'difference', 'finer', 'region', 'box', 'similar', 'output', 'unit']

# ---- classes

def score(
    k=None, # a class number, or N of them; None = each image's top class
):          # a target: out -> (N,)
    "From scores (N,K) the class's own, before any softmax: what `target=k` means."
    def target(out):
        with doing('The score of a class'): return class_score(out, k)
    target.__name__ = 'top class' if k is None else f'class {k}'
    return target

def difference(
    a, # a class number, or N of them
    b, # the class that it is held against
):     # a target: out -> (N,)
    "How much more the network says `a` than `b`."
    def target(out):
        with doing('A difference of classes'): return class_score(out, a) - class_score(out, b)
    target.__name__ = f'class {a} rather than {b}'
    return target

def finer(
    k=None,         # a class number, or N of them; None = each image's top class
    n:int=3,        # how many other classes it is held against; all of them if there are fewer
    gamma:float=.6, # how much of their mean is taken off
):                  # a target: out -> (N,)
    "A class's score, less `gamma` times the mean of the `n` scores nearest to it. Zhang, Gu and others, 2025."
    if n < 1: raise CamError(f"it would be held against {n} classes. Give 1 or more.", 'Finer-CAM')
    def target(out):
        with doing('Finer-CAM'):
            own, scores = class_score(out, k), score_matrix(out)
            return own - gamma * scores.gather(1, nearest_classes(scores, own, k, n)).mean(1)
    target.__name__ = f"{'top class' if k is None else f'class {k}'}, finer"
    return target

def nearest_classes(scores:Tensor, own:Tensor, k, n)->Tensor: # (N,n) class numbers
    "The `n` other classes whose scores are nearest to an image's own."
    if scores.shape[1] < 2: raise CamError("the model gives one score, so there is no other class to hold it against.")
    numbers = scores.argmax(1).tolist() if k is None else class_numbers(k, *scores.shape)
    far = (scores.detach() - own.detach()[:, None]).abs()
    far = far.scatter(1, torch.tensor(numbers, device=far.device)[:, None], torch.inf)
    return far.topk(min(n, scores.shape[1] - 1), largest=False).indices

# ---- numbers, likeness

def output(
    i:int=0,      # which of the numbers that the network gives for each image
    sign:float=1, # -1: what makes it smaller
):                # a target: out -> (N,)
    "From the numbers (N,) or (N,K) of a regression the i-th, as it is or turned round."
    if sign not in (1, -1): raise CamError(f"sign is {sign!r}, but it is 1 or -1.", 'A number as target')
    def target(out):
        with doing('A number as target'):
            numbers = scores_of(out)
            if isinstance(numbers, Tensor) and numbers.ndim == 1: numbers = numbers[:, None]
            return sign * class_score(numbers, i)
    target.__name__ = f"output {i}{', downwards' * (sign < 0)}"
    return target

def similar(
    embedding:Tensor, # what is compared with: (D,), or one for each image (N,D)
):                    # a target: out -> (N,)
    """From embeddings (N,D) their cosine with another. The lengths count as constants, so that the map of a network
    that ends in a mean over places adds up to the cosine."""
    if not isinstance(embedding, Tensor) or embedding.ndim not in (1, 2) or not embedding.is_floating_point():
        raise CamError(f"the embedding is {describe(embedding)}, but it must be a tensor (D,) or (N,D).", 'Likeness')
    other = F.normalize(embedding.detach(), dim=-1)
    def target(out):
        with doing('Likeness'):
            e = scores_of(out)
            check_embeddings(e, other)
            return (e * other.to(e)).sum(1) / e.detach().norm(dim=1).clamp(min=1e-12)
    target.__name__ = 'likeness'
    return target

def check_embeddings(e, other):
    if not isinstance(e, Tensor) or e.ndim != 2:
        raise CamError(f"the network gave {describe(e)}, not embeddings (N,D). Give a network that ends in them.")
    if e.shape[1] != other.shape[-1] or other.ndim == 2 and len(other) != len(e):
        raise CamError(f"the network gave embeddings {tuple(e.shape)}, which cannot be compared with "
                       f"{tuple(other.shape)}. Give one of the same network: (D,), or one for each image (N,D).")

# ---- places

def region(
    mask:Tensor, # which places are meant, (H,W) or one for each image (N,H,W); of any size
    k:int,       # the class's number
):               # a target: out -> (N,)
    "From maps of scores (N,K,h,w), as a segmentation network gives them, the mean of class `k` over a region."
    if not isinstance(mask, Tensor) or mask.ndim not in (2, 3):
        raise CamError(f"the mask is {describe(mask)}, but it must be a tensor (H,W) or (N,H,W).", 'A region')
    weight = mask[None].float() if mask.ndim == 2 else mask.float()
    if not (weight.flatten(1).amax(1) > 0).all():
        raise CamError("a mask is empty. Mark one place at least.", 'A region')
    def target(out):
        with doing('A region'):
            maps = dense_scores(out)
            class_numbers(k, len(maps), maps.shape[1])
            w = F.adaptive_avg_pool2d(weight.to(maps)[:, None], maps.shape[2:])[:, 0]
            if len(w) not in (1, len(maps)): raise CamError(f"there are {len(w)} masks for {len(maps)} images.")
            return (maps[:, k] * w).sum((1, 2)) / w.sum((1, 2))
    target.__name__ = f'class {k} in a region'
    return target

def dense_scores(out)->Tensor: # (N,K,h,w)
    "The maps of scores in an output: itself, its `.logits`, or the 'out' of a dict."
    maps = out['out'] if isinstance(out, dict) and 'out' in out else scores_of(out)
    if isinstance(maps, Tensor) and maps.ndim == 4: return maps
    raise CamError(f"the network gave {describe(maps)}, not maps of scores (N,K,h,w).")

# ---- detectors

class Found(NamedTuple):
    "What a detector predicts in one image: M boxes, and the score of each of K classes for each; NaN where none is."
    boxes:Tensor  # (M,4) x0 y0 x1 y1
    scores:Tensor # (M,K)
    whole:bool=False # do the boxes run from 0 to 1?

def box(
    xyxy,           # left, top, right, bottom in pixels: four numbers, or (N,4)
    k:int=None,     # the class's number; None = each prediction's own
    size=None,      # (H,W) of the picture, for networks whose boxes run from 0 to 1 (DETR)
    least:float=.5, # how well a prediction has to overlap
):                  # a target: out -> (N,)
    """From a detector's predictions the score of the best that overlaps the box, intersection over union.

    Understood are torchvision's dicts of boxes, labels and scores, DETR's queries (`pred_logits` or `logits`, and
    `pred_boxes`), and YOLO's dense predictions (N,4+K,M). `CamError` lists what is predicted if nothing overlaps."""
    wanted = torch.as_tensor(xyxy, dtype=torch.float)
    if wanted.shape[-1:] != (4,) or wanted.ndim > 2 or not (wanted[..., 2:] > wanted[..., :2]).all():
        raise CamError(f"{xyxy!r} is no box. Give left, top, right, bottom; right and bottom are the larger.", 'A box')
    def target(out):
        with doing('A box'):
            found = predictions(out)
            if wanted.ndim == 2 and len(wanted) != len(found):
                raise CamError(f"there are {len(wanted)} boxes for {len(found)} images. Give one, or one for each.")
            places = wanted.expand(len(found), 4)
            return torch.stack([overlapping(f, w, k, size, least) for f, w in zip(found, places)])
    if k is not None and (type(k) is not int or k < 0):
        raise CamError(f"the class is {k!r}, not a number from 0.", 'A box')
    target.__name__ = 'a box' if k is None else f'class {k} in a box'
    return target

def predictions(out)->list: # of Found, one for each image
    "What a detector predicts, from an output of any of the kinds that `box` understands."
    if isinstance(out, (list, tuple)) and out and all(isinstance(o, dict) and 'boxes' in o for o in out):
        return [Found(o['boxes'], by_label(o['scores'], o['labels'])) for o in out]
    part = out.get if isinstance(out, dict) else lambda name: getattr(out, name, None)
    boxes, logits = part('pred_boxes'), part('pred_logits')
    logits = part('logits') if logits is None else logits
    if isinstance(boxes, Tensor) and isinstance(logits, Tensor):  # DETR's last class is "nothing"
        return [Found(corners(b), l[:, :-1], True) for b, l in zip(boxes, logits)]
    dense = out[0] if isinstance(out, (list, tuple)) and out else out
    if isinstance(dense, Tensor) and dense.ndim == 3 and dense.shape[1] > 4:
        return [Found(corners(d[:4].T), d[4:].T) for d in dense]
    raise CamError(f"the network gave {describe(out)}, but a detector gives dicts of boxes, labels and scores, or "
                   "pred_boxes and logits, or predictions (N,4+K,M). Give a callable out -> (N,).")

def by_label(scores, labels):
    "Scores (M,) as a table (M,K) in which only each prediction's own label has one."
    table = scores.new_full((len(scores), int(labels.max()) + 1 if len(labels) else 1), torch.nan)
    return table.scatter(1, labels[:, None], scores[:, None])

def corners(boxes):
    "Centre, width and height (M,4) as x0 y0 x1 y1."
    centre, side = boxes[:, :2], boxes[:, 2:]
    return torch.cat([centre - side / 2, centre + side / 2], 1)

def in_pixels(found, wanted, size):
    "The boxes of a prediction in the unit in which the wanted one is given."
    if not found.whole or size is None and wanted.max() <= 1: return found.boxes
    if size is None: raise CamError("the network's boxes run from 0 to 1. Give size=(height, width) of the picture.")
    h, w = size
    return found.boxes * found.boxes.new_tensor([w, h, w, h])

def overlapping(found, wanted, k, size, least):
    "The score of the best prediction that overlaps the wanted box."
    boxes, scores = in_pixels(found, wanted, size).detach(), found.scores
    overlap = ious(boxes, wanted.to(boxes))
    known = scores.detach().nan_to_num(-torch.inf)
    if k is not None and k >= known.shape[1]: own = known.new_full((len(known),), -torch.inf)
    else: own = known.amax(1) if k is None else known[:, k]
    own = own.where(overlap >= least, -torch.inf)
    if not len(own) or own.max() == -torch.inf: raise CamError(nothing_there(boxes, known, overlap, wanted, k, least))
    best = own.argmax()
    return scores[best, known[best].argmax() if k is None else k]

def ious(boxes, one):
    "Intersection over union of boxes (M,4) with one."
    low, high = torch.maximum(boxes[:, :2], one[:2]), torch.minimum(boxes[:, 2:], one[2:])
    both = (high - low).clamp(min=0).prod(1)
    areas = [(b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1) for b in (boxes, one)]
    return both / (areas[0] + areas[1] - both).clamp(min=1e-12)

def nothing_there(boxes, known, overlap, wanted, k, least):
    "What is predicted, where nothing fits: the likeliest five."
    what = 'no prediction' if k is None else f'no prediction of class {k}'
    said = f"{what} overlaps {in_words(wanted)} by {least:g} or more."
    if not len(boxes): return f"{said} In fact nothing at all is predicted in this image."
    top = known.amax(1)
    rows = [f"class {known[i].argmax().item()} at {in_words(boxes[i])}, score {top[i].item():.2g}, "
            f"overlap {overlap[i].item():.2f}" for i in top.topk(min(5, len(top))).indices.tolist()]
    return f"{said} There is: {'; '.join(rows)}. Give one of these boxes, or a smaller least=."

def in_words(box): return '(' + ', '.join(f'{v:.4g}' for v in box.tolist()) + ')'
