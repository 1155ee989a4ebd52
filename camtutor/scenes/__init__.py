"Photo-like pictures of pets, drawn from a seed, with exact part masks: `scene(7, 'cat')`."
from .animals import POSES, SPECIES
from .backgrounds import BACKGROUNDS
from .canvas import PARTS
from .coats import COLOURS, PATTERNS
from .draw import Scene, scene
from .objects import OBJECTS

__all__ = ['BACKGROUNDS', 'COLOURS', 'OBJECTS', 'PARTS', 'PATTERNS', 'POSES', 'SPECIES', 'Scene', 'scene']
