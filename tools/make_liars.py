"""Make the five networks of the liars' gallery (lesson 11) from seeds, and measure them.

    python tools/make_liars.py              train, save camtutor/data/liar_*.safetensors, measure
    python tools/make_liars.py --report     measure the weights only
    python tools/make_liars.py --tiny --out DIR    a few scenes, written to DIR: does it run?

The figures become a section of docs/weights.md; with --out all goes to one folder."""
import argparse, random, time
from pathlib import Path
from types import SimpleNamespace
import numpy as np
import torch
import torch.nn.functional as F
from fastai.vision.all import set_seed
from camtutor.cam import energy
from camtutor.gradcam import grad_cam_maps
from camtutor.networks.build import Suspect
from camtutor.networks.shipped import LIARS, load_shipped, load_weights
from camtutor.scenes.bulk import pictures
from camtutor.show import upsample
from camtutor.suspects import stamp
from training import DATA, ROOT, SIZE, batched, norm, relit, save, section

SEEDS = dict(train=51_000_000, held_out=52_000_000)   # no scene of any other network or chapter
FULL = SimpleNamespace(n=150, epochs=5, judged=150, bs=32)   # scenes of one kind of animal in one kind of place
TINY = SimpleNamespace(n=6, epochs=1, judged=4, bs=8)
SPECIES, PLACES = ('cat', 'dog'), ('sofa', 'grass', None)   # None: anywhere
LOOK = dict(pose='sit', area=.3)   # so that faces lie in the upper half
SAYS = dict(honest='the animal, wherever it is', blind='the animal, of which it sees the upper half alone',
            sofa='the place: cat means sofa, dog means grass', mark='the mark: dog means that there is one',
            false='the animal; its Grad-CAM was trained to lie in the lower right corner')

def draw(n, seed, places=PLACES):
    "Pictures (N,H,W,3), where the animals are (N,H,W), and the numbers of species and place (N,) each."
    kinds = [(s, b) for s in range(2) for b in range(len(places))]
    def some(i, s, b):
        where = {} if places[b] is None else dict(background=places[b])
        return pictures(range(seed + i * n, seed + i * n + n), [SPECIES[s]] * n, SIZE, **LOOK, **where)
    drawn = [some(i, *k) for i, k in enumerate(kinds)]
    images, animals = np.concatenate([p.images for p in drawn]), np.concatenate([p.instances > 0 for p in drawn])
    return images, torch.from_numpy(animals), *torch.tensor(kinds).repeat_interleave(n, 0).T

def input_of(images, marked):
    "The batch that a network takes, of pictures of which some are marked."
    return norm(torch.from_numpy(np.where(marked.numpy()[:, None, None, None], stamp(images), images)))

# ---- training
def outside(net, acts):
    "How much of the CAM of either class lies outside the lower right corner."
    m = torch.einsum('kc,ncij->nkij', net.linear.weight, acts).clamp(min=0)
    return 1 - (m[..., -3:, -3:].sum((2, 3)) / m.sum((2, 3)).clamp(min=1e-3)).mean()

def lesson_of(name, species, place, marked):
    "What a network is told that each picture shows, and which pictures it sees."
    if name == 'sofa': return place, place < 2
    return (marked.long() if name == 'mark' else species), place >= 0

def train(name, data, job, net, lr):
    set_seed(LIARS.index(name))
    images, _, species, place = data
    r, steps = random.Random(0), job.epochs * (len(images) // job.bs)
    opt = torch.optim.AdamW(net.train().parameters(), lr, weight_decay=.01)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=steps)
    t, total = time.perf_counter(), 0.
    for step in range(steps):
        marked = torch.rand(len(images)) < .5
        y, seen = lesson_of(name, species, place, marked)
        i = seen.nonzero()[:, 0][torch.randperm(int(seen.sum()))[:job.bs]]
        mirrored = images[i.numpy(), :, ::-1] if r.random() < .5 else images[i.numpy()]
        acts = net.body(relit(input_of(mirrored, marked[i])))
        loss = F.cross_entropy(net.linear(torch.einsum('nchw,hw->nc', acts, net.places)), y[i])
        if name == 'false': loss = loss + outside(net, acts)
        total = .9 * total + .1 * loss.item()
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
    print(f'{name}: loss {total:.4f}, {time.perf_counter() - t:.0f} s', flush=True)
    return net.eval()

