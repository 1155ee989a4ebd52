from functools import partial
import torch
from torch import Tensor
from camtutor.engine.ablate import without_each
from camtutor.engine.covers import Question, RandomMasks, Windows, mask_mass, min_max, stage_ends
from camtutor.engine.forward import doing_at
from camtutor.engine.targets import class_score
from camtutor.errors import CamError, doing, expect_choice
from camtutor.show import upsample

def weighted(A, w):
    return torch.einsum('...nc,ncp->...np', w.to(A), A.flatten(2)).unflatten(-1, A.shape[2:])

def occlusion(model, x, layer=None, target=None, size=None, stride=None, **how):
    with doing('Occlusion'):
        q = Question(model, x, target, **how).look()
        w = Windows(q.places, *window(q.places, size, stride))
        y = q.whole()
        drops = [y[..., i, None] - q.under(i, len(w), partial(w.masks, like=q.ground)) for i in range(len(y[..., :].reshape(-1, y.shape[-1])[0]))]
    return torch.stack([w.spread(d) for d in drops], -1 - len(q.places))

def window(places, size, stride):
    n = len(places)
    size = [max(1, d // 4) for d in places] if size is None else [size] * n if isinstance(size, int) else list(size)
    stride = [max(1, s // 4) for s in size] if stride is None else [stride] * n if isinstance(stride, int) else list(stride)
    if len(size) == len(stride) == n and all(1 <= t <= s <= d for d, s, t in zip(places, size, stride)): return size, stride
    raise CamError('...')

def ablation_cam(model, x, layer=None, target=None, variant='drop', absent='zero', **how):
    with doing_at('Ablation-CAM', model, layer):
        expect_choice(variant, ('drop', 'paper'), 'variant')
        A, y, without = without_each(Question(model, x, target, **how), layer, absent)
        w = y[..., None] - without
    return weighted(A, w / y[..., None] if variant == 'paper' else w).relu()

SCORE_CAM = dict(logits=('score', True), probability=('probability', True), code=('probability', False))

def score_cam(model, x, layer=None, target=None, variant='logits', **how):
    with doing_at('Score-CAM', model, layer):
        of, normalise = SCORE_CAM[expect_choice(variant, SCORE_CAM, 'variant')]
        q = Question(model, x, target, of, **how)
        A = q.at(layer)
        s = q.under_channels(A)
    return weighted(A, s.softmax(-1) if normalise else s).relu()

def rise_map(f, masks, p=.5, plain=False):
    mean = 0 if plain else f.mean(-1, keepdim=True)
    m = masks.sum(f - mean) / (p * (len(masks) - (not plain)))
    return m if plain else m + mean[..., None]

def rise(model, x, layer=None, target=None, n=500, cells=7, p=.5, seed=0, plain=False, of='probability', **how):
    with doing('RISE'):
        q = Question(model, x, target, of, **how).look()
        masks = RandomMasks.drawn(n, cells, p, q.places, q.ground, seed, antithetic=p == .5 and not plain)
        maps = [rise_map(q.under(i, n, masks.masks), masks, p, plain) for i in range(len(x))]
    return torch.stack(maps, -3).to(q.ground)

def sidu_weights(P, P0, width=.25):
    similar = torch.exp(-(P - P0[:, None]).norm(dim=-1) / (2 * width**2))
    unique = torch.cdist(P, P, compute_mode='donot_use_mm_for_euclid_dist').sum(-1)
    return torch.where(unique.amax(-1, keepdim=True) > 0, similar * unique, similar)

def sidu(model, x, layer=None, target=None, threshold=.5, width=.25, **how):
    with doing_at('SIDU', model, layer):
        q = Question(model, x, target, 'probability', **how)
        B = (q.at(layer) > threshold).to(q.ground)
        P = q.under_channels(B, upsample, lambda out: q.likely(out).T).movedim(0, -1)
    return weighted(B, sidu_weights(P, q.likely(q.out), width))

def otsu(v, bins=256):
    h = torch.histc(v.float().flatten(), bins, 0, 1)
    below, mass = h.cumsum(0), (h * torch.arange(bins).to(h)).cumsum(0)
    above = below[-1] - below
    between = (mass * below[-1] - mass[-1] * below)**2 / (below * above).clamp(min=1)
    return (between.argmax().item() + 1) / bins

def sise_layer(q, i, a):
    s, mass = q.under_each(i, a), mask_mass(a, q.places)
    w = torch.where(mass > 0, s / mass.where(mass > 0, 1), 0)
    return min_max(upsample(weighted(a[None], w[None]), q.places))[0]

def by_sign(g, mu=0.):
    return (g > 0) & (g > mu * g.max())

def by_otsu(g):
    top = g.max()
    if not top > 0: return g > 0
    some = g[g > 0] / top
    return (g / top > otsu(some)) if some.min() < some.max() else g > 0

def soft(v):
    t = otsu(v)
    if (v > 1.5 * t).float().mean() < .1: t = 1.5 * t
    return torch.sigmoid(100 * (v - t))

def hard(v): return (v > otsu(v)).to(v)

def fuse(maps, gate=hard):
    e = maps[0]
    for v in maps[1:]: e = (e + v) * gate(v)
    return e

def fused_layers(model, x, layers, target, keep, gate, how):
    q = Question(model, x, target, 'probability', **how)
    pairs = q.pairs(stage_ends(model, x) if layers is None else layers, 'probability')
    def of_one(i):
        kept = [(A[i], keep(g[i].flatten(1).mean(1))) for A, g in pairs]
        maps = [sise_layer(q, i, a[k]) for a, k in kept if k.any()]
        return fuse(maps, gate) if maps else torch.zeros_like(q.ground[0, 0])
    return torch.stack([of_one(i) for i in range(len(q.ground))])

def sise(model, x, layer=None, target=None, mu=0., gate='hard', **how):
    with doing_at('SISE', model, layer):
        return fused_layers(model, x, layer, target, partial(by_sign, mu=mu), GATES[expect_choice(gate, GATES, 'gate')], how)
GATES = dict(hard=hard, soft=soft)
def ada_sise(model, x, layer=None, target=None, gate='hard', **how):
    with doing_at('Ada-SISE', model, layer):
        return fused_layers(model, x, layer, target, by_otsu, GATES[expect_choice(gate, GATES, 'gate')], how)

def group_cam(model, x, layer=None, target=None, groups=32, ground='blur', **how):
    with doing_at('Group-CAM', model, layer):
        q = Question(model, x, target, 'probability', ground, **how)
        (A, g), = q.pairs([q.only(layer)], 'score')
        WA = A * g.flatten(2).mean(2).view(*A.shape[:2], *[1] * (A.ndim - 2))
        m = torch.stack([part.sum(1) for part in WA.tensor_split(min(groups, A.shape[1]), 1)], 1).relu()
        nothing = q.under_channels(torch.zeros_like(m[:, :1]))
        return weighted(m, (q.under_channels(m) - nothing).relu())
