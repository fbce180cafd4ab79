// Stock clients, unmodified, against the real program: oauth4webapi under node,
// oidc-client-ts in Chromium on a page of another origin.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as oauth from 'oauth4webapi'
import { startBrowser } from '../lib/stack.mjs'
import { newTacet } from '../lib/tacet.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const CALLBACK = 'https://backend.example/cb'

let tacet, issuer, secret, pages, origin, elsewhere

before(async () => {
  pages = createServer(async (req, res) => {
    const path = new URL(req.url, 'http://x').pathname
    if (path === '/on') { // a client that leads on to another site after the sign-in
      res.writeHead(302, { location: `${elsewhere}/landed?${new URL(req.url, 'http://x').searchParams}` })
      return res.end()
    }
    if (path === '/oidc.js') {
      res.setHeader('content-type', 'text/javascript')
      return res.end(await readFile(join(here, '../node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js')))
    }
    res.setHeader('content-type', 'text/html')
    res.end(await readFile(join(here, '../pages/oidc.html')))
  }).listen(0, '127.0.0.1')
  await once(pages, 'listening')
  origin = `http://127.0.0.1:${pages.address().port}`
  elsewhere = `http://localhost:${pages.address().port}` // another origin

  tacet = await newTacet()
  await tacet.run(['role', 'add', 'viewer', '--permission', 'orders:read'])
  await tacet.run(['user', 'add', 'alice', '--password-stdin', '--role', 'viewer'], 'alice-password')
  const added = await tacet.run(['client', 'add', 'backend', '--scope', 'openid profile email offline_access', '--confidential', '--redirect-uri', CALLBACK])
  secret = /again: (\S+)/.exec(added)[1]
  issuer = await tacet.serve('--cors-origin', origin)
  // Clients may be added while the server runs.
  await tacet.run(['client', 'update', 'backend', '--audience', issuer])
  await tacet.run(['client', 'add', 'spa', '--scope', 'openid profile email offline_access', '--name', 'The Shop', '--audience', issuer, '--redirect-uri', `${origin}/cb`, '--redirect-uri', `${origin}/on`, '--logout-uri', `${origin}/bye`])
  await tacet.run(['client', 'add', 'cli', '--scope', 'openid profile email offline_access', '--audience', issuer, '--redirect-uri', 'http://127.0.0.1/cb', '--device'])
})
after(async () => {
  pages?.close()
  await tacet?.stop()
})

const insecure = { [oauth.allowInsecureRequests]: true }

const discover = async (algorithm = 'oidc') => {
  const url = new URL(issuer)
  return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm, ...insecure }))
}

/** What a browser does at the sign-in page: returns where it is sent. */
async function signInByHand(url, username = 'alice', password = 'alice-password') {
  const page = await fetch(url, { redirect: 'manual' })
  const html = await page.text()
  assert.equal(page.status, 200, html)
  const cookie = page.headers.getSetCookie().map((c) => c.split(';')[0]).join('; ')
  const unescape = (s) => s.replaceAll('&amp;', '&').replaceAll('&#43;', '+').replaceAll('&#34;', '"')
  const action = unescape(/action="([^"]*)"/.exec(html)[1])
  const csrf = /name="csrf" value="([^"]*)"/.exec(html)[1]
  const r = await fetch(new URL(action, issuer), {
    method: 'POST',
    redirect: 'manual',
    headers: { cookie, origin: issuer },
    body: new URLSearchParams({ csrf, username, password }),
  })
  assert.equal(r.status, 303, await r.text())
  return new URL(r.headers.get('location'))
}

async function codeFlow(as, client, auth, redirect, more = {}) {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const nonce = oauth.generateRandomNonce()
  const url = new URL(as.authorization_endpoint)
  for (const [k, v] of Object.entries({
    client_id: client.client_id,
    redirect_uri: redirect,
    response_type: 'code',
    scope: 'openid profile',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  }))
    url.searchParams.set(k, v)
  const params = oauth.validateAuthResponse(as, client, await signInByHand(url), state)
  const response = await oauth.authorizationCodeGrantRequest(as, client, auth, params, redirect, verifier, { ...insecure, ...more })
  const result = await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: nonce, requireIdToken: true })
  await oauth.validateApplicationLevelSignature(as, response, insecure) // of the ID token, with the published keys
  return result
}

