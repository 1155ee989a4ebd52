"The `camtutor` command: photos from the shell, the page, the course; every failure named, none with a traceback."
import argparse, json, os, re, socket, pickle, subprocess, sys
from pathlib import Path
import pytest, torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import get_model, get_model_weights, squeezenet1_1
from camtutor import cli
from camtutor.explanation import explain
from camtutor.images import photo
from camtutor.networks import load_pets, picture_transform
from camtutor.networks.transform import attach
from camtutor.strip import strip_file
from camtutor.scenes import scene
from camtutor.networks.by_name import OURS, build, load_network, read_state
from camtutor.errors import CamError

@pytest.fixture
def photos(tmp_path):
    "Two pictures in a folder, one more below it with a name used before, and a file that is none."
    (tmp_path/'photos'/'more').mkdir(parents=True)
    for name, s in (('cat.png', scene(3, 'cat')), ('dog.jpg', scene(4, 'dog')), ('more/cat.jpg', scene(5, 'cat'))):
        Image.fromarray(s.image).save(tmp_path/'photos'/name)
    (tmp_path/'photos'/'notes.txt').write_text('no picture')
    return tmp_path/'photos'

def run(capsys, *args):
    "Exit status, stdout and stderr of one call."
    if args[0] == 'explain' and '--model' not in args: args += '--model', 'pets'
    status = cli.main([str(a) for a in args])
    return status, *capsys.readouterr()

def test_a_folder_of_photos(photos, tmp_path, capsys):
    out = tmp_path/'new'/'maps'
    status, said, err = run(capsys, 'explain', photos, '--out', out, '--target', 'cat', '--layer', '0.6')
    assert status == 0 and said.count('\n') == 3
    assert err.startswith('This network knows drawn animals only') and err.count('\n') == 1
    names = [f'{name}-grad_cam-0.6-cat.jpg' for name in ('cat', 'dog', 'more/cat')]   # its folders are kept apart
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob('*.jpg')) == names
    e = explain(load_pets(), photos/'dog.jpg', layer='0.6', target='cat')
    assert f'dog.jpg: {e.label[0]} -> ' in said
    assert (out/'dog-grad_cam-0.6-cat.jpg').read_bytes() == strip_file(e)

def test_two_photos_of_one_name(photos, tmp_path, capsys):
    out = tmp_path/'out'
    assert run(capsys, 'explain', photos/'cat.png', photos/'more'/'cat.jpg', '--out', out)[0] == 0
    assert sorted(p.name for p in out.iterdir()) == ['cat-grad_cam-2.jpg', 'cat-grad_cam.jpg']

def test_the_overlay_alone(photos, tmp_path, capsys):
    out = tmp_path/'out'
    assert run(capsys, 'explain', photos/'dog.jpg', '--out', out, '--overlay')[0] == 0
    with Image.open(out/'dog-grad_cam-overlay.jpg') as im: assert im.size == Image.open(photos/'dog.jpg').size

def test_many_photos_go_through_a_quick_copy(photos, tmp_path, capsys, monkeypatch):
    from camtutor import many
    asked, quick = [], many.quick_copy
    monkeypatch.setattr(many, 'quick_copy', lambda *a, **k: asked.append(a) or quick(*a, **k))
    for bs in ('2', '1'):
        assert run(capsys, 'explain', photos, '--out', tmp_path/bs, '--bs', bs)[0] == 0
        assert len(asked) == (bs == '1') and len(list((tmp_path/bs).rglob('*.jpg'))) == 3

def test_a_photograph_without_a_word_about_the_network(tmp_path, capsys):
    photo('coffee').save(tmp_path/'cup.png')
    assert cli.main(['explain', str(tmp_path/'cup.png'), '--out', str(tmp_path/'out')]) == 0
    assert 'cup.png: espresso 95' in capsys.readouterr().out

