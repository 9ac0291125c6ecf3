// The shell: panels, the state of the server, and the address bar.

import { api, discard, listen, on, refresh, save, store } from '/api.js'
import { attempt, button, fill, h } from '/dom.js'
import { distribution } from '/distribution.js'
import { faults } from '/faults.js'
import { flags } from '/flags.js'
import { live } from '/live.js'
import { who } from '/who.js'

const panels = [
  { name: 'flags', label: 'Flags', show: flags },
  { name: 'who', label: 'Who gets what', show: who },
  { name: 'distribution', label: 'Distribution', show: distribution },
  { name: 'live', label: 'Live', show: live },
  { name: 'faults', label: 'Faults', show: faults },
]

const main = document.getElementById('main')
let shown = null
let leave = null

/** `#/who?context=…&flag=…`: the panel and its parameters. */
function address() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?')
  return { panel: panels.find(({ name }) => name === path) ?? panels[0], parameters: new URLSearchParams(query ?? '') }
}

function route() {
  const { panel, parameters } = address()
  fill(
    document.getElementById('nav'),
    panels.map(({ name, label }) => h('a', { href: `#/${name}`, 'aria-current': panel.name === name ? 'page' : undefined }, label)),
  )
  document.title = `${panel.label} – mpflags-dev`
  leave?.()
  const moved = shown !== null && shown !== panel.name
  shown = panel.name
  const section = h('section', { class: ['panel', panel.name], 'aria-label': panel.label })
  main.replaceChildren(section)
  leave = panel.show(section, parameters)
  if (moved) main.focus({ preventScroll: true })
  scrollTo(0, 0)
}

function status() {
  const { state } = store
  if (!state) return
  const [url] = state.addresses
  const lost = store.connected === false
  const up = state.listening && !lost
  const text = lost ? 'disconnected' : state.listening ? 'listening' : 'stopped'
  fill(
    document.getElementById('status'),
    h('span', { class: ['light', up ? 'good' : 'bad'] }),
    h('span', {}, text),
    h('code', { title: 'the address for clients' }, url ?? ''),
  )
  const rows = []
  if (state.trouble) rows.push(h('div', { class: 'bar bad' }, h('span', {}, `${state.trouble}. Its last good contents are served.`)))
  if (state.in_memory) {
    rows.push(
      h(
        'div',
        { class: 'bar' },
        h('span', {}, state.file ? `Edited in memory: ${state.file} is not served` : 'Edited in memory'),
        state.file && button('Save to the file', () => attempt(save), { 'data-focus': 'save' }),
        button('Discard', () => attempt(discard), { 'data-focus': 'discard' }),
      ),
    )
  }
  const active = state.faults.length
  if (active || !state.listening) {
    rows.push(
      h(
        'div',
        { class: 'bar warn' },
        h('span', {}, [active ? `${active} ${active === 1 ? 'fault' : 'faults'} active` : null, state.listening ? null : 'the server is stopped'].filter(Boolean).join(', ')),
        h('a', { href: '#/faults' }, 'Faults'),
        button('End all', () => attempt(async () => {
          await api.send('DELETE', 'faults')
          if (!state.listening) await api.send('POST', 'restart')
          await refresh()
        }), { 'data-focus': 'end' }),
      ),
    )
  }
  fill(document.getElementById('banner'), rows)
}

on('state', status)
on('connected', status)
addEventListener('hashchange', route)

// The first panel needs the definitions; what was sent meanwhile arrives on the stream.
await attempt(refresh)
route()
listen()
