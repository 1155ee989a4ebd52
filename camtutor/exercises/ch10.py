"Chapter 10: a map that is learned."
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from camtutor.exercises.common import gives, keeps, one_by_one, rand, seeded, uneven, varied
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise
from camtutor.show import upsample

X, S_ = rand(2, 3, 8, 12), rand(2, 4, 6, seed=1).sigmoid()
BLACK = torch.tensor([-2., -1., -3.])[:, None, None]

# 10.1 Only the mask is seen

def slope(answer):
    "The gradient that arrives at the masks."
    with torch.enable_grad():
        S = S_.clone().requires_grad_()
        out = answer(X.clone(), S, BLACK)
        if not isinstance(out, Tensor): return out
        g = torch.autograd.grad((out*X).sum(), S, allow_unused=True)[0] if out.requires_grad else None
    return {'gradient at the mask': torch.zeros_like(S_) if g is None else g}

ONE, OPEN = torch.tensor([[[[4., 2.], [6., 8.]]]]), torch.tensor([[[1., 0.], [.5, 0.]]])

e = exercise('10.1', 'Only the mask is seen',
    'Write `masked_image(x, S, ground)`: pictures (N,C,H,W) where the masks S (N,h,w), enlarged by `F.interpolate` '
    '(bilinear), are 1, `ground` where they are 0, and in between a mixture. `ground` is a number or a tensor that '
    'broadcasts. The mask is to be trained: it needs its gradient.',
    library='camtutor.lcam',
    trials=(gives('Worked by hand, the ground is 2', ONE, OPEN, 2., want=[[[[4., 2.], [4., 2.]]]]),
            gives('The mean colour, an enlarged mask', X, S_, 0.), gives('Black, for each colour', X, S_, BLACK),
            gives('All is seen', X, torch.ones(2, 4, 6), BLACK), Trial('The way back to the mask', slope),
            keeps(X, S_, BLACK), one_by_one(X, S_, 0., batched=(0, 1))),
    hints=('How much of the picture is above the ground?', 'A mask needs an axis for the colours.',
           'Begin at the ground, and go towards the picture by as much as the mask says.'),
    why='A mask of 0 on a normalised picture shows the mean colour. Black has to be asked for.')

@e.reference
def masked_image(x:Tensor, # pictures (N,C,H,W)
                 S:Tensor, # how much of each place is seen (N,h,w), 0 to 1
                 ground=0. # what is seen instead
                )->Tensor: # (N,C,H,W)
    "Pictures of which only the mask is seen."
    S = F.interpolate(S[:, None], x.shape[2:], mode='bilinear')
    return ground + S*(x - ground)

e.edit('ground + S*(x - ground)', 'S*x', '`ground` is left out: what is hidden becomes 0, the mean colour.')
e.edit('ground + S*(x - ground)', 'S*x + ground', 'The ground is added everywhere, also where all is seen. It belongs '
       'where the mask is shut: ground·(1 − S).')
e.edit('S*(x - ground)', '(1 - S)*(x - ground)', 'What the mask shows is hidden, and the rest is shown. 1 means seen.')
e.edit('ground + S*(x - ground)', 'S*(x - ground)', 'You take the ground off and do not put it back.')
e.edit('ground + S*(x - ground)', 'torch.where(S > .5, x, ground)', 'You cut at one half. A half-open place shows half '
       'of each, or the mask would have no gradient.')
e.edit('S = F', 'S = (S > .5).to(x)\n    S = F',
       'You cut the mask at one half before it is enlarged. It is a mixture, and '
       'a cut has no gradient.')
e.edit("mode='bilinear'", "mode='nearest'",
       'The mask is enlarged in blocks: that is `nearest`. Bilinear goes smoothly from '
       'place to place.')
e.edit("mode='bilinear'", "mode='bilinear', align_corners=True",
       'The mask is enlarged so that corners lie on corners, and '
       'everything else is shifted. Leave `align_corners` as it is.')
e.edit('S[:, None]', 'S[:, None].sigmoid()', 'There is one sigmoid too many: S already is a mask from 0 to 1.')
e.edit('S*(x - ground)', 'S*(x.clamp(min=0) - ground)',
       'You cut the picture at 0. A normalised picture has values below 0 '
       'that are colours like any other.')
e.edit('S[:, None]', 'S[:, None].flip(0)', 'Each picture gets another one\'s mask.')
e.edit("F.interpolate(S[:, None], x.shape[2:], mode='bilinear')", 'upsample(S, x.shape[2:])[:, None]',
       'The mask has lost its gradient: `upsample` is made for drawing. Take `F.interpolate`.')

# 10.2 Small

V_ = torch.tensor([[[0., .25], [.5, 1.]]])

