"Chapter 04: guided backprop."
from copy import deepcopy
from math import ceil, inf
import torch, torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from camtutor.cam import energy, own_share
from camtutor.engine.layers import last_layer
from camtutor.exercises.common import a_batch, differing, error_arrives, gives, one_by_one, rand, seeded, uneven
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise
from camtutor.gradcam import capture, grad_cam
from camtutor.guided import RuledReLU, strength
from camtutor.show import upsample

# 4.1 Grey is zero

SIGNED = torch.tensor([4., -2., 0., 1., 2., -4., 0., 0., 0., 0., 0., 2.]).view(1, 3, 2, 2)
SPARSE = torch.zeros(2, 3, 10, 10).index_put((torch.tensor([0, 0]), torch.tensor([1, 2]), torch.tensor([3, 3]),
                                              torch.tensor([4, 5])), torch.tensor([2., -1.]))

e = exercise('4.1', 'Grey is zero',
    "Write `signed_image(g, clip=99)`: signed pixels (N,3,H,W) as pictures in [0,1], zero at 0.5. Of each picture's n "
    "absolute values, sorted, number ⌈n · clip / 100⌉ becomes 0 or 1, by its sign, and so does what lies beyond. If it "
    "is 0, the largest takes its place; a picture of zeros is grey.",
    library='camtutor.guided',
    trials=(Trial('Worked by hand: 4, −2, 0, 1, … up to the largest', lambda f: f(SIGNED.clone(), 100), SIGNED/8 + .5),
            Trial('The same, clipped at 80: number 10 of 12 is a 2', lambda f: f(SIGNED.clone(), 80),
                  (SIGNED/4 + .5).clamp(0, 1)),
            gives('Random pixels', rand(4, 3, 9, 10)*torch.tensor([1., 5., .1, 3.]).view(4, 1, 1, 1)),
            gives('Random pixels, clipped at 90: number 54 of 60', rand(2, 3, 5, 4), 90),
            gives('A picture with two pixels that are not zero, and one with none', SPARSE),
            one_by_one(rand(4, 3, 9, 10))),
    hints=('`kthvalue(k, 1)` gives number k of each row, in order.',
           'Flatten each picture, without signs, to a row. The end of its scale is one number, which needs three '
           'more axes to divide the picture.',
           'Divided by the end, values lie about −1 to 1. Half of it plus a half; then clamp.'),
    why='A colour scale is a claim; here the claim is that grey means nothing, and that a few loud pixels do not '
        'drown the rest.')

@e.reference
def signed_image(g:Tensor, # signed pixels (N,3,H,W)
                 clip=99 # this percentile of |g| becomes full black or white, image by image
                )->Tensor: # (N,3,H,W) in [0,1]
    "For the eye: zero is grey (0.5), each picture's percentile of |g| is black or white, and so is what lies beyond."
    a = g.abs().flatten(1)
    end = a.kthvalue(ceil(a.shape[1]*clip/100), 1).values
    end = end.where(end > 0, a.amax(1)).clamp(min=1e-30)
    return (.5 + g/end[:, None, None, None]/2).clamp(0, 1)

@e.wrong
def min_max(g, clip=99):
    """You stretch from lowest to highest. Then zero has another grey in every picture, and "nothing here" cannot be
    told from "something"."""
    low, high = g.amin((1, 2, 3), True), g.amax((1, 2, 3), True)
    return (g - low)/(high - low).clamp(min=1e-30)

e.edit('clip/100', '1',
       '`clip` is not used: the largest value is the end of the scale, and one loud pixel makes all others pale.')
e.edit('.flatten(1)', '.flatten()[None]', 'All pictures share one scale. Each has its own.')
e.wrong(lambda g, clip=99: signed_image(g.flatten(0, 1)[:, None], clip).view_as(g),
        'Each colour has its own scale, so that the hue is lost. One scale for a picture.')
e.edit('(.5 + g/end[:, None, None, None]/2).clamp(0, 1)', '(g.abs()/end[:, None, None, None]).clamp(0, 1)',
       'The sign is gone: for and against look alike.')
e.edit('g.abs()', 'g',
       'The percentile is that of the signed values. Take the absolute ones: a strong negative pixel counts as much.')
e.edit('(.5 + g/end[:, None, None, None]/2).clamp(0, 1)', '.5 + g/end[:, None, None, None]/2',
       'What lies beyond the end of the scale leaves [0,1]. Clamp it.')
e.edit('None]/2)', 'None])', 'From grey to white is only a half: divide by *twice* the end of the scale.')
e.edit('.5 + g/end[:, None, None, None]/2', 'g/end[:, None, None, None]',
       'Zero is black, and all that is negative with it. Shift it to 0.5.')
e.edit('a.kthvalue(ceil(a.shape[1]*clip/100), 1).values', 'a.amax(1)*clip/100',
       'You take 99 hundredths of the largest value. A percentile is a place in the order: one loud pixel does not '
       'move it.')
e.edit('a.kthvalue(ceil(a.shape[1]*clip/100), 1).values', 'torch.quantile(a, clip/100, dim=1)',
       '`torch.quantile` draws a line between two neighbours; asked for here is one of the values themselves, number '
       '⌈n · clip / 100⌉. (It also refuses large pictures.)')
e.edit('.where(end > 0, a.amax(1)).clamp(min=1e-30)', '',
       'The end of the scale can be 0, where hardly a pixel is touched, and you divide by it. Put the largest value '
       'in its place, and something tiny if that is 0 too.')
e.edit('.where(end > 0, a.amax(1))', '',
       'Where hardly a pixel is touched, the end of the scale is 0, and you divide by something tiny: whatever is not '
       'zero becomes black or white. Put the largest value in its place.')
e.edit('a.kthvalue(ceil(a.shape[1]*clip/100), 1).values',
       'a.sort(1).values[:, min(int(a.shape[1]*clip/100), a.shape[1] - 1)]',
       'You are one value too far where n · clip / 100 is a whole number: places are counted from 0, so number k '
       'stands at place k − 1.')
e.edit('ceil(a', 'int(a', 'You round n · clip / 100 down. Up: `math.ceil`.')
e.edit('a.kthvalue(ceil(a.shape[1]*clip/100), 1).values',
       'a.sort(1, descending=True).values[:, ceil(a.shape[1]*clip/100) - 1]',
       'You count from above: the end of your scale is among the smallest values, and nearly everything lies beyond. '
       'From below.')
e.edit('a.kthvalue(ceil(a.shape[1]*clip/100), 1).values', 'a.norm(dim=1)',
       'You divide by the length of the picture, and all of it pales. Asked for is one of its values, by its place in '
       'the order.')
e.edit('end = end.where', 'end = a.std(1)*3\n    end = end.where',
       'The end of your scale is three standard deviations. Asked for is one of the values, by its place in the order.')

# 4.2 Three rules

FIVE = torch.tensor([2., -1., 3., -4., 7.]), torch.tensor([1., 5., -2., -3., 0.])
g, A = FIVE
RULES_BY_HAND = dict(backprop=torch.tensor([2., -1., 0., 0., 0.]), deconvnet=torch.tensor([2., 0., 3., 0., 7.]),
                     guided=torch.tensor([2., 0., 0., 0., 0.]))

def passing(g, A):
    "What an answer gives, in whatever order it names the rules."
    def run(answer):
        found = answer(g.clone(), A.clone())
        return dict(sorted(found.items())) if isinstance(found, dict) else found
    return run

e = exercise('4.2', 'Three rules',
    "A ReLU read `A`, and the gradient `g` of the same shape comes back to it. Write `relu_rules(g, A)`: a dict of "
    "what passes, with the keys `'backprop'`, `'deconvnet'` and `'guided'`. A ReLU that read 0 is shut.",
    trials=(Trial('By hand: gradients 2, −1, 3, −4, 7 at a ReLU that read 1, 5, −2, −3, 0', passing(*FIVE),
                  RULES_BY_HAND),
            Trial('Random numbers', passing(*a_batch()[::-1]))),
    hints=('Two questions: was the ReLU open, and is the message positive?',
           'Backprop asks the one, the deconvnet the other, guided backprop both.',
           'Each answer is a mask, of `A` or of `g`; multiply `g` by it.'),
    why='Three famous methods that differ in one line. Only guided backprop lets nothing negative through and nothing '
        'that was shut: hence the clean pictures.')

@e.reference
def relu_rules(g:Tensor, # the gradient that comes back
               A:Tensor # what the ReLU read on the way forward, same shape
              )->dict: # what passes, by the name of the rule
    "What three rules let through a ReLU on the way back."
    was_open, positive = A > 0, g > 0
    return dict(backprop=g*was_open, deconvnet=g*positive, guided=g*was_open*positive)

e.edit('backprop=g*was_open, deconvnet=g*positive', 'backprop=g*positive, deconvnet=g*was_open',
       'You have exchanged backprop and the deconvnet. The true derivative asks whether the ReLU was open; the '
       'deconvnet puts a ReLU on the message.')
