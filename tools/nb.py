"Notebooks from the command line: build one from a percent script, run it, save its outputs, fold it, tell its shape."
import argparse, time
from pathlib import Path
import nbformat
from nbclient import NotebookClient

from camtutor.workspace import folds

WIDGET = 'application/vnd.jupyter.widget-view+json'
FOLDED = dict(jupyter=dict(source_hidden=True))
METADATA = dict(kernelspec=dict(display_name='python3', language='python', name='python3'))

def build(script:Path, nb_path:Path):
    "Write `nb_path` from a percent `script`; a cell keeps its id, and its outputs if its source did not change."
    import jupytext
    new = jupytext.read(script, fmt='py:percent')
    if nb_path.exists(): new = with_outputs(new, nbformat.read(nb_path, 4))
    new.metadata = nbformat.from_dict(METADATA)
    write(new, nb_path)

def with_outputs(new, old):
    "What `jupytext --update` makes of them, without the outputs of cells that were changed."
    from jupytext.combine import combine_inputs_with_outputs
    new, before = combine_inputs_with_outputs(new, old, 'py:percent'), {c.id: c.source for c in old.cells}
    for c in new.cells:
        if c.cell_type == 'code' and c.source != before.get(c.id): c.outputs = []
    return new

def write(nb, path):
    from nbdev.clean import clean_nb
    from fastcore.nbio import dict2nb, write_nb
    out = dict2nb(nbformat.from_dict(folded(nb)))
    clean_nb(out, allowed_cell_metadata_keys=['jupyter'])
    write_nb(out, path)

def folded(nb):
    "With the cells folded away that hold imports alone or the answer to a prediction."
    for c in nb.cells:
        if c.cell_type == 'code': c.metadata = nbformat.from_dict(FOLDED if folds(c.source) else {})
    return nb

def drop_widgets(outputs):
    "Saved pages have no kernel: a widget's view would show as an error there, so only its static form is kept."
    for o in outputs:
        if 'data' in o and WIDGET in o['data']:
            del o['data'][WIDGET]
            if set(o['data']) <= {'text/plain'}: o['data'].clear()
    return [o for o in outputs if o.output_type not in ('display_data', 'execute_result') or o['data']]

def run(path:Path, timeout=600):
    "Execute a notebook in its folder, save its outputs, and print what they cost."
    nb, times = nbformat.read(path, 4), []
    where = dict(metadata=dict(path=str(path.parent)))
    client = NotebookClient(nb, timeout=timeout, kernel_name='python3', resources=where)
    start = time.perf_counter()
    with client.setup_kernel():
        for i, cell in enumerate(nb.cells):
            t = time.perf_counter()
            asleep = cell.source.startswith('#| eval: false')
            if cell.cell_type == 'code' and not asleep: client.execute_cell(cell, i)
            times.append((time.perf_counter() - t, i))
    for cell in nb.cells:
        if cell.cell_type == 'code': cell.outputs = drop_widgets(cell.outputs)
    write(nb, path)
    slow = ', '.join(f'cell {i} {s:.1f} s' for s, i in sorted(times, reverse=True)[:4] if s > 1)
    print(f'{path}: {time.perf_counter() - start:.0f} s, {path.stat().st_size // 1024} KB', f'({slow})' if slow else '')
    print(' ', shape(nb))

def shape(nb):
    "One line about a chapter's shape."
    code = [c for c in nb.cells if c.cell_type == 'code' and c.source.strip()]
    if not code: return 'no code cells'
    md = sum(c.cell_type == 'markdown' for c in nb.cells)
    lines = sorted(sum(bool(l.strip()) and not l.startswith('#|') for l in c.source.splitlines()) for c in code)
    shown = sum(bool(c.outputs) for c in code)
    return (f'code:md {len(code)}:{md}, code lines median {lines[len(lines)//2]} p90 {lines[int(.9*(len(lines)-1))]} '
            f'max {lines[-1]}, {shown/len(code):.0%} with output')

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('what', choices=['build', 'run', 'fold', 'shape'])
    p.add_argument('paths', nargs='+', type=Path)
    a = p.parse_args()
    if a.what == 'build': return build(*a.paths)
    for path in a.paths:
        if a.what == 'run': run(path)
        elif a.what == 'fold': write(nbformat.read(path, 4), path)
        else: print(f'{path}: {shape(nbformat.read(path, 4))}')

if __name__ == '__main__': main()
