"Can an answer be called as the stub says?"
import inspect

def wrong_signature(e, answer)->str:
    "What is wrong with the arguments that `answer` takes; '' if it can be called as the reference is."
    if inspect.isclass(e.reference) != inspect.isclass(answer):
        asked, given = ("class" if inspect.isclass(o) else "function" for o in (e.reference, answer))
        return f"`{e.name}` should be a {asked}, and yours is a {given}."
    if not callable(answer): return f'`@ex("{e.id}")` goes above a function or a class.'
    want, got = inspect.signature(e.reference).parameters, inspect.signature(answer)
    needed = [p.name for p in want.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    required = [n for n in needed if want[n].default is inspect.Parameter.empty]
    return turned(needed, got) or not_bound(e, answer, required, got) or left_out(needed, required, got)

def turned(needed, got):
    "The arguments have their names, but another order."
    has = list(got.parameters)
    if sorted(needed) != sorted(has) or needed == has: return ''
    return f'The arguments should come in the order ({", ".join(needed)}); yours is ({", ".join(has)}).'

def not_bound(e, answer, required, got):
    "It cannot be called with the arguments that the reference needs."
    try: got.bind(*required)
    except TypeError as err:
        return (f'It is called as {e.name}({", ".join(required)}), '
                f'which yours, {answer.__name__}{got}, does not take: {err}.')
    return ''

def left_out(needed, required, got):
    "Arguments with a default that the reference takes, too."
    has = got.parameters
    if any(p.kind is p.VAR_KEYWORD for p in has.values()): return ''
    missing = [n for n in needed if n not in required and n not in has]
    return f'It should also take {" and ".join(f"`{n}`" for n in missing)}, as the reference does.' if missing else ''
