"Chapter 10: other right answers, in other styles; each must be accepted."
from contextlib import contextmanager

import torch
import torch.nn.functional as F

def masked_where_shut(x, S, ground=0.):
    S = F.interpolate(S.unsqueeze(1), size=tuple(x.shape[-2:]), mode='bilinear', align_corners=False)
    return S*x + (1 - S)*ground

def masked_lerp(x, S, ground=0.):
    S = F.interpolate(S[:, None], size=x.shape[2:], mode='bilinear', align_corners=False)
    return torch.lerp(torch.as_tensor(ground).expand_as(x), x, S)

def area_flat(S, power=.3, offset=5e-4): return ((S.flatten() + offset)**power).sum()/S.numel()

def area_of_means(S, power=.3, offset=5e-4): return torch.stack([(s + offset).pow(power).mean() for s in S]).mean()

def variation_slices(S, border=.3):
    total = ((S[..., 1:, :] - S[..., :-1, :])**2).sum() + ((S[..., :, 1:] - S[..., :, :-1])**2).sum()
    for edge in (S[..., 0, :], S[..., -1, :], S[..., :, 0], S[..., :, -1]): total = total + border*(edge**2).sum()
    return total/2/S.shape[0]

def variation_loop(S, border=.3):
    def of_one(s):
        edges = sum((e**2).sum() for e in (s[..., 0, :], s[..., -1, :], s[..., 0], s[..., -1]))
        return (s.diff(dim=-1)**2).sum() + (s.diff(dim=-2)**2).sum() + border*edges
    return torch.stack([of_one(s) for s in S]).mean()/2

def loss_by_hand(u, y, S, weights=(.01, 2., 1.5)):
    from camtutor.lcam import area, variation
    a, b, c = weights
    return a*variation(S) + b*area(S) - c*u.log_softmax(1)[range(len(y)), y].mean()

def loss_dot(u, y, S, weights=(.01, 2., 1.5)):
    from camtutor.lcam import area, variation
    terms = torch.stack([variation(S), area(S), F.nll_loss(F.log_softmax(u, 1), y)])
    return terms @ torch.tensor(weights, dtype=u.dtype)

def maps_gather(a, y, regularise='own'):
    if regularise == 'batch': return a.index_select(1, y)
    return a.gather(1, y[:, None, None, None].expand(-1, 1, *a.shape[2:]))[:, 0]

def maps_loop(a, y, regularise='own'):
    if regularise == 'own': return torch.stack([one[k] for one, k in zip(a, y)])
    return torch.stack([torch.stack([one[k] for k in y]) for one in a])

def features_unsqueeze(A, S): return S.unsqueeze(1).expand_as(A)*A

def features_einsum(A, S): return torch.einsum('nchw,nhw->nchw', A, S)

def scores_einsum(cams, S, bias=0.): return torch.einsum('nkhw,nhw->nk', cams, S)/S[0].numel() + bias

def scores_flat(cams, S, bias=0.): return (cams.flatten(2) @ S.flatten(1)[..., None])[..., 0]/cams[0, 0].numel() + bias

@contextmanager
def frozen_by_hand(model):
    modes, wants = {m: m.training for m in model.modules()}, {p: p.requires_grad for p in model.parameters()}
    model.eval()
    model.requires_grad_(False)
    try: yield model
    finally:
        for m, mode in modes.items(): m.training = mode
        for p, want in wants.items(): p.requires_grad_(want)

@contextmanager
def frozen_nested(model):
    from camtutor.hooks import eval_mode
    wants = [p.requires_grad for p in model.parameters()]
    try:
        with eval_mode(model) as m: yield m.requires_grad_(False)
    finally:
        for p, want in zip(model.parameters(), wants): p.requires_grad = want

def map_einsum(att, A, k):
    w = att.weight[k, :, 0, 0]
    return torch.einsum('nc,nchw->nhw', w, A) + att.bias[k][:, None, None]

def map_loop(att, A, k): return torch.stack([att(one[None])[0, c] for one, c in zip(A, k)])

def pull_onehot(cams, S, y, bias):
    u = (cams*S[:, None]).mean((2, 3)) + bias
    d = u.softmax(1) - F.one_hot(y, u.shape[1])
    return (d[:, :, None, None]*cams).sum(1)/(S.shape[1]*S.shape[2])

def pull_loop(cams, S, y, bias):
    out = []
    for c, s, k in zip(cams, S, y):
        q = torch.softmax((c*s).mean((1, 2)) + bias, 0)
        out.append(sum(q[r]*c[r] for r in range(len(q))) - c[k])
    return torch.stack(out)/S[0].numel()

def fused_upsample(features, branches, fuse):
    size = max((tuple(A.shape[-2:]) for A in features), key=lambda s: s[0]*s[1])
    grown = [torch.nn.Upsample(size, mode='bilinear')(F.relu(A + b(A))) for A, b in zip(features, branches)]
    return fuse(torch.cat(grown, dim=1))

def fused_by_parts(features, branches, fuse):
    h, w = max((A.shape[2:] for A in features), key=lambda s: s[0]*s[1])
    weights = fuse.weight.split([A.shape[1] for A in features], 1)
    out = fuse.bias[:, None, None]
    for A, b, weight in zip(features, branches, weights):
        big = F.interpolate((A + b(A)).clamp(min=0), size=(h, w), mode='bilinear', align_corners=False)
        out = out + F.conv2d(big, weight)
    return out

ANSWERS = {'10.1': [masked_where_shut, masked_lerp], '10.2': [area_flat, area_of_means],
           '10.3': [variation_slices, variation_loop], '10.4': [loss_by_hand, loss_dot],
           '10.5': [maps_gather, maps_loop],
           '10.6': [features_unsqueeze, features_einsum], '10.7': [scores_einsum, scores_flat],
           '10.8': [frozen_by_hand, frozen_nested], '10.9': [map_einsum, map_loop], '10.10': [pull_onehot, pull_loop],
           '10.11': [fused_upsample, fused_by_parts]}
