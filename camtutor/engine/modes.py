"Evaluation mode for the engine, where several threads may look into one network at the same time."
from contextlib import contextmanager
from threading import Lock
from weakref import WeakKeyDictionary

from torch import nn

# module -> how many want it in evaluation mode, of those that were in training
_wanted, _lock = WeakKeyDictionary(), Lock()

@contextmanager
def evaluating(model:nn.Module): # a network
    """All of `model` in evaluation mode inside the `with`. Each module has its own mode back when the last thread
    leaves, also of two networks that share a body: else whoever finishes first would switch the mode while another
    still looks."""
    with _lock:
        mine = [m for m in model.modules() if m.training or m in _wanted]
        for m in mine: _wanted[m], m.training = _wanted.get(m, 0) + 1, False
    try: yield model
    finally:
        with _lock:
            for m in mine:
                _wanted[m] -= 1
                if not _wanted[m]:
                    del _wanted[m]
                    m.training = True
