"What an exercise is."
# An `Exercise` is a reference, the trials that an answer goes through, and a bank of mistakes: wrong answers that
# people give, as real code, each with what a tutor would say. `grade` says how an answer fares.
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from itertools import combinations
from typing import Callable
from zlib import crc32
import re

from camtutor.exercises.edits import paired, source_of
from camtutor.exercises.stubs import blank
from camtutor.exercises.trace import Raised

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
    changes:tuple = () # what an answer may change: names of arguments, 'hooks', 'random numbers', 'grad mode', 'graph'
    graph:bool = False # must what comes back carry a graph, wherever the reference's does?
    hard:bool = False # marked with a star

    @property
    def chapter(self): return self.id.split('.')[0].zfill(2)
    @property
    def heading(self): return '★ '*self.hard + self.title
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
    told:str = '' # what the grader has seen by itself, without the bank
    where:Raised|None = None # for 'raised'
    printed:str = '' # what the answer printed in the first trial

    @property
    def passed(self): return self.state in ('correct', 'slow', 'written')
    @property
    def mistake(self): return self.mistakes[0] if self.mistakes else None
    @property
    def diagnosed(self): return bool(self.mistakes or self.told)

def library_of(e:Exercise):
    "The package's own function or class."
    return getattr(import_module(e.library), e.name)
