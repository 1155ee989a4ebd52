"Chapter 09: other right answers, in other styles; each must be accepted."
import torch
from camtutor.protocols import order_of, spearman

def shares_loop(m, masks):
    out = torch.zeros(masks.shape[:2])
    for i, one in enumerate(m.relu()):
        for j, part in enumerate(masks[i]):
            if one.sum() > 0: out[i, j] = one[part].sum()/one.sum()
    return out

def shares_flat(m, masks):
    m = m.clamp_min(0).flatten(1)
    inside = (masks.flatten(2)*m[:, None]).sum(2)
    total = m.sum(1, keepdim=True)
    return torch.where(total > 0, inside/total, torch.zeros_like(inside))

def single_list(shares, effects, seen):
    rho = [spearman(a[None, on], b[None, on]).item() if on.sum() >= 2 else float('nan')
           for a, b, on in zip(shares, effects, seen)]
    return (torch.tensor(rho) + 1)/2

def single_by_ranks(shares, effects, seen):
    out = []
    for a, b, on in zip(shares, effects, seen):
        if on.sum() < 2:
            out.append(torch.tensor(float('nan')))
            continue
        r = torch.stack([v[on].argsort().argsort().float() for v in (a, b)])
        out.append((torch.corrcoef(r)[0, 1] + 1)/2)
    return torch.stack(out)

def unit_loop(m):
    out = []
    for one in m:
        low, high = one.min(), one.max()
        if high > low: out.append((one - low)/(high - low))
        else: out.append(torch.full_like(one, float(high > 0)))
    return torch.stack(out)

def unit_flat(m):
    flat = m.flatten(1)
    low, high = flat.min(1, keepdim=True).values, flat.max(1, keepdim=True).values
    flat = torch.where(low == high, (low > 0).float().expand_as(flat), (flat - low)/(high - low))
    return flat.view_as(m)

def drop_where(p, o): return torch.where(p > o, 1 - o/p, 0.)

def drop_loop(p, o): return torch.stack([(a - b)/a if a > b else a*0 for a, b in zip(p, o)])

def keep_where(m, share=1.): return torch.where(order_of(m) < round(share*m.shape[1]*m.shape[2]), m, 0.)

def keep_loop(m, share=1.):
    out, n = torch.zeros_like(m), round(share*m[0].numel())
    for i, r in enumerate(order_of(m)): out[i][r < n] = m[i][r < n]
    return out

def gone_shape(order, q): return order + 1 <= round(q*order.shape[1]*order.shape[2])

def gone_loop(order, q): return torch.stack([~(o >= round(q*o.numel())) for o in order])

def area_torch(curve): return torch.trapezoid(curve, dx=1/(curve.shape[1] - 1), dim=1)

def area_ends(curve): return (curve.sum(1) - (curve[:, 0] + curve[:, -1])/2)/(curve.shape[1] - 1)

def best_loop(hits): return max(h.float().mean() for h in hits.T)

def best_sum(hits): return hits.sum(0).max()/len(hits)

ANSWERS = {'9.1': [shares_loop, shares_flat], '9.2': [single_list, single_by_ranks], '9.3': [unit_loop, unit_flat],
           '9.4': [drop_where, drop_loop], '9.5': [keep_where, keep_loop], '9.6': [gone_shape, gone_loop],
           '9.7': [area_torch, area_ends], '9.8': [best_loop, best_sum]}
