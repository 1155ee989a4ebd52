"The grader's own eyes: what answers change and leave, graphs, types, likenesses, exceptions; and no right one refused."
import warnings
from dataclasses import replace

import numpy as np, pytest, torch
from torch import nn

import camtutor.exercises as exs
from camtutor.exercises import Exercise, Trial, ex, exercises, grade
from camtutor.exercises.cards import verdict_card
from camtutor.exercises.common import (
    C, H, K, N, W, a_batch, dead, differing, error_arrives, gives, odd_maps, rand, tiny, uneven)
from camtutor.exercises.explained import EXPLAINED, explained
from camtutor.exercises.kinds import a_number, keyed, other_kind, rows
from camtutor.exercises.likeness import LIKENESS, told
from camtutor.exercises.watch import SAYS

ALL = exercises()

@pytest.fixture(autouse=True)
def progress_file(tmp_path, monkeypatch):
    monkeypatch.setenv('CAMTUTOR_PROGRESS', str(tmp_path/'progress.json'))
    yield
    exs.unuse()

# An exercise made here: a map from a network, an input and a list

def reference(net, x, names):
    "The sum over channels of the first part's output."
    with torch.no_grad(): return net[0](x).sum(1)

def made(reference=reference, run=None, **fields):
    def of_three(answer): return answer(uneven(norm=True), rand(N, 3, 16, 12), ['a', 'b'])
    return Exercise('9.1', 'A map', '', reference, trials=(Trial('A small network', run or of_three),), **fields)

def said(answer, **fields):
    v = grade(made(**fields), answer)
    return '' if v.state == 'correct' else v.told or 'untold: ' + v.message

def with_change(change):
    def answer(net, x, names):
        result = reference(net, x, names)
        change(net, x, names)
        return result
    return answer

def spoils_parameter(net, x, names):
    with torch.no_grad(): net[0][0].weight += 1

CHANGES = dict(
    value=(lambda net, x, names: x.relu_(), 'change `x` in place'),
    marked=(lambda net, x, names: x.requires_grad_(), '`x` is marked'),
    items=(lambda net, x, names: names.pop(), 'change `names`'),
    grad=(lambda net, x, names: net(x).sum().backward(), 'leave a `.grad` on `net`'),
    hook=(lambda net, x, names: net[0].register_forward_hook(print), 'leave a hook on `net`'),
    hooks=(lambda net, x, names: [m._forward_hooks.clear() for m in net.modules()], 'hooks that others had put'),
    wiped=(lambda net, x, names: net.zero_grad(), '`.grad` that `net` had before is gone'),
    mode=(lambda net, x, names: net.train(), 'another mode'),
    flags=(lambda net, x, names: net.requires_grad_(False), 'another `requires_grad`'),
    weights=(spoils_parameter, 'parameters of `net` are others'),
    buffers=(lambda net, x, names: [net[0].train()(x), net[0].eval()], 'buffers of `net` have moved'),
    parts=(lambda net, x, names: setattr(net[0][0], 'bias', None), 'Layers of `net` are replaced'),
    gradmode=(lambda net, x, names: torch.set_grad_enabled(False), 'switched off'),
    random=(lambda net, x, names: torch.manual_seed(3), "random numbers of the session (torch's)"),
    filters=(lambda net, x, names: warnings.simplefilter('ignore'), 'filters of warnings'))

def test_every_effect_has_its_example(): assert set(CHANGES) == set(SAYS)

@pytest.mark.parametrize('kind', CHANGES)
def test_what_is_changed_or_left_is_named(kind):
    change, text = CHANGES[kind]
    assert said(reference) == '' and text in said(with_change(change))

@pytest.mark.parametrize('whose', ['numpy', 'Python'])
def test_everybodys_random_numbers(whose):
    import random
    draw = dict(numpy=lambda *a: np.random.rand(), Python=lambda *a: random.seed(3))[whose]
    assert whose in said(with_change(draw))

