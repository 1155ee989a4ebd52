"Chapter 07: the CAM family."
import torch
from torch import Tensor, nn

from camtutor.exercises.common import gives, keeps, one_by_one, rand
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise

A = torch.tensor([[[[1., 0.], [0., 2.]], [[0., 4.], [1., 0.]]]])
G = torch.tensor([[[[1., 1.], [1., 1.]], [[2., 1.], [-2., -1.]]]])
A_, G_ = rand(3, 5, 6, 7).abs(), rand(3, 5, 6, 7, seed=1)
S_, SG = rand(2, 4, 3, 5, seed=3), rand(2, 4, 3, 5, seed=4)   # activations of both signs
HAND = 'By hand: two channels of 2 × 2 places'

# 7.1 HiResCAM

e = exercise('7.1', 'HiResCAM',
    'Write `hires_cam(A, g, signed=False)`: activations times gradients, place by place, summed over channels. What is '
    'negative is cut, unless `signed`. (N,C,h,w) twice gives (N,h,w).',
    library='camtutor.family',
    trials=(gives(HAND, A, G, want=[[[1., 4.], [0., 2.]]]),
            gives('The same, signed', A, G, True, want=[[[1., 4.], [-2., 2.]]]),
            gives('Random, not square', A_, G_),
            gives('Activations of both signs, signed', S_, SG, True),
            one_by_one(A_, G_),
            keeps(A_, G_)),
    hints=('Nothing is averaged here.',
           'Which axis holds the channels?',
           'Keep the sum; a ReLU follows only where it is wanted.'),
    why='The signed map of a straight tail sums to the score without its bias. With the ReLU that rule is gone.')

@e.reference
def hires_cam(A:Tensor, # activations (N,C,h,w)
              g:Tensor, # gradients of the score, same shape
              signed:bool=False # keep negative numbers?
             )->Tensor: # maps (N,h,w)
    "Activations times gradients, place by place, summed over channels."
    m = (g*A).sum(1)
    return m if signed else m.relu()

e.edit('(g*A).sum(1)', '(g.mean((2, 3), keepdim=True)*A).sum(1)',
       'You average the gradient over places first. That is Grad-CAM; here each place keeps its own gradient.')
e.edit('(g*A).sum(1)', '(g*A).mean(1)',
       'You take the mean over channels. Then the map no longer sums to the score: add the channels up.')
e.edit('(g*A).sum(1)', '(g*A).relu().sum(1)',
       'The ReLU comes too early: each channel is cut before the sum, so none can outweigh another. Add first, cut '
       'last.')
e.edit('m if signed else m.relu()', 'm.relu()',
       'You cut what is negative although `signed` asks for it. Return the sum as it is there.')
e.edit('m if signed else m.relu()', 'm.relu() if signed else m',
       '`signed` works the wrong way round: True keeps what is negative.')
e.edit('(g*A)', '(g.relu()*A)',
       'You cut the gradient. That is LayerCAM; here a negative gradient counts against a place.')
e.edit('(g*A)', '(g.abs()*A)', 'The gradient has lost its sign. What speaks against a place must count against it.')
e.edit('(g*A).sum(1)', '(g*A).sum(0)', 'You add up axis 0, the pictures. Channels are axis 1.')
e.edit('(g*A).sum(1)', '(g*A).amax(1)',
       'You take the largest channel at each place. All of them count: add them up.')
e.edit('(g*A).sum(1)', 'g.sum(1)*A.sum(1)',
       'You add up gradients and activations each, and multiply the sums. Multiply channel by channel, then add.')
e.edit('(g*A)', '(g*A.relu())',
       'You cut the activations. They keep their sign: only what comes out is cut, and that only if not `signed`.')
e.edit('m if signed else m.relu()', 'm',
       'What is negative is left in both cases. It stays only where `signed` asks for it; else a ReLU follows.')
e.edit('else m.relu()', 'else m.abs()',
       'What is negative is turned round, so what speaks against a place counts for it. Cut it to 0.')
e.edit('m if signed else m.relu()', '(m if signed else m.relu())/m.max()',
       'You divide by the largest value of the whole batch. That is a step for drawing; the values stay as they are.')
e.edit('else m.relu()', 'else m.clamp(max=0)',
       'You keep what is *below* 0: `max=0` is an upper limit. `clamp(min=0)` cuts what is negative.')
e.edit('m if signed else m.relu()', 'm if signed else (g.relu()*A).sum(1)',
       'You cut the gradient before the sum. Add everything up, and cut the sum.')

# 7.2 XGrad-CAM

OFF = torch.cat([A, 0*A[:, :1]], 1)
e = exercise('7.2', 'XGrad-CAM',
    'Write `xgrad_cam(A, g)`: as Grad-CAM, but a weight is Σ g·A / ΣA over the places of the channel. A channel that '
    'is 0 everywhere has the weight 0. Add no small number to the denominator.',
    library='camtutor.family',
    trials=(gives(HAND + ': weights 1 and 0.4', A, G, want=[[[1., 1.6], [.4, 2.]]]),
            gives('A third channel, which is off', OFF, torch.cat([G, G[:, :1]], 1), want=[[[1., 1.6], [.4, 2.]]]),
            gives('Random, not square', A_, G_),
            gives('Tiny activations and large gradients', 1e-8*A_, G_*1e8),
            gives('Activations of both signs', S_, SG),
            one_by_one(A_, G_)),
    hints=('One weight for each channel, (N,C).',
           'Where the sum is 0, divide by something else: `torch.where`, or the method `where`.',
           'The weighted sum is that of Grad-CAM, and so is the ReLU.'),
    why='The weight is a mean of the gradient in which a place counts by its activation; so the map has the sum of '
        "HiResCAM's.")

@e.reference
def xgrad_cam(A:Tensor, # activations (N,C,h,w)
              g:Tensor # gradients of the score, same shape
             )->Tensor: # maps (N,h,w), nothing below 0
    "Grad-CAM with a mean gradient in which a place counts by its activation."
    total = A.sum((2, 3))
    w = (g*A).sum((2, 3))/total.where(total != 0, 1)
    return torch.einsum('nc,nchw->nhw', w, A).relu()

e.edit('total.where(total != 0, 1)', '(total + 1e-7)',
       'You add a small number to the denominator. Beside activations as small as that it takes most of the weight '
       'away.')
e.edit('/total.where(total != 0, 1)', '/total',
       'A channel that is off is 0 divided by 0: NaN everywhere. Give it the weight 0.')
