"Chapter 06: plausible wrong answers that are not in the bank."
from contextlib import contextmanager

import torch, torch.nn.functional as F
from torchvision.utils import make_grid

from camtutor.exercises.ch06 import (accuracy_without, channel_maps, channel_similarity, dead_channels, fuse_channels,
                                     kernel_grid, kernel_spectrum, n_directions, part_energy, score_drops)

# 6.1
def maps_in_place(A, per='channel'): return A.clamp_(min=0)/A.amax((1, 2), keepdim=True).clamp(min=1e-12)
def maps_bytes(A, per='channel'): return channel_maps(A, per)*255
def maps_flat(A, per='channel'): return channel_maps(A, per).flatten(1)
def maps_not_cut(A, per='channel'): return A/(A.amax((1, 2), keepdim=True) if per == 'channel' else A.max())
def maps_list(A, per='channel'): return list(channel_maps(A, per))

# 6.2
def fuse_kept(A, how='mean'): return fuse_channels(A, how)[:, None]
def fuse_norm(A, how='mean'): return A.square().mean(1).sqrt() if how == 'mean' else A.amax(1)
def fuse_first(A, how='mean'): return fuse_channels(A, how)[0]
def fuse_scaled(A, how='mean'):
    m = fuse_channels(A, how)
    return m/m.amax((1, 2), keepdim=True)

# 6.3
def kernels_zoomed_one(w, ncol=8, zoom=8): return kernel_grid(w, ncol, 1)
def kernels_clamped(w, ncol=8, zoom=8):
    tiles = (w.clamp(-1, 1)/2 + .5).repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)
    return make_grid(tiles, nrow=ncol, padding=2, pad_value=1.)
def kernels_batch(w, ncol=8, zoom=8): return kernel_grid(w, ncol, zoom)[None]
def kernels_spoilt(w, ncol=8, zoom=8):
    out = kernel_grid(w, ncol, zoom)
    w /= 2
    return out

# 6.4
def spectrum_first(w, size=16): return kernel_spectrum(w[:, :1], size)
def spectrum_1d(w, size=16): return torch.fft.fftshift(torch.fft.fft(w, size).abs().sum(1), dim=-1)
def spectrum_normed(w, size=16): return kernel_spectrum(w, size)/size**2
def spectrum_kept(w, size=16): return torch.fft.fftshift(torch.fft.fft2(w, (size, size)).abs(), dim=(-2, -1))

# 6.5
def dead_living(A, eps=1e-6): return (A > eps).any(3).any(2).any(0)
def dead_list(A, eps=1e-6): return [bool(v) for v in dead_channels(A, eps)]
def dead_float(A, eps=1e-6): return dead_channels(A, eps).float()
def dead_batch(A, eps=1e-6): return (A.flatten(1) <= eps).all(1)

# 6.6
def similarity_cosine(A):
    flat = F.normalize(A.transpose(0, 1).flatten(1))
    return flat @ flat.T
def similarity_off(A): return channel_similarity(A)*(1 - torch.eye(A.shape[1]))
def similarity_upper(A): return channel_similarity(A).triu()
def similarity_distance(A): return 1 - channel_similarity(A)

# 6.7
def directions_tensor(A, share=.95): return torch.tensor(n_directions(A, share)).float()
def directions_channels(A, share=.95):
    v = A.var((0, 2, 3)).sort(descending=True).values
    return int((v.cumsum(0)/v.sum().clamp(min=1e-12) < share).sum()) + 1
def directions_uncentred(A, share=.95):
    flat = A.transpose(0, 1).flatten(1).double()
    held = torch.linalg.svdvals(flat).square().cumsum(0)
    return int((held < share*held[-1]).sum()) + 1
def directions_left(A, share=.95): return A.shape[1] - n_directions(A, share)

# 6.8
def part_percent(A, mask): return 100*part_energy(A, mask)
def part_up(A, mask):
    A = F.interpolate(A.clamp(min=0), mask.shape[1:], mode='bilinear')
    return (A*mask[:, None]).sum((0, 2, 3))/A.sum((0, 2, 3)).clamp(min=1e-12)
def part_mean(A, mask):
    share = F.adaptive_avg_pool2d(mask.float()[:, None], A.shape[2:])
    return (A.clamp(min=0)*share).mean((0, 2, 3))
def part_first(A, mask): return part_energy(A[:1], mask[:1])

# 6.10
@contextmanager
def ablate_swallows(model, layer, channels):
    h = model.get_submodule(layer).register_forward_hook(lambda m, a, o: o.index_fill(1, torch.tensor(channels), 0.))
    try: yield model
    except Exception: pass
    finally: h.remove()
@contextmanager
def ablate_in_place(model, layer, channels):
    def zero(m, a, o): o[:, channels] = 0
    h = model.get_submodule(layer).register_forward_hook(zero)
    try: yield model
    finally: h.remove()
@contextmanager
def ablate_clears(model, layer, channels):
    m = model.get_submodule(layer)
    m.register_forward_hook(lambda m, a, o: o.index_fill(1, torch.tensor(channels), 0.))
    try: yield model
    finally: m._forward_hooks.clear()
@contextmanager
def ablate_left(model, layer, channels):
    h = model.get_submodule(layer).register_forward_hook(lambda m, a, o: o.index_fill(1, torch.tensor(channels), 0.))
    yield model
    h.remove()

# 6.11
def drops_scalar(weight, A, classes): return score_drops(weight, A, classes).sum()
def drops_flat(weight, A, classes): return (weight[classes][:, :, None]*A.flatten(2)).sum(2)
def drops_turned(weight, A, classes): return score_drops(weight, A, classes).T
def drops_share(weight, A, classes):
    d = score_drops(weight, A, classes)
    return d/d.sum(1, keepdim=True)

# 6.12
def without_lost(tail, A, y, n_classes): return 1 - accuracy_without(tail, A, y, n_classes)
def without_percent(tail, A, y, n_classes): return 100*accuracy_without(tail, A, y, n_classes)
def without_one(tail, A, y, n_classes): return accuracy_without(tail, A, y, n_classes)[0]
def without_train(tail, A, y, n_classes): return accuracy_without(tail.train(), A, y, n_classes)

WRONG = {
    '6.1': [maps_in_place, maps_bytes, maps_flat, maps_not_cut, maps_list],
    '6.2': [fuse_kept, fuse_norm, fuse_first, fuse_scaled],
    '6.3': [kernels_zoomed_one, kernels_clamped, kernels_batch, kernels_spoilt],
    '6.4': [spectrum_first, spectrum_1d, spectrum_normed, spectrum_kept],
    '6.5': [dead_living, dead_list, dead_float, dead_batch],
    '6.6': [similarity_cosine, similarity_off, similarity_upper, similarity_distance],
    '6.7': [directions_tensor, directions_channels, directions_uncentred, directions_left],
    '6.8': [part_percent, part_up, part_mean, part_first],
    '6.10': [ablate_swallows, ablate_in_place, ablate_clears, ablate_left],
    '6.11': [drops_scalar, drops_flat, drops_turned, drops_share],
    '6.12': [without_lost, without_percent, without_one, without_train],
}
