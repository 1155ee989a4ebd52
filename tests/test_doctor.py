"The doctor: each planted cause is found and its line mends it, no alarm where nothing is wrong, nothing left behind."
import copy
import numpy as np, pytest, torch, torchvision.models as tvm
from PIL import Image
from torch import nn
from torchvision.transforms import v2

import camtutor
from camtutor.checks import CAUSE, NORMALS, NOTE, UNKNOWN, WELL, Case, agreement, squares
from camtutor.diagnosis import CHECKS, doctor, examined
from camtutor.engine.inputs import batch_of
from camtutor.errors import CamError
from camtutor.explanation import explain
from camtutor.images import photo
from camtutor.networks import load_imagenet, load_pets, load_plain, picture_transform, plain_net, small_resnet
from camtutor.networks.transform import attach
from camtutor.scenes import scene
from test_state import state

S = scene(52)

@pytest.fixture
def net(): return load_pets()

def look(check, model, image=S, **how): return examined(CHECKS[check], Case(model, image, **how))

def mended(check, found, model, image=S, **names):
    "What the check finds once the line that it wrote has run."
    given = dict(model=model, image=image, torch=torch, explain=explain, **names)
    exec(found.write, given)   # as a reader would run it
    if not found.write.startswith('explain('): return look(check, given['model'], given['image'],
                                                           transform=given.get('transform'))
    return eval(found.write, given | dict(explain=lambda model, image, **how: look(check, model, image, **how)))

def planted(check, model, image=S, names=None, **how):
    "The cause is found, and its line mends it."
    found = look(check, model, image, **how)
    assert found.verdict == CAUSE and found.do and found.write, found
    after = mended(check, found, model, image, **(names or {}))
    assert after.verdict == WELL, after
    return found

# ---- each cause, planted

def test_training_mode(net):
    net.train()
    before = state(net)
    assert 'in training mode, and scores differ' in look('mode', net).saw
    assert state(net) == before   # no batch norm has moved
    assert planted('mode', net).write == 'model.eval()'

def test_a_mode_that_changes_nothing_is_none(net):
    net.eval().training = True
    assert look('mode', net).verdict == WELL

def wrapped(net, f):
    class Ends(nn.Module):
        def __init__(self): super().__init__(); self.body = net
        def forward(self, x): return f(self.body(x))
    return attach(Ends().eval(), transform=net.transform)

@pytest.mark.parametrize('end', [nn.Softmax(1), nn.LogSoftmax(1), nn.Sigmoid()])
def test_a_module_at_the_end(net, end):
    model = attach(nn.Sequential(net, end).eval(), transform=net.transform)
    found = planted('ending', model)
    assert type(end).__name__ in found.saw and "set_submodule('1'" in found.write
    assert torch.equal(explain(model, S).raw, explain(net, S).raw)

@pytest.mark.parametrize('end', [lambda o: o.softmax(1), lambda o: o.log_softmax(1)])
def test_a_softmax_that_is_no_module(net, end):
    found = look('ending', wrapped(net, end))
    assert found.verdict == CAUSE
    order = net(batch_of(net, S))[0].argsort(descending=True).tolist()
    given = dict(model=wrapped(net, end), image=S, explain=explain)
    want = explain(net, S, target=lambda out: out[:, order[0]] - out[:, order[1]]).raw
    assert torch.allclose(eval(found.write, given).raw, want, atol=1e-3 * want.max())

def test_a_sigmoid_that_is_no_module(net):
    torch.nn.init.normal_(net[1][2].weight, std=.02)   # unsure, so that float32 can undo it
    model = wrapped(net, torch.sigmoid)
    found = look('ending', model, target=2)
    assert found.verdict == CAUSE and 'logit' in found.write
    got, want = eval(found.write, dict(model=model, image=S, explain=explain)).raw, explain(net, S, target=2).raw
    assert torch.allclose(got, want, atol=1e-3 * want.max())

