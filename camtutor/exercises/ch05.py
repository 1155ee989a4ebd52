"Chapter 05: deconvnet."
from dataclasses import replace
from functools import partial

import torch, torch.nn.functional as F
from torch import Tensor, nn

from camtutor.deconvnet import BACK
from camtutor.engine.sequence import Field, in_sequence, look
from camtutor.engine.targets import At
from camtutor.exercises.common import differing, gives, rand, seeded, uneven
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise
from camtutor.guided import pixel_grad, unit

# 5.1 Unpooling with switches

X = torch.tensor([[[[1., 2., 0., 7.], [4., 3., 5., 6.]]]])
X_ = rand(2, 3, 6, 8)

def pool(x): return F.max_pool2d(x, 2, return_indices=True)

PLACES = torch.tensor([[[[4, 3]]]])
MET = torch.tensor([[[[1, 1], [1, 7]]]])

e = exercise('5.1', 'Unpooling with switches',
    'Write `unpool(y, idx, shape)`: a map of `shape` with each value of `y` where its switch says, zeros elsewhere. '
    'Values that meet add up: windows of a pooling may overlap.',
    library='camtutor.deconvnet',
    trials=(gives('Worked by hand: 4 and 7 back into a map of 2 × 4', torch.tensor([[[[4., 7.]]]]), PLACES,
                  (1, 1, 2, 4), want=[[[[0., 0., 0., 7.], [4., 0., 0., 0.]]]]),
            gives('Two channels, random', pool(X_)[0], pool(X_)[1], tuple(X_.shape)),
            gives('Three values that meet', torch.tensor([[[[1., 2.], [3., 4.]]]]), MET, (1, 1, 2, 4),
                  want=[[[[0., 6., 0., 0.], [0., 0., 0., 4.]]]])),
    hints=('Flatten the places: a switch is an index then.',
           '`scatter_add_` adds values at indices along an axis.',
           'Zeros of (N,C,H·W), scatter along axis 2, back into shape.'),
    why='For windows that do not overlap this is the transpose of the pooling: what the gradient does as well.')

@e.reference
def unpool(y:Tensor, # (N,C,h,w)
           idx:Tensor, # switches (N,C,h,w): row*W + column in the map of `shape`
           shape # (N,C,H,W), the shape before the pooling
          )->Tensor: # (N,C,H,W)
    "Each value back where its switch says, zeros elsewhere; values that meet add up."
    return torch.zeros(shape).flatten(2).scatter_add_(2, idx.flatten(2), y.flatten(2)).view(shape)

@e.wrong
def unpool_corner(y, idx, shape):
    "Every value goes to the corner of its window. The switch knows the place."
    out = torch.zeros(shape)
    out[:, :, ::2, ::2][:, :, :y.shape[2], :y.shape[3]] = y
    return out

unpool_blocks = e.wrong(lambda y, idx, shape: F.interpolate(y, tuple(shape[2:]), mode='nearest'),
                        'You fill whole windows. One place in each, zeros elsewhere.')
e.edit('scatter_add_', 'scatter_', 'Where values meet, the last one wins. They should add up.')

@e.wrong
def columns(y, idx, shape):
    "Rows and columns are exchanged: the switch is row · W + column."
    N, C, H, W = shape
    return unpool(y, idx, (N, C, W, H)).transpose(2, 3) if H != W else unpool(y, idx, shape).transpose(2, 3)

e.edit('torch.zeros(shape).flatten(2).scatter_add_(2, idx.flatten(2), y.flatten(2))',
       'torch.zeros(shape).flatten().scatter_add_(0, idx.flatten(), y.flatten())',
       'All values land in the first channel of the first picture: a switch counts within its own map. Flatten only '
       'the places, not the batch and the channels.')
e.edit('torch.zeros(shape).flatten(2).scatter_add_(2, idx.flatten(2), y.flatten(2))',
       'torch.zeros(shape).flatten().scatter_(0, idx.flatten(), y.flatten())',
       'You flatten everything, and so all values land in the first channel of the first picture; and where values '
       'meet, the last one wins. Flatten only the places, and add.')
e.edit('idx.flatten(2)', 'idx[:, :1].expand_as(idx).flatten(2)',
       'All channels use the switches of the first. Each has its own.')


e.edit('scatter_add_(2, idx.flatten(2), y.flatten(2))', 'scatter_reduce_(2, idx.flatten(2), y.flatten(2), "amax")',
       'Where values meet, the largest one stays, and negative ones are lost against the zeros. They should add up.')
e.edit('scatter_add_(2, idx.flatten(2), y.flatten(2))',
       'scatter_reduce_(2, idx.flatten(2), y.flatten(2), "mean", include_self=False)',
       'Where values meet, you take their mean. They should add up, as messages do on a way back.')
e.edit('y.flatten(2)', 'y.flatten(2).relu()',
       'You rectify what comes back. That is the next step of the machine; unpooling keeps the signs.')
e.edit('y.flatten(2)', 'torch.ones_like(y).flatten(2)', 'You put a 1 at each place. The value itself goes back.')
e.edit('.view(shape)', '.view(shape).long()', 'You round to whole numbers. What comes back need not be whole.')
e.wrong(lambda y, idx, shape: F.max_unpool2d(y, idx, 2, output_size=tuple(shape[2:])),
        "PyTorch's `max_unpool2d` refuses a size that its own window would not give, and of values that meet it "
        'keeps one. Write the values where the switches say, with `scatter_add_`.')

# 5.2 A convolution, backwards

def filtered(stride=1, padding=1, seed=0, kernel=3, **other):
    def run(answer):
        conv = seeded(nn.Conv2d(3, 4, kernel, stride, padding, **other), seed)
        y = torch.randn(conv(X_).shape, generator=torch.Generator().manual_seed(seed + 1))
        return answer(y, conv, X_.shape).detach()
    return run

def painted(answer):
    conv = nn.Conv2d(1, 1, 3, padding=1)
    conv.weight.data = torch.arange(1., 10.).view(1, 1, 3, 3)
    y = torch.zeros(1, 1, 3, 4)
    y[0, 0, 1, 1] = 2.
    return answer(y, conv, (1, 1, 3, 4)).detach()

e = exercise('5.2', 'A convolution, backwards',
    'Write `filter_back(y, conv, shape)`: the transpose of a convolution. Each value of `y` paints the kernel, scaled '
    'by the value; where kernels overlap, they add up. `shape` is what the convolution read.',
    library='camtutor.deconvnet',
    trials=(Trial('Worked by hand: a single 2 paints the kernel 1 … 9', painted,
                  torch.tensor([[[[2., 4., 6., 0.], [8., 10., 12., 0.], [14., 16., 18., 0.]]]])),
            Trial('Random, padding 1', filtered()),
            Trial('Random, stride 2', filtered(2)),
            Trial('Random, stride 3, no padding', filtered(3, 0, 1)),
            Trial('A kernel of 3 × 2, stride 2 and 3', filtered((2, 3), (1, 0), 2, (3, 2)))),
    hints=('PyTorch has `F.conv_transpose2d`, with stride and padding as in the convolution.',
           'The gradient of a convolution with respect to its input is the same thing, and knows the size.',
           '`torch.autograd.grad(conv(x), x, y)` for any x of that shape, or `torch.nn.grad.conv2d_input`.'),
    why='Deconvolution is a misnomer: nothing is undone. It is a transpose, and so is every backward pass.')

