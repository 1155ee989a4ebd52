"What PyTorch's and Python's commonest messages mean, and what to do: a table, the first row that fits is shown."
import re

EXPLAINED = ( # (what stands in 'Kind: message', what a tutor says)
    (r'grad can be implicitly created only for scalar outputs',
     'Only a single number has a gradient, and this is a tensor of several. Say which number: take one column, add '
     'up over the batch.'),
    (r'element 0 of tensors does not require grad|does not require grad and does not have a grad_fn',
     'There is no graph to go back along: it was recorded under `no_grad`, or lost by `detach()`, `.item()`, '
     '`.numpy()` or `torch.tensor(…)` on the way, or nothing in front was told `requires_grad_()`.'),
    (r'Trying to backward through the graph a second time',
     'The first way back has thrown the graph away. `retain_graph=True` keeps it; or go back once, from a sum.'),
    (r'appears to not have been used in the graph|One of the differentiated Tensors',
     'The score does not depend on this tensor: it was cloned, detached or replaced before the rest was computed '
     'from it. Ask for the tensor that went on, or say `allow_unused=True` and expect None.'),
    (r'modified by an inplace operation',
     'Something was changed in place after the graph had been recorded: an in-place ReLU behind a hook, `+=`, `[…] '
     '=`. Hand a `clone()` on.'),
    (r'leaf Variable that requires grad|a view of a leaf Variable',
     'A tensor that gradients are collected for may not be changed in place. Work on a `clone()`, or within '
     '`torch.no_grad()`.'),
    (r"Can't call numpy\(\) on Tensor that requires grad",
     'NumPy knows no gradients: `.detach()` first, or stay with torch.'),
    (r'Only Tensors of floating point',
     'Only floating point numbers have gradients: `.float()` first.'),
    (r'BackwardHookFunctionBackward|is a view and is being modified inplace',
     '`register_full_backward_hook` refuses a layer whose output is changed in place. Put a hook on the tensor: '
     '`out.register_hook(…)` in a forward hook.'),
    (r'einsum\(\)|einsum',
     'In an einsum each axis has a letter: as many letters as the tensor has axes, the same letter for axes of the '
     'same length, and behind the arrow what should stay.'),
    (r'mat1 and mat2|size mismatch|shapes cannot be multiplied|inconsistent tensor size',
     'A matrix product joins the last axis of the first with the last but one of the second (for a `Linear`: the '
     'last axis with `in_features`). Print both shapes.'),
    (r'must match the size of tensor|not broadcastable|must match the existing size|shape mismatch',
     'Shapes are lined up from the right, and a length of 1 (or a missing axis on the left) stretches. `[:, None]`,'
     ' `[..., None, None]` or `keepdim=True` puts an axis of 1 where it is needed.'),
    (r'is invalid for input of size|view size is not compatible',
     '`view` and `reshape` keep the number of values: multiply out the shape that you ask for, or use `-1` once. '
     'After a `permute` only `reshape` works.'),
    (r'Dimension out of range|dimension specified as',
     'The tensor has fewer axes than you count. Axes begin at 0; print its shape.'),
    (r'IndexError: index .* out of (range|bounds)|list index out of range|tuple index out of range',
     'The index is beyond the end. Is it counted over the whole batch, or along another axis, or from 1?'),
    (r'too many indices',
     'There are more indices than axes. Print the shape.'),
    (r'only integer tensors of a single element|tensors used as indices must be',
     'An index is a whole number, or a tensor of them (`.long()`), or a mask of bool.'),
    (r'could not infer output dtype|not implemented for .(Bool|Long|Half|Byte|Int).|'
     r'must be either a floating point or complex',
     'This works on floating point numbers only: `.float()` first.'),
    (r'expected (scalar type|.* dtype)|should be the same|found dtype|expected m1 and m2 to have the same dtype',
     'Two types or devices are mixed. Make one like the other: `.to(x)`.'),
    (r'Expected (3D|4D|3-D|4-D|more than)|expected 4D|'
     r'Input and output must have the same number of spatial dimensions|spatial',
     '`conv2d`, pooling and `interpolate` want a batch with channels (N,C,H,W): `[:, None]` before it, `[:, 0]` '
     'after.'),
    (r'expected input.* to have \d+ channels',
     'The number of channels is not what the layer was made for. Which axis holds them?'),
    (r'Boolean value of Tensor with more than one value|truth value of an array',
     '`if`, `and`, `or` and `not` want one yes or no, and this has many. Use `&`, `|`, `~`, `torch.where`, or '
     '`.any()`, `.all()`.'),
    (r'only one element tensors can be converted|a Tensor with \d+ elements cannot be converted',
     '`.item()`, `int()` and `float()` take a tensor with one value. `.tolist()` takes more.'),
    (r'ValueError: (not enough|too many) values to unpack|cannot unpack non-iterable',
     'What stands right of `=` has another number of parts than there are names on the left.'),
    (r"'NoneType' object",
     'Something is None here: a function without `return` (also `__enter__`), a `.grad` that was never filled, or a'
     ' hook that has not run.'),
    (r"'(list|tuple|ndarray|numpy\.ndarray|float|int|str)' object has no attribute",
     'This is not a tensor. `torch.stack` makes one of a list of tensors, `torch.as_tensor` of numbers; of a tuple '
     'take the part you need.'),
    (r"'(Sequential|Linear|Conv2d|ReLU|\w*Net\w*|Module|\w+)' object has no attribute '\w+'",
     'It has no attribute of that name. Is it misspelt, or does an `__init__` leave out `super().__init__(…)`?'),
    (r'object is not subscriptable',
     'It cannot be indexed with `[…]`: it is neither a list nor a tensor. A layer has no parts.'),
    (r'object is not callable',
     'This is no function: a value was called with `(…)`, or a method that is a property.'),
    (r'object is not iterable',
     'It holds nothing to loop over. Is it a number, or a method that was not called?'),
    (r'UnboundLocalError|cannot access local variable',
     'An assignment inside a function makes the name local to it. Change the object in place (`append`), or say '
     '`nonlocal`.'),
    (r'NameError',
     'This name is not known here. Is it misspelt, or not imported in the cells above?'),
    (r'KeyError',
     'There is no such key. Print the keys: is it stored under another name, or never stored?'),
    (r'RecursionError|maximum recursion depth',
     'The function calls itself without an end.'),
    (r'missing \d+ required positional|takes \d+ positional argument|unexpected keyword|'
     r'takes from \d+ to \d+|got multiple values',
     'It is called with other arguments than it takes. A hook is called with (module, args, out), `__exit__` with '
     'three after `self`.'),
    (r'context manager protocol|__enter__',
     'A `with` needs `__enter__` and `__exit__`, or a function with `yield` under `@contextmanager`.'),
    (r'dictionary changed size|changed size during iteration',
     'You change a dict while you loop over it: loop over `list(d)`.'),
    (r'unsupported operand type|can only concatenate|must be str, not',
     'Two sorts of things are put together that do not go together. Make both tensors (or both numbers, both '
     'lists).'),
    (r'expected Tensor as element|expected a non-empty list of Tensors|argument .tensors. ',
     '`torch.stack` and `torch.cat` take a list of tensors.'),
    (r'stack expects each tensor to be equal size|Sizes of tensors must match except',
     'These tensors have different shapes, so they do not go into one.'),
    (r'received an invalid combination of arguments|argument .* must be|invalid combination',
     'The call gets arguments of another sort than it takes. Look at their types, one by one.'),
    (r'ZeroDivisionError',
     'Something is divided by 0. What should come out then?'),
    (r'mark_dirty|a leaf|ctx',
     'The rules of `torch.autograd.Function`: forward announces what it changes in place, backward gives one '
     'gradient for each argument of forward, None where there is none.'),
    (r'returned an incorrect number of gradients',
     '`backward` returns one gradient for each argument of `forward`, None where there is none.'),
    (r'deepcopy protocol',
     'Only leaves of a graph can be copied with `deepcopy`: `.detach()` first.'),
    (r'index \d+ is out of bounds for dimension',
     'The index is beyond the end of that axis. Which axis do you mean?'),
)

def explained(kind:str, message:str)->str:
    "What an exception means and what to do about it; '' if the table has no row for it."
    text = f'{kind}: {message}'
    return next((says for pattern, says in EXPLAINED if re.search(pattern, text)), '')
