"Chapter 05: deconvnet."
import torch, torch.nn.functional as F
from torch import Tensor, nn

from camtutor.deconvnet import BACK, DeconvNet as Machine, Field, SWITCHES, in_sequence, look
from camtutor.exercises.common import gives, hooks_left, keeps, pictures, rand, seeded, tiny
from camtutor.exercises.core import Exercise, Mistake, Trial
from camtutor.gradcam import capture, class_score
from camtutor.guided import ReLURule, pixel_grad, signed_image, unit_mask

X = torch.tensor([[[[1., 2., 0., 7.], [4., 3., 5., 6.]]]])
X_ = rand(2, 3, 6, 8)

# 5.1 pooling that remembers

def pool(x:Tensor # (N,C,H,W), H and W even
        )->tuple: # values (N,C,H/2,W/2), switches of the same shape
    "Max pooling over 2 × 2. The switch says where the maximum was: row*W + column, in the whole map."
    return F.max_pool2d(x, 2, return_indices=True)

def pool_unfold(x):
    H, W = x.shape[2:]
    place = torch.arange(H*W).view(H, W)
    def windows(t): return t.unflatten(-1, (W//2, 2)).unflatten(-3, (H//2, 2)).transpose(-3, -2).flatten(-2)
    best, at = windows(x).max(-1)
    return best, windows(place).expand(*best.shape, 4).gather(-1, at[..., None])[..., 0]
def pool_module(x): return nn.MaxPool2d(2, return_indices=True)(x)

def pool_in_window(x):
    y, idx = pool(x)
    W = x.shape[3]
    return y, (idx//W % 2)*2 + idx % W % 2
def pool_by_columns(x):
    y, idx = pool(x)
    H, W = x.shape[2:]
    return y, idx % W*H + idx//W
def pool_average(x): return F.avg_pool2d(x, 2), pool(x)[1]
def pool_values_only(x): return pool(x)[0]
def pool_absolute(x):
    _, idx = pool(x.abs())
    return x.flatten(2).gather(2, idx.flatten(2)).view(idx.shape), idx

# 5.2 and back

def unpool(y:Tensor, # (N,C,h,w)
           idx:Tensor, # switches (N,C,h,w): row*W + column in the map of `shape`
           shape # (N,C,H,W), the shape before the pooling
          )->Tensor: # (N,C,H,W)
    "Each value back where its switch says, zeros elsewhere; values that meet add up."
    return torch.zeros(shape).flatten(2).scatter_add_(2, idx.flatten(2), y.flatten(2)).view(shape)

def unpool_loop(y, idx, shape):
    out = torch.zeros(shape)
    for n in range(shape[0]):
        for c in range(shape[1]):
            for v, at in zip(y[n, c].flatten().tolist(), idx[n, c].flatten().tolist()): out[n, c, at//shape[3], at % shape[3]] += v
    return out
def unpool_one_hot(y, idx, shape):
    place = F.one_hot(idx.flatten(2), shape[2]*shape[3]).to(y.dtype)
    return torch.einsum('ncip,nci->ncp', place, y.flatten(2)).reshape(shape)

def unpool_corner(y, idx, shape):
    out = torch.zeros(shape)
    out[:, :, ::2, ::2][:, :, :y.shape[2], :y.shape[3]] = y
    return out
def unpool_blocks(y, idx, shape): return F.interpolate(y, tuple(shape[2:]), mode='nearest')
def unpool_replaces(y, idx, shape): return torch.zeros(shape).flatten(2).scatter_(2, idx.flatten(2), y.flatten(2)).view(shape)
def unpool_columns(y, idx, shape):
    N, C, H, W = shape
    return unpool(y, idx, (N, C, W, H)).transpose(2, 3) if H != W else unpool(y, idx, shape).transpose(2, 3)
def unpool_one_plane(y, idx, shape):
    out = torch.zeros(shape)
    out.view(-1).scatter_add_(0, idx.reshape(-1), y.reshape(-1))
    return out
def unpool_one_plane_replaces(y, idx, shape):
    out = torch.zeros(shape)
    out.view(-1)[idx.reshape(-1)] = y.reshape(-1)
    return out
def unpool_one_channel(y, idx, shape):
    return torch.zeros(shape).flatten(2).scatter_add_(2, idx[:, :1].expand_as(idx).flatten(2), y.flatten(2)).view(shape)

PLACES = torch.tensor([[[[4, 3]]]])
MET = torch.tensor([[[[1, 1], [1, 7]]]])

# 5.3 filtering back

def filter_back(y:Tensor, # (N,D,h,w)
                conv:nn.Conv2d, # a convolution C -> D
                shape # (N,C,H,W), what the convolution read
               )->Tensor: # (N,C,H,W)
    "The transpose of a convolution: each value paints its kernel, scaled by the value; where kernels overlap they add up."
    def left_over(i): return (shape[i] + 2*conv.padding[i-2] - conv.kernel_size[i-2]) % conv.stride[i-2]
    return F.conv_transpose2d(y, conv.weight, None, conv.stride, conv.padding, (left_over(2), left_over(3)))

def filter_back_grad(y, conv, shape):
    x = torch.zeros(shape, requires_grad=True)
    return torch.autograd.grad(conv(x), x, y)[0]
def filter_back_input(y, conv, shape): return torch.nn.grad.conv2d_input(tuple(shape), conv.weight, y, conv.stride, conv.padding)
def filter_back_paint(y, conv, shape):
    (sh, sw), (ph, pw), (kh, kw) = conv.stride, conv.padding, conv.kernel_size
    out = torch.zeros(shape[0], shape[1], shape[2] + 2*ph, shape[3] + 2*pw)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]): out[:, :, i*sh:i*sh+kh, j*sw:j*sw+kw] += torch.einsum('nd,dcij->ncij', y[:, :, i, j], conv.weight)
    return out[:, :, ph:ph+shape[2], pw:pw+shape[3]]

def back_with_bias(y, conv, shape): return filter_back(y + conv.bias[:, None, None], conv, shape)
def back_bias_given(y, conv, shape): return F.conv_transpose2d(y, conv.weight, conv.bias, conv.stride, conv.padding)
def back_convolved(y, conv, shape): return F.conv2d(y, conv.weight.transpose(0, 1), None, conv.stride, conv.padding)
def back_flipped(y, conv, shape):
    turned = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)
    turned.weight.data = conv.weight.data.flip(2, 3)
    return filter_back(y, turned, shape)
def back_turned(y, conv, shape):
    turned = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)
    turned.weight.data = conv.weight.data.transpose(2, 3).contiguous()
    return filter_back(y, turned, shape)
def back_no_stride(y, conv, shape): return F.conv_transpose2d(y, conv.weight, None, 1, conv.padding)
def back_short(y, conv, shape): return F.conv_transpose2d(y, conv.weight, None, conv.stride, conv.padding)
def back_rectified(y, conv, shape): return filter_back(y.relu(), conv, shape)

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

# 5.4 the test for a transpose

def inner_products(conv:nn.Conv2d, # without padding tricks, any bias
                   x:Tensor, # (N,C,H,W)
                   y:Tensor # of the shape that `conv(x)` has
                  )->tuple: # two numbers
    "⟨conv x, y⟩ and ⟨x, convᵀ y⟩ of the convolution's linear part: equal, if the transpose is right."
    ahead = F.conv2d(x, conv.weight, None, conv.stride, conv.padding)
    return (ahead*y).sum(), (x*filter_back(y, conv, x.shape)).sum()

def inner_grad(conv, x, y):
    x = x.detach().clone().requires_grad_()
    ahead = conv(x) - conv(torch.zeros_like(x))
    back, = torch.autograd.grad(ahead, x, y, retain_graph=True)
    return torch.dot(ahead.flatten(), y.flatten()), torch.dot(x.flatten(), back.flatten())
def inner_einsum(conv, x, y):
    ahead = conv(x) - conv.bias[:, None, None]
    return torch.einsum('ncij,ncij->', ahead, y), torch.einsum('ncij,ncij->', x, filter_back_input(y, conv, x.shape))

