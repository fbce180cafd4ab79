/**
 * What the signed-in user may do, as a store that is up to date while the page is open.
 *
 * @packageDocumentation
 */
import type { Session } from '../core/types.js';
import type { Grants, GrantsOptions } from './grants/types.js';
export type { Grants, GrantsEvent, GrantsOptions, GrantsSnapshot } from './grants/types.js';
export { covers } from './grants/covers.js';
/**
 * The grants of the session's user: fetched at sign-in, remembered over page loads, and kept up to date by
 * the browser's one event stream or, where no stream gets through, with each renewal.
 *
 * @example
 * ```ts
 * import { createSession } from '@tacet/browser'
 * import { createGrants } from '@tacet/browser/grants'
 *
 * const session = createSession({ baseURL: '/auth' })
 * const grants = createGrants(session, { refreshGrantsOnReload: true })
 * await grants.ready
 * const show = () => document.querySelector('#delete')!.toggleAttribute('hidden', !grants.can('orders:delete'))
 * grants.subscribe(show)
 * show()
 * ```
 */
export declare const createGrants: (session: Session, { baseURL, refreshGrantsOnReload, events, poll, onEvent }?: GrantsOptions) => Grants;
