import type { Device, Session } from '../core/types.js';
/** What {@link createSessions} gives. */
export interface Sessions {
    /** Newest first. */
    readonly list: () => Promise<Device[]>;
    /** Ends one. */
    readonly end: (id: string) => Promise<void>;
}
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
export declare const createSessions: (session: Session, { baseURL }?: {
    baseURL?: string;
}) => Sessions;
