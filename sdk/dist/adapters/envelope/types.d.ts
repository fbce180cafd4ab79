import type { Session, SessionRequestInit, SignedOut } from '../../core/types.js';
/** JSON of an API, of whatever shape: `any`, so that fields can be named without a cast. */
export type Json = any;
/** Where something is in the body of an answer: a path such as `data.token`, or a function that finds it. */
export type Field<T> = string | ((body: Json) => T);
/** Options of `createEnvelope`. All but `ok` are optional. */
export interface EnvelopeOptions {
    /**
     * Whether it worked: what is there counts as yes or no, and `undefined` means that the body is no
     * envelope. Where a code says it: `(b) => b.code === undefined ? undefined : b.code === 0`.
     */
    ok: Field<unknown>;
    /** What the caller wants to have. Default `data`. */
    data?: Field<unknown>;
    /** Why it did not work. Default `code`. */
    code?: Field<string | number | undefined>;
    /** The same for people. Default `message`. */
    message?: Field<string | undefined>;
    /** The dialect's way to say 401 inside an answer with another status, such as `(b) => b.code === 401`: renew, and send again once. */
    expired?: ((body: Json) => boolean) | undefined;
    /**
     * How many renewals in a row may bring a token that is refused as well, without a successful answer
     * in between, before the session is signed out. Default 3.
     */
    maxRenewals?: number;
    /** As of `createSession`; here it also learns of the reason `max_renewals`. Give it to one of the two. */
    onSignedOut?: (e: SignedOut) => void;
    /** The language of messages, looked at for each: default `<html lang>`, else the browser's. */
    locale?: () => string;
    /** Your own texts by language and code. They come before the server's. */
    messages?: {
        readonly [locale: string]: {
            readonly [code: string]: string;
        };
    };
    /** In place of `JSON.parse` in `fetch`, for numbers that JavaScript cannot hold. axios has `transformResponse`. */
    parse?: (text: string) => unknown;
}
/** `fetch` options, plus two opt-outs. */
export interface EnvelopeRequestInit extends SessionRequestInit {
    /** `false`: resolves to the `Response`, whatever it says. */
    envelope?: false;
}
/** A session whose answers come without their envelope. */
export interface Envelope {
    /**
     * `session.fetch`, resolved to `data`. Answers without an envelope (files, streams, other JSON) resolve to
     * their untouched `Response`. Rejects with `BusinessError` if the envelope, or for want of one the HTTP status, says that it failed.
     */
    readonly fetch: <T = unknown>(input: RequestInfo | URL, init?: EnvelopeRequestInit) => Promise<T>;
    /** An error for people, in their language: of the API, of the session, or its own message. */
    readonly text: (error: unknown) => string;
    /** The session that was given. */
    readonly session: Session;
    /** Stops listening. The session lives on. */
    readonly destroy: () => void;
}
