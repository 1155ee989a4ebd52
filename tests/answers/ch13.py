"Chapter 13: other right answers, in other styles; each must be accepted."
import re
import torch, torch.nn.functional as F
from torch import nn

def words_by_finditer(text): return [m.group() for m in re.finditer(r"\w+(?:'\w+)?|[^\w\s]", text.lower())]

def words_upside_down(text): return [w.lower() for w in re.findall(r"\w+'\w+|\w+|[^\w\s]", text)]

def numbers_by_hand(texts, words):
    out = torch.zeros(len(texts), max(map(len, texts)), dtype=torch.long)
    for i, t in enumerate(texts):
        for j, w in enumerate(t): out[i, j] = words[w] if w in words else 1
    return out

def numbers_as_lists(texts, words):
    longest = max(len(t) for t in texts)
    return torch.tensor([[words.get(w, 1) for w in t] + [0] * (longest - len(t)) for t in texts])

def mean_by_mask(A, ids):
    there = ids != 0
    return A.masked_fill(~there[:, None], 0).sum(-1) / there.sum(1, keepdim=True)

def mean_one_by_one(A, ids): return torch.stack([a[:, i > 0].mean(1) for a, i in zip(A, ids)])

def cam_by_matmul(weight, A): return weight @ A

def cam_by_broadcast(weight, A): return (weight[None, :, :, None] * A[:, None]).sum(2)

def gxe_einsum(A, g): return torch.einsum('nel,nel->nl', A, g)

def gxe_loop(A, g): return sum(A[:, e] * g[:, e] for e in range(A.shape[1]))

def max_by_one_hot(weight, A):
    only = A * nn.functional.one_hot(A.argmax(2), A.shape[2])
    return weight @ only

def max_by_loop(weight, A):
    out = torch.zeros(len(A), len(weight), A.shape[2])
    for n in range(len(A)):
        for c in range(A.shape[1]):
            l = A[n, c].argmax()
            out[n, :, l] += weight[:, c] * A[n, c, l]
    return out

@torch.no_grad()
def without_by_loop(net, ids, k):
    all_words, keep = net(ids)[0, k], torch.arange(ids.shape[1])
    return torch.stack([all_words - net(ids[:, keep != i])[0, k] for i in range(ids.shape[1])])

def without_by_mask(net, ids, k):
    L = ids.shape[1]
    fewer = ids.expand(L, L)[~torch.eye(L, dtype=torch.bool)].view(L, L - 1)
    with torch.no_grad(): return (net(ids) - net(fewer))[:, k]

def per_word_by_number(pieces, m):
    keep = [i for i, p in enumerate(pieces) if p not in ('[CLS]', '[SEP]', '[PAD]')]
    number = torch.tensor([not pieces[i].startswith('##') for i in keep]).cumsum(0) - 1
    return torch.zeros(int(number[-1]) + 1).index_add(0, number, m[keep])

def per_word_by_groups(pieces, m):
    words = []
    for p, v in zip(pieces, m.tolist()):
        if p in {'[CLS]', '[SEP]', '[PAD]'}: continue
        if p[:2] == '##': words[-1].append(v)
        else: words.append([v])
    return torch.tensor([sum(w) for w in words])

def probabilities_by_sum(maps, bias): return torch.softmax(bias + maps.sum(-1) / maps.shape[-1], dim=-1)

def probabilities_by_hand(maps, bias):
    e = (maps.mean(2) + bias).exp()
    return e / e.sum(1, keepdim=True)

def shades_by_max(m):
    top = torch.maximum(m.amax(1), -m.amin(1))
    return torch.where(top[:, None] > 0, m / top[:, None], torch.zeros_like(m))

def shades_one_by_one(m): return torch.stack([r / r.abs().max() if r.any() else r for r in m])

def on_words_by_zeros(m, widths):
    lost = sum(widths) - len(widths)
    out = m.new_zeros(len(m), m.shape[1] + lost)
    out[:, lost // 2:lost // 2 + m.shape[1]] = m
    return out

def on_words_one_by_one(m, widths):
    for k in widths: m = F.pad(m, ((k - 1) // 2,) * 2)
    return m

ANSWERS = {
    '13.1': (words_by_finditer, words_upside_down),
    '13.2': (numbers_by_hand, numbers_as_lists),
    '13.3': (mean_by_mask, mean_one_by_one),
    '13.4': (cam_by_matmul, cam_by_broadcast),
    '13.5': (gxe_einsum, gxe_loop),
    '13.6': (max_by_one_hot, max_by_loop),
    '13.7': (without_by_loop, without_by_mask),
    '13.9': (per_word_by_number, per_word_by_groups),
    '13.10': (probabilities_by_sum, probabilities_by_hand),
    '13.11': (shades_by_max, shades_one_by_one),
    '13.12': (on_words_by_zeros, on_words_one_by_one),
}
