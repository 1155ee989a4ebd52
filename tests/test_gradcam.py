"Grad-CAM on networks small enough to be worked out by hand, and the rules that must hold on any network."
import threading
from dataclasses import dataclass, field
import pytest, torch
from torch import nn

from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.hooks import HookBwd
from camtutor.engine.forward import Forward
from camtutor.engine.inputs import unwrap
from camtutor.engine.layers import last_layer, map_layers
from camtutor.engine.layout import as_maps
from camtutor.engine.targets import class_score
from camtutor.engine.trace import forget
from camtutor.gradcam import capture, grad_cam, grad_cam_maps

X = torch.tensor([[[[1., 2], [3, 4]]]])

def raw(kept, target, layers=None, again=False):
    "Raw gradients of one pass kept at each layer, rows of scores together."
    parts = list(kept.grads(target, layers, again))
    return parts[0] if len(parts) == 1 else [torch.cat(p) for p in zip(*parts)]

def hand_net():
    "One channel in, two channels x and 3 - x behind a ReLU, pooled, two classes."
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([1., -1]).view(2, 1, 1, 1))
        net[0].bias.copy_(torch.tensor([0., 3]))
        net[4].weight.copy_(torch.tensor([[1., -2], [.5, 4]]))
        net[4].bias.copy_(torch.tensor([0., 10]))
    return net.eval()

def seeded(make, seed=0):
    torch.manual_seed(seed)
    return make().eval()

def small_net(inplace=True):
    return nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(inplace), nn.Conv2d(6, 8, 3, 2, 1),
                         nn.ReLU(inplace), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(.5), nn.Linear(32, 16),
                         nn.ReLU(inplace), nn.Linear(16, 5))

# ---- by hand
# A0 = x = [[1,2],[3,4]], mean 2.5;  A1 = relu(3 - x) = [[2,1],[0,0]], mean .75
# scores: class 0: 1*2.5 - 2*.75 = 1;  class 1: .5*2.5 + 4*.75 + 10 = 14.25

def test_out_acts_grads_by_hand():
    out, A, g = capture(hand_net(), X, '1', 0)
    check_tensor(out, [[1, 14.25]])
    check_tensor(A, [[[[1, 2], [3, 4]], [[2, 1], [0, 0]]]])
    # w/(h·w) = 1/4 and -2/4, at every place
    check_tensor(g, torch.stack([torch.full((2, 2), .25), torch.full((2, 2), -.5)])[None])

def test_map_by_hand():
    # class 0: .25*[[1,2],[3,4]] - .5*[[2,1],[0,0]] = [[-.75,0],[.75,1]], negatives cut
    # class 1: .125*[[1,2],[3,4]] + 1*[[2,1],[0,0]] = [[2.125,1.25],[.375,.5]]
    net = hand_net()
    for target, want in ((0, [[0, 0], [.75, 1]]), (1, [[2.125, 1.25], [.375, .5]])):
        _, A, g = capture(net, X, '1', target)
        check_tensor(grad_cam(A, g), [want])

def test_gradient_in_front_of_the_relu_by_hand():
    # 3 - x = [[2,1],[0,-1]]: the ReLU is shut at the lower right, and at exactly 0 its gradient is 0 too.
    # class 1: ch 0 gets .5/4 everywhere (x > 0), ch 1 gets 4/4 in the upper row only: mean .5
    _, A, g = capture(hand_net(), X, '0', 1)
    check_tensor(A[0, 1], [[2, 1], [0, -1]])
    check_tensor(g[0], [[[.125, .125], [.125, .125]], [[1, 1], [0, 0]]])
    # .125*[[1,2],[3,4]] + .5*[[2,1],[0,-1]] = [[1.125,.75],[.375,0]]
    check_tensor(grad_cam(A, g), [[[1.125, .75], [.375, 0]]])

def test_pixel_gradient_by_hand():
    # class 1: .125*1 + 1*(-1) where 3 - x > 0, otherwise .125
    out, x, g = capture(hand_net(), X, 'input', 1)
    check_tensor(x, X)
    check_tensor(g, [[[[-.875, -.875], [.125, .125]]]])

def test_flat_head_by_hand():
    # One channel, no pooling: score = 1*x00 + 2*x01 + 3*x10 - 2*x11, so g is these weights and their mean is 1:
    # map = relu(A)
    net = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(4, 1, bias=False))
    with torch.no_grad(): net[2].weight.copy_(torch.tensor([[1., 2, 3, -2]]))
    A = torch.tensor([[[[1., -2], [3, 4]]]])
    out, acts, g = capture(net, A, '0', 0)
    check_tensor(out, [[1 - 4 + 9 - 8]])
    check_tensor(g, [[[[1, 2], [3, -2]]]])
    check_tensor(grad_cam(acts, g), [[[1, 0], [3, 4]]])

