"What the training scripts share: pictures for a network, made different each time, and weights that ship."
import json, re
from pathlib import Path
import torch
import torch.nn.functional as F
from fastai.vision.all import imagenet_stats
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT/'camtutor'/'data'
SIZE = 128

def norm(x):
    "Bytes (N,H,W,3), as `pictures` gives them, as a normalised batch (N,3,H,W)."
    mean, std = (torch.tensor(s)[:, None, None] for s in imagenet_stats)
    return (x.permute(0, 3, 1, 2).float().div(255) - mean) / std

def moved(x, r):
    "Mirrored or not, and shifted by up to 10 pixels: (N,C,H,W)."
    if r.random() < .5: x = x.flip(3)
    dy, dx, (h, w) = r.randrange(21), r.randrange(21), x.shape[2:]
    return F.pad(x, (10,) * 4, mode='reflect')[:, :, dy:dy + h, dx:dx + w]

def relit(x):
    "The light of each picture changed a little: (N,3,H,W)."
    return x * (1 + .2 * (torch.rand(len(x), 1, 1, 1) - .5)) + .2 * torch.randn(len(x), 3, 1, 1)

@torch.no_grad()
def batched(f, x, bs=50): return torch.cat([f(b) for b in x.split(bs)])

def save(module, path, vocab, activation, made):
    "Half precision is enough for weights; BatchNorm's counters stay whole numbers."
    state = {k: (t.half() if t.is_floating_point() else t).contiguous() for k, t in module.state_dict().items()}
    mean, std = imagenet_stats
    meta = dict(vocab=list(vocab), size=SIZE, mean=list(mean), std=list(std), activation=activation, made=made)
    save_file(state, path, metadata={k: json.dumps(v) for k, v in meta.items()})
    path.chmod(0o644)

def section(path, title, lines):
    "Write a section of a page of Markdown, in place of the one with that title."
    old = path.read_text(encoding='utf8') if path.exists() else ''
    rest = re.sub(rf'(?ms)^## {re.escape(title)}$.*?(?=^## |\Z)', '', old).rstrip()
    path.write_text('\n'.join([rest, '', f'## {title}', '', *lines, '']).lstrip(), encoding='utf8')
