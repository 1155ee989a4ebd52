"""One error for everything a caller can get wrong, and the checks that raise it.

A message says what was being done, what was found, why it cannot be, and what to do instead."""
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from sysconfig import get_paths
from traceback import extract_tb

class CamError(ValueError):
    "A mistake of the caller: `reason` says what was found and what to do, `doing` what was being done."
    def __init__(self,
                 reason:str,  # what was found, why it cannot be, what to do instead
                 doing=None): # what was being done, such as "Grad-CAM at 'layer4'"; see the function `doing`
        super().__init__(reason)
        self.reason, self.doing = reason, doing

    def __str__(self): return f'{self.doing}: {self.reason}' if self.doing else self.reason

    def _render_traceback_(self):
        """What a notebook shows: the lines of the reader's own code that led here, and the message.

        Plain Python shows everything."""
        others = str(Path(__file__).parent), *(get_paths()[k] for k in ('stdlib', 'purelib', 'platlib'))
        own = [f for f in extract_tb(self.__traceback__) if f.line and not f.filename.startswith(others)]
        return [*(f'line {f.lineno}:  {f.line}' for f in own[-4:]), f'CamError: {self}']

@contextmanager
def doing(action:str): # such as "Grad-CAM at 'layer4'"
    "A `CamError` from inside says what was being done; of several actions around it, the outermost. A decorator, too."
    try: yield
    except CamError as e:
        e.doing = action
        raise

def nearest(name, options):
    "A sentence naming the `options` most like `name`, or all of them if there are few."
    options = [str(o) for o in options]
    close = get_close_matches(str(name), options, cutoff=.5)
    if close: return 'Did you mean ' + ' or '.join(repr(o) for o in close) + '?'
    if len(options) <= 30: return 'Choose one of ' + ', '.join(repr(o) for o in options) + '.'
    return 'There are ' + f'{len(options)}, from {options[0]!r} to {options[-1]!r}.'

def describe(o):
    "What a thing is, for a message: 'a tensor (2, 3) of torch.int64', 'a list of 4', 'a str'."
    if hasattr(o, 'shape') and hasattr(o, 'dtype'):
        kind = 'an array' if type(o).__module__.startswith('numpy') else 'a tensor'
        return f'{kind} {tuple(o.shape)} of {o.dtype}'
    name = type(o).__name__
    many = hasattr(o, '__len__') and not isinstance(o, (str, bytes))
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}" + (f' of {len(o)}' if many else '')

def expect_choice(name, options, what): # what: 'method', 'colour map'
    "`name`, if it is one of `options`."
    if isinstance(name, str) and name in options: return name
    raise CamError(f'there is no {what} {name!r}. {nearest(name, options)}')

def expect_tensor(t, dims, what): # dims: how many axes there may be; what: 'maps (N,H,W)'
    "`t`, if it is a tensor of one of these numbers of axes, and not empty."
    if hasattr(t, 'ndim') and hasattr(t, 'dim') and t.ndim in dims and 0 not in t.shape: return t
    raise CamError(f'got {describe(t)}, but {what} are wanted.')

def expect_module(model):
    "`model`, if it is a torch module."
    from torch import nn
    if isinstance(model, nn.Module): return model
    raise CamError(f'the model is {describe(model)}, not a torch module.')

def expect_layer(m):
    "`m`, if it is a module that a hook can be put on."
    from torch import nn
    if isinstance(m, nn.Module): return m
    raise CamError(f'wants a module, got {m!r}. `get_layer(model, name)` finds one by its name.')

def expect_layers(modules)->list:
    "Several modules as a list. An `nn.Sequential` is one layer; an `nn.ModuleList` is several."
    from torch import nn
    one = isinstance(modules, nn.Module) and not isinstance(modules, nn.ModuleList)
    several = hasattr(modules, '__iter__') and not one
    for m in (found := list(modules) if several else [modules]):
        if not isinstance(m, nn.Module): raise CamError(f'wants modules, got {m!r} among them.')
    return found
