"Picture, map and overlay beside each other, drawn by Pillow alone: what the command line writes of each photo."
# A figure of matplotlib takes longer than the network itself; this takes a small part of it, and looks the same.
import io
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from camtutor.captions import is_empty
from camtutor.colours import colour_map
from camtutor.marks import MARK
from camtutor.methods import METHODS
from camtutor.show import normalize

SIDE, LEAST, GAP, TEXT = 400, 280, 12, 15 # pixels: a panel's longer side, its least width, the space between, letters
ALPHA, FADE, UNSEEN = .7, .4, .65         # as of `camtutor.show.overlay`

@lru_cache
def font(size=TEXT):
    "Matplotlib's own, which knows most alphabets."
    fonts = Path(find_spec('matplotlib').origin).parent/'mpl-data'/'fonts'/'ttf'
    return ImageFont.truetype(fonts/'DejaVuSans.ttf', size)

def fitted(text, width):
    "As much of a text as there is room for."
    if font().getlength(text) <= width: return text
    return next(t for t in (text[:n].rstrip() + '…' for n in range(len(text), -1, -1)) if font().getlength(t) <= width)

@lru_cache
def palette()->bytes:
    "The colours of a map, for 0 to 255."
    return colour_map(None)(range(256), bytes=True)[:, :3].tobytes()

def coloured(levels):
    "A map of levels in its colours."
    levels = levels.copy()
    levels.putpalette(palette())
    return levels.convert('RGB')

def levels_of(m)->Image.Image: # a map (1,h,w)
    "A map as levels, 0 to 255."
    return Image.fromarray((normalize(m)[0] * 255).round().byte().numpy())

def laid_on(im, levels, box):
    "Levels over the picture that they belong to, or over the part of it in the box; the rest is pale."
    grey = Image.blend(im, im.convert('L').point(lambda v: .8 * v).convert('RGB'), FADE)
    left, top, right, bottom = (round(v) for v in box)
    levels = levels.resize((max(1, right - left), max(1, bottom - top)), Image.Resampling.BILINEAR)
    over = Image.composite(coloured(levels), grey.crop((left, top, right, bottom)), levels.point(lambda v: v * ALPHA))
    if (left, top, right, bottom) == (0, 0, *im.size): return over
    sheet = Image.blend(im, Image.new('RGB', im.size, 'white'), UNSEEN)
    sheet.paste(over, (left, top))
    return sheet

def ground_of(e)->tuple: # a PIL image; the box of the map on it; words
    "The picture as it was given, made small, or else what the network saw of it."
    im, place = e.seen[0].opened(SIDE) if e.seen and e.seen[0] else (None, None)
    if place is not None: return im, place.box, '' if place.whole else f'{place.words}, as the network sees it'
    im = Image.fromarray((e.image[0] * 255).round().byte().permute(1, 2, 0).contiguous().numpy())
    return im, (0, 0, *im.size), 'as the network sees it'

def panels_of(e)->list: # (a PIL image, its title)
    "The picture, the map, and both, each as large as the picture at most."
    (im, box, words), m = ground_of(e), e.map.float()
    levels = levels_of(m)
    title = 'empty map: nothing above 0' if is_empty(m) else f'map {m.min():.2g} to {m.max():.2g}'
    alone = ImageOps.contain(coloured(levels), im.size, Image.Resampling.BICUBIC)
    return [(im, e.label[0]), (alone, title), (laid_on(im, levels, box), words or 'overlay')]

def strip(e)->Image.Image:
    "The explanation of one picture as a picture."
    panels, head = panels_of(e), METHODS[e.method].title + (f' at {e.layer}' if e.layer else '')
    w, h = panels[0][0].size
    wide, line = max(w, LEAST), TEXT + GAP
    sheet = Image.new('RGB', (3 * wide + 4 * GAP, h + 2 * line + GAP), 'white')
    draw = ImageDraw.Draw(sheet)
    def write(text, x, y, room): draw.text((x, y), fitted(text, room), 'black', font(), anchor='mt')
    write(head, sheet.width // 2, GAP // 2, sheet.width - 2 * GAP)
    for i, (im, title) in enumerate(panels):
        x = GAP + i * (wide + GAP) + wide // 2
        write(title, x, line, wide)
        sheet.paste(im, (x - im.width // 2, 2 * line + (h - im.height) // 2))
    return sheet

def strip_file(e)->bytes: # a JPEG
    "The same as a file, which says what it is."
    out = io.BytesIO()
    strip(e).save(out, 'jpeg', quality=90, comment=MARK.encode())
    return out.getvalue()
