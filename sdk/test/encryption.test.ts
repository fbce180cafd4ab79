// Encrypted bodies: the vectors that Go is held to as well, and a server of node:crypto behind a network that lies.
import { createCipheriv, createDecipheriv, createHash, createPrivateKey, createPublicKey, diffieHellman, hkdfSync, randomBytes, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import axios from 'axios'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createEncryption, EncryptionError, type EncryptionOptions } from '../src/adapters/encryption.js'
import { agree, publicKey, thumbprint } from '../src/adapters/encryption/seal.js'
import type { Session } from '../src/core/types.js'

const vectors = JSON.parse(readFileSync('../spec/vectors/encryption.json', 'utf8'))
const hex = (s: string) => new Uint8Array(Buffer.from(s, 'hex'))
const ascii = (s: string) => new Uint8Array(Buffer.from(s))
const b64 = (b: Uint8Array | string) => Buffer.from(b).toString('base64url')

describe('the vectors', () => {
  const pair = async (): Promise<CryptoKeyPair> => {
    const algorithm = { name: 'ECDH', namedCurve: 'P-256' }
    return {
      privateKey: await crypto.subtle.importKey('jwk', { ...vectors.client.public, d: vectors.client.d }, algorithm, false, ['deriveBits']),
      publicKey: await crypto.subtle.importKey('jwk', vectors.client.public, algorithm, true, []),
    }
  }
  const channel = async (sid: string) => agree(await pair(), publicKey(vectors.server.public), sid)

  test('thumbprints', async () => {
    for (const side of ['client', 'server']) expect(await thumbprint(publicKey(vectors[side].public))).toBe(vectors[side].thumbprint)
    expect(vectors.jwks.keys[0].kid).toBe(vectors.server.thumbprint)
  })
  for (const v of vectors.requests)
    test(`sealing ${v.name} gives the same bytes`, async () => {
      const c = await channel(v.session)
      const message = await c.seal({ method: v.method, path: v.path, seq: v.seq }, v.content_type, hex(v.content), v.time, hex(v.nonce))
      expect(Buffer.from(message).toString()).toBe(v.message)
    })
  for (const v of vectors.answers)
    test(`opening ${v.name}`, async () => {
      const got = await (await channel(v.session)).open({ method: v.method, path: v.path, seq: v.seq }, v.status, ascii(v.message))
      expect([Buffer.from(got.content).toString('hex'), got.type]).toEqual([v.content, v.content_type])
    })
  for (const v of vectors.refused)
    test(`refusing ${v.name}`, async () => {
      const first = vectors.requests[0]
      const place = { method: first.method, path: first.path, seq: first.seq }
      await expect((await channel(first.session)).open(place, v.status, ascii(v.message))).rejects.toMatchObject({ code: v.reason })
    })
  test('every change of an answer is refused', async () => {
    const v = vectors.answers[0]
    const c = await channel(v.session)
    const place = { method: v.method, path: v.path, seq: v.seq }
    for (let i = 0; i < v.message.length; i++) {
      const changed = ascii(v.message)
      changed[i] = changed[i] === 65 ? 66 : 65
      await expect(c.open(place, v.status, changed), `byte ${i}`).rejects.toBeInstanceOf(EncryptionError)
      await expect(c.open(place, v.status, ascii(v.message.slice(0, i))), `cut at ${i}`).rejects.toBeInstanceOf(EncryptionError)
    }
  })
})

const key = createPrivateKey({ key: { ...vectors.server.public, d: vectors.server.d }, format: 'jwk' })
type Keys = { request: Buffer; response: Buffer }
interface Seen {
  header: Record<string, any>
  content: Buffer
  token: string
  accept: string | null
}
interface Answer {
  status?: number
  type?: string
  body?: Uint8Array | string
  headers?: Record<string, string>
}

