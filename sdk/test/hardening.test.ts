// What was found broken, each by the test that shows it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { TacetError } from '../src/core/error.js'
import { createSessions } from '../src/adapters/sessions.js'
import { createSessionOn } from '../src/core/session.js'
import { alice, bob, burst, fakeTime, get, outcome, pass, run, signedIn, times } from './harness.js'
import { ORIGIN, World, type Fault } from './world.js'

fakeTime()
const problem = (status: number, body: object): Fault =>
  ({ answer: { status, body: JSON.stringify(body), headers: { 'content-type': 'application/problem+json' } } })
const everything = { drop: true }
const nothing = () => undefined

describe('start-up races and storage', () => {
  test('a sign-in beside a renewal that is refused succeeds', async () => {
    const { world, tab, server } = await signedIn()
    for (const s of server.sessions.values()) s.over = 'ended_by_admin'
    world.fault = (path) => (path === '/auth/refresh' ? { down: 300 } : undefined)
    const waiting = burst(tab, 1)
    await pass(100)
    const user = await run(tab.session.signIn(bob))
    expect(user.username).toBe('bob')
    expect(await run(waiting)).toEqual(['signedout'])
    await pass(2000)
    expect(tab.session.status).toBe('signedin')
    expect(await run(burst(tab, 1))).toEqual([200])
    expect(server.sessions.size).toBe(2)
  })

  test('a page that loads while the server is down: offline, and signed in by itself when it is back', async () => {
    const { world, tab } = await signedIn()
    tab.close()
    world.fault = () => everything
    const next = world.open()
    expect(next.session.status).toBe('loading')
    await run(next.session.ready, 8000)
    expect(next.session.status).toBe('offline')
    await pass(120_000)
    const attempts = next.trace.filter((e) => e.type === 'renewing').length
    expect(attempts).toBeLessThan(25)
    world.fault = nothing
    await pass(60_000)
    expect([next.session.status, next.session.user?.username]).toEqual(['signedin', 'alice'])
  })

  for (const tabs of [1, 3])
    test(`body delivery without localStorage, ${tabs} tabs: renewed again and again`, async () => {
      const { tabs: all, server } = await (async () => {
        const world = new World({ without: ['storage'] })
        const opened = Array.from({ length: tabs }, () => world.open({ delivery: 'body' }))
        await run(opened[0]!.session.signIn(alice))
        await pass(50)
        return { tabs: opened, server: world.server }
      })()
      for (let i = 1; i <= 4; i++) {
        server.expireAll()
        expect((await run(Promise.all(all.map((t) => burst(t, 2))))).flat()).toEqual(Array(2 * tabs).fill(200))
        await pass(1000)
      }
      expect(all.flatMap((t) => t.events)).not.toContain('signedout')
      expect(server.revocations).toEqual([])
    })

  test('one endpoint that always answers 401 does not stop the renewals of others', async () => {
    const { tab, server } = await signedIn()
    server.always401.add('/api/broken')
    expect(await run(burst(tab, 2, '/api/broken'))).toEqual([401, 401])
    server.expireAll()
    expect(await run(burst(tab, 2))).toEqual([200, 200])
    expect(await run(burst(tab, 2, '/api/broken'))).toEqual([401, 401])
    expect(server.count('/auth/refresh')).toBe(2)
  })

  test('keys of others in localStorage wake nothing', async () => {
    const { tab, server } = await signedIn()
    await pass(server.lifetime * 1000 + 1)
    tab.fire('storage', { key: 'theme' })
    await pass(1000)
    expect(server.count('/auth/refresh')).toBe(0)
    tab.fire('storage', { key: 'tacet:' + ORIGIN + '/auth' })
    await pass(1000)
    expect(server.count('/auth/refresh')).toBe(1)
  })

  test('nothing is left behind in localStorage', async () => {
    const { world, tab, server } = await signedIn()
    expect([...world.disk]).toEqual([])
    server.expireAll()
    await run(burst(tab, 1))
    expect([...world.disk]).toEqual([])
    await run(tab.session.signOut())
    expect([...world.disk]).toEqual([])
  })

  test('a hidden tab whose timers are slow holds up nobody', async () => {
    // The other tab's word comes late, so that the hidden one finds newer cookies and no token when it has the lock.
    const { tabs, server } = await signedIn({ gossip: () => 5000 }, 2)
    const [hidden, visible] = tabs as [typeof tabs[0] & {}, typeof tabs[0] & {}]
    hidden.hidden = true
    server.expireAll()
    void burst(visible, 1)
    void burst(hidden, 1)
    await pass(200)
    server.expireAll()
    const start = Date.now()
    expect(await run(burst(visible, 2))).toEqual([200, 200])
    expect(Date.now() - start).toBeLessThan(2000)
    await pass(10_000)
    expect(tabs.map((t) => t.timersUnderLock)).toEqual([0, 0])
  })

  test('destroy: the channel is closed, and nothing can be done with the object', async () => {
    const { world, tabs } = await signedIn({}, 2)
    const [tab] = tabs
    expect(world.channels.length).toBe(2)
    tab!.session.destroy()
    expect(world.channels.length).toBe(1)
    const n = world.server.hits.length
    const { session } = tab!
    expect(await run(outcome(get(tab!)))).toBe('unavailable')
    expect(await run(session.getAccessToken().catch((e) => e.code))).toBe('unavailable')
    expect(await run(session.signIn(bob).catch((e) => e.code))).toBe('unavailable')
    expect(await run(session.signOut())).toBe(false)
    expect([session.status, session.user]).toEqual(['signedout', undefined])
    tab!.fire('online')
    tab!.fire('pageshow')
    await pass(100_000)
    expect(world.server.hits.length).toBe(n)
    expect(world.channels.length).toBe(1)
    expect(tabs[1]!.session.status).toBe('signedin')
  })

  test('no token is ever in the trace', async () => {
    const seen: unknown[] = []
    const { tab, server } = await signedIn({}, 1, { trace: (e) => void seen.push(e) })
    server.expireAll()
    await run(tab.session.fetch(new Request(ORIGIN + '/api/x', { method: 'POST', body: 'x' })))
    expect(seen.length).toBeGreaterThan(5)
    for (const e of seen as { detail?: object }[]) {
      expect(JSON.stringify(e)).not.toMatch(/at-\d|Bearer/)
      expect(Object.prototype.toString.call(e.detail)).not.toBe('[object Request]')
    }
    expect(seen).toContainEqual(expect.objectContaining({ type: 'request', detail: { method: 'POST', url: ORIGIN + '/api/x' } }))
  })

  test('share: false keeps the token to the tab; sign-out is still everybody\'s', async () => {
    const heard: { type: string }[] = []
    const world = new World()
    world.channels.push({ name: 'tacet:' + ORIGIN + '/auth', tab: world.open(), hear: ({ data }) => void heard.push(data) })
    const tabs = [world.open({ share: false }), world.open({ share: false })]
    await run(tabs[0]!.session.signIn(alice))
    await run(tabs[1]!.session.getAccessToken())
    tabs[1]!.fire('visibilitychange')
    await run(burst(tabs[1]!, 1))
    expect(heard.map((m) => m.type)).not.toContain('token')
    expect(tabs[1]!.session.user?.username).toBe('alice')
    await run(tabs[1]!.session.signOut())
    await pass(20)
    expect(tabs[0]!.session.status).toBe('signedout')
  })
})