@e.reference
def filter_back(y:Tensor, # (N,D,h,w)
                conv:nn.Conv2d, # a convolution C -> D
                shape # (N,C,H,W), what the convolution read
               )->Tensor: # (N,C,H,W)
    "The transpose of a convolution: each value paints its kernel, scaled by it; where kernels overlap they add up."
    def left_over(i): return (shape[i] + 2*conv.padding[i-2] - conv.kernel_size[i-2]) % conv.stride[i-2]
    return F.conv_transpose2d(y, conv.weight, None, conv.stride, conv.padding, (left_over(2), left_over(3)))

e.edit('conv_transpose2d(y,', 'conv_transpose2d(y + conv.bias[:, None, None],',
       'The bias has no place here: a transpose belongs to the linear part.')
e.edit('conv.weight, None', 'conv.weight, conv.bias', ', (left_over(2), left_over(3))', '',
       'You hand `conv.bias` on. It belongs to the channels of the output, and the way back ends in those of the '
       'input: no bias.')
e.edit('F.conv_transpose2d(y, conv.weight, None, conv.stride, conv.padding, (left_over(2), left_over(3)))',
       'F.conv2d(y, conv.weight.transpose(0, 1), None, conv.stride, conv.padding)',
       'This is another convolution forwards, with the channels exchanged: it gathers where the way back should '
       'spread. The kernel comes out upside down, and with a stride the map shrinks again.')
back_flipped = e.edit('conv.weight,', 'conv.weight.flip(2, 3),',
                      'The kernel is painted upside down. `conv_transpose2d` does the turning itself; give it the '
                      'weight as it is.')
e.edit('conv.weight,', 'conv.weight.transpose(2, 3),',
       'Rows and columns of the kernel are exchanged. The transpose of a convolution is not the transpose of its '
       'kernel.')
e.edit('conv.stride, conv.padding, (left_over(2), left_over(3))', '1, conv.padding',
       'The stride is missing: neighbours are painted a stride apart.')
e.edit(', (left_over(2), left_over(3))', '',
       "With a stride some sizes come out too small: several inputs give the same output size. `output_padding`, or a "
       "function that takes the input's shape, settles it.")
e.edit('F.conv_transpose2d(y, conv.weight, None, conv.stride, conv.padding, (left_over(2), left_over(3)))',
       "F.interpolate(F.conv_transpose2d(y, conv.weight, None, conv.stride, conv.padding), tuple(shape[2:]))",
       'You stretch the result to the size that is wanted, and so each painted kernel is moved and torn. '
       '`output_padding` adds what is missing at the lower and right edge.')
e.edit('(left_over(2), left_over(3))', 'tuple(s - 1 for s in conv.stride)',
       '`output_padding` is always the stride less one in yours, which is right for some sizes only. Work out from '
       '`shape` how much is missing.')
e.edit('conv.stride, conv.padding, (left_over(2), left_over(3))',
       'conv.stride[0], conv.padding, (left_over(2), left_over(3))',
       'You use the stride of the rows for the columns too. `conv.stride` has one for each.')
e.edit('return F.conv_transpose2d(y, conv.weight, None, conv.stride, conv.padding, (left_over(2), left_over(3)))',
       'out = F.conv_transpose2d(y, conv.weight, None, conv.stride)\n    return F.pad(out, (0, max(0, shape[3] - '
       'out.shape[3]), 0, max(0, shape[2] - out.shape[2])))[:, :, :shape[2], :shape[3]]',
       'The padding is missing, and you cut the result to size at its lower right corner: everything lies too far '
       'down and to the right. Hand `conv.padding` on, which cuts on all sides.')
e.edit('conv_transpose2d(y,', 'conv_transpose2d(y.relu(),', 'You rectify. That is another step of the machine.')
e.edit(', None, conv.stride, conv.padding, (left_over(2), left_over(3))', '',
       "The convolution's stride and padding are missing: `conv_transpose2d` takes both as the convolution has them.")
e.edit('conv.weight,', 'conv.weight.abs(),', 'You take the weights without their signs. Half of a kernel is negative.')
e.edit(', conv.padding, (left_over(2), left_over(3)))', ')[:, :, :shape[2], :shape[3]]',
       'The padding is missing, and you cut the result at its lower right: everything lies too far down and to the '
       'right. Hand `conv.padding` on.')
e.edit('conv_transpose2d(y,', 'conv_transpose2d(y - conv.bias[:, None, None],',
       'You take the bias off. It has no place here at all: a transpose belongs to the linear part.')
e.edit('F.conv_transpose2d(y, conv.weight, None, conv.stride, conv.padding, (left_over(2), left_over(3)))',
       'F.conv2d(y, conv.weight.transpose(0, 1), padding=conv.kernel_size[0] - 1)',
       'A convolution forwards over a map with wide margins: the kernel comes out upside down, the margins stay, and a '
       'stride is not undone. `conv_transpose2d` paints.')
e.edit('return F.conv_transpose2d(y, conv.weight, None, conv.stride, conv.padding, (left_over(2), left_over(3)))',
       'out = F.conv_transpose2d(y, conv.weight, None, conv.stride, conv.padding)\n'
       '    return F.pad(out, (shape[3] - out.shape[3], 0, shape[2] - out.shape[2], 0))',
       'What is missing is filled with zeros above and to the left, so that everything has moved. `output_padding` '
       'adds rows and columns below and to the right, and paints on them too.')
e.edit('return F.conv_transpose2d(y, conv.weight, None, conv.stride, conv.padding, (left_over(2), left_over(3)))',
       'out = F.conv_transpose2d(y, conv.weight, None, conv.stride, conv.padding)\n'
       '    return F.pad(out, (0, shape[3] - out.shape[3], 0, shape[2] - out.shape[2]))',
       'What is missing is filled with zeros. Kernels may reach into these rows and columns: `output_padding` paints '
       'on them too.')
e.edit('(left_over(2), left_over(3))', 'conv.stride[0] - 1',
       '`output_padding` is the stride of the rows less one, for the columns too. Work out from `shape` how much is '
       'missing, for each direction.')

# 5.3 The test for a way back

def small_conv(stride=1): return seeded(nn.Conv2d(3, 4, 3, stride, 1), stride)

