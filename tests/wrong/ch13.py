"Chapter 13: plausible wrong answers that are not in the bank."
import re
import torch
from torch import nn

from camtutor.exercises.ch13 import (gradient_x_embedding, max_cam, mean_of_words, numbers, without_words, word_cam,
                                     words_in)

# 13.1
def words_generator(text): return (w for w in words_in(text))
def words_reversed(text): return words_in(text)[::-1]
def words_once(text): return list(dict.fromkeys(words_in(text)))
def words_letters_only(text): return re.findall(r"[^\W\d_]+(?:'\w+)?|[^\w\s]", text.lower())

# 13.2
def numbers_lists(texts, words): return [[words.get(w, 1) for w in t] for t in texts]
def numbers_float(texts, words): return numbers(texts, words).float()
def numbers_shifted(texts, words): return numbers(texts, words) + 1
def numbers_cut(texts, words): return numbers([t[:min(map(len, texts))] for t in texts], words)

# 13.3
def mean_kept(A, ids): return mean_of_words(A, ids)[..., None]
def mean_of_channels(A, ids): return (A * (ids > 0)[:, None]).mean(1)
def mean_in_place(A, ids):
    A *= (ids > 0)[:, None]
    return A.sum(2) / (ids > 0).sum(1, keepdim=True)
def mean_first_length(A, ids): return A[:, :, :int((ids[0] > 0).sum())].mean(2)
def mean_list(A, ids): return [a[:, i > 0].mean(1) for a, i in zip(A, ids)]

# 13.4
def cam_one_text(weight, A): return torch.einsum('kc,cl->kl', weight, A[0])
def cam_mean(weight, A): return word_cam(weight, A) / A.shape[2]
def cam_normalised(weight, A):
    m = word_cam(weight, A)
    return m / m.abs().amax()
def cam_squared(weight, A): return word_cam(weight**2, A)
def cam_turned(weight, A): return word_cam(weight, A).flip(2)

# 13.5
def gxe_kept(A, g): return (A * g).sum(1, keepdim=True)
def gxe_first(A, g): return (A[:1] * g[:1]).sum(1).expand(len(A), -1)
def gxe_product_of_sums(A, g): return A.sum(1) * g.sum(1)
def gxe_half(A, g): return gradient_x_embedding(A, g) / 2
def gxe_negative(A, g): return -gradient_x_embedding(A, g)

# 13.6
def max_without_weight(weight, A): return word_cam((weight > 0).float(), A * (A == A.amax(2, keepdim=True)))
def max_relu(weight, A): return max_cam(weight, A).relu()
def max_summed(weight, A): return max_cam(weight, A).sum(2)
def max_smallest(weight, A): return word_cam(weight, A * (A == A.amin(2, keepdim=True)))

# 13.7
def without_graph(net, ids, k):
    fewer = torch.stack([torch.cat([ids[0, :i], ids[0, i + 1:]]) for i in range(ids.shape[1])])
    return net(ids)[0, k] - net(fewer)[:, k]
def without_list(net, ids, k): return without_words(net, ids, k).tolist()
def without_abs(net, ids, k): return without_words(net, ids, k).abs()
def without_all_classes(net, ids, k): return torch.stack([without_words(net, ids, c) for c in range(3)], 1)
def without_the_rest(net, ids, k):
    "Only the word itself is read."
    with torch.no_grad(): return torch.cat([net(ids[:, i:i + 1])[:, k] for i in range(ids.shape[1])])
def without_training(net, ids, k):
    net.train()
    return without_words(net, ids, k)

WRONG = {
    '13.1': [words_generator, words_reversed, words_once, words_letters_only],
    '13.2': [numbers_lists, numbers_float, numbers_shifted, numbers_cut],
    '13.3': [mean_kept, mean_of_channels, mean_in_place, mean_first_length, mean_list],
    '13.4': [cam_one_text, cam_mean, cam_normalised, cam_squared, cam_turned],
    '13.5': [gxe_kept, gxe_first, gxe_product_of_sums, gxe_half, gxe_negative],
    '13.6': [max_without_weight, max_relu, max_summed, max_smallest],
    '13.7': [without_graph, without_list, without_abs, without_all_classes, without_the_rest, without_training],
    '13.8': [10, 7, '9 words'],
}
