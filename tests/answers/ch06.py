"Chapter 06: other right answers, in other styles; each must be accepted."
from contextlib import contextmanager
import torch, torch.nn.functional as F
from torchvision.utils import make_grid


def channel_maps_where(A, per='channel'):
    A = A.relu()
    top = A.flatten(1).max(1).values[:, None, None] if per == 'channel' else A.amax().expand(1, 1, 1)
    return torch.where(top > 0, A/top, 0.)

def channel_maps_loop(A, per='channel'):
    every = A.relu().max()
    return torch.stack([c.relu()/m if (m := c.relu().max() if per == 'channel' else every) > 0 else c*0 for c in A])

def fuse_einsum(A, how='mean'): return torch.einsum('nchw->nhw', A)/A.shape[1] if how == 'mean' else A.max(dim=1).values

def fuse_stack(A, how='mean'):
    parts = torch.stack(A.unbind(1))
    return parts.mean(0) if how == 'mean' else parts.max(0)[0]

def kernels_interpolated(w, ncol=8, zoom=8):
    top = max(w.max().item(), -w.min().item()) or 1.
    return make_grid(F.interpolate((w + top)/(2*top), scale_factor=zoom, mode='nearest'), ncol, pad_value=1)

def kernels_by_hand(w, ncol=8, zoom=8):
    K, C, h, w_ = w.shape
    n = min(ncol, K)
    out = torch.ones(3, -(-K//n)*(h*zoom + 2) + 2, n*(w_*zoom + 2) + 2)
    grey = torch.lerp(torch.tensor(.5), torch.tensor(1.), w/w.abs().amax() if w.any() else w)
    for i, tile in enumerate(torch.kron(grey, torch.ones(1, 1, zoom, zoom))):
        r, c = i//n*(h*zoom + 2) + 2, i % n*(w_*zoom + 2) + 2
        out[:, r:r + h*zoom, c:c + w_*zoom] = tile
    return out

def spectrum_roll(w, size=16):
    K, C, h, dx = w.shape
    padded = F.pad(w, (0, size - dx, 0, size - h))
    amplitude = torch.view_as_real(torch.fft.fftn(padded, dim=(2, 3))).norm(dim=-1)
    return amplitude.sum(dim=1).roll((size//2, size//2), (1, 2))

def spectrum_waves(w, size=16):
    freq = (torch.arange(size) - size//2)/size
    def waves(n): return torch.exp(-2j*torch.pi*freq[:, None]*torch.arange(n))
    return torch.einsum('kcij,ui,vj->kcuv', w + 0j, waves(w.shape[2]), waves(w.shape[3])).abs().sum(1)

def dead_all(A, eps=1e-6): return (A <= eps).all(3).all(2).all(0)
def dead_flat(A, eps=1e-6): return ~(A.transpose(0, 1).flatten(1) > eps).any(1)
def similarity_corrcoef(A):
    flat = A.movedim(1, 0).reshape(A.shape[1], -1)
    still = (flat == flat[:, :1]).all(1)
    return torch.corrcoef(flat).masked_fill(still[:, None] | still, 0.)

def similarity_pairs(A):
    C = A.shape[1]
    out = torch.zeros(C, C)
    for i in range(C):
        for j in range(C):
            a, b = A[:, i] - A[:, i].mean(), A[:, j] - A[:, j].mean()
            if A[:, i].unique().numel() > 1 < A[:, j].unique().numel(): out[i, j] = (a*b).sum()/(a.norm()*b.norm())
    return out

def similarity_einsum(A):
    still = A.amax((0, 2, 3), keepdim=True) == A.amin((0, 2, 3), keepdim=True)
    A = (A - A.mean((0, 2, 3), keepdim=True)).masked_fill(still, 0.)
    c = torch.einsum('nchw,ndhw->cd', A, A)
    s = c.diagonal().sqrt().clamp(min=1e-12)
    return c/s/s[:, None]

def directions_svd(A, share=.95):
    points = A.permute(0, 2, 3, 1).reshape(-1, A.shape[1]).double()
    held = torch.linalg.svdvals(points - points.mean(0, keepdim=True)).square()
    k, so_far = 0, 0.
    while held.sum() > 0 and so_far < share*held.sum(): so_far, k = so_far + held[k], k + 1
    return k

def directions_cov(A, share=.95):
    values = torch.linalg.eigvalsh(torch.cov(A.transpose(0, 1).flatten(1).double())).flip(0).clamp(min=0)
    if values.sum() == 0: return 0
    return int(torch.searchsorted(values.cumsum(0)/values.sum(), torch.tensor(share, dtype=torch.float64))) + 1

def part_einsum(A, mask):
    A, share = A.relu(), F.adaptive_avg_pool2d(mask.to(A.dtype), A.shape[-2:])
    return torch.einsum('nchw,nhw->c', A, share)/torch.einsum('nchw->c', A).clamp(min=1e-12)

def part_loop(A, mask):
    found = []
    for c in range(A.shape[1]):
        inside = total = torch.tensor(0.)
        for a, m in zip(A[:, c].relu(), mask):
            inside = inside + (a*F.adaptive_avg_pool2d(m[None].float(), a.shape)[0]).sum()
            total = total + a.sum()
        found.append(inside/total if total > 0 else total*0)
    return torch.stack(found)

def part_upsampled(A, mask):
    big = F.interpolate(A.clamp(min=0), mask.shape[1:]) # each place of the map covers whole pixels here
    return (big*mask[:, None]).sum((0, 2, 3))/big.sum((0, 2, 3)).clamp(min=1e-12)

@contextmanager
def ablate_mask(model, layer, channels):
    def zero(module, args, out):
        keep = torch.ones(out.shape[1])
        for c in channels: keep[c] = 0
        return out*keep[:, None, None]
    handle = dict(model.named_modules())[layer].register_forward_hook(zero)
    try: yield model
    finally: handle.remove()

class Ablation:
    def __init__(self, model, layer, channels): self.model, self.layer, self.channels = model, layer, channels
    def __enter__(self):
        self.handle = self.model.get_submodule(self.layer).register_forward_hook(
            lambda m, a, out: out.index_fill(1, torch.tensor(self.channels), 0.))
        return self.model
    def __exit__(self, *exc): self.handle.remove()

def ablate_class(model, layer, channels): return Ablation(model, layer, channels)

def without_mask(tail, A, y, n_classes):
    out = torch.zeros(A.shape[1], n_classes)
    with torch.no_grad():
        for c in range(A.shape[1]):
            keep = torch.ones_like(A)
            keep[:, c] = 0
            right = tail(A*keep).argmax(-1) == y
            for k in range(n_classes):
                if (y == k).any(): out[c, k] = right[y == k].float().mean()
    return out

def without_batched(tail, A, y, n_classes):
    N, C = A.shape[:2]
    with torch.no_grad():
        off = A[None]*(1 - torch.eye(C))[:, None, :, None, None]
        hit = (tail(off.flatten(0, 1)).argmax(1).view(C, N) == y).float()
    return torch.stack([hit[:, y == k].mean(1) for k in range(n_classes)], 1).nan_to_num(0.)

def drops_loop(weight, A, classes):
    return torch.stack([torch.stack([weight[k, c]*A[n, c].mean() for c in range(A.shape[1])])
                        for n, k in enumerate(classes.tolist())])

def drops_einsum(weight, A, classes):
    return torch.einsum('nc,nchw->nc', weight.index_select(0, classes), A)/(A.shape[2]*A.shape[3])

ANSWERS = {
    '6.1': (channel_maps_where, channel_maps_loop),
    '6.2': (fuse_einsum, fuse_stack),
    '6.3': (kernels_interpolated, kernels_by_hand),
    '6.4': (spectrum_roll, spectrum_waves),
    '6.5': (dead_all, dead_flat),
    '6.6': (similarity_corrcoef, similarity_pairs, similarity_einsum),
    '6.7': (directions_svd, directions_cov),
    '6.8': (part_einsum, part_loop, part_upsampled),
    '6.10': (ablate_mask, ablate_class),
    '6.11': (drops_loop, drops_einsum),
    '6.12': (without_mask, without_batched),
}
