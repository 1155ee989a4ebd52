"A learner's own copies of the chapters, with the bodies of the exercises taken out."
# The chapters in `nbs/` are the source. Three directives in a code cell say what to do with it:
#
#     #| ex 3.1        this cell's function is exercise 3.1: its body goes, `@ex("3.1")` comes, its output goes
#     #| solution 3.1  this cell shows the answer to exercise 3.1: the cell goes
#     #| first 3.1     exercise 3.1, which blanks no cell, is best done here: its text and stub come before this cell
#
# The text and the stub of an exercise whose cell is blanked are moved from the end of the chapter to that cell. No cell
# keeps an output, imports and answers to predictions are folded away, what must not run by itself (`#| eval: false`)
# is text, and a link that leads nowhere from here is plain words.
import ast, copy, json, re
from hashlib import sha256
from pathlib import Path

from camtutor.errors import CamError, doing, nearest
from camtutor.exercises.stubs import blank
from camtutor.files import dated, write_whole

NOTE = '.camtutor.json' # what was written when, so that a learner's changes can be told from ours
FRONT = """# Your copies of the course

Begin with the first, and go on in this order: {links}.

The functions that a chapter builds are yours to write. Fill in the body and run the cell: a card says whether it is \
right and, if not, which mistake it is. Change what you like.

`%run -m camtutor.cli start .` in a cell brings in new chapters and leaves alone what you changed. How far you are:"""
WELCOME = ('This is your own copy: change what you like. The functions that this chapter builds are yours to write, '
           'and each is checked the moment its cell runs. A docstring may promise more than that, such as messages for '
           'wrong input: the text above the cell says what is asked. The cells below go on with the library\'s version '
           'all the same, so a chapter runs to its end unsolved; `ex.use("…")` puts yours in its place. '
           '`ex.hint("…")`, `ex.next()` and `ex.progress()` help.')
ASLEEP = '*To be read, and not run with the rest: copy it into a cell of your own if you want it.*'
METADATA = dict(kernelspec=dict(display_name='python3', language='python', name='python3'))

def pages(nbs:Path)->dict: # file name -> its text
    "What a workspace holds: a front page, and the learner's copies of the numbered chapters."
    chapters = sorted(nbs.glob('[0-9]*.ipynb'))
    there = {'index.ipynb', *(p.name for p in chapters)}
    return {'index.ipynb': front_page(chapters)} | {p.name: workspace_text(p, there) for p in chapters}

def front_page(chapters:list)->str: # paths of notebooks
    "The text of a front page that links them."
    links = ' · '.join(f'[{p.stem.replace("_", " ")}]({p.name})' for p in chapters)
    cells = [new_cell('markdown', FRONT.format(links=links), 'front'),
             new_cell('code', 'from camtutor.exercises import ex\nex.progress()', 'front-progress')]
    return notebook_text(dict(cells=by_lines(cells), metadata=METADATA, nbformat=4, nbformat_minor=5))

def workspace_text(path:Path, there=())->str: # there: the files that a link may lead to
    "The text of a learner's copy of the notebook at `path`."
    nb = json.loads(path.read_text(encoding='utf8'))
    return notebook_text(nb | dict(cells=workspace_cells(nb['cells'], there)))

def notebook_text(nb:dict)->str: return json.dumps(nb, ensure_ascii=False, indent=1, sort_keys=True) + '\n'

# ---- What becomes of a chapter's cells

def workspace_cells(cells:list, there=())->list: # of notebook cells, new ones
    "The cells of a learner's copy: exercises blanked, solutions, outputs, nbdev's directives and dead links gone."
    cells = [dict(copy.deepcopy(c), source=''.join(c['source'])) for c in cells]
    blanked, early = named(cells, 'ex'), named(cells, 'first')
    texts, stubs = found(cells, blanked + early, is_text), found(cells, blanked + early, is_stub)
    kept = without(cells, [*texts.values(), *stubs.values()])
    placed = [new for c in kept for new in in_place(c, texts, stubs)]
    clean = [for_learners(c, there) for c in placed]
    clean = [c for c in clean if c['source'].strip()]
    return by_lines(welcomed(clean) if blanked else clean)

def named(cells, what):
    "The exercises that the directives `what` of these cells name."
    return [id for c in cells for id, _ in directives(c, what)]

def found(cells, ids, is_it): # -> exercise: cell
    return {id: c for id in ids for c in cells if is_it(c, id)}

def is_text(cell, id): return begins(cell, 'markdown', f'**Exercise {id}**')

def is_stub(cell, id): return begins(cell, 'code', f'@ex("{id}")', f'ex.answer("{id}"')

def begins(cell, kind, *texts): return cell['cell_type'] == kind and cell['source'].startswith(texts)

def without(cells, moved):
    "The cells that stay where they are: no solution, and none that is moved."
    return [c for c in cells if not directives(c, 'solution') and c not in moved]

