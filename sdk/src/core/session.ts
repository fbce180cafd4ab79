import { createCore, deliver, dispatch, look, obtain, observe, tokenOf, wake, type Core } from './core.js'
import { TacetError } from './error.js'
import type { LifecycleEvent, Platform } from './platform.js'
import { statusOf } from './state.js'
import type { Session, SessionOptions, User } from './types.js'

const EVENTS = ['pageshow', 'pagehide', 'visibilitychange', 'online', 'storage']

/** A session on this platform. */
export const createSessionOn = (platform: Platform, options: SessionOptions = {}): Session => {
  const core = createCore(platform, options)
  const life = new AbortController()
  for (const type of EVENTS) platform.addEventListener?.(type, (event) => live(core, event), life)
  look(core)
  return {
    fetch: core.fetch,
    send: core.send,
    on: core.on,
    // Patience may run out: the renewal goes on.
    ready: obtain(core)
      .catch(() => {})
      .then(() => core.identified),
    me: () => takeMe(core),
    getAccessToken: async () => (await obtain(core))?.access_token,
    renew: ({ force } = {}) => renewNow(core, force),
    signIn: (credentials) => signIn(core, { ...credentials, delivery: options.delivery }),
    signOut: ({ everywhere } = {}) => signOut(core, everywhere),
    get user() {
      return core.state.token && core.user
    },
    get status() {
      return statusOf(core.state, observe(core))
    },
    destroy: () => {
      life.abort()
      dispatch(core, { type: 'destroy' })
      core.close()
    },
  }
}

/** What the page's life means for the session. */
const live = (core: Core, { type, key, persisted }: LifecycleEvent) => {
  // Other keys are other people's.
  if (key && key !== core.name) return
  if (type === 'pagehide') return core.close()
  if (type === 'pageshow') core.open()
  look(core)
  wake(core, { online: type === 'online', restored: persisted })
}

const takeMe = (core: Core) => {
  const { me } = core
  core.me = undefined
  return me
}

const renewNow = async (core: Core, force?: boolean) => {
  const { token } = core.state
  // As if an API had refused it.
  if (force && token) dispatch(core, { type: 'response', token, endpoint: '', isAccepted: false, repeated: false })
  if (!(await obtain(core))) throw core.state.over
}

const signOut = async (core: Core, everywhere?: boolean) => {
  core.delivery = undefined
  dispatch(core, { type: 'signout', everywhere })
  return !core.state.destroyed && (core.delivery ?? deliver(core))
}

/** Signs in. A renewal that ends meanwhile, either way, concerns the old session. */
const signIn = async (core: Core, body: object): Promise<User> => {
  const { signOuts } = core.state
  if (core.state.destroyed) throw core.state.over
  const reply = await core.locked(() => core.post('/login', body))
  if (!reply.grant?.user) throw new TacetError(reply.code ?? 'unavailable', reply)
  const token = tokenOf(core, reply.grant)
  dispatch(core, { type: 'signedin', token, signOuts })
  // Signed out meanwhile, or destroyed.
  if (core.state.session !== token.session) throw core.state.over
  return reply.grant.user
}
