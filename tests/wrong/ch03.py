"Chapter 03: plausible wrong answers that are not in the bank."
import torch, torch.nn.functional as F

from camtutor.exercises.ch03 import alike, cam_from_gradient, capture, pick_scores, every_class, grad_cam, grad_cam_maps

# 3.1
def exact_cut(A, g): return grad_cam(A, g)*A.shape[2]*A.shape[3]
def exact_n(A, g): return torch.einsum('nc,nchw->nhw', g.sum((2, 3)), A)*len(A)
def exact_by_place(A, g): return (g*A).sum(1)
def exact_channel_mean(A, g): return (g.sum((2, 3), keepdim=True)*A).mean(1)
def exact_gradient(A, g): return g.sum(1)*g[0, 0].numel()

# 3.2
def cam_all(A, g): return (g.mean((2, 3), keepdim=True)*A).sum((1, 2)).relu()
def cam_no_sum(A, g): return (g.mean((2, 3), keepdim=True)*A).relu()
def cam_in_place(A, g): return A.mul_(g.mean((2, 3), keepdim=True)).sum(1).relu()
def cam_first(A, g): return torch.einsum('c,nchw->nhw', g[0].mean((1, 2)), A).relu()
def cam_list(A, g): return [grad_cam(a[None], b[None])[0] for a, b in zip(A, g)]
def cam_turned(A, g): return torch.einsum('nc,nchw->nwh', g.mean((2, 3)), A).relu()
def cam_over_batch(A, g): return grad_cam(A, g)/grad_cam(A, g).max()
def cam_median(A, g): return torch.einsum('nc,nchw->nhw', g.flatten(2).median(2).values, A).relu()
def cam_softmax(A, g): return torch.einsum('nc,nchw->nhw', g.mean((2, 3)).softmax(1), A).relu()

# 3.3
def score_list(out, target=None): return list(pick_scores(out, target))
def score_whole(out, target=None): return out if target is None else out[:, target]
def score_numpy(out, target=None): return pick_scores(out, target).detach().numpy()
def score_columns(out, target=None): return out.amax(1) if target is None else out[:, target]
def score_kept(out, target=None): return pick_scores(out, target)[:, None]
def score_log(out, target=None): return pick_scores(out.log_softmax(1), target)
def score_row(out, target=None): return pick_scores(out, target) if target is None else out[target]

# 3.4
def classes_last(head, A): return every_class(head, A).movedim(0, -1)
def classes_batch(head, A): return every_class(head, A)[:, 0]
def classes_list(head, A): return list(every_class(head, A))
def classes_mean(head, A): return every_class(head, A).mean(1)
def classes_doubled(head, A): return 2*every_class(head, A)
def classes_wipes(head, A):
    found = every_class(head, A)
    for p in head.parameters(): p.grad = torch.zeros_like(p)
    return found
def classes_no_graph(head, A):
    A = A.detach().requires_grad_()
    with torch.no_grad(): out = head(A)
    return torch.stack([torch.autograd.grad(s.sum(), A, retain_graph=True)[0] for s in out.T])
def classes_trains(head, A): return every_class(head.train(), A)

# 3.5
def engine_all_hooks(model, x, layers, target=None):
    out = capture(model, x, layers, target)
    for m in model.modules(): m._forward_hooks.clear()
    return out
def engine_two(model, x, layers, target=None): return capture(model, x, layers, target)[1:]
def engine_swallows(model, x, layers, target=None):
    try: return capture(model, x, layers, target)
    except Exception: return None
def engine_first(model, x, layers, target=None): return tuple(t[:1] for t in capture(model, x, layers, target))
def engine_last(model, x, layers, target=None): return capture(model, x, '0', target)

# 3.6
def against_first_cut(A, g): return (-grad_cam(A, g)).relu()
def against_min(A, g): return -torch.einsum('nc,nchw->nhw', g.mean((2, 3)), A).clamp(min=0)
def against_sum(A, g): return torch.einsum('nc,nchw->nhw', -g.sum((2, 3)), A).relu()
def against_place(A, g): return (-g*A).sum(1).relu()
def against_inverse(A, g): return 1/(grad_cam(A, g) + 1)

# 3.7
def maps_first(model, x, layers, target=None): return grad_cam_maps(model, x, layers[:1], target)
def maps_dict(model, x, layers, target=None):
    out, maps = grad_cam_maps(model, x, layers, target)
    return out, dict(zip(layers, maps))
def maps_swapped(model, x, layers, target=None): return grad_cam_maps(model, x, layers, target)[::-1]
def maps_top(model, x, layers, target=None): return grad_cam_maps(model, x, layers)
def maps_stretched(model, x, layers, target=None):
    out, maps = grad_cam_maps(model, x, layers, target)
    return out, [m/m.amax((1, 2), keepdim=True).clamp(min=1e-9) for m in maps]

# 3.8
def rather_item(a, b): return lambda out: (out[0, a] - out[0, b]).item()
def rather_half(a, b): return lambda out: (out[:, a] - out[:, b])/2
def rather_ratio(a, b): return lambda out: out[:, a]/out[:, b]
def rather_kept(a, b): return lambda out: out[:, [a]] - out[:, [b]]
def rather_sum(a, b): return lambda out: out[:, a] + out[:, b]
def rather_detached(a, b): return lambda out: (out[:, a] - out[:, b]).detach()

# 3.9
def alike_sum(other): return lambda out: (out*other).sum(1)/other.norm()
def alike_both(other): return lambda out: F.cosine_similarity(out[:, None], other[None, None], dim=-1)
def alike_mean(other): return lambda out: alike(other)(out).mean()
def alike_squared(other): return lambda out: alike(other)(out)**2
def alike_angle(other): return lambda out: alike(other)(out).clamp(-1, 1).acos()

WRONG = {
    '3.1': [exact_cut, exact_n, exact_by_place, exact_channel_mean, exact_gradient],
    '3.2': [cam_all, cam_no_sum, cam_in_place, cam_first, cam_list, cam_turned, cam_over_batch, cam_median,
            cam_softmax],
    '3.3': [score_list, score_whole, score_numpy, score_columns, score_kept, score_log, score_row],
    '3.4': [classes_last, classes_batch, classes_list, classes_mean, classes_doubled, classes_wipes, classes_no_graph,
            classes_trains],
    '3.5': [engine_all_hooks, engine_two, engine_swallows, engine_first, engine_last],
    '3.6': [against_first_cut, against_min, against_sum, against_place, against_inverse],
    '3.7': [maps_first, maps_dict, maps_swapped, maps_top, maps_stretched],
    '3.8': [rather_item, rather_half, rather_ratio, rather_kept, rather_sum, rather_detached],
    '3.9': [alike_sum, alike_both, alike_mean, alike_squared, alike_angle],
    '3.10': [-1.5, 3, 4],
}
