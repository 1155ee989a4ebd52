"The explorer without a browser: what it keeps, what it shows, and that nothing goes wrong unseen."
import asyncio, gc, io, re, threading, time, weakref
import numpy as np, pytest, torch
from PIL import Image
from torch import nn
from torchvision.models import VisionTransformer, resnet18
from torchvision.transforms import v2 as T
from camtutor.cam import grid_energy, energy, peak_inside
from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.engine.layers import map_layers
from camtutor.engine.targets import class_score
from camtutor.explanation import explain
from camtutor.gradcam import capture, grad_cam
from camtutor.methods import METHODS, Method
from camtutor.networks import load_pets
from camtutor.pets import pets_dls, pets_learner
from camtutor.scenes import scene
from camtutor.show import as_images, colorize, normalize, overlay, to_jpeg, upsample
from camtutor.ui import html
from camtutor.ui.cache import CamCache
from camtutor.ui.explorer import Explorer, drive
from camtutor.ui.study import MAX_UPLOAD

@pytest.fixture(scope='module')
def net(): return load_pets()

@pytest.fixture
def x(net): return net.transform(scene(3, 'cat'))[None]

@pytest.fixture(scope='module')
def shared(): return Explorer(outline='animal')

@pytest.fixture
def ex(shared):
    "The shared explorer, back at its first picture."
    drive(shared, picture=0, method='grad_cam', compare='one', scale='own', opacity=.7, cmap='magma',
          outline='animal', layer='0.7', classes='all')
    yield shared

def forwards(net):
    "A list that grows with every forward pass of `net`, and the hook's handle."
    seen = []
    return seen, net.register_forward_pre_hook(lambda m, a: seen.append(1))

# ---- CamCache
def test_cache_agrees_with_capture_everywhere(net, x):
    cache = CamCache(net, x)
    for k in (0, 3, None):
        for layer in cache.layers:
            A, g = cache.get(layer, k)
            seen = capture(net, x, layer, k)
            check_tensor(A, seen.acts, name=f'activations at {layer}')
            check_tensor(g, seen.grads, atol=1e-7, name=f'gradients at {layer}')

def test_cache_costs_one_forward_and_at_most_two_backwards_a_class(net, x):
    layers = map_layers(net, x)
    seen, handle = forwards(net)
    cache = CamCache(net, x, layers)
    for layer in reversed(cache.layers): cache.get(layer, 1)
    assert cache.backwards == 2           # as far as the last layer, then to the first
    for layer in cache.layers: cache.get(layer, 2)
    assert cache.backwards == 3           # from the first layer at once
    for layer in cache.layers: cache.get(layer, 1), cache.get(layer, 2)
    handle.remove()
    assert (cache.backwards, len(seen)) == (3, 1)

def test_cache_memory_is_bounded_and_the_oldest_class_goes_first(net, x):
    cache = CamCache(net, x)
    cache.get('0.0', 0)
    cache.keep_mb = 2.5 * cache.mb
    for k in (1, 0, 2): cache.get('0.0', k)
    assert list(cache.kept) == [0, 2] and cache.mb <= cache.keep_mb
    tight = CamCache(net, x, keep_mb=0)
    for k in (0, 1, 2): check_tensor(tight.get('0.6', k)[1], capture(net, x, '0.6', k).grads)
    assert list(tight.kept) == [2]

def test_cache_is_freed(net, x):
    cache = CamCache(net, x)
    cache.get('0.4', 1)
    ref = weakref.ref(cache.forward.acts['0.4'])
    cache.free()
    assert ref() is None
    with pytest.raises(CamError, match='emptied'): cache.get('0.4', 1)

