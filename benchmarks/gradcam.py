"""Grad-CAM side by side: this library, pytorch-grad-cam, Captum, torch-cam, and the bare forward pass.

python -m benchmarks.gradcam              everything (about 15 minutes on two quiet cores); table, JSON and pictures go to docs/
python -m benchmarks.gradcam --quick      small networks and few rounds, printed only: does it run, and roughly how fast?

All run in one process, taken in turn, in another order each round, so that a busy moment hits all alike. What counts are ratios within a
round: their median, and the range from the first to the third quartile. Each library is used in its own best way and is set up
outside of the clock. Peak memory is that of a fresh process for each: how far the resident set rises above where it stood before the call.
"""
import argparse, json, os, platform, random, subprocess, sys, time, warnings
from pathlib import Path
warnings.filterwarnings('ignore')
import numpy as np, torch, torchvision

OURS, BARE = 'camtutor', 'bare forward'
LAST = dict(resnet18='layer4', resnet50='layer4', vgg16='features.29')
STAGES = dict(resnet18=['layer1', 'layer2', 'layer3', 'layer4'], resnet50=['layer1', 'layer2', 'layer3', 'layer4'])

def network(name):
    torch.manual_seed(0)
    return getattr(torchvision.models, name)().eval()

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

EVERY = {BARE: every_bare, OURS: every_camtutor, 'pytorch-grad-cam': every_pytorch_grad_cam, 'pytorch-grad-cam, subclassed': every_pytorch_grad_cam_at_once,
         'Captum, classes as a batch': every_captum, 'Captum, class by class': every_captum_loop, 'torch-cam': every_torch_cam}

# ---- the clock

def race(makers, args, seconds, rounds):
    "Seconds of each contender in each round: name -> array. Contenders have networks of their own, since some leave hooks on them."
    runs = {name: make(*args()) for name, make in makers.items()}
    slowest = sum(timed(run) for run in runs.values())
    rounds = max(3, min(rounds, int(seconds / slowest)))
    order, times = list(runs), {name: [] for name in runs}
    for _ in range(rounds):
        random.shuffle(order)
        for name in order: times[name].append(timed(runs[name]))
    return {name: np.array(t) for name, t in times.items()}

def timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start

def ratios(times, to):
    "Median and quartiles of each contender's time over that of `to`, round by round."
    out = {}
    for name, t in times.items():
        r = t / times[to]
        out[name] = dict(ms=1e3 * float(np.median(t)), ratio=float(np.median(r)), low=float(np.quantile(r, .25)), high=float(np.quantile(r, .75)), rounds=len(t))
    return out

# ---- peak memory, in a process of its own

def peak(case, name, net, batch):
    env = os.environ | dict(MALLOC_MMAP_THRESHOLD_='65536', MALLOC_TRIM_THRESHOLD_='65536')  # freed blocks go back at once
    code = f'from benchmarks.gradcam import rise; print(rise({case!r}, {name!r}, {net!r}, {batch}))'
    return float(subprocess.run([sys.executable, '-W', 'ignore', '-c', code], env=env, capture_output=True, text=True, check=True).stdout.split()[-1])

def rise(case, name, net_name, batch):
    "MB by which the resident set rises during one call, after a call with one image has loaded everything."
    makers, net = (SINGLE, EVERY)[case == 'every'], network(net_name)
    def args(n):
        if case == 'every': return net, torch.randn(1, 3, 224, 224), STAGES[net_name], list(range(10 if n > 1 else 1))
        return net, torch.randn(n, 3, 224, 224), LAST[net_name], [3] * n
    makers[name](*args(1))()
    run = makers[name](*args(batch))
    Path('/proc/self/clear_refs').write_text('5')  # the high-water mark begins anew
    before = status('VmRSS')
    run()
    return status('VmHWM') - before

def status(key): return next(int(l.split()[1]) / 1024 for l in Path('/proc/self/status').read_text().splitlines() if l.startswith(key))

# ---- what is run

def single(nets, batches, size, seconds, rounds, memory):
    rows = []
    for net in nets:
        for n in batches:
            x = torch.randn(n, 3, size, size)
            times = race(SINGLE, lambda: (network(net), x, LAST[net], [(7 * i) % 1000 for i in range(n)]), seconds, rounds)
            row = dict(net=net, batch=n, to_bare=ratios(times, BARE), to_ours=ratios(times, OURS))
            if memory: row['peak'] = {name: peak('single', name, net, n) for name in SINGLE}
            rows.append(row)
            print(line(row), flush=True)
    return rows

def every(nets, size, seconds, rounds, memory, classes=10):
    rows = []
    for net in nets:
        x = torch.randn(1, 3, size, size)
        times = race(EVERY, lambda: (network(net), x, STAGES[net], list(range(classes))), seconds, rounds)
        row = dict(net=net, stages=len(STAGES[net]), classes=classes, to_bare=ratios(times, BARE), to_ours=ratios(times, OURS))
        if memory: row['peak'] = {name: peak('every', name, net, classes) for name in EVERY}
        rows.append(row)
        print(line(row), flush=True)
    return rows

