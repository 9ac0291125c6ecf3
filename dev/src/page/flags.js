// The flags: their rollouts as bars, their variants as colours, and edits of both.

import { api, edit, findingsOf, on, store, undo, variantKeys } from '/api.js'
import { attempt, button, chip, colour, field, fill, h } from '/dom.js'
import { audience, isOn, kind, percent, shares, value } from '/words.js'

const filters = [
  ['all', 'All', () => true],
  ['on', 'On', isOn],
  ['off', 'Off', (flag) => !isOn(flag)],
  ['problems', 'With mistakes', (flag) => findingsOf(flag.key).length > 0],
]

/** Pixels beyond the window within which cards are filled: a thousand full ones would take seconds. */
const near = 1200

export function flags(section) {
  let wanted = ''
  let filter = filters[0]
  const search = h('input', {
    type: 'search', placeholder: 'Find a flag', 'aria-label': 'Find a flag', 'data-focus': 'search',
    oninput: (event) => {
      wanted = event.target.value.toLowerCase()
      draw()
    },
  })
  const toolbar = h('div', { class: 'toolbar' })
  const cards = h('div', { class: 'cards' })
  const notes = h('div', {})
  section.append(toolbar, notes, cards)

  function tools() {
    fill(
      toolbar,
      search,
      h('div', { class: 'segments', role: 'group', 'aria-label': 'Which flags' }, filters.map((each) => button(each[1], () => {
        filter = each
        tools()
        draw()
      }, { 'aria-pressed': String(each === filter), 'data-focus': `filter-${each[0]}` }))),
      h('span', { class: 'grow' }),
      button('New flag', () => editor(null), { 'data-focus': 'new' }),
      button('Undo', () => attempt(undo), { disabled: store.past.length === 0, 'data-focus': 'undo' }),
    )
  }

  let drawn = new Map()
  const filling = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue
      filling.unobserve(target)
      fill(target, contents(drawn.get(target.dataset.flag).flag))
    }
  }, { rootMargin: `${near}px` })

  /** A card that already shows this is kept. Until it comes near the window, it has its heading only. */
  function make(flag) {
    const look = JSON.stringify([flag, findingsOf(flag.key)])
    const known = drawn.get(flag.key)
    if (known?.look === look) return known
    const card = known?.card ?? h('article', { 'data-flag': flag.key }, h('h2', {}, flag.key))
    card.className = `card ${isOn(flag) ? 'on' : 'off'}`
    filling.unobserve(card)
    filling.observe(card)
    return { look, flag, card }
  }

  function draw() {
    const general = store.findings.filter((finding) => !finding.flag || finding.flag.startsWith('flags['))
    fill(notes, store.error && h('p', { class: 'bar bad' }, `The definitions are not JSON: ${store.error}`), findings(general))
    const list = store.flags.filter((flag) => filter[2](flag) && flag.key.toLowerCase().includes(wanted))
    drawn = new Map(list.map((flag) => [flag.key, make(flag)]))
    const cardList = [...drawn.values()].map(({ card }) => card)
    const none = store.flags.length ? 'No flag matches.' : 'There are no flags. Start with a file, such as mpflags-dev flags.json, or make one with “New flag”.'
    if (!cardList.length) fill(cards, h('p', { class: 'empty' }, none))
    // Moving a card would take the focus from it.
    else if (cardList.length !== cards.children.length || cardList.some((card, index) => card !== cards.children[index])) fill(cards, cardList)
  }

  tools()
  draw()
  const off = [on('definitions', () => {
    tools()
    draw()
  }), on('findings', draw)]
  return () => {
    filling.disconnect()
    off.forEach((each) => each())
  }
}

function findings(list) {
  if (!list.length) return null
  return h('ul', { class: 'findings' }, list.map((finding) => h('li', { class: finding.severity },
    h('strong', {}, finding.severity), ' ', finding.path && h('code', {}, finding.path), ' ', finding.message)))
}

function contents(flag) {
  const keys = variantKeys(flag)
  const rollouts = flag.ruleset?.rollout
  const testers = Object.entries(flag.ruleset?.test?.users ?? {})
  const on = isOn(flag)
  return [
    h('header', {},
      h('h2', {}, flag.key),
      h('span', { class: 'tag' }, kind(flag)),
      flag.name && flag.name !== flag.key && h('span', { class: 'name' }, String(flag.name)),
      h('span', { class: 'grow' }),
      button(h('span', { class: 'knob' }), () => attempt(() => edit(flag.key, 'status', on ? '"disabled"' : '"enabled"')), {
        class: 'switch', role: 'switch', 'aria-checked': String(on), 'aria-label': `${flag.key} is ${on ? 'on' : flag.status ?? 'off'}`,
        'data-focus': `switch ${flag.key}`, title: flag.status ?? 'enabled',
      })),
    findings(findingsOf(flag.key)),
    h('div', { class: 'rollouts' }, (Array.isArray(rollouts) ? rollouts : []).map((rollout, index) => row(flag, keys, rollout, index))),
    h('ul', { class: 'variants', 'aria-label': 'Variants' }, (flag.ruleset?.variants ?? []).map((variant) => h('li', {},
      chip(keys, String(variant?.key)), h('code', { class: 'value', title: value(variant?.value, 2000) }, value(variant?.value, 48))))),
    testers.length > 0 && h('p', { class: 'testers' }, 'Testers: ', testers.slice(0, 8).map(([user, variant]) => [
      h('code', {}, user), ' → ', chip(keys, String(variant)), ' ']), testers.length > 8 && `and ${testers.length - 8} more`),
    h('footer', {},
      button('Edit JSON', () => editor(flag), { 'data-focus': `json ${flag.key}` }),
      h('a', { href: `#/who?${new URLSearchParams({ flag: flag.key })}` }, 'Who gets it'),
      h('a', { href: `#/distribution?${new URLSearchParams({ flag: flag.key })}` }, 'Distribution')),
  ]
}

