import { TacetError } from './error.js';
/** The user's own sessions: `GET /sessions`, `DELETE /sessions/{id}`. */
export const createSessions = ({ base }, fetch) => {
    const call = async (path, method) => {
        const response = await fetch(base + '/sessions' + path, { method });
        const { ok, status } = response;
        const json = await response.json().catch(() => { });
        if (!ok)
            throw new TacetError(json?.code ?? 'unavailable', { ...json, status });
        return json;
    };
    return {
        list: async () => (await call('', 'GET')).sessions,
        end: async (id) => void (await call('/' + encodeURIComponent(id), 'DELETE')),
    };
};
