// No client of any dialect loops or hangs, whatever it is refused: clients in the
// style of each template, under node, against the real server.
import axios from 'axios'
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { dialects } from '../lib/dialects.mjs'
import { ACCESS_TTL } from '../lib/page.mjs'
import { startServer } from '../lib/stack.mjs'
import { abpStyle, envelopeStyle } from '../pages/profiles.js'

const all = ['envelope', 'abp', ...Object.keys(dialects)]
let server

before(async () => {
  server = await startServer('-profile', all.join(','))
})
after(() => server.stop())
beforeEach(() => server.reset())

/** The two of pages/profiles.js, with the members of the others. */
function published(style) {
  const items = new Map()
  const storage = { getItem: (k) => items.get(k) ?? null, setItem: (k, v) => void items.set(k, String(v)), removeItem: (k) => void items.delete(k) }
  const counts = { signedOut: 0, renewals: 0 }
  const log = []
  let cookie = ''
  let api, inner
  const create = (config) => {
    api = axios.create({ ...config, timeout: 5000 })
    api.interceptors.request.use((c) => {
      if (log.length >= 40) throw new Error('the client loops')
      log.push(`${c.method} ${c.url}`)
      if (cookie) c.headers.Cookie = cookie
      return c
    })
    api.interceptors.response.use((r) => {
      const line = r.headers['set-cookie']?.find((l) => l.startsWith('tacet_refresh='))
      if (line) cookie = line.split(';')[0]
      return r
    })
    return api
  }
  const load = () => (inner = (style === 'envelope' ? envelopeStyle : abpStyle)({ axios: { create }, storage, counts, baseURL: server.url }))
  load()
  return {
    log,
    get signedOut() {
      return counts.signedOut
    },
    get refresh() {
      return style === 'envelope' ? cookie : storage.getItem('refreshToken')
    },
    get userId() {
      return storage.getItem('userId')
    },
    /** A page that is loaded anew, with another user id in its storage. */
    reloadAs: (id) => (storage.setItem('userId', id), load()),
    login: (body, type) =>
      type
        ? api.post(style === 'envelope' ? '/api/Auth/Login' : '/api/app/account/login', body, { headers: { 'content-type': type } })
        : inner.signIn(...Object.values(body)),
    get: () => inner.who(),
    names: [style === 'abp' ? 'name' : 'username', 'password'],
  }
}
const open = (name) => (name in dialects ? dialects[name](server.url) : published(name))

const RENEWAL = {
  envelope: ['/api/Auth/RefreshToken', (t) => ({ headers: { cookie: t }, body: {} })],
  abp: ['/api/app/account/refresh-token', (t, u) => ({ body: { userId: u, refreshToken: t } })],
  vben: ['/api/auth/refresh', (t) => ({ headers: { cookie: `jwt=${t}` }, body: {} })],
  soybean: ['/auth/refreshToken', (t) => ({ body: { refreshToken: t } })],
  yudao: ['/admin-api/system/auth/refresh-token', (t) => ({ query: t })],
  youlai: ['/api/v1/auth/refresh-token', (t) => ({ query: t })],
  pure: ['/refresh-token', (t) => ({ body: { refreshToken: t } })],
  nova: ['/updateToken', (t) => ({ body: { refreshToken: t } })],
}
/** Somebody else uses a copy of the client's token. */
async function use(name, token, user) {
  const [path, how] = RENEWAL[name]
  const { headers, body, query } = how(token, user)
  const r = await fetch(server.url + path + (query ? `?refreshToken=${query}` : ''), {
    method: 'POST',
    headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
    body: body && JSON.stringify(body),
  })
  return { text: await r.text(), next: r.headers.getSetCookie().map((l) => l.split(';')[0]).find((l) => /=tacet_rt_|jwt=./.test(l)) }
}

const limit = (p) => {
  let timer
  return Promise.race([p, new Promise((r) => (timer = setTimeout(r, 8000, 'hangs')))]).finally(() => clearTimeout(timer))
}
const said = (p) => limit(p.then((v) => v, (e) => e))
const in_ = (c, password = 'alice-password') => c.login({ [c.names[0]]: 'alice', [c.names[1]]: password })

