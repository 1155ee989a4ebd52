"Chapter 09: plausible wrong answers that are not in the bank."
import math

import torch

from camtutor.exercises.ch09 import drop, part_shares, unit
from camtutor.protocols import order_of, spearman

# 9.1
def shares_half_cut(m, masks):
    total = m.clamp(min=0).sum((1, 2))
    inside = torch.einsum('nhw,nphw->np', m, masks.to(m))
    return inside/total.where(total > 0, 1)[:, None]
def shares_small_number(m, masks):
    m = m.clamp(min=0)
    return torch.einsum('nhw,nphw->np', m, masks.to(m))/(m.sum((1, 2)) + 1e-7)[:, None]
def shares_of_places(m, masks): return part_shares((m > 0).float(), masks)
def shares_of_squares(m, masks): return part_shares(m.relu()**2, masks)
def shares_sums(m, masks): return torch.einsum('nhw,nphw->np', m.relu(), masks.to(m))
def shares_by_top(m, masks):
    m = m.relu()
    top = m.amax((1, 2))
    return torch.einsum('nhw,nphw->np', m, masks.to(m))/top.where(top > 0, 1)[:, None]
def shares_turned(m, masks): return part_shares(m, masks).T
def shares_together(m, masks): return part_shares(m, masks).sum(1)
def shares_unequal_axes(m, masks): return (m.relu()*masks).sum((2, 3))/m.relu().sum((1, 2))[:, None]
def shares_bool(m, masks):
    m = m.relu()
    return torch.einsum('nhw,nphw->np', m, masks)/m.sum((1, 2))[:, None]
def shares_stretched(m, masks): return part_shares(unit(m), masks)
def shares_to_one(m, masks):
    s = part_shares(m, masks)
    total = s.sum(1, keepdim=True)
    return s/total.where(total > 0, 1)

# 9.2
def single_masked(shares, effects, seen):
    rho = spearman(shares*seen, effects*seen)
    return torch.where(seen.sum(1) > 1, (rho + 1)/2, torch.nan)
def single_zero(shares, effects, seen):
    out = torch.zeros(len(shares))
    for i, on in enumerate(seen):
        if on.sum() > 1: out[i] = (spearman(shares[i, on][None], effects[i, on][None])[0] + 1)/2
    return out
def single_three(shares, effects, seen):
    out = torch.full((len(shares),), torch.nan)
    for i, on in enumerate(seen):
        if on.sum() > 2: out[i] = (spearman(shares[i, on][None], effects[i, on][None])[0] + 1)/2
    return out
def single_left_out(shares, effects, seen):
    return torch.stack([(spearman(a[on][None], b[on][None])[0] + 1)/2 for a, b, on in zip(shares, effects, seen)
                        if on.sum() > 1])
def single_turned(shares, effects, seen):
    return torch.stack([(1 - spearman(a[on][None], b[on][None])[0])/2 if on.sum() > 1 else torch.tensor(torch.nan)
                        for a, b, on in zip(shares, effects, seen)])
def single_one_number(shares, effects, seen): return (spearman(shares[seen][None], effects[seen][None])[0] + 1)/2
def single_mean(shares, effects, seen):
    return torch.stack([(spearman(a[on][None], b[on][None])[0] + 1)/2 for a, b, on in zip(shares, effects, seen)
                        if on.sum() > 1]).nanmean()
def single_no_axis(shares, effects, seen):
    return torch.stack([(spearman(a[on], b[on]) + 1)/2 for a, b, on in zip(shares, effects, seen)])
def single_whole_numbers(shares, effects, seen):
    return torch.stack([(spearman(a[on.int()][None], b[on.int()][None])[0] + 1)/2 if on.sum() > 1 else
                        torch.tensor(torch.nan) for a, b, on in zip(shares, effects, seen)])
def single_size(shares, effects, seen):
    return torch.stack([spearman(a[on][None], b[on][None])[0].abs() if on.sum() > 1 else torch.tensor(torch.nan)
                        for a, b, on in zip(shares, effects, seen)])

