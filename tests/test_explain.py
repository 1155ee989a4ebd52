"explain: every kind of picture and model, what comes back, what is saved, whole folders."
import sys, subprocess, io, re, warnings
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
import numpy as np, pytest, torch, torchvision
from PIL import Image
from torch import nn
from torchvision.transforms import v2 as T

from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.engine.inputs import batch_of, said_probabilities
from camtutor.explanation import Explanation, explain, explain_all
from camtutor.methods import METHODS
from camtutor.ui.explorer import Explorer, drive
from camtutor.gradcam import capture, grad_cam
from camtutor.scenes import scene
from camtutor.show import upsample

MEAN, STD = torch.tensor([.5, .4, .3])[:, None, None], torch.tensor([.2, .25, .3])[:, None, None]

class ToBatch:
    "Resizes to 24 and normalises; has mean and std, as torchvision's own transforms do."
    mean, std = MEAN.flatten().tolist(), STD.flatten().tolist()
    def __call__(self, p): return (torch.from_numpy(np.array(p.resize((24, 24)))).movedim(-1, 0) / 255 - MEAN) / STD

@pytest.fixture
def net():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    return net.eval()

@pytest.fixture
def named(net):
    net.vocab, net.transform = ['cat', 'dog', 'pig'], ToBatch()
    return net

S = scene(3, 'cat', size=48)
PIL = Image.fromarray(S.image)

# ---- what goes in

@pytest.fixture
def path(tmp_path):
    PIL.save(tmp_path / 'cat.png')
    return tmp_path / 'cat.png'

def same_picture(path):
    return dict(pil=PIL, scene=S, array=S.image, floats=S.image / 255, tensor=torch.from_numpy(S.image).movedim(-1, 0),
                path=path, text=str(path), bytes=path.read_bytes(), file=io.BytesIO(path.read_bytes()),
                normalised=ToBatch()(PIL), batch=ToBatch()(PIL)[None], first=S.image.transpose(2, 0, 1),
                floats_first=S.image.transpose(2, 0, 1) / 255, list=[PIL], rgba=PIL.convert('RGBA'))

@pytest.mark.parametrize('kind', ['pil', 'scene', 'array', 'floats', 'tensor', 'path', 'text', 'bytes', 'file',
                                  'normalised', 'batch', 'first', 'floats_first', 'list', 'rgba'])
def test_one_picture_in_many_forms(named, path, kind):
    want = grad_cam(*capture(named, ToBatch()(PIL)[None], '3')[1:])
    e = explain(named, same_picture(path)[kind])
    check_tensor(e.raw, want)
    check_tensor(e.map, upsample(want, 24))
    check_tensor(e.image[0], torch.from_numpy(np.array(PIL.resize((24, 24)))).movedim(-1, 0) / 255)

def test_a_batch_a_list_and_a_mixture_are_the_same(named):
    t = ToBatch()
    other = scene(4, 'dog', size=48)
    want = explain(named, torch.stack([t(PIL), t(Image.fromarray(other.image))]))
    for images in ([S, other], (PIL, other.image), np.stack([S.image, other.image]),
                   torch.from_numpy(np.stack([S.image, other.image])).movedim(-1, 1)):
        check_tensor(explain(named, images).raw, want.raw)

def test_grey_picture(named): assert explain(named, S.image[..., 0]).raw.shape == (1, 6, 6)

def test_double_precision_arrays_go_to_the_models_dtype(named):
    assert explain(named, S.image / 255, transform=lambda p: ToBatch()(p).double()).raw.dtype == torch.float32
    assert explain(named.double(), PIL).raw.dtype == torch.float64

def test_transform_given_counts_before_the_models_own(named):
    flipped = explain(named, PIL, transform=lambda p: ToBatch()(p).flip(-1))
    check_tensor(flipped.raw, explain(named, ToBatch()(PIL).flip(-1)).raw)

def test_torchvision_weights_transforms_as_they_are():
    net = torchvision.models.resnet18(num_classes=4).eval()
    t = torchvision.models.ResNet18_Weights.DEFAULT.transforms()
    for picture in (PIL, torch.from_numpy(S.image).movedim(-1, 0)):
        e = explain(net, picture, transform=t)
        check_tensor(e.raw, explain(net, t(PIL)).raw, rtol=2e-2, atol=1e-4)
        assert e.layer == 'layer4' and e.map.shape == (1, 224, 224) and e.image.amin() >= 0 and e.image.amax() <= 1
    mid = e.image[0, :, 112, 112]
    check_tensor(mid, t(PIL)[:, 112, 112] * torch.tensor(t.std) + torch.tensor(t.mean), atol=.02)

def test_fastai_learner(named, tmp_path):
    from fastai.vision.all import DataBlock, CategoryBlock, ImageBlock, Learner, Normalize, Resize
    for i, name in enumerate(['cat', 'dog', 'cat', 'dog', 'pig', 'pig']):
        Image.fromarray(scene(i, name, size=40).image).save(tmp_path / f'{name}_{i}.png')
    block = DataBlock((ImageBlock, CategoryBlock), get_y=lambda p: p.name.split('_')[0], item_tfms=Resize(24),
                      batch_tfms=Normalize.from_stats(MEAN.flatten().tolist(), STD.flatten().tolist(), cuda=False))
    dls = block.dataloaders(sorted(tmp_path.iterdir()), bs=2, num_workers=0, device='cpu')
    del named.transform, named.vocab
    learn = Learner(dls, named, loss_func=nn.CrossEntropyLoss())
    files = sorted(tmp_path.iterdir())[:3]
    e = explain(learn, files, target='dog')
    x = learn.dls.test_dl(files, bs=3, num_workers=0).one_batch()[0].as_subclass(torch.Tensor)
    check_tensor(e.raw, explain(named, x, target=1).raw)
    assert type(e.raw) is torch.Tensor and e.vocab == ['cat', 'dog', 'pig'] and e.target.tolist() == [1, 1, 1]
    assert 'dog' in e.label[0]
    check_tensor(e.image, (x * STD + MEAN).clamp(0, 1))
    assert [e.source[0] for e in explain_all(learn, files, progress=False)] == [str(f) for f in files]

