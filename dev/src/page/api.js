// The control API, what the page knows of the server, and the stream of what happens.

const listeners = new Map()

export function on(kind, listener) {
  if (!listeners.has(kind)) listeners.set(kind, new Set())
  listeners.get(kind).add(listener)
  return () => listeners.get(kind).delete(listener)
}

function emit(kind, data) {
  for (const listener of listeners.get(kind) ?? []) listener(data)
}

export const store = {
  /** The document as text, its flags, and why it cannot be read. */
  text: '',
  flags: [],
  error: null,
  findings: [],
  state: null,
  /** Documents before each edit of this page. */
  past: [],
  /** Whether the stream is open; null before the first time. */
  connected: null,
}

async function request(method, path, body) {
  let response
  try {
    response = await fetch(`/__dev/${path}`, { method, body })
  } catch {
    throw new Error('mpflags-dev does not respond: is it still running?')
  }
  const text = await response.text()
  if (!response.ok) {
    let why = text
    try {
      why = JSON.parse(text).error ?? text
    } catch {
      // Not JSON: shown as it is.
    }
    throw new Error(why)
  }
  return text
}

export const api = {
  get: async (path) => JSON.parse(await request('GET', path)),
  text: (path) => request('GET', path),
  send: async (method, path, body) => JSON.parse(await request(method, path, typeof body === 'string' ? body : JSON.stringify(body))),
}

export function variantKeys(flag) {
  return (flag?.ruleset?.variants ?? []).map((variant) => String(variant?.key))
}

export function flagOf(key) {
  return store.flags.findLast((flag) => flag.key === key)
}

let loading = null

/** Reads everything again. Calls at the same time share one. */
export function refresh() {
  loading ??= load().finally(() => (loading = null))
  return loading
}

async function load() {
  const [text, state] = await Promise.all([api.text('definitions'), api.get('state')])
  if (text !== store.text || !store.state) {
    store.text = text
    try {
      const flags = JSON.parse(text).flags
      store.flags = flags.filter((flag) => flag && typeof flag === 'object' && typeof flag.key === 'string')
      store.error = null
    } catch (error) {
      store.flags = []
      store.error = error.message
    }
    store.state = state
    emit('definitions')
    // Later, because a thousand flags take a while to check.
    api.get('check').then(({ findings }) => {
      store.findings = findings
      emit('findings')
    }, () => {})
  }
  store.state = state
  emit('state')
}

export function findingsOf(key) {
  return store.findings.filter((finding) => finding.flag === key)
}

/** Changes a value of a flag; everything else stays as it is, byte by byte. `value` is JSON text. */
export async function edit(flag, path, value) {
  const before = store.text
  await api.send('PATCH', 'definitions', `{"flag":${JSON.stringify(flag)},"path":${JSON.stringify(path)},"value":${value}}`)
  store.past.push(before)
  if (store.past.length > 50) store.past.shift()
  await refresh()
}

export async function undo() {
  const before = store.past.pop()
  if (before === undefined) return
  await api.send('PUT', 'definitions', before)
  await refresh()
}

export async function save() {
  await api.send('POST', 'save')
  await refresh()
}

export async function discard() {
  await api.send('DELETE', 'definitions')
  store.past = []
  await refresh()
}

let source = null
let closing

function open() {
  source = new EventSource('/__dev/live')
  const again = store.connected !== null
  source.addEventListener('open', () => {
    // Nothing has changed since the page was loaded a moment ago.
    if (again || store.connected === false) refresh().catch(() => {})
    store.connected = true
    emit('connected', true)
  })
  source.addEventListener('error', () => {
    store.connected = false
    emit('connected', false)
  })
  source.addEventListener('message', ({ data }) => {
    const messages = JSON.parse(data)
    if (messages.some(({ kind }) => kind === 'definitions' || kind === 'faults')) refresh().catch(() => {})
    emit('live', messages)
  })
}

/** A browser has six connections for a server, so a hidden tab gives its own back. */
export function listen() {
  open()
  document.addEventListener('visibilitychange', () => {
    clearTimeout(closing)
    if (!document.hidden) {
      if (!source) open()
      return
    }
    closing = setTimeout(() => {
      source.close()
      source = null
    }, 5000)
  })
}
