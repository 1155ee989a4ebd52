// A picture to point at: a click, or the arrow keys, say which place is meant.

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function render({ model, el }) {
  const pad = document.createElement('div'), image = document.createElement('img'), ring = document.createElement('i');
  pad.className = 'ct-point';
  pad.tabIndex = 0;
  pad.setAttribute('role', 'application');   // screen readers hand the arrow keys on
  pad.setAttribute('data-lm-suppress-shortcuts', 'true');
  pad.append(image, ring);

  function draw() {
    const [x, y] = model.get('at');
    pad.setAttribute('aria-label', model.get('label'));
    if (image.getAttribute('src') !== model.get('src')) image.src = model.get('src');
    image.alt = model.get('alt');
    Object.assign(ring.style, { left: `${100 * x}%`, top: `${100 * y}%` });
  }

  function go(...at) {
    model.set('at', at.map(v => Math.min(Math.max(v, 0), 1)));
    model.save_changes();
  }

  pad.addEventListener('click', event => {
    const b = image.getBoundingClientRect();
    go((event.clientX - b.left) / b.width, (event.clientY - b.top) / b.height);
  });
  pad.addEventListener('keydown', event => {
    const step = STEPS[event.key], [x, y] = model.get('at'), [w, h] = model.get('grid');
    if (!step) return;
    event.preventDefault();
    go(x + step[0] / w, y + step[1] / h);
  });
  model.on('change', draw);
  draw();
  el.append(pad);
  return () => model.off('change', draw);
}

export default { render };
