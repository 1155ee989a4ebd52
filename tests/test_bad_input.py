"Everything a caller can get wrong in one table: what is passed, and what the message must name."
import zlib
import numpy as np, pytest, torch
from PIL import Image
from torch import nn

from camtutor.errors import CamError
from camtutor.explanation import explain, explain_all
from camtutor.gradcam import capture, grad_cam

class Net(nn.Module):
    "Conv, a ReLU used twice, a layer that is never used, a side branch, pooling, two classes."
    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4, 6, 3, padding=1)
        self.spare, self.side = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
        self.rnn, self.head = nn.LSTM(6, 6, batch_first=True), nn.Linear(6, 5)
        self.index = Index()
    def forward(self, x):
        self.side(x)
        x = self.relu(self.conv2(self.relu(self.conv(x))))
        self.rnn(x.flatten(2).transpose(1, 2))
        self.index(x)
        return self.head(x.mean((2, 3)))

class Index(nn.Module):
    def forward(self, x): return x.argmax(1, keepdim=True)

class Ends(nn.Module):
    "A network with something behind its scores."
    def __init__(self, net, end):
        super().__init__()
        self.net, self.end = net, end
    def forward(self, x): return self.end(self.net(x))

def with_nan(net):
    with torch.no_grad(): net.head.bias[3] = float('nan')
    return net

def under_inference_mode(net):
    with torch.inference_mode(): return Net().eval()

@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()

X = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
SMALL = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
SIGNALS = nn.Sequential(nn.Conv1d(3, 4, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2)).eval()

# ---- the engine: name, what is passed, words the message must have

