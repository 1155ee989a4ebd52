"Chapter 13: words, signals, volumes."
import re

import torch
from torch import Tensor, nn

from camtutor.exercises.common import gives, rand, seeded
from camtutor.exercises.core import Trial
from camtutor.exercises.declare import exercise

# 13.1 Words

def splits(title, text, want): return Trial(title, lambda answer: answer(text), want)

e = exercise('13.1', 'Words and marks',
    'Write `words_in(text)`: its words in lower case, and each mark by itself, in their order. An apostrophe inside '
    'a word belongs to it.',
    library='camtutor.text',
    trials=(splits('A question', "It's dull, isn't it?", ["it's", 'dull', ',', "isn't", 'it', '?']),
            splits('Marks that stand together', 'Oh... no!', ['oh', '.', '.', '.', 'no', '!']),
            splits('Letters with accents, and a number', 'Café 90', ['café', '90'])),
    hints=('One regular expression that finds either a word or a mark.',
           '`re.findall` returns all matches in their order.',
           '`\\w` stands for a letter or digit of any language; a mark is neither that nor a space.'),
    why='What counts as a word decides what a map can point at. A question mark may carry the verdict.')

@e.reference
def words_in(
    text:str, # of any length
)->list:      # of str
    "The words of a text in lower case, and its marks, in order."
    return re.findall(r"\w+(?:'\w+)?|[^\w\s]", text.lower())

e.edit('.lower()', '', 'Capital letters stay. Then `Dull` and `dull` are two words, and each is seen half as often.')
e.edit("(?:'\\w+)?", '', "You cut at the apostrophe, so `isn't` falls into three pieces. It belongs to the word.")
e.edit('|[^\\w\\s]', '', 'The marks are lost. A question mark may say as much as a word.')
e.edit('[^\\w\\s]', '[^\\w\\s]+', 'Marks that stand together become one word. Each is a word by itself.')
e.edit('\\w+(', '[a-z]+(', 'Only the letters from a to z count, so `café` loses its end and numbers are lost.')
e.wrong(lambda text: text.lower().split(), 'You split at spaces, so a mark sticks to the word before it: `dull,` and '
        '`dull` would be two words.')

# 13.2 Numbers

WORDS = {'': 0, '<unknown>': 1, 'a': 2, 'dull': 3, 'film': 4, '.': 5}

e = exercise('13.2', 'Numbers for words',
    'Write `numbers(texts, words)`: a tensor (N,L) with the number of each word of each text, which is a list of words.'
    ' A word that is missing from `words` reads 1. Shorter texts end in 0.',
    trials=(gives('Two texts', [['a', 'dull', 'film', '.'], ['film']], WORDS,
                  want=torch.tensor([[2, 3, 4, 5], [4, 0, 0, 0]])),
            gives('A word that is not on the list', [['a', 'zzyzx'], ['zzyzx', 'a', 'film']], WORDS,
                  want=torch.tensor([[2, 1, 0], [1, 2, 4]]))),
    hints=('Look each word up, then make the rows equally long.',
           'A dictionary\'s `get` takes a second argument.',
           'PyTorch has `nn.utils.rnn.pad_sequence`; mind which axis it puts first.'),
    why='0 is kept for "no word", so that what fills up can be told from what is read.')

@e.reference
def numbers(
    texts:list, # N lists of words
    words:dict, # word -> number
)->Tensor:      # (N,L), whole numbers
    "The numbers of the words of each text; shorter texts end in 0."
    rows = [torch.tensor([words.get(w, 1) for w in t]) for t in texts]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)

e.edit(', batch_first=True', '', 'The axes are the wrong way round: words first, texts second. Texts come first.')
e.edit('words.get(w, 1)', 'words.get(w, 0)', 'A word that is not known reads 0, as if no word were there. It reads 1.')
e.edit('[words.get(w, 1) for w in t]', '[words[w] for w in t if w in words]',
       'You leave unknown words out. Then the words behind them move up, and the text is shorter than it was.')
e.edit('batch_first=True', 'batch_first=True, padding_value=1',
       'You fill up with 1, the number of unknown words. Fill with 0.')
e.edit('return nn.utils.rnn.pad_sequence(rows, batch_first=True)',
       'return nn.utils.rnn.pad_sequence([r.flip(0) for r in rows], batch_first=True).flip(1)',
       'You fill up in front. The words come first and the zeros after them.')

