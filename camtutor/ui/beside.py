"Work that takes long, on a thread of its own."
import threading

class Stopped(Exception): "Raised inside a method's forward pass to end it."

class Job:
    "Counts a network's forward passes while it works, and can be stopped between two of them."
    def __init__(self, net, work, total, then): # work: a function without arguments; then: called when all is ready
        self.net, self.work, self.total, self.then = net, work, total, then
        self.done, self.stopped, self.error = 0, False, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def tick(self, module, args):
        if threading.current_thread() is not self.thread: return
        if self.stopped: raise Stopped
        self.done += 1

    def run(self):
        handle = self.net.register_forward_pre_hook(self.tick)
        try: self.work()
        except Exception as e: self.error = e
        finally: handle.remove()

    def stop(self): self.stopped = True

    def wait(self): self.thread.join()

    @property
    def running(self): return self.thread.is_alive()
