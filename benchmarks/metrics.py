"""Metrics side by side: this library, Quantus and pytorch-grad-cam, on ResNet-18 with maps of a coarse grid.

python -m benchmarks.metrics            20 pictures of 224 pixels, several rounds; printed
python -m benchmarks.metrics --quick    4 pictures, few rounds: roughly how fast?
python -m benchmarks.metrics --tiny     2 pictures of 32 pixels, one round: does it run?
python -m benchmarks.metrics --processes    `camtutor evaluate` in two processes against one, one thread each
python -m benchmarks.metrics --trial 300    chapter 09's trial of the metrics, over so many scenes; printed

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
                      '--num_machines', '1', '--mixed_precision', 'no', '--dynamo_backend', 'no', '-m']
            command = [*(launch if count > 1 else [sys.executable, '-m']), 'camtutor', 'evaluate', folder, '--model',
                       'pets', '--out', f'{folder}/{count}-{k}.sqlite']
            start = time.perf_counter()
            subprocess.run(command, env=env, cwd=ROOT, check=True, capture_output=True)
            return time.perf_counter() - start
        r = [seconds(1, k) / seconds(2, k) for k in range(rounds)]
    print(f'two processes against one, {n} scenes: {np.median(r):.2f} times as fast ({min(r):.2f}–{max(r):.2f})')

# ---- the trial of chapter 09, over more scenes

def trial(n, filled):
    "How each metric ranks nine maps, against the true effects: mean rank correlation and interval."
    from camtutor.evaluate import evaluate
    from camtutor.networks import load_pets
    from camtutor.protocols import spearman
    from camtutor.truth import mean_interval, one_animal, true_effects
    net = load_pets()
    d = one_animal(net, n)
    y, true = d.classes[:, 0], true_effects(net, d.scenes)
    maps = trial_maps(net, d, true)
    rows = {one.sum().item(): i for i, one in enumerate(d.x)}
    def look_up(m): return lambda model, x, target: torch.stack([m[rows[one.sum().item()]] for one in x])
    truth = dict(mask=d.masks[:, 0], masks=true.masks, effects=true.of(y))
    names = [k for k, r in METRICS.items() if r.needs in ('network', 'mask', 'parts')]
    slow = [k for k in names if k in ('morf', 'lerf', 'road')]
    for keys, count in (([k for k in names if k not in slow], n), ([*slow, 'single_deletion'], filled)):
        t = evaluate(net, list(d.x[:count]), {k: look_up(m) for k, m in maps.items()}, keys, target=y[:count].tolist(),
                     truth={k: v[:count] for k, v in truth.items()}, progress=False)
        v = {k: t[t.metric == k].pivot(index='picture', columns='method', values='value') for k in keys}
        for k in keys:
            a = (v[k] if METRICS[k].better == 'higher' else -v[k]).to_numpy()
            r = spearman(torch.tensor(a).nan_to_num(), torch.tensor(v['single_deletion'].to_numpy()).nan_to_num())
            line = '{:16} {:5.2f} ({:5.2f} to {:5.2f}), {} scenes'
            print(line.format(k, *mean_interval(r[~r.isnan()]), count), flush=True)

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

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--tiny', action='store_true'); p.add_argument('--quick', action='store_true')
    p.add_argument('--processes', action='store_true'); p.add_argument('--trial', type=int, metavar='N')
    a = p.parse_args()
    torch.set_num_threads(1)
    if a.trial: return trial(a.trial, max(1, a.trial // 10))
    if a.processes: return processes(8 if a.tiny else 100, 1 if a.tiny else 3)
    n, size, seconds, rounds = (2, 32, 1, 1) if a.tiny else (4, 224, 60, 3) if a.quick else (20, 224, 600, 7)
    speed(n, size, seconds, rounds)

if __name__ == '__main__': main()
