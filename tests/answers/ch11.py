"Chapter 11: other right answers, in other styles; each must be accepted."
import torch
import torch.nn.functional as F

def worst_loop(right, groups):
    worst = torch.tensor(1.)
    for g in set(groups.tolist()):
        ok = right[groups == g]
        worst = torch.minimum(worst, ok.sum()/len(ok))
    return worst

def worst_counted(right, groups):
    _, inverse, counts = groups.unique(return_inverse=True, return_counts=True)
    hits = torch.zeros(len(counts)).index_add(0, inverse, right.float())
    return (hits/counts).amin()

def margin_scatter(out, y):
    others = out.scatter(1, y[:, None], float('-inf'))
    return out.gather(1, y[:, None])[:, 0] - others.max(1).values

def margin_loop(out, y):
    rows = []
    for o, k in zip(out, y.tolist()):
        rows.append(o[k] - max(v for j, v in enumerate(o) if j != k))
    return torch.stack(rows)

def verdict_chain(more, effect, least=.1):
    _, low, _ = more
    _, bottom, top = effect
    matters = bottom > least or top < -least
    if low > 0 and matters: return 'both'
    if low > 0: return 'map alone'
    return 'effect alone' if matters else 'neither'

def verdict_table(more, effect, least=.1):
    names = {(True, True): 'both', (True, False): 'map alone', (False, True): 'effect alone'}
    return names.get((min(more[1:]) > 0, max(effect[1], -effect[2]) > least), 'neither')

def pasted_loop(images, animals, order):
    out = []
    for i, j in enumerate(order.tolist()):
        ground = images[j].clone()
        ground[animals[j]] = 128
        ground[animals[i]] = images[i][animals[i]]
        out.append(ground)
    return torch.stack(out)

def pasted_where(images, animals, order):
    m = animals.unsqueeze(-1)
    grey = torch.full_like(images, 128)
    return torch.where(m, images, torch.where(m[order], grey, images[order]))

def astray_einsum(A, weight, own, y):
    m = torch.einsum('nc,nchw->nhw', weight[y], A).relu()
    total = m.sum((1, 2))
    return torch.einsum('nhw,nhw->n', 1 - own, m)/total.clamp(min=1e-6)

def astray_where(A, weight, own, y):
    m = torch.einsum('kc,nchw->nkhw', weight, A)[torch.arange(len(y)), y].clamp_min(0).flatten(1)
    total = m.sum(1)
    off = (m*(1 - own.flatten(1))).sum(1)
    return torch.where(total > 0, off/torch.where(total > 0, total, 1.), 0.)

def alike_loop(groups, n):
    taken, out = {}, []
    for i, g in enumerate(groups.tolist()):
        taken[g] = taken.get(g, 0) + 1
        if taken[g] <= n: out.append(i)
    return torch.tensor(out)

def alike_ranked(groups, n):
    same = groups[:, None] == groups[None]
    rank = same.long().cumsum(1).diagonal()
    return torch.arange(len(groups))[rank <= n]

def flips_sum(before, after):
    changed = before.max(1).indices.ne(after.max(1).indices)
    return changed.sum()/len(changed)

def flips_hot(before, after):
    a, b = (F.one_hot(t.argmax(-1), t.shape[-1]) for t in (before, after))
    return 1 - (a*b).sum(1).float().mean()

ANSWERS = {'11.1': [worst_loop, worst_counted], '11.2': [margin_scatter, margin_loop],
           '11.3': [verdict_chain, verdict_table], '11.4': [pasted_loop, pasted_where],
           '11.5': [astray_einsum, astray_where], '11.6': [alike_loop, alike_ranked], '11.7': [flips_sum, flips_hot]}
