"From a seed to a scene: who is there, where, in which light. Each aspect has a random stream of its own."
import io, math, random
from dataclasses import dataclass
import numpy as np
from . import arguments as check, textures
from ..errors import CamError
from .animals import POSES, SPECIES, draw_animal, extent
from .backgrounds import BACKGROUNDS, PLAIN, draw_background
from .canvas import Canvas, PARTS, soften
from .coats import COLOURS, PATTERNS, make_look
from .objects import OBJECTS, draw_object

# how many squares of a head's radius each species covers in each pose (measured by tools/make_sheet.py --areas)
AREAS = {
    'bear': (9.4, 6.9, 10.1, 10.4, 11.6, 11.9), 'cat': (9.6, 5.8, 9.5, 9.1, 10.9, 11.0),
    'dog': (9.0, 5.6, 9.1, 8.7, 11.2, 11.4), 'elephant': (10.9, 8.5, 11.9, 12.0, 14.0, 14.4),
    'fox': (10.9, 6.1, 10.6, 10.1, 12.1, 12.3), 'mouse': (10.7, 7.4, 10.8, 10.4, 11.0, 11.1),
    'pig': (9.0, 6.4, 9.7, 9.6, 10.5, 10.6), 'rabbit': (9.9, 6.5, 9.8, 9.2, 10.4, 10.5),
}
PAIR_POSES = ('sit', 'side', 'sit', 'lie')

@dataclass(frozen=True, eq=False)
class Scene:
    "A drawn picture and the truth about it. Shows itself in a notebook."
    image: np.ndarray                 # (H,W,3) uint8
    parts: np.ndarray                 # (H,W) uint8: index into PARTS
    instances: np.ndarray             # (H,W) uint8: 0 is no animal, 1.. the animals from left to right
    species: tuple                    # their names, left to right
    poses: tuple                      # and poses
    background: str                   # name of the place
    seed: int                         # what it was made from
    recipe: dict = None               # the arguments of `scene` that draw it; None of a kept picture

    def mask(self,
        part='animal',                # 'animal', a name of PARTS, or several names
        instance=None,                # only this animal: 1 is the leftmost
    ): # (H,W) bool
        "Where the part is visible."
        out = np.zeros(self.parts.shape, bool)
        for name in check.several('part', part, ('animal', *PARTS)):
            out |= self.instances > 0 if name == 'animal' else self.parts == PARTS.index(name)
        if instance is None: return out
        return out & (self.instances == check.whole('instance', instance, 1, len(self.species)))

    def again(self, **changes): # arguments of `scene`, such as without='ears'
        "The same scene, drawn again with some arguments changed. `CamError` for a kept picture."
        if self.recipe is None: raise CamError('a kept picture cannot be drawn again. Use scene(…).', 'again')
        return scene(**{**self.recipe, **changes})

    def _repr_png_(self):
        from PIL import Image
        f = io.BytesIO()
        Image.fromarray(self.image).save(f, 'PNG')
        return f.getvalue()

    def __repr__(self):
        h, w = self.parts.shape
        animals = ', '.join(f'{p} {s}' for p, s in zip(self.poses, self.species))
        gone = (self.recipe or {}).get('without')
        return f'Scene({self.seed}: {animals}; {self.background}; {w}x{h}' + f'; without {gone!r}' * bool(gone) + ')'

def _stream(seed, *aspect):
    "A random stream for one aspect of one scene: the same in every process."
    return random.Random('-'.join(map(str, (seed, *aspect))))

# ---- layout: in fractions of the picture's side
@dataclass
class Place:
    "Where an animal stands: feet at (x, y), head radius r, mirrored or not, the head's turn."
    pose: str
    x: float
    y: float
    r: float
    mirror: bool
    yaw: float
    pitch: float
    tilt: float
    lean: float

def _head(rng):
    "Yaw, pitch, tilt, lean; yaw is to the left, to the front or to the right."
    return (math.radians(rng.choice((-26, 0, 26)) + rng.uniform(-8, 8)), rng.uniform(-.16, .20), rng.gauss(0, 7),
            max(-9., min(9., rng.gauss(0, 3.5))))

def _radius(species, pose, area, limit_x, limit_y):
    "Head radius for a covered area, kept inside the limits."
    x0, y0, x1, y1 = extent(species, pose)
    r = math.sqrt(area / AREAS[species][POSES.index(pose)])
    return r if pose == 'portrait' else min(r, limit_x / (x1 - x0), limit_y / (y1 - y0))

