"Contenders timed side by side in one process, in another order each round; what counts are ratios within a round."
import argparse, json, os, platform, random, time
from copy import deepcopy
from functools import cache
from importlib.metadata import version
from pathlib import Path
import numpy as np, torch, torchvision

OURS = 'camtutor'
ROOT = Path(__file__).resolve().parents[1]

@cache
def _network(name):
    torch.manual_seed(0)
    return getattr(torchvision.models, name)().eval()

def network(name): return deepcopy(_network(name))

def timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start

REST = .2 # seconds

def race(makers, args, seconds, rounds):
    """Seconds of each contender in each round: name -> array.

    Contenders have networks of their own, since some leave hooks on them. Before each there is a rest: NumPy's threads
    go on spinning for a tenth of a second, and would slow whoever comes next."""
    runs = {name: make(*args()) for name, make in makers.items()}
    slowest = sum(timed(run) for run in runs.values())
    rounds = min(rounds, max(3, int(seconds / slowest)))
    order, times = list(runs), {name: [] for name in runs}
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            if rounds > 1: time.sleep(REST)
            times[name].append(timed(runs[name]))
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

# ---- The command line that the benchmarks have in common

def asked(doc, full, quick, tiny, **flags):
    """What the command line asks for: `(job, folder or None, result so far, all arguments)`.

    The three jobs are what a benchmark measures without an option, with --quick and with --tiny; `flags` are further
    options of its own, with their help. Only the full job goes into docs/ by itself."""
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--quick', action='store_true', help='few networks, few rounds, nothing written')
    p.add_argument('--tiny', action='store_true', help='small pictures, one round: does it run?')
    p.add_argument('--out', type=Path, help='folder for the tables and JSON (docs/, unless --quick or --tiny)')
    for name, text in flags.items(): p.add_argument('--' + name.replace('_', '-'), action='store_true', help=text)
    a = p.parse_args()
    random.seed(0)
    torch.manual_seed(0)
    job = tiny if a.tiny else quick if a.quick else full
    result = about() | dict(load_before=load())
    print(', '.join(f'{k} {v}' for k, v in result.items()), flush=True)
    return job, a.out or (None if a.tiny or a.quick else ROOT/'docs'), result, a

HOLDS = {'<=': lambda a, b: a <= b, '>=': lambda a, b: a >= b, '>': lambda a, b: a > b}

def promise(what, value, sign, limit):
    "A bar, what was measured, and whether it holds."
    return dict(bar=f'{what} {sign} {limit}', measured=float(f'{value:.4g}'), holds=bool(HOLDS[sign](value, limit)))

def tell(result, page, name, out=None):
    "Print the tables and the bars; with a folder, write them there, and everything as JSON."
    print(page)
    for b in result['bars']: print('holds ' if b['holds'] else 'FAILS ', b['bar'], '| measured', b['measured'])
    if not out: return
    out.mkdir(parents=True, exist_ok=True)
    (out/f'{name}-benchmark.json').write_text(json.dumps(result | dict(load_after=load()), indent=1), encoding='utf8')
    (out/f'{name}-benchmark.md').write_text(f'{machine(result)}.\n\n{page}\n', encoding='utf8')
