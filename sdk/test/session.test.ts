// Sign-in and sign-out, other tabs, time, requests that are not plain.
import { describe, expect, test, vi } from 'vitest'
import { alice, bob, burst, fakeTime, get, outcome, pass, run, signedIn, times } from './harness.js'
import { ORIGIN, World, type Tab } from './world.js'

fakeTime()
const alive = (w: World) => [...w.server.sessions.values()].filter((s) => !s.over).length

describe('sign-out', () => {
  for (const tabs of [1, 2])
    for (const [up, down] of [
      [5, 1000],
      [1000, 5],
      [300, 700],
    ])
      test(`beats a renewal in flight (answer ${up}+${down} ms, renewing in tab ${tabs} of ${tabs})`, async () => {
        const { world, tabs: all, server } = await signedIn({}, tabs)
        const renewing = all.at(-1)!
        world.fault = (path) => (path === '/auth/refresh' ? { up: up!, down: down! } : undefined)
        server.expireAll()
        const waiting = burst(renewing, 3)
        await pass(100)
        const out = all[0]!.session.signOut()
        expect(all[0]!.session.status).toBe('signedout')
        expect(await run(waiting, 500)).toEqual(Array(3).fill('signedout'))
        expect(await run(out)).toBe(true)
        await pass(3000)
        for (const t of all) {
          expect(t.session.status).toBe('signedout')
          expect(times(t, 'signedout')).toBe(1)
        }
        expect(alive(world)).toBe(0)
        expect(world.jar).toEqual({})
        // Nor does it come back with the next page.
        const next = world.open()
        await run(next.session.ready)
        expect(next.session.status).toBe('signedout')
        expect(next.events).toEqual([])
        expect(server.count('/auth/logout')).toBe(1)
      })

  test('without a network: out at once, told to the server later, and not back after a reload', async () => {
    for (const delivery of ['cookie', 'body'] as const) {
      const { world, tab } = await signedIn({}, 1, { delivery })
      world.fault = () => ({ drop: true })
      expect(await run(tab.session.signOut())).toBe(false)
      expect(tab.session.status).toBe('signedout')
      tab.close()
      const next = world.open({ delivery })
      await run(next.session.ready)
      expect(next.session.status).toBe('signedout')
      expect(next.events).toEqual([])
      expect(alive(world)).toBe(1)
      world.fault = () => undefined
      next.fire('online')
      await pass(1000)
      expect(alive(world)).toBe(0)
      await run(next.session.signIn(bob))
      expect(next.session.user?.username).toBe('bob')
      await pass(1000)
      expect(alive(world)).toBe(1)
    }
  })

  test('kept for later, it never ends the session of who signed in since', async () => {
    const { world, tab } = await signedIn()
    world.fault = (path) => (path === '/auth/logout' ? { drop: true } : undefined)
    await run(tab.session.signOut())
    await run(tab.session.signIn(bob))
    world.fault = () => undefined
    tab.fire('online')
    await pass(1000)
    expect(await run(burst(tab, 1))).toEqual([200])
    expect(tab.session.user?.username).toBe('bob')
  })

  test('undoes a sign-in that is under way', async () => {
    const world = new World({ fault: (path) => (path === '/auth/login' ? { down: 500 } : undefined) })
    const tab = world.open()
    const entering = tab.session.signIn(alice).catch((e) => e.code)
    await pass(100)
    const out = tab.session.signOut()
    expect(await run(entering)).toBe('signedout')
    await run(out)
    await pass(1000)
    expect(tab.session.status).toBe('signedout')
    expect(alive(world)).toBe(0)
    expect(world.jar).toEqual({})
  })

  test('everywhere ends the other sessions of the user', async () => {
    const { world, tab } = await signedIn()
    world.jar = {}
    const other = world.open()
    await run(other.session.signIn(alice))
    expect(alive(world)).toBe(2)
    await run(other.session.signOut({ everywhere: true }))
    expect(alive(world)).toBe(0)
    void tab
  })

  test('twice is one event; when nobody is signed in it is none', async () => {
    const { tab } = await signedIn()
    await run(Promise.all([tab.session.signOut(), tab.session.signOut()]))
    expect(await run(tab.session.signOut())).toBe(true)
    expect(times(tab, 'signedout')).toBe(1)
  })
})