def products(back, stride=1, n=2):
    def run(answer):
        conv, x = small_conv(stride), rand(n, 3, 6, 8, seed=2)
        y = rand(*conv(x).shape, seed=3)
        found = answer(conv, lambda y: back(y, conv, x.shape).detach(), x, y)
        return [torch.as_tensor(v).detach().float() for v in found] if isinstance(found, (tuple, list)) else found
    return run

def by_matrix(answer):
    W = torch.tensor([[1., 2., -1., 0.], [0., 1., 2., -1.]])
    found = answer(lambda x: W @ x, lambda y: W.T @ y, torch.tensor([3., 1., 4., 1.]), torch.tensor([2., -1.]))
    return [float(v) for v in found]

e = exercise('5.3', 'The test for a way back',
    'Write `inner_products(there, back, x, y)`: the numbers ⟨there(x), y⟩ and ⟨x, back(y)⟩, which agree if '
    '`back` is the '
    'adjoint of `there`. ⟨ , ⟩ multiplies number by number and adds up. `there` may add a constant, such as a '
    'bias: take '
    'off what it makes of zeros.',
    trials=(Trial('By hand: a matrix, and its transpose', by_matrix, [-6., -6.],
                  'W x is (1, 8), and 1·2 − 8·1 = −6. Wᵀ y is (2, 3, −4, 1), and 3·2 + 1·3 − 4·4 + 1·1 = −6.'),
            Trial('A convolution with a bias, and its transpose', products(filter_back)),
            Trial('One with stride 2, three pictures', products(filter_back, 2, 3)),
            Trial('A way back that turns the kernel round: the numbers differ', products(back_flipped))),
    hints=('An inner product of two tensors: multiply, add up.',
           'What a bias adds is what comes out of zeros.',
           'One number in the space of outputs, one in the space of inputs.'),
    why='One random pair tells a right way back from a wrong one: no picture needed.')

@e.reference
def inner_products(there, # a function, linear but for a constant
                   back, # what may be its adjoint
                   x:Tensor, # what `there` takes
                   y:Tensor # what `back` takes
                  )->tuple: # two numbers
    "⟨there x, y⟩ and ⟨x, back y⟩: equal, if `back` is the adjoint of the linear part of `there`."
    ahead = there(x) - there(torch.zeros_like(x))
    return (ahead*y).sum(), (x*back(y)).sum()

e.edit(' - there(torch.zeros_like(x))', '',
       'The bias is in it: with a bias a convolution is not linear, and the identity fails.')
e.edit('(ahead*y).sum(), (x*back(y)).sum()', 'ahead.sum()*y.sum(), x.sum()*back(y).sum()',
       'You multiply sums. An inner product multiplies place by place and then adds up.')
e.edit('(ahead*y).sum(), (x*back(y)).sum()', '(ahead*y).mean(), (x*back(y)).mean()',
       'You average. The two sides have different numbers of places; add up.')
e.edit('(ahead*y).sum(), (x*back(y)).sum()', 'ahead*y, x*back(y)',
       'You multiply place by place, which is the first half. Add up: an inner product is one number.')
e.edit('(ahead*y).sum(), (x*back(y)).sum()', '(ahead*ahead).sum(), (back(y)**2).sum()',
       'You take each with itself. Cross them: there(x) with y, x with back(y).')
e.edit('(ahead*y).sum(), (x*back(y)).sum()', '(ahead*y).sum(), (ahead*y).sum()',
       'Both numbers are the first one. The test compares two ways: the second goes back, and meets x.')
e.edit('(ahead*y).sum(), (x*back(y)).sum()', '(x*back(y)).sum(), (x*back(y)).sum()',
       'Both numbers are the second one. The test compares two ways: the first goes ahead, and meets y.')
e.edit('(ahead*y).sum(), (x*back(y)).sum()', '(x*back(y)).sum(), (ahead*y).sum()',
       'The two numbers come the wrong way round: first ⟨there(x), y⟩.')
e.edit('(x*back(y)).sum()', '(x*back(ahead)).sum()',
       'You send there(x) back, and not y. That is ⟨x, back(there(x))⟩, the square of a length.')
e.edit('(ahead*y).sum(), (x*back(y)).sum()',
       'F.cosine_similarity(ahead.flatten(), y.flatten(), 0), F.cosine_similarity(x.flatten(), back(y).flatten(), 0)',
       'You divide by the lengths: these are cosines, and an adjoint keeps no angles. Only the products are equal.')
e.edit('there(torch.zeros_like(x))', 'there(x).mean()',
       'You take the mean off. A constant is what `there` makes of zeros.')
e.edit('(ahead*y).sum(), (x*back(y)).sum()', '(ahead*y).sum() - (x*back(y)).sum()',
       'You give the difference. Both numbers were asked for: it takes them to judge how small a difference is.')
e.edit('(ahead*y).sum(), (x*back(y)).sum()', 'torch.isclose((ahead*y).sum(), (x*back(y)).sum())',
       'You give the verdict. The two numbers were asked for.')
e.edit('ahead = there(x) - there(torch.zeros_like(x))', 'ahead = there(x)', '(ahead*y).sum(),',
       '(ahead*y).sum() - there(torch.zeros_like(x)).sum(),',
       'The constant is taken off after the product, without `y`. Take it off `there(x)`, before you multiply.')

# 5.4 The whole machine

def sequence():
    return seeded(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, 2, 1),
                                nn.ReLU()))

def there_and_back(layer=None, times=1, twice=False):
    def run(answer):
        machine = answer(sequence())
        for i in range(times): A = machine(rand(2, 3, 6, 8, seed=i), layer)
        if A is None: return {'on the way there': None, 'on the way back': None}
        y = rand(*A.shape, seed=9)
        if twice: machine.project(y)
        return {'on the way there': A, 'on the way back': machine.project(y)}
    return run

def twice_each():
    "One ReLU and one pooling, each of which stands in two places and reads different shapes."
    relu, pooling = nn.ReLU(), nn.MaxPool2d(2)
    first, second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
    return seeded(nn.Sequential(first, relu, pooling, second, relu, pooling))

def shared(answer):
    machine = answer(twice_each())
    A = machine(rand(2, 3, 8, 12))
    return {'on the way there': A.detach(), 'on the way back': machine.project(A.detach()).detach()}

def in_turn(answer):
    one, two = answer(sequence()), answer(sequence())
    A, B = one(rand(2, 3, 6, 8)), two(rand(2, 3, 6, 8, seed=1))
    return {'the first machine': one.project(A.detach()).detach(), 'the second': two.project(B.detach()).detach()}

def stages(answer):
    machine = answer(nn.Sequential(sequence()[:3], seeded(nn.Sequential(nn.Conv2d(4, 2, 3), nn.ReLU()), 1)))
    A = machine(X_, '1.1')
    return {'on the way there': A.detach(), 'on the way back': machine.project(A.detach()).detach()}

