"What authors run: tools/nb.py, and a source distribution that makes the whole wheel."
import shutil, subprocess, sys, tarfile, zipfile
from pathlib import Path
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'tools'))
import nb

def test_shape():
    cells = [new_markdown_cell('# T'), new_code_cell('#| export\na = 1\n\nb = 2'), new_code_cell('a', outputs=[dict(output_type='stream', name='stdout', text='1')]), new_code_cell(' ')]
    assert nb.shape(new_notebook(cells=cells)) == 'code:md 2:1, code lines median 2 p90 1 max 2, 50% with output'
    assert nb.shape(new_notebook(cells=cells[:1])) == 'no code cells'

def test_the_source_distribution_makes_the_whole_wheel(tmp_path):
    copy = shutil.copytree(ROOT, tmp_path/'copy', ignore=shutil.ignore_patterns('.*', '__pycache__', '*.egg-info', 'artefacts', 'build', 'dist', 'runs'))
    subprocess.run([sys.executable, '-m', 'build', '--no-isolation', '-o', tmp_path], cwd=copy, check=True, capture_output=True)
    [sdist], [wheel] = tmp_path.glob('*.tar.gz'), tmp_path.glob('*.whl')   # the wheel is built from the source distribution
    with tarfile.open(sdist) as t: held = {n.partition('/')[2] for n in t.getnames()}
    assert {p.relative_to(copy).as_posix() for folder in ('tests', 'tools', 'nbs', 'docs') for p in (copy/folder).rglob('*.*')} <= held
    assert {'settings.ini', 'constraints.txt', 'Makefile', 'CONTRIBUTING.md'} <= held
    with zipfile.ZipFile(wheel) as z:
        packed = set(z.namelist())
        meta = next(z.read(n).decode() for n in packed if n.endswith('METADATA'))
    assert {p.relative_to(copy).as_posix() for p in (copy/'camtutor').rglob('*.*') if p.is_file()} <= packed
    assert 'License-Expression: Apache-2.0' in meta