describe('other tabs', () => {
  for (const without of [[], ['locks'], ['storage']] as ('locks' | 'storage')[][])
    for (const storage of ['memory', 'localStorage'] as const)
      test(`learn of sign-out and sign-in at once (${storage}, without ${without})`, async () => {
        const { tabs, server } = await signedIn({ without }, 3, { storage })
        void tabs[0]!.session.signOut()
        await pass(20)
        for (const t of tabs) expect(t.session.status).toBe('signedout')
        await pass(500)
        await run(tabs[2]!.session.signIn(bob))
        await pass(20)
        for (const t of tabs) expect(t.session.user?.username).toBe('bob')
        for (const t of tabs) expect(times(t, 'signedout')).toBe(1)
        for (const t of tabs) expect(times(t, 'signedin')).toBe(2)
        expect(server.count('/auth/refresh')).toBe(0)
      })

  test('start with another tab\'s token, without a renewal', async () => {
    const { world, server } = await signedIn()
    const second = world.open()
    await run(second.session.ready)
    expect(second.session.user?.username).toBe('alice')
    expect(server.count('/auth/refresh')).toBe(0)
    expect(server.count('/auth/me')).toBe(0)
  })

  test('of nobody: the first page starts silently, and asks nobody', async () => {
    const world = new World()
    const tab = world.open()
    expect(tab.session.status).toBe('signedout')
    await run(tab.session.ready)
    expect(await run(burst(tab, 1, '/public'))).toEqual([200])
    expect(await run(tab.session.getAccessToken())).toBeUndefined()
    expect(world.server.hits.length).toBe(1)
    expect(tab.events).toEqual([])
  })

  test('a request of the one user is not repeated as the other', async () => {
    const { world, tabs } = await signedIn({}, 2)
    world.fault = (path) => (path === '/api/slow' ? { up: 300 } : undefined)
    const slow = outcome(get(tabs[0]!, '/api/slow'))
    await pass(50)
    await run(tabs[1]!.session.signOut(), 200)
    await run(tabs[1]!.session.signIn(bob), 200)
    expect(await run(slow)).toBe('signedout')
    expect(world.server.hits.filter((h) => h.path === '/api/slow').length).toBe(1)
  })

  test('slow gossip costs renewals, never the session', async () => {
    const { tabs, server } = await signedIn({ gossip: () => 3000 }, 3)
    server.expireAll()
    const answers = await run(Promise.all(tabs.map((t) => burst(t, 3))))
    expect(answers.flat()).toEqual(Array(9).fill(200))
    expect(server.count('/auth/refresh')).toBeLessThanOrEqual(6)
    expect(server.revocations).toEqual([])
  })
})

describe('reload', () => {
  test('localStorage: signed in at once, without a request', async () => {
    const { world, tab } = await signedIn({}, 1, { storage: 'localStorage' })
    tab.close()
    const n = world.server.hits.length
    const next = world.open({ storage: 'localStorage' })
    expect(next.session.status).toBe('signedin')
    expect(next.session.user?.username).toBe('alice')
    await run(next.session.ready)
    expect(next.events).toContain('signedin')
    expect(await run(burst(next, 1))).toEqual([200])
    expect(world.server.hits.length).toBe(n + 1)
  })
  test('memory: one renewal, and the name from /me', async () => {
    const { world, tab, server } = await signedIn()
    tab.close()
    const next = world.open()
    expect(next.session.status).toBe('loading')
    await run(next.session.ready)
    expect(next.session.user?.username).toBe('alice')
    expect(server.count('/auth/refresh')).toBe(1)
  })
  test('the session ended meanwhile: one event, and silence on the page after', async () => {
    const { world, tab, server } = await signedIn()
    tab.close()
    server.sessions.clear() // unknown to the server: it clears no cookie
    const next = world.open()
    await run(next.session.ready)
    await pass(100)
    expect(next.events).toEqual(['signedout'])
    next.close()
    const again = world.open()
    await run(again.session.ready)
    await pass(100)
    expect(again.events).toEqual([])
    expect(server.count('/auth/refresh')).toBe(1)
  })
})

