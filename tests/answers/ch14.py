"Chapter 14: other right answers, in other styles; each must be accepted."
import torch
from torch.nn import functional as F
from camtutor.protocols import order_of

def loss_nll(p, y): return F.nll_loss(p.clamp(min=1e-12).log(), y, reduction='none')

def loss_loop(p, y): return torch.stack([-torch.log(row[k].clamp_min(1e-12)) for row, k in zip(p, y)])

def top_cut(m, share=.15):
    return torch.where(m > 0, order_of(m) < round(share*m.shape[1]*m.shape[2]), False)

def top_loop(m, share=.15):
    n = round(share*m[0].numel())
    return torch.stack([(r + 1 <= n) & ~(one <= 0) for one, r in zip(m, order_of(m))])

def overlap_sums(a, b):
    both = (a*b).flatten(1).sum(1).float()
    either = a.flatten(1).sum(1) + b.flatten(1).sum(1) - both
    return both/torch.where(either > 0, either, 1)

def overlap_loop(a, b):
    out = torch.zeros(len(a))
    for i, (u, v) in enumerate(zip(a, b)):
        if (u | v).any(): out[i] = (u & v).sum()/(u | v).sum()
    return out

def outside_loop(places, thing, margin=0):
    out = torch.zeros(len(places))
    for i, (p, t) in enumerate(zip(places, thing)):
        spots = t.nonzero()
        far = [len(spots) == 0 or (spots - at).abs().amax(1).min() > margin for at in p.nonzero()]
        if far: out[i] = sum(map(bool, far))/len(far)
    return out

def outside_conv(places, thing, margin=0):
    side = 2*margin + 1
    near = F.conv2d(thing[:, None].float(), torch.ones(1, 1, side, side), padding=margin)[:, 0] > .5
    off = places & ~near
    return off.flatten(1).sum(1)/places.flatten(1).sum(1).clamp_min(1)

def cause_chain(overlap, alone_said, alone_true, outside=float('nan'), near=.25, high=.3, off=.2):
    if outside == outside and not outside < off: name = 'habit of the data'
    elif not overlap < near: name = 'look-alikes'
    elif alone_said >= high and alone_true >= high: name = 'two right answers'
    else: name = 'unclear'
    return name

def cause_table(overlap, alone_said, alone_true, outside=float('nan'), near=.25, high=.3, off=.2):
    asked = ((outside >= off, 'habit of the data'), (overlap >= near, 'look-alikes'),
             (alone_said >= high and alone_true >= high, 'two right answers'), (True, 'unclear'))
    return next(name for yes, name in asked if yes)

def counts_put(y, said, k):
    out = torch.zeros(k, k, dtype=torch.long)
    return out.index_put_((y, said), torch.ones_like(y), accumulate=True)

def counts_loop(y, said, k):
    out = torch.zeros(k, k, dtype=torch.long)
    for a, b in zip(y.tolist(), said.tolist()): out[a, b] += 1
    return out

ANSWERS = {'14.1': [loss_nll, loss_loop], '14.2': [top_cut, top_loop], '14.3': [overlap_sums, overlap_loop],
           '14.4': [outside_loop, outside_conv], '14.5': [cause_chain, cause_table],
           '14.6': [counts_put, counts_loop]}
