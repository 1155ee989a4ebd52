"Whole animals: bodies, legs and tails in every pose, drawn round a head of radius 1 at the origin."
from collections import namedtuple
import numpy as np
from .canvas import dark, light, mix
from .shapes import bezier, blob, curve, ellipse, mirror, quad, rect, rounded, tube
from .coats import coat
from .heads import FLUFF, HAIR, Head, OUTLINES

SPECIES = tuple(sorted(OUTLINES))
POSES = ('lie', 'portrait', 'side', 'sit', 'stand', 'walk')

Build = namedtuple('Build', 'half leg long chub')      # body half-width, leg half-width, leg length, roundness
BUILD = {
    'bear': Build(1.18, .34, .75, 1.25), 'cat': Build(.84, .20, .90, .98), 'dog': Build(.90, .23, 1.15, 1.0),
    'elephant': Build(1.16, .37, .95, 1.32), 'fox': Build(.78, .17, 1.05, .90), 'mouse': Build(.92, .14, .34, 1.12),
    'pig': Build(1.12, .23, .55, 1.30), 'rabbit': Build(.88, .20, .45, 1.05),
}
TOP = {'bear': -1.1, 'cat': -1.4, 'dog': -1.0, 'elephant': -1.05, 'fox': -1.8, 'mouse': -1.5, 'pig': -1.1,
       'rabbit': -2.4}
GROUND = {'sit': 3.2, 'portrait': 3.2, 'side': 3.1, 'lie': 2.0}
HOOFED = ('elephant', 'pig')

class Animal:
    "What the drawing functions share: canvas, look, build and this animal's own random numbers."
    def __init__(self, canvas, look, species, pose, rng):
        self.c, self.look, self.species, self.rng, self.build = canvas, look, species, rng, BUILD[species]
        self.fluff, self.hair, self.phase = FLUFF[species], HAIR.get(species, .10), rng.random()
        self.floor = ground(species, pose)
        self.flip = rng.choice((-1, 1))

    def part(self, outline, part, colour, decor=None, fluff=1., hair=None, **kw):
        self.phase = (self.phase + .618) % 1
        hair = self.hair if hair is None else hair
        self.c.body(outline, part, colour, decor, self.fluff * fluff, hair, self.phase, **kw)

    def coat(self, outline): coat(self.c, self.look, outline)

def ground(species, pose):
    "Height of the floor below the head's centre."
    return GROUND[pose] if pose in GROUND else 2.05 + BUILD[species].long

def extent(species, pose):
    "Box x0, y0, x1, y1 round the animal, in head radii."
    x0 = -1.7 if species == 'elephant' else -1.35
    x1 = {'sit': 1.8, 'portrait': 1.35, 'side': 2.9, 'lie': 3.3, 'stand': 3.9, 'walk': 3.9}[pose]
    return x0, TOP[species], x1, 2.2 if pose == 'portrait' else ground(species, pose) + .1

# ---- limbs
def paw(a, x, y, w):
    "A foot with toes at (x, y)."
    with a.c.piece('legs'): (hoof if a.species in HOOFED else soft_paw)(a, x, y, w)

def soft_paw(a, x, y, w):
    a.part(ellipse(x, y - .13, w * 1.30, .23), 'legs', a.look.paw, fluff=.3, rim=.5)
    a.c.fill([quad((x + w * k, y - .14), (x + w * k * 1.1, y - .04), (x + w * k, y + .05), 4) for k in (-.4, .4)],
             (.05, .03, .04), alpha=.5, width=.04)

def hoof(a, x, y, w):
    "An elephant's foot with nails, or a pig's cloven hoof."
    w, shade = (w * 1.12, .12) if a.species == 'elephant' else (w * .95, .5)
    a.part(rounded(x - w, y - .30, x + w, y + .05, .09), 'legs', dark(a.look.paw, shade))
    if a.species == 'pig': return a.c.line(quad((x, y - .2), (x, y - .1), (x, y + .05), 3), .05, (.05, .03, .03), .8)
    for k in (-.55, 0, .55): a.c.fill(ellipse(x + w * k, y - .03, w * .22, .09, n=16), light(a.look.paw, .55), 'legs')

