"open_image: every common kind of file as upright RGB; every bad file its own CamError."
import io, struct, zlib
import numpy as np, pytest, torch
from PIL import Image
from camtutor import images
from camtutor.errors import CamError
from camtutor.images import as_seen, open_image, picture

def smooth(h=24, w=32):
    "A gradient that survives JPEG: red grows to the right, green downwards, blue is 64."
    y, x = np.mgrid[:h, :w]
    return np.stack([x * 255 / (w - 1), y * 255 / (h - 1), np.full((h, w), 64)], -1).astype(np.uint8)

def packed(im, fmt, **kw):
    f = io.BytesIO()
    (im if isinstance(im, Image.Image) else Image.fromarray(im)).save(f, fmt, **kw)
    return f.getvalue()

def same(got, want, tol):
    assert got.mode == 'RGB' and got.info == {}
    a = np.asarray(got).astype(int)
    assert a.shape == want.shape
    assert np.abs(a - want).max() <= tol

@pytest.mark.parametrize('fmt,kw,tol', [('PNG', {}, 0), ('BMP', {}, 0), ('TIFF', {}, 0),
                                        ('WEBP', dict(lossless=True), 0), ('JPEG', dict(quality=95, subsampling=0), 12),
                                        ('WEBP', dict(quality=95), 12)])
def test_formats(fmt, kw, tol): same(open_image(packed(smooth(), fmt, **kw)), smooth(), tol)

def test_sources(tmp_path):
    data, path = packed(smooth(), 'PNG'), tmp_path/'a.png'
    path.write_bytes(data)
    for src in (data, bytearray(data), memoryview(data), path, str(path), io.BytesIO(data)):
        same(open_image(src), smooth(), 0)
    with open(path, 'rb') as f: same(open_image(f), smooth(), 0)
    path.unlink()   # on Windows this fails if the file were still open

def test_grey():
    g = smooth()[..., 0]
    same(open_image(packed(g, 'PNG')), np.stack([g] * 3, -1), 0)

def test_one_bit():
    g = np.zeros((4, 4), bool); g[1] = True
    same(open_image(packed(Image.fromarray(g), 'PNG')), np.repeat((g * 255)[..., None], 3, -1), 0)

@pytest.mark.parametrize('fmt', ['PNG', 'TIFF'])
def test_16_bit_grey_keeps_its_range(fmt):
    g = np.array([[0, 257, 32896], [65535, 514, 128 * 257]], np.uint16)   # 257 · k must become k
    want = np.array([[0, 1, 128], [255, 2, 128]])
    same(open_image(packed(Image.fromarray(g), fmt)), np.stack([want] * 3, -1), 0)

