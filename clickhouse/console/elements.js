// Elements made of data. Text is set as text, never as HTML: what clients send shows as it is.

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.flat().filter(child => child !== null && child !== undefined));
  return made;
}

// columns: {heading: row => text, element or array}; those of `numbers` stand to the right.
export function table(rows, columns, numbers = []) {
  const cell = (tag, heading, content) => element(tag, { className: numbers.includes(heading) ? 'number' : '' }, content);
  if (!rows.length) return element('p', {}, 'Nothing yet.');
  return element('table', {},
    element('thead', {}, element('tr', {}, Object.keys(columns).map(heading => cell('th', heading, heading)))),
    element('tbody', {}, rows.map(row => element('tr', {},
      Object.entries(columns).map(([heading, show]) => cell('td', heading, show(row) ?? ''))))));
}

// fields: {name: {label, options?, type?, value?, required?}}. Empty fields are left out of what `send` gets.
export function form(title, fields, send) {
  const told = element('span', { className: 'error', role: 'alert' });
  const inputs = Object.entries(fields).map(([name, { label, options, ...properties }]) => element('label', {}, label,
    options
      ? element('select', { name }, options.map(option => element('option', {
        value: option, selected: option === properties.value }, option)))
      : element('input', { name, ...properties })));
  const made = element('form', {}, inputs, element('button', {}, title), told);
  made.addEventListener('submit', async event => {
    event.preventDefault();
    told.textContent = '';
    try {
      await send(Object.fromEntries([...new FormData(made)].filter(([, value]) => value !== '')));
    } catch (error) {
      told.textContent = error.message;
    }
  });
  return made;
}

export const button = (title, act) => {
  const made = element('button', { type: 'button' }, title);
  made.addEventListener('click', act);
  return made;
};
export const money = sums => sums.map(({ amount, net, currency }) => `${amount ?? net} ${currency ?? ''}`.trim()).join(', ');
export const percent = value => value === null || value === undefined ? '' : `${(Number(value) * 100).toFixed(1)} %`;
