import type { Tabs } from './channel.js';
import type { Platform } from './platform.js';
export interface Lock {
    /** Runs `task` while no other tab runs one. */
    readonly locked: <T>(task: () => Promise<T>) => Promise<T>;
    /** Another tab wants the turn. */
    readonly rival: (claim: number) => void;
}
/**
 * One turn per browser. The platform's lock, and where there is none (plain http, old web views), or where it does not
 * come in time (a frozen tab holds it), claims over the channel. It saves renewals; nothing depends on it for being right.
 */
export declare const createLock: (platform: Platform, name: string, timeout: number, tabs: Tabs) => Lock;
