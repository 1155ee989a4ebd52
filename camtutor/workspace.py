"A learner's own copies of the chapters, with the bodies of the exercises taken out."
# The chapters in `nbs/` are the source. Three directives in a code cell say what to do with it:
#
#     #| ex 3.1        this cell's function is exercise 3.1: its body goes, `@ex("3.1")` comes, its output goes
#     #| solution 3.1  this cell shows the answer to exercise 3.1: the cell goes
#     #| first 3.1     exercise 3.1, which blanks no cell, is best done here: its text and stub come before this cell
#
# The text and the stub of an exercise whose cell is blanked are moved from the end of the chapter to that cell.
from hashlib import sha256
from pathlib import Path
import ast, copy, json, re

from camtutor.errors import CamError, nearest
from camtutor.exercises.stubs import blank
from camtutor.files import dated, write_whole

NOTE = '.camtutor.json' # what was written when, so that a learner's changes can be told from ours
WELCOME = ('This is your own copy: change what you like. The functions that this chapter builds are yours to write, and each is '
           'checked the moment its cell runs. A docstring may promise more than that, such as messages for wrong input: the text '
           'above the cell says what is asked. The cells below go on with the library\'s version all the same, so a chapter runs to its end '
           'unsolved; `ex.use("…")` puts yours in its place. `ex.hint("…")`, `ex.next()` and `ex.progress()` help.')

def chapters(nbs:Path)->dict: # file name -> path
    "The notebooks that a workspace holds: the front page and the numbered chapters."
    return {p.name: p for p in [nbs/'index.ipynb', *sorted(nbs.glob('[0-9]*.ipynb'))] if p.exists()}

def workspace_text(path:Path)->str:
    "The text of a learner's copy of the notebook at `path`."
    nb = json.loads(path.read_text(encoding='utf8'))
    nb['cells'] = workspace_cells(nb['cells'])
    return json.dumps(nb, ensure_ascii=False, indent=1, sort_keys=True) + '\n'

def workspace_cells(cells:list)->list: # of notebook cells, new ones
    "The cells of a learner's copy: exercises blanked, solutions and nbdev's directives gone."
    cells = [dict(copy.deepcopy(c), source=''.join(c['source'])) for c in cells]
    blanked = [id for c in cells for id, _ in directives(c, 'ex')]
    early = [id for c in cells for id, _ in directives(c, 'first')]
    asked = {id: c for id in blanked + early for c in cells if c['cell_type'] == 'markdown' and c['source'].startswith(f'**Exercise {id}**')}
    stubs = {id: c for id in blanked + early for c in cells if is_stub_cell(c, id)}
    out = []
    for c in cells:
        if directives(c, 'solution') or c in asked.values() or c in stubs.values(): continue
        for id, _ in directives(c, 'first'): out += [asked[id], stubs[id]]
        if here := directives(c, 'ex'):
            out += [asked[id] for id, _ in here if id in asked]
            c = blanked_cell(c, here)
        out.append(without_directives(c))
    out = [c for c in out if c['source'].strip()]
    if blanked: out[1:1] = [new_cell('markdown', WELCOME, 'welcome'), new_cell('code', 'from camtutor.exercises import ex', 'welcome-ex')]
    return [dict(c, source=c['source'].splitlines(keepends=True)) for c in out]

def directives(cell, what)->list: # of (exercise, name of a function or '')
    "The exercises that a cell's directives `#| ex` or `#| solution` name."
    found = re.findall(rf'^#\|\s*{what}\s+([\d.]+)[ \t]*(\w*)', cell['source'], re.M) if cell['cell_type'] == 'code' else []
    return [tuple(f) for f in found]

def is_stub_cell(cell, id): return cell['cell_type'] == 'code' and cell['source'].startswith((f'@ex("{id}")', f'ex.answer("{id}"'))

