// Pages that leave and come back as they were, from the back/forward cache of real Chromium.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { burst, counts, openTab, signIn } from '../lib/page.mjs'
import { startBrowser, startServer } from '../lib/stack.mjs'

let server, browser, context

before(async () => {
  // Playwright switches the cache off.
  ;[server, browser] = await Promise.all([startServer(), startBrowser({ ignoreDefaultArgs: ['--disable-back-forward-cache'] })])
})
after(async () => {
  await browser.close()
  await server.stop()
})
beforeEach(async () => {
  await context?.close()
  context = await browser.newContext()
  await server.reset()
})

/** A signed-in tab that remembers whether it came from the cache, and another one beside it. */
async function pair() {
  const page = await openTab(context, server.url)
  await signIn(page)
  await page.evaluate(() => addEventListener('pageshow', (e) => (globalThis.persisted = e.persisted)))
  return [page, await openTab(context, server.url)]
}

/** Leaves for another page, lets `meanwhile` happen, and comes back. */
async function awayAndBack(page, meanwhile) {
  await page.goto(`${server.url}/pages/seed.html`)
  await meanwhile()
  // Playwright's goBack() waits for a load event, which a page from the cache does not have.
  await page.evaluate(() => void history.back())
  await page.waitForFunction(() => globalThis.persisted === true, null, { timeout: 5000 })
}

test('an open session does not keep the page out of the cache', async () => {
  const [page, other] = await pair()
  await awayAndBack(page, () => burst(other, 2))
  assert.equal(await page.evaluate(() => session.user?.username), 'alice')
  assert.deepEqual(await burst(page, 2), [200, 200])
})

test('signed out meanwhile: nobody is shown', async () => {
  const [page, other] = await pair()
  await awayAndBack(page, () => other.evaluate(() => session.signOut()))
  assert.deepEqual(await page.evaluate(() => [session.status, session.user]), ['signedout', undefined])
  assert.equal((await counts(page)).signedout, 1)
})

test('somebody else has signed in meanwhile: the old user is not shown, and the page hears of it', async () => {
  const [page, other] = await pair()
  await awayAndBack(page, async () => {
    await other.evaluate(() => session.signOut())
    await signIn(other, 'bob')
  })
  assert.notEqual(await page.evaluate(() => session.user?.username), 'alice')
  await page.waitForFunction(() => counts.signedout === 1 || session.user?.username === 'bob', null, { timeout: 2000 })
})
