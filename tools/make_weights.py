"""Make the shipped networks again from seeds, and measure them on scenes they have never seen.

    python tools/make_weights.py            train all three (about a quarter of an hour on two cores), then report
    python tools/make_weights.py --report   measure the weights only
    python tools/make_weights.py --tiny --out DIR    a few scenes, all written to DIR: does it run?

Weights and figures (weights.json) go to camtutor/data, the table to docs/weights.md; with --out all to one folder."""
import argparse, json, random, time
from pathlib import Path
from types import SimpleNamespace
import numpy as np
import torch
import torch.nn.functional as F
from fastai.vision.all import set_seed
from camtutor.cam import cam, energy, grid_energy, own_share, peak_inside
from camtutor.engine.head import find_head
from camtutor.networks.build import small_resnet
from camtutor.networks.shipped import WEIGHTS, load_shipped, load_weights
from camtutor.pets import pets_dls, pets_learner
from camtutor.scenes import PARTS, SPECIES
from camtutor.scenes.bulk import Pictures, pictures
from camtutor.show import upsample
from camtutor.truth import BASELINES
from training import DATA, ROOT, SIZE, batched, moved, norm, relit, save

# Seeds of scenes: no two of these ranges meet, and the chapters draw below 1 000 000
SEEDS = dict(train=10_000_000, held_out=30_000_000, pairs=31_000_000, learners=32_000_000)
ASTRAY, NAMES_ALONE = .02, 2     # coached: the price of evidence off its own animal, and the epochs before there is one
UNSEEN = 'cat', 'dog'            # by the backbone
# How many scenes to train on, with one animal and with two; epochs; scenes to measure on; for fine-tuning, and runs
FULL = SimpleNamespace(single=8000, pairs=4000, epochs=dict(pets=6, coached=6, backbone=5), bs=32,
                       judged=2000, judged_pairs=500, fit=600, fit_valid=200, fit_judged=1000, runs=3)
TINY = SimpleNamespace(single=24, pairs=8, epochs=dict(pets=1, coached=3, backbone=1), bs=8,
                       judged=16, judged_pairs=4, fit=32, fit_valid=8, fit_judged=8, runs=1)

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

def numbers(names, vocab):
    "The class numbers of both animals of each scene, twice the same where there is one: (N,2)."
    both = [(n, n) if isinstance(n, str) else n for n in names]
    return torch.tensor([[vocab.index(a), vocab.index(b)] for a, b in both])

# ---- training
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
    "The share of the CAM of each species that is there which lies off its own (after an idea of Ross et al., 2017)."
    m = torch.einsum('kc,ncij->nkij', weight, acts).clamp(min=0)[y > 0]
    return ((1 - own[y > 0]) * m).sum((1, 2)).div(m.sum((1, 2)).clamp(min=1e-6)).mean()

def different(p, i, r):
    "A batch made different each time, and the truth (N,2,H,W), parts and instances, moved along."
    truth = torch.from_numpy(np.stack([p.parts[i], p.instances[i]], 1))
    both = moved(torch.cat([norm(torch.from_numpy(p.images[i])), truth.float()], 1), r)
    return relit(both[:, :3]), both[:, 3:].long()

def train(vocab, p, names, epochs, name, seed=0, bs=32, lr=6e-3, wd=.05):
    """A network from nothing: every species is a yes-or-no question (binary cross-entropy), AdamW, one cycle.
    'pets' learns from labels alone; for 'coached', evidence off its own animal has a price; 'backbone' also learns
    which part is where."""
    y, classes = targets(names, vocab), numbers(names, vocab)
    set_seed(seed)
    r, steps = random.Random(seed), len(y) // bs
    net = small_resnet(len(vocab)).to(memory_format=torch.channels_last)
    aux = torch.nn.Conv2d(128, len(PARTS), 1)
    with_parts = name == 'backbone'
    def more_loss(acts, truth, i, epoch):
        if with_parts: return parts_loss(aux(acts), truth[:, 0])
        if name == 'pets' or epoch < NAMES_ALONE: return 0
        own = own_animal(truth[:, 1], classes[i], len(vocab), acts.shape[2:])
        return ASTRAY * astray_loss(acts, net[1][-1].weight, own, y[i])
    opt = torch.optim.AdamW([*net.parameters(), *(aux.parameters() if with_parts else ())], lr, weight_decay=wd)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=epochs * steps, pct_start=.2)
    for epoch in range(epochs):
        order, total, t = torch.randperm(len(y)), 0., time.perf_counter()
        for k in range(steps):
            i = order[k * bs:(k + 1) * bs].sort().values
            x, truth = different(p, i.numpy(), r)
            acts = net[0](x)
            loss = F.binary_cross_entropy_with_logits(net[1](acts), y[i])
            total += loss.item()
            loss = loss + more_loss(acts, truth, i, epoch)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
        print(f'  epoch {epoch + 1} of {epochs}: loss {total / steps:.4f}, {time.perf_counter() - t:.0f} s', flush=True)
    return net.eval()

