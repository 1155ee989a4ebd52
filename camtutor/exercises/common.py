"Hidden inputs and trials that several chapters use. Everything comes from fixed seeds, so a verdict repeats."
from copy import deepcopy

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

# Sizes that are all different, and what is seldom thought of

N, C, H, W, K = 2, 5, 8, 6, 7 # pictures, channels, rows, columns, classes

def a_batch(n=N, c=C, h=H, w=W, seed=0):
    "Activations (not negative) and gradients whose sizes are all different: (2, 5, 8, 6) twice."
    return rand(n, c, h, w, seed=seed).relu(), rand(n, c, h, w, seed=seed + 1)

def uneven(seed=0, inplace=False, linears=1, norm=False):
    """Like `tiny`, but with sizes that are all different: pictures (n, 3, 16, 12), activations (n, 5, 8, 6) at '0',
    7 classes. `linears=2`: two Linears in the head. `norm`: a batch norm, which notices training mode."""
    body = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace), nn.MaxPool2d(2), nn.Conv2d(4, C, 3, padding=1),
            *([nn.BatchNorm2d(C)] if norm else []), nn.ReLU(inplace)]
    head = [nn.Linear(C, K)] if linears == 1 else [nn.Linear(C, 9), nn.ReLU(), nn.Linear(9, K)]
    net = seeded(nn.Sequential(nn.Sequential(*body), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *head)), seed)
    with torch.no_grad(): head[-1].bias -= net(varied(16, 12)).mean(0) # no class is every picture's favourite
    return net

def varied(*size, seed=0):
    "200 pictures of many contrasts and colours."
    x = rand(200, 3, *size, seed=seed)*torch.linspace(.1, 6, 200)[:, None, None, None]
    return x + rand(200, 3, 1, 1, seed=seed + 1)*2

def differing(model, n=N, size=(16, 12), seed=0)->Tensor:
    "Pictures (n, 3, *size) on which `model` says `n` different top classes."
    x = varied(*size, seed=seed)
    with torch.no_grad(): top = model(x).argmax(1).tolist()
    chosen = list({k: i for i, k in reversed(list(enumerate(top)))}.values())[:n]
    assert len(chosen) == n, f'this network knows {len(set(top))} of its classes only; take another seed'
    return x[chosen]

def odd_maps(h=H, w=W)->Tensor:
    "Maps (5, h, w), also what is seldom thought of: ordinary, all zero, all negative, constant, one positive place."
    m = rand(5, h, w, seed=3)
    m[1], m[2], m[3], m[4] = 0., -m[2].abs() - .1, .1, -1.
    m[4, h - 2, 1] = 2.
    return m

def dead(A:Tensor)->Tensor:
    "A copy of activations whose channel 1 is 0 everywhere and whose channel 2 is .1 everywhere."
    A = A.clone()
    A[:, 1], A[:, 2] = 0., .1
    return A

class Planned(ValueError): "Raised on purpose, by a network that breaks."

class Breaks(nn.Module):
    "A layer that raises."
    def forward(self, *args): raise Planned('as planned')

def error_arrives(model, call, title='A network that breaks', says='Who calls has to see the error: no bare `except`, '
                                                                   'no `return` in a `finally`.'):
    "A trial: `call(answer, broken)`, with a copy of `model` that breaks at its end; the error must reach the caller."
    def run(answer):
        broken = nn.Sequential(deepcopy(model), Breaks()) # layer '0.3' of `model` is '0.0.3' here
        try: call(answer, broken)
        except Planned: return {"the network's error arrives": True, 'hooks left': hooks_left(broken)}
        return {"the network's error arrives": False, 'hooks left': hooks_left(broken)}
    want = {"the network's error arrives": True, 'hooks left': 0}
    return Trial(title, run, want, {"the network's error arrives": says,
                                    'hooks left': 'Put the line that removes the hook into `finally`.'})

def hooks_left(model)->int:
    "Forward and backward hooks that are still on any module of `model`."
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules())

# Trials

def gives(title, *args, want=None, **kwargs):
    "A trial: `answer(*args)`, on copies of its own; what is one tensor twice stays one tensor twice."
    def run(answer): return answer(*deepcopy(args), **deepcopy(kwargs))
    if want is None: return Trial(title, run)
    return Trial(title, run, torch.as_tensor(want) if isinstance(want, (list, Tensor)) else want)

def keeps(*args):
    "A trial: the arguments must be the same after the call. (The grader looks at that in every trial by itself.)"
    def run(answer):
        mine = deepcopy(args)
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
        def one(i): return (a[i:i+1].clone() if j in which else deepcopy(a) for j, a in enumerate(args))
        alone = [answer(*one(i)) for i in range(n)]
        together = answer(*deepcopy(args))
        if not all(isinstance(a, Tensor) for a in [*alone, together]): return together
        alone = torch.cat(alone)
        same = alone.shape == together.shape and bool((together - alone).abs().max() < 1e-4)
        return {'each image alone gives the same': same}
    return Trial('A batch, and its images one by one', run, {'each image alone gives the same': True},
                 'An image must not change with its neighbours in the batch.')