def test_another_target_or_layer_has_files_of_its_own(photos, tmp_path, capsys):
    for more in ([], ['--target', 'cat'], ['--target', 'dog'], ['--target', 'dog', '--layer', '0.5']):
        assert run(capsys, 'explain', photos/'cat.png', '--out', tmp_path/'out', *more)[0] == 0
    names = {f'cat-grad_cam{s}.jpg' for s in ('', '-cat', '-dog', '-0.5-dog')}
    assert {p.name for p in (tmp_path/'out').iterdir()} == names

def test_names_are_made_safe(photos, tmp_path, capsys, monkeypatch):
    net = load_pets()
    net.vocab = ['a/b: ..\\c?', *net.vocab[1:]]
    monkeypatch.setitem(OURS, 'pets', lambda: net)
    assert run(capsys, 'explain', photos/'cat.png', '--out', tmp_path/'out', '--target', net.vocab[0])[0] == 0
    assert [p.name for p in (tmp_path/'out').iterdir()] == ['cat-grad_cam-a_b_.._c_.jpg']

def test_failures_are_named_and_the_rest_is_done(photos, tmp_path, capsys):
    (photos/'bad.jpg').write_bytes(b'not a picture')
    (photos/'empty.png').write_bytes(b'')
    status, said, err = run(capsys, 'explain', photos, photos/'gone.jpg', '--out', tmp_path/'out')
    assert status == 1 and '3 of 6 failed' in err
    for name in ('bad.jpg', 'empty.png', 'gone.jpg'): assert name in err
    assert len(list((tmp_path/'out').rglob('*.jpg'))) == 3 and 'cat.png: cat' in said

@pytest.mark.parametrize('args, why', [
    (['--method', 'gradcam'], "'grad_cam'"),
    (['--layer', '0.66'], "'0.6'"),
    (['--target', 'cta'], "'cat'"),
    (['--target', '99'], 'out of range'),
    (['--target', '²'], "no class '²'"),
    (['--model', 'resnet5o'], "'resnet50'"),
    (['--model', 'resnet18'], '--weights'),
    (['--weights', 'gone.safetensors'], 'no file'),
])
def test_wrong_arguments_end_it_before_any_work(photos, tmp_path, capsys, args, why):
    status, said, err = run(capsys, 'explain', photos, '--out', tmp_path/'out', *args)
    assert status == 1 and why in err and 'Traceback' not in err and not (tmp_path/'out').exists()
    assert err.startswith('camtutor explain: ')

def test_where_all_fails_no_folder_is_made(tmp_path, capsys):
    status, said, err = run(capsys, 'explain', tmp_path/'gone.jpg', '--out', tmp_path/'out')
    assert status == 1 and '1 of 1 failed' in err and not said and not (tmp_path/'out').exists()

def test_maps_of_an_earlier_run_are_no_photos(photos, capsys, monkeypatch):
    monkeypatch.chdir(photos)
    for _ in range(2):
        status, said, _ = run(capsys, 'explain', '.')
        assert status == 0 and said.count('\n') == 3 and len(list((photos/'explained').rglob('*.jpg'))) == 3
    status, said, _ = run(capsys, 'explain', 'explained', '--out', 'again')   # asked for by name
    assert status == 0 and said.count('\n') == 3
    status, said, _ = run(capsys, 'explain', 'more', '--out', '.')            # the photos lie below their maps
    assert status == 0 and said.count('\n') == 1
    for f in ('cat.png', 'dog.jpg', 'more/cat.jpg', 'cat-grad_cam.jpg'): (photos/f).unlink()
    status, _, err = run(capsys, 'explain', '.', '--out', 'again')
    assert status == 0
    for f in (photos/'explained').rglob('*.jpg'): f.unlink()
    status, _, err = run(capsys, 'explain', '.', '--out', 'again')
    assert status == 1 and "'.' holds no picture but the maps in 'again'" in err

