"Deconvnet: each piece by hand and by its adjoint, the machine against the backward pass, receptive fields, switches."
import numpy as np, pytest, torch
import torch.nn.functional as F
from torch import nn

from camtutor.course import check_tensor
from camtutor.deconvnet import (BACK, DeconvNet, deconvnet, filter_back, first_place, project, receptive_field,
                                strongest, swap_switches, unpool)
from camtutor.engine.sequence import Field, crop, in_sequence, look
from camtutor.errors import CamError
from camtutor.guided import ReLURule, guided_backprop, pixel_grad, signed_image, strength, unit, unit_mask
from camtutor.networks import load_pets, load_plain
from camtutor.scenes import scene
from test_state import OUTER, Net, state, unchanged

def rand(*shape, seed=0): return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))

# ---- unpooling
A = torch.tensor([[1., 5, 2, 0], [3, 4, 1, 7], [0, 2, 9, 6], [8, 1, 3, 2]])[None, None]

def test_unpool_by_hand():
    y, idx = F.max_pool2d(A, 2, return_indices=True)
    check_tensor(idx, [[[[1, 7], [12, 10]]]])
    check_tensor(unpool(y, idx, A.shape), [[[[0, 5, 0, 0], [0, 0, 0, 7], [0, 0, 9, 0], [8, 0, 0, 0]]]])
    check_tensor(unpool(torch.tensor([[[[10., 20], [30, -40]]]]), idx, A.shape),
                 [[[[0, 10, 0, 0], [0, 0, 0, 20], [0, 0, -40, 0], [30, 0, 0, 0]]]])

def test_windows_that_share_a_maximum_add_up():
    x = torch.tensor([[1., 2, 3, 4, 5], [0, 0, 9, 0, 0], [1, 1, 1, 1, 1]])[None, None]
    y, idx = F.max_pool2d(x, 3, 2, return_indices=True)
    check_tensor(idx, [[[[7, 7]]]])
    back = unpool(torch.tensor([[[[2., 5]]]]), idx, x.shape)
    check_tensor(back[0, 0, 1], [0, 0, 7, 0, 0])
    # PyTorch's keeps one of the two
    assert back.sum() == 7 and F.max_unpool2d(y, idx, 3, 2, output_size=(3, 5)).sum() == 9

@pytest.mark.parametrize('how', [dict(kernel_size=2), dict(kernel_size=3, stride=2, padding=1),
                                 dict(kernel_size=3, stride=2, ceil_mode=True), dict(kernel_size=3, stride=1)])
def test_unpooling_is_the_gradient_of_pooling(how):
    x = rand(2, 3, 9, 11).requires_grad_()
    y, seen = look(nn.MaxPool2d(**how), x)
    g = rand(*y.shape, seed=1)
    check_tensor(unpool(g, seen.idx, x.shape), torch.autograd.grad(F.max_pool2d(x, **how), x, g)[0])
    check_tensor(y.detach(), F.max_pool2d(x, **how).detach())

def test_unpool_as_pytorch_does_where_windows_do_not_overlap():
    x = rand(2, 3, 8, 10)
    y, idx = F.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(unpool(y, idx, x.shape), F.max_unpool2d(y, idx, 2))

# ---- filtering back
def test_one_paints_the_kernel():
    conv = nn.Conv2d(1, 1, 2)
    with torch.no_grad(): conv.weight.copy_(torch.tensor([[[[1., 2], [3, -4]]]]))
    y = torch.zeros(1, 1, 2, 2)
    y[0, 0, 0, 1], y[0, 0, 1, 1] = 1, 10
    # the kernel at (0,1), and ten times the kernel at (1,1): they overlap in the middle row
    check_tensor(filter_back(y, conv, (1, 1, 3, 3)), [[[[0, 1, 2], [0, 3 + 10, -4 + 20], [0, 30, -40]]]])

