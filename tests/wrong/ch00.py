"Chapter 00: plausible wrong answers that are not in the bank."
import numpy as np, torch

from camtutor.exercises.ch00 import accuracy, changed, collar_flips, decode, fake_shares, part_shares, paste, says_yes
from camtutor.scenes import PARTS

# 0.1
def shares_strict(s):
    return {p: float(s.mask(p).sum()/s.mask().sum()) for p in PARTS if p not in ('background', 'object')}
def shares_per_cent(s): return {p: 100*v for p, v in part_shares(s).items()}
def shares_list(s): return list(part_shares(s).values())
def shares_numbers(s): return {i: v for i, v in enumerate(part_shares(s).values())}
def shares_rounded(s): return {p: round(v, 1) for p, v in part_shares(s).items()}
# 0.2
def fake_uint8(s): return fake_from(s.image.mean(2).astype(np.uint8).astype(int), s)
def fake_from(grey, s):
    edges = np.hypot(*np.gradient(grey))
    return float(edges[s.mask()].sum()/edges.sum()), float(s.mask().mean())
def fake_max_colour(s): return fake_from(s.image.max(2).astype(float), s)
def fake_squared(s):
    down, across = np.gradient(s.image.mean(2))
    edges = down**2 + across**2
    return float(edges[s.mask()].sum()/edges.sum()), float(s.mask().mean())
def fake_first_only(s): return fake_shares(s)[0]
def fake_same_twice(s): return (fake_shares(s)[0],)*2
# 0.3
def accuracy_per_cent(out, names, vocab): return 100*accuracy(out, names, vocab)
def accuracy_always_fox(out, names, vocab): return sum(n == vocab[0] for n in names)/len(names)
def accuracy_min(out, names, vocab): return accuracy(-out, names, vocab)
def accuracy_list(out, names, vocab): return [vocab[i] == n for i, n in zip(out.argmax(1).tolist(), names)]
# 0.4
def decode_reversed(x, mean, std): return decode(x.flip(1), mean, std)
def decode_bytes(x, mean, std): return decode(x, mean, std)*255
def decode_last_axis(x, mean, std): return decode(x, mean, std).permute(0, 2, 3, 1)
def decode_one_mean(x, mean, std): return (x*std[0] + mean[0]).clamp(0, 1)
def decode_sigmoid(x, mean, std):
    return (x*torch.tensor(std)[:, None, None] + torch.tensor(mean)[:, None, None]).sigmoid()
def decode_first(x, mean, std): return decode(x, mean, std)[0]
# 0.6
def yes_scores(out, vocab): return [[n for s, n in zip(row, vocab) if s > 1] for row in out.tolist()]
def yes_minmax(out, vocab):
    p = (out - out.min())/(out.max() - out.min())
    return [[vocab[i] for i in row.argsort(descending=True).tolist() if row[i] > .5] for row in p]
def yes_first_picture(out, vocab): return says_yes(out[:1], vocab)
def yes_upper(out, vocab): return [[vocab[-1 - vocab.index(n)] for n in names] for names in says_yes(out, vocab)]
def yes_dict(out, vocab): return [{n: p.item() for n, p in zip(vocab, row) if p > .5} for row in out.sigmoid()]
# 0.7
def paste_float(s, colour): return paste(s, colour)/255
def paste_white(s, colour): return paste(s, (255, 255, 255))
def paste_zero(s, colour): return s.image*s.mask()[..., None]
def paste_bgr(s, colour): return paste(s, colour[::-1])
# 0.8
def changed_steps(answers): return (answers[1:] != answers[:-1]).any(1).float().mean().item()
def changed_majority(answers): return (answers != answers.mode(0).values).float().mean().item()
def changed_unique(answers): return len(answers.unique())/answers.shape[1]
def changed_rows(answers): return changed(answers.T)
# 0.9
def flips_sum_images(net, draw, seeds):
    a, b = (net(torch.stack([draw(i, c).image for i in seeds])).argmax(1) for c in (False, True))
    return (a != b).float().mean().item()
def flips_score(net, draw, seeds):
    a, b = (net(torch.stack([net.transform(draw(i, c)) for i in seeds])).softmax(1) for c in (False, True))
    return (a - b).abs().mean().item()
def flips_any(net, draw, seeds): return float(collar_flips(net, draw, seeds) > 0)
def flips_stays(net, draw, seeds): return 1 - collar_flips(net, draw, seeds)
def flips_count(net, draw, seeds): return round(collar_flips(net, draw, seeds)*len(seeds))

WRONG = {
    '0.1': [shares_strict, shares_per_cent, shares_list, shares_numbers, shares_rounded],
    '0.2': [fake_uint8, fake_max_colour, fake_squared, fake_first_only, fake_same_twice],
    '0.3': [accuracy_per_cent, accuracy_always_fox, accuracy_min, accuracy_list],
    '0.4': [decode_reversed, decode_bytes, decode_last_axis, decode_one_mean, decode_sigmoid, decode_first],
    '0.6': [yes_scores, yes_minmax, yes_first_picture, yes_upper, yes_dict],
    '0.7': [paste_float, paste_white, paste_zero, paste_bgr],
    '0.8': [changed_steps, changed_majority, changed_unique, changed_rows],
    '0.9': [flips_sum_images, flips_score, flips_any, flips_stays, flips_count],
}