# ---- what a network has under the name of a transform or of class names

class Layers(nn.Module):
    "Its layers have the names that transforms and class names have elsewhere."
    def __init__(self):
        super().__init__()
        self.transform, self.vocab = nn.Conv2d(3, 8, 3), nn.Linear(8, 5)
    def forward(self, x): return self.vocab(self.transform(x).relu().mean((2, 3)))

def test_layers_called_transform_and_vocab():
    net = Layers().eval()
    with pytest.raises(CamError, match='is not known. Pass transform='): explain(net, PIL)
    assert explain(net, PIL, transform=ToBatch()).vocab is None
    assert explain(net, torch.randn(1, 3, 9, 9)).layer == 'transform'

class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 5)
    def forward(self, x): return self.fc(self.conv(x).relu().mean((2, 3)))

class Boxes(nn.Module):
    "As torchvision's detectors have it: takes a list, has no weights."
    def forward(self, images): return [i.shape for i in images]

@pytest.mark.parametrize('transform, words', [
    (True, 'is not known. Pass transform='), (Boxes(), 'its own, a Boxes.*Pass one that does as transform='),
    (lambda p: p, 'made an Image.*Pass one that does as transform='),
    (lambda p: ToBatch()(p).byte(), r'uint8 tensor \(3, 24, 24\).*transform=')])
def test_a_transform_of_its_own_that_prepares_no_picture(transform, words):
    net = Plain().eval()
    net.transform = transform
    with pytest.raises(CamError, match=words): explain(net, PIL)
    check_tensor(explain(net, PIL, transform=ToBatch()).out, net(ToBatch()(PIL)[None]).detach())

def test_an_error_in_a_transform_that_is_given_is_the_callers_to_see(net):
    with pytest.raises(ZeroDivisionError): explain(net, PIL, transform=lambda p: 1 / 0)
    for image in (PIL, torch.randn(1, 3, 24, 24)):
        with pytest.raises(CamError, match=r'transform is a ResNet18_Weights.*weights.transforms\(\)'):
            explain(net, image, transform=torchvision.models.ResNet18_Weights.DEFAULT)

@pytest.mark.parametrize('vocab', [5, 'abc', {'a': 0, 'b': None}, {'a', 'b', 'c'}, [['a'], ['b']], [], {}])
def test_what_is_no_list_of_names_is_no_vocab(named, vocab):
    named.vocab = vocab
    assert explain(named, PIL, target=1).vocab is None and explain(named, PIL, target=1).label[0].startswith('class 1 ')
    with pytest.raises(CamError, match='no list of class names'): explain(named, PIL, target='a')

@pytest.mark.parametrize('nest', [lambda n, m: T.Compose([n, m]), lambda n, m: T.Compose([T.Compose([n]), m]),
                                  nn.Sequential,
                                  lambda n, m: T.Compose([n, nn.Sequential(T.Identity(), T.Compose([m]))])])
def test_the_normalisation_is_found_inside(net, nest):
    first = T.Compose([T.PILToTensor(), T.ToDtype(torch.float32, scale=True)])
    e = explain(net, Image.new('RGB', (16, 16), (100, 150, 200)),
                transform=nest(first, T.Normalize([.5] * 3, [.2] * 3)))
    assert (e.image[0, :, 0, 0] * 255).round().tolist() == [100, 150, 200]

def test_an_array_that_is_normalised_already_is_given_as_a_tensor(named):
    a = ToBatch()(PIL).numpy()
    with pytest.raises(CamError, match=r'array \(3, 24, 24\) of float32.*torch.from_numpy'): explain(named, a)
    check_tensor(explain(named, torch.from_numpy(a)).out, explain(named, PIL).out)

# ---- what comes back

def test_targets_by_name_number_and_none(named):
    by_name, by_number = explain(named, [PIL, PIL], target=['pig', 'cat']), explain(named, [PIL, PIL], target=[2, 0])
    check_tensor(by_name.raw, by_number.raw)
    assert by_name.target.tolist() == [2, 0] and [l.split()[0] for l in by_name.label] == ['pig', 'cat']
    top = explain(named, PIL)
    assert top.target.tolist() == [top.out.argmax().item()]
    diff = explain(named, PIL, target=lambda out: out[:, 0] - out[:, 2])
    assert callable(diff.target) and diff.label == ['function']

def test_layer_by_name_and_by_module(named):
    a, b = explain(named, PIL, layer='1'), explain(named, PIL, layer=named[1])
    check_tensor(a.raw, b.raw)
    assert a.layer == b.layer == '1' and a.raw.shape == (1, 12, 12) and explain(named, PIL).layer == '3'

def test_cam_is_grad_cam_times_the_area(named):
    a, b = explain(named, PIL, 'cam', target='dog'), explain(named, PIL, target='dog')
    check_tensor(a.raw.relu(), 36 * b.raw)
    with pytest.raises(CamError, match='looks at no layer'): explain(named, PIL, 'cam', '3', 'dog')
    check_tensor(a.out, b.out)

