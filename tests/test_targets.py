"Targets: values by hand, detectors of every kind at tiny size, refusals, and that any method takes them."
import pytest, torch
from torch import nn
from torchvision.models import detection, segmentation
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from camtutor import explain, targets as T
from camtutor.course import check_tensor
from camtutor.engine.forward import Forward
from camtutor.errors import CamError
from camtutor.gradcam import grad_cam_maps

def stages(*widths):
    pairs = zip((3, *widths), widths)
    return nn.Sequential(*(nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.ReLU()) for a, b in pairs))

def body_and(head, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(stages(6, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()

X = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(1))
SCORES = torch.tensor([[1., 5., 2.], [4., -1., 3.]])

# ---- classes, numbers, likeness: by hand

def test_score_and_difference():
    check_tensor(T.score(2)(SCORES), [2., 3.])
    check_tensor(T.score()(SCORES), [5., 4.])
    check_tensor(T.score([1, 2])(SCORES), [5., 3.])
    check_tensor(T.difference(1, 0)(SCORES), [4., -5.])

def test_finer():
    check_tensor(T.finer(2, n=1, gamma=.5)(SCORES), [2 - .5, 3 - 2.])   # nearest to 2 is 1, nearest to 3 is 4

def test_output():
    check_tensor(T.output()(torch.tensor([3., -2.])), [3., -2.])
    check_tensor(T.output(1, -1)(SCORES), [-5., 1.])
    with pytest.raises(CamError, match='sign is 0'): T.output(0, 0)
    with pytest.raises(CamError, match='out of range'): T.output(3)(SCORES)
    with pytest.raises(CamError, match='not scores'): T.output()(SCORES[None])

def test_similar():
    e = torch.tensor([[3., 4.], [0., 2.], [0., 0.]])
    check_tensor(T.similar(torch.tensor([1., 0.]))(e), [.6, 0., 0.])
    check_tensor(T.similar(torch.tensor([[0., 9.], [0., -5.], [1., 1.]]))(e), [.8, -1., 0.])

def test_the_lengths_are_constants():
    e = torch.tensor([[3., 4.]], requires_grad=True)
    g, = torch.autograd.grad(T.similar(torch.tensor([5., 0.]))(e).sum(), e)
    check_tensor(g, [[.2, 0.]])   # with the length in the graph it would be (.128, -.096)

def test_the_map_of_a_likeness_adds_up_to_the_cosine():
    net = nn.Sequential(*body_and(nn.Identity()), nn.Linear(8, 5, bias=False)).eval()
    with torch.no_grad(): e = net(X)
    kept = Forward(net, X, '0', T.similar(e.flip(0)))
    (A, g), = next(kept.back(T.similar(e.flip(0))))
    check_tensor((A * g).sum((1, 2, 3)), torch.cosine_similarity(e, e.flip(0)))

@pytest.mark.parametrize('embedding', [torch.ones(3), torch.ones(3, 2)])
def test_embeddings_that_do_not_fit(embedding):
    with pytest.raises(CamError, match='cannot be compared'): T.similar(embedding)(torch.ones(2, 2))

def test_embeddings_that_are_none():
    for bad in (3., torch.ones(1, 2, 3), torch.ones(2).long()):
        with pytest.raises(CamError, match='must be a tensor'): T.similar(bad)
    with pytest.raises(CamError, match='not embeddings'): T.similar(torch.ones(3))(torch.ones(2, 3, 4, 4))

# ---- a region

def test_region():
    maps = torch.tensor([[[[0., 0.], [0., 0.]], [[1., 2.], [3., 6.]]]])
    mask = torch.tensor([[1, 0], [0, 1]]).bool()
    check_tensor(T.region(mask, 1)(maps), [3.5])
    check_tensor(T.region(mask, 1)({'out': maps, 'aux': maps * 9}), [3.5])
    fine = torch.zeros(4, 4).bool()
    fine[0, 2:] = fine[1, 2] = True                     # three quarters of the place with a 2
    fine[2, 0] = True                                   # a quarter of the place with a 3
    check_tensor(T.region(fine, 1)(maps), [.75 * 2 + .25 * 3])
    check_tensor(T.region(torch.stack([mask, ~mask]), 1)(maps.repeat(2, 1, 1, 1)), [3.5, 2.5])

def test_regions_that_cannot_be():
    maps, mask = torch.ones(2, 3, 4, 4), torch.ones(4, 4).bool()
    with pytest.raises(CamError, match='empty'): T.region(~mask, 0)
    with pytest.raises(CamError, match='must be a tensor'): T.region([1], 0)
    with pytest.raises(CamError, match='out of range'): T.region(mask, 3)(maps)
    with pytest.raises(CamError, match='not maps of scores'): T.region(mask, 0)(torch.ones(2, 3))
    with pytest.raises(CamError, match='3 masks for 2'): T.region(torch.ones(3, 4, 4), 0)(maps)

def test_a_segmentation_network():
    torch.manual_seed(0)
    net = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3).eval()
    mask = torch.zeros(96, 128)
    mask[20:50, 30:70] = 1
    e = explain(net, X, target=T.region(mask, 1))
    assert e.raw.shape[0] == 2 and e.raw.any() and e.layer.startswith('backbone')
    assert e.label == ['class 1 in a region'] * 2

# ---- boxes, by hand

BOXES = torch.tensor([[0., 0., 10., 10.], [1., 0., 11., 10.], [50., 50., 60., 60.]])
DICTS = [dict(boxes=BOXES, labels=torch.tensor([1, 2, 1]), scores=torch.tensor([.9, .7, .95]))]

@pytest.mark.parametrize('xyxy, k, want', [
    ((0, 0, 10, 10), None, .9), ((0, 0, 10, 10), 2, .7), ((49, 50, 59, 60), None, .95), ((0, 0, 10, 8), 1, .9)])
def test_boxes_of_torchvision(xyxy, k, want): check_tensor(T.box(xyxy, k)(DICTS), [want])

def test_one_box_for_each_image():
    check_tensor(T.box(BOXES[[0, 2]], 1)(DICTS * 2), [.9, .95])
    with pytest.raises(CamError, match='2 boxes for 3'): T.box(BOXES[:2])(DICTS * 3)

def test_what_is_there_is_listed():
    with pytest.raises(CamError, match=r'class 2 overlaps \(50, 50, 60, 60\) by 0.5.*class 1 at \(50, 50, 60, 60\), '
                                       r'score 0.95, overlap 1.00; class 1 at \(0, 0, 10, 10\)'):
        T.box((50, 50, 60, 60), 2)(DICTS)
    with pytest.raises(CamError, match='no prediction of class 7'): T.box((0, 0, 10, 10), 7)(DICTS)
    with pytest.raises(CamError, match='nothing at all'): T.box((0, 0, 9, 9))([{k: v[:0] for k, v in DICTS[0].items()}])

def test_how_well_it_has_to_overlap():
    check_tensor(T.box((0, 0, 10, 20), least=.5)(DICTS), [.9])     # intersection 100, union 200
    with pytest.raises(CamError, match='by 0.51'): T.box((0, 0, 10, 20), least=.51)(DICTS)

def test_boxes_of_detr():
    out = dict(pred_logits=torch.tensor([[[3., 1., 9.], [0., 2., 0.]]]),   # the last class is "nothing"
               pred_boxes=torch.tensor([[[.25, .5, .5, 1.], [.75, .5, .5, .5]]]))
    check_tensor(T.box((0, 0, .5, 1))(out), [3.])
    check_tensor(T.box((0, 0, .5, 1), 1)(out), [1.])
    check_tensor(T.box((64, 24, 128, 72), size=(96, 128))(out), [2.])
    with pytest.raises(CamError, match='Give size='): T.box((64, 24, 128, 72))(out)

def test_boxes_of_yolo():
    dense = torch.zeros(1, 4 + 2, 3)
    dense[0, :4] = torch.tensor([[5., 5., 10., 10.], [6., 5., 10., 10.], [55., 55., 10., 10.]]).T
    dense[0, 4:] = torch.tensor([[.2, .6, .9], [.3, .1, .8]])
    for out in (dense, (dense, [torch.ones(3)])):
        check_tensor(T.box((0, 0, 10, 10))(out), [.6])
        check_tensor(T.box((0, 0, 10, 10), 1)(out), [.3])
    with pytest.raises(CamError, match='class 0 at .50, 50, 60, 60'): T.box((80, 80, 90, 90))(dense)

class DenseHead(nn.Module):
    """A stand-in for the head of ultralytics' YOLOs at evaluation: three scales (strides 8, 16, 32) joined along the
    last axis, boxes as centre and size in pixels, class scores after the sigmoid; and the three raw maps beside."""
    def __init__(self, nc=3, width=8):
        super().__init__()
        self.nc, self.heads = nc, nn.ModuleList(nn.Conv2d(width, 4 + nc, 1) for _ in range(3))
    def forward(self, maps):
        raw = [head(m) for head, m in zip(self.heads, maps)]
        return torch.cat([self.decoded(r, s) for r, s in zip(raw, (8, 16, 32))], 2), raw
    def decoded(self, raw, stride):
        y, x = (stride * (torch.arange(n) + .5) for n in raw.shape[2:])
        grid = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))]).flatten(1)
        out = raw.flatten(2)
        return torch.cat([grid + out[:, :2], 3 * stride * out[:, 2:4].exp(), out[:, 4:].sigmoid()], 1)

