"The house: the import graph and its order, private names, widths, branches; and that each rule can be broken."
import json, subprocess, sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'tools'))
import house

# ---- The package as it is

def test_the_import_graph_is_drawn():
    "Lazy imports are in it, too."
    edges = house.graph()
    assert len(edges) > 20 and 'camtutor.errors' in edges['camtutor.show']
    assert 'camtutor.workspace' in edges['camtutor.cli'] and not edges.get('camtutor.errors')

@pytest.mark.parametrize('rule', house.RULES, ids=lambda rule: rule.__name__)
def test_rule_is_kept(rule): assert rule() == []

def test_lessons_are_those_of_the_course():
    assert house.lessons()[:4] == [f'camtutor.{m}' for m in ('pets', 'hooks', 'cam', 'gradcam')]
    assert house.rank('camtutor.hooks') < house.rank('camtutor.engine.forward') < house.rank('camtutor.cam')

def says(code): return subprocess.check_output([sys.executable, '-c', code], text=True, cwd=ROOT).strip()

def test_explain_imports_neither_fastai_nor_widgets():
    "Nor what else only the course needs."
    course = 'fastai', 'ipywidgets', 'anywidget', 'pandas', 'filelock', 'psutil'
    assert says('import sys\nfrom camtutor import CamError, METHODS, explain, explain_all, load_pets, overlay, scene\n'
                f'print([m for m in {course} if m in sys.modules])') == '[]'

def test_import_camtutor_alone_is_light():
    assert says("import camtutor, sys; print('torch' in sys.modules)") == 'False'

# ---- A made-up house that breaks the rules

@pytest.fixture
def build(tmp_path, monkeypatch):
    "A function that writes the files of a made-up house, which the rules then read."
    def forget():
        for kept in (house.sources, house.graph, house.lessons): kept.cache_clear()
    def write(**files): # module -> text; a package's module with __ for the dot
        for name, text in ({'__init__': ''} | files).items():
            path = tmp_path/'camtutor'/f'{name.replace("__", "/") if name != "__init__" else name}.py'
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(text)
        forget()
    monkeypatch.setattr(house, 'ROOT', tmp_path)
    (tmp_path/'nbs').mkdir()
    (tmp_path/'setup.py').write_text('')
    yield write
    forget()

CYCLES = {
    'plain': ('from camtutor.b import y', 'from camtutor.a import x'),
    'relative': ('from .b import y', 'from . import a'),
    'in a function': ('from .b import y', 'def f():\n    import camtutor.a'),
    'in __getattr__': ('import camtutor.b', 'def __getattr__(name):\n    from camtutor import a\n    return a'),
    'by name': ('from .b import y', "from importlib import import_module\nimport_module('camtutor.a')"),
    'by a relative name': ('from .b import y', "import importlib\nimportlib.import_module('.a', __package__)"),
    'by a name put together': ('from .b import y', "__import__(f'camtutor.a{n}')"),
}

@pytest.mark.parametrize('a, b', CYCLES.values(), ids=CYCLES)
def test_a_cycle_is_found(build, a, b):
    build(a=a, b=b)
    assert house.round_trips() == ['camtutor.a: import cycle camtutor.a -> camtutor.b -> camtutor.a']

def test_a_cycle_of_three_is_found_once(build):
    build(a='from . import b', b='from . import c', c='from . import a', d='from . import a')
    assert house.round_trips() == ['camtutor.a: import cycle camtutor.a -> camtutor.b -> camtutor.c -> camtutor.a']

def test_no_cycle_is_found_where_none_is(build):
    build(a='from . import b, c', b='from . import c', c='import os')
    assert house.round_trips() == [] and set(house.graph()['camtutor.a']) == {'camtutor.b', 'camtutor.c'}

def test_a_package_is_entered_through_its_init(build, tmp_path):
    (tmp_path/'camtutor'/'engine').mkdir(parents=True)
    (tmp_path/'camtutor'/'engine'/'__init__.py').write_text('from .inner import x')
    build(engine__inner='from . import helper', engine__helper='', cam='from camtutor.engine.inner import x')
    assert set(house.graph()['camtutor.cam']) == {'camtutor.engine', 'camtutor.engine.inner'}
    assert house.round_trips() == []
    build(engine__helper='from camtutor import cam')
    assert len(house.round_trips()) == 1

