"Covering and asking again: values by hand, naive transcriptions, peers, identities, what is left behind."
from functools import partial
import numpy as np, pytest, torch, torch.nn.functional as F
from torch import nn
from torchvision.models import get_model
from captum.attr import LayerFeatureAblation, Occlusion
from pytorch_grad_cam import AblationCAM as PgcAblation, ScoreCAM as PgcScoreCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from skimage.filters import threshold_otsu
from torchcam.methods import ISCAM, ScoreCAM as TorchCamScoreCAM

from camtutor.course import check_tensor, cost_of, plot_costs
from camtutor.engine.ablate import without_each
from camtutor.engine.covers import Question, RandomMasks, Windows, covered, ground_of, mask_mass
from camtutor.engine.fast import at_once, fast
from camtutor.engine.layers import stage_ends
from camtutor.engine.tail import Tail, close
from camtutor.errors import CamError
from camtutor.gradcam import capture, grad_cam
from camtutor.networks import load_pets
from camtutor.perturbation import (SCORE_CAM, ablation_cam, ada_sise, by_otsu, by_share, fitted_map, fuse, group_cam,
                                   is_cam, occlusion, otsu, plain_map, rise, rise_error, rise_map, score_cam, sidu,
                                   sidu_weights, sise, soft)
from camtutor.show import upsample

ALL = [occlusion, ablation_cam, score_cam, partial(is_cam, steps=2), partial(rise, n=40), sidu, sise, ada_sise,
       group_cam]
NAMES = ['occlusion', 'ablation_cam', 'score_cam', 'is_cam', 'rise', 'sidu', 'sise', 'ada_sise', 'group_cam']

def seeded(net, seed=0):
    gen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters(): p.copy_(torch.randn(p.shape, generator=gen) * .25)
    return net.eval()

@pytest.fixture
def net():
    "Three grids, a batch norm, an in-place ReLU, pooling and one Linear."
    m = seeded(nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True),
                             nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                             nn.Conv2d(8, 10, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                             nn.Linear(10, 4)))
    m[1].running_mean.uniform_(-.3, .3), m[1].running_var.uniform_(.5, 2)
    return m

@pytest.fixture
def x(): return torch.randn(2, 3, 24, 20, generator=torch.Generator().manual_seed(1))

def scores(net, x):
    with torch.no_grad(): return net(x)

def softmax_of(net, x): return scores(net, x).double().softmax(1)

# ---- occlusion

def test_a_linear_score_is_covered_exactly(x):
    line = seeded(nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 20, 3)))
    exact = (line[1].weight[2].view(3, 24, 20) * x).sum(1)
    check_tensor(occlusion(line, x, target=2, size=1), exact.detach(), atol=1e-3)
    w = occlusion(line, x, target=2, size=(4, 5), stride=(4, 5))
    check_tensor(w[:, 0, 0], exact[:, :4, :5].sum((1, 2)).detach(), atol=1e-3)

@pytest.mark.parametrize('size, stride', [((6, 5), (3, 5)), ((7, 7), (3, 4)), ((24, 20), (1, 1))])
def test_captum_occlusion(net, x, size, stride):
    "Captum takes, at each place, the mean over the windows that cover it; the last ones may be cut."
    want = Occlusion(net).attribute(x, (3, *size), (3, *stride), target=1)[:, 0]
    check_tensor(occlusion(net, x, target=1, size=size, stride=stride), want.detach(), atol=1e-5)

def test_windows_by_hand():
    w = Windows((5,), (2,), (2,))
    assert len(w) == 3 and w.masks(slice(0, 3), torch.zeros(1)).tolist() == [[0, 0, 1, 1, 1], [1, 1, 0, 0, 1],
                                                                             [1, 1, 1, 1, 0]]
    assert w.spread(torch.tensor([1., 2., 3.])).tolist() == [1, 1, 2, 2, 3]
    assert Windows((3,), (2,), (1,)).spread(torch.tensor([2., 4.])).tolist() == [2, 3, 4]

def test_a_signal_and_a_volume():
    for shape, conv in (((2, 3, 12), nn.Conv1d), ((1, 3, 4, 6, 6), nn.Conv3d)):
        pool = nn.AdaptiveAvgPool1d(1) if conv is nn.Conv1d else nn.AdaptiveAvgPool3d(1)
        m, x = seeded(nn.Sequential(conv(3, 4, 3, padding=1), nn.ReLU(), pool, nn.Flatten(),
                                    nn.Linear(4, 2))), torch.randn(shape)
        assert occlusion(m, x, target=1).shape == score_cam(m, x, '1', 1).shape == ablation_cam(m, x, '1', 1).shape
        assert sise(m, x, ['1'], 1).shape == (shape[0], *shape[2:])
        with pytest.raises(CamError, match=r'RISE: it covers pictures \(N,C,H,W\)'): rise(m, x, target=1)

# ---- what is under the cover

