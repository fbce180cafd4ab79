// Whatever is lost, delayed, closed or reloaded, in any order: an honest browser is never signed out, every
// request settles, and in the end everything works. A failing run is repeated by its seed.
import { expect, test } from 'vitest'
import { alice, burst, fakeTime, get, outcome, pass, run } from './harness.js'
import { World, seeded, type Fault, type Tab } from './world.js'

fakeTime()

const SEEDS = Number(process.env.TACET_SEEDS ?? 40)

const scenario = async (seed: number) => {
  const random = seeded(seed)
  const pick = <T>(...xs: T[]): T => xs[Math.floor(random() * xs.length)]!
  const options = { storage: pick('memory' as const, 'localStorage' as const), delivery: pick('cookie' as const, 'cookie' as const, 'body' as const) }
  let calm = true
  const world = new World({
    seed,
    without: pick([], [], ['locks']),
    gossip: () => pick(1, 1, 5, 40, 300) * random(),
    fault: (path): Fault => {
      const delays = { up: random() * pick(5, 50, 500), down: random() * pick(5, 50, 500) }
      if (calm || path === '/auth/login') return delays
      return pick<Fault>(delays, delays, delays, { ...delays, drop: true }, { ...delays, lose: true }, { ...delays, answer: { status: pick(500, 502, 503, 429) } }, path === '/auth/refresh' ? { hang: true } : delays)
    },
  })
  world.server.lifetime = 60
  const tabs: Tab[] = [world.open(options)]
  await run(tabs[0]!.session.signIn(alice))
  calm = false
  const asked: Promise<unknown>[] = []
  const codes: (string | number)[] = []
  for (let i = 0; i < 40; i++) {
    const tab = pick(...tabs)
    const what = random()
    if (what < 0.5) asked.push(outcome(get(tab)).then((c) => codes.push(c)))
    else if (what < 0.6) world.server.expireAll()
    else if (what < 0.7 && tabs.length < 4) tabs.push(world.open(options))
    else if (what < 0.75 && tabs.length > 1) {
      // Closed or reloaded in the middle. Under body delivery the answer is lost with the page.
      tabs.splice(tabs.indexOf(tab), 1)
      tab.close()
    } else if (what < 0.8) tab.fire(pick('online', 'pageshow', 'visibilitychange', 'storage'))
    else await pass(pick(5, 20, 100, 1000, 20_000) * random())
  }
  await run(Promise.all(asked), 300_000).catch((e) => {
    throw new Error(`seed ${seed}: a request never settled`, { cause: e })
  })
  calm = true
  await pass(10_000)
  const answers = (await run(Promise.all(tabs.map((t) => burst(t, 2))), 60_000)).flat()
  return { world, tabs, answers, codes }
}

test(`${SEEDS} random lives of an honest browser`, { timeout: 600_000 }, async () => {
  let renewals = 0
  let failed = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { world, tabs, answers, codes } = await scenario(seed)
    const context = `seed ${seed}`
    expect(world.server.revocations, context).toEqual([])
    expect(tabs.flatMap((t) => t.events).includes('signedout'), context).toBe(false)
    expect(answers, context).toEqual(Array(2 * tabs.length).fill(200))
    expect(codes.includes('signedout'), context).toBe(false)
    renewals += world.server.count('/auth/refresh')
    failed += codes.filter((c) => c !== 200).length
    for (const t of tabs) t.close()
  }
  // The runs are not idle.
  expect(renewals).toBeGreaterThan(2 * SEEDS)
  expect(failed).toBeGreaterThan(SEEDS)
})
