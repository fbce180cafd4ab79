import { dispatch, obtain, type Core } from './core.js'
import { TacetError } from './error.js'
import { isCurrent } from './state.js'
import type { Session, TraceEvent } from './types.js'

/**
 * The flow of a request: its token, the wait for one, and one repetition after a 401. The token that the request carried
 * is compared with the present one: a late 401 to an old token does not renew.
 */
export const flow = async <R extends { status?: number }>(
  core: Core,
  { method, url, signal }: Parameters<Session['send']>[0],
  transmit: (token: string | undefined, repeat: 0 | 1) => Promise<R>,
  once?: boolean,
): Promise<R> => {
  const id = ++core.count
  const { epoch } = core.state
  const { origin, pathname } = new URL(url, core.platform.location?.href)
  const step = (type: TraceEvent['type'], detail?: unknown) => core.emit(type, detail, id)
  const checkEpoch = () => {
    if (core.state.epoch !== epoch) throw core.state.over
  }
  step('request', { method, url })
  try {
    for (let repeat: 0 | 1 = 0; ; repeat = 1) {
      const token = core.trusted.has(origin) ? await obtain(core, signal, once, () => step('held')) : undefined
      checkEpoch()
      if (repeat && once) throw new TacetError('not_repeatable')
      step(repeat ? 'repeat' : 'sent')
      const response = await transmit(token?.access_token, repeat)
      const { status } = response
      if (token) {
        const isAccepted = status !== 401
        if (!isAccepted) {
          step('unauthorized')
          checkEpoch()
        }
        dispatch(core, { type: 'response', token, endpoint: origin + pathname, isAccepted, repeated: !!repeat })
        if (!isAccepted && !repeat && (core.state.refused || !isCurrent(core.state, token))) continue
      }
      step('settled', status)
      return response
    }
  } catch (error) {
    step('settled', error)
    throw error
  }
}
