/**
 * The session for React (18 or newer), also on a server.
 *
 * @packageDocumentation
 */
import { createContext, createElement, useContext, useSyncExternalStore, type ReactNode } from 'react'
import type { Grants, GrantsSnapshot } from './grants/types.js'

type Store = Pick<Grants, 'subscribe' | 'getSnapshot'>

const loading: GrantsSnapshot = { status: 'loading', user: undefined, roles: [], permissions: [], settings: {}, can: () => false }
/** On a server nobody is known: the page is rendered as while it loads. */
const server: Store = { subscribe: () => () => {}, getSnapshot: () => loading }
const Context = createContext<Store | undefined>(undefined)

/** Gives the grants to the components in it. On a server `grants` is left out. */
export const SessionProvider = ({ grants, children }: { grants?: Grants | undefined; children?: ReactNode }) =>
  createElement(Context.Provider, { value: grants ?? server }, children)

/**
 * Who is signed in and what they may do; renders again when that changes.
 *
 * @example
 * ```ts
 * import { useSession } from '@tacet/browser/react'
 *
 * function Title() {
 *   const { user, status, can } = useSession()
 *   return status === 'signedin' ? user!.username + (can('orders:write') ? ' (may write)' : '') : null
 * }
 * ```
 */
export const useSession = (): GrantsSnapshot => {
  const store = useContext(Context)
  if (!store) throw new Error('useSession() and <Can> need a <SessionProvider grants={…}> around them')
  return useSyncExternalStore(store.subscribe, store.getSnapshot, server.getSnapshot)
}

/** Shows its children only with the permission, else `fallback`; while the grants are not known, neither. */
export const Can = ({ permission, fallback, children }: { permission: string; fallback?: ReactNode; children?: ReactNode }): ReactNode => {
  const { status, can } = useSession()
  return can(permission) ? children : status === 'loading' || status === 'offline' ? null : fallback
}
