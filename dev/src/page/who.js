// Who gets what, and why: one user against all flags. The address holds the case, so it can be shared.

import { api, flagOf, on, store, variantKeys } from '/api.js'
import { attempt, button, chip, colour, field, fill, h, toast } from '/dom.js'
import { percent, properties, value } from '/words.js'

const saved = 'mpflags-dev presets'

function presets() {
  try {
    return JSON.parse(localStorage.getItem(saved)) ?? {}
  } catch {
    return {}
  }
}

export function who(section, parameters) {
  let context = parameters.get('context') ?? '{"distinct_id":"user-1"}'
  let open = parameters.get('flag')
  let rows = []
  const json = h('textarea', { rows: 9, spellcheck: 'false', 'data-focus': 'context', 'aria-label': 'Context as JSON' })
  const fault = h('p', { class: 'bar bad', role: 'alert', hidden: true })
  const form = h('div', { class: 'form' })
  const results = h('div', { class: 'results' })
  const shelf = h('div', { class: 'shelf' })
  section.append(
    h('div', { class: 'columns' },
      h('form', { class: 'side', onsubmit: (event) => event.preventDefault() }, h('h2', {}, 'User'), form, field('Context', json, 'Paste a user here.'), fault, shelf),
      results),
  )

  function parsed() {
    try {
      const object = JSON.parse(context)
      return object && typeof object === 'object' && !Array.isArray(object) ? object : null
    } catch {
      return null
    }
  }

  function set(object) {
    context = JSON.stringify(object)
    json.value = JSON.stringify(object, null, 2)
    changed()
  }

  function inputs() {
    const object = parsed()
    if (!object) return
    const own = object.custom_properties && typeof object.custom_properties === 'object' ? object.custom_properties : {}
    const names = [...new Set([...Object.keys(own), ...properties(store.flags).map((path) => path.split('.')[0])])]
    const update = (name, text) => {
      const next = { ...own }
      if (text === '') delete next[name]
      else next[name] = literal(text)
      set({ ...object, custom_properties: next })
    }
    fill(
      form,
      field('distinct_id', h('input', {
        value: object.distinct_id === undefined ? '' : String(object.distinct_id), 'data-focus': 'distinct_id', autocomplete: 'off',
        onchange: (event) => set({ ...object, distinct_id: event.target.value }),
      })),
      names.map((name) => field(name, h('input', {
        value: own[name] === undefined ? '' : typeof own[name] === 'string' ? own[name] : JSON.stringify(own[name]),
        placeholder: 'absent', 'data-focus': `property ${name}`, autocomplete: 'off', onchange: (event) => update(name, event.target.value),
      }))),
    )
  }

  /** A number, true, false, null or a list is JSON; anything else is text. */
  function literal(text) {
    try {
      return JSON.parse(text)
    } catch {
      return text
    }
  }

  function shelves() {
    const testers = [...new Set(store.flags.flatMap((flag) => Object.keys(flag.ruleset?.test?.users ?? {})))].slice(0, 6)
    const own = presets()
    fill(
      shelf,
      h('h3', {}, 'Presets'),
      h('div', { class: 'chips' },
        testers.map((id) => button(`tester ${id}`, () => set({ ...parsed(), distinct_id: id }), { 'data-focus': `tester ${id}` })),
        Object.entries(own).map(([name, kept]) => h('span', { class: 'pair' },
          button(name, () => set(kept), { 'data-focus': `preset ${name}` }),
          button('×', () => {
            const rest = presets()
            delete rest[name]
            localStorage.setItem(saved, JSON.stringify(rest))
            shelves()
          }, { 'aria-label': `Forget ${name}` }))),
        button('Keep this user', () => {
          const object = parsed()
          if (!object) return
          localStorage.setItem(saved, JSON.stringify({ ...own, [String(object.distinct_id ?? 'nobody')]: object }))
          shelves()
        }, { 'data-focus': 'keep' }),
        button('Copy the link', () => navigator.clipboard.writeText(location.href).then(() => toast('Copied'), () => toast('The browser does not allow it: copy the address bar', 'error')), { 'data-focus': 'copy' })))
  }

  let turn = 0

  async function changed() {
    const query = new URLSearchParams({ context })
    if (open) query.set('flag', open)
    history.replaceState(null, '', `#/who?${query}`)
    inputs()
    const mine = ++turn
    try {
      const found = await api.get(`evaluate?${new URLSearchParams({ context })}`)
      if (mine !== turn) return
      rows = found.flags
      fault.hidden = true
      json.removeAttribute('aria-invalid')
    } catch (error) {
      if (mine !== turn) return
      rows = []
      fault.textContent = error.message
      fault.hidden = false
      json.setAttribute('aria-invalid', 'true')
    }
    draw()
  }

  function draw() {
    fill(
      results,
      h('table', { class: 'values' },
        h('thead', {}, h('tr', {}, ['Flag', 'Variant', 'Value', 'Reason'].map((text) => h('th', { scope: 'col' }, text)))),
        h('tbody', {}, rows.map(result))),
      !rows.length && h('p', { class: 'empty' }, 'No flags.'),
    )
  }

  function result(row) {
    const keys = variantKeys(flagOf(row.flag))
    const expanded = open === row.flag
    const why = expanded && h('tr', { class: 'why' }, h('td', { colspan: 4 }, explanation(row.flag)))
    return [
      h('tr', { class: expanded && 'open' },
        h('td', {}, button(row.flag, () => {
          open = expanded ? null : row.flag
          changed()
        }, { class: 'link', 'aria-expanded': String(expanded), 'data-focus': `why ${row.flag}` })),
        h('td', {}, chip(keys, row.variant)),
        h('td', {}, row.value === null && row.variant === null ? h('span', { class: 'dim' }, 'the default') : h('code', { title: value(row.value, 2000) }, value(row.value, 40))),
        h('td', {}, row.error_code ? h('span', { class: 'bad' }, row.error_code) : row.reason)),
      why,
    ]
  }

  function explanation(flag) {
    const box = h('div', { class: 'explanation', 'aria-label': `Why ${flag}` }, 'Asking…')
    attempt(async () => {
      const steps = await api.get(`explain?${new URLSearchParams({ flag, context })}`)
      fill(box, story(steps, flagOf(flag)))
    })
    return box
  }

  json.addEventListener('input', () => {
    context = json.value
    changed()
  })
  const object = parsed()
  json.value = object ? JSON.stringify(object, null, 2) : context
  shelves()
  changed()
  return on('definitions', () => {
    shelves()
    changed()
  })
}