# 9.3
def unit_top(m): return m/m.amax((1, 2), keepdim=True)
def unit_plain(m):
    low, high = m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)
    return (m - low)/(high - low)
def unit_not_zero(m):
    low, high = m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)
    stretched = (m - low)/(high - low).where(high > low, 1)
    return torch.where(high > low, stretched, (high != 0).to(m))
def unit_cut(m):
    m = m.relu()
    top = m.amax((1, 2), keepdim=True)
    return m/top.where(top > 0, 1)
def unit_kept(m):
    low, high = m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)
    return torch.where(high > low, (m - low)/(high - low), m)
def unit_clamp(m):
    low, high = m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)
    return torch.where(high > low, (m - low)/(high - low).clamp(min=1e-8), (high > 0).to(m))
def unit_rows(m):
    low, high = m.amin(2, keepdim=True), m.amax(2, keepdim=True)
    return torch.where(high > low, (m - low)/(high - low), (high > 0).to(m))
def unit_sigmoid(m): return m.sigmoid()
def unit_in_place(m):
    low, high = m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)
    m -= low
    return torch.where(high > low, m/(high - low), (high > 0).to(m))
def unit_to_two(m): return 2*unit(m) - 1
def unit_by_sum(m): return m/m.sum((1, 2), keepdim=True)
def unit_half(m):
    low, high = m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)
    return torch.where(high > low, (m - low)/(high - low), .5)

# 9.4
def drop_by_shown(p, o): return (p - o).clamp(min=0)/o.where(o > 0, 1)
def drop_small_number(p, o): return (p - o).clamp(min=0)/(p + 1e-7)
def drop_left(p, o): return (o/p.where(p > 0, 1)).clamp(max=1)
def drop_of_all(p, o): return (p - o).clamp(min=0)/p.sum()
def drop_average(p, o): return drop(p, o).mean()
def drop_percent(p, o): return 100*drop(p, o)
def drop_if(p, o): return (p - o)/p if p > o else 0
def drop_yes_no(p, o): return (p > o).float()
def drop_one(p, o): return (1 - o).clamp(min=0)
def drop_cut_late(p, o): return (1 - o/p).clamp(min=0)
def drop_in_place(p, o): return p.sub_(o).clamp(min=0)/(p + o).where(p + o > 0, 1)
def drop_by_top(p, o): return (p - o).clamp(min=0)/p.max()

# 9.5
def keep_cut_off(m, share=1.): return m*(order_of(m) < int(share*m[0].numel()))
def keep_up(m, share=1.): return m*(order_of(m) < math.ceil(share*m[0].numel()))
def keep_batch(m, share=1.): return m*(order_of(m) < round(share*m.numel()))
def keep_quantile(m, share=1.):
    at = m.flatten(1).quantile(1 - share, dim=1)[:, None, None]
    return m*(m >= at)
def keep_by_value(m, share=1.): return m*(m >= 1 - share)
def keep_part_of_top(m, share=1.): return m*(m >= share*m.amax((1, 2), keepdim=True))
def keep_mask(m, share=1.): return order_of(m) < round(share*m[0].numel())
def keep_rows(m, share=1.): return m*(order_of(m) < round(share*m.shape[1]))
def keep_writes(m, share=1.):
    m[order_of(m) >= round(share*m[0].numel())] = 0
    return m
def keep_turned(m, share=1.): return m*(order_of(-m) < round(share*m[0].numel()))
def keep_list(m, share=1.): return m[order_of(m) < round(share*m[0].numel())]
def keep_nan(m, share=1.): return m.where(order_of(m) < round(share*m[0].numel()), torch.nan)
def keep_argsort(m, share=1.):
    order = m.flatten(1).argsort(1, descending=True).view_as(m)
    return m*(order < round(share*m[0].numel()))