/** A rollout: who it is for, a bar that can be moved, and the split of its variants. */
function row(flag, keys, rollout, index) {
  const path = `ruleset.rollout[${index}].rollout_percentage`
  const fraction = rollout?.rollout_percentage
  const shown = Math.round(Math.max(0, Math.min(1, Number(fraction) || 0)) * 100)
  const name = `${flag.key}, rollout ${index + 1}`
  const bar = h('div', { class: 'fill' })
  const number = h('input', { type: 'number', min: 0, max: 100, step: 1, value: shown, 'aria-label': `Percentage of ${name}`, 'data-focus': `number ${flag.key} ${index}` })
  const slider = h('input', { type: 'range', min: 0, max: 100, step: 1, value: shown, 'aria-label': `Rollout of ${name}`, 'data-focus': `slider ${flag.key} ${index}` })
  const parts = shares(flag, rollout)
  // Each part of the split is as wide as its share of the admitted users.
  const paint = (to) => {
    bar.style.width = `${to}%`
    number.value = to
    slider.value = to
  }
  fill(bar, parts.filter(({ share }) => share > 0).map(({ key, share }) => h('i', {
    style: { width: `${share * 100}%`, background: colour(keys, key) }, title: `${key}: ${percent(share)}` })))
  const change = (event) => {
    const to = Math.max(0, Math.min(100, Math.round(Number(event.target.value) || 0)))
    paint(to)
    if (to !== Number(fraction) * 100) attempt(() => edit(flag.key, path, String(to / 100)))
  }
  slider.addEventListener('input', () => paint(Number(slider.value)))
  slider.addEventListener('change', change)
  number.addEventListener('change', change)
  paint(shown)
  return h('div', { class: 'rollout' },
    h('span', { class: 'audience' }, rollout?.name && h('b', {}, `${rollout.name}: `), audience(rollout)),
    h('div', { class: 'track' }, bar, slider),
    h('span', { class: 'number' }, number, ' %'),
    h('span', { class: 'split' }, parts.filter(({ share }) => share > 0).map(({ key, share }) => h('span', { class: 'part' }, chip(keys, key), percent(share)))))
}

const template = {
  key: 'new-flag', status: 'enabled', context: 'distinct_id',
  ruleset: { variants: [{ key: 'On', value: true, split: 1 }, { key: 'Off', value: false, split: 0 }], rollout: [{ rollout_percentage: 0.5 }] },
}

/** The text of a flag in a dialog, as it is in the document, checked while it is typed. */
async function editor(flag) {
  const text = flag ? await attempt(() => api.text(`definitions?${new URLSearchParams({ flag: flag.key })}`)) : JSON.stringify(template, null, 2)
  if (text === undefined) return
  // Its lines are indented as in the document.
  const indent = /^ *(?=}$)/.exec(text.split('\n').at(-1))?.[0] ?? ''
  const area = h('textarea', { rows: 20, spellcheck: 'false', 'aria-label': 'JSON of the flag', value: text.replaceAll(`\n${indent}`, '\n') })
  const verdict = h('div', { class: 'verdict', role: 'status' })
  const ok = h('button', { type: 'submit', class: 'primary' }, flag ? 'Apply' : 'Add')
  let turn = 0
  let timer

  async function check() {
    const mine = ++turn
    let parsed
    try {
      parsed = JSON.parse(area.value)
      if (typeof parsed?.key !== 'string') throw new Error('a flag is an object with a "key"')
    } catch (error) {
      ok.disabled = true
      fill(verdict, h('p', { class: 'bar bad' }, `Not a flag: ${error.message}`))
      return
    }
    ok.disabled = false
    const found = await attempt(() => api.send('POST', 'check', `{"flags":[${area.value}]}`))
    if (mine !== turn || !found) return
    fill(verdict, found.findings.length ? findings(found.findings.map((finding) => ({ ...finding, path: `line ${finding.line}: ${finding.path}` }))) : h('p', { class: 'good' }, 'No mistakes found.'))
  }

  area.addEventListener('input', () => {
    clearTimeout(timer)
    timer = setTimeout(check, 150)
  })
  const dialog = h('dialog', { 'aria-label': flag ? `JSON of ${flag.key}` : 'New flag' },
    h('form', {
      method: 'dialog',
      onsubmit: (event) => {
        event.preventDefault()
        attempt(async () => {
          const { key } = JSON.parse(area.value)
          await edit(flag?.key ?? key, '', area.value.replaceAll('\n', `\n${indent}`))
          dialog.close()
        })
      },
    },
    h('h2', {}, flag ? flag.key : 'New flag'),
    field('JSON', area),
    verdict,
    h('div', { class: 'toolbar' }, ok, button('Cancel', () => dialog.close()))))
  dialog.addEventListener('close', () => dialog.remove())
  document.body.append(dialog)
  dialog.showModal()
  area.focus()
  area.setSelectionRange(0, 0)
  area.scrollTop = 0
  check()
}
