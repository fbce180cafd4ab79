/**
 * For APIs that wrap every answer, such as `{"code":0,"message":"","data":…}`: callers get the data,
 * and a typed error where it failed.
 *
 * @packageDocumentation
 */
import { fetchWith } from './fetch.js';
import { TacetError } from '../core/error.js';
import { BusinessError } from './envelope/error.js';
import { inLanguage, messages as own } from './envelope/messages.js';
export { BusinessError } from './envelope/error.js';
/** A function for a path. */
const reader = (field) => typeof field === 'function' ? field : (body) => field.split('.').reduce((o, k) => o?.[k], body);
/** Sentences for people: the caller's for a code of the API, and the SDK's own. */
const createTexts = (messages, locale) => ({
    translate: (key) => inLanguage(messages, locale())?.[key],
    text: (key) => inLanguage(messages, locale())?.[key] ?? (inLanguage(own, locale()) ?? own.en)[key],
});
/** Safe to be asked for members: a body may be `null`, or a bare string. */
const object = (body) => (body && typeof body === 'object' ? body : {});
const parseWith = (parse) => async (type, disposition, read) => {
    // A file is a file, also if it is JSON.
    if (!/[/+]json *(;|$)/i.test(String(type)) || /^ *attachment/i.test(String(disposition)))
        return;
    const raw = await read();
    try {
        return parse(raw);
    }
    catch {
        // Not what it claims to be: the caller's business.
    }
};
/** What to throw for a failure. */
const errorOf = (fields, isWrapped, { translate, text }) => {
    const codeOf = reader(fields.code);
    const messageOf = reader(fields.message);
    return (response, body, cause) => {
        const b = object(body);
        const wrapped = isWrapped(body);
        const code = wrapped ? codeOf(b) : (b.code ?? response.status);
        // Tacet's own responses, and a gateway's, are problem documents.
        const theirs = (wrapped && messageOf(b)) || b.detail || b.title;
        const { status } = response;
        return new BusinessError(translate(code) || theirs || text(status < 500 ? 'failed' : 'unavailable'), { code, status, body, response, ...(cause ? { cause } : {}) });
    };
};
/** Sends through the session, and tells it the status that `judge` finds; `bodyOf` is the body of a response. */
const createSend = (session, judge) => {
    const bodies = new WeakMap();
    const read = async (r) => {
        const body = await judge.parse(r.headers.get('content-type'), r.headers.get('content-disposition'), () => r.clone().text());
        bodies.set(r, body);
        return body;
    };
    const send = async (...[request, transmit, once]) => {
        const { response } = await session.send(request, async (token, repeat) => {
            const response = (await transmit(token, repeat));
            return { response, status: judge.status(token, response.status, await read(response)) };
        }, once);
        return response;
    };
    return { fetchIt: fetchWith(send), bodyOf: async (r) => (bodies.has(r) ? bodies.get(r) : read(r)) };
};
/** Signs out when the API refuses `maxRenewals` tokens in a row and one more. */
const countRefusals = (session, maxRenewals, expired, onSignedOut) => {
    /** Tokens that were refused since the last success. */
    const refused = new Set();
    let reason;
    const status = (token, status, body) => {
        const over = status === 401 || (object(body) === body && expired?.(body));
        if (token && over && refused.add(token).size > maxRenewals) {
            refused.clear();
            reason = 'max_renewals';
            // At once, also for this request: it rejects with `signedout`.
            void session.signOut();
        }
        else if (!over && status < 400)
            refused.clear();
        return over ? 401 : status;
    };
    const destroy = session.on('signedout', (e) => {
        refused.clear();
        const why = reason;
        reason = undefined;
        onSignedOut?.(why ? { reason: why } : e);
    });
    return { status, destroy };
};
/**
 * Wraps a session for an API with envelopes. Renewals stay the session's own: where the dialect says "expired" inside
 * a 200, the session is told 401, and does what it does for that.
 *
 * @example
 * ```ts
 * import { createSession } from '@tacet/browser'
 * import { BusinessError, createEnvelope } from '@tacet/browser/envelope'
 *
 * const api = createEnvelope(createSession(), {
 *   ok: (b) => (b.code === undefined ? undefined : b.code === 0),
 *   message: 'msg',
 *   expired: (b) => b.code === 401,
 *   onSignedOut: () => location.assign('/sign-in'),
 * })
 * try {
 *   const orders = await api.fetch<{ id: number }[]>('/api/orders')
 *   console.log(orders.length)
 * } catch (e) {
 *   if (e instanceof BusinessError) console.log(e.code, e.message, e.body)
 *   else console.log(api.text(e))
 * }
 * ```
 */
export const createEnvelope = (session, { ok, data = 'data', code = 'code', message = 'message', expired, maxRenewals = 3, onSignedOut, locale = () => globalThis.document?.documentElement?.lang || globalThis.navigator?.language || 'en', messages, parse = JSON.parse, }) => {
    const isOk = reader(ok);
    const okOf = (body) => (object(body) === body ? isOk(body) : undefined);
    const texts = createTexts(messages, locale);
    const { status, destroy } = countRefusals(session, maxRenewals, expired, onSignedOut);
    const judge = {
        parse: parseWith(parse),
        status,
        ok: okOf,
        data: reader(data),
        error: errorOf({ code, message }, (body) => okOf(body) !== undefined, texts),
    };
    return { session, fetch: createFetch(session, judge), text: textOf(texts), destroy, _: judge };
};
const createFetch = (session, judge) => {
    const { fetchIt, bodyOf } = createSend(session, judge);
    return async (input, init) => {
        const given = (x) => x;
        if (init?.envelope === false)
            return given(await session.fetch(input, init));
        const response = await fetchIt(input, init);
        const body = await bodyOf(response);
        const ok = judge.ok(body);
        if (ok === undefined ? !response.ok : !ok)
            throw judge.error(response, body);
        return given(ok === undefined ? response : judge.data(body));
    };
};
const textOf = ({ translate, text }) => (error) => {
    const { name, code, message } = object(error);
    // Its message is the server's, in the language of the request, or for want of one the SDK's own.
    const isOwn = message === new TacetError(code).message;
    return (name === 'TacetError' && (isOwn ? text(code) : translate(code))) || message || text('failed');
};