class Yolo(nn.Module):
    def __init__(self):
        super().__init__()
        smaller = [nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.SiLU()) for _ in range(2)]
        self.model = nn.ModuleList([stages(6, 8, 8), *smaller, DenseHead()])
    def forward(self, x):
        maps = [self.model[0](x)]
        for m in self.model[1:3]: maps.append(m(maps[-1]))
        return self.model[3](maps)

def test_a_dense_detector_with_its_raw_maps_beside():
    torch.manual_seed(0)
    net = Yolo().eval()
    with torch.no_grad(): pred, raw = net(X)
    assert pred.shape == (2, 4 + 3, 12 * 16 + 6 * 8 + 3 * 4)
    assert [r.shape[2:] for r in raw] == [(12, 16), (6, 8), (3, 4)]
    anchor = 12 * 16 + 2 * 8 + 5                     # row 2, column 5 of the middle scale
    xyxy = T.corners(pred[:, :4, anchor])
    want = torch.stack([p[4 + 1, T.ious(T.corners(p[:4].T), b) >= .95].max() for p, b in zip(pred, xyxy)])
    check_tensor(Forward(net, X, 'model.1').score(T.box(xyxy, 1, least=.95)), want)
    e = explain(net, X, target=T.box(xyxy, 1, least=.95), layer='model.1')
    assert e.raw.shape == (2, 6, 8) and e.label == ['class 1 in a box'] * 2
    assert explain(net, X, target=T.box(xyxy, 1)).raw.ndim == 3            # a layer is found without a word
    with pytest.raises(CamError, match='There is: class'): explain(net, X, target=T.box((0, 0, 1, 1)))

