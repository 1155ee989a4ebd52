"The CAM family: values by hand, identities, what others compute beside it and where they are wrong, refusals, traces."
import copy, warnings
import pytest, torch
from torch import nn
from torchvision.models import VisionTransformer

warnings.filterwarnings('ignore', category=DeprecationWarning)
import pytorch_grad_cam as pgc_methods
import torchcam.methods as tcam_methods
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

from camtutor.cam import cam
from camtutor.course import check_tensor
from camtutor.engine.attention import attention_grad, attentions
from camtutor.engine.covers import min_max
from camtutor.engine.forward import Forward
from camtutor.engine.head import head_weight
from camtutor.engine.layers import stage_ends
from camtutor.engine.noise import noisy_copies
from camtutor.errors import CamError
from camtutor.explanation import compare, explain
from camtutor.family import (eigen_cam, eigen_grad_cam, elementwise_cam, full_grad, full_grad_terms, fuse_layers,
                             fused_layer_cam, grad_cam_pp, hires_cam, integrated_grad_cam, layer_cam, le_grad,
                             refine_cam, shapley_cam, smooth_grad_cam_pp, xgrad_cam)
from camtutor.gradcam import capture, grad_cam
from camtutor.methods import FORMULAS, METHODS
from camtutor.networks import load_pets
from camtutor.scenes import scene
from camtutor.show import normalize, upsample
from camtutor.targets import difference, finer
from test_parity import build, off
from test_state import Net, state

PAIRS = dict(hires_cam=hires_cam, xgrad_cam=xgrad_cam, elementwise_cam=elementwise_cam, layer_cam=layer_cam,
             grad_cam_pp=grad_cam_pp, eigen_grad_cam=eigen_grad_cam)
A = torch.tensor([[[[1., 0.], [0., 2.]], [[0., 4.], [1., 0.]]]])
G = torch.tensor([[[[1., 1.], [1., 1.]], [[2., 1.], [-2., -1.]]]])

def rand(*shape, seed=0): return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))

@pytest.fixture(scope='module')
def pets(): return load_pets()

@pytest.fixture(scope='module')
def x(pets): return torch.stack([pets.transform(scene(2, species=('dog', 'cat'))), pets.transform(scene(3, 'fox'))])

