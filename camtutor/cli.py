"The `camtutor` command."
import argparse, os, subprocess, sys
from pathlib import Path

from camtutor.errors import CamError

def course_dir()->Path:
    "The folder of the course's notebooks: beside the package in a checkout."
    nbs = Path(__file__).resolve().parent.parent/'nbs'
    if not (nbs/'index.ipynb').exists():
        raise CamError('camtutor lab: the notebooks are not beside the package. Run it from a clone of the repository.')
    return nbs

def lab(args):
    "Open the course in JupyterLab."
    nbs = course_dir()
    found = sorted(nbs.glob(f'{args.chapter}*.ipynb')) if args.chapter else [nbs/'index.ipynb']
    if not found: raise CamError(f'camtutor lab: no chapter {args.chapter!r} in {nbs}; there are '
                                 f'{", ".join(sorted(p.stem for p in nbs.glob("[0-9]*.ipynb")))}.')
    as_root = ['--allow-root'] if hasattr(os, 'geteuid') and os.geteuid() == 0 else []
    return subprocess.call([sys.executable, '-m', 'jupyterlab', found[0].name, *as_root], cwd=nbs)

def start(args):
    "Make a workspace of your own: the chapters with the exercises' bodies taken out."
    from camtutor import workspace
    for done, name in workspace.start(Path(args.dir), course_dir(), args.fresh): print(f'{name}: {done}')
    print(f'Your workspace is {Path(args.dir).resolve()}. Open it with: jupyter lab {args.dir}')

def progress(args):
    "Show how far you are with the exercises."
    from camtutor.exercises import progress_table, store
    print(progress_table(*store.read()))

def check(args):
    "For authors: is every exercise sound? Stub, reference, each wrong version, hints."
    from camtutor.exercises import author
    return min(author.check(args.ids), 1)

def parser():
    p = argparse.ArgumentParser(prog='camtutor', description='See what a convolutional network looks at.')
    sub = p.add_subparsers(dest='command', required=True, metavar='command')
    c = sub.add_parser('lab', help=lab.__doc__)
    c.add_argument('chapter', nargs='?', help='how the chapter begins, such as 02; the front page if left out')
    c.set_defaults(run=lab)
    c = sub.add_parser('start', help=start.__doc__)
    c.add_argument('dir', nargs='?', default='my-camtutor', help='the folder, made if it is missing; my-camtutor if left out')
    c.add_argument('--fresh', default='', metavar='NAME', help='set your NAME aside under a dated name, and begin it again')
    c.set_defaults(run=start)
    c = sub.add_parser('progress', help=progress.__doc__)
    c.set_defaults(run=progress)
    c = sub.add_parser('check', help=check.__doc__)
    c.add_argument('ids', nargs='*', help='chapters or exercises, such as 3 or 3.2; all if left out')
    c.set_defaults(run=check)
    return p

def main(argv=None):
    args = parser().parse_args(argv)
    try: return args.run(args)
    except CamError as e:
        print(e, file=sys.stderr)
        return 1

if __name__ == '__main__': sys.exit(main())
