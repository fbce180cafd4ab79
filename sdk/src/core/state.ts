import { TacetError } from './error.js'
import type { Ended } from './storage.js'
import type { RenewedFrom, Status, User } from './types.js'

/** An access token, and what it belongs to. */
export interface Token {
  access_token: string
  /** Seconds from the receipt. */
  expires_in: number
  /** The receipt, by the wall clock of this device in milliseconds. */
  received: number
  /** Id of the session. */
  session: string
  /**
   * What came with it and changes with each renewal: the value of the readable cookie, or under body delivery the
   * refresh token. The newest token is the one whose generation is the present one.
   */
  generation: string
  user?: User | undefined
}

/** What one tab knows of the session. `reduce` makes a new one for each message. */
export interface State {
  /** Milliseconds: a token is renewed so long before its expiry, at most a fifth of its lifetime. */
  leeway: number
  /** Milliseconds for which an endpoint that refused a fresh token does not renew again. */
  timeout: number
  token?: Token | undefined
  /** Id of the session that this page is in, also while it has no token. */
  session?: string | undefined
  /** The generation of `token`, or of the session that is over: another one means that another tab knows more. */
  generation: string
  /** An API has refused `token`. */
  refused?: boolean
  /** An API has accepted `token`: its successor is fetched ahead of time. */
  used?: boolean
  /** Until when a 401 does not renew; 0 unless `token` was renewed and no API has accepted it yet. */
  doubtUntil: number
  /** Endpoints that refused a token which had been renewed for them, and until when their 401 does not renew. */
  futile: { [endpoint: string]: number }
  /** Counts beginnings and ends of sessions: what began in an earlier epoch belongs to nobody. */
  epoch: number
  /** Why the last epoch ended. */
  over: TacetError
  /** Counts sign-outs in this tab: a sign-in that began before one is undone. */
  signOuts: number
  /** A renewal runs, or waits for its next attempt. */
  renewing?: boolean
  /** Requests wait for it, but not beyond this, by the clock of `now`. */
  deadline?: number | undefined
  /** Failures in a row. */
  failures: number
  failure?: TacetError
  /** When the next attempt is due, by the clock of `now`. */
  notBefore: number
  destroyed?: boolean
  /** What is to be done after the message. */
  effects: Effect[]
}

/** What is true when a message comes. */
export interface Observation {
  /** Milliseconds, never set back. */
  now: number
  /** Milliseconds of the wall clock. */
  time: number
  /** The present generation: what the readable cookie or the stored refresh token says. Empty: there is nothing to renew. */
  generation: string
}

/** What happens to a session. Of a renewal's outcome, `epoch` says to which it belongs. */
export type Message =
  /** A request waits for a token. */
  | { type: 'need' }
  /** Time has passed, or something happened to the page; `restored`: it came back from the back/forward cache. */
  | { type: 'wake'; online?: boolean; restored?: boolean | undefined; hidden: boolean }
  /** The server has granted a token: to a renewal, or to a sign-in that began after so many sign-outs. */
  | { type: 'granted'; token: Token; epoch: number }
  | { type: 'signedin'; token: Token; signOuts: number }
  /** Another tab has a token. `isNewest`: it is of the present generation. */
  | { type: 'offered'; token: Token; from: RenewedFrom; isNewest: boolean }
  /** The server says that the session is over, or that the cookies are another session's. */
  | { type: 'refused'; error: TacetError; epoch: number }
  /** A renewal failed for now. Without word from the server, the next attempt is due in `pause` milliseconds. */
  | { type: 'failed'; error: TacetError; pause: number; epoch: number }
  /** Another tab says that a session is over, and what its last generation was. */
  | { type: 'ended'; session: string | undefined; had?: string }
  | { type: 'signout'; everywhere: boolean | undefined }
  /** An API has responded to this token; `repeated`: which was renewed because of its first 401. */
  | { type: 'response'; token: Token; endpoint: string; isAccepted: boolean; repeated: boolean }
  | { type: 'destroy' }

