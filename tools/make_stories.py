"""Train what lesson 11 tells of, over three seeds, and measure it: stories, cures, and biases of every strength.

    python tools/make_stories.py             train, save camtutor/data/strengths.safetensors and stories.json, measure
    python tools/make_stories.py --told      the stories alone; the networks of each strength stay as they are
    python tools/make_stories.py --tiny --out DIR    a few scenes, written to DIR: does it run?

The figures become a section of docs/weights.md; with --out all goes to one folder."""
import argparse, json
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from camtutor.bias import alike, astray, biases, pasted, worst_group
from camtutor.cam import energy, own_share, retrain_head
from camtutor.engine.ask import scores
from camtutor.features import accuracy_without
from camtutor.gradcam import grad_cam_maps
from camtutor.networks.shipped import load_weights
from camtutor.scenes import scene
from camtutor.show import upsample
from camtutor.stories import (FAR, MEASURED, SPECIES, STRENGTHS, Set, as_drawn, draw_set, fine_tuned, finished,
                              inputs, new_net, redrawn, small_parts, tint)
from camtutor.suspects import stamp, stamp_dogs
from camtutor.truth import two_animals
from training import DATA, ROOT, section

SEEDS = 53_000_000, 54_000_000, 55_000_000   # of the scenes, for the trainings' seeds 0, 1 and 2
FULL = SimpleNamespace(n=120, judged=40, redrawn=12, epochs=4, light=8, seeds=3, strengths=STRENGTHS)
TINY = SimpleNamespace(n=4, judged=2, redrawn=2, epochs=1, light=1, seeds=1, strengths=STRENGTHS[::5])

def joined(a, b): return Set(*(np.concatenate(v) if isinstance(v[0], np.ndarray) else torch.cat(v) for v in zip(a, b)))

# ---- what is measured
def right(net, images, y): return scores(net, inputs(images)).argmax(1) == y

def told(net, same, other):
    "How often a network is right: on the same kind, with the cue exchanged, and in the worst of the groups."
    ok = [right(net, s.images, s.y) for s in (same, other)]
    worst = worst_group(torch.cat(ok), torch.cat([same.groups, 2 * same.groups.max() + 1 + other.groups]))
    return [o.float().mean().item() for o in ok] + [worst.item()]

def maps(net, x, y): return upsample(grad_cam_maps(net, x, '0', y.tolist())[1], x.shape[2:])

def measured(net, same, other, data, cue, finish=as_drawn):
    "The same with names, how much of the maps lies on the animal, and what map and experiment say of the cue."
    found = biases(net, data, finish)[cue]
    on = energy(maps(net, inputs(same.images), same.y), same.animals).mean().item()
    return dict(zip(('same', 'exchanged', 'worst'), told(net, same, other)), animal=on,
                cue=found.share - found.area, effect=found.effect[0])

def own(net, duo):
    "How much of the map for each of two animals lies on its own, against the other."
    here, there = duo.masks.unbind(1)
    one, other = (maps(net, duo.x, duo.classes[:, k]) for k in (0, 1))
    return torch.cat([own_share(one, here, there), own_share(other, there, here)]).mean().item()

def worst_channel(net, s):
    "The lowest accuracy with one channel of the body off."
    with torch.no_grad(): A = net[0](inputs(s.images))
    return accuracy_without(net[1], A, s.y, 2).mean(1).min().item()

# ---- the stories
USUAL, TURNED = [('cat', 'sofa'), ('dog', 'grass')], [('cat', 'grass'), ('dog', 'sofa')]
ANYWHERE = [(s, None) for s in SPECIES]
ELSEWHERE = [(s, b) for s in SPECIES for b in ('wood', 'snow', 'brick', 'beach')]

def cut(s): return np.where(s.animals[..., None], s.images, np.uint8(128))

