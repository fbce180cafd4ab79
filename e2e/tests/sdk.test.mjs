// What the table does not list: bodies, sign-out races, other tabs, axios, old
// browsers, lost networks, frozen tabs, thieves.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ACCESS_TTL, allEqual, burst, counts, openTab, sessionLives, signIn } from '../lib/page.mjs'
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

async function expired(options, path) {
  const page = await openTab(context, server.url, options, path)
  await signIn(page)
  await server.advance(ACCESS_TTL)
  await server.reset()
  return page
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')
const pattern = (n) => Uint8Array.from({ length: n }, (_, i) => (i * 31) & 255)

describe('bodies are repeated byte for byte', () => {
  const size = 300_000
  const bodies = {
    string: 'héllo, 世界',
    typed: pattern(size),
    blob: pattern(size),
    buffer: pattern(size),
    params: 'a=1&b=%E4%BD%A0',
    request: pattern(size),
  }
  for (const kind of Object.keys(bodies)) {
    test(kind, async () => {
      const page = await expired()
      const got = await page.evaluate(
        async ([kind, size]) => {
          const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 31) & 255)
          const make = {
            string: () => 'héllo, 世界',
            typed: () => bytes,
            blob: () => new Blob([bytes.slice(0, 1000), bytes.slice(1000)], { type: 'image/x-test' }),
            buffer: () => bytes.buffer,
            params: () => new URLSearchParams({ a: '1', b: '你' }),
          }
          const r =
            kind === 'request'
              ? await session.fetch(new Request('/api/upload', { method: 'POST', body: bytes }))
              : await session.fetch('/api/upload', { method: 'POST', body: make[kind]() })
          return r.json()
        },
        [kind, size],
      )
      assert.equal(got.sha256, sha256(bodies[kind]))
      assert.equal(await server.renewals(), 1, 'the token had not expired: the test tests nothing')
      if (kind === 'blob') assert.equal(got.type, 'image/x-test')
      if (kind === 'params') assert.match(got.type, /x-www-form-urlencoded/)
    })
  }

  for (const client of ['fetch', 'axios']) {
    test(`FormData with a file, ${client}`, async () => {
      const page = await expired({}, client === 'axios' ? '/pages/axios.html' : undefined)
      const got = await page.evaluate(
        async ([client, size]) => {
          const form = new FormData()
          form.append('name', 'café ☕')
          form.append('file', new Blob([Uint8Array.from({ length: size }, (_, i) => (i * 31) & 255)]), 'x.bin')
          if (client === 'axios') return (await api.post('/form', form)).data
          return (await session.fetch('/api/form', { method: 'POST', body: form })).json()
        },
        [client, size],
      )
      assert.deepEqual(got.fields, { name: ['café ☕'] })
      assert.equal(got.files.file, sha256(pattern(size)))
      assert.equal(await server.renewals(), 1)
    })
  }

  test('binary answers are untouched', async () => {
    const page = await expired()
    const sums = await page.evaluate(async () => {
      const sum = async (b) => [...new Uint8Array(await crypto.subtle.digest('SHA-256', b))].map((x) => x.toString(16).padStart(2, '0')).join('')
      const blob = await (await session.fetch('/api/blob')).blob()
      const reader = (await session.fetch('/api/blob')).body.getReader()
      const parts = []
      for (let r; !(r = await reader.read()).done; ) parts.push(r.value)
      return [await sum(await blob.arrayBuffer()), await sum(await new Blob(parts).arrayBuffer())]
    })
    const want = sha256(Uint8Array.from({ length: 1 << 16 }, (_, i) => (i * 7) & 255))
    assert.deepEqual(sums, [want, want])
  })
})

describe('axios', () => {
  test('50 × 401: 50 ok, 1 renewal; blobs arrive whole', async () => {
    const page = await expired({}, '/pages/axios.html')
    const answers = await page.evaluate(() =>
      Promise.all(Array.from({ length: 50 }, (_, n) => api.get('/orders', { params: { n } }).then((r) => (r.data.n === String(n) ? r.status : 'mixed up'), (e) => e.code))),
    )
    allEqual(answers, 200)
    assert.equal(await server.renewals(), 1)
    assert.equal(await page.evaluate(async () => (await api.get('/blob', { responseType: 'blob' })).data.size), 1 << 16)
  })

  test('refused for good: all reject, one event; a 403 stays an AxiosError', async () => {
    const page = await expired({}, '/pages/axios.html')
    assert.equal(await page.evaluate(() => api.get('/forbidden').then(() => 0, (e) => axios.isAxiosError(e) && e.response.status)), 403)
    await server.advance(ACCESS_TTL)
    await server.endSessions('alice')
    const answers = await page.evaluate(() => Promise.all(Array.from({ length: 10 }, () => api.get('/orders').then(() => 'ok', () => 'rejected'))))
    allEqual(answers, 'rejected')
    assert.equal((await counts(page)).signedout, 1)
  })

  test('abort while waiting', async () => {
    const page = await expired({}, '/pages/axios.html')
    await server.fault('/auth/refresh', 'delay-answer', { ms: 800 })
    const r = await page.evaluate(async () => {
      const c = new AbortController()
      setTimeout(() => c.abort(), 100)
      const aborted = api.get('/orders', { signal: c.signal }).then(() => 'ok', (e) => e.code)
      const other = api.get('/orders').then((r) => r.status, (e) => e.code)
      return [await aborted, await other]
    })
    assert.deepEqual(r, ['ERR_CANCELED', 200])
    assert.equal(await server.renewals(), 1)
  })
})

