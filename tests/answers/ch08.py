"Chapter 08: other right answers, in other styles; each must be accepted."
import torch, torch.nn.functional as F

from camtutor.perturbation import otsu

def occlusion_masks(model, x, target, size, stride):
    H, W = x.shape[2:]
    corners = [(i, j) for i in range(0, H - size + 1, stride) for j in range(0, W - size + 1, stride)]
    m = torch.zeros(len(corners), H, W)
    for n, (i, j) in enumerate(corners): m[n, i:i + size, j:j + size] = 1
    with torch.no_grad():
        falls = torch.stack([model(x)[:, target] - model(x * (1 - one))[:, target] for one in m])
    return torch.einsum('mn,mhw->nhw', falls, m) / m.sum(0).clamp(min=1)

def occlusion_pictures(model, x, target, size, stride):
    maps = []
    for one in x:
        total, count = torch.zeros(x.shape[2:]), torch.zeros(x.shape[2:])
        i = 0
        while i + size <= x.shape[2]:
            j = 0
            while j + size <= x.shape[3]:
                hidden = one.clone()
                hidden[..., i:i + size, j:j + size] *= 0
                with torch.no_grad(): a, b = model(torch.stack([one, hidden]))[:, target]
                total[i:i + size, j:j + size] += a - b
                count[i:i + size, j:j + size] += 1
                j += stride
            i += stride
        maps.append(torch.where(count > 0, total / count.clamp(min=1), 0.))
    return torch.stack(maps)

def ablation_mask(model, x, layer, target):
    kept, at = [], [None]
    def hook(m, args, out):
        if at[0] is None: return kept.append(out.detach().clone())
        keep = torch.ones(out.shape[1])
        keep[at[0]] = 0
        return out * keep[:, None, None]
    handle = dict(model.named_modules())[layer].register_forward_hook(hook)
    with torch.no_grad():
        whole, w = model(x)[:, target], []
        for k in range(kept[0].shape[1]):
            at[0] = k
            w.append(whole - model(x)[:, target])
    handle.remove()
    return sum(wk[:, None, None] * kept[0][:, k] for k, wk in enumerate(w)).clamp(min=0)

def ablation_single(model, x, layer, target):
    def one(p):
        return ablation_mask(model, p[None], layer, target)
    return torch.cat([one(p) for p in x])

def falls_einsum(A, weight, k): return torch.einsum('c,nchw->nc', weight[k], A) / A[0, 0].numel()
def falls_loop(A, weight, k):
    def score(B): return F.adaptive_avg_pool2d(B, 1).flatten(1) @ weight[k]
    out = []
    for c in range(A.shape[1]):
        B = A.clone()
        B[:, c] = 0
        out.append(score(A) - score(B))
    return torch.stack(out, 1)

def score_flat(model, x, layer, target):
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(lambda m, a, o: kept.append(o.detach().clone()))
    with torch.no_grad(): model(x)
    handle.remove()
    A = kept[0]
    m = F.interpolate(A, x.shape[2:], mode='bilinear')
    m = m - m.flatten(2).min(2).values[:, :, None, None]
    m = m / m.flatten(2).max(2).values.clamp(min=1e-20)[:, :, None, None]
    with torch.no_grad(): s = torch.stack([model(x * m[:, k:k + 1])[:, target] for k in range(A.shape[1])], 1)
    w = s.exp() / s.exp().sum(1, keepdim=True)
    return (w[:, :, None, None] * A).sum(1).relu()

def score_one(model, x, layer, target): return torch.cat([score_flat(model, p[None], layer, target) for p in x])

def map_weights(f, masks, p=.5): return masks.sum((f - f.mean()) / p / (len(masks) - 1)) + f.mean()
def map_sums(f, masks, p=.5):
    n = len(masks)
    return f.mean() + (masks.sum(f) - f.mean() * masks.sum(torch.ones(n))) / (n - 1) / p

def sidu_loop(P, P0, width=.25):
    out = torch.zeros(P.shape[:2])
    for n in range(P.shape[0]):
        for c in range(P.shape[1]):
            d = (P[n, c] - P0[n]).square().sum().sqrt()
            out[n, c] = torch.exp(-d / (2 * width * width)) * sum((P[n, c] - q).norm() for q in P[n])
    return out

def sidu_broadcast(P, P0, width=.25):
    d = (P[:, :, None] - P[:, None]).pow(2).sum(-1).sqrt().sum(2)
    return d * (-(P - P0.unsqueeze(1)).norm(dim=2) / (2 * width**2)).exp()

def otsu_loop(v):
    h = torch.histc(v.float(), 256, 0, 1).double()
    bins, best, at = torch.arange(256.), -1, 0
    for t in range(256):
        a, b = h[:t + 1], h[t + 1:]
        if not a.sum() or not b.sum(): continue
        m0, m1 = (a * bins[:t + 1]).sum() / a.sum(), (b * bins[t + 1:]).sum() / b.sum()
        score = (a.sum() * b.sum() * (m1 - m0)**2).item()
        if score > best * (1 + 1e-12): best, at = score, t
    return (at + 1) / 256

def otsu_one_line(v):
    h = torch.histc(v.float(), 256, 0, 1).double()
    n, s = h.cumsum(0), (h * torch.arange(256)).cumsum(0)
    return ((s * n[-1] - s[-1] * n)**2 / (n * (n[-1] - n)).clamp(min=1)).argmax().item() / 256 + 1 / 256

def fuse_recursive(maps, gate): return maps[0] if len(maps) == 1 else (fuse_recursive(maps[:-1],
                                                                                      gate) + maps[-1]) * gate(maps[-1])

def fuse_reduce(maps, gate):
    from functools import reduce
    return reduce(lambda e, v: e * gate(v) + v * gate(v), maps)

def keep_loop(g):
    pos = [v for v in g.tolist() if v > 0]
    if len(set(pos)) < 2: return torch.tensor([v > 0 for v in g.tolist()])
    t = otsu(torch.tensor(pos) / max(pos))
    return torch.stack([v / max(pos) > t for v in g])

def keep_scaled(g):
    top = g.max()
    if top <= 0: return torch.zeros(len(g), dtype=torch.bool)
    rel = g / top
    some = rel[rel > 0]
    return rel > (0 if (some == some[0]).all() else otsu(some))

ANSWERS = {
    '8.2': (occlusion_masks, occlusion_pictures),
    '8.3': (ablation_mask, ablation_single),
    '8.4': (falls_einsum, falls_loop),
    '8.5': (score_flat, score_one),
    '8.6': (map_weights, map_sums),
    '8.7': (sidu_loop, sidu_broadcast),
    '8.8': (otsu_loop, otsu_one_line),
    '8.9': (fuse_recursive, fuse_reduce),
    '8.10': (keep_loop, keep_scaled),
}
