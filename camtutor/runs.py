"One evaluation as it runs: what each picture still lacks is made, judged and written down, batch after batch."
import warnings
from functools import partial
from typing import NamedTuple

import torch
from fastprogress.fastprogress import progress_bar
from torch import Tensor

from camtutor.engine.ahead import WORKERS, ahead, together
from camtutor.engine.ask import classes_of
from camtutor.engine.case import Case, answer
from camtutor.engine.inputs import is_batch, is_learner, network, stacked
from camtutor.engine.items import held, loads, name_of, wanted_items
from camtutor.engine.processes import everybody, share
from camtutor.engine.results import COLUMNS, check_same_run, digest, done_in, rows_in, write
from camtutor.engine.sources import Failed, readied, sources_of
from camtutor.engine.targets import plain
from camtutor.errors import CamError
from camtutor.jobs import all_jobs, check_maps, key_of, maps_by
from camtutor.judging import check_needed, check_truth, chosen, judged
from camtutor.summaries import pandas

class Run:
    "One evaluation: what is to be done, and what of it a picture still needs."
    def __init__(self, model, data, methods, metrics, layers, target, truth, transform, db):
        self.model, self.target, self.transform, self.db = model, as_list(plain(target)), transform, db
        self.data, self.total = readable(data)
        self.jobs, self.metrics, self.truth = all_jobs(methods, layers), chosen(metrics), dict(truth or {})
        check_run(self)
        self.have, self.failed = done_in(db), []
        self.all = {(*key_of(j), m) for j in self.jobs for m in self.metrics}

    def missing(self, i): return self.all - self.have.get(i, set())

def as_list(target): return list(target) if isinstance(target, (tuple, range)) else target

def readable(data):
    "The pictures, and how many there are, None if that is not known."
    data = held(data)
    if loads(data): return data, None
    data = sources_of(data)
    return data, len(data) if hasattr(data, '__len__') else None

def check_run(run):
    "`CamError` for what cannot be done, before anything is."
    check_needed(run.metrics, run.truth)
    check_truth(run.truth, run.total)
    for job in run.jobs: check_maps(job, run.total)
    if isinstance(run.target, list) and run.total not in (None, len(run.target)):
        raise CamError(f"{len(run.target)} targets, but {run.total} pictures. Give one for all, or one for each.")
    check_same_run(run.db, run.model, run.target)

# ---- the work

def carry_out(run, bs, progress):
    "Do what is missing of this process's share."
    rank, world = share()
    everybody()
    def wanted(i): return i % world == rank and bool(run.missing(i))
    left = None if run.total is None else sum(map(wanted, range(run.total)))
    if left == 0: return
    items = wanted_items(run.data, run.total, wanted)
    if progress: items = progress_bar(items, total=left or 'noinfer', leave=False)
    items = ahead(partial(prepared, run), items, bs, 0 if is_learner(run.model) else WORKERS)
    for item in together(items, size_of, partial(work, run), bs):
        if isinstance(item, Failed): run.failed.append(item)

class Item(NamedTuple):
    "One picture, prepared."
    number:int
    name:str
    label:object
    x:Tensor # (C,H,W)

def prepared(run, item): # an Item, or a Failed
    number, picture, label = item
    picture, x = (picture, [picture]) if is_batch(picture) else readied(run.model, picture, run.transform, False)
    return x if isinstance(x, Failed) else Item(number, name_of(picture, number), label, x[0])

def size_of(item): return tuple(item.x.shape) if isinstance(item, Item) else None

def work(run, items):
    "Explain and judge pictures of one size, and write it down."
    numbers, names, labels, xs = map(list, zip(*items))
    x = stacked(xs).to(next(network(run.model).parameters()).device)
    target, lacking = targets_of(run, numbers, labels, x), set().union(*map(run.missing, numbers))
    rows = [(i, name, *key_of(job), t, metric, None if v != v else v)
            for job, metric, values in judge(run, numbers, x, target, lacking)
            for i, name, t, v in zip(numbers, names, target.tolist(), values)]
    write(run.db, rows, {i: digest(one) for i, one in zip(numbers, x)})
    return items

def targets_of(run, numbers, labels, x):
    "The class numbers to explain: of a batch's labels, its own rows of a list, or what was given for all."
    target = run.target
    if target == 'label' and None in labels:
        raise CamError("target='label' explains each picture's label, but the data has none. Give pairs "
                       "(picture, label), or leave target away for the top class.")
    own = labels if target == 'label' else [target[i] for i in numbers] if isinstance(target, list) else target
    return classes_of(run.model, x, own)

def judge(run, numbers, x, target, lacking):
    "What a batch lacks: (job, metric, values (N,)), one after the other."
    known = {k: torch.as_tensor(v[numbers]).to(x.device) for k, v in run.truth.items()}
    c = Case(run.model, x, None, target, None, **known, noted={})
    p = answer(c, x)
    jobs = [j for j in run.jobs if any(key_of(j) == l[:2] for l in lacking)]
    metrics = {k: row for k, row in run.metrics.items() if any(k == l[2] for l in lacking)}
    for job, m in maps_by(jobs, run.model, x, target, numbers):
        for metric, values in judged(metrics, c._replace(m=m, p=p, explain=job.fn)): yield job, metric, values

# ---- what came of it

def table_of(run):
    "What the file holds of this run's methods and metrics."
    order = {k: i for i, k in enumerate([j.name for j in run.jobs] + list(run.metrics))}
    rows = [dict(zip(COLUMNS, r)) for r in rows_in(run.db)]
    rows = [r for r in rows if (r['method'], r['layer'], r['metric']) in run.all
            and (run.total is None or r['picture'] < run.total)]
    rows.sort(key=lambda r: (order[r['method']], r['layer'], order[r['metric']], r['picture']))
    return pandas().DataFrame(rows, columns=COLUMNS)

def with_failed(table, failed):
    "The table, and what could not be read. `CamError` if that is everything."
    if not failed: return table
    said = '; '.join(f'{f.source}: {f.reason}' for f in failed[:3]) + '; …' * (len(failed) > 3)
    if table.empty: raise CamError(f"no picture could be read. {said}")
    warnings.warn(f"{len(failed)} pictures could not be read and are left out: {said}", stacklevel=3)
    table.attrs['failed'] = failed
    return table
