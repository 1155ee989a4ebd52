"Data and learner of chapter 00."
import io, tarfile, threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError
import numpy as np, pytest, torch
from fastai.data.external import fastai_cfg, fastai_path
from fastai.vision.all import imagenet_stats, set_seed
from PIL import Image
from torchvision.models import resnet34
from camtutor import pets
from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.networks import load_body, load_pets, picture_transform
from camtutor.pets import pets_dls, pets_learner
from camtutor.scenes import SPECIES, scene
from camtutor.scenes.gallery import Gallery, contact_sheet, gallery
from test_networks import identity, same_head

@pytest.fixture(autouse=True, scope='module')
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as m:
        m.setenv('CAMTUTOR_CACHE', str(tmp_path_factory.mktemp('cache')))
        yield

small = dict(n=8, n_valid=4, size=32, bs=4)

# ---- scenes as DataLoaders
def test_dls_layout():
    dls = pets_dls('scenes', species=('fox', 'cat', 'dog'), **small)
    x, y = dls.one_batch()
    assert x.shape == (4, 3, 32, 32) and y.shape == (4,) and list(dls.vocab) == ['fox', 'cat', 'dog'] and dls.c == 3
    assert len(dls.train_ds) == 8 and len(dls.valid_ds) == 4
    assert [int(y) for _, y in dls.train_ds][:4] == [0, 1, 2, 0]

def test_dls_hold_the_scenes_of_their_seeds():
    dls = pets_dls(species=('cat', 'dog'), seed=50, **small)
    for i, (im, y) in enumerate([*dls.train_ds, *dls.valid_ds]):
        s = scene(50 + i, ('cat', 'dog')[i % 2], 32)
        assert (np.asarray(im) == s.image).all() and dls.vocab[y] == s.species[0]
        assert (dls.pictures.parts[i] == s.parts).all() and (dls.pictures.instances[i] == s.instances).all()

def test_dls_normalise_and_decode():
    dls = pets_dls(seed=50, **small)
    x, y = dls.valid.one_batch()
    mean, std = (torch.tensor(t)[:, None, None] for t in imagenet_stats)
    first = torch.tensor(scene(58, 'cat', 32).image).permute(2, 0, 1) / 255
    check_tensor(torch.Tensor(x[0].cpu()), (first - mean) / std)
    decoded = dls.decode((x, y))[0][0].cpu().float().as_subclass(torch.Tensor)
    check_tensor(decoded / 255, first, atol=1.01/255)   # fastai cuts to whole numbers

def test_dls_show_and_fixed_arguments():
    dls = pets_dls(background='grey', **small)
    assert (dls.pictures.images[0] == scene(100_000, 'cat', 32, background='grey').image).all()
    dls.show_batch(max_n=2)

@pytest.mark.parametrize('kw,word', [
    (dict(species='cat'), 'two or more'), (dict(species=('cat',)), 'two or more'), (dict(n=3), 'n >= bs'),
    (dict(species=('cat', 'cat')), 'different'), (dict(species=('cat', 'unicorn')), 'unicorn'),
    (dict(n_valid=0), 'n_valid'), (dict(size=0), 'size')])
def test_dls_refuse(kw, word):
    with pytest.raises(CamError, match=word): pets_dls(**{**small, **kw})

def test_unknown_source():
    with pytest.raises(CamError, match="'oxford'"): pets_dls('oxfrd')

# ---- photographs, on a tiny archive of the Oxford pets' layout
NAMES = ['Abyssinian_1', 'Bombay_12', 'Egyptian_Mau_3', 'Persian_4', 'beagle_1', 'pug_22', 'great_pyrenees_3',
         'boxer_4', 'boxer_5', 'Birman_9']

def archive(path):
    with tarfile.open(path, 'w:gz') as tar:
        def add(name, data):
            info = tarfile.TarInfo(f'oxford-iiit-pet/{name}'); info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for i, n in enumerate(NAMES):
            f = io.BytesIO()
            Image.new('RGB', (40 + i, 30), (20 * i, 100, 50)).save(f, 'JPEG')
            add(f'images/{n}.jpg', f.getvalue())
        add('images/Abyssinian_1.mat', b'no image')
        add('annotations/README', b'text')

@pytest.fixture
def served(tmp_path, monkeypatch):
    "A folder on loopback, and fastai's home in a temporary place."
    monkeypatch.setenv('FASTAI_HOME', str(tmp_path/'home'))
    fastai_cfg.cache_clear()
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args): pass
    (tmp_path/'www').mkdir()
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=str(tmp_path/'www')))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(pets.URLs, 'PETS', f'http://127.0.0.1:{server.server_port}/oxford-iiit-pet.tgz')
    yield tmp_path/'www'
    server.shutdown()
    server.server_close()
    fastai_cfg.cache_clear()

