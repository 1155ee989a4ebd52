"The face of the explorer: its widgets and their layout. Nothing is computed here; `camtutor.explorer_ui` listens and answers."
import base64, io
from html import escape

import ipywidgets as w
from PIL import Image

SECTIONS = ('class', 'layer', 'method', 'compare', 'look', 'truth', 'pictures', 'scene', 'photo', 'methods', 'layers', 'save')
PANES = dict(pictures='Pictures', scene='Make a scene', photo='Your own photo', methods='All methods', layers='All layers', save='Save')
CMAPS = ('magma', 'viridis', 'cividis', 'gray')
MAX_UPLOAD = 8 * 2**20   # bytes; a Jupyter server closes the connection at 10 MB

CSS = '''<style>
.ct {--ct-a:#5b4b8a}   /* the accent: bars, lines, frames; as a fill behind white text it stays dark */
[data-jp-theme-light=false] .ct {--ct-a:#a594e6}
.ct {max-width:1180px; padding:2px; container-type:inline-size; color:var(--jp-ui-font-color1,#222); overflow:visible}
.ct .ct-main {display:flex; flex-flow:row wrap; gap:18px 28px; align-items:flex-start; overflow:visible}
.ct .ct-stage {flex:1 1 384px; max-width:384px; min-width:min(300px,100%); overflow:visible}
.ct .ct-stage.ct-two {flex:20 1 384px; max-width:780px}
.ct .ct-side {flex:1 1 340px; min-width:min(340px,100%); overflow:visible}
.ct .ct-views {display:flex; flex-flow:row wrap; gap:12px; overflow:visible}
.ct .ct-view {flex:1 1 220px; max-width:384px; overflow:visible}
.ct .widget-image {width:100%; height:auto; border-radius:8px; display:block; margin:0; background:#8882}
.ct .ct-view .widget-image {max-height:clamp(384px,70vh,480px); object-fit:contain}   /* a tall picture */
.ct .widget-html, .ct .widget-html-content {line-height:1.45; height:auto; overflow:visible}
.ct .ct-wide {width:auto; margin:2px}
.ct .ct-wide .widget-html-content {width:100%; box-sizing:border-box}
.ct .ct-row {width:100%; margin:3px 0; height:auto; overflow:visible}
.ct .ct-row > .widget-label {flex:0 0 7em; width:7em; font-weight:600; text-align:left}
.ct .ct-row .widget-readout {margin-left:14px; pointer-events:none; -webkit-user-modify:read-only; min-width:9.5em; max-width:15em; text-align:left; white-space:nowrap; overflow:hidden; text-overflow:ellipsis}
.ct .ct-row .slider-container {margin-left:0}
.ct .ct-row > select, .ct .ct-row > input[type=text] {height:30px; border-radius:6px; margin-left:0}
.ct .ct-row > select {appearance:auto; background-image:none}
.ct .noUi-target {forced-color-adjust:none}
.ct .noUi-handle {background:var(--ct-a) !important; border:2px solid var(--jp-layout-color0,#fff); box-shadow:0 0 0 1px var(--ct-a)}
.ct .noUi-target[disabled] {opacity:1}
.ct [disabled] .noUi-handle {background:#999 !important; box-shadow:0 0 0 1px #777}
.ct .ct-two + .ct-side .ct-long {flex-wrap:wrap}
.ct .ct-two + .ct-side .ct-long .widget-readout {flex:1 0 100%; box-sizing:border-box; max-width:none; margin:0; padding-left:calc(7em + 8px); line-height:1.4; height:auto}
.ct .ct-short .widget-readout {min-width:3em}
.ct .ct-h {font-weight:600; margin:10px 0 2px; border-bottom:1px solid #8885; padding-bottom:2px}
.ct .widget-toggle-buttons {display:flex; flex-flow:row nowrap; align-items:flex-start; height:auto; overflow:visible}
.ct .widget-toggle-buttons > div {flex-wrap:wrap; height:auto; margin:0}
.ct .ct-row.widget-toggle-buttons:not(.ct-tabs) > div {margin-left:8px}
.ct .widget-toggle-button {margin:2px 4px 4px 0; box-shadow:none}
.ct .widget-toggle-button, .ct .jupyter-button {border-radius:6px; min-width:3em; height:30px; line-height:28px}
.ct .widget-toggle-button.mod-active {background:#5b4b8a; color:#fff; font-weight:600; text-decoration:underline}
.ct .ct-tabs {margin-top:14px; border-bottom:2px solid var(--ct-a); padding-bottom:4px}
.ct .ct-go {background:#5b4b8a; color:#fff; width:auto; padding:0 14px; align-self:flex-start; margin-bottom:8px}
.ct .widget-upload {align-self:flex-start; font-size:0; padding:0 14px; border:1px solid var(--ct-a)}
.ct .widget-upload::after {content:'Choose a photo…'; font-size:13px}
.ct .widget-upload i {display:none}
.ct .ct-thumbs {display:flex; flex-flow:row wrap; gap:8px; overflow:visible; padding:6px 3px}
.ct .ct-thumb {width:84px; height:84px; padding:0; margin:0; background:center/cover no-repeat border-box; color:#fff; border:2px solid transparent; border-radius:8px;
  line-height:1; font-size:11px; letter-spacing:-.01em; text-shadow:0 0 3px #000,0 0 3px #000,0 0 2px #000; display:flex; align-items:flex-end; justify-content:center; padding-bottom:4px}
.ct .ct-thumb.ct-on {border-color:var(--ct-a); outline:3px solid var(--ct-a); font-weight:700}
.ct :focus-visible {outline:3px solid #d07a00 !important; outline-offset:2px}
.ct .ct-controls {display:grid; grid-template-columns:repeat(auto-fit,minmax(min(300px,100%),1fr)); gap:2px 26px; overflow:visible}
.ct-alert {border:2px solid #b5432a; border-left-width:8px; border-radius:6px; padding:8px 14px; margin:4px 0 10px}
.ct-drop {border:2px dashed #8889; border-radius:8px; padding:18px; text-align:center; margin:6px 2px 6px 0}
.ct-drop.ct-over {border-color:var(--ct-a); background:#5b4b8a22}
.ct .ct-cap {margin-top:4px; overflow-wrap:anywhere}
.ct-view .ct-cap {min-height:calc(2.9em + 20px)}
.ct-view .ct-cap [role=status] {min-height:2.9em}
.ct-scale {display:flex; gap:8px; align-items:center; font-size:12px; margin-top:2px}
.ct-scale i {flex:1; height:10px; border-radius:3px; display:block}
.ct-scale i, .ct-bar {forced-color-adjust:none}
.ct-bar {display:grid; grid-template-columns:7.6em 1fr 3.4em; gap:8px; align-items:center; font-size:13px; line-height:1.35}
.ct-bar s {display:block; height:9px; background:#8883; border-radius:3px; text-decoration:none}
.ct-bar b {display:block; height:9px; border-radius:3px; background:var(--ct-a)}
.ct-bar b.u {background:repeating-linear-gradient(90deg,#888 0 3px,#8880 3px 6px)}
.ct-bar b.m {background:#888}
.ct-grid {display:grid; grid-template-columns:repeat(auto-fill,minmax(150px,1fr)); gap:12px}
.ct-grid figure {margin:0} .ct-grid img {width:100%; border-radius:6px; display:block} .ct-grid figcaption {font-size:12px; line-height:1.35; margin-top:3px}
.ct-code {display:flex; gap:8px; align-items:flex-start; margin:8px 0}
.ct-code code {flex:1; white-space:pre-wrap; overflow-wrap:anywhere; background:#8881; color:inherit; padding:6px 10px; border-radius:6px; font-size:12px}
.ct a.ct-file, .ct button.ct-copy {display:inline-block; border:1px solid var(--ct-a); border-radius:6px; padding:4px 12px; margin:2px 8px 2px 0;
  color:inherit; background:transparent; text-decoration:none; font:inherit; cursor:pointer}
@media (forced-colors:active) {.ct .jupyter-button:not(.ct-thumb) {border:1px solid}}
@container (max-width:640px) {.ct .ct-row .widget-readout {min-width:7.5em; max-width:9em} .ct .ct-row > .widget-label {flex-basis:5.8em; width:5.8em}}
</style>'''

