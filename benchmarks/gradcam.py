"""Grad-CAM side by side: this library, pytorch-grad-cam, Captum, torch-cam, and the bare forward pass.

python -m benchmarks.gradcam              everything (about 15 minutes on two quiet cores); written to docs/
python -m benchmarks.gradcam --quick      small networks and few rounds, printed only: roughly how fast?
python -m benchmarks.gradcam --tiny --out DIR    pictures of 32 pixels, one round, written to DIR: does it run?

All run in one process, taken in turn, in another order each round, so that a busy moment hits all alike. What counts
are ratios within a round: their median, and the range from the first to the third quartile. Each library is used in its
own best way and is set up outside of the clock. Peak memory is that of a fresh process for each: how far the resident
set rises above where it stood before the call.
"""
import os, subprocess, sys, warnings
from pathlib import Path
warnings.filterwarnings('ignore')
import numpy as np, torch
from benchmarks.clock import OURS, ROOT, asked, machine, markdown, network, promise, race, ratios, spread, tell

BARE = 'bare forward'
LAST = dict(resnet18='layer4', resnet50='layer4', vgg16='features.29')
STAGES = dict(resnet18=['layer1', 'layer2', 'layer3', 'layer4'], resnet50=['layer1', 'layer2', 'layer3', 'layer4'])

# ---- one map for each image: name -> a function that makes them

def bare(net, x, layer, target):
    def run():
        with torch.inference_mode(): return net(x)
    return run

def camtutor(net, x, layer, target):
    from camtutor.gradcam import grad_cam_maps
    return lambda: grad_cam_maps(net, x, layer, target)

def pytorch_grad_cam(net, x, layer, target):
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    cam, targets = GradCAM(net, [net.get_submodule(layer)]), [ClassifierOutputTarget(t) for t in target]
    return lambda: cam(x, targets)

def captum(net, x, layer, target):
    from captum.attr import LayerGradCam
    cam, targets = LayerGradCam(net, net.get_submodule(layer)), torch.tensor(target)
    return lambda: cam.attribute(x, target=targets, relu_attributions=True)

def torch_cam(net, x, layer, target):
    from torchcam.methods import GradCAM
    cam = GradCAM(net, target_layer=layer)
    return lambda: cam(list(target), net(x), normalized=False)

SINGLE = {BARE: bare, OURS: camtutor, 'pytorch-grad-cam': pytorch_grad_cam, 'Captum': captum, 'torch-cam': torch_cam}

# ---- the explorer's work: every stage for several classes of one image

def every_bare(net, x, layers, classes): return bare(net, x, None, None)

def every_camtutor(net, x, layers, classes):
    from camtutor.gradcam import grad_cam_maps
    return lambda: grad_cam_maps(net, x, layers, lambda out: out[:, classes].T)

def every_pytorch_grad_cam(net, x, layers, classes):
    "As its documentation says: a call for each layer, the classes as a batch."
    runs = [pytorch_grad_cam(net, x.expand(len(classes), -1, -1, -1), l, classes) for l in layers]
    return lambda: [run() for run in runs]

def every_pytorch_grad_cam_at_once(net, x, layers, classes):
    "All layers in one pass, by a subclass that does not average them: not documented, but the best it can do."
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    class EachLayer(GradCAM):
        def aggregate_multi_layers(self, cams): return cams
    cam, targets = EachLayer(net, [net.get_submodule(l) for l in layers]), [ClassifierOutputTarget(k) for k in classes]
    return lambda: cam(x.expand(len(classes), -1, -1, -1), targets)

def every_captum(net, x, layers, classes):
    runs = [captum(net, x.expand(len(classes), -1, -1, -1), l, classes) for l in layers]
    return lambda: [run() for run in runs]

def every_captum_loop(net, x, layers, classes):
    runs = [captum(net, x, l, [k]) for l in layers for k in classes]
    return lambda: [run() for run in runs]

def every_torch_cam(net, x, layers, classes):
    from torchcam.methods import GradCAM
    cam = GradCAM(net, target_layer=layers)
    def run():
        out = net(x)
        return [cam(k, out, normalized=False, retain_graph=True) for k in classes]
    return run

EVERY = {BARE: every_bare, OURS: every_camtutor, 'pytorch-grad-cam': every_pytorch_grad_cam,
         'pytorch-grad-cam, subclassed': every_pytorch_grad_cam_at_once, 'Captum, classes as a batch': every_captum,
         'Captum, class by class': every_captum_loop, 'torch-cam': every_torch_cam}

# ---- peak memory, in a process of its own

def peak(case, name, net, batch):
    at_once = dict(MALLOC_MMAP_THRESHOLD_='65536', MALLOC_TRIM_THRESHOLD_='65536')  # freed blocks go back at once
    code = f'from benchmarks.gradcam import rise; print(rise({case!r}, {name!r}, {net!r}, {batch}))'
    command = [sys.executable, '-W', 'ignore', '-c', code]
    done = subprocess.run(command, env=os.environ | at_once, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])

