"Chapter 02: plausible wrong answers that are not in the bank."
from copy import deepcopy
import torch, torch.nn.functional as F
from torch import nn

from camtutor.exercises.ch02 import cam, energy, has_cam, own_share, rather, scores_from_cam

# 2.1
def score_flat(weight, A, i, j): return A.flatten(2)[:, :, i + j] @ weight.T
def score_mean_row(weight, A, i, j): return A[:, :, i].mean(2) @ weight.T
def score_relu(weight, A, i, j): return (A[:, :, i, j] @ weight.T).relu()
def score_kept_axis(weight, A, i, j): return torch.einsum('kc,ncij->nkij', weight, A[:, :, i:i+1, j:j+1])
def score_list(weight, A, i, j): return (A[:, :, i, j] @ weight.T).tolist()
def score_share(weight, A, i, j): return A[:, :, i, j] @ weight.T/A[0, 0].numel()

# 2.2
def loop_late_end(w, A):
    m = torch.zeros_like(A[0])
    for c in range(len(w) - 1): m += w[c]*A[c]
    return m

def loop_no_weight(w, A):
    m = torch.zeros_like(A[0])
    for c in range(len(w)): m += A[c]
    return m

def loop_returns_early(w, A):
    m = torch.zeros_like(A[0])
    for c in range(len(w)):
        m += w[c]*A[c]
        return m

def loop_numpy(w, A): return sum(wc*Ac for wc, Ac in zip(w.numpy(), A.numpy()))
def loop_abs(w, A): return sum(wc.abs()*Ac for wc, Ac in zip(w, A))
def loop_transposed(w, A): return sum(wc*Ac for wc, Ac in zip(w, A)).T

# 2.3
def cam_first(weight, A): return torch.einsum('kc,cij->kij', weight, A[0])
def cam_no_sum(weight, A): return torch.einsum('kc,ncij->nkcij', weight, A)
def cam_over_places(weight, A): return torch.einsum('kc,ncij->nk', weight, A)
def cam_abs(weight, A): return torch.einsum('kc,ncij->nkij', weight.abs(), A)
def cam_scaled(weight, A): return torch.einsum('kc,ncij->nkij', weight/weight.norm(dim=1, keepdim=True), A)
def cam_channels_last(weight, A): return torch.einsum('kc,ncij->nijk', weight, A)

# 2.4
def scores_no_batch(m, bias): return m.mean((0, 2, 3)) + bias
def scores_max_mean(m, bias): return m.amax(3).mean(2) + bias
def scores_rows(m, bias): return m.mean(2) + bias[:, None]
def scores_bias_twice(m, bias): return m.mean((2, 3)) + 2*bias
def scores_sigmoid(m, bias): return (m.mean((2, 3)) + bias).sigmoid()

# 2.5
def has_first_linear(head, A): return has_cam(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), head[-1]), A)
def has_tensor(head, A): return torch.tensor(has_cam(head, A))
def has_pooled_name(head, A): return 'AdaptiveAvgPool2d' in str(head)
def has_short(head, A): return len(head) == 3
def has_not(head, A): return not has_cam(head, A)
def has_in_features(head, A): return head[-1].in_features == A.shape[1]
def has_raises(head, A):
    if not has_cam(head, A): raise ValueError('no CAM')
    return True

# 2.6
def rather_ratio(weight, bias, A, a, b): return rather(weight, bias, A, a, b)[0], (A.mean((2, 3)) @ weight.T)[:, a]
def rather_bias_in_map(weight, bias, A, a, b):
    m = rather(weight, bias, A, a, b)[0] + bias[a] - bias[b]
    return m, m.mean((1, 2))
def rather_all(weight, bias, A, a, b):
    m = cam(weight, A)
    return m, m.mean((2, 3)) + bias
def rather_bias_places(weight, bias, A, a, b):
    m = rather(weight, bias, A, a, b)[0]
    return m, m.mean((1, 2)) + (bias[a] - bias[b])/m[0].numel()
def rather_max(weight, bias, A, a, b):
    m = rather(weight, bias, A, a, b)[0]
    return m, m.amax((1, 2)) + bias[a] - bias[b]
def rather_first(weight, bias, A, a, b): return tuple(t[:1] for t in rather(weight, bias, A, a, b))
def rather_list(weight, bias, A, a, b): return list(rather(weight, bias, A, a, b)) + [bias[a] - bias[b]]

# 2.7
def energy_outside(m, mask): return energy(m, ~mask)
def energy_inside_only(m, mask): return (m.clamp(min=0)*mask).sum((1, 2))
def energy_in_place(m, mask):
    m.clamp_(min=0)
    return energy(m, mask)
