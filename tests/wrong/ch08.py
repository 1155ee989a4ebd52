"Chapter 08: wrong answers that are not in the bank."
import torch

from camtutor.exercises.ch08 import by_otsu, falls, fuse, occlusion, otsu, rise_map, score_cam, sidu_weights

# 8.2

def twice(model, x, target, size, stride): return 2*occlusion(model, x, target, size, stride)
def first_picture(model, x, target, size, stride):
    return occlusion(model, x[:1], target, size, stride).expand(len(x), -1, -1)
def cut(model, x, target, size, stride): return occlusion(model, x, target, size, stride).relu()
def an_axis_more(model, x, target, size, stride): return occlusion(model, x, target, size, stride)[:, None]
def a_list(model, x, target, size, stride): return list(occlusion(model, x, target, size, stride))
def stretched(model, x, target, size, stride):
    m = occlusion(model, x, target, size, stride)
    low, high = m.amin((1, 2), True), m.amax((1, 2), True)
    return (m - low)/(high - low)

# 8.4

def at_places(A, weight, k): return weight[k][:, None, None]*A
def of_each_class(A, weight, k): return A.mean((2, 3))[:, None]*weight
def summed(A, weight, k): return (weight[k]*A.mean((2, 3))).sum(1)
def of_the_first(A, weight, k): return falls(A[:1], weight, k).expand(len(A), -1)
def turned(A, weight, k): return falls(A, weight, k).T
def over_channels(A, weight, k): return weight[k]*A.mean(1)

# 8.5

def doubled(model, x, layer, target): return 2*score_cam(model, x, layer, target)
def axis_more(model, x, layer, target): return score_cam(model, x, layer, target)[:, None]
def of_one(model, x, layer, target): return score_cam(model, x[:1], layer, target).expand(len(x), -1, -1)
def to_one(model, x, layer, target):
    m = score_cam(model, x, layer, target)
    return m/m.amax((1, 2), True)

# 8.6

def halved(f, masks, p=.5): return rise_map(f, masks, p)/2
def only_positive(f, masks, p=.5): return (rise_map(f, masks, p) - f.mean()).relu()
def with_axis(f, masks, p=.5): return rise_map(f, masks, p)[None]

# 8.7

def twice_as_wide(P, P0, width=.25): return 2*sidu_weights(P, P0, width)
def transposed(P, P0, width=.25): return sidu_weights(P, P0, width).T
def one_picture(P, P0, width=.25): return sidu_weights(P[:1], P0[:1], width).expand(len(P), -1)

# 8.8, 8.9, 8.10

def a_bin(v): return round(otsu(v)*256)
def a_tensor(v): return torch.tensor(otsu(v))
def fused_first(maps, gate): return fuse(maps, gate)[:1]
def doubled_map(maps, gate): return 2*fuse(maps, gate)
def numbers(g): return by_otsu(g).nonzero()[:, 0]
def as_float(g): return by_otsu(g).float()

WRONG = {
    '8.2': [twice, first_picture, cut, an_axis_more, a_list, stretched],
    '8.4': [at_places, of_each_class, summed, of_the_first, turned, over_channels],
    '8.5': [doubled, axis_more, of_one, to_one],
    '8.6': [halved, only_positive, with_axis],
    '8.7': [twice_as_wide, transposed, one_picture],
    '8.8': [a_bin, a_tensor],
    '8.9': [doubled_map, fused_first],
    '8.10': [numbers, as_float],
}