def scaling(net, size, seconds, rounds):
    "How time grows with images, classes and layers, on one network."
    makers = {k: EVERY[k] for k in (OURS, 'pytorch-grad-cam', 'Captum, classes as a batch', 'torch-cam')}
    out, x = {}, torch.randn(1, 3, size, size)
    for what, values in dict(images=(1, 2, 4, 8, 16), classes=(1, 2, 4, 8, 16), layers=(1, 2, 3, 4)).items():
        out[what] = {}
        for v in values:
            if what == 'images':
                batch = torch.randn(v, 3, size, size)
                times = race({k: SINGLE[k.split(',')[0]] for k in makers}, lambda: (network(net), batch, LAST[net], [3] * v), seconds, rounds)
            else:
                layers, classes = (STAGES[net][-v:], [3]) if what == 'layers' else (STAGES[net], list(range(v)))
                times = race(makers, lambda: (network(net), x, layers, classes), seconds, rounds)
            out[what][v] = {name: 1e3 * float(np.median(t)) for name, t in times.items()}
    return out

# ---- how it is told

def line(row):
    head = f"{row['net']}, batch {row['batch']}" if 'batch' in row else f"{row['net']}, {row['stages']} stages × {row['classes']} classes"
    parts = [f"{name} {r['ratio']:.2f} ({r['low']:.2f}–{r['high']:.2f})" for name, r in row['to_bare'].items() if name != BARE]
    mem = '; peak MB ' + ', '.join(f'{n} {v:.0f}' for n, v in row['peak'].items()) if 'peak' in row else ''
    return f"{head}: bare forward {row['to_bare'][BARE]['ms']:.0f} ms; in forward passes: {', '.join(parts)}; {row['to_bare'][OURS]['rounds']} rounds{mem}"

def table(rows):
    "Markdown: time over the bare forward pass, and over ours."
    names = [n for n in rows[0]['to_bare'] if n != BARE]
    label = lambda r: f"{r['net']}, batch {r['batch']}" if 'batch' in r else f"{r['net']}, {r['stages']} × {r['classes']}"
    out = ['| | bare forward | ' + ' | '.join(names) + ' |', '|---|' + '---:|' * (len(names) + 1)]
    for r in rows:
        b, o = r['to_bare'], r['to_ours']
        cells = [f"{b[n]['ratio']:.2f} ({b[n]['low']:.2f}–{b[n]['high']:.2f})" + (f", {o[n]['ratio']:.1f} × ours" if n != OURS else '') for n in names]
        out.append(f"| {label(r)} | {b[BARE]['ms']:.0f} ms | " + ' | '.join(cells) + ' |')
        if 'peak' in r: out.append(f"| peak memory | {r['peak'][BARE]:.0f} MB | " + ' | '.join(f"{r['peak'][n]:.0f} MB ({r['peak'][n] / r['peak'][BARE]:.2f})" for n in names) + ' |')
    return '\n'.join(out)

COLOURS = {OURS: '#5b4b8a', 'pytorch-grad-cam': '#d1733d', 'Captum': '#3b8a7a', 'torch-cam': '#b5a642'}
def colour(name): return COLOURS[name.split(',')[0]]

def bar_chart(rows, path, machine):
    import matplotlib.pyplot as plt
    names = [n for n in rows[0]['to_bare'] if n != BARE]
    fig, ax = plt.subplots(figsize=(9, 4.2), layout='constrained')
    for k, name in enumerate(names):
        at = np.arange(len(rows)) + (k - (len(names) - 1) / 2) * .2
        r = [row['to_bare'][name] for row in rows]
        v = np.array([i['ratio'] for i in r])
        err = np.abs(np.array([[i['low'] for i in r], [i['high'] for i in r]]) - v)
        bars = ax.bar(at, v, .19, yerr=err, color=colour(name), label=name, error_kw=dict(lw=.8))
        ax.bar_label(bars, [f'{i:.2f}' for i in v], fontsize=6, padding=2)
    ax.axhline(1, color='k', lw=.8, ls='--')
    ax.set_xticks(range(len(rows)), [f"{r['net']}\nbatch {r['batch']}" for r in rows], fontsize=8)
    ax.set_ylabel('time, in bare forward passes')
    ax.set_title('Grad-CAM at the last layer, 224² pixels. Dashed: the bare forward pass. Bars: medians, whiskers: quartiles', fontsize=9)
    ax.legend(fontsize=8, ncols=4)
    fig.supxlabel(machine, fontsize=7)
    fig.savefig(path, dpi=110)

