"A network's mistakes as one HTML file that needs nothing else: counts, a confusion matrix, a table that sorts."
from html import escape
from pathlib import Path

from camtutor.blunders import Mistakes, cause_of
from camtutor.errors import CamError, doing
from camtutor.files import data_uri, smaller, write_whole
from camtutor.mistakes import top_places
from camtutor.sheets import panels_of
from camtutor.show import to_jpeg

__all__ = ['mistake_report', 'writable', 'report_of', 'confusion_table', 'confusion_style']

# the browser is told to load nothing, and to run the one script below
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

STYLE = '''
body{font:15px/1.45 system-ui,sans-serif;margin:1.5em auto;max-width:76em;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse}th,td{padding:.3em .6em;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}th button{font:inherit;border:0;background:none;padding:0;
cursor:pointer;text-align:left}th button::after{content:" ↕";color:#888}th[aria-sort=ascending] button::after{
content:" ↑"}th[aria-sort=descending] button::after{content:" ↓"}img{display:block;width:112px;height:auto}
.scroll{overflow-x:auto}small{color:#555}
'''

SCRIPT = '''
for (const th of document.querySelectorAll("#mistakes th")) th.firstElementChild?.addEventListener("click", () => {
  const body = document.querySelector("#mistakes tbody"), i = th.cellIndex
  const up = th.getAttribute("aria-sort") != "ascending"
  const key = row => { const v = row.cells[i].dataset.v; return isNaN(v) ? v : Number(v) }
  const rows = [...body.rows].sort((a, b) => { const x = key(a), y = key(b)
    return (typeof x == typeof y ? (x > y) - (x < y) : String(x).localeCompare(String(y))) * (up ? 1 : -1) })
  for (const other of document.querySelectorAll("#mistakes th")) other.removeAttribute("aria-sort")
  th.setAttribute("aria-sort", up ? "ascending" : "descending")
  body.append(...rows)
})
'''

PICTURES = 'picture', 'map of what was said', 'map of what was true', 'places: orange said, blue true, white both'
COLUMNS = 'cause', 'said', 'true', 'loss', 'overlap', 'said, alone', 'true, alone', 'off the thing', 'name'

MEANING = {
    'habit of the data': 'The map of what was said lies off every thing: the network is used to this class in such '
                         'places. Add pictures of other classes there, and of this class elsewhere.',
    'look-alikes': 'Both maps lie on the same places: it looked at the right thing, and cannot tell two classes apart. '
                   'Add pictures of just these two, at a finer resolution, or make one class of them.',
    'two right answers': 'The maps lie apart, and each class scores high on its own part: perhaps both are there, and '
                         'the label names one. Look at the labels.',
    'unclear': 'The rule fits none of the three.'}

@doing('Writing a report of mistakes')
def mistake_report(
    mistakes:Mistakes, # from `top_mistakes`
    path,              # of the file, .html
    title='Mistakes',  # heading of the page
    **thresholds,      # near=, high=, off=; see `cause`
)->Path:
    "Write one HTML file with everything in it, completely or not at all. `CamError` for another suffix or no folder."
    path = writable(path)
    write_whole(path, report_of(mistakes, title, **thresholds))
    return path

def writable(path)->Path:
    "Where a report can be written. `CamError` for another suffix or no folder, before any work is done."
    path = Path(path).expanduser()
    if path.suffix.lower() not in ('.html', '.htm'): raise CamError(f"'{path.name}' must end in .html.")
    if not path.parent.is_dir(): raise CamError(f"there is no folder '{path.parent}'. Make it first.")
    return path

def report_of(mistakes, title='Mistakes', **thresholds)->str:
    "The page as a text. Names are escaped, pictures are in it."
    rows = [(m, cause_of(m, **thresholds)) for m in mistakes]
    n, wrong = int(mistakes.counts.sum()), int(mistakes.counts.sum() - mistakes.counts.trace())
    head = ''.join(f'<th scope="col">{escape(c)}</th>' for c in PICTURES)
    head += ''.join(f'<th scope="col"><button type="button">{escape(c)}</button></th>' for c in COLUMNS)
    body = ''.join(row_of(m, cause) for m, cause in rows)
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{STYLE}</style></head><body><main>'
            f'<h1>{escape(title)}</h1><p>{wrong} of {n} pictures were wrong. The {len(rows)} with the largest loss '
            f'are below; maps by {escape(mistakes.method)}.</p><h2>Causes, by the rule</h2>{causes_of(rows)}'
            f'<h2>Which class was called which</h2><div class="scroll">{confusion_table(mistakes)}</div>'
            f'<h2>Mistakes</h2><p><small>A click on a heading sorts.</small></p><div class="scroll">'
            f'<table id="mistakes"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></main>'
            f'<script>{SCRIPT}</script></body></html>')

def causes_of(rows):
    counts = [(c, sum(cause == c for _, cause in rows), said) for c, said in MEANING.items()]
    lines = ''.join(f'<tr><td>{escape(c)}</td><td class="n">{n}</td><td>{escape(said)}</td></tr>'
                    for c, n, said in counts)
    return f'<table>{lines}</table>'

def confusion_style(share): return f'background:rgba(230,120,30,{.75 * share:.2f})' if share else ''

def confusion_table(mistakes)->str: # HTML
    "How often each class, a row, was called each, a column; mistakes on a ground, the darker the more often."
    counts, names = mistakes.counts, [escape(str(v)) for v in mistakes.vocab]
    most = max(1, int((counts - counts.diag().diag()).max()))
    def cell(i, j): return (f'<td class="n" style="text-align:right;{confusion_style(counts[i, j].item() / most)}">'
                            if i != j else '<td class="n" style="text-align:right">') + f'{counts[i, j]}</td>'
    head = ''.join(f'<th scope="col">{n}</th>' for n in names)
    rows = ''.join(f'<tr><th scope="row">{n}</th>{"".join(cell(i, j) for j in range(len(names)))}</tr>'
                   for i, n in enumerate(names))
    return f'<table><tr><th>true ↓ said →</th>{head}</tr>{rows}</table>'

def row_of(m, cause):
    jpegs = (smaller(to_jpeg(p), 112) for p, _ in panels_of(m, top_places))
    pictures = ''.join(f'<td><img alt="{escape(alt)}" src="{data_uri(jpeg, "image/jpeg")}"></td>'
                       for jpeg, alt in zip(jpegs, PICTURES))
    sure = [f'{m.said} {m.p_said:.0%}', f'{m.true} {m.p_true:.0%}']
    words = ''.join(f'<td data-v="{escape(v)}">{escape(t)}</td>'
                    for v, t in zip((cause, m.said, m.true), (cause, *sure)))
    values = m.loss, m.overlap, m.alone_said, m.alone_true, m.outside
    numbers = ''.join(f'<td class="n" data-v="{v if v == v else -1}">{"" if v != v else format(v, ".2f")}</td>'
                      for v in values)
    return f'<tr>{pictures}{words}{numbers}<td data-v="{escape(m.name)}">{escape(m.name)}</td></tr>'
