"Pictures of mistakes: what was said, what was true, where the two maps lie; one alone, or many on a sheet."
import io

import torch

from camtutor.canvas import blank
from camtutor.errors import CamError
from camtutor.show import overlay, show_grid

SAID, TRUE = (1., .55, .1), (.25, .6, 1.)   # orange and blue, told apart by everybody; where both are: white

def regions(picture, said, true):
    "The picture in grey (3,H,W), the places of both maps coloured: orange what was said, blue what was true."
    grey = picture.mean(0, keepdim=True).expand(3, -1, -1) * .6
    ours = torch.tensor([SAID, TRUE, (1., 1., 1.)]).to(grey)[:, :, None, None]
    for where, colour in zip((said & ~true, true & ~said, said & true), ours):
        grey = torch.where(where, .45 * grey + .55 * colour, grey)
    return grey.clamp(0, 1)

def panels_of(m, places):
    "The four pictures (3,H,W) of a mistake, with their titles."
    picture = m.picture.float()
    said, true = (overlay(picture, t.float())[0] for t in (m.map_said, m.map_true))
    both = regions(picture, *(places(t[None])[0] for t in (m.map_said, m.map_true)))
    return [(picture, m.name), (said, f'said: {m.said} {m.p_said:.0%}'), (true, f'true: {m.true} {m.p_true:.0%}'),
            (both, f'overlap {m.overlap:.2f}')]

def line_of(m, cause=None):
    "What is known of a mistake, in one line."
    thing = '' if m.outside != m.outside else f', {m.outside:.0%} off the thing'
    return (f'{cause + ": " if cause else ""}loss {m.loss:.2f}; alone {m.said} {m.alone_said:.0%}, '
            f'{m.true} {m.alone_true:.0%}{thing}')

def figure_of(m, places, cause=None):
    "One mistake as a figure: the picture, both maps, the places of both."
    fig, axs = empty(1, 4, 1.9)
    draw(axs[0], m, places)
    fig.suptitle(line_of(m, cause), fontsize='small')
    return fig

def draw(axs, m, places):
    for ax, (picture, title) in zip(axs, panels_of(m, places)):
        show_grid(picture[None], [title], ax=ax)
        ax.set_title(title, fontsize='x-small')

def empty(nrows, ncols, size):
    fig = blank((size * ncols, 1.22 * size * nrows), 110, layout='constrained')
    axs = fig.subplots(nrows, ncols, squeeze=False)
    for ax in axs.flat: ax.axis('off')
    return fig, axs

def sheet_of(mistakes, places, causes, ncols=2):
    "Many mistakes as a figure: three pictures each, `ncols` mistakes in a row."
    if not mistakes: raise CamError("there is no mistake to show.")
    fig, axs = empty(-(-len(mistakes) // ncols), 3 * ncols, 1.35)
    for n, (m, cause) in enumerate(zip(mistakes, causes)):
        row = axs[n // ncols, n % ncols * 3:][:3]
        draw(row, m, places)
        row[0].set_title(f'{cause}\nloss {m.loss:.1f}', fontsize='x-small')
    return fig

def jpeg_of(fig, quality=80)->bytes:
    out = io.BytesIO()
    fig.savefig(out, format='jpeg', dpi='figure', pil_kwargs=dict(quality=quality))
    return out.getvalue()

def heat(table, ylabel, xlabel)->bytes: # a JPEG
    "A table of counts (a DataFrame) on colours, as a picture."
    fig = blank((1.1 * table.shape[1] + 1.6, .5 * table.shape[0] + 1.3), 110, layout='constrained')
    ax, most = fig.subplots(), max(1, table.to_numpy().max())
    ax.imshow(table, cmap='magma', vmin=0, vmax=most, aspect='auto')
    for i, row in enumerate(table.to_numpy()):
        for j, v in enumerate(row): ax.text(j, i, v, ha='center', va='center', color='k' if v > .6 * most else 'w')
    ax.set_xticks(range(table.shape[1]), [c.replace(' ', '\n', 1) for c in table.columns], fontsize='small')
    ax.set_yticks(range(table.shape[0]), table.index, fontsize='small')
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return jpeg_of(fig)