def test_what_may_change_is_declared():
    for kind, declared in dict(value='x', grad='net', weights='net', hook='hooks', random='random numbers').items():
        assert said(with_change(CHANGES[kind][0]), changes=(declared,)) == '', kind
    assert said(with_change(CHANGES['hooks'][0]), changes=('net',)) != '' # of others: never

def test_what_is_changed_on_the_way_and_put_back_is_right():
    def tidy(net, x, names):
        handle, before = net[0].register_forward_hook(lambda *a: None), net.training
        try: return reference(net.train().eval(), x.clone().relu_() + x.clamp(max=0), names)
        finally: handle.remove()
    assert said(tidy) == ''

def test_left_by_an_error_too():
    def broken(net, x, names):
        net[0].register_forward_hook(print)
        raise KeyError('mine')
    v = grade(made(), broken)
    assert v.state == 'raised' and 'leave a hook' in v.told and 'no such key' in v.told

def test_no_answer_spoils_the_next_ones_data():
    "Also where a trial hands out a tensor that it keeps, and a part of it."
    shared, net = rand(2, 3, 4), tiny()
    e = Exercise('9.2', 'Shared', '', lambda net, A: A.sum(1), trials=(Trial('Shared', lambda f: f(net, shared[:])),))
    kept, weights = shared.clone(), net[0][0].weight.clone()
    def spoils(net, A):
        result = A.sum(1)
        A.zero_()
        net[0][0].weight.data.zero_()
        net.train()
        net.register_forward_hook(print)
        return result
    assert grade(e, spoils).state == 'wrong'
    assert torch.equal(shared, kept) and torch.equal(net[0][0].weight, weights)
    assert not net.training and not net._forward_hooks and grade(e, e.reference).state == 'correct'

def test_what_several_calls_spoil_is_as_before_the_first():
    shared = rand(2, 3, 4)
    def twice(f): return f(shared), f(shared)
    e = Exercise('9.2', 'Shared', '', lambda A: A.sum(1), trials=(Trial('Twice', twice),))
    kept = shared.clone()
    assert grade(e, lambda A: A.add_(1).sum(1)).state == 'wrong' and torch.equal(shared, kept)

def test_one_tensor_twice_stays_one():
    A = rand(2, 3)
    e = Exercise('9.3', 'Same', '', lambda a, b: a is b, trials=(gives('Twice', A, A),))
    assert grade(e, lambda a, b: a.data_ptr() == b.data_ptr()).state == 'correct'

def damaging(answer):
    "The right answer, which afterwards writes into all it was given."
    def damaged(*args, **kwargs):
        try: return answer(*args, **kwargs)
        finally:
            for v in (*args, *kwargs.values()): damage(v)
    return damaged

def damage(v):
    if isinstance(v, torch.Tensor):
        with torch.no_grad(): v.logical_not_() if v.dtype == torch.bool else v.add_(1)
    elif isinstance(v, nn.Module):
        for t in (*v.parameters(), *v.buffers()): damage(t)
    elif isinstance(v, np.ndarray) and v.flags.writeable: v[...] = 0
    elif isinstance(v, list): v.append(0)
    elif isinstance(v, tuple): [damage(x) for x in v]

CODE = [e for e in ALL.values() if e.kind == 'function' and not isinstance(e.reference, type)]

@pytest.mark.parametrize('e', CODE, ids=lambda e: e.id)
def test_damaged_arguments_are_noticed_and_harm_nobody(e):
    "Every exercise: whoever writes into the arguments is told, and the right answer is right afterwards."
    from inspect import isgeneratorfunction
    loose = isgeneratorfunction(getattr(e.reference, '__wrapped__', e.reference))
    v = grade(e, damaging(e.reference))
    assert grade(e, e.reference).state == 'correct'
    if not (e.changes or loose): assert v.state != 'correct' or untouchable(e), v

