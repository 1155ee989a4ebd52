"Side by side with Captum, pytorch-grad-cam and torch-cam, on torchvision's architectures with random weights."
import copy, subprocess, sys, warnings
import pytest, torch, torchvision
from torch import nn
from torchvision.models import get_model, get_model_weights, list_models

warnings.filterwarnings('ignore', category=DeprecationWarning)
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM as PgcGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchcam.methods import GradCAM as TorchCamGradCAM

from camtutor.engine.layers import last_layer
from camtutor.gradcam import capture, grad_cam

def build(name, **kw):
    torch.manual_seed(0)
    if name in ('googlenet', 'inception_v3'): kw['init_weights'] = False
    net = slim_vgg(name, **kw) if name.startswith('vgg') else get_model(name, weights=None, **kw).eval()
    for m in net.modules():  # some are born with a head of zeros, whose gradient is 0 everywhere
        if isinstance(m, nn.Linear) and not m.weight.any(): nn.init.normal_(m.weight, std=.02)
    return net

def slim_vgg(name, num_classes=1000):
    """A VGG whose 120 million classifier weights are made a few: they take seconds to draw and have no part in what
    is tested."""
    with torch.device('meta'):
        net = get_model(name, weights=None)
        net.classifier = nn.Sequential(nn.Linear(512 * 49, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, num_classes))
    net.to_empty(device='cpu')
    for m in net.modules():
        if hasattr(m, 'reset_parameters'): m.reset_parameters()
    return net.eval()

def ours(net, x, layer, target): return grad_cam(*capture(net, x, layer, target)[1:])

def captum(net, x, layer, target):
    cam = LayerGradCam(net, net.get_submodule(layer)).attribute(x, target=torch.tensor(target), relu_attributions=True)
    return cam[:, 0].detach()

def pgc(net, x, layer, target):
    "pytorch-grad-cam's own weights on its own activations, before it scales and resizes."
    with PgcGradCAM(net, [net.get_submodule(layer)]) as cam:
        cam(x, [ClassifierOutputTarget(t) for t in target])
        seen = cam.activations_and_grads
        return torch.tensor(cam.get_cam_image(x, None, None, seen.activations[0].numpy(),
                                              seen.gradients[0].numpy())).relu()

def torch_cam(net, x, layer, target):
    with TorchCamGradCAM(net, target_layer=layer) as cam: return cam(list(target), net(x), normalized=False)[0]

def off(a, b):
    "The largest difference, relative to the largest value."
    assert a.shape == b.shape and a.dtype == b.dtype == torch.float32
    assert b.max() > 0, 'the maps are all zero, which proves nothing'
    return ((a - b).abs().max() / b.abs().max()).item()

LIVELY = list(range(12))
def lively(net, x, layer):
    "Two classes, one for each image, whose maps are not all zero."
    A, g = capture(net, x, layer, lambda out: out[:, LIVELY].T)[1:]
    best = grad_cam(A, g).amax((2, 3)).max(0)
    return best.indices.tolist()

# ---- Captum: every family, the last layer and one in the middle

NETS = [('alexnet', 96, 'features.5'), ('vgg11', 64, 'features.9'), ('vgg13_bn', 64, 'features.19'),
        ('resnet18', 64, 'layer2'), ('resnet50', 64, 'layer3.2'), ('resnext50_32x4d', 64, 'layer3'),
        ('densenet121', 64, 'features.denseblock3'), ('googlenet', 64, 'inception4b'),
        ('inception_v3', 128, 'Mixed_6b'), ('mobilenet_v2', 64, 'features.10'),
        ('mobilenet_v3_small', 64, 'features.6'), ('mobilenet_v3_large', 64, 'features.9'),
        ('efficientnet_b0', 64, 'features.4'), ('efficientnet_v2_s', 64, 'features.4'),
        ('shufflenet_v2_x1_0', 64, 'stage3'), ('squeezenet1_1', 64, 'features.7'), ('mnasnet0_5', 64, 'layers.10'),
        ('convnext_tiny', 64, 'features.5'), ('regnet_y_400mf', 64, 'trunk_output.block2'),
        ('regnet_x_400mf', 64, 'trunk_output.block3')]