CAPTURE = [
    ('layer misspelt',          lambda n: (n, X, 'convv'),                    ["'convv'", "'conv'", 'Did you mean']),
    ('layer is a number',       lambda n: (n, X, 3),                          ['3', 'neither a name nor a module']),
    ('layer of another model',  lambda n: (n, X, Net().conv),                 ['Conv2d', 'not part of']),
    ('layer never runs',        lambda n: (n, X, 'spare'),                    ["'spare'", 'never ran']),
    ('layer runs twice',        lambda n: (n, X, 'relu'),                     ["'relu'", 'more than once']),
    ('layer is not spatial',    lambda n: (n, X, 'head'),                     ["'head'", 'not spatial', '(3, 5)']),
    ('layer gives a tuple',     lambda n: (n, X, 'rnn'),                      ["'rnn'", 'a tuple']),
    ('layer gives integers',    lambda n: (n, X, 'index'),                    ["'index'", 'not activations']),
    ('layer on a side branch',  lambda n: (n, X, 'side'),                     ["'side'", 'does not depend']),
    ('one wrong layer of two',  lambda n: (n, X, ['conv2', 'side']),          ["'side'", "'conv2'", 'does not depend']),
    ('no layers',               lambda n: (n, X, []),                         ['list of layers is empty']),
    ('too few targets',         lambda n: (n, X, 'conv2', [1]),
     ["'conv2'", '3 images but 1 target (1)', 'as an int, or 3 classes']),
    ('too many targets',        lambda n: (n, X, 'conv2', [1, 2, 3, 4]),      ['3 images but 4 targets (1, 2, 3, 4)']),
    ('one image, two targets',  lambda n: (n, X[:1], 'conv2', [1, 2]),        ['1 image but 2 targets']),
    ('class too high',          lambda n: (n, X, 'conv2', 5),                 ['class 5', '0 to 4']),
    ('class negative',          lambda n: (n, X, 'conv2', -1),                ['class -1', '0 to 4']),
    ('one class of them wrong', lambda n: (n, X, 'conv2', [0, 9, 1]),         ['class 9', '0 to 4']),
    ('class is a float',        lambda n: (n, X, 'conv2', 1.5),               ['1.5', 'float', 'not a class']),
    ('classes are floats',      lambda n: (n, X, 'conv2', torch.ones(3)),     ['1.0', 'float', 'not a class']),
    ('class is True',           lambda n: (n, X, 'conv2', True),              ['True', 'bool']),
    ('a matrix of classes',     lambda n: (n, X, 'conv2', torch.zeros(3, 2, dtype=int)),
     ['[0, 0]', 'list', 'not a class']),
    ('class name, no names',    lambda n: (n, X, 'conv2', 'cat'), ["'cat'", 'no list of class names', 'model.vocab']),
    ('function: no tensor',     lambda n: (n, X, 'conv2', lambda o: 1.),      ['target function', 'float', '(N,)']),
    ('function: one number',    lambda n: (n, X, 'conv2', lambda o: o.sum()),
     ['target function', 'a tensor ()', '3 images']),
    ('function: too few',       lambda n: (n, X, 'conv2', lambda o: o[:2, 0]), ['a tensor (2,)', '3 images']),
    ('function: no scores',     lambda n: (n, X, 'conv2', lambda o: o.T[:0]), ['a tensor (0, 3)', '3 images', '(N,)']),
    ('function: integers',      lambda n: (n, X, 'conv2', lambda o: o.argmax(1)), ['int64', 'no gradient']),
    ('function: cut off',       lambda n: (n, X, 'conv2', lambda o: o[:, 0].detach()), ['does not depend']),
    ('batch is an array',       lambda n: (n, X.numpy(), 'conv2'),            ['an array', 'tensor (N,3,H,W)']),
    ('batch is bytes',          lambda n: (n, (X * 9).byte(), 'conv2'),       ['uint8', 'normalise']),
    ('one image, no batch axis', lambda n: (n, X[0], 'conv2'),                ['(3, 8, 8)', 'x[None]']),
    ('empty batch',             lambda n: (n, X[:0], 'conv2'),                ['(0, 3, 8, 8)']),
    ('wrong channels',          lambda n: (n, X[:, :1], 'conv2'),             ['(3, 1, 8, 8)', '1 channel', 'reads 3']),
    ('wrong dtype',             lambda n: (n, X.double(), 'conv2'), ['float64', 'float32', 'x.to(torch.float32)']),
    ('other device',            lambda n: (n, X.to('meta'), 'conv2'),         ['meta', 'cpu', 'Move']),
    ('images too small',        lambda n: (nn.Sequential(nn.MaxPool2d(4), nn.MaxPool2d(4), n), X, '2.conv2'),
     ['(8, 8)', 'too small']),
    ('NaN in the batch',        lambda n: (n, X / 0 * 0, 'conv2'),            ['image 0', 'nan', 'batch']),
    ('NaN in one image',        lambda n: (n, torch.cat([X[:2], X[2:] * float('nan')]), 'conv2'), ['image 2', 'nan']),
    ('NaN in one score',        lambda n: (with_nan(n), X, 'conv2', 3),       ['nan', 'weights']),
    ('infinite batch',          lambda n: (n, X * float('inf'), 'conv2'),     ['image 0', 'no gradient']),
    ('ends in softmax',         lambda n: (nn.Sequential(n, nn.Softmax(1)), X, '0.conv2'), ['softmax', 'before it']),
    ('functional softmax, cast', lambda n: (Ends(n, lambda o: o.softmax(-1).double().view(3, 5)), X, 'net.conv2'),
     ['softmax']),
    ('ends in log-softmax',     lambda n: (nn.Sequential(n, nn.LogSoftmax(1)), X, '0.conv2'), ['softmax']),
    ('output is a dict',        lambda n: (Ends(n, lambda o: dict(a=o, b=o)), X, 'net.conv2'),
     ['a dict of 2', 'callable']),
    ('output is a tuple',       lambda n: (Ends(n, lambda o: (o, o)), X, 'net.conv2', 2), ['a tuple of 2', 'callable']),
    ('output is a map',         lambda n: (Ends(n, lambda o: o[..., None, None]), X, 'net.conv2', 2),
     ['(3, 5, 1, 1)', 'callable']),
    ('output of no classes',    lambda n: (Ends(n, lambda o: o[:, :0]), X, 'net.conv2'), ['(3, 0)', 'callable']),
    ('output without gradient', lambda n: (Ends(n, lambda o: o.detach()), X, 'net.conv2'), ['does not depend']),
    ('built in inference mode', lambda n: (under_inference_mode(n), X, 'conv2'), ['inference_mode', 'outside']),
    ('model is no module',      lambda n: (abs, X, 'conv2'), ['builtin_function_or_method', 'not a torch module']),
    ('scripted model',          lambda n: (torch.jit.trace(n, X), X, 'conv2'),
     ['not a torch module whose layers can be watched']),
]

