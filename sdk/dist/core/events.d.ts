import type { Platform } from './platform.js';
import type { Session, SessionOptions, TraceEvent } from './types.js';
export interface Events {
    readonly on: Session['on'];
    /** Tells `trace`, at once, and listeners, a moment later: one that calls back must not find the session half changed. */
    readonly emit: (type: TraceEvent['type'], detail?: unknown, id?: number) => void;
}
/** Listeners that throw are reported, and disturb nobody. */
export declare const createEvents: (platform: Platform, { onSignedOut, trace }: SessionOptions) => Events;
