"The explorer in Chromium: in a JupyterLab and as a Voilà page. Screenshots are left in artefacts/."
import base64, io, json, os, re, statistics, sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen
import numpy as np, psutil, pytest
from PIL import Image
from camtutor.networks import load_pets
from camtutor.scenes import scene
from camtutor.ui.explorer import Explorer, drive
from camtutor.ui.study import MAX_UPLOAD
from lab import free_port, open_notebook, run_cell, serving, set_theme, shoot, violations

pytestmark = pytest.mark.browser

CELLS = ('''import os
print('kernel', os.getpid())
from camtutor import Explorer
Explorer(outline='animal')''', '''import time, torch
from camtutor.methods import METHODS, Method
def slow(model, x, layer, target):
    for i in range(200): m = torch.stack([model(x)[:, target]] * 4, 1).reshape(1, 2, 2); time.sleep(.02)
    return m
METHODS['slow'] = Method(slow, 'map', 'Slow', 2026, 'a test', 200, 'layer')
Explorer(show='class method', outline=None)''', '''import torch
from torchvision.models import resnet50
torch.manual_seed(0)
net = resnet50()
net.fc.weight.data.abs_()   # so that no class's map is empty
Explorer(net, [torch.randn(1, 3, 224, 224)], show='class layer', classes='all')''')

class View:
    "One explorer on a page, as a person sees it."
    def __init__(self, page, root): self.page, self.root = page, root
    def find(self, css): return self.root.locator(css)
    def slider(self, name): return self.find(f'[role=slider][aria-label="{name}"]')
    def menu(self, name): return self.row(name).locator('select')
    def button(self, text): return self.find(f'button:has-text("{text}")')
    def tab(self, text): self.find(f'.ct-tabs button:has-text("{text}")').click()
    def caption(self): return self.find('[role=status]').first.inner_text()
    def row(self, name): return self.find(f'.ct-row:has(.widget-label:text-is("{name}"))')
    def readout(self, name): return self.row(name).locator('.widget-readout').inner_text()

    def until(self, text, css='[role=status]'):
        "Wait for a text to be seen; the whole text then."
        self.find(css).filter(has_text=text).first.wait_for(timeout=20_000)
        return self.find(css).first.inner_text()

    def until_code(self, text):
        "Wait until the line of Python says so: the state has reached the kernel and come back."
        self.root.locator('.ct-code code').filter(has_text=text).wait_for(state='attached', timeout=20_000)

    def picture(self, i=0):
        "The decoded picture that the browser shows."
        jpeg = self.find('img.widget-image').nth(i).evaluate('''async i => {
          const bytes = await (await fetch(i.src)).arrayBuffer();
          return btoa(String.fromCharCode(...new Uint8Array(bytes))) }''')
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(jpeg)))).astype(int)

    def press(self, name, *keys):
        self.slider(name).wait_for()   # what is hidden takes no focus: its key would be lost
        self.slider(name).focus()
        for k in keys: self.page.keyboard.press(k)

    def watch(self):
        "Measure, inside the browser, from a key press to the first frame after the new picture has been decoded."
        self.find('img.widget-image').first.evaluate('''img => {
          window.times = []; let start = 0;
          window.addEventListener('keydown', () => { start = performance.now() }, true);
          img.addEventListener('load', () => {
            const s = start;
            start = 0;
            if (s) requestAnimationFrame(() => window.times.push(performance.now() - s)) })}''')

    def timed(self, name, key):
        "Milliseconds from one key press to the new picture."
        n = self.page.evaluate('window.times.length')
        self.press(name, key)
        self.page.wait_for_function(f'window.times.length > {n}', timeout=10_000)
        return self.page.evaluate('window.times[window.times.length - 1]')

@pytest.fixture(scope='module')
def notebook(page, lab):
    "The notebook with all three explorers' cells, the first of them run."
    open_notebook(page, lab, 'explorer.ipynb', *CELLS)
    run_cell(page, 0, 'img.widget-image')
    return page

@pytest.fixture
def view(notebook):
    "The first explorer, at its first picture."
    v = View(notebook, notebook.locator('.jp-CodeCell').nth(0).locator('.ct'))
    notebook.set_viewport_size(dict(width=1280, height=1100))
    v.tab('Pictures')
    for i in (1, 0):   # the mark moves when all of a click's work is done
        v.find(f'.ct-thumb-{i}').click()
        v.find(f'.ct-thumb-{i}:has-text("✓")').wait_for()
    v.until('cat (')
    return v

