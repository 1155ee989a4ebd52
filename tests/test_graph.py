"Maps with a graph: a map as part of a loss."
import pytest, torch, torch.nn.functional as F
from torch import nn

from camtutor.course import check_tensor
from camtutor.gradcam import capture, grad_cam_maps
from camtutor.methods import FORMULAS, METHODS, by_formula

def small(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True),
                         nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(6, 2))

X = torch.rand(3, 1, 8, 12, generator=torch.Generator().manual_seed(1))

@pytest.mark.parametrize('name', [n for n, row in METHODS.items() if row.needs in FORMULAS])
def test_every_formula_reaches_the_weights(name):
    net = small()
    out, A, g = capture(net, X, '4', 0, create_graph=True)
    m = by_formula(METHODS[name], A, g)
    m.square().sum().backward()
    assert net[0].weight.grad.isfinite().all() and net[0].weight.grad.abs().sum() > 0, name
    plain = capture(net.requires_grad_(True), X, '4', 0)
    check_tensor(m.detach(), by_formula(METHODS[name], plain.acts, plain.grads), atol=1e-5)
    assert not plain.acts.requires_grad and not plain.grads.requires_grad and not plain.out.requires_grad

@pytest.mark.parametrize('layers', [None, '4', ['2', '4']])
@pytest.mark.parametrize('target', [None, 1, lambda out: out.T])
def test_the_same_maps_with_a_graph(layers, target):
    net = small().train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    out, maps = grad_cam_maps(net, X, layers, target, create_graph=True)
    plain_out, plain = grad_cam_maps(net, X, layers, target)
    assert out.requires_grad and not plain_out.requires_grad and net.training
    for m, p in zip(*((x if isinstance(x, list) else [x] for x in (maps, plain)))):
        assert m.requires_grad and not p.requires_grad
        check_tensor(m.detach(), p, atol=1e-6)
    for k, v in net.state_dict().items(): assert torch.equal(v, before[k])
    assert all(p.grad is None for p in net.parameters()) and not any(m._forward_hooks for m in net.modules())

def test_the_gradient_of_a_map_is_that_of_differences():
    net, h = small().double(), 1e-5
    def total(): return grad_cam_maps(net, X.double(), '2', 1, create_graph=True)[1].square().sum()
    total().backward()
    w, at = net[3].weight, (2, 1, 1, 1)
    with torch.no_grad():
        w[at] += h
        up = total().item()
        w[at] -= 2 * h
        down = total().item()
    assert w.grad[at].item() == pytest.approx((up - down) / (2 * h), rel=1e-4, abs=1e-9)

def pictures(n):
    "Two classes, told apart by how a bright bar lies in the left half, and as well by a dark one in the right."
    torch.manual_seed(5)
    x, y = .1 * torch.randn(n, 1, 8, 12), torch.arange(n) % 2
    for i in range(n):
        h, w = (1, 5) if y[i] else (5, 1)
        x[i, 0, 1:1 + h, :w] += 1
        x[i, 0, 1:1 + h, 7:7 + w] -= 1
    return x, y

def trained(weight):
    "How much of the maps lies in the left half, after training with a loss that wants it there; and how much is right."
    net, (x, y) = small(3), pictures(32)
    opt = torch.optim.Adam(net.parameters(), 2e-2)
    for _ in range(100):
        out, maps = grad_cam_maps(net, x, '4', y.tolist(), create_graph=True)
        loss = F.cross_entropy(out, y) + weight * (maps[:, :, 6:].sum() / (maps.sum() + 1e-6))
        opt.zero_grad(), loss.backward(), opt.step()
    out, maps = grad_cam_maps(net, x, '4', y.tolist())
    return (maps[..., :6].sum() / maps.sum()).item(), (out.argmax(1) == y).float().mean().item()

def test_a_map_in_a_loss_moves_the_map():
    left, right = trained(0.), trained(1.)
    assert left[1] == right[1] == 1
    assert .3 < left[0] < .7 and right[0] > left[0] + .1, (left, right)
