"Chapter 06: feature maps, kernels, channels."
from contextlib import contextmanager
import torch, torch.nn.functional as F
from torch import Tensor, nn
from torchvision.utils import make_grid

from camtutor.exercises.common import gives, hooks_left, keeps, pictures, rand, seeded, tiny
from camtutor.exercises.core import Exercise, Mistake, Trial
from camtutor.features import Top
from camtutor.show import colorize

A = torch.tensor([[[2., 0.], [4., -1.]], [[0., 0.], [0., 0.]], [[1., 1.], [8., 2.]]]) # three channels of one picture
A_ = rand(6, 5, 4, 6)

# 6.1 a channel as a picture

def channel_maps(A:Tensor, # activations (C,h,w) of one picture
                 per:str='channel' # divide by each 'channel' own largest value, or by that of the whole 'layer'
                )->Tensor: # (C,h,w) in [0,1]
    "The positive part of each channel, scaled for the eye; a channel without one stays 0."
    A = A.clamp(min=0)
    top = A.amax((1, 2), keepdim=True) if per == 'channel' else A.max()
    return A/top.clamp(min=1e-12)

def channel_maps_where(A, per='channel'):
    A = A.relu()
    top = A.flatten(1).max(1).values[:, None, None] if per == 'channel' else A.amax().expand(1, 1, 1)
    return torch.where(top > 0, A/top, 0.)
def channel_maps_loop(A, per='channel'):
    every = A.relu().max()
    return torch.stack([c.relu()/m if (m := c.relu().max() if per == 'channel' else every) > 0 else c*0 for c in A])

def maps_min_max(A, per='channel'):
    axes = (1, 2) if per == 'channel' else (0, 1, 2)
    low, high = A.amin(axes, True), A.amax(axes, True)
    return (A - low)/(high - low).clamp(min=1e-12)
def maps_nan(A, per='channel'):
    A = A.clamp(min=0)
    return A/(A.amax((1, 2), keepdim=True) if per == 'channel' else A.max())
def maps_negative(A, per='channel'):
    top = A.amax((1, 2), keepdim=True) if per == 'channel' else A.max()
    return A/top.clamp(min=1e-12)
def maps_always_channel(A, per='channel'): return channel_maps(A)
def maps_place(A, per='channel'):
    A = A.clamp(min=0)
    return A/(A.amax(0, keepdim=True) if per == 'channel' else A.max()).clamp(min=1e-12)
def maps_sum(A, per='channel'):
    A = A.clamp(min=0)
    return A/(A.sum((1, 2), keepdim=True) if per == 'channel' else A.sum()).clamp(min=1e-12)

# 6.2 a whole layer in a grid

