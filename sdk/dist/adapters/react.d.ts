/**
 * The session for React (18 or newer), also on a server.
 *
 * @packageDocumentation
 */
import { type ReactNode } from 'react';
import type { Grants, GrantsSnapshot } from './grants/types.js';
type Store = Pick<Grants, 'subscribe' | 'getSnapshot'>;
/** Gives the grants to the components in it. On a server `grants` is left out. */
export declare const SessionProvider: ({ grants, children }: {
    grants?: Grants | undefined;
    children?: ReactNode;
}) => import("react").FunctionComponentElement<import("react").ProviderProps<Store | undefined>>;
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
export declare const useSession: () => GrantsSnapshot;
/** Shows its children only with the permission, else `fallback`; while the grants are not known, neither. */
export declare const Can: ({ permission, fallback, children }: {
    permission: string;
    fallback?: ReactNode;
    children?: ReactNode;
}) => ReactNode;
export {};
