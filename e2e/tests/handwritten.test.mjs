// The rows of the table with hand-written interceptors, defects left in, against
// this server: some of these clients show the sign-in page by themselves, but
// none loses its session, because the server forgives what they do wrong.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ACCESS_TTL, allEqual, sessionLives } from '../lib/page.mjs'
import { startStack } from '../lib/stack.mjs'

let stack, server, context

before(async () => {
  stack = await startStack()
  server = stack.server
})
after(() => stack.stop())
beforeEach(async () => {
  await context?.close()
  context = await stack.browser.newContext()
  await server.reset()
})

async function openTab(style) {
  const page = await context.newPage()
  await page.goto(`${server.url}/pages/seed.html`)
  await page.waitForFunction(() => globalThis.styles)
  await page.evaluate((s) => void (globalThis.api = styles[s]()), style)
  return page
}

async function expired(style, tabs = 1) {
  const pages = []
  for (let i = 0; i < tabs; i++) pages.push(await openTab(style))
  await pages[0].evaluate(() => api.signIn('alice'))
  await server.advance(ACCESS_TTL)
  await server.reset()
  return pages
}

/** Requests that may hang for ever in such clients are given two seconds. */
const burst = (page, n, path = '/api/orders') =>
  page.evaluate(
    ([n, path]) => {
      const limit = new Promise((r) => setTimeout(r, 2000, 'hangs'))
      return Promise.all(Array.from({ length: n }, () => Promise.race([limit, api.get(path).then((r) => r.status, (e) => e.response?.status ?? e.code)])))
    },
    [n, path],
  )

/** Whatever the client believes, the refresh token that it holds still renews. */
async function alive(page, style) {
  if (style === 'cookie') return assert.ok(await sessionLives(context, server.url), 'the session was lost')
  const token = await page.evaluate(() => localStorage.getItem('refresh_token'))
  const r = await fetch(`${server.url}/auth/refresh`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ refresh_token: token }),
  })
  assert.equal(r.status, 200, 'the session was lost')
}

for (const style of ['cookie', 'body']) {
  describe(`${style} style`, () => {
    test('50 × 401', async () => {
      const [page] = await expired(style)
      allEqual(await burst(page, 50), 200)
      await alive(page, style)
    })

    for (const [tabs, runs] of [[2, 10], [5, 8]]) {
      test(`${tabs} tabs, ${runs} runs`, async () => {
        const pages = await expired(style, tabs)
        for (let run = 0; run < runs; run++) {
          // Every 401 is in before the first renewal is answered. Without that these
          // clients, which renew at a late 401 once more and have no lock between
          // tabs, leave what any server can forgive (PROTOCOL.md §8, overtaking answers).
          await server.fault('/auth/refresh', 'delay-answer', { ms: 250, count: 50 })
          allEqual((await Promise.all(pages.map((p) => burst(p, 3)))).flat(), 200)
          await server.reset()
          await alive(pages[0], style)
          await server.advance(ACCESS_TTL)
        }
      })
    }

    test('late 401 after the renewal', async () => {
      const [page] = await expired(style)
      await server.fault('/api/orders', 'delay-answer', { ms: 800 })
      const late = burst(page, 1)
      await page.waitForTimeout(200)
      allEqual(await burst(page, 1, '/api/slow?ms=1'), 200)
      allEqual(await late, 200)
      await alive(page, style)
    })

    for (const [name, kind, more] of [
      ['renewal dropped by the network', 'drop-request', { count: 4 }],
      ['500', 'status', { status: 500 }],
      ['503', 'status', { status: 503 }],
      ['429', 'status', { status: 429, retry_after: 1 }],
      ['answer lost', 'drop-answer', { count: 3 }],
      ['renewal never answered', 'hang', {}],
    ]) {
      test(name, async () => {
        const [page] = await expired(style)
        await server.fault('/auth/refresh', kind, more)
        await burst(page, 5)
        await server.reset()
        await alive(page, style)
      })
    }

    test('answer lost, an hour later', async () => {
      const [page] = await expired(style)
      await server.fault('/auth/refresh', 'drop-answer', { count: 3 })
      await burst(page, 1)
      await server.reset()
      await server.advance(3600_000)
      await alive(page, style)
    })

    for (const how of ['close', 'reload']) {
      test(`tab ${how} in the middle of a renewal`, async () => {
        const [page] = await expired(style)
        const other = await openTab(style)
        await server.fault('/auth/refresh', 'delay-answer', { ms: 400 })
        page.evaluate(() => void api.get('/api/orders').catch(() => {})).catch(() => {})
        await page.waitForFunction(() => counts.renewals > 0)
        await (how === 'close' ? page.close() : page.reload())
        await other.waitForTimeout(700)
        await alive(other, style)
      })
    }

    test('API that always answers 401', async () => {
      const [page] = await expired(style)
      await Promise.all([1, 2, 3, 4].map(() => burst(page, 1, '/broken/api')))
      await alive(page, style)
    })
  })
}
