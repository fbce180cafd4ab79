/**
 * What went wrong, in one word that stays the same between versions.
 *
 * - `signedout`: the session is over (refused for good, signed out here or in another tab). Go to sign-in.
 * - `network`: the session server could not be reached, or did not answer in time (`cause` says which).
 *   The session is kept; try again.
 * - `unavailable`: it answered 5xx, 429 or something that is not an answer; or this object was destroyed. The
 *   session is kept; try again after `retryAfter`.
 * - `not_repeatable`: the API answered 401 to a one-shot stream body, which cannot be sent a second
 *   time. The token has been renewed: send the request again with a new stream.
 * - anything else: the `code` of the server's problem document (RFC 9457), from `signIn()`:
 *   `invalid_credentials`, `too_many_requests`, …
 */
export type ErrorCode =
  | 'signedout'
  | 'network'
  | 'unavailable'
  | 'not_repeatable'
  | (string & {})

/**
 * The one error type of this package. Errors of the API itself are not wrapped: they reach the
 * caller as the platform's `fetch` or axios would give them.
 *
 * @example
 * ```ts
 * import { createSession, TacetError } from '@tacet/browser'
 *
 * const session = createSession({ baseURL: '/auth' })
 * try {
 *   await session.signIn({ username: 'alice', password: 'wrong' })
 * } catch (e) {
 *   if (e instanceof TacetError && e.code === 'invalid_credentials') console.log(e.message)
 * }
 * ```
 */
export class TacetError extends Error {
  declare readonly code: ErrorCode
  /** HTTP status of the session server's answer, where there was one. */
  declare readonly status?: number
  /** Milliseconds that the server asked to wait (`Retry-After`); 0 or NaN where it did not. */
  declare readonly retryAfter?: number
  /** @internal */
  constructor(code: ErrorCode, detail?: { title?: string }) {
    Object.assign(super(detail?.title ?? code) as unknown as object, detail, { name: 'TacetError', code })
  }
}