e.edit('return nn.utils',
       'shortest = min(map(len, rows))\n    rows = [r[:shortest] for r in rows]\n    return nn.utils',
       'You cut all texts to the shortest, so words are lost. Fill the short ones up.')

# 13.3 The mean over words

A = torch.tensor([[[2., 4., 6.], [1., 0., 5.]], [[3., 9., 9.], [2., 9., 9.]]])
THERE = torch.tensor([[2, 3, 4], [4, 0, 0]])

e = exercise('13.3', 'The mean over words',
    'Write `mean_of_words(A, ids)`: the mean of activations (N,C,L) over the places that are words. Where `ids` (N,L) '
    'is 0 there is none, whatever `A` holds.',
    trials=(gives('By hand: the second text has one word', A, THERE, want=[[4., 2.], [3., 2.]]),
            gives('Random activations', rand(3, 5, 7), torch.tensor([[1]*7, [4]*3 + [0]*4, [2]*5 + [0]*2]))),
    hints=('A mean is a sum and a number of things.',
           'Turn `ids` into ones and zeros of shape (N,1,L).',
           'Multiply, sum over the last axis, divide by how many ones there are.'),
    why='With the filling in the mean, a short text looks less certain than a long one for no reason.')

@e.reference
def mean_of_words(
    A:Tensor,   # activations (N,C,L)
    ids:Tensor, # (N,L), 0 where no word is
)->Tensor:      # (N,C)
    "The mean over the places that are words."
    there = (ids > 0)[:, None].float()
    return (A * there).sum(2) / there.sum(2)

e.edit('/ there.sum(2)', '/ A.shape[2]',
       'You divide by the length of the row, filling included. Divide by the number of words.')
e.edit('(A * there)', 'A', 'The places without a word are in the sum. Set them to 0 first.')
e.wrong(lambda A, ids: A.mean(2), 'This is the mean over all places. The filling counts as words.')
e.edit('(A * there).sum(2) / there.sum(2)', '(A * there).sum(2)',
       'This is the sum. A long text would have larger scores than a short one.')
e.edit('there.sum(2)', 'there.sum()', 'You divide by the words of all texts together. Each text has its own number.')

e.wrong(lambda A, ids: (A * (ids > 0)[:, None]).mean(1),
        'You take the mean over channels, so there is one number for each word. The mean is over words, one number '
        'for each channel.')

# 13.4 The map of words

W = torch.tensor([[-2., 2.], [2., -1.]])
TOY = torch.tensor([[[3., 0., 0.], [0., 2., 1.]]])

e = exercise('13.4', 'A class map of words',
    'Write `word_cam(weight, A)` with one einsum: from the weight (K,C) of the last Linear and the activations '
    '(N,C,L), what each word adds to each class, (N,K,L).',
    trials=(gives('By hand: three words', W, TOY, want=[[[-6., 4., 2.], [6., -2., -1.]]]),
            gives('Random', rand(4, 5), rand(2, 5, 7, seed=1))),
    hints=('It is chapter 02 with one axis of places in place of two.',
           'Letters that are missing after the arrow are summed over.',
           "The letters: kc, ncl, and nkl after the arrow."),
    why='Nothing in a class activation map needs two dimensions.')

@e.reference
def word_cam(
    weight:Tensor, # (K,C)
    A:Tensor,      # (N,C,L)
)->Tensor:         # (N,K,L)
    "What each word adds to each class."
    return torch.einsum('kc,ncl->nkl', weight, A)

e.edit('->nkl', '->nlk', 'The axes are texts, words, classes. The classes come second.')
e.edit('->nkl', '->knl', 'The classes stand first. Texts come first.')
e.edit('->nkl', '->nk', 'You sum over the words too: that is the score. Keep `l`.')
e.edit('torch.einsum(\'kc,ncl->nkl\', weight, A)', 'torch.einsum(\'kc,ncl->nkl\', weight, A).relu()',
       'You cut what speaks against. Here the sign is half of the answer.')
e.edit('torch.einsum(\'kc,ncl->nkl\', weight, A)', 'torch.einsum(\'kc,ncl->nkl\', weight, A).softmax(1)',
       'You take a softmax over classes at each word. The map is what each word adds to the score, before any softmax.')
e.edit('weight, A)', 'weight.softmax(0), A)', 'You take a softmax of the weights. They are used as they are.')

