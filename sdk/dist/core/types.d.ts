import type { TacetError } from './error.js';
/** Who is signed in, as the server describes it. */
export interface User {
    id: string;
    username: string;
    display_name?: string;
    email?: string;
}
/**
 * `loading` until cookies, other tabs and the server have said who is signed in; `offline` when the server could not be
 * asked for some seconds: that goes on in the background, and the status changes by itself.
 */
export type Status = 'loading' | 'offline' | 'signedin' | 'signedout';
/** Why a session ended. */
export interface SignedOut {
    /**
     * `signedout`: `signOut()` was called in this tab. `tab`: another tab said so, or the cookies are gone.
     * `other_session`: the cookies are another session's by now; a reload shows whose. Anything
     * else is the code with which the server refused the renewal for good: `invalid_grant`.
     */
    reason: 'signedout' | 'tab' | 'other_session' | (string & {});
}
/** What a new access token came from. */
export type RenewedFrom = 'network' | 'tab' | 'storage';
/** Events of {@link Session.on} and what their listeners get. */
export interface SessionEvents {
    /** A session began or was found: sign-in here, in another tab, or at start. `user` may be missing if `/me` failed. */
    signedin: User | undefined;
    /** The session is over. Once per tab and session. */
    signedout: SignedOut;
    /** This tab has a new access token. */
    renewed: {
        from: RenewedFrom;
    };
    /** A renewal failed for now. The session is kept. */
    failed: TacetError;
}
/**
 * One step of one request or renewal, for timelines and logs. `at` is `performance.now()`; `id`
 * numbers the requests of this tab from 1 and is missing on steps of the session itself. No token is
 * ever in it.
 */
export interface TraceEvent {
    /**
     * Of a request: `request` (called), `held` (waits for a renewal), `sent`, `unauthorized` (401
     * seen), `repeat` (sent again, at most once), `settled`. Of the session: `renewing` (asks the
     * server), `renewed`, `failed`, `signedin`, `signedout`.
     */
    type: 'request' | 'held' | 'sent' | 'unauthorized' | 'repeat' | 'settled' | 'renewing' | 'renewed' | 'failed' | 'signedin' | 'signedout';
    /** `performance.now()` of this tab, in milliseconds. */
    at: number;
    /** Number of the request, from 1. Missing on steps of the session. */
    id?: number | undefined;
    /**
     * `request`: `{ method, url }`. `settled`: the HTTP status, or the error that the caller got.
     * `renewed`: `{ from }`. `failed`: the {@link TacetError}. `signedin`: the user. `signedout`: `{ reason }`.
     */
    detail?: unknown;
}
/** Options of {@link createSession}. All are optional. Times are in milliseconds. */
export interface SessionOptions {
    /** Where the session server is mounted, absolute or relative to the page. Default `/auth`. */
    baseURL?: string | undefined;
    /**
     * Where the access token lives: `memory` (default: gone with the tab; a reload asks other tabs,
     * then renews) or `localStorage` (a reload starts with it, and so does a script injected by an attacker).
     */
    storage?: 'memory' | 'localStorage' | undefined;
    /**
     * How the refresh token travels: `cookie` (default: HttpOnly, scripts never see it) or `body`
     * (the SDK keeps it in `localStorage`; for pages that cannot share a site with the server).
     */
    delivery?: 'cookie' | 'body' | undefined;
    /**
     * Whether tabs give each other their access token over a BroadcastChannel. Default true. Any page of this origin can
     * ask there, also one that has nothing to do with the session. `false`: each tab renews for itself.
     */
    share?: boolean | undefined;
    /** Origins, besides those of the page and of `baseURL`, that may see the access token. */
    origins?: readonly string[] | undefined;
    /** Called once when the session is over: the place for the redirect to sign-in. */
    onSignedOut?: ((e: SignedOut) => void) | undefined;
    /** Longest wait for one response of the session server, and for another tab's renewal. Default 10,000. */
    timeout?: number | undefined;
    /** How long before its expiry a token in use is renewed. Default 60,000, at most a fifth of the lifetime. */
    leeway?: number | undefined;
    /** Gets every step; see {@link TraceEvent}. */
    trace?: ((e: TraceEvent) => void) | undefined;
}
/** `fetch` options, plus the opt-out. */
export interface SessionRequestInit extends RequestInit {
    /** `false`: send as it is, without token, wait or repeat. So is a request with an `Authorization` header of its own. */
    tacet?: false | undefined;
}
/** A session of the user, as `sessions.list()` describes it. Times are RFC 3339. */
export interface Device {
    id: string;
    created_at: string;
    last_seen: string;
    expires_at?: string;
    address: string;
    user_agent: string;
    /** It is the one of this browser. */
    current: boolean;
}
/** A session of one user in this browser, shared by its tabs. */
export interface Session {
    /**
     * The platform's `fetch`, with the access token added, held while a renewal runs, and repeated at
     * most once after a 401. Responses are the platform's own, untouched.
     */
    readonly fetch: (input: RequestInfo | URL, init?: SessionRequestInit) => Promise<Response>;
    /**
     * A valid access token, for what `fetch` cannot do (WebSocket, EventSource): waits for a renewal in flight,
     * renews an expired one. `undefined` when signed out.
     */
    readonly getAccessToken: () => Promise<string | undefined>;
    /**
     * Makes sure of a valid access token; `force` fetches a new one though the present one is valid (unless it has just come),
     * for what is only known from the token. Rejects with `signedout` when nobody is signed in.
     */
    readonly renew: (options?: {
        force?: boolean | undefined;
    }) => Promise<void>;
    /** Signs in and tells the other tabs. Rejects with the server's `code`, e.g. `invalid_credentials`. */
    readonly signIn: (credentials: {
        username: string;
        password: string;
    }) => Promise<User>;
    /**
     * Signs out here and in all tabs **at once**, whatever the network does, then tells the server:
     * `true` when it has confirmed, `false` when it could not be reached. In that case the call is kept
     * and made when the network or the page comes back; the session does not come back meanwhile.
     */
    readonly signOut: (options?: {
        everywhere?: boolean | undefined;
    }) => Promise<boolean>;
    /** Listens; returns the function that stops it. */
    readonly on: <K extends keyof SessionEvents>(type: K, fn: (e: SessionEvents[K]) => void) => () => void;
    /** Who is signed in, where known. */
    readonly user: User | undefined;
    readonly status: Status;
    /** Resolves, and never rejects, when `status` and `user` are known (or cannot be for now). */
    readonly ready: Promise<void>;
    /** For adapters of other HTTP clients: the flow of `fetch` around any way to send. */
    readonly send: <R extends {
        status?: number;
    }>(
    /** `url` may be relative to the page; `signal` aborts the wait, never the renewal, which is shared. */
    request: {
        url: string;
        method: string;
        signal?: AbortSignal | null;
    }, 
    /** Sends with this access token (none: as it is); `repeat` is 1 the second time. */
    transmit: (token: string | undefined, repeat: 0 | 1) => Promise<R>, 
    /** The body is a stream: send it only with a token that is known to be fresh, never twice. */
    once?: boolean) => Promise<R>;
    /** Stops timers, listeners and waiting requests: every later call rejects. The session itself lives on in the browser. */
    readonly destroy: () => void;
}
