const SIGNED_OUT = "You are signed out. Please sign in again.";
const TRY_AGAIN = "The server cannot be reached. Please try again.";
export class TacetError extends Error {
  code;
  name = "TacetError";
  /** @internal */
  constructor(code, { status, title, detail, retryAfter, cause } = {}) {
    super(detail ?? title ?? (code === "signedout" ? SIGNED_OUT : /^(network|unavailable|not_r)/.test(code) ? TRY_AGAIN : code), { cause });
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}
