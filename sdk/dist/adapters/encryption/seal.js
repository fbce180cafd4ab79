import { EncryptionError } from './error.js';
const { subtle } = crypto;
const utf8 = new TextEncoder();
const letters = utf8.encode('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
const values = new Uint8Array(256).fill(255);
letters.forEach((c, i) => (values[c] = i));
const dot = 46;
const encode = (b) => {
    const out = new Uint8Array(Math.ceil((b.length * 4) / 3));
    let o = 0;
    for (let i = 0; i < b.length; i += 3) {
        const n = (b[i] << 16) | (b[i + 1] << 8) | b[i + 2];
        // Beyond the end, typed arrays take nothing.
        out[o++] = letters[n >> 18];
        out[o++] = letters[(n >> 12) & 63];
        out[o++] = letters[(n >> 6) & 63];
        out[o++] = letters[n & 63];
    }
    return out;
};
/** Refuses what is not base64url, and bits that say nothing: one message has one form. */
const decode = (b) => {
    const out = new Uint8Array((b.length * 3) >> 2);
    let n = 0;
    let bits = 0;
    let o = 0;
    for (const c of b) {
        const v = values[c];
        if (v > 63)
            throw new EncryptionError('malformed');
        n = ((n << 6) | v) & 0xffff;
        if ((bits += 6) >= 8)
            out[o++] = n >> (bits -= 8);
    }
    if (b.length % 4 === 1 || n & ((1 << bits) - 1))
        throw new EncryptionError('malformed');
    return out;
};
const text = (b) => new TextDecoder().decode(b);
const join = (...parts) => {
    const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const p of parts) {
        out.set(p, at);
        at += p.length;
    }
    return out;
};
/** @internal */
export const publicKey = ({ x, y }) => ({ kty: 'EC', crv: 'P-256', x: x, y: y });
/** RFC 7638. @internal */
export const thumbprint = async ({ x, y }) => text(encode(new Uint8Array(await subtle.digest('SHA-256', utf8.encode(JSON.stringify({ crv: 'P-256', kty: 'EC', x, y }))))));
/** Agrees with a server's key for a session. @internal */
export const agree = async (client, server, sid) => {
    const algorithm = { name: 'ECDH', namedCurve: 'P-256' };
    const epk = publicKey(await subtle.exportKey('jwk', client.publicKey));
    const kid = await thumbprint(server);
    const secret = await subtle.deriveBits({ name: 'ECDH', public: await subtle.importKey('jwk', server, algorithm, false, []) }, client.privateKey, 256);
    const shared = await subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey']);
    const info = [kid, await thumbprint(epk), sid].join('\0');
    const derive = (direction, use) => subtle.deriveKey({ name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: utf8.encode(`tacet encryption v1 ${direction}\0${info}`) }, shared, { name: 'AES-GCM', length: 256 }, false, [use]);
    const [request, response] = await Promise.all([derive('request', 'encrypt'), derive('response', 'decrypt')]);
    return {
        seq: 0,
        async seal({ method, path, seq }, cty, content, time, iv = crypto.getRandomValues(new Uint8Array(12))) {
            const header = { alg: 'dir', enc: 'A256GCM', kid, epk, sid: sid || undefined, cty: cty || undefined, method, path, seq, time };
            const head = encode(utf8.encode(JSON.stringify(header)));
            const box = new Uint8Array(await subtle.encrypt({ name: 'AES-GCM', iv, additionalData: head }, request, content));
            const end = box.length - 16;
            const point = Uint8Array.of(dot);
            return join(head, point, point, encode(iv), point, encode(box.subarray(0, end)), point, encode(box.subarray(end)));
        },
        async open({ method, path, seq }, status, message) {
            const at = [];
            for (let i = message.indexOf(dot); i >= 0 && at.length < 5; i = message.indexOf(dot, i + 1))
                at.push(i);
            const [a, b, c, d] = at;
            if (at.length !== 4 || b !== a + 1)
                throw new EncryptionError('malformed');
            const head = message.slice(0, a);
            let h;
            try {
                h = JSON.parse(text(decode(head)));
            }
            catch {
                throw new EncryptionError('malformed');
            }
            if (h?.alg !== 'dir' || h.enc !== 'A256GCM' || 'zip' in h || 'crit' in h)
                throw new EncryptionError('algorithm');
            const iv = decode(message.subarray(b + 1, c));
            const tag = decode(message.subarray(d + 1));
            const box = join(decode(message.subarray(c + 1, d)), tag);
            if (iv.length !== 12 || tag.length !== 16)
                throw new EncryptionError('malformed');
            let content;
            try {
                content = new Uint8Array(await subtle.decrypt({ name: 'AES-GCM', iv, additionalData: head }, response, box));
            }
            catch {
                throw new EncryptionError('decrypt');
            }
            if (h.kid !== kid || h.method !== method || h.path !== path || h.seq !== seq || h.status !== status)
                throw new EncryptionError('binding');
            return { content, type: h.cty ?? '' };
        },
    };
};
