"Photographs from anywhere: any common image file as a plain RGB picture, or one clear error."
import io, os, struct
from importlib.util import find_spec
from pathlib import Path
import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from camtutor.errors import CamError, describe, doing, expect_choice, nearest

FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF', 'PPM', 'JPEG2000', 'AVIF')
MAX_PIXELS = 80_000_000   # one picture of this size takes 240 MB as RGB
MAX_BYTES = 256 * 2**20   # of the file itself
BROKEN = OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, KeyError   # what Pillow's decoders raise

def _from_path(path):
    path, text = Path(path).expanduser(), str(path)
    if '://' in text or text.startswith('data:'):
        raise CamError(f'{text[:80]!r} is an address, and this library never goes on '
                       'the network. Save the picture first and give its path.')
    if path.is_dir(): raise CamError(f"'{path}' is a folder. Give one file in it.")
    if not path.exists():
        beside = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
        hint = nearest(path.name, beside) if beside else f"The folder '{path.parent}' holds no files."
        raise CamError(f"there is no file '{path}'. {hint}")
    try:
        with open(path, 'rb') as f: return f.read(MAX_BYTES + 1), f"'{path}'"
    except OSError as e: raise CamError(f"'{path}' cannot be read ({e.strerror}).") from e

def _from_file(f):
    name = f"'{f.name}'" if isinstance(getattr(f, 'name', None), str) else f'a {type(f).__name__}'
    data = f.read(MAX_BYTES + 1)
    if isinstance(data, str): raise CamError(f"{name} was opened as text. Open it with mode 'rb'.")
    if not data and f.seekable() and f.tell():
        raise CamError(f'{name} has been read to its end already. Call .seek(0) on it first.')
    return data, name

def _read(src):
    "The bytes behind `src`, and a name for error messages."
    if isinstance(src, (bytes, bytearray, memoryview)): return bytes(src), f'{len(src)} bytes'
    if isinstance(src, (str, os.PathLike)): return _from_path(src)
    if hasattr(src, 'read'): return _from_file(src)
    raise CamError(f'{describe(src)} is none of path, bytes, open file. For a PIL '
                   'image use it as it is; for an array, Image.fromarray.')

def _check_data(data, name):
    if not data: raise CamError(f'{name} is empty (0 bytes). Copy or download it again.')
    if len(data) > MAX_BYTES: raise CamError(f'{name} is larger than {MAX_BYTES >> 20} MB. Save a smaller copy.')

BEGINNINGS = b'\x89PNG', b'\xff\xd8\xff', b'GIF8', b'II*\0', b'MM\0*'  # of a PNG, JPEG, GIF and TIFF

def is_heic(data)->bool:
    "Are these the bytes of a HEIC photo?"
    return any(b'ftyp' + kind in data[:16] for kind in (b'heic', b'heix', b'hevc', b'mif1', b'msf1'))

def formats_for(data, name)->tuple:
    "What Pillow may try; HEIC photos only with a plugin."
    if not is_heic(data): return FORMATS
    try: from pillow_heif import register_heif_opener
    except ImportError as e:
        raise CamError(f"{name} is a HEIC photo. Install what reads it, pip install pillow-heif, "
                       "or save it as JPEG first.") from e
    register_heif_opener()
    return 'HEIF',

def _check_size(size, name):
    w, h = size
    if w * h > MAX_PIXELS:
        raise CamError(f'{name} says it is {w}×{h} = {w * h / 1e6:.0f} million pixels; the limit is '
                       f'{MAX_PIXELS / 1e6:.0f}. That would fill the memory when unpacked. Save a smaller copy.')