describe('time', () => {
  test('a token in use is renewed before it expires, and no request is held', async () => {
    const { tab, server } = await signedIn()
    for (let i = 0; i < 100; i++) {
      expect(await run(burst(tab, 1))).toEqual([200])
      await pass(20_000)
    }
    expect(server.count('/auth/refresh')).toBe(2)
    expect(tab.trace.filter((e) => e.type === 'held' || e.type === 'unauthorized')).toEqual([])
  })
  test('a page that is hidden or not in use leaves the session alone', async () => {
    const { tab, server } = await signedIn()
    await pass(3_000_000)
    expect(server.count('/auth/refresh')).toBe(0)
    expect(await run(burst(tab, 5))).toEqual(Array(5).fill(200))
    tab.hidden = true
    await pass(3_000_000)
    expect(server.count('/auth/refresh')).toBe(1)
    tab.hidden = false
    tab.fire('visibilitychange')
    await pass(100)
    expect(server.count('/auth/refresh')).toBe(2)
  })
  for (const hours of [-2, 2])
    test(`a device clock that is ${hours} h off, and one that is set by ${hours} h, change nothing`, async () => {
      const { tab, server } = await signedIn()
      expect(await run(burst(tab, 3))).toEqual([200, 200, 200])
      const shift = hours * 3_600_000
      // The server's clock is its own.
      for (const a of server.access.values()) a.until += shift
      vi.setSystemTime(Date.now() + shift)
      // Set back, the age of the token is unknown: it is renewed rather than trusted.
      expect(await run(tab.session.getAccessToken())).toBe('at-3')
      for (let i = 0; i < 5; i++) expect(await run(burst(tab, 3))).toEqual([200, 200, 200])
      expect(server.count('/auth/refresh')).toBeLessThanOrEqual(1)
      expect(times(tab, 'signedout')).toBe(0)
    })
  test('sleep: the clock goes on, timers do not, and the first request is right', async () => {
    const { tab, server } = await signedIn()
    vi.setSystemTime(Date.now() + 8 * 3_600_000)
    expect(await run(tab.session.getAccessToken())).toMatch(/^at-/)
    expect(server.count('/auth/refresh')).toBe(1)
    expect(tab.trace.filter((e) => e.type === 'unauthorized')).toEqual([])
  })
})