/** The server, as docs/encryption.md describes it, and what may happen to its answers. */
class World {
  kid = vectors.server.thumbprint as string
  jwks = vectors.jwks
  seen: Seen[] = []
  bindings = 0
  taken = new Set<string>()
  now = Date.now()
  answer: (s: Seen) => Answer = () => ({ type: 'application/json', body: '{"ok":true}' })
  /** Stands between: may answer in the server's place, or change what it says. */
  between: (request: Request, pass: () => Promise<Response>) => Promise<Response> = (_, pass) => pass()
  fetches: string[] = []

  fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init)
    const { pathname } = new URL(request.url)
    this.fetches.push(request.method + ' ' + pathname)
    if (pathname.endsWith('jwks.json')) return Response.json(this.jwks)
    expect([request.redirect, request.cache]).toEqual(['error', 'no-store'])
    return Object.defineProperty(await this.between(request, () => this.serve(request)), 'url', { value: request.url })
  }

  keys(epk: any, sid = ''): Keys {
    const secret = diffieHellman({ privateKey: key, publicKey: createPublicKey({ key: epk, format: 'jwk' }) as KeyObject })
    const id = createHash('sha256').update(JSON.stringify({ crv: 'P-256', kty: 'EC', x: epk.x, y: epk.y })).digest('base64url')
    const derive = (d: string) => Buffer.from(hkdfSync('sha256', secret, '', `tacet encryption v1 ${d}\0${this.kid}\0${id}\0${sid}`, 32))
    return { request: derive('request'), response: derive('response') }
  }

  async serve(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const body = Buffer.from(await request.arrayBuffer()).toString()
    const inHeader = request.headers.get('tacet-seal')
    const token = request.headers.get('authorization')!.slice(7)
    if (claims(token).expired) return problem(401, 'invalid_token')
    if (!inHeader && request.headers.get('content-type') !== 'application/jose') return problem(415, 'encryption_required')
    const [head, empty, iv, content, tag] = (inHeader ?? body).split('.') as [string, string, string, string, string]
    const header = JSON.parse(Buffer.from(head, 'base64url').toString())
    expect([empty, header.alg, header.enc, header.method, header.path, header.sid]).toEqual(['', 'dir', 'A256GCM', request.method, url.pathname + url.search, claims(token).sid])
    if (header.kid !== this.kid) return problem(400, 'encryption_key')
    if (Math.abs(header.time - this.now) > 60_000) return problem(400, 'encryption_stale', { date: new Date(this.now).toUTCString() })
    const keys = this.keys(header.epk, header.sid)
    const d = createDecipheriv('aes-256-gcm', keys.request, Buffer.from(iv, 'base64url'))
    d.setAAD(Buffer.from(head))
    d.setAuthTag(Buffer.from(tag, 'base64url'))
    const plain = Buffer.concat([d.update(Buffer.from(content, 'base64url')), d.final()])
    const number = header.epk.x + header.seq
    if (this.taken.has(number)) return problem(409, 'encryption_replayed')
    this.taken.add(number)
    let a: Answer
    if (url.pathname === '/auth/encryption') {
      this.bindings++
      a = { type: 'application/json', body: JSON.stringify({ access_token: jwt({ ...claims(token), enc_jkt: 'x' }), token_type: 'Bearer', expires_in: 900 }) }
    } else {
      expect(claims(token).enc_jkt).toBe('x')
      this.seen.push({ header, content: plain, token, accept: request.headers.get('accept') })
      a = this.answer(this.seen.at(-1)!)
    }
    return this.seal(keys, header, a)
  }

  seal(keys: Keys, { kid, method, path, seq }: any, { status = 200, type, body = '', headers }: Answer): Response {
    const head = b64(JSON.stringify({ alg: 'dir', enc: 'A256GCM', kid, cty: type, method, path, status, seq, time: this.now }))
    const iv = randomBytes(12)
    const c = createCipheriv('aes-256-gcm', keys.response, iv)
    c.setAAD(Buffer.from(head))
    const box = Buffer.concat([c.update(Buffer.from(body)), c.final()])
    const message = [head, '', b64(iv), b64(box), b64(c.getAuthTag())].join('.')
    return status === 204 || status === 304 || method === 'HEAD'
      ? new Response(null, { status, headers: { ...headers, 'tacet-seal': message } })
      : new Response(message, { status, headers: { ...headers, 'content-type': 'application/jose' } })
  }
}