def test_formula_alone():
    A = torch.tensor([[[[1., 0], [0, 2]], [[3, 1], [1, 0]]]])
    g = torch.tensor([[[[4., 0], [0, 0]], [[-1, -1], [-1, -1]]]])
    # w = (1, -1): [[1-3, 0-1], [0-1, 2-0]] = [[-2,-1],[-1,2]]
    check_tensor(grad_cam(A, g), [[[0, 0], [0, 2]]])
    check_tensor(grad_cam(A, torch.stack([g, -g])), [[[[0, 0], [0, 2]]], [[[2, 1], [1, 0]]]])

def test_cam_is_grad_cam_times_the_area():
    net = hand_net()
    _, A, g = capture(net, X, '1', 0)
    before_relu = torch.einsum('nc,nchw->nhw', g.mean((2, 3)), A)
    cam = torch.einsum('c,nchw->nhw', net[4].weight[0].detach(), A)
    check_tensor(4 * before_relu, cam)
    check_tensor(cam.mean((1, 2)) + net[4].bias[0].detach(), capture(net, X, '1', 0).out[:, 0])

# ---- rules

def test_batch_equals_loop():
    net = seeded(small_net)
    x, t = torch.randn(4, 3, 16, 16), [3, 0, 4, 0]
    _, A, g = capture(net, x, '4', t)
    for n in range(4):
        _, a, k = capture(net, x[n:n+1], '4', t[n])
        check_tensor(A[n:n+1], a)
        check_tensor(g[n:n+1], k)

def test_many_layers_equal_one_by_one():
    net, x, names = seeded(small_net), torch.randn(2, 3, 16, 16), ['4', '0', '2', '3', '0', 'input', '1']
    many = capture(net, x, names, 2)
    for name, A, g in zip(names, many.acts, many.grads):
        one = capture(net, x, name, 2)
        check_tensor(A, one.acts, name=f'activations at {name}')
        check_tensor(g, one.grads, name=f'gradient at {name}')
        check_tensor(many.out, one.out)

def test_list_of_one_gives_lists_and_a_tuple_is_a_list():
    net, x = seeded(small_net), torch.randn(1, 3, 16, 16)
    assert isinstance(capture(net, x, ['4']).acts, list)
    assert isinstance(capture(net, x, ('4',)).grads, list)
    assert isinstance(capture(net, x, '4').acts, torch.Tensor)

def test_sequential_is_one_layer():
    stage = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())
    net = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 1), stage, nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    x = torch.randn(1, 3, 4, 4)
    check_tensor(capture(net, x, stage, 0).acts, capture(net, x, '1.1', 0).acts)

def test_a_layer_and_the_block_around_it():
    net = seeded(lambda: nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True)),
                                       nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    x = torch.randn(1, 3, 4, 4)
    (A0, A1, A2), (g0, g1, g2) = capture(net, x, ['0.0', '0.1', '0'], 1)[1:]
    check_tensor(A1, A0.relu())
    check_tensor(A2, A1)
    check_tensor(g2, g1)
    check_tensor(g0, g1 * (A0 > 0))

def test_several_scores_equal_one_by_one():
    net, x = seeded(small_net), torch.randn(3, 3, 16, 16)
    many = capture(net, x, ['2', '4'], lambda out: out.T)
    for k in range(5):
        one = capture(net, x, ['2', '4'], k)
        for a, b in zip(many.grads, one.grads): check_tensor(a[k], b)
        check_tensor(grad_cam(many.acts[1], many.grads[1])[k], grad_cam(one.acts[1], one.grads[1]))

@pytest.mark.parametrize('factor', [.5, 3.])
def test_scaling_the_score_scales_the_map(factor):
    net, x = seeded(small_net), torch.randn(2, 3, 16, 16)
    base, scaled = (grad_cam(*capture(net, x, '4', t)[1:]) for t in (1, lambda out: factor * out[:, 1]))
    assert base.amax() > 0
    check_tensor(scaled, factor * base)

def test_permuting_channels_changes_nothing():
    net, x, order = seeded(small_net), torch.randn(2, 3, 16, 16), torch.tensor([5, 2, 7, 0, 1, 6, 3, 4])
    base = grad_cam(*capture(net, x, '4', 1)[1:])
    with torch.no_grad():
        net[3].weight.copy_(net[3].weight[order])
        net[3].bias.copy_(net[3].bias[order])
        net[8].weight.copy_(net[8].weight.view(16, 8, 4)[:, order].reshape(16, 32))
    check_tensor(grad_cam(*capture(net, x, '4', 1)[1:]), base)