e = exercise('10.2', 'Show little',
    'Write `area(S, power, offset)`: what a mask shows, as a price: each place, plus `offset`, to the `power`; then '
    'the '
    'mean over everything, one number.',
    library='camtutor.lcam', graph=True,
    trials=(gives('Worked by hand: the root, no offset', V_, .5, 0., want=torch.tensor((0 + .5 + .5**.5 + 1)/4)),
            gives('As published', S_), gives('Masks of several classes', rand(2, 3, 4, 6).sigmoid()),
            gives('All is shut', torch.zeros(1, 3, 5)), keeps(S_)),
    hints=('Place by place, then a mean.', 'What is to the power: the place, or the mean?',
           'The offset comes before the power, so that the slope at 0 is finite.'),
    why='With a power below 1 a place that is half open is dear. It pays to decide.')

@e.reference
def area(S:Tensor,       # masks of any shape, 0 to 1
         power:float=.3,
         offset:float=5e-4
        )->Tensor:       # one number
    "How much is seen, the mean over all places."
    return (S + offset).pow(power).mean()

e.edit('.pow(power).mean()', '.mean().pow(power)',
       'You take the mean first. Then it is all the same whether few places '
       'are open, or all of them a little. First the power, place by place.')
e.edit('.pow(power)', '', 'The power is missing: a half-open place costs half, so nothing need be decided.')
e.edit('(S + offset).pow(power)', '(S.pow(power) + offset)', 'The offset comes after the power, and the slope at 0 is '
       'infinite. Add it before.')
e.edit('(S + offset)', 'S',
       'The offset is missing: the slope of S to the power .3 at 0 is infinite, and training gives '
       'NaN.')
e.edit('.mean()', '.sum()', 'This is a sum. With a mean, the weight in the loss does not depend on the grid.')
e.edit('.mean()', '.mean((-2, -1))', 'You give a number for each picture. The mean is over everything.')
e.edit('.pow(power)', '.pow(1/power)', 'You take the root of it, to 1/power: half-open places become cheap.')
e.edit('(S + offset)', 'S.sigmoid()', 'There is a sigmoid too many: S already is a mask. And the offset is missing.')
e.edit('(S + offset)', '(1 - S + offset)', 'You pay for what is *hidden*. The price is on what is seen.')
e.edit('.mean()', '.sum()/len(S)', 'You divide by the number of pictures. The mean is over places as well.')
e.edit('(S + offset)', 'S.clamp(min=offset)',
       'You cut at the offset. It is added, so that the slope is right everywhere.')

# 10.3 Smooth

DOT = torch.zeros(1, 3, 3)
DOT[0, 1, 1] = 1.

e = exercise('10.3', 'Be smooth',
    'Write `variation(S, border)`: squared differences of neighbours, down and across, plus `border` times the '
    'squares on '
    'the four edges, corners twice. The sum over all places and maps, halved, divided by the number of pictures (the '
    'first '
    'axis). S is (N,h,w) or (N,M,h,w).',
    library='camtutor.lcam', graph=True,
    trials=(gives('Worked by hand: open in the middle', DOT, .3, want=torch.tensor(2.)),
            gives('Worked by hand: wide open', torch.ones(1, 3, 3), .3, want=torch.tensor(1.8)),
            gives('Two masks', S_, .3), gives('Three maps of two pictures', rand(2, 3, 4, 6).sigmoid(), .3),
            gives('No border', S_, 0.), keeps(S_, .3)),
    hints=('`diff` along each of the last two axes.', 'First and last row: `S[..., [0, -1], :]`.',
           'One sum, half of it, over the length of S.'),
    why='A sum grows with the grid and with the maps. So its weight in the loss is small.')

@e.reference
def variation(S:Tensor,        # masks (N,h,w), or (N,M,h,w)
              border:float=.3  # weight of what is open along the edges
             )->Tensor:        # one number
    "How unlike neighbours are."
    inside = S.diff(dim=-1).square().sum() + S.diff(dim=-2).square().sum()
    edges = S[..., [0, -1], :].square().sum() + S[..., :, [0, -1]].square().sum()
    return .5*(inside + border*edges)/len(S)

e.edit('.5*', '', 'It is not halved: you give twice the value.')
e.edit('/len(S)', '', 'You do not divide by the number of pictures, so a larger batch has rougher masks.')
e.edit(' + border*edges', '', 'The border is missing: a mask that runs out of the picture costs nothing.')
e.edit('S.diff(dim=-1).square().sum() + ', '', 'Differences across are missing.')
e.edit(' + S.diff(dim=-2).square().sum()', '', 'Differences down are missing.')
e.edit('inside = S.diff(dim=-1).square().sum() + S.diff(dim=-2).square().sum()',
       'inside = S.diff(dim=-1).abs().sum() + S.diff(dim=-2).abs().sum()',
       'You sum the *size* of differences. They are squared, so one large step costs more than many small ones.')
e.edit('dim=-1', 'dim=1', 'dim=-2', 'dim=0',
       'You compare pictures with each other: axis 0 are the pictures, axis 1 may '
       'be maps. The places are the last two axes.')
e.edit('dim=-1', 'dim=2', 'dim=-2', 'dim=1', 'Axes 1 and 2 are places only in (N,h,w). With several maps they are not: '
       'count from the end.')
e.edit(' + S[..., :, [0, -1]].square().sum()', '', 'Only the upper and lower edge count. There are four.')
e.edit('S[..., [0, -1], :].square().sum() + S[..., :, [0, -1]].square().sum()',
       'S.square().sum() - S[..., 1:-1, 1:-1].square().sum()', 'The corners count once. They belong to two edges.')