e.edit('/total.where(total != 0, 1)', '/(A.shape[2]*A.shape[3])',
       'You divide by the number of places. Divide by the sum of the activations.')
e.edit('/total.where(total != 0, 1)', '',
       'The division by ΣA is missing, so strong channels count twice.')
e.edit('(g*A).sum((2, 3))', 'g.sum((2, 3))',
       'The gradients are summed without their activations. A place counts by its activation: sum g·A.')
e.edit('.relu()', '', 'What is negative must be cut at the end.')
e.edit('total.where(total != 0, 1)', 'total.clamp(min=1e-12)',
       'You clamp the sum from below, so a negative one becomes tiny, and the weight enormous. Replace only what is 0.')
e.edit('(g*A).sum((2, 3))/total.where(total != 0, 1)', 'torch.where(total > 0, (g*A).sum((2, 3))/total, 0)',
       'A channel whose sum is negative gets the weight 0. Only a sum of 0 does.')
e.edit('total != 0', 'total > 0',
       'You divide a channel whose sum is negative by 1. Only a sum of 0 is to be replaced: `!= 0`.')
e.edit('total = A', 'total = A.abs()',
       'You divide by the sum of sizes, Σ|A|. It is ΣA, with signs.')
e.edit('total = A.sum((2, 3))', 'total = A.mean((2, 3))',
       'You divide by the mean of the activations. Their sum belongs there: else the map is h·w times too strong.')
e.edit('total = A.sum((2, 3))', 'total = A.sum((1, 2, 3))[:, None]',
       'You divide by the sum over all channels. Each channel has its own.')
e.edit('total = A.sum((2, 3))', 'total = A.amax((2, 3))',
       'You divide by the largest activation of a channel. Divide by the sum.')
e.edit('(g*A).sum', '(g.relu()*A).sum',
       'You cut the gradient. In XGrad-CAM what is negative counts too, and may make a weight negative.')
e.edit('/total.where(total != 0, 1)', '/total', '.relu()', '.relu().nan_to_num(0.)',
       'You mend NaN in the finished map. One channel that is off has made every place NaN by then, so the map is '
       'empty: mend the weights.')
e.edit("torch.einsum('nc,nchw->nhw', w, A)", '(w[:, :, None, None]*A/A.where(A != 0, 1)).sum(1)',
       'The weights are added up without the activations. Multiply each channel by its weight.')
e.edit("torch.einsum('nc,nchw->nhw', w, A)", '(g*A/total.where(total != 0, 1)[:, :, None, None]).sum(1)',
       'You divide each product by ΣA and never add up over places. A weight is one number for a channel: sum, '
       'divide, then multiply by A.')
e.edit('w, A).relu()', 'w.relu(), A)',
       'You cut the weights. A channel may count against: cut the finished map.')
e.edit('total = A.sum((2, 3))', 'total = g.sum((2, 3))',
       'You divide by the sum of the gradients. Divide by that of the activations.')

# 7.3 Cut first

e = exercise('7.3', 'Cut, then add',
    'Write `elementwise_cam(A, g)`: what each channel adds at each place, where it adds something. Products that are '
    'negative are cut before the channels are summed.',
    library='camtutor.family',
    trials=(gives(HAND, A, G, want=[[[1., 4.], [0., 2.]]]),
            gives('By hand, activations of both signs', A - 1, G, want=[[[0., 3.], [0., 2.]]]),
            gives('Random, not square', A_, G_),
            gives('Activations of both signs', S_, SG),
            one_by_one(S_, SG)),
    hints=('What is cut here is the product.',
           'The channels come together last.',
           'One ReLU is enough: a sum of numbers that are not negative is not negative.'),
    why='At every place this map is at least the cut map of HiResCAM: nothing was subtracted.')

@e.reference
def elementwise_cam(A:Tensor, # activations (N,C,h,w)
                    g:Tensor # gradients of the score, same shape
                   )->Tensor: # maps (N,h,w), nothing below 0
    "What each channel adds at each place, where it adds something."
    return (g*A).relu().sum(1)

e.edit('.relu().sum(1)', '.sum(1).relu()',
       'You add first and cut afterwards. That is HiResCAM; here the products are cut.')
e.edit('(g*A).relu()', '(g.relu()*A)',
       'You cut the gradient, not the product. They differ where an activation is negative.')
e.edit('(g*A).relu()', '(g.relu()*A.relu())',
       'Gradient and activation are cut each. Where both are negative their product is positive, and counts.')
e.edit('.sum(1)', '.mean(1)', 'You take the mean over channels. They are added up.')
e.edit('(g*A).relu()', '(g*A).abs()', 'You take the absolute value, so what speaks against a place counts for it.')
e.edit('.sum(1)', '.amax(1)', 'You take the largest channel at each place. All count: add them up.')
e.edit('(g*A).relu()', '(g.mean((2, 3), keepdim=True)*A).relu()',
       'You average the gradient over places first, as in Grad-CAM. Here each place keeps its own.')
e.edit('(g*A).relu()', 'torch.where(g*A > 0, g, 0.)',
       'You keep the gradient where the product is positive. The product itself is what a channel adds.')
e.edit('(g*A).relu()', 'torch.where(g*A > 0, A, 0.)',
       'You keep the activation where the product is positive. The product itself is what a channel adds.')
e.edit('(g*A).relu().sum(1)', '(g*A > 0).sum(1).float()',
       'You count the channels that add something. How much they add is asked for.')
e.edit('(g*A).relu()', '(g*A.relu())',
       'You cut the activation, not the product. A negative gradient still takes something away.')
e.edit('.relu().sum(1)', '.sum(1)', 'Nothing is cut. Products below 0 must go before the sum.')
e.edit('.sum(1)', '.mean((1, 2, 3))',
       'You average over places as well, so no map is left. Only the channels are added up.')
e.edit('.sum(1)', '.sum(-1)', 'You add up the last axis, the columns. Channels are axis 1.')
e.edit('.relu()', '.clamp(0, 1)', 'You cut at 1 as well. What is large stays as it is: `clamp(min=0)`.')
e.edit('(g*A)', '(-g*A)', 'You turn the gradient round, so this is what speaks *against*.')

# 7.4 LayerCAM

