"A learner's workspace: nothing of the solutions in it, nothing of the learner's lost; it runs, solved and unsolved."
import ast, itertools, json, re, shlex, subprocess, sys
from pathlib import Path

import nbformat, pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from camtutor import cli, workspace
from camtutor.cli import main
from camtutor.errors import CamError
from camtutor.exercises import author, exercises, find
from camtutor.workspace import start, workspace_cells
from fewer import fewer

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT/'nbs').glob('[0-9][0-9]_*.ipynb'))

ids = (f'c{i}' for i in itertools.count())
def md(source): return dict(cell_type='markdown', id=next(ids), metadata={}, source=source)
def printed(text): return dict(output_type='stream', name='stdout', text=text)
def code(source, *outputs):
    return dict(cell_type='code', id=next(ids), metadata={}, source=source, outputs=list(map(printed, outputs)),
                execution_count=3)
def sources(cells): return [''.join(c['source']) for c in cells]
def squeezed(text): return re.sub(r'\s', '', text)

# What becomes of a cell

SMALL = [md('# Title'), md('Prose.'),
         code('#| export\n#| ex 9.1\ndef f(x, # in\n     ): # out\n    "Doc"\n    secret = x\n    return secret', '0'),
         code('#| solution 9.1\nsecret = 1'), code('#| hide\nf(2)', 'kept'), code('#| default_exp cam'),
         md('## Exercises'), md('**Exercise 9.1** Write f.'), code('@ex("9.1")\ndef f(x): ...'),
         md('**Exercise 9.2** More.'), code('@ex("9.2")\ndef g(x): ...')]

def test_cells():
    cells = workspace_cells(SMALL)
    assert sources(cells)[1].startswith('This is your own copy')
    stub = '@ex("9.1")\ndef f(x, # in\n     ): # out\n    "Doc"\n    ...'
    assert sources(cells)[2] == 'from camtutor.exercises import ex'
    assert sources(cells)[3:] == ['Prose.', '**Exercise 9.1** Write f.', stub, 'f(2)', '## Exercises',
                                  '**Exercise 9.2** More.', '@ex("9.2")\ndef g(x): ...']
    blanked = next(c for c in cells if ''.join(c['source']).startswith('@ex("9.1")'))
    assert blanked['outputs'] == [] and blanked['execution_count'] is None
    assert all(c.get('outputs', []) == [] for c in cells)

def test_a_chapter_without_exercises_stays_as_it_is():
    cells = [md('# T'), code('1 + 1', '2')]
    assert workspace_cells(cells) == [cells[0] | dict(source=['# T']),
                                      cells[1] | dict(source=['1 + 1'], outputs=[], execution_count=None)]

def test_what_must_not_run_by_itself_is_text():
    cells = workspace_cells([md('# T'), code('#| hide\n#| eval: false\nslow()'), code('#| export\nf()')])
    asleep = cells[1]
    assert asleep['cell_type'] == 'markdown' and ''.join(asleep['source']).endswith('\n```python\nslow()\n```')
    assert ''.join(cells[2]['source']) == 'f()' and 'outputs' not in asleep

def test_answers_and_imports_are_folded_away():
    cells = [md('# T'), code('p = predict("How many?", 2, 3)'), code('p.reveal(3, "Since.")'),
             code('#| export\nimport torch\nfrom torch import nn'), code('import torch\nx = 1'), code('%time f()')]
    hidden = [c['metadata'] == dict(jupyter=dict(source_hidden=True)) for c in workspace_cells(cells)]
    assert hidden == [False, False, True, True, False, False]

def test_links_that_lead_nowhere_are_words():
    text = ('![a picture](../docs/a.jpg)See [two](02_two.ipynb), [tools](tools/show.ipynb#top), '
            '[web](https://a.b/c.html), '
            '`net[0](x)` and [here](#below).')
    got, = sources(workspace_cells([md(text)], {'02_two.ipynb'}))
    assert got == 'See [two](02_two.ipynb), tools, [web](https://a.b/c.html), `net[0](x)` and [here](#below).'