def blanked_cell(cell, here):
    "A cell of exercises: `@ex` above the stub of each function; no output, and no private helpers, which would tell half of it."
    source = without_private('\n'.join(l for l in cell['source'].splitlines() if not l.startswith('#|')))
    for id, name in here:
        source = blank(source, name).strip('\n')
        at = re.search(rf'^(def|class) {name}', source, re.M).start()
        source = f'{source[:at]}@ex("{id}")\n{source[at:]}'
    return dict(cell, source=source, outputs=[], execution_count=None)

def without_private(source):
    "Python source without the functions, classes and constants whose name begins with an underscore."
    lines = source.splitlines()
    for n in reversed(ast.parse(source).body):
        names = [n.name] if hasattr(n, 'name') else [t.id for t in getattr(n, 'targets', []) if isinstance(t, ast.Name)]
        if names and all(m.startswith('_') for m in names): del lines[min([n.lineno] + [d.lineno for d in getattr(n, 'decorator_list', [])])-1:n.end_lineno]
    return '\n'.join(lines)

def without_directives(cell):
    "A cell without the lines that only the author's tools read; `#| eval: false` stays, since it warns."
    if cell['cell_type'] != 'code': return cell
    lines = [l for l in cell['source'].splitlines() if not re.match(r'#\|(?!\s*eval)', l)]
    return dict(cell, source='\n'.join(lines).strip('\n'))

def new_cell(kind, source, id):
    return dict(cell_type=kind, id=id, metadata={}, source=source) | (dict(outputs=[], execution_count=None) if kind == 'code' else {})

# Writing them where a learner works

def start(folder:Path, # the workspace; made if it is missing
          nbs:Path, # the course's notebooks
          fresh:str='' # how a notebook's name begins: set the learner's own aside and write a new one
         )->list: # (what was done, file name)
    "Write or complete a workspace. A file that the learner changed is never touched."
    sources = chapters(nbs)
    if folder.is_file(): raise CamError(f'camtutor start: {folder} is a file; give a folder.')
    if folder.resolve() == nbs.resolve() or nbs.resolve() in folder.resolve().parents:
        raise CamError(f'camtutor start: {folder} is where the course itself is kept. Give another folder.')
    renew = [n for n in sources if fresh and n.startswith(fresh.removesuffix('.ipynb'))]
    if fresh and len(renew) != 1: raise CamError(f'camtutor start: --fresh {fresh} fits {len(renew)} notebooks. ' + nearest(fresh, map(stem, sources)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ours = read_note(folder)
        done = []
        for name, path in sources.items():
            done.append(place(folder/name, workspace_text(path), ours, name in renew))
            write_whole(folder/NOTE, json.dumps(ours, indent=1))
        return done
    except OSError as e: raise CamError(f'camtutor start: {folder} cannot be written ({e.strerror}).') from e

def stem(name): return name.removesuffix('.ipynb')

def place(file:Path, text:str, ours:dict, renew:bool):
    "Write one notebook if that takes nothing from the learner; note in `ours` what was written."
    theirs = file.read_bytes() if file.exists() else None
    untouched = theirs is not None and digest(theirs) == ours.get(file.name)
    if theirs is not None and digest(theirs) == digest(text.encode()):
        ours[file.name] = digest(theirs)
        return 'as it was', file.name
    if theirs is not None and not untouched:
        if not renew: return 'yours, left alone', file.name
        aside = dated(file)
        aside.write_bytes(theirs)
        what = f'new; yours is kept as {aside.name}'
    else: what = 'brought up to date' if untouched else 'new'
    write_whole(file, text)
    ours[file.name] = digest(text.encode())
    return what, file.name

def digest(data:bytes)->str: return sha256(data).hexdigest()

def read_note(folder)->dict:
    "What earlier calls wrote here; if that cannot be read, nothing is known and so everything is the learner's."
    try: note = json.loads((folder/NOTE).read_text(encoding='utf8'))
    except (FileNotFoundError, ValueError): return {}
    return note if isinstance(note, dict) else {}
