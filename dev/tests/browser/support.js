// Starts mpflags-dev and Chromium for the tests and the screenshots.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createInterface } from 'node:readline'
import { chromium } from 'playwright-core'

export const samples = process.env.SAMPLES ?? fileURLToPath(new URL('../../samples/definitions.json', import.meta.url))

/** A running server: its addresses, and calls to it. */
export async function serve(...args) {
  const program = process.env.MPFLAGS_DEV
  if (!program) throw new Error('MPFLAGS_DEV names the program mpflags-dev: run make test-page')
  const child = spawn(program, [...args, '--stop-with-stdin'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const address = async () => {
    const { value } = await lines.next()
    if (value === undefined) throw new Error('mpflags-dev did not start')
    return value.split(' ').at(-1)
  }
  const [url, control] = [await address(), await address()]
  // Read to the end, or the program blocks.
  const rest = (async () => { for (;;) if ((await lines.next()).done) return })()
  return {
    url,
    control,
    call: async (method, path, body) => {
      const response = await fetch(`${control}/__dev/${path}`, { method, body: body && JSON.stringify(body) })
      if (!response.ok) throw new Error(await response.text())
      return response.json()
    },
    /** Sends events as a client does. */
    track: async (events, agent = 'python-client/1.0') => {
      const response = await fetch(`${url}/track?verbose=1`, { method: 'POST', headers: { 'user-agent': agent, 'content-type': 'application/json' }, body: JSON.stringify(events) })
      return response.status
    },
    stop: async () => {
      child.stdin.end()
      await rest
    },
  }
}

export function exposure(flag, variant, user, properties = {}) {
  return {
    event: '$experiment_started',
    properties: { token: 'demo', distinct_id: user, 'Experiment name': flag, 'Variant name': variant, $insert_id: `${flag}-${user}`, time: Math.floor(Date.now() / 1000), ...properties },
  }
}

export function browser() {
  const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path))
  if (!executablePath) throw new Error('no Chromium found: install the package chromium, or set CHROMIUM')
  // Root, as in containers, has no sandbox.
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
}
