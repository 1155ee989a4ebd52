"A map that is learned: the loss by hand, two ways to mask, a frozen network, training, files, rows of the table."
import copy, random
import pytest, torch
from fastai.data.core import DataLoaders
from safetensors.torch import save_file
from torch import nn
from camtutor import explain
from camtutor.cam import cam
from camtutor.course import check_tensor
from camtutor.engine.beside import activations_and_scores, marks_of
from camtutor.engine.head import find_head
from camtutor.errors import CamError
from camtutor.exercises.common import rand, uneven, varied
from camtutor.lcam import (LCAM, WEIGHTS, area, attention_maps, belongs, frozen, lcam_fm, lcam_img, lcam_loss,
                           load_lcam, maps_of, masked_features, masked_image, masked_scores, read_lcam, save_lcam,
                           train_lcam, variation, what_is_seen)
from camtutor.methods import METHODS
from camtutor.networks import load_pets, load_plain
from camtutor.scenes import scene

@pytest.fixture
def net(): return uneven(norm=True)

def loaders(n=12, bs=5, k=7, size=(16, 12)):
    x = varied(*size)[:n]
    both = [(one, torch.tensor(i % k)) for i, one in enumerate(x)]
    return DataLoaders.from_dsets(both, both[:4], bs=bs, num_workers=0, device='cpu')

def train(net, variant='fm', **kw):
    kw = dict(epochs=1, ground='mean', progress=False) | kw
    return train_lcam(net, loaders(), variant, **kw)

def snapshot(net):
    return ({k: t.clone() for k, t in net.state_dict().items()}, [m.training for m in net.modules()],
            [p.requires_grad for p in net.parameters()], [p.grad for p in net.parameters()],
            [len(m._forward_hooks) for m in net.modules()])

def same(a, b): return all(torch.equal(t, b[0][k]) for k, t in a[0].items()) and a[1:] == b[1:]

# ---- the loss

def test_loss_is_a_weighted_sum_by_hand():
    S, u, y = torch.full((1, 3, 3), .5), torch.tensor([[0., 0.]]), torch.tensor([1])
    tv, av, ce = .5 * .3 * 12 * .25, (.5005)**.3, torch.tensor(2.).log().item()
    note = []
    check_tensor(lcam_loss(u, y, S, note=note), torch.tensor(.01 * tv + 2 * av + 1.5 * ce))
    assert note == [pytest.approx([tv, av, ce], rel=1e-5)] and WEIGHTS == (.01, 2., 1.5)

def test_terms_of_several_maps():
    "Variation sums over the maps of a picture, area is their mean."
    S = rand(2, 3, 4, 5).sigmoid()
    check_tensor(variation(S), sum(variation(S[:, i]) for i in range(3)))
    check_tensor(area(S), sum(area(S[:, i]) for i in range(3)) / 3)

@pytest.mark.parametrize('f', [variation, area, lambda S: masked_image(PICTURES, S, -2.).square().sum(),
                               lambda S: lcam_loss(masked_scores(CAMS, S), torch.tensor([1, 0]), S)])
def test_gradients_by_finite_differences(f):
    assert torch.autograd.gradcheck(f, rand(2, 3, 4).double().sigmoid().requires_grad_())

CAMS, PICTURES = rand(2, 3, 3, 4, seed=5).double(), rand(2, 3, 6, 8).double()

def test_the_slope_at_0_is_finite():
    S = torch.zeros(1, 2, 2, requires_grad=True)
    g, = torch.autograd.grad(area(S), S)
    assert g.isfinite().all() and g[0, 0, 0].item() == pytest.approx(.3 * 5e-4**-.7 / 4, rel=1e-4)

# ---- masks

def test_open_masks_change_nothing_and_shut_ones_leave_the_bias(net):
    x, head = varied(16, 12)[:3], find_head(net, varied(16, 12)[:3])
    cams, ones = cam(head.weight, head.acts), torch.ones(3, 8, 6)
    with torch.no_grad(): out = net(x)
    check_tensor(masked_scores(cams, ones, head.bias), out, atol=1e-5)
    check_tensor(masked_scores(cams, 0 * ones, head.bias), head.bias.expand(3, -1))
    check_tensor(masked_scores(cams, .3 * ones, head.bias), .3 * (out - head.bias) + head.bias, atol=1e-5)
    check_tensor(masked_image(x, ones, 7.), x, atol=1e-5)