@pytest.mark.parametrize('path', CHAPTERS, ids=lambda p: p.stem)
def test_a_copy_tells_nothing_before_it_is_run(path, tmp_path):
    there = {'index.ipynb', *(p.name for p in CHAPTERS)}
    cells = json.loads(workspace.workspace_text(path, there))['cells']
    assert not any(c.get('outputs') for c in cells)
    asked = [c for c in cells if '.reveal(' in ''.join(c['source'])]
    assert all(c['metadata'].get('jupyter', {}).get('source_hidden') for c in asked)
    texts = '\n'.join(''.join(c['source']) for c in cells if c['cell_type'] == 'markdown')
    assert [t for t in re.findall(r'\]\((?!\w+:|#)([^)#\s]+\.\w+)[^)]*\)', texts) if t not in there] == []
    assert 'eval: false' not in '\n'.join(sources(cells))

def test_the_source_is_not_changed():
    before = json.dumps(SMALL)
    workspace_cells(SMALL)
    assert json.dumps(SMALL) == before

def test_one_function_of_several():
    cell = code('#| ex 9.3 g\ndef f(x): return x\ndef g(x): return 2*x')
    assert sources(workspace_cells([md('# T'), cell]))[-1] == 'def f(x): return x\n@ex("9.3")\ndef g(x): ...'

def test_several_exercises_in_one_cell():
    cell = code('#| export\n#| ex 9.3 g\n#| ex 9.4 h\n'
                'def g(x): return 2*x\ndef k(x): return x\ndef h(x):\n    "Doc"\n    return 3*x')
    got = sources(workspace_cells([md('# T'), cell]))[-1]
    assert got == '@ex("9.3")\ndef g(x): ...\ndef k(x): return x\n@ex("9.4")\ndef h(x):\n    "Doc"\n    ...'

def test_private_helpers_go_with_the_body():
    cell = code('#| ex 9.3 g\n_HOW = {1: 2}\n@cache\ndef _help(x):\n    return x\n'
                'def f(x): return x\ndef g(x): return _help(x)')
    assert sources(workspace_cells([md('# T'), cell]))[-1] == 'def f(x): return x\n@ex("9.3")\ndef g(x): ...'

def test_directives_survive_cleaning_and_stay_out_of_the_package(tmp_path):
    from fastcore.nbio import dict2nb
    from nbdev.clean import clean_nb
    for path in CHAPTERS:
        nb = dict2nb(json.loads(path.read_text()))
        clean_nb(nb)
        theirs = [c.source for c in nb.cells if '#| ex ' in c.source or '#| solution ' in c.source]
        mine = [s for s in sources(json.loads(path.read_text())['cells']) if '#| ex ' in s or '#| solution ' in s]
        assert theirs == mine
    for module in (ROOT/'camtutor').glob('*.py'): assert not re.search(r'^#\|', module.read_text(encoding='utf8'), re.M)

# The chapters

@pytest.mark.parametrize('path', CHAPTERS, ids=lambda p: p.stem)
def test_chapter_and_exercises_are_in_step(path):
    "The section of exercises is the one that their module makes; every directive names an exercise of this chapter."
    cells = json.loads(path.read_text(encoding='utf8'))['cells']
    pairs = [(c['cell_type'], ''.join(c['source'])) for c in cells]
    first = pairs.index(('markdown', '## Exercises')) + 1
    made = author.section(path.name[:2])
    assert pairs[first:first + len(made)] == made, f'python tools/exercises.py writes the section of {path.name}'
    assert set(author.asked(path.name[:2])) <= set(pairs[first + len(made):])
    for c in cells:
        for name in ('ex', 'solution'):
            for id, _ in workspace.directives(dict(c, source=''.join(c['source'])), name):
                assert find(id).chapter == path.name[:2]

def test_warm_ups_come_before_what_they_lead_up_to():
    cells = workspace_cells(json.loads(CHAPTERS[1].read_text(encoding='utf8'))['cells'])
    asked = [id for c in cells if c['cell_type'] == 'code'
             for id in re.findall(r'^(?:@ex|ex\.answer|ex\.ask)\("([\d.]+)"', ''.join(c['source']), re.M)]
    assert asked[:5] == [f'1.{i}' for i in range(1, 6)]
    assert len(set(asked)) == len(asked) == sum(e.chapter == '01' for e in exercises().values())

