"The metrics that are asked for, their values for a case, and the truth that they need."
from camtutor.errors import CamError, doing, nearest
from camtutor.jobs import listed
from camtutor.metrics import METRICS

FIELDS = 'mask', 'other', 'masks', 'effects'   # what a truth may hold, see `Case`
NEEDED = dict(mask=('mask',), pair=('mask', 'other'), parts=('masks', 'effects'))

def chosen(metrics):
    "The rows of the metrics, by name. `CamError` for an unknown one."
    if isinstance(metrics, dict): return metrics
    for name in listed(metrics):
        if name not in METRICS: raise CamError(f"there is no metric {name!r}. {nearest(name, METRICS)}")
    return {name: METRICS[name] for name in listed(metrics)}

def judged(metrics, case):
    "Each metric's values (N,) for a case; an experiment is made once."
    made = {}
    for name, row in metrics.items():
        with doing(f'Measuring {name!r}'):
            if row.experiment not in made: made[row.experiment] = row.experiment(case)
            yield name, row.score(*made[row.experiment]).float().tolist()

def check_needed(metrics, truth):
    "`CamError` unless all that the metrics need is there."
    for name, field in ((n, f) for n, row in metrics.items() for f in NEEDED.get(row.needs, ())):
        if field not in truth: raise CamError(f"the metric {name!r} needs a truth. Give truth=dict({field}=…), with a "
                                              f"row for each picture; see camtutor.metrics.Case.")

def check_truth(truth, n):
    "`CamError` unless each field of a truth is known, and has a row for each of n pictures (None: not known)."
    for field, values in truth.items():
        if field not in FIELDS: raise CamError(f"truth has no field {field!r}. {nearest(field, FIELDS)}")
        if n not in (None, len(values)):
            raise CamError(f"truth has {len(values)} rows of {field}, but there are {n} pictures.")
