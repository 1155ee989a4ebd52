"Guided backprop: the rules by hand, other libraries, what it leaves behind, and the sanity check that it fails."
import copy, threading, types, warnings
import numpy as np, pytest, torch
import torch.nn.functional as F
from torch import nn

warnings.filterwarnings('ignore', category=DeprecationWarning)
from captum.attr import Deconvolution, GuidedBackprop
from scipy.stats import spearmanr

from camtutor.cam import own_share
from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.gradcam import capture, grad_cam
from camtutor.engine.relus import relu_top
from camtutor.engine.units import unit, unit_mask
from camtutor.guided import (RULES, ReLURule, RuledReLU, cascade, guided_backprop, guided_grad_cam, pixel_grad,
                             rank_correlation, saliency, scramble, signed_image, strength)
from camtutor.networks import load_pets
from camtutor.scenes import scene
from camtutor.show import upsample
from camtutor.truth import edges, two_animals
from test_parity import build
from test_state import OUTER, Net, state, unchanged

# ---- by hand: open and shut ReLUs, messages for and against
X4, G4 = torch.tensor([2., -1, 3, -4]), torch.tensor([5., 6, -7, -8])
WANT = dict(backprop=[5., 0, -7, 0], deconvnet=[5., 6, 0, 0], guided=[5., 0, 0, 0])

CALLS = dict(
    module=lambda x: nn.ReLU()(x), module_in_place=lambda x: nn.ReLU(True)(x), functional=F.relu,
    functional_in_place=lambda x: F.relu(x, inplace=True), positional_in_place=lambda x: F.relu(x, True),
    torch_relu=torch.relu, torch_relu_=torch.relu_, method=lambda x: x.relu(), method_=lambda x: x.relu_(),
    keyword=lambda x: torch.relu(input=x), relu6_module=lambda x: nn.ReLU6()(x), relu6=F.relu6,
    hardtanh=lambda x: F.hardtanh(x, 0, 6), hardtanh_=lambda x: F.hardtanh_(x, 0., 6.), clamp=lambda x: x.clamp(min=0),
    clamp_positional=lambda x: torch.clamp(x, 0), clamp_=lambda x: x.clamp_(0), clamp_to_6=lambda x: x.clamp(0, 6),
    clip=lambda x: x.clip(min=0), clip_=lambda x: x.clip_(0), clamp_min=lambda x: x.clamp_min(0),
    clamp_min_=lambda x: x.clamp_min_(0.), clamp_tensor=lambda x: x.clamp(min=torch.tensor(0.)),
    clamp_tensors=lambda x: torch.clamp(x, torch.zeros(1), torch.tensor(6.)),
    clamp_out=lambda x: torch.clamp(x, min=0, out=None), threshold=lambda x: F.threshold(x, 0, 0),
    threshold_module=lambda x: nn.Threshold(0., 0)(x), threshold_in_place=lambda x: nn.Threshold(0, 0, True)(x),
    threshold_=lambda x: F.threshold_(x, 0, 0), torch_threshold=lambda x: torch.threshold(x, 0, 0))

def back(call, rule, x=X4, g=G4):
    "What comes back to `x` through a ReLU call under a rule."
    leaf = x.clone().requires_grad_()
    with ReLURule(rule) as mode: out = call(leaf * 1)
    assert mode.met == 1
    check_tensor(out.detach(), call(x.clone()), name='the forward pass')
    return torch.autograd.grad(out, leaf, g)[0]

@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('call', CALLS)
def test_four_numbers(call, rule): check_tensor(back(CALLS[call], rule), WANT[rule])

@pytest.mark.parametrize('rule', RULES)
def test_formula_alone(rule): check_tensor(RULES[rule](G4, X4.relu()), WANT[rule])

def test_relu6_is_shut_above_six():
    x, g = torch.tensor([7., 5, 7, 5]), torch.tensor([1., 2, -3, -4])
    for rule, want in dict(backprop=[0., 2, 0, -4], deconvnet=[1., 2, 0, 0], guided=[0., 2, 0, 0]).items():
        check_tensor(back(F.relu6, rule, x, g), want)

class Dropped(nn.Module):
    "A ReLU that works in place, called for what it does to its input: nobody uses what it returns."
    def __init__(self, call):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.call, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), call, nn.Linear(8, 5)
    def forward(self, x):
        for conv in (self.a, self.b):
            x = conv(x)
            self.call(x)
        return self.head(x.mean((2, 3)))