def scaling_plot(data, path, net, machine):
    import matplotlib.pyplot as plt
    fig, axs = plt.subplots(1, 3, figsize=(10, 3.4), layout='constrained')
    titles = dict(images='images, last layer, one class', classes='classes, four layers, one image', layers='layers, one class, one image')
    for ax, (what, rows) in zip(axs, data.items()):
        for name in next(iter(rows.values())):
            ax.plot(list(rows), [r[name] for r in rows.values()], 'o-', ms=3, color=colour(name), label=name.split(',')[0])
        ax.set(xscale='log' if what != 'layers' else 'linear', yscale='log', xlabel=what, ylabel='milliseconds', title=titles[what])
        ax.set_xticks(list(rows), [str(int(v)) for v in rows]); ax.minorticks_off(); ax.title.set_fontsize(9)
    axs[0].legend(fontsize=7)
    fig.suptitle(f'How the time of Grad-CAM grows ({net}, 224² pixels; medians)', fontsize=10)
    fig.supxlabel(machine, fontsize=7)
    fig.savefig(path, dpi=110)

def about():
    from importlib.metadata import version
    cpu = next((l.split(':')[1].strip() for l in Path('/proc/cpuinfo').read_text().splitlines() if l.startswith('model name')), platform.processor())
    return dict(cpu=cpu, threads=torch.get_num_threads(), python=platform.python_version(),
                **{p: version(p) for p in ('torch', 'torchvision', 'grad-cam', 'captum', 'torchcam')})

def bars(result):
    "Each promise, what was measured, and whether it holds."
    s, e = result['single'], result['every']
    worst = lambda rows, name, key='to_ours': min(r[key][name]['ratio'] for r in rows)
    best_of = lambda rows, start: min(min(r['to_ours'][n]['ratio'] for n in r['to_ours'] if n.startswith(start)) for r in rows)
    out = [('time over the bare forward, last layer, worst row', max(r['to_bare'][OURS]['ratio'] for r in s), '<=', 1.06),
           ('faster than pytorch-grad-cam by, worst row', worst(s, 'pytorch-grad-cam'), '>=', 2.8),
           ('faster than Captum by, worst row', worst(s, 'Captum'), '>', 1), ('faster than torch-cam by, worst row', worst(s, 'torch-cam'), '>', 1)]
    if 'peak' in s[0]: out.append(('peak memory over the bare forward, worst row', max(r['peak'][OURS] / r['peak'][BARE] for r in s), '<=', 1.15))
    out += [('all stages × 10 classes: faster than pytorch-grad-cam by', worst(e, 'pytorch-grad-cam'), '>=', 8),
            ('all stages × 10 classes: faster than Captum, its better way, by', best_of(e, 'Captum'), '>=', 4),
            ('all stages × 10 classes: faster than torch-cam by', worst(e, 'torch-cam'), '>', 1)]
    holds = {'<=': lambda a, b: a <= b, '>=': lambda a, b: a >= b, '>': lambda a, b: a > b}
    return [dict(bar=f'{what} {sign} {limit}', measured=round(v, 3), holds=holds[sign](v, limit)) for what, v, sign, limit in out]

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--quick', action='store_true', help='ResNet-18 at batch 1 and 4, few rounds, nothing written')
    p.add_argument('--no-memory', action='store_true', help='leave the peak memory out')
    p.add_argument('--out', type=Path, help='folder for the table, JSON and pictures (docs/, unless --quick)')
    a = p.parse_args()
    random.seed(0)
    out, memory = a.out or (None if a.quick else Path('docs')), not a.no_memory
    result = about()
    print(', '.join(f'{k} {v}' for k, v in result.items()), flush=True)
    result['load_before'] = os.getloadavg()[0]
    if a.quick: result |= dict(single=single(['resnet18'], [1, 4], 224, 4, 9, memory), every=every(['resnet18'], 224, 12, 5, memory))
    else: result |= dict(single=single(LAST, [1, 8, 32], 224, 60, 25, memory), every=every(STAGES, 224, 100, 11, memory))
    result['bars'] = bars(result)
    print(table(result['single']), table(result['every']), sep='\n\n')
    for b in result['bars']: print('holds ' if b['holds'] else 'FAILS ', b['bar'], '| measured', b['measured'])
    if not out: return
    result |= dict(scaling=scaling('resnet18', 224, 15, 7), load_after=os.getloadavg()[0])
    out.mkdir(parents=True, exist_ok=True)
    machine = f"{result['cpu']}, {result['threads']} threads, PyTorch {result['torch']}"
    (out / 'gradcam-benchmark.json').write_text(json.dumps(result, indent=1))
    (out / 'gradcam-benchmark.md').write_text(f'{machine}\n\n{table(result["single"])}\n\n{table(result["every"])}\n')
    bar_chart(result['single'], out / 'gradcam-benchmark.png', machine)
    scaling_plot(result['scaling'], out / 'gradcam-scaling.png', 'ResNet-18', machine)

if __name__ == '__main__': main()
