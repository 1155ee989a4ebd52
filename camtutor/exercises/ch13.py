"Chapter 13: words, signals, volumes."
import re

import torch, torch.nn.functional as F
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
e.edit('torch.einsum(\'kc,ncl->nkl\', weight, A)', 'torch.einsum(\'kc,ncl->nkl\', weight, A).softmax(2)',
       'You take a softmax over words. Then all values are positive and add up to 1, and no longer make up the score.')
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

# 13.9 Words and tokens

PIECES, VALUES = ['[CLS]', 'a', 'charm', '##ing', 'mess', '[SEP]'], torch.tensor([9., 1., 4., 2., -3., 7.])
CUT = ['[CLS]', 'un', '##believ', '##ably', '[UNK]', '.', '[SEP]', '[PAD]']

e = exercise('13.9', 'Words, not tokens',
    'A tokenizer cuts words into pieces: one that begins with `##` goes on with the word before it; `[CLS]`, `[SEP]` '
    'and `[PAD]` are no words. Write `per_word(pieces, m)`: for each word the sum of its pieces\' values, of `m` (L,).',
    trials=(gives('By hand: three words, one of them in two pieces', PIECES, VALUES, want=[1., 6., -3.]),
            gives('A word in three pieces, and one that the tokenizer does not know', CUT,
                  torch.tensor([9., 1., 4., 2.5, 3., .5, 7., 2.])),
            gives('No word is cut', ['[CLS]', 'dull', '.', '[SEP]'], rand(4, seed=1))),
    hints=('Go through pieces and values together; a list keeps one value for each word so far.',
           'A piece that begins with `##` changes the last value of the list, any other word begins a new one.',
           '`torch.stack` makes a tensor of a list of numbers that are tensors.'),
    why='A map of tokens has more places than the text has words. Sums keep the sum rule: what the words have is what '
        'their pieces had.')

@e.reference
def per_word(
    pieces:list, # L str
    m:Tensor,    # a value for each piece (L,)
)->Tensor:       # (W,), a value for each word
    "The values of whole words."
    out = []
    for piece, v in zip(pieces, m):
        if piece.startswith('##'): out[-1] = out[-1] + v
        elif piece not in ('[CLS]', '[SEP]', '[PAD]'): out.append(v)
    return torch.stack(out)

e.edit('out[-1] = out[-1] + v', 'out.append(v)',
       'You give a value to each token. Tokens are not words: a piece with `##` belongs to the word before it.')
e.edit('out[-1] = out[-1] + v', 'pass',
       'Only the first piece of a word counts. Its other pieces are the word as well: add their values.')
e.edit('out[-1] = out[-1] + v', 'out[-1] = v',
       'Only the last piece of a word counts. Add the values of all its pieces.')
e.edit('out[-1] = out[-1] + v', 'out[-1] = torch.maximum(out[-1], v)',
       'You take the largest piece of a word. Then the words no longer add up to what the pieces had: take the sum.')
e.edit('out[-1] = out[-1] + v', 'out[-1] = torch.minimum(out[-1], v)',
       'You take the smallest piece of a word. The word has what its pieces have together: take the sum.')
e.edit("elif piece not in ('[CLS]', '[SEP]', '[PAD]')", 'else',
       'Marks of the tokenizer, such as `[CLS]`, get values among the words. Leave them out.')
e.edit("'[PAD]')", "'[PAD]', '[UNK]')",
       'You leave out `[UNK]`. It stands for a word of the text that the tokenizer does not know, and keeps its value.')
e.edit("('[CLS]', '[SEP]', '[PAD]')", "('[CLS]', '[SEP]')", '`[PAD]` gets a value. It fills up and is no word.')

def words_among(pieces): return [p for p in pieces if not p.startswith(('##', '[CLS]', '[SEP]', '[PAD]'))]