def test_untrained(tmp_path, monkeypatch):
    torch.save(load_pets().state_dict(), tmp_path/'weights.pth')
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    new = attach(small_resnet(8).eval(), transform=load_pets().transform)
    assert 'have never seen a picture' in planted('trained', new).saw

def test_untrained_without_batch_norm():
    torch.manual_seed(0)
    assert "no class's" in look('trained', attach(plain_net(8).eval(), transform=load_plain().transform)).saw

def test_names(net):
    net.vocab = net.vocab[:-1]
    planted('names', net, names=dict(names=load_pets().vocab))

@pytest.mark.parametrize('normal, size', [(NORMALS['0 to 1'], 128), (((0,)*3, (1/255,)*3), 128)])
def test_another_mean_and_std(net, normal, size):
    attach(net, transform=picture_transform(size, *normal))
    assert 'ImageNet' in planted('preparation', net).do

@pytest.mark.parametrize('scale', [1, 255])
def test_a_tensor_that_is_not_normalised(net, scale):
    x = torch.from_numpy(S.image).permute(2, 0, 1)[None].float() * scale / 255
    planted('preparation', net, x)

def test_red_and_blue_exchanged():
    plain = load_plain()
    some = [scene(50 + i) for i in range(12)]
    x = batch_of(plain, some)
    assert planted('preparation', plain, x.flip(1)).write == 'image = image.flip(1)'
    rgb = plain.transform
    attach(plain, transform=v2.Compose([rgb, v2.Lambda(lambda t: t.flip(-3)), v2.Normalize((0,)*3, (1,)*3)]))
    assert 'flip(-3)' in look('preparation', plain, some).write

def test_a_transform_that_nobody_knows(net):
    bare = nn.Sequential(*net)
    found = planted('preparation', bare)
    assert 'written nowhere' in found.saw or 'more probable' in found.saw

def test_a_transform_for_training(net):
    own = net.transform
    attach(net, transform=v2.Compose([v2.RandomResizedCrop(100), own]))
    planted('transform', net)

def test_cut_away(net):
    wide = Image.new('RGB', (600, 200), 'white')
    wide.paste(Image.fromarray(S.image).resize((200, 200)), (0, 0))
    assert '33 %' in planted('picture', net, wide).saw

def test_what_is_asked_for_is_cut_away():
    "Half of the picture is seen, and what is asked for is in the other half."
    reads_red = nn.Conv2d(3, 2, 1)
    with torch.no_grad():
        reads_red.weight.copy_(torch.tensor([[0., 0., 0.], [100., -100., 0.]])[..., None, None])
        reads_red.bias.copy_(torch.tensor([0., -5.]))
    transform = picture_transform(32, *NORMALS['0 to 1'])
    red = attach(nn.Sequential(reads_red, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval(), transform=transform)
    wide = Image.new('RGB', (200, 100), 'grey')
    assert look('picture', red, wide, target=1).verdict == WELL
    wide.paste((255, 0, 0), (0, 0, 45, 100))
    planted('picture', red, wide, target=1)

def test_too_small(net):
    found = look('picture', net, Image.fromarray(S.image).resize((32, 32)))
    assert found.verdict == CAUSE and '32×32' in found.saw and not found.write

def test_a_region_that_it_cannot_see(net):
    class Cut(nn.Module):
        def __init__(self): super().__init__(); self.net = net
        def forward(self, x): return self.net(nn.functional.pad(x[..., :96], (0, 32)))
    cut = attach(Cut().eval(), transform=net.transform)
    found = look('blind', cut)
    assert found.verdict == CAUSE and 'columns 106 to 128' in found.saw
    given = dict(model=cut, image=S, explain=explain)
    exec(found.write, given)
    assert not given['e'].map[..., 106:].any() and given['e'].map.any()

@pytest.mark.parametrize('layer, told', [('1.0', 'one place'), ('1.2', 'not spatial'), ('1.1', 'not spatial')])
def test_a_layer_without_places(net, layer, told):
    found = planted('places', net, layer=layer)
    assert told in found.saw and "layer='0" in found.write
    assert look('token', net, layer=layer).verdict == WELL

def test_a_map_of_four_places(net):
    found = planted('places', net, batch_of(net, S)[..., ::4, ::4])
    assert '2×2' in found.saw

def test_a_class_token_alone():
    torch.manual_seed(0)
    vit = tvm.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=4).eval()
    nn.init.normal_(vit.heads.head.weight)
    x = torch.randn(1, 3, 32, 32)
    assert look('token', vit, x).verdict == WELL
    planted('token', vit, x, layer='encoder.layers.encoder_layer_1')
    assert look('places', vit, x, layer='encoder.layers.encoder_layer_1').verdict == WELL

