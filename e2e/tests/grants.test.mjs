// Grants that change while pages are open: one stream per browser, reloads, and networks without streams.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { openTab, signIn } from '../lib/page.mjs'
import { startBrowser, startStack } from '../lib/stack.mjs'

let stack, server, context

before(async () => {
  stack = await startStack()
  server = stack.server
})
after(() => stack.stop())
beforeEach(async () => {
  await context?.close()
  context = await stack.browser.newContext()
  await server.disable('bob', false)
  await server.grant('bob', 'editor', false)
  await server.reset()
})

const open = (options = {}) => openTab(context, server.url, options, '/pages/grants.html')
const shows = (page, what) => page.waitForFunction((w) => content.textContent === w, what, { timeout: 20_000, polling: 20 })
const create = (page) => page.evaluate(() => session.fetch('/api/orders', { method: 'POST' }).then((r) => r.status, (e) => e.code))
const count = async (path) => (await server.seen()).requests.filter((r) => r.path === path).length
const streams = () => count('/auth/events')

/** Bob's tab, with the stream up. */
async function bobs(options) {
  const page = await open(options)
  await signIn(page, 'bob')
  await shows(page, 'read')
  return page
}
async function until(what, check) {
  for (let i = 0; i < 200; i++) {
    if (await check()) return
    await new Promise((ok) => setTimeout(ok, 50))
  }
  assert.fail(`never: ${what}`)
}

describe('an open page', () => {
  test('role given and taken away: changes without reload, and the API agrees at once', async () => {
    const page = await bobs()
    await until('stream', async () => (await streams()) === 1)
    assert.equal(await create(page), 403)
    await server.grant('bob', 'editor')
    await shows(page, 'write')
    assert.equal(await create(page), 201)
    await server.grant('bob', 'editor', false)
    await shows(page, 'read')
    assert.equal(await create(page), 403)
    assert.deepEqual(await page.evaluate(() => shown), ['loading', 'signedout', 'read', 'write', 'read'])
    assert.equal(await page.evaluate(() => counts.signedout), 0)
    assert.deepEqual(await page.evaluate(() => told.filter((t) => t === 'grants.changed')), ['grants.changed', 'grants.changed'])
    assert.equal(await streams(), 1)
  })

  test('the next call is right also before the page knows', async () => {
    const page = await bobs({ grants: { events: false } })
    await server.grant('bob', 'editor')
    assert.equal(await create(page), 201)
    await shows(page, 'write') // the version rode on the renewal
    await server.grant('bob', 'editor', false)
    assert.equal(await create(page), 403)
    await shows(page, 'read')
    assert.equal(await streams(), 0)
  })

  test('user disabled: signed out at once, everywhere, one redirect each', async () => {
    const page = await bobs()
    const other = await open()
    await shows(other, 'read')
    await until('stream', async () => (await streams()) === 1)
    await server.disable('bob')
    for (const p of [page, other]) {
      await shows(p, 'signedout')
      await p.waitForFunction(() => session.status === 'signedout' && counts.redirects === 1)
      assert.equal(await p.evaluate(() => counts.signedout), 1)
    }
    assert.equal(await create(page), 401)
  })

  test('session ended from elsewhere: signed out at once; the reason is told', async () => {
    const page = await bobs()
    await until('stream', async () => (await streams()) === 1)
    await server.endSessions('bob')
    await shows(page, 'signedout')
    await page.waitForFunction(() => counts.redirects === 1)
    assert.deepEqual(await page.evaluate(() => told), ['session.ended'])
    // Signed in again, the page is live again.
    await signIn(page, 'bob')
    await shows(page, 'read')
    await until('the next stream', async () => (await streams()) >= 2)
    await server.grant('bob', 'editor')
    await shows(page, 'write')
  })

  test('without cookies the stream goes by the access token', async () => {
    const page = await bobs({ delivery: 'body' })
    await until('stream', async () => (await streams()) === 1)
    await server.grant('bob', 'editor')
    await shows(page, 'write')
    assert.equal(await create(page), 201)
    await server.disable('bob')
    await page.waitForFunction(() => session.status === 'signedout' && counts.redirects === 1)
    assert.deepEqual(page.problems, [])
  })

  test('many changes in a row end with the last', async () => {
    const page = await bobs()
    await until('stream', async () => (await streams()) === 1)
    for (let i = 0; i < 11; i++) await server.grant('bob', 'editor', i % 2 === 0)
    await shows(page, 'write')
    assert.equal(await create(page), 201)
  })

  test('somebody else signs in: nothing of the first is shown', async () => {
    const page = await bobs()
    await server.grant('bob', 'editor')
    await shows(page, 'write')
    await page.evaluate(() => session.signOut())
    await shows(page, 'signedout')
    await signIn(page, 'alice')
    await shows(page, 'read')
    assert.equal(await page.evaluate(() => grants.user.username), 'alice')
    assert.deepEqual(await page.evaluate(() => shown), ['loading', 'signedout', 'read', 'write', 'signedout', 'read'])
  })
})