def tail(kind, c=5, h=4, w=3, k=6):
    "From maps (N,5,4,3) to scores (N,6): a mean and a Linear, or a flatten and a Linear."
    torch.manual_seed(1)
    if kind == 'gap': return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, k))
    if kind == 'flat': return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, k))
    return nn.Sequential(nn.Conv2d(c, 7, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(7 * h * w, k))

def pair(kind, k=2, n=3):
    "Activations, gradients, scores of a tail."
    acts = rand(n, 5, 4, 3).relu().requires_grad_()
    net = tail(kind)
    s = net(acts)[:, k]
    return acts.detach(), torch.autograd.grad(s.sum(), acts)[0], s.detach(), net

# ---- by hand

def test_by_hand():
    check_tensor(hires_cam(A, G), [[[1., 4.], [0., 2.]]])
    check_tensor(hires_cam(A, G, signed=True), [[[1., 4.], [-2., 2.]]])
    check_tensor(xgrad_cam(A, G), [[[1., 1.6], [.4, 2.]]])         # weights 3/3 and (4−2)/5
    check_tensor(elementwise_cam(A, G), [[[1., 4.], [0., 2.]]])
    check_tensor(layer_cam(A, G), [[[1., 4.], [0., 2.]]])
    w0, w1 = 4 / (2 + 3), 2 / (2 + 2 * 5) + 1 / (2 + 5)
    check_tensor(grad_cam_pp(A, G), [[[w0, 4 * w1], [w1, 2 * w0]]])

def test_element_wise_and_layer_cam_of_signed_activations():
    a = A - 1
    check_tensor(elementwise_cam(a, G), [[[0., 3.], [0., 2.]]])
    check_tensor(layer_cam(a, G), [[[0., 2.], [0., 1.]]])          # ReLU(g)·A: 0−2, −1+3, −1+0, 1+0

def test_eigen_cam_of_one_pattern():
    one = torch.tensor([1., 3., 2.])[None, :, None, None] * A[:, :1]
    check_tensor(normalize(eigen_cam(one)), normalize(A[:, 0]))
    check_tensor(normalize(eigen_cam(-one)), torch.zeros(1, 2, 2))  # in sign it agrees with their sum
    check_tensor(normalize(eigen_grad_cam(one, -torch.ones_like(one))), torch.zeros(1, 2, 2))

@pytest.mark.parametrize('c, h, w', [(5, 4, 3), (3, 6, 5)])  # either Gram matrix
def test_eigen_cam_is_the_first_component(c, h, w):
    a = rand(2, c, h, w).relu()
    X = a.flatten(2).mT
    v = torch.linalg.svd(X)[2][:, 0]
    m = torch.einsum('npc,nc->np', X, v).abs()
    check_tensor(normalize(eigen_cam(a)), normalize(m.view(2, h, w)))

def test_fusing_by_hand():
    shallow, deep = torch.tensor([[[0., 1.], [2., 4.]]]), torch.tensor([[[0., 3.], [1.5, 0.]]])
    want = torch.stack([torch.tanh(2 * shallow / 4), deep / 3]).amax(0)
    check_tensor(fuse_layers([shallow, deep]), want)
    assert fuse_layers([torch.ones(1, 8, 8).triu(), deep]).shape == (1, 8, 8)
    with pytest.raises(CamError, match='no maps to fuse'): fuse_layers([])

def test_targets_by_hand():
    out = torch.tensor([[5., 4., 1., -9.], [0., 2., 3., 10.]])
    check_tensor(difference(0, 1)(out), [1., -2.])
    check_tensor(finer(0, n=2)(out), torch.tensor([5 - .6 * 2.5, 0 - .6 * 2.5]))
    check_tensor(finer(n=1, gamma=1.)(out), [1., 7.])                 # of each image's top class
    check_tensor(finer([1, 0], n=9)(out), torch.tensor([4 - .6 * (5 + 1 - 9) / 3, -.6 * 5]))  # all there are
    check_tensor(finer(2, gamma=0.)(out), out[:, 2])
    assert finer(2).__name__ == 'class 2, finer' and difference(1, 0).__name__ == 'class 1 rather than 0'
    tied = torch.tensor([[1., 1., 1.]])
    check_tensor(finer(1, n=2, gamma=1.)(tied), [0.])                 # itself is none of its neighbours
    with pytest.raises(CamError, match='no other class'): finer(0)(out[:, :1])
    with pytest.raises(CamError, match='against 0 classes'): finer(0, n=0)
    with pytest.raises(CamError, match='out of range'): finer(4)(out)

# ---- Grad-CAM++: the closed form against derivatives

def test_closed_form_is_the_derivatives():
    a, w = torch.tensor([1., 0., 2., 1.]).double(), torch.tensor([.5, -.3, .2, .1]).double()
    for i in (0, 2, 3):
        b = a.clone().requires_grad_()
        d, found = ((w * b).sum() + 0 * b.pow(3).sum()).exp(), []
        for _ in range(3): found.append(d := torch.autograd.grad(d, b, create_graph=True)[0][i])
        _, second, third = found
        check_tensor((second / (2 * second + a.sum() * third)).detach(), 1 / (2 + w[i] * a.sum()))

def test_grad_cam_pp_behind_a_mean():
    a, g, _, net = pair('gap')
    w = net[2].weight[2].detach()
    check_tensor(grad_cam_pp(a, g), torch.einsum('nc,nchw->nhw', w.relu() / (2 + w.relu() * a.mean((2, 3))), a))

def test_grad_cam_pp_has_no_scale():
    "Tiny gradients, whose cubes vanish in single precision, get the same weights as any: half the gradient."
    a, g, _, _ = pair('flat')
    check_tensor(grad_cam_pp(a, 1e-20 * g) * 1e20, torch.einsum('nc,nchw->nhw', g.relu().sum((2, 3)) / 2, a))

# ---- identities

def test_one_map_behind_a_mean():
    a, g, s, net = pair('gap')
    for f in (hires_cam, xgrad_cam):
        check_tensor(f(a, g), grad_cam(a, g))
    check_tensor(grad_cam(a, g), cam(net[2].weight.detach(), a)[:, 2].relu() / 12)
    check_tensor(hires_cam(a, g, signed=True).sum((1, 2)) + net[2].bias[2].detach(), s)

@pytest.mark.parametrize('kind', ['gap', 'flat'])
def test_sum_rules(kind):
    a, g, s, net = pair(kind)
    bias = net[-1].bias[2].detach()
    check_tensor(hires_cam(a, g, signed=True).sum((1, 2)) + bias, s)
    w = (g * a).sum((2, 3)) / a.sum((2, 3))
    check_tensor(torch.einsum('nc,nchw->n', w, a) + bias, s)
    by_mean = torch.einsum('nc,nchw->n', g.mean((2, 3)), a) + bias
    assert ((by_mean - s).abs().max() < 1e-4) == (kind == 'gap')

def test_where_a_is_not_negative():
    a, g, _, _ = pair('conv')
    check_tensor(layer_cam(a, g), elementwise_cam(a, g))
    assert (hires_cam(a, g) <= elementwise_cam(a, g) + 1e-6).all()
    assert (grad_cam_pp(a, g) >= 0).all()

def test_all_differ_behind_a_flatten():
    a, g, _, _ = pair('flat')
    maps = [normalize(f(a, g)) for n, f in {**PAIRS, 'grad_cam': grad_cam}.items() if n != 'elementwise_cam']
    maps.append(normalize(eigen_cam(a)))
    for i, m in enumerate(maps):
        for o in maps[:i]: assert (m - o).abs().max() > .01

@pytest.mark.parametrize('name', PAIRS)
def test_larger_scores(name):
    "Ten times the scores are the same decision. Grad-CAM++ alone draws another map then."
    a, g, _, _ = pair('flat')
    same = (normalize(PAIRS[name](a, 10 * g)) - normalize(PAIRS[name](a, g))).abs().max() < 1e-4
    assert same == (name != 'grad_cam_pp')

@pytest.mark.parametrize('name', [*PAIRS, 'grad_cam'])
@pytest.mark.parametrize('places', [(7,), (4, 3), (2, 3, 4)])
def test_any_places_and_several_scores(name, places):
    f = {**PAIRS, 'grad_cam': grad_cam}[name]
    a, g = rand(3, 5, *places).relu(), rand(2, 3, 5, *places, seed=1)
    m = f(a, g)
    assert m.shape == (2, 3, *places)
    for k in range(2): check_tensor(m[k], f(a, g[k]))
    for n in range(3): check_tensor(f(a[n:n+1], g[0, n:n+1]), m[0, n:n+1])
    flat = f(a.flatten(2), g.flatten(3))
    check_tensor(flat, m.flatten(2))

@pytest.mark.parametrize('name', PAIRS)
def test_nothing_at_all_is_an_empty_map(name):
    m = PAIRS[name](torch.zeros(2, 3, 4, 5), rand(2, 3, 4, 5))
    assert m.shape == (2, 4, 5) and not m.any() and m.isfinite().all()
    assert not PAIRS[name](rand(2, 3, 4, 5).relu(), torch.zeros(2, 3, 4, 5)).any()

def test_base_cases_of_the_others(pets, x):
    k = [2, 3]
    pairs = {n: capture(pets, x, n, k)[1:] for n in ('0.6', '0.7')}
    check_tensor(shapley_cam(pets, x, '0.6', k), grad_cam(*pairs['0.6']))                 # a straight tail
    check_tensor(smooth_grad_cam_pp(pets, x, '0.6', k, sigma=0.), grad_cam_pp(*pairs['0.6']), rtol=1e-3)
    check_tensor(integrated_grad_cam(pets, x, '0.6', k, points=[1.], gained=False), grad_cam(*pairs['0.6']))
    check_tensor(refine_cam(pets, x, ['0.7'], k, base=grad_cam_pp), normalize(grad_cam_pp(*pairs['0.7'])))
    check_tensor(refine_cam(pets, x, ['0.7'] * 3, k, geometric=True), normalize(layer_cam(*pairs['0.7'])))
    check_tensor(refine_cam(pets, x, ['0.7'] * 3, k), normalize(layer_cam(*pairs['0.7'])) ** 3)
    check_tensor(fused_layer_cam(pets, x, ['0.7'], k), normalize(layer_cam(*pairs['0.7'])))
    check_tensor(explain(pets, x, target=finer(2, gamma=0.)).raw, explain(pets, x, target=2).raw)
    assert stage_ends(pets, x)[-3:] == ['0.4', '0.5', '0.7']

def test_finer_is_linear_behind_a_straight_tail(pets, x):
    out, a, g = capture(pets, x[:1], '0.7', finer(2))
    near = (out[0] - out[0, 2]).abs().argsort()[1:4].tolist()
    maps = cam(head_weight(pets), a)[0] / 64
    check_tensor(hires_cam(a, g, signed=True)[0], maps[2] - .6 * maps[near].mean(0))

def test_shapley_of_a_curved_tail():
    "Half the Hessian times A, against one that is written out."
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.SiLU(), nn.Flatten(), nn.Linear(16, 3))
    xs = rand(1, 3, 6, 6)
    a, g = capture(net, xs, '1', 1)[1:]
    H = torch.autograd.functional.hessian(lambda t: net[2:](t.view_as(a))[0, 1], a.flatten())
    want = grad_cam(a, g - (H @ a.flatten()).view_as(a) / 2)
    assert want.any() and off(want, grad_cam(a, g)) > 1e-3
    check_tensor(shapley_cam(net, xs, '1', 1), want)
    check_tensor(explain(net, xs, 'shapley_cam', '1', 1).raw, want)
    check_tensor(shapley_cam(net.requires_grad_(False), xs, '1', 1), want)

