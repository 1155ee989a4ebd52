"Drawing of maps: hand-worked values, edge cases, refusals."
import io
import numpy as np, pytest, torch
import matplotlib as mpl
mpl.use('Agg')
import matplotlib.pyplot as plt
from PIL import Image
from types import SimpleNamespace
from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.show import (as_images, colorize, normalize, overlay, shaded, show_cam, show_grid, to_jpeg, to_png,
                           upsample)

T = torch.tensor

@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close('all')

# ---- upsample
def test_upsample_by_hand():
    m = T([[[0., 4.], [8., 12.]]])
    check_tensor(upsample(m, 4)[0], T([[0., 1., 3., 4.], [2., 3., 5., 6.], [6., 7., 9., 10.], [8., 9., 11., 12.]]))
    check_tensor(upsample(m, 4, 'nearest')[0], m[0].repeat_interleave(2, 0).repeat_interleave(2, 1))

def test_upsample_same_size_changes_nothing():
    m = torch.randn(3, 8, 8)
    check_tensor(upsample(m, 8), m)

def test_upsample_keeps_axes_dtype_and_rectangles():
    assert upsample(torch.rand(2, 5, 3, 4), (6, 9)).shape == (2, 5, 6, 9)
    assert upsample(torch.rand(3, 4), 8).shape == (8, 8)
    assert upsample(torch.rand(1, 3, 4, dtype=torch.bfloat16), 8).dtype == torch.bfloat16
    assert upsample(torch.rand(1, 3, 4, dtype=torch.float64), 8).dtype == torch.float64

def test_upsample_one_place_is_constant():
    for mode in ('nearest', 'bilinear', 'bicubic'):
        check_tensor(upsample(T([[[7.]]]), 5, mode), torch.full((1, 5, 5), 7.))

def test_nearest_tiles_are_centred_for_any_factor():
    check_tensor(upsample(T([[[0., 1., 2.]]]), (1, 4), 'nearest')[0, 0], T([0., 1., 1., 2.]))

def test_upsample_takes_bytes_and_drops_the_graph():
    m = torch.rand(1, 2, 2, requires_grad=True)
    assert not upsample(m, 4).requires_grad
    assert upsample(torch.ones(1, 2, 2, dtype=torch.bool), 4).dtype == torch.float32

@pytest.mark.parametrize('call, says', [
    (lambda: upsample(torch.rand(1, 2, 2), 0), 'at least 1'),
    (lambda: upsample(torch.rand(1, 2, 2), (4, 4, 4, 4)), r'\(H,W\)'),
    (lambda: upsample(torch.rand(2, 2), (4, 4, 4)), r'shape \(2, 2\)'),
    (lambda: upsample(torch.rand(1, 2, 2), 4.5), r'\(H,W\)'),
    (lambda: upsample(torch.rand(1, 2, 2), ()), r'\(H,W\)'),
    (lambda: upsample(torch.rand(1, 2), (4,), 'bilinear'), "'linear'"),
    (lambda: upsample('map', 4), 'a str is no map'),
    (lambda: upsample(None, 4), 'a NoneType is no map'),
    (lambda: upsample(torch.rand(1, 2, 2), 4, 'bilinaer'), "'bilinear'"),
    (lambda: upsample(torch.rand(4), 4), r'\(4,\)'),
    (lambda: upsample(torch.rand(0, 2, 2), 4), 'not empty'),
    (lambda: upsample(T([[[0., float('nan')]]]), 4), '1 of 2 values are NaN'),
])
def test_upsample_refuses(call, says):
    with pytest.raises(CamError, match=says): call()

def test_upsample_a_signal_by_hand():
    m = T([[0., 4.]])
    check_tensor(upsample(m, (4,)), T([[0., 1., 3., 4.]]))
    check_tensor(upsample(m[0], (4,), 'nearest'), T([0., 0., 4., 4.]))

