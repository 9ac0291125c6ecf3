// A screenshot of each panel, in light and dark and on a narrow screen: node screenshots.js FOLDER

import { mkdirSync } from 'node:fs'
import { browser, exposure, samples, serve } from './support.js'

const folder = process.argv[2] ?? 'screenshots'
mkdirSync(folder, { recursive: true })
const server = await serve(samples, '--token', 'demo')
const chromium = await browser()

const user = JSON.stringify({ distinct_id: 'user-17', custom_properties: { plan: 'premium', country: 'AT' } })
const panels = [
  ['flags', '#/flags', async () => {}],
  ['who', `#/who?${new URLSearchParams({ context: user, flag: 'premium-chat' })}`, (page) => page.locator('.tried').waitFor()],
  ['distribution', '#/distribution?flag=button-color', (page) => page.locator('.plot').waitFor()],
  ['live', '#/live', async (page) => {
    await page.waitForTimeout(300)
    const variants = ['blue', 'control', 'green']
    const events = Array.from({ length: 300 }, (_, index) => exposure('button-color', variants[(index * 7) % 3], `user-${index}`))
    events.push(...Array.from({ length: 60 }, (_, index) => exposure('new-checkout', 'On', `user-${index * 3}`)))
    events.push({ event: 'purchase', properties: { token: 'demo', distinct_id: 'user-3', amount: 12.5 } }, { event: 'broken' })
    await server.track(events.slice(0, 200))
    await server.track(events.slice(200), 'mpflags/0.1.0 go')
    await page.locator('.feed summary').first().waitFor()
    await page.waitForTimeout(300)
  }],
  ['faults', '#/faults', async (page) => {
    await server.call('PUT', 'faults', [{ path: '/flags*', kind: 'delay', delay_ms: 3000 }, { path: '/track', kind: 'status', status: 503, times: 3 }])
    await page.locator('.list li').nth(1).waitFor()
  }],
  ['mistakes', '#/flags', async (page) => {
    await server.call('DELETE', 'faults')
    await server.call('PATCH', 'definitions', { flag: 'new-checkout', path: 'ruleset.rollout[0].rollout_percentage', value: 50 })
    await server.call('PATCH', 'definitions', { flag: 'button-color', path: 'status', value: 'Disabled' })
    await page.locator('.findings li').nth(1).waitFor()
  }],
  ['editor', '#/flags', async (page) => {
    await page.locator('[data-flag="new-checkout"]').getByText('Edit JSON').click()
    await page.locator('dialog .findings').waitFor()
  }],
]

for (const [scheme, width] of [['light', 1180], ['dark', 1180], ['light', 360]]) {
  const context = await chromium.newContext({ colorScheme: scheme, viewport: { width, height: width === 360 ? 740 : 900 }, deviceScaleFactor: 1 })
  const page = await context.newPage()
  page.on('pageerror', (error) => console.error(scheme, error))
  page.on('console', (message) => message.type() === 'error' && console.error(scheme, message.text()))
  for (const [name, hash, prepare] of panels) {
    await page.goto(`${server.control}/${hash}`)
    await page.reload()
    await page.locator('main > section').waitFor()
    await prepare(page)
    const file = `${folder}/${name}-${width === 360 ? 'narrow' : scheme}.png`
    await page.screenshot({ path: file, fullPage: width === 360 && name !== 'editor' })
    console.log(file)
  }
  await server.call('DELETE', 'definitions')
  await context.close()
}
await chromium.close()
await server.stop()
