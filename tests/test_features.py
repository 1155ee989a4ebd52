"Feature maps, kernels, and switching channels off (chapter 06)."
import numpy as np, pytest, torch
from torch import nn

from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.features import (ablate_channels, accuracy_without, channel_maps, channel_similarity, dead_channels,
                               feature_grid, fuse_channels, kernel_grid, kernel_spectrum, n_directions, part_energy)

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, 2)).eval()

def test_scaling_hides_negative_values_and_survives_silence():
    A = torch.tensor([[[-1., 2.]], [[0., 0.]], [[1., 8.]]])
    check_tensor(channel_maps(A), [[[0, 1]], [[0, 0]], [[.125, 1]]])
    check_tensor(channel_maps(A, 'layer'), [[[0, .25]], [[0, 0]], [[.125, 1]]])

def test_grid_places_channels_left_to_right_then_down():
    A = torch.zeros(3, 1, 1)
    A[1] = 1
    g = feature_grid(A, ncol=2)            # 2 rows, 2 columns of 1x1 tiles in lines 1 pixel wide
    assert g.shape == (3, 5, 5)
    assert g[:, 1, 3].sum() > g[:, 1, 1].sum() and g[:, 3, 1].equal(g[:, 1, 1])

def test_pca_gives_one_colour_to_one_feature():
    A = torch.zeros(1, 5, 4, 4)
    A[:, 0, :2], A[:, 1, 2:, :2], A[:, 2, 2:, 2:] = 3., 2., 1.
    rgb = fuse_channels(A, 'pca')[0]
    assert rgb.shape == (3, 4, 4) and 0 <= rgb.min() and rgb.max() <= 1
    for block in (rgb[:, :2], rgb[:, 2:, :2], rgb[:, 2:, 2:]): assert block.flatten(1).std(1).max() < 1e-5
    assert (rgb[:, 0, 0] - rgb[:, 3, 0]).abs().max() > .3

@pytest.mark.parametrize('seed', range(4))
def test_pca_is_drawn_by_the_rule_of_signs(seed):
    """Singular vectors of the centred places; each is turned so that its entries add up to more than nothing, and
    then stretched between two percentiles."""
    A = torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(seed))
    flat = A.double().movedim(1, -1).reshape(-1, 6)
    flat = flat - flat.mean(0)
    axes = torch.linalg.svd(flat).Vh[:3]
    pc = flat @ (axes * axes.sum(1, keepdim=True).sign()).T
    low, high = pc.quantile(.02, 0), pc.quantile(.98, 0)
    want = ((pc - low) / (high - low)).clamp(0, 1).reshape(2, 5, 7, 3).movedim(-1, 1)
    check_tensor(fuse_channels(A, 'pca'), want.float(), atol=1e-4)

@pytest.mark.parametrize('flip', torch.cartesian_prod(*[torch.tensor([1., -1])] * 3).tolist(), ids=str)
def test_pca_colours_do_not_depend_on_the_sign_that_the_solver_chose(flip, monkeypatch):
    A = torch.randn(1, 5, 6, 6, generator=torch.Generator().manual_seed(0))
    want, eigh = fuse_channels(A, 'pca'), torch.linalg.eigh
    def turned(M):
        values, vectors = eigh(M)
        return torch.return_types.linalg_eigh((values, vectors * torch.tensor([1., 1, *flip])))
    monkeypatch.setattr(torch.linalg, 'eigh', turned)
    check_tensor(fuse_channels(A, 'pca'), want)

def test_kernels_share_one_scale_with_grey_for_zero():
    g = kernel_grid(torch.tensor([[-4.], [0.], [2.]])[..., None, None], ncol=3, zoom=1)
    check_tensor(g[1, 2, [2, 5, 8]], [0., .5, .75])
    check_tensor(kernel_grid(torch.zeros(1, 3, 2, 2), zoom=1)[:, 0, 0], [.5, .5, .5])

def test_spectrum_of_a_delta_is_flat():
    check_tensor(kernel_spectrum(torch.full((1, 1, 1, 1), 2.), 4), torch.full((1, 4, 4), 2.))

def test_similarity_of_opposites_and_of_the_constant():
    A = torch.tensor([[1., 2.], [2., 1.], [5., 5.]]).reshape(1, 3, 1, 2)
    check_tensor(channel_similarity(A), [[1., -1., 0.], [-1., 1., 0.], [0., 0., 0.]])
    assert dead_channels(A - 5).tolist() == [True, True, True]

