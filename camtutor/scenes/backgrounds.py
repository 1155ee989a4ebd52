"Rooms and gardens, painted on a canvas whose unit is the picture's side. None of them knows the animal."
import numpy as np
from .canvas import dark, light, mix
from .coats import BRIGHT
from .shapes import blob, ellipse, rect, rounded
from . import textures

def gradient(c, y0, y1, *colours):
    "Bands of colour from height y0 to y1 (fractions of the picture)."
    a, b = int(round(y0 * c.size)), int(round(y1 * c.size))
    if b <= a: return
    t = (np.arange(a, b) + .5 - y0 * c.size) / max(1., (y1 - y0) * c.size)
    stops = np.linspace(0, 1, len(colours))
    rows = np.stack([np.interp(t, stops, [k[i] for k in colours]) for i in range(3)])
    c.rgb[:, a:b] = rows[:, :, None].astype(np.float32)

def weave(c, box, name, tile, strength, rng):
    "Multiply a flat texture into the box (y0, y1, x0, x1), fractions."
    y0, y1, x0, x1 = (min(c.size, max(0, int(round(v * c.size)))) for v in box)
    if y1 <= y0 or x1 <= x0: return
    t = textures.patch(name, tile * c.size, (y0, y1, x0, x1), (rng.random(), rng.random()))
    c.rgb[:, y0:y1, x0:x1] *= 1 + t * np.float32(strength)

def plane(c, horizon, name, tile, strength, rng):
    "Multiply a texture running back to the horizon into the floor."
    t = textures.floor(name, c.size, horizon, tile, (rng.random(), rng.random()))
    t *= np.linspace(.35, 1, len(t), dtype=np.float32)[:, None] * np.float32(strength)
    c.rgb[:, c.size - len(t):] *= 1 + t

def textured(c, shape, colour, name, tile, strength, rng, lit=None):
    "A shape of one colour with a texture, times `lit(box)`."
    box, cov = c.coverage(shape)
    offset = rng.random(), rng.random()
    if box is None: return
    s = 1 + textures.patch(name, tile * c.size, box, offset) * np.float32(strength)
    if lit: s *= lit(box)
    y0, y1, x0, x1 = box
    view = c.rgb[:, y0:y1, x0:x1]
    view += (np.array(colour, np.float32)[:, None, None] * s - view) * cov

DEPTH = .14   # of the horizon behind the wall

def on_floor(h, pts):
    "Floor coordinates (across, near to far) in perspective; what lies beyond the wall is cut to a line on it."
    p = np.asarray(pts, float)
    near = 1 - h + DEPTH
    far = np.maximum(near / (1 + p[:, 1] * 1.1), DEPTH)
    return np.stack([.5 + (p[:, 0] - .5) * far / near, h - DEPTH + far], 1)

PAINTS = ((.80, .77, .70), (.68, .74, .76), (.76, .68, .64), (.62, .66, .58), (.84, .82, .80), (.55, .58, .66))

def wall(c, rng, h):
    "A wall of one colour with a skirting board and perhaps stripes, a picture or a window."
    w = mix(rng.choice(PAINTS), rng.choice(BRIGHT), rng.uniform(0, .25))
    gradient(c, 0, h, light(w, .1), dark(w, .12))
    kind, x, y, s = rng.randrange(4), rng.uniform(.03, .62), rng.uniform(.03, .10), rng.uniform(.20, .32)
    tints, n = (rng.choice(BRIGHT), rng.choice(BRIGHT)), rng.randrange(8, 18)
    if kind == 0: c.fill([rect(i / n, 0, (i + .5) / n, h) for i in range(n)], light(w, .35), alpha=.5)
    elif kind == 1: _picture(c, x, y, s, min(s * .8, h * .7), tints)
    elif kind == 2: _window(c, x, s * 1.2, h * .62)
    weave(c, (0, h, 0, 1), 'fine', 1.2, .025, rng)
    c.fill(rect(0, h - .035, 1, h), light(w, .55))
    c.fill(rect(0, h - .008, 1, h + .004), (.15, .10, .08), alpha=.6)

def _picture(c, x, y, w, h, tints):
    c.fill(rect(x + .008, y + .012, x + w + .008, y + h + .012), (.05, .04, .04), alpha=.35)
    c.fill(rect(x, y, x + w, y + h), (.33, .22, .13))
    c.fill(rect(x + .018, y + .018, x + w - .018, y + h - .018), mix((.70, .80, .86), tints[0], .25))
    keep, c.clip = c.clip, tuple(int(v * c.size) for v in (y + .018, y + h - .018, x + .018, x + w - .018))
    c.fill(ellipse(x + w * .35, y + h * 1.05, w * .6, h * .45), mix((.35, .45, .30), tints[1], .35))
    c.fill(ellipse(x + w * .75, y + h * .3, w * .1), (.97, .90, .65))
    c.clip = keep

