"Evaluation mode for the engine, where several threads may look into one network at the same time."
from contextlib import contextmanager
from threading import Lock
from weakref import WeakKeyDictionary

from torch import nn

# module -> how many want it in evaluation mode, of those that were in training
_wanted, _lock = WeakKeyDictionary(), Lock()

def modules_in(model):
    "All modules of a network, each once: `model.modules()` in no order and a third of its time."
    seen, left = set(), [model]
    while left:
        m = left.pop()
        if m is None or m in seen: continue
        seen.add(m)
        left += m._modules.values()
    return seen

@contextmanager
def evaluating(model:nn.Module): # a network
    """All of `model` in evaluation mode inside the `with`. Each module has its own mode back when the last thread
    leaves, also of two networks that share a body: else whoever finishes first would switch the mode while another
    still looks."""
    with _lock:
        others = set(_wanted)
        mine = [m for m in modules_in(model) if m.training or m in others]
        for m in mine: _wanted[m], m.training = _wanted.get(m, 0) + 1, False
    try: yield model
    finally:
        with _lock:
            for m in mine:
                _wanted[m] -= 1
                if not _wanted[m]:
                    del _wanted[m]
                    m.training = True
