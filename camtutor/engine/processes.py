"Several processes on one job, as `accelerate launch` or torchrun starts them."
import os

import torch

def several(): return int(os.environ.get('WORLD_SIZE', 1)) > 1

def state():
    from accelerate import PartialState
    return PartialState(cpu=not torch.cuda.is_available())

def share():
    "(this process's number, how many there are)."
    return (state().process_index, state().num_processes) if several() else (0, 1)

def everybody():
    "Wait until every process has come here."
    if several(): state().wait_for_everyone()

def device()->torch.device:
    "This process's own device: an NVIDIA card where there is one."
    return state().device if several() else torch.device('cuda' if torch.cuda.is_available() else 'cpu')