MADE = ('tools/make_weights.py: {n} drawn scenes with one animal or two, {epochs} epochs, from nothing; '
        'a yes-or-no question for each species; mirrored, shifted, light changed; ')
MORE = dict(pets='from labels alone', coached='evidence off its own animal had a price, by the masks',
            backbone='it also learnt to say which part is where, from the masks')

def make(name, job, folder):
    t, unseen = time.perf_counter(), UNSEEN if name == 'backbone' else ()
    names, p = draw(SPECIES, job.single, job.pairs, SEEDS['train'])
    drawn, keep = time.perf_counter() - t, [i for i, n in enumerate(names) if not there(n) & set(unseen)]
    names, p = [names[i] for i in keep], Pictures(*(a[keep] for a in p))
    vocab, epochs = [s for s in SPECIES if s not in unseen], job.epochs[name]
    print(f'{name}: {len(names)} scenes of {", ".join(vocab)}')
    net = train(vocab, p, names, epochs, name, bs=job.bs)
    made = MADE.format(n=len(names), epochs=epochs) + MORE[name]
    save(net[0] if name == 'backbone' else net, folder/f'{name}.safetensors', vocab, 'sigmoid', made)
    print(f'{name}: drawn in {drawn:.0f} s, trained in {time.perf_counter() - t - drawn:.0f} s')

# ---- measuring
JUDGED = 'pets', 'coached', 'plain'   # the networks whose CAM is measured, beside one that has learned nothing
FACE = 'head', 'ears', 'eyes', 'muzzle'

def untrained():
    "The network of `pets` before training."
    torch.manual_seed(0)
    return small_resnet(len(SPECIES)).eval()

def class_maps(net, x, k):
    "The CAM of class k[i] for each picture, as large as the picture."
    def some(b):
        head = find_head(net, b)
        return cam(head.weight, head.acts)
    return upsample(batched(some, x)[torch.arange(len(k)), k], (SIZE, SIZE))

def on_animal(m, mask, face):
    "How much of maps lies where it should, in scenes with one animal."
    return dict(energy=energy(m, mask).mean(), peak=peak_inside(m, mask).float().mean(),
                energy_face=energy(m, face).mean(), peak_face=peak_inside(m, face).float().mean())

def report_single(nets, n):
    "Networks and baselines on scenes with one animal: figures by name, and pets' right answers by species."
    vocab = list(SPECIES)
    names, p = draw(vocab, n, 0, SEEDS['held_out'])
    x, k = norm(torch.from_numpy(p.images)), torch.tensor([vocab.index(s) for s in names])
    mask, face = (torch.from_numpy(a) for a in (p.instances > 0, np.isin(p.parts, [PARTS.index(s) for s in FACE])))
    right = {name: batched(net, x).argmax(1) == k for name, net in nets.items()}
    rows = {name: on_animal(class_maps(net, x, k), mask, face) | dict(accuracy=right[name].float().mean())
            for name, net in nets.items()}
    rows |= {name: on_animal(f(x), mask, face) for name, f in BASELINES.items()}
    rows['the mask on this grid'] = dict(energy=grid_energy(mask, (8, 8)).mean())
    by_species = {s: right['pets'][k == i].float().mean() for i, s in enumerate(vocab)}
    return {name: rounded(row) for name, row in rows.items()}, rounded(by_species)

def rounded(figures): return {name: round(float(v), 4) for name, v in figures.items()}

def report_pairs(nets, n):
    "Networks and baselines on scenes with two animals: is it the one that was asked for?"
    vocab = list(SPECIES)
    names, p = draw(vocab, 0, n, SEEDS['pairs'])
    x, k = norm(torch.from_numpy(p.images)), torch.tensor([[vocab.index(s) for s in pair] for pair in names])
    first, second = (torch.from_numpy(p.instances == j) for j in (1, 2))
    def scored(a, b):
        share = torch.cat([own_share(a, first, second), own_share(b, second, first)])
        hit = torch.cat([peak_inside(a, first), peak_inside(b, second)])
        return rounded(dict(own_share=share.mean(), peak_on_own=hit.float().mean()))
    rows = {name: scored(*(class_maps(net, x, k[:, j]) for j in (0, 1))) for name, net in nets.items()}
    return rows | {name: scored(f(x), f(x)) for name, f in BASELINES.items()}

def error_of(net, x, y): return float((batched(net, x).argmax(1) != y).float().mean())

def fit(body, job, judge, seed):
    "Error on `judge` and seconds: fine_tune(1) of a body, or two epochs from nothing, on scenes of cats and dogs."
    set_seed(seed)
    dls = pets_dls('scenes', n=job.fit, n_valid=job.fit_valid, seed=SEEDS['learners'] + 10_000 * seed)
    learn = pets_learner(dls, 'camtutor' if body else None)
    if body: learn.model[0].load_state_dict(body)
    t = time.perf_counter()
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(1) if body else learn.fit_one_cycle(2)
    return error_of(learn.model.eval(), *judge), time.perf_counter() - t