@e.wrong
def in_a_row(pieces, m):
    "You lay the first values on the words, one after the other. Values belong to tokens: go through both together."
    return m[:len(words_among(pieces))]

@e.wrong
def behind_the_first(pieces, m):
    "You skip the first token and lay the next values on the words. After a word in pieces all are shifted."
    return m[1:1 + len(words_among(pieces))]

@e.wrong
def mean_of_pieces(pieces, m):
    "You take the mean over the pieces of a word. Then a word loses by being cut: take the sum."
    groups = []
    for piece, v in zip(pieces, m):
        if piece.startswith('##'): groups[-1].append(v)
        elif piece not in ('[CLS]', '[SEP]', '[PAD]'): groups.append([v])
    return torch.stack([torch.stack(g).mean() for g in groups])

# 13.10 From the map to probabilities

e = exercise('13.10', 'Softmax over what?',
    'Behind a mean over words and one Linear: `maps` (N,K,L) are what each word adds to each class, `bias` is (K,). '
    'Write `probabilities(maps, bias)`: how probable each class is, (N,K), by a softmax.',
    trials=(gives('By hand: both scores are 0', torch.tensor([[[1., 3., 2.], [0., -3., 6.]]]),
                  torch.tensor([-2., -1.]), want=[[.5, .5]]),
            gives('Random', rand(2, 4, 7), rand(4, seed=1))),
    hints=('First the scores, then the probabilities.',
           'A score is the mean of its map plus its bias.',
           'Of the scores (N,K), the classes are axis 1.'),
    why='The softmax compares classes, once, at the very end. Words never compete in it: they add up.')

@e.reference
def probabilities(
    maps:Tensor, # what each word adds to each class (N,K,L)
    bias:Tensor, # of the Linear (K,)
)->Tensor:       # (N,K)
    "How probable each class of each text is."
    scores = maps.mean(2) + bias
    return scores.softmax(1)

e.edit('.softmax(1)', '.softmax(0)', 'You take the softmax over texts, so they compete. The classes are axis 1.')
e.edit('maps.mean(2)', 'maps.softmax(2).mean(2)',
       'You take a softmax over words first. Its mean is 1/L whatever the words are, so only the bias is left.')
e.edit('maps.mean(2)', '(maps * maps.softmax(2)).sum(2)',
       'You weigh the words by a softmax over words. In the mean they all weigh the same.')
e.edit('maps.mean(2)', 'maps.sum(2)', 'You sum over the words. This network takes their mean.')
e.edit('maps.mean(2)', 'maps.amax(2)', 'You take the largest word. This network takes the mean over words.')
e.edit(' + bias', '', 'The bias is missing. It belongs to no word, but to the score.')
e.edit(' + bias', ' - bias', 'You subtract the bias. Mean plus bias is the score.')
e.edit('.softmax(1)', '.sigmoid()', 'You take a sigmoid, so each class is judged alone. A softmax compares them.')
e.edit('return scores.softmax(1)', 'return scores', 'These are the scores. Probabilities are asked for.')
e.edit('.softmax(1)', '.log_softmax(1)', 'These are logarithms of the probabilities: a log_softmax. Take a softmax.')
e.wrong(lambda maps, bias: (maps + bias[:, None]).softmax(2),
        'You take the softmax over words, so the words of a text compete. It is the classes that do.')
e.wrong(lambda maps, bias: (maps + bias[:, None]).softmax(1).mean(2),
        'You take the softmax at each word and then the mean. The mean comes first: it makes the score.')
e.wrong(lambda maps, bias: maps.softmax(1).mean(2),
        'You take the softmax at each word, without the bias, and then the mean. Mean and bias come first.')
e.wrong(lambda maps, bias: (maps + bias[:, None]).softmax(2).mean(1),
        'You take the softmax over words and the mean over classes. It is the other way round, and the mean first.')
e.wrong(lambda maps, bias: maps.mean(2).softmax(1) + bias,
        'You add the bias behind the softmax. It is a part of the score, which comes before.')
