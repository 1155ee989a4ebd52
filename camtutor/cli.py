"The `camtutor` command."
import argparse, errno, os, re, shlex, shutil, socket, subprocess, sys
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from camtutor.errors import CamError, doing

# ---- The course in JupyterLab

def course_dir()->Path:
    "The folder of the course's notebooks: beside the package in a checkout."
    nbs = Path(__file__).resolve().parent.parent/'nbs'
    if (nbs/'index.ipynb').exists(): return nbs
    raise CamError('the notebooks are not beside the package. Run it from a clone of the repository.')

def notebooks(folder:Path)->list:
    "The notebooks in and below `folder`, as paths from there."
    found = (p.relative_to(folder) for p in folder.rglob('*.ipynb'))
    return sorted(p.as_posix() for p in found if '.ipynb_checkpoints' not in p.parts)

def own_page(what:str): # a folder that holds notebooks, or a notebook -> (folder to serve, page in it), or None
    "A workspace, or one of its notebooks."
    path = Path(what).expanduser()
    if path.is_file() and path.suffix == '.ipynb': return path.resolve().parent, path.name
    if not path.is_dir() or not any(path.glob('*.ipynb')): return None
    return path.resolve(), 'index.ipynb' if (path/'index.ipynb').exists() else ''

def course_page(chapter:str): # how a chapter begins; '' is the front page -> (folder to serve, page in it)
    "A page of the course."
    nbs = course_dir() # the folder above it is served: pages show pictures from docs/
    for name in notebooks(nbs):
        if name.startswith(chapter or 'index'): return nbs.parent, f'{nbs.name}/{name}'
    raise CamError(f'there is no chapter {chapter!r} in {nbs}, and no folder of notebooks of that name. '
                   f'Chapters are {", ".join(sorted(p.stem for p in nbs.glob("[0-9]*.ipynb")))}.')

def lab(args):
    "Open the course, or a workspace of your own, in JupyterLab."
    folder, page = args.what and own_page(args.what) or course_page(args.what or '')
    as_root = ['--allow-root'] if hasattr(os, 'geteuid') and os.geteuid() == 0 else []
    address = f'--LabApp.default_url=/lab/tree/{quote(page)}' # also the address that is printed
    return subprocess.call([sys.executable, '-m', 'jupyterlab', address, *as_root], cwd=folder)

def start(args):
    "Make a workspace of your own: the chapters with the exercises' bodies taken out."
    from camtutor import workspace
    folder = Path(args.dir)
    for done, name in workspace.start(folder, course_dir(), args.fresh): print(f'{name}: {done}')
    print(f'Your workspace is {folder.resolve()}. Open it with: {own_name()} lab {shlex.quote(args.dir)}')

def own_name()->str:
    "How this command can be called again from the same shell."
    return 'camtutor' if shutil.which('camtutor') else f'{shlex.quote(sys.executable)} -m camtutor.cli'

# ---- Exercises

def progress(args):
    "Show how far you are with the exercises."
    from camtutor.exercises import progress_table, store
    print(progress_table(*store.read()))

def check(args):
    "For authors: is every exercise sound? Stub, reference, each wrong version, hints."
    from camtutor.exercises import author
    return min(author.check(args.ids), 1)

# ---- The explorer as a page

LOOPBACK = '127.0.0.1'
# all that the page needs of JupyterLab's extensions
WIDGETS = '@jupyter-widgets/jupyterlab-manager', '@voila-dashboards/widgets-manager8', 'anywidget'

def is_loopback(host): return host == 'localhost' or host == '::1' or host.startswith('127.')

def try_address(host, port):
    "`CamError` if a page cannot be served there: Voilà would say so late, and not what to do."
    try:
        with socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((host, port))
    except (OSError, OverflowError) as e:
        elsewhere = isinstance(e, socket.gaierror) or getattr(e, 'errno', None) == errno.EADDRNOTAVAIL
        advice = (f'an address of this computer with --host, such as {LOOPBACK}' if elsewhere
                  else 'another port with --port, such as 8867')
        why = getattr(e, 'strerror', None) or e
        raise CamError(f'nothing can be served at {host}:{port} ({why}). Give {advice}.') from e