def test_smooth_is_the_mean_of_powers(pets, x):
    "Not of the last copy, and at the clean activations."
    a, _ = capture(pets, x, '0.6', 2)[1:]
    grads = [capture(pets, n, '0.6', 2).grads for n in noisy_copies(x, 3, .2, 7)]
    d1, d2, d3 = (sum(g ** p for g in grads) / 3 for p in (1, 2, 3))
    alpha = d2 / (2 * d2 + a.sum((2, 3), keepdim=True) * d3.relu()).where(d2 > 0, 1)
    want = torch.einsum('nc,nchw->nhw', (alpha * d1.relu()).sum((2, 3)), a)
    check_tensor(smooth_grad_cam_pp(pets, x, '0.6', 2, n=3, sigma=.2, seed=7), want, rtol=1e-3)
    assert off(smooth_grad_cam_pp(pets, x, '0.6', 2, n=3, sigma=.2, seed=8), want) > 1e-4

def test_integrated_by_hand(pets, x):
    a0 = capture(pets, 0 * x, '0.6', 2).acts
    steps = [capture(pets, t * x, '0.6', 2)[1:] for t in (.25, .75)]
    want = sum(grad_cam(a - a0, g) for a, g in steps) / 2
    check_tensor(integrated_grad_cam(pets, x, '0.6', 2, points=(.25, .75)), want)

def test_the_top_class_is_that_of_the_clean_picture(pets, x):
    k = pets(x).argmax(1).tolist()
    for f in (smooth_grad_cam_pp, integrated_grad_cam): check_tensor(f(pets, x, '0.6'), f(pets, x, '0.6', k))

# ---- FullGrad

