"The `camtutor` command."
import argparse, errno, os, re, socket, subprocess, sys
from contextlib import redirect_stdout
from importlib.metadata import version
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
    names = sorted(p.relative_to(nbs).as_posix() for p in nbs.rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts)
    found = [n for n in names if n.startswith(args.chapter or 'index')]
    if not found: raise CamError(f'camtutor lab: no chapter {args.chapter!r} in {nbs}; there are '
                                 f'{", ".join(sorted(p.stem for p in nbs.glob("[0-9]*.ipynb")))}.')
    as_root = ['--allow-root'] if hasattr(os, 'geteuid') and os.geteuid() == 0 else []
    return subprocess.call([sys.executable, '-m', 'jupyterlab', f'--LabApp.default_url=/lab/tree/{nbs.name}/{found[0]}', *as_root], cwd=nbs.parent)   # also the address that is printed; pages show pictures from docs/

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

LOOPBACK = '127.0.0.1'
WIDGETS = '@jupyter-widgets/jupyterlab-manager', '@voila-dashboards/widgets-manager8', 'anywidget'   # all that the page needs of JupyterLab's extensions

def is_loopback(host): return host == 'localhost' or host == '::1' or host.startswith('127.')

def check_free(host, port):
    "Can a page be served there?"
    try:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((host, port))
    except (OSError, OverflowError) as e:
        elsewhere = isinstance(e, socket.gaierror) or getattr(e, 'errno', None) == errno.EADDRNOTAVAIL
        raise CamError(f'camtutor app: nothing can be served at {host}:{port} ({getattr(e, "strerror", None) or e}). ' +
                       (f'Give an address of this computer with --host, such as {LOOPBACK}.' if elsewhere else 'Give another port with --port, such as 8867.')) from e

def app(args):
    "Serve the explorer as a page of its own, for this computer alone."
    from importlib.util import find_spec
    if find_spec('voila') is None: raise CamError("camtutor app: Voilà is not installed. Install it with: pip install 'camtutor[course]'.")
    check_free(args.host, args.port)
    page = Path(__file__).resolve().parent/'data'/'explorer.ipynb'
    options = [('Voila.ip', args.host), ('Voila.port', args.port), ('Voila.port_retries', 0), ('Voila.open_browser', not args.no_browser), ('Voila.log_level', 'WARN'),
               ('VoilaConfiguration.template', 'camtutor'), ('VoilaConfiguration.strip_sources', True), ('VoilaConfiguration.show_tracebacks', False),
               ('VoilaConfiguration.file_allowlist', 'no file^'), *(('VoilaConfiguration.extension_allowlist', e) for e in WIDGETS),
               ('MappingKernelManager.cull_idle_timeout', 600), ('MappingKernelManager.cull_interval', 60)]   # a page that is left gives its memory back
    if is_loopback(args.host): options.append(('Voila.tornado_settings', {'allow_remote_access': False}))   # or a web page could reach it by a name of its own
    os.environ['JUPYTER_PATH'] = os.pathsep.join([str(page.parent.parent), os.environ.get('JUPYTER_PATH', '')])   # the page's template
    from voila.app import Voila
    print(f'The explorer: http://{args.host}:{args.port}  (Ctrl-C ends it)', flush=True)
    Voila.launch_instance([str(page), *(f'--{name}={value}' for name, value in options)])

def explain_photos(args):
    "Explain photos: a picture with its map for each, saved in a folder."
    from fastprogress.fastprogress import progress_bar
    from PIL import Image
    from camtutor.explain import explain
    from camtutor.zoo import load_network
    out, lines, failed = Path(args.out).expanduser(), {}, []
    files = [f for p in map(Path, args.photos) for f in (photos_in(p, out) if p.is_dir() else [p])]
    net, how = load_network(args.model, args.weights), (args.method, args.layer, int(args.target) if args.target.isdecimal() else args.target or None)
    explain(net, Image.new('RGB', (256, 256), 'grey'), *how)   # a wrong method, layer or target is said before any work is done
    named = '-'.join(re.sub(r'[^\w.]+', '_', part) for part in (args.method, args.layer, args.target) if part)   # so that another layer or target has files of its own
    if args.model == 'pets': print(f"The shipped network knows drawn animals only ({', '.join(net.vocab)}). For photographs say --model, such as --model resnet50 --weights DEFAULT.", file=sys.stderr)
    try:
        with redirect_stdout(sys.stderr):   # the bar; stdout is for the list
            for f in progress_bar(files, leave=False):
                try: e = explain(net, f, *how)
                except CamError as err: failed.append(f'{f}: {err}')
                else:
                    path = unused(made(out)/f'{f.stem}-{named}.png', lines)
                    lines[e.save(path)] = f'{f}: {e.label[0]} -> {path}'
    finally:   # what is done is said, also after Ctrl-C
        for line in lines.values(): print(line)
        if failed: print(f'{len(failed)} of {len(files)} failed:', *failed, sep='\n', file=sys.stderr)
    return int(bool(failed))

def photos_in(folder, out):
    "The pictures of `folder`; of a folder `out` below it none, since they are an earlier run's."
    from camtutor.explain import sources_of
    found, own = sources_of(folder), out.resolve()
    if folder.resolve() not in own.parents: return found
    kept = [f for f in found if not f.parent.resolve().is_relative_to(own)]
    if not kept: raise CamError(f"camtutor explain: '{folder}' holds no picture but the maps in '{out}'. Give other photos, or another folder with --out.")
    return kept

def made(out):
    "The folder `out`, made if it is missing."
    try: out.mkdir(parents=True, exist_ok=True)
    except OSError as e: raise CamError(f"camtutor explain: there can be no folder '{out}' ({e.strerror}). Give another one with --out.") from e
    return out

def unused(path, taken):
    "`path`, or with a number after it if this run has used the name already."
    return next(p for p in [path, *(path.with_stem(f'{path.stem}-{i}') for i in range(2, len(taken) + 3))] if p not in taken)

def parser():
    p = argparse.ArgumentParser(prog='camtutor', description='See what a convolutional network looks at.')
    p.add_argument('--version', action='version', version=f"camtutor {version('camtutor')}")
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
    c = sub.add_parser('app', help=app.__doc__)
    c.add_argument('--port', type=int, default=8866, help='8866 if left out')
    c.add_argument('--host', default=LOOPBACK, help=f'{LOOPBACK} if left out: nobody else can reach it')
    c.add_argument('--no-browser', action='store_true', help='do not open a browser')
    c.set_defaults(run=app)
    c = sub.add_parser('explain', help=explain_photos.__doc__)
    c.add_argument('photos', nargs='+', metavar='PHOTO', help='files, or folders of them')
    c.add_argument('--model', default='pets', help='a torchvision name such as resnet50; the shipped pets network if left out')
    c.add_argument('--weights', metavar='FILE', help="safetensors or a state dict; DEFAULT downloads torchvision's")
    c.add_argument('--method', default='grad_cam', help='grad_cam if left out')
    c.add_argument('--layer', help='a name; the last with places if left out')
    c.add_argument('--target', default='', help='class name or number; the top class if left out')
    c.add_argument('--out', default='explained', metavar='DIR', help="the folder for the results; 'explained' if left out")
    c.set_defaults(run=explain_photos)
    return p

def main(argv=None):
    args = parser().parse_args(argv)
    try: return args.run(args)
    except CamError as e:
        print(e, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'camtutor {args.command}: interrupted.', file=sys.stderr)
        return 130

if __name__ == '__main__': sys.exit(main())