e.edit('weight, A)', 'weight**2, A)', 'You square the weight, so its sign is lost.')

# 13.5 Gradient times embedding

e = exercise('13.5', 'Gradient × embedding',
    'Write `gradient_x_embedding(A, g)`: for each word, its embedding times the gradient of the score, summed over '
    'the embedding\'s values. Both are (N,E,L); signs are kept.',
    library='camtutor.text',
    trials=(gives('By hand: two words', torch.tensor([[[1., 2.], [3., 0.]]]), torch.tensor([[[2., 1.], [1., 5.]]]),
                  want=[[5., 2.]]),
            gives('Random', rand(3, 4, 6), rand(3, 4, 6, seed=1))),
    hints=('Multiply, then sum over one axis.',
           'Which axis has the embedding\'s values?',
           'It is axis 1; the words are axis 2.'),
    why='At the embedding each place is one word and nothing else, so this map answers "which word?".')

@e.reference
def gradient_x_embedding(
    A:Tensor, # what the embedding gave (N,E,L)
    g:Tensor, # gradients of the score, same shape
)->Tensor:    # (N,L), signed
    "What the score owes to each word, to first order."
    return (A * g).sum(1)

e.edit('.sum(1)', '.sum(2)', 'You sum over the words. Sum over the values of each word, axis 1.')
e.edit('.sum(1)', '.mean(1)', 'This is the mean. Then the words no longer add up to the score.')
e.edit('(A * g)', '(A * g.mean(2, keepdim=True))',
       "You take the mean gradient over words, which is Grad-CAM's weight. Here each word has its own.")
e.edit('.sum(1)', '.sum(1).relu()', 'You cut the negative part. Signs are kept: blue words speak against.')
e.edit('(A * g)', 'g',
       'This is the gradient alone. A word with a small embedding may have a large one and add nothing.')
e.edit('(A * g).sum(1)', '(A * g).abs().sum(1)',
       'You add up absolute values, so what cancels within a word is counted twice.')
e.edit('(A * g).sum(1)', '(A * g).norm(dim=1)', 'This is a length, which has no sign. Sum the products.')

e.edit('(A * g).sum(1)', 'A.sum(1) * g.sum(1)',
       'You add up first and multiply then. Each value goes with its own gradient: multiply first.')

# 13.6 Behind max pooling

e = exercise('13.6', 'Behind max pooling',
    'Write `max_cam(weight, A)`: behind max pooling each channel counts only at the place where it is largest. What '
    'does each place add to each class? (K,C) and (N,C,L) give (N,K,L).',
    library='camtutor.text', hard=True,
    trials=(gives('By hand: channel 0 is largest at word 0, channel 1 at word 1', W, TOY,
                  want=[[[-6., 4., 0.], [6., -2., 0.]]]),
            gives('Random', rand(4, 5), rand(2, 5, 7, seed=1))),
    hints=('Keep each channel\'s largest value where it stands and make the rest 0. Then it is CAM.',
           '`max` along an axis gives values and places.',
           '`scatter` writes values at places into zeros.'),
    why='The sum over places plus the bias is the score, exactly: most words are silent.')

@e.reference
def max_cam(
    weight:Tensor, # the last Linear's weight (K,C)
    A:Tensor,      # what the max pooling reads (N,C,L)
)->Tensor:         # (N,K,L)
    "What each place adds to each score behind max pooling."
    top, where = A.max(2)
    only = torch.zeros_like(A).scatter(2, where[..., None], top[..., None])
    return torch.einsum('kc,ncl->nkl', weight, only)

e.edit('weight, only)', 'weight, A)',
       'This is CAM, for mean pooling: every place counts. Behind max pooling only the largest does.')
e.edit('A.max(2)', 'A.abs().max(2)', 'You look for the largest absolute value. Max pooling takes the largest value.')
e.edit('top[..., None])', 'torch.ones_like(top)[..., None])',
       'You keep where each channel is largest, but not how large it is.')
e.wrong(lambda weight, A: torch.einsum('kc,ncl->nkl', weight, A * (A == A.amax((1, 2), keepdim=True))),
        'You keep one value of the whole text. Each channel has its own largest place.')
e.wrong(lambda weight, A: torch.einsum('kc,ncl->nkl', weight, A * (A == A.amax(1, keepdim=True))),
        'You keep the largest channel of each word. It is the largest word of each channel.')

