"Sit an exam in prediction. The result is kept with the progress, in a file on this machine, and sent nowhere."
from statistics import fmean

from camtutor.exam import ASKED, set_exam
from camtutor.exercises import record
from camtutor.ui.exam import Sitting

__all__ = ['exam', 'exams_so_far']

def exams_so_far(results)->str:
    "How much each method has helped, over all exams that were kept; '' where there is none."
    def mean(method): return fmean(r['with_map'] - r['without'] for r in results if r['method'] == method)
    counts = [r['method'] for r in results]
    told = [f'{m} {mean(m):+.1f} in {counts.count(m)}' for m in dict.fromkeys(counts)]
    return f'All your exams so far, by method: {", ".join(told)}.' if told else ''

def kept(result)->str:
    "Keep a result; what to tell the learner."
    results, note = record.note_exam(result._asdict())
    return ' '.join(filter(None, (exams_so_far(results), note)))

def exam(
    nets:dict,     # name -> network; one is drawn by lot
    images,        # an even number of new pictures; the first half is asked without a map
    methods=ASKED, # rows of METHODS or BASELINES; one is drawn by lot
    layer=None,    # where methods look; None = each network's default layer
    seed=None,     # of the lots; None = another one each time
)->Sitting:
    "Guess what a network says, without and with a map; at the end: how much this method helped you."
    return Sitting(set_exam(nets, images, methods, layer, seed), kept)
