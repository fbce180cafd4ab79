import { TacetError } from './error.js';
import type { Ended } from './storage.js';
import type { RenewedFrom, Status, User } from './types.js';
/** An access token, and what it belongs to. */
export interface Token {
    access_token: string;
    /** Seconds from the receipt. */
    expires_in: number;
    /** The receipt, by the wall clock of this device in milliseconds. */
    received: number;
    /** Id of the session. */
    session: string;
    /**
     * What came with it and changes with each renewal: the value of the readable cookie, or under body delivery the
     * refresh token. The newest token is the one whose generation is the present one.
     */
    generation: string;
    user?: User | undefined;
}
/** What one tab knows of the session. `reduce` makes a new one for each message. */
export interface State {
    /** Milliseconds: a token is renewed so long before its expiry, at most a fifth of its lifetime. */
    leeway: number;
    /** Milliseconds for which an endpoint that refused a fresh token does not renew again. */
    timeout: number;
    token?: Token | undefined;
    /** Id of the session that this page is in, also while it has no token. */
    session?: string | undefined;
    /** The generation of `token`, or of the session that is over: another one means that another tab knows more. */
    generation: string;
    /** An API has refused `token`. */
    refused?: boolean;
    /** An API has accepted `token`: its successor is fetched ahead of time. */
    used?: boolean;
    /** Until when a 401 does not renew; 0 unless `token` was renewed and no API has accepted it yet. */
    doubtUntil: number;
    /** Endpoints that refused a token which had been renewed for them, and until when their 401 does not renew. */
    futile: {
        [endpoint: string]: number;
    };
    /** Counts beginnings and ends of sessions: what began in an earlier epoch belongs to nobody. */
    epoch: number;
    /** Why the last epoch ended. */
    over: TacetError;
    /** Counts sign-outs in this tab: a sign-in that began before one is undone. */
    signOuts: number;
    /** A renewal runs, or waits for its next attempt. */
    renewing?: boolean;
    /** Requests wait for it, but not beyond this, by the clock of `now`. */
    deadline?: number | undefined;
    /** Failures in a row. */
    failures: number;
    failure?: TacetError;
    /** When the next attempt is due, by the clock of `now`. */
    notBefore: number;
    destroyed?: boolean;
    /** What is to be done after the message. */
    effects: Effect[];
}
/** What is true when a message comes. */
export interface Observation {
    /** Milliseconds, never set back. */
    now: number;
    /** Milliseconds of the wall clock. */
    time: number;
    /** The present generation: what the readable cookie or the stored refresh token says. Empty: there is nothing to renew. */
    generation: string;
}
/** What happens to a session. Of a renewal's outcome, `epoch` says to which it belongs. */
export type Message = 
/** A request waits for a token. */
{
    type: 'need';
}
/** Time has passed, or something happened to the page; `restored`: it came back from the back/forward cache. */
 | {
    type: 'wake';
    online?: boolean;
    restored?: boolean | undefined;
    hidden: boolean;
}
/** The server has granted a token: to a renewal, or to a sign-in that began after so many sign-outs. */
 | {
    type: 'granted';
    token: Token;
    epoch: number;
} | {
    type: 'signedin';
    token: Token;
    signOuts: number;
}
/** Another tab has a token. `isNewest`: it is of the present generation. */
 | {
    type: 'offered';
    token: Token;
    from: RenewedFrom;
    isNewest: boolean;
}
/** The server says that the session is over, or that the cookies are another session's. */
 | {
    type: 'refused';
    error: TacetError;
    epoch: number;
}
/** A renewal failed for now. Without word from the server, the next attempt is due in `pause` milliseconds. */
 | {
    type: 'failed';
    error: TacetError;
    pause: number;
    epoch: number;
}
/** Another tab says that a session is over, and what its last generation was. */
 | {
    type: 'ended';
    session: string | undefined;
    had?: string;
} | {
    type: 'signout';
    everywhere: boolean | undefined;
}
/** An API has responded to this token; `repeated`: which was renewed because of its first 401. */
 | {
    type: 'response';
    token: Token;
    endpoint: string;
    isAccepted: boolean;
    repeated: boolean;
} | {
    type: 'destroy';
};
export type Effect = 
/** The requests that wait go on, or reject. */
['settle', (TacetError | undefined)?] | ['signedout', {
    reason: string;
}] | ['failed', TacetError]
/** There is a new token; `isNew`: of a new session. */
 | ['renewed', {
    from: RenewedFrom;
}, boolean]
/** Remember the end of a session until the server knows it, and tell everybody. */
 | ['deliver', Ended];
/** How long requests are held, in milliseconds. */
export declare const PATIENCE = 5000;
/** The shortest pause between two attempts, and the longest while requests wait, in milliseconds. */
export declare const PAUSE = 400;
export declare const initial: (leeway: number, timeout: number, ended?: Ended) => State;
/** Milliseconds after its receipt at which a token in use is renewed. */
export declare const renewAfter: ({ leeway }: State, { expires_in }: Token) => number;
/**
 * There is a token that can be used, for some time (`late`: or for a moment). By the wall clock, which goes on while the
 * device sleeps; where it was set in between, either way, the token is rather old than young.
 */
export declare const isUsable: (s: State, { time }: Observation, late?: boolean) => boolean;
export declare const isCurrent: (s: State, token: Token) => boolean;
/** The cookies are still those of the session that ended with `last`, though a late renewal, which counts on, may have landed. */
export declare const isOver: (generation: string, last: string) => boolean;
/** There is nothing in this browser that could be renewed. */
export declare const isNobody: (s: State, { generation }: {
    generation: string;
}) => boolean;
export declare const statusOf: (s: State, now: Observation) => Status;
/**
 * The session of one tab: what a message makes of it, and, in `effects`, what is to be done then. Nothing here waits,
 * or reads a clock or a cookie: the same message in the same state always does the same.
 */
export declare const reduce: <T extends Message["type"]>(state: State, m: Observation & Extract<Message, {
    type: T;
}> & {
    epoch?: number;
}) => State;