e.edit('weight, only)', '(weight > 0).float(), only)',
       'You use only whether a weight is positive. How large it is, and whether it speaks against, is lost.')
e.edit('A.max(2)', 'A.min(2)', 'You keep the smallest value of each channel. Max pooling takes the largest.')

# 13.7 Take a word out

def bag(): return seeded(nn.Sequential(nn.Embedding(9, 4), Flat(), nn.Linear(4, 3)))

class Flat(nn.Module):
    "The mean over words, weighted by how far in front they stand."
    def forward(self, h):
        w = torch.arange(h.shape[1], 0, -1.)
        return (h * w[:, None]).sum(1) / w.sum()

e = exercise('13.7', 'Take a word out',
    'Write `without_words(net, ids, k)`: by how much does the score of class `k` fall when word i is left out and the '
    'others move together? `ids` is one text (1,L); the answer is (L,), without a graph.',
    library='camtutor.text',
    trials=(gives('Five words', bag(), torch.tensor([[3, 1, 7, 2, 5]]), 2),
            gives('Two words', bag(), torch.tensor([[4, 8]]), 0)),
    hints=('Make L shorter texts, and read them as one batch.',
           '`torch.cat` of what stands before and after.',
           'The score with the word minus the score without.'),
    why='It is the true effect of a word on this network: a map can be compared with it.')

@e.reference
def without_words(
    net,        # reads ids (N,L)
    ids:Tensor, # one text (1,L)
    k:int,      # the class
)->Tensor:      # (L,)
    "By how much the score falls without each word."
    fewer = torch.stack([torch.cat([ids[0, :i], ids[0, i + 1:]]) for i in range(ids.shape[1])])
    with torch.no_grad(): return net(ids)[0, k] - net(fewer)[:, k]

e.edit('net(ids)[0, k] - net(fewer)[:, k]', 'net(fewer)[:, k] - net(ids)[0, k]',
       'The sign is turned round. A word that speaks for the class makes the score fall when it goes: that is '
       'positive.')
e.edit('torch.cat([ids[0, :i], ids[0, i + 1:]])',
       'torch.cat([ids[0, :i], torch.zeros(1, dtype=torch.long), ids[0, i + 1:]])',
       'You put 0 in the place of the word. Then the others do not move together, and 0 has an embedding of its own '
       'here.')
e.edit('net(ids)[0, k] - net(fewer)[:, k]', 'net(fewer)[:, k]',
       'These are the scores without each word. By how much did they fall?')
e.edit('net(ids)[0, k] - net(fewer)[:, k]', 'net(ids).softmax(1)[0, k] - net(fewer).softmax(1)[:, k]',
       'You compare probabilities. The scores are asked for.')
e.edit('ids[0, i + 1:]])', 'ids[0, i + 2:]])', 'You leave out two words at a time: i + 2 should be i + 1.')
e.edit('[:, k]', '[:, 0]', 'The second score is always that of class 0.')

@e.wrong
def alone(net, ids, k):
    "You read each word by itself. Read the others, without it, and compare with the whole text."
    with torch.no_grad(): return torch.cat([net(ids[:, i:i + 1])[:, k] for i in range(ids.shape[1])])

# 13.8 How many words

e = exercise('13.8', 'How many words does a place see?',
    'A network for text has three convolutions, of width 3, 5 and 3, without strides, and no pooling between them. On '
    'how many words does one activation of the last rest?',
    kind='value', reference=9,
    hints=('One convolution of width 3 sees one word on either side.',
           'Each further convolution adds its own neighbours on either side.',
           'Neighbours on one side: 1, then 2, then 1.'),
    why='1 + 2 + 1 neighbours on either side and the word itself: 9. Evidence may lie on any of them.')
e.wrong(11, 'You add the widths. Each convolution adds its width less one, and the word itself counts once.')
e.wrong(45, 'You multiply the widths. The neighbours add up.')
e.wrong(8, 'These are the neighbours. The word itself is seen too.')
e.wrong(5, 'That is the widest of the three alone. Each reads what the one before it has made of several words.')
e.wrong(3, 'That is the last one alone. Each reads what the one before it has made of several words.')
e.wrong(7, 'You count two convolutions of the three, or take 5 for 3: the neighbours on one side are 1, 2 and 1.')
