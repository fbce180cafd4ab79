/**
 * The session for React (18 or newer), also on a server.
 *
 * @packageDocumentation
 */
import { createContext, createElement, useContext, useSyncExternalStore } from 'react';
const loading = { status: 'loading', user: undefined, roles: [], permissions: [], settings: {}, can: () => false };
/** On a server nobody is known: the page is rendered as while it loads. */
const server = { subscribe: () => () => { }, getSnapshot: () => loading };
const Context = createContext(undefined);
/** Gives the grants to the components in it. On a server `grants` is left out. */
export const SessionProvider = ({ grants, children }) => createElement(Context.Provider, { value: grants ?? server }, children);
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
export const useSession = () => {
    const store = useContext(Context);
    if (!store)
        throw new Error('useSession() and <Can> need a <SessionProvider grants={…}> around them');
    return useSyncExternalStore(store.subscribe, store.getSnapshot, server.getSnapshot);
};
/** Shows its children only with the permission, else `fallback`; while the grants are not known, neither. */
export const Can = ({ permission, fallback, children }) => {
    const { status, can } = useSession();
    return can(permission) ? children : status === 'loading' || status === 'offline' ? null : fallback;
};
