import type { Core } from './core.js';
import type { Session } from './types.js';
/** The user's own sessions: `GET /sessions`, `DELETE /sessions/{id}`. */
export declare const createSessions: ({ base }: Core, fetch: Session["fetch"]) => Session["sessions"];
