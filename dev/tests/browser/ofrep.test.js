// The real OFREP providers, for servers and for browsers, against the real program.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { samples, serve } from './support.js'

const { OpenFeature } = await import('@openfeature/server-sdk')
const { OFREPProvider } = await import('@openfeature/ofrep-provider')
const web = await import('@openfeature/web-sdk')
const { OFREPWebProvider } = await import('@openfeature/ofrep-web-provider')

let server
before(async () => (server = await serve(samples, '--token', 'demo')))
after(() => server?.stop())

const headers = [['Authorization', 'Bearer demo']]

test('the provider for servers', async () => {
  await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: server.url, headers }))
  const client = OpenFeature.getClient()
  const premium = { targetingKey: 'user-1', plan: 'premium', country: 'DE' }
  const details = await client.getBooleanDetails('premium-chat', false, premium)
  assert.deepEqual([details.value, details.variant, details.reason, details.errorCode], [true, 'On', 'TARGETING_MATCH', undefined])
  assert.equal(await client.getStringValue('button-color', '', { targetingKey: 'qa-1' }), '#1a7f37')
  assert.equal(await client.getNumberValue('search-page-size', 0, { targetingKey: 'user-1' }) % 10, 0)
  assert.equal((await client.getObjectValue('banner', {}, { targetingKey: 'user-1' })).title, 'Autumn sale')
  // Nobody is admitted: the program's default.
  assert.equal(await client.getBooleanValue('premium-chat', true, { targetingKey: 'user-1' }), true)
  assert.equal((await client.getBooleanDetails('nope', true, premium)).errorCode, 'FLAG_NOT_FOUND')
  assert.equal((await client.getBooleanDetails('banner', true, {})).errorCode, 'TARGETING_KEY_MISSING')
  await OpenFeature.close()
})

test('the provider for browsers sees an edit by polling', async () => {
  await web.OpenFeature.setContext({ targetingKey: 'qa-1' })
  await web.OpenFeature.setProviderAndWait(new OFREPWebProvider({ baseUrl: server.url, headers, pollInterval: 100 }))
  const client = web.OpenFeature.getClient()
  assert.equal(client.getStringValue('button-color', ''), '#1a7f37')
  const changed = new Promise((resolve) => client.addHandler(web.ProviderEvents.ConfigurationChanged, resolve))
  await server.call('PATCH', 'definitions', { flag: 'button-color', path: 'ruleset.variants[2].value', value: '#00ff00' })
  await changed
  assert.equal(client.getStringValue('button-color', ''), '#00ff00')
  await web.OpenFeature.close()
})
