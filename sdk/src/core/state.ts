import type { Env } from './env.js'
import type { User } from './types.js'

/**
 * An access token and what it belongs to: kept in memory, sent to other tabs and, by option, stored.
 * Member names are short and fixed, because tabs with different builds of this package share them.
 *
 * @internal
 */
export interface Token {
  /** The access token. */
  t: string
  /** Its lifetime in milliseconds, counted from … */
  e: number
  /** … its receipt, `Date.now()` of this device. */
  w: number
  /** The mark (see {@link Store}) that came in the same answer. */
  g: string
  /** Id of the session. */
  s: string
  /** Who is signed in, where known. */
  u?: User | undefined
}

/**
 * The end of a session whose cookies are still there: a page that starts must not take them for a
 * living session.
 *
 * @internal
 */
export interface Ended {
  /** The mark that it had. */
  g: string
  /** Its id, where known. */
  s: string | undefined
  /** A sign-out that the server has not confirmed: the body to send. */
  b?: { everywhere: boolean; refresh_token?: string }
}

/**
 * What survives a reload. The *mark* names the refresh token that this browser holds now: the value
 * of the readable cookie that is set beside it, or, under body delivery, the refresh token itself. It
 * changes with each renewal in any tab, and a token whose `g` is not the mark is not the newest.
 *
 * @internal
 */
export const openStore = (env: Env, name: string, storage: boolean, body: boolean) => {
  // Where storage is full, forbidden or missing, this tab still works, alone.
  const memory: Record<string, string | undefined> = {}
  const read = (key: string) => {
    try {
      return JSON.parse(memory[key] ?? env.localStorage!.getItem(key)!)
    } catch {
      // Missing or not ours: as if it were not there.
    }
  }
  const write = (key: string, value?: unknown) => {
    const text = JSON.stringify(value)
    memory[key] = undefined
    try {
      if (text) env.localStorage!.setItem(key, text)
      else env.localStorage!.removeItem(key)
    } catch {
      memory[key] = text
    }
  }
  const load = (): Token | undefined => read(name)
  return {
    load,
    save: (token?: Token) => write(name, token && (storage ? token : body ? { g: token.g } : undefined)),
    mark: (): string =>
      (body ? load()?.g : /(?:^|; )XSRF-TOKEN=([^;]*)/.exec(env.document?.cookie ?? '')?.[1]) ?? '',
    ending: (): Ended | undefined => read(name + '!'),
    setEnding: (p?: Ended) => write(name + '!', p),
  }
}