e = exercise('7.4', 'LayerCAM',
    'Write `layer_cam(A, g)`: activations times positive gradients, place by place, summed over channels, and what is '
    'negative then is cut.',
    library='camtutor.family',
    trials=(gives(HAND, A, G, want=[[[1., 4.], [0., 2.]]]),
            gives('By hand, activations of both signs', A - 1, G, want=[[[0., 2.], [0., 1.]]]),
            gives('Random, not square', A_, G_),
            gives('Activations of both signs', S_, SG),
            one_by_one(S_, SG)),
    hints=('There are two ReLUs.',
           'The first is on the gradient alone.',
           'The second matters only where activations can be negative.'),
    why='For activations that are never negative it is the element-wise map. So behind a ReLU you know two methods for '
        'one.')

@e.reference
def layer_cam(A:Tensor, # activations (N,C,h,w)
              g:Tensor # gradients of the score, same shape
             )->Tensor: # maps (N,h,w), nothing below 0
    "Activations times positive gradients, place by place."
    return (g.relu()*A).sum(1).relu()

e.edit('(g.relu()*A).sum(1).relu()', '(g*A).relu().sum(1)',
       'You cut the product. They differ where gradient and activation are both negative.')
e.edit('g.relu()', 'g', 'The gradient is not cut. That is HiResCAM.')
e.edit('.sum(1).relu()', '.sum(1)', 'Negative activations make the sum negative; cut it at the end.')
e.edit('g.relu()', 'g.mean((2, 3), keepdim=True).relu()',
       'You average the gradient over places. In LayerCAM each place keeps its own.')
e.edit('.sum(1).relu()', '.relu().sum(1)',
       'The last ReLU stands before the sum. Negative activations may be outweighed: '
       'add, then cut.')
e.edit('g.relu()*A', 'g*A.relu()', 'You cut the activation in place of the gradient.')
e.edit('g.relu()', 'g.abs()',
       'The gradient has lost its sign, so what speaks against the class counts for it. Cut it at 0.')
e.edit('g.relu()', '(g > 0)',
       'You multiply by where the gradient is positive, not by how large it is. Take the gradient itself.')
e.edit('(g.relu()*A).sum(1)', '(g.relu().sum(1)*A.sum(1))',
       'You add up gradients and activations each, and multiply the sums. Multiply channel by channel, then add.')
e.edit('(g.relu()*A).sum(1).relu()', 'g.relu().sum(1)', 'The activations are missing: this is the gradient alone.')
e.edit('g.relu()', 'g.clamp(max=0)',
       'You keep what is *below* 0: `max=0` is an upper limit. `clamp(min=0)` keeps the positive gradients.')
e.edit('g.relu()', '(-g).relu()', 'You turn the gradient round before it is cut. So this shows what speaks against.')
e.edit('.sum(1).relu()', '.mean(1).relu()', 'You take the mean over channels. They are added up.')
e.edit('.sum(1).relu()', '.amax(1).relu()', 'You take the largest channel at each place. All count: add them up.')
e.edit('(g.relu()*A).sum(1).relu()', '(g*A).sum((2, 3))[:, :, None, None].mul(A).sum(1).relu()',
       'You make one weight for each channel. In LayerCAM each place has its own.')
e.edit('(g.relu()*A).sum(1).relu()', 'torch.tanh(2*(g.relu()*A).sum(1).relu())',
       'There is a tanh in it. That is for several layers in one; the map of one layer stays as it is.')
e.edit('(g.relu()*A).sum(1).relu()', '(g*A).relu().mean(1)',
       'You cut the product and take the mean over channels. Cut the gradient, add up, and cut again.')

# 7.5 Several layers in one

SHALLOW, DEEP = torch.tensor([[[0., 1.], [2., 4.]]]), torch.tensor([[[0., 3.], [1.5, 0.]]])
M1, M2, M3 = (rand(2, 4, 5, seed=s).abs() for s in (5, 6, 7))

def flat_to_0(m):
    "Maps (N,h,w) over their largest value."
    return m/m.amax((1, 2), keepdim=True)

e = exercise('7.5', 'Several layers in one',
    'Write `fuse(maps)`: a list of maps (N,h,w) of one size, the deepest last. Divide each by its largest value, lift '
    'all but the last by tanh(2·m), and take the largest at each place.',
    trials=(gives('By hand: a shallow and a deep map', [SHALLOW, DEEP],
                  want=torch.stack([torch.tanh(SHALLOW/2), DEEP/3]).amax(0)),
            gives('Three maps', [M1, M2, M3]),
            gives('One map alone', [M1]),
            gives('The first ten times as strong', [10*M1, M2, M3])),
    hints=('Each *image* of a map has a largest value of its own.',
           '`torch.stack` makes one tensor of a list.',
           'The maximum is over the layers, not over places.'),
    why='The fine maps are weak, so each is first brought to its own scale. A maximum keeps what any layer shows, a '
        'product what all of them show.')

@e.reference
def fuse(maps:list # of maps (N,h,w), the deepest last
        )->Tensor: # (N,h,w), 0 to 1
    "Maps of several layers as one."
    *shallow, deep = [m/m.amax((1, 2), keepdim=True) for m in maps]
    return torch.stack([*(torch.tanh(2*m) for m in shallow), deep]).amax(0)

e.edit('for m in shallow), deep]', 'for m in [*shallow, deep])]',
       'The deepest map goes through the tanh as well. It is lifted already: only the shallow ones are.')
e.edit('.amax(0)', '.mean(0)', 'You take the mean of the layers. The largest value counts at each place.')
e.edit('.amax(0)', '.prod(0)', 'You multiply the layers. That is RefineCAM; here the largest value counts.')
e.edit('m/m.amax((1, 2), keepdim=True)', 'm',
       'The maps are not brought to one scale, so the strongest layer drowns the others.')
e.edit('m.amax((1, 2), keepdim=True)', 'm.amax()',
       'You divide by the largest value of the whole batch. Each image has its own.')
e.edit('torch.tanh(2*m)', 'torch.tanh(m)', 'The factor 2 in front of the tanh is missing.')
e.edit('*shallow, deep', 'deep, *shallow',
       'You take the first map for the deepest. The deepest is the last of the list.')
e.edit('torch.tanh(2*m)', 'm', 'The tanh is missing: the shallow maps are to be lifted.')
e.edit('torch.tanh(2*m)', '2*torch.tanh(m)', 'The 2 stands outside of the tanh. It belongs to its argument.')
e.edit('torch.tanh(2*m)', '2*m', 'You double the shallow maps without the tanh, so they pass 1.')
e.edit('m/m.amax((1, 2), keepdim=True)',
       '(m - m.amin((1, 2), keepdim=True))/(m.amax((1, 2), keepdim=True) - m.amin((1, 2), keepdim=True))',
       'You stretch each map from its lowest to its highest place. Divide by the highest alone: 0 stays 0.')