def test_permuting_images_permutes_maps():
    net, x, order = seeded(small_net), torch.randn(3, 3, 16, 16), [2, 0, 1]
    check_tensor(grad_cam(*capture(net, x[order], '4', 1)[1:]), grad_cam(*capture(net, x, '4', 1)[1:])[order])

def test_in_place_relu_spoils_nothing():
    torch.manual_seed(0)
    a, b = small_net(True).eval(), small_net(False).eval()
    b.load_state_dict(a.state_dict())
    x = torch.randn(2, 3, 16, 16)
    for layer in ('0', '1', '3', 'input'):
        ours, plain = capture(a, x, layer, 1), capture(b, x, layer, 1)
        assert layer == 'input' or (ours.acts < 0).any()
        check_tensor(ours.acts, plain.acts)
        check_tensor(ours.grads, plain.grads)

def test_gradient_equals_plain_backward():
    net, x = seeded(lambda: small_net(False)), torch.randn(2, 3, 16, 16)
    A = net[:4](x).detach().requires_grad_()
    net[4:](A)[:, 3].sum().backward()
    check_tensor(capture(net, x, '3', 3).grads, A.grad)

def test_numeric_gradient():
    net = seeded(small_net).double()
    x, eps = torch.randn(1, 3, 8, 8, dtype=torch.float64), 1e-6
    _, A, g = capture(net, x, '4', 2)
    for i in (0, 7, 19, 31):
        step = torch.zeros_like(A).view(-1)
        step[i] = eps
        up, down = (net[5:](A + s * step.view_as(A))[0, 2] for s in (1, -1))
        assert abs((up - down).item() / (2 * eps) - g.view(-1)[i].item()) < 1e-6

class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.side = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)
        self.head = nn.Linear(4, 3)
    def forward(self, x):
        self.side(x)
        return self.head(torch.cat([self.a(x), self.b(x)], 1).relu().mean((2, 3)))

def test_parallel_branches():
    net, x = seeded(Branches), torch.randn(2, 3, 5, 5)
    both = capture(net, x, ['b', 'a'], 1)
    for A, g, name in zip(both.acts, both.grads, 'ba'):
        one = capture(net, x, name, 1)
        check_tensor(A, one.acts)
        check_tensor(g, one.grads)

def test_side_branch_is_refused():
    with pytest.raises(CamError, match="does not depend on the layer 'side'"):
        capture(seeded(Branches), torch.randn(1, 3, 5, 5), 'side')

# ---- targets

OUT = torch.tensor([[1., 5, 2], [7, 0, 3]])

@pytest.mark.parametrize('target, want', [
    (None, [5, 7]), (2, [2, 3]), ([0, 2], [1, 3]), ((0, 2), [1, 3]), (range(2), [1, 0]), (torch.tensor([1, 1]), [5, 0]),
    (torch.tensor(2), [2, 3]), (torch.tensor([0, 2]).numpy(), [1, 3]), ([torch.tensor(0), torch.tensor(1)], [1, 0]),
    (OUT.argmax(1).numpy()[0], [5, 0]), (lambda o: o[:, 0] - o[:, 1], [-4, 7]),
    (lambda o: o[:, :2].T, [[1, 7], [5, 0]])])
def test_targets(target, want): check_tensor(class_score(OUT, target), want)

def test_difference_of_two_classes():
    net, x = seeded(small_net), torch.randn(2, 3, 16, 16)
    gs = [capture(net, x, '4', t).grads for t in (1, 3, lambda out: out[:, 1] - out[:, 3])]
    check_tensor(gs[2], gs[0] - gs[1])

class Wrapped(nn.Module):
    "Gives a dict, as models of other libraries do."
    def __init__(self, net):
        super().__init__()
        self.net = net
    def forward(self, x): return dict(logits=self.net(x), extra=(x.mean(),))

def test_dict_output_with_a_callable():
    net, x = seeded(small_net), torch.randn(2, 3, 16, 16)
    got = capture(Wrapped(net), x, 'net.4', lambda out: out['logits'][:, 2])
    check_tensor(got.grads, capture(net, x, '4', 2).grads)
    assert not got.out['logits'].requires_grad and not got.out['extra'][0].requires_grad

# ---- layouts

