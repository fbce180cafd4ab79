import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ORIGIN, World, wait } from './world.js'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] }))
afterEach(() => void vi.useRealTimers())

const run = async <T>(p: Promise<T>, ms = 60_000): Promise<T> => {
  p.catch(() => {})
  await vi.advanceTimersByTimeAsync(ms)
  return p
}
const alice = { username: 'alice', password: 'right' }

test('sign in, 50 requests on an expired token', async () => {
  const w = new World()
  const t = w.open()
  await run(t.session.signIn(alice), 1000)
  expect(t.session.status).toBe('signed-in')
  w.server.expireAll()
  const all = await run(Promise.all(Array.from({ length: 50 }, (_, i) => t.session.fetch(`${ORIGIN}/api/${i}`))), 5000)
  expect(all.map((r) => r.status)).toEqual(Array(50).fill(200))
  expect(w.server.count('/auth/refresh')).toBe(1)
})
test('five tabs', async () => {
  const w = new World()
  const a = w.open()
  await run(a.session.signIn(alice), 1000)
  const tabs = [a, ...Array.from({ length: 4 }, () => w.open())]
  await run(wait(1000), 1000)
  expect(tabs.map((t) => t.session.user?.username)).toEqual(Array(5).fill('alice'))
  expect(w.server.count('/auth/refresh')).toBe(0)
  w.server.expireAll()
  const all = await run(Promise.all(tabs.flatMap((t) => [1, 2, 3].map((i) => t.session.fetch(`${ORIGIN}/api/${i}`)))), 5000)
  expect(all.map((r) => r.status)).toEqual(Array(15).fill(200))
  expect(w.server.count('/auth/refresh')).toBe(1)
})