def test_an_interrupted_folder_names_what_is_saved(photos, tmp_path, capsys, monkeypatch):
    from camtutor import strip
    draw, drawn = strip.strip_file, []
    def second(e):
        drawn.append(e)
        if len(drawn) > 1: raise KeyboardInterrupt
        return draw(e)
    monkeypatch.setattr(strip, 'strip_file', second)
    status, said, err = run(capsys, 'explain', photos, '--out', tmp_path/'out')
    saved, = (tmp_path/'out').rglob('*.jpg')
    assert status == 130 and said.count('\n') == 1 and said.strip().endswith(str(saved))
    assert err.endswith('camtutor explain: interrupted.\n') and 'Traceback' not in err

def test_a_stopped_folder_goes_on(photos, tmp_path, capsys):
    out = tmp_path/'out'
    assert run(capsys, 'explain', photos, '--out', out)[0] == 0
    made = sorted(out.rglob('*.jpg'))
    kept = [f.stat().st_mtime_ns for f in made[1:]]
    made[0].unlink()
    status, said, err = run(capsys, 'explain', photos, '--out', out, '--go-on')
    assert status == 0 and said.count('\n') == 1 and said.strip().endswith(str(made[0])) and '2 of 3 are there' in err
    assert sorted(out.rglob('*.jpg')) == made and [f.stat().st_mtime_ns for f in made[1:]] == kept
    assert run(capsys, 'explain', photos, '--out', out, '--go-on')[:2] == (0, '')

def test_out_that_is_a_file(photos, capsys):
    status, _, err = run(capsys, 'explain', photos, '--out', photos/'dog.jpg')
    assert status == 1 and 'there can be no folder' in err

def test_app_where_nothing_can_be_served(capsys):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        for args in (('--port', port), ('--port', 99999), ('--host', '203.0.113.1'), ('--host', '256.1.1.1')):
            status, said, err = run(capsys, 'app', *args)
            assert status == 1 and 'nothing can be served at' in err and not said
            assert f'with {args[0]}, such as' in err

def test_an_empty_folder(tmp_path, capsys):
    status, _, err = run(capsys, 'explain', tmp_path)
    assert status == 1 and 'holds no picture' in err

@pytest.fixture(scope='module')
def small(tmp_path_factory):
    "A torchvision network of five classes with its weights in every form that may be met."
    folder = tmp_path_factory.mktemp('weights')
    torch.manual_seed(0)
    net = squeezenet1_1(num_classes=5).eval()
    state = net.state_dict()
    for name in ('net.safetensors', 'net.SAFETENSORS'): save_file(state, folder/name)
    save_file({f'module.{k}': v for k, v in state.items()}, folder/'wrapped.safetensors')
    torch.save(state, folder/'net.pt')
    torch.save(dict(state_dict={f'module.{k}': v for k, v in state.items()}, epoch=3), folder/'wrapped.pth')
    torch.save(net, folder/'whole.pt')
    (folder/'damaged.safetensors').write_bytes((folder/'net.safetensors').read_bytes()[:99])
    return folder, net

@pytest.mark.parametrize('name', ['net.safetensors', 'net.SAFETENSORS', 'wrapped.safetensors', 'net.pt', 'wrapped.pth'])
def test_weights_from_a_file(small, name):
    folder, net = small
    got = load_network('squeezenet1_1', folder/name)
    x = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(got(x), net(x))
    assert got.vocab is None and not got.training and got.transform(Image.new('RGB', (300, 200))).shape == (3, 224, 224)

@pytest.mark.parametrize('name', ['googlenet', 'inception_v3'])
def test_published_weights_in_a_file_make_torchvisions_network(tmp_path, name):
    "With the heads that help to train, as in its files, and without them, as it saves a network that it has filled."
    torch.manual_seed(0)
    theirs = get_model(name, weights=None, init_weights=False, transform_input=True).eval()
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        torch.save(theirs.state_dict(), tmp_path/'with.pth')
        for head in ('aux1', 'aux2', 'AuxLogits'): setattr(theirs, head, None)
        torch.save(theirs.state_dict(), tmp_path/'without.pth')
        for file in ('with.pth', 'without.pth'):
            got = load_network(name, tmp_path/file)
            torch.testing.assert_close(got(x), theirs(x))
            assert got.vocab[1] == 'goldfish'
        few = get_model(name, weights=None, init_weights=False, num_classes=5).eval()
        torch.save(few.state_dict(), tmp_path/'few.pth')
        torch.testing.assert_close(load_network(name, tmp_path/'few.pth')(x), few(x))

