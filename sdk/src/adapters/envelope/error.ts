/**
 * The API's answer says that it did not work: in its envelope, or by its HTTP status.
 *
 * `R` is what the client calls a response: `Response` of `fetch`, `AxiosResponse` of axios.
 *
 * @example
 * ```ts
 * import { BusinessError } from '@tacet/browser/envelope'
 *
 * export const show = (e: unknown) => (e instanceof BusinessError && e.code === 40901 ? 'Sold out' : String(e))
 * ```
 */
export class BusinessError<R = Response> extends Error {
  /** What the envelope says, of the type that it has there; without an envelope the `code` of a problem document (RFC 9457) or the HTTP status. */
  readonly code: string | number | undefined
  /** HTTP status: 200 in many dialects. */
  readonly status: number
  /** The whole answer as it was parsed; `undefined` if it was no JSON. */
  readonly body: unknown
  /** The answer itself. Of `fetch`, its body has not been read. */
  readonly response: R
  override readonly name = 'BusinessError'
  /** @internal */
  constructor(message: string, detail: { code: string | number | undefined; status: number; body: unknown; response: R; cause?: unknown }) {
    super(message, { cause: detail.cause })
    this.code = detail.code
    this.status = detail.status
    this.body = detail.body
    this.response = detail.response
  }
}
