"What authors run: each script of tools/ and benchmarks/ once on tiny input, and what is packed into a wheel."
import json, runpy, shutil, subprocess, sys, tarfile, zipfile
from pathlib import Path
import matplotlib.pyplot as plt, nbformat, pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
import in_step, nb, readme

# ---- each script, on tiny input
TINY = {'tools/make_gallery.py': ['gallery.npz'], 'tools/make_sheet.py': ['contact-sheet.jpg'],
        'tools/make_plain.py': ['plain.safetensors'],
        'tools/make_reviews.py': ['reviews.safetensors'],
        'tools/make_liars.py': [*(f'liar_{n}.safetensors' for n in ('blind', 'false', 'honest', 'mark', 'sofa')),
                                'weights.md'],
        'tools/make_stories.py': ['stories.json', 'strengths.safetensors', 'weights.md'],
        'tools/make_lcam.py': ['lcam-fm-0.safetensors', 'lcam-img-0.safetensors'],
        'tools/make_weights.py': ['backbone.safetensors', 'coached.safetensors', 'pets.safetensors',
                                  'weights.json', 'weights.md'],
        'benchmarks/card.py': ['card-benchmark.json', 'card-benchmark.md'],
        'benchmarks/pixels.py': ['pixels-benchmark.json', 'pixels-benchmark.md'],
        'benchmarks/family.py': ['family-benchmark.json', 'family-benchmark.md'],
        'benchmarks/gradcam.py': ['gradcam-benchmark.json', 'gradcam-benchmark.md', 'gradcam-benchmark.png',
                                  'gradcam-scaling.png'],
        'benchmarks/perturbation.py': ['perturbation-benchmark.json', 'perturbation-benchmark.md']}
NO_SCRIPTS = {'tools/training.py', 'benchmarks/clock.py'}   # what scripts share
OTHERS = {'tools/make_explain_picture.py', 'tools/explorer_strip.py', 'benchmarks/scenes.py', 'benchmarks/metrics.py',
          'tools/nb.py', 'tools/exercises.py', 'tools/readme.py', 'tools/in_step.py',   # tests of their own, below
          'tools/house.py', 'tools/wrong_answers.py', 'tools/minutes.py'}   # and in files of these names

def test_no_script_is_left_out():
    found = {p.relative_to(ROOT).as_posix() for folder in ('tools', 'benchmarks') for p in (ROOT/folder).glob('*.py')}
    assert found == {*TINY, *NO_SCRIPTS, *OTHERS}

@pytest.fixture
def run(monkeypatch, tmp_path):
    "Runs a script as a program. No figure stays open, and what ships with the repository stays as it is."
    kept = [p for folder in ('docs', 'camtutor/data') for p in sorted((ROOT/folder).iterdir())]
    before = [p.stat().st_mtime_ns for p in kept]
    monkeypatch.setenv('CAMTUTOR_CACHE', str(tmp_path/'cache'))
    monkeypatch.syspath_prepend(str(ROOT))
    def call(script, *args):
        monkeypatch.setattr(sys, 'argv', [script, *map(str, args)])
        if script.startswith('tools'): return runpy.run_path(str(ROOT/script), run_name='__main__')
        return runpy.run_module(script.removesuffix('.py').replace('/', '.'), run_name='__main__')
    yield call
    plt.close('all')
    assert [p.stat().st_mtime_ns for p in kept] == before

@pytest.mark.parametrize('script', TINY)
def test_on_tiny_input(script, run, tmp_path):
    run(script, '--tiny', '--out', tmp_path/'new'/'out')
    assert sorted(p.name for p in (tmp_path/'new'/'out').iterdir()) == TINY[script]
    for p in (tmp_path/'new'/'out').iterdir():
        if p.suffix in ('.jpg', '.png'): assert min(Image.open(p).size) > 30
        if p.suffix == '.json': assert json.loads(p.read_text(encoding='utf8'))

@pytest.mark.parametrize('script', [s for s in TINY if s.startswith('tools')])
def test_tiny_without_a_folder_is_refused(script, run, capsys):
    with pytest.raises(SystemExit): run(script, '--tiny')
    assert '--tiny needs --out' in capsys.readouterr().err

def test_weights_that_were_made_can_be_loaded(run, tmp_path):
    from camtutor.networks.shipped import load_shipped
    run('tools/make_plain.py', '--tiny', '--out', tmp_path)
    assert load_shipped('plain', tmp_path).activation.__name__ == 'softmax'

def test_areas_of_animals(run, capsys):
    run('tools/make_sheet.py', '--areas', '--tiny')
    assert [l.split(':')[0].strip() for l in capsys.readouterr().out.splitlines()] == ["'bear'", "'cat'"]

def test_the_picture_of_explain(run, tmp_path):
    run('tools/make_explain_picture.py', '--out', tmp_path)
    assert Image.open(tmp_path/'explain.jpg').size[0] > 500

