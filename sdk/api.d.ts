// index.d.ts
import type { Session, SessionOptions } from './core/types.js';
export { TacetError, type ErrorCode } from './core/error.js';
export type { Device, RenewedFrom, Session, SessionEvents, SessionOptions, SessionRequestInit, SignedOut, Status, TraceEvent, User, } from './core/types.js';
export declare const createSession: (options?: SessionOptions) => Session;

// core/error.d.ts
export type ErrorCode = 'signedout' | 'other_session' | 'network' | 'unavailable' | 'not_repeatable' | 'unsupported_body' | (string & {});
export declare class TacetError extends Error {
    readonly code: ErrorCode;
    readonly name = "TacetError";
        readonly status: number | undefined;
        readonly retryAfter: number | undefined;
}

// core/types.d.ts
import type { TacetError } from './error.js';
export interface User {
    id: string;
    username: string;
    display_name?: string;
    email?: string;
}
export type Status = 'loading' | 'offline' | 'signedin' | 'signedout';
export interface SignedOut {
        reason: 'signedout' | 'tab' | 'other_session' | (string & {});
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
        baseURL?: string | undefined;
        storage?: 'memory' | 'localStorage' | undefined;
        delivery?: 'cookie' | 'body' | undefined;
        share?: boolean | undefined;
        origins?: readonly string[] | undefined;
        onSignedOut?: ((e: SignedOut) => void) | undefined;
        timeout?: number | undefined;
        leeway?: number | undefined;
        trace?: ((e: TraceEvent) => void) | undefined;
}
export interface SessionRequestInit extends RequestInit {
        tacet?: false | undefined;
}
export interface Device {
    id: string;
    created_at: string;
    last_seen: string;
    expires_at?: string;
    address: string;
    user_agent: string;
        current: boolean;
}
export interface Session {
        readonly fetch: (input: RequestInfo | URL, init?: SessionRequestInit) => Promise<Response>;
        readonly getAccessToken: () => Promise<string | undefined>;
        readonly renew: (options?: {
        force?: boolean | undefined;
    }) => Promise<void>;
        readonly signIn: (credentials: {
        username: string;
        password: string;
    }) => Promise<User>;
        readonly signOut: (options?: {
        everywhere?: boolean | undefined;
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

// adapters/axios.d.ts
import { type AxiosInstance } from 'axios';
import type { Session } from '../core/types.js';
declare module 'axios' {
    interface AxiosRequestConfig<D = any, P = any> {
                tacet?: false | undefined;
    }
}
export declare const attach: (instance: AxiosInstance, session: Session) => (() => void);

// adapters/sessions.d.ts
import type { Device, Session } from '../core/types.js';
export interface Sessions {
        readonly list: () => Promise<Device[]>;
        readonly end: (id: string) => Promise<void>;
}
export declare const createSessions: (session: Session, { baseURL }?: {
    baseURL?: string;
}) => Sessions;

// adapters/grants.d.ts
import type { Session } from '../core/types.js';
import type { Grants, GrantsOptions } from './grants/types.js';
export type { Grants, GrantsEvent, GrantsOptions, GrantsSnapshot } from './grants/types.js';
export { covers } from './grants/covers.js';
export declare const createGrants: (session: Session, { baseURL, refreshGrantsOnReload, events, poll, onEvent }?: GrantsOptions) => Grants;

// adapters/grants/types.d.ts
import type { Session, Status, User } from '../../core/types.js';
export interface GrantsSnapshot {
        readonly status: Status;
    readonly user: User | undefined;
    readonly roles: readonly string[];
    readonly permissions: readonly string[];
        readonly settings: Readonly<Record<string, unknown>>;
        readonly can: (permission: string) => boolean;
}
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
export interface GrantsOptions {
        baseURL?: string;
        refreshGrantsOnReload?: boolean;
        events?: boolean;
        poll?: number;
        onEvent?: (e: GrantsEvent) => void;
}
export interface Grants extends GrantsSnapshot {
    readonly session: Session;
        readonly ready: Promise<void>;
        readonly getSnapshot: () => GrantsSnapshot;
        readonly subscribe: (fn: () => void) => () => void;
        readonly refresh: () => Promise<void>;
        readonly destroy: () => void;
}

// adapters/grants/covers.d.ts
export declare const covers: (granted: string, wanted: string) => boolean;

// adapters/envelope.d.ts
import type { Session } from '../core/types.js';
import type { Envelope, EnvelopeOptions } from './envelope/types.js';
export { BusinessError } from './envelope/error.js';
export type { Envelope, EnvelopeOptions, EnvelopeRequestInit, Field } from './envelope/types.js';
export declare const createEnvelope: (session: Session, { ok, data, code, message, expired, maxRenewals, onSignedOut, locale, messages, parse, }: EnvelopeOptions) => Envelope;

// adapters/envelope/types.d.ts
import type { Session, SessionRequestInit, SignedOut } from '../../core/types.js';
export type Json = any;
export type Field<T> = string | ((body: Json) => T);
export interface EnvelopeOptions {
        ok: Field<unknown>;
        data?: Field<unknown>;
        code?: Field<string | number | undefined>;
        message?: Field<string | undefined>;
        expired?: ((body: Json) => boolean) | undefined;
        maxRenewals?: number;
        onSignedOut?: (e: SignedOut) => void;
        locale?: () => string;
        messages?: {
        readonly [locale: string]: {
            readonly [code: string]: string;
        };
    };
        parse?: (text: string) => unknown;
}
export interface EnvelopeRequestInit extends SessionRequestInit {
        envelope?: false;
}
export interface Envelope {
        readonly fetch: <T = unknown>(input: RequestInfo | URL, init?: EnvelopeRequestInit) => Promise<T>;
        readonly text: (error: unknown) => string;
        readonly session: Session;
        readonly destroy: () => void;
}

// adapters/envelope/error.d.ts
export declare class BusinessError<R = Response> extends Error {
        readonly code: string | number | undefined;
        readonly status: number;
        readonly body: unknown;
        readonly response: R;
    readonly name = "BusinessError";
}

// adapters/envelope/axios.d.ts
import type { AxiosInstance } from 'axios';
import type { Envelope } from './types.js';
declare module 'axios' {
    interface AxiosRequestConfig<D = any, P = any> {
                envelope?: false | undefined;
    }
}
export declare const attachEnvelope: (instance: AxiosInstance, envelope: Envelope) => (() => void);

// adapters/encryption.d.ts
import type { Session } from '../core/types.js';
import type { Encryption, EncryptionOptions } from './encryption/types.js';
export { EncryptionError, type EncryptionErrorCode } from './encryption/error.js';
export type { Encryption, EncryptionOptions } from './encryption/types.js';
export declare const createEncryption: (session: Session, { baseURL, keys, pins }?: EncryptionOptions) => Encryption;

// adapters/encryption/types.d.ts
import type { Session } from '../../core/types.js';
export interface EncryptionOptions {
        baseURL?: string;
        keys?: string;
        pins?: readonly string[];
}
export interface Encryption {
        readonly fetch: Session['fetch'];
}

// adapters/encryption/error.d.ts
export type EncryptionErrorCode = 'signedout' | 'keys' | 'plaintext' | 'malformed' | 'algorithm' | 'decrypt' | 'binding' | (string & {});
export declare class EncryptionError extends Error {
    readonly name = "EncryptionError";
    readonly code: EncryptionErrorCode;
        readonly status: number | undefined;
}

// adapters/vue.d.ts
import { type ComputedRef, type Plugin } from 'vue';
import type { Grants, GrantsSnapshot } from './grants/types.js';
export interface VueSession {
    readonly status: ComputedRef<GrantsSnapshot['status']>;
    readonly user: ComputedRef<GrantsSnapshot['user']>;
    readonly roles: ComputedRef<GrantsSnapshot['roles']>;
    readonly permissions: ComputedRef<GrantsSnapshot['permissions']>;
        readonly can: (permission: string) => boolean;
}
export declare const tacet: (grants: Pick<Grants, "subscribe" | "getSnapshot">) => Plugin;
export declare const useSession: () => VueSession;
interface Place {
    fullPath: string;
    meta: Record<string | number | symbol, unknown>;
}
export interface RouterLike {
    beforeEach(guard: (to: Place) => Promise<unknown>): () => void;
    replace(to: {
        path: string;
        query?: {
            [name: string]: string;
        };
    }): unknown;
    currentRoute: {
        value: Place;
    };
}
export declare const guardRoutes: (router: RouterLike, grants: Grants, 
{ signIn, forbidden }?: {
    signIn?: string;
    forbidden?: string;
}) => (() => void);
export {};

// adapters/react.d.ts
import { type ReactNode } from 'react';
import type { Grants, GrantsSnapshot } from './grants/types.js';
type Store = Pick<Grants, 'subscribe' | 'getSnapshot'>;
export declare const SessionProvider: ({ grants, children }: {
    grants?: Grants | undefined;
    children?: ReactNode;
}) => import("react").FunctionComponentElement<import("react").ProviderProps<Store | undefined>>;
export declare const useSession: () => GrantsSnapshot;
export declare const Can: ({ permission, fallback, children }: {
    permission: string;
    fallback?: ReactNode;
    children?: ReactNode;
}) => ReactNode;
export {};
