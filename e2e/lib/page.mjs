// What tests do in pages. Functions given to evaluate run in the browser, where
// pages/app.html has put the SDK on window.
import assert from 'node:assert/strict'

export const ACCESS_TTL = 15 * 60_000

/** Opens a tab on the application; `options` go to createSession. */
export async function openTab(context, url, options = {}, path = '/pages/app.html') {
  const page = await context.newPage()
  page.problems = []
  page.on('pageerror', (e) => page.problems.push(String(e)))
  await page.goto(url + path)
  await page.waitForFunction(() => globalThis.tacet)
  await page.evaluate((o) => globalThis.open_(o), options)
  return page
}

export async function signIn(page, username = 'alice') {
  await page.evaluate((u) => session.signIn({ username: u, password: `${u}-password` }), username)
}

/** Sends n requests at once and says how they ended: status numbers or error codes. */
export function burst(page, n, path = '/api/orders') {
  return page.evaluate(
    ([n, path]) =>
      Promise.all(
        Array.from({ length: n }, (_, i) =>
          session.fetch(`${path}?n=${i}`).then(
            async (r) => {
              if (r.ok && path === '/api/orders' && (await r.json()).n !== String(i)) return 'mixed up'
              return r.status
            },
            (e) => e.code ?? String(e),
          ),
        ),
      ),
    [n, path],
  )
}

/** Events and redirects that the page has counted since it was opened. */
export const counts = (page) => page.evaluate(() => ({ ...globalThis.counts }))

export function allEqual(list, value) {
  assert.deepEqual([...new Set(list)], [value], `not all ${value}: ${list}`)
}

/** True when the refresh cookie in the browser's jar still renews: the session lives. */
export async function sessionLives(context, url) {
  const cookies = await context.cookies(`${url}/auth/refresh`)
  const csrf = cookies.find((c) => c.name === 'tacet_csrf')
  const refresh = cookies.find((c) => c.name === 'tacet_refresh')
  if (!csrf || !refresh) return false
  const r = await fetch(`${url}/auth/refresh`, {
    method: 'POST',
    headers: { cookie: `tacet_refresh=${refresh.value}`, 'x-csrf-token': csrf.value },
  })
  return r.status === 200
}