@pytest.mark.browser
def test_the_picture_of_the_explorer(tmp_path):
    "In a process of its own: the other browser tests hold this one's event loop."
    subprocess.run([sys.executable, 'tools/explorer_strip.py', '--out', tmp_path], cwd=ROOT, check=True)
    assert Image.open(tmp_path/'explorer.jpg').size[0] == 1200

def test_speed_of_drawing(run, capsys):
    run('benchmarks/scenes.py', '--tiny')
    run('benchmarks/metrics.py', '--tiny')
    said = capsys.readouterr().out
    assert all(word in said for word in ('scenes/s', 'colour histogram', 'thumbnail', 'size', 'own colours'))

def test_tables_of_the_metrics(run, tmp_path):
    for what, file in (('trial', 'metrics_trial.csv'), ('table', 'metrics_table.csv')):
        run('benchmarks/metrics.py', f'--{what}', 1, '--out', tmp_path)
        assert (tmp_path/file).read_text().startswith(f'# python -m benchmarks.metrics --{what} 1\n')

def test_a_notebook_from_a_script(run, tmp_path, capsys):
    script, page = tmp_path/'a.py', tmp_path/'a.ipynb'
    script.write_text('# %% [markdown]\n# # A title\n\n# %%\n6 * 7\n')
    run('tools/nb.py', 'build', script, page)
    run('tools/nb.py', 'run', page)
    cells = nbformat.read(page, 4).cells
    assert [c.cell_type for c in cells] == ['markdown', 'code'] and cells[1].outputs[0].data['text/plain'] == '42'
    run('tools/nb.py', 'shape', page)
    assert 'code:md 1:1' in capsys.readouterr().out

def test_exercises_are_put_into_a_script(run, tmp_path):
    script = tmp_path/'00_pets.py'
    parts = '# ## Exercises\n\n# %%\nwhat was here\n', '# ## Questionnaire\n\n# 1. Why?\n'
    script.write_text('\n'.join(f'# %% [markdown]\n{p}' for p in parts))
    run('tools/exercises.py', script)
    text = script.read_text(encoding='utf8')
    assert '@ex("0.1")' in text and 'what was here' not in text and text.endswith('# 1. Why?\n')
    run('tools/exercises.py', script)
    assert script.read_text(encoding='utf8') == text

def test_readme_has_no_link_into_the_notebooks_folder():
    text = readme.readme()
    assert text.startswith('# camtutor') and '](../' not in text and '#| hide' not in text

def test_what_is_not_in_step(tmp_path):
    for d, texts in dict(a=dict(same='1', other='1', gone='1'), b=dict(same='1', other='2', more='1')).items():
        (tmp_path/d/'x').mkdir(parents=True)
        for name, text in texts.items(): (tmp_path/d/'x'/f'{name}.py').write_text(text)
    assert in_step.differing(tmp_path/'a', tmp_path/'b', '*.py') == ['x/gone.py', 'x/more.py', 'x/other.py']

# ---- notebooks, and the package
def test_shape():
    output = dict(output_type='stream', name='stdout', text='1')
    cells = [new_markdown_cell('# T'), new_code_cell('#| export\na = 1\n\nb = 2'), new_code_cell('a', outputs=[output]),
             new_code_cell(' ')]
    said = 'code:md 2:1, code lines median 2 p90 1 max 2, 50% with output'
    assert nb.shape(new_notebook(cells=cells)) == said
    assert nb.shape(new_notebook(cells=cells[:1])) == 'no code cells'

def files_in(folder): return {p.relative_to(folder.parent).as_posix() for p in folder.rglob('*.*') if p.is_file()}

def test_the_source_distribution_makes_the_whole_wheel(tmp_path):
    skip = shutil.ignore_patterns('.*', '__pycache__', '*.egg-info', 'artefacts', 'build', 'dist', 'runs')
    copy = shutil.copytree(ROOT, tmp_path/'copy', ignore=skip)
    build = [sys.executable, '-m', 'build', '--no-isolation', '-o', tmp_path]
    subprocess.run(build, cwd=copy, check=True, capture_output=True)
    [sdist], [wheel] = tmp_path.glob('*.tar.gz'), tmp_path.glob('*.whl')   # the wheel is built from the source's
    with tarfile.open(sdist) as t: held = {n.partition('/')[2] for n in t.getnames()}
    for folder in ('tests', 'tools', 'nbs', 'docs', 'benchmarks'): assert files_in(copy/folder) <= held
    assert {'settings.ini', 'constraints.txt', 'Makefile', 'CONTRIBUTING.md'} <= held
    with zipfile.ZipFile(wheel) as z:
        packed = set(z.namelist())
        meta = next(z.read(n).decode() for n in packed if n.endswith('METADATA'))
    assert files_in(copy/'camtutor') <= packed
    assert 'License-Expression: Apache-2.0' in meta
