"Contenders timed side by side in one process, in another order each round; what counts are ratios within a round."
import os, platform, random, time
from copy import deepcopy
from functools import cache
from importlib.metadata import version
from pathlib import Path
import numpy as np, torch, torchvision

OURS = 'camtutor'

@cache
def _network(name):
    torch.manual_seed(0)
    return getattr(torchvision.models, name)().eval()

def network(name): return deepcopy(_network(name))

def timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start

def race(makers, args, seconds, rounds):
    """Seconds of each contender in each round: name -> array.

    Contenders have networks of their own, since some leave hooks on them."""
    runs = {name: make(*args()) for name, make in makers.items()}
    slowest = sum(timed(run) for run in runs.values())
    rounds = min(rounds, max(3, int(seconds / slowest)))
    order, times = list(runs), {name: [] for name in runs}
    for _ in range(rounds):
        random.shuffle(order)
        for name in order: times[name].append(timed(runs[name]))
    return {name: np.array(t) for name, t in times.items()}

def ratios(times, to):
    "Median and quartiles of each contender's time over that of `to`, round by round."
    out = {}
    for name, t in times.items():
        r = t / times[to]
        low, ratio, high = (float(np.quantile(r, q)) for q in (.25, .5, .75))
        out[name] = dict(ms=1e3 * float(np.median(t)), ratio=ratio, low=low, high=high, rounds=len(t))
    return out

def spread(r): return f"{r['ratio']:.2f} ({r['low']:.2f}–{r['high']:.2f})"

def markdown(names, rows):
    "A table; all columns but the first are numbers."
    head = ['', *names]
    lines = ['| ' + ' | '.join(row) + ' |' for row in [head, *rows]]
    return '\n'.join([lines[0].replace('|  |', '| |', 1), '|---|' + '---:|' * len(names), *lines[1:]])

def cpu():
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    return next((l.split(':')[1].strip() for l in lines if l.startswith('model name')), platform.processor())

def about():
    "The machine, and what is compared on it."
    versions = {p: version(p) for p in ('torch', 'torchvision', 'grad-cam', 'captum', 'torchcam')}
    return dict(cpu=cpu(), threads=torch.get_num_threads(), python=platform.python_version(), **versions)

def load(): return os.getloadavg()[0] if hasattr(os, 'getloadavg') else None

def machine(result): return f"{result['cpu']}, {result['threads']} threads, PyTorch {result['torch']}"
