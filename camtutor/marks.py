"Figures as files that say what made them, so that a folder's photos can be told from its explanations."
import io

from PIL.PngImagePlugin import PngInfo

MARK = 'camtutor explanation' # stands in the files

def bytes_of(fig, format)->bytes:
    "A figure as a file."
    out = io.BytesIO()
    fig.savefig(out, format=format, dpi='figure', **marks(format))
    return out.getvalue()

def marks(format)->dict:
    "How matplotlib notes in a file what it is."
    if format in ('jpg', 'jpeg'): return dict(pil_kwargs=dict(quality=90, comment=MARK.encode()))
    return dict(metadata={'Software': MARK}) if format == 'png' else {}

def png_text(text):
    "The note in a PNG file."
    note = PngInfo()
    note.add_text('Software', text)
    return note

def is_own(path)->bool:
    "Is this file an explanation that was saved as a picture?"
    try:
        with open(path, 'rb') as f: return MARK.encode() in f.read(1024)
    except OSError: return False
