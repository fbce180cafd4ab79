// Grants: where they come from, who holds the stream, and what happens where there is none.
import { afterEach, describe, expect, test } from 'vitest'
import { Browser } from './grants.world.js'
import { fakeTime, pass, run } from './harness.js'

fakeTime()
let b: Browser
afterEach(() => b.tabs.forEach((t) => t.close()))
const fresh = (o?: Partial<Browser>) => (b = Object.assign(new Browser(), o))

describe('the store', () => {
  test('ready: known, and the snapshot stays the same until something changes', async () => {
    fresh()
    const t = b.open_()
    expect(t.grants.status).toBe('loading')
    expect(t.grants.can('orders:read')).toBe(false)
    await run(t.grants.ready)
    const before = t.grants.getSnapshot()
    expect([before.status, before.user?.username, before.can('orders:read'), before.can('orders:write')]).toEqual(['signedin', 'bob', true, false])
    await run(t.grants.refresh())
    expect(t.grants.getSnapshot()).toBe(before)
    b.change(['orders:*'])
    await pass(300)
    expect(t.grants.getSnapshot()).not.toBe(before)
    expect(before.can('orders:write')).toBe(false)
    expect(t.grants.can('orders:write')).toBe(true)
    expect(t.seen).toEqual(['orders:read', 'orders:*'])
  })

  test('a listener that throws disturbs nobody', async () => {
    fresh()
    const t = b.open_()
    let after = 0
    t.grants.subscribe(() => {
      throw new Error('mine')
    })
    t.grants.subscribe(() => after++)
    await run(t.grants.ready)
    expect(after).toBe(1)
  })

  test('another user: nothing of the first is left', async () => {
    fresh()
    const t = b.open_()
    await run(t.grants.ready)
    t.emit('signedout', { reason: 'signedout' })
    await pass(10)
    expect([t.grants.status, t.grants.user, t.grants.can('orders:read')]).toEqual(['signedout', undefined, false])
    expect(b.disk).toEqual({})
    Object.assign(b, { user: 'alice', sid: 's2', version: 1, permissions: ['admin:*'] })
    t.emit('signedin', { id: 'alice', username: 'alice' })
    await pass(20)
    await run(t.grants.ready)
    expect([t.grants.user?.username, t.grants.permissions]).toEqual(['alice', ['admin:*']])
  })

  test('an answer that was asked for before the sign-out is nobody’s', async () => {
    fresh()
    const t = b.open_()
    await run(t.grants.ready)
    b.permissions = ['old:*']
    b.version++
    const asked = t.grants.refresh()
    t.emit('signedout', { reason: 'signedout' })
    Object.assign(b, { user: 'alice', sid: 's2', version: 1, permissions: ['admin:*'] })
    t.emit('signedin', { id: 'alice', username: 'alice' })
    await run(asked)
    await pass(2000)
    expect(t.seen).toEqual(['orders:read', 'signedout', 'admin:*'])
  })
})

describe('page loads', () => {
  test('what is remembered serves, if the token is of the same version', async () => {
    fresh()
    const first = b.open_({ events: false })
    await run(first.grants.ready)
    first.close()
    const second = b.open_({ events: false })
    await run(second.grants.ready)
    expect(second.grants.can('orders:read')).toBe(true)
    expect(b.me.length).toBe(1)
    second.close()
    b.change(['orders:write'])
    const third = b.open_({ events: false })
    await run(third.grants.ready)
    expect(third.seen).toEqual(['orders:write'])
  })

  for (const [navigation, asks] of [['reload', 1], ['navigate', 0]] as const)
    test(`refreshGrantsOnReload, ${navigation}: ${asks} question before anything is shown`, async () => {
      fresh()
      const first = b.open_({ events: false })
      await run(first.grants.ready)
      first.close()
      b.me = []
      const t = b.open_({ events: false, refreshGrantsOnReload: true, navigation })
      await run(t.grants.ready)
      expect(b.me.map((m) => m.status)).toEqual(Array(asks).fill(304))
      expect(t.seen).toEqual(['orders:read'])
    })

  test('back/forward cache: put away blank, without lock and stream; new grants when it comes back', async () => {
    fresh()
    const t = b.open_({ refreshGrantsOnReload: true })
    await run(t.grants.ready)
    await pass(50)
    expect(b.open.length).toBe(1)
    t.fire('pagehide', { persisted: true })
    expect(t.grants.status).toBe('loading')
    await pass(50)
    expect(b.open.length).toBe(0)
    b.change(['orders:write'])
    await pass(5000)
    expect(t.grants.status).toBe('loading')
    t.fire('pageshow', { persisted: true })
    await run(t.grants.ready)
    await pass(50)
    expect(t.seen).toEqual(['orders:read', 'loading', 'orders:write'])
    expect(b.open.length).toBe(1)
  })
})