# Jupyter's sliders have no accessible name and no drop zone of their own: this gives both, and serves the copy buttons
SCRIPT = '''(function (root) {
  if (!root || root.ctReady) return;
  root.ctReady = true;
  var set = function (el, name, value) { if (el.getAttribute(name) !== value) el.setAttribute(name, value); };
  var label = function () {
    root.querySelectorAll('.widget-slider').forEach(function (s) {
      var handle = s.querySelector('[role=slider]'), name = s.querySelector('.widget-label'), value = s.querySelector('.widget-readout');
      if (handle && name) set(handle, 'aria-label', name.textContent);
      if (handle && value) set(handle, 'aria-valuetext', value.textContent);
      if (handle) set(handle, 'data-lm-suppress-shortcuts', 'true');   // or Notebook 7 takes the arrow keys for its own
    });
    root.querySelectorAll('.widget-toggle-button').forEach(function (b) { set(b, 'aria-pressed', String(b.classList.contains('mod-active'))); });
    root.querySelectorAll('img.widget-image').forEach(function (i) { set(i, 'alt', i.title || 'the picture with its map; described below it'); });
  };
  new MutationObserver(label).observe(root, {subtree: true, childList: true, characterData: true, attributeFilter: ['aria-valuetext', 'title', 'class']});
  label();
  root.addEventListener('click', function (e) {
    var b = e.target.closest('[data-copy]');
    if (b) navigator.clipboard.writeText(b.dataset.copy).then(function () { b.textContent = 'Copied'; });
  });
  var zone = function (e) { return e.target.closest && e.target.closest('.ct-drop'); };
  root.addEventListener('dragover', function (e) { if (zone(e)) { e.preventDefault(); e.stopPropagation(); zone(e).classList.add('ct-over'); } });
  root.addEventListener('dragleave', function (e) { if (zone(e)) zone(e).classList.remove('ct-over'); });
  root.addEventListener('drop', function (e) {
    if (!zone(e)) return;
    e.preventDefault(); e.stopPropagation(); zone(e).classList.remove('ct-over');
    dropped = e.dataTransfer.files;
    root.querySelector('.widget-upload').click();
  });
  var dropped = null, tell = function (message) {
    var place = root.querySelector('.ct-told'), box = document.createElement('div');
    box.className = 'ct-alert'; box.setAttribute('role', 'alert'); box.textContent = message;
    place.replaceChildren.apply(place, message ? [box] : []);
  };
  var watch = function (input) {   // a file larger than a message may be would cut the connection and be lost without a word
    if (input.ctWatched) return;
    input.ctWatched = true;
    input.addEventListener('change', function (e) {
      var file = input.files[0], limit = Number(root.querySelector('.ct-drop').dataset.limit), mb = Math.pow(2, 20);
      var large = file && file.size > limit;
      tell(large ? "\u26a0 That did not work. '" + file.name + "' has " + (file.size / mb).toFixed(1) + ' MB, and at most ' + limit / mb + ' MB are taken. Save a smaller copy.' : '');
      if (large) { e.stopImmediatePropagation(); input.value = ''; }
    }, true);
  };
  root.addEventListener('click', function (e) {   // the upload button keeps its file input to itself: meet it when it is clicked
    if (!e.target.closest('.widget-upload')) return;
    var proto = HTMLInputElement.prototype, files = dropped;
    dropped = null;
    proto.click = function () {
      delete proto.click;
      watch(this);
      if (files) { this.files = files; this.dispatchEvent(new Event('change')); } else this.click();
    };
    setTimeout(function () { delete proto.click; }, 0);
  }, true);
})(this.closest('.ct'))'''

