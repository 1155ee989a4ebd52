"Chapter 12: plausible wrong answers that are not in the bank."
import torch
import torch.nn.functional as F

from camtutor.where import (contrast, iou, lead_without, mask_iou, matching, parts_by_class, pixel_ap, seeds, segment,
                            triplet)

# 12.1
def cut_by_area(m, threshold): return m >= m.flatten(1).quantile(1 - threshold, 1)[:, None, None]
def cut_float(m, threshold): return segment(m, threshold).float()
def cut_first(m, threshold): return (m >= threshold*m[0].max()) & (m > 0)
def cut_otherwise(m, threshold): return segment(m, 1 - threshold)
def cut_sigmoid(m, threshold): return m.sigmoid() >= threshold

def cut_square(m, threshold): return (m**2 >= threshold*(m**2).amax((1, 2), keepdim=True)) & (m > 0)
def cut_strict(m, threshold): return m > threshold*m.amax((1, 2), keepdim=True)

# 12.2
def box_inclusive_width(mask):
    out = torch.zeros(len(mask), 4)
    for i, one in enumerate(mask):
        if one.any():
            y, x = one.nonzero().T
            out[i] = torch.stack([x.min(), y.min(), x.max() - x.min(), y.max() - y.min()])
    return out
def box_exchanged_ends(mask):
    out = torch.zeros(len(mask), 4)
    for i, one in enumerate(mask):
        if one.any():
            x, y = one.nonzero().T
            out[i] = torch.stack([x.min(), y.min(), x.max(), y.max()])
    return out
def box_of_first(mask):
    y, x = mask.any(0).nonzero().T
    return torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1]).float().expand(len(mask), 4)
def box_relative(mask):
    from camtutor.where import box_round
    h, w = mask.shape[1:]
    return box_round(mask)/torch.tensor([w, h, w, h])

# 12.3
def iou_no_union(a, b):
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    areas = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1)
    return sides.relu().prod(-1)/areas.clamp(min=1e-12)
def iou_sum_of_sides(a, b):
    sides = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).relu().sum(-1)
    all_ = (a[..., 2:] - a[..., :2]).sum(-1) + (b[..., 2:] - b[..., :2]).sum(-1)
    return sides/(all_ - sides).clamp(min=1e-12)
def iou_smaller(a, b):
    sides = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).relu().prod(-1)
    return sides/torch.minimum((a[..., 2:] - a[..., :2]).prod(-1), (b[..., 2:] - b[..., :2]).prod(-1)).clamp(min=1e-12)
def iou_mean(a, b): return iou(a, b).mean()
def iou_distance(a, b): return 1 - iou(a, b)

# 12.4
def threshold_by_max_of_each(m, mask, thresholds):
    all_ = torch.stack([mask_iou(segment(m, t), mask) for t in thresholds])
    return thresholds[all_.argmax(0).mode().values]
def threshold_worst(m, mask, thresholds):
    return min(thresholds, key=lambda t: mask_iou(segment(m, t), mask).mean())
def threshold_first(m, mask, thresholds):
    return max(thresholds, key=lambda t: mask_iou(segment(m[:1], t), mask[:1]).mean())
def threshold_pair(m, mask, thresholds):
    return max((mask_iou(segment(m, t), mask).mean().item(), t) for t in thresholds)

# 12.5
def ap_tensor(m, mask): return torch.tensor(pixel_ap(m, mask))
def ap_auc(m, mask):
    from camtutor.protocols import pixel_auc
    return pixel_auc(m, mask).mean().item()
def ap_background(m, mask): return pixel_ap(m, ~mask)
def ap_shares(m, mask): return (m.relu()*mask).sum().item()/m.relu().sum().item()

# 12.6
def seeds_of_all(m, high, low):
    n = m.numel()
    rank = m.flatten().argsort(descending=True).argsort().view(m.shape)
    return torch.where(rank < round(high*n), 1, torch.where(rank >= n - round(low*n), 0, -100))
def seeds_bool(m, high, low): return seeds(m, high, low) == 1
def seeds_minus_one(m, high, low):
    s = seeds(m, high, low)
    return torch.where(s == -100, -1, s)
def seeds_without_low(m, high, low): return torch.where(seeds(m, high, low) == 1, 1, -100)

def seeds_up(m, high, low): return seeds(-m, high, low)
def seeds_float(m, high, low): return seeds(m, high, low).float()

# 12.7
def contrast_relu(A, g, A0): return (A - A0[:, None, None]).relu().mul(g).sum(1)
def contrast_gap(A, g, A0): return (g.mean((2, 3))[:, :, None, None]*(A - A0[:, None, None])).sum(1)
def contrast_total(A, g, A0): return contrast(A, g, A0).sum((1, 2))
def contrast_minus(A, g, A0): return -contrast(A, g, A0)

