"""The house's rules, read from the source: widths and branches, private names, the import graph and its order.

    python tools/house.py   list what breaks a rule; nothing is said where nothing does"""
import ast, json, re, subprocess, sys
from collections import defaultdict
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = 'camtutor', 'tests', 'tools', 'benchmarks'
# Lowest first: a module imports from its own line and from those before it, a lesson not from a later one.
# A package's name stands for all its modules.
ORDER = (
    'params', 'errors', 'files canvas marks', 'hooks', 'axes colours images maps pixels tables',
    'show scenes reviews words made batches', 'truth', 'engine', 'targets', 'networks', 'protocols stories', 'suspects',
    'LESSONS', 'methods', 'captions fields panels', 'comparing many saving', 'explanation',
    'jobs judging runs summaries', 'evaluate checks', 'diagnosis', 'exam labelled sheets strip troubles', 'mistakes',
    'blunders', 'report', 'ui', 'course', 'exercises', 'workspace', 'cli', '__main__')

class Import(NamedTuple):
    "One import of one of our own modules, or one use of a private name of one."
    by:str     # the module that imports
    line:int
    module:str # what is imported
    name:str   # the name taken from it; '' for the module itself

# ---- What there is

def python_files():
    "All Python that is ours, but for the index that nbdev writes."
    found = [p for d in FOLDERS for p in (ROOT/d).rglob('*.py')] + [ROOT/'setup.py']
    return sorted(p for p in found if p.name != '_modidx.py' and '.ipynb_checkpoints' not in p.parts)

