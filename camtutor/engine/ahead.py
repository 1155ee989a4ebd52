"Many pictures: read ahead in threads while the network works, put together by size, handed out in their order."
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

WORKERS = min(4, os.cpu_count() or 1)
WINDOW = 4   # batches of pictures of other sizes that may wait for one of theirs

def ahead(
    fn,             # what is done with an item, in another thread
    items,          # an iterable; it is gone through in the caller's thread
    n:int,          # items that may be on their way
    workers=WORKERS # 0: no threads
): # a generator
    "`fn` of one item after the other, some of them in advance. What `fn` raises is raised in its turn."
    if not workers: return map(fn, items)
    return submitted(fn, iter(items), n, workers)

def submitted(fn, items, n, workers):
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque()
        try:
            while True:
                waiting.extend(pool.submit(fn, i) for i in islice(items, n - len(waiting)))
                if not waiting: return
                yield waiting.popleft().result()
        finally:
            for f in waiting: f.cancel()

class Entry:
    "One row on its way."
    def __init__(self, row, kind): self.row, self.kind, self.result = row, kind, None

def together(
    rows, # an iterable
    kind, # row -> what rows must share to go together; None: no work, the row is its own result
    work, # a list of rows of one kind -> their results
    bs:int # at most so many at a time
): # a generator of results
    "Work on rows of the same kind together, and hand out the results in the order of the rows."
    entries, waiting = (Entry(r, kind(r)) for r in rows), deque()
    while True:
        waiting.extend(islice(entries, max(0, bs - len(waiting))))
        if not waiting: return
        batch = batch_in(waiting, entries, bs)
        for e, result in zip(batch, work([e.row for e in batch]) if batch else ()): e.result = result
        while waiting and (waiting[0].kind is None or waiting[0].result is not None):
            e = waiting.popleft()
            yield e.row if e.kind is None else e.result

def batch_in(waiting, entries, bs)->list:
    "The first entries that are still to be worked on and of one kind; more are taken in where that helps to fill it."
    due = [e for e in waiting if e.kind is not None and e.result is None]
    batch = [e for e in due if e.kind == due[0].kind][:bs]
    while due and len(batch) < bs and len(waiting) < WINDOW * bs:
        more = next(entries, None)
        if more is None: break
        waiting.append(more)
        if more.kind == due[0].kind: batch.append(more)
    return batch
