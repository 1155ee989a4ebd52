"""Exercises that are checked the moment they are written.

    from camtutor.exercises import ex

    @ex("3.2")
    def grad_cam(A, g):
        ...

`ex.hint("3.2")`, `ex.solution("3.2")`, `ex.answer("3.7", 12)`, `ex.ask("3.9")`, `ex.progress()`, `ex.next()`,
`ex.reset()`, `ex.use("3.2")` and `ex.unuse()` do the rest.
"""
from contextlib import contextmanager
from functools import wraps
import inspect, sys

from camtutor.errors import CamError
from camtutor.exercises import record as store
from camtutor.exercises.cards import Card, Table, STATES, named, show, verdict_card
from camtutor.exercises.chapters import CHAPTERS, exercises, find
from camtutor.exercises.core import Exercise, Mistake, Trial, Verdict, library_of
from camtutor.exercises.grading import grade

__all__ = ['ex', 'Exercise', 'Mistake', 'Trial', 'Verdict', 'exercises', 'grade']

given = {} # by id: the learner's function or class of this session
_used = {} # by id: (the library's, the learner's) while `use` is on

def ex(id:str # of the exercise: "3.2"
      ): # a decorator
    "Check the function or class below and keep the progress. Where the library has it, its name stays the library's."
    e = find(id)
    if e.kind != 'function': raise CamError(f'{id} is a question: answer it with ex.answer("{id}", …).')
    def check(answer):
        if judge(e, answer).state != 'not attempted': given[e.id] = answer
        return library_of(e) if e.library else answer
    return check

def judge(e, answer)->Verdict:
    "Grade, remember, show."
    with suspended(): v = grade(e, answer)
    show(remembered(v) if v.state != 'not attempted' else verdict_card(v))
    return v

def remembered(v)->Card:
    "The card of a verdict that goes into the progress file; it says when a mistake was made before."
    done, note = store.note_answer(v.exercise.id, v.state, [m.key for m in v.mistakes])
    times = max((done.get(v.exercise.id, {}).get('mistakes', {}).get(m.key, 0) for m in v.mistakes), default=0)
    return verdict_card(v, note, times)

def answer(id:str, # of a question
           value # a number, a shape, an option or a text
          ):
    "Answer a question."
    e = find(id)
    if e.kind == 'function': raise CamError(f'{id} asks for code: put @ex("{id}") above your {e.name}.')
    judge(e, value)

def ask(id:str # of a multiple-choice question
       ):
    "Show a question with its options as buttons; a click answers it, and every option has its own reply."
    import ipywidgets as w
    from camtutor.course import card, marked
    from camtutor.ui.ask import asked
    from camtutor.ui.helper import show_widget
    e = find(id)
    if e.kind != 'choice': raise CamError(f'{id} is no multiple-choice question.')
    pick = w.RadioButtons(options=e.options, value=None, layout=w.Layout(width='auto'))
    reply = w.HTML()
    reply.add_class('ct-reply')
    pick.observe(lambda change: setattr(reply, 'value', reply_to(id, change['new'])), 'value')
    head = f'Question {e.id}: {e.task}'
    options = '<ul>' + ''.join(f'<li>{marked(o)}</li>' for o in e.options) + '</ul>'
    text = '\n'.join([head, *('  - ' + o for o in e.options), f'Where there is no button: ex.answer("{e.id}", "…")'])
    show_widget(asked(card(head), pick, reply), card(head, options), text)

def reply_to(id:str, option:str)->str: # HTML
    "Grade one option and give its card."
    e = find(id)
    return remembered(grade(e, option))._repr_html_()

def hint(id:str,
         grade:int=None # 1, 2 or 3; left out, the next one
        ):
    "Show a hint; each call gives a stronger one."
    e = find(id)
    seen = store.read()[0].get(e.id, {}).get('hints', 0)
    n = grade or min(seen + 1, len(e.hints))
    if not 1 <= n <= len(e.hints): raise CamError(f'{named(e)} has {len(e.hints)} hints; there is no hint {grade}.')
    note = store.note_hint(e.id, n)[1]
    more = f'{n} of {len(e.hints)}.' + ('' if n == len(e.hints) else f' `ex.hint("{e.id}")` gives the next.')
    show(Card(f'{named(e)} · {e.heading}: hint {n}', tuple(('p', t) for t in (e.hints[n-1], more, note) if t)))

def solution(id:str,
             reveal:bool=False # show it before a pass or three failures
            ):
    "Show the reference: after a pass, after three failures, or when told to."
    e = find(id)
    d, note = store.read()
    d = d.get(e.id, dict(state='', failures=0))
    if not (store.passed(d) or d['failures'] >= 3 or reveal):
        left = 3 - d['failures']
        text = (f'The solution is here after a pass or {left} more {"try" if left == 1 else "tries"}. '
                f'`ex.hint("{e.id}")` helps; `ex.solution("{e.id}", reveal=True)` shows it now.')
        return show(Card(f'{named(e)} · {e.heading}', (('p', text),)))
    parts = ('code', e.solution), ('p', e.why), ('p', note)
    show(Card(f'{named(e)} · {e.heading}: the reference', tuple(p for p in parts if p != ('p', ''))))

def progress():
    "How far you are: a table by chapter."
    done, note = store.read()
    show(progress_table(done, note))

def progress_table(done:dict, note='')->Table:
    "The table of `progress()`, from the contents of a progress file."
    rows, every = [], exercises()
    for c, title in CHAPTERS.items():
        mine = [e for e in every.values() if e.chapter == c]
        marks = ' '.join(STATES[done.get(e.id, {}).get('state') or 'not attempted'][0] + e.id for e in mine)
        rows.append((f'{c} {title}', (sum(store.passed(done.get(e.id)) for e in mine), len(mine)), marks))
    n = sum(r[1][0] for r in rows)
    return Table(f'{n} of {len(every)} exercises done', ('chapter', 'done', 'exercises'), tuple(rows), note)