def frozen(net):
    return [(t.tolist(), t._version, t.requires_grad) for t in [*net.parameters(), X] if not t.is_inference()]

def said(words, call, net):
    before = frozen(net)
    with pytest.raises(CamError) as e: call()
    message = str(e.value)
    assert all(w in message for w in words), message
    assert message[-1] in '.)?' and len(message) < 500 and message.count('\n') < 2, message
    assert str(before) == str(frozen(net)) and not any(m._forward_hooks for m in net.modules())
    assert torch.is_grad_enabled()

@pytest.mark.parametrize('what, passed, words', CAPTURE, ids=[c[0] for c in CAPTURE])
@pytest.mark.filterwarnings('ignore')
def test_capture(net, what, passed, words):
    args = passed(net)
    said(words, lambda: capture(*args), net)

def test_messages_differ(net):
    "Each kind of mistake has a message of its own, without the numbers and names in it."
    def kind(args):
        try: capture(*args)
        except CamError as e: return str(e).split(': ', 1)[1][:60]
    kinds = {kind(passed(net)) for what, passed, _ in CAPTURE if what not in ('scripted model', 'NaN in one score')}
    assert len(kinds) >= 35

# ---- pictures and words

PICTURE = np.zeros((9, 9, 3), np.uint8)
def ready(p): return torch.from_numpy(np.asarray(p).copy()).movedim(-1, 0).float()[:3, :8, :8] / 255

