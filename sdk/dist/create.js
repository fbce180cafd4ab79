import { fetchWith } from './adapters/fetch.js';
import { createCore } from './core/session.js';
/** A session in the given window: what tests of several tabs call. @internal */
export const createIn = (options, env) => {
    const core = createCore(options, env);
    return Object.defineProperty(core, 'fetch', { value: fetchWith(options, env, core.send) });
};
