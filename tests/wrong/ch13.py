"Chapter 13: plausible wrong answers that are not in the bank."
import re
import torch, torch.nn.functional as F
from torch import nn

from camtutor.exercises.ch13 import (gradient_x_embedding, max_cam, mean_of_words, numbers, on_its_words, per_word,
                                     probabilities, shades, without_words, word_cam, words_in)

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

# 13.9
def pieces_only(pieces, m): return m[[not p.startswith('[') for p in pieces]]
def pieces_first(pieces, m): return m[[not p.startswith(('[', '##')) for p in pieces]]
def pieces_list(pieces, m): return per_word(pieces, m).tolist()
def pieces_all(pieces, m): return m
def pieces_smallest(pieces, m):
    out = []
    for p, v in zip(pieces, m):
        if p.startswith('##'): out[-1] = torch.minimum(out[-1], v)
        elif p not in ('[CLS]', '[SEP]', '[PAD]'): out.append(v)
    return torch.stack(out)

def pieces_joined_ahead(pieces, m): return per_word(pieces[::-1], m.flip(0)).flip(0)
def pieces_doubled(pieces, m): return 2 * per_word(pieces, m)

# 13.10
def softmax_as_column(maps, bias): return probabilities(maps, bias)[..., None]
def softmax_hard(maps, bias): return F.one_hot(probabilities(maps, bias).argmax(1), len(bias)).float()
def softmax_over_words_summed(maps, bias): return (maps.softmax(2).sum(2) + bias).softmax(1)
def softmax_twice(maps, bias): return probabilities(maps, bias).softmax(1)
def softmax_last(maps, bias): return (maps + bias[:, None]).softmax(-1).mean(1)
def softmax_one_text(maps, bias): return (maps[0].mean(1) + bias).softmax(0)
def softmax_of_classes_averaged(maps, bias): return maps.softmax(1).mean(2)
def softmax_minus(maps, bias): return (maps.mean(2) - bias).softmax(1)

# 13.11
def shades_softmax_over_texts(m): return m.softmax(0)
def shades_doubled(m): return 2 * m.softmax(1) - 1
def shades_clamped(m): return m.clamp(-1, 1)
def shades_std(m): return m / m.std(1, keepdim=True).clamp(min=1e-12)
def shades_eps(m): return m / (m.abs().amax(1, keepdim=True) + 1.)
def shades_in_place(m):
    m /= m.abs().amax(1, keepdim=True).clamp(min=1e-12)
    return m

def shades_negative(m): return -shades(m)
def shades_kept(m): return shades(m)[..., None]

# 13.12
def laid_turned(m, widths): return on_its_words(m, widths).flip(1)
def laid_twice(m, widths): return 2 * on_its_words(m, widths)
def laid_one_early(m, widths):
    side = sum(k // 2 for k in widths)
    return F.pad(m, (side - 1, side + 1))
def laid_one_late(m, widths):
    side = sum(k // 2 for k in widths)
    return F.pad(m, (side + 1, side - 1))
def laid_by_the_first(m, widths): return F.pad(m, (widths[0] // 2,) * 2)
def laid_along_texts(m, widths): return F.pad(m, (0, 0) + (sum(k // 2 for k in widths),) * 2)
def laid_list(m, widths): return on_its_words(m, widths).tolist()
def laid_at_the_front_by_k(m, widths): return F.pad(m, (0, sum(widths) - len(widths)))

WRONG = {
    '13.1': [words_generator, words_reversed, words_once, words_letters_only],
    '13.2': [numbers_lists, numbers_float, numbers_shifted, numbers_cut],
    '13.3': [mean_kept, mean_of_channels, mean_in_place, mean_first_length, mean_list],
    '13.4': [cam_one_text, cam_mean, cam_normalised, cam_squared, cam_turned],
    '13.5': [gxe_kept, gxe_first, gxe_product_of_sums, gxe_half, gxe_negative],
    '13.6': [max_without_weight, max_relu, max_summed, max_smallest],
    '13.7': [without_graph, without_list, without_abs, without_all_classes, without_the_rest, without_training],
    '13.8': [10, 7, '9 words'],
    '13.9': [pieces_only, pieces_first, pieces_list, pieces_all, pieces_smallest, pieces_joined_ahead,
             pieces_doubled],
    '13.10': [softmax_over_words_summed, softmax_twice, softmax_last, softmax_one_text, softmax_of_classes_averaged,
              softmax_minus, softmax_as_column, softmax_hard],
    '13.11': [shades_softmax_over_texts, shades_doubled, shades_clamped, shades_std, shades_eps, shades_in_place,
              shades_negative, shades_kept],
    '13.12': [laid_one_early, laid_one_late, laid_by_the_first, laid_along_texts, laid_list, laid_at_the_front_by_k,
              laid_turned, laid_twice],
}
