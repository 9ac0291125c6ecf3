// Many users against one flag: the expected and the seen share of each variant.

import { api, on, store, variantKeys, flagOf } from '/api.js'
import { button, chip, colour, field, fill, h } from '/dom.js'
import { count, percent } from '/words.js'

const sizes = [1000, 10000, 100000]

export function distribution(section, parameters) {
  let size = 10000
  let pasted = false
  let last = null
  const select = h('select', { 'data-focus': 'flag' })
  const attributes = h('textarea', { rows: 4, spellcheck: 'false', value: parameters.get('attributes') ?? '{"custom_properties":{}}', 'data-focus': 'attributes' })
  const users = h('textarea', { rows: 8, spellcheck: 'false', placeholder: 'user-1\nuser-2\n{"distinct_id":"user-3","custom_properties":{"plan":"premium"}}', 'data-focus': 'users' })
  const source = h('div', { class: 'source' })
  const output = h('div', { class: 'results', 'aria-live': 'polite' })
  section.append(h('div', { class: 'columns' },
    h('form', { class: 'side', onsubmit: (event) => { event.preventDefault(); run() } },
      h('h2', {}, 'Users'), field('Flag', select), source,
      h('div', { class: 'toolbar' }, h('button', { type: 'submit', class: 'primary', 'data-focus': 'run' }, 'Run'))),
    output))

  function choices() {
    const wanted = select.value || parameters.get('flag')
    fill(select, store.flags.map((flag) => h('option', { value: flag.key }, flag.key)))
    if (wanted && flagOf(wanted)) select.value = wanted
  }

  function sources() {
    fill(source,
      h('div', { class: 'segments', role: 'group', 'aria-label': 'Users' },
        sizes.map((each) => button(count(each), () => {
          pasted = false
          size = each
          sources()
          run()
        }, { 'aria-pressed': String(!pasted && size === each), 'data-focus': `size ${each}` })),
        button('Paste', () => {
          pasted = true
          sources()
          users.focus()
        }, { 'aria-pressed': String(pasted), 'data-focus': 'paste' })),
      pasted ? field('Users', users, 'One per line: an id, or a context as JSON.') : field('Attributes of each', attributes, 'Everything but distinct_id, which is user-1, user-2, …'))
  }

  function contexts() {
    return users.value.split('\n').map((line) => line.trim()).filter(Boolean).map((line, index) => {
      if (!line.startsWith('{')) return { distinct_id: line }
      try {
        return JSON.parse(line)
      } catch (error) {
        throw new Error(`user ${index + 1}: ${error.message}`)
      }
    })
  }

  let turn = 0

  async function run() {
    const mine = ++turn
    const flag = select.value
    history.replaceState(null, '', `#/distribution?${new URLSearchParams({ flag, ...(attributes.value === '{"custom_properties":{}}' ? {} : { attributes: attributes.value }) })}`)
    output.setAttribute('aria-busy', 'true')
    try {
      const found = await api.send('POST', 'distribution', pasted ? { flag, contexts: contexts() } : { flag, generate: size, like: JSON.parse(attributes.value || '{}') })
      if (mine === turn) draw(flag, found)
    } catch (error) {
      if (mine === turn) fill(output, h('p', { class: 'bar bad', role: 'alert' }, error.message))
    } finally {
      output.removeAttribute('aria-busy')
    }
  }

  function draw(flag, found) {
    last = found
    const keys = variantKeys(flagOf(flag))
    const evaluated = found.users - found.failed
    const rows = found.variants.filter(({ variant, expected, seen }) => variant !== null || expected > 0 || seen > 0)
    fill(output,
      h('h2', {}, flag, ' ', h('small', { class: 'dim' }, `${count(evaluated)} users`)),
      h('div', { class: 'plot' }, rows.map(({ variant, expected, seen }) => {
        const share = evaluated ? seen / evaluated : 0
        return h('div', { class: 'measure' },
          h('span', {}, chip(keys, variant)),
          h('div', { class: 'scale', role: 'img', 'aria-label': `${variant ?? 'none'}: seen ${percent(share)}, expected ${percent(expected)}` },
            h('div', { class: 'fill', style: { width: `${share * 100}%`, background: colour(keys, variant) } }),
            h('b', { class: 'mark', style: { left: `${expected * 100}%` }, title: `expected ${percent(expected)}` })),
          h('span', { class: 'number' }, `${(share * 100).toFixed(2)} %`))
      })),
      h('table', {},
        h('thead', {}, h('tr', {}, ['Variant', 'Users', 'Seen', 'Expected', 'Difference'].map((text, column) => h('th', { scope: 'col', class: column > 0 && 'number' }, text)))),
        h('tbody', {}, rows.map(({ variant, expected, seen }) => {
          const share = evaluated ? seen / evaluated : 0
          return h('tr', {}, h('td', {}, chip(keys, variant)), h('td', { class: 'number' }, count(seen)), h('td', { class: 'number' }, `${(share * 100).toFixed(2)} %`),
            h('td', { class: 'number' }, percent(expected)), h('td', { class: 'number' }, `${share >= expected ? '+' : '−'}${(Math.abs(share - expected) * 100).toFixed(2)} %`))
        }))),
      ratio(found.p_value, flagOf(flag)),
      found.failed > 0 && h('p', { class: 'bad' }, `${count(found.failed)} users could not be evaluated: see “Who gets what” with one of them.`))
  }

  function ratio(p, flag) {
    if (p === null) return h('p', { class: 'dim' }, 'There is one possible result, so there is nothing to test.')
    const text = `Sample-ratio test: p = ${p < 0.0001 ? p.toExponential(1) : p.toFixed(4)}. `
    return p < 0.001
      ? h('p', { class: 'bad' }, text, 'The shares differ from the expected ones by more than chance. ',
        flag?.hash_salt ? 'Are these users typical?' : 'The flag has no hash_salt: then the buckets of rollout and split depend on each other, in all of Mixpanel’s SDKs. Give it a hash_salt, which assigns users anew.')
      : h('p', { class: 'good' }, text, 'The difference is within chance.')
  }

  choices()
  sources()
  if (store.flags.length) run()
  else fill(output, h('p', { class: 'empty' }, 'There are no flags.'))
  return on('definitions', () => {
    choices()
    if (last || store.flags.length) run()
  })
}
