import { expect, test } from 'vitest';
import { buildAxis } from '../src/model/axis';

test('an empty picture has no width', () => {
  expect(buildAxis([], 5, 1)).toMatchObject({ width: 0, breaks: [], bursts: [] });
});

test('time is linear where things happen', () => {
  const a = buildAxis([{ from: 1000, to: 1100 }, { from: 1050, to: 1200 }], 1200, 2);
  expect(a.x(1000)).toBe(0);
  expect(a.x(1025)).toBe(50);
  expect(a.x(1200)).toBe(400);
  expect(a.width).toBe(400);
  expect(a.bursts).toEqual([{ from: 1000, to: 1200 }]);
});

test('a quiet hour is a gap that is marked, and separates two bursts', () => {
  const hour = 3_600_000;
  const a = buildAxis([{ from: 0, to: 100 }, { from: hour, to: hour + 100 }], hour + 100, 1);
  expect(a.bursts).toEqual([{ from: 0, to: 100 }, { from: hour, to: hour + 100 }]);
  expect(a.breaks).toHaveLength(1);
  expect(a.breaks[0]).toMatchObject({ x0: 100, ms: hour - 100, idle: true });
  expect(a.width).toBeLessThan(320);
});

test('a long wait is shortened, but is no gap', () => {
  const a = buildAxis([{ from: 0, to: 10_000 }], 10_000, 1);
  expect(a.bursts).toHaveLength(1);
  expect(a.breaks[0]).toMatchObject({ idle: false, ms: 10_000 });
  expect(a.width).toBeGreaterThan(300);
  expect(a.width).toBeLessThan(1000);
});

test('what is open reaches to now', () => {
  const spans = [{ from: 0 }];
  expect(buildAxis(spans, 100, 1).width).toBe(100);
  expect(buildAxis(spans, 200, 1).width).toBe(200);
});

test('the picture stands still when nothing happens any more', () => {
  const spans = [{ from: 0, to: 50 }];
  const soon = buildAxis(spans, 600, 1);
  expect(buildAxis(spans, 60_000, 1).width).toBe(soon.width);
  expect(soon.bursts).toHaveLength(1);
});

test('x never runs backwards, whatever the spans', () => {
  let seed = 7;
  const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
  for (let round = 0; round < 200; round++) {
    const spans = Array.from({ length: 1 + random(30) }, () => {
      const from = random(20_000);
      return random(6) === 0 ? { from } : { from, to: from + random(3000) };
    });
    const a = buildAxis(spans, 25_000, 0.5);
    const xs = Array.from({ length: 521 }, (_, i) => a.x(i * 50));
    expect(xs).toEqual([...xs].sort((p, q) => p - q));
    expect(xs.at(-1)).toBe(a.width);
    for (const b of a.bursts) expect(b.to).toBeGreaterThanOrEqual(b.from);
  }
});
