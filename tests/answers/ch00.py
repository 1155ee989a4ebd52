"Chapter 00: other right answers, in other styles; each must be accepted."
import numpy as np, torch

from camtutor.scenes import PARTS

def part_shares_masks(s):
    animal = s.mask('animal')
    return {p: float((s.mask(p) & animal).sum()/animal.sum()) for p in PARTS}

def part_shares_counts(s):
    n = np.bincount(s.parts[s.mask()].ravel(), minlength=len(PARTS))
    return dict(zip(PARTS, (n/n.sum()).tolist()))

def fake_shares_torch(s):
    dy, dx = torch.gradient(torch.tensor(s.image).double().mean(2))
    m, mask = (dy**2 + dx**2).sqrt(), torch.tensor(s.mask())
    return ((m*mask).sum()/m.sum()).item(), mask.double().mean().item()

def fake_shares_normed(s):
    m = np.linalg.norm(np.stack(np.gradient(s.image.sum(2)/3)), axis=0)
    m /= m.sum()
    return [m[s.instances > 0].sum(), (s.instances > 0).mean()]

def accuracy_names(out, names, vocab):
    said = [vocab[i] for i in out.argmax(1).tolist()]
    return sum(a == b for a, b in zip(said, names))/len(names)

def accuracy_dict(out, names, vocab):
    number = {n: i for i, n in enumerate(vocab)}
    return float(np.mean([row.argmax().item() == number[n] for row, n in zip(out, names)]))

def decode_view(x, mean, std):
    return (x*x.new_tensor(std).view(1, 3, 1, 1) + x.new_tensor(mean).view(1, 3, 1, 1)).clamp(min=0, max=1)

def decode_last(x, mean, std):
    return (x.movedim(1, -1)*x.new_tensor(std) + x.new_tensor(mean)).movedim(-1, 1).clip(0, 1)

def says_yes_sorted(out, vocab):
    yes = [[(s, n) for s, n in zip(row, vocab) if s > 0] for row in out.tolist()]
    return [[n for _, n in sorted(row, reverse=True)] for row in yes]

def says_yes_loop(out, vocab):
    names = []
    for row in torch.sigmoid(out):
        values, order = row.sort(descending=True)
        names.append([vocab[i] for v, i in zip(values, order) if v > .5])
    return names

def paste_copy(s, colour):
    image = s.image.copy()
    image[~s.mask('animal')] = colour
    return image

def paste_fill(s, colour):
    out = np.empty_like(s.image)
    out[:] = colour
    out[s.instances > 0] = s.image[s.instances > 0]
    return out

def changed_sets(answers): return sum(len(set(c)) > 1 for c in answers.T.tolist())/answers.shape[1]

def changed_extremes(answers): return (answers.amax(0) > answers.amin(0)).double().mean().item()

def flips_one_by_one(net, draw, seeds):
    n = 0
    for i in seeds:
        a, b = (net(net.transform(draw(i, c))[None]).argmax().item() for c in (True, False))
        n += a != b
    return n/len(seeds)

def flips_one_batch(net, draw, seeds):
    x = torch.stack([net.transform(draw(i, c)) for c in (False, True) for i in seeds])
    off, on = net(x).max(1).indices.chunk(2)
    return off.ne(on).double().mean().item()

ANSWERS = {
    '0.1': (part_shares_masks, part_shares_counts),
    '0.2': (fake_shares_torch, fake_shares_normed),
    '0.3': (accuracy_names, accuracy_dict),
    '0.4': (decode_view, decode_last),
    '0.6': (says_yes_sorted, says_yes_loop),
    '0.7': (paste_copy, paste_fill),
    '0.8': (changed_sets, changed_extremes),
    '0.9': (flips_one_by_one, flips_one_batch),
}
