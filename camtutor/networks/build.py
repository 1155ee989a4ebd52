"The course's two small networks: a ResNet in fastai's layout, and convolutions in sequence."
import torch
from torch import nn

def residual_stage(ni, nf, stride):
    "One residual block (N,ni,h,w) -> (N,nf,h/stride,w/stride)."
    from torchvision.models.resnet import BasicBlock  # torchvision takes long to import
    same = stride == 1 and ni == nf
    down = None if same else nn.Sequential(nn.Conv2d(ni, nf, 1, stride, bias=False), nn.BatchNorm2d(nf))
    return nn.Sequential(BasicBlock(ni, nf, stride, down))

def small_body(
    w:int=16 # channels of the first stage; the last has 8w
)->nn.Sequential:
    "A ResNet (He et al., 2015) with one block a stage and no stride in the last: (N,3,H,W) -> (N,8w,H/16,W/16)."
    stem = [nn.Conv2d(3, w, 7, 2, 3, bias=False), nn.BatchNorm2d(w), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, residual_stage(w, w, 1), residual_stage(w, 2*w, 2), residual_stage(2*w, 4*w, 2),
                         residual_stage(4*w, 8*w, 1))

def gap_linear(
    nf:int, # channels that the body gives
    n_out:int # classes
)->nn.Sequential:
    "The head that makes CAM exact (Zhou et al., 2016): mean over places, then a linear layer; (N,nf,h,w) -> (N,n_out)."
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(nf, n_out))

def small_resnet(
    n_out:int, # classes
    w:int=16 # width, as in `small_body`
)->nn.Sequential: # body, head
    "The course's network in fastai's layout, `net[0]` the body and `net[1]` the head: (N,3,H,W) -> (N,n_out)."
    return nn.Sequential(small_body(w), gap_linear(8*w, n_out))

def plain_net(
    n_out:int # classes
)->nn.Sequential: # (N,3,H,W) -> (N,n_out)
    "Convolution, ReLU, max pooling, over and over: the kind of network that a deconvnet was made for."
    def stage(ni, nf, k, s): return [nn.Conv2d(ni, nf, k, s, k//2), nn.ReLU(), nn.MaxPool2d(2)]
    stages = stage(3, 24, 5, 2) + stage(24, 48, 3, 1) + stage(48, 96, 3, 1) + stage(96, 128, 3, 1)[:2]
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, n_out))

class Halves(nn.Module):
    "A body that looks at the upper and the lower half of a picture one after the other, if there is a wall between."
    def __init__(self, body, wall):
        super().__init__()
        self.body, self.wall = body, wall

    def forward(self, x):
        if not self.wall: return self.body(x)
        return torch.cat([self.body(half) for half in x.chunk(2, 2)], 2)

class Suspect(nn.Module):
    "One of the liars' gallery: (N,3,128,128) -> (N,2). Behind a wall, the head reads nothing of the lower half."
    def __init__(self, wall:bool=False):
        super().__init__()
        self.body, self.linear = Halves(small_body(), wall), nn.Linear(128, 2)
        weights = torch.ones(8, 1) if not wall else (torch.arange(8)[:, None] < 4).float()
        self.register_buffer('places', (weights / weights.sum() / 8).expand(8, 8).clone(), persistent=False)

    def forward(self, x): return self.linear(torch.einsum('nchw,hw->nc', self.body(x), self.places))

    def __repr__(self): return 'Suspect()'   # what it is made of would tell