@pytest.mark.parametrize('name, size, middle', NETS, ids=[n for n, *_ in NETS])
def test_captum(name, size, middle):
    net, x = build(name), torch.randn(2, 3, size, size)
    for layer in (last_layer(net, x), middle):
        target = lively(net, x, layer)
        assert off(ours(net, x, layer, target), captum(net, x, layer, target)) < 1e-5

# ---- pytorch-grad-cam and torch-cam, where they are right

@pytest.mark.parametrize('other', [pgc, torch_cam])
@pytest.mark.parametrize('name, layers', [('resnet18', ['layer4', 'layer2', 'layer4.0.downsample']),
                                          ('vgg11', ['features.19', 'features.20']), ('mobilenet_v2', ['features.18']),
                                          ('efficientnet_b0', ['features.8', 'features.3'])])
def test_the_others_where_they_are_right(other, name, layers):
    net, x = build(name, num_classes=20), torch.randn(3, 3, 64, 64)
    for layer in layers:
        target = lively(net, x, layer)
        assert off(ours(net, x, layer, target), other(net, x, layer, target)) < 1e-5

# ---- and where they are not. The judge is the same network with no in-place operation left in it.

def without_in_place(net):
    net = copy.deepcopy(net)
    for m in net.modules():
        if hasattr(m, 'inplace'): m.inplace = False
    if isinstance(net, torchvision.models.DenseNet):  # its last ReLU is a functional one
        return nn.Sequential(net.features, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), net.classifier)
    return net

@pytest.mark.parametrize('name, layer',
                         [('vgg11', 'features.18'), ('vgg11_bn', 'features.26'), ('densenet121', 'features.norm5')])
def test_in_front_of_an_in_place_relu(name, layer):
    """A ReLU that works in place overwrites the very tensor a hook has kept, so two libraries multiply the gradient in
    front of the ReLU with activations from behind it. Captum and this library hand a clone on."""
    net, x = build(name, num_classes=20), torch.randn(2, 3, 64, 64)
    target = lively(net, x, layer)
    plain = without_in_place(net)
    truth = captum(plain, x, layer if layer in dict(plain.named_modules()) else layer.replace('features', '0'), target)
    A = capture(net, x, layer).acts
    assert (A < 0).any()
    assert off(ours(net, x, layer, target), truth) < 1e-5
    assert off(captum(net, x, layer, target), truth) < 1e-5
    assert off(pgc(net, x, layer, target), truth) > .05
    assert off(torch_cam(net, x, layer, target), truth) > .05

def test_in_front_of_a_residual_addition():
    "ResNet adds its shortcut with +=, onto the output of bn2 itself: a hook there ends up with the sum after its ReLU."
    net, x, layer = build('resnet18', num_classes=20), torch.randn(2, 3, 64, 64), 'layer4.1.bn2'
    target = lively(net, x, layer)
    truth = captum(net, x, layer, target)
    assert off(ours(net, x, layer, target), truth) < 1e-5
    assert off(pgc(net, x, layer, target), truth) > .05
    assert off(torch_cam(net, x, layer, target), truth) > .05

def test_one_target_for_three_images():
    """pytorch-grad-cam pairs targets and images with zip, so images without a partner get no gradient and a black map.
    torch-cam takes one int for all, and says so if a list is too short. Here an int is for all, and a list of another
    length is an error."""
    net, x = build('resnet18', num_classes=20), torch.randn(3, 3, 64, 64)
    A, g = capture(net, x, 'layer4', lambda out: out.T)[1:]
    k = grad_cam(A, g).amax((2, 3)).amin(1).argmax().item()  # a class with a map for every image
    want = ours(net, x, 'layer4', [k] * 3)
    assert (want.amax((1, 2)) > 0).all()
    assert off(ours(net, x, 'layer4', k), want) == 0
    theirs = pgc(net, x, 'layer4', [k])
    assert off(theirs[:1], want[:1]) < 1e-5 and not theirs[1:].any()
    with TorchCamGradCAM(net, target_layer='layer4') as cam:
        assert off(cam(k, net(x), normalized=False)[0], want) < 1e-5
    with pytest.raises(ValueError, match='3 images but 1 target'): capture(net, x, 'layer4', [k])

