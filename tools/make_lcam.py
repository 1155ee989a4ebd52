"""Train the shipped attentions of chapter 10 again from seeds, and measure them on scenes they have never seen.

    python tools/make_lcam.py            train, save camtutor/data/lcam-*.safetensors, measure, note in docs/weights.md
    python tools/make_lcam.py --report   measure them only
    python tools/make_lcam.py --tiny --out DIR    a few scenes, written to DIR: does it run?"""
import argparse, time
from pathlib import Path
from camtutor.cam import energy, own_share
from camtutor.engine.beside import activations_and_scores
from camtutor.lcam import load_lcam, maps_of, save_lcam, train_lcam
from camtutor.networks import load_pets
from camtutor.pets import pets_dls
from camtutor.show import upsample
from camtutor.truth import mean_interval, one_animal, two_animals
from training import DATA, ROOT, section

FULL = dict(n=1600, n_valid=200, judged=96, seeds=(0, 1, 2), epochs=dict(fm=20, img=2))
TINY = dict(n=40, n_valid=8, judged=8, seeds=(0,), epochs=dict(fm=1, img=1))

def attentions(job):
    "The file of each attention, its variant and its seed; those of seed 0 are used by METHODS."
    return [('lcam-fm-0', 'fm', 0), *((f'lcam-img-{s}', 'img', s) for s in job['seeds'])]

def train(net, job, folder):
    dls = pets_dls(species=net.vocab, n=job['n'], n_valid=job['n_valid'], bs=32)
    for name, variant, seed in attentions(job):
        t = time.perf_counter()
        att = train_lcam(net, dls, variant, epochs=job['epochs'][variant], seed=seed, progress=False)
        save_lcam(att, folder/f'{name}.safetensors')
        print(f'{name}: {time.perf_counter() - t:.0f} s', flush=True)

TITLE = 'Attentions of chapter 10'
TABLE = """\
Written by `tools/make_lcam.py`: trained beside `pets`, seeds 0 to 2, and measured on scenes that they have not seen.
L-CAM-Fm went {fm} times over {n} scenes with one animal, L-CAM-Img {img} times. Those of seed 0 are used by `explain`.

| | two animals: share of the map on its own animal | energy in the animal |
|---|---|---|
"""

def noted(rows, job, path=ROOT/'docs'/'weights.md'):
    "The table as a section of the page, in the place of the one before."
    section(path, TITLE, [*TABLE.format(n=job['n'], **job['epochs']).splitlines(), *rows])

def report(net, job, folder)->list: # of rows
    "What each attention gets, printed and given."
    rows = []
    one, two = one_animal(net, job['judged'], seed=940_000), two_animals(net, job['judged'], seed=950_000)
    for name, variant, seed in attentions(job):
        att = load_lcam(folder/f'{name}.safetensors', net)
        def maps(x, k): return upsample(maps_of(att(activations_and_scores(net, x, att.layer)[0]).detach(), k), 128)
        inside = energy(maps(one.x, one.classes[:, 0]), one.masks[:, 0])
        shares = [own_share(maps(two.x, two.classes[:, i]), two.masks[:, i], two.masks[:, 1 - i]) for i in (0, 1)]
        said = ['{:.3f} ({:.3f} to {:.3f})'.format(*mean_interval(v)) for v in (sum(shares) / 2, inside)]
        rows.append(f'| {name} | {said[0]} | {said[1]} |')
        print(rows[-1], flush=True)
    return rows

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--report', action='store_true', help='measure them, train nothing')
    p.add_argument('--tiny', action='store_true', help='a few scenes: does it run?')
    p.add_argument('--out', type=Path, default=DATA, help="the folder of the files; the package's own if left out")
    a = p.parse_args()
    if a.tiny and a.out == DATA: p.error('--tiny needs --out, so that the shipped weights stay')
    net, job = load_pets(), TINY if a.tiny else FULL
    if not a.report:
        a.out.mkdir(parents=True, exist_ok=True)
        train(net, job, a.out)
    rows = report(net, job, a.out)
    if a.out == DATA: noted(rows, job)

if __name__ == '__main__': main()
