// Rules and numbers in words.

export function percent(fraction) {
  if (typeof fraction !== 'number') return '?'
  return `${Number((fraction * 100).toFixed(4))} %`
}

export function count(number) {
  return number.toLocaleString('en')
}

/** A value in one line, at most `most` characters. */
export function value(json, most = 60) {
  const text = json === undefined ? 'absent' : JSON.stringify(json)
  return text.length > most ? `${text.slice(0, most)}…` : text
}

const between = { '==': 'is', '===': 'is', '!=': 'is not', '!==': 'is not', '>': '>', '>=': '≥', '<': '<', '<=': '≤' }

function operand(node) {
  if (node && typeof node === 'object' && !Array.isArray(node)) return rule(node, true)
  if (typeof node === 'string') return node === '' ? '""' : node
  return JSON.stringify(node)
}

function list(node) {
  return Array.isArray(node) ? node.map(operand).join(', ') : operand(node)
}

function time(milliseconds) {
  const date = new Date(milliseconds)
  return typeof milliseconds === 'number' && !Number.isNaN(date.getTime()) ? `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC` : operand(milliseconds)
}

/** A JSON Logic rule: `plan is premium and version ≥ 2.3`. */
export function rule(node, inner = false) {
  if (node === null || typeof node !== 'object' || Array.isArray(node)) return operand(node)
  const names = Object.keys(node)
  if (names.length !== 1) return JSON.stringify(node)
  const name = names[0]
  const operands = Array.isArray(node[name]) ? node[name] : [node[name]]
  const [first, second, third] = operands
  const group = (text) => (inner ? `(${text})` : text)
  if (name === 'var') return first === '' ? 'it' : String(first)
  if (name in between && operands.length === 2) return `${operand(first)} ${between[name]} ${operand(second)}`
  if (name in between && operands.length === 3) return `${operand(first)} ${between[name]} ${operand(second)} ${between[name]} ${operand(third)}`
  if (name === 'and' || name === 'or') return group(operands.map((part) => rule(part, true)).join(` ${name} `))
  if (name === '!') return `not ${rule(first, true)}`
  if (name === 'in') return Array.isArray(second) ? `${operand(first)} is one of ${list(second)}` : `${operand(second)} contains ${operand(first)}`
  if (name === 'semver_compare') return `${operand(first)} ${between[second] ?? operand(second)} ${operand(third)}`
  if (name === 'datetime_compare') return `${operand(first)} ${between[second] ?? operand(second)} ${time(third)}`
  if (name === 'some' || name === 'all' || name === 'none') return `${name} of ${operand(first)}: ${rule(second, true)}`
  if (name === 'missing') return `${list(operands)} missing`
  return `${name}(${operands.map(operand).join(', ')})`
}

/** Who a rollout is for. */
export function audience(rollout) {
  const own = rollout?.runtime_evaluation_rule
  const empty = !own || (typeof own === 'object' && Object.keys(own).length === 0)
  if (!empty) return rule(own)
  const legacy = Object.entries(rollout?.runtime_evaluation_definition ?? {})
  return legacy.length ? legacy.map(([name, expected]) => `${name} is ${operand(expected)}`).join(' and ') : 'everybody'
}

/** The properties that rules read. */
export function properties(flags) {
  const names = new Set()
  const visit = (node) => {
    if (Array.isArray(node)) node.forEach(visit)
    else if (node && typeof node === 'object') {
      for (const [name, operands] of Object.entries(node)) {
        const path = Array.isArray(operands) ? operands[0] : operands
        if (name === 'var' && typeof path === 'string' && path) names.add(path)
        else visit(operands)
      }
    }
  }
  for (const flag of flags) {
    for (const rollout of flag.ruleset?.rollout ?? []) {
      visit(rollout?.runtime_evaluation_rule)
      Object.keys(rollout?.runtime_evaluation_definition ?? {}).forEach((name) => names.add(name))
    }
  }
  return [...names].sort()
}

export function kind(flag) {
  if (flag.experiment_id) return 'experiment'
  const values = (flag.ruleset?.variants ?? []).map((variant) => variant?.value)
  return values.length && values.every((each) => typeof each === 'boolean') ? 'gate' : 'config'
}

export function isOn(flag) {
  return flag.status !== 'disabled' && flag.status !== 'archived'
}

/** The share of each variant of a rollout, in the order of the split: by key. */
export function shares(flag, rollout) {
  const variants = [...(flag.ruleset?.variants ?? [])].sort((a, b) => (a.key < b.key ? -1 : 1))
  const fixed = rollout?.variant_override?.key
  const chosen = fixed !== undefined && variants.find(({ key }) => String(key).toLowerCase() === String(fixed).toLowerCase())
  if (chosen) return [{ key: chosen.key, share: 1 }]
  let left = 1
  return variants.map((variant, index) => {
    const wanted = rollout?.variant_splits?.[variant.key] ?? variant.split ?? 0
    const share = index === variants.length - 1 ? left : Math.max(0, Math.min(left, wanted))
    left -= share
    return { key: variant.key, share }
  })
}
