"The widgets of our own, for what Jupyter's leave out; their scripts and the style are files beside this one."
from pathlib import Path

from anywidget import AnyWidget
from traitlets import Float, Int, List, Unicode

HERE = Path(__file__).parent

class Helper(AnyWidget):
    "Style, names for screen readers, and copy buttons, for the box of class `ct` or `ct-ask` that it lies in."
    _esm, _css = HERE/'helper.js', HERE/'style.css'

class Upload(AnyWidget):
    "A place to drop a photo, and a button to choose one."
    _esm = HERE/'upload.js'
    text = Unicode().tag(sync=True)   # what the place says
    limit = Int().tag(sync=True)      # bytes; larger files are refused where they are chosen

    def on_file(self, fn): # (bytes, name) -> None
        "Call `fn` with each file that a person gives."
        parts = {}
        def got(widget, content, buffers):
            if content['at'] == 0: parts[content['name']] = b''
            data = parts.pop(content['name'], b'') + bytes(buffers[0])
            if len(data) >= content['size']: fn(data, content['name'])
            else: parts[content['name']] = data
        self.on_msg(got)

class Point(AnyWidget):
    "A picture to point at, by a click or the arrow keys: the place is `at`."
    _esm = HERE/'point.js'
    src, alt, label = (Unicode().tag(sync=True) for _ in range(3))   # the picture, what it shows, what can be done
    at = List(Float(), [.5, .5]).tag(sync=True)                      # the place, from left and top, 0 to 1
    grid = List(Int(), [8, 8]).tag(sync=True)                        # steps across and down

def show_widget(widget, # any ipywidget
                static:str='', # HTML for readers of the saved page, where no kernel runs
                text:str='' # plain text for a terminal
               ):
    "Display `widget` where a kernel runs, and `static` where a page is only read."
    from IPython.display import display
    view = dict(version_major=2, version_minor=0, model_id=widget.model_id)
    display({'application/vnd.jupyter.widget-view+json': view, 'text/html': static, 'text/plain': text}, raw=True)