def inner_bias(conv, x, y): return (conv(x)*y).sum(), (x*filter_back(y, conv, x.shape)).sum()
def inner_sums(conv, x, y):
    a, b = F.conv2d(x, conv.weight, None, conv.stride, conv.padding), filter_back(y, conv, x.shape)
    return a.sum()*y.sum(), x.sum()*b.sum()
def inner_mean(conv, x, y): return tuple(t/n for t, n in zip(inner_products(conv, x, y), (y.numel(), x.numel())))
def inner_not_added(conv, x, y): return F.conv2d(x, conv.weight, None, conv.stride, conv.padding)*y, x*filter_back(y, conv, x.shape)
def inner_self(conv, x, y):
    a = F.conv2d(x, conv.weight, None, conv.stride, conv.padding)
    return (a*a).sum(), (filter_back(y, conv, x.shape)**2).sum()
def inner_flipped(conv, x, y):
    return inner_products(conv, x, y)[0], (x*back_flipped(y, conv, x.shape)).sum()

def products(seed):
    def run(answer):
        conv = seeded(nn.Conv2d(3, 4, 3, 1 + seed, 1), seed)
        y = torch.randn(conv(X_).shape, generator=torch.Generator().manual_seed(seed + 1))
        return [torch.as_tensor(v).detach().float() for v in answer(conv, X_.clone(), y)]
    return run

# 5.5 one layer of the machine

def layer_back(y:Tensor, # what comes back to the layer's output (N,D,h,w)
               conv:nn.Conv2d, # the layer: convolution C -> D, ReLU, max pooling
               idx:Tensor, # the pooling's switches (N,D,h,w)
               pooled, # (N,D,H,W), what the pooling read
               read # (N,C,H',W'), what the convolution read
              )->Tensor: # (N,C,H',W')
    "Unpool, rectify, filter: one layer of a deconvnet. (`unpool` and `filter_back` may be imported.)"
    return filter_back(unpool(y, idx, pooled).relu(), conv, read)

def layer_back_torch(y, conv, idx, pooled, read):
    up = F.max_unpool2d(y, idx, 2, output_size=tuple(pooled[2:]))
    return filter_back_input(up.clamp(min=0), conv, read)
def layer_back_early(y, conv, idx, pooled, read): return filter_back_grad(unpool(F.relu(y), idx, pooled), conv, read)

def layer_no_relu(y, conv, idx, pooled, read): return filter_back(unpool(y, idx, pooled), conv, read)
def layer_relu_last(y, conv, idx, pooled, read): return filter_back(unpool(y, idx, pooled), conv, read).relu()
def layer_no_switches(y, conv, idx, pooled, read): return filter_back(unpool_blocks(y, idx, pooled).relu(), conv, read)
def layer_no_filter(y, conv, idx, pooled, read): return unpool(y, idx, pooled).relu()
def layer_abs(y, conv, idx, pooled, read): return filter_back(unpool(y, idx, pooled).abs(), conv, read)
def layer_corner(y, conv, idx, pooled, read): return filter_back(unpool_corner(y, idx, pooled).relu(), conv, read)

def one_layer(answer):
    conv = seeded(nn.Conv2d(3, 4, 3, padding=1))
    A = conv(X_).relu().detach()
    y, idx = pool(A)
    return answer(rand(*y.shape, seed=7), conv, idx, A.shape, X_.shape).detach()

# 5.6 the whole machine

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

class MachineOfClosures:
    def __init__(self, model): self.model, self.back = model, []
    @torch.no_grad()
    def __call__(self, x, layer=None):
        self.back = []
        for name, m in in_sequence(self.model):
            shape, switches = x.shape, None
            if isinstance(m, nn.MaxPool2d): x, switches = F.max_pool2d(x, m.kernel_size, m.stride, m.padding, return_indices=True)
            else: x = m(x)
            self.back.insert(0, lambda y, m=m, shape=shape, switches=switches: self.undo(m, y, shape, switches))
            if name == layer: return x
        return x
    @torch.no_grad()
    def undo(self, m, y, shape, switches):
        if isinstance(m, nn.MaxPool2d): return unpool(y, switches, shape)
        return F.relu(y) if isinstance(m, nn.ReLU) else filter_back(y, m, shape)
    def project(self, y):
        for step in self.back: y = step(y)
        return y
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

class MachineForwards(DeconvNet):
    def project(self, y):
        self.seen = self.seen[::-1]
        return super().project(y)
class MachineHoards(DeconvNet):
    def __call__(self, x, layer=None):
        before = self.seen
        x = super().__call__(x, layer)
        self.seen = before + self.seen
        return x
class MachineUses(DeconvNet):
    def project(self, y):
        y = super().project(y)
        self.seen = []
        return y
class MachineRunsOn(DeconvNet):
    def __call__(self, x, layer=None): return super().__call__(x)
class MachineStopsBefore(DeconvNet):
    def __call__(self, x, layer=None):
        names = [n for n, _ in self.layers]
        at = names.index(layer) if layer else len(names)
        return super().__call__(x, names[at - 1])
class MachineBackprop(MachineByGradient):
    def __call__(self, x, layer=None):
        self.x = self.out = x.clone().requires_grad_()
        for name, m in in_sequence(self.model):
            self.out = m(self.out)
            if name == layer: break
        return self.out.detach()
class MachineNoSwitches(DeconvNet):
    def project(self, y):
        with torch.no_grad():
            for m, seen in reversed(self.seen): y = unpool_blocks(y, None, seen.shape) if isinstance(m, nn.MaxPool2d) else BACK[type(m)](y, m, seen)
        return y
class MachineNoRelu(DeconvNet):
    def project(self, y):
        with torch.no_grad():
            for m, seen in reversed(self.seen): y = y if isinstance(m, nn.ReLU) else BACK[type(m)](y, m, seen)
        return y

def sequence(): return seeded(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, 2, 1), nn.ReLU()))
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

# 5.7 the same as a backward pass

def deconvnet(model:nn.Module, # a network in eval mode whose ReLUs do not work in place
              x:Tensor, # batch (N,3,H,W)
              target=None, # a class, see `class_score`
              layer:str=None, channel=None, whole:bool=False # or a channel of a layer, see `unit_mask`
             )->Tensor: # (N,3,H,W), signed
    "What a deconvnet brings back to the pixels, as a backward pass under the 'deconvnet' rule. No hook stays."
    from camtutor.gradcam import class_score
    from camtutor.guided import ReLURule
    x, kept = x.clone().requires_grad_(), []
    handle = model.get_submodule(layer or '').register_forward_hook(lambda m, args, out: kept.append(out))
    try:
        with ReLURule('deconvnet'): out = model(x)
    finally: handle.remove()
    if layer is None: return torch.autograd.grad(class_score(out, target).sum(), x)[0]
    A, = kept
    return torch.autograd.grad(A, x, unit_mask(A, channel, whole)*A.detach())[0]

def deconvnet_one_line(model, x, target=None, layer=None, channel=None, whole=False):
    return pixel_grad(model, x, target, 'deconvnet', layer, channel, whole, weigh=True)
def deconvnet_capture(model, x, target=None, layer=None, channel=None, whole=False):
    def weighed(A): return (A*(A*unit_mask(A, channel, whole)).detach()).sum((1, 2, 3))
    with ReLURule('deconvnet'):
        if layer is None: return capture(model, x, 'input', target).grads
        upto = nn.Sequential(*[m for _, m in steps_to(model, layer)])
        return capture(upto, x, 'input', weighed).grads
def steps_to(model, layer):
    pairs = in_sequence(model)
    return pairs[:[n for n, _ in pairs].index(layer) + 1]

def deconvnet_guided(model, x, target=None, layer=None, channel=None, whole=False):
    return pixel_grad(model, x, target, 'guided', layer, channel, whole, weigh=True)
def deconvnet_gradient(model, x, target=None, layer=None, channel=None, whole=False):
    return pixel_grad(model, x, target, None, layer, channel, whole, weigh=True)
def deconvnet_second_run(model, x, target=None, layer=None, channel=None, whole=False):
    if layer is None: return deconvnet(model, x, target)
    return deconvnet_gradient(model, x, target, layer, channel, whole)
