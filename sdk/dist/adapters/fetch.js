import { TacetError } from '../core/error.js';
/** Where streams cannot be sent, the platform would send the text `[object ReadableStream]`. @internal */
export const streamError = () => new TacetError('unsupported_body', { title: 'This browser cannot send a stream.' });
/** `fetch` around a session's flow. @internal */
export const fetchWith = (send, platform = globalThis) => async (input, init) => {
    const once = typeof ReadableStream !== 'undefined' && init?.body instanceof ReadableStream;
    let canSend = !once;
    const stream = {
        ...init,
        // Only who can send streams asks.
        get duplex() {
            canSend = true;
            return 'half';
        },
    };
    // A Request keeps the bytes of its body, and the boundary of a form, whatever the caller does
    // with the originals while it waits.
    const request = new Request(input, once ? stream : init);
    if (!canSend)
        throw streamError();
    if (init?.tacet === false || request.headers.get('authorization'))
        return platform.fetch(request);
    return send(request, (token, repeat) => {
        const attempt = repeat || once ? request : request.clone();
        if (token)
            attempt.headers.set('authorization', 'Bearer ' + token);
        return platform.fetch(attempt);
    }, once);
};