@pytest.mark.parametrize('name', ['resnet18', 'vgg11', 'densenet121', 'googlenet'])
def test_full_grad_is_complete(name):
    net, xs = build(name, num_classes=7), torch.randn(2, 3, 64, 64)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.running_mean, -.5, .5)
            nn.init.normal_(m.bias, std=.2)
    terms = full_grad_terms(net, xs, 3)
    total = sum(t.flatten(1).sum(1) for t in terms.values())
    assert ((total - net(xs)[:, 3]).abs() / sum(t.flatten(1).sum(1).abs() for t in terms.values()) < 1e-4).all()
    assert full_grad(net, xs, 3).shape == (2, 64, 64)

def test_full_grad_terms_by_hand():
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(2, 1)).eval()
    with torch.no_grad():
        for p, v in zip(net.parameters(), ([[[[2.]]]], [1.], [[3., -1.]], [.5])): p.copy_(torch.tensor(v))
    terms = full_grad_terms(net, torch.tensor([[[[1., -4.]]]]), 0)    # 2·1+1 = 3 goes through, 2·−4+1 does not
    check_tensor(terms['input'], [[[[6., 0.]]]])
    check_tensor(terms['0'], [[[[3., 0.]]]])
    check_tensor(terms['3'], [[.5]])

@pytest.mark.parametrize('act', [nn.SiLU, nn.GELU, nn.Sigmoid, nn.Tanh])
def test_full_grad_refuses_what_is_not_straight(act):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), act(), nn.Conv2d(8, 8, 3), act(), nn.Flatten(), nn.Linear(8 * 16, 3)).eval()
    with pytest.raises(CamError, match='parts sum to .* Use grad_cam'): explain(net, rand(1, 3, 8, 8), 'full_grad')
    assert explain(net, rand(1, 3, 8, 8), 'grad_cam').raw.shape == (1, 4, 4)   # the advice

# ---- transformers

def torchvision_vit():
    torch.manual_seed(0)
    net = VisionTransformer(32, 8, 2, 4, 16, 32, num_classes=5).eval()
    nn.init.normal_(net.heads.head.weight)
    return net

def timm_vit():
    import timm
    torch.manual_seed(0)
    return timm.create_model('vit_tiny_patch16_224', img_size=32, patch_size=8, depth=2, embed_dim=16, num_heads=4,
                             num_classes=5).eval()

def hugging_vit():
    import transformers as hf
    torch.manual_seed(0)
    return hf.ViTForImageClassification(hf.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32, image_size=32, patch_size=8,
        num_labels=5)).eval()

class Written(torch.overrides.TorchFunctionMode):
    "Writes attention out in place of a fused kernel, and keeps it."
    def __init__(self):
        super().__init__()
        self.kept = []
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, '__name__', '') != 'scaled_dot_product_attention': return func(*args, **(kwargs or {}))
        q, k, v = args[:3]
        P = (q @ k.mT * q.shape[-1] ** -.5).softmax(-1)
        self.kept.append(P)
        return P @ v

@pytest.mark.parametrize('make', [timm_vit, hugging_vit])
def test_gradient_at_an_attention(make):
    "Against an attention that is written out."
    net, xs = make(), rand(2, 3, 32, 32)
    with Written() as seen: out = net(xs)
    score = (out.logits if hasattr(out, 'logits') else out)[:, 3].sum()
    want = torch.autograd.grad(score, seen.kept)
    found = attentions(net)
    assert len(found) == len(want) == 2
    kept = Forward(net, xs, [n for a in found for n in (a.values, a.out)])
    grads = dict(zip(kept.names, next(kept.grads(3))))
    for a, w in zip(found, want):
        assert w.any()
        check_tensor(attention_grad(a, kept.acts[a.values].detach(), grads[a.out]), w, rtol=1e-3)

def test_gradient_at_torchvisions_attention():
    net, xs, seen = torchvision_vit(), rand(2, 3, 32, 32), []
    def written(m, args):
        q, k, v = (t.unflatten(-1, (4, -1)).transpose(1, 2)
                   for t in (args[0] @ m.in_proj_weight.T + m.in_proj_bias).chunk(3, -1))
        seen.append(((q @ k.mT) / 2).softmax(-1))        # 16 numbers in 4 heads: the root of 4
        return (seen[-1] @ v).transpose(1, 2).flatten(2) @ m.out_proj.weight.T + m.out_proj.bias, None
    for m in net.modules():
        if isinstance(m, nn.MultiheadAttention): m.forward = lambda *a, m=m, **k: written(m, a)
    want = torch.autograd.grad(net(xs)[:, 3].sum(), seen)
    whole, found = torchvision_vit(), attentions(torchvision_vit())
    kept = Forward(whole, xs, [n for a in found for n in (a.values, a.out)])
    grads = dict(zip(kept.names, next(kept.grads(3))))
    for a, w in zip(found, want):
        check_tensor(attention_grad(a, kept.acts[a.values].detach(), grads[a.out]), w, rtol=1e-3)
    m = torch.stack([w.relu().mean((1, 2))[:, 1:].view(2, 4, 4) for w in want]).mean(0)
    check_tensor(le_grad(whole, xs, 3), m, rtol=1e-3)

