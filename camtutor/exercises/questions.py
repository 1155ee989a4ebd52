"Grading what is answered and not programmed: a number, a shape, a text, an option."
import ast, math, re

from torch import Tensor

from camtutor.errors import CamError, nearest
from camtutor.exercises import kinds
from camtutor.exercises.core import Verdict
from camtutor.exercises.trace import shortened

def grade_question(e, answer)->Verdict:
    "The verdict on an answer to a question."
    if unanswered(answer): return Verdict(e, 'not attempted')
    if e.kind == 'written': return Verdict(e, 'written')
    answer = understood(answer, e.reference)
    if same_answer(answer, e.reference): return Verdict(e, 'correct')
    mistakes = tuple(m for m in e.mistakes if same_answer(answer, m.answer))[:1]
    if e.kind == 'choice' and not mistakes:
        raise CamError(f'{answer!r} is not an option of question {e.id}. ' + nearest(answer, e.options))
    if mistakes: return Verdict(e, 'wrong', '', mistakes)
    return Verdict(e, 'wrong', f'It is not {shortened(answer)}.', told=told(answer, e.reference))

def unanswered(answer): return answer is ... or answer is None or isinstance(answer, str) and not answer.strip()

def understood(answer, right):
    "Numbers typed as a text, such as '12', '1, 0, 0' or '5 × 128 × 8 × 8', as numbers, where numbers are asked."
    if not isinstance(answer, str) or isinstance(right, str): return answer
    text = answer.replace('−', '-').strip()
    try: return ast.literal_eval(text)
    except (ValueError, SyntaxError): pass
    if not re.fullmatch(r'[\s()\[\],;x×*·\d.+-]+', text): return answer
    found = [float(n) if '.' in n else int(n) for n in re.findall(r'-?\d+(?:\.\d+)?', text)]
    return found[0] if len(found) == 1 else tuple(found) if found else answer

def same_answer(a, b):
    "Is `a`, given by a learner, the value `b`? Spaces, case, list or tuple, and a float's last digits do not count."
    if isinstance(a, Tensor): a = a.tolist()
    if isinstance(b, str): return same_text(str(a), b)
    if isinstance(b, (tuple, list)):
        return isinstance(a, (tuple, list)) and len(a) == len(b) and all(map(same_answer, a, b))
    if isinstance(b, bool) or isinstance(a, bool): return a is b
    if isinstance(b, float): return isinstance(a, (int, float)) and math.isclose(a, b, rel_tol=.01)
    return a == b

def same_text(a, b): return a.split() == b.split() or a.lower().strip(' .') == b.lower().strip(' .')

def told(answer, right)->str:
    "What a wrong value is like; '' if it is like nothing."
    if isinstance(right, (tuple, list)): return told_row(answer, list(right))
    if isinstance(answer, (tuple, list)): return 'One number is asked, and these are several.' if number(right) else ''
    if number(right) and isinstance(answer, str): return 'A number is asked: write it without words or units.'
    return kinds.a_number(answer, right) if number(answer) and number(right) else ''

def number(v): return isinstance(v, (int, float)) and not isinstance(v, bool)

def told_row(answer, right)->str:
    "What a wrong shape or list is like."
    if isinstance(answer, str): return f'{len(right)} numbers are asked, such as (1, 2).'
    if not isinstance(answer, (tuple, list)): return f'{len(right)} numbers are asked, and this is one.'
    mine = list(answer)
    if len(mine) < len(right):
        if mine == right[1:]: return 'The first axis is missing: there is a batch.'
        return f'There are {len(right)} numbers, and these are {len(mine)}.'
    if len(mine) > len(right):
        return f'There are {len(right)} numbers, and these are {len(mine)}: one axis is gone by then.'
    if all(map(number, mine)) and sorted(mine) == sorted(right): return 'The right numbers, in another order.'
    off = [i for i, (a, b) in enumerate(zip(mine, right)) if not same_answer(a, b)]
    if len(off)*2 > len(right): return ''
    again = ' and '.join(str(i + 1) for i in off)
    return f'{len(right) - len(off)} of {len(right)} are right: look at number {again} again.'
