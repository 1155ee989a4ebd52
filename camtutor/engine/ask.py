"Many pictures, one question: how probable is this class, or how high is its score? Answered in batches, with no graph."
import torch
from torch import Tensor

from camtutor.engine.fast import at_once, channels_last
from camtutor.engine.forward import check_batch, run, without_graph
from camtutor.engine.inputs import network, normaliser_of, probabilities, steps_of, vocab_of
from camtutor.engine.targets import by_number, class_numbers, scores_of
from camtutor.errors import CamError

def classes_of(model, x, target=None)->Tensor: # (N,)
    "The class numbers that are meant: those given, or each picture's top class."
    if callable(target): raise CamError("a function of the scores is no class. Give a class number or name.")
    check_batch(model, x)
    n_classes = scores(model, x[:1]).shape[1]
    if target is None: return scores(model, x).argmax(1)
    if isinstance(target, Tensor): target = target.tolist()
    vocab = vocab_of(model)
    return torch.tensor(class_numbers(by_number(target, vocab), len(x), n_classes, vocab), device=x.device)

def scores(model, x:Tensor, bs=None)->Tensor: # (N,K)
    "What the network gives for `x`, at most `bs` pictures at a time; None = see `at_once`."
    net, bs = network(model), bs or at_once(x)
    with without_graph(net): return torch.cat([scores_of(run(net, x[i:i + bs])) for i in range(0, len(x), bs)])

def ask(
    model,          # a network, or a fastai Learner
    x:Tensor,       # pictures as it takes them (N,C,H,W)
    classes:Tensor, # the class number to ask for in each (N,)
    bs:int=None,    # how many at a time; None = see `at_once`
    runs=None,      # a copy of the network that runs in its place, see `fast`
)->Tensor:          # (N,)
    "The probability of one class in each picture, by the network's own activation. `CamError` where there are none."
    p = probabilities(model, scores(model, x, bs) if runs is None else scores(runs, channels_last(x), bs))
    if p is None: raise CamError("the network gives no probabilities of classes, and this question is about one.")
    return p.gather(1, classes[:, None])[:, 0]

def black(model, x:Tensor)->Tensor: # (1,C,1,1)
    "What black is in the network's normalised input, by the mean and std of its transform; 0 where none is known."
    known = next((s for s in steps_of(normaliser_of(model)) if hasattr(s, 'mean') and hasattr(s, 'std')), None)
    if known is None: return x.new_zeros(1, x.shape[1], 1, 1)
    mean, std = (torch.as_tensor(v, dtype=x.dtype, device=x.device).flatten()[None, :, None, None]
                 for v in (known.mean, known.std))
    return -mean / std
