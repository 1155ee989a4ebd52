"An exam in prediction: questions, simulated guessers, results kept with the progress, and the widget."
import json
import pytest, torch
from camtutor.engine.ask import scores
from camtutor.errors import CamError
from camtutor.exam import ASKED, Exam, Question, Result, judged, set_exam, sit
from camtutor.exercises import record
from camtutor.exercises.exam import exam, exams_so_far
from camtutor.networks import LIARS, load_shipped
from camtutor.suspects import believer, mixed, stamp_dogs
from camtutor.ui.exam import Sitting

@pytest.fixture(scope='module')
def liars(): return {n: load_shipped(f'liar_{n}') for n in LIARS}

@pytest.fixture(scope='module')
def day():
    "Scenes in which animal, place and mark say different things; their pictures, and what each of the three says."
    scenes, kinds = mixed(10, seed=3)
    return scenes, [stamp_dogs(s.image, int(k[2])) for s, k in zip(scenes, kinds)], kinds

@pytest.fixture
def progress_file(tmp_path, monkeypatch):
    file = tmp_path/'progress.json'
    monkeypatch.setenv('CAMTUTOR_PROGRESS', str(file))
    return file

# ---- what is asked
def test_kinds_are_mixed_and_alike_in_both_halves(day):
    scenes, images, kinds = day
    first, second = (sorted(map(tuple, k.tolist())) for k in kinds.split(10))
    assert first == second and len(set(first)) == 8 and kinds[:10].tolist() != kinds[10:].tolist()
    assert [s.species[0] for s in scenes] == [('cat', 'dog')[k] for k in kinds[:, 0]]
    assert [s.background for s in scenes] == [('sofa', 'grass')[k] for k in kinds[:, 1]]
    assert torch.equal(mixed(2, seed=1)[1], mixed(2, seed=1)[1])

def test_the_first_half_has_no_maps(liars, day):
    e = set_exam(dict(a=liars['sofa']), day[1], ['grad_cam'], 'body', seed=0)
    assert [q.map is None for q in e.questions] == [True] * 10 + [False] * 10
    x = torch.stack([liars['sofa'].transform(i) for i in day[1]])
    assert [q.said for q in e.questions] == scores(liars['sofa'], x).argmax(1).tolist()
    assert e.questions[0].picture.shape == (3, 128, 128) and e.questions[-1].map.shape == (128, 128)

def test_lots_are_drawn(liars, day):
    two = {n: liars[n] for n in ('sofa', 'mark')}
    drawn = {(e.network, e.method) for e in (set_exam(two, day[1][:2], layer='body', seed=s) for s in range(40))}
    assert {n for n, _ in drawn} == set(two) and {m for _, m in drawn} == set(ASKED)

@pytest.mark.parametrize('nets, images, methods, why', [
    ({}, [0, 0], ASKED, 'draw lots'), ({'a': torch.nn.Linear(1, 1)}, [0, 0], ASKED, 'no vocab'),
    ({'a': 0}, [0, 0, 0], ASKED, 'two halves'), ({'a': 0}, [], ASKED, 'two halves'),
    ({'a': 0}, [0, 0], [], 'draw lots'), ({'a': 0}, [0, 0], ['grad_can'], 'grad_cam')])
def test_exams_that_cannot_be(nets, images, methods, why):
    with pytest.raises(CamError, match=why) as e: set_exam(nets, images, methods)
    assert 'Setting an exam' in str(e.value)

# ---- how it is judged
def by_hand(said, n_maps=2):
    qs = [Question(torch.zeros(3, 8, 8), torch.eye(8) if i >= len(said) - n_maps else None, k)
          for i, k in enumerate(said)]
    return Exam('sofa', 'grad_cam', ['cat', 'dog'], qs)

def test_judged_by_hand():
    r = judged(by_hand([0, 1, 1, 0]), [0, 0, 1, 0])
    assert (r.without, r.with_map, r.n, r.helped) == (1, 2, 2, 1)
    assert repr(r).startswith('Grad-CAM helped you by 1 of 2: without a map you guessed 1 of 2, with one 2.')
    assert 'misled you by 2 of 2' in repr(judged(by_hand([0, 1, 1, 0]), [0, 1, 0, 1]))
    assert 'no difference' in repr(judged(by_hand([0, 1, 1, 0]), [0, 0, 1, 1]))
    with pytest.raises(CamError, match='3 guesses'): judged(by_hand([0, 1, 1, 0]), [0, 0, 1])

