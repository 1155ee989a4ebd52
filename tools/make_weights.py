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

from camtutor.cache import Pictures, pictures
from camtutor.cam import best_energy, cam, energy, head_weight, peak_inside
from camtutor.pets import SHIPPED, load_pets, load_weights, pets_dls, pets_learner, small_resnet
from camtutor.scenes import PARTS, SPECIES
from camtutor.show import upsample

HERE = Path(__file__).resolve().parents[1]
DATA = HERE/'camtutor'/'data'
SIZE = 128
# Seeds of scenes: no two of these ranges meet, and the chapters draw below 1 000 000
SEEDS = dict(train=10_000_000, held_out=30_000_000, pairs=31_000_000, learners=32_000_000)
N_SINGLE, N_PAIRS = 8000, 4000   # scenes to train on, with one animal and with two
EPOCHS = dict(pets=6, backbone=5)
ASTRAY, NAMES_ALONE = .02, 2     # pets: the price of evidence off its own animal, and the epochs before there is one
UNSEEN = 'cat', 'dog'            # by the backbone

# ---- scenes
def kinds(species, n_single, n_pairs, seed):
    "What to draw: single animals in turn, then pairs of different species."
    r = random.Random(seed)
    return [species[i % len(species)] for i in range(n_single)] + [tuple(r.sample(species, 2)) for _ in range(n_pairs)]

def draw(species, n_single, n_pairs, seed):
    names = kinds(list(species), n_single, n_pairs, seed)
    return names, pictures(range(seed, seed + len(names)), names, SIZE)

def there(names): return {names} if isinstance(names, str) else set(names)

def targets(names, vocab):
    "One column a species, 1 where it is in the scene."
    return torch.tensor([[float(v in there(n)) for v in vocab] for n in names])

# ---- training
def norm(x):
    mean, std = (torch.tensor(s)[:, None, None] for s in imagenet_stats)
    return (x.permute(0, 3, 1, 2).float().div(255) - mean) / std

def augment(x, truth, r):
    "Mirror, shift by up to 10 pixels, change the light a little; the truth (N,2,H,W), parts and instances, moves along."
    both = torch.cat([x, truth.float()], 1)
    if r.random() < .5: both = both.flip(3)
    dy, dx, (h, w) = r.randrange(21), r.randrange(21), x.shape[2:]
    both = F.pad(both, (10,) * 4, mode='reflect')[:, :, dy:dy + h, dx:dx + w]
    light = 1 + .2 * (torch.rand(len(x), 1, 1, 1) - .5)
    return both[:, :3] * light + .2 * torch.randn(len(x), 3, 1, 1), both[:, 3:].long()

def parts_loss(scores, parts):
    "How badly scores (N,P,h,w) tell which share of each square belongs to which part (N,H,W)."
    share = F.one_hot(parts, len(PARTS)).permute(0, 3, 1, 2).float()
    return -(F.adaptive_avg_pool2d(share, scores.shape[2:]) * scores.log_softmax(1)).sum(1).mean()

def own_animal(instances, classes, n_classes, size):
    "What share of each square belongs to the animal of each class: (N,H,W) and class numbers (N,2) -> (N,K,h,w)."
    share = F.adaptive_avg_pool2d(F.one_hot(instances, 3)[..., 1:].permute(0, 3, 1, 2).float(), size)
    own = share.new_zeros(len(share), n_classes, *size)
    for j in range(2): own[range(len(own)), classes[:, j]] += share[:, j]
    return own

def astray_loss(acts, weight, own, y):
    "The share of the CAM of each species that is there which lies off its own animal (Ross et al., 2017)."
    m = torch.einsum('kc,ncij->nkij', weight, acts).clamp(min=0)[y > 0]
    return ((1 - own[y > 0]) * m).sum((1, 2)).div(m.sum((1, 2)).clamp(min=1e-6)).mean()