def rise(case, name, net_name, batch):
    "MB by which the resident set rises during one call, after a call with one image has loaded everything."
    makers, net = (SINGLE, EVERY)[case == 'every'], network(net_name)
    def args(n):
        classes = list(range(10 if n > 1 else 1))
        if case == 'every': return net, torch.randn(1, 3, 224, 224), STAGES[net_name], classes
        return net, torch.randn(n, 3, 224, 224), LAST[net_name], [3] * n
    makers[name](*args(1))()
    run = makers[name](*args(batch))
    Path('/proc/self/clear_refs').write_text('5')  # the high-water mark begins anew
    before = status('VmRSS')
    run()
    return status('VmHWM') - before

def status(key):
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(l.split()[1]) / 1024 for l in lines if l.startswith(key))

# ---- what is run

def single(nets, batches, size, seconds, rounds, measured):
    "One row a network and batch; the peak memory of the contenders that are `measured`."
    rows = []
    for net in nets:
        for n in batches:
            x = torch.randn(n, 3, size, size)
            args = lambda: (network(net), x, LAST[net], [(7 * i) % 1000 for i in range(n)])
            times = race(SINGLE, args, seconds, rounds)
            row = dict(net=net, batch=n, to_bare=ratios(times, BARE), to_ours=ratios(times, OURS))
            row['peak'] = {name: peak('single', name, net, n) for name in SINGLE if name in measured}
            rows.append(row)
            print(line(row), flush=True)
    return rows

def every(nets, size, seconds, rounds, measured, classes):
    "One row a network: all its stages, several classes of one image."
    rows = []
    for net in nets:
        x = torch.randn(1, 3, size, size)
        times = race(EVERY, lambda: (network(net), x, STAGES[net], list(range(classes))), seconds, rounds)
        row = dict(net=net, stages=len(STAGES[net]), classes=classes)
        row |= dict(to_bare=ratios(times, BARE), to_ours=ratios(times, OURS))
        row['peak'] = {name: peak('every', name, net, classes) for name in EVERY if name in measured}
        rows.append(row)
        print(line(row), flush=True)
    return rows

GROWING = dict(images=(1, 2, 4, 8, 16), classes=(1, 2, 4, 8, 16), layers=(1, 2, 3, 4))

def scaling(net, size, seconds, rounds, growing=GROWING):
    "How time grows with images, classes and layers, on one network: what -> number -> contender -> milliseconds."
    makers = {k: EVERY[k] for k in (OURS, 'pytorch-grad-cam', 'Captum, classes as a batch', 'torch-cam')}
    singles = {k: SINGLE[k.split(',')[0]] for k in makers}
    x = torch.randn(1, 3, size, size)
    def args(what, v):
        if what == 'images': return network(net), torch.randn(v, 3, size, size), LAST[net], [3] * v
        if what == 'layers': return network(net), x, STAGES[net][-v:], [3]
        return network(net), x, STAGES[net], list(range(v))
    def times(what, v):
        found = race(singles if what == 'images' else makers, lambda: args(what, v), seconds, rounds)
        return {name: 1e3 * float(np.median(t)) for name, t in found.items()}
    return {what: {v: times(what, v) for v in values} for what, values in growing.items()}

# ---- how it is told

def title(row):
    return f"{row['net']}, " + (f"batch {row['batch']}" if 'batch' in row else f"{row['stages']} × {row['classes']}")

def line(row):
    bare, others = row['to_bare'][BARE], {n: r for n, r in row['to_bare'].items() if n != BARE}
    parts = ', '.join(f'{name} {spread(r)}' for name, r in others.items())
    mem = '; peak MB ' + ', '.join(f'{n} {v:.0f}' for n, v in row['peak'].items()) if row['peak'] else ''
    return (f"{title(row)}: bare forward {bare['ms']:.0f} ms; in forward passes: {parts}; "
            f"{row['to_bare'][OURS]['rounds']} rounds{mem}")

def table(rows):
    "Markdown: time over the bare forward pass, and over ours."
    names = [n for n in rows[0]['to_bare'] if n != BARE]
    def cell(r, n): return spread(r['to_bare'][n]) + ('' if n == OURS else f", {r['to_ours'][n]['ratio']:.1f} × ours")
    def memory(peak, n): return f'{peak[n]:.0f} MB ({peak[n] / peak[BARE]:.2f})' if n in peak else ''
    lines = []
    for r in rows:
        lines.append([title(r), f"{r['to_bare'][BARE]['ms']:.0f} ms", *[cell(r, n) for n in names]])
        if r['peak']: lines.append(['peak memory', f"{r['peak'][BARE]:.0f} MB", *[memory(r['peak'], n) for n in names]])
    return markdown(['bare forward', *names], lines)

COLOURS = {OURS: '#5b4b8a', 'pytorch-grad-cam': '#d1733d', 'Captum': '#3b8a7a', 'torch-cam': '#b5a642'}
def colour(name): return COLOURS[name.split(',')[0]]

