// index.d.ts
export { TacetError, type ErrorCode } from './core/error.js';
export type { RenewedFrom, Session, SessionEvents, SessionOptions, SessionRequestInit, SignedOut, Status, TraceEvent, User, } from './core/types.js';
export { createSession } from './core/session.js';

// core/session.d.ts
import type { Session, SessionOptions } from './types.js';
export declare const createSession: (options?: SessionOptions) => Session;

// core/error.d.ts
export type ErrorCode = 'signedout' | 'network' | 'unavailable' | 'not_repeatable' | (string & {});
export declare class TacetError extends Error {
    readonly code: ErrorCode;
        readonly status?: number;
        readonly retryAfter?: number;
}

// core/types.d.ts
import type { TacetError } from './error.js';
export interface User {
    id: string;
    username: string;
    display_name?: string;
    email?: string;
}
export type Status = 'loading' | 'signedin' | 'signedout';
export interface SignedOut {
        reason: 'signedout' | 'elsewhere' | (string & {});
}
export type RenewedFrom = 'network' | 'tab' | 'storage';
export interface SessionEvents {
        signedin: User | undefined;
        signedout: SignedOut;
        renewed: {
        from: RenewedFrom;
    };
        failed: TacetError;
}
export interface TraceEvent {
        type: 'request' | 'held' | 'sent' | 'unauthorized' | 'repeat' | 'settled' | 'renewing' | 'renewed' | 'failed' | 'signedin' | 'signedout';
        at: number;
        id?: number | undefined;
        detail?: unknown;
}
export interface SessionOptions {
        baseURL?: string;
        storage?: 'memory' | 'localStorage';
        delivery?: 'cookie' | 'body';
        origins?: readonly string[];
        onSignedOut?: (e: SignedOut) => void;
        timeout?: number;
        leeway?: number;
        trace?: (e: TraceEvent) => void;
}
export interface SessionRequestInit extends RequestInit {
        tacet?: false;
}
export interface Session {
        readonly fetch: (input: RequestInfo | URL, init?: SessionRequestInit) => Promise<Response>;
        readonly getAccessToken: () => Promise<string | undefined>;
        readonly signIn: (credentials: {
        username: string;
        password: string;
    }) => Promise<User>;
        readonly signOut: (options?: {
        everywhere?: boolean;
    }) => Promise<boolean>;
        readonly on: <K extends keyof SessionEvents>(type: K, fn: (e: SessionEvents[K]) => void) => () => void;
        readonly user: User | undefined;
    readonly status: Status;
        readonly ready: Promise<void>;
        readonly send: <R extends {
        status?: number;
    }>(
        request: {
        url: string;
        method: string;
        signal?: AbortSignal | null;
    }, 
        transmit: (token: string | undefined, repeat: 0 | 1) => Promise<R>, 
        once?: boolean) => Promise<R>;
        readonly destroy: () => void;
}

// axios.d.ts
import { type AxiosInstance } from 'axios';
import type { Session } from './core/types.js';
declare module 'axios' {
    interface AxiosRequestConfig<D = any, P = any> {
                tacet?: false;
    }
}
export declare const attach: (instance: AxiosInstance, session: Session) => (() => void);