def train(vocab, p, names, epochs, with_parts, seed=0, bs=32, lr=6e-3, wd=.05):
    """A network from nothing: every species is a yes-or-no question (binary cross-entropy), AdamW, one cycle.
    `with_parts`: it also learns which part is where; otherwise evidence off its own animal has a price."""
    y, classes = targets(names, vocab), torch.tensor([[vocab.index(n[0]), vocab.index(n[1])]
                                                      if isinstance(n, tuple) else [vocab.index(n)] * 2 for n in names])
    set_seed(seed)
    r, steps = random.Random(seed), len(y) // bs
    net, aux = small_resnet(len(vocab)).to(memory_format=torch.channels_last), torch.nn.Conv2d(128, len(PARTS), 1)
    weights = [*net.parameters(), *(aux.parameters() if with_parts else ())]
    opt = torch.optim.AdamW(weights, lr, weight_decay=wd)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=epochs * steps, pct_start=.2)
    for epoch in range(epochs):
        order, total, t = torch.randperm(len(y)), 0., time.perf_counter()
        for k in range(steps):
            i = order[k * bs:(k + 1) * bs].sort().values
            truth = torch.from_numpy(np.stack([p.parts[i.numpy()], p.instances[i.numpy()]], 1))
            x, truth = augment(norm(torch.from_numpy(p.images[i.numpy()])), truth, r)
            acts = net[0](x)
            loss = F.binary_cross_entropy_with_logits(net[1](acts), y[i])
            total += loss.item()
            if with_parts: loss = loss + parts_loss(aux(acts), truth[:, 0])
            elif epoch >= NAMES_ALONE: loss = loss + ASTRAY * astray_loss(acts, net[1][-1].weight, own_animal(truth[:, 1], classes[i], len(vocab), acts.shape[2:]), y[i])
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            if k % 20 == 0: print(f'  epoch {epoch + 1} of {epochs}, {k / steps:4.0%}, loss {total / (k + 1):.4f}', end='\r', flush=True)
        print(f'  epoch {epoch + 1} of {epochs}: loss {total / steps:.4f}, {time.perf_counter() - t:.0f} s', flush=True)
    return net.eval()

def save(module, name, vocab, how):
    "Half precision is enough for weights; BatchNorm's counters stay whole numbers."
    state = {k: (t.half() if t.is_floating_point() else t).contiguous() for k, t in module.state_dict().items()}
    mean, std = imagenet_stats
    meta, path = dict(vocab=list(vocab), size=SIZE, mean=list(mean), std=list(std), made=how), DATA/f'{name}.safetensors'
    save_file(state, path, metadata={k: json.dumps(v) for k, v in meta.items()})
    path.chmod(0o644)

def make(name):
    t, unseen = time.perf_counter(), UNSEEN if name == 'backbone' else ()
    names, p = draw(SPECIES, N_SINGLE, N_PAIRS, SEEDS['train'])
    drawn, keep = time.perf_counter() - t, [i for i, n in enumerate(names) if not there(n) & set(unseen)]
    names, p, vocab = [names[i] for i in keep], Pictures(*(a[keep] for a in p)), [s for s in SPECIES if s not in unseen]
    print(f'{name}: {len(names)} scenes of {", ".join(vocab)}')
    net = train(vocab, p, names, EPOCHS[name], name == 'backbone')
    how = f'{len(names)} drawn scenes with one animal or two, {EPOCHS[name]} epochs, from nothing; a yes-or-no question for each species; mirrored, shifted, light changed; '
    how += 'it also learnt to say which part is where, from the masks' if name == 'backbone' else 'evidence off its own animal had a price, by the masks'
    save(net if name == 'pets' else net[0], name, vocab, 'tools/make_weights.py: ' + how)
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
                      f"on {one['scenes']:.0f} scenes with one animal and {two['scenes']} with two, from seeds that no network was trained on.", '',
                      '| what | measured | wanted |', '|---|---|---|', *[f'| {a} | {b} | {c} |' for a, b, c in rows], '',
                      'By species: ' + ', '.join(f'{s} {pct(v)}' for s, v in r['species'].items()) + '.', '',
                      *[f'- **{k}.safetensors**, {v["kb"]} KB, knows {", ".join(v["vocab"])}. {v["made"]}.' for k, v in r['files'].items()], ''])

def shipped():
    "What each file of weights says of itself."
    kb = {name: (DATA/f'{name}.safetensors').stat().st_size // 1024 for name in SHIPPED}
    return {name: {k: load_weights(name)[1][k] for k in ('vocab', 'made')} | dict(kb=kb[name]) for name in SHIPPED}

def report():
    net = load_pets()
    single, species = report_single(net)
    r = dict(single=single, species=species, pairs=report_pairs(net), fits=report_fits(), files=shipped())
    (DATA/'weights.json').write_text(json.dumps(r, indent=1) + '\n', encoding='utf8')
    (HERE/'docs').mkdir(exist_ok=True)
    (HERE/'docs'/'weights.md').write_text(markdown(r), encoding='utf8')
    print(markdown(r))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--report', action='store_true', help='measure the shipped weights, train nothing')
    p.add_argument('--only', choices=EPOCHS, help='train one of them only')
    a = p.parse_args()
    for name in EPOCHS:
        if not a.report and a.only in (None, name): make(name)
    report()

if __name__ == '__main__': main()