def page_options(args):
    "How Voilà is to serve the page: only the page, only to whom it is meant for."
    voila = dict(ip=args.host, port=args.port, port_retries=0, open_browser=not args.no_browser, log_level='WARN')
    if is_loopback(args.host): # or a web page could reach it by a name of its own
        voila['tornado_settings'] = {'allow_remote_access': False}
    page = dict(template='camtutor', strip_sources=True, show_tracebacks=False, file_allowlist='no file^')
    kernels = dict(cull_idle_timeout=600, cull_interval=60) # a page that is left gives its memory back
    groups = dict(Voila=voila, VoilaConfiguration=page, MappingKernelManager=kernels)
    options = [f'--{group}.{name}={value}' for group, named in groups.items() for name, value in named.items()]
    return options + [f'--VoilaConfiguration.extension_allowlist={e}' for e in WIDGETS]

def app(args):
    "Serve the explorer as a page of its own, for this computer alone."
    try: from voila.app import Voila
    except ImportError as e:
        raise CamError("Voilà is not installed. Install it with: pip install 'camtutor[course]'.") from e
    try_address(args.host, args.port)
    here = Path(__file__).resolve().parent
    os.environ['JUPYTER_PATH'] = os.pathsep.join([str(here), os.environ.get('JUPYTER_PATH', '')]) # its template
    print(f'The explorer: http://{args.host}:{args.port}  (Ctrl-C ends it)', flush=True)
    Voila.launch_instance([str(here/'data'/'explorer.ipynb'), *page_options(args)])

# ---- Photos

DRAWN = 'This network knows drawn animals only ({}). For photographs leave --model out.'

def explain_photos(args):
    "Explain photos: a picture with its map for each, saved in a folder."
    from camtutor.explanation import explain, explain_all
    from camtutor.networks import load_network
    from fastprogress.fastprogress import progress_bar
    from PIL import Image
    out, lines, failed, read = Path(args.out).expanduser(), {}, [], []
    files = [f for p in map(Path, args.photos) for f in (photos_in(p, out) if p.is_dir() else [p])]
    net, how = load_network(args.model, args.weights), (args.method, args.layer, wanted(args.target))
    explain(net, Image.new('RGB', (256, 256), 'grey'), *how) # a wrong argument is said before any work
    if args.model in ('pets', 'plain'): print(DRAWN.format(', '.join(net.vocab)), file=sys.stderr)
    try:
        with redirect_stdout(sys.stderr): # the bar; stdout is for the list
            pictures = opened(progress_bar(files, leave=False), read, failed)
            for e, f in zip(explain_all(net, pictures, *how, progress=False), read):
                path = unused(made(out)/f'{f.stem}-{suffix(args)}.png', lines)
                lines[e.save(path)] = f'{f}: {e.label[0]} -> {path}'
    finally: report(lines, failed, len(files)) # what is done is said, also after Ctrl-C
    return int(bool(failed))

def wanted(target): return int(target) if target.isdecimal() else target or None

def suffix(args):
    "What the files' names say about the maps, so that another layer or target has files of its own."
    return '-'.join(re.sub(r'[^\w.]+', '_', part) for part in (args.method, args.layer, args.target) if part)

def opened(files, read, failed):
    "The pictures of `files`, one after the other; notes in `read` which it opened, in `failed` why it could not."
    from camtutor.images import open_image
    for f in files:
        try: image = open_image(f)
        except CamError as e: failed.append(f'{f}: {e}')
        else:
            read.append(f)
            yield image

def report(lines, failed, n):
    for line in lines.values(): print(line)
    if failed: print(f'{len(failed)} of {n} failed:', *failed, sep='\n', file=sys.stderr)

