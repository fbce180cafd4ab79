// The SDK with an API that wraps its answers, and says "expired" inside a 200.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ACCESS_TTL, openTab, signIn } from '../lib/page.mjs'
import { startStack } from '../lib/stack.mjs'

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

/** A page whose access token has expired. */
async function expired(options, tabs = 1) {
  const pages = []
  for (let i = 0; i < tabs; i++) pages.push(await openTab(context, server.url, options, '/pages/envelope.html'))
  await signIn(pages[0])
  for (const page of pages) await page.waitForFunction(() => session.status === 'signedin')
  await server.advance(ACCESS_TTL)
  await server.reset()
  return pages
}

for (const client of ['fetch', 'axios'])
  describe(client, () => {
    test('three tabs, 20 × "expired" in each: one renewal, every caller has its own data', async () => {
      const pages = await expired({}, 3)
      const answers = await Promise.all(
        pages.map((p) => p.evaluate((c) => Promise.all(Array.from({ length: 20 }, (_, i) => get[c](`/orders?n=${i}`).then((d) => d.n))), client)),
      )
      for (const list of answers) assert.deepEqual(list, Array.from({ length: 20 }, (_, i) => String(i)))
      assert.equal(await server.renewals(), 1)
    })

    test('a business failure, in the words of the own catalogue', async () => {
      const [page] = await expired()
      const failed = await page.evaluate((c) => get[c]('/sold-out').catch((e) => [e instanceof tacet.BusinessError, e.code, e.message, e.body.message, e.response.status]), client)
      assert.deepEqual(failed, [true, 40901, '库存不足', 'nothing left', 200])
      assert.equal(await server.renewals(), 1)
    })

    test('a file comes byte for byte', async () => {
      const [page] = await expired()
      const bytes = await page.evaluate(async (c) => {
        const file = await get[c]('/blob', { responseType: 'arraybuffer' })
        return [...new Uint8Array(c === 'fetch' ? await file.arrayBuffer() : file)]
      }, client)
      assert.deepEqual(bytes, Array.from({ length: 1 << 16 }, (_, i) => (i * 7) & 255))
    })

    test('"expired" for ever: the renewals that were allowed, then one sign-out that says why', async () => {
      const [page] = await expired({ maxRenewals: 1 })
      const code = await page.evaluate((c) => get[c]('/broken').catch((e) => [e.code, api.text(e)]), client)
      assert.deepEqual(code, ['signedout', '登录已失效，请重新登录。'])
      assert.deepEqual(await page.evaluate(() => ends), ['max_renewals'])
      const paths = async () => (await server.seen()).requests.map((r) => r.path.replace(/\?.*/, ''))
      for (let i = 0; i < 50 && !(await paths()).includes('/auth/logout'); i++) await page.waitForTimeout(100) // it is under way
      const requests = await paths()
      assert.deepEqual(requests.filter((p) => p !== '/auth/me'), ['/wrapped/broken', '/auth/refresh', '/wrapped/broken', '/auth/logout'])
    })
  })

test('a failure inside a blob is read', async () => {
  const [page] = await expired()
  const failed = await page.evaluate(() => get.axios('/sold-out', { responseType: 'blob' }).catch((e) => [e.code, e.message]))
  assert.deepEqual(failed, [40901, '库存不足'])
})
