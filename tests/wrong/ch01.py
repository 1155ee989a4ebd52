"Chapter 01: plausible wrong answers that are not in the bank."
from contextlib import contextmanager
import torch

from camtutor.exercises.ch01 import Hook, HookBwd, Hooks, dark_share, last_gradient, one_name_each

# 1.1
def note_now(shapes):
    shapes.append(())
    return lambda module, args, out: None
def note_text(shapes): return lambda module, args, out: shapes.append(str(tuple(out.shape)))
def note_tensor(shapes): return lambda module, args, out: shapes.append(out)
def note_size(shapes): return lambda module, args, out: shapes.append(out.numel())
def note_extends(shapes): return lambda module, args, out: shapes.extend(out.shape)
def note_itself(module, args, out): return tuple(out.shape)

# 1.2
class HookPre(Hook):
    def __init__(self, module):
        self.handle = module.register_forward_pre_hook(lambda m, args: self.see(m, args, args[0]))
class HookLater(Hook):
    def __enter__(self): self.handle.remove(); return self
class HookTwice(Hook):
    def __exit__(self, *exc): self.remove(); self.stored = None
class HookMean(Hook):
    def see(self, module, args, out): self.stored = out.detach().mean((2, 3))
class HookNone(Hook):
    def see(self, module, args, out): stored = out.detach().clone()

# 1.4
@contextmanager
def eval_no_grad(model):
    model.eval()
    with torch.no_grad(): yield model
@contextmanager
def eval_if_training(model):
    was = model.training
    model.eval()
    try: yield model
    finally:
        if was: model.train()
@contextmanager
def eval_returns_nothing_back(model):
    modes = [m.training for m in model.modules()]
    yield model.eval()
    for m, mode in zip(model.modules(), modes): m.training = mode
@contextmanager
def eval_swallows(model):
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    try: yield model
    except Exception: pass
    for m, mode in modes: m.training = mode
def eval_plain(model):
    model.eval()
    return model

# 1.5
class HooksOne(Hooks):
    @property
    def stored(self): return self.hooks[-1].stored
class HooksStack(Hooks):
    @property
    def stored(self): return torch.stack([h.stored.flatten()[:4] for h in self.hooks])
class HooksNever(Hooks):
    def remove(self): self.hooks = []
class HooksTuple(Hooks):
    @property
    def stored(self): return tuple((type(h), h.stored) for h in self.hooks)

# 1.6
def dark_any(A, bound=.05): return (A.amax((2, 3)) <= bound).any(1).float()
def dark_places(A, bound=.05): return (A <= bound).float().mean((1, 2, 3))
def dark_median(A, bound=.05): return (A.flatten(2).median(2).values <= bound).float().mean(1)
def dark_lit(A, bound=.05): return 1 - dark_share(A, bound)
def dark_strict(A, bound=.05): return (A < bound).all(3).all(2).float().mean(1)

# 1.7
def names_set(seen): return list({n for n, _ in seen if n})
def names_inner(seen): return [n for n, _ in seen if n.count('.') == max(m.count('.') for m, _ in seen)]
def names_shapes(seen): return list({tuple(o.shape): n for n, o in seen if n}.values())
def names_with_model(seen): return one_name_each([(n or 'model', o) for n, o in seen])

# 1.8
class BwdTwice(HookBwd):
    def keep(self, grad): self.stored = 2*grad
class BwdMean(HookBwd):
    def keep(self, grad): self.stored = grad.mean((2, 3))
class BwdList(HookBwd):
    def keep(self, grad): self.stored = [grad.clone()]
class BwdSign(HookBwd):
    def keep(self, grad): self.stored = grad.sign()

# 1.9
def gradient_transposed(weight, k, A): return last_gradient(weight, k, A).transpose(2, 3)
def gradient_column(weight, k, A):
    return (weight[:, k]/A[0, 0].numel())[None, :, None, None].expand_as(A)
def gradient_none(weight, k, A): return torch.zeros_like(A)
def gradient_sum(weight, k, A): return last_gradient(weight, k, A).sum(1)
def gradient_twice(weight, k, A): return 2*last_gradient(weight, k, A)

WRONG = {
    '1.1': [note_now, note_text, note_tensor, note_size, note_extends, note_itself],
    '1.2': [HookPre, HookLater, HookTwice, HookMean, HookNone],
    '1.4': [eval_no_grad, eval_if_training, eval_returns_nothing_back, eval_swallows, eval_plain],
    '1.5': [HooksOne, HooksStack, HooksNever, HooksTuple],
    '1.6': [dark_any, dark_places, dark_median, dark_lit, dark_strict],
    '1.7': [names_set, names_inner, names_shapes, names_with_model],
    '1.8': [BwdTwice, BwdMean, BwdList, BwdSign],
    '1.9': [gradient_transposed, gradient_column, gradient_none, gradient_sum, gradient_twice],
}
