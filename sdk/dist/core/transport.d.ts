import { type Failure } from './error.js';
import type { Platform } from './platform.js';
import type { User } from './types.js';
/** What the session server grants (`POST /auth/login`, `POST /auth/refresh`). */
export interface Grant {
    access_token: string;
    /** Seconds from the receipt. */
    expires_in: number;
    /** Under body delivery; absent when the refresh token that is there stays. */
    refresh_token?: string;
    session: {
        id: string;
    };
    user?: User;
}
/** A response of the session server, or of something on the way to it. */
export interface Reply extends Failure {
    status: number;
    /** Of a problem document (RFC 9457), and of nothing else. */
    code: string;
    grant: Grant | undefined;
}
export type Post = (path: string, body: object) => Promise<Reply>;
export declare const isFinal: ({ status, code }: Reply) => boolean;
/**
 * The CSRF token, in the readable cookie whose name has a prefix under TLS. It changes with each renewal and starts with
 * the number of the renewal and a dot.
 */
export declare const csrf: (cookies?: string) => string;
/**
 * POSTs to the session server. `keepalive` decides whether the rotated cookie lands when the tab closes in the
 * middle. Nothing aborts it but time: what the server has begun is better known than lost.
 */
export declare const createPost: (platform: Platform, base: string, timeout: number, isBody: boolean) => Post;
