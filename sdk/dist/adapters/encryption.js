import { EncryptionError } from './encryption/error.js';
import { agree, publicKey, thumbprint } from './encryption/seal.js';
export { EncryptionError } from './encryption/error.js';
const jose = 'application/jose';
const sealHeader = 'tacet-seal';
const none = new Uint8Array();
/** The session that a token belongs to. Only looked at: whether it is true is the server's business. */
const sessionOf = (token) => JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'))).sid ?? '';
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
export const createEncryption = (session, { baseURL = '/auth', keys, pins } = {}) => {
    const base = new URL(baseURL, location.href).href;
    const set = new URL(keys ?? '/.well-known/jwks.json', keys ? location.href : base).href;
    let client;
    let server;
    /** By server key and session: numbers must go on where they were. */
    let channels = new Map();
    /** The last token of the session, and what it was exchanged for. */
    let bound;
    /** The server's clock minus ours, in milliseconds. */
    let ahead = 0;
    session.on('signedout', () => {
        client = bound = undefined;
        channels = new Map();
    });
    const serverKey = () => (server ??= (async () => {
        const answer = await fetch(set, { cache: 'no-cache', credentials: 'omit' });
        const list = answer.ok ? ((await answer.json()).keys ?? []) : [];
        for (const k of list) {
            if (k.use !== 'enc' || k.crv !== 'P-256' || (pins && !pins.includes(k.kid)))
                continue;
            const key = publicKey(k);
            // The name is the thumbprint, so that a pin on it is a pin on the key.
            if ((await thumbprint(key)) === k.kid)
                return { ...key, kid: k.kid };
        }
        throw new EncryptionError('keys', answer.status);
    })().catch((e) => {
        server = undefined;
        throw e;
    }));
    const channelFor = async (sid) => {
        client ??= crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits']);
        const [pair, { kid, ...key }] = await Promise.all([client, serverKey()]);
        const name = kid + sid;
        let c = channels.get(name);
        if (!c)
            channels.set(name, (c = agree(pair, key, sid)));
        return c;
    };
    /** Sends encrypted, once more where the server says that nothing was done. */
    const exchange = async (s, token) => {
        const { request, url, content } = s;
        const { method } = request;
        const path = url.pathname + url.search;
        for (let again = 0;; again++) {
            const channel = await channelFor(sessionOf(token));
            if (s.channel !== channel)
                Object.assign(s, { channel, seq: ++channel.seq });
            const place = { method, path, seq: s.seq };
            const headers = new Headers(request.headers);
            const message = await channel.seal(place, content.length ? (headers.get('content-type') ?? '') : '', content, Date.now() + ahead);
            headers.delete('content-type');
            if (content.length)
                headers.set('content-type', jose);
            else
                headers.set(sealHeader, new TextDecoder().decode(message));
            headers.set('accept', jose + ', ' + (headers.get('accept') ?? '*/*'));
            headers.set('authorization', 'Bearer ' + token);
            const { signal, credentials, mode, referrer, referrerPolicy } = request;
            const answer = await fetch(url, {
                method,
                headers,
                ...(content.length ? { body: message } : {}),
                signal,
                credentials,
                ...(mode === 'navigate' ? {} : { mode }),
                referrer,
                referrerPolicy,
                cache: 'no-store',
                redirect: 'error',
            });
            const seal = answer.headers.get(sealHeader);
            const { status } = answer;
            if (seal || answer.headers.get('content-type')?.split(';')[0] === jose) {
                const sealed = seal ? new TextEncoder().encode(seal) : new Uint8Array(await answer.arrayBuffer());
                return opened(answer, await channel.open(place, status, sealed));
            }
            const code = status < 400 ? 'plaintext' : await answer.json().then((p) => p?.code, () => { });
            if (typeof code !== 'string' || !/^(plaintext|encryption_)/.test(code))
                return opened(answer);
            const hint = again || status < 400 ? '' : code.slice(11);
            if (hint === 'key')
                server = undefined;
            // Whole seconds, cut off: a little ahead is accepted, behind may be before the server's start.
            else if (hint === 'stale')
                ahead = (Date.parse(answer.headers.get('date') ?? '') || Date.now()) + 1000 - Date.now();
            // The platform repeats a GET whose connection broke. What only reads may be asked for anew.
            else if (hint === 'replayed' && /^(GET|HEAD)$/.test(method))
                delete s.channel;
            else
                throw new EncryptionError(code, status);
        }
    };
    /** The token for encrypted requests; an answer of the server if there is none to be had. */
    const bind = (token) => {
        if (bound?.from !== token) {
            const mine = {
                from: token,
                to: (async () => {
                    const url = new URL(base + '/encryption');
                    const answer = await exchange({ request: new Request(url, { method: 'POST', credentials: 'omit' }), url, content: none }, token);
                    return answer.ok ? (await answer.json()).access_token : answer;
                })(),
            };
            bound = mine;
            // What failed is asked for again.
            const forget = () => {
                if (bound === mine)
                    bound = undefined;
            };
            mine.to.then((to) => typeof to === 'string' || forget(), forget);
        }
        return bound.to;
    };
    return {
        async fetch(input, init) {
            const request = new Request(input, init);
            if (init?.tacet === false || request.headers.has('authorization'))
                throw new TypeError('encryption.fetch encrypts for the session: use fetch for requests without it');
            const s = { request, url: new URL(request.url), content: new Uint8Array(await request.arrayBuffer()) };
            return session.send(request, async (token) => {
                if (!token)
                    throw new EncryptionError('signedout');
                const to = await bind(token);
                return typeof to === 'string' ? exchange(s, to) : to.clone();
            });
        },
    };
};
/** An answer as the handler wrote it; without its body, if that came in plain text. */
const opened = (answer, inside) => {
    const { status, statusText, url } = answer;
    const headers = new Headers(answer.headers);
    for (const name of ['content-type', 'content-length', sealHeader])
        headers.delete(name);
    if (inside?.type)
        headers.set('content-type', inside.type);
    const body = inside && ![204, 205, 304].includes(status) ? inside.content : null;
    return Object.defineProperty(new Response(body, { status, statusText, headers }), 'url', { value: url });
};
