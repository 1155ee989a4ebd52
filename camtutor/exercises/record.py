"What a learner has done, in one JSON file of the user's data folder (`CAMTUTOR_PROGRESS` names another)."
#     {"version": 2, "exercises": {"3.2": {"state": "correct", "tries": 4, "failures": 3, "hints": 1,
#                                          "passed": "2026-11-21",
#                                          "mistakes": {"This is Grad-CAM without the ReLU.": 2}}},
#      "exams": [{"date": "2026-11-21", "network": "sofa", "method": "grad_cam", "without": 5, "with_map": 8, "n": 10}]}
#
# `mistakes` counts how often each one was named, by the first sentence of its diagnosis. The file is read, changed and
# replaced under a lock, so that several sessions can write it. A damaged file is kept aside under a dated name and
# reported; if the file cannot be written, the session goes on from memory and says so.
from datetime import datetime
from pathlib import Path
import json, os

from camtutor.files import dated, write_whole

VERSION = 2
RANK = {'': 0, 'raised': 1, 'wrong': 1, 'written': 2, 'slow': 2, 'correct': 3}
unsaved = {} # by file: the edits that could not be saved yet

def path()->Path:
    "Where progress is kept."
    from platformdirs import user_data_dir
    return Path(os.environ.get('CAMTUTOR_PROGRESS') or Path(user_data_dir('camtutor'))/'progress.json')

def read(file:Path=None)->tuple: # (exercises by id, what to tell the learner or '')
    "The progress in `file`, with what could not be saved yet."
    kept, note = whole(file or path())
    return kept['exercises'], note

def exams(file:Path=None)->tuple: # (results, the oldest first, what to tell the learner or '')
    "The exams in prediction in `file`, with what could not be saved yet."
    kept, note = whole(file or path())
    return kept['exams'], note

def whole(file:Path)->tuple: # (exercises and exams, what to tell the learner or '')
    "All that is kept in `file`, with what could not be saved yet."
    try: kept, note = load(file)
    except OSError as e: kept, note = nothing(), f'Your progress in {file} cannot be read ({e.strerror}).'
    for edit in unsaved.get(file, []): edit(kept)
    return kept, note

def nothing()->dict: return dict(exercises={}, exams=[])

def load(file:Path)->tuple: # (exercises and exams, what to tell the learner or '')
    "What is in `file`; a damaged one is moved aside and reported, not lost."
    if not file.exists(): return nothing(), ''
    try: return checked(json.loads(file.read_text(encoding='utf8'))), ''
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return nothing(), set_aside(file, 'is damaged')

def checked(data:dict)->dict: # exercises by id, and exams
    "What a file holds; anything else raises."
    if data['version'] != VERSION: raise ValueError(data['version'])
    return dict(exercises={str(k): entry(**v) for k, v in data['exercises'].items()},
                exams=[sitting(**e) for e in data.get('exams', [])])

def entry(state='', tries=0, failures=0, hints=0, passed='', mistakes=None)->dict:
    "What is kept of one exercise."
    if state not in RANK: raise ValueError(state)
    mistakes = {str(k): int(n) for k, n in (mistakes or {}).items()}
    return dict(state=state, tries=int(tries), failures=int(failures), hints=int(hints), passed=str(passed),
                mistakes=mistakes)

def sitting(date, network, method, without, with_map, n)->dict:
    "What is kept of one exam in prediction."
    return dict(date=str(date), network=str(network), method=str(method), without=int(without), with_map=int(with_map),
                n=int(n))

def set_aside(file, what)->str:
    "Rename a file that cannot be used to a dated name beside it; say so."
    aside = dated(file)
    file.replace(aside)
    return f'Your progress file {what}; it is kept as {aside}, and a new one begins.'

def change(edit, # exercises and exams -> changed in place
           file:Path=None
          )->tuple: # (exercises and exams after it, what to tell the learner or '')
    "Read, edit and replace the file under its lock. An edit that cannot be saved is tried again with the next."
    file = file or path()
    edits = unsaved.setdefault(file, [])
    edits.append(edit)
    try:
        with locked(file):
            kept, note = load(file)
            for f in edits: f(kept)
            write_whole(file, json.dumps(dict(version=VERSION, **kept), indent=1))
        edits.clear()
        return kept, note
    except OSError as e: why = reason(e)
    return whole(file)[0], (f'Your progress could not be saved in {file} ({why}). '
                           'It is kept for this session, and saved once that works.')

def locked(file:Path):
    "The lock of `file`, in a folder that is there."
    from filelock import FileLock
    file.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(str(file) + '.lock', timeout=5)

def reason(e:OSError)->str: return 'another session holds it' if isinstance(e, TimeoutError) else e.strerror

def change_exercises(edit)->tuple: # (exercises by id after it, what to tell the learner or '')
    "As `change`, for an edit of the exercises."
    kept, note = change(lambda kept: edit(kept['exercises']))
    return kept['exercises'], note

def note_answer(id:str, state:str, mistakes=())->tuple: # as `change_exercises`
    "Add one answer, and the keys of the mistakes that were named; a pass is never taken back by a later failure."
    def edit(done):
        d = done.setdefault(id, entry())
        for key in mistakes: d['mistakes'][key] = d['mistakes'].get(key, 0) + 1
        d['tries'] += 1
        d['failures'] += RANK[state] < 2
        if RANK[state] >= RANK[d['state']]: d['state'] = state
        if RANK[state] >= 2: d['passed'] = d['passed'] or datetime.now().strftime('%Y-%m-%d')
    return change_exercises(edit)

def note_hint(id:str, n:int)->tuple:
    "Remember that `n` hints were read."
    def edit(done):
        d = done.setdefault(id, entry())
        d['hints'] = max(d['hints'], n)
    return change_exercises(edit)

def note_exam(result:dict)->tuple: # (all results, the oldest first, what to tell the learner or '')
    "Add the result of an exam in prediction, with today's date."
    dated_result = sitting(datetime.now().strftime('%Y-%m-%d'), **result)
    kept, note = change(lambda kept: kept['exams'].append(dated_result))
    return kept['exams'], note

def forget(id:str=None)->str: # what to tell the learner
    "Drop one exercise, or set the whole file aside."
    file = path()
    if id: return change_exercises(lambda done: done.pop(id, None))[1]
    try:
        with locked(file): note = set_aside(file, 'was reset') if file.exists() else ''
    except OSError as e: return f'Your progress in {file} could not be reset ({reason(e)}).'
    unsaved.pop(file, None)
    return note

def passed(d)->bool: return bool(d) and RANK.get(d['state'], 0) >= 2
