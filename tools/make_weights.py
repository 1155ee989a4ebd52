"""Make the shipped networks again from seeds, and measure them on scenes they have never seen.

    python tools/make_weights.py            train both (about ten minutes on two cores), then report
    python tools/make_weights.py --report   measure the shipped weights only

The figures go to camtutor/data/weights.json and docs/weights.md."""
import argparse, json, random, time
from pathlib import Path
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from fastai.vision.all import imagenet_stats, set_seed

from camtutor.cache import pictures
from camtutor.cam import best_energy, cam, energy, head_weight, peak_inside
from camtutor.pets import load_pets, load_weights, pets_dls, pets_learner, small_resnet
from camtutor.scenes import PARTS, SPECIES
from camtutor.show import upsample

HERE = Path(__file__).resolve().parents[1]
DATA = HERE/'camtutor'/'data'
SIZE = 128
# Seeds of scenes: no two of these ranges meet, and the chapters draw below 1 000 000
SEEDS = dict(pets=10_000_000, backbone=20_000_000, held_out=30_000_000, pairs=31_000_000, learners=32_000_000)
PETS = dict(n_single=8000, n_pairs=4000, epochs=10)
BACKBONE = dict(n_single=6000, n_pairs=2000, epochs=8)

# ---- scenes
def kinds(species, n_single, n_pairs, seed):
    "What to draw: single animals in turn, then pairs of different species."
    r = random.Random(seed)
    return [species[i % len(species)] for i in range(n_single)] + [tuple(r.sample(species, 2)) for _ in range(n_pairs)]

def targets(names, vocab):
    "One column a species, 1 where it is in the scene."
    y = torch.zeros(len(names), len(vocab))
    for row, ns in zip(y, names):
        for n in [ns] if isinstance(ns, str) else ns: row[vocab.index(n)] = 1
    return y

def draw(species, n_single, n_pairs, seed):
    names = kinds(species, n_single, n_pairs, seed)
    return names, pictures(range(seed, seed + len(names)), names, SIZE)

# ---- training
def norm(x):
    mean, std = (torch.tensor(s)[:, None, None] for s in imagenet_stats)
    return (x.permute(0, 3, 1, 2).float().div(255) - mean) / std

def augment(x, r):
    "Mirror, shift by up to 10 pixels, change the light a little."
    if r.random() < .5: x = x.flip(3)
    dy, dx = r.randrange(21), r.randrange(21)
    h, w = x.shape[2:]
    x = F.pad(x, (10,) * 4, mode='reflect')[:, :, dy:dy + h, dx:dx + w]
    return x * (1 + .2 * (torch.rand(len(x), 1, 1, 1) - .5)) + .2 * torch.randn(len(x), 3, 1, 1)

def train(vocab, ims, y, epochs, seed, bs=32, lr=6e-3, wd=.05):
    "A network from nothing: every species is a yes-or-no question (binary cross-entropy), AdamW, one cycle."
    set_seed(seed)
    r, net = random.Random(seed), small_resnet(len(vocab)).to(memory_format=torch.channels_last)
    opt = torch.optim.AdamW(net.parameters(), lr, weight_decay=wd)
    steps = len(y) // bs
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=epochs * steps)
    for epoch in range(epochs):
        order, total, t = torch.randperm(len(y)), 0., time.perf_counter()
        for k in range(steps):
            i = order[k * bs:(k + 1) * bs]
            x = augment(norm(torch.from_numpy(ims[i.numpy()])), r)
            loss = F.binary_cross_entropy_with_logits(net(x), y[i])
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item()
            if k % 20 == 0: print(f'  epoch {epoch + 1} of {epochs}, {k / steps:4.0%}, loss {total / (k + 1):.4f}', end='\r', flush=True)
        print(f'  epoch {epoch + 1} of {epochs}: loss {total / steps:.4f}, {time.perf_counter() - t:.0f} s', flush=True)
    return net.eval()

def save(module, name, vocab, how):
    "Half precision is enough for weights; BatchNorm's counters stay whole numbers."
    state = {k: (t.half() if t.is_floating_point() else t).contiguous() for k, t in module.state_dict().items()}
    mean, std = imagenet_stats
    meta = dict(vocab=list(vocab), size=SIZE, mean=list(mean), std=list(std), made=how)
    path = DATA/f'{name}.safetensors'
    save_file(state, path, metadata={k: json.dumps(v) for k, v in meta.items()})
    path.chmod(0o644)

def make(name, vocab, n_single, n_pairs, epochs):
    t = time.perf_counter()
    print(f'{name}: {n_single} scenes with one animal, {n_pairs} with two, of {", ".join(vocab)}')
    names, p = draw(vocab, n_single, n_pairs, SEEDS[name])
    drawn = time.perf_counter() - t
    net = train(vocab, p.images, targets(names, vocab), epochs, seed=0)
    how = (f'tools/make_weights.py: {n_single} drawn scenes with one animal and {n_pairs} with two, {epochs} epochs, from nothing; '
           'a yes-or-no question for each species (binary cross-entropy); mirrored, shifted, light changed; no mask was used')
    save(net if name == 'pets' else net[0], name, vocab, how)
    print(f'{name}: drawn in {drawn:.0f} s, trained in {time.perf_counter() - t - drawn:.0f} s')

# ---- measuring
@torch.no_grad()
def batched(f, x, bs=50): return torch.cat([f(b) for b in x.split(bs)])

def maps(net, x, k):
    "The CAM of class k[i] for each picture, as large as the picture."
    w = head_weight(net)
    m = batched(lambda b: cam(w, net[0](b)), x)
    return upsample(m[torch.arange(len(k)), k], (SIZE, SIZE))