def _alone(seed, species, pose, area, mirror):
    "The place of a single animal."
    rng = _stream(seed, 'layout')
    chosen, flip = rng.choices(POSES, (3, 3, 2, 3, 2, 2))[0], rng.random() < .5
    u, v, w, head = rng.random(), rng.random(), rng.random(), _head(rng)
    pose, flip = pose or chosen, flip if mirror is None else mirror
    area = area or (.36 + .20 * u if pose == 'portrait' else .15 * (.36 / .15)**u)
    r = _radius(species, pose, area, 1.02, .95)
    x0, y0, x1, y1 = extent(species, pose)
    wide, high = (x1 - x0) * r, (y1 - y0) * r
    low = max(.72, high + .02)
    y = 1. + .08 * v if pose == 'portrait' else low + (.98 - low) * v
    room = max(0., .5 - wide * .47)
    x = .5 + (2 * w - 1) * (min(room + .04, .16) if pose == 'portrait' else room)
    return Place(pose, x, y, r, flip, *head)

def _together(seed, species, poses, area, mirrors):
    "Places for several animals, side by side and mostly turned to each other."
    n, rng, out = len(species), _stream(seed, 'layout'), []
    floor = rng.uniform(.80, .93)
    for i, s in enumerate(species):
        rng = _stream(seed, 'layout', i)
        pose = poses[i] or rng.choice(PAIR_POSES)
        u, dx, dy, head = rng.random(), rng.uniform(-.02, .02), rng.uniform(-.04, .04), _head(rng)
        r = _radius(s, pose, area or .13 * (.24 / .13)**u, 1.08 / n, .80)
        x0, _, x1, _ = extent(s, pose)
        if pose == 'portrait': r = min(r, 1.15 / n / (x1 - x0))
        mirror = i < n / 2 if mirrors[i] is None else mirrors[i]
        out.append(Place(pose, (i + .5) / n + dx, 1.02 if pose == 'portrait' else floor + dy, r, mirror, *head))
    return out

def _objects(seed, count, places):
    "Objects behind and before the animals: (name, x, y, radius, in front)."
    rng = _stream(seed, 'objects')
    chosen = rng.choice((0, 0, 1, 1, 2))
    count, out = chosen if count is None else count, []
    for i in range(count):
        name, front, p = rng.choice(tuple(OBJECTS)), rng.random() < .45, rng.choice(places)
        x, dy, r = rng.uniform(.04, .96), rng.random(), rng.uniform(.055, .10)
        y = min(p.y, .97)
        if front: out.append((name, min(.95, max(.05, p.x + (x - .5) * .9)), min(1.03, y + .02 + .06 * dy), r, True))
        else: out.append((name, x, max(.62, y - .03 - .09 * dy), r * .9, False))
    return sorted(out, key=lambda o: o[2])

# ---- camera
def _blur_background(c, radius):
    if radius < 1: return
    for k in range(3): c.rgb[k] = soften(c.rgb[k], radius)

def _develop(c, rng):
    "Light from one side, colour temperature, exposure, vignette and grain: uint8 (S,S,3)."
    s = c.size
    strength, vignette = rng.uniform(.08, .30), rng.uniform(.03, .30)
    warm, gain = rng.uniform(-.06, .06), rng.uniform(.90, 1.13)
    soft, noise, offset = rng.random() < .15, rng.uniform(.004, .018), (rng.random(), rng.random())
    if soft: c.rgb = _soft_lens(c.rgb)
    t = ((np.arange(s, dtype=np.float32) + np.float32(.5)) / np.float32(s) - np.float32(.5))
    x, y = t[None], t[:, None]
    side = (x * np.float32(c.light[0]) + y * np.float32(c.light[1])) * np.float32(strength)
    fall = np.clip((x * x + y * y - np.float32(.12)) * np.float32(2.6), 0, 1) * np.float32(vignette)
    shade = (1 + side) * (1 - fall)
    grain = textures.patch('grain', 512, (0, s, 0, s), offset) * np.float32(noise)
    out = np.empty((s, s, 3), np.uint8)
    for k, tint in enumerate((1 + warm, 1., 1 - warm)):
        layer = c.rgb[k] * shade
        layer *= np.float32(gain * tint * 255); layer += grain * np.float32(255)
        out[..., k] = np.clip(layer, 0, 255)
    return out

def _soft_lens(a):
    "A touch of softness: each pixel with its neighbours."
    for axis in (1, 2):
        n = a.shape[axis]; i = np.arange(n)
        beside = a.take(np.maximum(i - 1, 0), axis) + a.take(np.minimum(i + 1, n - 1), axis)
        a = a * np.float32(.6) + beside * np.float32(.2)
    return a

# ---- the scene
def draw_one(c, species, place, look, rng):
    "One animal at its place."
    x0, _, x1, y1 = extent(species, place.pose)
    s, flip = c.size, -1 if place.mirror else 1
    r = place.r * s
    with c.moved(place.x * s, place.y * s, place.lean if place.pose != 'portrait' else 0., r * flip, r):
        with c.moved(-(x0 + x1) / 2, -y1):
            draw_animal(c, look, species, place.pose, rng, place.yaw * flip, place.pitch, place.tilt * flip)

