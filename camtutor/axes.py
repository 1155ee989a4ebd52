"Axes for pictures, and a colour bar beside them that carries raw values."
import matplotlib as mpl

from camtutor.colours import colour_map
from camtutor.errors import CamError

def titles_for(imgs, titles)->list:
    "A title or None for each picture. `CamError` if they differ in number, or there is no picture."
    if not imgs: raise CamError("there is no picture to show.")
    titles = [None] * len(imgs) if titles is None else list(titles)
    if len(titles) != len(imgs): raise CamError(f"{len(imgs)} pictures but {len(titles)} titles.")
    return titles

def axes(n, ncols, size):
    "`n` empty axes in a grid; the rest of the last row is hidden."
    ncols = min(ncols or (n if n <= 6 else 5), n)
    nrows = -(-n // ncols)
    import matplotlib.pyplot as plt   # it takes half a second
    fig, axs = plt.subplots(nrows, ncols, figsize=(size * ncols, size * nrows), squeeze=False, layout='constrained')
    for a in axs.flat: a.axis('off')
    return list(axs.flat[:n])

def draw(ax, im, title, interpolation):
    "One picture, as Pillow has it, with its title."
    ax.imshow(im, interpolation=interpolation)
    ax.axis('off')
    if title is not None: ax.set_title(title)

def bar(ax, m, text, cmap, signed, vmax, vmin):
    "A colour bar in the values of `m` beside `ax`, and `text` below."
    top = vmax or (m.abs() if signed else m).max().item()
    low = -top if signed else max(m.min().item(), 0) if vmin is None else vmin
    norm = mpl.colors.Normalize(low, top if top > low else low + 1)
    scale = mpl.cm.ScalarMappable(norm, colour_map(cmap, signed))
    ax.figure.colorbar(scale, ax=ax, fraction=.046, pad=.03)
    ax.text(.5, -.03, text, transform=ax.transAxes, ha='center', va='top', fontsize='small')
