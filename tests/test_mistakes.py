"A network's mistakes: values by hand, every kind of data, what is left behind, the report, the widget, the command."
import math, random, re

import pytest, torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from camtutor import labelled as L, troubles as T
from camtutor.blunders import (Mistake, Mistakes, cause_of, looked_at, seen_by, show_mistake, top_mistakes, worst,
                               wrong_in)
from camtutor.cli import main
from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.mistakes import cause, counts_of, loss_of, outside, overlap, top_places
from camtutor.networks import load_pets
from camtutor.report import confusion_table, mistake_report, report_of, writable
from camtutor.scenes import scene
from camtutor.sheets import heat, regions, sheet_of
from camtutor.ui.confusion import confusion

# ---- by hand

def test_loss_is_the_cross_entropy_of_a_softmax():
    out = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0, 1, 2, 3, 0, 2])
    check_tensor(loss_of(out.softmax(1), y), nn.functional.cross_entropy(out, y, reduction='none'))
    assert loss_of(torch.tensor([[1., 0.]]), torch.tensor([1])).isfinite().all()

def test_top_places_are_above_0():
    m = torch.zeros(1, 10, 10)
    m[0, 2, 3:8] = torch.arange(1., 6.)
    assert top_places(m).sum() == 5 and top_places(m, .03).sum() == 3 and not top_places(-m).any()

def test_overlap_and_outside():
    a, b = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    a[0, 0], b[0, :2] = True, True
    check_tensor(overlap(a, b), [.5])
    check_tensor(overlap(a & ~a, b & ~b), [0.])
    check_tensor(outside(b, a), [.5])
    check_tensor(outside(b, a, 1), [0.])
    check_tensor(outside(a & ~a, a), [0.])

@pytest.mark.parametrize('numbers, want', [
    ((.25, .9, .9, .2), 'habit of the data'), ((.25, .9, .9, .1), 'look-alikes'),
    ((.2, .3, .3, .1), 'two right answers'), ((.2, .29, .9), 'unclear'), ((.2, .9, .9, math.nan), 'two right answers')])
def test_the_rule(numbers, want): assert cause(*numbers) == want

def test_thresholds_move():
    assert cause(.2, .9, .9, near=.1) == 'look-alikes' and cause(.2, .9, .9, high=.95) == 'unclear'
    assert cause(.2, .9, .9, .5, off=.6) == 'two right answers'

# ---- a network that is wrong in a known way

class Sides(nn.Module):
    "Its score of class 0 is how much red there is, of class 1 how much green, of class 2 a little of nothing."
    vocab = ['red', 'green', 'none']
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 3, 1, bias=False)
        self.body.weight.data = torch.diag(torch.tensor([1., 1., .1]))[:, :, None, None]
    def forward(self, x): return 9 * nn.functional.avg_pool2d(self.body(x), 8).flatten(2).mean(2)

def halves(left, right):
    x = torch.zeros(3, 16, 16)
    x[left, :, :8], x[right, :, 8:] = 1., .9
    return x

NET = Sides().eval()
X = torch.stack([halves(0, 1), halves(1, 0), halves(0, 0), halves(0, 1)])
Y = torch.tensor([1, 1, 0, 2])   # wrong, right, right, wrong by far

def loader(bs=3): return DataLoader(list(zip(X, Y)), batch_size=bs)

def test_the_worst_comes_first_and_all_are_counted():
    found = top_mistakes(NET, loader(), n=None, layer='body')
    assert [m.number for m in found] == [3, 0] and found[0].loss > found[1].loss
    check_tensor(found.counts, torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 0]]))
    check_tensor(found.counts, counts_of(Y, torch.tensor([0, 1, 0, 0]), 3))
    assert [(m.said, m.true) for m in found] == [('red', 'none'), ('red', 'green')]
    assert repr(found) == 'Mistakes(2 of 4 pictures were wrong; 2 are here)'
    assert [m.number for m in top_mistakes(NET, loader(), n=1)] == [3]

