/**
 * Envelopes for axios.
 *
 * @packageDocumentation
 */
import type { AxiosInstance } from 'axios';
import type { Envelope } from './types.js';
declare module 'axios' {
    interface AxiosRequestConfig<D = any, P = any> {
        /** `false`: the answer as it is, whatever it says. */
        envelope?: false | undefined;
    }
}
/**
 * What `attach` does, for an API with envelopes: `response.data` is what was in the envelope, and a failure rejects with
 * `BusinessError` (its `cause` is the `AxiosError`, where the HTTP status was an error, too). Returns the function that undoes it.
 *
 * A `responseType` other than `json` is left as it came, unless it is an envelope that says it failed: then it is read,
 * out of the blob as well, and rejects like all others. Streams are never looked at.
 *
 * @example
 * ```ts
 * import axios from 'axios'
 * import { createSession } from '@tacet/browser'
 * import { createEnvelope } from '@tacet/browser/envelope'
 * import { attachEnvelope } from '@tacet/browser/envelope/axios'
 *
 * const api = axios.create({ baseURL: '/api' })
 * attachEnvelope(api, createEnvelope(createSession(), { ok: 'isSuccess', onSignedOut: () => location.assign('/sign-in') }))
 * const { data } = await api.get<{ id: number }[]>('/orders')
 * const file = await api.get<Blob>('/orders.xlsx', { responseType: 'blob' })
 * console.log(data.length, file.data.size)
 * ```
 */
export declare const attachEnvelope: (instance: AxiosInstance, envelope: Envelope) => (() => void);
