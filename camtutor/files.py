"Files that are written completely or not at all, and files inside a page."
from base64 import b64encode
from datetime import datetime
from pathlib import Path
from secrets import token_hex
import io, os
from PIL import Image

PART = '.part-' # how the name of a file begins that is still being written

def write_whole(path, *data): # bytes; texts to be written as UTF-8 with '\n'; functions that write into the open file
    """Write `data`, one after the other, beside `path` and to disk, then move it there: nobody reads half a file.

    Its permissions are those of any new file."""
    path = Path(path)
    part = path.with_name(PART + token_hex(6))
    try:
        with open(part, 'xb') as f:
            for d in data:
                if callable(d): d(f)
                else: f.write(d.encode() if isinstance(d, str) else d)
            f.flush()
            os.fsync(f.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise

def dated(file:Path)->Path:
    "A free name beside `file` that carries today's date."
    stamp = datetime.now().strftime('%Y-%m-%d-%H%M%S')
    names = (file.with_name(f'{file.stem}-{stamp}{n}{file.suffix}') for n in ['', *(f'-{i}' for i in range(1, 1000))])
    return next(n for n in names if not n.exists())

def data_uri(data:bytes, mime:str)->str:
    "A file as an address that holds it, for a page that needs nothing else."
    return f'data:{mime};base64,{b64encode(data).decode()}'

def smaller(jpeg:bytes, size=256)->bytes:
    "A copy of a JPEG that is at most `size` pixels high, for a page."
    picture, out = Image.open(io.BytesIO(jpeg)), io.BytesIO()
    picture.thumbnail((4 * size, size))
    picture.save(out, 'jpeg', quality=75)
    return out.getvalue()
