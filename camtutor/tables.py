"Tables of numbers, each on its colour, as HTML whose cells keep their colours wherever it is shown."
import re

import numpy as np
from torch import Tensor

from camtutor.errors import CamError, describe

def shaded_html(table, fmt, cmap, low, high, head)->str: # see `camtutor.show.shaded`
    "A table of numbers, each on its colour."
    frame, named = frame_of(table), hasattr(table, 'columns')
    shown = frame.style.format(fmt, escape='html').format_index(escape='html').format_index(escape='html', axis=1)
    shown.background_gradient(cmap, axis=None, vmin=low, vmax=high).set_properties(**{'text-align': 'right'})
    if not named: shown.hide(axis=0)
    if not (named and head): shown.hide(axis=1)
    return inlined(shown.to_html())

def frame_of(table):
    "A DataFrame of numbers from whatever holds rows and columns of them."
    import pandas as pd
    frame = table if hasattr(table, 'columns') else None
    try: values = np.asarray(table.detach().cpu() if isinstance(table, Tensor) else table, dtype=float)
    except (TypeError, ValueError) as e: raise CamError(f"{describe(table)} does not hold numbers.") from e
    if values.ndim != 2 or not values.size:
        raise CamError(f"got shape {values.shape}; it needs rows and columns (h,w).")
    names = dict(index=frame.index, columns=frame.columns) if frame is not None else {}
    return pd.DataFrame(values + 0., **names) # -0.0 becomes 0.0

def inlined(html):
    "A Styler's table with its style sheet written into the cells."
    sheet, table = re.search('<style[^>]*>(.*)</style>(.*)', html, re.S).groups()
    rules = re.findall('([^{}]+){([^{}]*)}', sheet)
    look = {id: ' '.join(props.split()) for ids, props in rules for id in re.findall(r'#(\w+)', ids)}
    def style(m): return f' style="{look[m[1]]}"' if m[1] in look else ''
    return re.sub(r' id="(\w+)"| class="[^"]*"', style, table).replace(' >', '>')
