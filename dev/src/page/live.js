// What arrives: events, requests, clients, and how often each variant was shown. Counted from the first moment, drawn
// when looked at. Everything has a limit, for pages that stay open for days.

import { api, flagOf, on, variantKeys } from '/api.js'
import { attempt, button, chip, colour, fill, h } from '/dom.js'
import { count, percent, shares } from '/words.js'

const limits = { rows: 200, shown: 60, clients: 50, flags: 500 }

const model = { events: [], requests: [], clients: new Map(), shown: new Map(), total: 0, rejected: 0, duplicates: 0, rate: 0, missed: 0, version: 0 }
let known = new Set()
let waiting = null
let before = 0

function bounded(map, key, limit, make) {
  let entry = map.get(key)
  if (!entry) {
    if (map.size >= limit) map.delete(map.keys().next().value)
    entry = make()
    map.set(key, entry)
  }
  return entry
}

function addEvent(event) {
  model.total += 1
  if (!event.accepted) model.rejected += 1
  if (event.duplicate) model.duplicates += 1
  model.events.push(event)
  if (model.events.length > limits.rows * 2) model.events = model.events.slice(-limits.rows)
  const details = event.json?.properties
  if (event.json?.event === '$experiment_started' && event.accepted && !event.duplicate) {
    const flag = bounded(model.shown, String(details?.['Experiment name']), limits.flags, () => new Map())
    const variant = String(details?.['Variant name'])
    if (flag.size < 100 || flag.has(variant)) flag.set(variant, (flag.get(variant) ?? 0) + 1)
  }
}

function addRequest(request) {
  model.requests.push(request)
  if (model.requests.length > limits.rows * 2) model.requests = model.requests.slice(-limits.rows)
  const client = bounded(model.clients, request.user_agent ?? 'no User-Agent', limits.clients, () => ({ requests: 0, connections: new Set() }))
  client.requests += 1
  if (client.connections.size < 1000) client.connections.add(request.connection)
  client.last = Date.now()
  client.status = request.status
  client.path = request.path
}

function receive(messages) {
  for (const message of messages) {
    if (message.kind === 'event') {
      if (!known.has(message.request)) addEvent(message)
    } else if (message.kind === 'request') addRequest(message)
    else if (message.kind === 'missed') model.missed += message.count
  }
  model.version += 1
}

on('live', (messages) => {
  if (waiting) waiting.push(...messages)
  else receive(messages)
})

/** What arrived before the stream was open. */
on('connected', async (connected) => {
  if (!connected) return
  waiting = []
  try {
    const [events, requests] = await Promise.all([api.get('events?limit=1000'), api.get('requests?limit=100')])
    Object.assign(model, { events: [], requests: [], total: 0, rejected: 0, duplicates: 0 })
    model.clients.clear()
    model.shown.clear()
    known = new Set(events.events.map(({ request }) => request))
    events.events.forEach(addEvent)
    Object.assign(model, { total: events.counts.total, rejected: events.counts.rejected, duplicates: events.counts.duplicates })
    requests.requests.forEach((request) => addRequest({ ...request, user_agent: request.headers['user-agent'] }))
    const numbers = new Set(requests.requests.map(({ number }) => number))
    receive(waiting.filter((message) => message.kind !== 'request' || !numbers.has(message.number)))
  } catch {
    receive(waiting)
  } finally {
    waiting = null
    known = new Set()
    before = model.total
  }
})

setInterval(() => {
  model.rate = Math.max(0, model.total - before)
  before = model.total
  model.version += 1
}, 1000)

