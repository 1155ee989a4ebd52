"""Train what lesson 11 tells of, over three seeds, and measure it: stories, cures, and biases of every strength.

    python tools/make_stories.py             train, save camtutor/data/strengths.safetensors and stories.json, measure
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
from camtutor.bias import alike, astray, pasted, worst_group
from camtutor.cam import retrain_head
from camtutor.engine.ask import scores
from camtutor.stories import STRENGTHS, Set, draw_set, fine_tuned, inputs, new_net, small_parts
from camtutor.suspects import stamp
from training import DATA, ROOT, section

SEEDS = 53_000_000, 54_000_000, 55_000_000   # of the scenes, for the trainings' seeds 0, 1 and 2
FULL = SimpleNamespace(n=120, judged=40, epochs=4, light=8, seeds=3, strengths=STRENGTHS)
TINY = SimpleNamespace(n=16, judged=2, epochs=1, light=1, seeds=1, strengths=STRENGTHS[::5])

def joined(a, b): return Set(*(np.concatenate(v) if isinstance(v[0], np.ndarray) else torch.cat(v) for v in zip(a, b)))

# ---- the stories
USUAL, TURNED = [('cat', 'sofa'), ('dog', 'grass')], [('cat', 'grass'), ('dog', 'sofa')]

def collars(n, seed, swapped=False):
    "Cats with a collar and dogs without, or the other way about, anywhere."
    cats = draw_set([('cat', None)], n, seed, collar=not swapped)
    dogs = draw_set([('dog', None)], n, seed + n, collar=swapped)
    return joined(cats, dogs)

def marks(s, swapped=False):
    "The dogs of a set marked, or its cats."
    marked = (s.y == int(not swapped)).numpy()[:, None, None, None]
    return s._replace(images=np.where(marked, stamp(s.images), s.images))

def told(net, same, other):
    "How often a network is right: on the same kind, with the cue exchanged, and in the worst of the groups."
    right = [scores(net, inputs(s.images)).argmax(1) == s.y for s in (same, other)]
    worst = worst_group(torch.cat(right), torch.cat([same.groups, 2 * same.groups.max() + 1 + other.groups]))
    return [r.float().mean().item() for r in right] + [worst.item()]

def cured(x, s, balanced, seed, epochs):
    "The lesson's cures, each by its own training."
    order = torch.randperm(len(s.y), generator=torch.Generator().manual_seed(seed))
    swapped = pasted(torch.from_numpy(s.images), s.animals, order).numpy()
    share = F.adaptive_avg_pool2d(s.animals.float()[:, None], 8)[:, 0]
    def price(acts, weight, i): return astray(acts, weight, share[i], s.y[i]).mean()
    some = alike(balanced.groups, len(balanced.y) // 16)   # 15 of each, as in the lesson
    nets = dict(biased=fine_tuned(x, s.y, seed=seed, epochs=epochs))
    nets['balanced'] = fine_tuned(inputs(balanced.images), balanced.y, seed=seed, epochs=epochs)
    nets['pasted'] = fine_tuned(inputs(swapped), s.y, seed=seed, epochs=epochs)
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

def stories(job, i, scenes):
    "Every story and every cure once: name -> how often it is right."
    story, turned, same, other = scenes
    turned = turned._replace(groups=2 + turned.groups)
    balanced, held = joined(first_of(story, job.n // 2), turned), joined(same, other)
    nets = cured(inputs(story.images), story, balanced, i, job.epochs)
    found = {name: told(net, same, other) for name, net in nets.items()}
    wearing, *judged = (collars(n, SEEDS[i] + at, swapped) for n, at, swapped in
                        ((job.n, 4000, False), (job.judged, 5000, False), (job.judged, 6000, True)))
    for name, s, seen in (('collar', wearing, judged), ('mark', marks(balanced), (marks(held), marks(held, True)))):
        found[name] = told(fine_tuned(inputs(s.images), s.y, seed=i, epochs=job.epochs), *seen)
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

# ---- measuring
def rows(found):
    "A row of a Markdown table for each name."
    def cell(values): return ', '.join(f'{v:.2f}' for v in values)
    return [f'| {name} | ' + ' | '.join(map(cell, zip(*got))) + ' |' for name, got in found.items()]

def report(told_by, strong, docs):
    head = ['| | same kind | exchanged | worst group |', '|---|---|---|---|']
    by = {}
    for k, got in strong.items(): by.setdefault(k.partition('-')[0] + ' %', []).append(got)
    lines = ['Made by `tools/make_stories.py`: how often each network is right, for three seeds of scenes and of '
             'training; on scenes that it has not seen, and on some in which the cue is exchanged.', '',
             *head, *rows(told_by), '',
             'Only batch norms and head have learnt here (`strengths.safetensors`); so many percent of the cats '
             'were on sofas, and of the dogs on grass.', '', *head, *rows(by)]
    section(docs/'weights.md', 'The stories of lesson 11', lines)
    print('\n'.join(lines))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--tiny', action='store_true', help='a few scenes: does it run?')
    p.add_argument('--out', type=Path, help='the folder for all; camtutor/data and docs/ if left out')
    a = p.parse_args()
    if a.tiny and not a.out: p.error('--tiny needs --out, so that the shipped weights stay')
    job, folder, docs = TINY if a.tiny else FULL, a.out or DATA, a.out or ROOT/'docs'
    for d in (folder, docs): d.mkdir(parents=True, exist_ok=True)
    told_by, tensors, strong = {}, {}, {}
    for i in range(job.seeds):
        scenes = drawn(job, i)
        more, scored = strengths(job, i, scenes)
        tensors, strong = tensors | more, strong | scored
        for name, got in stories(job, i, scenes).items(): told_by.setdefault(name, []).append(got)
    made = 'tools/make_stories.py: batch norms and head of the backbone, for cats on sofas and dogs on grass'
    save_file(tensors, folder/'strengths.safetensors', metadata=dict(scores=json.dumps(strong), made=json.dumps(made)))
    (folder/'strengths.safetensors').chmod(0o644)
    (folder/'stories.json').write_text(json.dumps(told_by, indent=1) + '\n', encoding='utf8')
    report(told_by, strong, docs)

if __name__ == '__main__': main()
