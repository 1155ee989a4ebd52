"What `scene` accepts: every argument is checked here, and every refusal lists what is possible."
import math, operator
from collections.abc import Sequence
from numbers import Integral, Real
from ..errors import CamError, nearest

SIZES = (16, 2048)
MOST_ANIMALS, MOST_OBJECTS = 4, 5
TURNS = {'left': -28., 'front': 0., 'right': 28.}

def _fail(name, value, why):
    raise CamError(f'{name}={value!r}: {why}', 'mask' if name in ('part', 'instance') else 'scene')

def whole(name, value, low, high):
    "An int from low to high."
    try: n = None if isinstance(value, bool) else operator.index(value)
    except TypeError: n = None
    if n is None: _fail(name, value, f'is a {type(value).__name__}. Give an int from {low} to {high}.')
    if not low <= n <= high: _fail(name, value, f'is out of range. Give an int from {low} to {high}.')
    return n

def number(name, value, low, high):
    "A finite number from low to high, or None."
    if value is None: return None
    x = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if not math.isfinite(x): _fail(name, value, f'is not a number. Give one from {low} to {high}, or None.')
    if not low <= x <= high: _fail(name, value, f'is out of range. Give a number from {low} to {high}, or None.')
    return x

def flag(name, value):
    "True, False or None."
    if value is None or isinstance(value, bool): return value
    _fail(name, value, 'Give True, False or None (the seed chooses).')

def word(name, value, options):
    "One of `options`, or None."
    if value is None or isinstance(value, str) and value in options: return value
    why = 'is unknown. ' + _closest(value, options) if isinstance(value, str) else f'is a {type(value).__name__}. '
    _fail(name, value, f'{why}Possible: {_listed(options)}.')

def several(name, value, options):
    "A list of one or more of `options`."
    many = list(value) if isinstance(value, (list, tuple, set)) else [value]
    if not many or None in many: _fail(name, value, f'Give one or several names. Possible: {_listed(options)}.')
    return [word(name, v, options) for v in many]

def _listed(options): return ', '.join(map(repr, options))
def _closest(value, options):
    hint = nearest(value, options)
    return hint + ' ' if hint.startswith('Did') else ''

def rgb(name, value, table):
    "A colour by name or as three ints 0 to 255: floats in [0, 1]."
    if value is None: return None
    if isinstance(value, str): return table[word(name, value, table)]
    try: c = tuple(operator.index(v) for v in value)
    except TypeError: c = ()
    if len(c) != 3 or not all(0 <= v <= 255 for v in c):
        _fail(name, value, f'is no colour. Give three ints from 0 to 255, or one of {_listed(table)}.')
    return tuple(v / 255 for v in c)

def turn(name, value):
    "A head's turn in degrees: a name or a number, negative to the picture's left."
    if isinstance(value, str): return TURNS[word(name, value, TURNS)]
    return number(name, value, -40, 40)

def names(species, options):
    "None, or a tuple of species."
    if species is None: return None
    many = (species,) if isinstance(species, str) else species
    if not isinstance(many, Sequence) or isinstance(many, (bytes, bytearray)):
        why = f'is a {type(species).__name__}. Give a name, a list of names, or None.'
        _fail('species', species, f'{why} Possible: {_listed(options)}.')
    if not 1 <= len(many) <= MOST_ANIMALS:
        _fail('species', species, f'has {len(many)} names. Give 1 to {MOST_ANIMALS}.')
    if any(s is None for s in many): _fail('species', species, f'None stands alone only. Possible: {_listed(options)}.')
    return tuple(word('species', s, options) for s in many)

def each(name, value, n, check):
    "One value for all n animals, or a list of n: a list of n checked values."
    if value is None or isinstance(value, str) or not isinstance(value, Sequence): return [check(name, value)] * n
    if len(value) != n:
        animals = '1 animal' if n == 1 else f'{n} animals'
        _fail(name, value, f'{len(value)} values for {animals}. Give one for all, or a list of {n}.')
    return [check(name, v) for v in value]

def colours(name, value, n, table):
    "As `each`, where three ints are one colour and not three."
    one = isinstance(value, Sequence) and len(value) == 3 and all(isinstance(v, Integral) for v in value)
    return [rgb(name, value, table)] * n if one else each(name, value, n, lambda k, v: rgb(k, v, table))

def painted(value, parts, table):
    "Part to colour."
    if value is None: return {}
    if not isinstance(value, dict):
        _fail('paint', value, "Give a dict from parts to colours, such as {'tail': (255, 0, 0)}.")
    return {word('paint', k, parts[1:]): _must(v, table) for k, v in value.items()}

def _must(v, table):
    if v is None: _fail('paint', v, 'is no colour. Give three ints from 0 to 255, or a name.')
    return rgb('paint', v, table)

def left_out(value, options, counts, n):
    "What `without` names: name to the numbers that are meant, None for all. `counts`: of what is no part of n animals."
    if value is None: return {}
    if not isinstance(value, dict): return {name: None for name in several('without', value, options)}
    return {word('without', k, options): _numbers(k, v, counts.get(k, n)) for k, v in value.items()}

def _numbers(name, value, n):
    many = value if isinstance(value, (list, tuple)) else [value]
    if name is None or not many: _fail('without', {name: value}, "Give a name and numbers, such as {'ears': 2}.")
    if n == 0: _fail('without', {name: value}, f"there is no {name} with a number. Give its name alone.")
    return {whole('without', v, 1, n) for v in many}

# ---- a set of scenes to learn from

def expect_classes(species, n, n_valid, bs):
    "Raise `CamError` unless a set of scenes can be made of these arguments."
    if isinstance(species, str) or len(set(species)) < 2 or len(set(species)) < len(species):
        raise CamError(f"a network needs two or more different species to tell apart, not {species!r}. "
                       "Give names such as ('cat', 'dog').")
    if n < bs or n_valid < 1:
        raise CamError(f'n={n} training and n_valid={n_valid} validation scenes with bs={bs} fill no batch. '
                       'Take n >= bs and n_valid >= 1.')