class Kept(Dropped):
    "The same network with the ReLU as a function of its input."
    def forward(self, x): return self.head(self.b(self.a(x).relu()).relu().mean((2, 3)))

@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('call', [F.relu_, torch.relu_, torch.Tensor.relu_, nn.ReLU(True),
                                  lambda x: F.relu(x, inplace=True), lambda x: x.clamp_(min=0)])
def test_a_relu_in_place_whose_result_is_dropped(call, rule):
    net, twin = Dropped(call).eval(), Kept(call).eval()
    with ReLURule(rule): got = grads(net)
    with ReLURule(rule): want = grads(twin)
    check_tensor(net(XS), twin(XS), name='the forward pass')
    check_tensor(got, want, rtol=1e-5, atol=1e-7)

def test_at_zero_a_relu_is_shut():
    zero, one = torch.zeros(1), torch.ones(1)
    for call in ('functional', 'clamp', 'relu6'):
        assert back(CALLS[call], 'backprop', zero, one) == 0 and back(CALLS[call], 'guided', zero, one) == 0
        assert back(CALLS[call], 'deconvnet', zero, one) == 1

@pytest.mark.parametrize('call', [
    lambda x: x.clamp(-1, 1), lambda x: x.clamp(max=0), lambda x: F.hardtanh(x), lambda x: x.clamp(min=.5),
    lambda x: x.clamp(min=torch.zeros(4)), lambda x: (x * 10).long().clamp(min=0).float() + x])
def test_other_clamps_are_left_alone(call):
    leaf = X4.clone().requires_grad_()
    with pytest.raises(CamError, match='met no ReLU'):
        with ReLURule('guided'): out = call(leaf * 1)
    check_tensor(torch.autograd.grad(out, leaf, G4)[0], torch.autograd.grad(call(leaf * 1), leaf, G4)[0])

def test_two_layers_by_hand():
    # x = (1, 2) -> h = (1-2, 1+2) = (-1, 3) -> relu (0, 3) -> score = -5*0 + 2*3;
    # and a second unit -4*3 that speaks against
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1., -1], [1, 1]]))
        net[2].weight.copy_(torch.tensor([[5., 2], [7, -4]]))
    x = torch.tensor([[1., 2]], requires_grad=True)
    # class 0 sends (5, 2): backprop keeps (0, 2), deconvnet (5, 2), guided (0, 2); times the weights
    # class 1 sends (7, -4): backprop (0, -4), deconvnet (7, 0), guided (0, 0)
    for rule, want in dict(backprop=[[2., 2], [-4, -4]], deconvnet=[[7., -3], [7, -7]],
                           guided=[[2., 2], [0, 0]]).items():
        with ReLURule(rule): out = net(x)
        for c in (0, 1): check_tensor(torch.autograd.grad(out[0, c], x, retain_graph=True)[0][0], want[c])

def test_double_backward():
    x = X4.clone().double().requires_grad_()
    with ReLURule('backprop'): y = x.relu().pow(3).sum()
    g, = torch.autograd.grad(y, x, create_graph=True)
    check_tensor(torch.autograd.grad(g.sum(), x)[0], 6 * x.detach().relu())

# ---- the mode
def small(inplace=True):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(inplace), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)).eval()

XS = torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(3))

def grads(net, x=XS):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(net(x)[:, 1].sum(), x)[0]

def test_ordinary_rule_is_the_gradient():
    with ReLURule('backprop'): got = grads(small())
    assert torch.equal(got, grads(small())) and torch.equal(got, saliency(small(), XS, 1))

def test_all_inside_or_only_the_forward():
    net, x = small(), XS.clone().requires_grad_()
    with ReLURule('guided') as mode: out = net(x)
    assert mode.met == 2
    after = torch.autograd.grad(out[:, 1].sum(), x)[0]
    with ReLURule('guided') as mode: inside = grads(net)
    assert torch.equal(after, inside) and mode.met == 2

def test_the_innermost_rule_counts():
    net = small()
    with ReLURule('guided'):
        outer = grads(net)
        with ReLURule('backprop'): inner = grads(net)
        again = grads(net)
    with ReLURule('guided'): want = grads(net)
    assert torch.equal(inner, grads(net)) and torch.equal(outer, want) and torch.equal(again, want)
    assert not torch.equal(inner, want)

