"One picture by several methods, at several layers, for several targets, in as few passes as there can be."
import torch

from camtutor.engine.forward import Forward, as_layers
from camtutor.engine.inputs import vocab_of
from camtutor.engine.layers import last_layer
from camtutor.engine.targets import At, by_number
from camtutor.engine.trace import main_input, places_of
from camtutor.errors import CamError, doing
from camtutor.fields import asked_of, batch_and_seen, fields_of_batch, picture_of
from camtutor.methods import FORMULAS, METHODS, by_formula, method_name
from camtutor.show import upsample

def compared(model, image, methods, layers, targets, transform, vocab, activation)->tuple: # see `compare`
    "(method, layer, target's place) -> the fields of an Explanation; and the other fields of a Comparison, in order."
    with doing('Comparing'):
        x, seen = batch_and_seen(model, image, transform)
        targets, names, known = comparable(x, listed(targets)), methods_named(methods), vocab_of(model, vocab)
        asked = [by_number(t, known) for t in targets]
        out, layers, pairs = formulas_of(model, x, as_layers(layers)[0], asked)
        raws, refused = by_formulas(names, pairs, methods is not None)
        fixed = dict(image=picture_of(model, x, transform), out=out, vocab=known, seen=seen)
        facts = [fixed | asked_of(model, out, t, known, activation) for t in asked]
    cells = {(m, layer, n): facts[n] | dict(raw=raw, map=upsample(raw.float(), places_of(x)), layer=layer, method=m)
             for (m, layer, n), raw in raws.items()}
    for m, layer, n in by_themselves(names, layers, targets):
        found = fields_of_batch(model, x, m, layer, asked[n], transform, vocab, activation)
        cells[m, layer, n] = found | dict(seen=seen)
    return cells, [m for m in names if m not in refused], layers, targets, refused

def listed(targets): return list(targets) if isinstance(targets, (list, tuple)) else [targets]

def methods_named(methods)->list: # keys of METHODS
    "The methods asked for; all formulas if none is."
    if methods is None: return [m for m in METHODS if METHODS[m].needs in FORMULAS]
    return [method_name(m) for m in listed(methods)]

def comparable(x, targets)->list:
    "The targets; `CamError` unless this is one picture, and they are read from the output."
    if len(main_input(x)) != 1:
        raise CamError(f"there are {len(main_input(x))} pictures. Give one; for many use explain_all.")
    if not targets: raise CamError("the list of targets is empty. Give at least one, or None for the top class.")
    if any(isinstance(t, At) for t in targets):
        raise CamError("a target is read from a layer. Compare classes or functions of the output; explain takes it.")
    return targets

def formulas_of(model, x, layers, targets)->tuple: # what the network gave; names of layers; (layer, n) -> (A, g)
    "Activations and gradients at all layers for all targets, from one pass forward and one back, for all together."
    kept = Forward(model, x, layers or [last_layer(model, x, targets[0])])
    def together(out):
        scores = [kept.score(t) for t in targets]
        if all(s.ndim == 1 for s in scores): return torch.stack(scores)
        raise CamError("a target gave several scores. Give one score for each target, and several targets.")
    pairs, first = {}, 0
    for found in kept.back(together):
        for name, (A, g) in zip(kept.names, found): pairs |= {(name, first + n): (A, k) for n, k in enumerate(g)}
        first += len(found[0][1])
    return kept.out, kept.names, pairs

def by_formulas(methods, pairs, given)->tuple: # (method, layer, n) -> map; method -> why not
    "The maps of all formulas. What does not fit raises if it was `given` by name, and is left out otherwise."
    raws, refused = {}, {}
    for m in (m for m in methods if METHODS[m].needs in FORMULAS):
        try: raws |= {(m, *at): by_formula(METHODS[m], *Ag) for at, Ag in pairs.items()}
        except CamError as e:
            if given: raise
            refused[m] = str(e)
    return raws, refused

def by_themselves(methods, layers, targets):
    "The cells of methods that are no formulas; where a method looks at no layer, one for each target."
    for m in methods:
        needs = METHODS[m].needs
        if needs in FORMULAS: continue
        yield from ((m, layer, n) for layer in (layers if needs == 'layer' else [None]) for n in range(len(targets)))
