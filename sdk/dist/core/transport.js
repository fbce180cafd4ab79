import { TacetError } from './error.js';
/**
 * The statuses and codes with which the session server says that a session is over for good, as in wire/wire.go. All else
 * comes from somebody on the way (a proxy, a portal, a firewall), or may be tried again (`csrf`).
 */
const FINAL = /^40[013] invalid_grant$/;
export const isFinal = ({ status, code }) => FINAL.test(`${status} ${code}`);
/** `Retry-After` in milliseconds: seconds, or an HTTP date (RFC 9110 §10.2.3) by the server's own clock. */
const retryAfter = (headers, time) => {
    const value = headers.get('retry-after') ?? '';
    const ms = +value * 1000 || Date.parse(value) - (Date.parse(headers.get('date') ?? '') || time);
    return ms > 0 ? ms : undefined;
};
/**
 * The CSRF token, in the readable cookie whose name has a prefix under TLS. It changes with each renewal and starts with
 * the number of the renewal and a dot.
 */
export const csrf = (cookies = '') => /(?:^|; )(?:__Host-)?tacet_csrf=([^;]+)/.exec(cookies)?.[1] ?? '';
/**
 * POSTs to the session server. `keepalive` decides whether the rotated cookie lands when the tab closes in the
 * middle. Nothing aborts it but time: what the server has begun is better known than lost.
 */
export const createPost = (platform, base, timeout, isBody) => async (path, data) => {
    try {
        const response = await platform.fetch(base + path, {
            method: 'POST',
            headers: { 'content-type': 'application/json', 'x-csrf-token': isBody ? '' : csrf(platform.document?.cookie) },
            body: JSON.stringify(data),
            credentials: isBody ? 'omit' : 'include',
            keepalive: true,
            signal: platform.AbortSignal.timeout(timeout),
        });
        const { headers, status, ok } = response;
        const json = await response.json().catch(() => { });
        return {
            ...(headers.get('content-type')?.startsWith('application/problem+json') && json),
            grant: ok && json?.access_token ? json : undefined,
            status,
            retryAfter: retryAfter(headers, platform.Date.now()),
        };
    }
    catch (cause) {
        throw new TacetError('network', { cause });
    }
};