@pytest.fixture(scope='module')
def library():
    "The same explorer without a browser: what the picture has to be."
    ex = Explorer(outline='animal')
    def picture(**state):
        drive(ex, picture=0, **state)
        return np.asarray(Image.open(io.BytesIO(ex.panel.images[0].value))).astype(int)
    return picture

def same(a, b): return a.shape == b.shape and np.abs(a - b).max() <= 4

def report(title, times):
    times = sorted(times)
    median, p95 = statistics.median(times), times[int(.95 * (len(times) - 1))]
    print(f'\n{title}: median {median:.0f} ms, 95 of 100 below {p95:.0f} ms, {len(times)} key presses')

def test_arrow_keys_move_class_and_layer(view, library):
    shoot(view.page, 'explorer-1280')
    before = view.picture()
    assert same(before, library(class_='cat', layer='0.7'))
    view.press('Class', 'ArrowRight')
    view.until('dog (')
    view.press('Layer', 'ArrowLeft')
    assert 'at layer 0.6 (8×8)' in view.until('at layer 0.6')
    assert view.readout('Class').endswith(' · dog') and view.readout('Layer') == '0.6 · 8×8'
    after = view.picture()
    assert not same(after, before) and same(after, library(class_='dog', layer='0.6'))
    view.press('Layer', 'End')
    view.until('at layer 0.7')

def test_a_drag_ends_where_it_is_let_go(view, library):
    box = view.slider('Class').bounding_box()
    track = view.find('.ct-row:has(.widget-label:text-is("Class")) .noUi-base').bounding_box()
    x, y = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
    view.page.mouse.move(x, y)
    view.page.mouse.down()
    view.page.mouse.move(track['x'] + track['width'], y, steps=40)
    view.page.mouse.up()
    view.until('rabbit (')
    assert view.readout('Class').endswith('rabbit') and same(view.picture(), library(class_='rabbit', layer='0.7'))

def test_many_key_presses_at_once_collapse_into_the_last(view, library):
    "The last class is one that was not passed on the way: when its name is seen, everything has arrived."
    view.press('Class', *['ArrowRight', 'ArrowLeft'] * 40, 'End', 'ArrowLeft')
    view.until('pig (')
    assert view.readout('Class').endswith('pig') and same(view.picture(), library(class_='pig', layer='0.7'))

def test_key_press_to_picture(view):
    view.watch()
    keys = [('Class', 'ArrowRight'), ('Layer', 'ArrowLeft')] * 2 + [('Class', 'ArrowLeft'), ('Layer', 'ArrowRight')] * 2
    for k in keys: view.timed(*k)
    report('the shipped network at 128 px (wanted: 60 and 120)', [view.timed(*k) for k in keys * 8])

# Up and down the classes, every tenth time to another layer; each answer is waited for
SWEEP = '''async (root, [moves, names]) => {
  const handle = name => root.querySelector(`[role=slider][aria-label="${name}"]`);
  const status = root.querySelector('[role=status]').closest('.widget-html');
  const event = key => new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true});
  const press = (name, key) => handle(name).dispatchEvent(event(key));
  const seen = want => new Promise((yes, no) => {
    const late = setTimeout(() => no(new Error('lost: ' + want)), 10000);
    const look = () => { if (status.textContent.includes(want)) { clearTimeout(late); watch.disconnect(); yes() } };
    const watch = new MutationObserver(look);
    watch.observe(status, {subtree: true, childList: true, characterData: true});
    look() });
  let at = Math.round(handle('Class').getAttribute('aria-valuenow')), step = 1, done = 0;
  for (let i = 0; i < moves; i++) {
    if (!names[at + step]) step = -step;
    at += step;
    press('Class', step > 0 ? 'ArrowRight' : 'ArrowLeft');
    await seen(`for ${names[at]} (`);
    done++;
    if (i % 10 != 9) continue;
    press('Layer', i % 20 < 10 ? 'ArrowLeft' : 'ArrowRight');
    await seen(i % 20 < 10 ? 'layer 0.6' : 'layer 0.7');
  }
  return done }'''

