// The rows of the table: what clients do today, and what this one must do.
import { describe, expect, test } from 'vitest'
import { burst, fakeTime, get, outcome, pass, run, signedIn, times } from './harness.js'

fakeTime()
const all = (n: number, x: unknown) => Array(n).fill(x)

test('50 × 401 in one tab: 50 ok, 1 renewal', async () => {
  const { tab, server } = await signedIn()
  server.expireAll()
  expect(await run(burst(tab, 50))).toEqual(all(50, 200))
  expect(server.count('/auth/refresh')).toBe(1)
})

for (const storage of ['memory', 'localStorage'] as const)
  for (const without of [[], ['locks']] as ('locks' | 'storage')[][])
    for (const n of [2, 5])
      test(`${n} tabs, ${storage}, without ${without}: 0 sign-outs in 40 runs, 1 renewal each`, async () => {
        const { world, tabs, server } = await signedIn({ without, seed: n }, n, { storage })
        for (let i = 1; i <= 40; i++) {
          server.expireAll()
          const before = server.count('/auth/refresh')
          const answers = await run(Promise.all(tabs.map((t) => burst(t, 3))))
          expect(answers.flat()).toEqual(all(3 * n, 200))
          expect(server.count('/auth/refresh') - before).toBe(1)
        }
        expect(tabs.flatMap((t) => t.events).includes('signedout')).toBe(false)
        expect(world.server.revocations).toEqual([])
      })

test('late 401 after the renewal: repeated with the new token, 1 renewal', async () => {
  const { world, tab, server } = await signedIn()
  let late = true
  world.fault = (path) => (path === '/api/late' && late ? ((late = false), { down: 500 }) : undefined)
  server.expireAll()
  const slow = outcome(get(tab, '/api/late'))
  expect(await run(burst(tab, 2))).toEqual([200, 200])
  expect(await run(slow)).toBe(200)
  expect(server.count('/auth/refresh')).toBe(1)
})

describe('a renewal that fails for now never signs out', () => {
  const faults = {
    'dropped by the network': { drop: true },
    '500': { answer: { status: 500 } },
    '503 with a problem document': { answer: { status: 503, body: '{"code":"temporarily_unavailable"}' } },
    'a portal page with status 200': { answer: { status: 200, body: '<html>Sign in to the Wi-Fi</html>' } },
    'a proxy that forbids': { answer: { status: 403, body: '<html>Forbidden</html>' } },
    '404': { answer: { status: 404, body: '{"code":"not_found"}' } },
  }
  for (const [name, fault] of Object.entries(faults)) {
    test(`${name}, for 3 s: the requests wait, and succeed`, async () => {
      const { world, tab, server } = await signedIn()
      const until = Date.now() + 3000
      world.fault = (path) => (path === '/auth/refresh' && Date.now() < until ? fault : undefined)
      server.expireAll()
      expect(await run(burst(tab, 5))).toEqual(all(5, 200))
      expect(times(tab, 'signedout')).toBe(0)
      expect(times(tab, 'failed')).toBeGreaterThan(0)
    })
    test(`${name}, for long: a typed error soon, and the next one recovers`, async () => {
      const { world, tab, server } = await signedIn()
      world.fault = (path) => (path === '/auth/refresh' ? fault : undefined)
      server.expireAll()
      const codes = await run(burst(tab, 5), 12_000)
      expect(codes).toEqual(all(5, 'drop' in fault ? 'network' : 'unavailable'))
      expect(tab.session.status).toBe('signedin')
      // Backing off: a dozen attempts at most in the five seconds, not hundreds.
      expect(tab.trace.filter((e) => e.type === 'renewing').length).toBeLessThan(30)
      world.fault = () => undefined
      expect(await run(burst(tab, 5))).toEqual(all(5, 200))
      expect(times(tab, 'signedout')).toBe(0)
    })
  }

  test('429: nothing is asked before Retry-After, then it recovers', async () => {
    const { world, tab, server } = await signedIn()
    let n = 0
    world.fault = (path) =>
      path === '/auth/refresh' && !n++ ? { answer: { status: 429, body: '{"code":"too_many_requests"}', headers: { 'retry-after': '30' } } } : undefined
    server.expireAll()
    const e = await run(get(tab).catch((e) => e), 2000)
    expect(e).toMatchObject({ code: 'unavailable', status: 429, retryAfter: 30_000 })
    expect(await run(burst(tab, 3), 2000)).toEqual(all(3, 'unavailable'))
    await pass(20_000)
    expect(await run(burst(tab, 3), 2000)).toEqual(all(3, 'unavailable'))
    expect(n).toBe(1)
    await pass(6000)
    // Four seconds to go: worth waiting for.
    expect(await run(burst(tab, 3), 6000)).toEqual(all(3, 200))
    expect(n).toBe(2)
  })

  test('online ends the waiting', async () => {
    const { world, tab, server } = await signedIn()
    world.fault = (path) => (path === '/auth/refresh' ? { answer: { status: 503, headers: { 'retry-after': '300' } } } : undefined)
    server.expireAll()
    expect(await run(burst(tab, 1))).toEqual(['unavailable'])
    world.fault = () => undefined
    tab.fire('online')
    expect(await run(burst(tab, 1), 1000)).toEqual([200])
  })

  test('the old token serves while it is valid', async () => {
    const { world, tab, server } = await signedIn()
    world.fault = (path) => (path === '/auth/refresh' ? { answer: { status: 503, headers: { 'retry-after': '60' } } } : undefined)
    await pass((server.lifetime - 30) * 1000)
    expect(await run(burst(tab, 3))).toEqual(all(3, 200))
  })
})