@pytest.mark.parametrize('variant', ['fm', 'img'])
def test_masking_by_passes(net, variant):
    "Behind a hook, and through the whole network; of Fm the formula is the same."
    x, S = varied(16, 12)[:3], rand(3, 8, 6).sigmoid()
    with torch.no_grad(): got = what_is_seen(net, '0', variant, 'mean')(x, S)
    head = find_head(net, x)
    with torch.no_grad():
        by_hand = net(masked_image(x, S)) if variant == 'img' else net[1](masked_features(head.acts, S))
    check_tensor(got, by_hand, atol=1e-5)
    if variant == 'fm': check_tensor(got, masked_scores(cam(head.weight, head.acts), S, head.bias), atol=1e-4)
    assert not any(m._forward_hooks for m in net.modules())

@pytest.mark.parametrize('f, A', [(masked_features, rand(3, 3, 8, 6)), (masked_image, rand(3, 3, 16, 12))])
def test_masks_that_do_not_fit(f, A):
    with pytest.raises(CamError, match='Masking.*\\(N,h,w\\)'): f(A, torch.ones(2, 8, 6))
    with pytest.raises(CamError, match='Masking'): f(A, torch.ones(3, 1, 8, 6))

# ---- the frozen network

@pytest.mark.parametrize('variant', ['fm', 'img'])
@pytest.mark.parametrize('training', [False, True])
def test_the_network_is_bitwise_the_same(net, variant, training):
    net.train(training)
    net[0][3].requires_grad_(False)
    before = snapshot(net)
    att = train(net, variant)
    assert same(before, snapshot(net)) and all(len(t) == 3 for t in att.terms)
    assert len(att.terms) == (3 if variant == 'fm' else 2)
    assert not att.training and att.weight.isfinite().all()

@pytest.mark.parametrize('variant', ['fm', 'img'])
def test_also_when_interrupted(net, variant, monkeypatch):
    import camtutor.lcam as module
    net.train()
    before, calls, data = snapshot(net), [], loaders()
    random_state = random.getstate()
    def interrupted(*args):
        calls.append(1)
        if len(calls) == 3: raise KeyboardInterrupt
        return lcam_loss(*args)
    monkeypatch.setattr(module, 'lcam_loss', interrupted)
    with pytest.raises(KeyboardInterrupt): train_lcam(net, data, variant, ground='mean', progress=False)
    assert same(before, snapshot(net)) and random.getstate() == random_state and len(calls) == 3

def test_without_freezing_batch_norm_would_drift(net):
    "The test above can fail."
    net.train()
    before = snapshot(net)
    with torch.no_grad(): net(varied(16, 12)[:4])
    assert not same(before, snapshot(net))
    with frozen(net), torch.no_grad():
        again = snapshot(net)
        net(varied(16, 12)[:4])
        assert all(torch.equal(t, again[0][k]) for k, t in net.state_dict().items())

# ---- training

def test_random_numbers_are_as_before_and_a_seed_repeats(net):
    before = torch.get_rng_state()
    a, b, c = (train(net, seed=s) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a.weight, b.weight) and not torch.equal(a.weight, c.weight)

@pytest.mark.parametrize('outer', [torch.no_grad, torch.inference_mode])
def test_whatever_grad_mode_is_outside(net, outer):
    with outer(): att = train(net)
    assert torch.equal(att.weight, train(net).weight) and not att.weight.is_inference()

def test_it_learns(net):
    att = train(net, epochs=10, lr=.05, weights=(0, 0, 1.))
    ce = torch.tensor(att.terms)[:, 2]
    assert ce[-6:].mean() < .8 * ce[:2].mean()
    dear = train(net, epochs=10, lr=.05, weights=(0, 1., 0))
    assert torch.tensor(dear.terms)[-1, 1] < .5 * torch.tensor(dear.terms)[0, 1]

