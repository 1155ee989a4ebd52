"What an exercise is, and how an answer is graded."
# An `Exercise` is a reference, the trials that an answer goes through, and a bank of mistakes: wrong answers that
# people give, as real code, each with what a tutor would say. Grading runs the trials in order and stops at the first
# that fails. The answer is then compared with the bank: a mistake is recognised when the answer *behaves* like it on
# every trial. Where no single mistake is recognised, those that are edits of the reference are tried two by two.
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from itertools import combinations
from typing import Callable
from zlib import crc32
import contextlib, inspect, io, math, random, re, time

import numpy as np
import torch
from torch import Tensor

from camtutor.course import check_tensor
from camtutor.errors import CamError, nearest
from camtutor.exercises.edits import paired, source_of
from camtutor.exercises.guard import TimeLimit, guarded
from camtutor.exercises.stubs import blank, is_stub
from camtutor.exercises.trace import Raised, raised, shortened

class same_as_reference: "Marks a trial whose expected outcome is what the reference gives."

@dataclass(frozen=True)
class Trial:
    "One thing an answer is put through."
    title:str # says what is tried: 'A 2 × 2 map worked by hand'
    run:Callable # answer -> what is compared: tensors, numbers, texts, and tuples or dicts of them
    want:object = same_as_reference # what it should give; left out, what the reference gives
    says:object = '' # what to tell the learner, besides the difference, when this fails; by name, if a dict is compared

@dataclass(frozen=True)
class Mistake:
    "A wrong answer that people give, and what a tutor would say to it."
    answer:object # a function or class that behaves so; for a question, the wrong value
    diagnosis:str
    changes:tuple = () # of (old, new), if it is an edit of the reference

    @property
    def key(self)->str:
        "The first sentence of its diagnosis, or two if it is short: by this the progress file knows it."
        return re.match(r'.{20,}?[.:?!](?= |$)|.*', self.diagnosis)[0]

@dataclass(frozen=True)
class Exercise:
    "One exercise: a function or a class to write, or a question to answer."
    id:str # chapter and number: '3.2'
    title:str
    task:str # markdown: what to do
    reference:object # the right answer; for a written one, the model answer
    trials:tuple = () # of Trial; a question needs none
    mistakes:tuple = () # of Mistake
    hints:tuple = () # three, from a nudge to nearly there
    why:str = '' # one or two sentences, shown after a pass: why it matters
    kind:str = 'function' # 'function' (or class), 'value', 'choice' or 'written'
    library:str = '' # the module of the package that has it: 'camtutor.cam'
    speed:Callable|None = None # answer -> anything: a larger case to be timed

    @property
    def chapter(self): return self.id.split('.')[0].zfill(2)
    @property
    def name(self): return getattr(self.reference, '__name__', '')
    @property
    def options(self):
        "Of a multiple-choice question, in an order that has nothing to do with which is right."
        return sorted([str(self.reference), *(str(m.answer) for m in self.mistakes)], key=lambda o: crc32(o.encode()))
    @property
    def solution(self):
        if self.kind != 'function': return str(self.reference)
        return source_of(self.reference)
    @property
    def stub(self):
        "The cell that a learner starts from."
        if self.kind != 'function': return f'ex.answer("{self.id}", ...)'
        return f'@ex("{self.id}")\n' + blank(self.solution, self.name)
    @cached_property
    def pairs(self)->list:
        "Two edits of the reference at once: the two mistakes, and the function or class that makes both."
        edits = [m for m in self.mistakes if m.changes]
        made = [((a, b), paired(self.reference, a.changes, b.changes)) for a, b in combinations(edits, 2)]
        return [(two, answer) for two, answer in made if answer]

@dataclass(frozen=True)
class Verdict:
    "What came out of grading one answer."
    exercise:Exercise
    state:str # 'not attempted', 'raised', 'wrong', 'slow', 'correct' or 'written'
    message:str = ''
    mistakes:tuple = () # the one that was recognised, or two
    where:Raised|None = None # for 'raised'
    printed:str = '' # what the answer printed in the first trial

    @property
    def passed(self): return self.state in ('correct', 'slow', 'written')
    @property
    def mistake(self): return self.mistakes[0] if self.mistakes else None

def library_of(e:Exercise):
    "The package's own function or class."
    return getattr(import_module(e.library), e.name)

# Grading

SLOWER = 20. # times the reference's time that still count as quick