def test_every_exercise_of_the_library_is_blanked_somewhere():
    "What a chapter exports and an exercise asks for is taken out of the learner's copy."
    texts = ['\n'.join(sources(json.loads(p.read_text(encoding='utf8'))['cells'])) for p in CHAPTERS]
    named = {i for text in texts for i in re.findall(r'^#\| ex ([\d.]+)', text, re.M)}
    assert {e.id for e in exercises().values() if e.library} == named

TAUGHT = { # lines that earlier steps of a ladder show, and that are not what the exercise asks for
    '1.2': ['def __init__(self, module): self.handle = module.register_forward_hook(self.see)',
            'def see(self, module, args, out): self.stored = out.detach().clone()'],
    '8.5': ['q = Question(model, x, target, of, **how)'], # every method of the lesson begins so
    '4.3': ['return func(*args, **(kwargs or {}))'], # the mode that only listens does it, too
    '3.5': ['model, keys, names, many = _asked(model, layers)'], # reads the arguments, as its neighbour does
}

@pytest.mark.parametrize('path', CHAPTERS, ids=lambda p: p.stem)
def test_nothing_of_the_solutions_is_left(path):
    "No line longer than a few words of what was taken out stands anywhere in the learner's copy."
    cells = json.loads(path.read_text(encoding='utf8'))['cells']
    out = '\n'.join(squeezed(''.join(c['source']) + json.dumps(c.get('outputs', ''))) for c in workspace_cells(cells))
    for c in cells:
        c = dict(c, source=''.join(c['source']))
        if here := workspace.directives(c, 'ex'):
            kept = {squeezed(l) for l in workspace.blanked_cell(c, here)['source'].splitlines()}
            lines = [l for l in c['source'].splitlines() if len(squeezed(l)) > 30 and not l.startswith('#|')]
            gone = [l for l in lines if squeezed(l) not in kept and l.strip() not in TAUGHT.get(here[0][0], [])]
            assert [l.strip() for l in gone if squeezed(l.split('  #')[0]) in out] == []

def run(path, folder, monkeypatch):
    "Run a notebook as a learner does; its progress goes to a file beside it."
    monkeypatch.setenv('CAMTUTOR_PROGRESS', str(folder/'progress.json'))
    nb = nbformat.read(path, 4)
    execute(nb, folder)
    return nb

def execute(nb, folder):
    where = dict(metadata=dict(path=str(folder)))
    return NotebookClient(nb, timeout=600, kernel_name='python3', resources=where).execute()

def solved(source):
    "A cell with the references, as a learner is shown them, in the place of its stubs."
    lines = source.splitlines()
    for d in reversed(ast.parse(source).body):
        at = workspace.first_line(d)
        if m := re.match(r'@ex\("([\d.]+)"\)', lines[at-1]): lines[at:d.end_lineno] = find(m[1]).solution.splitlines()
    return '\n'.join(lines)

LOOKED = "import os; assert not os.path.exists(os.environ['CAMTUTOR_PROGRESS'])"   # looking at a stub is no try