const jwt = (payload: object) => `h.${b64(JSON.stringify(payload))}.s`
const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString())
const problem = (status: number, code: string, headers = {}) =>
  new Response(JSON.stringify({ type: 'about:blank', title: 'x', status, code }), { status, headers: { 'content-type': 'application/problem+json', ...headers } })

let world: World
let tokens: string[]
let signedout: (() => void)[]
const token = (n: number, more = {}) => jwt({ sid: 'session-1', n, ...more })
/** As the core does it: a token, and once more with the next one after a 401. */
const session = {
  on: (type: string, fn: () => void) => type === 'signedout' && signedout.push(fn),
  async send(_: unknown, transmit: (token: string | undefined, repeat: 0 | 1) => Promise<{ status?: number }>) {
    const r = await transmit(tokens[0], 0)
    if (r.status !== 401) return r
    tokens.shift()
    return transmit(tokens[0], 1)
  },
} as unknown as Session
const open = (options?: EncryptionOptions) => createEncryption(session, options)

beforeEach(() => {
  world = new World()
  tokens = [token(1)]
  signedout = []
  vi.stubGlobal('location', { href: 'https://app.test/page' })
  vi.stubGlobal('fetch', world.fetch)
  const Real = Request // node wants absolute URLs
  vi.stubGlobal('Request', class extends Real { constructor(i: RequestInfo | URL, o?: RequestInit) { super(typeof i === 'string' ? new URL(i, 'https://app.test/page') : i, o) } })
})
afterEach(() => vi.unstubAllGlobals())