describe('back/forward cache', () => {
  test('the channel is closed while the page is away', async () => {
    const { world, tab } = await signedIn()
    tab.fire('pagehide', { persisted: true })
    expect(world.channels.length).toBe(0)
    tab.fire('pageshow', { persisted: true })
    expect(world.channels.length).toBe(1)
    expect(tab.session.user?.username).toBe('alice')
  })

  test('somebody else has signed in meanwhile: the old user is gone at once, and the requests of before are nobody\'s', async () => {
    const { world, tabs } = await signedIn({}, 2)
    const [away, other] = tabs
    away!.fire('pagehide', { persisted: true })
    await run(other!.session.signOut())
    await run(other!.session.signIn(bob))
    other!.close()
    away!.fire('pageshow', { persisted: true })
    expect([away!.session.status, away!.session.user]).toEqual(['loading', undefined])
    await pass(200)
    // The page said whose renewal it wants: the server does not answer it as somebody else.
    expect(away!.events.filter((e) => e !== 'renewed')).toEqual(['signedin', 'signedout'])
    expect(away!.session.status).toBe('signedout')
    expect(world.server.revocations).toEqual([])
  })

  test('signed out meanwhile: at once', async () => {
    const { tabs } = await signedIn({}, 2)
    const [away, other] = tabs
    away!.fire('pagehide', { persisted: true })
    await run(other!.session.signOut())
    away!.fire('pageshow', { persisted: true })
    expect([away!.session.status, away!.session.user]).toEqual(['signedout', undefined])
    await pass(10)
    expect(times(away!, 'signedout')).toBe(1)
  })

  test('renewed meanwhile by another tab: the same user again, at once', async () => {
    const { tabs, server } = await signedIn({}, 2)
    const [away, other] = tabs
    away!.fire('pagehide', { persisted: true })
    server.expireAll()
    await run(burst(other!, 1))
    away!.fire('pageshow', { persisted: true })
    await pass(60)
    expect(away!.session.user?.username).toBe('alice')
    expect(await run(burst(away!, 1))).toEqual([200])
    expect(server.count('/auth/refresh')).toBe(1)
  })
})

