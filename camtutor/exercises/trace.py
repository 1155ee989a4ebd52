"A learner's exception, as it concerns the learner: their own line and their values."
from dataclasses import dataclass
import linecache, re, sysconfig, traceback, types
from pathlib import Path

from torch import Tensor
from camtutor.exercises.guard import TimeLimit

LIBRARIES = [sysconfig.get_path(name) for name in ('stdlib', 'platstdlib', 'purelib', 'platlib')]
OTHERS = tuple({str(Path(__file__).resolve().parent.parent), *LIBRARIES, '<frozen'})

@dataclass(frozen=True)
class Raised:
    "An exception without its traceback."
    kind:str # the class of the exception
    message:str
    line:str = '' # the learner's line
    number:int = 0 # its number in the cell
    values:tuple = () # of texts: 'A = tensor (2, 3, 4, 4) float32'
    stopped:str = '' # 'time' if the limit ended it, 'memory' if there was no more

    @property
    def what(self):
        "Its kind and message without names and numbers, which differ from one person's code to another's."
        return self.kind, re.sub(r"'[^']*'|[\w.<>]+\(\)|0x\w+|\d+", '…', self.message)[:60]

def raised(e:BaseException)->Raised:
    "The part of `e` that a learner can use."
    stopped = why_stopped(e)
    theirs = [(f, n) for f, n in traceback.walk_tb(e.__traceback__) if not f.f_code.co_filename.startswith(OTHERS)]
    if not theirs: return Raised(type(e).__name__, str(e), stopped=stopped)
    frame, number = theirs[-1]
    line = linecache.getline(frame.f_code.co_filename, number).strip()
    return Raised(type(e).__name__, str(e), line or f'line {number}', number, values(frame, line), stopped)

def why_stopped(e)->str:
    if isinstance(e, TimeLimit): return 'time'
    return 'memory' if isinstance(e, MemoryError) or "can't allocate memory" in str(e) else ''

def values(frame, line)->tuple:
    "The learner's variables that stand in `line`, or all if there is none, shortly."
    tools = types.ModuleType, types.FunctionType, type
    named = {k: v for k, v in frame.f_locals.items() if not k.startswith('__') and not isinstance(v, tools)}
    used = set(re.findall(r'\w+', line)) & set(named) or set(named)
    return tuple(f'{k} = {brief(v)}' for k, v in named.items() if k in used)[:8]

def shortened(v)->str: return repr(v) if len(repr(v)) < 60 else repr(v)[:57] + '…'

def brief(v)->str:
    "A value in a few words; never runs code of the value's own class."
    if isinstance(v, Tensor):
        return f'tensor {tuple(v.shape)} {str(v.dtype)[6:]}' + (f': {v.item():.6g}' if v.numel() == 1 else '')
    if v is None or type(v) in (int, float, bool, str): return shortened(v)
    if type(v) in (list, tuple) and len(v) <= 4: return f'{type(v).__name__} ({", ".join(map(brief, v))})'
    if type(v) in (list, tuple, dict, set): return f'{type(v).__name__} of {len(v)}'
    return type(v).__name__