UNFIT = 'le_grad', 'lcam_fm', 'lcam_img'   # these need a transformer, or an attention that was trained

@pytest.mark.parametrize('method', [m for m in METHODS if m not in UNFIT])
def test_every_method_of_the_table(named, method):
    m = METHODS[method]
    e = explain(named, [S, scene(4, 'dog', size=48)], method, target='cat')
    assert m.kind in ('map', 'pixels') and 1990 < m.year < 2030 and m.title and m.paper and m.passes >= 1
    assert e.map.shape == (2, 24, 24) and e.out.shape == (2, 3) and e.method == method
    if m.kind == 'pixels': assert e.raw.shape == (2, 3, 24, 24)
    elif m.needs != 'network': assert e.raw.shape == (2, 6, 6)
    else: assert tuple(e.raw.shape) in [(2, 6, 6), (2, 12, 12), (2, 24, 24)]   # of several layers, a finer grid
    assert not e.raw.requires_grad
    assert m.title in repr(e)

def test_one_line(named):
    named.activation = lambda out: out.softmax(1)
    x = torch.rand(1, 3, 24, 24)
    cat = int(explain(named, x, target='cat').map.max() <= 0)   # another class where this one's map is empty
    name = ['cat', 'dog'][cat]
    assert re.fullmatch(rf"Explanation\({name} \d+\.\d%; Grad-CAM at '3'\)", repr(explain(named, x, target=name)))
    assert re.fullmatch(rf"Explanation\(2 images: {name} .*%, {name} .*%; CAM\)",
                        repr(explain(named, [PIL, PIL], 'cam', target=name)))
    named.vocab = None
    assert 'class 2 ' in repr(explain(named, PIL, target=2)) and '\n' not in repr(explain(named, [PIL] * 9))

def test_one_of_several(named):
    e = explain(named, [PIL, scene(4, 'dog', size=48), PIL], target=[0, 1, 2])
    assert len(e) == 3 and isinstance(e[1], Explanation) and len(list(e)) == 3
    check_tensor(e[1].raw, e.raw[1:2])
    assert e[-1].target.tolist() == [2] and e[1].layer == '3' and e[1].vocab == e.vocab
    with pytest.raises(IndexError): e[3]
    with pytest.raises(CamError, match='none of the 3'): e[3:]

