"""How fast scenes are drawn, and whether a shortcut gives the species away.

python benchmarks/scenes.py              scenes a second, then linear probes on colour, thumbnails and size
python benchmarks/scenes.py --sheet      writes docs/contact-sheet.jpg
python benchmarks/scenes.py --areas      measures the table AREAS of camtutor/scenes/draw.py
"""
import argparse, random, time
from pathlib import Path
import numpy as np
from PIL import Image
from camtutor.scenes import POSES, SPECIES, draw, scene

SHEET = Path(__file__).parent.parent / 'docs' / 'contact-sheet.jpg'

def speed(n=200, size=128):
    "Scenes a second of processor time, and the median milliseconds of one."
    for s in range(30): scene(s, size=size)                       # fills the texture caches
    times = []
    for s in range(n):
        t = time.process_time()
        scene(10_000 + s, size=size)
        times.append(time.process_time() - t)
    return n / sum(times), 1000 * float(np.median(times))

def histogram(pixels):
    "Share of pixels (n,3) in each of 4x4x4 colour bins: (64,)."
    b = pixels // 64
    return np.bincount(b[:, 0] * 16 + b[:, 1] * 4 + b[:, 2], minlength=64) / max(1, len(pixels))

def features(s):
    "What each probe sees of a scene."
    own = s.mask()
    return {'colour histogram': histogram(s.image.reshape(-1, 3)),
            'thumbnail 16x16': s.image.reshape(16, 8, 16, 8, 3).mean((1, 3)).ravel() / 255,
            'size (area of the animal)': np.array([own.mean(), own.mean()**.5, own.mean()**2]),
            "the animal's own colours": histogram(s.image[own])}

def probe(x, y):
    "Held-out accuracy of a linear classifier, its penalty chosen on a part of the training half."
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    half = len(x) // 2; third = half * 2 // 3
    linear = lambda c: make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000, tol=1e-3))
    fit = lambda c, n: linear(c).fit(x[:n], y[:n])
    best = max((3e-4, 3e-3, 3e-2, .3), key=lambda c: fit(c, third).score(x[third:half], y[third:half]))
    return fit(best, half).score(x[half:], y[half:])

def probes(n=4000):
    "Accuracy of every probe: dict name -> accuracy."
    y = np.random.default_rng(0).integers(len(SPECIES), size=n)
    rows = [features(scene(50_000 + i, SPECIES[k])) for i, k in enumerate(y)]
    return {name: probe(np.stack([r[name] for r in rows]), y) for name in rows[0]}

def report(n):
    rate, ms = speed()
    print(f'{rate:.0f} scenes/s of processor time at 128 px, median {ms:.1f} ms (bar: 60 scenes/s)')
    chance = 1 / len(SPECIES)
    print(f'{len(SPECIES)} species, chance {chance:.3f}; {n} scenes, half of them held out')
    for name, acc in probes(n).items():
        bar = chance + (.2 if 'own' in name else .12)
        print(f'{name:28s} {acc:.3f}   bar {bar:.3f}   {"ok" if acc <= bar else "TOO HIGH"}')

def sheet(path=SHEET, size=128, pad=3):
    "Every species in every pose, twice, and pairs, at the size the network sees: a JPEG."
    singles = [scene(4_000 + 97 * i + j, s, size, pose=p)
               for i, s in enumerate(SPECIES) for j, p in enumerate(POSES * 2)]
    pairs = [scene(600 + i, (SPECIES[i % 8], SPECIES[(3 * i + 1) % 8]), size) for i in range(24)]
    images, cols, cell = [s.image for s in singles + pairs], 12, size + pad
    out = np.full((-(-len(images) // cols) * cell + pad, cols * cell + pad, 3), 255, np.uint8)
    for i, im in enumerate(images):
        y, x = pad + i // cols * cell, pad + i % cols * cell
        out[y:y + size, x:x + size] = im
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(out).save(path, quality=68, optimize=True)
    print(f'{path.name}: {len(images)} scenes, {path.stat().st_size / 1000:.0f} kB')

def areas(size=256, n=8):
    "Squares of a head's radius that each species covers in each pose."
    for s in SPECIES:
        row = [np.mean([_area(s, p, size, str(k)) for k in range(n)]) for p in POSES]
        print(f'    {s!r}: ({", ".join(f"{a:.1f}" for a in row)}),')

def _area(species, pose, size, seed):
    c = draw.Canvas(size, (-.4, -.9))
    c.instance, r = 1, size / (4.8 if pose == 'portrait' else 7.5)
    x0, _, x1, y1 = draw.extent(species, pose)
    with c.moved(size * .5, size * (1 if pose == 'portrait' else .97), 0, r), c.moved(-(x0 + x1) / 2, -y1):
        draw.draw_animal(c, draw.make_look(random.Random(seed)), species, pose, random.Random(seed), 0., 0., 0.)
    return (c.instances > 0).sum() / r**2

if __name__ == '__main__':
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--sheet', action='store_true', help='write the contact sheet')
    a.add_argument('--areas', action='store_true', help='measure the table AREAS')
    a.add_argument('-n', type=int, default=4000, help='scenes for the probes')
    o = a.parse_args()
    if o.sheet: sheet()
    elif o.areas: areas()
    else: report(o.n)