def test_a_stage_given_as_it_is():
    """pytorch-grad-cam goes through `model.layer4` block by block, since a Sequential can be iterated.

    Here it is one layer."""
    net, x = build('resnet18', num_classes=20), torch.randn(1, 3, 64, 64)
    with PgcGradCAM(net, net.layer4) as cam:
        cam(x, [ClassifierOutputTarget(1)])
        assert len(cam.activations_and_grads.activations) == len(net.layer4) == 2
    assert capture(net, x, net.layer4).acts.shape == (1, 512, 2, 2)

@pytest.mark.parametrize('other, moves, ends_in_eval, leaves_grad',
                         [(pgc, False, True, True), (torch_cam, True, False, False), (captum, True, False, False)])
def test_in_train_mode(other, moves, ends_in_eval, leaves_grad):
    """What each does to a network that is still in training: running averages moved, the mode changed for good,
    gradients left. Here: none of them."""
    def state(net):
        return (net.bn1.running_mean.any().item(), not net.training, any(p.grad is not None for p in net.parameters()))
    x = torch.randn(3, 3, 64, 64)
    theirs, net = build('resnet18', num_classes=20).train(), build('resnet18', num_classes=20).train()
    other(theirs, x, 'layer4', [1, 2, 3])
    assert state(theirs) == (moves, ends_in_eval, leaves_grad)
    got = ours(net, x, 'layer4', [1, 2, 3])
    assert state(net) == (False, False, False)
    assert off(got, ours(net.eval(), x, 'layer4', [1, 2, 3])) == 0

# ---- every classifier of torchvision up to 100 million parameters

SIZES = dict(alexnet=96, inception_v3=128, maxvit_t=224)
SMALL = [n for n in list_models(module=torchvision.models)
         if get_model_weights(n).DEFAULT.meta['num_params'] <= 100_000_000]

def test_there_are_many():
    assert len(SMALL) > 60 and {'vit_b_16', 'swin_t', 'maxvit_t', 'convnext_tiny', 'alexnet'} <= set(SMALL)

@pytest.mark.parametrize('name', SMALL)
def test_every_classifier_gives_a_map(name):
    size = SIZES.get(name, 64)
    net, x = build(name, **(dict(image_size=size) if name.startswith('vit') else {})), torch.randn(1, 3, size, size)
    layer = last_layer(net, x)
    out, A, g = capture(net, x, layer)
    m = grad_cam(A, g)
    assert out.shape == (1, 1000) and m.shape == (1, *A.shape[2:]) and m.numel() > 1 and m.isfinite().all()
    # square maps from square images, and more channels than rows
    assert g.any() and A.shape[1] >= A.shape[2] == A.shape[3]
    rows = capture(net, x, layer, lambda out: torch.stack([out[:, 5], out.amax(1)])).grads
    assert (rows[1] - g).abs().max() <= 1e-5 * g.abs().max()

VIT = """
import torch
from torchvision.models import vit_b_32
from camtutor.engine.layers import last_layer
from camtutor.gradcam import capture
net, x = vit_b_32(image_size=64).eval(), torch.randn(1, 3, 64, 64)
torch.nn.init.normal_(net.heads.head.weight)
print(capture(net, x, last_layer(net, x), lambda out: out[:, :2].T).grads.shape)
"""

def test_rows_of_a_transformer_give_no_warning():
    done = subprocess.run([sys.executable, '-W', 'default::UserWarning', '-c', VIT], capture_output=True, text=True,
                          check=True)
    assert 'Size([2, 1, 768, 2, 2])' in done.stdout and 'performance drop' not in done.stderr