describe('reload', () => {
  test('with the option, new grants are there before guarded content is', async () => {
    const page = await bobs({ grants: { refreshGrantsOnReload: true, events: false } })
    await server.grant('bob', 'editor')
    for (const want of ['write', 'read']) {
      await page.reload()
      await shows(page, want)
      assert.deepEqual(await page.evaluate(() => shown), ['loading', want])
      await server.grant('bob', 'editor', false)
    }
  })

  test('back from the back/forward cache: blank, then the new grants', async () => {
    // Playwright turns that cache off.
    const browser = await startBrowser({ ignoreDefaultArgs: ['--disable-back-forward-cache'] })
    try {
      await context.close()
      context = await browser.newContext()
      const page = await bobs({ grants: { refreshGrantsOnReload: true } })
      await until('stream', async () => (await streams()) === 1)
      await page.evaluate(() => addEventListener('pageshow', (e) => (globalThis.persisted = e.persisted)))
      await page.goto(server.url + '/package.json')
      await server.grant('bob', 'editor')
      await page.goBack({ waitUntil: 'commit' })
      await shows(page, 'write')
      assert.equal(await page.evaluate(() => globalThis.persisted), true, 'not from the cache: the test tests nothing')
      assert.deepEqual(await page.evaluate(() => shown), ['loading', 'signedout', 'read', 'loading', 'write'])
    } finally {
      await browser.close()
    }
  })

  test('what is shown first is never older than the access token', async () => {
    const page = await bobs()
    await server.grant('bob', 'editor')
    await page.reload()
    await shows(page, 'write')
    assert.deepEqual(await page.evaluate(() => shown), ['loading', 'write'])
  })

  test('nothing new: nothing is sent anew', async () => {
    const page = await bobs({ grants: { refreshGrantsOnReload: true, events: false } })
    await server.reset()
    await page.reload()
    await shows(page, 'read')
    const me = (await server.seen()).requests.filter((r) => r.path === '/auth/me').map((r) => r.status)
    // The session asks who it is, and the grants take its response.
    assert.deepEqual(me, [304])
  })
})

describe('several tabs', () => {
  test('five tabs hold one stream; when its holder closes, the next takes over', async () => {
    const tabs = [await bobs()]
    for (let i = 0; i < 4; i++) tabs.push(await open())
    for (const t of tabs) await shows(t, 'read')
    await until('stream', async () => (await streams()) === 1)
    await server.grant('bob', 'editor')
    for (const t of tabs) await shows(t, 'write')
    assert.equal(await streams(), 1)
    for (let left = 4; left > 1; left--) {
      await tabs.shift().close()
      await until('the next stream', async () => (await streams()) === 6 - left)
      const on = left % 2 === 1
      await server.grant('bob', 'editor', on)
      for (const t of tabs) await shows(t, on ? 'write' : 'read')
    }
    assert.equal(await streams(), 4)
  })
})

describe('without a stream', () => {
  for (const [name, kind, more] of [
    ['refused by a proxy', 'status', { status: 403 }],
    ['collected by a proxy', 'hang', {}],
    ['broken off', 'drop-request', {}],
  ])
    test(`${name}: the next renewal brings the change`, async () => {
      await server.fault('/auth/events', kind, { count: 10_000, ...more })
      const page = await bobs({ grants: { poll: 0 } })
      await until('attempt', async () => (await streams()) >= 1)
      await server.grant('bob', 'editor')
      assert.equal(await create(page), 201)
      await shows(page, 'write')
    })

  test('a page that only looks learns it from a look now and then', async () => {
    await server.fault('/auth/events', 'status', { count: 10_000, status: 502 })
    const page = await bobs({ grants: { poll: 300 } })
    await server.grant('bob', 'editor')
    await shows(page, 'write')
    assert.ok((await streams()) < 10, 'a storm of streams')
  })

  test('broken off and back: goes on where it stopped, and nothing is lost', async () => {
    const page = await bobs()
    await until('stream', async () => (await streams()) === 1)
    await context.setOffline(true)
    await server.grant('bob', 'editor')
    await context.setOffline(false)
    await shows(page, 'write')
    assert.equal(await create(page), 201)
  })
})
