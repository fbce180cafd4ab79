/**
 * axios-auth-refresh, as its own documentation sets it up, over the native calls. `storage` keeps
 * the refresh token where there are no cookies; `options` are the library's.
 */
export function authRefresh({ axios, createAuthRefresh, baseURL, counts, storage, options }) {
  const api = axios.create({ baseURL })
  const csrf = { xsrfCookieName: 'tacet_csrf', xsrfHeaderName: 'X-CSRF-Token' } // the names of the server
  let token
  api.interceptors.request.use((request) => {
    if (token) request.headers.Authorization = `Bearer ${token}`
    return request
  })
  const keep = (data) => {
    token = data.access_token
    if (data.refresh_token) storage?.setItem('refresh_token', data.refresh_token)
  }
  createAuthRefresh(api, async (failed) => {
    counts.renewals++
    const { data } = await axios.post(`${baseURL}auth/refresh`, storage ? { refresh_token: storage.getItem('refresh_token') } : {}, csrf)
    keep(data)
    failed.response.config.headers.Authorization = `Bearer ${token}`
  }, options)
  return {
    signIn: async (username, password) => keep((await axios.post(`${baseURL}auth/login`, { username, password, delivery: storage ? 'body' : 'cookie' })).data),
    signOut: async () => {
      const { status } = await axios.post(`${baseURL}auth/logout`, storage ? { refresh_token: storage.getItem('refresh_token') } : {}, csrf)
      return status
    },
    /** n calls at once: status numbers, or what went wrong; 'hangs' after five seconds. */
    burst: (n, path = 'api/orders') => {
      const limit = new Promise((r) => setTimeout(r, 5000, 'hangs'))
      const call = () => api.get(path).then((r) => r.status, (e) => e.response?.status ?? e.code)
      return Promise.all(Array.from({ length: n }, () => Promise.race([limit, call()])))
    },
  }
}
