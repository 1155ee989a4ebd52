"""How many plausible wrong answers get a diagnosis? Answers that are not in the bank, from tests/wrong/chNN.py.

    python tools/wrong_answers.py 03    a line for each, then the share; without a number all lessons with a list"""
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from camtutor.exercises import exercises, grade

TESTS = Path(__file__).resolve().parent.parent/'tests'
DIAGNOSED = 'named', 'told'

class Misleading(NamedTuple):
    "Around a wrong answer: its diagnosis is not true of it, as somebody has found by reading."
    answer:object
    why:str

def lessons(): return sorted(p.stem[2:] for p in (TESTS/'wrong').glob('ch[0-9][0-9].py'))

def wrong_answers(number)->dict: # exercise -> list of answers
    if str(TESTS) not in sys.path: sys.path.insert(0, str(TESTS))
    return import_module(f'wrong.ch{number}').WRONG

def fate(e, answer)->tuple: # (what became of it, what was said)
    "'named' by the bank, 'told' by the grader itself, 'difference' alone, 'MISLEADING', 'ACCEPTED'."
    wrapped = isinstance(answer, Misleading)
    v = grade(e, answer.answer if wrapped else answer)
    if v.passed or v.state == 'not attempted': return 'ACCEPTED' if v.passed else 'difference', v.state
    said = ' '.join([*(m.diagnosis for m in v.mistakes), v.told or '']).strip() or (
        f'{v.where.kind}: {v.where.message}' if v.where else v.message)
    if wrapped: return 'MISLEADING', said
    return 'named' if v.mistakes else 'told' if v.told else 'difference', said

def fates(number)->list: # of (exercise, name of the answer, what became of it, what was said)
    known = exercises()
    return [(id, called(answer), *fate(known[id], answer)) for id, answers in wrong_answers(number).items()
            for answer in answers]

def called(answer):
    if isinstance(answer, Misleading): answer = answer.answer
    return getattr(answer, '__name__', None) or repr(answer)

def share(found)->float: # of those that got a diagnosis of their own
    return sum(what in DIAGNOSED for *_, what, _ in found)/len(found)

def report(number)->str:
    found = fates(number)
    lines = [f'{id:5} {what:11} {name:28} {said[:150]}' for id, name, what, said in found]
    counts = ', '.join(f'{n} {what}' for what, n in Counter(what for *_, what, _ in found).most_common())
    total = f'Lesson {number}: {len(found)} wrong answers, {share(found):.0%} with a diagnosis ({counts})'
    return '\n'.join([*lines, total])

if __name__ == '__main__':
    from wrong_answers import lessons, report # the module that the lists import: `Misleading` must be one class
    for number in sys.argv[1:] or lessons(): print(report(number))
