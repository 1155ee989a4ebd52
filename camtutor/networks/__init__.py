"The networks that ship with the course, and others by name. Nothing here needs fastai or widgets."
from .build import gap_linear, plain_net, small_body, small_resnet
from .by_name import load_network
from .imagenet import load_imagenet
from .pieces import that_tokenizes
from .shipped import LIARS, SHIPPED, load_body, load_pets, load_plain, load_shipped, load_weights
from .transform import picture_transform

__all__ = ['LIARS', 'SHIPPED', 'gap_linear', 'load_body', 'load_imagenet', 'load_network', 'load_pets', 'load_plain',
           'load_shipped', 'load_weights', 'picture_transform', 'plain_net', 'small_body', 'small_resnet',
           'that_tokenizes']
