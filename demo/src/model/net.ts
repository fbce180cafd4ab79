// Folds what tabs and server tell into requests, renewals and calls.
import type { Entry, NetEvent, Outcome, Token } from './types';

/** One time that a request went over the network. */
export interface Attempt {
  from: number;
  to?: number;
  /** 0: the network failed. */
  status?: number;
}

export interface Request {
  id: string;
  tab: string;
  label: string;
  from: number;
  to?: number;
  attempts: Attempt[];
  /** What the caller got; 0 with an error. */
  status?: number;
  error?: string;
}

export interface Renewal {
  id: string;
  tab: string;
  from: number;
  to?: number;
  /** 0: the network failed. */
  status?: number;
}

/** One call that reached the server, as the server saw it. */
export interface Call {
  call: number;
  who: 'browser' | 'thief';
  op: string;
  from: number;
  to?: number;
  status?: number;
  fate?: Entry['fate'];
  token?: Token;
  minted?: Token;
  outcome?: Outcome;
}

/** An event that the session server sent to the page. */
export interface Mark {
  id: string;
  type: string;
  at: number;
  /** Of grants.changed: the version of the user's grants. */
  version?: number;
}

export interface Net {
  requests: Request[];
  renewals: Renewal[];
  calls: Call[];
  marks: Mark[];
}

/** Enough for a few bursts of a hundred; older ones leave the picture. */
export const MAX_REQUESTS = 320;
const MAX_OTHERS = 120;

export class NetModel implements Net {
  requests: Request[] = [];
  renewals: Renewal[] = [];
  calls: Call[] = [];
  marks: Mark[] = [];
  private nextMark = 0;
  private byId = new Map<string, Request>();
  private renewalById = new Map<string, Renewal>();
  private byCall = new Map<number, Call>();

  net(e: NetEvent): void {
    switch (e.kind) {
      case 'start': {
        const r: Request = { id: e.id, tab: e.tab, label: e.label ?? '', from: e.at, attempts: [] };
        this.byId.set(e.id, r);
        this.requests.push(r);
        while (this.requests.length > MAX_REQUESTS) this.byId.delete(this.requests.shift()!.id);
        break;
      }
      case 'send':
        this.byId.get(e.id)?.attempts.push({ from: e.at });
        break;
      case 'receive': {
        const a = this.byId.get(e.id)?.attempts.at(-1);
        if (a) Object.assign(a, { to: e.at, status: e.status ?? 0 });
        break;
      }
      case 'end': {
        const r = this.byId.get(e.id);
        if (r) Object.assign(r, { to: e.at, status: e.status ?? 0, error: e.error });
        break;
      }
      case 'renew': {
        const r: Renewal = { id: e.id, tab: e.tab, from: e.at };
        this.renewalById.set(e.id, r);
        this.renewals.push(r);
        while (this.renewals.length > MAX_OTHERS) this.renewalById.delete(this.renewals.shift()!.id);
        break;
      }
      case 'renewed': {
        const r = this.renewalById.get(e.id);
        if (r) Object.assign(r, { to: e.at, status: e.status ?? 0 });
        break;
      }
    }
  }

  /** at is the entry's time on the browser's clock. */
  entry(e: Entry, at: number): void {
    if (e.kind === 'hello') {
      this.calls = [];
      this.byCall.clear();
    }
    if (e.kind === 'present' && e.call && e.who) {
      const c: Call = { call: e.call, who: e.who, op: e.op ?? '', from: at, token: e.token };
      this.byCall.set(c.call, c);
      this.calls.push(c);
      while (this.calls.length > MAX_OTHERS) this.byCall.delete(this.calls.shift()!.call);
    }
    if (e.kind === 'decide') {
      // Equal presentations in flight share a decision, so it belongs to each.
      for (const c of this.calls) {
        if (c.to === undefined && c.token && c.token.tag === e.token?.tag) c.outcome = e.outcome;
      }
    }
    if (e.kind === 'answer' && e.call) {
      const c = this.byCall.get(e.call);
      if (c) Object.assign(c, { to: at, status: e.status, fate: e.fate, minted: e.minted });
    }
  }

  mark(type: string, at: number, version?: number): void {
    this.marks = [...this.marks, { id: `m${++this.nextMark}`, type, at, ...(version !== undefined && { version }) }].slice(-MAX_OTHERS);
  }

  /** A tab that is gone finishes nothing. */
  close(tab: string, at: number): void {
    for (const r of this.requests) if (r.tab === tab) r.to ??= at;
    for (const r of this.renewals) if (r.tab === tab) r.to ??= at;
  }

  clear(): void {
    this.requests = this.requests.filter((r) => r.to === undefined);
    this.renewals = this.renewals.filter((r) => r.to === undefined);
    this.calls = this.calls.filter((c) => c.to === undefined);
    this.marks = [];
  }
}

export interface Counts {
  requests: number;
  refused: number;
  renewals: number;
  repeated: number;
  ok: number;
  failed: number;
}

/** What one burst came to, for its caption and the story. */
export function count(requests: Request[], renewals: number): Counts {
  const c: Counts = { requests: requests.length, refused: 0, renewals, repeated: 0, ok: 0, failed: 0 };
  for (const r of requests) {
    if (r.attempts.some((a) => a.status === 401)) c.refused++;
    if (r.attempts.length > 1) c.repeated++;
    if (r.to === undefined) continue;
    if (r.status && r.status < 400) c.ok++;
    else c.failed++;
  }
  return c;
}

/** Everything that the time line has to have room for. */
export const spans = (net: Net): { from: number; to?: number }[] =>
  [...net.requests, ...net.renewals, ...net.calls, ...net.marks.map(({ at }) => ({ from: at, to: at }))];