CONVS = [dict(kernel_size=3), dict(kernel_size=5, stride=2, padding=2), dict(kernel_size=3, stride=3, padding=1),
         dict(kernel_size=3, dilation=2, padding=1), dict(kernel_size=(1, 5), stride=(1, 2), padding=(0, 2)),
         dict(kernel_size=3, groups=2, stride=2), dict(kernel_size=1, stride=2)]

@pytest.mark.parametrize('how', CONVS, ids=str)
@pytest.mark.parametrize('size', [(11, 14), (12, 13)])
def test_adjoint(how, size):
    "<W x, y> = <x, W' y>"
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, bias=False, **how).double()
    x = rand(2, 4, *size).double()
    Wx = conv(x).detach()
    y = rand(*Wx.shape, seed=1).double()
    check_tensor((x * filter_back(y, conv, x.shape)).sum(), (Wx * y).sum(), rtol=1e-9, atol=1e-9)

@pytest.mark.parametrize('layer', [nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False), nn.AdaptiveAvgPool2d(1),
                                   nn.AdaptiveAvgPool2d(2), nn.AdaptiveAvgPool2d((4, 5)), nn.AvgPool2d(3, 2, 1),
                                   nn.Flatten(), nn.Linear(8, 5),
                                   nn.Dropout(), nn.Identity()], ids=str)
def test_every_linear_layer_is_turned_around(layer):
    "The way back is the gradient, and the layer's own adjoint once its constant is taken off."
    if isinstance(layer, nn.BatchNorm2d):
        layer.train()(3 * rand(8, 4, 6, 8) + 1)
        if layer.affine: nn.init.normal_(layer.weight)
    layer.eval()
    x = rand(2, 4, 6, 8, seed=2).requires_grad_()
    out, seen = look(layer, x)
    y = rand(*out.shape, seed=3)
    back = BACK[type(layer)](y, layer, seen)
    check_tensor(back.detach(), torch.autograd.grad(out, x, y)[0])
    check_tensor((x * back).sum().detach(), ((layer(x) - layer(torch.zeros_like(x))) * y).sum().detach(), rtol=1e-3)

@pytest.mark.parametrize('outer', [o for o in OUTER if o != 'autocast'])
def test_the_machine_runs_under_any_grad_mode(outer):
    net = plain(POOLS[0])
    machine = DeconvNet(net)
    want = machine.project(machine(X))
    with OUTER[outer]():
        got = machine.project(machine(X))
        assert not got.requires_grad and all(p.grad is None for p in net.parameters())
    check_tensor(got.clone(), want)

# ---- the machine and the backward pass
def plain(pool, inplace=False, seed=0):
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Conv2d(3, 8, 5, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace), nn.MaxPool2d(**pool),
                         nn.Conv2d(8, 12, 3, groups=2, padding=1), nn.ReLU(inplace), nn.MaxPool2d(**pool))
    net = nn.Sequential(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(12, 7)))
    net.train()(rand(8, 3, 45, 51, seed=5))
    return net.eval()

POOLS = [dict(kernel_size=2), dict(kernel_size=3, stride=2, padding=1), dict(kernel_size=3, stride=2, ceil_mode=True)]
X = rand(3, 3, 45, 51, seed=6)

def agree(net, x, layer, channel, whole):
    machine = DeconvNet(net)
    out = machine(x, layer)
    want = machine.project(out * unit_mask(out, channel, whole))
    assert want.any()
    check_tensor(deconvnet(net, x, unit(layer, channel, whole=whole)), want, rtol=1e-5,
                 atol=1e-5 * want.abs().max().item())

@pytest.mark.parametrize('pool', POOLS, ids=str)
@pytest.mark.parametrize('inplace', [False, True])
@pytest.mark.parametrize('layer', ['0.2', '0.3', '0.4', '0.5', '0.6', '1.0', '1.3'])
def test_both_agree(pool, inplace, layer):
    "To 1e-5 of the largest value, at every layer that has a ReLU at or before it."
    for channel, whole in ((None, False), (3, False), (5, True)): agree(plain(pool, inplace), X, layer, channel, whole)

