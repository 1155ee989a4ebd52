"""Results in one SQLite file, a row for each picture, method, layer and metric.

Each batch is one transaction, so that a process that is killed loses at most the batch it was at."""
import contextlib, hashlib, sqlite3
from pathlib import Path

import torch

from camtutor.engine.inputs import network
from camtutor.engine.targets import plain
from camtutor.errors import CamError

COLUMNS = 'picture', 'name', 'method', 'layer', 'target', 'metric', 'value'
TABLES = ('CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT)',
          'CREATE TABLE IF NOT EXISTS results (picture INTEGER, name TEXT, method TEXT, layer TEXT, target INTEGER, '
          'metric TEXT, value REAL, PRIMARY KEY (picture, method, layer, metric))',
          'CREATE TABLE IF NOT EXISTS pictures (picture INTEGER PRIMARY KEY, digest TEXT)')

def opened(file):
    "The result file, made if it is missing; None = kept in memory. `CamError` if it cannot be one."
    file = ':memory:' if file is None else Path(file).expanduser()
    try:
        db = sqlite3.connect(file, timeout=60, isolation_level=None)
        for line in TABLES: db.execute(line)
        return db
    except sqlite3.Error as e:
        raise CamError(f"'{file}' cannot be the result file ({e}). Give the name of a new file in a folder that can be "
                       "written to, or of one that evaluate has made.") from e

def fingerprint(model):
    "A hash of the network's weights."
    h = hashlib.blake2b(digest_size=12)
    for k, t in sorted(network(model).state_dict().items()):
        h.update(f'{k} {tuple(t.shape)}'.encode())
        h.update(t.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return h.hexdigest()

def digest(x):
    "A hash of one picture."
    return hashlib.blake2b(x.cpu().contiguous().numpy().tobytes(), digest_size=8).hexdigest()

def check_same_run(db, model, target):
    "`CamError` unless the file is new, or of this network and these targets."
    for key, value in dict(model=fingerprint(model), target=str(plain(target))).items():
        db.execute('INSERT OR IGNORE INTO about VALUES (?, ?)', (key, value))
        found, = db.execute('SELECT value FROM about WHERE key = ?', (key,)).fetchone()
        if found != value: raise CamError(f"the result file is of another {key}. Give another file; nothing was "
                                          "changed in it.")

def write(db, rows, digests):
    "One batch, completely or not at all. `digests`: picture -> its hash."
    with contextlib.ExitStack() as stack:
        db.execute('BEGIN IMMEDIATE')
        stack.callback(lambda: db.execute('ROLLBACK') if db.in_transaction else None)
        for i, d in digests.items():
            db.execute('INSERT OR IGNORE INTO pictures VALUES (?, ?)', (i, d))
            if db.execute('SELECT digest FROM pictures WHERE picture = ?', (i,)).fetchone() != (d,):
                raise CamError(f"picture {i} is another one than in the result file. Give another file; "
                               "nothing was changed in it.")
        db.executemany('INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?)', rows)
        db.execute('COMMIT')

def done_in(db):
    "For each picture the (method, layer, metric) that it has already."
    have = {}
    for i, *key in db.execute('SELECT picture, method, layer, metric FROM results'):
        have.setdefault(i, set()).add(tuple(key))
    return have

def rows_in(db): return db.execute(f'SELECT {", ".join(COLUMNS)} FROM results').fetchall()
