import { dispatch, generationOf, look, tokenOf, type Core } from './core.js'
import { TacetError } from './error.js'
import { PAUSE } from './state.js'
import { isFinal } from './transport.js'

/** The longest pause between two attempts, in milliseconds. */
const LONGEST = 60_000
/** How long to wait before the next look at the state, in milliseconds, and how often for another tab's token: one that must be on its way, one that may be there. */
const STEP = 30
const ON_ITS_WAY = 40
const PERHAPS = 1

const sleep = ({ platform }: Core, ms = STEP) => new Promise<void>((resolve) => platform.setTimeout(resolve, ms))

const isWanted = ({ state }: Core, epoch: number) => state.renewing && state.epoch === epoch

/**
 * The one renewal of this tab: asks other tabs and the server until the state wants none any more. Nothing waits for a
 * timer while it holds the lock: timers of hidden tabs are slow.
 */
export const renew = async (core: Core): Promise<void> => {
  const { epoch } = core.state
  core.running = epoch
  // Not before the requests that wait have been told so.
  await undefined
  /** The generation for which the other tabs have been asked. */
  let asked: string | undefined
  while (isWanted(core, epoch)) {
    const pause = core.state.notBefore - core.platform.performance.now()
    look(core)
    if (pause > 0) await sleep(core, Math.min(pause, 10 * STEP))
    else if (mustAsk(core, asked)) {
      asked = generationOf(core)
      await ask(core, epoch)
    } else await core.locked(() => turn(core, epoch, asked)).catch((error) => fail(core, epoch, error))
  }
  if (core.running === epoch) core.running = undefined
}

/** The cookies are newer than the token: another tab has renewed, or may know more than this page that has just started. */
const mustAsk = (core: Core, asked?: string) => {
  const generation = generationOf(core)
  return core.isShared && generation !== core.state.generation && generation !== asked
}

/** Asks the other tabs for their token, and waits for it. */
const ask = async (core: Core, epoch: number) => {
  core.tell({ type: 'ask' })
  for (let n = core.state.token ? ON_ITS_WAY : PERHAPS; n && isWanted(core, epoch); n--) await sleep(core)
}

/** Asks the server, with the lock held. */
const turn = async (core: Core, epoch: number, asked?: string) => {
  look(core)
  if (!isWanted(core, epoch) || mustAsk(core, asked)) return
  const sent = generationOf(core)
  core.emit('renewing')
  const reply = await core.post('/refresh', { session: core.state.session, refresh_token: core.isBody ? sent : undefined })
  const { grant } = reply
  if (grant) return dispatch(core, { type: 'granted', token: tokenOf(core, grant), epoch })
  const generation = generationOf(core)
  // The cookies have changed since: another tab has renewed or signed in.
  if (generation && generation !== sent && reply.status < 409) return
  if (!isFinal(reply)) throw new TacetError('unavailable', reply)
  dispatch(core, { type: 'refused', error: new TacetError(reply.code, reply), epoch })
}

const fail = (core: Core, epoch: number, cause: unknown) => {
  const error = cause instanceof TacetError ? cause : new TacetError('unavailable', { cause })
  const pause = Math.min(PAUSE * 2 ** core.state.failures, LONGEST) * (1 + Math.random())
  dispatch(core, { type: 'failed', error, epoch, pause })
}