def test_two_halves_are_two_right_answers():
    m = top_mistakes(NET, loader(), n=None, layer='body')[1]
    left, right = torch.zeros(2, 16, 16, dtype=torch.bool)
    left[:, :8], right[:, 8:] = True, True
    assert (m.map_said > 0)[left].all() and not (m.map_said > 0)[right].any()
    assert m.overlap == 0 and m.alone_said > .5 and m.alone_true > .5 and math.isnan(m.outside)
    assert cause_of(m) == 'two right answers'
    check_tensor(torch.tensor([m.p_said, m.p_true]), NET(X[:1]).softmax(1)[0, :2])
    assert m.loss == pytest.approx(-math.log(m.p_true), rel=1e-4)

def test_a_mask_says_what_is_off_the_thing():
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[:, 8:] = True
    [m] = top_mistakes(NET, [(X[0], 'green', mask)], layer='body')
    assert m.outside == 1 and cause_of(m) == 'habit of the data'
    [m] = top_mistakes(NET, [(X[0], 'green', ~mask)], layer='body')
    assert m.outside == 0

@pytest.mark.parametrize('method', ['grad_cam', 'hires_cam', 'saliency', 'eigen_cam'])
def test_any_method(method):
    found = top_mistakes(NET, loader(), method=method)
    assert len(found) == 2 and found.method == method and found[0].map_said.shape == (16, 16)

def test_a_batch_of_one_gives_the_same():
    many, single = (top_mistakes(NET, loader(b), n=None, layer='body', bs=b) for b in (4, 1))
    for a, b in zip(many, single):
        assert a.number == b.number and a.loss == pytest.approx(b.loss) and a.overlap == b.overlap
        check_tensor(a.map_said, b.map_said)

def test_the_steps_fit_together():
    batches = list(L.labelled(NET, loader(4)))
    wrong, counts = worst(NET, batches, 1)
    p = NET(X).detach().softmax(1)
    assert wrong[0].number == 3 and counts.sum() == 4 and [w.number for w in wrong_in(batches[0], p, Y, 10)] == [10, 13]
    maps, alone, margin = seen_by(NET, X, [0, 1, 0, 0], 'grad_cam', 'body', None)
    assert maps.shape == (4, 16, 16) and alone.shape == (4,) and margin == 0
    [m] = looked_at(NET, wrong, 'grad_cam', 'body', None, NET.vocab)
    assert isinstance(m, Mistake) and m.said == 'red'

def test_nothing_is_left_behind():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(4, 3)).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    torch.manual_seed(5)
    states = torch.get_rng_state(), random.getstate()
    top_mistakes(net, DataLoader(list(zip(X, Y)), batch_size=2, shuffle=True))
    assert net.training and all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert all(p.grad is None for p in net.parameters()) and not any(m._forward_hooks for m in net.modules())

# ---- where pictures come from

def test_a_learner_and_its_own_validation_set():
    from camtutor.pets import pets_learner, scenes_dls
    learn = pets_learner(scenes_dls(n=8, n_valid=8, bs=4, size=32))
    found = top_mistakes(learn, n=None)
    with torch.no_grad():
        out = torch.cat([learn.model.eval()(x.as_subclass(torch.Tensor)) for x, _ in learn.dls.valid])
    y = torch.cat([torch.as_tensor(b) for _, b in learn.dls.valid])
    assert len(found) == (out.argmax(1) != y).sum() and found.counts.sum() == 8 and found.vocab == ['cat', 'dog']
    assert top_mistakes(learn, learn.dls, n=None).counts.equal(found.counts)

@pytest.fixture
def folder(tmp_path):
    "Photos in folders that are named like the classes, one of them no picture."
    for i, (name, kind) in enumerate([('cat', 'dog'), ('cat', 'cat'), ('dog', 'fox')]):
        (tmp_path/name).mkdir(exist_ok=True)
        Image.fromarray(scene(100 + i, kind).image).save(tmp_path/name/f'<b>{i}&.png')
    (tmp_path/'dog'/'broken.png').write_bytes(b'no picture')
    return tmp_path

def test_a_folder_of_folders(folder):
    net = load_pets()
    with pytest.warns(UserWarning, match='left out'): found = top_mistakes(net, folder)
    assert found.counts.sum() == 3 and {m.name for m in found} == {'cat/<b>0&.png', 'dog/<b>2&.png'}
    assert {(m.true, m.said) for m in found} == {('cat', 'dog'), ('dog', 'fox')}