def photos_in(folder, out):
    "The pictures of `folder`; of a folder `out` below it none, since they are an earlier run's."
    from camtutor.explanation import pictures_in
    found, own = pictures_in(folder), out.resolve()
    if folder.resolve() not in own.parents: return found
    kept = [f for f in found if not f.parent.resolve().is_relative_to(own)]
    if kept: return kept
    raise CamError(f"'{folder}' holds no picture but the maps in '{out}'. "
                   'Give other photos, or another folder with --out.')

def made(out):
    "The folder `out`, made if it is missing."
    try: out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise CamError(f"there can be no folder '{out}' ({e.strerror}). Give another one with --out.") from e
    return out

def unused(path, taken):
    "`path`, or with a number after it if this run has used the name already."
    numbered = (path.with_stem(f'{path.stem}-{i}') for i in range(2, len(taken) + 3))
    return next(p for p in [path, *numbered] if p not in taken)

# ---- Doctor

def examine(args):
    "Try the known causes of a bad map on a network and photos; status 3 if one is found."
    from camtutor.diagnosis import doctor
    from camtutor.networks import load_network
    net = load_network(args.model, args.weights)
    found = doctor(net, args.photos, wanted(args.target), args.method, args.layer)
    print(found)
    return found.status

# ---- Metrics

def evaluate_photos(args):
    "Judge the maps of photos by metrics; what is done already in the result file is only read."
    from camtutor.evaluate import check_export, evaluate, export, markdown_of, share
    from camtutor.networks import load_network
    folder = [Path(p).expanduser() for p in args.photos]
    photos = [f for p in folder for f in (photos_in(p, Path(args.out)) if p.is_dir() else [p])]
    if args.export: check_export(args.export)
    net, (rank, world) = load_network(args.model, args.weights), share()
    if world > 1: net.to(device_of_process())
    with redirect_stdout(sys.stderr): # the bar; stdout is for the table
        table = evaluate(net, photos, listed(args.methods), listed(args.metrics), listed(args.layer),
                         wanted(args.target), file=args.out, bs=args.bs, progress=rank == 0)
    if rank: return 0
    print(markdown_of(table))
    if args.export: print(f'{export(table, args.export)} is written.', file=sys.stderr)
    if table.picture.nunique() < len(photos): print(STILL.format(table.picture.nunique(), len(photos)), file=sys.stderr)
    return 0

STILL = '{} of {} pictures are in the file; other processes may still be at work. Give the same command again later.'

# ---- Mistakes

def report_mistakes(args):
    "List the worst mistakes on labelled photos: one HTML file. A folder's folders are named like the classes."
    from camtutor.mistakes import top_mistakes
    from camtutor.networks import load_network
    from camtutor.report import mistake_report, writable
    out, net = writable(args.out), load_network(args.model, args.weights)
    found = top_mistakes(net, args.folder, args.n, args.method, args.layer)
    print(found)
    for cause, n in found.causes().most_common(): print(f'{n:5} {cause}')
    print(f'-> {mistake_report(found, out, f"Mistakes in {Path(args.folder).name}")}')

def device_of_process():
    from accelerate import PartialState
    return PartialState().device

def listed(text): return [t.strip() for t in text.split(',') if t.strip()] if text else None

# ---- The command line

def arg(*names, **options): return names, options