describe('fetch', () => {
  test('a request and its answer, and what each side sees of them', async () => {
    const e = open()
    world.answer = () => ({ status: 201, type: 'text/plain; charset=utf-8', body: 'für dich', headers: { 'x-mine': '1' } })
    const r = await e.fetch('/api/x?a=1&b=<2>', { method: 'POST', body: '{"n":1}', headers: { 'content-type': 'application/json', accept: 'text/plain' } })
    expect([r.status, await r.text(), r.headers.get('content-type'), r.headers.get('x-mine'), r.url]).toEqual([201, 'für dich', 'text/plain; charset=utf-8', '1', 'https://app.test/api/x?a=1&b=%3C2%3E'])
    const [s] = world.seen
    expect([s!.content.toString(), s!.header.cty, s!.accept, s!.header.seq]).toEqual(['{"n":1}', 'application/json', 'application/jose, text/plain', 2])
    expect(world.fetches).toEqual(['GET /.well-known/jwks.json', 'POST /auth/encryption', 'POST /api/x'])
  })
  test('one agreement for all requests of a token, also for those that start together', async () => {
    const e = open()
    await Promise.all(Array.from({ length: 20 }, (_, i) => e.fetch('/api/' + i)))
    expect([world.bindings, world.seen.length, new Set(world.seen.map((s) => s.header.seq)).size]).toEqual([1, 20, 20])
  })
  test('GET, HEAD, DELETE without a body, 204 and 304 are sealed in a header', async () => {
    const e = open()
    for (const [method, status] of [['GET', 200], ['HEAD', 200], ['DELETE', 204], ['GET', 304]] as const) {
      world.answer = () => ({ status })
      const r = await e.fetch('/api/x', { method })
      expect([r.status, await r.text(), r.headers.get('tacet-seal')]).toEqual([status, '', null])
    }
  })
  test('10 MB both ways, every byte', async () => {
    const large = new Uint8Array(10 << 20).map((_, i) => i * 7)
    world.answer = (s) => ({ type: 'application/octet-stream', body: s.content })
    const r = await open().fetch('/api/x', { method: 'PUT', body: large })
    expect(Buffer.compare(Buffer.from(await r.arrayBuffer()), large)).toBe(0)
  })
  test('a form keeps its boundary', async () => {
    const form = new FormData()
    form.set('a', '茶')
    await open().fetch('/api/x', { method: 'POST', body: form })
    const [s] = world.seen
    expect((await new Response(new Uint8Array(s!.content), { headers: { 'content-type': s!.header.cty } }).formData()).get('a')).toBe('茶')
  })
  test('a 401 renews; the request keeps its number and gets the next token', async () => {
    tokens = [token(1), token(2)]
    const e = open()
    let refuse = 1
    world.between = async (r, pass) => (r.url.includes('/api/') && refuse-- > 0 ? problem(401, 'invalid_token') : pass())
    expect((await e.fetch('/api/x', { method: 'POST', body: 'x' })).status).toBe(200)
    expect([world.bindings, world.seen.length, claims(world.seen[0]!.token).n]).toEqual([2, 1, 2])
    // The second agreement came after the request had its number.
    expect(world.seen[0]!.header.seq).toBe(2)
  })
  test('an expired token is renewed before the agreement', async () => {
    tokens = [token(1, { expired: true }), token(2)]
    expect((await open().fetch('/api/x')).status).toBe(200)
  })
  test('another session, another key', async () => {
    const e = open()
    await e.fetch('/api/x')
    signedout.forEach((fn) => fn())
    tokens = [jwt({ sid: 'session-2' })]
    await e.fetch('/api/x')
    const [a, b] = world.seen
    expect(a!.header.epk.x).not.toBe(b!.header.epk.x)
  })
  test('signed out: nothing is sent', async () => {
    tokens = []
    await expect(open().fetch('/api/x')).rejects.toMatchObject({ code: 'signedout' })
    expect(world.fetches).toEqual([])
  })
  test('what is not for encryption is not sent', async () => {
    await expect(open().fetch('/api/x', { tacet: false })).rejects.toThrow(TypeError)
    await expect(open().fetch('/api/x', { headers: { authorization: 'Basic x' } })).rejects.toThrow(TypeError)
    expect(world.fetches).toEqual([])
  })
  test('axios, with its own adapter for fetch', async () => {
    const api = axios.create({ adapter: 'fetch', baseURL: 'https://app.test/api', env: { fetch: open().fetch } } as object)
    world.answer = (s) => ({ status: s.content.length ? 422 : 200, type: 'application/json', body: `{"you":${JSON.stringify(s.content.toString())}}` })
    expect((await api.get('/x', { params: { a: 1 } })).data).toEqual({ you: '' })
    await expect(api.post('/x', { n: 1 })).rejects.toMatchObject({ response: { status: 422, data: { you: '{"n":1}' } } })
  })
})