def test_shows_itself(named):
    e = explain(named, PIL)
    picture = Image.open(io.BytesIO(e._repr_png_()))
    assert picture.format == 'PNG' and picture.width > 2 * picture.height
    a = np.asarray(picture.convert('RGB')).astype(int)
    thirds = [a[40:-10, i * a.shape[1] // 3 + 20:(i + 1) * a.shape[1] // 3 - 20] for i in range(3)]
    # three different panels
    assert all(t.std() > 5 for t in thirds) and all(abs(p - q).mean() > 5 for p, q in zip(thirds, thirds[1:]))
    many = Image.open(io.BytesIO(explain(named, [PIL] * 3)._repr_png_()))
    assert many.height > 2.5 * picture.height and many.width == picture.width

def test_flat_map_can_be_shown(named):
    with torch.no_grad(): named[6].weight.zero_()
    assert explain(named, torch.zeros(1, 3, 24, 24), layer='3')._repr_png_()

# ---- saving

def test_npz_round_trip(named, tmp_path):
    e = explain(named, [PIL, PIL], target=['dog', 'pig'])
    assert e.save(tmp_path / 'e.npz') == tmp_path / 'e.npz'
    with np.load(tmp_path / 'e.npz', allow_pickle=False) as f:
        for k in ('image', 'out', 'raw', 'map'): assert (f[k] == getattr(e, k).numpy()).all()
        assert f['target'].tolist() == [1, 2] and f['label'].tolist() == e.label and str(f['layer']) == '3'
        assert str(f['method']) == 'grad_cam'
    explain(named, PIL, target=lambda out: out[:, 0]).save(str(tmp_path / 'f.npz'))

def test_png_and_upper_case(named, tmp_path):
    e = explain(named, PIL)
    e.save(tmp_path / 'E.PNG')
    saved, shown = Image.open(tmp_path / 'E.PNG'), Image.open(io.BytesIO(e._repr_png_()))
    assert saved.size == (1320, 470)
    assert abs(np.asarray(saved.resize(shown.size), float) - np.asarray(shown, float)).mean() < 12

@pytest.mark.parametrize('kind, start', [('jpg', b'\xff\xd8'), ('pdf', b'%PDF'), ('svg', b'<?xml'),
                                         ('png', b'\x89PNG')])
def test_figure_and_overlay_in_every_format(named, tmp_path, kind, start):
    e = explain(named, [PIL, PIL])
    assert e.save(tmp_path/f'f.{kind}', cmap='viridis', vmax=2., names=['a', 'b']).read_bytes().startswith(start)
    assert e[0].save(tmp_path/f'o.{kind}', alone=True, alpha=.5).read_bytes().startswith(start)
    with pytest.raises(CamError, match='2 images'): e.save(tmp_path/f'two.{kind}', alone=True)
    if kind in ('jpg', 'png'): assert Image.open(tmp_path/f'o.{kind}').size == PIL.size

def test_one_scale_names_and_axes(named):
    import matplotlib as mpl
    e = explain(named, [PIL, scene(4, 'dog', size=48)], target=1)
    fig = e.figure(same=True, names=['first', 'second'], cmap=mpl.colormaps['viridis'])
    assert [fig.axes[i].get_title() for i in (0, 3)] == ['first', 'second']
    tops = [fig.axes[i].images[0].get_array().max() for i in (1, 4)]
    check_tensor(torch.tensor(tops), e.map.amax((1, 2)) / e.map.max(), atol=1e-5)
    assert [e.figure().axes[i].images[0].get_array().max() for i in (1, 4)] == [1, 1]
    with pytest.raises(CamError, match='1 names, but 2'): e.figure(names=['a'])
    ax = fig.axes[0]
    assert e[0].show(ax, 'mine', vmax=3.) is ax and ax.get_title() == 'mine'
    with pytest.raises(CamError, match='Choose one'): e.show()

def test_bfloat16_can_be_shown_and_saved(named, tmp_path):
    e = explain(named.bfloat16(), PIL)
    assert e.raw.dtype == torch.bfloat16
    e.save(tmp_path / 'e.npz')
    e.save(tmp_path / 'e.png')

def test_saving_is_all_or_nothing(named, tmp_path, monkeypatch):
    e = explain(named, PIL)
    (tmp_path / 'e.npz').write_bytes(b'before')
    def full(*a): raise OSError(28, 'No space left on device')
    monkeypatch.setattr('os.replace', full)
    with pytest.raises(OSError): e.save(tmp_path / 'e.npz')
    assert [p.name for p in tmp_path.iterdir()] == ['e.npz'] and (tmp_path / 'e.npz').read_bytes() == b'before'

# ---- folders

@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'deeper').mkdir()
    for i, name in enumerate(['a.png', 'b.JPG', 'deeper/c.webp', 'd.png', 'e.png']):
        Image.fromarray(scene(i, size=40).image).save(tmp_path / name)
    (tmp_path / 'notes.txt').write_text('no picture')
    (tmp_path / 'broken.png').write_bytes(b'junk')
    return tmp_path

def test_folder_in_order_broken_file_named(named, folder):
    found = list(explain_all(named, folder, bs=2, target='dog', progress=False))
    es, [(i, bad)] = [e for e in found if e], [(i, e) for i, e in enumerate(found) if not e]
    assert i == 2 and bad.source == str(folder/'broken.png') and 'no image that can be read' in bad.reason
    assert [e.source[0][len(str(folder)) + 1:] for e in es] == ['a.png', 'b.JPG', 'd.png', 'deeper/c.webp', 'e.png']
    for e in es:
        check_tensor(e.raw, explain(named, e.source[0], target='dog').raw)
        check_tensor(e.image, explain(named, e.source[0]).image)

def test_iterables_without_a_length(named):
    es = list(explain_all(named, (scene(i, size=40) for i in range(5)), bs=2))
    assert [e.source for e in es] == [[f'image {i}'] for i in range(5)]

def test_transform_of_the_call_is_used_and_undone(net, folder):
    e = next(iter(explain_all(net, folder, transform=ToBatch(), progress=False)))
    check_tensor(e.image, explain(net, folder / 'a.png', transform=ToBatch()).image)

def test_a_wrong_layer_or_class_stops_at_once(named, folder):
    for kw in (dict(layer='9'), dict(target='cow'), dict(target=3)):
        with warnings.catch_warnings(), pytest.raises(CamError):
            warnings.simplefilter('error')
            next(iter(explain_all(named, folder, bs=1, progress=False, **kw)))

def test_constant_memory(named):
    "Of many pictures only a few batches are alive at a time, and the source is read no further ahead."
    import gc, weakref
    alive, drawn = weakref.WeakSet(), []
    class Kept(ToBatch):
        def __call__(self, p):
            x = super().__call__(p)
            alive.add(x)
            return x
    def pictures():
        for i in range(40):
            drawn.append(i)
            yield PIL
    for i, e in enumerate(explain_all(named, pictures(), bs=4, transform=Kept(), progress=False)):
        assert len(drawn) <= 4 * (i // 4 + 2)   # those that go together, and as many ahead
        if i % 10 == 9:
            gc.collect()
            assert len(alive) <= 12
    assert i == 39

class Many(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.fc = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 5)
    def forward(self, x): return dict(logits=self.fc(self.a(x).mean((2, 3))))

def test_several_outputs_are_cut_and_carry_no_graph():
    x = torch.randn(3, 3, 16, 16)
    e = explain(Many(), x, layer='a', target=lambda out: out['logits'][:, 2])
    assert e.out['logits'].grad_fn is None and e[1].out['logits'].shape == (1, 5)
    assert torch.equal(e[1].cpu().out['logits'][0], e.out['logits'][1])

@dataclass(frozen=True)
class Output:
    logits:torch.Tensor
    hidden:tuple=()

class GivesDataclass(Many):
    def forward(self, x): return Output((out := super().forward(x))['logits'], (out,))

def test_an_output_in_a_dataclass_is_cut_and_carries_no_graph():
    e = explain(GivesDataclass(), torch.randn(3, 3, 16, 16), layer='a', target=lambda out: out.logits[:, 2])
    assert not e.out.logits.requires_grad and not e.out.hidden[0]['logits'].requires_grad
    assert torch.equal(e[1].out.logits[0], e.out.logits[1])
    check_tensor(deepcopy(e).cpu().out.hidden[0]['logits'], e.out.logits)

def test_dense_outputs_are_explained_where_the_encoder_ends(net):
    dense, x = nn.Sequential(*net[:4], nn.Conv2d(8, 3, 1)).eval(), torch.randn(1, 3, 24, 24)
    def target(out): return out[:, 1].mean((1, 2))
    e = explain(dense, x, target=target)
    assert e.layer == '3'
    check_tensor(explain(dense, x, target=target, layer='4').raw * 36, e.out[:, 1].relu())

def test_several_scores_for_each_image_are_refused():
    with pytest.raises(CamError, match='several scores.*grad_cam_maps'):
        explain(Many(), torch.randn(3, 3, 16, 16), layer='a', target=lambda out: out['logits'].T)

def test_a_target_for_each_of_many_pictures(named):
    x = torch.randn(5, 3, 24, 24)
    for bs in (1, 2, 5):
        es = explain_all(named, list(x[:, None]), target=[0, 1, 2, 1, 0], bs=bs, progress=False)
        assert [e.target.item() for e in es] == [0, 1, 2, 1, 0]
    with pytest.raises(CamError, match='3 targets, but 5 pictures'):
        explain_all(named, list(x[:, None]), target=[0, 1, 2], progress=False)

def test_a_target_for_each_of_many_pictures_wants_single_ones(named):
    two = np.stack([S.image] * 2)
    es = explain_all(named, [two, PIL], target='dog', progress=False)
    assert [e.source for e in es] == [['image 0'], ['image 1'], ['image 2']]
    for images, target in (([two, PIL], ['cat', 'dog']), ([torch.randn(2, 3, 24, 24)], ['cat'])):
        with pytest.raises(CamError, match='an item is a batch of 2'):
            list(explain_all(named, images, target=target, progress=False))
    assert [e.target.item() for e in explain_all(named, two, target=['cat', 'dog'], progress=False)] == [0, 1]

@pytest.mark.parametrize('one', [PIL, S, S.image, torch.randn(3, 24, 24), 3])
def test_one_picture_is_not_many(named, one):
    with pytest.raises(CamError, match='is not several.*use explain'): explain_all(named, one)

def test_a_folder_without_a_transform_is_an_error(tmp_path):
    PIL.save(tmp_path / 'cat.png')
    with pytest.raises(CamError, match='transform='): list(explain_all(Many(), tmp_path, progress=False))

AFRESH = """import sys
for lines in ('import camtutor.explanation', 'import camtutor.ui.explorer', 'from camtutor import Explorer'):
    for name in [n for n in sys.modules if n.partition('.')[0] == 'camtutor']: del sys.modules[name]
    exec(lines)
    from camtutor import explain
    assert explain.__name__ == 'explain', (lines, explain)"""

def test_the_function_is_not_hidden_by_its_module():
    subprocess.run([sys.executable, '-W', 'ignore', '-c', AFRESH], check=True)

@pytest.mark.parametrize('module, names', dict(explanation='Failed pictures_in', show='colour_map placed',
                                               evaluate='check_export markdown_of').items())
def test_what_a_page_takes_from_below_can_be_had_from_its_module(module, names):
    assert set(names.split()) <= set(vars(import_module(f'camtutor.{module}')))

# ---- one rule for every way in

def odd_pictures():
    "A photograph on its side, a 16-bit one, and one of transparent black."
    turned, noise = Image.Exif(), np.random.default_rng(0).integers(0, 65536, (30, 40), dtype=np.uint16)
    turned[0x112] = 6
    return dict(turned=(PIL, 'jpg', dict(exif=turned, quality=95)), deep=(Image.fromarray(noise), 'png', {}),
                clear=(Image.new('RGBA', (30, 20)), 'png', {}))

@pytest.mark.parametrize('kind', odd_pictures())
def test_a_picture_is_the_same_by_path_and_as_an_object(named, kind, tmp_path):
    im, suffix, how = odd_pictures()[kind]
    im.save(path := tmp_path / f'{kind}.{suffix}', **how)
    x = batch_of(named, path)
    check_tensor(batch_of(named, Image.open(path)), x)
    if kind == 'clear': check_tensor(batch_of(named, np.array(im)), x)

def test_no_transform_touches_a_float_tensor(named):
    x = batch_of(named, S)
    for got in (explain(named, x), explain(named, x, transform=ToBatch()),
                explain(named, [x[0], S], transform=ToBatch())[0]):
        check_tensor(got.out, named(x).detach())
        check_tensor(got.image, ToBatch()(PIL)[None] * STD + MEAN, atol=1e-6)

def test_bytes_of_a_tensor_go_through_a_transform_that_wants_a_picture(named):
    check_tensor(batch_of(named[:], torch.from_numpy(S.image).movedim(-1, 0)[None], ToBatch()), batch_of(named, S))

def test_subclasses_of_tensor(named):
    class Kind(torch.Tensor): pass
    e = explain(named, batch_of(named, S).as_subclass(Kind))
    assert type(e.out) is torch.Tensor and repr(e) == repr(explain(named, S))

@pytest.mark.parametrize('channels', [1, 2, 6])
def test_networks_that_read_other_than_three_channels(channels, tmp_path):
    net = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(4, 2)).eval()
    e = explain(net, torch.randn(2, channels, 16, 16))
    assert e.image.shape == (2, 3, 16, 16) and e.overlay.shape == (2, 3, 16, 16)
    assert Image.open(e.save(tmp_path / 'e.png')).size[0] > 500

def test_names_from_a_dict(named):
    named.vocab = {2: 'pig', 0: 'cat', 1: 'dog'}
    assert explain(named, S, target='dog').target.item() == 1
    named.vocab = dict(dog=1, pig=2, cat=0)
    assert explain(named, S, target='pig').label[0].startswith('pig')

def test_one_score_is_no_probability():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)).eval()
    x = torch.randn(1, 3, 16, 16)
    assert explain(net, x).label == [f'output {net(x).item():.3g}']

