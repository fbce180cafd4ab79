import axios, { type AxiosAdapter, type AxiosError, type AxiosResponse } from 'axios'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { TacetError } from '../src/core/error.js'
import { attachEnvelope } from '../src/adapters/envelope/axios.js'
import { BusinessError, createEnvelope, type Envelope, type EnvelopeOptions } from '../src/adapters/envelope.js'
import type { SignedOut } from '../src/index.js'
import { fakeTime, pass, run, signedIn, times } from './harness.js'
import { ORIGIN } from './world.js'

fakeTime()
afterEach(() => void vi.unstubAllGlobals())

const dialect: EnvelopeOptions = {
  ok: (b) => (b.code === undefined ? undefined : b.code === 0),
  message: 'msg',
  expired: (b) => b.code === 401,
  locale: () => 'en',
}

/** A signed-in page whose API has envelopes, and says 401 inside a 200. `answers` are by path. */
const page = async (options: Partial<EnvelopeOptions> = {}) => {
  const { world, tab, server } = await signedIn()
  // The envelope is of this realm; its network is the simulated browser's.
  vi.stubGlobal('fetch', (request: Request) => tab.session.fetch(request, { tacet: false }))
  const plain = server.handle.bind(server)
  server.handle = (path, ...rest) => {
    const [status, json, cookies] = plain(path, ...rest)
    if (!path.startsWith('/api/')) return [status, json, cookies]
    if (status === 401) return [200, { code: 401, msg: 'expired', data: null }, {}]
    if (path === '/api/sold-out') return [200, { code: 40901, msg: 'nothing left', data: { left: 0 } }, {}]
    if (path === '/api/forbidden') return [403, { code: 403, msg: 'not yours', data: null }, {}]
    if (path === '/api/silent') return [200, { code: 7 }, {}]
    return [status, { code: 0, msg: '', data: json }, {}]
  }
  const ends: SignedOut[] = []
  const api = createEnvelope(tab.session, { ...dialect, onSignedOut: (e) => ends.push(e), ...options })
  const answer = (path: string, type: string | undefined, body: string, status = 200, more = {}) => {
    const before = world.fault
    world.fault = (p, n) => (p === path ? { answer: { status, body, headers: { ...(type ? { 'content-type': type } : {}), ...more } } } : before(p, n))
  }
  return { world, tab, server, api, ends, answer, renewals: () => server.count('/auth/refresh') }
}

/** An axios instance whose network is the simulated browser's. */
const withAxios = (tab: { session: Envelope['session'] }, api: Envelope) => {
  const sent: (string | undefined)[] = []
  const adapter: AxiosAdapter = async (config) => {
    sent.push(config.headers.get('authorization') as string | undefined)
    const res = await tab.session.fetch(axios.getUri(config), {
      method: config.method!.toUpperCase(),
      headers: { ...config.headers.toJSON() } as Record<string, string>,
      tacet: false,
    })
    const read = { blob: () => res.blob(), arraybuffer: () => res.arrayBuffer(), stream: () => res.body }[config.responseType as 'blob'] ?? (() => res.text())
    const response = { data: await read(), status: res.status, statusText: '', headers: Object.fromEntries(res.headers), config }
    if (!config.validateStatus!(res.status)) throw new axios.AxiosError('status ' + res.status, 'ERR', config, null, response)
    return response
  }
  const instance = axios.create({ baseURL: ORIGIN + '/api', adapter })
  return { instance, sent, detach: attachEnvelope(instance, api) }
}
const both = ['fetch', 'axios'] as const
/** The same call with either client: what is in the envelope. */
const client = (kind: (typeof both)[number], tab: { session: Envelope['session'] }, api: Envelope) => {
  if (kind === 'fetch') return (path: string) => api.fetch(ORIGIN + '/api' + path)
  const { instance } = withAxios(tab, api)
  return (path: string) => instance.get(path).then((r) => r.data as unknown)
}
const failure = (p: Promise<unknown>) => run(p.then(() => expect.fail('no error'), (e) => e as BusinessError<any>))