def leg(a, x0, y0, x1, y1, w, far=False):
    "A leg from (x0, y0) down to its foot at (x1, y1)."
    colour = dark(a.look.limb, .30) if far else a.look.limb
    ankle = y1 - .03 - w * .95
    bend = bezier((x0, y0), (x0, (2*y0 + y1) / 3), (x1, (y0 + 2*y1) / 3), (x1, ankle), 5)
    outline = tube(bend, [w * 1.4, w * 1.25, w * 1.1, w, w * .95])
    a.part(outline, 'legs', colour, lambda: _leg_marks(a, outline, x1, y0, y1), .6)
    paw(a, x1 - .04, y1, w)

def _leg_marks(a, outline, x, y0, y1):
    look = a.look
    if look.pattern == 'bib': a.c.fill(rect(x - .6, y1 - .5, x + .6, y1 + .3), look.pale)
    elif look.pattern == 'stripes':
        bands = [quad((x - .5, y), (x, y + .06), (x + .5, y), 4) for y in (y0 + (y1 - y0) * t for t in (.35, .57, .78))]
        a.c.fill(bands, look.second, alpha=.75, width=.09)
    elif look.pattern in ('spots', 'patches'): a.coat(outline)

def thigh(a, x, y, rx, ry, turn):
    o = ellipse(x, y, rx, ry, turn)
    a.part(o, 'legs', a.look.limb, lambda: a.coat(o), .8, rim=.34)

# ---- tails
def tail(a, x, y, side=1, up=1.):
    "A tail rooted at (x, y), going to `side`, held `up` high."
    TAILS[a.species](a, x, y, side, up, a.look.limb)

def tail_cat(a, x, y, s, up, colour):
    w = a.rng.uniform(-.3, .3)
    spine = bezier((x, y), (x + s*1.2, y + .25), (x + s*1.3, y - .9*up), (x + s*(.75 + w), y - 1.9*up), 9)
    rings = [quad((u - .25, v), (u, v + .04), (u + .25, v), 3) for u, v in spine[2:]]
    def decor():
        if a.look.pattern == 'stripes': a.c.fill(rings, a.look.second, alpha=.8, width=.10)
    a.part(tube(spine, [.17, .17, .17, .17, .16, .16, .15, .14, .11]), 'tail', colour, decor, .8)

def tail_dog(a, x, y, s, up, colour):
    spine = bezier((x, y), (x + s*.5, y - .1), (x + s*.95, y - .5*up), (x + s*.70, y - 1.25*up), 7)
    def decor():
        if a.look.pattern == 'bib': a.c.soft(*spine[-1], .4, .4, a.look.pale, 1., edge=.4)
    a.part(tube(spine, [.18, .19, .20, .20, .18, .14, .07]), 'tail', colour, decor, 1.2)

def tail_rabbit(a, x, y, s, up, colour):
    a.part(ellipse(x + s*.20, y, .36, .34), 'tail', light(mix(a.look.limb, a.look.pale, .6), .1), fluff=1.6)

def tail_bear(a, x, y, s, up, colour): a.part(ellipse(x + s*.12, y - .05, .25, .22), 'tail', colour)

def tail_pig(a, x, y, s, up, colour):
    spine = [(x - s*.05, y), (x + s*.25, y + .05), (x + s*.50, y - .18), (x + s*.36, y - .46), (x + s*.16, y - .30),
             (x + s*.36, y - .06), (x + s*.70, y - .16), (x + s*.84, y - .40)]
    a.part(tube(curve(spine, 3), np.linspace(.11, .05, 22)), 'tail', colour)

def tail_fox(a, x, y, s, up, colour):
    spine = bezier((x, y), (x + s*.9, y + .35), (x + s*1.6, y - .2*up), (x + s*1.35, y - 1.5*up), 9)
    tip = light(a.look.pale, .2) if a.look.pattern in ('bib', 'patches') else mix(a.look.base, a.look.second, .75)
    def decor(): a.c.soft(spine[-1][0], spine[-1][1] + .05*up, .75, .65, tip, 1., edge=.35)
    a.part(tube(spine, [.14, .26, .36, .44, .48, .47, .40, .27, .08]), 'tail', colour, decor, 1.5)

