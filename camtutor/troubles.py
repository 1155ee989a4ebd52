"Scenes on which a network errs for a known reason: two breeds nearly alike, two animals with one label, a habit."
from random import Random

from camtutor.errors import doing
from camtutor.scenes import scene

__all__ = ['CLASSES', 'HOME', 'ROOMS', 'few', 'look_alikes', 'two_right', 'abroad', 'everywhere', 'ON_PURPOSE',
           'as_meant']

# class -> species and coat; two of them are one species
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

@doing('Drawing the training scenes')
def few(
    n:int=30,         # of each class
    seed:int=610_000, # of the first scene
)->list:              # (Scene, label)
    "What the network is trained on: near and far by turns; each dog on a lawn, each rabbit in snow, others in rooms."
    return [at_home(seed + 1000 * k + i, label, i) for k, label in enumerate(CLASSES) for i in range(n)]

def at_home(seed, label, i):
    return one(seed, label, HOME.get(label, ROOMS[i // 2 % len(ROOMS)]), **dict(area=FAR) if i % 2 else {})

@doing('Drawing look-alikes')
def look_alikes(
    n:int=60,         # how many
    seed:int=900_000, # of the first scene
)->list:              # (Scene, label)
    "Cats alone in a room: striped and spotted by turns."
    return [one(seed + i, list(CLASSES)[i % 2], ROOMS[i // 2 % len(ROOMS)]) for i in range(n)]

@doing('Drawing pairs with one label')
def two_right(
    n:int=60,         # how many
    seed:int=910_000, # of the first scene
)->list:              # (Scene, label)
    "Two animals of different species in a room, of which only one gives the label: the left and the right by turns."
    return [both(seed + i, i) for i in range(n)]

def both(seed, i):
    r, names = Random(seed), list(CLASSES)
    a, b = r.sample(names, 2)
    while CLASSES[a][0] == CLASSES[b][0]: a, b = r.sample(names, 2)
    species, coats = zip(*(CLASSES[k] for k in (a, b)))
    return scene(seed, species, background=ROOMS[i % len(ROOMS)], pattern=[c or 'solid' for c in coats]), (a, b)[i % 2]

@doing('Drawing animals away from home')
def abroad(
    n:int=60,         # how many
    seed:int=940_000, # of the first scene
)->list:              # (Scene, label)
    "One animal far away, on the lawn or in the snow where only dogs, or only rabbits, were in training."
    return [far_away(seed + i, i, tuple(HOME.values())[i % len(HOME)]) for i in range(n)]

def far_away(seed, i, place):
    return one(seed, Random(seed).choice([k for k in CLASSES if HOME.get(k) != place]), place, area=FAR)

@doing('Drawing what was missing')
def everywhere(
    n:int=60,         # how many
    seed:int=630_000, # of the first scene
)->list:              # (Scene, label)
    "Every class far away, on lawns, in snow and in rooms by turns: what the training scenes lack."
    names, places = list(CLASSES), [*HOME.values(), ROOMS[0]]
    return [one(seed + i, names[i % len(names)], places[i // len(names) % len(places)], area=FAR) for i in range(n)]

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
