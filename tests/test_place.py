"Where a network sees a photograph, and where its map is laid."
import io, random
import numpy as np, pytest, torch
from PIL import Image, ImageOps
from torch import nn
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2 as T

from camtutor.course import check_tensor
from camtutor.engine.place import Place, Places
from camtutor.errors import CamError
from camtutor.explanation import compare, explain, explain_all
from camtutor.networks.transform import attach, picture_transform
from camtutor.show import as_images, overlay

def to_tensor(im): return torch.from_numpy(np.array(im)).movedim(-1, 0) / 255

SQUASH = T.Compose([T.Resize((96, 96)), T.Lambda(to_tensor)])
CUT = ResNet18_Weights.DEFAULT.transforms()

def near(place, box, off=3): assert place is not None and np.abs(np.subtract(place.box, box)).max() <= off, place

@pytest.mark.parametrize('size, box', [((600, 300), (168.75, 18.75, 431.25, 281.25)),
                                       ((300, 600), (18.75, 168.75, 281.25, 431.25)), ((224, 224), (14, 14, 210, 210))])
def test_the_middle_of_torchvisions_transform(size, box):
    place = Places(CUT).of(size)
    near(place, box, 1)
    assert not place.whole and place.middle and place.words == 'its middle'

def test_squeezed_padded_and_a_corner():
    near(Places(SQUASH).of((600, 300)), (0, 0, 600, 300))
    padded = Places(lambda im: to_tensor(ImageOps.pad(im, (200, 200), color=(114,) * 3))).of((600, 300))
    near(padded, (0, -150, 600, 450))
    assert padded.whole and padded.padded
    corner = Places(lambda im: to_tensor(im.crop((0, 0, 100, 60)))).of((600, 300))
    near(corner, (0, 0, 100, 60))
    assert corner.words == 'a part of it' and not corner.middle

@pytest.mark.parametrize('change', [lambda x: x.flip(-1), lambda x: x ** 2, lambda x: (x - x.mean()) / (x.std() + 1e-6),
                                    lambda x: x.rot90(1, (1, 2)), lambda x: torch.rand(3, 8, 8)])
def test_what_cannot_be_known(change): assert Places(lambda im: change(SQUASH(im))).of((600, 300)) is None

def test_a_random_transform_is_not_known_and_its_numbers_are_given_back():
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    want = torch.rand(1), random.random(), np.random.rand()
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    for cut in (T.RandomResizedCrop(64), lambda im: im.crop((random.randrange(9), np.random.randint(9), 200, 200))):
        assert Places(lambda im: SQUASH(cut(im))).of((600, 300)) is None
    assert (torch.rand(1), random.random(), np.random.rand()) == want

# ---- maps

@pytest.fixture
def net():
    "Its only score is how much red there is; so a map marks red."
    net = nn.Sequential(nn.Conv2d(3, 1, 4, 4, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(1, 2, bias=False)).eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([1., -.5, -.5])[:, None, None].expand(1, 3, 4, 4))
        net[4].weight.copy_(torch.tensor([[1.], [-1.]]))
    return attach(net, transform=picture_transform(96, (0, 0, 0), (1, 1, 1)))

@pytest.fixture
def photo():
    "Grey, with a red square at x = 160-180, y = 100-120."
    a = np.full((300, 600, 3), 90, np.uint8)
    a[100:120, 160:180] = 255, 0, 0
    return Image.fromarray(a)

def marked(img):
    "Where a picture (3,H,W) is brightest, where red has been faded away: x and y of the centre."
    y, x = np.nonzero((img[1] > .8 * img[1][:, 155:445].max()).numpy() & (np.arange(img.shape[2]) > 152)
                      & (np.arange(img.shape[2]) < 448))
    return x.mean(), y.mean()

def test_a_map_lies_on_the_original_where_the_network_looked(net, photo, tmp_path):
    e = explain(net, photo, target=0, layer='0')
    near(Place(*e.boxes[0], (600, 300)), (150, 0, 450, 300), 1)
    assert e.overlay.shape == (1, 3, 300, 600) and e.image.shape == (1, 3, 96, 96)
    x, y = marked(e.overlay[0])
    assert abs(x - 170) < 8 and abs(y - 110) < 8
    e.save(tmp_path/'o.png', alone=True)
    saved = to_tensor(Image.open(tmp_path/'o.png').convert('RGB'))
    check_tensor(saved, e.overlay[0], atol=.003)
    pale = as_images(photo)[0, :, 5, 5] * .35 + .65     # not seen
    check_tensor(e.overlay[0, :, 5, 5], pale, atol=.003)

def test_the_figure_says_what_is_seen(net, photo):
    titles = [ax.get_title() for ax in explain(net, photo).figure().axes]
    assert titles[2] == 'its middle,\nas the network sees it'
    assert explain(net, photo.crop((0, 0, 90, 90))).figure().axes[2].get_title() == 'overlay'
    e = explain(net, photo, transform=lambda im: net.transform(im).flip(-1))
    assert e.boxes == [None] and e.overlay.shape == (1, 3, 96, 96)
    assert e.figure().axes[2].get_title() == 'as the network sees it'

def test_of_a_tensor_nothing_is_known(net):
    e = explain(net, torch.rand(2, 3, 32, 64))
    assert e.boxes == [None, None] and e.overlay.shape == (2, 3, 32, 64)

def test_pictures_of_several_sizes(net, photo):
    e = explain(net, [photo, photo.crop((0, 0, 200, 300))])
    assert [o.shape[2:] for o in (e[0].overlay, e[1].overlay)] == [(300, 600), (300, 200)] and len(e.boxes) == 2
    with pytest.raises(CamError, match='different sizes'): e.overlay
    assert e.figure()

def test_a_folder_and_a_comparison_know_it_too(net, photo, tmp_path):
    photo.save(tmp_path/'a.png')
    [e] = explain_all(net, tmp_path, target=0, layer='0', progress=False)
    assert e.overlay.shape == (1, 3, 300, 600)
    c = compare(net, photo, ['grad_cam', 'layer_cam'], '0', 0)
    assert c.cells['layer_cam', '0', 0].overlay.shape == (1, 3, 300, 600) and c.figure(same=True)

def test_overlay_refuses_another_aspect(photo):
    for m in (torch.rand(224, 224), torch.rand(7, 7), torch.rand(1, 14, 14)):
        with pytest.raises(CamError, match=r'other proportions.*box=\(0, 0, 600, 300\)'): overlay(photo, m)
    for m in (torch.rand(7, 14), torch.rand(10, 19), torch.rand(1, 150, 300)): overlay(photo, m)
    assert overlay(photo, torch.rand(7, 7), box=(0, 0, 600, 300)).shape == (1, 3, 300, 600)

def test_overlay_in_a_box_by_hand():
    img, m = torch.zeros(1, 3, 4, 8), torch.ones(1, 2, 2)
    m[0, 0, 0] = 0
    out = overlay(img, m, box=(2, 0, 6, 4), fade=0)
    check_tensor(out[0, :, :, :2], torch.full((3, 4, 2), .65))
    check_tensor(out[0, :, :, 6:], torch.full((3, 4, 2), .65))
    check_tensor(out[0, :, :, 2:6], overlay(img[..., 2:6], m, fade=0)[0])
