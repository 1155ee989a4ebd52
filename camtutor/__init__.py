"""See what a convolutional network looks at.

`explain(model, image)` gives one map, `explain_all(model, images)` one after the other; `METHODS` is the table of methods.
`Explorer(model, images)` shows them with sliders; `load_pets()` and `scene(seed)` are the shipped network and its pictures.
`overlay(image, map)` draws a map over a picture; `CamError` is the one error. Each chapter of the course is a module:
`camtutor.hooks`, `cam`, `gradcam`, `guided`, `deconvnet`, `features`."""

__version__ = "0.1.0"

import sys
from types import ModuleType

_lazy = dict(explain='explain', explain_all='explain', Explanation='explain', METHODS='explain', Explorer='ui.explorer', load_pets='networks', scene='scenes',
             overlay='show', CamError='errors')

def __getattr__(name):
    "Import a public name on first use, so that `import camtutor` alone stays light (no torch, no fastai)."
    if name not in _lazy: raise AttributeError(f"module 'camtutor' has no attribute {name!r}")
    from importlib import import_module
    value = getattr(import_module(f'camtutor.{_lazy[name]}'), name)
    globals()[name] = value
    return value

class _Package(ModuleType):
    "Importing the module `camtutor.explain` must not hide the function of that name."
    def __setattr__(self, name, value): super().__setattr__(name, getattr(value, name) if name in _lazy and isinstance(value, ModuleType) else value)

sys.modules[__name__].__class__ = _Package

def __dir__(): return sorted([*globals(), *_lazy])
