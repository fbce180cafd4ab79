/**
 * Silent session renewal in the browser: one renewal per browser, requests held and repeated, nothing lost.
 *
 * @packageDocumentation
 */
export { TacetError, type ErrorCode } from './core/error.js';
export type { RenewedFrom, Session, SessionEvents, SessionOptions, SessionRequestInit, SignedOut, Status, TraceEvent, User, } from './core/types.js';
export { createSession } from './core/session.js';
