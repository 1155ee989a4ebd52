"Photographs from anywhere: any common image file as a plain RGB picture, or one clear error."
import io, os, struct, warnings
from pathlib import Path
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from camtutor.errors import CamError, nearest

FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF', 'PPM', 'JPEG2000', 'AVIF')
MAX_PIXELS = 80_000_000   # one picture of this size takes 240 MB as RGB
MAX_BYTES = 256 * 2**20   # of the file itself
ACTION = 'Opening an image'
BROKEN = OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, KeyError   # what Pillow's decoders raise

def _from_path(path):
    path, text = Path(path).expanduser(), str(path)
    if '://' in text or text.startswith('data:'):
        raise CamError(f'{ACTION}: {text[:80]!r} is an address, and this library never goes on the network. Save the picture first and give its path.')
    if path.is_dir(): raise CamError(f"{ACTION}: '{path}' is a folder. Give one file in it.")
    if not path.exists():
        beside = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
        hint = nearest(path.name, beside) if beside else f"The folder '{path.parent}' holds no files."
        raise CamError(f"{ACTION}: there is no file '{path}'. {hint}")
    try:
        with open(path, 'rb') as f: return f.read(MAX_BYTES + 1), f"'{path}'"
    except OSError as e: raise CamError(f"{ACTION}: '{path}' cannot be read ({e.strerror}).") from e

def _from_file(f):
    name = f"'{f.name}'" if isinstance(getattr(f, 'name', None), str) else f'a {type(f).__name__}'
    data = f.read(MAX_BYTES + 1)
    if isinstance(data, str): raise CamError(f"{ACTION}: {name} was opened as text. Open it with mode 'rb'.")
    if not data and f.seekable() and f.tell():
        raise CamError(f'{ACTION}: {name} has been read to its end already. Call .seek(0) on it first.')
    return data, name

def _read(src):
    "The bytes behind `src`, and a name for error messages."
    if isinstance(src, (bytes, bytearray, memoryview)): return bytes(src), f'{len(src)} bytes'
    if isinstance(src, (str, os.PathLike)): return _from_path(src)
    if hasattr(src, 'read'): return _from_file(src)
    raise CamError(f'{ACTION}: a {type(src).__name__} is none of path, bytes, open file. For a PIL image use it as it is; for an array, Image.fromarray.')

def _check_data(data, name):
    if not data: raise CamError(f'{ACTION}: {name} is empty (0 bytes). Copy or download it again.')
    if len(data) > MAX_BYTES: raise CamError(f'{ACTION}: {name} is larger than {MAX_BYTES >> 20} MB. Save a smaller copy.')
    if any(b'ftyp' + kind in data[:16] for kind in (b'heic', b'heix', b'hevc', b'mif1', b'msf1')):
        raise CamError(f'{ACTION}: {name} is a HEIC photo. Save it as JPEG first.')

def _check_size(size, name):
    w, h = size
    if w * h > MAX_PIXELS:
        raise CamError(f'{ACTION}: {name} says it is {w}×{h} = {w * h / 1e6:.0f} million pixels; the limit is {MAX_PIXELS / 1e6:.0f}. '
                       'That would fill the memory when unpacked. Save a smaller copy.')

def _decode(data, name):
    "A fully decoded PIL image of any mode."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')   # Pillow's own size warning: _check_size raises instead
            im = Image.open(io.BytesIO(data), formats=FORMATS)
        _check_size(im.size, name)
        im.load()
        return im
    except Image.DecompressionBombError as e:
        raise CamError(f'{ACTION}: {name} is a decompression bomb or a giant picture ({e}). Save a smaller copy.') from e
    except UnidentifiedImageError as e:
        raise CamError(f'{ACTION}: {name} is no image that can be read here: it starts with {data[:8]!r}. Readable are {", ".join(FORMATS)}.') from e
    except CamError: raise
    except BROKEN as e:
        raise CamError(f'{ACTION}: {name} is damaged or cut short ({e}). Copy or download it again.') from e

def _to8bit(im):
    "One channel of 16 or 32 bits, or of floats, as 8 bits: 16-bit by its full range, others by their own lowest and highest value."
    a = np.asarray(im).astype(np.float64)
    if im.mode == 'F' or a.min() < 0 or a.max() > 65535:
        a = np.nan_to_num(a)
        lo, hi = a.min(), a.max()
    else: lo, hi = 0, 65535
    return Image.fromarray(((a - lo) / max(hi - lo, 1e-12) * 255).round().astype(np.uint8))

def as_seen(im)->Image.Image: # a PIL image of any mode
    "Upright 8-bit RGB, transparent places white. `CamError` for one that is closed, cut short or of no size."
    if 0 in im.size: raise CamError(f'{ACTION}: the picture has {im.width}×{im.height} pixels, so there is nothing to see in it.')
    try: im.load()   # an image that was opened lazily meets its file here
    except BROKEN as e:
        raise CamError(f'{ACTION}: the PIL image cannot be unpacked ({e}). Its file is damaged or cut short, or it was closed. Open it again, or give its path.') from e
    im = ImageOps.exif_transpose(im)
    if im.mode.startswith('I') or im.mode == 'F': im = _to8bit(im)
    if im.mode in ('RGBA', 'LA', 'PA', 'RGBa', 'La') or 'transparency' in im.info:
        im = im.convert('RGBA')
        return Image.alpha_composite(Image.new('RGBA', im.size, 'white'), im).convert('RGB')
    return im.convert('RGB')

def open_image(
    src, # a path, bytes, or a file opened with mode 'rb'
): # PIL image of mode RGB, upright
    """Read a photograph as upright 8-bit RGB, transparent places white.

    Reads JPEG (also CMYK), PNG (grey, palette, 16-bit, with transparency), WebP, TIFF and more, and turns it as its EXIF data say.
    Raises `CamError` for an address, a missing, empty, cut, foreign or unreasonably large file."""
    data, name = _read(src)
    _check_data(data, name)
    im = as_seen(_decode(data, name))
    im.info = {}   # where and when it was taken stays in the file
    return im