def test_grounds(x):
    pets, x = load_pets(), torch.randn(2, 3, 16, 16)
    assert not ground_of(pets, x, 'mean').any()
    check_tensor(ground_of(pets, x, 'black')[0, :, 0, 0], torch.tensor([-.485 / .229, -.456 / .224, -.406 / .225]))
    check_tensor(ground_of(pets, x, 'blur').mean((2, 3)), x.mean((2, 3)), atol=.2)
    assert ground_of(pets, x, 'blur').std() < .3 * x.std()
    assert (ground_of(pets, x, 2.) == 2).all() and ground_of(pets, x, x[:1]).shape == x.shape
    m = torch.rand(3, 16, 16)
    check_tensor(covered(x[:1], m, 2.), x[:1] * m[:, None] + 2 * (1 - m[:, None]))

def test_the_ground_counts(net, x):
    a, b = (occlusion(net, x, target=1, ground=g) for g in (0., 3.))
    assert (a - b).abs().max() > .01
    zeros = torch.zeros_like(x)
    check_tensor(occlusion(net, x, target=1, ground=zeros), a)

# ---- ablation

def test_the_closed_form_is_the_loop(net, x):
    A, w = capture(net, x, '8', 1).acts, net[11].weight
    _, y, without = without_each(Question(net, x, 1), '8')
    check_tensor(y[:, None] - without, (w[1] * A.mean((2, 3))).detach(), atol=1e-5)
    check_tensor((y[:, None] - without).sum(1), y - net[11].bias[1].detach(), atol=1e-4)
    check_tensor(ablation_cam(net, x, '8', 1), torch.einsum('nc,nchw->nhw', w[1] * A.mean((2, 3)), A).relu().detach(),
                 atol=1e-4)

def by_loop(net, x, layer, k, value):
    "A hook, a channel, a pass."
    A = capture(net, x, layer, k).acts
    rows = []
    for c in range(A.shape[1]):
        def hook(m, a, o, c=c):
            o = o.clone()
            o[:, c] = value(o[:, c])
            return o
        handle = net.get_submodule(layer).register_forward_hook(hook)
        rows.append(scores(net, x)[:, k])
        handle.remove()
    return torch.stack(rows, 1)

@pytest.mark.parametrize('layer', ['8', '5', '4', '2', '1', '0'])
@pytest.mark.parametrize('absent, value', [('zero', torch.zeros_like),
                                           ('mean', lambda a: a.mean((1, 2), True).expand_as(a)),
                                           ('low', lambda a: a.amin((1, 2), True).expand_as(a))])
def test_every_way_of_taking_a_channel_away(net, x, layer, absent, value):
    want = by_loop(net, x, layer, 2, value)
    check_tensor(without_each(Question(net, x, 2, bs=3), layer, absent)[2], want, atol=1e-5)

@pytest.mark.parametrize('layer', ['8', '4', '2'])
def test_captum_feature_ablation(net, x, layer):
    A, y, without = without_each(Question(net, x, 1), layer)
    mask = torch.arange(A.shape[1])[None, :, None, None].expand_as(A[:1])
    want = LayerFeatureAblation(net, net.get_submodule(layer)).attribute(x, target=1, layer_mask=mask)
    check_tensor((y[..., None] - without), want[..., 0, 0].detach(), atol=1e-5)

def test_pytorch_grad_cam_ablation(net, x):
    "Its weights are the falls over the score; the same behind a ReLU, where no score is near 0."
    _, y, without = without_each(Question(net, x, 1), '5')
    with PgcAblation(net, [net[5]]) as cam:
        cam(x, [ClassifierOutputTarget(1)] * 2)
        A = cam.activations_and_grads.activations[0]
        theirs = cam.get_cam_weights(x, net[5], [ClassifierOutputTarget(1)] * 2, A.numpy(), None)
    check_tensor(torch.tensor(theirs), (y[:, None] - without) / y[:, None], rtol=1e-3, atol=1e-4)
    check_tensor(ablation_cam(net, x, '5', 1, variant='paper'),
                 torch.einsum('nc,nchw->nhw', (y[:, None] - without) / y[:, None], A).relu(), atol=1e-4)

def test_a_closed_form_needs_one_pass_and_a_tail_few(net, x):
    def runs(layer):
        seen, body = [], []
        handles = [net.register_forward_hook(lambda m, a, o: seen.append(len(o))),
                   net[0].register_forward_hook(lambda m, a, o: body.append(len(o)))]
        ablation_cam(net, x, layer, 1)
        for h in handles: h.remove()
        return sum(body)
    assert runs('8') == 2           # two pictures, once each
    assert runs('5') == 4           # once for the gradient-free look, once for each tail

def test_a_dead_channel_is_not_asked_about(net, x):
    with torch.no_grad(): net[4].weight[3], net[4].bias[3] = 0, -1
    _, y, without = without_each(Question(net, x, 1), '5')
    check_tensor(without[:, 3], y)

# ---- what follows a layer

NETS = [('resnet18', 'layer3'), ('resnet18', 'layer3.0.bn1'), ('resnet18', 'layer4.0.conv1'), ('vgg11', 'features.5'),
        ('densenet121', 'features.denseblock2.denselayer3.conv2'), ('googlenet', 'inception4b.branch3'),
        ('mobilenet_v2', 'features.10'), ('shufflenet_v2_x1_0', 'stage3'), ('efficientnet_b0', 'features.4'),
        ('convnext_tiny', 'features.5'), ('swin_t', 'features.3')]