def test_upsample_a_volume_by_hand():
    "What varies along one axis only is a signal along that axis."
    line = T([0., 4.])
    for axis, shape in enumerate([(2, 1, 1), (1, 2, 1), (1, 1, 2)]):
        big = upsample(line.view(1, 1, *shape).expand(1, 1, 2, 2, 2), (4, 4, 4))
        want = T([0., 1., 3., 4.]).view([4 if i == axis else 1 for i in range(3)]).expand(4, 4, 4)
        check_tensor(big[0, 0], want.contiguous())
    assert upsample(torch.rand(2, 3, 2, 4, 4), (5, 6, 7), 'nearest').shape == (2, 3, 5, 6, 7)

# ---- normalize
def test_normalize_by_hand():
    m = T([[[-2., 0.], [1., 4.]]])
    check_tensor(normalize(m), T([[[0., 0.], [.25, 1.]]]))
    check_tensor(normalize(m, signed=True), T([[[-.5, 0.], [.25, 1.]]]))
    check_tensor(normalize(m, vmax=2), T([[[0., 0.], [.5, 1.]]]))
    check_tensor(normalize(m, signed=True, vmax=2), T([[[-1., 0.], [.5, 1.]]]))

def test_normalize_stretches_an_all_positive_map(): check_tensor(normalize(T([[[2., 3., 6.]]])), T([[[0., .25, 1.]]]))

def test_a_maps_own_largest_value_as_vmax_changes_nothing():
    for m in (T([[[2., 3., 6.]]]), torch.rand(1, 4, 4) + 1, T([[[-2., 0., 4.]]]), torch.full((1, 2, 2), 5.)):
        for signed in (False, True):
            check_tensor(normalize(m, signed, vmax=m.abs().max().item()), normalize(m, signed))

def test_one_scale_over_several_maps():
    m = T([[[2., 3.]], [[4., 8.]], [[9., 9.]]])
    check_tensor(normalize(m, vmin=0, vmax=8), T([[[.25, .375]], [[.5, 1.]], [[1., 1.]]]))
    check_tensor(normalize(m[:1], vmax=1), T([[[1., 1.]]]))   # all of it above the top

def test_normalize_each_map_by_itself():
    m = torch.rand(4, 5, 5) * T([1., 10., 1e-3, 1e4])[:, None, None]
    out = normalize(m)
    check_tensor(out.amax((1, 2)), torch.ones(4))
    check_tensor(out.amin((1, 2)), torch.zeros(4))
    check_tensor(normalize(m[2]), out[2])

@pytest.mark.parametrize('m', [torch.zeros(1, 3, 3), torch.full((1, 3, 3), 5.), -torch.rand(1, 3, 3) - .1, T([[[9.]]])])
def test_normalize_flat_or_all_negative_is_zero(m): check_tensor(normalize(m), torch.zeros_like(m))

def test_normalize_signed_keeps_a_negative_map_negative():
    check_tensor(normalize(T([[[-4., -1.]]]), signed=True), T([[[-1., -.25]]]))
    check_tensor(normalize(torch.zeros(1, 2, 2), signed=True), torch.zeros(1, 2, 2))

def test_normalize_tiny_and_huge():
    check_tensor(normalize(T([[[0., 1e-38, 2e-38]]])), T([[[0., .5, 1.]]]))
    check_tensor(normalize(T([[[0., 1e38, 2e38]]])), T([[[0., .5, 1.]]]))

def test_normalize_half():
    m = T([[[-1., 0., 2.]]]).bfloat16()
    check_tensor(normalize(m), T([[[0., 0., 1.]]]).bfloat16())

def test_normalize_refuses():
    with pytest.raises(CamError, match='above 0'): normalize(torch.rand(1, 2, 2), vmax=0)
    with pytest.raises(CamError, match='above 0'): normalize(torch.rand(1, 2, 2), vmax=float('nan'))
    with pytest.raises(CamError, match='NaN or infinite'): normalize(T([[[1., float('inf')]]]))