@pytest.mark.parametrize('layer', ['1', '2', '4', '7', '10'])
def test_both_agree_on_the_shipped_network(layer):
    net = load_plain()
    x = torch.stack([net.transform(scene(900_100 + i)) for i in range(2)])
    for channel, whole in ((None, False), (7, True)): agree(net, x, layer, channel, whole)

def test_both_agree_for_a_class():
    for net in (plain(POOLS[0]), plain(POOLS[1])):
        machine = DeconvNet(net)
        machine(X)
        want = machine.project(torch.eye(7)[[3, 0, 6]])
        check_tensor(deconvnet(net, X, [3, 0, 6]), want, rtol=1e-5, atol=1e-5 * want.abs().max().item())

def shared():
    "One ReLU, one pooling and one whole stage, each of which stands in two places."
    torch.manual_seed(0)
    relu, pool = nn.ReLU(), nn.MaxPool2d(2)
    stage = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), relu)
    return nn.Sequential(nn.Conv2d(3, 8, 3), relu, pool, stage, pool,
                         nn.Sequential(stage, nn.Conv2d(8, 4, 1), relu)).eval()

def test_layers_that_stand_in_several_places_run_in_each():
    net, x = shared(), rand(2, 3, 20, 20)
    machine = DeconvNet(net)
    out = machine(x)
    check_tensor(out, net(x).detach())
    assert list(machine.layers) == ['0', '1', '2', '3.0', '3.1', '4', '5.0.0', '5.0.1', '5.1', '5.2'] and out.min() == 0
    leaf = x.clone().requires_grad_()
    with ReLURule('deconvnet'): score = (net(leaf) * out).sum()
    check_tensor(machine.project(out), torch.autograd.grad(score, leaf)[0])

@pytest.mark.parametrize('first', [nn.ReLU(True), nn.Sequential(nn.ReLU(True)), nn.Identity()], ids=str)
def test_the_callers_batch_stays_as_it_is(first):
    x = rand(2, 3, 12, 12)
    before = x.clone()
    DeconvNet(nn.Sequential(first, nn.ReLU(True), nn.Conv2d(3, 4, 3)))(x)
    assert torch.equal(x, before) and x.min() < 0

def test_it_is_neither_the_gradient_nor_guided_backprop():
    net = load_plain()
    x = torch.stack([net.transform(scene(900_700 + i)) for i in range(2)])
    ours = deconvnet(net, x, 3)
    for other in (pixel_grad(net, x, 3), guided_backprop(net, x, 3)):
        assert F.cosine_similarity(ours.flatten(), other.flatten(), 0) < .9

def test_a_channel_is_weighed_by_its_activations():
    net = plain(POOLS[0])
    x = X.clone().requires_grad_()
    with ReLURule('deconvnet'): a = net[0][:6](x)
    want = torch.autograd.grad(a[:, 5], x, a[:, 5].detach())[0]
    check_tensor(deconvnet(net, X, unit('0.5', 5, whole=True)), want)

def test_batch_equals_loop():
    net = plain(POOLS[1])
    check_tensor(deconvnet(net, X, unit('0.5', 2)), torch.cat([deconvnet(net, x[None], unit('0.5', 2)) for x in X]))

def test_skip_connections_need_the_backward_pass():
    net = load_pets()
    with pytest.raises(CamError, match='no way back through 0.4.0, a BasicBlock'): DeconvNet(net)
    assert deconvnet(net, rand(1, 3, 64, 64), 0).shape == (1, 3, 64, 64)

def test_the_machine_leaves_the_model_as_it_was():
    net = plain(POOLS[0], inplace=True).train()
    before, eval_net = state(net, X), plain(POOLS[0], inplace=True)
    machine = DeconvNet(net)
    out = machine(X, '0.5')
    back = machine.project(out)
    assert state(net, X) == before and not back.requires_grad
    machine = DeconvNet(eval_net)
    check_tensor(back, machine.project(machine(X, '0.5')))

