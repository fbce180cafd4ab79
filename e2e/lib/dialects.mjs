// Clients in the style of each template, as far as sessions go: what makes them
// renew, who waits for whom, and what they take for the end. Where a template
// sends its renewal through the same interceptors as everything else, so do these:
// an answer that means "renew" there would wait for itself for ever. Those of
// envelope and abp are in pages/profiles.js.

/** A browser's part: cookies, and an account of what was asked. */
function wire(base, log) {
  const jar = new Map()
  return async (method, path, { body, token, header = 'Authorization', type } = {}) => {
    if (log.length >= 40) throw new Error('the client loops')
    log.push(`${method} ${path.replace(/\?.*/, '')}`)
    const headers = { cookie: [...jar].map(([k, v]) => `${k}=${v}`).join('; ') }
    if (token) headers[header] = header === 'Authorization' ? `Bearer ${token}` : token
    if (body) headers['content-type'] = type ?? 'application/json'
    const r = await fetch(base + path, { method, headers, body: body && (typeof body === 'string' ? body : JSON.stringify(body)), signal: AbortSignal.timeout(5000) })
    for (const line of r.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)
      value ? jar.set(name, value) : jar.delete(name)
    }
    const text = await r.text()
    let json
    try {
      json = JSON.parse(text)
    } catch {
      // vben's renewal is bare text.
    }
    return { status: r.status, json, text, headers: r.headers, jar }
  }
}

/** What all have: tokens, the number of times the sign-in page was shown, and the message that was shown last. */
const begin = (base) => {
  const log = []
  return { log, call: wire(base, log), token: '', refresh: '', signedOut: 0, shown: '' }
}
class Failed extends Error {}
const fail = (c, r) => {
  c.shown = r.json?.msg ?? r.json?.message ?? `HTTP ${r.status}`
  throw new Failed(c.shown)
}
const out = (c) => {
  c.signedOut++
  c.token = c.refresh = ''
}