def test_a_rule_can_be_used_again():
    net, mode = small(), ReLURule('guided')
    with mode: want = grads(net)
    with mode: assert torch.equal(grads(net), want) and mode.met == 2

def test_nothing_left_after_an_exception():
    net = small()
    want = grads(net)
    with pytest.raises(ZeroDivisionError):
        with ReLURule('guided'):
            net(XS)
            1 / 0
    with pytest.raises(KeyboardInterrupt), ReLURule('guided'): raise KeyboardInterrupt
    assert torch.equal(grads(net), want) and not torch.overrides._get_current_function_mode_stack()

def test_an_exception_inside_is_not_replaced_by_ours():
    with pytest.raises(KeyError), ReLURule('guided'): raise KeyError('mine')

def test_threads_keep_their_own_rules():
    net = small()
    want, out, start = {None: grads(net)}, {}, threading.Barrier(4)
    for rule in RULES:
        with ReLURule(rule): want[rule] = grads(net)
    def work(rule):
        start.wait()
        for _ in range(5):
            if rule is None: out[rule] = grads(net)
            else:
                with ReLURule(rule): out[rule] = grads(net)
    threads = [threading.Thread(target=work, args=(r,)) for r in want]
    for t in threads: t.start()
    for t in threads: t.join()
    assert all(torch.equal(out[r], want[r]) for r in want) and not torch.equal(want['guided'], want[None])

def test_another_thread_is_not_touched():
    net, out = small(), []
    want = grads(net)
    with ReLURule('guided'):
        t = threading.Thread(target=lambda: out.append(grads(net)))
        t.start()
        t.join()
        net(XS)
    assert torch.equal(out[0], want)

def test_autocast():
    net = small()
    want = guided_backprop(net, XS, 1)
    with torch.autocast('cpu', torch.bfloat16): got = guided_backprop(net, XS, 1)
    assert got.dtype == torch.float32 and F.cosine_similarity(got.flatten(), want.flatten(), 0) > .99

def test_other_activations_are_named_once():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.GELU(), nn.SiLU(),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        guided_backprop(net, XS, 1)
    assert len(said) == 1 and 'gelu, silu keep the ordinary gradient' in str(said[0].message)

@pytest.mark.parametrize('other, name', [
    (lambda x: F.threshold(x, .1, 0), 'threshold'), (nn.Threshold(0, -1), 'threshold'), (nn.Hardtanh(), 'hardtanh'),
    (lambda x: F.elu_(x * 1), 'elu'), (torch.jit.script(nn.ReLU()), 'a scripted part')])