def test_cache_leaves_the_network_alone(net, x):
    net.train()
    modes = [m.training for m in net.modules()]
    stats = {k: v.clone() for k, v in net.state_dict().items()}
    CamCache(net, x).get('0.5', 1)
    assert modes == [m.training for m in net.modules()]
    net.eval()
    assert all(torch.equal(v, stats[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())

def test_cache_takes_a_batch_and_a_function(net):
    x = torch.stack([net.transform(scene(s, 'dog')) for s in (1, 2)])
    def score(out): return out[:, 2] - out[:, 1]
    A, g = CamCache(net, x).get('0.7', score)
    check_tensor(g, capture(net, x, '0.7', score).grads)
    assert grad_cam(A, g).shape == (2, 8, 8)

def test_cache_errors(net, x):
    cache = CamCache(net, x)
    with pytest.raises(CamError, match="no layer '0.77'.*'0.7'"): cache.get('0.77')
    with pytest.raises(CamError, match='class 99 is out of range'): cache.get('0.7', 99)
    with pytest.raises(CamError, match='none of the sizes 0|N,3,H,W'): CamCache(net, x[0])
    with pytest.raises(CamError, match='no layer'): CamCache(net, x, ['nowhere'])
    assert grad_cam(*cache.get('0.7', 1)).shape == (1, 8, 8)

def test_cache_says_that_the_weights_have_changed(x):
    net = load_pets()
    cache = CamCache(net, x)
    kept = cache.get('0.7', 1)[1]
    cache.get('0.7', 2)
    with torch.no_grad(): net[1][-1].weight *= 2
    with pytest.raises(CamError, match="at '0.4': the network's weights have changed since.*Make a new one"):
        cache.get('0.4', 2)
    assert list(cache.kept) == [1, 2]
    assert torch.equal(cache.get('0.7', 1)[1], kept)   # what was kept is still true of the pass that was kept
    check_tensor(CamCache(net, x).get('0.7', 1)[1], 2 * kept)

def test_cache_targets_are_plain_numbers(net):
    x = torch.stack([net.transform(scene(s, 'dog')) for s in (1, 2)])
    cache = CamCache(net, x)
    want = cache.get('0.7', [1, 2])[1]
    for same in (np.array([1, 2]), torch.tensor([1, 2]), (1, 2), range(1, 3), [torch.tensor(1), np.int64(2)]):
        assert torch.equal(cache.get('0.7', same)[1], want)
    assert (cache.backwards, list(cache.kept)) == (1, [(1, 2)])
    target = torch.tensor([1, 2])
    cache.get('0.7', target)
    target[:] = 3
    check_tensor(cache.get('0.7', target)[1], capture(net, x, '0.7', 3).grads)
    assert torch.equal(cache.get('0.7', 'dog')[1], cache.get('0.7', net.vocab.index('dog'))[1])
    for wrong in ({1}, [[1], [2]], True, [1], 'cta'):
        with pytest.raises(CamError, match="Exploring at '0.7'"): cache.get('0.7', wrong)

def test_a_network_with_one_score_has_no_probabilities():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)).eval()
    ex = Explorer(net, x := torch.randn(1, 3, 16, 16))
    assert f'<b>class 0</b> ({net(x).item():.3g})' in ex.panel.captions[0].value
    assert ex.study.explanation(ex.view()).label == explain(net, x).label

def test_transformer_layers():
    torch.manual_seed(0)
    vit = VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32,
                            num_classes=5).eval()
    nn.init.normal_(vit.heads.head.weight)
    x = torch.randn(1, 3, 32, 32)
    layers = map_layers(vit, x)
    assert list(layers) == ['conv_proj', *(f'encoder.layers.encoder_layer_{n}' for n in ('0', '1.ln_1', '1'))]
    assert set(layers.values()) == {(16, 4, 4)}
    cache = CamCache(vit, x, layers)
    for name in list(layers)[:3]: check_tensor(cache.get(name, 2)[1], capture(vit, x, name, 2).grads)
    ex = Explorer(vit, [x])
    assert ex.layer == 'encoder.layers.encoder_layer_1.ln_1' and ex.error is None
    ex.panel.controls['layer'].value = 'encoder.layers.encoder_layer_1'   # only its class token is read on
    assert 'class token' in ex.panel.alert.value

# ---- the explorer
def shown(ex, i=0): return np.asarray(Image.open(io.BytesIO(ex.panel.images[i].value)))

def test_picture_is_the_library_s_own(ex, net):
    drive(ex, class_='dog', layer='0.6', opacity=.5, cmap='viridis', outline=None)
    raw = explain(net, scene(3, 'cat', background='sofa'), 'grad_cam', '0.6', 'dog').raw
    check_tensor(ex.raw(net.vocab.index('dog')), raw, name='the map')
    want = overlay(as_images(scene(3, 'cat', size=384, background='sofa')), raw, .5, 'viridis')
    assert ex.panel.images[0].value == to_jpeg(want, 92)

@pytest.mark.parametrize('method', [m for m in METHODS if m != 'le_grad']) # that needs a transformer
def test_every_method_equals_explain(ex, net, method):
    drive(ex, method=method, class_='cat', layer='0.7')
    want = eval(ex.line(), dict(explain=explain, load_pets=load_pets, scene=scene))   # the line that is copied
    check_tensor(ex.raw(net.vocab.index('cat')), want, rtol=1e-3, atol=1e-6)
    assert METHODS[method].title in ex.panel.captions[0].value

def test_the_map_alone(ex):
    drive(ex, class_='cat', outline=None, ground='alone')
    m = upsample(ex.raw(ex.class_), 384)
    assert ex.panel.images[0].value == to_jpeg(colorize(normalize(m), 'magma'), 92)
    drive(ex, ground='over')

def test_an_empty_map_is_told_in_words(ex, net):
    s = scene(3, 'cat', background='sofa')
    first = next(v for v in net.vocab if explain(net, s, target=v).raw.max() == 0)
    drive(ex, picture=0, class_=first)
    assert ex.raw(ex.class_).max() == 0
    text = ex.panel.captions[0].value
    assert f'Nothing here speaks for <b>{first}</b>: the map has no positive value.' in text
    assert 'ct-scale' not in text
    drive(ex, compare='difference', class_=first, class2='cat')   # a scale of its own
    assert 'Nothing' not in ex.panel.captions[0].value

