"Draw the scenes that ship with the package: camtutor/data/gallery.npz. Run it again when the drawing changes."
import json
from pathlib import Path
import numpy as np
from camtutor.cache import pack
from camtutor.scenes import BACKGROUNDS, SPECIES, scene

PATH = Path(__file__).resolve().parents[1]/'camtutor'/'data'/'gallery.npz'
KEPT = 'species poses background seed'.split()

def wanted():
    "Every species twice, in changing places, then pairs."
    for i in range(16): yield 500 + i, SPECIES[i % len(SPECIES)], BACKGROUNDS[i % len(BACKGROUNDS)]
    for i, pair in enumerate([('cat', 'dog'), ('dog', 'cat'), ('rabbit', 'fox'), ('elephant', 'mouse'), ('bear', 'pig'), ('fox', 'cat'), ('dog', 'rabbit'), ('mouse', 'cat')]):
        yield 600 + i, pair, BACKGROUNDS[i % len(BACKGROUNDS)]

def main():
    scenes = [scene(seed, species, background=b) for seed, species, b in wanted()]
    info = json.dumps([{k: getattr(s, k) for k in KEPT} for s in scenes])
    np.savez_compressed(PATH, packed=np.stack([pack(s) for s in scenes]), info=info)
    print(f'{PATH.name}: {len(scenes)} scenes, {PATH.stat().st_size // 1024} KB')

if __name__ == '__main__': main()
