"Chapter 04: guided backprop."
from contextlib import nullcontext
from copy import deepcopy
from itertools import islice
from math import ceil, inf
import torch, torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.overrides import TorchFunctionMode

from camtutor.engine.layers import last_layer
from camtutor.engine.targets import At
from camtutor.exercises.common import gives, hooks_left, keeps, one_by_one, pictures, rand, seeded, tiny
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise
from camtutor.gradcam import capture, grad_cam
from camtutor.guided import RULES
from camtutor.show import upsample

# 4.1 Grey is zero

SIGNED = torch.tensor([4., -2., 0., 1., 2., -4., 0., 0., 0., 0., 0., 2.]).view(1, 3, 2, 2)
SPARSE = torch.zeros(2, 3, 10, 10).index_put((torch.tensor([0, 0]), torch.tensor([1, 2]), torch.tensor([3, 3]),
                                              torch.tensor([4, 5])), torch.tensor([2., -1.]))

g, A = torch.tensor([2., -1., 3., -4.]), torch.tensor([1., 5., -2., -3.])

e = exercise('4.1', 'Grey is zero',
    "Write `signed_image(g, clip=99)`: signed pixels (N,3,H,W) as pictures in [0,1], zero at 0.5. Of each picture's n "
    "= 3·H·W absolute values, the one that is number ⌈n · clip / 100⌉ from below is the end of the scale: drawn as 0 "
    "or 1, by its sign, and so is what lies beyond it. If that one is 0, the largest takes its place; a picture of "
    "zeros is grey all over.",
    library='camtutor.guided',
    trials=(Trial('Worked by hand: 4, −2, 0, 1, … up to the largest', lambda f: f(SIGNED.clone(), 100), SIGNED/8 + .5),
            Trial('The same, clipped at 80: number 10 of 12 is a 2', lambda f: f(SIGNED.clone(), 80),
                  (SIGNED/4 + .5).clamp(0, 1)),
            gives('Random pixels', rand(3, 3, 9, 10)*torch.tensor([1., 5., .1]).view(3, 1, 1, 1)),
            gives('A picture with two pixels that are not zero, and one with none', SPARSE),
            one_by_one(rand(3, 3, 9, 10)),
            keeps(rand(3, 3, 9, 10))),
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

# 4.2 One number a pixel

e = exercise('4.2', 'One number a pixel',
    "Write `strength(g)`: (N,3,H,W) to (N,H,W), the largest absolute value of each pixel's channels.",
    library='camtutor.guided',
    trials=(gives('Worked by hand', SIGNED, want=SIGNED.abs().amax(1)),
            gives('Random pixels', rand(2, 3, 4, 5))),
    hints=('Sign off first.',
           'Which axis holds the channels?',
           '`abs`, then `amax`.'),
    why='This is how Simonyan and others drew the first saliency maps, in 2013.')

@e.reference
def strength(g:Tensor)->Tensor: # (N,3,H,W) -> (N,H,W)
    "One number a pixel: the largest absolute value of its channels."
    return g.abs().amax(1)

e.edit('.abs()', '', 'A strong negative value is overlooked.')
e.edit('amax', 'mean', 'This is the mean. The largest.')
e.edit('amax(1)', 'amax(1, keepdim=True)', 'There is an axis too many: leave `keepdim` out.')
e.edit('g.abs().amax(1)', 'g.sum(1).abs()', 'Values of opposite sign cancel before you look at their size.')
e.edit('amax(1)', 'amax(0)', 'You reduce over the pictures. Channels are axis 1.')

# 4.3 Back through a ReLU: backprop

G_ = rand(3, 4, 5, 6)
A_ = rand(3, 4, 5, 6, seed=1)
FOUR = 'Four numbers by hand: gradients 2, −1, 3, −4 at a ReLU that read 1, 5, −2, −3'

e = exercise('4.3', 'Back through a ReLU: backprop',
    'Write `backprop_rule(g, A)`: what ordinary backpropagation lets through a ReLU that read `A`, when `g` arrives.',
    trials=(gives(FOUR, g, A, want=[2., -1., 0., 0.]),
            gives('Random numbers', G_, A_),
            keeps(G_, A_)),
    hints=('What is the slope of a ReLU, left and right of 0?',
           'The sign of the gradient plays no part.',
           'Multiply by a mask made from `A`.'),
    why='The first of three rules that differ in one line, and give three famous pictures.')

@e.reference
def backprop_rule(g:Tensor, # the gradient that arrives from above
                  A:Tensor # what the ReLU read on the way forward, same shape
                 )->Tensor:
    "What ordinary backpropagation sends on through a ReLU."
    return g*(A > 0)

e.edit('g*(A > 0)', 'g.clamp(min=0)',
       'This lets positive *gradients* through, as a deconvnet does. Backprop asks whether the ReLU was open: the '
       'sign of `A`.')
e.edit('g*', 'g.clamp(min=0)*', 'This is the guided rule. Backprop does not mind a negative gradient.')
e.edit('A >', 'A <', 'You let through where the ReLU was closed.')
e.edit('(A > 0)', 'A.relu()',
       'The gradient is passed on as it is, not multiplied by the activation: the slope of an open ReLU is 1.')
e.edit('*(A > 0)', '', 'Everything passes. Where the ReLU was closed, nothing may.')

# 4.4 Back through a ReLU: deconvnet

e = exercise('4.4', 'Back through a ReLU: deconvnet',
    'Write `deconvnet_rule(g, A)`: a deconvnet applies a ReLU to what comes back.',
    trials=(gives(FOUR, g, A, want=[2., 0., 3., 0.]),
            gives('Random numbers', G_, A_),
            keeps(G_, A_)),
    hints=('One of the two arguments is not needed.',
           'What does a ReLU do to a number?',
           'Apply it to `g`.'),
    why='Zeiler and Fergus rectified on the way back since the forward pass does: a deconvnet is backprop with this '
        'rule.')

@e.reference
def deconvnet_rule(g:Tensor, # the gradient that arrives from above
                   A:Tensor # what the ReLU read on the way forward, same shape
                  )->Tensor:
    "What a deconvnet sends on through a ReLU."
    return g.clamp(min=0)

e.edit('g.clamp(min=0)', 'g*(A > 0)', "This is backprop's rule: it looks at `A`. A deconvnet does not.")
e.edit('g.clamp(min=0)', 'g.clamp(min=0)*(A > 0)', 'This is the guided rule. A deconvnet does not look at `A` at all.')
e.edit('g.clamp', 'g.clamp_',
       "It is right, but it has changed the caller's gradient: a name with `_` at its end works in place.")
e.edit('g.clamp', 'A.clamp', 'You rectify the activations. What comes back is `g`.')

# 4.5 Back through a ReLU: guided

e = exercise('4.5', 'Back through a ReLU: guided',
    'Write `guided_rule(g, A)`: both conditions at once.',
    trials=(gives(FOUR, g, A, want=[2., 0., 0., 0.]),
            gives('Random numbers', G_, A_),
            keeps(G_, A_)),
    hints=("Let backprop's rule go first.",
           "Then the deconvnet's.",
           'Rectified `g`, times a mask made from `A`.'),
    why='Only paths that are positive all the way survive: crisp pictures, and, as the chapter shows, hardly a trace '
        'of the class.')

@e.reference
def guided_rule(g:Tensor, # the gradient that arrives from above
                A:Tensor # what the ReLU read on the way forward, same shape
               )->Tensor:
    "What guided backprop sends on through a ReLU."
    return g.clamp(min=0)*(A > 0)

e.edit('g.clamp(min=0)', 'g', 'This is backprop: negative gradients still pass.')
e.edit('*(A > 0)', '', 'This is the deconvnet: it also passes where the ReLU was closed.')
e.edit('g.clamp(min=0)*(A > 0)', 'g*((g > 0) | (A > 0))', 'You ask for one *or* the other. Both must hold.')
e.edit('g.clamp(min=0)*(A > 0)', 'g*(g*A > 0)',
       'The product of two negative numbers is positive as well. Ask for each sign by itself.')
e.edit('g.clamp(min=0)', 'g.abs()', 'Negative gradients come out positive. They should be stopped.')
e.edit('g.clamp', 'g.clamp_', "It is right, but it has changed the caller's gradient. Make a new tensor.")

# 4.6 A ReLU with another way back

def there_and_back(rule, relu=torch.relu, top=inf, x=A):
    def run(answer):
        pixels = x.clone().requires_grad_()
        mine = pixels*1 # no leaf, so that it may be changed in place
        out = answer.apply(mine, relu, rule, top)
        found = {'forward': out.detach().clone(), 'backward': torch.autograd.grad(out, pixels, g, retain_graph=True)[0]}
        return found | ({'backward from the tensor that was changed in place': torch.autograd.grad(mine, pixels,
                                                                                                   g)[0]}
                        if relu is torch.relu_ else {})
    return run

def through_network(answer):
    a, b = seeded(nn.Conv2d(3, 4, 3)), seeded(nn.Conv2d(4, 2, 3), 1)
    found = {}
    for rule in RULES:
        x = pictures(2).requires_grad_()
        out = answer.apply(b(answer.apply(a(x), torch.relu_, rule, inf)), F.relu6, rule, 6)
        found[rule] = torch.autograd.grad(out[:, 1].sum(), x)[0]
    return found

def pixels(target, inplace=False, **kw):
    def run(answer):
        net, x = tiny(inplace=inplace), pictures(3)
        out = answer(net, x, target)
        return {'the pixels': out.detach(), 'parameters with a .grad left': sum(p.grad is not None
                                                                                for p in net.parameters()),
                'your x is marked with requires_grad': x.requires_grad, 'hooks left': hooks_left(net)}
    return run

e = exercise('4.6', 'A ReLU with another way back',
    'The ladder has a ReLU whose way back is guided. Write the autograd function `RuledReLU` for any ReLU call and '
    'any rule. `forward(ctx, x, relu, rule, top)` gives what `relu(x)` gives; that may be `torch.relu`, one that ends '
    'at a `top` such as `F.relu6`, or one that works in place, which autograd must be told (`ctx.mark_dirty`). '
    '`backward(ctx, g)` sends on what `RULES[rule](g, A)` lets through, with `RULES` from `camtutor.guided`; `A` must '
    'be positive just where the ReLU was open, that is above 0 and below `top` (`inf`, if there is none).',
    library='camtutor.guided',
    trials=(Trial(FOUR + ', guided', there_and_back('guided'),
                  {'forward': A.clamp(min=0), 'backward': torch.tensor([2., 0., 0., 0.])}),
            Trial('The same as a deconvnet', there_and_back('deconvnet'),
                  {'forward': A.clamp(min=0), 'backward': torch.tensor([2., 0., 3., 0.])}),
            Trial('The same by backprop', there_and_back('backprop'),
                  {'forward': A.clamp(min=0), 'backward': torch.tensor([2., -1., 0., 0.])}),
            Trial('A ReLU6 that read 1, 8, −2, 3, by backprop',
                  there_and_back('backprop', F.relu6, 6, torch.tensor([1., 8., -2., 3.])),
                  {'forward': torch.tensor([1., 6., 0., 3.]), 'backward': torch.tensor([2., 0., 0., -4.])}),
            Trial('A ReLU in place, guided', there_and_back('guided', torch.relu_),
                  {'forward': A.clamp(min=0), 'backward': torch.tensor([2., 0., 0., 0.]),
                   'backward from the tensor that was changed in place': torch.tensor([2., 0., 0., 0.])},
                  'If `relu` gives back `x` itself, it has worked in place: `ctx.mark_dirty(x)`.'),
            Trial('Two convolutions with it, by all three rules', through_network)),
    hints=('Both methods are static: `@staticmethod` above each. Tensors go across in `ctx.save_for_backward`, '
           'anything else as an attribute of `ctx`.',
           'Save the output: it is positive exactly where the input was, and it outlives a ReLU in place.',
           "`backward` gets that tensor from `ctx.saved_tensors`, sets it to 0 where it has reached the top, and "
           "returns the rule's answer and three times None."),
    why='With this the library changes every ReLU of any network without touching one module.')

@e.reference
class RuledReLU(Function):
    "A ReLU call that goes back by one of `RULES`; used as `RuledReLU.apply(x, relu, rule, top)`."
    @staticmethod
    def forward(ctx, x, relu, rule, top):
        out = relu(x)
        if out is x: ctx.mark_dirty(x)
        ctx.save_for_backward(out)
        ctx.rule, ctx.top = rule, top
        return out
    @staticmethod
    def backward(ctx, g):
        A, = ctx.saved_tensors
        return RULES[ctx.rule](g, A*(A < ctx.top)), None, None, None

e.edit('RULES[ctx.rule]', "RULES['guided']",
       'It is guided whatever rule was asked for. Keep `rule` in `ctx`, and look it up in `RULES` on the way back.')
e.edit('relu(x)\n', 'x.clamp(min=0)\n',
       'On the way forward you run a ReLU of your own. Run the one that was called: a `F.relu6` ends at 6, and one in '
       'place changes `x`.')
e.edit('save_for_backward(out)', 'save_for_backward(relu(x.clone()))', 'out = relu(x)', 'out = x.clone()',
       'On the way forward nothing is cut: hand on what `relu(x)` gives.')
e.edit('*(A < ctx.top)', '',
       '`top` is not used. A ReLU6 is shut again above 6: there its output does not move, and backprop sends nothing.')
e.edit('if out is x: ctx.mark_dirty(x)\n        ', '',
       'One that works in place is not announced. Whoever goes on with `x`, as many networks do, then goes back past '
       'your rule: `ctx.mark_dirty(x)`.')
e.edit(', None, None, None', '',
       '`backward` must give one thing for each argument of `forward`: the gradient for `x`, and None for the three '
       'that have none.')
e.edit('A, =', 'A =',
       '`ctx.saved_tensors` is a tuple, also if it holds only one. Take it apart: `A, = ctx.saved_tensors`.')
e.edit('(g, A*(A < ctx.top))', '(A*(A < ctx.top), g)',
       'You hand the rule its arguments in the wrong order, so activations come back. It is `(g, A)`.')
e.edit('(g, A*(A < ctx.top))', '(g, A*(A < ctx.top))*(A > 0)',
       "You apply backprop's mask once more after the rule. A deconvnet does not ask whether the ReLU was open.")

# 4.7 Every ReLU of any network

WAYS = {'nn.ReLU': lambda x: nn.ReLU()(x), 'F.relu': lambda x: F.relu(x), 'torch.relu': lambda x: torch.relu(x),
        'x.relu()': lambda x: x.relu()}

def ruled(rule):
    def run(answer):
        found = {}
        for name, relu in WAYS.items():
            x = A.clone().requires_grad_()
            with answer(rule): out = relu(x)
            found[name] = torch.autograd.grad(out, x, g)[0]
        return found
    return run

def ruled_network(answer):
    net, x = nn.Sequential(*tiny()[0], *tiny()[1]), pictures(2).requires_grad_()
    mode = answer('guided')
    with mode: score = (net(x)*torch.tensor([1., -1., 2.])).sum(dim=1)
    return {'the pixels': torch.autograd.grad(score.sum(), x)[0] if score.ndim else score, 'ReLUs met': mode.met}

e = exercise('4.7', 'Every ReLU of any network',
    'Write the mode `ReLURule(rule)`: while it is in place, each ReLU that is called, by whatever name, goes back by '
    'the rule, and `met` counts these calls; all other calls run as they are. `RuledReLU.apply(x, torch.relu, rule, '
    'float("inf"))`, from `camtutor.guided`, is such a ReLU. Write `__init__` and `__torch_function__`. If '
    '`__enter__` and `__exit__` are in your cell, delete them: they are inherited. (The library also knows ReLU6 and '
    '`clamp`, and complains if it met no ReLU; you need not.)',
    library='camtutor.guided',
    trials=(Trial('A ReLU called in four ways, guided', ruled('guided'),
                  {k: torch.tensor([2., 0., 0., 0.]) for k in WAYS}),
            Trial('The same, by the deconvnet\'s rule', ruled('deconvnet'),
                  {k: torch.tensor([2., 0., 3., 0.]) for k in WAYS}),
            Trial('A network with two ReLUs, and a sum with a keyword', ruled_network)),
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
        return RuledReLU.apply(args[0], torch.relu, self.rule, inf)

e.edit("func.__name__ not in ('relu', 'relu_')", 'func is not F.relu',
       'You ask whether `func` *is* `F.relu`. `torch.relu(x)` and `x.relu()` are other objects, and they keep the '
       'ordinary gradient without a word. Their name is the same.')
e.edit(', **(kwargs or {})', '',
       'Keyword arguments get lost on the way: `sum(dim=1)` becomes `sum()`. Hand `kwargs` on as well; it may be None.')
e.edit('self.met += 1\n        ', '',
       'The rule works, but `met` stays 0. A rule that met no ReLU has changed nothing, and the count is how one '
       'notices.')
e.edit('self.rule, inf', "'guided', inf", 'It is guided whatever rule was asked for. Keep `rule` and hand it on.')
e.edit("if func.__name__ not in ('relu', 'relu_'): return func(*args, **(kwargs or {}))\n        self.met += 1",
       "self.met += 1\n        if func.__name__ not in ('relu', 'relu_'): return func(*args, **(kwargs or {}))",
       '`met` counts every call, convolutions too. Count the ReLUs.')

@e.wrong
class NotEntered(ReLURule):
    """No ReLU was met: the gradient is the ordinary one, and `met` is 0. Either the mode was never in place, as with
    an empty `__enter__` (delete it, it is inherited), or your condition never holds."""
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return super().__torch_function__(func, types, args, kwargs)
    def __enter__(self): ...
    def __exit__(self, kind, *exc): ...

e.edit('RuledReLU.apply(args[0], torch.relu, self.rule, inf)', 'func(*args, **(kwargs or {}))',
       'You count the ReLUs and then call them as they were: the gradient is the ordinary one.')

# 4.8 One place to start from

UNITS = torch.tensor([[[[1., 2.], [3., 4.]], [[0., 9.], [5., 0.]]], [[[7., 6.], [6., 6.]], [[2., 2.], [8., 1.]]],
                      [[[3., 5.], [0., 5.]], [[1., 0.], [0., 0.]]]])

ONE_EACH = 'One 1 in each image, at its own strongest place; of two that are equally strong, at the first.'

e = exercise('4.8', 'One place to start from',
    "Write `unit_mask(A, channel=None, whole=False)` for activations (N,C,h,w): zeros, and in each image a 1 at the "
    "strongest place of `channel`, or, if that is None, of the whole image. With `whole=True` the ones fill the map "
    "of that channel; if it is None, of the channel in which the image's strongest place lies. Of two places that are "
    "equally strong, the first counts. (The library also takes a single neuron, `(channel, row, column)`; you need "
    "not.)",
    library='camtutor.guided',
    trials=(Trial('Three images worked by hand, the strongest place of each', gives('', UNITS).run,
                  torch.tensor([[[[0., 0.], [0., 0.]], [[0., 1.], [0., 0.]]],
                                [[[0., 0.], [0., 0.]], [[0., 0.], [1., 0.]]],
                                [[[0., 1.], [0., 0.]], [[0., 0.], [0., 0.]]]]), ONE_EACH),
            Trial('The strongest place of channel 0', gives('', UNITS, 0).run, says=ONE_EACH),
            gives('The whole map of channel 1', UNITS, 1, True),
            Trial('The whole map of each image\'s own strongest channel', gives('', UNITS, None, True).run,
                  says='In each image, that is the channel in which its strongest place lies.'),
            gives('Random activations', A_),
            keeps(A_)),
    hints=('Flatten the places first: (N,C,h·w). Then a place is one number.',
           'The strongest channel of an image is an argmax of maxima; the place within it is a second argmax.',
           'Index images and channels in pairs, `t[torch.arange(N), c]`, and let `F.one_hot` turn a place into zeros '
           'and a one.'),
    why='Multiply it by the activations, add up, and you have a score: with that, a channel or a single neuron can be '
        'explained like a class.')

@e.reference
def unit_mask(A:Tensor, # activations (N,C,h,w)
              channel:int=None, # which channel; None: each image's strongest
              whole:bool=False # the channel's whole map instead of its strongest place
             )->Tensor: # 1 at the wanted places, 0 elsewhere, same shape
    "Mark what is to be explained: one place of each image, or one channel of it."
    flat, n = A.flatten(2), torch.arange(len(A))
    c = flat.amax(2).argmax(1) if channel is None else torch.full((len(A),), channel)
    mask = torch.zeros_like(flat)
    mask[n, c] = 1. if whole else F.one_hot(flat[n, c].argmax(1), flat.shape[2]).to(A.dtype)
    return mask.view_as(A)

@e.wrong
def ties(A, channel=None, whole=False):
    """Where two places are equally strong you mark both: `A == A.amax(…)` does that, and a map of zeros would be
    marked all over. `argmax` names one."""
    flat = A.flatten(2)
    if channel is None: best = (flat.amax(2) == flat.amax((1, 2))[:, None]).float()
    else: best = F.one_hot(torch.tensor(channel), A.shape[1]).float().expand(len(A), -1)
    if whole: return best[:, :, None, None].expand_as(A).clone()
    return best[:, :, None, None]*(A == A.amax((2, 3), keepdim=True))

e.edit('channel is None', 'not channel',
       'With channel 0 you take the strongest channel: 0 counts as false in `channel or …` and in `if channel`. Ask '
       '`channel is None`.')
e.edit('flat.amax(2).argmax(1)', 'flat.amax((0, 2)).argmax()',
       'You look for the strongest channel of the whole batch. Each image has its own.')
e.edit('flat.amax(2).argmax(1)', 'flat.mean(2).argmax(1)',
       'You choose the channel with the largest mean. The strongest single place decides.')
e.edit('mask.view_as(A)', 'A*mask.view_as(A)',
       'The marks hold the activations themselves. A mask is 1 or 0; whoever wants the value multiplies.')
e.edit('1. if whole else ', '', '`whole` is not used: with it, every place of the channel is 1.')

@e.wrong
def every_channel(A, channel=None, whole=False):
    "Without a channel you mark one place in every channel. One channel of each image: the strongest."
    flat = A.flatten(2)
    mask = torch.ones_like(A) if whole else F.one_hot(flat.argmax(2), flat.shape[2]).to(A.dtype).view_as(A)
    return mask if channel is None else mask*F.one_hot(torch.tensor(channel), A.shape[1])[:, None, None]

@e.wrong
def unit_whole_batch(A, channel=None, whole=False):
    """With `whole=True` and no channel you mark every channel. (`m[:, None]` is all of `m`: None as an index only
    adds an axis.) Choose one in each image first: the one in which its strongest place lies."""
    if not whole: return unit_mask(A, channel)
    mask = torch.zeros_like(A)
    mask[:, channel] = 1
    return mask

@e.wrong
def unit_once(A, channel=None, whole=False, image_only=False):
    """There is one mark in the whole batch: you ask for the strongest place of all images together, as `A.amax()`
    does. Each image has its own, and so has its map of one channel: look over each image's axes only."""
    a = A if channel is None else A[:, [channel]]
    n, c, i, j = [int(k) for k in (a == a.amax()).nonzero()[0]]
    if channel is not None: c = channel
    mask = torch.zeros_like(A)
    if not whole: mask[n, c, i, j] = 1
    elif image_only and channel is None: mask[n, c] = 1
    else: mask[:, c] = 1
    return mask

e.wrong(lambda A, channel=None, whole=False: unit_whole_batch(A, channel, True) if whole else unit_once(A, channel),
        'Two things. You look for the strongest place of all images together, as `A.amax()` does: each image has its '
        'own. And with `whole=True` and no channel you mark every channel, as `m[:, None] = 1` does: choose one in '
        'each image first, the one in which its strongest place lies.')
e.wrong(lambda A, channel=None, whole=False: unit_once(A, channel, whole, image_only=True),
        'You look for the strongest place of all images together, as `A.amax()` does, and mark only the image that '
        'has it; the others stay empty. Each image has its own.')

@e.wrong
def without_channel(A, channel=None, whole=False):
    """Without a channel, you ask for the strongest place of all images together, as `A.amax()` does. Each image has
    its own; with a channel you see to that already."""
    return unit_once(A, None, whole) if channel is None else unit_mask(A, channel, whole)

e.edit('return mask.view_as(A)', 'mask[1:] = 0\n    return mask.view_as(A)',
       'Only the first image is marked. `mask[c]` and `mask[0, c]` are places in the batch: go through all of it.')

# 4.9 The gradient at the pixels

e = exercise('4.9', 'The gradient at the pixels',
    "Write `saliency(model, x, target=None)`: the signed gradient of each image's score at its own pixels (N,3,H,W). "
    "None means each image's top class. Leave nothing behind. (The library also takes a `unit` as its target; "
    "you need not.)",
    library='camtutor.guided',
    trials=(Trial('Three pictures, class 1', pixels(1)),
            Trial('Three pictures, each its top class', pixels(None)),
            Trial('In-place ReLUs', pixels(0, True))),
    hints=('A copy of the batch that requires a gradient.',
           "Pick each image's score and add them up.",
           '`torch.autograd.grad` returns a tuple with one entry.'),
    why='The oldest explanation of a network: which pixels, changed a little, would change the score.')

@e.reference
def saliency(model:nn.Module, # a network, in eval mode
             x:Tensor, # batch (N,3,H,W)
             target:int=None # a class; None: each image's own top class
            )->Tensor: # (N,3,H,W), signed
    "The gradient of each image's score at its own pixels. Nothing is left behind."
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad(): out = model(x)
    score = out.amax(1) if target is None else out[:, target]
    return torch.autograd.grad(score.sum(), x)[0]

e.edit('return torch.autograd.grad(score.sum(), x)[0]', 'score.sum().backward(); return x.grad', 'x.detach().clone()',
       'x.clone()',
       '`backward()` has filled the `.grad` of every parameter. `torch.autograd.grad(score, x)` does not.')
e.edit('x.detach().clone()', 'x', "The caller's `x` is marked with `requires_grad` now. Work on a copy.")
e.edit('score.sum()', 'score',
       'A gradient belongs to a single number, and you ask for that of N scores. Add them up: images do not mix.')
e.edit('x)[0]', 'x)[0].abs()', 'The sign is gone. Take it off only when you draw.')
e.edit('model(x)', 'model(x).softmax(1)', 'You go back from the probability. Take the score before softmax.')
e.edit('score = out.amax(1) if target is None else out[:, target]',
       'score = out[0].max() if target is None else out[0, target]',
       "Only the first picture's score is used, as in `out[0, target]`; the gradient of all others is 0. Add up the "
       "scores of all pictures: they do not mix.")
e.edit('score = out.amax(1) if target is None else out[:, target]', 'score = out[0, target]', 'score.sum()', 'score',
       "Two things. Only the first picture's score is used, as in `out[0, target]`: add up the scores of all "
       "pictures, they do not mix. And without a target you go back from more than one number, since None as an index "
       "chooses nothing: take each image's highest score.")
e.edit('score = out.amax(1) if target is None else out[:, target]', 'score = out[0, target]',
       "Two things. Only the first picture's scores are used, as in `out[0, target]`: add up those of all pictures, "
       "they do not mix. And without a target you add up all classes, since None as an index chooses nothing: take "
       "each image's highest score.")
e.edit('out.amax(1)', 'out.max()',
       'Without a target you take the one highest score of the whole batch, as `out.max()` does, so only one picture '
       'gets a gradient. Each has its own top class: `out.amax(1)`.')
e.edit('score = out.amax(1) if target is None else out[:, target]', 'score = out[range(len(x)), target]',
       "With a class it is right. Without one you add up all classes: None as an index, `out[:, None]`, chooses "
       "nothing. Take each image's highest score.")
e.edit('score = out.amax(1) if target is None else out[:, target]', 'score = out', 'You add up all classes.')
e.edit('x)[0]', 'x)[0].abs().amax(1)',
       'You reduce to one number a pixel. That is a step of its own: give all three channels.')
e.edit('x)[0]', 'x)[0]*x',
       'You multiply by the picture. That is a method too, "gradient × input"; here the gradient alone.')

# 4.10 Guided backprop

e = exercise('4.10', 'Guided backprop',
    "Write `guided_backprop(model, x, target=None)` for a network with `nn.ReLU` modules that do not work in place. "
    "None means each image's top class, as in 4.9. `saliency` may be imported from `camtutor.guided`. Leave no hook. "
    "(The library takes networks with any kind of ReLU, and a `unit` as its target as well; you need not.)",
    library='camtutor.guided',
    trials=(Trial('Three pictures, class 1', pixels(1)),
            Trial('Three pictures, class 2', pixels(2)),
            Trial('Three pictures, each its top class', pixels(None))),
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
e.edit('for m in model.modules() if isinstance(m, nn.ReLU)', 'for m in []', '(model, x, target)\n',
       '(model, x, target).relu()\n',
       'You rectify once, at the pixels. It has to happen at every ReLU.')
e.edit('for h in handles: h.remove()', 'pass',
       'The hooks stay on the network: its next training would be guided as well.')

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

e.edit('for m in model.modules() if isinstance(m, nn.ReLU)', 'for m in []', 'This is the plain gradient.')

@e.wrong
def last_only(model, x, target=None):
    "Only the last ReLU is guided. All of them."
    last = [m for m in model.modules() if isinstance(m, nn.ReLU)][-1]
    h = last.register_full_backward_hook(lambda m, gi, go: (gi[0].clamp(min=0),))
    try: return saliency(model, x, target)
    finally: h.remove()

# 4.11 Any start, any rule

def comes_back(inplace=False, **kw):
    def run(answer):
        net, x = tiny(inplace=inplace), pictures(3, seed=1)
        out = answer(net, x, **kw)
        return {'the pixels': out.detach(), 'hooks left': hooks_left(net),
                'parameters with a .grad left': sum(p.grad is not None for p in net.parameters())}
    return run

def marked_at(layer, channel=None, whole=False):
    "A unit as a target, as `unit` gives it."
    return At(layer, lambda A: (A*unit_mask(A, channel, whole)).sum((1, 2, 3)), 'a unit')

e = exercise('4.11', 'Any start, any rule',
    "Exercises 4.9 and 4.10 led up to this one. Write `pixel_grad(model, x, target=None, rule=None)`: what comes back "
    "to the pixels (N,3,H,W), by the plain gradient or under a rule. The start is each image's score of the class "
    "`target`, or its highest if that is None; or, if `target` is an `At`, what `target.fn` makes of the activations "
    "of the layer that `target.layer` names: a number for each image. Leave no hook and no `.grad`, and work in front "
    "of an in-place ReLU. For the layer, write a forward hook of your own (`register_forward_hook`): `Hook` of chapter "
    "01 detaches what it keeps, and from there is no way back. `ReLURule` may be imported from `camtutor.guided`, `At` "
    "from `camtutor.engine.targets`. (The library also takes every other kind of target.)",
    library='camtutor.guided',
    trials=(Trial('Class 1, no rule', comes_back(target=1)),
            Trial('Each picture\'s top class, guided', comes_back(rule='guided')),
            Trial('Class 2, as a deconvnet, ReLUs in place', comes_back(True, target=2, rule='deconvnet')),
            Trial('The strongest place of channel 2 of a layer, guided',
                  comes_back(rule='guided', target=marked_at('0.3', 2))),
            Trial('The whole map of a channel, in front of a ReLU in place',
                  comes_back(True, target=marked_at('0.3', 1, whole=True))),
            Trial('Each picture\'s strongest channel, as a deconvnet',
                  comes_back(rule='deconvnet', target=marked_at('0.4', whole=True)))),
    hints=('One forward pass of a copy of `x` that requires a gradient; what differs is which number you go back '
           'from.',
           'A hook on the layer keeps its output for you. It is in the graph already, so it can be handed to '
           '`target.fn`.',
           'The pass runs inside the rule, or inside nothing: `contextlib.nullcontext()` is a `with` that does '
           'nothing. Afterwards one `torch.autograd.grad` of the sum at the pixels.'),
    why="All methods of this chapter, and the next one's, are this function with other arguments.")

@e.reference
def pixel_grad(model:nn.Module, x:Tensor, # a network in eval mode, and its batch (N,3,H,W)
               target=None, # a class; None: each image's own top class; or an `At`, as `unit` gives it
               rule=None # None: the gradient itself; or one of `RULES`
              )->Tensor: # (N,3,H,W)
    "What comes back to the pixels from a class score or a unit, under a rule or none."
    x, seen = x.detach().clone().requires_grad_(), []
    def keep(m, args, out):
        seen.append(out)
        return out.clone()
    layer = model.get_submodule(target.layer) if isinstance(target, At) else nn.Identity()
    handle = layer.register_forward_hook(keep)
    try:
        with ReLURule(rule) if rule else nullcontext(): out = model(x)
    finally: handle.remove()
    if isinstance(target, At): score = target.fn(seen[0])
    else: score = out.amax(1) if target is None else out[:, target]
    return torch.autograd.grad(score.sum(), x)[0]

e.edit('return out.clone()', 'return out',
       'An in-place ReLU behind the layer writes into what your hook has kept: the marks then stand where *its* '
       'output is strongest, and the way back begins behind it. Hand a `clone()` on.')
e.edit('finally: handle.remove()', 'finally: pass', 'The hook is still on the layer. Remove it in `finally`.')
e.edit('seen.append(out)', 'seen.append(out.detach())',
       "At a layer, you go back from a tensor that is cut off from the picture: no graph leads there. `Hook` of "
       "chapter 01 cuts (its `stored` is a detached copy), and so do `detach()`, `.data` and `no_grad()`. Keep the "
       "layer's output itself, in a forward hook of your own.")
e.edit('ReLURule(rule)', "ReLURule('guided')", 'Any rule is taken for the guided one. Hand `rule` on.')
e.edit('with ReLURule(rule) if rule else nullcontext(): out = model(x)', 'out = model(x)',
       'The rule has no effect. A ReLU is swapped when it is *called*: the forward pass must run inside the `with`.')
e.edit('score = target.fn(seen[0])', 'score = seen[0]',
       'You go back from everything the layer puts out. `target.fn` says what of it counts.')
e.edit('score = target.fn(seen[0])', 'score = out.amax(1)',
       'A layer was named, and you explain the class. The start is then what `target.fn` makes of that layer.')
e.edit('score.sum()', 'score',
       'A gradient belongs to a single number, and you ask for that of one score an image. Add them up: no image '
       'reads its neighbour.')

# 4.12 Guided Grad-CAM

def multiplied(target, layer=None):
    def run(answer):
        net, x = tiny(), pictures(3, seed=2)
        p = answer(net, x, layer, target)
        return {'the pixels': p.detach(),
                'parameters with a .grad left': sum(p.grad is not None for p in net.parameters()),
                'hooks left': hooks_left(net)}
    return run

e = exercise('4.12', 'Guided Grad-CAM',
    'Write `guided_grad_cam(model, x, layer=None, target=None)`: Grad-CAM at `layer`, brought bilinearly to the size '
    'of the picture, times guided backprop (N,3,H,W), both for the same target. None as a layer means '
    '`last_layer(model, x)` of `camtutor.engine.layers`. From `camtutor.gradcam` you may import `capture` and '
    '`grad_cam`, from `camtutor.guided` `guided_backprop`, from `camtutor.show` `upsample`.',
    library='camtutor.guided',
    trials=(Trial('Class 0 at an inner layer, three pictures', multiplied(0, '0.3')),
            Trial('Class 2, no layer named', multiplied(2)),
            Trial('Each picture\'s top class', multiplied(None, '0.0'))),
    hints=('Two explanations of the same score, and one product.',
           '`capture` gives what `grad_cam` needs; the size is that of the last two axes of `x`.',
           'The map (N,H,W) needs an axis for the colours before it can multiply (N,3,H,W).'),
    why='Where from Grad-CAM, how fine from guided backprop. And all that is specific to the class comes from the map.')

@e.reference
def guided_grad_cam(model:nn.Module, # a network with ReLUs, in eval mode
                    x:Tensor, # batch (N,3,H,W)
                    layer=None, # where Grad-CAM looks; None: the last layer with places
                    target=None # a class; None: each image's own top class
                   )->Tensor: # (N,3,H,W), signed
    "Guided Grad-CAM: the map, brought to the size of the picture bilinearly, times guided backprop."
    if layer is None: layer = last_layer(model, x)
    _, A, g = capture(model, x, layer, target)
    return upsample(grad_cam(A, g), x.shape[-2:])[:, None]*guided_backprop(model, x, target)

e.edit('upsample(grad_cam(A, g), x.shape[-2:])[:, None]', 'F.interpolate(grad_cam(A, g)[:, None], x.shape[-2:])',
       'The map is enlarged in blocks. Bilinearly: `upsample` does that.')
e.edit('[:, None]*guided', '[:, None] + guided', 'You add. A product is zero where either is.')
e.edit('guided_backprop(model, x, target)', 'guided_backprop(model, x, target).relu()',
       'Negative pixels are cut. They are evidence too, and the drawing knows what to do with a sign.')
e.edit('grad_cam(A, g)', 'grad_cam(A, g)/grad_cam(A, g).amax((1, 2), True).clamp(min=1e-9)',
       'You scale the map first. That belongs to drawing.')
e.edit('grad_cam(A, g)', 'grad_cam(A, g)[:1]', '[:, None]*', '*', "Every picture is multiplied by the first one's map.")
e.edit('upsample(grad_cam(A, g), x.shape[-2:])[:, None]*guided_backprop(model, x, target)',
       'grad_cam(A, g)[:, None]*F.adaptive_avg_pool2d(guided_backprop(model, x, target), A.shape[2:])',
       'You shrink the pixels to the map. Enlarge the map.')
e.edit('*guided_backprop(', '*saliency(', "The pixels are the plain gradient's. Take guided backprop.")

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

e.edit('if layer is None: layer', 'layer', '`layer` is not used: the map always comes from the last layer.')
e.edit('layer, target', 'layer',
       'The map explains the top class, whichever was asked for. Hand `target` to both halves.')

# 4.13 Nothing learned

def in_order(p): return p.flatten().sort().values

def scrambled(answer):
    nets = [seeded(nn.Sequential(nn.Conv2d(6, 24, 3), nn.Conv2d(24, 40, 3))) for _ in range(3)]
    before, ids = [p.detach().clone() for p in nets[0].parameters()], [id(p) for p in nets[0].parameters()]
    session = torch.random.get_rng_state()
    for net, seed in zip(nets, (0, 0, 1)): answer(net, seed)
    after, again, other = [[p.detach() for p in net.parameters()] for net in nets]
    pairs = list(zip(before, after))
    return {'parameters with numbers of the same sizes as before': sum(torch.equal(in_order(b.abs()),
                                                                                   in_order(a.abs()))
                                                                       for b, a in pairs),
            'some numbers have become 0': not all(a.all() for a in after),
            'parameters in the same order as before': sum(torch.equal(b.abs(), a.abs()) for b, a in pairs),
            'parameters with all their signs as before': sum(torch.equal(in_order(b), in_order(a)) for b, a in pairs),
            'parameters with all their signs turned round': sum(torch.equal(in_order(-b), in_order(a))
                                                                for b, a in pairs),
            'kernels that are whole as before': bool((before[2].abs().flatten(1).sum(1)[:, None]
                                                      - after[2].abs().flatten(1).sum(1)).abs().min(1).values.max()
                                                     < 1e-4),
            'the parameters are the same objects': ids == [id(p) for p in nets[0].parameters()],
            'the same seed gives the same, another seed something else': [all(map(torch.equal, after, t))
                                                                          for t in (again, other)],
            'the random numbers of the session go on as before': torch.equal(session, torch.random.get_rng_state())}

SCRAMBLED = {'parameters with numbers of the same sizes as before': 4, 'some numbers have become 0': False,
             'parameters in the same order as before': 0, 'parameters with all their signs as before': 0,
             'parameters with all their signs turned round': 0,
             'kernels that are whole as before': False, 'the parameters are the same objects': True,
             'the same seed gives the same, another seed something else': [True, False],
             'the random numbers of the session go on as before': True}

e = exercise('4.13', 'Nothing learned',
    "Write `scramble(module, seed=0)`: put the numbers of *each* parameter in a random order, and give each number a "
    "random sign, in place. The same seed gives the same result, and nobody else's random numbers change: draw from a "
    "`torch.Generator` of your own.",
    changes=('module',),
    library='camtutor.guided',
    trials=(Trial('Two convolutions', scrambled, SCRAMBLED,
                  {'the same seed gives': 'All random numbers must come from a generator that begins with the seed.',
                   'the random numbers of the session':
                       "`torch.manual_seed` begins the whole session's numbers anew."}),),
    hints=('`torch.randperm(n, generator=…)` is a random order.',
           'Flatten, index, back into shape; signs are `torch.randint(2, …)` made to −1 and 1.',
           'Under `no_grad`, write it into the parameter with `copy_`.'),
    why='As large as before, and nothing learned is left. An explanation that looks the same afterwards was not '
        'explaining what the network had learned.')

@e.reference
@torch.no_grad()
def scramble(module:nn.Module, # changed in place
             seed=0 # of the order and the signs
            ):
    "Put the numbers of each parameter of `module` in a random order, with random signs."
    gen = torch.Generator().manual_seed(seed)
    for p in module.parameters():
        order, sign = torch.randperm(p.numel(), generator=gen), torch.randint(2, p.shape, generator=gen)*2 - 1
        p.copy_(p.flatten()[order].view_as(p)*sign)

order_only = e.edit('*sign)', ')',
                    'The order is new, the signs are as before: a layer that holds mostly positive weights still does. '
                    'Multiply by −1 or 1 at random.')
e.edit('p.flatten()[order].view_as(p)*sign', 'p*sign',
       'The signs are new, the order is as before, so each weight has its old size at its old place. Exchange places '
       'as well.')
e.edit('*sign)', '*-1)', 'All numbers of a parameter have changed their sign together. Each draws its own.')
e.edit('p.flatten()[order].view_as(p)*sign', 'torch.randn(p.shape, generator=gen)*p.std()',
       'The numbers are new. Keep their sizes, so that nothing but what was learned is lost.')
e.edit('torch.randperm(p.numel(), generator=gen)', 'torch.randperm(len(p), generator=gen)',
       'p.flatten()[order].view_as(p)', 'p[order]',
       'Whole kernels change places, and each keeps the sizes of its numbers where they were. Shuffle the numbers '
       'within.')
e.edit('p.flatten()[order].view_as(p)*sign', 'p*0',
       'Everything is zero: that is another network altogether, with no output.')
e.edit('torch.randint(2, p.shape, generator=gen)*2 - 1', 'torch.randint(-1, 2, p.shape, generator=gen)',
       'Some numbers are 0 now: among your signs there are zeros, as `torch.randint(-1, 2, …)` gives −1, 0 and 1. '
       'Draw from 0 and 1, double it, take 1 away.')
e.edit('module.parameters()', '[p for p in module.parameters() if p.ndim > 1]', 'The biases are learned too.')

def mixed(p, gen=None): return p.detach().flatten()[torch.randperm(p.numel(), generator=gen)].view_as(p)
def signs(p, gen=None): return torch.randint(2, p.shape, generator=gen)*2 - 1

@e.wrong
def scramble_copy(module, seed=0):
    "Nothing has changed: `p = …` gives the name to another tensor. Write into `p`, for example with `copy_`."
    for p in module.parameters(): p = mixed(p)*signs(p)

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

# 4.14 Forgetting from the top

def falling(*layers):
    def run(answer):
        net = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Conv2d(5, 6, 3)))
        before, steps, names = deepcopy(net), [], list(layers)
        for name, model in answer(net, names):
            steps.append((str(name), [n for n, m in model.named_children()
                                      if any(not torch.equal(p, q)
                                             for p, q in zip(m.parameters(), before.get_submodule(n).parameters()))]))
        return {'names': [n for n, _ in steps],
                'layers that differ from the trained ones, step by step': [' '.join(c) for _, c in steps],
                'the caller\'s model is as before': all(torch.equal(p, q)
                                                        for p, q in zip(net.parameters(), before.parameters())),
                'the caller\'s list of names': names}
    return run

e = exercise('4.14', 'Forgetting from the top',
    "Write the generator `cascade(model, layers=None, seed=0)` of the sanity check. `layers` holds names, bottom "
    "first. (None means all modules that hold weights of their own; it is not tried.) Yield `(None, an untouched "
    "copy)`, and then `(name, model)` again and again, each time with one more layer scrambled, from the top down. "
    "`scramble(module, seed)` may be imported from `camtutor.guided`. The caller's model stays as it is.",
    library='camtutor.guided',
    trials=(Trial('Three convolutions', falling('0', '2', '4')),
            Trial('Two of them', falling('0', '4')),
            Trial('No layer', falling())),
    hints=('One copy at the beginning; after that it only gets worse.',
           '`reversed(layers)` goes from the top down, and `get_submodule` finds a layer by its name.',
           'Yield the copy, and then in a loop: scramble one layer, yield its name and the same network.'),
    why='An explanation of what was learned must fall apart along the cascade. Guided backprop hardly does.')

@e.reference
def cascade(model:nn.Module, # a network; it is copied, not changed
            layers=None, # names, bottom first; None: all modules that hold weights
            seed:int=0 # of the scrambling
           ): # yields (name, model): first (None, an untouched copy)
    "The network again and again, each time with one more layer scrambled, from the top."
    model = deepcopy(model)
    if layers is None: layers = [n for n, m in model.named_modules() if list(m.parameters(recurse=False))]
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
e.edit('for i, name in enumerate(reversed(layers)):', 'i = -1\n    while layers:\n        i, name = i + 1, '
                                                      'layers.pop()',
       "The steps are right, but `pop` has emptied the caller's list. Go through it without taking from it.")
e.edit('yield None, model', '',
       'The first step is missing: `(None, an untouched copy)`, with which all others are compared.')
e.edit('scramble(model.get_submodule(name), seed + i)\n        yield name, model',
       'yield name, model\n        scramble(model.get_submodule(name), seed + i)',
       'You yield a step before it is done: the network is one layer behind its name.')
e.edit('scramble(model.get_submodule(name), seed + i)', 'for n in layers: scramble(model.get_submodule(n), seed + i)',
       'All layers are scrambled in the first step. One more each time.')
e.wrong(lambda model, layers=None, seed=0: list(cascade(model, layers, seed)),
        'You gather all steps in a list first. They are one and the same network, and so every entry of the list '
        'shows its last state. Yield each step as it is made, or copy it.')

# 4.15 The same order?

e = exercise('4.15', 'The same order?',
    "Write `rank_correlation(a, b)`: Spearman's correlation of each of N pairs of pictures, that is the ordinary "
    "correlation of the ranks of their pixels. There are no ties.",
    library='camtutor.guided',
    trials=(gives('Worked by hand: the same order, the reverse', torch.tensor([[1., 2., 30.], [1., 2., 3.]]),
                  torch.tensor([[5., 6., 7.], [9., 4., 0.]]), want=[1., -1.]),
            gives('Random pictures', rand(3, 3, 4, 4), rand(3, 3, 4, 4, seed=1)**3)),
    hints=('The rank of a value: how many are smaller.',
           '`argsort` twice.',
           'Centre both, multiply, add up, divide by both lengths.'),
    why="The sanity check asks whether an explanation changes when the network's weights do; this is its ruler.")

@e.reference
def rank_correlation(a:Tensor, # pictures or maps, N first
                     b:Tensor # same shape
                    )->Tensor: # (N,)
    "Spearman's correlation: the ordinary one of the *ranks* of the pixels, for each of the N pairs (no ties here)."
    ra, rb = [t.flatten(1).argsort(1).argsort(1).float() for t in (a, b)]
    ra, rb = ra - ra.mean(1, keepdim=True), rb - rb.mean(1, keepdim=True)
    return (ra*rb).sum(1)/(ra.norm(dim=1)*rb.norm(dim=1))

e.edit('.argsort(1).argsort(1)', '', 'This is the ordinary correlation of the values. Replace each by its rank first.')
e.edit('.argsort(1).argsort(1)', '.argsort(1)',
       'One `argsort` gives the place of the smallest, the next … . The *rank* of each value is the argsort of that.')
e.wrong(lambda a, b: rank_correlation(a[None], b[None]).expand(len(a)), 'All pairs go into one figure.')
e.edit('ra, rb = ra - ra.mean(1, keepdim=True), rb - rb.mean(1, keepdim=True)\n    ', '',
       'The mean must be taken off before multiplying.')
e.edit('t.flatten(1)', 't.abs().flatten(1)', 'You rank by size without the sign.')

# 4.16 Alike to an eye

P_, Q_ = rand(3, 3, 12, 10).sigmoid(), (rand(3, 3, 12, 10) + .6*rand(3, 3, 12, 10, seed=1)).sigmoid()
FLAT = torch.full((1, 1, 8, 8), .2), torch.full((1, 1, 8, 8), .4)

e = exercise('4.16', 'Alike to an eye',
    'Write `ssim(a, b, size=7)`: structural similarity of pictures (N,C,H,W), one number each. In every window of '
    'size × size (step 1, none over the edge), with means ma and mb, variances va and vb and covariance c: `(2 ma mb '
    '+ 0.01²)(2 c + 0.03²) / ((ma² + mb² + 0.01²)(va + vb + 0.03²))`; then the mean over windows and channels. '
    'Variances and covariance divide by size² − 1.',
    library='camtutor.guided',
    trials=(gives('Two flat pictures by hand, .2 and .4: (.16 + .0001) / (.04 + .16 + .0001)', *FLAT,
                  want=[.1601/.2001]),
            gives('A picture with itself', P_, P_, want=[1., 1., 1.]),
            gives('Random pictures', P_, Q_),
            gives('Windows of 3', P_, Q_, 3)),
    hints=('`F.avg_pool2d(t, size, 1)` is the mean in every window.',
           'A variance is the mean of the squares less the square of the mean; a covariance is the same with a '
           'product.',
           'Five maps (two means, two variances, one covariance) go into the formula; its mean over the last three '
           'axes is the answer.'),
    why='The second ruler of the sanity check. Rank correlation looks at pixels one by one; this one at patches, as a '
        'reader of the picture does.')

@e.reference
def ssim(a:Tensor, b:Tensor, # pictures (N,C,H,W) in [0,1]
         size:int=7 # side of the window
        )->Tensor: # (N,)
    "Structural similarity: in every window of size × size, compare means, variances and covariance; then average."
    def mean(t): return F.avg_pool2d(t, size, 1)
    ma, mb, n = mean(a), mean(b), size**2/(size**2 - 1)
    va, vb, cov = n*(mean(a*a) - ma**2), n*(mean(b*b) - mb**2), n*(mean(a*b) - ma*mb)
    alike = (2*ma*mb + .01**2)*(2*cov + .03**2)/((ma**2 + mb**2 + .01**2)*(va + vb + .03**2))
    return alike.mean((1, 2, 3))

def ssim_of(p, q, bias=1, c1=1e-4, c2=9e-4):
    cov = ((p - p.mean())*(q - q.mean())).sum()/(p.numel() - bias)
    return (2*p.mean()*q.mean() + c1)*(2*cov + c2)/((p.mean()**2 + q.mean()**2 + c1)*(p.var(correction=bias)
                                                                                      + q.var(correction=bias) + c2))

@e.wrong
def ssim_whole(a, b, size=7):
    "You compare whole pictures in one go. An eye looks here and there: compute it in each window, and average."
    return torch.stack([torch.stack([ssim_of(p, q) for p, q in zip(x, y)]).mean() for x, y in zip(a, b)])

e.edit('size**2/(size**2 - 1)', '1',
       'Variances and covariance divide by the number of pixels. By one less here: multiply by n / (n − 1).')
e.edit('/((ma**2 + mb**2 + .01**2)*(va + vb + .03**2))', '/(ma**2 + mb**2 + .01**2)*(va + vb + .03**2)',
       'You divide by the first bracket below the line and multiply by the second: `a/b*c` is `(a/b)*c`. Put the '
       'whole denominator in brackets.')
e.edit('*(2*cov + .03**2)/((ma**2 + mb**2 + .01**2)*(va + vb + .03**2))', '/(ma**2 + mb**2 + .01**2)',
       'Only the means are compared: that is the brightness. The pattern is in the second factor, with the covariance.')
e.edit('alike.mean((1, 2, 3))', 'alike.mean()', 'All pictures end in one number. One for each: leave axis 0 alone.')
e.edit('F.avg_pool2d(t, size, 1)', 'F.avg_pool2d(t, size)', 'Your windows lie side by side. They overlap: step 1.')
e.edit('F.avg_pool2d(t, size, 1)', 'F.avg_pool2d(t, size, 1, size//2)',
       'Your windows hang over the edge, where the padding counts as black. Only whole windows.')
e.wrong(lambda a, b, size=7: F.avg_pool2d(a, size, size).sub(F.avg_pool2d(b, size, size)).abs().mean((1, 2, 3)),
        'This is a difference: 0 for the same picture. A similarity gives 1.')

# 4.17 Paint, and forget

def times_input(model, x, target=None): return x*saliency(model, x, target)

def painted(**kw):
    def run(answer):
        net, before = tiny(), list(tiny().parameters())
        return {'the picture': answer(net, pictures(2), **kw),
                'the caller\'s model is as before': all(map(torch.equal, net.parameters(), before))}
    return run

e = exercise('4.17', 'Paint, and forget',
    'Write `paint(model, x, method=guided_backprop, target=None, clip=99, scrambled=0, layers=None)`, which the '
    'sliders call: the picture in [0,1] that `method(model, x, target)` gives when `signed_image` draws it with '
    '`clip`; and before that, as many layers are scrambled as `scrambled` says, from the top, by `cascade(model, '
    'layers)`. Without a target, it is the top class of the network that is painted, scrambled or not. All three '
    'functions may be imported from `camtutor.guided`.',
    library='camtutor.guided',
    trials=(Trial('As it is', painted(target=1)),
            Trial('Another method, drawn with another clip', painted(method=saliency, target=2, clip=90)),
            Trial('One layer scrambled, of two', painted(target=0, scrambled=1, layers=['0.0', '0.3'])),
            Trial('Both, times the pixels', painted(method=times_input, scrambled=2, target=2, layers=['0.0', '1.2'])),
            Trial('Two, of all that have weights', painted(method=saliency, scrambled=2))),
    hints=('Three functions in a row: `cascade`, a painter, `signed_image`.',
           '`cascade` is a generator: it scrambles one more layer each time it is asked for the next step.',
           'Ask it once for the untouched network and once more for each layer, and no further; `itertools.islice` '
           'or `next` does that.'),
    why='A plain function, with a check of its own, since a slider hides the errors of what it calls.')

@e.reference
def paint(model:nn.Module, x:Tensor, # a network with ReLUs, and its batch (N,3,H,W)
          method=guided_backprop, # (model, x, target) -> signed pixels (N,3,H,W)
          target=None, clip=99, # see `class_score` and `signed_image`
          scrambled:int=0, layers=None # how many layers to scramble, from the top, of those that `cascade` takes
         )->Tensor: # pictures (N,3,H,W) in [0,1]
    "Draw a method's result around a grey zero, the network as it is or with its top layers scrambled."
    *_, (_, model) = islice(cascade(model, layers), scrambled + 1)
    return signed_image(method(model, x, target), clip)

e.edit('scrambled + 1', 'max(scrambled, 1)',
       'One layer too few is scrambled. The first step of `cascade` is the untouched copy, so step number n has n '
       'scrambled layers.')
e.edit('scrambled + 1', 'scrambled + 2',
       'One layer too many is scrambled. The first step of `cascade` is the untouched copy: with `scrambled=0` take '
       'that one.')
e.edit('scrambled + 1', '1', "`scrambled` is not used: this is the trained network's picture in any case.")
e.edit('*_, (_, model) = islice(cascade(model, layers), scrambled + 1)',
       '_, model = list(cascade(model, layers))[scrambled]',
       'All layers are scrambled, however few were asked for: you run `cascade` to its end before you choose a step. '
       'It hands out one and the same network each time, and at the end all of its layers are scrambled. Stop it at '
       'the step that you want.')

@e.wrong
def in_place(model, x, method=guided_backprop, target=None, clip=99, scrambled=0, layers=None):
    """The picture is right, but you have scrambled the caller's own network, and nothing brings it back. `cascade`
    works on a copy."""
    if layers is None: layers = [n for n, m in model.named_modules() if list(m.parameters(recurse=False))]
    for i in range(scrambled): scramble(model.get_submodule(layers[-1 - i]), i)
    return signed_image(method(model, x, target), clip)

e.edit('signed_image(method(model, x, target), clip)', 'method(model, x, target)',
       'These are the signed numbers, not a picture. `signed_image` draws them.')
e.edit('method(model', 'guided_backprop(model', '`method` is not used. Call it.')
e.edit('target), clip)', 'target))', '`clip` is not handed on.')
e.edit('method(model, x, target)', 'method(model, x)',
       '`target` is not handed on: each picture is asked about its own top class.')
e.edit('*_, (_, model)', 'if target is None: target = model(x).argmax(1)\n    *_, (_, model)',
       'Where no target is given, you explain the top class of the untouched network. Hand `target` on as it is: each '
       'method then asks the network that it paints.')
e.edit('(model, layers)', '(model)', '`layers` is not handed on: `cascade` then takes all layers that have weights.')

# 4.18 By hand

e = exercise('4.18', 'By hand',
    'A ReLU read 3, −1, 2, −5. The gradients 1, 4, −2, −3 arrive. What does guided backprop send on? Give a list.',
    reference=[1, 0, 0, 0],
    kind='value',
    hints=('Two conditions for each number.',
           'Where was the ReLU open? The first and the third.',
           'Which of those gradients are positive?'),
    why='One number out of four is left: that is why the pictures are so clean.')
e.wrong([1, 0, -2, 0], 'This is backprop: it passes the −2.')
e.wrong([1, 4, 0, 0], 'This is the deconvnet: it passes the 4, though the ReLU was closed.')

# 4.19 Crisp and wrong?

e = exercise('4.19', 'Crisp and wrong?',
    'Guided backprop draws whiskers and eyes sharply. Why is that no proof that the network uses them? Two sentences.',
    reference='Its rule lets through only paths that are positive all the way, and those follow strong edges of the '
              'picture whatever the class is. The same picture comes out for another class, or with shuffled weights.',
    kind='written',
    why='A picture that pleases is judged more kindly than one that is right: hence masks, baselines and sanity '
        'checks.')

# 4.20 The sanity check

e = exercise('4.20', 'The sanity check',
    'You shuffle the weights of a network from the top down. The guided backprop picture hardly changes. What follows?',
    reference="The picture shows little of what the network has learned; much of it is the input's own edges",
    kind='choice')
e.wrong('Guided backprop is robust, which is good', 'Robust against the very thing it should show.')
e.wrong('The network has learned nothing', 'It had; you destroyed it, and the picture did not notice.')
e.wrong('The shuffling went wrong', 'Look at the accuracy: it is gone.')

# 4.21 A unit as a target

def as_target(layer, *asked):
    def run(answer):
        target = answer(layer, *asked)
        A = G_.clone().requires_grad_()
        score = target.fn(A)
        grad = torch.autograd.grad(score.sum(), A)[0] if score.requires_grad else torch.zeros(1)
        return {'the layer': target.layer, 'the title is a text': isinstance(target.title, str),
                'a number for each picture': score.detach(), 'their gradient': grad}
    return run

e = exercise('4.21', 'A unit as a target',
    "Write `unit(layer, channel=None, whole=False)`: a target for `pixel_grad` and all that explains. It is an `At` of "
    "`camtutor.engine.targets`, made with `layer`, a function, and a title of your own. The function takes the layer's "
    "activations A (N,C,h,w), and gives for each image their sum over the places that `unit_mask(A, channel, whole)` "
    "marks.",
    library='camtutor.guided',
    trials=(Trial('The strongest place of channel 2', as_target('0.3', 2)),
            Trial('The whole map of channel 0', as_target('0.3', 0, True)),
            Trial('The strongest channel', as_target('0.4'))),
    hints=('A function that is handed out for later: a lambda, or a `def` inside.',
           'The mask has the shape of A, with a 1 where it counts. What is A times the mask?',
           'Add up all axes but the first: `(1, 2, 3)`.'),
    why='A class is one number that a network gives, and a unit is another. What explains the one explains the other.')

@e.reference
def unit(layer, # a name
         channel=None, # which channel; None: each image's strongest
         whole=False # the whole map instead of its strongest place
        )->At: # a target
    "One channel of a layer, or one place of it, as a target; see `unit_mask`."
    def score(A): return (A*unit_mask(A, channel, whole)).sum((1, 2, 3))
    return At(layer, score, f'channel {channel} of {layer}')

e.edit('(1, 2, 3)', '', 'One number for the whole batch. One for each image is wanted.')
e.edit('A*unit_mask', 'unit_mask', 'The mask alone says where, and not how much: A times the mask.')
e.edit('(A*unit', '(A.detach()*unit', '`detach()` cuts the activations off: no gradient comes back from there.')
e.edit('channel, whole)).sum', 'channel)).sum', '`whole` is not handed on to `unit_mask`.')
e.edit('unit_mask(A, channel, whole)', 'unit_mask(A, None, whole)',
       '`channel` is not handed on to `unit_mask`: it is always the strongest one.')
e.edit('.sum((1, 2, 3))', '.mean((1, 2, 3))', 'This is the mean over all places, marked or not. Add up.')
