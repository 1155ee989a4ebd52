"What the colours of a map mean, and lines that show on any ground."
from contextlib import contextmanager
from typing import NamedTuple

import torch, torch.nn.functional as F
from torch import Tensor

from camtutor.show import colorize, upsample

PALETTE = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
           (120, 60, 170))   # colour-blind people can tell them apart: Okabe and Ito, 2008, the last for their black

class Scale(NamedTuple):
    "What the colours of a map mean."
    low:float         # the raw value at the dark end
    top:float         # and at the bright one
    cut:bool          # are there values beyond the ends?
    hidden:bool       # are there values that the colours do not tell apart?

def scale_of(
    m:Tensor,         # a map (1,H,W) as large as the picture
    signed=False,     # a difference, which has colours for both signs
    top=None,         # the raw value drawn brightest; None = the map's own largest
)->Scale:
    "Which raw values stand at the ends of the colours."
    lowest, largest = m.min().item(), m.abs().max().item()
    high = top or (largest if signed else max(m.max().item(), 0))
    low = -high if signed else 0 if top else max(lowest, 0)
    cut = largest > 1.001 * high
    return Scale(low, high, cut, cut or lowest < min(low, 0))

def colours(cmap)->list:
    "Nine colours (r,g,b) in bytes along a colour map."
    return (colorize(torch.linspace(0, 1, 9)[None, None], cmap)[0, :, 0].T * 255).round().int().tolist()

def ring(
    mask:Tensor, # (1,H,W) bool
    size, # (H,W) of the picture to draw on
)->tuple: # two masks (1,H,W) bool: a light line and a dark one around it
    "The outline of a mask at another size."
    m = (upsample(mask.float(), size) > .5).float()[None]
    near, far = F.max_pool2d(m, 3, 1, 1), F.max_pool2d(m, 7, 1, 3)
    return (near - m)[0] > 0, (far - near)[0] > 0

def outlined(
    img:Tensor, # a picture (1,3,H,W) from 0 to 1
    lines, # from `ring`
)->Tensor: # the same with both lines
    "Draw an outline into a picture."
    light, dark = lines
    return torch.where(light, 1., torch.where(dark, .1, img))

@contextmanager
def one_thread():
    "Painting is many small steps: threads that wait for each other make it slower."
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    try: yield
    finally: torch.set_num_threads(n)
