"Check that notebooks are clean, that package and README.md are what they make, and that the house's rules are kept."
import filecmp, shutil, subprocess, sys, tempfile
from pathlib import Path

import house
from readme import readme

root = Path(__file__).resolve().parent.parent
SKIP = {'__pycache__', '.ipynb_checkpoints'}

def differing(a:Path, b:Path, pattern:str):
    "Relative paths of files matching `pattern` that are not the same in `a` and `b`."
    names = {p.relative_to(d) for d in (a, b) for p in d.rglob(pattern) if not SKIP & set(p.parts)}
    return sorted(str(n) for n in names if not same(a/n, b/n))

def same(a, b): return a.exists() and b.exists() and filecmp.cmp(a, b, shallow=False)

def out_of_step():
    "Notebooks that are not clean, and files that are not what the notebooks make."
    with tempfile.TemporaryDirectory() as tmp:
        copy = Path(tmp)
        for d in ('nbs', 'camtutor'): shutil.copytree(root/d, copy/d, ignore=shutil.ignore_patterns(*SKIP))
        shutil.copy(root/'pyproject.toml', copy)
        for command in ('nbdev-clean', 'nbdev-export'):
            subprocess.run([Path(sys.executable).parent/command], cwd=copy, check=True)
        wrong = [f'{f} is not clean: run nbdev-clean' for f in differing(root/'nbs', copy/'nbs', '*.ipynb')]
        wrong += [f'camtutor/{f} is not what its notebook exports: run nbdev-export'
                  for f in differing(root/'camtutor', copy/'camtutor', '*.py')]
    if readme() != (root/'README.md').read_text(encoding='utf8'):
        wrong.append('README.md is not what nbs/index.ipynb makes: run python tools/readme.py')
    return wrong

def main():
    wrong = out_of_step() + house.broken()
    print('\n'.join(wrong) or "Notebooks are clean, package and README in step with them, the house's rules kept.")
    return bool(wrong)

if __name__ == '__main__': sys.exit(main())
