import { memo } from 'preact/compat';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Translate } from '../i18n';
import type { Lab } from '../lab';
import { buildAxis } from '../model/axis';
import {
  AXIS_HEIGHT, CALL_PILL, layout, PADDING, RENEWAL_HEIGHT,
  type CallShape, type Lane, type Layout, type MarkShape, type RenewalShape, type RequestShape,
} from '../model/layout';
import { spans } from '../model/net';
import { now } from '../record';
import { useTicker } from './hooks';
import { clock, counted, seconds, tellCall, tellMark, tellRenewal, tellRequest } from './words';

/** Pixels per ms: what the buttons choose from, and the bounds of fitting. */
const SCALES = [0.08, 0.15, 0.3, 0.6, 1, 1.6];
const FIT = { min: 0.12, max: 0.7 };

/** The scale at which the last burst fills the view, approached smoothly. */
function useFit(lab: Lab, view: number, still: boolean): number {
  const scale = useRef(FIT.max);
  const axis = buildAxis(spans(lab.net), now(), 1);
  const last = axis.bursts.at(-1);
  const length = last ? axis.x(last.to) - axis.x(last.from) : 0;
  const target = Math.min(FIT.max, Math.max(FIT.min, (view - 2 * PADDING - 30) / Math.max(1, length)));
  scale.current = still || Math.abs(target - scale.current) < 0.004 ? target : scale.current + (target - scale.current) * 0.22;
  return scale.current;
}

interface Item {
  id: string;
  at: number;
  x: number;
  text: string;
}

export function Timeline({ lab, t }: { lab: Lab; t: Translate }) {
  const [zoom, setZoom] = useState<number>();
  const [active, setActive] = useState<string>();
  const [following, setFollowing] = useState(true);
  const scroller = useRef<HTMLDivElement>(null);

  const open = spans(lab.net);
  const last = open.reduce((m, s) => Math.max(m, s.to ?? Infinity, s.from), 0);
  const running = now() - last < 600;
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  useTicker(running, still ? 250 : 33);
  const fit = useFit(lab, scroller.current?.clientWidth ?? 800, still);
  const scale = zoom === undefined ? fit : SCALES[zoom]!;
  const step = (by: number) => setZoom(zoom === undefined
    ? (by > 0 ? SCALES.findIndex((s) => s > fit) : SCALES.findLastIndex((s) => s < fit)) : zoom + by);

  const l = layout(lab.net, { now: now(), scale, tab: lab.recorder.tab, thief: Boolean(lab.chains.chain.holders.thief) });
  const name = (tab: string) => {
    const tabs = l.lanes.filter((lane) => lane.kind === 'tab').map((lane) => lane.tab);
    return tab === lab.recorder.tab ? t('this_tab') : t('other_tab', { n: tabs.indexOf(tab) + 1 });
  };
  const empty = open.length === 0;

  useEffect(() => setFollowing(true), [lab.bursts]);

  useLayoutEffect(() => {
    const s = scroller.current;
    if (s && following) s.scrollLeft = s.scrollWidth;
  });
  const onScroll = () => {
    const s = scroller.current!;
    setFollowing(s.scrollLeft + s.clientWidth >= s.scrollWidth - 24);
  };

  const items = active === undefined ? [] : list(l, t, name);
  const current = items.find((i) => i.id === active);
  const onKey = (e: KeyboardEvent) => {
    const all = list(l, t, name);
    const i = all.findIndex((k) => k.id === active);
    const next = { ArrowRight: i + 1, ArrowDown: i + 1, ArrowLeft: i < 0 ? all.length - 1 : i - 1, ArrowUp: i < 0 ? all.length - 1 : i - 1, Home: 0, End: all.length - 1 }[e.key];
    if (e.key === 'Escape') setActive(undefined);
    if (next === undefined || all.length === 0) return;
    e.preventDefault();
    const to = all[Math.max(0, Math.min(all.length - 1, next))]!;
    setActive(to.id);
    setFollowing(false);
    const s = scroller.current!;
    if (to.x < s.scrollLeft + 120 || to.x > s.scrollLeft + s.clientWidth - 60) s.scrollLeft = to.x - s.clientWidth / 2;
  };
  const onPoint = (e: MouseEvent) => {
    const id = (e.target as Element).closest('[data-item]')?.getAttribute('data-item');
    if (id) setActive(id);
  };

  return (
    <section class="panel timeline" id="timeline" aria-labelledby="timeline-title">
      <header class="panel-head">
        <h2 id="timeline-title">{t('timeline')}</h2>
        <div class="tools">
          {!following && <button type="button" class="small" onClick={() => setFollowing(true)}>{t('follow')}</button>}
          {zoom !== undefined && <button type="button" class="small" onClick={() => setZoom(undefined)}>{t('fit')}</button>}
          <button type="button" class="small icon" aria-label={t('zoom_out')} title={t('zoom_out')} disabled={zoom === 0} onClick={() => step(-1)}>−</button>
          <button type="button" class="small icon" aria-label={t('zoom_in')} title={t('zoom_in')} disabled={zoom === SCALES.length - 1} onClick={() => step(1)}>+</button>
          <button type="button" class="small" onClick={lab.clear}>{t('clear')}</button>
        </div>
      </header>
      <div class="lanes">
        <ul class="names" style={{ height: `${l.height}px` }}>
          {l.lanes.map((lane) => <LaneName key={lane.kind + lane.tab} lane={lane} t={t} name={name} />)}
        </ul>
        <div class="scroller" ref={scroller} onScroll={onScroll} tabIndex={0} role={empty ? 'group' : 'listbox'} aria-label={t('timeline_label')}
          aria-activedescendant={current && `item-${current.id}`} onKeyDown={onKey} onMouseOver={onPoint} onClick={onPoint}>
          <svg class="drawing" width={Math.max(l.width, 100)} height={l.height} role="presentation" style={{ minWidth: '100%' }}>
            <Patterns />
            {l.lanes.map((lane) => <rect key={lane.kind + lane.tab} class={`lane ${lane.kind}`} x="0" y={lane.y} width="100%" height={lane.height} rx="6" />)}
            <AxisMarks l={l} t={t} />
            {l.marks.map((m) => <EventMark key={m.mark.id} m={m} active={active === m.mark.id} label={tellMark(t, m.mark)} />)}
            {l.calls.map((c) => <CallMark key={`c${c.call.call}`} c={c} active={active === `c${c.call.call}`} label={active === `c${c.call.call}` ? tellCall(t, c.call) : ''} t={t} />)}
            {l.renewals.map((r) => <RenewalBar key={r.renewal.id} r={r} active={active === r.renewal.id} />)}
            {l.requests.map((r) => <RequestBar key={r.request.id} r={r} active={active === r.request.id} rev={revision(r)} />)}
          </svg>
          {empty && <p class="empty">{t('timeline_empty')}</p>}
        </div>
      </div>
      <p class="detail" aria-live="polite">{current ? current.text : t('timeline_hint')}</p>
      <Legend t={t} />
    </section>
  );
}

