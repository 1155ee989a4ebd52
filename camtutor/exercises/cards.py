"Verdicts, hints and tables as cards: HTML in a notebook, plain text in a terminal."
from dataclasses import dataclass
from html import escape
import textwrap

from camtutor.course import card, marked
from camtutor.exercises.core import Verdict

GREY, RED, AMBER, GREEN, VIOLET = '#777', '#b5432a', '#9a6700', '#1b7f5a', '#5b4b8a'
STATES = {'not attempted': ('○', 'not attempted yet', GREY), 'raised': ('!', 'your code raised an exception', AMBER),
          'wrong': ('✗', 'not right yet', RED), 'slow': ('✓', 'correct, but slow', AMBER),
          'correct': ('✓', 'correct', GREEN), 'written': ('✎', 'compare', VIOLET)}

CODE = ('margin:.4em 0;white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere;'
        'font-size:13px;line-height:1.35')

@dataclass(frozen=True)
class Card:
    "A title and paragraphs. `code` paragraphs are shown as they are; `folded` ones behind a click."
    head:str
    parts:tuple = () # of (kind, text): 'p', 'code', or 'fold' with (title, text)
    colour:str = VIOLET

    def _repr_html_(self): return card(self.head, ''.join(html(*p) for p in self.parts), self.colour)

    def __str__(self):
        return '\n'.join([self.head, *(textwrap.indent(plain(*p), '  ') for p in self.parts)])

    __repr__ = __str__

def html(kind, text):
    if kind == 'fold': return f'<details><summary>{escape(text[0])}</summary>{html("code", text[1])}</details>'
    if kind == 'code': return f'<pre style="{CODE}">{escape(text)}</pre>'
    return '<div style="margin:.3em 0">' + marked(text).replace('\n', '<br>') + '</div>'

def plain(kind, text):
    if kind == 'fold': return f'{text[0]}:\n{textwrap.indent(text[1], "  ")}'
    if kind == 'code': return textwrap.indent(text, '  ')
    return '\n'.join(textwrap.fill(l, 100) for l in text.split('\n'))

def show(c:Card):
    "Show a card: as HTML where a notebook runs, printed elsewhere."
    from IPython import get_ipython
    if get_ipython() is None: return print(c)
    from IPython.display import display
    display({'text/html': c._repr_html_(), 'text/plain': str(c)}, raw=True)

def named(e):
    "What a card calls an exercise."
    return f'{"Exercise" if e.kind == "function" else "Question"} {e.id}'

def verdict_card(v:Verdict, note='', times=0)->Card:
    "The card for one graded answer; `times` counts how often this mistake was named, this time included."
    e = v.exercise
    icon, words, colour = STATES[v.state]
    if v.where and v.where.stopped: words = 'your code was stopped'
    body = PARTS[v.state](v)
    if times > 1: body.append(('p', f'This mistake was named {times} times so far.'))
    if v.printed: body.append(('fold', ('It printed', v.printed[:2000].rstrip())))
    if note: body.append(('p', note))
    return Card(f'{icon} {named(e)} · {e.heading}: {words}', tuple(body), colour)

def new_parts(v):
    e = v.exercise
    how = f'Answer with `ex.answer("{e.id}", …)`.'
    if e.kind == 'function': how = f'Write the body of `{e.name}` and run the cell.'
    return [('p', f'{how} `ex.hint("{e.id}")` helps.')] + fallback(v)

def fallback(v):
    "What stands under the name of the answer in the cells below: the library's, where it has one."
    e = v.exercise
    if not e.library: return []
    if v.state in ('correct', 'slow'):
        return [('p', f"The cells below go on with the library's `{e.name}`, which also explains wrong input. "
                      f'`ex.use("{e.id}")` puts yours in its place, here and under the sliders; what the exercise did '
                      "not ask for, the library's still does.")]
    return [('p', f'The cells below run with the library\'s `{e.name}`.')]

def raised_parts(v):
    w = v.where
    if w.stopped == 'time': first = [('p', 'It ran longer than it may. Is there a loop that does not end?')]
    elif w.stopped == 'memory':
        first = [('p', 'It asked for more memory than there is. Is something growing, or a shape multiplied out?')]
    else: first = [('p', f'{w.kind}: {w.message}')]
    line = [('code', '\n'.join([f'{w.number:>4}  {w.line}', *(f'      {x}' for x in w.values)]))] if w.line else []
    return first + line + [('p', 'Tried with: ' + v.message)] + diagnosis(v) + nudge(v) + fallback(v)

def diagnosis(v): return [('p', m.diagnosis) for m in v.mistakes] or ([('p', v.told)] if v.told else [])
def nudge(v): return [('p', f'`ex.hint("{v.exercise.id}")` helps.')] if v.exercise.hints else []
def wrong_parts(v): return diagnosis(v) + ([('p', v.message)] if v.message else []) + nudge(v) + fallback(v)

def right_parts(v):
    e = v.exercise
    body = [('p', v.message + ' It counts; can you do without the loop?')] if v.state == 'slow' else []
    body += [('p', e.why)] if e.why else []
    return body + ([('fold', ('The reference, to compare', e.solution))] if e.kind == 'function' else []) + fallback(v)

def written_parts(v):
    return [('p', 'A model answer, beside yours:'), ('p', v.exercise.solution), ('p', v.exercise.why),
            ('p', f'Does yours say as much? `ex.reset("{v.exercise.id}")` takes it back.')]

PARTS = {'not attempted': new_parts, 'raised': raised_parts, 'wrong': wrong_parts, 'slow': right_parts,
         'correct': right_parts, 'written': written_parts}

def bar(n, of, width=12): return '█'*round(width*n/of) + '░'*(width - round(width*n/of))

@dataclass(frozen=True)
class Table:
    "Rows under a header; the first column is text, a cell (done, of) is shown as a bar."
    title:str
    header:tuple
    rows:tuple
    note:str = ''

    def __str__(self):
        rows = [tuple(map(cell_text, r)) for r in self.rows]
        wide = [max(map(len, c)) for c in zip(self.header, *rows)]
        line = lambda r: '  '.join(t.ljust(w) for t, w in zip(r, wide)).rstrip()
        return '\n'.join([self.title, line(self.header), *map(line, rows), *([self.note] if self.note else [])])

    __repr__ = __str__

    def _repr_html_(self):
        tr = lambda r, tag: '<tr>' + ''.join(f'<{tag} style="text-align:left">{c}</{tag}>' for c in r) + '</tr>'
        body = tr(map(escape, self.header), 'th') + ''.join(tr(map(cell_html, r), 'td') for r in self.rows)
        return card(self.title, f'<table>{body}</table>' + (f'<div>{escape(self.note)}</div>' if self.note else ''))

def cell_text(c): return f'{bar(*c)} {c[0]}/{c[1]}' if isinstance(c, tuple) else str(c)
def cell_html(c):
    if not isinstance(c, tuple): return escape(str(c))
    return f'<progress max="{c[1]}" value="{c[0]}" style="width:9em"></progress> {c[0]}/{c[1]}'
