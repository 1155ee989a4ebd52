"""Metrics side by side: this library, Quantus and pytorch-grad-cam, on ResNet-18 with maps of a coarse grid.

python -m benchmarks.metrics            20 pictures of 224 pixels, several rounds; printed
python -m benchmarks.metrics --quick    4 pictures, few rounds: roughly how fast?
python -m benchmarks.metrics --tiny     2 pictures of 32 pixels, one round: does it run?
python -m benchmarks.metrics --processes    `camtutor evaluate` in two processes against one, one thread each
python -m benchmarks.metrics --budget 40    seconds for 8 methods × 8 metrics over so many scenes, and for 1000
python -m benchmarks.metrics --memory       the memory of `evaluate` over 50 and over 400 scenes
python -m benchmarks.metrics --trial 300    chapter 09's trial of the metrics over so many scenes (ROAD: a sixth)
python -m benchmarks.metrics --table 100    its table of L-CAM's paper over so many scenes
The last two write camtutor/data/metrics_trial.csv and metrics_table.csv, or to --out. With --keep FOLDER they go on
where they were stopped.

All contenders of a race run in one process, in another order each round, so that a busy moment hits all alike. What
counts are ratios within a round: their median, and the quartiles. Each library is used in its own best way: Quantus
with all pictures as one batch; its ROAD cannot take maps of one channel (tests/test_metrics.py), so it is in no race.
"""
import argparse, os, subprocess, sys, tempfile, time, warnings
from pathlib import Path
warnings.filterwarnings('ignore')
import numpy as np, torch
from benchmarks.clock import OURS, network, race, ratios, spread
from camtutor.metrics import METRICS, SHARES, STEPS, measure
from camtutor.show import upsample

ROOT = Path(__file__).resolve().parent.parent

def setting(n, size):
    "A network, pictures, maps and classes."
    g = torch.Generator().manual_seed(0)
    x = torch.nn.functional.avg_pool2d(torch.randn(n, 3, size, size, generator=g), 5, 1, 2)
    return network('resnet18'), x, upsample(torch.rand(n, 7, 7, generator=g), size), [(7 * i) % 1000 for i in range(n)]

# ---- name -> a function that measures

def ours(*names):
    def make(net, x, m, y): return lambda: [measure(k, net, x, m, y) for k in names]
    return make

def quantus(**metrics):
    "Quantus' metrics by name, each with its arguments; all pictures in one batch."
    def make(net, x, m, y):
        import quantus as q
        how = dict(disable_warnings=True, display_progressbar=False, abs=False, normalise=False)
        size = x.shape[-1]**2
        made = [getattr(q, k)(**{**how, **{a: f(size) for a, f in kw.items()}}) for k, kw in metrics.items()]
        args = dict(x_batch=x.numpy(), y_batch=np.array(y), a_batch=m[:, None].numpy(), device='cpu', batch_size=len(x))
        return lambda: [metric(model=net, softmax=True, **args) for metric in made]
    return make

def pytorch_grad_cam_road(net, x, m, y):
    from pytorch_grad_cam.metrics.road import ROADLeastRelevantFirst, ROADMostRelevantFirst
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
    targets = [ClassifierOutputSoftmaxTarget(k) for k in y]
    halves = [cls(percentile=round(100 * q)) for cls in (ROADMostRelevantFirst, ROADLeastRelevantFirst) for q in SHARES]
    return lambda: [half(x, m.numpy(), targets, net) for half in halves]

