"Heads: outlines, ears and faces of every species, on a ball that turns and nods."
import math
import numpy as np
from .canvas import dark, light, lum, mix
from .shapes import bezier, blob, curve, ellipse, mirror, quad, rounded, tube
from .coats import coat

OUTLINES = {  # right half, from crown to chin, in head radii
    'bear': [(0, -.86), (.58, -.78), (.98, -.22), (1.08, .26), (.88, .68), (.46, .92), (0, .97)],
    'cat': [(0, -.80), (.52, -.76), (.90, -.32), (1.04, .16), (.88, .54), (.45, .80), (0, .86)],
    'dog': [(0, -.90), (.48, -.84), (.76, -.42), (.80, .10), (.66, .56), (.42, .92), (0, 1.04)],
    'elephant': [(0, -.98), (.36, -.98), (.74, -.62), (.84, -.05), (.70, .42), (.44, .74), (0, .84)],
    'fox': [(0, -.74), (.50, -.72), (.86, -.26), (1.26, .36), (.74, .54), (.34, .84), (0, 1.04)],
    'mouse': [(0, -.78), (.44, -.72), (.76, -.32), (.82, .08), (.62, .46), (.32, .80), (0, .98)],
    'pig': [(0, -.84), (.56, -.76), (.90, -.22), (.98, .30), (.86, .74), (.46, 1.0), (0, 1.06)],
    'rabbit': [(0, -.86), (.44, -.78), (.72, -.32), (.86, .20), (.76, .62), (.40, .88), (0, .94)],
}
FLUFF = {'bear': .04, 'cat': .033, 'dog': .038, 'elephant': .005, 'fox': .04, 'mouse': .028, 'pig': .007, 'rabbit': .032}
HAIR = {'elephant': .045, 'pig': .05}
SIDES = (-1, 1)

class Head:
    "A head to be drawn at the origin with radius 1: canvas, look and how it is turned."
    def __init__(self, canvas, look, species, rng, yaw, pitch):
        self.c, self.look, self.species, self.yaw, self.pitch = canvas, look, species, yaw, pitch
        self.k = [rng.random() for _ in range(8)]         # this animal's own proportions
        self.phase = rng.random()
        self.fluff, self.hair = FLUFF[species], HAIR.get(species, .10)

    def at(self, x, y, z=None):
        "A point on the head's ball (or at depth z), turned and projected."
        if z is None: z = math.sqrt(max(.05, 1.08 - .8*x*x - .7*y*y))
        cy, sy = math.cos(self.yaw), math.sin(self.yaw)
        return x*cy + z*sy, y*math.cos(self.pitch) - (z*cy - x*sy) * math.sin(self.pitch)

    def fore(self, x):
        "How much narrower a thing at x looks when the head is turned."
        a = math.asin(max(-.95, min(.95, x / 1.05)))
        return max(.5, min(1.12, math.cos(a + self.yaw) / math.cos(a)))

    def part(self, outline, part, colour, decor=None, fluff=None, hair=None, **kw):
        self.phase = (self.phase + .618) % 1
        self.c.body(outline, part, colour, decor, self.fluff if fluff is None else fluff,
                    self.hair if hair is None else hair, self.phase, **kw)

    def draw(self):
        "Ears behind, head, ears in front, face."
        EARS_BEHIND.get(self.species, _nothing)(self)
        k = 1 - .04 * abs(self.yaw)
        outline = blob([(x*k + self.yaw*.10*(1 - y*y*.3), y - self.pitch*.06) for x, y in mirror(OUTLINES[self.species])])
        self.part(outline, 'head', self.look.base, lambda: markings(self, outline), rim=.42)
        EARS_BEFORE.get(self.species, _nothing)(self)
        FACES[self.species](self)

def _nothing(h): pass

# ---- markings
def markings(h, outline):
    "The coat's pattern on the head."
    c, look = h.c, h.look
    if h.species == 'fox': _cheeks(h)
    if look.pattern == 'stripes': _head_stripes(h)
    elif look.pattern == 'spots': coat(c, look, outline, .7)
    elif look.pattern == 'patches':
        k = 1 if look.seed % 2 else -1
        c.fill(ellipse(*h.at(k * .44, -.22), .50, .60, 20 * k), look.second, alpha=.95)
    elif look.pattern == 'bib': _blaze(h)
    elif look.pattern == 'points': c.soft(*h.at(0, .30, 1.1), .95, .95, look.second, .9, edge=.8)

