"CAM: hand-worked values, the identity on networks not built here, refusals with their reason, and the truth measures."
import warnings
import pytest, torch
from torch import nn
import torch.nn.functional as F
import torchvision.models as tvm
from camtutor.cam import grid_energy, cam, energy, gap_head, peak_inside, retrain_head
from camtutor.engine.head import find_head, head_weight
from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.show import upsample

T = torch.tensor
warnings.filterwarnings('ignore', category=FutureWarning)

def tiny(K=3, C=4):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, C, 3, 2, 1), nn.BatchNorm2d(C), nn.ReLU(inplace=True))
    return nn.Sequential(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(C, K)))

def state(model):
    "All that a call might disturb."
    return ({k: v.clone() for k, v in model.state_dict().items()}, [m.training for m in model.modules()],
            [p.requires_grad for p in model.parameters()], [p.grad is None for p in model.parameters()],
            [len(m._forward_hooks) for m in model.modules()], torch.is_grad_enabled(), torch.get_rng_state())

def same(a, b):
    assert all(torch.equal(a[0][k], b[0][k]) for k in a[0]) and a[1:-1] == b[1:-1] and torch.equal(a[-1], b[-1])

# ---- cam
def test_cam_by_hand():
    A = T([[[[1., 0.], [0., 0.]], [[0., 0.], [0., 2.]]]])
    check_tensor(cam(T([[3., -1.], [-1., 2.]]), A), T([[[[3., 0.], [0., -2.]], [[-1., 0.], [0., 4.]]]]))

def test_cam_order_of_axes():
    "Sizes all different, so a swapped axis shows."
    w, A = torch.randn(5, 4), torch.randn(2, 4, 3, 7)
    out = cam(w, A)
    assert out.shape == (2, 5, 3, 7)
    check_tensor(out[1, 3, 2, 6], (w[3] * A[1, :, 2, 6]).sum())

def test_cam_one_place_is_the_linear_layer():
    w, A = torch.randn(5, 4), torch.randn(2, 4, 1, 1)
    check_tensor(cam(w, A)[..., 0, 0], A[..., 0, 0] @ w.T)

def test_cam_is_linear_and_batched():
    w, A = torch.randn(5, 4), torch.randn(3, 4, 2, 2)
    check_tensor(cam(2 * w, A), 2 * cam(w, A))
    check_tensor(cam(w, A)[1:2], cam(w, A[1:2]))
    order = torch.randperm(4)
    check_tensor(cam(w[:, order], A[:, order]), cam(w, A))

def test_cam_dtypes_are_promoted():
    w, A = torch.randn(2, 3), torch.randn(1, 3, 2, 2)
    assert cam(w, A.bfloat16()).dtype == cam(w.bfloat16(), A).dtype == torch.float32
    assert cam(w.bfloat16(), A.bfloat16()).dtype == torch.bfloat16
    assert cam(w.double(), A).dtype == torch.float64

@pytest.mark.parametrize('w, A', [((3, 4), (2, 5, 2, 2)), ((3, 4), (4, 2, 2)), ((4,), (1, 4, 2, 2)), ((3, 4), (2, 4))])
def test_cam_refuses_shapes_and_names_them(w, A):
    with pytest.raises(CamError, match='do not fit') as e: cam(torch.rand(w), torch.rand(A))
    assert str(w) in str(e.value) and str(A) in str(e.value)

def test_cam_refuses_two_devices():
    with pytest.raises(CamError, match='weight is on meta'):
        cam(torch.rand(2, 3, device='meta'), torch.rand(1, 3, 2, 2))

# ---- find_head
def identity(model, size, n=2):
    torch.manual_seed(0)
    x = torch.randn(n, 3, size, size)
    head = find_head(model, x)
    with torch.no_grad(): out = model.eval()(x)
    got = cam(head.weight, head.acts).mean((2, 3)) + head.bias
    assert (got - out).abs().max() <= 1e-4 * out.abs().max()
    return head

def test_identity_by_hand():
    net = tiny(K=2, C=1)
    with torch.no_grad():
        for p, v in zip(net[1][-1].parameters(), (T([[2.], [-1.]]), T([.5, 1.]))): p.copy_(v)
    head = find_head(net, torch.randn(1, 3, 8, 8))
    mean = head.acts.mean()
    check_tensor(cam(head.weight, head.acts).mean((2, 3))[0] + head.bias, torch.stack([2 * mean + .5, 1 - mean]))

