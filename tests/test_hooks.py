"Hooks: values worked by hand, nothing left behind, one message for each mistake."
import copy, gc, pickle, weakref
import pytest, torch
from torch import nn
import torchvision.models as tvm
from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.hooks import Hook, HookBwd, Hooks, eval_mode, get_layer

PAIR = torch.tensor([[1., -1.]])

def double():
    "A linear layer that doubles: (1,-1) -> (2,-2)."
    lin = nn.Linear(2, 2, bias=False)
    nn.init.eye_(lin.weight).data.mul_(2)
    return lin

def toy(inplace=False): return nn.Sequential(double(), nn.ReLU(inplace=inplace))

def hooks_left(model):
    return sum(len(m._forward_hooks) + len(m._backward_hooks) + len(m._forward_pre_hooks) for m in model.modules())

class Fails(nn.Module):
    def __init__(self, error): super().__init__(); self.lin, self.error = double(), error
    def forward(self, x):
        y = self.lin(x)
        raise self.error

# Hook

@pytest.mark.parametrize('inplace', [False, True])
def test_hook_stores_the_output_before_an_in_place_relu(inplace):
    net = toy(inplace)
    with Hook(net[0]) as h: out = net(PAIR)
    check_tensor(h.stored, [[2., -2.]])
    check_tensor(out, [[2., 0.]])
    assert h.fired == 1 and not h.stored.requires_grad and hooks_left(net) == 0

def test_hook_does_not_change_the_output_or_its_graph():
    net = toy()
    with Hook(net[0]): out = net(PAIR)
    out.sum().backward()
    check_tensor(net[0].weight.grad, [[1., -1.], [0., 0.]])   # only the first output is positive

def test_hook_keeps_the_last_output_and_counts():
    net = toy()
    with Hook(net[0]) as h: net(PAIR); net(3 * PAIR)
    check_tensor(h.stored, [[6., -6.]])
    assert h.fired == 2

def test_hook_without_with_and_removed_twice():
    net = toy()
    h = Hook(net[0])
    net(PAIR)
    h.remove(); h.remove()
    net(5 * PAIR)
    check_tensor(h.stored, [[2., -2.]])
    assert hooks_left(net) == 0

def test_hook_on_tuples_and_dicts():
    class Many(nn.Module):
        def forward(self, x): return {'a': x * 2, 'b': (x * 3, [x * 4, None])}
    net = Many()
    with Hook(net) as h: out = net(PAIR)
    out['a'].zero_()
    check_tensor(h.stored['a'], [[2., -2.]])
    check_tensor(h.stored['b'][1][0], [[4., -4.]])
    assert type(h.stored['b']) is tuple and h.stored['b'][1][1] is None

def test_hook_on_an_lstm():
    lstm = nn.LSTM(2, 3)
    with Hook(lstm) as hook: seq, (h, c) = lstm(torch.zeros(4, 2))
    check_tensor(hook.stored[0], seq.detach())
    check_tensor(hook.stored[1][0], h.detach())

def test_hook_without_a_run_says_so():
    with Hook(double()) as h: pass
    with pytest.raises(CamError, match='Hook on Linear: nothing has come by yet. Run the model'): h.stored

@pytest.mark.parametrize('bad', ['layer4', None, 3, torch.ones(1)])
def test_hook_wants_a_module(bad):
    with pytest.raises(CamError, match='Hook: wants a module.*get_layer'): Hook(bad)

@pytest.mark.parametrize('error', [RuntimeError('in the middle'), KeyboardInterrupt(), SystemExit()])
@pytest.mark.parametrize('kind', [Hook, HookBwd])
def test_nothing_is_left_after_a_forward_that_raises(kind, error):
    net = Fails(error)
    with pytest.raises(type(error)):
        with kind(net.lin), Hooks([net, net.lin], kind): net(PAIR)
    assert hooks_left(net) == 0

def test_nested_hooks_are_independent():
    net = toy()
    with Hook(net[0]) as outer:
        with Hook(net[0]) as inner: net(PAIR)
        assert hooks_left(net) == 1
        net(2 * PAIR)
    check_tensor(inner.stored, [[2., -2.]])
    check_tensor(outer.stored, [[4., -4.]])
    assert hooks_left(net) == 0

def test_hook_frees_the_model_the_graph_and_itself():
    net = toy()
    with Hook(net[0]) as h, HookBwd(net[0]) as g: net(PAIR).sum().backward()
    refs = [weakref.ref(o) for o in (net, net[0], net[0].weight)]
    del net
    gc.collect()
    assert [r() for r in refs] == [None] * 3
    stored = h.stored
    hooks = [weakref.ref(h), weakref.ref(g)]
    del h, g
    gc.collect()
    assert [r() for r in hooks] == [None] * 2 and stored.grad_fn is None

def test_hook_keeps_no_intermediate_alive():
    held = weakref.WeakSet()
    class Saved:
        def __init__(self, t): self.t = t.detach()
    def pack(t): s = Saved(t); held.add(s); return s
    net = nn.Sequential(double(), nn.Sigmoid(), double())
    with Hook(net[2]) as h, torch.autograd.graph.saved_tensors_hooks(pack, lambda s: s.t):
        out = net(PAIR)
        assert len(held) > 0
    del out
    gc.collect()
    assert len(held) == 0 and h.fired == 1

def test_model_can_be_copied_and_pickled_afterwards():
    net = toy()
    with Hook(net[0]), HookBwd(net[1]): net(PAIR)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        check_tensor(twin(PAIR), [[2., 0.]])
        assert hooks_left(twin) == 0

# Hooks

