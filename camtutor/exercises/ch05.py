"Chapter 05: deconvnet."
import torch, torch.nn.functional as F
from torch import Tensor, nn

from camtutor.deconvnet import BACK, DeconvNet as Machine, Field, SWITCHES, in_sequence, look
from camtutor.engine.targets import At, class_score
from camtutor.exercises.common import gives, hooks_left, keeps, pictures, rand, seeded, tiny
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise
from camtutor.guided import signed_image, unit, unit_mask

# 5.1 Pooling that remembers

X = torch.tensor([[[[1., 2., 0., 7.], [4., 3., 5., 6.]]]])
X_ = rand(2, 3, 6, 8)

e = exercise('5.1', 'Pooling that remembers',
    'Write `pool(x)`: max pooling over windows of 2 × 2 that also returns its switches: where in the whole map each '
    'maximum was, as row · W + column.',
    trials=(Trial('Worked by hand: a map of 2 × 4', lambda f: f(X.clone()),
                  (torch.tensor([[[[4., 7.]]]]), torch.tensor([[[[4, 3]]]]))),
            gives('Random maps', X_)),
    hints=('`F.max_pool2d` can do it if asked.',
           'Look for an argument about indices.',
           '`return_indices=True` gives a pair.'),
    why='A pooling forgets where. The switches are what a deconvnet keeps of the picture, and the chapter shows how '
        'much that is.')

@e.reference
def pool(x:Tensor # (N,C,H,W), H and W even
        )->tuple: # values (N,C,H/2,W/2), switches of the same shape
    "Max pooling over 2 × 2. The switch says where the maximum was: row*W + column, in the whole map."
    return F.max_pool2d(x, 2, return_indices=True)

