"Regions and boxes of maps, students of seeds, counts, likeness, a detector: values by hand, identities, refusals."
import pytest, torch
from torch import nn
from camtutor import explain, where as W
from camtutor.course import check_tensor
from camtutor.engine.layers import last_layer
from camtutor.errors import CamError
from camtutor.family import layer_cam
from camtutor.gradcam import capture
from camtutor.networks import heads as H
from camtutor.targets import box, output, region, similar

X = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(2))

def body(seed=0):
    torch.manual_seed(seed)
    pairs = (3, 6), (6, 8), (8, 10)
    return nn.Sequential(*(nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.ReLU()) for a, b in pairs)).eval()

def numbers(k=1): return nn.Sequential(body(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10, k)).eval()

# ---- regions and boxes

def test_segment():
    m = torch.tensor([[[4., 2., -3.]], [[-1., -2., -3.]], [[0., 0., 0.]]])
    check_tensor(W.segment(m, .5), torch.tensor([[[1, 1, 0]], [[0, 0, 0]], [[0, 0, 0]]]).bool())
    check_tensor(W.segment(9 * m, .5), W.segment(m, .5))

def test_the_largest_region_or_all():
    m = torch.zeros(2, 6, 9)
    m[0, 1:4, 2:5], m[0, 5, 8] = 2., 3.
    check_tensor(W.boxes(m, .5), [[2., 1., 5., 4.], [0., 0., 0., 0.]])
    first, none = W.boxes(m, .5, all=True)
    assert sorted(first.tolist()) == [[2., 1., 5., 4.], [8., 5., 9., 6.]] and none.shape == (0, 4)
    check_tensor(W.box_round(W.segment(m, .5)), [[2., 1., 9., 6.], [0., 0., 0., 0.]])

def test_corners_that_touch_are_one_region():
    check_tensor(W.boxes(torch.eye(3)[None], .5), [[0., 0., 3., 3.]])

def test_maps_that_are_none():
    for bad in (torch.ones(3, 3), [1]):
        with pytest.raises(CamError, match='must be a tensor'): W.boxes(bad, .5)

def test_iou():
    a, b = torch.tensor([[0., 0., 2., 2.], [0., 0., 1., 1.]]), torch.tensor([[1., 1., 3., 3.], [5., 0., 6., 1.]])
    check_tensor(W.iou(a, b), [1 / 7, 0.])
    check_tensor(W.iou(a[:, None], a[None]).diagonal(), [1., 1.])
    on, off = torch.ones(1, 2, 2).bool(), torch.zeros(1, 2, 2).bool()
    check_tensor(torch.cat([W.mask_iou(on, on), W.mask_iou(on, off), W.mask_iou(off, off)]), [1., 0., 0.])

def test_one_threshold_for_all():
    m = torch.stack([torch.arange(12.).view(3, 4)] * 3)
    mask = torch.stack([m[0] >= 6, m[0] >= 6, m[0] >= 10])
    assert W.best_threshold(m, mask, (.2, .5, .9)) == .5

def test_pixel_ap_agrees_with_scikit_learn():
    from sklearn.metrics import average_precision_score
    g = torch.Generator().manual_seed(0)
    m, mask = torch.randint(1, 6, (4, 7, 5), generator=g).float(), torch.rand(4, 7, 5, generator=g) > .6
    m[:, 0, 0] = 5.   # one scale for all
    assert W.pixel_ap(m, mask) == pytest.approx(average_precision_score(mask.flatten(), m.flatten()))
    assert W.pixel_ap(torch.ones(4, 7, 5), mask) == pytest.approx(mask.float().mean().item())

# ---- which class each place speaks for

def test_the_class_that_each_place_speaks_for():
    m = torch.tensor([[[[4., 1.], [-1., .3]]], [[[1., 2.], [-2., .2]]]])
    check_tensor(W.parts_by_class(m), torch.tensor([[[0, 1], [-1, -1]]]))      # .3 is less than a tenth of 4
    check_tensor(W.parts_by_class(m, 0.), torch.tensor([[[0, 1], [-1, 0]]]))
    many = torch.cat([m, m / 100], 1)                                          # each picture has its own scale
    check_tensor(W.parts_by_class(many), W.parts_by_class(m).repeat(2, 1, 1))

