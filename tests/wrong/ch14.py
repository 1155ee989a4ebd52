"Chapter 14: plausible wrong answers that are not in the bank."
import torch
from torch.nn import functional as F

from camtutor.exercises.ch14 import cause, counts_of, loss_of, outside, overlap, top_places
from camtutor.protocols import order_of

# 14.1
def loss_of_said(p, y): return -p.max(1).values.log()
def loss_gap(p, y): return p.amax(1) - p.gather(1, y[:, None])[:, 0]
def loss_no_axis(p, y): return -p.gather(1, y[:, None]).clamp(min=1e-12).log()
def loss_matrix(p, y): return -p[:, y].clamp(min=1e-12).log()
def loss_scores(p, y): return F.cross_entropy(p, y, reduction='none')
def loss_mean(p, y): return loss_of(p, y).mean()
def loss_total(p, y): return loss_of(p, y).sum()
def loss_two(p, y): return loss_of(p, y)/torch.tensor(2.).log()
def loss_number(p, y): return loss_of(p, y).tolist()
def loss_one_less(p, y): return 1 - p[range(len(p)), y]
def loss_first(p, y): return -p[:, 0].clamp(min=1e-12).log()
def loss_infinite(p, y): return -p[range(len(p)), y].log()

# 14.2
def top_of_all(m, share=.15): return (order_of(m) < round(share*m.numel())) & (m > 0)
def top_no_sign(m, share=.15): return order_of(m) < round(share*m[0].numel())
def top_values(m, share=.15): return m.clamp(min=0)*(order_of(m) < round(share*m[0].numel()))
def top_by_value(m, share=.15): return m >= (1 - share)*m.amax((1, 2), keepdim=True)
def top_last(m, share=.15): return (order_of(m) >= round((1 - share)*m[0].numel())) & (m > 0)
def top_size(m, share=.15): return (order_of(m.abs()) < round(share*m[0].numel())) & (m != 0)
def top_positive(m, share=.15): return m > 0
def top_numbers(m, share=.15): return top_places(m, share).int()
def top_more(m, share=.15): return (order_of(m) <= round(share*m[0].numel())) & (m > 0)

# 14.3
def overlap_dice(a, b):
    total = a.sum((1, 2)) + b.sum((1, 2))
    return 2*(a & b).sum((1, 2))/total.clamp(min=1)
def overlap_of_first(a, b): return (a & b).sum((1, 2))/a.sum((1, 2)).clamp(min=1)
def overlap_nan(a, b): return (a & b).sum((1, 2))/(a | b).sum((1, 2))
def overlap_agree(a, b): return (a == b).float().mean((1, 2))
def overlap_count(a, b): return (a & b).sum((1, 2))
def overlap_batch(a, b): return (a & b).sum()/(a | b).sum()
def overlap_distance(a, b): return 1 - overlap(a, b)
def overlap_picture(a, b): return (a & b).float().mean((1, 2))
def overlap_twice(a, b): return (a & b).sum((1, 2))/(a.sum((1, 2)) + b.sum((1, 2))).clamp(min=1)
def overlap_rows(a, b): return (a & b).sum(2)/(a | b).sum(2).clamp(min=1)

# 14.4
def outside_inside(places, thing, margin=0): return 1 - outside(places, thing, margin)
def outside_exact(places, thing, margin=0): return outside(places, thing)
def outside_picture(places, thing, margin=0):
    near = F.max_pool2d(thing[:, None].float(), 2*margin + 1, 1, margin)[:, 0] > 0
    return (places & ~near).float().mean((1, 2))
def outside_nan(places, thing, margin=0):
    near = F.max_pool2d(thing[:, None].float(), 2*margin + 1, 1, margin)[:, 0] > 0
    return (places & ~near).sum((1, 2))/places.sum((1, 2))
def outside_swapped(places, thing, margin=0): return outside(thing, places, margin)
def outside_twice(places, thing, margin=0): return outside(places, thing, 2*margin)
def outside_count(places, thing, margin=0):
    near = F.max_pool2d(thing[:, None].float(), 2*margin + 1, 1, margin)[:, 0] > 0
    return (places & ~near).sum((1, 2))
def outside_mean(places, thing, margin=0): return outside(places, thing, margin).mean()

# 14.5
def cause_one_high(overlap, alone_said, alone_true, outside=float('nan'), near=.25, high=.3, off=.2):
    if outside >= off: return 'habit of the data'
    if overlap >= near: return 'look-alikes'
    return 'two right answers' if alone_said >= high or alone_true >= high else 'unclear'
def cause_strict(overlap, alone_said, alone_true, outside=float('nan'), near=.25, high=.3, off=.2):
    if outside > off: return 'habit of the data'
    if overlap > near: return 'look-alikes'
    return 'two right answers' if min(alone_said, alone_true) > high else 'unclear'
def cause_never_unclear(overlap, alone_said, alone_true, outside=float('nan'), near=.25, high=.3, off=.2):
    if outside >= off: return 'habit of the data'
    return 'look-alikes' if overlap >= near else 'two right answers'
def cause_fixed(overlap, alone_said, alone_true, outside=float('nan'), near=.25, high=.3, off=.2):
    return cause(overlap, alone_said, alone_true, outside)
def cause_overlap_first(overlap, alone_said, alone_true, outside=float('nan'), near=.25, high=.3, off=.2):
    return 'look-alikes' if overlap >= near else cause(overlap, alone_said, alone_true, outside, near, high, off)
def cause_no_habit(overlap, alone_said, alone_true, outside=float('nan'), near=.25, high=.3, off=.2):
    return cause(overlap, alone_said, alone_true, float('nan'), near, high, off)

# 14.6
def counts_turned(y, said, k): return counts_of(said, y, k)
def counts_float(y, said, k): return counts_of(y, said, k).float()
def counts_once(y, said, k):
    out = torch.zeros(k, k, dtype=torch.long)
    out[y, said] = 1
    return out
def counts_wrong_only(y, said, k): return counts_of(y, said, k).fill_diagonal_(0)
def counts_flat(y, said, k): return counts_of(y, said, k).flatten()
def counts_shares(y, said, k):
    c = counts_of(y, said, k)
    return c/c.sum(1, keepdim=True).clamp(min=1)
def counts_list(y, said, k): return counts_of(y, said, k).tolist()
def counts_seen(y, said, k): return counts_of(y, said, int(max(y.max(), said.max())) + 1 if len(y) else 0)

WRONG = {
    '14.1': [loss_of_said, loss_gap, loss_no_axis, loss_matrix, loss_scores, loss_mean, loss_total, loss_two,
             loss_number, loss_one_less, loss_first, loss_infinite],
    '14.2': [top_of_all, top_no_sign, top_values, top_by_value, top_last, top_size, top_positive, top_numbers,
             top_more],
    '14.3': [overlap_dice, overlap_of_first, overlap_nan, overlap_agree, overlap_count, overlap_batch,
             overlap_distance, overlap_picture, overlap_twice, overlap_rows],
    '14.4': [outside_inside, outside_exact, outside_picture, outside_nan, outside_swapped, outside_twice,
             outside_count, outside_mean],
    '14.5': [cause_one_high, cause_strict, cause_never_unclear, cause_fixed, cause_overlap_first, cause_no_habit],
    '14.6': [counts_turned, counts_float, counts_once, counts_wrong_only, counts_flat, counts_shares, counts_list,
             counts_seen],
    '14.7': [.5*.5, 2/3, 1/3, 4/12, 6/8, .4, 1],
}