describe('requests', () => {
  test('an aborted waiter leaves alone, and does not cancel the renewal', async () => {
    const { world, tab, server } = await signedIn()
    world.fault = (path) => (path === '/auth/refresh' ? { down: 1000 } : undefined)
    server.expireAll()
    const c = new AbortController()
    const first = outcome(get(tab, '/api/a', { signal: c.signal }))
    const second = outcome(get(tab, '/api/b'))
    await pass(100)
    c.abort()
    expect(await run(first, 100)).toBe('AbortError')
    expect(await run(second)).toBe(200)
    expect(server.count('/auth/refresh')).toBe(1)
  })
  test('one that starts while a renewal runs waits for it', async () => {
    const { world, tab, server } = await signedIn()
    world.fault = (path) => (path === '/auth/refresh' ? { down: 500 } : undefined)
    server.expireAll()
    const first = outcome(get(tab, '/api/first'))
    await pass(100)
    const second = outcome(get(tab, '/api/second'))
    expect(await run(Promise.all([first, second]))).toEqual([200, 200])
    expect(server.hits.filter((h) => h.path === '/api/second').map((h) => h.status)).toEqual([200])
    const steps = tab.trace.map((e) => e.type + (e.id ?? ''))
    // What README.md promises to those who draw timelines.
    expect(steps.slice(steps.indexOf('request1')).join(' ')).toBe(
      'request1 sent1 unauthorized1 held1 renewing request2 held2 renewed repeat1 sent2 settled1 settled2',
    )
  })
  test('bodies are repeated byte for byte, as they were when fetch was called', async () => {
    const { tab, server } = await signedIn()
    const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => i * 31)
    const form = new FormData()
    form.append('a', 'ä')
    form.append('f', new Blob([bytes]), 'x.bin')
    const bodies: [string, () => BodyInit][] = [
      ['string', () => 'grüße'],
      ['typed array', () => bytes],
      ['buffer', () => bytes.buffer.slice(0)],
      ['blob', () => new Blob([bytes], { type: 'image/x' })],
      ['params', () => new URLSearchParams({ a: '1', b: '&' })],
      ['form', () => form],
    ]
    for (const [name, make] of bodies)
      for (const asRequest of [false, true]) {
        server.expireAll()
        server.hits = []
        const url = ORIGIN + '/api/upload'
        const init = { method: 'POST', body: make() }
        const p = outcome(asRequest ? tab.session.fetch(new Request(url, init)) : tab.session.fetch(url, init))
        if (name === 'form') form.set('a', 'changed by the caller')
        expect(await run(p)).toBe(200)
        const [one, two] = server.hits.filter((h) => h.path === '/api/upload')
        expect([one!.status, two!.status]).toEqual([401, 200])
        expect(two!.body).toEqual(one!.body)
        expect(two!.type).toBe(one!.type)
        expect(one!.body.length).toBeGreaterThan(0)
      }
  })
  test('the token goes to the page, to the server and to listed origins, and nowhere else', async () => {
    const world = new World()
    const tab = world.open({ origins: ['https://api.test'] })
    await run(tab.session.signIn(alice))
    const auth: Record<string, string | null> = {}
    for (const url of ['https://app.test/api/x', 'https://api.test/x', 'https://evil.test/x', 'http://app.test/x', 'https://app.test.evil.test/x']) {
      await run(tab.session.fetch(url))
      auth[url] = world.server.hits.at(-1)!.auth
    }
    expect(Object.values(auth).map((a) => a !== null)).toEqual([true, true, false, false, false])
  })
  test('opt-out: tacet: false, or an Authorization header of its own', async () => {
    const { tab, server } = await signedIn()
    expect(await run(tab.session.fetch(ORIGIN + '/api/x', { tacet: false })).then((r) => r.status)).toBe(401)
    expect(await run(get(tab, '/api/x', { headers: { authorization: 'Basic x' } })).then((r) => r.status)).toBe(401)
    expect(server.hits.slice(-2).map((h) => h.auth)).toEqual([null, 'Basic x'])
    expect(server.count('/auth/refresh')).toBe(0)
  })
  test('wrong password: the server\'s code and words, and the session as it was', async () => {
    const { tab } = await signedIn()
    const e = await run(tab.session.signIn({ username: 'bob', password: 'wrong' }).catch((e) => e))
    expect(e).toMatchObject({ name: 'TacetError', code: 'invalid_credentials', message: 'Wrong name or password', status: 400 })
    expect(tab.session.user?.username).toBe('alice')
  })
  test('a listener or trace that throws disturbs nobody', async () => {
    const rejections: unknown[] = []
    const note = (e: unknown) => void rejections.push(e)
    process.on('unhandledRejection', note)
    const { tab, server } = await signedIn({}, 1, {
      trace: () => {
        throw new Error('from trace')
      },
    })
    const heard: string[] = []
    tab.session.on('renewed', () => {
      throw new Error('from listener')
    })
    const off = tab.session.on('renewed', () => void heard.push('gone'))
    tab.session.on('renewed', () => void heard.push('heard'))
    off()
    server.expireAll()
    expect(await run(burst(tab, 2))).toEqual([200, 200])
    expect(heard).toEqual(['heard'])
    await new Promise((ok) => setImmediate(ok))
    process.off('unhandledRejection', note)
    // As an error of the page, as for any listener of the platform.
    expect(rejections).toEqual([])
    expect(tab.reported.length).toBeGreaterThan(1)
    expect(tab.reported.map(String)).toContain('Error: from listener')
  })
  test('destroy: what waits settles, nothing goes on, the session lives', async () => {
    const { world, tab, server } = await signedIn()
    world.fault = (path) => (path === '/auth/refresh' ? { down: 500 } : undefined)
    server.expireAll()
    const waiting = burst(tab, 2)
    await pass(100)
    tab.session.destroy()
    expect(await run(waiting, 50)).toEqual(['unavailable', 'unavailable'])
    const n = tab.trace.length
    await pass(100_000)
    tab.fire('online')
    await pass(1000)
    expect(tab.trace.length).toBe(n)
    expect(alive(world)).toBe(1)
  })
})

describe('body delivery', () => {
  test('the refresh token is kept, rotates, and is shared by the tabs', async () => {
    for (const storage of ['memory', 'localStorage'] as const) {
      const { world, tabs, server } = await signedIn({}, 3, { delivery: 'body', storage })
      expect(world.jar).toEqual({})
      for (let i = 0; i < 10; i++) {
        server.expireAll()
        const n = server.count('/auth/refresh')
        expect((await run(Promise.all(tabs.map((t) => burst(t, 2))))).flat()).toEqual(Array(6).fill(200))
        expect(server.count('/auth/refresh')).toBe(n + 1)
      }
      tabs.forEach((t: Tab) => t.close())
      const next = world.open({ delivery: 'body', storage })
      await run(next.session.ready)
      expect(next.session.user?.username).toBe('alice')
      expect(server.revocations).toEqual([])
      await run(next.session.signOut())
      expect(alive(world)).toBe(0)
      expect([...world.disk.values()].join()).not.toContain('refresh_token')
    }
  })
})

