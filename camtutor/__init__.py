"""Modules:

- `camtutor.exercises.likeness`: What is a wrong result like? Diagnoses that need no bank: twice the right values, an axis too many, the batch mixed."""

__version__ = "0.1.0"

_lazy = dict(explain='explanation', explain_all='explanation', Explanation='explanation', METHODS='methods',
             Explorer='ui.explorer', load_pets='networks', load_imagenet='networks', scene='scenes', photo='images',
             overlay='show', CamError='errors')

def __getattr__(name):
    "Import a public name on first use, so that `import camtutor` alone stays light (no torch, no fastai)."
    if name not in _lazy: raise AttributeError(f"module 'camtutor' has no attribute {name!r}")
    from importlib import import_module
    value = getattr(import_module(f'camtutor.{_lazy[name]}'), name)
    globals()[name] = value
    return value

def __dir__(): return sorted([*globals(), *_lazy])