def test_five_hundred_moves(view, notebook):
    "No event is lost, and the kernel's memory does not grow."
    kernel = psutil.Process(int(re.search(r'kernel (\d+)', notebook.locator('.jp-CodeCell').nth(0).inner_text())[1]))
    view.press('Class', 'Home')
    view.until('for bear (')
    def sweep(n): assert view.root.evaluate(SWEEP, [n, load_pets().vocab]) == n
    sweep(60)
    before = kernel.memory_info().rss
    sweep(500)
    after = kernel.memory_info().rss
    print(f'\n500 moves: {before / 2**20:.0f} MB before, {after / 2**20:.0f} MB after')
    assert after < 1.05 * before

def choose(view, name, data):
    with view.page.expect_file_chooser() as chooser: view.find('.ct-choose').click()
    chooser.value.set_files([dict(name=name, mimeType='image/jpeg', buffer=data)])

def drop(view, name, data):
    view.find('.ct-drop').evaluate('''(zone, [name, data]) => {
      const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0)), t = new DataTransfer();
      t.items.add(new File([bytes], name, {type: 'image/jpeg'}));
      const how = {dataTransfer: t, bubbles: true, cancelable: true};
      for (const kind of ['dragover', 'drop']) zone.dispatchEvent(new DragEvent(kind, how))}''',
      [name, base64.b64encode(data).decode()])

def photo(seed=77, species='fox'):
    f = io.BytesIO()
    Image.fromarray(scene(seed, species, 256).image).save(f, 'jpeg', quality=95)
    return f.getvalue()

def test_uploads_good_and_bad(view):
    view.tab('Your own photo')
    before = view.picture()
    choose(view, 'bad.jpg', b'this is no picture')
    said = view.until('That did not work', '[role=alert]')
    assert 'bad.jpg' in said and 'no image that can be read' in said and same(view.picture(), before)
    shoot(view.page, 'explorer-bad-upload')
    choose(view, 'my fox.jpg', photo())
    view.until_code("'my fox.jpg'")
    view.find('[role=alert]').wait_for(state='detached')
    chosen = view.picture()
    assert not same(chosen, before)
    drop(view, 'empty.jpg', b'')
    assert 'empty' in view.until('empty.jpg', '[role=alert]')
    drop(view, 'my dog.jpg', photo(78, 'dog'))
    view.until_code("'my dog.jpg'")
    for give in (choose, drop):
        give(view, 'huge.jpg', bytes(MAX_UPLOAD + 2**22))   # larger than a message to the kernel may be
        assert 'at most' in view.until('huge.jpg', '[role=alert]')
        give(view, 'my dog.jpg', photo(79, 'dog'))
        view.find('[role=alert]').wait_for(state='detached')
    view.press('Class', 'Home')
    assert 'bear (' in view.until('bear (')

def test_make_a_scene(view):
    view.tab('Make a scene')
    assert [view.menu(n).input_value() for n in ('Animal', 'Place')] == ['cat', 'sofa']   # as in the picture
    view.press('Seed', 'ArrowRight')
    view.until_code('scene(4')
    view.press('Class', 'Home')
    view.until('bear (')
    sofa = view.picture()
    view.menu('Place').select_option('grass')
    view.until_code('grass')
    view.tab('Save')
    line = view.find('.ct-code code').inner_text()
    assert line == ("explain(load_pets(), scene(4, species='cat', background='grass'), 'grad_cam', "
                    "layer='0.7', target='bear').raw")
    assert not same(view.picture(), sofa)
    view.tab('Make a scene')
    view.menu('Second').select_option('dog')
    view.menu('Outline').locator('option:has-text("dog")').wait_for(state='attached')
    shoot(view.page, 'explorer-scene')
    view.menu('Second').select_option('no other animal')

def test_two_classes_and_difference(view):
    view.button('Two classes').click()
    view.find('[role=status]').nth(1).wait_for()
    view.press('Against', 'End')
    view.find('[role=status]').nth(1).filter(has_text='rabbit (').wait_for()
    shoot(view.page, 'explorer-two-classes')
    assert not same(view.picture(0), view.picture(1))
    view.button('Difference').click()
    view.until('minus rabbit')
    view.button('One class').click()
    view.page.wait_for_function('!document.querySelector(".ct [role=status]").textContent.includes("minus")')