describe('races that are rare', () => {
  test('a token of a session that has ended, arriving late from another tab, is not taken', async () => {
    const { world, tabs, server } = await signedIn({ gossip: () => 200 }, 2)
    server.expireAll()
    void burst(tabs[1]!, 1)
    // The other tab has just renewed, and its word of it is on its way.
    while (!tabs[1]!.events.includes('renewed') || server.count('/auth/refresh') < 1 || tabs[1]!.trace.at(-1)!.type === 'renewing') await pass(5)
    world.fault = () => ({ drop: true })
    await run(tabs[0]!.session.signOut())
    await pass(1000)
    expect(tabs.map((t) => t.session.status)).toEqual(['signedout', 'signedout'])
    expect(times(tabs[0]!, 'signedin')).toBe(1)
  })
  test('an API that always answers 401, while a first call with the new token overtakes the repeat', async () => {
    const { world, tab, server } = await signedIn()
    server.always401.add('/api/slow').add('/api/quick')
    world.fault = (path) => (path === '/api/slow' ? { down: 400 } : undefined)
    void burst(tab, 1, '/api/slow')
    await pass(450)
    expect(server.count('/auth/refresh')).toBe(1)
    expect(await run(burst(tab, 3, '/api/quick'), 100)).toEqual([401, 401, 401])
    expect(server.count('/auth/refresh')).toBe(1)
  })
  test('a refusal that crosses a sign-in in another tab ends nothing', async () => {
    // Without locks, and with a renewal that started before the sign-in.
    const { world, tabs, server } = await signedIn({ without: ['locks'] }, 2)
    for (const s of server.sessions.values()) s.over = 'ended_by_admin'
    world.fault = (path) => (path === '/auth/refresh' ? { answer: { status: 400, body: '{"code":"invalid_grant"}' }, down: 600 } : undefined)
    const waiting = burst(tabs[0]!, 1)
    await pass(300)
    world.fault = () => undefined
    tabs[1]!.session.destroy() // does not object to a turn, as a frozen tab would not
    const other = world.open()
    await pass(10)
    other.session.destroy()
    const third = world.open({ timeout: 100 })
    await run(third.session.signIn(bob))
    await pass(2000)
    expect(third.session.status).toBe('signedin')
    expect(await run(burst(third, 1))).toEqual([200])
    expect(await run(waiting)).toEqual(['signedout'])
    expect(tabs[0]!.session.user?.username).toBe('bob')
  })
  test('a stored token that has expired is not taken for a renewal', async () => {
    const { world, tabs, server } = await signedIn({ gossip: () => 1e9 }, 2, { storage: 'localStorage' })
    // One tab renews; the other hears nothing, sleeps, and finds an old entry with the right mark.
    server.expireAll()
    expect(await run(burst(tabs[0]!, 1))).toEqual([200])
    tabs[0]!.close()
    vi.setSystemTime(Date.now() + 3_600_000)
    expect(await run(burst(tabs[1]!, 2))).toEqual([200, 200])
    expect(tabs[1]!.trace.filter((e) => e.type === 'unauthorized')).toEqual([])
    void world
  })
  test('under body delivery a slow duplicate does not overwrite the newer refresh token', async () => {
    const { world, tab, server } = await signedIn({}, 1, { delivery: 'body' })
    const before = world.disk.get('tacet:' + ORIGIN + '/auth')!
    server.expireAll()
    expect(await run(burst(tab, 1))).toEqual([200])
    server.expireAll()
    expect(await run(burst(tab, 1))).toEqual([200])
    // As a process whose storage lags behind would present it.
    world.disk.set('tacet:' + ORIGIN + '/auth', before)
    server.expireAll()
    expect(await run(burst(tab, 1))).toEqual([200])
    expect(world.disk.get('tacet:' + ORIGIN + '/auth')).toBe(before)
    expect(server.revocations).toEqual([])
  })
  test('renewals are sent so that their cookies land when the page goes', async () => {
    const { world, tab, server } = await signedIn()
    world.fault = (path) => (path === '/auth/refresh' ? { down: 300 } : undefined)
    server.expireAll()
    void burst(tab, 1)
    await pass(100)
    tab.close()
    await pass(1000)
    expect(world.jar['tacet_csrf']).toMatch(/^2\./)
  })
})
