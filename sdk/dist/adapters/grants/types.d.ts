import type { Session, Status, User } from '../../core/types.js';
/** What the signed-in user may do, as of one moment. Never changed in place: a change makes a new one. */
export interface GrantsSnapshot {
    /** `signedin` only when the grants are known; until then `loading`, and where they cannot be known for now, `offline`. */
    readonly status: Status;
    readonly user: User | undefined;
    readonly roles: readonly string[];
    readonly permissions: readonly string[];
    /** The application's own settings for this user (`settings` of `GET /auth/me`). */
    readonly settings: Readonly<Record<string, unknown>>;
    /** Whether one of the permissions covers this one, e.g. `orders:read`. False unless `status` is `signedin`. */
    readonly can: (permission: string) => boolean;
}
/** Something that the server told this user's pages. */
export type GrantsEvent = {
    type: 'grants.changed';
    data: {
        grants_version: number;
    };
} | {
    type: 'session.ended';
    data: {
        session_id: string;
        reason: string;
    };
} | {
    type: 'reuse.detected';
    data: {
        session_id: string;
        [more: string]: unknown;
    };
} | {
    type: 'reset';
    data: {
        seq: number;
    };
};
/** Options of {@link createGrants}. All are optional. */
export interface GrantsOptions {
    /** As given to `createSession`. Default `/auth`. */
    baseURL?: string;
    /**
     * After a reload by the user (Navigation Timing), and when the page comes back from the back/forward
     * cache, `ready` waits for grants asked from the server just now. Default false: what is remembered
     * serves first if it is of the version that the access token carries.
     */
    refreshGrantsOnReload?: boolean;
    /** One event stream per browser, which its tabs share. Default true. Needs Web Locks (https or localhost). */
    events?: boolean;
    /**
     * Milliseconds between two looks at the grants while the page is visible and no stream gets through;
     * 0: only with renewals. Default 60,000. A look that finds nothing new is a 304.
     */
    poll?: number;
    /** Told in every tab of what the stream brings, e.g. to say that somebody else has used the session. */
    onEvent?: (e: GrantsEvent) => void;
}
/** The grants of the session's user, kept up to date. */
export interface Grants extends GrantsSnapshot {
    readonly session: Session;
    /** Resolves, and never rejects, when the grants are known or cannot be for now. Show guarded content after it. */
    readonly ready: Promise<void>;
    /** The present state; the same object until something changes (React's `useSyncExternalStore`). */
    readonly getSnapshot: () => GrantsSnapshot;
    /** Calls `fn` after every change; returns the function that stops it. */
    readonly subscribe: (fn: () => void) => () => void;
    /** Asks the server now. Does not reject. */
    readonly refresh: () => Promise<void>;
    /** Stops streams, timers and listeners. */
    readonly destroy: () => void;
}