def test_dead_channels(net):
    with torch.no_grad(): net[0][7][0].bn2.bias[:120] = -1e3
    assert '94 %' in planted('dead', net).saw

def test_written_into_in_place():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                          nn.Linear(8, 3)).eval()
    x = torch.randn(1, 3, 16, 16)
    found = look('in_place', model, x, layer='0')
    assert found.verdict == NOTE and look('in_place', model, x, layer='1').verdict == WELL
    given = dict(model=model, kept=[])
    exec(found.write, given)
    model(x)
    assert torch.equal(given['kept'][0], nn.functional.conv2d(x, model[0].weight, model[0].bias))

def without_evidence(net):
    "A class for which no place of this picture speaks."
    return next(k for k in range(8) if not explain(net, S, target=k).raw.any())

def test_nothing_speaks_for_it(net):
    found = planted('evidence', net, target=without_evidence(net))
    assert "target=" in found.write

def test_little_speaks_for_it(net):
    found = look('evidence', net, target='dog')
    assert found.verdict == NOTE and "'rabbit'" in found.saw

def test_a_saturated_score(net):
    k = net.vocab.index('rabbit')
    planted('saturation', net, target=lambda out: (4 * out).softmax(1)[:, k])
    class Scale(nn.Module):
        def forward(self, x): return 4 * x
    ends = attach(nn.Sequential(net, Scale(), nn.Softmax(1)).eval(), transform=net.transform)
    planted('saturation', ends)

def test_a_map_that_ignores_the_weights(net):
    "Behind a layer without weights, a method that asks for no gradient draws the picture, whatever was learned."
    model = attach(nn.Sequential(nn.AvgPool2d(2, 1), net).eval(), transform=net.transform)
    found = planted('weights', model, layer='0', method='eigen_cam')
    assert 'correlations of 1.00, 1.00, 1.00' in found.saw

def test_a_map_that_ignores_the_class(net):
    found = planted('classes', net, method='eigen_cam')
    assert '1.00 with' in found.saw

UPSIDE_DOWN = dict(layer='0.7', layout=lambda a: a.flip(-1, -2))

def test_a_map_upside_down(net):
    corner = scene(72)
    assert look('covering', net, corner, layer='0.7').verdict == WELL
    found = look('covering', net, corner, **UPSIDE_DOWN)
    assert found.verdict == CAUSE
    assert mended('covering', found, net, corner).verdict == WELL

def test_most_maps_upside_down_are_found(net):
    "An animal in the middle is there upside down, too, so not each can be found; no map that is right may be."
    verdicts = [[look('covering', net, scene(70 + i), **how).verdict for how in (UPSIDE_DOWN, dict(layer='0.7'))]
                for i in (0, 3, 4, 7, 10, 11, 12, 13)]
    assert [right for _, right in verdicts] == [WELL] * 8 and [wrong for wrong, _ in verdicts].count(CAUSE) == 7

def test_agreement_by_hand():
    marked, falls = torch.tensor([0., 1., 3.]), torch.tensor([1., 2., 6.])
    rank, more = agreement(marked, falls)
    assert rank == pytest.approx(1) and more == pytest.approx((5 - 3) / falls.std().item())
    assert agreement(marked, -falls) == pytest.approx((-rank, -more))
    assert agreement(marked, torch.zeros(3)) == (0, 0)

def test_squares_lie_in_the_picture():
    found = squares((40, 60))
    assert found.shape == (48, 40, 60) and (found.flatten(1).sum(1) == 150).all() and len(found.unique(dim=0)) > 40

