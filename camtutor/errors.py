"One error for everything a caller can get wrong."
from difflib import get_close_matches

class CamError(ValueError):
    "What was being done, what was found, why it cannot be, and what to do instead."

def nearest(name, options):
    "A sentence naming the `options` most like `name`, or all of them if there are few."
    options = [str(o) for o in options]
    close = get_close_matches(str(name), options, cutoff=.5)
    if close: return 'Did you mean ' + ' or '.join(repr(o) for o in close) + '?'
    if len(options) <= 30: return 'Choose one of ' + ', '.join(repr(o) for o in options) + '.'
    return 'There are ' + f'{len(options)}, from {options[0]!r} to {options[-1]!r}.'