@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
def test_as_many_bits_as_a_file_or_an_array_uses(bits, tmp_path):
    top = 2**bits - 1
    g = np.array([[0, top], [top // 2, top]], np.uint16)
    want = np.stack([(g / top * 255).round()] * 3, -1)
    same(open_image(packed(Image.fromarray(g), 'PNG')), want, 0)
    same(picture(g), want, 0)
    same(picture(torch.from_numpy(np.stack([g] * 3)).to(torch.uint16)), want, 0)

def test_16_bit_rgb_png():
    rows = b''.join(b'\0' + struct.pack('>9H', *[c * 257 for c in (255, 0, 0, 0, 128, 0, 7, 8, 9)]) for _ in range(2))
    chunk = lambda t, d: struct.pack('>I', len(d)) + t + d + struct.pack('>I', zlib.crc32(t + d))
    data = (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>2I5B', 3, 2, 16, 2, 0, 0, 0))
            + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))
    same(open_image(data), np.array([[(255, 0, 0), (0, 128, 0), (7, 8, 9)]] * 2), 0)

def test_float_tiff_by_its_own_range():
    a = np.array([[-1., 0.], [0.5, 1.]], np.float32)
    same(open_image(packed(Image.fromarray(a), 'TIFF')), np.stack([[[0, 128], [191, 255]]] * 3, -1), 1)

def test_transparent_becomes_white():
    a = np.dstack([smooth(), np.full((24, 32), 255, np.uint8)])
    a[0, 0] = (0, 0, 0, 0)
    a[0, 1] = (0, 0, 0, 128)
    got = np.asarray(open_image(packed(a, 'PNG')))
    assert got[0, 0].tolist() == [255] * 3 and abs(int(got[0, 1, 0]) - 127) <= 1
    assert (got[1:] == smooth()[1:]).all()

def test_transparent_palette():
    im = Image.new('P', (2, 1)); im.putpalette([10, 20, 30, 200, 100, 50]); im.putpixel((1, 0), 1)
    got = np.asarray(open_image(packed(im, 'PNG', transparency=0)))
    assert got[0].tolist() == [[255, 255, 255], [200, 100, 50]]

def test_grey_with_alpha():
    im = Image.new('LA', (2, 1), (40, 255)); im.putpixel((1, 0), (40, 0))
    assert np.asarray(open_image(packed(im, 'PNG')))[0, :, 0].tolist() == [40, 255]

def test_cmyk_jpeg():
    same(open_image(packed(Image.fromarray(smooth()).convert('CMYK'), 'JPEG', quality=98)), smooth(), 16)

@pytest.mark.parametrize('tag,back', [(3, 2), (6, 1), (8, 3)])
def test_exif_rotation(tag, back):
    exif = Image.Exif(); exif[0x112] = tag
    turned = np.rot90(smooth(), back)   # as the camera's sensor saw it
    same(open_image(packed(np.ascontiguousarray(turned), 'JPEG', quality=95, subsampling=0, exif=exif)), smooth(), 12)

def test_first_frame_of_an_animation():
    frames = [Image.new('RGB', (4, 4), c) for c in ('red', 'blue')]
    got = open_image(packed(frames[0], 'GIF', save_all=True, append_images=frames[1:]))
    assert got.getpixel((0, 0)) == (255, 0, 0)

# ---- refused, each with its own message
def refused(src, *words):
    with pytest.raises(CamError) as e: open_image(src)
    for w in words: assert w in str(e.value), f'{w!r} not in {e.value}'

def test_empty(tmp_path):
    (tmp_path/'a.jpg').touch()
    refused(tmp_path/'a.jpg', 'a.jpg', 'empty')
    refused(b'', 'empty')

@pytest.mark.parametrize('fmt', ['PNG', 'JPEG', 'WEBP', 'GIF', 'TIFF'])
@pytest.mark.parametrize('part', [.3, .6, .9])
def test_cut_short(fmt, part):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    data = packed(noise, fmt)
    refused(data[:int(len(data) * part)], 'damaged or cut short')

def test_a_pil_image_that_cannot_be_unpacked(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    (tmp_path/'cut.jpg').write_bytes((data := packed(noise, 'JPEG'))[:len(data) // 2])
    with pytest.raises(CamError, match='cannot be unpacked.*cut short'): as_seen(Image.open(tmp_path/'cut.jpg'))
    (closed := Image.open(io.BytesIO(data))).close()
    with pytest.raises(CamError, match='closed'): as_seen(closed)
    for size in ((0, 0), (0, 5), (5, 0)):
        with pytest.raises(CamError, match=f'{size[0]}×{size[1]} pixels'): as_seen(Image.new('RGB', size))

@pytest.mark.parametrize('fmt', ['PNG', 'JPEG', 'TIFF', 'GIF'])
def test_a_damaged_head_is_no_other_kind_of_file(fmt):
    data = bytearray(packed(smooth(), fmt))
    data[4:24] = bytes(20)
    refused(bytes(data[:30]), 'damaged')

def test_no_image(tmp_path):
    (tmp_path/'a.png').write_text('<html>404</html>')
    refused(tmp_path/'a.png', 'a.png', 'no image', 'PNG')
    refused(b'%!PS-Adobe-3.0 EPSF', 'no image')   # never handed to an interpreter

def test_decompression_bomb():
    chunk = lambda t, d: struct.pack('>I', len(d)) + t + d + struct.pack('>I', zlib.crc32(t + d))
    def png(w, h):
        return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>2I5B', w, h, 8, 2, 0, 0, 0))
                + chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b''))
    refused(png(60000, 60000), 'bomb')
    refused(png(10000, 9000), '10000×9000', 'limit')

def test_bomb_in_a_text_chunk():
    chunk = lambda t, d: struct.pack('>I', len(d)) + t + d + struct.pack('>I', zlib.crc32(t + d))
    data = packed(smooth(), 'PNG')
    refused(data[:33] + chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(10**8))) + data[33:], 'damaged', 'too large')

def test_huge_file(monkeypatch):
    monkeypatch.setattr(images, 'MAX_BYTES', 100)
    refused(packed(smooth(), 'PNG'), 'larger than')

def test_heic(): refused(b'\0\0\0\x18ftypheic' + bytes(40), 'HEIC', 'JPEG')

def test_missing(tmp_path):
    (tmp_path/'holiday.jpg').touch()
    refused(tmp_path/'holidays.jpg', 'no file', 'holiday.jpg')
    refused(tmp_path/'no'/'a.jpg', 'no file')

def test_folder(tmp_path): refused(tmp_path, 'folder')
def test_address(): refused('https://example.org/cat.jpg', 'address', 'Save')
def test_wrong_type(): refused(3, 'int', 'path')

def test_file_objects(tmp_path):
    f = io.BytesIO(packed(smooth(), 'PNG')); f.read()
    refused(f, 'seek(0)')
    refused(io.StringIO('text'), "mode 'rb'")
