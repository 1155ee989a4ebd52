"Chapter 03: plausible wrong answers that are not in the bank."
import torch, torch.nn.functional as F

from camtutor.exercises.ch03 import alike, capture, class_score, every_class, grad_cam, gradients

# 3.1
def weights_flat(g): return g.flatten(2).mean(2)
def weights_list(g): return [[c.mean().item() for c in n] for n in g]
def weights_one_axis(g): return g.mean(3, keepdim=True)
def weights_half(g): return g.mean((2, 3), keepdim=True)/2

# 3.2
def cam_all(A, g): return (g.mean((2, 3), keepdim=True)*A).sum((1, 2)).relu()
def cam_abs(A, g): return (g.mean((2, 3), keepdim=True)*A).sum(1).abs()
def cam_max_weights(A, g): return (g.amax((2, 3), keepdim=True)*A).sum(1).relu()
def cam_no_sum(A, g): return (g.mean((2, 3), keepdim=True)*A).relu()
def cam_in_place(A, g): return A.mul_(g.mean((2, 3), keepdim=True)).sum(1).relu()
def cam_first(A, g): return torch.einsum('c,nchw->nhw', g[0].mean((1, 2)), A).relu()
def cam_list(A, g): return [grad_cam(a[None], b[None])[0] for a, b in zip(A, g)]
def cam_turned(A, g): return torch.einsum('nc,nchw->nwh', g.mean((2, 3)), A).relu()
def cam_over_batch(A, g): return grad_cam(A, g)/grad_cam(A, g).max()

# 3.3
def score_item(out, target=None):
    target = out.argmax(1) if target is None else torch.as_tensor(target).expand(len(out))
    return torch.tensor([row[t].item() for row, t in zip(out, target)])
def score_list(out, target=None): return list(class_score(out, target))
def score_detached(out, target=None): return class_score(out.detach(), target)
def score_whole(out, target=None): return out if target is None else out[:, target]
def score_numpy(out, target=None): return class_score(out, target).numpy()
def score_columns(out, target=None): return out.amax(1) if target is None else out[:, target]

# 3.4
def gradients_first(head, A, target):
    A = A.detach().requires_grad_()
    return torch.autograd.grad(head(A)[0, target], A)[0][:1]
def gradients_wipes(head, A, target):
    A = A.detach().requires_grad_()
    head(A)[:, target].sum().backward()
    head.zero_grad()
    return A.grad
def gradients_doubled(head, A, target): return gradients(head, A, target)*2
def gradients_no_graph(head, A, target):
    with torch.no_grad(): score = head(A)[:, target].sum()
    return torch.autograd.grad(score, A)[0]
def gradients_trains(head, A, target): return gradients(head.train(), A, target)

# 3.5
def engine_all_hooks(model, x, layers, target=None):
    out = capture(model, x, layers, target)
    for m in model.modules(): m._forward_hooks.clear()
    return out
def engine_two(model, x, layers, target=None): return capture(model, x, layers, target)[1:]
def engine_order(model, x, layers, target=None):
    out, A, g = capture(model, x, layers, target)
    return out, g, A
def engine_swallows(model, x, layers, target=None):
    try: return capture(model, x, layers, target)
    except Exception: return None

# 3.8, 3.10 … 3.14
def classes_first(head, A): return every_class(head, A).movedim(0, 1)
def classes_batch(head, A): return every_class(head, A)[:, 0]
def against_no_sign(A, g): return torch.einsum('nc,nchw->nhw', g.mean((2, 3)), A).relu()
def against_abs(A, g): return torch.einsum('nc,nchw->nhw', g.mean((2, 3)), A).abs()
def rather_item(a, b): return lambda out: (out[0, a] - out[0, b]).item()
def rather_half(a, b): return lambda out: (out[:, a] - out[:, b])/2
def rather_ratio(a, b): return lambda out: out[:, a]/out[:, b]
def alike_detached(other): return lambda out: alike(other)(out).detach()
def alike_sum(other): return lambda out: (out*other).sum(1)/other.norm()
def alike_both(other): return lambda out: F.cosine_similarity(out[:, None], other[None, None], dim=-1)
def exact_cut(A, g): return grad_cam(A, g)*A.shape[2]*A.shape[3]
def exact_n(A, g): return torch.einsum('nc,nchw->nhw', g.sum((2, 3)), A)*len(A)

WRONG = {
    '3.1': [weights_flat, weights_list, weights_one_axis, weights_half],
    '3.2': [cam_all, cam_abs, cam_max_weights, cam_no_sum, cam_in_place, cam_first, cam_list, cam_turned,
            cam_over_batch],
    '3.3': [score_item, score_list, score_detached, score_whole, score_numpy, score_columns],
    '3.4': [gradients_first, gradients_wipes, gradients_doubled, gradients_no_graph, gradients_trains],
    '3.5': [engine_all_hooks, engine_two, engine_order, engine_swallows],
    '3.10': [against_no_sign, against_abs], '3.11': [classes_first, classes_batch],
    '3.12': [rather_item, rather_half, rather_ratio], '3.13': [alike_detached, alike_sum, alike_both],
    '3.14': [exact_cut, exact_n], '3.15': [-1.5, '2', .5],
    '3.17': [(4, 1024, 14), '(4, 1024, 16, 16)', (1024, 4, 14, 14)],
}