e.edit('m.amax((1, 2), keepdim=True)', 'm.sum((1, 2), keepdim=True)',
       'You divide by the sum of each map. Divide by its largest value.')
e.edit('.amax(0)', '.sum(0)', 'You add the layers up. The largest value counts at each place.')
e.edit('.amax(0)', '.amin(0)', 'You take the smallest value at each place. The largest counts.')
e.edit(', deep])', '])', 'The deepest map is left out. It comes last, as it is.')
e.edit('.amax(0)', '.amax((2, 3))', 'You take the largest over *places*. Stacked, the layers are axis 0.')
e.edit('.amax(0)', '.amax(1)', 'You take the largest over the *pictures*. Stacked, the layers are axis 0.')

@e.wrong
def lifted_before(maps):
    "You take the tanh before a map is divided by its largest value. Divide first: only then is 2·m from 0 to 2."
    lifted = [*(torch.tanh(2*m) for m in maps[:-1]), maps[-1]]
    return torch.stack([flat_to_0(m) for m in lifted]).amax(0)
e.edit('torch.tanh(2*m) for m', 'm for m', ', deep]', ', torch.tanh(2*deep)]',
       'You lift the deepest map and leave the others. It is the shallow ones that are weak.')

# 7.6 Grad-CAM++

a = torch.tensor([[[[1., 0.], [0., 2.]], [[0., 4.], [1., 0.]]]])
W0, W1 = 4/5, 2/12 + 1/7
e = exercise('7.6', 'Grad-CAM++',
    'Write `grad_cam_pp(A, g)` for activations that are not negative: weights Σ α·ReLU(g), α = 1/(2 + ReLU(g)·ΣA), ΣA '
    'over all places of the channel; then the weighted sum.',
    library='camtutor.family',
    trials=(gives(HAND, a, G, want=[[[W0, 4*W1], [W1, 2*W0]]]),
            gives('Random, not square', A_, G_),
            gives('Small gradients', A_, 1e-3*G_),
            gives('Gradients that are never positive', A_, -G_.abs()),
            one_by_one(A_, G_),
            keeps(A_, G_)),
    hints=('α has the shape of g: a number for each place.',
           '`keepdim=True` lets ΣA meet every place of its channel.',
           'Nothing has to be added to the denominator: it is at least 2.'),
    why='The closed form needs no squares, no cubes and no small number. Others write g²/(2g² + ΣA·g³ + 1e-6), which '
        'turns cubic where g² is small.')

@e.reference
def grad_cam_pp(A:Tensor, # activations (N,C,h,w), none below 0
                g:Tensor # gradients of the score, same shape
               )->Tensor: # maps (N,h,w), nothing below 0
    "Grad-CAM++, in the closed form for a tail of ReLUs, means and linear layers."
    up = g.relu()
    alpha = 1/(2 + up*A.sum((2, 3), keepdim=True))
    return torch.einsum('nc,nchw->nhw', (alpha*up).sum((2, 3)), A).relu()

e.edit('alpha = 1/(2 + up*A.sum((2, 3), keepdim=True))',
       'alpha = up**2/(2*up**2 + up**3*A.sum((2, 3), keepdim=True) + 1e-6)',
       'You add a small number to a denominator of squares and cubes. Where g² is no larger than it, weights turn '
       'cubic; '
       'cancel g² and there is nothing to add.')
e.edit('alpha = 1/(2 + up*A.sum((2, 3), keepdim=True))', 'alpha = up**2',
       'The division is lost: α is g², and each weight Σ ReLU(g)³.')
e.edit('up*A.sum((2, 3), keepdim=True)', '(up*A).sum((2, 3), keepdim=True)',
       'The gradient is inside the sum over places. ΣA comes from the sum of the activations alone, and is '
       'multiplied by '
       'the gradient of each place.')
e.edit('up*A.sum((2, 3), keepdim=True)', 'up*A',
       'You multiply by the activation of the place. ΣA is over all places of the channel.')
e.edit('A.sum((2, 3), keepdim=True)', 'A.mean((2, 3), keepdim=True)',
       'You take the mean of the activations. It is their sum.')
e.edit('(alpha*up).sum((2, 3))', '(alpha*up).mean((2, 3))',
       'The weights are means over places. Here they are sums; α does the sharing out.')
e.edit('(alpha*up).sum', '(alpha*g).sum', 'Gradients below 0 are in the weights. Grad-CAM++ takes ReLU(g).')
e.edit('1/(2 + ', '1/(1 + ', 'The 2 of the denominator has become a 1. It comes from differentiating twice.')
e.edit('(alpha*up).sum', 'alpha.sum', 'The weights are sums of α alone. Each α is multiplied by its ReLU(g) first.')
e.edit('(alpha*up).sum', 'up.sum', 'α is missing: these are sums of the positive gradients.')
e.edit('alpha = 1/(2 + up*A.sum((2, 3), keepdim=True))',
       'alpha = up**2/(2*up**2 + up**3*A.sum((2, 3), keepdim=True))',
       'Where the gradient is cut to 0, your α is 0 divided by 0: NaN. Cancel g², and the 2 stays in the denominator.')
e.edit('A.sum((2, 3), keepdim=True)', 'A.sum((1, 2, 3), keepdim=True)',
       'ΣA is over all channels in yours. Each channel has its own sum.')
e.edit("torch.einsum('nc,nchw->nhw', (alpha*up).sum((2, 3)), A)", '(alpha*up*A).sum(1)',
       'You multiply place by place. A weight is one number for a channel: add α·ReLU(g) up over places first.')
e.edit('1/(2 + up*A.sum((2, 3), keepdim=True))', '1/2 + up*A.sum((2, 3), keepdim=True)',
       'The brackets are missing: only the 2 is in the denominator. ReLU(g)·ΣA belongs there as well.')
e.edit('1/(2 + up*A.sum((2, 3), keepdim=True))', '2 + up*A.sum((2, 3), keepdim=True)',
       'α is upside down. It is 1 over that.')
e.edit('(alpha*up)', '(alpha/alpha.sum((2, 3), keepdim=True)*up)',
       'You make the α of a channel sum to 1. They stay as they are.')
e.edit('A.sum((2, 3), keepdim=True)', 'A.sum((2, 3))',
       'ΣA has lost the axes of places, so it meets the wrong axes of g. `keepdim=True` keeps them.')