test('five seconds of patience are five seconds', async () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    const { world, tab, server } = await signedIn({ seed })
    world.fault = (path) => (path === '/auth/refresh' ? { answer: { status: 503 } } : undefined)
    server.expireAll()
    const start = Date.now()
    expect(await run(burst(tab, 1))).toEqual(['unavailable'])
    const waited = Date.now() - start
    expect(waited).toBeGreaterThanOrEqual(5000)
    expect(waited).toBeLessThan(5500)
  }
})

test('a page load without other tabs: no waiting for them, and one question who is signed in', async () => {
  const { world, tab, server } = await signedIn()
  tab.close()
  const start = Date.now()
  const next = world.open()
  await run(next.session.ready)
  expect(Date.now() - start).toBeLessThan(80)
  expect(server.count('/auth/me')).toBe(1)
  // Grants take the response from the session.
  expect(await next.session.me!()!.json()).toMatchObject({ user: { username: 'alice' } })
  expect(next.session.me!()).toBeUndefined()
})

test('the message of an error is the sentence that the server has for people', async () => {
  const { world, tab } = await signedIn()
  world.fault = (path) => (path === '/auth/login' ? problem(429, { code: 'too_many_requests', title: 'Too many', detail: 'Try again in 30 seconds.' }) : undefined)
  const e = await run(tab.session.signIn(bob).catch((e) => e))
  expect([e.code, e.message]).toEqual(['too_many_requests', 'Try again in 30 seconds.'])
  world.fault = (path) => (path === '/auth/login' ? everything : undefined)
  const lost = await run(tab.session.signIn(bob).catch((e) => e))
  expect([lost.code, lost.message]).toEqual(['network', 'The server cannot be reached. Please try again.'])
})

test('a worker: a clear error with cookies, and a session with body delivery', async () => {
  const world = new World({ without: ['document'] })
  expect(() => world.open()).toThrow(/worker.*delivery: 'body'/)
  const tab = world.open({ delivery: 'body' })
  await run(tab.session.signIn(alice))
  world.server.expireAll()
  expect(await run(burst(tab, 3))).toEqual([200, 200, 200])
})

