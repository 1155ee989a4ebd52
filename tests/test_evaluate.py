"Evaluating: what is done is not done again, what is stopped goes on, several processes share, nothing is lost."
import os, signal, sqlite3, subprocess, sys, threading, time, warnings, weakref
import pandas as pd, pytest, torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from camtutor import cli
from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.evaluate import evaluate, export, plot, summary
from camtutor.gradcam import grad_cam_maps
from camtutor.hooks import Hook
from camtutor.metrics import measure
from camtutor.networks import load_plain
from camtutor.scenes import scene

def small(k=3, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(6, k)).eval()

X = torch.randn(7, 3, 24, 32, generator=torch.Generator().manual_seed(3))
MASK = torch.zeros(7, 24, 32, dtype=torch.bool)
MASK[:, 4:14, 8:20] = True
TWO = ['grad_cam', 'edges'], ['average_drop', 'deletion']

def run(net=None, data=X, methods=TWO[0], metrics=TWO[1], **kw):
    return evaluate(net or small(), data, methods, metrics, **{'bs': 3, 'progress': False, **kw})

def count(net):
    "Hooked while it runs: how often the network runs."
    return Hook(net[0])

def test_numbers_are_measures():
    net = small()
    t = run(net, metrics=['average_drop', 'energy'], truth=dict(mask=MASK), target=1)
    assert list(t.columns) == ['picture', 'name', 'method', 'layer', 'target', 'metric', 'value'] and len(t) == 28
    m = grad_cam_maps(net, X, None, 1)[1]
    def of(method, metric): return torch.tensor(t[(t.method == method) & (t.metric == metric)].value.to_numpy()).float()
    check_tensor(of('grad_cam', 'average_drop'), measure('average_drop', net, X, m, 1))
    check_tensor(of('grad_cam', 'energy'), measure('energy', net, X, m, 1, mask=MASK))
    assert set(t.target) == {1}

@pytest.mark.parametrize('data', [list(X), TensorDataset(X, torch.arange(7) % 3), DataLoader(X, 2),
                                  DataLoader(TensorDataset(X, torch.arange(7) % 3), 4), iter(list(X))],
                         ids=['list', 'dataset', 'loader', 'loader with labels', 'iterator'])
def test_any_data(data):
    assert run(data=data).drop(columns='target').equals(run().drop(columns='target'))

def test_labels():
    t = run(data=TensorDataset(X, torch.arange(7) % 3), target='label')
    assert t[t.metric == 'deletion'].target.tolist() == [*(torch.arange(7) % 3).tolist()] * 2
    with pytest.raises(CamError, match='has none'): run(target='label')

def test_layers_and_own_methods():
    t = run(methods={'mine': lambda net, x, target: x.abs().mean(1), 'grad_cam': None}, metrics='deletion',
            layers=['0', '1'])
    counted = t.groupby(['method', 'layer']).size().to_dict()
    assert counted == {('mine', ''): 7, ('grad_cam', '0'): 7, ('grad_cam', '1'): 7}

def test_maps_that_are_there_already():
    net, maps = small(), torch.rand(7, 24, 32)
    t = run(net, methods={'mine': maps}, metrics='average_drop', target=1)
    check_tensor(torch.tensor(t.value.to_numpy()).float(), measure('average_drop', net, X, maps, 1))
    with pytest.raises(CamError, match="6 maps of 'mine', but there are 7"): run(methods={'mine': maps[:6]})
    with pytest.raises(CamError, match='needs explain'): run(methods={'mine': maps}, metrics='sensitivity')

def test_pictures_of_two_sizes():
    "They go through the network with those of their own size; the rows stay in the pictures' order."
    xs = [x if i % 3 else x[:, :20] for i, x in enumerate(X)]
    t = run(data=xs, target=1)
    alone = pd.concat([run(data=[x], target=1).assign(picture=i, name=f'picture {i}') for i, x in enumerate(xs)])
    by = ['method', 'metric', 'picture']
    alone, t = (v.sort_values(by).reset_index(drop=True) for v in (alone, t))
    assert t.drop(columns='value').equals(alone.drop(columns='value'))
    check_tensor(torch.tensor(t.value.to_numpy()), torch.tensor(alone.value.to_numpy()), atol=1e-6)