def test_captions_name_class_probability_layer_and_range(ex, net):
    drive(ex, class_='cat', layer='0.6')
    p = explain(net, scene(3, 'cat', background='sofa')).out.softmax(1)[0, net.vocab.index('cat')]
    text = re.sub('<.*?>', '', ex.panel.captions[0].value)
    assert f'Grad-CAM for cat ({p:.1%}) at layer 0.6 (8×8)' in text and 'raw' not in text
    drive(ex, method='cam', layer='0.7')   # a CAM goes below 0, which the scale does not show
    low = explain(net, scene(3, 'cat', background='sofa'), 'cam', target='cat').raw
    assert f'raw {upsample(low, (384, 384)).min():.3g} to' in ex.panel.captions[0].value

def test_sliders_offer_classes_and_layers_in_order(ex):
    names = [n for n, _ in ex.panel.controls['class_'].options]
    assert [n.split(' · ')[1] for n in names] == ex.study.vocab
    drive(ex, classes='top')
    p = [float(n.split(' · ')[0][:-1]) for n, _ in ex.panel.controls['class_'].options]
    assert len(p) == 5 and p == sorted(p, reverse=True)
    assert [n for n, _ in ex.panel.controls['layer'].options][-1] == '0.7 · 8×8'
    drive(ex, class_=ex.study.vocab[int(ex.study.prob.argmin())])   # not among the five: the slider widens
    assert ex.classes == 'all'

def test_two_classes_and_their_difference(ex):
    a, b = ex.study.vocab.index('cat'), ex.study.vocab.index('dog')
    drive(ex, compare='two', class_='cat', class2='dog')
    assert ex.panel.views[1].layout.display is None and len(ex.study.shown(ex.view())) == 2
    one = shown(ex, 1)
    drive(ex, compare='difference')
    check_tensor(ex.study.shown(ex.view())[0].raw, ex.raw(a) - ex.raw(b))
    assert ex.panel.controls['cmap'].disabled   # a difference has its own colours
    assert ex.panel.views[1].layout.display == 'none' and 'minus' in ex.panel.captions[0].value
    drive(ex, compare='one', class_='dog')
    assert np.array_equal(shown(ex), one) and not ex.panel.controls['cmap'].disabled

def test_held_range(ex):
    drive(ex, class_='cat', scale='hold')
    top, strong = ex.held, ex.panel.images[0].value
    drive(ex, class_='dog')
    assert ex.held == top
    want = overlay(ex.study.subject.image, ex.raw(ex.class_), .7, 'magma', vmax=top)
    drive(ex, outline=None)
    assert ex.panel.images[0].value == to_jpeg(want, 92)
    drive(ex, outline='animal', class_='cat')
    assert ex.panel.images[0].value == strong
    drive(ex, scale='own')
    assert ex.held is None

def test_truth_figures(ex):
    drive(ex, class_='cat', outline='head')
    s, m = scene(3, 'cat', background='sofa'), ex.raw(ex.class_)
    mask = torch.from_numpy(s.mask('head'))[None]
    figures = [energy(upsample(m, 128), mask), mask.float().mean(), grid_energy(mask, (8, 8))]
    text = ex.panel.truths[0].value
    assert re.findall(r'<span>(\d\.\d\d)</span>', text) == [f'{v.item():.2f}' for v in figures]
    assert ('peak is inside' in text) == bool(peak_inside(upsample(m, 128), mask))
    assert 'the map is empty' in html.truth(ex.study.truth(-m.abs(), 'head'))
    drive(ex, outline=None)
    assert ex.panel.truths[0].value == ''

def test_outline_touches_only_the_edge(ex):
    drive(ex, outline=None)
    plain = ex.study.picture(ex.raw(0), ex.view())
    drive(ex, outline='animal')
    changed = (ex.study.picture(ex.raw(0), ex.view()) != plain).any(1)[0]
    inside = torch.from_numpy(scene(3, 'cat', 384, background='sofa').mask())
    far = nn.functional.max_pool2d(inside[None, None].float(), 25, 1, 12)[0, 0] == 0
    deep = nn.functional.max_pool2d((~inside)[None, None].float(), 25, 1, 12)[0, 0] == 0
    assert changed.any() and not changed[far].any() and not changed[deep].any()