e = exercise('5.4', 'The whole machine',
    "Write `DeconvNet(model)`. `machine(x, layer=None)` runs as far as `layer` and returns its output; "
    "`machine.project(y)` brings `y` back to the pixels. `in_sequence(model)` lists (name, layer), `look(layer, "
    "x)` gives "
    "output and memory (both in `camtutor.engine.sequence`), `BACK[type(layer)](y, layer, memory)` undoes one layer. "
    "Keep pairs (layer, memory) in `self.seen`; record no gradients.",
    library='camtutor.deconvnet',
    trials=(Trial('Five layers, there and back', there_and_back()),
            Trial('As far as the pooling', there_and_back('2')),
            Trial('As far as a convolution: what is sent back may be negative', there_and_back('3')),
            Trial('A second picture through the same machine', there_and_back(times=2)),
            Trial('Two projections, one after the other', there_and_back(twice=True)),
            Trial('Sequences within a sequence', stages),
            Trial('One ReLU and one pooling in two places each', shared),
            Trial('Two machines, in turn', in_turn)),
    hints=('On the way there, keep one pair for each layer that runs: the layer, and what the way back must know of '
           'it.',
           '`look` gives both, output and memory. Break off once the name is `layer`.',
           '`project` goes through the kept pairs in reverse, and hands `y` from one `BACK` to the next.'),
    why="With this, Zeiler and Fergus showed in 2013 what channels look for.")

@e.reference
class DeconvNet:
    "A deconvnet for layers in sequence: call it to run forward and remember, `project` to come back."
    def __init__(self, model:nn.Sequential): # of layers that `BACK` knows
        self.layers, self.seen = in_sequence(model), []

    def __call__(self, x:Tensor, # batch (N,3,H,W)
                 layer:str=None # the last layer to run; None: all of them
                )->Tensor: # what it puts out
        "Run forward as far as `layer`, and remember."
        self.seen = []
        with torch.no_grad():
            for name, m in self.layers:
                x, seen = look(m, x)
                self.seen.append((m, seen))
                if name == layer: break
        return x

    def project(self, y:Tensor # of the shape that the call returned
               )->Tensor: # (N,3,H,W)
        "Undo each layer that ran, from the last to the first."
        with torch.no_grad():
            for m, seen in self.seen[::-1]: y = BACK[type(m)](y, m, seen)
        return y

e.edit('[::-1]', '', 'You come back in the order of the way there. The layer that ran last is undone first.')
e.edit('self.seen = []\n        with', 'with',
       "The second picture finds the first one's memory still there, and comes back through both. Begin each call "
       "with an empty list.")
e.edit('return y', 'self.seen = []\n        return y',
       'The memory is used up by the first projection. One often projects several channels of the same picture: leave '
       'it as it is.')
e.edit('if name == layer: break', 'pass', 'You always run to the end. Stop after `layer`.')
e.edit('x, seen = look(m, x)\n                self.seen.append((m, seen))\n                if name == layer: break',
       'if name == layer: break\n                x, seen = look(m, x)\n                self.seen.append((m, seen))',
       'You stop in front of `layer`. It should run, too.')

class MachineByGradient:
    def __init__(self, model): self.model = model
    def __call__(self, x, layer=None):
        from camtutor.guided import ReLURule
        self.x = x.clone().requires_grad_()
        out = self.x
        with ReLURule('deconvnet'):
            for name, m in in_sequence(self.model):
                out = m(out)
                if name == layer: break
        self.out = out
        return out.detach()
    def project(self, y): return torch.autograd.grad(self.out, self.x, y, retain_graph=True)[0]

@e.wrong
class Backprop(MachineByGradient):
    """This is the gradient: at a ReLU it asks where the way there was open. A deconvnet keeps what is positive on
    the way *back*."""
    def __call__(self, x, layer=None):
        self.x = self.out = x.clone().requires_grad_()
        for name, m in in_sequence(self.model):
            self.out = m(self.out)
            if name == layer: break
        return self.out.detach()

e.edit('y = BACK[type(m)](y, m, seen)', 'y = unpool_blocks(y, None, seen.shape) if isinstance(m, nn.MaxPool2d) else '
                                        'BACK[type(m)](y, m, seen)',
       'At the poolings you fill whole windows. The memory holds the switches: use them.')
e.edit('for m, seen in self.seen[::-1]: y', 'for m, seen in {m: s for m, s in self.seen}.items().__reversed__(): y',
       'You keep the memories by layer, and a layer that stands in two places has one memory left. Keep pairs, in a '
       'list.')

@e.wrong
class OneMemory(DeconvNet):
    "All machines share one memory: a list in the class, not in `self`. Make a new list for each run."
    memory = []
    def __call__(self, x, layer=None):
        x = super().__call__(x, layer)
        self.memory[:] = self.seen
        return x
    def project(self, y):
        self.seen = list(self.memory)
        return super().project(y)

e.edit('y = BACK[type(m)](y, m, seen)', 'y = y if isinstance(m, nn.ReLU) else BACK[type(m)](y, m, seen)',
       'The ReLUs are skipped on the way back. They rectify there as well.')


e.edit('return y', 'return y.relu()',
       'You rectify the pixels. In front of the first layer there is no ReLU; the negative half belongs to the '
       'drawing.')
e.edit('[::-1]', '[:0:-1]', 'The first layer is never undone: what comes out has its channels, not three colours.')

# 5.5 A deconvnet without the machine

def detached(out): return out.detach() if isinstance(out, Tensor) else out

def weighted(conv, *weights):
    conv.weight.data = torch.tensor(weights).view_as(conv.weight)
    return conv

def crossed():
    return nn.Sequential(weighted(nn.Conv2d(1, 2, 1, bias=False), 1., -1.), nn.ReLU(),
                         weighted(nn.Conv2d(2, 1, 1, bias=False), 1., 2.))

def by_crossing(answer):
    return detached(answer(crossed(), torch.tensor([[[[1., -2., 3.]]]]), unit('2', 0, whole=True)))

def drawn_back(title, **asked):
    def run(answer):
        net = uneven()
        return detached(answer(net, differing(net, 3), **asked))
    return Trial(title, run)

e = exercise('5.5', 'A deconvnet without the machine',
    "Write `deconvnet(model, x, target=None)` with `pixel_grad(model, x, target, rule)` of `camtutor.guided`. A "
    "class goes "
    "back as it is. A `unit` (an `At`) sends back its activations, not ones: its function `target.fn` takes "
    "`weigh=True` for that, and `dataclasses.replace(target, fn=…)` gives it another function.",
    library='camtutor.deconvnet',
    trials=(Trial('By hand: channels x and −x, joined with weights 1 and 2, on the pixels 1, −2, 3', by_crossing,
                  torch.tensor([[[[-1., -4., -3.]]]]), 'The layer puts out 1, 4, 3. All that comes back to the ReLU '
                                                       'is positive, so nothing is cut: 1 · 1 − 2 · 1 = −1, and so '
                                                       'on.'),
            drawn_back('The score of class 2', target=2),
            drawn_back('The scores of each picture\'s top class'),
            drawn_back('A class for each picture', target=[1, 0, 2]),
            drawn_back('A whole channel of a layer', target=unit('0', 2, whole=True)),
            drawn_back('The strongest place of a channel', target=unit('0', 2)),
            drawn_back('The strongest place of the strongest channel', target=unit('0')),
            drawn_back('One neuron', target=unit('0', (1, 2, 3)))),
    hints=('Which of the three rules of chapter 04 keeps what is positive on the way back?',
           'Only an `At` needs another target: `isinstance(target, At)`, from `camtutor.engine.targets`.',
           '`functools.partial` makes a function with an argument filled in.'),
    why="The machine needed a table of layers and a memory; this needs a rule for one of them, and goes through skip "
        "connections, too.")