@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name, layer', NETS, ids=[f'{n}-{l}' for n, l in NETS])
def test_the_tail_is_the_network(name, layer):
    torch.manual_seed(0)
    net, x = get_model(name, weights=None).eval(), torch.randn(1, 3, 64, 64)
    tail = Tail(net, x, layer)
    a = torch.cat([tail.acts, tail.acts * .5, tail.acts.flip(0) * 2])
    assert tail.short and not any(m._forward_hooks for m in net.modules())
    check_tensor(tail(a.clone()), tail.whole(a.clone()), atol=1e-4)
    check_tensor(tail(tail.acts.clone()), scores(net, x), atol=1e-5)

class Odd(nn.Module):
    "Reads a weight of a module that had ended, keeps modules in a list, works in place on what it had before."
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.head, self.twice = nn.Linear(3, 2), [self.c]
    def forward(self, x):
        a = self.a(x)
        b = self.b(a)
        a.mul_(.5)
        b = self.twice[0](b) * self.a.weight.mean() + a
        return self.head(b.mean((2, 3)))

def test_where_the_copy_is_another_network_the_whole_one_runs():
    net, x = seeded(Odd()), torch.randn(1, 3, 8, 8)
    tail = Tail(net, x, 'b')
    assert not tail.short
    a = torch.randn(3, 3, 8, 8)
    want = torch.cat([net.head((net.c(r[None]) * net.a.weight.mean() + .5 * net.a(x)).mean((2, 3))) for r in a])
    check_tensor(tail(a.clone()), want.detach(), atol=1e-4)
    check_tensor(without_each(Question(net, x, 1), 'b')[2], by_loop(net, x, 'b', 1, torch.zeros_like), atol=1e-4)

class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch, self.one, self.two, self.head = nn.Conv2d(3, 6, 4, 4), nn.Linear(6, 6), nn.Linear(6,
                                                                                                      6), nn.Linear(6,
                                                                                                                    3)
    def forward(self, x):
        t = self.patch(x).flatten(2).transpose(1, 2)
        return self.head((t + self.two(self.one(t).tanh())).mean(1))

def test_channels_of_tokens():
    net, x = seeded(Tokens()), torch.randn(2, 3, 16, 20)
    want = []
    for c in range(6):
        def hook(m, a, o, c=c):
            o = o.clone()
            o[..., c] = 0
            return o
        handle = net.one.register_forward_hook(hook)
        want.append(scores(net, x)[:, 1])
        handle.remove()
    A, y, without = without_each(Question(net, x, 1), 'one')
    assert A.shape == (2, 6, 4, 5)
    check_tensor(without, torch.stack(want, 1), atol=1e-5)

# ---- Score-CAM

def masks_of(A, size): # upsample, then stretch
    out = []
    for a in A:
        m = F.interpolate(a[None, None], size, mode='bilinear')[0, 0]
        out.append((m - m.min()) / (m.max() - m.min()) if m.max() > m.min() else torch.zeros_like(m))
    return torch.stack(out)

def naive_score_cam(net, x, layer, k, variant):
    "One picture, one channel, one pass at a time."
    maps = []
    for one in x:
        A = capture(net, one[None], layer, k).acts[0]
        p = scores if variant == 'logits' else softmax_of
        s = torch.tensor([p(net, (m * one)[None])[0, k] for m in masks_of(A, one.shape[1:])])
        w = s if variant == 'code' else s.exp() / s.exp().sum()
        maps.append(sum(wk * a for wk, a in zip(w.tolist(), A)).clamp(min=0))
    return torch.stack(maps)

@pytest.mark.parametrize('variant', SCORE_CAM)
@pytest.mark.parametrize('layer', ['8', '5', '4'])
def test_score_cam_is_what_the_paper_does(net, x, variant, layer):
    check_tensor(score_cam(net, x, layer, 1, variant), naive_score_cam(net, x, layer, 1, variant), atol=1e-4)

def test_is_cam_is_what_the_paper_does(net, x):
    A = capture(net, x, '8', 1).acts
    def alone(i, a, t): return scores(net, (masks_of(a[None], x.shape[2:])[0] * t * x[i])[None])[0, 1]
    s = torch.tensor([[sum(alone(i, a, t) for t in (1/3, 2/3, 1)) / 3 for a in A[i]] for i in range(2)])
    check_tensor(is_cam(net, x, '8', 1, steps=3), torch.einsum('nc,nchw->nhw', s.softmax(1), A).relu(), atol=1e-4)

def test_torch_cam_is_cam_lights_masks_beyond_full(net, x):
    "torch-cam 0.5 adds the steps up: its masks are lit by up to two and a half."
    with ISCAM(net, target_layer='8', batch_size=3, num_samples=4) as cam:
        theirs = cam([1, 1], net(x), normalized=False)[0]
    A = capture(net, x, '8', 1).acts
    q = Question(net, x, 1).look()
    def lit(t): return lambda a, size: upsample(stretched(a), size) * t
    def drawn(*steps):
        s = sum(q.under_channels(A, lit(t)) for t in steps) / len(steps)
        return torch.einsum('nc,nchw->nhw', s.softmax(-1), A).relu()
    check_tensor(drawn(.25, .75, 1.5, 2.5), theirs, rtol=1e-3, atol=1e-4)
    assert (drawn(.25, .5, .75, 1.) - theirs).abs().max() > .005 * theirs.max()