e.edit('/len(S)', '/S[..., 0, 0].numel()', 'You divide by the number of *maps*. It is the number of pictures: with all '
       'maps of a batch, their sum counts.')
e.edit('/len(S)', '/S.numel()', 'You divide by the number of places as well: this is a mean. It is a sum over places.')
e.edit('S[..., [0, -1], :].square().sum() + S[..., :, [0, -1]].square().sum()',
       'S[..., [0, -1], :].sum() + S[..., :, [0, -1]].sum()', 'The border is not squared.')
e.edit('border*edges', 'edges', 'The border counts in full. Its weight is `border`.')

# 10.4 Three wishes

U, Y = rand(2, 5), torch.tensor([3, 0])

def terms(answer):
    "What a single weight of 1 picks."
    found = [answer(U.clone(), Y.clone(), S_.clone(), w) for w in ((1., 0, 0), (0, 1., 0), (0, 0, 1.))]
    return dict(zip(('variation alone', 'area alone', 'cross-entropy alone'), found))

e = exercise('10.4', 'Three wishes',
    'Write `lcam_loss(u, y, S, weights)`: the weighted sum of variation and area of the masks S, and of the '
    'cross-entropy of the scores `u` (N,K) with the classes `y`; `weights` are in this order. `variation` and `area` '
    'come '
    'from `camtutor.lcam`.',
    library='camtutor.lcam', graph=True,
    trials=(Trial('One weight is 1, the others 0', terms), gives('The published weights', U, Y, S_),
            gives('Three maps of two pictures', U, Y, rand(2, 3, 4, 6).sigmoid()), keeps(U, Y, S_)),
    hints=('Three numbers, three weights.', '`F.cross_entropy` takes scores and classes.',
           'Scores go in as they are: the softmax is inside.'),
    why='One loss for all pictures; what is sure, small and smooth is traded by three numbers that somebody chose.')

@e.reference
def lcam_loss(u:Tensor, # scores of what is seen (N,K)
              y:Tensor, # classes (N,)
              S:Tensor, # masks (N,h,w), or (N,M,h,w)
              weights=(.01, 2., 1.5) # of variation, area, cross-entropy
             )->Tensor: # one number
    "λ₁·variation + λ₂·area + λ₃·cross-entropy."
    from camtutor.lcam import area, variation
    return weights[0]*variation(S) + weights[1]*area(S) + weights[2]*F.cross_entropy(u, y)

e.edit('F.cross_entropy(u, y)', 'F.cross_entropy(u.softmax(1), y)', 'You give probabilities to `cross_entropy`, which '
       'takes a softmax by itself. Twice squeezed, nothing can be sure.')
e.edit('F.cross_entropy(u, y)', 'F.cross_entropy(u.sigmoid(), y)',
       'You give probabilities to `cross_entropy`. It wants '
       'the scores before any sigmoid.')
e.edit("F.cross_entropy(u, y)", "F.cross_entropy(u, y, reduction='sum')", 'You sum over pictures. The mean is meant.')
e.edit('weights[0]*variation(S) + weights[1]*area(S)', 'weights[1]*variation(S) + weights[0]*area(S)',
       'The weights of variation and area are exchanged. Variation is a sum and has the small one.')
e.edit('weights[0]*variation(S) + ', '', 'Variation is missing.')
e.edit(' + weights[1]*area(S)', '', 'Area is missing: what does no harm stays open.')
e.edit('+ weights[2]*F.cross_entropy(u, y)', '- weights[2]*F.cross_entropy(u, y)',
       'The cross-entropy is subtracted: the mask learns to make the network *unsure*.')
e.edit('F.cross_entropy(u, y)', '-u[range(len(y)), y].mean()', 'You take the score itself. It has no end, and says '
       'nothing about the other classes.')
e.edit('weights[2]*', '', 'The cross-entropy has no weight.')
e.edit('+ weights[1]*area(S)', '- weights[1]*area(S)', 'Area is subtracted: an open mask is rewarded.')
e.edit('area(S)', 'S.mean()', 'This is the mean of the mask. The paper\'s area has a power: use `area`.')
e.edit('F.cross_entropy(u, y)', 'F.cross_entropy(u, u.argmax(1))', 'You take what the network says of the *masked* '
       'picture for its class. It is `y`, from the whole picture.')

# 10.5 Whose map?

BY_HAND = torch.arange(12.).view(2, 3, 1, 2)
A_ = rand(3, 4, 2, 5)

