"All HTML that the widgets show is made here, from plain values."
from html import escape

from camtutor.errors import CamError
from camtutor.files import data_uri, smaller

def picture_tag(jpeg, alt, width=0):
    style = f' style="min-width:{width}px"' if width else ''
    return f'<img src="{data_uri(jpeg, "image/jpeg")}" alt="{escape(alt)}"{style}>'

def figure(jpeg, alt, caption, style='margin:0', width=0): # caption: HTML
    "A picture for readers of a saved page."
    picture = picture_tag(smaller(jpeg), alt, width)
    return f'<figure style="{style}">{picture}<figcaption>{caption}</figcaption></figure>'

def status(text): # HTML
    "A text that screen readers say when it changes."
    return f'<div role="status" aria-live="polite">{text}</div>'

def alert(error):
    "An error as a sentence, one that is not ours with its type; '' for None."
    if error is None: return ''
    said = str(error) if isinstance(error, CamError) else f'{type(error).__name__}: {error}'
    return f'<div class="ct-alert" role="alert"><b>⚠ That did not work.</b> {escape(said)}</div>'

# ---- below a picture
def class_label(names): # [(class name, how sure)]: one, or the two of a difference
    return ' minus '.join(f'<b>{escape(name)}</b> ({sure})' for name, sure in names)

def caption(method, label, where, scale, m, colours): # label: HTML; where: ' at layer 0.6 (8×8)'; m: the raw map
    "What is shown, in words, and the scale of its colours in raw values."
    said = f'{method} for {label}{escape(where)}'
    if scale is None:
        name = label.rpartition(' (')[0]
        return status(f'{said}. Nothing here speaks for {name}: the map has no positive value.')
    values = f'; raw {m.min():.3g} to {m.max():.3g}' if scale.hidden else ''
    return status(said + values) + scale_bar(scale, colours)

def gradient(colours):
    "CSS for a bar through these (r,g,b) bytes."
    return 'linear-gradient(90deg,' + ','.join(f'rgb({r},{g},{b})' for r, g, b in colours) + ')'

def scale_bar(scale, colours):
    "The colour scale with the raw values at its ends."
    low, high = f'{scale.low:.3g}', f'{scale.top:.3g}'
    if scale.cut: low, high = f'≤ {low}' if scale.low < 0 else low, f'≥ {high}'
    return (f'<div class="ct-scale" role="img" aria-label="colour scale from {low} to {high}">'
            f'<span>{low}</span><i style="background:{gradient(colours)}"></i><span>{high}</span></div>')

def bar(name, value, kind=''):
    share = max(0, min(1, value)) * 100
    return (f'<div class="ct-bar"><span>{escape(name)}</span><s><b class="{kind}" style="width:{share:.1f}%"></b></s>'
            f'<span>{value:.2f}</span></div>')

PEAK = {None: 'the map is empty', True: '✓ the peak is inside', False: '✗ the peak is outside'}

def truth(t): # a Truth
    "The map against the truth: its energy inside the part beside a uniform map and the mask on the map's grid."
    return (f'<div><b>Energy inside: {escape(t.part)}</b> · {PEAK[t.inside]}</div>' + bar('this map', t.energy)
            + bar('uniform map', t.uniform, 'u') + bar('the mask on this grid', t.grid, 'm'))

# ---- which class speaks where
def key(rows): # (r,g,b) or None, name, share of the picture
    "What the colours of a picture mean, and how much of it each has."
    def row(colour, name, share):
        back = f'rgb{colour}' if colour else '#8884'
        return f'<i style="background:{back}"></i><span>{escape(name)}</span><span>{share:.0%}</span>'
    return f'<div class="ct-key">{"".join(row(*r) for r in rows)}</div>'

def place(name, ranked): # the class, None for none; [(class name, value)], the largest first
    "What one place says."
    said = f'for <b>{escape(name)}</b>' if name else 'for none of them'
    values = ', '.join(f'{escape(n)} {v}' for n, v in ranked)
    return status(f'This place speaks {said}. It adds to the scores: {values}.')

# ---- in the panes
def heading(text): return f'<div class="ct-h">{text}</div>' # HTML

def grid(title, cells): # title: HTML; cells: (jpeg, caption) or (None, message)
    "Pictures with captions, as many in a row as fit."
    def cell(jpeg, caption):
        shown = picture_tag(jpeg, caption) if jpeg else ''
        return f'<figure>{shown}<figcaption>{"" if jpeg else "⚠ "}{escape(caption)}</figcaption></figure>'
    return heading(title) + '<div class="ct-grid">' + ''.join(cell(*c) for c in cells) + '</div>'

def code(line):
    line = escape(line)
    copy = f'<button class="ct-copy" data-copy="{line}" aria-label="Copy this line of Python">Copy</button>'
    return f'<div class="ct-code"><code>{line}</code>{copy}</div>'

def files(files):
    "Links that save (file name, bytes, mime, what it is)."
    return ''.join(f'<a class="ct-file" download="{escape(name)}" href="{data_uri(data, mime)}">⤓ {escape(what)}</a>'
                   for name, data, mime, what in files)

def thumb_rules(jpegs):
    "Style that puts a picture on each of the buttons `ct-thumb-0`, `ct-thumb-1`, …"
    rules = (f'.ct .ct-thumb-{i} {{background-image:url({data_uri(j, "image/jpeg")})}}' for i, j in enumerate(jpegs))
    return '<style>' + ''.join(rules) + '</style>'

def emphasised(*texts):
    "HTML of a sentence whose every second part is stressed."
    return ''.join(f'<em>{escape(t)}</em>' if i % 2 else escape(t) for i, t in enumerate(texts))
