"How long lessons take: what is counted, and that their fronts and the front page say so."
import re
from pathlib import Path
import nbformat, pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
import minutes

ROOT = Path(__file__).resolve().parent.parent
LESSONS = {name: (cells, counted, said) for name, cells, counted, said in minutes.lessons()}

def test_minutes_by_hand():
    words = new_markdown_cell('word ' * 159 + '[word](an_address.ipynb)')          # one minute
    code = new_code_cell('\n'.join(['#| export', *['x = 1'] * 9, "predict('?', 1, 2)"]))  # one more, and a prediction
    folded = new_code_cell('import this', metadata=dict(jupyter=dict(source_hidden=True)))
    picture = new_code_cell('', outputs=[new_output('display_data', {'image/jpeg': ''})] * 2) # two figures
    assert minutes.counted([words, code, folded, picture]) == pytest.approx(1 + 1 + .5 + .5)

def test_what_the_front_says():
    assert minutes.said([new_markdown_cell('**Time**: about 50 minutes, exercises apart.')]) == (50, 50)
    both = '**Time**: about 40 minutes, 70 with the sections for a second reading, exercises apart.'
    assert minutes.said([new_markdown_cell(both)]) == (40, 70)
    assert minutes.said([new_markdown_cell('It takes its time.')]) is None

def test_what_a_first_reading_leaves_out():
    texts = ['# Title\n\n## A\none', 'two\n\n## B (second reading)\nthree', 'four\n### B1\nfour', '## C\nfive']
    left = minutes.first_reading([new_markdown_cell(t) for t in texts] + [new_code_cell('six')])
    assert ' '.join(c.source for c in left).split() == '# Title ## A one two ## C five six'.split()

def fits(said, counted): return all(abs(s - c) <= .15 * c for s, c in zip(said, counted))

@pytest.mark.parametrize('name', LESSONS)
def test_the_front_says_what_is_counted(name):
    cells, counted, said = LESSONS[name]
    assert said and fits(said, counted)

@pytest.mark.parametrize('name', LESSONS)
def test_the_front_page_says_it_too(name):
    page = '\n'.join(c.source for c in nbformat.read(ROOT/'nbs'/'index.ipynb', 4).cells)
    row = next(l for l in page.splitlines() if f']({name}.ipynb)' in l)
    first, everything = re.search(r'(\d+)(?: of (\d+))? \|$', row).groups()
    assert fits((int(first), int(everything or first)), LESSONS[name][1])

@pytest.mark.parametrize('name', LESSONS)
def test_no_lesson_is_longer_than_it_may_be(name):
    assert LESSONS[name][0] <= (150 if name[:2] in ('01', '02', '03') else 130)