def between(*tail):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3), *tail).eval()

def test_no_softmax_is_taken_of_sigmoids_or_of_a_softmax():
    x, named = torch.randn(2, 3, 16, 16), nn.Softmax(1)
    e = explain(between(nn.Sigmoid()), x, target=1)
    assert e.prob is None and e.label[0] == f'class 1 {e.out[0, 1].item():.3g}' and 'lie between 0 and 1' in repr(e)
    p = torch.randn(2, 3).softmax(1)
    check_tensor(said_probabilities(between(), p)[0], p)
    assert 'add up to 1 already' in said_probabilities(between(), p)[1]
    e = explain(between(), x, target=1)
    check_tensor(e.prob, e.out.softmax(1))
    assert 'softmax assumed' in repr(e) and 'assumed' not in repr(explain(between(), x, activation=named))
    multi = explain(between(), x, target=1, activation=torch.sigmoid)
    check_tensor(multi.probability, multi.out[:, 1].sigmoid())
    regression = explain(between(), x, target=1, activation=lambda out: out)
    assert regression.prob is None and regression.label[0] == f'class 1 {regression.out[0, 1].item():.3g}'

def test_an_empty_map_says_so(named):
    with torch.no_grad(): named[6].weight.copy_(torch.tensor([[1.], [-1.], [-1.]]).expand(3, 8))
    e = explain(named, [PIL, PIL], target=['cat', 'dog'])
    assert '1 of 2 maps are empty: nothing there speaks for it. Try another target' in repr(e)
    assert 'empty map' in repr(e[1]) and 'empty' not in repr(e[0])
    titles = [ax.get_title() for ax in e.figure().axes]
    assert titles[4] == 'empty map: nothing above 0' and 'empty' not in titles[1]