def test_grids(view):
    view.tab('All methods')
    view.button('Draw all methods').click()
    view.find('figcaption:has-text("Guided Grad-CAM")').wait_for(timeout=30_000)
    assert view.find('.ct-grid img').count() >= 6
    shoot(view.page, 'explorer-methods')
    view.tab('All layers')
    view.button('Draw all layers').click()
    view.find('figcaption:has-text("0.7 · 8×8")').wait_for(timeout=30_000)
    view.menu('Method').select_option('Saliency')
    view.until('Saliency for')
    assert view.button('Draw all layers').is_disabled()
    view.menu('Method').select_option('Grad-CAM')
    view.until('Grad-CAM for')

def test_save_and_copy(view):
    view.tab('Save')
    view.button('Copy').click()
    view.button('Copied').wait_for()
    assert view.page.evaluate('navigator.clipboard.readText()') == view.find('.ct-code code').inner_text()
    view.button('Make the files').click()
    with view.page.expect_download() as got: view.find('a:has-text("Picture")').click()
    assert got.value.suggested_filename == 'cat-grad_cam-cat.png'
    saved = np.asarray(Image.open(got.value.path())).astype(int)
    assert saved.shape == view.picture().shape and np.abs(saved - view.picture()).mean() < 3   # PNG beside JPEG
    with view.page.expect_download() as got: view.find('a:has-text("Numbers")').click()
    assert np.loadtxt(got.value.path(), delimiter=',').shape == (8, 8)

def test_by_keyboard_alone(view):
    "Tab reaches every control in order; Enter and arrows work them."
    view.slider('Class').focus()
    seen = []
    for _ in range(40):
        seen.append(view.page.evaluate('''() => { const e = document.activeElement, l = e.labels && e.labels[0];
          return e.getAttribute('aria-label') || (l && l.textContent) || e.textContent.trim() || e.title }'''))
        if seen[-1].endswith('rabbit and fox'): break
        view.page.keyboard.press('Tab')
    wanted = ['Class', 'Top 5', 'All', 'Layer', 'Method', 'One class', 'Two classes', 'Opacity', 'Colours',
              'Hold this range', 'Outline', 'Pictures', 'Make a scene', 'Save', '✓ cat', 'rabbit']
    places = [seen.index(w) for w in wanted]
    assert places == sorted(places) and '' not in seen
    view.page.keyboard.press('Enter')
    view.find('.ct-thumb-9:has-text("✓")').wait_for()
    assert view.find('.ct-on').count() == 1

def test_screen_readers_get_names_values_and_states(view):
    tree = view.root.aria_snapshot()
    for line in ('slider "Class"', 'slider "Layer"', 'slider "Opacity"', 'combobox "Method"', 'combobox "Outline"',
                 'status: Grad-CAM for'): assert line in tree
    assert re.search(r'button "One class" \[pressed\]', tree) and 'button "Two classes" [pressed]' not in tree
    assert 'slider:' not in tree and '- slider\n' not in tree
    assert view.slider('Class').get_attribute('aria-valuetext').endswith('% · cat')

def test_pointing_at_a_place(view):
    "A click says which class the place speaks for; the arrow keys go on from there, a step of the map's grid each."
    view.find('.ct-thumb-8').click()
    view.find('.ct-thumb-8:has-text("✓")').wait_for()
    view.tab('Class by class')
    pad = view.find('.ct-point')
    pad.wait_for()
    pad.locator('img[src^="data:image/jpeg"]').wait_for()
    ex = drive(Explorer(), picture=8, place=(.5, .5))
    box, seen = pad.locator('img').bounding_box(), view.find('.ct-places [role=status]')
    def wanted(x, y):
        "The class, and what the place adds to its score; the mouse is no finer than a pixel."
        values, k = ex.places.at(x, y)
        return ex.study.name(ex.places.classes[k]), values[k].item()
    def says(x, y):
        name, value = wanted(x, y)
        seen.filter(has_text=re.compile(f'speaks for {name}\\. .*: {name} \\+')).wait_for(timeout=20_000)
        view.page.wait_for_function("""([name, value]) => Math.abs(
          document.querySelector('.ct-places [role=status]').textContent.match(/ \\+([0-9.]+)/)[1] - value) < .02""",
          arg=[name, value], timeout=20_000)
    for x, y in ((.25, .5), (.75, .5)):
        pad.click(position=dict(x=x * box['width'], y=y * box['height']))
        says(x, y)
    shoot(view.page, 'explorer-places')
    pad.focus()
    for key, at in (('ArrowLeft', (.625, .5)), ('ArrowDown', (.625, .625)), ('ArrowLeft', (.5, .625))):
        view.page.keyboard.press(key)
        says(*at)
    view.button('Go to this class').click()
    view.until(f'for {wanted(.5, .625)[0]} (')