e.wrong(lambda g, A: relu_rules(A, g),
        'You have exchanged `g` and `A`: activations come back. What passes is the gradient, and `A` only says where.')
e.edit('A > 0', 'A >= 0', 'You count a ReLU that read 0 as open. It gave 0, and so it is shut: `A > 0`.')
e.edit('A > 0', 'A != 0', 'You let through wherever `A` is not 0. Open means positive.')
e.edit('A > 0', 'A < 0', 'You let through where the ReLU was shut.')
e.edit('A > 0', 'A.relu()',
       'You multiply by the activation. The slope of an open ReLU is 1: the gradient passes as it is.')
e.edit('g*was_open*positive', 'g*(was_open | positive)',
       'Your guided rule asks for one *or* the other. Both must hold.')
e.edit('g*was_open*positive', 'g*(g*A > 0)',
       'The product of two negative numbers is positive as well. Ask for each sign by itself.')
e.edit('g*was_open*positive', 'g.abs()*was_open', 'In your guided rule negative messages come out positive. They stop.')
e.edit('g*was_open*positive', '(g*was_open).clamp(max=0)',
       'Your guided rule keeps the negative messages. It is the positive ones that pass.')
e.edit('deconvnet=g*positive', 'deconvnet=A.relu()',
       'Your deconvnet rectifies the activations. What comes back is `g`, and it goes through the ReLU.')
e.edit('deconvnet=g*positive', 'deconvnet=g.abs()', 'In your deconvnet negative messages come out positive. They stop.')
e.edit('deconvnet=g*positive', 'deconvnet=g*was_open*positive', 'guided=g*was_open*positive', 'guided=g*positive',
       'You have exchanged the deconvnet and guided backprop. The deconvnet does not look at `A`.')
e.edit('deconvnet=g*positive', 'deconvnet=g*was_open*positive',
       "Your deconvnet is the guided rule. A deconvnet does not look at `A` at all.")
e.edit('backprop=g*was_open', 'backprop=g*was_open*positive',
       'Your backprop is the guided rule. The true derivative lets negative messages pass.')
e.edit('g*was_open*positive', 'g*was_open', 'Your guided rule is backprop: negative messages still pass.')
e.edit('backprop=g*was_open', 'backprop=g',
       'Under your backprop everything passes. Where the ReLU was shut, nothing may.')
e.edit('g*was_open, ', 'was_open*1., ', 'g*positive, ', 'positive*1., ', 'g*was_open*positive',
       '(was_open & positive)*1.',
       'These are the masks. What passes is `g`, times the mask.')
e.edit('backprop=g*was_open', 'backprop=A.relu()',
       'Your backprop gives activations. What passes is the gradient `g`, where the ReLU was open.')
e.edit('backprop=g*was_open', 'backprop=was_open*1.',
       'Your backprop is the mask itself. What passes is `g`, times the mask.')
e.edit('backprop=g*was_open', 'backprop=g[was_open]',
       'Picking with a mask leaves out the places where nothing passes. They get 0, and the shape stays.')
e.edit('backprop=g*was_open', 'backprop=g*A.relu()',
       'Your backprop is multiplied by the activation. The slope of an open ReLU is 1.')
e.edit('g*was_open*positive', '(g*A).relu()',
       'Your guided rule cuts the *product* of gradient and activation. Two negative numbers make it positive, and it '
       'is no gradient any more: ask for each sign by itself, and let `g` pass.')

# 4.3 Every ReLU of any network

X5, G5 = FIVE[1], FIVE[0]

WAYS = {'nn.ReLU': lambda x: nn.ReLU()(x), 'F.relu': lambda x: F.relu(x), 'torch.relu': lambda x: torch.relu(x),
        'x.relu()': lambda x: x.relu(), 'x.relu_()': lambda x: (x*1).relu_()}
OTHER_WAYS = {'F.leaky_relu and a ReLU': lambda x: F.leaky_relu(x, .3) + x.relu(),
              'F.elu and a ReLU': lambda x: F.elu(x) + x.relu()}

def ruled(rule, ways=WAYS):
    def run(answer):
        found = {}
        for name, relu in ways.items():
            x = X5.clone().requires_grad_()
            with answer(rule): out = relu(x)
            found[name] = torch.autograd.grad(out, x, G5)[0]
            found[f'{name}, forward'] = out.detach()
        return found
    return run

def by_hand(passes):
    both = [{n: torch.tensor(passes), f'{n}, forward': X5.relu()} for n in WAYS]
    return {k: v for d in both for k, v in d.items()}

def others(answer):
    with answer('guided'): top = F.relu6(3*X5) + X5.relu()
    return ruled('guided', OTHER_WAYS)(answer) | {'F.relu6 and a ReLU, forward': top}

def ruled_network(answer):
    net = uneven()
    x, mode = rand(2, 3, 16, 12).requires_grad_(), answer('guided')
    with mode: score = (net(x)*torch.tensor([1., -1., 2., 0., 1., -3., 1.])).sum(dim=1)
    return {'the pixels': torch.autograd.grad(score.sum(), x)[0] if score.ndim else score, 'ReLUs met': mode.met}

def two_modes(answer):
    first, second = answer('guided'), answer('backprop')
    with first: X5.relu()
    with second: X5.relu().relu()
    return {'ReLUs that the first mode met': first.met, 'ReLUs that the second mode met': second.met}

e = exercise('4.3', 'Every ReLU of any network',
    'Write the mode `ReLURule(rule)`: while it is in place, each call named `relu` or `relu_` goes back by the rule, '
    '`met` counts these calls, and all other calls run as they are. `RuledReLU.apply(x, torch.relu, float("inf"), '
    'rule)` of `camtutor.guided` is such a ReLU. Write `__init__` and `__torch_function__`. (The library also knows '
    'ReLU6 and `clamp`.)',
    library='camtutor.guided', hard=True,
    trials=(Trial('A ReLU called in five ways, guided', ruled('guided'), by_hand([2., 0., 0., 0., 0.])),
            Trial('The same, by the deconvnet\'s rule', ruled('deconvnet'), by_hand([2., 0., 3., 0., 7.])),
            Trial('Relatives of the ReLU', others),
            Trial('A network with two ReLUs, and a sum with a keyword', ruled_network),
            Trial('Two modes, one after the other', two_modes)),
    hints=('PyTorch asks `__torch_function__` before every call, and `func` is what is about to run.',
           '`func.__name__` is `relu` for the module, the function and the method; `relu_` in place.',
           'Two cases: a ReLU is counted and replaced by `RuledReLU.apply(…)` on the first of `args`; anything else '
           'is called with its `args` and `kwargs`. In `__init__`, let the parent class begin.'),
    why='No module hooked, copied or edited, and no `F.relu` missed: this is the engine of the chapter, and of the '
        'next.')

@e.reference
class ReLURule(TorchFunctionMode):
    "While it is in place, every ReLU that is called goes back by `rule`; `met` counts the calls."
    def __init__(self, rule:str='guided'): # 'backprop', 'deconvnet' or 'guided'
        super().__init__()
        self.rule, self.met = rule, 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func.__name__ not in ('relu', 'relu_'): return func(*args, **(kwargs or {}))
        self.met += 1
        return RuledReLU.apply(args[0], torch.relu, inf, self.rule)

e.edit("func.__name__ not in ('relu', 'relu_')", 'func is not F.relu',
       'You ask whether `func` *is* `F.relu`. `torch.relu(x)` and `x.relu()` are other objects, and they keep the '
       'ordinary gradient without a word. Their name is the same.')
e.edit("func.__name__ not in ('relu', 'relu_')", 'func is not torch.relu',
       'You ask whether `func` *is* `torch.relu`. `F.relu(x)` and `x.relu()` are other objects, and they keep the '
       'ordinary gradient without a word. Their name is the same.')
e.edit("('relu', 'relu_')", "('relu',)",
       'A ReLU in place is missed: `x.relu_()` has a name of its own, `relu_`, and keeps the ordinary gradient.')
e.edit("('relu', 'relu_')", "('relu_',)",
       'Only ReLUs in place are found. The others are called `relu`, and keep the ordinary gradient.')
e.edit("func.__name__ not in ('relu', 'relu_')", "'relu' not in func.__name__",
       'You take every name with `relu` in it, so `leaky_relu` and `relu6` become plain ReLUs, on the way forward too. '
       'Ask for `relu` and `relu_`.')
e.edit("func.__name__ not in ('relu', 'relu_')", "not func.__name__.startswith('relu')",
       '`relu6` begins with `relu` too, and you make a plain ReLU of it. Ask for `relu` and `relu_`.')
e.edit("func.__name__ not in ('relu', 'relu_')", "func.__name__ not in ('relu', 'relu_', 'leaky_relu')",
       'A leaky ReLU is no ReLU: it lets some of the negative through, and is to run as it is.')
