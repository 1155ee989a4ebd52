"Which layers can be drawn, by networks of every kind, and which is the default."
import copy
import pytest, torch
import torchvision.models as tvm
from torch import nn

from camtutor.engine.layers import last_layer, map_layers
from camtutor.errors import CamError
from camtutor.explanation import explain
from camtutor.hooks import Hooks, get_layer
from test_hooks import Fails, hooks_left

@pytest.fixture(scope='module')
def resnet(): return tvm.resnet18()

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))

def test_map_layers_of_a_resnet(resnet):
    got = map_layers(resnet, X)
    assert got == {'conv1': (64, 32, 32), 'bn1': (64, 32, 32), 'relu': (64, 32, 32), 'maxpool': (64, 16, 16),
                   'layer1.0': (64, 16, 16), 'layer1': (64, 16, 16), 'layer2.0': (128, 8, 8), 'layer2': (128, 8, 8),
                   'layer3.0': (256, 4, 4), 'layer3': (256, 4, 4), 'layer4.0': (512, 2, 2), 'layer4': (512, 2, 2)}
    assert list(got)[0] == 'conv1' and list(got)[-1] == 'layer4'

@pytest.mark.parametrize('name, last, n', [('squeezenet1_1', 'classifier.2', 15), ('googlenet', 'inception5b', 16),
                                           ('mobilenet_v3_small', 'features.12', 17),
                                           ('densenet121', 'features.norm5', 21)])
def test_map_layers_are_what_a_hook_sees(name, last, n):
    options = dict(init_weights=False, aux_logits=False) if name == 'googlenet' else {}
    net = getattr(tvm, name)(weights=None, **options).eval()
    got = map_layers(net, X)
    assert list(got)[-1] == last and len(got) == n
    with torch.no_grad(), Hooks([get_layer(net, k) for k in got]) as hs: net(X)
    assert [tuple(a.shape[1:]) for a in hs.stored] == list(got.values())
    assert all(h.fired == 1 for h in hs)
    assert not any(torch.equal(a, b) for a, b in zip(hs.stored, hs.stored[1:]))

def test_map_layers_name_stages_of_a_fastai_body(resnet):
    net = nn.Sequential(nn.Sequential(*list(resnet.children())[:-2]),
                        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 3)))
    assert list(map_layers(net, X)) == ['0.0', '0.1', '0.2', '0.3', '0.4.0', '0.4', '0.5.0', '0.5', '0.6.0', '0.6',
                                        '0.7.0', '0.7']

def test_map_layers_look_into_a_wrapped_body(resnet):
    class Body(nn.Module):
        def __init__(self, net): super().__init__(); self.net = nn.Sequential(*list(net.children())[:-2])
        def forward(self, x): return self.net(x)
    class Wrap(nn.Module):
        def __init__(self, net): super().__init__(); self.body, self.fc = Body(net), nn.Linear(512, 3)
        def forward(self, x): return self.fc(self.body(x).mean((2, 3)))
    assert list(map_layers(Wrap(resnet), X))[-2:] == ['body.net.7.0', 'body.net.7']

def test_map_layers_leave_out_what_runs_twice_and_what_hands_on():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 1)
            self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)
            self.drop, self.fc, self.unused = nn.Dropout(), nn.Linear(5, 2), nn.Conv2d(1, 1, 1)
        def forward(self, x):
            x = self.pool(self.relu(self.conv1(x)))
            x = self.drop(self.conv2(x))
            return self.fc(self.pool(self.relu(x)).mean((2, 3)))
    assert map_layers(Net(), X) == {'conv1': (4, 64, 64), 'conv2': (5, 32, 32)}

def test_map_layers_of_an_in_place_relu_are_two():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Identity())
    assert list(map_layers(nn.Sequential(net, nn.AdaptiveAvgPool2d(1)), X)) == ['0.0', '0']

def test_map_layers_of_an_oblong_picture(resnet):
    assert map_layers(resnet, torch.zeros(1, 3, 64, 160))['layer4'] == (512, 2, 5)

