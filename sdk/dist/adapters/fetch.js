/** `fetch` around a session's flow. @internal */
export const fetchWith = (send) => async (input, init) => {
    // A Request keeps the bytes of its body, and the boundary of a form, whatever the caller does
    // with the originals while it waits.
    const request = new Request(input, init);
    // The platform demands `duplex` for a stream, and for nothing else.
    const once = !!init?.duplex;
    return init?.tacet === false || request.headers.get('authorization')
        ? fetch(request)
        : send(request, (token, repeat) => {
            const r = repeat || once ? request : request.clone();
            if (token)
                r.headers.set('authorization', 'Bearer ' + token);
            return fetch(r);
        }, once);
};
