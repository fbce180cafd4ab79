import { fetchWith } from '../adapters/fetch.js';
import { createSessions } from './account.js';
import { createCore, deliver, dispatch, look, obtain, observe, tokenOf, wake } from './core.js';
import { TacetError } from './error.js';
import { createSend } from './requests.js';
import { statusOf } from './state.js';
const EVENTS = ['pageshow', 'pagehide', 'visibilitychange', 'online', 'storage'];
/** A session on this platform. */
export const createSessionOn = (platform, options = {}) => {
    const core = createCore(platform, options);
    const send = createSend(core);
    const fetch = fetchWith(send, platform);
    let identified;
    core.identify = (token) => (identified = identify(core, fetch, token));
    const life = new AbortController();
    for (const type of EVENTS)
        platform.addEventListener?.(type, (event) => live(core, event), life);
    look(core);
    return {
        fetch,
        send,
        on: core.on,
        // Patience may run out: the renewal goes on.
        ready: obtain(core)
            .catch(() => { })
            .then(() => identified),
        me: () => takeMe(core),
        getAccessToken: async () => (await obtain(core))?.access_token,
        renew: ({ force } = {}) => renewNow(core, force),
        sessions: createSessions(core, fetch),
        signIn: (credentials) => signIn(core, { ...credentials, delivery: options.delivery }),
        signOut: ({ everywhere } = {}) => signOut(core, everywhere),
        get user() {
            return core.state.token && core.user;
        },
        get status() {
            return statusOf(core.state, observe(core));
        },
        destroy: () => {
            life.abort();
            dispatch(core, { type: 'destroy' });
            core.close();
        },
    };
};
/** What the page's life means for the session. */
const live = (core, { type, key, persisted }) => {
    // Other keys are other people's.
    if (key && key !== core.name)
        return;
    if (type === 'pagehide')
        return core.close();
    if (type === 'pageshow')
        core.open();
    look(core);
    wake(core, { online: type === 'online', restored: persisted });
};
/** Learns who is signed in: comes with the token of a sign-in, else from `GET /me`. */
const identify = async (core, fetch, { session, user }) => {
    const me = async () => {
        core.me = await fetch(core.base + '/me');
        return (await core.me.clone().json()).user;
    };
    const known = user ?? (await me().catch(() => { }));
    // After the caller has had a chance to listen.
    await undefined;
    if (core.state.session === session)
        core.emit('signedin', (core.user = known));
};
const takeMe = (core) => {
    const { me } = core;
    core.me = undefined;
    return me;
};
const renewNow = async (core, force) => {
    const { token } = core.state;
    // As if an API had refused it.
    if (force && token)
        dispatch(core, { type: 'response', token, endpoint: '', isAccepted: false, repeated: false });
    if (!(await obtain(core)))
        throw core.state.over;
};
const signOut = async (core, everywhere) => {
    core.delivery = undefined;
    dispatch(core, { type: 'signout', everywhere });
    return !core.state.destroyed && (core.delivery ?? deliver(core));
};
/** Signs in. A renewal that ends meanwhile, either way, concerns the old session. */
const signIn = async (core, body) => {
    const { signOuts } = core.state;
    if (core.state.destroyed)
        throw core.state.over;
    const reply = await core.locked(() => core.post('/login', body));
    if (!reply.grant?.user)
        throw new TacetError(reply.code ?? 'unavailable', reply);
    const token = tokenOf(core, reply.grant);
    dispatch(core, { type: 'signedin', token, signOuts });
    // Signed out meanwhile, or destroyed.
    if (core.state.session !== token.session)
        throw core.state.over;
    return reply.grant.user;
};