e = exercise('10.5', 'Whose map?',
    'Write `maps_of(a, y, regularise)`: `a` (N,K,h,w) has a map for every class. With `\'own\'` each picture\'s map '
    'of its '
    'class in `y`: (N,h,w). With `\'batch\'` each picture\'s maps of *all* the labels in `y`: (N,N,h,w).',
    library='camtutor.lcam',
    trials=(gives('Worked by hand: own', BY_HAND, torch.tensor([2, 0]), 'own', want=[[[4., 5.]], [[6., 7.]]]),
            gives('Worked by hand: batch', BY_HAND, torch.tensor([2, 0]), 'batch',
                  want=[[[[4., 5.]], [[0., 1.]]], [[[10., 11.]], [[6., 7.]]]]),
            gives('Three pictures, own', A_, torch.tensor([1, 3, 1]), 'own'),
            gives('Three pictures, batch', A_, torch.tensor([1, 3, 1]), 'batch'),
            keeps(A_, torch.tensor([1, 3, 1]), 'batch')),
    hints=('Both are one line of indexing.', 'What does a tensor do that stands alone behind `:`?',
           'Two lists of the same length pick pairs.'),
    why='`a[:, y]` looks like a slip for the other. It makes N·N maps, most of them of other classes.')

@e.reference
def maps_of(a:Tensor,        # maps for all classes (N,K,h,w)
            y:Tensor,        # the class of each picture (N,)
            regularise='own' # or 'batch'
           )->Tensor:        # (N,h,w), or (N,N,h,w)
    "The maps of the pictures' classes."
    if regularise == 'batch': return a[:, y]
    return a[range(len(y)), y]

e.edit('return a[range(len(y)), y]', 'return a[:, y]',
       'You always give the maps of all labels: N·N. For `\'own\'` each '
       'picture has one.')
e.edit('return a[:, y]', 'return a[range(len(y)), y]', 'You always give the pictures\' own maps. `\'batch\'` means the '
       'maps of all labels for each picture.')
e.edit("== 'batch'", "!= 'batch'", 'The two are exchanged: `\'own\'` gives one map a picture.')
e.edit('return a[range(len(y)), y]', 'return a[range(len(y)), y][:, None]', 'There is an axis too many: own maps are '
       '(N,h,w).')
e.edit('return a[:, y]', 'return a',
       'You give the maps of all classes. `\'batch\'` means the labels that occur, each as '
       'often as it does.')
e.edit('return a[:, y]', 'return a[:, y.unique()]',
       'You take each label once. As published, one that occurs twice counts '
       'twice.')
e.edit('return a[range(len(y)), y]', 'return a.gather(1, y[:, None, None, None])[:, 0]',
       'Your `gather` takes the first '
       'place of each map alone. Its index needs the places, too: expand it.')
e.edit('return a[:, y]', 'return a[:, y].transpose(0, 1)', 'Labels come first in yours. The pictures do: (N, labels).')
e.edit('return a[range(len(y)), y]', 'return a.amax(1)',
       'You take the largest of all classes at each place. The class is '
       'given.')
e.edit('return a[range(len(y)), y]', 'return a[y, range(len(y))]', 'The picture\'s number and the class are exchanged.')
e.edit('return a[range(len(y)), y]', 'return a[:, y].mean(1)',
       'You take the mean over all labels. Each picture has its '
       'own.')
e.edit('return a[range(len(y)), y]', 'return a[range(len(y)), y].sigmoid()', 'There is a sigmoid too many: maps are '
       'picked here, and stay as they are.')
e.edit('return a[range(len(y)), y]', 'return a[range(len(y)), a.mean((2, 3)).argmax(1)]',
       'You choose the map that is most open. The class is given, in `y`.')

# 10.6 One mask for all channels

F_ = torch.tensor([[[[1., 2.], [3., 4.]], [[5., 6.], [7., 8.]]]])
AA, SS = rand(3, 4, 3, 5), rand(3, 3, 5, seed=1).sigmoid()

e = exercise('10.6', 'One mask for all channels',
    'Write `masked_features(A, S)`: activations (N,C,h,w), each channel times the picture\'s mask S (N,h,w).',
    library='camtutor.lcam', graph=True,
    trials=(gives('Worked by hand', F_, OPEN, want=[[[[1., 0.], [1.5, 0.]], [[5., 0.], [3.5, 0.]]]]),
            gives('Three pictures', AA, SS), gives('As many channels as pictures', rand(3, 3, 3, 5), SS), keeps(AA, SS),
            one_by_one(AA, SS)),
    hints=('Shapes are matched from the end.', 'Where does S need an axis?', '`None` inside an index makes one.'),
    why='Without the axis, a batch with as many pictures as channels goes through, and the masks go to channels.')

@e.reference
def masked_features(A:Tensor, # activations (N,C,h,w)
                    S:Tensor  # masks (N,h,w)
                   )->Tensor: # (N,C,h,w)
    "Every channel times the same mask."
    return A*S[:, None]

e.edit('S[:, None]', 'S',
       'The mask\'s pictures are matched with the *channels*: shapes are compared from the end. Give '
       'it an axis for the channels.')