@e.wrong
def in_window(x):
    "Your switches count within each window, 0 to 3. They should name a place in the whole map."
    y, idx = pool(x)
    W = x.shape[3]
    return y, (idx//W % 2)*2 + idx % W % 2

@e.wrong
def by_columns(x):
    "You count down the columns. Along the rows: row · W + column."
    y, idx = pool(x)
    H, W = x.shape[2:]
    return y, idx % W*H + idx//W

e.edit('max_pool2d(x, 2, return_indices=True)', 'avg_pool2d(x, 2), F.max_pool2d(x, 2, return_indices=True)[1]',
       'The values are averages. The largest of each window.')
e.edit(', return_indices=True', '', 'Only the values come back. Return both, values first.')

@e.wrong
def absolute(x):
    "You look for the largest size, without the sign."
    _, idx = pool(x.abs())
    return x.flatten(2).gather(2, idx.flatten(2)).view(idx.shape), idx

# 5.2 Unpooling with switches

PLACES = torch.tensor([[[[4, 3]]]])
MET = torch.tensor([[[[1, 1], [1, 7]]]])

e = exercise('5.2', 'Unpooling with switches',
    'Write `unpool(y, idx, shape)`: a map of `shape` with each value of `y` where its switch says, zeros elsewhere. '
    'Values that meet add up (windows of a pooling may overlap).',
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

# 5.3 A convolution, backwards

def filtered(stride=1, padding=1, seed=0):
    def run(answer):
        conv = seeded(nn.Conv2d(3, 4, 3, stride, padding), seed)
        y = torch.randn(conv(X_).shape, generator=torch.Generator().manual_seed(seed + 1))
        return answer(y, conv, X_.shape).detach()
    return run

def painted(answer):
    conv = nn.Conv2d(1, 1, 3, padding=1)
    conv.weight.data = torch.arange(1., 10.).view(1, 1, 3, 3)
    y = torch.zeros(1, 1, 3, 4)
    y[0, 0, 1, 1] = 2.
    return answer(y, conv, (1, 1, 3, 4)).detach()

e = exercise('5.3', 'A convolution, backwards',
    'Write `filter_back(y, conv, shape)`: the transpose of a convolution. Each value of `y` paints the kernel, scaled '
    'by the value; where kernels overlap, they add up. `shape` is what the convolution read.',
    library='camtutor.deconvnet',
    trials=(Trial('Worked by hand: a single 2 paints the kernel 1 … 9', painted,
                  torch.tensor([[[[2., 4., 6., 0.], [8., 10., 12., 0.], [14., 16., 18., 0.]]]])),
            Trial('Random, padding 1', filtered()),
            Trial('Random, stride 2', filtered(2)),
            Trial('Random, stride 3, no padding', filtered(3, 0, 1))),
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
e.edit('conv_transpose2d(y,', 'conv_transpose2d(y.relu(),', 'You rectify. That is another step of the machine.')

# 5.4 The test for a transpose

def products(seed):
    def run(answer):
        conv = seeded(nn.Conv2d(3, 4, 3, 1 + seed, 1), seed)
        y = torch.randn(conv(X_).shape, generator=torch.Generator().manual_seed(seed + 1))
        return [torch.as_tensor(v).detach().float() for v in answer(conv, X_.clone(), y)]
    return run

e = exercise('5.4', 'The test for a transpose',
    'Write `inner_products(conv, x, y)`: the two numbers ⟨conv x, y⟩ and ⟨x, convᵀ y⟩, of the convolution without its '
    'bias. `filter_back` may be imported from `camtutor.deconvnet`.',
    trials=(Trial('A convolution with a bias', products(0)),
            Trial('One with stride 2', products(1))),
    hints=('An inner product of two tensors: multiply, add up.',
           '`F.conv2d` takes the weight without the bias.',
           'One number in the space of outputs, one in the space of inputs.'),
    why='One random pair tells a right transpose from a wrong one: no picture needed.')

@e.reference
def inner_products(conv:nn.Conv2d, # without padding tricks, any bias
                   x:Tensor, # (N,C,H,W)
                   y:Tensor # of the shape that `conv(x)` has
                  )->tuple: # two numbers
    "⟨conv x, y⟩ and ⟨x, convᵀ y⟩ of the convolution's linear part: equal, if the transpose is right."
    ahead = F.conv2d(x, conv.weight, None, conv.stride, conv.padding)
    return (ahead*y).sum(), (x*filter_back(y, conv, x.shape)).sum()

e.edit('F.conv2d(x, conv.weight, None, conv.stride, conv.padding)', 'conv(x)',
       'The bias is in it: with a bias a convolution is not linear, and the identity fails.')
e.edit('(ahead*y).sum(), (x*filter_back(y, conv, x.shape)).sum()',
       'ahead.sum()*y.sum(), x.sum()*filter_back(y, conv, x.shape).sum()',
       'You multiply sums. An inner product multiplies place by place and then adds up.')
e.edit('(ahead*y).sum(), (x*filter_back(y, conv, x.shape)).sum()',
       '(ahead*y).mean(), (x*filter_back(y, conv, x.shape)).mean()',
       'You average. The two sides have different numbers of places; add up.')
e.edit('(ahead*y).sum(), (x*filter_back(y, conv, x.shape)).sum()', 'ahead*y, x*filter_back(y, conv, x.shape)',
       'You multiply place by place, which is the first half. Add up: an inner product is one number.')
e.edit('(ahead*y).sum(), (x*filter_back(y, conv, x.shape)).sum()',
       '(ahead*ahead).sum(), (filter_back(y, conv, x.shape)**2).sum()',
       'You take each with itself. Cross them: conv x with y, x with convᵀ y.')
e.edit('filter_back', 'back_flipped',
       'The way back turns the kernel. The two numbers differ, which is the test at work.')

# 5.5 One layer of the machine

def one_layer(answer):
    conv = seeded(nn.Conv2d(3, 4, 3, padding=1))
    A = conv(X_).relu().detach()
    y, idx = pool(A)
    return answer(rand(*y.shape, seed=7), conv, idx, A.shape, X_.shape).detach()

e = exercise('5.5', 'One layer of the machine',
    'Write `layer_back(y, conv, idx, pooled, read)`: back through a layer of convolution, ReLU and max pooling, as '
    'Zeiler and Fergus did: unpool, rectify, filter.',
    trials=(Trial('A layer of four channels, random values coming back', one_layer),),
    hints=('Three steps, in the opposite order of the way forward.',
           'Forward it was filter, rectify, pool.',
           'Each step is a function that you have written: one line.'),
    why='Chain this through all layers and you have the picture that made people believe in feature hierarchies.')

@e.reference
def layer_back(y:Tensor, # what comes back to the layer's output (N,D,h,w)
               conv:nn.Conv2d, # the layer: convolution C -> D, ReLU, max pooling
               idx:Tensor, # the pooling's switches (N,D,h,w)
               pooled, # (N,D,H,W), what the pooling read
               read # (N,C,H',W'), what the convolution read
              )->Tensor: # (N,C,H',W')
    "Unpool, rectify, filter: one layer of a deconvnet. (`unpool` and `filter_back` may be imported.)"
    return filter_back(unpool(y, idx, pooled).relu(), conv, read)

e.edit('.relu()', '', 'Nothing is rectified: negative values are painted too.')
e.edit('.relu()', '', 'conv, read)', 'conv, read).relu()',
       'You rectify what has been painted. Rectify before filtering.')
e.edit('unpool(y,', 'unpool_blocks(y,', 'You fill whole windows instead of using the switches.')
e.edit('filter_back(unpool(y, idx, pooled).relu(), conv, read)', 'unpool(y, idx, pooled).relu()',
       "The filtering is missing: the result has the layer's channels, not those below it.")
e.edit('.relu()', '.abs()', 'Negative values come out positive. Cut them.')
e.edit('unpool(y,', 'unpool_corner(y,', 'The values go to the corners of their windows. Use the switches.')

# 5.6 The whole machine

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
        return {'on the way there': A.detach(), 'on the way back': machine.project(y).detach()}
    return run

def stages(answer):
    machine = answer(nn.Sequential(sequence()[:3], seeded(nn.Sequential(nn.Conv2d(4, 2, 3), nn.ReLU()), 1)))
    A = machine(X_, '1.1')
    return {'on the way there': A.detach(), 'on the way back': machine.project(A.detach()).detach()}

e = exercise('5.6', 'The whole machine',
    "Write `DeconvNet(model)`. `machine(x, layer=None)` runs forward as far as `layer` and returns what comes out "
    "there; `machine.project(y)` brings `y`, of that shape, back to the pixels. This chapter's three tools do the "
    "single steps, and may be imported from `camtutor.deconvnet`: `in_sequence(model)` lists (name, layer), "
    "`look(layer, x)` gives output and memory, and `BACK[type(layer)](y, layer, memory)` goes back through one layer. "
    "Keep the memories in `self.seen`, a list of (layer, memory), and record no gradients.",
    library='camtutor.deconvnet',
    trials=(Trial('Five layers, there and back', there_and_back()),
            Trial('As far as the pooling', there_and_back('2')),
            Trial('A second picture through the same machine', there_and_back(times=2)),
            Trial('Two projections, one after the other', there_and_back(twice=True)),
            Trial('Sequences within a sequence', stages)),
    hints=('On the way there, keep one pair for each layer that runs: the layer, and what the way back must know of '
           'it.',
           '`look` gives both, output and memory. Break off once the name is `layer`.',
           '`project` goes through the kept pairs in reverse, and hands `y` from one `BACK` to the next.'),
    why="With this, Zeiler and Fergus showed in 2013 what channels look for. Exercise 5.16 asks what the machine is "
        "in today's words.")

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
e.edit('y = BACK[type(m)](y, m, seen)', 'y = y if isinstance(m, nn.ReLU) else BACK[type(m)](y, m, seen)',
       'The ReLUs are skipped on the way back. They rectify there as well.')

# 5.7 A deconvnet without the machine

def detached(out): return out.detach() if isinstance(out, Tensor) else out

def weighted(conv, *weights):
    conv.weight.data = torch.tensor(weights).view_as(conv.weight)
    return conv

def crossed():
    return nn.Sequential(weighted(nn.Conv2d(1, 2, 1, bias=False), 1., -1.), nn.ReLU(),
                         weighted(nn.Conv2d(2, 1, 1, bias=False), 1., 2.))

def by_crossing(answer):
    return detached(answer(crossed(), torch.tensor([[[[1., -2., 3.]]]]), unit('2', 0, whole=True)))

TIDY = {'parameters': '`backward()` fills every `.grad` on its way. `torch.autograd.grad` returns the one that you '
                      'ask for, and leaves none.', 'hooks': 'Remove yours, best in `finally`.',
        'your x': 'Work on a clone of it.'}

def drawn_back(title, **asked):
    def run(answer):
        net, x = tiny(), pictures(3)
        out = answer(net, x, **asked)
        return {'the pixels': detached(out), 'hooks left': hooks_left(net),
                'parameters with a .grad left': sum(p.grad is not None for p in net.parameters()),
                'your x is marked with requires_grad': x.requires_grad}
    return Trial(title, run, says=TIDY)

e = exercise('5.7', 'A deconvnet without the machine',
    "Write `deconvnet(model, x, target=None)`: the same projection by one gradient at the pixels. The network runs "
    "forward once, under `ReLURule('deconvnet')`. For a class, the score `class_score(out, target)` of each picture "
    "goes back. Where `target` is an `At`, as `unit` makes it, the places of a layer go back: the gradient that starts "
    "at the layer's output A is A · mask (the third argument of `torch.autograd.grad`), and the mask is the gradient "
    "of `target.fn(A)` at A. The network is in eval mode, and its ReLUs do not work in place. Leave no hook and no "
    "`.grad`. `ReLURule`, `unit` and `pixel_grad` may be imported from `camtutor.guided`, `At` and `class_score` from "
    "`camtutor.engine.targets`.",
    library='camtutor.deconvnet',
    trials=(Trial('By hand: channels x and −x, joined with weights 1 and 2, on the pixels 1, −2, 3', by_crossing,
                  torch.tensor([[[[-1., -4., -3.]]]]), 'The layer puts out 1, 4, 3. All that comes back to the ReLU '
                                                       'is positive, so nothing is cut: 1 · 1 − 2 · 1 = −1, and so '
                                                       'on.'),
            drawn_back('The score of class 2', target=2),
            drawn_back('The scores of each picture\'s top class'),
            drawn_back('A class for each picture', target=[1, 0, 2]),
            drawn_back('A whole channel of a layer', target=unit('0.4', 2, whole=True)),
            drawn_back('The strongest place of a channel', target=unit('0.4', 2)),
            drawn_back('The strongest place of the strongest channel', target=unit('0.3')),
            drawn_back('One neuron', target=unit('0.4', (1, 2, 1)))),
    hints=('A is needed twice: as the output from which the gradient runs down to the pixels, and as plain numbers, '
           'the weight, which say how strongly each place starts. Only the first belongs to the graph.',
           'A forward hook on the layer keeps its output, and `model.get_submodule` finds the layer. Do not detach '
           'that output: the gradient starts from it. Detach it in the weight.',
           '`torch.autograd.grad(A, x, weight)` starts at A with the weight; the weight has the shape of A, and its '
           'A is detached. The scores start with a 1 each: add them up, and no third argument is needed.'),
    why="The machine needed a table of layers and a memory; this needs a rule for one of them, and goes through skip "
        "connections, too. The library's is one line of chapter 04's `pixel_grad`, which also takes ReLUs in place "
        "and says what is wrong with bad input.")

@e.reference
def deconvnet(model:nn.Module, # a network in eval mode whose ReLUs do not work in place
              x:Tensor, # batch (N,3,H,W)
              target=None # a class, see `class_score`, or a `unit`
             )->Tensor: # (N,3,H,W), signed
    "What a deconvnet brings back to the pixels, as a backward pass under the 'deconvnet' rule. No hook stays."
    from camtutor.engine.targets import At, class_score
    from camtutor.guided import ReLURule
    layer = target.layer if isinstance(target, At) else ''
    x, kept = x.clone().requires_grad_(), []
    handle = model.get_submodule(layer).register_forward_hook(lambda m, args, out: kept.append(out))
    try:
        with ReLURule('deconvnet'): out = model(x)
    finally: handle.remove()
    if not layer: return torch.autograd.grad(class_score(out, target).sum(), x)[0]
    A, = kept
    mask, = torch.autograd.grad(target.fn(A).sum(), A)
    return torch.autograd.grad(A, x, mask*A.detach())[0]

e.edit("ReLURule('deconvnet')", "ReLURule('guided')",
       "This is guided backprop, which also blocks where the ReLU was closed on the way there. A deconvnet asks only "
       "whether what comes *back* is positive: the rule is 'deconvnet'.")
deconvnet_gradient = e.edit("with ReLURule('deconvnet'): out = model(x)", 'out = model(x)',
                            "This is the ordinary gradient. `ReLURule` sets a ReLU's way back at the moment when the "
                            "ReLU runs *forward*: the call of the model belongs inside the `with`. Taking the "
                            "gradient may stand outside.")

@e.wrong
def second_run(model, x, target=None):
    """A class goes back by the rule, but a channel by the ordinary gradient. Whatever you take the gradient of must
    come from a run *inside* the `with`."""
    return (deconvnet_gradient if isinstance(target, At) else deconvnet)(model, x, target)

e.edit('kept.append(out)', 'kept.append(out.detach())',
       'What your hook keeps is detached, as the `Hook` of chapter 01 does it. Then no way leads from it to the '
       'pixels: keep the output itself, and detach only the weight.')
e.edit('*A.detach()', '',
       'The channel sends back a 1 from each place. A deconvnet sends back what is there: the mask times the '
       'activation. (If A · mask is added up as a score, the gradient starts with the mask alone; the A must be in '
       'what starts.)')
e.edit('mask*A.detach()', 'mask*A.detach()*2',
       'It is twice what it should be: you take the gradient of A · A, and so A counts as weight and as what is '
       'weighed. `detach` the weight.')
e.edit('mask*A.detach()', 'A.detach()',
       'All channels of the layer go back together. Multiply by the mask.')
e.edit('class_score(out, target)', 'class_score(out)',
       '`target` is not used: it is always the top class that goes back.')

@e.wrong
def weighs_class(model, x, target=None):
    "A class is not weighed by its own score. Only the places of a channel are weighed, by their activations."
    out = deconvnet(model, x, target)
    return out if isinstance(target, At) else out*class_score(model(x), target).detach()[:, None, None, None]

e.wrong(lambda model, x, target=None: deconvnet(model, x, target).relu(),
        'You rectify what arrives at the pixels. There is no ReLU in front of the first layer; and the negative pixels '
        'are half of the drawing.')
e.edit('finally: handle.remove()', 'finally: pass', 'A hook stays on the network: remove it, best in `finally`.')

# 5.8 How much a unit sees

e = exercise('5.8', 'How much a unit sees',
    'Write `field_of(layers)`: from a list of (kernel, stride) upwards, how many pixels wide the receptive field is, '
    'and how many pixels apart the fields of neighbours are.',
    trials=(Trial('Two convolutions 3, stride 1', lambda f: f([(3, 1), (3, 1)]), (5, 1)),
            Trial('A convolution 5 of stride 2, pooling 2, convolution 3', lambda f: f([(5, 2), (2, 2), (3, 1)]),
                  (15, 4)),
            Trial('No layer', lambda f: f([]), (1, 1)),
            Trial('A ResNet\'s beginning', lambda f: f([(7, 2), (3, 2), (3, 1), (3, 1), (3, 2)]))),
    hints=('Carry two numbers from layer to layer.',
           'Size grows by (kernel − 1) times the present step.',
           'Then the step is multiplied by the stride.'),
    why="A unit can only be explained by what it can see; the crop of the chapter's figure is this wide.")

@e.reference
def field_of(layers:list # of (kernel, stride) from the picture upwards
            )->tuple: # (size, step) in pixels
    "How many pixels wide the field of one unit above all `layers` is, and how far apart the fields of neighbours are."
    size, step = 1, 1
    for kernel, stride in layers: size, step = size + (kernel - 1)*step, step*stride
    return size, step

e.edit('(kernel - 1)*step', 'kernel - 1',
       'A kernel further up takes larger steps in the picture: multiply by the strides below it.')
e.edit('(kernel - 1)*step', 'kernel*step', 'A kernel of 3 adds two steps to a field, not three.')
e.edit('(kernel - 1)*step', '(kernel - 1)*step*stride',
       "A layer's own stride spreads its *neighbours*, not its own kernel. Change the step after the size.")
e.edit('size + (kernel - 1)*step', 'size*kernel', 'Sizes do not multiply: each layer adds.')
e.edit('(kernel - 1)*step', '(kernel - 1)*stride',
       "You widen the field by the layer's own stride. What counts is how far apart its inputs lie in the picture: "
       "the product of all strides *below*.")
e.edit('return size, step', 'return size, sum(s for _, s in layers)',
       'You add the strides. Two layers of stride 2 take steps of 4 pixels: strides multiply.')

# 5.9 By hand

e = exercise('5.9', 'By hand',
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
e.wrong(16, 'The pooling widens the field by 1; what it doubles is the step.')

# 5.10 Where the field lies

def stack():
    return nn.Sequential(nn.Conv2d(3, 4, 5, 2, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, 1, 1), nn.ReLU(),
                         nn.MaxPool2d(3, 2, 1), nn.Conv2d(5, 6, 3))

def at_layer(name): return lambda f: f(stack(), name)

e = exercise('5.10', 'Where the field lies',
    'Write `receptive_field(model, layer)` for a sequence of convolutions, ReLUs and max poolings: `Field(size, step, '
    'start)`, which is in `camtutor.deconvnet`; a tuple will do. Unit i of the layer sees `size` pixels from start + '
    'i·step on; with padding, start is negative. Read `kernel_size`, `stride` and `padding` off the layers; each is a '
    'number or a pair of equal numbers. (Exercise 5.8 is a simpler form of this.)',
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

# 5.11 What excites a channel

e = exercise('5.11', 'What excites a channel',
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

# 5.12 The patch that a unit sees

CROPPED = torch.arange(16.).view(1, 1, 4, 4)

e = exercise('5.12', 'The patch that a unit sees',
    'Write `crop(x, field, rows, cols, fill=0.)`: from each picture of (N,3,H,W) the `field.size` pixels square that '
    'its unit (row, column) sees. It begins at `field.start` + row·`field.step`, the columns likewise. What lies '
    'outside the picture gets the colour `fill`.',
    library='camtutor.deconvnet',
    trials=(gives('By hand: row 1, column 0 of fields 2 wide', CROPPED, Field(2, 2, 0), torch.tensor([1]),
                  torch.tensor([0]), want=[[[[8., 9.], [12., 13.]]]]),
            gives('By hand: over the upper edge', CROPPED, Field(3, 2, -1), torch.tensor([0]), torch.tensor([1]), .5,
                  want=[[[[.5, .5, .5], [1., 2., 3.], [5., 6., 7.]]]]),
            gives('Two pictures, two places', X_, Field(5, 3, -2), torch.tensor([1, 2]), torch.tensor([0, 2]), .25),
            keeps(X_, Field(5, 3, -2), torch.tensor([1, 2]), torch.tensor([0, 2]))),
    hints=('A slice that begins below 0 counts from the far end: pad the pictures first, with `F.pad(…, value=fill)`.',
           'How far can a field hang over? Less than its size: so pad by that much on all four sides.',
           'Padding moves everything: add it to start + row·step. One slice for each picture, and `torch.stack`.'),
    why='Patch and projection belong side by side: a unit cannot have seen anything outside its patch, whatever the '
        'drawing suggests.')

@e.reference
def crop(x:Tensor, # pictures (N,3,H,W)
         field, # what a unit sees: `.size`, `.step` and `.start`, in pixels
         rows:Tensor, # the unit of each picture (N,): its row
         cols:Tensor, # and its column (N,)
         fill:float=0. # the colour outside the picture
        )->Tensor: # (N,3,size,size)
    "Cut out what one unit of each picture sees; what lies outside the picture is filled."
    x = F.pad(x, [field.size]*4, value=fill)
    found = []
    for pic, r, c in zip(x, rows.tolist(), cols.tolist()):
        top, left = [field.size + field.start + i*field.step for i in (r, c)]
        found.append(pic[:, top:top+field.size, left:left+field.size])
    return torch.stack(found)

e.edit('zip(x, rows.tolist(), cols.tolist())', 'zip(x, cols.tolist(), rows.tolist())',
       'Rows and columns are exchanged: rows count down the picture.')
e.edit(' + field.start', '', '`field.start` is missing: with padding, the first unit begins outside the picture.')
e.edit('i*field.step', 'i', "A unit's row is counted in units, not in pixels: multiply by `field.step`.")
e.edit('x = F.pad(x, [field.size]*4, value=fill)\n    ', '', '[field.size + field.start', '[field.start',
       'Inside the picture it is right. At the edge a slice begins below 0, which in Python counts from the far end, '
       'and nothing is left. Pad the picture first, and count from there.')

@e.wrong
def pushed_in(x, field, rows, cols, fill=0.):
    """At the edge you move the patch into the picture. Then its middle is no longer what the unit looks at: let it
    hang over, and fill."""
    def at(i, n): return min(max(i*field.step + field.start, 0), n - field.size)
    return torch.stack([p[:, (t := at(r, p.shape[1])):t+field.size, (l := at(c, p.shape[2])):l+field.size]
                        for p, r, c in zip(x, rows.tolist(), cols.tolist())])

e.edit(', value=fill', '', '`fill` is not used: what lies outside is 0 whatever colour was asked for.')
e.edit('field.start', '-(field.size//2)',
       'You put the unit in the middle of the patch. `field.start` says where it really begins.')
e.edit('[field.size + field.start', '[field.start',
       'You pad the picture, and then count as if you had not: everything in it has moved by the padding.')

# 5.13 Other switches

def two_poolings():
    return seeded(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                                nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)))

def swapped(how, net=two_poolings, x=rand(2, 3, 8, 12)):
    def run(answer):
        machine = Machine(net())
        y = machine(x)
        back = answer(machine, how)
        comes = 'the same machine' if back is machine else 'None' if back is None else f'another {type(back).__name__}'
        return {'what comes back': comes, 'what the machine draws': machine.project(y)}
    return run

def only_pooling(): return nn.Sequential(nn.MaxPool2d(2))

e = exercise('5.13', 'Other switches',
    'Write `swap_switches(machine, how)`: replace the switches of every max pooling that `machine`, a `DeconvNet`, '
    'went through, and return the same machine. Its memory `machine.seen` is a list of pairs (layer, memory). A '
    'memory is a named tuple: `memory.shape` is the shape that the layer read, `memory.idx` its switches, or None '
    'where a layer has none. A named tuple cannot be changed: make a new one with `memory._replace(idx=…)`. '
    '`SWITCHES[how](idx, width)` of `camtutor.deconvnet` gives the new switches; a switch is row · width + column, in '
    'the map that the pooling *read*.',
    library='camtutor.deconvnet',
    trials=(Trial('By hand: the 4 and the 7 of a map of 2 × 4 go to the first place of their windows',
                  swapped('first', only_pooling, X),
                  {'what comes back': 'the same machine',
                   'what the machine draws': torch.tensor([[[[4., 0., 7., 0.], [0., 0., 0., 0.]]]])}),
            Trial('By hand: that map and its mirror image borrow each other\'s switches',
                  swapped('other', only_pooling, torch.cat([X, X.flip(3)])),
                  {'what comes back': 'the same machine',
                   'what the machine draws': torch.tensor([[[[4., 0., 0., 0.], [0., 0., 0., 7.]]],
                                                           [[[0., 0., 0., 4.], [7., 0., 0., 0.]]]])}),
            Trial('Six layers, two of them poolings: the first places', swapped('first')),
            Trial('Six layers, another picture\'s switches', swapped('other')),
            Trial('Six layers, their own switches', swapped('own'))),
    hints=('Go through the pairs, and build a new list of pairs in the same order.',
           'A pair (layer, memory) is a tuple and cannot be changed either: put a new pair, with the layer and the '
           'new memory, into the list.',
           'The width is the last number of the shape that the pooling read. Where `idx` is None, the pair stays as '
           'it is.'),
    why="An experiment on the explanation instead of the network: take away what comes from the picture, and see what "
        "is left of the drawing. The library's own also says which switches there are, when it does not know the ones "
        "you ask for.")

@e.reference
def swap_switches(machine:DeconvNet, # that has run on a batch
                  how:str # a key of `SWITCHES`: 'own', 'first' or 'other'
                 )->DeconvNet: # the same machine
    "Replace the switches of every max pooling; all else that the machine remembers stays."
    seen = []
    for m, memory in machine.seen:
        if memory.idx is not None: memory = memory._replace(idx=SWITCHES[how](memory.idx, memory.shape[3]))
        seen.append((m, memory))
    machine.seen = seen
    return machine

e.edit('memory.shape[3]', 'memory.idx.shape[3]',
       'You take the width of the map *behind* the pooling, which is that of `idx`. A switch counts along the rows of '
       'the map in front of it, `memory.shape`.')
e.edit('memory.shape[3]', 'memory.shape[2]', 'That is the height. A switch is row · *width* + column.')
e.edit('if memory.idx is not None: ', '',
       "Only poolings have switches. The other layers' `idx` is None: leave their memories as they are.")
e.edit('append((m, memory))', 'append(memory)',
       'The layers are lost: `machine.seen` holds pairs, the layer and its memory. `project` needs both.')
e.edit('machine.seen = seen', 'pass',
       'The machine still has its old switches. `_replace` does not change a memory, it makes a new one: the new one '
       'must get into `machine.seen`.')
e.edit('memory._replace(idx=SWITCHES[how](memory.idx, memory.shape[3]))',
       '(memory.shape, SWITCHES[how](memory.idx, memory.shape[3]))',
       'A memory has become a plain tuple, and the way back asks it for `.shape` and `.idx`. `memory._replace(idx=…)` '
       'keeps the names.')
e.edit('memory = memory._replace(idx=SWITCHES[how](memory.idx, memory.shape[3]))',
       'memory.idx = SWITCHES[how](memory.idx, memory.shape[3])',
       'A named tuple takes no assignment to its parts. `memory._replace(idx=…)` makes a new memory, which then goes '
       'into `machine.seen`, with its layer.')
e.edit('return machine', 'return', 'Nothing comes back. Return the machine, so that `.project(…)` can follow at once.')
e.edit('return machine', 'return seen', 'You return the list of memories. The machine itself was asked for.')

@e.wrong
def swap_copy(machine, how):
    "You change a copy, and the machine that you were given keeps its switches."
    import copy
    return swap_switches(copy.copy(machine), how)

@e.wrong
def poolings_only(machine, how):
    "Only the poolings are left in the memory. The other layers go back as well: keep their pairs."
    swap_switches(machine, how).seen = [(m, s) for m, s in machine.seen if s.idx is not None]
    return machine

def swap_one(which):
    def swap(machine, how):
        at = [i for i, (m, s) in enumerate(machine.seen) if s.idx is not None][which]
        m, s = machine.seen[at]
        machine.seen[at] = m, s._replace(idx=SWITCHES[how](s.idx, s.shape[3]))
        return machine
    return swap

e.wrong(swap_one(0), 'Only the first pooling gets new switches. All of them should.')
e.wrong(swap_one(-1), 'Only the last pooling gets new switches. All of them should.')

# 5.14 What one channel draws

def two_channels(): return nn.Sequential(weighted(nn.Conv2d(1, 2, 1, bias=False), 1., -1.), nn.ReLU(), nn.MaxPool2d(2))

def drawing(*args, net=two_poolings, x=rand(3, 3, 12, 16), **asked):
    return lambda answer: detached(answer(net(), x.clone(), *args, **asked))

SIGNS = torch.tensor([[[[1., 2.], [-4., 3.]]]])

e = exercise('5.14', 'What one channel draws',
    "Write `project(model, x, layer, channel=None, whole=True, switches='own', clip=99.5)`: all of this chapter in "
    "one call. A `DeconvNet` runs as far as `layer`; of its output A only A · mask goes back, with the mask "
    "`unit_mask(A, channel, whole)` of `camtutor.guided`; the machine's switches are those that "
    "`swap_switches(machine, switches)` puts in; and the result is drawn with `signed_image(pixels, clip)` of "
    "`camtutor.guided`.",
    library='camtutor.deconvnet',
    trials=(Trial('By hand: channel 1 is −x, and the largest of its window is the 4 at the lower left',
                  drawing('2', 1, clip=100, net=two_channels, x=SIGNS), torch.tensor([[[[.5, .5], [0., .5]]]]),
                  'A 4 goes back to its place and through the weight −1: a −4 in a picture of zeros. Zero is grey '
                  '(0.5), and the strongest negative black (0).'),
            Trial('By hand: the same, drawn at the first place',
                  drawing('2', 1, switches='first', clip=100, net=two_channels, x=SIGNS),
                  torch.tensor([[[[0., .5], [.5, .5]]]])),
            Trial('Channel 3 of the last layer', drawing('5', 3)),
            Trial('Its strongest place', drawing('5', 3, False)),
            Trial('Each picture\'s strongest channel', drawing('4')),
            Trial('Another picture\'s switches', drawing('5', 2, switches='other')),
            Trial('A lower layer, clip = 90', drawing('2', 1, clip=90))),
    hints=('Four steps: run forward, choose what goes back, come back, draw.',
           'The run makes the memory, and so the switches can only be swapped after it; the mask needs A, which the '
           'run gives.',
           '`swap_switches` returns the machine, so that `.project(…)` can follow it.'),
    why='The sliders of this chapter run on this one function; with `ex.use("5.14")` they run on yours.')

@e.reference
def project(model:nn.Sequential, # layers in sequence
            x:Tensor, # batch (N,3,H,W)
            layer:str, channel=None, whole:bool=True, # whose channel, and its whole map or one place: see `unit_mask`
            switches:str='own', # a key of `SWITCHES`
            clip:float=99.5 # see `signed_image`
           )->Tensor: # pictures (N,3,H,W) in [0,1]
    "What one channel draws, with the picture's own switches or others."
    from camtutor.deconvnet import DeconvNet
    machine = DeconvNet(model)
    A = machine(x, layer)
    swap_switches(machine, switches)
    return signed_image(machine.project(A*unit_mask(A, channel, whole)), clip)

e.edit('A*unit_mask(A, channel, whole)', 'A', 'All channels draw together. Multiply A by the mask.')
e.edit('A*unit_mask', 'unit_mask',
       'You send the mask back, that is a 1 from each place. Send the activations there: A times the mask.')
e.edit('(A, channel, whole)', '(A, channel)',
       '`whole` is not used: only the strongest place draws. Hand it to `unit_mask`.')
e.edit('(A, channel, whole)', '(A, channel, True)',
       'The whole map draws, whatever `whole` says. Hand it to `unit_mask`.')
e.edit('(A, channel, whole)', '(A, None, whole)', "`channel` is not used: each picture's strongest one draws.")
e.edit('swap_switches(machine, switches)', 'pass',
       "`switches` changes nothing: the picture's own are still in. Put the others in *after* the machine has run "
       "forward, since each run makes a new memory.")
e.edit('signed_image(machine.project(A*unit_mask(A, channel, whole)), clip)',
       'machine.project(A*unit_mask(A, channel, whole))',
       'These are signed pixels. Draw them: `signed_image` brings them to [0,1], with zero in the middle.')
e.edit('whole)), clip)', 'whole)))', '`clip` is not handed on to `signed_image`, which has a default of its own.')
e.edit('return signed_image(machine.project(A*unit_mask(A, channel, whole)), clip)',
       'g = machine.project(A*unit_mask(A, channel, whole))\n    low, high = g.amin((1, 2, 3), True), '
       'g.amax((1, 2, 3), True)\n    return (g - low)/(high - low).clamp(min=1e-12)',
       'You stretch from lowest to highest, so that zero is no longer mid-grey, and nothing is clipped. '
       '`signed_image` does both.')
e.edit('machine(x, layer)', 'machine(x)', 'The machine runs through all layers. It should stop after `layer`.')

# 5.15 What switches carry

e = exercise('5.15', 'What switches carry',
    'You replace all switches by the corner of each window. The projection …',
    reference='loses its sharp outlines: much of the detail came from the switches, that is from the picture itself',
    kind='choice')
e.wrong('stays the same, since the kernels do the work', 'Try it: edges fall apart into a grid.')
e.wrong('becomes sharper, since noise is removed', 'The switches are no noise; they are the places of edges.')

# 5.16 Against backprop

e = exercise('5.16', 'Against backprop',
    'A deconvnet and a backward pass differ only …',
    reference='at the ReLU: one rectifies what comes back, the other blocks where the forward pass was closed',
    kind='choice')
e.wrong('at the convolution: one inverts it, the other transposes it', 'Both transpose it. Nothing is inverted.')
e.wrong('at the pooling: only the deconvnet has switches',
        'The gradient of max pooling goes to the maximum too: the same switches.')
e.wrong('in everything: one is a network of its own',
        'It can be built as one; its layers are those of the backward pass, with another ReLU.')