@pytest.mark.parametrize('make', [torchvision_vit, timm_vit, hugging_vit])
def test_le_grad_is_a_row_like_any(make):
    net, xs = make(), rand(2, 3, 32, 32)
    e = explain(net, xs, 'le_grad', target=3)
    assert e.raw.shape == (2, 4, 4) and (e.raw > 0).any() and e.layer is None and e.map.shape == (2, 32, 32)
    net.train()
    before = state(net, xs)
    check_tensor(le_grad(net, xs, 3), e.raw)
    assert state(net, xs) == before

def test_le_grad_needs_an_attention(pets, x):
    with pytest.raises(CamError, match='LeGrad: .*no attention.*grad_cam'): explain(pets, x, 'le_grad')

# ---- beside other libraries, where they are right: eight architectures, raw maps

NETS = [('resnet18', 'layer4', 'layer2'), ('resnet50', 'layer4', 'layer3'), ('vgg11', 'features.19', 'features.9'),
        ('mobilenet_v2', 'features.18', 'features.10'), ('densenet121', 'features.denseblock4', 'features.denseblock3'),
        ('googlenet', 'inception5b', 'inception4b'), ('squeezenet1_1', 'features.12', 'features.7'),
        ('regnet_x_400mf', 'trunk_output.block4', 'trunk_output.block3')]
PGC = dict(hires_cam='HiResCAM', xgrad_cam='XGradCAM', elementwise_cam='GradCAMElementWise', layer_cam='LayerCAM')
TCAM = dict(xgrad_cam='XGradCAM', layer_cam='LayerCAM')

def pgc_raw(kind, net, xs, layer, k):
    "pytorch-grad-cam's own map, cut at 0, before it scales and resizes; and what it holds for A and g."
    with getattr(pgc_methods, kind)(net, [net.get_submodule(layer)]) as c:
        c(xs, [ClassifierOutputTarget(k)] * len(xs))
        a, g = (t[0].detach().numpy() for t in (c.activations_and_grads.activations, c.activations_and_grads.gradients))
        return torch.tensor(c.get_cam_image(xs, None, None, a, g, False)).relu()

def tcam_raw(kind, net, xs, layer, k):
    with getattr(tcam_methods, kind)(net, target_layer=layer) as c: return c(k, net(xs), normalized=False)[0].detach()

def live_class(net, xs, layer):
    "A class whose Grad-CAM is empty for none of the pictures."
    a, g = capture(net, xs, layer, lambda out: out[:, :12].T)[1:]
    return grad_cam(a, g).amax((2, 3)).amin(1).argmax().item()

def warmed(name):
    "Random weights, and batch norms that have seen a batch: activations of ordinary size."
    net = build(name, num_classes=20).train()
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d): m.momentum = None
    with torch.no_grad(): net(torch.randn(8, 3, 64, 64))
    return net.eval()

@pytest.mark.parametrize('name, last, inner', NETS, ids=[n for n, *_ in NETS])
def test_the_others_where_they_are_right(name, last, inner):
    net, xs = warmed(name), torch.randn(2, 3, 64, 64)
    for layer in (last, inner):
        k = live_class(net, xs, layer)
        a, g = capture(net, xs, layer, k)[1:]
        for n, kind in PGC.items():
            if n == 'xgrad_cam' and (a < 0).any(): continue # ΣA is near 0 there, and their small number tells
            assert off(PAIRS[n](a, g), pgc_raw(kind, net, xs, layer, k)) < 1e-5, (n, layer)
        for n, kind in TCAM.items():
            if n == 'xgrad_cam' and (a < 0).any(): continue
            assert off(PAIRS[n](a, g), tcam_raw(kind, net, xs, layer, k)) < 1e-5, (n, layer)

def test_shapley_beside_pytorch_grad_cam():
    net, xs = warmed('resnet18'), torch.randn(2, 3, 64, 64)
    curved = lambda out: out[:, 3] + out.log_softmax(1)[:, 3]
    class Kept(pgc_methods.ShapleyCAM):
        def get_cam_weights(self, *args):
            self.weights = super().get_cam_weights(*args)
            return self.weights
    with Kept(net, [net.layer4]) as c:
        c(xs.clone(), [lambda out: out[3] + out.log_softmax(0)[3]] * 2)
        want = torch.einsum('nc,nchw->nhw', torch.tensor(c.weights), capture(net, xs, 'layer4').acts).relu()
    assert off(shapley_cam(net, xs, 'layer4', curved), want) < 1e-5

def test_fusion_beside_torch_cam():
    """torch-cam 0.5 puts every layer through the tanh, the deepest too, and takes maps that are scaled already. Of
    scaled maps whose deepest is empty it gives the same."""
    maps = [normalize(rand(1, n, n, seed=n).relu()) for n in (8, 4, 2)]
    check_tensor(fuse_layers([*maps[:2], 0 * maps[2]]), tcam_methods.LayerCAM.fuse_cams([*maps[:2], 0 * maps[2]]))
    assert off(fuse_layers(maps), tcam_methods.LayerCAM.fuse_cams(maps)) > .03

# ---- others' mistakes: library, version, reason

def flat_net():
    "A body of ReLUs and a head that flattens, so that gradients vary over places."
    torch.manual_seed(0)
    body = nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.ReLU()
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(5 * 64, 7)).eval()