test('an aborted waiter does not cancel the renewal of the others', async () => {
  const page = await expired()
  await server.fault('/auth/refresh', 'delay-answer', { ms: 800 })
  const r = await page.evaluate(async () => {
    const first = session.fetch('/api/orders', { signal: AbortSignal.timeout(150) }).then(() => 'ok', (e) => e.name)
    const second = session.fetch('/api/orders').then((r) => r.status)
    return [await first, await second]
  })
  assert.deepEqual(r, ['TimeoutError', 200])
  assert.equal(await server.renewals(), 1)
})

test('a sign-out beats a renewal in flight', async () => {
  const page = await expired()
  await server.fault('/auth/refresh', 'delay-answer', { ms: 1000 })
  const r = await page.evaluate(async () => {
    const waiting = session.fetch('/api/orders').then((r) => r.status, (e) => e.code)
    while (!trace.some((e) => e.type === 'renewing')) await new Promise((r) => setTimeout(r, 10))
    await session.signOut()
    return [await waiting, session.status]
  })
  assert.deepEqual(r, ['signedout', 'signedout'])
  await page.waitForTimeout(1500) // the late answer has come
  assert.equal(await page.evaluate(() => session.status), 'signedout')
  await page.reload()
  await page.waitForFunction(() => globalThis.tacet)
  await page.evaluate(() => open_({}))
  assert.equal(await page.evaluate(() => session.status), 'signedout', 'the late answer brought the session back')
  assert.equal(await sessionLives(context, server.url), false)
})

for (const storage of ['memory', 'localStorage']) {
  test(`sign-out and sign-in reach the other tabs, ${storage}`, async () => {
    const a = await openTab(context, server.url, { storage })
    const b = await openTab(context, server.url, { storage })
    await signIn(a)
    await b.waitForFunction(() => session.status === 'signedin' && session.user?.username === 'alice')
    allEqual(await burst(b, 2), 200)
    await b.evaluate(() => session.signOut())
    await a.waitForFunction(() => session.status === 'signedout')
    await a.waitForTimeout(200)
    for (const p of [a, b]) assert.equal((await counts(p)).signedout, 1, 'one event per tab')
    await signIn(b, 'bob')
    await a.waitForFunction(() => session.user?.username === 'bob')
    assert.equal(await a.evaluate(async () => (await (await session.fetch('/api/orders')).json()).sub), await b.evaluate(() => session.user.id))
  })
}

test('five tabs of a browser without Web Locks and BroadcastChannel: nobody is signed out', async () => {
  await context.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })
    delete globalThis.BroadcastChannel
  })
  const pages = []
  for (let i = 0; i < 5; i++) pages.push(await openTab(context, server.url))
  await signIn(pages[0])
  for (const p of pages.slice(1)) {
    await p.reload()
    await p.waitForFunction(() => globalThis.tacet)
    await p.evaluate(() => open_({}))
  }
  for (let run = 0; run < 10; run++) {
    // A token that a tab renewed beside the others may be unused yet; for 400 ms
    // such a one is not renewed again on a 401, and no real token expires that soon.
    await pages[0].waitForTimeout(500)
    await server.advance(ACCESS_TTL)
    await server.reset()
    allEqual((await Promise.all(pages.map((p) => burst(p, 3)))).flat(), 200)
    const n = await server.renewals()
    assert.ok(n >= 1 && n <= 5, `${n} renewals`)
  }
  for (const p of pages) assert.equal((await counts(p)).signedout, 0)
})

test('a tab that dies with the lock blocks nobody', async () => {
  const a = await expired()
  const b = await openTab(context, server.url)
  await server.advance(ACCESS_TTL)
  await server.reset()
  await server.fault('/auth/refresh', 'hang')
  a.evaluate(() => void session.fetch('/api/orders').catch(() => {})).catch(() => {})
  await a.waitForFunction(() => trace.some((e) => e.type === 'renewing'))
  const waiting = burst(b, 3)
  await b.waitForTimeout(200)
  await a.close()
  allEqual(await waiting, 200)
  assert.equal((await counts(b)).signedout, 0)
})

