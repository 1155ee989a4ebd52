"Why is this map blank, wrong, or the same for every class? `doctor` tries the known causes on one's own network."
import html, textwrap
from dataclasses import dataclass
from typing import Callable, NamedTuple

import torch
from torch import Tensor

from camtutor.checks import (CAUSE, NOTE, REGIONS, SQUARES, UNKNOWN, WELL, Case, Finding, blind_spots, class_token,
                             covering, dead_channels, evidence, finite, in_place, names, normalisation, other_classes,
                             other_weights, places, probabilities_at_the_end, same_again, saturation, size_of, trained,
                             training_mode, unknown, whole_picture)
from camtutor.errors import CamError, doing
from camtutor.methods import METHODS

# ---- the table

class Check(NamedTuple):
    "One known cause."
    title:str    # the cause, in a few words
    fn:Callable  # Case -> Finding
    did:str      # the experiment, in words

CHECKS = dict(
    numbers=Check('NaN or infinite values', finite, 'looked at every number of picture, weights and scores'),
    mode=Check('training mode', training_mode, 'ran the network in its mode and in evaluation mode'),
    ending=Check('probabilities where scores are wanted', probabilities_at_the_end,
                 'followed the graph back from the output, and compared gradients'),
    trained=Check('untrained, or weights not loaded', trained,
                  'asked about the picture, its negative, noise, grey, and the picture in pieces'),
    names=Check('names of classes', names, 'counted names and scores'),
    preparation=Check('mean and std, or the order of colours', normalisation,
                      'asked again with each usual preparation, in four views each'),
    transform=Check('a transform for training', same_again, 'prepared the picture twice'),
    picture=Check('too small, or cut away', whole_picture, 'moved a white strip over a grey picture of its size'),
    blind=Check('a region that the network cannot see', blind_spots,
                f'put noise into each of {REGIONS}×{REGIONS} regions'),
    places=Check('a layer without places', places, 'looked at what the layer gives'),
    token=Check('class token alone', class_token, "went back from the score to the layer's tokens"),
    dead=Check('dead channels', dead_channels, 'showed the layer five very different pictures'),
    in_place=Check('written into behind the layer', in_place, 'compared what a plain hook keeps before and after'),
    evidence=Check('nothing speaks for the target', evidence, 'looked for places above 0 in the map'),
    saturation=Check('a saturated score', saturation, 'covered the whole picture, and compared with the gradient'),
    weights=Check('a map that ignores the weights', other_weights, 'drew it again for three random networks'),
    classes=Check('a map that ignores the class', other_classes, 'drew it again for other classes'),
    covering=Check('a map that covering contradicts', covering,
                   f'covered {SQUARES} squares in random places, one after the other, in two ways'),
)

# ---- the report

LIMITS = ("It cannot know whether the network is right for the right reason, nor whether it is right at all. What is "
          "well on this picture may not be on another.")

@dataclass(frozen=True, repr=False)
class Diagnosis:
    "What the doctor found. Print it, or let the notebook show it."
    subject:str   # what was looked at, in one line
    findings:dict # name of a check in CHECKS -> Finding

    @property
    def causes(self)->list:
        "The names of the checks that found a cause."
        return [k for k, f in self.findings.items() if f.verdict == CAUSE]

    @property
    def status(self)->int:
        "Exit status of the command: 0 if no cause was found, else 3."
        return 3 if self.causes else 0

    def __getitem__(self, name)->Finding: return self.findings[name]
    def __str__(self): return as_text(self)
    def __repr__(self): return as_text(self)
    def _repr_html_(self): return as_html(self)

ORDER = CAUSE, NOTE, UNKNOWN, WELL
SIGNS = {CAUSE: '✗', NOTE: '!', UNKNOWN: '?', WELL: '✓'}

def counted(d)->str:
    n = {v: sum(f.verdict == v for f in d.findings.values()) for v in ORDER}
    causes = f"{n[CAUSE] or 'No'} cause{'s' * (n[CAUSE] != 1)} found"
    notes = f", {n[NOTE]} note{'s' * (n[NOTE] != 1)}" * bool(n[NOTE])
    return causes + notes + f"; {n[WELL]} checks well" + f", {n[UNKNOWN]} not known" * bool(n[UNKNOWN]) + '.'

