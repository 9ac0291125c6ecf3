// Elements without markup: text from anywhere becomes a text node, never HTML.

/** An element. `props` are attributes; `on…` are listeners, `style` sets properties, `class` may be a list. */
export function h(tag, props, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (name === 'style') for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text)
    else if (name === 'class') element.className = Array.isArray(value) ? value.filter(Boolean).join(' ') : value
    else if (name === 'value' || name === 'checked') element[name] = value
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false))
  return element
}

/** Replaces the children, and keeps the focus on the element with the same `data-focus`. */
export function fill(parent, ...children) {
  const key = parent.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined
  parent.replaceChildren(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false))
  if (key) [...parent.querySelectorAll('[data-focus]')].find((element) => element.dataset.focus === key)?.focus()
}

export function toast(text, kind = 'info') {
  const box = h('div', { class: ['toast', kind] }, text)
  document.getElementById('toasts').append(box)
  setTimeout(() => box.remove(), kind === 'error' ? 8000 : 3000)
}

/** Runs an action and shows its failure. */
export async function attempt(action) {
  try {
    return await action()
  } catch (error) {
    toast(error.message, 'error')
  }
}

const colours = 8

/** The colour of a variant, by its position among the keys. */
export function colour(keys, key) {
  const index = [...keys].sort().indexOf(key)
  return index < 0 ? 'var(--none)' : `var(--v${index % colours})`
}

export function chip(keys, key) {
  if (key === null || key === undefined) return h('span', { class: 'chip none' }, 'none')
  return h('span', { class: 'chip' }, h('i', { style: { background: colour(keys, key) } }), key)
}

export function button(label, onclick, props = {}) {
  return h('button', { type: 'button', onclick, ...props }, label)
}

export function field(label, control, hint) {
  return h('label', { class: 'field' }, h('span', {}, label), control, hint && h('small', {}, hint))
}
