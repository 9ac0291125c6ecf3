// The page in headless Chromium, against the real program.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { browser, exposure, samples, serve } from './support.js'

let chromium
let folder

before(async () => {
  chromium = await browser()
  folder = await mkdtemp(join(tmpdir(), 'mpflags-dev-'))
})

after(async () => {
  await chromium?.close()
  if (folder) await rm(folder, { recursive: true })
})

/** A server with its own copy of the definitions, and a page of it. Errors on the page fail the test. */
async function open(t, hash = '', definitions) {
  const file = join(folder, `${Math.random().toString(36).slice(2)}.json`)
  await writeFile(file, definitions === undefined ? await readFile(samples) : JSON.stringify(definitions))
  const server = await serve(file, '--token', 'demo')
  const context = await chromium.newContext()
  const errors = []
  const visit = async (to) => {
    const page = await context.newPage()
    page.setDefaultTimeout(30_000)
    page.on('pageerror', (error) => errors.push(String(error)))
    page.on('dialog', (dialog) => {
      errors.push(`dialog: ${dialog.message()}`)
      dialog.dismiss()
    })
    page.on('console', (message) => {
      // A refused call is shown to the user, and the browser logs it as well.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) errors.push(message.text())
    })
    await page.goto(`${server.control}/${to}`)
    await page.locator('main > section').waitFor()
    return page
  }
  t.after(async () => {
    await context.close()
    await server.stop()
    assert.deepEqual(errors, [])
  })
  return { server, file, context, visit, page: await visit(hash) }
}

/** What a client gets of a flag now. */
async function definition(server, key) {
  const response = await fetch(`${server.url}/flags/definitions?token=demo`, { headers: { authorization: `Basic ${btoa('demo:')}` } })
  return (await response.json()).flags.find((flag) => flag.key === key)
}

