const OBJECTION = 30;
export const createLock = (platform, name, timeout, tabs) => {
  let mine = 1;
  let objected = false;
  const claim = async (task) => {
    mine = Math.random();
    do {
      objected = false;
      tabs.s({ type: "claim", claim: mine });
      await new Promise((resolve) => platform.setTimeout(resolve, OBJECTION));
    } while (objected);
    mine = 0;
    return task().finally(() => mine = 1);
  };
  return {
    g: async (task) => {
      let turn;
      try {
        const locks = platform.navigator?.locks;
        if (locks)
          return await locks.request(name, { signal: platform.AbortSignal.timeout(timeout) }, () => turn = task());
      } catch {
        if (turn)
          return turn;
      }
      return claim(task);
    },
    N: (claim2) => {
      if (claim2 > mine)
        tabs.s({ type: "claim", claim: mine });
      else
        objected = true;
    }
  };
};
