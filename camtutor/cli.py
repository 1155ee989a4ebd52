"The `camtutor` command."
import argparse, errno, json, os, re, shlex, shutil, socket, subprocess, sys, warnings
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from camtutor.errors import CamError, doing

# ---- The course in JupyterLab

def course_dir()->Path:
    "The folder of the course's notebooks: beside the package in a checkout, in it where it was installed."
    package = Path(__file__).resolve().parent
    for nbs in (package.parent/'nbs', package/'course'/'nbs'):
        if (nbs/'index.ipynb').exists(): return nbs
    raise CamError("the notebooks did not come with the package. Install it with: pip install 'camtutor[course]'.")

def own_course()->Path:
    "The same, where it may be written to: of a package that was installed a copy, made once, in the user's own data."
    nbs = course_dir()
    if nbs.parent.name != 'course': return nbs
    from platformdirs import user_data_path
    copy = user_data_path('camtutor')/f"course-{version('camtutor')}"
    if not copy.exists():
        print(f'The course is copied to {copy}.')
        shutil.copytree(nbs.parent, copy)
    return copy/'nbs'

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
    nbs = own_course() # the folder above it is served: pages show pictures from docs/
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

TOLD = 'CAMTUTOR_APP' # what the page's notebook is told, by this variable

def explored(args)->dict:
    "What the page shows, as `explorer` reads it. `CamError` before it is served, if there is no such network."
    if args.model is None and not args.photos: return {}
    options = {k: getattr(args, k) for k in ('weights', 'vocab', 'size', 'mean', 'std', 'device')}
    args.model = args.model or 'imagenet'
    network_of(args)
    files = {k: whole(options[k]) for k in ('weights', 'vocab') if options[k] and options[k] != 'DEFAULT'}
    return options | files | dict(model=args.model, photos=[whole(p) for p in args.photos])

def whole(path): return str(Path(path).expanduser().resolve()) # the page works in a folder of its own

def explorer():
    "The explorer that `camtutor app` was asked for."
    from camtutor.ui.explorer import Explorer
    told = json.loads(os.environ.get(TOLD, '{}'))
    if not told: return Explorer(outline='animal')
    return Explorer(network_of(argparse.Namespace(**told)), told['photos'] or None)

def app(args):
    "Serve the explorer as a page of its own, for this computer alone."
    try: from voila.app import Voila
    except ImportError as e:
        raise CamError("Voilà is not installed. Install it with: pip install 'camtutor[course]'.") from e
    try_address(args.host, args.port)
    here = Path(__file__).resolve().parent
    os.environ['JUPYTER_PATH'] = os.pathsep.join([str(here), os.environ.get('JUPYTER_PATH', '')]) # its template
    os.environ[TOLD] = json.dumps(explored(args))
    print(f'The explorer: http://{args.host}:{args.port}  (Ctrl-C ends it)', flush=True)
    Voila.launch_instance([str(here/'data'/'explorer.ipynb'), *page_options(args)])

# ---- Photos

DRAWN = 'This network knows drawn animals only ({}). For photographs leave --model out.'

def explain_photos(args):
    "Explain photos: a picture with its map for each, saved in a folder."
    from camtutor.engine.ahead import WORKERS, ahead
    from camtutor.explanation import explain, explain_all
    from fastprogress.fastprogress import progress_bar
    from PIL import Image
    out, lines, done, failed = Path(args.out).expanduser(), {}, set(), []
    files = files_of(args.photos, out)
    paths = paths_for(files, out, args)
    left = [f for f in files if not (args.go_on and paths[f].is_file())]
    net, how = network_of(args), (args.method, args.layer, wanted(args.target))
    check_names(net, explain(net, Image.new('RGB', (256, 256), 'grey'), *how)) # what is wrong is said before any work
    if args.model in ('pets', 'plain'): print(DRAWN.format(', '.join(net.vocab)), file=sys.stderr)
    if len(left) < len(files): print(f'{len(files) - len(left)} of {len(files)} are there already.', file=sys.stderr)
    if not left: return 0
    def planned(e): # files are written in threads
        if not e: return failed.append(f'{e.source}: {e.reason}')
        path = paths[e.source[0]]
        made(path.parent)
        lines[path] = f'{e.source[0]}: {e.label[0]} -> {path}'
        return e, path
    try:
        with redirect_stdout(sys.stderr): # the bar; stdout is for the list
            shown = progress_bar(left, leave=False)
            many = len(left) > 2 * args.bs # a quick copy of the network costs two batches
            found = explain_all(net, shown, *how, bs=args.bs, progress=False, fast=many)
            for _ in ahead(writer(args.overlay, done), filter(None, map(planned, found)), 2 * WORKERS): pass
    finally: report([l for path, l in lines.items() if path in done], failed, len(left)) # also after Ctrl-C
    return int(bool(failed))

def files_of(photos, out)->dict: # file -> the folder of its result, below `out`
    "The photos that were given, as files or folders; a folder's own folders are kept apart."
    given = [(p, f) for p in map(Path, photos) for f in (photos_in(p, out) if p.is_dir() else [p])]
    return {str(f): f.parent.relative_to(p) if p.is_dir() else Path() for p, f in given}