def weights(net, x, layer, k, masks):
    q = Question(net, x, k)
    return q.under_channels(q.at(layer), masks).softmax(-1)

def stretched(m):
    low, high = m.amin((1, 2), True), m.amax((1, 2), True)
    return (m - low) / (high - low + 1e-8)

def test_pytorch_grad_cam_score_cam(net, x):
    "With its own way of enlarging (corners aligned) the weights are the same; with ours the map is close."
    with PgcScoreCAM(net, [net[8]]) as cam:
        cam(x, [ClassifierOutputTarget(1)] * 2)
        A = cam.activations_and_grads.activations[0]
        theirs = cam.get_cam_weights(x, net[8], [ClassifierOutputTarget(1)] * 2, A.numpy(), None)
    def aligned(a, size): return stretched(F.interpolate(a[:, None], size, mode='bilinear', align_corners=True)[:, 0])
    check_tensor(weights(net, x, '8', 1, aligned), torch.as_tensor(theirs).float(), rtol=1e-3, atol=1e-4)
    raw = torch.einsum('nc,nchw->nhw', torch.as_tensor(theirs).float(), A.float()).relu()
    ours = score_cam(net, x, '8', 1)
    assert ((ours - raw).abs().max() / raw.max()).item() < .2

def test_torch_cam_score_cam(net, x):
    "It stretches first and enlarges then; with that, its raw map is ours."
    with TorchCamScoreCAM(net, target_layer='8', batch_size=3) as cam:
        theirs = cam([1, 1], net(x), normalized=False)[0]
    def first(a, size): return upsample(stretched(a), size)
    A = capture(net, x, '8', 1).acts
    check_tensor(torch.einsum('nc,nchw->nhw', weights(net, x, '8', 1, first), A).relu(), theirs, rtol=1e-3, atol=1e-4)

def test_one_set_of_passes_for_every_class(net, x):
    every = score_cam(net, x, '8', lambda out: out.T)
    assert every.shape == (4, 2, 6, 5)
    for k in range(4): check_tensor(every[k], score_cam(net, x, '8', k), atol=1e-5)
    for fn in (occlusion, partial(ablation_cam, layer='5'), partial(rise, n=20, of='score')):
        check_tensor(fn(net, x, target=lambda out: out.T)[3], fn(net, x, target=3), atol=1e-4)

def test_equal_and_constant_channels_share_a_pass(net, x):
    A = torch.randn(1, 4, 3, 3)
    A[:, 1], A[:, 2], A[:, 3] = A[:, 0], 2., -1.
    seen = []
    q = Question(net, x[:1], 1).look()
    handle = net.register_forward_hook(lambda m, a, o: seen.append(len(o)))
    s = q.under_channels(A)
    handle.remove()
    assert sum(seen) == 2 and s[0, 0] == s[0, 1] and s[0, 2] == s[0, 3]
    check_tensor(s[0, 2], scores(net, torch.zeros(1, 3, 24, 20))[0, 1])

def test_with_probabilities_no_channel_weighs_more_than_e_times_another(net, x):
    q = Question(net, x, 1, of='probability')
    w = q.under_channels(q.at('8')).softmax(-1)
    assert (w.amax(1) / w.amin(1) <= np.e).all()

# ---- RISE

