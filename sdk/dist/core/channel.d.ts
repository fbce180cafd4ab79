import type { Platform } from './platform.js';
import type { Token } from './state.js';
/** What tabs of one browser tell each other. */
export type TabMessage = 
/** This is the newest token. */
{
    type: 'token';
    token: Token;
}
/** Who has a token? */
 | {
    type: 'ask';
}
/** I want the turn; the lower number has it first (see lock.ts). */
 | {
    type: 'claim';
    claim: number;
}
/** This session is over. */
 | {
    type: 'ended';
    session: string | undefined;
};
export interface Tabs {
    readonly tell: (message: TabMessage) => void;
    readonly open: () => void;
    /** An open channel keeps a page out of the back/forward cache. */
    readonly close: () => void;
}
export declare const createTabs: (platform: Platform, name: string, hear: (message: TabMessage) => void) => Tabs;