e.edit(', **(kwargs or {})', '',
       'Keyword arguments get lost on the way: `sum(dim=1)` becomes `sum()`. Hand `kwargs` on as well; it may be None.')
e.edit('self.met += 1\n        ', '',
       'The rule works, but `met` stays 0. A rule that met no ReLU has changed nothing, and the count is how one '
       'notices.')
e.edit('self.rule, self.met = rule, 0', "self.rule, self.met = 'guided', 0",
       'It is guided whatever rule was asked for. Keep `rule` and hand it on.')
e.edit("if func.__name__ not in ('relu', 'relu_'): return func(*args, **(kwargs or {}))\n        self.met += 1",
       "self.met += 1\n        if func.__name__ not in ('relu', 'relu_'): return func(*args, **(kwargs or {}))",
       '`met` counts every call, convolutions too. Count the ReLUs.')
e.edit('inf, self.rule)', "inf, 'deconvnet')",
       'It is a deconvnet whatever rule was asked for. Keep `rule` and hand it on.')
e.edit('self.met += 1', 'type(self).met = getattr(type(self), "met", 0) + 1', 'self.rule, self.met = rule, 0',
       'self.rule = rule', 'You count in the class, and all modes share that count. Count in `self.met`.')
e.edit('self.met += 1', 'self.met = 1', '`met` never passes 1. Add one at each call: `self.met += 1`.')

@e.wrong
class NotEntered(ReLURule):
    """No ReLU was met: the gradient is the ordinary one, and `met` is 0. Either the mode was never in place, as with
    an empty `__enter__` (delete it, it is inherited), or your condition never holds."""
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return super().__torch_function__(func, types, args, kwargs)
    def __enter__(self): ...
    def __exit__(self, kind, *exc): ...

e.edit('RuledReLU.apply(args[0], torch.relu, inf, self.rule)', 'func(*args, **(kwargs or {}))',
       'You count the ReLUs and then call them as they were: the gradient is the ordinary one.')

# 4.4 The gradient at the pixels

def views(target, inplace=False):
    "An answer's pixels for pictures (4,3,16,12) with four different top classes, of seven."
    def run(answer):
        net = uneven(inplace=inplace)
        return answer(net, differing(net, 4), target)
    return run

BROKEN = error_arrives(uneven(), lambda answer, net: answer(net, rand(2, 3, 16, 12), 1))

e = exercise('4.4', 'The gradient at the pixels',
    "Write `saliency(model, x, target=None)`: the signed gradient of each image's score at its own pixels (N,3,H,W). "
    "`target` is a class for all images, or a tensor with one for each; None means each image's own top class. Leave "
    "nothing behind. (The library takes other targets as well.)",
    library='camtutor.guided',
    trials=(Trial('Four pictures, class 1', views(1)),
            Trial('Four pictures, class 0', views(0)),
            Trial('Four pictures, a class for each', views(torch.tensor([3, 0, 6, 3]))),
            Trial('Four pictures, each its own top class', views(None)),
            Trial('In-place ReLUs', views(5, True))),
    hints=('A copy of the batch that requires a gradient.',
           "Pick each image's score and add them up.",
           '`torch.autograd.grad` returns a tuple with one entry.'),
    why='The oldest explanation of a network: which pixels, changed a little, would change the score.')

@e.reference
def saliency(model:nn.Module, # a network, in eval mode
             x:Tensor, # batch (N,3,H,W)
             target=None # a class, or one for each image (N,); None: each image's own top class
            )->Tensor: # (N,3,H,W), signed
    "The gradient of each image's score at its own pixels. Nothing is left behind."
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad(): out = model(x)
    score = out.amax(1) if target is None else out[range(len(x)), target]
    return torch.autograd.grad(score.sum(), x)[0]

e.edit('return torch.autograd.grad(score.sum(), x)[0]', 'score.sum().backward(); return x.grad', 'x.detach().clone()',
       'x.clone()',
       '`backward()` has filled the `.grad` of every parameter. `torch.autograd.grad(score, x)` does not.')
e.edit('x.detach().clone()', 'x', "The caller's `x` is marked with `requires_grad` now. Work on a copy.")
e.edit('score.sum()', 'score',
       'A gradient belongs to a single number, and you ask for that of N scores. Add them up: images do not mix.')
e.edit('score.sum()', 'score.mean()', 'You go back from the mean of the scores, and every gradient is N times too '
       'small. Each image has a score of its own: add them up.')
e.edit('x)[0]', 'x)[0].abs()', 'The sign is gone. Take it off only when you draw.')
e.edit('out[range(len(x)), target]', 'out[:, target]',
       'With a class for each image, `out[:, target]` takes all of these classes from every image. Image i wants class '
       'i of them: `out[range(len(x)), target]`.')
e.edit('model(x)', 'model(x).softmax(1)', 'You go back from the probability. Take the score before softmax.')
e.edit('model(x)', 'model(x).log_softmax(1)',
       'You go back from a log-probability, in which all classes have a say. Take the score as the network gives it.')
e.edit('model(x)', 'model(x).sigmoid()', 'You go back from the probability. Take the score before the sigmoid.')
e.edit('out.amax(1)', 'out[:, out[0].argmax()]',
       "Without a target you explain the first picture's top class in all pictures. Each has its own: `out.amax(1)`.")
e.edit('out.amax(1)', 'out.amin(1)', 'Without a target you take the class with the *lowest* score.')
e.edit('out.amax(1)', 'out[:, out.sum(0).argmax()]',
       'Without a target you choose one class for the whole batch. Each picture has its own: `out.amax(1)`.')
e.edit('target is None', 'target is None or isinstance(target, int) and not target',
       '`if not target` takes class 0 for "no target". Ask `target is None`.')
e.edit('score = out.amax(1) if target is None else out[range(len(x)), target]',
       'score = out[0].max() if target is None else out[0, target if isinstance(target, int) else target[0]]',
       "Only the first picture's score is used, as in `out[0, target]`; the gradient of all others is 0. Add up the "
       "scores of all pictures: they do not mix.")
e.edit('score = out.amax(1) if target is None else out[range(len(x)), target]', 'score = out[0, target]',
       'score.sum()', 'score',
       "Two things. Only the first picture's score is used, as in `out[0, target]`: add up the scores of all "
       "pictures, they do not mix. And without a target you go back from more than one number, since None as an index "
       "chooses nothing: take each image's highest score.")
e.edit('score = out.amax(1) if target is None else out[range(len(x)), target]', 'score = out[0, target]',
       "Two things. Only the first picture's scores are used, as in `out[0, target]`: add up those of all pictures, "
       "they do not mix. And without a target you add up all classes, since None as an index chooses nothing: take "
       "each image's highest score.")
e.edit('out.amax(1)', 'out.max()',
       'Without a target you take the one highest score of the whole batch, as `out.max()` does, so only one picture '
       'gets a gradient. Each has its own top class: `out.amax(1)`.')
e.edit('score = out.amax(1) if target is None else out[range(len(x)), target]', 'score = out[range(len(x)), target]',
       "With a class it is right. Without one you add up all classes: None as an index, `out[:, None]`, chooses "
       "nothing. Take each image's highest score.")
e.edit('score = out.amax(1) if target is None else out[range(len(x)), target]', 'score = out',
       'You add up all classes.')
e.edit('score = out.amax(1) if target is None else out[range(len(x)), target]', 'score = out.amax(1)',
       '`target` is not used: you explain the top class, whichever was asked for.')
e.edit('x)[0]', 'x)[0].abs().amax(1)',
       'You reduce to one number a pixel. That is a step of its own: give all three channels.')
e.edit('x)[0]', 'x)[0]*x',
       'You multiply by the picture. That is a method too, "gradient × input"; here the gradient alone.')
e.edit('score = out.amax(1) if target is None else out[range(len(x)), target]', 'score = out.max()',
       'You go back from the one highest score of the whole batch, whatever was asked for: only one picture gets a '
       'gradient. Each has a score of its own.')
e.edit('out[range(len(x)), target]', 'out[:, torch.as_tensor(target).expand(len(x))]',
       'out.amax(1)', 'out[:, out.argmax(1)]',
       'Every picture is asked for the classes of *all* pictures, N scores each. Image i wants class i of them: '
       '`out[range(len(x)), target]`.')

# 4.5 Guided backprop

def with_a_hook(answer):
    net = uneven()
    net[0][1].register_full_backward_hook(lambda module, grad_in, grad_out: None)
    answer(net, rand(2, 3, 16, 12), 3)
    return {"somebody else's hooks that are left": len(net[0][1]._backward_hooks)}