def _cheeks(h):
    "A fox's pale cheeks, meeting under the chin."
    pale = mix(h.look.base, h.look.pale, .75)
    for s in SIDES:
        rim = [(s * 1.4 + h.yaw * .15, .30), (s * .8, .80), (h.yaw * .3, 1.25)]
        h.c.fill(blob([h.at(s * .04, .62), h.at(s * .26, .30), h.at(s * .62, .16), *rim]), pale)

def _head_stripes(h):
    for x in (-.26, 0, .26): h.c.line(_pair(h.at(x * 1.2, -.98), h.at(x, -.45)), .12, h.look.second, .85)
    for s in SIDES:
        for y in (.10, .36): h.c.line(_pair(h.at(s * 1.06, y - .08), h.at(s * .68, y)), .10, h.look.second, .8)

def _pair(a, b): return quad(a, ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2), b, 3)

def _blaze(h):
    "A white blaze and cheeks."
    h.c.fill(blob([h.at(0, -.95), h.at(.14, -.4), h.at(.16, .05), h.at(.5, .35, .9), h.at(.55, .75, .8), h.at(0, 1.1, .6),
                   h.at(-.55, .75, .8), h.at(-.5, .35, .9), h.at(-.16, .05), h.at(-.14, -.4)]), h.look.pale, alpha=.97)

# ---- ears
def ear(h, outer, inner=None, tint=None, decor=None, fluff=None, colour=None, **kw):
    "An ear with its inside."
    colour = colour or (h.look.second if h.look.pattern == 'points' else h.look.base)
    def paint():
        if decor: decor()
        if inner is not None: h.c.fill(inner, tint or h.look.inner, alpha=.95)
    h.part(outer, 'ears', colour, paint, fluff, **kw)

def triangle(h, side, inside, outside, tip, bulge=.12):
    "A pointed ear from two roots and a tip."
    a, b, t = (h.at(side * x, y, -.1) for x, y in (inside, outside, tip))
    up = quad(a, ((a[0] + t[0]) / 2 - side * bulge * .4, (a[1] + t[1]) / 2 - bulge), t)
    down = quad(t, ((b[0] + t[0]) / 2 + side * bulge, (b[1] + t[1]) / 2 - bulge * .2), b)
    return np.vstack([up, down, [(b[0] * .8, b[1] + .3), (a[0], a[1] + .3)]])

def ears_cat(h):
    for s in SIDES:
        dx = .1 * h.k[0] - .05
        ear(h, triangle(h, s, (.18, -.70), (.95, -.26), (.82 + dx, -1.40)),
            triangle(h, s, (.38, -.68), (.84, -.34), (.78 + dx, -1.18), .06))

def ears_fox(h):
    tip = h.look.second if h.look.pattern in ('points', 'patches') else dark(h.look.base, .55)
    for s in SIDES:
        t = h.at(s * .84, -1.80, -.1)
        ear(h, triangle(h, s, (.10, -.64), (.92, -.26), (.84, -1.80), .12),
            triangle(h, s, (.30, -.64), (.80, -.34), (.78, -1.42), .06), light(h.look.inner, .25),
            lambda: h.c.soft(*t, .5, .75, tip, 1., edge=.5))

def ears_rabbit(h):
    long, bent = 1.45 + .5 * h.k[0], (0, 0, 0, 1, -1)[int(h.k[1] * 5)]
    for s in SIDES:
        x, y = h.at(s * .34, -.62, -.1)
        a = math.radians(s * (5 + 14 * h.k[2 + (s > 0)]))
        tx, ty = x + math.sin(a) * long, y - math.cos(a) * long
        mid = ((x + tx) / 2 + s * .05, (y + ty) / 2)
        if bent == s: tx, ty, mid = x + s * long * .62, y - long * .42, (x + s * long * .22, y - long * .78)
        spine = bezier((x, y + .15), ((x + mid[0]) / 2, (y + mid[1]) / 2 - .1), mid, (tx, ty), 7)
        ear(h, tube(spine, [.20, .24, .29, .32, .32, .27, .14]), tube(spine[1:-1], [.10, .14, .17, .17, .12]), fluff=.02)

def ears_bear(h):
    for s in SIDES:
        x, y = h.at(s * .78, -.70, .05)
        ear(h, ellipse(x, y, .40), ellipse(x, y + .07, .24), mix(h.look.inner, h.look.base, .4))