describe('oauth4webapi', () => {
  for (const algorithm of ['oidc', 'oauth2']) {
    test(`discovery, ${algorithm}`, async () => {
      const as = await discover(algorithm)
      assert.equal(as.issuer, issuer)
      assert.ok(as.code_challenge_methods_supported.includes('S256'))
      assert.equal(as.authorization_response_iss_parameter_supported, true)
    })
  }

  const clients = {
    'public client': () => [{ client_id: 'cli' }, oauth.None(), 'http://127.0.0.1:49321/cb'],
    'client_secret_basic': () => [{ client_id: 'backend' }, oauth.ClientSecretBasic(secret), CALLBACK],
    'client_secret_post': () => [{ client_id: 'backend' }, oauth.ClientSecretPost(secret), CALLBACK],
  }
  for (const [name, make] of Object.entries(clients)) {
    test(`code with PKCE, refresh, user info, revocation: ${name}`, async () => {
      const as = await discover()
      const [client, auth, redirect] = make()
      const tokens = await codeFlow(as, client, auth, redirect)
      const claims = oauth.getValidatedIdTokenClaims(tokens)
      assert.equal(claims.preferred_username, 'alice')

      const info = await oauth.processUserInfoResponse(as, client, claims.sub, await oauth.userInfoRequest(as, client, tokens.access_token, insecure))
      assert.equal(info.preferred_username, 'alice')

      let refresh = tokens.refresh_token
      for (let i = 0; i < 3; i++) {
        const next = await oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, auth, refresh, insecure))
        assert.ok(next.access_token && next.refresh_token && next.refresh_token !== refresh)
        refresh = next.refresh_token
      }
      // With the scope said, the ID token comes too.
      const named = await oauth.processRefreshTokenResponse(
        as,
        client,
        await oauth.refreshTokenGrantRequest(as, client, auth, refresh, { additionalParameters: { scope: 'openid profile' }, ...insecure }),
      )
      assert.equal(oauth.getValidatedIdTokenClaims(named).sub, claims.sub)

      await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, named.refresh_token, insecure))
      await assert.rejects(
        async () => oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, auth, named.refresh_token, insecure)),
        { error: 'invalid_grant', status: 400 },
      )
    })
  }

  for (const algorithm of ['ES256', 'Ed25519']) {
    test(`DPoP, ${algorithm}: code with PKCE, refresh, resource; stolen tokens are worth nothing`, async () => {
      const as = await discover()
      assert.ok(as.dpop_signing_alg_values_supported.includes(algorithm))
      const client = { client_id: 'cli' }
      const redirect = 'http://127.0.0.1:49323/cb'
      const proof = { DPoP: oauth.DPoP(client, await oauth.generateKeyPair(algorithm)), ...insecure }
      const other = { DPoP: oauth.DPoP(client, await oauth.generateKeyPair(algorithm)), ...insecure }
      let tokens = await codeFlow(as, client, oauth.None(), redirect, proof)
      const { sub } = oauth.getValidatedIdTokenClaims(tokens)
      const me = new URL('/auth/me', issuer)
      const renew = async (token, options) =>
        oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, oauth.None(), token, options))
      const first = tokens
      for (let i = 0; i < 3; i++) {
        assert.equal(tokens.token_type, 'dpop')
        const info = await oauth.processUserInfoResponse(as, client, sub, await oauth.userInfoRequest(as, client, tokens.access_token, proof))
        assert.equal(info.preferred_username, 'alice')
        const r = await oauth.protectedResourceRequest(tokens.access_token, 'GET', me, undefined, undefined, proof)
        assert.equal((await r.json()).user.username, 'alice')
        tokens = await renew(tokens.refresh_token, proof)
      }
      for (const token of [first.refresh_token, tokens.refresh_token])
        for (const thief of [insecure, other]) await assert.rejects(() => renew(token, thief), { error: 'invalid_grant', status: 400 })
      for (const thief of [insecure, other])
        await assert.rejects(async () => oauth.protectedResourceRequest(tokens.access_token, 'GET', me, undefined, undefined, thief), (e) => {
          assert.equal(e.status, 401)
          assert.match(e.cause[0].scheme, /^dpop$/i)
          return true
        })
      assert.equal((await renew(tokens.refresh_token, proof)).token_type, 'dpop')
    })
  }

  test('introspection', async () => {
    const as = await discover()
    const backend = { client_id: 'backend' }
    const auth = oauth.ClientSecretBasic(secret)
    const ask = async (token) => oauth.processIntrospectionResponse(as, backend, await oauth.introspectionRequest(as, backend, auth, token, insecure))
    const tokens = await codeFlow(as, { client_id: 'cli' }, oauth.None(), 'http://127.0.0.1:49322/cb')
    const state = await ask(tokens.access_token)
    assert.deepEqual([state.active, state.username, state.client_id, state.scope], [true, 'alice', 'cli', 'openid profile'])
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, { client_id: 'cli' }, oauth.None(), tokens.refresh_token, insecure))
    assert.deepEqual(await ask(tokens.access_token), { active: false })
    await assert.rejects(async () =>
      oauth.processIntrospectionResponse(as, backend, await oauth.introspectionRequest(as, backend, oauth.ClientSecretBasic('wrong'), 'x', insecure)),
    )
  })

  test('device authorization', async () => {
    const as = await discover()
    const client = { client_id: 'cli' }
    const d = await oauth.processDeviceAuthorizationResponse(as, client, await oauth.deviceAuthorizationRequest(as, client, oauth.None(), { scope: 'openid' }, insecure))
    const poll = async () => oauth.processDeviceCodeResponse(as, client, await oauth.deviceCodeGrantRequest(as, client, oauth.None(), d.device_code, insecure))
    await assert.rejects(poll, { error: 'authorization_pending' })

    // The user, in another browser.
    const browser = await startBrowser()
    try {
      const page = await browser.newPage()
      await page.goto(d.verification_uri_complete)
      await page.getByRole('button', { name: 'Continue' }).click()
      await page.getByText(d.user_code).waitFor()
      await page.getByLabel('Username').fill('alice')
      await page.getByLabel('Password').fill('alice-password')
      await page.getByRole('button', { name: 'Sign in and allow' }).click()
      await page.getByRole('heading', { name: 'The device is connected' }).waitFor()
    } finally {
      await browser.close()
    }
    const tokens = await poll()
    assert.ok(tokens.refresh_token && tokens.id_token)
  })
})