TABS = 'Pictures', 'Make a scene', 'Your own photo', 'Class by class', 'All methods', 'All layers', 'Save'

@pytest.mark.parametrize('theme', ['Dark', 'Light'])
def test_accessible_in_a_notebook(view, theme):
    set_theme(view.page, theme)
    for tab in TABS:
        view.tab(tab)
        assert violations(view.page, '.ct') == [], tab
    shoot(view.page, f'explorer-{theme.lower()}')

def test_a_narrow_window_wraps(view):
    view.page.set_viewport_size(dict(width=600, height=1500))
    view.button('Two classes').click()
    view.find('[role=status]').nth(1).wait_for()
    assert view.root.evaluate('e => e.scrollWidth <= e.clientWidth + 1')
    boxes = [view.find(css).first.bounding_box() for css in ('.ct-stage', '.ct-side', '.ct-tabs', '.ct-thumbs')]
    assert all(b['x'] >= 0 and b['x'] + b['width'] <= 600 for b in boxes)
    assert boxes[1]['y'] >= boxes[0]['y'] + boxes[0]['height']
    shoot(view.page, 'explorer-600')
    view.button('One class').click()
    view.find('[role=status]').nth(1).wait_for(state='hidden')

def test_a_dear_method_shows_progress_and_stops(notebook):
    notebook.set_viewport_size(dict(width=1280, height=1100))
    run_cell(notebook, 1)
    view = View(notebook, notebook.locator('.jp-CodeCell').nth(1).locator('.ct'))
    view.find('img.widget-image').first.wait_for(timeout=30_000)
    view.menu('Method').select_option('Slow')
    view.button('Stop').wait_for()
    bar = "document.querySelectorAll('.jp-CodeCell')[1].querySelector('.progress-bar')"
    view.page.wait_for_function(f'{bar}.offsetWidth > 4')
    view.button('Stop').scroll_into_view_if_needed()
    shoot(notebook, 'explorer-dear')
    view.button('Stop').click()
    assert re.search(r'Stopped after \d+ of about 200', view.until('Stopped', '[role=alert]'))
    view.menu('Method').select_option('Grad-CAM')
    view.press('Class', 'Home')
    view.until('Grad-CAM for bear (')

def test_resnet50(notebook):
    run_cell(notebook, 2)
    view = View(notebook, notebook.locator('.jp-CodeCell').nth(2).locator('.ct'))
    view.find('img.widget-image').first.wait_for(timeout=60_000)
    view.watch()
    for k in ('ArrowLeft', 'ArrowRight'): view.timed('Layer', k)
    keys = [('Class', 'ArrowRight'), ('Layer', 'ArrowLeft'), ('Class', 'ArrowRight'), ('Layer', 'ArrowRight')]
    report('a ResNet-50 at 224 px (wanted: 90)', [view.timed(*k) for k in keys * 6])

def test_no_error_in_the_console(notebook): assert notebook.errors == []

def test_notebook_seven(browser, lab, library):
    "The same cell in Jupyter Notebook 7, which has a page for each notebook."
    page = browser.new_context(viewport=dict(width=1280, height=1100)).new_page()
    # Notebook 7 may ask something first, such as which kernel: say what, and take its own proposal
    def accept(box):
        print('asked:', box.inner_text())
        box.locator('.jp-mod-accept').click()
    page.add_locator_handler(page.locator('.jp-Dialog'), accept)
    lab.write('seven.ipynb', CELLS[0])
    page.goto(f'{lab.base}/notebooks/seven.ipynb?token={lab.token}', timeout=90_000)
    page.locator('#jp-title, .jp-NotebookKernelStatus, .jp-Notebook').first.wait_for(timeout=90_000)
    run_cell(page, 0, 'img.widget-image')
    view = View(page, page.locator('.jp-CodeCell').first.locator('.ct'))
    view.press('Class', 'ArrowRight')
    view.until('dog (')
    view.press('Layer', 'ArrowLeft')
    view.until('at layer 0.6')
    assert same(view.picture(), library(class_='dog', layer='0.6'))
    shoot(page, 'notebook-7')
    page.context.close()

