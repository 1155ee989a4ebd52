"Tileable grey textures, made once from fixed numbers and kept at several sizes."
import math, random
from bisect import bisect
from functools import lru_cache
import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.backend_bases import GraphicsContextBase
from matplotlib.path import Path
from matplotlib.transforms import IdentityTransform

LEVELS = (24, 34, 48, 68, 96, 136, 192, 272, 384, 512)
N = 512

def _noise(seed, power):
    "Tileable noise whose spectrum is `power(fx, fy)`."
    z = np.random.RandomState(seed).standard_normal((N, N))
    fy, fx = np.meshgrid(np.fft.fftfreq(N), np.fft.fftfreq(N), indexing='ij')
    return np.fft.ifft2(np.fft.fft2(z) * power(fx, fy)).real

def _radius(fx, fy): return np.hypot(fx, fy) + 1 / N
def _soft(fx, fy, k): return np.exp(-(_radius(fx, fy) / k)**2)

def _strokes(seed, n, stroke):
    "n shapes `stroke(rng) -> (points, grey, alpha)` at random places, wrapped round the tile's edges."
    rng, agg, gc = random.Random(seed), RendererAgg(N, N, 72), GraphicsContextBase()
    gc.set_linewidth(0); gc.set_snap(False)
    whole = Path([(0, 0), (N, 0), (N, N), (0, N)])
    agg.draw_path(gc, whole, IdentityTransform(), (.5, .5, .5, 1.))
    for _ in range(n):
        pts, grey, alpha = stroke(rng)
        x, y = rng.random() * N, rng.random() * N
        for ox in (-N, 0, N):
            for oy in (-N, 0, N):
                if -60 < x + ox < N + 60 and -60 < y + oy < N + 60:
                    agg.draw_path(gc, Path(pts + (x + ox, y + oy)), IdentityTransform(), (grey, grey, grey, alpha))
    return np.asarray(agg.buffer_rgba())[..., 0] / 255.

def _hair(rng):
    "One hair hanging down."
    h, a, w = rng.uniform(16, 46), rng.gauss(0, .28), rng.uniform(1., 2.4)
    dx, dy = math.sin(a) * h, -math.cos(a) * h
    bend = rng.uniform(-.25, .25) * h
    mid = (dx * .5 + bend, dy * .55)
    pts = np.array([(-w, 0), (mid[0] - w * .7, mid[1]), (dx, dy), (mid[0] + w * .7, mid[1]), (w, 0)])
    return pts, min(1., max(0., rng.gauss(.5, .27))), .6

def _blade(rng):
    "One blade of grass."
    h, b, w = rng.uniform(26, 60), rng.uniform(-18, 18), rng.uniform(1.2, 3.)
    pts = np.array([(-w, 0), (b * .3 - w * .7, h * .6), (b, h), (b * .3 + w * .7, h * .6), (w, 0)])
    return pts, rng.uniform(.1, .95), .8

def _fabric():
    g = np.arange(N) * (2 * math.pi / 16)
    return 1.2 * np.sin(g)[None] * np.sin(g)[:, None] + .8 * _unit(_noise(6, lambda x, y: _soft(x, y, .12)))

def _unit(a): return (a - a.mean()) / a.std()

MAKERS = {
    'cloud': lambda: _noise(1, lambda x, y: _radius(x, y)**-1.7),
    'fine': lambda: _noise(2, lambda x, y: _soft(x, y, .16)),
    'hair': lambda: _unit(_strokes(9, 5200, _hair)) + .3 * _unit(_noise(8, lambda x, y: _soft(x, y, .02))),
    'wood': lambda: _noise(5, lambda x, y: np.exp(-(y / .006)**2) * (np.abs(x) + 1 / 128)**-.6),
    'fabric': _fabric,
    'sand': lambda: _noise(7, lambda x, y: _radius(x, y)**-.6 * _soft(x, y, .3)),
    'grass': lambda: _strokes(5, 2600, _blade),
    'grain': lambda: np.random.RandomState(4).standard_normal((N, N)),
}

@lru_cache(None)
def _spectrum(name): return np.fft.fft2(MAKERS[name]())

@lru_cache(None)
def level(name, n):
    "Texture `name` as an (n, n) tile with mean 0 and deviation 1, clipped at 3."
    f = np.fft.fftshift(_spectrum(name)); k = (N - n) // 2
    a = np.fft.ifft2(np.fft.ifftshift(f[k:k + n, k:k + n])).real
    return np.clip(_unit(a), -3, 3).astype(np.float32)

MIDDLES = tuple(math.sqrt(a * b) for a, b in zip(LEVELS, LEVELS[1:]))

def nearest_level(px): return LEVELS[bisect(MIDDLES, px)]

def patch(name, tile, box, offset=(0., 0.), turns=0):
    "Texture over a pixel box (y0, y1, x0, x1); a tile covers `tile` pixels, the hair turned by quarter `turns`."
    n = nearest_level(tile)
    y, x = _indices(n, tile, box, offset)
    t = level(name, n)
    if turns: t = np.rot90(t, turns)
    return t[y[:, None], x]

def _indices(n, tile, box, offset):
    y0, y1, x0, x1 = box
    k = 1. if .84 < n / tile < 1.2 else n / tile
    y = ((np.arange(y0, y1) * k).astype(np.intp) + int(offset[0] * n)) % n
    x = ((np.arange(x0, x1) * k).astype(np.intp) + int(offset[1] * n)) % n
    return y, x

def floor(name, size, horizon, tile, offset=(0., 0.)):
    "Texture on a floor that runs back from the picture's lower edge to row `horizon` (a fraction): (rows, size)."
    n = nearest_level(tile * size)
    y0 = int(round(horizon * size))
    far = (np.arange(y0, size) + .5) / size - horizon + .1
    near = 1 - horizon + .1
    v = -np.log(far / near) * near / tile + offset[0]
    x = ((np.arange(size) + .5) / size - .5)[None] * (near / far / tile)[:, None] + offset[1]
    iy, ix = (-v * n).astype(np.intp) % n, np.floor(x * n).astype(np.intp) % n
    return level(name, n)[iy[:, None], ix]
