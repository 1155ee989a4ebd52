"Hidden inputs and trials that several chapters use. Everything comes from fixed seeds, so a verdict repeats."
import torch
from torch import Tensor, nn

from camtutor.exercises.core import Trial

def rand(*shape, seed=0)->Tensor:
    "Normal numbers of a shape, always the same for a seed."
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))

def seeded(module, seed=0):
    "The same module with weights that always are the same."
    gen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters(): p.copy_(torch.randn(p.shape, generator=gen)*.5)
    return module.eval()

def tiny(seed=0, inplace=False, k=3):
    "A network of two convolutions, pooling and a linear layer; its maps are 6 × 5 for a picture 12 × 10."
    return seeded(nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace), nn.MaxPool2d(2),
                      nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(inplace)),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, k))), seed)

def pictures(n=2, seed=0): return rand(n, 3, 12, 10, seed=seed)

def hooks_left(model)->int:
    "Forward and backward hooks that are still on any module of `model`."
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules())

def copied(args): return [a.clone() if isinstance(a, Tensor) else a for a in args]

def gives(title, *args, want=None):
    "A trial: `answer(*args)`, on fresh copies."
    def run(answer): return answer(*copied(args))
    if want is None: return Trial(title, run)
    return Trial(title, run, torch.as_tensor(want) if isinstance(want, (list, Tensor)) else want)

def keeps(*args):
    "A trial: the arguments must be the same after the call."
    def run(answer):
        mine = copied(args)
        answer(*mine)
        same = all(torch.equal(a, b) for a, b in zip(mine, args) if isinstance(a, Tensor))
        return {'the arguments are as before': same}
    return Trial('Your function called on tensors that are needed afterwards', run,
                 {'the arguments are as before': True},
                 'Something is changed in place: look for `relu_`, `+=`, `[…] =`.')

def one_by_one(*args, batched=None):
    "A trial: a batch gives what its images give alone. `batched`: which arguments have the batch first (None: all)."
    which = range(len(args)) if batched is None else batched
    n = len(args[which[0]])
    def run(answer):
        alone = [answer(*(a[i:i+1].clone() if j in which else a for j, a in enumerate(args))) for i in range(n)]
        return {'each image alone gives the same': bool((answer(*copied(args)) - torch.cat(alone)).abs().max() < 1e-4)}
    return Trial('A batch, and its images one by one', run, {'each image alone gives the same': True},
                 'An image must not change with its neighbours in the batch.')