e = exercise('4.5', 'Guided backprop',
    "Write `guided_backprop(model, x, target=None)` with hooks, for a network whose `nn.ReLU` modules do not work in "
    "place. None means each image's own top class. `saliency` may be imported from `camtutor.guided`. Leave no hook, "
    "also after an error. (The library takes any kind of ReLU, and other targets.)",
    library='camtutor.guided',
    trials=(Trial('Four pictures, class 1', views(1)),
            Trial('Four pictures, class 6', views(6)),
            Trial('Four pictures, each its own top class', views(None)), BROKEN,
            Trial("A network with a hook of somebody else's", with_a_hook, {"somebody else's hooks that are left": 1},
                  'You clear all backward hooks. Remove your own, each by its handle, and no other.')),
    hints=('`register_full_backward_hook(f)` calls `f(module, grad_in, grad_out)`; what `f` returns replaces '
           '`grad_in`.',
           '`grad_in[0]` is zero already where the ReLU was closed. What is left to do?',
           'Return a tuple with the rectified first entry; remove all hooks in `finally`.'),
    why='The library does it without hooks, since module hooks miss every `F.relu`; on this network both agree '
        'exactly.')

@e.reference
def guided_backprop(model:nn.Module, # a network in eval mode whose ReLUs are `nn.ReLU` modules, not in place
                    x:Tensor, # batch (N,3,H,W)
                    target:int=None # a class; None: each image's own top class
                   )->Tensor: # (N,3,H,W), signed
    "The gradient at the pixels, with only positive values let through on the way back out of each ReLU. No hook stays."
    def back(module, grad_in, grad_out): return (grad_in[0].clamp(min=0),)
    handles = [m.register_full_backward_hook(back) for m in model.modules() if isinstance(m, nn.ReLU)]
    try: return saliency(model, x, target)
    finally:
        for h in handles: h.remove()

e.edit('grad_in[0].clamp', 'grad_out[0].clamp',
       "You rectify what *arrives* at the ReLU and pass it where the ReLU was closed: the deconvnet's rule. `grad_in` "
       "has been through the ReLU already.")
e.edit('grad_in[0].clamp(min=0)', 'grad_in[0].abs()',
       'Negative messages come out positive. They are to stop: a ReLU, not `abs`.')
e.edit('clamp(min=0)', 'clamp(max=0)', 'You keep the negative messages. It is the positive ones that pass.')
e.edit('for m in model.modules() if isinstance(m, nn.ReLU)', 'for m in []', '(model, x, target)\n',
       '(model, x, target).relu()\n',
       'You rectify once, at the pixels. It has to happen at every ReLU.')
e.edit('for h in handles: h.remove()', 'pass',
       'The hooks stay on the network: its next training would be guided as well.')
e.edit('try: return saliency(model, x, target)\n    finally:\n        for h in handles: h.remove()',
       'found = saliency(model, x, target)\n    for h in handles: h.remove()\n    return found',
       'If the network raises an error, your hooks stay on it. Remove them in `finally`.')
e.edit('(model, x, target)\n', '(model, x)\n',
       '`target` is not handed on: you explain the top class, whichever was asked for.')
e.edit(' if isinstance(m, nn.ReLU)', ' if not list(m.children())',
       'You rectify in other places as well: behind every layer, or once more at the pixels. Only at ReLUs.')

@e.wrong
def clears_all(model, x, target=None):
    "You clear all backward hooks, also those of others. Keep the handles of your own, and `remove()` them."
    try: return guided_backprop(model, x, target)
    finally:
        for m in model.modules(): m._backward_hooks.clear()

@e.wrong
def none_adds(model, x, target=None):
    """With a class it is right. Without one you add up all classes: None as an index chooses nothing. Take each
    image's highest score."""
    handles = [m.register_full_backward_hook(lambda m, gi, go: (gi[0].clamp(min=0),)) for m in model.modules()
               if isinstance(m, nn.ReLU)]
    x = x.clone().requires_grad_()
    try: return torch.autograd.grad(model(x)[range(len(x)), target].sum(), x)[0]
    finally:
        for h in handles: h.remove()

@e.wrong
def first_class(model, x, target=None):
    "Without a target you explain the first picture's top class in all pictures. Each has its own: hand None on."
    return guided_backprop(model, x, model(x)[0].argmax().item() if target is None else target)

e.edit('for m in model.modules() if isinstance(m, nn.ReLU)', 'for m in []',
       'This is the plain gradient: no hook of yours has changed anything. It must sit on the ReLUs (`model.modules()` '
       'finds them at any depth, `children()` only at the top), be a *backward* hook, and return a tuple.')

@e.wrong
def last_only(model, x, target=None):
    "Only the last ReLU is guided. All of them."
    last = [m for m in model.modules() if isinstance(m, nn.ReLU)][-1]
    h = last.register_full_backward_hook(lambda m, gi, go: (gi[0].clamp(min=0),))
    try: return saliency(model, x, target)
    finally: h.remove()

# 4.6 Nothing learned

def all_of(ps): return torch.cat([p.detach().flatten() for p in ps])
def in_order(p): return p.flatten().sort().values

def small():
    net = seeded(nn.Sequential(nn.Conv2d(6, 24, 3), nn.BatchNorm2d(24), nn.Conv2d(24, 40, 3)))
    net[1].running_mean += torch.linspace(-1, 1, 24)
    net[1].running_var *= torch.linspace(.5, 3, 24)
    return net

def scrambled(answer):
    nets = [small() for _ in range(3)]
    before, ids = [p.detach().clone() for p in nets[0].parameters()], [id(p) for p in nets[0].parameters()]
    session = torch.random.get_rng_state()
    for net, seed in zip(nets, (0, 0, 1)): answer(net, seed)
    after, again, other = [[p.detach() for p in net.parameters()] for net in nets]
    pairs, kernels = list(zip(before, after)), (before[4], after[4])
    return {'parameters with numbers of the same sizes as before': sum(torch.equal(in_order(b.abs()),
                                                                                   in_order(a.abs()))
                                                                       for b, a in pairs),
            'all numbers together are those from before': torch.equal(in_order(all_of(before).abs()),
                                                                      in_order(all_of(after).abs())),
            'some numbers have become 0': not all(a.all() for a in after),
            'parameters in the same order as before': sum(torch.equal(b.abs(), a.abs()) for b, a in pairs),
            'parameters with all their signs as before': sum(torch.equal(in_order(b), in_order(a)) for b, a in pairs),
            'parameters with all their signs turned round': sum(torch.equal(in_order(-b), in_order(a))
                                                                for b, a in pairs),
            'parameters whose numbers all have one sign': sum(bool((a > 0).all() or (a < 0).all()) for a in after),
            'kernels that are whole as before': bool((kernels[0].abs().flatten(1).sum(1)[:, None]
                                                      - kernels[1].abs().flatten(1).sum(1)).abs().min(1).values.max()
                                                     < 1e-4),
            'the parameters are the same objects': ids == [id(p) for p in nets[0].parameters()],
            'parameters that no longer ask for a gradient': sum(not p.requires_grad for p in nets[0].parameters()),
            "batch norm's running means, and its variances less 1": [nets[0][1].running_mean.abs().sum().item(),
                                                                     (nets[0][1].running_var - 1).abs().sum().item()],
            'the same seed gives the same, another seed something else': [all(map(torch.equal, after, t))
                                                                          for t in (again, other)],
            'the random numbers of the session go on as before': torch.equal(session, torch.random.get_rng_state())}

SCRAMBLED = {'parameters with numbers of the same sizes as before': 6,
             'all numbers together are those from before': True,
             'some numbers have become 0': False,
             'parameters in the same order as before': 0, 'parameters with all their signs as before': 0,
             'parameters with all their signs turned round': 0,
             'parameters whose numbers all have one sign': 0,
             'kernels that are whole as before': False, 'the parameters are the same objects': True,
             'parameters that no longer ask for a gradient': 0,
             "batch norm's running means, and its variances less 1": [0., 0.],
             'the same seed gives the same, another seed something else': [True, False],
             'the random numbers of the session go on as before': True}

e = exercise('4.6', 'Nothing learned',
    "Write `scramble(module, seed=0)`: put the numbers of *each* parameter in a random order, and give each number a "
    "random sign, in place. Put batch norm's running statistics back to those of a new one (`reset_running_stats`). "
    "The same seed gives the same result; draw from a `torch.Generator` of your own.",
    library='camtutor.guided', changes=('module',),
    trials=(Trial('Two convolutions and a batch norm', scrambled, SCRAMBLED,
                  {'parameters with all their signs': 'Each number has a random sign of its own.',
                   'the same seed gives': 'All random numbers must come from a generator that begins with the seed.',
                   'the random numbers of the session':
                       "`torch.manual_seed` begins the whole session's numbers anew."}),),
    hints=('`torch.randperm(n, generator=…)` is a random order.',
           'Flatten, index, back into shape; signs are `torch.randint(2, …)` made to −1 and 1.',
           'Under `no_grad`, write it into the parameter with `copy_`. Then look through `module.modules()` for those '
           'that have running statistics.'),
    why='As large as before, and nothing learned is left. An explanation that looks the same afterwards was not '
        'explaining what the network had learned.')