def test_densenet_file_with_torchvisions_old_names(tmp_path):
    net, x = get_model('densenet121', weights=None).eval(), torch.randn(1, 3, 64, 64)
    old = {re.sub(r'(denselayer\d+\.\w+)([12]\.)', r'\1.\2', k): v for k, v in net.state_dict().items()}
    assert 'features.denseblock1.denselayer1.norm.1.weight' in old
    torch.save(old, tmp_path/'old.pth')
    with torch.no_grad(): torch.testing.assert_close(load_network('densenet121', tmp_path/'old.pth')(x), net(x))

def test_a_vision_transformer_has_the_picture_size_of_its_published_weights():
    official = get_model_weights('vit_h_14').DEFAULT
    with torch.device('meta'): size = build('vit_h_14', 1000, official).image_size
    assert size == official.transforms().crop_size[0] == 518

def test_explain_with_a_torchvision_network(small, photos, tmp_path, capsys):
    net = '--model', 'squeezenet1_1', '--weights', small[0]/'net.pt'
    status, said, _ = run(capsys, 'explain', photos/'cat.png', *net, '--target', 3, '--out', tmp_path)
    assert status == 0 and 'class 3' in said and (tmp_path/'cat-grad_cam-3.jpg').exists()

def test_names_size_and_colours_of_ones_own_network(small, photos, tmp_path, capsys):
    names = ['ant', 'bee', 'cow', 'doe', 'elk']
    (tmp_path/'names.txt').write_text('\n'.join(names) + '\n')
    (tmp_path/'names.json').write_text(json.dumps(names))
    net = '--model', 'squeezenet1_1', '--weights', small[0]/'net.pt', '--size', 96, '--mean', '.5,.4,.3', '--std', '.2'
    for file in ('names.txt', 'names.json'):
        more = '--vocab', tmp_path/file, '--target', 'cow', '--out', tmp_path/'out'
        status, said, _ = run(capsys, 'explain', photos/'cat.png', *net, *more)
        assert status == 0 and 'cat.png: cow ' in said
    own = attach(load_network('squeezenet1_1', small[0]/'net.pt'), vocab=names,
                 transform=picture_transform(96, (.5, .4, .3), (.2, .2, .2)))
    assert f"cat.png: {explain(own, photos/'cat.png', target='cow').label[0]} ->" in said
    (tmp_path/'few.txt').write_text('ant\nbee')
    for more, why in ((('--vocab', tmp_path/'few.txt'), '2 class names, but the network has 5'),
                      (('--vocab', tmp_path/'no.txt'), 'cannot be read'), (('--mean', '1,2'), 'not three numbers')):
        status, _, err = run(capsys, 'explain', photos/'cat.png', *net, *more, '--out', tmp_path/'none')
        assert status == 1 and why in err and not (tmp_path/'none').exists()

def test_a_network_of_timm(photos, tmp_path, capsys):
    import timm
    torch.manual_seed(0)
    torch.save(timm.create_model('test_resnet', num_classes=4).state_dict(), tmp_path/'net.pt')
    status, said, err = run(capsys, 'explain', photos/'cat.png', '--model', 'timm:test_resnet', '--weights',
                            tmp_path/'net.pt', '--size', 64, '--out', tmp_path/'out')
    assert status == 0 and 'cat.png: class ' in said, err