def deconvnet_detached(model, x, target=None, layer=None, channel=None, whole=False):
    if layer is None: return deconvnet(model, x, target)
    x, kept = x.clone().requires_grad_(), []
    handle = model.get_submodule(layer).register_forward_hook(lambda m, args, out: kept.append(out.detach()))
    with ReLURule('deconvnet'): model(x)
    handle.remove()
    return torch.autograd.grad((kept[0]*unit_mask(kept[0], channel, whole)).sum(), x)[0]
def deconvnet_ones(model, x, target=None, layer=None, channel=None, whole=False):
    return pixel_grad(model, x, target, 'deconvnet', layer, channel, whole)
def deconvnet_twice(model, x, target=None, layer=None, channel=None, whole=False):
    return deconvnet(model, x, target, layer, channel, whole)*(1 if layer is None else 2)
def deconvnet_whole_layer(model, x, target=None, layer=None, channel=None, whole=False):
    if layer is None: return deconvnet(model, x, target)
    machine = Machine(model)
    return machine.project(machine(x, layer))
def deconvnet_one_place(model, x, target=None, layer=None, channel=None, whole=False): return deconvnet(model, x, target, layer, channel)
def deconvnet_whole_map(model, x, target=None, layer=None, channel=None, whole=False): return deconvnet(model, x, target, layer, channel, whole=not isinstance(channel, tuple))
def deconvnet_strongest(model, x, target=None, layer=None, channel=None, whole=False): return deconvnet(model, x, target, layer, whole=whole)
def deconvnet_top_class(model, x, target=None, layer=None, channel=None, whole=False): return deconvnet(model, x, None, layer, channel, whole)
def deconvnet_weighs_class(model, x, target=None, layer=None, channel=None, whole=False):
    out = deconvnet(model, x, target, layer, channel, whole)
    return out if layer else out*class_score(model(x), target).detach()[:, None, None, None]
def deconvnet_rectified(model, x, target=None, layer=None, channel=None, whole=False): return deconvnet(model, x, target, layer, channel, whole).relu()
def deconvnet_left_on(model, x, target=None, layer=None, channel=None, whole=False):
    model.get_submodule(layer or '').register_forward_hook(lambda m, args, out: None)
    return deconvnet(model, x, target, layer, channel, whole)

def detached(out): return out.detach() if isinstance(out, Tensor) else out
def weighted(conv, *weights):
    conv.weight.data = torch.tensor(weights).view_as(conv.weight)
    return conv
def crossed(): return nn.Sequential(weighted(nn.Conv2d(1, 2, 1, bias=False), 1., -1.), nn.ReLU(), weighted(nn.Conv2d(2, 1, 1, bias=False), 1., 2.))
def by_crossing(answer): return detached(answer(crossed(), torch.tensor([[[[1., -2., 3.]]]]), layer='2', channel=0, whole=True))
TIDY = {'parameters': '`backward()` fills every `.grad` on its way. `torch.autograd.grad` returns the one that you ask for, and leaves none.', 'hooks': 'Remove yours, best in `finally`.', 'your x': 'Work on a clone of it.'}
def drawn_back(title, **asked):
    def run(answer):
        net, x = tiny(), pictures(3)
        out = answer(net, x, **asked)
        return {'the pixels': detached(out), 'hooks left': hooks_left(net), 'parameters with a .grad left': sum(p.grad is not None for p in net.parameters()), 'your x is marked with requires_grad': x.requires_grad}
    return Trial(title, run, says=TIDY)

# 5.8 what a unit sees

def field_of(layers:list # of (kernel, stride) from the picture upwards
            )->tuple: # (size, step) in pixels
    "How many pixels wide the field of one unit above all `layers` is, and how far apart the fields of neighbours are."
    size, step = 1, 1
    for kernel, stride in layers: size, step = size + (kernel - 1)*step, step*stride
    return size, step

def field_backwards(layers):
    size, step = 1, 1
    for k, s in reversed(layers): size, step = (size - 1)*s + k, step*s
    return size, step
def field_recursive(layers):
    if not layers: return 1, 1
    size, step = field_recursive(layers[:-1])
    return size + (layers[-1][0] - 1)*step, step*layers[-1][1]

def field_no_step(layers):
    size, step = 1, 1
    for k, s in layers: size, step = size + k - 1, step*s
    return size, step
def field_whole_kernel(layers):
    size, step = 1, 1
    for k, s in layers: size, step = size + k*step, step*s
    return size, step
def field_own_stride(layers):
    size, step = 1, 1
    for k, s in layers:
        step = step*s
        size = size + (k - 1)*step
    return size, step
def field_product(layers):
    size, step = 1, 1
    for k, s in layers: size, step = size*k, step*s
    return size, step
def field_stride_here(layers):
    size, step = 1, 1
    for k, s in layers: size, step = size + (k - 1)*s, step*s
    return size, step
def field_step_added(layers):
    size, step = field_of(layers)
    return size, sum(s for _, s in layers)

# 5.10 where the field lies

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

def windows_up_to(model, layer):
    "(kernel, stride, padding) of each layer with windows, as far as `layer`."
    def one(v): return v if isinstance(v, int) else v[0]
    mine = list(model)[:[n for n, _ in model.named_children()].index(layer) + 1]
    return [(one(m.kernel_size), one(m.stride), one(m.padding)) for m in mine if hasattr(m, 'kernel_size')]
def field_of_two_units(model, layer):
    def seen(i):
        low = high = i
        for k, s, p in reversed(windows_up_to(model, layer)): low, high = low*s - p, high*s - p + k - 1
        return low, high
    (low, high), (after, _) = seen(0), seen(1)
    return high - low + 1, after - low, low
def field_from_windows(model, layer):
    size, step, start = 1, 1, 0
    for k, s, p in windows_up_to(model, layer):
        start -= p*step
        size += (k - 1)*step
        step *= s
    return size, step, start

def widened(change, upto=windows_up_to):
    def answer(model, layer):
        size, step, start = 1, 1, 0
        for k, s, p in upto(model, layer): size, step, start = change(size, step, start, k, s, p)
        return size, step, start
    return answer
field_plain_padding = widened(lambda size, step, start, k, s, p: (size + (k - 1)*step, step*s, start - p))
field_padding_up = widened(lambda size, step, start, k, s, p: (size + (k - 1)*step, step*s, start + p*step))
field_padding_late = widened(lambda size, step, start, k, s, p: (size + (k - 1)*step, step*s, start - p*step*s))
field_no_padding = widened(lambda size, step, start, k, s, p: (size + (k - 1)*step, step*s, start))
field_padding_shrinks = widened(lambda size, step, start, k, s, p: (size + (k - 1 - 2*p)*step, step*s, start - p*step))
field_below = widened(lambda size, step, start, k, s, p: (size + (k - 1)*step, step*s, start - p*step), lambda model, layer: windows_up_to(model, str(int(layer) - 1)) if int(layer) else [])
field_to_the_end = widened(lambda size, step, start, k, s, p: (size + (k - 1)*step, step*s, start - p*step), lambda model, layer: windows_up_to(model, str(len(model) - 1)))

