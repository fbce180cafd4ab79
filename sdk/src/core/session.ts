import { TacetError } from './error.js'
import { ignore, race, sleep, type Env } from './env.js'
import { makeLock, type Claim } from './lock.js'
import { post, type Answer } from './post.js'
import { openStore, type Token } from './state.js'
import type { Sending, Session, SessionEvents, SessionOptions, TraceEvent, User } from './types.js'

/** How long after a renewal a 401 is taken to be the API's last word, in milliseconds. */
const YOUNG = 1e4

/** What tabs tell each other: a token, a session that is over, a question for a token, or a claim. */
type Message = Token | { o: string | undefined } | { q: 1 } | Claim

/**
 * The machine behind a session: who holds which token, when to renew, who waits, who is told.
 * Adapters put it around their HTTP client through {@link Session.send}.
 *
 * @internal
 */
export const createCore = (o: SessionOptions, env: Env): Omit<Session, 'fetch'> => {
  const page = env.location?.href
  const base = new URL(o.baseURL ?? '/auth', page).href.replace(/\/$/, '')
  const origins = [page, base, ...(o.origins ?? [])].map((u) => u && new URL(u).origin)
  const name = 'tacet:' + base
  const body = o.delivery === 'body'
  const timeout = o.timeout ?? 1e4
  const { load, save, mark, ending, setEnding } = openStore(env, name, o.storage === 'localStorage', body)

  let token: Token | undefined
  /** `performance.now()` at the receipt of `token`. */
  let born = 0
  /** The mark of `token`, or of the session that is over: another one means that another tab knows more. */
  let seen = ''
  /** The API has refused `token`. */
  let stale = false
  /** `token` has been used since it came: its successor is fetched ahead of time. */
  let used = false
  let out = false
  /** Id of the last session that ended: nothing brings it back. */
  let ended: string | undefined
  /** Moves with every beginning and end of a session: what began before belongs to nobody. */
  let epoch = 0
  let requests = 0
  /** Calls of signOut(): a sign-in that one overtakes is undone. */
  let quits = 0
  /** Until when (`performance.now()`) a 401 does not renew: token not yet accepted by any API … */
  let doubt = 0
  /** … or refused by one just after a renewal. */
  let futile = 0
  let renewal: Promise<void> | undefined
  let stop = new AbortController()
  let reject: (e: TacetError) => void = ignore
  let who: Promise<unknown> = Promise.resolve()
  let failures = 0
  /** No renewal before this `performance.now()`, because of `lastError`. */
  let notBefore = 0
  let lastError: TacetError | undefined
  let hurry = ignore
  let timer: ReturnType<typeof setTimeout> | undefined

  const now = () => performance.now()
  const listeners: { [K in keyof SessionEvents]?: Set<(e: never) => void> } = {}
  const trace = (type: TraceEvent['type'], id?: number, detail?: unknown) =>
    o.trace?.({ type, at: now(), ...(id && { id }), detail })
  // In a microtask: a listener that throws, or calls back, must not disturb the core.
  const emit = <K extends keyof SessionEvents>(type: K, e: SessionEvents[K]) => {
    trace(type, 0, e)
    queueMicrotask(() => listeners[type]?.forEach((fn) => queueMicrotask(() => (fn as (e: SessionEvents[K]) => void)(e))))
  }
  const on: Session['on'] = (type, fn) => {
    const set = (listeners[type] ??= new Set())
    set.add(fn)
    return () => void set.delete(fn)
  }
  if (o.onSignedOut) on('signedout', o.onSignedOut)

  const gone = () => new TacetError('signed_out', 'The session is over: sign in again')

  // ---- time ----
  // Sleep stops performance.now() on some systems, and people set clocks: whichever says more counts.
  const left = () => token!.e - Math.max(Date.now() - token!.w, now() - born)
  const lead = () => Math.min(o.leeway ?? 6e4, token!.e / 5)
  const good = (margin: number) => token && !stale && left() > margin

  const arm = () => {
    clearTimeout(timer)
    timer = setTimeout(tick, Math.min(Math.max(left() - lead(), 0), 1e9))
  }
  const tick = () => {
    if (!token) return
    if (left() > lead()) arm()
    else if (used && !env.document?.hidden) renew().catch(ignore)
  }

  // ---- other tabs ----
  let channel = env.document && env.BroadcastChannel && new env.BroadcastChannel(name)
  const tell = (m: Message) => channel?.postMessage(m)
  const [locked, hear] = makeLock(env, name, timeout, tell)

  if (channel)
    channel.onmessage = ({ data: m }: MessageEvent) => {
      if (m.t) take(m, 'tab')
      else if ('o' in m) m.o === token?.s && drop('elsewhere', false)
      else if (m.q) good(lead()) && tell(token!)
      else hear(m)
    }

  /** Uses another tab's token, if it is the newest and none that has ended. */
  const take = (t: Token | undefined, from: 'tab' | 'storage') => {
    if (t?.t && t.t !== token?.t && t.g === mark() && t.s !== ended && (!token || Date.now() - t.w < t.e)) adopt(t, from)
  }

  /** Looks at what other tabs left behind. */
  const sync = () => {
    const end = ending()
    if (end && (token ? end.s === token.s : end.g === mark())) drop('elsewhere', false)
    else take(load(), 'storage')
  }

  // ---- beginnings and ends ----
  const adopt = (t: Token, from: 'network' | 'tab' | 'storage', since = now()) => {
    const fresh = token?.s !== t.s
    if (token && fresh) cut()
    const past = Date.now() - t.w
    // Received in the future: the clock was set back since, so nothing is known about its age.
    born = now() - (past < -1e3 ? Infinity : past)
    token = t
    seen = t.g
    stale = used = out = false
    failures = notBefore = 0
    doubt = fresh ? 0 : since + YOUNG
    arm()
    emit('renewed', { from })
    if (fresh) who = meet()
  }

  /** Learns who is signed in, and says so. */
  const meet = async () => {
    const e = epoch
    if (!token!.u) {
      const url = new URL(base + '/me')
      try {
        const res = await send({ url, method: 'GET', send: (t) => raw(url, t ? { headers: { authorization: 'Bearer ' + t } } : {}), status: (r) => r.status })
        const u = (await res.json()).user
        if (e === epoch) token!.u = u
      } catch {
        // The session works without a name.
      }
    }
    if (e === epoch && token) emit('signedin', token.u)
  }

  /** Ends everything that belongs to the present session. */
  const cut = (error = gone()) => {
    epoch++
    clearTimeout(timer)
    renewal = undefined
    stop.abort()
    reject(error)
  }

  const drop = (reason: string, say: boolean) => {
    if (out) return
    const s = (ended = token?.s)
    cut()
    token = undefined
    out = true
    if (say) {
      save()
      tell({ o: s })
    }
    seen = mark()
    if (say && seen) setEnding({ g: seen, s })
    emit('signedout', { reason })
  }

  // ---- the session server ----
  const raw: typeof fetch = (input, init) => (o.fetch ?? env.fetch)(input, init)
  const call = (path: string, data: unknown, ctl = new AbortController()) =>
    post(raw, base + path, data, body ? '' : mark(), body ? 'same-origin' : 'include', timeout, ctl)

  /** Uses and shares what the server answered. */
  const accept = ({ data }: Answer, since?: number) => {
    const s = data.session?.id
    const t: Token = {
      t: data.access_token,
      e: data.expires_in * 1e3 || 1e12,
      w: Date.now(),
      // A slow duplicate is answered without a new refresh token: the one that is there stays.
      g: (body && data.refresh_token) || mark(),
      s,
      u: data.user ?? (token && token.s === s ? token.u : undefined),
    }
    if (!body || data.refresh_token) save(t)
    adopt(t, 'network', since)
    tell(t)
  }

  const unavailable = ({ status, retryAfter, data }: Answer) =>
    new TacetError(
      'unavailable',
      `The session server answered ${status}: the session is kept, try again`,
      { status, ...(retryAfter > 0 && { retryAfter: Math.min(retryAfter, 3e5) }), cause: data },
    )

  /** One turn: look whether another tab has renewed, else renew. Rejects if that failed for now. */
  const turn = async (e: number, old: string | undefined, before: string, ctl: AbortController) => {
    if (e !== epoch || token?.t !== old) return
    const m = mark()
    if (m && m !== seen) {
      // Another tab has renewed, or this is the start. Its token may arrive after the lock does.
      tell({ q: 1 })
      for (let i = old || m !== before ? 50 : 5; i--; ) {
        sync()
        if (e !== epoch || token?.t !== old) return
        await sleep(20)
      }
      if (e !== epoch || token?.t !== old) return
    }
    for (let again = 0; ; again++) {
      const sent = mark()
      const since = now()
      trace('renewing')
      const a = await call('/refresh', body ? { refresh_token: sent } : {}, ctl)
      if (e !== epoch) return
      if (a.data.access_token) return accept(a, since)
      if (a.page || ![400, 401, 403].includes(a.status)) throw unavailable(a)
      // Refused for good, unless the cookies have changed since (another tab renewed or signed in).
      const m = mark()
      if (again || (a.data.code !== 'csrf' && (!m || m === sent))) return drop(a.data.code ?? 'invalid_grant', true)
    }
  }

  /** Turns until one succeeds, as long as waiting makes sense for those who wait. */
  const turns = async (e: number, old: string | undefined, ctl: AbortController) => {
    const patience = now() + timeout / 2
    const before = mark()
    for (;;) {
      if (notBefore > patience) throw lastError
      if (notBefore > now())
        await new Promise<void>((ok) => {
          hurry = ok
          setTimeout(ok, notBefore - now())
        })
      if (e !== epoch) return
      try {
        return await locked(() => turn(e, old, before, ctl))
      } catch (error) {
        if (e !== epoch) return
        lastError = error as TacetError
        const wait = Math.min(250 * 2 ** failures++, timeout / 2)
        notBefore = now() + (lastError.retryAfter ?? wait * (0.5 + Math.random() / 2))
        emit('failed', lastError)
      }
    }
  }

  /** The one renewal of this tab. */
  const renew = (): Promise<void> => {
    if (renewal) return renewal
    stop = new AbortController()
    const mine = (renewal = Promise.race([
      new Promise<void>((_, no) => (reject = no)),
      turns(epoch, token?.t, stop),
    ]))
    const done = () => {
      if (renewal === mine) renewal = undefined
    }
    mine.then(done, done)
    return mine
  }

  /** Delivers a sign-out that the server has not confirmed: true when there is none left. */
  const flush = () =>
    locked(async () => {
      const end = ending()
      // If the cookie is another session's by now, that one must not be ended in this one's place.
      if (end && (body || end.g === mark())) {
        if (!end.b) return true
        const { status, page } = await call('/logout', end.b)
        if (page || status > 401) return false
      }
      setEnding()
      return true
    }).catch(() => false)

  const end = (g: string, s: string | undefined, everywhere: boolean) => {
    setEnding({ g, s, b: { everywhere, ...(body && { refresh_token: g }) } })
    return flush()
  }

  // ---- requests ----
  const obtain = async (id: number, e: number, once: boolean | undefined, signal: AbortSignal | null | undefined) => {
    if (!token && (!mark() || mark() === seen)) return
    used = true
    if (!good(once ? lead() : token ? lead() / 4 : 0)) {
      trace('held', id)
      try {
        await race(renew(), signal)
      } catch (error) {
        // The old token is still good enough for what can be repeated.
        if (once || !good(0)) throw error
      }
    } else if (!good(lead())) renew().catch(ignore)
    if (e !== epoch || !token) throw gone()
    used = true
    return token.t
  }

  const authorized = (url: URL) => (o.shouldAuthorize ? o.shouldAuthorize(url) : origins.includes(url.origin))

  const send = async <R>(r: Sending<R>): Promise<R> => {
    const id = ++requests
    const e = epoch
    trace('request', id, { method: r.method, url: r.url.href })
    try {
      let t = r.tacet === false || !authorized(r.url) ? undefined : await obtain(id, e, r.once, r.signal)
      trace('sent', id)
      let res = await r.send(t, false)
      if (t && r.status(res) === 401) {
        trace('unauthorized', id)
        if (e !== epoch) throw gone()
        if (t !== token!.t || now() > Math.max(doubt, futile)) {
          if (t === token!.t) stale = true
          r.discard?.(res)
          t = await obtain(id, e, r.once, r.signal)
          if (r.once) throw new TacetError('not_repeatable', 'The API answered 401 to a stream, which cannot be sent twice: send it again')
          trace('repeat', id)
          res = await r.send(t, true)
          if (r.status(res) === 401) futile = now() + YOUNG
        }
      }
      if (t && t === token?.t && r.status(res) < 400) doubt = 0
      trace('settled', id, r.status(res))
      return res
    } catch (error) {
      trace('settled', id, error)
      throw error
    }
  }

  // ---- start, wake, stop ----
  const life = new AbortController()
  const wake = (online?: boolean) => {
    if (online) notBefore = 0
    hurry()
    if (ending()) flush()
    sync()
    if (!env.document?.hidden && (token ? !good(lead()) || seen !== mark() : !out)) renew().catch(ignore)
  }
  const listen: NonNullable<Env['addEventListener']> = (type, fn) =>
    env.addEventListener?.(type, fn, { signal: life.signal })
  listen('storage', sync)
  listen('online', () => wake(true))
  listen('pageshow', () => wake())
  env.document?.addEventListener('visibilitychange', () => wake(), { signal: life.signal })

  const start = async () => {
    const end = ending()
    out = !mark()
    if (end) {
      // Signed out while the server was away: silently, because the event was then.
      if (end.g === mark()) {
        seen = end.g
        out = true
      }
      flush()
    }
    sync()
    if (!token && !out) await renew()
    await who
  }
  const ready = start().catch(ignore)

  return {
    ready,
    on,
    send,
    getAccessToken: (options) => obtain(0, epoch, false, options?.signal),
    signIn: async ({ username, password }): Promise<User> => {
      const q = quits
      const a = await locked(() => call('/login', { username, password, delivery: body ? 'body' : 'cookie' }))
      const { access_token, code, title, detail, session, refresh_token } = a.data
      if (!access_token) {
        const failed = unavailable(a)
        if (!code || a.status > 499) throw failed
        throw new TacetError(code, detail ?? title ?? code, { ...failed })
      }
      if (q !== quits) {
        end(refresh_token ?? mark(), session?.id, false)
        throw gone()
      }
      cut()
      accept(a)
      return token!.u!
    },
    signOut: (options) => {
      const g = mark()
      const s = token?.s
      quits++
      drop('signed_out', true)
      return g ? end(g, s, !!options?.everywhere) : Promise.resolve(true)
    },
    get user() {
      return token?.u
    },
    get status() {
      return token ? 'signed-in' : out ? 'signed-out' : 'loading'
    },
    destroy: () => {
      cut(new TacetError('destroyed', 'The session object was destroyed'))
      life.abort()
      channel?.close()
      channel = undefined
    },
  }
}