def bar_chart(rows, path, machine):
    import matplotlib.pyplot as plt
    names = [n for n in rows[0]['to_bare'] if n != BARE]
    fig, ax = plt.subplots(figsize=(9, 4.2), layout='constrained')
    for k, name in enumerate(names):
        at = np.arange(len(rows)) + (k - (len(names) - 1) / 2) * .2
        low, v, high = (np.array([r['to_bare'][name][key] for r in rows]) for key in ('low', 'ratio', 'high'))
        err = [v - low, high - v]
        bars = ax.bar(at, v, .19, yerr=err, color=colour(name), label=name, error_kw=dict(lw=.8))
        ax.bar_label(bars, [f'{i:.2f}' for i in v], fontsize=6, padding=2)
    ax.axhline(1, color='k', lw=.8, ls='--')
    ax.set_xticks(range(len(rows)), [f"{r['net']}\nbatch {r['batch']}" for r in rows], fontsize=8)
    ax.set_ylabel('time, in bare forward passes')
    ax.set_title('Grad-CAM at the last layer, 224² pixels. Dashed: the bare forward pass. '
                 'Bars: medians, whiskers: quartiles', fontsize=9)
    ax.legend(fontsize=8, ncols=4)
    fig.supxlabel(machine, fontsize=7)
    fig.savefig(path, dpi=110)

TITLES = dict(images='images, last layer, one class', classes='classes, four layers, one image',
              layers='layers, one class, one image')

def scaling_plot(data, path, net, machine):
    import matplotlib.pyplot as plt
    fig, axs = plt.subplots(1, 3, figsize=(10, 3.4), layout='constrained')
    for ax, (what, rows) in zip(axs, data.items()):
        for name in next(iter(rows.values())):
            times = [r[name] for r in rows.values()]
            ax.plot(list(rows), times, 'o-', ms=3, color=colour(name), label=name.split(',')[0])
        ax.set(xscale='log' if what != 'layers' else 'linear', yscale='log')
        ax.set(xlabel=what, ylabel='milliseconds', title=TITLES[what])
        ax.set_xticks(list(rows), [str(int(v)) for v in rows])
        ax.minorticks_off()
        ax.title.set_fontsize(9)
    axs[0].legend(fontsize=7)
    fig.suptitle(f'How the time of Grad-CAM grows ({net}, 224² pixels; medians)', fontsize=10)
    fig.supxlabel(machine, fontsize=7)
    fig.savefig(path, dpi=110)

def bars(result):
    "Each promise, what was measured, and whether it holds."
    s, e = result['single'], result['every']
    def worst(rows, name): return min(r['to_ours'][name]['ratio'] for r in rows)
    def best_of(rows, start): return min(worst(rows, n) for n in rows[0]['to_ours'] if n.startswith(start))
    to_bare, many = max(r['to_bare'][OURS]['ratio'] for r in s), 'all stages × 10 classes: faster than'
    out = [('time over the bare forward, last layer, worst row', to_bare, '<=', 1.06),
           ('faster than pytorch-grad-cam by, worst row', worst(s, 'pytorch-grad-cam'), '>=', 2.8),
           ('faster than Captum by, worst row', worst(s, 'Captum'), '>', 1),
           ('faster than torch-cam by, worst row', worst(s, 'torch-cam'), '>', 1)]
    if s[0]['peak']:
        peaks = max(r['peak'][OURS] / r['peak'][BARE] for r in s)
        out.append(('peak memory over the bare forward, worst row', peaks, '<=', 1.15))
    out += [(f'{many} pytorch-grad-cam by', worst(e, 'pytorch-grad-cam'), '>=', 8),
            (f'{many} Captum, its better way, by', best_of(e, 'Captum'), '>=', 4),
            (f'{many} torch-cam by', worst(e, 'torch-cam'), '>', 1)]
    return [promise(*one) for one in out]

# networks, batches, pixels, seconds and rounds of each case; the growth that is drawn
FULL = dict(single=(LAST, [1, 8, 32], 224, 60, 25), every=(STAGES, 224, 100, 11), classes=10, scaling=(224, 15, 7))
QUICK = dict(single=(['resnet18'], [1, 4], 224, 4, 9), every=(['resnet18'], 224, 12, 5), classes=10,
             scaling=(224, 4, 3))
TINY = dict(single=(['resnet18'], [1], 32, 0, 1), every=(['resnet18'], 32, 0, 1), classes=2,
            scaling=(32, 0, 1, dict(images=(2,), classes=(2,), layers=(2,))))

def page(result): return f"{table(result['single'])}\n\n{table(result['every'])}"

def main():
    job, out, result, a = asked(__doc__, FULL, QUICK, TINY, no_memory='leave the peak memory out')
    measured = () if a.no_memory else (BARE, OURS) if a.tiny else {*SINGLE, *EVERY}
    result['single'] = single(*job['single'], measured)
    result['every'] = every(*job['every'], () if a.tiny else measured, job['classes'])
    result['bars'] = bars(result)
    if out: result['scaling'] = scaling('resnet18', *job['scaling'])
    tell(result, page(result), 'gradcam', out)
    if out:
        bar_chart(result['single'], out/'gradcam-benchmark.png', machine(result))
        scaling_plot(result['scaling'], out/'gradcam-scaling.png', 'ResNet-18', machine(result))

if __name__ == '__main__': main()
