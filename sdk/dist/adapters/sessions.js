/**
 * The user's own sessions, in this browser and elsewhere: for a page "Your devices".
 *
 * @packageDocumentation
 */
import { TacetError } from '../core/error.js';
/**
 * Lists and ends the sessions of the user who is signed in: `GET /sessions`, `DELETE /sessions/{id}`. Rejects with a
 * {@link TacetError} that has the server's `code`. `baseURL` is as given to `createSession`, `/auth` by default.
 *
 * @example
 * ```ts
 * import { createSession } from '@tacet/browser'
 * import { createSessions } from '@tacet/browser/sessions'
 *
 * const sessions = createSessions(createSession())
 * for (const { id, current } of await sessions.list()) if (!current) await sessions.end(id)
 * ```
 */
export const createSessions = (session, { baseURL = '/auth' } = {}) => {
    const call = async (path, method) => {
        const response = await session.fetch(baseURL + '/sessions' + path, { method });
        const { ok, status } = response;
        const json = await response.json().catch(() => { });
        if (!ok)
            throw new TacetError(json?.code ?? 'unavailable', { ...json, status });
        return json;
    };
    return {
        list: async () => (await call('', 'GET')).sessions,
        end: async (id) => void (await call('/' + encodeURIComponent(id), 'DELETE')),
    };
};
