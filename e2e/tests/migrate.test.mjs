// docs/migrate-interceptors.md: every block of code in it is run here, in
// Chromium against the real server. Each row shows that "before" has the defect
// and "after" has not.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ACCESS_TTL } from '../lib/page.mjs'
import { startStack } from '../lib/stack.mjs'

const guide = (name) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')
const blocks = (text) => new Map([...text.matchAll(/```js\n(\/\/ (\S+)\n[\s\S]*?)```/g)].map(([, code, file]) => [file, code]))
const english = guide('migrate-interceptors.md')
const code = blocks(english)

let stack, server, context, redirects

before(async () => {
  stack = await startStack('-profile', 'envelope,abp')
  server = stack.server
})
after(() => stack.stop())
beforeEach(async () => {
  await context?.close()
  context = await stack.browser.newContext()
  redirects = 0
  await context.route('**/migrate/*', (route) => {
    const body = code.get(new URL(route.request().url()).pathname.split('/').pop())
    return body ? route.fulfill({ body, contentType: 'text/javascript' }) : route.abort()
  })
  // The page stays, so that it can be asked.
  await context.route('**/sign-in', (route) => (redirects++, route.fulfill({ status: 204 })))
  await server.reset()
})

const RENEWAL = { 'before-cookie.js': '/api/Auth/RefreshToken', 'before-body.js': '/api/app/account/refresh-token', 'after-cookie.js': '/auth/refresh', 'after-body.js': '/auth/refresh' }

async function open(file) {
  const page = await context.newPage()
  await page.goto(`${server.url}/pages/migrate.html#${file}`)
  await page.waitForFunction(() => globalThis.loaded)
  return page
}
const expire = async () => {
  await server.advance(ACCESS_TTL)
  await server.reset()
}
/** Tabs that are signed in, with an access token that has expired. */
async function expired(file, tabs = 1) {
  const first = await open(file)
  await first.evaluate(() => client.signIn('alice', 'alice-password'))
  const pages = [first]
  while (pages.length < tabs) pages.push(await open(file))
  await expire()
  return pages
}
/** n calls at once; each is 'ok', an HTTP status, a code, or 'hangs' after `ms`. */
const burst = (page, n, path = '/api/orders', ms = 3000) =>
  page.evaluate(
    ([n, path, ms]) => {
      const limit = new Promise((r) => setTimeout(r, ms, 'hangs'))
      const call = () => client.api.get(path).then(() => 'ok', (e) => e.response?.status ?? e.code)
      return Promise.all(Array.from({ length: n }, () => Promise.race([limit, call()])))
    },
    [n, path, ms],
  )
const kinds = (list) => [...new Set(list)].sort()
const renewals = async (file) => (await server.seen()).requests.filter((r) => r.path.startsWith(RENEWAL[file])).length
const thefts = async () => (await server.events()).filter((e) => e.kind === 'reuse.detected').length

/** n calls whose first renewal fails in this way, after all of them have had their 401. */
const failing = async (file, n, fail) => {
  const [page] = await expired(file)
  await page.route(`**${RENEWAL[file]}`, async (route) => {
    await page.waitForTimeout(400)
    await fail(route)
  }, { times: 1 })
  const calls = kinds(await burst(page, n, '/api/orders', 4000))
  await page.waitForTimeout(300) // a redirect is under way
  return { calls, redirects }
}
const unavailable = (route) => route.fulfill({ status: 503 })
/** The server does its work, and the answer does not arrive. */
const lost = async (route) => {
  const request = route.request()
  const r = await fetch(request.url(), { method: 'POST', headers: await request.allHeaders(), body: request.postData() })
  assert.equal(r.status, 200)
  await route.abort('connectionreset')
}
/** How long is waited for calls that hang, and for those that the SDK ends. */
const patience = (file) => (file.startsWith('before') ? 3000 : 14_000)
const kept = { calls: ['ok'], redirects: 0 }