def tail_mouse(a, x, y, s, up, colour):
    w = a.rng.uniform(-.3, .4)
    spine = bezier((x - s*.1, y + .1), (x + s*1.3, y + .45), (x + s*.9, y - .9*up), (x + s*(1.7 + w), y - 1.2*up), 12)
    a.part(tube(spine, [.11, .10, .095, .09, .085, .08, .08, .075, .07, .065, .06, .04]), 'tail',
           mix(a.look.inner, a.look.limb, .5), fluff=0, hair=.03)

def tail_elephant(a, x, y, s, up, colour):
    drop = min(.62, a.floor - y - .30)
    spine = bezier((x - s*.1, y), (x + s*.45, y - .1), (x + s*.65, y + drop / 2), (x + s*.60, y + drop), 7)
    a.part(tube(spine, [.11, .10, .09, .08, .07, .06, .05]), 'tail', colour)
    ex, ey = spine[-1]
    a.part(ellipse(ex, ey + .12, .12, .22, -s * 8), 'tail', dark(a.look.limb, .4), fluff=6, hair=.2)

TAILS = {'bear': tail_bear, 'cat': tail_cat, 'dog': tail_dog, 'elephant': tail_elephant, 'fox': tail_fox,
         'mouse': tail_mouse, 'pig': tail_pig, 'rabbit': tail_rabbit}

# ---- bodies
def shadow(a, x0, x1, y):
    "Soft shadow on the floor."
    m, r = (x0 + x1) / 2, (x1 - x0) / 2
    away = -a.c.light[0] * (1 if a.c.a[0, 0] > 0 else -1)
    with a.c.piece('animal'):
        a.c.soft(m + away * .5, y + .0, r * 1.5, .62, (.04, .03, .05), .50)
        a.c.soft(m + away * .1, y + .02, r * 1.15, .26, (.03, .02, .03), .62)

def trunk(a, outline, chest=None, turns=0):
    "The body with its markings and the head's shadow."
    def decor():
        a.coat(outline)
        if chest and a.look.pattern == 'bib': a.c.soft(*chest, a.look.pale, 1., edge=.35)
    a.part(outline, 'body', a.look.base, decor, turns=turns, rim=.38)

def chin_shadow(a, x, y):
    with a.c.piece('head'): a.c.soft(x, y, 1.15, .72, (.05, .03, .05), .55, inside=True)

def collar(a, x, y, w):
    if a.look.collar is None: return
    band, c = quad((x - w, y - .14), (x, y + .26), (x + w, y - .14), 10), a.c
    c.line(band, .19, dark(a.look.collar, .25), 1., 'collar')
    c.line(band, .13, a.look.collar, 1., 'collar')
    c.fill(ellipse(x, y + .19, .14, n=20), (.62, .46, .12), 'collar')
    c.fill(ellipse(x, y + .18, .11, n=20), (.93, .78, .32), 'collar')

def sit(a):
    "Facing the viewer on its haunches."
    b, g, f = a.build, 3.2, a.flip
    shadow(a, -b.half - .5, b.half + .5, g)
    tail(a, f * b.half * .8, g - .35, f)
    for s in (-1, 1):
        thigh(a, s * b.half * .82, g - .55, .52 * b.chub, .58, s * 15)
        paw(a, s * (b.half * .95 + .12), g, b.leg * 1.35)
    portrait(a)

def portrait(a):
    "Head and chest; the picture's edge hides the rest."
    w, g = a.build.half, 3.2
    outline = blob(mirror([(0, .35), (w*.62, .55), (w*.90, 1.4), (w*1.02, 2.3), (w*.78, g - .12), (0, g - .05)]))
    trunk(a, outline, (0, 1.75, w * .75, 1.35))
    for s in (-1, 1): leg(a, s * w * .42, 1.75, s * w * .45, g + .03, a.build.leg * 1.05)
    chin_shadow(a, 0, .95)
    collar(a, 0, 1.02, .60 * w + .02)