def test_nan(net):
    x = batch_of(net, S).clone()
    x[0, 0, 0, 0] = torch.nan
    assert look('numbers', net, x).verdict == CAUSE
    with torch.no_grad(): net[1][2].bias[0] = torch.nan
    assert 'weights' in look('numbers', net).saw

# ---- no alarm

HEALTHY = dict(pets=load_pets, coached=lambda: load_pets('coached'), plain=load_plain)

@pytest.mark.parametrize('name', HEALTHY)
def test_no_alarm_on_the_shipped_networks(name):
    d = doctor(HEALTHY[name](), scene(53))
    assert not d.causes and d.status == 0 and set(d.findings) == set(CHECKS), d
    assert all(f.verdict == WELL for f in d.findings.values()), d

def test_no_alarm_on_a_photograph():
    d = doctor(load_imagenet(), photo('coffee'))
    assert not d.causes and all(f.verdict == WELL for f in d.findings.values()), d

TORCHVISION = 'resnet18 mobilenet_v3_small shufflenet_v2_x0_5 mnasnet0_5 squeezenet1_1 mobilenet_v2'.split()

@pytest.fixture(scope='module')
def scenes_seen():
    "Scenes as torchvision's networks take them, of four species, and which of them each shows."
    transform = picture_transform(80, *NORMALS['ImageNet'])
    kinds = ['cat', 'elephant', 'fox', 'pig']
    return torch.stack([transform(scene(500 + i, kinds[i % 4])) for i in range(72)]), torch.arange(72) % 4, transform

def with_fitted_head(name, x, y, transform):
    """One of torchvision's networks, as near to a trained one as seconds allow: its batch norms have seen the scenes,
    and its last layer is the least squares solution on what its random body makes of them."""
    torch.manual_seed(0)
    net = tvm.get_model(name, weights=None, num_classes=4).train()
    head = [m for m in net.modules() if isinstance(m, (nn.Linear, nn.Conv2d)) and m.weight.shape[0] == 4][-1]
    read = []
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d): m.momentum = None
        for part in x.split(36): net(part)
        handle = head.register_forward_pre_hook(lambda m, args: read.append(args[0].flatten(2).mean(2)
                                                                             if args[0].ndim == 4 else args[0]))
        for part in x.split(36): net.eval()(part)
        handle.remove()
        z = torch.cat(read)
        centre, z = z.mean(0), z - z.mean(0)
        want = 12 * (nn.functional.one_hot(y, 4) - .25)
        w = torch.linalg.solve(z.T @ z + len(z) * z.var() * torch.eye(z.shape[1]), z.T @ want)
        head.weight.copy_(w.T.view_as(head.weight))
        head.bias.copy_(-centre @ w)
    return attach(net, transform=transform)

@pytest.mark.parametrize('name', TORCHVISION)
def test_no_alarm_on_torchvision(name, scenes_seen):
    x, y, transform = scenes_seen
    net = with_fitted_head(name, x, y, transform)
    d = doctor(net, scene(501, 'elephant'), target=1)
    assert not d.causes, d

@pytest.mark.parametrize('name', TORCHVISION)
def test_random_weights_are_said_to_be_untrained_and_nothing_else(name):
    torch.manual_seed(0)
    net = tvm.get_model(name, weights=None).eval()
    d = doctor(net, torch.randn(1, 3, 96, 96), target=3)
    assert d.causes in (['trained'], ['trained', 'evidence']), d
    assert all(d[k].verdict == UNKNOWN for k in ('weights', 'classes', 'covering', 'preparation', 'blind'))

@pytest.mark.parametrize('name', ['vit_tiny_patch16_224', 'convnext_atto', 'levit_128s'])
def test_tokens_and_channels_last(name):
    timm = pytest.importorskip('timm')
    torch.manual_seed(0)
    net = timm.create_model(name).eval()
    nn.init.normal_(list(net.modules())[-1].weight, std=.02)   # some heads are born as zeros
    d = doctor(net, torch.randn(1, 3, 224, 224), target=1)
    assert d.causes in (['trained'], ['trained', 'evidence']), d
    assert all(d[k].verdict == WELL for k in ('mode', 'ending', 'places', 'token', 'dead', 'in_place', 'saturation'))

