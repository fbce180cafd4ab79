import { covers } from './grants/covers.js';
import { follow } from './grants/live.js';
export { covers } from './grants/covers.js';
const view = (status, me) => ({
    status,
    user: me?.user,
    roles: me?.roles ?? [],
    permissions: me?.permissions ?? [],
    settings: me?.settings ?? {},
    can: (p) => !!me?.permissions.some((g) => covers(g, p)),
});
/** What the token says of the grants that it was made with. Only looked at: whether it is true is the server's business. */
const claims = (token = '') => {
    try {
        return JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
    }
    catch {
        return {};
    }
};
/**
 * The grants of the session's user: fetched at sign-in, remembered over page loads, and kept up to date by
 * the browser's one event stream or, where no stream gets through, with each renewal.
 *
 * @example
 * ```ts
 * import { createSession } from '@tacet/browser'
 * import { createGrants } from '@tacet/browser/grants'
 *
 * const session = createSession({ baseURL: '/auth' })
 * const grants = createGrants(session, { refreshGrantsOnReload: true })
 * await grants.ready
 * const show = () => document.querySelector('#delete')!.toggleAttribute('hidden', !grants.can('orders:delete'))
 * grants.subscribe(show)
 * show()
 * ```
 */
export const createGrants = (session, { baseURL = '/auth', refreshGrantsOnReload = false, events = true, poll = 60_000, onEvent } = {}) => {
    const base = new URL(baseURL, location.href).href;
    const name = 'tacet:grants:' + base;
    const listeners = new Set();
    let snapshot = view('loading');
    let known;
    /** The least version that is new enough. */
    let want = 0;
    /** Counts sign-outs: an answer to a question from before one is nobody's. */
    let era = 0;
    /** When the server was last asked, by any tab. */
    let checked = -Infinity;
    let running;
    /** There is a reason to ask that the question under way may be too old for. */
    let due = false;
    let tries = 0;
    let again;
    let live = false;
    let leads = false;
    /** Nothing remembered may be shown before the server has been asked. */
    let strict = refreshGrantsOnReload && performance.getEntriesByType('navigation')[0]?.type === 'reload';
    let spare;
    try {
        spare = JSON.parse(localStorage[name]);
    }
    catch {
        // Missing, forbidden or not ours.
    }
    const save = () => {
        try {
            if (known)
                localStorage[name] = JSON.stringify(known);
            else
                localStorage.removeItem(name);
        }
        catch {
            // Full or forbidden: the next page asks.
        }
    };
    let channel;
    /** An open channel keeps a page out of the back/forward cache. Without one, each tab asks for itself. */
    const openChannel = () => {
        if (typeof BroadcastChannel === 'undefined' || channel)
            return;
        channel = new BroadcastChannel(name);
        channel.addEventListener('message', ({ data }) => {
            if ('me' in data)
                adopt(data);
            else if ('event' in data)
                hear(data.event);
            else if ('live' in data)
                live = data.live;
            else if (leads)
                tell({ live });
        });
    };
    const tell = (m) => channel?.postMessage(m);
    const publish = (next) => {
        snapshot = next;
        for (const fn of [...listeners]) {
            try {
                fn();
            }
            catch (e) {
                reportError(e);
            }
        }
    };
    const content = ({ me }) => JSON.stringify([me.session.id, me.user, me.roles, me.permissions, me.settings]);
    /** Uses an answer of the server, unless it is older than what is known. */
    const adopt = (x) => {
        if (session.status !== 'signedin')
            return;
        if (known?.me.session.id === x.me.session.id && x.me.grants_version < known.me.grants_version)
            return;
        if (known && known.me.user.id !== x.me.user.id)
            want = 0;
        const same = snapshot.status === 'signedin' && known && content(known) === content(x);
        known = x;
        checked = performance.now();
        if (x.me.grants_version >= want)
            clearTimeout(again);
        strict = false;
        if (!same)
            publish(view('signedin', x.me));
    };
    /** Asks once: whether what is known is new enough now. */
    const load = async (mine) => {
        try {
            const basis = known ?? spare;
            // At the start the session has just asked the same.
            const r = session.me?.() ?? (await session.fetch(base + '/me', { headers: basis?.etag ? { 'if-none-match': basis.etag } : {} }));
            const x = r.status === 304 ? basis : r.ok ? { me: (await r.json()), etag: r.headers.get('etag') } : undefined;
            if (!x || mine !== era)
                return false;
            adopt(x);
            save();
            tell(x);
            return x.me.grants_version >= want;
        }
        catch {
            return false;
        }
    };
    const attempt = async () => {
        const mine = era;
        clearTimeout(again);
        let ok = false;
        do
            due = false;
        while (session.status !== 'signedout' && (ok = await load(mine)) && due && mine === era);
        if (mine !== era || session.status === 'signedout')
            return;
        if (!ok && snapshot.status === 'loading')
            publish(view('offline'));
        // A renewal that the API has just refused is not repeated for ten seconds: try for longer than that, and without
        // end where nothing is known.
        if (!ok && (tries < 6 || !known))
            again = setTimeout(refresh, Math.min(500 * 2 ** tries++, known ? 8000 : 60_000) * (0.5 + Math.random()));
        else
            tries = 0;
    };
    const refresh = () => {
        due = true;
        if (running)
            return running;
        const p = attempt().finally(() => running === p && (running = undefined));
        return (running = p);
    };
    /** Asks if the access token is of other grants than those that are known. */
    const check = async () => {
        const c = claims(strict || running ? '' : await session.getAccessToken().catch(() => ''));
        if (running)
            return running;
        const fits = (x) => !!x && x.me.session.id === c.sid && x.me.grants_version >= c.grants_version;
        if (known && c.sid && known.me.session.id !== c.sid) {
            // Somebody has signed in anew, perhaps somebody else: what was known is not theirs.
            known = undefined;
            want = 0;
            publish(view('loading'));
        }
        if (!known && !strict && spare && fits(spare))
            adopt(spare);
        if (!known || !fits(known))
            return refresh();
    };
    /** Asks in a moment: not all pages of all users at once when a role changes, and rather a page that is looked at. */
    const soon = () => {
        clearTimeout(again);
        again = setTimeout(refresh, (document.hidden ? 500 : 0) + Math.random() * 100);
    };
    // ---- events ----
    const hear = (e) => {
        if (e.type === 'grants.changed') {
            want = Math.max(want, e.data.grants_version);
            if (!known || known.me.grants_version < want)
                soon();
        }
        else if (e.type === 'reset')
            soon();
        else if (e.type === 'session.ended' && e.data.session_id === known?.me.session.id) {
            publish(view('signedout'));
            // The session learns it from its own renewal, which the server refuses now, and tells everybody.
            void refresh();
        }
        onEvent?.(e);
    };
    const setLive = (up) => {
        live = up;
        tell({ live });
    };
    const stream = events
        ? follow(session, base, name, {
            event: (type, data) => {
                const event = { type, data };
                tell({ event });
                hear(event);
            },
            live: (up, gap) => {
                leads = true;
                setLive(up);
                if (gap)
                    void refresh();
            },
        })
        : undefined;
    // ---- life of the page ----
    const life = new AbortController();
    openChannel();
    const look = (least) => {
        if (!live && !document.hidden && session.status === 'signedin' && performance.now() - checked >= least)
            void (running ?? refresh());
    };
    document.addEventListener('visibilitychange', () => look(5000), life);
    const timer = poll && setInterval(look, poll, poll * 0.9);
    addEventListener('pagehide', () => {
        stream?.stop();
        leads = false;
        channel?.close();
        channel = undefined;
        // What a page in the back/forward cache looks like is what will be seen first when it comes back.
        if (refreshGrantsOnReload && snapshot.status === 'signedin') {
            strict = true;
            publish(view('loading'));
        }
    }, life);
    addEventListener('pageshow', (e) => {
        if (!e.persisted)
            return;
        openChannel();
        // The session has looked at the cookies first: whose they are may not be known.
        if (session.status !== 'signedin') {
            known = undefined;
            publish(view(session.status));
        }
        stream?.start();
        ready = strict ? refresh() : check();
    }, life);
    const off = [
        session.on('signedin', () => void check()),
        // With the stream up, events tell of changes; to look into each new token would count as using it,
        // and keep the session of a page alive that is only open.
        session.on('renewed', ({ from }) => {
            if (booted && !live)
                setTimeout(() => void check(), from === 'network' ? 0 : 300);
        }),
        session.on('signedout', () => {
            era++;
            clearTimeout(again);
            known = spare = running = undefined;
            want = tries = 0;
            save();
            if (snapshot.status !== 'signedout')
                publish(view('signedout'));
        }),
    ];
    let booted = false;
    const boot = async () => {
        await session.ready;
        booted = true;
        tell({ ask: true });
        stream?.start();
        if (session.status === 'signedout')
            publish(view('signedout'));
        else
            await check();
    };
    let ready = boot();
    return {
        session,
        get ready() {
            // Just signed in: what was awaited before says nothing of it.
            return session.status === 'signedin' && snapshot.status !== 'signedin' ? check() : ready;
        },
        get status() {
            return snapshot.status;
        },
        get user() {
            return snapshot.user;
        },
        get roles() {
            return snapshot.roles;
        },
        get permissions() {
            return snapshot.permissions;
        },
        get settings() {
            return snapshot.settings;
        },
        can: (p) => snapshot.can(p),
        getSnapshot: () => snapshot,
        subscribe: (fn) => {
            listeners.add(fn);
            return () => listeners.delete(fn);
        },
        refresh,
        destroy: () => {
            life.abort();
            stream?.destroy();
            channel?.close();
            clearInterval(timer);
            clearTimeout(again);
            era++;
            for (const f of off)
                f();
        },
    };
};