def in_place(cell, texts, stubs)->list:
    "A cell as the learner gets it, after the exercises that its directives put before it."
    first = [c for id, _ in directives(cell, 'first') for c in (texts[id], stubs[id])]
    here = directives(cell, 'ex')
    first += [texts[id] for id, _ in here if id in texts]
    return [*first, blanked_cell(cell, here) if here else cell]

def welcomed(cells):
    "With a word on what is what, below the title."
    hello = new_cell('markdown', WELCOME, 'welcome')
    tools = new_cell('code', 'from camtutor.exercises import ex', 'welcome-ex')
    return [*cells[:1], hello, tools, *cells[1:]]

def by_lines(cells): return [dict(c, source=c['source'].splitlines(keepends=True)) for c in cells]

# ---- One cell

def directives(cell, what)->list: # of (exercise, name of a function or '')
    "The exercises that a cell's directives `#| ex` or `#| solution` name."
    if cell['cell_type'] != 'code': return []
    return re.findall(rf'^#\|\s*{what}\s+([\d.]+)[ \t]*(\w*)', cell['source'], re.M)

def blanked_cell(cell, here):
    "`@ex` above the stub of each function; no output, and no private helpers, which would tell half of it."
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
        if names and all(m.startswith('_') for m in names): del lines[first_line(n)-1:n.end_lineno]
    return '\n'.join(lines)

def first_line(node): return min([node.lineno] + [d.lineno for d in getattr(node, 'decorator_list', [])])

def for_learners(cell, there):
    "A cell without outputs, without the lines that only the author's tools read, and without dead links."
    if cell['cell_type'] != 'code': return dict(cell, source=without_dead_links(cell['source'], there))
    source = '\n'.join(l for l in cell['source'].splitlines() if not l.startswith('#|')).strip('\n')
    if re.search(r'^#\|\s*eval:\s*false', cell['source'], re.M):
        return new_cell('markdown', f'{ASLEEP}\n```python\n{source}\n```', cell['id'])
    metadata = dict(cell['metadata'], jupyter=dict(source_hidden=True)) if folds(cell['source']) else cell['metadata']
    return dict(cell, source=source, outputs=[], execution_count=None, metadata=metadata)

def folds(source:str)->bool:
    "Is this a cell to be folded away: imports alone, or the answer to a prediction?"
    if re.search(r'\.reveal\(|^#\|\s*default_exp', source, re.M): return True
    try: nodes = ast.parse(source).body
    except SyntaxError: return False # IPython's
    return bool(nodes) and all(isinstance(n, (ast.Import, ast.ImportFrom)) or is_call_of(n, 'style') for n in nodes)

def is_call_of(node, name):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == name

LINK = re.compile(r'(!?)\[([^\]]*)\]\(((?!\w+:)[^)\s#]+\.(?:ipynb|md|jpe?g|png|svg|gif|html|py))(#[^)]*)?\)')

def without_dead_links(text, there):
    "Markdown in which a link to a file that is not there is plain words, and such a picture is gone."
    def kept(m): return m[0] if m[3] in there else '' if m[1] else m[2]
    return LINK.sub(kept, text)

def new_cell(kind, source, id):
    cell = dict(cell_type=kind, id=id, metadata={}, source=source)
    return cell if kind == 'markdown' else cell | dict(outputs=[], execution_count=None)

# ---- Writing them where a learner works

@doing('Making a workspace')
def start(folder:Path, # the workspace; made if it is missing
          nbs:Path, # the course's notebooks
          fresh:str='' # how a notebook's name begins: set the learner's own aside and write a new one
         )->list: # (what was done, file name)
    "Write or complete a workspace. A file that the learner changed is never touched."
    check_place(folder, nbs)
    sources = pages(nbs)
    renew = renewed(fresh, sources)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return list(write_all(folder, sources, renew))
    except OSError as e: raise CamError(f'{folder} cannot be written ({e.strerror}).') from e

def check_place(folder, nbs):
    if folder.is_file(): raise CamError(f'{folder} is a file; give a folder.')
    if folder.resolve().is_relative_to(nbs.resolve()):
        raise CamError(f'{folder} is where the course itself is kept. Give another folder.')

def renewed(fresh, names): # -> the name, '' for none
    "The one notebook whose name begins with `fresh`."
    fit = [n for n in names if fresh and n.startswith(fresh.removesuffix('.ipynb'))]
    if len(fit) == 1 or not fresh: return ''.join(fit)
    raise CamError(f'--fresh {fresh} fits {len(fit)} notebooks. ' + nearest(fresh, map(stem, names)))

def write_all(folder, sources, renew):
    "Write one notebook after the other, and after each what is ours."
    ours = read_note(folder)
    for name, text in sources.items():
        yield place(folder/name, text, ours, name == renew)
        write_whole(folder/NOTE, json.dumps(ours, indent=1))

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
