"A network with other modules in the place of some of its own; nothing of the network itself is touched."
from copy import copy

from torch import nn

def graft(
    m:nn.Module, # a network
    swap:dict,   # module -> what stands in its place
    made=None,   # those copied so far
)->nn.Module:    # shares all modules, weights and hooks with the network, but for those on the way to an exchanged one
    "A copy of a network with some of its modules exchanged."
    made = {} if made is None else made
    if m in swap: return swap[m]
    if m in made: return made[m]
    children = {n: graft(c, swap, made) for n, c in m._modules.items() if c is not None}
    made[m] = m
    if any(c is not m._modules[n] for n, c in children.items()):
        made[m] = copy(m)
        made[m].__dict__['_modules'] = m._modules | children
    return made[m]
