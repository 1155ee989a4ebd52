"Baselines, scenes with known answers, and the interval of a mean."
import pytest, torch
from camtutor.cam import energy, own_share
from camtutor.course import check_tensor
from camtutor.errors import CamError
from camtutor.networks import load_plain, small_resnet
from camtutor.truth import BASELINES, centre_blob, edges, mean_interval, one_animal, two_animals, uniform

def test_baselines_have_a_map_for_each_picture():
    x = torch.rand(2, 3, 40, 56)
    for f in BASELINES.values():
        m = f(x)
        assert m.shape == (2, 40, 56) and (m >= 0).all() and m.isfinite().all()
    check_tensor(uniform(x), torch.ones(2, 40, 56))

def test_edges_are_where_the_picture_changes():
    x = torch.zeros(1, 3, 32, 32)
    x[..., 16:] = 1
    m = edges(x)[0]
    assert m[8].argmax().item() in range(11, 21) and m[8, :10].max() == 0 == m[8, 24:].max()

def test_the_blob_is_in_the_middle():
    m = centre_blob(torch.rand(1, 3, 33, 65))[0]
    assert divmod(m.argmax().item(), 65) == (16, 32)
    check_tensor(m, m.flip(0).flip(1))

@pytest.mark.parametrize('f', BASELINES.values())
def test_one_picture_needs_its_batch_axis(f):
    with pytest.raises(CamError, match=r'x\[None\]'): f(torch.rand(3, 8, 8))

def test_scenes_with_two_animals():
    net = load_plain()
    d = two_animals(net, 3)
    assert d.x.shape == (3, 3, 128, 128) and d.classes.shape == (3, 2) and d.masks.shape == (3, 2, 128, 128)
    for s, (a, b), m in zip(d.scenes, d.classes, d.masks):
        assert [net.vocab[a], net.vocab[b]] == list(s.species)
        assert not (m[0] & m[1]).any() and m.flatten(1).any(1).all()

def test_scenes_with_one_animal():
    d = one_animal(load_plain(), 9)
    assert d.classes[:, 0].tolist() == [*range(8), 0] and d.masks.shape == (9, 1, 128, 128)

def test_a_network_that_does_not_know_its_classes():
    with pytest.raises(CamError, match='no vocab'): two_animals(small_resnet(2))

def test_what_ignores_the_class_has_half_of_the_pair():
    d = two_animals(load_plain(), 4)
    for f in BASELINES.values():
        m = f(d.x)
        check_tensor(own_share(m, *d.masks.unbind(1)) + own_share(m, *d.masks.flip(1).unbind(1)), torch.ones(4))

def test_own_share_by_hand():
    m = torch.tensor([[[3., 1., 5.]], [[-3., -1., 5.]], [[-3., 2., 0.]]])
    own, other = (torch.tensor([[where]]).expand(3, 1, 3) for where in ([True, False, False], [False, True, False]))
    check_tensor(own_share(m, own, other), torch.tensor([.75, .5, 0.]))
    check_tensor(energy(m[:1], own[:1]), torch.tensor([3/9]))

def test_mean_interval():
    mean, low, high = mean_interval(torch.tensor([0., 1.] * 50))
    assert mean == .5 and .38 < low < .44 and .56 < high < .62
    assert mean_interval([2., 2.]) == (2., 2., 2.)
    with pytest.raises(CamError, match='no values'): mean_interval([])
