"Draw the README's picture of `explain`: docs/explain.jpg. Run it again when the networks or the drawing change."
import tempfile
from pathlib import Path
from PIL import Image
from camtutor.explanation import explain
from camtutor.networks import load_pets
from camtutor.scenes import scene

PATH = Path(__file__).resolve().parents[1]/'docs'/'explain.jpg'

def main():
    with tempfile.TemporaryDirectory() as tmp:
        png = explain(load_pets(), scene(7, ['cat', 'dog']), target='cat').save(Path(tmp)/'explain.png')
        Image.open(png).convert('RGB').save(PATH, quality=85)
    print(f'{PATH.name}: {PATH.stat().st_size // 1024} KB')

if __name__ == '__main__': main()