/** After the refusal the client has ended, in few requests, on the sign-in page. */
async function ends(name, c, calls = 3) {
  c.expired = true // of the dialect that goes by the clock
  c.log.length = 0
  // In the styles of the articles those that wait are not told: a defect that docs/profiles.md names.
  const results = await Promise.all(Array.from({ length: name in dialects ? calls : 1 }, () => said(c.get())))
  for (const r of results) {
    assert.notEqual(r, 'hangs')
    assert.ok(r instanceof Error || r === null || r === undefined, `an answer for somebody who is signed out: ${r}`)
    assert.doesNotMatch(String(r), /loops|stuck/)
  }
  assert.ok(c.signedOut >= 1, 'the client does not see that it is signed out')
  assert.ok(c.log.length <= 3 * calls + 2, c.log.join('\n'))
  // And a call after that is no different.
  assert.notEqual(await said(c.get()), 'hangs')
  assert.ok(c.log.length <= 4 * calls + 4, c.log.join('\n'))
}

for (const name of all)
  describe(name, () => {
    const signedIn = async () => {
      const c = open(name)
      await in_(c)
      assert.equal(await c.get(), 'alice')
      return c
    }

    test('lives: expired, renewed, twice', async () => {
      const c = await signedIn()
      for (let day = 0; day < 2; day++) {
        // One token lives no longer than itself: it is renewed in its last third.
        await server.advance(name === 'gva' ? ACCESS_TTL * 0.8 : ACCESS_TTL)
        c.expired = true
        assert.equal(await said(c.get()), 'alice')
      }
      assert.equal(c.signedOut, 0)
    })

    test('a wrong password, an oversized and a mistyped sign-in are shown, and renew nothing', async () => {
      const c = open(name)
      const failures = [await said(in_(c, 'wrong'))]
      await server.advance(3600_000) // past the delay after a wrong password
      failures.push(await said(c.login({ [c.names[0]]: 'alice', [c.names[1]]: 'x'.repeat(70_000) })))
      failures.push(await said(c.login(JSON.stringify({ [c.names[0]]: 'alice', [c.names[1]]: 'alice-password' }), 'text/plain')))
      for (const e of failures) {
        assert.ok(e instanceof Error, String(e))
        assert.doesNotMatch(String(e), /loops|stuck|signed out/)
      }
      assert.equal(c.log.length, 3, c.log.join('\n'))
      await in_(c)
      assert.equal(await c.get(), 'alice')
    })

    test('an expired session', async () => {
      const c = await signedIn()
      await server.advance(15 * 24 * 3600_000)
      await ends(name, c)
    })

    test('a revoked session', async () => {
      const c = await signedIn()
      await server.endSessions('alice')
      await ends(name, c)
    })

    test('a stolen token', async () => {
      const c = await signedIn()
      if (name === 'gva') {
        // The first renewal may be lost on the way, so both may have one; the second tells them apart.
        const thief = Object.assign(open(name), { token: c.token })
        for (let i = 0; i < 2; i++) {
          await server.advance(ACCESS_TTL * 0.8)
          assert.equal(await said(thief.get()), 'alice')
          if (i === 0) assert.equal(await said(c.get()), 'alice')
        }
        await server.advance(60_000)
        return ends(name, c)
      }
      let token = c.refresh
      for (let i = 0; i < 3; i++) {
        const { text, next } = await use(name, token, c.userId)
        token = next && RENEWAL[name][1]('x').headers ? next.replace(/^jwt=/, '') : /tacet_rt_[\w-]+/.exec(text)?.[0]
        assert.ok(token, `the thief was refused: ${text}`)
      }
      await server.advance(ACCESS_TTL)
      await ends(name, c)
    })

    if (name === 'abp')
      test('a foreign user id', async () => {
        const c = await signedIn()
        c.reloadAs('11111111-2222-3333-4444-555555555555')
        await server.advance(ACCESS_TTL)
        await ends(name, c)
      })
  })