def test_tokens_on_their_grid():
    t = torch.arange(2 * 7 * 3.).view(2, 7, 3)          # a class token and 6 patches with 3 channels
    m = as_maps(t, (20, 30))
    assert m.shape == (2, 3, 2, 3)
    check_tensor(m[1, 2], [[t[1, 1, 2], t[1, 2, 2], t[1, 3, 2]], [t[1, 4, 2], t[1, 5, 2], t[1, 6, 2]]])
    check_tensor(as_maps(t[:, 1:], (20, 30)), m)        # without a class token
    assert as_maps(torch.zeros(1, 197, 8), (224, 224)).shape == (1, 8, 14, 14)
    assert as_maps(torch.zeros(1, 201, 8), (224, 224)).shape == (1, 8, 14, 14)  # class and four register tokens

def test_channels_last_is_told_from_channels_first_by_the_aspect():
    a = torch.randn(2, 7, 7, 96)
    check_tensor(as_maps(a, (224, 224)), a.permute(0, 3, 1, 2))
    a = torch.randn(2, 96, 7, 14)
    assert as_maps(a, (224, 448)) is a
    assert as_maps(torch.zeros(1, 512, 1, 1), (32, 32)).shape == (1, 512, 1, 1)

class TokenNet(nn.Module):
    "Patches, one attention with a class token, and a head that reads the class token alone."
    def __init__(self):
        super().__init__()
        self.patch, self.cls = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.randn(1, 1, 8))
        self.norm, self.attn = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.end, self.head = nn.LayerNorm(8), nn.Linear(8, 3)
    def forward(self, x):
        t = torch.cat([self.cls.expand(len(x), -1, -1), self.patch(x).flatten(2).transpose(1, 2)], 1)
        n = self.norm(t)
        return self.head(self.end(t + self.attn(n, n, n)[0])[:, 0])

def test_transformer():
    net, x = seeded(TokenNet), torch.randn(2, 3, 16, 24)
    assert last_layer(net, x) == 'norm'
    out, A, g = capture(net, x, 'norm', 1)
    assert A.shape == g.shape == (2, 8, 4, 6) and g.any()
    with pytest.raises(CamError, match='only its class token is read'): capture(net, x, 'end', 1)
    with pytest.raises(CamError, match='a tuple'): capture(net, x, 'attn', 1)

# ---- the last layer

def test_last_layer_is_before_pooling_and_found_once():
    net = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(),
                                       nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)))
    x, runs = torch.randn(1, 3, 12, 12), []
    assert last_layer(net, x) == '1'
    net.register_forward_hook(lambda *a: runs.append(1))
    assert last_layer(net, x) == '1' and not runs
    net[1] = nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 1))
    assert last_layer(net, x).startswith('1') and runs  # the network has changed, so it is looked for again

def test_unwrap():
    net = seeded(small_net)
    assert unwrap(nn.DataParallel(net)) is net and unwrap(torch.compile(net)) is net
    assert unwrap(nn.DataParallel(nn.DataParallel(net))) is net

# ---- many maps at once

def test_maps_without_keeping_gradients():
    net, x = seeded(small_net), torch.randn(3, 3, 16, 16)
    for target in (1, [0, 4, 2], lambda out: out[:, :4].T):
        seen = capture(net, x, ['4', '1', 'input'], target)
        out, maps = grad_cam_maps(net, x, ['4', '1', 'input'], target)
        check_tensor(out, seen.out)
        for m, A, g in zip(maps, seen.acts, seen.grads): check_tensor(m, grad_cam(A, g))
    check_tensor(grad_cam_maps(net, x, '4', 1)[1], grad_cam(*capture(net, x, '4', 1)[1:]))
    with pytest.raises(CamError, match="Grad-CAM at '9': "): grad_cam_maps(net, x, '9')