COMMANDS = dict(
    lab=(lab,
         arg('what', nargs='?', help='how a chapter begins, such as 02; or a workspace, or a notebook in it; '
                                     'the front page if left out')),
    start=(start,
           arg('dir', nargs='?', default='my-camtutor',
               help='the folder, made if it is missing; %(default)s if left out'),
           arg('--fresh', default='', metavar='NAME',
               help='set your NAME aside under a dated name, and begin it again')),
    progress=(progress,),
    check=(check, arg('ids', nargs='*', help='chapters or exercises, such as 3 or 3.2; all if left out')),
    app=(app,
         arg('--port', type=int, default=8866, help='%(default)s if left out'),
         arg('--host', default=LOOPBACK, help='%(default)s if left out: nobody else can reach it'),
         arg('--no-browser', action='store_true', help='do not open a browser')),
    explain=(explain_photos,
             arg('photos', nargs='+', metavar='PHOTO', help='files, or folders of them'),
             arg('--model', default='imagenet',
                 help='imagenet, pets, or a torchvision name such as resnet50; %(default)s if left out'),
             arg('--weights', metavar='FILE', help="safetensors or a state dict; DEFAULT downloads torchvision's"),
             arg('--method', default='grad_cam', help='%(default)s if left out'),
             arg('--layer', help='a name; the last with places if left out'),
             arg('--target', default='', help='class name or number; the top class if left out'),
             arg('--out', default='explained', metavar='DIR',
                 help='the folder for the results; %(default)s if left out')),
    doctor=(examine,
            arg('photos', nargs='+', metavar='PHOTO', help='the first is explained; more of them help to find out '
                                                           'how the network wants them prepared'),
            arg('--model', default='imagenet',
                help='imagenet, pets, or a torchvision name such as resnet50; %(default)s if left out'),
            arg('--weights', metavar='FILE', help="safetensors or a state dict; DEFAULT downloads torchvision's"),
            arg('--method', default='grad_cam', help='%(default)s if left out'),
            arg('--layer', help='a name; the last with places if left out'),
            arg('--target', default='', help='class name or number; the top class if left out')),
    evaluate=(evaluate_photos,
              arg('photos', nargs='+', metavar='PHOTO', help='files, or folders of them'),
              arg('--model', default='imagenet',
                  help='imagenet, pets, or a torchvision name such as resnet50; %(default)s if left out'),
              arg('--weights', metavar='FILE', help="safetensors or a state dict; DEFAULT downloads torchvision's"),
              arg('--methods', default='grad_cam,edges', help='with commas between; %(default)s if left out'),
              arg('--metrics', default='average_drop,insertion,deletion', help='%(default)s if left out'),
              arg('--layer', help='one or several; the last with places if left out'),
              arg('--target', default='', help='class name or number; the top class if left out'),
              arg('--bs', type=int, default=16, help='pictures at a time; %(default)s if left out'),
              arg('--out', default='results.sqlite', metavar='FILE', help='%(default)s if left out'),
              arg('--export', metavar='FILE', help='a .md, .tex or .csv for the table')),
    mistakes=(report_mistakes,
              arg('folder', metavar='FOLDER', help='photos in folders that are named like the classes'),
              arg('--model', default='imagenet',
                  help='imagenet, pets, or a torchvision name such as resnet50; %(default)s if left out'),
              arg('--weights', metavar='FILE', help="safetensors or a state dict; DEFAULT downloads torchvision's"),
              arg('--method', default='grad_cam', help='of the maps; %(default)s if left out'),
              arg('--layer', help='a name; the last with places if left out'),
              arg('--n', type=int, default=50, help='how many mistakes, the worst first; %(default)s if left out'),
              arg('--out', default='mistakes.html', metavar='FILE', help='%(default)s if left out')),
)

def parser():
    p = argparse.ArgumentParser(prog='camtutor', description='See what a convolutional network looks at.')
    p.add_argument('--version', action='version', version=f"camtutor {version('camtutor')}")
    sub = p.add_subparsers(dest='command', required=True, metavar='command')
    for name, (run, *arguments) in COMMANDS.items():
        command = sub.add_parser(name, help=run.__doc__)
        command.set_defaults(run=run)
        for names, options in arguments: command.add_argument(*names, **options)
    return p

def main(argv=None):
    args = parser().parse_args(argv)
    try:
        with doing(f'camtutor {args.command}'): return args.run(args)
    except CamError as e:
        print(e, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'camtutor {args.command}: interrupted.', file=sys.stderr)
        return 130

if __name__ == '__main__': sys.exit(main())
