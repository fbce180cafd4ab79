/**
 * Requests and answers whose bodies only this page and the server can read: for what lies between them, like
 * TLS-terminating proxies and their logs. It does not protect from scripts in this page.
 *
 * @packageDocumentation
 */
import type { Session } from '../core/types.js'
import { EncryptionError } from './encryption/error.js'
import { agree, publicKey, thumbprint, type Channel, type Place, type PublicKey } from './encryption/seal.js'
import type { Encryption, EncryptionOptions } from './encryption/types.js'

export { EncryptionError, type EncryptionErrorCode } from './encryption/error.js'
export type { Encryption, EncryptionOptions } from './encryption/types.js'

const jose = 'application/jose'
const sealHeader = 'tacet-seal'
const none = new Uint8Array()

/** What one request of the caller is under way with: a repetition keeps its number, so that it is never done twice. */
interface Sending {
  request: Request
  url: URL
  content: Uint8Array
  channel?: Channel
  seq?: number
}

/** The session that a token belongs to. Only looked at: whether it is true is the server's business. */
const sessionOf = (token: string): string =>
  JSON.parse(atob(token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/'))).sid ?? ''

/** What a page has agreed on with the server. */
interface Agreement {
  readonly base: string
  /** Address of the server's keys. */
  readonly set: string
  readonly pins: readonly string[] | undefined
  client?: Promise<CryptoKeyPair> | undefined
  server?: Promise<PublicKey & { kid: string }> | undefined
  /** By server key and session: numbers must go on where they were. */
  channels: Map<string, Promise<Channel>>
  /** The last token of the session, and what it was exchanged for. */
  bound?: { from: string; to: Promise<string | Response> } | undefined
  /** The server's clock minus ours, in milliseconds. */
  ahead: number
}

/**
 * Encryption for a session. Agree once, share the object: every page has a key of its own, which no script can
 * read and which is gone with the page or the session.
 *
 * @example
 * ```ts
 * import { createSession } from '@tacet/browser'
 * import { createEncryption } from '@tacet/browser/encryption'
 *
 * const session = createSession({ baseURL: '/auth' })
 * const encryption = createEncryption(session, { baseURL: '/auth' })
 * const answer = await encryption.fetch('/api/salaries', { method: 'POST', body: JSON.stringify({ year: 2026 }) })
 * console.log(await answer.json())
 * ```
 *
 * @see docs/encryption.md on what this is good for, and what not
 */
export const createEncryption = (session: Session, { baseURL = '/auth', keys, pins }: EncryptionOptions = {}): Encryption => {
  const base = new URL(baseURL, location.href).href
  const set = new URL(keys ?? '/.well-known/jwks.json', keys ? location.href : base).href
  const agreement: Agreement = { base, set, pins, channels: new Map(), ahead: 0 }
  session.on('signedout', () => {
    agreement.client = agreement.bound = undefined
    agreement.channels = new Map()
  })
  return {
    async fetch(input, init) {
      const request = new Request(input, init)
      if (init?.tacet === false || request.headers.has('authorization'))
        throw new TypeError('encryption.fetch encrypts for the session: use fetch for requests without it')
      const s: Sending = { request, url: new URL(request.url), content: new Uint8Array(await request.arrayBuffer()) }
      return session.send<Response>(request, async (token) => {
        if (!token) throw new EncryptionError('signedout')
        const to = await bind(agreement, token)
        return typeof to === 'string' ? exchange(agreement, s, to) : to.clone()
      })
    },
  }
}

const fetchKey = async ({ set, pins }: Agreement) => {
  const response = await fetch(set, { cache: 'no-cache', credentials: 'omit' })
  const list: (JsonWebKey & { kid?: string })[] = response.ok ? ((await response.json()).keys ?? []) : []
  for (const k of list) {
    if (k.use !== 'enc' || k.crv !== 'P-256' || (pins && !pins.includes(k.kid!))) continue
    const key = publicKey(k)
    // The name is the thumbprint, so that a pin on it is a pin on the key.
    if ((await thumbprint(key)) === k.kid) return { ...key, kid: k.kid }
  }
  throw new EncryptionError('keys', response.status)
}

const serverKey = (a: Agreement) =>
  (a.server ??= fetchKey(a).catch((e) => {
    a.server = undefined
    throw e
  }))

const channelFor = async (a: Agreement, sid: string): Promise<Channel> => {
  a.client ??= crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits']) as Promise<CryptoKeyPair>
  const [pair, { kid, ...key }] = await Promise.all([a.client, serverKey(a)])
  const name = kid + sid
  let channel = a.channels.get(name)
  if (!channel) a.channels.set(name, (channel = agree(pair, key, sid)))
  return channel
}

/** Sends encrypted, once more where the server says that nothing was done. */
const exchange = async (a: Agreement, s: Sending, token: string): Promise<Response> => {
  const { method } = s.request
  for (let again = 0; ; again++) {
    const channel = await channelFor(a, sessionOf(token))
    if (s.channel !== channel) Object.assign(s, { channel, seq: ++channel.seq })
    const place: Place = { method, path: s.url.pathname + s.url.search, seq: s.seq! }
    const response = await transmit(s, token, await channel.seal(place, typeOf(s), s.content, Date.now() + a.ahead))
    const seal = response.headers.get(sealHeader)
    const { status } = response
    if (seal || response.headers.get('content-type')?.split(';')[0] === jose) {
      const sealed = seal ? new TextEncoder().encode(seal) : new Uint8Array(await response.arrayBuffer())
      return opened(response, await channel.open(place, status, sealed))
    }
    const code: unknown = status < 400 ? 'plaintext' : await response.json().then((p) => p?.code, () => {})
    if (typeof code !== 'string' || !/^(plaintext|encryption_)/.test(code)) return opened(response)
    const hint = again || status < 400 ? '' : code.slice(11)
    if (hint === 'key') a.server = undefined
    // Whole seconds, cut off: a little ahead is accepted, behind may be before the server's start.
    else if (hint === 'stale') a.ahead = (Date.parse(response.headers.get('date') ?? '') || Date.now()) + 1000 - Date.now()
    // The platform repeats a GET whose connection broke. What only reads may be asked for anew.
    else if (hint === 'replayed' && /^(GET|HEAD)$/.test(method)) delete s.channel
    else throw new EncryptionError(code, status)
  }
}

const typeOf = ({ content, request }: Sending) => (content.length ? (request.headers.get('content-type') ?? '') : '')

/** Sends the sealed `message`: as the body, or in a header where there is no body. */
const transmit = ({ request, url, content }: Sending, token: string, message: Uint8Array) => {
  const headers = new Headers(request.headers)
  headers.delete('content-type')
  if (content.length) headers.set('content-type', jose)
  else headers.set(sealHeader, new TextDecoder().decode(message))
  headers.set('accept', jose + ', ' + (headers.get('accept') ?? '*/*'))
  headers.set('authorization', 'Bearer ' + token)
  const { method, signal, credentials, mode, referrer, referrerPolicy } = request
  return fetch(url, {
    method,
    headers,
    ...(content.length ? { body: message as BodyInit } : {}),
    signal,
    credentials,
    ...(mode === 'navigate' ? {} : { mode }),
    referrer,
    referrerPolicy,
    cache: 'no-store',
    redirect: 'error',
  })
}

/** The token for encrypted requests; a response of the server if there is none to be had. */
const bind = (a: Agreement, token: string): Promise<string | Response> => {
  if (a.bound?.from === token) return a.bound.to
  const mine = { from: token, to: bindingOf(a, token) }
  a.bound = mine
  // What failed is asked for again.
  const forget = () => {
    if (a.bound === mine) a.bound = undefined
  }
  mine.to.then((to) => typeof to === 'string' || forget(), forget)
  return mine.to
}

const bindingOf = async (a: Agreement, token: string): Promise<string | Response> => {
  const url = new URL(a.base + '/encryption')
  const response = await exchange(a, { request: new Request(url, { method: 'POST', credentials: 'omit' }), url, content: none }, token)
  return response.ok ? (await response.json()).access_token : response
}

/** An answer as the handler wrote it; without its body, if that came in plain text. */
const opened = (answer: Response, inside?: { content: Uint8Array; type: string }): Response => {
  const { status, statusText, url } = answer
  const headers = new Headers(answer.headers)
  for (const name of ['content-type', 'content-length', sealHeader]) headers.delete(name)
  if (inside?.type) headers.set('content-type', inside.type)
  const body = inside && ![204, 205, 304].includes(status) ? (inside.content as BodyInit) : null
  return Object.defineProperty(new Response(body, { status, statusText, headers }), 'url', { value: url })
}
