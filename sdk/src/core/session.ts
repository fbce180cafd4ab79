import { fetchWith } from '../adapters/fetch.js'
import { TacetError } from './error.js'
import type { Ended, Token } from './state.js'
import type { RenewedFrom, Session, SessionEvents, SessionOptions, TraceEvent } from './types.js'

/** What tabs tell each other: a token; nothing but a question for one; a claim on the turn (c); the end of a session (x). */
type Message = Token | {} | { c: number } | { x: string | undefined }

/** Half the time in which other tabs must have answered. */
const sleep = () => new Promise((ok) => setTimeout(ok, 30))

/** For failures that somebody else reports. */
const ignore = () => {}

/** `p`, or the reason of `signal` as soon as it aborts. The work behind `p` goes on: it is shared. */
const race = <T>(p: Promise<T>, signal?: AbortSignal | null): Promise<T> =>
  new Promise((ok, no) => {
    p.then(ok, no)
    signal?.throwIfAborted()
    signal?.addEventListener('abort', () => no(signal.reason))
  })

/**
 * The session of this browser with one session server. Call it once per page and share the object.
 *
 * @example
 * ```ts
 * import { createSession } from '@tacet/browser'
 *
 * const session = createSession({ baseURL: '/auth', onSignedOut: () => location.assign('/sign-in') })
 * await session.ready
 * if (session.status === 'signedout') await session.signIn({ username: 'alice', password: 'alice-password' })
 * const orders = await session.fetch('/api/orders').then((r) => r.json())
 * ```
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9700#section-4.14 | RFC 9700 §4.14} on refresh tokens in browsers
 */