class Tiles(nn.Module):
    "Looks at the four quarters of a picture, one behind the other in the batch, and at the whole afterwards."
    def __init__(self):
        super().__init__()
        self.first, self.each = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 4, 1)
        self.whole, self.fc = nn.Conv2d(4, 5, 1), nn.Linear(5, 2)
    def forward(self, x):
        tiles = torch.cat([t for rows in self.first(x).chunk(2, 2) for t in rows.chunk(2, 3)])
        a, b, c, d = self.each(tiles).chunk(4)
        return self.fc(self.whole(torch.cat([torch.cat([a, b], 3), torch.cat([c, d], 3)], 2)).mean((2, 3)))

class Mirrored(nn.Module):
    "Scores a picture and its mirror image, and takes the mean."
    def __init__(self): super().__init__(); self.conv, self.fc = nn.Conv2d(3, 4, 1), nn.Linear(4, 2)
    def forward(self, x):
        a, b = self.fc(self.conv(torch.cat([x, x.flip(3)])).mean((2, 3))).chunk(2)
        return (a + b) / 2

def test_map_layers_leave_out_what_is_no_stack_for_each_picture():
    assert map_layers(Tiles(), X) == {'first': (3, 64, 64), 'whole': (5, 64, 64)}
    with pytest.raises(CamError, match='no layer of this Mirrored gave maps'): map_layers(Mirrored(), X)
    assert map_layers(nn.Sequential(nn.Conv2d(3, 3, 1), Mirrored()), X) == {'0': (3, 64, 64)}

@pytest.mark.parametrize('outer', [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_map_layers_change_nothing(outer):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.ReLU(inplace=True)).train()
    net[1].eval()
    modes, state = [m.training for m in net.modules()], copy.deepcopy(net.state_dict())
    rng = torch.get_rng_state()
    with outer():
        x = torch.ones(2, 3, 8, 8)
        assert list(map_layers(net, x)) == ['0', '1', '3']
        assert x.eq(1).all()
    assert [m.training for m in net.modules()] == modes and hooks_left(net) == 0
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())

def test_map_layers_spare_the_batch_and_the_random_numbers():
    class Rough(nn.Module):
        def __init__(self): super().__init__(); self.conv = nn.Conv2d(3, 4, 1)
        def forward(self, x): return nn.functional.dropout(self.conv(x.mul_(2))).mean((2, 3))
    x, net = torch.ones(2, 3, 4, 4), Rough()
    rng = torch.get_rng_state()
    assert map_layers(net, x) == {'conv': (4, 4, 4)}
    assert x.eq(1).all() and torch.equal(torch.get_rng_state(), rng)

@pytest.mark.parametrize('error', [RuntimeError('in the middle'), KeyboardInterrupt()])
def test_map_layers_change_nothing_when_the_model_raises(error):
    net = Fails(error).train()
    with pytest.raises(type(error)): map_layers(net, torch.zeros(1, 3, 2, 2))
    assert hooks_left(net) == 0 and net.training and net.lin.training

@pytest.mark.parametrize('bad, told', [(X[0], r'shape \(3, 64, 64\)'), (X[:0], r'shape \(0, 3, 64, 64\)'),
                                       ('cat.jpg', 'is a str'), (None, 'is a NoneType')])
def test_map_layers_want_a_batch(resnet, bad, told):
    with pytest.raises(CamError, match=told): map_layers(resnet, bad)

def test_map_layers_of_a_net_without_maps():
    with pytest.raises(CamError, match='no layer of this Sequential gave maps'):
        map_layers(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), torch.zeros(1, 3, 2, 2))

# channels last

class Tall(nn.Module):
    "Pools along the height alone, as networks that read lines of text or sound do."
    def __init__(self):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d((2, 1))
        self.deep, self.fc = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 4)
    def forward(self, x): return self.fc(self.deep(self.pool(self.conv(x))).mean((2, 3)))

@pytest.mark.parametrize('size', [224, 384])   # at 384 the first stage puts out (96,96,96)
def test_the_network_says_which_axis_its_channels_are(size):
    swin, x = tvm.swin_t(weights=None), torch.zeros(1, 3, size, size)
    both = map_layers(swin, x)
    assert both['features.1'] == (96, size // 4, size // 4) and both['features.3.0'] == (192, size // 8, size // 8)
    assert len(both) == 20

def test_maps_of_another_aspect_than_the_picture():
    got = map_layers(Tall(), torch.zeros(1, 3, 64, 256))
    assert got == {'conv': (8, 64, 256), 'pool': (8, 32, 256), 'deep': (8, 32, 256)}


# not places

def scores_of_first(out): return out[0]['scores'][:1]

@pytest.fixture(scope='module')
def ssd():
    torch.manual_seed(0)
    return tvm.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5,
                                                       score_thresh=0.).eval()

