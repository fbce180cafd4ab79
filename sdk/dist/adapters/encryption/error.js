/** What `Encryption.fetch` rejects with, beside the platform's and the session's own errors. */
export class EncryptionError extends Error {
    name = 'EncryptionError';
    code;
    /** HTTP status of the answer, where there was one. */
    status;
    /** @internal */
    constructor(code, status) {
        super(code);
        this.code = code;
        this.status = status;
    }
}
