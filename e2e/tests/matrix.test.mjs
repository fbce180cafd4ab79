// Every row of the table in design note browser.md, for the SDK: what Tacet must do.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ACCESS_TTL, allEqual, burst, counts, openTab, sessionLives, signIn } from '../lib/page.mjs'
import { startStack } from '../lib/stack.mjs'

const REPEAT = Number(process.env.E2E_REPEAT ?? 40) // of the racy rows

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

/** A signed-in tab whose access token the server has just let expire. */
async function expired(options) {
  const page = await openTab(context, server.url, options)
  await signIn(page)
  await server.advance(ACCESS_TTL)
  await server.reset()
  return page
}

/** The session goes on: nobody was signed out and the next request succeeds. */
async function recovers(page) {
  await page.waitForFunction(() => session.fetch('/api/orders').then((r) => r.ok, () => false), null, { timeout: 30_000 })
  const c = await counts(page)
  assert.equal(c.signedout, 0, 'signed out')
  assert.equal(c.redirects, 0, 'sent to sign in')
}

for (const storage of ['memory', 'localStorage']) {
  describe(`one tab, ${storage}`, () => {
    test('50 × 401: 50 ok, 1 renewal', async () => {
      const page = await expired({ storage })
      allEqual(await burst(page, 50), 200)
      assert.equal(await server.renewals(), 1)
      const { requests } = await server.seen()
      assert.ok(requests.filter((r) => r.path === '/api/orders').length <= 100, 'a request was repeated more than once')
    })

    test('answer lost after the server committed: recovers', async () => {
      const page = await expired({ storage })
      await server.fault('/auth/refresh', 'drop-answer')
      await burst(page, 5)
      await recovers(page)
      const { decisions } = await server.seen()
      assert.ok(decisions.some((d) => d.outcome === 'advanced'), 'the lost renewal was committed')
    })

    test('answer lost, an hour passes, recovers', async () => {
      const page = await expired({ storage, timeout: 1000 })
      await server.fault('/auth/refresh', 'drop-answer', { count: 8 })
      await burst(page, 1)
      await server.reset()
      await server.advance(60 * 60_000)
      await recovers(page)
    })

    test('reload keeps the session', async () => {
      const page = await openTab(context, server.url, { storage })
      await signIn(page)
      await page.reload()
      await page.waitForFunction(() => globalThis.tacet)
      await page.evaluate((o) => open_(o), { storage })
      assert.equal(await page.evaluate(() => session.status), 'signedin')
      assert.equal(await page.evaluate(() => session.user?.username), 'alice')
      allEqual(await burst(page, 3), 200)
    })
  })

  describe(`several tabs, ${storage}`, () => {
    for (const tabs of [2, 5]) {
      const runs = REPEAT
      test(`${tabs} tabs, ${runs} runs: never signed out, always 1 renewal`, async () => {
        const pages = []
        for (let i = 0; i < tabs; i++) pages.push(await openTab(context, server.url, { storage }))
        await signIn(pages[0])
        for (const p of pages) await p.waitForFunction(() => session.status === 'signedin')
        for (let run = 0; run < runs; run++) {
          await server.advance(ACCESS_TTL)
          await server.reset()
          const answers = await Promise.all(pages.map((p) => burst(p, 3)))
          allEqual(answers.flat(), 200)
          assert.equal(await server.renewals(), 1, `run ${run}`)
        }
        for (const p of pages) assert.equal((await counts(p)).signedout, 0)
      })
    }
  })
}

test('late 401 for the old token after the renewal: no second renewal', async () => {
  const page = await expired()
  // The first request's 401 comes only after a second request has renewed.
  await server.fault('/api/orders', 'delay-answer', { ms: 1500 })
  const late = page.evaluate(() => session.fetch('/api/orders?n=0').then((r) => r.status))
  await page.waitForTimeout(300)
  allEqual(await burst(page, 1, '/api/slow?ms=1'), 200)
  assert.equal(await late, 200)
  assert.equal(await server.renewals(), 1)
})

test('renewal dropped by the network for 3 s: typed error or wait, recovers', async () => {
  const page = await expired()
  await server.fault('/auth/refresh', 'drop-request', { count: 1000 })
  const waiting = burst(page, 5)
  await page.waitForTimeout(3000)
  await server.reset()
  for (const r of await waiting) assert.ok(r === 200 || r === 'network', `answer ${r}`)
  await recovers(page)
})

for (const status of [500, 503]) {
  test(`${status} on renewal: recovers`, async () => {
    const page = await expired()
    await server.fault('/auth/refresh', 'status', { status, count: 2 })
    for (const r of await burst(page, 5)) assert.ok(r === 200 || r === 'unavailable', `answer ${r}`)
    await recovers(page)
  })
}

