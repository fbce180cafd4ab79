/**
 * Silent session renewal in the browser: one renewal per browser, requests held and repeated, nothing lost.
 *
 * @packageDocumentation
 */
import { createSessionOn } from './core/session.js';
export { TacetError } from './core/error.js';
/**
 * The session of this browser with one session server. Call it once per page and share the object.
 *
 * @example
 * ```ts
 * import { createSession } from '@tacet/browser'
 *
 * const session = createSession({ baseURL: '/auth', onSignedOut: () => location.assign('/sign-in') })
 * await session.ready
 * if (session.status === 'signedout') await session.signIn({ username: 'alice', password: 'alice-password' })
 * const orders = await session.fetch('/api/orders').then((r) => r.json())
 * ```
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9700#section-4.14 | RFC 9700 §4.14} on refresh tokens in browsers
 */
export const createSession = (options) => createSessionOn(globalThis, options);