RACES = {
    'deletion': {OURS: ours('deletion'),
                 'Quantus': quantus(PixelFlipping=dict(features_in_step=lambda n: n // STEPS))},
    'ROAD': {OURS: ours('road'), 'pytorch-grad-cam': pytorch_grad_cam_road},
}

def speed(n, size, seconds, rounds):
    for name, makers in RACES.items():
        found = ratios(race(makers, lambda: setting(n, size), seconds, rounds), OURS)
        others = ', '.join(f'{k} {spread(r)} × ours' for k, r in found.items() if k != OURS)
        print(f"{name}, {n} pictures of {size}²: ours {found[OURS]['ms']:.0f} ms; {others}; "
              f"{found[OURS]['rounds']} rounds", flush=True)

# ---- one process against two

def processes(n, rounds):
    "Seconds of `camtutor evaluate` over n scenes in one process and in two, one after the other."
    from PIL import Image
    from camtutor.scenes import scene
    env = os.environ | dict(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')
    with tempfile.TemporaryDirectory() as folder:
        for i in range(n): Image.fromarray(scene(i).image).save(f'{folder}/{i:05}.png')
        def seconds(count, k):
            launch = [sys.executable, '-m', 'accelerate.commands.launch', '--multi_gpu', '--num_processes', str(count),
                      '--num_machines', '1', '--main_process_port', '0', '--mixed_precision', 'no',
                      '--dynamo_backend', 'no', '-m']
            command = [*(launch if count > 1 else [sys.executable, '-m']), 'camtutor', 'evaluate', folder, '--model',
                       'pets', '--methods', 'grad_cam,score_cam,edges', '--out', f'{folder}/{count}-{k}.sqlite']
            start = time.perf_counter()
            done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
            if done.returncode: sys.exit(done.stderr[-3000:])
            return time.perf_counter() - start
        r = [seconds(1, k) / seconds(2, k) for k in range(rounds)]
    print(f'two processes against one, {n} scenes: {np.median(r):.2f} times as fast ({min(r):.2f}–{max(r):.2f})')

# ---- how long 1000 scenes take

EIGHT = ['grad_cam', 'grad_cam_pp', 'layer_cam', 'hires_cam', 'xgrad_cam', 'saliency', 'ablation_cam', 'score_cam']
BY_EIGHT = ['average_drop', 'increase', 'drop_50', 'drop_15', 'deletion', 'insertion', 'energy', 'pointing_game']

def budget(n):
    "Seconds of n scenes by eight methods and eight metrics on the shipped network, in this one process."
    import resource
    from camtutor.evaluate import evaluate
    from camtutor.networks import load_pets
    from camtutor.truth import one_animal
    net = load_pets()
    d = one_animal(net, n)
    def seconds(k):
        start, x = time.perf_counter(), list(d.x[:k])
        evaluate(net, x, EIGHT, BY_EIGHT, target=d.classes[:k, 0].tolist(), truth=dict(mask=d.masks[:k, 0]),
                 progress=False)
        return time.perf_counter() - start
    cpu, took = time.process_time(), [seconds(n // 2), seconds(n)]
    cpu, each = time.process_time() - cpu, took[1] / n
    print(f'{len(EIGHT)} methods × {len(BY_EIGHT)} metrics, {n} scenes: {took[1]:.0f} s in one process, so 1000 scenes '
          f'{1000 * each / 60:.1f} min ({1000 * each / 60 * cpu / sum(took):.1f} of the processor\'s); '
          f'at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB')

# ---- is the memory constant?

class Drawn:
    "Scenes that are drawn when they are asked for, as a folder's photos are read then."
    def __init__(self, n): self.n = n
    def __len__(self): return self.n
    def __getitem__(self, i):
        from camtutor.scenes import scene
        if i >= self.n: raise IndexError(i)
        return scene(i).image

def resident(n):
    "The most memory that this process has needed for `evaluate` over n scenes, with a result file."
    import resource
    from camtutor.evaluate import evaluate
    from camtutor.networks import load_pets
    with tempfile.TemporaryDirectory() as folder:
        evaluate(load_pets(), Drawn(n), ['grad_cam', 'edges'], ['average_drop', 'deletion', 'insertion'],
                 file=f'{folder}/r.sqlite', progress=False)
    print(f'{n} scenes: at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB', flush=True)

def memory(counts):
    "The same in a fresh process for each number of scenes."
    command = [sys.executable, '-m', 'benchmarks.metrics', '--resident']
    for n in counts: subprocess.run([*command, str(n)], cwd=ROOT, check=True)

# ---- the tables of chapter 09, over more scenes than a lesson has time for

DATA = ROOT/'camtutor'/'data'
KNOW_NOTHING = 'wrong class', 'random weights', 'edges', 'centred blob', 'Fake-CAM', 'random'

def saved(table, command, path):
    "Write a table as CSV; its first line says by which command it was made."
    path.write_text(f'# python -m benchmarks.metrics {command}\n{table.to_csv(index=False)}', encoding='utf8')
    print(f'{path} is written.')

def trial(n, out, keep):
    "How each metric ranks the trial's maps, against the true effects, and which maps it likes as well as the truth."
    import pandas as pd
    from camtutor.networks import load_pets
    from camtutor.truth import one_animal, true_effects
    net = load_pets()
    d = one_animal(net, n)
    true = true_effects(net, d.scenes)
    maps, truth = trial_maps(net, d, true), dict(mask=d.masks[:, 0], masks=true.masks, effects=true.of(d.classes[:, 0]))
    names = [k for k, r in METRICS.items() if r.needs in ('network', 'mask', 'parts')]
    slow = [k for k in names if k in ('morf', 'lerf', 'road')]
    quick = verdicts(net, d, maps, truth, [k for k in names if k not in slow], n, keep)
    dear = verdicts(net, d, maps, truth, [*slow, 'single_deletion'], -(-n // 6), keep)
    found = pd.DataFrame([row(k, dear if k in slow else quick) for k in names]).set_index('metric')
    saved(trivial(net, min(n, 12)).join(found).reset_index(), f'--trial {n}', out/'metrics_trial.csv')

def verdicts(net, d, maps, truth, names, n, keep):
    "metric -> (scenes, maps), turned round where lower is better."
    from camtutor.evaluate import evaluate
    t = evaluate(net, list(d.x[:n]), {k: m[:n] for k, m in maps.items()}, names,
                 target=d.classes[:n, 0].tolist(), truth={k: v[:n] for k, v in truth.items()},
                 file=keep and keep/f'trial-{n}.sqlite', progress=False)
    v = {k: t[t.metric == k].pivot(index='picture', columns='method', values='value')[list(maps)] for k in names}
    return {k: one if METRICS[k].better == 'higher' else -one for k, one in v.items()}

def row(name, v):
    "Of one metric: its rank correlation with the true effects and its interval, and how often each map fools it."
    from camtutor.protocols import spearman
    from camtutor.truth import mean_interval
    a, truth = v[name], v['single_deletion']
    r = spearman(*(torch.tensor(t.fillna(0).to_numpy()) for t in (a, truth)))
    r = r[~r.isnan()]   # where a metric says the same of all maps
    mean, low, high = mean_interval(r) if len(r) else [float('nan')] * 3
    facts = dict(metric=name, agreement=mean, low=low, high=high, scenes=len(r))
    print(f'{name:16} {mean:5.2f} ({low:5.2f} to {high:5.2f}), {facts["scenes"]} of {len(a)} scenes', flush=True)
    return {k: round(f, 3) if isinstance(f, float) else f for k, f in facts.items()} | {
        k: round(float((a[k] >= a['drawn from the truth']).mean()), 3) for k in KNOW_NOTHING}

def trial_maps(net, d, true):
    "The maps that stand trial."
    from camtutor.gradcam import grad_cam_maps
    from camtutor.guided import saliency
    from camtutor.networks import small_resnet
    from camtutor.truth import centre_blob, edges
    y = d.classes[:, 0].tolist()
    def grad(net, target, layer=None): return upsample(grad_cam_maps(net, d.x, layer, target)[1], d.x.shape[2:])
    weight = true.of(d.classes[:, 0]).clamp(min=0) / true.masks.flatten(2).sum(2).clamp(min=1)
    torch.manual_seed(0)
    fake = torch.ones_like(d.x[:, 0])
    fake[:, 0, 0] = 0
    return {'drawn from the truth': torch.einsum('np,nphw->nhw', weight, true.masks.float()), 'Grad-CAM': grad(net, y),
            'Grad-CAM, stage 3': grad(net, y, '0.6'), 'saliency': saliency(net, d.x, target=y).abs().amax(1),
            'wrong class': grad(net, [(k + 1) % 8 for k in y]), 'random weights': grad(small_resnet(8).eval(), y),
            'edges': edges(d.x), 'centred blob': centre_blob(d.x), 'Fake-CAM': fake, 'random': torch.rand_like(fake)}

def trivial(net, n):
    "What maps without information get by every metric: the means over n scenes; those of pairs over n others."
    import pandas as pd
    from camtutor.evaluate import evaluate
    from camtutor.truth import centre_blob, one_animal, true_effects, two_animals, uniform
    torch.manual_seed(0)
    maps = {'a uniform map gets': lambda net, x, t: uniform(x),
            'a random one': lambda net, x, t: torch.rand_like(x[:, 0]),
            'a centred blob': lambda net, x, t: centre_blob(x)}   # columns of the table
    one, two = one_animal(net, n), two_animals(net, n)
    effects = true_effects(net, one.scenes)
    truth = dict(mask=one.masks[:, 0], masks=effects.masks, effects=effects.of(one.classes[:, 0]))
    pairs = [k for k, r in METRICS.items() if r.needs == 'pair']
    both = dict(zip(('mask', 'other'), two.masks.unbind(1)))
    asked = (one, [k for k in METRICS if k not in pairs], truth), (two, pairs, both)
    t = pd.concat([evaluate(net, list(d.x), maps, names, target=d.classes[:, 0].tolist(), truth=known, progress=False)
                   for d, names, known in asked])
    t = t.pivot_table(index='metric', columns='method', values='value', sort=False)[list(maps)]
    return pd.concat([t, besides(net, maps, one, two, effects)]).rename_axis('metric').round(3)

def besides(net, maps, one, two, effects):
    "What the same maps get by what is no row of METRICS: functions of a set, of two maps, of scenes to be drawn again."
    import pandas as pd
    from camtutor import protocols as P
    from camtutor.metrics import drop, masked, part_shares
    from camtutor.engine.case import case
    y, mask = one.classes[:, 0], one.masks[:, 0]
    animal, seen = [effects.parts.index(p) for p in P.ANIMAL], effects.masks.flatten(2).any(2)
    def lost(m): return drop(*masked(case(net, one.x, m, y.tolist())))
    def row(f):
        m = f(net, one.x, y)
        chosen = P.important(part_shares(m, effects.masks))
        score = effects.scores.gather(1, y[:, None])[:, 0]
        pair = [f(net, two.x, two.classes[:, k]) for k in (0, 1)]
        return dict(
            energy_pointing_game=P.energy_pointing_game(m, mask).mean(), max_box_accuracy=P.max_box_accuracy(m, mask),
            win_rate=P.win_rate(lost(m), lost(maps['a uniform map gets'](net, one.x, y))),
            preservation=P.preservation(net, one.scenes, P.ANIMAL, chosen[:, animal]).mean(),
            deletion_check=P.deletion_check(net, one.scenes, P.ANIMAL, chosen[:, animal]).mean(),
            distractibility=P.distractibility(chosen, effects.of(y), score, seen).nanmean(),
            target_sensitivity=P.target_sensitivity(*pair, *two.masks.unbind(1)).mean())
    return pd.DataFrame({k: {name: float(v) for name, v in row(f).items()} for k, f in maps.items()})

AD = ['average_drop', 'increase', 'drop_50', 'increase_50', 'drop_15', 'increase_15']
PAPERS = ['grad_cam', 'grad_cam_pp', 'score_cam', 'rise', 'sidu', 'sise']
OTHERS = ['refine_cam', 'full_grad', 'edges', 'centre_blob']
LEARNED = ['lcam_fm', 'lcam_img']   # trained for the network `pets`

def papers_table(n, out, keep):
    "L-CAM's table over n scenes: a row for each network, method and picture."
    import pandas as pd
    from camtutor.evaluate import evaluate
    from camtutor.networks import load_pets, load_plain
    from camtutor.truth import one_animal
    found = []
    for name, net, learned in (('pets', load_pets(), LEARNED), ('plain', load_plain(), [])):
        t = evaluate(net, list(one_animal(net, n).x), PAPERS + learned + OTHERS, AD, progress=False,
                     file=keep and keep/f'{name}-{n}.sqlite')
        t = t.pivot_table(index=['method', 'picture'], columns='metric', values='value', sort=False)[AD].reset_index()
        t[[k for k in AD if k.startswith('incr')]] = t[[k for k in AD if k.startswith('incr')]].astype(int)
        found.append(t.round(4).assign(network=name))
        print(found[-1].groupby('method', sort=False)[AD].mean().round(2), flush=True)
    t = pd.concat(found)
    saved(t[['network', 'method', 'picture', *AD]], f'--table {n}', out/'metrics_table.csv')

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--tiny', action='store_true'); p.add_argument('--quick', action='store_true')
    p.add_argument('--processes', action='store_true'); p.add_argument('--budget', type=int, metavar='N')
    p.add_argument('--memory', action='store_true'); p.add_argument('--resident', type=int, help=argparse.SUPPRESS)
    p.add_argument('--trial', type=int, metavar='N'); p.add_argument('--table', type=int, metavar='N')
    p.add_argument('--out', type=Path, default=DATA, help='folder for the tables')
    p.add_argument('--keep', type=Path, help='folder for result files, so that a run that is stopped goes on')
    a = p.parse_args()
    torch.set_num_threads(1)
    for folder in filter(None, (a.out, a.keep)): folder.mkdir(parents=True, exist_ok=True)
    if a.trial: return trial(a.trial, a.out, a.keep)
    if a.table: return papers_table(a.table, a.out, a.keep)
    if a.budget: return budget(a.budget)
    if a.resident: return resident(a.resident)
    if a.memory: return memory((2, 4) if a.tiny else (50, 400))
    if a.processes: return processes(8 if a.tiny else 400, 1 if a.tiny else 3)
    n, size, seconds, rounds = (2, 32, 1, 1) if a.tiny else (4, 224, 60, 3) if a.quick else (20, 224, 600, 7)
    speed(n, size, seconds, rounds)

if __name__ == '__main__': main()
