import { expect, test } from 'vitest';
import { layout, pack } from '../src/model/layout';
import { count, MAX_REQUESTS, NetModel, type Request } from '../src/model/net';
import type { Entry, NetEvent, Token } from '../src/model/types';

const token = (generation: number, tag = `t${generation}`, parent = `t${generation - 1}`): Token => ({ session: 's', generation, tag, parent });

function play(...events: [NetEvent['kind'], string, number, Partial<NetEvent>?][]): NetModel {
  const m = new NetModel();
  for (const [kind, id, at, more] of events) m.net({ kind, id, at, tab: 'a', ...more });
  return m;
}

const held = () => play(
  ['start', '1', 0], ['send', '1', 1], ['receive', '1', 31, { status: 401 }],
  ['renew', 'r', 33], ['renewed', 'r', 53, { status: 200 }],
  ['send', '1', 55], ['receive', '1', 95, { status: 200 }], ['end', '1', 96, { status: 200 }],
);

test('a request that was refused, waited and was repeated', () => {
  const m = held();
  expect(m.requests[0]).toMatchObject({ from: 0, to: 96, status: 200, attempts: [{ from: 1, to: 31, status: 401 }, { from: 55, to: 95, status: 200 }] });
  expect(m.renewals).toEqual([{ id: 'r', tab: 'a', from: 33, to: 53, status: 200 }]);
  expect(count(m.requests, 1)).toEqual({ requests: 1, refused: 1, renewals: 1, repeated: 1, ok: 1, failed: 0 });
});

test('is drawn as refused, wait, ok', () => {
  const l = layout(held(), { now: 96, scale: 1, tab: 'a', thief: false });
  expect(l.requests[0]!.segments.map((s) => s.kind)).toEqual(['wait', 'refused', 'wait', 'ok']);
  expect(l.requests[0]!.segments.map((s) => Math.round(s.width))).toEqual([1, 30, 24, 41]);
  expect(l.bursts[0]!.counts.repeated).toBe(1);
});

test('a network failure, a denial and an answer still missing', () => {
  const m = play(
    ['start', '1', 0], ['send', '1', 0], ['receive', '1', 10], ['end', '1', 10, { error: 'network' }],
    ['start', '2', 0], ['send', '2', 0], ['receive', '2', 10, { status: 403 }], ['end', '2', 10, { status: 403 }],
    ['start', '3', 0], ['send', '3', 0], ['start', '4', 0],
  );
  const kinds = layout(m, { now: 30, scale: 1, tab: 'a', thief: false }).requests.map((r) => r.segments.map((s) => s.kind).join());
  expect(kinds).toEqual(['failed', 'denied', 'flight', 'wait']);
  expect(count(m.requests, 0)).toMatchObject({ ok: 0, failed: 2 });
});

test('a 401 that reached the caller is refused to its end, without a wait', () => {
  const m = play(['start', '1', 0], ['send', '1', 0], ['receive', '1', 10, { status: 401 }], ['end', '1', 20, { status: 401 }]);
  expect(layout(m, { now: 30, scale: 1, tab: 'a', thief: false }).requests[0]!.segments).toEqual([{ x: 16, width: 20, kind: 'refused' }]);
});

test('what the server saw: an answer lost, and the repetition', () => {
  const m = new NetModel();
  const entry = (e: Partial<Entry>, at: number) => m.entry({ seq: 0, at, ...e } as Entry, at);
  entry({ kind: 'present', who: 'browser', op: 'refresh', call: 1, token: token(3) }, 10);
  entry({ kind: 'decide', outcome: 'advanced', token: token(3), head: token(3) }, 11);
  entry({ kind: 'answer', who: 'browser', op: 'refresh', call: 1, status: 200, fate: 'lost', minted: token(4) }, 12);
  entry({ kind: 'present', who: 'browser', op: 'refresh', call: 2, token: token(3) }, 13);
  entry({ kind: 'decide', outcome: 'retried', token: token(3), head: token(3) }, 14);
  entry({ kind: 'answer', who: 'browser', op: 'refresh', call: 2, status: 200, fate: 'delivered', minted: token(4, 'x') }, 15);
  expect(m.calls.map((c) => [c.outcome, c.fate])).toEqual([['advanced', 'lost'], ['retried', 'delivered']]);
  const shapes = layout(m, { now: 15, scale: 1, tab: 'a', thief: false }).calls;
  expect(shapes.map((s) => s.caption)).toEqual(['g3 advanced', 'g3 retried']);
  expect(shapes[0]!.y).not.toBe(shapes[1]!.y); // their captions would cover each other
});

test('calls that share a decision all show it', () => {
  const m = new NetModel();
  for (const call of [1, 2]) m.entry({ seq: 0, at: 0, kind: 'present', who: 'browser', op: 'refresh', call, token: token(2) }, call);
  m.entry({ seq: 0, at: 0, kind: 'decide', outcome: 'advanced', token: token(2), head: token(2) }, 3);
  expect(m.calls.map((c) => c.outcome)).toEqual(['advanced', 'advanced']);
});

test('the picture is bounded and a closed tab leaves nothing open', () => {
  const m = new NetModel();
  for (let i = 0; i < 2 * MAX_REQUESTS; i++) m.net({ kind: 'start', id: String(i), tab: i % 2 ? 'a' : 'b', at: i });
  expect(m.requests).toHaveLength(MAX_REQUESTS);
  m.net({ kind: 'end', id: '0', tab: 'b', at: 1, status: 200 }); // gone: ignored
  m.close('b', 900);
  expect(m.requests.every((r) => r.tab === 'a' || r.to === 900)).toBe(true);
  m.clear();
  expect(m.requests.every((r) => r.tab === 'a')).toBe(true);
});

test('rows are shared only by requests that do not touch', () => {
  const r = (id: string, from: number, to?: number): Request => ({ id, tab: 'a', label: '', from, ...(to !== undefined && { to }), attempts: [] });
  const [burst] = pack([r('1', 0, 50), r('2', 10, 20), r('3', 40, 60), r('4', 70), r('5', 500, 510)], () => 0, 600);
  expect(burst!.placed.map(([q, row]) => q.id + row)).toEqual(['10', '21', '31', '40', '51']);
  expect(burst!.rows).toBe(2);
});

test('a hundred requests at once fit into the lane, none on another', () => {
  const m = new NetModel();
  for (let i = 0; i < 100; i++) m.net({ kind: 'start', id: String(i), tab: 'a', at: i / 10 });
  const l = layout(m, { now: 1000, scale: 0.5, tab: 'a', thief: true });
  const lane = l.lanes[0]!;
  const rows = l.requests.map((r) => [r.y, r.y + r.height] as const).sort((a, b) => a[0] - b[0]);
  expect(rows[0]![0]).toBeGreaterThanOrEqual(lane.y);
  expect(rows.at(-1)![1]).toBeLessThanOrEqual(lane.y + lane.height);
  for (let i = 1; i < rows.length; i++) expect(rows[i]![0]).toBeGreaterThanOrEqual(rows[i - 1]![1] - 1e-9);
  expect(l.lanes.map((k) => k.kind)).toEqual(['tab', 'server', 'thief']);
});

test('other tabs have lanes of their own, after this one', () => {
  const m = new NetModel();
  m.net({ kind: 'start', id: '1', tab: 'b', at: 0 });
  m.net({ kind: 'renew', id: '2', tab: 'c', at: 0 });
  const l = layout(m, { now: 10, scale: 1, tab: 'a', thief: false });
  expect(l.lanes.map((k) => k.tab ?? k.kind)).toEqual(['a', 'b', 'c', 'server']);
});
