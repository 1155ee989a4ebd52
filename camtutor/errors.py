"One error for everything a caller can get wrong."
from difflib import get_close_matches
from pathlib import Path
from sysconfig import get_paths
from traceback import extract_tb

class CamError(ValueError):
    "What was being done, what was found, why it cannot be, and what to do instead."
    def _render_traceback_(self):
        "What a notebook shows: the lines of the reader's own code that led here, and the message. Plain Python shows everything."
        others = str(Path(__file__).parent), *(get_paths()[k] for k in ('stdlib', 'purelib', 'platlib'))
        own = [f for f in extract_tb(self.__traceback__) if f.line and not f.filename.startswith(others)]
        return [*(f'line {f.lineno}:  {f.line}' for f in own[-4:]), f'CamError: {self}']

def nearest(name, options):
    "A sentence naming the `options` most like `name`, or all of them if there are few."
    options = [str(o) for o in options]
    close = get_close_matches(str(name), options, cutoff=.5)
    if close: return 'Did you mean ' + ' or '.join(repr(o) for o in close) + '?'
    if len(options) <= 30: return 'Choose one of ' + ', '.join(repr(o) for o in options) + '.'
    return 'There are ' + f'{len(options)}, from {options[0]!r} to {options[-1]!r}.'