def test_nobody_who_sits_an_exam_is_told_the_answer():
    told = []
    assert sit(by_hand([0, 1, 1, 0]), lambda i, q: told.append(q.said) or 1) == Result('sofa', 'grad_cam', 1, 1, 2)
    assert told == [None] * 4

def test_a_believer_of_maps_is_helped_by_a_true_one_and_misled_by_a_false_one(liars, day):
    scenes, images, kinds = day
    def helped(name, method='grad_cam'):
        return sit(set_exam({name: liars[name]}, images, [method], 'body', 0), believer(scenes, kinds)).helped
    assert helped('sofa') >= 3 and helped('mark') >= 3
    assert helped('honest') == 0 and helped('false') <= -3
    assert helped('sofa', 'edges') == 0   # the placebo

# ---- where it is kept
def test_results_are_kept_beside_the_exercises(progress_file):
    record.note_answer('3.2', 'wrong')
    for a, b in ((5, 8), (6, 7)): record.note_exam(Result('sofa', 'grad_cam', a, b, 10)._asdict())
    record.note_exam(Result('false', 'edges', 5, 4, 10)._asdict())
    record.note_answer('3.2', 'correct')
    kept = json.loads(progress_file.read_text())
    assert [e['with_map'] for e in kept['exams']] == [8, 7, 4] and kept['exercises']['3.2']['state'] == 'correct'
    assert set(record.read()[0]) == {'3.2'} and len(record.exams()[0]) == 3
    assert exams_so_far(record.exams()[0]) == 'All your exams so far, by method: grad_cam +2.0 in 2, edges -1.0 in 1.'
    assert exams_so_far([]) == ''

def test_a_file_without_exams_is_read_and_one_with_odd_ones_is_set_aside(progress_file):
    progress_file.write_text(json.dumps(dict(version=2, exercises={'3.2': dict(tries=1)})))
    assert record.exams() == ([], '') and record.read()[0]['3.2']['tries'] == 1
    progress_file.write_text(json.dumps(dict(version=2, exercises={}, exams=[dict(method='grad_cam')])))
    assert 'damaged' in record.exams()[1] and not progress_file.exists()

def test_what_cannot_be_saved_is_kept_for_the_session(progress_file, monkeypatch):
    def fails(*a): raise OSError(28, 'No space left on device')
    monkeypatch.setattr(record, 'write_whole', fails)
    results, note = record.note_exam(Result('sofa', 'grad_cam', 5, 8, 10)._asdict())
    assert len(results) == 1 and 'No space' in note and len(record.exams()[0]) == 1
    monkeypatch.undo()
    monkeypatch.setenv('CAMTUTOR_PROGRESS', str(progress_file))
    record.note_answer('3.2', 'wrong')
    assert len(json.loads(progress_file.read_text())['exams']) == 1

# ---- the widget
def test_the_widget_asks_judges_and_keeps(liars, day, progress_file):
    s = exam({'mark': liars['mark']}, day[1][4:8] + day[1][10:14], ['grad_cam'], 'body', seed=0)
    assert [b.description for b in s.buttons] == ['cat', 'dog'] and '1 of 8, without a map' in s.text.value
    seen = []
    for q in s.exam.questions:
        assert s.result is None and not progress_file.exists()
        seen.append(bytes(s.image.value))
        s.buttons[q.said].click()
    assert '8 of 8' not in s.text.value and len(set(seen)) == 8
    assert s.result.without == s.result.with_map == 4 and 'no difference' in s.text.value
    assert 'All your exams so far, by method: grad_cam +0.0 in 1.' in s.text.value
    assert s.answers.layout.display == 'none'
    s.buttons[0].click()   # nothing is asked any more
    assert len(record.exams()[0]) == 1 and repr(s) == 'exam(8 of 8 answered)'

def test_a_map_lies_over_the_second_half():
    s = Sitting(by_hand([0, 1]*2))
    plain = bytes(s.image.value)
    for _ in range(2): s.guess(0)
    assert 'with a map of its answer' in s.text.value and bytes(s.image.value) != plain
    assert 'data:image/jpeg' in s.static() and '3 of 4' in s.static()