def notebook(path, *cells):
    cells = [dict(cell_type='code', source=c, metadata={}, outputs=[], execution_count=None) for c in cells]
    path.write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)))

def test_order(build, tmp_path):
    notebook(tmp_path/'nbs'/'02_cam.ipynb', '#| default_exp cam')
    notebook(tmp_path/'nbs'/'03_gradcam.ipynb', '#| default_exp gradcam')
    build(errors='', show='from .cam import x', cam='from .gradcam import y\nfrom .errors import z',
          gradcam='from . import show\nfrom .cam import x', methods='from . import cam', attic='')
    assert sorted(house.upwards()) == ['camtutor.cam:1: imports camtutor.gradcam, which stands above it',
                                       'camtutor.show:1: imports camtutor.cam, which stands above it']
    assert house.unplaced() == ['camtutor.attic: has no place in ORDER of tools/house.py']

def test_the_front_door_is_for_guests(build):
    build(__init__='__version__ = "1"', a='from camtutor import b, explain, __version__', b='')
    assert house.by_the_front_door() == ['camtutor.a:1: imports explain from camtutor; name its module']

BORROWED = {
    'by from': 'from camtutor.a import _x',
    'through the module': 'from camtutor import a\na._x()',
    'through another name': 'import camtutor.a as other\nprint(other._x)',
    'as a text': "from camtutor import a\nmonkeypatch.setattr(a, '_x', 1)",
    'as a path': "monkeypatch.setattr('camtutor.a._x', 1)",
}

@pytest.mark.parametrize('text', BORROWED.values(), ids=BORROWED)
def test_a_borrowed_private_name_is_found(build, tmp_path, text):
    build(a='_x = 1', b=text)
    [said] = house.borrowed()
    assert said.startswith('camtutor.b:') and '_x' in said
    (tmp_path/'camtutor'/'b.py').unlink()
    build()
    notebook(tmp_path/'nbs'/'01_b.ipynb', '%matplotlib inline', text)
    assert house.borrowed()[0].startswith('nbs/01_b.ipynb:')

def test_own_and_foreign_private_names_are_nobodys_business(build):
    build(a='_x = 1\nfrom torch import _C\n_C._y\nself._z\ngetattr(self, "_w")\nfrom . import __version__')
    assert house.borrowed() == []

def for_ruff(root):
    "The rules for widths and branches, and the folders that are read."
    (root/'pyproject.toml').write_text((ROOT/'pyproject.toml').read_text())
    for folder in ('tests', 'tools', 'benchmarks'): (root/folder).mkdir()

def test_wide_lines_and_many_branches_are_found(build, tmp_path):
    for_ruff(tmp_path)
    def wide(n): return "x = 'a b" + 'c' * (n - 9) + "'"
    def branches(n): return 'def f(x):\n' + ''.join(f'    if x == {i}: return {i}\n' for i in range(n - 1))
    build(a=wide(121), b=branches(11), c=wide(120), d=branches(10), e=f'{wide(121)}  # noqa: E501')
    notebook(tmp_path/'nbs'/'01_b.ipynb', wide(121))
    found = house.wide_or_tangled()
    assert [f.split(':')[0] for f in found] == ['camtutor/a.py', 'camtutor/b.py', 'camtutor/e.py', 'nbs/01_b.ipynb']
    assert ['C901' in f for f in found] == [False, True, False, False]

def test_the_line_that_nbdev_writes_is_its_own(build, tmp_path):
    for_ruff(tmp_path)
    names = f"__all__ = ['{'a' * 80}', '{'b' * 30}']\n"
    build(a=f'# %% auto #0\n{names}', b=names, c=f'# %% auto #0\nx = {names}')
    assert [f.split(':')[0] for f in house.wide_or_tangled()] == ['camtutor/b.py', 'camtutor/c.py']