class Guarded(nn.Module):
    "Its first half runs under a no_grad of its own, as a frozen backbone often does."
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.head = nn.Sequential(nn.Conv2d(4, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    def forward(self, x):
        with torch.no_grad(): A = self.body(x)
        return self.head(A)

def test_a_backbone_under_no_grad():
    net, x = seeded(Guarded), torch.randn(2, 3, 8, 8)
    assert capture(net, x, 'head.0', lambda out: out.T).grads.shape == (4, 2, 4, 6, 6)
    with pytest.raises(CamError, match='does not depend|no_grad'): capture(net, x, 'body')

# ---- several rows of scores in one backward pass

class Unmappable(torch.autograd.Function):
    "The identity; its backward pass looks at a number, so it cannot be mapped over rows."
    @staticmethod
    def forward(ctx, x): return x.clone()
    @staticmethod
    def backward(ctx, g): return g if g.abs().max().item() >= 0 else -g

class Broken(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x.clone()
    @staticmethod
    def backward(ctx, g): raise RuntimeError('the cat bit through the cable')

class Wired(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.fn, self.conv, self.head = fn, nn.Conv2d(3, 4, 3), nn.Linear(4, 5)
    def forward(self, x): return self.head(self.fn.apply(self.conv(x)).mean((2, 3)))

@pytest.mark.parametrize('n', [1, 2, 5])
def test_rows_together_are_the_rows_one_by_one(n):
    net, x = seeded(small_net), torch.randn(n, 3, 16, 16)
    rows = capture(net, x, ['4', '1', 'input'], lambda out: out.T)
    for k in range(5):
        for all_of_them, one in zip(rows.grads, capture(net, x, ['4', '1', 'input'], k).grads):
            check_tensor(all_of_them[k], one)

def test_a_backward_that_cannot_be_mapped_goes_row_by_row():
    net, x = seeded(lambda: Wired(Unmappable)), torch.randn(2, 3, 8, 8)
    rows = capture(net, x, 'conv', lambda out: out.T).grads
    for k in range(5): check_tensor(rows[k], capture(net, x, 'conv', k).grads)

def test_a_broken_backward_is_not_hidden():
    with pytest.raises(RuntimeError, match='bit through the cable'):
        capture(seeded(lambda: Wired(Broken)), torch.randn(1, 3, 8, 8), 'conv', lambda out: out.T)

def test_one_pass_asked_again():
    net, x = seeded(small_net), torch.randn(2, 3, 16, 16)
    kept = Forward(net, x, ['1', '4'])
    for target in (3, 0, [1, 2], lambda out: out[:, :2].T, 3):
        seen = capture(net, x, ['1', '4'], target)
        for got, g in zip(raw(kept, target, again=True), seen.grads): check_tensor(got, g)
    check_tensor(kept.at('1'), seen.acts[0])
    check_tensor(raw(kept, 3, ['4'], again=True)[0], capture(net, x, '4', 3).grads)
    with pytest.raises(CamError, match='out of range'): raw(kept, 5)

def test_hooks_of_somebody_else_see_plain_gradients():
    net, x = seeded(small_net), torch.randn(2, 3, 16, 16)
    with HookBwd(net[4]) as hook: capture(net, x, '1', lambda out: out.T)
    assert hook.fired == 5
    check_tensor(hook.stored, capture(net, x, '4', 4).grads)

class Residual(nn.Module):
    "Its dropout hands its input on, and that is written into afterwards."
    def __init__(self):
        super().__init__()
        self.a, self.drop = nn.Conv2d(3, 4, 3, padding=1), nn.Dropout(.5)
        self.b, self.head = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 5)
    def forward(self, x):
        x = self.a(x)
        y = self.drop(x)
        x += self.b(y)
        return self.head(x.relu().mean((2, 3)))

def test_a_layer_that_hands_its_input_on():
    net, x = seeded(Residual).eval(), torch.randn(2, 3, 8, 8)
    for layers in (['drop'], ['a', 'drop']): check_tensor(capture(net, x, layers, 1).acts[-1], net.a(x).detach())

def test_few_channels_are_not_taken_for_a_side():
    net = seeded(lambda: nn.Sequential(nn.Conv2d(3, 14, (3, 5)), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                       nn.Linear(14, 4)))
    x = torch.randn(1, 3, 16, 16)
    assert capture(net, x, '0', 0).acts.shape == (1, 14, 14, 12)
    assert as_maps(torch.zeros(1, 56, 56, 96), (224, 224)).shape == (1, 96, 56, 56)
    assert as_maps(torch.zeros(1, 7, 7, 768), (224, 224)).shape == (1, 768, 7, 7)

def test_the_last_layer_depends_on_the_size():
    from torchvision.models import resnet18
    for sizes in ((32, 224), (224, 32)):
        net = resnet18().eval()
        assert {s: last_layer(net, torch.randn(1, 3, s, s)) for s in sizes} == {32: 'layer3', 224: 'layer4'}

def test_looking_for_layers_beside_another_thread():
    net, x, stop, found = seeded(small_net), torch.randn(1, 3, 32, 32), threading.Event(), []
    def other():
        with torch.no_grad():
            while not stop.is_set():
                net(x)
                found.append(torch.is_grad_enabled())
    t = threading.Thread(target=other)
    t.start()
    want = list(map_layers(net, x))
    try:
        for _ in range(60):
            assert list(map_layers(net, x)) == want
            forget(net)
            assert last_layer(net, x) == '4'
    finally:
        stop.set()
        t.join()
    assert not any(found)

def test_a_head_of_zeros_is_named():
    from torchvision.models import vit_b_32
    net = vit_b_32(image_size=64).eval()   # torchvision's head is zero before training
    with pytest.raises(CamError, match='0 everywhere'):
        capture(net, torch.randn(1, 3, 64, 64), 'encoder.layers.encoder_layer_3', 1)

@pytest.mark.parametrize('size', [64, 384])
def test_swin_stages_are_laid_out_as_they_are(size):
    "At 384 px the first stage gives (96,96,96), and no shape tells which of them are the channels."
    from torchvision.models import swin_t
    net, x, seen = swin_t(weights=None).eval(), torch.randn(1, 3, size, size), []
    handle = net.features[1].register_forward_hook(lambda m, a, out: seen.append(out.detach()))
    got = capture(net, x, 'features.1', 5)
    handle.remove()
    check_tensor(got.acts, seen[0].permute(0, 3, 1, 2))
    assert map_layers(net, x)['features.1'] == tuple(got.acts.shape[1:])

def test_a_way_back_that_is_used_up_says_so():
    net, x = seeded(small_net), torch.randn(2, 3, 16, 16)
    kept = Forward(net, x, ['2', '4'])
    first = raw(kept, 1, again=True)
    check_tensor(raw(kept, 1, [net[2]])[0], first[0])
    with pytest.raises(CamError, match=r"the way back was freed .* again=True"): raw(kept, 1)

def test_layers_that_were_not_kept():
    net, x = seeded(small_net), torch.randn(2, 3, 16, 16)
    kept = Forward(net, x, ['2', '4'])
    check_tensor(kept.at(net[4]), kept.at('4'))
    for ask in (lambda: kept.at('0'), lambda: kept.at(net[0]), lambda: raw(kept, 1, ['0']),
                lambda: kept.pair('0', None)):
        with pytest.raises(CamError, match="no layer '0' was kept"): ask()

def test_scores_with_a_row_for_each_image_are_refused():
    net, x = seeded(small_net), torch.randn(2, 3, 16, 16)
    with pytest.raises(CamError, match=r'\(K,N\): add .T'): capture(net, x, '4', lambda out: out[:, :2])
    check_tensor(capture(net, x, '4', lambda out: out[:, :2].T).grads[1], capture(net, x, '4', 1).grads)

def test_the_batch_need_not_be_the_first_axis_of_the_output():
    class Line(nn.Module):
        def __init__(self, net): super().__init__(); self.net = net
        def forward(self, x): return torch.stack([o := self.net(x), 2 * o, 0 * o])   # (T,N,K)
    net, x = seeded(small_net), torch.randn(2, 3, 16, 16)
    check_tensor(capture(Line(net), x, 'net.4', lambda out: out[:, :, 1].sum(0)).grads,
                 3 * capture(net, x, '4', 1).grads)

class TwoHeads(nn.Module):
    "Scores, and a map of its own behind the last maps that the scores read."
    def __init__(self):
        super().__init__()
        self.conv, self.side, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1), nn.Linear(4, 3)
    def forward(self, x):
        A = self.conv(x)
        return self.fc(A.mean((2, 3))), self.side(A)

def test_the_last_layer_that_the_target_depends_on():
    net, x = seeded(TwoHeads), torch.randn(2, 3, 16, 16)
    # where its encoder ends, not the map itself
    for target in (None, lambda out: out[0][:, 1], lambda out: out[1][:, 1].mean((1, 2))):
        assert last_layer(net, x, target) == 'conv'

def test_the_last_layer_of_a_network_that_has_grown():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    x = torch.randn(1, 3, 16, 16)
    assert last_layer(net, x) == '0'
    net.insert(1, nn.Conv2d(4, 4, 3, padding=1))
    assert last_layer(net, x) == '1'

def test_tokens_that_fit_no_grid():
    with pytest.raises(CamError, match='no places'): as_maps(torch.zeros(1, 7, 8), (32, 640))

def test_many_rows_go_back_a_few_at_a_time():
    "No more gradients stand in memory together than a few megabytes, however many scores there are."
    net = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(64, 20)).eval()
    kept, rows = Forward(net, torch.randn(1, 3, 64, 64), '1'), []   # 1 MB of activations
    for g, in kept.grads(lambda out: out.T): rows.append(len(g))
    assert sum(rows) == 20 and 1 < max(rows) <= 4

# ---- where the places are
class Net(nn.Module):
    "Modules by name, and a forward pass of one's own."
    def __init__(self, run, **mods):
        super().__init__()
        for name, m in mods.items(): self.add_module(name, m)
        self.run = run
    def forward(self, x): return self.run(self, x)

def conv(c_in, c_out, stride=2): return nn.Sequential(nn.Conv2d(c_in, c_out, 3, stride, 1), nn.ReLU())

def two_heads():
    "Scores 0 and 1 read branch a, 2 to 4 branch b."
    return Net(lambda s, x: torch.cat([s.fa(s.a(y := s.stem(x)).mean((2, 3))), s.fb(s.b(y).mean((2, 3)))], 1),
               stem=conv(3, 8), a=conv(8, 8), b=conv(8, 8), fa=nn.Linear(8, 2), fb=nn.Linear(8, 3)).eval()

def test_the_last_layer_that_the_class_depends_on():
    net, x = seeded(two_heads), torch.randn(2, 3, 32, 32)
    assert [last_layer(net, x, k) for k in (0, 1, 2, [3, 4])] == ['a', 'a', 'b', 'b']
    assert last_layer(net, x, [0, 2]) == 'b'
    assert last_layer(net, x) == {True: 'a', False: 'b'}[all(net(x).argmax(1) < 2)]
    assert grad_cam_maps(net, x, last_layer(net, x, 0), 0)[1].any()

@pytest.mark.parametrize(
    'wrap', [lambda out: out, lambda out: {'logits': out}, lambda out: (out, out.sum(1)), lambda out: Scores(out)])
def test_one_layer_for_the_whole_output_is_looked_for_once(wrap):
    inner, x = seeded(small_net), torch.randn(1, 3, 16, 16)
    net = Net(lambda s, x: wrap(s.m(x)), m=inner)
    def target(out):
        if isinstance(out, dict): return out['logits'][:, 1]
        return getattr(out, 'logits', out[0] if isinstance(out, tuple) else out)[:, 1]
    assert last_layer(net, x, target) == 'm.4'
    runs = []
    handle = net.register_forward_hook(lambda *a: runs.append(1))
    assert last_layer(net, x, target) == 'm.4' and not runs
    got, want = capture(net, x, 'm.4', target), capture(inner, x, '4', 1)
    check_tensor(got.grads, want.grads)

@dataclass
class Scores: logits:object

def test_the_output_of_a_dataclass_keeps_no_graph():
    net = Net(lambda s, x: Scores(s.m(x)), m=seeded(small_net))
    out = capture(net, torch.randn(1, 3, 16, 16), 'm.4', lambda out: out.logits[:, 0]).out
    assert isinstance(out, Scores) and not out.logits.requires_grad

def test_boxes_are_no_places_of_the_picture():
    from torchvision.ops import roi_align
    def run(s, x):
        return s.fc(s.head(roi_align(s.body(x), [torch.tensor([[0., 0, 16, 16]])] * len(x), 7, .25)).mean((2, 3)))
    net = seeded(lambda: Net(run, body=nn.Sequential(conv(3, 8), conv(8, 8)), head=conv(8, 8, 1), fc=nn.Linear(8, 5)))
    x = torch.randn(1, 3, 64, 64)
    assert last_layer(net, x) == 'body.1' and 'head' not in str(list(map_layers(net, x)))

def test_queries_are_no_places_of_the_picture():
    def run(s, x):
        return s.cls(s.dec(s.query.weight.expand(len(x), -1, -1), s.proj(s.body(x)).flatten(2).transpose(1, 2)))[:, 3]
    net = seeded(lambda: Net(run, body=conv(3, 8), proj=nn.Conv2d(8, 16, 1), query=nn.Embedding(99, 16),
                             cls=nn.Linear(16, 5),
                             dec=nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 2, 32, batch_first=True), 1)))
    x = torch.randn(1, 3, 18, 22)   # 99 queries would fit 9 × 11
    assert last_layer(net, x) == 'proj' and 'dec' not in str(list(map_layers(net, x)))