export function live(section) {
  let tab = 'events'
  let filter = ''
  let paused = false
  let drawnVersion = -1
  let drawnAt = 0
  let frame = 0
  const rows = new WeakMap()
  const open = new Set()
  const numbers = h('div', { class: 'numbers' })
  const shown = h('div', { class: 'box' })
  const clients = h('div', { class: 'box' })
  const tools = h('div', { class: 'toolbar' })
  const list = h('ol', { class: 'feed', 'aria-label': 'Newest first' })
  section.append(numbers, h('div', { class: 'columns even' }, shown, clients), tools, list)

  const search = h('input', { type: 'search', placeholder: 'Filter', 'aria-label': 'Filter', 'data-focus': 'filter', oninput: (event) => {
    filter = event.target.value.toLowerCase()
    drawnVersion = -1
    drawnAt = 0
  } })

  function toolbar() {
    fill(tools,
      h('div', { class: 'segments', role: 'group', 'aria-label': 'What' }, ['events', 'requests'].map((name) => button(name === 'events' ? 'Events' : 'Requests', () => {
        tab = name
        drawnVersion = -1
        drawnAt = 0
        toolbar()
      }, { 'aria-pressed': String(tab === name), 'data-focus': name }))),
      search,
      button(paused ? 'Continue' : 'Pause', () => {
        paused = !paused
        toolbar()
      }, { 'aria-pressed': String(paused), 'data-focus': 'pause' }),
      button('Clear', () => attempt(async () => {
        await Promise.all([api.send('DELETE', 'events'), api.send('DELETE', 'requests')])
        Object.assign(model, { events: [], requests: [], total: 0, rejected: 0, duplicates: 0, missed: 0 })
        model.shown.clear()
        model.clients.clear()
        before = 0
        model.version += 1
      }), { 'data-focus': 'clear' }))
  }

  function item(key, summary, json, kind) {
    const details = h('details', { class: kind }, h('summary', {}, summary))
    const expand = () => {
      if (details.open && details.childElementCount === 1) details.append(h('pre', {}, JSON.stringify(json, null, 2)))
    }
    details.open = open.has(key)
    expand()
    details.addEventListener('toggle', () => {
      if (details.open) open.add(key)
      else open.delete(key)
      expand()
    })
    return h('li', {}, details)
  }

  function event(each, index) {
    const name = each.json?.event ?? Object.keys(each.json ?? {}).find((field) => /^\$(set|add|append|union|remove|unset|delete)/.test(field)) ?? '?'
    const details = each.json?.properties ?? {}
    const user = details.distinct_id ?? each.json?.$distinct_id
    const flag = details['Experiment name']
    const state = !each.accepted ? 'rejected' : each.duplicate ? 'duplicate' : ''
    return item(`event ${each.request} ${each.received_at_ms} ${details.$insert_id ?? index}`, [
      h('span', { class: 'when' }, `${(each.received_at_ms / 1000).toFixed(1)} s`),
      h('b', {}, String(name)), ' ',
      flag !== undefined && [h('code', {}, String(flag)), ' ', chip(variantKeys(flagOf(flag)), String(details['Variant name'])), ' '],
      user !== undefined && h('span', { class: 'user' }, String(user)),
      state && h('span', { class: ['tag', state] }, each.rejected ? `rejected: ${each.rejected.message}` : state),
    ], each.json, state)
  }

  function request(each) {
    const good = each.status !== null && each.status < 400
    return item(`request ${each.number}`, [
      h('span', { class: 'when' }, `${(each.at_ms / 1000).toFixed(1)} s`),
      h('span', { class: ['status-code', good ? 'good' : 'bad'] }, each.status ?? 'none'),
      h('b', {}, each.method), ' ', h('code', {}, each.path), ' ',
      each.taken_ms !== undefined && h('span', { class: 'dim' }, `${each.taken_ms} ms`), ' ',
      h('span', { class: 'user' }, each.user_agent ?? ''),
    ], each, good ? '' : 'rejected')
  }

  /** An entry is drawn once: it never changes. */
  function row(each, index) {
    if (!rows.has(each)) rows.set(each, (tab === 'events' ? event : request)(each, index))
    return rows.get(each)
  }

  function draw() {
    frame = requestAnimationFrame(draw)
    // Nobody reads faster, and the browser has other things to do.
    if (drawnVersion === model.version || performance.now() - drawnAt < 250) return
    drawnVersion = model.version
    drawnAt = performance.now()
    fill(numbers,
      [['events', count(model.total)], ['per second', count(model.rate)], ['rejected', count(model.rejected)], ['duplicates', count(model.duplicates)]].map(([label, text]) =>
        h('div', { class: 'figure' }, h('b', {}, text), h('span', {}, label))))
    fill(shown, h('h2', {}, 'Exposures'), exposures())
    fill(clients, h('h2', {}, 'Clients'), model.clients.size ? h('table', {},
      h('thead', {}, h('tr', {}, ['User-Agent', 'Requests', 'Last'].map((text, column) => h('th', { scope: 'col', class: column === 1 && 'number' }, text)))),
      h('tbody', {}, [...model.clients].sort((a, b) => b[1].last - a[1].last).slice(0, 8).map(([name, client]) => h('tr', {},
        h('td', {}, name), h('td', { class: 'number' }, count(client.requests)),
        h('td', {}, `${client.status ?? 'no response'} ${client.path}`))))) : h('p', { class: 'empty' }, 'No client has connected yet.'))
    if (paused) return
    // A reader of one entry is not disturbed.
    if (list.contains(document.activeElement) && open.size) return
    const entries = (tab === 'events' ? model.events : model.requests).filter((each) => !filter || JSON.stringify(each).toLowerCase().includes(filter))
    fill(list, entries.slice(-limits.shown).reverse().map(row), !entries.length && h('li', { class: 'empty' }, 'Nothing yet.'))
  }

  function exposures() {
    if (!model.shown.size) return h('p', { class: 'empty' }, 'No exposures yet: evaluate a flag in your program.')
    return [...model.shown].slice(-12).reverse().map(([key, variants]) => {
      const flag = flagOf(key)
      const keys = flag ? variantKeys(flag) : [...variants.keys()]
      const total = [...variants.values()].reduce((sum, each) => sum + each, 0)
      const expected = flag ? shares(flag, {}) : []
      return h('div', { class: 'measure-group' },
        h('div', { class: 'line' }, h('code', {}, key), h('span', { class: 'dim' }, count(total))),
        [...new Set([...keys, ...variants.keys()])].map((name) => {
          const seen = variants.get(name) ?? 0
          const split = expected.find((each) => each.key === name)?.share
          return h('div', { class: 'measure' }, chip(keys, name),
            h('div', { class: 'scale', role: 'img', 'aria-label': `${name}: ${percent(seen / total)}` },
              h('div', { class: 'fill', style: { width: `${(seen / total) * 100}%`, background: colour(keys, name) } }),
              split > 0 && h('b', { class: 'mark', style: { left: `${split * 100}%` }, title: `split ${percent(split)}` })),
            h('span', { class: 'number' }, count(seen)))
        }))
    })
  }

  toolbar()
  draw()
  return () => cancelAnimationFrame(frame)
}