def every_mask(places):
    "All 512 grids of 3×3, each at every shift."
    grids = torch.cartesian_prod(*[torch.tensor([False, True])] * 9).view(512, 3, 3)
    cell = [-(-d // 3) for d in places]
    shifts = torch.cartesian_prod(*map(torch.arange, cell))
    n = len(shifts)
    return RandomMasks(grids.repeat_interleave(n, 0), shifts.repeat(512, 1), places, torch.zeros(1))

def drawn_mask(bits, shift, places):
    "As the authors draw it: the grid stretched over one cell more, and cut."
    s = len(bits)
    cell = [-(-d // s) for d in places]
    big = F.interpolate(bits.float()[None, None], [(s + 1) * c for c in cell], mode='bilinear')[0, 0]
    return big[shift[0]:shift[0] + places[0], shift[1]:shift[1] + places[1]]

def test_masks_are_the_authors_masks():
    masks = RandomMasks.drawn(20, 7, .3, (30, 41), torch.zeros(1), seed=3)
    want = torch.stack([drawn_mask(b, s, (30, 41)) for b, s in zip(masks.bits, masks.shifts)])
    check_tensor(masks.masks(slice(0, 20)), want)
    w = torch.randn(2, 20)
    check_tensor(masks.sum(w, bs=6), torch.einsum('km,mhw->khw', w, want), atol=1e-4)
    check_tensor(masks.points(4), want[:, [0, 10, 19, 29]][:, :, [0, 13, 27, 40]], atol=1e-5)
    assert len(masks[5:9]) == 4 and torch.equal(masks[5:9].masks(slice(0, 4)), masks.masks(slice(5, 9)))

def test_pairs_are_opposites():
    masks = RandomMasks.drawn(9, 4, .5, (16, 16), torch.zeros(1), antithetic=True)
    m = masks.masks(slice(0, 9))
    check_tensor(m[0:8:2] + m[1:8:2], torch.ones(4, 16, 16))

def test_against_all_512_masks(net, x):
    "The expectation over all masks is known on a grid of 3×3; the estimate comes near it, at its own standard error."
    one, places = x[:1, :, :6, :6], (6, 6)
    small = seeded(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                 nn.Linear(4, 3)))
    masks = every_mask(places)
    f = Question(small, one, 1, of='probability', bs=256).look().under(0, len(masks), masks.masks)
    M = masks.masks(slice(0, len(masks))).double()
    exact = torch.einsum('m,mhw->hw', f.double(), M) / (len(f) * .5)
    check_tensor(plain_map(f, masks).double(), exact, atol=1e-4)
    check_tensor(fitted_map(f, masks, k=3).double(), exact, atol=2e-3)
    check_tensor(rise_map(f, masks).double(), exact, atol=1e-4)
    def off(n, how): return (rise(small, one, target=1, n=n, cells=3, estimate=how, bs=256)[0] - exact).abs().max()
    assert off(4000, 'centred') < .004 and off(400, 'fitted') < off(400, 'centred') < off(400, 'plain')
    drawn = RandomMasks.drawn(4000, 3, .5, places, one, antithetic=True)
    g = Question(small, one, 1, of='probability', bs=256).look().under(0, 4000, drawn.masks)
    z = (rise_map(g, drawn) - exact)[[0, 5]][:, [0, 5]] / rise_error(g, drawn, k=2)
    assert z.abs().max() < 4

def test_the_covariance_of_masks_is_exact():
    masks = every_mask((6, 5))
    w, M = torch.randn(16), masks.masks(slice(0, len(masks))).double()
    line = masks.points(4).flatten(1).double() @ w.double()
    want = torch.einsum('m,mhw->hw', line - line.mean(), M - .5) / len(masks)
    check_tensor(masks.covariance(w, 4, .5).double(), want, atol=1e-5)

def test_a_line_needs_no_dice():
    "Answers that are a line in the mask: the fitted map is nearly exact with few masks."
    masks, w = RandomMasks.drawn(400, 3, .5, (6, 6), torch.zeros(1), seed=1), torch.randn(16)
    f = masks.points(4).flatten(1) @ w
    exact = masks.covariance(w, 4, .5) / .5
    def off(make): return (make(f, masks) - f.mean() - exact).abs().max()
    assert off(partial(fitted_map, k=4, ridge=1e-4)) < .1 * off(rise_map)

def test_a_constant_score_has_a_flat_map(x):
    class Constant(nn.Module):
        def forward(self, x): return x.flatten(1)[:, :2] * 0 + torch.tensor([1., 2.])
    m = rise(Constant(), x, target=1, n=30, of='score')
    check_tensor(m, torch.full_like(m, 2.), atol=1e-5)

def test_the_same_seed_draws_the_same_map(net, x):
    a, b, c = (rise(net, x, target=1, n=30, seed=s) for s in (4, 4, 5))
    assert torch.equal(a, b) and not torch.equal(a, c)
    check_tensor(rise(net, x[1:], target=1, n=30, seed=4), a[1:], atol=1e-6)   # whatever else is in the batch

def test_it_stops_when_the_interval_is_narrow(net, x):
    def passes(**how):
        seen = []
        handle = net.register_forward_hook(lambda m, a, o: seen.append(len(o)))
        rise(net, x[:1], target=1, n=512, of='score', **how)
        handle.remove()
        return sum(seen) - 1
    assert passes() == 512 and passes(tolerance=1e-6) == 512 and passes(tolerance=1e6) == 64
    assert [passes(tolerance=t) for t in (.1, .3, 3)] == sorted([passes(tolerance=t) for t in (.1, .3, 3)],
                                                                reverse=True)

# ---- SIDU

def test_sidu_by_hand():
    P, P0 = torch.tensor([[[1., 0.], [1., 0.], [0., 1.]]]), torch.tensor([[1., 0.]])
    d = 2**.5
    check_tensor(sidu_weights(P, P0), torch.tensor([[d, d, 2 * d * float(np.exp(-d / .125))]]), atol=1e-6)
    check_tensor(sidu_weights(P[:, :1].expand(-1, 3, -1), P0), torch.ones(1, 3))

def naive_sidu(net, x, layer, threshold):
    maps = []
    for one in x:
        A = capture(net, one[None], layer, 0).acts[0]
        B = [(a > threshold).float() for a in A]
        M = [F.interpolate(b[None, None], one.shape[1:], mode='bilinear')[0, 0] for b in B]
        P0, P = softmax_of(net, one[None])[0], [softmax_of(net, (m * one)[None])[0] for m in M]
        w = [np.exp(-(P0 - p).norm().item() / (2 * .25**2)) * sum((p - r).norm().item() for r in P) for p in P]
        maps.append(sum(wk * m for wk, m in zip(w, M)))
    return torch.stack(maps)

@pytest.mark.parametrize('layer, threshold', [('8', .5), ('5', .1)])
def test_sidu_is_what_the_paper_does(net, x, layer, threshold):
    m = upsample(sidu(net, x, layer, threshold=threshold), x.shape[2:])
    check_tensor(m, naive_sidu(net, x, layer, threshold), rtol=1e-3, atol=1e-5)

def test_sidu_as_its_code_has_it(net, x):
    "For one class, by a squared distance, the uniqueness from 0 to 1."
    one, k = x[:1], 2
    B = (capture(net, one, '8', 0).acts[0] > .1).float()
    M = F.interpolate(B[:, None], one.shape[2:], mode='bilinear')[:, 0]
    P0, P = softmax_of(net, one)[0], torch.stack([softmax_of(net, (m * one[0])[None])[0] for m in M])
    unique = torch.tensor([sum((p - r).norm() for r in P) for p in P])
    w = torch.exp(-(P0[k] - P[:, k])**2 / (2 * .25**2)) * (unique - unique.min()) / (unique.max() - unique.min())
    got = sidu(net, one, '8', k, variant='code')
    check_tensor(got[0], torch.einsum('c,chw->hw', w.float(), B), rtol=1e-3, atol=1e-5)
    assert not torch.equal(got, sidu(net, one, '8', 1, variant='code'))
    with pytest.raises(CamError, match='asks for a class'): sidu(net, one, '8', lambda out: out[:, 0], variant='code')
    with pytest.raises(CamError, match='no variant'): sidu(net, one, '8', variant='mine')

def test_sidu_knows_no_class(net, x): assert torch.equal(sidu(net, x, target=0), sidu(net, x, target=1))

# ---- SISE

def test_otsu_by_hand_and_beside_scikit_image():
    assert .2 <= otsu(torch.tensor([.1, .2, .8, .9])) < .8
    assert .25 <= otsu(torch.tensor([0., 0., 1.])) <= 1 or otsu(torch.tensor([0., 0., 1.])) == 1 / 256
    for seed in range(5):
        v = torch.rand(40, 30, generator=torch.Generator().manual_seed(seed)) ** (seed + 1)
        v[0, 0], v[0, 1] = 0, 1
        assert abs(otsu(v) - threshold_otsu(v.numpy(), nbins=256)) < 1.01 / 256

def naive_otsu(v):
    "Every threshold between two bins is tried."
    v, best, at = (v.double().flatten() * 256).floor().clamp(max=255), -1, 0
    for t in range(256):
        low, high = v[v <= t], v[v > t]
        if not len(low) or not len(high): continue
        score = len(low) * len(high) * (high.mean() - low.mean())**2
        if score > best * (1 + 1e-12): best, at = score, t
    return (at + 1) / 256

def naive_sise(net, x, layers, k, ada):
    maps = []
    for one in x:
        fused = None
        for layer in layers:
            A, g = (t[0] for t in capture(net, one[None], layer, lambda out: out.softmax(1)[:, k])[1:])
            mean = g.mean((1, 2))
            if ada:
                rel = mean / mean.max()
                pos = rel[rel > 0]
                t = 0 if len(set(pos.tolist())) == 1 else naive_otsu(pos)
                keep = [c for c in range(len(A)) if rel[c] > t]
            else: keep = [c for c in range(len(A)) if mean[c] > 0]
            if not keep: continue
            v = torch.zeros(one.shape[1:], dtype=torch.float64)
            for m in masks_of(A[keep], one.shape[1:]).double():
                if m.sum() > 0: v += softmax_of(net, (m.float() * one)[None])[0, k] * m / m.sum()
            v = (v - v.min()) / (v.max() - v.min())
            fused = v if fused is None else (fused + v) * (v > naive_otsu(v))
        maps.append(fused)
    return torch.stack(maps).float()

@pytest.mark.parametrize('ada', [False, True])
def test_sise_is_what_the_papers_do(net, x, ada):
    layers = stage_ends(net, x)
    assert layers == ['2', '5', '8']
    got, want = (ada_sise if ada else sise)(net, x, target=1), naive_sise(net, x, layers, 1, ada)
    assert got.shape == want.shape == (2, 24, 20) and want.max() > .5
    assert ((got - want).abs() > 1e-3).float().mean() < .01   # a pixel on a threshold may fall on either side

def test_the_map_lies_inside_the_last_gate(net, x):
    layers = stage_ends(net, x)
    last = sise(net, x, layers[-1:], 1)
    for m, v in zip(sise(net, x, target=1), last): assert not m[v <= otsu(v)].any()

def test_one_layer_is_its_own_map(net, x):
    m = sise(net, x, ['8'], 1)
    assert m.amin() == 0 and m.amax() == 1

def test_which_channels_are_kept():
    g = torch.tensor([-1., 0., .1, .2, .9, 1.])
    assert by_share(g).tolist() == [False, False, True, True, True, True]
    assert by_share(g, .5).tolist() == by_otsu(g).tolist() == [False, False, False, False, True, True]
    assert not by_share(-g.abs()).any() and not by_otsu(-g.abs()).any()
    assert by_otsu(torch.tensor([.5, -1, .5])).tolist() == [True, False, True]
    torch.manual_seed(0)
    for _ in range(20):
        g = torch.randn(12)
        assert not (by_otsu(g) & ~by_share(g)).any()

def test_fusing_by_hand():
    a, b = torch.tensor([[.2, .4], [.6, 1.]]), torch.tensor([[0., 0.], [1., .9]])
    check_tensor(fuse([a, b]), torch.tensor([[0., 0.], [1.6, 1.9]]))
    check_tensor(fuse([a]), a)

def test_the_soft_gate_of_the_authors():
    v = torch.tensor([0.] * 5 + [.4] * 5 + [.6] * 5 + [1.] * 5)
    check_tensor(soft(v), torch.sigmoid(100 * (v - otsu(v))))
    rare = torch.linspace(.4, .6, 50)   # none lies above 1.5 times the threshold
    check_tensor(soft(rare), torch.sigmoid(100 * (rare - 1.5 * otsu(rare))))

def test_mass_is_the_area_before_stretching():
    A = torch.randn(5, 3, 4)
    m = upsample(A, (12, 9))
    check_tensor(mask_mass(A, (12, 9)), (m - m.amin((1, 2), True)).sum((1, 2)), atol=1e-4)

# ---- Group-CAM

def test_one_group_is_grad_cam_up_to_scale(net, x):
    for k in range(4):
        cam, m = grad_cam(*capture(net, x, '8', k)[1:]), group_cam(net, x, '8', k, groups=1)
        for a, b in zip(cam, m):
            if b.max() > 0: check_tensor(b / b.max(), a / a.max(), atol=1e-4)

# ---- all of them

@pytest.mark.parametrize('fn', ALL, ids=NAMES)
def test_the_batch_size_changes_nothing(fn, net, x):
    check_tensor(fn(net, x, target=1, bs=3), fn(net, x, target=1, bs=64), atol=1e-5)

@pytest.mark.parametrize('fn', ALL, ids=NAMES)
def test_pictures_do_not_mix(fn, net, x):
    check_tensor(fn(net, x, target=[1, 3])[1:], fn(net, x[1:], target=3), atol=1e-5)

@pytest.mark.parametrize('fn', ALL, ids=NAMES)
def test_fast_changes_nothing_but_the_time(fn, net, x):
    a, b = fn(net, x, target=1, fast=True), fn(net, x, target=1)
    assert ((a - b).abs() > 1e-4 * b.abs().max()).float().mean() < (.01 if fn in (sise, ada_sise) else 1e-9)

@pytest.mark.parametrize('fn', ALL, ids=NAMES)
def test_no_more_than_a_few_pictures_at_once(fn, net, x):
    "Masks are made for one batch at a time: memory does not grow with channels or masks."
    seen = []
    handle = net.register_forward_hook(lambda m, a, o: seen.append(len(o)))
    fn(net, x, target=1, bs=4)
    handle.remove()
    assert max(seen) <= 4

class Interrupted(KeyboardInterrupt): pass

def state(net, x):
    return ([(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()],
            [(p.requires_grad, p.grad is None, p.sum().item(), p.data_ptr()) for p in net.parameters()],
            [b.sum().item() for b in net.buffers()], x.sum().item(), x.requires_grad, torch.is_grad_enabled(),
            torch.get_rng_state().sum().item())

@pytest.mark.parametrize('fast', [False, True])
@pytest.mark.parametrize('fn', ALL, ids=NAMES)
def test_nothing_is_left_behind(fn, fast, net, x):
    net[2].train()
    before = state(net, x)
    fn(net, x, target=1, fast=fast)
    assert state(net, x) == before
    count = []
    def stop(m, args):
        count.append(1)
        if len(count) == (2 if fn is not ablation_cam else 1): raise Interrupted
    handle = net.register_forward_pre_hook(stop)
    with pytest.raises(Interrupted): fn(net, x, target=1, bs=2, fast=fast)
    handle.remove()
    assert state(net, x) == before

@pytest.mark.parametrize('fn', ALL, ids=NAMES)
def test_bad_input(fn, net, x):
    for args, why in (((x, None, 9), 'out of range'), ((x, None, [1]), '2 images but 1 target'),
                      ((x[0], None, 1), r'wants images'),
                      ((x.long(), None, 1), 'torch.int64'), ((x * float('nan'), None, 1), 'nan')):
        with pytest.raises(CamError, match=why): fn(net, args[0], args[1], target=args[2])
    with pytest.raises(CamError, match="bs is 0"): fn(net, x, target=1, bs=0)
    with pytest.raises(CamError, match="no ground 'white'"): fn(net, x, target=1, ground='white')
    with pytest.raises(CamError, match="black looks"): fn(net, x, target=1, ground='black')

def test_more_bad_input(net, x):
    with pytest.raises(CamError, match='no layer'): score_cam(net, x, '99', 1)
    with pytest.raises(CamError, match="no variant 'v2'"): score_cam(net, x, '8', 1, variant='v2')
    with pytest.raises(CamError, match="no variant 'v2'"): ablation_cam(net, x, '8', 1, variant='v2')
    with pytest.raises(CamError, match="no absent 'gone'"): ablation_cam(net, x, '8', 1, absent='gone')
    with pytest.raises(CamError, match='windows of'): occlusion(net, x, target=1, size=40)
    with pytest.raises(CamError, match='windows of'): occlusion(net, x, target=1, size=4, stride=5)
    with pytest.raises(CamError, match='2 layers were given'): score_cam(net, x, ['5', '8'], 1)
    with pytest.raises(CamError, match="several scores"): sise(net, x, target=lambda out: out.T)
    for how, why in ((dict(n=3), '4 masks or more'), (dict(n=2.5), 'n is 2.5'), (dict(cells=0), 'cells is 0'),
                     (dict(p=1.), 'share of ones'), (dict(p=.3, pairs=True), 'Pairs need'),
                     (dict(estimate='best'), 'no estimate')):
        with pytest.raises(CamError, match=why): rise(net, x, target=1, **how)
    with pytest.raises(CamError, match="no gate"): sise(net, x, target=1, gate='open')
    with pytest.raises(CamError, match="does not fit"): occlusion(net, x, target=1, ground=torch.zeros(7))

# ---- the fast copy

@pytest.mark.parametrize('layer', ['layer2', 'layer3.0.conv1', 'layer3.0.bn1'])
@pytest.mark.parametrize('of', ['score', 'probability'])
def test_what_follows_a_layer_runs_in_the_fast_copy(layer, of):
    "What is left out stays the layer's own output, also where the copy would fold it."
    torch.manual_seed(0)
    net, x = get_model('resnet18', weights=None).eval(), torch.randn(2, 3, 64, 64)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d): m.running_mean.normal_(0, .1), m.running_var.uniform_(.5, 2)
    (A, y, a), (_, _, b) = (without_each(Question(net, x, 3, of, fast=quick), layer) for quick in (True, False))
    check_tensor(a - y[:, None], b - y[:, None], rtol=1e-3, atol=1e-3 * (b - y[:, None]).abs().max().item())
    check_tensor(A, Question(net, x, 3).at(layer))

def test_outputs_are_compared_by_their_own_size():
    "Scores of 80 differ by rounding where they come close to 0; scores of a millionth that are twice as large differ."
    assert close(torch.tensor([80., 1e-4]), torch.tensor([80., 2e-4]), 1e-4)
    assert not close(torch.tensor([1e-6, 0.]), torch.tensor([2e-6, 0.]), 1e-4)
    assert close(torch.zeros(2), torch.zeros(2), 1e-4) and not close(torch.ones(2), torch.full((2,), torch.nan), 1e-4)
    assert not close(torch.ones(2), torch.ones(3), 1e-4)

def test_how_many_go_through_together():
    "As many as a processor's cache holds; the more, the smaller they are; at least one; texts 64."
    card = torch.empty(1, 3, 224, 224, device='meta')
    assert [at_once(torch.empty(1, 3, n, n)) for n in (2000, 224, 112)] == [1, 8, 32]
    assert at_once(card) == 128 and at_once(torch.empty(5, 100)) == 64

@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', ['resnet18', 'densenet121', 'mobilenet_v2', 'googlenet', 'vgg11', 'convnext_tiny',
                                  'swin_t'])
def test_the_fast_copy_gives_the_same(name):
    torch.manual_seed(0)
    net, x = get_model(name, weights=None).eval(), torch.randn(2, 3, 64, 64)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d): m.running_mean.normal_(0, .1), m.running_var.uniform_(.5, 2)
    quick = fast(net, x)
    assert quick is not net
    check_tensor(scores(quick, x), scores(net, x), rtol=1e-3, atol=1e-4 * scores(net, x).abs().max().item())

