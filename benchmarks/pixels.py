"""Guided backprop side by side: this library, the plain gradient, pytorch-grad-cam and Captum.

python -m benchmarks.pixels              everything (about six minutes on two quiet cores); table and JSON go to docs/
python -m benchmarks.pixels --quick      ResNet-18 and the course's network, few rounds, printed only
python -m benchmarks.pixels --tiny --out DIR    the course's network on small pictures, written to DIR: does it run?

All run in one process, in turn, in another order each round; what counts are ratios to the plain gradient within a
round: their median, and the range between the quartiles. The plain gradient is torch.autograd.grad of the score at the
pixels, nothing else. pytorch-grad-cam takes one image a call, so it is called once for each; Captum cannot hook
in-place ReLUs, so its network has them switched off outside of the clock.
"""
import warnings
warnings.filterwarnings('ignore')
import torch
from torch import nn
from benchmarks.clock import OURS, asked, markdown, network, promise, race, ratios, spread, tell

PLAIN, SALIENCY = 'plain gradient', 'camtutor, saliency'

def plain(net, x, target):
    def run():
        leaf = x.clone().requires_grad_()
        return torch.autograd.grad(net(leaf)[range(len(x)), target].sum(), leaf)[0]
    return run

def saliency(net, x, target):
    from camtutor.guided import saliency
    return lambda: saliency(net, x, target=target)

def camtutor(net, x, target):
    from camtutor.guided import guided_backprop
    return lambda: guided_backprop(net, x, target=target)

def pytorch_grad_cam(net, x, target):
    from pytorch_grad_cam import GuidedBackpropReLUModel
    model = GuidedBackpropReLUModel(net, device='cpu')
    return lambda: [model(i[None].clone(), t) for i, t in zip(x, target)]

def captum(net, x, target):
    from captum.attr import GuidedBackprop
    for m in net.modules():
        if isinstance(m, nn.ReLU): m.inplace = False
    method, targets = GuidedBackprop(net), torch.tensor(target)
    return lambda: method.attribute(x.clone().requires_grad_(), target=targets)

MAKERS = {PLAIN: plain, SALIENCY: saliency, OURS: camtutor, 'pytorch-grad-cam': pytorch_grad_cam, 'Captum': captum}

def build(name):
    if name != 'pets': return network(name)
    from camtutor.networks import load_pets
    return load_pets()

def agree(name, size=64):
    "All of them draw the same before they are timed (the largest difference over the largest value)."
    x, target = torch.randn(1, 3, size, size), [3]
    got = {k: make(build(name), x, target)() for k, make in MAKERS.items() if k not in (PLAIN, SALIENCY)}
    got['pytorch-grad-cam'] = torch.from_numpy(got['pytorch-grad-cam'][0]).movedim(-1, 0)[None]
    return max(((g - got[OURS]).abs().max() / got[OURS].abs().max()).item() for g in got.values())

def rows(nets, batches, seconds, rounds, sizes):
    "One row a network and batch, on pictures of `sizes[name]` pixels, or 224."
    out = []
    for name in nets:
        difference = agree(name)
        for n in batches:
            x = torch.randn(n, 3, *[sizes.get(name, 224)] * 2)
            times = race(MAKERS, lambda: (build(name), x, [i % 8 for i in range(n)]), seconds, rounds)
            out.append(dict(net=name, batch=n, difference=difference,
                            to_plain=ratios(times, PLAIN), to_ours=ratios(times, OURS)))
            print(table(out[-1:]).splitlines()[-1], flush=True)
    return out

def table(rows):
    names = [n for n in MAKERS if n != PLAIN]
    def cells(r): return [f"{r['to_plain'][PLAIN]['ms']:.0f} ms", *[spread(r['to_plain'][n]) for n in names]]
    heads = ['camtutor, guided' if n == OURS else n for n in names]
    return markdown(['plain gradient', *heads], [[f"{r['net']}, batch {r['batch']}", *cells(r)] for r in rows])

FULL = ['pets', 'resnet18', 'resnet50', 'vgg16'], [1, 8], 45, 25, dict(pets=128)
QUICK = ['pets', 'resnet18'], [1, 4], 8, 15, dict(pets=128)
TINY = ['pets'], [1, 2], 0, 1, dict(pets=32)

def main():
    job, out, result, _ = asked(__doc__, FULL, QUICK, TINY)
    found = result['rows'] = rows(*job)
    worst, difference = max(r['to_plain'][OURS]['ratio'] for r in found), max(r['difference'] for r in found)
    result['bars'] = [promise('guided backprop over the plain gradient, worst row', worst, '<=', 1.1),
                      promise("largest difference between the libraries' pictures", difference, '<=', 1e-4)]
    tell(result, f'Time over the plain gradient.\n\n{table(found)}', 'pixels', out)

if __name__ == '__main__': main()
