import { fetchWith } from '../adapters/fetch.js'
import { createTabs, type TabMessage, type Tabs } from './channel.js'
import { TacetError } from './error.js'
import { createEvents, type Events } from './events.js'
import { createLock, type Lock } from './lock.js'
import type { Platform } from './platform.js'
import { renew } from './renewal.js'
import { flow } from './requests.js'
import { initial, isCurrent, isNobody, isOver, isUsable, reduce, renewAfter, type Effect, type Message, type Observation, type State, type Token } from './state.js'
import { createStore, type Store } from './storage.js'
import { createPost, csrf, type Grant, type Post } from './transport.js'
import type { RenewedFrom, Session, SessionOptions, User } from './types.js'

/** One tab's session: its state, and what it takes to change it. */
export interface Core extends Store, Tabs, Lock, Events {
  readonly platform: Platform
  /** The address of the session server. */
  readonly base: string
  /** Of the record in storage, the channel and the lock. */
  readonly name: string
  readonly post: Post
  readonly send: Session['send']
  readonly fetch: Session['fetch']
  /** Origins that may see the access token. */
  readonly trusted: ReadonlySet<string>
  /** The refresh token travels in bodies, not in a cookie. */
  readonly isBody: boolean
  /** The record in storage holds the access token. */
  readonly isStored: boolean
  /** Tabs give each other their access token. */
  readonly isShared: boolean
  state: State
  /** Requests so far. */
  count: number
  /** What lets each waiting request go on, or reject. */
  readonly waiting: ((error?: TacetError) => void)[]
  /** The epoch for which the renewal runs. */
  running?: number | undefined
  /** Who is signed in, where known. */
  user?: User | undefined
  /** Settles when it is. */
  identified?: Promise<void>
  /** The last response to `GET /me`, until somebody takes it. */
  me?: Response | undefined
  /** The last sign-out's way to the server: true when it has arrived. */
  delivery?: Promise<boolean> | undefined
}

export const createCore = (platform: Platform, options: SessionOptions): Core => {
  const { baseURL = '/auth', storage, delivery, origins = [], share = true, timeout = 10_000, leeway = 60_000 } = options
  if (!platform.document && delivery !== 'body')
    throw new TacetError('unsupported', { title: "Cookies need a page. In a worker use delivery: 'body'." })
  const base = new URL(baseURL, platform.location?.href).href
  const name = 'tacet:' + base
  const isBody = delivery === 'body'
  const store = createStore(platform, name)
  const stored = store.read()
  const tabs = createTabs(platform, name, (message) => hear(core, message))
  const send: Session['send'] = (...request) => flow(core, ...request)
  const core: Core = {
    ...store,
    ...tabs,
    ...createLock(platform, name, timeout, tabs),
    ...createEvents(platform, options),
    send,
    fetch: fetchWith(send, platform),
    post: createPost(platform, base, timeout, isBody),
    platform,
    base,
    name,
    waiting: [],
    count: 0,
    isBody,
    isStored: storage === 'localStorage',
    isShared: share,
    state: initial(leeway, timeout, stored?.type === 'ended' ? stored : undefined),
    trusted: new Set([new URL(platform.location?.href ?? base).origin, new URL(base).origin, ...origins]),
  }
  tabs.open()
  return core
}

export const generationOf = ({ isBody, read, platform }: Core): string => (isBody ? (read()?.generation ?? '') : csrf(platform.document?.cookie))

export const observe = (core: Core): Observation => {
  const { performance, Date } = core.platform
  return { now: performance.now(), time: Date.now(), generation: generationOf(core) }
}

export const dispatch = (core: Core, message: Message): void => {
  core.state = reduce(core.state, { ...message, ...observe(core) })
  for (const effect of core.state.effects) perform(core, effect)
  if (core.state.renewing && core.running !== core.state.epoch) void renew(core)
}

const perform = (core: Core, [type, detail, isNew]: Effect) => {
  if (type === 'settle') return core.waiting.splice(0).forEach((settle) => settle(detail))
  if (type !== 'deliver') core.emit(type, detail)
  if (type === 'renewed') adopted(core, detail.from, isNew)
  if (type === 'deliver') {
    core.write(detail)
    core.tell({ type: 'ended', session: detail.session })
    core.delivery = deliver(core)
  }
}

/**
 * Waits for a token: none if nobody is signed in. Rejects when patience runs out, unless the request can be repeated
 * (it is not `once`) and the old token is not known to be bad.
 */
