import { expect, test } from 'vitest';
import { messages, translator, type Key } from '../src/i18n';

const keys = Object.keys(messages.en) as Key[];
const parameters = (s: string) => [...s.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort();

test('both languages say the same with the same parameters', () => {
  expect(Object.keys(messages.zh).sort()).toEqual([...keys].sort());
  for (const k of keys) expect(parameters(messages.zh[k]), k).toEqual(parameters(messages.en[k]));
});

test('nothing is left untranslated', () => {
  const same = keys.filter((k) => messages.zh[k] === messages.en[k] && /[a-z]{3}/i.test(messages.en[k].replace(/\{\w+\}/g, '')));
  expect(same).toEqual([]);
});

test('parameters are put in; a missing one is left to be seen', () => {
  expect(translator('en')('burst', { requests: 20 })).toBe('20 requests');
  expect(translator('zh')('burst', { requests: 20 })).toBe('20 个请求');
  expect(translator('en')('burst')).toBe('{requests} requests');
});

test('every text is used', () => {
  const source = Object.entries(import.meta.glob<string>('../src/**/*.{ts,tsx}', { query: '?raw', import: 'default', eager: true }))
    .filter(([name]) => !name.endsWith('/i18n.ts')).map(([, text]) => text).join('\n');
  const composed = /^(theme_(auto|light|dark)|chain_over_\w+|r_\w+|lc_\w+|s_(advanced|caught_up|retried|overlapped|reuse_detected|ended|expired))$/;
  expect(keys.filter((k) => !composed.test(k) && !source.includes(`'${k}'`))).toEqual([]);
});
