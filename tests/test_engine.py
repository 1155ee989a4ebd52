"""Batches of any number of places, several inputs, outputs of every kind, a layer that runs twice; and what the
first call costs."""
import pytest, torch
import torchvision.models as tvm
from torch import nn

from camtutor.course import check_tensor
from camtutor.engine.forward import Forward
from camtutor.engine.inputs import network, probabilities, vocab_of
from camtutor.engine.layers import last_layer, map_layers
from camtutor.engine.modes import evaluating
from camtutor.engine.targets import scores_of
from camtutor.errors import CamError
from camtutor.explanation import explain
from camtutor.gradcam import capture, grad_cam, grad_cam_maps
from test_gradcam import Net, conv, seeded, small_net

CONV = {1: (nn.Conv1d, nn.AdaptiveAvgPool1d), 2: (nn.Conv2d, nn.AdaptiveAvgPool2d),
        3: (nn.Conv3d, nn.AdaptiveAvgPool3d)}

def net_of(places, c_in=2):
    "Two convolutions, pooling and one Linear, for signals, pictures or volumes."
    conv, pool = CONV[places]
    return nn.Sequential(conv(c_in, 4, 3, 2, 1), nn.ReLU(), conv(4, 6, 3, 2, 1), nn.ReLU(), pool(1), nn.Flatten(),
                         nn.Linear(6, 3))

# ---- any number of places

@pytest.mark.parametrize('shape, grid', [((2, 2, 32), (8,)), ((2, 2, 16, 24), (4, 6)), ((2, 2, 8, 16, 12), (2, 4, 3))])
def test_signals_pictures_and_volumes(shape, grid):
    net, x = seeded(lambda: net_of(len(shape) - 2)), torch.randn(shape)
    assert last_layer(net, x) == '3' and map_layers(net, x)['3'] == (6, *grid)
    out, A, g = capture(net, x, '3', 1)
    a = net[:4](x).detach().requires_grad_()
    want, = torch.autograd.grad(net[4:](a)[:, 1].sum(), a)
    check_tensor(A, a.detach())
    check_tensor(g, want)
    places = tuple(range(2, A.ndim))
    check_tensor(grad_cam(A, g), (g.mean(places, keepdim=True) * A).sum(1).relu())
    e = explain(net, x, target=1)
    assert e.raw.shape == (2, *grid) and e.map.shape == (2, *shape[2:]) and e.layer == '3'
    assert e._repr_png_()[:4] == b'\x89PNG'

def test_grad_cam_of_a_signal_by_hand():
    # weights (1+3)/2 = 2 and (-1-1)/2 = -1:  2*[1, 0] - 1*[1, 4] = [1, -4], negatives cut
    A, g = torch.tensor([[[1., 0], [1, 4]]]), torch.tensor([[[1., 3], [-1, -1]]])
    check_tensor(grad_cam(A, g), [[1., 0]])

class Words(nn.Module):
    "Token ids to scores: an embedding, a convolution over words, the mean."
    def __init__(self):
        super().__init__()
        self.embed, self.conv, self.fc = nn.Embedding(50, 8), nn.Conv1d(8, 6, 3, padding=1), nn.Linear(6, 2)
    def forward(self, ids): return self.fc(self.conv(self.embed(ids).transpose(1, 2)).relu().mean(2))

@pytest.mark.parametrize('length', [5, 8, 200])   # with 8 words (1, 8, 8) may be either layout
def test_token_ids(length):
    net, ids = seeded(Words), torch.randint(50, (3, length))
    assert last_layer(net, ids) == 'conv'
    out, A, g = capture(net, ids, 'embed', 1)
    check_tensor(A, net.embed(ids).detach().transpose(1, 2))   # words are the places, wherever the channels stand
    e = explain(net, ids, target=1)
    assert e.raw.shape == e.map.shape == (3, length) and e.image is None
    with pytest.raises(CamError, match='torch.uint8'): capture(net, ids.to(torch.uint8), 'conv')

