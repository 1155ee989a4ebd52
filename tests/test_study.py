"What the explorer knows, without a single widget: pictures, maps, scale, truth and words."
import io, subprocess, sys
import pytest, torch
from PIL import Image
from torch import nn
from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.explanation import explain
from camtutor.networks import load_pets
from camtutor.scenes import scene
from camtutor.show import as_images, overlay, upsample
from camtutor.ui import html
from camtutor.ui.drawing import PALETTE, Scale, outlined, ring, scale_of
from camtutor.ui.study import Study, View
from camtutor.ui.subject import PICTURES, Eye, read
from camtutor.where import maps_by_class

@pytest.fixture(scope='module')
def net(): return load_pets()

@pytest.fixture(scope='module')
def study(net):
    s = Study(net, PICTURES[:2])
    s.take(s.read(PICTURES[0]))
    return s

def view(study, name='cat', layer='0.7', **more): return View(study.number(name), layer, **more)

def test_no_widget_is_needed():
    code = 'import sys, camtutor.ui.study; assert not {"ipywidgets", "anywidget"} & {*sys.modules}'
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True)

def test_maps_are_the_library_s_own(study, net):
    picture = scene(3, 'cat', background='sofa')
    for method in ('grad_cam', 'guided_grad_cam'):
        e = explain(net, picture, method, '0.6', 'dog')
        check_tensor(study.raw(method, study.number('dog'), '0.6'), e.raw if method == 'grad_cam' else e.map, rtol=1e-3)
    a, b = study.number('cat'), study.number('dog')
    shown = study.shown(View(a, '0.6', compare='difference', class2=b))
    check_tensor(shown[0].raw, study.raw('grad_cam', a, '0.6') - study.raw('grad_cam', b, '0.6'))
    assert shown[0].classes == (a, b)
    assert [s.classes for s in study.shown(View(a, '0.6', compare='two', class2=b))] == [(a,), (b,)]

def test_a_picture_follows_its_view(study):
    v = view(study, opacity=.5, cmap='viridis')
    m = study.shown(v)[0].raw
    fine = as_images(scene(3, 'cat', size=384, background='sofa'))
    check_tensor(study.picture(m, v), overlay(fine, m, .5, 'viridis'))
    check_tensor(study.picture(m, v._replace(held=2.)), overlay(fine, m, .5, 'viridis', vmax=2.))
    lines = ring(torch.from_numpy(scene(3, 'cat', background='sofa').mask('head'))[None], (384, 384))
    check_tensor(study.picture(m, v._replace(outline='head')), outlined(overlay(fine, m, .5, 'viridis'), lines))

M = torch.tensor([[[-1., 0., 2., 4.]]])

@pytest.mark.parametrize('m, signed, top, want', [
    (M, False, None, Scale(0, 4, False, True)),         # the negative value is drawn as 0
    (M.relu(), False, None, Scale(0, 4, False, False)),
    (M + 2, False, None, Scale(1, 6, False, False)),    # its own lowest value is the dark end
    (M, True, None, Scale(-4, 4, False, False)),
    (M, True, 2., Scale(-2, 2, True, True)),
    (M, False, 2., Scale(0, 2, True, True)),            # a range that is held
    (M.relu(), False, 8., Scale(0, 8, False, False)),
    (-M.abs(), False, None, Scale(0, 0, True, True))])  # nothing above 0
def test_what_the_colours_mean(m, signed, top, want): assert scale_of(m, signed, top) == want

def test_the_scale_in_words():
    def said(*scale): return html.scale_bar(Scale(*scale), [(0, 0, 0)])
    assert 'from 0 to 4' in said(0, 4, False, True) and 'from 0 to ≥ 2' in said(0, 2, True, True)
    assert 'from ≤ -2 to ≥ 2' in said(-2, 2, True, True)

def test_ring_by_hand():
    dot = torch.zeros(1, 9, 9, dtype=torch.bool)
    dot[0, 4, 4] = True
    light, dark = ring(dot, (9, 9))
    assert (light.sum(), dark.sum()) == (3*3 - 1, 7*7 - 3*3)

def test_truth_by_hand(study):
    mask = study.eye.mask(study.subject.masks['animal'])
    perfect, nothing = study.truth(mask.float(), 'animal'), study.truth(torch.zeros(1, 4, 4), 'animal')
    assert perfect.energy == pytest.approx(1) and perfect.grid == pytest.approx(1) and perfect.inside is True
    assert perfect.uniform == pytest.approx(mask.float().mean().item()) and nothing.inside is None
    assert study.truth((~mask).float(), 'animal').inside is False

def test_the_line_makes_the_map(study):
    for v in (view(study), view(study, 'fox', '0.5'), view(study, method='saliency'),
              view(study, compare='difference', class2=study.number('dog'))):
        made = eval(study.line(v), dict(explain=explain, load_pets=load_pets, scene=scene, model=study.model))
        check_tensor(study.shown(v)[0].raw, made, rtol=1e-3, atol=1e-6)
    assert 'layer' not in study.line(view(study, method='saliency'))

