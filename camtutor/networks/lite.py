"EfficientNet-Lite0 (Tan and Le, 2019): the network for photographs, of torch alone."
import torch.nn.functional as F
from torch import nn

# of each stage: blocks, kernel, stride of the first block, how many times wider it is inside, channels
STAGES = (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), \
    (1, 3, 1, 6, 320)
EPS = 1e-3 # of its batch norms

class Same(nn.Conv2d):
    "A convolution with room at the border as TensorFlow makes it: of an odd number of pixels more on the right, below."
    def __init__(self, ni, nf, k, stride=1, groups=1):
        super().__init__(ni, nf, k, stride, 0 if stride > 1 else k // 2, groups=groups, bias=False)

    def forward(self, x):
        if self.stride == (1, 1): return super().forward(x)   # as much on either side
        need = [max((-(-s // t) - 1) * t + k - s, 0) for s, t, k in zip(x.shape[:1:-1], self.stride, self.kernel_size)]
        return super().forward(F.pad(x, [p for n in need for p in (n // 2, n - n // 2)]))

class NormAct(nn.BatchNorm2d):
    "Batch norm and ReLU6, as one layer."
    def __init__(self, nf):
        super().__init__(nf, eps=EPS)
        self.act = nn.ReLU6(inplace=True)

    def forward(self, x): return self.act(super().forward(x))

class Separable(nn.Module):
    "Each channel by itself, then all of a place: (N,ni,h,w) -> (N,nf,h,w)."
    def __init__(self, ni, nf, k):
        super().__init__()
        self.conv_dw, self.bn1 = Same(ni, ni, k, groups=ni), NormAct(ni)
        self.conv_pw, self.bn2 = nn.Conv2d(ni, nf, 1, bias=False), nn.BatchNorm2d(nf, EPS)

    def forward(self, x): return self.bn2(self.conv_pw(self.bn1(self.conv_dw(x))))

class Inverted(nn.Module):
    "The same, `wider` inside, with a shortcut where nothing changes its size: (N,ni,h,w) -> (N,nf,h/stride,w/stride)."
    def __init__(self, ni, nf, k, stride, wider):
        super().__init__()
        mid, self.short = ni * wider, stride == 1 and ni == nf
        self.conv_pw, self.bn1 = nn.Conv2d(ni, mid, 1, bias=False), NormAct(mid)
        self.conv_dw, self.bn2 = Same(mid, mid, k, stride, groups=mid), NormAct(mid)
        self.conv_pwl, self.bn3 = nn.Conv2d(mid, nf, 1, bias=False), nn.BatchNorm2d(nf, EPS)

    def forward(self, x):
        y = self.bn3(self.conv_pwl(self.bn2(self.conv_dw(self.bn1(self.conv_pw(x))))))
        return y + x if self.short else y

class Lite(nn.Module):
    "(N,3,H,W) -> (N,n_out)."
    def __init__(self, n_out:int=1000):
        super().__init__()
        self.conv_stem, self.bn1 = Same(3, 32, 3, 2), NormAct(32)
        self.blocks, ni = nn.Sequential(), 32
        for n, k, stride, wider, nf in STAGES:
            first = Separable(ni, nf, k) if wider == 1 else Inverted(ni, nf, k, stride, wider)
            self.blocks.append(nn.Sequential(first, *(Inverted(nf, nf, k, 1, wider) for _ in range(n - 1))))
            ni = nf
        self.conv_head, self.bn2 = nn.Conv2d(ni, 1280, 1, bias=False), NormAct(1280)
        self.global_pool, self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(1280, n_out)

    def forward(self, x):
        x = self.blocks(self.bn1(self.conv_stem(x)))
        return self.classifier(self.global_pool(self.bn2(self.conv_head(x))))
