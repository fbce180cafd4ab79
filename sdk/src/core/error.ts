/**
 * What went wrong, in one word that stays the same between versions.
 *
 * - `signedout`: the session is over (refused for good, signed out here or in another tab). Go to sign-in.
 * - `other_session`: the cookies of this browser belong to another session by now (somebody signed in elsewhere in
 *   it). The session of this page is over; a reload shows who is signed in.
 * - `network`: the session server could not be reached, or did not respond in time (`cause` says which).
 *   The session is kept; try again.
 * - `unavailable`: it responded with 5xx, 429 or something that a session server does not send; or this object was
 *   destroyed. The session is kept; try again after `retryAfter`.
 * - `not_repeatable`: the API responded with 401 to a one-shot stream body, which cannot be sent a second
 *   time. The token has been renewed: send the request again with a new stream.
 * - `unsupported_body`: the body is a stream and this browser cannot send streams. Nothing was sent.
 * - anything else: the `code` of the server's problem document (RFC 9457), from `signIn()`:
 *   `invalid_credentials`, `too_many_requests`, …
 */
export type ErrorCode =
  | 'signedout'
  | 'other_session'
  | 'network'
  | 'unavailable'
  | 'not_repeatable'
  | 'unsupported_body'
  | (string & {})

/** For a person, where the server says nothing. */
const SIGNED_OUT = 'You are signed out. Please sign in again.'
const TRY_AGAIN = 'The server cannot be reached. Please try again.'

/** What is known of a failure. `title` and `detail` are the server's, in the language of the request. @internal */
export interface Failure {
  status?: number
  title?: string
  detail?: string
  retryAfter?: number | undefined
  cause?: unknown
}

/**
 * The one error type of this package. Errors of the API itself are not wrapped: they reach the
 * caller as the platform's `fetch` or axios would give them.
 *
 * `message` is a sentence that can be shown to a person: the server's own (`detail`, else `title`, of its problem
 * document), or an English one of this package.
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
  override readonly name = 'TacetError'
  /** HTTP status of the session server's response, where there was one. */
  declare readonly status: number | undefined
  /** Milliseconds that the server asked to wait (`Retry-After`), where it did. */
  declare readonly retryAfter: number | undefined
  /** @internal */
  constructor(
    readonly code: ErrorCode,
    { status, title, detail, retryAfter, cause }: Failure = {},
  ) {
    super(detail ?? title ?? (code === 'signedout' ? SIGNED_OUT : /^(network|unavailable|not_r)/.test(code) ? TRY_AGAIN : code), { cause })
    this.status = status
    this.retryAfter = retryAfter
  }
}