def untouchable(e):
    "Nothing that it gets can be changed: numbers, names, functions."
    from camtutor.exercises.grading import attempt
    from camtutor.exercises.watch import Watch, noted
    got = []
    def seen(*args, **kwargs):
        got.extend(noted((args, kwargs.values()), ''))
        return e.reference(*args, **kwargs)
    for t in e.trials: attempt(t.run, seen, watch=Watch(e.reference))
    return not got

def test_methods_are_looked_at_too():
    class Keeps:
        def __init__(self): self.n = 0
        def see(self, A): self.n = self.n + A.relu().sum(); return self.n
    class Spoils(Keeps):
        def see(self, A): return super().see(A.relu_())
    Spoils.__name__ = 'Keeps'
    def run(answer):
        one = answer()
        one.see(rand(3))
        return one.n
    e = Exercise('9.4', 'Keeps', '', Keeps, trials=(Trial('Seen', run),))
    assert grade(e, Keeps).state == 'correct' and 'what it is given in place' in grade(e, Spoils).told

# Graphs

def test_a_graph_that_stays():
    assert 'still carries its graph' in said(lambda net, x, names: net[0](x).sum(1))
    assert said(lambda net, x, names: net[0](x).sum(1), changes=('graph',)) == ''

def score(out, target): return out[:, target]

def test_a_graph_that_is_lost():
    trial = gives('Class 2', rand(N, K), 2)
    e = Exercise('9.5', 'Score', '', score, trials=(trial,), graph=True)
    assert grade(e, score).state == 'correct' and grade(e, lambda out, target: out.T[target]).state == 'correct'
    for wrong in (lambda out, target: torch.tensor([r[target].item() for r in out]),
                  lambda out, target: out.detach()[:, target]):
        assert 'lost its graph' in grade(e, wrong).told
        assert grade(replace(e, graph=False), wrong).state == 'correct'

def test_a_graph_that_a_function_that_is_given_loses():
    e = Exercise('9.6', 'Target', '', lambda k: lambda out: out[:, k], graph=True,
                 trials=(Trial('2', lambda f: f(2)(rand(N, K))),))
    assert 'lost its graph' in grade(e, lambda k: lambda out: out.detach()[:, k]).told
    assert grade(e, lambda k: lambda out: out.T[k]).state == 'correct'

# Types, and the grader's own errors

A_, G_ = a_batch()
CAM = Exercise('9.7', 'CAM', '', lambda A, g: (A*g.mean((2, 3), keepdim=True)).sum(1),
               trials=(gives('Random', A_, G_), gives('Other sizes', rand(3, 4, 5, 7), rand(3, 4, 5, 7, seed=1))))

def likened(f, e=CAM): return (v := grade(e, f)).told or f'untold: {v.state} {v.message}'

def test_another_sort_of_thing():
    cam = CAM.reference
    assert 'should be a tensor, and it is a list. The numbers in it are right.' in likened(lambda A, g: list(cam(A, g)))
    assert 'it is a list.' in likened(lambda A, g: cam(A, g).tolist())
    assert 'a NumPy array. The numbers' in likened(lambda A, g: cam(A, g).numpy())
    assert 'a tuple' in likened(lambda A, g: (cam(A, g), 1)) and 'a string' in likened(lambda A, g: 'map')
    assert 'a number' in likened(lambda A, g: cam(A, g).sum().item())
    assert 'nothing (None). Is there a `return`?' in likened(lambda A, g: print(end='') if True else 1)
    assert 'a generator' in likened(lambda A, g: (a for a in cam(A, g)))
    assert 'float64 where float32' in likened(lambda A, g: cam(A, g).double())

def ours(source):
    "A trial's code, which stands among the course's."
    return eval(compile(source, exs.__file__, 'eval'), dict(A_=A_, G_=G_))