@e.reference
def deconvnet(model:nn.Module, # a network with ReLUs
              x:Tensor, # batch (N,3,H,W)
              target=None # a class, see `class_score`, or a `unit`
             )->Tensor: # (N,3,H,W), signed
    "What a deconvnet brings back to the pixels, as a backward pass under the 'deconvnet' rule."
    if isinstance(target, At): target = replace(target, fn=partial(target.fn, weigh=True))
    return pixel_grad(model, x, target, 'deconvnet')

e.edit("'deconvnet')", "'guided')",
       "This is guided backprop, which also blocks where the ReLU was closed on the way there. A deconvnet asks only "
       "whether what comes *back* is positive: the rule is 'deconvnet'.")
e.edit(", 'deconvnet')", ')', "This is the ordinary gradient: no rule is handed on.")
e.edit('if isinstance(target, At): target = replace(target, fn=partial(target.fn, weigh=True))\n    ', '',
       'The unit sends back a 1 from each place. A deconvnet sends back what is there, the activation: `weigh=True`.')
e.edit('fn=partial(target.fn, weigh=True)', 'fn=lambda A: target.fn(A)*target.fn(A).detach()',
       'You weigh the sum by the sum. Each place should be weighed by its own activation: `weigh=True` does that.')
e.edit('fn=partial(target.fn, weigh=True)', 'fn=lambda A: (A*A.detach()).flatten(1).sum(1)',
       'All channels of the layer go back together. The function of the target picks the places; let it weigh them.')
e.edit('pixel_grad(model, x, target,', 'pixel_grad(model, x, None if not isinstance(target, At) else target,',
       '`target` is not used for a class: it is always the top class that goes back.')

@e.wrong
def first_class(model, x, target=None):
    "The first picture's top class goes back for all of them. Each picture has its own: `None` says so to `pixel_grad`."
    return deconvnet(model, x, int(model(x)[0].argmax()) if target is None else target)

@e.wrong
def whole_batch(model, x, target=None):
    "You divide by the number of pictures: each picture's drawing is its own, not a share of a mean."
    return deconvnet(model, x, target)/len(x)

@e.wrong
def weighs_class(model, x, target=None):
    "A class is not weighed by its own score. Only the places of a channel are weighed, by their activations."
    from camtutor.engine.targets import class_score
    out = deconvnet(model, x, target)
    return out if isinstance(target, At) else out*class_score(model(x), target).detach()[:, None, None, None]

e.edit("return pixel_grad(model, x, target, 'deconvnet')", "return pixel_grad(model, x, target, 'deconvnet').relu()",
        'You rectify what arrives at the pixels. There is no ReLU in front of the first layer; and the negative pixels '
        'are half of the drawing.')
e.edit("return pixel_grad(model, x, target, 'deconvnet')", "return pixel_grad(model, x, target, 'deconvnet').abs()",
       'You take sizes without signs. A projection has dark and bright pixels: keep the sign.')
e.edit("return pixel_grad(model, x, target, 'deconvnet')",
       "return pixel_grad(model, x, target, 'deconvnet').abs().amax(1)",
       'You give one map of strengths. The projection is signed pixels with three colours.')
e.edit("return pixel_grad(model, x, target, 'deconvnet')", "return pixel_grad(model, x, target, 'deconvnet')*x",
       'You multiply by the picture. The projection is what comes back, and nothing else.')
e.edit("return pixel_grad(model, x, target, 'deconvnet')",
       "d = pixel_grad(model, x, target, 'deconvnet')\n    return d/d.abs().amax((1, 2, 3), "
       'keepdim=True).clamp(min=1e-12)',
       'You scale each drawing by its largest value. That is for the eye; what comes back is asked as it is.')

# 5.6 By hand

e = exercise('5.6', 'By hand',
    'Three convolutions with kernels of 3 and stride 1, then max pooling 2 of stride 2, then one more convolution of '
    '3. How many pixels wide does a unit see?',
    reference=12,
    kind='value',
    hints=('1, then + 2 for each of the three.',
           'The pooling adds 1 and doubles the step.',
           'The last one adds 2 steps of 2 pixels.'),
    why='Depth widens the field slowly, strides widen it quickly.')
e.wrong(11, 'Each convolution after the pooling takes steps of 2 pixels; and the pooling itself widens the field by 1.')
e.wrong(10, 'After the pooling a kernel of 3 adds 2 · 2 pixels.')
e.wrong(7, 'That is before the pooling.')
e.wrong(8, 'That is after the pooling, without the last convolution.')
e.wrong(14, 'A kernel of 3 reaches one step to either side: it adds two steps, not three.')
e.wrong(6, 'A stride of 2 lets the kernel behind it take larger steps; it does not make the field smaller.')
e.wrong(24, 'Sizes do not multiply: each layer adds (k − 1) steps.')
e.wrong(9,
        'Kernels add, but the one after the pooling takes steps of 2 pixels: it adds 4, and the pooling itself adds '
        '1.')
e.wrong(13, 'The pooling of 2 adds 1 pixel, not 2: a window of k adds k − 1 steps.')
e.wrong(16, 'The pooling widens the field by 1; what it doubles is the step.')

# 5.7 Where the field lies

def stack():
    return nn.Sequential(nn.Conv2d(3, 4, 5, 2, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, 1, 1), nn.ReLU(),
                         nn.MaxPool2d(3, 2, 1), nn.Conv2d(5, 6, 3))

def at_layer(name): return lambda f: f(stack(), name)

e = exercise('5.7', 'Where the field lies',
    'Write `receptive_field(model, layer)` for convolutions, ReLUs and max poolings in sequence: `Field(size, step, '
    'start)` of `camtutor.engine.sequence`, or a tuple. Unit i of the layer sees `size` pixels from start + i·step on; '
    'with padding, start is negative. `kernel_size`, `stride` and `padding` of a layer are each a number or a pair of '
    'equal numbers.',
    library='camtutor.deconvnet',
    trials=(Trial('A convolution 5, stride 2, padding 2', at_layer('0'), (5, 2, -2)),
            Trial('And pooling 2', at_layer('2'), (7, 4, -2)),
            Trial('And a convolution 3 with padding 1', at_layer('3'), (15, 4, -6)),
            Trial('At the ReLU behind it', at_layer('4'), (15, 4, -6)),
            Trial('At the last layer', at_layer('6'))),
    hints=('Three numbers from layer to layer; a single pixel begins with 1, 1, 0.',
           'A convolution has pairs, a pooling numbers: bring both to numbers first.',
           'Size and start change with the step so far; the step changes last. `named_children()` gives names and '
           'layers in order: stop after yours.'),
    why='Size says how wide the patch is, start and step where to cut it: with all three, every unit has its place in '
        'the picture.')

