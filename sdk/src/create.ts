import { fetchWith } from './adapters/fetch.js'
import { createCore } from './core/session.js'
import type { Env } from './core/env.js'
import type { Session, SessionOptions } from './core/types.js'

/** A session in the given window: what tests of several tabs call. @internal */
export const createIn = (options: SessionOptions, env: Env): Session => {
  const core = createCore(options, env)
  return Object.defineProperty(core, 'fetch', { value: fetchWith(options, env, core.send) }) as Session
}
