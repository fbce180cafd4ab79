/**
 * The session for axios.
 *
 * @packageDocumentation
 */
import { type AxiosInstance } from 'axios';
import type { Session } from '../core/types.js';
declare module 'axios' {
    interface AxiosRequestConfig<D = any, P = any> {
        /** `false`: send as it is, without token, wait or repeat. So is a request with an `Authorization` header of its own. */
        tacet?: false | undefined;
    }
}
/**
 * Lets an axios instance send through the session, and returns the function that undoes it.
 *
 * It stands below the interceptors, where a request is sent: they see each request once, with its
 * final answer, and bodies are not transformed a second time. `signal`, `cancelToken` and `timeout`
 * hold while a request waits, too.
 *
 * @example
 * ```ts
 * import axios from 'axios'
 * import { createSession } from '@tacet/browser'
 * import { attach } from '@tacet/browser/axios'
 *
 * const api = axios.create({ baseURL: '/api' })
 * attach(api, createSession({ baseURL: '/auth' }))
 * const orders = await api.get('/orders')
 * ```
 */
export declare const attach: (instance: AxiosInstance, session: Session) => (() => void);