def data_uri(data, mime): return f'data:{mime};base64,{base64.b64encode(data).decode()}'

def small(jpeg, size=256):
    "A smaller copy of a JPEG, for a saved page."
    picture, out = Image.open(io.BytesIO(jpeg)), io.BytesIO()
    picture.thumbnail((4 * size, size))
    picture.save(out, 'jpeg', quality=75)
    return out.getvalue()

def picture_tag(jpeg, alt, width=0):
    return f'<img src="{data_uri(jpeg, "image/jpeg")}" alt="{escape(alt)}"' + (f' style="min-width:{width}px"' if width else '') + '>'

# ---- texts
def alert_html(message):
    "An error, in words, at the top."
    return f'<div class="ct-alert" role="alert"><b>⚠ That did not work.</b> {escape(message)}</div>' if message else ''

def gradient(colours):
    "CSS for a bar through these (r,g,b) bytes."
    return 'linear-gradient(90deg,' + ','.join(f'rgb({r},{g},{b})' for r, g, b in colours) + ')'

def scale_html(low, high, cut, colours):
    "The colour scale with the raw values at its ends; `cut`: are there values beyond them?"
    low, high = (f'{low:.3g}', f'{high:.3g}') if not cut else (f'≤ {low:.3g}' if low < 0 else f'{low:.3g}', f'≥ {high:.3g}')
    return (f'<div class="ct-scale" role="img" aria-label="colour scale from {low} to {high}">'
            f'<span>{low}</span><i style="background:{gradient(colours)}"></i><span>{high}</span></div>')