# ---- nothing left behind

@pytest.mark.parametrize('training', [False, True])
def test_nothing_is_left_behind(net, training):
    net.train(training)
    x = batch_of(net, S)
    before = state(net, x)
    if training: doctor(net, x)
    else: doctor(net, x, target=lambda out: out[:, 1], layer='1.0', method='layer_cam')
    assert state(net, x) == before

def test_nothing_is_left_behind_after_a_failure(net):
    x = batch_of(net, S)
    before = state(net, x)
    with pytest.raises(CamError, match='reads 3'): doctor(net, x[:, :1])
    class Fuse(nn.Module):
        "Fails from the 20th pass on."
        n = 0
        def forward(self, x):
            self.n += 1
            if self.n > 20: raise RuntimeError('blown')
            return x
    broken = nn.Sequential(net, Fuse())
    d = doctor(broken, x)
    assert any('blown' in f.saw for f in d.findings.values()) and state(net, x) == before
    class Stop(nn.Module):
        n = 0
        def forward(self, x):
            self.n += 1
            if self.n > 20: raise KeyboardInterrupt
            return x
    with pytest.raises(KeyboardInterrupt): doctor(nn.Sequential(net, Stop()), x)
    assert state(net, x) == before

@pytest.mark.filterwarnings('ignore')
def test_a_learner(net):
    "As fastai trains it: left in training mode, which `predict` and `explain` end; its own pictures and names."
    from fastai.vision.all import CrossEntropyLossFlat, Learner
    from camtutor.pets import scenes_dls
    def learner(m): return Learner(scenes_dls(net.vocab, n=8, n_valid=8, bs=4), m, CrossEntropyLossFlat())
    learn = learner(net)
    learn.model.train()
    d = doctor(learn, S)
    assert d.causes == [] and "'rabbit'" in d['evidence'].saw and learn.model.training
    found = look('ending', learner(nn.Sequential(net, nn.Softmax(1))))
    assert found.verdict == CAUSE and 'Softmax' in found.saw

# ---- the report, and what is refused

def test_the_report(net):
    net.vocab = net.vocab[:-1]
    d = camtutor.doctor(net, S)
    said, line = str(d), 'explain(model, image, vocab=names[:8])'
    assert d.causes == ['names'] and d.status == 3 and d['names'].verdict == CAUSE
    assert said.index('✗ names of classes: cause') < said.index('✓')
    assert f'    write  {line}' in said.splitlines() and '1 cause found; 17 checks well.' in said
    assert max(map(len, said.splitlines())) <= 120 and repr(d) == said
    page = d._repr_html_()
    assert f'<code>{line}</code>' in page and '17 checks well' in page and page.count('<tr') == 20

def test_what_is_not_known_is_said(net):
    "A network that gives maps: what needs classes is not known, and the reason says what to do."
    d = doctor(net[0], batch_of(net, S))
    assert 'target=lambda out' in d['covering'].saw and d['covering'].verdict == UNKNOWN
    d = doctor(net[0], batch_of(net, S), target=lambda out: out[:, 5].flatten(1).mean(1))
    assert d['covering'].verdict == WELL and d['classes'].verdict == UNKNOWN

@pytest.mark.parametrize('image, told', [('no.jpg', 'there is no file'), ([], 'the list is empty'),
                                         ((torch.zeros(1, 3, 8, 8),) * 2, 'networks that read pictures')])
def test_what_is_no_picture(net, image, told):
    with pytest.raises(CamError, match=told): doctor(net, image)

def test_a_wrong_word(net):
    with pytest.raises(CamError, match='there is no method'): doctor(net, S, method='grad')
    with pytest.raises(CamError, match='no class'): doctor(net, S, target='zebra')
    with pytest.raises(CamError, match='has no layer'): doctor(net, S, layer='layer4')
