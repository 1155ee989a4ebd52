"Which calls of a network are ReLUs, where these end, and what a rule for ReLUs has not reached."
import warnings
from math import inf

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from camtutor.errors import CamError

def relu_range(x, inplace=False): return 0, inf
def relu6_range(x, inplace=False): return 0, 6
def clamp_range(x, min=None, max=None): return min, inf if max is None else max
def hardtanh_range(x, min_val=-1., max_val=1., inplace=False): return min_val, max_val
def threshold_range(x, threshold, value, inplace=False): return threshold if value == threshold else None, inf

# For each call that may be a ReLU, a function of the same arguments that tells where it begins and ends
RANGES = dict(relu=relu_range, relu6=relu6_range, hardtanh=hardtanh_range, clamp=clamp_range, clip=clamp_range,
              clamp_min=clamp_range, threshold=threshold_range)
OTHERS = 'celu elu gelu hardswish hardtanh leaky_relu mish prelu rrelu selu silu softplus tanh threshold'.split()

def relu_top(
    name:str, args, kwargs # a call, as a `TorchFunctionMode` sees it
):                         # its upper end: `inf`, or 6 for a ReLU6; None if it is no ReLU
    "Is this call a ReLU, and where does it end?"
    if name not in RANGES or 'out' in kwargs: return None
    low, top = (e.item() if isinstance(e, Tensor) and e.numel() == 1 else e for e in RANGES[name](*args, **kwargs))
    known = isinstance(low, (int, float)) and isinstance(top, (int, float))
    return top if known and low == 0 < top else None

def relu_call(
    func, args, kwargs, # a call, as a `TorchFunctionMode` sees it
    others:set,         # the names of other activation functions are added to it
):                      # (its input, the call as a function of that, its upper end); None if it is no ReLU
    "A ReLU of floating-point numbers, by whatever name it is called, taken apart."
    name, kwargs = getattr(func, '__name__', '').strip('_'), dict(kwargs)   # relu_ works in place
    if name in RANGES:
        if 'input' in kwargs: args = (kwargs.pop('input'), *args)
        if kwargs.get('out', ...) is None: del kwargs['out']
        top = relu_top(name, args, kwargs)
        if top is not None:
            return (args[0], lambda x: func(x, *args[1:], **kwargs), top) if args[0].is_floating_point() else None
    if name in OTHERS: others.add(name)

# ---- what a rule did not reach; `mode` has a `rule`, `met` of its ReLUs, and the names of `others`

def unchanged(names):
    "That these activation functions keep their ordinary gradient, in words."
    return f"{', '.join(sorted(names))} {'keep' if len(names) > 1 else 'keeps'} the ordinary gradient" if names else ''

def report(mode):
    "At the end of a `with`: `CamError` if the rule met no ReLU, a warning if it met other activation functions too."
    what, others = f"ReLURule({mode.rule!r})", unchanged(mode.others)
    if mode.others and mode.met: warnings.warn(f"{what}: {others}, only the {mode.met} "
                                               "ReLU calls follow the rule.", stacklevel=3)
    if not mode.met:
        raise CamError(f"met no ReLU, so there was nothing to change{'; ' * bool(others)}{others}. "
                       "Run the model inside the `with`. For a network without ReLUs use `saliency`.", what)

class ReLUMode(TorchFunctionMode):
    "A mode that counts the ReLUs it met, and says at its end what it did not reach. `rule` is its name."
    def __init__(self):
        super().__init__()
        self.met, self.others = 0, set()

    def __enter__(self):
        self.met, self.others = 0, set()
        return super().__enter__()

    def __exit__(self, kind, *exc):
        super().__exit__(kind, *exc)
        if kind is None: report(self)

def check_met(net, mode):
    "`CamError` if a rule met no ReLU of `net`: which activation functions there are instead, and what to do."
    if any(isinstance(m, torch.jit.ScriptModule) for m in net.modules()): mode.others.add('a scripted part')
    if mode.met: return
    modules = {type(m).__name__.lower(): type(m).__name__ for m in net.modules()}
    others = unchanged([modules.get(n.replace('_', ''), n) for n in mode.others])
    raise CamError(f"the {mode.rule!r} rule met no ReLU in this network, so it has nothing to "
                   f"change{'; ' * bool(others)}{others}. "
                   "Use saliency, which is the ordinary gradient, or grad_cam, which needs no ReLU.")