def test_the_signed_map_that_an_empty_one_advises(named):
    with torch.no_grad(): named[6].weight.fill_(-1.)
    _, A, g = capture(named, batch_of(named, PIL))
    assert (A * g).sum(1).min() < 0

def test_a_layer_with_one_place_is_refused(named):
    with pytest.raises(CamError, match="Grad-CAM at '4': there is one place.*earlier layer"):
        explain(named, PIL, layer='4')

def test_a_list_of_layers_is_refused(net):
    with pytest.raises(CamError, match='a list of 1. Give one.*grad_cam_maps'):
        explain(net, torch.randn(1, 3, 24, 24), layer=[net[2]])

def test_an_explanation_holds_on_to_nothing_else(named):
    e = explain(named, [S] * 8)
    assert e[3].map.untyped_storage().nbytes() * 8 == e.map.untyped_storage().nbytes()
    assert len(e[2:5]) == 3 and e[2:5].label == e.label[2:5] and e != explain(named, [S] * 8)

def test_batches_among_many_pictures(net):
    xs = [torch.randn(n, 3, 24, 24) for n in (4, 1, 3)]
    got = list(explain_all(net, iter(xs), bs=3, progress=False))
    assert [e.source for e in got] == [[f'image {i}'] for i in range(8)]
    check_tensor(torch.cat([e.out for e in got]), net(torch.cat(xs)).detach(), atol=1e-6)

def test_labels_beside_pictures_are_left_away(net):
    x, y = torch.randn(5, 3, 24, 24), torch.arange(5) % 3
    want = list(explain_all(net, x, progress=False))
    data = torch.utils.data.TensorDataset(x, y)
    loader = torch.utils.data.DataLoader(data, batch_size=2)
    for source in (data, loader, [(x, y)], [(x[i], int(y[i])) for i in range(5)]):
        got = list(explain_all(net, source, progress=False))
        check_tensor(torch.cat([e.raw for e in got]), torch.cat([e.raw for e in want]), atol=1e-6)
    for wrong in ((x[0], x[1]), (x[0], 1, 2), [S, S], ('a.png', 'b.png')):
        with pytest.raises(CamError, match='Give pictures alone, or pairs'):
            list(explain_all(net, [wrong], progress=False))

def test_pictures_of_several_sizes_go_together_and_come_in_order(net):
    seen, sizes = [], [24, 32, 24, 40, 24, 32, 24, 24, 32, 24]
    xs = [torch.randn(3, s, s) for s in sizes]
    handle = net.register_forward_hook(lambda m, args, out: seen.append(tuple(args[0].shape[::2])))
    es = list(explain_all(net, xs, bs=3, progress=False, layer='3'))
    handle.remove()
    assert [e.map.shape[-1] for e in es] == sizes and [e.source for e in es] == [[f'image {i}'] for i in range(10)]
    for e, x in zip(es, xs): check_tensor(e.raw, explain(net, x[None], layer='3').raw, atol=1e-6)
    assert [s for s in seen if s[0] == 3] == [(3, 24), (3, 32), (3, 24)]

def test_a_picture_too_small_for_the_network_is_one_that_failed(net):
    xs = [torch.randn(3, s, s) for s in (24, 2, 24)]
    net[0].padding = (0, 0)
    a, bad, c = explain_all(net, xs, bs=2, progress=False, layer='3')
    assert a and c and not bad and bad.source == 'image 1' and 'too small' in bad.reason
    with pytest.raises(CamError): list(explain_all(net, xs[1:], bs=1, progress=False, layer='3'))