const rows = {
  cookie: {
    'two-tabs': {
      run: async (file) => {
        const pages = await expired(file, 2)
        await server.fault(RENEWAL[file], 'delay-answer', { ms: 300, count: 9 })
        const calls = (await Promise.all(pages.map((p) => burst(p, 3)))).flat()
        return { calls: kinds(calls), renewals: await renewals(file) }
      },
      before: { calls: ['ok'], renewals: 2 },
      after: { calls: ['ok'], renewals: 1 },
    },
    'late-401': {
      run: async (file) => {
        const [page] = await expired(file)
        await server.fault('/api/orders', 'delay-answer', { ms: 900 })
        const late = burst(page, 1)
        await page.waitForTimeout(200)
        const calls = [...(await burst(page, 1, '/api/slow?ms=1')), ...(await late)]
        return { calls: kinds(calls), renewals: await renewals(file) }
      },
      before: { calls: ['ok'], renewals: 2 },
      after: { calls: ['ok'], renewals: 1 },
    },
    'renewal-fails': {
      run: (file) => failing(file, 5, unavailable),
      before: { calls: [503, 'hangs'], redirects: 1 },
      after: kept,
    },
    'answer-lost': {
      run: (file) => failing(file, 5, lost),
      before: { calls: ['ERR_NETWORK', 'hangs'], redirects: 1 },
      after: kept,
    },
    'renewal-401': {
      // Each attempt of the SDK's five seconds meets the proxy, too.
      run: async (file) => {
        const [page] = await expired(file)
        await server.fault(RENEWAL[file], 'status', { status: 401, count: 50 })
        const calls = kinds(await burst(page, 5, '/api/orders', patience(file)))
        await server.reset()
        return { calls, redirects, later: kinds(await burst(page, 2, '/api/orders', patience(file))) }
      },
      before: { calls: ['hangs'], redirects: 0, later: ['hangs'] },
      after: { calls: ['unavailable'], redirects: 0, later: ['ok'] },
    },
    'never-answered': {
      run: async (file) => {
        const [page] = await expired(file)
        await server.fault(RENEWAL[file], 'hang')
        return { calls: kinds(await burst(page, 5, '/api/orders', patience(file))), redirects }
      },
      before: { calls: ['hangs'], redirects: 0 },
      after: { calls: ['network'], redirects: 0 },
    },
    'always-401': {
      run: async (file) => {
        const [page] = await expired(file)
        const calls = await burst(page, 1, '/broken/api', 1500)
        const n = await renewals(file)
        await page.close() // or it would go on
        return { calls, renewals: n > 3 ? 'without end' : n }
      },
      before: { calls: ['hangs'], renewals: 'without end' },
      after: { calls: [401], renewals: 1 },
    },
    'token-in-storage': {
      run: async (file) => {
        const [page] = await expired(file)
        await burst(page, 1)
        return page.evaluate(() => JSON.stringify({ ...localStorage }).includes('eyJ'))
      },
      before: true,
      after: false,
    },
  },
  body: {
    'five-at-once': {
      run: async (file) => {
        const [page] = await expired(file)
        const calls = await burst(page, 5)
        await page.waitForTimeout(300) // a redirect is under way
        return { allOk: calls.every((c) => c === 'ok'), redirected: redirects > 0 }
      },
      before: { allOk: false, redirected: true },
      after: { allOk: true, redirected: false },
    },
    'second-expiry': {
      run: async (file) => {
        const [page] = await expired(file)
        const first = await burst(page, 1)
        await expire()
        const calls = [...first, ...(await burst(page, 1))]
        await page.waitForTimeout(300) // a redirect is under way
        return { calls, redirects }
      },
      before: { calls: ['ok', 401], redirects: 1 },
      after: { calls: ['ok', 'ok'], redirects: 0 },
    },
    'tabs-drift': {
      run: async (file) => {
        const [used, left] = await expired(file, 2)
        for (let i = 0; i < 3; i++) {
          await used.reload() // its counter would end it
          await used.waitForFunction(() => globalThis.loaded)
          await burst(used, 1)
          await expire()
        }
        await left.waitForTimeout(500) // a token of this instant is not doubted by the SDK
        const known = await thefts()
        const calls = await burst(left, 1)
        return { calls: calls.map((c) => c === 'ok'), theft: (await thefts()) > known }
      },
      // The cookie beside the old token in the body shows that both tabs are one browser.
      before: { calls: [true], theft: false },
      after: { calls: [true], theft: false },
    },
    'renewal-fails': {
      run: (file) => failing(file, 1, unavailable),
      before: { calls: [503], redirects: 1 },
      after: kept,
    },
    'answer-lost': {
      run: (file) => failing(file, 1, lost),
      before: { calls: ['ERR_NETWORK'], redirects: 1 },
      after: kept,
    },
  },
}

for (const [style, list] of Object.entries(rows))
  describe(style, () => {
    for (const [name, row] of Object.entries(list))
      test(name, async () => {
        for (const when of ['before', 'after']) {
          const seen = await row.run(`${when}-${style}.js`)
          assert.deepEqual(seen, row[when], when)
          for (const page of context.pages()) await page.close()
          await context.clearCookies()
          redirects = 0
          await server.reset()
          const clean = await context.newPage()
          await clean.goto(`${server.url}/pages/seed.html`)
          await clean.evaluate(() => localStorage.clear())
          await clean.close()
        }
      })
  })

test('the guide names every row, and the Chinese one has the same code', () => {
  const chinese = guide('migrate-interceptors.zh-CN.md')
  assert.equal(code.size, 4)
  assert.deepEqual([...blocks(chinese)], [...code])
  for (const text of [english, chinese]) {
    const named = [...text.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name]) => name)
    assert.deepEqual(named.sort(), Object.values(rows).flatMap(Object.keys).sort())
  }
})

test('a business failure is an error with a code, a success is its data', async () => {
  const page = await open('after-cookie.js')
  await page.evaluate(() => client.signIn('alice', 'alice-password'))
  const wrap = (body) => ({ body: JSON.stringify(body), contentType: 'application/json' })
  await context.route('**/api/sold-out', (r) => r.fulfill(wrap({ isSuccess: false, code: 40901, message: 'nothing left', data: null })))
  await context.route('**/api/one', (r) => r.fulfill(wrap({ isSuccess: true, code: 200, message: '', data: { id: 7 } })))
  assert.deepEqual(await page.evaluate(async () => (await client.api.get('/api/one')).data), { id: 7 })
  assert.deepEqual(await page.evaluate(() => client.api.get('/api/sold-out').catch((e) => [e.name, e.code, e.message])), ['BusinessError', 40901, 'nothing left'])
})