def report_single(net, n=2000):
    vocab = net.vocab
    names, p = draw(vocab, n, 0, SEEDS['held_out'])
    x, k = norm(torch.from_numpy(p.images)), torch.tensor([vocab.index(s) for s in names])
    right = batched(net, x).argmax(1) == k
    m, mask = maps(net, x, k), torch.from_numpy(p.instances > 0)
    head = torch.from_numpy(np.isin(p.parts, [PARTS.index(s) for s in ('head', 'ears', 'eyes', 'muzzle')]))
    out = dict(scenes=n, accuracy=right.float().mean(), energy=energy(m, mask).mean(), energy_uniform=mask.float().mean(),
               energy_best=best_energy(mask, (8, 8)).mean(), peak=peak_inside(m, mask).float().mean(),
               energy_head=energy(m, head).mean(), energy_head_uniform=head.float().mean(), peak_head=peak_inside(m, head).float().mean())
    return {a: round(float(b), 4) for a, b in out.items()}, {s: round(float(right[k == i].float().mean()), 4) for i, s in enumerate(vocab)}

def report_pairs(net, n=500):
    vocab = net.vocab
    names, p = draw(vocab, 0, n, SEEDS['pairs'])
    x, on = norm(torch.from_numpy(p.images)), []
    for j in range(2):
        k = torch.tensor([vocab.index(s[j]) for s in names])
        on.append(peak_inside(maps(net, x, k), torch.from_numpy(p.instances == j + 1)).float())
    return dict(scenes=n, peak_on_own=round(float(torch.cat(on).mean()), 4))

def error_of(net, x, y): return float((batched(net, x).argmax(1) != y).float().mean())

def fit(pretrained, n, judge, seed):
    "Error on `judge` and seconds: fine_tune(1), or as many epochs from nothing, on `n` scenes of cats and dogs."
    set_seed(seed)
    learn = pets_learner(pets_dls('scenes', n=n, seed=SEEDS['learners'] + 10_000 * seed), pretrained)
    t = time.perf_counter()
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(1) if pretrained else learn.fit_one_cycle(2)
    return error_of(learn.model.eval(), *judge), time.perf_counter() - t

def report_fits(n=600, runs=3):
    names, p = draw(['cat', 'dog'], 1000, 0, SEEDS['held_out'] + 500_000)
    judge = norm(torch.from_numpy(p.images)), torch.tensor([int(s == 'dog') for s in names])
    out = dict(train=n, judged=1000, runs=runs)
    for label, pretrained in dict(fine_tune='camtutor', scratch=None).items():
        errors, seconds = zip(*[fit(pretrained, n, judge, seed) for seed in range(runs)])
        out |= {f'{label}_errors': [round(e, 4) for e in errors], f'{label}_seconds': round(min(seconds), 1)}
    return out

def markdown(r):
    one, two, fits = r['single'], r['pairs'], r['fits']
    pct = lambda v: f'{v:.1%}'
    rows = [('right species, one of ' + str(len(r['species'])), pct(one['accuracy']), '≥ 99 %'),
            ('CAM energy inside the animal', f"{one['energy']:.3f} (uniform map {one['energy_uniform']:.3f}, best possible on 8×8 {one['energy_best']:.3f})", '≥ 0.60'),
            ('CAM peak inside the animal', f"{one['peak']:.3f}", '≥ 0.95'),
            ('CAM energy inside the head', f"{one['energy_head']:.3f} (uniform map {one['energy_head_uniform']:.3f})", ''),
            ('CAM peak inside the head', f"{one['peak_head']:.3f}", ''),
            ('two animals: peak on its own animal', f"{two['peak_on_own']:.3f}", '≥ 0.85'),
            ('cat or dog, `fine_tune(1)`: errors of each run', ', '.join(map(pct, fits['fine_tune_errors'])), '≤ 1 %'),
            ('the same, seconds', f"{fits['fine_tune_seconds']}", '≤ 5'),
            ('cat or dog, two epochs from nothing: errors', ', '.join(map(pct, fits['scratch_errors'])), '')]
    return '\n'.join(['# The shipped networks', '', 'Written by `make weights`; measured again by `python tools/make_weights.py --report`, '
                      f"on {one['scenes']} scenes with one animal and {two['scenes']} with two, from seeds that no network was trained on.", '',
                      '| what | measured | wanted |', '|---|---|---|', *[f'| {a} | {b} | {c} |' for a, b, c in rows], '',
                      'By species: ' + ', '.join(f'{s} {pct(v)}' for s, v in r['species'].items()) + '.', '',
                      *[f'- **{k}.safetensors**, {v["kb"]} KB, knows {", ".join(v["vocab"])}. {v["made"]}.' for k, v in r['files'].items()], ''])

def report():
    net = load_pets()
    single, species = report_single(net)
    r = dict(single=single, species=species, pairs=report_pairs(net), fits=report_fits(), files={})
    for name in ('pets', 'backbone'):
        meta = load_weights(name)[1]
        r['files'][name] = dict(vocab=meta['vocab'], made=meta['made'], kb=(DATA/f'{name}.safetensors').stat().st_size // 1024)
    (DATA/'weights.json').write_text(json.dumps(r, indent=1) + '\n', encoding='utf8')
    (HERE/'docs').mkdir(exist_ok=True)
    (HERE/'docs'/'weights.md').write_text(markdown(r), encoding='utf8')
    print(markdown(r))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--report', action='store_true', help='measure the shipped weights, train nothing')
    if not p.parse_args().report:
        make('pets', list(SPECIES), **PETS)
        make('backbone', [s for s in SPECIES if s not in ('cat', 'dog')], **BACKBONE)
    report()

if __name__ == '__main__': main()