def _decode(data, name, longest=None):
    "A fully decoded PIL image of any mode; a JPEG only as large as is needed for a longer side of `longest`."
    try:
        # Pillow warns of giant pictures, which are refused below. To silence it here would not be safe: pictures are
        # read in threads, and filters of warnings that several threads change do not come back as they were.
        im = Image.open(io.BytesIO(data), formats=formats_for(data, name))
        _check_size(im.size, name)
        if longest: im.draft(None, tuple(s * longest // max(im.size) for s in im.size))
        im.load()
        return im
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise CamError(f'{name} is a decompression bomb or a giant picture ({e}). Save a smaller copy.') from e
    except UnidentifiedImageError as e:
        if data.startswith(BEGINNINGS):
            raise CamError(f'{name} is damaged or cut short. Copy or download it again.') from e
        raise CamError(f'{name} is no image that can be read here: it starts with '
                       f'{data[:8]!r}. Readable are {", ".join(FORMATS)}.') from e
    except CamError: raise
    except BROKEN as e:
        raise CamError(f'{name} is damaged or cut short ({e}). Copy or download it again.') from e

def to_8_bits(a)->np.ndarray: # an array of numbers of any kind
    """Integers by as many bits as they use, of 8, 10, 12, 14 and 16; other numbers by their own lowest and highest
    value."""
    whole, a = a.dtype.kind in 'ui', np.nan_to_num(a.astype(np.float64))
    if whole and a.size and a.min() >= 0 and a.max() < 2**16:
        lo, hi = 0, next(2**bits - 1 for bits in (8, 10, 12, 14, 16) if a.max() < 2**bits)
    else: lo, hi = a.min(), a.max()
    return ((a - lo) / max(hi - lo, 1e-12) * 255).round().astype(np.uint8)

def _to8bit(im):
    "One channel of 16 or 32 bits, or of floats, as 8 bits."
    return Image.fromarray(to_8_bits(np.asarray(im)))

def as_seen(im, mode='RGB')->Image.Image: # a PIL image of any mode
    """Upright and of 8 bits, in RGB, transparent places white; or in the mode that is said, 'L' or 'RGBA'.

    `CamError` for one that is closed, cut short or of no size."""
    if 0 in im.size: raise CamError(f'the picture has {im.width}×{im.height} pixels, so there is nothing to see in it.')
    try: im.load()   # an image that was opened lazily meets its file here
    except BROKEN as e:
        raise CamError(f'the PIL image cannot be unpacked ({e}). Its file is damaged or cut short, or it was closed. '
                       'Open it again, or give its path.') from e
    im = ImageOps.exif_transpose(im)
    if im.mode.startswith('I') or im.mode == 'F': im = _to8bit(im)
    if mode == 'RGBA': return im.convert(mode)
    if im.mode in ('RGBA', 'LA', 'PA', 'RGBa', 'La') or 'transparency' in im.info:
        im = im.convert('RGBA')
        im = Image.alpha_composite(Image.new('RGBA', im.size, 'white'), im)
    return im.convert(mode)

@doing('Opening an image')
def open_image(
    src, # a path, bytes, or a file opened with mode 'rb'
    mode='RGB', # or 'L', 'RGBA'
): # PIL image of that mode, upright
    """Read a photograph as upright 8-bit RGB, transparent places white.

    Reads JPEG (also CMYK), PNG (grey, palette, 16-bit, with transparency), WebP, TIFF and more, and turns it as its
    EXIF data say.
    Raises `CamError` for an address, a missing, empty, cut, foreign or unreasonably large file."""
    data, name = _read(src)
    _check_data(data, name)
    im = as_seen(_decode(data, name), mode)
    im.info = {}   # where and when it was taken stays in the file
    return im

def smaller(im, longest)->Image.Image:
    "A picture with a longer side of `longest`, unless it is smaller."
    if max(im.size) <= longest: return im
    return ImageOps.contain(im, (longest, longest), Image.Resampling.BICUBIC)

@doing('Opening an image')
def open_small(
    src,     # as for `open_image`
    longest, # pixels of its longer side
)->tuple:    # PIL image of mode RGB, upright; the (width, height) that it has in the file
    "A photograph to be looked at small, in a part of the time. `CamError` as of `open_image`."
    data, name = _read(src)
    _check_data(data, name)
    size = _upright(data)
    im = as_seen(_decode(data, name, longest))
    im.info = {}
    return smaller(im, longest), size or im.size

def _upright(data):
    "The (width, height) of a picture in a file, as it is turned; None where Pillow cannot say it at once."
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as im:
            return im.size[::-1] if im.getexif().get(ExifTags.Base.Orientation, 1) > 4 else im.size
    except (*BROKEN, UnidentifiedImageError, Image.DecompressionBombError): return None   # `_decode` says what it is

# ---- anything that a person calls a picture

def picture(image, mode='RGB')->Image.Image: # upright, of 8 bits; mode: 'RGB', 'L' or 'RGBA'
    """A path, bytes, an open file, a PIL image, a Scene, an array or tensor of bytes or of floats from 0 to 1.

    `CamError` for what is none."""
    if isinstance(image, Image.Image): return as_seen(image, mode)
    if isinstance(image, (str, os.PathLike, bytes)) or hasattr(image, 'read'): return open_image(image, mode)
    a = getattr(image, 'image', image)  # a Scene keeps its array there
    if not hasattr(a, 'dtype') or not hasattr(a, 'shape'):
        raise CamError(f"{describe(image)} is not a picture. Give a path, a PIL "
                       "image, an array (H,W,3) or a tensor (N,3,H,W).")
    return as_seen(Image.fromarray(as_bytes(a)), mode)

def as_bytes(a)->np.ndarray: # (H,W,3), (H,W,4) or (H,W)
    "An array or tensor of one picture, in either layout, as bytes with the colours last."
    given, tensor = describe(a), hasattr(a, 'cpu')
    a = colours_last(a.detach().cpu().numpy() if tensor else np.asarray(a), (0, 2) if tensor else (2, 0))
    if a.dtype.kind == 'f' and a.size and 0 <= a.min() and a.max() <= 1: a = (a * 255).round().astype(np.uint8)
    if a.dtype == np.uint16 and a.size: a = to_8_bits(a)
    if a.dtype == np.uint8 and 0 not in a.shape and (a.ndim == 2 or a.ndim == 3 and a.shape[2] in (3, 4)): return a
    raise CamError(f"{given} is not a picture. Give (H,W,3) bytes, or floats from 0 to 1; "
                   "what is normalised already, as a float tensor: torch.from_numpy(a).")

def colours_last(a, axes):
    "(H,W,C), or (H,W) if C is 1, of an array that has its colours along the first of `axes` that can be it."
    if a.ndim != 3: return a
    a = np.moveaxis(a, next((i for i in axes if a.shape[i] in (1, 3, 4)), 2), 2)
    return a[..., 0] if a.shape[2] == 1 else a

# ---- photographs that packages carry

PHOTOS = dict(
    cat='skimage/data/chelsea.png', coffee='skimage/data/coffee.png', photographer='skimage/data/camera.png',
    rocket='skimage/data/rocket.jpg', motorcycle='skimage/data/motorcycle_left.png',
    horse='skimage/data/horse.png', astronaut='skimage/data/astronaut.png',
    temple='sklearn/datasets/images/china.jpg', flower='sklearn/datasets/images/flower.jpg')

@doing('Opening a photograph')
def photo(
    name:str, # one of PHOTOS
)->Image.Image: # mode RGB
    "A photograph that ships with scikit-image or scikit-learn. `CamError` if that package is missing."
    package, _, rest = PHOTOS[expect_choice(name, PHOTOS, 'photograph')].partition('/')
    found = find_spec(package)
    if found is None:
        raise CamError(f"{name!r} comes with {package}, which is missing. "
                       "Install it with: pip install 'camtutor[photos]'.")
    return picture(Path(found.origin).parent/rest)
