"Exercises: every one sound, every mistake recognised; the engine's states, limits, progress file and cards."
import importlib, inspect, json, os, random, re, subprocess, sys, textwrap, threading, time
from dataclasses import replace
from pathlib import Path

import numpy as np, pytest, torch
from torch import nn

import camtutor.exercises as exs
from camtutor.course import card, marked
from camtutor.errors import CamError
from camtutor.exercises import Mistake, Trial, author, ex, exercises, grade, progress_table, store
from camtutor.exercises.cards import verdict_card
from camtutor.exercises.compare import difference
from camtutor.exercises.core import library_of
from camtutor.exercises.edits import edited
from camtutor.exercises.grading import attempt
from camtutor.exercises.guard import TimeLimit, guarded
from camtutor.exercises.questions import same_answer
from camtutor.exercises.stubs import blank, is_stub

ALL = exercises()
ANSWERS = {i: answers for c in exs.CHAPTERS if (Path(__file__).parent/'answers'/f'ch{c}.py').exists()
           for i, answers in importlib.import_module(f'answers.ch{c}').ANSWERS.items()}
IMPORTANT = '1.2 1.4 1.7 1.8 2.3 2.7 2.8 3.2 3.4 3.5 4.5 5.2 6.10'.split()

@pytest.fixture(autouse=True)
def progress_file(tmp_path, monkeypatch):
    monkeypatch.setenv('CAMTUTOR_PROGRESS', str(tmp_path/'mine'/'progress.json'))
    store.unsaved.clear()
    yield tmp_path/'mine'/'progress.json'
    exs.unuse()

# The exercises themselves

@pytest.mark.parametrize('id', ALL)
def test_sound(id):
    "Stub: not attempted; reference and the library's own: correct; each mistake: its own diagnosis; hints."
    assert author.faults(ALL[id]) == []

@pytest.mark.parametrize('id', ANSWERS)
def test_other_right_answers(id):
    "In another style, but right: each is accepted."
    assert [(f.__name__, v.message) for f in ANSWERS[id] if (v := grade(ALL[id], f)).state != 'correct'] == []

def test_enough():
    code = [e for e in ALL.values() if e.kind == 'function']
    assert len(code) >= 30 and {e.chapter for e in code} == set(exs.CHAPTERS)
    assert all(len(ANSWERS[i]) >= 2 for i in IMPORTANT) and set(ANSWERS) == {e.id for e in code}
    assert [i for i in ALL] == [e.id for e in ALL.values()] and len({e.title for e in code}) == len(code)

def broken(**change): return author.faults(replace(ALL['2.4'], **change))

def test_the_guard_can_fail():
    e = ALL['2.4']
    assert broken() == []
    def found(text, **change): return any(text in f for f in broken(**change))
    right = Mistake(e.reference, 'This is said to be wrong, but it is not.')
    first = Mistake(lambda m, b: 1/0, 'This behaves like the next one below.')
    never = Mistake(lambda m, b: 2/0, 'And so this can never be reached.')
    impossible = Trial('impossible', lambda f: f(torch.zeros(1, 1, 2, 2), torch.zeros(1)), torch.ones(1, 1))
    assert found('passes', mistakes=(*e.mistakes, right))
    assert found('not recognised', mistakes=(*e.mistakes, first, never))
    assert found('the reference is', trials=(impossible,))
    assert found('hints', hints=e.hints[:2]) and found('hints', hints=(*e.hints[:2], ' '))
    assert found('away', hints=(*e.hints[:2], 'Write `return m.mean((2,3)) + bias`.'))
    assert found('wrong versions', mistakes=e.mistakes[:2])

def test_check_command(capsys):
    from camtutor.cli import main
    assert main(['check', '0.8', '2.11']) == 0
    assert [l.split()[1] for l in capsys.readouterr().out.splitlines()] == ['0.8', '2.11']

# States

def written(source, name):
    "A learner's function, with its source known to linecache as in a notebook."
    import linecache
    source = textwrap.dedent(source).lstrip()
    linecache.cache['<cell 7>'] = len(source), None, source.splitlines(True), '<cell 7>'
    scope = dict(torch=torch, nn=nn)
    exec(compile(source, '<cell 7>', 'exec'), scope)
    return scope[name]

def test_raised_shows_the_learners_line_only():
    f = written('''
        def cam(weight, A):
            size = A.shape[-1]
            out = torch.zeros(size)
            return out @ weight
        ''', 'cam')
    v = grade(ALL['2.3'], f)
    text = str(verdict_card(v))
    assert v.state == 'raised' and v.where.line == 'return out @ weight' and v.where.number == 4
    assert 'out = tensor (2,) float32' in text and 'weight = tensor (3, 2) float32' in text
    assert 'camtutor/' not in text and 'Traceback' not in text
    assert 'size mismatch' in text.lower() or 'mat1 and mat2' in text