def test_maps_by_class_add_up_to_the_scores():
    net = numbers(3)
    with torch.no_grad(): scores = net(X)
    m = W.maps_by_class(net, X, '0')
    assert m.shape == (3, 2, 8, 12)
    check_tensor(m.sum((2, 3)).T + net[3].bias.detach(), scores, atol=1e-5)
    check_tensor(W.maps_by_class(net, X, '0', [2, 0]), m[[2, 0]])
    with pytest.raises(CamError, match="has no layer '0.00'"): W.maps_by_class(net, X, '0.00')

# ---- asking again, students

def test_asking_again():
    net = numbers(3)
    once, twice = (W.ask_again(net, X, 1, rounds) for rounds in (1, 2))
    m = explain(net, X, target=1).map
    check_tensor(once, m / m.amax((1, 2), keepdim=True).clamp(min=1e-12))
    assert twice.shape == (2, 64, 96) and (twice >= once - 1e-6).all() and (twice > once + .01).any()
    with pytest.raises(CamError, match='Give a target'): W.ask_again(net, X, None)

def test_seeds():
    check_tensor(W.seeds(torch.tensor([[[9., 5.], [1., 7.]]]), .25, .5), torch.tensor([[[1, 0], [0, -100]]]))
    flat = W.seeds(torch.zeros(1, 10, 10), .1, .3)   # equal values: by lot, and no more than asked for
    assert (flat == 1).sum() == 10 and (flat == 0).sum() == 30

def test_a_student_learns_and_is_explained_at_the_end_of_its_body():
    torch.manual_seed(0)
    net = H.Segmenter(body(), 24, 2)
    with torch.no_grad(): f = net.stages(X)
    lively = f[:, f.std((0, 2, 3)).argmax()]
    labels = (lively > lively.median()).long()
    assert f.shape == (2, 24, 32, 48)
    before = torch.random.get_rng_state()
    H.fit_places(net.head, f, labels, steps=40, bs=2)
    assert torch.equal(before, torch.random.get_rng_state()) and not net.head.training
    net.eval()
    assert (net(X).argmax(1) == labels).float().mean() > .8
    e = explain(net, X, target=region(labels == 1, 1))
    assert e.layer == 'body.2' and e.raw.shape == (2, 8, 12)

# ---- numbers

def test_fit_linear():
    f = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    first, second = f @ torch.tensor([1., -2., .5]) + 4, -f[:, 1]
    both = H.fit_linear(f, torch.stack([first, second], 1), ridge=0.)
    check_tensor(both.weight, [[1., -2., .5], [0., -1., 0.]], rtol=1e-3, atol=1e-4)
    check_tensor(both.bias, [4., 0.], rtol=1e-3, atol=1e-4)
    check_tensor(H.fit_linear(f, first, ridge=0.).weight, both.weight[:1], atol=1e-5)
    assert H.fit_linear(f, f[:, 0], ridge=10.).weight.abs().max() < .2

def test_contrast_adds_up():
    net = numbers()
    _, A, g = capture(net, X, '0', output())
    A0 = A.mean((0, 2, 3))
    with torch.no_grad(): off = net(X)[:, 0] - (A0 @ net[3].weight[0] + net[3].bias[0])
    check_tensor(W.contrast(A, g, A0).sum((1, 2)), off, atol=1e-5)
    check_tensor(W.contrast(*capture(net, X, '0', output(0, -1))[1:], A0), -W.contrast(A, g, A0))

# ---- likeness

def test_triplet():
    e = torch.tensor([[1., 0.], [3., 0.], [0., 1.], [0., 2.]])
    check_tensor(W.triplet(e, torch.tensor([0, 0, 1, 1])), torch.tensor(0.))
    check_tensor(W.triplet(e, torch.tensor([0, 1, 0, 1])), torch.tensor(1.1))

def test_matching():
    scores, votes = W.matching(torch.tensor([[2., 0.]]), torch.tensor([[1., 0.], [0., 1.], [3., 0.]]),
                               torch.tensor([0, 1, 1]), scale=1.)
    v = torch.tensor([[1., 0., 1.]]).softmax(1)
    check_tensor(votes, v)
    check_tensor(scores, torch.stack([v[:, 0], v[:, 1] + v[:, 2]], 1))

