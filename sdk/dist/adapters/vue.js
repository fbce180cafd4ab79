/**
 * The session for Vue (3.3 or newer).
 *
 * @packageDocumentation
 */
import { computed, inject, shallowRef, watchEffect } from 'vue';
const key = Symbol('tacet');
/** An element is hidden, and out of reach of keyboard and screen reader, without the permission. */
const directive = (state) => {
    const bind = (el, permission) => {
        const display = el.tacet?.display ?? (el.style.display === 'none' ? '' : el.style.display);
        el.tacet?.stop();
        const stop = watchEffect(() => (el.style.display = state.value.can(permission) ? display : 'none'), { flush: 'sync' });
        el.tacet = { permission, display, stop };
    };
    return {
        beforeMount: (el, { value }) => bind(el, value),
        updated: (el, { value }) => bind(el, value),
        unmounted: (el) => el.tacet?.stop(),
        getSSRProps: () => ({ style: 'display:none' }),
    };
};
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
export const tacet = (grants) => ({
    install(app) {
        const state = shallowRef(grants.getSnapshot());
        const stop = grants.subscribe(() => (state.value = grants.getSnapshot()));
        // Vue 3.5 has onUnmount; older applications live as long as their page.
        app.onUnmount?.(stop);
        app.provide(key, state);
        app.directive('can', directive(state));
    },
});
/** Who is signed in and what they may do, in refs that follow it. */
export const useSession = () => {
    const state = inject(key);
    if (!state)
        throw new Error('useSession() needs app.use(tacet(grants)), and to be called in setup()');
    return {
        status: computed(() => state.value.status),
        user: computed(() => state.value.user),
        roles: computed(() => state.value.roles),
        permissions: computed(() => state.value.permissions),
        can: (p) => state.value.can(p),
    };
};
/**
 * Guards the routes whose `meta.can` names a permission (or `true`: any signed-in user): before they are
 * shown, and while they are. While the server cannot be reached and nobody knows who is signed in, a navigation to one
 * of them waits. Returns the function that undoes it.
 */
export const guardRoutes = (router, grants, 
/** Paths of the sign-in page, which gets `?redirect=`, and of the page that says no. */
{ signIn = '/sign-in', forbidden = '/forbidden' } = {}) => {
    const judge = ({ meta: { can }, fullPath }) => !can || (can === true ? grants.status === 'signedin' : grants.can(can)) ? undefined
        : grants.status === 'signedin' ? { path: forbidden }
            : { path: signIn, query: { redirect: fullPath } };
    const isKnown = () => grants.status === 'signedin' || grants.status === 'signedout';
    const known = () => new Promise((resolve) => {
        const look = () => {
            if (!isKnown())
                return;
            stop();
            resolve();
        };
        const stop = grants.subscribe(look);
        look();
    });
    const off = [
        router.beforeEach(async (to) => {
            await grants.ready;
            // While the server cannot say who is signed in, sign-in would be of no use: the navigation waits.
            if (to.meta.can)
                await known();
            return judge(to);
        }),
        grants.subscribe(() => {
            const to = isKnown() && judge(router.currentRoute.value);
            if (to)
                void router.replace(to);
        }),
    ];
    return () => off.forEach((f) => f());
};