def ears_mouse(h):
    for s in SIDES:
        x, y = h.at(s * 1.02, -.82, -.15)
        w = .68 * (1 - .25 * max(0, s * h.yaw))
        ear(h, ellipse(x, y, w, .72, s * 20), ellipse(x - s * .02, y + .04, w * .74, .54, s * 20), fluff=.015)

def ears_dog(h):
    long, k = .40 + .55 * h.k[0], h.yaw * .12
    colour = h.look.second if h.look.pattern in ('points', 'patches') else dark(h.look.base, .22)
    for s in SIDES:
        w = .13 * h.k[2 + (s > 0)] - .05
        o = [(.44, -.80), (.74, -.74), (1.02 + w, -.30), (1.16 + w, long * .55), (1.0 + w, long), (.78, long * .6),
             (.68, -.30)]
        o = blob([(s * x + k, y) for x, y in o])
        h.c.soft(s * .9 + k, .0, .38, long + .35, (.05, .03, .04), .45, inside=True)
        ear(h, o, colour=colour)

def ears_pig(h):
    f = .15 * h.k[0]
    for s in SIDES:
        x, y = h.at(s * .52, -.70, .15)
        o = blob([(x + s * u, y + v) for u, v in ((-.24, .02), (.02, -.26), (.42, -.40 + f), (.84, -.18 + f * 2),
                                                  (.62, .12 + f), (.24, .26))], 6)
        i = blob([(x + s * u, y + v) for u, v in ((.06, .02), (.34, -.18 + f), (.70, -.12 + f * 2), (.42, .08 + f))], 6)
        h.c.soft(x + s * .3, y + .22, .5, .25, (.05, .03, .04), .4, inside=True)
        ear(h, o, i, mix(h.look.inner, h.look.base, .25))

def ears_elephant(h):
    for s in SIDES:
        w = 1 - .35 * max(0, s * h.yaw) + .12 * max(0, -s * h.yaw)
        x, y = h.at(s * .52, -.25, -.2)
        o = [(.0, -.42), (.42, -.70), (.98, -.62), (1.28, -.10), (1.14, .48), (.78, .98), (.46, .88), (.24, .50), (0, .40)]
        i = [(.12, -.22), (.46, -.46), (.90, -.40), (1.10, -.04), (.96, .42), (.70, .76), (.44, .60), (.22, .30)]
        ear(h, blob([(x + s * u * w, y + v) for u, v in o]), blob([(x + s * u * w, y + v) for u, v in i]),
            mix(h.look.inner, h.look.base, .35))

EARS_BEHIND = {'bear': ears_bear, 'cat': ears_cat, 'elephant': ears_elephant, 'fox': ears_fox, 'mouse': ears_mouse,
               'rabbit': ears_rabbit}
EARS_BEFORE = {'dog': ears_dog, 'pig': ears_pig}

# ---- pieces of a face
def eyes(h, x, y, rx, ry, colour, pupil='round', slant=0.):
    "Two eyes with rim, iris, pupil, lid and highlights."
    for s in SIDES:
        cx, cy = h.at(s * x, y)
        _eye(h, cx, cy, rx * h.fore(s * x), ry, colour, pupil, s * slant)

def _eye(h, x, y, w, t, colour, pupil, slant):
    c = h.c
    c.fill(ellipse(x, y, w * 1.28, t * 1.30, slant), dark(h.look.base, .82), 'eyes')
    c.fill(ellipse(x, y, w, t, slant, n=28), colour, 'eyes')
    if 'eyes' not in c.paint: c.soft(x, y + t * .35, w * .8, t * .6, light(colour, .6), .6)
    p = .40 if pupil == 'slit' else .64
    c.fill(ellipse(x + h.yaw * .04, y, w * p, t * (.92 if pupil == 'slit' else .66), n=24), (.03, .02, .03), 'eyes')
    g = (c.light[0] * .3 * w) * (1 if c.a[0, 0] > 0 else -1)
    c.glow(x + g, y - t * .36, max(w, t) * .27)
    c.glow(x - g, y + t * .42, max(w, t) * .15, alpha=.55)