CAN = dict(resnet18=(512, 64), resnext50_32x4d=(2048, 64), densenet121=(1024, 64), googlenet=(1024, 96),
           mobilenet_v2=(1280, 64), shufflenet_v2_x0_5=(1024, 64), mnasnet0_5=(1280, 64), efficientnet_b0=(1280, 64),
           regnet_y_400mf=(440, 64), swin_t=(768, 64))

@pytest.mark.parametrize('name', CAN)
def test_identity_on_torchvision(name):
    C, size = CAN[name]
    kw = dict(init_weights=True) if name == 'googlenet' else {}
    head = identity(getattr(tvm, name)(num_classes=7, **kw), size)
    assert head.weight.shape == (7, C) and head.acts.shape[:2] == (2, C)

def test_densenet_needs_what_a_module_hook_misses():
    "Its last ReLU is a function call: the output of `features` is not what is pooled."
    model = tvm.densenet121(num_classes=5).eval()
    x = torch.randn(1, 3, 64, 64)
    head = find_head(model, x)
    with torch.no_grad(): before = model.features(x)
    assert before.min() < 0 <= head.acts.min()
    check_tensor(head.acts, before.relu())

def test_head_weight_without_a_batch_and_shared_memory():
    net = tiny()
    w = head_weight(net)
    assert w.data_ptr() == net[1][-1].weight.data_ptr() and not w.requires_grad

def test_other_ways_to_pool():
    class Net(nn.Module):
        def __init__(self, pool):
            super().__init__()
            self.conv, self.fc, self.pool = nn.Conv2d(1, 4, 3), nn.Linear(4, 3, bias=False), pool
        def forward(self, x): return F.linear(input=self.pool(self.conv(x).relu_()), weight=self.fc.weight)
    for pool in (lambda a: a.mean((2, 3)), lambda a: a.flatten(2).mean(-1),
                 lambda a: F.avg_pool2d(a, a.shape[2:])[:, :, 0, 0], lambda a: a.mean(3).mean(2),
                 lambda a: F.dropout(a.mean((-1, -2)), training=False)):
        head = find_head(Net(pool), torch.randn(2, 1, 8, 8))
        assert head.bias is None and head.weight.shape == (3, 4) and head.acts.shape == (2, 4, 6, 6)

def sequential(*head):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), *head)

def stock():
    from fastai.vision.learner import create_head
    return nn.Sequential(nn.Conv2d(3, 4, 3), create_head(4, 2, lin_ftrs=[4]))

CANNOT = {
    'alexnet': (lambda: tvm.alexnet(num_classes=5), '9216 → 4096 → 4096 → 5, with a hidden layer'),
    'vgg': (lambda: sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)),
            '16 → 8 → 3'),
    'fastai': (stock, '8 → 4 → 2, with a hidden layer'),
    'flatten': (lambda: sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)),
                'flattened, without pooling'),
    'max pool': (lambda: sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
                 'not the mean over places'),
    'norm after pooling': (lambda: tvm.convnext_tiny(num_classes=5), 'not the mean over places'),
    'classes are maps': (lambda: tvm.squeezenet1_1(num_classes=5), r'no Linear layer ran. If 5 is'),
    'hidden layer': (lambda: tvm.mobilenet_v3_small(num_classes=5), '576 → 1024 → 5'),
    'no maps': (lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), 'no Conv2d'),
    'linear before the maps': (lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 12), nn.Unflatten(1, (3, 2, 2)),
                                                     nn.Conv2d(3, 2, 1)), 'no Conv2d|not the mean|failed'),
}
@pytest.mark.parametrize('why', CANNOT)
def test_find_head_refuses_with_the_reason(why):
    make, says = CANNOT[why]
    model = make()
    before = state(model)
    with pytest.raises(CamError, match=says): head_weight(model)
    same(before, state(model))

def test_refusal_says_what_to_do():
    with pytest.raises(CamError, match='Use Grad-CAM.*gap_head'): head_weight(stock())

def test_find_head_refuses_what_is_no_module():
    class Learner: model = tiny()
    with pytest.raises(CamError, match='learn.model'): head_weight(Learner())

def test_find_head_failing_forward():
    with pytest.raises(CamError, match=r'failed on a batch \(1, 4, 8, 8\).*Check its shape'):
        find_head(tiny(), torch.rand(1, 4, 8, 8))

def test_find_head_leaves_the_model_alone():
    net = tiny().train()
    net[0][1].eval()
    net[0][0].requires_grad_(False)
    x = torch.randn(2, 3, 8, 8)
    before = state(net)
    find_head(net)
    find_head(net, x)
    same(before, state(net))
    with pytest.raises(CamError): find_head(net, torch.zeros(1, 5, 8, 8))
    same(before, state(net))

