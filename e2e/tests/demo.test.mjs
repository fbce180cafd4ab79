// The page of `tacet dev`, as visitors see it: the program itself, and two browsers, alice's and bob's.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startBrowser } from '../lib/stack.mjs'
import { newTacet } from '../lib/tacet.mjs'

let tacet, browser, url
const contexts = []
/** Console errors and exceptions; the refusals that the page is about are none. */
const errors = []

before(async () => {
  tacet = await newTacet()
  ;[url, browser] = await Promise.all([tacet.dev(), startBrowser()])
})
after(async () => {
  await browser?.close()
  await tacet?.stop()
})

/** The page in a browser profile of its own, signed in. */
async function visitor(username) {
  const context = await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 1000 } })
  contexts.push(context)
  const page = await context.newPage()
  page.on('console', (m) => m.type() === 'error' && !/the server responded with a status of|ERR_EMPTY_RESPONSE|ERR_CONNECTION/.test(m.text()) && errors.push(m.text()))
  page.on('pageerror', (e) => errors.push(String(e)))
  await page.goto(url)
  await page.locator('.choice', { hasText: username }).click()
  await page.click('#sign-in')
  await page.waitForSelector('#permissions code')
  return page
}

/** Presses a button of the demo server and waits for its answer. */
async function press(page, id) {
  const [answer] = await Promise.all([
    page.waitForResponse((r) => r.request().method() === 'POST' && /\/demo\/(expire|faults|steal|thief)/.test(r.url())),
    page.click(`#${id}`),
  ])
  assert.equal(answer.status(), 204, id)
}

/** The line of the story that sums up the last burst. */
async function send(page, n, want) {
  await page.click(`#send-${n}`)
  await page.waitForSelector(`.story li:has-text("${want}")`)
  return page.locator('.story li', { hasText: want }).first().innerText()
}

const count = (page, selector) => page.locator(selector).count()

test('a role that alice takes from bob is gone from his open page, and comes back', async () => {
  const alice = await visitor('alice')
  const bob = await visitor('bob')
  assert.equal(await count(alice, '#menu-orders'), 1)
  assert.equal(await count(alice, '#menu-admin'), 1)
  assert.equal(await count(bob, '#menu-admin'), 0)
  assert.equal(await count(bob, '#members'), 0)
  await bob.click('#menu-orders')
  await bob.waitForSelector('#access-result:has-text("2 orders")')
  // A reload of the page would forget this.
  await bob.evaluate(() => void (globalThis.kept = true))

  await alice.uncheck('#role-bob-viewer')
  await bob.waitForSelector('#menu-orders', { state: 'detached' })
  assert.equal(await bob.innerText('#permissions'), 'none')
  assert.equal(await count(bob, 'g.event'), 1, 'the time line shows the event')
  await bob.waitForSelector('.story li:has-text("You may no longer: orders:read")')
  // The question that the event led to: refused once, renewed, answered.
  await bob.focus('.timeline .scroller')
  let told = ''
  for (let i = 0; i < 40 && !/GET \/auth\/me: 401 .*repeated, 200/.test(told); i++) {
    await bob.keyboard.press(i ? 'ArrowLeft' : 'End')
    told = await bob.innerText('.timeline .detail')
  }
  assert.match(told, /GET \/auth\/me: 401 .*repeated, 200/)
  const renewals = await count(bob, '.renewal')
  assert.ok(renewals >= 1)
  const [refused] = await Promise.all([bob.waitForResponse((r) => r.url().includes('/api/demo/orders')), bob.click('#send-1')])
  assert.equal(refused.status(), 403)
  await bob.waitForSelector('.story li:has-text("1 request · 1 failed")')
  assert.equal(await count(bob, '.renewal'), renewals, 'a 403 renews nothing')

  await alice.check('#role-bob-viewer')
  await bob.waitForSelector('#menu-orders')
  const [allowed] = await Promise.all([bob.waitForResponse((r) => r.url().includes('/api/demo/orders') && r.status() !== 401), bob.click('#menu-orders')])
  assert.equal(allowed.status(), 200)

  // Nobody takes administration from themselves; the page says so in the words of the server.
  await alice.click('#role-alice-admin')
  await alice.waitForSelector('#access-result.bad:has-text("Let another administrator do it")')
  await alice.waitForFunction(() => document.querySelector('#role-alice-admin').checked)
  assert.equal(await bob.evaluate(() => globalThis.kept), true)
})

test('a tab that is opened later and a reload show what holds now', async () => {
  const alice = contexts[0].pages()[0]
  const bob = contexts[1].pages()[0]
  const second = await contexts[1].newPage()
  await second.goto(url)
  await second.waitForSelector('#menu-orders')
  await alice.check('#role-bob-admin')
  for (const page of [bob, second]) await page.waitForSelector('#members #role-bob-admin:checked')
  await alice.uncheck('#role-bob-admin')
  for (const page of [bob, second]) await page.waitForSelector('#members', { state: 'detached' })
  await second.reload()
  await second.waitForSelector('#menu-orders')
  assert.equal(await count(second, '#menu-admin'), 0)
  await second.close()
})

test('twenty requests with an expired token and a lost answer: one renewal; the thief is noticed', async () => {
  const alice = await visitor('alice')
  await press(alice, 'expire')
  assert.match(await send(alice, 20, '20 requests ·'), /20 × 401 · 1 renewal · 20 repeated · 20 ok/)
  await alice.click('.timeline button:has-text("Clear")')
  await press(alice, 'lose')
  await press(alice, 'expire')
  assert.match(await send(alice, 20, '20 requests ·'), /20 × 401 .* 20 ok/)
  await alice.waitForSelector('.story li:has-text("was lost on the way")')

  await press(alice, 'steal')
  await press(alice, 'thief-renew')
  for (let i = 0; i < 4 && !(await count(alice, '.reuse')); i++) {
    if (await count(alice, '#send-1')) {
      await alice.click('#expire')
      await alice.waitForTimeout(300)
      await alice.click('#send-1', { timeout: 2000 }).catch(() => {}) // signed out meanwhile
      await alice.waitForTimeout(700)
    }
    if (!(await count(alice, '.reuse'))) await press(alice, 'thief-renew')
  }
  await alice.waitForSelector('.reuse:has-text("Thief/1.0")')
})

test('nothing went wrong on the console', () => assert.deepEqual(errors, []))
