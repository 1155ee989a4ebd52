"Data of any kind, picture by picture: what can be indexed is read only where a picture is wanted."
import os

from torch import Tensor
from torch.utils.data import DataLoader

def held(data):
    "What is to be gone through: the validation set of `DataLoaders`, the pictures of `Scenes`, else the data itself."
    if hasattr(data, 'valid') and not isinstance(data, Tensor): data = data.valid
    return data.scenes if hasattr(data, 'scenes') and hasattr(data, 'masks') else data

def loads(data):
    "Does it hand out batches?"
    return isinstance(data, DataLoader) or hasattr(data, 'one_batch')

def parted(item):
    "A picture and its label, None if it has none."
    pair = isinstance(item, (tuple, list)) and len(item) == 2 and (not isinstance(item[1], Tensor) or item[1].ndim < 1)
    return (item[0], int(item[1])) if pair else (item, None)

def singles(data):
    "(number, item) of each picture of data that can only be gone through."
    n = 0
    for item in data:
        x, y = item if loads(data) and isinstance(item, (tuple, list)) else (item, None)
        many = loads(data) or isinstance(x, Tensor) and x.ndim == 4
        for i, one in enumerate(x if many else [item]):
            yield n, (one, y[i]) if many and y is not None else one
            n += 1

def wanted_items(data, total, wanted):
    "(number, picture, label) of what is wanted: `wanted(number)`. `total`: how many there are, None if not known."
    indexed = total is not None and hasattr(data, '__getitem__')
    items = ((i, data[i]) for i in range(total) if wanted(i)) if indexed else singles(data)
    for i, item in items:
        if wanted(i): yield i, *parted(item)

def name_of(picture, i): return str(picture) if isinstance(picture, (str, os.PathLike)) else f'picture {i}'
