"""Make chapter 05's network again from seeds: convolutions, ReLUs and max pooling in sequence, nothing else.

    python tools/make_plain.py              train, fold BatchNorm away, save camtutor/data/plain.safetensors, measure
    python tools/make_plain.py --report     measure the shipped weights only"""
import argparse, json, random, sys, time
from pathlib import Path
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

sys.path.insert(0, str(Path(__file__).resolve().parent))
from make_weights import DATA, SIZE, augment, batched, norm
from camtutor.cache import pictures
from camtutor.deconvnet import load_plain, plain_net
from camtutor.scenes import SPECIES
from fastai.vision.all import imagenet_stats, set_seed

SEEDS = dict(train=41_000_000, held_out=42_000_000)   # no scene of any other network or chapter
TRAIN = dict(n=6000, epochs=12)

def draw(n, seed):
    names = [SPECIES[i % len(SPECIES)] for i in range(n)]
    return torch.from_numpy(pictures(range(seed, seed + n), names, SIZE).images), torch.tensor([SPECIES.index(s) for s in names])

def with_batchnorm(net):
    "The same layers with a BatchNorm behind each convolution, which training from nothing needs."
    return nn.Sequential(*[n for m in net for n in ([m, nn.BatchNorm2d(m.out_channels)] if isinstance(m, nn.Conv2d) else [m])])

def folded(net):
    "BatchNorm in eval mode only scales and shifts, so the convolution before it can do that alone."
    layers = list(net.eval())
    pairs = zip(layers, layers[1:] + [None])
    return nn.Sequential(*[fuse_conv_bn_eval(m, b) if isinstance(b, nn.BatchNorm2d) else m for m, b in pairs if not isinstance(m, nn.BatchNorm2d)])

def train(x, y, epochs, bs=32, lr=5e-3):
    set_seed(0)
    r, net = random.Random(0), with_batchnorm(plain_net(len(SPECIES))).to(memory_format=torch.channels_last)
    opt, steps = torch.optim.AdamW(net.parameters(), lr, weight_decay=.05), len(y) // bs
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=epochs * steps)
    for epoch in range(epochs):
        total, t = 0., time.perf_counter()
        for i in torch.randperm(len(y))[:steps * bs].view(steps, bs):
            loss = F.cross_entropy(net(augment(norm(x[i]), r)), y[i], label_smoothing=.1)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item()
        print(f'epoch {epoch + 1} of {epochs}: loss {total / steps:.3f}, {time.perf_counter() - t:.0f} s', flush=True)
    return folded(net)

def report(n=1000):
    net, (x, y) = load_plain(), draw(n, SEEDS['held_out'])
    right = (batched(net, norm(x)).argmax(1) == y).float().mean().item()
    print(f"plain.safetensors: {(DATA/'plain.safetensors').stat().st_size // 1024} KB, {right:.1%} of {n} new scenes right")

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--report', action='store_true', help='measure the shipped weights, train nothing')
    if not p.parse_args().report:
        net = train(*draw(TRAIN['n'], SEEDS['train']), TRAIN['epochs'])
        mean, std = imagenet_stats
        meta = dict(vocab=list(SPECIES), size=SIZE, mean=list(mean), std=list(std), made=f"tools/make_plain.py: {TRAIN['n']} drawn scenes, "
                    f"{TRAIN['epochs']} epochs, from nothing; mirrored, shifted, light changed; BatchNorm folded into the convolutions")
        save_file({k: t.half().contiguous() for k, t in net.state_dict().items()}, DATA/'plain.safetensors', metadata={k: json.dumps(v) for k, v in meta.items()})
    report()

if __name__ == '__main__': main()