def next_():
    "Show the first exercise that is not done yet."
    done, note = store.read()
    e = next((e for e in exercises().values() if not store.passed(done.get(e.id))), None)
    if e is None: return show(Card('All exercises are done.', (('p', note),) if note else ()))
    parts = ('p', e.task), ('code', e.stub), *([('p', note)] if note else [])
    show(Card(f'Next: {named(e).lower()} · {e.heading}', parts))

def reset(id:str=None # one exercise; all of them if left out
         ):
    "Begin again with one exercise, or with all; the old file is kept beside the new."
    note = store.forget(find(id).id if id else None)
    begins = f'{named(find(id))} begins again.' if id else 'Your progress begins again.'
    if not id and store.read()[0]: begins = 'Your progress is as it was.'
    show(Card(begins, (('p', note),) if note else ()))

# The library on the learner's own function

def use(id:str):
    "Let this notebook and the whole library, explorer included, run on your own answer."
    e = find(id)
    if not e.library: raise CamError(f'{named(e)} is not part of the library, so nothing would use it.')
    if e.id not in given:
        raise CamError(f'There is no answer to exercise {id} in this session yet: run its cell first.')
    if narrow := too_narrow(e, given[e.id]): raise CamError(narrow)
    take_back(id)
    theirs = library_of(e)
    _used[e.id] = theirs, in_place(e, given[e.id], theirs)
    swap(*_used[e.id])
    refresh_explorers()
    right = grade_quietly(e)
    texts = [f'`ex.unuse("{e.id}")` gives the library its own back.']
    if not right: texts.append('It is not right yet: what you see now is your version.')
    show(Card(f'Notebook and library now run on your `{e.name}`.', tuple(('p', t) for t in texts)))

def in_place(e, mine, theirs):
    "What stands in the library's place: the learner's class; or their function, and the library's where it gives up."
    if inspect.isclass(mine): return mine
    said = []
    @wraps(mine)
    def yours(*args, **kwargs):
        try: return mine(*args, **kwargs)
        except Exception as err:
            result = theirs(*args, **kwargs) # raises, too, if the call itself is wrong
            if not said: show(beyond(e, err))
            said.append(err)
            return result
    return yours

def beyond(e, err)->Card:
    "Said once: a call asks for more than the exercise did."
    return Card(f"Your `{e.name}` gave up on a call that the library's can do.",
                (('p', f'{type(err).__name__}: {err}'),
                 ('p', f"Exercise {e.id} did not ask for it, so here and from now on the library's steps in wherever "
                       "yours raises.")))

def too_narrow(e, mine)->str:
    "Why a learner's class cannot stand in for the library's; '' if it can."
    if not inspect.isclass(mine): return ''
    asked, has = (inspect.signature(c).parameters for c in (library_of(e), mine))
    missing = [n for n in asked if n not in has and not any(p.kind is p.VAR_KEYWORD for p in has.values())]
    methods = [n for n in vars(library_of(e)) if not n.startswith('_') and not hasattr(mine, n)]
    if not missing + methods: return ''
    return (f"Your `{e.name}` does all that exercise {e.id} asks, and the cells below ask for more: "
            f"{' and '.join(f'`{n}`' for n in missing + methods)}. So they stay with the library's.")

def grade_quietly(e):
    with suspended(): return grade(e, given[e.id]).passed

def unuse(id:str=None # one exercise; all of them if left out
         ):
    "Give the library its own functions back."
    back = take_back(id)
    refresh_explorers()
    show(Card(f"Notebook and library run on the library's own {' and '.join(back)} again." if back else
              'Notebook and library run on their own functions already.'))

def take_back(id=None)->list: # of names
    "What `unuse` does, without a word."
    back = []
    for i in [find(id).id] if id else list(_used):
        if i in _used:
            theirs, mine = _used.pop(i)
            swap(mine, theirs)
            back.append(f'`{find(i).name}`')
    return back

@contextmanager
def suspended():
    "Within, the library runs on its own functions: references must not depend on a learner's answer."
    for theirs, mine in _used.values(): swap(mine, theirs)
    try: yield
    finally:
        for theirs, mine in _used.values(): swap(theirs, mine)

def swap(old, new):
    "Put `new` in the place of `old` in the notebook, in every module of the library, and in its tables and their rows."
    ours = [vars(m) for name, m in list(sys.modules.items())
            if name.startswith('camtutor.') and not name.startswith('camtutor.exercises')]
    tables = [v for names in ours for v in list(names.values()) if type(v) is dict]
    for names in [vars(sys.modules['__main__']), *ours, *tables]:
        for k, v in list(names.items()):
            if (changed := exchanged(v, old, new)) is not v: names[k] = changed

def exchanged(v, old, new):
    "`new` for `old`, and a row of a table (a named tuple) with `new` in the place of `old`; anything else as it is."
    if v is old: return new
    if not (isinstance(v, tuple) and hasattr(v, '_fields') and any(f is old for f in v)): return v
    return v._replace(**{name: new for name, f in zip(v._fields, v) if f is old})

def refresh_explorers():
    "Open explorers show at once what the exchange has changed."
    ui = sys.modules.get('camtutor.ui.explorer')
    for explorer in list(ui.OPEN) if ui else (): explorer.refresh()

ex.answer, ex.ask, ex.hint, ex.solution, ex.progress, ex.next, ex.reset, ex.use, ex.unuse = (
    answer, ask, hint, solution, progress, next_, reset, use, unuse)
