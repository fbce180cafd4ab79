import { createTabs } from './channel.js';
import { TacetError } from './error.js';
import { createEvents } from './events.js';
import { createLock } from './lock.js';
import { renew } from './renewal.js';
import { initial, isCurrent, isNobody, isOver, isUsable, reduce, renewAfter } from './state.js';
import { createStore } from './storage.js';
import { createPost, csrf } from './transport.js';
export const createCore = (platform, options) => {
    const { baseURL = '/auth', storage, delivery, origins = [], share = true, timeout = 10_000, leeway = 60_000 } = options;
    if (!platform.document && delivery !== 'body')
        throw new TacetError('unsupported', { title: "createSession() needs a page: without one no cookies can be read. In a worker use delivery: 'body'." });
    const base = new URL(baseURL, platform.location?.href).href;
    const name = 'tacet:' + base;
    const isBody = delivery === 'body';
    const store = createStore(platform, name);
    const stored = store.read();
    const tabs = createTabs(platform, name, (message) => hear(core, message));
    const core = {
        ...store,
        ...tabs,
        ...createLock(platform, name, timeout, tabs),
        ...createEvents(platform, options),
        post: createPost(platform, base, timeout, isBody),
        platform,
        base,
        name,
        isBody,
        isStored: storage === 'localStorage',
        isShared: share,
        state: initial(leeway, timeout, stored?.type === 'ended' ? stored : undefined),
        trusted: new Set([new URL(platform.location?.href ?? base).origin, new URL(base).origin, ...origins]),
    };
    tabs.open();
    return core;
};
export const generationOf = ({ isBody, read, platform }) => (isBody ? (read()?.generation ?? '') : csrf(platform.document?.cookie));
export const observe = (core) => {
    const { performance, Date } = core.platform;
    return { now: performance.now(), time: Date.now(), generation: generationOf(core) };
};
export const dispatch = (core, message) => {
    core.state = reduce(core.state, { ...message, ...observe(core) });
    for (const effect of core.state.effects)
        perform(core, effect);
    if (core.state.renewing && core.running !== core.state.epoch)
        void renew(core);
};
const perform = (core, [type, detail, isNew]) => {
    if (type === 'settle')
        return core.settle?.(detail);
    if (type !== 'deliver')
        core.emit(type, detail);
    if (type === 'renewed')
        adopted(core, detail.from, isNew);
    if (type === 'deliver') {
        core.write(detail);
        core.tell({ type: 'ended', session: detail.session });
        core.delivery = deliver(core);
    }
};
/**
 * Waits for a token: none if nobody is signed in. Rejects when patience runs out, unless the request can be repeated
 * (it is not `once`) and the old token is not known to be bad.
 */
export const obtain = async (core, signal, once, held) => {
    const now = observe(core);
    if (core.state.destroyed)
        throw core.state.over;
    if (!isNobody(core.state, now) && !isUsable(core.state, now)) {
        core.turn ??= new Promise((resolve, reject) => {
            core.settle = (error) => {
                core.turn = undefined;
                if (error)
                    reject(error);
                else
                    resolve();
            };
        });
        const turn = race(core.turn, signal);
        held?.();
        dispatch(core, { type: 'need' });
        await turn.catch((error) => {
            if (once || signal?.aborted || !isUsable(core.state, observe(core), true))
                throw error;
        });
    }
    return core.state.token;
};
/** `turn`, or the reason of `signal` as soon as it aborts. The renewal goes on: it is shared. */
const race = (turn, signal) => new Promise((resolve, reject) => {
    turn.then(resolve, reject);
    signal?.throwIfAborted();
    signal?.addEventListener('abort', () => reject(signal.reason));
});
/** A token of what the server has granted. A slow duplicate is granted no new refresh token: the one that is there stays. */
export const tokenOf = (core, { refresh_token, session, ...grant }) => ({
    ...grant,
    received: core.platform.Date.now(),
    session: session.id,
    generation: (core.isBody && refresh_token) || generationOf(core),
});
/** What a new token asks for: to be stored and told, and to be renewed ahead of its expiry if it has been used and somebody looks. */
const adopted = (core, from, isNew) => {
    const { platform, isBody, state } = core;
    const { generation } = state;
    if (isNew)
        core.user = state.token?.user;
    const token = state.token && { ...state.token, user: core.user };
    if (!token)
        return;
    platform.setTimeout(() => isCurrent(core.state, token) && core.state.used && wake(core), renewAfter(state, token) + 50);
    if (from === 'network' && core.isShared)
        core.tell({ type: 'token', token });
    if (from === 'network' ? !isBody || core.read()?.generation !== generation : isBody && !(core.read() && core.isDurable()))
        core.write(core.isStored ? { type: 'token', generation, token } : isBody ? { type: 'refresh', generation } : undefined);
    if (isNew)
        core.identify?.(token);
};
export const wake = (core, more) => dispatch(core, { type: 'wake', hidden: !!core.platform.document?.hidden, ...more });
/** Takes what another tab says. */
const hear = (core, message) => {
    const { state, isShared } = core;
    switch (message.type) {
        case 'token':
            return offer(core, message.token, 'tab');
        case 'ask':
            return isShared && state.token && isUsable(state, observe(core)) && core.tell({ type: 'token', token: state.token });
        case 'claim':
            return core.rival(message.claim);
        case 'ended':
            return dispatch(core, message);
    }
};
/** Another tab's token is the newest if its generation is the present one, or if it brings a refresh token that tabs cannot store together. */
const offer = (core, token, from) => {
    const generation = generationOf(core);
    dispatch(core, { type: 'offered', token, from, isNewest: generation === token.generation || (core.isBody && !(generation && core.isDurable())) });
};
/** Takes note of what other tabs have stored. */
export const look = (core) => {
    const record = core.read();
    if (record?.type === 'token')
        offer(core, record.token, 'storage');
    if (record?.type !== 'ended')
        return;
    void deliver(core);
    dispatch(core, { ...record, had: record.generation });
};
/** Delivers a sign-out that the server has not confirmed: true when there is none left. */
export const deliver = async (core) => {
    const send = async () => {
        const record = core.read();
        // If the cookie is another session's by now, that one must not be ended in this one's place.
        if (record?.type !== 'ended' || !isOver(generationOf(core), record.generation))
            return true;
        const { everywhere, generation } = record;
        const { status } = await core.post('/logout', { everywhere, refresh_token: core.isBody ? generation : undefined });
        if (status === 204)
            core.write();
        return status === 204;
    };
    return core.locked(send).catch(() => false);
};