def test_a_norm_that_somebody_watches_stays(net, x):
    seen = []
    net[1].register_forward_hook(lambda m, a, o: seen.append(1))
    quick = fast(net, x)
    seen.clear()
    scores(quick, x)
    assert seen and quick[1] is net[1] and quick[0] is not net[0]

def test_its_hooks_are_the_networks(net, x):
    seen, quick = [], fast(net, x)
    net.register_forward_hook(lambda m, a, o: seen.append(1))
    scores(quick, x)
    assert seen == [1] and isinstance(quick[1], nn.Identity)

# ---- the lesson's figure

def test_what_a_map_costs_is_drawn():
    "Names at the points that are named or on the front, one below where another stands just above it."
    import matplotlib.pyplot as plt, pandas as pd
    table = pd.DataFrame({'share': [.9, .88, .7, .95], 'from': [.8, .8, .6, .9], 'to': [.95, .9, .8, .99],
                          'seconds': [.01, .011, .1, 1.]}, ['a', 'b', 'c', 'd'])
    plot_costs(table, 'share', ['a', 'd'], named=['a', 'b'])
    ax = plt.gca()
    below = {t.get_text(): t.xyann[1] < 0 for t in ax.texts}
    assert below == {'a': False, 'b': True, 'd': False} and ax.get_xscale() == 'log'
    plt.close('all')

def test_what_a_call_costs_a_picture(net, x):
    "Pictures in place of batches are counted, in a fast copy too; no hook is left, after an error neither."
    found, cost = cost_of(lambda: [net(x), net(x[:1])], net, n=2)
    assert [len(f) for f in found] == [2, 1] and cost['passes'] == 1.5 and cost['seconds'] > 0
    quick = fast(net, x)
    assert quick is not net and cost_of(lambda: quick(x), net)[1]['passes'] == 2
    with pytest.raises(ZeroDivisionError): cost_of(lambda: net(x) / (1 // 0), net)
    assert not net._forward_hooks