describe.each(both)('%s', (kind) => {
  test('a success is its data', async () => {
    const { tab, api } = await page()
    expect(await run(client(kind, tab, api)('/x'))).toEqual({ user: 'alice', method: 'GET', size: 0 })
  })
  test('a business failure is a typed error, and renews nothing', async () => {
    const { tab, api, renewals } = await page()
    const e = await failure(client(kind, tab, api)('/sold-out'))
    expect(e).toBeInstanceOf(BusinessError)
    expect(e).toMatchObject({ name: 'BusinessError', code: 40901, message: 'nothing left', status: 200, body: { data: { left: 0 } } })
    expect(e.response.status).toBe(200)
    expect(renewals()).toBe(0)
  })
  test('so is one with an HTTP status of its own', async () => {
    const { tab, api } = await page()
    const e = await failure(client(kind, tab, api)('/forbidden'))
    expect(e).toMatchObject({ name: 'BusinessError', code: 403, message: 'not yours', status: 403 })
    if (kind === 'axios') expect((e.cause as AxiosError).isAxiosError).toBe(true)
  })
  test('20 × "expired" inside a 200: one renewal, all go on', async () => {
    const { tab, api, server, renewals } = await page()
    const get = client(kind, tab, api)
    server.expireAll()
    const all = await run(Promise.all(Array.from({ length: 20 }, () => get('/x'))))
    expect(all).toEqual(Array(20).fill({ user: 'alice', method: 'GET', size: 0 }))
    expect(renewals()).toBe(1)
    expect(server.count('/api/x')).toBe(40)
  })
  test('"expired" whatever the token: one renewal, one repeat, then the error says what the answer said', async () => {
    const { tab, api, server, renewals, ends } = await page()
    server.always401.add('/api/broken')
    const e = await failure(client(kind, tab, api)('/broken'))
    expect(e).toMatchObject({ code: 401, message: 'expired', status: 200 })
    expect(e.response.status).toBe(200)
    expect([renewals(), server.count('/api/broken'), ends]).toEqual([1, 2, []])
  })
  test('maxRenewals in vain: one sign-out, that says why; the server has ended the session', async () => {
    const { tab, api, server, renewals, ends } = await page({ maxRenewals: 2 })
    const get = client(kind, tab, api)
    server.always401.add('/api/broken')
    for (let i = 0; i < 6 && !ends.length; i++) {
      const all = await run(Promise.allSettled([get('/broken'), get('/broken'), get('/broken')]))
      if (ends.length) expect(all.map((r) => (r as PromiseRejectedResult).reason.code)).toEqual(Array(3).fill('signedout'))
      await pass(11_000)
    }
    expect(ends).toEqual([{ reason: 'max_renewals' }])
    expect(renewals()).toBe(2)
    expect(times(tab, 'signedout')).toBe(1)
    expect([...server.sessions.values()].map((s) => s.over)).toEqual(['signed_out'])
    await run(tab.session.signIn({ username: 'bob', password: 'right' }))
    await run(tab.session.signOut())
    expect(ends[1]).toEqual({ reason: 'signedout' })
  })
  test('a success in between, and the count begins anew', async () => {
    const { tab, api, server, ends } = await page({ maxRenewals: 1 })
    const get = client(kind, tab, api)
    server.always401.add('/api/broken')
    for (let i = 0; i < 4; i++) {
      server.expireAll()
      await run(get('/x'))
      await pass(11_000)
    }
    expect(ends).toEqual([])
    await failure(get('/broken'))
    expect(ends).toEqual([{ reason: 'max_renewals' }])
  })
  test('while signed out, "expired" is a failure like others', async () => {
    const { tab, api, renewals } = await page()
    await run(tab.session.signOut())
    expect(await failure(client(kind, tab, api)('/x'))).toMatchObject({ code: 401, message: 'expired' })
    expect(renewals()).toBe(0)
  })
  test('a renewal that fails for now is the session\'s own error', async () => {
    const { tab, api, server, world } = await page()
    world.fault = (p) => (p === '/auth/refresh' ? { answer: { status: 503 } } : undefined)
    server.expireAll()
    const e = await failure(client(kind, tab, api)('/x'))
    expect([e.name, e.code, api.text(e)]).toEqual(['TacetError', 'unavailable', 'The server is not available for the moment. Please try again.'])
  })
})

