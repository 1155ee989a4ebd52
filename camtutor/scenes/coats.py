"Colours and markings of fur: one distribution for every species, so that colour never tells the species."
import math, random
from dataclasses import dataclass
import numpy as np
from .canvas import dark, light, lum, mix
from .shapes import blob, ellipse, quad

COLOURS = {
    'ginger': (.86, .52, .22), 'cream': (.93, .86, .74), 'white': (.95, .94, .92), 'grey': (.55, .55, .57),
    'black': (.19, .18, .19), 'brown': (.46, .30, .19), 'tan': (.74, .58, .40), 'chocolate': (.33, .22, .16),
    'blue': (.45, .50, .58), 'pink': (.90, .68, .62), 'chestnut': (.62, .40, .24), 'silver': (.72, .70, .67),
}
PATTERNS = ('bib', 'patches', 'points', 'solid', 'spots', 'stripes')
BRIGHT = ((.83, .20, .18), (.15, .42, .75), (.95, .72, .15), (.20, .60, .36), (.55, .30, .65), (.92, .48, .15),
          (.15, .62, .66), (.90, .45, .60))
IRIS = ((.82, .62, .12), (.45, .64, .22), (.32, .58, .80), (.56, .34, .14))
NOSES = ((.13, .10, .11), (.30, .18, .16), (.80, .48, .48))

@dataclass
class Look:
    "One animal's colours and pattern."
    pattern: str
    base: tuple
    second: tuple
    pale: tuple
    inner: tuple
    nose: tuple
    iris: tuple
    collar: tuple
    seed: int

    @property
    def limb(self): return self.second if self.pattern == 'points' else self.base
    @property
    def paw(self): return self.pale if self.pattern == 'bib' else self.limb
    @property
    def cheek(self):
        "Colour of the muzzle."
        if self.pattern == 'bib': return self.pale
        return mix(self.second, self.base, .2) if self.pattern == 'points' else mix(self.base, self.pale, .5)

def _jitter(rng, c):
    "A little lighter or darker, and a little off in hue."
    k = rng.uniform(-.05, .05)
    return tuple(min(1., max(0., v + k + rng.uniform(-.018, .018))) for v in c)

def _second(rng, pattern, base):
    if pattern == 'points': return dark(base, .72) if lum(base) > .42 else light(base, .55)
    if pattern == 'stripes' and lum(base) > .3: return _jitter(rng, dark(base, .62))
    return _jitter(rng, rng.choice([c for c in COLOURS.values() if abs(lum(c) - lum(base)) > .25]))

def make_look(rng, pattern=None, colour=None, collar=None):
    "A look from the random stream; each argument fixes one part of it and leaves the others alone."
    own, chosen, worn = _jitter(rng, rng.choice(list(COLOURS.values()))), rng.choice(PATTERNS), rng.random() < .35
    nose, blush, iris, band, seed = (rng.choice(NOSES), rng.uniform(.1, .5), _jitter(rng, rng.choice(IRIS)),
                                     rng.choice(BRIGHT), rng.randrange(1 << 30))
    pattern, base = pattern or chosen, colour or own
    if collar is None: collar = worn
    band = (band if collar else None) if isinstance(collar, bool) else collar
    later = random.Random(seed)
    pale = _jitter(later, light(base, .72) if lum(base) < .8 else (.97, .95, .91))
    second, inner = _second(later, pattern, base), mix((.88, .62, .60), base, blush)
    return Look(pattern, base, second, pale, inner, nose, iris, band, seed)

# ---- markings painted on a part's coat; the part's outline cuts them off
def coat(canvas, look, outline, dense=1.):
    "The pattern over a body or limb."
    x0, y0 = outline.min(0); x1, y1 = outline.max(0)
    w, h = x1 - x0, y1 - y0
    rng = random.Random(look.seed + int(w * 10))
    if look.pattern == 'stripes': canvas.fill(_stripes(rng, x0, y0, w, h, dense), look.second, alpha=.85)
    elif look.pattern == 'spots': canvas.fill(_spots(rng, x0, y0, w, h, dense), look.second, alpha=.9)
    elif look.pattern == 'patches': canvas.fill(_patches(rng, x0, y0, w, h), look.second, alpha=.95)

def _wedge(a, b, c, width):
    "A stripe: thick at a, pointed at c."
    p = quad(a, b, c, 7)
    d = np.gradient(p, axis=0); d /= np.hypot(d[:, 0], d[:, 1])[:, None] + 1e-9
    k = np.array([.8, 1, 1, .9, .7, .4, .05])[:, None] * width / 2
    normal = np.stack([-d[:, 1], d[:, 0]], 1) * k
    return np.vstack([p + normal, (p - normal)[::-1]])

def _stripes(rng, x0, y0, w, h, dense):
    "Bands from the back down, or from both sides in."
    out, across = [], w <= h * .8
    n = max(3, int((h if across else w) / .36 * dense))
    for i in range(n):
        t, width = (i + rng.uniform(.25, .75)) / n, rng.uniform(.12, .20)
        if across:
            for side, x in ((1, x0), (-1, x0 + w)):
                y, reach = y0 + h * t, w * rng.uniform(.25, .45)
                wedge = _wedge((x - side * .1, y), (x + side * reach * .6, y + .12), (x + side * reach, y), width)
                out.append(wedge[::side])
        else:
            x, k = x0 + w * t, rng.uniform(-.15, .15)
            out.append(_wedge((x, y0 - .05), (x + k, y0 + h * .35), (x + k * .4, y0 + h * rng.uniform(.5, .8)), width))
    return out

def _spots(rng, x0, y0, w, h, dense):
    n = int(w * h * 2.6 * dense) + 2
    return [ellipse(x0 + rng.random() * w, y0 + rng.random() * h, rng.uniform(.08, .18), rng.uniform(.07, .15), n=16)
            for _ in range(n)]

def _patches(rng, x0, y0, w, h):
    out = []
    for _ in range(int(w * h * .35) + 1):
        cx, cy, r = x0 + rng.random() * w, y0 + rng.random() * h, rng.uniform(.35, .7)
        out.append(blob([(cx + math.cos(a) * r * rng.uniform(.6, 1.2), cy + math.sin(a) * r * rng.uniform(.6, 1.2))
                         for a in (i * .9 for i in range(7))], 5))
    return out
