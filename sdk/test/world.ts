/**
 * A browser with several tabs, a network that loses things and a session server that follows the
 * head-and-fork protocol, in one process and under fake timers.
 */
import { buildSync } from 'esbuild'
import type { createSession, Session, SessionOptions, TraceEvent } from '../src/index.js'

// What a page would load, as a function of the window that it finds.
const { outputFiles } = buildSync({ entryPoints: [process.env.TACET_DIST ? 'dist/index.js' : 'src/index.ts'], bundle: true, format: 'iife', globalName: 'sdk', target: 'es2022', write: false })
const load = new Function('globalThis', 'Math', outputFiles[0]!.text + ';return sdk') as (window: object, math: Math) => { createSession: typeof createSession }

export const ORIGIN = 'https://app.test'
const PROBLEM = { 'content-type': 'application/problem+json' }

/** mulberry32: a run is repeated by its seed. */
export const seeded = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

interface Refresh {
  sid: string
  gen: number
  tag: string
  parent: string
}
interface Held {
  id: string
  user: string
  head: Refresh
  headAt: number
  over?: string
}
export interface Hit {
  path: string
  method: string
  auth: string | null
  status: number
  body: Uint8Array
  type: string | null
  at: number
}

/** What happens to one request on its way. */
export interface Fault {
  /** Fails before the server sees it. */
  drop?: boolean
  /** The server has done it; the answer never comes and the connection breaks. */
  lose?: boolean
  /** Nothing ever comes back. */
  hang?: boolean
  /** The proxy answers this instead of the server. */
  answer?: { status: number; body?: string; headers?: Record<string, string> }
  /** Milliseconds to the server and back. */
  up?: number
  down?: number
}

export class Server {
  sessions = new Map<string, Held>()
  access = new Map<string, { sid: string; until: number }>()
  hits: Hit[] = []
  lifetime = 900
  overlap = 10_000
  /** Paths that answer 401 whatever the token. */
  always401 = new Set<string>()
  revocations: string[] = []
  /** The sessions that renewals said they were of. */
  expected: (string | undefined)[] = []
  private n = 0

  constructor(private random: () => number) {}

  count = (path: string) => this.hits.filter((h) => h.path === path).length
  private tag = () => Math.floor(this.random() * 2 ** 50).toString(36)
  private encode = (r: Refresh) => btoa(JSON.stringify(r))
  private decode = (s: string): Refresh | undefined => {
    try {
      return JSON.parse(atob(s))
    } catch {
      return undefined
    }
  }

  /** All access tokens stop working, as with "expire my token" or a change of grants. */
  expireAll = () => this.access.clear()

  private mint(sid: string) {
    const t = `at-${++this.n}`
    this.access.set(t, { sid, until: Date.now() + this.lifetime * 1000 })
    return t
  }

  private answer(held: Held, child: Refresh | undefined, delivery: string, withUser: boolean): [number, object, Record<string, string>] {
    const body: Record<string, unknown> = {
      access_token: this.mint(held.id),
      token_type: 'Bearer',
      expires_in: this.lifetime,
      session: { id: held.id },
    }
    if (withUser) body.user = { id: held.user, username: held.user }
    const cookies: Record<string, string> = {}
    if (child && delivery === 'body') body.refresh_token = this.encode(child)
    else if (child) {
      cookies.refresh = this.encode(child)
      cookies['tacet_csrf'] = `${child.gen}.${held.id}-${this.tag()}`
    }
    return [200, body, cookies]
  }

  private child = (p: Refresh): Refresh => ({ sid: p.sid, gen: p.gen + 1, tag: this.tag(), parent: p.tag })