def test_a_channel_that_hardly_changes_is_not_one_that_never_does():
    A = torch.randn(200, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    A[:, 1], A[:, 3] = .1, .7   # rounding leaves their centred rows a tiny length
    c = channel_similarity(A)
    assert c[1].eq(0).all() and c[3].eq(0).all()
    check_tensor(c.diag(), [1., 0., 1., 0.])

def test_directions_by_hand():
    two = torch.tensor([[1., 2., 3., 0.], [2., 4., 6., 0.], [3., 2., 1., 0.], [5., 5., 5., 5.]]).reshape(1, 4, 2, 2)
    assert n_directions(two, .999) == 2 and n_directions(torch.full((2, 3, 2, 2), 4.)) == 0
    # variances 16, 4, 1 along axes of their own: 76 %, 95.2 % and 100 %
    A = torch.tensor([[4., -4, 0, 0, 0, 0], [0, 0, 2, -2, 0, 0], [0, 0, 0, 0, 1, -1]]).reshape(1, 3, 2, 3)
    assert [n_directions(A, s) for s in (.5, .77, .95, .96, 1.)] == [1, 2, 2, 3, 3]

def test_directions_do_not_depend_on_the_axes():
    gen = torch.Generator().manual_seed(0)
    A = torch.einsum('dc,nchw->ndhw', torch.randn(7, 3, generator=gen), torch.randn(5, 3, 4, 6, generator=gen))
    Q = torch.linalg.qr(torch.randn(7, 7, generator=gen))[0]
    for s in (.5, .9, .9999): assert n_directions(A, s) == n_directions(torch.einsum('dc,nchw->ndhw', Q, A) + 3, s) <= 3

def test_pca_of_more_channels_than_places():
    "A rank far below the number of channels is no reason to fail."
    A = torch.randn(1, 1280, 7, 7, generator=torch.Generator().manual_seed(0)).relu()
    A[:, 100:] = 0
    assert fuse_channels(A, 'pca').isfinite().all()

def test_part_energy_weighs_coarse_cells_by_their_share_of_the_part():
    A = torch.tensor([[[[4., 4.]]], [[[0., 8.]]]])                   # two pictures, one channel, a map 1x2
    mask = torch.zeros(2, 2, 4, dtype=torch.bool)
    mask[0, :, :1] = True                                             # half of the left cell of picture 0
    mask[1, :, 2:] = True                                             # all of the right cell of picture 1
    check_tensor(part_energy(A, mask), [(4*.5 + 8*1) / 16])
    check_tensor(part_energy(-A, mask), [0.])

def test_ablation_equals_zero_weights_behind_the_channel():
    m, x = net(), torch.rand(2, 3, 6, 6)
    with torch.no_grad():
        with ablate_channels(m, '1', [0, 2]): off = m(x)
        m[4].weight[:, [0, 2]] = 0
        check_tensor(off, m(x))

def off(channels):
    "The maps of layer '1' with channels switched off."
    m, x = net(), torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), ablate_channels(m, '1', channels): return m[:2](x)

@pytest.mark.parametrize('several', [3, np.int64(3), torch.tensor(3), np.array(3), [3], (np.int64(3),),
                                     [torch.tensor(3)], torch.tensor([3]), np.array([3]), range(3, 4), {3}], ids=repr)
def test_channels_may_be_given_as_targets_are(several):
    check_tensor(off(several), off(3))
    assert off(3)[:, 3].eq(0).all() and off(3)[:, :3].any() and off([])[:, 3].any()

def test_the_channel_that_sees_a_part_best_can_be_switched_off_as_it_is_found():
    A, mask = torch.rand(2, 4, 3, 3, generator=torch.Generator().manual_seed(0)), torch.ones(2, 9, 9)
    mask[:, :4] = 0
    best = part_energy(A, mask).argmax()
    check_tensor(off(best), off(best.item()))

@pytest.mark.parametrize('channels', [True, 1.5, 'a', '12', None, np.bool_(True), torch.tensor(1.5), [0, True], [0, 1.],
                                      ['a'], [None], torch.ones(4, dtype=torch.bool), np.ones(4),
                                      torch.ones(2, 2, dtype=torch.long)], ids=repr)
def test_what_is_no_channel_is_refused_before_the_network_runs(channels):
    m = net()
    with pytest.raises(CamError, match='Switching channels off: .* is no channel'):
        with ablate_channels(m, '1', channels): pass
    assert not any(mod._forward_hooks for mod in m.modules())

@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
def test_ablation_leaves_nothing_behind(error):
    m = net()
    with pytest.raises(error):
        with ablate_channels(m, '1', 0): raise error
    assert not any(mod._forward_hooks for mod in m.modules())

def test_accuracy_without_counts_each_class():
    tail = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    A = torch.tensor([[3., 1.], [1., 2.], [0., 5.]])[..., None, None]
    check_tensor(accuracy_without(tail, A, torch.tensor([0, 1, 1]), 2), [[0., 1.], [1., 0.]])

@pytest.mark.parametrize('call,says', [
    (lambda: channel_maps(torch.rand(1, 2, 3, 3)), 'A[0]'),
    (lambda: channel_maps(torch.rand(2, 3, 3), 'picture'), "'channel' or 'layer'"),
    (lambda: feature_grid(torch.rand(2, 3, 3), ncol=0), 'at least 1'),
    (lambda: fuse_channels(torch.rand(2, 3, 3)), 'A[None]'),
    (lambda: fuse_channels(torch.rand(1, 4, 3, 3), 'sum'), "'mean', 'max' or 'pca'"),
    (lambda: fuse_channels(torch.rand(1, 2, 3, 3), 'pca'), 'three channels'),
    (lambda: kernel_grid(torch.rand(4, 16, 3, 3)), 'w[:, c:c+1]'),
    (lambda: kernel_spectrum(torch.rand(4, 3, 7, 7), 5), 'at least 7'),
    (lambda: part_energy(torch.rand(4, 2, 3, 3), torch.ones(3, 9, 9)), '(N,H,W)'),
])
def test_bad_input_is_told_what_to_do(call, says):
    with pytest.raises(CamError) as e: call()
    assert says in str(e.value)

@pytest.mark.parametrize('layer,channels,says', [('1', 4, 'channels 0 to 3'), ('1', [0, -1], 'channels 0 to 3'),
                                                 ('3', 0, 'no maps'), ('9', 0, "Choose one of")])
def test_ablation_refuses(layer, channels, says):
    m = net()
    with pytest.raises(CamError) as e:
        with ablate_channels(m, layer, channels): m(torch.rand(1, 3, 6, 6))
    assert says in str(e.value) and not any(mod._forward_hooks for mod in m.modules())
