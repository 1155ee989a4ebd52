"Words on a coloured ground: what a map says of each, in a notebook, in a terminal, in a file."
from html import escape
from pathlib import Path

import matplotlib as mpl
import torch
from torch import Tensor

from camtutor.errors import CamError, describe, doing
from camtutor.files import write_whole

__all__ = ['show_words', 'Words']

def luminance(rgb):
    "Relative luminance of a colour, as the contrast rules of WCAG 2 define it."
    linear = [v / 12.92 if v <= .04045 else ((v + .055) / 1.055)**2.4 for v in rgb]
    return sum(a * b for a, b in zip((.2126, .7152, .0722), linear))

def ink(rgb): return '#000' if luminance(rgb) > .179 else '#fff'   # the one of the two that contrasts more

NEW = 'dashed: words that the network does not know'   # what is said below them
PAGE = '<!doctype html><meta charset="utf-8"><title>{}</title><body style="font-family:sans-serif">{}'

class Words:
    "Words and their values. In a notebook it shows coloured; its text is plain."
    def __init__(self, words, values, top, signed, numbers, title, unknown):
        self.words, self.values, self.top, self.unknown = words, values, top, unknown
        self.signed, self.numbers, self.title = signed, numbers, title

    def coloured(self, word, value):
        "One word on its ground, as HTML."
        at = (value / self.top + 1) / 2 if self.signed else value / self.top
        rgb = mpl.colormaps['RdBu_r' if self.signed else 'Purples'](min(max(at, 0.), 1.))[:3]
        number = f'<sub> {value:+.2g}</sub>' if self.numbers else ''
        new = word in self.unknown
        return (f'<span title="{value:+.3g}{", not known to the network" * new}" style="background:'
                f'{mpl.colors.to_hex(rgb)};color:{ink(rgb)};padding:.1em .25em;border-radius:.2em'
                f'{";border-bottom:.15em dashed" * new}">{escape(word)}{number}</span>')

    def _repr_html_(self):
        head = f'<b>{escape(self.title)}</b><br>' if self.title else ''
        words = ' '.join(map(self.coloured, self.words, self.values))
        below = f'<br><small>{NEW}</small>' * any(w in self.unknown for w in self.words)
        return f'<div style="line-height:1.9;max-width:46em">{head}{words}{below}</div>'

    def save(self, path): # it ends in .html
        "Write a page of HTML with the words to `path`, completely or not at all."
        path = Path(path).expanduser()
        if path.suffix.lower() not in ('.html', '.htm') or not path.parent.is_dir():
            raise CamError(f"'{path}' must end in .html and lie in a folder that exists.", 'Saving words')
        write_whole(path, PAGE.format(escape(self.title or 'words'), self._repr_html_()).encode())
        return path

    def __repr__(self):
        "The words with their values, for a terminal; [?] is a word that the network does not know."
        head = f'{self.title}: ' if self.title else ''
        said = [w + '[?]' * (w in self.unknown) for w in self.words]
        return head + ' '.join(f'{w}({v:+.2g})' for w, v in zip(said, self.values))

@doing('Showing words')
def show_words(
    words,         # a list of str
    m:Tensor,      # a value for each (L,); more than there are words are taken for padding
    signed=True,   # red speaks for, blue against; otherwise only what speaks for is coloured
    vmax=None,     # the value of the full colour; None = the largest of these words
    numbers=False, # write each value below its word?
    title='',
    unknown=(),    # which words the network does not know: they are underlined by dashes
)->Words:
    "Words on a coloured ground, one for each value of a map. `CamError` if there are fewer values than words."
    m = torch.as_tensor(m).detach().float().cpu()
    if m.ndim != 1 or len(m) < len(words):
        raise CamError(f"the map is {describe(m)}, but it must have one value for each of the {len(words)} words. "
                       "Give the map of one text, such as m[0].")
    values = m[:len(words)].tolist()
    top = vmax or max(map(abs, values), default=0) or 1.
    return Words(list(words), values, top, signed, numbers, title, frozenset(unknown))