def stack(): return nn.Sequential(nn.Conv2d(3, 4, 5, 2, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(5, 6, 3))
def at_layer(name): return lambda f: f(stack(), name)

# 5.11 where a channel is excited

def strongest(A:Tensor, # activations (N,C,h,w)
              channel:int,
              k:int=9 # how many
             )->tuple: # images, rows, columns, each (k,); the strongest first
    "The pictures and places that excite one channel most: at most one place a picture."
    value, at = A[:, channel].flatten(1).max(1)
    images = value.topk(k).indices
    return images, at[images]//A.shape[3], at[images] % A.shape[3]

def strongest_sort(A, channel, k=9):
    maps = A[:, channel]
    images = maps.amax((1, 2)).argsort(descending=True)[:k]
    where = [divmod(maps[i].argmax().item(), A.shape[3]) for i in images]
    return images, torch.tensor([r for r, _ in where]), torch.tensor([c for _, c in where])
def strongest_unravel(A, channel, k=9):
    best = A[:, channel].amax((-1, -2)).topk(k).indices
    r, c = torch.unravel_index(A[best, channel].flatten(1).argmax(1), A.shape[2:])
    return best, r, c

def strongest_places(A, channel, k=9):
    at = A[:, channel].flatten().topk(k).indices
    h, w = A.shape[2:]
    return at//(h*w), at % (h*w)//w, at % w
def strongest_mean(A, channel, k=9):
    images = A[:, channel].mean((1, 2)).topk(k).indices
    at = A[:, channel].flatten(1).argmax(1)[images]
    return images, at//A.shape[3], at % A.shape[3]
def strongest_swapped(A, channel, k=9):
    images, r, c = strongest(A, channel, k)
    return images, c, r
def strongest_by_height(A, channel, k=9):
    value, at = A[:, channel].flatten(1).max(1)
    images = value.topk(k).indices
    return images, at[images]//A.shape[2], at[images] % A.shape[2]
def strongest_weak_first(A, channel, k=9): return tuple(t.flip(0) for t in strongest(A, channel, k))
def strongest_values(A, channel, k=9):
    value, at = A[:, channel].flatten(1).max(1)
    top = value.topk(k)
    return top.values, at[top.indices]//A.shape[3], at[top.indices] % A.shape[3]
def strongest_weakest(A, channel, k=9):
    value, at = A[:, channel].flatten(1).max(1)
    images = value.argsort()[:k]
    return images, at[images]//A.shape[3], at[images] % A.shape[3]
def strongest_places_of_first(A, channel, k=9):
    value, at = A[:, channel].flatten(1).max(1)
    return value.topk(k).indices, at[:k]//A.shape[3], at[:k] % A.shape[3]

# 5.12 the patch

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

def crop_by_pixel(x, field, rows, cols, fill=0.):
    N, C, H, W = x.shape
    out = torch.full((N, C, field.size, field.size), float(fill))
    for n in range(N):
        for i in range(field.size):
            for j in range(field.size):
                r, c = int(rows[n])*field.step + field.start + i, int(cols[n])*field.step + field.start + j
                if 0 <= r < H and 0 <= c < W: out[n, :, i, j] = x[n, :, r, c]
    return out
def crop_indexed(x, field, rows, cols, fill=0.):
    span, n = torch.arange(field.size), torch.arange(len(x))[:, None, None, None]
    r, c = [(at[:, None]*field.step + field.start + span + 50) for at in (rows, cols)]
    return F.pad(x, [50]*4, value=fill)[n, torch.arange(x.shape[1])[:, None, None], r[:, None, :, None], c[:, None, None, :]]

def crop_turned(x, field, rows, cols, fill=0.): return crop(x, field, cols, rows, fill)
def crop_no_start(x, field, rows, cols, fill=0.): return crop(x, field._replace(start=0), rows, cols, fill)
def crop_no_step(x, field, rows, cols, fill=0.): return crop(x, field._replace(step=1), rows, cols, fill)
def crop_pushed_in(x, field, rows, cols, fill=0.):
    def at(i, n): return min(max(i*field.step + field.start, 0), n - field.size)
    return torch.stack([p[:, (t := at(r, p.shape[1])):t+field.size, (l := at(c, p.shape[2])):l+field.size] for p, r, c in zip(x, rows.tolist(), cols.tolist())])
def crop_always_black(x, field, rows, cols, fill=0.): return crop(x, field, rows, cols)
def crop_around(x, field, rows, cols, fill=0.): return crop(x, field._replace(start=-(field.size//2)), rows, cols, fill)
def crop_unpadded(x, field, rows, cols, fill=0.):
    places = zip((field.start + field.step*rows).tolist(), (field.start + field.step*cols).tolist())
    return torch.stack([p[:, t:t+field.size, l:l+field.size] for p, (t, l) in zip(x, places)])
def crop_unshifted(x, field, rows, cols, fill=0.):
    x = F.pad(x, [field.size]*4, value=fill)
    places = zip((field.start + field.step*rows).tolist(), (field.start + field.step*cols).tolist())
    return torch.stack([p[:, t:t+field.size, l:l+field.size] for p, (t, l) in zip(x, places)])

CROPPED = torch.arange(16.).view(1, 1, 4, 4)

# 5.13 other switches

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

def swap_in_place(machine, how):
    for i, (m, (shape, idx)) in enumerate(machine.seen):
        if isinstance(m, nn.MaxPool2d): machine.seen[i] = m, type(machine.seen[i][1])(shape, SWITCHES[how](idx, shape[-1]))
    return machine
def swap_by_hand(machine, how):
    def changed(idx, w):
        if how == 'other': return torch.cat([idx[-1:], idx[:-1]])
        return idx - idx//w % 2*w - idx % w % 2 if how == 'first' else idx
    machine.seen = [(m, s if s.idx is None else s._replace(idx=changed(s.idx, s.shape[3]))) for m, s in machine.seen]
    return machine

def swapping(change):
    "Wrong versions: what becomes of one pair (layer, memory)."
    def swap(machine, how):
        machine.seen = [change(m, s, SWITCHES[how]) for m, s in machine.seen]
        return machine
    return swap
def if_pooling(m, s, new): return m, s if s.idx is None else s._replace(idx=new(s))
swap_pooled_width = swapping(lambda m, s, f: if_pooling(m, s, lambda s: f(s.idx, s.idx.shape[3])))
swap_height = swapping(lambda m, s, f: if_pooling(m, s, lambda s: f(s.idx, s.shape[2])))
swap_everywhere = swapping(lambda m, s, f: (m, s._replace(idx=f(s.idx, s.shape[3]))))
swap_loses_layer = swapping(lambda m, s, f: s if s.idx is None else s._replace(idx=f(s.idx, s.shape[3])))
swap_nothing = swapping(lambda m, s, f: (m, s))
swap_plain_tuple = swapping(lambda m, s, f: (m, s if s.idx is None else (s.shape, f(s.idx, s.shape[3]))))
def swap_assigns(machine, how):
    for m, memory in machine.seen:
        if memory.idx is not None: memory.idx = SWITCHES[how](memory.idx, memory.shape[3])
    return machine
def swap_no_return(machine, how): swap_switches(machine, how)
def swap_returns_list(machine, how): return swap_switches(machine, how).seen
def swap_copy(machine, how):
    import copy
    return swap_switches(copy.copy(machine), how)
def swap_poolings_only(machine, how):
    swap_switches(machine, how).seen = [(m, s) for m, s in machine.seen if s.idx is not None]
    return machine
def swap_one(which):
    def swap(machine, how):
        at = [i for i, (m, s) in enumerate(machine.seen) if s.idx is not None][which]
        m, s = machine.seen[at]
        machine.seen[at] = m, s._replace(idx=SWITCHES[how](s.idx, s.shape[3]))
        return machine
    return swap
swap_first_only, swap_last_only = swap_one(0), swap_one(-1)

def two_poolings(): return seeded(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)))
def swapped(how, net=two_poolings, x=rand(2, 3, 8, 12)):
    def run(answer):
        machine = Machine(net())
        y = machine(x)
        back = answer(machine, how)
        comes = 'the same machine' if back is machine else 'None' if back is None else f'another {type(back).__name__}'
        return {'what comes back': comes, 'what the machine draws': machine.project(y)}
    return run
def only_pooling(): return nn.Sequential(nn.MaxPool2d(2))

# 5.14 what a channel draws

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

def project_loop(model, x, layer, channel=None, whole=True, switches='own', clip=99.5):
    kept = []
    with torch.no_grad():
        for name, m in in_sequence(model):
            before = tuple(x.shape)
            x, memory = look(m, x)
            if memory.idx is not None: memory = type(memory)(before, SWITCHES[switches](memory.idx, before[3]))
            kept.insert(0, (m, memory))
            if name == layer: break
        y = torch.where(unit_mask(x, channel, whole) > 0, x, 0.)
        for m, memory in kept: y = BACK[type(m)](y, m, memory)
    return signed_image(y, clip=clip)
def project_draws(model, x, layer, channel=None, whole=True, switches='own', clip=99.5):
    machine = Machine(model)
    y = machine(x, layer=layer)
    y = y*unit_mask(y, channel=channel, whole=whole)
    y = swap_by_hand(machine, switches).project(y)
    top = torch.stack([p.abs().flatten().sort().values[-(-round(p.numel()*clip*10)//1000) - 1] for p in y])
    return (y/top[:, None, None, None]/2 + .5).clamp(0, 1)

def projecting(message=lambda A, channel, whole: A*unit_mask(A, channel, whole), swap=swap_switches, draw=signed_image, upto=lambda layer: layer):
    "Wrong versions: what is sent back, with which switches, and how it is drawn."
    def project(model, x, layer, channel=None, whole=True, switches='own', clip=99.5):
        machine = Machine(model)
        A = machine(x, upto(layer))
        return draw(swap(machine, switches).project(message(A, channel, whole)), clip)
    return project
project_all = projecting(lambda A, channel, whole: A)
project_ones = projecting(lambda A, channel, whole: unit_mask(A, channel, whole))
project_one_place = projecting(lambda A, channel, whole: A*unit_mask(A, channel))
project_whole_map = projecting(lambda A, channel, whole: A*unit_mask(A, channel, True))
project_strongest = projecting(lambda A, channel, whole: A*unit_mask(A, None, whole))
project_own = projecting(swap=lambda machine, how: machine)
project_raw = projecting(draw=lambda g, clip: g)
project_default_clip = projecting(draw=lambda g, clip: signed_image(g))
project_stretched = projecting(draw=lambda g, clip: (g - g.amin((1, 2, 3), True))/(g.amax((1, 2, 3), True) - g.amin((1, 2, 3), True)).clamp(min=1e-12))
project_runs_on = projecting(upto=lambda layer: None)

def two_channels(): return nn.Sequential(weighted(nn.Conv2d(1, 2, 1, bias=False), 1., -1.), nn.ReLU(), nn.MaxPool2d(2))
def drawing(*args, net=two_poolings, x=rand(3, 3, 12, 16), **asked): return lambda answer: detached(answer(net(), x.clone(), *args, **asked))
SIGNS = torch.tensor([[[[1., 2.], [-4., 3.]]]])

EXERCISES = (
    Exercise('5.1', 'Pooling that remembers', 'Write `pool(x)`: max pooling over windows of 2 × 2 that also returns its switches: where in the whole map each maximum was, as row · W + column.', pool,
        trials=(Trial('Worked by hand: a map of 2 × 4', lambda f: f(X.clone()), (torch.tensor([[[[4., 7.]]]]), torch.tensor([[[[4, 3]]]]))), gives('Random maps', X_)),
        mistakes=(Mistake(pool_in_window, 'Your switches count within each window, 0 to 3. They should name a place in the whole map.'), Mistake(pool_by_columns, 'You count down the columns. Along the rows: row · W + column.'),
                  Mistake(pool_average, 'The values are averages. The largest of each window.'), Mistake(pool_values_only, 'Only the values come back. Return both, values first.'), Mistake(pool_absolute, 'You look for the largest size, without the sign.')),
        hints=('`F.max_pool2d` can do it if asked.', 'Look for an argument about indices.', '`return_indices=True` gives a pair.'), why='A pooling forgets where. The switches are what a deconvnet keeps of the picture, and the chapter shows how much that is.', also=(pool_unfold, pool_module)),
    Exercise('5.2', 'Unpooling with switches', 'Write `unpool(y, idx, shape)`: a map of `shape` with each value of `y` where its switch says, zeros elsewhere. Values that meet add up (windows of a pooling may overlap).', unpool, library='camtutor.deconvnet',
        trials=(gives('Worked by hand: 4 and 7 back into a map of 2 × 4', torch.tensor([[[[4., 7.]]]]), PLACES, (1, 1, 2, 4), want=[[[[0., 0., 0., 7.], [4., 0., 0., 0.]]]]),
                gives('Two channels, random', pool(X_)[0], pool(X_)[1], tuple(X_.shape)), gives('Three values that meet', torch.tensor([[[[1., 2.], [3., 4.]]]]), MET, (1, 1, 2, 4), want=[[[[0., 6., 0., 0.], [0., 0., 0., 4.]]]])),
        mistakes=(Mistake(unpool_corner, 'Every value goes to the corner of its window. The switch knows the place.'), Mistake(unpool_blocks, 'You fill whole windows. One place in each, zeros elsewhere.'),
                  Mistake(unpool_replaces, 'Where values meet, the last one wins. They should add up.'), Mistake(unpool_columns, 'Rows and columns are exchanged: the switch is row · W + column.'), Mistake(unpool_one_plane, 'All values land in the first channel of the first picture: a switch counts within its own map. Flatten only the places, not the batch and the channels.'), Mistake(unpool_one_plane_replaces, 'You flatten everything, and so all values land in the first channel of the first picture; and where values meet, the last one wins. Flatten only the places, and add.'), Mistake(unpool_one_channel, 'All channels use the switches of the first. Each has its own.')),
        hints=('Flatten the places: a switch is an index then.', '`scatter_add_` adds values at indices along an axis.', 'Zeros of (N,C,H·W), scatter along axis 2, back into shape.'), why='For windows that do not overlap this is the transpose of the pooling: what the gradient does as well.', also=(unpool_loop, unpool_one_hot)),
    Exercise('5.3', 'A convolution, backwards', 'Write `filter_back(y, conv, shape)`: the transpose of a convolution. Each value of `y` paints the kernel, scaled by the value; where kernels overlap, they add up. `shape` is what the convolution read.', filter_back, library='camtutor.deconvnet',
        trials=(Trial('Worked by hand: a single 2 paints the kernel 1 … 9', painted, torch.tensor([[[[2., 4., 6., 0.], [8., 10., 12., 0.], [14., 16., 18., 0.]]]])), Trial('Random, padding 1', filtered()), Trial('Random, stride 2', filtered(2)), Trial('Random, stride 3, no padding', filtered(3, 0, 1))),
        mistakes=(Mistake(back_with_bias, 'The bias has no place here: a transpose belongs to the linear part.'), Mistake(back_bias_given, 'You hand `conv.bias` on. It belongs to the channels of the output, and the way back ends in those of the input: no bias.'), Mistake(back_convolved, 'This is another convolution forwards, with the channels exchanged: it gathers where the way back should spread. The kernel comes out upside down, and with a stride the map shrinks again.'), Mistake(back_flipped, 'The kernel is painted upside down. `conv_transpose2d` does the turning itself; give it the weight as it is.'), Mistake(back_turned, 'Rows and columns of the kernel are exchanged. The transpose of a convolution is not the transpose of its kernel.'),
                  Mistake(back_no_stride, 'The stride is missing: neighbours are painted a stride apart.'), Mistake(back_short, 'With a stride some sizes come out too small: several inputs give the same output size. `output_padding`, or a function that takes the input\'s shape, settles it.'), Mistake(back_rectified, 'You rectify. That is another step of the machine.')),
        hints=('PyTorch has `F.conv_transpose2d`, with stride and padding as in the convolution.', 'The gradient of a convolution with respect to its input is the same thing, and knows the size.', '`torch.autograd.grad(conv(x), x, y)` for any x of that shape, or `torch.nn.grad.conv2d_input`.'),
        why='Deconvolution is a misnomer: nothing is undone. It is a transpose, and so is every backward pass.', also=(filter_back_grad, filter_back_input, filter_back_paint)),
    Exercise('5.4', 'The test for a transpose', 'Write `inner_products(conv, x, y)`: the two numbers ⟨conv x, y⟩ and ⟨x, convᵀ y⟩, of the convolution without its bias. `filter_back` may be imported from `camtutor.deconvnet`.', inner_products,
        trials=(Trial('A convolution with a bias', products(0)), Trial('One with stride 2', products(1))),
        mistakes=(Mistake(inner_bias, 'The bias is in it: with a bias a convolution is not linear, and the identity fails.'), Mistake(inner_sums, 'You multiply sums. An inner product multiplies place by place and then adds up.'), Mistake(inner_mean, 'You average. The two sides have different numbers of places; add up.'),
                  Mistake(inner_not_added, 'You multiply place by place, which is the first half. Add up: an inner product is one number.'), Mistake(inner_self, 'You take each with itself. Cross them: conv x with y, x with convᵀ y.'), Mistake(inner_flipped, 'The way back turns the kernel. The two numbers differ, which is the test at work.')),
        hints=('An inner product of two tensors: multiply, add up.', '`F.conv2d` takes the weight without the bias.', 'One number in the space of outputs, one in the space of inputs.'), why='One random pair tells a right transpose from a wrong one: no picture needed.', also=(inner_grad, inner_einsum)),
    Exercise('5.5', 'One layer of the machine', 'Write `layer_back(y, conv, idx, pooled, read)`: back through a layer of convolution, ReLU and max pooling, as Zeiler and Fergus did: unpool, rectify, filter.', layer_back,
        trials=(Trial('A layer of four channels, random values coming back', one_layer),),
        mistakes=(Mistake(layer_no_relu, 'Nothing is rectified: negative values are painted too.'), Mistake(layer_relu_last, 'You rectify what has been painted. Rectify before filtering.'), Mistake(layer_no_switches, 'You fill whole windows instead of using the switches.'),
                  Mistake(layer_no_filter, 'The filtering is missing: the result has the layer\'s channels, not those below it.'), Mistake(layer_abs, 'Negative values come out positive. Cut them.'), Mistake(layer_corner, 'The values go to the corners of their windows. Use the switches.')),
        hints=('Three steps, in the opposite order of the way forward.', 'Forward it was filter, rectify, pool.', 'Each step is a function that you have written: one line.'), why='Chain this through all layers and you have the picture that made people believe in feature hierarchies.', also=(layer_back_torch, layer_back_early)),
    Exercise('5.6', 'The whole machine', 'Write `DeconvNet(model)`. `machine(x, layer=None)` runs forward as far as `layer` and returns what comes out there; `machine.project(y)` brings `y`, of that shape, back to the pixels. This chapter\'s three tools do the single steps, and may be imported from `camtutor.deconvnet`: `in_sequence(model)` lists (name, layer), `look(layer, x)` gives output and memory, and `BACK[type(layer)](y, layer, memory)` goes back through one layer. Keep the memories in `self.seen`, a list of (layer, memory), and record no gradients.', DeconvNet, library='camtutor.deconvnet',
        trials=(Trial('Five layers, there and back', there_and_back()), Trial('As far as the pooling', there_and_back('2')), Trial('A second picture through the same machine', there_and_back(times=2)), Trial('Two projections, one after the other', there_and_back(twice=True)), Trial('Sequences within a sequence', stages)),
        mistakes=(Mistake(MachineForwards, 'You come back in the order of the way there. The layer that ran last is undone first.'), Mistake(MachineHoards, 'The second picture finds the first one\'s memory still there, and comes back through both. Begin each call with an empty list.'), Mistake(MachineUses, 'The memory is used up by the first projection. One often projects several channels of the same picture: leave it as it is.'),
                  Mistake(MachineRunsOn, 'You always run to the end. Stop after `layer`.'), Mistake(MachineStopsBefore, 'You stop in front of `layer`. It should run, too.'), Mistake(MachineBackprop, 'This is the gradient: at a ReLU it asks where the way there was open. A deconvnet keeps what is positive on the way *back*.'),
                  Mistake(MachineNoSwitches, 'At the poolings you fill whole windows. The memory holds the switches: use them.'), Mistake(MachineNoRelu, 'The ReLUs are skipped on the way back. They rectify there as well.')),
        hints=('On the way there, keep one pair for each layer that runs: the layer, and what the way back must know of it.', '`look` gives both, output and memory. Break off once the name is `layer`.', '`project` goes through the kept pairs in reverse, and hands `y` from one `BACK` to the next.'),
        why='With this, Zeiler and Fergus showed in 2013 what channels look for. Exercise 5.16 asks what the machine is in today\'s words.', also=(MachineOfClosures, MachineByGradient)),
    Exercise('5.7', 'A deconvnet without the machine', 'Write `deconvnet(model, x, target=None, layer=None, channel=None, whole=False)`: the same projection by one gradient at the pixels. The network runs forward once, under `ReLURule(\'deconvnet\')`. Without a `layer`, the score `class_score(out, target)` of each picture goes back. With one, a channel goes back: the gradient that starts at the layer\'s output A is A · mask (the third argument of `torch.autograd.grad`), with the mask `unit_mask(A, channel, whole)`. The network is in eval mode, and its ReLUs do not work in place. Leave no hook and no `.grad`. What the earlier chapters have may be imported: `ReLURule`, `unit_mask` and `pixel_grad` from `camtutor.guided`, `class_score` from `camtutor.gradcam`.', deconvnet, library='camtutor.deconvnet',
        trials=(Trial('By hand: channels x and −x, joined with weights 1 and 2, on the pixels 1, −2, 3', by_crossing, torch.tensor([[[[-1., -4., -3.]]]]), 'The layer puts out 1, 4, 3. All that comes back to the ReLU is positive, so nothing is cut: 1 · 1 − 2 · 1 = −1, and so on.'),
                drawn_back('The score of class 2', target=2), drawn_back('The scores of each picture\'s top class'), drawn_back('A class for each picture', target=[1, 0, 2]), drawn_back('A whole channel of a layer', layer='0.4', channel=2, whole=True),
                drawn_back('The strongest place of a channel', layer='0.4', channel=2), drawn_back('The strongest place of the strongest channel', layer='0.3'), drawn_back('One neuron', layer='0.4', channel=(1, 2, 1))),
        mistakes=(Mistake(deconvnet_guided, 'This is guided backprop, which also blocks where the ReLU was closed on the way there. A deconvnet asks only whether what comes *back* is positive: the rule is \'deconvnet\'.'), Mistake(deconvnet_gradient, 'This is the ordinary gradient. `ReLURule` sets a ReLU\'s way back at the moment when the ReLU runs *forward*: the call of the model belongs inside the `with`. Taking the gradient may stand outside.'),
                  Mistake(deconvnet_second_run, 'A class goes back by the rule, but a channel by the ordinary gradient. Whatever you take the gradient of must come from a run *inside* the `with`.'), Mistake(deconvnet_detached, 'What your hook keeps is detached, as the `Hook` of chapter 01 does it. Then no way leads from it to the pixels: keep the output itself, and detach only the weight.'),
                  Mistake(deconvnet_ones, 'The channel sends back a 1 from each place. A deconvnet sends back what is there: the mask times the activation. (If A · mask is added up as a score, the gradient starts with the mask alone; the A must be in what starts.)'), Mistake(deconvnet_twice, 'It is twice what it should be: you take the gradient of A · A, and so A counts as weight and as what is weighed. `detach` the weight.'), Mistake(deconvnet_whole_layer, 'All channels of the layer go back together. Multiply by the mask.'),
                  Mistake(deconvnet_one_place, '`whole` is not used: only the strongest place goes back. Hand it to `unit_mask`.'), Mistake(deconvnet_whole_map, 'The whole map goes back whatever `whole` says. Hand it to `unit_mask`.'), Mistake(deconvnet_strongest, '`channel` is not used: it is always the strongest one of each picture.'), Mistake(deconvnet_top_class, '`target` is not used: it is always the top class that goes back.'),
                  Mistake(deconvnet_weighs_class, 'A class is not weighed by its own score. Only the places of a channel are weighed, by their activations.'), Mistake(deconvnet_rectified, 'You rectify what arrives at the pixels. There is no ReLU in front of the first layer; and the negative pixels are half of the drawing.'), Mistake(deconvnet_left_on, 'A hook stays on the network: remove it, best in `finally`.')),
        hints=('A is needed twice: as the output from which the gradient runs down to the pixels, and as plain numbers, the weight, which say how strongly each place starts. Only the first belongs to the graph.', 'A forward hook on the layer keeps its output, and `model.get_submodule` finds the layer. Do not detach that output: the gradient starts from it. Detach it in the weight.', '`torch.autograd.grad(A, x, weight)` starts at A with the weight; the weight has the shape of A, and its A is detached. The scores start with a 1 each: add them up, and no third argument is needed.'),
        why='The machine needed a table of layers and a memory; this needs a rule for one of them, and goes through skip connections, too. The library\'s is one line of chapter 04\'s `pixel_grad`, which also takes ReLUs in place and says what is wrong with bad input.', also=(deconvnet_one_line, deconvnet_capture)),
    Exercise('5.8', 'How much a unit sees', 'Write `field_of(layers)`: from a list of (kernel, stride) upwards, how many pixels wide the receptive field is, and how many pixels apart the fields of neighbours are.', field_of,
        trials=(Trial('Two convolutions 3, stride 1', lambda f: f([(3, 1), (3, 1)]), (5, 1)), Trial('A convolution 5 of stride 2, pooling 2, convolution 3', lambda f: f([(5, 2), (2, 2), (3, 1)]), (15, 4)), Trial('No layer', lambda f: f([]), (1, 1)), Trial('A ResNet\'s beginning', lambda f: f([(7, 2), (3, 2), (3, 1), (3, 1), (3, 2)]))),
        mistakes=(Mistake(field_no_step, 'A kernel further up takes larger steps in the picture: multiply by the strides below it.'), Mistake(field_whole_kernel, 'A kernel of 3 adds two steps to a field, not three.'), Mistake(field_own_stride, 'A layer\'s own stride spreads its *neighbours*, not its own kernel. Change the step after the size.'),
                  Mistake(field_product, 'Sizes do not multiply: each layer adds.'), Mistake(field_stride_here, 'You widen the field by the layer\'s own stride. What counts is how far apart its inputs lie in the picture: the product of all strides *below*.'), Mistake(field_step_added, 'You add the strides. Two layers of stride 2 take steps of 4 pixels: strides multiply.')),
        hints=('Carry two numbers from layer to layer.', 'Size grows by (kernel − 1) times the present step.', 'Then the step is multiplied by the stride.'), why='A unit can only be explained by what it can see; the crop of the chapter\'s figure is this wide.', also=(field_backwards, field_recursive)),
    Exercise('5.9', 'By hand', 'Three convolutions with kernels of 3 and stride 1, then max pooling 2 of stride 2, then one more convolution of 3. How many pixels wide does a unit see?', 12, kind='value',
        mistakes=(Mistake(11, 'Each convolution after the pooling takes steps of 2 pixels; and the pooling itself widens the field by 1.'), Mistake(10, 'After the pooling a kernel of 3 adds 2 · 2 pixels.'), Mistake(7, 'That is before the pooling.'), Mistake(8, 'That is after the pooling, without the last convolution.'), Mistake(14, 'A kernel of 3 reaches one step to either side: it adds two steps, not three.'), Mistake(16, 'The pooling widens the field by 1; what it doubles is the step.')),
        hints=('1, then + 2 for each of the three.', 'The pooling adds 1 and doubles the step.', 'The last one adds 2 steps of 2 pixels.'), why='Depth widens the field slowly, strides widen it quickly.'),
    Exercise('5.10', 'Where the field lies', 'Write `receptive_field(model, layer)` for a sequence of convolutions, ReLUs and max poolings: `Field(size, step, start)`, which is in `camtutor.deconvnet`; a tuple will do. Unit i of the layer sees `size` pixels from start + i·step on; with padding, start is negative. Read `kernel_size`, `stride` and `padding` off the layers; each is a number or a pair of equal numbers. (Exercise 5.8 is a simpler form of this.)', receptive_field, library='camtutor.deconvnet',
        trials=(Trial('A convolution 5, stride 2, padding 2', at_layer('0'), (5, 2, -2)), Trial('And pooling 2', at_layer('2'), (7, 4, -2)), Trial('And a convolution 3 with padding 1', at_layer('3'), (15, 4, -6)), Trial('At the ReLU behind it', at_layer('4'), (15, 4, -6)), Trial('At the last layer', at_layer('6'))),
        mistakes=(Mistake(field_plain_padding, 'A cell of padding further up is as wide as a step there: multiply the padding by the step so far.'), Mistake(field_padding_up, 'The sign of the padding is turned: it lets the first unit begin *outside* the picture, at a negative pixel.'), Mistake(field_padding_late, 'A layer pads what it reads, so its padding counts in steps of the layer *below*. Change the step last.'),
                  Mistake(field_no_padding, 'The padding is missing: start stays 0. With padding the first unit hangs over the edge.'), Mistake(field_padding_shrinks, 'Padding does not make a field smaller. It only moves it.'), Mistake(field_below, 'You stop in front of `layer`. Its own window belongs to its field.'), Mistake(field_to_the_end, 'You go on to the last layer, whichever was asked for.')),
        hints=('Three numbers from layer to layer; a single pixel begins with 1, 1, 0.', 'A convolution has pairs, a pooling numbers: bring both to numbers first.', 'Size and start change with the step so far; the step changes last. `named_children()` gives names and layers in order: stop after yours.'),
        why='Size says how wide the patch is, start and step where to cut it: with all three, every unit has its place in the picture.', also=(field_of_two_units, field_from_windows)),
    Exercise('5.11', 'What excites a channel', 'Write `strongest(A, channel, k)`: the k pictures whose highest activation of the channel is largest, strongest first, and the row and the column of that place in each.', strongest, library='camtutor.deconvnet',
        trials=(gives('Random activations of 20 pictures', rand(20, 4, 3, 5)*torch.linspace(.5, 3, 20)[:, None, None, None], 2, 6), gives('One picture only', rand(20, 4, 3, 5, seed=2), 0, 1)),
        mistakes=(Mistake(strongest_places, 'Several places come from the same picture. One for each.'), Mistake(strongest_mean, 'You rank by the mean. A small object with a strong response would be lost: rank by the highest place.'), Mistake(strongest_swapped, 'Rows and columns are exchanged.'),
                  Mistake(strongest_by_height, 'A flat index is row · width + column: divide by the *width*.'), Mistake(strongest_weak_first, 'The weakest of them comes first: turn the order round.'), Mistake(strongest_values, 'First come the *numbers* of the pictures, not their activations: `topk` returns both, values and indices.'), Mistake(strongest_weakest, 'These are the pictures that excite the channel least: `argsort` counts upwards.'), Mistake(strongest_places_of_first, 'The places are those of the first k pictures. Index them with the pictures you found.')),
        hints=('`flatten(1).max(1)` gives each picture\'s best value and place.', '`topk` on the values gives the pictures.', 'Place `// width` and `% width`, indexed by those pictures.'), why='Nine such patches beside their projections: the classic figure.', also=(strongest_sort, strongest_unravel)),
    Exercise('5.12', 'The patch that a unit sees', 'Write `crop(x, field, rows, cols, fill=0.)`: from each picture of (N,3,H,W) the `field.size` pixels square that its unit (row, column) sees. It begins at `field.start` + row·`field.step`, the columns likewise. What lies outside the picture gets the colour `fill`.', crop, library='camtutor.deconvnet',
        trials=(gives('By hand: row 1, column 0 of fields 2 wide', CROPPED, Field(2, 2, 0), torch.tensor([1]), torch.tensor([0]), want=[[[[8., 9.], [12., 13.]]]]), gives('By hand: over the upper edge', CROPPED, Field(3, 2, -1), torch.tensor([0]), torch.tensor([1]), .5, want=[[[[.5, .5, .5], [1., 2., 3.], [5., 6., 7.]]]]),
                gives('Two pictures, two places', X_, Field(5, 3, -2), torch.tensor([1, 2]), torch.tensor([0, 2]), .25), keeps(X_, Field(5, 3, -2), torch.tensor([1, 2]), torch.tensor([0, 2]))),
        mistakes=(Mistake(crop_turned, 'Rows and columns are exchanged: rows count down the picture.'), Mistake(crop_no_start, '`field.start` is missing: with padding, the first unit begins outside the picture.'), Mistake(crop_no_step, 'A unit\'s row is counted in units, not in pixels: multiply by `field.step`.'),
                  Mistake(crop_unpadded, 'Inside the picture it is right. At the edge a slice begins below 0, which in Python counts from the far end, and nothing is left. Pad the picture first, and count from there.'),
                  Mistake(crop_pushed_in, 'At the edge you move the patch into the picture. Then its middle is no longer what the unit looks at: let it hang over, and fill.'), Mistake(crop_always_black, '`fill` is not used: what lies outside is 0 whatever colour was asked for.'), Mistake(crop_around, 'You put the unit in the middle of the patch. `field.start` says where it really begins.'),
                  Mistake(crop_unshifted, 'You pad the picture, and then count as if you had not: everything in it has moved by the padding.')),
        hints=('A slice that begins below 0 counts from the far end: pad the pictures first, with `F.pad(…, value=fill)`.', 'How far can a field hang over? Less than its size: so pad by that much on all four sides.', 'Padding moves everything: add it to start + row·step. One slice for each picture, and `torch.stack`.'),
        why='Patch and projection belong side by side: a unit cannot have seen anything outside its patch, whatever the drawing suggests.', also=(crop_by_pixel, crop_indexed)),
    Exercise('5.13', 'Other switches', 'Write `swap_switches(machine, how)`: replace the switches of every max pooling that `machine`, a `DeconvNet`, went through, and return the same machine. Its memory `machine.seen` is a list of pairs (layer, memory). A memory is a named tuple: `memory.shape` is the shape that the layer read, `memory.idx` its switches, or None where a layer has none. A named tuple cannot be changed: make a new one with `memory._replace(idx=…)`. `SWITCHES[how](idx, width)` of `camtutor.deconvnet` gives the new switches; a switch is row · width + column, in the map that the pooling *read*.', swap_switches, library='camtutor.deconvnet',
        trials=(Trial('By hand: the 4 and the 7 of a map of 2 × 4 go to the first place of their windows', swapped('first', only_pooling, X), {'what comes back': 'the same machine', 'what the machine draws': torch.tensor([[[[4., 0., 7., 0.], [0., 0., 0., 0.]]]])}),
                Trial('By hand: that map and its mirror image borrow each other\'s switches', swapped('other', only_pooling, torch.cat([X, X.flip(3)])), {'what comes back': 'the same machine', 'what the machine draws': torch.tensor([[[[4., 0., 0., 0.], [0., 0., 0., 7.]]], [[[0., 0., 0., 4.], [7., 0., 0., 0.]]]])}),
                Trial('Six layers, two of them poolings: the first places', swapped('first')), Trial('Six layers, another picture\'s switches', swapped('other')), Trial('Six layers, their own switches', swapped('own'))),
        mistakes=(Mistake(swap_pooled_width, 'You take the width of the map *behind* the pooling, which is that of `idx`. A switch counts along the rows of the map in front of it, `memory.shape`.'), Mistake(swap_height, 'That is the height. A switch is row · *width* + column.'), Mistake(swap_everywhere, 'Only poolings have switches. The other layers\' `idx` is None: leave their memories as they are.'),
                  Mistake(swap_loses_layer, 'The layers are lost: `machine.seen` holds pairs, the layer and its memory. `project` needs both.'), Mistake(swap_nothing, 'The machine still has its old switches. `_replace` does not change a memory, it makes a new one: the new one must get into `machine.seen`.'), Mistake(swap_plain_tuple, 'A memory has become a plain tuple, and the way back asks it for `.shape` and `.idx`. `memory._replace(idx=…)` keeps the names.'), Mistake(swap_assigns, 'A named tuple takes no assignment to its parts. `memory._replace(idx=…)` makes a new memory, which then goes into `machine.seen`, with its layer.'), Mistake(swap_no_return, 'Nothing comes back. Return the machine, so that `.project(…)` can follow at once.'), Mistake(swap_returns_list, 'You return the list of memories. The machine itself was asked for.'), Mistake(swap_copy, 'You change a copy, and the machine that you were given keeps its switches.'),
                  Mistake(swap_poolings_only, 'Only the poolings are left in the memory. The other layers go back as well: keep their pairs.'), Mistake(swap_first_only, 'Only the first pooling gets new switches. All of them should.'), Mistake(swap_last_only, 'Only the last pooling gets new switches. All of them should.')),
        hints=('Go through the pairs, and build a new list of pairs in the same order.', 'A pair (layer, memory) is a tuple and cannot be changed either: put a new pair, with the layer and the new memory, into the list.', 'The width is the last number of the shape that the pooling read. Where `idx` is None, the pair stays as it is.'),
        why='An experiment on the explanation instead of the network: take away what comes from the picture, and see what is left of the drawing. The library\'s own also says which switches there are, when it does not know the ones you ask for.', also=(swap_in_place, swap_by_hand)),
    Exercise('5.14', 'What one channel draws', 'Write `project(model, x, layer, channel=None, whole=True, switches=\'own\', clip=99.5)`: all of this chapter in one call. A `DeconvNet` runs as far as `layer`; of its output A only A · mask goes back, with the mask `unit_mask(A, channel, whole)` of `camtutor.guided`; the machine\'s switches are those that `swap_switches(machine, switches)` puts in; and the result is drawn with `signed_image(pixels, clip)` of `camtutor.guided`.', project, library='camtutor.deconvnet',
        trials=(Trial('By hand: channel 1 is −x, and the largest of its window is the 4 at the lower left', drawing('2', 1, clip=100, net=two_channels, x=SIGNS), torch.tensor([[[[.5, .5], [0., .5]]]]), 'A 4 goes back to its place and through the weight −1: a −4 in a picture of zeros. Zero is grey (0.5), and the strongest negative black (0).'),
                Trial('By hand: the same, drawn at the first place', drawing('2', 1, switches='first', clip=100, net=two_channels, x=SIGNS), torch.tensor([[[[0., .5], [.5, .5]]]])),
                Trial('Channel 3 of the last layer', drawing('5', 3)), Trial('Its strongest place', drawing('5', 3, False)), Trial('Each picture\'s strongest channel', drawing('4')), Trial('Another picture\'s switches', drawing('5', 2, switches='other')), Trial('A lower layer, clip = 90', drawing('2', 1, clip=90))),
        mistakes=(Mistake(project_all, 'All channels draw together. Multiply A by the mask.'), Mistake(project_ones, 'You send the mask back, that is a 1 from each place. Send the activations there: A times the mask.'), Mistake(project_one_place, '`whole` is not used: only the strongest place draws. Hand it to `unit_mask`.'), Mistake(project_whole_map, 'The whole map draws, whatever `whole` says. Hand it to `unit_mask`.'),
                  Mistake(project_strongest, '`channel` is not used: each picture\'s strongest one draws.'), Mistake(project_own, '`switches` changes nothing: the picture\'s own are still in. Put the others in *after* the machine has run forward, since each run makes a new memory.'), Mistake(project_raw, 'These are signed pixels. Draw them: `signed_image` brings them to [0,1], with zero in the middle.'), Mistake(project_default_clip, '`clip` is not handed on to `signed_image`, which has a default of its own.'),
                  Mistake(project_stretched, 'You stretch from lowest to highest, so that zero is no longer mid-grey, and nothing is clipped. `signed_image` does both.'), Mistake(project_runs_on, 'The machine runs through all layers. It should stop after `layer`.')),
        hints=('Four steps: run forward, choose what goes back, come back, draw.', 'The run makes the memory, and so the switches can only be swapped after it; the mask needs A, which the run gives.', '`swap_switches` returns the machine, so that `.project(…)` can follow it.'),
        why='The sliders of this chapter run on this one function; with `ex.use("5.14")` they run on yours.', also=(project_loop, project_draws)),
    Exercise('5.15', 'What switches carry', 'You replace all switches by the corner of each window. The projection …', 'loses its sharp outlines: much of the detail came from the switches, that is from the picture itself', kind='choice',
        mistakes=(Mistake('stays the same, since the kernels do the work', 'Try it: edges fall apart into a grid.'), Mistake('becomes sharper, since noise is removed', 'The switches are no noise; they are the places of edges.'))),
    Exercise('5.16', 'Against backprop', 'A deconvnet and a backward pass differ only …', 'at the ReLU: one rectifies what comes back, the other blocks where the forward pass was closed', kind='choice',
        mistakes=(Mistake('at the convolution: one inverts it, the other transposes it', 'Both transpose it. Nothing is inverted.'), Mistake('at the pooling: only the deconvnet has switches', 'The gradient of max pooling goes to the maximum too: the same switches.'), Mistake('in everything: one is a network of its own', 'It can be built as one; its layers are those of the backward pass, with another ReLU.'))),
)