def grade(e:Exercise, # the exercise
          answer, # a function or class, or the answer to a question
          seconds:float=5. # limit for each trial
         )->Verdict:
    "Put `answer` through the trials of `e`; stop at the first that fails and look for the mistake."
    if e.kind != 'function': return grade_question(e, answer)
    if is_stub(answer): return Verdict(e, 'not attempted')
    if complaint := wrong_signature(e, answer): return Verdict(e, 'wrong', complaint)
    outcomes, printed = [], ''
    for t in e.trials:
        got = attempt(t.run, answer, seconds)
        outcomes.append(got)
        if t is e.trials[0]: printed = got.printed
        if v := problem(e, t, got):
            return Verdict(e, *v, mistakes=recognise(e, answer, outcomes, seconds),
                           where=got.error if v[0] == 'raised' else None, printed=printed)
    if e.speed and (ratio := slowness(e, answer)) > SLOWER:
        return Verdict(e, 'slow', f'It takes about {ratio:.0f} times as long as the reference.', printed=printed)
    return Verdict(e, 'correct', printed=printed)

def grade_question(e, answer):
    if unanswered(answer): return Verdict(e, 'not attempted')
    if e.kind == 'written': return Verdict(e, 'written')
    if same_answer(answer, e.reference): return Verdict(e, 'correct')
    mistakes = tuple(m for m in e.mistakes if same_answer(answer, m.answer))[:1]
    if e.kind == 'choice' and not mistakes:
        raise CamError(f'{answer!r} is not an option of question {e.id}. ' + nearest(answer, e.options))
    return Verdict(e, 'wrong', '' if mistakes else f'It is not {shortened(answer)}.', mistakes)

def unanswered(answer): return answer is ... or answer is None or isinstance(answer, str) and not answer.strip()

def same_answer(a, b):
    "Is `a`, typed by a learner, the value `b`? Spaces, case, list or tuple, and a float's last digits do not count."
    if isinstance(a, Tensor): a = a.tolist()
    if isinstance(b, str): return same_text(str(a), b)
    if isinstance(b, (tuple, list)):
        return isinstance(a, (tuple, list)) and len(a) == len(b) and all(map(same_answer, a, b))
    if isinstance(b, bool) or isinstance(a, bool): return a is b
    if isinstance(b, float): return isinstance(a, (int, float)) and math.isclose(a, b, rel_tol=.01)
    return a == b

def same_text(a, b): return a.split() == b.split() or a.lower().strip(' .') == b.lower().strip(' .')

@contextlib.contextmanager
def fixed_random():
    "Random numbers that repeat within, and go on afterwards as if none had been drawn."
    kept = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    for seed in (random.seed, np.random.seed, torch.default_generator.manual_seed): seed(0)
    try: yield
    finally:
        for put_back, state in zip((random.setstate, np.random.set_state, torch.random.set_rng_state), kept):
            put_back(state)

@dataclass(frozen=True)
class Outcome:
    value:object = None
    error:Raised|None = None
    printed:str = ''

def attempt(run, answer, seconds=5.)->Outcome:
    "What `run(answer)` gives or raises, in limited time; random numbers, grad mode and output stay as they were."
    out = io.StringIO()
    grad = torch.is_grad_enabled()
    try:
        with fixed_random(), contextlib.redirect_stdout(out):
            torch.set_grad_enabled(True)
            return Outcome(guarded(lambda: run(answer), seconds), printed=out.getvalue())
    except (Exception, SystemExit, TimeLimit) as e:
        return Outcome(error=raised(e), printed=out.getvalue())
    finally: torch.set_grad_enabled(grad)

_known = {}

def outcome(answer, trial)->Outcome:
    "The outcome of the reference or of a mistake of the bank; worked out once."
    key = id(answer), id(trial)
    if key not in _known: _known[key] = attempt(trial.run, answer), answer, trial # kept, so that their ids stay theirs
    return _known[key][0]

def expected(e, trial): return outcome(e.reference, trial).value if trial.want is same_as_reference else trial.want

def problem(e, trial, got:Outcome):
    "`(state, message)` if the outcome of a trial is not what it should be, else None."
    if got.error:
        if got.error.line or got.error.stopped: return 'raised', f'{trial.title}.'
        return 'wrong', f'{trial.title}: {got.error.kind}: {got.error.message}'
    if diff := difference(got.value, expected(e, trial)):
        return 'wrong', f'{trial.title}: {diff} {advice(trial, diff)}'.rstrip()

def advice(trial, diff)->str:
    "What a trial says to a difference; by the name of what differs, if it has several answers."
    if isinstance(trial.says, str): return trial.says
    return next((v for k, v in trial.says.items() if diff.startswith(k)), '')

def recognise(e, answer, outcomes, seconds)->tuple: # of Mistake: one, two, or none
    "The mistake of the bank that behaves as `answer` does on every trial; else the two that do so together."
    if any(o.error and o.error.stopped for o in outcomes): return ()
    for t in e.trials[len(outcomes):]: outcomes.append(attempt(t.run, answer, seconds))
    def same(wrong): return all(alike(o, outcome(wrong, t)) for o, t in zip(outcomes, e.trials))
    for m in e.mistakes:
        if same(m.answer): return m,
    if any(o.error for o in outcomes): return () # an error hides what else is wrong
    return next((two for two, wrong in e.pairs if same(wrong)), ())

