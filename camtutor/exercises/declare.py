"An exercise, declared in one place: what is asked and tried, the reference, and each mistake beside its diagnosis."
from functools import cached_property

from camtutor.exercises.core import Exercise, Mistake
from camtutor.exercises.edits import edited

declared = {} # by id: what the chapters' modules declare, in their order

class exercise:
    "One exercise: `reference` marks the right answer; `edit` and `wrong` add mistakes, to be compared in this order."
    def __init__(self, id:str, title:str, task:str, **fields):
        self.fields, self.mistakes = dict(id=id, title=title, task=task, reference=None) | fields, []
        declared[id] = self

    def reference(self, answer):
        "Above the function or class that is the right answer."
        self.fields['reference'] = answer
        return answer

    def edit(self, *texts): # old, new, perhaps more of these, and at last the diagnosis
        "A mistake: the reference with `old`, which stands there once, replaced by `new`."
        *changes, diagnosis = texts
        changes = tuple(zip(changes[::2], changes[1::2]))
        answer = edited(self.fields['reference'], changes)
        self.mistakes.append(Mistake(answer, diagnosis, changes))
        return answer

    def wrong(self, answer, diagnosis:str=''):
        "A mistake: any wrong answer. As a decorator it takes the docstring as diagnosis."
        self.mistakes.append(Mistake(answer, diagnosis or ' '.join(answer.__doc__.split())))
        return answer

    @cached_property
    def made(self)->Exercise: return Exercise(**self.fields, mistakes=tuple(self.mistakes))
