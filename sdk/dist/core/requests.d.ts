import { type Core } from './core.js';
import type { Session } from './types.js';
/**
 * The flow of a request: its token, the wait for one, and one repetition after a 401. The token that the request carried
 * is compared with the present one: a late 401 to an old token does not renew.
 */
export declare const flow: <R extends {
    status?: number;
}>(core: Core, { method, url, signal }: Parameters<Session["send"]>[0], transmit: (token: string | undefined, repeat: 0 | 1) => Promise<R>, once?: boolean) => Promise<R>;