def paths_for(files, out, args)->dict: # file -> path
    "Where the explanation of each file is to be written; the same in every run."
    more, taken = '-overlay' * args.overlay, {} # path -> file
    for file, folder in files.items():
        taken[unused(out/folder/f'{Path(file).stem}-{suffix(args)}{more}.jpg', taken)] = file
    return {file: path for path, file in taken.items()}

def writer(overlay, done):
    "What writes one explanation to its path, and notes that path in `done`."
    from camtutor.files import write_whole
    from camtutor.strip import strip_file
    def write(planned):
        e, path = planned
        if overlay: e.save(path, alone=True)
        else: write_whole(path, strip_file(e))
        done.add(path)
    return write

def wanted(target): return int(target) if target.isdecimal() else target or None

def suffix(args):
    "What the files' names say about the maps, so that another layer or target has files of its own."
    return '-'.join(re.sub(r'[^\w.]+', '_', part) for part in (args.method, args.layer, args.target) if part)

def report(lines, failed, n):
    for line in lines: print(line)
    if failed: print(f'{len(failed)} of {n} failed:', *failed, sep='\n', file=sys.stderr)

# ---- The network that is asked for

def network_of(args):
    "The network that the options describe, with its class names and how its pictures are prepared."
    from camtutor.networks import load_network
    from camtutor.networks.transform import attach
    net = load_network(args.model, args.weights)
    if args.vocab: attach(net, vocab=names_in(args.vocab))
    if args.size or args.mean or args.std: attach(net, transform=transform_for(net, args))
    return placed(net, args.device)

def placed(net, name):
    "The network where it is to compute: on the device of that name, or on an NVIDIA card where there is one."
    from camtutor.engine.processes import device
    try: return net.to(name or device())
    except (RuntimeError, AssertionError) as e: # PyTorch's, of a device that is not there, or not built in
        raise CamError(f"the device {name or device()} cannot be used ({str(e).splitlines()[0]}). "
                       "Give another one with --device, such as cpu.") from e

@doing('Reading class names')
def names_in(file)->list:
    "Names from a file with one on each line, or from a JSON list."
    path = Path(file).expanduser()
    try: text = path.read_text(encoding='utf8')
    except (OSError, UnicodeDecodeError) as e: raise CamError(f"'{path}' cannot be read as text ({e}).") from e
    try: names = json.loads(text) if path.suffix.lower() == '.json' else [l.strip() for l in text.splitlines()]
    except ValueError as e: raise CamError(f"'{path}' is not valid JSON ({e}).") from e
    if isinstance(names, list) and any(names): return [str(n) for n in names if n != '']
    raise CamError(f"'{path}' holds no list of names. Write one on each line, or a JSON list.")

def check_names(net, e):
    "`CamError` where there are more or fewer names than classes."
    from camtutor.engine.inputs import vocab_of
    names, k = vocab_of(net), getattr(e.out, 'shape', (0,))[-1]
    if names and len(names) != k: raise CamError(f'there are {len(names)} class names, but the network has {k}.')

def transform_for(net, args):
    "The middle of a picture at a size, normalised; what is left out is as the network's own transform has it."
    from camtutor.engine.inputs import steps_of, transform_of
    from camtutor.networks import picture_transform
    steps = list(steps_of(transform_of(net)))
    own = next((s for s in steps if hasattr(s, 'mean') and hasattr(s, 'std')), None)
    mean, std = (three(given) if given else list(map(float, getattr(own, name, usual)))
                 for name, given, usual in (('mean', args.mean, USUAL[0]), ('std', args.std, USUAL[1])))
    return picture_transform(args.size or size_in(steps), mean, std)

USUAL = (.485, .456, .406), (.229, .224, .225) # of networks trained on ImageNet

def size_in(steps)->int:
    "The side of the square that a transform makes; 224 where it does not say."
    found = [getattr(s, name) for s in steps for name in ('crop_size', 'size') if getattr(s, name, None)]
    side = found[-1] if found else 224
    return int(side if isinstance(side, int) else side[0])

