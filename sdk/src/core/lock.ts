import { sleep, type Env } from './env.js'

/** A claim on the turn (number) or, without one, its end. @internal */
export interface Claim {
  c?: number | undefined
}

/**
 * One at a time in this browser, for at most as long as `limit` milliseconds of waiting: then it goes
 * ahead alone, because a frozen or crashed tab must block nobody. Correctness does not depend on it:
 * the protocol forgives two renewals at once.
 *
 * Returns `[locked, hear]`; `hear` gets the claims of other tabs.
 *
 * @internal
 */
export const makeLock = (env: Env, name: string, limit: number, tell: (claim: Claim) => void) => {
  let claim: number | undefined
  let rival = false

  // Where there are no Web Locks (plain http, old web views) tabs claim the turn on the channel, and
  // the lowest number goes first. Who has the turn claims 0.
  const claimed = async <T>(run: () => Promise<T>): Promise<T> => {
    claim = Math.random()
    let left = limit
    let waited
    do {
      rival = false
      tell({ c: claim })
      await sleep(50)
      for (waited = rival; rival && left > 0; left -= 50) await sleep(50)
    } while (waited && left > 0)
    claim = 0
    try {
      return await run()
    } finally {
      claim = undefined
      tell({})
    }
  }

  const locked = async <T>(run: () => Promise<T>): Promise<T> => {
    const locks = env.navigator?.locks
    if (!locks) return claimed(run)
    const wait = new AbortController()
    const timer = setTimeout(() => wait.abort(), limit)
    let granted
    try {
      return await locks.request(name, { signal: wait.signal }, () => {
        granted = true
        clearTimeout(timer)
        return run()
      })
    } catch (e) {
      if (granted) throw e
      clearTimeout(timer)
      return run()
    }
  }

  const hear = ({ c }: Claim) => {
    if (c === undefined) rival = false
    else if (claim !== undefined) {
      if (claim < c) tell({ c: claim })
      else rival = true
    }
  }
  return [locked, hear] as const
}
