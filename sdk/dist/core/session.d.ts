import type { Platform } from './platform.js';
import type { Session, SessionOptions } from './types.js';
/** A session on this platform. */
export declare const createSessionOn: (platform: Platform, options?: SessionOptions) => Session;
