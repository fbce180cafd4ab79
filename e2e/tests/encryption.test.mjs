// Encrypted bodies in Chromium, against the real server. What the page's network shows is what a proxy that
// terminates TLS would see; page.route stands for one that does more than look.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ACCESS_TTL, openTab, signIn } from '../lib/page.mjs'
import { startStack } from '../lib/stack.mjs'

let stack, server, context, page

before(async () => {
  stack = await startStack('-encryption')
  server = stack.server
})
after(() => stack.stop())
beforeEach(async () => {
  await context?.close()
  context = await stack.browser.newContext()
  await server.reset()
  page = await openTab(context, server.url, {}, '/pages/encryption.html')
  await signIn(page)
})

/** Calls in the page; returns status and body, or the error's code. */
const call = (path, init) =>
  page.evaluate(
    ([path, init]) =>
      encryption.fetch(path, init).then(
        async (r) => ({ status: r.status, type: r.headers.get('content-type'), body: await r.text() }),
        (e) => ({ error: e.code ?? String(e) }),
      ),
    [path, init],
  )

/** Everything that went over the wire below /api/, as text. */
function wiretap() {
  const seen = []
  page.on('request', (r) => r.url().includes('/api/') && seen.push({ headers: r.headers(), body: r.postData() ?? '' }))
  page.on('response', (r) => r.url().includes('/api/') && seen.push(r.body().then((b) => ({ headers: r.headers(), body: b.toString('latin1') }))))
  return async () => Promise.all(seen)
}

/** Changes answers below /api/ on their way. */
const tamper = (change) =>
  page.route('**/api/**', async (route) => {
    const response = await route.fetch()
    await route.fulfill(await change(response, route))
  })

describe('what passes between', () => {
  test('a form is sent and answered, and neither can be read on the way', async () => {
    const wire = wiretap()
    const secret = 'the salary of Alice, 工资'
    const r = await call('/api/upload', { method: 'POST', body: secret, headers: { 'content-type': 'text/x-secret' } })
    assert.equal(r.status, 200)
    const got = JSON.parse(r.body)
    assert.deepEqual([got.sha256, got.type], [createHash('sha256').update(secret).digest('hex'), 'text/x-secret'])
    const [request, response] = await wire()
    assert.equal(request.headers['content-type'], 'application/jose')
    assert.equal(response.headers['content-type'], 'application/jose')
    for (const m of [request, response]) {
      const plain = Buffer.from(m.body.split('.')[3], 'base64url').toString('latin1')
      for (const word of ['salary', got.sha256, 'x-secret']) assert.ok(!(m.body + plain + JSON.stringify(m.headers)).includes(word), word)
    }
  })
  test('10 MB there and back, and what a GET asks for', async () => {
    const got = await page.evaluate(async () => {
      const bytes = new Uint8Array(10 << 20)
      for (let i = 0; i < bytes.length; i += 65536) crypto.getRandomValues(bytes.subarray(i, i + 65536))
      const sum = async (b) => [...new Uint8Array(await crypto.subtle.digest('SHA-256', b))].map((x) => x.toString(16).padStart(2, '0')).join('')
      const up = await encryption.fetch('/api/upload', { method: 'POST', body: bytes }).then((r) => r.json())
      const blob = await encryption.fetch('/api/blob')
      const plain = await session.fetch('/api/blob')
      return { up, sum: await sum(bytes), type: blob.headers.get('content-type'), same: (await sum(await blob.arrayBuffer())) === (await sum(await plain.arrayBuffer())) }
    })
    assert.deepEqual([got.up.bytes, got.up.sha256, got.type, got.same], [10 << 20, got.sum, 'application/octet-stream', true])
  })
  test('a multipart form with a file', async () => {
    const got = await page.evaluate(async () => {
      const form = new FormData()
      form.set('name', '茶')
      form.set('file', new Blob([new Uint8Array([0, 255, 10, 13])]), 'f.bin')
      return (await encryption.fetch('/api/form', { method: 'POST', body: form })).json()
    })
    assert.deepEqual(got, { fields: { name: ['茶'] }, files: { file: createHash('sha256').update(Buffer.from([0, 255, 10, 13])).digest('hex') } })
  })
})