# ---- nothing is left behind
@pytest.mark.parametrize('outer', OUTER)
@pytest.mark.parametrize('training', [False, True])
def test_hygiene(outer, training):
    torch.manual_seed(0)
    net, x = Net().train(training), rand(2, 3, 12, 12)
    with OUTER[outer]():
        unchanged(net, x, lambda: (deconvnet(net, x, 1), deconvnet(net, x, unit('b', 2))))
        assert not deconvnet(net, x, 1).requires_grad

@pytest.mark.parametrize('error', [RuntimeError('blown'), KeyboardInterrupt()], ids=lambda e: type(e).__name__)
def test_forward_that_raises(error):
    net, x = Net().train(), rand(2, 3, 12, 12)
    net.fuse = error
    before = state(net, x)
    for call in (lambda: deconvnet(net, x, 1), lambda: deconvnet(net, x, unit('a', 1))):
        with pytest.raises(type(error)): call()
        assert state(net, x) == before

# ---- receptive fields
def test_receptive_field_counts_a_layer_wherever_it_stands():
    c = nn.Conv2d(4, 4, 3)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), c, c, nn.Conv2d(4, 2, 1))
    assert [receptive_field(net, n).size for n in '0123'] == [3, 5, 7, 7]
    stage = nn.Sequential(c, nn.MaxPool2d(2, 2))   # 3, 4 (step 2);  8, 10 (step 4)
    assert receptive_field(nn.Sequential(stage, stage), '1.1') == Field(10, 4, 0)

def test_receptive_field_by_hand():
    net = load_plain()
    # 5x5 every 2 pixels from -2; pooling 2: 5 + 1*2 = 7, every 4; 3x3: 7 + 2*4 = 15 from -2 - 4; pooling: 15 + 4 = 19,
    # every 8; 3x3: 19 + 2*8 = 35 from -6 - 8
    for layer, want in {'0': (5, 2, -2), '1': (5, 2, -2), '2': (7, 4, -2), '3': (15, 4, -6), '5': (19, 8, -6),
                        '6': (35, 8, -14), '8': (43, 16, -14), '9': (75, 16, -30)}.items():
        assert receptive_field(net, layer) == Field(*want)

@pytest.mark.parametrize('pool', POOLS[:2], ids=str)
@pytest.mark.parametrize('layer', ['0.0', '0.3', '0.4', '0.6'])
def test_receptive_field_is_what_a_neuron_depends_on(pool, layer):
    """Change every pixel outside: nothing.

    Change the corners inside one after the other: something, for one channel or another."""
    net = plain(pool)
    machine = DeconvNet(net)
    r, c = 1, 2
    f = receptive_field(net, layer)
    top, left = f.start + r * f.step, f.start + c * f.step
    rows, cols = slice(max(top, 0), top + f.size), slice(max(left, 0), left + f.size)
    x = rand(1, 3, 45, 51)
    base = machine(x, layer)[0, :, r, c]
    outside = x + 10 * rand(1, 3, 45, 51, seed=9)
    outside[..., rows, cols] = x[..., rows, cols]
    assert torch.equal(machine(outside, layer)[0, :, r, c], base)
    edges = torch.zeros(45, 51, dtype=torch.bool)
    edges[rows, cols] = True
    edges[max(top + 1, 0):top + f.size - 1, max(left + 1, 0):left + f.size - 1] = False
    assert not torch.allclose(machine(torch.where(edges, x + 50, x), layer)[0, :, r, c], base)

def test_a_projection_stays_inside():
    net = load_plain()
    x = net.transform(scene(900_200))[None]
    for layer in ('3', '6', '9'):
        f = receptive_field(net, layer)
        method = guided_backprop if layer != '3' else pixel_grad
        d = strength(method(net, x, unit(layer, (0, 3, 3))))
        low = max(f.start + 3 * f.step, 0)
        inside = d[:, low:f.start + 3 * f.step + f.size, low:f.start + 3 * f.step + f.size]
        assert inside.any() and inside.count_nonzero() == d.count_nonzero()