def test_memory_is_constant():
    "Of many pictures no more are alive than a few batches."
    alive, most = weakref.WeakSet(), []
    class Data:
        def __len__(self): return 60
        def __getitem__(self, i):
            x = X[i % 7].clone()
            alive.add(x)
            most.append(len(alive))
            return x
    run(data=Data(), methods='edges', metrics='average_drop')
    assert len(most) == 60 and max(most) <= 4 * 3   # bs is 3: one at work, one read ahead, and what is handed over

def test_a_finished_run_is_only_read(tmp_path):
    net, file = small(), tmp_path/'r.sqlite'
    first = run(net, file=file)
    with count(net) as h: assert run(net, file=file).equals(first)
    assert h.fired == 0
    with count(net) as h: more = run(net, file=file, metrics=[*TWO[1], 'increase'])
    assert 0 < h.fired < 40 and len(more) == 42 and more[more.metric != 'increase'].reset_index(drop=True).equals(first)

class Stop(Exception): pass

def test_a_stopped_run_goes_on(tmp_path):
    file, seen = tmp_path/'r.sqlite', []
    class Data:
        stop = 5
        def __len__(self): return 7
        def __getitem__(self, i):
            if i == self.stop: raise Stop
            seen.append(i)
            return X[i]
    data = Data()
    with pytest.raises(Stop): run(data=data, file=file)
    data.stop = None
    assert run(data=data, file=file).equals(run()) and seen == [0, 1, 2, 3, 4, 3, 4, 5, 6]   # the first batch was kept

def test_passes_are_shared():
    "Two metrics of one experiment cost one; methods of one layer share a pass; p is asked once."
    net = small()
    def passes(methods, metrics):
        with count(net) as h: run(net, X[:3], methods, metrics, target=1)
        return h.fired
    assert passes(['edges'], ['average_drop', 'increase', 'average_gain']) == passes(['edges'], ['average_drop'])
    assert passes(['edges', 'uniform'], ['average_drop']) == passes(['edges'], ['average_drop']) + 1

def test_the_file_of_another_run(tmp_path):
    file = tmp_path/'r.sqlite'
    before = run(file=file)
    for kw, says in ((dict(net=small(seed=1)), 'another model'), (dict(target=2), 'another target'),
                     (dict(data=X.flip(0), metrics='insertion'), 'is another one')):
        with pytest.raises(CamError, match=says): run(file=file, **kw)
    assert run(file=file).equals(before)

def test_a_file_that_cannot_be(tmp_path):
    (tmp_path/'text').write_text('no database, but a text that is long enough to be looked at' * 20)
    for file in (tmp_path, tmp_path/'text', tmp_path/'none'/'r.sqlite'):
        with pytest.raises(CamError, match='cannot be the result file'): run(file=file)

@pytest.mark.parametrize('kw, says', [
    (dict(methods='grad_camm'), 'Did you mean'), (dict(metrics='deletoin'), "Did you mean 'deletion'"),
    (dict(metrics='energy'), 'needs a truth'), (dict(metrics='energy', truth=dict(mask=MASK[:3])), '3 rows of mask'),
    (dict(metrics='energy', truth=dict(mask=MASK[:, :9])), 'must both be'), (dict(truth=dict(masc=MASK)), 'no field'),
    (dict(target=[1, 2]), '2 targets, but 7'), (dict(target=9), 'out of range'), (dict(data='nowhere'), 'is not one'),
    (dict(net=nn.Sequential(nn.Flatten(), nn.Linear(2304, 3))), 'no layer'), (dict(data=scene(1)), 'is not several'),
    (dict(methods={'mine': lambda net, x, target: x}), 'It must be maps')])
def test_refusals(kw, says):
    with pytest.raises(CamError) as e: run(**kw)
    assert says in str(e.value)

def test_summary_plot_export(tmp_path):
    t = run()
    s = summary(t)
    values = t[(t.method == 'edges') & (t.metric == 'deletion')].value
    assert s.loc[('edges', '', 'deletion'), 'mean'] == pytest.approx(values.mean())
    assert len(plot(t).axes) == 2
    assert pd.read_csv(export(t, tmp_path/'t.csv')).value.tolist() == pytest.approx(t.value.tolist())
    assert export(t, tmp_path/'t.md').read_text().count('\n') == 4
    assert 'tabular' in export(t, tmp_path/'t.tex').read_text()
    for path, says in (('t.doc', 'must end in'), ('none/t.md', 'no folder')):
        with pytest.raises(CamError, match=says): export(t, tmp_path/path)

# ---- from the shell, and in two processes

@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('photos')
    for i in range(12): Image.fromarray(scene(i, size=64).image).save(folder/f'{i}.png')
    return folder