def test_a_scene_follows_its_controls(ex, net):
    drive(ex, species='cat', seed=11, background='sofa', pose='sit', pattern='stripes')
    drive(ex, class_='dog')
    sofa = shown(ex)
    drive(ex, background='grass')
    s = scene(11, 'cat', background='grass', pose='sit', pattern='stripes')
    check_tensor(ex.study.subject.x[0], net.transform(s), name='what the network reads')
    assert ex.study.name(ex.class_) == 'dog' and not np.array_equal(shown(ex), sofa)
    assert ex.study.subject.code == "scene(11, species='cat', background='grass', pose='sit', pattern='stripes')"
    drive(ex, second='dog')
    assert ex.study.subject.title == 'cat and dog' and 'animal 2: dog' in ex.study.subject.masks
    drive(ex, outline='animal 2: dog', second=None)
    assert ex.outline == ''          # no such animal any more
    drive(ex, second='dog')
    assert ex.outline == 'animal 2: dog'   # it is remembered

def jpeg(size=(300, 200)):
    f = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)).save(f, 'jpeg')
    return f.getvalue()

def send(ex, data):
    "As the browser does when a person chose a file: one message or several, the file's bytes beside it."
    for at in range(0, max(1, len(data)), 2**22):
        content = dict(method='custom', content=dict(name='mine.jpg', at=at, size=len(data)))
        message = dict(content=dict(data=content), buffers=[memoryview(data[at:at + 2**22])])
        ex.panel.upload.comm.handle_msg(message)

def test_upload(ex):
    send(ex, jpeg())
    assert ex.error is None and ex.study.subject.title == 'mine.jpg' and ex.study.subject.masks == {}
    assert 'Showing <em>mine.jpg</em>: its middle, as' in ex.panel.showing.value
    assert ex.panel.controls['outline'].disabled
    send(ex, jpeg((200, 200)))
    assert 'Showing <em>mine.jpg</em> as' in ex.panel.showing.value   # all of it
    drive(ex, picture=1)
    assert ex.panel.showing.value == '' and not ex.panel.controls['outline'].disabled
    send(ex, jpeg())
    assert "explain(load_pets(), 'mine.jpg'" in ex.line()

@pytest.mark.parametrize('data, reason', [
    (b'', 'empty'), (b'no image at all', 'no image that can be read'), (jpeg()[:200], 'mine.jpg'),
    (bytes(MAX_UPLOAD + 1), 'at most')])
def test_a_bad_upload_is_told_and_the_explorer_goes_on(ex, data, reason):
    before = ex.panel.images[0].value
    send(ex, data)
    said = ex.panel.pane_alert.value
    assert isinstance(ex.error, CamError) and reason in said and 'role="alert"' in said
    assert ex.panel.images[0].value == before
    ex.panel.controls['class_'].value = ex.study.vocab.index('fox')
    assert ex.error is None and ex.panel.pane_alert.value == '' and '<b>fox</b>' in ex.panel.captions[0].value

def test_an_unforeseen_error_is_told_with_its_type(ex, monkeypatch):
    def broken(*a, **k): raise RuntimeError('<odd>')
    monkeypatch.setitem(METHODS, 'saliency', METHODS['saliency']._replace(fn=broken))
    ex.panel.controls['method'].value = 'saliency'
    assert 'RuntimeError: &lt;odd&gt;' in ex.panel.alert.value
    with pytest.raises(RuntimeError): drive(ex, class_='pig')
    drive(ex, method='grad_cam')
    assert ex.panel.alert.value == ''

def test_another_picture_frees_the_old_one(ex):
    old = weakref.ref(ex.study.cache.forward.acts['0.7'])
    drive(ex, picture=2)
    gc.collect()
    assert old() is None and ex.study.subject.title == 'rabbit'
    assert ex.panel.thumbs.children[2].description == '✓ rabbit'
    assert ex.class_ == int(ex.study.prob.argmax())

def test_drive_errors(ex):
    for state, why in ((dict(class_='cta'), "no 'cta'.*'cat'"), (dict(layer='0.66'), "layer cannot be '0.66'"),
                       (dict(colour=1), "no control 'colour'"), (dict(picture=99), 'from 0 to 9'),
                       (dict(class_=99), 'no 99'), (dict(upload=b'x'), 'no image'),
                       (dict(opacity='half'), 'opacity cannot be')):
        with pytest.raises(CamError, match=why): drive(ex, **state)

def test_method_grid_and_layer_strip(ex, monkeypatch):
    def broken(*a, **k): raise CamError('not today')
    monkeypatch.setitem(METHODS, 'saliency', METHODS['saliency']._replace(fn=broken))
    ex.all_methods()
    grid = ex.panel.method_grid.value
    assert 'le_grad' not in ex.methods   # it fits no such network
    assert grid.count('<figure>') == len(ex.methods) and grid.count('<img') == len(ex.methods) - 1
    assert 'Saliency: Saliency: not today' in grid
    ex.all_layers()
    strip = ex.panel.layer_grid.value
    assert strip.count('<img') == len(ex.study.layers) and strip.index('0.0 ·') < strip.index('0.7 ·')
    assert 'Picture <em>cat</em>, class <em>cat</em>, layer 0.7' in grid
    assert 'Picture <em>cat</em>, class <em>cat</em>, Grad-CAM' in strip
    drive(ex, picture=1)
    for old in (ex.panel.method_grid, ex.panel.layer_grid):
        assert 'Drawn for another picture; draw again.' in old.value and '<img' not in old.value
    drive(ex, method='guided_backprop')
    ex.panel.draw_layers.click()
    assert 'as a whole' in ex.panel.pane_alert.value

