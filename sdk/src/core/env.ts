/**
 * The parts of a browser window that the core touches, so that tests can run several tabs in one
 * process. Everything but `fetch` may be missing (server-side rendering, old web views).
 *
 * @internal
 */
export interface Env {
  fetch: typeof fetch
  location?: Pick<Location, 'href' | 'origin'>
  document?: Pick<Document, 'cookie' | 'hidden' | 'addEventListener'>
  navigator?: { locks?: Pick<LockManager, 'request'> }
  localStorage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>
  BroadcastChannel?: new (name: string) => Pick<BroadcastChannel, 'postMessage' | 'close' | 'onmessage'>
  addEventListener?: (type: string, fn: () => void, options?: AddEventListenerOptions) => void
}

/** Resolves after `ms` milliseconds. @internal */
export const sleep = (ms: number): Promise<void> => new Promise((ok) => setTimeout(ok, ms))

/** Does nothing: for failures that somebody else reports. @internal */
export const ignore = (): void => {}

/**
 * `p`, or the reason of `signal` as soon as it aborts. The work behind `p` goes on: it is shared.
 *
 * @internal
 */
export const race = <T>(p: Promise<T>, signal?: AbortSignal | null): Promise<T> =>
  signal
    ? new Promise<T>((ok, no) => {
        const stop = () => no(signal.reason)
        if (signal.aborted) stop()
        signal.addEventListener('abort', stop)
        p.then(ok, no).finally(() => signal.removeEventListener('abort', stop))
      })
    : p