def test_labels_are_what_the_network_says(net):
    "With `truth` as labels the cross-entropy is that of the data."
    seen = {}
    for labels in ('network', 'truth'): seen[labels] = train(net, labels=labels, weights=(0, 0, 1.)).terms[0][2]
    assert seen['network'] < seen['truth']

def test_fm_by_class_maps_is_fm_by_passes(net):
    "The same network, with a head that is not known to be exact: the loss begins where it does by the formula."
    class Hidden(nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net
        def forward(self, x): return self.net(x) + 0
    x, y = varied(16, 12)[:5], torch.tensor([0, 1, 2, 3, 4])
    data = DataLoaders.from_dsets([*zip(x, y)], [*zip(x, y)], bs=5, num_workers=0, device='cpu')
    a = train_lcam(net, data, layer='0', epochs=1, progress=False, seed=3)
    b = train_lcam(Hidden(net), data, layer='net.0', epochs=1, progress=False, seed=3)
    check_tensor(torch.tensor(a.terms), torch.tensor(b.terms), atol=1e-3)

def test_own_and_batch_weigh_other_maps(net):
    "Variation of a batch's maps is about as many times as large as there are pictures."
    own, batch = (train(net, regularise=r).terms[0] for r in ('own', 'batch'))
    assert 2 < batch[0] / own[0] < 10 and batch[2] == pytest.approx(own[2], abs=1e-5)

def test_warm_start_is_cam(net):
    head = find_head(net, varied(16, 12)[:2])
    att = train(net, start='cam', lr=0.)
    check_tensor(att.weight[:, :, 0, 0], head.weight, atol=1e-6)
    check_tensor(attention_maps(att, head.acts, [1, 2]), cam(head.weight, head.acts)[range(2), [1, 2]], atol=1e-5)

def test_go_on_from_a_file(net, tmp_path):
    path = tmp_path/'a.safetensors'
    first = train(net, path=path)
    kept = load_lcam(path, net)
    assert torch.equal(kept.weight, first.weight)
    more = train(net, start=kept, lr=1e-4)
    assert more is kept and 0 < (more.weight - first.weight).abs().max() < .01

class TinyVGG(nn.Module):
    "Laid out as torchvision's VGG-16: features, pooling to a grid, a classifier of three Linears with dropout."
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2),
                                      nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2))
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(nn.Linear(24, 9), nn.ReLU(True), nn.Dropout(), nn.Linear(9, 9), nn.ReLU(True),
                                        nn.Dropout(), nn.Linear(9, 7))
    def forward(self, x): return self.classifier(self.avgpool(self.features(x)).flatten(1))

@pytest.mark.parametrize('variant', ['fm', 'img'])
@pytest.mark.parametrize('layer, grid', [('features.4', (8, 6)), ('features.5', (4, 3))])
def test_a_network_laid_out_as_vgg(variant, layer, grid):
    torch.manual_seed(0)
    net = TinyVGG().train()
    before = snapshot(net)
    att = train(net, variant, layer=layer)
    assert same(before, snapshot(net)) and att.layer == layer and att.weight.shape == (7, 6, 1, 1)
    e = explain(net.eval(), varied(16, 12)[:2], f'lcam_{variant}', target=[1, 2])
    assert e.raw.shape == (2, *grid) and e.raw.isfinite().all()
    with pytest.raises(CamError, match="start is 'cam'"): train(net, start='cam', layer=layer)

@pytest.mark.parametrize('kw, says', [
    (dict(variant='fn'), "no variant 'fn'"), (dict(regularise='all'), 'regularise'), (dict(labels='mine'), 'labels'),
    (dict(start='warm'), "start is 'warm'"), (dict(layer='nowhere'), 'nowhere'),
    (dict(variant='img', ground='black'), 'black')])
def test_what_cannot_be_trained(net, kw, says):
    before = snapshot(net)
    with pytest.raises(CamError, match=f'Training an L-CAM.*{says}'): train(net, **kw)
    assert same(before, snapshot(net))

def test_pictures_that_are_no_dataloaders(net):
    with pytest.raises(CamError, match='not fastai DataLoaders.*pets_dls'): train_lcam(net, varied(16, 12)[:4])