describe('what passes through, fetch', () => {
  test.each([
    ['application/octet-stream', '{"code":1}'],
    ['text/event-stream', 'data: {"code":1}\n\n'],
    ['application/x-ndjson', '{"code":1}\n'],
    ['text/html', '<p>'],
    [undefined, ''],
    ['application/json', '{"code":'],
    ['application/json', ''],
    ['application/json', '{"orders":[]}'],
    ['application/json', '"token"'],
    ['application/json', 'null'],
  ])('%s %s', async (type, body) => {
    const { api, answer } = await page()
    answer('/api/file', type, body)
    const r = await run(api.fetch<Response>(ORIGIN + '/api/file'))
    expect(r.bodyUsed).toBe(false)
    expect(await r.text()).toBe(body)
  })
  test('an attachment is a file, and envelope: false is the Response', async () => {
    const { api, answer } = await page()
    answer('/api/file', 'application/json', '{"code":1}', 200, { 'content-disposition': 'attachment; filename="x.json"' })
    expect(await (await run(api.fetch<Response>(ORIGIN + '/api/file'))).json()).toEqual({ code: 1 })
    const r = await run(api.fetch<Response>(ORIGIN + '/api/sold-out', { envelope: false }))
    expect((await r.json()).code).toBe(40901)
  })
  test('where there is no envelope, the HTTP status decides', async () => {
    const { api, answer } = await page()
    answer('/api/down', 'text/html', '<h1>502</h1>', 502)
    const e = await failure(api.fetch(ORIGIN + '/api/down'))
    expect(e).toMatchObject({ name: 'BusinessError', code: 502, body: undefined, message: 'The server is not available for the moment. Please try again.' })
    expect(await e.response.text()).toBe('<h1>502</h1>')
    answer('/api/problem', 'application/problem+json', '{"code":"insufficient_scope","title":"No","detail":"Not for viewers"}', 403)
    expect(await failure(api.fetch(ORIGIN + '/api/problem'))).toMatchObject({ code: 'insufficient_scope', message: 'Not for viewers' })
  })
  test('a foreign origin: no token, no renewal', async () => {
    const { api, answer, renewals } = await page()
    answer('/api/elsewhere', 'application/json', '{"code":401,"msg":"who?"}')
    expect(await failure(api.fetch('https://other.test/api/elsewhere'))).toMatchObject({ code: 401 })
    expect(renewals()).toBe(0)
  })
  test('a parser of your own', async () => {
    const { api, answer } = await page({ parse: (t) => JSON.parse(t.replace(/:(\d{16,})/g, ':"$1"')) })
    answer('/api/big', 'application/json; charset=utf-8', '{"code":0,"data":{"id":1234567890123456789}}')
    expect(await run(api.fetch(ORIGIN + '/api/big'))).toEqual({ id: '1234567890123456789' })
  })
})

describe('what passes through, axios', () => {
  test.each(['blob', 'arraybuffer'] as const)('%s: as it came, unless it is a failure', async (responseType) => {
    const { tab, api, answer } = await page()
    const { instance } = withAxios(tab, api)
    const bytes = async (data: any) => new Uint8Array(data instanceof Blob ? await data.arrayBuffer() : data)
    answer('/api/file', 'application/octet-stream', '\u0000\u0001{"code":1}')
    expect((await bytes((await run(instance.get('/file', { responseType }))).data)).length).toBe(12)
    const { data } = await run(instance.get('/x', { responseType }))
    expect(JSON.parse(new TextDecoder().decode(await bytes(data))).data.user).toBe('alice')
    const e = await failure(instance.get('/sold-out', { responseType }))
    expect(e).toMatchObject({ name: 'BusinessError', code: 40901, message: 'nothing left' })
    const denied = await failure(instance.get('/forbidden', { responseType }))
    expect(denied).toMatchObject({ name: 'BusinessError', code: 403, message: 'not yours', status: 403 })
  })
  test('a blob that is "expired" is renewed for, too', async () => {
    const { tab, api, server, renewals } = await page()
    const { instance } = withAxios(tab, api)
    server.expireAll()
    expect((await run(instance.get('/x', { responseType: 'blob' }))).data).toBeInstanceOf(Blob)
    expect(renewals()).toBe(1)
  })
  test('a stream is not looked at', async () => {
    const { tab, api } = await page()
    const { data } = await run(withAxios(tab, api).instance.get<ReadableStream>('/sold-out', { responseType: 'stream' }))
    expect((await new Response(data).json()).code).toBe(40901)
  })
  test('text stays text', async () => {
    const { tab, api } = await page()
    expect(JSON.parse((await run(withAxios(tab, api).instance.get<string>('/x', { responseType: 'text', transformResponse: (x) => x }))).data).code).toBe(0)
  })
  test('transformResponse sees the whole answer, interceptors the data and each request once', async () => {
    const { tab, api, server } = await page()
    const { instance, sent } = withAxios(tab, api)
    const seen: unknown[] = []
    instance.interceptors.response.use((r) => (seen.push(r.data), r))
    server.expireAll()
    const r = await run(instance.get('/x', { transformResponse: (t) => ({ ...JSON.parse(t), data: 'mine' }) }))
    expect([r.data, seen, sent.length]).toEqual(['mine', ['mine'], 2])
  })
  test('HTTP errors without an envelope stay AxiosErrors', async () => {
    const { tab, api, answer } = await page()
    answer('/api/down', 'text/html', '<h1>502</h1>', 502)
    const e = await failure(withAxios(tab, api).instance.get('/down'))
    expect(e).toMatchObject({ isAxiosError: true, response: { status: 502 } })
  })
  test('envelope: false, tacet: false and detach', async () => {
    const { tab, api, server, renewals } = await page()
    const { instance, detach } = withAxios(tab, api)
    expect((await run(instance.get('/sold-out', { envelope: false }))).data.code).toBe(40901)
    expect(await failure(instance.get('/x', { tacet: false }))).toMatchObject({ code: 401 })
    expect(renewals()).toBe(0)
    detach()
    const plain: AxiosResponse = await run(instance.get('/x'))
    expect(plain.data.code).toBe(401)
    server.expireAll()
    expect(renewals()).toBe(0)
  })
  test('a network error has no answer to look at', async () => {
    const { tab, api, world } = await page()
    world.fault = () => ({ drop: true })
    expect((await failure(withAxios(tab, api).instance.get('/x'))).name).toBe('TypeError')
  })
})