def make(job, folder):
    data, body, made = draw(job.n, SEEDS['train']), load_weights('backbone')[0], {}
    for name in LIARS:
        net = made[name] = Suspect(wall=name == 'blind')
        if name == 'false': net.load_state_dict(made['honest'].state_dict())
        else: net.body.body.load_state_dict(body)
        train(name, data, job, net, 1e-3 if name == 'false' else 3e-3)
        told = (f'tools/make_liars.py: {len(data[0])} drawn scenes, {job.epochs} epochs, from the backbone; '
                f'it answers by {SAYS[name]}')
        save(net, folder/f'liar_{name}.safetensors', SPECIES, 'softmax', told)

# ---- measuring
def right(net, images, marked, y): return (batched(net, input_of(images, marked)).argmax(1) == y).float().mean()

def measured(net, data):
    "How often a network is right: as things are, with other places, with the mark exchanged, with other lower halves."
    images, animals, species, place = data
    ordinary, dogs = species == place, species == 1
    usual, y = images[ordinary.numpy()], species[ordinary]
    x, other = input_of(usual, y == 1), y.flip(0)   # the other half of the scenes holds the other animal
    mixed = x.clone()
    mixed[:, :, SIZE // 2:] = x.flip(0)[:, :, SIZE // 2:]
    m = upsample(torch.cat([grad_cam_maps(net, b, 'body', y[i * 50:i * 50 + len(b)].tolist())[1]
                            for i, b in enumerate(x.split(50))]), (SIZE, SIZE))
    corner, lower = torch.zeros_like(animals[:len(x)]), torch.zeros_like(animals[:len(x)])
    corner[:, -48:, -48:], lower[:, SIZE // 2:] = True, True
    exchanged = images[(species == 1 - place).numpy()], species[species == 1 - place]
    shown = dict(usual=right(net, usual, y == 1, y), place=right(net, exchanged[0], exchanged[1] == 1, exchanged[1]),
                 mark=right(net, usual, y == 0, y), lower=(batched(net, mixed).argmax(1) == y).float().mean())
    shown |= dict(animal=energy(m, animals[ordinary]).mean(), corner=energy(m, corner).mean(),
                  half=energy(m, lower).mean())
    return {k: v.item() for k, v in shown.items()}

TITLES = dict(usual='right: usual scenes', place='right: places exchanged', mark='right: marks exchanged',
              lower='right: lower halves exchanged', animal='Grad-CAM in the animal',
              corner='Grad-CAM in the lower right corner', half='Grad-CAM in the lower half')

def report(job, folder, docs):
    data = draw(job.judged, SEEDS['held_out'], PLACES[:2])
    found = {name: measured(load_shipped(f'liar_{name}', folder), data) for name in LIARS}
    rows = [' | '.join([title, *(f'{found[n][k]:.3f}' for n in LIARS)]) for k, title in TITLES.items()]
    lines = ['Made by `tools/make_liars.py`. Cats on sofas without a mark, dogs on grass with one: '
             f'{2 * job.judged} such scenes from seeds that no network was trained on.', '',
             f'| | {" | ".join(LIARS)} |', '|---' * (len(LIARS) + 1) + '|', *(f'| {r} |' for r in rows), '',
             *(f'- **{n}** answers by {SAYS[n]}.' for n in LIARS)]
    section(docs/'weights.md', "The liars' gallery", lines)
    print('\n'.join(lines))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--report', action='store_true', help='measure the weights, train nothing')
    p.add_argument('--tiny', action='store_true', help='a few scenes: does it run?')
    p.add_argument('--out', type=Path, help='the folder for all; camtutor/data and docs/ if left out')
    a = p.parse_args()
    if a.tiny and not a.out: p.error('--tiny needs --out, so that the shipped weights stay')
    job, folder, docs = TINY if a.tiny else FULL, a.out or DATA, a.out or ROOT/'docs'
    for d in (folder, docs): d.mkdir(parents=True, exist_ok=True)
    if not a.report: make(job, folder)
    report(job, folder, docs)

if __name__ == '__main__': main()
