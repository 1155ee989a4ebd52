"""How long the lessons take to read, exercises apart: words, lines of code, figures and predictions, each at a rate.

    python tools/minutes.py    a table: cells before the exercises, minutes counted and what the lesson's front says,
                               for a first reading and for everything

A section whose heading ends in (second reading) is left out of a first one."""
import re
from pathlib import Path
import nbformat

ROOT = Path(__file__).resolve().parents[1]
WORDS, LINES = 160, 10       # that are read in a minute
FIGURE, PREDICTION = 15, 30  # seconds for each
SAID = re.compile(r'\*\*Time\*\*[^.\n]*?(\d+)\s*minutes(?:[^.\n]*?(\d+) with)?', re.I)
HEADING, LATER = re.compile('(##+) '), '(second reading)'

def before_exercises(cells):
    "The cells of the lesson itself."
    heads = [i for i, c in enumerate(cells) if c.cell_type == 'markdown' and c.source.startswith('## Exercises')]
    return cells[:heads[0]] if heads else cells

def first_reading(cells)->list:
    "The cells without the sections for a second reading, whose subsections belong to them."
    kept, left_out = [], 9   # the level of the heading that left a section out; 9 = none did
    for c in cells:
        some = []
        for line in c.source.splitlines():
            level = len(found[1]) if c.cell_type == 'markdown' and (found := HEADING.match(line)) else 9
            if level < 9 and level <= left_out: left_out = level if line.rstrip().endswith(LATER) else 9
            if left_out == 9: some.append(line)
        if some: kept.append(c if c.cell_type == 'code' else nbformat.v4.new_markdown_cell('\n'.join(some)))
    return kept

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
    "The minutes on the lesson's front, for a first reading and for everything; None if there are none."
    found = next((m for c in cells if c.cell_type == 'markdown' and (m := SAID.search(c.source))), None)
    return (int(found[1]), int(found[2] or found[1])) if found else None

def lessons(folder=ROOT/'nbs'):
    "Name, cells before the exercises, minutes counted, minutes said (both for a first reading, and all), of each."
    for p in sorted(folder.glob('[0-9]*.ipynb')):
        cells = before_exercises(nbformat.read(p, 4).cells)
        yield p.stem, len(cells), (counted(first_reading(cells)), counted(cells)), said(cells)

def main():
    for name, n, (first, everything), (says, says_all) in lessons():
        print(f'{name:22} {n:4} cells  {first:4.0f} of {everything:3.0f} minutes, its front says {says} of {says_all}')

if __name__ == '__main__': main()