def test_exit_is_an_exception_like_any_other():
    v = grade(ALL['0.8'], written('import sys\ndef changed(answers): sys.exit(3)', 'changed'))
    assert v.state == 'raised' and v.where.kind == 'SystemExit'

def test_the_stop_button_works():
    def pressed(model): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): grade(ALL['0.8'], pressed)
    assert grade(ALL['0.8'], ALL['0.8'].reference).passed

def test_raised_in_a_helper_of_the_learners():
    f = written('''
        def helper(A): return A.nonsense
        def cam(weight, A): return helper(A)
        ''', 'cam')
    v = grade(ALL['2.3'], f)
    assert v.state == 'raised' and v.where.line.startswith('def helper') and 'nonsense' in v.where.message

def test_wrong_names_the_mistake_in_other_code():
    "A mistake is recognised by what it does, not by how it is written."
    v = grade(ALL['3.2'], lambda A, g: sum(g[:, c].mean((1, 2))[:, None, None]*A[:, c] for c in range(A.shape[1])))
    assert v.state == 'wrong' and 'without the ReLU' in v.mistake.diagnosis
    v = grade(ALL['3.2'], lambda acts, grads: torch.relu((acts*grads).sum(dim=1)))
    assert 'HiResCAM' in v.mistake.diagnosis

def test_two_mistakes_at_once_are_both_named():
    "Where no single mistake behaves so, edits of the reference are tried two by two."
    v = grade(ALL['3.2'], lambda A, g: (g.sum((2, 3), keepdim=True)*A).sum(1))
    assert v.state == 'wrong'
    assert ['without the ReLU' in v.mistakes[0].diagnosis, 'h·w times' in v.mistakes[1].diagnosis] == [True]*2
    text = ' '.join(str(verdict_card(v)).split())
    assert all(' '.join(m.diagnosis.split()) in text for m in v.mistakes)

def test_an_edit_stands_once_and_in_its_own_place():
    def area(w, h):
        "How large it is."
        return w*h
    assert edited(area, [('w*h', 'w + h')])(2, 5) == 7
    assert edited(area, [('return w*h', 'return 2*w'), ('w*h', 'h')]) is None # both touch the same text
    for old, times in (('w', 3), ('depth', 0)):
        with pytest.raises(CamError, match=f'{times} times'): edited(area, [(old, 'x')])

def test_a_mistake_that_raises_is_named_too():
    class Mine:
        def __init__(self, layer): self.h = layer.register_forward_hook(self.keep)
        def keep(self, layer, a, b): self.stored = b.clone().detach()
        def __enter__(self): return self
        def __exit__(self): self.h.remove()
    assert '*exc' in grade(ALL['1.2'], Mine).mistake.diagnosis
    def mine(head, A):
        A = A.clone().requires_grad_(True)
        head(A)[:, 1].backward()
        return A.grad
    v = grade(ALL['3.4'], mine)
    assert v.state == 'raised' and 'Add them up' in str(verdict_card(v))
    assert v.where.line == 'head(A)[:, 1].backward()'

def test_advice_by_name():
    def engine(model, x, layers, target=None):
        kept = []
        h = model.get_submodule(layers).register_forward_hook(lambda m, i, o: kept.append(o))
        out = model(x)
        h.remove()
        return out, kept[0], torch.autograd.grad(out[:, target].sum(), kept)[0]
    v = grade(ALL['3.5'], engine)
    assert 'below the layer' in v.message and 'under `no_grad`' in v.message

def test_wrong_without_a_known_mistake_says_where():
    v = grade(ALL['3.2'], lambda A, g: torch.full((len(A), *A.shape[2:]), 7.))
    assert v.state == 'wrong' and v.mistake is None and 'by hand' in v.message and 'should be 0 at' in v.message
    assert 'shape' in grade(ALL['3.2'], lambda A, g: torch.zeros(3)).message
    assert 'float64' in grade(ALL['3.2'], lambda A, g: ALL['3.2'].reference(A, g).double()).message
    assert 'return' in grade(ALL['3.2'], lambda A, g: None if A.sum() else 0).message
    assert 'tensor' in grade(ALL['3.2'], lambda A, g: [1, 2]).message

