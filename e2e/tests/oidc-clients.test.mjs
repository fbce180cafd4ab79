// OpenID Connect clients of others from npm, unmodified and at their defaults, against
// the real program.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as client from 'openid-client'
import OpenIDConnectStrategy from 'passport-openidconnect'
import { newTacet } from '../lib/tacet.mjs'

const CALLBACK = 'https://site.example/cb'
const API = 'https://api.example.com'

let tacet, issuer, secret

before(async () => {
  tacet = await newTacet()
  await tacet.run(['user', 'add', 'alice', '--password-stdin'], 'alice-password')
  issuer = await tacet.serve()
  const added = await tacet.run([
    'client', 'add', 'site', '--confidential', '--scope', 'openid profile email', '--audience', API, '--redirect-uri', CALLBACK,
  ])
  secret = /again: (\S+)/.exec(added)[1]
})
after(() => tacet?.stop())

/** What a browser does at the sign-in page: returns where it is sent. */
async function signInByHand(url) {
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
    body: new URLSearchParams({ csrf, username: 'alice', password: 'alice-password' }),
  })
  assert.equal(r.status, 303, await r.text())
  return new URL(r.headers.get('location'))
}

test('openid-client', async () => {
  const config = await client.discovery(new URL(issuer), 'site', secret, undefined, { execute: [client.allowInsecureRequests] })
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    scope: 'openid email',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  let tokens = await client.authorizationCodeGrant(config, await signInByHand(url), { pkceCodeVerifier, idTokenExpected: true })
  const subject = tokens.claims().sub
  assert.equal(tokens.scope, 'openid email')
  assert.equal((await client.fetchUserInfo(config, tokens.access_token, subject)).sub, subject)
  for (let i = 0; i < 3; i++) {
    tokens = await client.refreshTokenGrant(config, tokens.refresh_token)
    assert.equal(tokens.claims().sub, subject)
  }
  await client.tokenRevocation(config, tokens.refresh_token)
  await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token), (e) => e.error === 'invalid_grant')
})

// It sends neither a code challenge nor a nonce.
test('passport-openidconnect', async () => {
  const strategy = new OpenIDConnectStrategy(
    {
      issuer,
      authorizationURL: `${issuer}/oauth/authorize`,
      tokenURL: `${issuer}/oauth/token`,
      userInfoURL: `${issuer}/oauth/userinfo`,
      clientID: 'site',
      clientSecret: secret,
      callbackURL: CALLBACK,
      scope: 'profile',
    },
    (_issuer, profile, done) => done(null, profile),
  )
  const session = {}
  const authenticate = (url) =>
    new Promise((resolve, reject) => {
      const s = Object.create(strategy)
      Object.assign(s, { redirect: resolve, success: resolve, fail: (info) => reject(new Error(JSON.stringify(info))), error: reject })
      s.authenticate({ query: Object.fromEntries(url.searchParams), body: {}, session, headers: {}, connection: {} }, {})
    })
  const to = await authenticate(new URL(CALLBACK))
  const profile = await authenticate(await signInByHand(to))
  assert.equal(profile.username ?? profile.displayName ?? profile.id, 'alice')
})
