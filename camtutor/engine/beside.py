"""What training beside a network needs: its layer and scores without a graph, what can be kept of a data set from one
pass, random numbers that come back, and marks by which a network is known again."""
from contextlib import contextmanager

import torch
from torch import Tensor

from camtutor.engine.forward import Forward
from camtutor.engine.head import find_head
from camtutor.engine.inputs import network
from camtutor.engine.targets import score_matrix
from camtutor.engine.trace import main_input
from camtutor.errors import CamError, describe, doing
from camtutor.hooks import get_layer

@doing('Reading a layer')
def activations_and_scores(
    net, x, layer, # a network, a batch it takes, the name of a layer
)->tuple:          # (N,C,h,w), (N,K), without a graph
    "What a layer puts out, and the scores."
    kept = Forward(net, x, layer)
    return kept.at(layer), score_matrix(kept.out)

def scores_with(net, x, layer, change)->Tensor:
    "The scores (N,K) when `change` is made to what `layer` puts out."
    handle = get_layer(net, layer).register_forward_hook(lambda m, args, out: change(out))
    try: return score_matrix(net(x))
    finally: handle.remove()

# ---- batches of fastai's

def expect_dls(dls):
    "`dls`, if they can be fastai DataLoaders."
    if all(hasattr(dls, name) for name in ('train', 'one_batch', 'loaders')): return dls
    raise CamError(f"got {describe(dls)}, not fastai DataLoaders of pictures and labels. Make them with pets_dls, "
                   "for example.")

def on(net, t)->Tensor:
    "A batch of fastai's as a plain tensor, where the network is, of its dtype."
    p = next(net.parameters())
    return t.as_subclass(Tensor).to(p.device, p.dtype if t.is_floating_point() else t.dtype)

KINDS = {2: 'token ids', 3: 'a signal', 5: 'a volume'}   # of what is no picture, by its axes

def expect_pictures(x):
    "`CamError` for what is no picture: token ids, a signal, a volume."
    if (x := main_input(x)).ndim == 4: return
    raise CamError(f"it is learned for pictures (N,C,H,W), and got {KINDS.get(x.ndim, 'a tensor')} {tuple(x.shape)}. "
                   "Use 'grad_cam', which takes whatever has places.")

def labels_of(scores, y, labels)->Tensor:
    "The classes that masks are to be seen as: what the 'network' says, or the 'truth' of the data."
    return scores.argmax(1) if labels == 'network' else torch.as_tensor(y, device=scores.device)

def exact_head(net, x, layer):
    "The Linear behind pooling, if it reads this layer; else None."
    try: head = find_head(net, x)
    except CamError: return None
    A = activations_and_scores(net, x, layer)[0]
    return head if A.shape == head.acts.shape and torch.equal(A, head.acts) else None

def kept_once(net, dl, labels)->list:
    "One pass over the pictures of `dl`, where pooling and one Linear follow: activations, labels, class maps."
    parts = []
    for x, y in dl:
        x, y = on(net, x), on(net, y)
        head = find_head(net, x)
        cams = torch.einsum('kc,nchw->nkhw', head.weight, head.acts)
        scores = cams.mean((2, 3)) + (0 if head.bias is None else head.bias)
        parts.append((head.acts, labels_of(scores, y, labels), cams))
    return [torch.cat(t).cpu() for t in zip(*parts)]

def cached_dls(net, dls, labels):
    "fastai DataLoaders of activations, labels and class maps."
    from fastai.data.core import DataLoaders
    loaders = [dl.new(shuffle=False, drop_last=False) for dl in dls.loaders[:2]]
    kept = [kept_once(net, dl, labels) for dl in loaders]
    made = DataLoaders(*(batches(t, dls, shuffle=i == 0) for i, t in enumerate(kept)), device=dls.device)
    made.n_inp = 1
    return made

def batches(tensors, dls, shuffle):
    "Batches of tensors, each cut out at once and not item by item."
    from fastai.data.core import TfmdDL
    def cut(numbers): return tuple(t[numbers] for t in tensors)
    return TfmdDL(range(len(tensors[0])), bs=dls.train.bs, shuffle=shuffle, num_workers=0, create_batch=cut,
                  device=dls.device)

@contextmanager
def same_luck(seed):
    "Inside the `with`, random numbers of Python, NumPy and torch are the seed's; then they are as before."
    from fastai.torch_core import get_random_states, set_random_states, set_seed
    before = get_random_states()
    try: yield set_seed(seed)
    finally: set_random_states(**before)

# ---- known again

def marks_of(model)->Tensor:
    "A few numbers of every weight and buffer, by which a network is known again."
    tensors = [t.detach().flatten() for t in network(model).state_dict().values() if t.is_floating_point()]
    places = [torch.linspace(0, len(t) - 1, 8).long().to(t.device) for t in tensors]
    return torch.cat([t[i].float() for t, i in zip(tensors, places)]).cpu()

def has_marks(model, marks)->bool:
    "Is this the network that these marks were taken of? In half precision, too."
    mine, p = marks_of(model), next(network(model).parameters())
    if marks is None or mine.shape != marks.shape: return False
    return torch.allclose(mine, marks, rtol=max(4 * torch.finfo(p.dtype).eps, 1e-6), atol=1e-7)