def nose(h, x, y, w, t, colour, shape='triangle'):
    o = ellipse(x, y, w, t, n=24)
    if shape == 'triangle':
        o = blob([(x - w, y - t * .7), (x, y - t * .85), (x + w, y - t * .7), (x + w * .55, y + t * .35), (x, y + t),
                  (x - w * .55, y + t * .35)], 4)
    h.c.fill(o, colour, 'muzzle')
    h.c.soft(x + h.c.light[0] * w * .2, y - t * .30, w * .6, t * .45, (1, 1, 1), .6)

def mouth(h, x, y, w, t, drop=.12):
    "A short line down and two smiles."
    ink, yy = dark(h.look.cheek, .85), y + drop
    pts = [(x - w, yy + t * .3), (x - w * .5, yy + t * 1.1), (x - .01, yy), (x, y), (x + .01, yy), (x + w * .5, yy + t * 1.1),
           (x + w, yy + t * .3)]
    h.c.line(curve(pts, 4), .05, ink, .85)

def tongue(h, x, y, w, t):
    o = blob([(x - w, y), (x + w, y), (x + w * .95, y + t * .6), (x, y + t), (x - w * .95, y + t * .6)], 5)
    h.part(o, 'muzzle', (.90, .45, .48), fluff=0, hair=0)
    h.c.line(_pair((x, y), (x, y + t * .7)), .03, (.65, .25, .3), .7)

def whiskers(h, x, y, long=.95):
    "Hair-thin, so they belong to no part."
    colour = (1, 1, 1) if lum(h.look.base) < .72 else (.30, .26, .24)
    rows = [quad((x + s * .22, y + .07 * (i - 1)), (x + s * long * .6, y - .17 + .15 * i), (x + s * long, y - .19 + .27 * i), 6)
            for s in SIDES for i in range(3)]
    h.c.fill(rows, colour, alpha=.7, width=.026)

def snout(h, outline, colour, fluff=.02, **kw):
    cx, cy = (outline.min(0) + outline.max(0)) / 2
    rx, ry = (outline.max(0) - outline.min(0)) / 2
    h.c.soft(cx, cy + .06, rx * 1.35, ry * 1.35, (.05, .03, .04), .35, inside=True)
    h.part(outline, 'muzzle', colour, None, fluff, rim=.30, **kw)

def _shift(x, y, pts): return blob([(x + u, y + v) for u, v in pts])

# ---- faces
def face_bear(h):
    x, y = h.at(0, .40, 1.20)
    eyes(h, .40, -.10, .125, .135, mix(h.look.iris, (.12, .06, .04), .6))
    snout(h, ellipse(x, y + .08, .52, .42), light(h.look.cheek, .12))
    nose(h, x, y - .10, .23, .16, h.look.nose, 'oval')
    mouth(h, x, y + .02, .20, .09, .16)

def face_cat(h):
    x, y = h.at(0, .34, 1.12)
    eyes(h, .43, -.10, .22, .21, h.look.iris, 'slit', -8)
    snout(h, _shift(x, y, [(0, -.04), (.22, -.06), (.42, .12), (.26, .32), (.10, .40), (-.10, .40), (-.26, .32), (-.42, .12),
                           (-.22, -.06)]), h.look.cheek)
    nose(h, x, y, .13, .09, h.look.nose)
    mouth(h, x, y + .05, .22, .09, .10)
    whiskers(h, x, y + .13)

def face_dog(h):
    x, y = h.at(0, .36, 1.35)
    eyes(h, .36, -.14, .16, .165, mix(h.look.iris, (.30, .17, .08), .4))
    brow = light(h.look.base, .45) if lum(h.look.base) < .6 else dark(h.look.base, .4)
    for s in SIDES: h.c.soft(*h.at(s * .34, -.44), .17, .09, brow, .6, s * 12)
    if h.k[4] < .4: tongue(h, x + .02, y + .40, .16, .34 + .2 * h.k[5])
    snout(h, _shift(x, y, [(0, -.28), (.30, -.10), (.42, .22), (.28, .48), (0, .51), (-.28, .48), (-.42, .22), (-.30, -.10)]),
          h.look.cheek, .025)
    nose(h, x, y - .06, .23, .16, h.look.nose)
    mouth(h, x, y + .06, .30, .12, .18)

