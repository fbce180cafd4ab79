// The chain of refresh tokens as the demo server's log tells it: which were
// handed out, which were presented, who holds what.
import type { Contact, Entry, Outcome, Token } from './types';

export type Holder = 'browser' | 'thief';

export interface Link {
  tag: string;
  parent: string;
  generation: number;
  at: number;
  /** To whom it was handed out; missing for the sign-in itself and links that were never seen. */
  mintedTo?: Holder;
  /** The answer that carried it never arrived. */
  lost?: boolean;
  presentedBy: Holder[];
}

export interface Reuse {
  at: number;
  /** The token whose presentation showed the copy. */
  tag: string;
  presented: Contact;
  head: Contact;
  presentedBy: Holder;
}

export interface Chain {
  session: string;
  links: Map<string, Link>;
  head: string;
  headAt: number;
  holders: Partial<Record<Holder, string>>;
  last?: { outcome: Outcome; generation: number; who: Holder; at: number };
  over?: 'reuse_detected' | 'signed_out' | 'ended' | 'expired';
  reuse?: Reuse;
  /** The thief's last call of the demo API. */
  read?: { status: number; at: number };
}

export const emptyChain = (): Chain => ({ session: '', links: new Map(), head: '', headAt: 0, holders: {} });

/** Enough to scroll through; the server itself remembers one. */
const MAX_LINKS = 200;

export class ChainModel {
  chain: Chain = emptyChain();
  private calls = new Map<number, { who: Holder; op: string; token?: Token }>();

  entry(e: Entry, at: number): void {
    const c = this.chain;
    switch (e.kind) {
      case 'hello':
        this.chain = emptyChain();
        this.calls.clear();
        break;
      case 'present':
        if (e.call && e.who) this.calls.set(e.call, { who: e.who, op: e.op ?? '', token: e.token });
        if (e.token && e.op === 'refresh') {
          if (c.session !== e.token.session) this.restart(e.token, at);
          const link = this.link(e.token, at);
          if (e.who && !link.presentedBy.includes(e.who)) link.presentedBy.push(e.who);
          if (e.who === 'browser') this.chain.holders.browser = e.token.tag;
        }
        break;
      case 'decide':
        if (e.token && e.head && e.outcome && e.token.session === c.session) this.decide(e, at);
        break;
      case 'answer':
        this.answer(e, at);
        break;
      case 'steal':
        if (e.token) {
          this.link(e.token, at);
          c.holders.thief = e.token.tag;
          delete c.read;
        }
        break;
      case 'read':
        c.read = { status: e.status ?? 0, at };
        break;
    }
  }

  private decide(e: Entry, at: number): void {
    const c = this.chain;
    const token = e.token!;
    const who = [...this.calls.values()].findLast((k) => k.token?.tag === token.tag)?.who ?? 'browser';
    c.last = { outcome: e.outcome!, generation: token.generation, who, at };
    if (e.outcome === 'advanced' || e.outcome === 'caught_up' || !c.head) {
      if (c.head !== e.head!.tag) c.headAt = at;
      c.head = e.head!.tag;
    }
    if (e.outcome === 'reuse_detected' && e.by && e.held_by) {
      c.over = 'reuse_detected';
      c.reuse = { at, tag: token.tag, presented: e.by, head: e.held_by, presentedBy: who };
    }
    if (e.outcome === 'ended' || e.outcome === 'expired') c.over ??= e.outcome;
  }

  private answer(e: Entry, at: number): void {
    const call = e.call ? this.calls.get(e.call) : undefined;
    if (e.call) this.calls.delete(e.call);
    if (!call) return;
    if (e.minted) {
      if (call.op === 'login' || this.chain.session !== e.minted.session) this.restart(e.minted, at);
      const link = this.link(e.minted, at);
      link.mintedTo = call.who;
      if (e.fate === 'lost') link.lost = true;
      else this.chain.holders[call.who] = e.minted.tag;
    }
    if (e.cleared && e.fate === 'delivered' && !e.minted) delete this.chain.holders[call.who];
    if (call.op === 'logout' && e.status === 204) {
      delete this.chain.holders.browser;
      this.chain.over ??= 'signed_out';
    }
  }

