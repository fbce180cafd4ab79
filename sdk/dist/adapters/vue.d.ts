/**
 * The session for Vue (3.3 or newer).
 *
 * @packageDocumentation
 */
import { type ComputedRef, type Plugin } from 'vue';
import type { Grants, GrantsSnapshot } from './grants/types.js';
/** What {@link useSession} returns: as {@link GrantsSnapshot}, in refs. */
export interface VueSession {
    readonly status: ComputedRef<GrantsSnapshot['status']>;
    readonly user: ComputedRef<GrantsSnapshot['user']>;
    readonly roles: ComputedRef<GrantsSnapshot['roles']>;
    readonly permissions: ComputedRef<GrantsSnapshot['permissions']>;
    /** In a template, a computed or a watcher, its answer is followed. */
    readonly can: (permission: string) => boolean;
}
/**
 * The plugin: `useSession()` in components, `v-can="'orders:write'"` in templates.
 *
 * @example
 * ```ts
 * import { createSession } from '@tacet/browser'
 * import { createGrants } from '@tacet/browser/grants'
 * import { tacet } from '@tacet/browser/vue'
 * import { createApp } from 'vue'
 *
 * const grants = createGrants(createSession())
 * const app = createApp({ template: `<button v-can="'orders:write'">New order</button>` })
 * app.use(tacet(grants))
 * await grants.ready
 * app.mount('#app')
 * ```
 */
export declare const tacet: (grants: Pick<Grants, "subscribe" | "getSnapshot">) => Plugin;
/** Who is signed in and what they may do, in refs that follow it. */
export declare const useSession: () => VueSession;
interface Place {
    fullPath: string;
    meta: Record<string | number | symbol, unknown>;
}
/** As much of vue-router (4 or 5) as the guard needs. */
export interface RouterLike {
    beforeEach(guard: (to: Place) => Promise<unknown>): () => void;
    replace(to: {
        path: string;
        query?: {
            [name: string]: string;
        };
    }): unknown;
    currentRoute: {
        value: Place;
    };
}
/**
 * Guards the routes whose `meta.can` names a permission (or `true`: any signed-in user): before they are
 * shown, and while they are. While the server cannot be reached and nobody knows who is signed in, a navigation to one
 * of them waits. Returns the function that undoes it.
 */
export declare const guardRoutes: (router: RouterLike, grants: Grants, 
/** Paths of the sign-in page, which gets `?redirect=`, and of the page that says no. */
{ signIn, forbidden }?: {
    signIn?: string;
    forbidden?: string;
}) => (() => void);
export {};