export const obtain = async (core: Core, signal?: AbortSignal | null, once?: boolean, held?: () => void): Promise<Token | undefined> => {
  const now = observe(core)
  if (core.state.destroyed) throw core.state.over
  if (!isNobody(core.state, now) && !isUsable(core.state, now)) {
    const turn = wait(core, signal)
    held?.()
    dispatch(core, { type: 'need' })
    await turn.catch((error) => {
      if (once || signal?.aborted || !isUsable(core.state, observe(core), true)) throw error
    })
  }
  return core.state.token
}

/** Waits for the renewal. Rejects with the reason of `signal` as soon as it aborts: the renewal, which is shared, goes on. */
const wait = ({ waiting }: Core, signal?: AbortSignal | null) =>
  new Promise<void>((resolve, reject) => {
    signal?.throwIfAborted()
    signal?.addEventListener('abort', () => reject(signal.reason))
    waiting.push((error) => (error ? reject(error) : resolve()))
  })

/** A token of what the server has granted. A slow duplicate is granted no new refresh token: the one that is there stays. */
export const tokenOf = (core: Core, { refresh_token, session, ...grant }: Grant): Token => ({
  ...grant,
  received: core.platform.Date.now(),
  session: session.id,
  generation: (core.isBody && refresh_token) || generationOf(core),
})

/** What a new token asks for: to be stored and told, and to be renewed ahead of its expiry if it has been used and somebody looks. */
const adopted = (core: Core, from: RenewedFrom, isNew?: boolean) => {
  const { platform, isBody, state } = core
  const { generation } = state
  if (isNew) core.user = state.token?.user
  const token = state.token && { ...state.token, user: core.user }
  if (!token) return
  platform.setTimeout(() => isCurrent(core.state, token) && core.state.used && wake(core), renewAfter(state, token) + 50)
  if (from === 'network' && core.isShared) core.tell({ type: 'token', token })
  if (from === 'network' || (isBody && !(core.read() && core.isDurable())))
    core.write(core.isStored ? { type: 'token', generation, token } : isBody ? { type: 'refresh', generation } : undefined)
  if (isNew) core.identified = identify(core, token)
}

/** Learns who is signed in: comes with the token of a sign-in, else from `GET /me`. */
const identify = async (core: Core, { session, user }: Token) => {
  const me = async () => {
    core.me = await core.fetch(core.base + '/me')
    return (await core.me.clone().json()).user
  }
  const known = user ?? (await me().catch(() => {}))
  // After the caller has had a chance to listen.
  await undefined
  if (core.state.session === session) core.emit('signedin', (core.user = known))
}

export const wake = (core: Core, more?: { online: boolean; restored: boolean | undefined }): void =>
  dispatch(core, { type: 'wake', hidden: !!core.platform.document?.hidden, ...more })

/** Takes what another tab says. */
const hear = (core: Core, message: TabMessage) => {
  const { state, isShared } = core
  if (message.type === 'token') offer(core, message.token, 'tab')
  if (message.type === 'ask' && isShared && state.token && isUsable(state, observe(core))) core.tell({ type: 'token', token: state.token })
  if (message.type === 'claim') core.rival(message.claim)
  if (message.type === 'ended') dispatch(core, message)
}

/** Another tab's token is the newest if its generation is the present one, or if it brings a refresh token that tabs cannot store together. */
const offer = (core: Core, token: Token, from: RenewedFrom) => {
  const generation = generationOf(core)
  dispatch(core, { type: 'offered', token, from, isNewest: generation === token.generation || (core.isBody && !(generation && core.isDurable())) })
}

/** Takes note of what other tabs have stored. */
export const look = (core: Core): void => {
  const record = core.read()
  if (record?.type === 'token') offer(core, record.token, 'storage')
  if (record?.type !== 'ended') return
  void deliver(core)
  dispatch(core, { ...record, had: record.generation })
}

/** Delivers a sign-out that the server has not confirmed: true when there is none left. */
export const deliver = async (core: Core): Promise<boolean> => {
  const send = async () => {
    const record = core.read()
    // If the cookie is another session's by now, that one must not be ended in this one's place.
    if (record?.type !== 'ended' || !isOver(generationOf(core), record.generation)) return true
    const { everywhere, generation } = record
    const { status } = await core.post('/logout', { everywhere, refresh_token: core.isBody ? generation : undefined })
    if (status === 204) core.write()
    return status === 204
  }
  return core.locked(send).catch(() => false)
}
