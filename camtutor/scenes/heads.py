"Heads: outlines of every species and the coat's pattern on them, on a ball that turns and nods."
import math
from .canvas import mix
from .coats import coat
from .ears import EARS_BEFORE, EARS_BEHIND
from .faces import FACES, SIDES
from .shapes import blob, ellipse, mirror, straight

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
FLUFF = {'bear': .04, 'cat': .033, 'dog': .038, 'elephant': .005, 'fox': .04, 'mouse': .028, 'pig': .007,
         'rabbit': .032}            # length of the hairs along an outline
HAIR = {'elephant': .045, 'pig': .05}    # contrast of the fur's texture; .10 for all others

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
        with self.c.piece('ears'): EARS_BEHIND.get(self.species, nothing)(self)
        k, shift = 1 - .04 * abs(self.yaw), self.yaw * .10
        outline = blob([(x*k + shift*(1 - y*y*.3), y - self.pitch*.06) for x, y in mirror(OUTLINES[self.species])])
        self.part(outline, 'head', self.look.base, lambda: markings(self, outline), rim=.42)
        with self.c.piece('ears'): EARS_BEFORE.get(self.species, nothing)(self)
        with self.c.piece('muzzle'): FACES[self.species](self)

def nothing(h): pass

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
    for x in (-.26, 0, .26): h.c.line(straight(h.at(x * 1.2, -.98), h.at(x, -.45)), .12, h.look.second, .85)
    for s in SIDES:
        for y in (.10, .36): h.c.line(straight(h.at(s * 1.06, y - .08), h.at(s * .68, y)), .10, h.look.second, .8)

def _blaze(h):
    "A white blaze and cheeks."
    half = [(0, -.95, None), (.14, -.4, None), (.16, .05, None), (.5, .35, .9), (.55, .75, .8), (0, 1.1, .6)]
    left = [(-x, y, z) for x, y, z in reversed(half[1:-1])]
    h.c.fill(blob([h.at(*p) for p in half + left]), h.look.pale, alpha=.97)