def test_an_activation_that_no_rule_reaches_is_named(other, name):
    class Mixed(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
            self.other = other
        def forward(self, x): return self.other(self[2](self[1](self[0](x)))).mean((2, 3))
    with pytest.warns(UserWarning, match=f'{name} keeps the ordinary gradient, only the 1 ReLU call'):
        guided_backprop(Mixed(), XS, 1)

@pytest.mark.parametrize('make', [nn.SiLU, nn.GELU, nn.Hardswish, nn.ELU, nn.LeakyReLU, nn.PReLU, nn.Tanh, nn.Identity])
def test_a_network_without_relus(make):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), make(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    before = state(net, XS)
    for call in (lambda: guided_backprop(net, XS, 1), lambda: guided_grad_cam(net, XS, '0', 1)):
        with pytest.raises(CamError, match='met no ReLU') as e: call()
        said = str(e.value)
        assert "the 'guided' rule" in said and 'saliency' in said and 'grad_cam' in said and '`with`' not in said
        if make is not nn.Identity: assert f'{make.__name__} keeps the ordinary gradient' in said
    assert state(net, XS) == before and saliency(net, XS, 1).shape == XS.shape

class Smooth(nn.Sequential):
    "Activations of three kinds: a module that runs, one that never does, and a function."
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.spare = [nn.ReLU()]
    def forward(self, x): return F.gelu(super().forward(x))

def test_the_message_names_what_the_network_has_instead():
    with pytest.raises(CamError, match="^Guided backprop: the 'guided' rule met no ReLU") as e:
        guided_backprop(Smooth(), XS, 1)
    assert 'SiLU, gelu keep the ordinary gradient' in str(e.value)

def test_the_rule_by_itself_asks_whether_the_model_ran_inside():
    with pytest.raises(CamError, match='met no ReLU.*Run the model inside the `with`'), ReLURule('guided'): pass

def test_fastai_tensors():
    from fastai.vision.core import TensorImage
    got = guided_backprop(small(), TensorImage(XS), 1)
    check_tensor(torch.Tensor(got), guided_backprop(small(), XS, 1))

# ---- other libraries
def off(a, b):
    "The largest difference, relative to the largest value, which is not zero."
    assert a.shape == b.shape and b.abs().max() > 0
    return ((a - b).abs().max() / b.abs().max()).item()

def not_in_place(net):
    net = copy.deepcopy(net)
    for m in net.modules():
        if isinstance(m, nn.ReLU): m.inplace = False
    return net

def captum(method, net, x, target):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return method(net).attribute(x.clone().requires_grad_(), target=target)

PAIRS = dict(guided=GuidedBackprop, deconvnet=Deconvolution)

@pytest.mark.parametrize('name', ['vgg11', 'resnet18', 'squeezenet1_1'])
def test_captum(name):
    net, x = build(name), torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for rule, method in PAIRS.items():
        assert torch.equal(pixel_grad(net, x, [3, 8], rule), captum(method, not_in_place(net), x, [3, 8]))

def conv_relu(self, x): return self.act(self.bn(self.conv(x)))
def dense_relu(self, x): return self.classifier(torch.flatten(F.adaptive_avg_pool2d(self.act(self.features(x)), 1), 1))

def with_modules(net):
    "The same network, every ReLU that it calls as a function made a module of its own."
    net = not_in_place(net)
    for m in net.modules():
        wanted = {'BasicConv2d': conv_relu, 'DenseNet': dense_relu}.get(type(m).__name__)
        if wanted: m.act, m.forward = nn.ReLU(), types.MethodType(wanted, m)
    return net

@pytest.mark.parametrize('name, size', [('googlenet', 64), ('inception_v3', 96), ('densenet121', 64)])
def test_functional_relus(name, size):
    net, x = build(name), torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    twin = with_modules(net)
    check_tensor(twin(x), net(x), name='the rewritten network')
    for rule, method in PAIRS.items():
        got = pixel_grad(net, x, [3, 8], rule)
        assert off(got, captum(method, twin, x, [3, 8])) < 1e-5
        # Captum, on the network as it is, misses the functional ones
        assert off(captum(method, not_in_place(net), x, [3, 8]), got) > .05

def test_relu6_networks():
    "Captum knows nn.ReLU only: on MobileNetV2 it returns the ordinary gradient."
    net, x = build('mobilenet_v2'), torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    plain = saliency(net, x, 3)
    assert off(captum(GuidedBackprop, not_in_place(net), x, 3), plain) < 1e-5
    assert off(guided_backprop(net, x, 3), plain) > .1

# ---- channels and neurons
A = torch.tensor([[[[1., 2], [3, 4]], [[0, 9], [5, 0]]], [[[7, 0], [0, 0]], [[1, 1], [1, 1]]]])

def test_unit_mask_by_hand():
    zero = [[0, 0], [0, 0]]
    check_tensor(unit_mask(A), [[zero, [[0, 1], [0, 0]]], [[[1, 0], [0, 0]], zero]])
    check_tensor(unit_mask(A, 0), [[[[0, 0], [0, 1]], zero], [[[1, 0], [0, 0]], zero]])
    check_tensor(unit_mask(A, (1, 1, 0)), [[zero, [[0, 0], [1, 0]]]] * 2)
    check_tensor(unit_mask(A, 1, whole=True), [[zero, [[1, 1], [1, 1]]]] * 2)
    check_tensor(unit_mask(A[:, :, 0, 1]), [[0, 1], [0, 1]])
    check_tensor(unit_mask(A.movedim(1, -1).contiguous().movedim(-1, 1)), unit_mask(A))  # channels last in memory

KINDS = [int, np.int64, np.uint8, torch.tensor, np.array]

@pytest.mark.parametrize('kind', KINDS)
def test_a_channel_may_be_whatever_a_target_may_be(kind):
    check_tensor(unit_mask(A, kind(1)), unit_mask(A, 1))
    check_tensor(unit_mask(A, kind(1), whole=True), unit_mask(A, 1, whole=True))
    check_tensor(unit_mask(A, (kind(1), kind(1), 0)), unit_mask(A, (1, 1, 0)))
    check_tensor(saliency(small(), XS, unit('2', kind(3))), saliency(small(), XS, unit('2', 3)))
    check_tensor(guided_backprop(small(), XS, kind(3)), guided_backprop(small(), XS, 3))

@pytest.mark.parametrize('channel', [True, 1.5, 'a', np.bool_(True), np.float32(1), torch.tensor(1.),
                                     torch.tensor(True), [0, 1], torch.tensor([0, 1]), (0, True, 1), (0, 1.5, 1),
                                     (0, 'a', 1)])
def test_what_is_no_channel(channel):
    with pytest.raises(CamError, match='must be None, an int, or a neuron'): unit_mask(A, channel)

@pytest.mark.parametrize('method', [saliency, guided_backprop])
def test_channel_equals_plain_autograd(method):
    net, x = small(inplace=False), XS.clone().requires_grad_()
    with ReLURule('guided' if method is guided_backprop else 'backprop'): a = net[:3](x)
    scores = {(): a.flatten(2).amax(2).amax(1), (5,): a[:, 5].amax((1, 2)), ((5, 2, 3),): a[:, 5, 2, 3]}
    for channel, score in scores.items():
        want = torch.autograd.grad(score.sum(), x, retain_graph=True)[0]
        # behind it an in-place ReLU
        check_tensor(method(small(), XS, unit('2', channel[0] if channel else None)), want)
    check_tensor(method(small(), XS, unit('2', 5, whole=True)), torch.autograd.grad(a[:, 5].sum(), x)[0])

def test_a_channel_of_the_scores_is_a_class():
    net = small()
    check_tensor(guided_backprop(net, XS, unit('6', 2)), guided_backprop(net, XS, 2))

def test_guided_grad_cam_is_the_product():
    net = small()
    _, acts, g = capture(net, XS, '2', [0, 1, 2])
    m = F.interpolate(grad_cam(acts, g)[:, None], XS.shape[2:], mode='bilinear', align_corners=False)
    assert m.any()
    check_tensor(guided_grad_cam(net, XS, '2', [0, 1, 2]), m * guided_backprop(net, XS, [0, 1, 2]))

@pytest.mark.parametrize('method', [saliency, guided_backprop, guided_grad_cam])
def test_batch_equals_loop(method):
    net = small()
    want = torch.cat([method(net, x[None], target=t) for x, t in zip(XS, (0, 4, 2))])
    check_tensor(method(net, XS, target=[0, 4, 2]), want)
    for target in (torch.tensor([0, 4, 2]), lambda out: out[range(3), [0, 4, 2]]):
        check_tensor(method(net, XS, target=target), want)
    top = net(XS).argmax(1)
    check_tensor(method(net, XS), method(net, XS, target=top))

def test_target_function_of_two_classes():
    net = small()
    check_tensor(saliency(net, XS, lambda out: out[:, 1] - out[:, 3]), saliency(net, XS, 1) - saliency(net, XS, 3))

# ---- nothing is left behind
def calls(net, x):
    for method in (saliency, guided_backprop, guided_grad_cam): method(net, x, target=1)
    guided_backprop(net, x, unit('b', 2, whole=True))
    for _ in cascade(net): pass

@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()

@pytest.fixture
def x(): return torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))

