/**
 * Why an encrypted request or its answer was refused, in one word that stays the same between versions.
 *
 * - `signedout`: there is no session to encrypt for.
 * - `keys`: the server publishes no key for encryption that is taken here.
 * - `plaintext`: an answer that should be encrypted is not. Do not trust it, nor the way it came.
 * - `malformed`, `algorithm`, `decrypt`: the answer was changed or cut off, or it is not ours.
 * - `binding`: a good answer, to another request.
 * - anything else: the server's word for why it refused the request: `encryption_required`, `encryption_invalid`,
 *   `encryption_key`, `encryption_stale`, `encryption_replayed`, `encryption_unsupported`.
 */
export type EncryptionErrorCode = 'signedout' | 'keys' | 'plaintext' | 'malformed' | 'algorithm' | 'decrypt' | 'binding' | (string & {});
/** What `Encryption.fetch` rejects with, beside the platform's and the session's own errors. */
export declare class EncryptionError extends Error {
    readonly name = "EncryptionError";
    readonly code: EncryptionErrorCode;
    /** HTTP status of the answer, where there was one. */
    readonly status: number | undefined;
}