describe('oidc-client-ts in Chromium, from another origin', () => {
  let browser
  before(async () => (browser = await startBrowser()))
  after(() => browser?.close())

  async function open(options = {}) {
    const context = await browser.newContext(options)
    const page = await context.newPage()
    page.problems = []
    page.on('pageerror', (e) => page.problems.push(String(e)))
    page.on('console', (m) => m.type() === 'error' && page.problems.push(m.text()))
    const settings = { authority: issuer, client_id: 'spa', redirect_uri: `${origin}/cb`, post_logout_redirect_uri: `${origin}/bye`, scope: 'openid profile email' }
    await context.addInitScript((s) => (globalThis.settings = s), settings)
    await page.goto(`${origin}/`)
    await page.waitForFunction(() => globalThis.manager)
    return page
  }

  async function signIn(page) {
    await page.evaluate(() => void manager.signinRedirect())
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await page.getByLabel('Username').fill('alice')
    await page.getByLabel('Password').fill('alice-password')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForURL(`${origin}/cb?*`)
    await page.waitForFunction(() => globalThis.manager)
    return page.evaluate(async () => {
      const user = await manager.signinRedirectCallback()
      return { profile: user.profile, refresh: user.refresh_token, access: user.access_token, scope: user.scope }
    })
  }

  // Chromium applies form-action of the sign-in page to all redirects that follow.
  test('a client that redirects on to another origin is followed', async () => {
    const page = await open()
    await page.evaluate((uri) => void manager.signinRedirect({ redirect_uri: uri }), `${origin}/on`)
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await page.getByLabel('Username').fill('alice')
    await page.getByLabel('Password').fill('alice-password')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForURL(`${elsewhere}/landed?*`)
    assert.ok(new URL(page.url()).searchParams.get('code'))
    await page.context().close()
  })

  test('sign-in, signinSilent with refresh tokens, sign-out', async () => {
    const page = await open()
    const user = await signIn(page)
    assert.equal(user.profile.preferred_username, 'alice')
    assert.equal(user.scope, 'openid profile email')

    let last = user
    for (let i = 0; i < 3; i++) {
      const next = await page.evaluate(async () => {
        const u = await manager.signinSilent()
        return { profile: u.profile, refresh: u.refresh_token, access: u.access_token, expires: u.expires_in }
      })
      assert.equal(next.profile.preferred_username, 'alice')
      assert.notEqual(next.refresh, last.refresh)
      assert.ok(next.expires > 0)
      last = next
    }
    const status = await page.evaluate(async (issuer) => {
      const u = await manager.getUser()
      return (await fetch(`${issuer}/oauth/userinfo`, { headers: { authorization: `Bearer ${u.access_token}` } })).status
    }, issuer)
    assert.equal(status, 200)

    await page.evaluate(() => void manager.signoutRedirect())
    await page.waitForURL(`${origin}/bye`)
    const r = await fetch(`${issuer}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: last.refresh, client_id: 'spa' }),
    })
    assert.deepEqual([r.status, (await r.json()).error], [400, 'invalid_grant'])
    assert.deepEqual(page.problems, [])
  })

  test('five silent renewals at once, and one from a second tab, keep the session', async () => {
    const page = await open()
    await signIn(page)
    const other = await page.context().newPage()
    await other.goto(`${origin}/`)
    await other.waitForFunction(() => globalThis.manager)
    const results = await Promise.all([
      page.evaluate(() => Promise.allSettled(Array.from({ length: 5 }, () => manager.signinSilent())).then((l) => l.map((r) => r.status))),
      other.evaluate(() => manager.signinSilent().then(() => ['fulfilled'], (e) => [String(e)])),
    ])
    assert.deepEqual([...new Set(results.flat())], ['fulfilled'])
    assert.ok(await page.evaluate(async () => !(await manager.signinSilent()).expired))
  })

  test('revokeTokens ends the session', async () => {
    const page = await open()
    const user = await signIn(page)
    await page.evaluate(() => manager.revokeTokens(['refresh_token']))
    const r = await fetch(`${issuer}/auth/me`, { headers: { authorization: `Bearer ${user.access}` } })
    assert.equal(r.status, 401)
  })

  test('a wrong password, a cancelled sign-in, and no session to take up', async () => {
    const page = await open({ locale: 'zh-CN' })
    await page.evaluate(() => void manager.signinRedirect())
    await page.getByRole('heading', { name: '登录' }).waitFor()
    await page.getByLabel('用户名').fill('alice')
    await page.getByLabel('密码').fill('wrong-password')
    await page.getByRole('button', { name: '登录' }).click()
    await page.getByRole('alert').filter({ hasText: '用户名或密码错误' }).waitFor()
    assert.equal(await page.getByLabel('用户名').inputValue(), 'alice')
    await page.getByRole('button', { name: '取消' }).click()
    await page.waitForURL(`${origin}/cb?*`)
    await page.waitForFunction(() => globalThis.manager)
    const error = await page.evaluate(() => manager.signinRedirectCallback().then(() => '', (e) => e.error))
    assert.equal(error, 'access_denied')
  })
})