e.wrong(lambda maps, bias: (maps.softmax(1).mean(2) + bias).softmax(1),
        'You take two softmaxes, one at each word and one of the sum. There is one, of the scores.')

# 13.11 Colours

e = exercise('13.11', 'From values to colours',
    'Write `shades(m)`: maps (N,L) as values from -1, full blue, to 1, full red. A word that adds nothing stays 0, the '
    'strongest of each text gets 1 or -1, all others in proportion. A map of zeros stays zeros.',
    trials=(gives('By hand: the strongest word speaks against', torch.tensor([[1., -4., 0.], [2., 0., 1.]]),
                  want=[[.25, -1., 0.], [1., 0., .5]]),
            gives('Random', rand(3, 5)), gives('A map of zeros', torch.zeros(1, 4), want=[[0., 0., 0., 0.]])),
    hints=('It is one division; by what?',
           'The strongest word may be negative.',
           '`abs`, then `amax` along the words with `keepdim=True`; `clamp` keeps it from being 0.'),
    why='A softmax or a shift to 0…1 looks as tidy, but colours words that add nothing, and hides what speaks against.')

@e.reference
def shades(
    m:Tensor, # maps (N,L), signed
)->Tensor:    # (N,L), -1 to 1
    "For each text, its values as shares of the strongest."
    top = m.abs().amax(1, keepdim=True)
    return m / top.clamp(min=1e-12)

e.wrong(lambda m: m.softmax(1),
        'You take a softmax over words. It makes every value positive, so what speaks against turns red, and a word '
        'that adds nothing gets a colour.')
e.wrong(lambda m: m.softmax(1) / m.softmax(1).amax(1, keepdim=True),
        'You take a softmax over words and stretch it. Its values are all positive, and ratios are lost: only divide.')
e.wrong(lambda m: m.softmax(0), 'You take a softmax, and over texts. Only divide, each text by its own strongest word.')
e.wrong(lambda m: 2 * m.softmax(1) - 1,
        'You take a softmax over words, stretched to -1 to 1. So most words turn blue, whatever they add: only divide.')
e.edit('return m / top.clamp(min=1e-12)', 'return m.clamp(-1, 1)',
       'You cut at -1 and 1. So all strong words look alike and a weak map stays pale: divide by the strongest.')
e.edit('m.abs().amax', 'm.amax', 'You divide by the largest value. The strongest word may be negative: take `abs`.')
e.edit('amax(1, keepdim=True)', 'amax()', 'All texts share one scale. Each has its own strongest word.')
e.edit('.clamp(min=1e-12)', '', 'A map of zeros becomes NaN: it is divided by 0. Keep the divisor above 0.')
e.edit('amax(1, keepdim=True)', 'sum(1, keepdim=True)',
       'You divide by the sum of the absolute values. Then colours pale as texts get longer: divide by the largest.')
e.edit('return m /', 'return m.abs() /', 'The signs are lost. What speaks against is to be blue.')
e.edit('return m /', 'return m.relu() /', 'You cut what speaks against. It is to be blue.')
e.edit('return m / top.clamp(min=1e-12)', 'return m.sign()', 'You keep the signs alone. How much a word adds is lost.')
e.edit('return m / top.clamp(min=1e-12)', 'return m.tanh()',
       'A tanh bends the values and knows no strongest word. Divide by the strongest.')
e.edit('m.abs().amax(1, keepdim=True)', 'm.norm(dim=1, keepdim=True)',
       'You divide by the length of the map. Then no word has its full colour: divide by the strongest.')

@e.wrong
def from_0_to_1(m):
    "You shift the smallest value to 0 and the largest to 1. A word that adds nothing gets a colour: do not shift."
    low, high = m.amin(1, keepdim=True), m.amax(1, keepdim=True)
    return (m - low) / (high - low).clamp(min=1e-12)

