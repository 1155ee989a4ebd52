"Outlines as (n, 2) arrays of points: smooth blobs, ellipses, tubes, strokes and ragged furry edges."
import math
from functools import lru_cache
import numpy as np

@lru_cache(None)
def _spline(k):
    "Catmull-Rom weights (k, 4) at k places between two points."
    t = np.arange(k)[:, None] / k
    return np.hstack([-t + 2*t**2 - t**3, 2 - 5*t**2 + 3*t**3, t + 4*t**2 - 3*t**3, -t**2 + t**3]) / 2

@lru_cache(None)
def _circle(n):
    a = np.arange(n) * (2 * math.pi / n)
    return np.stack([np.cos(a), np.sin(a)], 1)

@lru_cache(None)
def _neighbours(n):
    "For each of n points on a ring: the one before, itself, the next two."
    return (np.arange(n)[:, None] + (-1, 0, 1, 2)) % n

def blob(pts, k=8):
    "A closed smooth curve through `pts`."
    p = np.asarray(pts, float)
    return (_spline(k) @ p[_neighbours(len(p))]).reshape(-1, 2)

def curve(pts, k=6):
    "An open smooth curve through `pts`."
    p = np.asarray(pts, float)
    p = np.vstack([2*p[0] - p[1], p, 2*p[-1] - p[-2]])
    four = p[_neighbours(len(p))[1:-2]]
    return np.vstack([(_spline(k) @ four).reshape(-1, 2), p[-2]])

def mirror(half):
    "A right half outline, top to bottom, made whole."
    return list(half) + [(-x, y) for x, y in reversed(half) if abs(x) > 1e-6]

def ellipse(cx, cy, rx, ry=None, turn=0., n=40):
    "An ellipse, turned by `turn` degrees."
    p = _circle(n) * (rx, rx if ry is None else ry)
    if turn:
        c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        p = p @ np.array([[c, s], [-s, c]])
    return p + (cx, cy)

def rect(x0, y0, x1, y1): return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)

def rounded(x0, y0, x1, y1, r):
    "A rectangle with round corners."
    arc = _circle(24)[:7] * r
    turn = np.array([[0, 1], [-1, 0]])
    out = []
    for x, y in ((x1 - r, y1 - r), (x0 + r, y1 - r), (x0 + r, y0 + r), (x1 - r, y0 + r)):
        out.append(arc + (x, y))
        arc = arc @ turn
    return np.vstack(out)

@lru_cache(None)
def _bernstein(degree, n):
    "Weights (n, degree + 1) of a Bezier curve's points."
    t = np.arange(n)[:, None] / (n - 1)
    return np.hstack([math.comb(degree, i) * t**i * (1 - t)**(degree - i) for i in range(degree + 1)])

def bezier(p0, p1, p2, p3, n=9):
    "n points of a cubic Bezier curve."
    return _bernstein(3, n) @ np.array([p0, p1, p2, p3], float)

def quad(p0, p1, p2, n=8):
    "n points of a quadratic Bezier curve."
    return _bernstein(2, n) @ np.array([p0, p1, p2], float)

def straight(a, b): return np.array([a, ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2), b], float)

def tube(spine, widths):
    "A limb or tail along `spine` with half-widths `widths`, round at its end."
    p, w = np.asarray(spine, float), np.asarray(widths, float)[:, None]
    d = np.gradient(p, axis=0)
    d /= np.hypot(d[:, 0], d[:, 1])[:, None] + 1e-9
    normal = np.stack([-d[:, 1], d[:, 0]], 1) * w
    tip = p[-1] + d[-1] * w[-1]
    return blob(np.vstack([p + normal, tip, (p - normal)[::-1]]), 4)

@lru_cache(None)
def _tufts():
    "Hair ends along an edge: broad clumps and single hairs, mean about 0.2."
    r, n = np.random.RandomState(3), 4096
    clump = np.convolve(r.standard_normal(n + 8), np.ones(9) / 3, 'valid')
    hair = 1.7 * r.uniform(.1, 1, n)**1.6 * (np.arange(n) % 2)
    return np.tile(.35 * clump + hair, 2)

HAIRS = .032   # from one hair to the next

def furry(outline, length, phase):
    "`outline` resampled every `HAIRS` units with hairs of about `length` standing out of it."
    p = np.concatenate([outline, outline[:1]])
    d = p[1:] - p[:-1]
    s = np.concatenate([[0.], np.cumsum(np.sqrt(d[:, 0]**2 + d[:, 1]**2))])
    n = max(12, int(s[-1] / HAIRS)) // 2 * 2
    at = np.arange(-1, n + 1) * (s[-1] / n)
    q = np.empty((n + 2, 2))
    q[:, 0], q[:, 1] = np.interp(at, s, p[:, 0]), np.interp(at, s, p[:, 1])
    q[0], q[-1] = q[-2], q[1]
    d = q[2:] - q[:-2]
    side = 1. if (p[:-1, 0] * p[1:, 1] - p[1:, 0] * p[:-1, 1]).sum() > 0 else -1.
    start = int(phase * 2048) * 2
    k = length * side * _tufts()[start:start + n] / (np.sqrt(d[:, 0]**2 + d[:, 1]**2) + 1e-9)
    return q[1:-1] + np.stack([d[:, 1], -d[:, 0]], 1) * k[:, None]