def _window(c, x, w, h):
    c.fill(rect(x, 0, x + w, h), (.95, .94, .92))
    for i in (0, 1):
        a, b = x + .02 + i * (w / 2 - .01), x + w / 2 - .01 + i * (w / 2 - .01)
        c.fill(rect(a, 0, b, h - .02), (.78, .89, .97))
        bush = [(a, h - .02), (a, h * .7), ((a + b) / 2, h * .62), (b, h * .72), (b, h - .02)]
        c.fill(blob(bush, 4), (.66, .80, .66))

def sky(c, rng, h):
    top = mix((.33, .56, .86), (.66, .76, .86), rng.random())
    gradient(c, 0, h, top, light(top, .65))
    n = max(1, int(round(h * c.size)))
    t = textures.patch('cloud', rng.uniform(1.2, 2.2) * c.size, (0, n, 0, c.size), (rng.random(), rng.random()))
    cover = np.clip(t * .45 - .05, 0, .85)
    c.rgb[:, :n] += (np.float32(.98) - c.rgb[:, :n]) * cover

def grass(c, rng):
    "A lawn with trees behind it."
    h = rng.uniform(.26, .46)
    sky(c, rng, h + .02)
    g = mix((.24, .46, .15), (.50, .58, .24), rng.random())
    far = mix(g, (.25, .38, .35), .5)
    for shade in (0, .25, .5):
        crowns = [(rng.uniform(-.05, 1.05), rng.uniform(.03, .11), rng.uniform(.1, 1.2)) for _ in range(11)]
        textured(c, [ellipse(x, h - r * k, r, n=20) for x, r, k in crowns], dark(far, shade), 'sand', .5, .14, rng)
    gradient(c, h, 1, light(g, .22), g, dark(g, .12))
    plane(c, h, 'grass', .45, .20, rng)
    for colour in rng.sample(((1, 1, .95), (1, .85, .2), (.85, .5, .8)), rng.choice((0, 0, 1, 2))):
        at = [(rng.random(), rng.uniform(h + .05, 1)) for _ in range(12)]
        c.fill([ellipse(x, y, .005 + .012 * (y - h), n=8) for x, y in at], colour, alpha=.9)

def wood(c, rng):
    "Floorboards."
    h = rng.uniform(.30, .50)
    wall(c, rng, h)
    w = rng.choice(((.62, .42, .25), (.75, .57, .36), (.45, .30, .20), (.70, .64, .56)))
    gradient(c, h, 1, dark(w, .25), w)
    n = rng.randrange(7, 12)
    lay = lambda x0, x1, y0, y1: on_floor(h, [(x0 / n, y0), (x1 / n, y0), (x1 / n, y1), (x0 / n, y1)])
    for shade in (.12, .26, .40):
        some = [lay(i, i + 1, 0, 9) for i in range(-n, 2 * n) if rng.random() < .3]
        if some: c.fill(some, dark(w, shade), alpha=.8)
    plane(c, h, 'wood', .45, .13, rng)
    seams = [lay(i - .03, i + .03, 0, 9) for i in range(-n, 2 * n)]
    for i in range(-n, 2 * n):
        y = rng.uniform(0, 3)
        seams.append(lay(i, i + 1, y, y + .02))
    c.fill(seams, dark(w, .75), alpha=.75)

def carpet(c, rng):
    "A patterned carpet."
    h = rng.uniform(.30, .50)
    wall(c, rng, h)
    w = mix(rng.choice(BRIGHT), (.55, .50, .45), rng.uniform(.35, .8))
    gradient(c, h, 1, dark(w, .2), w)
    kind = rng.randrange(3)
    for k, colour in ((0, light(w, .5)), (1, dark(w, .45))):
        if kind == 0:
            bands = [on_floor(h, [(-4, y), (5, y), (5, y + .06), (-4, y + .06)]) for y in np.arange(k * .2, 6, .4)]
            c.fill(bands, colour, alpha=.6)
        elif kind == 1:
            at = [(x, y) for y in np.arange(k * .15, 5, .3) for x in np.arange(-2, 3, .17) + .085 * k]
            diamonds = [on_floor(h, [(x, y - .13), (x + .06, y), (x, y + .13), (x - .06, y)]) for x, y in at]
            c.fill(diamonds, colour, alpha=.55)
    plane(c, h, 'fine', .5, .11, rng)