def feature_grid(A:Tensor, # activations (C,h,w) of one picture
                 per:str='channel', # see `channel_maps`
                 ncol:int=8, # channels in a row
                 cmap:str=None # a colour map, see `colorize`
                )->Tensor: # one picture (3,H,W) in [0,1]
    "All channels of a layer side by side, in colour, with white lines between them."
    tiles = colorize(channel_maps(A, per), cmap)
    return make_grid(tiles, nrow=ncol, padding=max(1, A.shape[-1]//16), pad_value=1.)

def grid_by_hand(A, per='channel', ncol=8, cmap=None):
    C, h, w = A.shape
    gap = max(1, w//16)
    n = min(ncol, C)
    out = torch.ones(3, -(-C//n)*(h + gap) + gap, n*(w + gap) + gap)
    for i, t in enumerate(colorize(channel_maps(A, per), cmap)):
        r, c = divmod(i, n)
        out[:, gap + r*(h + gap):][:, :h, gap + c*(w + gap):][..., :w] = t
    return out
def grid_one_by_one(A, per='channel', ncol=8, cmap=None):
    maps = channel_maps(A, per=per)
    return make_grid([colorize(m[None], cmap)[0] for m in maps], ncol, A.shape[2]//16 or 1, pad_value=1)

def grid_turned(A, per='channel', ncol=8, cmap=None): return feature_grid(A, per, -(-len(A)//ncol), cmap)
def grid_black_lines(A, per='channel', ncol=8, cmap=None): return make_grid(colorize(channel_maps(A, per), cmap), ncol, max(1, A.shape[-1]//16))
def grid_of_grey(A, per='channel', ncol=8, cmap=None): return make_grid(channel_maps(A, per)[:, None], ncol, max(1, A.shape[-1]//16), pad_value=1.)
def grid_stretched(A, per='channel', ncol=8, cmap=None):
    return make_grid(colorize((A - A.amin((1, 2), True))/(A.amax((1, 2), True) - A.amin((1, 2), True)).clamp(min=1e-12), cmap), ncol, max(1, A.shape[-1]//16), pad_value=1.)
def grid_per_channel(A, per='channel', ncol=8, cmap=None): return feature_grid(A, 'channel', ncol, cmap)
def grid_thick_lines(A, per='channel', ncol=8, cmap=None): return make_grid(colorize(channel_maps(A, per), cmap), ncol, pad_value=1.)
def grid_no_lines(A, per='channel', ncol=8, cmap=None): return make_grid(colorize(channel_maps(A, per), cmap), ncol, A.shape[-1]//16, pad_value=1.)
def grid_one_picture(A, per='channel', ncol=8, cmap=None): return make_grid(channel_maps(A, per), ncol, max(1, A.shape[-1]//16), pad_value=1.)
def grid_eight(A, per='channel', ncol=8, cmap=None): return feature_grid(A, per, 8, cmap)
def grid_magma(A, per='channel', ncol=8, cmap=None): return feature_grid(A, per, ncol)

# 6.3 many channels, one picture

def fuse_channels(A:Tensor, # activations (N,C,h,w)
                  how:str='mean' # 'mean' or 'max'
                 )->Tensor: # (N,h,w)
    "All channels of a layer in one map."
    return A.mean(1) if how == 'mean' else A.amax(1)

def fuse_einsum(A, how='mean'): return torch.einsum('nchw->nhw', A)/A.shape[1] if how == 'mean' else A.max(dim=1).values
def fuse_stack(A, how='mean'):
    parts = torch.stack(A.unbind(1))
    return parts.mean(0) if how == 'mean' else parts.max(0)[0]

def fuse_sum(A, how='mean'): return A.sum(1) if how == 'mean' else A.amax(1)
def fuse_pair(A, how='mean'): return A.mean(1) if how == 'mean' else A.max(1)
def fuse_batch(A, how='mean'): return A.mean(0) if how == 'mean' else A.amax(0)
def fuse_kept(A, how='mean'): return fuse_channels(A, how)[:, None]
def fuse_places(A, how='mean'): return A.mean((2, 3)) if how == 'mean' else A.amax((2, 3))
def fuse_abs(A, how='mean'): return A.abs().mean(1) if how == 'mean' else A.abs().amax(1)

# 6.4 into TensorBoard

def log_features(writer, # a `torch.utils.tensorboard.SummaryWriter`
                 tag:str, # the name to show them under
                 A:Tensor, # activations (C,h,w) of one picture
                 step:int=0 # the training step
                ):
    "Write the grid of channels and their mean, as `tag/channels` and `tag/mean`."
    writer.add_image(f'{tag}/channels', feature_grid(A), step)
    writer.add_image(f'{tag}/mean', feature_grid(fuse_channels(A[None])), step)

def log_loop(writer, tag, A, step=0):
    for name, maps in {'mean': A.mean(0, keepdim=True), 'channels': A}.items(): writer.add_image(tag=tag + '/' + name, img_tensor=feature_grid(maps), global_step=step)
def log_batch(writer, tag, A, step=0):
    grids = [feature_grid(A), feature_grid(torch.stack([A.sum(0)/len(A)]))]
    for name, grid in zip(['channels', 'mean'], grids): writer.add_images(f'{tag}/{name}', grid[None], step)

def log_no_step(writer, tag, A, step=0):
    writer.add_image(f'{tag}/channels', feature_grid(A))
    writer.add_image(f'{tag}/mean', feature_grid(A.mean(0, True)))
def log_one_name(writer, tag, A, step=0):
    writer.add_image(tag, feature_grid(A), step)
    writer.add_image(tag, feature_grid(A.mean(0, True)), step)
def log_without_tag(writer, tag, A, step=0):
    writer.add_image('channels', feature_grid(A), step)
    writer.add_image('mean', feature_grid(A.mean(0, True)), step)
def log_raw_mean(writer, tag, A, step=0):
    writer.add_image(f'{tag}/channels', feature_grid(A), step)
    writer.add_image(f'{tag}/mean', A.mean(0, True), step)
def log_flat_mean(writer, tag, A, step=0):
    writer.add_image(f'{tag}/channels', feature_grid(A), step)
    writer.add_image(f'{tag}/mean', A.mean(0), step)
def log_mean_of_grid(writer, tag, A, step=0):
    writer.add_image(f'{tag}/channels', feature_grid(A), step)
    writer.add_image(f'{tag}/mean', feature_grid(A).mean(0, True), step)
def log_channels_only(writer, tag, A, step=0): writer.add_image(f'{tag}/channels', feature_grid(A), step)
def log_last(writer, tag, A, step=0):
    writer.add_image(f'{tag}/channels', feature_grid(A), step)
    writer.add_image(f'{tag}/mean', feature_grid(A.amax(0, True)), step)

class Notes:
    "Stands in for a SummaryWriter: keeps what it is given instead of writing it to a file."
    def __init__(self): self.images = {}
    def add_image(self, tag, img_tensor, global_step=None, walltime=None, dataformats='CHW'): self.images[f'{tag}, step {global_step}'] = img_tensor
    def add_images(self, tag, img_tensor, global_step=None, walltime=None, dataformats='NCHW'): self.add_image(tag, img_tensor[0], global_step)
    def flush(self): "There is no file."
    def close(self): "There is no file."

def logged(*steps):
    def run(answer):
        notes = Notes()
        for step in steps: answer(notes, 'stage', A_[step], step)
        return {k: notes.images[k] for k in sorted(notes.images)}
    return run

# 6.5 kernels as pictures

def kernel_grid(w:Tensor, # kernels (K,3,kh,kw) to show in colour, or (K,1,kh,kw) in grey
                ncol:int=8, # kernels in a row
                zoom:int=8 # pixels for each weight, across and down
               )->Tensor: # one picture (3,H,W) in [0,1]; grey is zero
    "Kernels side by side, all on one scale, with white lines between them."
    tiles = .5 + .5*w/w.abs().max().clamp(min=1e-12)
    tiles = tiles.repeat_interleave(zoom, dim=2).repeat_interleave(zoom, dim=3)
    return make_grid(tiles, nrow=ncol, padding=2, pad_value=1.)

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

def kernels_as(scale=lambda w: .5 + .5*w/w.abs().max().clamp(min=1e-12), enlarge=lambda t, zoom: F.interpolate(t, scale_factor=zoom), lay=lambda t, ncol: make_grid(t, ncol, pad_value=1.)):
    "Wrong versions: how weights become colours, how a kernel is enlarged, how they are laid out."
    return lambda w, ncol=8, zoom=8: lay(enlarge(scale(w), zoom), ncol)
kernels_min_max = kernels_as(lambda w: (w - w.min())/(w.max() - w.min()).clamp(min=1e-12))
kernels_each = kernels_as(lambda w: .5 + .5*w/w.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12))
kernels_relu = kernels_as(lambda w: w.relu()/w.abs().max().clamp(min=1e-12))
kernels_clamped = kernels_as(lambda w: (w + .5).clamp(0, 1))
kernels_signed_max = kernels_as(lambda w: .5 + .5*w/w.max().clamp(min=1e-12))
kernels_nan = kernels_as(lambda w: .5 + .5*w/w.abs().max())
kernels_between = kernels_as(lambda w: w/w.abs().max().clamp(min=1e-12))
kernels_smooth = kernels_as(enlarge=lambda t, zoom: F.interpolate(t, scale_factor=zoom, mode='bilinear'))
kernels_tiled = kernels_as(enlarge=lambda t, zoom: t.repeat(1, 1, zoom, zoom))
kernels_wide = kernels_as(enlarge=lambda t, zoom: t.repeat_interleave(zoom, -1))
kernels_small = kernels_as(enlarge=lambda t, zoom: t)
kernels_turned = kernels_as(lay=lambda t, ncol: make_grid(t, -(-len(t)//ncol), pad_value=1.))
kernels_black_lines = kernels_as(lay=lambda t, ncol: make_grid(t, ncol))
kernels_eight = kernels_as(lay=lambda t, ncol: make_grid(t, pad_value=1.))
def kernels_thick(w, ncol=8, zoom=8): return kernel_grid(w, ncol, 1).repeat_interleave(zoom, 1).repeat_interleave(zoom, 2)

IN_A_ROW = torch.ones(3, 5, 11)
IN_A_ROW[:, 2, [2, 5, 8]] = torch.tensor([0., .5, .75])
DOUBLED = torch.ones(3, 6, 14)
DOUBLED[:, 2:4, 2:6], DOUBLED[:, 2:4, 8:12] = torch.tensor([.5, .5, 1., 1.]), torch.tensor([.25, .25, .5, .5])

# 6.6 what a kernel lets through

def kernel_spectrum(w:Tensor, # kernels (K,C,kh,kw)
                    size:int=16 # frequencies along each axis
                   )->Tensor: # (K,size,size), frequency zero in the middle
    "The amplitude of each kernel's Fourier transform, padded with zeros to size × size and summed over input channels."
    return torch.fft.fftshift(torch.fft.fft2(w, (size, size)).abs().sum(1), dim=(-2, -1))

def spectrum_roll(w, size=16):
    K, C, h, dx = w.shape
    padded = F.pad(w, (0, size - dx, 0, size - h))
    amplitude = torch.view_as_real(torch.fft.fftn(padded, dim=(2, 3))).norm(dim=-1)
    return amplitude.sum(dim=1).roll((size//2, size//2), (1, 2))
def spectrum_waves(w, size=16):
    freq = (torch.arange(size) - size//2)/size
    def waves(n): return torch.exp(-2j*torch.pi*freq[:, None]*torch.arange(n))
    return torch.einsum('kcij,ui,vj->kcuv', w + 0j, waves(w.shape[2]), waves(w.shape[3])).abs().sum(1)

def spectrum_corner(w, size=16): return torch.fft.fft2(w, (size, size)).abs().sum(1)
def spectrum_all_axes(w, size=16): return torch.fft.fftshift(torch.fft.fft2(w, (size, size)).abs().sum(1))
def spectrum_sum_first(w, size=16): return torch.fft.fftshift(torch.fft.fft2(w, (size, size)).sum(1).abs(), dim=(-2, -1))
def spectrum_real(w, size=16): return torch.fft.fftshift(torch.fft.fft2(w, (size, size)).real.sum(1), dim=(-2, -1))
def spectrum_small(w, size=16): return torch.fft.fftshift(torch.fft.fft2(w).abs().sum(1), dim=(-2, -1))
def spectrum_power(w, size=16): return torch.fft.fftshift(torch.fft.fft2(w, (size, size)).abs().pow(2).sum(1), dim=(-2, -1))
def spectrum_complex(w, size=16): return torch.fft.fftshift(torch.fft.fft2(w, (size, size)).sum(1), dim=(-2, -1))

BLUR = torch.tensor([[[[1., 1.]]], [[[1., -1.]]]])

# 6.7 dead channels

def dead_channels(A:Tensor, # activations (N,C,h,w) of many pictures
                  eps:float=1e-6 # what counts as nothing
                 )->Tensor: # (C,) bool
    "Which channels are never above `eps`, at any place of any picture."
    return A.amax((0, 2, 3)) <= eps

def dead_all(A, eps=1e-6): return (A <= eps).all(3).all(2).all(0)
def dead_flat(A, eps=1e-6): return ~(A.transpose(0, 1).flatten(1) > eps).any(1)

def dead_mean(A, eps=1e-6): return A.mean((0, 2, 3)) <= eps
def dead_somewhere(A, eps=1e-6): return (A.amax((2, 3)) <= eps).any(0)
def dead_per_picture(A, eps=1e-6): return A.amax((2, 3)) <= eps
def dead_alive(A, eps=1e-6): return A.amax((0, 2, 3)) > eps
def dead_least(A, eps=1e-6): return A.amin((0, 2, 3)) <= eps

def some_dead():
    A = rand(4, 5, 3, 3).relu()
    A[:, 1] = 0
    A[:3, 2] = 0
    A[:, 4] = -1
    A[:, 3] -= 3
    A[0, 3, 0, 0] = .01
    return A

# 6.8 doubles

def channel_similarity(A:Tensor # activations (N,C,h,w) of many pictures
                      )->Tensor: # (C,C), from -1 to 1
    "The correlation of every two channels over all places of all pictures; 0 for channels that never change."
    flat = A.transpose(0, 1).flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    flat = flat/flat.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return flat @ flat.T

def similarity_corrcoef(A): return torch.corrcoef(A.movedim(1, 0).reshape(A.shape[1], -1)).nan_to_num(0.)
def similarity_pairs(A):
    C = A.shape[1]
    out = torch.zeros(C, C)
    for i in range(C):
        for j in range(C):
            a, b = A[:, i] - A[:, i].mean(), A[:, j] - A[:, j].mean()
            if a.any() and b.any(): out[i, j] = (a*b).sum()/(a.norm()*b.norm())
    return out
def similarity_einsum(A):
    A = A - A.mean((0, 2, 3), keepdim=True)
    c = torch.einsum('nchw,ndhw->cd', A, A)
    s = c.diagonal().sqrt().clamp(min=1e-12)
    return c/s/s[:, None]

def similarity_cosine(A):
    flat = F.normalize(A.transpose(0, 1).flatten(1), dim=1)
    return flat @ flat.T
def similarity_mixed(A):
    flat = A.reshape(A.shape[1], -1)
    flat = F.normalize(flat - flat.mean(1, keepdim=True), dim=1)
    return flat @ flat.T
def similarity_covariance(A): return torch.cov(A.transpose(0, 1).flatten(1))
def similarity_of_means(A):
    means = A.mean((2, 3)).T
    means = F.normalize(means - means.mean(1, keepdim=True), dim=1)
    return means @ means.T
def similarity_nan(A): return torch.corrcoef(A.transpose(0, 1).flatten(1))
def similarity_std(A):
    flat = A.transpose(0, 1).flatten(1)
    flat = (flat - flat.mean(1, keepdim=True))/flat.std(1, keepdim=True)
    return flat @ flat.T/flat.shape[1]
def similarity_each_picture(A): return torch.stack([channel_similarity(a[None]) for a in A]).mean(0)
def similarity_pictures(A): return channel_similarity(A.transpose(0, 1))
def similarity_size(A): return channel_similarity(A).abs()

DOUBLES = torch.tensor([[1., 2., 3., 0.], [2., 4., 6., 0.], [-1., -2., -3., 0.], [3., 2., 1., 0.], [0., 0., 0., 0.]]).view(1, 5, 2, 2)
UNEVEN = A_*torch.linspace(.2, 3, 6)[:, None, None, None] + rand(6, 5, 1, 1, seed=4)

# 6.9 which pictures

def top_activations(A:Tensor, # activations (N,C,h,w) of many pictures
                    k:int=9 # how many pictures for each channel
                   )->Top: # value (C,k), image (C,k), place (C,k,2) as row and column
    "For each channel the `k` pictures that excite it most, best first, and the place in each."
    value, place = A.flatten(2).max(2)
    value, image = value.topk(k, dim=0)
    place = place.gather(0, image).T
    return Top(value.T, image.T, torch.stack([place//A.shape[3], place % A.shape[3]], -1))

def top_sort(A, k=9):
    best = A.amax((2, 3)).T.sort(1, descending=True)
    image, each = best.indices[:, :k], torch.arange(A.shape[1])[:, None]
    row, col = torch.unravel_index(A.flatten(2).argmax(2).T[each, image], A.shape[2:])
    return best.values[:, :k], image, torch.stack((row, col), 2)
def top_loop(A, k=9):
    values, images, places = [], [], []
    for c in range(A.shape[1]):
        v, i = A[:, c].amax((1, 2)).topk(k)
        values.append(v)
        images.append(i)
        places.append(torch.tensor([divmod(A[n, c].argmax().item(), A.shape[3]) for n in i]))
    return torch.stack(values), torch.stack(images), torch.stack(places)

def top_ranked(value, A, k):
    "By another number for each picture and channel (N,C)."
    value, image = value.topk(k, dim=0)
    place = A.flatten(2).argmax(2).gather(0, image).T
    return value.T, image.T, torch.stack([place//A.shape[3], place % A.shape[3]], -1)
def top_mean(A, k=9): return top_ranked(A.mean((2, 3)), A, k)
def top_weakest(A, k=9):
    value, image, place = top_ranked(-A.amax((2, 3)), A, k)
    return -value, image, place
def top_turned(A, k=9): return tuple(t.transpose(0, 1) for t in top_activations(A, k))
def top_channels(A, k=9):
    value, place = A.flatten(2).max(2)
    value, channel = value.topk(k, dim=1)
    place = place.gather(1, channel)
    return value, channel, torch.stack([place//A.shape[3], place % A.shape[3]], -1)
def top_shared(A, k=9):
    image = A.amax((1, 2, 3)).topk(k).indices
    value, place = A[image].flatten(2).max(2)
    return value.T, image.expand(A.shape[1], k), torch.stack([place.T//A.shape[3], place.T % A.shape[3]], -1)
def top_places(A, k=9):
    value, at = A.transpose(0, 1).flatten(1).topk(k, dim=1)
    h, w = A.shape[2:]
    return value, at//(h*w), torch.stack([at % (h*w)//w, at % w], -1)
def top_swapped(A, k=9):
    value, image, place = top_activations(A, k)
    return value, image, place.flip(2)
def top_by_height(A, k=9):
    value, image, place = top_activations(A, k)
    flat = place[..., 0]*A.shape[3] + place[..., 1]
    return value, image, torch.stack([flat//A.shape[2], flat % A.shape[2]], -1)
def top_flat(A, k=9):
    value, image, place = top_activations(A, k)
    return value, image, place[..., 0]*A.shape[3] + place[..., 1]
def top_first_places(A, k=9):
    value, image, _ = top_activations(A, k)
    place = A.flatten(2).argmax(2)[:k].T
    return value, image, torch.stack([place//A.shape[3], place % A.shape[3]], -1)
def top_all_places(A, k=9):
    value, image, _ = top_activations(A, k)
    place = A.flatten(2).argmax(2).T
    return value, image, torch.stack([place//A.shape[3], place % A.shape[3]], -1)
def top_all_places_by_picture(A, k=9):
    value, image, place = top_all_places(A, k)
    return value, image, place.transpose(0, 1)
def top_every_channels_place(A, k=9):
    value, image, _ = top_activations(A, k)
    place = A.flatten(2).argmax(2)[image]
    return value, image, torch.stack([place//A.shape[3], place % A.shape[3]], -1)
def top_every_channels_place_by_picture(A, k=9):
    value, image, place = top_every_channels_place(A, k)
    return value, image, place.transpose(0, 1)
def top_rows_then_columns(A, k=9):
    value, image, place = top_activations(A, k)
    return value, image, place.movedim(-1, 0)

EXCITED = torch.zeros(3, 2, 2, 3)
EXCITED[2, 0, 1, 2], EXCITED[0, 0, 0, 1], EXCITED[1, 1, 1, 0], EXCITED[0, 1, 0, 2], EXCITED[1, 0] = 9., 4., 7., 6., 2.

# 6.10 ears

def part_energy(A:Tensor, # activations (N,C,h,w)
                mask:Tensor # the part's mask in each picture (N,H,W), bool
               )->Tensor: # (C,), 0 to 1
    "The share of each channel's positive activation, over all pictures, that lies on the part; the mask is averaged onto the grid of `A`."
    A = A.clamp(min=0)
    share = F.adaptive_avg_pool2d(mask.float()[:, None], A.shape[2:])
    return (A*share).sum((0, 2, 3))/A.sum((0, 2, 3)).clamp(min=1e-12)

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

def part_mean_of_shares(A, mask):
    A = A.clamp(min=0)
    share = F.adaptive_avg_pool2d(mask.float()[:, None], A.shape[2:])
    return ((A*share).sum((2, 3))/A.sum((2, 3)).clamp(min=1e-12)).mean(0)
def part_signed(A, mask):
    share = F.adaptive_avg_pool2d(mask.float()[:, None], A.shape[2:])
    return (A*share).sum((0, 2, 3))/A.sum((0, 2, 3))
def part_density(A, mask):
    share = F.adaptive_avg_pool2d(mask.float()[:, None], A.shape[2:])
    return (A.clamp(min=0)*share).sum((0, 2, 3))/share.sum()
def part_nearest(A, mask):
    A = A.clamp(min=0)
    share = F.interpolate(mask.float()[:, None], A.shape[2:])
    return (A*share).sum((0, 2, 3))/A.sum((0, 2, 3)).clamp(min=1e-12)
def part_per_picture(A, mask):
    A = A.clamp(min=0)
    share = F.adaptive_avg_pool2d(mask.float()[:, None], A.shape[2:])
    return (A*share).sum((2, 3))/A.sum((2, 3)).clamp(min=1e-12)
def part_any(A, mask):
    A = A.clamp(min=0)
    share = F.adaptive_max_pool2d(mask.float()[:, None], A.shape[2:])
    return (A*share).sum((0, 2, 3))/A.sum((0, 2, 3)).clamp(min=1e-12)

MASKS = rand(6, 12, 12, seed=3) > .4
HAND_A, HAND_MASK = torch.tensor([[[[3., 1.], [-5., 0.]], [[0., 0.], [2., 2.]]]]), torch.tensor([[[1, 1, 0, 0], [1, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0]]]).bool()

def rank_channels(A:Tensor, # activations (N,C,h,w)
                  mask:Tensor, # the part's mask in each picture (N,H,W), bool
                  k:int # how many
                 )->list: # of (channel, energy), best first
    "The `k` channels whose positive activation lies most on the part. (`part_energy` may be imported.)"
    e = part_energy(A, mask)
    return [(int(c), e[c].item()) for c in e.argsort(descending=True)[:k]]

def rank_topk(A, mask, k):
    values, channels = part_einsum(A, mask).topk(k)
    return list(zip(channels.tolist(), values.tolist()))
def rank_sorted(A, mask, k): return sorted(enumerate(part_energy(A, mask).tolist()), key=lambda p: -p[1])[:k]

def rank_rising(A, mask, k): return sorted(enumerate(part_energy(A, mask).tolist()), key=lambda p: p[1])[:k]
def rank_strongest(A, mask, k):
    e = part_energy(A, mask)
    return [(int(c), e[c].item()) for c in A.clamp(min=0).sum((0, 2, 3)).argsort(descending=True)[:k]]
def rank_turned(A, mask, k): return [(e, c) for c, e in rank_channels(A, mask, k)]
def rank_ranks(A, mask, k):
    e = part_energy(A, mask)
    return [(int(c), e[i].item()) for i, c in enumerate(e.argsort(descending=True).argsort()[:k])]

# 6.13 switching off

@contextmanager
def ablate_channels(model:nn.Module, # a network
                    layer:str, # a name
                    channels:list # of numbers
                   ):
    "Inside the `with`, these channels of `layer`'s output are zero."
    def zero(module, args, out):
        out = out.clone()
        out[:, channels] = 0
        return out
    handle = model.get_submodule(layer).register_forward_hook(zero)
    try: yield model
    finally: handle.remove()

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

def ablating(change, last=True, safe=True):
    "Wrong versions: how the hook changes the output, and how it goes."
    @contextmanager
    def ablate(model, layer, channels):
        handle = model.get_submodule(layer).register_forward_hook(lambda m, a, out: change(out, channels))
        if safe:
            try: yield model
            finally: last and handle.remove()
        else:
            yield model
            handle.remove()
    return ablate

def zeroed(out, channels): return out.index_fill(1, torch.tensor(channels), 0.)
def forgets_return(out, channels): zeroed(out, channels)
def batch_axis(out, channels):
    out = out.clone()
    out[[c for c in channels if c < len(out)]] = 0
    return out
def keeps_only(out, channels): return out - zeroed(out, channels)
ablate_stays, ablate_forgets, ablate_batch = ablating(zeroed, last=False), ablating(forgets_return), ablating(batch_axis)
ablate_others, ablate_unsafe = ablating(keeps_only), ablating(zeroed, safe=False)
@contextmanager
def ablate_weights(model, layer, channels):
    with torch.no_grad():
        model.get_submodule(layer).weight[channels] = 0
        model.get_submodule(layer).bias[channels] = 0
    yield model

def ablated(answer):
    net, x = tiny(), pictures(2)
    before = net(x).detach()
    with answer(net, '0.3', [0, 3]) as same: inside = net(x).detach()
    return {'scores inside': inside, 'scores afterwards are as before': torch.equal(net(x), before), 'hooks left': hooks_left(net), 'the with gives the model': same is net}
def ablated_error(answer):
    net = tiny()
    try:
        with answer(net, '0.3', [1]): raise KeyError('as planned')
    except KeyError: pass
    return {'hooks left after an error': hooks_left(net)}

# 6.14 what it costs

def accuracy_without(tail:nn.Module, # the network behind the layer, in eval mode
                     A:Tensor, # the layer's activations (N,C,h,w)
                     y:Tensor, # the right classes (N,)
                     n_classes:int # K
                    )->Tensor: # (C,K): each class's accuracy with one channel off
    "The accuracy per class when one channel at a time is zero; 0 for a class without pictures."
    member = F.one_hot(y, n_classes).float()
    def right(c): return (tail(A.index_fill(1, torch.tensor([c]), 0.)).argmax(1) == y).float()
    with torch.no_grad(): hit = torch.stack([right(c) for c in range(A.shape[1])])
    return hit @ member/member.sum(0).clamp(min=1)

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

def each_channel(tail, A, change): return torch.stack([tail(change(A, c)).argmax(1) for c in range(A.shape[1])])
def off(A, c): return A.index_fill(1, torch.tensor([c]), 0.)
def per_class(hit, y, n_classes):
    member = F.one_hot(y, n_classes).float()
    return hit.float() @ member/member.sum(0).clamp(min=1)
def without_lost(tail, A, y, n_classes): return per_class(tail(A).argmax(1) == y, y, n_classes) - accuracy_without(tail, A, y, n_classes)
def without_pile_up(tail, A, y, n_classes):
    return per_class(each_channel(tail, A, lambda A, c: A.index_fill(1, torch.arange(c + 1), 0.)) == y, y, n_classes)
def without_in_place(tail, A, y, n_classes):
    def off(A, c):
        A[:, c] = 0
        return A
    return per_class(each_channel(tail, A, off) == y, y, n_classes)
def without_turned(tail, A, y, n_classes): return accuracy_without(tail, A, y, n_classes).T
def without_classes(tail, A, y, n_classes): return (each_channel(tail, A, off) == y).float().mean(1)
def without_repeated(tail, A, y, n_classes): return without_classes(tail, A, y, n_classes)[:, None].expand(-1, n_classes)
def without_repeated_if_any(tail, A, y, n_classes): return without_repeated(tail, A, y, n_classes)*F.one_hot(y, n_classes).any(0)
def without_of_all(tail, A, y, n_classes): return (each_channel(tail, A, off) == y).float() @ F.one_hot(y, n_classes).float()/len(y)
def without_counts(tail, A, y, n_classes): return (each_channel(tail, A, off) == y).float() @ F.one_hot(y, n_classes).float()
def without_nan(tail, A, y, n_classes):
    hit = each_channel(tail, A, off) == y
    return torch.stack([hit[:, y == k].float().mean(1) for k in range(n_classes)], 1)
def without_precision(tail, A, y, n_classes):
    said = each_channel(tail, A, off)
    return torch.stack([torch.stack([(s == y)[s == k].float().mean().nan_to_num(0.) for k in range(n_classes)]) for s in said])
def without_said(tail, A, y, n_classes): return F.one_hot(each_channel(tail, A, off), n_classes).float().mean(1)
def without_others(tail, A, y, n_classes):
    return per_class(each_channel(tail, A, lambda A, c: A - off(A, c)) == y, y, n_classes)
def without_picture(tail, A, y, n_classes):
    return per_class(each_channel(tail, A, lambda A, c: A.index_fill(0, torch.tensor([c]), 0.)) == y, y, n_classes)
def without_averaged(tail, A, y, n_classes):
    def flat(A, c):
        A = A.clone()
        A[:, c] = A[:, c].mean()
        return A
    return per_class(each_channel(tail, A, flat) == y, y, n_classes)

FOUR = torch.tensor([[3., 1., 0., 0.], [2., 3., 1., 0.], [1., 5., 6., 0.], [4., 2., 5., 0.]])[..., None, None]
def pooled(): return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
def costs(answer):
    tail = seeded(nn.Sequential(*pooled(), nn.Linear(5, 3)), 3)
    A = rand(40, 5, 2, 2, seed=8) + 2*rand(40, 5, 1, 1, seed=9)
    y = tail(A).argmax(1)
    y[:6] = (y[:6] + 1) % 3
    before = A.clone()
    found = answer(tail, A, y, 3)
    return {'the accuracies': found.detach() if isinstance(found, Tensor) else found, 'the activations are as before': torch.equal(A, before)}

EXERCISES = (
    Exercise('6.1', 'A channel as a picture', 'Write `channel_maps(A, per)`: the positive part of each channel of (C,h,w) in [0,1], divided by the largest value of each \'channel\' or of the whole \'layer\'. A channel without positive values stays 0.', channel_maps, library='camtutor.features',
        trials=(gives('Worked by hand, per channel', A, want=[[[.5, 0.], [1., 0.]], [[0., 0.], [0., 0.]], [[.125, .125], [1., .25]]]), gives('Worked by hand, per layer', A, 'layer', want=[[[.25, 0.], [.5, 0.]], [[0., 0.], [0., 0.]], [[.125, .125], [1., .25]]]), gives('Random activations', A_[0]), keeps(A_[0])),
        mistakes=(Mistake(maps_min_max, 'You stretch from lowest to highest. Then zero, "this channel sees nothing here", is no longer black.'), Mistake(maps_nan, 'A channel without positive values gives 0 / 0. It should stay 0.'), Mistake(maps_negative, 'Negative values come through. Cut them first.'),
                  Mistake(maps_always_channel, '`per` is not used: for \'layer\' all channels share one largest value.'), Mistake(maps_place, 'You divide by the largest channel at each place. By the largest place of each channel.'), Mistake(maps_sum, 'You divide by the sum. Then the brightest place is not 1.')),
        hints=('Cut, then divide.', '`amax` over two axes with `keepdim`, or `max` of everything.', 'Keep the divisor from being 0 with `clamp(min=…)`.'), why='Per channel shows what each sees, and hides that some hardly fire; per layer shows the opposite. Say which you drew.', also=(channel_maps_where, channel_maps_loop)),
    Exercise('6.2', 'A layer in a grid', 'Write `feature_grid(A, per=\'channel\', ncol=8, cmap=None)`: all channels of (C,h,w) in one picture (3,H,W), `ncol` in a row. Scale them with `channel_maps(A, per)`, colour them with `colorize(maps, cmap)` and lay them out with torchvision\'s `make_grid`: white lines, a sixteenth of the map\'s width thick (rounded down), but at least one pixel.', feature_grid, library='camtutor.features',
        trials=(gives('Three channels in rows of two', A, 'channel', 2), gives('All by the largest of the layer', A, 'layer', 2), gives('Five channels in rows of three, another colour map', A_[0], 'channel', 3, 'viridis'), gives('Ten channels 33 wide', rand(10, 8, 33))),
        mistakes=(Mistake(grid_turned, 'You hand `make_grid` the number of *rows*. Its argument `nrow` has a misleading name: it is the number of pictures in each row.'), Mistake(grid_black_lines, 'The lines are black, and so is a channel that sees nothing: they run into each other. `pad_value` sets the colour.'),
                  Mistake(grid_of_grey, 'The maps are grey. Colour them before you lay them out.'), Mistake(grid_stretched, 'You stretch each channel from lowest to highest, so that zero is no longer dark. `channel_maps` cuts the negatives and divides.'), Mistake(grid_per_channel, '`per` is not used: for \'layer\' all channels share one scale.'),
                  Mistake(grid_thick_lines, 'The lines are always 2 pixels wide, which is what `make_grid` does if not told. On maps of 4 × 4 that is half a map.'), Mistake(grid_no_lines, 'Small maps have no lines between them: a sixteenth of 4 pixels is 0. At least one.'), Mistake(grid_one_picture, 'To `make_grid`, three axes are *one* picture, and so your channels are taken for its colours. `colorize` gives each channel three colours, and with that a fourth axis.'), Mistake(grid_eight, '`ncol` is not used: there are always eight in a row.'), Mistake(grid_magma, '`cmap` is not used: hand it to `colorize`.')),
        hints=('Three tools, one after the other: scale, colour, lay out.', '`colorize` turns (C,h,w) into (C,3,h,w): to `make_grid`, that is a batch of pictures.', '`make_grid` takes `nrow`, `padding` and `pad_value`; white is 1.'),
        why='Sixty channels at one glance. Which of them are dead, doubled or busy is seen before it is computed.', also=(grid_by_hand, grid_one_by_one)),
    Exercise('6.3', 'A whole layer in one map', 'Write `fuse_channels(A, how)`: (N,C,h,w) to (N,h,w), the \'mean\' or the \'max\' over channels.', fuse_channels, library='camtutor.features',
        trials=(gives('Worked by hand, the mean', A[None], want=[[[1., 1/3], [4., 1/3]]]), gives('Worked by hand, the max', A[None], 'max', want=[[[2., 1.], [8., 2.]]]), gives('Random activations', A_)),
        mistakes=(Mistake(fuse_sum, 'This is the sum. The mean does not depend on how many channels a layer has.'), Mistake(fuse_pair, '`max` along an axis returns a pair, values and places. `amax` gives the values.'), Mistake(fuse_batch, 'You reduce over the pictures. Channels are axis 1.'),
                  Mistake(fuse_kept, 'There is an axis too many: (N,h,w).'), Mistake(fuse_places, 'You reduce over places. A map needs them; reduce over channels.'), Mistake(fuse_abs, 'You take absolute values; a channel may well be negative in front of a ReLU.')),
        hints=('Which axis holds the channels?', '`mean` takes an axis.', '`amax` too.'), why='No class is in it: what it shows is where the layer is busy at all. Grad-CAM weighs the same channels instead.', also=(fuse_einsum, fuse_stack)),
    Exercise('6.4', 'Into TensorBoard', 'Write `log_features(writer, tag, A, step=0)`: two pictures with `writer.add_image(name, picture, step)`. The grid of the channels of `A` (C,h,w) goes under `tag/channels`; their mean, drawn as a grid of one, under `tag/mean`. `feature_grid` may be imported from `camtutor.features`. Your function is given a writer that only notes what it gets.', log_features, library='camtutor.features',
        trials=(Trial('One step, under the tag "stage"', logged(0)), Trial('Steps 2 and 5', logged(2, 5))),
        mistakes=(Mistake(log_no_step, 'The step is not handed on. TensorBoard needs it for its slider: without one, all pictures lie on top of each other.'), Mistake(log_one_name, 'Both pictures have one name, so the second takes the first one\'s place. Add `/channels` and `/mean` to the tag.'), Mistake(log_without_tag, 'The tag is missing from the names: the pictures of two layers would get in each other\'s way.'),
                  Mistake(log_raw_mean, 'The mean goes in as bare numbers. A picture wants values from 0 to 1 and three colours: draw it with `feature_grid`, as a layer of one channel.'), Mistake(log_flat_mean, 'The mean goes in as (h,w), and TensorBoard wants (3,H,W) from 0 to 1. Keep the axis of channels, which makes it a layer of one channel, and draw that with `feature_grid`.'), Mistake(log_mean_of_grid, 'This is the mean of the *colours* of the grid. Take the mean of the channels, and draw that.'), Mistake(log_channels_only, 'The mean is missing: there are two pictures for each step.'), Mistake(log_last, 'You take the largest value at each place. The mean was asked for.')),
        hints=('Two calls of `add_image`, each with a name, a picture and the step.', 'An f-string makes the names.', '`A.mean(0, keepdim=True)` is a layer of one channel: (1,h,w).'),
        why='Watch a layer through training and you see channels being born, and sometimes dying.', also=(log_loop, log_batch)),
    Exercise('6.5', 'Kernels as pictures', 'Write `kernel_grid(w, ncol=8, zoom=8)`: kernels (K,3,kh,kw), or (K,1,kh,kw) in grey, side by side in one picture (3,H,W). A weight of 0 becomes 0.5; the largest absolute value of *all* kernels becomes 1 if it is positive and 0 if it is negative; kernels of zeros are grey. Each weight becomes `zoom` × `zoom` equal pixels. Then lay the kernels out with torchvision\'s `make_grid`, `ncol` in a row, with white lines 2 pixels thick.', kernel_grid, library='camtutor.features',
        trials=(gives('By hand: kernels of one weight, −4, 0 and 2', torch.tensor([-4., 0., 2.]).view(3, 1, 1, 1), 3, 1, want=IN_A_ROW), gives('By hand: the weights 0, 2 and −1, 0, enlarged twice', torch.tensor([0., 2., -1., 0.]).view(2, 1, 1, 2), 8, 2, want=DOUBLED),
                gives('Kernels of zeros', torch.zeros(2, 3, 2, 2), 2, 2), gives('Twelve kernels in colour', rand(12, 3, 3, 5)), gives('Seven in rows of three, enlarged four times', rand(7, 3, 5, 3, seed=1), 3, 4), keeps(rand(4, 3, 3, 3))),
        mistakes=(Mistake(kernels_min_max, 'You stretch from lowest to highest, so that zero is no longer grey.'), Mistake(kernels_each, 'Each kernel has its own scale: one that hardly does anything looks as strong as the others.'), Mistake(kernels_relu, 'Negative weights are cut, and zero is black. Negative weights are half of a kernel: zero belongs in the middle.'),
                  Mistake(kernels_clamped, 'Nothing is scaled. Divide by the largest absolute value.'), Mistake(kernels_signed_max, 'A strong negative weight leaves [0,1]: take the largest *absolute* value.'), Mistake(kernels_nan, 'Kernels of zeros give 0 / 0. They should be grey.'), Mistake(kernels_between, 'Your values go from −1 to 1. A picture wants 0 to 1, with zero in the middle.'),
                  Mistake(kernels_smooth, 'You smooth while you enlarge, so that the weights run into each other. Each should be a square of one colour.'), Mistake(kernels_tiled, '`repeat` sets copies of the whole kernel side by side. `repeat_interleave` repeats each weight.'), Mistake(kernels_wide, 'You enlarge in one direction only: down as well as across.'), Mistake(kernels_small, '`zoom` is not used: each weight is one pixel.'), Mistake(kernels_thick, 'The lines have grown with the kernels. Enlarge the kernels first, and lay them out then.'),
                  Mistake(kernels_turned, 'You hand `make_grid` the number of rows. Its `nrow` is the number of pictures *in* a row.'), Mistake(kernels_black_lines, 'The lines are black, which is a strong negative weight. `pad_value` sets their colour.'), Mistake(kernels_eight, '`ncol` is not used: there are always eight in a row.')),
        hints=('Three steps: weights to [0,1], enlarge, lay out.', 'Divide by one number for all kernels, then take half of it and add a half. Keep that number from being 0.', '`repeat_interleave` enlarges along one axis; `make_grid` takes `nrow`, `padding` and `pad_value`, and makes grey pictures into three colours by itself.'),
        why='Only the first layer\'s kernels have colours. Deeper ones act on channels, and say little as pictures.', also=(kernels_interpolated, kernels_by_hand)),
    Exercise('6.6', 'What a kernel lets through', 'Write `kernel_spectrum(w, size=16)`: for each kernel of (K,C,kh,kw), padded with zeros to size × size, the amplitude of its Fourier transform, summed over the input channels: (K,size,size), frequency zero in the middle.', kernel_spectrum, library='camtutor.features',
        trials=(gives('By hand: 1 1 lets a flat picture through, 1 −1 stops it', BLUR, 2, want=[[[0., 2.], [0., 2.]], [[2., 0.], [2., 0.]]]), gives('Random kernels', rand(4, 3, 3, 3)), gives('An odd size', rand(4, 3, 5, 3), 7)),
        mistakes=(Mistake(spectrum_corner, 'Frequency zero is in the corner, where `fft2` puts it. `torch.fft.fftshift` brings it to the middle.'), Mistake(spectrum_all_axes, '`fftshift` without `dim` shifts all axes: your spectra now belong to other *kernels*. Name the last two axes.'), Mistake(spectrum_sum_first, 'You add up the channels before taking amplitudes, and waves of opposite phase cancel. Amplitudes first, then the sum.'),
                  Mistake(spectrum_real, 'This is the real part. The amplitude, `abs`, does not depend on where in its window the kernel sits.'), Mistake(spectrum_small, 'The kernel is not padded: a 3 × 3 kernel gives 3 × 3 frequencies. `fft2` takes a size.'), Mistake(spectrum_power, 'This is the power, the square of the amplitude.'), Mistake(spectrum_complex, 'The result is complex. Take the amplitudes with `abs`.')),
        hints=('`torch.fft.fft2` transforms the last two axes, and pads if given a size.', 'Complex numbers to amplitudes: `abs`. Then the sum over axis 1.', '`torch.fft.fftshift` moves frequency zero, and wants to know along which axes.'),
        why='A deep kernel cannot be read as a picture. Its spectrum still tells whether it likes smooth regions or edges, and in which direction.', also=(spectrum_roll, spectrum_waves)),
    Exercise('6.7', 'Dead channels', 'Write `dead_channels(A, eps)`: which channels of (N,C,h,w) are never above `eps`, at any place of any picture? A bool each.', dead_channels, library='camtutor.features',
        trials=(gives('Five channels, two of them dead, one nearly', some_dead(), want=torch.tensor([False, True, False, False, True])), gives('A larger eps', some_dead(), .02), gives('Random activations', A_)),
        mistakes=(Mistake(dead_mean, 'A small mean is not dead: one strong place in one picture is enough to be alive.'), Mistake(dead_somewhere, 'These are silent in *some* picture. Dead means in all.'), Mistake(dead_per_picture, 'There is an answer for each picture. One for each channel.'),
                  Mistake(dead_alive, 'These are the living channels: turn the comparison round.'), Mistake(dead_least, 'You look at the lowest value. The highest decides.')),
        hints=('What is the highest value a channel ever reaches?', '`amax` takes several axes.', 'All axes but that of the channels; compare with `eps`.'), why='A dead channel costs as much as a living one. Many of them mean that training went wrong.', also=(dead_all, dead_flat)),
    Exercise('6.8', 'Doubles', 'Write `channel_similarity(A)`: the correlation (C,C) of every two channels of (N,C,h,w), over all places of all pictures together. A channel that never changes has 0 with all, itself included.', channel_similarity, library='camtutor.features',
        trials=(gives('By hand: a channel, its double, its opposite, a reversal, a dead one', DOUBLES, want=[[1., 1., -1., .2, 0.], [1., 1., -1., .2, 0.], [-1., -1., 1., -.2, 0.], [.2, .2, -.2, 1., 0.], [0., 0., 0., 0., 0.]]), gives('Random activations, some pictures louder', UNEVEN), keeps(UNEVEN)),
        mistakes=(Mistake(similarity_cosine, 'You leave the means in, which gives the cosine. Channels behind a ReLU are all positive and would all look alike: take each channel\'s mean off first.'), Mistake(similarity_mixed, '`A.reshape(C, -1)` has the right shape and the wrong contents: it cuts the memory into C pieces, and each holds places of several channels. Bring the axis of channels to the front first.'),
                  Mistake(similarity_covariance, 'This is the covariance. Divide by both lengths, so that a loud channel counts no more than a quiet one.'), Mistake(similarity_of_means, 'You average over places first. Two channels may be equally busy in a picture, and at different places of it: keep the places.'), Mistake(similarity_nan, 'A channel that never changes has length 0, and 0 / 0 is nan. It should give 0.'),
                  Mistake(similarity_std, 'Two things. A channel that never changes has `std` 0, and 0 / 0 is nan; it should give 0. And `std` divides by n − 1 where you then divide by n, so that a channel is not quite 1 with itself: divide by the length of the row instead, once.'), Mistake(similarity_each_picture, 'You correlate within each picture and average. That loses what differs *between* pictures: put all places of all pictures into one row.'), Mistake(similarity_pictures, 'You compare pictures. Channels are axis 1.'), Mistake(similarity_size, 'The sign is gone. An opposite is not a double.')),
        hints=('A row for each channel: all its values, from all pictures.', '`transpose(0, 1)` or `movedim` first, then `flatten(1)`.', 'Centre each row and divide it by its length (not by 0); the product of the table with its transpose is the answer.'),
        why='Two channels with correlation 1 do the work of one: here is where pruning begins.', also=(similarity_corrcoef, similarity_pairs, similarity_einsum)),
    Exercise('6.9', 'The pictures a channel likes', 'Write `top_activations(A, k=9)`: for each channel of (N,C,h,w) the k pictures whose highest activation is largest, best first. Return `Top(value, image, place)`, which is in `camtutor.features`; a tuple will do. `value` (C,k) are those activations, `image` (C,k) the numbers of the pictures, and `place` (C,k,2) the row and the column where each of them is. (Exercise 5.11 does it for one channel.)', top_activations, library='camtutor.features',
        trials=(gives('By hand: three pictures, two channels, k = 2', EXCITED, 2, want=(torch.tensor([[9., 4.], [7., 6.]]), torch.tensor([[2, 0], [1, 0]]), torch.tensor([[[1, 2], [0, 1]], [[1, 0], [0, 2]]]))), gives('Random activations of 6 pictures, k = 3', A_, 3), gives('k = 1', A_, 1), gives('Nine of 20 pictures, negative ones too', rand(20, 3, 3, 5, seed=6) - 2), keeps(A_, 2)),
        mistakes=(Mistake(top_mean, 'You rank by the mean over places. A small strong spot, such as an eye, would be lost: rank by the highest place.'), Mistake(top_turned, 'The pictures are the first axis. A row for each channel: (C,k).'), Mistake(top_channels, 'These are each picture\'s best channels. Asked are each channel\'s best pictures.'),
                  Mistake(top_weakest, 'These are the pictures that a channel likes *least*.'), Mistake(top_shared, 'All channels have the same pictures. Each has its own favourites.'), Mistake(top_places, 'Several places come from the same picture, since you look for the best places of all. First the best place of each picture, then the best pictures.'), Mistake(top_swapped, 'Rows and columns are exchanged: the row comes first.'),
                  Mistake(top_by_height, 'A flat index is row · width + column: divide by the *width*.'), Mistake(top_flat, 'The place is still one number, counted along the rows. Split it into row and column.'), Mistake(top_first_places, 'The places are those of the first k pictures. Pick them with the pictures that you found, for each channel its own.'), Mistake(top_all_places, 'There is a place for each of all N pictures: (C,N,2). Keep those of the k pictures that you found, for each channel its own: `gather` takes them by the numbers in `image`.'), Mistake(top_all_places_by_picture, 'There is a place for each of all N pictures, and the pictures come first: (N,C,2). Keep those of the k pictures that you found, for each channel its own, and turn pictures and channels round.'), Mistake(top_every_channels_place, 'There is one axis too many, (C,k,C,2): with each picture that you found come the places of *all* channels. A channel needs its own alone: `gather` along the axis of the pictures picks it.'), Mistake(top_every_channels_place_by_picture, 'There is one axis too many, and the pictures come first, (k,C,C,2): with each picture that you found come the places of *all* channels. A channel needs its own alone: `gather` along the axis of the pictures picks it.'), Mistake(top_rows_then_columns, 'All rows come first, and then all columns: (2,C,k). Each place is a pair: stack along the last axis.')),
        hints=('First one number for each picture and channel: `flatten(2).max(2)` gives it, and where it was.', '`topk` along the axis of the pictures. What it returns as indices also says which of the places you need: `gather` takes them.', 'Turn pictures and channels round, and split each place by the width: whole part and remainder.'),
        why='The quickest way to guess what a channel is for. The guess is then tested with masks.', also=(top_sort, top_loop)),
    Exercise('6.10', 'Is it an ear detector?', 'Write `part_energy(A, mask)`: for each channel, over all pictures together, the share of its positive activation that lies on the part. Average the masks (N,H,W) onto the grid of `A`.', part_energy, library='camtutor.features',
        trials=(gives('Worked by hand: 3.25 of 4; 1 of 4', HAND_A, HAND_MASK, want=[3.25/4, 1/4]), gives('Random activations and masks', A_, MASKS), gives('A silent channel', torch.zeros(1, 1, 2, 2), HAND_MASK, want=[0.]), keeps(A_, MASKS)),
        mistakes=(Mistake(part_mean_of_shares, 'You average the shares of the pictures, so that one in which the channel hardly fires counts as much as one in which it shouts. Add up first, divide last.'), Mistake(part_signed, 'Negative activations are in it. Cut them first.'), Mistake(part_density, 'You divide by the part\'s area. By the channel\'s own total.'),
                  Mistake(part_nearest, 'You pick one pixel for each cell. Average: a cell half covered is 0.5.'), Mistake(part_per_picture, 'There is a figure for each picture. One for each channel.'), Mistake(part_any, 'A cell that is just touched counts as full. Average over the cell.')),
        hints=('`F.adaptive_avg_pool2d` brings the masks onto the grid.', 'Both sums go over pictures and places; the channel stays.', 'Inside over total; take care of a silent channel.'), why='"This channel sees ears" becomes a number over 200 scenes instead of an impression from nine.', also=(part_einsum, part_loop)),
    Exercise('6.11', 'Rank the channels', 'Write `rank_channels(A, mask, k)`: a list of the k best (channel, energy) for a part, best first. `part_energy` may be imported from `camtutor.features`.', rank_channels,
        trials=(Trial('Random activations and masks', lambda f: [(int(c), float(e)) for c, e in f(A_.clone(), MASKS, 3)]),),
        mistakes=(Mistake(rank_rising, 'The lowest energies come first.'), Mistake(rank_strongest, 'You rank by how much a channel fires. A loud channel need not look at the part.'), Mistake(rank_turned, 'The pairs are the wrong way round: channel first.'), Mistake(rank_ranks, '`argsort` of an `argsort` gives ranks. One gives the channels in order.')),
        hints=('`argsort(descending=True)`, or `topk`.', 'You need both, the channel and its energy.', '`topk` returns values and places: zip them the other way round.'), why='A small network dissection. Set a uniform map\'s energy beside it, or the largest part always wins.', also=(rank_topk, rank_sorted)),
    Exercise('6.12', 'A number without a baseline', 'A channel has 0.42 of its energy on the body. Is it a body detector? Two sentences.',
        'That depends on how large the body is: a map that is the same everywhere has as much energy on it as the body has area. Compare with that share, with other channels, and with what happens when the channel is switched off.', kind='written',
        why='The body is the largest part of our animals: without the baseline it would win every ranking.'),
    Exercise('6.13', 'Switch a channel off', 'Write the context manager `ablate_channels(model, layer, channels)`: inside the `with`, these channels of the layer\'s output are zero. `as` gives the model; afterwards all is as before, also after an error.', ablate_channels, library='camtutor.features',
        trials=(Trial('Two channels of the second convolution', ablated), Trial('An error inside the with', ablated_error)),
        mistakes=(Mistake(ablate_stays, 'The hook stays: the channels are off for ever.'), Mistake(ablate_forgets, 'Your hook returns nothing, and so the output stays. What it returns takes the output\'s place.'), Mistake(ablate_batch, 'You switch off *pictures*: channels are axis 1.'),
                  Mistake(ablate_others, 'It is the other way round: only these channels are left.'), Mistake(ablate_unsafe, 'After an error the hook stays. Put its removal into `finally`.'), Mistake(ablate_weights, 'You have changed the weights of the network, and they stay so.')),
        hints=('A forward hook may return a changed output.', 'Work on a copy: `clone()`, or `index_fill` without `_`.', '`@contextmanager`, register, `try: yield model`, `finally:` remove.'), why='A heat map says what a channel correlates with. Switching it off says what it does.', also=(ablate_mask, ablate_class)),
    Exercise('6.14', 'What is left without it', 'Write `accuracy_without(tail, A, y, n_classes)`: a table (C,K). In row c, channel c alone is zero; in column k stands the share of the pictures *of* class k that are then still right. `tail` is the network behind the layer: it makes scores (N,K) of activations (N,C,h,w). A class without pictures gets 0, and `A` stays as it is.', accuracy_without, library='camtutor.features',
        trials=(Trial('By hand: four pictures, four channels, each of them the score of a class; no picture of class 3', lambda f: f(pooled(), FOUR.clone(), torch.tensor([0, 1, 1, 2]), 4), torch.tensor([[0., .5, 1., 0.], [1., 0., 1., 0.], [1., 1., 0., 0.], [1., .5, 1., 0.]]), 'The scores are (3, 1, 0, 0), (2, 3, 1, 0), (1, 5, 6, 0), (4, 2, 5, 0), the right classes 0, 1, 1, 2. Put zeros into a column, and look which score is the largest.'),
                Trial('A linear tail, 40 pictures, some labels wrong', costs)),
        mistakes=(Mistake(without_lost, 'This is how much is lost. Asked is what is left.'), Mistake(without_pile_up, 'The channels stay off, so that more and more are missing. One at a time.'), Mistake(without_in_place, 'You write zeros into the caller\'s activations, and so the channels also stay off, one after the other. Work on a copy.'), Mistake(without_turned, 'There is a row for each class. A row for each channel.'),
                  Mistake(without_classes, 'There is one number for each channel. Count for each class by itself: (C,K).'), Mistake(without_repeated, 'Every class of a row has the same number, the accuracy over *all* pictures. In column k count only the pictures of class k; a class without pictures gets 0.'), Mistake(without_repeated_if_any, 'All classes that have pictures get the same number, the accuracy over *all* pictures. In column k count only the pictures of class k.'), Mistake(without_of_all, 'You divide by the number of all pictures. Each class by the number of its own.'), Mistake(without_counts, 'These are counts. Divide by the number of pictures of each class.'), Mistake(without_nan, 'A class without pictures gives 0 / 0. It should get 0.'),
                  Mistake(without_precision, 'You divide by how many pictures the network *calls* k. Divide by how many *are* k.'), Mistake(without_said, 'This is how often each class is said, right or wrong. Compare with `y`.'), Mistake(without_others, 'It is the other way round: only channel c is left, and all others are zero.'), Mistake(without_picture, 'You switch off *picture* c. Channels are axis 1.'), Mistake(without_averaged, 'You set the channel to its mean. That is done, too, and is gentler; here it is zero.')),
        hints=('For each channel: a copy with zeros there, the scores, and which pictures are right.', '`A.index_fill(1, torch.tensor([c]), 0.)` is such a copy. Stacked, the answers are a table (C,N) of right and wrong.', 'From pictures to classes: `F.one_hot(y, n_classes)` is (N,K) and says whose picture it is. A product of two tables counts; then divide, and not by 0.'),
        why='Most channels turn out to be spare: others stand in. Importance is no property of a channel alone.', also=(without_mask, without_batched)),
    Exercise('6.15', 'Per channel or per layer', 'You draw all channels of a layer, each scaled by its own largest value. What can you *not* see?', 'Which channels fire strongly and which hardly at all', kind='choice',
        mistakes=(Mistake('Where in the picture a channel fires', 'That is just what such a picture shows.'), Mistake('How many channels there are', 'You can: each tile is one channel.'))),
)
