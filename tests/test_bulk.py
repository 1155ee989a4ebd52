"Scenes in bulk: drawn once, kept whole or not at all, whoever interrupts or interferes."
import errno, hashlib, os, shutil, subprocess, sys, time
import numpy as np, psutil, pytest
from camtutor.errors import CamError
from camtutor.scenes import bulk, scene
from camtutor.scenes.bulk import cache_dir, pictures

NAMES = ['cat', 'dog', ('cat', 'dog')]

@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv('CAMTUTOR_CACHE', str(tmp_path/'cache'))
    return tmp_path/'cache'

def files(folder): return sorted(p.name for p in folder.iterdir()) if folder.exists() else []

def child(code, folder, **kw):
    env = {**os.environ, 'CAMTUTOR_CACHE': str(folder), 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen([sys.executable, '-c', code], env=env, stdout=subprocess.PIPE, text=True, **kw)

def digest(p): return hashlib.sha256(b''.join(a.tobytes() for a in p)).hexdigest()

def test_same_as_scene(folder):
    p = pictures([3, 4, 5], NAMES, 32)
    assert p.images.shape == (3, 32, 32, 3) and p.parts.shape == p.instances.shape == (3, 32, 32)
    for i, s in enumerate(scene(k, n, 32) for k, n in zip((3, 4, 5), NAMES)):
        for got, want in zip(p, (s.image, s.parts, s.instances)):
            assert (got[i] == want).all() and got.dtype == np.uint8
    assert p.instances[2].max() == 2

def test_second_call_reads(folder, monkeypatch):
    first = pictures([3, 4, 5], NAMES, 32)
    monkeypatch.setattr(bulk, 'draw_all', lambda *a: pytest.fail('drawn again'))
    assert digest(pictures([3, 4, 5], NAMES, 32)) == digest(first)
    assert len(files(folder)) == 1

def test_in_parallel_as_in_one_process():
    jobs = [[k, 'cat', 16, {}] for k in range(7)]
    assert (np.stack(list(bulk.draw_parallel(jobs, 3))) == np.stack([bulk.draw(j) for j in jobs])).all()

def test_few_scenes_start_no_process(monkeypatch):
    monkeypatch.setattr(bulk, 'draw_parallel', lambda *a: pytest.fail('processes were started'))
    pictures(range(bulk.FEW), ['cat'] * bulk.FEW, 16)
    with pytest.raises(BaseException, match='processes were started'):
        monkeypatch.setattr(bulk, 'n_cores', lambda: 2)
        pictures(range(bulk.FEW + 1), ['cat'] * (bulk.FEW + 1), 16)

def test_every_argument_counts(folder):
    pictures([3], ['cat'], 16)
    others = [(([4], ['cat'], 16), {}), (([3], ['dog'], 16), {}), (([3], ['cat'], 24), {}),
              (([3], ['cat'], 16), dict(background='sofa'))]
    for args, kw in others:
        before = len(files(folder))
        pictures(*args, **kw)
        assert len(files(folder)) == before + 1

def test_new_drawing_code_draws_anew(folder, monkeypatch):
    pictures([3], ['cat'], 16)
    monkeypatch.setattr(bulk, 'fingerprint', lambda: 'another version')
    pictures([3], ['cat'], 16)
    assert len(files(folder)) == 2

def test_fingerprint_follows_the_drawing_code(tmp_path):
    look = bulk.fingerprint.__wrapped__
    (tmp_path/'a.py').write_text('1')
    one = look(tmp_path)
    (tmp_path/'bulk.py').write_text('draws nothing itself')
    assert look(tmp_path) == one
    (tmp_path/'a.py').write_text('2')
    assert look(tmp_path) != one and bulk.fingerprint() == look(bulk.HERE.parent)

DAMAGE = [lambda b: b[:-1000], lambda b: b'', lambda b: b[:500] + bytes([b[500] ^ 1]) + b[501:],
          lambda b: bytes(len(b)), lambda b: b + b'x', lambda b: b[:10], lambda b: b[:-1]]

@pytest.mark.parametrize('damage', DAMAGE)
def test_damaged_file_is_drawn_again(folder, damage, capsys):
    want = digest(pictures([3, 4], NAMES[:2], 32))
    path = folder/files(folder)[0]
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert digest(pictures([3, 4], NAMES[:2], 32)) == want
    assert 'damaged' in capsys.readouterr().out and path.read_bytes() == whole

def test_a_file_under_another_name_is_not_taken(folder, capsys):
    pictures([3], ['cat'], 16); a = files(folder)[0]
    pictures([4], ['cat'], 16); b = next(f for f in files(folder) if f != a)
    os.replace(folder/a, folder/b)
    assert (pictures([4], ['cat'], 16).images[0] == scene(4, 'cat', 16).image).all()
    assert 'damaged' in capsys.readouterr().out

def test_full_disk(folder, monkeypatch, capsys):
    def full(fd): raise OSError(errno.ENOSPC, 'No space left on device')
    monkeypatch.setattr(os, 'fsync', full)
    p = pictures([3], ['cat'], 32)
    assert (p.images[0] == scene(3, 'cat', 32).image).all() and files(folder) == []
    assert 'No space left' in capsys.readouterr().out

def test_folder_that_cannot_be_made(tmp_path, monkeypatch, capsys):
    (tmp_path/'file').touch()
    monkeypatch.setenv('CAMTUTOR_CACHE', str(tmp_path/'file'/'cache'))
    assert pictures([3], ['cat'], 16).images.shape == (1, 16, 16, 3)
    assert 'could not be kept' in capsys.readouterr().out

def test_interrupted_while_drawing(folder, monkeypatch):
    calls, real = [], bulk.draw
    def stop(job):
        calls.append(job)
        if len(calls) == 4: raise KeyboardInterrupt
        return real(job)
    monkeypatch.setattr(bulk, 'draw', stop)
    with pytest.raises(KeyboardInterrupt): pictures([3, 4, 5], ['cat'] * 3, 16)
    assert files(folder) == []

def drawing(pid=None):
    "The drawing processes of this process, or of another."
    def draws(p):
        try: return 'popen_loky' in ' '.join(p.cmdline())
        except psutil.Error: return False   # it has ended meanwhile
    return [p for p in psutil.Process(pid).children(recursive=True) if draws(p)]

def all_gone(seconds, pid=None):
    end = time.monotonic() + seconds
    while drawing(pid) and time.monotonic() < end: time.sleep(.05)
    return not drawing(pid)

def both_started(seconds):
    "Are there two drawing processes, no more and no fewer, before so many seconds have passed? One may be quicker."
    end = time.monotonic() + seconds
    while len(drawing()) != 2 and time.monotonic() < end: time.sleep(.05)
    return len(drawing()) == 2

def test_interrupted_in_parallel_leaves_no_process(recwarn):
    drawn = bulk.draw_parallel([[k, 'cat', 16, {}] for k in range(200)], 2)
    next(drawn)
    assert both_started(5)
    drawn.close()
    assert all_gone(5) and not recwarn.list

def test_ctrl_c_leaves_no_process_and_no_file(folder):
    code = '''
import os, signal, threading
from camtutor.scenes import bulk
bulk.n_cores = lambda: 2
threading.Timer(2.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try: bulk.pictures(range(100_000), ['cat'] * 100_000, 16)
except KeyboardInterrupt: print('interrupted', flush=True)
input()'''
    p = child(code, folder, stdin=subprocess.PIPE)
    assert p.stdout.readline() == 'interrupted\n'
    assert all_gone(5, p.pid) and files(folder) == []
    p.communicate('\n')

def test_processes_without_work_end(monkeypatch):
    monkeypatch.setattr(bulk, 'IDLE', .2)
    assert len(list(bulk.draw_parallel([[k, 'cat', 16, {}] for k in range(20)], 2))) == 20 and all_gone(5)

@pytest.mark.parametrize('program', ['false', None])
def test_a_worker_that_dies_at_start_is_told(tmp_path, monkeypatch, program):
    monkeypatch.setattr(bulk, 'n_cores', lambda: 2)
    assert all_gone(2 * bulk.IDLE)   # one that is there already would do the work
    monkeypatch.setattr(sys, 'executable', shutil.which(program) if program else str(tmp_path/'gone'))
    with pytest.raises(CamError, match='Drawing scenes: a drawing process ended early'):
        pictures(range(9000), ['cat'] * 9000, 16)
    assert files(tmp_path/'cache') == [] and not drawing()

def test_a_worker_that_is_killed_is_told():
    drawn = bulk.draw_parallel([[k, 'cat', 64, {}] for k in range(9000)], 2)
    next(drawn)
    for p in drawing(): p.kill()
    with pytest.raises(CamError, match='ended early'): list(drawn)
    assert all_gone(5)

def test_killed_while_writing(folder):
    code = '''
import os, time
from camtutor.scenes.bulk import pictures
def hang(fd): print('writing', flush=True); time.sleep(60)
os.fsync = hang
pictures([3, 4], ['cat', 'dog'], 32)'''
    p = child(code, folder)
    assert p.stdout.readline() == 'writing\n'
    p.kill(); p.wait(); p.stdout.close()
    left = files(folder)
    assert len(left) == 1 and left[0].startswith('.part-')
    assert (pictures([3, 4], ['cat', 'dog'], 32).images[1] == scene(4, 'dog', 32).image).all()
    assert len(files(folder)) == 2
    old = time.time() - 2 * bulk.STALE
    os.utime(folder/left[0], (old, old))
    pictures([5], ['cat'], 32)
    assert left[0] not in files(folder)   # swept up later

def test_two_processes_at_once(folder):
    code = '''
import hashlib
from camtutor.scenes.bulk import pictures
p = pictures(range(40), ['cat', 'dog'] * 20, 32)
print(hashlib.sha256(b''.join(a.tobytes() for a in p)).hexdigest())'''
    said = [p.communicate(timeout=60)[0].strip() for p in [child(code, folder) for _ in range(2)]]
    assert said[0] == said[1] == digest(pictures(range(40), ['cat', 'dog'] * 20, 32))
    assert len(files(folder)) == 1

def test_what_a_worker_cannot_draw_is_told():
    with pytest.raises(CamError, match='unicorn'): list(bulk.draw_parallel([[1, 'unicorn', 16, {}]], 2))

def test_bad_arguments_leave_nothing(folder):
    cat = dict(species=['cat'])
    for kw, word in [(dict(species=['unicorn']), 'unicorn'), (cat | dict(size=0), 'size'),
                     (cat | dict(background={1}), 'plain values')]:
        with pytest.raises(CamError, match=word): pictures([3], **kw)
    assert files(folder) == []

def test_folder_by_platform(monkeypatch):
    monkeypatch.delenv('CAMTUTOR_CACHE')
    assert cache_dir().is_absolute() and 'camtutor' in str(cache_dir())
