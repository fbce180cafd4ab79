/**
 * Everything that a session needs from where it runs: the part of a window that it uses. In a page that is the window
 * itself; elsewhere (workers, servers, React Native) `globalThis`, which has less of it, or an object of this shape. The
 * core touches nothing else.
 */
export interface Platform {
    /** Relative addresses are resolved against it, and its origin may see the access token. Without it `baseURL` is absolute. */
    readonly location?: {
        readonly href: string;
    };
    /** `cookie`: those that scripts can read. `hidden`: nobody looks at the page. Missing in workers. */
    readonly document?: {
        readonly cookie: string;
        readonly hidden: boolean;
    };
    /** Strings that outlive the page and are shared by its origin. May throw where there are none. */
    readonly localStorage?: {
        [key: string]: string;
    };
    readonly navigator?: {
        readonly locks?: Pick<LockManager, 'request'>;
    };
    /** Between the tabs of this browser. Missing in old web views. */
    readonly BroadcastChannel?: new (name: string) => Pick<BroadcastChannel, 'postMessage' | 'addEventListener' | 'close'>;
    readonly fetch: (input: string | Request, init?: RequestInit) => Promise<Response>;
    readonly AbortSignal: Pick<typeof AbortSignal, 'timeout'>;
    /** Milliseconds, never set back; stands still while the device sleeps. */
    readonly performance: {
        readonly now: () => number;
    };
    /** Milliseconds of the wall clock, which users set. */
    readonly Date: {
        readonly now: () => number;
    };
    readonly setTimeout: (callback: () => void, ms: number) => unknown;
    /** The page's life: `pageshow`, `pagehide`, `visibilitychange`, `online`, `storage`. */
    readonly addEventListener?: (type: string, listener: (event: LifecycleEvent) => void, options: {
        readonly signal: AbortSignal;
    }) => void;
    /** Reports an error that a listener has thrown. */
    readonly reportError?: (error: unknown) => void;
}
export interface LifecycleEvent {
    readonly type: string;
    /** Of `pageshow`: the page comes from the back/forward cache, in its old state. */
    readonly persisted?: boolean;
    /** Of `storage`: what another tab has stored; null: all is gone. */
    readonly key?: string | null;
}
