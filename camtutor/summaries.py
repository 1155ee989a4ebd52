"A table of results made short: means with their intervals, as a table, as a panel, as text in a file."
from pathlib import Path

import torch

from camtutor.errors import CamError
from camtutor.metrics import METRICS
from camtutor.truth import mean_interval

def pandas():
    "pandas, which the course brings along."
    try: import pandas
    except ImportError as e: raise CamError("tables need pandas. Install it with: pip install pandas") from e
    return pandas

def means_of(table):
    "Mean and interval of each method and metric, see `camtutor.evaluate.summary`."
    return table.groupby(['method', 'layer', 'metric'], sort=False)['value'].apply(facts_of).unstack()

def facts_of(values):
    "Mean, interval and number of the values that are known."
    known = values.dropna()
    mean, low, high = mean_interval(torch.tensor(known.to_numpy())) if len(known) else [float('nan')] * 3
    return pandas().Series(dict(mean=mean, low=low, high=high, pictures=len(known)))

def with_layer(method, layer): return f'{method} at {layer}' if layer else method

# ---- drawn

def panels(table): # a figure
    "A panel for each metric, see `camtutor.evaluate.plot`."
    import matplotlib.pyplot as plt
    facts, names = means_of(table).reset_index(), list(dict.fromkeys(table.metric))
    size = 2.2 + 1.8 * len(names), .6 + .3 * facts.method.nunique()
    fig, axs = plt.subplots(1, len(names), figsize=size, sharey=True, squeeze=False, layout='constrained')
    for ax, name in zip(axs[0], names): panel(ax, facts, name)
    axs[0, 0].invert_yaxis()
    return fig

def panel(ax, facts, metric):
    "One metric: the mean of each method, with its interval."
    f, row = facts[facts.metric == metric], METRICS.get(metric)
    ax.errorbar(f['mean'], list(map(with_layer, f.method, f.layer)), xerr=[f['mean'] - f.low, f.high - f['mean']],
                fmt='o', capsize=3)
    ax.set(title=row.title if row else metric, xlabel=f'{row.better} is better' if row else '')

# ---- written

def cells_of(table):
    "Mean (lower–upper) as texts: a row for each method, a column for each metric."
    facts = means_of(table)
    return facts.apply(lambda r: f'{r["mean"]:.3f} ({r.low:.3f}–{r.high:.3f})', axis=1).unstack('metric', sort=False)

def markdown_of(table):
    "The summary as a Markdown table."
    cells = cells_of(table)
    lines = [['method', *cells.columns], ['---'] * (len(cells.columns) + 1)]
    lines += [[with_layer(*key), *row] for key, row in zip(cells.index, cells.to_numpy())]
    return '\n'.join('| ' + ' | '.join(map(str, line)) + ' |' for line in lines) + '\n'

FORMATS = {'.csv': lambda table: table.to_csv(index=False), '.md': markdown_of,
           '.tex': lambda table: cells_of(table).to_latex()}   # an ending -> what is written

def check_export(path):
    "The path, if a table can be written there."
    path = Path(path).expanduser()
    if path.suffix not in FORMATS: raise CamError(f"'{path.name}' must end in one of {', '.join(FORMATS)}.")
    if not path.parent.is_dir(): raise CamError(f"there is no folder '{path.parent}'. Make it first.")
    return path