ARGS = '--model', 'plain', '--methods', 'grad_cam,edges', '--metrics', 'average_drop,drop_50', '--bs', '1'

def test_command(photos, tmp_path, capsys):
    out = tmp_path/'r.sqlite'
    assert cli.main(['evaluate', str(photos), *ARGS, '--out', str(out), '--export', str(tmp_path/'t.md')]) == 0
    said = capsys.readouterr().out
    assert said.startswith('| method | average_drop | drop_50 |') and (tmp_path/'t.md').read_text() in said
    assert cli.main(['evaluate', str(photos), *ARGS, '--out', str(tmp_path)]) == 1
    assert 'cannot be the result file' in capsys.readouterr().err

def test_a_file_that_cannot_be_read_stops_nothing(photos, tmp_path, capsys):
    for name in ('1.png', '2.png'): (tmp_path/name).write_bytes((photos/name).read_bytes())
    (tmp_path/'broken.png').write_bytes(b'no picture')
    with pytest.warns(UserWarning, match='1 pictures could not be read.*broken.png'):
        t = run(load_plain(), tmp_path, metrics='average_drop')
    assert t.picture.nunique() == 2 and [f.source for f in t.attrs['failed']] == [str(tmp_path/'broken.png')]
    assert cli.main(['evaluate', str(tmp_path), *ARGS, '--out', str(tmp_path/'r')]) == 1
    said, err = capsys.readouterr()
    assert said.startswith('| method') and '1 of 3 failed' in err and 'broken.png' in err
    with pytest.raises(CamError, match='no picture could be read'): run(load_plain(), [tmp_path/'broken.png'])

def test_reading_in_threads_does_not_touch_the_filters_of_warnings(photos, monkeypatch):
    "They belong to the whole process: several threads that change them and put them back leave them changed."
    kept = warnings.catch_warnings
    def in_main_thread_alone(*args, **kwargs):
        assert threading.current_thread() is threading.main_thread()
        return kept(*args, **kwargs)
    monkeypatch.setattr(warnings, 'catch_warnings', in_main_thread_alone)
    assert len(run(load_plain(), photos, methods='edges', metrics='average_drop')) == 12

def launched(photos, out, times=1):
    "Two processes of accelerate; where there is no GPU they talk by gloo. (With `--cpu` accelerate would start one.)"
    command = [sys.executable, '-m', 'accelerate.commands.launch', '--multi_gpu', '--num_processes', '2',
               '--num_machines', '1',
               '--mixed_precision', 'no', '--dynamo_backend', 'no', '--main_process_port', '0', '-m', 'camtutor',
               'evaluate', *[str(photos)] * times, *ARGS, '--out', str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
                            env=os.environ | dict(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1'))

def rows(out):
    with sqlite3.connect(out) as db:
        return db.execute('SELECT picture, method, metric, value FROM results ORDER BY 1, 2, 3').fetchall()

def test_two_processes_one_file(photos, tmp_path):
    p = launched(photos, tmp_path/'two')
    said, err = p.communicate(timeout=240)
    assert p.returncode == 0 and '[6/6' in err, err   # each did half of the 12
    cli.main(['evaluate', str(photos), *ARGS, '--out', str(tmp_path/'one')])
    two, one = rows(tmp_path/'two'), rows(tmp_path/'one')
    assert [r[:3] for r in two] == [r[:3] for r in one] and len(two) == 48
    check_tensor(torch.tensor([r[3] for r in two]), torch.tensor([r[3] for r in one]))

def test_one_of_two_is_killed(photos, tmp_path):
    "Its share is missing, the others' is there; the next run does what is missing and nothing else."
    out = tmp_path/'r'
    p = launched(photos, out, times=4)
    deadline = time.time() + 240
    while time.time() < deadline and not (out.exists() and done_somewhere(out)): time.sleep(.03)
    os.kill(worker(p.pid), signal.SIGKILL)
    p.communicate(timeout=240)
    kept = rows(out)
    assert 0 < len(kept) < 192
    assert cli.main(['evaluate', *[str(photos)] * 4, *ARGS, '--out', str(out)]) == 0
    after = rows(out)
    assert len(after) == 192 and set(kept) <= set(after)

def done_somewhere(out):
    try: return bool(rows(out))
    except sqlite3.Error: return False

def worker(pid):
    "The second process that accelerate has started."
    import psutil
    return next(c.pid for c in psutil.Process(pid).children(recursive=True) if c.environ().get('RANK') == '1')
