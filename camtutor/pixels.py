"Pictures as tensors from 0 to 1, however they are held, and what an overlay does to them."
import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from camtutor.errors import CamError
from camtutor.images import picture

def pixels_of(img):
    "The numbers of one picture, or of a batch, as they are; whatever else is a picture is read as one."
    img = getattr(img, 'image', img)
    if isinstance(img, Tensor): return img.detach()
    if isinstance(img, np.ndarray) and img.dtype.kind in 'buif': return torch.from_numpy(np.array(img))
    return torch.from_numpy(np.array(picture(img)))

def channels_first(t):
    "Pictures (N,3,H,W) of one or several, whose colours may stand last."
    shape = tuple(t.shape)
    if t.ndim in (3, 4) and t.shape[-3] != 3 and t.shape[-1] == 3: t = t.movedim(-1, -3)
    t = t[None] if t.ndim == 3 else t
    if t.ndim == 4 and t.shape[1] == 3 and 0 not in t.shape: return t
    raise CamError(f"got shape {shape}, expected (3,H,W), (N,3,H,W), or (H,W,3) bytes.")

def joined(found):
    "Pictures (1,3,H,W) as one batch."
    sizes = sorted({tuple(f.shape[-2:]) for f in found})
    if len(sizes) == 1: return torch.cat(found)
    raise CamError(f"pictures of different sizes {sizes[:3]} make no batch. Resize them first." if found
                   else "there is no picture.")

def in_range(t)->Tensor: # floats
    "Pictures as numbers from 0 to 1, by their bytes or as they are. `CamError` for others."
    t = t.float() / 255 if t.dtype == torch.uint8 else t.float()
    low, high = t.min().item(), t.max().item()
    if low >= -.01 and high <= 1.01: return t.clamp(0, 1)
    raise CamError(f"values run from {low:.2f} to {high:.2f}, not from 0 to 1. If it is a normalised batch, "
                   "undo that first: x * std + mean.")

# ---- back again

def pil(img)->Image.Image: # (1,3,H,W)
    "One picture as Pillow has it."
    if len(img) != 1: raise CamError(f"got {len(img)} of them. Encode one at a time.")
    return Image.fromarray((img[0] * 255).round().byte().movedim(0, -1).contiguous().cpu().numpy())

def encoded(img, format, **kw)->bytes: # (1,3,H,W)
    "One picture as a file."
    buffer = io.BytesIO()
    pil(img).save(buffer, format, **kw)
    return buffer.getvalue()

# ---- below a map

def faded(img, fade):
    "Pictures mixed with their own darker grey: 0 = as they are, 1 = grey."
    grey = (img * img.new_tensor([.30, .59, .11])[:, None, None]).sum(1, keepdim=True)
    return img * (1 - fade) + grey * (.8 * fade)

def pale(img):
    "Pictures as they are drawn where the network has not seen them."
    return .35 * img + .65

def check_shares(**values):
    "`CamError` for what does not run from 0 to 1."
    for name, v in values.items():
        if not 0 <= v <= 1: raise CamError(f"{name} is {v}, but it runs from 0 to 1.")