def test_anchors_are_no_places(ssd):
    "(1, 3234, 5): anchors of six grids, one behind the other; 3234 is 49 × 66 by chance."
    x = torch.rand(1, 3, 128, 160)
    assert 'backbone' in last_layer(ssd, x, scores_of_first)
    assert not {'head', 'head.classification_head', 'head.regression_head'} & set(map_layers(ssd, x))
    with pytest.raises(CamError, match=r'is not spatial: it gives \(1, 3234, 5\).*Give an earlier layer'):
        explain(ssd, x, layer='head.classification_head', target=scores_of_first)

def test_a_detector_that_found_nothing_is_told(ssd):
    with pytest.raises(CamError, match='if it is a detector, found anything'):
        explain(ssd, torch.rand(1, 3, 128, 160), target=lambda out: out[0]['scores'].detach().sum()[None])

def test_pooled_tokens_and_heads_are_no_places():
    timm = pytest.importorskip('timm')
    torch.manual_seed(0)
    vit = timm.create_model('vit_tiny_patch16_224', img_size=64, depth=2, num_classes=5, global_pool='map',
                            qk_norm=True).eval()
    nn.init.normal_(vit.head.weight)
    assert last_layer(vit, X[:1], 1) == 'norm' and not any('attn_pool' in n for n in map_layers(vit, X[:1]))
    for layer in ('attn_pool', 'attn_pool.k_norm', 'attn_pool.q_norm', 'attn_pool.norm', 'blocks.1.attn.q_norm'):
        with pytest.raises(CamError, match='no places|one place'): explain(vit, X[:1], layer=layer, target=1)

@pytest.mark.parametrize('kind', ['Yolos', 'Detr'])
def test_queries_are_no_places(kind):
    hf = pytest.importorskip('transformers')
    torch.manual_seed(0)
    small = dict(num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    if kind == 'Yolos':
        net = hf.YolosForObjectDetection(hf.YolosConfig(hidden_size=32, image_size=[64, 64], patch_size=16,
                                                        num_detection_tokens=16, **small))
    else:
        body = hf.ResNetConfig(hidden_sizes=[8, 8, 16, 16], depths=[1] * 4, embedding_size=8, layer_type='basic',
                               out_features=['stage4'])
        net = hf.DetrForObjectDetection(hf.DetrConfig(
            use_timm_backbone=False, backbone_config=body, backbone=None, use_pretrained_backbone=False, d_model=32,
            encoder_layers=1, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=16))
    net.eval()
    def target(out): return out.logits[:, 0, 1]
    assert not any('decoder' in n or 'classifier' in n for n in map_layers(net, X[:1]))
    assert 'decoder' not in last_layer(net, X[:1], target)
    for layer in ('class_labels_classifier', *['model.decoder.layers.0'] * (kind == 'Detr')):
        with pytest.raises(CamError, match='is not spatial'): explain(net, X[:1], layer=layer, target=target)

# parts that are compiled or scripted

def test_compiled_parts_say_nothing_and_change_nothing(capfd, recwarn):
    torch.manual_seed(0)
    net = tvm.resnet18(num_classes=5).eval()
    want, whole = explain(net, X, target=1).raw, net.layer4
    net.layer4 = torch.compile(whole, backend='eager')
    net.layer3.compile(backend='eager')
    e = explain(net, X, target=1)
    assert e.layer == 'layer4' and torch.equal(e.raw, want) and 'layer3' in map_layers(net, X)
    assert capfd.readouterr().err == '' and not [w for w in recwarn if 'Dynamo' in str(w.message)]

@pytest.mark.filterwarnings('ignore')
def test_a_scripted_part_is_answered():
    scripted = torch.jit.script(nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU()))
    net = nn.Sequential(nn.Conv2d(3, 3, 3), scripted, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)).eval()
    assert explain(net, X, target=1).layer == '0'
    with pytest.raises(CamError, match="the layer '1.0' is scripted"): explain(net, X, layer='1.0', target=1)