const steps = {
  override: 'An override decides, whatever the flag says.',
  tester: 'This user is a tester of the flag.',
  disabled: 'The flag is off, so programs use their default.',
  flag_not_found: 'There is no flag with this key.',
  malformed: 'The flag cannot be read.',
  missing_context_key: 'The context lacks the key that users are bucketed by.',
  invalid_context: 'An attribute that the flag reads cannot be used.',
  no_rollout_match: 'No rollout admits this user, so programs use their default.',
  not_ready: 'There are no definitions.',
}

/** The steps of an evaluation, drawn. */
function story(explained, flag) {
  const keys = variantKeys(flag)
  const outcome = explained.step === 'rollout'
    ? ['Rollout ', String(explained.rollouts.length), ' admits this user: ', chip(keys, explained.variant)]
    : [steps[explained.step] ?? explained.step, explained.variant !== null && [' ', chip(keys, explained.variant)]]
  return [
    h('p', { class: 'outcome' }, outcome),
    explained.message && h('p', { class: explained.error_code ? 'bad' : 'warn' }, explained.message),
    explained.subject && h('p', {}, 'Bucketed by ', h('code', {}, explained.subject.key), ' = ', h('code', {}, explained.subject.text)),
    h('ol', { class: 'tried' }, explained.rollouts.map((rollout) => tried(rollout, flag))),
    explained.choice && choice(explained.choice, keys),
    explained.unsupported && h('p', { class: 'warn' }, `Not checked here: ${explained.unsupported.join(', ')}`),
  ]
}

function mark(bucket, label) {
  // In the middle of its hundredth.
  return h('b', { class: 'mark', style: { left: `${bucket * 100 + 0.5}%` }, title: label })
}

