// What Jupyter's own widgets leave out: names and values for screen readers, arrow keys for a group of options,
// and buttons that copy. One helper lies inside each `.ct` (explorer, sliders) and each `.ct-ask` (a question).

function set(element, name, value) { if (element.getAttribute(name) !== value) element.setAttribute(name, value); }

function describe(root, group) {
  for (const slider of root.querySelectorAll('.widget-slider')) {
    const find = css => slider.querySelector(css);
    const handle = find('[role=slider]'), name = find('.widget-label'), value = find('.widget-readout');
    if (!handle) continue;
    if (name) set(handle, 'aria-label', name.textContent);
    if (value) set(handle, 'aria-valuetext', value.textContent);
    set(handle, 'data-lm-suppress-shortcuts', 'true');   // or Notebook 7 takes the arrow keys for its own
  }
  for (const button of root.querySelectorAll('.widget-toggle-button')) {
    set(button, 'aria-pressed', String(button.classList.contains('mod-active')));
  }
  for (const image of root.querySelectorAll('img.widget-image')) {
    set(image, 'alt', image.title || 'the picture with its map; described below it');
  }
  if (root.matches('.ct-ask')) describeQuestion(root, group);
}

function describeQuestion(root, group) {
  for (const box of root.querySelectorAll('.widget-radio-box, .widget-toggle-buttons')) {
    set(box, 'role', box.matches('.widget-radio-box') ? 'radiogroup' : 'group');
    set(box, 'aria-label', root.querySelector('.widget-html-content b').textContent);
  }
  for (const input of root.querySelectorAll('input[type=radio]')) {
    set(input, 'name', group);   // now the arrow keys go from option to option
    set(input, 'data-lm-suppress-shortcuts', 'true');
  }
  for (const reply of root.querySelectorAll('.ct-reply')) set(reply, 'role', 'status');
}

async function copy(event) {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = 'Copied';
}

function render({ el }) {
  const group = 'ct' + Math.random();
  let observer, waiting;
  function begin() {   // Jupyter makes a view first, and lays it into the page a moment later
    const root = el.closest('.ct, .ct-ask');
    if (!root) { waiting = requestAnimationFrame(begin); return; }
    const watched = ['aria-valuetext', 'title', 'class'];
    observer = new MutationObserver(() => describe(root, group));
    observer.observe(root, { subtree: true, childList: true, characterData: true, attributeFilter: watched });
    root.addEventListener('click', copy);
    describe(root, group);
  }
  begin();
  return () => { cancelAnimationFrame(waiting); if (observer) observer.disconnect(); };
}

export default { render };
