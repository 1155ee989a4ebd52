"Chapter 10: plausible wrong answers that are not in the bank."
from contextlib import contextmanager

import torch
import torch.nn.functional as F

from camtutor.exercises.ch10 import (area, attention_maps, fused, lcam_loss, maps_of, masked_image, masked_scores, pull,
                                     variation)
from camtutor.show import upsample

# 10.1
def image_no_ground(x, S, ground=0.): return x*upsample(S, x.shape[2:])[:, None]
def image_turned(x, S, ground=0.): return masked_image(x, 1 - S, ground)
def image_hard(x, S, ground=0.): return masked_image(x, (S > .5).float(), ground)
def image_no_axis(x, S, ground=0.):
    S = upsample(S, x.shape[2:])
    return S*x + (1 - S)*ground
def image_ground_everywhere(x, S, ground=0.): return x*upsample(S, x.shape[2:])[:, None] + ground
def image_small(x, S, ground=0.):
    x = F.adaptive_avg_pool2d(x, S.shape[1:])
    return ground + S[:, None]*(x - ground)

# 10.2
def area_of_mean(S, power=.3, offset=5e-4): return (S.mean() + offset)**power
def area_plain(S, power=.3, offset=5e-4): return S.mean()
def area_no_offset(S, power=.3, offset=5e-4): return S.pow(power).mean()
def area_each(S, power=.3, offset=5e-4): return (S + offset).pow(power).mean(dim=(1, 2))
def area_sum(S, power=.3, offset=5e-4): return (S + offset).pow(power).sum()

# 10.3
def variation_no_border(S, border=.3): return .5*(S.diff(dim=-1).pow(2).sum() + S.diff(dim=-2).pow(2).sum())/len(S)
def variation_whole(S, border=.3): return 2*variation(S, border)
def variation_all(S, border=.3): return variation(S, border)*len(S)
def variation_sizes(S, border=.3):
    inside = S.diff(dim=-1).abs().sum() + S.diff(dim=-2).abs().sum()
    return .5*(inside + border*(S[..., [0, -1], :].square().sum() + S[..., [0, -1]].square().sum()))/len(S)
def variation_mean(S, border=.3): return variation(S, border)*len(S)/S.numel()

# 10.4
def loss_of_probabilities(u, y, S, weights=(.01, 2., 1.5)): return lcam_loss(u.softmax(1), y, S, weights)
def loss_swapped(u, y, S, weights=(.01, 2., 1.5)): return lcam_loss(u, y, S, (weights[1], weights[0], weights[2]))
def loss_unweighted(u, y, S, weights=(.01, 2., 1.5)): return lcam_loss(u, y, S, (1., 1., 1.))
def loss_reversed(u, y, S, weights=(.01, 2., 1.5)): return lcam_loss(u, y, S, weights[::-1])
def loss_sum(u, y, S, weights=(.01, 2., 1.5)):
    return (weights[0]*variation(S) + weights[1]*area(S) + weights[2]*F.cross_entropy(u, y, reduction='sum'))

# 10.5
def maps_always_own(a, y, regularise='own'): return torch.stack([m[k] for m, k in zip(a, y)])
def maps_always_batch(a, y, regularise='own'): return a.index_select(1, y)
def maps_kept_axis(a, y, regularise='own'):
    return a[:, y] if regularise == 'batch' else a[range(len(y)), y].unsqueeze(1)
def maps_once(a, y, regularise='own'): return a[:, y.unique()] if regularise == 'batch' else maps_of(a, y)
def maps_exchanged(a, y, regularise='own'): return maps_of(a, y, 'own' if regularise == 'batch' else 'batch')

# 10.6
def features_channels(A, S): return A*S
def features_hard(A, S): return A*(S[:, None] > .5).float()
def features_added(A, S): return (A*S.unsqueeze(1)).sum(1)
def features_hidden(A, S): return A - A*S.unsqueeze(1)
def features_first(A, S): return A*S[:1, None]
def features_twice(A, S): return A*torch.sigmoid(S)[:, None]

# 10.7
def scores_share(cams, S, bias=0.): return torch.einsum('nkhw,nhw->nk', cams, S)/S.sum((1, 2))[:, None] + bias
def scores_sum(cams, S, bias=0.): return torch.einsum('nkhw,nhw->nk', cams, S) + bias
def scores_no_bias(cams, S, bias=0.): return torch.einsum('nkhw,nhw->nk', cams, S)/S[0].numel()
def scores_of_classes(cams, S, bias=0.): return (cams*S).mean((2, 3)) + bias
def scores_cut(cams, S, bias=0.): return masked_scores(cams.clamp(min=0), S, bias)

