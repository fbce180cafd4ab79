// The state machine, by all of its short lives: every sequence of messages in a small world (two sessions, a renewal
// that may be in flight or late, other tabs, an API that accepts and refuses), and what must hold after each.
import { expect, test } from 'vitest'
import { TacetError } from '../src/core/error.js'
import { initial, isNobody, isUsable, PATIENCE, PAUSE, reduce, statusOf, type Message, type Observation, type State, type Token } from '../src/core/state.js'

const DEPTH = Number(process.env.TACET_DEPTH ?? 5)

/** A state, and what the test knows beside it. */
interface Life {
  state: State
  now: number
  /** The readable cookie. */
  cookie: string
  /** A renewal was begun in these epochs, and nobody has heard of it since. */
  inFlight: number[]
  /** A request waits. */
  waiting: boolean
  /** Sessions that this tab knows to be over. */
  over: string[]
  /** Sign-outs before the sign-in that is under way. */
  signingIn: number | undefined
  path: string[]
  /** How many sequences of messages lead here. */
  ways: number
}

const later = (generation: string) => generation.replace(/^\d+/, (n) => String(+n + 1))
const token = (session: string, generation: string, time: number): Token =>
  ({ access_token: `at-${generation}-${session}`, expires_in: 900, received: time, session, generation })
const network = new TacetError('network')
const busy = new TacetError('unavailable', { status: 503, retryAfter: 30_000 })
const refused = new TacetError('invalid_grant', { status: 400 })
const mismatch = new TacetError('other_session', { status: 409 })

interface Step {
  name: string
  message: Message
  cookie?: string
  passed?: number
  done?: number
  signingIn?: number | undefined
}

/** Everything that can happen next. */
const steps = ({ state, cookie, inFlight, signingIn, over, now }: Life): Step[] => {
  /** Who signs in next, in another tab: sessions do not begin twice. */
  const other = ['b', 'd', 'e', 'f', 'g', 'h'].find((s) => !cookie.endsWith(s) && !over.includes(s) && s !== state.session) ?? 'z'
  /** Whose the cookies are. */
  const mine = cookie.split('.')[1] ?? other
  const next = cookie ? later(cookie) : `1.${other}`
  const seen: Observation = { now, time: now, generation: cookie }
  const all: Step[] = [
    // The caller's duty: only who cannot be served waits.
    ...(isNobody(state, seen) || isUsable(state, seen) ? [] : [{ name: 'need', message: { type: 'need' } } as Step]),
    { name: 'wake', message: { type: 'wake', hidden: false } },
    { name: 'restored', message: { type: 'wake', restored: true, hidden: false } },
    { name: 'restored as b', message: { type: 'wake', restored: true, hidden: true }, cookie: `1.${other}` },
    { name: 'restored without cookies', message: { type: 'wake', restored: true, hidden: false }, cookie: '' },
    { name: 'signout', message: { type: 'signout', everywhere: false } },
    { name: 'another tab ended it', message: { type: 'ended', session: mine } },
    { name: 'another tab ended another', message: { type: 'ended', session: 'x' } },
    { name: 'another tab renewed', message: { type: 'offered', token: token(mine, next, now), from: 'tab', isNewest: true }, cookie: next },
    { name: 'another tab is behind', message: { type: 'offered', token: token(mine, 'old', now), from: 'tab', isNewest: false } },
    { name: `${other} signed in in another tab`, message: { type: 'offered', token: token(other, `1.${other}`, now), from: 'tab', isNewest: true }, cookie: `1.${other}` },
    { name: 'destroy', message: { type: 'destroy' } },
  ]
  for (const session of over)
    all.push({ name: `late word of ${session}`, message: { type: 'offered', token: token(session, cookie, now), from: 'tab', isNewest: cookie.endsWith('.' + session) } })
  for (const epoch of inFlight)
    all.push(
      { name: `granted ${epoch}`, message: { type: 'granted', token: token(mine, next, now), epoch }, cookie: next, done: epoch },
      { name: `refused ${epoch}`, message: { type: 'refused', error: refused, epoch }, done: epoch },
      { name: `mismatch ${epoch}`, message: { type: 'refused', error: mismatch, epoch }, cookie: `1.${other}`, done: epoch },
      { name: `failed ${epoch}`, message: { type: 'failed', error: network, pause: 1000, epoch }, passed: 3000 },
      { name: `busy ${epoch}`, message: { type: 'failed', error: busy, pause: 1000, epoch } },
    )
  if (signingIn === undefined) all.push({ name: 'signing in', message: { type: 'wake', hidden: true }, signingIn: state.signOuts })
  else all.push({ name: 'signed in', message: { type: 'signedin', token: token(`c${state.epoch}`, `1.c${state.epoch}`, now), signOuts: signingIn }, cookie: `1.c${state.epoch}`, signingIn: undefined })
  if (state.token)
    for (const [name, isAccepted, repeated] of [['401', false, false], ['401 again', false, true], ['200', true, false]] as const)
      all.push({ name, message: { type: 'response', token: state.token, endpoint: '/x', isAccepted, repeated }, passed: 500 })
  return all
}