# ---- pictures
def test_as_images_accepts_what_people_hold():
    a = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)
    want = torch.tensor(a).movedim(-1, 0)[None] / 255
    for img in (a, Image.fromarray(a), SimpleNamespace(image=a), want, want[0], torch.tensor(a), want.double(), [a]):
        check_tensor(as_images(img), want)
    assert as_images([a, want[0]]).shape == (2, 3, 6, 7)
    assert as_images(Image.fromarray(a).convert('L')).shape == (1, 3, 6, 7)
    assert as_images(Image.fromarray(a).convert('RGBA')).shape == (1, 3, 6, 7)

def test_as_images_three_pixels_wide_is_read_as_channels_first():
    assert as_images(torch.rand(3, 5, 3)).shape == (1, 3, 5, 3)

def test_as_images_does_not_touch_its_input():
    img = torch.rand(1, 3, 4, 4)
    before = img.clone()
    as_images(img).zero_()
    assert torch.equal(img, before)

@pytest.mark.parametrize('img, says', [
    (torch.randn(2, 3, 16, 16) * 2, 'normalised'),
    (torch.full((3, 4, 4), float('nan')), 'nan'),
    (torch.rand(3, 4, 4) * 255, 'not from 0 to 1'),
    (torch.rand(5, 4, 4), r'\(5, 4, 4\)'),
    (torch.rand(4, 4), r'\(4, 4\)'),
    (torch.rand(0, 3, 4, 4), 'expected'),
    ('p.jpg', "Reading a picture: there is no file 'p.jpg'"),
    (None, 'a NoneType is not a picture'),
    (3, 'an int is not a picture'),
    (np.array(['a']), 'is not a picture'),
    ([], 'no picture'),
    ([torch.rand(3, 4, 4), torch.rand(3, 5, 4)], 'different sizes'),
])
def test_as_images_refuses(img, says):
    with pytest.raises(CamError, match=says): as_images(img)

# ---- colours
def test_colorize_ends_of_magma():
    ends = colorize(T([[[0., 1.]]]))[0, :, 0]
    check_tensor(ends[:, 0], T([0.001462, 0.000466, 0.013866]), atol=1e-5)
    check_tensor(ends[:, 1], T([0.987053, 0.991438, 0.749504]), atol=1e-5)

def test_magma_gets_lighter_in_equal_steps():
    grey = (colorize(torch.linspace(0, 1, 256)[None, None])[0, :, 0] * T([.2126, .7152, .0722])[:, None]).sum(0)
    assert (grey.diff() > 0).all()

def test_signed_colours_are_centred_and_blue_to_red():
    low, mid, high = colorize(T([[[-1., 0., 1.]]]), signed=True)[0, :, 0].T
    assert low[2] > low[0] and high[0] > high[2] and mid.min() > .95

def test_colorize_unknown_map():
    with pytest.raises(CamError, match='viridis'): colorize(torch.rand(1, 2, 2), 'virdis')

def test_colour_maps_by_name_and_themselves():
    own, m = mpl.colors.ListedColormap(['black', 'white']), T([[[0., 1.]]])
    check_tensor(colorize(m, own), T([0., 1.]).expand(1, 3, 1, 2).contiguous())
    check_tensor(colorize(m, mpl.colormaps['viridis']), colorize(m, 'viridis'))
    assert overlay(torch.rand(3, 2, 2), torch.rand(2, 2), cmap=own).shape == (1, 3, 2, 2)
    assert show_cam(torch.rand(3, 2, 2), torch.rand(2, 2), cmap=own, colorbar=True) and shaded([[1., 2.]], cmap=own)

# ---- overlay
def test_overlay_by_hand():
    img, m = torch.full((1, 3, 1, 2), .5), T([[[0., 1.]]])
    out = overlay(img, m, alpha=.6, fade=0)
    check_tensor(out[0, :, 0, 0], torch.full((3,), .5))
    check_tensor(out[0, :, 0, 1], .4 * .5 + .6 * T([0.987053, 0.991438, 0.749504]), atol=1e-5)

def test_overlay_fades_to_grey_by_hand():
    img = T([1., 0., 0.])[None, :, None, None]
    check_tensor(overlay(img, torch.zeros(1, 1, 1), fade=1)[0, :, 0, 0], torch.full((3,), .24))
    check_tensor(overlay(img, torch.zeros(1, 1, 1), fade=.5)[0, :, 0, 0], T([.62, .12, .12]))

