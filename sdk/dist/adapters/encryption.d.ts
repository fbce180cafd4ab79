/**
 * Requests and answers whose bodies only this page and the server can read: for what lies between them, like
 * TLS-terminating proxies and their logs. It does not protect from scripts in this page.
 *
 * @packageDocumentation
 */
import type { Session } from '../core/types.js';
import type { Encryption, EncryptionOptions } from './encryption/types.js';
export { EncryptionError, type EncryptionErrorCode } from './encryption/error.js';
export type { Encryption, EncryptionOptions } from './encryption/types.js';
/**
 * Encryption for a session. Agree once, share the object: every page has a key of its own, which no script can
 * read and which is gone with the page or the session.
 *
 * @example
 * ```ts
 * import { createSession } from '@tacet/browser'
 * import { createEncryption } from '@tacet/browser/encryption'
 *
 * const session = createSession({ baseURL: '/auth' })
 * const encryption = createEncryption(session, { baseURL: '/auth' })
 * const answer = await encryption.fetch('/api/salaries', { method: 'POST', body: JSON.stringify({ year: 2026 }) })
 * console.log(await answer.json())
 * ```
 *
 * @see docs/encryption.md on what this is good for, and what not
 */
export declare const createEncryption: (session: Session, { baseURL, keys, pins }?: EncryptionOptions) => Encryption;