e.edit('A*S[:, None]', 'A*S[0]', 'All pictures get the first one\'s mask.')
e.edit('S[:, None]', 'S.sigmoid()[:, None]', 'There is a sigmoid too many: S already is a mask.')
e.edit('S[:, None]', '(S[:, None] > .5)', 'You cut at one half. Then the mask has no gradient and learns nothing.')
e.edit('A*S[:, None]', '(A*S[:, None]).sum(1)', 'You sum the channels. They go on into the head, all of them.')
e.edit('S[:, None]', '(1 - S[:, None])', 'You keep what is hidden. 1 means seen.')
e.edit('S[:, None]', 'S.mean((1, 2))[:, None, None, None]', 'You take the mean of the mask, so all places are alike.')
e.edit('A*S[:, None]', 'A + S[:, None]', 'You add the mask. Where it is 0, nothing must be left.')
e.edit('A*S[:, None]', 'A.relu()*S[:, None]', 'You cut negative activations. The mask is all that changes them.')

# 10.7 Without the network

CAMS, MASK = rand(2, 3, 4, 5), rand(2, 4, 5, seed=1).sigmoid()
BIAS = torch.tensor([.5, -1., 2.])

e = exercise('10.7', 'Without the network',
    'Behind the layer follow pooling and one Linear. Write `masked_scores(cams, S, bias)`: the scores (N,K) when all '
    'channels have been multiplied with the mask S (N,h,w), from the class maps (N,K,h,w) alone.',
    library='camtutor.lcam', graph=True,
    trials=(gives('Worked by hand', torch.tensor([[[[2., 4.]], [[0., 8.]]]]), torch.tensor([[[1., .5]]]),
                  torch.tensor([1., 0.]), want=[[3., 2.]]),
            gives('Two pictures', CAMS, MASK, BIAS), gives('As many pictures as classes', rand(3, 3, 4, 5),
                                                         rand(3, 4, 5, seed=2).sigmoid(), BIAS),
            gives('No bias', CAMS, MASK), keeps(CAMS, MASK, BIAS)),
    hints=('Pooling and Linear are sums: exchange them.', 'The mask weighs places, the same for all classes.',
           'A mean over places; the bias comes last.'),
    why='So a step of training costs K·h·w multiplications a picture, and no pass at all.')

@e.reference
def masked_scores(cams:Tensor, # the class maps of all classes (N,K,h,w)
                  S:Tensor,    # masks (N,h,w)
                  bias=0.      # of the Linear (K,)
                 )->Tensor:    # (N,K)
    "The scores behind masked activations."
    return (cams*S[:, None]).mean((2, 3)) + bias

e.edit(' + bias', '', 'The bias is missing. It is there whatever is masked.')
e.edit('.mean((2, 3))', '.sum((2, 3))', 'This is a sum. Pooling is a mean over *all* places.')
e.edit('.mean((2, 3)) + bias', '.sum((2, 3))/S.sum((1, 2))[:, None] + bias',
       'You divide by what the mask shows. Pooling '
       'divides by the number of places, so a small mask gives small scores.')
e.edit('S[:, None]', 'S', 'The masks are matched with the classes. They need an axis for them.')
e.edit('.mean((2, 3))', '.mean((0, 1))', 'The mean is over pictures and classes. It belongs over places.')
e.edit('.mean((2, 3)) + bias', '.mean((2, 3)).relu() + bias', 'You cut scores at 0. A Linear does not.')
e.edit('(cams*S[:, None])', '(cams.relu()*S[:, None])',
       'You cut the class maps at 0. What speaks against a class counts.')
e.edit('.mean((2, 3)) + bias', '.amax((2, 3)) + bias', 'This is max pooling.')
e.edit('(cams*S[:, None]).mean((2, 3)) + bias', '((cams + bias[:, None, None] if isinstance(bias, Tensor) else cams)'
       '*S[:, None]).mean((2, 3))', 'The bias is masked as well. It is added behind the pooling, in full.')
e.edit('(cams*S[:, None]).mean((2, 3)) + bias', '(cams*S[:, None] + bias).mean((2, 3))'
       ' if not isinstance(bias, Tensor) else (cams*S[:, None]).mean((2, 3)) + len(cams)*bias',
       'The bias is added once for each picture of the batch.')
e.edit('(cams*S[:, None]).mean((2, 3)) + bias', 'cams.mean((2, 3))*S.mean((1, 2))[:, None] + bias',
       'You take the means first and multiply them. Where the mask is open would not matter then.')
e.edit(' + bias', ' - bias', 'The bias is subtracted.')

# 10.8 Frozen

def stay(error=False, partly=False):
    "A trial: what a network is inside the `with`, and afterwards."
    def run(answer):
        net = uneven(norm=True).train()
        net[0][3].eval()
        if partly: net[0][0].weight.requires_grad_(False)
        modes, wanted = [m.training for m in net.modules()], [p.requires_grad for p in net.parameters()]
        before, seen = {k: t.clone() for k, t in net.state_dict().items()}, {}
        try:
            with answer(net) as inside:
                net(varied(16, 12)[:4])
                seen['`as` gives the network'] = inside is net
                seen['inside, modules that train'] = sum(m.training for m in net.modules())
                seen['inside, parameters that want gradients'] = sum(p.requires_grad for p in net.parameters())
                if error: raise ValueError('as planned')
        except ValueError: seen['the error arrives'] = True
        seen['batch norm has not moved'] = all(torch.equal(t, before[k]) for k, t in net.state_dict().items())
        seen['modes are as before'] = modes == [m.training for m in net.modules()]
        seen['what wants gradients is as before'] = wanted == [p.requires_grad for p in net.parameters()]
        return seen
    return run

