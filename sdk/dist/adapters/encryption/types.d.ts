import type { Session } from '../../core/types.js';
/** Options of {@link createEncryption}. All are optional. */
export interface EncryptionOptions {
    /** Where the session server is mounted, as for `createSession`. Default `/auth`. */
    baseURL?: string;
    /** The key set of the server that requests go to. Default: `/.well-known/jwks.json` at the origin of `baseURL`. */
    keys?: string;
    /**
     * Thumbprints (RFC 7638, the `kid`) of the server keys that are taken, and no others. Without them, whoever
     * controls the connection while the key set is read can put a key of their own in its place.
     */
    pins?: readonly string[];
}
/** Requests of a session whose bodies only the two ends can read. */
export interface Encryption {
    /**
     * `session.fetch` with everything encrypted: the request, and the answer, which is given back as the handler
     * wrote it. Bodies are held in memory as a whole. Redirects are refused. Answers in plain text are never given
     * back: those below 400 reject with `plaintext`, others come with their status and an empty body.
     */
    readonly fetch: Session['fetch'];
}