@pytest.mark.parametrize('outer', OUTER)
@pytest.mark.parametrize('training', [False, True])
def test_hygiene(net, x, outer, training):
    want = guided_backprop(net, x, 1)
    net.train(training)
    with OUTER[outer]():
        unchanged(net, x, lambda: calls(net, x))
        got = guided_backprop(net, x, 1)
    assert not got.requires_grad and not got.is_inference() and (outer == 'autocast' or torch.equal(got, want))

def test_gradients_and_frozen_parameters_stay(net, x):
    x.requires_grad_()
    net(x).sum().backward()
    unchanged(net, x, lambda: calls(net, x))
    assert x.grad.any() and net.a.weight.grad.any()
    net.requires_grad_(False)
    unchanged(net, x, lambda: calls(net, x))

def test_inside_inference_mode_with_a_batch_from_there(net):
    with torch.inference_mode():
        x = torch.randn(2, 3, 12, 12)
        got = guided_backprop(net, x, 1)
    check_tensor(got, guided_backprop(net, x.clone(), 1))

@pytest.mark.parametrize('error', [RuntimeError('blown'), KeyError('blown'), KeyboardInterrupt()],
                         ids=lambda e: type(e).__name__)
def test_forward_that_raises(net, x, error):
    net.train()
    net.fuse = error
    before = state(net, x)
    for call in (lambda: guided_backprop(net, x, 1), lambda: guided_backprop(net, x, unit('a')),
                 lambda: guided_grad_cam(net, x, 'a', 1)):
        with pytest.raises(type(error)): call()
        assert state(net, x) == before and not torch.overrides._get_current_function_mode_stack()

