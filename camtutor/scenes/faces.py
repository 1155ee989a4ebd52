"Faces of every species: eyes, nose, mouth, muzzle. What is not said to be the eyes' or the head's is the muzzle's."
from .canvas import dark, light, lum, mix
from .shapes import bezier, blob, curve, ellipse, mirror, quad, rounded, straight, tube

SIDES = (-1, 1)
SHADE = (.05, .03, .04)
MUZZLES = {  # right half, top to bottom, round the nose
    'cat': ((0, -.04), (.22, -.06), (.42, .12), (.26, .32), (.10, .40)),
    'dog': ((0, -.28), (.30, -.10), (.42, .22), (.28, .48), (0, .51)),
    'mouse': ((0, -.34), (.20, -.20), (.27, .08), (.17, .28), (0, .32)),
    'rabbit': ((0, -.04), (.20, -.05), (.39, .14), (.24, .33), (0, .28)),
}

# ---- pieces of a face
def eyes(h, x, y, rx, ry, colour, pupil='round', slant=0.):
    "Two eyes with rim, iris, pupil, lid and highlights."
    with h.c.piece('eyes'):
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
    y1, y2, y3 = y + drop, y + drop + t * 1.1, y + drop + t * .3
    pts = [(x - w, y3), (x - w * .5, y2), (x - .01, y1), (x, y), (x + .01, y1), (x + w * .5, y2), (x + w, y3)]
    h.c.line(curve(pts, 4), .05, dark(h.look.cheek, .85), .85)

def tongue(h, x, y, w, t):
    o = blob([(x - w, y), (x + w, y), (x + w * .95, y + t * .6), (x, y + t), (x - w * .95, y + t * .6)], 5)
    h.part(o, 'muzzle', (.90, .45, .48), fluff=0, hair=0)
    h.c.line(straight((x, y), (x, y + t * .7)), .03, (.65, .25, .3), .7)

def whiskers(h, x, y, long=.95):
    "Hair-thin, so they belong to no part."
    colour = (1, 1, 1) if lum(h.look.base) < .72 else (.30, .26, .24)
    rows = []
    for s in SIDES:
        for i in range(3):
            root, tip = (x + s * .22, y + .07 * (i - 1)), (x + s * long, y - .19 + .27 * i)
            rows.append(quad(root, (x + s * long * .6, y - .17 + .15 * i), tip, 6))
    h.c.fill(rows, colour, alpha=.7, width=.026)

def snout(h, outline, colour, fluff=.02, **kw):
    cx, cy = (outline.min(0) + outline.max(0)) / 2
    rx, ry = (outline.max(0) - outline.min(0)) / 2
    h.c.soft(cx, cy + .06, rx * 1.35, ry * 1.35, SHADE, .35, inside=True)
    h.part(outline, 'muzzle', colour, None, fluff, rim=.30, **kw)

def muzzle(h, x, y):
    "The species' muzzle round (x, y)."
    return blob([(x + u, y + v) for u, v in mirror(MUZZLES[h.species])])

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
    snout(h, muzzle(h, x, y), h.look.cheek)
    nose(h, x, y, .13, .09, h.look.nose)
    mouth(h, x, y + .05, .22, .09, .10)
    whiskers(h, x, y + .13)

def face_dog(h):
    x, y = h.at(0, .36, 1.35)
    eyes(h, .36, -.14, .16, .165, mix(h.look.iris, (.30, .17, .08), .4))
    brow = light(h.look.base, .45) if lum(h.look.base) < .6 else dark(h.look.base, .4)
    with h.c.piece('head'):
        for s in SIDES: h.c.soft(*h.at(s * .34, -.44), .17, .09, brow, .6, s * 12)
    if h.k[4] < .4: tongue(h, x + .02, y + .40, .16, .34 + .2 * h.k[5])
    snout(h, muzzle(h, x, y), h.look.cheek, .025)
    nose(h, x, y - .06, .23, .16, h.look.nose)
    mouth(h, x, y + .06, .30, .12, .18)

def face_elephant(h):
    eyes(h, .44, -.12, .115, .125, mix(h.look.iris, (.15, .08, .05), .6))
    x, y = h.at(0, .10, 1.15)
    sway = (1 if h.k[4] < .5 else -1) * (.10 + .22 * h.k[5]) + h.yaw * .35
    for s in SIDES: _tusk(h, s)
    end = x + sway * 2.1, y + 1.35 + .15 * h.k[6]
    spine = bezier((x, y), (x + sway * .1, y + .6), (x + sway * .4, y + 1.1), end, 8)
    h.c.soft(x + sway * .4, y + .65, .5, .85, SHADE, .4, inside=True)
    h.part(tube(spine, [.34, .33, .30, .27, .245, .22, .20, .18]), 'muzzle', mix(h.look.base, h.look.cheek, .3),
           lambda: _creases(h, spine), 0)

def _tusk(h, s):
    a = h.at(s * .30, .46, 1.0)
    spine = quad(a, (a[0] + s * .10, a[1] + .30), (a[0] + s * .24 + h.yaw * .2, a[1] + .42), 5)
    h.part(tube(spine, [.10, .10, .09, .07, .03]), 'muzzle', (.95, .92, .84), fluff=0, hair=0)

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
    snout(h, muzzle(h, x, y), h.look.cheek, .015)
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
    h.c.line(straight((x, y + .27), (x, y + .46)), .025, (.5, .45, .45), .8)
    snout(h, muzzle(h, x, y), h.look.cheek)
    nose(h, x, y, .11, .08, h.look.nose)
    mouth(h, x, y + .05, .18, .06, .11)
    whiskers(h, x, y + .14, .85)

FACES = {'bear': face_bear, 'cat': face_cat, 'dog': face_dog, 'elephant': face_elephant, 'fox': face_fox,
         'mouse': face_mouse, 'pig': face_pig, 'rabbit': face_rabbit}
