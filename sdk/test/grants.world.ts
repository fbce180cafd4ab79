/** A browser with tabs that hold grants, and a server that tells of them, in one process and under fake timers. */
import { buildSync } from 'esbuild'
import type { createGrants, Grants, GrantsOptions } from '../src/adapters/grants.js'
import type { Session, SessionEvents } from '../src/index.js'
import { ORIGIN } from './world.js'

const { outputFiles } = buildSync({ entryPoints: [process.env.TACET_DIST ? 'dist/adapters/grants.js' : 'src/adapters/grants.ts'], bundle: true, format: 'iife', globalName: 'sdk', target: 'es2022', write: false })
const WINDOW = ['location', 'document', 'navigator', 'localStorage', 'BroadcastChannel', 'addEventListener', 'performance', 'reportError'] as const
const load = new Function(...WINDOW, outputFiles[0]!.text + ';return sdk') as (...w: unknown[]) => { createGrants: typeof createGrants }

export interface Stream {
  headers: Headers
  tab: Tab
  open: boolean
  send: (text: string) => void
  end: () => void
}
export interface Tab {
  grants: Grants
  session: Session
  emit: <K extends keyof SessionEvents>(type: K, e: SessionEvents[K]) => void
  fire: (type: string, more?: object) => void
  hidden: boolean
  token: number
  events: string[]
  /** What subscribers have seen, in order. */
  seen: string[]
  close: () => void
}
export interface TabOptions extends GrantsOptions {
  navigation?: string
}

export class Browser {
  tabs: Tab[] = []
  disk: Record<string, string> = {}
  cookie = 'tacet_csrf=1.a'
  locks = true
  // The server.
  user = 'bob'
  sid = 's1'
  version = 1
  permissions = ['orders:read']
  over = false
  seq = 10
  me: { status: number; etag: string | null; tab: Tab }[] = []
  streams: Stream[] = []
  /** What /events answers instead of a stream, where there is something. */
  blocked: ((tab: Tab) => Promise<Response>) | undefined
  meFault: (() => Response | undefined) | undefined
  private channels: { tab: Tab; hear: (e: { data: unknown }) => void }[] = []
  private queue: { tab: Tab; grant: () => void }[] = []
  private holder: Tab | undefined

  get open() {
    return this.streams.filter((s) => s.open)
  }
  private etag = () => `W/"${this.sid}-${this.version}"`

  /** An administrator changes the grants, and the stream tells. */
  change(permissions: string[], tell = true) {
    this.permissions = permissions
    this.version++
    this.seq++
    if (tell) this.tell('grants.changed', { grants_version: this.version })
  }
  tell(type: string, data: unknown) {
    for (const s of this.open) s.send(`event: ${type}\nid: ${this.seq}\ndata: ${JSON.stringify(data)}\n\n`)
  }