test('answer lost: recovers, also after an hour', async () => {
  for (const later of [0, 3_600_000]) {
    const { world, tab, server } = await signedIn()
    let n = 0
    world.fault = (path) => (path === '/auth/refresh' && n++ < (later ? 1000 : 1) ? { lose: true } : undefined)
    server.expireAll()
    expect(await run(burst(tab, 3))).toEqual(all(3, later ? 'network' : 200))
    await pass(later)
    n = 1000
    expect(await run(burst(tab, 3))).toEqual(all(3, 200))
    expect(server.revocations).toEqual([])
    expect(times(tab, 'signedout')).toBe(0)
  }
})

test('refused, 10 requests waiting in each of 3 tabs: all reject, 1 event per tab, 1 renewal', async () => {
  const redirects: string[] = []
  const { tabs, server } = await signedIn({}, 3, { onSignedOut: (e) => redirects.push(e.reason) })
  for (const s of server.sessions.values()) s.over = 'ended_by_admin'
  const answers = await run(Promise.all(tabs.map((t) => burst(t, 10))))
  expect(answers.flat()).toEqual(all(30, 'signedout'))
  await pass(2000)
  for (const t of tabs) {
    expect(times(t, 'signedout')).toBe(1)
    expect(t.session.status).toBe('signedout')
    expect(t.session.user).toBeUndefined()
  }
  expect(redirects.sort()).toEqual(['invalid_grant', 'tab', 'tab'])
  expect(server.count('/auth/refresh')).toBe(1)
  // From now on requests go out as they are.
  expect(await run(burst(tabs[0]!, 2))).toEqual([401, 401])
  expect(await run(burst(tabs[1]!, 1, '/public'))).toEqual([200])
  expect(server.count('/auth/refresh')).toBe(1)
})

for (const storage of ['memory', 'localStorage'] as const)
  test(`tab closed or reloaded in the middle of a renewal, ${storage}`, async () => {
    for (const ms of [1, 6, 12]) {
      const { world, tab, server } = await signedIn({}, 1, { storage })
      server.expireAll()
      void get(tab).catch(() => {})
      await pass(10 + ms)
      tab.close()
      const again = world.open({ storage })
      expect(await run(burst(again, 3))).toEqual(all(3, 200))
      expect(again.session.user?.username).toBe('alice')
      expect(server.revocations).toEqual([])
    }
  })

test('an API that always answers 401: 1 renewal, then the 401', async () => {
  const { tab, server } = await signedIn()
  server.always401.add('/api/broken')
  expect(await run(burst(tab, 4, '/api/broken'))).toEqual(all(4, 401))
  for (let i = 0; i < 4; i++) expect(await run(burst(tab, 1, '/api/broken'))).toEqual([401])
  expect(server.count('/auth/refresh')).toBe(1)
  // Also among calls that succeed, and for those that were held.
  for (let i = 0; i < 4; i++) {
    expect(await run(burst(tab, 1))).toEqual([200])
    expect(await run(burst(tab, 1, '/api/broken'))).toEqual([401])
  }
  expect(server.count('/auth/refresh')).toBe(1)
})

test('an API that always answers 401, polled for 32 s among calls that succeed: bounded', async () => {
  const { tab, server } = await signedIn()
  server.always401.add('/api/broken')
  for (let i = 0; i < 64; i++) {
    void burst(tab, 1, '/api/broken')
    void burst(tab, 1)
    await pass(500)
  }
  expect(server.count('/auth/refresh')).toBeLessThanOrEqual(4)
})

test('a token that worked and stopped working is renewed however young it is', async () => {
  const { tab, server } = await signedIn()
  for (let i = 1; i <= 5; i++) {
    server.expireAll()
    expect(await run(burst(tab, 3))).toEqual(all(3, 200))
    expect(server.count('/auth/refresh')).toBe(i)
  }
})

test('renewal never answered: own time-out, a typed error, recovery', async () => {
  const { world, tab, server } = await signedIn()
  world.fault = (path) => (path === '/auth/refresh' ? { hang: true } : undefined)
  server.expireAll()
  const start = Date.now()
  expect(await run(burst(tab, 5), 15_000)).toEqual(all(5, 'network'))
  expect(Date.now() - start).toBeLessThan(11_000)
  world.fault = () => undefined
  expect(await run(burst(tab, 5))).toEqual(all(5, 200))
  expect(times(tab, 'signedout')).toBe(0)
})

test('one-shot stream: a fresh token first, never repeated', async () => {
  const { tab, server } = await signedIn()
  const upload = (path = '/api/upload') =>
    get(tab, path, {
      method: 'POST',
      body: new ReadableStream({
        start(c) {
          c.enqueue(new TextEncoder().encode('once'))
          c.close()
        },
      }),
      duplex: 'half',
    } as RequestInit)
  // Within the lead of its expiry the token is renewed first.
  await pass((server.lifetime - 30) * 1000)
  expect(await run(outcome(upload()))).toBe(200)
  expect(server.count('/auth/refresh')).toBe(1)
  expect(server.hits.filter((h) => h.path === '/api/upload').map((h) => h.status)).toEqual([200])
  // A 401 in spite of that: a clear error, and a new token for the next try.
  server.expireAll()
  expect(await run(outcome(upload()))).toBe('not_repeatable')
  expect(server.hits.filter((h) => h.path === '/api/upload').map((h) => h.status)).toEqual([200, 401])
  expect(await run(outcome(upload()))).toBe(200)
  expect(server.count('/auth/refresh')).toBe(2)
})

test('a 403 of the API never renews', async () => {
  const { tab, server } = await signedIn()
  expect(await run(burst(tab, 3, '/api/forbidden'))).toEqual(all(3, 403))
  expect(server.count('/auth/refresh')).toBe(0)
})
