import axios, { type AxiosAdapter, type AxiosError, type InternalAxiosRequestConfig } from 'axios'
import { describe, expect, test } from 'vitest'
import { attach } from '../src/adapters/axios.js'
import { fakeTime, pass, run, signedIn } from './harness.js'
import { ORIGIN } from './world.js'

fakeTime()

/** An axios instance whose network is the simulated browser's. */
const client = async () => {
  const { world, tab, server } = await signedIn()
  const sent: InternalAxiosRequestConfig[] = []
  const adapter: AxiosAdapter = async (config) => {
    sent.push({ ...config, headers: config.headers.concat() } as InternalAxiosRequestConfig)
    const url = axios.getUri(config)
    const res = await tab.session.fetch(url, {
      method: config.method!.toUpperCase(),
      headers: { ...config.headers.toJSON() } as Record<string, string>,
      body: config.data,
      tacet: false,
    })
    const response = { data: await res.text(), status: res.status, statusText: '', headers: {}, config }
    if (!config.validateStatus!(res.status))
      throw new axios.AxiosError('Request failed with status code ' + res.status, 'ERR_BAD_REQUEST', config, null, response)
    return response
  }
  const api = axios.create({ baseURL: ORIGIN + '/api', adapter })
  const detach = attach(api, tab.session)
  return { world, tab, server, api, sent, detach }
}

describe('axios', () => {
  test('20 × 401: 20 ok, 1 renewal; interceptors see each request once, and no 401', async () => {
    const { api, server } = await client()
    let asked = 0
    const statuses: number[] = []
    api.interceptors.request.use((c) => (asked++, c))
    api.interceptors.response.use(
      (r) => (statuses.push(r.status), r),
      (e: AxiosError) => {
        statuses.push(e.response!.status)
        throw e
      },
    )
    server.expireAll()
    const all = await run(Promise.all(Array.from({ length: 20 }, (_, i) => api.get('/x', { params: { i } }))))
    expect(all.map((r) => r.status)).toEqual(Array(20).fill(200))
    expect(server.count('/auth/refresh')).toBe(1)
    expect(asked).toBe(20)
    expect(statuses).toEqual(Array(20).fill(200))
  })
  test('a body is transformed once, and repeated as it was', async () => {
    const { api, server, sent } = await client()
    server.expireAll()
    await run(api.post('/upload', { a: 'ä' }))
    const [one, two] = server.hits.filter((h) => h.path === '/api/upload')
    expect([one!.status, two!.status]).toEqual([401, 200])
    expect(two!.body).toEqual(one!.body)
    expect(new TextDecoder().decode(two!.body)).toBe('{"a":"ä"}')
    expect(sent.length).toBe(2)
  })
  test('403 and a 401 that stays are AxiosErrors; validateStatus is respected', async () => {
    const { api, server } = await client()
    await expect(run(api.get('/forbidden'))).rejects.toMatchObject({ isAxiosError: true, response: { status: 403 } })
    server.always401.add('/api/broken')
    await expect(run(api.get('/broken'))).rejects.toMatchObject({ isAxiosError: true, response: { status: 401 } })
    expect(server.count('/auth/refresh')).toBe(1)
    expect((await run(api.get('/broken', { validateStatus: () => true }))).status).toBe(401)
    expect(server.count('/auth/refresh')).toBe(1)
  })
  test('signal, cancelToken and timeout hold while it waits; the others go on', async () => {
    const { api, server, world } = await client()
    world.fault = (path) => (path === '/auth/refresh' ? { down: 2000 } : undefined)
    server.expireAll()
    const c = new AbortController()
    const source = axios.CancelToken.source()
    const codes = Promise.all(
      [api.get('/a', { signal: c.signal }), api.get('/b', { cancelToken: source.token }), api.get('/c', { timeout: 300 }), api.get('/d')].map(
        (p) => p.then((r) => r.status, (e: AxiosError) => e.code),
      ),
    )
    await pass(100)
    c.abort()
    source.cancel()
    expect(await run(codes)).toEqual(['ERR_CANCELED', 'ERR_CANCELED', 'ECONNABORTED', 200])
    expect(server.count('/auth/refresh')).toBe(1)
  })
  test('opt-out and detach', async () => {
    const { api, detach } = await client()
    const status = { validateStatus: () => true }
    expect((await run(api.get('/x', { tacet: false, ...status }))).status).toBe(401)
    expect((await run(api.get('/x', { headers: { Authorization: 'Basic x' }, ...status }))).status).toBe(401)
    expect((await run(api.get('/x', status))).status).toBe(200)
    detach()
    expect((await run(api.get('/x', status))).status).toBe(401)
  })
})

test('axios(response.config) and axios(error.config) go through the session again', async () => {
  const { api, server } = await client()
  const first = await run(api.get('/x'))
  server.expireAll()
  expect((await run(api(first.config))).status).toBe(200)
  server.always401.add('/api/broken')
  const error: AxiosError = await run(api.get('/broken').catch((e) => e))
  server.always401.clear()
  server.expireAll()
  await pass(10_000)
  expect((await run(api(error.config!))).status).toBe(200)
})
