"""Asking by covering, side by side: this library, pytorch-grad-cam, torch-cam, Captum; how near the truth RISE comes.

python -m benchmarks.perturbation              everything (about half an hour on two quiet cores); written to docs/
python -m benchmarks.perturbation --quick      ResNet-18 on small pictures, few rounds, printed only: roughly how fast?
python -m benchmarks.perturbation --tiny --out DIR    pictures of 32 pixels, one round, written to DIR: does it run?

All run in one process, taken in turn, in another order each round. What counts are ratios within a round: their median,
and the range from the first to the third quartile. Each library is used in its own best way, set up outside of the
clock. A row also says how far the others' raw maps are from ours, relative to the largest value.
"""
import warnings
from functools import partial
from pathlib import Path
warnings.filterwarnings('ignore')
import numpy as np, torch
from benchmarks.clock import OURS, asked, markdown, network, promise, race, ratios, spread, tell, timed
from benchmarks.gradcam import status
from camtutor.engine.covers import Question, RandomMasks
from camtutor.networks import load_pets
from camtutor.perturbation import (ablation_cam, ada_sise, fitted_map, group_cam, occlusion, plain_map, rise, rise_map,
                                   score_cam, sidu, sise)
from camtutor.scenes import scene

LAST, INNER = 'layer4', 'layer3'

# ---- Score-CAM and Ablation-CAM: name -> a function that makes the raw maps

def score_ours(net, x, layer): return lambda: score_cam(net, x, layer, 3, fast=True)

def quiet(make):
    "Without the other library's progress bar."
    import pytorch_grad_cam.ablation_cam, pytorch_grad_cam.score_cam
    for m in (pytorch_grad_cam.ablation_cam, pytorch_grad_cam.score_cam): m.tqdm.tqdm = lambda it, **k: it
    return make

def pgc(kind, net, x, layer):
    "pytorch-grad-cam's weights on its activations, before it scales and resizes."
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    cam = quiet(getattr(pytorch_grad_cam, kind))(net, [net.get_submodule(layer)])
    cam.batch_size = 32
    return lambda: torch.as_tensor(cam(x, [ClassifierOutputTarget(3)] * len(x)))

def score_torch_cam(net, x, layer):
    from torchcam.methods import ScoreCAM
    cam = ScoreCAM(net, target_layer=layer, batch_size=32)
    def run():
        with torch.no_grad(): return cam([3] * len(x), net(x), normalized=False)[0]
    return run

def ablation_ours(net, x, layer): return lambda: ablation_cam(net, x, layer, 3, fast=True)

def ablation_captum(net, x, layer):
    from captum.attr import LayerFeatureAblation
    module = net.get_submodule(layer)
    with torch.no_grad(): shape = shape_at(net, x[:1], module)
    mask = torch.arange(shape[1])[None, :, None, None].expand(shape)
    return lambda: LayerFeatureAblation(net, module).attribute(x, target=3, layer_mask=mask, perturbations_per_eval=32)

def shape_at(net, x, module):
    seen = []
    handle = module.register_forward_hook(lambda m, a, o: seen.append(o.shape))
    net(x)
    handle.remove()
    return seen[0]

SCORE = {OURS: score_ours, 'pytorch-grad-cam': partial(pgc, 'ScoreCAM'), 'torch-cam': score_torch_cam}
ABLATION = {OURS: ablation_ours, 'pytorch-grad-cam': partial(pgc, 'AblationCAM'), 'Captum': ablation_captum}

def contest(title, makers, net, layer, size, seconds, rounds):
    x = torch.randn(1, 3, size, size)
    times = race(makers, lambda: (network(net), x, layer), seconds, rounds)
    row = dict(title=f'{title}, {net} at {size} pixels, {layer}', to_ours=ratios(times, OURS))
    print(line(row), flush=True)
    return row

def line(row):
    ours, others = row['to_ours'][OURS], {n: r for n, r in row['to_ours'].items() if n != OURS}
    return (f"{row['title']}: {ours['ms']:.0f} ms; others over ours: "
            + ', '.join(f'{n} {spread(r)}' for n, r in others.items()) + f"; {ours['rounds']} rounds")

