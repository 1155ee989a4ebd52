"Explanations as files: which names there can be, the overlay alone, the numbers."
import io
from pathlib import Path

import numpy as np
from torch import Tensor

from camtutor.canvas import blank
from camtutor.errors import CamError
from camtutor.files import write_whole
from camtutor.marks import MARK, bytes_of, png_text
from camtutor.panels import laid
from camtutor.show import show_grid, to_jpeg, to_png

DRAWN = '.png', '.jpg', '.jpeg', '.pdf', '.svg'

def check_save_path(path, numbers=True)->Path: # in an existing folder, ending as in `DRAWN` or, for numbers, .npz
    """The path, if something can be saved there.

    `CamError` if its suffix or folder is wrong, before any work is done."""
    path = Path(path).expanduser()
    if path.suffix.lower() not in DRAWN + ('.npz',) * numbers:
        raise CamError("the name must end in .png, .jpg, .pdf or .svg (a picture)"
                       + ", or in .npz (the numbers)" * numbers + ".", f"saving to '{path}'")
    if not path.parent.is_dir(): raise CamError("there is no folder "
                                                f"'{path.parent}'. Make it first.", f"saving to '{path}'")
    return path

def save_explanation(e, path, alone, look)->Path: # see `Explanation.save`
    "Write the figure, the overlay alone or the numbers; the path."
    path = check_save_path(path)
    write_whole(path, file_of(e, path.suffix.lower()[1:], alone, look))
    return path

def save_comparison(comparison, path, how)->Path: # see `Comparison.save`
    "Write the figure; the path."
    path = check_save_path(path, numbers=False)
    write_whole(path, bytes_of(comparison.figure(dpi=200, **how), path.suffix.lower()[1:]))
    return path

def file_of(e, kind, alone, look)->bytes:
    "An explanation as a file of a kind: its numbers, the overlay alone, or the figure."
    if kind == 'npz': return numbers(e)
    return laid_file(e, kind, look) if alone else bytes_of(e.figure(dpi=200, **look), kind)

def numbers(e)->bytes: # an npz file that needs no pickle
    "All numbers of an explanation."
    tensors = {k: v.cpu().float().numpy() for k, v in vars(e).items() if isinstance(v, Tensor) and k != 'target'}
    if isinstance(e.target, Tensor): tensors['target'] = e.target.cpu().numpy()
    out = io.BytesIO()
    np.savez_compressed(out, **tensors, label=np.array(e.label), layer=str(e.layer or ''), method=e.method)
    return out.getvalue()

def laid_file(e, kind, look)->bytes:
    "The overlay of one image as a file."
    if len(e) != 1: raise CamError(f"there are {len(e)} images. Save them one by one: e[0].", 'Saving an overlay')
    img = laid(e.cpu(), **look)
    if kind == 'png': return to_png(img, pnginfo=png_text(MARK))
    if kind in ('jpg', 'jpeg'): return to_jpeg(img, 95, comment=MARK.encode())
    fig = blank([s / 100 for s in reversed(img.shape[1:])], 100)
    show_grid(img, ax=fig.add_axes((0, 0, 1, 1)))
    return bytes_of(fig, kind)
