/** Listeners that throw are reported, and disturb nobody. */
export const createEvents = (platform, { onSignedOut, trace }) => {
    const listeners = new Set();
    const call = (listener, e) => {
        try {
            listener?.(e);
        }
        catch (error) {
            ;
            (platform.reportError ?? console.error)(error);
        }
    };
    const on = (...entry) => {
        listeners.add(entry);
        return () => listeners.delete(entry);
    };
    if (onSignedOut)
        on('signedout', onSignedOut);
    return {
        on,
        emit: (type, detail, id) => {
            call(trace, { type, at: platform.performance.now(), id, detail });
            for (const [wanted, listener] of listeners)
                if (wanted === type)
                    queueMicrotask(() => call(listener, detail));
        },
    };
};
