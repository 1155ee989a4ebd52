"What every chapter uses besides the library: a check for tensors, predictions to commit to, figure defaults."
from collections import namedtuple
from html import escape
import math, re, time

import torch
from torch import Tensor

from camtutor.errors import CamError

__all__ = ['check_tensor', 'Agreement', 'predict', 'Prediction', 'style', 'card', 'marked', 'cost_of', 'plot_costs']

Agreement = namedtuple('Agreement', 'shape dtype worst')

def check_tensor(got, # what was computed
                 want, # what it should be: a tensor, or numbers to make one from
                 rtol:float=1e-4, # allowed difference relative to `want`
                 atol:float=1e-5, # allowed absolute difference
                 name:str='result' # what to call it in the message
                )->Agreement: # shape, dtype and the largest difference
    "Raise `AssertionError` unless `got` is a tensor with the shape, dtype and values of `want`; name the worst place."
    if not isinstance(got, Tensor): raise AssertionError(f'{name} should be a tensor, but it is {type(got).__name__}.')
    if not isinstance(want, Tensor): want = torch.as_tensor(want, dtype=got.dtype)
    want = want.to(got.device)
    if got.shape != want.shape:
        raise AssertionError(f'{name} should have shape {tuple(want.shape)}, but it has {tuple(got.shape)}.')
    if got.dtype != want.dtype: raise AssertionError(f'{name} should be {want.dtype}, but it is {got.dtype}.')
    a, b = got.detach().double(), want.detach().double()
    try: torch.testing.assert_close(a, b, rtol=rtol, atol=atol, check_layout=False)
    except AssertionError: raise AssertionError(f'{name} {worst_place(a, b, rtol, atol)}') from None
    return Agreement(tuple(got.shape), got.dtype, (a - b).abs().nan_to_num(0.).max().item() if a.numel() else 0.)

def worst_place(a, b, rtol, atol)->str:
    "Where `a` is not finite though `b` is, or else farthest from it, in words."
    bad = ~torch.isfinite(a) & torch.isfinite(b)
    if bad.any(): return f'holds {a[bad][0].item()} at {first_of(bad)}, {int(bad.sum())} such values in all.'
    off = ((a - b).abs() - rtol*b.abs()).masked_fill(a == b, -math.inf)
    i = first_of(off == off[~off.isnan()].max()) if not off.isnan().all() else (0,)*a.ndim
    share = (~torch.isclose(a, b, rtol, atol)).double().mean().item()
    return (f'should be {b[i].item():.6g} at {i}, but it is {a[i].item():.6g}; '
            f'{share:.0%} of its {a.numel()} values are off.')

def first_of(mask): return tuple(torch.nonzero(mask)[0].tolist())

CARD = ('<div style="border-left:4px solid {colour};'
        'border-left-color:color-mix(in srgb,{colour} 65%,var(--jp-ui-font-color1,{colour}));'
        'padding:.3em .9em;margin:.4em 0;max-width:46em;font-size:14px;line-height:1.45"><b>{head}</b>{body}</div>')

STRESS = re.compile(r'(?<![\w*])\*([^*\s](?:[^*]*[^*\s])?)\*(?![\w*])')

def marked(text)->str: # HTML
    "Text with its `code` and *stress*; everything else as it stands."
    parts = re.split('`([^`]+)`', escape(str(text)))
    return ''.join(f'<code>{t}</code>' if i % 2 else STRESS.sub(r'<em>\1</em>', t) for i, t in enumerate(parts))

def card(head, # a short title, `marked`; shown in bold
         body:str='', # HTML below it
         colour:str='#5b4b8a' # the bar at its left
        )->str:
    "A small HTML card, readable on a light and on a dark page."
    return CARD.format(head=marked(head), body=body, colour=colour)

