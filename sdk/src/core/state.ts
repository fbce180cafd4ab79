import type { User } from './types.js'

/**
 * What the server answered, and what it belongs to: kept in memory, sent to other tabs and, by option,
 * stored. Short names are fixed, because tabs with different builds of this package share them.
 *
 * @internal
 */
export interface Token {
  access_token: string
  /** Seconds from the receipt. */
  expires_in: number
  refresh_token?: string
  session?: { id: string }
  user?: User
  /** Id of the session. */
  s: string | undefined
  /** The receipt, `Date.now()` of this device. */
  w: number
  /** The mark (see `mark`) that came in the same answer. */
  g: string
}

/**
 * Stored in place of a token when a session has ended: a page that starts must not take cookies that
 * are still there for a living session.
 *
 * @internal
 */
export interface Ended {
  /** The mark that the session had. */
  g: string
  /** Its id, where known. */
  s: string | undefined
  /** A sign-out that the server has not confirmed: the body to send. */
  o?: object
}