def test_an_error_of_the_trial_is_not_shown_as_the_learners():
    e = Exercise('9.8', 'Detached', '', CAM.reference, trials=(Trial('T', ours('lambda f: f(A_, G_).detach().sum()')),))
    for wrong in (lambda A, g: [1], lambda A, g: (1, 2), lambda A, g: np.zeros(3), lambda A, g: 'x'):
        v = grade(e, wrong)
        text = str(verdict_card(v))
        assert v.state == 'wrong' and 'should be a tensor' in v.told and 'attribute' not in text and 'Error' not in text
    trial = Trial('T', ours('lambda f: f(A_, G_)[9]'), torch.tensor(1.))
    v = grade(replace(e, trials=(trial,), reference=lambda A, g: [0]*10), lambda A, g: [0])
    assert v.state == 'wrong' and 'Error' not in str(verdict_card(v)) and 'art' in v.told

def test_warnings_are_kept_for_the_card(recwarn):
    def warns(A, g):
        warnings.warn('look out')
        return A[:, 0]
    v = grade(CAM, warns)
    assert 'UserWarning: look out' in v.printed and not recwarn.list

def test_its_own_name_is_the_learners(monkeypatch):
    "In a notebook the name means the library's, so that cells below run; while an answer is tried it means itself."
    class Counted:
        met = 0
        def __init__(self): super(Counted, self).__init__(); Counted.met += 1
    scope = dict(__name__='__main__', Counted='the library')
    exec('class Counted:\n    met = 0\n    def __init__(self):\n        super(Counted, self).__init__()\n'
         '        Counted.met += 1', scope)
    theirs, scope['Counted'] = scope['Counted'], 'the library'
    e = Exercise('9.9', 'Counted', '', Counted, trials=(Trial('One', lambda f: f().met > 0),))
    assert grade(e, theirs).state == 'correct' and scope['Counted'] == 'the library'

# Likenesses

def cam(A, g): return CAM.reference(A, g)
def per(f): return lambda A, g: f(cam(A, g))

LIKE = [
    ('h·w, the number of places', lambda A, g: cam(A, g)*A.shape[2]*A.shape[3]),
    ('where the sum is asked', lambda A, g: cam(A, g)/A.shape[1]),
    ('sign is turned round', per(lambda m: -m)),
    ('Negative values are cut', per(torch.relu)),
    ('The sign is lost', per(torch.abs)),
    ('axes come in another order', per(lambda m: m.transpose(1, 2))),
    ('axis of length 1 too many', per(lambda m: m[:, None])),
    ('laid out as', per(lambda m: m.flatten(1))),
    ('Axis 1 of yours is one too many', lambda A, g: A*g.mean((2, 3), keepdim=True)),
    ('the batch is added up', per(lambda m: m.sum(0))),
    ('axis 1 is averaged', per(lambda m: m.mean(1))),
    ('a single number, the sum of all', per(lambda m: m.sum())),
    ('stretched from its lowest', per(lambda m: (d := m - m.amin((1, 2), True))/d.amax((1, 2), True))),
    ('divide by the maximum of each picture', per(lambda m: m/m.amax((1, 2), True))),
    ('softmax in it, along axis 0', per(lambda m: m.softmax(0))),
    ('mean of each picture is subtracted', per(lambda m: m - m.mean((1, 2), True))),
    ('Only the first picture is right', lambda A, g: (A*g[:1].mean((2, 3), keepdim=True)).sum(1)),
    ('Every picture gets what is right for the first', per(lambda m: m[:1].expand_as(m).clone())),
    ('All of it is 0', per(lambda m: m*0)), ('everywhere. What differs', per(lambda m: m*0 + 3)),
    ('off by +2 everywhere', per(lambda m: m + 2)),
    ('Along axis 1 the last entry is missing', per(lambda m: m[:, :-1])),
    ('order along axis 2 is turned', per(lambda m: m.flip(2))),
    ('The maps are right, but enlarged', per(lambda m: nn.functional.interpolate(m[:, None], scale_factor=4)[:, 0])),
    ('square of the right value', per(lambda m: m*m)), ('right value, rounded', per(torch.round)),
    ('yes or no', per(lambda m: (m > 0).float())),
    ('divided by 0', per(lambda m: torch.where(m > 1, m*float('nan'), m))),
    ('at other places', per(lambda m: m.transpose(1, 2).reshape(m.shape))),
    ('and 0 in places where it should not be', per(lambda m: torch.where(m > .5, m*0, m))),
    ('wrong along the border', per(lambda m: m + nn.functional.pad(torch.zeros(len(m), *[n - 2 for n in m.shape[1:]]),
                                                                   (1, 1, 1, 1), value=.3)*m)),
]