def test_pointing_at_a_place(ex, net, monkeypatch):
    p, calls = ex.panel, []
    drive(ex, picture=8, place=(.31, .52))
    values, k = ex.places.at(.31, .52)
    said = ex.study.name(ex.places.classes[k])
    assert p.opened == 'places' and f'speaks for <b>{said}</b>' in p.place_said.value and values[k] == values.max()
    assert p.point.src.startswith('data:image/jpeg') and p.point.grid == [8, 8] and 'cat and dog' in p.point.alt
    p.go_there.click()
    assert ex.study.name(ex.class_) == said
    monkeypatch.setattr(ex.study, 'places', lambda layer, made=ex.study.places: calls.append(layer) or made(layer))
    drive(ex, class_='pig', opacity=.4)          # the same picture and layer: nothing to draw again
    assert calls == []
    before = p.place_said.value
    drive(ex, layer='0.6')
    assert calls == ['0.6'] and p.place_said.value != before and 'layer 0.6' in p.place_title.value
    p.tabs.value = 'pictures'
    drive(ex, picture=0)                         # the pane is closed: it waits until it is seen
    assert calls == ['0.6']
    p.tabs.value = 'places'
    assert calls == ['0.6', '0.7'] or calls == ['0.6'] * 2
    nowhere = (ex.places.parts < 0).nonzero()[0].tolist()
    drive(ex, place=[(v + .5) / 384 for v in reversed(nowhere)])
    assert p.go_there.disabled and 'for none of them' in p.place_said.value
    with pytest.raises(CamError, match='outside. Give two numbers'): drive(ex, place=(2, 0))
    p.tabs.value = 'pictures'

def test_places_alone_and_left_out(net):
    ex = Explorer(net, scene(5, 'fox'), show='places')
    assert ex.places is not None and 'This place speaks' in ex.panel.place_said.value
    ex.refresh()
    assert 'This place speaks' in ex.panel.place_said.value
    with pytest.raises(CamError, match='no such pane'): drive(Explorer(net, scene(5), show='class'), place=(0, 0))

def test_files(ex):
    drive(ex, class_='cat')
    ex.files()
    import base64
    found = re.findall(r'download="(.*?)" href="data:(.*?);base64,(.*?)"', ex.panel.files.value)
    data = {name: base64.b64decode(b) for name, _, b in found}
    assert [n for n, _, _ in found] == ['cat-grad_cam-cat.png', 'cat-grad_cam-cat-figure.png', 'cat-grad_cam-cat.csv']
    picture = as_images(Image.open(io.BytesIO(data['cat-grad_cam-cat.png'])))
    check_tensor(picture, ex.study.picture(ex.raw(ex.class_), ex.view()), atol=.5/255 + 1e-6)
    numbers = np.loadtxt(io.BytesIO(data['cat-grad_cam-cat.csv']), delimiter=',')
    check_tensor(torch.tensor(numbers)[None].float(), ex.raw(ex.class_), rtol=1e-5, atol=1e-6)
    assert Image.open(io.BytesIO(data['cat-grad_cam-cat-figure.png'])).size[0] > 400

def test_saved_page_shows_a_picture_and_no_widget(ex):
    html = ex.static()
    assert 'data:image/jpeg;base64' in html and 'Run this cell' in html and 'widget' not in html
    assert repr(ex) == 'Explorer(cat: cat at 0.7, Grad-CAM)'

# ---- any network
def test_torchvision_network_with_photos_and_arrays():
    torch.manual_seed(0)
    tfm = T.Compose([T.PILToTensor(), T.Resize(80), T.CenterCrop(64), T.ToDtype(torch.float32, scale=True),
                     T.Normalize([.5] * 3, [.25] * 3)])
    wide = Image.fromarray(np.random.default_rng(1).integers(0, 255, (70, 90, 3), dtype=np.uint8))
    vocab = [f'thing {i}' for i in range(30)]
    ex = Explorer(resnet18(num_classes=30), [scene(1, 'cat'), wide], vocab=vocab, transform=tfm, size=64)
    assert ex.classes == 'top' and len(ex.panel.controls['class_'].options) == 5
    assert 'scene' not in ex.panel.panes and ex.layer == 'layer4'
    drive(ex, class_='thing 7', layer='layer3', outline='animal')
    mask = ex.study.eye.mask(ex.study.subject.masks['animal'])
    assert mask.shape == (1, 64, 64)
    want = torch.from_numpy(scene(1, 'cat').mask())[None, None].float()
    seen = T.functional.center_crop(T.functional.resize(want, [80, 80], antialias=True), [64, 64])[0] > .5
    assert (mask != seen).float().mean() < .02   # the mask is cropped as the picture is
    drive(ex, picture=1)
    assert ex.study.subject.title == 'picture 2' and 'transform=transform' in ex.line() and 'target=' in ex.line()
    ex.panel.controls['find'].value = 'thing 21'
    assert ex.study.name(ex.class_) == 'thing 21' and ex.find == ''
    for typed, found in ((' THING 7 ', 'thing 7'), ('g 29', 'thing 29')):   # any case; a part that only one name has
        ex.panel.controls['find'].value = typed
        assert ex.study.name(ex.class_) == found and ex.panel.alert.value == ''
    for typed, why in (('thing', 'no &#x27;thing&#x27;'), ('thinh 5', '&#x27;thing 5&#x27;')):
        ex.panel.controls['find'].value = typed
        assert why in ex.panel.alert.value and ex.study.name(ex.class_) == 'thing 29'