def test_dtypes(net, x):
    want = guided_backprop(net, x, 1)
    got = guided_backprop(copy.deepcopy(net).double(), x.double(), 1)
    assert got.dtype == torch.float64 and off(got.float(), want) < 1e-4
    assert guided_backprop(copy.deepcopy(net).bfloat16(), x.bfloat16(), 1).dtype == torch.bfloat16

# ---- bad input
NAN = torch.full((1, 3, 4, 4), float('nan'))
BAD = [
    ('unknown rule',              lambda n, x: ReLURule('gided'), ["'gided'", "'guided'"]),
    ('class out of range',        lambda n, x: guided_backprop(n, x, 5), ['Guided backprop', 'class 5', '0 to 4']),
    ('one target for two images', lambda n, x: saliency(n, x, [1]), ['Saliency', '2 images', '1 target']),
    ('unknown layer',             lambda n, x: guided_backprop(n, x, unit('aa')),                    ["'aa'", "'a'"]),
    ('layer that runs twice',     lambda n, x: guided_backprop(n, x, unit('relu')), ["'relu'", 'more than once']),
    ('channel out of range',      lambda n, x: saliency(n, x, unit('a', 6)), ['channel 6', '(2, 6, 6, 6)']),
    ('negative channel',          lambda n, x: saliency(n, x, unit('a', -1)), ['channel -1', 'out of range']),
    ('neuron out of range',       lambda n, x: saliency(n, x, unit('a', (0, 6, 0))), ['(0, 6, 0)', 'out of range']),
    ('half a neuron',             lambda n, x: saliency(n, x, unit('a', (0, 1))), ['(0, 1)', '(channel, row, column)']),
    ('channel is no number',      lambda n, x: saliency(n, x, unit('a', 1.5)),               ['1.5', 'int']),
    ('channel is a bool',         lambda n, x: saliency(n, x, unit('a', True)),              ['True', 'int']),
    ('whole map of a neuron',     lambda n, x: saliency(n, x, unit('a', (0, 1, 1), whole=True)), ['whole=True']),
    ('no batch axis',             lambda n, x: guided_backprop(n, x[0]), ['(3, 12, 12)', 'x[None]']),
    ('not a tensor',              lambda n, x: guided_backprop(n, 'cat.jpg'), ['str', 'not a tensor']),
    ('whole numbers',             lambda n, x: guided_backprop(n, x.long()), ['int64', 'float']),
    ('NaN',                       lambda n, x: guided_backprop(n, x * float('nan')),                 ['nan']),
    ('not a model',               lambda n, x: guided_backprop(lambda x: x, x), ['function', 'not a torch module']),
    ('drawing NaN',               lambda n, x: signed_image(NAN), ['(1, 3, 4, 4)', 'finite']),
    ('drawing a map',             lambda n, x: signed_image(x[0]),                                   ['(3, 12, 12)']),
    ('percentile 0',              lambda n, x: signed_image(x, 0), ['clip is 0', 'percentile']),
    ('percentile 101',            lambda n, x: signed_image(x, 101),                                 ['101']),
    ('cascade of no such layer',  lambda n, x: list(cascade(n, ['zz'])),                             ["'zz'"]),
]

@pytest.mark.parametrize('what, call, words', BAD, ids=[b[0] for b in BAD])
def test_bad_input(net, x, what, call, words):
    before = state(net, x)
    with pytest.raises(CamError) as e: call(net, x)
    assert all(w in str(e.value) for w in words), str(e.value)
    assert state(net, x) == before and not torch.overrides._get_current_function_mode_stack()

def test_relu_top():
    for args, want in {('relu',): float('inf'), ('relu6',): 6, ('silu',): None, ('clamp', 0, 1): 1,
                       ('hardtanh', 0., 6.): 6, ('hardtanh',): None, ('clamp', 0, 0): None,
                       ('clamp', None, 6): None}.items():
        assert relu_top(args[0], (X4, *args[1:]), {}) == want
    assert relu_top('clamp', (X4,), dict(min=0, out=X4)) is None

