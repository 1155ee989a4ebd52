"A network without one channel of a layer, for each of its channels: in closed form, or by what follows the layer."
import torch

from camtutor.engine.covers import parts
from camtutor.engine.fast import channels_last, fast
from camtutor.engine.forward import Forward, plain_name, without_graph
from camtutor.engine.head import Watch, head_in
from camtutor.engine.tail import Tail
from camtutor.engine.trace import image_of
from camtutor.errors import expect_choice

ABSENT = dict(zero=lambda a: torch.zeros_like(a[..., :1]), mean=lambda a: a.mean(-1, keepdim=True),
              low=lambda a: a.amin(-1, keepdim=True))   # flattened activations (…,C,P) -> what a channel becomes

def without_each(
    q,             # a `Question`
    layer=None,    # see `Question.at`
    absent='zero', # what a channel becomes that is taken away: 'zero', its 'mean', or its lowest value, 'low'
)->tuple:          # activations (N,C,*places), answers with all channels (…,N), answers without each (…,N,C)
    "What a network answers without each channel of a layer, picture by picture."
    absent, layer = ABSENT[expect_choice(absent, ABSENT, 'absent')], q.only(layer)
    with Watch() as seen: kept = Forward(q.net, q.x, layer)
    q.begin(kept.out)
    name, head = kept.names[0], head_in(seen, kept.out)
    A = kept.at(name)
    if head and read_by(head, A, kept.out, seen): found = by_hand(q, head, A, absent)
    else: found = by_tail(q, name, axis_of(kept, name), absent)
    return A, q.whole(), torch.stack(found, -2)

def read_by(head, A, out, seen)->bool:
    "Does the head read these very activations, and are its scores what the network gives?"
    scores = any(l.out.shape == getattr(out, 'shape', None) and torch.equal(l.out, out) for l in seen.linears)
    return scores and head.acts.shape == A.shape and torch.equal(head.acts, A)

def by_hand(q, head, A, absent)->list: # of (…,C)
    "Behind pooling and one Linear a channel takes its weight times its mean with it: nothing runs."
    flat = A.flatten(2)
    gone = (flat - absent(flat)).mean(-1)
    return [q.answer(q.out[i] - (head.weight * gone[i]).T, i, q.of) for i in range(len(A))]

def axis_of(kept, name):
    "Where a layer's own output has its channels, and where the pictures."
    kind = kept.layouts[name].kind
    return (1 if kind in ('first', 'columns') else -1), (1 if kind == 'sequence' else 0)

def by_tail(q, layer, axes, absent)->list: # of (…,C)
    "Elsewhere what follows the layer runs again, for some channels at a time; one that is absent already has no part."
    channel, batch = axes
    net = fast(q.net, q.x, layer=plain_name(layer)) if q.quick else q.net
    def of_one(i):
        tail = Tail(net, image_of(q.x, i), layer, batch)
        a = tail.acts.movedim((batch, channel), (0, 1))   # (1,C,…)
        flat = a.flatten(2)
        value = absent(flat)
        alive = (flat != value).any(-1)[0].nonzero()[:, 0]
        y = q.answer(tail.out, i, q.of)
        found = y.repeat_interleave(a.shape[1], -1)
        for part in parts(len(alive), q.bs or (32 if a.device.type == 'cpu' else 128), q.progress):
            k = alive[part]
            some = a.expand(len(k), *a.shape[1:]).clone()
            some[range(len(k)), k] = value[0, k].view(-1, *[1] * (a.ndim - 2)).expand_as(some[:, 0])
            some = some.movedim((0, 1), (batch, channel))
            found[..., k] = q.answer(tail(channels_last(some) if q.quick else some), i, q.of)
        return found + q.answer(q.rows(q.out)[i], i, q.of) - y   # what a faster copy is off by takes no part
    with without_graph(q.net): return [of_one(i) for i in range(len(q.asked))]