test('a frozen tab that holds the lock blocks nobody', async () => {
  const a = await expired({ timeout: 1500 })
  const b = await openTab(context, server.url, { timeout: 1500 })
  await server.advance(ACCESS_TTL)
  await server.reset()
  await server.fault('/auth/refresh', 'delay-answer', { ms: 2000 })
  a.evaluate(() => void session.fetch('/api/orders').catch(() => {})).catch(() => {})
  await a.waitForFunction(() => trace.some((e) => e.type === 'renewing'))
  const cdp = await context.newCDPSession(a)
  await cdp.send('Page.setWebLifecycleState', { state: 'frozen' })
  await b.waitForFunction(() => session.fetch('/api/orders').then((r) => r.ok, () => false), null, { timeout: 20_000 })
  await cdp.send('Page.setWebLifecycleState', { state: 'active' })
  await a.waitForFunction(() => session.fetch('/api/orders').then((r) => r.ok, () => false), null, { timeout: 20_000 })
  for (const p of [a, b]) assert.equal((await counts(p)).signedout, 0)
})

test('the network goes away and comes back', async () => {
  const page = await expired()
  await context.setOffline(true)
  const answers = await burst(page, 3)
  for (const r of answers) assert.notEqual(r, 200)
  assert.equal((await counts(page)).signedout, 0)
  await context.setOffline(false)
  await page.waitForFunction(() => session.fetch('/api/orders').then((r) => r.ok, () => false), null, { timeout: 15_000 })
  assert.equal((await counts(page)).signedout, 0)
})

test('a sign-out without a network is carried out later', async () => {
  const page = await openTab(context, server.url)
  await signIn(page)
  await context.setOffline(true)
  assert.equal(await page.evaluate(() => session.signOut()), false)
  assert.equal(await page.evaluate(() => session.status), 'signedout')
  await context.setOffline(false)
  await page.waitForFunction(() => !document.cookie.includes('tacet_csrf'), null, { timeout: 15_000 })
  assert.equal(await sessionLives(context, server.url), false)
})

test('wrong password: a typed error, and no event', async () => {
  const page = await openTab(context, server.url)
  const code = await page.evaluate(() => session.signIn({ username: 'alice', password: 'nope' }).then(() => 'in', (e) => e.code))
  assert.equal(code, 'invalid_credentials')
  assert.equal((await counts(page)).signedin, 0)
})

test('the token never goes to a foreign origin', async () => {
  const page = await openTab(context, server.url)
  await signIn(page)
  const foreign = server.url.replace('127.0.0.1', 'localhost')
  const sent = page.waitForRequest((r) => r.url().startsWith(foreign))
  await page.evaluate((u) => session.fetch(`${u}/api/orders`, { mode: 'no-cors' }).catch(() => {}), foreign)
  assert.equal((await (await sent).allHeaders()).authorization, undefined)
})

describe('a thief with a copy of the refresh token', () => {
  /** What a thief does: takes cookie and CSRF token and renews from elsewhere. */
  async function thief() {
    const cookies = await context.cookies(`${server.url}/auth/refresh`)
    let refresh = cookies.find((c) => c.name === 'tacet_refresh').value
    const csrf = cookies.find((c) => c.name === 'tacet_csrf').value
    return async () => {
      const r = await fetch(`${server.url}/auth/refresh`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'user-agent': 'Thief/1.0' },
        body: JSON.stringify({ refresh_token: refresh }),
      })
      if (r.status === 200) refresh = (await r.json()).refresh_token ?? refresh
      return r.status
    }
  }

  for (const order of ['victim first', 'thief first', 'thief keeps up']) {
    test(`${order}: both out after at most two further renewals by each`, async () => {
      const page = await openTab(context, server.url)
      await signIn(page)
      const steal = await thief()
      const granted = { victim: 0, thief: 0 }
      const out = { victim: false, thief: false }
      const turn = async (who) => {
        if (out[who]) return
        const status = who === 'thief' ? await steal() : (await burst(page, 1))[0]
        if (status === 200) granted[who]++
        else out[who] = true
      }
      for (let round = 0; !(out.victim && out.thief); round++) {
        assert.ok(round < 6, `not detected: ${JSON.stringify(granted)}`)
        // "keeps up": every time, right after the victim or right before.
        const first = order === 'victim first' || (order === 'thief keeps up' && round % 2) ? 'victim' : 'thief'
        await server.advance(ACCESS_TTL)
        await turn(first)
        await server.advance(15_000) // past the overlap
        await turn(first === 'thief' ? 'victim' : 'thief')
      }
      assert.ok(granted.victim <= 2 && granted.thief <= 2, `noticed late: ${JSON.stringify(granted)}`)
      assert.equal((await counts(page)).signedout, 1)
      const reuse = (await server.events()).filter((e) => e.kind === 'reuse.detected').at(-1).data
      const agents = [reuse.head.user_agent, reuse.presented.user_agent]
      assert.ok(agents.includes('Thief/1.0'), `the event names ${agents}`)
      assert.ok(agents.some((a) => a.includes('Chrome')), `the event names ${agents}`)
      assert.ok(reuse.head.address && reuse.presented.address)
    })
  }
})
