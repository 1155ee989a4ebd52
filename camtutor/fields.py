"What a method finds for pictures: the fields of an `Explanation`, from whatever `explain` may be given."
from math import prod

import torch
from torch import Tensor

from camtutor.engine.forward import is_run, layer_name
from camtutor.engine.inputs import (as_list, as_shown, batch_of, channels_read, is_batch, is_inputs, is_text, network,
                                    normaliser_of, reads_texts, said_probabilities, vocab_of)
from camtutor.engine.place import Places, Seen
from camtutor.engine.targets import At, by_number, class_numbers, map_tensors, scores_of
from camtutor.engine.trace import main_input, places_of
from camtutor.errors import CamError, describe, doing
from camtutor.images import picture
from camtutor.methods import METHODS, apply, method_name
from camtutor.show import upsample

def fields_of(model, image, method, layer=None, target=None, transform=None, vocab=None, activation=None,
              layout=None)->dict: # see `explain`
    "The fields for pictures or texts of any kind."
    with doing('Explaining'): method = method_name(method)
    with doing(METHODS[method].title): x, seen = batch_and_seen(model, image, transform)
    found = fields_of_batch(model, x, method, layer, target, transform, vocab, activation, layout)
    return found | (words_of(model, image) if is_text(model, image) else dict(seen=seen))

def fields_of_batch(model, x, method, layer=None, target=None, transform=None, vocab=None, activation=None,
                    layout=None, runs=None)->dict:
    "The fields for a batch that is prepared already; `runs` is the network that runs in place of `model`'s own."
    row, vocab = METHODS[method], vocab_of(model, vocab)
    given = None if layer is None else layer_name(network(model), one_layer(layer, row))
    with doing(f'{row.title} at {given!r}' if given else row.title):
        target = by_number(target, vocab)
        out, raw, layer = apply(row, model if runs is None else runs, x, layer, target, layout)
        check_result(row, raw, x)
    m = upsample((raw if row.kind == 'map' else raw.abs().amax(1)).float(), places_of(x))
    return dict(image=picture_of(model, x, transform), out=out, raw=raw, map=m, method=method, vocab=vocab,
                layer=None if layer is None else layer_name(network(model), layer),
                **asked_of(model, out, target, vocab, activation))

def one_layer(layer, row):
    "The layer, if it is a single one."
    if not isinstance(layer, (list, tuple)) or is_run(layer): return layer
    raise CamError(f"layer is {describe(layer)}. Give one, as a name or a module; "
                   "for several at once use camtutor.gradcam.grad_cam_maps.", row.title)

def check_result(row, raw, x):
    "`CamError` unless a method gave one map, of more than one place, for each image."
    n, places = len(main_input(x)), places_of(x)
    if len(raw) != n or raw.ndim != len(places) + (1 if row.kind == 'map' else 2):
        raise CamError(f"the target gave several scores for each image, so the maps are {tuple(raw.shape)}. Here "
                       "it is one score for each, (N,); for K of them use camtutor.gradcam.grad_cam_maps.")
    if raw[0].numel() == 1 < prod(places):
        raise CamError("there is one place for the whole picture, so its map would be the same everywhere. "
                       "Give an earlier layer, before the pooling.")

def picture_of(model, x, transform):
    "What the network saw (N,3,H,W), from 0 to 1; None of what is no picture."
    main = main_input(x)
    return as_shown(main, normaliser_of(model, transform)) if main.is_floating_point() and main.ndim == 4 else None

def asked_of(model, out, target, vocab, activation)->dict:
    "What was asked for, and how likely the network holds it, as fields of an Explanation."
    target, scores = chosen(out, target, vocab), scores_of(out)
    if not isinstance(target, Tensor): return dict(target=target)
    prob, assumed = said_probabilities(model, scores, activation)
    return dict(target=target, prob=prob, assumed=assumed)

def chosen(out, target, vocab):
    "The class numbers that were explained, or the target itself if it is no class."
    if callable(target) or isinstance(target, At): return target
    scores = scores_of(out)
    if target is None: return scores.argmax(1)
    return torch.tensor(class_numbers(target, *scores.shape, vocab), device=scores.device)

def batch_and_seen(model, image, transform, places=None)->tuple:
    "The batch that the network reads, and of each picture how it got there: a Seen, or None of a tensor."
    if is_inputs(image) or is_text(model, image) or reads_texts(model) or is_batch(image):
        return batch_of(model, image, transform), None
    mode = 'RGBA' if channels_read(network(model)) == 4 else 'RGB'
    items = [i if is_batch(i) else picture(i, mode) for i in as_list(image)]
    places = places or Places(lambda im: batch_of(model, im, transform)[0])
    return batch_of(model, items, transform), [None if is_batch(i) else Seen(i, places) for i in items]

def words_of(model, texts)->dict:
    "The words of each text, as the network reads them, and those that it does not know, if it says which it knows."
    read = network(model).read
    words = [read.words(t) for t in ([texts] if isinstance(texts, str) else texts)]
    knows = getattr(read, 'knows', lambda word: True)
    return dict(words=words, unknown=[[w for w in ws if not knows(w)] for ws in words])

# ---- of some images

PER_IMAGE = 'image', 'raw', 'map', 'target', 'prob', 'source', 'words', 'unknown', 'seen' # one for each image

def only(e, i)->dict:
    "What an explanation of image i alone has instead, or of a slice; copies, which do not hold on to the others."
    if not isinstance(i, slice) and not -len(e) <= i < len(e): raise IndexError(f'image {i} of {len(e)}')
    rows = list(range(len(e)))[i if isinstance(i, slice) else slice(i, i + 1 or None)]
    if not rows: raise CamError(f"{i} chooses none of the {len(e)} of this explanation.", 'Choosing images')
    def mine(v): return v[rows] if isinstance(v, Tensor) else [v[r] for r in rows] if isinstance(v, list) else v
    out = map_tensors(lambda t: t[rows] if t.ndim and len(t) == len(e) else t, e.out)
    return dict(out=out) | {k: mine(getattr(e, k)) for k in PER_IMAGE}

def on_cpu(e)->dict:
    "An explanation's tensors, on the CPU."
    tensors = {k: v for k, v in vars(e).items() if isinstance(v, Tensor) or k == 'out'}
    return {k: map_tensors(Tensor.cpu, v) for k, v in tensors.items()}
