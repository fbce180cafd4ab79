/** Resolves after `ms` milliseconds. @internal */
export const sleep = (ms) => new Promise((ok) => setTimeout(ok, ms));
/** Does nothing: for failures that somebody else reports. @internal */
export const ignore = () => { };
/**
 * `p`, or the reason of `signal` as soon as it aborts. The work behind `p` goes on: it is shared.
 *
 * @internal
 */
export const race = (p, signal) => signal
    ? new Promise((ok, no) => {
        const stop = () => no(signal.reason);
        if (signal.aborted)
            stop();
        signal.addEventListener('abort', stop);
        p.then(ok, no).finally(() => signal.removeEventListener('abort', stop));
    })
    : p;
