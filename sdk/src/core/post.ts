import { TacetError } from './error.js'
import { race } from './env.js'

/** An answer of the session server, whatever its status. @internal */
export interface Answer {
  status: number
  /** Parsed JSON, or `{}`. */
  data: any
  /** It is a page, not an answer: from a captive portal or a proxy on the way. */
  page: boolean
  /** Milliseconds from `Retry-After`, or NaN. */
  retryAfter: number
}

/**
 * One POST to the session server. Rejects with `network` or `timeout`, never because of a status.
 *
 * `keepalive` decides whether the rotated cookie lands when the tab closes in the middle.
 *
 * @internal
 */
export const post = async (
  send: typeof fetch,
  url: string,
  body: unknown,
  csrf: string,
  credentials: RequestCredentials,
  timeout: number,
  stop: AbortController,
): Promise<Answer> => {
  let late
  const timer = setTimeout(() => {
    late = true
    stop.abort()
  }, timeout)
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (csrf) headers['x-xsrf-token'] = csrf
  try {
    return await race(
      (async () => {
        const res = await send(url, {
          method: 'POST',
          headers,
          body: JSON.stringify(body),
          credentials,
          keepalive: true,
          signal: stop.signal,
        })
        const after = res.headers.get('retry-after')
        const text = await res.text()
        let data
        try {
          data = JSON.parse(text)
        } catch {
          // Empty or not JSON.
        }
        return {
          status: res.status,
          data: data ?? {},
          page: /^\s*</.test(text),
          // A date is compared with the server's own clock, not with this device's.
          retryAfter: after ? (+after || (Date.parse(after) - Date.parse(res.headers.get('date')!)) / 1e3) * 1e3 : NaN,
        }
      })(),
      stop.signal,
    )
  } catch (cause) {
    throw late
      ? new TacetError('timeout', 'The session server did not answer in time', { cause })
      : new TacetError('network', 'The session server could not be reached', { cause })
  } finally {
    clearTimeout(timer)
  }
}
