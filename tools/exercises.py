"Put a chapter's exercises into its percent script: python tools/exercises.py .jt/03_gradcam.py"
import re, sys
from pathlib import Path

from camtutor.exercises.author import asked, section

def percent(cells):
    "Cells in jupytext's percent format."
    def one(kind, source):
        if kind == 'code': return f'# %%\n{source}\n'
        return '# %% [markdown]\n' + ''.join(f'# {l}'.rstrip() + '\n' for l in source.splitlines())
    return '\n'.join(one(*c) for c in cells)

def wired(script, number):
    "The script with its sections `## Exercises` and `## Questionnaire` brought up to date."
    head, rest = re.split(r'(?m)^# ## Exercises\n', script)
    _, questions = re.split(r'(?m)^# %% \[markdown\]\n# ## Questionnaire\n', rest)
    questions = re.sub(r'\A(\s*# %%\nex\.ask\("[\d.]+"\)\n)+', '\n', questions)
    return (f'{head}# ## Exercises\n\n{percent(section(number))}\n# %% [markdown]\n# ## Questionnaire\n\n'
            + '\n'.join([percent(asked(number)), questions.lstrip('\n')]))

if __name__ == '__main__':
    for path in map(Path, sys.argv[1:]):
        path.write_text(wired(path.read_text(encoding='utf8'), path.name[:2]), encoding='utf8')
