/**
 * Envelopes for axios.
 *
 * @packageDocumentation
 */
import type { AxiosError, AxiosInstance, AxiosResponse } from 'axios'
import { adapterOf, attach } from '../axios.js'
import type { Envelope, Json } from './types.js'

declare module 'axios' {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars
  interface AxiosRequestConfig<D = any, P = any> {
    /** `false`: the answer as it is, whatever it says. */
    envelope?: false | undefined
  }
}

/** Text of what an adapter gives before it is transformed; undefined for streams. */
const textOf = (data: Json): string | Promise<string> | undefined =>
  typeof data === 'string' ? data
  : data instanceof Blob ? data.text()
  : data instanceof ArrayBuffer || ArrayBuffer.isView(data) ? new TextDecoder().decode(data)
  : undefined

/** In place of an answer or error that means 401 and says something else. */
interface Told {
  status: 401
  response: { status: 401 }
  real: unknown
}
const told = (real: unknown): Told => ({ status: 401, response: { status: 401 }, real })
const real = (x: Json): unknown => x?.real ?? x

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
export const attachEnvelope = (instance: AxiosInstance, envelope: Envelope): (() => void) => {
  const { adapter } = instance.defaults
  const judge = envelope._
  /** What is in the answers, and which of them are the envelope of a success. */
  const bodies = new WeakMap<object, unknown>()
  const wrapped = new WeakSet<object>()
  /** Requests that go through the session. */
  const ours = new WeakSet<object>()

  /** Reads an answer, and says whether the session is to be told another status. */
  const expired = async (response: AxiosResponse | undefined) => {
    if (!response) return
    const { config, headers, data, status } = response
    const text = config.envelope === false ? undefined : textOf(data)
    const body = text === undefined ? undefined : await judge.parse(headers['content-type'], headers['content-disposition'], () => text)
    bodies.set(response, body)
    return judge.status(ours.has(config) && config.headers.get('authorization'), status, body) !== status
  }
  // Below the session: it sees the status that is meant.
  instance.defaults.adapter = (config) =>
    adapterOf(adapter, config)(config).then(
      async (response) => ((await expired(response)) ? (told(response) as never) : response),
      async (error: AxiosError) => {
        throw (await expired(error.response)) ? told(error) : error
      },
    )
  const detach = attach(instance, envelope.session)
  const through = instance.defaults.adapter
  // Above it: each request once, with its final answer.
  instance.defaults.adapter = (config) => {
    if (config.tacet !== false && !config.headers.has('authorization')) ours.add(config)
    return through(config).then(
      (x) => {
        const response = real(x) as AxiosResponse
        const body = bodies.get(response)
        const ok = judge.ok(body)
        if (ok !== undefined && !ok) throw judge.error(response, body)
        if (ok) wrapped.add(response)
        return response
      },
      (x) => {
        const error = real(x) as AxiosError
        const body = error.response && bodies.get(error.response)
        const ok = judge.ok(body)
        throw ok !== undefined && !ok ? judge.error(error.response!, body, error) : error
      },
    )
  }
  const id = instance.interceptors.response.use((response) => {
    const { responseType } = response.config
    // After transformResponse, which may know more of numbers and dates than we do.
    if (wrapped.delete(response) && (!responseType || responseType === 'json')) response.data = judge.data(response.data)
    return response
  })
  return () => {
    instance.interceptors.response.eject(id)
    detach()
    if (adapter) instance.defaults.adapter = adapter
  }
}
