"Scenes on which a network errs for a known reason: two breeds nearly alike, two animals with one label, a habit."
from random import Random

from camtutor.errors import doing
from camtutor.scenes import scene

__all__ = ['CLASSES', 'HOME', 'ROOMS', 'few', 'look_alikes', 'two_right', 'abroad', 'far_at_home', 'everywhere',
           'ON_PURPOSE', 'as_meant']

# class -> species and coat. Two are coats of one species, for the body keeps species apart
CLASSES = {'striped cat': ('cat', 'stripes'), 'spotted cat': ('cat', 'spots'), 'dog': ('dog', None),
           'rabbit': ('rabbit', None), 'pig': ('pig', None), 'fox': ('fox', None)}
HOME = dict(dog='grass', rabbit='snow')       # where these two were always seen, and nobody else
ROOMS = 'wood', 'carpet', 'brick', 'sofa'     # where the others were
FAR = .035                                    # how much of the picture an animal far away covers

def one(seed, label, background, **more):
    "A scene with an animal of one class, and its label."
    species, coat = CLASSES[label]
    if coat: more['pattern'] = coat
    return scene(seed, species, background=background, **more), label

def drawn(what, n, seed, recipe)->list: # of (Scene, label)
    "`n` scenes from the seed `seed` on: each is what `recipe` makes of its own seed and number."
    with doing(what): return [recipe(seed + i, i) for i in range(n)]

def few(
    n:int=30,         # of each class
    seed:int=610_000, # of the first scene
)->list:              # (Scene, label)
    "What the network is trained on: near and far by turns; each dog on a lawn, each rabbit in snow, others in rooms."
    def of_class(k, label):
        def at_home(seed, i):
            place = HOME.get(label, ROOMS[i // 2 % len(ROOMS)])
            return one(seed, label, place, **dict(area=FAR) if i % 2 else {})
        return drawn('Drawing the training scenes', n, seed + 1000 * k, at_home)
    return [item for k, label in enumerate(CLASSES) for item in of_class(k, label)]

def look_alikes(
    n:int=60,         # how many
    seed:int=900_000, # of the first scene
)->list:              # (Scene, label)
    "Cats alone in a room: striped and spotted by turns."
    def cat(seed, i): return one(seed, list(CLASSES)[i % 2], ROOMS[i // 2 % len(ROOMS)])
    return drawn('Drawing look-alikes', n, seed, cat)

def two_right(
    n:int=60,         # how many
    seed:int=910_000, # of the first scene
)->list:              # (Scene, label)
    "Two animals of different species in a room, of which only one gives the label: the left and the right by turns."
    return drawn('Drawing pairs with one label', n, seed, pair)

def pair(seed, i):
    r, names = Random(seed), list(CLASSES)
    a, b = r.sample(names, 2)
    while CLASSES[a][0] == CLASSES[b][0]: a, b = r.sample(names, 2)
    species, coats = zip(*(CLASSES[k] for k in (a, b)))
    return scene(seed, species, background=ROOMS[i % len(ROOMS)], pattern=[c or 'solid' for c in coats]), (a, b)[i % 2]

def abroad(
    n:int=60,         # how many
    seed:int=940_000, # of the first scene
)->list:              # (Scene, label)
    "One animal far away, on the lawn or in the snow where only dogs, or only rabbits, were in training."
    def stranger(seed, i):
        place = tuple(HOME.values())[i % len(HOME)]
        return one(seed, Random(seed).choice([k for k in CLASSES if HOME.get(k) != place]), place, area=FAR)
    return drawn('Drawing animals away from home', n, seed, stranger)

def far_at_home(
    n:int=60,         # how many
    seed:int=670_000, # of the first scene
)->list:              # (Scene, label)
    "Animals as far away as `abroad`, each in a room, where its class belongs: no place leads astray."
    names = [k for k in CLASSES if k not in HOME]
    def small(seed, i): return one(seed, names[i % len(names)], ROOMS[i // len(names) % len(ROOMS)], area=FAR)
    return drawn('Drawing small animals at home', n, seed, small)

def everywhere(
    n:int=60,         # how many
    seed:int=630_000, # of the first scene
)->list:              # (Scene, label)
    "Every class far away, on lawns, in snow and in rooms by turns: what the training scenes lack."
    names, places = list(CLASSES), [*HOME.values(), ROOMS[0]]
    def anywhere(seed, i): return one(seed, names[i % len(names)], places[i // len(names) % len(places)], area=FAR)
    return drawn('Drawing what was missing', n, seed, anywhere)

# the cause -> scenes on which mistakes have it
ON_PURPOSE = {'look-alikes': look_alikes, 'two right answers': two_right, 'habit of the data': abroad}

def as_meant(
    kind:str, # a key of ON_PURPOSE
    s,        # a scene of that kind
    said:str, # what a network called it, wrongly
)->bool:
    "Did the network say what the scene was drawn to make it say: the other cat, the other animal, the place's own?"
    species = CLASSES[said][0]
    return {'look-alikes': species == 'cat', 'two right answers': species in s.species,
            'habit of the data': HOME.get(said) == s.background}[kind]