def report_fits(job, folder):
    names, p = draw(['cat', 'dog'], job.fit_judged, 0, SEEDS['held_out'] + 500_000)
    judge = norm(torch.from_numpy(p.images)), torch.tensor([int(s == 'dog') for s in names])
    out = dict(train=job.fit, judged=job.fit_judged, runs=job.runs)
    for label, body in dict(fine_tune=load_weights('backbone', folder)[0], scratch=None).items():
        errors, seconds = zip(*[fit(body, job, judge, seed) for seed in range(job.runs)])
        out |= {f'{label}_errors': [round(e, 4) for e in errors], f'{label}_seconds': round(min(seconds), 1)}
    return out

def percent(v): return f'{v:.1%}'

ROWS = dict(accuracy='right species', own_share='two animals: share of the map on its own animal',
            peak_on_own='two animals: peak on its own animal', energy='energy in the animal', peak='peak in the animal',
            energy_face='energy in the face', peak_face='peak in the face')

def table(r):
    "One row a figure, one column a network or baseline, as lines of Markdown."
    names = list(r['single'])
    figures = {name: r['single'][name] | r['pairs'].get(name, {}) for name in names}
    rows = [' | '.join([title, *(f'{figures[n][key]:.3f}' if key in figures[n] else '' for n in names)])
            for key, title in ROWS.items()]
    return [f'| | {" | ".join(names)} |', '|---' * (len(names) + 1) + '|', *(f'| {row} |' for row in rows)]

def fits_table(fits):
    errors = {k: ', '.join(map(percent, fits[f'{k}_errors'])) for k in ('fine_tune', 'scratch')}
    return ['| cat or dog, on the backbone | errors of each run |', '|---|---|',
            f"| `fine_tune(1)` of {fits['train']} scenes, {fits['fine_tune_seconds']} s | {errors['fine_tune']} |",
            f"| two epochs from nothing | {errors['scratch']} |"]

def described(name, f):
    "What a file of weights says of itself, in one line of Markdown."
    return (f'- **{name}.safetensors**, {f["kb"]} KB, knows {", ".join(f["vocab"])}. '
            f'Probabilities by {f["activation"]}. {f["made"]}.')

def markdown(r):
    return '\n'.join([
        '# The shipped networks', '',
        'Written by `make weights`; measured again by `python tools/make_weights.py --report`, '
        f"on {r['scenes'][0]} scenes with one animal and {r['scenes'][1]} with two, "
        'from seeds that no network was trained on. The maps are CAMs of the right class. '
        'Beside them stand the network of `pets` before training, maps that ask no network, and the mask itself on the '
        'grid of 8×8, which is no maximum.', '',
        *table(r), '', *fits_table(r['fits']), '',
        'Right species, by `pets`: ' + ', '.join(f'{s} {percent(v)}' for s, v in r['species'].items()) + '.', '',
        *[described(name, f) for name, f in r['files'].items()], ''])

def shipped(folder):
    "What each file of weights in the folder says of itself."
    paths = {name: folder/f'{name}.safetensors' for name in WEIGHTS}
    said = {name: load_weights(name, folder)[1] for name, p in paths.items() if p.exists()}
    return {name: {k: meta[k] for k in ('vocab', 'activation', 'made')} | dict(kb=paths[name].stat().st_size // 1024)
            for name, meta in said.items()}

def write(r, folder, docs):
    "The figures as JSON, and the table."
    (folder/'weights.json').write_text(json.dumps(r, indent=1) + '\n', encoding='utf8')
    page = docs/'weights.md'
    sections = page.read_text(encoding='utf8').partition('\n## ') if page.exists() else ('', '', '')   # of other tools
    page.write_text(markdown(r) + ''.join(sections[1:]), encoding='utf8')

def report(job, folder, docs):
    here = {name: folder if (folder/f'{name}.safetensors').exists() else DATA for name in JUDGED}
    nets = {name: load_shipped(name, at) for name, at in here.items()} | {'random weights': untrained()}
    single, species = report_single(nets, job.judged)
    r = dict(scenes=[job.judged, job.judged_pairs], single=single, species=species,
             pairs=report_pairs(nets, job.judged_pairs), fits=report_fits(job, folder), files=shipped(folder))
    write(r, folder, docs)
    print(markdown(r))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--report', action='store_true', help='measure the weights, train nothing')
    p.add_argument('--only', choices=FULL.epochs, help='train one of them only')
    p.add_argument('--tiny', action='store_true', help='a few scenes: does it run?')
    p.add_argument('--out', type=Path, help='the folder for all; camtutor/data and docs/ if left out')
    a = p.parse_args()
    if a.tiny and not a.out: p.error('--tiny needs --out, so that the shipped weights stay')
    job, folder, docs = TINY if a.tiny else FULL, a.out or DATA, a.out or ROOT/'docs'
    for d in (folder, docs): d.mkdir(parents=True, exist_ok=True)
    for name in FULL.epochs:
        if not a.report and a.only in (None, name): make(name, job, folder)
    report(job, folder, docs)

if __name__ == '__main__': main()
