import type { Tabs } from './channel.js'
import type { Platform } from './platform.js'

export interface Lock {
  /** Runs `task` while no other tab runs one. */
  readonly locked: <T>(task: () => Promise<T>) => Promise<T>
  /** Another tab wants the turn. */
  readonly rival: (claim: number) => void
}

/** How long a tab with a lower number has to object, in milliseconds. */
const OBJECTION = 30

/**
 * One turn per browser. The platform's lock, and where there is none (plain http, old web views), or where it does not
 * come in time (a frozen tab holds it), claims over the channel. It saves renewals; nothing depends on it for being right.
 */
export const createLock = (platform: Platform, name: string, timeout: number, tabs: Tabs): Lock => {
  /** 0: has the turn; 1: does not want it; between them: wants it. */
  let mine = 1
  let objected = false
  const claim = async <T>(task: () => Promise<T>): Promise<T> => {
    mine = Math.random()
    do {
      objected = false
      tabs.tell({ type: 'claim', claim: mine })
      await new Promise<void>((resolve) => platform.setTimeout(resolve, OBJECTION))
    } while (objected)
    mine = 0
    return task().finally(() => (mine = 1))
  }
  return {
    locked: async <T>(task: () => Promise<T>): Promise<T> => {
      let turn: Promise<T> | undefined
      try {
        const locks = platform.navigator?.locks
        if (locks) return await locks.request(name, { signal: platform.AbortSignal.timeout(timeout) }, () => (turn = task()))
      } catch {
        if (turn) return turn
      }
      return claim(task)
    },
    rival: (claim) => {
      if (claim > mine) tabs.tell({ type: 'claim', claim: mine })
      else objected = true
    },
  }
}
