"Chapter 03: other right answers, in other styles; each must be accepted."
import torch, torch.nn.functional as F

from camtutor.exercises.ch03 import capture, pick_scores, grad_cam

def grad_cam_broadcast(A, g): return F.relu((A*g.mean((2, 3), keepdim=True)).sum(1))
def grad_cam_matmul(A, g): return (g.flatten(2).mean(2)[:, None] @ A.flatten(2)).view(len(A), *A.shape[2:]).clamp(min=0)

def grad_cam_loop(A, g):
    maps = []
    for a, b in zip(A, g):
        m = torch.zeros_like(a[0])
        for c in range(len(a)): m = m + b[c].mean()*a[c]
        maps.append(m.maximum(torch.zeros_like(m)))
    return torch.stack(maps)

def class_score_gather(out, target=None):
    if target is None: return out.max(1).values
    if isinstance(target, int): return out[:, target]
    return out.gather(1, torch.as_tensor(target)[:, None]).squeeze(1)

def class_score_mask(out, target=None):
    n, k = out.shape
    idx = out.argmax(1) if target is None else torch.tensor([target]*n if isinstance(target, int) else list(target))
    return (out*F.one_hot(idx, k)).sum(1)

def capture_context(model, x, layers, target=None):
    box = {}
    def hook(m, a, o):
        box['A'] = o.detach().clone().requires_grad_()
        torch._C._set_grad_enabled(True)
        return box['A']*1
    h = dict(model.named_modules())[layers].register_forward_hook(hook)
    before = torch.is_grad_enabled()
    try:
        torch.set_grad_enabled(False)
        out = model(x)
        torch.set_grad_enabled(True)
        g = torch.autograd.grad(class_score_gather(out, target).sum(), box['A'])[0]
    finally:
        torch.set_grad_enabled(before)
        h.remove()
    return out.detach(), box['A'].detach(), g

def capture_mean(model, x, layers, target=None):
    "Goes back from the mean of the scores, and takes that out of the gradient."
    kept, layer = [], model.get_submodule(layers)
    def see(module, args, out):
        torch._C._set_grad_enabled(True)
        kept.append(out.detach().clone().requires_grad_())
        return kept[0] + 0
    handle = layer.register_forward_hook(see)
    try:
        with torch.no_grad(): out = model(x)
    finally: handle.remove()
    with torch.enable_grad(): g, = torch.autograd.grad(pick_scores(out, target).mean()*len(x), kept[0])
    return out.detach(), kept[0].detach(), g

def cam_maps_retain(model, x, layers, target=None):
    from contextlib import ExitStack
    found = [None for _ in layers]
    with ExitStack() as stack:
        for i, n in enumerate(layers):
            def see(m, args, out, i=i):
                found[i] = out
                return out*1
            stack.callback(model.get_submodule(n).register_forward_hook(see).remove)
        out = model(x)
    grads = torch.autograd.grad(class_score_gather(out, target).sum(), found)
    return out.detach(), [grad_cam_broadcast(a.detach(), g) for a, g in zip(found, grads)]

def cam_maps_start(model, x, layers, target=None):
    acts, handles = {}, []
    def hook(name):
        def see(m, args, out):
            acts[name] = out if out.requires_grad else out.requires_grad_()
            return acts[name].clone()
        return see
    for n in layers: handles.append(model.get_submodule(n).register_forward_hook(hook(n)))
    out = model(x)
    for h in handles: h.remove()
    g = torch.autograd.grad(class_score_mask(out, target), tuple(acts[n] for n in layers), torch.ones(len(x)))
    return out.detach(), [grad_cam_loop(acts[n].detach(), b) for n, b in zip(layers, g)]

def counter_reuse(A, g): return grad_cam(A, -g)
def counter_clamp(A, g): return (g.mean((2, 3), keepdim=True)*A).sum(1).clamp(max=0).abs()

def every_class_mapped(head, A):
    A = A.clone().detach().requires_grad_()
    total = head(A).sum(0)
    return torch.func.vmap(lambda row: torch.autograd.grad(total, A, row, retain_graph=True)[0])(torch.eye(len(total)))

def every_class_filled(head, A):
    A = A.detach().requires_grad_(True)
    out = head(A)
    found = torch.empty(out.shape[1], *A.shape)
    for k in range(out.shape[1]):
        found[k] = torch.autograd.grad(out[:, k], A, torch.ones(len(A)), retain_graph=k + 1 < out.shape[1])[0]
    return found

def rather_def(a, b):
    def target(out):
        ours, theirs = out[..., a], out[..., b]
        return ours - theirs
    return target

def rather_einsum(a, b):
    return lambda out: out @ (F.one_hot(torch.tensor(a), out.shape[1])
                              - F.one_hot(torch.tensor(b), out.shape[1])).to(out)

def alike_by_hand(other): return lambda out: out @ other/(out.norm(dim=1)*other.norm())

def alike_normed(other):
    unit = other/other.norm()
    return lambda out: torch.einsum('nd,d->n', F.normalize(out, dim=1), unit)

def cam_gradient_sum(A, g): return (g.sum((2, 3), keepdim=True)*A).sum(1)
def cam_gradient_any_place(A, g): return torch.einsum('nc,nchw->nhw', g[:, :, 0, 0]*A[0, 0].numel(), A)

ANSWERS = {
    '3.1': (cam_gradient_sum, cam_gradient_any_place),
    '3.2': (grad_cam_broadcast, grad_cam_matmul, grad_cam_loop),
    '3.3': (class_score_gather, class_score_mask),
    '3.4': (every_class_mapped, every_class_filled),
    '3.5': (capture_context, capture_mean),
    '3.6': (counter_reuse, counter_clamp),
    '3.7': (cam_maps_retain, cam_maps_start),
    '3.8': (rather_def, rather_einsum),
    '3.9': (alike_by_hand, alike_normed),
}