def three(text)->list:
    "Three numbers with commas between."
    try: numbers = [float(t) for t in text.split(',')]
    except ValueError: numbers = []
    if len(numbers) in (1, 3): return numbers * (3 // len(numbers))
    raise CamError(f'{text!r} is not three numbers with commas between, such as 0.485,0.456,0.406.')

def photos_in(folder, out):
    "The pictures of `folder`; of a folder `out` below it none, since they are an earlier run's."
    from camtutor.engine.sources import pictures_in
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
    net = placed(load_network(args.model, args.weights), args.device)
    found = doctor(net, args.photos, wanted(args.target), args.method, args.layer)
    print(found)
    return found.status

# ---- Metrics

def evaluate_photos(args):
    "Judge the maps of photos by metrics; what is done already in the result file is only read."
    from camtutor.engine.processes import share
    from camtutor.evaluate import check_export, evaluate, export, markdown_of
    folder = [Path(p).expanduser() for p in args.photos]
    photos = [f for p in folder for f in (photos_in(p, Path(args.out)) if p.is_dir() else [p])]
    if args.export: check_export(args.export)
    net, (rank, world) = network_of(args), share()
    with redirect_stdout(sys.stderr): # the bar; stdout is for the table
        with warnings.catch_warnings(): # what could not be read is said below
            warnings.simplefilter('ignore', UserWarning)
            table = evaluate(net, photos, listed(args.methods), listed(args.metrics), listed(args.layer),
                             wanted(args.target), file=args.out, bs=args.bs, progress=rank == 0)
    failed = [f'{f.source}: {f.reason}' for f in table.attrs.get('failed', ())]
    if rank: return 0 # or the launcher would end the others
    print(markdown_of(table))
    report([], failed, len(photos))
    if args.export: print(f'{export(table, args.export)} is written.', file=sys.stderr)
    missing = table.picture.nunique() + len(failed) < len(photos)
    if missing: print(STILL.format(table.picture.nunique(), len(photos)), file=sys.stderr)
    return int(bool(failed) and world == 1)

STILL = '{} of {} pictures are in the file; other processes may still be at work. Give the same command again later.'

# ---- Mistakes

def report_mistakes(args):
    "List the worst mistakes on labelled photos: one HTML file. A folder's folders are named like the classes."
    from camtutor.blunders import top_mistakes
    from camtutor.networks import load_network
    from camtutor.report import mistake_report, writable
    out, net = writable(args.out), placed(load_network(args.model, args.weights), args.device)
    found = top_mistakes(net, args.folder, args.n, args.method, args.layer)
    print(found)
    for cause, n in found.causes().most_common(): print(f'{n:5} {cause}')
    print(f'-> {mistake_report(found, out, f"Mistakes in {Path(args.folder).name}")}')

def listed(text): return [t.strip() for t in text.split(',') if t.strip()] if text else None

# ---- The command line

def arg(*names, **options): return names, options

DEVICE = arg('--device', metavar='NAME', help='where it computes: cpu, cuda, cuda:1, mps; an NVIDIA card if left out '
                                              'and there is one, else the processor')
NETWORK = ( # which network, wherever one is asked for
    arg('--model', default='imagenet',
        help='imagenet, pets, a torchvision name such as resnet50, or timm:NAME; %(default)s if left out'),
    arg('--weights', metavar='FILE', help='safetensors or a state dict; DEFAULT downloads those that are published'),
    arg('--vocab', metavar='FILE', help='class names: one on each line, or a JSON list'),
    arg('--size', type=int, metavar='N', help="pixels of the square that the network reads; its own if left out"),
    arg('--mean', metavar='R,G,B', help='of the colours, from 0 to 1; those of its own transform if left out'),
    arg('--std', metavar='R,G,B', help='likewise'),
    DEVICE)

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
         arg('photos', nargs='*', metavar='PHOTO', help='photos to look at; drawn scenes if left out'),
         *(a for a in NETWORK if a[0] != ('--model',)),
         arg('--model', help='as for `explain`; the network of drawn animals, or with photos imagenet, if left out'),
         arg('--port', type=int, default=8866, help='%(default)s if left out'),
         arg('--host', default=LOOPBACK, help='%(default)s if left out: nobody else can reach it'),
         arg('--no-browser', action='store_true', help='do not open a browser')),
    explain=(explain_photos,
             arg('photos', nargs='+', metavar='PHOTO', help='files, or folders of them'),
             *NETWORK,
             arg('--method', default='grad_cam', help='%(default)s if left out'),
             arg('--layer', help='a name; the last with places if left out'),
             arg('--target', default='', help='class name or number; the top class if left out'),
             arg('--overlay', action='store_true', help='only the map over the photo, as large as it, as a JPEG'),
             arg('--go-on', action='store_true', help='after a run that was stopped: leave out what is there already'),
             arg('--bs', type=int, default=16, help='pictures at a time; %(default)s if left out'),
             arg('--out', default='explained', metavar='DIR',
                 help='the folder for the results; %(default)s if left out')),
    doctor=(examine,
            arg('photos', nargs='+', metavar='PHOTO', help='the first is explained; more of them help to find out '
                                                           'how the network wants them prepared'),
            arg('--model', default='imagenet',
                help='imagenet, pets, or a torchvision name such as resnet50; %(default)s if left out'),
            arg('--weights', metavar='FILE', help="safetensors or a state dict; DEFAULT downloads torchvision's"),
            DEVICE,
            arg('--method', default='grad_cam', help='%(default)s if left out'),
            arg('--layer', help='a name; the last with places if left out'),
            arg('--target', default='', help='class name or number; the top class if left out')),
    evaluate=(evaluate_photos,
              arg('photos', nargs='+', metavar='PHOTO', help='files, or folders of them'),
              *NETWORK,
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
              DEVICE,
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