@pytest.mark.parametrize('text,wrong', LIKE, ids=[t for t, _ in LIKE])
def test_a_wrong_result_is_like_something(text, wrong): assert text in likened(wrong)

def test_what_is_like_nothing_is_told_nothing():
    "And one that is like something on one trial alone."
    for wrong in (lambda A, g: (A*g).sum(1), lambda A, g: (A**2).sum(1), lambda A, g: rand(len(A), *A.shape[2:]),
                  lambda A, g: cam(A, g)*2 if len(A) == N else (A*g).sum(1)):
        assert likened(wrong).startswith('untold: wrong')
    assert grade(CAM, cam).state == 'correct'

def test_no_row_takes_the_right_for_wrong():
    for want in (rand(2, 3, 4), torch.arange(6), torch.tensor([True, False]), torch.zeros(2, 2), rand(3)):
        assert [row.__name__ for row in LIKENESS if row(want, want, {})] == [] and told([(want, want, {})]) == ''

def test_pairs_that_are_paired_with_everything():
    e = Exercise('9.10', 'Pick', '', lambda out, t: out[torch.arange(len(out)), t],
                 trials=(gives('T', rand(3, 7), [0, 6, 2]),))
    assert 'stands on the diagonal' in likened(lambda out, t: out[:, t], e)

def test_numbers_rows_and_dicts():
    assert 'percent' in a_number(25., .25) and '1 minus' in a_number(.75, .25) and 'one too many' in a_number(5, 4)
    assert 'sign' in a_number(-3., 3.) and 'root is missing' in a_number(9., 3.) and a_number(3.1, 2.7) == ''
    assert 'another order' in rows([2, 1, 3], [1, 2, 3]) and 'exchanged' in rows((2, 1), (1, 2))
    assert 'missing: 2 and not 3' in rows([1, 2], [1, 2, 3]) and rows([1, 5], [1, 2]) == ''
    assert "['b'] missing" in keyed(dict(a=1), dict(a=1, b=2))
    assert 'another order' in keyed(dict(b=2, a=1), dict(a=1, b=2))
    assert other_kind(3, 2.5) == other_kind((1, 2), [1, 2]) == '' and 'a network' in other_kind(nn.ReLU(), 'name')

def test_values_of_questions():
    shape, number = replace(ALL['1.3'], reference=(5, 128, 8, 8), mistakes=()), ALL['3.10'] # (5, 128, 8, 8); 0
    for right in ('(5, 128, 8, 8)', '5, 128, 8, 8', '5x128x8x8', '5 × 128 × 8 × 8', [5, 128, 8, 8]):
        assert grade(shape, right).passed, right
    assert grade(number, ' 0 ').passed and grade(number, '0.').passed
    assert '3 of 4 are right: look at number 2' in grade(shape, (5, 64, 8, 8)).told
    assert 'another order' in grade(shape, (128, 5, 8, 8)).told
    assert 'without words' in grade(number, 'none at all').told and 'are asked' in grade(shape, 5).told

# Exceptions