def test_the_page_of_ones_own_network_and_photos(monkeypatch, photos, capsys):
    from voila.app import Voila
    monkeypatch.setattr(Voila, 'launch_instance', lambda command: None)
    monkeypatch.setenv('JUPYTER_PATH', '')
    monkeypatch.setenv(cli.TOLD, '')
    assert not cli.main(['app', str(photos/'cat.png'), '--port', '9124', '--model', 'pets', '--size', '64'])
    ex = cli.explorer()
    assert ex.study.subject.title == 'cat.png' and ex.study.subject.x.shape == (1, 3, 64, 64)
    assert not cli.main(['app', '--port', '9124']) and cli.explorer().study.code == 'load_pets()'
    status, _, err = run(capsys, 'app', '--port', '9124', '--model', 'resnet5o')
    assert status == 1 and "'resnet50'" in err

class Trap:
    "What it would do when unpickled must never happen."
    def __reduce__(self): return print, ('the pickle ran',)

@pytest.mark.parametrize('command, more', [
    ('explain', ()), ('evaluate', ('--methods', 'edges', '--metrics', 'average_drop')), ('doctor', ()),
    ('mistakes', ())])
def test_the_device_is_chosen(command, more, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in 'cat', 'dog':
        (photos/name).mkdir()
        (photos/f'{name}.{"png" if name == "cat" else "jpg"}').rename(photos/name/'1.png')
    what = [photos] if command == 'mistakes' else sorted(photos.glob('*/1.png'))
    went, to = [], torch.nn.Module.to
    monkeypatch.setattr(torch.nn.Module, 'to', lambda net, *device: went.append(device) or to(net, 'cpu'))
    for option, device in ((), torch.device('cpu')), (('--device', 'cuda:1'), 'cuda:1'):
        run(capsys, command, *what, '--model', 'pets', *option, *more)
        assert (device,) in went and not went.clear()

def test_a_device_that_is_not_there(photos, capsys):
    for name in 'gpu', 'cuda:99':
        status, said, err = run(capsys, 'explain', photos/'cat.png', '--device', name)
        assert status == 1 and not said
        assert err.startswith(f'camtutor explain: the device {name} cannot be used (')
        assert 'with --device, such as cpu' in err

def test_files_of_the_page_are_found_from_its_own_folder(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos)
    torch.save(get_model('resnet18').state_dict(), 'own.pt')
    Path('names.txt').write_text('\n'.join(map(str, range(1000))))
    told = cli.explored(argparse.Namespace(photos=['cat.png'], model='resnet18', weights='own.pt', vocab='names.txt',
                                           size=64, mean=None, std=None, device='cpu'))
    monkeypatch.chdir(tmp_path)
    assert load_network('resnet18', told['weights']) and cli.names_in(told['vocab'])[-1] == '999'
    assert Path(told['photos'][0]).is_file() and told['size'] == 64

def test_a_pickle_is_never_run(small, tmp_path, capsys):
    (tmp_path/'trap.pt').write_bytes(pickle.dumps(Trap()))
    torch.save(dict(a=Trap()), tmp_path/'trap2.pt')
    for path in (tmp_path/'trap.pt', tmp_path/'trap2.pt', small[0]/'whole.pt', small[0]/'damaged.safetensors'):
        with pytest.raises(CamError, match='more than tensors, or is damaged'): read_state(path)
    assert 'the pickle ran' not in capsys.readouterr().out

def test_weights_that_do_not_fit(small):
    with pytest.raises(CamError, match='do not fit a resnet18'): load_network('resnet18', small[0]/'net.pt')
    with pytest.raises(CamError, match='do not fit a pets network'): load_network('pets', small[0]/'net.pt')
    torch.save([1, 2], small[0]/'list.pt')
    torch.save({1: torch.ones(2)}, small[0]/'numbered.pt')
    for name in ('list.pt', 'numbered.pt'):
        with pytest.raises(CamError, match='no state dict'): read_state(small[0]/name)
    save_file({**small[1].state_dict(), 'classifier.1.bias': torch.tensor(1.)}, small[0]/'flat.safetensors')
    with pytest.raises(CamError, match=r"'classifier.1.bias' should have shape"):
        load_network('squeezenet1_1', small[0]/'flat.safetensors')

def test_default_weights_without_a_network(monkeypatch):
    from torchvision.models import _api
    def offline(*a, **k): raise OSError('no route')
    monkeypatch.setattr(_api, 'load_state_dict_from_url', offline)
    with pytest.raises(CamError, match='cannot be downloaded.*no route.*--weights FILE'):
        load_network('squeezenet1_1', 'DEFAULT')

def test_app_stays_on_this_computer(monkeypatch, capsys):
    from voila.app import Voila
    calls = []
    monkeypatch.setattr(Voila, 'launch_instance', calls.append)
    monkeypatch.setenv('JUPYTER_PATH', '')
    assert not cli.main(['app', '--port', '9123', '--no-browser'])
    command = calls[0]
    assert {'--Voila.ip=127.0.0.1', '--Voila.port=9123', '--Voila.open_browser=False',
            '--VoilaConfiguration.strip_sources=True', '--VoilaConfiguration.file_allowlist=no file^'} <= set(command)
    assert command[0].endswith('data/explorer.ipynb')
    refuses = "--Voila.tornado_settings={'allow_remote_access': False}" # requests under another name
    assert 'http://127.0.0.1:9123' in capsys.readouterr().out and refuses in command
    for host, alone in (('localhost', True), ('0.0.0.0', False)):
        assert not cli.main(['app', '--host', host, '--port', '9123', '--no-browser'])
        assert (refuses in calls[-1]) == alone and f'--Voila.ip={host}' in calls[-1]

@pytest.fixture
def opened(monkeypatch):
    "What `camtutor lab` opens instead of JupyterLab: (address, folder that is served), one a call."
    calls = []
    monkeypatch.setattr(cli.subprocess, 'call', lambda command, cwd: calls.append((command[3], cwd)))
    return calls

@pytest.mark.parametrize('chapter, name', [
    (None, 'index.ipynb'),
    ('02', '02_cam.ipynb'),
    ('tools/show', 'tools/show.ipynb'),
])
def test_lab_opens_a_notebook_that_is_there(opened, chapter, name):
    cli.main(['lab', chapter] if chapter else ['lab'])
    [(address, root)] = opened
    page = root/'nbs'/name
    assert address == f'--LabApp.default_url=/lab/tree/nbs/{name}' and page.is_file()
    shown = re.findall(r'!\[[^]]*\]\(([^)#:]+)\)', page.read_text()) # what lies outside is not shown
    assert all((page.parent/p).is_file() and (page.parent/p).resolve().is_relative_to(root) for p in shown)
    assert shown or name != 'index.ipynb'

@pytest.mark.parametrize('what, page', [
    ('my course', 'index.ipynb'),
    ('my course/02_cam.ipynb', '02_cam.ipynb'),
    ('my course/sub/a b.ipynb', 'a%20b.ipynb'),
    ('my course/sub', ''),
])
def test_lab_opens_a_workspace(opened, tmp_path, monkeypatch, what, page):
    (tmp_path/'my course'/'sub').mkdir(parents=True)
    for name in ('index', '02_cam', 'sub/a b'): (tmp_path/'my course'/f'{name}.ipynb').write_text('{}')
    monkeypatch.chdir(tmp_path)
    cli.main(['lab', what])
    folder = (tmp_path/what).parent if page and what.endswith('.ipynb') else tmp_path/what
    assert opened == [(f'--LabApp.default_url=/lab/tree/{page}', folder)]

def test_lab_opens_a_workspace_where_there_is_no_course(opened, tmp_path, monkeypatch, capsys):
    def gone(): raise CamError('the notebooks are not beside the package.')
    monkeypatch.setattr(cli, 'course_dir', gone)
    (tmp_path/'index.ipynb').write_text('{}')
    assert not cli.main(['lab', str(tmp_path)]) and len(opened) == 1
    status, _, err = run(capsys, 'lab', '02')
    assert status == 1 and err == 'camtutor lab: the notebooks are not beside the package.\n'

def test_lab_in_a_workspace_takes_its_own_notebook(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path/'02_cam.ipynb').write_text('{}')
    for what in ('02_cam.ipynb', '02'): cli.main(['lab', what])
    assert [root for _, root in opened] == [tmp_path, cli.course_dir().parent]

@pytest.mark.parametrize('chapter', ['/etc', '99', '*', '../tests', '[0-'])
def test_lab_without_such_a_chapter(capsys, chapter):
    "A folder without notebooks is none to open."
    status, said, err = run(capsys, 'lab', chapter)
    assert status == 1 and 'no chapter' in err and '02_cam' in err

def test_every_command_has_help(capsys):
    for name in cli.COMMANDS:
        with pytest.raises(SystemExit) as end: cli.main([name, '--help'])
        assert end.value.code == 0 and f'usage: camtutor {name}' in capsys.readouterr().out

def test_one_photo_needs_neither_fastai_nor_widgets(photos, tmp_path):
    code = (f"import sys; from camtutor.cli import main; main(['explain', {str(photos/'cat.png')!r}, '--out', "
            f"{str(tmp_path/'out')!r}]); print({{'fastai', 'ipywidgets', 'IPython', 'pandas'}} & set(sys.modules))")
    assert subprocess.check_output([sys.executable, '-c', code], text=True).splitlines()[-1] == 'set()'

def test_the_course_travels_in_the_wheel(tmp_path):
    "Built as for a wheel, and used from a folder that is no clone."
    root, lib = Path(__file__).resolve().parent.parent, tmp_path/'lib'
    for name in ('setup.py', 'settings.ini', 'README.md', 'LICENSE', 'nbs', 'docs', 'camtutor'):
        (tmp_path/'src').mkdir(exist_ok=True)
        (tmp_path/'src'/name).symlink_to(root/name)
    subprocess.run([sys.executable, 'setup.py', '-q', 'build', '-b', tmp_path/'b', '--build-lib', lib],
                   cwd=tmp_path/'src', check=True)
    env = os.environ | dict(PYTHONPATH=str(lib), XDG_DATA_HOME=str(tmp_path/'data'), HOME=str(tmp_path))
    def called(*args): return subprocess.run([sys.executable, *args], cwd=tmp_path, env=env, text=True,
                                             capture_output=True, check=True).stdout
    assert '02_cam.ipynb: new' in called('-m', 'camtutor.cli', 'start', 'mine')
    assert (tmp_path/'mine'/'index.ipynb').is_file()
    opened = "from camtutor import cli; cli.subprocess.call = lambda c, cwd: print(c[3], cwd); cli.main(['lab', '02'])"
    said = called('-c', opened).splitlines()
    assert 'is copied to' in said[0] and said[1].startswith('--LabApp.default_url=/lab/tree/nbs/02_cam.ipynb')
    copy = Path(said[1].split(' ', 1)[1])
    assert (copy/'nbs'/'02_cam.ipynb').is_file() and (copy/'docs'/'explain.jpg').is_file()
    assert lib not in copy.parents and len(called('-c', opened).splitlines()) == 1   # made once

def test_help_is_quick_and_needs_no_torch():
    code = "import sys; from camtutor.cli import parser; parser(); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, '-c', code], text=True).strip() == 'False'

# ---- the doctor

def test_the_doctor(photos, capsys):
    status, said, err = run(capsys, 'doctor', photos/'cat.png', '--model', 'pets')
    assert status == 0 and 'No causes found' in said and not err
    status, said, err = run(capsys, 'doctor', photos/'cat.png', '--model', 'pets', '--method', 'eigen_cam')
    assert status == 3 and 'ignores the class: cause' in said
    assert "write  explain(model, image, method='grad_cam')" in said
    status, said, err = run(capsys, 'doctor', photos/'none.png', '--model', 'pets')
    assert status == 1 and 'there is no file' in err and not said
