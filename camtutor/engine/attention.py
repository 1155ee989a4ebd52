"""Where a transformer attends, and the gradient of a score at its attention."""
# A fused kernel never hands out the attention P (N,heads,T,T). Its gradient can be had without it: what an attention
# puts out is P·v, so the gradient at P is that at its output, times v.
from typing import Callable, NamedTuple

import torch
from torch import Tensor, nn

from camtutor.errors import CamError

class Attention(NamedTuple):
    "One self-attention: which layers' outputs tell the gradient at it."
    values:str     # the layer whose output holds the values v, or what they are made of
    made:Callable  # that output -> v (N,T,E)
    out:str        # the layer that puts out what the last Linear made of P·v
    weight:Tensor  # of that Linear (E,E)
    heads:int

def attentions(model)->list: # of Attention, in the order of the modules
    "The self-attentions of torchvision's, timm's and Hugging Face's vision transformers. `CamError` if there is none."
    seen = [(name, m, read) for name, m in model.named_modules() for read in (by_block, by_qkv, by_v)]
    found = [a for name, m, read in seen if (a := read(name + '.', m))]
    if found: return found
    raise CamError(f"in this {type(model).__name__} there is no attention of a kind that it knows: blocks of "
                   "torchvision's or timm's vision transformers, or Hugging Face's with q_proj, v_proj and o_proj. "
                   "Use grad_cam.")

def by_block(name, m):
    "torchvision: a block with a norm, a MultiheadAttention and a dropout behind it."
    mha = getattr(m, 'self_attention', None)
    if not isinstance(mha, nn.MultiheadAttention) or not hasattr(m, 'ln_1') or not hasattr(m, 'dropout'): return None
    weight, bias = mha.in_proj_weight.chunk(3)[2], mha.in_proj_bias.chunk(3)[2]
    return Attention(name + 'ln_1', lambda a: a @ weight.T + bias, name + 'dropout', mha.out_proj.weight, mha.num_heads)

def by_qkv(name, m):
    "timm: one Linear for queries, keys and values."
    qkv, proj, heads = (getattr(m, k, None) for k in ('qkv', 'proj', 'num_heads'))
    if not (isinstance(qkv, nn.Linear) and isinstance(proj, nn.Linear) and isinstance(heads, int)): return None
    plain = isinstance(getattr(m, 'norm', None), (nn.Identity, type(None))) and qkv.out_features == 3 * proj.in_features
    return Attention(name + 'qkv', lambda a: a.chunk(3, -1)[2], name + 'proj', proj.weight, heads) if plain else None

def by_v(name, m):
    "Hugging Face: a Linear each."
    v, o = getattr(m, 'v_proj', None), getattr(m, 'o_proj', None)
    heads = next((h for k in ('num_heads', 'num_attention_heads') if isinstance(h := getattr(m, k, None), int)), None)
    if not (isinstance(v, nn.Linear) and isinstance(o, nn.Linear) and heads and v.out_features == o.in_features):
        return None
    return Attention(name + 'v_proj', lambda a: a, name + 'o_proj', o.weight, heads)

def attention_grad(
    attention:Attention,
    values:Tensor, # what its layer `values` put out (N,T,·)
    g:Tensor,      # the gradient at what its layer `out` put out (N,T,E)
)->Tensor:         # (N,heads,T,T): queries, then keys
    "The gradient of a score at an attention."
    back, v = (t.unflatten(-1, (attention.heads, -1)) for t in (g @ attention.weight, attention.made(values)))
    return torch.einsum('nqhd,nkhd->nhqk', back, v)
