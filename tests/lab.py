"A real JupyterLab or Voilà on a free loopback port, and Chromium to drive it."
import os, secrets, shutil, socket, subprocess, sys, time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen
import nbformat
from nbformat.v4 import new_code_cell, new_notebook

FLAGS = ('--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync '
         '--no-first-run --disable-dev-shm-usage').split()
ARTEFACTS = Path(__file__).resolve().parent.parent/'artefacts'

def chromium():
    "The system's Chromium."
    found = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    assert found, 'The browser tests need Chromium: apt-get install chromium'
    return found

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

def answers(url):
    try: return urlopen(url, timeout=5).status == 200
    except HTTPError as e: return e.code < 500
    except (URLError, ConnectionError, TimeoutError): return False

@contextmanager
def serving(command, url, root, seconds=90):
    "A server that runs inside the `with`, with settings of its own under `root`. Its log is shown if it cannot start."
    folders = dict(IPYTHONDIR='ipython', JUPYTERLAB_SETTINGS_DIR='settings', JUPYTERLAB_WORKSPACES_DIR='workspaces',
                   XDG_DATA_HOME='share') | {f'JUPYTER_{k.upper()}_DIR': k for k in ('config', 'data', 'runtime')}
    env = os.environ | {name: str(root/folder) for name, folder in folders.items()}
    log, end = root/'server.log', time.monotonic() + seconds
    with open(log, 'w') as f: server = subprocess.Popen(command, cwd=root, env=env, stdout=f, stderr=subprocess.STDOUT)
    try:
        while not answers(url):
            assert server.poll() is None and time.monotonic() < end, f'no server at {url}:\n{log.read_text()[-3000:]}'
            time.sleep(.2)
        yield server
    finally:
        server.terminate()
        try: server.wait(15)
        except subprocess.TimeoutExpired: server.kill()

class Lab:
    "A running JupyterLab: its address, token and folder."
    def __init__(self, base, token, work): self.base, self.token, self.work = base, token, work
    def url(self, name): return f'{self.base}/doc/tree/{name}?token={self.token}'
    def write(self, name, *cells):
        "A notebook of these cells in the server's folder."
        kernel = dict(kernelspec=dict(name='python3', display_name='Python 3', language='python'))
        nbformat.write(new_notebook(cells=[new_code_cell(c) for c in cells], metadata=kernel), self.work/name)

@contextmanager
def jupyterlab(root):
    port, token, work = free_port(), secrets.token_hex(16), root/'work'
    quiet = root/'settings'/'@jupyterlab'/'apputils-extension'
    for folder in (quiet, work): folder.mkdir(parents=True)
    (quiet/'notification.jupyterlab-settings').write_text('{"fetchNews": "false", "checkForUpdates": false}')
    command = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--ip=127.0.0.1', f'--port={port}',
               '--ServerApp.port_retries=0', f'--IdentityProvider.token={token}', f'--ServerApp.root_dir={work}',
               '--allow-root']
    base = f'http://127.0.0.1:{port}'
    with serving(command, f'{base}/api/status?token={token}', root): yield Lab(base, token, work)

def open_notebook(page, lab, name, *cells):
    "Write a notebook, open it in the page, and wait until its kernel is ready."
    lab.write(name, *cells)
    page.goto(lab.url(name), timeout=90_000)
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status=idle]', timeout=90_000)

def run_cell(page, number=0, wait_for=None):
    "Run a cell as a person does, once more if JupyterLab was not ready to hear it, and wait for something below it."
    from playwright.sync_api import TimeoutError
    cell = page.locator('.jp-CodeCell').nth(number)
    for seconds in (5, 10, 20, 40):
        cell.locator('.cm-content').click()
        page.keyboard.press('Shift+Enter')
        try: cell.locator('.jp-InputPrompt').filter(has_not_text='[ ]:').wait_for(timeout=1000 * seconds)
        except TimeoutError: continue
        break
    if wait_for: cell.locator(wait_for).first.wait_for(timeout=180_000)

def set_theme(page, name):
    "JupyterLab's theme, by its menu: 'Light' or 'Dark'."
    page.locator('.lm-MenuBar-item', has_text='Settings').click()
    page.locator('.lm-Menu-item', has_text='Theme').first.hover()
    page.locator('.lm-Menu-item', has_text=f'JupyterLab {name}').first.click()
    page.wait_for_selector(f'body[data-jp-theme-name="JupyterLab {name}"]', state='attached')

def violations(page, part=None):
    "What axe, an accessibility checker, finds wrong on the page or in a part of it."
    from axe_playwright_python.sync_playwright import Axe
    found = Axe().run(page, part).response['violations']
    return [f"{v['id']}: {v['help']}: {n['html'][:200]}" for v in found for n in v['nodes']]

def shoot(page, name):
    "A screenshot among the artefacts."
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS/f'{name}.png')