def test_a_network_that_resizes_its_pictures_keeps_its_layers():
    net = Net(lambda s, x: s.m(nn.functional.interpolate(x, (16, 16))), m=seeded(small_net))
    assert last_layer(net, torch.randn(1, 3, 40, 30)) == 'm.4'

def vit(before, batch_first=True, patch=16):
    "A little transformer: `before` tokens (a class token, registers), then the patches."
    def run(s, x):
        y = s.cut(x).flatten(2).transpose(1, 2)
        y = torch.cat([s.first.weight.expand(len(y), -1, -1), y], 1)
        y = s.enc(y) if batch_first else s.enc(y.transpose(0, 1)).transpose(0, 1)
        return s.fc(y.mean(1))
    torch.manual_seed(0)
    return Net(run, cut=nn.Conv2d(3, 16, patch, patch), first=nn.Embedding(before, 16), fc=nn.Linear(16, 5),
               enc=nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=batch_first), 2,
                                         enable_nested_tensor=False)).eval()

@pytest.mark.parametrize('before', [1, 2, 5, 6, 9, 17])
def test_any_number_of_registers(before):
    net, x = vit(before), torch.randn(2, 3, 224, 160)
    A = capture(net, x, 'enc.layers.0', 0).acts
    assert A.shape == (2, 16, 14, 10)
    seen = []
    handle = net.enc.layers[0].register_forward_hook(lambda m, a, out: seen.append(out))
    net(x), handle.remove()
    check_tensor(A[1, :, 3, 4], seen[0][1, before + 3 * 10 + 4])

