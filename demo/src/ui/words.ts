// Sentences that more than one view needs.
import type { Translate } from '../i18n';
import type { Call, Counts, Mark, Renewal, Request } from '../model/net';
import { now } from '../record';

export const seconds = (t: Translate, ms: number): string =>
  t('seconds', { s: ms >= 10_000 ? Math.round(ms / 1000) : (ms / 1000).toFixed(1) });

export const clock = (at: number): string => {
  const d = new Date(at);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
};

export function counted(t: Translate, c: Counts): string {
  const parts = [];
  if (c.requests > 0) parts.push(t(c.requests === 1 ? 'burst_one' : 'burst', { requests: c.requests }));
  if (c.refused > 0) parts.push(t('burst_refused', { n: c.refused }));
  if (c.renewals > 0) parts.push(t(c.renewals === 1 ? 'burst_renewal' : 'burst_renewals', { n: c.renewals }));
  if (c.repeated > 0) parts.push(t('burst_repeated', { n: c.repeated }));
  if (c.ok > 0) parts.push(t('burst_ok', { n: c.ok }));
  if (c.failed > 0) parts.push(t('burst_failed', { n: c.failed }));
  return parts.join(' · ');
}

const took = (from: number, to: number) => Math.max(0, Math.round(to - from));

function answered(t: Translate, from: number, to: number | undefined, status: number | undefined): string {
  if (to === undefined || status === undefined) return t('d_flight');
  const ms = took(from, to);
  return status === 0 ? t('d_network', { ms }) : t('d_sent', { ms, status });
}

export function tellRequest(t: Translate, r: Request): string {
  const steps: string[] = [];
  let at = r.from;
  for (const [i, a] of r.attempts.entries()) {
    if (took(at, a.from) > 3) steps.push(t('d_wait', { ms: took(at, a.from) }));
    const what = answered(t, a.from, a.to, a.status);
    steps.push(i > 0 ? t('d_repeat', { what }) : what);
    at = a.to ?? now();
  }
  if (r.attempts.length === 0 || (r.to === undefined && r.attempts.at(-1)!.to !== undefined)) {
    steps.push(t('d_wait', { ms: took(at, r.to ?? now()) }));
  }
  if (r.error) steps.push(t('d_error', { error: r.error }));
  return t('d_request', { label: r.label, steps: steps.join(' → ') });
}

export const tellRenewal = (t: Translate, r: Renewal, tab: string): string =>
  t('d_renewal', { tab, what: answered(t, r.from, r.to, r.status) });

export const tellMark = (t: Translate, m: Mark): string =>
  m.version === undefined ? t('d_event', { type: m.type }) : t('d_event_version', { type: m.type, v: m.version });

export function tellCall(t: Translate, c: Call): string {
  const what = [c.outcome ?? '', c.minted ? t('d_minted', { g: c.minted.generation }) : '',
    c.fate === 'lost' ? t('d_lost') : c.fate === 'injected' ? t('d_injected', { status: c.status ?? 0 }) : c.status ? String(c.status) : t('d_flight')]
    .filter(Boolean).join(', ');
  const who = t(c.who === 'thief' ? 'thief' : 'you');
  return c.token && c.op === 'refresh' ? t('d_call', { who, g: c.token.generation, what }) : t('d_call_none', { who, op: c.op, what });
}
