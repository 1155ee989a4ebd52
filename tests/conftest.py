"The order of all tests; fixtures of the browser tests: a JupyterLab and a Chromium for each worker of a run."
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'tools'))   # tests of what authors run

LONG = 'test_runs[', 'test_lessons_run_there['   # whole lessons

def pytest_collection_modifyitems(items):
    "The longest begin, so that of two workers none waits at the end for what the other has just begun."
    items.sort(key=lambda item: not item.name.startswith(LONG))

@pytest.fixture(scope='session')
def lab(tmp_path_factory):
    "A JupyterLab of its own on a free loopback port."
    from lab import jupyterlab
    with jupyterlab(tmp_path_factory.mktemp('lab')) as running: yield running

@pytest.fixture(scope='session')
def browser():
    "Headless Chromium."
    from lab import FLAGS, chromium
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield b
        b.close()

@pytest.fixture(scope='module')
def page(browser):
    "A page that a module's tests share; its console's errors are in `page.errors`."
    context = browser.new_context(viewport=dict(width=1280, height=900), accept_downloads=True)
    context.grant_permissions(['clipboard-read', 'clipboard-write'])
    page = context.new_page()
    page.errors = []
    page.on('console', lambda m: page.errors.append(m.text) if m.type == 'error' else None)
    page.on('pageerror', lambda e: page.errors.append(str(e)))
    yield page
    context.close()
