/**
 * The session for Vue (3.3 or newer).
 *
 * @packageDocumentation
 */
import { computed, inject, shallowRef, watchEffect, type ComputedRef, type InjectionKey, type ObjectDirective, type Plugin, type ShallowRef } from 'vue'
import type { Grants, GrantsSnapshot } from './grants/types.js'

const key: InjectionKey<ShallowRef<GrantsSnapshot>> = Symbol('tacet')

/** What {@link useSession} returns: as {@link GrantsSnapshot}, in refs. */
export interface VueSession {
  readonly status: ComputedRef<GrantsSnapshot['status']>
  readonly user: ComputedRef<GrantsSnapshot['user']>
  readonly roles: ComputedRef<GrantsSnapshot['roles']>
  readonly permissions: ComputedRef<GrantsSnapshot['permissions']>
  /** In a template, a computed or a watcher, its answer is followed. */
  readonly can: (permission: string) => boolean
}

type Guarded = HTMLElement & { tacet?: { permission: string; display: string; stop: () => void } }

/** An element is hidden, and out of reach of keyboard and screen reader, without the permission. */
const directive = (state: ShallowRef<GrantsSnapshot>): ObjectDirective<Guarded, string> => {
  const bind = (el: Guarded, permission: string) => {
    const display = el.tacet?.display ?? (el.style.display === 'none' ? '' : el.style.display)
    el.tacet?.stop()
    const stop = watchEffect(() => (el.style.display = state.value.can(permission) ? display : 'none'), { flush: 'sync' })
    el.tacet = { permission, display, stop }
  }
  return {
    beforeMount: (el, { value }) => bind(el, value),
    updated: (el, { value }) => bind(el, value),
    unmounted: (el) => el.tacet?.stop(),
    getSSRProps: () => ({ style: 'display:none' }),
  }
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
export const tacet = (grants: Pick<Grants, 'subscribe' | 'getSnapshot'>): Plugin => ({
  install(app) {
    const state = shallowRef(grants.getSnapshot())
    const stop = grants.subscribe(() => (state.value = grants.getSnapshot()))
    // Vue 3.5 has onUnmount; older applications live as long as their page.
    app.onUnmount?.(stop)
    app.provide(key, state)
    app.directive('can', directive(state))
  },
})

/** Who is signed in and what they may do, in refs that follow it. */
export const useSession = (): VueSession => {
  const state = inject(key)
  if (!state) throw new Error('useSession() needs app.use(tacet(grants)), and to be called in setup()')
  return {
    status: computed(() => state.value.status),
    user: computed(() => state.value.user),
    roles: computed(() => state.value.roles),
    permissions: computed(() => state.value.permissions),
    can: (p) => state.value.can(p),
  }
}

interface Place {
  fullPath: string
  meta: Record<string | number | symbol, unknown>
}
/** As much of vue-router (4 or 5) as the guard needs. */
export interface RouterLike {
  beforeEach(guard: (to: Place) => Promise<unknown>): () => void
  replace(to: { path: string; query?: { [name: string]: string } }): unknown
  currentRoute: { value: Place }
}

/**
 * Guards the routes whose `meta.can` names a permission (or `true`: any signed-in user): before they are
 * shown, and while they are. While the server cannot be reached and nobody knows who is signed in, a navigation to one
 * of them waits. Returns the function that undoes it.
 */
export const guardRoutes = (
  router: RouterLike,
  grants: Grants,
  /** Paths of the sign-in page, which gets `?redirect=`, and of the page that says no. */
  { signIn = '/sign-in', forbidden = '/forbidden' }: { signIn?: string; forbidden?: string } = {},
): (() => void) => {
  const judge = ({ meta: { can }, fullPath }: Place) =>
    !can || (can === true ? grants.status === 'signedin' : grants.can(can as string)) ? undefined
    : grants.status === 'signedin' ? { path: forbidden }
    : { path: signIn, query: { redirect: fullPath } }
  const isKnown = () => grants.status === 'signedin' || grants.status === 'signedout'
  const known = () =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!isKnown()) return
        stop()
        resolve()
      }
      const stop = grants.subscribe(look)
      look()
    })
  const off = [
    router.beforeEach(async (to) => {
      await grants.ready
      // While the server cannot say who is signed in, sign-in would be of no use: the navigation waits.
      if (to.meta.can) await known()
      return judge(to)
    }),
    grants.subscribe(() => {
      const to = isKnown() && judge(router.currentRoute.value)
      if (to) void router.replace(to)
    }),
  ]
  return () => off.forEach((f) => f())
}