def notebooks(): return sorted(p for p in (ROOT/'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts)

def dotted(path): # camtutor/engine/__init__.py -> camtutor.engine; tools/nb.py -> nb
    parts = list(path.relative_to(ROOT).with_suffix('').parts)
    if parts[0] in ('tests', 'tools'): parts = parts[1:] # they are on the path
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)

@cache
def sources()->dict: # the module's dotted name, or a notebook's path -> its source
    return ({dotted(p): p.read_text(encoding='utf8') for p in python_files()}
            | {str(p.relative_to(ROOT)): code_of(p) for p in notebooks()})

def code_of(path):
    "The code cells of a notebook, without what is IPython's alone."
    cells = json.loads(path.read_text(encoding='utf8'))['cells']
    lines = '\n'.join(''.join(c['source']) for c in cells if c['cell_type'] == 'code').splitlines()
    return '\n'.join(re.sub(r'^(\s*)[%!].*', r'\1pass', l) for l in lines)

def nodes(name): return parsed(sources()[name], name)

@lru_cache(maxsize=1)
def parsed(text, name): return list(ast.walk(ast.parse(text, name)))   # one module's several questions come together

def modules(): return {m for m in sources() if m.split('.')[0] == 'camtutor'}

def is_package(module): return (ROOT.joinpath(*module.split('.'))/'__init__.py').exists()

@cache
def lessons()->list: # in the order of the course
    "The modules that the numbered notebooks export."
    numbered = (code_of(p) for p in notebooks() if p.name[0].isdigit())
    return [f'camtutor.{m}' for code in numbered for m in re.findall(r'^#\|\s*default_exp\s+([\w.]+)', code, re.M)]

# ---- The imports of one module

def imports(by)->list:
    "Every import of ours, also in functions and by `import_module`."
    out = []
    for n in nodes(by):
        if isinstance(n, ast.Import): out += [Import(by, n.lineno, a.name, '') for a in n.names]
        elif isinstance(n, ast.ImportFrom): out += [Import(by, n.lineno, *taken(base(by, n), a.name)) for a in n.names]
        elif isinstance(n, ast.Call): out += [Import(by, n.lineno, m, '') for m in by_name(by, n)]
    return [i for i in out if i.module in sources()]

def base(by, node):
    "The module that `from … import` names."
    if not node.level: return node.module
    parts = by.split('.')[:len(by.split('.')) - node.level + is_package(by)]
    return '.'.join(parts + ([node.module] if node.module else []))

def taken(module, name):
    "(module, name), or (the module of that name, '')."
    whole = f'{module}.{name}'
    return (whole, '') if whole in sources() else (module, name)

def by_name(by, call):
    "The modules that `import_module` of a constant may import; of an f-string all whose names begin as it does."
    if called(call) not in ('import_module', '__import__') or not call.args: return []
    said = call.args[0]
    if isinstance(said, ast.Constant): return [relative(by, said.value)]
    first = said.values[0] if isinstance(said, ast.JoinedStr) and said.values else None
    if not isinstance(first, ast.Constant) or by == 'camtutor': return [] # the front door leads everywhere
    return sorted(m for m in modules() if m.startswith(first.value))

def called(call): return getattr(call.func, 'attr', getattr(call.func, 'id', ''))

def relative(by, name):
    "The dotted name of the module that `import_module(name, __package__)` finds from `by`."
    return (by if is_package(by) else by.rpartition('.')[0]) + name if name.startswith('.') else name

# ---- The graph

@cache
def graph()->dict: # module -> {imported module: line}
    "Who imports whom in camtutor. Into another package one comes through its `__init__`."
    edges = defaultdict(dict)
    for by in sorted(modules() - {'camtutor'}):
        for i in imports(by):
            for to in through(by, i.module): edges[by].setdefault(to, i.line)
    return edges

def through(by, module):
    "The module, and the packages around it that `by` is not in."
    parts = module.split('.')
    around = ('.'.join(parts[:n]) for n in range(2, len(parts)))
    return [m for m in [*around, module] if m in modules() and m != by and not (m != module and by.startswith(m + '.'))]

def cycles(edges)->list: # of lists of modules
    "Modules that import each other, directly or by way of others: one way round for each knot."
    def path(start, end):
        "The shortest way by imports, or None."
        ways, seen = [[start]], {start}
        for way in ways:
            for to in edges.get(way[-1], ()):
                if to == end: return way + [end]
                if to not in seen:
                    seen.add(to)
                    ways.append(way + [to])
    found, known = [], set()
    for m in sorted(edges):
        way = None if m in known else path(m, m)
        if way:
            found.append(way)
            known |= {n for n in edges if n == m or path(m, n) and path(n, m)}
    return found

def rank(module):
    "The line of ORDER that a module stands on, and its place among the lessons; hooks, a lesson, is named in ORDER."
    top = module.split('.')[1]
    line = next((i for i, names in enumerate(ORDER) if top in names.split()), None)
    return (ORDER.index('LESSONS'), lessons().index(module)) if line is None and module in lessons() else (line, -1)

# ---- Rules. Each gives sentences, none where all is well

def unplaced():
    nowhere = (m for m in sorted(modules() - {'camtutor'}) if rank(m)[0] is None)
    return [f'{m}: has no place in ORDER of tools/house.py' for m in nowhere]

def upwards():
    out = []
    for by, to in ((b, t) for b in graph() for t in graph()[b]):
        (r, n), (s, k) = rank(by), rank(to)
        if None not in (r, s) and (s > r or s == r and k > n >= 0):
            out.append(f'{by}:{graph()[by][to]}: imports {to}, which stands above it')
    return out

def round_trips(): return [f'{way[0]}: import cycle {" -> ".join(way)}' for way in cycles(graph())]

def by_the_front_door():
    "Imports of names from `camtutor` itself inside the package: they hide which module is meant."
    return [f'{i.by}:{i.line}: imports {i.name} from camtutor; name its module'
            for m in sorted(modules()) for i in imports(m) if i.module == 'camtutor' and i.name and not dunder(i.name)]

def dunder(name): return name.startswith('__') and name.endswith('__')

def private(name): return name.startswith('_') and not dunder(name) and name != '_'

def borrowed():
    "Private names of one of our modules in another."
    out = []
    for by in sources():
        taken = imports(by)
        out += [f'{by}:{i.line}: imports the private name {i.name} of {i.module}' for i in taken if private(i.name)]
        out += [f'{by}:{line}: uses the private name {name}' for line, name in reached(by)]
    return out

def reached(by):
    "Lines and names such as `module._name`, where `module` is ours, also as text for `setattr` and its kind."
    names = module_names(by)
    for n in nodes(by):
        said = ''
        if isinstance(n, ast.Attribute): said = private(n.attr) and ast.unparse(n.value) in names and ast.unparse(n)
        elif isinstance(n, ast.Constant): said = re.fullmatch(r'camtutor(\.\w+)*\._[a-zA-Z]\w*', str(n.value))
        elif isinstance(n, ast.Call): said = by_text(n, names)
        if said: yield n.lineno, said if isinstance(said, str) else said[0]

def by_text(call, names):
    "'module._name' of a call like `setattr(module, '_name', …)`, '' of another."
    if called(call) not in ('getattr', 'setattr', 'delattr', 'hasattr') or len(call.args) < 2: return ''
    module, name = ast.unparse(call.args[0]), getattr(call.args[1], 'value', None)
    return f'{module}.{name}' if module in names and isinstance(name, str) and private(name) else ''

def module_names(by)->set:
    "By which names a source knows modules of ours."
    out = set()
    for n in nodes(by):
        if isinstance(n, ast.Import): known = [a for a in n.names if a.name in sources()]
        elif isinstance(n, ast.ImportFrom): known = [a for a in n.names if not taken(base(by, n), a.name)[1]]
        else: continue
        out |= {a.asname or a.name for a in known}
    return out

def wide_or_tangled():
    "Lines over 120 columns and functions of more than 10 branches, by ruff; no comment excuses one."
    options = '--no-cache', '--ignore-noqa', '--quiet', '--output-format', 'concise'
    ruff = subprocess.run([sys.executable, '-m', 'ruff', 'check', *options, *FOLDERS, 'setup.py', 'nbs'],
                          cwd=ROOT, capture_output=True, text=True)
    if ruff.returncode > 1: raise SystemExit(ruff.stderr)
    return [l for l in ruff.stdout.splitlines() if not by_nbdev(*l.split(':')[:2])]

def by_nbdev(file, line):
    "Is it the line `__all__ = …` of a generated module, which nbdev wraps at 130 columns, whatever one says?"
    if not file.endswith('.py') or int(line) < 2: return False
    before, here = (ROOT/file).read_text(encoding='utf8').splitlines()[int(line)-2:int(line)]
    return before == '# %% auto #0' and here.startswith('__all__ = [')

RULES = wide_or_tangled, borrowed, round_trips, upwards, by_the_front_door, unplaced

def broken(): return [line for rule in RULES for line in rule()]

if __name__ == '__main__':
    lines = broken()
    print('\n'.join(lines), end='\n' * bool(lines))
    sys.exit(bool(lines))
