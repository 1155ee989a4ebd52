"Run a learner's code under a limit of time and memory, in the same thread, on any platform."
# A watchdog thread looks every 20 ms. Over the limit it raises inside the running code (`PyThreadState_SetAsyncExc`),
# again and again until the code ends. An `except:` in an endless loop may catch that; then the next line of the learner's
# code raises once more, which is the line inside the `except:`. This stops anything that comes back to Python: an endless
# loop, a list that grows, a thousand slow steps. A single call into C is only stopped when it returns, and an import is
# left to finish (half a module would spoil the session); its time is not counted. One single allocation too large for the machine is refused by the system on Linux, where the address
# space is capped for the time of the run; on macOS and Windows it is left to PyTorch and the system.
import ctypes, sys, threading, time
import psutil

GB = 2**30
STEP = .02

class Limit(BaseException):
    "Made in the thread that is to be stopped."
    def __init__(self):
        super().__init__()
        insist(type(self), sys._getframe(1))

class TimeLimit(Limit): "The code ran longer than allowed."
class MemoryLimit(Limit): "The code took more memory than allowed."

def insist(error, frame):
    "Let the next line of the code that is running raise as well, unless that code is ours."
    def again(frame, event, arg):
        if frame.f_code.co_filename != __file__: raise error
    if frame.f_code.co_filename == __file__: return
    sys.settrace(again)
    while frame and frame.f_code is not guarded.__code__: frame.f_trace, frame = again, frame.f_back

def guarded(run, # called without arguments
            seconds:float=5., # more than this raises TimeLimit inside `run`
            memory:int=GB # more new memory than this raises MemoryLimit inside `run`; half of what is free, if that is less
           ):
    "`run()`, stopped with `TimeLimit` or `MemoryLimit` when it asks for too much."
    memory = min(memory, psutil.virtual_memory().available//2)
    dog = Watchdog(threading.get_ident(), seconds, memory)
    dog.start()
    tracer = sys.gettrace()
    with address_space(memory + GB):
        try: return run()
        finally:
            dog.stop()
            sys.settrace(tracer)

class Watchdog(threading.Thread):
    "Raises in thread `tid` once a limit is passed; holds the limits and whether it is over."
    def __init__(self, tid, seconds, memory):
        super().__init__(daemon=True)
        self.tid, self.over, self.lock = tid, threading.Event(), threading.Lock()
        self.until = time.monotonic() + seconds
        self.process = psutil.Process()
        self.most = self.process.memory_info().rss + memory

    def run(self):
        while not self.over.wait(STEP):
            if importing(sys._current_frames().get(self.tid)): self.until += STEP
            elif self.process.memory_info().rss > self.most: self.throw(MemoryLimit)
            elif time.monotonic() > self.until: self.throw(TimeLimit)

    def throw(self, error):
        with self.lock:
            if not self.over.is_set(): set_async(self.tid, error)

    def stop(self):
        "End the watch. An exception may still arrive while this runs: then it runs again, and passes it on."
        arrived = None
        while True:
            try:
                self.over.set()
                with self.lock: set_async(self.tid, None)
                break
            except (TimeLimit, MemoryLimit) as e: arrived = e
        if arrived and not isinstance(sys.exc_info()[1], (TimeLimit, MemoryLimit)): raise arrived

def importing(frame)->bool:
    "Is an import going on in this frame or in one that it was called from?"
    while frame and not frame.f_code.co_filename.startswith('<frozen importlib'): frame = frame.f_back
    return frame is not None

def set_async(tid, error):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(tid), ctypes.py_object(error) if error else None)

class address_space:
    "On Linux, allow the process `extra` bytes of address space beyond what it has; elsewhere nothing."
    def __init__(self, extra): self.extra = extra

    def __enter__(self):
        self.before = None
        if sys.platform != 'linux': return
        import resource
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        cap = psutil.Process().memory_info().vms + self.extra
        if min(soft % 2**64, hard % 2**64) <= cap: return
        self.before = soft, hard
        resource.setrlimit(resource.RLIMIT_AS, (cap, hard))

    def __exit__(self, *error):
        if not self.before: return
        import resource
        resource.setrlimit(resource.RLIMIT_AS, self.before)