describe('lies', () => {
  const post = (e = open()) => e.fetch('/api/x', { method: 'POST', body: 'x' })
  /** Lets the agreement through and does this to what comes after. */
  const lie = (fn: (pass: () => Promise<Response>, r: Request) => Promise<Response>) => {
    world.between = (r, pass) => (r.url.includes('/api/') ? fn(pass, r) : pass())
  }
  test('an answer in plain text is not given back', async () => {
    lie(async () => Response.json({ ok: 'really' }))
    await expect(post()).rejects.toMatchObject({ name: 'EncryptionError', code: 'plaintext', status: 200 })
  })
  test('an error in plain text has a status and no body', async () => {
    for (const status of [403, 429, 502]) {
      lie(async () => new Response('<form>', { status, headers: { 'content-type': 'text/html', 'retry-after': '7' } }))
      const r = await post()
      expect([r.status, await r.text(), r.headers.get('content-type'), r.headers.get('retry-after')]).toEqual([status, '', null, '7'])
    }
  })
  test('the status line, a cut, a change, another answer', async () => {
    const changed = (change: (m: string) => string, status = 200) => async (pass: () => Promise<Response>) => {
      const r = await pass()
      return new Response(change(await r.text()), { status, headers: r.headers })
    }
    lie(changed((m) => m, 201))
    await expect(post()).rejects.toMatchObject({ code: 'binding' })
    lie(changed((m) => m.slice(0, -1)))
    await expect(post()).rejects.toMatchObject({ code: 'malformed' })
    lie(changed((m) => m.replace(/\.(.)([^.]*)\.([^.]*)$/, (_, c, rest, tag) => `.${c === 'A' ? 'B' : 'A'}${rest}.${tag}`)))
    await expect(post()).rejects.toMatchObject({ code: 'decrypt' })
    const e = open()
    let first = ''
    lie(changed((m) => (first ||= m)))
    await post(e)
    await expect(post(e)).rejects.toMatchObject({ code: 'binding' })
  })
  test('a request that is reflected', async () => {
    lie(async (_, r) => new Response(await r.text(), { headers: { 'content-type': 'application/jose' } }))
    await expect(post()).rejects.toMatchObject({ code: 'decrypt' })
  })
  test('a forged refusal after the deed: it is not done twice', async () => {
    for (const code of ['encryption_key', 'encryption_stale', 'invalid_token']) {
      world.seen = []
      tokens = [token(1), token(2)]
      let n = 0
      lie(async (pass) => {
        const r = await pass()
        return n++ ? r : problem(code === 'invalid_token' ? 401 : 400, code)
      })
      await expect(post()).rejects.toMatchObject({ code: 'encryption_replayed', status: 409 })
      expect(world.seen.length).toBe(1)
      }
  })
  test('a GET that the platform repeated is asked for anew, once', async () => {
    const e = open()
    let n = 0
    lie(async (pass) => (n++ ? pass() : (await pass(), problem(409, 'encryption_replayed'))))
    expect((await e.fetch('/api/x')).status).toBe(200)
    lie(async () => problem(409, 'encryption_replayed'))
    await expect(e.fetch('/api/x')).rejects.toMatchObject({ code: 'encryption_replayed' })
  })
  test('a clock that is wrong by a day is corrected once', async () => {
    world.now += 86_400_000
    const e = open()
    expect((await post(e)).status).toBe(200)
    expect((await post(e)).status).toBe(200)
    expect(world.fetches.filter((f) => f.endsWith('encryption')).length).toBe(2)
  })
  test('a server key that was replaced is read again', async () => {
    const e = open()
    world.jwks = { keys: [{ ...vectors.client.public, use: 'enc', kid: vectors.client.thumbprint }] }
    const refused = post(e)
    world.jwks = { keys: [{ ...vectors.client.public, use: 'enc', kid: vectors.client.thumbprint }, ...vectors.jwks.keys] }
    await expect(refused).rejects.toMatchObject({ code: 'encryption_key' })
    world.jwks = vectors.jwks
    expect((await post(e)).status).toBe(200)
  })
  test('keys that are not pinned, not named by their thumbprint, or not for encryption', async () => {
    const [k] = vectors.jwks.keys
    for (const keys of [[], [{ ...k, use: 'sig' }], [{ ...k, kid: 'x' }], [{ ...k, ...vectors.client.public }]]) {
      world.jwks = { keys }
      await expect(post()).rejects.toMatchObject({ code: 'keys' })
    }
    world.jwks = vectors.jwks
    await expect(post(open({ pins: [vectors.client.thumbprint] }))).rejects.toMatchObject({ code: 'keys' })
    expect((await post(open({ pins: [vectors.server.thumbprint] }))).status).toBe(200)
  })
  test('a server without encryption is told from one that lies', async () => {
    world.between = async (r, pass) => (r.url.endsWith('/auth/encryption') ? problem(404, 'not_found') : pass())
    const r = await post()
    expect([r.status, await r.text(), world.seen.length]).toEqual([404, '', 0])
  })
})
