/**
 * Silent session renewal in the browser: one renewal per browser, requests held and repeated, nothing lost.
 *
 * @packageDocumentation
 */
export { TacetError } from './core/error.js';
export { createSession } from './core/session.js';