def test_find_head_half():
    net = tiny().bfloat16()
    assert find_head(net).acts.dtype == torch.bfloat16

# ---- new heads
def labelled(n=64):
    "Brighter left half: class 1."
    g = torch.Generator().manual_seed(0)
    x, y = torch.rand(n, 3, 16, 16, generator=g) * .2, torch.arange(n) % 2
    x[y == 1, :, :, :8] += 1
    return x, y

def test_gap_head_learns_and_has_an_exact_cam():
    net, (x, y) = tiny(), labelled()
    torch.manual_seed(1)
    new = gap_head(net[0], 2, x)
    losses = retrain_head(new, x_y := list(zip(x.split(16), y.split(16))), steps=200)
    with torch.no_grad(): out = new(x)
    assert losses[-1] < losses[0] and (out.argmax(1) == y).float().mean() == 1
    # the scale is folded back into the weight
    with torch.no_grad(): assert abs(F.cross_entropy(out, y).item() - losses[-1]) < .02
    head = find_head(new, x)
    check_tensor(cam(head.weight, head.acts).mean((2, 3)) + head.bias, out, atol=1e-4)

def test_gap_head_copies_and_freezes():
    net = tiny().train()
    before = state(net)
    torch.set_rng_state(before[-1])
    new = gap_head(net[0], 5)
    assert all(torch.equal(a, b) and a.data_ptr() != b.data_ptr()
               for a, b in zip(new[0].parameters(), net[0].parameters()))
    assert [p.requires_grad for p in new.parameters()] == [False] * 4 + [True] * 2 and not new.training
    torch.set_rng_state(before[-1])
    same(before, state(net))

def test_retrain_moves_only_the_last_layer():
    new, (x, y) = gap_head(tiny()[0], 2), labelled()
    body, last = {k: v.clone() for k, v in new[0].state_dict().items()}, new[1][-1].weight.clone()
    retrain_head(new, [(x, y)], steps=3)
    assert all(torch.equal(v, body[k]) for k, v in new[0].state_dict().items())
    assert not torch.equal(last, new[1][-1].weight)
    assert all(p.grad is None for p in new[0].parameters())

def test_retrain_goes_on_where_it_ended():
    torch.manual_seed(0)
    new, (x, y) = gap_head(tiny()[0], 2), labelled()
    first = retrain_head(new, [(x, y)], steps=100)
    again = retrain_head(new, [(x, y)], steps=2)
    assert first[-1] < first[0] / 2 and abs(again[0] - first[-1]) < .001

def test_gap_head_on_vgg():
    new = gap_head(tvm.vgg11(init_weights=False).features, 3, torch.rand(1, 3, 64, 64))
    assert head_weight(new, torch.rand(1, 3, 64, 64)).shape == (3, 512)

def test_gap_head_refuses_a_whole_network():
    with pytest.raises(CamError, match=r'gives a tensor \(1, 3\).*model.features'): gap_head(tiny(), 2)

def test_retrain_refuses():
    with pytest.raises(CamError, match='as gap_head makes it'): retrain_head(tiny()[0], [])
    with pytest.raises(CamError, match='no batch'): retrain_head(tiny(), [])

# ---- the truth
M, MASK = T([[[3., 1.], [-5., 0.]]]), T([[[True, False], [True, False]]])

def test_energy_by_hand(): check_tensor(energy(M, MASK), T([.75]))

def test_energy_ends():
    m = torch.rand(2, 4, 4) + .1
    check_tensor(energy(m, torch.ones(2, 4, 4, dtype=torch.bool)), torch.ones(2))
    check_tensor(energy(m, torch.zeros(2, 4, 4, dtype=torch.bool)), torch.zeros(2))
    check_tensor(energy(-m, torch.ones(2, 4, 4, dtype=torch.bool)), torch.zeros(2))

def test_energy_of_a_uniform_map_is_the_area():
    mask = torch.rand(5, 8, 8) > .6
    check_tensor(energy(torch.full((5, 8, 8), 2.5), mask), mask.float().mean((1, 2)))

def test_energy_does_not_depend_on_scale_and_maps_stay():
    m = torch.randn(3, 8, 8)
    mask, before = torch.rand(3, 8, 8) > .5, m.clone()
    check_tensor(energy(m * 1e3, mask), energy(m, mask))
    assert torch.equal(m, before)

