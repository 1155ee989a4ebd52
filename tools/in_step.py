"Check that notebooks are clean, and that the package and README.md are what the notebooks make."
import filecmp, shutil, subprocess, sys, tempfile
from pathlib import Path

from readme import readme

root = Path(__file__).resolve().parent.parent
skip = shutil.ignore_patterns('__pycache__', '.ipynb_checkpoints')

def differing(a:Path, b:Path, pattern:str):
    "Relative paths of files matching `pattern` that are not the same in `a` and `b`."
    names = {p.relative_to(d) for d in (a, b) for p in d.rglob(pattern) if not {'.ipynb_checkpoints', '__pycache__'} & set(p.parts)}
    return sorted(str(n) for n in names if not ((a/n).exists() and (b/n).exists() and filecmp.cmp(a/n, b/n, shallow=False)))

def main():
    with tempfile.TemporaryDirectory() as tmp:
        copy = Path(tmp)
        for d in ('nbs', 'camtutor'): shutil.copytree(root/d, copy/d, ignore=skip)
        shutil.copy(root/'pyproject.toml', copy)
        for command in ('nbdev-clean', 'nbdev-export'):
            subprocess.run([Path(sys.executable).parent/command], cwd=copy, check=True)
        wrong = [f'{f} is not clean: run nbdev-clean' for f in differing(root/'nbs', copy/'nbs', '*.ipynb')]
        wrong += [f'camtutor/{f} is not what its notebook exports: run nbdev-export'
                  for f in differing(root/'camtutor', copy/'camtutor', '*.py')]
    if readme() != (root/'README.md').read_text(encoding='utf8'):
        wrong.append('README.md is not what nbs/index.ipynb makes: run python tools/readme.py')
    print('\n'.join(wrong) or 'Notebooks are clean; package and README are in step with them.')
    return bool(wrong)

if __name__ == '__main__': sys.exit(main())