def test_learner(tmp_path, monkeypatch):
    learn = pets_learner(pets_dls(n=8, n_valid=4, bs=4, size=64), pretrained=None)
    ex = Explorer(learn, [scene(1, 'cat', 64)])
    check_tensor(ex.raw(1), explain(learn, scene(1, 'cat', 64), target='dog', layer=ex.layer).raw)
    assert ex.study.vocab == ['cat', 'dog'] and shown(ex).shape == (384, 384, 3)

def test_small_explorers_and_their_errors(net):
    ex = Explorer(net, scene(5, 'fox'), show='class layer', class_='fox', layer='0.5')
    assert not ex.panel.panes and ex.panel.truths[0].value == '' and 'at layer 0.5' in ex.panel.captions[0].value
    with pytest.raises(CamError, match="no section 'clas'.*'class'"): Explorer(net, scene(5), show='clas')
    with pytest.raises(CamError, match='list of images is empty'): Explorer(net, [])
    with pytest.raises(CamError, match='how this ResNet wants'): Explorer(resnet18(), [scene(1)])
    with pytest.raises(CamError, match='one by one'): Explorer(net, [torch.randn(2, 3, 128, 128)])

# ---- methods: the explorer knows none by its name
def by_gradients(A, g): return (A * g).sum(1)
def by_layer(model, x, layer, target): return capture(model, x, layer, target).acts.mean(1)
def by_network(model, x, layer=None, target=None):
    return x * class_score(model(x).detach(), target, vocab=model.vocab)[:, None, None, None]

@pytest.mark.parametrize('fn, kind, needs', [(by_gradients, 'map', 'gradients'), (by_layer, 'map', 'layer'),
                                             (by_network, 'pixels', 'network')])
def test_a_new_method_is_one_function_and_one_row(net, monkeypatch, fn, kind, needs):
    monkeypatch.setitem(METHODS, 'made_up', Method(fn, kind, 'Made up', 2026, 'a test', 1, needs))
    ex = Explorer(net, [scene(3, 'cat')], method='made_up', class_='dog', layer='0.6', code='net')
    where = '' if needs == 'network' else ' at layer 0.6 (8×8)'
    assert f'Made up for <b>dog</b> ({ex.study.sure(ex.class_)}){where}' in ex.panel.captions[0].value
    assert ex.panel.controls['layer'].disabled == (needs == 'network') and '<figure>' in drawn(ex.all_methods, ex)
    want = eval(ex.line(), dict(explain=explain, net=net, images=[scene(3, 'cat')]))
    check_tensor(ex.raw(ex.class_), want, rtol=1e-3)

def drawn(act, ex):
    "What the sheet of methods shows of the made-up one."
    act()
    return next(f for f in re.findall('<figure>.*?</figure>', ex.panel.method_grid.value) if 'Made up' in f)

