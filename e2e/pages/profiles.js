// Two interceptors in the style of the articles that teach them, defects left
// in, speaking the dialects that those articles use. They know nothing of Tacet.
// Both run in pages and under node; `storage` is localStorage or looks like it.

/**
 * Cookie, envelope, module-level flag and queue. Its defects: the renewal passes
 * the same interceptor (a 401 there would wait for itself for ever), the queue is
 * never told of a failure, there is no lock between tabs and no time-out, and a
 * late 401 renews again.
 */
export function envelopeStyle({ axios, storage, counts, baseURL }) {
  const api = axios.create({ baseURL })
  let isRefreshing = false
  let queue = []
  api.interceptors.request.use((config) => {
    const token = storage.getItem('access_token')
    if (token) config.headers.Authorization = token
    return config
  })
  api.interceptors.response.use(
    (response) => {
      if (response.config.responseType === 'blob' || response.config.responseType === 'arraybuffer') return response.data
      if (response.data?.isSuccess === false) return Promise.reject(new Error(response.data.message))
      return response.data
    },
    async (error) => {
      const { config, response } = error
      if (response?.status !== 401) throw error
      if (isRefreshing) return new Promise((resolve) => queue.push((token) => {
        config.headers.Authorization = token
        resolve(api(config))
      }))
      isRefreshing = true
      try {
        counts.renewals++
        const answer = await api.post('/api/Auth/RefreshToken', {}, { withCredentials: true })
        const token = `Bearer ${answer.data.accessToken}`
        storage.setItem('access_token', token)
        queue.forEach((go) => go(token))
        queue = []
        config.headers.Authorization = token
      } catch (e) {
        storage.removeItem('access_token')
        counts.signedOut++
        throw e
      } finally {
        isRefreshing = false
      }
      return api(config)
    },
  )
  return {
    signIn: async (username, password) => {
      const answer = await api.post('/api/Auth/Login', { username, password }, { withCredentials: true })
      storage.setItem('access_token', `Bearer ${answer.data.accessToken}`)
    },
    signOut: async () => {
      await api.post('/api/Auth/Logout', {}, { withCredentials: true })
      storage.removeItem('access_token')
    },
    get: (path, config) => api.get(path, config),
    who: async () => (await api.get('/api/Auth/UserInfo')).data.userName,
  }
}

/**
 * Both tokens in a store that is read from storage when the page loads, flag and
 * queue, and a counter against endless loops. Its defects: the counter also
 * counts calls that only wait, and is never set back, so that a page that lives
 * long ends in the sign-in page (with a limit of 1, as it was published, at the
 * second call that fails); tokens are overwritten with whatever the answer has or lacks; the store
 * of a tab does not hear of other tabs; the renewal passes the same interceptor.
 */
export function abpStyle({ axios, storage, counts, baseURL }) {
  const api = axios.create({ baseURL })
  const MAX_RENEWALS = 100
  const store = { userId: storage.getItem('userId'), token: storage.getItem('token'), refreshToken: storage.getItem('refreshToken') }
  const set = (tokens) => {
    Object.assign(store, tokens)
    for (const [k, v] of Object.entries(tokens)) storage.setItem(k, v)
  }
  const logout = () => {
    counts.signedOut++
    set({ token: '', refreshToken: '' })
  }
  let isRefreshing = false
  let renewals = 0
  let queue = []
  const renew = async () => {
    if (!store.refreshToken) return ''
    const { data } = await api.post('/api/app/account/refresh-token', { userId: store.userId, refreshToken: store.refreshToken })
    if (!data.success) throw new Error('no new token')
    set({ token: data.token, refreshToken: data.refreshToken })
    return data.token
  }
  api.interceptors.request.use((config) => {
    config.headers.__tenant = storage.getItem('tenant') ?? undefined
    config.headers['accept-language'] = 'en'
    if (!config.url.includes('/api/app/account/login')) config.headers.Authorization = `Bearer ${store.token}`
    return config
  })
  api.interceptors.response.use(
    (response) => response,
    async (error) => {
      let message = 'something went wrong'
      switch (error.response?.status) {
        case 400:
          message = error.response.data.error?.validationErrors[0].message
          break
        case 401: {
          const original = error.config
          if (renewals++ >= MAX_RENEWALS) {
            queue = []
            isRefreshing = false
            renewals = 0
            logout()
            break
          }
          if (isRefreshing) return new Promise((resolve) => queue.push((token) => {
            original.headers.Authorization = `Bearer ${token}`
            resolve(api(original))
          }))
          isRefreshing = true
          counts.renewals++
          try {
            const token = await renew()
            queue.forEach((go) => go(token))
            queue = []
            return api(original)
          } catch {
            queue = []
            renewals = 0
            logout()
          } finally {
            isRefreshing = false
          }
        }
      }
      error.shown = message
      throw error
    },
  )
  return {
    signIn: async (name, password) => {
      const { data } = await api.post('/api/app/account/login', { name, password })
      set({ userId: data.id, token: data.token, refreshToken: data.refreshToken })
    },
    signOut: async () => {
      await api.post('/api/app/account/logout')
      set({ token: '', refreshToken: '' })
    },
    get: async (path, config) => (await api.get(path, config)).data,
    who: async () => (await api.get('/api/abp/application-configuration')).data.currentUser.userName,
  }
}