def test_signature():
    assert 'order (A, g)' in grade(ALL['3.2'], lambda g, A: A).told
    assert 'grad_cam(A, g)' in grade(ALL['3.2'], lambda A: A).told
    assert 'target' in grade(ALL['3.3'], lambda out: out).told
    assert 'class' in grade(ALL['1.2'], lambda module: 1).told
    # other names will do
    assert grade(ALL['2.3'], lambda w, acts: torch.einsum('kc,ncij->nkij', w, acts)).state == 'correct'

def cam_loops(weight, A):
    out = torch.zeros(len(A), len(weight), *A.shape[2:])
    for n in range(len(A)):
        for k in range(len(weight)):
            for i in range(A.shape[2]):
                for j in range(A.shape[3]): out[n, k, i, j] = weight[k] @ A[n, :, i, j]
    return out

def test_correct_but_slow():
    v = grade(ALL['2.3'], cam_loops)
    assert v.state == 'slow' and v.passed and 'times as long' in v.message

def test_stubs():
    assert is_stub(written('def f(x):\n    "Doc"\n    ...', 'f')) and is_stub(written('def f(x): pass', 'f'))
    assert not is_stub(written('def f(x): return x', 'f')) and not is_stub(written('def f(x): raise KeyError', 'f'))
    before = 'def f(x, # a\n      y): # b\n    "Doc"\n    z = x\n    return z'
    assert blank(before) == 'def f(x, # a\n      y): # b\n    "Doc"\n    ...'
    assert blank('def f(x): return x') == 'def f(x): ...'
    head = 'class A:\n    "D"\n    k = 1\n    def f(self): '
    tail = '\n    @property\n    def g(self):\n        "G"\n        '
    assert blank(f'{head}return 1{tail}return 2') == f'{head}...{tail}...'
    assert 'secret' not in blank('@secret\ndef f(x):\n    secret = 1\n    return secret')

def test_a_verdict_repeats_and_leaves_the_session_alone():
    def state(): return torch.get_rng_state().tolist(), random.getstate(), [*map(str, np.random.get_state())]
    before = state()
    def noisy(A, g):
        torch.set_grad_enabled(False)
        return torch.rand(len(A), *A.shape[2:]) + random.random() + np.random.rand()
    a = grade(ALL['3.2'], noisy)
    assert state() == before and torch.is_grad_enabled()
    for draw in (torch.rand, np.random.rand): draw(3)
    random.random()
    assert grade(ALL['3.2'], noisy).message == a.message

def test_prints_are_kept_for_the_card(capsys):
    def talks(A, g):
        print('shape', tuple(A.shape))
        return A[:, 0]
    v = grade(ALL['3.2'], talks)
    assert v.printed.startswith('shape (1, 2, 2, 2)') and 'It printed' in str(verdict_card(v))
    assert capsys.readouterr().out == ''

# Limits

def endless():
    while True: pass

def stubborn():
    while True:
        try: sum(range(1000))
        except: pass

def very_stubborn():
    while True:
        try:
            while True:
                try: torch.zeros(3).sum()
                except BaseException: n = 1
        except: n = 2

@pytest.mark.parametrize('f', [endless, stubborn, very_stubborn])
def test_endless_loops_are_stopped(f):
    start = time.monotonic()
    with pytest.raises(TimeLimit): guarded(f, .3)
    assert time.monotonic() - start < 10 and sys.gettrace() is None

def test_a_timer_of_somebody_else_goes_on():
    import signal
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *a: rung.append(1))
    signal.setitimer(signal.ITIMER_REAL, .2)
    try:
        assert guarded(lambda: 5) == 5 and rung == []
        time.sleep(.3)
        assert rung == [1]
    finally: signal.signal(signal.SIGALRM, before)

