"""Parameters in `help`: the comment beside each is put into the docstring as its module is imported."""
# Code here says what a parameter is in a comment beside it, where a reader of the source wants it. `help`, Jupyter's
# tooltip and editors read docstrings alone; they get the same words from this loader, so nothing is said twice.
import re, sys
from importlib.machinery import PathFinder, SourceFileLoader

class Described(SourceFileLoader):
    "Imports a module as usual, then completes the docstrings of its public functions."
    def exec_module(self, module):
        super().exec_module(module)
        describe(module, self.get_source(module.__name__).splitlines())

class Finder:
    "Finds this package's modules where Python does."
    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target) if name.startswith('camtutor.') else None
        if spec and type(spec.loader) is SourceFileLoader: spec.loader = Described(name, spec.loader.path)
        return spec

def install():
    "From now on."
    if Finder not in sys.meta_path: sys.meta_path.insert(0, Finder)

def describe(module, lines):
    "Complete the docstrings of a module's functions and of its classes' methods."
    for f in functions_in(vars(module), module.__name__):
        inner = f
        while hasattr(inner, '__wrapped__'): inner = inner.__wrapped__
        code = getattr(inner, '__code__', None)
        if code and code.co_filename == module.__file__ and code.co_name != '<lambda>': # one that is written there
            f.__doc__ = described(f.__doc__, code, lines)

def functions_in(names, module):
    "Public functions, and the public methods of classes, with their constructors."
    for name, f in list(names.items()):
        if name.startswith('_') and name != '__init__' or getattr(f, '__module__', None) != module: continue
        if isinstance(f, type): yield from functions_in(vars(f), module)
        elif hasattr(f, '__code__'): yield f

def described(doc, code, lines)->str:
    "A docstring with a function's parameters below it, if there is a comment beside any."
    n = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    told, result = told_in(lines, code.co_firstlineno - 1, code.co_varnames[:n])
    if not told and not result: return doc
    from inspect import cleandoc
    parts = [cleandoc(doc)] if doc else []
    if told: parts.append('Parameters:\n' + '\n'.join(f'    {", ".join(names)}: {text}' for names, text in told))
    return '\n\n'.join(parts + ([f'Returns: {result}'] if result else []))

def told_in(lines, at, names)->tuple: # [(names, comment)], what is said of the result
    "The comments in the signature that begins below line `at`."
    while not re.match(r'\s*(async )?def ', lines[at]): at += 1
    told, left, above = [], list(names), ''
    for line in lines[at:]:
        code, _, comment = line.partition('# ')
        here = [n for n in left if re.search(rf'(?<![\w.=]){n}\s*([:=,)]|$)', code.partition('->')[0])]
        left = [n for n in left if n not in here]
        beside = '' if '->' in code else comment.strip() # behind the arrow it is the result's
        if here and (beside or above): told.append((here, beside or above))
        above = comment.strip() if not code.strip() else ''
        if code.rstrip().endswith(':') or '->' in code: return told, '' if here and beside else comment.strip()
    return told, ''
