"How an answer is graded."
# Grading runs the trials in order and stops at the first that fails. The answer is then compared with the bank: a
# mistake is recognised when the answer *behaves* like it on every trial. Where no single mistake is recognised, those
# that are edits of the reference are tried two by two. What the bank does not know, the grader tells by itself: what
# a call has changed or left behind (`watch`), what a wrong result is like (`likeness`), what an exception means
# (`explained`). An answer that gives all the right values is tried once more with other people's hooks and `.grad` on
# the networks, and, where its result must carry a graph, with tensors that require one.
from dataclasses import dataclass
import contextlib, inspect, io, math, random, sys, time, warnings

import numpy as np
import torch

from camtutor.exercises import kinds, likeness
from camtutor.exercises.compare import difference, without_nan
from camtutor.exercises.core import Exercise, Verdict, same_as_reference
from camtutor.exercises.explained import explained
from camtutor.exercises.guard import TimeLimit, guarded
from camtutor.exercises.questions import grade_question
from camtutor.exercises.signature import wrong_signature
from camtutor.exercises.stubs import is_stub
from camtutor.exercises.trace import Raised, brief, raised
from camtutor.exercises.watch import Effect, Watch, tensors_in

SLOWER = 20. # times the reference's time that still count as quick

def grade(e:Exercise, # the exercise
          answer, # a function or class, or the answer to a question
          seconds:float=5. # limit for each trial
         )->Verdict:
    "Put `answer` through the trials of `e`; stop at the first that fails and look for the mistake."
    if e.kind != 'function': return grade_question(e, answer)
    if is_stub(answer): return Verdict(e, 'not attempted')
    if complaint := wrong_signature(e, answer): return Verdict(e, 'wrong', told=complaint)
    with known_as(e.name, answer): return tried(e, answer, seconds)

def tried(e, answer, seconds)->Verdict:
    outcomes, printed = [], ''
    for t in e.trials:
        outcomes.append(attempt(t.run, answer, seconds, Watch(e.reference)))
        printed = outcomes[0].printed
        if v := problem(e, t, outcomes[-1]): return failed(e, answer, t, outcomes, v, seconds)
    if left := aftermath(e, answer, outcomes, seconds):
        mistakes = next(((m,) for m in e.mistakes if seems(e, m.answer, outcomes)
                         and left == aftermath_of(e, m.answer)), ())
        return Verdict(e, 'wrong', '', mistakes, '' if mistakes else sentences(left), printed=printed)
    if e.speed and (ratio := slowness(e, answer)) > SLOWER:
        return Verdict(e, 'slow', f'It takes about {ratio:.0f} times as long as the reference.', printed=printed)
    return Verdict(e, 'correct', printed=printed)

@contextlib.contextmanager
def known_as(name, answer):
    "Within, a learner's code knows its own function or class by its name, and not the library's."
    inner = [f for f in vars(answer).values() if inspect.isfunction(f)] if inspect.isclass(answer) else [answer]
    scope = next((getattr(f, '__globals__', None) for f in inner), None)
    if scope is None or answer.__name__ != name or str(scope.get('__name__', '')).startswith('camtutor.'):
        yield
        return
    missing = object()
    kept, scope[name] = scope.get(name, missing), answer
    try: yield
    finally:
        if kept is missing: del scope[name]
        else: scope[name] = kept

# ---- One trial

@dataclass(frozen=True)
class Outcome:
    "What one trial gave, and what was seen."
    value:object = None
    error:Raised|None = None
    printed:str = ''
    effects:tuple = () # of Effect
    given:tuple = () # what the calls of the answer gave back
    carried:tuple = () # for each call: which tensors of its result carry a graph
    sizes:tuple = () # of the tensors that the answer was called with, as items
    networks:bool = False # was it called with a network?

@contextlib.contextmanager
def fixed_random():
    "Random numbers that repeat within, and go on afterwards as if none had been drawn."
    kept = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    for seed in (random.seed, np.random.seed, torch.default_generator.manual_seed): seed(0)
    try: yield
    finally:
        for put_back, state in zip((random.setstate, np.random.set_state, torch.random.set_rng_state), kept):
            put_back(state)

