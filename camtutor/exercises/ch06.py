"Chapter 06: feature maps, kernels, channels."
from contextlib import contextmanager
from copy import deepcopy

import torch, torch.nn.functional as F
from torch import Tensor, nn
from torchvision.utils import make_grid

from camtutor.exercises.common import differing, error_arrives, gives, hooks_left, rand, seeded, uneven
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise

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
            gives('Random activations, per layer', A_[1], 'layer')),
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


e.edit('A.amax((1, 2), keepdim=True)', 'A.amax(2, keepdim=True)',
       'You divide each *row* by its own largest value. Each channel has one, over both axes of places.')
e.edit('A.amax((1, 2), keepdim=True)', 'A.mean((1, 2), keepdim=True)', 'A.max()', 'A.mean()',
       'You divide by the mean. Then the brightest place is not 1, but more.')
e.edit('A = A.clamp(min=0)\n    ', 'A = A.abs()\n    ',
       'You take sizes without signs: a channel that is far below zero looks as if it had found something. Cut the '
       'negatives.')
e.edit('A/top', 'torch.sigmoid(A)/top',
       'You squeeze the values first. Dividing is enough, and keeps their proportions.')
e.edit("A.amax((1, 2), keepdim=True) if per == 'channel' else A.max()",
       "A.amax((1, 2), keepdim=True) if per == 'layer' else A.max()", "'channel' and 'layer' are exchanged.")
e.edit('A/top.clamp(min=1e-12)', 'A/(top + 1)',
       'You add 1 to what you divide by. Then nothing reaches 1; `clamp(min=…)` keeps a divisor from being 0 and '
       'leaves the others as they are.')

# 6.2 A whole layer in one map