# 9.6
def gone_up(order, q): return order < math.ceil(q*order[0].numel())
def gone_unrounded(order, q): return order < q*order[0].numel()
def gone_share(order, q): return order/order[0].numel() <= q
def gone_rows(order, q): return order < round(q*order.shape[1])
def gone_float(order, q): return (order < round(q*order[0].numel())).float()
def gone_last(order, q): return order >= order[0].numel() - round(q*order[0].numel())
def gone_ranks(order, q): return order*(order < round(q*order[0].numel()))
def gone_first(order, q):
    out = torch.zeros_like(order, dtype=torch.bool)
    out.view(len(order), -1)[:, :round(q*order[0].numel())] = True
    return out
def gone_exactly(order, q): return order == round(q*order[0].numel())
def gone_length(order, q): return order < round(q*len(order))
def gone_scattered(order, q):
    "Takes ranks for places."
    out = torch.zeros_like(order, dtype=torch.bool).flatten(1)
    return out.scatter(1, order.flatten(1)[:, :round(q*order[0].numel())], True).view_as(order)

# 9.7
def area_dx(curve): return torch.trapezoid(curve, dx=1/curve.shape[1], dim=1)
def area_over(curve): return 1 - (curve[:, :-1] + curve[:, 1:]).mean(1)/2
def area_pictures(curve): return (curve[:-1] + curve[1:]).mean(0)/2
def area_all(curve): return ((curve[:, :-1] + curve[:, 1:])/2).mean()
def area_inside(curve): return curve[:, 1:-1].mean(1)
def area_sum(curve): return curve.sum(1)
def area_kept(curve): return ((curve[:, :-1] + curve[:, 1:])/2).mean(1, keepdim=True)
def area_steps(curve): return (curve[:, :-1] + curve[:, 1:])/2
def area_ends(curve): return (curve[:, 0] + curve[:, -1])/2
def area_differences(curve): return ((curve[:, 1:] - curve[:, :-1])/2).mean(1)
def area_by_values(curve): return ((curve[:, :-1] + curve[:, 1:])/2).sum(1)/curve.shape[1]

