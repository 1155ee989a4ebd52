"""How fast scenes are drawn, and whether a shortcut gives the species away.

python -m benchmarks.scenes              scenes a second, then linear probes on colour, thumbnails and size
python -m benchmarks.scenes --tiny       a few scenes: does it run?
"""
import argparse, time
import numpy as np
from camtutor.scenes import SPECIES, scene

def speed(n, size=128):
    "Scenes a second of processor time, and the median milliseconds of one."
    for s in range(30): scene(s, size=size)   # fills the texture caches
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
    half = len(x) // 2
    third = half * 2 // 3
    def fit(c, n):
        linear = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000, tol=1e-3))
        return linear.fit(x[:n], y[:n])
    best = max((3e-4, 3e-3, 3e-2, .3), key=lambda c: fit(c, third).score(x[third:half], y[third:half]))
    return fit(best, half).score(x[half:], y[half:])

def probes(n):
    "Accuracy of every probe: dict name -> accuracy."
    y = np.random.default_rng(0).integers(len(SPECIES), size=n)
    rows = [features(scene(50_000 + i, SPECIES[k])) for i, k in enumerate(y)]
    return {name: probe(np.stack([r[name] for r in rows]), y) for name in rows[0]}

def report(n_timed, n):
    rate, ms = speed(n_timed)
    print(f'{rate:.0f} scenes/s of processor time at 128 px, median {ms:.1f} ms (bar: 60 scenes/s)')
    chance = 1 / len(SPECIES)
    print(f'{len(SPECIES)} species, chance {chance:.3f}; {n} scenes, half of them held out')
    for name, acc in probes(n).items():
        bar = chance + (.2 if 'own' in name else .12)
        print(f'{name:28s} {acc:.3f}   bar {bar:.3f}   {"ok" if acc <= bar else "TOO HIGH"}')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('-n', type=int, default=4000, help='scenes for the probes')
    p.add_argument('--tiny', action='store_true', help='a few scenes: does it run?')
    a = p.parse_args()
    if a.tiny: report(5, 60)
    else: report(200, a.n)

if __name__ == '__main__': main()
