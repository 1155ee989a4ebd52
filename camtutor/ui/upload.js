// A place to drop a photo, and a button to choose one. The file goes to the kernel in parts: a Jupyter server closes
// the connection at a message of 10 MB.

const MB = 2 ** 20, PART = 4 * MB;

function make(tag, className, text = '') {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function render({ model, el }) {
  const zone = make('div', 'ct-drop', model.get('text')), told = make('div', 'ct-told');
  const button = make('button', 'ct-choose', 'Choose a photo…'), input = make('input', '');
  Object.assign(input, { type: 'file', accept: 'image/*', hidden: true });
  button.title = 'a photo of your own';

  function tell(message) {
    const box = make('div', 'ct-alert', message);
    box.setAttribute('role', 'alert');
    told.replaceChildren(...(message ? [box] : []));
  }

  async function take(file) {
    const limit = model.get('limit'), large = file.size > limit, size = (file.size / MB).toFixed(1);
    tell(large ? `⚠ That did not work. '${file.name}' has ${size} MB, and at most ${limit / MB} MB are taken. ` +
      'Save a smaller copy.' : '');
    for (let at = 0; !large && (at < file.size || at === 0); at += PART) {
      const part = await file.slice(at, at + PART).arrayBuffer();
      model.send({ name: file.name, at, size: file.size }, undefined, [part]);
    }
  }

  function drag(event) {
    event.preventDefault();
    event.stopPropagation();
    zone.classList.toggle('ct-over', event.type === 'dragover');
    if (event.type === 'drop' && event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  }

  for (const kind of ['dragover', 'dragleave', 'drop']) zone.addEventListener(kind, drag);
  button.addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    if (input.files.length) take(input.files[0]);
    input.value = '';   // or the same file could not be chosen again
  });
  el.append(zone, told, button, input);
}

export default { render };