def same_map(net, layer, size):
    "How far torch-cam's raw Score-CAM is from ours, made with its way of enlarging, relative to the largest value."
    net, x = network(net), torch.randn(1, 3, size, size)
    def first(a, size):
        low, high = a.amin((1, 2), True), a.amax((1, 2), True)
        return torch.nn.functional.interpolate(((a - low) / (high - low + 1e-8))[:, None], size, mode='bilinear')[:, 0]
    q = Question(net, x, 3, fast=True)
    A = q.at(layer)
    ours = torch.einsum('nc,nchw->nhw', q.under_channels(A, first).softmax(-1), A).relu()
    theirs = score_torch_cam(net, x, layer)()
    return ((ours - theirs).abs().max() / theirs.max()).item()

# ---- SIDU over its forward passes; memory

def sidu_over_passes(net, size, seconds, rounds):
    "SIDU's time over that of as many bare passes, in batches of the same size."
    x = torch.randn(1, 3, size, size)
    def bare(net, x, layer):
        n = shape_at(net, x, net.get_submodule(layer))[1] + 1
        many = x.expand(32, -1, -1, -1).contiguous()
        def run():
            with torch.inference_mode():
                for a in range(0, n, 32): net(many[:min(32, n - a)])
        return run
    makers = {OURS: lambda net, x, layer: lambda: sidu(net, x, layer, threshold=0.), 'bare passes': bare}
    return ratios(race(makers, lambda: (network(net), x, LAST), seconds, rounds), 'bare passes')

def rise_of_memory(net, layer, size):
    "MB by which the resident set rises in one Score-CAM of that layer's channels."
    net, x = network(net), torch.randn(1, 3, size, size)
    small = x[..., :64, :64]
    score_cam(net, small, layer, 3)
    Path('/proc/self/clear_refs').write_text('5')
    before = status('VmRSS')
    score_cam(net, x, layer, 3)
    return status('VmHWM') - before

# ---- RISE against the truth

ESTIMATES = dict(plain=plain_map, centred=rise_map, fitted=fitted_map)

def nearness(n_truth, sizes, seeds, bs=128):
    "How far each estimate is from the truth, in its own spread: n -> a number for each of `ESTIMATES`."
    net = load_pets()
    x, k = net.transform(scene(2, species=('dog', 'cat')))[None], net.vocab.index('cat')
    q = Question(net, x, k, of='probability', fast=True, bs=bs).look()
    def answered(n, seed):
        masks = RandomMasks.drawn(n, 7, .5, (128, 128), x, seed)
        return q.under(0, n, masks.masks), masks
    truth = fitted_map(*answered(n_truth, 10_000))
    def off(m): return ((m - truth) - (m - truth).mean()).std().item() / truth.std().item()
    found = {n: [] for n in sizes}
    for seed in range(seeds):
        f, masks = answered(max(sizes), seed)
        for n in sizes: found[n].append([off(make(f[:n], masks[:n])) for make in ESTIMATES.values()])
    return {n: np.mean(v, 0).tolist() for n, v in found.items()}

# ---- every method, on the shipped network

METHODS = dict(occlusion=occlusion, ablation_cam=ablation_cam, score_cam=score_cam, rise=rise, sidu=sidu, sise=sise,
               ada_sise=ada_sise, group_cam=group_cam)

def on_pets(rounds):
    "Seconds that each method takes for a picture of the shipped network, the median."
    net = load_pets()
    x, k = net.transform(scene(2, species=('dog', 'cat')))[None], net.vocab.index('cat')
    return {name: float(np.median([timed(lambda: fn(net, x, target=k, fast=True)) for _ in range(rounds)]))
            for name, fn in METHODS.items()}

# ---- how it is told