def side(a):
    "On its haunches, seen from the side."
    b, g = a.build, 3.1
    k = .55 + .45 * b.chub
    shadow(a, -.6, 2.2, g)
    tail(a, 1.75 * k, g - .3, 1, .8)
    leg(a, .30, 1.7, .32, g - .08, b.leg, far=True)
    outline = blob([(-.55*b.half, .5), (.35, .3), (1.0*k, .85), (1.65*k, 1.7), (1.95*k, 2.5), (1.55*k, g - .04),
                    (.5, g - .04), (-.25*b.half, 2.5), (-.72*b.half, 1.6)])
    trunk(a, outline, (-.35, 1.4, .7, 1.1), 1)
    thigh(a, 1.15*k, g - .62, .66*k, .60, -12)
    paw(a, .62*k, g + .03, b.leg * 1.5)
    leg(a, -.22, 1.65, -.26, g + .03, b.leg * 1.08)
    chin_shadow(a, 0, .9)
    collar(a, -.03, 1.0, .56 * b.half)

def stand(a, stride=.15):
    "On four legs, seen from the side."
    b = a.build; g = 2.05 + b.long; y, r = 1.25, .82 * b.chub
    f, h = a.rng.uniform(-.1, .1), stride * min(1., .35 + .65 * b.long)
    shadow(a, .1, 3.3, g)
    tail(a, 3.05, y - .25)
    leg(a, .95, y + .3, 1.0 + h + f, g - .12, b.leg, far=True)
    leg(a, 2.6, y + .3, 2.45 - h + f, g - .12, b.leg, far=True)
    outline = blob([(.05, y - .5), (1.0, y - r), (2.0, y - r*.92), (2.85, y - r*.88), (3.22, y - .05),
                    (2.85, y + r*.72), (1.9, y + r*.88), (.8, y + r*.95), (.05, y + .40)])
    trunk(a, outline, (.25, y + .2, .75, .9), 1)
    leg(a, .55, y + .35, .52 - h - f, g, b.leg * 1.1)
    thigh(a, 2.75, y + .22, .48*b.chub, .62*b.chub, -10)
    leg(a, 2.85, y + .5, 2.92 + h - f, g, b.leg * 1.1)
    chin_shadow(a, .1, .85)
    collar(a, .12, .95, .62 * b.half)

def walk(a): stand(a, .42)

def lie(a):
    "Lying on its belly, seen from the side."
    b, g = a.build, 2.0
    shadow(a, -.9, 3.1, g)
    tail(a, 2.75, g - .35, 1, .55)
    outline = blob([(-.75, .9), (.2, .35), (1.2, .42), (2.2, .45), (2.85, .95), (2.95, 1.6), (2.5, g - .05), (.8, g),
                    (-.6, g - .05), (-.95, 1.5)])
    trunk(a, outline, (-.1, 1.4, .9, 1.0), 1)
    thigh(a, 2.2, g - .52, .66*b.chub, .52, -8)
    paw(a, 1.75, g + .02, b.leg * 1.4)
    for x in (-.45, .35):
        o = tube([(x + .12, 1.2), (x + .05, 1.5), (x, g - .03 - b.leg)], [b.leg * 1.2, b.leg * 1.15, b.leg])
        a.part(o, 'legs', a.look.limb, fluff=.6)
        paw(a, x - .05, g + .05, b.leg * 1.15)
    chin_shadow(a, 0, .9)
    collar(a, 0, .98, .7)

BODIES = {'lie': lie, 'portrait': portrait, 'side': side, 'sit': sit, 'stand': stand, 'walk': walk}

def draw_animal(canvas, look, species, pose, rng, yaw, pitch, tilt):
    "Body, then head."
    BODIES[pose](Animal(canvas, look, species, pose, rng))
    with canvas.moved(turn=tilt): Head(canvas, look, species, rng, yaw, pitch).draw()