  handle(path: string, method: string, headers: Headers, cookies: Record<string, string>, body: Uint8Array): [number, object | undefined, Record<string, string>] {
    const json = () => {
      try {
        return JSON.parse(new TextDecoder().decode(body) || '{}')
      } catch {
        return {}
      }
    }
    const csrf = () => !cookies.refresh || (cookies['tacet_csrf'] && headers.get('x-csrf-token') === cookies['tacet_csrf'])
    if (path === '/auth/login') {
      const { username, password, delivery } = json()
      if (password !== 'right') return [400, { code: 'invalid_credentials', title: 'Wrong name or password', status: 400 }, {}]
      const id = `s${++this.n}`
      const head: Refresh = { sid: id, gen: 0, tag: this.tag(), parent: '' }
      const held: Held = { id, user: username, head, headAt: Date.now() }
      this.sessions.set(id, held)
      return this.answer(held, this.child(head), delivery, true)
    }
    if (path === '/auth/refresh') {
      const { refresh_token: raw, session } = json()
      if (!raw && !csrf()) return [403, { code: 'csrf', status: 403 }, {}]
      const whose = this.decode(raw ?? cookies.refresh ?? '')?.sid
      this.expected.push(session)
      if (session && whose && session !== whose) return [409, { code: 'other_session', title: 'Another session', status: 409 }, {}]
      return this.refresh(raw ?? cookies.refresh, raw ? 'body' : 'cookie')
    }
    if (path === '/auth/logout') {
      const { refresh_token, everywhere } = json()
      if (!refresh_token && !csrf()) return [403, { code: 'csrf', status: 403 }, {}]
      const r = this.decode(refresh_token ?? cookies.refresh ?? '')
      const held = r && this.sessions.get(r.sid)
      for (const s of this.sessions.values()) if (held && (s === held || (everywhere && s.user === held.user))) s.over ??= 'signed_out'
      return [204, undefined, refresh_token ? {} : { refresh: '', 'tacet_csrf': '' }]
    }
    const token = headers.get('authorization')?.replace(/^Bearer /, '')
    const known = token ? this.access.get(token) : undefined
    const held = known && known.until > Date.now() ? this.sessions.get(known.sid) : undefined
    if (this.always401.has(path) || (path !== '/public' && (!held || held.over))) return [401, { code: 'invalid_token', status: 401 }, {}]
    if (path === '/auth/me') return [200, { user: { id: held!.user, username: held!.user } }, {}]
    if (path === '/auth/sessions') return [200, { sessions: [...this.sessions.values()].filter((s) => s.user === held!.user).map((s) => ({ id: s.id, current: s === held })) }, {}]
    if (path.startsWith('/auth/sessions/')) {
      const one = this.sessions.get(path.slice(15))
      if (!one) return [404, { code: 'not_found', status: 404 }, {}]
      one.over = 'ended'
      return [204, undefined, {}]
    }
    if (path === '/api/forbidden') return [403, { code: 'insufficient_scope' }, {}]
    return [200, { user: held?.user, method, size: body.length }, {}]
  }

  private refresh(raw: string | undefined, delivery: string): [number, object, Record<string, string>] {
    const p = this.decode(raw ?? '')
    const held = p && this.sessions.get(p.sid)
    const refused: [number, object, Record<string, string>] = [400, { code: 'invalid_grant', status: 400 }, {}]
    if (!held) return refused
    if (held.over) return [400, { code: 'invalid_grant', status: 400 }, delivery === 'cookie' ? { refresh: '', 'tacet_csrf': '' } : {}]
    const { head } = held
    if (p.tag === head.tag) return this.answer(held, this.child(p), delivery, false)
    if ((p.gen === head.gen + 1 && p.parent === head.tag) || p.gen > head.gen + 1) {
      held.head = p
      held.headAt = Date.now()
      return this.answer(held, this.child(p), delivery, false)
    }
    const slow = p.tag === head.parent || (p.gen === head.gen && p.parent === head.parent)
    if (slow && Date.now() - held.headAt <= this.overlap) return this.answer(held, undefined, delivery, false)
    held.over = 'reuse_detected'
    this.revocations.push(held.id)
    return refused
  }
}

export interface Tab {
  session: Session
  trace: TraceEvent[]
  events: string[]
  hidden: boolean
  /** Events of the window and the document, e.g. `online`, `visibilitychange`. */
  fire: (type: string, more?: object) => void
  /** What `reportError` was given. */
  reported: unknown[]
  /** How often the SDK waited for a timer while this tab held the lock. */
  timersUnderLock: number
  close: () => void
  closed: boolean
}

export interface WorldOptions {
  seed?: number
  /** What this browser lacks; `document`: it is a worker. */
  without?: ('locks' | 'storage' | 'document')[]
  fault?: (path: string, n: number) => Fault | undefined
  /** Milliseconds that messages between tabs take. */
  gossip?: () => number
}

