// Failures on demand, and their end.

import { api, on, refresh, store } from '/api.js'
import { attempt, button, field, fill, h } from '/dom.js'

const kinds = [
  ['Slow', 'Each response 3 s late', { kind: 'delay', delay_ms: 3000 }],
  ['Hang', 'No response, ever', { kind: 'hang' }],
  ['401', 'Wrong credentials', { kind: 'status', status: 401 }],
  ['429', 'Too many requests, retry after 5 s', { kind: 'status', status: 429, retry_after: 5 }],
  ['500', 'Internal server error', { kind: 'status', status: 500 }],
  ['503', 'Unavailable', { kind: 'status', status: 503 }],
  ['Garbage', 'A response that is not JSON', { kind: 'garbage' }],
  ['Cut', 'The connection ends within the body', { kind: 'cut', at_body_byte: 20 }],
  ['Reset', 'The connection is reset', { kind: 'reset' }],
  ['Trickle', '20 bytes a second', { kind: 'slow_loris', bytes_per_second: 20 }],
]

export function faults(section) {
  let path = '/flags*'
  let times = ''
  const active = h('div', { class: 'box' })
  const server = h('div', { class: 'box' })
  const make = h('div', { class: 'box' })
  section.append(active, h('div', { class: 'columns even' }, make, server))

  const change = (action) => attempt(async () => {
    await action()
    await refresh()
  })
  const set = (list) => change(() => api.send('PUT', 'faults', list))
  // A new fault comes before the others that are left now.
  const add = (fault) => change(async () => {
    const left = await api.get('faults')
    await api.send('PUT', 'faults', [{ path, ...(times ? { times: Number(times) } : {}), ...fault }, ...left])
  })

  function badFlag() {
    const flag = store.flags[0]
    if (!flag) throw new Error('there is no flag to break')
    const document = JSON.parse(store.text)
    document.flags = document.flags.map((each) => (each?.key === flag.key ? { ...each, ruleset: { ...each.ruleset, rollout: 'broken' } } : each))
    return add({ path: '/flags/definitions', kind: 'status', status: 200, body: JSON.stringify(document) })
  }

  function words(fault) {
    const known = kinds.find(([, , each]) => Object.entries(each).every(([name, value]) => fault[name] === value))
    const { path: _, kind, times: __, body, ...rest } = fault
    return known ? `${known[0]}: ${known[1]}` : kind === 'status' && body ? 'A broken flag among good ones' : [kind, ...Object.entries(rest).map(([name, value]) => `${name} ${JSON.stringify(value)}`)].join(', ')
  }

  function draw() {
    const list = store.state?.faults ?? []
    fill(active, h('h2', {}, 'Active'),
      list.length ? h('ul', { class: 'list' }, list.map((fault, index) => h('li', {},
        h('code', {}, fault.path), ' ', h('span', {}, words(fault)), ' ',
        h('span', { class: 'dim' }, fault.times === undefined ? 'until removed' : `${fault.times} more`), h('span', { class: 'grow' }),
        button('Remove', () => set(list.filter((_, each) => each !== index)), { 'data-focus': `remove ${index}`, 'aria-label': `Remove ${words(fault)}` }))))
        : h('p', { class: 'empty' }, 'None: every request gets its proper response.'),
      list.length > 0 && button('Remove all', () => set([]), { 'data-focus': 'none' }))
    fill(server, h('h2', {}, 'The server'),
      h('p', {}, store.state?.listening ? 'Clients can connect.' : 'Clients are refused.'),
      h('div', { class: 'chips' },
        store.state?.listening
          ? [button('Stop', () => change(() => api.send('POST', 'stop')), { 'data-focus': 'stop' }),
            button('Down for 10 s', () => change(() => api.send('POST', 'restart?after_ms=10000')), { 'data-focus': 'down' })]
          : button('Start', () => change(() => api.send('POST', 'restart')), { class: 'primary', 'data-focus': 'stop' })))
  }

  fill(make, h('h2', {}, 'New'),
    h('div', { class: 'pair' },
      field('For', h('select', { 'data-focus': 'path', onchange: (event) => (path = event.target.value) },
        [['/flags*', 'all flag requests'], ...(store.state?.paths ?? []).map((each) => [each, each]), ['*', 'every request']].map(([value, label]) => h('option', { value }, label)))),
      field('How often', h('select', { 'data-focus': 'times', onchange: (event) => (times = event.target.value) },
        [['', 'until removed'], ['1', 'once'], ['3', 'three times']].map(([value, label]) => h('option', { value }, label))))),
    h('div', { class: 'grid' }, kinds.map(([label, title, fault]) => button([h('b', {}, label), h('small', {}, title)], () => add(fault), { class: 'big', 'data-focus': `fault ${label}` })),
      button([h('b', {}, 'Bad flag'), h('small', {}, 'The first flag cannot be read')], () => attempt(badFlag), { class: 'big', 'data-focus': 'fault bad' })))
  draw()
  return on('state', draw)
}
