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
    /** @internal */
    constructor(code, detail) {
        Object.assign(super(detail?.title ?? code), detail, { name: 'TacetError', code });
    }
}