def attempt(run, answer, seconds=5., watch=None)->Outcome:
    "What `run(answer)` gives or raises, in limited time; random numbers, grad mode and output stay as they were."
    out, grad, value, error = io.StringIO(), torch.is_grad_enabled(), None, None
    watch = watch or Watch(None)
    try:
        with fixed_random(), warnings.catch_warnings(record=True) as warned, contextlib.redirect_stdout(out):
            torch.set_grad_enabled(True)
            value = guarded(lambda: run(watch.of(answer)), seconds)
    except (Exception, SystemExit, TimeLimit) as e: error = raised(e)
    finally:
        torch.set_grad_enabled(grad)
        watch.end()
    for w in warned: print(f'{w.category.__name__}: {w.message}', file=out)
    return Outcome(value, error, out.getvalue(), tuple(watch.effects), tuple(watch.given), tuple(watch.carried),
                   tuple(watch.sizes.items()), watch.networks)

_known = {}

def outcome(e, answer, trial)->Outcome:
    "The outcome of the reference or of a mistake of the bank; worked out once."
    key = id(answer), id(trial)
    if key not in _known: # kept, so that their ids stay theirs
        _known[key] = attempt(trial.run, answer, watch=Watch(e.reference)), answer, trial
    return _known[key][0]

def expected(e, trial): return outcome(e, e.reference, trial).value if trial.want is same_as_reference else trial.want

# ---- What is wrong with it

def problem(e, trial, got:Outcome):
    "`(state, message)` if the outcome of a trial is not what it should be, else None."
    if got.error:
        if got.error.line or got.error.stopped: return 'raised', f'{trial.title}.'
        return 'wrong', f'{trial.title}.'
    if diff := difference(got.value, expected(e, trial)):
        return 'wrong', f'{trial.title}: {diff} {advice(trial, diff)}'.rstrip()
    return ('wrong', f'{trial.title}.') if left_behind(e, trial, got) else None

def advice(trial, diff)->str:
    "What a trial says to a difference; by the name of what differs, if it has several answers."
    if isinstance(trial.says, str): return trial.says
    return next((v for k, v in trial.says.items() if diff.startswith(k)), '')

def failed(e, answer, trial, outcomes, v, seconds)->Verdict:
    "The verdict on an answer that has failed at the last of these outcomes."
    state, message = v
    last, printed = outcomes[-1], outcomes[0].printed
    where = last.error if state == 'raised' else None
    if last.error and last.error.stopped: return Verdict(e, state, message, where=where, printed=printed)
    mistakes = recognise(e, answer, outcomes, seconds)
    told = '' if mistakes else sentences(told_by_itself(e, trial, last, outcomes))
    return Verdict(e, state, message, mistakes, told, where, printed)

def sentences(texts)->str: return '\n'.join(dict.fromkeys(str(t) for t in texts if str(t)))

def told_by_itself(e, trial, last, outcomes)->list: # of texts
    "What the grader sees without the bank: effects, an exception's meaning, a likeness."
    texts = [t for o, tr in zip(outcomes, e.trials) for t in left_behind(e, tr, o)]
    if last.error and last.error.line: return [*texts, explained(last.error.kind, last.error.message)]
    if last.error: return [*texts, unusable(e, trial, last)]
    return [*texts, likeness.told([(o.value, expected(e, t), dict(o.sizes)) for o, t in zip(outcomes, e.trials)
                                   if not o.error and difference(o.value, expected(e, t))])]

def unusable(e, trial, got)->str:
    "The trial, not the answer, has raised: what the answer gave is of another sort than what is asked."
    right = outcome(e, e.reference, trial).given
    for mine, theirs in zip(got.given, right):
        text = kinds.other_kind(mine, theirs) or (kinds.rows(mine, theirs) if isinstance(theirs, (list, tuple)) else '')
        if text: return text
    error = got.error
    if error.kind == 'CamError': return error.message
    if error.kind in ('AttributeError', 'TypeError') and e.name and inspect.isclass(e.reference):
        return f'Yours cannot be used as it is asked: {error.message}. {explained(error.kind, error.message)}'.rstrip()
    if error.kind == 'TypeError' and 'argument' in error.message: return explained(error.kind, error.message)
    if got.given and right and not inspect.isclass(e.reference):
        return f'What yours gives cannot be used here: {brief(got.given[-1])}, where {brief(right[-1])} is asked.'
    return 'The trial could not go on with what yours gives or leaves. Does it do all that the text asks?'

MAY = {'hooks': {'hook'}, 'random numbers': {'random'}, 'grad mode': {'gradmode'}, 'graph': {'kept', 'lost'}}
GRAPH = dict(
    kept='What you give still carries its graph (`requires_grad`), and with it stays in memory all that it was '
         'computed from. `detach()` it, or compute it under `torch.no_grad()`.',
    lost='What you give has lost its graph, so nobody can go back from it: `.item()`, `.detach()`, `.data`, '
         '`torch.tensor(…)` or `no_grad` cuts it. Stay with tensors all the way.')