def test_boxes_that_are_none():
    for bad in ((1, 2, 3), (10, 0, 5, 5), torch.ones(1, 2, 4)):
        with pytest.raises(CamError, match='no box'): T.box(bad)
    for k in (-1, 'cat', True):
        with pytest.raises(CamError, match='not a number'): T.box((0, 0, 1, 1), k)
    for out in (torch.ones(2, 3), [], dict(a=torch.ones(1))):
        with pytest.raises(CamError, match='a detector gives'): T.box((0, 0, 1, 1))(out)

# ---- boxes of real detectors, tiny, with random weights

def pyramid(): return BackboneWithFPN(stages(8, 12, 16, 40), {'1': '0', '2': '1', '3': '2'}, [12, 16, 40], 32)

def anchors(): return detection.anchor_utils.AnchorGenerator(((16,), (32,), (64,), (96,)), ((.5, 1., 2.),) * 4)

def small_ssd():
    boxes = detection.anchor_utils.DefaultBoxGenerator([[2]] * 4)
    backbone = pyramid()
    del backbone.out_channels   # else it is taken for a list of them
    return detection.ssd.SSD(backbone, boxes, (128, 96), 4, score_thresh=0., topk_candidates=30)

SMALL = dict(min_size=96, max_size=128)
DETECTORS = dict(
    faster_rcnn=lambda: detection.FasterRCNN(pyramid(), 4, rpn_anchor_generator=anchors(), box_score_thresh=0.,
                                             rpn_post_nms_top_n_test=20, **SMALL),
    retinanet=lambda: detection.RetinaNet(pyramid(), 4, anchor_generator=anchors(), score_thresh=0., **SMALL),
    fcos=lambda: detection.FCOS(pyramid(), 4, score_thresh=0., anchor_generator=detection.anchor_utils.AnchorGenerator(
        ((8,), (16,), (32,), (64,)), ((1.,),) * 4), **SMALL),
    ssd=small_ssd)