def test_fast_gives_the_same_maps():
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=7).eval()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d): nn.init.uniform_(m.running_mean, -.1, .1), nn.init.uniform_(m.weight, .5, 1.5)
    x = torch.randn(4, 3, 64, 64)
    for kw in ({}, dict(layer='layer2'), dict(layer=model.layer4[1].bn2), dict(layer='conv1', target=3),
               dict(method='layer_cam', target=3),
               dict(method='saliency'), dict(method='full_grad')):
        a, b = (list(explain_all(model, x, bs=4, progress=False, fast=f, **kw)) for f in (False, True))
        for e, f in zip(a, b):
            check_tensor(f.raw, e.raw, atol=1e-4 * e.raw.abs().max().item())
            assert e.layer == f.layer and e.label == f.label
    assert not any(type(m) is nn.Identity for m in model.modules())

def test_hidden_files_own_results_and_heic_in_a_folder(named, tmp_path):
    for name in ('a.png', '._a.png', '.hidden.png'): PIL.save(tmp_path/name)
    (tmp_path/'.trash').mkdir()
    PIL.save(tmp_path/'.trash'/'b.png')
    (tmp_path/'c.heic').write_bytes(b'\0\0\0\x18ftypheic' + bytes(40))
    for kind in ('png', 'jpg'):
        explain(named, PIL).save(tmp_path/f'map.{kind}')
        explain(named, PIL).save(tmp_path/f'alone.{kind}', alone=True)
    found = list(explain_all(named, tmp_path, progress=False))
    assert [bool(e) for e in found] == [True, False] and found[0].source == [str(tmp_path/'a.png')]
    assert 'HEIC' in found[1].reason and 'pillow-heif' in found[1].reason
    for name in ('a.png', 'c.heic'): (tmp_path/name).unlink()
    assert len(list(explain_all(named, tmp_path, progress=False))) == 4   # nothing else there: they are meant

def test_a_transform_for_a_float_tensor_is_refused_where_it_would_be_dropped(net):
    x = torch.rand(1, 3, 24, 24)
    with pytest.raises(CamError, match='the transform would not be applied'): explain(net, x, transform=ToBatch())
    assert explain(net, (x * 255).byte(), transform=ToBatch())
    check_tensor(explain(net, x * 4 - 2, transform=ToBatch()).out, net(x * 4 - 2).detach())   # it is normalised

def test_a_wrong_transform_is_no_unreadable_file(net, path):
    with pytest.raises(CamError, match='the transform made an Image'):
        list(explain_all(net, path.parent, transform=lambda p: p, progress=False))

def test_targets_for_many_as_a_tensor(named):
    es = explain_all(named, [S] * 3, target=torch.tensor([2, 0, 1]), bs=2, progress=False)
    assert [e.target.item() for e in es] == [2, 0, 1]

def test_no_progress_is_silent(named, capsys):
    list(explain_all(named, [S], progress=False))
    assert capsys.readouterr() == ('', '')

# ---- fastai

@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('photos')
    for i in range(8):
        Image.fromarray(scene(i, ('cat', 'dog')[i % 2], size=48).image).save(folder / f'{"cd"[i % 2]}{i}.png')
    return folder

def learner(folder, block, name, channels=3, k=2, **how):
    from fastai.vision.all import DataBlock, ImageBlock, Learner, PILImage, PILImageBW, get_image_files, Resize
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, k))
    db = DataBlock((ImageBlock(PILImage if channels == 3 else PILImageBW), block), get_items=get_image_files,
                   get_y=name, item_tfms=Resize(32))
    return Learner(db.dataloaders(folder, bs=2, num_workers=0), net, **how)

@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('kind', ['classes', 'grey', 'several', 'number'])
def test_a_learner_says_what_its_own_predict_says(photos, kind):
    from fastai.vision.all import CategoryBlock, MSELossFlat, MultiCategoryBlock, RegressionBlock
    learn = dict(classes=lambda: learner(photos, CategoryBlock, lambda p: p.name[0]),
                 grey=lambda: learner(photos, CategoryBlock, lambda p: p.name[0], 1),
                 several=lambda: learner(photos, MultiCategoryBlock, lambda p: [p.name[0]]),
                 number=lambda: learner(photos, RegressionBlock, lambda p: float(p.name[1]), k=1,
                                        loss_func=MSELossFlat()))[kind]()
    path = sorted(photos.iterdir())[0]
    e = explain(learn, path, target=0)
    with learn.no_bar(): said = learn.predict(path)[2]
    check_tensor(e.out[0] if kind == 'number' else e.prob[0], torch.Tensor(said), atol=1e-6)
    assert e.label[0].split()[-1] == (f'{said[0].item():.3g}' if kind == 'number' else f'{said[0].item():.1%}')
    assert (e.prob is None) == (kind == 'number')
    ex = Explorer(learn, [path], size=32)
    check_tensor(ex.study.prob, torch.Tensor(said).flatten(), atol=1e-6)
    drive(ex, class_=ex.study.name(0))
    assert f'({e.label[0].split()[-1]})' in ex.panel.captions[0].value
    assert ex.study.explanation(ex.view()).label == e.label
    assert ('probability' in ex.study.numbers(ex.view())) == (kind != 'number')

@pytest.mark.filterwarnings('ignore')
def test_a_learner_that_cannot_prepare_a_picture(photos):
    from fastai.vision.all import CategoryBlock, DataBlock, DataLoaders, ImageBlock, Learner, get_image_files
    path, x = sorted(photos.iterdir())[0], torch.randn(4, 3, 24, 24)
    net, pairs = learner(photos, CategoryBlock, lambda p: p.name[0]).model, [(i, 0) for i in x]
    plain = torch.utils.data.DataLoader(pairs, 2)
    for dls in (DataLoaders(plain, plain), DataLoaders.from_dsets(pairs, pairs, bs=2, num_workers=0)):
        learn = Learner(dls, net, loss_func=nn.CrossEntropyLoss())
        with pytest.raises(CamError, match="not made of fastai's blocks. Pass transform="): explain(learn, path)
        check_tensor(explain(learn, x).out, net.eval()(x).detach(), atol=1e-6)
        assert explain(learn, path, transform=ToBatch()).out.shape == (1, 2)
    two = DataBlock((ImageBlock, ImageBlock, CategoryBlock), n_inp=2,
                    getters=[None, None, lambda p: p.name[0]]).dataloaders(get_image_files(photos), bs=2, num_workers=0)
    with pytest.raises(CamError, match='reads 2 inputs.*as a tuple of tensors'):
        explain(Learner(two, net, loss_func=nn.CrossEntropyLoss()), path)