# ---- methods that take long
@pytest.fixture
def dear(monkeypatch):
    "A method of 40 forward passes, and a list that grows with each."
    passes = []
    def slow(model, x, layer, target):
        m = torch.zeros(1, 4, 4)
        for i in range(40):
            with torch.no_grad(): m[0, i % 4, i // 10] += model(x)[0, target]
            passes.append(i)
            time.sleep(.01)
        return m
    monkeypatch.setitem(METHODS, 'slow', Method(slow, 'map', 'Slow', 2026, 'a test', 40, 'layer'))
    return passes

async def until(condition, seconds=120):   # all methods on a busy machine
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(.01)

def test_a_dear_method_runs_beside_and_waits_for_release(dear):
    ex = Explorer(images=[scene(3, 'cat')])
    c, p = ex.panel.controls, ex.panel
    async def person():
        c['method'].value = 'slow'
        assert not c['class_'].continuous_update
        await until(lambda: p.progress.value > 3)
        assert p.working.layout.display is None and p.progress.max == 40 and 'Grad-CAM' in p.captions[0].value
        await until(lambda: ex.beside.job is None)
        assert 'Slow for' in p.captions[0].value and p.working.layout.display == 'none'
        n = len(dear)
        c['opacity'].value = .3                      # nothing is computed twice
        assert len(dear) == n and ex.beside.job is None
        c['method'].value = 'grad_cam'
        assert c['class_'].continuous_update
    asyncio.run(person())
    assert ex.error is None

def test_a_dear_method_can_be_stopped_and_is_dropped_for_the_last_state(dear):
    ex = Explorer(images=[scene(3, 'cat')])
    c, p = ex.panel.controls, ex.panel
    async def person():
        c['method'].value = 'slow'
        await until(lambda: p.progress.value > 3)
        p.stop.click()
        await until(lambda: ex.beside.job is None)
        assert 'Stopped after' in p.alert.value and len(dear) < 40
        c['class_'].value = ex.study.vocab.index('pig')    # starts again …
        await until(lambda: p.progress.value > 3)
        c['class_'].value = ex.study.vocab.index('fox')    # … and the last state wins
        await until(lambda: ex.beside.job is None)
        assert 'fox' in p.captions[0].value and p.alert.value == ''
        p.draw_methods.click()
        await until(lambda: 'Slow' in p.method_grid.value)
    asyncio.run(person())
    assert not ex.study.net._forward_pre_hooks

def test_a_rough_map_is_shown_until_the_whole_one_is_there(monkeypatch):
    rough, whole = threading.Event(), threading.Event()
    def slow(model, x, target, n=3):
        with torch.no_grad(): y = model(x)[0, target]
        (rough if n < 3 else whole).wait(20)
        return torch.full((1, 4, 4), n) * y.abs()
    monkeypatch.setitem(METHODS, 'slow', Method(slow, 'map', 'Slow', 2026, 'a test', 40, 'network',
                                                {1: dict(n=1), 2: dict(n=2)}))
    ex = Explorer(images=[scene(3, 'cat')])
    c, p = ex.panel.controls, ex.panel
    async def person():
        c['method'].value = 'slow'
        await until(lambda: p.progress.value == 1)
        assert p.progress.max == 43 and 'Grad-CAM' in p.captions[0].value
        rough.set()
        await until(lambda: 'Slow, preview for' in p.captions[0].value)
        assert ex.beside.job and not ex.study.results       # nobody takes the preview for the map
        whole.set()
        await until(lambda: ex.beside.job is None)
        assert 'Slow for' in p.captions[0].value and ex.raw(0).max() == 3 * ex.study.scores[0, 0].abs()
    asyncio.run(person())
    drive(ex, method='grad_cam')
    drive(ex, class_='pig', method='slow')                   # without an event loop nobody sees a preview
    assert len(ex.study.drafts) == 1 and ex.error is None

@pytest.mark.parametrize('name, wanted', [('class_', 'fox'), ('seed', 44), ('background', 'snow')])
def test_a_move_during_a_click_counts(monkeypatch, name, wanted):
    "JupyterLab handles clicks in one thread and slider moves in another: none is lost, and the later one holds."
    ex = Explorer()
    entered, go, read = threading.Event(), threading.Event(), ex.study.read
    def slow(*args):
        entered.set()
        assert go.wait(10)
        return read(*args)
    monkeypatch.setattr(ex.study, 'read', slow)
    slider, value = ex.panel.controls[name], ex.study.vocab.index(wanted) if name == 'class_' else wanted
    click = threading.Thread(target=ex.panel.thumbs.children[1].click)
    move = threading.Thread(target=lambda: slider.set_trait('value', value))
    click.start()
    assert entered.wait(10)
    move.start()
    while slider.value != value: time.sleep(.001)
    go.set()
    for t in (click, move): t.join(10)
    assert not click.is_alive() and not move.is_alive()
    assert slider.value == value and ex.error is None
    assert '<b>fox</b>' in ex.panel.captions[0].value if name == 'class_' else f'{wanted!r}' in ex.study.subject.code


def test_the_second_class_is_the_strongest_other():
    ex = Explorer()
    drive(ex, compare='two', class2='bear')
    drive(ex, compare='one', species='cat', second='dog', seed=31)
    assert ex.class2 == next(k for k in ex.study.ranked() if k != ex.class_)
    drive(ex, compare='two', class2='pig', background='snow')   # a choice that is seen stays
    assert ex.study.name(ex.class2) == 'pig'

def test_a_scene_that_fails_leaves_the_explorer_where_it_was(ex, monkeypatch):
    before = ex.study.subject, ex.study.cache, ex.study.layers
    def read(recipe): raise CamError('no such scene')
    with monkeypatch.context() as m, pytest.raises(CamError, match='no such scene'):
        m.setattr(ex.study, 'read', read)
        drive(ex, seed=44)
    def breaks(net, x, layers): raise CamError('too large')
    with monkeypatch.context() as m, pytest.raises(CamError, match='too large'):
        m.setattr('camtutor.ui.study.CamCache', breaks)
        ex.take(ex.study.subject._replace(x=torch.zeros(1, 3, 64, 64)))
    assert ex.chosen == 0 and all(a is b for a, b in zip(before, (ex.study.subject, ex.study.cache, ex.study.layers)))
    assert ex.panel.thumbs.children[0].description.startswith('✓')

def test_results_are_bounded_and_the_oldest_goes_first(ex, monkeypatch):
    made, most = [], 64 + len(ex.study.layers)
    with monkeypatch.context() as m:
        m.setattr(ex.study, 'compute', lambda *key: made.append(key) or torch.zeros(1, 4, 4))
        ex.study.results.clear()
        for k in range(most): ex.study.raw('saliency', k, '0.7')
        for k in (0, most): ex.study.raw('saliency', k, '0.7')   # the first is looked at again, and one is new
    assert len(made) == most + 1 and len(ex.study.results) == most
    assert ('saliency', 0, None) in ex.study.results and ('saliency', 1, None) not in ex.study.results
    ex.study.results.clear()

def test_a_scene_begins_with_the_picture_that_is_seen():
    ex = Explorer(picture=8)
    assert (ex.seed, ex.species, ex.second, ex.background, ex.pose) == (31, 'cat', 'dog', 'carpet', '')
    before = ex.study.subject.image
    drive(ex, pattern='points', picture=8)
    assert torch.equal(ex.study.subject.image, before) and ex.pattern == ''

def test_values_beyond_the_scale_are_told():
    ex = Explorer(class_='bear')
    drive(ex, scale='hold', class_='cat')
    assert '≥' in ex.panel.captions[0].value
    drive(ex, method='cam')   # a range belongs to its method
    assert ex.held is None and ex.scale == 'own'
    drive(ex, method='saliency')
    assert '≥' in ex.panel.captions[0].value and ex.panel.controls['layer'].disabled and ex.panel.draw_layers.disabled
    drive(ex, method='grad_cam')
    assert '≥' not in ex.panel.captions[0].value and not ex.panel.controls['layer'].disabled

def test_a_model_without_scores_is_refused():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)
        def forward(self, x): return self.fc(self.a(x).mean((2, 3))), x
    with pytest.raises(CamError, match='gave a tuple'): Explorer(Two(), torch.randn(1, 3, 16, 16))