def contrast_twice(A, g, A0): return ((A - 2*A0[:, None, None])*g).sum(1)
def contrast_sign(A, g, A0): return ((A - A0[:, None, None])*g.sign()).sum(1)
def contrast_positive(A, g, A0): return ((A - A0[:, None, None])*g.relu()).sum(1)

# 12.8
def triplet_distance(e, who, margin):
    d = torch.cdist(F.normalize(e, dim=1), F.normalize(e, dim=1))
    same = who[:, None] == who
    return (margin + d.masked_fill(~same, -1).amax(1) - d.masked_fill(same, 9).amin(1)).relu().mean()
def triplet_unnormalised(e, who, margin):
    sim, same = e @ e.T, who[:, None] == who
    return (margin + sim.masked_fill(same, -99).amax(1) - sim.masked_fill(~same, 99).amin(1)).relu().mean()
def triplet_each(e, who, margin):
    e = F.normalize(e, dim=1)
    sim, same = e @ e.T, who[:, None] == who
    return (margin + sim.masked_fill(same, -2).amax(1) - sim.masked_fill(~same, 2).amin(1)).relu()
def triplet_total(e, who, margin): return triplet(e, who, margin)*len(e)

# 12.9
def matching_best(e, support, labels, scale):
    scores, votes = matching(e, support, labels, scale)
    return F.one_hot(labels[votes.argmax(1)], scores.shape[1]).float(), votes
def matching_log(e, support, labels, scale):
    scores, votes = matching(e, support, labels, scale)
    return scores.log(), votes
def matching_turned(e, support, labels, scale):
    scores, votes = matching(e, support, labels, scale)
    return scores, votes.T
def matching_dot(e, support, labels, scale):
    votes = (scale*e @ support.T).softmax(1)
    return votes @ F.one_hot(labels).float(), votes

# 12.10
def likeness_in_graph(e, other): return F.cosine_similarity(e, other)
def likeness_dot(e, other): return (e*other).sum(1)
def likeness_square(e, other): return F.cosine_similarity(e, other).square()
def likeness_detached(e, other): return F.cosine_similarity(e.detach(), other)

# 12.11
def lead_unshared(e, support, labels, scale):
    scores, votes = matching(e, support, labels, scale)
    left = scores[:, None] - votes[:, :, None]*F.one_hot(labels)
    answer = F.one_hot(scores.argmax(1), scores.shape[1]).bool()[:, None]
    return (left*answer).sum(2) - left.masked_fill(answer, -1).amax(2)
def lead_turned(e, support, labels, scale): return -lead_without(e, support, labels, scale)
def lead_of_top_two(e, support, labels, scale):
    scores, votes = matching(e, support, labels, scale)
    left = (scores[:, None] - votes[:, :, None]*F.one_hot(labels))/(1 - votes)[:, :, None]
    first, second = left.topk(2, dim=2).values.unbind(2)
    return first - second
def lead_flags(e, support, labels, scale): return lead_without(e, support, labels, scale) < 0

# 12.12
def parts_positive_only(m, least): return m.argmax(0).where(m.amax(0) > 0, -1)
def parts_each_scaled(m, least): return parts_by_class(m/m.amax((2, 3), keepdim=True), least)
def parts_from_one(m, least): return parts_by_class(m, least) + 1
def parts_everywhere(m, least): return m.argmax(0)
def parts_of_batch(m, least):
    top, k = m.max(0)
    return k.where((top > 0) & (top >= least*m.max()), -1)

WRONG = {'12.1': [cut_by_area, cut_float, cut_first, cut_otherwise, cut_sigmoid, cut_square, cut_strict],
         '12.2': [box_inclusive_width, box_exchanged_ends, box_of_first, box_relative],
         '12.3': [iou_no_union, iou_sum_of_sides, iou_smaller, iou_mean, iou_distance],
         '12.4': [threshold_by_max_of_each, threshold_worst, threshold_first, threshold_pair],
         '12.5': [ap_tensor, ap_auc, ap_background, ap_shares],
         '12.6': [seeds_of_all, seeds_bool, seeds_minus_one, seeds_without_low, seeds_up, seeds_float],
         '12.7': [contrast_relu, contrast_gap, contrast_total, contrast_minus, contrast_twice, contrast_sign,
                  contrast_positive],
         '12.8': [triplet_distance, triplet_unnormalised, triplet_each, triplet_total],
         '12.9': [matching_best, matching_log, matching_turned, matching_dot],
         '12.10': [likeness_in_graph, likeness_dot, likeness_square, likeness_detached],
         '12.11': [lead_unshared, lead_turned, lead_of_top_two, lead_flags],
         '12.12': [parts_positive_only, parts_each_scaled, parts_from_one, parts_everywhere, parts_of_batch]}