# 10.8
@contextmanager
def frozen_modes_only(model):
    from camtutor.hooks import eval_mode
    with eval_mode(model): yield model
@contextmanager
def frozen_for_good(model):
    model.eval()
    for p in model.parameters(): p.requires_grad = False
    yield model
@contextmanager
def frozen_all_back(model):
    from camtutor.hooks import eval_mode
    with eval_mode(model):
        try:
            model.requires_grad_(False)
            yield model
        finally: model.requires_grad_(True)
@contextmanager
def frozen_parameters_only(model):
    wanted = [p for p in model.parameters() if p.requires_grad]
    for p in wanted: p.requires_grad = False
    try: yield model
    finally:
        for p in wanted: p.requires_grad = True

# 10.9
def map_of_mask(att, A, k): return attention_maps(att, A, k).sigmoid()
def map_cut(att, A, k): return attention_maps(att, A, k).clamp(min=0)
def map_all(att, A, k): return att(A)[:, k]
def map_no_bias(att, A, k): return torch.einsum('nc,nchw->nhw', att.weight[k, :, 0, 0], A)
def map_first(att, A, k): return att(A)[:, k[0]]

# 10.10
def pull_no_places(cams, S, y, bias): return pull(cams, S, y, bias)*S[0].numel()
def pull_uphill(cams, S, y, bias): return -pull(cams, S, y, bias)
def pull_whole(cams, S, y, bias): return pull(cams, torch.ones_like(S), y, bias)
def pull_alone(cams, S, y, bias): return -cams[range(len(y)), y]/S[0].numel()
def pull_batch(cams, S, y, bias): return pull(cams, S, y, bias)/len(S)

# 10.11
def fused_no_skip(features, branches, fuse):
    size = max((A.shape[2:] for A in features), key=lambda s: s.numel())
    return fuse(torch.cat([F.interpolate(b(A).relu(), size, mode='bilinear') for A, b in zip(features, branches)], 1))
def fused_masks(features, branches, fuse): return fused(features, branches, fuse).sigmoid()
def fused_no_cut(features, branches, fuse):
    size = max((A.shape[2:] for A in features), key=lambda s: s.numel())
    return fuse(torch.cat([F.interpolate(b(A) + A, size, mode='bilinear') for A, b in zip(features, branches)], 1))
def fused_nearest(features, branches, fuse):
    size = max((A.shape[2:] for A in features), key=lambda s: s.numel())
    return fuse(torch.cat([F.interpolate((b(A) + A).relu(), size) for A, b in zip(features, branches)], 1))
def fused_to_first(features, branches, fuse):
    size = features[0].shape[2:]
    return fuse(torch.cat([F.interpolate((b(A) + A).relu(), size, mode='bilinear')
                           for A, b in zip(features, branches)], 1))
def fused_pooled(features, branches, fuse):
    size = min((A.shape[2:] for A in features), key=lambda s: s.numel())
    return fuse(torch.cat([F.adaptive_avg_pool2d((b(A) + A).relu(), size) for A, b in zip(features, branches)], 1))

WRONG = {
    '10.1': [image_no_ground, image_turned, image_hard, image_no_axis, image_ground_everywhere, image_small],
    '10.2': [area_of_mean, area_plain, area_no_offset, area_each, area_sum],
    '10.3': [variation_no_border, variation_whole, variation_all, variation_sizes, variation_mean],
    '10.4': [loss_of_probabilities, loss_swapped, loss_unweighted, loss_reversed, loss_sum],
    '10.5': [maps_always_own, maps_always_batch, maps_kept_axis, maps_once, maps_exchanged],
    '10.6': [features_channels, features_hard, features_added, features_hidden, features_first, features_twice],
    '10.7': [scores_share, scores_sum, scores_no_bias, scores_of_classes, scores_cut],
    '10.8': [frozen_modes_only, frozen_for_good, frozen_all_back, frozen_parameters_only],
    '10.9': [map_of_mask, map_cut, map_all, map_no_bias, map_first],
    '10.10': [pull_no_places, pull_uphill, pull_whole, pull_alone, pull_batch],
    '10.11': [fused_no_skip, fused_masks, fused_no_cut, fused_nearest, fused_to_first, fused_pooled],
}
