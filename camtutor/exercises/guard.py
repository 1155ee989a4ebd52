"Run a learner's code for a limited time, in the same thread, on any platform."
# The main thread is stopped by a timer's signal, any other thread (and Windows) by an exception that a second thread
# raises in it (`PyThreadState_SetAsyncExc`); both come again until the code has ended. An `except:` in an endless loop
# may catch that. Then the next line of the learner's code raises once more, which is the line inside the `except:`.
# A call into C is only stopped when it returns. An import is left to finish, since half a module would spoil the
# session, and its time is not counted.
import ctypes, signal, sys, threading, time

STEP = .02 # seconds from one look at the clock to the next
OURS = {__file__} # files whose lines are never stopped; those around a learner's code are added

class TimeLimit(BaseException):
    "The code ran longer than allowed. Made in the thread that is to be stopped."
    def __init__(self):
        super().__init__()
        insist(sys._getframe(1))

def insist(frame):
    "Let the next line of the code that is running raise as well, unless that code is ours."
    def again(frame, event, arg):
        if event == 'line': raise TimeLimit
        return again
    sys.settrace(lambda *event: None) # what is called from now on runs freely
    while frame and frame.f_code is not guarded.__code__:
        if frame.f_code.co_filename not in OURS: frame.f_trace = again
        frame = frame.f_back

def guarded(run, # called without arguments
            seconds:float=5. # more than this raises TimeLimit inside `run`
           ):
    "`run()`, stopped with `TimeLimit` when it takes too long."
    main = threading.current_thread() is threading.main_thread() and hasattr(signal, 'setitimer')
    tracer, end = sys.gettrace(), (by_signal if main else by_thread)(seconds)
    try: return run()
    finally:
        while True:
            try:
                end()
                sys.settrace(tracer)
                break
            except TimeLimit: pass # it came in the middle of this: once more

def clock(seconds):
    "A function to ask, with the frame that runs: are the seconds over? The time of imports is not counted."
    left, last = seconds, time.monotonic()
    def over(frame):
        nonlocal left, last
        spent, last = time.monotonic() - last, time.monotonic()
        if importing(frame): return False
        left -= spent
        return left < 0
    return over

def by_signal(seconds):
    "Start a timer; gives the function that ends it. A timer that somebody else has set goes on afterwards."
    over = clock(seconds)
    def look(number, frame):
        if over(frame): raise TimeLimit
    handler, timer = signal.signal(signal.SIGALRM, look), signal.setitimer(signal.ITIMER_REAL, STEP, STEP)
    def end():
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL) # None: it was not set from Python
        signal.setitimer(signal.ITIMER_REAL, *timer)
    return end

def by_thread(seconds):
    "Start a second thread that looks at the clock; gives the function that ends it."
    thread, done, lock, over, sent = threading.get_ident(), threading.Event(), threading.Lock(), clock(seconds), []
    def send():
        sent.append(1)
        set_async(thread, TimeLimit)
    def watch():
        while not done.wait(STEP):
            with lock:
                if not done.is_set() and over(sys._current_frames().get(thread)): send()
    def end():
        done.set()
        with lock:
            if not sent: return
        try: # One more takes the place of one that is still to come, and is caught here: none comes later.
            send() # `None`, which takes it back, would leave Python 3.11 looking for it at every step, for good.
            while True: pass
        except TimeLimit: pass
    threading.Thread(target=watch, name='time limit', daemon=True).start()
    return end

def importing(frame)->bool:
    "Is an import going on in this frame or in one that it was called from?"
    while frame and not frame.f_code.co_filename.startswith('<frozen importlib'): frame = frame.f_back
    return frame is not None

def set_async(thread, error):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
