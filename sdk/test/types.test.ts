// What the types promise. The assertions are made by the compiler (npm run types).
import type { AxiosInstance } from 'axios'
import { expectTypeOf, test } from 'vitest'
import { attach } from '../src/adapters/axios.js'
import { attachEnvelope } from '../src/adapters/envelope/axios.js'
import { createEnvelope, type BusinessError, type Envelope } from '../src/adapters/envelope.js'
import { createSession, TacetError, type Session, type SessionOptions, type User } from '../src/index.js'

test('the session has the types of the platform', () => {
  expectTypeOf(createSession).parameters.toEqualTypeOf<[SessionOptions?]>()
  expectTypeOf<typeof fetch>().parameters.toExtend<Parameters<Session['fetch']>>()
  expectTypeOf<Session['fetch']>().returns.toEqualTypeOf<Promise<Response>>()
  expectTypeOf<Session['status']>().toEqualTypeOf<'loading' | 'offline' | 'signedin' | 'signedout'>()
  expectTypeOf<Session['user']>().toEqualTypeOf<User | undefined>()
  expectTypeOf<Session['getAccessToken']>().returns.resolves.toEqualTypeOf<string | undefined>()
  expectTypeOf<Session['signOut']>().returns.resolves.toEqualTypeOf<boolean>()
  expectTypeOf<TacetError>().toExtend<Error>()
  expectTypeOf(attach).parameters.toEqualTypeOf<[AxiosInstance, Session]>()
  const typed = (s: Session) => {
    s.on('signedout', (e) => expectTypeOf(e.reason).toBeString())
    s.on('failed', (e) => expectTypeOf(e).toEqualTypeOf<TacetError>())
    s.on('renewed', (e) => expectTypeOf(e.from).toEqualTypeOf<'network' | 'tab' | 'storage'>())
    // @ts-expect-error no such event
    s.on('signed-out', () => {})
    // @ts-expect-error read only
    s.status = 'signedin'
    // @ts-expect-error the only value that says something
    void s.fetch('/', { tacet: true })
    // @ts-expect-error no such storage
    createSession({ storage: 'cookie' })
  }
  expectTypeOf(typed).toBeFunction()
})

test('envelopes: what the caller asks for is what it gets', () => {
  const typed = async (api: Envelope, s: Session) => {
    expectTypeOf(await api.fetch<{ id: number }>('/x')).toEqualTypeOf<{ id: number }>()
    expectTypeOf(await api.fetch('/x')).toBeUnknown()
    expectTypeOf(api.text).toEqualTypeOf<(e: unknown) => string>()
    expectTypeOf<BusinessError['response']>().toEqualTypeOf<Response>()
    expectTypeOf<BusinessError['code']>().toEqualTypeOf<string | number | undefined>()
    expectTypeOf(attachEnvelope).parameters.toEqualTypeOf<[AxiosInstance, Envelope]>()
    createEnvelope(s, { ok: 'isSuccess', data: (b) => b.result, messages: { 'zh-CN': { 40901: '库存不足' } } })
    // @ts-expect-error without ok nothing can be told
    createEnvelope(s, { data: 'data' })
    // @ts-expect-error the only value that says something
    void api.fetch('/', { envelope: true })
  }
  expectTypeOf(typed).toBeFunction()
})
