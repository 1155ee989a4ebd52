"An exam in prediction: does a map help somebody who guesses what a network will say? Questions and judgement."
import random
from typing import NamedTuple

import torch
from torch import Tensor

from camtutor.engine.ask import scores
from camtutor.engine.inputs import as_shown
from camtutor.errors import CamError, describe, doing, expect_choice
from camtutor.methods import METHODS, apply
from camtutor.show import upsample
from camtutor.truth import BASELINES

__all__ = ['ASKED', 'Question', 'Exam', 'Result', 'set_exam', 'judged', 'sit']

ASKED = 'grad_cam', 'layer_cam', 'saliency', 'edges'   # the last asks no network: a placebo

class Question(NamedTuple):
    "What will the network say?"
    picture:Tensor # (3,H,W), as the network saw it
    map:Tensor     # for the network's own answer (H,W); None in the first half
    said:int       # the network's answer

class Exam(NamedTuple):
    "Questions: a first half without maps, a second with the maps of one method."
    network:str
    method:str
    vocab:list
    questions:list

class Result(NamedTuple):
    "How many answers were guessed, of `n` without a map and of `n` others with one."
    network:str
    method:str
    without:int
    with_map:int
    n:int

    @property
    def helped(self): return self.with_map - self.without

    def __repr__(self):
        did = ('made no difference to you' if not self.helped else
               f'{"helped" if self.helped > 0 else "misled"} you by {abs(self.helped)} of {self.n}')
        return (f'{title(self.method)} {did}: without a map you guessed {self.without} of {self.n}, '
                f'with one {self.with_map}. The network was “{self.network}”.')

def title(method): return METHODS[method].title if method in METHODS else f'A map of {method}, which asks no network,'

def maps_by(method, net, x, layer, said):
    "A map (N,H,W) for each answer."
    if method in BASELINES: return BASELINES[method](x)
    row = METHODS[method]
    raw = apply(row, net, x, None if row.needs == 'network' else layer, said.tolist()).raw
    return upsample(raw.abs().amax(1) if row.kind == 'pixels' else raw, x.shape[2:])

@doing('Setting an exam')
def set_exam(
    nets:dict,     # name -> network with `.vocab` and `.transform`; one is drawn by lot
    images,        # an even number of new pictures; the first half is asked without a map
    methods=ASKED, # rows of METHODS or BASELINES; one is drawn by lot
    layer=None,    # where methods look; None = each network's default layer
    seed=None,     # of the lots; None = another one each time
)->Exam:
    "What will the network say? A first half of questions without maps, a second half with those of one method."
    known = [*METHODS, *BASELINES]
    for m in methods: expect_choice(m, known, 'method')
    if not nets or not methods: raise CamError('there is nothing to draw lots from. Give a network and a method.')
    if len(images) < 2 or len(images) % 2:
        raise CamError(f'{len(images)} pictures have no two halves. Give an even number.')
    lot = random.Random(seed)
    name, method = lot.choice([*nets]), lot.choice([*methods])
    net, half = nets[name], len(images) // 2
    if not getattr(net, 'vocab', None) or not getattr(net, 'transform', None):
        raise CamError(f"{describe(net)} has no vocab or no transform. Give a network of camtutor.networks.")
    x = torch.stack([net.transform(i) for i in images])
    said = scores(net, x).argmax(1)
    maps = [*[None] * half, *maps_by(method, net, x[half:], layer, said[half:])]
    questions = [Question(*q) for q in zip(as_shown(x, net.transform), maps, said.tolist())]
    return Exam(str(name), method, list(net.vocab), questions)

@doing('Judging an exam')
def judged(
    exam:Exam,
    guesses, # a class number for each question
)->Result:
    "How many answers were guessed without and with a map."
    if len(guesses) != len(exam.questions):
        raise CamError(f'{len(guesses)} guesses do not answer {len(exam.questions)} questions.')
    n = len(guesses) // 2
    right = [g == q.said for g, q in zip(guesses, exam.questions)]
    return Result(exam.network, exam.method, sum(right[:n]), sum(right[n:]), n)

def sit(
    exam:Exam,
    guess, # (number of the question, Question) -> class number; looks at picture and map alone
)->Result:
    "Let a function sit the exam."
    return judged(exam, [guess(i, q._replace(said=None)) for i, q in enumerate(exam.questions)])