@pytest.mark.filterwarnings('ignore')
def test_a_learner_draws_no_random_numbers(photos):
    import random
    from fastai.vision.all import CategoryBlock
    learn = learner(photos, CategoryBlock, lambda p: p.name[0])
    before = random.getstate(), torch.get_rng_state()
    explain(learn, sorted(photos.iterdir())[0])
    assert random.getstate() == before[0] and torch.equal(torch.get_rng_state(), before[1])
    xb = learn.dls.one_batch()[0]
    assert 'images' in repr(explain(learn, xb)) and explain(learn, learn.dls.train_ds[0][0]).out.shape == (1, 2)

# ---- other numbers of channels

def channels_net(n):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(n, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()

PLAIN = T.Compose([T.PILToTensor(), T.ToDtype(torch.float32, scale=True), T.Normalize([.5], [.5])])
GREY = T.Compose([T.Grayscale(), PLAIN])

@pytest.mark.parametrize('transform', [PLAIN, GREY, lambda im: PLAIN(im)], ids=['plain', 'grey', 'a function'])
def test_a_grey_network_reads_pictures_of_any_kind(transform, tmp_path):
    net, grey = channels_net(1), PIL.convert('L')
    grey.save(tmp_path/'scan.png')
    want = net(PLAIN(grey)[None]).detach()
    for image in (tmp_path/'scan.png', PIL, grey, np.asarray(grey)):
        e = explain(net, image, transform=transform)
        check_tensor(e.out, want, atol=1e-2 if image is PIL else 1e-6)
        assert e.overlay.shape == (1, 3, *PIL.size[::-1]) and e.boxes[0] is not None
    [one] = explain_all(net, tmp_path, transform=transform, progress=False)
    check_tensor(one.out, want, atol=1e-6)
    Image.fromarray((np.asarray(grey).astype(np.uint16) * 257)).save(tmp_path/'scan16.png')
    check_tensor(explain(net, tmp_path/'scan16.png', transform=transform).out, want, atol=1e-6)

def test_a_network_of_four_channels_gets_the_transparency(tmp_path):
    net, im = channels_net(4), PIL.convert('RGBA')
    im.putalpha(Image.fromarray(np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1))))
    im.save(tmp_path/'a.png')
    want = net(PLAIN(im)[None]).detach()
    for image in (im, tmp_path/'a.png'):
        e = explain(net, image, transform=PLAIN)
        check_tensor(e.out, want)
        assert e.overlay.shape == (1, 3, 48, 48)
    [one] = explain_all(net, tmp_path, transform=PLAIN, progress=False)
    check_tensor(one.out, want)

def test_an_exported_graph_and_a_traced_one_say_so():
    net, x = channels_net(3), torch.randn(1, 3, 24, 24)
    with pytest.raises(CamError, match='an exported graph.*nn.Module that was exported'):
        explain(torch.export.export(net, (x,)).module(), x)
    with pytest.raises(CamError, match='the original for a scripted one'), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        explain(torch.jit.trace(net, x), x)
    asked = dict(target=0, layer='0')
    check_tensor(explain(torch.fx.symbolic_trace(net), x, **asked).raw, explain(net, x, **asked).raw)

def test_a_layer_that_runs_more_than_once_is_named():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()), nn.Linear(3, 2)
        def forward(self, x): return self.head(self.body(self.body(x)).mean((2, 3)))
    net, x = Twice().eval(), torch.randn(1, 3, 24, 24)
    with pytest.raises(CamError, match=r"more than once.*layer=\('body', 0\)"): explain(net, x)
    assert explain(net, x, layer=('body', 1)).layer == ('body', 1)

def test_an_activation_is_a_function():
    with pytest.raises(CamError, match="activation is 'sigmoid'. Give a function.*torch.sigmoid"):
        explain(channels_net(3), torch.randn(1, 3, 24, 24), activation='sigmoid')

def test_a_network_that_asserts_its_size_is_answered():
    class Asserts(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
        def forward(self, x):
            assert x.shape[-1] == 32, f'width {x.shape[-1]} is not 32'
            return self.head(self.conv(x).mean((2, 3)))
    with pytest.raises(CamError, match=r'(?s)refuses the batch \(1, 3, 40, 40\) \(width 40 is not 32.*size'):
        explain(Asserts(), torch.randn(1, 3, 40, 40))
    exported = torch.export.export(channels_net(3), (torch.randn(1, 3, 24, 24),)).module()
    with pytest.raises(CamError, match=r'refuses the batch \(1, 3, 24, 30\)'):
        explain(nn.Sequential(nn.Conv2d(3, 3, 1), exported), torch.randn(1, 3, 24, 30), layer='0')

def test_a_grey_network_says_what_its_transform_says():
    def broken(im): raise KeyError('own mistake')
    with pytest.raises(KeyError, match='own mistake'): explain(channels_net(1), PIL, transform=broken)