def _bar(name, value, kind=''):
    share = max(0, min(1, value)) * 100
    return (f'<div class="ct-bar"><span>{escape(name)}</span><s><b class="{kind}" style="width:{share:.1f}%"></b></s>'
            f'<span>{value:.2f}</span></div>')

def truth_html(part, energy, uniform, best, inside):
    "The map against the truth: its energy inside the part beside what a uniform and the best map would have."
    peak = 'the map is empty' if inside is None else '✓ the peak is inside' if inside else '✗ the peak is outside'
    return (f'<div><b>Energy inside: {escape(part)}</b> · {peak}</div>' + _bar('this map', energy) + _bar('uniform map', uniform, 'u')
            + _bar('best possible', best, 'm'))

def grid_html(cells, title): # title: HTML
    "Pictures with captions, as many in a row as fit: cells are (jpeg, caption) or (None, message)."
    def cell(jpeg, caption):
        return f'<figure>{picture_tag(jpeg, caption) if jpeg else ""}<figcaption>{"" if jpeg else "⚠ "}{escape(caption)}</figcaption></figure>'
    return f'<div class="ct-h">{title}</div><div class="ct-grid">' + ''.join(cell(*c) for c in cells) + '</div>'

def code_html(line):
    return (f'<div class="ct-code"><code>{escape(line)}</code>'
            f'<button class="ct-copy" data-copy="{escape(line)}" aria-label="Copy this line of Python">Copy</button></div>')

def files_html(files):
    "Links that save (file name, bytes, mime, what it is)."
    return ''.join(f'<a class="ct-file" download="{escape(name)}" href="{data_uri(data, mime)}">⤓ {escape(what)}</a>'
                   for name, data, mime, what in files)

# ---- widgets
def row_of(widget, *classes):
    for c in ('ct-row', *classes): widget.add_class(c)
    widget.layout.width = 'auto'
    if widget.tooltip is None: widget.tooltip = ''   # or the label gets the title "null"
    return widget