@pytest.mark.parametrize('n', [1, 2, 3, 13])   # 13 tokens each
def test_tokens_with_the_sequence_first(n):
    x = torch.randn(n, 3, 64, 48)
    first, usual = vit(1, False), vit(1)
    assert last_layer(first, x) == last_layer(usual, x) and map_layers(first, x) == map_layers(usual, x)
    for got, want in zip(capture(first, x, 'enc.layers.1', 0), capture(usual, x, 'enc.layers.1', 0)):
        check_tensor(got, want)

def test_layers_with_another_number_of_pictures_are_refused():
    m = seeded(small_net)
    mirrored = Net(lambda s, x: s.m(torch.cat([x, x.flip(3)])).view(2, len(x), -1).mean(0), m=m)
    x = torch.randn(3, 3, 16, 16)
    with pytest.raises(CamError, match=r"the layer 'm.3' gives \(6, 8, 4, 4\) for 3 images"):
        capture(mirrored, x, 'm.3', 0)

def test_scores_with_a_row_for_each_image_are_refused_in_a_dict_too():
    net, x = Net(lambda s, x: {'logits': s.m(x)}, m=seeded(small_net)), torch.randn(5, 3, 16, 16)
    with pytest.raises(CamError, match='with a row for each image'):
        grad_cam_maps(net, x, 'm.4', lambda out: out['logits'])
    assert grad_cam_maps(net, x, 'm.4', lambda out: out['logits'].T)[1].shape == (5, 5, 4, 4)