@e.reference
@torch.no_grad()
def scramble(module:nn.Module, # changed in place
             seed=0 # of the order and the signs
            ):
    "Each parameter's numbers in a random order, with random signs; batch norm's running statistics as in a new one."
    gen = torch.Generator().manual_seed(seed)
    for p in module.parameters():
        order, sign = torch.randperm(p.numel(), generator=gen), torch.randint(2, p.shape, generator=gen)*2 - 1
        p.copy_(p.flatten()[order].view_as(p)*sign)
    for m in module.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm): m.reset_running_stats()

order_only = e.edit('*sign)', ')',
                    'The order is new, the signs are as before: a layer that holds mostly positive weights still does. '
                    'Multiply by −1 or 1 at random.')
e.edit('p.flatten()[order].view_as(p)*sign', 'p*sign',
       'The signs are new, the order is as before, so each weight has its old size at its old place. Exchange places '
       'as well.')
e.edit('*sign)', '*-1)', 'All numbers of a parameter have changed their sign together. Each draws its own.')
e.edit('torch.randint(2, p.shape, generator=gen)', 'torch.randint(2, (1,), generator=gen)',
       'You draw one sign for a whole parameter. Each number draws its own: as many signs as `p` has numbers.')
e.edit('p.flatten()[order].view_as(p)*sign', 'torch.randn(p.shape, generator=gen)*p.std()',
       'The numbers are new. Keep their sizes, so that nothing but what was learned is lost.')
e.edit('torch.randperm(p.numel(), generator=gen)', 'torch.randperm(len(p), generator=gen)',
       'p.flatten()[order].view_as(p)', 'p[order]',
       'Whole kernels change places, and each keeps the sizes of its numbers where they were. Shuffle the numbers '
       'within.')
e.edit('p.flatten()[order].view_as(p)*sign', 'p*0',
       'Everything is zero: that is another network altogether, with no output.')
e.edit('torch.randint(2, p.shape, generator=gen)*2 - 1', 'torch.randint(-1, 2, p.shape, generator=gen)',
       'Some numbers are 0 now: among your signs there are zeros, as `torch.randint(-1, 2, …)` gives, or '
       '`torch.randint(2, …)`. '
       'Draw from 0 and 1, double it, take 1 away.')
e.edit('module.parameters()', '[p for p in module.parameters() if p.ndim > 1]',
       'Only the weights are scrambled. The biases, and the scales of batch norm, are learned too.')
e.edit('if isinstance(m, nn.modules.batchnorm._BatchNorm): m.reset_running_stats()', 'pass',
        "Batch norm's running means and variances are as before. They are buffers, no parameters, and were "
       'learned from the training pictures as well: `m.reset_running_stats()` for each batch norm.')

e.edit('m.reset_running_stats()', 'm.running_mean.zero_()',
       "Batch norm's running variances are as before: they were learned as well. `m.reset_running_stats()` takes both.")

@e.wrong
def afresh(module, seed=0):
    "You initialise the layers anew, so the numbers are others. Keep the numbers, in a new order and with new signs."
    torch.manual_seed(seed)
    for m in module.modules():
        if hasattr(m, 'reset_parameters'): m.reset_parameters()

def mixed(p, gen=None): return p.detach().flatten()[torch.randperm(p.numel(), generator=gen)].view_as(p)
def signs(p, gen=None): return torch.randint(2, p.shape, generator=gen)*2 - 1

def reset(module):
    for m in module.modules():
        if hasattr(m, 'reset_running_stats'): m.reset_running_stats()

@e.wrong
def scramble_copy(module, seed=0):
    "No weight has changed: `p = …` gives the name to another tensor. Write into `p`, for example with `copy_`."
    for p in module.parameters(): p = mixed(p)*signs(p)
    reset(module)

@e.wrong
def one_pool(module, seed=0):
    """Your numbers have moved from one parameter to another: you mix those of all parameters. A scale of batch norm is
    much larger than a weight; shuffle within each parameter."""
    gen, ps = torch.Generator().manual_seed(seed), list(module.parameters())
    pool = mixed(torch.cat([p.detach().flatten() for p in ps]), gen)
    for p, numbers in zip(ps, pool.split([p.numel() for p in ps])): p.data.copy_(numbers.view_as(p)*signs(p, gen))
    reset(module)

@e.wrong
def frozen(module, seed=0):
    "The parameters no longer ask for a gradient: you switch `requires_grad` off and leave it so. Use `no_grad`."
    scramble(module.requires_grad_(False), seed)

@e.wrong
def on_a_copy(module, seed=0):
    "You scramble a copy and leave the module as it was. It is to be changed in place."
    module = deepcopy(module)
    scramble(module, seed)
    return module

e.edit('gen = torch.Generator().manual_seed(seed)', 'gen = torch.default_generator',
       '`seed` is not used. Two runs of a sanity check could then not be compared.')
e.edit('gen = torch.Generator().manual_seed(seed)', 'gen = torch.manual_seed(seed)',
       '`torch.manual_seed` sets the random numbers of the whole session: a training that draws its batches would go '
       'on with others. Make a `torch.Generator().manual_seed(seed)` and hand it to each draw.')

@e.wrong
def new_objects(module, seed=0):
    "The parameters are new objects. An optimiser, or another reference, would still hold the old ones: write in place."
    gen = torch.Generator().manual_seed(seed)
    for name, p in list(module.named_parameters()):
        *path, last = name.split('.')
        setattr(module.get_submodule('.'.join(path)), last, nn.Parameter(mixed(p, gen)*signs(p, gen)))
    reset(module)
@e.wrong
def scramble_one_sign(module, seed=0):
    "There is one sign for a whole parameter. Each number has a random sign of its own."
    signs = [p.detach().flatten()[0].sign() for p in module.parameters()]
    scramble(module, seed)
    with torch.no_grad():
        for p, sign in zip(module.parameters(), signs): p.copy_(p.abs()*sign)

@e.wrong
def scramble_always_alike(module, seed=0):
    "The seed is not used: every seed gives the same. Begin the generator with it, `manual_seed(seed)`."
    scramble(module, 0)

DRAWN = iter(range(10**6))

@e.wrong
def scramble_unseeded(module, seed=0):
    "Your generator does not begin with the seed: the same seed gives something else each time. `manual_seed(seed)`."
    scramble(module, 1000 + next(DRAWN))

# 4.7 Guided Grad-CAM

def multiplied(target, layer=None):
    def run(answer):
        net = uneven()
        return answer(net, differing(net, 3), layer, target)
    return run

e = exercise('4.7', 'Guided Grad-CAM',
    'Write `guided_grad_cam(model, x, layer=None, target=None)`: Grad-CAM at `layer`, enlarged bilinearly to the size '
    'of the picture, times guided backprop (N,3,H,W), both for the same target. None as a layer means '
    '`last_layer(model, x)` of `camtutor.engine.layers`. Import `capture`, `grad_cam` from `camtutor.gradcam`, '
    '`guided_backprop` from `camtutor.guided`, `upsample` from `camtutor.show`.',
    library='camtutor.guided',
    trials=(Trial('Class 0 at an inner layer, three pictures', multiplied(0, '0.3')),
            Trial('Class 6, no layer named', multiplied(6)),
            Trial('Each picture\'s own top class', multiplied(None, '0.1'))),
    hints=('Two explanations of the same score, and one product.',
           '`capture` gives what `grad_cam` needs; the size is that of the last two axes of `x`.',
           'The map (N,H,W) needs an axis for the colours before it can multiply (N,3,H,W).'),
    why='Where from Grad-CAM, how fine from guided backprop. The map brings most of what is specific to the class.')

@e.reference
def guided_grad_cam(model:nn.Module, # a network with ReLUs, in eval mode
                    x:Tensor, # batch (N,3,H,W)
                    layer=None, # where Grad-CAM looks; None: the last layer with places
                    target=None # a class; None: each image's own top class
                   )->Tensor: # (N,3,H,W), signed
    "Guided Grad-CAM: the map, enlarged bilinearly to the size of the picture, times guided backprop."
    if layer is None: layer = last_layer(model, x)
    _, A, g = capture(model, x, layer, target)
    return upsample(grad_cam(A, g), x.shape[-2:])[:, None]*guided_backprop(model, x, target)

e.edit('[:, None]*guided', '*guided',
       'Without an axis for the colours, picture n of the maps meets *colour* n of the pixels, and with three pictures '
       'nobody complains. The map (N,H,W) needs one: `[:, None]`.')
e.edit('upsample(grad_cam(A, g), x.shape[-2:])[:, None]', 'F.interpolate(grad_cam(A, g)[:, None], x.shape[-2:])',
       'The map is enlarged in blocks. Bilinearly: `upsample` does that.')