export class World {
  random: () => number
  server: Server
  jar: Record<string, string> = {}
  disk = new Map<string, string>()
  tabs: Tab[] = []
  fault: (path: string, n: number) => Fault | undefined
  private inFlight = new Set<Request>()
  private seen: Record<string, number> = {}
  channels: { name: string; tab: Tab; hear: (e: MessageEvent) => void }[] = []
  private queue: (() => void)[] = []
  private busy = false
  holder: Tab | undefined
  private without: Set<string>

  constructor(private o: WorldOptions = {}) {
    this.random = seeded(o.seed ?? 1)
    this.server = new Server(this.random)
    this.fault = o.fault ?? (() => undefined)
    this.without = new Set(o.without)
  }

  /** Opens a tab and, in it, a session. */
  open(options: SessionOptions = {}): Tab {
    const world = this
    const targets: Record<string, Set<(e: Event) => void>> = {}
    let isAway = false
    const listen = (type: string, fn: (e: Event) => void, opt?: AddEventListenerOptions) => {
      const set = (targets[type] ??= new Set())
      set.add(fn)
      opt?.signal?.addEventListener('abort', () => set.delete(fn))
    }
    const tab = {
      trace: [],
      events: [],
      reported: [],
      timersUnderLock: 0,
      hidden: false,
      closed: false,
      fire: (type: string, more = {}) => {
        // A page in the back/forward cache hears nothing.
        if (type === 'pageshow') isAway = false
        if (!tab.closed && !isAway) for (const fn of targets[type] ?? []) fn({ type, ...more } as Event)
        if (type === 'pagehide') isAway = true
      },
      close: () => {
        tab.closed = true
        world.channels = world.channels.filter((c) => c.tab !== tab)
        tab.session.destroy()
      },
    } as unknown as Tab
    const storage = new Proxy({} as Record<string, string>, {
      get: (_, k: string) => this.disk.get(k),
      set: (_, k: string, v) => {
        if (this.disk.get(k) !== String(v)) {
          this.disk.set(k, String(v))
          this.gossip(() => this.tabs.filter((t) => t !== tab && !t.closed).forEach((t) => t.fire('storage', { key: k })))
        }
        return true
      },
      deleteProperty: (_, k: string) => {
        if (this.disk.delete(k)) this.gossip(() => this.tabs.filter((t) => t !== tab && !t.closed).forEach((t) => t.fire('storage', { key: k })))
        return true
      },
    })
    class Channel {
      me
      constructor(name: string) {
        this.me = { name, tab, hear: (_: MessageEvent) => {} }
        world.channels.push(this.me)
      }
      addEventListener(_: string, fn: (e: MessageEvent) => void) {
        this.me.hear = fn
      }
      close() {
        world.channels = world.channels.filter((c) => c !== this.me)
      }
      postMessage(data: unknown) {
        if (tab.closed) return
        for (const c of world.channels)
          if (c !== this.me && c.name === this.me.name)
            world.gossip(() => c.tab.closed || c.hear({ data: structuredClone(data) } as MessageEvent))
      }
    }
    const window = {
      location: { href: ORIGIN + '/', origin: ORIGIN },
      document: {
        get hidden() {
          return tab.hidden
        },
        get cookie() {
          return ['theme=dark', ...(world.jar['tacet_csrf'] ? ['tacet_csrf=' + world.jar['tacet_csrf']] : [])].join('; ')
        },
      },
      navigator: this.without.has('locks') ? {} : { locks: { request: this.lock(tab) } },
      localStorage: this.without.has('storage') ? undefined : storage,
      BroadcastChannel: Channel,
      addEventListener: listen,
      fetch: (input: string, init?: RequestInit) => this.fetch(tab, new Request(input, init)),
      AbortSignal: {
        timeout: (ms: number) => {
          const c = new AbortController()
          setTimeout(() => c.abort(new DOMException('timed out', 'TimeoutError')), ms)
          return c.signal
        },
      },
      performance,
      Date,
      setTimeout: (run: () => void, ms: number) => {
        if (world.holder === tab && ms < 10_000) tab.timersUnderLock++
        // Timers of hidden tabs run once a second.
        return setTimeout(run, tab.hidden ? Math.max(ms, 1000) : ms)
      },
      reportError: (e: unknown) => tab.reported.push(e),
    }
    // A Math whose random() is the seed's; the rest is found through its prototype.
    if (this.without.has('document')) Object.assign(window, { document: undefined, localStorage: undefined })
    const sdk = load(window, Object.assign(Object.create(Math), { random: this.random }))
    tab.session = sdk.createSession({ baseURL: ORIGIN + '/auth', trace: (e) => tab.trace.push(e), ...options })
    for (const type of ['signedin', 'signedout', 'renewed', 'failed'] as const) tab.session.on(type, () => tab.events.push(type))
    this.tabs.push(tab)
    return tab
  }

