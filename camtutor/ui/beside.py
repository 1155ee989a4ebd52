"Work that takes long, on a thread of its own."
import asyncio, threading

from torch import Tensor

from camtutor.errors import CamError

def is_followed()->bool:
    "Does an event loop run here, from which a job can be followed?"
    try: return bool(asyncio.get_running_loop())
    except RuntimeError: return False

class Stopped(Exception): "Raised inside a network's forward pass to end it."

class Job:
    "Counts the pictures that go through a network while it works, and can be stopped between two passes."
    def __init__(self, net,
                 work,       # a function of this job; it sets `news` where something can be shown already
                 total,      # pictures that will go through the network, about
                 then,       # what comes afterwards
                 meanwhile): # what is done with news
        self.net, self.work, self.total, self.then, self.meanwhile = net, work, total, then, meanwhile
        self.done, self.news, self.stopped, self.error = 0, False, False, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        handle = self.net.register_forward_pre_hook(self.tick)
        try: self.work(self)
        except Exception as e: self.error = e
        finally: handle.remove()

    def tick(self, module, args):
        if threading.current_thread() is not self.thread: return
        if self.stopped: raise Stopped
        self.done += next((len(a) for a in args if isinstance(a, Tensor) and a.ndim), 1)

    def stop(self): self.stopped = True

    def wait(self):
        "Until the thread has ended: after `stop` a moment, the rest of one forward pass."
        self.thread.join()

class Beside:
    "One job at a time; it is followed where an event loop runs, and waited for in a plain script."
    def __init__(self, lock, act, show): # act(function) shows its errors; show(done, total), or show() at the end
        self.lock, self.act, self.show, self.job = lock, act, show, None

    def begin(self, *args): # as for `Job`
        "Stop what is running, and begin another job."
        self.halt()
        self.job = Job(*args)
        self.show(0, self.job.total)
        if is_followed(): asyncio.create_task(self.follow(self.job))
        else: self.finish()

    async def follow(self, job):
        "Show a job's progress, and go on when it is done."
        while job.thread.is_alive() and job is self.job:
            self.show(job.done, job.total)
            with self.lock:
                if job.news and job is self.job: self.act(job.meanwhile)
                job.news = False
            await asyncio.sleep(.1)
        with self.lock:
            if job is self.job: self.act(self.finish)

    def finish(self):
        "Wait for the job, and go on with what it was for."
        job = self.job
        if job is None: return
        job.wait()
        self.halt()
        if isinstance(job.error, Stopped):
            raise CamError(f'Stopped after {job.done} of about {job.total} forward passes. '
                           'Move a slider to start again.')
        if job.error: raise job.error
        job.then()

    def halt(self):
        "Stop the job, and forget it."
        job, self.job = self.job, None
        if job is None: return
        job.stop()
        job.wait()
        self.show()