e = exercise('10.8', 'Nothing may change',
    'Write the context manager `frozen(model)`; `@contextmanager` goes between `@ex` and `def`. Inside the `with`, '
    'all modules '
    'evaluate, and no parameter wants a gradient. Afterwards modes and `requires_grad` are as before, each its own, '
    'also after '
    'an error. `eval_mode` of `camtutor.hooks` takes care of the modes.',
    library='camtutor.lcam', hard=True,
    trials=(Trial('A network that trains, one layer evaluates', stay()),
            Trial('One parameter was frozen before', stay(partly=True)),
            Trial('An error inside the with', stay(error=True, partly=True))),
    hints=('Write down which parameters want gradients before you change them.',
           'One `with` inside yours, and a `yield` in it.', 'The way back stands in `finally`.'),
    why='Batch norm moves its means at each pass in training mode; no optimiser is needed for that.')

@e.reference
@contextmanager
def frozen(model:nn.Module):
    "Nothing of `model` can change inside the `with`; then everything is as before."
    from camtutor.hooks import eval_mode
    wanted = [p for p in model.parameters() if p.requires_grad]
    with eval_mode(model):
        try:
            for p in wanted: p.requires_grad_(False)
            yield model
        finally:
            for p in wanted: p.requires_grad_(True)

e.edit('with eval_mode(model):', 'if True:', 'The network stays in training mode: batch norm takes its statistics from '
       'the masked pictures and moves its running means with each pass.')
e.edit('for p in wanted: p.requires_grad_(False)', 'pass', 'Parameters still want gradients: `backward` fills their '
       '`.grad`, and an optimiser that knows them would change them.')
e.edit('for p in wanted: p.requires_grad_(True)', 'pass', 'Afterwards the network cannot be trained any more: nobody '
       'switches gradients on again.')
e.edit('for p in wanted: p.requires_grad_(True)', 'model.requires_grad_(True)', 'Afterwards *all* parameters want '
       'gradients, also those that were frozen before. Remember which they were.')
e.edit('finally:', 'except TypeError: raise\n        else:',
       'After an error the parameters stay frozen: what comes after a '
       '`yield` is skipped then. Put it into `finally`.')
e.edit('with eval_mode(model):', 'model.eval()\n    if True:',
       'The network evaluates, and stays so. Each module needs its '
       'own mode back.')
e.edit('@contextmanager\n', '',
       'A function with `yield` makes a generator. `@contextmanager`, between `@ex` and `def`, '
       'makes it usable in a `with`.')
e.edit('yield model', 'yield', '`as` gets what you `yield`: the model.')
e.edit('finally:', 'except Exception: pass\n        finally:',
       'The error inside the `with` is swallowed. `finally` lets it '
       'out.')

# 10.9 The map

ATT, AT = seeded(nn.Conv2d(5, 7, 1)).requires_grad_(False), rand(2, 5, 4, 6, seed=2).relu()

e = exercise('10.9', 'The map',
    'Training is over. Write `attention_maps(att, A, k)`: `att` is the learned 1×1 convolution, A (N,C,h,w) the '
    'activations, '
    '`k` a list with the class of each picture. Give the maps (N,h,w) of these classes, with their sign: above 0 '
    'where the '
    'mask is more than half open.',
    library='camtutor.lcam',
    trials=(gives('Two pictures', ATT, AT, [3, 0]), gives('The same class', ATT, AT, [6, 6]),
            gives('One picture', ATT, AT[:1], [2])),
    hints=('A convolution of 1×1 is a weighted sum of channels at each place.', 'A mask of ½: what was it before?',
           'Call `att`, and pick for each picture its class.'),
    why='Behind the sigmoid all values are positive, and everywhere is some evidence. In front of it 0 means half.')

@e.reference
def attention_maps(att:nn.Module, # trained: (N,C,h,w) -> (N,K,h,w)
                   A:Tensor,      # activations (N,C,h,w)
                   k:list         # the class of each picture
                  )->Tensor:      # (N,h,w)
    "The maps of the classes, before the sigmoid."
    V = att(A)
    return V[range(len(A)), k]

e.edit('V = att(A)', 'V = att(A).sigmoid()', 'This is the mask, behind the sigmoid: everything is above 0, and what is '
       'nearly shut counts as evidence. The map is taken before it.')
e.edit('V = att(A)', "V = F.conv2d(A, att.weight)", 'The bias is missing: 0 no longer means half open.')
e.edit('return V[range(len(A)), k]', 'return V[range(len(A)), k].relu()',
       'You cut what is below 0. The sign is asked for.')
e.edit('V = att(A)', 'V = att(A).softmax(1)', 'This is a softmax over classes. Each class has a mask of its own.')
e.edit('return V[range(len(A)), k]', 'return V[:, k]', 'You give every picture the maps of all classes in `k`.')
e.edit('return V[range(len(A)), k]', 'return V[:, k[0]]', 'All pictures get the first one\'s class.')
e.edit('return V[range(len(A)), k]', 'V = V[range(len(A)), k]\n    low, high = V.amin((1, 2), keepdim=True), '
       'V.amax((1, 2), keepdim=True)\n    return (V - low)/(high - low)',
       'You stretch from 0 to 1, so the lowest place '
       'becomes 0 wherever it was. The sign is asked for.')