# ---- drawing
def test_signed_image():
    g = torch.tensor([4., 0, -2, 2]).view(1, 1, 1, 4).expand(1, 3, 1, 4)
    check_tensor(signed_image(g, 100)[0, 0], [[1, .5, .25, .75]])
    check_tensor(signed_image(g, 75)[0, 0], [[1, .5, 0, 1]])   # nine of twelve values are at most 2
    check_tensor(signed_image(torch.cat([g, 1000 * g])), signed_image(g).expand(2, -1, -1, -1))   # each image by itself
    check_tensor(signed_image(torch.zeros(2, 3, 4, 4)), torch.full((2, 3, 4, 4), .5))
    assert signed_image(g.double()).dtype == signed_image(g.bfloat16()).dtype == torch.float32

def test_one_bright_pixel_among_zeros_is_seen():
    g = torch.zeros(1, 3, 40, 40)
    g[0, 1, 5, 5] = -3
    assert signed_image(g)[0, 1, 5, 5] == 0 and (signed_image(g) == .5).sum() == g.numel() - 1

def test_strength(): check_tensor(strength(torch.tensor([[1., -3], [-3, 2], [2, 0]]).view(1, 3, 1, 2)), [[[3, 3]]])

# ---- similarity
def test_rank_correlation_by_hand():
    a = torch.tensor([[1., 2, 3, 4]])
    check_tensor(rank_correlation(a, torch.tensor([[1., 10, 100, 1000]])), [1])
    check_tensor(rank_correlation(a, -a), [-1])
    # ranks 1 2 3 4 and 2 1 4 3: 1 - 6*4/(4*15) = .6;  ties 1.5 1.5 3 4: cov 4.5, norms sqrt(5*4.5)
    check_tensor(rank_correlation(a, torch.tensor([[2., 1, 4, 3]])), [.6])
    check_tensor(rank_correlation(a, torch.tensor([[0., 0, 1, 2]])), [4.5 / (5 * 4.5)**.5])
    check_tensor(rank_correlation(a, torch.ones(1, 4)), [0])
    assert rank_correlation(a, torch.tensor([[1., 2, float('nan'), 4]])).isnan().all()

@pytest.mark.parametrize('values', [2, 5, 10**6])   # how many there are: many ties, or hardly any
def test_rank_correlation_with_ties(values):
    a, b = ((torch.rand(3, 2, 30, 40, generator=torch.Generator().manual_seed(i)) * values).round() - values / 2
            for i in range(2))
    b = a + b
    want = [spearmanr(p.flatten(), q.flatten()).statistic for p, q in zip(a.numpy(), b.numpy())]
    check_tensor(rank_correlation(a, b), torch.tensor(want).float(), rtol=0, atol=1e-6)

def test_scramble_keeps_the_sizes_of_the_weights():
    layer = nn.Conv2d(3, 8, 3)
    before, rng = copy.deepcopy(layer), torch.get_rng_state()
    scramble(layer)
    for p, q in zip(layer.parameters(), before.parameters()):
        assert not torch.equal(p, q) and torch.equal(p.abs().flatten().sort().values, q.abs().flatten().sort().values)
    twin = copy.deepcopy(before)
    scramble(twin)
    assert torch.equal(twin.weight, layer.weight) and torch.equal(torch.get_rng_state(), rng)

def test_scramble_forgets_what_batch_norm_has_measured():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4, track_running_stats=False))
    net(torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 3 + 1)
    assert net[1].running_mean.abs().sum() > 0 and not net[1].weight.equal(-torch.ones(4))
    scramble(net)
    check_tensor(net[1].running_mean, torch.zeros(4))
    check_tensor(net[1].running_var, torch.ones(4))
    assert net[1].num_batches_tracked == 0 and net.training

def test_a_ruled_relu_by_itself():
    leaf = X4.clone().requires_grad_()
    for rule, want in WANT.items():
        out = RuledReLU.apply(leaf * 1, torch.relu_, float('inf'), rule)
        check_tensor(torch.autograd.grad(out, leaf, G4)[0], want)
    top = torch.tensor([7., 5]).requires_grad_()
    check_tensor(torch.autograd.grad(RuledReLU.apply(top, F.relu6, 6, 'backprop').sum(), top)[0], [0., 1])