class Prediction:
    "A question and the option that the learner picked."
    def __init__(self, question, options): self.question, self.options, self.choice = question, options, None

    def reveal(self, answer, # the right option
               why:str='' # one sentence: the reason
              ):
        "Show the answer beside what was predicted."
        from IPython.display import HTML, display
        answer = str(answer)
        if answer not in self.options:
            raise CamError(f'{answer!r} was not an option of {self.question!r}: {", ".join(self.options)}.')
        if self.choice is None: head, colour = f'It is {answer}.', '#777'
        elif self.choice == answer: head, colour = f'✓ You said {answer}, and so it is.', '#1b7f5a'
        else: head, colour = f'✗ You said {self.choice}; it is {answer}.', '#b5432a'
        display(HTML(card(head, f'<div>{marked(why)}</div>' if why else '', colour)))

def predict(question:str, # asked before the cell that answers it
            *options # at least two answers to choose from
           )->Prediction: # `.reveal(answer, why)` compares, in a later cell
    "Ask the learner to commit to an answer before running on; a click chooses."
    import ipywidgets as w
    from camtutor.ui.ask import asked
    from camtutor.ui.helper import show_widget
    options = [str(o) for o in options]
    if len(set(options)) < max(2, len(options)):
        raise CamError(f'{question!r} needs two or more different options, not {options}.')
    p = Prediction(question, options)
    buttons = w.ToggleButtons(options=options, value=None, layout=w.Layout(width='auto'),
                              style=dict(button_width='auto'))
    buttons.observe(lambda change: setattr(p, 'choice', change['new']), 'value')
    shown = ' &nbsp;·&nbsp; '.join(map(escape, options))
    show_widget(asked(card('Predict: ' + question), buttons),
                card('Predict: ' + question, f'<div>{shown}</div>'), f'Predict: {question} ({" | ".join(options)})')
    return p

def style(digits=None):
    "Figure defaults of the course: compact JPEG pictures, no frames round images, readable text; digits of tables."
    import matplotlib as mpl
    from matplotlib_inline.backend_inline import set_matplotlib_formats
    set_matplotlib_formats('jpeg', pil_kwargs=dict(quality=80))
    mpl.rcParams.update({'figure.dpi': 110, 'savefig.dpi': 110, 'figure.constrained_layout.use': True, 'font.size': 10,
                         'axes.titlesize': 10, 'image.cmap': 'magma', 'image.interpolation': 'nearest',
                         'axes.spines.top': False, 'axes.spines.right': False})
    if digits is None: return
    import pandas
    pandas.options.display.precision = digits

def cost_of(call, # takes nothing
            net,  # the network that it runs
            n=1): # for so many pictures
    "What `call` gives, and its costs for a picture: forward passes, and seconds of the processor."
    seen, start = [], time.process_time()
    handle = net.register_forward_hook(lambda m, args, out: seen.append(len(args[0])))
    try: found = call()
    finally: handle.remove()
    return found, dict(passes=sum(seen) / n, seconds=(time.process_time() - start) / n)

def plot_costs(table, # a row for each method, with columns `what`, 'from', 'to' and 'seconds'
               what,  # the column to show against the seconds
               front, # rows that a dashed line joins
               named): # rows to write the name at; the others are grey
    "What methods cost, and what they buy, with intervals."
    import matplotlib.pyplot as plt
    fig, ax = plt.subplots(figsize=(5.6, 3.3))
    for rows, colour in ((table.drop(named), 'silver'), (table.loc[named], 'C0')):
        ends = [rows[what] - rows['from'], rows['to'] - rows[what]]
        ax.errorbar(rows.seconds, rows[what], ends, fmt='o', ms=5, lw=.8, color=colour)
    ax.plot(table.loc[front, 'seconds'], table.loc[front, what], color='k', lw=.8, ls='--')
    for n, r in table.loc[sorted({*named, *front})].iterrows():
        low = any(abs(math.log10(r.seconds / o.seconds)) < .3 and 0 < o[what] - r[what] < .05
                  for _, o in table.loc[[*named]].iterrows())   # a name stands just above
        ax.annotate(n, (r.seconds, r[what]), (5, -9 if low else 4), textcoords='offset points', fontsize=7)
    ax.axhline(.5, color='grey', lw=.8)
    ax.set(xscale='log', xlabel='seconds of the processor, a picture', ylabel=f'share on the {what}',
           title='What a map costs, and what it buys')