export const dialects = {
  // A flag and a queue that is told of failures; the renewal goes past the interceptors.
  vben(base) {
    const c = begin(base)
    let refreshing = false
    let queue = []
    c.login = async (body, type) => {
      const r = await c.call('POST', '/api/auth/login', { body, type })
      if (r.status !== 200 || r.json?.code !== 0) fail(c, r)
      c.token = r.json.data.accessToken
      c.refresh = r.jar.get('jwt')
    }
    c.renew = async () => {
      const r = await c.call('POST', '/api/auth/refresh', { body: { withCredentials: true } })
      if (r.status !== 200) fail(c, r)
      return (c.token = r.text)
    }
    c.get = async (again) => {
      const r = await c.call('GET', '/api/user/info', { token: c.token })
      if (r.status === 200 && r.json.code === 0) return r.json.data.username
      if (r.status !== 401 || again) fail(c, r)
      if (refreshing) return new Promise((ok, no) => queue.push((token) => (token ? c.get(true).then(ok, no) : no(new Failed('signed out')))))
      refreshing = true
      try {
        const token = await c.renew()
        queue.forEach((go) => go(token))
        return await c.get(true)
      } catch (e) {
        queue.forEach((go) => go(''))
        out(c)
        throw e
      } finally {
        queue = []
        refreshing = false
      }
    }
    c.names = ['username', 'password']
    return c
  },

  // One promise for all; the renewal goes through the same pipeline.
  soybean(base) {
    const c = begin(base)
    let refreshing
    const request = async (method, path, options = {}) => {
      const r = await c.call(method, path, { token: c.token, ...options })
      const code = String(r.json?.code)
      if (r.status === 200 && code === '0000') return r.json.data
      if (['8888', '8889'].includes(code)) {
        out(c)
        throw new Failed(r.json.msg)
      }
      if (['9999', '9998', '3333'].includes(code)) {
        refreshing ??= renew().finally(() => (refreshing = undefined))
        if (await refreshing) return request(method, path, options)
        throw new Failed('signed out')
      }
      fail(c, r)
    }
    const renew = async () => {
      try {
        const data = await request('POST', '/auth/refreshToken', { body: { refreshToken: c.refresh } })
        c.token = data.token
        c.refresh = data.refreshToken
        return true
      } catch {
        if (c.token) out(c)
        return false
      }
    }
    c.login = async (body, type) => {
      const data = await request('POST', '/auth/login', { body, type })
      c.token = data.token
      c.refresh = data.refreshToken
    }
    c.get = async () => (await request('GET', '/auth/getUserInfo')).userName
    c.names = ['userName', 'password']
    return c
  },

  // A flag and a queue; two texts are swallowed, any other 401 renews; the renewal goes past the interceptors.
  yudao(base) {
    const c = begin(base)
    let refreshing = false
    let queue = []
    const request = async (method, path, options = {}) => {
      const r = await c.call(method, path, { token: c.token, ...options })
      const { code, msg, data } = r.json ?? {}
      if (['无效的刷新令牌', '刷新令牌已过期'].includes(msg)) throw new Failed(msg)
      if (code === 0) return data
      if (code !== 401) fail(c, r)
      if (refreshing) return new Promise((ok, no) => queue.push(() => request(method, path, options).then(ok, no)))
      if (!c.refresh) return signOut() // which loads the page anew
      refreshing = true
      try {
        const renewed = await c.call('POST', `/admin-api/system/auth/refresh-token?refreshToken=${c.refresh}`)
        c.token = renewed.json.data.accessToken
        c.refresh = renewed.json.data.refreshToken
        queue.forEach((go) => go())
        queue = []
        return await request(method, path, options)
      } catch {
        queue.forEach((go) => go())
        return signOut()
      } finally {
        queue = []
        refreshing = false
      }
    }
    const signOut = () => {
      if (c.token) out(c)
      throw new Failed('signed out')
    }
    c.login = async (body, type) => {
      const data = await request('POST', '/admin-api/system/auth/login', { body, type })
      c.token = data.accessToken
      c.refresh = data.refreshToken
    }
    c.get = async () => (await request('GET', '/admin-api/system/auth/get-permission-info')).user.username
    c.names = ['username', 'password']
    return c
  },

  // A flag and a queue; the renewal goes through the same pipeline.
  youlai(base) {
    const c = begin(base)
    let refreshing = false
    let queue = []
    const request = async (method, path, options = {}) => {
      const r = await c.call(method, path, { token: c.token, ...options })
      const code = r.json?.code
      if (code === '00000') return r.json.data
      if (code === 'A0231') {
        out(c)
        throw new Failed(r.json.msg)
      }
      if (code !== 'A0230') fail(c, r)
      return new Promise((ok, no) => {
        queue.push({ go: () => request(method, path, options).then(ok, no), no })
        if (refreshing) return
        refreshing = true
        request('POST', `/api/v1/auth/refresh-token?refreshToken=${c.refresh}`)
          .then((data) => {
            c.token = data.accessToken
            c.refresh = data.refreshToken
            queue.forEach((w) => w.go())
          })
          .catch((e) => queue.forEach((w) => w.no(e)))
          .finally(() => {
            queue = []
            refreshing = false
          })
      })
    }
    c.login = async (body, type) => {
      const data = await request('POST', '/api/v1/auth/login', { body, type })
      c.token = data.accessToken
      c.refresh = data.refreshToken
    }
    c.get = async () => (await request('GET', '/api/v1/users/me')).username
    c.names = ['username', 'password']
    return c
  },

  // Goes by the clock, before it sends; a failed renewal is caught, as newer versions do.
  pure(base) {
    const c = begin(base)
    let refreshing
    c.expired = false
    const keep = (data) => {
      c.token = data.accessToken
      c.refresh = data.refreshToken
      c.expired = !(Date.parse(data.expires) > 0)
    }
    c.login = async (body, type) => {
      const r = await c.call('POST', '/login', { body, type })
      if (!r.json?.success) fail(c, r)
      keep(r.json.data)
    }
    c.get = async () => {
      if (c.expired) {
        refreshing ??= (async () => {
          const r = await c.call('POST', '/refresh-token', { body: { refreshToken: c.refresh } })
          if (r.json?.success) return keep(r.json.data)
          out(c)
          fail(c, r)
        })().finally(() => (refreshing = undefined))
        await refreshing
      }
      const r = await c.call('GET', '/mine', { token: c.token })
      if (!r.json?.success) fail(c, r)
      return r.json.data.username
    }
    c.names = ['username', 'password']
    return c
  },

  // Reads JSON before it looks at the status; 401 of either kind renews, others wait; no data is the end.
  nova(base) {
    const c = begin(base)
    let refreshing
    const request = async (method, path, options = {}) => {
      const r = await c.call(method, path, { token: c.token, ...options })
      if (!r.json) throw new Error('not JSON: the client is stuck')
      if (r.status === 401 || r.json.code === 401) {
        if (!refreshing) {
          refreshing = renew().finally(() => (refreshing = undefined))
        }
        await refreshing
        if (!c.token) throw new Failed('signed out')
        return request(method, path, options)
      }
      if (r.json.code !== 200) fail(c, r)
      return r.json.data
    }
    const renew = async () => {
      const data = await request('POST', '/updateToken', { body: { refreshToken: c.refresh } }).catch((e) => {
        if (e instanceof Failed) return null
        throw e
      })
      if (!data) return out(c)
      c.token = data.accessToken
      c.refresh = data.refreshToken
    }
    c.login = async (body, type) => {
      const data = await request('POST', '/login', { body, type })
      c.token = data.accessToken
      c.refresh = data.refreshToken
    }
    c.get = async () => (await request('GET', '/getUserInfo')).userName
    c.names = ['userName', 'password']
    return c
  },

  // One token, the next one in a header; 401 is the end.
  gva(base) {
    const c = begin(base)
    const request = async (method, path, options = {}) => {
      const r = await c.call(method, path, { token: c.token, header: 'x-token', ...options })
      if (r.headers.get('new-token')) c.token = c.refresh = r.headers.get('new-token')
      if (r.status === 401 || r.json?.data?.reload) {
        if (c.token) out(c)
        throw new Failed('signed out')
      }
      if (r.json?.code !== 0) fail(c, r)
      return r.json.data
    }
    c.login = async (body, type) => {
      const data = await request('POST', '/base/login', { body, type })
      c.token = c.refresh = data.token
    }
    c.get = async () => (await request('GET', '/user/getUserInfo')).userInfo.userName
    c.names = ['username', 'password']
    return c
  },
}