e.edit('1/(2 + up*A.sum((2, 3), keepdim=True))', '1/(up*A.sum((2, 3), keepdim=True) + 1e-8)',
       'The 2 in the denominator is missing.')
e.edit('up*A.sum', 'A.sum', 'ReLU(g) is missing in the denominator: it is 2 + ReLU(g)·ΣA.')
e.edit('A.sum((2, 3), keepdim=True)', 'up.sum((2, 3), keepdim=True)',
       'You add up gradients in the denominator. ΣA is the sum of activations.')
e.edit('up = g.relu()', 'up = g.abs()', 'The gradients have lost their sign. Grad-CAM++ cuts those below 0.')
e.edit('(alpha*up)', '(alpha*up**2)', 'You multiply α by the square of ReLU(g). It is ReLU(g) itself.')
e.edit('up = g.relu()', 'up = g.relu().exp()',
       'You take the exponential of the gradient. It has been cancelled in the closed form: ReLU(g) alone is left.')

@e.wrong
def averaged(A, g):
    "You average the gradient over places before α is taken. α and ReLU(g) are taken at each place, then added up."
    up = g.mean((2, 3)).relu()
    return torch.einsum('nc,nchw->nhw', up/(2 + up*A.sum((2, 3))), A)
e.edit('up*A.sum', 'up**3*A.sum', 'You have cancelled g² in one term only. g³·ΣA over g² is g·ΣA.')

# 7.7 Eigen-CAM

PATTERN = torch.tensor([1., 3., 2.])[None, :, None, None]*A[:, :1]
def scaled(m): return m/m.amax((1, 2), keepdim=True).clamp(min=1e-12)

def drawn(title, acts):
    "A trial: what is drawn, since a first direction has no length of its own."
    def run(answer):
        m = answer(acts.clone())
        return scaled(m) if isinstance(m, Tensor) and m.ndim == 3 else m
    return Trial(title, run)

e = exercise('7.7', 'Eigen-CAM',
    'Write `eigen_cam(A)`: each place is a row of C numbers; project the rows on their first right singular vector, '
    'without centring. Choose the sign in which the map agrees with the sum of the channels, and cut below 0.',
    library='camtutor.family',
    trials=(drawn('Every channel a multiple of one pattern', PATTERN),
            *(drawn(f'Random activations, {n}', rand(2, 5, 4, 3, seed=10 + n).relu()) for n in range(4)),
            drawn('Activations of both signs', S_),
            drawn('Nine pictures with both signs', rand(9, 4, 3, 5, seed=20))),
    hints=('Rows are places: (N, h·w, C).',
           '`torch.linalg.svd(X, full_matrices=False)` gives right singular vectors as the rows of its third part.',
           'Sum the product of your map and the sum of the channels; where that is negative, turn the map round.'),
    why='Without a rule the sign is an accident of the linear algebra library, and a ReLU behind the wrong one leaves '
        'nothing.')

@e.reference
def eigen_cam(A:Tensor # activations (N,C,h,w)
             )->Tensor: # maps (N,h,w), nothing below 0
    "How far each place goes in the direction in which the layer varies most."
    X = A.flatten(2).mT
    v = torch.linalg.svd(X, full_matrices=False)[2][:, 0]
    m = torch.einsum('npc,nc->np', X, v)
    sign = torch.where((m*X.sum(2)).sum(1) < 0, -1., 1.)
    return (m*sign[:, None]).view(len(A), *A.shape[2:]).relu()

e.edit('(m*sign[:, None])', 'm',
       'The sign is left as it comes. Then the map of one picture shows the object and that of the next nothing; '
       'turn it '
       'to agree with the sum of the channels.')
e.edit('X = A.flatten(2).mT', 'X = A.flatten(2).mT; X = X - X.mean(1, keepdim=True)',
       'You centre the columns. Then the map has both signs, and what is below the mean is cut.')
e.edit('(m*sign[:, None])', 'm.abs()',
       'You take the absolute value. For activations of both signs that mixes the two sides; choose a sign.')
e.edit('(m*sign[:, None]).view(len(A), *A.shape[2:]).relu()', '(m*sign[:, None]).view(len(A), *A.shape[2:])',
       'What is below 0 must be cut.')
e.edit('[2][:, 0]', '[2][:, 1]',
       'That is the second direction. Singular values come in falling order: the first is row 0.')
e.edit('[2][:, 0]', '[2][..., 0]',
       'You take the first *column* of the third part of the SVD. Right singular vectors are its rows.')
e.edit('[2][:, 0]', '[2][:, -1]',
       'That is the last direction, in which the layer varies least. Singular values come in falling order.')
e.edit('X = A.flatten(2).mT', 'X = A.reshape(len(A), -1, A.shape[1])',
       'Your reshape mixes places and channels. Flatten the places, then exchange the two axes: '
       '`A.flatten(2).mT`.')
e.edit('sign = torch.where((m*X.sum(2)).sum(1) < 0, -1., 1.)',
       'sign = torch.where((m*X.sum(2)).sum() < 0, -1., 1.).expand(len(A))',
       'You choose one sign for the whole batch. Each picture needs its own.')
e.edit('< 0', '> 0', 'The sign is turned the wrong way: your map *disagrees* with the sum of the channels.')
e.edit('(m*X.sum(2)).sum(1) < 0', 'm.sum(1) < 0',
       'You turn the map so that its own sum is positive. It should agree with the sum of the channels: '
       'multiply the two.')
e.edit('X, v)', 'X, v.abs())',
       'You take the absolute value of the direction. A channel may count against: turn it as a whole.')
e.edit('.view(len(A), *A.shape[2:])', '', 'The places are still in a row, (N, h·w). Give them back their two axes.')
e.edit('return (m*sign[:, None]).view(len(A), *A.shape[2:]).relu()', 'return v',
       'You return the direction, C numbers for a picture. Project the rows on it: that is the map.')
e.wrong(lambda A: A.sum(1).relu(), 'This is the sum of the channels. It decides about the sign only.')

@e.wrong
def one_for_all(A):
    "You take one first direction of the whole batch. Each picture has its own: keep the batch as an axis of its own."
    X = A.flatten(2).mT
    m = X @ torch.linalg.svd(X.flatten(0, 1), full_matrices=False)[2][0]
    sign = torch.where((m*X.sum(2)).sum(1) < 0, -1., 1.)
    return (m*sign[:, None]).view(len(A), *A.shape[2:]).relu()

