/** How long a tab with a lower number has to object, in milliseconds. */
const OBJECTION = 30;
/**
 * One turn per browser. The platform's lock, and where there is none (plain http, old web views), or where it does not
 * come in time (a frozen tab holds it), claims over the channel. It saves renewals; nothing depends on it for being right.
 */
export const createLock = (platform, name, timeout, tabs) => {
    /** 0: has the turn; 1: does not want it; between them: wants it. */
    let mine = 1;
    let objected = false;
    const claim = async (task) => {
        mine = Math.random();
        do {
            objected = false;
            tabs.tell({ type: 'claim', claim: mine });
            await new Promise((resolve) => platform.setTimeout(resolve, OBJECTION));
        } while (objected);
        mine = 0;
        return task().finally(() => (mine = 1));
    };
    return {
        locked: async (task) => {
            let turn;
            try {
                const locks = platform.navigator?.locks;
                if (locks)
                    return await locks.request(name, { signal: platform.AbortSignal.timeout(timeout) }, () => (turn = task()));
            }
            catch {
                if (turn)
                    return turn;
            }
            return claim(task);
        },
        rival: (claim) => {
            if (claim > mine)
                tabs.tell({ type: 'claim', claim: mine });
            else
                objected = true;
        },
    };
};