function list(l: Layout, t: Translate, name: (tab: string) => string): Item[] {
  return [
    ...l.requests.map((r) => ({ id: r.request.id, at: r.request.from, x: r.x, text: tellRequest(t, r.request) })),
    ...l.renewals.map((r) => ({ id: r.renewal.id, at: r.renewal.from, x: r.x, text: tellRenewal(t, r.renewal, name(r.renewal.tab)) })),
    ...l.calls.map((c) => ({ id: `c${c.call.call}`, at: c.call.from, x: c.x, text: tellCall(t, c.call) })),
    ...l.marks.map((m) => ({ id: m.mark.id, at: m.mark.at, x: m.x, text: tellMark(t, m.mark) })),
  ].sort((a, b) => a.at - b.at);
}

function LaneName({ lane, t, name }: { lane: Lane; t: Translate; name: (tab: string) => string }) {
  const tab = lane.kind === 'tab';
  return (
    <li class={lane.kind} style={{ top: `${lane.y}px`, height: `${lane.height}px` }}>
      <span>{tab ? name(lane.tab!) : t(lane.kind as 'server' | 'thief')}</span>
      {tab && <small>{t('lane_renewal')}</small>}
    </li>
  );
}

function Patterns() {
  return (
    <defs>
      <pattern id="waiting" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <rect class="wait-back" width="6" height="6" />
        <rect class="wait-line" width="2" height="6" />
      </pattern>
    </defs>
  );
}

/** Roughly, in pixels at the size of captions. Chinese characters are twice as wide. */
const textWidth = (s: string): number => [...s].reduce((w, c) => w + (c >= '\u2e80' ? 12 : 6.4), 0);

function AxisMarks({ l, t }: { l: Layout; t: Translate }) {
  let free = -Infinity;
  return (
    <g class="axis" aria-hidden="true">
      {l.bursts.map((b) => {
        const caption = counted(t, b.counts);
        const room = b.x >= free;
        if (room) free = b.x + Math.max(66, textWidth(caption)) + 14;
        return (
          <g key={b.from}>
            <line x1={b.x} x2={b.x} y1={room ? 6 : 30} y2={l.height} class="start" />
            {room && <text x={b.x + 6} y="15" class="time">{clock(b.from)}</text>}
            {room && <text x={b.x + 6} y="30" class="caption">{caption}</text>}
          </g>
        );
      })}
      {l.axis.breaks.map((b) => (
        <g key={b.x0} class="break">
          {b.idle && <rect x={PADDING + b.x0 + 5} y={AXIS_HEIGHT} width={Math.max(0, b.x1 - b.x0 - 10)} height={Math.max(0, l.height - AXIS_HEIGHT)} />}
          <text x={PADDING + (b.x0 + b.x1) / 2} y={b.idle ? AXIS_HEIGHT + 130 : l.height - 2}>{seconds(t, b.ms)}</text>
        </g>
      ))}
    </g>
  );
}

