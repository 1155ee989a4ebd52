"Scenes in bulk: drawn once on all cores, then kept in the user's cache folder."
import hashlib, json, os, sys, time, warnings
from collections import namedtuple
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import cache
from pathlib import Path
import numpy as np
import platformdirs
from ..errors import CamError, doing
from ..files import PART, write_whole
from .draw import scene

Pictures = namedtuple('Pictures', 'images parts instances')   # (N,H,W,3), (N,H,W), (N,H,W), all uint8
FORMAT = 2         # raise it when the layout of the files changes
FEW = 64           # up to here one process is quicker than starting more
IDLE = 10          # seconds after which a drawing process without work ends
STALE = 24 * 3600  # seconds after which a left-over temporary file is removed
HERE = Path(__file__)

def cache_dir():
    "The folder of drawn scenes: `$CAMTUTOR_CACHE`, or the platform's place for caches. It may be deleted at any time."
    return Path(os.environ.get('CAMTUTOR_CACHE') or platformdirs.user_cache_dir('camtutor')).expanduser()

@cache
def fingerprint(folder=HERE.parent):
    "A hash of the drawing code, so that a new version never reads an old version's pictures."
    h = hashlib.sha256()
    for p in sorted(folder.glob('*.py')):
        if p.name != HERE.name: h.update(p.name.encode() + p.read_bytes())
    return h.hexdigest()

# ---- drawing. A packed scene is (H,W,4) uint8: red, green, blue, and part + 16 · instance
def pack(s):
    "One `Scene` as (H,W,4) bytes."
    assert s.parts.max() < 16 and s.instances.max() < 16
    return np.dstack([s.image, s.parts | s.instances << 4])

def unpack(a):
    "`Pictures` out of packed scenes (N,H,W,4)."
    return Pictures(a[..., :3], a[..., 3] & 15, a[..., 3] >> 4)

def draw(job):
    seed, species, size, fixed = job
    return pack(scene(seed, species, size, **fixed))

def draw_parallel(jobs, n_workers):
    "Packed scenes in the order of `jobs`, drawn by fresh interpreters, which end at once if not all is fetched."
    from joblib import Parallel, delayed
    run = Parallel(n_workers, backend='loky', return_as='generator', idle_worker_timeout=IDLE)
    drawn = run(delayed(draw)(j) for j in jobs)
    try:
        for s in drawn: yield s   # `yield from` would close `drawn` before the warning is held back
    except BrokenProcessPool as e: raise CamError(f'a drawing process ended early. {e}') from e
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', UserWarning)   # that work is lost
            drawn.close()

def n_cores(): return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1

def with_bar(drawn, n, progress):
    "`drawn`, with fastai's progress bar where somebody is watching."
    from fastcore.imports import IN_NOTEBOOK
    from fastprogress.fastprogress import progress_bar
    if not (progress and (IN_NOTEBOOK or sys.stdout.isatty())): return drawn
    bar = progress_bar(drawn, total=n, leave=False)
    bar.comment = f'drawing {n} scenes'
    return bar

def draw_all(jobs, size, progress=True):
    "All `jobs` drawn: (N,H,W,4)."
    n_workers = min(n_cores(), 8) if len(jobs) > FEW else 1
    out = np.empty((len(jobs), size, size, 4), np.uint8)
    with closing(draw_parallel(jobs, n_workers) if n_workers > 1 else (draw(j) for j in jobs)) as drawn:
        for i, s in enumerate(with_bar(drawn, len(jobs), progress)): out[i] = s
    return out

# ---- keeping. An npz file: the packed scenes, and all that went into them; zip has a checksum
def keep(a, key, path):
    "Write packed scenes at once or not at all."
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f'{PART}*'):   # left by a process that was killed
        if time.time() - old.stat().st_mtime > STALE: old.unlink(missing_ok=True)
    write_whole(path, lambda f: np.savez(f, packed=a, key=key))

def kept(key, path):
    "Packed scenes from `path`, or None where there are none or they are damaged."
    if not path.exists(): return None
    try:
        with open(path, 'rb') as f: return read(f, key)
    except Exception:   # zipfile and numpy raise all kinds for a file that is none of theirs
        print(f'{path.name} in the cache is damaged: drawing its scenes again.')

END = b'PK\5\6'    # zip's last record, 22 bytes long: behind it there is nothing

def read(f, key):
    f.seek(-22, os.SEEK_END)
    if f.read(4) != END: raise ValueError('there is something behind the end')
    f.seek(0)
    with np.load(f, allow_pickle=False) as z:
        if str(z['key']) != key: raise ValueError('these are other scenes')
        return z['packed']

def cache_path(key, jobs, size):
    "The name says what is in it, and its last part all that went into it."
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return cache_dir() / f'scenes-{size}px-{len(jobs)}-{digest}.npz'

def make_jobs(seeds, species, size, fixed):
    "One (seed, species, size, fixed) a scene; each kind of scene is tried once, so that a bad argument shows here."
    names = [sp if isinstance(sp, str) else list(sp) for sp in species]
    jobs = [[int(s), sp, size, fixed] for s, sp in zip(seeds, names, strict=True)]
    try: text = json.dumps(jobs)
    except TypeError as e: raise CamError(f'arguments must be plain values, not {fixed!r} ({e}).') from e
    for kind in {json.dumps(j[1]): j for j in jobs}.values(): draw(kind)
    return json.loads(text)

@doing('Drawing scenes')
def pictures(
    seeds,          # one int a scene
    species,        # one a scene: a name, or several names for several animals
    size=128,       # pixels
    progress=True,  # show a bar while drawing
    **fixed,        # the same for all scenes: background, pose, ...
): # `Pictures`: images (N,H,W,3), parts (N,H,W), instances (N,H,W), all uint8
    """Many scenes at once: drawn on all cores the first time, read from the cache after that.

    Safe against interruption, a full disk, a damaged file and a second process at the same time.
    Raises `CamError` for what `scene` cannot draw."""
    jobs = make_jobs(seeds, species, size, fixed)
    key = json.dumps([FORMAT, fingerprint(), jobs], sort_keys=True)
    path = cache_path(key, jobs, size)
    a = kept(key, path)
    if a is None:
        a = draw_all(jobs, size, progress)
        try: keep(a, key, path)
        except OSError as e: print(f'The scenes could not be kept ({e.strerror}): they will be drawn again next time.')
    return unpack(a)
