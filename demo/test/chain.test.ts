import { expect, test } from 'vitest';
import { ChainModel, layoutChain, MAX_COLUMNS } from '../src/model/chain';
import type { Entry, Outcome, Token } from '../src/model/types';

/** Writes the log that the demo server would write. */
class Script {
  readonly model = new ChainModel();
  private call = 0;
  private at = 0;

  private tell(e: Partial<Entry>) {
    this.model.entry({ seq: ++this.at, at: this.at, ...e } as Entry, this.at);
  }

  token(tag: string, parent: string, generation: number): Token {
    return { session: 's', generation, tag, parent };
  }

  signIn(minted: Token) {
    this.tell({ kind: 'hello' });
    this.tell({ kind: 'present', who: 'browser', op: 'login', call: ++this.call });
    this.tell({ kind: 'answer', who: 'browser', op: 'login', call: this.call, status: 200, fate: 'delivered', minted });
    return this;
  }

  renew(who: 'browser' | 'thief', token: Token, outcome: Outcome, head: Token, minted?: Token, fate: Entry['fate'] = 'delivered') {
    this.tell({ kind: 'present', who, op: 'refresh', call: ++this.call, token });
    const side = (w: string) => ({ address: w, user_agent: w });
    this.tell({ kind: 'decide', token, outcome, head, by: side(who), held_by: side(who === 'thief' ? 'browser' : 'thief') });
    const refused = outcome === 'reuse_detected' || outcome === 'ended';
    this.tell({
      kind: 'answer', who, op: 'refresh', call: this.call, status: refused ? 400 : 200, fate, ...(minted && { minted }), ...(refused && who === 'browser' && { cleared: true }),
    });
    return this;
  }

  steal(token: Token) {
    this.tell({ kind: 'steal', who: 'thief', token });
    return this;
  }

  signOut(token: Token) {
    this.tell({ kind: 'present', who: 'browser', op: 'logout', call: ++this.call, token });
    this.tell({ kind: 'answer', who: 'browser', op: 'logout', call: this.call, status: 204, fate: 'delivered', cleared: true });
    return this;
  }

  get chain() {
    return this.model.chain;
  }

  get picture() {
    return layoutChain(this.chain).placed.map((p) => `${p.link.tag}@${p.column},${p.row} ${p.role}${p.holders.map((h) => ' ' + h).join('')}`);
  }
}

const s = () => new Script();
const A = s().token('a', 'root', 1);
const B = s().token('b', 'a', 2);
const B2 = s().token('b2', 'a', 2);
const C = s().token('c', 'b', 3);
const C2 = s().token('c2', 'b2', 3);

test('sign-in, then a renewal: the line of the head with its child', () => {
  const k = s().signIn(A);
  expect(k.picture).toEqual(['root@0,0 head', 'a@1,0 child browser']);
  k.renew('browser', A, 'advanced', A, B);
  expect(k.picture).toEqual(['root@0,0 line', 'a@1,0 head', 'b@2,0 child browser']);
  expect(k.chain.last).toMatchObject({ outcome: 'advanced', generation: 1, who: 'browser' });
});

test('a lost answer leaves a child that nobody holds', () => {
  const k = s().signIn(A).renew('browser', A, 'advanced', A, B, 'lost');
  expect(k.chain.links.get('b')).toMatchObject({ lost: true });
  expect(k.chain.holders.browser).toBe('a');
  k.renew('browser', A, 'retried', A, B2);
  expect(k.picture).toEqual(['root@0,0 line', 'a@1,0 head', 'b2@2,0 child browser', 'b@2,1 child']);
});

test('a thief who moves first: the browser’s branch is the fork', () => {
  const k = s().signIn(A).steal(A).renew('thief', A, 'advanced', A, B2).renew('browser', A, 'retried', A, B);
  expect(k.chain.holders).toEqual({ browser: 'b', thief: 'b2' });
  k.renew('thief', B2, 'advanced', B2, C2);
  expect(k.picture).toContain('b2@2,0 head');
  k.renew('browser', B, 'reuse_detected', B2);
  expect(k.chain.over).toBe('reuse_detected');
  expect(k.chain.reuse).toMatchObject({ tag: 'b', presentedBy: 'browser', presented: { address: 'browser' }, head: { address: 'thief' } });
  expect(k.chain.holders).toEqual({ thief: 'c2' }); // the answer cleared the cookie
  expect(k.picture).toEqual(['root@0,0 line', 'a@1,0 line', 'b2@2,0 head', 'b@2,1 fork', 'c2@3,0 child thief']);
  expect(layoutChain(k.chain).edges.filter((e) => e.fork).map((e) => e.to.link.tag)).toEqual(['b']);
});

test('a thief who comes late is the fork', () => {
  const k = s().signIn(A).steal(A).renew('browser', A, 'advanced', A, B).renew('browser', B, 'advanced', B, C).renew('thief', A, 'reuse_detected', B);
  expect(k.chain.reuse).toMatchObject({ tag: 'a', presentedBy: 'thief' });
  expect(k.picture).toContain('a@1,0 fork thief');
  expect(k.picture).toContain('c@3,0 child browser');
});

test('an answer within the overlap hands out nothing and moves nothing', () => {
  const k = s().signIn(A).renew('browser', A, 'advanced', A, B).renew('browser', B, 'advanced', B, C).renew('browser', A, 'overlapped', B);
  expect(k.chain.head).toBe('b');
  expect(k.chain.over).toBeUndefined();
});

test('sign-out ends the chain and the next sign-in starts another', () => {
  const k = s().signIn(A).signOut(A);
  expect(k.chain).toMatchObject({ over: 'signed_out', holders: {} });
  const next = { ...A, session: 'other' };
  k.signIn(next);
  expect(k.chain).toMatchObject({ session: 'other', holders: { browser: 'a' } });
  expect(k.chain.over).toBeUndefined();
});

test('a session that began before the log is drawn from where it is seen', () => {
  const k = s();
  const [seven, eight] = [k.token('g7', 'g6', 7), k.token('g8', 'g7', 8)];
  k.renew('browser', seven, 'advanced', seven, eight);
  expect(k.picture).toEqual(['g6@0,0 line', 'g7@1,0 head', 'g8@2,0 child browser']);
});

test('the picture stays bounded and no two links share a place', () => {
  const k = s().signIn(A);
  let held = A;
  for (let g = 2; g < 400; g++) {
    const next = k.token(`n${g}`, held.tag, g);
    k.renew('browser', held, 'advanced', held, k.token(`x${g}`, held.tag, g), 'lost').renew('browser', held, 'retried', held, next);
    held = next;
  }
  const { placed, columns } = layoutChain(k.chain);
  expect(k.chain.links.size).toBeLessThanOrEqual(200);
  expect(columns).toBeLessThanOrEqual(MAX_COLUMNS);
  expect(new Set(placed.map((p) => `${p.column},${p.row}`)).size).toBe(placed.length);
});
