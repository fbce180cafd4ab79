import type { Session } from '../../core/types.js'
import { readEvents } from './sse.js'

/** What is told of the stream. */
export interface Listener {
  /** An event. */
  event: (type: string, data: unknown) => void
  /** The stream is up, or down. `gap`: it does not go on where an earlier one of this tab stopped. */
  live: (up: boolean, gap?: boolean) => void
}

/** The first lines must have come by then: a proxy that collects the answer would never let them through. */
const FIRST = 10_000
/** The server shows every 20 s that it is alive. */
const SILENCE = 50_000
const LONGEST = 60_000

/**
 * Holds the browser's one event stream while this tab is its leader: the tab that has the Web Lock. The
 * lock goes to the next tab when this one closes. Returns what starts and stops it: a page that wants into
 * the back/forward cache must neither hold nor want a lock.
 */
export const follow = (session: Session, base: string, name: string, to: Listener) => {
  let leading: AbortController | undefined
  let stream: AbortController | undefined
  let wake = () => {}
  let user = session.user?.id

  let hurry = false
  const reconnect = () => {
    hurry = true
    stream?.abort()
    wake()
  }
  const life = new AbortController()
  addEventListener('online', reconnect, life)
  document.addEventListener('visibilitychange', () => document.hidden || wake(), life)
  const off = [
    session.on('signedout', () => stream?.abort()),
    session.on('signedin', (u) => {
      // Somebody else: the stream that is up, or waits, is not theirs.
      if (u?.id !== user) reconnect()
      user = u?.id
      wake()
    }),
  ]

  const lead = async (signal: AbortSignal) => {
    let id = ''
    let failures = 0
    let byToken = false
    to.live(false)
    signal.addEventListener('abort', () => {
      stream?.abort()
      wake()
    })
    while (!signal.aborted) {
      let wait = Infinity
      const whose = user
      if (session.status === 'signedout') {
        id = ''
        byToken = false
      } else {
        stream = new AbortController()
        const stop = () => stream!.abort()
        let watchdog = setTimeout(stop, FIRST)
        let up = false
        let retry = Math.min(1000 * 2 ** failures, LONGEST)
        try {
          // The server lets the refresh cookie read events and does not renew it for that: a page that is
          // only open does not keep its session alive. Where there is none, the access token is sent.
          const cookie = !byToken && /\btacet_csrf=/.test(document.cookie)
          const r = await session.fetch(base + '/events', {
            headers: { accept: 'text/event-stream', ...(id && { 'last-event-id': id }) },
            cache: 'no-store',
            signal: stream.signal,
            ...(cookie ? { tacet: false, credentials: 'include' } : {}),
          })
          if (cookie && (r.status === 401 || r.status === 403)) {
            byToken = true
            retry = 0
          } else if (!r.ok || !r.headers.get('content-type')?.startsWith('text/event-stream')) {
            retry = Math.max(retry, +(r.headers.get('retry-after') ?? 0) * 1000)
            stop()
          } else
            await readEvents(
              r.body!,
              () => {
                clearTimeout(watchdog)
                watchdog = setTimeout(stop, SILENCE)
              },
              (b) => {
                if (b.event) to.event(b.event, JSON.parse(b.data!))
                if (b.retry) retry = +b.retry
                if (!b.id) return
                if (!up) to.live((up = true), !id)
                id = b.id
              },
            )
        } catch {
          // Broken off, by the network or by us: what follows is the same.
        }
        clearTimeout(watchdog)
        if (up) to.live(false)
        if (user !== whose) id = ''
        failures = up ? 0 : failures + 1
        wait = hurry ? 0 : retry * (0.5 + Math.random())
        hurry = false
      }
      // Infinity: until somebody signs in.
      if (!signal.aborted)
        await new Promise<void>((ok) => {
          wake = ok
          if (wait < Infinity) setTimeout(ok, wait)
        })
    }
  }

  return {
    start: () => {
      if (leading || !navigator.locks) return
      leading = new AbortController()
      const { signal } = leading
      navigator.locks.request(name, { signal }, () => lead(signal)).catch(() => {})
    },
    stop: () => {
      leading?.abort()
      leading = undefined
    },
    destroy: () => {
      leading?.abort()
      life.abort()
      for (const f of off) f()
    },
  }
}