def test_overlay_negative_places_only_when_signed():
    img, m = torch.full((1, 3, 1, 2), .5), T([[[-1., 1.]]])
    check_tensor(overlay(img, m, fade=0)[0, :, 0, 0], torch.full((3,), .5))
    assert (overlay(img, m, fade=0, signed=True)[0, :, 0, 0] - .5).abs().max() > .1

def test_overlay_counts():
    img, m = torch.rand(2, 3, 8, 8), torch.rand(2, 2, 2)
    for i, n in (img, m), (img[:1], m), (img, m[:1]), (img, m[0]): assert overlay(i, n).shape == (2, 3, 8, 8)
    check_tensor(overlay(img, m)[1:], overlay(img[1:], m[1:]), name='a batch and one by one')
    with pytest.raises(CamError, match='3 maps but 2 pictures'): overlay(img, torch.rand(3, 2, 2))

@pytest.mark.parametrize('m', [torch.zeros(1, 4, 4), -torch.rand(1, 4, 4), torch.full((1, 1, 1), 3.)])
def test_overlay_of_nothing_is_the_picture(m):
    img = torch.rand(1, 3, 16, 16)
    check_tensor(overlay(img, m, fade=0), img)

def test_overlay_range_half_and_gradients():
    out = overlay(torch.rand(1, 3, 16, 16), torch.randn(1, 4, 4, requires_grad=True).bfloat16())
    assert out.dtype == torch.float32 and not out.requires_grad and 0 <= out.min() and out.max() <= 1

@pytest.mark.parametrize('kw, says', [
    (dict(alpha=1.2), 'alpha is 1.2'),
    (dict(fade=-1), 'fade is -1'),
    (dict(alpha=float('nan')), 'alpha is nan'),
])
def test_overlay_refuses(kw, says):
    with pytest.raises(CamError, match=says): overlay(torch.rand(3, 4, 4), torch.rand(2, 2), **kw)

@pytest.mark.parametrize('img', ['p.jpg', None, 3])
def test_overlay_refuses_what_is_no_picture(img):
    says = 'Laying a map over a picture: (.* is not a picture|there is no file)'
    with pytest.raises(CamError, match=says): overlay(img, torch.rand(2, 2))

def test_overlay_refuses_what_is_no_map():
    for m in (None, 'm.png', [[None]]):
        with pytest.raises(CamError, match='Laying a map over a picture: .* is no map'): overlay(torch.rand(3, 4, 4), m)

def test_overlay_refuses_a_stack_of_classes():
    with pytest.raises(CamError, match=r'm\[:, k\]'): overlay(torch.rand(3, 4, 4), torch.rand(1, 5, 2, 2))

# ---- bytes
def test_png_is_exact_and_jpeg_close():
    img = T([0., 1/255, 128/255, 1.]).expand(3, 4, 4)
    png, jpeg = to_png(img), to_jpeg(img, quality=95)
    assert png[:4] == b'\x89PNG' and jpeg[:2] == b'\xff\xd8'
    check_tensor(as_images(Image.open(io.BytesIO(png)))[0], img.contiguous())
    assert (as_images(Image.open(io.BytesIO(jpeg)))[0] - img).abs().max() < .1

def test_bytes_of_one_picture_only():
    with pytest.raises(CamError, match='got 2'): to_png(torch.rand(2, 3, 4, 4))

# ---- figures
def test_show_cam_returns_axes_with_title_and_raw_range():
    ax = show_cam(torch.rand(3, 16, 16), T([[-3., 1.], [2., 6.]]), 'cat', colorbar=True)
    assert ax.get_title() == 'cat' and 'raw -3 to 6' in [t.get_text() for t in ax.texts]
    assert len(ax.figure.axes) == 2

def bar_range(*args, **kw):
    ax = show_cam(*args, colorbar=True, **kw)
    return ax.figure.axes[-1].get_ylim()