def test_cascade_goes_from_the_top_and_spares_the_model(net, x):
    before = state(net, x)
    seen = [(name, [torch.equal(p, q) for p, q in zip(m.parameters(), net.parameters())]) for name, m in cascade(net)]
    assert [name for name, _ in seen] == [None, 'head', 'b', 'bn', 'a'] and state(net, x) == before
    assert all(seen[0][1]) and seen[1][1][:-2] == [True] * 6 and not any(seen[1][1][-2:]) and not seen[-1][1][0]
    assert [name for name, _ in cascade(net, ['a', 'b'])] == [None, 'b', 'a']

def test_cascade_scrambles_each_layer_on_its_own():
    "Three layers of the same weights: the same shuffle for all would leave them the same."
    layer = nn.Linear(6, 6)
    net = nn.Sequential(*[copy.deepcopy(layer) for _ in range(3)])
    *_, (_, last) = cascade(net, seed=5)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        for p, q in zip(last[i].parameters(), last[j].parameters()):
            assert not torch.equal(p, q) and not torch.equal(p.abs(), q.abs()) and not torch.equal(p.sign(), q.sign())
    *_, (_, again) = cascade(net, seed=5)
    assert all(torch.equal(p, q) for p, q in zip(last.parameters(), again.parameters()))

# ---- the sanity check, on the shipped network
STAGES = ['0.0', '0.4', '0.5', '0.6', '0.7', '1']

def cam_of(model, x, target):
    seen = capture(model, x, '0.7', target)
    return upsample(grad_cam(seen.acts, seen.grads), x.shape[-2:])

METHODS = dict(gradient=saliency, guided=guided_backprop, grad_cam=cam_of)

@pytest.fixture(scope='module')
def pets():
    net = load_pets()
    shots = [scene(900_000 + i) for i in range(12)]
    y = torch.tensor([net.vocab.index(s.species[0]) for s in shots])
    return net, torch.stack([net.transform(s) for s in shots]), y

@pytest.fixture(scope='module')
def trained(pets): return {k: f(*pets) for k, f in METHODS.items()}

def alike(got, want):
    return {k: rank_correlation(got[k], want[k]).mean().item() for k in METHODS}

@pytest.mark.parametrize('seed', [0, 1])
def test_sanity_check_of_the_weights(pets, trained, seed):
    net, x, y = pets
    models = {name: copy.deepcopy(m) for name, m in cascade(net, STAGES, seed=seed)}
    assert (net(x).argmax(1) == y).float().mean() > .9 and (models['0.7'](x).argmax(1) == y).float().mean() < .5
    for name in ('1', '0.7'):
        s = alike({k: f(models[name], x, y) for k, f in METHODS.items()}, trained)
        assert s['guided'] > .7 and s['gradient'] < .4 and s['grad_cam'] < .5, f'{name}: {s}'
        assert s['guided'] > max(s['grad_cam'], s['gradient']) + .3, f'{name}: {s}'
    # with nothing learned left, it falls too
    assert alike({k: f(models['0.0'], x, y) for k, f in METHODS.items()}, trained)['guided'] < .4

def test_sanity_check_of_the_class(pets, trained):
    net, x, y = pets
    s = alike({k: f(net, x, (y + 1) % len(net.vocab)) for k, f in METHODS.items()}, trained)
    assert s['guided'] > .7 and s['gradient'] < .3 and s['grad_cam'] < .5, s
    assert s['guided'] > max(s['gradient'], s['grad_cam']) + .3, s

def test_pairs_each_drawing_leans_to_its_animal_and_the_edges_do_not():
    net = load_pets()
    pairs = two_animals(net, 14)
    def share(method):
        own, other = pairs.masks.unbind(1), pairs.masks.flip(1).unbind(1)
        return torch.cat([own_share(method(c), a, b) for c, a, b in zip(pairs.classes.T, own, other)]).mean()
    guided = share(lambda c: strength(guided_backprop(net, pairs.x, c)))
    assert .6 < guided < .9 and share(lambda c: strength(guided_grad_cam(net, pairs.x, target=c))) > guided + .1
    check_tensor(share(lambda c: edges(pairs.x)), .5)

def test_guided_backprop_follows_the_edges_more_than_the_gradient_does(pets, trained):
    lines = edges(pets[1])
    near = {k: rank_correlation(strength(trained[k]), lines).mean() for k in ('gradient', 'guided')}
    assert near['guided'] > near['gradient'] + .1