def test_an_import_is_left_to_finish(tmp_path, monkeypatch):
    "Half a module would spoil the session for good."
    lines = 'import time', 'end = time.monotonic() + .5', 'while time.monotonic() < end: sum(range(99))', 'ready = True'
    (tmp_path/'slow_to_import.py').write_text('\n'.join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    def imports():
        import slow_to_import
        return slow_to_import.ready
    assert guarded(imports, .1)
    def then_loops():
        import slow_to_import
        while True: pass
    with pytest.raises(TimeLimit): guarded(then_loops, .1)

def test_one_huge_tensor_is_refused():
    v = attempt(lambda f: f(), lambda: torch.zeros(10**13))
    assert v.error.stopped == 'memory'

def watching(): return [t for t in threading.enumerate() if t.name == 'time limit']

def test_limits_leave_nothing_behind():
    "In a thread that is not the main one, where a second one looks at the clock."
    def work():
        for _ in range(20): assert guarded(lambda: 5) == 5
        with pytest.raises(ZeroDivisionError): guarded(lambda: 1/0)
        done.append(1)
    done = []
    t = threading.Thread(target=work)
    t.start()
    t.join(30)
    end = time.monotonic() + 10
    while watching() and time.monotonic() < end: time.sleep(.01)
    assert done and watching() == []

def test_a_limit_in_a_thread_spoils_none_in_the_main_one():
    "Python 3.11 loops at the entry of traced functions while it looks for an exception that was taken back."
    def work():
        guarded(lambda: 5)
        with pytest.raises(TimeLimit): guarded(endless, .1)
    t = threading.Thread(target=work)
    t.start()
    t.join(30)
    assert not t.is_alive()
    f = written('def changed(answers):\n    while True: n = 1', 'changed')
    assert grade(ALL['0.8'], f, seconds=.1).state == 'raised'   # and no RecursionError from the grader's own functions

def test_loop_card():
    f = written('def changed(answers):\n    while True: n = 1', 'changed')
    v = grade(ALL['0.8'], f, seconds=2)
    text = str(verdict_card(v))
    assert v.state == 'raised', (v, text)
    assert 'longer than it may' in text and 'while True: n = 1' in text and v.mistake is None

def test_after_a_time_limit_no_other_trial_runs():
    tried = []
    def first(f):
        while True: pass
    e = replace(ALL['0.8'], trials=(Trial('endless', first), Trial('later', lambda f: tried.append(f))))
    assert grade(e, lambda model: 0, seconds=.2).where.stopped == 'time' and tried == []

def test_in_another_thread():
    "Kernels may run cells in a thread that is not the main one."
    found = []
    def work():
        def endless(model):
            while True: pass
        found.append(grade(ALL['0.8'], endless, seconds=.3).state)
        found.append(grade(ALL['0.8'], ALL['0.8'].reference).state)
    t = threading.Thread(target=work)
    t.start()
    t.join(30)
    assert found == ['raised', 'correct']

# Questions

def test_values():
    assert same_answer(' The Mean. ', 'the mean') and same_answer([1, 2], (1, 2))
    assert same_answer(torch.Size([1, 2]), (1, 2)) and same_answer(2.501, 2.5)
    assert same_answer(1024., 1024) and same_answer(.7, .703) and not same_answer(.7, .72)
    shapes = ((4, 1020, 14, 14), (4, 1024, 14, 14)), ([5, 127, 8, 8], (5, 128, 8, 8))
    for a, b in ((1020, 1024), (1024.5, 1024), *shapes): assert not same_answer(a, b)
    shape = replace(ALL['1.3'], reference=(5, 128, 8, 8), mistakes=())
    assert grade(shape, (5, 127, 8, 8)).state == 'wrong'
    assert not same_answer(True, 1) and not same_answer((1,), (1, 2))
    assert grade(shape, ...).state == 'not attempted' and grade(shape, (1, 2)).state == 'wrong'
    with pytest.raises(CamError, match='not an option'): grade(ALL['0.5'], 'something else')

def test_choice_replies():
    e = ALL['0.5']
    assert sorted(e.options) == sorted([e.reference, *(m.answer for m in e.mistakes)])
    for m in e.mistakes: assert m.diagnosis.split('`')[0][:30] in exs.reply_to('0.5', m.answer)
    assert 'correct' in exs.reply_to('0.5', e.reference)

def test_the_right_option_is_not_always_in_one_place():
    places = {e.options.index(e.reference) for e in ALL.values() if e.kind == 'choice'}
    assert len(places) >= 3

def test_answer_and_decorator_are_not_mixed_up():
    with pytest.raises(CamError, match='ex.answer'): ex('1.3')
    with pytest.raises(CamError, match='@ex'): ex.answer('1.4', 3)
    with pytest.raises(CamError, match="'3.2'"): ex('3.22')

# What a learner sees

def test_fallback_and_answers(capsys):
    import camtutor.hooks as lib
    @ex('1.4')
    def eval_mode(model): ...
    assert eval_mode is lib.eval_mode and 'not attempted' in capsys.readouterr().out
    @ex('1.4')
    def eval_mode(model): return 3
    assert eval_mode is lib.eval_mode and "library's" in capsys.readouterr().out
    assert ex('1.4')(ANSWERS['1.4'][1]) is lib.eval_mode and 'ex.use("1.4")' in capsys.readouterr().out
    # not in the library
    assert ex('0.8')(mine := (lambda answers: (answers != answers[0]).any(0).float().mean().item())) is mine

def test_hints_and_solution(capsys):
    def shown():
        return capsys.readouterr().out
    ex.hint('3.2'); assert 'hint 1' in shown()
    ex.hint('3.2'); assert 'hint 2' in shown()
    ex.hint('3.2', 1); assert 'hint 1' in shown()
    ex.hint('3.2'); assert 'hint 3' in shown()
    ex.hint('3.2'); assert 'hint 3' in shown()
    with pytest.raises(CamError): ex.hint('3.2', 4)
    ex.solution('3.2'); assert 'einsum' not in shown()
    for left in (2, 1, 0):
        ex('3.2')(lambda A, g: A)
        shown()
        ex.solution('3.2')
        assert ('einsum' in shown()) == (left == 0)
    ex.solution('3.4'); assert 'autograd' not in shown()
    ex.solution('3.4', reveal=True); assert 'autograd' in shown()

def test_next_progress_reset(capsys, progress_file):
    ex.next(); assert 'exercise 0.1' in capsys.readouterr().out
    for e in [e for e in ALL.values() if e.chapter == '00' or e.id == '1.1']:
        exs.reply_to(e.id, e.reference) if e.kind == 'choice' else ex(e.id)(e.reference)
    ex.answer('1.3', 3)
    capsys.readouterr()
    ex.next(); assert 'exercise 1.2' in capsys.readouterr().out
    ex.progress(); assert '11 of' in (out := capsys.readouterr().out) and '✓1.1 ○1.2' in out
    ex('1.1')(lambda shapes: 3)
    assert store.read()[0]['1.1']['state'] == 'correct' # a pass is not taken back
    ex.reset('1.1'); assert '1.1' not in store.read()[0] and '1.3' in store.read()[0]
    ex.reset(); assert store.read()[0] == {} and len(list(progress_file.parent.glob('progress-*.json'))) == 1

def test_use_and_unuse(capsys, monkeypatch):
    import camtutor.gradcam as gc
    from camtutor import methods
    theirs, main = gc.grad_cam, sys.modules['__main__']
    monkeypatch.setattr(main, 'grad_cam', theirs, raising=False)
    with pytest.raises(CamError, match='run its cell'): exs.given.clear(); ex.use('3.2')
    def mine(A, g): return (g.mean((2, 3), keepdim=True)*A).sum(1)
    ex('3.2')(mine)
    ex.use('3.2')
    ours = gc.grad_cam
    assert ours.__wrapped__ is mine and methods.grad_cam is ours and main.grad_cam is ours
    assert 'not right yet' in capsys.readouterr().out
    assert grade(ALL['3.2'], ALL['3.2'].reference).passed
    ex('3.2')(ALL['3.2'].reference) # checked against the library's own while the learner's is in use
    assert gc.grad_cam is ours
    capsys.readouterr()
    ex.unuse()
    assert capsys.readouterr().out == "Notebook and library run on the library's own `grad_cam` again.\n"
    assert gc.grad_cam is theirs and methods.grad_cam is theirs and main.grad_cam is theirs
    with pytest.raises(CamError, match='not part of the library'): ex.use('3.4')

def test_use_reaches_the_sliders(capsys):
    "Also those of an explorer that was open before; and both let go of it."
    from camtutor.ui.explorer import Explorer, drive
    old, calls = Explorer(images=[dict(seed=3, species='cat')], show='class layer method'), []
    def grad_cam(A, g):
        calls.append(1)
        return torch.relu(torch.einsum('nc,nchw->nhw', g.mean((2, 3)), A))
    ex('3.2')(grad_cam)
    ex.use('3.2')
    for explorer in (old, Explorer(images=[dict(seed=4, species='dog')], show='class layer method')):
        calls.clear()
        drive(explorer, layer='0.5', class_='pig')
        assert calls
    ex.unuse()
    calls.clear()
    drive(old, layer='0.6', class_='fox')
    assert calls == []

ROWS = {'3.2': 'grad_cam', '4.4': 'saliency', '4.5': 'guided_backprop', '4.7': 'guided_grad_cam', '5.5': 'deconvnet'}

@pytest.mark.parametrize('id', ROWS)
def test_use_reaches_the_table_of_methods(id, capsys):
    from camtutor.methods import METHODS
    before, mine = dict(METHODS), ALL[id].reference
    exs.given[id] = mine
    ex.use(id)
    fn = METHODS[ROWS[id]].fn
    assert fn.__wrapped__ is mine and METHODS == before | {ROWS[id]: before[ROWS[id]]._replace(fn=fn)}
    ex.unuse(id)
    assert METHODS == before

def test_use_reaches_what_explains(capsys):
    from camtutor import explain
    net, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), torch.rand(1, 3, 9, 9)
    def mine(model, x, target=None): return model(x).sum()*0 + torch.full_like(x, 5.)
    exs.given['4.4'] = mine
    theirs = explain(net, x, 'saliency', target=0).raw
    ex.use('4.4')
    fives = explain(net, x, 'saliency', target=0).raw
    ex.unuse('4.4')
    assert (fives == 5).all() and torch.equal(explain(net, x, 'saliency', target=0).raw, theirs)