test('no window at all (a server, React Native): a session with body delivery and an absolute address', async () => {
  const world = new World()
  const { fetch } = world.window(world.open())
  const session = createSessionOn({ fetch, AbortSignal, performance, Date, setTimeout }, { baseURL: ORIGIN + '/auth', delivery: 'body' })
  await run(session.signIn(alice))
  world.server.expireAll()
  expect(await run(outcome(session.fetch(ORIGIN + '/api/orders')))).toBe(200)
  expect(() => createSessionOn({ fetch, AbortSignal, performance, Date, setTimeout }, { baseURL: ORIGIN + '/auth' })).toThrow(/delivery: 'body'/)
  session.destroy()
})

test('Retry-After as a date, by the clock of the server', async () => {
  const { world, tab, server } = await signedIn()
  const date = Date.now() - 3_600_000 // the server's clock is an hour behind
  world.fault = (path) =>
    path === '/auth/refresh'
      ? { answer: { status: 503, headers: { date: new Date(date).toUTCString(), 'retry-after': new Date(date + 60_000).toUTCString() } } }
      : undefined
  server.expireAll()
  const e = await run(get(tab).catch((e) => e), 2000)
  expect(e).toMatchObject({ code: 'unavailable', retryAfter: 60_000 })
})

describe('streams', () => {
  test('where the platform cannot send one: the same typed error in every client, and nothing is sent', async () => {
    const { tab, server } = await signedIn()
    const stream = () => new ReadableStream({ start: (c) => c.close() })
    const real = globalThis.Request
    // As Firefox does it: a stream is the text "[object ReadableStream]".
    globalThis.Request = class extends real {
      constructor(input: RequestInfo | URL, init?: RequestInit) {
        super(input, init?.body instanceof ReadableStream ? { method: init.method!, body: String(init.body) } : init)
      }
    }
    try {
      const n = server.hits.length
      const e = await run(get(tab, '/api/upload', { method: 'POST', body: stream() }).catch((e) => e))
      expect([e.name, e.code]).toEqual(['TacetError', 'unsupported_body'])
      expect(server.hits.length).toBe(n)
    } finally {
      globalThis.Request = real
    }
    // Where it can, a stream needs no more than being one.
    expect(await run(outcome(get(tab, '/api/upload', { method: 'POST', body: stream() })))).toBe(200)
  })
})

describe('only a final refusal of the session server ends a session', () => {
  const grant = { code: 'invalid_grant' }
  for (const status of [400, 401, 403])
    test(`${status}, problem document, invalid_grant`, async () => {
      const { world, tab, server } = await signedIn()
      world.fault = (path) => (path === '/auth/refresh' ? problem(status, grant) : undefined)
      server.expireAll()
      expect(await run(burst(tab, 1))).toEqual(['signedout'])
    })
  const others: Record<string, Fault> = {
    'csrf': problem(403, { code: 'csrf' }),
    'another code': problem(401, { code: 'invalid_token' }),
    'a firewall': { answer: { status: 403, body: '{"code":403}', headers: { 'content-type': 'application/json' } } },
    'a firewall with status 200': { answer: { status: 200, body: '{"code":429}', headers: { 'content-type': 'application/json' } } },
    'not a problem document': { answer: { status: 400, body: JSON.stringify(grant), headers: { 'content-type': 'application/json' } } },
    'HTML': { answer: { status: 401, body: '<html>', headers: { 'content-type': 'text/html' } } },
    'another status': problem(404, grant),
    'a code that is a number': problem(403, { code: 403 }),
    'no object': { answer: { status: 400, body: '"invalid_grant"', headers: { 'content-type': 'application/problem+json' } } },
  }
  for (const [name, fault] of Object.entries(others))
    test(`${name}: may be tried again`, async () => {
      const { world, tab, server } = await signedIn()
      world.fault = (path) => (path === '/auth/refresh' ? fault : undefined)
      server.expireAll()
      expect(await run(burst(tab, 2))).toEqual(['unavailable', 'unavailable'])
      expect(tab.session.status).toBe('signedin')
      world.fault = nothing
      expect(await run(burst(tab, 2))).toEqual([200, 200])
      expect(times(tab, 'signedout')).toBe(0)
    })

  test('the set is that of the server', () => {
    const wire = readFileSync('../wire/wire.go', 'utf8')
    expect(wire).toMatch(/CodeInvalidGrant += "invalid_grant"/)
  })
})