def html_of(value='', *classes):
    h = w.HTML(value, tooltip='')
    for c in ('ct-wide', *classes): h.add_class(c)
    return h

def _slider(name, options, *classes): return row_of(w.SelectionSlider(options=options, description=name), *classes)
def _menu(name, options, **kw): return row_of(w.Dropdown(options=options, description=name, **kw))
def _choice(name, options, **kw): return row_of(w.ToggleButtons(options=options, description=name, style=dict(button_width='auto'), **kw))

def _button(text, tip):
    b = w.Button(description=text, tooltip=tip, layout=w.Layout(width='auto'))
    b.add_class('ct-go')
    return b

def show_when(widget, wanted):
    widget.layout.display = None if wanted else 'none'

class Panel:
    "All controls of an explorer, by name in `controls`, inside `root`."
    def __init__(self, methods, # (title, name) of each
                 scenes, # dict of the scene tab's choices: species, poses, backgrounds, patterns; empty = no such tab
                 show=SECTIONS): # which sections are laid out
        self.show, any_ = show, [('-', -1)]
        self.controls = dict(
            class_=_slider('Class', any_, 'ct-long'), classes=_choice('Classes', [('Top 5', 'top'), ('All', 'all')]),
            find=row_of(w.Combobox(description='Find', placeholder='type a class name', continuous_update=False)),
            layer=_slider('Layer', any_), method=_menu('Method', methods),
            compare=_choice('Compare', [('One class', 'one'), ('Two classes', 'two'), ('Difference', 'difference')]),
            class2=_slider('Against', any_, 'ct-long'),
            opacity=row_of(w.FloatSlider(.7, min=0, max=1, step=.05, description='Opacity', readout_format='.0%'), 'ct-short'),
            cmap=_menu('Colours', CMAPS),
            ground=_choice('Ground', [('Over the picture', 'over'), ('The map alone', 'alone')]),
            scale=_choice('Range', [('Each map its own', 'own'), ('Hold this range', 'hold')]),
            outline=_menu('Outline', [('none', '')]),
            species=None, pose=None, background=None, pattern=None, second=None, seed=None)
        self._scene(scenes)
        self._stage()
        self._panes(scenes)
        self.root = self._root()

    def _scene(self, o):
        c, free = self.controls, [('as the seed has it', '')]
        c.update(species=_menu('Animal', o.get('species', ())), pose=_menu('Pose', free + [(p, p) for p in o.get('poses', ())]),
                 background=_menu('Place', free + [(p, p) for p in o.get('backgrounds', ())]),
                 pattern=_menu('Fur', free + [(p, p) for p in o.get('patterns', ())]),
                 second=_menu('Second', [('no other animal', '')] + [(s, s) for s in o.get('species', ())]),
                 seed=row_of(w.IntSlider(7, min=0, max=199, description='Seed'), 'ct-short'))

    def _stage(self):
        self.alert, self.pane_alert = html_of(''), html_of('')   # beside the picture, and beside the pane that a person works in
        self.images = [w.Image(format='jpeg', width=384), w.Image(format='jpeg', width=384)]
        self.captions = [html_of('', 'ct-cap'), html_of('', 'ct-cap')]
        self.truths = [html_of(), html_of()]
        self.views = [w.VBox(v) for v in zip(self.images, self.captions, self.truths)]
        for v in self.views: v.add_class('ct-view')
        show_when(self.views[1], False)
        self.progress = row_of(w.IntProgress(description='Working'))
        self.stop = _button('Stop', 'stop the method that is running')
        self.progress.layout.flex = '1 1 auto'
        self.working = w.HBox([self.progress, self.stop])
        show_when(self.working, False)

    def _panes(self, scenes):
        c = self.controls
        self.thumbs, self.thumb_css = w.Box(), w.HTML(tooltip='')
        self.thumbs.add_class('ct-thumbs')
        self.upload = w.FileUpload(accept='image/*', multiple=False, description='', tooltip='a photo of your own', layout=w.Layout(width='auto'))
        self.draw_methods = _button('Draw all methods', 'every method for this picture, class and layer')
        self.draw_layers = _button('Draw all layers', 'this class at every layer')
        self.make_files = _button('Make the files', 'the picture, the figure and the numbers of this map')
        self.method_grid, self.layer_grid, self.files, self.code, self.showing = html_of(), html_of(), html_of(), html_of(), html_of()
        drop = html_of(f'<div class="ct-drop" data-limit="{MAX_UPLOAD}">Drop a photo here. At most {MAX_UPLOAD >> 20} MB; it stays in memory and is written nowhere.'
                     f'{" The shipped network knows drawn animals only: what it says of a photo is a guess." if scenes else ""}</div>'
                     '<div class="ct-told"></div>')
        choose = [c[k] for k in ('species', 'pose', 'background', 'pattern', 'second', 'seed')]
        grid = w.Box(choose)
        grid.add_class('ct-controls')
        content = dict(pictures=[self.thumb_css, self.thumbs], scene=[grid], photo=[drop, self.showing, self.upload],
                       methods=[self.draw_methods, self.method_grid], layers=[self.draw_layers, self.layer_grid],
                       save=[html_of('This line of Python makes exactly this map:'), self.code, self.make_files, self.files])
        names = [n for n in PANES if n in self.show and (n != 'scene' or scenes)]
        self.panes = {n: w.VBox(content[n]) for n in names}
        self.tabs = _choice('', [(PANES[n], n) for n in names] or ['none'])
        self.tabs.add_class('ct-tabs')
        self.tabs.observe(lambda change: self.open(change['new']), 'value')
        if names: self.open(names[0])

    def open(self, name):
        for n, pane in self.panes.items(): show_when(pane, n == name)
        self.pane_alert.value = ''   # it spoke of the pane that was left

    def _root(self):
        c, show = self.controls, self.show
        sections = {'class': [c['class_'], c['classes'], c['find']], 'layer': [c['layer']], 'method': [c['method']],
                    'compare': [c['compare'], c['class2']], 'look': [c['opacity'], c['cmap'], c['ground'], c['scale']],
                    'truth': [c['outline']]}
        side = w.VBox([x for name, items in sections.items() if name in show for x in items])
        views = w.Box(self.views)
        stage = w.VBox([views, self.working])
        self.stage, main = stage, w.Box([stage, side])
        tabs = [self.tabs] * (len(self.panes) > 1) + [self.pane_alert, *self.panes.values()]
        helper = w.HTML(CSS + f'<img src="data:," alt="" hidden onerror="{escape(SCRIPT)}">', tooltip='')
        root = w.VBox([helper, self.alert, main, *tabs])
        for box, name in ((root, 'ct'), (main, 'ct-main'), (stage, 'ct-stage'), (side, 'ct-side'), (views, 'ct-views')): box.add_class(name)
        return root

    def set_thumbs(self, thumbs): # (jpeg, title) of each picture
        "Buttons with the pictures on them."
        rule = '.ct .ct-thumb-{i} {{background-image:url({uri})}}'
        self.thumb_css.value = '<style>' + ''.join(rule.format(i=i, uri=data_uri(j, 'image/jpeg')) for i, (j, _) in enumerate(thumbs)) + '</style>'
        buttons = [w.Button(description=title, tooltip=f'picture {i + 1}: {title}') for i, (_, title) in enumerate(thumbs)]
        for i, b in enumerate(buttons):
            b.add_class('ct-thumb')
            b.add_class(f'ct-thumb-{i}')
        self.thumbs.children = buttons

    def mark_thumb(self, chosen, titles):
        "Show which picture is chosen, also without colour."
        for i, (b, title) in enumerate(zip(self.thumbs.children, titles)):
            (b.add_class if i == chosen else b.remove_class)('ct-on')
            b.description = ('✓ ' if i == chosen else '') + title