export const createSession: (options?: SessionOptions) => Session = ({
  baseURL = '/auth',
  storage,
  delivery,
  origins = [],
  onSignedOut,
  timeout = 1e4,
  leeway = 6e4,
  trace,
} = {}) => {
  const { href: base, origin } = new URL(baseURL, location.href)
  const name = 'tacet:' + base
  const body = delivery === 'body'
  const load = (): any => {
    try {
      return JSON.parse(localStorage[name])
    } catch {
      // Missing, forbidden or not ours: as if there were nothing.
    }
  }
  const save = (x?: Token | Ended | { g: string } | false) => {
    try {
      localStorage[name] = JSON.stringify(x)
    } catch {
      // Full or forbidden: other tabs and the next load go without.
    }
  }
  const mark = (): string => (body ? load()?.g : /\btacet_csrf=([^;]*)/.exec(document.cookie)?.[1]) ?? ''
  const now = () => performance.now()

  let token: Token | undefined
  /** The mark of `token`, or of the session that is over: another one means that another tab knows more. */
  let seen: string | undefined = load()?.o && load().g
  /** The API has refused `token`. */
  let stale: boolean
  /** `token` has been used since it came: its successor is fetched ahead of time. */
  let used: boolean
  /** How long before its expiry `token` is renewed ahead of time, in milliseconds. */
  let lead: number
  /** Id of the last session that ended: nothing brings it back. */
  let ended: string | undefined
  /** Ends with the session: what began before belongs to nobody then. */
  let era = new AbortController()
  let renewal: Promise<unknown> | undefined
  /** Ends the waiting for `renewal`. */
  let fail: ((why: TacetError) => void) | undefined
  let who: Promise<void> | undefined
  let requests = 0
  /** Until when (`performance.now()`) a 401 does not renew: because no API has accepted this renewed token yet … */
  let doubt = 0
  /** … or because one refused a token that had just been renewed for it. */
  let futile = 0
  /** No renewal before this `performance.now()`, because of `lastError`. */
  let notBefore = 0
  let lastError: TacetError
  let timer: ReturnType<typeof setTimeout>
  /** For the turn, where there are no Web Locks: 0 has it, below 1 wants it, 1 does not. */
  let claim = 1
  let rival: boolean

  let channel: BroadcastChannel | undefined
  try {
    channel = new BroadcastChannel(name)
  } catch {
    // Without one, other tabs learn of a sign-out by the storage event, and of the rest by their own renewal.
  }

  const listeners = new Set<readonly [string, ((e: any) => void) | undefined]>([
    ['signedout', onSignedOut],
    ['', trace],
  ])

  // ---- what is known ----
  // Counted from the receipt, by the same clock: its error does not matter. Unlike performance.now() it goes
  // on while the device sleeps; where it was set in between, either way, the token is rather old than young.
  const left = () => token!.expires_in * 1e3 - Math.abs(Date.now() - token!.w)
  /** The cookies are those of the session that ended with this mark, though a late renewal may have landed since. */
  const dead = (g?: string) => mark() === g || parseInt(mark()) > parseInt(g!)
  /** There is a token, for longer than that. */
  const good = (least = lead) => token && !stale && left() > least
  /** There is nothing in this browser that could be renewed. */
  const none = () => !token && (!mark() || dead(seen))

  // ---- the session server ----
  /** Uses and shares what the server answered. */
  const accept = (a: Token) => {
    const t = {
      ...a,
      s: a.session?.id,
      w: Date.now(),
      // A slow duplicate is answered without a new refresh token: the one that is there stays.
      g: (body && a.refresh_token) || mark(),
    }
    if (!body || a.refresh_token) save(storage === 'localStorage' ? t : body && { g: t.g })
    take(t, 'network')
    tell(t)
  }

  /**
   * One POST: the JSON of the answer, its status and `Retry-After`. `keepalive` decides whether the
   * rotated cookie lands when the tab closes in the middle. Nothing aborts it but time: what the server
   * has begun is better known than lost.
   */
  const call = async (path: string, data: unknown): Promise<any> => {
    try {
      const res = await fetch(base + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-csrf-token': body ? '' : mark() },
        body: JSON.stringify(data),
        credentials: body ? 'omit' : 'include',
        keepalive: true,
        signal: AbortSignal.timeout(timeout),
      })
      return {
        ...(await res.json().catch(ignore)),
        status: res.status,
        retryAfter: (res.headers.get('retry-after') as unknown as number) * 1e3,
      }
    } catch (cause) {
      throw new TacetError('network', { cause } as {})
    }
  }

  /** Renews, unless another tab has, as often as makes sense for those who wait. */
  const turns = async () => {
    const e = era.signal
    const old = token
    const start = now()
    const turn = async () => {
      // How often to ask the other tabs: long if one has renewed, shortly at the start.
      let asks = old ? 40 : 4
      for (; sync(), e.throwIfAborted(), token === old || !good(0); await sleep()) {
        const sent = mark()
        if (sent !== seen && asks-- > 0) {
          // Its token, or its word that the session is over, may arrive after the lock does.
          tell({})
          continue
        }
        emit('renewing')
        const a = await call('/refresh', { refresh_token: body ? sent : undefined })
        e.throwIfAborted()
        if (a.access_token) return accept(a)
        // Only the session server's own refusal counts, not that of a proxy or portal on the way.
        if (!a.code || a.status > 403) throw new TacetError('unavailable', a)
        // It is final, unless the cookies have changed since: another tab has renewed or signed in.
        if (!mark() || mark() === sent) return drop(a.code, {})
      }
    }
    for (;;) {
      if (notBefore - start > 5e3) throw lastError
      while (now() < notBefore) await sleep()
      try {
        return await locked(turn)
      } catch (error) {
        e.throwIfAborted()
        lastError = error as TacetError
        notBefore = now() + (lastError.retryAfter || Math.min(now() - start + 400, 5e3) * Math.random())
        emit('failed', lastError)
      }
    }
  }
  /** The one renewal of this tab. */
  const renew = () =>
    (renewal ??= new Promise((ok, no) => {
      fail = no
      turns().then(ok, no)
    }).finally(() => (renewal = undefined)))

  // ---- beginnings and ends ----
  /** Ends everything that belongs to the present session. */
  const cut = (why = new TacetError('signedout')) => {
    era.abort(why)
    fail?.(why)
    era = new AbortController()
    renewal = undefined
    used = false
  }

  /** Uses a token, if it is a new one, and of no session that has ended. Another tab's must be the newest, too. */
  const take = (t: Token, from: RenewedFrom) => {
    if (!t?.access_token || t.access_token === token?.access_token || t.s === ended) return
    const fresh = token?.s !== t.s
    if (!fresh) t.user ??= token!.user!
    else if (token) cut()
    token = t
    seen = t.g
    stale = used = false
    doubt = fresh ? 0 : now() + 400
    lead = Math.min(leeway, t.expires_in * 200)
    clearTimeout(timer)
    timer = setTimeout(() => used && stir({}), left() - lead + 50)
    emit('renewed', { from })
    if (fresh) who = meet(t.s!)
  }

  /** The session is over; `o`, the body of the sign-out, where this tab is the one that says so. */
  const drop = (reason: string, o?: object) => {
    ended = token?.s
    cut()
    token = undefined
    seen = mark()
    emit('signedout', { reason })
    if (o) {
      tell({ x: ended })
      o = { g: seen, s: ended, o: { ...o, refresh_token: body ? seen : undefined } }
      save(o as Ended)
    }
    return o as Ended
  }

  /** Learns who is signed in, and says so. */
  const meet = async (s: string) => {
    const u = await (token!.user ?? fetchIt(base + '/me').then(async (r) => (await r.json()).user).catch(ignore))
    if (token?.s === s) emit('signedin', (token.user = u))
  }

  // ---- requests ----
  const send: Session['send'] = async (request, transmit, once) => {
    const id = ++requests
    const e = era.signal
    const step = (type: TraceEvent['type'], detail?: unknown) => emit(type, detail as never, id)
    step('request', request)
    try {
      for (let repeat = 0; ; repeat = 1) {
        const t =
          [location.origin, origin, ...origins].includes(new URL(request.url, base).origin) &&
          (await obtain(e, request.signal, once, step))
        if (repeat && once) throw new TacetError('not_repeatable')
        step(repeat ? 'repeat' : 'sent')
        const res = await transmit((t as Token | undefined)?.access_token, repeat as 0 | 1)
        if (t && res.status === 401) {
          step('unauthorized')
          e.throwIfAborted()
          if (repeat) futile = now() + timeout
          else if (t !== token || (stale = now() > Math.max(doubt, futile))) continue
        } else if (t === token) doubt = 0
        step('settled', res.status)
        return res
      }
    } catch (error) {
      step('settled', error)
      throw error
    }
  }

  const obtain = async (e: AbortSignal, signal?: AbortSignal | null, once?: boolean, step?: (type: 'held') => void) => {
    if (none()) return
    if (!good()) {
      step?.('held')
      try {
        await race(renew(), signal)
      } catch (error) {
        // The old token is still good enough for what can be repeated.
        if (once || !good(0)) throw error
      }
    }
    used = true
    e.throwIfAborted()
    return token
  }

  // ---- start and wake ----
  /** Looks around: at the start (without event), when time passes, and when the page or another tab stirs. */
  const stir = async (event?: { type?: string }) => {
    // Of the events below only `online` comes before p in the alphabet.
    if (event?.type! < 'p') notBefore = 0
    sync()
    if (!none() && !(good() && mark() === seen) && !(event && document.hidden)) await renew().catch(ignore)
    return who
  }

  // ---- sign-out ----
  const signOut: Session['signOut'] = async (options) => {
    cut()
    return flush(none() ? load() : drop('signedout', { ...options }))
  }

  /** Delivers a sign-out that the server has not confirmed: true when there is none left. */
  const flush = (x?: Ended) =>
    locked(
      async () =>
        // If the cookie is another session's by now, that one must not be ended in this one's place.
        !x?.o || !dead(x.g) || ((await call('/logout', x.o)).status === 204 && (save(), true)),
    ).catch(() => false)

  // ---- events ----
  const emit = <K extends TraceEvent['type']>(type: K, detail?: K extends keyof SessionEvents ? SessionEvents[K] : unknown, id?: number) => {
    // Each on its own, and but for the trace later: a listener that throws or calls back must not disturb the core.
    listeners.forEach(async ([t, fn]) => (t ? t === type && fn?.(await detail) : fn?.({ type, at: now(), id, detail })))
  }
  const on: Session['on'] = (...listener) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  // ---- other tabs ----
  /** Looks at what other tabs left behind. */
  const sync = () => {
    const x = load()
    if (x?.o) {
      flush(x)
      if (!none() && (x.g === mark() || x.s === token?.s)) drop('tab')
    } else if (x?.g === mark()) take(x, 'storage')
  }
  const tell = (m: Message) => channel?.postMessage(m)
  const fetchIt = fetchWith(send)
  const locked = async <T>(run: () => Promise<T>): Promise<T> => {
    let turn: Promise<T> | undefined
    try {
      return await navigator.locks.request(name, { signal: AbortSignal.timeout(timeout) }, () => (turn = run()))
    } catch {
      if (turn) return turn
    }
    // No Web Locks (plain http, old web views): tabs claim the turn until nobody with a lower number objects.
    claim = Math.random()
    do {
      rival = false
      tell({ c: claim })
      await sleep()
    } while (rival)
    claim = 0
    return run().finally(() => (claim = 1))
  }
  // Its `signal` member is what addEventListener looks for.
  const life = new AbortController()
  for (const type of ['storage', 'online', 'pageshow', 'visibilitychange']) addEventListener(type, stir, life)
  channel?.addEventListener(
    'message',
    ({ data }) =>
      data.access_token ? data.g === mark() && take(data, 'tab')
      : data.c >= 0 ? (data.c > claim ? tell({ c: claim }) : (rival = true))
      : data.x ? data.x === token?.s && drop('tab')
      : good() && tell(token!),
    life,
  )

  return {
    fetch: fetchIt,
    send,
    on,
    ready: stir(),
    signOut,
    getAccessToken: async () => (await obtain(era.signal))?.access_token,
    signIn: async (credentials) => {
      const e = era.signal
      const a = await locked(() => call('/login', { ...credentials, delivery }))
      if (!a.access_token) throw new TacetError(a.code ?? 'unavailable', a)
      // Signed out meanwhile: that goes for what has just begun, too.
      if (e.aborted) signOut()
      e.throwIfAborted()
      cut()
      accept(a)
      return token!.user!
    },
    get user() {
      return token?.user
    },
    get status() {
      return token ? 'signedin' : none() ? 'signedout' : 'loading'
    },
    destroy: () => {
      cut(new TacetError('unavailable'))
      life.abort()
    },
  }
}
