"What is written of an explanation: its labels, its one line, and what to try where a map is empty."
from torch import Tensor

from camtutor.engine.targets import scores_of, title_of
from camtutor.methods import METHODS

TRY = (": nothing there speaks for it. Try another target or layer, or the signed map, (A*g).sum(1) of "
       "camtutor.gradcam.capture")

def readable(prob, out):
    "The probabilities and the format to print them in, or the scores (N,K) and theirs where there are none."
    return (prob, '.1%') if prob is not None else (out.float(), '.3g')

def labels_of(e):
    "A name for each image's target, with its probability or score."
    if not isinstance(e.target, Tensor): return [title_of(e.target)] * len(e)
    p, how = readable(e.prob, scores_of(e.out))
    alone = p.shape[1] == 1
    names = [e.vocab[t] if e.vocab and t < len(e.vocab) else 'output' if alone else f'class {t}'
             for t in e.target.tolist()]
    return [f'{name} {p[n, t].item():{how}}' for n, (name, t) in enumerate(zip(names, e.target.tolist()))]

def line_of(e):
    "One line: class, probability, method, layer."
    labels = e.label
    what = ', '.join(labels[:4]) + ', …' * (len(labels) > 4)
    count = f'{len(labels)} images: ' if len(labels) > 1 else ''
    parts = [count + what, METHODS[e.method].title + (f" at {e.layer!r}" if e.layer else ''), e.assumed, empty_words(e)]
    return f"Explanation({'; '.join(filter(None, parts))})"

def is_empty(m)->Tensor: # maps (N,*places) -> (N,)
    "Is there nothing above 0 in a map?"
    return m.flatten(1).amax(1) <= 0

def empty_words(e)->str:
    "What is to be said of maps without anything in them, and what to try; '' if there are none."
    n = int(is_empty(e.map).sum())
    if not n: return ''
    return ('empty map' if len(e) == 1 else f'{n} of {len(e)} maps are empty') + TRY
