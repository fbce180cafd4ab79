import type { Platform } from './platform.js'
import type { Token } from './state.js'

/**
 * What outlives the page, one record under one key.
 *
 * - `token`: with the option `storage: 'localStorage'`.
 * - `refresh`: under body delivery. `generation` is the refresh token.
 * - `ended`: a session that is over, until the server has confirmed it: a page that starts must not take cookies
 *   that are still there for a living session.
 */
export type Stored = { type: 'token'; generation: string; token: Token } | { type: 'refresh'; generation: string } | Ended

export interface Ended {
  type: 'ended'
  /** The generation that the session had. */
  generation: string
  /** Its id, where known. */
  session: string | undefined
  everywhere: boolean | undefined
}

export interface Store {
  /** What is stored. */
  readonly read: () => Stored | null | undefined
  readonly write: (record?: Stored) => void
  /** It outlives the page, and other tabs can read it. */
  readonly isDurable: () => boolean
}

/** The record under `key`; in memory where the platform cannot store it. */
export const createStore = (platform: Platform, key: string): Store => {
  let memory: string | undefined
  let isDurable = true
  return {
    read: () => {
      try {
        return JSON.parse((isDurable ? platform.localStorage?.[key] : memory) ?? 'null')
      } catch {
        // Forbidden, or not ours.
        return undefined
      }
    },
    write: (record) => {
      memory = record && JSON.stringify(record)
      try {
        const { localStorage } = platform
        if (memory && localStorage) localStorage[key] = memory
        else delete localStorage?.[key]
        isDurable = !!localStorage
      } catch {
        isDurable = false
      }
    },
    isDurable: () => isDurable,
  }
}
