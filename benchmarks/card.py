"""On an NVIDIA card: this library, pytorch-grad-cam and torch-cam, with gradients and by covering.

python -m benchmarks.card              everything (two minutes on a large card); table and JSON go to docs/
python -m benchmarks.card --quick      ResNet-18, few rounds, printed only
python -m benchmarks.card --tiny --out DIR    pictures of 32 pixels, one round, written to DIR: does it run?

All run in one process, in turn, in another order each round, each until the card has finished; what counts are ratios
within a round. Each library is set up outside of the clock; by covering, all show the network 128 pictures at a time.
Without a card only --tiny runs; benchmarks.family and benchmarks.perturbation are for the processor.
"""
import sys, warnings
from functools import partial
warnings.filterwarnings('ignore')
import torch
from benchmarks.clock import OURS, asked, markdown, network, race, ratios, spread, tell
from benchmarks.perturbation import quiet
from camtutor.methods import METHODS, apply
from camtutor.perturbation import ablation_cam, rise, score_cam

PGC, TCAM = 'pytorch-grad-cam', 'torch-cam'
BARE, PASSES = 'bare forward and backward', 'as many bare passes'
WHERE = torch.device('cuda' if torch.cuda.is_available() else 'cpu')

# ---- name -> (net, x) -> a function that makes the maps

def finished(run):
    "The same, until the card has done it."
    def whole():
        run()
        if WHERE.type == 'cuda': torch.cuda.synchronize()
    return whole

def makers(**named):
    return {name: lambda net, x, make=make: finished(make(net, x)) for name, make in named.items()}

def pytorch_grad_cam(kind, layer):
    def make(net, x):
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
        cam = quiet(getattr(pytorch_grad_cam, kind))(net, [net.get_submodule(layer)])
        cam.batch_size = 128
        return lambda: cam(x, [ClassifierOutputTarget(3)] * len(x))
    return make

def torch_cam(kind, layer, **how):
    def make(net, x):
        from torchcam import methods
        cam = getattr(methods, kind)(net, target_layer=layer, **how)
        def run():
            with torch.set_grad_enabled(not how): return cam([3] * len(x), net(x), normalized=False)
        return run
    return make

def bare(net, x): return lambda: net(x)[:, 3].sum().backward()

def with_gradients(layer):
    return makers(**{OURS: lambda net, x: lambda: apply(METHODS['grad_cam'], net, x, layer, 3).raw,
                     PGC: pytorch_grad_cam('GradCAM', layer), TCAM: torch_cam('GradCAM', layer), BARE: bare})

def by_masks(layer):
    return makers(**{OURS: lambda net, x: lambda: score_cam(net, x, layer, 3, fast=True),
                     PGC: pytorch_grad_cam('ScoreCAM', layer), TCAM: torch_cam('ScoreCAM', layer, batch_size=128)})

def by_ablation(layer):
    return makers(**{OURS: lambda net, x: lambda: ablation_cam(net, x, layer, 3, fast=True),
                     PGC: pytorch_grad_cam('AblationCAM', layer)})

def by_random_masks(n):
    "RISE, and as many bare passes, 128 at a time."
    def passes(net, x):
        many = x.expand(128, -1, -1, -1).contiguous()
        def run():
            with torch.inference_mode():
                for a in range(0, n, 128): net(many[:min(128, n - a)])
        return run
    return makers(**{OURS: lambda net, x: lambda: rise(net, x, target=3, n=n, fast=True), PASSES: passes})

# ---- the races

def contest(title, named, net, n, size, seconds, rounds):
    x = torch.randn(n, 3, size, size).to(WHERE)
    times = race(named, lambda: (network(net).to(WHERE), x), seconds, rounds)
    row = dict(title=f'{title}, {net}', to_ours=ratios(times, OURS))
    print(row['title'], {name: spread(r) for name, r in row['to_ours'].items()}, flush=True)
    return row

def measured(job):
    rows = []
    for net in job['nets']:
        ask = partial(contest, net=net, size=job['size'], seconds=job['seconds'], rounds=job['rounds'])
        rows += [ask('Grad-CAM, 1 picture', with_gradients('layer4'), n=1),
                 ask('Grad-CAM, 16 pictures', with_gradients('layer4'), n=16),
                 ask('Score-CAM', by_masks('layer4'), n=1),
                 ask('Ablation-CAM, last layer', by_ablation('layer4'), n=1),
                 ask('Ablation-CAM, layer3', by_ablation('layer3'), n=1),
                 ask(f'RISE, {job["masks"]} masks', by_random_masks(job['masks']), n=1)]
    return rows

def table(rows):
    others = [PGC, TCAM, BARE, PASSES]
    cells = [[row['title'], f"{row['to_ours'][OURS]['ms']:.1f} ms",
              *[spread(row['to_ours'][n]) if n in row['to_ours'] else '' for n in others]] for row in rows]
    return markdown(['ours', *(f'{n}, over ours' for n in others)], cells)

FULL = dict(nets=['resnet18', 'resnet50'], size=224, masks=1000, seconds=20, rounds=15)
QUICK = dict(nets=['resnet18'], size=224, masks=1000, seconds=5, rounds=5)
TINY = dict(nets=['resnet18'], size=32, masks=20, seconds=0, rounds=1)

def main():
    job, out, result, a = asked(__doc__, FULL, QUICK, TINY)
    if WHERE.type != 'cuda' and not a.tiny: sys.exit('There is no NVIDIA card here. Only --tiny runs without one.')
    if WHERE.type == 'cuda': result['cpu'] = torch.cuda.get_device_name()
    result |= dict(rows=measured(job), bars=[])
    tell(result, table(result['rows']), 'card', out)

if __name__ == '__main__': main()