const freeze = <T>(x: T): T => {
  if (x && typeof x === 'object' && !(x instanceof Error)) Object.values(Object.freeze(x)).forEach(freeze)
  return x
}

/** What a step makes of a life. Throws where something does not hold. */
const live = (life: Life, { name, message, cookie = life.cookie, passed = 0, done, ...more }: Step): Life => {
  const now = life.now + passed
  const seen: Observation = { now, time: now, generation: cookie }
  const before = freeze(life.state)
  const state = reduce(before, freeze({ ...message, ...seen }))
  const path = [...life.path, name]
  const holds = (what: string, fact: boolean) => {
    if (!fact) throw new Error(`${what}: ${path.join(', ')}\n${JSON.stringify(state)}`)
  }
  const { effects } = state
  const settled = effects.filter(([type]) => type === 'settle')
  const ends = effects.filter(([type]) => type === 'signedout')
  let { waiting } = life
  if (message.type === 'need') waiting = true

  const isLate = 'epoch' in message && message.epoch !== before.epoch
  if (isLate || before.destroyed) holds('what comes too late changes nothing', JSON.stringify({ ...state, effects: 0 }) === JSON.stringify({ ...before, effects: 0 }) && !effects.length)

  holds('a request settles once', settled.length <= +waiting)
  if (settled.length) waiting = false
  if (!before.destroyed) holds('a request that waits is waited for', waiting === (state.deadline !== undefined))
  if (waiting && !before.destroyed) holds('while a request waits, a renewal runs', state.renewing === true)
  if (state.deadline !== undefined) holds('no request is held for longer than it said', state.deadline <= now + PATIENCE)

  if (ends.length) {
    holds('one signedout', ends.length === 1 && (before.renewing === true || !isNobody(before, { ...seen, generation: life.cookie })))
    holds('after signedout nobody is signed in', isNobody(state, seen) && statusOf(state, seen) === 'signedout' && !state.renewing)
  }
  if (message.type === 'signout') holds('sign-out is at once', !state.token && statusOf(state, seen) === 'signedout')
  const isChanged = state.token !== before.token && state.token
  if (isChanged) {
    holds('a new token is told', effects.some(([type]) => type === 'renewed'))
    holds('a session that is over does not come back', !life.over.includes(isChanged.session) || message.type === 'granted' || message.type === 'signedin')
    if (before.session && before.session !== isChanged.session)
      holds('no request goes out as somebody else', settled.every(([, error]) => error) && state.epoch > before.epoch)
  }
  if (state.epoch !== before.epoch) holds('with a session end its requests', !waiting || state.deadline === undefined || message.type === 'need')
  if (state.refused) holds('a refused token is not used', !isUsable(state, seen, true))

  // Cookies that are gone may come back, and their session with them.
  const over = ends.length && before.session && message.type !== 'wake' ? [...new Set([...life.over, before.session])] : life.over
  let inFlight = life.inFlight.filter((e) => e !== done || message.type === 'failed')
  if (state.renewing && !inFlight.includes(state.epoch)) inFlight = [...inFlight, state.epoch]
  if (!state.renewing && message.type === 'failed') inFlight = inFlight.filter((e) => e !== message.epoch)
  holds('one renewal at a time', inFlight.filter((e) => e === state.epoch).length <= 1)
  return { state, now, cookie, inFlight, waiting, over, signingIn: 'signingIn' in more ? more.signingIn : life.signingIn, path, ways: life.ways }
}