def alike(a:Outcome, b:Outcome)->bool:
    "Do two outcomes show the same behaviour?"
    if a.error or b.error: return bool(a.error and b.error) and a.error.what == b.error.what
    return not difference(without_nan(a.value), without_nan(b.value))

def without_nan(v):
    "The same with a number in the place of nan, so that two results with nan at the same places are alike."
    if isinstance(v, Tensor) and v.is_complex(): v = torch.view_as_real(v)
    if isinstance(v, Tensor) and v.is_floating_point(): return v.nan_to_num(9e9)
    if isinstance(v, dict): return {k: without_nan(x) for k, x in v.items()}
    if type(v) in (list, tuple): return [without_nan(x) for x in v]
    return 9e9 if isinstance(v, float) and v != v else v

def difference(got, want, name='the result')->str:
    "How `got` differs from `want`, in words: type, shape, dtype, not finite, values, in this order; '' if it does not."
    looks = {Tensor: tensors_differ, dict: dicts_differ, (list, tuple): rows_differ, float: floats_differ}
    for kind, look in looks.items():
        if isinstance(want, kind): return look(got, want, name)
    if type(got) is not type(want) or got != want: return f'{name} should be {want!r}, but it is {shortened(got)}.'
    return ''

def tensors_differ(got, want, name):
    if got is None: return f'{name} is None. Is there a `return`?'
    try: check_tensor(got, want, name=name)
    except AssertionError as e: return str(e)
    return ''

def dicts_differ(got, want, name):
    if not isinstance(got, dict): return f'{name} should be a dict, but it is {type(got).__name__}.'
    if list(got) != list(want): return f'{name} should have the keys {list(want)}, but it has {list(got)}.'
    return next(filter(None, (difference(got[k], want[k], str(k)) for k in want)), '')

def rows_differ(got, want, name):
    if not isinstance(got, (list, tuple)):
        return f'{name} should be a {type(want).__name__}, but it is {type(got).__name__}.'
    if len(got) != len(want): return f'{name} should have {len(want)} parts, but it has {len(got)}.'
    return next(filter(None, (difference(g, w, f'{name}[{i}]') for i, (g, w) in enumerate(zip(got, want)))), '')

def floats_differ(got, want, name):
    number = isinstance(got, (int, float))
    if number and (math.isclose(got, want, rel_tol=1e-4, abs_tol=1e-6) or got != got and want != want): return ''
    return f'{name} should be {want:.6g}, but it is {format(got, ".6g") if isinstance(got, float) else got}.'

def wrong_signature(e, answer)->str:
    "What is wrong with the arguments that `answer` takes; '' if it can be called as the reference is."
    if inspect.isclass(e.reference) != inspect.isclass(answer):
        asked, given = ("class" if inspect.isclass(o) else "function" for o in (e.reference, answer))
        return f"`{e.name}` should be a {asked}, and yours is a {given}."
    if not callable(answer): return f'`@ex("{e.id}")` goes above a function or a class.'
    want, got = inspect.signature(e.reference).parameters, inspect.signature(answer)
    needed = [p.name for p in want.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    required = [n for n in needed if want[n].default is inspect.Parameter.empty]
    return turned(needed, got) or not_bound(e, answer, required, got) or left_out(needed, required, got)

def turned(needed, got):
    "The arguments have their names, but another order."
    has = list(got.parameters)
    if sorted(needed) != sorted(has) or needed == has: return ''
    return f'The arguments should come in the order ({", ".join(needed)}); yours is ({", ".join(has)}).'

def not_bound(e, answer, required, got):
    "It cannot be called with the arguments that the reference needs."
    try: got.bind(*required)
    except TypeError as err:
        return (f'It is called as {e.name}({", ".join(required)}), '
                f'which yours, {answer.__name__}{got}, does not take: {err}.')
    return ''

def left_out(needed, required, got):
    "Arguments with a default that the reference takes, too."
    has = got.parameters
    if any(p.kind is p.VAR_KEYWORD for p in has.values()): return ''
    missing = [n for n in needed if n not in required and n not in has]
    return f'It should also take {" and ".join(f"`{n}`" for n in missing)}, as the reference does.' if missing else ''

def slowness(e, answer, times=5)->float:
    "Processor time of `answer` over that of the reference, best of `times` each; a busy machine hardly moves it."
    def best(f):
        start = [time.process_time()]
        for _ in range(times):
            if attempt(e.speed, f, 20.).error: return math.inf
            start.append(time.process_time())
        return min(b - a for a, b in zip(start, start[1:]))
    return best(answer)/best(e.reference)
