"The author's guard: what `camtutor check` looks at in every exercise."
import re

from camtutor.errors import CamError, nearest
from camtutor.exercises.chapters import exercises
from camtutor.exercises.core import Exercise, library_of
from camtutor.exercises.grading import grade
from camtutor.exercises.stubs import blank

LEAST = dict(function=3, value=2, choice=2, written=0) # mistakes that an exercise of each kind needs
HINTED = 'function', 'value'

def faults(e:Exercise)->list: # of texts; empty if all is well
    "What is wrong with one exercise."
    return [*untouched(e), *right_answers(e), *wrong_answers(e), *texts(e)]

def untouched(e):
    answer = ...
    if e.kind == 'function': answer = from_stub(e)
    state = grade(e, answer).state
    return [] if state == 'not attempted' else [f'an untouched stub is {state!r}']

def from_stub(e):
    "The function or class that a learner's untouched cell makes."
    scope = dict(vars(__import__(e.reference.__module__, fromlist=['*'])), ex=lambda id: lambda f: f)
    exec(compile(e.stub, f'<stub {e.id}>', 'exec'), scope)
    return scope[e.name]

def right_answers(e):
    rights = [('the reference', e.reference)]
    if e.library: rights.append(("the library's own", library_of(e)))
    found = []
    for what, answer in rights:
        v = grade(e, answer)
        if v.state not in ('correct', 'written'):
            found.append(f'{what} is {v.state!r}: {v.message} {v.where or ""}'.rstrip())
    return found

def wrong_answers(e):
    found = []
    for m in e.mistakes:
        v = grade(e, m.answer)
        taken = ' and '.join(f'taken for {x.key!r}' for x in v.mistakes) or f'only: {v.message}'
        if v.passed: found.append(f'the wrong version {m.key!r} passes')
        elif v.mistakes != (m,): found.append(f'the wrong version {m.key!r} is not recognised, but {taken}')
    return found

def texts(e):
    return [*diagnoses(e), *(hints(e) if e.kind in HINTED else []),
            *(f'hint {i + 1} gives the solution away: {l}' for i, h in enumerate(e.hints) for l in given_away(e, h))]

def diagnoses(e):
    few, found = len(e.mistakes) < LEAST[e.kind], []
    if few: found.append(f'{len(e.mistakes)} wrong versions; {LEAST[e.kind]} are needed')
    if len({m.diagnosis for m in e.mistakes}) < len(e.mistakes): found.append('two wrong versions share a diagnosis')
    if any(len(m.diagnosis) < 20 for m in e.mistakes): found.append('a diagnosis is too short to help')
    return found

def hints(e):
    found = []
    if len(e.hints) != 3 or not all(map(str.strip, e.hints)): found.append('three hints are needed')
    if not e.why: found.append('why it matters is missing')
    return found

def given_away(e, hint):
    "Lines of the solution that stand in a hint."
    if e.kind != 'function':
        right = str(e.reference)
        return [right] if len(right) > 1 and squeezed(right) in squeezed(hint) else []
    stub = set(map(squeezed, blank(e.solution, e.name).splitlines()))
    body = [l for l in e.solution.splitlines() if squeezed(l) not in stub and len(squeezed(l)) > 16]
    return [l.strip() for l in body if squeezed(l).removeprefix('return') in squeezed(hint)]

def squeezed(text): return re.sub(r'[\s`]', '', text)

def section(number:str)->list: # of (cell type, source)
    "The cells of the section `## Exercises` of a chapter."
    mine = [e for e in exercises().values() if e.chapter == number and e.kind != 'choice']
    first = mine[0].id
    intro = ('Write the body of a function and run its cell: it is checked at once, '
             'and a wrong answer is told apart from other wrong answers. '
             f'`ex.hint("{first}")` gives a hint, three in all; `ex.solution("{first}")` the solution, '
             'after a pass or three tries; `ex.progress()` shows how far you are.')
    cells = [('markdown', intro), ('code', 'from camtutor.exercises import ex')]
    for e in mine:
        star = '★ ' if e.hard else ''
        cells += [('markdown', f'**Exercise {e.id}** {star}{sentence(e.title)} {e.task}'), ('code', e.stub)]
    return cells

def sentence(title): return title if title[-1] in '.?!' else title + '.'

def asked(number:str)->list: # of (cell type, source)
    "The multiple-choice cells at the head of a chapter's section `## Questionnaire`."
    return [('code', f'ex.ask("{e.id}")') for e in exercises().values() if e.chapter == number and e.kind == 'choice']

def check(ids=())->int: # how many exercises have a fault
    "Print a line for each exercise, and its faults."
    def named(k): return {i: e for i, e in exercises().items() if k in (i, e.chapter, e.chapter.lstrip('0') or '0')}
    for k in ids:
        if not named(k): raise CamError(f'There is no exercise or chapter {k!r}. ' + nearest(k, exercises()))
    bad, chosen = 0, {i: e for k in ids for i, e in named(k).items()} if ids else exercises()
    for i, e in chosen.items():
        found = faults(e)
        bad += bool(found)
        print(f'{"✗" if found else "✓"} {i:5} {e.title} ({e.kind}, {len(e.mistakes)} wrong versions)')
        for f in found: print('     ', f)
    return bad