def energy_squared(m, mask): return energy(m.clamp(min=0)**2, mask)
def energy_mean(m, mask): return energy(m, mask).mean()
def energy_ratio(m, mask): return energy(m, mask)/energy(m, ~mask).clamp(min=1e-9)

# 2.8
def share_of_area(m, own, other): return own_share(torch.ones_like(m), own, other)
def share_percent(m, own, other): return 100*own_share(m, own, other)
def share_list(m, own, other): return [own_share(*(t[i:i+1] for t in (m, own, other))).item() for i in range(len(m))]
def share_mean(m, own, other): return own_share(m, own, other).mean()
def share_one(m, own, other): return own_share(m, own, other).where(energy(m, own | other) > 0, 1)
def share_outside(m, own, other): return own_share(m, own, ~own)
def share_softmax(m, own, other): return torch.stack([energy(m, own), energy(m, other)], 1).softmax(1)[:, 0]
def share_peaks(m, own, other):
    a, b = (m*own).amax((1, 2)), (m*other).amax((1, 2))
    return torch.where(a + b > 0, a/(a + b).where(a + b > 0, 1), .5)

# 2.9
def peak_max_batch(m, mask): return (m == m.max()).logical_and(mask).any(2).any(1)
def peak_rows(m, mask): return mask.flatten(1)[:, m.flatten(1).argmax(1)]
def peak_always(m, mask): return mask.flatten(1).any(1)
def peak_ge(m, mask):
    top, where = m.flatten(1).max(1)
    return mask.flatten(1)[torch.arange(len(m)), where] & (top >= 0)
def peak_place(m, mask): return m.flatten(1).argmax(1)
def peak_one(m, mask): return bool(mask.flatten()[m.argmax()])

# 2.10
def uniform_inverse(mask): return 1/mask.float().mean((1, 2))
def uniform_rows(mask): return mask.any(2).float().mean(1)
def uniform_percent(mask): return 100*mask.float().mean((1, 2))
def uniform_first(mask): return mask[:1].float().mean((1, 2))
def uniform_zero(mask): return torch.zeros(len(mask))

# 2.11
def plain_head(body, n_classes, x, *, change=None):
    body = deepcopy(body).requires_grad_(False)
    C = deepcopy(body).eval()(x).shape[1]
    return nn.Sequential(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(C, n_classes)))

def head_not_frozen_bn(body, n_classes, x):
    net = plain_head(body, n_classes, x)
    net[0][1].requires_grad_(True)
    return net

def head_detached(body, n_classes, x):
    with torch.no_grad(): C = body(x).shape[1]
    net = plain_head(body, n_classes, x)
    net[1][2] = nn.Linear(C, n_classes)
    return net

def head_wrong_classes(body, n_classes, x): return plain_head(body, n_classes + 1, x)
def head_only(body, n_classes, x): return plain_head(body, n_classes, x)[1]
def head_softmax(body, n_classes, x):
    net = plain_head(body, n_classes, x)
    return nn.Sequential(net[0], nn.Sequential(*net[1], nn.Softmax(1)))
def head_half(body, n_classes, x):
    net = plain_head(body, n_classes, x)
    net[1][0] = nn.AdaptiveAvgPool2d((1, 2))
    return net

WRONG = {
    '2.1': [score_flat, score_mean_row, score_relu, score_kept_axis, score_list, score_share],
    '2.2': [loop_late_end, loop_no_weight, loop_returns_early, loop_numpy, loop_abs, loop_transposed],
    '2.3': [cam_first, cam_no_sum, cam_over_places, cam_abs, cam_scaled, cam_channels_last],
    '2.4': [scores_no_batch, scores_max_mean, scores_rows, scores_bias_twice, scores_sigmoid],
    '2.5': [has_first_linear, has_tensor, has_pooled_name, has_short, has_not, has_in_features, has_raises],
    '2.6': [rather_ratio, rather_bias_in_map, rather_all, rather_bias_places, rather_max, rather_first, rather_list],
    '2.7': [energy_outside, energy_inside_only, energy_in_place, energy_squared, energy_mean, energy_ratio],
    '2.8': [share_of_area, share_percent, share_list, share_mean, share_one, share_outside, share_softmax, share_peaks],
    '2.9': [peak_max_batch, peak_rows, peak_always, peak_ge, peak_place, peak_one],
    '2.10': [uniform_inverse, uniform_rows, uniform_percent, uniform_first, uniform_zero],
    '2.11': [head_not_frozen_bn, head_detached, head_wrong_classes, head_only, head_softmax, head_half],
}