def left_behind(e, trial, got)->list: # of Effect and text
    "What an answer has changed or left in a trial though it may not; a class may do what the reference does."
    right = outcome(e, e.reference, trial)
    done = {x.kind for x in right.effects} if inspect.isclass(e.reference) else set()
    return [x for x in got.effects if x.kind not in done and allowed(e, x)] + graphs(e, got, right)

def allowed(e, effect:Effect)->bool: # is it to be told?
    return effect.name not in e.changes and not any(effect.kind in MAY.get(c, ()) for c in e.changes)

def graphs(e, got, right)->list: # of texts
    "Graphs that stay and should not, or are lost and should not, in what calls give and in what the trial gives."
    if got.error or right.error or 'graph' in e.changes: return []
    pairs = list(zip(got.carried, right.carried)) if len(got.carried) == len(right.carried) else []
    pairs.append([[t.requires_grad for t in tensors_in(o.value)] for o in (got, right)])
    both = [(a, b) for mine, theirs in pairs if len(mine) == len(theirs) for a, b in zip(mine, theirs)]
    found = [GRAPH['kept']] if any(a and not b for a, b in both) else []
    return found + ([GRAPH['lost']] if e.graph and any(b and not a for a, b in both) else [])

def aftermath(e, answer, outcomes, seconds=5.)->list: # of Effect and text
    "What an answer does to other people's hooks and `.grad`, and to the graph of tensors that require one."
    found = []
    for t, o in zip(e.trials, outcomes):
        if o.networks:
            marked = attempt(t.run, answer, seconds, Watch(e.reference, marked=True))
            found += [x for x in marked.effects if x.kind in ('hooks', 'wiped') and allowed(e, x)]
        if e.graph: found += lost(e, t, answer, seconds)
    return list(dict.fromkeys(found))

def lost(e, trial, answer, seconds)->list:
    mine, right = (attempt(trial.run, f, seconds, Watch(e.reference, graph=True)) for f in (answer, e.reference))
    if right.error or not any(map(any, right.carried)): return []
    if mine.error: return [GRAPH['lost']] if mine.error.line else []
    return [x for x in graphs(e, mine, right) if x == GRAPH['lost']]

_left = {}

def aftermath_of(e, wrong)->list:
    "The same of a mistake of the bank; worked out once."
    if id(wrong) not in _left: _left[id(wrong)] = aftermath(e, wrong, [outcome(e, wrong, t) for t in e.trials]), wrong
    return _left[id(wrong)][0]

# ---- The bank

def recognise(e, answer, outcomes, seconds)->tuple: # of Mistake: one, two, or none
    "The mistake of the bank that behaves as `answer` does on every trial; else the two that do so together."
    for t in e.trials[len(outcomes):]: outcomes.append(attempt(t.run, answer, seconds, Watch(e.reference)))
    if any(o.error and o.error.stopped for o in outcomes): return ()
    for m in e.mistakes:
        if seems(e, m.answer, outcomes): return m,
    if any(o.error for o in outcomes): return () # an error hides what else is wrong
    return next((two for two, wrong in e.pairs if seems(e, wrong, outcomes)), ())

def seems(e, wrong, outcomes)->bool:
    "Does this mistake show these outcomes?"
    return all(alike(e, o, outcome(e, wrong, t)) for o, t in zip(outcomes, e.trials))

def alike(e, a:Outcome, b:Outcome)->bool:
    "Do two outcomes show the same behaviour?"
    if a.error or b.error: return bool(a.error and b.error) and a.error.what == b.error.what
    kinds = [{x.kind for x in o.effects if allowed(e, x)} for o in (a, b)]
    return (kinds[0] == kinds[1] and not graphs(e, a, b) and not graphs(e, b, a)
            and not difference(without_nan(a.value), without_nan(b.value)))

def slowness(e, answer, times=5)->float:
    "Processor time of `answer` over that of the reference, best of `times` each; a busy machine hardly moves it."
    def best(f):
        start = []
        for _ in range(times):
            begin = time.process_time()
            if attempt(e.speed, f, 20.).error: return math.inf
            start.append(time.process_time() - begin)
        return min(start)
    return best(answer)/best(e.reference)
