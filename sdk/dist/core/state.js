/**
 * What survives a reload. The *mark* names the refresh token that this browser holds now: the value
 * of the readable cookie that is set beside it, or, under body delivery, the refresh token itself. It
 * changes with each renewal in any tab, and a token whose `g` is not the mark is not the newest.
 *
 * @internal
 */
export const openStore = (env, name, storage, body) => {
    // Where storage is full, forbidden or missing, this tab still works, alone.
    const memory = {};
    const read = (key) => {
        try {
            return JSON.parse(memory[key] ?? env.localStorage.getItem(key));
        }
        catch {
            // Missing or not ours: as if it were not there.
        }
    };
    const write = (key, value) => {
        const text = JSON.stringify(value);
        memory[key] = undefined;
        try {
            if (text)
                env.localStorage.setItem(key, text);
            else
                env.localStorage.removeItem(key);
        }
        catch {
            memory[key] = text;
        }
    };
    const load = () => read(name);
    return {
        load,
        save: (token) => write(name, token && (storage ? token : body ? { g: token.g } : undefined)),
        mark: () => (body ? load()?.g : /(?:^|; )XSRF-TOKEN=([^;]*)/.exec(env.document?.cookie ?? '')?.[1]) ?? '',
        ending: () => read(name + '!'),
        setEnding: (p) => write(name + '!', p),
    };
};
