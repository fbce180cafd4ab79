import type { Session } from '../core/types.js';
import type { Envelope, EnvelopeOptions } from './envelope/types.js';
export { BusinessError } from './envelope/error.js';
export type { Envelope, EnvelopeOptions, EnvelopeRequestInit, Field } from './envelope/types.js';
/**
 * Wraps a session for an API with envelopes. Renewals stay the session's own: where the dialect says "expired" inside
 * a 200, the session is told 401, and does what it does for that.
 *
 * @example
 * ```ts
 * import { createSession } from '@tacet/browser'
 * import { BusinessError, createEnvelope } from '@tacet/browser/envelope'
 *
 * const api = createEnvelope(createSession(), {
 *   ok: (b) => (b.code === undefined ? undefined : b.code === 0),
 *   message: 'msg',
 *   expired: (b) => b.code === 401,
 *   onSignedOut: () => location.assign('/sign-in'),
 * })
 * try {
 *   const orders = await api.fetch<{ id: number }[]>('/api/orders')
 *   console.log(orders.length)
 * } catch (e) {
 *   if (e instanceof BusinessError) console.log(e.code, e.message, e.body)
 *   else console.log(api.text(e))
 * }
 * ```
 */
export declare const createEnvelope: (session: Session, { ok, data, code, message, expired, maxRenewals, onSignedOut, locale, messages, parse, }: EnvelopeOptions) => Envelope;