def test_leaving_each_known_picture_out():
    g = torch.Generator().manual_seed(3)
    e, support, labels = *(torch.randn(n, 4, generator=g) for n in (5, 6)), torch.tensor([0, 1, 2, 2, 0, 1])
    answer = W.matching(e, support, labels, 3.)[0].argmax(1)
    found = W.lead_without(e, support, labels, 3.)
    assert found.shape == (5, 6) and (found < 0).any() and (found > 0).any()
    for s in range(6):
        keep = torch.arange(6) != s
        rest = W.matching(e, support[keep], labels[keep], 3.)[0]
        own = rest.gather(1, answer[:, None])[:, 0]
        check_tensor(found[:, s], own - rest.scatter(1, answer[:, None], -1).amax(1), atol=1e-5)

def test_a_contrast_of_likeness_adds_up_to_the_cosine():
    net = numbers(4)
    _, A, _ = capture(net, X, '0', similar(torch.ones(4)))
    ordinary = A.mean((0, 2, 3))
    with torch.no_grad():
        net[3].bias.copy_(-net[3].weight @ ordinary)
        e = net(X)
    _, A, g = capture(net, X, '0', similar(e.flip(0)))
    check_tensor(W.contrast(A, g, ordinary).sum((1, 2)), torch.cosine_similarity(e, e.flip(0)), atol=1e-4)

# ---- a detector

def detector():
    torch.manual_seed(1)
    return H.Detector(body(), 10, 3, 8, hidden=8).eval()

def test_a_detector_speaks_as_yolo_does():
    net = detector()
    nn.init.zeros_(net.head[2].weight), nn.init.zeros_(net.head[2].bias)
    out = net(X)
    assert out.shape == (2, 4 + 3, 8 * 12)
    check_tensor(out[0, :4, 0], [4., 4., 24., 24.])         # the middle of the first place, three places wide
    check_tensor(out[0, :4, 13], [12., 12., 24., 24.])      # row 1, column 1 of 12
    check_tensor(out[:, 4:], torch.full((2, 3, 96), .5))

def test_a_box_is_explained_at_the_end_of_the_body_and_near_it():
    net = detector()
    with torch.no_grad(): x, y, w, h = net(X[:1])[0, :4, 3 * 12 + 4]
    target = box((x - w / 2, y - h / 2, x + w / 2, y + h / 2), 2, least=.999)
    assert last_layer(net, X[:1], target) == 'body.2'
    _, A, g = capture(net, X[:1], 'body.2', target)
    rows, columns = layer_cam(A, g)[0].nonzero().T
    assert ((rows - 3).abs() <= 1).all() and ((columns - 4).abs() <= 1).all() and len(rows)

def test_a_detector_is_taught_in_a_moment():
    torch.manual_seed(1)
    net, A = H.Detector(body(), 10, 3, 8), torch.randn(2, 10, 8, 12)
    boxes = [torch.tensor([[8., 10., 30., 40.]]), torch.tensor([[50., 4., 94., 60.], [0., 30., 20., 62.]])]
    labels, before = [torch.tensor([1]), torch.tensor([2, 0])], torch.random.get_rng_state()
    where, what = H.wanted(net, A, boxes, labels)
    check_tensor(where[0, :, 3 * 12 + 2], [19., 25., 22., 30.])      # its middle is in row 3, column 2 of 12
    assert what.sum() == 3 and what[0, 1, 38] == what[1, 2, 4 * 12 + 9] == what[1, 0, 5 * 12 + 1] == 1
    H.fit_boxes(net, A, boxes, labels, steps=120, bs=2, lr=1e-2)
    assert torch.equal(before, torch.random.get_rng_state()) and not net.training
    found, scores = net.read(A)
    for (b, k, sure), true, names in zip(H.detections(torch.cat([found, scores.sigmoid()], 1)), boxes, labels):
        assert sorted(k.tolist()) == sorted(names.tolist())
        assert (W.iou(b[k.argsort()], true[names.argsort()]) > .6).all()

def test_of_boxes_that_overlap_the_surer_one_is_kept():
    out = torch.tensor([[[5., 5., 10., 10.], [6., 5., 10., 10.], [55., 55., 10., 10.], [90., 9., 4., 4.]]]).mT
    out = torch.cat([out, torch.tensor([[[.2, .6, .9, .1], [.7, .1, .3, .2]]])], 1)
    (b, k, sure), = H.detections(out)
    assert k.tolist() == [0, 1] and sure.tolist() == pytest.approx([.9, .7])
    check_tensor(b, [[50., 50., 60., 60.], [0., 0., 10., 10.]])