# ---- several inputs

class PictureAndAge(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.fc = nn.Sequential(conv(3, 8), conv(8, 8)), nn.Linear(9, 4)
    def forward(self, x, age): return self.fc(torch.cat([self.body(x).mean((2, 3)), age], 1))

def test_several_inputs_of_one_call():
    net, x, age = seeded(PictureAndAge), torch.randn(2, 3, 16, 24), torch.tensor([[.3], [.7]])
    a = net.body(x).detach().requires_grad_()
    want, = torch.autograd.grad(net.fc(torch.cat([a.mean((2, 3)), age], 1))[:, 2].sum(), a)
    for inputs in ((x, age), dict(x=x, age=age)):
        out, A, g = capture(net, inputs, None, 2)
        check_tensor(g, want)
        check_tensor(out, net(x, age).detach())
        e = explain(net, inputs, target=2)
        assert e.raw.shape == (2, 4, 6) and e.map.shape == (2, 16, 24) and e.layer == 'body.1'
        assert e.image.shape == x.shape
    with pytest.raises(CamError, match='nor a tuple or dict'): capture(net, [x, age])

# ---- outputs

@pytest.mark.parametrize('wrap', [
    lambda out: {'logits': out}, lambda out: (out.softmax(1), out), lambda out: {'anything': {'inner': out}}])
def test_scores_are_found_in_an_output(wrap):
    net, x = seeded(small_net), torch.randn(2, 3, 16, 16)
    wrapped = Net(lambda s, x: wrap(s.m(x)), m=net)
    for target in (None, 2, [0, 3]):
        check_tensor(capture(wrapped, x, 'm.4', target).grads, capture(net, x, '4', target).grads)
    e, own = explain(wrapped, x, target=2), explain(net, x, target=2)
    assert e.label == own.label
    check_tensor(e.raw, own.raw)

def test_two_matrices_that_are_no_probabilities_and_scores_are_not_guessed():
    out = torch.randn(2, 5), torch.randn(2, 5)
    assert scores_of(out) is out
    net = Net(lambda s, x: (out := s.m(x), 2 * out), m=seeded(small_net))
    with pytest.raises(CamError, match='not scores'): capture(net, torch.randn(2, 3, 16, 16), 'm.4')

ADVICE = [lambda out: {'out': out, 'aux': out}, lambda out: (out[:, :, None, None], out),
          lambda out: out[:, :, None].expand(-1, -1, 7), lambda out: out[:, 0], lambda out: [out[:, 0], out]]

@pytest.mark.parametrize('wrap', ADVICE)
def test_the_advice_of_a_message_can_be_followed(wrap):
    "The target that the message suggests is taken out of it, and used."
    net, x = Net(lambda s, x: wrap(s.m(x)), m=seeded(small_net)), torch.randn(2, 3, 16, 16)
    with pytest.raises(CamError) as e: capture(net, x, 'm.4')
    target = eval(str(e.value).split('target=')[1].rstrip('.'))
    assert capture(net, x, 'm.4', target).grads.shape == (2, 8, 4, 4)

def test_advice_about_a_layer_that_runs_twice_can_be_followed():
    def run(s, x): return s.fc(s.b(s.b(s.a(x)).relu()).mean((2, 3)))
    net = seeded(lambda: Net(run, a=nn.Conv2d(3, 4, 3, padding=1), b=nn.Conv2d(4, 4, 3, padding=1), fc=nn.Linear(4, 3)))
    x = torch.randn(2, 3, 8, 8)
    with pytest.raises(CamError, match="more than once") as e: capture(net, x, 'b', 1)
    assert "('b', 0)" in str(e.value)
    first, second = (capture(net, x, ('b', run), 1) for run in (0, 1))
    with torch.no_grad(): check_tensor(first.acts, net.b(net.a(x)))
    with torch.no_grad(): check_tensor(second.acts, net.b(first.acts.relu()))
    both = capture(net, x, [('b', 0), ('b', 1)], 1)
    for got, want in zip(both.grads, (first.grads, second.grads)): check_tensor(got, want)
    assert explain(net, x, layer=('b', 0)).layer == ('b', 0)
    with pytest.raises(CamError, match='ran 2 times'): capture(net, x, ('b', 2))

# ---- names, wherever they are known

def test_names_wherever_a_target_is_taken():
    net, x = seeded(small_net), torch.randn(2, 3, 16, 16)
    with pytest.raises(CamError, match='no list of class names'): capture(net, x, '4', 'dog')
    net.vocab = ['cat', 'dog', 'pig', 'fox', 'bear']
    check_tensor(capture(net, x, '4', 'dog').grads, capture(net, x, '4', 1).grads)
    check_tensor(grad_cam_maps(net, x, '4', ['dog', 'fox'])[1], grad_cam_maps(net, x, '4', [1, 3])[1])
    with pytest.raises(CamError, match="no class 'dgo'. Did you mean 'dog'"): capture(net, x, '4', 'dgo')
    assert explain(net, x, target='kiwi', vocab=list('abcd') + ['kiwi']).target.tolist() == [4, 4]

def test_probabilities_are_the_networks_own():
    net, x = Net(lambda s, x: s.m(x), m=seeded(small_net)), torch.randn(2, 3, 16, 16)
    out = net(x).detach()
    check_tensor(explain(net, x).prob, out.softmax(1))
    check_tensor(explain(net, x, activation=torch.sigmoid).prob, out.sigmoid())
    net.activation = nn.ReLU()   # a layer that happens to have that name
    check_tensor(probabilities(net, out), out.softmax(1))
    net.activation = nn.Sigmoid()
    e = explain(net, x, target=2)
    check_tensor(e.probability, out[:, 2].sigmoid())
    assert e.label[0] == f'class 2 {out[0, 2].sigmoid():.1%}'

# ---- a layout of one's own

class Folded(nn.Module):
    "Keeps its maps as (N, h*w*C): no rule finds the places in it."
    def __init__(self):
        super().__init__()
        self.conv, self.fold, self.fc = nn.Conv2d(3, 4, 3, 2, 1), nn.Flatten(), nn.Linear(4 * 64, 3)
    def forward(self, x): return self.fc(self.fold(self.conv(x).relu().movedim(1, -1)))

def test_a_layout_of_ones_own():
    net, x = seeded(Folded), torch.randn(2, 3, 16, 16)
    with pytest.raises(CamError, match='layout='): capture(net, x, 'fold', 1)
    def layout(a): return a.unflatten(1, (8, 8, 4)).movedim(-1, 1)
    out, A, g = capture(net, x, 'fold', 1, layout=layout)
    with torch.no_grad(): check_tensor(A, net.conv(x).relu())
    check_tensor(g[0], net.fc.weight[1].detach().view(8, 8, 4).movedim(-1, 0))
    assert explain(net, x, layer='fold', layout=layout).raw.shape == (2, 8, 8)

# ---- the default layer, and its price

def passes(net, call):
    "Forward passes of `net` during a call, in pictures of the usual width."
    cost = []
    handle = net.register_forward_pre_hook(lambda m, args: cost.append(len(args[0]) * args[0].shape[-1] / 224))
    try: call()
    finally: handle.remove()
    return sum(cost)

@pytest.mark.parametrize(
    'name', ['resnet18', 'mobilenet_v3_small', 'densenet121', 'vgg11', 'squeezenet1_1', 'shufflenet_v2_x0_5'])
def test_the_first_call_costs_at_most_four_passes_and_later_ones_one(name):
    net = getattr(tvm, name)(weights=None).eval()
    assert passes(net, lambda: explain(net, torch.randn(1, 3, 224, 224), target=3)) <= 4
    assert passes(net, lambda: explain(net, torch.randn(1, 3, 224, 224), target=5)) == 1
    assert passes(net, lambda: explain(net, torch.randn(1, 3, 256, 224), target=5)) == 1   # at another size, too

def test_default_layers_of_networks_that_give_maps_or_boxes():
    "Where the encoder ends, not the scores themselves."
    x = torch.randn(1, 3, 96, 96)
    seg = tvm.segmentation.fcn_resnet50(weights=None, weights_backbone=None, aux_loss=True).eval()
    assert last_layer(seg, x, lambda out: out['out'][:, 3].mean((1, 2))) == 'backbone.layer4'
    assert last_layer(seg, x, lambda out: out['aux'][:, 3].mean((1, 2))) == 'backbone.layer3'
    net = tvm.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    assert last_layer(net, x, lambda out: out['out'][:, 3].mean((1, 2))) == 'backbone.16'

class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.deep, self.up = conv(3, 8), conv(8, 16), conv(16, 32), conv(32, 16, 1)
        self.last = nn.Conv2d(24, 5, 3, padding=1)
    def forward(self, x):
        a = self.down1(x)
        d = self.up(nn.functional.interpolate(self.deep(self.down2(a)), a.shape[2:]))
        return self.last(torch.cat([a, d], 1))

def test_default_layer_of_a_unet():
    net, x = seeded(UNet), torch.randn(2, 3, 64, 64)
    assert last_layer(net, x, lambda out: out[:, 2].mean((1, 2))) == 'deep'

def test_a_table_of_positions_is_no_layer():
    def run(s, x):
        return s.fc((s.cut(x).flatten(2).transpose(1, 2) + s.pos.weight[None]).relu().mean(1) + 0 * s.look().sum())
    class Look(nn.Module):
        def __init__(self): super().__init__(); self.t = nn.Parameter(torch.randn(1, 16, 8))
        def forward(self): return self.t * 2
    net = seeded(lambda: Net(run, cut=nn.Conv2d(3, 8, 4, 4), pos=nn.Embedding(16, 8), look=Look(), fc=nn.Linear(8, 3)))
    assert last_layer(net, torch.randn(2, 3, 16, 16)) == 'cut'

def test_two_branches_are_remembered_together():
    from test_gradcam import two_heads
    net, x = seeded(two_heads), torch.randn(2, 3, 32, 32)
    for k, name in ((0, 'a'), (2, 'b'), (0, 'a'), (2, 'b')): assert explain(net, x, target=k).layer == name
    runs = []
    net.register_forward_hook(lambda *a: runs.append(1))
    explain(net, x, target=0), explain(net, x, target=2)
    assert len(runs) == 2

def test_a_learner_wherever_a_model_is_taken():
    class Dls: vocab, valid_ds = ['a', 'b', 'c', 'd', 'e'], None
    class Learner: pass
    learn, x = Learner(), torch.randn(2, 3, 16, 16)
    learn.model, learn.dls = seeded(small_net), Dls()
    assert network(learn) is learn.model and vocab_of(learn) == Dls.vocab
    check_tensor(capture(learn, x, '4', 'c').grads, capture(learn.model, x, '4', 2).grads)
    assert last_layer(learn, x) == '4' and list(map_layers(learn, x)) == list(map_layers(learn.model, x))
    assert Forward(learn, x, '4').names == ['4']

# ---- evaluation mode, where several look at once

def test_evaluating_of_two_networks_that_share_a_body():
    "As of two threads: the network that entered first leaves first."
    body = nn.BatchNorm2d(3)
    a, b = (nn.Sequential(body, nn.Dropout(), nn.Dropout()).train() for _ in range(2))
    b[2].eval()
    first, second = evaluating(a), evaluating(b)
    first.__enter__(), second.__enter__()
    first.__exit__(None, None, None)
    assert [m.training for m in a.modules()] == [True, False, True, True] and not any(m.training for m in b.modules())
    b(torch.randn(4, 3, 2, 2))
    check_tensor(body.running_mean, torch.zeros(3))
    second.__exit__(None, None, None)
    assert body.training and [m.training for m in b.modules()] == [True, True, True, False]
