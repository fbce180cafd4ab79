// The bindings outside a browser: what they render on a server. In one they are driven by e2e/tests/apps.test.mjs.
import { createElement as h } from 'react'
import { renderToString } from 'react-dom/server'
import { expect, test } from 'vitest'
import { createSSRApp, h as vh, resolveDirective, withDirectives } from 'vue'
import { renderToString as renderVue } from 'vue/server-renderer'
import type { Grants, GrantsSnapshot } from '../src/adapters/grants.js'
import * as react from '../src/adapters/react.js'
import * as vue from '../src/adapters/vue.js'

const store = (permissions: string[], status: GrantsSnapshot['status'] = 'signedin') => {
  const snapshot = { status, user: { id: '1', username: 'bob' }, roles: [], permissions, settings: {}, can: (p: string) => permissions.includes(p) }
  return { subscribe: () => () => {}, getSnapshot: () => snapshot, ...snapshot, ready: Promise.resolve() } as unknown as Grants
}

test('React: a server renders the page as while it loads, without anybody’s grants', () => {
  const App = () => {
    const { status } = react.useSession()
    return h('p', null, status, h(react.Can, { permission: 'a', fallback: 'no' }, 'yes'))
  }
  for (const grants of [undefined, store(['a'])])
    expect(renderToString(h(react.SessionProvider, { grants }, h(App)))).toBe('<p>loading</p>')
  expect(() => renderToString(h(App))).toThrow('SessionProvider')
})

test('Vue: useSession() is reactive, v-can hides on a server', async () => {
  const App = {
    setup() {
      const { user, can } = vue.useSession()
      return () => withDirectives(vh('p', `${user.value?.username} ${can('a')} ${can('b')}`), [[resolveDirective('can')!, 'a']])
    },
  }
  expect(await renderVue(createSSRApp(App).use(vue.tacet(store(['a']))))).toBe('<p style="display:none;">bob true false</p>')
})

test('Vue: the router guard', async () => {
  let guard!: (to: { fullPath: string; meta: object }) => Promise<unknown>
  const router = { beforeEach: (g: typeof guard) => ((guard = g), () => {}), replace: () => {}, currentRoute: { value: { fullPath: '/', meta: {} } } }
  const to = (can: unknown) => ({ fullPath: '/orders?x=1', meta: { can } })
  vue.guardRoutes(router as never, store(['orders:read']))
  expect(await guard(to(undefined))).toBe(undefined)
  expect(await guard(to(true))).toBe(undefined)
  expect(await guard(to('orders:read'))).toBe(undefined)
  expect(await guard(to('orders:write'))).toEqual({ path: '/forbidden' })
  vue.guardRoutes(router as never, store([], 'signedout'), { signIn: '/in' })
  expect(await guard(to(true))).toEqual({ path: '/in', query: { redirect: '/orders?x=1' } })
  expect(await guard(to('orders:read'))).toEqual({ path: '/in', query: { redirect: '/orders?x=1' } })
})

test('Vue: while the server is down the guard waits, and sends nobody to sign-in', async () => {
  let guard!: (to: { fullPath: string; meta: object }) => Promise<unknown>
  const replaced: unknown[] = []
  const router = { beforeEach: (g: typeof guard) => ((guard = g), () => {}), replace: (to: unknown) => void replaced.push(to), currentRoute: { value: { fullPath: '/', meta: { can: true } } } }
  const listeners = new Set<() => void>()
  const grants = { ...store(['orders:read'], 'loading'), subscribe: (fn: () => void) => (listeners.add(fn), () => listeners.delete(fn)) }
  const become = (status: string) => {
    Object.assign(grants, { status })
    for (const fn of [...listeners]) fn()
  }
  vue.guardRoutes(router as never, grants as never)
  const results: unknown[] = []
  void guard({ fullPath: '/orders', meta: { can: 'orders:read' } }).then((r) => results.push(r))
  expect(await guard({ fullPath: '/about', meta: {} })).toBe(undefined)
  become('offline')
  await new Promise((ok) => setTimeout(ok, 10))
  expect([results, replaced]).toEqual([[], []])
  become('signedin')
  await new Promise((ok) => setTimeout(ok, 10))
  expect([results, replaced]).toEqual([[undefined], []])
  expect(listeners.size).toBe(1)
})