@pytest.mark.parametrize('stem', [p.stem for p in CHAPTERS])
def test_runs(stem, tmp_path, monkeypatch):
    """Unsolved to its end; then each reference is right in its turn, with no more than the chapter has. Fewer scenes
    will do, and figures that nobody sees: `nbdev-test` runs and draws the lesson in full."""
    start(tmp_path, ROOT/'nbs')
    monkeypatch.setenv('MPLBACKEND', 'agg')
    path = tmp_path/f'{stem}.ipynb'
    nb = nbformat.read(path, 4)
    for c in nb.cells:
        if c.cell_type == 'code': c.source = fewer(c.source)
    sources = [c.source for c in nb.cells if c.cell_type == 'code']
    asked = re.findall(r'^(?:@ex\(|ex\.answer\()"([\d.]+)"', '\n\n'.join(sources), re.M)
    nb.cells += [new_code_cell(s) for s in (LOOKED, *[solved(s) for s in sources if '@ex("' in s])]
    nbformat.write(nb, path)
    nb = run(path, tmp_path, monkeypatch)
    outputs = [o for c in nb.cells if c.cell_type == 'code' for o in c.outputs if 'data' in o]
    shown = '\n'.join(o.data.get('text/plain', '') for o in outputs)
    assert set(asked) == {e.id for e in exercises().values() if e.chapter == stem[:2] and e.kind != 'choice'}
    assert all(re.search(rf'○ (Exercise|Question) {i} ·', shown) for i in asked)
    functions = [e.id for e in exercises().values() if e.chapter == stem[:2] and e.kind == 'function']
    done = json.loads((tmp_path/'progress.json').read_text())['exercises'] if functions else {}
    assert {i: d['state'] for i, d in done.items()} == dict.fromkeys(functions, 'correct')

# Writing them where a learner works

@pytest.fixture
def course(tmp_path):
    "A small course and an empty place for a workspace."
    nbs = tmp_path/'nbs'
    nbs.mkdir()
    write(nbs/'index.ipynb', md('# Front'))
    write(nbs/'01_one.ipynb', *SMALL)
    write(nbs/'02_two.ipynb', md('# Two'), code('2'))
    return nbs, tmp_path/'mine'

def write(path, *cells):
    path.write_text(json.dumps(dict(cells=list(cells), metadata={}, nbformat=4, nbformat_minor=5)))

def said(done): return {name.split('.')[0]: what for what, name in done}

def test_start_and_again(course):
    nbs, mine = course
    assert set(said(start(mine, nbs)).values()) == {'new'}
    texts = {p.name: p.read_bytes() for p in mine.glob('*.ipynb')}
    assert set(said(start(mine, nbs)).values()) == {'as it was'}
    assert texts == {p.name: p.read_bytes() for p in mine.glob('*.ipynb')}
    for p in mine.glob('*.ipynb'): nbformat.validate(nbformat.read(p, 4))

def test_a_changed_file_is_never_touched(course):
    nbs, mine = course
    start(mine, nbs)
    theirs = '{"my own work": "even if it is no notebook'
    (mine/'01_one.ipynb').write_text(theirs)
    write(nbs/'01_one.ipynb', md('# One, newer')) # and the course moves on
    write(nbs/'02_two.ipynb', md('# Two, newer'))
    write(nbs/'03_three.ipynb', md('# Three'))
    for _ in range(2):
        done = said(start(mine, nbs))
        assert done['01_one'] == 'yours, left alone' and (mine/'01_one.ipynb').read_text() == theirs
    assert 'newer' in (mine/'02_two.ipynb').read_text() and (mine/'03_three.ipynb').exists()

def test_saved_outputs_count_as_the_learners(course):
    nbs, mine = course
    start(mine, nbs)
    nb = nbformat.read(mine/'02_two.ipynb', 4)
    nb.cells[1].outputs = [nbformat.v4.new_output('stream', text='2')]
    nbformat.write(nb, mine/'02_two.ipynb')
    assert said(start(mine, nbs))['02_two'] == 'yours, left alone'

def test_fresh_keeps_the_old(course):
    nbs, mine = course
    start(mine, nbs)
    (mine/'01_one.ipynb').write_text('first try')
    assert said(start(mine, nbs, '01'))['01_one'].startswith('new; yours is kept as 01_one-')
    (mine/'01_one.ipynb').write_text('second try')
    start(mine, nbs, '01_one.ipynb')
    kept = [p.read_text() for p in mine.glob('01_one-*.ipynb')]
    assert sorted(kept) == ['first try', 'second try']
    assert '@ex("9.1")' in (mine/'01_one.ipynb').read_text().replace('\\"', '"')

def test_a_file_that_was_there_before_is_the_learners(course):
    nbs, mine = course
    mine.mkdir()
    (mine/'02_two.ipynb').write_text('mine already')
    assert said(start(mine, nbs))['02_two'] == 'yours, left alone'
    assert (mine/'02_two.ipynb').read_text() == 'mine already'

