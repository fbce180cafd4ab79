import { type Tabs } from './channel.js';
import { TacetError } from './error.js';
import { type Events } from './events.js';
import { type Lock } from './lock.js';
import type { Platform } from './platform.js';
import { type Message, type Observation, type State, type Token } from './state.js';
import { type Store } from './storage.js';
import { type Grant, type Post } from './transport.js';
import type { Session, SessionOptions, User } from './types.js';
/** One tab's session: its state, and what it takes to change it. */
export interface Core extends Store, Tabs, Lock, Events {
    readonly platform: Platform;
    /** The address of the session server. */
    readonly base: string;
    /** Of the record in storage, the channel and the lock. */
    readonly name: string;
    readonly post: Post;
    readonly send: Session['send'];
    readonly fetch: Session['fetch'];
    /** Origins that may see the access token. */
    readonly trusted: ReadonlySet<string>;
    /** The refresh token travels in bodies, not in a cookie. */
    readonly isBody: boolean;
    /** The record in storage holds the access token. */
    readonly isStored: boolean;
    /** Tabs give each other their access token. */
    readonly isShared: boolean;
    state: State;
    /** Requests so far. */
    count: number;
    /** What lets each waiting request go on, or reject. */
    readonly waiting: ((error?: TacetError) => void)[];
    /** The epoch for which the renewal runs. */
    running?: number | undefined;
    /** Who is signed in, where known. */
    user?: User | undefined;
    /** Settles when it is. */
    identified?: Promise<void>;
    /** The last response to `GET /me`, until somebody takes it. */
    me?: Response | undefined;
    /** The last sign-out's way to the server: true when it has arrived. */
    delivery?: Promise<boolean> | undefined;
}
export declare const createCore: (platform: Platform, options: SessionOptions) => Core;
export declare const generationOf: ({ isBody, read, platform }: Core) => string;
export declare const observe: (core: Core) => Observation;
export declare const dispatch: (core: Core, message: Message) => void;
/**
 * Waits for a token: none if nobody is signed in. Rejects when patience runs out, unless the request can be repeated
 * (it is not `once`) and the old token is not known to be bad.
 */
export declare const obtain: (core: Core, signal?: AbortSignal | null, once?: boolean, held?: () => void) => Promise<Token | undefined>;
/** A token of what the server has granted. A slow duplicate is granted no new refresh token: the one that is there stays. */
export declare const tokenOf: (core: Core, { refresh_token, session, ...grant }: Grant) => Token;
export declare const wake: (core: Core, more?: {
    online: boolean;
    restored: boolean | undefined;
}) => void;
/** Takes note of what other tabs have stored. */
export declare const look: (core: Core) => void;
/** Delivers a sign-out that the server has not confirmed: true when there is none left. */
export declare const deliver: (core: Core) => Promise<boolean>;