def test_strongest_and_crop_by_hand():
    acts = torch.tensor([[[[1., 9], [2, 3]], [[0, 0], [0, 1]]], [[[4, 4], [11, 0]], [[7, 0], [0, 0]]],
                         [[[5, 0], [0, 0]], [[3, 0], [0, 0]]]])
    assert [t.tolist() for t in strongest(acts, 0, 2)] == [[1, 0], [1, 0], [0, 1]]
    assert [t.tolist() for t in strongest(acts, 1, 3)] == [[1, 2, 0], [0, 0, 1], [0, 0, 1]]
    x = torch.arange(16.).view(1, 1, 4, 4).expand(2, 3, 4, 4)
    got = crop(x, Field(size=3, step=2, start=-1), torch.tensor([0, 1]), torch.tensor([1, 0]), fill=-1)
    check_tensor(got[0, 0], [[-1, -1, -1], [1, 2, 3], [5, 6, 7]])
    check_tensor(got[1, 2], [[-1, 4, 5], [-1, 8, 9], [-1, 12, 13]])

@pytest.mark.parametrize('kind', [np.int64, torch.tensor, np.array])
def test_strongest_takes_a_channel_of_any_kind(kind):
    acts = rand(10, 4, 3, 3)
    for got, want in zip(strongest(acts, kind(2)), strongest(acts, 2)): assert torch.equal(got, want)

# ---- switches
def test_the_first_place_of_each_window():
    _, idx = F.max_pool2d(A, 2, return_indices=True)
    check_tensor(first_place(idx, 4), [[[[0, 2], [8, 10]]]])

def test_swapped_switches_by_hand():
    machine = DeconvNet(nn.Sequential(nn.MaxPool2d(2)))
    x = torch.cat([A, A.flip(3)])
    y = machine(x)
    check_tensor(swap_switches(machine, 'first').project(y)[0], [[[5, 0, 7, 0], [0] * 4, [8, 0, 9, 0], [0] * 4]])
    machine(x)
    # the first picture's maxima at the places of the second's: rows of A from right to left
    check_tensor(swap_switches(machine, 'other').project(y)[0],
                 [[[0, 0, 7, 0], [5, 0, 0, 0], [0, 8, 0, 0], [0, 0, 0, 9]]])
    machine(x)
    assert torch.equal(swap_switches(machine, 'own').project(y).amax((2, 3)), y.amax((2, 3)))

def test_switches_carry_the_drawing():
    "With another picture's switches, a deep layer draws that picture rather than its own."
    net = load_plain()
    x = torch.stack([net.transform(scene(900_300 + i)) for i in range(12)])
    machine = DeconvNet(net)
    own = strength(machine.project(machine(x, '10'))).flatten(1)
    acts = machine(x, '10')
    other = strength(swap_switches(machine, 'other').project(acts)).flatten(1)
    to_activations, to_switches = F.cosine_similarity(other, own), F.cosine_similarity(other, own.roll(1, 0))
    assert to_switches.mean() > to_activations.mean() + .1 and (to_switches > to_activations).float().mean() > .7

def test_without_switches_a_deconvnet_does_not_see_the_picture():
    """One message from the last convolution, through two pictures: averages instead of maxima leave the deconvnet
    nothing to tell them apart."""
    net = load_plain()
    x = torch.stack([net.transform(scene(900_400 + i)) for i in range(6)])
    averaging = nn.Sequential(*[nn.AvgPool2d(2) if isinstance(m, nn.MaxPool2d) else m for m in net])
    def alike(model, rule):
        d = pixel_grad(model, x, unit('9', (0, 4, 4)), rule).flatten(1)
        return F.cosine_similarity(d, d.roll(1, 0)).mean()
    assert alike(averaging, 'deconvnet') > .99 and alike(averaging, 'guided') < .6 and alike(net, 'deconvnet') < .6

def test_project_is_drawn_from_the_machine():
    net = load_plain()
    x = torch.stack([net.transform(scene(900_500 + i)) for i in range(2)])
    check_tensor(project(net, x, '7', 3), signed_image(deconvnet(net, x, unit('7', 3, whole=True)), 99.5), atol=1e-3)
    assert not torch.equal(project(net, x, '7', 3, switches='other'), project(net, x, '7', 3))

