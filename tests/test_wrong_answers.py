"Plausible wrong answers that are not in the bank: at least nine in ten get a diagnosis, and none is accepted."
import pytest
import wrong_answers as tool

from camtutor.exercises import exercises
from test_exercises import CONVERTED

@pytest.mark.parametrize('number', sorted(CONVERTED))
def test_nine_in_ten_get_a_diagnosis(number):
    assert number in tool.lessons(), f'tests/wrong/ch{number}.py holds 20 wrong answers and more'
    found = tool.fates(number)
    assert len(found) >= 20 and [f for f in found if f[2] == 'ACCEPTED'] == []
    assert tool.share(found) >= .9, tool.report(number)

def test_what_becomes_of_an_answer():
    e = exercises()['3.2']
    right = e.reference
    assert tool.fate(e, right)[0] == 'ACCEPTED'
    assert tool.fate(e, lambda A, g: right(A, g)*3)[0] == 'told'
    assert tool.fate(e, lambda A, g: (A*g).sum(1).relu())[0] == 'named'
    assert tool.fate(e, lambda A, g: (A*A*g).sum(1).relu())[0] == 'difference'
    misled = tool.Misleading(lambda A, g: (A*g).sum(1).relu(), 'Something else was meant.')
    assert tool.fate(e, misled)[0] == 'MISLEADING'
    found = [('3.2', 'f', what, '') for what in ('named', 'told', 'difference', 'ACCEPTED')]
    assert tool.share(found) == .5

def test_the_report_ends_with_the_share():
    last = tool.report('03').splitlines()[-1]
    assert last.startswith('Lesson 03: ') and '% with a diagnosis' in last