# ---- files, and to whom they belong

def test_saved_and_loaded(net, tmp_path):
    path = tmp_path/'a.safetensors'
    att = train(net)
    save_lcam(att, path)
    other = copy.deepcopy(net)
    got = load_lcam(path, other)
    assert torch.equal(got.weight, att.weight) and torch.equal(got.bias, att.bias) and got.layer == att.layer
    assert other.lcam['fm'] is got and 'lcam' not in dict(other.named_modules()) and path.stat().st_size < 20_000

def test_refused_for_another_network(net, tmp_path):
    save_lcam(train(net), tmp_path/'a.safetensors')
    for other in (uneven(seed=1, norm=True), uneven(norm=False), load_pets()):
        with pytest.raises(CamError, match='trained with another network.*train_lcam'):
            load_lcam(tmp_path/'a.safetensors', other)
    changed = copy.deepcopy(net)
    changed[1][-1].bias.data[0] += .01
    with pytest.raises(CamError, match='another network'): load_lcam(tmp_path/'a.safetensors', changed)

def test_no_file_of_ours(net, tmp_path):
    (tmp_path/'a').write_bytes(b'nonsense')
    save_file(dict(weight=torch.ones(2)), tmp_path/'b')
    for name in 'abc':
        with pytest.raises(CamError, match='Loading an L-CAM.*no file of save_lcam'): load_lcam(tmp_path/name, net)
    with pytest.raises(CamError, match='not been trained'): save_lcam(LCAM(3, 2), tmp_path/'d')

def test_known_again_in_half_precision(net):
    att = train(net)
    assert all(belongs(att, copy.deepcopy(net).to(dtype)) for dtype in (torch.float, torch.double, torch.bfloat16))
    assert not belongs(att, uneven(seed=2, norm=True)) and not belongs(LCAM(5, 7), net)
    assert torch.equal(marks_of(net), marks_of(nn.DataParallel(net)))

# ---- rows of the table

@pytest.mark.parametrize('name', ['lcam_fm', 'lcam_img'])
def test_the_shipped_network_has_one(name):
    net, s = load_pets(), scene(2, species=('dog', 'cat'))
    e = explain(net, s, name, target='cat')
    assert e.raw.shape == (1, 8, 8) and e.raw.max() > 0 > e.raw.min() and METHODS[name].passes == 1
    both = explain(net, [s, s], name, target=['cat', 'dog']).raw
    check_tensor(both[:1], e.raw)
    assert not torch.allclose(both[0], both[1])

def test_a_map_is_the_attention_before_the_sigmoid(net):
    x, att = varied(16, 12)[:3], train(net)
    A, scores = activations_and_scores(net, x, att.layer)
    check_tensor(lcam_fm(net, x, target=[6, 0, 2]), att(A)[range(3), [6, 0, 2]], atol=1e-5)
    check_tensor(lcam_fm(net, x), att(A)[range(3), scores.argmax(1)], atol=1e-5)

def test_without_an_attention():
    for f in (lcam_fm, lcam_img):
        with pytest.raises(CamError, match='no attention yet.*train_lcam.*load_lcam'):
            f(load_plain(), rand(1, 3, 128, 128))

def test_of_a_network_that_has_changed(net):
    train(net)
    net[1][-1].bias.data[0] += 1
    with pytest.raises(CamError, match='weights that have changed'): lcam_fm(net, varied(16, 12)[:1])

def test_no_map_of_a_function(net):
    train(net)
    with pytest.raises(CamError, match='none for a function'):
        lcam_fm(net, varied(16, 12)[:1], target=lambda out: out[:, 0])
    with pytest.raises(CamError, match='out of range'): lcam_fm(net, varied(16, 12)[:1], target=9)

def test_a_file_read_for_nobody(net, tmp_path):
    save_lcam(train(net), tmp_path/'a')
    assert read_lcam(tmp_path/'a').variant == 'fm'
    assert maps_of(rand(2, 3, 1, 1), torch.tensor([0, 2])).shape == (2, 1, 1)
