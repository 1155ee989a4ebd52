"Things that lie about: each stands on (0, 0), about one unit in radius."
import math
import numpy as np
from .canvas import dark, light, mix
from .coats import BRIGHT
from .shapes import bezier, blob, curve, ellipse, quad, rect, rounded, tube

def ball(c, rng):
    a, b = rng.sample(BRIGHT, 2)
    kind, turn = rng.randrange(3), rng.uniform(-40, 40)
    def decor():
        with c.moved(0, -1, turn):
            if kind == 0: c.fill(rect(-1.2, -.3, 1.2, .3), b)
            elif kind == 1: c.fill([ellipse(x, 0, .3, 1.1) for x in (-1.2, 0, 1.2)], b)
            else: c.fill([quad((-1, s * .7), (0, -s * .1), (1, s * .7)) for s in (-1, 1)], light(b, .6), width=.12)
    c.body(ellipse(0, -1, 1), 'object', a, decor, depth=.2, rim=.5)
    c.soft(c.light[0] * .4, -1 + c.light[1] * .45, .35, .28, (1, 1, 1), .7)

def yarn(c, rng):
    a = rng.choice(BRIGHT)
    arcs = []
    for turn in (20, 80, 140):
        t = math.radians(turn + rng.uniform(-20, 20)); s, k = math.sin(t), math.cos(t)
        for d in (-.5, -.25, 0, .25, .5):
            p = quad((-1.05, d), (0, d * 1.9), (1.05, d), 7)
            arcs.append(np.stack([p[:, 0] * k - p[:, 1] * s, p[:, 0] * s + p[:, 1] * k - 1], 1))
    c.fill(curve([(.5, -.15), (1.1, -.02), (1.6, -.12), (2.1, .0)]), dark(a, .15), 'object', width=.16)
    c.body(ellipse(0, -1, 1), 'object', a, lambda: c.fill(arcs, dark(a, .4), alpha=.8, width=.07), depth=.2, rim=.5)

def bowl(c, rng):
    a, food = rng.choice(BRIGHT), rng.choice(((.45, .28, .15), (.60, .75, .85)))
    c.body(blob([(-1.1, -.75), (1.1, -.75), (.85, -.02), (-.85, -.02)], 6), 'object', a, depth=.2)
    c.fill(ellipse(0, -.75, 1.13, .30), light(a, .4), 'object')
    c.fill(ellipse(0, -.74, 1.0, .23), dark(a, .35), 'object')
    c.fill(ellipse(0, -.70, .84, .16), food, 'object')

def plant(c, rng):
    a = mix((.70, .36, .22), rng.choice(BRIGHT), rng.choice((0, 0, .6)))
    g = mix((.18, .44, .20), (.44, .57, .22), rng.random())
    for i in range(9):
        t, long = math.radians(-64 + 16 * i + rng.uniform(-8, 8)), rng.uniform(1.2, 2.2)
        x, y = math.sin(t) * long, -1.1 - math.cos(t) * long
        spine = bezier((0, -1.1), (x * .1, -1.1 - long * .5), (x * .6, y), (x * 1.1, y + .15), 6)
        c.fill(tube(spine, [.06, .14, .20, .21, .15, .03]), mix(g, (.75, .85, .40), rng.uniform(0, .35)), 'object')
        c.line(spine, .04, dark(g, .5), .6)
    c.body(blob([(-.75, -1.2), (.75, -1.2), (.52, -.02), (-.52, -.02)], 6), 'object', a, depth=.2)
    c.body(rounded(-.85, -1.38, .85, -1.06, .08), 'object', light(a, .12))

def block(c, rng):
    a, s = rng.choice(BRIGHT), rng.uniform(.25, .5)
    top = np.array([(-.9, -1.5), (-.9 + s, -1.5 - s * .7), (.9 + s, -1.5 - s * .7), (.9, -1.5)])
    flank = np.array([(.9, -1.5), (.9 + s, -1.5 - s * .7), (.9 + s, -s * .7), (.9, 0)])
    c.fill(top, light(a, .30), 'object')
    c.fill(flank, dark(a, .38), 'object')
    c.fill(rect(-.9, -1.5, .9, 0), a, 'object')
    c.fill(rect(-.72, -1.34, .72, -.16), light(a, .18), 'object')
    star = [(math.sin(i * math.pi / 5) * (.52, .22)[i % 2], -.75 - math.cos(i * math.pi / 5) * (.52, .22)[i % 2])
            for i in range(10)]
    c.fill(np.array(star), (.98, .96, .90), 'object')

def cushion(c, rng):
    a, b = rng.sample(BRIGHT, 2)
    o = blob([(-1.4, -1.5), (0, -1.32), (1.4, -1.5), (1.25, -.75), (1.4, 0), (0, -.1), (-1.4, 0), (-1.25, -.75)], 6)
    stripes = rng.random() < .6
    def decor():
        if stripes: c.fill([rect(x, -1.7, x + .16, .2) for x in np.arange(-1.5, 1.5, .42)], b, alpha=.85)
        else: c.fill([ellipse(x, y, .12, n=12) for x in (-.9, -.3, .3, .9) for y in (-1.2, -.75, -.3)], b, alpha=.9)
    c.body(o, 'object', a, decor, depth=.2, rim=.5)

OBJECTS = {'ball': ball, 'block': block, 'bowl': bowl, 'cushion': cushion, 'plant': plant, 'yarn': yarn}

def draw_object(c, name, x, y, r, rng):
    "An object of radius r pixels standing at pixel (x, y), with its shadow."
    c.instance = 0
    with c.moved(x, y, 0, r), c.piece('object'):
        c.soft(-c.light[0] * .3, .0, 1.6, .35, (.03, .02, .03), .55)
        OBJECTS[name](c, rng)