# ---- the shipped network
def test_the_shipped_network():
    net = load_plain()
    shots = [scene(900_600 + i) for i in range(40)]
    want = torch.tensor([net.vocab.index(s.species[0]) for s in shots])
    right = net(torch.stack([net.transform(s) for s in shots])).argmax(1) == want
    assert right.float().mean() >= .9 and not net.training
    assert {type(m) for _, m in in_sequence(net)} == {nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.AdaptiveAvgPool2d,
                                                      nn.Flatten, nn.Linear}

# ---- bad input
P = plain(POOLS[0])
REFLECT = nn.Conv2d(3, 4, 3, padding=1, padding_mode='reflect')
SAME, OBLONG = nn.Conv2d(3, 4, 3, padding='same'), nn.Sequential(nn.Conv2d(3, 4, (1, 5)))
BRANCHED, SMOOTH = Net(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
BAD = [
    ('switches of another shape',
     lambda: unpool(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 3, dtype=torch.long), (1, 1, 4, 6)),
     ['(1, 1, 2, 2)', '(1, 1, 2, 3)']),
    ('result of other channels',
     lambda: unpool(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2, dtype=torch.long), (1, 3, 4, 4)),
     ['(1, 3, 4, 4)', 'same N and C']),
    ('reflecting padding',        lambda: filter_back(torch.ones(1, 4, 4, 4), REFLECT, (1, 3, 4, 4)),
     ['reflect', 'deconvnet']),
    ('padding by name',           lambda: filter_back(torch.ones(1, 4, 4, 4), SAME, (1, 3, 4, 4)),
     ['padding=same', 'deconvnet']),
    ('not in sequence',           lambda: DeconvNet(BRANCHED), ['the model', 'Net', 'nn.Sequential']),
    ('an activation it knows not', lambda: DeconvNet(SMOOTH), ['through 1', 'SiLU']),
    ('unknown layer',             lambda: DeconvNet(P)(X, '0.55'),                            ["'0.55'", "'0.5'"]),
    ('nothing to come back from', lambda: DeconvNet(P).project(X), ['Call it on a batch first']),
    ('unknown switches',          lambda: project(P, X, '0.6', switches='others'),
     ['Deconvnet', "'others'", "'other'"]),
    ('channel out of range',      lambda: project(P, X, '0.6', 12),                           ['channel 12', '(3, 12']),
    ('field of an unknown layer', lambda: receptive_field(P, '9'),                            ["'9'"]),
    ('field behind pooling to 1', lambda: receptive_field(P, '1.0'),
     ["'1.0'", 'AdaptiveAvgPool2d', 'no window of fixed size']),
    ('field of an oblong kernel', lambda: receptive_field(OBLONG, '0'), ['(1, 5)', 'square']),
    ('too few pictures',          lambda: strongest(rand(3, 4, 2, 2), 0), ['Strongest 9', '(3, 4, 2, 2)']),
    ('no such channel',           lambda: strongest(rand(9, 4, 2, 2), 4),                     ['channel 4']),
    ('a bool for a channel',      lambda: strongest(rand(9, 4, 2, 2), True),                  ['channel True']),
    ('half a channel',            lambda: strongest(rand(9, 4, 2, 2), 1.5),                   ['channel 1.5']),
    ('a name for a channel',      lambda: strongest(rand(9, 4, 2, 2), 'a'),                   ["channel 'a'"]),
    ('class out of range',        lambda: deconvnet(P, X, 7), ['Deconvnet', 'class 7', '0 to 6']),
    ('no ReLU',                   lambda: deconvnet(SMOOTH, X, 1), ['Deconvnet', 'met no ReLU', 'SiLU']),
]

@pytest.mark.parametrize('what, call, words', BAD, ids=[b[0] for b in BAD])
def test_bad_input(what, call, words):
    before = state(P, X)
    with pytest.raises(CamError) as e: call()
    assert all(w in str(e.value) for w in words), str(e.value)
    assert state(P, X) == before
