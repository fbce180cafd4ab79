/** The record under `key`; in memory where the platform cannot store it. */
export const createStore = (platform, key) => {
    let memory;
    let isDurable = true;
    return {
        read: () => {
            try {
                return JSON.parse((isDurable ? platform.localStorage?.[key] : memory) ?? 'null') ?? undefined;
            }
            catch {
                // Forbidden, or not ours.
                return undefined;
            }
        },
        write: (record) => {
            memory = record && JSON.stringify(record);
            try {
                const { localStorage } = platform;
                if (memory && localStorage)
                    localStorage[key] = memory;
                else
                    delete localStorage?.[key];
                isDurable = !!localStorage;
            }
            catch {
                isDurable = false;
            }
        },
        isDurable: () => isDurable,
    };
};
