"Lesson 14 in Chromium: the confusion matrix in a JupyterLab, and the report, which is a file of its own."
import pytest

from camtutor.blunders import top_mistakes
from camtutor.networks import load_pets
from camtutor.report import mistake_report
from camtutor.scenes import scene
from lab import open_notebook, run_cell, shoot, violations

pytestmark = pytest.mark.browser

CELL = '''from camtutor.blunders import top_mistakes
from camtutor.networks import load_pets
from camtutor.scenes import scene
from camtutor.ui.confusion import confusion
net = load_pets()
items = [(scene(100, 'dog'), 'cat'), (scene(101, 'dog'), 'cat'), (scene(200, 'fox'), 'pig'), (scene(5, 'cat'), 'cat')]
confusion(top_mistakes(net, items, n=None), net)'''

def test_a_cell_opens_its_pictures_and_they_open_in_the_explorer(page, lab):
    open_notebook(page, lab, 'confusion.ipynb', CELL)
    run_cell(page, 0, 'img.widget-image')
    output = page.locator('.jp-CodeCell').first
    status, sheet = output.locator('[role=status]').first, output.locator('img.widget-image').first
    assert status.inner_text() == 'cat called dog: 2'   # the cell with most mistakes is open
    before = sheet.get_attribute('src')
    assert output.get_by_title('cat called cat: 1').is_disabled()
    output.get_by_title('pig called fox: 1').click()
    status.filter(has_text='pig called fox: 1').wait_for()
    page.wait_for_function('([img, src]) => img.src != src', arg=[sheet.element_handle(), before])
    output.get_by_title('cat called dog: 2').click()
    status.filter(has_text='cat called dog: 2').wait_for()
    output.get_by_role('button', name='Open in the explorer').click()
    captions = output.locator('.ct-view [role=status]')
    captions.filter(has_text='for cat (').wait_for(timeout=30_000)
    assert 'for dog (' in captions.first.inner_text()   # what was said, beside what was true
    output.locator('.ct-thumb-1').click()
    output.locator('.ct-thumb-1:has-text("✓")').wait_for()
    captions.filter(has_text='for cat (').wait_for()
    shoot(page, 'confusion')
    assert not page.errors

def test_the_report_sorts(page, tmp_path):
    items = [(scene(100 + i, kind), label) for i, (kind, label) in enumerate([('dog', 'cat'), ('fox', 'pig'),
                                                                             ('bear', 'fox'), ('cat', 'mouse')])]
    found = top_mistakes(load_pets(), items, n=None)
    page.errors.clear()
    page.goto(mistake_report(found, tmp_path/'mistakes.html').as_uri())
    def column(i):
        cells = page.locator(f'#mistakes tbody tr td:nth-child({i})')
        return cells.evaluate_all('t => t.map(c => c.dataset.v)')
    said, loss, names = 6, 8, 13   # four pictures come first
    def heading(name): return page.locator(f'th:has(button:text-is("{name}"))')
    losses = [float(v) for v in column(loss)]
    assert len(losses) == len(found) > 2 and losses == sorted(losses, reverse=True)   # as written, the worst first
    heading('loss').locator('button').click()
    assert [float(v) for v in column(loss)] == sorted(losses)
    assert heading('loss').get_attribute('aria-sort') == 'ascending'
    together = dict(zip(column(names), column(loss)))
    heading('said').locator('button').focus()
    page.keyboard.press('Enter')
    assert column(said) == sorted(column(said)) and heading('loss').get_attribute('aria-sort') is None
    page.keyboard.press('Enter')
    assert column(said) == sorted(column(said), reverse=True)
    assert dict(zip(column(names), column(loss))) == together   # whole rows have moved
    assert page.locator('#mistakes img').evaluate_all('i => i.every(p => p.complete && p.naturalWidth > 50)')
    assert not page.errors and not violations(page)