def test_colour_bar_shows_raw_values():
    m = T([[-3., 1.], [2., 6.]])
    assert bar_range(None, m) == (0, 6)
    assert bar_range(None, m, signed=True) == (-6, 6)
    assert bar_range(None, m, vmax=20) == (0, 20)
    assert bar_range(None, m + 5) == bar_range(None, m + 5, vmax=11) == (2, 11)
    assert bar_range(None, m + 5, vmin=0, vmax=12) == (0, 12)

def test_colour_bar_belongs_to_the_map_as_drawn():
    "Blending lowers a lone peak: enlarged twice, its best pixels are 6·¾·¾."
    assert bar_range(torch.rand(3, 6, 6), 6 * torch.eye(9)[4].view(3, 3))[1] == pytest.approx(3.375)

@pytest.mark.parametrize('m', [torch.zeros(2, 2), -torch.ones(2, 2), torch.full((1, 1), 4.)])
def test_colour_bar_of_a_flat_map(m):
    low, high = bar_range(torch.rand(3, 8, 8), m)
    assert low < high

def test_show_cam_draws_into_given_axes():
    fig, ax = plt.subplots()
    assert show_cam(torch.rand(3, 8, 8), torch.rand(2, 2), ax=ax) is ax

def test_show_cam_refuses():
    with pytest.raises(CamError, match='got 2'): show_cam(torch.rand(3, 8, 8), torch.rand(2, 2, 2))
    with pytest.raises(CamError, match='NaN'): show_cam(None, torch.full((2, 2), float('nan')))

def test_show_grid_layout_and_titles():
    axs = show_grid(torch.rand(7, 3, 8, 8), titles=range(7), ncols=3)
    assert len(axs) == 7 and len(axs[0].figure.axes) == 9
    assert [a.get_title() for a in axs] == [str(i) for i in range(7)]

def test_show_grid_mixes_sizes(): assert len(show_grid([torch.rand(3, 8, 8), torch.rand(3, 16, 9)])) == 2

def test_show_grid_refuses():
    with pytest.raises(CamError, match='no picture'): show_grid([])
    with pytest.raises(CamError, match='2 pictures but 1 titles'): show_grid(torch.rand(2, 3, 8, 8), ['a'])

# ---- numbers on their colours

def test_shaded_numbers_carry_their_colour_in_each_cell():
    "A style sheet would be dropped from a notebook that is opened and not run."
    import pandas as pd
    html = shaded(pd.DataFrame([[0., 1.], [.5, -0.]], ['a<b', 'c'], ['x', 'y']), '{:.1f}', 'gray', 0, 1).data
    assert html.count('<td') == 4 and 'a&lt;b' in html and '<th>y</th>' in html
    assert '<style' not in html and 'id=' not in html and 'class=' not in html and '-0.0' not in html
    assert 'background-color: #000000; color: #f1f1f1; text-align: right;">0.0<' in html
    assert 'background-color: #ffffff; color: #000000; text-align: right;">1.0<' in html

def test_shaded_numbers_without_names():
    import pandas as pd
    plain = shaded(torch.tensor([[2., 2.]]), '{:.0f}').data
    assert plain.count('<td') == 2 and '<th>' not in plain
    headless = shaded(pd.DataFrame([[1.]], ['a'], ['x']), head=False).data
    assert '<th>a' in headless and '<th>x' not in headless

def test_shaded_is_the_same_each_time():
    m = torch.rand(2, 2)
    assert shaded(m).data == shaded(m).data

@pytest.mark.parametrize('bad', [torch.zeros(3), np.zeros((0, 2)), 1.])
def test_shaded_wants_rows_and_columns(bad):
    with pytest.raises(CamError, match='rows and columns'): shaded(bad)

def test_shaded_wants_numbers_and_a_colour_map():
    with pytest.raises(CamError, match='Shading a table: a list of 1 does not hold numbers'): shaded([['a']])
    with pytest.raises(CamError, match="Did you mean 'magma'"): shaded(torch.zeros(1, 1), cmap='magna')