e.edit('upsample(grad_cam(A, g), x.shape[-2:])[:, None]',
       "F.interpolate(grad_cam(A, g)[:, None], x.shape[-2:], mode='bilinear', align_corners=True)",
       'You enlarge with `align_corners=True`, which moves every place outwards. Leave it out, or take `upsample`.')
e.edit('upsample(grad_cam(A, g), x.shape[-2:])[:, None]',
       "F.interpolate(grad_cam(A, g)[:, None], x.shape[-2:], mode='bicubic')",
       'You enlarge with cubic curves, which overshoot below 0. Bilinearly: `upsample` does that.')
e.edit('[:, None]*guided', '[:, None] + guided', 'You add. A product is zero where either is.')
e.edit('guided_backprop(model, x, target)', 'guided_backprop(model, x, target).relu()',
       'Negative pixels are cut. They are evidence too, and the drawing knows what to do with a sign.')
e.edit('guided_backprop(model, x, target)', 'guided_backprop(model, x, target).abs()',
       'The sign of the pixels is gone. Keep it: the drawing knows what to do with it.')
e.edit('grad_cam(A, g)', 'grad_cam(A, g)/grad_cam(A, g).amax((1, 2), True).clamp(min=1e-9)',
       'You scale the map first. That belongs to drawing.')
e.edit('[:, None]*guided', '[:, None]**2*guided', 'The map is squared. Once is enough.')
e.edit('grad_cam(A, g)', 'grad_cam(A, g)[:1]', '[:, None]*', '*', "Every picture is multiplied by the first one's map.")
e.edit('grad_cam(A, g)', 'A.mean(1)',
       'Your map is the mean activation: it knows no class. The gradients weigh the channels: `grad_cam(A, g)`.')
e.edit('grad_cam(A, g)', '(g*A).sum(1).relu()',
       'Your map multiplies gradient and activation place by place. Grad-CAM takes the mean of each channel\'s '
       'gradient first: `grad_cam(A, g)`.')
e.edit('grad_cam(A, g)', 'torch.einsum("nc,nchw->nhw", g.mean((2, 3)), A)',
       'The map has negative places. Grad-CAM ends in a ReLU.')
e.edit('upsample(grad_cam(A, g), x.shape[-2:])[:, None]*guided_backprop(model, x, target)',
       'grad_cam(A, g)[:, None]*F.adaptive_avg_pool2d(guided_backprop(model, x, target), A.shape[2:])',
       'You shrink the pixels to the map. Enlarge the map.')
e.edit('*guided_backprop(', '*saliency(', "The pixels are the plain gradient's. Take guided backprop.")
e.edit('*guided_backprop(model, x, target)', '*guided_backprop(model, x)',
       'Guided backprop explains the top class, whichever was asked for. Hand `target` to both halves.')

@e.wrong
def guided_cam(model, x, layer=None, target=None):
    """Your Grad-CAM went back under the guided rule as well. The map is an ordinary Grad-CAM; only the pixels are
    guided."""
    handles = [m.register_full_backward_hook(lambda m, gi, go: (gi[0].clamp(min=0),)) for m in model.modules()
               if isinstance(m, nn.ReLU)]
    try: m = grad_cam(*capture(model, x, layer or last_layer(model, x), target)[1:])
    finally:
        for h in handles: h.remove()
    return upsample(m, x.shape[2:])[:, None]*guided_backprop(model, x, target)

@e.wrong
def one_class(model, x, layer=None, target=None):
    "Without a target you explain the first picture's top class in all pictures. Each has its own: hand None on."
    return guided_grad_cam(model, x, layer, model(x)[0].argmax().item() if target is None else target)

e.edit('if layer is None: layer', 'layer', '`layer` is not used: the map always comes from the last layer.')
e.edit('layer, target', 'layer',
       'The map explains the top class, whichever was asked for. Hand `target` to both halves.')
@e.wrong
def product_of_stretched(model, x, layer=None, target=None):
    "The map is stretched to its own largest value first. That belongs to drawing: multiply by the map as it is."
    _, A, g = capture(model, x, layer or last_layer(model, x), target)
    m = upsample(grad_cam(A, g), x.shape[-2:])
    return (m/m.amax((1, 2), keepdim=True).clamp(min=1e-12))[:, None]*guided_backprop(model, x, target)

# 4.8 On the animal that was asked for

HALVES = torch.zeros(2, 2, 16, 12, dtype=torch.bool)
HALVES[0, 0, 2:9, 1:5] = HALVES[0, 1, 4:15, 7:11] = HALVES[1, 0, 8:12] = HALVES[1, 1, 1:4, 3:9] = True
CLASSES = torch.tensor([[0, 3], [5, 1]])

def painter(model, x, target=None):
    "Paints each picture's class number into a colour of the left half, and something fixed on the right, one negative."
    k = torch.as_tensor([2, 2] if target is None else target).float()
    p = torch.zeros(len(x), 3, 16, 12)
    p[:, 1, :, :6], p[:, 0, :, 6:], p[:, 2, 3, 6:] = (1 + k)[:, None, None], 1., -4.
    return p

def share_of(method):
    def run(answer):
        net = uneven()
        got = answer(method, net, rand(2, 3, 16, 12), CLASSES, HALVES)
        return torch.as_tensor(float(got) if isinstance(got, (int, float)) else got).detach()
    return run

def blind(model, x, target=None): return torch.linspace(-1, 1, 12).expand(len(x), 3, 16, 12).clone()

e = exercise('4.8', 'On the animal that was asked for',
    'Pictures with two animals: their classes are `classes` (N,2), their masks `masks` (N,2,H,W). Write '
    '`asked_share(method, model, x, classes, masks)`: ask `method(model, x, target)` (signed pixels) for each animal '
    'in turn. Return the mean of `own_share` over all 2N questions, of the `strength` of the pixels. (`camtutor.cam` '
    'has the one, `camtutor.guided` the other.)',
    trials=(Trial('A method that paints the class number into the left half', share_of(painter)),
            Trial('The gradient', share_of(lambda model, x, target=None: saliency_of(model, x, target))),
            Trial('A method that asks no network: a half, by construction', share_of(blind), torch.tensor(.5))),
    hints=('Two questions to each picture. What is "own" in the one is "other" in the other.',
           '`classes[:, i]` are N targets, `masks[:, i]` their masks; `masks[:, 1 - i]` those of the others.',
           'Each question gives N shares of `own_share(strength(…), own, other)`: `torch.cat` both, then the mean.'),
    why='A class-specific test of any method, on pictures that hold something else to draw. What cannot tell the '
        'animals apart gets a half.')

def saliency_of(model, x, target):
    t = x.detach().clone().requires_grad_()
    out = model(t)
    return torch.autograd.grad((out.amax(1) if target is None else out[range(len(x)), target]).sum(), t)[0]

@e.reference
def asked_share(method, # (model, x, target) -> signed pixels (N,3,H,W)
                model:nn.Module, x:Tensor, # a network and its batch (N,3,H,W): two animals in each picture
                classes:Tensor, # the class of each animal (N,2)
                masks:Tensor # where each is (N,2,H,W), bool
               )->Tensor: # one number, 0 to 1
    "Of the strength on either animal, the share on the one that was asked for: the mean over all questions."
    shares = []
    for i in (0, 1):
        m = strength(method(model, x, classes[:, i]))
        shares.append(own_share(m, masks[:, i], masks[:, 1 - i]))
    return torch.cat(shares).mean()

e.edit('(0, 1)', '(0,)',
       'You ask for the first animals only. A method that always paints on them would look perfect: ask for each in '
       'turn.')
e.edit('(0, 1)', '(1,)', 'You ask for the second animals only. Ask for each in turn.')
e.edit('classes[:, i]', 'classes[:, 1 - i]',
       'You ask for one animal and measure on the other. "Own" is the mask of the '
       'animal that was asked for.')
e.edit('masks[:, i], masks[:, 1 - i]', 'masks[:, 0], masks[:, 1]',
       'The masks stay the same for both questions. What is "own" for the first is "other" for the second.')
e.edit('classes[:, i]', 'classes[:, 0]',
       'You ask the same both times (the first animal, or None), and so the two shares add up to 1 whatever the '
       'method. Ask for `classes[:, i]`.')
e.edit('own_share(m, masks[:, i], masks[:, 1 - i])', 'energy(m, masks[:, i])',
       'This is the share of the whole picture, background included. Of what lies on either animal: `own_share`.')
e.edit('strength(method(model, x, classes[:, i]))', 'method(model, x, classes[:, i]).sum(1)',
       'You add up the three colours, signs and all, and `own_share` then counts what is positive. `strength` takes '
       'the largest absolute value.')
e.edit('strength(method(model, x, classes[:, i]))', 'method(model, x, classes[:, i]).abs().sum(1)',
       'You add up the absolute values of the colours, or take their mean. `strength` takes the largest.')