def test_a_method_of_the_whole_network_is_run_once_for_all_layers(study, monkeypatch):
    made = []
    monkeypatch.setattr(study, 'compute', lambda *key: made.append(key) or torch.zeros(1, 4, 4))
    study.forget()
    for layer in ('0.5', '0.6'): study.raw('saliency', 0, layer), study.raw('guided_grad_cam', 0, layer)
    assert made == [('saliency', 0, None), ('guided_grad_cam', 0, '0.5'), ('guided_grad_cam', 0, '0.6')]
    study.forget()

def test_names_of_classes(study):
    assert study.number('cat') == study.number(' CAT ') == study.number('ca') == study.number(study.vocab.index('cat'))
    assert [study.name(k) for k in study.ranked()][0] == 'cat' and study.sure(study.ranked()[0]).endswith('%')
    for wrong in ('cta', 99, 'a'):
        with pytest.raises(CamError, match='Choosing a class: there is no'): study.number(wrong)

def test_another_picture_is_one_forward_pass_and_a_broken_one_changes_nothing(net):
    s, passes = Study(net, PICTURES), []
    s.take(s.read(PICTURES[0]))
    handle = net.register_forward_pre_hook(lambda m, a: passes.append(1))
    s.take(s.read(PICTURES[1]))
    handle.remove()
    before = s.subject, s.cache, s.taken
    assert len(passes) == 1 and s.taken == 2
    with pytest.raises(CamError): s.take(s.subject._replace(x=torch.zeros(1, 3)))
    assert all(a is b for a, b in zip(before, (s.subject, s.cache, s.taken)))

def test_subjects(net):
    eye = Eye(net, None)
    s = read(eye, dict(seed=31, species=('cat', 'dog'), background='carpet'), size=200)
    assert s.title == 'cat and dog' and s.code == "scene(31, species=('cat', 'dog'), background='carpet')"
    assert s.image.shape[-1] == 200 and {'animal', 'animal 1: cat', 'animal 2: dog'} <= {*s.masks}
    assert read(eye, scene(1, 'fox'), 4).code == 'images[4]' and read(eye, torch.rand(1, 3, 64, 64)).masks == {}
    with pytest.raises(CamError, match='picture 3 is a batch of 2'): read(eye, torch.rand(2, 3, 64, 64), 2)

def test_numbers_of_a_network_without_names():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    s = Study(net, torch.randn(1, 3, 16, 16))
    s.take(s.read(s.sources[0]))
    v = View(1, s.last)
    assert s.name(1) == 'class 1' and 'target=1' in s.line(v) and '# class: class 1, probability' in s.numbers(v)
    assert s.explanation(v).label == explain(net, s.subject.x, target=1).label
    check_tensor(s.explanation(v).map, upsample(s.raw('grad_cam', 1, s.last), (16, 16)))

# ---- which class each place speaks for

def test_each_place_speaks_for_the_class_to_which_it_adds_most(study, net):
    found = study.places('0.7')
    maps = maps_by_class(net, study.subject.x, '0.7', found.classes)[:, 0]
    check_tensor(found.maps, upsample(maps, (384, 384)), atol=1e-5)
    assert found.classes == study.ranked() and found.parts.shape == (384, 384)
    row, column = divmod(found.maps[0].argmax().item(), 384)
    values, k = found.at((column + .5) / 384, (row + .5) / 384)   # where most is added to the likeliest class
    assert k == 0 and study.name(found.classes[0]) == 'cat'
    check_tensor(values, found.maps[:, row, column])
    check_tensor(found.at(1., 1.)[0], found.maps[:, -1, -1])      # the far corner is the last pixel

def test_places_in_words_and_colours(study):
    found = study.places('0.7')._replace(classes=[0, 3], maps=torch.tensor([[[1., 0.]], [[-2., 0.]]]),
                                         parts=torch.tensor([[0, -1]]))
    a, b = study.name(0), study.name(3)
    assert f'speaks for <b>{a}</b>. It adds to the scores: {a} +1, {b} -2.' in study.said_at(found, 0., 0.)
    assert 'for none of them' in study.said_at(found, 1., 0.)
    key = study.key_of(found)
    assert f'<span>{a}</span><span>50%' in key and 'no class</span><span>50%' in key and b not in key
    painted = as_images(Image.open(io.BytesIO(study.painted(found._replace(parts=torch.zeros(384, 384).long())))))
    grey = study.subject.image.mean(1, keepdim=True)
    assert (painted - .45 * grey - .55 * torch.tensor(PALETTE[0])[:, None, None] / 255).abs().mean() < .02

def test_of_many_classes_the_likeliest_eight():
    torch.manual_seed(0)
    pool = nn.AdaptiveAvgPool2d(1)
    net = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.ReLU(), pool, nn.Flatten(), nn.Linear(6, 30)).eval()
    study = Study(net, [torch.rand(1, 3, 16, 24)])
    study.take(study.read(study.sources[0]))
    assert study.places('0').classes == study.ranked()[:8] and 'the 8 classes' in study.places_title('0')