  /** What is not of the page's own: the network as one tab has it. */
  window(tab: Tab) {
    return { fetch: (input: string | Request, init?: RequestInit) => this.fetch(tab, new Request(input, init)) }
  }

  private gossip(fn: () => void) {
    setTimeout(fn, this.o.gossip?.() ?? 1)
  }

  /** One exclusive lock for all; a closed tab lets go of it. */
  private lock =
    (tab: Tab) =>
    (_: string, opt: { signal?: AbortSignal }, run: () => Promise<unknown>): Promise<unknown> =>
      new Promise((ok, no) => {
        const grant = () => {
          if (tab.closed || opt.signal?.aborted) return this.next()
          this.busy = true
          this.holder = tab
          const free = () => {
            clearInterval(watch)
            this.busy = false
            this.holder = undefined
            this.next()
          }
          // A tab that dies lets go of its lock.
          const watch = setInterval(() => tab.closed && free(), 20)
          const granted = run()
          granted.then(ok, no)
          granted.then(free, free)
        }
        opt.signal?.addEventListener('abort', () => no(opt.signal!.reason))
        if (this.busy) this.queue.push(grant)
        else grant()
      })

  private next() {
    if (!this.busy) this.queue.shift()?.()
  }

  private async fetch(tab: Tab, req: Request): Promise<Response> {
    const { pathname: path } = new URL(req.url)
    const n = (this.seen[path] = (this.seen[path] ?? 0) + 1)
    const fault = this.fault(path, n) ?? {}
    if (req.signal.aborted) throw req.signal.reason
    const body = req.body ? new Uint8Array(await req.arrayBuffer()) : new Uint8Array()
    let abort!: (e: unknown) => void
    const aborted = new Promise<never>((_, no) => (abort = no))
    aborted.catch(() => {})
    req.signal.addEventListener('abort', () => abort(req.signal.reason))
    const trip = async (): Promise<Response> => {
      await wait(fault.up ?? 5)
      if (fault.drop) throw new TypeError('Failed to fetch')
      if (fault.hang) return new Promise<never>(() => {})
      const sent = req.credentials === 'omit' ? {} : { ...this.jar }
      const [status, json, cookies] = fault.answer
        ? [fault.answer.status, undefined, {}]
        : this.server.handle(path, req.method, req.headers, sent, body)
      this.server.hits.push({ path, method: req.method, auth: req.headers.get('authorization'), status, body, type: req.headers.get('content-type'), at: Date.now() })
      await wait(fault.down ?? 5)
      if (fault.lose) throw new TypeError('Failed to fetch')
      if (!req.signal.aborted && (!tab.closed || req.keepalive))
        for (const [k, v] of Object.entries(cookies)) {
          if (v) this.jar[k] = v
          else delete this.jar[k]
        }
      if (tab.closed) throw new TypeError('the page is gone')
      return new Response(fault.answer ? (fault.answer.body ?? null) : json ? JSON.stringify(json) : null, { status, headers: fault.answer ? { ...(fault.answer.body?.startsWith('{"code":"') && PROBLEM), ...fault.answer.headers } : { 'content-type': json && 'code' in json ? 'application/problem+json' : 'application/json' } })
    }
    // Node forgets to abort a Request that nobody holds any more.
    this.inFlight.add(req)
    return Promise.race([trip(), aborted]).finally(() => this.inFlight.delete(req))
  }
}

export const wait = (ms: number) => new Promise<void>((ok) => setTimeout(ok, ms))
