"Taking the bodies out of functions, and telling whether anything was put back."
import ast, dis, inspect, textwrap

def blank(source:str, # Python source of a cell
          name:str='' # the function or class to blank; all of them if left out
         )->str: # the same source; signature, docments and docstring stay, the body is `...`
    "Take the body out of a function, or out of every method of a class."
    lines = textwrap.dedent(source).splitlines()
    tree = ast.parse('\n'.join(lines))
    tops = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and name in ('', n.name)]
    for f in reversed([f for t in tops for f in functions_of(t)]): lines[f.lineno-1:f.end_lineno] = blanked(f, lines)
    for t in reversed(tops): del lines[min([t.lineno] + [d.lineno for d in t.decorator_list])-1:t.lineno-1]
    return '\n'.join(lines)

def functions_of(node):
    if isinstance(node, ast.FunctionDef): return [node]
    return [n for n in node.body if isinstance(n, ast.FunctionDef)]

def blanked(f, lines):
    "The lines of function `f`: those of its signature and docstring, then `...`."
    first, doc = f.body[0], ast.get_docstring(f)
    kept = lines[f.lineno-1:first.end_lineno if doc else first.lineno]
    if not doc: # cut at the first statement, which may stand on the line of the signature
        kept[-1] = kept[-1].encode()[:first.col_offset].decode().rstrip()
        while kept and not kept[-1].strip(): kept.pop()
    elif len(f.body) > 1 and f.body[1].lineno == first.end_lineno:
        kept[-1] = kept[-1].encode()[:first.end_col_offset].decode()
    indent = ' '*(f.col_offset + 4)
    if not doc and first.lineno == kept_line(f, kept): return kept[:-1] + [kept[-1] + ' ...']
    return kept + [indent + '...']

def kept_line(f, kept): return f.lineno + len(kept) - 1

def is_stub(answer)->bool:
    "Is nothing written in this function, or in any method of this class, whatever decorates it?"
    answer = inspect.unwrap(answer) if inspect.isfunction(answer) else answer
    if inspect.isclass(answer):
        plain = [getattr(m, 'fget', None) or getattr(m, '__func__', m) for m in vars(answer).values()]
        return all(is_stub(m) for m in plain if inspect.isfunction(m))
    return inspect.isfunction(answer) and all(does_nothing(i) for i in dis.get_instructions(answer))

def does_nothing(i):
    if i.opname in ('RESUME', 'NOP', 'COPY_FREE_VARS'): return True
    return i.argval is None and i.opname in ('LOAD_CONST', 'RETURN_CONST', 'RETURN_VALUE')