def test_cards_are_html_in_a_notebook(monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    shell = InteractiveShell.instance()
    try:
        with capture_output() as out:
            shell.run_cell("from camtutor.exercises import ex\n@ex('2.3')\ndef cam(weight, A): ...",
                           store_history=False)
        data = out.outputs[0].data
        assert '<b>○ Exercise 2.3' in data['text/html'] and '○ Exercise 2.3' in data['text/plain']
        assert '<' not in data['text/plain']
    finally: InteractiveShell.clear_instance()

def test_wrong_use_is_one_sentence_in_a_notebook(capsys):
    "With the learner's own lines, and none of the library's."
    from IPython.core.interactiveshell import InteractiveShell
    try:
        shell = InteractiveShell.instance()
        shell.run_cell('from camtutor.exercises import ex\ndef helper(id):\n    return ex.hint(id)\nhelper("2.99")',
                       store_history=False)
        said = capsys.readouterr().out.splitlines()
    finally: InteractiveShell.clear_instance()
    assert said[:2] == ['line 4:  helper("2.99")', 'line 3:  return ex.hint(id)']
    assert said[2].startswith("CamError: There is no exercise '2.99'.") and len(said) == 3

def test_stress_and_code_on_cards():
    html = card('`a*b` is *one* thing', marked('2*3*4, **kw, *two words*, <b> and `<x>*y*`'))
    assert '<b><code>a*b</code> is <em>one</em> thing</b>' in html
    assert '2*3*4, **kw, <em>two words</em>, &lt;b&gt; and <code>&lt;x&gt;*y*</code>' in html
    for e in ALL.values():   # no text of the course keeps a mark
        texts = e.title, e.task, e.why, *e.hints, *(m.diagnosis for m in e.mistakes)
        assert not any(re.search(r'[*`]', re.sub('<code>.*?</code>', '', marked(t))) for t in texts), e.id

def test_a_question_is_called_one():
    assert str(verdict_card(grade(ALL['2.12'], 'any layer you like'))).startswith('✗ Question 2.12 ·')

def test_html_is_escaped():
    v = grade(ALL['2.3'], written('def cam(weight, A): raise ValueError("<script>&")', 'cam'))
    assert '&lt;script&gt;' in verdict_card(v)._repr_html_() and '<script>' not in verdict_card(v)._repr_html_()

# The progress file

def test_damaged_file_is_kept_aside(progress_file, capsys):
    for text in ('{"version": 2, "exerc', '[1, 2]', '{"version": 2}', '\x00', '{"version": 2, "exercises": {"1.1": 3}}',
                 '{"version": 2, "exercises": {"1.1": {"state": "done"}}}',
                 '{"version": 2, "exercises": {"1.1": {"state": "wrong", "tries": Infinity}}}'):
        progress_file.parent.mkdir(exist_ok=True)
        progress_file.write_text(text)
        ex('0.8')(ALL['0.8'].reference)
        assert 'is damaged; it is kept as' in capsys.readouterr().out.replace('\n  ', ' ')
        assert store.read()[0]['0.8']['state'] == 'correct'
        progress_file.unlink()
    kept = sorted(p.read_text() for p in progress_file.parent.glob('progress-*.json'))
    assert len(kept) == 7 and '[1, 2]' in kept

def test_bytes_that_are_no_text(progress_file):
    progress_file.parent.mkdir()
    progress_file.write_bytes(b'\xff\xfe\x00bad')
    assert 'damaged' in store.read()[1] and not progress_file.exists()

def test_a_file_of_another_version_is_kept_aside(progress_file):
    progress_file.parent.mkdir()
    other = '{"version": 99, "exercises": {}}'
    progress_file.write_text(other)
    done, note = store.read()
    assert done == {} and 'is kept as' in note
    assert [p.read_text() for p in progress_file.parent.glob('progress-*.json')] == [other]

def test_the_file_knows_which_mistake_was_named(progress_file, capsys):
    def kept(): return json.loads(progress_file.read_text())['exercises']['3.2']['mistakes']
    ex('3.2')(lambda A, g: torch.einsum('nc,nchw->nhw', g.mean((2, 3)), A))
    assert kept() == {'This is Grad-CAM without the ReLU.': 1} and 'times so far' not in capsys.readouterr().out
    ex('3.2')(lambda A, g: torch.einsum('nc,nchw->nhw', g.mean((2, 3)), A))
    assert kept() == {'This is Grad-CAM without the ReLU.': 2} and 'named 2 times so far' in capsys.readouterr().out
    ex('3.2')(lambda A, g: (g.mean((2, 3), keepdim=True).abs()*A).sum(1)) # two at once
    assert kept() == {'This is Grad-CAM without the ReLU.': 3, 'The weights have lost their sign.': 1}
    ex('3.2')(ALL['3.2'].reference)
    assert sum(kept().values()) == 4 and store.read()[0]['3.2']['mistakes'] == kept()

def test_full_disk(progress_file, monkeypatch, capsys):
    store.note_answer('1.1', 'correct')
    before = progress_file.read_text()
    def full(fd): raise OSError(28, 'No space left on device')
    with monkeypatch.context() as m:
        m.setattr(store.os, 'fsync', full)
        ex('0.8')(ALL['0.8'].reference)
        assert 'could not be saved' in (out := capsys.readouterr().out) and 'No space left on device' in out
        assert 'correct' in out
        assert store.read()[0]['0.8']['state'] == 'correct' # known in this session
        assert progress_file.read_text() == before and [p.name for p in progress_file.parent.glob('.part-*')] == []
    store.note_answer('1.5', 'wrong')
    assert set(json.loads(progress_file.read_text())['exercises']) == {'1.1', '0.8', '1.5'} # saved once there is room

def test_a_reset_forgets_what_could_not_be_saved(progress_file, monkeypatch, capsys):
    def full(fd): raise OSError(28, 'No space left on device')
    with monkeypatch.context() as m:
        m.setattr(os, 'fsync', full)
        ex('0.8')(ALL['0.8'].reference)
    ex.reset()
    store.note_answer('1.5', 'wrong')
    assert set(store.read()[0]) == {'1.5'} and 'begins again' in capsys.readouterr().out

def test_a_reset_that_fails_says_so(progress_file, monkeypatch, capsys):
    from filelock import FileLock
    store.note_answer('1.1', 'correct')
    def refused(*args): raise PermissionError(13, 'Permission denied')
    with monkeypatch.context() as m:
        m.setattr(type(progress_file), 'replace', refused)
        ex.reset()
        assert 'as it was' in (out := capsys.readouterr().out)
        assert 'could not be reset (Permission denied)' in out.replace('\n  ', ' ')
    with monkeypatch.context() as m, FileLock(f'{progress_file}.lock'):
        m.setattr('filelock.FileLock', lambda file, timeout: FileLock(file, timeout=.1))
        ex.reset()
        assert 'another session holds it' in capsys.readouterr().out.replace('\n  ', ' ')
    assert set(store.read()[0]) == {'1.1'} and not [*progress_file.parent.glob('progress-*')]

def test_the_day_of_the_first_pass_stays(progress_file, monkeypatch):
    class Day:
        today = '2026-01-05'
        @staticmethod
        def now(): return Day
        @staticmethod
        def strftime(form): return Day.today
    monkeypatch.setattr(store, 'datetime', Day)
    store.note_answer('1.1', 'wrong')
    assert store.read()[0]['1.1']['passed'] == ''
    for Day.today in ('2026-01-06', '2026-01-07'): store.note_answer('1.1', 'correct')
    assert store.read()[0]['1.1']['passed'] == '2026-01-06' and store.read()[0]['1.1']['tries'] == 3

def test_folder_that_cannot_be_made(tmp_path, monkeypatch, capsys):
    (tmp_path/'file').write_text('')
    monkeypatch.setenv('CAMTUTOR_PROGRESS', str(tmp_path/'file'/'progress.json'))
    ex('0.8')(ALL['0.8'].reference)
    assert 'could not be saved' in capsys.readouterr().out
    ex.progress()
    assert '1 of' in capsys.readouterr().out

def test_sessions_at_once(progress_file):
    "Two processes and this one, 30 answers each: none is lost."
    code = '''import sys
from camtutor.exercises import store
for i in range(30): assert store.note_answer(f"{sys.argv[1]}.{i}", "correct")[1] == ""'''
    running = [subprocess.Popen([sys.executable, '-c', code, str(n)]) for n in range(2)]
    while not progress_file.exists() and any(p.poll() is None for p in running): time.sleep(.01)
    for i in range(30): store.note_answer(f'2.{i}', 'correct')
    assert [p.wait(120) for p in running] == [0, 0]
    done = json.loads(progress_file.read_text())['exercises']
    assert len(done) == 90 and all(d['tries'] == 1 for d in done.values())

def test_progress_table():
    table = progress_table({'1.1': dict(state='correct'), '1.2': dict(state='wrong')})
    assert '✓1.1 ✗1.2 ○1.3' in str(table) and f'1/{len(ALL)}' not in str(table)
    assert '<progress max=' in table._repr_html_()

def test_difference_in_words():
    t = torch.zeros(2, 2)
    assert difference(t, t) == '' and 'shape (2, 2)' in difference(torch.zeros(4), t) and 'None' in difference(None, t)
    assert difference({'a': 1}, {'a': 2}) == 'a should be 2, but it is 1.' and difference((1., 2), (1., 2)) == ''
    assert 'parts' in difference((1,), (1, 2)) and 'nan' in difference(torch.full((2, 2), float('nan')), t)

def test_check_takes_chapters_and_numbers(capsys, monkeypatch):
    "Whether each is sound is asked above; here one is said not to be."
    monkeypatch.setattr(author, 'faults', lambda e: ['a fault'] * (e.id == '2.1'))
    assert author.check(['3.10', '3.10']) == 0 and capsys.readouterr().out.count('3.10') == 1
    assert author.check(['2']) == author.check(['02']) == 1 and '✗ 2.1 ' in capsys.readouterr().out
    with pytest.raises(CamError, match="'33'.*Did you mean"): author.check(['33'])

# What a lesson asks, and how

# lessons whose exercises keep the two limits; a lesson that is revised is added here
CONVERTED = {e.chapter for e in ALL.values()}
CODED = {'01': 'hooks', '02': 'cam', '03': 'gradcam', '04': 'guided', '05': 'deconvnet', '06': 'features',
         '07': 'family', '08': 'perturbation', '09': 'metrics', '10': 'lcam', '11': 'bias', '12': 'where',
         '13': 'text', '14': 'mistakes'}

def beyond_the_limits(number):
    "Too many or too few exercises in a lesson, and statements that are too long."
    mine = [e for e in ALL.values() if e.chapter == number]
    found = [] if 8 <= len(mine) <= 12 else [f'{number}: {len(mine)} exercises; 8 to 12 are asked for']
    return found + [f'{e.id}: {n} words; at most 60 are asked for' for e in mine if (n := len(e.task.split())) > 60]

def test_a_lesson_asks_for_8_to_12_things_in_60_words_each():
    assert [v for number in sorted(CONVERTED) for v in beyond_the_limits(number)] == []

def test_the_limits_can_fail():
    assert any('60 are asked' in v for v in beyond_the_limits('01')) or '01' in CONVERTED
    assert beyond_the_limits('99') == ['99: 0 exercises; 8 to 12 are asked for']

@pytest.mark.parametrize('module', CODED.values())
def test_what_a_lesson_exports_has_a_test(module):
    "In a module of tests; or as the library's own answer to an exercise, which `test_sound` grades."
    lib = importlib.import_module(f'camtutor.{module}')
    texts = '\n'.join(p.read_text(encoding='utf8') for p in Path(__file__).parent.glob('test_*.py'))
    graded = {e.name for e in ALL.values() if e.library == lib.__name__}
    public = [n for n in lib.__all__ if inspect.isfunction(getattr(lib, n)) and n not in graded]
    assert [n for n in public if not re.search(rf'\b{n}\b', texts)] == []

def parameters(f): return list(inspect.signature(f).parameters)

@pytest.mark.parametrize('id', [e.id for e in ALL.values() if e.library and not inspect.isclass(e.reference)])
def test_an_exercise_names_its_arguments_as_the_library_does(id):
    e = ALL[id]
    lib = inspect.signature(library_of(e)).parameters
    needed = {n for n, p in lib.items() if p.default is p.empty and p.kind is not p.VAR_KEYWORD}
    assert needed <= set(parameters(e.reference)) <= set(lib)

def test_chapters_are_those_that_have_exercises():
    there = {p.stem[2:] for p in Path(exs.__file__).parent.glob('ch[0-9][0-9].py')}
    assert set(exs.CHAPTERS) == there and list(exs.CHAPTERS) == sorted(there)

def test_a_hard_one_has_a_star():
    e = replace(ALL['2.3'], hard=True)
    assert '★ ' + e.title in str(verdict_card(grade(e, e.reference))) and '★' not in ALL['2.3'].heading