@e.wrong
def standard(A):
    "You centre the columns and divide by their spread. The rows are taken as they are."
    raw = A.flatten(2).mT
    X = (raw - raw.mean(1, keepdim=True))/(raw.std(1, keepdim=True) + 1e-6)
    m = (X @ torch.linalg.svd(X, full_matrices=False)[2][:, 0, :, None])[..., 0]
    sign = torch.where((m*raw.sum(2)).sum(1) < 0, -1., 1.)
    return (m*sign[:, None]).view(len(A), *A.shape[2:]).relu()
e.edit('[2][:, 0]\n', '[1]\n    return v\n',
       'You return the singular values. The map is the projection on the first right singular vector.')

# 7.8 Finer

OUT = torch.tensor([[5., 4., 1., -9.], [0., 2., 3., 10.]])
e = exercise('7.8', 'A finer target',
    'Write `finer_score(out, k, n=3, gamma=.6)`: from scores (N,K), the score of class k less `gamma` times the mean '
    'of '
    'the n other scores nearest to it.',
    trials=(gives('By hand: class 0, two neighbours', OUT, 0, 2, .5, want=[3.75, -1.25]),
            gives('Class 2', OUT, 2, 2, 1.),
            gives('Random scores', rand(4, 9, seed=8), 3),
            gives('gamma 0: the class itself', OUT, 1, 2, 0., want=[4., 2.])), graph=True,
    hints=('How far is each score from that of class k?',
           'Its own distance is 0: that one must not be among the nearest.',
           '`topk(n, largest=False)` gives the places of the smallest; `gather` takes the scores there.'),
    why='It is a target and no method, so every method of the table can draw it. gamma=0 is the class itself, and that '
        'is its test.')

@e.reference
def finer_score(out:Tensor, # scores (N,K)
                k:int, # the class
                n:int=3, # how many others
                gamma:float=.6 # how much of their mean is taken off
               )->Tensor: # (N,)
    "A class's score, less `gamma` times the mean of the `n` scores nearest to it."
    far = (out - out[:, k:k+1]).abs()
    far[:, k] = float('inf')
    near = far.topk(n, largest=False).indices
    return out[:, k] - gamma*out.gather(1, near).mean(1)

e.edit("    far[:, k] = float('inf')\n", '',
       'The class is its own nearest neighbour, so part of it is taken off. Leave it out.')
e.edit('.mean(1)', '.sum(1)', 'You take off the sum of the neighbours where their mean belongs.')
e.edit('.abs()', '', 'Without the absolute value the nearest are the lowest scores. Near means on either side.')
e.edit('out[:, k] - gamma', 'out[:, k] + gamma',
       'The neighbours are added. They are taken off: what has this class that they have not?')
e.edit('(out - out[:, k:k+1]).abs()', '-out.clone()',
       'You take the highest scores. Nearest to class k is another thing, when k is not the top class.')
e.edit(', largest=False', '',
       'You take the farthest scores, the class itself, at a distance of inf, among them. The nearest are wanted: '
       '`largest=False`.')
e.edit("    far[:, k] = float('inf')\n", '', ', largest=False', '',
       'You take the scores farthest from that of class k. The nearest are wanted: `largest=False`.')
e.edit('out.gather(1, near)', 'far.gather(1, near)',
       'You take off the mean *distance* of the neighbours. It is the mean of their scores.')
e.edit('out.gather(1, near).mean(1)', '(out.sum(1) - out[:, k])/(out.shape[1] - 1)',
       'You take off the mean of all the others. Only the `n` nearest count.')
e.edit('out[:, k] - gamma', 'gamma*out[:, k] - gamma', 'The score of the class is multiplied by `gamma` too. '
       'Only what is taken off is.')
e.edit('out[:, k] - gamma', '(1 - gamma)*out[:, k] - gamma',
       'The class counts 1 − gamma in yours. Its score stays whole.')
e.edit('topk(n,', 'topk(3,', 'You always take three neighbours. There are `n`.')
e.edit('- gamma*', '- .6*', 'You always take off 0.6. It is `gamma`.')
e.edit('- gamma*', '- ', '`gamma` is missing: the whole mean is taken off.')
e.edit('out[:, k] - gamma*', 'gamma*', 'This is the part that is taken off, alone. The score of class k comes first.')
e.edit('.mean(1)', '.amax(1)', 'You take off the highest of the neighbours. It is their mean.')
e.edit('out.gather(1, near)', 'near.float()',
       'You average the *numbers* of the neighbours. `out.gather(1, near)` gives their scores.')
e.edit('out[:, k] - gamma*out.gather(1, near).mean(1)', '(out[:, k:k+1] - gamma*out.gather(1, near)).mean(0)',
       'You average over the pictures. The mean is over the neighbours, axis 1.')

# 7.9 Smooth

D_ = rand(6, 2, 5, 3, 4, seed=12)
P_ = rand(2, 5, 3, 4, seed=13).abs()
e = exercise('7.9', 'The mean of derivatives',
    'Write `smooth_weights(A, grads)`: weights (N,C) as in Grad-CAM++, from gradients (n,N,C,h,w) of n noisy copies. '
    'With D1, D2, D3 the means of g, g², g³ over copies: Σ α·ReLU(D1), α = D2/(2·D2 + ΣA·ReLU(D3)), 0 where D2 is 0.',
    library='camtutor.family',
    trials=(gives('One copy is Grad-CAM++', a, G[None], want=[[4/5, 2/12 + 1/7]]),
            gives('Six copies', P_, D_),
            Trial('Small gradients', lambda answer: 1e8*answer(P_.clone(), 1e-8*D_)),
            gives('A channel without gradient', P_, D_*torch.tensor([1., 0., 1., 1., 1.])[:, None, None])),
    hints=('Axis 0 counts the copies.',
           'A power is taken before its mean.',
           'Where D2 is 0, divide by 1, and let the numerator be 0.'),
    why='The mean of powers is not the power of the mean, and the last copy is not the mean.')

@e.reference
def smooth_weights(A:Tensor, # activations of the clean picture (N,C,h,w)
                   grads:Tensor # gradients of n copies (n,N,C,h,w)
                  )->Tensor: # (N,C)
    "Weights of Grad-CAM++ from the mean of g, g² and g³."
    d1, d2, d3 = grads.mean(0), (grads**2).mean(0), (grads**3).mean(0)
    below = 2*d2 + A.sum((2, 3), keepdim=True)*d3.relu()
    return (d2/below.where(d2 > 0, 1)*d1.relu()).sum((2, 3))

