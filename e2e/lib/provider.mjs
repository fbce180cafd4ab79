// A small OpenID provider on loopback: a page where somebody signs in, codes with
// PKCE, ID tokens signed with ES256, and back-channel logout.
import { createHash, createSign, generateKeyPairSync, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'

const b64 = (v) => Buffer.from(v).toString('base64url')

/** `person` are the claims of whoever presses the button; `client` is { id, secret }. */
export async function startProvider(person, client) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const codes = new Map()
  let issuer

  const sign = (claims, typ = 'JWT') => {
    const input = `${b64(JSON.stringify({ alg: 'ES256', kid: 'k1', typ }))}.${b64(JSON.stringify(claims))}`
    return `${input}.${createSign('sha256').update(input).sign({ key: privateKey, dsaEncoding: 'ieee-p1363' }, 'base64url')}`
  }
  const now = () => Math.floor(Date.now() / 1000)
  const common = () => ({ iss: issuer, aud: client.id, iat: now(), exp: now() + 120 })

  const routes = {
    '/.well-known/openid-configuration': () => ({
      issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/keys`,
      id_token_signing_alg_values_supported: ['ES256'], response_types_supported: ['code'], subject_types_supported: ['public'],
      authorization_response_iss_parameter_supported: true,
    }),
    '/keys': () => ({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'ES256' }] }),
    '/token': (url, body, headers) => {
      const form = new URLSearchParams(body)
      const grant = codes.get(form.get('code'))
      codes.delete(form.get('code'))
      const proof = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url')
      const from = headers.authorization === `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`
      if (!grant || !from || grant.redirect_uri !== form.get('redirect_uri') || proof !== grant.code_challenge) return [400, { error: 'invalid_grant' }]
      return { access_token: randomUUID(), token_type: 'Bearer', expires_in: 60, id_token: sign({ ...common(), nonce: grant.nonce, ...person }) }
    },
  }

  const server = createServer(async (req, res) => {
    const url = new URL(req.url, issuer)
    let body = ''
    for await (const chunk of req) body += chunk
    if (url.pathname === '/authorize') {
      res.setHeader('content-type', 'text/html; charset=utf-8')
      return res.end(`<!doctype html><title>Provider</title><form method="post" action="/approve${url.search.replaceAll('"', '')}"><button>I am Jane</button></form>`)
    }
    if (url.pathname === '/approve') {
      const q = Object.fromEntries(url.searchParams)
      const code = randomUUID()
      codes.set(code, q)
      res.statusCode = 302
      res.setHeader('location', `${q.redirect_uri}?${new URLSearchParams({ code, state: q.state, iss: issuer })}`)
      return res.end()
    }
    const answer = routes[url.pathname]?.(url, body, req.headers) ?? [404, {}]
    const [status, json] = Array.isArray(answer) ? answer : [200, answer]
    res.statusCode = status
    res.setHeader('content-type', 'application/json')
    res.end(JSON.stringify(json))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  issuer = `http://127.0.0.1:${server.address().port}`
  return {
    issuer,
    /** Tells `uri` that the person has signed out here; `claims` are sub, sid or both. */
    logout: (uri, claims) =>
      fetch(uri, {
        method: 'POST',
        body: new URLSearchParams({
          logout_token: sign({ ...common(), jti: randomUUID(), events: { 'http://schemas.openid.net/event/backchannel-logout': {} }, ...claims }, 'logout+jwt'),
        }),
      }),
    stop: () => server.close(),
  }
}
