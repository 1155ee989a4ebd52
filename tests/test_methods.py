"One table of methods: whatever stands in it works everywhere, and nothing else knows a method by its name."
import ast
from pathlib import Path
import pytest, torch
from PIL import Image

from camtutor.cli import main
from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.explanation import explain, explain_all
from camtutor.gradcam import capture
from camtutor.methods import METHODS, Method, method_name
from camtutor.networks import load_pets
from camtutor.scenes import scene
from camtutor.ui.explorer import Explorer, drive

ROOT = Path(__file__).resolve().parent.parent

def by_place(A, g):
    "A made-up formula."
    return (A * g).sum(1).relu()

def darkness(model, x, layer, target):
    "A made-up method of pixels, which does not even ask the network."
    return -x

@pytest.fixture
def two_more(monkeypatch):
    "Two methods, each one function and one row."
    monkeypatch.setitem(METHODS, 'by_place', Method(by_place, 'map', 'Place by place', 2026, 'a test', 1, 'gradients'))
    monkeypatch.setitem(METHODS, 'darkness', Method(darkness, 'pixels', 'Darkness', 2026, 'a test', 1, 'layer'))

def test_a_made_up_method_is_one_function_and_one_row(two_more, tmp_path, capsys, monkeypatch):
    net, s = load_pets(), scene(3, 'cat')
    x = net.transform(s)[None]
    e = explain(net, s, 'by_place', target='cat', layer='0.6')
    check_tensor(e.raw, by_place(*capture(net, x, '0.6', 'cat')[1:]))
    assert str(e).endswith("Place by place at '0.6')") and explain(net, s, 'Place by place').layer == '0.7'
    dark = explain(net, s, 'darkness', layer='0.6')
    check_tensor(dark.raw, -x)
    check_tensor(dark.out, net(x).detach())
    assert [o.method for o in explain_all(net, [s, s], 'by_place', progress=False)] == ['by_place'] * 2

    ex = Explorer(net, [s])
    drive(ex, method='by_place', class_='cat', layer='0.6')
    check_tensor(ex.study.explanation(ex.view()).raw, e.raw)
    drive(ex, method='darkness')
    check_tensor(ex.study.explanation(ex.view()).map, x.abs().amax(1), rtol=1e-3)

    Image.fromarray(s.image).save(tmp_path/'cat.png')
    monkeypatch.chdir(tmp_path)
    for name in ('by_place', 'darkness'):
        assert main(['explain', 'cat.png', '--model', 'pets', '--method', name, '--target', 'cat']) == 0
        assert list((tmp_path/'explained').glob(f'cat-{name}*.jpg'))
    assert 'cat.png: cat' in capsys.readouterr().out

def test_nothing_else_knows_a_method_by_its_name():
    """A name in quotation marks stands in the table, as a default, and where a message suggests it; no code compares
    with one."""
    files = [p for p in (ROOT/'camtutor').rglob('*.py') if 'exercises' not in p.parts and p.name not in ('_modidx.py',
                                                                                                         'methods.py')]
    names = set(METHODS) - {'cam', 'deconvnet'}   # these two are also modules, and a rule for ReLUs
    for p in files:
        for n in ast.walk(ast.parse(p.read_text(encoding='utf8'))):
            compared = [c for c in ast.walk(n) if isinstance(c, ast.Constant)] if isinstance(n,
                                                                                             (ast.Compare,
                                                                                              ast.Dict)) else []
            assert not names & {c.value for c in compared if isinstance(c.value, str)}, (p.name, n.lineno)

def test_names_and_titles():
    assert method_name('grad_cam') == method_name('Grad-CAM') == 'grad_cam'
    with pytest.raises(CamError, match="no method 'gradcam'. Did you mean 'grad_cam'"): method_name('gradcam')
    with pytest.raises(CamError, match='no method 3'): method_name(3)

@pytest.mark.parametrize('method', [m for m, row in METHODS.items() if row.needs == 'network'])
def test_a_method_that_looks_at_no_layer_refuses_one(method):
    with pytest.raises(CamError, match='looks at no layer'): explain(load_pets(), scene(1), method, layer='0.6')

@pytest.mark.parametrize('method', [m for m in METHODS if m != 'le_grad']) # that needs a transformer: test_family.py
def test_every_row_does_what_it_says(method):
    net, s, row = load_pets(), scene(3, 'cat'), METHODS[method]
    runs = []
    handle = net.register_forward_hook(lambda m, args, out: runs.append(len(args[0])))
    explain(net, s, method, target='cat')   # the default layer is known now
    runs.clear()
    e = explain(net, s, method, target='cat')
    handle.remove()
    assert sum(runs) == row.passes if row.passes < 8 else .5 < sum(runs) / row.passes < 1.5
    assert row.kind in ('map', 'pixels') and e.map.shape == (1, 128, 128)
    assert e.raw.shape == ((1, *e.raw.shape[1:]) if row.kind == 'map' else (1, 3, 128, 128))
    assert row.kind == 'pixels' or e.raw.shape[1] == 8 or row.needs == 'network'
    assert (e.layer is None) == (row.needs == 'network')
    assert torch.equal(e.out, net(net.transform(s)[None]).detach()) and e.target.tolist() == [net.vocab.index('cat')]
