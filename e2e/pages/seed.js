// Two interceptors as people write them by hand, defects left in: no lock
// between tabs, any failure of the renewal means sign-in, a late 401 renews
// again, no time-out, and in one of them the queue is forgotten on failure.
import axios from 'axios'

globalThis.counts = { redirects: 0, renewals: 0 }
const toSignIn = () => {
  counts.redirects++
}

/** Style 1: cookie, module-level flag and queue. */
function cookieStyle() {
  const api = axios.create({ baseURL: '/' })
  let isRefreshing = false
  let queue = []
  api.interceptors.request.use((config) => {
    const token = localStorage.getItem('access_token')
    if (token) config.headers.Authorization = token
    return config
  })
  api.interceptors.response.use(undefined, async (error) => {
    const { config, response } = error
    if (response?.status !== 401 || config._retry) throw error
    config._retry = true
    if (isRefreshing) {
      return new Promise((resolve) => queue.push(() => resolve(api(config))))
    }
    isRefreshing = true
    try {
      counts.renewals++
      const { data } = await axios.post('/auth/refresh', {}, { withCredentials: true, xsrfCookieName: 'tacet_csrf', xsrfHeaderName: 'X-CSRF-Token' })
      localStorage.setItem('access_token', `Bearer ${data.access_token}`)
      queue.forEach((go) => go())
      return api(config)
    } catch (e) {
      localStorage.removeItem('access_token')
      toSignIn()
      throw e
    } finally {
      queue = []
      isRefreshing = false
    }
  })
  api.signIn = async (username) => {
    const { data } = await axios.post('/auth/login', { username, password: `${username}-password` })
    localStorage.setItem('access_token', `Bearer ${data.access_token}`)
  }
  return api
}

/** Style 2: both tokens in localStorage, a retry counter, no flag between tabs. */
function bodyStyle() {
  const api = axios.create({ baseURL: '/' })
  let pending
  let retries = 0
  const renew = async () => {
    counts.renewals++
    const { data } = await axios.post('/auth/refresh', { refresh_token: localStorage.getItem('refresh_token') })
    localStorage.setItem('token', data.access_token)
    if (data.refresh_token) localStorage.setItem('refresh_token', data.refresh_token)
  }
  api.interceptors.request.use((config) => {
    config.headers.Authorization = `Bearer ${localStorage.getItem('token')}`
    return config
  })
  api.interceptors.response.use(
    (r) => {
      retries = 0
      return r
    },
    async (error) => {
      if (error.response?.status !== 401) throw error
      if (retries >= 100) {
        toSignIn()
        throw error
      }
      retries++
      try {
        await (pending ??= renew().finally(() => (pending = undefined)))
      } catch (e) {
        localStorage.removeItem('token')
        toSignIn()
        throw e
      }
      return api(error.config)
    },
  )
  api.signIn = async (username) => {
    const { data } = await axios.post('/auth/login', { username, password: `${username}-password`, delivery: 'body' })
    localStorage.setItem('token', data.access_token)
    localStorage.setItem('refresh_token', data.refresh_token)
  }
  return api
}

globalThis.styles = { cookie: cookieStyle, body: bodyStyle }
