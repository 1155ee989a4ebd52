"Several processes on one job, as `accelerate launch` or torchrun starts them."
import os

import torch

def several(): return int(os.environ.get('WORLD_SIZE', 1)) > 1

def share():
    "(this process's number, how many there are)."
    if not several(): return 0, 1
    from accelerate import PartialState
    state = PartialState(cpu=not torch.cuda.is_available())
    return state.process_index, state.num_processes

def everybody():
    "Wait until every process has come here."
    if several():
        from accelerate import PartialState
        PartialState().wait_for_everyone()

def device():
    "This process's own device."
    from accelerate import PartialState
    return PartialState().device
