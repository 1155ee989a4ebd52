"An explanation drawn: picture, map and overlay in a row, the map laid where the network looked; and comparisons."
from torch import Tensor

from camtutor.canvas import blank
from camtutor.captions import is_empty
from camtutor.colours import colour_map
from camtutor.errors import CamError
from camtutor.methods import METHODS
from camtutor.show import as_images, normalize, overlay, show_cam, show_grid

# ---- where the map lies

def place_of(e):
    "Which part of the picture as it was given one explanation covers; None where that is unknown."
    return e.seen[0].opened()[1] if e.seen and e.seen[0] else None

def ground_of(e, longest=None)->tuple: # pictures (1,3,H,W) from 0 to 1; box; words
    "What the map of one explanation is laid on: the picture as it was given, or what the network saw of it."
    if e.image is None: raise CamError("what was explained is no picture; its map is .map.", 'Laying a map over it')
    im, place = e.seen[0].opened(longest) if e.seen and e.seen[0] else (None, None)
    if place is None: return e.image.float(), None, 'as the network sees it' if im else ''
    box = (0, 0, *im.size) if place.whole and not place.padded else place.box
    return as_images(im).to(e.map.device), box, '' if place.whole else f'{place.words},\nas the network sees it'

def laid(e, longest=None, **look)->Tensor: # (3,H,W)
    "One explanation's map over its picture."
    img, box, _ = ground_of(e, longest)
    return overlay(img, e.map.float(), box=box, **look)[0]

def flat_map(m):
    "A map (1,*places) as (1,h,w): a signal as a strip, of a volume its middle slice."
    while m.ndim > 3: m = m[:, m.shape[1] // 2]
    return m[:, None] if m.ndim == 2 else m

# ---- an explanation

def rows_figure(e, same, names, most, dpi, look): # see `Explanation.figure`
    "Picture, map and overlay beside each other, a row for each image."
    n, names = min(len(e), most), e.label if names is None else list(names)
    if len(names) != len(e): raise CamError(f"{len(names)} names, but {len(e)} images.", 'Drawing an explanation')
    if same: look = dict(vmin=0, vmax=max(e.map.max().item(), 1e-30)) | look
    fig = blank((6.6, 2.35 * n), dpi, layout='constrained')
    for axs, one, name in zip(fig.subplots(n, 3, squeeze=False), e, names): draw_row(axs, one.cpu(), name, look)
    title = f"{METHODS[e.method].title}" + (f" at {e.layer}" if e.layer else '')
    fig.suptitle(title + (f", first {n} of {len(e)} images" if n < len(e) else ''), fontsize='medium')
    return fig

def draw_row(axs, e, name, look):
    "One image's picture, map and overlay; of a signal or a volume the map alone."
    m, signed = e.map.float(), look.get('signed', False)
    scale = {k: look.get(k) for k in ('vmax', 'vmin')}
    axs[1].imshow(normalize(flat_map(m), signed, **scale)[0], cmap=colour_map(look.get('cmap'), signed),
                  vmin=-1 if signed else 0, vmax=1, aspect='auto' if m.ndim == 2 else 'equal')
    axs[1].set_title('empty map: nothing above 0' if is_empty(m) else f'map {m.min():.2g} to {m.max():.2g}')
    for ax in axs: ax.axis('off')
    if e.image is None: return axs[0].set_title(name)
    img, box, words = ground_of(e, 512)
    show_grid(img, [name], ax=axs[0])
    show_cam(img, m, words or 'overlay', box=box, ax=axs[2], **look)

def shown_in(ax, e, title, look): # see `Explanation.show`
    "One image's overlay in `ax`, or in a new figure; the axes."
    if len(e) != 1: raise CamError(f"there are {len(e)} images. Choose one: e[0].", 'Showing an explanation')
    img, box, words = (None, None, '') if e.image is None else ground_of(e.cpu(), 1024)
    title = '\n'.join(filter(None, (e.label[0] if title is None else title, words)))
    m = e.map.float().cpu()
    return show_cam(img, m if img is not None else flat_map(m), title, ax, box=box, **look)

# ---- a comparison

def grid_figure(comparison, same, size, dpi): # see `Comparison.figure`
    "The picture, and every map over it: a row for each target and layer, a column for each method."
    methods, layers = comparison.methods, comparison.layers
    rows = [(layer, n) for n in range(len(comparison.targets)) for layer in layers]
    ncols = len(methods) + 1 if len(rows) > 1 else min(5, len(methods) + 1)
    panels = [p for r, row in enumerate(rows) for p in panels_of(comparison, *row, first=r == 0)]
    nrows = -(-len(panels) // ncols)
    fig = blank((size * ncols, 1.12 * size * nrows), dpi, layout='constrained')
    tops = top_values(comparison) if same else {}
    for ax, panel in zip(fig.subplots(nrows, ncols, squeeze=False).flat, panels + [None] * (nrows * ncols)):
        ax.axis('off')
        if panel: draw_panel(ax, *panel, tops)
    return fig

def panels_of(comparison, layer, n, first)->list: # of (Explanation, title, the picture alone?), or None
    "One row of a comparison."
    cells, title = comparison.cells, METHODS.__getitem__
    found = [cells.get((m, layer, n)) or (cells.get((m, None, n)) if layer == comparison.layers[0] else None)
             for m in comparison.methods]
    any_one = next(e for e in found if e)
    head = (any_one, f'{any_one.label[0]}\nat {layer}', True)
    return [head] + [e and (e, title(m).title if first else '', False) for m, e in zip(comparison.methods, found)]

def top_values(comparison)->dict:
    "The largest value of each method's maps."
    return {m: max(e.map.max().item() for (k, *_), e in comparison.cells.items() if k == m) for m in comparison.methods}

def scale_in(tops, method)->dict:
    "The scale that the maps of a method share, if they share one."
    return dict(vmin=0, vmax=tops[method]) if tops.get(method) else {}

def draw_panel(ax, e, title, bare, tops):
    "The picture alone, or one map over it; of what is no picture the map alone."
    if e.image is None: ax.imshow(normalize(flat_map(e.map.float()))[0].cpu(), cmap='magma')
    elif bare: show_grid(ground_of(e, 512)[0], [title], ax=ax)
    else: e.show(ax, title, **scale_in(tops, e.method))
    ax.set_title(title, fontsize='small')