/** Changes when a bar must be drawn again. */
const revision = (r: RequestShape): string =>
  `${r.x.toFixed(1)},${r.y.toFixed(1)},${r.height.toFixed(1)},${r.width.toFixed(1)},${r.segments.length},${r.segments.at(-1)?.kind}`;

const RequestBar = memo(function RequestBar({ r, active }: { r: RequestShape; active: boolean; rev: string }) {
  const radius = Math.min(3, r.height / 2);
  return (
    <g class={active ? 'request active' : 'request'} id={`item-${r.request.id}`} data-item={r.request.id} role="option" aria-selected={active} aria-label={r.request.label}>
      <rect class="halo" x={r.x - 2} y={r.y - 2} width={r.width + 4} height={r.height + 4} rx={radius + 1} />
      {r.segments.map((s, i) => (
        <rect key={i} class={`segment ${s.kind}`} x={s.x} y={s.kind === 'wait' ? r.y + r.height * 0.22 : r.y} rx={s.kind === 'wait' ? 0 : Math.min(radius, s.width / 2)}
          width={s.width} height={s.kind === 'wait' ? r.height * 0.56 : r.height} />
      ))}
    </g>
  );
}, (a, b) => a.rev === b.rev && a.active === b.active);

function RenewalBar({ r, active }: { r: RenewalShape; active: boolean }) {
  const { renewal } = r;
  const state = renewal.to === undefined ? 'flight' : renewal.status === 0 ? 'lost' : renewal.status! >= 400 ? 'no' : 'ok';
  return (
    <g class={`renewal ${state}${active ? ' active' : ''}`} id={`item-${renewal.id}`} data-item={renewal.id} role="option" aria-selected={active}>
      <rect class="halo" x={r.x - 2} y={r.y - 2} width={r.width + 4} height={RENEWAL_HEIGHT + 4} rx="5" />
      <rect class="bar" x={r.x} y={r.y} width={r.width} height={RENEWAL_HEIGHT} rx="4" />
      {state === 'lost' && <path class="cross" d={cross(r.x + r.width, r.y + RENEWAL_HEIGHT / 2, 4)} />}
    </g>
  );
}

const cross = (x: number, y: number, s: number) => `M${x - s} ${y - s}l${2 * s} ${2 * s}m0 ${-2 * s}l${-2 * s} ${2 * s}`;

function CallMark({ c, active, label, t }: { c: CallShape; active: boolean; label: string; t: Translate }) {
  const { call } = c;
  const end = c.x + c.width;
  const reach = c.callerY < c.y ? -5 : 5;
  const lost = call.fate === 'lost';
  const half = (c.y + c.callerY) / 2;
  return (
    <g class={`call ${call.who} ${call.outcome ?? ''} ${call.fate ?? ''}${active ? ' active' : ''}`} id={`item-c${call.call}`} data-item={`c${call.call}`}
      role="option" aria-selected={active} aria-label={label}>
      <line class="arrow" x1={c.x} x2={c.x} y1={c.callerY} y2={c.y + reach} />
      {call.to !== undefined && <line class={lost ? 'arrow lost' : 'arrow back'} x1={end} x2={end} y1={c.y + reach} y2={lost ? half : c.callerY} />}
      {lost && <path class="cross" d={cross(end, half, 4)}><title>{t('l_lost')}</title></path>}
      <rect class="halo" x={c.x - 7} y={c.y - 8} width={c.width + 14} height="16" rx="8" />
      <rect class="body" x={c.x - 5} y={c.y - 5.5} width={c.width + 10} height="11" rx="5.5" />
      {call.who === 'thief' && <rect class="bar" x={c.x - 4} y={c.callerY - 6} width={c.width + 8} height="12" rx="4" />}
      <text x={end + CALL_PILL} y={c.y + 4}>{c.caption}</text>
    </g>
  );
}

function EventMark({ m, active, label }: { m: MarkShape; active: boolean; label: string }) {
  return (
    <g class={`event${active ? ' active' : ''}`} id={`item-${m.mark.id}`} data-item={m.mark.id} role="option" aria-selected={active} aria-label={label}>
      <line class="flag" x1={m.x} x2={m.x} y1={m.y + 8} y2={m.y + m.height} />
      <rect class="halo" x={m.x - 7} y={m.y + 1} width="14" height="14" rx="7" />
      <path class="sign" d={`M${m.x} ${m.y + 2}l6 6-6 6-6-6z`} />
      <text x={m.x + 10} y={m.y + 12}>{m.mark.type}</text>
    </g>
  );
}

function Legend({ t }: { t: Translate }) {
  const marks = [['flight', 'l_flight'], ['ok', 'l_ok'], ['refused', 'l_refused'], ['wait', 'l_wait'], ['denied', 'l_denied'], ['failed', 'l_failed'],
    ['renewal', 'l_renewal'], ['event', 'l_event'], ['lost', 'l_lost'], ['thief', 'l_thief']] as const;
  return (
    <ul class="legend" aria-label={t('legend')}>
      {marks.map(([kind, key]) => <li key={kind}><i class={`mark ${kind}`} aria-hidden="true" />{t(key)}</li>)}
    </ul>
  );
}
