"Sliders on a function: they call it with their values, and show in words what goes wrong."
import io
import pytest, torch
from PIL import Image
from camtutor.errors import CamError
from camtutor.ui.play import play
from camtutor.scenes import scene
from camtutor.show import to_jpeg
from camtutor.words import show_words

def test_each_control_is_an_argument():
    seen = []
    def frame(name, channel, alpha):
        seen.append((name, channel, alpha))
        return torch.full((3, 8, 8), alpha), f'{name} <{channel}>'
    p = play(frame, name=['cat', 'dog'], channel=range(2, 10, 2), alpha=(0., 1.))
    assert seen == [('cat', 2, .5)]
    p.controls['name'].value, p.controls['channel'].value, p.controls['alpha'].value = 'dog', 6, .25
    assert seen[1:] == [('dog', 2, .5), ('dog', 6, .5), ('dog', 6, .25)]
    assert p.image.value == to_jpeg(torch.full((3, 8, 8), .25), 92) and 'dog &lt;6&gt;' in p.text.value
    assert p.controls['channel'].max == 8 and repr(p) == "play(frame, name='dog', channel=6, alpha=0.25)"

def test_it_begins_at_the_defaults():
    def frame(name='dog', n=4, alpha=.7, odd='none'): return torch.zeros(3, 8, 8)
    p = play(frame, name=['cat', 'dog'], n=range(9), alpha=(0., 1.), odd=['x'])
    assert p.values() == dict(name='dog', n=4, alpha=.7, odd='x') and 'name dog, n 4, alpha 0.7, odd x' in p.static()

@pytest.mark.parametrize('made', [scene(1), Image.new('RGB', (16, 16), 'red'), torch.zeros(1, 3, 8, 8),
                                  to_jpeg(torch.zeros(3, 8, 8))])
def test_whatever_is_a_picture(made):
    p = play(lambda n: made, n=range(3))
    assert Image.open(io.BytesIO(p.image.value)).format == 'JPEG' and 'data:image/jpeg' in p.static()

def test_an_error_is_shown_and_the_next_move_clears_it():
    def frame(n):
        if n == 1: raise CamError('there is no <1>')
        if n == 2: raise KeyError('odd')
        return torch.zeros(3, 8, 8)
    p = play(frame, n=range(4))
    p.controls['n'].value = 1
    assert 'there is no &lt;1&gt;' in p.alert.value and 'role="alert"' in p.alert.value
    p.controls['n'].value = 2
    assert 'KeyError' in p.alert.value
    p.controls['n'].value = 3
    assert p.alert.value == ''

def test_mistakes_are_raised_at_once():
    with pytest.raises(ZeroDivisionError): play(lambda n: 1 / 0, n=range(3))
    with pytest.raises(CamError, match='nothing to choose'): play(lambda n: scene(n), n=[])

def test_words_and_other_html():
    p = play(lambda m: show_words(['<a>', 'dull'], torch.tensor([m, -1.]), title='words'), m=[1., 2.])
    assert p.image.value.startswith('<div') and '&lt;a&gt;' in p.static() and 'm 1' in p.static()
    before = p.image.value
    p.controls['m'].value = 2.
    assert p.image.value != before and p.alert.value == ''