function tried(rollout, flag) {
  const verdict = !rollout.admitted ? 'not admitted' : rollout.matches === false ? 'admitted, but the rule is false' : 'admitted'
  const name = flag?.ruleset?.rollout?.[rollout.index]?.name
  return h('li', { class: rollout.taken ? 'taken' : 'passed' },
    h('div', { class: 'line' }, h('span', {}, `Rollout ${rollout.index + 1}`, name && ` (${name})`), h('span', { class: rollout.taken ? 'good' : 'dim' }, verdict)),
    h('div', { class: 'scale', role: 'img', 'aria-label': `bucket ${rollout.bucket}, admits below ${rollout.percentage}` },
      h('div', { class: 'fill', style: { width: `${rollout.percentage * 100}%` } }), mark(rollout.bucket, `bucket ${rollout.bucket}`)),
    h('div', { class: 'line dim' }, h('span', {}, `bucket ${rollout.bucket} ${rollout.admitted ? '<' : '≥'} ${rollout.percentage}`), h('code', {}, `salt ${rollout.salt}`)),
    rollout.why && h('p', { class: 'warn' }, rollout.why),
    rollout.rule && h('ul', { class: 'rule' }, part(rollout.rule)))
}

function choice(chosen, keys) {
  if (chosen.fixed !== undefined) return h('p', {}, 'Everybody in this rollout gets ', chip(keys, chosen.fixed), '.')
  let before = 0
  const parts = chosen.cumulative.map(({ variant, below }, index) => {
    const end = index === chosen.cumulative.length - 1 ? 1 : Math.min(1, below ?? 1)
    const width = Math.max(0, end - before)
    before = Math.max(before, end)
    return { variant, width }
  })
  return h('div', { class: 'choice' },
    h('div', { class: 'line' }, h('span', {}, `Split: bucket ${chosen.bucket}`), h('code', { class: 'dim' }, `salt ${chosen.salt}`)),
    h('div', { class: 'scale', role: 'img', 'aria-label': `bucket ${chosen.bucket} of the split` },
      parts.map(({ variant, width }) => h('i', { style: { width: `${width * 100}%`, background: colour(keys, variant) }, title: `${variant}: ${percent(width)}` })),
      mark(chosen.bucket, `bucket ${chosen.bucket}`)),
    h('div', { class: 'chips' }, parts.filter(({ width }) => width > 0).map(({ variant, width }) => h('span', { class: 'part' }, chip(keys, variant), percent(width)))))
}

const symbols = { '==': 'is', '===': 'is', '!=': 'is not', '!==': 'is not', '>=': '≥', '<=': '≤', in: 'in', semver_compare: 'version', datetime_compare: 'time' }

/** A part of a rule with its value, and its verdict. */
function part(node) {
  if (node.legacy) {
    return node.legacy.map(({ property, expected, value: found }) => h('li', {}, h('code', {}, property), ' is ', h('code', {}, expected ?? 'nothing'), ' ', seen(found, found === undefined)))
  }
  if (node.operator === undefined) return h('li', {}, operand(node))
  const nested = node.operands instanceof Array && node.operands.some((each) => each?.operator !== undefined)
  const verdict = node.error ? h('span', { class: 'bad' }, node.error) : node.value === true ? h('span', { class: 'verdict good' }, '✓') : node.value === false ? h('span', { class: 'verdict bad' }, '✗') : h('span', { class: 'verdict dim' }, value(node.value))
  if (nested) return h('li', {}, verdict, ' ', h('b', {}, node.operator), h('ul', { class: 'rule' }, node.operands.map((each) => (each && typeof each === 'object' && !Array.isArray(each) ? part(each) : h('li', {}, operand(each))))))
  const operands = node.operands instanceof Array ? node.operands : []
  const [left, ...rest] = operands.map(operand)
  return h('li', {}, verdict, ' ', left, ' ', h('b', {}, symbols[node.operator] ?? node.operator), ' ', rest.map((each) => [each, ' ']))
}

function seen(found, missing) {
  return missing ? h('span', { class: 'missing' }, 'missing') : h('span', { class: 'seen' }, value(found))
}

function operand(node) {
  if (node && typeof node === 'object' && !Array.isArray(node)) {
    if (node.var !== undefined) return [h('code', {}, node.var === '' ? 'it' : node.var), ' ', node.value === undefined && !node.missing ? null : seen(node.value, node.missing)]
    if (node.literal !== undefined) return h('code', {}, value(node.literal))
  }
  return h('code', {}, value(node))
}
