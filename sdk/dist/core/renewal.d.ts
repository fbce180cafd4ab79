import { type Core } from './core.js';
/**
 * The one renewal of this tab: asks other tabs and the server until the state wants none any more. Nothing waits for a
 * timer while it holds the lock: timers of hidden tabs are slow.
 */
export declare const renew: (core: Core) => Promise<void>;
