"""The lessons on a machine with an accelerator, without one: a stand-in computes on the CPU but keeps the rules that
PyTorch has for two devices. It cannot tell what an accelerator lacks (float64 on a Mac), nor how it rounds."""
import ast, json, sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import fastai.vision.all   # before the stand-in looks for whoever asks for the default device
import pytest, torch
from IPython.core.inputtransformer2 import TransformerManager
from torch import Tensor, nn
from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

import camtutor
from camtutor.explanation import explain
from camtutor.methods import METHODS
from camtutor.networks import load_pets
from camtutor.scenes import scene
from fewer import FEWER, fewer

ACCEL = torch.device('privateuseone', 0)   # nothing is built for it: a call that the stand-in misses fails
CPU = torch.device('cpu')
NBS = Path(__file__).parent.parent/'nbs'

# ---- the stand-in

class Memory:
    "What lies on the accelerator: storages by address, as long as they live."
    def __init__(self): self.refs, self.moving = {}, False
    def storage(self, t):
        while is_functorch_wrapped_tensor(t): t = get_unwrapped(t)
        return t.untyped_storage()
    def __contains__(self, t):
        if not isinstance(t, Tensor) or t.layout != torch.strided: return False
        r = self.refs.get(self.storage(t)._cdata)
        return r is not None and not r.expired()
    def add(self, t):
        if len(self.refs) > 5000: self.refs = {k: r for k, r in self.refs.items() if not r.expired()}
        self.refs[self.storage(t)._cdata] = StorageWeakRef(self.storage(t))
    def copied(self, t, device):
        "A copy of this tensor on the device."
        self.moving = True
        try: out = t.clone()
        finally: self.moving = False
        if device == ACCEL: self.add(out)
        return out

class Move(torch.autograd.Function):
    "A copy on another device, through which gradients come back."
    @staticmethod
    def forward(ctx, t, memory, device):
        ctx.memory, ctx.back = memory, ACCEL if t in memory else CPU
        return memory.copied(t, device)
    @staticmethod
    def backward(ctx, g): return ctx.memory.copied(g, ctx.back), None, None

aten, parse_to = torch.ops.aten, torch._C._nn._parse_to
ACROSS = aten.copy_, aten.index, aten.index_put, aten.index_put_   # may take tensors of both devices
REFUSED = Tensor.numpy, Tensor.__array__

class Kernels(TorchDispatchMode):
    "Every operation: of one device's tensors only, numbers (of no axis) apart; so is its result."
    def __init__(self, memory):
        super().__init__()
        self.memory = memory
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if self.memory.moving: return out
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        there = [t in self.memory for t in tensors]
        if not any(there) or func.overloadpacket in ACROSS and not there[0]: return out
        if func.overloadpacket not in ACROSS and any(t.ndim for t, yes in zip(tensors, there) if not yes):
            raise RuntimeError(f'Expected all tensors to be on the same device, but {func} got {ACCEL} and cpu')
        for t in tree_leaves(out):
            if isinstance(t, Tensor): self.memory.add(t)
        return out

class Calls(TorchFunctionMode):
    "Every call that names a device or asks for one."
    def __init__(self, memory):
        super().__init__()
        self.memory = memory
    def device(self, t): return ACCEL if t in self.memory else CPU
    def place(self, out, device):
        def placed(t): return Move.apply(t, self.memory, device) if self.device(t) != device else t
        return tree_map(lambda o: placed(o) if isinstance(o, Tensor) else o, out)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        me = args[0] if args and isinstance(args[0], Tensor) else None
        if me is not None and getattr(func, '__self__', None) is Tensor.device: return self.device(me)
        if func in REFUSED and me in self.memory:
            raise TypeError(f"can't convert {ACCEL} device type tensor to numpy. Use Tensor.cpu() first.")
        if func is Tensor.cpu: return self.place(me, CPU)
        if func is Tensor.to: return self.moved(me, args[1:], kwargs)
        if func is parse_to: return func(*args, **kwargs)
        device = torch.device(kwargs['device']) if kwargs.get('device') is not None else None
        if device == ACCEL: kwargs['device'] = CPU
        out = func(*args, **kwargs)
        own = func is Tensor.__deepcopy__ or device is None and getattr(func, '__name__', '').startswith('new_')
        return self.place(out, self.device(me)) if own else self.place(out, device) if device in (ACCEL, CPU) else out

    def moved(self, t, args, kwargs):
        "`Tensor.to`, whatever it is given: a device, a type, a tensor like which it is to be."
        like = next((a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)), None)
        if like is not None: return self.place(t.to(like.dtype), self.device(like))
        device, dtype, *_ = parse_to(*args, **{k: v for k, v in kwargs.items() if k != 'copy'})
        out = t if dtype is None else t.to(dtype)
        return out if device is None else self.place(out, device)

@contextmanager
def accelerator():
    "A machine whose default device is not the CPU."
    memory = Memory()
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for name, m in list(sys.modules.items()):
            if name.startswith('fastai') and hasattr(m, 'default_device'):
                patch.setattr(m, 'default_device', lambda *args: ACCEL)
        for mode in Calls(memory), Kernels(memory): stack.enter_context(mode)
        yield memory

@pytest.fixture
def there():
    with accelerator() as memory: yield memory

# ---- does it keep the rules?

