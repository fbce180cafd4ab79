// Sign-in at an identity provider, in Chromium, with two tabs, on the real program; and its end there.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { dirname, join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startProvider } from '../lib/provider.mjs'
import { startBrowser } from '../lib/stack.mjs'
import { newTacet } from '../lib/tacet.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const client = { id: 'tacet', secret: 'secret-of-tacet' }
const person = { sub: 'jane-1', sid: 'sid-1', name: 'Jane Doe', preferred_username: 'jane', groups: ['staff'], email: 'jane@example.com', email_verified: true }
let provider, tacet, site, pages, browser, context

before(async () => {
  pages = createServer(async (req, res) => {
    const path = new URL(req.url, 'http://x').pathname
    const script = path.startsWith('/sdk/')
    res.setHeader('content-type', script ? 'text/javascript' : 'text/html')
    res.end(await readFile(script ? join(here, '../../sdk/dist', path.slice(5)) : join(here, '../pages/provider.html')))
  }).listen(0, '127.0.0.1')
  await once(pages, 'listening')
  provider = await startProvider(person, client)
  tacet = await newTacet()
  await tacet.run(['role', 'add', 'viewer', '--permission', 'orders:read'])
  await tacet.run(['client', 'add', 'spa', '--scope', 'openid profile email offline_access', '--name', 'The Shop', '--redirect-uri', 'http://127.0.0.1/cb'])
  process.env.TACET_OIDC_CLIENT_SECRET = client.secret
  site = await tacet.serve('--upstream', `/=http://127.0.0.1:${pages.address().port}`, '--public', '/',
    '--oidc-issuer', provider.issuer, '--oidc-name', 'Company', '--oidc-client-id', client.id, '--oidc-roles-claim', 'groups', '--oidc-role', 'staff=viewer')
  delete process.env.TACET_OIDC_CLIENT_SECRET
  browser = await startBrowser()
})
after(async () => {
  await browser?.close()
  await tacet?.stop()
  provider?.stop()
  pages?.close()
})
beforeEach(async () => {
  context = await browser.newContext({ locale: 'en' })
})
afterEach(() => context.close())

const shows = (page, what) => page.waitForFunction((w) => content.textContent === w, what, { timeout: 20_000, polling: 10 })
const signedIn = 'Jane Doe: may read'

async function signIn(page) {
  await page.goto(`${site}/`)
  await shows(page, 'signedout')
  await page.getByRole('link', { name: 'Sign in with Company' }).click()
  await page.getByRole('button', { name: 'I am Jane' }).click()
  await page.waitForURL(`${site}/orders?page=2`)
  await shows(page, signedIn)
}

test('two tabs are signed in, renew, and are out at once when the provider says so', async () => {
  const [one, two] = [await context.newPage(), await context.newPage()]
  await signIn(one)
  await two.goto(`${site}/`)
  await shows(two, signedIn)
  for (let i = 0; i < 5; i++) {
    await Promise.all([one, two].map((p) => p.reload()))
    await Promise.all([one, two].map((p) => shows(p, signedIn)))
  }
  const began = performance.now()
  const answer = await provider.logout(`${site}/auth/oidc/sso/backchannel-logout`, { sid: 'sid-1' })
  assert.equal(answer.status, 200, await answer.text())
  const statuses = await Promise.all([one, two].map((p) => p.evaluate(() => session.fetch('/auth/me').then((r) => r.status, (e) => e.code))))
  const refused = performance.now() - began
  await Promise.all([one, two].map((p) => shows(p, 'signedout')))
  console.log(`refused ${Math.round(refused)} ms after the provider said so, shown as signed out after ${Math.round(performance.now() - began)} ms`)
  assert.deepEqual(statuses.filter((s) => s === 200), [])
  // And in again, as the same user, in what is another session at the provider.
  person.sid = 'sid-2'
  await signIn(one)
})

test('two tabs at the provider at once, answered in the other order', async () => {
  const [one, two] = [await context.newPage(), await context.newPage()]
  for (const p of [one, two]) {
    await p.goto(`${site}/auth/oidc/sso/start?return_to=/`)
    await p.getByRole('button', { name: 'I am Jane' }).waitFor()
  }
  for (const p of [two, one]) {
    await p.getByRole('button', { name: 'I am Jane' }).click()
    await p.waitForURL(`${site}/`)
    await shows(p, signedIn)
  }
  // Going back into the sign-in is harmless.
  const cookies = await context.cookies()
  assert.deepEqual(cookies.filter((c) => c.name.includes('oidc')), [])
})

test('the sign-in page of an OAuth client has the button, in the language of the reader', async () => {
  const page = await (await browser.newContext({ locale: 'zh-CN' })).newPage()
  let landed
  await page.route('http://127.0.0.1:9/**', (route) => {
    landed = new URL(route.request().url())
    return route.fulfill({ body: 'back' })
  })
  const q = new URLSearchParams({ client_id: 'spa', response_type: 'code', redirect_uri: 'http://127.0.0.1:9/cb', state: 'st', code_challenge_method: 'S256',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', scope: 'openid profile' })
  await page.goto(`${site}/oauth/authorize?${q}`)
  await page.getByRole('link', { name: '使用 Company 登录' }).click()
  await page.getByRole('button', { name: 'I am Jane' }).click()
  await page.waitForURL('http://127.0.0.1:9/cb?*')
  assert.equal(landed.searchParams.get('state'), 'st')
  const r = await fetch(`${site}/oauth/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'authorization_code', client_id: 'spa',
    code: landed.searchParams.get('code'), redirect_uri: 'http://127.0.0.1:9/cb', code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk' }) })
  const tokens = await r.json()
  assert.equal(r.status, 200, JSON.stringify(tokens))
  const asked = { headers: { authorization: `Bearer ${tokens.access_token}` } }
  assert.equal((await (await fetch(`${site}/oauth/userinfo`, asked)).json()).name, 'Jane Doe')
  assert.equal((await fetch(`${site}/auth/me`, asked)).status, 401, "a client's token is none for the session calls")
  await page.context().close()
})