def test_torch_cam_0_5_never_divides(pets, x):
    """Its Grad-CAM++ divides in place on `alpha[idx][mask]`. Indexing with a mask copies, so the quotient is lost, and
    each weight is the sum of ReLU(g)³."""
    a, g = capture(pets, x, '0.6', 2)[1:]
    theirs = tcam_raw('GradCAMpp', pets, x, '0.6', 2)
    cubes = torch.einsum('nc,nchw->nhw', g.relu().pow(3).sum((2, 3)), a)
    assert off(theirs, cubes) < 1e-4 and off(normalize(theirs), normalize(grad_cam_pp(a, g))) > .05

def test_pytorch_grad_cam_1_5_7_adds_a_number_as_large_as_the_gradients():
    "Its 1e-6 beside 2g² + ΣA·g³ turns weights cubic where g² is smaller. Here g² is about 1e-8."
    a, g, _, _ = pair('flat')
    w = pgc_methods.GradCAMPlusPlus.get_cam_weights(None, None, None, None, a.numpy(), (1e-3 * g).numpy())
    cubic = ((1e-3 * g).relu() ** 3).sum((2, 3)) / 1e-6
    exact = ((1e-3 * g).relu() / (2 + 1e-3 * g.relu() * a.sum((2, 3), keepdim=True))).sum((2, 3))
    assert off(torch.tensor(w), cubic) < .1 and off(torch.tensor(w), exact) > .9
    w = pgc_methods.GradCAMPlusPlus.get_cam_weights(None, None, None, None, a.numpy(), (1e3 * g).numpy())
    exact = (1e3 * g.relu() / (2 + 1e3 * g.relu() * a.sum((2, 3), keepdim=True))).sum((2, 3))
    assert off(torch.tensor(w), exact) < 1e-5                                      # where it is small, they agree

def test_the_sum_over_places_does_not_hold_the_gradient():
    """torch-cam 0.5 sums A·g³ where the formula has ΣA times g³ (`GradCAMpp` and `SmoothGradCAMpp`). Behind a mean
    there is no difference, so no test at such a layer finds it."""
    def weights(a, g, mixed):
        total = (a * g ** 3).sum((2, 3), keepdim=True) if mixed else a.sum((2, 3), keepdim=True) * g ** 3
        alpha = (g ** 2 / (2 * g ** 2 + total)).where(g > 0, 0)
        return (alpha * g.relu()).sum((2, 3))
    for kind in ('gap', 'flat'):
        a, g, _, _ = pair(kind)
        same = torch.allclose(weights(a, g, True), weights(a, g, False), rtol=1e-4)
        assert same == (kind == 'gap')
        check_tensor(torch.einsum('nc,nchw->nhw', weights(a, g, False), a), grad_cam_pp(a, g))

def test_torch_cam_0_5_smooths_with_the_last_copy():
    """Its Smooth Grad-CAM++ without noise is Grad-CAM++ with the mixed sum; with noise, ReLU(g) and A are those of the
    last copy."""
    net, xs = flat_net(), rand(1, 3, 12, 12)
    a, g = capture(net, xs, '3', 2)[1:]
    def theirs(std, n):
        torch.manual_seed(0)
        with tcam_methods.SmoothGradCAMpp(net, target_layer='3', num_samples=n, std=std) as c:
            with torch.no_grad(): net(xs)
            return c(2, normalized=False)[0].detach(), [t.clone() for t in c.hook_a]
    mixed = (g ** 2 / (2 * g ** 2 + (a * g ** 3).sum((2, 3), keepdim=True) + 1e-8) * g.relu()).sum((2, 3))
    still, _ = theirs(1e-9, 1)
    assert off(still, torch.einsum('nc,nchw->nhw', mixed, a).relu()) < 1e-4
    _, kept = theirs(.5, 2)
    assert off(kept[0], a) > .1

def test_pytorch_grad_cam_1_5_7_keeps_any_sign():
    """Its Eigen-CAM centres the columns, keeps whatever sign LAPACK gives, and cuts at 0 afterwards. About half of the
    time that sign is against the mean activation, and what the layer shows is cut away."""
    against = 0
    for s in range(40):
        a = rand(1, 6, 5, 4, seed=s).relu()
        mean = a.mean(1)
        against += (torch.tensor(get_2d_projection(a.numpy())) * (mean - mean.mean())).sum().item() < 0
        assert (eigen_cam(a) * mean).sum() > 0 and (eigen_cam(a) > 0).float().mean() > .89
    assert 10 < against < 30

def test_pytorch_grad_cam_1_5_7_scales_each_channel():
    """Its FullGrad scales every channel to its own range before they are summed, so that a channel that adds next to
    nothing counts as much as any; the paper scales a layer."""
    from pytorch_grad_cam.utils.image import scale_accross_batch_and_channels
    t = rand(1, 2, 4, 4).abs() * torch.tensor([1., 1e-4])[None, :, None, None]
    each = scale_accross_batch_and_channels(t.numpy(), (4, 4))
    assert each[0, 1].max() > .99 and min_max(t)[0, 1].max() < 1e-3

