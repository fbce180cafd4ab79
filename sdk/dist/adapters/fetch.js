/** `fetch` around a session's flow. @internal */
export const fetchWith = (send, platform = globalThis) => async (input, init) => {
    // A Request keeps the bytes of its body, and the boundary of a form, whatever the caller does
    // with the originals while it waits.
    const request = new Request(input, init);
    // The platform demands `duplex` for a stream, and for nothing else.
    const once = init !== undefined && 'duplex' in init;
    if (init?.tacet === false || request.headers.get('authorization'))
        return platform.fetch(request);
    return send(request, (token, repeat) => {
        const attempt = repeat || once ? request : request.clone();
        if (token)
            attempt.headers.set('authorization', 'Bearer ' + token);
        return platform.fetch(attempt);
    }, once);
};