const eventually = async (check) => {
  const end = Date.now() + 30_000
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (Date.now() > end) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

const card = (page, key) => page.locator(`[data-flag="${key}"]`)

test('flags are shown with their rules in words', async (t) => {
  const { page } = await open(t)
  assert.equal(await page.locator('.card').count(), 6)
  const premium = card(page, 'premium-chat')
  assert.match(await premium.innerText(), /plan is premium and country is one of DE, FR/)
  assert.equal(await card(page, 'button-color').locator('.tag').innerText(), 'experiment')
  assert.equal(await card(page, 'banner').locator('.tag').innerText(), 'config')
  const widths = await card(page, 'button-color').locator('.fill i').evaluateAll((parts) => parts.map((part) => part.style.width))
  assert.deepEqual(widths.map((width) => Math.round(parseFloat(width))), [34, 33, 33])
  await page.getByLabel('Find a flag').fill('PREM')
  assert.equal(await page.locator('.card').count(), 1)
})

test('an edit reaches a client, is undone, saved and discarded', async (t) => {
  const { page, server, file } = await open(t)
  const original = await readFile(file, 'utf8')
  await card(page, 'new-checkout').getByRole('spinbutton').fill('25')
  await card(page, 'new-checkout').getByRole('spinbutton').press('Enter')
  await eventually(async () => assert.equal((await definition(server, 'new-checkout')).ruleset.rollout[0].rollout_percentage, 0.25))
  await card(page, 'banner').getByRole('switch').click()
  await eventually(async () => assert.equal((await definition(server, 'banner')).status, 'disabled'))
  await eventually(async () => assert.equal(await card(page, 'banner').getByRole('switch').getAttribute('aria-checked'), 'false'))
  assert.equal(await readFile(file, 'utf8'), original)
  await page.getByRole('button', { name: 'Undo' }).click()
  await eventually(async () => assert.equal((await definition(server, 'banner')).status, 'enabled'))
  await page.getByRole('button', { name: 'Save to the file' }).click()
  await page.locator('#banner').getByText('Edited in memory').waitFor({ state: 'detached' })
  assert.equal(await readFile(file, 'utf8'), original.replace('"rollout_percentage": 0.5', '"rollout_percentage": 0.25'))
  await card(page, 'banner').getByRole('switch').click()
  await page.getByRole('button', { name: 'Discard' }).click()
  await eventually(async () => assert.equal((await definition(server, 'banner')).status, 'enabled'))
})

test('the editor checks what is typed, and changes nothing else', async (t) => {
  const { page, server, file } = await open(t)
  const original = await readFile(file, 'utf8')
  await card(page, 'ranking-boost').getByRole('button', { name: 'Edit JSON' }).click()
  const area = page.getByLabel('JSON of the flag')
  const text = await area.inputValue()
  assert.match(text, /"value": 1\.0,/)
  await area.fill(text.replace('"rollout_percentage": 1.0', '"rollout_percentage": 100'))
  await page.locator('dialog .findings').getByText('100 means 10000 %, so everybody is admitted: write 1').waitFor()
  assert.match(await page.locator('dialog .findings').innerText(), /line \d+: ruleset\.rollout\[0\]\.rollout_percentage/)
  await area.fill(text.slice(0, -1))
  await page.locator('dialog').getByText('Not a flag:').waitFor()
  assert.equal(await page.getByRole('button', { name: 'Apply' }).isDisabled(), true)
  await area.fill(text.replace('1.35', '1.4'))
  await page.locator('dialog').getByText('No mistakes found.').waitFor()
  await page.getByRole('button', { name: 'Apply' }).click()
  await page.locator('dialog').waitFor({ state: 'detached' })
  const response = await fetch(`${server.control}/__dev/definitions`)
  assert.equal(await response.text(), original.replace('1.35', '1.4'))
  await page.getByRole('button', { name: 'New flag' }).click()
  await page.getByRole('button', { name: 'Add' }).click()
  await card(page, 'new-flag').waitFor()
})

test('mistakes and half-written files are shown', async (t) => {
  const { page, file, server } = await open(t)
  const original = await readFile(file, 'utf8')
  await writeFile(file, original.replace('"rollout_percentage": 0.5', '"rollout_percentage": 50'))
  await card(page, 'new-checkout').getByText('50 means 5000 %').waitFor()
  await page.getByRole('button', { name: 'With mistakes' }).click()
  assert.equal(await page.locator('.card').count(), 1)
  await writeFile(file, original.slice(0, 500))
  await page.getByText('Its last good contents are served.').waitFor()
  assert.equal((await definition(server, 'new-checkout')).ruleset.rollout[0].rollout_percentage, 50)
  await writeFile(file, original)
  await page.getByText('Its last good contents are served.').waitFor({ state: 'detached' })
})

test('who gets what is explained, and the address holds the case', async (t) => {
  const { page, visit } = await open(t, '#/who')
  await page.getByLabel('distinct_id').fill('user-17')
  await page.getByLabel('distinct_id').press('Enter')
  await page.getByLabel('plan').fill('premium')
  await page.getByLabel('plan').press('Enter')
  await page.getByLabel('country').fill('AT')
  await page.getByLabel('country').press('Enter')
  await page.getByRole('button', { name: 'premium-chat' }).click()
  await page.locator('.tried').waitFor()
  const why = await page.locator('.explanation').innerText()
  assert.match(why, /No rollout admits this user/)
  assert.match(why, /admitted, but the rule is false/)
  assert.match(why, /bucket 0\.7 ≥ 0\.1/)
  assert.equal(await page.locator('.tried .mark').first().evaluate((mark) => mark.style.left), '81.5%')
  const link = await page.evaluate(() => location.hash)
  const shared = await visit(link)
  await shared.locator('.tried').waitFor()
  assert.equal(await shared.locator('.explanation').innerText(), why)
  assert.equal(await shared.getByLabel('country').inputValue(), 'AT')
  await page.getByRole('button', { name: 'tester qa-1' }).click()
  await page.locator('.explanation').getByText('This user is a tester of the flag.').waitFor()
  await page.getByLabel('Context as JSON').fill('{"distinct_id":')
  await page.getByRole('alert').filter({ hasText: 'context' }).waitFor()
  await page.getByLabel('Context as JSON').fill('{"distinct_id": 7, "custom_properties": {"seats": [1]}}')
  await eventually(async () => assert.equal(await page.getByLabel('seats').inputValue(), '[1]'))
})

test('a distribution is measured', async (t) => {
  const { page } = await open(t, '#/distribution?flag=button-color')
  await page.locator('.plot').waitFor()
  assert.equal(await page.locator('.measure').count(), 3)
  assert.match(await page.locator('.results').innerText(), /Sample-ratio test: p = 0\.\d+\. The difference is within chance\./)
  const shares = await page.locator('.measure .number').allInnerTexts()
  assert.ok(Math.abs(parseFloat(shares[0]) - 34) < 3, shares.join())
  await page.getByRole('button', { name: 'Paste' }).click()
  await page.getByLabel(/One per line/).fill('qa-1\n{"distinct_id":"qa-1"}')
  await page.getByRole('button', { name: 'Run' }).click()
  await page.getByText('2 users').waitFor()
  await page.getByLabel(/One per line/).fill('{"distinct_id":')
  await page.getByRole('button', { name: 'Run' }).click()
  await page.getByRole('alert').filter({ hasText: 'user 1:' }).waitFor()
})

test('events, requests and clients appear as they arrive, and before the page', async (t) => {
  const { page, server } = await open(t)
  await server.track([exposure('button-color', 'blue', 'early')])
  await page.reload()
  await page.getByRole('link', { name: 'Live' }).click()
  await page.locator('.feed').getByText('early').waitFor()
  await server.track([exposure('new-checkout', 'On', 'late'), { event: 'broken' }], 'probe/9')
  await page.locator('.feed').getByText('late').waitFor()
  await page.locator('.feed').getByText("rejected: 'properties' is invalid").waitFor()
  const figures = () => page.locator('.figure b').allInnerTexts()
  await eventually(async () => assert.deepEqual((await figures()).filter((_, index) => index !== 1), ['3', '1', '0']))
  assert.match(await page.locator('.box').filter({ hasText: 'Clients' }).innerText(), /probe\/9/)
  assert.match(await page.locator('.box').filter({ hasText: 'Exposures' }).innerText(), /new-checkout/)
  await page.locator('.feed summary').filter({ hasText: 'late' }).click()
  await page.locator('.feed pre').getByText('"Variant name": "On"').waitFor()
  await page.getByRole('button', { name: 'Requests' }).click()
  await page.locator('.feed').getByText('python-client/1.0').first().waitFor()
  await page.getByLabel('Filter').fill('probe')
  await eventually(async () => assert.equal(await page.locator('.feed details').count(), 1))
  await page.getByRole('button', { name: 'Clear' }).click()
  await page.locator('.feed').getByText('Nothing yet.').waitFor()
})

test('faults are made, met and ended', async (t) => {
  const { page, server } = await open(t, '#/faults')
  const status = async () => (await fetch(`${server.url}/flags/definitions?token=demo`, { headers: { authorization: `Basic ${btoa('demo:')}` } })).status
  await page.getByRole('button', { name: '503' }).click()
  await page.getByText('1 fault active').waitFor()
  assert.equal(await status(), 503)
  await page.getByRole('button', { name: 'Remove 503' }).click()
  await page.getByText('None: every request').waitFor()
  assert.equal(await status(), 200)
  await page.getByLabel('How often').selectOption('once')
  await page.getByRole('button', { name: '429' }).click()
  await page.getByText('1 fault active').waitFor()
  assert.equal(await status(), 429)
  await page.getByText('None: every request').waitFor()
  assert.equal(await status(), 200)
  await page.getByRole('button', { name: 'Bad flag' }).click()
  await page.getByText('1 fault active').waitFor()
  assert.equal((await definition(server, 'new-checkout')).ruleset.rollout, 'broken')
  await page.getByRole('button', { name: 'Stop', exact: true }).click()
  await page.getByText('Clients are refused.').waitFor()
  await assert.rejects(status())
  await page.getByRole('button', { name: 'Start' }).click()
  await page.getByText('Clients can connect.').waitFor()
  await eventually(async () => assert.equal(await status(), 200))
})

test('text from flags and users is never markup', async (t) => {
  const attack = '<script>alert(1)</script><img src=x onerror=alert(2)>'
  const flag = {
    key: attack, name: attack, context: 'distinct_id',
    ruleset: {
      variants: [{ key: attack, value: attack, split: 1 }],
      rollout: [{ name: attack, rollout_percentage: 1, runtime_evaluation_rule: { or: [{ '==': [{ var: attack }, attack] }, { '==': [{ var: 'plan' }, null] }] } }],
      test: { users: { [attack]: attack } },
    },
  }
  const { page, server } = await open(t, '', { flags: [flag] })
  await page.getByRole('heading', { name: attack }).waitFor()
  await server.track([exposure(attack, attack, attack, { [attack]: attack })], 'agent<b>')
  for (const [hash, sign] of [
    ['#/flags', '.card'],
    [`#/who?${new URLSearchParams({ flag: attack, context: JSON.stringify({ distinct_id: 'u', custom_properties: { [attack]: attack } }) })}`, '.explanation .outcome'],
    ['#/distribution', '.plot'],
    ['#/live', '.feed details'],
    ['#/faults', '.grid'],
  ]) {
    await page.goto(`${server.control}/${hash}`)
    await page.reload()
    await page.locator(sign).first().waitFor()
    assert.equal(await page.locator('main script, main img, main b img, body > script').count(), 0, hash)
  }
  assert.match(await page.goto(`${server.control}/`).then((response) => response.headers()['content-security-policy']), /^default-src 'none'; script-src 'self';/)
})

test('a second tab sees the edits of the first', async (t) => {
  const { page, visit } = await open(t)
  const second = await visit('')
  await card(page, 'new-checkout').getByRole('spinbutton').fill('75')
  await card(page, 'new-checkout').getByRole('spinbutton').press('Enter')
  await eventually(async () => assert.equal(await card(second, 'new-checkout').getByRole('spinbutton').inputValue(), '75'))
  await second.getByText('Edited in memory').waitFor()
})

test('the keyboard is enough', async (t) => {
  const { page, server } = await open(t)
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content')
  const reach = async (name) => {
    for (let presses = 0; presses < 60; presses += 1) {
      await page.keyboard.press('Tab')
      if (await page.evaluate((name) => document.activeElement.dataset.focus === name || document.activeElement.textContent === name, name)) return
    }
    assert.fail(`${name} cannot be reached with Tab`)
  }
  await reach('switch new-checkout')
  await page.keyboard.press('Space')
  await eventually(async () => assert.equal((await definition(server, 'new-checkout')).status, 'disabled'))
  // The focus stays where it was when the cards are drawn again.
  await eventually(async () => assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-checked')), 'false'))
  await reach('slider new-checkout 0')
  await page.keyboard.press('ArrowRight')
  await eventually(async () => assert.equal((await definition(server, 'new-checkout')).ruleset.rollout[0].rollout_percentage, 0.51))
  await reach('json new-checkout')
  await page.keyboard.press('Enter')
  await page.locator('dialog').waitFor()
  await page.keyboard.press('Escape')
  await page.locator('dialog').waitFor({ state: 'detached' })
})

test('nothing is wider than a narrow screen', async (t) => {
  const { page, server } = await open(t)
  await server.track([exposure('button-color', 'blue', 'x'.repeat(300))])
  await page.setViewportSize({ width: 360, height: 740 })
  for (const hash of ['#/flags', '#/who?flag=premium-chat', '#/distribution?flag=banner', '#/live', '#/faults']) {
    await page.goto(`${server.control}/${hash}`)
    await page.reload()
    await page.waitForTimeout(300)
    const [wide, names] = await page.evaluate(() => [document.documentElement.scrollWidth, [...document.querySelectorAll('button, input:not([type=hidden]), select, textarea')].filter((element) => !(element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.length)).length])
    assert.ok(wide <= 360, `${hash}: ${wide}`)
    assert.equal(names, 0, `${hash}: controls without a name`)
  }
})

test('a thousand flags show within 200 ms, and a thousand events a second keep frames short', async (t) => {
  const template = JSON.parse(await readFile(samples, 'utf8')).flags[0]
  const flags = Array.from({ length: 1000 }, (_, index) => ({ ...template, key: `flag-${index}` }))
  const { page, server } = await open(t, '', { flags })
  // The median of ten, because other programs share the processor.
  const paints = []
  for (let turn = 0; turn < 10; turn += 1) {
    await page.reload()
    await page.locator('.card footer').first().waitFor()
    paints.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime))
  }
  t.diagnostic(`first content after ${paints.map(Math.round).join(', ')} ms`)
  assert.ok(paints.toSorted((a, b) => a - b)[5] < 200, `first content after ${paints} ms`)
  assert.equal(await page.locator('.card').count(), 1000)
  await card(page, 'flag-900').scrollIntoViewIfNeeded()
  await card(page, 'flag-900').getByRole('switch').waitFor()
  await page.goto(`${server.control}/#/live`)
  await page.locator('.numbers').waitFor()
  // The processor time of the page's main thread, because other programs share the processor.
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('Performance.enable', { timeDomain: 'threadTicks' })
  const busy = async () => (await devtools.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration').value
  const began = [await busy(), Date.now()]
  const seconds = 5
  for (let second = 0; second < seconds * 10; second += 1) {
    const start = Date.now()
    await server.track(Array.from({ length: 100 }, (_, index) => exposure(`flag-${index}`, 'On', `user-${second}-${index}`)))
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, 100 - (Date.now() - start))))
  }
  await eventually(async () => assert.equal(await page.locator('.figure b').first().innerText(), (seconds * 1000).toLocaleString('en')))
  const used = (await busy() - began[0]) / ((Date.now() - began[1]) / 1000)
  const perFrame = used * 1000 / 60
  t.diagnostic(`${perFrame.toFixed(1)} ms of each 16.7 ms frame`)
  assert.ok(perFrame < 8, `${perFrame} ms of each frame`)
  assert.ok(await page.locator('.feed li').count() <= 60)
})