def bars(r):
    "Each promise, what was measured, and whether it holds."
    def worst(rows, name): return min(row['to_ours'][name]['ratio'] for row in rows if name in row['to_ours'])
    out = [(f'Score-CAM: faster than {n} by, worst row', worst(r['score'], n), '>=', 1.5)
           for n in ('pytorch-grad-cam', 'torch-cam')]
    out += [('Score-CAM: torch-cam\'s raw map from ours', r['same_map'], '<=', 1e-3),
            ('Ablation-CAM, last layer: faster than pytorch-grad-cam by', worst(r['last'], 'pytorch-grad-cam'), '>=',
             100)]
    out += [(f'Ablation-CAM, inner layer: faster than {n} by', worst(r['inner'], n), '>=', 3)
            for n in ('pytorch-grad-cam', 'Captum')]
    out += [('SIDU over its C + 1 passes', r['sidu'][OURS]['ratio'], '<=', 1.1),
            ('the slowest method on the shipped network, seconds', max(r['pets'].values()), '<=', 1)]
    if len(r['memory']) > 1:
        few, many = r['memory'].values()
        out.append(('Score-CAM: memory with 8 times the channels, over that with one', many / few, '<=', 1.5))
    sizes = sorted(map(int, r['rise']))
    near = {int(n): v for n, v in r['rise'].items()}
    out.append((f'RISE: error with {sizes[0]} masks over that of the plain estimate with {sizes[-1]}',
                near[sizes[0]][2] / near[sizes[-1]][0], '<=', 1))
    return [promise(*one) for one in out]

def tables(r):
    rows = [row for part in ('score', 'last', 'inner') for row in r[part]]
    others = sorted({n for row in rows for n in row['to_ours']} - {OURS})
    cells = [[row['title'], f"{row['to_ours'][OURS]['ms']:.0f} ms",
              *[spread(row['to_ours'][n]) if n in row['to_ours'] else '' for n in others]] for row in rows]
    near = [[f'{n} masks', *(f'{v:.3f}' for v in errors)] for n, errors in r['rise'].items()]
    pets = [[name, f'{s:.2f}'] for name, s in r['pets'].items()]
    promises = [[b['bar'], f"{b['measured']:g}", 'yes' if b['holds'] else 'no'] for b in r['bars']]
    return '\n\n'.join([markdown(['ours', *(f'{n}, over ours' for n in others)], cells),
                        markdown([*ESTIMATES], near), markdown(['seconds a picture'], pets),
                        markdown(['measured', 'holds'], promises)])

# ResNet-50's Score-CAM takes a quarter of an hour a round at 224 pixels: four times as many channels, dearer passes
FULL = dict(nets=dict(resnet18=224, resnet50=112), seconds=300, rounds=5, memory=['layer1', 'layer4'], truth=64_000,
            sizes=[1000, 2000, 4000, 8000], seeds=3, pets=5)
QUICK = dict(nets=dict(resnet18=96), seconds=40, rounds=3, memory=['layer1', 'layer4'], truth=4000,
             sizes=[100, 200, 400, 800], seeds=1, pets=1)
TINY = dict(nets=dict(resnet18=32), seconds=0, rounds=1, memory=[], truth=64, sizes=[16, 32], seeds=1, pets=1)

def measured(job):
    nets, how = job['nets'], (job['seconds'], job['rounds'])
    def contests(title, makers, layer): return [contest(title, makers, n, layer, size, *how) for n, size in nets.items()]
    first, size = next(iter(nets.items()))
    r = dict(score=contests('Score-CAM', SCORE, LAST), last=contests('Ablation-CAM', ABLATION, LAST),
             inner=contests('Ablation-CAM', ABLATION, INNER), same_map=same_map(first, LAST, size),
             sidu=sidu_over_passes(first, size, *how),
             memory={layer: rise_of_memory('resnet50', layer, 128) for layer in job['memory']},
             rise=nearness(job['truth'], job['sizes'], job['seeds']), pets=on_pets(job['pets']))
    return r | dict(bars=bars(r))

def main():
    job, out, result, _ = asked(__doc__, FULL, QUICK, TINY)
    result |= measured(job)
    tell(result, tables(result), 'perturbation', out)

if __name__ == '__main__': main()
