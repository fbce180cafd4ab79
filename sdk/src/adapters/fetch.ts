import type { Session } from '../core/types.js'

/** `fetch` around a session's flow. @internal */
export const fetchWith =
  (send: Session['send']): Session['fetch'] =>
  async (input, init) => {
    // A Request keeps the bytes of its body, and the boundary of a form, whatever the caller does
    // with the originals while it waits.
    const request = new Request(input, init)
    // The platform demands `duplex` for a stream, and for nothing else.
    const once = !!(init as { duplex?: string } | undefined)?.duplex
    return init?.tacet === false || request.headers.get('authorization')
      ? fetch(request)
      : send<Response>(
          request,
          (token, repeat) => {
            const r = repeat || once ? request : request.clone()
            if (token) r.headers.set('authorization', 'Bearer ' + token)
            return fetch(r)
          },
          once,
        )
  }
