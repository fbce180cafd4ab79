// The server under test and one browser, started once per test file.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const here = join(dirname(fileURLToPath(import.meta.url)), '..')
const root = join(here, '..')

let built

/** Builds the test server once per process and returns the program's path. */
async function program() {
  built ??= (async () => {
    const dir = await mkdtemp(join(tmpdir(), 'tacet-e2e-bin-'))
    const path = join(dir, 'server')
    const go = spawn('go', ['build', '-o', path, './e2e/server'], { cwd: root, stdio: 'inherit' })
    const [code] = await once(go, 'exit')
    if (code !== 0) throw new Error('go build ./e2e/server failed')
    process.on('exit', () => rm(dir, { recursive: true, force: true }))
    return path
  })()
  return built
}

/** Starts the server; `flags` are its command line. */
export async function startServer(...flags) {
  const child = spawn(await program(), ['-static', here, '-sdk', join(root, 'sdk/dist'), ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let log = ''
  child.stderr.on('data', (d) => (log += d))
  const lines = createInterface({ input: child.stdout })
  const first = await Promise.race([
    once(lines, 'line').then(([line]) => line),
    once(child, 'exit').then(() => {
      throw new Error(`the server did not start:\n${log}`)
    }),
  ])
  const { url, tls, control } = JSON.parse(first)
  const post = async (path, body = {}) => {
    const r = await fetch(control + path, { method: 'POST', body: JSON.stringify(body) })
    if (!r.ok) throw new Error(`${path}: ${r.status} ${await r.text()}`)
  }
  const get = async (path) => (await fetch(control + path)).json()
  return {
    url,
    tls,
    log: () => log,
    /** Moves the server's clock ahead. */
    advance: (ms) => post('/clock', { advance_ms: ms }),
    /** The proxy does this to the next `count` requests for `path` (see e2e/proxy/proxy.go). */
    fault: (path, kind, more = {}) => post('/fault', { path, kind, count: 1, ...more }),
    reset: () => post('/reset'),
    grant: (user, role, on = true) => post('/grant', { user, role, on }),
    disable: (user, on = true) => post('/disable', { user, on }),
    endSessions: (user) => post('/end', { user }),
    /** Requests that came to the proxy, and presentations that the server decided on. */
    seen: () => get('/seen'),
    events: () => get('/events'),
    /** How many renewals came to the proxy since the last reset. */
    renewals: async () => (await get('/seen')).requests.filter((r) => r.path === '/auth/refresh').length,
    stop: async () => {
      child.kill('SIGTERM')
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}

/** Debian's Chromium, headless; `options` as Playwright has them. */
export function startBrowser(options = {}) {
  return chromium.launch({
    ...options,
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
  })
}

/** Server and browser for one test file. */
export async function startStack(...flags) {
  const [server, browser] = await Promise.all([startServer(...flags), startBrowser()])
  return {
    server,
    browser,
    stop: async () => {
      await browser.close()
      await server.stop()
    },
  }
}
