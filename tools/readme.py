"README.md from nbs/index.ipynb."
import re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

root = Path(__file__).resolve().parent.parent

def readme():
    "The text of README.md; links are turned from the notebook's folder to the repository's root."
    nb = nbformat.read(root/'nbs/index.ipynb', 4)
    nb.cells = [c for c in nb.cells if not c.source.startswith('#| hide')]
    text, resources = MarkdownExporter().from_notebook_node(nb)
    if resources['outputs']: raise SystemExit('index.ipynb has picture outputs; put the picture in docs/ and link it.')
    text = re.sub(r'(\]\(|src=")\.\./', r'\1', text)
    text = re.sub(r'\]\((?!https?:|#|docs/|LICENSE|CONTRIBUTING)([\w/]+\.ipynb)', r'](nbs/\1', text)
    return re.sub(r'\n{3,}', '\n\n', text).strip() + '\n'

if __name__ == '__main__': (root/'README.md').write_text(readme(), encoding='utf8')
