"Scenes in bulk: drawn once on all cores, then kept in the user's cache folder."
import hashlib, json, os, subprocess, sys, tempfile, time, zlib
from collections import namedtuple
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
import numpy as np
import platformdirs
from camtutor import scenes
from camtutor.errors import CamError
from camtutor.files import PART, write_whole

Pictures = namedtuple('Pictures', 'images parts instances')   # (N,H,W,3), (N,H,W), (N,H,W), all uint8
FORMAT = 1         # raise it when the layout of the files changes
FEW = 64           # up to here one process is quicker than starting more
STALE = 24 * 3600  # seconds after which a left-over temporary file is removed

def cache_dir():
    "The folder where drawn scenes are kept: `$CAMTUTOR_CACHE`, or the platform's place for caches. It may be deleted at any time."
    return Path(os.environ.get('CAMTUTOR_CACHE') or platformdirs.user_cache_dir('camtutor')).expanduser()

@cache
def fingerprint():
    "A hash of the drawing code, so that a new version never reads an old version's pictures."
    h = hashlib.sha256()
    for p in sorted(Path(scenes.__file__).parent.glob('*.py')): h.update(p.name.encode() + p.read_bytes())
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
    return pack(scenes.scene(seed, species, size, **fixed))

def worker():
    "A drawing process: reads jobs from stdin, writes packed scenes to stdout."
    for job in json.load(sys.stdin): sys.stdout.buffer.write(draw(job).tobytes())

def start_worker(jobs):
    # A fresh interpreter: forking one that holds torch's threads can hang, and spawning one runs the user's script again
    here = str(Path(__file__).resolve().parents[1])
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join([here, os.environ.get('PYTHONPATH', '')])}
    cmd = [sys.executable, '-c', 'from camtutor.cache import worker; worker()']
    err = tempfile.TemporaryFile()
    try: p = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, env=env)
    except OSError as e: raise CamError(f'Drawing scenes: no drawing process could be started ({e.strerror}).') from e
    with suppress(BrokenPipeError), p.stdin as f: f.write(json.dumps(jobs).encode())   # of one that has ended already `read_scene` tells
    return p, err

def read_scene(p, err, nbytes):
    data = p.stdout.read(nbytes)
    if len(data) == nbytes: return data
    err.seek(0)
    said = err.read().decode(errors='replace').strip().splitlines()[-1:]
    raise CamError(f'Drawing scenes: a drawing process ended early (exit code {p.wait()}). ' + ' '.join(said))

def draw_parallel(jobs, size, n_workers):
    "Packed scenes in the order of `jobs`, drawn by `n_workers` processes, each taking every `n_workers`-th job."
    workers = []
    try:
        for k in range(n_workers): workers.append(start_worker(jobs[k::n_workers]))
        for i in range(len(jobs)):
            data = read_scene(*workers[i % n_workers], size * size * 4)
            yield np.frombuffer(data, np.uint8).reshape(size, size, 4)
    finally:
        for p, err in workers:
            p.kill()
            p.stdout.close()
            p.wait()
            err.close()

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
    with closing(draw_parallel(jobs, size, n_workers) if n_workers > 1 else (draw(j) for j in jobs)) as drawn:
        for i, s in enumerate(with_bar(drawn, len(jobs), progress)): out[i] = s
    return out

# ---- keeping. A file is the packed scenes and a checksum of 4 bytes; its name says all that went into it
def crc(a, name): return zlib.crc32(a, zlib.crc32(name.encode())).to_bytes(4, 'big')

def keep(a, path):
    "Write packed scenes at once or not at all."
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f'{PART}*'):   # left by a process that was killed
        if time.time() - old.stat().st_mtime > STALE: old.unlink(missing_ok=True)
    write_whole(path, a.data, crc(a, path.name))

def kept(path, shape):
    "Packed scenes from `path`, or None where there are none or they are damaged."
    if not path.exists(): return None
    a = np.fromfile(path, np.uint8)
    n = int(np.prod(shape))
    if a.size == n + 4 and crc(a[:n], path.name) == a[n:].tobytes(): return a[:n].reshape(shape)
    print(f'{path.name} in the cache is damaged: drawing its scenes again.')

def cache_path(jobs, size):
    key = json.dumps([FORMAT, fingerprint(), jobs], sort_keys=True)
    return cache_dir() / f'scenes-{size}px-{len(jobs)}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.raw'

def make_jobs(seeds, species, size, fixed):
    "One (seed, species, size, fixed) a scene; each kind of scene is tried once, so that a bad argument shows here."
    jobs = [[int(s), sp if isinstance(sp, str) else list(sp), size, fixed] for s, sp in zip(seeds, species, strict=True)]
    try: text = json.dumps(jobs)
    except TypeError as e: raise CamError(f'Drawing scenes: arguments must be plain values, not {fixed!r} ({e}).') from e
    for kind in {json.dumps(j[1]): j for j in jobs}.values(): draw(kind)
    return json.loads(text)

def pictures(
    seeds,          # one int a scene
    species,        # one a scene: a name, or several names for several animals
    size=128,       # pixels
    progress=True,  # show a bar while drawing
    **fixed,        # the same for all scenes: background, pose, ...
): # `Pictures`: images (N,H,W,3), parts (N,H,W), instances (N,H,W), all uint8
    """Many scenes at once: drawn on all cores the first time, read from the cache after that.

    Safe against interruption, a full disk, a damaged file and a second process at the same time. Raises `CamError` for what `scene` cannot draw."""
    jobs = make_jobs(seeds, species, size, fixed)
    path, shape = cache_path(jobs, size), (len(jobs), size, size, 4)
    a = kept(path, shape)
    if a is None:
        a = draw_all(jobs, size, progress)
        try: keep(a, path)
        except OSError as e: print(f'The scenes could not be kept ({e.strerror}): they will be drawn again next time.')
    return unpack(a)
