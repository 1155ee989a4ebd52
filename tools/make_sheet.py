"""Draw a contact sheet, docs/contact-sheet.jpg: every species in every pose, twice, and pairs.

    python tools/make_sheet.py              the sheet
    python tools/make_sheet.py --areas      measure the table AREAS of camtutor/scenes/draw.py, print it
    python tools/make_sheet.py --tiny --out DIR    small and few, written to DIR: does it run?"""
import argparse, random
from pathlib import Path
import numpy as np
from camtutor.scenes.gallery import contact_sheet
from camtutor.scenes import POSES, SPECIES, scene
from camtutor.scenes.animals import draw_animal, extent
from camtutor.scenes.canvas import Canvas
from camtutor.scenes.coats import make_look

DOCS = Path(__file__).resolve().parents[1]/'docs'

def sheet(path, size=128, species=SPECIES):
    "At the size the network sees: a JPEG."
    singles = [scene(4_000 + 97 * i + j, s, size, pose=p)
               for i, s in enumerate(species) for j, p in enumerate(POSES * 2)]
    pairs = [scene(600 + i, (SPECIES[i % 8], SPECIES[(3 * i + 1) % 8]), size) for i in range(3 * len(species))]
    images = [s.image for s in singles + pairs]
    contact_sheet(images, cols=12).save(path, quality=68, optimize=True)
    print(f'{path.name}: {len(images)} scenes, {path.stat().st_size // 1024} KB')

def area(species, pose, size, seed):
    "Squares of a head's radius that one animal covers."
    c, portrait = Canvas(size, (-.4, -.9)), pose == 'portrait'
    c.instance, r = 1, size / (4.8 if portrait else 7.5)
    x0, _, x1, y1 = extent(species, pose)
    with c.moved(size * .5, size * (1 if portrait else .97), 0, r), c.moved(-(x0 + x1) / 2, -y1):
        draw_animal(c, make_look(random.Random(seed)), species, pose, random.Random(seed), 0., 0., 0.)
    return (c.instances > 0).sum() / r**2

def areas(size=256, n=8, species=SPECIES):
    "For each species and pose the mean of n animals."
    for s in species:
        row = [np.mean([area(s, p, size, str(k)) for k in range(n)]) for p in POSES]
        print(f'    {s!r}: ({", ".join(f"{a:.1f}" for a in row)}),')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--areas', action='store_true', help='measure the table AREAS, write nothing')
    p.add_argument('--tiny', action='store_true', help='small and few: does it run?')
    p.add_argument('--out', type=Path, default=DOCS, help='the folder; docs/ if left out')
    a = p.parse_args()
    if a.areas: return areas(size=64, n=1, species=SPECIES[:2]) if a.tiny else areas()
    if a.tiny and a.out == DOCS: p.error('--tiny needs --out, so that docs/ stays as it is')
    a.out.mkdir(parents=True, exist_ok=True)
    path = a.out/'contact-sheet.jpg'
    if a.tiny: sheet(path, 32, SPECIES[:1])
    else: sheet(path)

if __name__ == '__main__': main()
