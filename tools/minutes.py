"""How long the lessons take to read, exercises apart: words, lines of code, figures and predictions, each at a rate.

    python tools/minutes.py    a table: cells before the exercises, minutes counted, and what the lesson's front says"""
import re
from pathlib import Path
import nbformat

ROOT = Path(__file__).resolve().parents[1]
WORDS, LINES = 160, 10       # that are read in a minute
FIGURE, PREDICTION = 15, 30  # seconds for each
SAID = re.compile(r'\*\*Time\*\*[^.\n]*?(\d+)\s*minutes', re.I)

def before_exercises(cells):
    "The cells of the lesson itself."
    heads = [i for i, c in enumerate(cells) if c.cell_type == 'markdown' and c.source.startswith('## Exercises')]
    return cells[:heads[0]] if heads else cells

def is_folded(cell): return cell.metadata.get('jupyter', {}).get('source_hidden', False)

def prose(source): # links and formulas are read by their text
    return re.findall(r'\w+', re.sub(r'\]\([^)]*\)', ']', source))

def code(cell):
    "The lines that are to be read."
    lines = [] if is_folded(cell) else cell.source.splitlines()
    return [l for l in lines if l.strip() and not l.startswith('#|')]

def figures(cell):
    return sum(any(kind.startswith('image/') for kind in o.get('data', {})) for o in cell.get('outputs', ()))

def counted(cells)->float: # minutes
    "How long these cells take."
    words = sum(len(prose(c.source)) for c in cells if c.cell_type == 'markdown')
    codes = [c for c in cells if c.cell_type == 'code']
    lines, seen = (sum(len(f(c)) if f is code else f(c) for c in codes) for f in (code, figures))
    asked = sum('predict(' in c.source for c in codes)
    return words / WORDS + lines / LINES + (FIGURE * seen + PREDICTION * asked) / 60

def said(cells):
    "The minutes on the lesson's front; None if there are none."
    found = next((m for c in cells if c.cell_type == 'markdown' and (m := SAID.search(c.source))), None)
    return int(found[1]) if found else None

def lessons(folder=ROOT/'nbs'):
    "Name, cells before the exercises, minutes counted, minutes said, of each numbered notebook."
    for p in sorted(folder.glob('[0-9]*.ipynb')):
        cells = before_exercises(nbformat.read(p, 4).cells)
        yield p.stem, len(cells), counted(cells), said(cells)

def main():
    for name, n, minutes, front in lessons():
        print(f'{name:22} {n:4} cells  {minutes:4.0f} minutes, its front says {front}')

if __name__ == '__main__': main()