e.edit('return V[range(len(A)), k]', 'return V.mean(1)',
       'You take the mean over classes. Each picture\'s class is in `k`.')
e.edit('return V[range(len(A)), k]', 'return V.amax(1)', 'You take the largest of all classes at each place.')
e.edit('V = att(A)', 'V = att(A.relu())*2', 'You give twice the value.')
e.edit('V = att(A)', 'V = att(A) - .5',
       'You take ½ off. That is right for the mask, behind the sigmoid; in front of it '
       'half open is 0.')
e.edit('V = att(A)', 'V = att(A)/A.shape[1]', 'You divide by the number of channels. It is a weighted sum, not a mean.')
e.edit('V = att(A)', 'V = att(A).sigmoid() - .5', 'This has the right sign, but it is squeezed: it is the mask less ½. '
       'Take the map before the sigmoid.')

# 10.10 The pull

e = exercise('10.10', 'What pulls at a mask',
    'Write `pull(cams, S, y, bias)`: the gradient (N,h,w) of each picture\'s cross-entropy at its mask, *without '
    'autograd*. '
    'The scores are `masked_scores` of `camtutor.lcam`; q is their softmax. At each place: the class maps\' mean, '
    'weighted by q, '
    'less the map of class y; over h·w.', hard=True,
    trials=(gives('Two pictures', CAMS, MASK, torch.tensor([2, 0]), BIAS),
            gives('As many pictures as classes', rand(3, 3, 4, 5), rand(3, 4, 5, seed=2).sigmoid(), torch.tensor([1,
            1, 0]),
                  BIAS), keeps(CAMS, MASK, torch.tensor([2, 0]), BIAS)),
    hints=('q comes from the scores *behind the mask*.', 'An einsum over classes.',
    'Pooling divides by the number of places.'),
    why='A place opens where the wanted class map is above what the network says on average. In doubt, all pulls are '
    'strong.')

@e.reference
def pull(cams:Tensor, # class maps (N,K,h,w)
         S:Tensor,    # masks (N,h,w)
         y:Tensor,    # the classes (N,)
         bias:Tensor  # of the Linear (K,)
        )->Tensor:    # (N,h,w)
    "The slope of the cross-entropy at each place of the masks."
    from camtutor.lcam import masked_scores
    q = masked_scores(cams, S, bias).softmax(1)
    mean = torch.einsum('nk,nkhw->nhw', q, cams)
    return (mean - cams[range(len(y)), y])/S[0].numel()

e.edit('/S[0].numel()', '', 'You do not divide by the number of places. Pooling does.')
e.edit('mean - cams[range(len(y)), y]', 'cams[range(len(y)), y] - mean', 'The sign is turned round: a gradient points '
       '*uphill* on the loss.')
e.edit('masked_scores(cams, S, bias)', 'masked_scores(cams, torch.ones_like(S), bias)',
       'q is that of the whole picture. '
       'It changes as the mask does.')
e.edit('.softmax(1)', '.sigmoid()', 'This is a sigmoid. The cross-entropy has a softmax over classes.')
e.edit('.softmax(1)', '.softmax(0)', 'This is a softmax over pictures. It is over classes.')
e.edit('(mean - cams[range(len(y)), y])', '-cams[range(len(y)), y]', 'The rivals are missing: what the network says on '
       'average.')
e.edit("mean = torch.einsum('nk,nkhw->nhw', q, cams)", 'mean = cams.mean(1)',
       'You weigh all classes alike. The weights are '
       'q.')
e.edit('/S[0].numel()', '/S.numel()',
       'You divide by the number of pictures as well. Each picture\'s own cross-entropy is '
       'meant.')
e.edit('masked_scores(cams, S, bias)', 'masked_scores(cams, S)', 'q lacks the bias. It shifts the scores.')
e.edit('(mean - cams[range(len(y)), y])', '(mean - cams[range(len(y)), y])*S',
       'You multiply by the mask. The slope at a '
       'place does not depend on how open it is, but for q.')
e.edit('(mean - cams[range(len(y)), y])', '(mean - cams[:, y].mean(1))',
       'You take the mean map of all labels. Each picture '
       'has its own class.')
e.edit('/S[0].numel()', '/cams.shape[1]',
       'You divide by the number of classes. Pooling divides by the number of places.')

# 10.11 Several layers, fused

def branch(c, seed):
    "A 1×1 convolution that keeps the channels, and a batch norm, as TAME has them."
    made = seeded(nn.Sequential(nn.Conv2d(c, c, 1), nn.BatchNorm2d(c)), seed)
    with torch.no_grad(): made[1].running_mean.fill_(.3)
    return made.requires_grad_(False)

