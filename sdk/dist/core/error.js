/** For a person, where the server says nothing. */
const SIGNED_OUT = 'You are signed out. Please sign in again.';
const TRY_AGAIN = 'The server cannot be reached. Please try again.';
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
    code;
    name = 'TacetError';
    /** HTTP status of the session server's response, where there was one. */
    status;
    /** Milliseconds that the server asked to wait (`Retry-After`), where it did. */
    retryAfter;
    /** @internal */
    constructor(code, { status, title, detail, retryAfter, cause } = {}) {
        super(detail ?? title ?? (code === 'signedout' ? SIGNED_OUT : /^(network|unavailable|not_r)/.test(code) ? TRY_AGAIN : code), { cause });
        this.code = code;
        this.status = status;
        this.retryAfter = retryAfter;
    }
}