test('429 on renewal: recovers, and not before Retry-After', async () => {
  const page = await expired()
  await server.fault('/auth/refresh', 'status', { status: 429, retry_after: 2 })
  const first = await burst(page, 5)
  for (const r of first) assert.ok(r === 200 || r === 'unavailable', `answer ${r}`)
  await recovers(page)
  const gap = await page.evaluate(() => {
    const at = trace.filter((e) => e.type === 'renewing').map((e) => e.at)
    return at[1] - at[0]
  })
  assert.ok(gap >= 1900, `the second attempt came ${gap} ms after the first, in spite of Retry-After: 2`)
})

test('refused for good, 10 requests waiting: 10 reject, one event, one redirect', async () => {
  const page = await expired()
  await server.endSessions('alice')
  allEqual(await burst(page, 10), 'signedout')
  const c = await counts(page)
  assert.equal(c.signedout, 1)
  assert.equal(c.redirects, 1)
  assert.equal(await server.renewals(), 1)
  assert.equal(await page.evaluate(() => session.status), 'signedout')
  assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((k) => /eyJ|tacet_rt_/.test(localStorage[k])).length), 0, 'tokens are left')
})

test(`tab closed, reloaded or left in the middle of a renewal, ${REPEAT} runs: recovers`, async () => {
  let page = await expired()
  for (let run = 0; run < REPEAT; run++) {
    await server.fault('/auth/refresh', 'delay-answer', { ms: 150 })
    page.evaluate(() => void session.fetch('/api/orders').catch(() => {})).catch(() => {})
    await page.waitForFunction(() => trace.some((e) => e.type === 'renewing'))
    const how = ['close', 'reload', 'navigate'][run % 3]
    if (how === 'close') await page.close()
    if (how === 'reload') await page.reload()
    if (how === 'navigate') await page.goto(`${server.url}/pages/app.html?elsewhere`)
    const next = await openTab(context, server.url)
    await recovers(next)
    assert.ok(await sessionLives(context, server.url), `${how}, run ${run}`)
    if (how !== 'close') await page.close()
    page = next
    await page.evaluate(() => void (trace.length = 0))
    await server.advance(ACCESS_TTL)
    await server.reset()
  }
})

test('API that always answers 401, 4 calls: 1 renewal, then the 401', async () => {
  const page = await expired()
  for (let i = 0; i < 4; i++) allEqual(await burst(page, 1, '/broken/api'), 401)
  assert.equal(await server.renewals(), 1)
  const { requests } = await server.seen()
  assert.ok(requests.filter((r) => r.path === '/broken/api').length <= 8)
  assert.equal((await counts(page)).signedout, 0)
})

test('403 never renews', async () => {
  const page = await openTab(context, server.url)
  await signIn(page)
  await server.reset()
  allEqual(await burst(page, 5, '/api/forbidden'), 403)
  assert.equal(await server.renewals(), 0)
})

test('renewal that is never answered: own time-out, recovers', async () => {
  const page = await expired({ timeout: 1000 })
  await server.fault('/auth/refresh', 'hang', { count: 2 })
  for (const r of await burst(page, 5)) assert.ok(r === 200 || r === 'network', `answer ${r}`)
  await recovers(page)
})

for (const hours of [-2, 2]) {
  test(`device clock ${hours} h off: immune`, async () => {
    await context.addInitScript((ms) => {
      const now = Date.now
      Date.now = () => now() + ms
    }, hours * 3600_000)
    const page = await openTab(context, server.url)
    await signIn(page)
    await server.reset()
    for (let i = 0; i < 5; i++) allEqual(await burst(page, 5), 200)
    assert.equal(await server.renewals(), 0, 'renewed although the token is fresh')
    await server.advance(ACCESS_TTL)
    allEqual(await burst(page, 5), 200)
    assert.equal(await server.renewals(), 1)
  })
}

test('one-shot stream body: a fresh token first, sent once', async () => {
  await context.close()
  context = await stack.browser.newContext({ ignoreHTTPSErrors: true })
  const page = await openTab(context, server.tls, { leeway: 1000 }) // HTTP/2: browsers stream over nothing less
  await signIn(page)
  const send = () =>
    page.evaluate(async () => {
      const chunks = ['one ', 'two ', 'three']
      const body = new ReadableStream({
        pull(c) {
          const next = chunks.shift()
          if (next) c.enqueue(new TextEncoder().encode(next))
          else c.close()
        },
      })
      return session.fetch('/api/upload', { method: 'POST', body, duplex: 'half' }).then(
        async (r) => (r.ok ? (await r.json()).bytes : r.status),
        (e) => e.code ?? String(e),
      )
    })
  assert.equal(await send(), 13)
  // The server forgets the token while the client still thinks it fresh: the
  // stream is spent, so the caller is told, and the next one goes through.
  await server.advance(ACCESS_TTL)
  await server.reset()
  assert.equal(await send(), 'not_repeatable')
  assert.equal(await send(), 13)
  const { requests } = await server.seen()
  assert.equal(requests.filter((r) => r.path === '/api/upload').length, 2)
  assert.equal(await server.renewals(), 1)
})