e.edit('grads.mean(0), ', 'grads[-1], ', 'D1 is the gradient of the last copy alone. All copies have a say.')
e.edit('(grads**2).mean(0), (grads**3).mean(0)', 'grads.mean(0)**2, grads.mean(0)**3',
       'You take powers of the mean. The mean of powers is wanted.')
e.edit('d2/below', 'd1/below', 'The numerator of α is D1. It is D2: only then is α that of Grad-CAM++ without noise.')
e.edit('below.where(d2 > 0, 1)', 'below', 'Where a channel has no gradient that is 0 divided by 0: NaN.')
e.edit('A.sum((2, 3), keepdim=True)*d3.relu()', '(A*d3.relu()).sum((2, 3), keepdim=True)',
       'The third derivative is inside the sum over places. ΣA is the sum of the activations alone.')
e.edit('d1.relu()', 'd1', 'D1 is not cut. Mean gradients below 0 do not count: ReLU(D1).')
e.edit('d3.relu()', 'd3', 'D3 is not cut. Then the denominator may become 0 or negative: ReLU(D3).')
e.edit('2*d2', 'd2', 'The 2 in the denominator is missing: it is 2·D2 + ΣA·ReLU(D3).')
e.edit('d1.relu()).sum((2, 3))', 'd1.relu()).mean((2, 3))', 'You take the mean over places. The weights are sums.')
e.edit('grads.mean(0), (grads**2).mean(0), (grads**3).mean(0)', 'grads.sum(0), (grads**2).sum(0), (grads**3).sum(0)',
       'You add the copies up. D1, D2 and D3 are means over the copies.')
e.edit('grads.mean(0), (grads**2).mean(0), (grads**3).mean(0)',
       'grads.relu().mean(0), (grads.relu()**2).mean(0), (grads.relu()**3).mean(0)',
       'You cut the gradient of each copy. The mean comes first, and D1 and D3 are cut after it.')
e.edit('A.sum((2, 3), keepdim=True)*', 'A*',
       'You multiply by the activation of the place. ΣA is over all places of the channel.')
e.edit('A.sum((2, 3), keepdim=True)', 'A.mean((2, 3), keepdim=True)',
       'You take the mean of the activations. It is their sum.')
e.edit('below.where(d2 > 0, 1)', '(below + 1e-6)',
       'A small number stands in the denominator. Beside squares of small gradients it is large, and the weights '
       'vanish: replace only what is 0.')
e.edit('(d2/below.where(d2 > 0, 1)*d1.relu())', '(d2/below.where(d2 > 0, 1))',
       'These are sums of α. Each α is multiplied by its ReLU(D1).')
e.edit('(d2/below.where(d2 > 0, 1)*d1.relu()).sum((2, 3))',
       "torch.einsum('nc,nchw->nhw', (d2/below.where(d2 > 0, 1)*d1.relu()).sum((2, 3)), A).relu()",
       'You have gone on to the map. The weights (N,C) are asked for.')

@e.wrong
def mean_weights(A, grads):
    "You average the weights that Grad-CAM++ gives each copy. Here g, g² and g³ are averaged, before α is taken."
    up, total = grads.relu(), A.sum((2, 3), keepdim=True)
    return (up/(2 + total*up)).sum((3, 4)).mean(0)
e.edit('grads.mean(0), (grads**2).mean(0), (grads**3).mean(0)', 'grads[0], grads[0]**2, grads[0]**3',
       'You take the first copy alone. All copies have a say.')
e.edit('grads.mean(0), (grads**2).mean(0), (grads**3).mean(0)',
       'grads.abs().mean(0), (grads.abs()**2).mean(0), (grads.abs()**3).mean(0)',
       'The gradients have lost their sign, so D1 and D3 are too large. Average them as they are.')
e.edit('return (d2/below.where(d2 > 0, 1)*d1.relu()).sum((2, 3))', 'return d1.mean((2, 3))',
       'These are the weights of Grad-CAM, from the mean gradient. α is missing.')
e.edit('d1.relu()).sum((2, 3))', 'd1.relu()).sum(1)', 'You add up the channels. Each has its weight: add up places.')

# 7.10 What all layers show

e = exercise('7.10', 'What all layers show',
    'Write `refine(maps, geometric=False)`: a list of maps (N,h,w) of one size, nothing below 0. Each image by its '
    'largest value, then the product of the layers; its root if `geometric`; then by its largest value again. An empty '
    'map stays 0.',
    trials=(gives('Two maps', [M1, M2]),
            gives('Three maps, geometric', [M1, M2, M3], True),
            gives('Three times the same, geometric: itself', [M1]*3, True, want=flat_to_0(M1)),
            gives('One layer is empty', [M1, 0*M2, M3], want=torch.zeros(2, 4, 5)),
            gives('One layer', [M1], want=flat_to_0(M1))),
    hints=('Write the scaling once, as a function.',
           '`prod(0)` multiplies along the axis of the layers.',
           'The root of three layers is the power 1/3.'),
    why='A product lets any layer veto. The root leaves equal maps as they are; without it they are sharpened.')

@e.reference
def refine(maps:list, # of maps (N,h,w)
           geometric:bool=False # the root of the product?
          )->Tensor: # (N,h,w), 0 to 1
    "The product of the maps of several layers."
    def unit(m):
        top = m.amax((1, 2), keepdim=True)
        return m/top.where(top > 0, 1)
    m = torch.stack([unit(m) for m in maps]).prod(0)
    return unit(m**(1/len(maps)) if geometric else m)

e.edit('m/top.where(top > 0, 1)', 'm/top', 'An empty map is 0 divided by 0: NaN. It should stay empty.')
e.edit('.prod(0)', '.mean(0)',
       'You add the layers up, or take their mean, so one can make up for another. In a product each has a veto.')
e.edit('.prod(0)',
       '.amax(0)', "You take the largest. That is LayerCAM's fusion; here only what all layers show remains.")
e.edit('m**(1/len(maps)) if geometric else m', 'm', '`geometric` does nothing: equal maps are sharpened.')
e.edit('return unit(m**(1/len(maps)) if geometric else m)', 'return m**(1/len(maps)) if geometric else m',
       'The product is not scaled again, so the more layers, the darker.')
e.edit('1/len(maps)', '1/2', 'You always take the square root. With three layers it is the third root.')
e.edit('.prod(0)', '.amin(0)',
       'You take the smallest at each place. Where several layers are weak a product is weaker still.')
e.edit('m**(1/len(maps)) if geometric else m', 'm**(1/len(maps))',
       'You always take the root. It is taken only if `geometric`.')