def cured(x, s, balanced, seed, epochs):
    "The lesson's cures, each by its own training."
    order = torch.randperm(len(s.y), generator=torch.Generator().manual_seed(seed))
    swapped = pasted(torch.from_numpy(s.images), s.animals, order).numpy()
    share = F.adaptive_avg_pool2d(s.animals.float()[:, None], 8)[:, 0]
    def price(acts, weight, i): return astray(acts, weight, share[i], s.y[i]).mean()
    some = alike(balanced.groups, len(balanced.y) // 16 or 1)   # 15 of each, as in the lesson
    nets = dict(biased=fine_tuned(x, s.y, seed=seed, epochs=epochs))
    nets['balanced'] = fine_tuned(inputs(balanced.images), balanced.y, seed=seed, epochs=epochs)
    nets['pasted'] = fine_tuned(inputs(swapped), s.y, seed=seed, epochs=epochs)
    nets['cut away'] = fine_tuned(inputs(cut(s)), s.y, seed=seed, epochs=epochs)
    nets['charged'] = fine_tuned(x, s.y, price, seed, epochs)
    nets['last layer'] = deepcopy(nets['biased'])
    retrain_head(nets['last layer'], [(inputs(balanced.images[some.numpy()]), balanced.y[some])])
    return nets

def drawn(job, i):
    "The scenes of one seed: to learn from, as always and with places exchanged, and to be judged on, likewise."
    first, n = SEEDS[i], job.n
    return (draw_set(USUAL, n, first), draw_set(TURNED, n // 2, first + 1000),
            draw_set(USUAL, job.judged, first + 2000), draw_set(TURNED, job.judged, first + 3000))

def first_of(s, n):
    "The first `n` of each group."
    i = alike(s.groups, n)
    return Set(s.images[i.numpy()], *(t[i] for t in s[1:]))

def again(job, seed, parts, kinds=({}, {}), **fixed):
    "Scenes drawn again without some parts: cats and dogs in turn, `kinds` says how each is drawn."
    y = [j % 2 for j in range(job.redrawn)]
    return redrawn([scene(seed + j, SPECIES[k], **kinds[k], **fixed) for j, k in enumerate(y)], y, parts)

def of_places(job, i, scenes, balanced):
    "Cats on sofas and dogs on grass, and the cures: name -> what was measured."
    story, _, same, other = scenes
    data = again(job, SEEDS[i] + 8000, ('background',), [dict(background=b) for _, b in USUAL])
    elsewhere = draw_set(ELSEWHERE, job.judged // 2, SEEDS[i] + 7000)
    nets = cured(inputs(story.images), story, balanced, i, job.epochs)
    duo = two_animals(nets['biased'], 2 * job.redrawn, SEEDS[i] + 9000)
    def row(net):
        more = dict(elsewhere=right(net, elsewhere.images, elsewhere.y), cut=right(net, cut(same), same.y))
        return measured(net, same, other, data, 'background') | dict(own=own(net, duo)) | {
            k: v.float().mean().item() for k, v in more.items()}
    found = {name: row(net) for name, net in nets.items()}
    found['biased']['channel'] = worst_channel(nets['biased'], same)
    return found, data

def of_finish(job, i, s, held, data, finish):
    "Something is done to the finished pictures of a class."
    s = finished(s, finish)
    net = fine_tuned(inputs(s.images), s.y, seed=i, epochs=job.epochs)
    return measured(net, finished(held, finish), finished(held, finish, True), data, 'finish', finish)

def of_mark(job, i, seed, **fixed):
    "Every dog is marked and no cat, wherever they are."
    s, held = (draw_set(ANYWHERE, n, seed + at, **fixed) for n, at in ((job.n, 0), (job.judged, 1000)))
    return of_finish(job, i, s, held, again(job, seed + 2000, (), **fixed), stamp_dogs)

def unmarked(job, i, seed, **fixed):
    "The same scenes without a mark: how well can the animals themselves be told apart?"
    s, held = (draw_set(ANYWHERE, n, seed + at, **fixed) for n, at in ((job.n, 0), (job.judged, 1000)))
    net = fine_tuned(inputs(s.images), s.y, seed=i, epochs=job.epochs)
    return dict(same=right(net, held.images, held.y).float().mean().item())

def of_collar(job, i, seed, **fixed):
    "Every cat wears a collar and no dog, wherever they are."
    s, same, other = (joined(*(draw_set([(name, None)], n, seed + at + k * n, collar=k == swapped, **fixed)
                               for k, name in enumerate(SPECIES)))
                      for n, at, swapped in ((job.n, 0, False), (job.judged, 1000, False), (job.judged, 2000, True)))
    net = fine_tuned(inputs(s.images), s.y, seed=i, epochs=job.epochs)
    data = again(job, seed + 3000, ('collar',), (dict(collar=True), dict(collar=False)), **fixed)
    return measured(net, same, other, data, 'collar')

def stories(job, i, scenes):
    "Every story and every cure once: name -> what was measured."
    story, turned, same, other = scenes
    turned = turned._replace(groups=2 + turned.groups)
    balanced, held = joined(first_of(story, job.n // 2), turned), joined(same, other)
    found, data = of_places(job, i, scenes, balanced)
    found['tint'] = of_finish(job, i, balanced, held, data, tint)
    for at, far in enumerate(({}, dict(area=FAR))):
        seed, suffix = SEEDS[i] + 10_000 * (1 + at), ', far' * at
        found['mark' + suffix] = of_mark(job, i, seed, **far)
        found['collar' + suffix] = of_collar(job, i, seed + 5000, **far)
    found['unmarked, far'] = unmarked(job, i, SEEDS[i] + 20_000, area=FAR)
    return found

# ---- biases of every strength, small enough to ship
def mixture(story, turned, percent):
    "So many percent of each species in its usual place."
    n = len(story.y) // 2
    kept = round(n * percent / 100)
    return joined(first_of(story, kept), first_of(turned, n - kept)) if kept < n else story

def small_tuned(x, y, seed, epochs, lr=.1, bs=32):
    "The batch norms behind the backbone's first convolution learn, and a new head: AdamW, one cycle."
    torch.manual_seed(seed)
    net, turns = new_net(), [i for _ in range(epochs) for i in torch.randperm(len(y)).split(bs)]
    stem, rest = net[0][:4], net[0][4:].train()
    with torch.no_grad(): seen = torch.cat([stem(b) for b in x.split(64)])
    for name, p in net.named_parameters(): p.requires_grad_(small_parts(net, name))
    learns = [p for p in net.parameters() if p.requires_grad]
    opt = torch.optim.AdamW(learns, lr)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=len(turns))
    for i in turns:
        loss = F.cross_entropy(net[1](rest(seen[i])), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
    return net.eval()

def strengths(job, i, scenes):
    "The small networks of one seed: what they have learnt, and how often they are right."
    story, turned, same, other = scenes
    tensors, found = {}, {}
    for percent in job.strengths:
        s = mixture(story, turned, percent)
        net = small_tuned(inputs(s.images), s.y, i, job.light)
        found[f'{percent}-{i}'] = told(net, same, other)
        tensors |= {f'{percent}-{i}/{k}': t.half().contiguous() for k, t in net.state_dict().items()
                    if small_parts(net, k)}
        print(percent, i, found[f'{percent}-{i}'], flush=True)
    return tensors, found

def save_strengths(tensors, strong, path):
    made = 'tools/make_stories.py: batch norms and head of the backbone, for cats on sofas and dogs on grass'
    save_file(tensors, path, metadata=dict(scores=json.dumps(strong), made=json.dumps(made)))
    path.chmod(0o644)

# ---- the report
def rows(found):
    "A row of a Markdown table for each name: of every measure the values of all seeds."
    def cell(values): return '–' if None in values else ', '.join(f'{v:.2f}' for v in values)
    return [f'| {name} | ' + ' | '.join(map(cell, zip(*got))) + ' |' for name, got in found.items()]

def report(told_by, strong, docs):
    def head(titles): return ['| | ' + ' | '.join(titles) + ' |', '|---' * (len(titles) + 1) + '|']
    by = {}
    for k, got in strong.items(): by.setdefault(k.partition('-')[0] + ' %', []).append(got)
    full = {name: [[one.get(k) for k in MEASURED] for one in got] for name, got in told_by.items()}
    lines = ['Made by `tools/make_stories.py`: how often each network is right, for three seeds of scenes and of '
             'training, on scenes that it has not seen; where its Grad-CAMs lie; and how much of the mean margin goes '
             'when the cue is drawn away.', '', *head(MEASURED.values()), *rows(full), '',
             'Only batch norms and head have learnt here (`strengths.safetensors`); so many percent of the cats '
             'were on sofas, and of the dogs on grass.', '',
             *head(('same kind', 'exchanged', 'worst group')), *rows(by)]
    section(docs/'weights.md', 'The stories of lesson 11', lines)
    print('\n'.join(lines))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--tiny', action='store_true', help='a few scenes: does it run?')
    p.add_argument('--out', type=Path, help='the folder for all; camtutor/data and docs/ if left out')
    p.add_argument('--told', action='store_true', help='the stories alone; the networks of each strength stay')
    a = p.parse_args()
    if a.tiny and not a.out: p.error('--tiny needs --out, so that the shipped weights stay')
    job, folder, docs = TINY if a.tiny else FULL, a.out or DATA, a.out or ROOT/'docs'
    for d in (folder, docs): d.mkdir(parents=True, exist_ok=True)
    told_by, tensors, strong = {}, {}, load_weights('strengths')[1]['scores'] if a.told else {}
    for i in range(job.seeds):
        scenes = drawn(job, i)
        if not a.told:
            more, scored = strengths(job, i, scenes)
            tensors, strong = tensors | more, strong | scored
        for name, got in stories(job, i, scenes).items(): told_by.setdefault(name, []).append(got)
    if not a.told: save_strengths(tensors, strong, folder/'strengths.safetensors')
    (folder/'stories.json').write_text(json.dumps(told_by, indent=1) + '\n', encoding='utf8')
    report(told_by, strong, docs)

if __name__ == '__main__': main()
