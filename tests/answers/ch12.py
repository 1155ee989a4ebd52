"Chapter 12: other right answers, in other styles; each must be accepted."
import torch
import torch.nn.functional as F
from camtutor.where import mask_iou, segment

def segment_loop(m, threshold): return torch.stack([(a >= threshold*a.max()) & (a > 0) for a in m])

def segment_flat(m, threshold):
    flat = m.flatten(1)
    return ((flat >= threshold*flat.max(1).values[:, None]) & (flat > 0)).view_as(m)

def box_any(mask):
    out = []
    for one in mask:
        x, y = one.any(0).nonzero()[:, 0], one.any(1).nonzero()[:, 0]
        out.append([x[0], y[0], x[-1] + 1, y[-1] + 1] if len(x) else [0, 0, 0, 0])
    return torch.tensor(out).float()

def box_torchvision(mask):
    from torchvision.ops import masks_to_boxes
    out = torch.zeros(len(mask), 4)
    on = mask.flatten(1).any(1)
    if on.any(): out[on] = masks_to_boxes(mask[on]) + torch.tensor([0., 0., 1., 1.])
    return out

def iou_unbound(a, b):
    ax0, ay0, ax1, ay1 = a.unbind(-1)
    bx0, by0, bx1, by1 = b.unbind(-1)
    w, h = torch.min(ax1, bx1) - torch.max(ax0, bx0), torch.min(ay1, by1) - torch.max(ay0, by0)
    both = w.relu()*h.relu()
    union = (ax1 - ax0)*(ay1 - ay0) + (bx1 - bx0)*(by1 - by0) - both
    return torch.where(union > 0, both/union.where(union > 0, 1), torch.zeros_like(union))

def iou_torchvision(a, b):
    from torchvision.ops import box_iou
    flat = box_iou(a.reshape(-1, 4), b.reshape(-1, 4)).diagonal()
    return flat.nan_to_num(0.).reshape(a.shape[:-1])

def threshold_max(m, mask, thresholds):
    return max(thresholds, key=lambda t: mask_iou(segment(m, t), mask).mean().item())

def threshold_loop(m, mask, thresholds):
    best, found = -1., None
    for t in thresholds:
        value = sum(mask_iou(segment(m[i:i+1], t), mask[i:i+1]).item() for i in range(len(m)))/len(m)
        if value > best + 1e-9: best, found = value, t
    return found

def ap_loop(m, mask):
    m = m.relu()
    m, inside = (m/m.amax((1, 2), keepdim=True).clamp(min=1e-12)).flatten(), mask.flatten()
    return sum(inside[m >= v].float().mean().item() for v in m[inside])/inside.sum().item()

def ap_by_value(m, mask):
    m = m.relu()
    m, inside = (m/m.amax((1, 2), keepdim=True).clamp(min=1e-12)).flatten(), mask.flatten().float()
    found = total = area = 0.
    for v in m.unique().flip(0):   # one value after the other, the highest first
        new = inside[m == v].sum().item()
        found, total = found + new, total + (m == v).sum().item()
        area += new*found/total
    return area/inside.sum().item()

def seeds_topk(m, high, low):
    flat = m.flatten(1)
    labels = torch.full(flat.shape, -100)
    labels.scatter_(1, flat.topk(round(high*flat.shape[1])).indices, 1)
    labels.scatter_(1, (-flat).topk(round(low*flat.shape[1])).indices, 0)
    return labels.view(m.shape)

def seeds_loop(m, high, low):
    out = []
    for a in m:
        order, labels = a.flatten().argsort(descending=True), torch.full((a.numel(),), -100)
        k, j = round(high*a.numel()), round(low*a.numel())
        labels[order[:k]] = 1
        if j: labels[order[-j:]] = 0
        out.append(labels.view(a.shape))
    return torch.stack(out)

def contrast_einsum(A, g, A0): return torch.einsum('nchw,nchw->nhw', A - A0.view(1, -1, 1, 1), g)

def contrast_parts(A, g, A0): return (A*g).sum(1) - torch.einsum('c,nchw->nhw', A0, g)