# 9.8
def best_any(hits): return hits.any(1).float().mean()
def best_each(hits): return hits.float().mean(0)
def best_number(hits): return hits.float().mean(0).argmax()
def best_float(hits): return hits.float().mean(0).max().item()
def best_over_thresholds(hits): return hits.sum(0).max()/hits.shape[1]
def best_no_float(hits): return hits.mean(0).max()
def best_both(hits): return hits.float().mean(0).max(0)
def best_first(hits): return hits[:, 0].float().mean()
def best_median(hits): return hits.float().mean(0).median()
def best_middle(hits): return hits[:, hits.shape[1]//2].float().mean()
def best_any_threshold(hits): return hits.any(0).float().mean()

# Written after the bank had been extended with what stands above

def shares_softmax(m, masks): return part_shares(m, masks).softmax(1)
def shares_highest(m, masks): return (m.relu()[:, None]*masks).amax((2, 3))
def shares_max_place(m, masks):
    at = m.flatten(1).argmax(1)
    return masks.flatten(2)[torch.arange(len(m)), :, at].float()
def shares_mean_inside(m, masks):
    m = m.relu()
    return (m[:, None]*masks).mean((2, 3))/m.amax((1, 2)).clamp(min=1e-30)[:, None]
def shares_outside(m, masks): return part_shares(m, ~masks)
def shares_first_mask(m, masks): return part_shares(m, masks[:1].expand_as(masks))
def single_values(shares, effects, seen):
    out = torch.full((len(shares),), torch.nan)
    for i, on in enumerate(seen):
        a, b = shares[i, on], effects[i, on]
        if on.sum() > 1: out[i] = (torch.nn.functional.cosine_similarity(a, b, dim=0) + 1)/2
    return out
def single_every_part(shares, effects, seen): return (spearman(shares, effects) + 1)/2
def single_columns(shares, effects, seen): return (spearman(shares.T, effects.T) + 1)/2
def single_shifted(shares, effects, seen):
    return torch.stack([spearman(a[on][None], b[on][None])[0]/2 + 1 if on.sum() > 1 else torch.tensor(torch.nan)
                        for a, b, on in zip(shares, effects, seen)])
def single_hidden(shares, effects, seen):
    return torch.stack([(spearman(a[~on][None], b[~on][None])[0] + 1)/2 if (~on).sum() > 1 else torch.tensor(torch.nan)
                        for a, b, on in zip(shares, effects, seen)])
def unit_first(m):
    low, high = m[0].min(), m[0].max()
    return (m - low)/(high - low)
def unit_absolute(m): return unit(m.abs())
def unit_ranks(m): return 1 - order_of(m)/(m[0].numel() - 1)
def unit_turned(m): return 1 - unit(m)
def unit_high_only(m):
    high = m.amax((1, 2), keepdim=True)
    return torch.where(high > 0, m/high, 0.)
def unit_batch_min(m):
    low, high = m.amin(0), m.amax(0)
    return (m - low)/(high - low).where(high > low, 1)
def drop_relative_abs(p, o): return (p - o).abs()/torch.maximum(p, o).where(p + o > 0, 1)
def drop_ratio(p, o): return (o/p).nan_to_num(0.)
def drop_product(p, o): return p*(1 - o)
def drop_log(p, o): return (p.log() - o.log()).clamp(min=0).nan_to_num(0.)
def drop_sum(p, o): return (p - o).clamp(min=0)/(p + o).where(p + o > 0, 1)
def keep_ones(m, share=1.): return torch.ones_like(m)*(order_of(m) < round(share*m[0].numel()))
def keep_gone(m, share=1.): return m*(order_of(m) >= m[0].numel() - round(share*m[0].numel()))
def keep_rest(m, share=1.): return m*(order_of(m) < round((1 - share)*m[0].numel()))
def keep_minus(m, share=1.): return m - m*(order_of(m) < round(share*m[0].numel()))
def keep_topk(m, share=1.): return m.flatten(1).topk(round(share*m[0].numel()), dim=1).values
def keep_topk_batch(m, share=1.):
    at = m.flatten().topk(round(share*m.numel())).values[-1]
    return m*(m >= at)
def gone_above(order, q): return order > round(q*order[0].numel())
def gone_of_share(order, q): return order < q
def gone_down(order, q): return order < q*order[0].numel()//1
def gone_number(order, q): return round(q*order[0].numel())
def gone_count(order, q): return (order < round(q*order[0].numel())).sum((1, 2))
def gone_left(order, q): return order < round((1 - q)*order[0].numel())
def area_median(curve): return curve.median(1).values
def area_higher(curve): return torch.maximum(curve[:, :-1], curve[:, 1:]).mean(1)
def area_unit_steps(curve): return torch.trapezoid(curve, dim=1)
def area_total(curve): return torch.trapezoid(curve, dx=1/(curve.shape[1] - 1)).mean()
def area_from_last(curve): return (curve.sum(1) - curve[:, -1])/(curve.shape[1] - 1)
def best_numbers(hits): return int(hits.sum(0).max())
def best_percent(hits): return 100*hits.float().mean(0).max()
def best_all(hits): return hits.all(1).float().mean()
def best_row(hits): return hits.float().mean(1)

# A third set, written after the bank had been extended again

def shares_density(m, masks):
    m, area = m.relu(), masks.sum((2, 3))
    return (m[:, None]*masks).sum((2, 3))/area.clamp(min=1)
def shares_negative(m, masks): return part_shares(-m, masks)
def single_slope(shares, effects, seen):
    return torch.stack([spearman(a[on][None], b[on][None])[0].clamp(min=0) if on.sum() > 1 else torch.tensor(torch.nan)
                        for a, b, on in zip(shares, effects, seen)])
def single_exchanged(shares, effects, seen):
    return torch.stack([(spearman(a[on][None], b[on].flip(0)[None])[0] + 1)/2 if on.sum() > 1 else
                        torch.tensor(torch.nan) for a, b, on in zip(shares, effects, seen)])
def unit_columns(m):
    low, high = m.amin(1, keepdim=True), m.amax(1, keepdim=True)
    return torch.where(high > low, (m - low)/(high - low), (high > 0).to(m))
def unit_shifted(m): return m - m.amin((1, 2), keepdim=True)
def drop_whole(p, o): return ((p.sum() - o.sum())/p.sum()).clamp(min=0)
def drop_won(p, o): return (o - p).clamp(min=0)/p.where(p > 0, 1)
def keep_one_more(m, share=1.): return m*(order_of(m) < round(share*m[0].numel()) + 1)
def keep_zero_one(m, share=1.): return (m*(order_of(m) < round(share*m[0].numel()))).clamp(max=.5)
def gone_picture(order, q): return order[0] < round(q*order[0].numel())
def gone_equal(order, q): return order <= round(q*order[0].numel()) - 2
def area_squares(curve): return (curve[:, :-1]*curve[:, 1:]).mean(1)
def best_sorted(hits): return hits.float().sort(1).values.mean(0)[0]

THIRD = {
    '9.1': [shares_density, shares_negative], '9.2': [single_slope, single_exchanged],
    '9.3': [unit_columns, unit_shifted], '9.4': [drop_whole, drop_won], '9.5': [keep_one_more, keep_zero_one],
    '9.6': [gone_picture, gone_equal], '9.7': [area_squares], '9.8': [best_sorted], '9.9': [1/4.5, .35],
}
FRESH = {
    '9.1': [shares_softmax, shares_highest, shares_max_place, shares_mean_inside, shares_outside, shares_first_mask],
    '9.2': [single_values, single_every_part, single_columns, single_shifted, single_hidden],
    '9.3': [unit_first, unit_absolute, unit_ranks, unit_turned, unit_high_only, unit_batch_min],
    '9.4': [drop_relative_abs, drop_ratio, drop_product, drop_log, drop_sum],
    '9.5': [keep_ones, keep_gone, keep_rest, keep_minus, keep_topk, keep_topk_batch],
    '9.6': [gone_above, gone_of_share, gone_down, gone_number, gone_count, gone_left],
    '9.7': [area_median, area_higher, area_unit_steps, area_total, area_from_last],
    '9.8': [best_numbers, best_percent, best_all, best_row],
    '9.9': [.3, .2/.45, -.5],
}

WRONG = {
    '9.1': [shares_half_cut, shares_small_number, shares_of_places, shares_of_squares, shares_sums, shares_by_top,
            shares_turned, shares_together, shares_unequal_axes, shares_bool, shares_stretched, shares_to_one],
    '9.2': [single_masked, single_zero, single_three, single_left_out, single_turned, single_one_number, single_mean,
            single_no_axis, single_whole_numbers, single_size],
    '9.3': [unit_top, unit_plain, unit_not_zero, unit_cut, unit_kept, unit_clamp, unit_rows, unit_sigmoid,
            unit_in_place, unit_to_two, unit_by_sum, unit_half],
    '9.4': [drop_by_shown, drop_small_number, drop_left, drop_of_all, drop_average, drop_percent, drop_if, drop_yes_no,
            drop_one, drop_cut_late, drop_in_place, drop_by_top],
    '9.5': [keep_cut_off, keep_up, keep_batch, keep_quantile, keep_by_value, keep_part_of_top, keep_mask, keep_rows,
            keep_writes, keep_turned, keep_list, keep_nan, keep_argsort],
    '9.6': [gone_up, gone_unrounded, gone_share, gone_rows, gone_float, gone_last, gone_ranks, gone_first,
            gone_exactly, gone_length, gone_scattered],
    '9.7': [area_dx, area_over, area_pictures, area_all, area_inside, area_sum, area_kept, area_steps, area_ends,
            area_differences, area_by_values],
    '9.8': [best_any, best_each, best_number, best_float, best_over_thresholds, best_no_float, best_both, best_first,
            best_median, best_middle, best_any_threshold],
    '9.9': [.75, .15, .4, 25, .1, 0, 2/3],
}
for more in (FRESH, THIRD):
    for number, answers in more.items(): WRONG[number] += answers
