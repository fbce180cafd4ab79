/** `fetch` around a session's flow. @internal */
export const fetchWith = (o, env, send) => async (input, init) => {
    const raw = (i, n) => (o.fetch ?? env.fetch)(i, n);
    // A Request keeps the bytes of its body, and the boundary of a form, whatever the caller does
    // with the originals while it waits.
    const request = new Request(input, init);
    return send({
        url: new URL(request.url),
        method: request.method,
        signal: request.signal,
        once: !!init?.duplex,
        tacet: request.headers.has('authorization') ? false : init?.tacet,
        send: (token, repeat) => {
            if (!token)
                return raw(request);
            const copy = repeat || init?.duplex ? request : request.clone();
            copy.headers.set('authorization', 'Bearer ' + token);
            return raw(copy);
        },
        status: (r) => r.status,
        discard: (r) => void r.body?.cancel().catch(() => { }),
    });
};
