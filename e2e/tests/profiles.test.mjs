// Front-ends that exist, unmodified: the two interceptor styles of the articles,
// in Chromium and under node, against the real server behind a proxy that loses
// answers. What these clients get wrong is named in docs/profiles.md.
import axios from 'axios'
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ACCESS_TTL, allEqual } from '../lib/page.mjs'
import { startStack } from '../lib/stack.mjs'
import { abpStyle, envelopeStyle } from '../pages/profiles.js'

let stack, server, context

before(async () => {
  stack = await startStack('-profile', 'envelope,abp')
  server = stack.server
})
after(() => stack.stop())
beforeEach(async () => {
  await context?.close()
  context = await stack.browser.newContext()
  await server.reset()
})

const REFRESH = { envelope: '/api/Auth/RefreshToken', abp: '/api/app/account/refresh-token' }

/** A client in a page. */
async function inChromium(style) {
  const page = await context.newPage()
  await page.goto(`${server.url}/pages/profiles.html`)
  await page.waitForFunction(() => globalThis.styles)
  const start = () => page.evaluate((s) => void (globalThis.client = styles[s]()), style)
  await start()
  const limit = (f) => page.evaluate(([f]) => Promise.race([eval(f)(), new Promise((r) => setTimeout(r, 3000, 'hangs'))]).then((v) => v, (e) => String(e.response?.status ?? e.message)), [f.toString()])
  return {
    reload: async () => {
      await page.reload()
      await page.waitForFunction(() => globalThis.styles)
      await start()
    },
    signIn: (name, password) => page.evaluate(([n, p]) => client.signIn(n, p).then(() => 'in', (e) => e.shown ?? e.message), [name, password]),
    burst: () => limit(() => Promise.all(Array.from({ length: 5 }, () => client.get('/api/orders').then((o) => o.orders.length, (e) => String(e.response?.status ?? e.message))))),
    who: () => limit(() => client.who()),
    blob: () => limit(() => client.get('/api/blob', { responseType: 'arraybuffer' }).then((b) => b.byteLength)),
    signOut: () => limit(() => client.signOut().then(() => 'out')),
    counts: () => page.evaluate(() => ({ ...counts })),
    stored: () => page.evaluate(() => ({ ...localStorage })),
  }
}

/** A client under node, with a jar for cookies as a browser has one. */
async function underNode(style) {
  const items = new Map()
  const storage = {
    getItem: (k) => items.get(k) ?? null,
    setItem: (k, v) => void items.set(k, String(v)),
    removeItem: (k) => void items.delete(k),
  }
  const jar = new Map()
  const withJar = {
    create: (config) => {
      const api = axios.create({ ...config, timeout: 5000 })
      api.interceptors.request.use((c) => {
        const mine = [...jar].filter(([, k]) => c.url.startsWith(k.path)).map(([name, k]) => `${name}=${k.value}`)
        if (mine.length) c.headers.Cookie = mine.join('; ')
        return c
      })
      api.interceptors.response.use((r) => {
        for (const line of r.headers['set-cookie'] ?? []) {
          const [pair, ...attributes] = line.split('; ')
          const name = pair.slice(0, pair.indexOf('='))
          const value = pair.slice(name.length + 1)
          if (value) jar.set(name, { value, path: attributes.find((a) => a.startsWith('Path=')).slice(5) })
          else jar.delete(name)
        }
        return r
      })
      return api
    },
  }
  const counts = { signedOut: 0, renewals: 0 }
  const make = { envelope: envelopeStyle, abp: abpStyle }[style]
  const load = () => make({ axios: withJar, storage, counts, baseURL: server.url })
  let client = load()
  const say = (p) => Promise.race([p, new Promise((r) => setTimeout(r, 3000, 'hangs').unref())]).then((v) => v, (e) => String(e.response?.status ?? e.message))
  return {
    reload: async () => void (client = load()),
    signIn: (name, password) => client.signIn(name, password).then(() => 'in', (e) => e.shown ?? e.message),
    burst: () => Promise.all(Array.from({ length: 5 }, () => say(client.get('/api/orders').then((o) => o.orders.length)))),
    who: () => say(client.who()),
    blob: () => say(client.get('/api/blob', { responseType: 'arraybuffer' }).then((b) => b.byteLength)),
    signOut: () => say(client.signOut().then(() => 'out')),
    counts: async () => ({ ...counts }),
    stored: async () => Object.fromEntries(items),
  }
}


for (const [where, open] of [['in Chromium', inChromium], ['under node', underNode]]) {
  for (const style of ['envelope', 'abp']) {
    describe(`${style}, ${where}`, () => {
      test('signs in, renews under five expired calls, survives lost answers, signs out', async () => {
        const c = await open(style)
        assert.match(await c.signIn('alice', 'wrong'), /username or the password/)
        assert.equal(await c.signIn('alice', 'alice-password'), 'in')
        assert.equal(await c.who(), 'alice')
        for (let day = 0; day < 5; day++) {
          await server.advance(ACCESS_TTL)
          allEqual(await c.burst(), 3)
          await c.reload()
        }
        assert.equal(await c.who(), 'alice')
        assert.equal(await c.blob(), 65536)

        // The server has renewed and the answer is lost: the client shows the
        // sign-in page, which is its own doing, but what it holds still renews.
        await server.advance(ACCESS_TTL)
        const held = await c.stored()
        await server.fault(REFRESH[style], 'drop-answer', { count: 5 })
        await c.burst()
        await server.reset()
        await server.advance(3600_000)
        if (style === 'abp') {
          const r = await fetch(server.url + REFRESH.abp, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ userId: held.userId, refreshToken: held.refreshToken }) })
          assert.equal((await r.json()).success, true, 'the session was lost')
        } else {
          allEqual(await c.burst(), 3)
        }
        assert.ok(!(await server.events()).some((e) => e.kind === 'reuse.detected'))
        assert.equal(await c.signIn('alice', 'alice-password'), 'in')
        await server.advance(ACCESS_TTL)
        assert.equal(await c.signOut(), 'out', 'with an access token that has expired')
        const before = (await c.counts()).signedOut
        assert.notEqual(await c.who(), 'alice')
        assert.ok((await c.counts()).signedOut > before || style === 'abp', 'the client does not see that it is signed out')
      })

      test('a session that was ended: no client loops or hangs', async () => {
        const c = await open(style)
        await c.signIn('bob', 'bob-password')
        await server.endSessions('bob')
        await server.reset()
        const answers = await c.who()
        assert.notEqual(answers, 'bob')
        assert.notEqual(answers, 'hangs')
        assert.ok((await c.counts()).signedOut >= 1)
        assert.ok((await server.seen()).requests.length <= 3)
      })
    })
  }
}

for (const style of ['envelope', 'abp']) {
  test(`${style}: two tabs lose no session`, async () => {
    const tabs = [await inChromium(style), await inChromium(style)]
    await tabs[0].signIn('alice', 'alice-password')
    await tabs[1].reload()
    for (let run = 0; run < 10; run++) {
      await server.advance(ACCESS_TTL)
      // Every 401 is in before the first renewal is answered: see handwritten.test.mjs.
      await server.fault(REFRESH[style], 'delay-answer', { ms: 250, count: 50 })
      allEqual((await Promise.all(tabs.map((t) => t.burst()))).flat(), 3)
      const { decisions } = await server.seen()
      assert.ok(!decisions.some((d) => d.outcome === 'reuse_detected'))
      await server.reset()
      for (const t of tabs) await t.reload()
    }
    for (const t of tabs) assert.equal((await t.counts()).signedOut, 0)
  })
}