e.edit('m**(1/len(maps)) if geometric else m', 'm if geometric else m**(1/len(maps))',
       '`geometric` works the wrong way round: True takes the root.')
e.edit('1/len(maps)', 'len(maps)', 'You raise to the power of the number of layers. The root is the power 1/L.')
e.edit('[unit(m) for m in maps]', '[unit(maps[0]), unit(maps[-1])]',
       'Only the first and the last layer are multiplied. All are.')
e.edit('m.amax((1, 2), keepdim=True)', 'm.amax()',
       'You divide by the largest value of the whole batch. Each image has its own.')
e.edit('m/top.where(top > 0, 1)', '(m - m.amin((1, 2), True))/(top - m.amin((1, 2), True)).where(top > 0, 1)',
       'You stretch each map from its lowest to its highest place. Divide by the highest alone: 0 stays 0.')
e.wrong(lambda maps, geometric=False: torch.stack(list(maps)).prod(0),
        'This is the bare product. Each map is divided by its largest value before, and the product after.')

# 7.11 A batch norm's bias

def norm(seed=0, eps=1e-5):
    "A batch norm that has seen data."
    gen, m = torch.Generator().manual_seed(seed), nn.BatchNorm2d(4, eps)
    with torch.no_grad():
        for t in (m.weight, m.bias, m.running_mean): t.copy_(torch.randn(4, generator=gen))
        m.running_var.copy_(torch.rand(4, generator=gen) + .5)
    return m.eval()

def as_it_is(title, seed, eps=1e-5):
    "A trial: the bias against what the batch norm gives for zeros."
    want = norm(seed, eps)(torch.zeros(1, 4, 1, 1))[0, :, 0, 0].detach()
    return Trial(title, lambda answer: answer(norm(seed, eps)), want)

e = exercise('7.11', "A batch norm's bias",
    'Write `norm_bias(m)`: in eval mode a batch norm is one factor and one number for each channel. Return that number '
    '(C,): what it gives for an input of zeros.',
    trials=(as_it_is('A batch norm that has seen data', 0), as_it_is('Another', 1),
            as_it_is('A large eps', 2, .1)),
    hints=('It takes off `running_mean` and divides by the root of `running_var + eps`.',
           'Then it multiplies by `weight` and adds `bias`.',
           'Put in 0.'),
    why='FullGrad is complete only with this number. The parameter called `bias` is a part of it.')

@e.reference
def norm_bias(m:nn.BatchNorm2d # in eval mode
             )->Tensor: # (C,)
    "What a batch norm adds to each channel."
    return (m.bias - m.running_mean*m.weight/(m.running_var + m.eps).sqrt()).detach()

e.edit('m.bias - m.running_mean*m.weight/(m.running_var + m.eps).sqrt()', 'm.bias',
       'That is the parameter. The mean that is taken off adds to it.')
e.edit('m.bias - ', 'm.bias + ', 'The running mean is taken off, not added.')
e.edit('*m.weight/', '/', 'The factor `weight` is missing: it multiplies what the mean has been taken off from.')
e.edit('.sqrt()', '', 'You divide by the variance. It is the standard deviation, its root.')
e.edit(' + m.eps', '', '`eps` is missing: it is added to the variance before the root.')
e.edit('(m.running_var + m.eps).sqrt()', '(m.running_var.sqrt() + m.eps)',
       'You add `eps` to the root. It is added to the variance, before the root is taken.')
e.edit('m.bias - m.running_mean*m.weight/(m.running_var + m.eps).sqrt()',
       'm.weight/(m.running_var + m.eps).sqrt()', 'That is the factor. The number that is added is asked for.')
e.edit('m.bias - ', '-', 'The parameter `bias` is missing: it is added at the end.')
e.edit('m.bias - m.running_mean*m.weight/', 'm.weight*m.bias - m.running_mean*m.weight/',
       'You multiply `bias` by the weight. It is added after the multiplication.')
e.edit('*m.weight/(m.running_var + m.eps).sqrt()', '',
       'You take off the mean as it is. By then it has been divided by the spread and multiplied by `weight`.')
e.edit('/(m.running_var + m.eps).sqrt()', '', 'The division by the root of the variance is missing.')
e.wrong(lambda m: m(torch.ones(1, m.num_features, 1, 1))[0, :, 0, 0].detach(),
        'You put in ones. What it gives for zeros is asked for.')

# 7.12 By hand

e = exercise('7.12', 'By hand',
    'Behind a mean over 2×2 places and a Linear, a channel has the head weight 2 and the activations 1, 0, 0 and 2. '
    'Its '
    'weight in Grad-CAM++?',
    reference=2/3.5,
    kind='value',
    hints=('The gradient is the same at all four places.',
           'It is the head weight over four.',
           'Four times α times the gradient.'),
    why='ReLU(w)/(2 + w·mean(A)) = 2/(2 + 2·0.75).')
e.wrong(.5, "That is Grad-CAM's weight, the mean gradient. α is missing.")
e.wrong(1.0, 'You have left out g·ΣA, so that α is ½, or taken 2 for the gradient. It is 2/4 at each place, and α is '
       '1/(2 + 0.5·3).')
e.wrong(.5/3.5, 'That is the part of one place. The weight is the sum over four.')
e.wrong(.25, 'The head weight stands where the gradient belongs in the denominator: 2 + 2·3. The gradient is 2/4.')
e.wrong(1/3.5, 'That is α. The weight is Σ α·g: four times α times the gradient.')
e.wrong(4/3.5, 'That is Σα. Each α is multiplied by the gradient, 2/4.')
e.wrong(6/3.5, 'That is the channel\'s part of the map, added up over places. The weight alone is asked for.')
e.wrong(2/(2 + .5*.75), 'The mean of the activations stands where their sum, 3, belongs.')
e.wrong(2/(2 + .75), 'The head weight is missing in the denominator: it is 2 + 2·0.75.')
e.wrong(2/5, 'The gradient is missing in the denominator: it is 2 + 0.5·3.')
e.wrong(1/5, 'That is α, and without the gradient: 1/(2 + 3). α is 1/(2 + 0.5·3), and the weight Σ α·g.')
e.wrong(2, 'That is the head weight, or the sum of the gradients. Each gradient is multiplied by α first.')
e.wrong(1.5, 'That is the gradient times ΣA, a part of the denominator.')
e.wrong(.75, 'That is the mean of the activations. The weight is Σ α·g.')