e = exercise('6.2', 'A whole layer in one map',
    "Write `fuse_channels(A, how)`: (N,C,h,w) to (N,h,w), the 'mean' or the 'max' over channels.",
    library='camtutor.features',
    trials=(gives('Worked by hand, the mean', A[None], want=[[[1., 1/3], [4., 1/3]]]),
            gives('Worked by hand, the max', A[None], 'max', want=[[[2., 1.], [8., 2.]]]),
            gives('Random activations', A_),
            gives('Random activations, the max', A_, 'max')),
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


e.edit("if how == 'mean'", "if how == 'max'", "'mean' and 'max' are exchanged.")
e.edit(" if how == 'mean' else A.amax(1)", '', "`how` is not used: it is always the mean.")
e.edit("A.mean(1) if how == 'mean' else ", '', "`how` is not used: it is always the largest value.")
e.edit('A.amax(1)', 'A.amin(1)', 'You take the smallest value. The largest.')
e.edit('A.amax(1)', 'A.argmax(1)', 'These are the *numbers* of the strongest channels. Their values: `amax`.')
e.edit('A.amax(1)', 'A.median(1).values', 'This is the median over channels. The largest value.')
e.edit('return A.mean(1)', 'A = A.relu()\n    return A.mean(1)',
       'You cut negatives first. The mean over channels takes them as they are.')
e.edit('A.mean(1)', 'A.norm(dim=1)', 'This is the length over channels. The mean.')
e.edit('A.mean(1)', 'A.square().mean(1).sqrt()', 'This is the root of the mean square. The mean itself.')

# 6.3 Kernels as pictures

IN_A_ROW = torch.ones(3, 5, 11)
IN_A_ROW[:, 2, [2, 5, 8]] = torch.tensor([0., .5, .75])

DOUBLED = torch.ones(3, 6, 14)
DOUBLED[:, 2:4, 2:6], DOUBLED[:, 2:4, 8:12] = torch.tensor([.5, .5, 1., 1.]), torch.tensor([.25, .25, .5, .5])

e = exercise('6.3', 'Kernels as pictures',
    "Write `kernel_grid(w, ncol=8, zoom=8)`: kernels (K,3,kh,kw), or (K,1,kh,kw) in grey, side by side. 0 "
    "becomes 0.5, the "
    "largest absolute value of *all* kernels 1, or 0 if it is negative; zeros are grey. Each weight becomes "
    "`zoom` × `zoom` "
    "pixels; torchvision's `make_grid` lays out, `ncol` in a row, white lines 2 pixels thick.",
    library='camtutor.features',
    trials=(gives('By hand: kernels of one weight, −4, 0 and 2', torch.tensor([-4., 0., 2.]).view(3, 1, 1, 1), 3, 1,
                  want=IN_A_ROW),
            gives('By hand: the weights 0, 2 and −1, 0, enlarged twice',
                  torch.tensor([0., 2., -1., 0.]).view(2, 1, 1, 2), 8, 2, want=DOUBLED),
            gives('Kernels of zeros', torch.zeros(2, 3, 2, 2), 2, 2),
            gives('Twelve kernels in colour', rand(12, 3, 3, 5)),
            gives('Seven in rows of three, enlarged four times', rand(7, 3, 5, 3, seed=1), 3, 4)),
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


e.edit('.5 + .5*w/w.abs().max().clamp(min=1e-12)', 'w.abs()/w.abs().max().clamp(min=1e-12)',
       'You take sizes without signs. A negative weight is as much a part of the pattern: it belongs below the grey.')
e.edit('.5 + .5*w', '.5 - .5*w', 'The signs are turned round: positive weights are bright.')
e.edit(', padding=2', ', padding=1', 'The lines are one pixel thick. Two.')
e.edit('w.abs().max()', 'w.abs().mean()',
       'You divide by the mean. Then strong weights leave [0,1]: by the largest absolute value.')
e.edit('w.abs().max()', 'w.abs().amax((0, 2, 3), keepdim=True)',
       'Each colour has its own scale, so that grey kernels get colours. One number for all.')
e.edit('w/w.abs().max().clamp(min=1e-12)', 'w.clamp(-1, 1)',
       'Nothing is scaled, and weights beyond 1 are cut. Divide by the largest absolute value of all kernels.')

# 6.4 What a kernel lets through

BLUR = torch.tensor([[[[1., 1.]]], [[[1., -1.]]]])

e = exercise('6.4', 'What a kernel lets through',
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


e.edit('.sum(1)', '.mean(1)', 'You average over input channels. Add up.')
e.edit('.sum(1)', '.amax(1)', 'You take the strongest input channel alone. Add up over all of them.')
e.edit('torch.fft.fftshift', 'torch.fft.ifftshift',
       '`ifftshift` undoes a shift: for an odd size it is off by one. `fftshift`.')
e.edit('dim=(-2, -1))', 'dim=-1)', 'Only the columns are shifted. Rows as well: both of the last two axes.')
e.edit('.abs()', '.angle()', 'These are the phases, which say where the waves stand. Their amplitudes: `abs`.')
e.edit('.abs().sum(1)', '.abs().log1p().sum(1)', 'You take logarithms. The amplitudes themselves.')
e.edit('torch.fft.fft2(w, (size, size)).abs()', "torch.fft.fft2(w, (size, size), norm='ortho').abs()",
       'You divide by the size. Without `norm` frequency zero is the sum of the weights.')
e.edit('torch.fft.fft2(w, (size, size)).abs()', 'torch.fft.fft2(w - w.mean((2, 3), keepdim=True), (size, size)).abs()',
       'You take the mean off each kernel, and so nothing answers to a flat picture any more. Leave it in.')
e.edit('fft2(w,', 'fft2(w[:, :1],', 'You take the first input channel alone. Add up over all of them.')
e.edit('torch.fft.fft2(w, (size, size))', 'torch.fft.fft(w, size)',
       'You transform the rows only: `fft`. A kernel has two axes: `fft2`.')

# 6.5 Dead channels

def some_dead():
    A = rand(4, 5, 3, 3).relu()
    A[:, 1] = 1e-9
    A[:3, 2] = 0
    A[:, 4] = -1
    A[:, 3] -= 3
    A[0, 3, 0, 0] = .01
    return A

e = exercise('6.5', 'Dead channels',
    'Write `dead_channels(A, eps)`: which channels of (N,C,h,w) are never above `eps`, at any place of any picture? A '
    'bool each; one that only just reaches `eps` is dead.',
    library='camtutor.features',
    trials=(gives('Five channels, two of them dead, one nearly', some_dead(),
                  want=torch.tensor([False, True, False, False, True])),
            gives('A larger eps', some_dead(), .02),
            gives('Random activations', A_),
            gives('With eps = 0, two channels that are 0 everywhere are dead',
                  rand(3, 4, 2, 5).relu()*torch.tensor([0., 1., 0., 2.])[:, None, None], 0.)),
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


e.edit('<= eps', '< eps',
       'A channel that just reaches `eps` is alive in yours. Never *above* it is dead: with eps = 0 no channel '
       'behind a ReLU could be dead otherwise.')
e.edit('<= eps', '== 0', '`eps` is not used: compare with it, since tiny values are as good as nothing.')
e.edit('A.amax', 'A.abs().amax',
       'You take sizes without signs. A channel that is always below zero is dead behind a ReLU.')
e.edit('A.amax((0, 2, 3)) <= eps', '(A.amax((0, 2, 3)) <= eps).sum()',
       'You count them. Say which: a bool for each channel.')
e.edit('A.amax((0, 2, 3)) <= eps', '(A.amax((0, 2, 3)) <= eps).nonzero().flatten()',
       'These are their numbers. A bool for each channel.')
e.edit('A.amax((0, 2, 3))', 'A[0].amax((1, 2))', 'You look at the first picture alone. At all of them.')
e.edit('A.amax((0, 2, 3))', 'A.std((0, 2, 3))',
       'You ask whether a channel *changes*. One that is always −1 is dead as well, and one that is always 5 is not.')
e.edit('A.amax((0, 2, 3))', 'A.amax((1, 2, 3))', 'There is an answer for each *picture*. One for each channel.')

# 6.6 Doubles

DOUBLES = torch.tensor([[1., 2., 3., 0.], [2., 4., 6., 0.], [-1., -2., -3., 0.], [3., 2., 1., 0.],
                        [0., 0., 0., 0.]]).view(1, 5, 2, 2)

CONSTANT = rand(6, 4, 16, 16, seed=11)
CONSTANT[:, 1], CONSTANT[:, 3] = .1, .7

UNEVEN = A_*torch.linspace(.2, 3, 6)[:, None, None, None] + rand(6, 5, 1, 1, seed=4)

e = exercise('6.6', 'Doubles',
    'Write `channel_similarity(A)`: the correlation (C,C) of every two channels of (N,C,h,w), over all places of all '
    'pictures together. A channel that never changes has 0 with all, itself included.',
    library='camtutor.features',
    trials=(gives('By hand: a channel, its double, its opposite, a reversal, a dead one', DOUBLES,
                  want=[[1., 1., -1., .2, 0.], [1., 1., -1., .2, 0.], [-1., -1., 1., -.2, 0.], [.2, .2, -.2, 1., 0.],
                        [0., 0., 0., 0., 0.]]),
            gives('Random activations, some pictures louder', UNEVEN),
            gives('One channel is .1 everywhere, one is .7', CONSTANT)),
    hints=('A row for each channel: all its values, from all pictures.',
           '`transpose(0, 1)` or `movedim` first, then `flatten(1)`.',
           'Centre each row and divide it by its length; the product of the table with its transpose is the answer. '
           'Rounding may leave a constant row a tiny length: look for rows that never change before you centre.'),
    why='Two channels with correlation 1 do the work of one: here is where pruning begins.')

@e.reference
def channel_similarity(A:Tensor # activations (N,C,h,w) of many pictures
                      )->Tensor: # (C,C), from -1 to 1
    "The correlation of every two channels over all places of all pictures; 0 for channels that never change."
    flat = A.transpose(0, 1).flatten(1)
    changes = flat.amin(1, keepdim=True) < flat.amax(1, keepdim=True)
    flat = (flat - flat.mean(1, keepdim=True))*changes
    flat = flat/flat.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return flat @ flat.T

e.edit('(flat - flat.mean(1, keepdim=True))*changes', 'flat*changes',
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


e.edit('*changes', '',
       'A channel that never changes has 1 with itself, or worse: rounding leaves its row a tiny length, and you '
       'blow that up. Compare its smallest with its largest value, and set it to 0.')
e.edit('return flat @ flat.T', 'C = flat @ flat.T\n    return C.fill_diagonal_(1.)',
       'A channel that never changes has 1 with itself in yours. 0, itself included.')
e.edit('return flat @ flat.T', 'C = flat @ flat.T\n    return C.fill_diagonal_(0.)',
       'The diagonal is 0 in yours. A channel has 1 with itself, unless it never changes.')
e.edit('flat @ flat.T', '(flat @ flat.T).square()', 'You square the correlations, which hides the sign.')
e.edit('flat = A.transpose(0, 1).flatten(1)', 'flat = A.transpose(0, 1).flatten(1).relu()',
       'You cut negatives first. Correlate what is there.')
e.edit('flat @ flat.T', '(flat @ flat.T)/flat.shape[1]',
       'You divide by the number of places after the rows have length 1 already.')
e.edit('flat @ flat.T', '1 - flat @ flat.T', 'This is how unlike they are. The correlation itself.')

@e.wrong
def cosines(A):
    """This is the cosine: the means are left in. Take each channel's mean off first, or all that is positive looks
    alike."""
    flat = F.normalize(A.transpose(0, 1).flatten(1))
    return flat @ flat.T

# 6.7 Directions

RANK_TWO = torch.tensor([[1., 2., 3., 0.], [2., 4., 6., 0.], [3., 2., 1., 0.], [5., 5., 5., 5.]]).view(1, 4, 2, 2)
THREE = rand(5, 3, 4, 6, seed=13)*torch.tensor([3., 1., .3])[:, None, None]
MIXED = torch.einsum('dc,nchw->ndhw', rand(7, 3, seed=12), THREE) + 4.

FADING = rand(5, 6, 4, 8, seed=15)*torch.tensor([4., 2., 1., .5, .25, .1])[:, None, None]

e = exercise('6.7', 'Directions',
    'Write `n_directions(A, share=.95)`: how many principal components of the channels hold at least `share` of '
    'what varies '
    'in (N,C,h,w), over all places of all pictures? A whole number; 0 if nothing varies.',
    library='camtutor.features',
    trials=(Trial('By hand: a channel, its double, a reversal, a constant', lambda f: f(RANK_TWO.clone(), .999), 2,
                  'The double adds no direction, and the constant varies in none.'),
            Trial('Seven blends of three patterns, far from zero', lambda f: f(MIXED.clone(), .9999), 3),
            Trial('The same, 95 %', lambda f: f(MIXED.clone())),
            Trial('The same, 50 %', lambda f: f(MIXED.clone(), .5)),
            Trial('Random activations, 80 %', lambda f: f(rand(5, 9, 6, 4, seed=14), .8)),
            Trial('Six patterns, each half as strong as the one before, 90 %', lambda f: f(FADING.clone(), .9)),
            Trial('A layer that never changes', lambda f: f(torch.full((2, 3, 4, 5), 2.)), 0)),
    hints=('Each place is a point with C coordinates; centre the cloud of points.',
           'The eigenvalues of the (C,C) matrix of products say how much varies along each component: '
           '`torch.linalg.eigvalsh`, smallest first.',
           'Largest first, `cumsum`, and count how many sums are still short of the share; one more reaches it.'),
    why='Channels are a set of axes that training happened upon. How many directions are in use does not depend '
        'on them.')

@e.reference
def n_directions(A:Tensor, # activations (N,C,h,w) of many pictures
                 share:float=.95 # of the variance over all places
                )->int: # 0 to C
    "How many principal components of the channels hold `share` of what varies in a layer."
    flat = A.movedim(1, -1).flatten(0, -2).double()
    flat = flat - flat.mean(0)
    held = torch.linalg.eigvalsh(flat.T @ flat).flip(0).clamp(min=0).cumsum(0)
    return int((held < share*held[-1]).sum()) + int(held[-1] > 0)

e.edit('flat = flat - flat.mean(0)\n    ', '',
       "The cloud of points is not centred: its distance from zero counts as a direction. Take each channel's mean "
       'off first.')
e.edit('flat - flat.mean(0)', 'flat - flat.mean(1, keepdim=True)',
       "You take each *place*'s mean over channels off. Each channel's mean over places.")
e.edit('.flip(0)', '', 'You add up from the smallest component. The largest come first: `eigvalsh` gives them last.')
e.edit(' + int(held[-1] > 0)', '',
       'It is one too few: so many are still *short* of the share. The next one reaches it.')
e.edit(' + int(held[-1] > 0)', ' + 1', 'A layer that never changes has no direction, and yours gives it one.')
e.edit('A.movedim(1, -1).flatten(0, -2)', 'A.mean((2, 3))',
       'You average over places first. Each place of each picture is a point.')
e.edit('A.movedim(1, -1).flatten(0, -2)', 'A.flatten(1)',
       'Each picture is one point in yours, with C·h·w coordinates. Each place is one, with C.')
e.edit('A.movedim(1, -1).flatten(0, -2)', 'A.flatten(0, 1).flatten(1)',
       'Your points are maps, with places for coordinates. A point is a place, with channels for coordinates.')
e.edit('A.movedim(1, -1).flatten(0, -2)', 'A.reshape(-1, A.shape[1])',
       '`reshape(-1, C)` has the right shape and the wrong contents: it cuts the memory into rows of C numbers, '
       'which belong to one channel. Bring the channels to the end first.')
e.edit('.clamp(min=0).cumsum(0)', '.clamp(min=0).sqrt().cumsum(0)',
       'You add up lengths (singular values). What varies is counted in squares: eigenvalues, or squared singular '
       'values.')
e.edit('.clamp(min=0).cumsum(0)', '.clamp(min=0).square().cumsum(0)',
       'You square the eigenvalues, which are squares already.')
e.edit('share*held[-1]', 'share', 'You compare with the share itself. With the share *of the whole*.')
e.edit('int((held < share*held[-1]).sum()) + int(held[-1] > 0)', 'int((held <= share*held[-1]).sum())',
       'You count the components that stay below the share. One more is needed to reach it.')
e.edit('return int((held < share*held[-1]).sum()) + int(held[-1] > 0)', 'return int(torch.linalg.matrix_rank(flat))',
       'This is the rank: every direction counts, however little varies along it. Count until the share is reached.')
e.edit('return int((held < share*held[-1]).sum()) + int(held[-1] > 0)',
       'own = held.diff(prepend=held[:1]*0)\n    return int((own > (1 - share)*held[-1]).sum())',
       'You count components that are large each by themselves. Add them up, largest first, until the share is '
       'reached.')
e.edit('int((held < share*held[-1]).sum()) + int(held[-1] > 0)', '(held/held[-1].clamp(min=1e-12))',
       'These are the shares themselves. How many components does it take?')
e.edit('flat = flat - flat.mean(0)', 'flat = (flat - flat.mean(0))/flat.std(0).clamp(min=1e-12)',
       'You give each channel the same spread first. Then a quiet channel counts as much as a loud one, and other '
       'directions come out.')
e.wrong(lambda A, share=.95: A.shape[1], 'This is the number of channels. Several may share a direction.')
e.edit('return int((held < share*held[-1]).sum()) + int(held[-1] > 0)',
       'return A.shape[1] - int((held < share*held[-1]).sum()) - int(held[-1] > 0)',
       'These are the directions that are *left over*. How many hold the share?')

@e.wrong
def by_channel(A, share=.95):
    """You count *channels*, by how much each varies alone. Doubles count twice so: take the eigenvalues of the matrix
    of products."""
    v = A.double().var((0, 2, 3)).sort(descending=True).values
    return int((v.cumsum(0) < share*v.sum()).sum()) + int(v.sum() > 0)

# 6.8 Is it an ear detector?

MASKS = rand(6, 12, 12, seed=3) > .4
HAND_A, HAND_MASK = torch.tensor([[[[3., 1.], [-5., 0.]], [[0., 0.], [2., 2.]]]]), torch.tensor([[[1, 1, 0, 0],
                                                                                                  [1, 1, 0, 1],
                                                                                                  [0, 0, 1, 1],
                                                                                                  [0, 0, 0, 0]]]).bool()

e = exercise('6.8', 'Is it an ear detector?',
    'Write `part_energy(A, mask)`: for each channel, over all pictures together, the share of its positive activation '
    'that lies on the part. Average the masks (N,H,W) onto the grid of `A`.',
    library='camtutor.features',
    trials=(gives('Worked by hand: 3.25 of 4; 1 of 4', HAND_A, HAND_MASK, want=[3.25/4, 1/4]),
            gives('Random activations and masks', A_, MASKS),
            gives('A silent channel', torch.zeros(1, 1, 2, 2), HAND_MASK, want=[0.]),
            gives('Masks that are not square', A_, rand(6, 16, 30, seed=5) > .3)),
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


e.edit('A = A.clamp(min=0)\n    ', 'A = A.abs()\n    ',
       'You take sizes without signs. Only what is above zero counts as activation.')
e.edit('.clamp(min=1e-12)', '', 'A silent channel gives 0 / 0. It should get 0.')
e.edit('(A*share).sum((0, 2, 3))/A.sum((0, 2, 3)).clamp(min=1e-12)',
       '(A*share).sum((0, 2, 3))/A.sum().clamp(min=1e-12)',
       'You divide by the total of all channels. Each by its own.')
e.edit('(A*share).sum((0, 2, 3))/A.sum((0, 2, 3)).clamp(min=1e-12)', '(A*share).sum((0, 2, 3))',
       "This is how much lies on the part. Divide by the channel's own total.")
e.edit('(A*share).sum((0, 2, 3))', '(A*(1 - share)).sum((0, 2, 3))', 'This is the share *beside* the part.')
e.edit('(A*share).sum((0, 2, 3))', '(A*(share > .5)).sum((0, 2, 3))',
       'You make the averaged mask a yes or no. A cell half covered counts half.')
e.edit('(A*share).sum((0, 2, 3))/A.sum((0, 2, 3)).clamp(min=1e-12)',
       '(A*share).sum((0, 2, 3))/A.sum((0, 2, 3)).clamp(min=1e-12)/share.mean()',
       'You divide by the even share as well: that is the lift. The share alone was asked for.')
e.edit('(A*share).sum((0, 2, 3))/A.sum((0, 2, 3)).clamp(min=1e-12)', '(A*share).mean((0, 2, 3))',
       'This is the mean over places. Divide by what the channel has in all.')
e.wrong(lambda A, mask: part_energy(A[:1], mask[:1]), 'You look at the first picture alone. Add up over all of them.')

# 6.9 A number without a baseline

e = exercise('6.9', 'A number without a baseline',
    'A channel has 0.42 of its energy on the body. Is it a body detector? Two sentences.',
    reference='That depends on how large the body is: a map that is the same everywhere has as much energy on it as '
              'the body has area. Compare with that share, with other channels, and with what happens when the '
              'channel is switched off.',
    kind='written',
    why='The body is the largest part of our animals: without the baseline it would win every ranking.')

# 6.10 Switch a channel off

def ablated(layer, channels):
    def run(answer):
        net = uneven()
        x = differing(net, 3)
        before = net(x).detach()
        with answer(net, layer, channels) as same: inside = net(x).detach()
        return {'scores inside': inside, 'scores afterwards are as before': torch.equal(net(x), before),
                'hooks left': hooks_left(net), 'the with gives the model': same is net}
    return run

def with_gradient(answer):
    net = uneven()
    x = differing(net, 3).requires_grad_()
    with answer(net, '0.1', [0, 3]): out = net(x).sum()
    return {'the gradient at the pixels': torch.autograd.grad(out, x)[0]}

def while_training(answer):
    net = uneven().train()
    with answer(net, '0.3', [1]): inside = net.training
    return {'the network trains inside the with': inside, 'and afterwards': net.training}

def ablated_error(answer):
    net = uneven()
    try:
        with answer(net, '0.3', [1]): raise KeyError('as planned')
    except KeyError: arrives = True
    else: arrives = False
    return {'the error arrives': arrives, 'hooks left after an error': hooks_left(net)}

def within(answer, net):
    with answer(net, '0.0.3', [1]): net(torch.zeros(2, 3, 16, 12))

e = exercise('6.10', 'Switch a channel off',
    "Write the context manager `ablate_channels(model, layer, channels)`: inside the `with`, these channels of the "
    "layer's output are zero. `as` gives the model; afterwards all is as before, also after an error.",
    library='camtutor.features',
    trials=(Trial('Two channels of the second convolution', ablated('0.3', [0, 3])),
            Trial('One channel, behind a ReLU', ablated('0.1', [2])),
            Trial('A gradient through it', with_gradient),
            Trial('A network that is being trained', while_training),
            Trial('An error inside the with', ablated_error),
            error_arrives(uneven(), within)),
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


e.edit('out = out.clone()\n        ', 'out = out.detach().clone()\n        ',
       'You detach what goes on, and no gradient comes through any more. A clone, or `index_fill`, keeps the graph.')
e.edit('out[:, channels] = 0', 'out[:, channels] = out[:, channels].mean((2, 3), keepdim=True)',
       'You flatten the channels to their means. Zero.')
e.edit('out[:, channels] = 0', 'out[:, channels] = -1', 'You set the channels to −1. Zero.')
e.edit('out[:, channels] = 0', 'out[:, channels[0]] = 0', 'Only the first of the channels is off. All of them.')
e.edit('yield model', 'yield', '`as` gives nothing. `yield model` hands the network on.')
e.edit('out[:, channels] = 0', 'out[:] = 0', 'The whole layer is zero. Only these channels.')
e.edit("register_forward_hook(zero)", "register_forward_pre_hook(lambda m, args: (zero(m, args, args[0]),))",
       "You change what the layer *reads*. Its output was asked for.")
e.edit('finally: handle.remove()', 'except Exception: pass\n    finally: handle.remove()',
       'You swallow the error of whoever stands inside the `with`. `try … finally` lets it pass.')
e.edit('finally: handle.remove()', 'finally: model.get_submodule(layer)._forward_hooks.clear()',
       "All hooks of the layer are gone, other people's included. Remove your own, by its handle.")
e.edit('handle = model', 'model.eval()\n    handle = model',
       'You put the network into evaluation mode, and it stays there. Leave its mode alone: a hook does not need it.')

@e.wrong
@contextmanager
def ablate_kernels(model, layer, channels):
    "You set the weights of the channels to 0, so that their bias is left; and a layer without weights stays on."
    m = model.get_submodule(layer)
    old = m.weight.detach().clone() if hasattr(m, 'weight') else None
    with torch.no_grad():
        if old is not None: m.weight[channels] = 0
    try: yield model
    finally:
        with torch.no_grad():
            if old is not None: m.weight.copy_(old)

# 6.11 What a channel is worth

WEIGHT = torch.tensor([[1., -2.], [0., 4.], [3., 1.]])
TOPS = torch.tensor([[[[2., 4.]], [[0., 6.]]], [[[1., 1.]], [[8., 0.]]]])
W_, WORTH = rand(7, 5, seed=20), rand(4, 5, 8, 6, seed=21)

e = exercise('6.11', 'What a channel is worth',
    'The head is a mean over places and a linear layer `weight` (K,C). Write `score_drops(weight, A, classes)`: '
    'by how much '
    'the score of class `classes[n]` of picture n falls when channel c alone is zero, for all n and c: (N,C). No '
    'network '
    'runs.',
    trials=(gives('By hand: means 3, 3 and 1, 4; classes 0 and 2', WEIGHT, TOPS, torch.tensor([0, 2]),
                  want=[[3., -6.], [3., 4.]]),
            gives('Four pictures, five channels, seven classes', W_, WORTH, torch.tensor([6, 0, 3, 3]))),
    hints=('Write the score down as a sum over channels: one term goes.',
           "The term is a weight times the mean of a map. Which row of `weight` is a picture's?",
           '`weight[classes]` is (N,C), a row for each picture.'),
    why='Grad-CAM weight times summed activation: the whole of Ablation-CAM on such a head, without a second pass.')

@e.reference
def score_drops(weight:Tensor, # of the linear layer (K,C)
                A:Tensor, # the activations it reads, before the mean (N,C,h,w)
                classes:Tensor # a class for each picture (N,)
               )->Tensor: # (N,C)
    "How much each picture's score falls without each channel."
    return weight[classes]*A.mean((2, 3))

e.edit('A.mean((2, 3))', 'A.sum((2, 3))', 'You add over places. The head takes the *mean* of each map.')
e.edit('A.mean((2, 3))', 'A.amax((2, 3))', 'You take the largest place. The head takes the mean of each map.')
e.edit('weight[classes]*A.mean((2, 3))', 'A.mean((2, 3))',
       'The weights are missing: a channel counts by its weight in the score.')
e.edit('weight[classes]*A.mean((2, 3))', 'weight[classes]',
       'The activations are missing: a channel that is silent in a picture is worth nothing there.')
e.edit('weight[classes]*A.mean((2, 3))', '-weight[classes]*A.mean((2, 3))',
       'The sign is turned: this is by how much the score *rises*.')
e.edit('weight[classes]*A.mean((2, 3))', '(weight[classes]*A.mean((2, 3))).sum(1)',
       'You add up over channels, which gives the score itself (but for the bias). A number for each channel.')
e.edit('weight[classes]*A.mean((2, 3))', 'A.mean((2, 3)) @ weight.T',
       'These are the scores (N,K). Asked is what each *channel* adds to one of them.')
e.edit('weight[classes]', 'weight[0]', 'Every picture gets the weights of class 0. Each has a class of its own.')
e.edit('weight[classes]', 'weight[classes[0]]',
       "Every picture gets the weights of the first picture's class. Each has a class of its own.")
e.edit('weight[classes]', 'weight.mean(0)', 'You average the weights over classes. Each picture has one class.')
e.edit('weight[classes]', 'weight[(weight @ A.mean((2, 3)).T).argmax(0)]',
       '`classes` is not used: you take the top class of each picture.')
e.edit('weight[classes]*A.mean((2, 3))', '(weight[classes]*A.mean((2, 3))).relu()',
       'You cut what is negative. Some channels speak *against* a class: without them its score rises.')
e.edit('weight[classes]*A.mean((2, 3))', 'weight[classes].abs()*A.mean((2, 3))',
       'You take the weights without their sign. Some channels speak against a class.')
e.edit('weight[classes]*A.mean((2, 3))', 'weight[classes]*A.mean((0, 2, 3))',
       'You average over the pictures. Each picture has activations of its own.')
e.edit('weight[classes]*A.mean((2, 3))', '(weight[classes]*A.mean((2, 3))).mean(0)',
       'You average over the pictures. A row for each of them.')
e.edit('weight[classes]*A.mean((2, 3))', 'weight[classes][..., None, None]*A',
       'These are maps: what each place of each channel adds. Take the mean over places, as the head does.')
e.edit('weight[classes]*A.mean((2, 3))', 'weight[None]*A.mean((2, 3))[:, None]',
       'This is the drop of *every* class, (N,K,C). Pick the one of each picture.')
e.edit('A.mean((2, 3))', 'A.relu().mean((2, 3))',
       'You cut negatives of the activations. The head averages what is there.')
e.edit('weight[classes]*A.mean((2, 3))', '(weight[classes] @ A.mean((2, 3)).T)',
       'This is every picture with the weights of every other, (N,N). Multiply row by row.')

# 6.12 What is left without it

FOUR = torch.tensor([[3., 1., 0., 0.], [2., 3., 1., 0.], [1., 5., 6., 0.], [4., 2., 5., 0.]])[..., None, None]
def pooled(): return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

def costs(answer):
    tail = seeded(nn.Sequential(*pooled(), nn.Linear(5, 3)), 3)
    A = rand(40, 5, 2, 2, seed=8) + 2*rand(40, 5, 1, 1, seed=9)
    y = tail(A).argmax(1)
    y[:6] = (y[:6] + 1) % 3
    return answer(tail, A, y, 3)

e = exercise('6.12', 'What is left without it',
    'Write `accuracy_without(tail, A, y, n_classes)`: a table (C,K). In row c, channel c alone is zero; in '
    'column k stands '
    'the share of the pictures *of* class k that are then still right. `tail` makes scores (N,K) of activations '
    '(N,C,h,w). A class without pictures gets 0.',
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
    why='No channel is needed where others stand in. Importance is no property of a channel alone.')

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


e.edit('torch.tensor([c])', 'torch.tensor([0])', 'It is always channel 0 that is off. Row c: channel c.')
e.edit('.argmax(1) == y', '.argmax(1) == tail(A).argmax(1)',
       'You ask whether the answer *stays the same*. Whether it is right: compare with `y`.')
e.edit('.argmax(1) == y).float()', '.softmax(1).gather(1, y[:, None])[:, 0])',
       'This is the mean probability of the right class. Count right answers.')