def test_a_small_number_beside_small_activations():
    """pytorch-grad-cam 1.5.7 and torch-cam 0.5 add 1e-7 and 1e-8 to ΣA in XGrad-CAM. Activations of that size lose
    their weight."""
    net, xs = build('mobilenet_v2', num_classes=20), torch.randn(2, 3, 64, 64)
    k = live_class(net, xs, 'features.18')
    a, g = capture(net, xs, 'features.18', k)[1:]
    assert 0 < a.sum((2, 3)).max() < 1e-6
    check_tensor(xgrad_cam(a, g) * 1e9, grad_cam(a, g) * 1e9)                     # as it must be behind a mean
    assert off(pgc_raw('XGradCAM', net, xs, 'features.18', k), grad_cam(a, g)) > .3

# ---- compare

def passes(net, call):
    n = []
    handle = net.register_forward_hook(lambda *a: n.append(1))
    try: got = call()
    finally: handle.remove()
    return len(n), got

def test_all_formulas_from_one_pass(pets, x):
    explain(pets, x[:1])
    n, c = passes(pets, lambda: compare(pets, x[:1], layers=['0.5', '0.7'], targets=[2, 'dog']))
    assert n == 1 and len(c.cells) == len(c.methods) * 4 and not c.refused
    assert set(c.methods) == {m for m in METHODS if METHODS[m].needs in FORMULAS} and len(c.methods) >= 8
    for (m, layer, i), e in c.cells.items():
        want = explain(pets, x[:1], m, layer, [2, 'dog'][i])
        check_tensor(e.raw, want.raw, rtol=1e-3)
        check_tensor(e.map, want.map, rtol=1e-3)
        check_tensor(e.out, want.out)
        assert (e.label, e.layer, e.method) == (want.label, want.layer, want.method)
        assert e.target.tolist() == want.target.tolist()

def test_one_way_back_for_a_target(pets, x, monkeypatch):
    backs, real = [], torch.autograd.grad
    monkeypatch.setattr(torch.autograd, 'grad', lambda *a, **k: backs.append(1) or real(*a, **k))
    compare(pets, x[:1], layers=['0.5', '0.6', '0.7'], targets=2)
    assert len(backs) == 1

def test_one_way_back_for_ten_targets_at_four_layers(pets, x, monkeypatch):
    backs, real = [], torch.autograd.grad
    monkeypatch.setattr(torch.autograd, 'grad', lambda *a, **k: backs.append(1) or real(*a, **k))
    targets = [*range(8), difference(1, 2), lambda out: -out[:, 0]]
    c = compare(pets, x[:1], 'layer_cam', ['0.4', '0.5', '0.6', '0.7'], targets)
    assert len(backs) == 1 and len(c.cells) == 40   # with somebody's hooks on the network it would be ten
    monkeypatch.undo()
    for (_, layer, i), e in c.cells.items():
        check_tensor(e.raw, explain(pets, x[:1], 'layer_cam', layer, targets[i]).raw, rtol=1e-3)

def test_compare_with_others(pets, x):
    c = compare(pets, x[:1], ['Grad-CAM', 'full_grad', 'shapley_cam', 'saliency'], ['0.6', '0.7'], 2)
    assert set(c.cells) == {('grad_cam', '0.6', 0), ('grad_cam', '0.7', 0), ('shapley_cam', '0.6', 0),
                            ('shapley_cam', '0.7', 0), ('full_grad', None, 0), ('saliency', None, 0)}
    for same in (False, True):
        fig = c.figure(same=same)
        drawn = [ax.get_title() for ax in fig.axes if ax.images]
        assert len(drawn) == 8 and 'FullGrad' in drawn and 'at 0.6' in drawn[0]
    assert c._repr_jpeg_()[:2] == b'\xff\xd8' and repr(c).startswith('Comparison(methods: grad_cam, full_grad')
    assert compare(pets, x[:1], 'grad_cam').layers == ['0.7']

def test_a_comparison_is_saved(pets, x, tmp_path):
    found = compare(pets, x[:1], ['grad_cam', 'layer_cam'])
    for kind in ('png', 'jpg', 'pdf', 'svg'): assert found.save(tmp_path/f'a.{kind}', same=True).stat().st_size > 1000
    with pytest.raises(CamError, match=r"must end in .png, .jpg, .pdf or .svg \(a picture\)\."):
        found.save(tmp_path/'a.npz')

def test_compare_leaves_out_what_does_not_fit(pets, x):
    c = compare(pets, x[:1], layers='0.5.0.bn2', targets=lambda out: out[:, 1] - out[:, 2])
    assert list(c.refused) == ['grad_cam_pp'] and 'grad_cam_pp' not in c.methods
    assert 'below 0' in c.refused['grad_cam_pp']
    assert c.figure().axes
    with pytest.raises(CamError, match='below 0'): compare(pets, x[:1], ['grad_cam', 'grad_cam_pp'], '0.5.0.bn2')

@pytest.mark.parametrize('wrong, why', [
    (dict(methods=['gradcam']), 'no method'), (dict(methods=['le_grad']), 'no attention'),
    (dict(layers='0.77'), 'no layer'),
    (dict(targets=[2, 'cta']), 'no class'), (dict(targets=[]), 'list of targets is empty'), (dict(layers=[]), None),
    (dict(targets=99), 'out of range'), (dict(targets=lambda out: out[:, :2].T), 'several scores')])
