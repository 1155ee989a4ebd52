"Nothing is left behind: after success, after every kind of failure, in every mode a caller may be in."
import gc, threading
import psutil, pytest, torch
from contextlib import nullcontext, suppress
from torch import nn

from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.explanation import explain
from camtutor.methods import METHODS
from camtutor.engine.layers import last_layer
from camtutor.gradcam import capture, grad_cam

class Net(nn.Module):
    "Batch norm, dropout, in-place ReLU, a ReLU that runs twice, and a fuse that blows in the middle of a forward."
    def __init__(self):
        super().__init__()
        self.a, self.bn, self.relu = nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(inplace=True)
        self.b, self.drop, self.head, self.fuse = nn.Conv2d(6, 8, 3, padding=1), nn.Dropout(.5), nn.Linear(8, 5), None
    def forward(self, x):
        x = self.relu(self.bn(self.a(x)))
        if self.fuse: raise self.fuse
        return self.head(self.drop(self.relu(self.b(x)).mean((2, 3))))

HOOKS = [k for k in vars(nn.Module()) if 'hooks' in k]

def state(model, *tensors):
    "Everything a call could have changed."
    mods = list(model.modules())
    held = [*model.parameters(), *model.buffers(), *tensors]
    return dict(hooks=[[list(getattr(m, k)) for k in HOOKS] for m in mods], training=[m.training for m in mods],
                wants_grad=[t.requires_grad for t in held],
                grads=[None if t.grad is None else t.grad.tolist() for t in held],
                values=[t.tolist() for t in held], versions=[t._version for t in held if not t.is_inference()],
                ids=[id(t) for t in held], names=list(model.state_dict()), rng=torch.get_rng_state().tolist(),
                modes=(torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled('cpu'),
                       torch.is_autocast_cache_enabled(), torch.get_default_dtype(),
                       torch.is_deterministic_algorithms_warn_only_enabled()))

@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()

@pytest.fixture
def x(): return torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))

def unchanged(model, x, call):
    before = state(model, x)
    call()
    assert state(model, x) == before

def both(model, x, layer='b', target=1):
    "The engine, and every method that is known so far."
    capture(model, x, layer, target)
    capture(model, x, ['a', layer, 'input'], lambda out: out.T)
    last_layer(model, x)
    for method in METHODS:
        with suppress(CamError): explain(model, x, method, target=target) # what does not fit leaves nothing either

# ---- success, in every mode

OUTER = dict(plain=nullcontext, no_grad=torch.no_grad, enable_grad=torch.enable_grad, inference=torch.inference_mode,
             autocast=lambda: torch.autocast('cpu', torch.bfloat16))

@pytest.mark.parametrize('outer', OUTER)
@pytest.mark.parametrize('training', [False, True])
def test_success(net, x, outer, training):
    net.train(training)
    want = capture(net, x, 'b', 1)
    with OUTER[outer]():
        unchanged(net, x, lambda: both(net, x))
        got = capture(net, x, 'b', 1)
    assert not got.acts.requires_grad and not got.grads.requires_grad and not got.out.requires_grad
    assert not got.acts.is_inference()
    if outer != 'autocast': assert all(torch.equal(a, b) for a, b in zip(got, want))

def test_train_mode_means_eval_for_the_call(net, x):
    """Batch statistics and dropout would explain another network than the one that predicts, so the call runs in
    eval mode, whatever the model is in."""
    want = capture(net, x, 'b', 1)
    net.train()
    net.bn.eval()  # a frozen batch norm in a network in training keeps its own mode
    got = capture(net, x, 'b', 1)
    assert all(torch.equal(a, b) for a, b in zip(got, want))
    assert net.training and net.drop.training and not net.bn.training

def test_inside_inference_mode_with_a_batch_from_there(net):
    with torch.inference_mode():
        x = torch.randn(2, 3, 12, 12)
        before = state(net, x)
        got = capture(net, x, ['input', 'b'], 1)
        e = explain(net, x)
        assert state(net, x) == before and e.raw.shape == (2, 6, 6)
    check_tensor(got.grads[1], capture(net, x.clone(), 'b', 1).grads)
    check_tensor(capture(net, x, 'b', 1).grads, got.grads[1])  # an inference tensor, outside of the mode

def test_frozen_parameters(net, x):
    want = capture(net, x, 'a', 1)
    net.requires_grad_(False)
    unchanged(net, x, lambda: both(net, x))
    assert all(torch.equal(a, b) for a, b in zip(capture(net, x, 'a', 1), want))

