"""Targets that are more than one class. A target is a function of what the network gave: out -> a score for each image
(N,). Any method explains it."""
import torch
from torch import Tensor

from camtutor.engine.targets import class_numbers, class_score, score_matrix
from camtutor.errors import CamError, doing

__all__ = ['difference', 'finer']

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