def ordered(d): return sorted(d.findings.items(), key=lambda kf: ORDER.index(kf[1].verdict))

def as_text(d)->str:
    "The report as plain text."
    lines = [d.subject, counted(d)]
    for name, f in ordered(d):
        lines += ['', f'{SIGNS[f.verdict]} {CHECKS[name].title}: {f.verdict}']
        lines += [*wrapped('done', CHECKS[name].did), *wrapped('seen', f.saw)]
        if f.do: lines += wrapped('do', f.do)
        if f.write: lines += [f'    write  {f.write}']
    return '\n'.join([*lines, '', *textwrap.wrap(LIMITS, 100)])

def wrapped(label, text): return textwrap.wrap(text, 100, initial_indent=f'    {label:<6} ', subsequent_indent=' ' * 11)

COLOURS = {CAUSE: '#b00020', NOTE: '#8a5a00', UNKNOWN: '#666', WELL: '#2e7d32'}

def as_html(d)->str:
    "The report as a table; what is well is folded away."
    def row(name, f):
        mend = html.escape(f.do) + (f'<br><code>{html.escape(f.write)}</code>' if f.write else '')
        cells = CHECKS[name].title, CHECKS[name].did, f.saw
        sign = f'<td style="color:{COLOURS[f.verdict]};white-space:nowrap">{SIGNS[f.verdict]} {f.verdict}</td>'
        return ('<tr style="vertical-align:top">' + sign
                + ''.join(f'<td style="text-align:left">{html.escape(t)}</td>' for t in cells)
                + f'<td style="text-align:left">{mend}</td></tr>')
    def table(rows):
        titles = '', 'possible cause', 'done', 'seen', 'to do'
        heads = ''.join(f'<th style="text-align:left">{h}</th>' for h in titles)
        return f'<table><tr>{heads}</tr>{"".join(rows)}</table>'
    rows = {v: [row(k, f) for k, f in ordered(d) if (f.verdict == WELL) == v] for v in (True, False)}
    return (f'<p>{html.escape(d.subject)}<br><b>{counted(d)}</b></p>' + (table(rows[False]) if rows[False] else '')
            + f'<details><summary>{len(rows[True])} checks well</summary>{table(rows[True])}</details>'
            + f'<p><small>{LIMITS}</small></p>')

# ---- the doctor

def examined(check, c)->Finding:
    "What one check finds; where it cannot be made on this network, why."
    try: return check.fn(c)
    except CamError as e: return unknown(e.reason)
    except RuntimeError as e: return unknown(f"the network failed in this experiment: {' '.join(str(e).split())[:200]}")

def subject(c)->str:
    "What is looked at."
    what = f", {c.named(c.number)}" if isinstance(c.out, Tensor) and c.out.ndim == 2 and c.number is not None else ''
    return (f"{type(c.net).__name__}, {len(c.all)} picture{'s' * (len(c.all) > 1)} of {size_of(c.x.shape[2:])}{what}, "
            f"{METHODS[c.method].title}.")

@doing('camtutor doctor')
def doctor(
    model,             # a torch module, or a fastai Learner
    image,             # a picture, or several: the first is drawn, and all are asked how they should be prepared
    target=None,       # see `explain`
    method='grad_cam', # a key of METHODS, or its title
    layer=None,        # a name or a module; None = the last layer with places
    transform=None, vocab=None, activation=None, layout=None, # see `explain`
)->Diagnosis:          # print it; `.causes`, `.status`
    """Try the known causes of bad maps on this network and picture, each as an experiment: see CHECKS.

    Takes some 300 forward passes. Nothing on the model is changed."""
    c = Case(model, image, target, method, layer, transform, vocab, activation, layout)
    with torch.random.fork_rng(devices=[]):
        return Diagnosis(subject(c), {name: examined(check, c) for name, check in CHECKS.items()})