def test_devices_are_told_apart(there):
    a, b = torch.ones(3), torch.ones(3, device=ACCEL)
    assert (a.device, b.device, (2*b + 1).device, b.cpu().device, a.to(b).device) == (CPU, ACCEL, ACCEL, CPU, ACCEL)
    assert b[None].expand(2, 3).contiguous().device == ACCEL and b.new_zeros(2).device == ACCEL
    assert b.sum().item() == 3 and b.tolist() == [1, 1, 1] and (b + torch.tensor(2.)).tolist() == [3, 3, 3]
    a.copy_(5*b)
    assert a.device == CPU and a.numpy().tolist() == [5, 5, 5]
    assert b[torch.tensor([0, 2])].device == ACCEL

@pytest.mark.parametrize('mixed', [
    lambda a, b: a + b, lambda a, b: b * a, lambda a, b: torch.stack([a, b]), lambda a, b: b.numpy(),
    lambda a, b: nn.Linear(3, 3).to(ACCEL)(a), lambda a, b: nn.Linear(3, 3)(b), lambda a, b: a.sum()*b + a])
def test_a_mixture_is_refused(there, mixed):
    with pytest.raises((RuntimeError, TypeError), match='device'): mixed(torch.ones(3), torch.ones(3, device=ACCEL))

def test_gradients_come_back_to_where_they_belong(there):
    w = torch.ones(3, requires_grad=True)
    (w.to(ACCEL)*2).cpu().sum().backward()
    assert w.grad.device == CPU and w.grad.tolist() == [2, 2, 2]

# ---- the library, with a network that lives on the accelerator

@pytest.fixture(scope='module')
def pet(): return scene(15, 'cat')

@pytest.mark.parametrize('method', [m for m in METHODS if m != 'le_grad']) # that needs a transformer
def test_every_method_explains_there(method, pet):
    want = explain(load_pets(), pet, method=method).raw
    with accelerator() as memory:
        got = explain(load_pets().to(ACCEL), pet, method=method).raw
        assert got in memory
        assert torch.allclose(got.cpu(), want, atol=1e-4*want.abs().max().item())

# ---- the lessons

class Shell:
    "What a cell finds in place of IPython's shell: magics do nothing."
    def run_line_magic(self, *args): pass
    def run_cell_magic(self, *args): pass

def code_cells(name):
    "The sources of a lesson's code cells, down to its exercises."
    cells = json.loads((NBS/f'{name}.ipynb').read_text(encoding='utf8'))['cells']
    for i, c in enumerate(cells):
        source = ''.join(c['source'])
        if source.startswith('## Exercises'): return
        if c['cell_type'] == 'code' and '#| eval: false' not in source: yield i, source

def run_cell(number, source, scope):
    "Run a cell as a notebook does, and show its last line's value."
    tree = ast.parse(TransformerManager().transform_cell(source))
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, f'<cell {number}>', 'exec'), scope)
    if last: repr(eval(compile(ast.Expression(last.value), f'<cell {number}>', 'eval'), scope))

def run_lesson(name):
    "A lesson's cells, in their order."
    scope = dict(__name__='__main__', get_ipython=Shell)
    for i, source in code_cells(name): run_cell(i, fewer(source), scope)

# fastai's loaders and learners move things to the default device, and nothing else that lessons use does
MAKERS = {'Learner', 'DataBlock', 'DataLoaders', 'ImageDataLoaders', 'TfmdDL', 'default_device', 'set_default_device'}
MOVERS = dict(pets={'scenes_dls', 'oxford_dls', 'pets_dls', 'pets_learner'}, beside={'cached_dls', 'batches'},
              lcam={'fitted'}, batches={'loaders', 'loader'})
CALLED = MOVERS['pets'] | {'train_lcam', 'loaders'}   # by lessons

def words(tree):
    "All names that a piece of code speaks of, and its one-word texts."
    for n in ast.walk(tree):
        if isinstance(n, (ast.Name, ast.Attribute)): yield n.id if isinstance(n, ast.Name) else n.attr
        elif isinstance(n, ast.Constant) and isinstance(n.value, str): yield n.value.partition(':')[0]

def words_of(name):
    return {w for _, source in code_cells(name) for w in words(ast.parse(TransformerManager().transform_cell(source)))}

def moves_batches(name):
    "Does a lesson use what moves things to the default device?"
    return bool(words_of(name) & (MAKERS | CALLED))

@pytest.fixture
def desk(monkeypatch, tmp_path):
    "Where a lesson is run here: no windows, no figure formats of a notebook."
    import matplotlib
    matplotlib.use('agg')
    monkeypatch.setattr('camtutor.course.style', lambda digits=None: None)
    monkeypatch.chdir(NBS)
    yield
    import matplotlib.pyplot as plt
    plt.close('all')

LESSONS = sorted(p.stem for p in NBS.glob('[0-9]*.ipynb'))

@pytest.mark.parametrize('name', [n for n in LESSONS if n < '07' or moves_batches(n)])
def test_lessons_run_there(name, there, desk): run_lesson(name)

def test_what_is_made_fewer_is_in_a_lesson():
    texts = [source for name in LESSONS for _, source in code_cells(name)]
    assert [many for many in FEWER if not any(many in text for text in texts)] == []

def test_nothing_else_in_the_package_moves_batches():
    found = {}
    for path in Path(camtutor.__file__).parent.rglob('*.py'):
        for n in ast.parse(path.read_text(encoding='utf8')).body:
            if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and MAKERS & set(words(n)):
                found.setdefault(path.stem, set()).add(n.name)
    assert found == MOVERS

@pytest.mark.parametrize('name', [n for n in LESSONS if not moves_batches(n)])
def test_all_other_lessons_stay_where_they_are(name):
    "They make every tensor themselves, and name no accelerator; so on any machine they run as on this one."
    assert not words_of(name) & {'cuda', 'mps', 'xpu', 'is_available', 'current_accelerator', 'Accelerator'}