def test_oxford(served):
    archive(served/'oxford-iiit-pet.tgz')
    dls = pets_dls('oxford', size=32, bs=4)
    items = [*dls.train_ds.items, *dls.valid_ds.items]
    assert list(dls.vocab) == ['cat', 'dog'] and len(items) == len(NAMES) and len(dls.valid_ds) == 2
    for ds in (dls.train_ds, dls.valid_ds):
        for path, (_, y) in zip(ds.items, ds): assert dls.vocab[y] == ('cat' if path.name[0].isupper() else 'dog')
    assert dls.one_batch()[0].shape == (4, 3, 32, 32)

@pytest.mark.parametrize('content', [None, b'', b'<html>Sign in to this hotel</html>'])
def test_oxford_unreachable_or_garbled(served, content):
    if content is not None: (served/'oxford-iiit-pet.tgz').write_bytes(content)
    with pytest.raises(CamError, match=r"pets_dls\('scenes'\)"): pets_dls('oxford')
    (fastai_path('archive')/'oxford-iiit-pet.tgz').unlink(missing_ok=True)   # as the message says
    archive(served/'oxford-iiit-pet.tgz')
    assert len(pets_dls('oxford', size=32, bs=4).train_ds) == 8

def test_oxford_without_network(served, monkeypatch):
    monkeypatch.setattr(pets.URLs, 'PETS', 'http://127.0.0.1:9/oxford-iiit-pet.tgz')
    with pytest.raises(CamError, match='cannot be reached'): pets_dls('oxford')

# ---- a learner
def test_load_pets_knows_the_shipped_gallery():
    net, g = load_pets(), Gallery(s for s in gallery() if len(s.species) == 1)
    with torch.no_grad(): top = net(g.batch(net.transform)).argmax(1)
    right = sum(net.vocab[i] == s.species[0] for i, s in zip(top, g))
    assert right >= len(g) - 1, f'{right} of {len(g)}'

def test_learner():
    dls = pets_dls(**small)
    for pretrained, frozen in (('camtutor', True), (None, False)):
        learn = pets_learner(dls, pretrained)
        same_head(learn.model, 128, 2)
        conv = learn.model[0][0].weight
        assert conv.requires_grad != frozen and learn.model[1][-1].weight.requires_grad
    assert (pets_learner(dls).model[0][0].weight == load_body()[0].weight).all()

def test_learner_learns():
    set_seed(0)
    learn = pets_learner(pets_dls(n=160, n_valid=64, bs=16))
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(1)
    assert learn.validate()[1] < .25

def test_imagenet_body(monkeypatch):
    def made(weights): return resnet34(weights=None) if weights == 'DEFAULT' else pytest.fail('no weights asked for')
    monkeypatch.setattr(pets, 'resnet34', made)
    learn = pets_learner(pets_dls(**small), 'imagenet')
    same_head(learn.model, 512, 2)
    identity(learn.model.cpu(), torch.rand(1, 3, 64, 64))

def test_imagenet_without_network(monkeypatch):
    def offline(weights): raise URLError('no route to host')
    monkeypatch.setattr(pets, 'resnet34', offline)
    with pytest.raises(CamError, match="'camtutor' needs none"): pets_learner(pets_dls(**small), 'imagenet')

def test_unknown_body():
    with pytest.raises(CamError, match="'imagenet'"): pets_learner(pets_dls(**small), 'imagnet')

# ---- galleries
def test_gallery():
    g = Gallery([scene(1, ('cat', 'dog'), 32), scene(2, ('pig', 'fox'), 32), scene(3, ('bear', 'mouse'), 32)])
    assert len(g) == 3 and isinstance(g[:2], Gallery)
    assert g[1].species == ('pig', 'fox') and [s.seed for s in g] == [1, 2, 3]
    assert g.mask().shape == (3, 32, 32) and g.mask().dtype == torch.bool
    one, two = g.mask(instance=1), g.mask(instance=2)
    assert (g.mask() == (one | two)).all() and not (one & two).any()
    assert g.batch(picture_transform(16, *imagenet_stats)).shape == (3, 3, 16, 16)
    assert Image.open(io.BytesIO(g._repr_jpeg_())).size == (3 * 32 + 2 * 3, 32)

def test_gallery_refuses():
    for bad in ([], [scene(1, 'cat', 32), scene(1, 'cat', 40)]):
        with pytest.raises(CamError, match='size'): Gallery(bad)

def test_contact_sheet_by_hand():
    a = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    got = np.asarray(contact_sheet(a, cols=3, gap=1))[..., 0]
    w = 255
    above, below = [0, 0, w, 1, 1, w, 2, 2], [3, 3, w, 4, 4, w, w, w]
    assert got.tolist() == [above, above, [w] * 8, below, below]

def test_shipped_gallery():
    g = gallery()
    assert {n for s in g for n in s.species} == set(SPECIES) and any(len(s.species) == 2 for s in g)
    for s in g[:2]:
        again = scene(s.seed, s.species, background=s.background)
        assert (again.image == s.image).all() and (again.parts == s.parts).all() and again.poses == s.poses
