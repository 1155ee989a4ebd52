"Exercises as a learner meets them: in a real JupyterLab."
import json

import pytest
from lab import open_notebook, run_cell, set_theme, shoot, violations

pytestmark = pytest.mark.browser

CELLS = ['''from camtutor.exercises import ex
@ex("2.3")
def cam(weight, A): ...''',
'''import torch
@ex("2.3")
def cam(weight, A): return torch.einsum('kc,ncij->nkij', weight, A).relu()''',
'''@ex("2.3")
def cam(weight, A):
    mine = weight.T
    return mine @ A''',
'''@ex("2.3")
def cam(weight, A):
    while True: pass''',
'''@ex("2.3")
def cam(weight, A): return torch.einsum('kc,ncij->nkij', weight, A)''',
'ex.ask("2.12")', 'ex.progress()']

@pytest.fixture(scope='module')
def notebook(page, lab):
    open_notebook(page, lab, 'exercises.ipynb', *CELLS)
    return page

def card(page, number, wait=None):
    "Run a cell and read the text of the card below it."
    run_cell(page, number)
    output = page.locator('.jp-CodeCell').nth(number).locator('.jp-OutputArea-output')
    output.get_by_text(wait or 'Exercise 2.3').first.wait_for(timeout=60_000)
    return output.first.inner_text()

def test_a_stub(notebook):
    text = card(notebook, 0)
    assert '○ Exercise 2.3 · CAM as one einsum: not attempted yet' in text and 'ex.hint("2.3")' in text

def test_a_wrong_answer(notebook):
    text = card(notebook, 1)
    assert '✗' in text and 'This is CAM with a ReLU.' in text
    card_code = notebook.locator('.jp-CodeCell').nth(1).locator('code', has_text='ex.hint')
    assert card_code.count() == 1 # HTML, not its source
    shoot(notebook, 'exercise_wrong')

def test_an_exception(notebook):
    text = card(notebook, 2)
    assert '! Exercise' in text and 'return mine @ A' in text and 'mine = tensor (2, 3) float32' in text
    assert 'Traceback' not in text and 'camtutor/' not in text

def test_an_endless_loop(notebook):
    text = card(notebook, 3, 'longer than it may')
    assert 'while True: pass' in text

def test_a_right_answer(notebook):
    text = card(notebook, 4)
    assert '✓ Exercise 2.3' in text and 'costs nothing' in text
    fold = notebook.locator('.jp-CodeCell').nth(4).locator('details')
    assert not fold.locator('pre').is_visible()
    fold.locator('summary').click()
    assert "return torch.einsum('kc,ncij->nkij', weight, A)" in fold.locator('pre').inner_text()
    shoot(notebook, 'exercise_right')

def test_a_question(notebook):
    card(notebook, 5, 'Plain CAM uses')
    cell = notebook.locator('.jp-CodeCell').nth(5)
    options = cell.get_by_role('radiogroup', name='Plain CAM uses').get_by_role('radio')
    cell.get_by_text('any layer you like', exact=True).click()
    cell.get_by_role('status').get_by_text('Grad-CAM lifts that limit').wait_for()
    here = next(i for i in range(options.count()) if options.nth(i).is_checked())
    options.nth(here).press('ArrowUp' if here else 'ArrowDown')
    assert options.nth(here - 1 if here else 1).is_checked() and not options.nth(here).is_checked()
    cell.get_by_text('which global average pooling reads').click()
    cell.get_by_text('✓ Question 2.12').wait_for()
    shoot(notebook, 'exercise_question')

def test_progress_is_kept(notebook, lab):
    text = card(notebook, 6, 'exercises done')
    assert '2 of' in text and '✓2.3' in text and '✓2.12' in text
    done = json.loads((lab.work.parent/'share'/'camtutor'/'progress.json').read_text())['exercises']
    assert done['2.3']['tries'] == 4 and done['2.12']['state'] == 'correct'
    assert notebook.errors == []

@pytest.mark.parametrize('theme', ['Dark', 'Light'])
def test_cards_are_accessible(notebook, theme):
    set_theme(notebook, theme)
    assert violations(notebook, '.jp-OutputArea-output') == []
