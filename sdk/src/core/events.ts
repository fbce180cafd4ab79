import type { Platform } from './platform.js'
import type { Session, SessionOptions, TraceEvent } from './types.js'

export interface Events {
  readonly on: Session['on']
  /** Tells `trace`, at once, and listeners, a moment later: one that calls back must not find the session half changed. */
  readonly emit: (type: TraceEvent['type'], detail?: unknown, id?: number) => void
}

/** Listeners that throw are reported, and disturb nobody. */
export const createEvents = (platform: Platform, { onSignedOut, trace }: SessionOptions): Events => {
  const listeners = new Set<readonly [type: string, listener: ((e: never) => void) | undefined]>([['signedout', onSignedOut]])
  const call = (listener: ((e: never) => void) | undefined, e: unknown) => {
    try {
      listener?.(e as never)
    } catch (error) {
      ;(platform.reportError ?? console.error)(error)
    }
  }
  const on: Session['on'] = (...entry) => {
    listeners.add(entry)
    return () => listeners.delete(entry)
  }
  return {
    on,
    emit: (type, detail, id) => {
      call(trace, { type, at: platform.performance.now(), id, detail })
      for (const [wanted, listener] of listeners) if (wanted === type) queueMicrotask(() => call(listener, detail))
    },
  }
}
