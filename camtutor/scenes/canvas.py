"A small painter: a shape's coverage from matplotlib's Agg rasteriser, shaded in numpy, part labels in step."
import math
from contextlib import contextmanager
from functools import lru_cache
import numpy as np
from matplotlib.backend_bases import GraphicsContextBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.path import Path
from matplotlib.transforms import Affine2D
from .shapes import ellipse, furry
from . import textures

PARTS = ('background', 'ears', 'head', 'eyes', 'muzzle', 'body', 'legs', 'tail', 'collar', 'object')

# ---- colours are (r, g, b) tuples of floats in [0, 1]
def mix(a, b, t): return tuple(x + (y - x) * t for x, y in zip(a, b))
def lum(c): return .3 * c[0] + .59 * c[1] + .11 * c[2]
def dark(c, t): return mix(c, (.06, .04, .05), t)
def light(c, t): return mix(c, (1., .98, .95), t)
def _column(c): return np.array(c, np.float32)[:, None, None]

def _context(width=None):
    gc = GraphicsContextBase()
    gc.set_snap(False); gc.set_antialiased(True); gc.set_linewidth(width or 0)
    gc.set_foreground((1., 1., 1., 1.)); gc.set_capstyle('round'); gc.set_joinstyle('round')
    return gc

def _join(shapes):
    "Several outlines as one path: points and codes."
    points = np.concatenate(shapes)
    codes = np.full(len(points), Path.LINETO, Path.code_type)
    codes[np.cumsum([0] + [len(s) for s in shapes[:-1]])] = Path.MOVETO
    return points, codes

@lru_cache(1024)
def _window(n, r):
    "Where a window of 2r+1 begins and ends at each of n places, and one over its length; it shrinks at the ends."
    i = np.arange(n)
    lo, hi = np.maximum(i - r, 0), np.minimum(i + r + 1, n)
    return lo, hi, (1 / (hi - lo)).astype(np.float32)

def _box_blur(a, r, axis):
    "Mean over 2r+1 along `axis`."
    lo, hi, w = _window(a.shape[axis], r)
    c = np.zeros((a.shape[0] + (axis == 0), a.shape[1] + (axis == 1)), np.float32)
    np.cumsum(a, axis, out=c[1:] if axis == 0 else c[:, 1:])
    return (c.take(hi, axis) - c.take(lo, axis)) * (w[:, None] if axis == 0 else w)

def soften(a, r):
    "A smooth blur of a 2-d array with radius about `r` pixels."
    for _ in range(2): a = _box_blur(_box_blur(a, r, 0), r, 1)
    return a

