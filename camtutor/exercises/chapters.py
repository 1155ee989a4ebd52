"All exercises of the course, by chapter."
from importlib import import_module
from importlib.util import find_spec

from camtutor.errors import CamError, nearest
from camtutor.exercises.core import Exercise
from camtutor.exercises.declare import declared

TITLES = {'00': 'Pets', '01': 'Hooks', '02': 'CAM', '03': 'Grad-CAM', '04': 'Guided backprop', '05': 'Deconvnet',
          '06': 'Feature maps', '07': 'The CAM family', '08': 'Covering', '09': 'Metrics', '10': 'L-CAM', '11': 'Bias',
          '12': 'Where', '13': 'Text', '14': 'Mistakes'}
CHAPTERS = {n: title for n, title in TITLES.items() if find_spec(f'camtutor.exercises.ch{n}')} # those that have any

def chapter(number:str)->dict: # id -> Exercise
    "The exercises of one chapter, by id."
    import_module(f'camtutor.exercises.ch{number}')
    return {i: e.made for i, e in declared.items() if e.made.chapter == number}

def exercises()->dict: # id -> Exercise
    "Every exercise of the course, in order."
    return {i: e for c in CHAPTERS for i, e in chapter(c).items()}

def find(id:str)->Exercise:
    "The exercise `id`; a CamError names the nearest if there is none."
    number = str(id).split('.')[0].zfill(2)
    mine = chapter(number) if number in CHAPTERS else {}
    if str(id) not in mine: raise CamError(f'There is no exercise {id!r}. ' + nearest(id, exercises()))
    return mine[str(id)]
