"Scenes drawn again without something: it is gone, what was behind it is seen, and all the rest is as it was."
import numpy as np, pytest
from camtutor.errors import CamError
from camtutor.scenes.gallery import gallery
from camtutor.scenes import PARTS, SPECIES, scene
from camtutor.scenes.bulk import pictures
from test_scenes import grown

THINGS = ('ears', 'head', 'eyes', 'muzzle', 'body', 'legs', 'tail', 'collar', 'object', 'animal')
SHADELESS = 'eyes', 'tail'   # they throw no shade

def changed(a, b): return (a.image != b.image).any(-1)

@pytest.mark.parametrize('part', THINGS)
@pytest.mark.parametrize('species', SPECIES)
def test_a_part_goes_and_nothing_else(species, part):
    kw = dict(species=species, collar=True, objects=2)
    for seed in (300, 301):
        whole, less = scene(seed, **kw), scene(seed, without=part, **kw)
        mask = whole.mask(part)
        assert not less.mask(part).any() and f"without '{part}'" in repr(less)
        assert (less.parts == whole.parts)[~mask].all() and (less.instances == whole.instances)[~mask].all()
        # pixels change where it was, along its edge, and in the shade that it threw
        assert not changed(whole, less)[~grown(mask, 2 if part in SHADELESS else 16)].any()
        assert not mask.any() or changed(whole, less)[mask].mean() > .8

def test_what_was_behind_is_seen():
    "Without the head the cat's ears are whole; without the cat the room is."
    whole, headless = scene(15, 'cat'), scene(15, 'cat', without='head')
    assert headless.mask('ears').sum() > whole.mask('ears').sum()
    empty = scene(15, 'cat', without='animal')
    assert not empty.mask().any() and empty.species == ('cat',)
    less = scene(15, 'dog', without=('animal', 'object')), scene(15, 'cat', without=['object', 'animal'])
    assert (less[0].image == less[1].image).all()

def test_the_background_is_replaced_by_grey():
    for kw in ({}, {'background': 'grass'}):
        a, b = scene(21, 'dog', without='background', **kw), scene(21, 'dog', background='grey')
        assert (a.image == b.image).all() and (a.parts == b.parts).all() and a.background == 'grey'

def test_one_animal_of_two():
    pair = scene(33, ('fox', 'pig'))
    alone, earless = scene(33, ('fox', 'pig'), without={'animal': 1}), scene(33, ('fox', 'pig'), without={'ears': [2]})
    assert not alone.mask(instance=1).any() and alone.mask(instance=2).sum() >= pair.mask(instance=2).sum()
    assert (alone.instances == 2)[pair.mask(instance=2)].all() and alone.species == ('fox', 'pig')
    assert not earless.mask('ears', 2).any() and (earless.mask('ears', 1) == pair.mask('ears', 1)).all()
    assert not changed(pair, earless)[~grown(pair.mask('ears', 2), 4)].any()
    both = scene(33, ('fox', 'pig'), without={'ears': [1, 2]})
    assert (both.image == scene(33, ('fox', 'pig'), without='ears').image).all()

def test_one_object_of_two():
    kw = dict(species='cat', objects=2)
    first, second, none = (scene(15, without=w, **kw) for w in ({'object': 1}, {'object': 2}, 'object'))
    whole = scene(15, **kw)
    assert (changed(whole, none) == changed(whole, first) | changed(whole, second)).mean() > .99
    assert first.mask('object').any() and second.mask('object').any() and not none.mask('object').any()

def test_in_bulk():
    one = pictures([15, 16], ['cat', ('dog', 'cat')], progress=False, without={'ears': 1, 'tail': [1]})
    assert (one.images[1] == scene(16, ('dog', 'cat'), without={'ears': 1, 'tail': 1}).image).all()

def test_global_arguments_stay():
    "Nothing is left out unless it is asked for, at any size."
    assert (scene(7, size=64).image == scene(7, size=64, without=None).image).all() and 'without' not in repr(scene(7))
    assert not scene(7, 'cat', size=200, without='eyes').mask('eyes').any()

def test_again():
    "A scene knows how it was drawn."
    a = scene(7, ('cat', 'dog'), 64, background='sofa', objects=1, light=20)
    assert (a.again().image == a.image).all()
    b = a.again(without='ears')
    assert (b.image == scene(7, ('cat', 'dog'), 64, background='sofa', objects=1, light=20, without='ears').image).all()
    with pytest.raises(CamError, match='kept picture'): gallery()[0].again()

@pytest.mark.parametrize('bad, says', [
    ('ear', "Did you mean 'ears'"), ('', 'is unknown'), (3, 'is a int'), ([], 'one or several'),
    ([None], 'one or several'),
    ({'ears': 2}, 'from 1 to 1'), ({'ears': 0}, 'from 1 to 1'), ({'ears': None}, 'None'), ({'ears': []}, "{'ears': 2}"),
    ({'nose': 1}, 'is unknown'), ({'background': 1}, 'no background with a number'), ({'object': 3}, 'from 1 to 2'),
    ({None: 1}, "{'ears': 2}")])
def test_refusals(bad, says):
    with pytest.raises(CamError, match='scene') as e: scene(1, 'cat', objects=2, without=bad)
    assert says in str(e.value)

def test_every_part_can_go():
    assert set(THINGS) - {'animal'} == set(PARTS) - {'background'}