def test_a_damaged_note_makes_everything_the_learners(course):
    nbs, mine = course
    start(mine, nbs)
    for text in ('{', '[]', '\x00'):
        (mine/workspace.NOTE).write_text(text)
        write(nbs/'02_two.ipynb', md(f'# Two {text!r}'))
        assert said(start(mine, nbs))['02_two'] == 'yours, left alone'

def test_an_interrupted_start_goes_on(course, monkeypatch):
    nbs, mine = course
    real = workspace.write_whole
    def breaks(file, text):
        if file.name == '02_two.ipynb': raise OSError(28, 'No space left on device')
        real(file, text)
    with monkeypatch.context() as m:
        m.setattr(workspace, "write_whole", breaks)
        with pytest.raises(CamError, match='No space left'): start(mine, nbs)
    assert not (mine/'02_two.ipynb').exists()
    assert said(start(mine, nbs)) == {'index': 'as it was', '01_one': 'as it was', '02_two': 'new'}

def test_places_where_it_cannot_be(course, tmp_path, capsys):
    nbs, mine = course
    (tmp_path/'file').write_text('')
    for place in (tmp_path/'file', nbs, nbs/'inside'):
        with pytest.raises(CamError): start(place, nbs)
    with pytest.raises(CamError, match='3 notebooks|0 notebooks'): start(mine, nbs, '9')
    with pytest.raises(CamError, match='2 notebooks'): start(mine, nbs, '0')
    assert main(['start', str(tmp_path/'file')]) == 1 and 'is a file' in capsys.readouterr().err

def test_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not main(['start']) and (tmp_path/'my-camtutor'/'01_hooks.ipynb').exists()
    assert '01_hooks.ipynb: new' in capsys.readouterr().out
    monkeypatch.setenv('CAMTUTOR_PROGRESS', str(tmp_path/'p.json'))
    assert not main(['progress']) and f'0 of {len(exercises())} exercises done' in capsys.readouterr().out

# The front page

def test_front_page_has_no_dead_link_and_its_command_works(tmp_path, monkeypatch):
    start(tmp_path, ROOT/'nbs')
    monkeypatch.setenv('CAMTUTOR_PROGRESS', str(tmp_path/'progress.json'))
    nb = nbformat.read(tmp_path/'index.ipynb', 4)
    text, cell = (c.source for c in nb.cells)
    assert '![' not in text and '<' not in text and len([l for l in text.splitlines() if l]) + 1 == 5
    links = re.findall(r'\]\(([^)]+)\)', text)
    assert links == [p.name for p in CHAPTERS] and all((tmp_path/link).is_file() for link in links)
    nb.cells += [nbformat.v4.new_code_cell(command) for command in re.findall(r'`([^`]+)`', text)]
    execute(nb, tmp_path)
    assert f'0 of {len(exercises())} exercises done' in json.dumps(nb.cells[1].outputs) and len(nb.cells) == 3
    said = ''.join(o.text for o in nb.cells[2].outputs)
    assert said.count('as it was') == len(CHAPTERS) + 1 and 'new' not in said

def test_a_started_workspace_opens_as_printed(tmp_path, monkeypatch):
    "Also where the command is not on the path, and the folder's name has a space."
    env = {k: v for k, v in cli.os.environ.items() if k != 'PATH'} | dict(PYTHONPATH=str(ROOT), PATH=str(tmp_path))
    command = [sys.executable, '-m', 'camtutor.cli']
    out = subprocess.check_output([*command, 'start', 'my course'], text=True, cwd=tmp_path, env=env)
    printed = shlex.split(out.strip().rpartition('Open it with: ')[2])
    assert printed == [*command, 'lab', 'my course']
    opened = []
    monkeypatch.setattr(cli.subprocess, 'call', lambda command, cwd: opened.append((command[3], cwd)))
    monkeypatch.chdir(tmp_path)
    main(printed[3:])
    assert opened == [('--LabApp.default_url=/lab/tree/index.ipynb', tmp_path/'my course')]
