"Small heads on a trained body, fitted in seconds: numbers, a segmentation, a detector."
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import nms

def fit_linear(
    f:Tensor,        # features (N,C)
    y:Tensor,        # a number for each (N,), or several (N,K)
    ridge:float=.03, # how much large weights cost
)->nn.Linear:        # C to K
    "The linear layer that predicts numbers best in the sense of least squares, weights kept small."
    y = y[:, None] if y.ndim == 1 else y
    mean, sd = f.mean(0), f.std(0).clamp(min=1e-6)
    z, out = (f - mean) / sd, nn.Linear(f.shape[1], y.shape[1])
    w = torch.linalg.solve(z.T @ z + ridge * len(z) * torch.eye(z.shape[1]), z.T @ (y - y.mean(0))).T / sd
    with torch.no_grad(): out.weight.copy_(w), out.bias.copy_(y.mean(0) - w @ mean)
    return out

# ---- a class for each place

class Segmenter(nn.Module):
    "A body in stages, and a small head that reads all of them at each place: scores (N,K,h,w) on the finest grid."
    def __init__(self, body, channels, k, hidden=32):
        super().__init__()
        self.body = body
        self.head = nn.Sequential(nn.BatchNorm2d(channels), nn.Conv2d(channels, hidden, 1), nn.ReLU(),
                                  nn.Conv2d(hidden, k, 1))
    def stages(self, x): # (N,channels,h,w)
        found = []
        for m in self.body:
            x = m(x)
            if isinstance(m, nn.Sequential): found.append(x)
        return torch.cat([F.interpolate(a, found[0].shape[2:], mode='bilinear') for a in found], 1)
    def forward(self, x): return self.head(self.stages(x))

def fit_places(
    head,          # a network, trained in place
    f:Tensor,      # what it reads (N,C,h,w)
    labels:Tensor, # (N,h,w), -100 where nothing is said
    steps:int=120, bs:int=4, lr:float=1e-2, seed:int=0, # of AdamW
):                 # the head, in eval mode
    "Fit a head on features that were computed once; the random numbers of the session stay as they were."
    def loss(i): return F.cross_entropy(head(f[i]), labels[i])
    return fitted(head, loss, len(f), steps, bs, lr, seed)

def fitted(head, loss, n, steps, bs, lr, seed):
    "A head after some steps of AdamW on a loss of picture numbers; the session's random numbers stay as they were."
    opt, rng = torch.optim.AdamW(head.train().parameters(), lr, weight_decay=.05), torch.Generator().manual_seed(seed)
    for _ in range(steps):
        opt.zero_grad()
        loss(torch.randint(n, (bs,), generator=rng)).backward()
        opt.step()
    return head.eval()

# ---- boxes

class Detector(nn.Module):
    "A body, and at each of its places one box and K scores: (N,4+K,places), boxes as centre, width, height in pixels."
    def __init__(self, body, channels, k, stride, hidden=64):
        super().__init__()
        self.body, self.stride = body, stride
        self.head = nn.Sequential(nn.Conv2d(channels, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, 4 + k, 1))
    def read(self, A): # boxes (N,4,places) and scores before the sigmoid (N,K,places)
        y, x = (self.stride * (torch.arange(n, device=A.device) + .5) for n in A.shape[2:])
        grid = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))]).flatten(1)
        out = self.head(A).flatten(2)
        return torch.cat([grid + self.stride * out[:, :2], 3 * self.stride * out[:, 2:4].exp()], 1), out[:, 4:]
    def forward(self, x):
        boxes, scores = self.read(self.body(x))
        return torch.cat([boxes, scores.sigmoid()], 1)

def fit_boxes(
    net:Detector,
    A:Tensor, # what its body gives (N,C,h,w)
    boxes,    # of each picture the boxes (R,4), left, top, right, bottom
    labels,   # and their class numbers (R,)
    steps:int=250, bs:int=16, lr:float=3e-3, seed:int=0, # of AdamW
):            # the detector, in eval mode
    "Teach a detector's head: a box is the business of the place that holds its middle."
    net.head[2].bias.data[4:] = -4   # at first it sees nothing anywhere
    where, what = wanted(net, A, boxes, labels)
    def loss(i):
        found, scores = net.read(A[i])
        on = what[i].amax(1) > 0
        sure = F.binary_cross_entropy_with_logits(scores, what[i], pos_weight=torch.tensor(5.), reduction='sum')
        return sure / on.sum() + (found - where[i]).abs().sum(1)[on].mean() / (2 * net.stride)
    fitted(net.head, loss, len(A), steps, bs, lr, seed)
    return net.eval()

def wanted(net, A, boxes, labels):
    "What a detector should say: boxes (N,4,places), classes (N,K,places)."
    n, (h, w), k = len(A), A.shape[2:], net.head[2].out_channels - 4
    where, what = torch.zeros(n, 4, h * w), torch.zeros(n, k, h * w)
    for i, (found, names) in enumerate(zip(boxes, labels)):
        middle, side = (found[:, :2] + found[:, 2:]) / 2, found[:, 2:] - found[:, :2]
        x, y = (middle / net.stride).long().T
        place = y.clamp(max=h - 1) * w + x.clamp(max=w - 1)
        where[i, :, place], what[i, names, place] = torch.cat([middle, side], 1).T, 1.
    return where, what

def detections(
    out:Tensor,      # what a `Detector` gives (N,4+K,places)
    least:float=.3,  # how sure it has to be
    overlap:float=.4, # of two that overlap more, the surer one is kept
):                   # for each picture: boxes (R,4), class numbers (R,), scores (R,), the likeliest first
    "The boxes that a detector draws."
    for one in out.detach():
        sure, k = one[4:].max(0)
        b = torch.cat([one[:2] - one[2:4] / 2, one[:2] + one[2:4] / 2]).T
        keep = nms(b, sure, overlap)
        keep = keep[sure[keep] > least]
        yield b[keep], k[keep], sure[keep]
