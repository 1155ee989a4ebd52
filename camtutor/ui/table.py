"Today's table of methods under tomorrow's names."
from collections.abc import Mapping
from types import SimpleNamespace
from camtutor.explain import METHODS as OLD
from camtutor.gradcam import grad_cam
class Table(Mapping):
    def __len__(self): return len(OLD)
    def __iter__(self): return iter(OLD)
    def __getitem__(self, name):
        r = OLD[name]
        needs = 'gradients' if name == 'grad_cam' else 'network' if name in ('cam', 'saliency', 'deconvnet', 'guided_backprop') else 'layer'
        fn = grad_cam if name == 'grad_cam' else lambda model, x, layer, target: r.fn(model, x, target, layer)
        return SimpleNamespace(fn=fn, kind=r.kind, title=r.title, year=r.year, paper=r.paper, passes=r.forward_passes, needs=needs)
METHODS = Table()
