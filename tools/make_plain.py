"""Make chapter 05's network again from seeds: convolutions, ReLUs and max pooling in sequence, nothing else.

    python tools/make_plain.py              train, fold BatchNorm away, save camtutor/data/plain.safetensors, measure
    python tools/make_plain.py --report     measure the weights only
    python tools/make_plain.py --tiny --out DIR    a few scenes, written to DIR: does it run?"""
import argparse, random, time
from pathlib import Path
import torch
import torch.nn.functional as F
from fastai.vision.all import set_seed
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from camtutor.networks.build import plain_net
from camtutor.networks.shipped import load_shipped
from camtutor.scenes import SPECIES
from camtutor.scenes.bulk import pictures
from training import DATA, SIZE, batched, moved, norm, relit, save

SEEDS = dict(train=41_000_000, held_out=42_000_000)   # no scene of any other network or chapter
FULL = dict(n=6000, epochs=12, judged=1000)
TINY = dict(n=40, epochs=1, judged=8)

def draw(n, seed):
    names = [SPECIES[i % len(SPECIES)] for i in range(n)]
    drawn = pictures(range(seed, seed + n), names, SIZE)
    return torch.from_numpy(drawn.images), torch.tensor([SPECIES.index(s) for s in names])

def with_batchnorm(net):
    "The same layers with a BatchNorm behind each convolution, which training from nothing needs."
    layers = []
    for m in net: layers += [m, nn.BatchNorm2d(m.out_channels)] if isinstance(m, nn.Conv2d) else [m]
    return nn.Sequential(*layers)

def folded(net):
    "BatchNorm in eval mode only scales and shifts, so the convolution before it can do that alone."
    layers = []
    for m in net.eval():
        if isinstance(m, nn.BatchNorm2d): layers[-1] = fuse_conv_bn_eval(layers[-1], m)
        else: layers.append(m)
    return nn.Sequential(*layers)

def train(x, y, epochs, bs=32, lr=5e-3):
    set_seed(0)
    r, net = random.Random(0), with_batchnorm(plain_net(len(SPECIES))).to(memory_format=torch.channels_last)
    opt, steps = torch.optim.AdamW(net.parameters(), lr, weight_decay=.05), len(y) // bs
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=epochs * steps)
    for epoch in range(epochs):
        total, t = 0., time.perf_counter()
        for i in torch.randperm(len(y))[:steps * bs].view(steps, bs):
            loss = F.cross_entropy(net(relit(moved(norm(x[i]), r))), y[i], label_smoothing=.1)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item()
        print(f'epoch {epoch + 1} of {epochs}: loss {total / steps:.3f}, {time.perf_counter() - t:.0f} s', flush=True)
    return folded(net)

def report(folder, n):
    net, (x, y) = load_shipped('plain', folder), draw(n, SEEDS['held_out'])
    right = (batched(net, norm(x)).argmax(1) == y).float().mean().item()
    kb = (folder/'plain.safetensors').stat().st_size // 1024
    print(f'plain.safetensors: {kb} KB, {right:.1%} of {n} new scenes right')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--report', action='store_true', help='measure the weights, train nothing')
    p.add_argument('--tiny', action='store_true', help='a few scenes: does it run?')
    p.add_argument('--out', type=Path, default=DATA, help="the folder of the weights; the package's own if left out")
    a = p.parse_args()
    if a.tiny and a.out == DATA: p.error('--tiny needs --out, so that the shipped weights stay')
    job = TINY if a.tiny else FULL
    if not a.report:
        a.out.mkdir(parents=True, exist_ok=True)
        net = train(*draw(job['n'], SEEDS['train']), job['epochs'])
        made = (f"tools/make_plain.py: {job['n']} drawn scenes, {job['epochs']} epochs, from nothing; "
                'mirrored, shifted, light changed; BatchNorm folded into the convolutions')
        save(net, a.out/'plain.safetensors', SPECIES, 'softmax', made)
    report(a.out, job['judged'])

if __name__ == '__main__': main()