@e.reference
def receptive_field(model:nn.Sequential, # of convolutions, ReLUs and max poolings with square windows
                    layer:str # the name of one of them: '3'
                   )->Field: # size, step and start, in pixels
    "Unit i of `layer` sees pixels from start + i*step, `size` of them, in each direction."
    size, step, start = 1, 1, 0
    for name, m in model.named_children():
        if isinstance(m, (nn.Conv2d, nn.MaxPool2d)):
            k, s, p = [v[0] if isinstance(v, tuple) else v for v in (m.kernel_size, m.stride, m.padding)]
            size, step, start = size + (k - 1)*step, step*s, start - p*step
        if name == layer: return Field(size, step, start)

e.edit('start - p*step', 'start - p',
       'A cell of padding further up is as wide as a step there: multiply the padding by the step so far.')
e.edit('start - p*step', 'start + p*step',
       'The sign of the padding is turned: it lets the first unit begin *outside* the picture, at a negative pixel.')
e.edit('start - p*step', 'start - p*step*s',
       'A layer pads what it reads, so its padding counts in steps of the layer *below*. Change the step last.')
e.edit('start - p*step', 'start',
       'The padding is missing: start stays 0. With padding the first unit hangs over the edge.')
e.edit('(k - 1)*step', '(k - 1 - 2*p)*step', 'Padding does not make a field smaller. It only moves it.')
e.edit('if isinstance(m, (', 'if name != layer and isinstance(m, (',
       'You stop in front of `layer`. Its own window belongs to its field.')
e.edit('        if name == layer: return Field', '    return Field',
       'You go on to the last layer, whichever was asked for.')


e.edit('(k - 1)*step', 'k*step', 'A kernel of 3 adds two steps to a field, not three: (k − 1) · step.')
e.edit('(k - 1)*step', '(k - 1)',
       'A kernel further up takes larger steps in the picture: (k − 1) times the step so far.')
e.edit('(k - 1)*step', '(k - 1)*step*s',
       "A layer's own stride spreads its *neighbours*, not its own kernel. Change the step after the size.")
e.edit('step*s,', 'step + s - 1,', 'Strides multiply: two layers of stride 2 take steps of 4 pixels.')
e.edit('size + (k - 1)*step', 'size*k', 'Sizes do not multiply: each layer adds.')
e.edit('(nn.Conv2d, nn.MaxPool2d)', 'nn.Conv2d', 'Max poolings are left out. They read windows and take strides, too.')
e.edit('return Field(size, step, start)', 'return Field(size, step, start + size//2)',
       'The third number is the *middle* of the first field. Where it begins.')
e.edit('step*s,', 'step*(s if isinstance(m, nn.Conv2d) else 1),',
       'The strides of the poolings are left out. A pooling of stride 2 doubles the step, as a convolution does.')
e.edit('(k - 1)*step', 'k//2*step', 'You add one side of a kernel. A kernel of 3 adds two steps, one on each side: '
       '(k − 1) · step.')

# 5.8 What excites a channel

e = exercise('5.8', 'What excites a channel',
    'Write `strongest(A, channel, k)`: the k pictures whose highest activation of the channel is largest, strongest '
    'first, and the row and the column of that place in each.',
    library='camtutor.deconvnet',
    trials=(gives('Random activations of 20 pictures', rand(20, 4, 3, 5)*torch.linspace(.5, 3, 20)[:, None, None, None],
                  2, 6),
            gives('One picture only', rand(20, 4, 3, 5, seed=2), 0, 1)),
    hints=("`flatten(1).max(1)` gives each picture's best value and place.",
           '`topk` on the values gives the pictures.',
           'Place `// width` and `% width`, indexed by those pictures.'),
    why='Nine such patches beside their projections: the classic figure.')

@e.reference
def strongest(A:Tensor, # activations (N,C,h,w)
              channel:int,
              k:int=9 # how many
             )->tuple: # images, rows, columns, each (k,); the strongest first
    "The pictures and places that excite one channel most: at most one place a picture."
    value, at = A[:, channel].flatten(1).max(1)
    images = value.topk(k).indices
    return images, at[images]//A.shape[3], at[images] % A.shape[3]

@e.wrong
def strongest_places(A, channel, k=9):
    "Several places come from the same picture. One for each."
    at = A[:, channel].flatten().topk(k).indices
    h, w = A.shape[2:]
    return at//(h*w), at % (h*w)//w, at % w

e.edit('value.topk', 'A[:, channel].mean((1, 2)).topk',
       'You rank by the mean. A small object with a strong response would be lost: rank by the highest place.')
e.edit('at[images]//A.shape[3], at[images] % A.shape[3]', 'at[images] % A.shape[3], at[images]//A.shape[3]',
       'Rows and columns are exchanged.')
e.edit('at[images]//A.shape[3], at[images] % A.shape[3]', 'at[images]//A.shape[2], at[images] % A.shape[2]',
       'A flat index is row · width + column: divide by the *width*.')
e.edit('.indices', '.indices.flip(0)', 'The weakest of them comes first: turn the order round.')
e.edit('return images,', 'return value[images],',
       'First come the *numbers* of the pictures, not their activations: `topk` returns both, values and indices.')
e.edit('value.topk(k).indices', 'value.argsort()[:k]',
       'These are the pictures that excite the channel least: `argsort` counts upwards.')
e.edit('at[images]//A.shape[3], at[images] % A.shape[3]', 'at[:k]//A.shape[3], at[:k] % A.shape[3]',
       'The places are those of the first k pictures. Index them with the pictures you found.')


e.edit('A[:, channel]', 'A.amax(1)', '`channel` is not used: you look for the strongest of all channels.')
e.edit('value.topk(k)', 'value.topk(9)', '`k` is not used: there are always nine.')
e.edit('A[:, channel]', 'A[:, channel].abs()',
       'You rank by size without the sign. A channel is excited where it is large and *positive*.')
e.edit('at[images]//A.shape[3], at[images] % A.shape[3]', 'at[images]',
       'The place is still one number, counted along the rows. Split it into row and column.')
e.edit('A[:, channel]', 'A[channel]', '`A[channel]` is a picture. Channels are axis 1: `A[:, channel]`.')

# 5.9 A control that asks no network