def test_a_network_of_two_precisions_takes_a_batch_of_either():
    net = Net(lambda s, x: s.m(x).float() * s.scale, m=seeded(small_net).bfloat16())
    net.scale = nn.Parameter(torch.tensor(2.))
    net._parameters.move_to_end('scale', last=False) if hasattr(net._parameters, 'move_to_end') else None
    assert capture(net, torch.randn(1, 3, 16, 16).bfloat16(), 'm.4', 0).acts.dtype == torch.bfloat16

def test_an_old_checkpoint_is_named():
    from torch.utils.checkpoint import checkpoint
    net = Net(lambda s, x: s.fc(checkpoint(s.b, s.a(x), use_reentrant=True).mean((2, 3))), a=conv(3, 8), b=conv(8, 8),
              fc=nn.Linear(8, 5)).eval()
    with pytest.raises(CamError, match='use_reentrant=False'): capture(net, torch.randn(1, 3, 16, 16), 'a', 0)

def test_pixels_whatever_the_layers_are_called():
    from camtutor.guided import saliency
    m, x = seeded(small_net), torch.randn(2, 3, 16, 16)
    named = Net(lambda s, x: s.rest(s.input(x)), input=m[:3], rest=m[3:]).eval()
    check_tensor(saliency(named, x, 1), saliency(m, x, 1))
    assert capture(named, x, 'input', 1).acts.shape == (2, 6, 8, 8)   # asked for by name it is the layer
    named.rest.input = None
    m.input = None                                                     # no module, so nothing to confuse
    check_tensor(capture(m, x, 'input', 1).grads, saliency(m, x, 1))

def test_a_dataclass_with_a_field_of_its_own():
    @dataclass(frozen=True)
    class Fixed:
        logits:object
        n:int = field(init=False, default=3)
    net = Net(lambda s, x: Fixed(s.m(x)), m=seeded(small_net))
    out = capture(net, torch.randn(1, 3, 16, 16), 'm.4', lambda out: out.logits[:, 0]).out
    assert not out.logits.requires_grad and out.n == 3
