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
export class BusinessError extends Error {
    /** @internal */
    constructor(message, detail) {
        Object.assign(super(message), detail, { name: 'BusinessError' });
    }
}