SHADES = torch.tensor([[[[0., 5., 1.], [2., 9., 4.]]]])
PICS, SOFT, DRAWN = rand(2, 3, 5, 7), rand(2, 3, 5, 7, seed=1)*.3, rand(2, 5, 7, seed=2).relu()

e = exercise('5.9', 'A control that asks no network',
    'Write `contrast_mask(x, soft, d, k)`: for each picture of `x` the k pixels that blurring changes most, as a mask '
    '(N,1,H,W) of bool. `soft` is the blurred picture; a pixel changes by the largest of its colours\' changes. Only '
    'pixels with `d` above 0 may be chosen: those that the drawing touches.',
    trials=(gives('By hand: the changes are 1, 3, 1 and 0, 7, 2; the 7 lies outside the drawing', SHADES,
                  torch.tensor([[[[1., 2., 2.], [2., 2., 2.]]]]), torch.tensor([[[1., 1., 1.], [1., 0., 1.]]]), 2,
                  want=torch.tensor([[[[False, True, False], [False, False, True]]]])),
            gives('Two pictures in colour, six pixels', PICS, SOFT, DRAWN, 6),
            gives('Three pixels', PICS, SOFT, DRAWN + .1, 3)),
    hints=('First a map (N,H,W): how much each pixel changes. Then choose.',
           'The sign of a change does not count; over colours, take the largest.',
           '`topk` on each picture\'s flattened map gives places; `scatter` writes True there.'),
    why='A control has to be hard. Random pixels of a patch are mostly flat fur; contrast costs no network, and comes '
        'close to the projection.')

@e.reference
def contrast_mask(x:Tensor, # pictures (N,C,H,W)
                  soft:Tensor, # the same, blurred
                  d:Tensor, # strength of the drawing (N,H,W), not negative
                  k:int # how many pixels of each picture
                 )->Tensor: # mask (N,1,H,W), bool
    "The k pixels of each picture that a blur changes most, among those that the drawing touches."
    change = (x - soft).abs().amax(1)*(d > 0)
    best = change.flatten(1).topk(k).indices
    return torch.zeros_like(change, dtype=torch.bool).flatten(1).scatter(1, best, True).view_as(change)[:, None]

e.edit('(x - soft).abs()', '(x - soft)',
       'You keep the sign: pixels that get *brighter* by the blur are never chosen. Take the size of the change.')
e.edit('(x - soft)', 'x', 'You choose bright or strong pixels. Contrast is the difference from the blurred picture.')
e.edit('(x - soft)', 'soft', 'You choose by the blurred picture alone. What counts is how much the blur has changed.')
e.edit('*(d > 0)', '',
       'Pixels that the drawing does not touch are chosen as well. Then the comparison is not fair: the unit may '
       'not even see them.')
e.edit('*(d > 0)', '*d',
       'You weigh the contrast by the drawing. Then the control asks the network after all: use `d` only to say '
       'where pixels may be chosen.')
e.edit('(x - soft).abs().amax(1)*(d > 0)', 'd', 'You choose the pixels that the drawing marks. That is what is to be '
       'compared; the control chooses by contrast.')
e.edit('amax(1)', 'sum(1)', 'You add up the colours. A pixel changes by the *largest* of its colours\' changes.')
e.edit('amax(1)', 'amin(1)', 'You take the smallest of the colours\' changes. The largest.')
e.edit('topk(k)', 'topk(k, largest=False)', 'These are the pixels that the blur changes *least*.')
e.edit('topk(k).indices', 'argsort()[:, :k]',
       'These are the pixels that the blur changes *least*: `argsort` counts upwards.')
e.edit('[:, None]', '', 'The axis of colours is missing: the mask is to stand beside pictures (N,C,H,W), so (N,1,H,W).')
e.edit('dtype=torch.bool', 'dtype=torch.float', 'The mask holds 0 and 1. A mask for `torch.where` is of bool.')

@e.wrong
def best_of_batch(x, soft, d, k):
    "You choose k pixels of the whole batch, or one threshold for all. Each picture has k of its own."
    change = (x - soft).abs().amax(1)*(d > 0)
    best = change.flatten().topk(k*len(x)).indices
    return torch.zeros_like(change, dtype=torch.bool).flatten().scatter(0, best, True).view_as(change)[:, None]

e.edit('topk(k)', 'topk(1)', '`k` is not used: one pixel of each picture is chosen.')
e.edit('topk(k)', 'topk(k + 1)',
       'There is a pixel too many in each picture. (A threshold at the next value, taken with `>=`, does that.)')
e.wrong(lambda x, soft, d, k: ~contrast_mask(x, soft, d, k),
        'It is the other way round: True is where a pixel is chosen.')
e.edit('return torch.zeros_like(change, dtype=torch.bool).flatten(1).scatter(1, best, True).view_as(change)[:, None]',
       'return best',
       'These are the numbers of the pixels. A mask is True there and False elsewhere, with the shape of a picture.')

# 5.10 Switches that know nothing of the picture

e = exercise('5.10', 'Switches that know nothing',
    'Write `first_place(idx, w)`: replace each switch of a 2×2 max pooling by the upper left place of its '
    'window. A switch '
    'is row·w + column in the map that the pooling *read*, and w is the width of that map.',
    library='camtutor.deconvnet',
    trials=(gives('By hand: the four windows of a map of 4 × 4', torch.tensor([[[[1, 7], [12, 10]]]]), 4,
                  want=torch.tensor([[[[0, 2], [8, 10]]]])),
            gives('By hand: a map 6 wide', torch.tensor([[[[7, 2, 11]]]]), 6, want=torch.tensor([[[[0, 2, 4]]]])),
            gives('Random maps of 6 × 8', pool(X_)[1], 8),
            gives('A map of 4 × 10', pool(rand(2, 3, 4, 10))[1], 10)),
    hints=('First take the switch apart: which row, which column?',
           'Rounding down to an even number is `i // 2 * 2`.',
           'Do it to the row and to the column, and put them together again.'),
    why='An experiment on the explanation instead of the network: take away what comes from the picture, and see '
        'what is '
        'left of the drawing.')

@e.reference
def first_place(idx:Tensor, # switches (N,C,h,w) of a 2×2 max pooling
                w:int # width of the map that it read
               )->Tensor: # switches of the same shape
    "The upper left place of each switch's window."
    row, col = idx//w, idx % w
    return row//2*2*w + col//2*2

e.edit('row//2*2*w + col//2*2', 'row//2*2*w + col',
       'Only the row is moved. The column goes to the left of its window, too.')
e.edit('row//2*2*w + col//2*2', 'row*w + col//2*2',
       'Only the column is moved. The row goes to the top of its window, too.')
e.edit('row//2*2*w + col//2*2', '(row//2*2 + 1)*w + col//2*2 + 1', 'This is the *lower right* place of each window.')
e.edit('row//2*2*w + col//2*2', 'row//2*2*w + col//2*2 + 1', 'This is the upper *right* place of each window.')
e.edit('row//2*2*w + col//2*2', '(row//2*2 + 1)*w + col//2*2', 'This is the *lower* left place of each window.')
e.edit('row//2*2*w + col//2*2', 'row//2*(w//2) + col//2',
       'These are places in the map *behind* the pooling, half as wide. A switch counts in the map in front of it.')