def triplet_loop(e, who, margin):
    total = 0
    for i in range(len(e)):
        cos = F.cosine_similarity(e[i:i+1], e)
        total = total + (margin + cos[who != who[i]].max() - cos[who == who[i]].min()).clamp(min=0)
    return total/len(e)

def triplet_inf(e, who, margin):
    e = e/e.norm(dim=1, keepdim=True)
    cos, same = e @ e.T, who[None] == who[:, None]
    own = torch.where(same, cos, torch.inf).min(1).values
    other = torch.where(same, -torch.inf, cos).max(1).values
    return F.relu(other - own + margin).mean()

def matching_pairs(e, support, labels, scale):
    cos = F.cosine_similarity(e[:, None], support[None], dim=2)
    votes = F.softmax(scale*cos, dim=1)
    return torch.stack([votes[:, labels == k].sum(1) for k in range(int(labels.max()) + 1)], 1), votes

def matching_scatter(e, support, labels, scale):
    cos = (e/e.norm(dim=1, keepdim=True)) @ (support/support.norm(dim=1, keepdim=True)).T
    votes = (scale*cos).exp()
    votes = votes/votes.sum(1, keepdim=True)
    scores = torch.zeros(len(e), int(labels.max()) + 1).index_add(1, labels, votes)
    return scores, votes

def likeness_einsum(e, other):
    other = other.detach()
    return torch.einsum('nd,nd->n', e, other)/(e.detach().norm(dim=1)*other.norm(dim=1))

def likeness_target(e, other):
    from camtutor.targets import similar
    return similar(other)(e)

def lead_loop(e, support, labels, scale):
    from camtutor.where import matching
    answer, out = matching(e, support, labels, scale)[0].argmax(1), []
    for s in range(len(support)):
        keep = [i for i in range(len(support)) if i != s]
        votes = matching(e, support[keep], labels[keep], scale)[1]
        scores = torch.zeros(len(e), int(labels.max()) + 1).index_add(1, labels[keep], votes)
        rows = torch.arange(len(e))
        own = scores[rows, answer].clone()
        scores[rows, answer] = -1
        out.append(own - scores.max(1).values)
    return torch.stack(out, 1)

def lead_masked(e, support, labels, scale):
    cos = scale*F.cosine_similarity(e[:, None], support[None], dim=2)
    hot = F.one_hot(labels).float()
    answer = (cos.softmax(1) @ hot).argmax(1)
    votes = cos[:, None].expand(-1, len(support), -1).masked_fill(torch.eye(len(support)).bool(), -torch.inf).softmax(2)
    scores = votes @ hot
    own = scores.gather(2, answer[:, None, None].expand(-1, len(support), 1))
    return (own[..., 0] - scores.scatter(2, answer[:, None, None].expand(-1, len(support), 1), -1.).amax(2))

def parts_argmax(m, least):
    k, top = m.argmax(0), m.amax(0)
    k[(top <= 0) | (top < least*top.flatten(1).amax(1)[:, None, None])] = -1
    return k

def parts_loop(m, least):
    out = []
    for i in range(m.shape[1]):
        one = m[:, i]
        low = max(least*one.max().item(), 0.)
        k = one.argmax(0)
        out.append(torch.where((one.amax(0) > 0) & (one.amax(0) >= low), k, torch.full_like(k, -1)))
    return torch.stack(out)

ANSWERS = {'12.1': [segment_loop, segment_flat], '12.2': [box_any, box_torchvision],
           '12.3': [iou_unbound, iou_torchvision], '12.4': [threshold_max, threshold_loop],
           '12.5': [ap_loop, ap_by_value], '12.6': [seeds_topk, seeds_loop],
           '12.7': [contrast_einsum, contrast_parts], '12.8': [triplet_loop, triplet_inf],
           '12.9': [matching_pairs, matching_scatter], '12.10': [likeness_einsum, likeness_target],
           '12.11': [lead_loop, lead_masked], '12.12': [parts_argmax, parts_loop]}