def tame_case(*sizes, n=2, k=7, seed=0):
    "Activations of these sizes (c,h,w), a branch for each, and the 1×1 convolution that joins them."
    features = [rand(n, *s, seed=seed + i).relu() for i, s in enumerate(sizes)]
    fuse = seeded(nn.Conv2d(sum(s[0] for s in sizes), k, 1), seed + 9).requires_grad_(False)
    return features, [branch(s[0], seed + i) for i, s in enumerate(sizes)], fuse

def weighs(weight, bias=0.):
    "A 1×1 convolution with these weights (K,C)."
    conv = nn.Conv2d(len(weight[0]), len(weight), 1)
    with torch.no_grad(): conv.weight.copy_(torch.tensor(weight)[:, :, None, None]), conv.bias.fill_(bias)
    return conv.requires_grad_(False)

FINE, COARSE = torch.tensor([[[[1., 2.], [0., 3.]]]]), torch.tensor([[[[4.]]]])

e = exercise('10.11', 'Several layers, fused',
    'TAME joins several layers. Write `fused(features, branches, fuse)`: `features` are activations (N,C,h,w), with '
    'one of `branches` for each. Add to each what its branch makes of it, then ReLU, then enlarge it to the largest '
    'h×w (`F.interpolate`, bilinear). Join all along the channels; `fuse` makes the maps of all classes of them, '
    'before the sigmoid.', hard=True,
    trials=(gives('Worked by hand', [FINE, COARSE], [weighs([[-2.]], 3.), weighs([[.5]])], weighs([[1., 10.]]),
                  want=[[[[62., 61.], [63., 60.]]]]),
            gives('Three layers', *tame_case((3, 8, 6), (4, 4, 3), (5, 2, 2))),
            gives('The finest is not the first', *tame_case((5, 3, 3), (3, 6, 9), seed=20)),
            gives('One layer', *tame_case((4, 5, 3), n=1, seed=40))),
    hints=('Which of the layers has most places? Its size is everybody\'s.',
           'A skip: what goes into the branch is added to what comes out of it.',
           'Make a list of enlarged activations, one for each layer, and join it with `torch.cat`.'),
    why='A mask as fine as the finest layer. The skip lets an untrained branch pass on what the layer said.')

@e.reference
def fused(features:list, # activations (N,C,h,w) of several layers
          branches:list, # for each a module: (N,C,h,w) -> (N,C,h,w)
          fuse:nn.Module # a 1×1 convolution: (N,sum of all C,H,W) -> (N,K,H,W)
         )->Tensor:      # (N,K,H,W), before the sigmoid; H×W is the largest h×w
    "The maps of all classes, from several layers. TAME, Ntrougkas et al., 2022."
    size = max((A.shape[2:] for A in features), key=lambda s: s.numel())
    parts = []
    for A, branch in zip(features, branches):
        A = (branch(A) + A).relu()
        parts.append(F.interpolate(A, size, mode='bilinear'))
    return fuse(torch.cat(parts, 1))

e.edit('branch(A) + A', 'branch(A)', 'The skip is missing: the layer itself is to be added to what its branch makes.')
e.edit('(branch(A) + A).relu()', 'branch(A).relu() + A', 'You cut what the branch makes before the layer is added. '
       'First the sum, then ReLU.')
e.edit('(branch(A) + A).relu()', 'branch(A) + A', 'The ReLU behind the sum is missing.')
e.edit('key=lambda s: s.numel()', 'key=lambda s: -s.numel()',
       'You make all as coarse as the coarsest layer. The finest gives the size.')
e.edit('max((A.shape[2:] for A in features), key=lambda s: s.numel())', 'features[0].shape[2:]',
       'You take the size of the first layer. The finest need not come first.')
e.edit('max((A.shape[2:] for A in features), key=lambda s: s.numel())', 'features[-1].shape[2:]',
       'You take the size of the last layer. The finest gives the size.')
e.edit("mode='bilinear'", "mode='nearest'", 'You enlarge by repeating places. Between places it should be smooth: '
       'bilinear.')
e.edit('fuse(torch.cat(parts, 1))', 'fuse(torch.cat(parts, 1)).sigmoid()',
       'This is the mask, behind the sigmoid. The maps before it are asked for.')
e.edit('fuse(torch.cat(parts, 1))', 'fuse(torch.cat(parts, 1)).relu()', 'You cut what is below 0. The maps keep their '
       'sign.')
e.edit('fuse(torch.cat(parts, 1))', 'fuse(torch.cat(parts[::-1], 1))',
       'You join the layers in the reverse order, so each meets the weights of another.')
e.edit('fuse(torch.cat(parts, 1))', 'torch.cat(parts, 1)', 'You join the layers and stop. `fuse` makes the maps of the '
       'classes of them.')
e.edit("mode='bilinear'", "mode='bilinear', align_corners=True",
       'You enlarge with align_corners=True: corner on corner. The usual way, without it, lays area on area.')
e.edit('A = (branch(A) + A).relu()', "A = F.interpolate(A, size, mode='bilinear')\n        A = (branch(A) + A).relu()",
       'You enlarge first and cut then. A place between two layers\' places should be a mean of what was cut already.')