  /** A session begins (or is first seen) with the token's parent as its head. */
  private restart(t: Token, at: number): void {
    this.chain = { ...emptyChain(), session: t.session, head: t.parent, headAt: at };
    this.chain.links.set(t.parent, { tag: t.parent, parent: '', generation: t.generation - 1, at, presentedBy: [] });
  }

  private link(t: Token, at: number): Link {
    const { links } = this.chain;
    let l = links.get(t.tag);
    if (!l) {
      l = { tag: t.tag, parent: t.parent, generation: t.generation, at, presentedBy: [] };
      links.set(t.tag, l);
      for (const tag of links.keys()) {
        if (links.size <= MAX_LINKS) break;
        links.delete(tag);
      }
    }
    return l;
  }
}

export interface Placed {
  link: Link;
  /** Column: generations since the first one shown. Row 0: the line of the head. */
  column: number;
  row: number;
  role: 'head' | 'line' | 'child' | 'stray' | 'fork';
  holders: Holder[];
}

export interface ChainLayout {
  placed: Placed[];
  edges: { from: Placed; to: Placed; fork: boolean }[];
  columns: number;
  rows: number;
}

/** Columns that are drawn; older generations are history even to the page. */
export const MAX_COLUMNS = 40;
/** Children that nobody holds or presented, drawn per column. */
const MAX_STRAYS = 2;

export function layoutChain(c: Chain): ChainLayout {
  const line = new Set<string>();
  for (let l = c.links.get(c.head); l; l = c.links.get(l.parent)) line.add(l.tag);
  const held = new Map<string, Holder[]>();
  for (const [who, tag] of Object.entries(c.holders) as [Holder, string][]) held.set(tag, [...(held.get(tag) ?? []), who]);

  const all = [...c.links.values()];
  const last = Math.max(0, ...all.map((l) => l.generation));
  const first = Math.max(Math.min(...all.map((l) => l.generation)), last - MAX_COLUMNS + 1);
  const byColumn = new Map<number, Link[]>();
  for (const l of all) {
    if (l.generation < first) continue;
    const column = l.generation - first;
    byColumn.set(column, [...(byColumn.get(column) ?? []), l]);
  }
  const placed: Placed[] = [];
  const at = new Map<string, Placed>();
  let rows = 0;
  for (const column of [...byColumn.keys()].sort((a, b) => a - b)) {
    const rank = (l: Link) => (line.has(l.tag) ? 0 : held.get(l.tag)?.includes('browser') ? 1 : held.has(l.tag) ? 2 : l.presentedBy.length > 0 ? 3 : 4);
    // A branch stays on its parent's row, so that forks do not cross.
    const rowOf = (l: Link) => at.get(l.parent)?.row ?? 0;
    const links = byColumn.get(column)!.sort((a, b) => rowOf(a) - rowOf(b) || rank(a) - rank(b) || b.at - a.at);
    let strays = 0;
    let row = 0;
    for (const l of links) {
      if (rank(l) === 4 && ++strays > MAX_STRAYS) continue;
      // Row 0 of a column is kept for the line where it goes on there.
      const r = line.has(l.tag) ? 0 : Math.max(row, links.some((k) => line.has(k.tag)) ? 1 : 0, rowOf(l));
      const p: Placed = { link: l, column, row: r, role: roleOf(c, l, line), holders: held.get(l.tag) ?? [] };
      placed.push(p);
      at.set(l.tag, p);
      row = r + 1;
      rows = Math.max(rows, row);
    }
  }
  const edges = placed.flatMap((to) => {
    const from = at.get(to.link.parent);
    return from ? [{ from, to, fork: to.role === 'fork' }] : [];
  });
  return { placed, edges, columns: byColumn.size, rows };
}

function roleOf(c: Chain, l: Link, line: Set<string>): Placed['role'] {
  if (c.reuse?.tag === l.tag) return 'fork';
  if (l.tag === c.head) return 'head';
  if (line.has(l.tag)) return 'line';
  return l.parent === c.head ? 'child' : 'stray';
}