def test_peak_by_hand():
    assert peak_inside(M, MASK).tolist() == [True]
    assert peak_inside(M, ~MASK).tolist() == [False]
    assert peak_inside(-M, MASK).tolist() == [True]
    assert peak_inside(torch.cat([M, -M.abs()]), torch.cat([MASK, MASK])).tolist() == [True, False]

def test_flat_maps_have_no_peak():
    everywhere = torch.ones(1, 2, 2, dtype=torch.bool)
    assert peak_inside(torch.zeros(1, 2, 2), everywhere).tolist() == [False]

def test_grid_energy_by_hand():
    rows = T([True, True, False, False])[None, :, None].expand(1, 4, 4)
    check_tensor(grid_energy(rows, 2), T([.875]))   # rows read 1, 3/4, 1/4, 0
    check_tensor(grid_energy(rows, 4), T([1.]))
    check_tensor(grid_energy(rows, 1), T([.5]))     # one place: the uniform map
    check_tensor(grid_energy(rows, (2, 1)), T([.875]))

def test_grid_energy_lies_between_uniform_and_one():
    yy, xx = torch.meshgrid(torch.arange(64), torch.arange(64), indexing='ij')
    disc = ((yy - 30)**2 + (xx - 25)**2 < 15**2)[None]
    steps = [grid_energy(disc, s).item() for s in (1, 4, 8, 16, 64)]
    assert steps == sorted(steps) and abs(steps[0] - disc.float().mean().item()) < 1e-6 and abs(steps[-1] - 1) < 1e-6

@pytest.mark.parametrize('measure', [energy, peak_inside])
def test_measures_refuse(measure):
    with pytest.raises(CamError, match=r'\(1, 8, 8\).*upsample'):
        measure(torch.rand(1, 8, 8), torch.ones(1, 16, 16, dtype=torch.bool))
    with pytest.raises(CamError, match=r'\(N,H,W\)'): measure(torch.rand(8, 8), torch.ones(8, 8, dtype=torch.bool))
    with pytest.raises(CamError, match='NaN'): measure(torch.full((1, 2, 2), float('nan')), MASK)

def test_measures_on_half_precision():
    check_tensor(energy(M.bfloat16(), MASK), T([.75]).bfloat16())
    assert peak_inside(M.half(), MASK).tolist() == [True]

# ---- the shipped network
def test_shipped_network_maps_its_own_animal():
    from camtutor.networks import load_pets
    from camtutor.scenes import scene
    net = load_pets()
    scenes = [scene(940_000 + i) for i in range(24)]
    x = torch.stack([net.transform(s) for s in scenes])
    head = find_head(net, x)
    k = [net.vocab.index(s.species[0]) for s in scenes]
    m = upsample(cam(head.weight, head.acts)[range(24), k], x.shape[-2:])
    mask = torch.stack([torch.tensor(s.mask()) for s in scenes])
    assert energy(m, mask).mean() > 1.5 * mask.float().mean()
    assert peak_inside(m, mask).float().mean() > .75

class Pooled(nn.Module):
    "Two Linears read the same pooling; `forward` of the children says what comes of them."
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc, self.other = nn.Conv2d(3, 6, 3), nn.Linear(6, 4), nn.Linear(6, 4)
    def z(self, x): return self.conv(x).relu().mean((2, 3))

class Side(Pooled):
    def forward(self, x):
        z = self.z(x)
        out, self.embedding = self.fc(z), self.other(z)
        return out

def test_the_linear_that_gives_the_scores_is_found():
    net = Side()
    head = find_head(net, torch.randn(2, 3, 8, 8))
    check_tensor(head.weight, net.fc.weight.detach())

@pytest.mark.parametrize('forward', [lambda net, x: -net.fc(net.z(x)),
                                     lambda net, x: net.fc(net.z(x)) + net.other(net.z(x)),
                                     lambda net, x: net.fc(net.z(x)).neg_(), lambda net, x: (net.fc(net.z(x)), x)])
def test_scores_that_are_not_the_linears_are_refused(forward):
    net = type('Net', (Pooled,), dict(forward=forward))()
    with pytest.raises(CamError, match='what it gives are not the scores of its Linear'):
        find_head(net, torch.randn(2, 3, 8, 8))

def test_nearly_the_mean_is_not_the_mean():
    net = type('Net', (Pooled,), dict(forward=lambda net, x: net.fc(net.z(x) * 1.001)))()
    with pytest.raises(CamError, match='not the mean over places'): find_head(net, torch.randn(2, 3, 8, 8))
