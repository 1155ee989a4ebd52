"""The CAM family side by side: this library, pytorch-grad-cam and torch-cam, method by method; and many at once.

python -m benchmarks.family              everything (about ten minutes on two quiet cores); table and JSON go to docs/
python -m benchmarks.family --quick      a ResNet-18, few rounds, printed only
python -m benchmarks.family --tiny --out DIR    pictures of 64 pixels, one round, written to DIR: does it run?

All run in one process, in turn, in another order each round; what counts are ratios within a round. Each library is set
up outside of the clock. `many` asks for eight formulas at one layer: `compare` makes one pass for all, the others run
each method by itself; it stands over Grad-CAM alone.
"""
import warnings
warnings.filterwarnings('ignore')
import torch
from benchmarks.clock import OURS, asked, markdown, network, promise, race, ratios, spread, tell

LAYER, STAGES = 'layer4', ['layer2', 'layer3', 'layer4']
FAST, PGC, TCAM = f'{OURS}, fast=True', 'pytorch-grad-cam', 'torch-cam'
# a key of METHODS -> what it is called in pytorch-grad-cam, and in torch-cam
METHODS = dict(hires_cam=('HiResCAM', None), xgrad_cam=('XGradCAM', 'XGradCAM'),
               grad_cam_pp=('GradCAMPlusPlus', 'GradCAMpp'), layer_cam=('LayerCAM', 'LayerCAM'),
               elementwise_cam=('GradCAMElementWise', None), eigen_cam=('EigenCAM', None),
               eigen_grad_cam=('EigenGradCAM', None), shapley_cam=('ShapleyCAM', None), full_grad=('FullGrad', None),
               smooth_grad_cam_pp=(None, 'SmoothGradCAMpp'), fused_layer_cam=(None, 'LayerCAM'))
MANY = ['grad_cam', 'hires_cam', 'xgrad_cam', 'grad_cam_pp', 'layer_cam', 'elementwise_cam', 'eigen_cam',
        'eigen_grad_cam']

# ---- one map a picture: (net, x, class) -> a function that makes it

def ours(key):
    def make(net, x, k):
        from camtutor.methods import METHODS as rows, apply
        row = rows[key]
        if key == 'fused_layer_cam': return lambda: row.fn(net, x, STAGES, k)
        return lambda: apply(row, net, x, None if row.needs == 'network' else LAYER, k).raw
    return make

def folded(key):
    "Ours on the copy that `explain_all(..., fast=True)` makes once for all its pictures."
    def make(net, x, k):
        from camtutor.engine.fast import channels_last, fast
        return ours(key)(fast(net, x), channels_last(x), k)
    return make

def pytorch_grad_cam(kind):
    def make(net, x, k):
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
        cam = getattr(pytorch_grad_cam, kind)(net, [] if kind == 'FullGrad' else [net.get_submodule(LAYER)])
        return lambda: cam(x, [ClassifierOutputTarget(k)] * len(x))
    return make

def torch_cam(kind, fused=False):
    def make(net, x, k):
        from torchcam import methods
        cam = getattr(methods, kind)(net, target_layer=STAGES if fused else LAYER)
        def run():
            if kind == 'SmoothGradCAMpp':
                with torch.no_grad(): net(x)     # it keeps the picture that goes by
                return cam(k, normalized=False)
            maps = cam(k, net(x), normalized=fused)
            return cam.fuse_cams(maps) if fused else maps
        return run
    return make

def contenders(key):
    pgc, tcam = METHODS[key]
    found = {OURS: ours(key), FAST: folded(key)}
    if pgc: found[PGC] = pytorch_grad_cam(pgc)
    if tcam: found[TCAM] = torch_cam(tcam, key == 'fused_layer_cam')
    return found

# ---- eight at once

def at_once(net, x, k):
    from camtutor import compare
    return lambda: compare(net, x, MANY, LAYER, k)

def in_turn(make, place):
    def many(net, x, k):
        kinds = ['GradCAM', *(METHODS[m][place] for m in MANY[1:] if METHODS[m][place])]
        runs = [make(kind)(network_like(net), x, k) for kind in kinds]
        return lambda: [run() for run in runs]
    return many

def network_like(net):
    "A copy, since contenders leave hooks on a network."
    from copy import deepcopy
    return deepcopy(net)

ALONE = 'camtutor, Grad-CAM alone'

def alone(net, x, k):
    from camtutor import explain
    return lambda: explain(net, x, 'grad_cam', LAYER, k)

MANY_AT_ONCE = {ALONE: alone, OURS: at_once, f'{PGC}, 8 in turn': in_turn(pytorch_grad_cam, 0),
                f'{TCAM}, the 4 that it has': in_turn(torch_cam, 1)}

# ---- what is run

def rows(nets, size, seconds, rounds):
    "One row a network and method."
    out, x = [], torch.randn(1, 3, size, size)
    for net in nets:
        for key in METHODS:
            times = race(contenders(key), lambda: (network(net), x, 3), seconds, rounds)
            out.append(dict(net=net, method=key, to_ours=ratios(times, OURS)))
            print(table(out[-1:]).splitlines()[-1], flush=True)
    return out

def many(nets, size, seconds, rounds):
    "One row a network: eight formulas."
    out, x = [], torch.randn(1, 3, size, size)
    for net in nets:
        times = race(MANY_AT_ONCE, lambda: (network(net), x, 3), seconds, rounds)
        out.append(dict(net=net, to_alone=ratios(times, ALONE)))
    return out

def table(rows):
    def cell(r, name): return spread(r['to_ours'][name]) if name in r['to_ours'] else ''
    return markdown([OURS, FAST, PGC, TCAM], [[f"{r['net']}, {r['method']}", f"{r['to_ours'][OURS]['ms']:.0f} ms",
                                               *(cell(r, name) for name in (FAST, PGC, TCAM))] for r in rows])

def many_table(rows):
    names = [n for n in MANY_AT_ONCE if n != ALONE]
    return markdown([ALONE, *names], [[r['net'], f"{r['to_alone'][ALONE]['ms']:.0f} ms",
                                       *(spread(r['to_alone'][n]) for n in names)] for r in rows])

def bars(result):
    "Each promise, what was measured, and whether it holds."
    def worst(name, mine):
        found = [r['to_ours'] for r in result['rows'] if name in r['to_ours']]
        return min(r[name]['ratio'] / r[mine]['ratio'] for r in found)
    found = [promise(f'time of {name} over that of {mine}, worst row', worst(name, mine), '>', 1)
             for mine in (OURS, FAST) for name in (PGC, TCAM)]
    dearest = max(r['to_alone'][OURS]['ratio'] for r in result['many'])
    return [*found, promise('eight formulas at once over Grad-CAM alone, worst row', dearest, '<=', 1.15)]

FULL = ['resnet18', 'resnet50'], 224, 30, 21
QUICK = ['resnet18'], 224, 4, 9
TINY = ['resnet18'], 64, 0, 1

def page(result):
    return (f"Time over camtutor's.\n\n{table(result['rows'])}\n\n"
            f"Eight formulas at one layer, time over Grad-CAM alone.\n\n{many_table(result['many'])}")

def main():
    job, out, result, _ = asked(__doc__, FULL, QUICK, TINY)
    result |= dict(rows=rows(*job), many=many(*job))
    result['bars'] = bars(result)
    tell(result, page(result), 'family', out)

if __name__ == '__main__': main()
