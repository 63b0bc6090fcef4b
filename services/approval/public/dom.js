/** An element with attributes and children. Text only ever becomes text: nothing that was sent is read as markup. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else element.setAttribute(key, value === true ? '' : String(value))
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null))
  return element
}

// Control and format characters, unassigned and private ones, and letters that have no ink.
const unseen = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u

/** Text of somebody else's, with what is invisible, or reorders text, spelled out where it stands. */
export function visible(text, { lines = false } = {}) {
  const parts = [...String(text)].map((char) => {
    if (lines && char === '\n') return char
    if (!unseen.test(char)) return char
    const code = `U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`
    return el('span', { class: 'unseen', title: 'a character that cannot be seen' }, code)
  })
  return el('bdi', {}, ...joined(parts))
}

function joined(parts) {
  const out = []
  for (const part of parts)
    if (typeof part === 'string' && typeof out.at(-1) === 'string') out.push(out.pop() + part)
    else out.push(part)
  return out
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

export function when(iso) {
  const time = new Date(iso)
  const today = time.toDateString() === new Date().toDateString()
  return el('time', { datetime: iso, title: iso }, today ? clock.format(time) : day.format(time))
}

/** Counts down to a time; `tick` brings all of them up to date. */
export function countdown(iso) {
  const element = el('span', { class: 'countdown', 'data-until': iso })
  show(element)
  return element
}

export function tick() {
  for (const element of document.querySelectorAll('[data-until]')) show(element)
}

function show(element) {
  const seconds = Math.round((Date.parse(element.dataset.until) - Date.now()) / 1000)
  element.textContent = seconds <= 0 ? 'over' : duration(seconds)
}

export function duration(seconds) {
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** A label above its field. */
export function field(label, input, hint) {
  return el('label', { class: 'field' }, el('span', {}, label), input, hint ? el('small', {}, hint) : undefined)
}

/** Asks in a dialog of its own; resolves with the form's data, or undefined when it was closed. */
export function ask({ title, body, action, danger = false }) {
  const { promise, resolve } = Promise.withResolvers()
  const form = el(
    'form',
    { method: 'dialog' },
    el('h2', {}, title),
    ...body,
    el(
      'div',
      { class: 'actions' },
      el('button', { type: 'button', onclick: () => dialog.close() }, 'Back'),
      el('button', { type: 'submit', value: 'go', class: danger ? 'danger' : 'primary' }, action),
    ),
  )
  const dialog = el('dialog', { 'aria-label': title }, form)
  dialog.addEventListener('close', () => {
    resolve(dialog.returnValue === 'go' ? new FormData(form) : undefined)
    dialog.remove()
  })
  document.body.append(dialog)
  dialog.showModal()
  return promise
}