def test_hooks_in_the_order_given():
    net = toy()
    with Hooks([net[1], net[0]]) as hs: net(PAIR)
    check_tensor(hs.stored[0], [[2., 0.]])
    check_tensor(hs[1].stored, [[2., -2.]])
    assert len(hs) == 2 and hooks_left(net) == 0

def test_hooks_takes_a_sequential_as_one_layer_but_a_module_list_as_several():
    net = toy()
    with Hooks(net) as hs: net(PAIR)
    assert len(hs) == 1
    check_tensor(hs.stored[0], [[2., 0.]])
    with Hooks(nn.ModuleList([net[0], net[1]])) as hs: assert len(hs) == 2

@pytest.mark.parametrize('bad', [['0'], 'abc', 3, None])
def test_hooks_with_something_else_leaves_no_hook(bad):
    net = toy()
    modules = [net[0], *bad] if isinstance(bad, list) else bad
    with pytest.raises(CamError, match='Hooks: wants modules'): Hooks(modules)
    assert hooks_left(net) == 0

def test_hooks_accepts_a_generator_and_an_empty_list():
    net = toy()
    with Hooks(m for m in net) as hs, Hooks([]) as none: net(PAIR)
    assert len(hs.stored) == 2 and none.stored == []

# HookBwd

@pytest.mark.parametrize('inplace', [False, True])
def test_gradient_before_a_relu(inplace):
    net = toy(inplace)
    with HookBwd(net[0]) as g: (net(PAIR) * torch.tensor([[3., 5.]])).sum().backward()
    check_tensor(g.stored, [[3., 0.]])         # 3 passes where 2 > 0, 5 is stopped where -2 < 0
    assert g.fired == 1 and hooks_left(net) == 0

def test_gradient_is_a_copy():
    net = toy()
    with HookBwd(net[0]) as g:
        out = net(PAIR).sum()
        out.backward(retain_graph=True)
        first = g.stored
        (10 * out).backward()
    check_tensor(first, [[1., 0.]])
    check_tensor(g.stored, [[10., 0.]])
    assert g.fired == 2

def test_gradient_of_a_frozen_layer_with_an_input_that_wants_one():
    net = toy().requires_grad_(False)
    with HookBwd(net[0]) as g: net(PAIR.clone().requires_grad_()).sum().backward()
    check_tensor(g.stored, [[1., 0.]])

def test_gradient_hook_gives_nothing_after_the_with():
    net = toy()
    with HookBwd(net[0]) as g: out = net(PAIR)
    out.sum().backward()
    with pytest.raises(CamError, match='HookBwd on Linear: nothing has come by.*backward'): g.stored

def test_gradient_hook_without_gradients_says_why():
    net = toy()
    with pytest.raises(CamError, match=r'its output \(1, 2\) needs no gradient.*no_grad'):
        with torch.no_grad(), HookBwd(net[0]): net(PAIR)
    lstm = nn.LSTM(2, 2)
    with pytest.raises(CamError, match='its output is a tuple, not a tensor'):
        with HookBwd(lstm): lstm(PAIR)
    assert hooks_left(lstm) == 0
    assert hooks_left(net) == 0

def test_gradient_at_pooling_and_linear_is_the_weight_over_the_places():
    body, head = nn.Conv2d(3, 4, 1), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    with HookBwd(body) as g: head(body(torch.ones(2, 3, 6, 7)))[:, 2].sum().backward()
    check_tensor(g.stored, (head[2].weight[2] / 42)[None, :, None, None].expand(2, 4, 6, 7))

# eval_mode

def test_eval_mode_gives_each_module_its_own_mode_back():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Sequential(nn.Dropout(), nn.ReLU())).train()
    net[1].eval()
    before = [m.training for m in net.modules()]
    assert len(set(before)) == 2
    with eval_mode(net) as same:
        assert same is net and not any(m.training for m in net.modules())
        net(torch.randn(4, 3, 2, 2))
    assert [m.training for m in net.modules()] == before
    check_tensor(net[0].running_mean, torch.zeros(3))
    with pytest.raises(KeyboardInterrupt):
        with eval_mode(net): raise KeyboardInterrupt
    assert [m.training for m in net.modules()] == before

# get_layer

@pytest.fixture(scope='module')
def resnet(): return tvm.resnet18()

def test_get_layer_by_name_and_module(resnet):
    assert get_layer(resnet, 'layer4.1.conv2') is resnet.layer4[1].conv2
    assert get_layer(resnet, 'layer4') is resnet.layer4
    assert get_layer(resnet, resnet.layer4) is resnet.layer4
    assert get_layer(resnet, resnet) is resnet

def test_get_layer_by_either_name_of_a_shared_module():
    relu = nn.ReLU()
    net = nn.Sequential(relu, nn.Identity(), relu)
    assert get_layer(net, '0') is get_layer(net, '2') is relu

@pytest.mark.parametrize('layer, told', [
    ('layr4', "ResNet has no layer 'layr4'. Did you mean.*'layer4'"), ('layer4.7', "'layer4.1'"), ('', "no layer ''"),
    (nn.ReLU(), 'this ReLU is not part of the ResNet'), (['layer4'], 'neither a name nor a module'), (4, 'neither'),
    (None, 'neither')])
def test_get_layer_errors(resnet, layer, told):
    with pytest.raises(CamError, match=told): get_layer(resnet, layer)

def test_get_layer_wants_a_model():
    with pytest.raises(CamError, match='the model is a str'): get_layer('resnet18', 'layer4')

def test_get_layer_refuses_a_layer_of_a_copy(resnet):
    with pytest.raises(CamError, match='copy'): get_layer(resnet, copy.deepcopy(resnet).layer4)
