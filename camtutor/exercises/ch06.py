"Chapter 06: feature maps, kernels, channels."
from contextlib import contextmanager
import torch, torch.nn.functional as F
from torch import Tensor, nn
from torchvision.utils import make_grid

from camtutor.exercises.common import gives, hooks_left, keeps, pictures, rand, seeded, tiny
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise
from camtutor.features import Top
from camtutor.show import colorize

# 6.1 A channel as a picture

A = torch.tensor([[[2., 0.], [4., -1.]], [[0., 0.], [0., 0.]], [[1., 1.], [8., 2.]]]) # three channels of one picture
A_ = rand(6, 5, 4, 6)

e = exercise('6.1', 'A channel as a picture',
    "Write `channel_maps(A, per)`: the positive part of each channel of (C,h,w) in [0,1], divided by the largest "
    "value of each 'channel' or of the whole 'layer'. A channel without positive values stays 0.",
    library='camtutor.features',
    trials=(gives('Worked by hand, per channel', A,
                  want=[[[.5, 0.], [1., 0.]], [[0., 0.], [0., 0.]], [[.125, .125], [1., .25]]]),
            gives('Worked by hand, per layer', A, 'layer',
                  want=[[[.25, 0.], [.5, 0.]], [[0., 0.], [0., 0.]], [[.125, .125], [1., .25]]]),
            gives('Random activations', A_[0]),
            keeps(A_[0])),
    hints=('Cut, then divide.',
           '`amax` over two axes with `keepdim`, or `max` of everything.',
           'Keep the divisor from being 0 with `clamp(min=…)`.'),
    why='Per channel shows what each sees, and hides that some hardly fire; per layer shows the opposite. Say which '
        'you drew.')

@e.reference
def channel_maps(A:Tensor, # activations (C,h,w) of one picture
                 per:str='channel' # divide by each 'channel' own largest value, or by that of the whole 'layer'
                )->Tensor: # (C,h,w) in [0,1]
    "The positive part of each channel, scaled for the eye; a channel without one stays 0."
    A = A.clamp(min=0)
    top = A.amax((1, 2), keepdim=True) if per == 'channel' else A.max()
    return A/top.clamp(min=1e-12)

@e.wrong
def min_max(A, per='channel'):
    """You stretch from lowest to highest. Then zero, "this channel sees nothing here", is no longer black."""
    axes = (1, 2) if per == 'channel' else (0, 1, 2)
    low, high = A.amin(axes, True), A.amax(axes, True)
    return (A - low)/(high - low).clamp(min=1e-12)

e.edit('.clamp(min=1e-12)', '', 'A channel without positive values gives 0 / 0. It should stay 0.')
e.edit('A = A.clamp(min=0)\n    ', '', 'Negative values come through. Cut them first.')
e.edit(" if per == 'channel' else A.max()", '', "`per` is not used: for 'layer' all channels share one largest value.")
e.edit('A.amax((1, 2), keepdim=True)', 'A.amax(0, keepdim=True)',
       'You divide by the largest channel at each place. By the largest place of each channel.')
e.edit('A.amax((1, 2), keepdim=True)', 'A.sum((1, 2), keepdim=True)', 'A.max()', 'A.sum()',
       'You divide by the sum. Then the brightest place is not 1.')

# 6.2 A layer in a grid

e = exercise('6.2', 'A layer in a grid',
    "Write `feature_grid(A, per='channel', ncol=8, cmap=None)`: all channels of (C,h,w) in one picture (3,H,W), "
    "`ncol` in a row. Scale them with `channel_maps(A, per)`, colour them with `colorize(maps, cmap)` and lay them "
    "out with torchvision's `make_grid`: white lines, a sixteenth of the map's width thick (rounded down), but at "
    "least one pixel.",
    library='camtutor.features',
    trials=(gives('Three channels in rows of two', A, 'channel', 2),
            gives('All by the largest of the layer', A, 'layer', 2),
            gives('Five channels in rows of three, another colour map', A_[0], 'channel', 3, 'viridis'),
            gives('Ten channels 33 wide', rand(10, 8, 33))),
    hints=('Three tools, one after the other: scale, colour, lay out.',
           '`colorize` turns (C,h,w) into (C,3,h,w): to `make_grid`, that is a batch of pictures.',
           '`make_grid` takes `nrow`, `padding` and `pad_value`; white is 1.'),
    why='Sixty channels at one glance. Which of them are dead, doubled or busy is seen before it is computed.')