export type Effect =
  /** The requests that wait go on, or reject. */
  | ['settle', (TacetError | undefined)?]
  | ['signedout', { reason: string }]
  | ['failed', TacetError]
  /** There is a new token; `isNew`: of a new session. */
  | ['renewed', { from: RenewedFrom }, boolean]
  /** Remember the end of a session until the server knows it, and tell everybody. */
  | ['deliver', Ended]

/** What a message makes of a state: changes `s`, which is a copy. */
type Apply<T extends Message['type']> = (s: State, m: Observation & Extract<Message, { type: T }>) => void

/** How long requests are held, in milliseconds. */
export const PATIENCE = 5000
/** The shortest pause between two attempts, and the longest while requests wait, in milliseconds. */
export const PAUSE = 400
const LONG = 2500
/** A renewed token that no API has accepted yet is not renewed again on a 401, in milliseconds. */
const DOUBT = 400
/** `doubtUntil` when the only response so far has been a 401: it is past, and says so. */
const REJECTED = 1

export const initial = (leeway: number, timeout: number, ended?: Ended): State => ({
  leeway,
  timeout,
  generation: ended?.generation ?? '',
  doubtUntil: 0,
  futile: {},
  epoch: 0,
  over: new TacetError('signedout'),
  signOuts: 0,
  failures: 0,
  notBefore: 0,
  effects: [],
})

/** Milliseconds after its receipt at which a token in use is renewed. */
export const renewAfter = ({ leeway }: State, { expires_in }: Token): number => expires_in * 1000 - Math.min(leeway, expires_in * 200)

/**
 * There is a token that can be used, for some time (`late`: or for a moment). By the wall clock, which goes on while the
 * device sleeps; where it was set in between, either way, the token is rather old than young.
 */
export const isUsable = (s: State, { time }: Observation, late?: boolean): boolean =>
  !!s.token && !s.refused && Math.abs(time - s.token.received) < (late ? s.token.expires_in * 1000 : renewAfter(s, s.token))

export const isCurrent = (s: State, token: Token): boolean => s.token?.access_token === token.access_token

/** The cookies are still those of the session that ended with `last`, though a late renewal, which counts on, may have landed. */
export const isOver = (generation: string, last: string): boolean => generation === last || parseInt(generation) > parseInt(last)

/** There is nothing in this browser that could be renewed. */
export const isNobody = (s: State, { generation }: { generation: string }): boolean => !s.token && (!generation || isOver(generation, s.generation))

export const statusOf = (s: State, now: Observation): Status =>
  s.token ? 'signedin'
  : s.destroyed || isNobody(s, now) ? 'signedout'
  : s.failures ? 'offline'
  : 'loading'

const settle = (s: State, error?: TacetError) => {
  if (s.deadline) s.effects.push(['settle', error])
  s.deadline = undefined
}

/** Ends everything that belongs to the present epoch. */
const cut = (s: State, over = new TacetError('signedout')) => {
  settle(s, over)
  s.over = over
  s.epoch++
  s.token = s.session = undefined
  s.renewing = s.refused = false
  s.failures = s.notBefore = 0
}

/** The session is over, as far as this tab is concerned. */
const end = (s: State, { generation }: Observation, reason: string, over?: TacetError) => {
  cut(s, over)
  s.generation = generation
  s.effects.push(['signedout', { reason }])
}

/** The session is over, and this tab is the one that says so. */
const endForAll = (s: State, m: Observation, reason: string, everywhere?: boolean) => {
  const { session } = s
  end(s, m, reason)
  s.effects.push(['deliver', { type: 'ended', generation: m.generation, session, everywhere }])
}

/** Uses a token. */
const adopt = (s: State, m: Observation, token: Token, from: RenewedFrom) => {
  const { session, generation } = token
  const isSame = s.session === session
  // Somebody else's session: what waited for the old one must not be sent in its name.
  if (s.session && !isSame) cut(s)
  // The second one in a row that only meets refusals: the tokens are not the reason.
  s.doubtUntil = isSame ? m.now + (from === 'network' && s.doubtUntil === REJECTED ? s.timeout : DOUBT) : 0
  s.effects.push(['renewed', { from }, !isSame || !s.token])
  Object.assign(s, { token, session, generation, refused: false, used: false, failures: 0, notBefore: 0 })
  if (!isUsable(s, m, true)) return
  s.renewing = false
  settle(s)
}

