"""See what a network looks at: `explain(model, image)` gives a map, `Explorer(model, images)` shows it with sliders,
`compare(model, image)` sets methods beside each other, `doctor(model, image)` says why a map may be bad.
`load_pets()` and `scene(seed)` are the shipped network and pictures. Each lesson is a module: `camtutor.hooks`, `cam`,
`gradcam`, `guided`, `deconvnet`, `features`, `family`, `perturbation`, `metrics`, `lcam`, `bias`, `where`, `text`,
`mistakes`; `camtutor.methods` is the table of methods, `CamError` the one error."""

from camtutor.params import install

__version__ = "0.1.0"
install() # parameters in `help`

_lazy = dict(explain='explanation', explain_all='explanation', compare='explanation', doctor='diagnosis',
             Explanation='explanation', METHODS='methods', Explorer='ui.explorer', load_pets='networks',
             load_imagenet='networks', scene='scenes', photo='images', overlay='show', CamError='errors')

def __getattr__(name):
    "Import a public name on first use, so that `import camtutor` alone stays light (no torch, no fastai)."
    if name not in _lazy: raise AttributeError(f"module 'camtutor' has no attribute {name!r}")
    from importlib import import_module
    value = getattr(import_module(f'camtutor.{_lazy[name]}'), name)
    globals()[name] = value
    return value

def __dir__(): return sorted([*globals(), *_lazy])