def test_exceptions_are_explained():
    a, b = torch.zeros(2, 3, requires_grad=True), torch.zeros(4, 5)
    def message(f):
        with pytest.raises(Exception) as e: f()
        return explained(type(e.value).__name__, str(e.value))
    assert 'single number' in message(lambda: (a*2).backward())
    assert 'no graph' in message(lambda: torch.autograd.grad(b.sum(), a))
    assert 'Print both shapes' in message(lambda: a @ b) and 'lined up from the right' in message(lambda: a + b)
    assert 'letter' in message(lambda: torch.einsum('ij,k->i', a, b))
    assert 'keep the number' in message(lambda: b.view(3)) and '`.float()`' in message(lambda: torch.arange(3).mean())
    assert 'beyond the end' in message(lambda: [1][3]) and 'no such key' in message(lambda: {}['x'])
    assert 'Axes begin at 0' in message(lambda: b.sum(3)) and 'not a tensor' in message(lambda: [1].detach())
    assert all(len(says) > 30 for _, says in EXPLAINED) and explained('OddError', 'nothing known') == ''

# Shared fixtures

def test_fixtures_are_what_they_say():
    net = uneven()
    x = differing(net)
    A = net[0](x)
    assert A.shape == (N, C, H, W) and net(x).shape == (N, K) and len({N, C, H, W, K, 3}) == 6
    assert len(set(net(differing(net, 3)).argmax(1).tolist())) == 3
    assert sum(isinstance(m, nn.Linear) for m in uneven(linears=2).modules()) == 2
    m, A = odd_maps(), dead(a_batch()[0])
    assert m.shape == (5, H, W) and not m[1].any() and (m[2] < 0).all()
    assert m[3].unique().numel() == 1 and (m[4] > 0).sum() == 1
    assert not A[:, 1].any() and (A[:, 2] == .1).all()

def test_an_error_of_the_network_arrives():
    def right(net, x):
        h = net[0].register_forward_hook(lambda *a: None)
        try: return net(x)
        finally: h.remove()
    def swallows(net, x):
        try: return net(x)
        except Exception: return None
    def leaves(net, x):
        h = net[0].register_forward_hook(lambda *a: None)
        out = net(x)
        h.remove()
        return out
    trial = error_arrives(uneven(), lambda f, net: f(net, rand(N, 3, 16, 12)))
    e = Exercise('9.11', 'Runs', '', right, trials=(trial,))
    assert grade(e, right).state == 'correct'
    assert 'has to see the error' in grade(e, swallows).message and '`finally`' in grade(e, leaves).message

# The learner's own in the library's place

def test_use_falls_back_where_the_exercise_did_not_ask(capsys):
    import camtutor.gradcam as gc
    theirs = gc.grad_cam
    def grad_cam(A, g):
        assert A.ndim == 4, 'not asked'
        return torch.einsum('nc,nchw->nhw', g.mean((2, 3)), A).relu()
    ex('3.2')(grad_cam)
    ex.use('3.2')
    A, g = rand(2, 3, 5), rand(2, 3, 5, seed=1) # a signal
    want = theirs(A, g)
    capsys.readouterr()
    assert torch.equal(gc.grad_cam(A, g), want) and torch.equal(gc.grad_cam(A, g), want)
    out = ' '.join(capsys.readouterr().out.split())
    assert out.count('gave up on a call') == 1 and 'AssertionError: not asked' in out

def test_use_of_a_class_that_does_less_is_refused():
    from camtutor.errors import CamError
    class Hook:
        def __init__(self, module): pass
    exs.given['1.2'] = Hook
    e = ALL['1.2']
    if e.library:
        with pytest.raises(CamError, match="stay with the library's"): ex.use('1.2')
    del exs.given['1.2']

def test_a_decorated_stub_is_one():
    from camtutor.exercises.stubs import is_stub
    class Stub:
        def __init__(self, model): ...
        @torch.no_grad()
        def project(self, y): ...
    class Written(Stub):
        @torch.no_grad()
        def project(self, y): return y
    assert is_stub(Stub) and not is_stub(Written)