describe('the session goes on', () => {
  test('five calls meet an expired token: one renewal, one agreement, five answers', async () => {
    assert.equal((await call('/api/orders?n=x')).status, 200)
    await server.advance(ACCESS_TTL)
    await server.reset()
    const list = await page.evaluate(() =>
      Promise.all(Array.from({ length: 5 }, (_, i) => encryption.fetch('/api/orders?n=' + i).then(async (r) => [r.status, (await r.json()).n]))),
    )
    assert.deepEqual(list, Array.from({ length: 5 }, (_, i) => [200, String(i)]))
    const { requests } = await server.seen()
    assert.equal(requests.filter((r) => r.path === '/auth/refresh').length, 1)
  })
  test('the server’s clock is hours ahead of the browser’s: it is corrected', async () => {
    await server.advance(5 * 3_600_000)
    assert.equal((await call('/api/orders')).status, 200)
  })
  test('an error of the API comes whole', async () => {
    assert.equal((await call('/api/forbidden')).status, 403)
  })
  test('the session ends, and the key with it', async () => {
    assert.equal((await call('/api/orders')).status, 200)
    await server.endSessions('alice')
    assert.deepEqual(await call('/api/orders'), { error: 'signedout' })
  })
})

describe('lies on the way', () => {
  test('an answer in plain text', async () => {
    await tamper(() => ({ status: 200, contentType: 'application/json', body: '{"orders":[]}' }))
    assert.deepEqual(await call('/api/orders'), { error: 'plaintext' })
  })
  test('an error page of a proxy has a status and nothing else', async () => {
    await tamper(() => ({ status: 502, contentType: 'text/html', body: '<form action="https://evil.example">' }))
    assert.deepEqual(await call('/api/orders'), { status: 502, type: null, body: '' })
  })
  test('changed, cut off, with another status', async () => {
    let change
    await tamper(async (response) => change(response, await response.text()))
    change = (response, text) => ({ response, body: text.replace(/\.(.)([^.]+\.[^.]+)$/, (_, c, rest) => '.' + (c === 'A' ? 'B' : 'A') + rest) })
    assert.deepEqual(await call('/api/orders'), { error: 'decrypt' })
    change = (response, text) => ({ response, body: text.slice(0, -9) })
    assert.deepEqual(await call('/api/orders'), { error: 'malformed' })
    change = (response, text) => ({ response, status: 201, body: text })
    assert.deepEqual(await call('/api/orders'), { error: 'binding' })
  })
  test('the answer to another request', async () => {
    let first
    await tamper(async (response) => ({ response, body: (first ??= await response.text()) }))
    assert.equal((await call('/api/orders?n=1')).status, 200)
    assert.deepEqual(await call('/api/orders?n=1'), { error: 'binding' })
  })
  test('a request that is sent twice is done once', async () => {
    const statuses = []
    await tamper(async (response, route) => {
      statuses.push(response.status(), (await route.fetch()).status())
      return { response }
    })
    assert.equal((await call('/api/upload', { method: 'POST', body: 'x' })).status, 200)
    assert.deepEqual(statuses, [200, 409])
  })
  test('the token that was agreed on is worth nothing to who sees it', async () => {
    let token
    page.on('request', (r) => r.url().includes('/api/orders') && (token = r.headers().authorization))
    assert.equal((await call('/api/orders')).status, 200)
    for (const path of ['/api/orders', '/auth/me', '/auth/sessions']) {
      const r = await fetch(server.url + path, { headers: { authorization: token } })
      assert.deepEqual([path, r.status, (await r.json()).code], [path, 415, 'encryption_required'])
    }
  })
})
