import type { Env } from '../core/env.js'
import type { Session, SessionOptions } from '../core/types.js'

/** `fetch` around a session's flow. @internal */
export const fetchWith =
  (o: SessionOptions, env: Env, send: Session['send']): Session['fetch'] =>
  async (input, init) => {
    const raw: typeof fetch = (i, n) => (o.fetch ?? env.fetch)(i, n)
    // A Request keeps the bytes of its body, and the boundary of a form, whatever the caller does
    // with the originals while it waits.
    const request = new Request(input, init)
    return send<Response>({
      url: new URL(request.url),
      method: request.method,
      signal: request.signal,
      once: !!(init as { duplex?: string } | undefined)?.duplex,
      tacet: request.headers.has('authorization') ? false : init?.tacet,
      send: (token, repeat) => {
        if (!token) return raw(request)
        const copy = repeat || (init as { duplex?: string } | undefined)?.duplex ? request : request.clone()
        copy.headers.set('authorization', 'Bearer ' + token)
        return raw(copy)
      },
      status: (r) => r.status,
      discard: (r) => void r.body?.cancel().catch(() => {}),
    })
  }