def brick(c, rng):
    "A brick wall over paving stones."
    h = rng.uniform(.42, .58)
    b = rng.choice(((.62, .30, .22), (.70, .45, .32), (.55, .50, .46), (.80, .76, .70)))
    gradient(c, 0, h, light(b, .45), light(b, .35))
    n = rng.randrange(7, 11); t = h / n; w = t * 2.3; ox = rng.random() * w
    bricks = [(x, j * t) for j in range(n) for x in np.arange(-ox - (w / 2 if j % 2 else 0), 1, w)]
    tones = [rng.randrange(4) for _ in bricks]
    for k in range(4):
        some = [rect(x, y, x + w * .93, y + t * .86) for (x, y), tone in zip(bricks, tones) if tone == k]
        if some: c.fill(some, mix(b, dark(b, .6), k * .14))
    weave(c, (0, h, 0, 1), 'cloud', .9, .06, rng)
    weave(c, (0, h, 0, 1), 'fine', .6, .05, rng)
    g = mix((.52, .50, .48), (.66, .60, .50), rng.random())
    gradient(c, h, 1, dark(g, .40), g, light(g, .1))
    k = rng.uniform(.25, .4)
    plane(c, h, 'sand', .7, .08, rng)
    lines = [on_floor(h, [(x, 0), (x + .012, 0), (x + .012, 9), (x, 9)]) for x in np.arange(-2, 3, k)]
    lines += [on_floor(h, [(-4, y), (5, y), (5, y + .03), (-4, y + .03)]) for y in np.arange(.1, 6, k * 1.8)]
    c.fill(lines, dark(g, .5), alpha=.6)

def sofa(c, rng):
    "A sofa seen from the front; its seat is where a floor would be."
    wall(c, rng, .5)
    w = mix(rng.choice(BRIGHT), rng.choice(((.60, .55, .50), (.35, .30, .28), (.75, .72, .68))), rng.uniform(.35, .9))
    top, seat, n = rng.uniform(.08, .22), rng.uniform(.50, .58), rng.choice((2, 2, 3))
    ox, cw, arm = rng.uniform(-.25, .15), 1.3 / n, rng.choice((None, None, -.17, .90))
    for i in range(-1, n + 1): _cushion(c, ox + i * cw, top, ox + (i + 1) * cw, seat + .08, w, rng)
    for i in range(-1, n + 1): _cushion(c, ox + i * cw, seat, ox + (i + 1) * cw, 1.08, dark(w, .06), rng)
    if arm is not None: _cushion(c, arm, top + .16, arm + .27, 1.1, light(w, .05), rng, .08)

def _cushion(c, x0, y0, x1, y1, colour, rng, r=.05):
    "An upholstered block: light on its upper edge, dark seams."
    def lit(box):
        y = ((np.arange(box[0], box[1]) + .5) / c.size - y0) / (y1 - y0)
        x = ((np.arange(box[2], box[3]) + .5) / c.size - x0) / (x1 - x0)
        seam = np.minimum(1, np.minimum(x, 1 - x) * 30 * (x1 - x0) + .35)[None] * np.minimum(1, y * 9 + .5)[:, None]
        return (np.interp(y, [0, .15, .5, 1], [1.12, 1.10, 1., .72])[:, None] * seam).astype(np.float32)
    if x1 > 0 and x0 < 1: textured(c, rounded(x0, y0, x1, y1, r), colour, 'fabric', .42, .05, rng, lit)

def _shore(c, rng, h, ground):
    gradient(c, h, 1, light(ground, .1), ground, dark(ground, .12))
    plane(c, h, 'sand', .8, .07, rng)
    plane(c, h, 'cloud', 1.2, .04, rng)

def beach(c, rng):
    "Sand, sea and sky."
    h = rng.uniform(.30, .48)
    sky(c, rng, h)
    sea = mix((.15, .42, .58), (.25, .55, .60), rng.random())
    _shore(c, rng, h + .04, mix((.87, .77, .57), (.78, .66, .48), rng.random()))
    gradient(c, h - .07, h + .04, sea, mix(sea, (.6, .8, .8), .5))
    foam = blob([(x, h + y) for x, y in ((-.1, .025), (.2, .035), (.5, .02), (.8, .04), (1.1, .03), (1.1, .05),
                                         (.7, .055), (.4, .045), (-.1, .05))], 5)
    c.fill(foam, (.96, .97, .96), alpha=.85)

def snow(c, rng):
    "Snow before mountains."
    h = rng.uniform(.30, .48)
    sky(c, rng, h)
    for _ in range(4):
        x, r = rng.random(), rng.uniform(.14, .32)
        rock = mix((.50, .58, .70), (.70, .76, .84), rng.random())
        c.fill(np.array([(x - r, h + .02), (x - r * .1, h - r * .8), (x + r, h + .02)]), rock)
        cap = ((-.37, .55), (-.1, .8), (.24, .55), (0, .48))
        c.fill(np.array([(x + r * u, h - r * v) for u, v in cap]), (.96, .97, .99))
    _shore(c, rng, h, (.90, .92, .96))

def _plain(colour):
    def draw(c, rng): c.rgb[:] = np.array(colour, np.float32)[:, None, None]
    return draw

DRAW = {'beach': beach, 'brick': brick, 'carpet': carpet, 'grass': grass, 'snow': snow, 'sofa': sofa, 'wood': wood}
PLAIN = {'black': _plain((0, 0, 0)), 'grey': _plain((.5, .5, .5)), 'white': _plain((1, 1, 1))}
BACKGROUNDS = tuple(DRAW)

def draw_background(c, name, rng):
    with c.moved(sx=c.size): {**DRAW, **PLAIN}[name](c, rng)