# ---- the page of its own
@pytest.fixture(scope='module')
def app(tmp_path_factory):
    root, port = tmp_path_factory.mktemp('app'), free_port()
    command = [sys.executable, '-m', 'camtutor.cli', 'app', '--port', str(port), '--no-browser']
    with serving(command, f'http://127.0.0.1:{port}/voila/static/voila.js', root): yield f'http://127.0.0.1:{port}/'

def visit(browser, app):
    "A visitor of their own, and the addresses they asked for."
    page = browser.new_context(viewport=dict(width=1280, height=900)).new_page()
    page.errors, page.asked = [], []
    page.on('console', lambda m: page.errors.append(m.text) if m.type == 'error' else None)
    page.on('pageerror', lambda e: page.errors.append(str(e)))
    page.on('request', lambda r: page.asked.append(r.url))
    page.goto(app, timeout=120_000)   # Voilà answers when the page's kernel has run
    page.wait_for_selector('.ct img.widget-image', timeout=120_000)
    config = page.locator('#jupyter-config-data')
    return page, json.loads(config.inner_text())['kernelId'] if config.count() else None

def status(url, host):
    "What a server answers to a request under the name `host`."
    try: return urlopen(Request(url, headers=dict(Host=host)), timeout=20).status
    except HTTPError as e: return e.code

def test_other_names_are_refused(app):
    "A web page whose name is made to point to this computer cannot reach the explorer; nor does it start a kernel."
    port = app.split(':')[-1].strip('/')
    kernel = f'{app}api/kernels/00000000-0000-0000-0000-000000000000'
    assert [status(kernel, f'{name}:{port}') for name in ('127.0.0.1', 'localhost', 'evil.example')] == [404, 404, 403]
    assert status(app, f'evil.example:{port}') == 403

EXECUTE = '''([kernel]) => new Promise(done => {
  const ws = new WebSocket(`ws://${location.host}/api/kernels/${kernel}/channels?session_id=test`), seen = [];
  const header = kind => ({msg_id: kind, username: '', session: 'test', msg_type: kind, version: '5.3'});
  const send = kind => ws.send(JSON.stringify({channel: 'shell', header: header(kind),
    parent_header: {}, metadata: {}, content: {code: "open('/tmp/never', 'w')", silent: false}}));
  const note = m => seen.push([(m.parent_header || {}).msg_id, m.header.msg_type]);
  ws.onmessage = e => { try { note(JSON.parse(e.data)) } catch (x) {} };
  ws.onopen = () => { send('execute_request'); send('kernel_info_request') };
  setTimeout(() => done(seen), 3000)})'''

def test_the_page(browser, app, library, tmp_path):
    page, kernel = visit(browser, app)
    view = View(page, page.locator('.ct'))
    assert page.title() == 'What does the network look at? camtutor'
    assert same(view.picture(), library(class_='cat', layer='0.7'))
    view.press('Class', 'ArrowRight')
    view.until('dog (')
    assert same(view.picture(), library(class_='dog', layer='0.7'))
    view.tab('Your own photo')
    choose(view, 'my fox.jpg', photo())
    view.until_code("'my fox.jpg'")
    view.tab('Pictures')
    shoot(page, 'app-1280')
    assert page.locator('.cm-editor, .CodeMirror, .jp-InputPrompt, pre:has-text("import")').count() == 0
    assert 'from camtutor' not in page.content() and 'Explorer(outline' not in page.content()
    assert [u for u in page.asked if not u.startswith((app, 'data:', 'blob:'))] == []
    for path in ('lab', 'tree', 'api/contents', 'voila/files/explorer.ipynb', 'voila/files/pets.safetensors',
                 'terminals/1'):
        assert page.request.get(app + path).status in (403, 404)
    replies = page.evaluate(EXECUTE, [kernel])
    assert ['kernel_info_request', 'kernel_info_reply'] in replies
    assert not any(parent == 'execute_request' for parent, _ in replies)
    assert page.errors == []
    other, kernel2 = visit(browser, app)
    assert kernel and kernel2 and kernel != kernel2
    page.set_viewport_size(dict(width=600, height=1400))
    shoot(page, 'app-600')
    for p in (page, other): p.context.close()

def test_the_page_is_accessible(browser, app):
    page, _ = visit(browser, app)
    view = View(page, page.locator('.ct'))
    for tab in TABS:
        view.tab(tab)
        assert violations(page) == [], tab
    page.context.close()