describe('cookies', () => {
  test('the CSRF cookie goes by both names, and by no other', async () => {
    const { csrf } = await import('../src/core/transport.js')
    expect(csrf('a=b; tacet_csrf=1.x; c=d')).toBe('1.x')
    expect(csrf('__Host-tacet_csrf=2.y')).toBe('2.y')
    expect(csrf('XSRF-TOKEN=eyJ; my_tacet_csrf=1.z; tacet_csrf=')).toBe('')
  })

  test('a renewal says whose it is; cookies of another session are a typed error, never another user', async () => {
    const { world, tab, server } = await signedIn({}, 1, { timeout: 500 })
    server.expireAll()
    await run(burst(tab, 1))
    expect(server.expected).toEqual([[...server.sessions.keys()][0]])
    // Another application, or a page without the SDK, signs somebody else in.
    world.jar = {}
    const other = world.open()
    await run(other.session.signIn(bob))
    other.close()
    const mine = { ...world.jar }
    const reasons: string[] = []
    tab.session.on('signedout', (e) => void reasons.push(e.reason))
    // The page has not heard of it.
    await pass(100)
    if (tab.session.user?.username === 'alice') {
      server.expireAll()
      expect(await run(burst(tab, 2))).toEqual(['other_session', 'other_session'])
      expect(reasons).toEqual(['other_session'])
    }
    expect(tab.session.user?.username).not.toBe('alice')
    // The other session is as it was.
    expect(world.jar).toEqual(mine)
    expect([...server.sessions.values()].filter((s) => !s.over).length).toBe(2)
  })
})

describe('the session object', () => {
  test('renew: only when there is a reason, or by force', async () => {
    const { tab, server } = await signedIn()
    await run(tab.session.renew())
    expect(server.count('/auth/refresh')).toBe(0)
    await run(tab.session.renew({ force: true }))
    expect(server.count('/auth/refresh')).toBe(1)
    await run(tab.session.signOut())
    expect(await run(tab.session.renew().catch((e) => e.code))).toBe('signedout')
  })

  test('sessions: list and end', async () => {
    const { world, tab, server } = await signedIn()
    const own = [...server.sessions.keys()][0]!
    world.jar = {}
    const other = world.open({ share: false })
    await run(other.session.signIn(alice))
    const sessions = createSessions(other.session, { baseURL: ORIGIN + '/auth' })
    const list = await run(sessions.list())
    expect(list.map((s) => s.id)).toContain(own)
    await run(sessions.end(own))
    expect(server.sessions.get(own)!.over).toBe('ended')
    expect(await run(sessions.end('nobody').catch((e) => [e.code, e.status]))).toEqual(['not_found', 404])
    void tab
  })
})

test('what users read is what is tested: few type escapes, short functions', () => {
  const files = readdirSync('src', { recursive: true }).map(String).filter((f) => f.endsWith('.ts'))
  const escapes = files.flatMap((f) =>
    readFileSync(join('src', f), 'utf8')
      .split('\n')
      // Module augmentation has to repeat the parameters of axios.
      .filter((line) => /\bas (any|never|unknown)\b|[:=] any\b|@ts-/.test(line) && !/^\s*(\*|interface AxiosRequestConfig)/.test(line))
      .map((line) => `${f}: ${line.trim()}`),
  )
  expect(escapes.length, escapes.join('\n')).toBeLessThanOrEqual(6)
  expect(new TacetError('signedout').message).toMatch(/^You/)
})