def test_gradients_of_the_caller_stay(net, x):
    x.requires_grad_()
    net(x).sum().backward()
    unchanged(net, x, lambda: both(net, x))
    assert x.grad.any() and net.a.weight.grad.any()

def test_a_graph_of_the_caller_stays_usable(net, x):
    loss = net(x).square().sum()
    want = torch.autograd.grad(loss, list(net.parameters()), retain_graph=True)
    both(net, x)
    assert all(torch.equal(a, b) for a, b in zip(torch.autograd.grad(loss, list(net.parameters())), want))

def test_autocast_leaves_no_weights_without_a_graph(net, x):
    """autocast keeps each weight that it has cast, and one cast without a graph would starve the caller's own
    backward in the same block."""
    def weights_gradient(with_map):
        with torch.autocast('cpu', torch.bfloat16):
            if with_map: capture(net, x, 'b', 1)
            return torch.autograd.grad(net(x).float().sum(), list(net.parameters()), allow_unused=True)
    want, got = weights_gradient(False), weights_gradient(True)
    assert all(g is not None and torch.equal(g, w) for g, w in zip(got, want))

@pytest.mark.parametrize('dtype, rtol', [(torch.float64, 1e-5), (torch.bfloat16, .1)])
def test_dtypes(net, x, dtype, rtol):
    want = grad_cam(*capture(net, x, 'b', 1)[1:])
    half, xs = net.to(dtype), x.to(dtype)
    unchanged(half, xs, lambda: both(half, xs))
    got = capture(half, xs, 'b', 1)
    m = grad_cam(got.acts, got.grads)
    assert got.out.dtype == got.acts.dtype == got.grads.dtype == m.dtype == dtype
    assert (m.float() - want).abs().max() <= rtol * want.max()

def test_channels_last(net, x):
    want = capture(net, x, 'b', 1)
    net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    strides = x.stride()
    unchanged(net, x, lambda: both(net, x))
    got = capture(net, x, 'b', 1)
    assert x.stride() == strides and got.acts.is_contiguous(memory_format=torch.channels_last)
    for a, b in zip(got, want): check_tensor(a, b)

def test_data_parallel(net, x):
    want, wrapped = capture(net, x, 'b', 1), nn.DataParallel(net)
    unchanged(wrapped, x, lambda: both(wrapped, x, net.b))
    assert all(torch.equal(a, b) for a, b in zip(capture(wrapped, x, 'b', 1), want))

def test_user_hooks_stay_and_fire(net, x):
    kept = []
    net.b.register_forward_hook(lambda m, i, o: kept.append(o))
    unchanged(net, x, lambda: capture(net, x, 'b', 1))
    assert len(kept) == 1 and not kept[0].requires_grad

def test_a_hook_that_changes_the_output_is_respected(net, x):
    net.b.register_forward_hook(lambda m, i, o: o * 2)
    handle_free = capture(net, x, 'b', 1).acts
    net.b._forward_hooks.clear()
    check_tensor(handle_free, 2 * capture(net, x, 'b', 1).acts)

def test_in_place_first_layer_spares_the_batch(x):
    torch.manual_seed(0)
    net = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert (x < 0).any()
    unchanged(net, x, lambda: (capture(net, x, ['1', 'input'], 0), last_layer(net, x), explain(net, x)))

# ---- failure

FAIL = {'unknown layer': dict(layers='bb'), 'class out of range': dict(target=5),
        'two targets for three': dict(target=[1]), 'layer that runs twice': dict(layers='relu'),
        'not spatial': dict(layers='head'), 'target function that raises': dict(target=lambda out: out[:, 9]),
        'target function of no score': dict(target=lambda out: out.sum()), 'wrong channels': dict(channels=1),
        'numbers without gradient': dict(target=lambda out: out[:, 0].detach())}

@pytest.mark.parametrize('what', FAIL)
@pytest.mark.parametrize('training', [False, True])
def test_failure(net, x, what, training):
    net.train(training)
    case = dict(layers='b', target=None, channels=3) | FAIL[what]
    x = x[:, :case['channels']]
    before = state(net, x)
    with pytest.raises((CamError, IndexError)): capture(net, x, case['layers'], case['target'])
    assert state(net, x) == before
    with pytest.raises((CamError, IndexError)): explain(net, x, 'grad_cam', case['layers'], case['target'])
    assert state(net, x) == before