e.edit('strength(method(model, x, classes[:, i]))', 'method(model, x, classes[:, i]).amax(1)',
       'Negative pixels are overlooked. `strength` takes the largest *absolute* value.')
e.edit('.mean()', '', 'These are the shares of all questions. Give their mean.')
@e.wrong
def of_the_first(method, model, x, classes, masks):
    "You ask one question only, for the first animal of the first picture. Ask for each animal of each picture."
    m = strength(method(model, x[:1], classes[:1, 0]))
    return own_share(m, masks[:1, 0], masks[:1, 1]).mean()

@e.wrong
def of_totals(method, model, x, classes, masks):
    """You add up the strength of all pictures, and divide the sums: strong pictures count more. `own_share` gives each
    picture a share of its own; take their mean."""
    own = both = 0.
    for i in (0, 1):
        m = strength(method(model, x, classes[:, i]))
        own, both = own + (m*masks[:, i]).sum(), both + (m*masks.any(1)).sum()
    return own/both

e.edit('torch.cat(shares).mean()', '(torch.cat(shares) > .5).float().mean()',
       'You count how often the right animal gets more. Asked for is how much of the strength it gets: the mean share.')
e.edit('.mean()', '.median()', 'This is the median. The mean was asked for.')
e.edit('method(model, x, classes[:, i])', 'method(model, x, classes[0, i].expand(len(x)))',
       "All pictures are asked for the first picture's animal. Each has its own: `classes[:, i]`.")

# 4.9 Forgetting from the top

def trained_net():
    return seeded(nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()),
                                nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)), nn.Conv2d(4, 6, 3)))

def falling(*layers, seed=0):
    def run(answer):
        net = trained_net()
        before, steps, names, prints = deepcopy(net), [], list(layers), []
        for name, model in answer(net, names, seed):
            steps.append((str(name), [n for n, m in before.named_modules() if isinstance(m, nn.Conv2d)
                                      if not torch.equal(m.weight, model.get_submodule(n).weight)]))
            prints.append(all_of(model.parameters()))
            if model is net: steps.append(('the caller\'s own', []))
        return {'names': [n for n, _ in steps],
                'layers that differ from the trained ones, step by step': [' '.join(c) for _, c in steps],
                'the caller\'s model is as before': all(torch.equal(p, q)
                                                        for p, q in zip(net.parameters(), before.parameters())),
                'the caller\'s list of names': names,
                'all numbers, step by step': torch.stack(prints) if prints else torch.zeros(0)}
    return run

e = exercise('4.9', 'Forgetting from the top',
    "Write the generator `cascade(model, layers, seed=0)`: it copies the model, yields `(None, the copy)`, and then "
    "`(name, the same copy)` each time one more layer is scrambled, from the top down; layer number i (from 0) by "
    "`scramble(layer, seed + i)` of `camtutor.guided`. `layers` are names, bottom first, such as '1.2'.",
    library='camtutor.guided',
    trials=(Trial('Three convolutions, some of them inside others', falling('0.0', '1.2', '2')),
            Trial('Two of them, another seed', falling('1.0', '1.2', seed=7)),
            Trial('No layer', falling())),
    hints=('One copy at the beginning; after that it only gets worse.',
           '`reversed(layers)` goes from the top down, and `get_submodule` finds a layer by its name.',
           'Yield the copy, and then in a loop over `enumerate`: scramble one layer, yield its name and the same '
           'network.'),
    why='An explanation of what was learned must fall apart along the cascade. Guided backprop hardly does.')

@e.reference
def cascade(model:nn.Module, # a network; it is copied, not changed
            layers, # names, bottom first
            seed:int=0 # of the scrambling
           ): # yields (name, model): first (None, an untouched copy)
    "The network again and again, each time with one more layer scrambled, from the top."
    model = deepcopy(model)
    yield None, model
    for i, name in enumerate(reversed(layers)):
        scramble(model.get_submodule(name), seed + i)
        yield name, model

e.edit('reversed(layers)', 'layers',
       'You begin at the bottom. From the top: the class is forgotten first, the edges last.')
e.edit('yield None, model', 'yield None, model\n    first = model', 'scramble(model',
       'model = deepcopy(first)\n        scramble(model',
       'Each time only one layer is scrambled, and the one before is whole again. That is the paper\'s other test, '
       '"independent randomisation". In a cascade they stay scrambled.')
e.edit('model = deepcopy(model)\n    ', '',
       "You have scrambled the caller's own network, and nothing brings it back. Work on a `deepcopy`.")
e.edit('model = deepcopy(model)\n    yield None, model', 'yield None, model\n    model = deepcopy(model)',
       "The first step is the caller's own network, not a copy. Whoever changes it there changes the original: copy "
       'first.')
e.edit('for i, name in enumerate(reversed(layers)):', 'i = -1\n    while layers:\n        i, name = i + 1, '
                                                      'layers.pop()',
       "The steps are right, but `pop` has emptied the caller's list. Go through it without taking from it.")
e.edit('for i, name in enumerate(reversed(layers)):', 'layers.reverse()\n    for i, name in enumerate(layers):',
       "The steps are right, but `reverse()` has turned the caller's list round. `reversed(layers)` leaves it alone.")
e.edit('yield None, model', '',
       'The first step is missing: `(None, an untouched copy)`, with which all others are compared.')
e.edit('scramble(model.get_submodule(name), seed + i)\n        yield name, model',
       'yield name, model\n        scramble(model.get_submodule(name), seed + i)',
       'You yield a step before it is done: the network is one layer behind its name.')
e.edit('scramble(model.get_submodule(name), seed + i)', 'for n in layers: scramble(model.get_submodule(n), seed + i)',
       'All layers are scrambled in the first step. One more each time.')
e.edit('seed + i', 'seed',
       'Every layer is scrambled with the same seed, so that layers of one shape are shuffled alike. `seed + i`.')
e.edit('seed + i', 'i', '`seed` is not used. Two cascades with different seeds have to differ.')
e.edit('seed + i', 'seed + i + 1', 'Your first layer gets seed + 1. Counted from 0, it is `seed + i` with i = 0.')
e.edit('enumerate(reversed(layers))', 'reversed(list(enumerate(layers)))',
       'You number the layers from below, and so they are scrambled with other seeds. The top one is number 0: '
       '`enumerate(reversed(layers))`.')
e.edit('yield None, model', "yield '', model", 'The first step is named by an empty text. It has no name: `None`.')
e.edit('yield name, model', 'yield model, name', 'yield None, model', 'yield model, None',
       'Each step is a pair (name, model), and yours is the other way round.')
e.edit('model.get_submodule(name)', 'getattr(model, name)',
       "`getattr` knows no names with a dot, such as '1.2'. `get_submodule` does.")
e.edit('model.get_submodule(name)', 'model.get_submodule(name.split(".")[0])',
       'You scramble the part at the top in which the layer lies, with all its layers. `get_submodule(name)` finds the '
       'layer itself.')
e.wrong(lambda model, layers, seed=0: list(cascade(model, layers, seed)),
        'You gather all steps in a list first. They are one and the same network, and so every entry of the list '
        'shows its last state. Yield each step as it is made, or copy it.')

# 4.10 The same order?

e = exercise('4.10', 'The same order?',
    "Write `rank_correlation(a, b)`: Spearman's correlation of each of N pairs of pictures, that is the ordinary "
    "correlation of the ranks of their pixels. No two pixels are equal here. (The library also takes equal ones.)",
    library='camtutor.guided',
    trials=(gives('Worked by hand: the same order, the reverse', torch.tensor([[1., 2., 30.], [1., 2., 3.]]),
                  torch.tensor([[5., 6., 7.], [9., 4., 0.]]), want=[1., -1.]),
            gives('Random pictures', rand(2, 3, 4, 5), rand(2, 3, 4, 5, seed=1)**3),
            gives('Alike, but not the same', rand(5, 6, 7), rand(5, 6, 7) + .5*rand(5, 6, 7, seed=1))),
    hints=('The rank of a value: how many are smaller.',
           '`argsort` twice.',
           'Centre both, multiply, add up, divide by both lengths.'),
    why="The sanity check asks whether an explanation changes when the network's weights do; this is its ruler.")

@e.reference
def rank_correlation(a:Tensor, # pictures or maps, N first
                     b:Tensor # same shape
                    )->Tensor: # (N,)
    "Spearman's correlation: the ordinary one of the *ranks* of the pixels, for each of the N pairs."
    ra, rb = [t.flatten(1).argsort(1).argsort(1).float() for t in (a, b)]
    ra, rb = ra - ra.mean(1, keepdim=True), rb - rb.mean(1, keepdim=True)
    return (ra*rb).sum(1)/(ra.norm(dim=1)*rb.norm(dim=1))

e.edit('.argsort(1).argsort(1)', '', 'This is the ordinary correlation of the values. Replace each by its rank first.')
e.edit('.argsort(1).argsort(1)', '.argsort(1)',
       'One `argsort` gives the place of the smallest, the next … . The *rank* of each value is the argsort of that.')
