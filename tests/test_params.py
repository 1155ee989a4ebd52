"`help` shows each parameter, in the words that stand beside it."
import pydoc
import pytest
from importlib import import_module

from camtutor.params import told_in

def said(f): return pydoc.render_doc(f, renderer=pydoc.plaintext)

def test_help_of_explain():
    from camtutor import explain
    text = said(explain)
    assert 'Explain what `model` sees' in text and 'Parameters:' in text and text.rstrip().endswith('images')
    for name in ('model', 'image', 'method', 'layer', 'target', 'transform', 'vocab', 'activation', 'layout'):
        assert f'        {name}: ' in text, name
    assert 'layer: a name or a module' in text and 'Returns: one explanation of N images' in text

@pytest.mark.parametrize('where, words', [
    ('camtutor.gradcam.grad_cam', 'A: activations (N,C,*places), for pictures (N,C,h,w)'),
    ('camtutor.show.overlay', 'alpha: how much of the picture'),           # behind a decorator
    ('camtutor.explanation.Explanation.save', 'alone: only the overlay'),  # a method
    ('camtutor.explanation.compare', 'transform, vocab, activation: as for `explain`'),
    ('camtutor.engine.forward.Forward.__init__', 'layers: a name, a module'),
    ('camtutor.networks.load_network', "weights: a file; 'DEFAULT'"),
    ('camtutor.images.open_image', "src: a path, bytes, or a file opened with mode 'rb'"),
    ('camtutor.scenes.scene', 'seed'),
])
def test_public_functions(where, words):
    parts = where.split('.')
    module = next('.'.join(parts[:n]) for n in range(len(parts), 0, -1) if '.'.join(parts[:n]) in known(parts))
    found = import_module(module)
    for name in where[len(module) + 1:].split('.'): found = getattr(found, name)
    assert words in said(found)

def known(parts): return ('camtutor.engine.forward', 'camtutor.' + parts[1])

SOURCE = '''@doing('x')
def f(a, b=(1, 2), # first # of all
      c='#', # a colour
      *, # no name
      # of the next
      d:dict=None,
      e=None, g=3, **kw): # both
    "Doc"
    d = 3 # not this
'''

def test_signatures_by_hand():
    told, result = told_in(SOURCE.splitlines(), 0, ('a', 'b', 'c', 'd', 'e', 'g', 'kw'))
    assert told == [(['a', 'b'], 'first # of all'), (['c'], 'a colour'), (['d'], 'of the next'),
                    (['e', 'g', 'kw'], 'both')] and result == ''
    assert told_in(['def f(x): # y'], 0, ('x',)) == ([(['x'], 'y')], '')
    assert told_in(['def f(x, # in', '     )->int: # out', '    "Doc"'], 0, ('x',)) == ([(['x'], 'in')], 'out')
    assert told_in(['def f(x)->int: # out'], 0, ('x',)) == ([], 'out')

def test_what_is_not_written_in_a_module_is_left_alone():
    "Constructors that Python makes, and functions without a name."
    from types import ModuleType
    from camtutor.params import describe
    module = ModuleType('made')
    module.__file__ = __file__
    exec('def f(x): "as it is"\ng = lambda y: y', vars(module))
    describe(module, ['class Nothing: ...'])
    assert module.f.__doc__ == 'as it is' and module.g.__doc__ is None