class Canvas:
    "Colours (3, S, S) float32, parts and instances (S, S) uint8, and the current move, turn and scale."
    def __init__(self, size, towards_light, paint=None, without=None):
        self.size, self.light, self.paint, self.without = size, towards_light, paint or {}, without or {}
        self.rgb = np.zeros((3, size, size), np.float32)
        self.coat = np.empty_like(self.rgb)
        self.target = self.rgb
        self.parts, self.instances = np.zeros((size, size), np.uint8), np.zeros((size, size), np.uint8)
        self.instance, self.number, self.off, self.clip = 0, 0, False, (0, size, 0, size)
        self.a, self.t = np.eye(2), np.zeros(2)
        self.agg = RendererAgg(size, size, 72)
        self.buffer = np.asarray(self.agg.buffer_rgba())
        self.filled, self.stroked = _context(), _context(1.)
        self.flip = Affine2D().scale(1, -1).translate(0, size)

    @contextmanager
    def moved(self, x=0., y=0., turn=0., sx=1., sy=None):
        "Draw at (x, y), turned by `turn` degrees, scaled."
        keep = self.a, self.t
        c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        sy = sx if sy is None else sy
        self.t = np.array([x, y]) @ self.a + self.t
        self.a = np.array([[c * sx, s * sx], [-s * sy, c * sy]]) @ self.a
        yield
        self.a, self.t = keep

    # ---- what is left out
    def left_out(self, part):
        "Is this part, of the animal or object that is being drawn, not to be seen?"
        names = (part,) if part == 'object' else (part, 'animal')
        return any(n in self.without and (self.without[n] is None or self.number in self.without[n]) for n in names)

    @contextmanager
    def piece(self, part):
        "All that is drawn inside the `with` goes with `part`: its highlights, its lines, the shade it throws."
        keep, self.off = self.off, self.left_out(part)
        yield
        self.off = keep

    @property
    def scale(self): return math.sqrt(abs(self.a[0, 0] * self.a[1, 1] - self.a[0, 1] * self.a[1, 0]))

    # ---- coverage
    def _crop(self, x0, x1, y0, y1):
        "The pixel box (y0, y1, x0, x1) inside the clip, or None."
        if self.off: return None
        cy0, cy1, cx0, cx1 = self.clip
        box = max(int(y0), cy0), min(int(y1) + 2, cy1), max(int(x0), cx0), min(int(x1) + 2, cx1)
        return box if box[0] < box[1] and box[2] < box[3] else None

    def coverage(self, shape, width=0., pad=0.):
        "How much of each pixel the shape (or a stroke of `width` along it) covers: box and float32 (h, w)."
        points, codes = _join(shape) if isinstance(shape, list) else (shape, None)
        px = points @ self.a + self.t
        m = width * self.scale / 2 + 1 + pad
        x, y = px[:, 0], px[:, 1]
        box = self._crop(x.min() - m, x.max() + m, y.min() - m, y.max() + m)
        if box is None: return None, None
        self.agg.clear()
        if width: self.stroked.set_linewidth(width * self.scale)
        self.agg.draw_path(self.stroked if width else self.filled, Path(px, codes), self.flip,
                           None if width else (1., 1., 1., 1.))
        y0, y1, x0, x1 = box
        return box, self.buffer[y0:y1, x0:x1, 3] * np.float32(1 / 255)

    def _blend(self, box, cov, colour):
        y0, y1, x0, x1 = box
        view = self.target[:, y0:y1, x0:x1]
        view += (_column(colour) - view) * cov

    def _label(self, box, cov, part):
        y0, y1, x0, x1 = box; inside = cov > .5
        np.copyto(self.parts[y0:y1, x0:x1], PARTS.index(part), where=inside)
        np.copyto(self.instances[y0:y1, x0:x1], 0 if part == 'object' else self.instance, where=inside)

    # ---- flat things
    def fill(self, shape, colour, part=None, alpha=1., width=0.):
        "A flat shape or stroke; with a `part` it is labelled."
        if part and self.left_out(part): return
        box, cov = self.coverage(shape, width)
        if box is None: return
        if part: self._label(box, cov, part)
        self._blend(box, cov if alpha == 1 else cov * np.float32(alpha), self.paint.get(part, colour))

    def line(self, points, width, colour, alpha=1., part=None):
        self.fill(points, colour, part, alpha, width)

    def soft(self, cx, cy, rx, ry, colour, alpha=1., turn=0., edge=1., inside=False):
        "A soft-edged ellipse; edge 1 fades from the centre on, smaller is harder; `inside`: on this animal only."
        c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        e = np.array([[c * rx, s * rx], [-s * ry, c * ry]]) @ self.a
        centre = np.array([cx, cy]) @ self.a + self.t
        hx, hy = math.hypot(e[0, 0], e[1, 0]), math.hypot(e[0, 1], e[1, 1])
        box = self._crop(centre[0] - hx, centre[0] + hx, centre[1] - hy, centre[1] + hy)
        if box is None or hx * hy < .05: return
        y0, y1, x0, x1 = box
        det = e[0, 0] * e[1, 1] - e[0, 1] * e[1, 0]
        x = np.arange(x0, x1, dtype=np.float32) + np.float32(.5 - centre[0])
        y = (np.arange(y0, y1, dtype=np.float32) + np.float32(.5 - centre[1]))[:, None]
        u = x * np.float32(e[1, 1] / det) - y * np.float32(e[1, 0] / det)
        v = y * np.float32(e[0, 0] / det) - x * np.float32(e[0, 1] / det)
        k = np.clip((1 - u * u - v * v) * np.float32(1 / edge), 0, 1)
        k *= k * (3 - 2 * k) * np.float32(alpha)
        if inside: k *= self.instances[y0:y1, x0:x1] == self.instance
        self._blend(box, k, colour)

    # ---- things with volume
    def _shade(self, cov, grain, depth, rim):
        "Light on a cushion-like surface: 1 is the plain colour, less is darker, more is lighter."
        h, w = cov.shape
        r = max(1, int(round(depth * min(h, w))))
        high = soften(cov, r)
        dx, dy = (int(round(self.light[i] * (r + 1))) for i in (0, 1))
        iy, ix = np.arange(h), np.arange(w)
        lit = high.take(np.clip(iy - dy, 0, h - 1), 0).take(np.clip(ix - dx, 0, w - 1), 1)
        lit -= high.take(np.clip(iy + dy, 0, h - 1), 0).take(np.clip(ix + dx, 0, w - 1), 1)
        s = np.clip((high - .38) * 2.2, 0, 1)
        s *= np.float32(rim); s += np.float32(1.06 - rim)
        lit *= np.float32(.55); s += lit
        if grain is not None: s += grain
        return s

    def _shaded(self, box, cov, s, part):
        y0, y1, x0, x1 = box
        self._label(box, cov, part)
        base = self.coat[:, y0:y1, x0:x1]
        over = np.clip(s - 1, 0, .9)
        over *= np.float32(.55)
        rgb = base * np.minimum(np.maximum(s, .12), 1)
        rgb += (1 - base) * over
        view = self.rgb[:, y0:y1, x0:x1]
        rgb -= view; rgb *= cov; view += rgb

    def body(self, outline, part, colour, decor=None, fluff=0., hair=.0, phase=0., turns=0, depth=.25, rim=.55):
        "A shaded part; `decor()` paints markings on its coat, `hair` is the fur's contrast, `fluff` its ragged edge."
        if self.left_out(part): return
        if fluff: outline = furry(outline, fluff, phase)
        box, cov = self.coverage(outline, pad=1)
        if box is None: return
        y0, y1, x0, x1 = box
        self.coat[:, y0:y1, x0:x1] = _column(self.paint.get(part, colour))
        if decor and part not in self.paint:
            keep, self.clip, self.target = self.clip, box, self.coat
            decor()
            self.clip, self.target = keep, self.rgb
        grain = None
        if hair:
            grain = textures.patch('hair', 2.6 * self.scale, box, (phase, phase * 7.3), turns)
            grain *= np.float32(hair)
        self._shaded(box, cov, self._shade(cov, grain, depth, rim), part)

    def glow(self, x, y, r, alpha=.9): self.fill(ellipse(x, y, r, n=16), (1., 1., 1.), None, alpha)