e.edit('.argsort(1).argsort(1)', '.sort(1).values',
       'You sort both pictures, and correlate smallest with smallest. Which pixel it was is lost; take its rank.')
e.edit('t.flatten(1).argsort(1).argsort(1)', 't.argsort(-1).argsort(-1).flatten(1)',
       'You rank each row of pixels by itself. Flatten the picture first: its pixels are ranked together.')
e.wrong(lambda a, b: rank_correlation(a[None], b[None]).expand(len(a)),
        'All pairs go into one figure. One for each pair: the first axis stays.')
e.edit('ra, rb = ra - ra.mean(1, keepdim=True), rb - rb.mean(1, keepdim=True)\n    ', '',
       'The mean must be taken off before multiplying.')
e.edit('ra - ra.mean(1, keepdim=True), rb - rb.mean(1, keepdim=True)', 'ra - ra.mean(), rb - rb.mean(0, keepdim=True)',
       'You take off the mean over the batch. Each picture has its own: axis 1.')
e.edit('t.flatten(1)', 't.abs().flatten(1)', 'You rank by size without the sign.')
e.edit('return (ra*rb)', 'return (ra*rb).abs()', 'Products that are negative come out positive. They are what makes a '
       'correlation fall: leave out `abs`.')
e.edit('/(ra.norm(dim=1)*rb.norm(dim=1))', '/ra.shape[1]',
       'This is a covariance: it grows with the number of ranks. Divide by both lengths.')
e.edit('/(ra.norm(dim=1)*rb.norm(dim=1))', '/ra.shape[1]/(ra.std(1)*rb.std(1))',
       'You divide by the number n of pixels, and `std` divides by n − 1. The same in both: `std(1, correction=0)`, or '
       'the norms.')

e.edit('t.flatten(1).argsort(1).argsort(1).float()', 't.flatten().argsort().argsort().view(len(t), -1).float()',
       'You rank the pixels of the whole batch together. Each picture has ranks of its own: `flatten(1)`.')
e.edit('return (ra*rb).sum(1)/(ra.norm(dim=1)*rb.norm(dim=1))',
       'return ((ra*rb).sum(1)/(ra.norm(dim=1)*rb.norm(dim=1)))**2',
       'This is the square: the reverse order looks like the same one. Leave the sign.')

@e.wrong
def ranks_missed_six(a, b):
    "The formula is 1 − 6·Σd² / (n·(n² − 1)), and you have left out the 6."
    return 1 - (1 - rank_correlation(a, b))/6

@e.wrong
def equal_ranks(a, b):
    "You count pixels that have the same rank in both. Nearly the same rank must count too: correlate the ranks."
    ra, rb = [t.flatten(1).argsort(1).argsort(1) for t in (a, b)]
    return (ra == rb).float().mean(1)

# 4.11 SmoothGrad

def smoothed(target=None, inplace=False, **kw):
    def run(answer):
        net = uneven(seed=2, inplace=inplace)
        return answer(net, differing(net, 4), target, **kw)
    return run

e = exercise('4.11', 'SmoothGrad',
    'Smilkov and others (2017) against the snow: average the gradient over noisy copies of the picture. Write '
    '`smooth_grad(model, x, target=None, n=8, noise=.1, seed=0)`: the mean of `saliency` at n copies, each plus '
    '`noise*torch.randn(x.shape, generator=gen)`; `gen` is your own generator with the seed. None means the top class '
    'of the clean picture.',
    trials=(Trial('Class 1, eight copies', smoothed(1)),
            Trial('Each picture\'s top class, strong noise, three copies', smoothed(n=3, noise=2.)),
            Trial('Another seed, in-place ReLUs', smoothed(6, True, n=2, noise=.5, seed=5)),
            Trial('No noise: the gradient itself', smoothed(4, n=1, noise=0.))),
    hints=('One generator for all copies, made before the loop.',
           'Which class is explained must not depend on the noise: find it before.',
           'Add up `saliency(model, x + …, target)` n times, and divide by n.'),
    why='The slope jumps from one flat face of the network to the next; the mean over a neighbourhood does not. Less '
        'snow, for n times the work.')

@e.reference
def smooth_grad(model:nn.Module, # a network, in eval mode
                x:Tensor, # batch (N,3,H,W)
                target=None, # a class; None: each image's own top class, without noise
                n:int=8, noise:float=.1, # how many copies, and the noise's standard deviation
                seed:int=0 # of the noise
               )->Tensor: # (N,3,H,W), signed
    "The mean gradient over noisy copies of the picture. Smilkov et al., 2017."
    gen = torch.Generator().manual_seed(seed)
    if target is None: target = model(x).argmax(1)
    noisy = [x + noise*torch.randn(x.shape, generator=gen) for _ in range(n)]
    return sum(saliency(model, t, target) for t in noisy)/n

e.edit('if target is None: target = model(x).argmax(1)\n    ', '',
       'Without a target you explain the top class of each *noisy* copy, and so the mean mixes classes. Find the class '
       'on the clean picture, before the loop.')
e.edit('model(x).argmax(1)', 'model(x)[0].argmax()',
       "Without a target you explain the first picture's top class in all pictures. Each has its own: `argmax(1)`.")
e.edit('sum(saliency(model, t, target) for t in noisy)/n', 'sum(saliency(model, t, target) for t in noisy)',
       'This is the sum. Divide by n.')
e.edit('sum(saliency(model, t, target) for t in noisy)/n', 'sum(saliency(model, t, target).abs() for t in noisy)/n',
       'You take the sign off before averaging, and so snow adds up instead of cancelling.')
e.edit('sum(saliency(model, t, target) for t in noisy)/n', 'sum(saliency(model, t, target)**2 for t in noisy)/n',
       'You average the squares. That is a method too, SmoothGrad squared; here the gradient itself.')
e.edit('sum(saliency(model, t, target) for t in noisy)/n', 'saliency(model, sum(noisy)/n, target)',
       'You average the pictures, and take one gradient at the end. That only makes the noise smaller; average the '
       'gradients.')
e.edit('sum(saliency(model, t, target) for t in noisy)/n',
       'torch.stack([saliency(model, t, target) for t in noisy]).median(0).values',
       'You take the median of the gradients. The mean was asked for.')
e.edit('noise*torch', 'noise*(x.max() - x.min())*torch',
       'You multiply the noise by the range of the pictures, as the paper does. Here `noise` is its standard deviation '
       'as it stands.')
e.edit('torch.randn(x.shape, generator=gen)', 'torch.rand(x.shape, generator=gen)',
       'Your noise runs from 0 to 1, and makes every picture brighter. `torch.randn` has a mean of 0.')
e.edit('torch.randn(x.shape, generator=gen) for', 'torch.randn(x.shape, generator=gen.manual_seed(seed)) for',
       'Every copy gets the same noise. Make the generator once, before the loop.')
e.edit('torch.randn(x.shape, generator=gen)', 'torch.randn(x[:1].shape, generator=gen)',
       'All pictures of the batch share their noise: draw in the shape of `x`.')
e.edit('x + noise*torch.randn(x.shape, generator=gen)', 'noise*torch.randn(x.shape, generator=gen)',
       'The copies hold noise only. Add it to the picture.')
e.edit('noise*torch', 'torch', '`noise` is not used: multiply the random numbers by it.')
e.edit('noise*torch', 'noise**.5*torch', 'You take `noise` for a variance. It is the standard deviation.')
e.edit('range(n)', 'range(n - 1)', 'There is one copy too few.')
e.edit('/n', '/(n + 1)', '[x + noise', '[x] + [x + noise',
       'You count the clean picture as one copy more. Asked for is the mean of n noisy ones.')
e.edit('target) for t in noisy', 'target)*x for t in noisy',
       'You multiply by the picture. That is another method; here the mean of the gradients alone.')
e.edit('gen = torch.Generator().manual_seed(seed)', 'gen = torch.Generator().manual_seed(0)',
       '`seed` is not used: the noise is the same for every seed.')
e.edit('x + noise*torch.randn(x.shape, generator=gen) for', '(x := x + noise*torch.randn(x.shape, generator=gen)) for',
       'You add noise to noise: each copy begins at the one before. Begin at the clean picture each time.')

# 4.12 Crisp and wrong?

e = exercise('4.12', 'Crisp and wrong?',
    'Guided backprop draws whiskers and eyes sharply. Why is that no proof that the network uses them? Two sentences.',
    reference='Its rule lets through only messages that stay positive all the way, and these follow strong edges of '
              'the picture, whatever the upper layers have learned. Nearly the same picture comes out for another '
              'class, and from a network whose upper layers are scrambled.',
    kind='written',
    why='A picture that pleases is judged more kindly than one that is right: hence masks, baselines and sanity '
        'checks.')