@e.reference
def feature_grid(A:Tensor, # activations (C,h,w) of one picture
                 per:str='channel', # see `channel_maps`
                 ncol:int=8, # channels in a row
                 cmap:str=None # a colour map, see `colorize`
                )->Tensor: # one picture (3,H,W) in [0,1]
    "All channels of a layer side by side, in colour, with white lines between them."
    tiles = colorize(channel_maps(A, per), cmap)
    return make_grid(tiles, nrow=ncol, padding=max(1, A.shape[-1]//16), pad_value=1.)

e.edit('nrow=ncol', 'nrow=-(-len(A)//ncol)',
       'You hand `make_grid` the number of *rows*. Its argument `nrow` has a misleading name: it is the number of '
       'pictures in each row.')
e.edit(', pad_value=1.', '',
       'The lines are black, and so is a channel that sees nothing: they run into each other. `pad_value` sets the '
       'colour.')
e.edit('colorize(channel_maps(A, per), cmap)', 'channel_maps(A, per)[:, None]',
       'The maps are grey. Colour them before you lay them out.')
e.edit('channel_maps(A, per)', '(A - A.amin((1, 2), True))/(A.amax((1, 2), True) - A.amin((1, 2), '
                               'True)).clamp(min=1e-12)',
       'You stretch each channel from lowest to highest, so that zero is no longer dark. `channel_maps` cuts the '
       'negatives and divides.')
e.edit(', per', '', "`per` is not used: for 'layer' all channels share one scale.")
e.edit(', padding=max(1, A.shape[-1]//16)', '',
       'The lines are always 2 pixels wide, which is what `make_grid` does if not told. On maps of 4 × 4 that is half '
       'a map.')
e.edit('max(1, A.shape[-1]//16)', 'A.shape[-1]//16',
       'Small maps have no lines between them: a sixteenth of 4 pixels is 0. At least one.')
e.edit('colorize(channel_maps(A, per), cmap)', 'channel_maps(A, per)',
       'To `make_grid`, three axes are *one* picture, and so your channels are taken for its colours. `colorize` '
       'gives each channel three colours, and with that a fourth axis.')
e.edit('nrow=ncol', 'nrow=8', '`ncol` is not used: there are always eight in a row.')
e.edit(', cmap', '', '`cmap` is not used: hand it to `colorize`.')

# 6.3 A whole layer in one map

e = exercise('6.3', 'A whole layer in one map',
    "Write `fuse_channels(A, how)`: (N,C,h,w) to (N,h,w), the 'mean' or the 'max' over channels.",
    library='camtutor.features',
    trials=(gives('Worked by hand, the mean', A[None], want=[[[1., 1/3], [4., 1/3]]]),
            gives('Worked by hand, the max', A[None], 'max', want=[[[2., 1.], [8., 2.]]]),
            gives('Random activations', A_)),
    hints=('Which axis holds the channels?',
           '`mean` takes an axis.',
           '`amax` too.'),
    why='No class is in it: what it shows is where the layer is busy at all. Grad-CAM weighs the same channels '
        'instead.')

@e.reference
def fuse_channels(A:Tensor, # activations (N,C,h,w)
                  how:str='mean' # 'mean' or 'max'
                 )->Tensor: # (N,h,w)
    "All channels of a layer in one map."
    return A.mean(1) if how == 'mean' else A.amax(1)

e.edit('A.mean', 'A.sum', 'This is the sum. The mean does not depend on how many channels a layer has.')
e.edit('A.amax(1)', 'A.max(1)', '`max` along an axis returns a pair, values and places. `amax` gives the values.')
e.edit('A.mean(1)', 'A.mean(0)', 'A.amax(1)', 'A.amax(0)', 'You reduce over the pictures. Channels are axis 1.')
e.edit("A.mean(1) if how == 'mean' else A.amax(1)", "(A.mean(1) if how == 'mean' else A.amax(1))[:, None]",
       'There is an axis too many: (N,h,w).')
e.edit('A.mean(1)', 'A.mean((2, 3))', 'A.amax(1)', 'A.amax((2, 3))',
       'You reduce over places. A map needs them; reduce over channels.')
e.edit('return A.mean(1)', 'A = A.abs()\n    return A.mean(1)',
       'You take absolute values; a channel may well be negative in front of a ReLU.')

# 6.4 Into TensorBoard

class Notes:
    "Stands in for a SummaryWriter: keeps what it is given instead of writing it to a file."
    def __init__(self): self.images = {}
    def add_image(self, tag, img_tensor, global_step=None, walltime=None, dataformats='CHW'):
        self.images[f'{tag}, step {global_step}'] = img_tensor
    def add_images(self, tag, img_tensor, global_step=None, walltime=None, dataformats='NCHW'):
        self.add_image(tag, img_tensor[0], global_step)
    def flush(self): "There is no file."
    def close(self): "There is no file."

def logged(*steps):
    def run(answer):
        notes = Notes()
        for step in steps: answer(notes, 'stage', A_[step], step)
        return {k: notes.images[k] for k in sorted(notes.images)}
    return run

e = exercise('6.4', 'Into TensorBoard',
    'Write `log_features(writer, tag, A, step=0)`: two pictures with `writer.add_image(name, picture, step)`. The '
    'grid of the channels of `A` (C,h,w) goes under `tag/channels`; their mean, drawn as a grid of one, under '
    '`tag/mean`. `feature_grid` may be imported from `camtutor.features`. Your function is given a writer that only '
    'notes what it gets.',
    library='camtutor.features',
    trials=(Trial('One step, under the tag "stage"', logged(0)),
            Trial('Steps 2 and 5', logged(2, 5))),
    hints=('Two calls of `add_image`, each with a name, a picture and the step.',
           'An f-string makes the names.',
           '`A.mean(0, keepdim=True)` is a layer of one channel: (1,h,w).'),
    why='Watch a layer through training and you see channels being born, and sometimes dying.')

@e.reference
def log_features(writer, # a `torch.utils.tensorboard.SummaryWriter`
                 tag:str, # the name to show them under
                 A:Tensor, # activations (C,h,w) of one picture
                 step:int=0 # the training step
                ):
    "Write the grid of channels and their mean, as `tag/channels` and `tag/mean`."
    writer.add_image(f'{tag}/channels', feature_grid(A), step)
    writer.add_image(f'{tag}/mean', feature_grid(fuse_channels(A[None])), step)

e.edit('feature_grid(A), step)', 'feature_grid(A))', '(fuse_channels(A[None])), step)', '(fuse_channels(A[None])))',
       'The step is not handed on. TensorBoard needs it for its slider: without one, all pictures lie on top of each '
       'other.')
e.edit("f'{tag}/channels'", 'tag', "f'{tag}/mean'", 'tag',
       "Both pictures have one name, so the second takes the first one's place. Add `/channels` and `/mean` to the "
       "tag.")
e.edit("f'{tag}/channels'", "'channels'", "f'{tag}/mean'", "'mean'",
       "The tag is missing from the names: the pictures of two layers would get in each other's way.")
e.edit('feature_grid(fuse_channels(A[None]))', 'fuse_channels(A[None])',
       'The mean goes in as bare numbers. A picture wants values from 0 to 1 and three colours: draw it with '
       '`feature_grid`, as a layer of one channel.')
e.edit('feature_grid(fuse_channels(A[None]))', 'A.mean(0)',
       'The mean goes in as (h,w), and TensorBoard wants (3,H,W) from 0 to 1. Keep the axis of channels, which makes '
       'it a layer of one channel, and draw that with `feature_grid`.')
e.edit('feature_grid(fuse_channels(A[None]))', 'feature_grid(A).mean(0, True)',
       'This is the mean of the *colours* of the grid. Take the mean of the channels, and draw that.')
e.edit("writer.add_image(f'{tag}/mean', feature_grid(fuse_channels(A[None])), step)", 'pass',
       'The mean is missing: there are two pictures for each step.')
e.edit('fuse_channels(A[None])', 'A.amax(0, True)', 'You take the largest value at each place. The mean was asked for.')

# 6.5 Kernels as pictures

IN_A_ROW = torch.ones(3, 5, 11)
IN_A_ROW[:, 2, [2, 5, 8]] = torch.tensor([0., .5, .75])

DOUBLED = torch.ones(3, 6, 14)
DOUBLED[:, 2:4, 2:6], DOUBLED[:, 2:4, 8:12] = torch.tensor([.5, .5, 1., 1.]), torch.tensor([.25, .25, .5, .5])

e = exercise('6.5', 'Kernels as pictures',
    "Write `kernel_grid(w, ncol=8, zoom=8)`: kernels (K,3,kh,kw), or (K,1,kh,kw) in grey, side by side in one picture "
    "(3,H,W). A weight of 0 becomes 0.5; the largest absolute value of *all* kernels becomes 1 if it is positive and "
    "0 if it is negative; kernels of zeros are grey. Each weight becomes `zoom` × `zoom` equal pixels. Then lay the "
    "kernels out with torchvision's `make_grid`, `ncol` in a row, with white lines 2 pixels thick.",
    library='camtutor.features',
    trials=(gives('By hand: kernels of one weight, −4, 0 and 2', torch.tensor([-4., 0., 2.]).view(3, 1, 1, 1), 3, 1,
                  want=IN_A_ROW),
            gives('By hand: the weights 0, 2 and −1, 0, enlarged twice',
                  torch.tensor([0., 2., -1., 0.]).view(2, 1, 1, 2), 8, 2, want=DOUBLED),
            gives('Kernels of zeros', torch.zeros(2, 3, 2, 2), 2, 2),
            gives('Twelve kernels in colour', rand(12, 3, 3, 5)),
            gives('Seven in rows of three, enlarged four times', rand(7, 3, 5, 3, seed=1), 3, 4),
            keeps(rand(4, 3, 3, 3))),
    hints=('Three steps: weights to [0,1], enlarge, lay out.',
           'Divide by one number for all kernels, then take half of it and add a half. Keep that number from being 0.',
           '`repeat_interleave` enlarges along one axis; `make_grid` takes `nrow`, `padding` and `pad_value`, and '
           'makes grey pictures into three colours by itself.'),
    why="Only the first layer's kernels have colours. Deeper ones act on channels, and say little as pictures.")

@e.reference
def kernel_grid(w:Tensor, # kernels (K,3,kh,kw) to show in colour, or (K,1,kh,kw) in grey
                ncol:int=8, # kernels in a row
                zoom:int=8 # pixels for each weight, across and down
               )->Tensor: # one picture (3,H,W) in [0,1]; grey is zero
    "Kernels side by side, all on one scale, with white lines between them."
    tiles = .5 + .5*w/w.abs().max().clamp(min=1e-12)
    tiles = tiles.repeat_interleave(zoom, dim=2).repeat_interleave(zoom, dim=3)
    return make_grid(tiles, nrow=ncol, padding=2, pad_value=1.)

e.edit('.5 + .5*w/w.abs().max().clamp(min=1e-12)', '(w - w.min())/(w.max() - w.min()).clamp(min=1e-12)',
       'You stretch from lowest to highest, so that zero is no longer grey.')
e.edit('w.abs().max()', 'w.abs().amax((1, 2, 3), keepdim=True)',
       'Each kernel has its own scale: one that hardly does anything looks as strong as the others.')
e.edit('.5 + .5*w', 'w.relu()',
       'Negative weights are cut, and zero is black. Negative weights are half of a kernel: zero belongs in the '
       'middle.')
e.edit('.5 + .5*w/w.abs().max().clamp(min=1e-12)', '(w + .5).clamp(0, 1)',
       'Nothing is scaled. Divide by the largest absolute value.')
e.edit('w.abs().max()', 'w.max()', 'A strong negative weight leaves [0,1]: take the largest *absolute* value.')
e.edit('.clamp(min=1e-12)', '', 'Kernels of zeros give 0 / 0. They should be grey.')
e.edit('.5 + .5*w', 'w', 'Your values go from −1 to 1. A picture wants 0 to 1, with zero in the middle.')
e.edit('tiles.repeat_interleave(zoom, dim=2).repeat_interleave(zoom, dim=3)',
       "F.interpolate(tiles, scale_factor=zoom, mode='bilinear')",
       'You smooth while you enlarge, so that the weights run into each other. Each should be a square of one colour.')
e.edit('.repeat_interleave(zoom, dim=2).repeat_interleave(zoom, dim=3)', '.repeat(1, 1, zoom, zoom)',
       '`repeat` sets copies of the whole kernel side by side. `repeat_interleave` repeats each weight.')
e.edit('.repeat_interleave(zoom, dim=2)', '', 'You enlarge in one direction only: down as well as across.')
e.edit('.repeat_interleave(zoom, dim=2).repeat_interleave(zoom, dim=3)', '',
       '`zoom` is not used: each weight is one pixel.')
e.wrong(lambda w, ncol=8, zoom=8: kernel_grid(w, ncol, 1).repeat_interleave(zoom, 1).repeat_interleave(zoom, 2),
        'The lines have grown with the kernels. Enlarge the kernels first, and lay them out then.')
e.edit('nrow=ncol', 'nrow=-(-len(tiles)//ncol)',
       'You hand `make_grid` the number of rows. Its `nrow` is the number of pictures *in* a row.')
e.edit(', pad_value=1.', '', 'The lines are black, which is a strong negative weight. `pad_value` sets their colour.')
e.edit(', nrow=ncol', '', '`ncol` is not used: there are always eight in a row.')

# 6.6 What a kernel lets through

BLUR = torch.tensor([[[[1., 1.]]], [[[1., -1.]]]])

e = exercise('6.6', 'What a kernel lets through',
    'Write `kernel_spectrum(w, size=16)`: for each kernel of (K,C,kh,kw), padded with zeros to size × size, the '
    'amplitude of its Fourier transform, summed over the input channels: (K,size,size), frequency zero in the middle.',
    library='camtutor.features',
    trials=(gives('By hand: 1 1 lets a flat picture through, 1 −1 stops it', BLUR, 2,
                  want=[[[0., 2.], [0., 2.]], [[2., 0.], [2., 0.]]]),
            gives('Random kernels', rand(4, 3, 3, 3)),
            gives('An odd size', rand(4, 3, 5, 3), 7)),
    hints=('`torch.fft.fft2` transforms the last two axes, and pads if given a size.',
           'Complex numbers to amplitudes: `abs`. Then the sum over axis 1.',
           '`torch.fft.fftshift` moves frequency zero, and wants to know along which axes.'),
    why='A deep kernel cannot be read as a picture. Its spectrum still tells whether it likes smooth regions or '
        'edges, and in which direction.')

@e.reference
def kernel_spectrum(w:Tensor, # kernels (K,C,kh,kw)
                    size:int=16 # frequencies along each axis
                   )->Tensor: # (K,size,size), frequency zero in the middle
    "The amplitude of each kernel's Fourier transform, padded with zeros to size × size and summed over input channels."
    return torch.fft.fftshift(torch.fft.fft2(w, (size, size)).abs().sum(1), dim=(-2, -1))

e.edit('torch.fft.fftshift(torch.fft.fft2(w, (size, size)).abs().sum(1), dim=(-2, -1))',
       'torch.fft.fft2(w, (size, size)).abs().sum(1)',
       'Frequency zero is in the corner, where `fft2` puts it. `torch.fft.fftshift` brings it to the middle.')
e.edit(', dim=(-2, -1)', '',
       '`fftshift` without `dim` shifts all axes: your spectra now belong to other *kernels*. Name the last two axes.')
e.edit('abs().sum(1)', 'sum(1).abs()',
       'You add up the channels before taking amplitudes, and waves of opposite phase cancel. Amplitudes first, then '
       'the sum.')
e.edit('abs()', 'real',
       'This is the real part. The amplitude, `abs`, does not depend on where in its window the kernel sits.')
e.edit(', (size, size)', '', 'The kernel is not padded: a 3 × 3 kernel gives 3 × 3 frequencies. `fft2` takes a size.')
e.edit('.abs()', '.abs().pow(2)', 'This is the power, the square of the amplitude.')
e.edit('.abs()', '', 'The result is complex. Take the amplitudes with `abs`.')

# 6.7 Dead channels

def some_dead():
    A = rand(4, 5, 3, 3).relu()
    A[:, 1] = 0
    A[:3, 2] = 0
    A[:, 4] = -1
    A[:, 3] -= 3
    A[0, 3, 0, 0] = .01
    return A

e = exercise('6.7', 'Dead channels',
    'Write `dead_channels(A, eps)`: which channels of (N,C,h,w) are never above `eps`, at any place of any picture? A '
    'bool each.',
    library='camtutor.features',
    trials=(gives('Five channels, two of them dead, one nearly', some_dead(),
                  want=torch.tensor([False, True, False, False, True])),
            gives('A larger eps', some_dead(), .02),
            gives('Random activations', A_)),
    hints=('What is the highest value a channel ever reaches?',
           '`amax` takes several axes.',
           'All axes but that of the channels; compare with `eps`.'),
    why='A dead channel costs as much as a living one. Many of them mean that training went wrong.')

@e.reference
def dead_channels(A:Tensor, # activations (N,C,h,w) of many pictures
                  eps:float=1e-6 # what counts as nothing
                 )->Tensor: # (C,) bool
    "Which channels are never above `eps`, at any place of any picture."
    return A.amax((0, 2, 3)) <= eps

e.edit('amax', 'mean', 'A small mean is not dead: one strong place in one picture is enough to be alive.')
e.edit('A.amax((0, 2, 3)) <= eps', '(A.amax((2, 3)) <= eps).any(0)',
       'These are silent in *some* picture. Dead means in all.')
e.edit('A.amax((0, 2, 3))', 'A.amax((2, 3))', 'There is an answer for each picture. One for each channel.')
e.edit('<= eps', '> eps', 'These are the living channels: turn the comparison round.')
e.edit('amax', 'amin', 'You look at the lowest value. The highest decides.')

# 6.8 Doubles

DOUBLES = torch.tensor([[1., 2., 3., 0.], [2., 4., 6., 0.], [-1., -2., -3., 0.], [3., 2., 1., 0.],
                        [0., 0., 0., 0.]]).view(1, 5, 2, 2)

UNEVEN = A_*torch.linspace(.2, 3, 6)[:, None, None, None] + rand(6, 5, 1, 1, seed=4)

e = exercise('6.8', 'Doubles',
    'Write `channel_similarity(A)`: the correlation (C,C) of every two channels of (N,C,h,w), over all places of all '
    'pictures together. A channel that never changes has 0 with all, itself included.',
    library='camtutor.features',
    trials=(gives('By hand: a channel, its double, its opposite, a reversal, a dead one', DOUBLES,
                  want=[[1., 1., -1., .2, 0.], [1., 1., -1., .2, 0.], [-1., -1., 1., -.2, 0.], [.2, .2, -.2, 1., 0.],
                        [0., 0., 0., 0., 0.]]),
            gives('Random activations, some pictures louder', UNEVEN),
            keeps(UNEVEN)),
    hints=('A row for each channel: all its values, from all pictures.',
           '`transpose(0, 1)` or `movedim` first, then `flatten(1)`.',
           'Centre each row and divide it by its length (not by 0); the product of the table with its transpose is '
           'the answer.'),
    why='Two channels with correlation 1 do the work of one: here is where pruning begins.')

@e.reference
def channel_similarity(A:Tensor # activations (N,C,h,w) of many pictures
                      )->Tensor: # (C,C), from -1 to 1
    "The correlation of every two channels over all places of all pictures; 0 for channels that never change."
    flat = A.transpose(0, 1).flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    flat = flat/flat.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return flat @ flat.T

e.edit(' - flat.mean(1, keepdim=True)', '',
       "You leave the means in, which gives the cosine. Channels behind a ReLU are all positive and would all look "
       "alike: take each channel's mean off first.")
e.edit('A.transpose(0, 1).flatten(1)', 'A.reshape(A.shape[1], -1)',
       '`A.reshape(C, -1)` has the right shape and the wrong contents: it cuts the memory into C pieces, and each '
       'holds places of several channels. Bring the axis of channels to the front first.')
e.edit('flat = flat/flat.norm(dim=1, keepdim=True).clamp(min=1e-12)\n    return flat @ flat.T',
       'return flat @ flat.T/(flat.shape[1] - 1)',
       'This is the covariance. Divide by both lengths, so that a loud channel counts no more than a quiet one.')
e.edit('A.transpose(0, 1).flatten(1)', 'A.mean((2, 3)).T',
       'You average over places first. Two channels may be equally busy in a picture, and at different places of it: '
       'keep the places.')
e.edit('.clamp(min=1e-12)', '', 'A channel that never changes has length 0, and 0 / 0 is nan. It should give 0.')
e.edit('flat.norm(dim=1, keepdim=True).clamp(min=1e-12)', 'flat.std(1, keepdim=True)', 'flat @ flat.T',
       'flat @ flat.T/flat.shape[1]',
       'Two things. A channel that never changes has `std` 0, and 0 / 0 is nan; it should give 0. And `std` divides '
       'by n − 1 where you then divide by n, so that a channel is not quite 1 with itself: divide by the length of '
       'the row instead, once.')
e.wrong(lambda A: torch.stack([channel_similarity(a[None]) for a in A]).mean(0),
        'You correlate within each picture and average. That loses what differs *between* pictures: put all places of '
        'all pictures into one row.')
e.edit('A.transpose(0, 1).flatten(1)', 'A.flatten(1)', 'You compare pictures. Channels are axis 1.')
e.edit('flat @ flat.T', '(flat @ flat.T).abs()', 'The sign is gone. An opposite is not a double.')

# 6.9 The pictures a channel likes

EXCITED = torch.zeros(3, 2, 2, 3)
EXCITED[2, 0, 1, 2], EXCITED[0, 0, 0, 1], EXCITED[1, 1, 1, 0], EXCITED[0, 1, 0, 2], EXCITED[1, 0] = 9., 4., 7., 6., 2.

e = exercise('6.9', 'The pictures a channel likes',
    'Write `top_activations(A, k=9)`: for each channel of (N,C,h,w) the k pictures whose highest activation is '
    'largest, best first. Return `Top(value, image, place)`, which is in `camtutor.features`; a tuple will do. '
    '`value` (C,k) are those activations, `image` (C,k) the numbers of the pictures, and `place` (C,k,2) the row and '
    'the column where each of them is. (Exercise 5.11 does it for one channel.)',
    library='camtutor.features',
    trials=(gives('By hand: three pictures, two channels, k = 2', EXCITED, 2,
                  want=(torch.tensor([[9., 4.], [7., 6.]]), torch.tensor([[2, 0], [1, 0]]),
                        torch.tensor([[[1, 2], [0, 1]], [[1, 0], [0, 2]]]))),
            gives('Random activations of 6 pictures, k = 3', A_, 3),
            gives('k = 1', A_, 1),
            gives('Nine of 20 pictures, negative ones too', rand(20, 3, 3, 5, seed=6) - 2),
            keeps(A_, 2)),
    hints=('First one number for each picture and channel: `flatten(2).max(2)` gives it, and where it was.',
           '`topk` along the axis of the pictures. What it returns as indices also says which of the places you '
           'need: `gather` takes them.',
           'Turn pictures and channels round, and split each place by the width: whole part and remainder.'),
    why='The quickest way to guess what a channel is for. The guess is then tested with masks.')

@e.reference
def top_activations(A:Tensor, # activations (N,C,h,w) of many pictures
                    k:int=9 # how many pictures for each channel
                   )->Top: # value (C,k), image (C,k), place (C,k,2) as row and column
    "For each channel the `k` pictures that excite it most, best first, and the place in each."
    value, place = A.flatten(2).max(2)
    value, image = value.topk(k, dim=0)
    place = place.gather(0, image).T
    return Top(value.T, image.T, torch.stack([place//A.shape[3], place % A.shape[3]], -1))

e.edit('value, place = A.flatten(2).max(2)', 'value, place = A.mean((2, 3)), A.flatten(2).argmax(2)',
       'You rank by the mean over places. A small strong spot, such as an eye, would be lost: rank by the highest '
       'place.')
e.edit('Top(value.T, image.T, torch.stack([place//A.shape[3], place % A.shape[3]], -1))',
       'Top(value, image, torch.stack([place//A.shape[3], place % A.shape[3]], -1).transpose(0, 1))',
       'The pictures are the first axis. A row for each channel: (C,k).')

@e.wrong
def top_channels(A, k=9):
    "These are each picture's best channels. Asked are each channel's best pictures."
    value, place = A.flatten(2).max(2)
    value, channel = value.topk(k, dim=1)
    place = place.gather(1, channel)
    return value, channel, torch.stack([place//A.shape[3], place % A.shape[3]], -1)

e.edit('k, dim=0', 'k, dim=0, largest=False', 'These are the pictures that a channel likes *least*.')

@e.wrong
def shared(A, k=9):
    "All channels have the same pictures. Each has its own favourites."
    image = A.amax((1, 2, 3)).topk(k).indices
    value, place = A[image].flatten(2).max(2)
    return value.T, image.expand(A.shape[1], k), torch.stack([place.T//A.shape[3], place.T % A.shape[3]], -1)

@e.wrong
def top_places(A, k=9):
    """Several places come from the same picture, since you look for the best places of all. First the best place of
    each picture, then the best pictures."""
    value, at = A.transpose(0, 1).flatten(1).topk(k, dim=1)
    h, w = A.shape[2:]
    return value, at//(h*w), torch.stack([at % (h*w)//w, at % w], -1)

e.edit('place//A.shape[3], place % A.shape[3]', 'place % A.shape[3], place//A.shape[3]',
       'Rows and columns are exchanged: the row comes first.')
e.edit('place//A.shape[3], place % A.shape[3]', 'place//A.shape[2], place % A.shape[2]',
       'A flat index is row · width + column: divide by the *width*.')
e.edit('torch.stack([place//A.shape[3], place % A.shape[3]], -1)', 'place',
       'The place is still one number, counted along the rows. Split it into row and column.')
e.edit('place.gather(0, image).T', 'place[:k].T',
       'The places are those of the first k pictures. Pick them with the pictures that you found, for each channel '
       'its own.')
e.edit('place.gather(0, image).T', 'place.T',
       'There is a place for each of all N pictures: (C,N,2). Keep those of the k pictures that you found, for each '
       'channel its own: `gather` takes them by the numbers in `image`.')
e.edit('place.gather(0, image).T', 'place',
       'There is a place for each of all N pictures, and the pictures come first: (N,C,2). Keep those of the k '
       'pictures that you found, for each channel its own, and turn pictures and channels round.')
e.edit('place.gather(0, image).T', 'place[image.T]',
       'There is one axis too many, (C,k,C,2): with each picture that you found come the places of *all* channels. A '
       'channel needs its own alone: `gather` along the axis of the pictures picks it.')
e.edit('place.gather(0, image).T', 'place[image]',
       'There is one axis too many, and the pictures come first, (k,C,C,2): with each picture that you found come the '
       'places of *all* channels. A channel needs its own alone: `gather` along the axis of the pictures picks it.')
e.edit(', -1)', ')',
       'All rows come first, and then all columns: (2,C,k). Each place is a pair: stack along the last axis.')

# 6.10 Is it an ear detector?

MASKS = rand(6, 12, 12, seed=3) > .4
HAND_A, HAND_MASK = torch.tensor([[[[3., 1.], [-5., 0.]], [[0., 0.], [2., 2.]]]]), torch.tensor([[[1, 1, 0, 0],
                                                                                                  [1, 1, 0, 1],
                                                                                                  [0, 0, 1, 1],
                                                                                                  [0, 0, 0, 0]]]).bool()

e = exercise('6.10', 'Is it an ear detector?',
    'Write `part_energy(A, mask)`: for each channel, over all pictures together, the share of its positive activation '
    'that lies on the part. Average the masks (N,H,W) onto the grid of `A`.',
    library='camtutor.features',
    trials=(gives('Worked by hand: 3.25 of 4; 1 of 4', HAND_A, HAND_MASK, want=[3.25/4, 1/4]),
            gives('Random activations and masks', A_, MASKS),
            gives('A silent channel', torch.zeros(1, 1, 2, 2), HAND_MASK, want=[0.]),
            keeps(A_, MASKS)),
    hints=('`F.adaptive_avg_pool2d` brings the masks onto the grid.',
           'Both sums go over pictures and places; the channel stays.',
           'Inside over total; take care of a silent channel.'),
    why='"This channel sees ears" becomes a number over 200 scenes instead of an impression from nine.')

@e.reference
def part_energy(A:Tensor, # activations (N,C,h,w)
                mask:Tensor # the part's mask in each picture (N,H,W), bool
               )->Tensor: # (C,), 0 to 1
    "The share of each channel's positive activation, over all pictures, on the part; its mask is averaged to the grid."
    A = A.clamp(min=0)
    share = F.adaptive_avg_pool2d(mask.float()[:, None], A.shape[2:])
    return (A*share).sum((0, 2, 3))/A.sum((0, 2, 3)).clamp(min=1e-12)

e.edit('(A*share).sum((0, 2, 3))/A.sum((0, 2, 3)).clamp(min=1e-12)',
       '((A*share).sum((2, 3))/A.sum((2, 3)).clamp(min=1e-12)).mean(0)',
       'You average the shares of the pictures, so that one in which the channel hardly fires counts as much as one '
       'in which it shouts. Add up first, divide last.')
e.edit('A = A.clamp(min=0)\n    ', '', '.clamp(min=1e-12)', '', 'Negative activations are in it. Cut them first.')
e.edit('/A.sum((0', '/share.sum((0', "You divide by the part's area. By the channel's own total.")
e.edit('F.adaptive_avg_pool2d', 'F.interpolate',
       'You pick one pixel for each cell. Average: a cell half covered is 0.5.')
e.edit('(0, 2, 3))/A.sum((0, 2, 3))', '(2, 3))/A.sum((2, 3))',
       'There is a figure for each picture. One for each channel.')
e.edit('F.adaptive_avg_pool2d', 'F.adaptive_max_pool2d',
       'A cell that is just touched counts as full. Average over the cell.')

# 6.11 Rank the channels

e = exercise('6.11', 'Rank the channels',
    'Write `rank_channels(A, mask, k)`: a list of the k best (channel, energy) for a part, best first. `part_energy` '
    'may be imported from `camtutor.features`.',
    trials=(Trial('Random activations and masks', lambda f: [(int(c), float(e)) for c, e in f(A_.clone(), MASKS, 3)]),),
    hints=('`argsort(descending=True)`, or `topk`.',
           'You need both, the channel and its energy.',
           '`topk` returns values and places: zip them the other way round.'),
    why="A small network dissection. Set a uniform map's energy beside it, or the largest part always wins.")

@e.reference
def rank_channels(A:Tensor, # activations (N,C,h,w)
                  mask:Tensor, # the part's mask in each picture (N,H,W), bool
                  k:int # how many
                 )->list: # of (channel, energy), best first
    "The `k` channels whose positive activation lies most on the part. (`part_energy` may be imported.)"
    e = part_energy(A, mask)
    return [(int(c), e[c].item()) for c in e.argsort(descending=True)[:k]]

e.edit('descending=True', '', 'The lowest energies come first.')

@e.wrong
def strongest(A, mask, k):
    "You rank by how much a channel fires. A loud channel need not look at the part."
    e = part_energy(A, mask)
    return [(int(c), e[c].item()) for c in A.clamp(min=0).sum((0, 2, 3)).argsort(descending=True)[:k]]

e.edit('(int(c), e[c].item())', '(e[c].item(), int(c))', 'The pairs are the wrong way round: channel first.')

@e.wrong
def ranks(A, mask, k):
    "`argsort` of an `argsort` gives ranks. One gives the channels in order."
    e = part_energy(A, mask)
    return [(int(c), e[i].item()) for i, c in enumerate(e.argsort(descending=True).argsort()[:k])]

# 6.12 A number without a baseline

e = exercise('6.12', 'A number without a baseline',
    'A channel has 0.42 of its energy on the body. Is it a body detector? Two sentences.',
    reference='That depends on how large the body is: a map that is the same everywhere has as much energy on it as '
              'the body has area. Compare with that share, with other channels, and with what happens when the '
              'channel is switched off.',
    kind='written',
    why='The body is the largest part of our animals: without the baseline it would win every ranking.')

# 6.13 Switch a channel off

def ablated(answer):
    net, x = tiny(), pictures(2)
    before = net(x).detach()
    with answer(net, '0.3', [0, 3]) as same: inside = net(x).detach()
    return {'scores inside': inside, 'scores afterwards are as before': torch.equal(net(x), before),
            'hooks left': hooks_left(net), 'the with gives the model': same is net}

def ablated_error(answer):
    net = tiny()
    try:
        with answer(net, '0.3', [1]): raise KeyError('as planned')
    except KeyError: pass
    return {'hooks left after an error': hooks_left(net)}

e = exercise('6.13', 'Switch a channel off',
    "Write the context manager `ablate_channels(model, layer, channels)`: inside the `with`, these channels of the "
    "layer's output are zero. `as` gives the model; afterwards all is as before, also after an error.",
    library='camtutor.features',
    trials=(Trial('Two channels of the second convolution', ablated),
            Trial('An error inside the with', ablated_error)),
    hints=('A forward hook may return a changed output.',
           'Work on a copy: `clone()`, or `index_fill` without `_`.',
           '`@contextmanager`, register, `try: yield model`, `finally:` remove.'),
    why='A heat map says what a channel correlates with. Switching it off says what it does.')

@e.reference
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

e.edit('finally: handle.remove()', 'finally: pass', 'The hook stays: the channels are off for ever.')
e.edit('return out', 'return None',
       "Your hook returns nothing, and so the output stays. What it returns takes the output's place.")
e.edit('out[:, channels]', 'out[[c for c in channels if c < len(out)]]',
       'You switch off *pictures*: channels are axis 1.')
e.edit('out[:, channels] = 0', 'out[:, [c for c in range(out.shape[1]) if c not in channels]] = 0',
       'It is the other way round: only these channels are left.')
e.edit('finally:', 'except TypeError: raise\n    else:',
       'After an error the hook stays. Put its removal into `finally`.')

@e.wrong
@contextmanager
def ablate_weights(model, layer, channels):
    "You have changed the weights of the network, and they stay so."
    with torch.no_grad():
        model.get_submodule(layer).weight[channels] = 0
        model.get_submodule(layer).bias[channels] = 0
    yield model

# 6.14 What is left without it

FOUR = torch.tensor([[3., 1., 0., 0.], [2., 3., 1., 0.], [1., 5., 6., 0.], [4., 2., 5., 0.]])[..., None, None]
def pooled(): return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

def costs(answer):
    tail = seeded(nn.Sequential(*pooled(), nn.Linear(5, 3)), 3)
    A = rand(40, 5, 2, 2, seed=8) + 2*rand(40, 5, 1, 1, seed=9)
    y = tail(A).argmax(1)
    y[:6] = (y[:6] + 1) % 3
    before = A.clone()
    found = answer(tail, A, y, 3)
    return {'the accuracies': found.detach() if isinstance(found, Tensor) else found,
            'the activations are as before': torch.equal(A, before)}

e = exercise('6.14', 'What is left without it',
    'Write `accuracy_without(tail, A, y, n_classes)`: a table (C,K). In row c, channel c alone is zero; in column k '
    'stands the share of the pictures *of* class k that are then still right. `tail` is the network behind the layer: '
    'it makes scores (N,K) of activations (N,C,h,w). A class without pictures gets 0, and `A` stays as it is.',
    library='camtutor.features',
    trials=(Trial('By hand: four pictures, four channels, each of them the score of a class; no picture of class 3',
                  lambda f: f(pooled(), FOUR.clone(), torch.tensor([0, 1, 1, 2]), 4),
                  torch.tensor([[0., .5, 1., 0.], [1., 0., 1., 0.], [1., 1., 0., 0.], [1., .5, 1., 0.]]),
                  'The scores are (3, 1, 0, 0), (2, 3, 1, 0), (1, 5, 6, 0), (4, 2, 5, 0), the right classes 0, 1, 1, '
                  '2. Put zeros into a column, and look which score is the largest.'),
            Trial('A linear tail, 40 pictures, some labels wrong', costs)),
    hints=('For each channel: a copy with zeros there, the scores, and which pictures are right.',
           '`A.index_fill(1, torch.tensor([c]), 0.)` is such a copy. Stacked, the answers are a table (C,N) of right '
           'and wrong.',
           'From pictures to classes: `F.one_hot(y, n_classes)` is (N,K) and says whose picture it is. A product of '
           'two tables counts; then divide, and not by 0.'),
    why='Most channels turn out to be spare: others stand in. Importance is no property of a channel alone.')

@e.reference
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

e.edit('return hit @ member/member.sum(0).clamp(min=1)', 'return ((tail(A).argmax(1) == y).float() - hit) @ '
                                                         'member/member.sum(0).clamp(min=1)',
       'This is how much is lost. Asked is what is left.')
e.edit('torch.tensor([c])', 'torch.arange(c + 1)',
       'The channels stay off, so that more and more are missing. One at a time.')
e.edit('A.index_fill(', 'A.index_fill_(',
       "You write zeros into the caller's activations, and so the channels also stay off, one after the other. Work "
       "on a copy.")
e.edit('return hit @ member/member.sum(0).clamp(min=1)', 'return (hit @ member/member.sum(0).clamp(min=1)).T',
       'There is a row for each class. A row for each channel.')
e.edit('hit @ member/member.sum(0).clamp(min=1)', 'hit.mean(1)',
       'There is one number for each channel. Count for each class by itself: (C,K).')
e.edit('hit @ member/member.sum(0).clamp(min=1)', 'hit.mean(1)[:, None].expand(-1, n_classes)',
       'Every class of a row has the same number, the accuracy over *all* pictures. In column k count only the '
       'pictures of class k; a class without pictures gets 0.')
e.edit('hit @ member/member.sum(0).clamp(min=1)', 'hit.mean(1)[:, None]*member.any(0)',
       'All classes that have pictures get the same number, the accuracy over *all* pictures. In column k count only '
       'the pictures of class k.')
e.edit('member.sum(0).clamp(min=1)', 'len(y)',
       'You divide by the number of all pictures. Each class by the number of its own.')
e.edit('/member.sum(0).clamp(min=1)', '', 'These are counts. Divide by the number of pictures of each class.')
e.edit('.clamp(min=1)', '', 'A class without pictures gives 0 / 0. It should get 0.')

def each_channel(tail, A, change): return torch.stack([tail(change(A, c)).argmax(1) for c in range(A.shape[1])])
def off(A, c): return A.index_fill(1, torch.tensor([c]), 0.)

@e.wrong
def precision(tail, A, y, n_classes):
    "You divide by how many pictures the network *calls* k. Divide by how many *are* k."
    said = each_channel(tail, A, off)
    return torch.stack([torch.stack([(s == y)[s == k].float().mean().nan_to_num(0.) for k in range(n_classes)])
                        for s in said])

e.edit('.argmax(1) == y).float()', '.argmax(1))', 'hit @ member/member.sum(0).clamp(min=1)',
       'F.one_hot(hit, n_classes).float().mean(1)',
       'This is how often each class is said, right or wrong. Compare with `y`.')
e.edit('A.index_fill(1, torch.tensor([c]), 0.)', 'A - A.index_fill(1, torch.tensor([c]), 0.)',
       'It is the other way round: only channel c is left, and all others are zero.')
e.edit('A.index_fill(1', 'A.index_fill(0', 'You switch off *picture* c. Channels are axis 1.')
e.edit('A.index_fill(1, torch.tensor([c]), 0.)', 'A.index_fill(1, torch.tensor([c]), A[:, c].mean())',
       'You set the channel to its mean. That is done, too, and is gentler; here it is zero.')

# 6.15 Per channel or per layer

e = exercise('6.15', 'Per channel or per layer',
    'You draw all channels of a layer, each scaled by its own largest value. What can you *not* see?',
    reference='Which channels fire strongly and which hardly at all',
    kind='choice')
e.wrong('Where in the picture a channel fires', 'That is just what such a picture shows.')
e.wrong('How many channels there are', 'You can: each tile is one channel.')