e.edit('row//2*2*w + col//2*2', 'row//2*w + col//2',
       'You halve row and column and do not double them again: that is the number of the window. Its upper left '
       'place is twice as far.')
e.edit('row, col = idx//w, idx % w', 'row, col = idx % w, idx//w',
       'Rows and columns are exchanged: a switch is row·w + column, so the row is `idx // w`.')
e.edit('row, col = idx//w, idx % w', 'w = idx.shape[3]\n    row, col = idx//w, idx % w',
       "You use the width of the switches' own map. `w` is the width of the map that the pooling read, twice that.")
e.edit('row, col = idx//w, idx % w', 'row, col = idx//idx.shape[2]//2, idx % w',
       '`idx` is divided by a height. The row is `idx // w`.')
e.wrong(lambda idx, w: idx//4*4,
        'You round to a multiple of four. The four places of a window do not follow one another: two of them lie a '
        'row further down.')
e.wrong(lambda idx, w: torch.zeros_like(idx),
        'All switches name the corner of the whole map. Each window has a corner of its own.')
e.wrong(lambda idx, w: idx - (idx//w % 2) - (idx % w % 2)*w,
        'A row down is worth `w` places and a column one: you have exchanged them.')
e.edit('row//2*2*w', 'row/2*2*w',
       'You divide with `/`, which keeps the half: rows are not moved, and places are no whole numbers. `//` rounds '
       'down.')

# 5.11 How much a drawing owes to the picture

MESSAGE = unit('0.3', (1, 2, 3))

def through(title, target=MESSAGE, rule='guided', n=3, seed=0):
    def run(answer):
        net = uneven(seed)
        found = answer(net, differing(net, n), target, rule)
        return float(found) if isinstance(found, Tensor) and found.numel() == 1 else found
    return Trial(title, run)

e = exercise('5.11', 'One message, many pictures',
    'Write `same_message(model, x, target, rule)`: how alike are the drawings of one message? Take what '
    '`pixel_grad(model, x, target, rule)` of `camtutor.guided` brings back, and return, as a number, the mean cosine '
    'between each picture\'s drawing and that of the picture before it (of the last, for the first).',
    trials=(through('One neuron, the guided rule'),
            through('The rule of the deconvnet', rule='deconvnet'),
            through('A whole channel, four pictures', unit('0', 2, whole=True), n=4, seed=1),
            through('No rule: the gradient itself', rule=None)),
    hints=('A drawing is one long row of numbers: flatten all axes but the batch.',
           '`roll(1, 0)` moves each picture to its neighbour\'s place.',
           '`F.cosine_similarity` compares rows; the mean of N of them is the answer.'),
    why='If it is near 1, the picture does not matter: what is drawn belongs to the network alone.')

@e.reference
def same_message(model:nn.Module, # a network with ReLUs
                 x:Tensor, # pictures (N,3,H,W), N at least 2
                 target, # what sends the message, see `unit`
                 rule:str # one of chapter 04's `RULES`, or None
                )->float: # -1 to 1
    "How alike the drawings of one message are for different pictures; 1: the picture does not matter."
    d = pixel_grad(model, x, target, rule).flatten(1)
    return F.cosine_similarity(d, d.roll(1, 0)).mean().item()

e.edit(', rule)', ')', '`rule` is not handed on: this is the ordinary gradient.')
e.edit('target, rule)', "target, 'deconvnet')", "`rule` is not used: it is always the deconvnet's.")
e.edit('target, rule)', "target, 'guided')", "`rule` is not used: it is always the guided one.")
e.edit('x, target, rule)', 'x, None, rule)', '`target` is not used: the scores of the top classes go back.')
e.edit('.roll(1, 0)', '', 'You compare each drawing with itself, which is 1 whatever it shows. Compare neighbours.')
e.edit('d.roll(1, 0)', 'd.roll(1, 1)', 'You move each drawing by one pixel. `roll(1, 0)` moves along the batch.')
e.edit('d.roll(1, 0)', 'x.flatten(1)',
       'You compare each drawing with its own picture. Compare the drawings with each other.')
e.edit('F.cosine_similarity(d, d.roll(1, 0))', '(d*d.roll(1, 0)).sum(1)',
       'These are products of numbers that nothing has scaled. A cosine divides by both lengths.')
e.edit('F.cosine_similarity(d, d.roll(1, 0))', '(d*d.roll(1, 0)).mean(1)',
       'You average products of numbers that nothing has scaled. A cosine divides by both lengths.')
e.edit('rule).flatten(1)', 'rule).abs().amax(1).flatten(1)',
       'You compare strengths, which all are positive, so that any two look alike. Keep the signed pixels.')
e.edit('rule).flatten(1)', 'rule).abs().flatten(1)',
       'You compare sizes without signs, so that any two look alike. Keep the signed pixels.')
e.edit('rule).flatten(1)', 'rule).relu().flatten(1)', 'You cut the negative pixels. They are half of the drawing.')
e.edit('rule).flatten(1)', 'rule).flatten(2)',
       'The colours stay apart, and each is compared by itself. A drawing is one row: flatten all axes but the '
       'batch.')
e.edit('rule).flatten(1)', 'rule).sum(1).flatten(1)',
       'You add up the colours first. Compare all numbers of the drawing.')
e.edit('d.roll(1, 0)).mean()', 'd.roll(1, 0)).max()', 'You take the most alike pair. The mean of all.')
e.edit('d.roll(1, 0)).mean()', 'd.roll(1, 0)).sum()',
       'You add up the cosines. Their mean does not grow with the number of pictures.')
e.edit('.mean().item()', '', 'There is a number for each picture. Return their mean.')
e.edit('.mean()', '[0]', 'You compare one pair alone. The mean of all pairs.')
e.edit('return F.cosine_similarity(d, d.roll(1, 0)).mean().item()',
       'd = d - d.mean(1, keepdim=True)\n    return F.cosine_similarity(d, d.roll(1, 0)).mean().item()',
       'You take the mean off first, which makes it a correlation. A cosine leaves it in.')
e.edit('return F.cosine_similarity(d, d.roll(1, 0)).mean().item()',
       'd = F.normalize(d)\n    return (d @ d.T).mean().item()',
       'You average over all pairs, each drawing with itself included, which adds a 1 for each. Compare neighbours '
       'only.')
e.edit('return F.cosine_similarity(d, d.roll(1, 0)).mean().item()',
       'd = F.normalize(d)\n    return (d @ d.T).fill_diagonal_(0.).mean().item()',
       'You compare all pairs, and divide by their number with the diagonal in it. Compare neighbours only: N pairs.')
