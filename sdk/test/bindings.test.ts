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
