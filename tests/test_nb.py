"tools/nb.py: a percent script and its notebook."
import runpy, sys
from pathlib import Path

import nbformat, pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

TOOL = Path(__file__).resolve().parent.parent/'tools'/'nb.py'

@pytest.fixture
def nb(monkeypatch, capsys):
    "Runs tools/nb.py as a program; what it says."
    def call(*args):
        monkeypatch.setattr(sys, 'argv', ['nb.py', *map(str, args)])
        runpy.run_path(str(TOOL), run_name='__main__')
        return capsys.readouterr().out
    return call

def printed(text): return new_output('stream', text=text)

@pytest.fixture
def page(tmp_path):
    "A notebook that was run, as a percent script and as it is."
    cells = [new_markdown_cell('# T'), new_code_cell('print(1)', outputs=[printed('1')]),
             new_code_cell("print('2')", outputs=[printed('2')]), new_code_cell('print(3)', outputs=[printed('3')])]
    for i, c in enumerate(cells): c.id = f'cell{i}'
    nbformat.write(new_notebook(cells=cells), tmp_path/'page.ipynb')
    script = '# %% [markdown]\n# # T\n\n# %%\nprint(1)\n\n# %%\nprint("2")\n\n# %%\nprint(0)\n\n# %%\nprint(3)\n'
    (tmp_path/'page.py').write_text(script)
    return tmp_path/'page.py', tmp_path/'page.ipynb'

def test_build_keeps_the_outputs_of_what_did_not_change(nb, page):
    script, path = page
    nb('build', script, path)
    cells = nbformat.read(path, 4).cells
    assert [c.source for c in cells] == ['# T', 'print(1)', 'print("2")', 'print(0)', 'print(3)']
    assert [[o.text for o in c.outputs] for c in cells[1:]] == [['1'], [], [], ['3']]
    assert [c.id for c in cells if c.source != 'print(0)'] == [f'cell{i}' for i in range(4)]
    before = path.read_bytes()
    nb('build', script, path)
    assert path.read_bytes() == before

def test_build_folds_imports_and_answers(nb, page):
    script, path = page
    script.write_text('# %%\nimport torch\n\n# %%\np.reveal(3)\n\n# %%\nx = 1\n')
    nb('build', script, path)
    hidden = [c.metadata.get('jupyter', {}).get('source_hidden', False) for c in nbformat.read(path, 4).cells]
    assert hidden == [True, True, False]
    before = path.read_bytes()
    nb('fold', path)
    assert path.read_bytes() == before

def test_build_and_run_a_new_one(nb, page):
    script, path = page
    path.unlink()
    nb('build', script, path)
    said = nb('run', path)
    shown = [''.join(o.text for o in c.outputs) for c in nbformat.read(path, 4).cells[1:]]
    assert shown == ['1\n', '2\n', '0\n', '3\n']
    assert 'page.ipynb: ' in said and '100% with output' in said