@pytest.fixture
def files(tmp_path):
    Image.effect_noise((90, 90), 50).save(tmp_path / 'good.png')
    (tmp_path / 'empty.jpg').write_bytes(b'')
    (tmp_path / 'words.png').write_text('no picture')
    data = (tmp_path / 'good.png').read_bytes()
    (tmp_path / 'cut.png').write_bytes(data[:len(data) // 2])
    head = bytearray(data)  # one that says it is 60000 by 60000
    head[16:24] = (60000).to_bytes(4, 'big') * 2
    head[29:33] = zlib.crc32(head[12:29]).to_bytes(4, 'big')
    (tmp_path / 'huge.png').write_bytes(bytes(head))
    (tmp_path / 'none').mkdir()
    return tmp_path

T = dict(transform=ready)
EXPLAIN = [
    ('method misspelt',       lambda n, d: ((n, X, 'gradcam'), {}),               ["'gradcam'", "'grad_cam'"]),
    ('no transform',          lambda n, d: ((n, Image.fromarray(PICTURE)), {}),
     ['transform=', 'weights.transforms()', 'normalised']),
    ('no transform, a path',  lambda n, d: ((n, d / 'good.png'), {}),             ['transform=']),
    ('no such file',          lambda n, d: ((n, d / 'god.png'), T),               ['no file', "'good.png'"]),
    ('an empty file',         lambda n, d: ((n, d / 'empty.jpg'), T),             ['empty.jpg', 'empty (0 bytes)']),
    ('a file of text',        lambda n, d: ((n, d / 'words.png'), T),             ['words.png', 'no image']),
    ('a file cut short',      lambda n, d: ((n, d / 'cut.png'), T),               ['cut.png', 'cut short']),
    ('an enormous picture',   lambda n, d: ((n, d / 'huge.png'), T),              ['huge.png', 'smaller copy']),
    ('a folder as a picture', lambda n, d: ((n, d), T),                           ['is a folder']),
    ('an address',            lambda n, d: ((n, 'https://example.org/cat.jpg'), T), ['address', 'network']),
    ('no pictures',           lambda n, d: ((n, []), T),                          ['list is empty']),
    ('a number',              lambda n, d: ((n, 3), T),                           ['int', 'not a picture']),
    ('integers, no bytes',    lambda n, d: ((n, X.long()[0]), {}),                ['int64', 'not a picture']),
    ('array out of range',    lambda n, d: ((n, np.full((9, 9, 3), 7.)), T), ['(9, 9, 3)', 'float64', 'from 0 to 1']),
    ('array of bytes, flat',  lambda n, d: ((n, np.zeros(9, np.uint8)), T),       ['(9,)', '(H,W,3)']),
    ('sizes differ',          lambda n, d: ((n, [PICTURE, PICTURE[:5]]), T),
     ['different sizes', '(3, 5, 8)', '(3, 8, 8)']),
    ('transform gives PIL',   lambda n, d: ((n, PICTURE), dict(transform=lambda p: p)),
     ['transform made', 'Image', '(3,H,W)']),
    ('transform gives bytes', lambda n, d: ((n, PICTURE), dict(transform=lambda p: ready(p).byte())),
     ['transform made', 'uint8']),
    ('layer misspelt',        lambda n, d: ((n, X), dict(layer='conv3')),         ["Grad-CAM at 'conv3'", "'conv2'"]),
    ('targets do not fit',    lambda n, d: ((n, X), dict(layer='conv2', target=[5])),
     ["Grad-CAM at 'conv2': 3 images but 1 target (5). Give one class for all of them as an int, or 3 classes."]),
    ('several methods',       lambda n, d: ((n, X, ['grad_cam', 'cam']), {}), ['a list of 2', 'compare']),
    ('a layer by number',     lambda n, d: ((n, X), dict(layer=-1)), ["at '-1'", 'neither a name nor', 'map_layers']),
    ('class of a transform',  lambda n, d: ((n, d / 'good.png'), dict(transform=dict)), ['the class dict', 'dict()']),
    ('pictures for signals',  lambda n, d: ((SIGNALS, X), {}),
     ['wants signals (N,C,L), or token ids', 'none of the sizes 0.']),
    ('unknown class name',    lambda n, d: ((n, X), dict(target='cta')),          ["'cta'", "'cat'"]),
    ('cam of a function',     lambda n, d: ((n, X, 'cam'), dict(target=lambda o: o[:, 0])), ['CAM', 'Give a class']),
    ('cam of another layer',  lambda n, d: ((n, X, 'cam', 'conv'), {}),
     ["CAM at 'conv'", 'looks at no layer']),
]

@pytest.mark.parametrize('what, passed, words', EXPLAIN, ids=[c[0] for c in EXPLAIN])
def test_explain(net, files, what, passed, words):
    net.vocab = ['cat', 'dog', 'pig', 'fox', 'owl']
    args, kw = passed(net, files)
    said(words, lambda: explain(*args, **kw), net)

ALL = [
    ('no folder',       lambda d: (d / 'nowhere', {}), ['nowhere', 'is not one']),
    ('folder is empty', lambda d: (d / 'none', {}),    ['holds no picture']),
    ('a single file',   lambda d: (d / 'good.png', {}), ['use explain']),
    ('batches of none', lambda d: (d, dict(bs=0)),     ['bs is 0', '1 or more']),
    ('method misspelt', lambda d: (d, dict(method='cams')), ["'cams'"]),
]

@pytest.mark.parametrize('what, passed, words', ALL, ids=[c[0] for c in ALL])
def test_explain_all_refuses_before_it_begins(net, files, what, passed, words):
    images, kw = passed(files)
    said(words, lambda: explain_all(net, images, transform=ready, **kw), net)

SAVE = [('bmp', 'x.bmp', ["'", '.png', '.npz']), ('no suffix', 'x', ['.png']),
        ('no folder', 'nowhere/x.png', ['no folder', 'nowhere'])]

@pytest.mark.parametrize('what, name, words', SAVE, ids=[c[0] for c in SAVE])
def test_save(net, tmp_path, what, name, words):
    e = explain(net, X, layer='conv2')
    said(words, lambda: e.save(tmp_path / name), net)
    assert not list(tmp_path.iterdir())

FORMULA = [((1, 4, 2, 2), (1, 4, 2, 3), ['(1, 4, 2, 2)', '(1, 4, 2, 3)']), ((4, 2), (4, 2), ['A[None]']),
           ((1, 4, 2, 2), (4, 2, 2), ['(4, 2, 2)'])]

@pytest.mark.parametrize('a, g, words', FORMULA)
def test_formula(net, a, g, words): said(words, lambda: grad_cam(torch.zeros(a), torch.zeros(g)), net)

def test_there_are_enough(): assert len(CAPTURE) + len(EXPLAIN) + len(ALL) + len(SAVE) + len(FORMULA) >= 80
