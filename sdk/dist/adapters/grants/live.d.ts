import type { Session } from '../../core/types.js';
/** What is told of the stream. */
export interface Listener {
    /** An event. */
    event: (type: string, data: unknown) => void;
    /** The stream is up, or down. `gap`: it does not go on where an earlier one of this tab stopped. */
    live: (up: boolean, gap?: boolean) => void;
}
/**
 * Holds the browser's one event stream while this tab is its leader: the tab that has the Web Lock. The
 * lock goes to the next tab when this one closes. Returns what starts and stops it: a page that wants into
 * the back/forward cache must neither hold nor want a lock.
 */
export declare const follow: (session: Session, base: string, name: string, to: Listener) => {
    start: () => void;
    stop: () => void;
    destroy: () => void;
};