@pytest.mark.parametrize('error', [RuntimeError('blown'), KeyError('blown'), KeyboardInterrupt(), SystemExit(3),
                                   MemoryError()], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize('outer', ['plain', 'inference', 'autocast'])
def test_forward_that_raises_in_the_middle(net, x, error, outer):
    "The model's own exception comes through as it is."
    net.train()
    net.fuse = error
    with OUTER[outer]():
        before = state(net, x)
        for call in (lambda: capture(net, x, ['a', 'b'], 1), lambda: explain(net, x, layer='a'),
                     lambda: explain(net, x, 'cam'), lambda: last_layer(net, x)):
            with pytest.raises((type(error), CamError)) as e: call()
            assert error in (e.value, e.value.__cause__)
            assert state(net, x) == before
    net.fuse = None
    capture(net, x, 'b', 1)

def test_the_models_own_error_says_on_what_it_ran(net, x):
    net.fuse = RuntimeError('blown')
    with pytest.raises(RuntimeError, match='blown') as e: capture(net, x, 'b')
    assert '(2, 3, 12, 12)' in e.value.__notes__[0]

@pytest.mark.parametrize('where', ['backward', 'hook'])
def test_interrupted_elsewhere(net, x, where):
    def stop(*args): raise KeyboardInterrupt
    def stop_backward(m, i, o): o.register_hook(stop)
    backward = where == 'backward'
    handle = (net.drop if backward else net.b).register_forward_hook(stop_backward if backward else stop)
    net.train()
    before = state(net, x)
    with pytest.raises(KeyboardInterrupt): capture(net, x, ['a', 'b'], 1)
    assert state(net, x) == before
    handle.remove()

# ---- threads

def in_threads(*jobs):
    errors = []
    def run(job):
        try: job()
        except BaseException as e: errors.append(e)
    threads = [threading.Thread(target=run, args=(j,)) for j in jobs]
    for t in threads: t.start()
    for t in threads: t.join()
    if errors: raise errors[0]

def test_two_threads_on_one_model_in_training(net):
    """Different batches, layers and classes at the same time; each thread gets its own answer, and the model is in
    training mode afterwards."""
    net.train()
    xs = [torch.randn(1, 3, 40, 40) for _ in range(2)]
    asked = [('a', 1), ('b', 3)]
    want = [capture(net, x, *a) for x, a in zip(xs, asked)]
    before = state(net)
    def job(i):
        def work():
            for _ in range(60):
                got = capture(net, xs[i], *asked[i])
                assert all(torch.equal(a, b) for a, b in zip(got, want[i]))
                assert explain(net, xs[i], layer=asked[i][0]).raw.shape == (1, 20, 20)
        return work
    in_threads(job(0), job(1))
    assert state(net) == before

def test_a_thread_that_only_runs_the_model_is_left_alone(net, x):
    want = net(x).detach()
    def plain():
        for _ in range(100):
            with torch.no_grad(): out = net(x)
            assert torch.equal(out, want) and not out.requires_grad
    in_threads(plain, lambda: [capture(net, x, 'a', 1) for _ in range(100)])

# ---- memory

def tensors_alive():
    gc.collect()
    return {id(o) for o in gc.get_objects() if issubclass(type(o), torch.Tensor)}

def test_500_explanations_do_not_grow_the_process():
    net = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 8, 1), nn.AdaptiveAvgPool2d(1),
                        nn.Flatten()).eval()
    process, x = psutil.Process(), torch.randn(1, 3, 64, 64)
    def run(n):
        for i in range(n): explain(net, x, target=i % 8, layer='0')
        return process.memory_info().rss / 2**20, len(tensors_alive())
    run(60)
    (mb, tensors), (mb_after, tensors_after) = run(1), run(500)
    assert tensors_after == tensors
    assert mb_after - mb < 40  # kept graphs would be 500 times 2 MB

def test_no_graph_below_the_layer_and_none_kept(net, x):
    "What is alive after a call: the results and nothing else."
    before = tensors_alive()
    got = capture(net, x, ['a', 'b'], 1)
    assert tensors_alive() - before <= {id(t) for t in (got.out, *got.acts, *got.grads)}
    assert all(t.grad_fn is None for t in (got.out, *got.acts, *got.grads))

def test_nothing_below_the_layer_records_a_graph(net, x):
    seen = []
    for name, m in net.named_children():
        m.register_forward_hook(lambda m, i, o, name=name: seen.append((name, i[0].requires_grad)))
    capture(net, x, 'b', 1)
    assert seen == [('a', False), ('bn', False), ('relu', False), ('b', False), ('relu', True), ('drop', True),
                    ('head', True)]