describe('the stream', () => {
  const five = async () => {
    fresh()
    const tabs = Array.from({ length: 5 }, () => b.open_())
    for (const t of tabs) await run(t.grants.ready)
    await pass(200)
    return tabs
  }

  test('one for five tabs, and all of them know', async () => {
    const tabs = await five()
    expect(b.streams.length).toBe(1)
    b.me = []
    b.change(['orders:*'])
    await pass(300)
    for (const t of tabs) {
      expect(t.grants.can('orders:write')).toBe(true)
      expect(t.events).toEqual(['grants.changed'])
    }
    // Who asks first tells the others.
    expect(b.me.length).toBeLessThanOrEqual(2)
    expect(b.streams.length).toBe(1)
  })

  test('the next tab takes over, and asks for what it may have missed', async () => {
    const tabs = await five()
    for (let i = 0; i < 4; i++) {
      tabs[i]!.close()
      b.change([`orders:${i}`], false)
      await pass(200)
      expect(b.open.map((s) => s.tab)).toEqual([tabs[i + 1]])
      for (const t of tabs.slice(i + 1)) expect(t.grants.permissions).toEqual([`orders:${i}`])
    }
  })

  test('broken off: comes back with Last-Event-ID, without asking again', async () => {
    fresh()
    const t = b.open_()
    await run(t.grants.ready)
    await pass(50)
    b.change(['orders:*'])
    await pass(300)
    b.me = []
    b.open[0]!.end()
    await pass(2000)
    expect(b.streams.map((s) => s.headers.get('last-event-id'))).toEqual([null, '11'])
    expect(b.me).toEqual([])
    // No token where the cookie does it, and none in an address ever.
    expect(b.streams.map((s) => s.headers.get('authorization'))).toEqual([null, null])
    expect(t.grants.can('orders:write')).toBe(true)
  })

  test('reset: asks anew', async () => {
    fresh()
    const t = b.open_()
    await run(t.grants.ready)
    await pass(50)
    b.change(['orders:new'], false)
    b.tell('reset', { seq: b.seq })
    await pass(300)
    expect(t.grants.permissions).toEqual(['orders:new'])
  })

  test('silent for 50 s: taken for dead', async () => {
    fresh()
    const t = b.open_()
    await run(t.grants.ready)
    await pass(45_000)
    b.open[0]!.send(':\n\n')
    await pass(45_000)
    expect(b.streams.length).toBe(1)
    await pass(8000)
    expect(b.streams.length).toBe(2)
  })

  test('events in pieces and with other line ends', async () => {
    fresh()
    const t = b.open_()
    await run(t.grants.ready)
    await pass(50)
    b.change(['orders:*'], false)
    for (const c of 'event: grants.changed\r\nid: 11\r\ndata: {"grants_version":2}\r\n\r\n') b.open[0]!.send(c)
    await pass(300)
    expect(t.events).toEqual(['grants.changed'])
    expect(t.grants.can('orders:write')).toBe(true)
  })

  test('this session ended: nothing is allowed at once, and the session is made to find out', async () => {
    fresh()
    const t = b.open_()
    await run(t.grants.ready)
    await pass(50)
    b.tell('session.ended', { session_id: 'another', reason: 'signed_out' })
    await pass(50)
    expect(t.grants.status).toBe('signedin')
    b.over = true
    b.tell('session.ended', { session_id: 's1', reason: 'user_disabled' })
    await pass(20)
    expect([t.grants.status, t.session.status]).toEqual(['signedout', 'signedout'])
    await pass(60_000)
    expect(b.open.length).toBe(0)
  })
})