@pytest.mark.parametrize('name', DETECTORS)
def test_a_detector_of_torchvision(name):
    torch.manual_seed(0)
    net = DETECTORS[name]().eval()
    with torch.no_grad(): out = net(X)
    sides = [o['boxes'][:, 2:] - o['boxes'][:, :2] for o in out]
    first = torch.stack([o['boxes'][s.prod(1).argmax()] for o, s in zip(out, sides)])
    want = [max(s.item() for b, s in zip(o['boxes'], o['scores']) if T.ious(b[None], one)[0] >= .5)
            for o, one in zip(out, first)]
    kept = Forward(net, X, 'backbone.body.3')
    check_tensor(kept.score(T.box(first)), want)
    e = explain(net, X, target=T.box(first))
    assert e.layer == 'backbone.body.3' and e.raw.shape == (2, 6, 8) and e.raw.any() and e.map.shape == (2, 96, 128)
    with pytest.raises(CamError, match='There is: class'): explain(net, X, target=T.box((0, 0, 1, 1)))

def test_the_detectors_of_transformers():
    from transformers import YolosConfig, YolosForObjectDetection
    torch.manual_seed(0)
    config = YolosConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
                         image_size=[96, 128], patch_size=16, num_detection_tokens=5, num_labels=4)
    net = YolosForObjectDetection(config).eval()
    with torch.no_grad(): out = net(X)
    first = T.corners(out.pred_boxes[:, 0]) * torch.tensor([128, 96, 128, 96])
    target = T.box(first, size=(96, 128), least=.99)
    check_tensor(Forward(net, X, 'vit.encoder.layer.0').score(target), out.logits[:, 0, :-1].amax(1))
    assert explain(net, X, target=target, layer='vit.encoder.layer.0').raw.shape[0] == 2

# ---- accepted wherever a target is

def test_unit():
    net = body_and(nn.Linear(8, 3))
    kept = Forward(net, X, '0.0', T.unit('0.1', 4))
    assert torch.equal(kept.score(T.unit('0.1', 4)), Forward(net, X, '0.1').at('0.1')[:, 4].flatten(1).amax(1))

@pytest.mark.parametrize('method', ['grad_cam', 'layer_cam', 'eigen_grad_cam', 'shapley_cam', 'saliency',
                                    'guided_grad_cam', 'full_grad', 'score_cam', 'ablation_cam'])
@pytest.mark.parametrize('target', [T.score(1), T.difference(1, 2), T.finer(1), T.output(2, -1),
                                    T.similar(torch.tensor([1., -2., .5]))], ids=lambda t: t.__name__)
def test_any_method_takes_any_target(method, target):
    net, x = body_and(nn.Linear(8, 3)), X[:, :, :32, :48]
    e = explain(net, x, method, target=target)
    assert e.map.shape == (2, 32, 48) and e.map.isfinite().all() and e.label == [target.__name__] * 2

def test_score_is_the_class():
    net, x = body_and(nn.Linear(8, 3)), X[:, :, :32, :48]
    check_tensor(grad_cam_maps(net, x, '0', T.score(1))[1], grad_cam_maps(net, x, '0', 1)[1])
