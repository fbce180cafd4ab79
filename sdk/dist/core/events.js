export const createEvents = (platform, { onSignedOut, trace }) => {
  const listeners = /* @__PURE__ */ new Set([["signedout", onSignedOut]]);
  const call = (listener, e) => {
    try {
      listener?.(e);
    } catch (error) {
      ;
      (platform.reportError ?? console.error)(error);
    }
  };
  const on = (...entry) => {
    listeners.add(entry);
    return () => listeners.delete(entry);
  };
  return {
    on,
    h: (type, detail, id) => {
      call(trace, { type, at: platform.performance.now(), id, detail });
      for (const [wanted, listener] of listeners)
        if (wanted === type)
          queueMicrotask(() => call(listener, detail));
    }
  };
};