  private async answer(tab: Tab, path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers)
    if (path === '/auth/me') {
      const odd = this.meFault?.()
      if (odd) return odd
      // As the session does it: a token of old grants is renewed silently.
      if (this.over) {
        tab.emit('signedout', { reason: 'invalid_grant' })
        throw new Error('signedout')
      }
      tab.token = this.version
      const etag = headers.get('if-none-match')
      const status = etag === this.etag() ? 304 : 200
      this.me.push({ status, etag, tab })
      const body = { user: { id: this.user, username: this.user }, roles: [], permissions: this.permissions, grants_version: this.version, session: { id: this.sid }, settings: {} }
      return new Response(status === 304 ? null : JSON.stringify(body), { status, headers: { etag: this.etag() } })
    }
    if (this.blocked) return this.blocked(tab)
    let out!: ReadableStreamDefaultController<Uint8Array>
    const body = new ReadableStream<Uint8Array>({ start: (c) => void (out = c) })
    const s: Stream = {
      headers, tab, open: true,
      send: (text) => s.open && out.enqueue(new TextEncoder().encode(text)),
      end: () => {
        if (s.open) out.close()
        s.open = false
      },
    }
    init.signal?.addEventListener('abort', () => {
      if (s.open) out.error(init.signal!.reason)
      s.open = false
    })
    this.streams.push(s)
    s.send(`: events\nretry: 1000\nid: ${this.seq}\n\n`)
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  }

  private next() {
    this.holder = undefined
    const q = this.queue.shift()
    if (q) q.grant()
  }

  open_(options: TabOptions = {}): Tab {
    const targets: Record<string, Set<(e: object) => void>> = {}
    const listeners = new Set<readonly [string, (e: any) => void]>()
    const listen = (type: string, fn: (e: object) => void, opt?: AddEventListenerOptions) => {
      ;(targets[type] ??= new Set()).add(fn)
      opt?.signal?.addEventListener('abort', () => targets[type]!.delete(fn))
    }
    let status: Session['status'] = 'signedin'
    const tab = {
      hidden: false, token: this.version, events: [], seen: [],
      emit: (type: string, e: unknown) => {
        if (type === 'signedout') status = 'signedout'
        if (type === 'signedin') status = 'signedin'
        for (const [t, fn] of [...listeners]) if (t === type) queueMicrotask(() => fn(e))
      },
      fire: (type: string, more = {}) => [...(targets[type] ?? [])].forEach((fn) => fn({ type, ...more })),
      close: () => {
        tab.grants.destroy()
        this.channels = this.channels.filter((c) => c.tab !== tab)
        this.queue = this.queue.filter((q) => q.tab !== tab)
        for (const s of this.open) if (s.tab === tab) s.end()
        if (this.holder === tab) this.next()
      },
    } as unknown as Tab
    tab.session = {
      ready: Promise.resolve(),
      get status() {
        return status
      },
      user: { id: this.user, username: this.user },
      fetch: (url: string, init: RequestInit = {}) => this.answer(tab, new URL(url).pathname, init),
      getAccessToken: async () => `h.${btoa(JSON.stringify({ sid: this.sid, grants_version: tab.token }))}.s`,
      on: (...l: [string, (e: any) => void]) => (listeners.add(l), () => listeners.delete(l)),
    } as unknown as Session
    const browser = this
    class Channel {
      me = { tab, hear: (_: { data: unknown }) => {} }
      constructor() {
        browser.channels.push(this.me)
      }
      addEventListener(_: string, fn: (e: { data: unknown }) => void) {
        this.me.hear = fn
      }
      postMessage(data: unknown) {
        for (const c of browser.channels) if (c !== this.me) setTimeout(() => c.hear({ data: structuredClone(data) }), 1)
      }
      close() {
        this.me.hear = () => {}
      }
    }
    const request = (_: string, { signal }: { signal: AbortSignal }, run: () => Promise<void>) =>
      new Promise<void>((ok, no) => {
        const q = {
          tab,
          grant: () => {
            browser.holder = tab
            run().then(() => {
              if (browser.holder === tab) browser.next()
              ok()
            }, no)
          },
        }
        signal.addEventListener('abort', () => {
          browser.queue = browser.queue.filter((x) => x !== q)
        })
        if (browser.holder) browser.queue.push(q)
        else q.grant()
      })
    const window: Record<(typeof WINDOW)[number], unknown> = {
      location: { href: ORIGIN + '/' },
      document: {
        addEventListener: listen,
        get hidden() {
          return tab.hidden
        },
        get cookie() {
          return browser.cookie
        },
      },
      navigator: this.locks ? { locks: { request } } : {},
      localStorage: Object.assign(Object.create({ removeItem: (k: string) => delete this.disk[k] }), {}),
      BroadcastChannel: Channel,
      addEventListener: listen,
      performance: { now: () => performance.now(), getEntriesByType: () => [{ type: options.navigation ?? 'navigate' }] },
      reportError: () => {},
    }
    window.localStorage = new Proxy(window.localStorage as object, {
      get: (o, k) => (k === 'removeItem' ? Reflect.get(o, k) : this.disk[k as string]),
      set: (_, k, v) => ((this.disk[k as string] = String(v)), true),
    })
    tab.grants = load(...WINDOW.map((k) => window[k])).createGrants(tab.session, {
      onEvent: (e) => tab.events.push(e.type),
      ...options,
    })
    const look = () => tab.seen.push(tab.grants.status === 'signedin' ? tab.grants.permissions.join() : tab.grants.status)
    tab.grants.subscribe(look)
    this.tabs.push(tab)
    return tab
  }
}