def test_scenes_bring_their_masks():
    [m] = top_mistakes(load_pets(), [(scene(100, 'dog'), 'cat')])
    assert m.said == 'dog' and m.outside < .5 and top_mistakes(load_pets(), [(scene(100, 'dog'), 'dog')]).items == []

@pytest.mark.parametrize('data, says', [
    (None, 'no pictures'), (3, 'holds no pictures'), ([], 'no picture'), ([X[0]], 'item 0'),
    ([(X[0], 'blue')], 'no class of the network'), ([(X[0], 7)], 'no class of the network'),
    ([(X[0], 1, torch.ones(3, 3))], 'mask of picture 0'), (DataLoader(X), 'pairs'),
    (DataLoader(list(zip(X, torch.rand(4)))), 'class numbers'), ('/no/such/folder', 'is not one')])
def test_what_cannot_be(data, says):
    with pytest.raises(CamError, match=says) as e: top_mistakes(NET, data)
    assert e.value.doing == 'Looking for mistakes'

def test_other_bad_input(tmp_path):
    Image.new('RGB', (9, 9)).save(tmp_path/'a.png')
    with pytest.raises(CamError, match='all in one place'): top_mistakes(load_pets(), tmp_path)
    with pytest.raises(CamError, match="no method 'gradcam'"): top_mistakes(NET, loader(), method='gradcam')
    with pytest.raises(CamError, match='bs is 0'): top_mistakes(NET, [(X[0], 1)], bs=0)
    with pytest.raises(CamError, match='no probabilities'): top_mistakes(nn.Sequential(
        nn.Conv2d(3, 1, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), DataLoader(list(zip(X, Y * 0))))

# ---- figures, report, widget, command

FOUND = top_mistakes(NET, loader(), n=None, layer='body')

def test_figures():
    assert len(show_mistake(FOUND[0]).axes) == 4 and len(FOUND.sheet().axes) == 6
    assert FOUND._repr_jpeg_()[:2] == b'\xff\xd8' and FOUND.causes(high=.99) == {'unclear': 2}
    a, b = torch.zeros(2, 4, 4, dtype=torch.bool)
    a[0], b[:, 0] = True, True
    r = regions(torch.zeros(3, 4, 4), a, b)
    check_tensor(r[:, 0, 0], torch.tensor([.55] * 3))       # both: towards white
    assert r[0, 0, 1] > r[2, 0, 1] and r[2, 1, 0] > r[0, 1, 0] and r[:, 2, 2].sum() == 0
    with pytest.raises(CamError, match='no mistake'): sheet_of([], top_places, [])
    empty = Mistakes([], FOUND.counts, FOUND.vocab, 'grad_cam')
    assert empty._repr_jpeg_() is None

def test_the_report_needs_nothing_else_and_escapes_names(tmp_path):
    evil = '<script>alert(1)</script>"'
    bad = Mistakes([FOUND[0]._replace(name=evil, said=evil)], FOUND.counts, [evil, 'b', 'c'], 'grad_cam')
    page = mistake_report(bad, tmp_path/'m.html', title=evil).read_text(encoding='utf8')
    assert evil not in page and page.count('<script>') == 1 and '&lt;script&gt;' in page
    assert not re.search(r'(src|href)="(?!data:)', page) and 'http' not in page.replace('http-equiv', '')
    assert page.count('<img ') == 4 and 'aria-sort' in page

def test_the_report_counts():
    page = report_of(FOUND, high=.4)
    assert '2 of 4 pictures were wrong' in page and page.count('<tr><td><img') == 2
    assert [re.search(rf'<td>{c}</td><td class="n">(\d)', page)[1] for c in ('two right answers', 'unclear')] == [
        str(FOUND.causes(high=.4)[c]) for c in ('two right answers', 'unclear')]
    assert 'data-v="-1"' in page                                # what nobody knows sorts below all that is known
    cells = re.findall(r'<td class="n"[^>]*>(\d+)</td>', confusion_table(FOUND))
    assert list(map(int, cells)) == FOUND.counts.flatten().tolist()

def test_where_a_report_cannot_be_written(tmp_path):
    with pytest.raises(CamError, match='must end in .html'): mistake_report(FOUND, tmp_path/'m.pdf')
    with pytest.raises(CamError, match='no folder'): writable(tmp_path/'no'/'m.html')

def test_cells_open_their_pictures():
    view = confusion(FOUND)
    first = view.image.value
    assert view.cells[1, 0].description == '1' and view.cells[0, 0].disabled and view.cells[0, 1].disabled
    view.cells[2, 0].click()
    assert '<em>none</em> called <em>red</em>' in view.text.value
    second = view.image.value
    view.cells[1, 0].click()
    assert '<em>green</em> called <em>red</em>' in view.text.value and view.image.value != second
    assert first in (second, view.image.value) and '<img' in view.static() and '<table' in view.static()
    with pytest.raises(CamError, match='no mistake'): confusion(Mistakes([], FOUND.counts, FOUND.vocab, 'grad_cam'))
    assert view.explore.layout.display == 'none'   # without a network there is nothing to explore with

def test_a_cell_opens_in_the_explorer():
    view = confusion(FOUND, NET)
    view.cells[1, 0].click()
    view.explore.click()
    assert len(view.below.children) == 1 and not view.alert.value
    ex = view.explorer()
    assert [ex.study.name(k) for k in ex.view().classes] == ['red', 'green']   # what was said, what was true
    assert torch.equal(ex.study.subject.x[0], FOUND[1].x) and torch.equal(FOUND[1].x, X[0])
    check_tensor(ex.raw(0), NET.body(X[:1])[:, 0].relu() * 9 / 256)
    view.cells[2, 0].click()
    assert view.below.children == ()   # it showed the pictures of another cell
    ex = view.explorer()
    ex.panel.thumbs.children[0].click()
    assert ex.study.name(ex.class2) == 'none'
    view.mistakes = Mistakes(FOUND.items, FOUND.counts, FOUND.vocab, 'no_such_method')
    view.explore.click()
    assert 'no_such_method' in view.alert.value and view.below.children == ()

def test_the_command(folder, tmp_path, capsys):
    out = tmp_path/'out.html'
    with pytest.warns(UserWarning): assert not main(['mistakes', str(folder), '--model', 'pets', '--out', str(out)])
    said = capsys.readouterr().out
    assert '2 of 3 pictures were wrong' in said and out.read_text(encoding='utf8').count('<tr><td><img') == 2
    assert '&lt;b&gt;0&amp;.png' in out.read_text(encoding='utf8')
    assert main(['mistakes', str(folder), '--out', str(tmp_path/'x.txt')]) == 1
    assert 'must end in .html' in capsys.readouterr().err

# ---- scenes with a known cause

def test_each_kind_of_scene_is_what_it_says():
    train = T.few(2)
    assert [label for _, label in train[::2]] == list(T.CLASSES) and len(train) == 12
    assert {s.background for s, label in train if label in T.HOME} == set(T.HOME.values())
    assert not {s.background for s, label in train if label not in T.HOME} & set(T.HOME.values())
    assert {label for _, label in T.look_alikes(4)} == {'striped cat', 'spotted cat'}
    for s, label in T.two_right(4): assert len(set(s.species)) == 2 and T.CLASSES[label][0] in s.species
    for s, label in T.abroad(4): assert s.background in T.HOME.values() and T.HOME.get(label) != s.background
    for s, label in T.far_at_home(4): assert s.background in T.ROOMS and label not in T.HOME and s.mask().mean() < .05
    there = {(label, s.background) for s, label in T.everywhere(18)}
    assert {b for label, b in there if label == 'dog'} >= set(T.HOME.values()) and len(there) == 18

def test_what_a_scene_was_drawn_for():
    (s, label), = T.abroad(1)
    home = next(k for k, place in T.HOME.items() if place == s.background)
    assert T.as_meant('habit of the data', s, home) and not T.as_meant('habit of the data', s, 'fox')
    assert T.as_meant('look-alikes', s, 'spotted cat') and not T.as_meant('look-alikes', s, 'pig')

def test_a_table_as_a_picture():
    import pandas as pd
    assert heat(pd.DataFrame([[1, 2]], ['a'], ['b', 'c']), 'y', 'x')[:2] == b'\xff\xd8'