def scene(
    seed,                             # a whole number: same seed, same picture, in any process
    species=None,                     # a name, several names (left to right), or None: the seed chooses
    size=128,                         # pixels a side; the same scene at every size, finer
    *,
    background=None,                  # a name of BACKGROUNDS, or 'grey', 'white', 'black', which no seed chooses
    pose=None,                        # a name of POSES; a list: one for each animal
    turn=None,                        # the head: 'left', 'front', 'right' or degrees from -40 to 40; or a list
    pattern=None,                     # a name of PATTERNS; or a list
    colour=None,                      # the fur: a name of COLOURS or (r,g,b) from 0 to 255; or a list
    collar=None,                      # True, False; or a list
    mirror=None,                      # True: seen from the other side; or a list
    area=None,                        # share of the picture the animal is to cover, 0.02 to 0.6
    objects=None,                     # how many things lie about, 0 to 5
    light=None,                       # where light comes from, in degrees: 0 right, 90 above, 180 left
    blur=None,                        # how far out of focus the background is, 0 to 1
    paint=None,                       # {'tail': (255,0,0)}: a part in one flat colour
    without=None,                     # a part, 'animal', 'background', or a list of them; {'ears': 2}: animal 2's
): # Scene
    """A photo-like picture of pets with exact part masks, drawn from a seed.

    What is left out takes the shade it throws with it; all the rest is drawn as it was. A background that is left
    out is grey. Objects are numbered from far to near."""
    recipe = {k: v for k, v in locals().items() if v is not None}
    seed, size = check.whole('seed', seed, 0, 2**63 - 1), check.whole('size', size, *check.SIZES)
    names = check.names(species, SPECIES) or (_stream(seed, 'species').choice(SPECIES),)
    places = _places(seed, names, pose, turn, mirror, area)
    looks = _looks(seed, len(names), pattern, colour, collar)
    things = _objects(seed, None if objects is None else check.whole('objects', objects, 0, check.MOST_OBJECTS), places)
    camera, own = _stream(seed, 'camera'), check.word('background', background, (*BACKGROUNDS, *PLAIN))
    gone = check.left_out(without, ('animal', *PARTS), dict(object=len(things), background=0), len(names))
    angle, depth = camera.uniform(35, 145), camera.choice((0, .3, .5, .8))
    angle = math.radians(angle if light is None else check.number('light', light, 0, 360))
    c = Canvas(size, (math.cos(angle), -math.sin(angle)), check.painted(paint, PARTS, COLOURS), gone)
    place = 'grey' if 'background' in gone else own or _stream(seed, 'place').choice(BACKGROUNDS)
    draw_background(c, place, _stream(seed, 'background'))
    _blur_background(c, int(round((depth if blur is None else check.number('blur', blur, 0, 1)) * .016 * size)))
    _populate(c, seed, names, places, looks, things)
    return Scene(_develop(c, camera), c.parts, c.instances, names, tuple(p.pose for p in places), place, seed, recipe)

def _places(seed, names, pose, turn, mirror, area):
    "Places of all animals, with what the arguments fix."
    n = len(names)
    poses = check.each('pose', pose, n, lambda k, v: check.word(k, v, POSES))
    turns, mirrors = check.each('turn', turn, n, check.turn), check.each('mirror', mirror, n, check.flag)
    area = check.number('area', area, .02, .6)
    if n == 1: places = [_alone(seed, names[0], poses[0], area, mirrors[0])]
    else: places = _together(seed, names, poses, area, mirrors)
    for p, t in zip(places, turns):
        if t is not None: p.yaw = math.radians(t)
    return places

def _looks(seed, n, pattern, colour, collar):
    patterns = check.each('pattern', pattern, n, lambda k, v: check.word(k, v, PATTERNS))
    furs, collars = check.colours('colour', colour, n, COLOURS), check.each('collar', collar, n, check.flag)
    return [make_look(_stream(seed, 'look', i), *fixed) for i, fixed in enumerate(zip(patterns, furs, collars))]

def _populate(c, seed, names, places, looks, things):
    "Far objects, animals, near objects."
    def put(front):
        for i, (name, x, y, r, near) in enumerate(things):
            c.number = i + 1
            if near == front: draw_object(c, name, x * c.size, y * c.size, r * c.size, _stream(seed, 'object', i))
    put(False)
    for i, (name, place, look) in enumerate(zip(names, places, looks)):
        c.instance = c.number = i + 1
        draw_one(c, name, place, look, _stream(seed, 'animal', i))
    put(True)