describe('where no stream gets through', () => {
  test('attempts thin out to one in about a minute', async () => {
    fresh({ blocked: async () => new Response('', { status: 502 }) })
    let n = 0
    b.blocked = async () => (n++, new Response('', { status: 502 }))
    const t = b.open_({ poll: 0 })
    await run(t.grants.ready)
    await pass(3_600_000)
    expect(n).toBeGreaterThan(30)
    expect(n).toBeLessThan(140)
  })

  for (const [name, options, locks] of [
    ['refused', {}, true],
    ['no Web Locks', {}, false],
    ['not wanted', { events: false }, true],
  ] as const)
    test(`${name}: the version in a renewed token is enough`, async () => {
      fresh({ blocked: async () => new Response('', { status: 403 }), locks })
      const t = b.open_({ poll: 0, ...options })
      await run(t.grants.ready)
      await pass(1000)
      b.me = []
      t.emit('renewed', { from: 'network' })
      await pass(100)
      expect(b.me).toEqual([]) // the same version: nobody asks
      b.change(['orders:*'])
      t.token = b.version
      t.emit('renewed', { from: 'network' })
      await pass(100)
      expect(t.grants.can('orders:write')).toBe(true)
      expect(b.me.length).toBe(1)
    })

  test('looks now and then, only while visible', async () => {
    fresh({ blocked: async () => new Response('', { status: 403 }) })
    const t = b.open_()
    await run(t.grants.ready)
    b.me = []
    await pass(600_000)
    expect(b.me.length).toBeGreaterThanOrEqual(9)
    expect(b.me.length).toBeLessThanOrEqual(11)
    expect(new Set(b.me.map((m) => m.status))).toEqual(new Set([304]))
    t.hidden = true
    b.me = []
    await pass(600_000)
    expect(b.me).toEqual([])
    t.hidden = false
    b.change(['orders:*'], false)
    t.fire('visibilitychange')
    await pass(50)
    expect(t.grants.can('orders:write')).toBe(true)
  })

  test('the stream is up: tokens are not looked into, so that an open page alone does not use its session', async () => {
    fresh()
    const t = b.open_()
    await run(t.grants.ready)
    await pass(100)
    let looks = 0
    const token = t.session.getAccessToken
    Object.assign(t.session, { getAccessToken: () => (looks++, token()) })
    for (let i = 0; i < 5; i++) {
      t.emit('renewed', { from: 'network' })
      await pass(500)
    }
    expect(looks).toBe(0)
  })

  test('the server cannot answer for a while: asks again, and gets it', async () => {
    fresh()
    const t = b.open_()
    await run(t.grants.ready)
    await pass(50)
    let n = 3
    b.meFault = () => (n-- > 0 ? new Response('', { status: n ? 503 : 401 }) : undefined)
    b.change(['orders:*'])
    await pass(8000)
    expect(t.grants.can('orders:write')).toBe(true)
  })
})

describe('with the session', () => {
  test('the response to /me that the session has just had is used, not asked for again', async () => {
    fresh()
    const t = b.open_({ events: false })
    let given = 0
    Object.assign(t.session, { me: () => (given++ ? undefined : new Response(JSON.stringify({ user: { id: 'bob', username: 'bob' }, roles: [], permissions: ['orders:read'], grants_version: 1, session: { id: 's1' }, settings: {} }))) })
    await run(t.grants.ready)
    expect(t.grants.can('orders:read')).toBe(true)
    expect(b.me).toEqual([])
  })

  test('the server cannot say: offline, and known by itself when it can again', async () => {
    fresh()
    b.meFault = () => new Response('', { status: 503 })
    const t = b.open_({ events: false, poll: 0 })
    await run(t.grants.ready)
    expect(t.grants.status).toBe('offline')
    await pass(60_000)
    b.meFault = undefined
    // The longest pause between two attempts: a minute and a half.
    await pass(91_000)
    expect(t.seen).toEqual(['offline', 'orders:read'])
  })

  test('back from the cache, and nobody knows whose the cookies are: nothing of the old user is shown', async () => {
    fresh()
    const t = b.open_({ events: false })
    await run(t.grants.ready)
    t.fire('pagehide', { persisted: true })
    Object.defineProperty(t.session, 'status', { value: 'loading' })
    t.fire('pageshow', { persisted: true })
    expect([t.grants.status, t.grants.user]).toEqual(['loading', undefined])
  })
})
