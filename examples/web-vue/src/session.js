import { createSession } from '@tacet/browser'
import { createGrants } from '@tacet/browser/grants'

export const session = createSession({ baseURL: '/auth' })
export const grants = createGrants(session, { refreshGrantsOnReload: true })