/** A life in which a request waits ends with it settled, if only the server stays away for long enough. */
const settles = (life: Life) => {
  let { state, now } = life
  for (let i = 0; state.deadline !== undefined && i < 20; i++) {
    now = Math.max(now + 10, state.notBefore)
    state = reduce(state, { type: 'failed', error: network, pause: 1000, epoch: state.epoch, now, time: now, generation: life.cookie })
  }
  return state.deadline === undefined
}

const key = ({ path: _path, ways: _ways, state, now, ...rest }: Life) =>
  JSON.stringify([{ ...state, effects: 0, over: state.over.code, failure: state.failure?.code }, rest, now])

test(`every life of ${DEPTH} messages`, { timeout: 600_000 }, () => {
  const start = (cookie: string): Life => ({ state: initial(60_000, 10_000), now: 1000, cookie, inFlight: [], waiting: false, over: [], signingIn: undefined, path: [cookie], ways: 1 })
  let lives = ['', '1.a'].map(start)
  let n = 0
  const reached = new Set<string>()
  for (let depth = 0; depth < DEPTH; depth++) {
    const next = new Map<string, Life>()
    for (const life of lives)
      for (const step of steps(life)) {
        n++
        const then = live(life, step)
        if (!settles(then)) throw new Error(`a request is held for ever: ${then.path.join(', ')}`)
        reached.add(statusOf(then.state, { now: then.now, time: then.now, generation: then.cookie }))
        const id = key(then)
        then.ways += next.get(id)?.ways ?? 0
        next.set(id, then)
      }
    lives = [...next.values()]
  }
  if (process.env.TACET_DEPTH) console.log(`${lives.reduce((sum, { ways }) => sum + ways, 0)} sequences, ${n} messages, ${lives.length} states that differ at the end`)
  // The world is not empty.
  expect(n).toBeGreaterThan(20_000)
  expect([...reached].sort()).toEqual(['loading', 'offline', 'signedin', 'signedout'])
})

test('patience: five seconds, with a last attempt at their end', () => {
  const at = (now: number): Observation => ({ now, time: now, generation: '1.a' })
  let state = reduce(initial(60_000, 10_000), { type: 'need', ...at(0) })
  let now = 0
  const attempts: number[] = []
  while (state.deadline !== undefined) {
    attempts.push(now)
    state = reduce(state, { type: 'failed', error: network, pause: 800 * 2 ** attempts.length, epoch: 0, ...at(now) })
    now = state.notBefore
  }
  expect(attempts.at(-1)).toBeGreaterThanOrEqual(PATIENCE)
  expect(attempts.at(-1)).toBeLessThanOrEqual(PATIENCE + PAUSE)
  // It goes on in the background, since nobody knows who is signed in.
  expect([state.renewing, statusOf(state, at(now))]).toEqual([true, 'offline'])
})

test('the server says when: a request that would have to wait for longer rejects at once', () => {
  const at = (now: number): Observation => ({ now, time: now, generation: '1.a' })
  let state = reduce(initial(60_000, 10_000), { type: 'need', ...at(0) })
  state = reduce(state, { type: 'failed', error: busy, pause: 1, epoch: 0, ...at(10) })
  expect(state.effects.filter(([type]) => type === 'settle')).toEqual([['settle', busy]])
  state = reduce(state, { type: 'need', ...at(20) })
  expect([state.effects, state.notBefore]).toEqual([[['settle', busy]], 30_010])
})
