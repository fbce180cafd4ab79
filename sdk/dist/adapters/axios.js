/**
 * The session for axios.
 *
 * @packageDocumentation
 */
import { AxiosError, getAdapter } from 'axios';
import { streamError } from './fetch.js';
/**
 * Lets an axios instance send through the session, and returns the function that undoes it.
 *
 * It stands below the interceptors, where a request is sent: they see each request once, with its
 * final answer, and bodies are not transformed a second time. `signal`, `cancelToken` and `timeout`
 * hold while a request waits, too.
 *
 * @example
 * ```ts
 * import axios from 'axios'
 * import { createSession } from '@tacet/browser'
 * import { attach } from '@tacet/browser/axios'
 *
 * const api = axios.create({ baseURL: '/api' })
 * attach(api, createSession({ baseURL: '/auth' }))
 * const orders = await api.get('/orders')
 * ```
 */
export const attach = (instance, session) => {
    const { adapter } = instance.defaults;
    instance.defaults.adapter = (config) => {
        const send = adapterOf(adapter, config);
        return config.tacet === false || config.headers.has('authorization') ? send(config) : through(session, send, config, instance);
    };
    return () => {
        if (adapter)
            instance.defaults.adapter = adapter;
    };
};
/** What axios sends with; its types know the second parameter of getAdapter by another name. @internal */
export const adapterOf = (adapter, config) => getAdapter(adapter, config);
/** Whether this platform can send streams: only then it asks how. */
const canStream = () => {
    let isAsked = false;
    const init = {
        method: 'POST',
        body: new ReadableStream(),
        get duplex() {
            isAsked = true;
            return 'half';
        },
    };
    void new Request('https://tacet.invalid', init);
    return isAsked;
};
const through = async (session, adapter, config, instance) => {
    const { headers, data, timeout, cancelToken, signal } = config;
    const once = !!(data && (data.getReader || data.pipe) && !data.getHeaders);
    if (once && typeof XMLHttpRequest !== 'undefined' && !canStream())
        throw streamError();
    const wait = new AbortController();
    const stop = () => wait.abort(signal && signal.reason);
    if (signal?.aborted)
        stop();
    signal?.addEventListener?.('abort', stop);
    cancelToken?.promise.then(stop);
    // axios counts its time-out from the sending: each wait before has as long, on its own.
    let timer;
    const hold = () => {
        if (timeout)
            timer = setTimeout(() => wait.abort(new AxiosError(`timeout of ${timeout}ms exceeded`, 'ECONNABORTED', config)), timeout);
    };
    hold();
    try {
        const outcome = await session.send({ url: instance.getUri(config), method: (config.method ?? 'get').toUpperCase(), signal: wait.signal }, (token) => {
            clearTimeout(timer);
            if (token)
                headers.set('authorization', 'Bearer ' + token);
            return adapter(config)
                .finally(() => {
                // `axios(error.config)` is a new request of the session, not one with a token of its own.
                headers.delete('authorization');
                hold();
            })
                .then((response) => ({ status: response.status, give: () => response }), (error) => ({
                status: error.response?.status,
                give: () => {
                    throw error;
                },
            }));
        }, once);
        return outcome.give();
    }
    finally {
        clearTimeout(timer);
        signal?.removeEventListener?.('abort', stop);
    }
};
