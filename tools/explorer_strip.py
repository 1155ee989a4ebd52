"""Take the README's picture of the explorer: docs/explorer.jpg. Needs Chromium.

    python tools/explorer_strip.py --out DIR    written to DIR"""
import argparse, io, sys, tempfile
from pathlib import Path
from PIL import Image
from playwright.sync_api import sync_playwright
root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tests'))
from lab import FLAGS, chromium, free_port, serving

WIDE, GAP = 1200, 12

def picture(locator): return Image.open(io.BytesIO(locator.screenshot())).convert('RGB')

def frames(page):
    "The whole explorer with two classes, and four pictures: a layer, a scene, the same scene elsewhere, a difference."
    ct = page.locator('.ct')
    def settle(): page.wait_for_timeout(1500)
    def press(name, *keys):
        ct.locator(f'[role=slider][aria-label="{name}"]').focus()
        for k in keys: page.keyboard.press(k)
        settle()
    def menu(name, value):
        ct.locator(f'.ct-row:has(.widget-label:text-is("{name}")) select').select_option(value)
        settle()
    ct.locator('.ct-thumb-8').click()
    ct.get_by_role('button', name='Two classes').click()
    ct.locator('[role=status]').nth(1).wait_for()
    settle()
    whole = picture(ct)
    ct.get_by_role('button', name='Difference').click()
    ct.locator('[role=status]', has_text='minus').wait_for()
    settle()
    small = [picture(ct.locator('.ct-view').first)]
    ct.get_by_role('button', name='One class').click()
    press('Layer', 'ArrowLeft', 'ArrowLeft')
    small.append(picture(ct.locator('.ct-view').first))
    press('Layer', 'End')
    ct.get_by_role('button', name='Make a scene').click()
    menu('Animal', 'fox')
    for place in ('snow', 'sofa'):
        menu('Place', place)
        small.append(picture(ct.locator('.ct-view').first))
    return whole, small

def shots():
    "The pictures, from the explorer's page."
    port, home = free_port(), Path(tempfile.mkdtemp())
    command = [sys.executable, '-m', 'camtutor.cli', 'app', '--port', str(port), '--no-browser']
    with serving(command, f'http://127.0.0.1:{port}/voila/static/voila.js', home), sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport=dict(width=1280, height=1000))
        page.goto(f'http://127.0.0.1:{port}/', timeout=120_000)
        page.wait_for_selector('.ct img.widget-image', timeout=120_000)
        page.wait_for_timeout(2000)
        found = frames(page)
        browser.close()
    return found

def scaled(im, width): return im.resize((width, round(im.height * width / im.width)), Image.Resampling.LANCZOS)

def strip(whole, small):
    "The whole above, the small ones in a row below it."
    whole, small = scaled(whole, WIDE), [scaled(s, (WIDE - 3 * GAP) // 4) for s in small]
    out = Image.new('RGB', (WIDE, whole.height + GAP + max(s.height for s in small)), 'white')
    out.paste(whole)
    for i, s in enumerate(small): out.paste(s, (i * (s.width + GAP), whole.height + GAP))
    return out

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--out', type=Path, default=root/'docs', help='the folder; docs/ if left out')
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    out, im = a.out/'explorer.jpg', strip(*shots())
    im.save(out, quality=82)
    print(out, im.size, out.stat().st_size // 1024, 'KB')

if __name__ == '__main__': main()
