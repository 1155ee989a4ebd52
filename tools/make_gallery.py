"""Draw the scenes that ship with the package: camtutor/data/gallery.npz. Run it again when the drawing changes.

    python tools/make_gallery.py --tiny --out DIR    two scenes, written to DIR: does it run?"""
import argparse, json
from itertools import islice
from pathlib import Path
import numpy as np
from camtutor.scenes import BACKGROUNDS, SPECIES, scene
from camtutor.scenes.bulk import pack

DATA = Path(__file__).resolve().parents[1]/'camtutor'/'data'
KEPT = 'species poses background seed'.split()
PAIRS = [('cat', 'dog'), ('dog', 'cat'), ('rabbit', 'fox'), ('elephant', 'mouse'), ('bear', 'pig'), ('fox', 'cat'),
         ('dog', 'rabbit'), ('mouse', 'cat')]

def wanted():
    "Every species twice, in changing places, then pairs."
    for i in range(16): yield 500 + i, SPECIES[i % len(SPECIES)], BACKGROUNDS[i % len(BACKGROUNDS)]
    for i, pair in enumerate(PAIRS): yield 600 + i, pair, BACKGROUNDS[i % len(BACKGROUNDS)]

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--tiny', action='store_true', help='two scenes: does it run?')
    p.add_argument('--out', type=Path, default=DATA, help="the folder; the package's own if left out")
    a = p.parse_args()
    if a.tiny and a.out == DATA: p.error('--tiny needs --out, so that the shipped scenes stay')
    a.out.mkdir(parents=True, exist_ok=True)
    scenes = [scene(seed, species, background=b) for seed, species, b in islice(wanted(), 2 if a.tiny else None)]
    info = json.dumps([{k: getattr(s, k) for k in KEPT} for s in scenes])
    path = a.out/'gallery.npz'
    np.savez_compressed(path, packed=np.stack([pack(s) for s in scenes]), info=info)
    print(f'{path.name}: {len(scenes)} scenes, {path.stat().st_size // 1024} KB')

if __name__ == '__main__': main()