# ---- the learner's own functions
@pytest.fixture
def hand_in(monkeypatch, tmp_path, capsys):
    "Hands in an answer to an exercise and puts it to use; the progress file is a test's own."
    from camtutor import exercises
    monkeypatch.setenv('CAMTUTOR_PROGRESS', str(tmp_path/'progress.json'))
    def use(id, mine):
        exercises.ex(id)(mine)
        exercises.use(id)
    yield use
    exercises.unuse()

@pytest.mark.parametrize('id, method, mine', [('3.2', 'grad_cam', lambda A, g: A.mean(-3)),
                                              ('4.4', 'saliency', lambda model, x, target=None: x)])
def test_open_explorers_follow_use_and_unuse_at_once(ex, hand_in, id, method, mine):
    from camtutor import exercises
    drive(ex, method=method)
    before = ex.panel.images[0].value
    hand_in(id, mine)
    during = ex.panel.images[0].value
    exercises.unuse(id)
    assert during != before and ex.panel.images[0].value == before and ex.error is None

def test_an_answer_that_raises_is_said_and_the_library_stands_in(ex, hand_in, capsys):
    from camtutor import exercises
    def mine(A, g): raise ZeroDivisionError('mine')
    hand_in('3.2', mine)
    assert ex.panel.alert.value == '' and 'ZeroDivisionError' in capsys.readouterr().out   # the library's stands in
    exercises.unuse('3.2')
    assert ex.panel.alert.value == ''

def test_a_large_upload_comes_in_parts(ex):
    data, got = jpeg((200, 200)), []
    ex.panel.upload.on_file(lambda data, name: got.append((name, data)))
    for at in range(0, len(data), 999):
        message = dict(name='big.jpg', at=at, size=len(data))
        ex.panel.upload._handle_custom_msg(message, [memoryview(data[at:at + 999])])
    assert got == [('big.jpg', data)] and 'big.jpg' in ex.panel.showing.value and len(data) > 2000
    assert MAX_UPLOAD == 32 * 2**20

def test_a_broken_file_in_the_list_is_left_out_and_told(tmp_path):
    (tmp_path/'good.jpg').write_bytes(jpeg((200, 200)))
    (tmp_path/'bad.jpg').write_bytes(b'\xff\xd8\xff broken')
    ex = Explorer(images=[tmp_path/'bad.jpg', tmp_path/'good.jpg'])
    assert ex.study.subject.title == 'good.jpg' and 'bad.jpg' in ex.panel.pane_alert.value
    with pytest.raises(CamError, match='damaged'): Explorer(images=[tmp_path/'bad.jpg'])
    with pytest.raises(CamError, match="there is no number 'a.jpg'"): drive(ex, picture='a.jpg')
