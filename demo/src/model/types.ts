// What the page hears: from its own tabs (NetEvent) and from the demo server
// (Entry, the mirror of entry.go). Times are milliseconds since the epoch.

export interface Token {
  session: string;
  generation: number;
  tag: string;
  parent: string;
}

export interface Contact {
  address: string;
  user_agent: string;
}

export interface Faults {
  lose: number;
  unavailable: number;
  slow: number;
}

export type Outcome =
  | 'ended' | 'expired' | 'retried' | 'advanced' | 'caught_up' | 'overlapped' | 'reuse_detected';

export interface Entry {
  seq: number;
  at: number;
  kind: 'hello' | 'present' | 'answer' | 'decide' | 'steal' | 'expire' | 'faults' | 'read';
  who?: 'browser' | 'thief';
  call?: number;
  op?: 'login' | 'refresh' | 'confirm' | 'logout';
  token?: Token;
  minted?: Token;
  status?: number;
  fate?: 'delivered' | 'lost' | 'injected';
  cleared?: boolean;
  outcome?: Outcome;
  head?: Token;
  by?: Contact;
  held_by?: Contact;
  faults?: Faults;
  policy?: { access_ttl: number; overlap: number; version?: string };
}

/** One thing that a tab saw on its own side of the network. */
export interface NetEvent {
  kind: 'start' | 'send' | 'receive' | 'end' | 'renew' | 'renewed';
  tab: string;
  /** The request, or the renewal; unique among all tabs. */
  id: string;
  at: number;
  /** Of a request: its method and path. */
  label?: string;
  /** Missing when the network failed. */
  status?: number;
  /** Of an end: why the caller got no answer. */
  error?: string;
}