@e.wrong
def from_minus_1_to_1(m):
    "You stretch the smallest value to -1 and the largest to 1. So 0 moves, and the lines between red and blue with it."
    low, high = m.amin(1, keepdim=True), m.amax(1, keepdim=True)
    return 2 * (m - low) / (high - low).clamp(min=1e-12) - 1

# 13.12 A layer without padding

e = exercise('13.12', 'Without padding',
    'A convolution of odd width k without padding makes L-k+1 places of L; each has read k words. After several, of '
    'these `widths`, lay a map (N,l) on the words: each value on the middle of the words it has read, 0 elsewhere. '
    'Write `on_its_words(m, widths)`.',
    trials=(gives('By hand: one convolution of width 3', torch.tensor([[5., -2.]]), [3], want=[[0., 5., -2., 0.]]),
            gives('Widths 3 and 5', rand(2, 4), [3, 5]), gives('Width 1', rand(3, 4), [1])),
    hints=('How many words at each end are the middle of nothing?',
           'One convolution loses k // 2 words on either side, and the next one its own.',
           '`F.pad` adds zeros at both ends of the last axis.'),
    why='Laid on the first words, the map is shifted by the kernel: praise falls on the word before. An even width has '
        'no middle word at all: its places lie between two.')

@e.reference
def on_its_words(
    m:Tensor,    # a map behind the convolutions (N,l)
    widths:list, # of the convolutions, odd
)->Tensor:       # (N,L)
    "Each value on the middle of the words it has read."
    side = sum(k // 2 for k in widths)
    return F.pad(m, (side, side))

e.edit('(side, side)', '(0, 2 * side)',
       'The map is shifted by the kernel: its first value lies on the first word. It has read more, and belongs to the '
       'middle of them.')
e.edit('(side, side)', '(2 * side, 0)',
       'The map is shifted to the end: each value lies on the last word that it has read. It belongs to the middle.')
e.edit('sum(k // 2 for k in widths)', 'widths[-1] // 2',
       'You count the last convolution alone. The ones before it have cost words at the ends, too.')
e.edit('(side, side)', '(side - 1, side + 1)',
       'The map lies one word too far in front. Both ends get as many zeros.')
e.edit('(side, side)', '(side + 1, side - 1)',
       'The map lies one word too far behind. Both ends get as many zeros.')
e.edit('sum(k // 2 for k in widths)', 'widths[0] // 2',
       'You count the first convolution alone. The later ones cost words at the ends, too.')
e.edit('(side, side)', '(0, 0, side, side)',
       'You add rows of zeros, texts. The words are the last axis.')
e.edit('sum(k // 2 for k in widths)', 'sum(widths) // 2',
       'You add up widths and halve then. Each width loses one first: the middle word itself is kept.')
e.edit('k // 2 for', 'k - 1 for', 'You add k - 1 at either end. That is what a convolution loses in all: half on each.')
e.edit('k // 2 for', 'k for', 'You add k at either end. A convolution loses k // 2 on each side.')
e.edit('k // 2 for', '1 for', 'You add one word for each convolution. A wider one loses more.')
e.edit('return F.pad(m, (side, side))', 'return F.pad(m[:, None], (side, side), mode="replicate")[:, 0]',
       'You repeat the values at the ends. No place stands for those words: they get 0.')
e.edit('return F.pad(m, (side, side))',
       'return F.interpolate(m[:, None], m.shape[1] + 2 * side, mode="linear")[:, 0]',
       'You stretch the map to the length of the text. Then its values lie beside the words they belong to: shift it.')
e.edit('return F.pad(m, (side, side))', 'return F.interpolate(m[:, None], m.shape[1] + 2 * side)[:, 0]',
       'You repeat values until the map is as long as the text. Each value has one word, the middle: shift it.')
e.edit('return F.pad(m, (side, side))', 'return m',
       'The map is as short as it was. It must have one value for each word of the text.')
