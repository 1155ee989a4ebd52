"Several scenes as one thing: a contact sheet, tensors, and the scenes that ship with the package."
import json
from importlib.resources import files
from io import BytesIO

import numpy as np
import torch
from PIL import Image

from camtutor.errors import CamError
from camtutor.scenes.bulk import unpack
from camtutor.scenes.draw import Scene

def contact_sheet(
    images, # arrays (H,W,3) uint8 of one size
    cols:int=8, # pictures in a row
    gap:int=3 # white pixels between them
)->Image.Image:
    "Small pictures side by side, as photographers print them."
    h, w = images[0].shape[:2]
    rows, cols = -(-len(images) // cols), min(cols, len(images))
    out = np.full((rows*(h + gap) - gap, cols*(w + gap) - gap, 3), 255, np.uint8)
    for i, im in enumerate(images):
        y, x = i // cols * (h + gap), i % cols * (w + gap)
        out[y:y + h, x:x + w] = im
    return Image.fromarray(out)

class Gallery:
    "Scenes of one size: shows itself as a contact sheet, gives pictures and truth as tensors."
    def __init__(self, scenes):
        self.scenes = list(scenes)
        shapes = {s.image.shape for s in self.scenes}
        if len(shapes) != 1:
            raise CamError(f'the scenes have {len(shapes)} different sizes, {sorted(shapes)}. '
                           'Give one or more, all of one size.', 'Making a gallery')
    def __len__(self): return len(self.scenes)
    def __getitem__(self, i): return Gallery(self.scenes[i]) if isinstance(i, slice) else self.scenes[i]
    def batch(self, transform):
        "All pictures through a network's transform: (N,3,H,W)."
        return torch.stack([transform(s) for s in self.scenes])
    def mask(self, part='animal', instance=None):
        "Where the part is in each picture: (N,H,W) bool."
        return torch.from_numpy(np.stack([s.mask(part, instance) for s in self.scenes]))
    def _repr_jpeg_(self):
        "What a notebook shows."
        f = BytesIO()
        contact_sheet([s.image for s in self.scenes]).save(f, 'JPEG', quality=82)
        return f.getvalue()

def gallery()->Gallery:
    "The shipped scenes, some of them with two animals."
    with np.load(files('camtutor')/'data'/'gallery.npz', allow_pickle=False) as z:
        drawn, info = zip(*unpack(z['packed'])), json.loads(str(z['info']))
    info = [{k: tuple(v) if isinstance(v, list) else v for k, v in i.items()} for i in info]
    return Gallery(Scene(*p, **i) for p, i in zip(drawn, info))