def face_elephant(h):
    eyes(h, .44, -.12, .115, .125, mix(h.look.iris, (.15, .08, .05), .6))
    x, y = h.at(0, .10, 1.15)
    side = 1 if h.k[4] < .5 else -1
    sway = side * (.10 + .22 * h.k[5]) + h.yaw * .35
    for s in SIDES:
        a = h.at(s * .30, .46, 1.0)
        h.part(tube(quad(a, (a[0] + s * .10, a[1] + .30), (a[0] + s * .24 + h.yaw * .2, a[1] + .42), 5),
                    [.10, .10, .09, .07, .03]), 'muzzle', (.95, .92, .84), fluff=0, hair=0)
    spine = bezier((x, y), (x + sway * .1, y + .6), (x + sway * .4, y + 1.1), (x + sway * 2.1, y + 1.35 + .15 * h.k[6]), 8)
    h.c.soft(x + sway * .4, y + .65, .5, .85, (.05, .03, .04), .4, inside=True)
    h.part(tube(spine, [.34, .33, .30, .27, .245, .22, .20, .18]), 'muzzle', mix(h.look.base, h.look.cheek, .3), lambda: _creases(h, spine), 0)

def _creases(h, spine):
    "Folds across the trunk."
    ink = dark(h.look.base, .45)
    lines = [quad((x - .3, y - .02), (x, y + .12), (x + .3, y - .02), 5) for x, y in spine[1:-1]]
    h.c.fill(lines, ink, alpha=.5, width=.035)

def face_fox(h):
    x, y = h.at(0, .48, 1.42)
    eyes(h, .42, -.08, .165, .13, h.look.iris, 'slit', 16)
    bridge, a, b = h.at(0, -.16, 1.02), h.at(-.30, .22, .98), h.at(.30, .22, .98)
    snout(h, blob([bridge, ((bridge[0] + b[0]) / 2 + .02, y - .36), b, (x + .20, y + .06), (x + .12, y + .24),
                   (x - .12, y + .24), (x - .20, y + .06), a, ((bridge[0] + a[0]) / 2 - .02, y - .36)]),
          mix(h.look.base, h.look.cheek, .6), .02)
    nose(h, x, y + .02, .145, .115, h.look.nose, 'oval')
    mouth(h, x, y + .10, .14, .06, .08)

def face_mouse(h):
    x, y = h.at(0, .52, 1.30)
    eyes(h, .38, -.06, .15, .17, mix(h.look.iris, (.08, .05, .05), .75))
    snout(h, _shift(x, y, [(0, -.34), (.20, -.20), (.27, .08), (.17, .28), (0, .32), (-.17, .28), (-.27, .08), (-.20, -.20)]),
          h.look.cheek, .015)
    nose(h, x, y + .02, .115, .10, h.look.nose, 'oval')
    mouth(h, x, y + .10, .11, .05, .06)
    whiskers(h, x, y + .06, .85)

def face_pig(h):
    x, y = h.at(0, .34, 1.30)
    eyes(h, .44, -.16, .12, .13, mix(h.look.iris, (.15, .08, .05), .6))
    h.c.line(quad((x - .34, y + .46), (x, y + .68), (x + .34, y + .46)), .05, dark(h.look.base, .7), .8)
    colour = mix(h.look.cheek, h.look.inner, .35)
    snout(h, ellipse(x, y + .08, .44, .34), colour, 0)
    for s in SIDES: h.c.fill(ellipse(x + s * .16, y + .08, .08, .14, s * 6, n=20), dark(colour, .82), 'muzzle')

def face_rabbit(h):
    x, y = h.at(0, .34, 1.12)
    eyes(h, .50, -.08, .17, .19, mix(h.look.iris, (.12, .06, .05), .55))
    h.c.fill(rounded(x - .10, y + .24, x + .10, y + .47, .04), (.97, .96, .93), 'muzzle')
    h.c.line(_pair((x, y + .27), (x, y + .46)), .025, (.5, .45, .45), .8)
    snout(h, _shift(x, y, [(0, -.04), (.20, -.05), (.39, .14), (.24, .33), (0, .28), (-.24, .33), (-.39, .14), (-.20, -.05)]),
          h.look.cheek)
    nose(h, x, y, .11, .08, h.look.nose)
    mouth(h, x, y + .05, .18, .06, .11)
    whiskers(h, x, y + .14, .85)

FACES = {'bear': face_bear, 'cat': face_cat, 'dog': face_dog, 'elephant': face_elephant, 'fox': face_fox,
         'mouse': face_mouse, 'pig': face_pig, 'rabbit': face_rabbit}
