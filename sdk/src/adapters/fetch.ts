import { TacetError } from '../core/error.js'
import type { Platform } from '../core/platform.js'
import type { Session } from '../core/types.js'

/** Whether streams can be sent. Where they cannot, the platform sends the text `[object ReadableStream]` in their place. */
const canStream = () => {
  let isAsked = false
  const init = {
    method: 'POST',
    body: new ReadableStream(),
    get duplex() {
      isAsked = true
      return 'half'
    },
  }
  return !new Request('https://tacet.invalid', init).headers.has('content-type') && isAsked
}

/** Refuses a stream that this platform would not send. @internal */
export const isStream = (body: unknown): boolean => {
  const isOne = typeof ReadableStream !== 'undefined' && body instanceof ReadableStream
  if (isOne && !canStream()) throw new TacetError('unsupported_body', { title: 'This browser cannot send a stream. Nothing was sent.' })
  return isOne
}

/** `fetch` around a session's flow. @internal */
export const fetchWith =
  (send: Session['send'], platform: Pick<Platform, 'fetch'> = globalThis): Session['fetch'] =>
  async (input, init) => {
    const once = isStream(init?.body)
    // A Request keeps the bytes of its body, and the boundary of a form, whatever the caller does
    // with the originals while it waits.
    const request = new Request(input, once ? ({ duplex: 'half', ...init } as RequestInit) : init)
    if (init?.tacet === false || request.headers.get('authorization')) return platform.fetch(request)
    return send<Response>(
      request,
      (token, repeat) => {
        const attempt = repeat || once ? request : request.clone()
        if (token) attempt.headers.set('authorization', 'Bearer ' + token)
        return platform.fetch(attempt)
      },
      once,
    )
  }
