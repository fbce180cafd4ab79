import { TacetError, type Failure } from './error.js'
import type { Platform } from './platform.js'
import type { User } from './types.js'

/** What the session server grants (`POST /auth/login`, `POST /auth/refresh`). */
export interface Grant {
  access_token: string
  /** Seconds from the receipt. */
  expires_in: number
  /** Under body delivery; absent when the refresh token that is there stays. */
  refresh_token?: string
  session: { id: string }
  user?: User
}

/** A response of the session server, or of something on the way to it. */
export interface Reply extends Failure {
  status: number
  /** Of a problem document (RFC 9457), and of nothing else. */
  code: string
  grant: Grant | undefined
}

export type Post = (path: string, body: object) => Promise<Reply>

/**
 * The statuses and codes with which the session server says that a session is over for good, or that the cookies are
 * another session's, as in wire/wire.go. All else comes from somebody on the way (a proxy, a portal, a firewall), or may
 * be tried again (`csrf`).
 */
const FINAL = /^40[013] invalid_grant$| other_session$/
export const isFinal = ({ status, code }: Reply): boolean => FINAL.test(`${status} ${code}`)

/** `Retry-After` in milliseconds: seconds, or an HTTP date (RFC 9110 §10.2.3) by the server's own clock. */
const retryAfter = (headers: Headers, time: number) => {
  const value = headers.get('retry-after') ?? ''
  const ms = +value * 1000 || Date.parse(value) - (Date.parse(headers.get('date') ?? '') || time)
  return ms > 0 ? ms : undefined
}

/**
 * The CSRF token, in the readable cookie whose name has a prefix under TLS. It changes with each renewal and starts with
 * the number of the renewal and a dot.
 */
export const csrf = (cookies = ''): string => /(?:^|; )(?:__Host-)?tacet_csrf=([^;]+)/.exec(cookies)?.[1] ?? ''

/**
 * POSTs to the session server. `keepalive` decides whether the rotated cookie lands when the tab closes in the
 * middle. Nothing aborts it but time: what the server has begun is better known than lost.
 */
export const createPost =
  (platform: Platform, base: string, timeout: number, isBody: boolean): Post =>
  async (path, data) => {
    try {
      const response = await platform.fetch(base + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-csrf-token': isBody ? '' : csrf(platform.document?.cookie) },
        body: JSON.stringify(data),
        credentials: isBody ? 'omit' : 'include',
        keepalive: true,
        signal: platform.AbortSignal.timeout(timeout),
      })
      const { headers, status, ok } = response
      const json = await response.json().catch(() => {})
      return {
        ...(headers.get('content-type')?.startsWith('application/problem+json') && json),
        grant: ok && json?.access_token ? json : undefined,
        status,
        retryAfter: retryAfter(headers, platform.Date.now()),
      }
    } catch (cause) {
      throw new TacetError('network', { cause })
    }
  }
