"""Draw the README's picture of `explain`: docs/explain.jpg. Run it again when the networks or the drawing change.

    python tools/make_explain_picture.py --out DIR    written to DIR"""
import argparse, tempfile
from pathlib import Path
from PIL import Image
from camtutor.explanation import explain
from camtutor.images import photo
from camtutor.networks import load_imagenet

DOCS = Path(__file__).resolve().parents[1]/'docs'

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--out', type=Path, default=DOCS, help='the folder; docs/ if left out')
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    path = a.out/'explain.jpg'
    with tempfile.TemporaryDirectory() as tmp:
        png = explain(load_imagenet(), photo('cat'), target='tiger cat').save(Path(tmp)/'explain.png')
        Image.open(png).convert('RGB').save(path, quality=85)
    print(f'{path.name}: {path.stat().st_size // 1024} KB')

if __name__ == '__main__': main()
