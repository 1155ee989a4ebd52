"Chapter 00: other right answers, in other styles; each must be accepted."
import numpy as np

from camtutor.scenes import PARTS

def part_shares_masks(s):
    animal = s.mask('animal')
    return {p: float((s.mask(p) & animal).sum()/animal.sum()) for p in PARTS}

def part_shares_counts(s):
    n = np.bincount(s.parts[s.mask()].ravel(), minlength=len(PARTS))
    return dict(zip(PARTS, (n/n.sum()).tolist()))

def decode_view(x, mean, std):
    return (x*x.new_tensor(std).view(1, 3, 1, 1) + x.new_tensor(mean).view(1, 3, 1, 1)).clamp(min=0, max=1)

def decode_last(x, mean, std):
    return (x.movedim(1, -1)*x.new_tensor(std) + x.new_tensor(mean)).movedim(-1, 1).clip(0, 1)

def accuracy_names(out, names, vocab):
    said = [vocab[i] for i in out.argmax(1).tolist()]
    return sum(a == b for a, b in zip(said, names))/len(names)

def accuracy_dict(out, names, vocab):
    number = {n: i for i, n in enumerate(vocab)}
    return float(np.mean([row.argmax().item() == number[n] for row, n in zip(out, names)]))

def paste_copy(s, colour):
    image = s.image.copy()
    image[~s.mask('animal')] = colour
    return image

def paste_fill(s, colour):
    out = np.empty_like(s.image)
    out[:] = colour
    out[s.instances > 0] = s.image[s.instances > 0]
    return out

ANSWERS = {
    '0.1': (part_shares_masks, part_shares_counts),
    '0.2': (decode_view, decode_last),
    '0.3': (accuracy_names, accuracy_dict),
    '0.4': (paste_copy, paste_fill),
}