/** A request waits. */
const need: Apply<'need'> = (s, { now }) => {
  s.deadline ??= now + PATIENCE
  s.renewing = true
  // The server said when: that may be too late.
  if (!s.failure?.retryAfter) s.notBefore = Math.min(s.notBefore, now + LONG)
  else if (s.notBefore > s.deadline) settle(s, s.failure)
}

const failed: Apply<'failed'> = (s, { now, error, pause }) => {
  const left = (s.deadline ?? Infinity) - now
  s.failures++
  s.failure = error
  // Those who wait are given up after an attempt at the end of their patience.
  s.notBefore = now + (error.retryAfter ?? Math.min(pause, Math.max(PAUSE, left)))
  s.effects.push(['failed', error])
  if ((error.retryAfter ?? 0) >= left) settle(s, error)
  // Without a token, nobody knows who is signed in: that goes on also when nobody waits.
  s.renewing = !s.token || !!s.deadline
}

/** A sign-out since it began goes for what has just begun, too. */
const signedIn: Apply<'signedin'> = (s, m) => {
  const { generation, session } = m.token
  if (m.signOuts === s.signOuts) {
    cut(s)
    return adopt(s, m, m.token, 'network')
  }
  if (!s.session) s.generation = generation
  s.effects.push(['deliver', { type: 'ended', generation, session, everywhere: false }])
}

/** What a response of an API says about the token. */
const response: Apply<'response'> = (s, m) => {
  if (!isCurrent(s, m.token)) return
  const until = Math.max(s.doubtUntil, s.futile[m.endpoint] ?? 0)
  if (m.isAccepted) {
    s.used = true
    s.doubtUntil = 0
  } else if (m.repeated) {
    s.futile = { ...s.futile, [m.endpoint]: m.now + s.timeout }
    // It says nothing of other endpoints; but no API has accepted the token yet.
    if (s.doubtUntil) s.doubtUntil = REJECTED
  } else s.refused = m.now > until
}

const wake: Apply<'wake'> = (s, m) => {
  const isChanged = m.generation !== s.generation
  if (m.online) s.notBefore = 0
  if (m.restored && s.session && !m.generation) return end(s, m, 'tab')
  if (m.restored && s.session && isChanged) {
    // Whose the new cookies are is not known: nobody must be shown in the meantime.
    s.token = undefined
    s.generation = ''
  }
  if (!m.hidden && !isNobody(s, m) && (isChanged || !isUsable(s, m))) s.renewing = true
}

const handlers: { [T in Message['type']]: Apply<T> } = {
  need,
  wake,
  failed,
  response,
  signedin: signedIn,
  granted: (s, m) => adopt(s, m, m.token, 'network'),
  // Not that of a session that is over here.
  offered: (s, m) => isNobody(s, m.token) || isCurrent(s, m.token) || !m.isNewest || adopt(s, m, m.token, m.from),
  refused: (s, m) => (m.error.code === 'other_session' ? end(s, m, m.error.code, m.error) : endForAll(s, m, m.error.code)),
  ended: (s, m) => isNobody(s, m) || (m.had !== m.generation && m.session !== s.session) || end(s, m, 'tab'),
  signout: (s, m) => {
    s.signOuts++
    if (!isNobody(s, m)) endForAll(s, m, 'signedout', m.everywhere)
  },
  destroy: (s) => {
    cut(s, new TacetError('unavailable'))
    s.destroyed = true
  },
}

/**
 * The session of one tab: what a message makes of it, and, in `effects`, what is to be done then. Nothing here waits,
 * or reads a clock or a cookie: the same message in the same state always does the same.
 */
export const reduce = <T extends Message['type']>(state: State, m: Observation & Extract<Message, { type: T }> & { epoch?: number }): State => {
  const s: State = { ...state, effects: [] }
  // The outcome of an earlier epoch comes too late.
  if (!s.destroyed && (m.epoch ?? s.epoch) === s.epoch) handlers[m.type](s, m)
  return s
}