def test_compare_refuses(pets, x, wrong, why):
    if why is None: return compare(pets, x[:1], **wrong)         # no layer named: the default
    with pytest.raises(CamError, match=why): compare(pets, x[:1], **wrong)

def test_compare_wants_one_picture(pets, x):
    with pytest.raises(CamError, match='there are 2 pictures.*explain_all'): compare(pets, x)
    from camtutor.guided import unit
    with pytest.raises(CamError, match='read from a layer'): compare(pets, x[:1], targets=unit('0.7', 3))

# ---- bad input

@pytest.mark.parametrize('name', PAIRS)
@pytest.mark.parametrize('a, g', [((2, 3, 4, 4), (2, 3, 4, 5)), ((2, 3, 4, 4), (3, 4, 4)), ((2, 3), (2, 3)),
                                  ((2, 3, 4, 4), (1, 3, 4, 4))])
def test_pairs_that_do_not_fit(name, a, g):
    with pytest.raises(CamError, match=f'.*: activations .* and gradients .* do not fit'):
        PAIRS[name](torch.zeros(a), torch.zeros(g))

def test_eigen_cam_wants_places():
    with pytest.raises(CamError, match='Eigen-CAM: activations must be'): eigen_cam(torch.zeros(2, 3))

def test_signed_activations_and_what_the_message_advises(pets, x):
    a, g = capture(pets, x, '0.5.0.bn2', 2)[1:]
    with pytest.raises(CamError, match='Grad-CAM\\+\\+: .*pole.*behind a ReLU, or use layer_cam or hires_cam'):
        grad_cam_pp(a, g)
    with pytest.raises(CamError, match='below 0'): smooth_grad_cam_pp(pets, x, '0.5.0.bn2', 2)
    assert layer_cam(a, g).shape == hires_cam(a, g).shape == (2, 16, 16)
    assert explain(pets, x, 'grad_cam_pp', '0.5', 2).raw.shape == (2, 16, 16)

@pytest.mark.parametrize('f', [smooth_grad_cam_pp, integrated_grad_cam])
def test_what_noise_cannot_be_added_to(f, pets, x):
    with pytest.raises(CamError, match='one tensor of floats'): f(pets, {'x': x})
    none = {'n': 0} if f is smooth_grad_cam_pp else {'points': []}
    with pytest.raises(CamError, match='0 passes'): f(pets, x, **none)

def test_a_layer_without_gradient(pets):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    class Side(nn.Module):
        def __init__(self): super().__init__(); self.net, self.side = net, nn.Conv2d(3, 2, 3)
        def forward(self, x): self.side(x); return self.net(x)
    for method in ('hires_cam', 'eigen_grad_cam', 'shapley_cam'):
        with pytest.raises(CamError, match='does not depend on'): explain(Side(), rand(1, 3, 6, 6), method, 'side', 1)

# ---- nothing is left behind

NETWORK = dict(shapley_cam=shapley_cam, smooth_grad_cam_pp=smooth_grad_cam_pp, integrated_grad_cam=integrated_grad_cam)

@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('outer', [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_state_after_success(training, outer):
    torch.manual_seed(0)
    net, xs = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 6, 3),
                            nn.ReLU(inplace=True), nn.Dropout(.5), nn.Flatten(), nn.Linear(6 * 16, 3)), rand(1, 3, 8, 8)
    net.train(training)
    fits = [m for m in METHODS if m not in ('cam', 'le_grad', 'lcam_fm', 'lcam_img')]
    with outer():
        before = state(net, xs)
        for m in fits: explain(net, xs, m, target=1)
        compare(net, xs, fits, targets=[0, 1])
        assert state(net, xs) == before

@pytest.mark.parametrize('f', [*NETWORK.values(), lambda net, x, layer, k: full_grad(net, x, k),
                               lambda net, x, layer, k: refine_cam(net, x, [layer], k)])
def test_state_after_failure(f):
    torch.manual_seed(0)
    net, xs = Net().train(), rand(2, 3, 12, 12)
    net.fuse = RuntimeError('blown')
    before = state(net, xs)
    with pytest.raises(RuntimeError, match='blown'): f(net, xs, 'b', 1)
    assert state(net, xs) == before

def covers(m): return METHODS[m].passes > 8 or m == 'ablation_cam'

@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
@pytest.mark.parametrize('some', [True, False], ids=['covering', 'others'])
def test_dtypes(pets, x, dtype, some):
    "What comes back is of the network's kind. Those that cover ask a small network: they ask hundreds of times."
    net, xs = (Net().eval(), rand(2, 3, 12, 12)) if some else (copy.deepcopy(pets), x[..., ::2, ::2])
    for m in METHODS:
        if m == 'le_grad' or covers(m) != some: continue
        e = explain(net.to(dtype), xs.to(dtype), m, target=2)
        assert e.raw.dtype == dtype and e.raw.isfinite().all(), m

def test_second_order_by_hand():
    "S = a²/2 has the gradient a and the Hessian 1: a - a/2. A straight score bends nowhere."
    from camtutor.family import second_order
    a = torch.tensor([2., -4.], requires_grad=True)
    check_tensor(second_order((a**2 / 2).sum(), a), [1., -2.])
    check_tensor(second_order((3 * a).sum(), a), [3., 3.])
