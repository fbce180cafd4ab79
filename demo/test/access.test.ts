import { expect, test } from 'vitest';
import { changes, grant, table } from '../src/model/access';
import { AXIS_HEIGHT, layout } from '../src/model/layout';
import { NetModel } from '../src/model/net';

test('what came and what went', () => {
  expect(changes(['orders:read'], [])).toEqual({ gained: [], lost: ['orders:read'] });
  expect(changes([], ['orders:read', 'admin:*'])).toEqual({ gained: ['orders:read', 'admin:*'], lost: [] });
  expect(changes(['a', 'b'], ['b', 'c'])).toEqual({ gained: ['c'], lost: ['a'] });
  expect(changes(['a', 'b'], ['b', 'a'])).toEqual({ gained: [], lost: [] });
});

test('a row for each user, a place for each role; oneself last', () => {
  const alice = { id: '1', username: 'alice', roles: ['admin'] };
  const bob = { id: '2', username: 'bob', roles: [] };
  const carol = { id: '3', username: 'carol', roles: ['viewer', 'gone'] };
  const rows = table([alice, carol, bob], ['viewer', 'admin', 'viewer'], '1');
  expect(rows.map((r) => [r.member.username, r.roles.map((x) => x.name + Number(x.held)).join()])).toEqual([
    ['bob', 'admin0,viewer0'], ['carol', 'admin0,viewer1'], ['alice', 'admin1,viewer0'],
  ]);
  expect(table([], ['admin'])).toEqual([]);
  const after = grant(rows, '2', 'viewer', true);
  expect(after[0]!.roles).toEqual([{ name: 'admin', held: false }, { name: 'viewer', held: true }]);
  expect(after.slice(1)).toEqual(rows.slice(1));
  expect(rows[0]!.roles[1]!.held).toBe(false);
});

test('events are marks on the time line, before the refusal and the renewal that they bring', () => {
  const m = new NetModel();
  m.mark('grants.changed', 100, 7);
  m.net({ kind: 'start', id: '1', tab: 'a', at: 150, label: 'GET /auth/me' });
  m.net({ kind: 'send', id: '1', tab: 'a', at: 150 });
  m.net({ kind: 'receive', id: '1', tab: 'a', at: 170, status: 401 });
  m.net({ kind: 'renew', id: 'r', tab: 'a', at: 172 });
  m.net({ kind: 'renewed', id: 'r', tab: 'a', at: 190, status: 200 });
  m.net({ kind: 'send', id: '1', tab: 'a', at: 191 });
  m.net({ kind: 'receive', id: '1', tab: 'a', at: 201, status: 200 });
  m.net({ kind: 'end', id: '1', tab: 'a', at: 201, status: 200 });
  const l = layout(m, { now: 300, scale: 1, tab: 'a', thief: false });
  expect(l.bursts).toHaveLength(1);
  const [mark] = l.marks;
  expect(mark!.mark).toMatchObject({ type: 'grants.changed', at: 100, version: 7 });
  expect(mark!.y).toBeGreaterThanOrEqual(AXIS_HEIGHT);
  expect(mark!.x).toBeLessThan(l.requests[0]!.x);
  expect(l.requests[0]!.segments.map((s) => s.kind)).toEqual(['refused', 'wait', 'ok']);
});

test('a mark alone is drawn; marks are bounded and can be cleared', () => {
  const m = new NetModel();
  m.mark('session.ended', 5);
  expect(layout(m, { now: 5, scale: 1, tab: 'a', thief: false }).marks).toHaveLength(1);
  for (let i = 0; i < 1000; i++) m.mark('grants.changed', i, i);
  expect(m.marks.length).toBeLessThan(200);
  expect(m.marks.at(-1)!.at).toBe(999);
  expect(new Set(m.marks.map((k) => k.id)).size).toBe(m.marks.length);
  m.clear();
  expect(m.marks).toEqual([]);
});
