"Ears: the shape that tells most species apart. Some are drawn behind the head, some before it."
import math
import numpy as np
from .canvas import dark, light, mix
from .faces import SHADE, SIDES
from .shapes import bezier, blob, ellipse, quad, tube

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
        inner = tube(spine[1:-1], [.10, .14, .17, .17, .12])
        ear(h, tube(spine, [.20, .24, .29, .32, .32, .27, .14]), inner, fluff=.02)

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
        h.c.soft(s * .9 + k, .0, .38, long + .35, SHADE, .45, inside=True)
        ear(h, o, colour=colour)

def ears_pig(h):
    f = .15 * h.k[0]
    for s in SIDES:
        x, y = h.at(s * .52, -.70, .15)
        o = blob([(x + s * u, y + v) for u, v in ((-.24, .02), (.02, -.26), (.42, -.40 + f), (.84, -.18 + f * 2),
                                                  (.62, .12 + f), (.24, .26))], 6)
        i = blob([(x + s * u, y + v) for u, v in ((.06, .02), (.34, -.18 + f), (.70, -.12 + f * 2), (.42, .08 + f))], 6)
        h.c.soft(x + s * .3, y + .22, .5, .25, SHADE, .4, inside=True)
        ear(h, o, i, mix(h.look.inner, h.look.base, .25))

FAN = ((.0, -.42), (.42, -.70), (.98, -.62), (1.28, -.10), (1.14, .48), (.78, .98), (.46, .88), (.24, .50), (0, .40))
FOLD = ((.12, -.22), (.46, -.46), (.90, -.40), (1.10, -.04), (.96, .42), (.70, .76), (.44, .60), (.22, .30))

def ears_elephant(h):
    for s in SIDES:
        w = 1 - .35 * max(0, s * h.yaw) + .12 * max(0, -s * h.yaw)
        x, y = h.at(s * .52, -.25, -.2)
        outer, inner = (blob([(x + s * u * w, y + v) for u, v in pts]) for pts in (FAN, FOLD))
        ear(h, outer, inner, mix(h.look.inner, h.look.base, .35))

EARS_BEHIND = {'bear': ears_bear, 'cat': ears_cat, 'elephant': ears_elephant, 'fox': ears_fox, 'mouse': ears_mouse,
               'rabbit': ears_rabbit}
EARS_BEFORE = {'dog': ears_dog, 'pig': ears_pig}
