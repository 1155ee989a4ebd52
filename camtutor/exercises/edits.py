"Wrong answers that are edits of the reference: some of its text replaced, and the result run beside it."
from functools import lru_cache
import inspect, re, sys, textwrap

from camtutor.errors import CamError

@lru_cache(None)
def source_of(reference)->str:
    "The text of a reference, without the decorator that makes it one."
    source = textwrap.dedent(inspect.getsource(reference)).rstrip()
    return re.sub(r'\A@\w+\.reference\n', '', source)

def place(reference, old)->int:
    "Where `old` stands in the reference; an error unless it stands there once."
    found = source_of(reference).count(old)
    if found != 1: raise CamError(f'{old!r} stands {found} times in {reference.__name__}; an edit needs it once.')
    return source_of(reference).index(old)

def edited(reference, # a function or class
           changes # pairs (old, new)
          ): # the function or class with every change, or None if two of them touch the same text
    "The reference with each `old` replaced by its `new`, run among the names of its module."
    spans = sorted((place(reference, old), old, new) for old, new in changes)
    if any(i + len(old) > j for (i, old, _), (j, _, _) in zip(spans, spans[1:])): return None
    source = source_of(reference)
    for i, old, new in reversed(spans): source = source[:i] + new + source[i+len(old):]
    made = {}
    code = compile(source, f'{__file__}: {reference.__name__}, edited', 'exec')
    exec(code, vars(sys.modules[reference.__module__]), made)
    return made[reference.__name__]

def paired(reference, one, other):
    "Both edits at once; None if they do not go together."
    try: return edited(reference, one + other)
    except SyntaxError: return None
