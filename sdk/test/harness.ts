import { afterEach, beforeEach, expect, vi } from 'vitest'
import { ORIGIN, World, type Tab, type WorldOptions } from './world.js'
import type { SessionOptions } from '../src/index.js'

export const alice = { username: 'alice', password: 'right' }
export const bob = { username: 'bob', password: 'right' }

/** Fake timers for each test of the file. */
export const fakeTime = () => {
  beforeEach(
    () =>
      void vi.useFakeTimers({
        toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
        now: Date.UTC(2026, 10, 21),
      }),
  )
  afterEach(() => void vi.useRealTimers())
}

// Bodies are read in real turns of the event loop: let them, before time goes on.
const step = async () => {
  await vi.advanceTimersByTimeAsync(5)
  await new Promise((ok) => setImmediate(ok))
}

/** Lets fake time pass until `p` settles, for at most `ms`. */
export const run = async <T>(p: Promise<T>, ms = 60_000): Promise<T> => {
  let done = false
  const settled = p.then(
    () => (done = true),
    () => (done = true),
  )
  for (let t = 0; t < ms && !done; t += 5) await step()
  if (!done) throw new Error(`not settled after ${ms} ms`)
  await settled
  return p
}
export const pass = async (ms: number) => {
  // Far jumps: what happens on the way is not looked at.
  if (ms > 60_000) await vi.advanceTimersByTimeAsync(ms - 60_000)
  for (let t = 0; t < Math.min(ms, 60_000); t += 5) await step()
}

/** What became of a request: its status, or the code or name of its error. */
export const outcome = (p: Promise<Response>): Promise<number | string> =>
  p.then(
    (r) => r.status,
    (e) => (e.name === 'TacetError' ? e.code : e.name),
  )
export const get = (t: Tab, path = '/api/orders', init: RequestInit = {}) => t.session.fetch(ORIGIN + path, init)
export const burst = (t: Tab, n: number, path = '/api/orders') =>
  Promise.all(Array.from({ length: n }, () => outcome(get(t, path))))

/** A browser whose first tab is signed in. */
export const signedIn = async (o: WorldOptions = {}, tabs = 1, options: SessionOptions = {}) => {
  const world = new World(o)
  const first = world.open(options)
  await run(first.session.signIn(alice))
  const all = [first, ...Array.from({ length: tabs - 1 }, () => world.open(options))]
  await run(Promise.all(all.map((t) => t.session.ready)))
  for (const t of all) expect(t.session.user?.username).toBe('alice')
  return { world, tabs: all, tab: first, server: world.server }
}
export const times = (t: Tab, event: string) => t.events.filter((e) => e === event).length