describe('paths and texts', () => {
  test('paths reach into objects, and miss without harm', async () => {
    const { api, answer } = await page({ ok: 'meta.ok', data: 'result.list', code: 'meta.error.code', message: 'meta.error.text' })
    answer('/api/a', 'application/json', '{"meta":{"ok":true},"result":{"list":[1]}}')
    expect(await run(api.fetch(ORIGIN + '/api/a'))).toEqual([1])
    answer('/api/b', 'application/json', '{"meta":{"ok":false,"error":{"code":"E1","text":"no"}}}')
    expect(await failure(api.fetch(ORIGIN + '/api/b'))).toMatchObject({ code: 'E1', message: 'no' })
    answer('/api/c', 'application/json', '{"meta":{"ok":false}}')
    expect(await failure(api.fetch(ORIGIN + '/api/c'))).toMatchObject({ code: undefined, message: 'That did not work.' })
    answer('/api/d', 'application/json', '[1,2]')
    expect(await (await run(api.fetch<Response>(ORIGIN + '/api/d'))).json()).toEqual([1, 2])
  })
  test('the own catalogue, the server, then the built-in texts; the language is looked at each time', async () => {
    let lang = 'zh-CN'
    const { api } = await page({
      locale: () => lang,
      messages: { 'zh-CN': { 40901: '库存不足', signedout: '请登录' }, fr: { 40901: 'Épuisé', failed: 'Échec' } },
    })
    const message = async (path: string) => (await failure(api.fetch(ORIGIN + '/api' + path))).message
    expect([await message('/sold-out'), await message('/forbidden'), await message('/silent')]).toEqual(['库存不足', 'not yours', '操作失败。'])
    lang = 'fr-CH'
    expect([await message('/sold-out'), await message('/silent')]).toEqual(['Épuisé', 'Échec'])
    lang = 'de'
    expect([await message('/sold-out'), await message('/silent')]).toEqual(['nothing left', 'That did not work.'])
  })
  test('text() of any error', async () => {
    let lang = 'zh'
    const { api } = await page({ locale: () => lang, messages: { zh: { signedout: '请登录' } } })
    expect(api.text(new TacetError('signedout'))).toBe('请登录')
    expect(api.text(new TacetError('network'))).toBe('无法连接服务器，请检查网络后重试。')
    expect(api.text(new TacetError('invalid_credentials', { title: '用户名或密码错误' }))).toBe('用户名或密码错误')
    lang = 'en-GB'
    expect(api.text(new TacetError('signedout'))).toBe('You are signed out. Please sign in again.')
    expect(api.text(new Error('boom'))).toBe('boom')
    expect([api.text(undefined), api.text('x'), api.text(new TacetError('odd'))]).toEqual(['That did not work.', 'That did not work.', 'odd'])
  })
  test('without a document the browser\'s language counts', async () => {
    vi.stubGlobal('navigator', { language: 'zh-Hans' })
    const { api } = await page({ locale: undefined as never })
    expect(api.text(new TacetError('signedout'))).toBe('登录已失效，请重新登录。')
    vi.stubGlobal('document', { documentElement: { lang: 'en' } })
    expect(api.text(new TacetError('signedout'))).toMatch(/^You/)
  })
  test('destroy: no more onSignedOut, the session goes on', async () => {
    const { api, tab, ends } = await page()
    api.destroy()
    await run(tab.session.signOut())
    expect(ends).toEqual([])
  })
})
