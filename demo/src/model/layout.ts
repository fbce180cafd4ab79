// Puts requests, renewals and calls into lanes. Pure: model in, numbers out.
import { buildAxis, type Axis, type Burst } from './axis';
import { count, spans, type Call, type Counts, type Mark, type Net, type Renewal, type Request } from './net';

export type SegmentKind = 'flight' | 'ok' | 'refused' | 'denied' | 'failed' | 'wait';

export interface Segment {
  x: number;
  width: number;
  kind: SegmentKind;
}

export interface RequestShape {
  request: Request;
  y: number;
  height: number;
  x: number;
  width: number;
  segments: Segment[];
}

export interface RenewalShape {
  renewal: Renewal;
  x: number;
  width: number;
  y: number;
}

export interface CallShape {
  call: Call;
  x: number;
  width: number;
  y: number;
  /** Where the caller's renewal is drawn, for the arrows. */
  callerY: number;
  caption: string;
}

/** From the top of this tab's lane to its renewals. */
export interface MarkShape {
  mark: Mark;
  x: number;
  y: number;
  height: number;
}

export interface Lane {
  kind: 'tab' | 'server' | 'thief';
  tab?: string;
  y: number;
  height: number;
}

export interface BurstShape extends Burst {
  x: number;
  width: number;
  counts: Counts;
}

export interface Layout {
  axis: Axis;
  lanes: Lane[];
  requests: RequestShape[];
  renewals: RenewalShape[];
  calls: CallShape[];
  bursts: BurstShape[];
  marks: MarkShape[];
  width: number;
  height: number;
}

export interface LayoutOptions {
  now: number;
  /** Pixels per ms. */
  scale: number;
  /** This tab; its lane is the first and the highest. */
  tab: string;
  /** A lane for the thief, though there is no call of theirs yet. */
  thief: boolean;
}

export const AXIS_HEIGHT = 40;
export const RENEWAL_HEIGHT = 14;
export const PADDING = 16;
const ROW = 15;
/** Heights do not follow the number of requests: a page that jumps is hard to read. */
const OWN_BODY = 236;
const OTHER_BODY = 84;
const CALL_ROW = 17;
const CALL_ROWS = 3;
const SERVER_HEIGHT = CALL_ROWS * CALL_ROW + 9;
const THIEF_HEIGHT = 44;
const LANE_GAP = 10;

export function layout(net: Net, o: LayoutOptions): Layout {
  const axis = buildAxis(spans(net), o.now, o.scale);
  const x = (at: number) => PADDING + axis.x(at);
  const burstOf = (at: number) => {
    let i = axis.bursts.length - 1;
    while (i > 0 && axis.bursts[i]!.from > at) i--;
    return i;
  };
  const tabs = [o.tab, ...new Set([...net.requests, ...net.renewals].map((r) => r.tab).filter((t) => t !== o.tab))];

  const lanes: Lane[] = [];
  const requests: RequestShape[] = [];
  const renewals: RenewalShape[] = [];
  const renewalY = new Map<string, number>();
  let y = AXIS_HEIGHT;
  for (const tab of tabs) {
    const body = tab === o.tab ? OWN_BODY : OTHER_BODY;
    const packed = pack(net.requests.filter((r) => r.tab === tab), burstOf, o.now);
    for (const burst of packed) {
      const row = Math.min(ROW, body / burst.rows);
      for (const [request, index] of burst.placed) {
        // Bars sit on the lane's floor, next to the renewals that they wait for.
        const top = y + body - (index + 1) * row;
        requests.push({ ...requestShape(request, x, o.now), y: top, height: Math.max(1.6, row > 6 ? row - 4 : row * 0.72) });
      }
    }
    renewalY.set(tab, y + body + 4);
    lanes.push({ kind: 'tab', tab, y, height: body + RENEWAL_HEIGHT + 10 });
    y += body + RENEWAL_HEIGHT + 10 + LANE_GAP;
  }
  for (const renewal of net.renewals) {
    const x0 = x(renewal.from);
    renewals.push({ renewal, x: x0, width: Math.max(3, x(renewal.to ?? o.now) - x0), y: renewalY.get(renewal.tab)! });
  }

  lanes.push({ kind: 'server', y, height: SERVER_HEIGHT });
  const serverY = y + 4 + CALL_ROW / 2;
  y += SERVER_HEIGHT + LANE_GAP;
  let thiefY = y + 12;
  if (o.thief || net.calls.some((c) => c.who === 'thief')) {
    lanes.push({ kind: 'thief', y, height: THIEF_HEIGHT });
    thiefY = y + THIEF_HEIGHT / 2;
    y += THIEF_HEIGHT + LANE_GAP;
  }
  const calls = callShapes(net, x, o.now, serverY, thiefY, renewalY, o.tab);
  const bursts = axis.bursts.map((b, i) => ({
    ...b,
    x: x(b.from),
    width: x(b.to) - x(b.from),
    counts: count(net.requests.filter((r) => burstOf(r.from) === i), net.renewals.filter((r) => burstOf(r.from) === i).length),
  }));
  const marks = net.marks.map((mark) => ({ mark, x: x(mark.at), y: AXIS_HEIGHT, height: OWN_BODY + 4 + RENEWAL_HEIGHT }));
  return { axis, lanes, requests, renewals, calls, bursts, marks, width: axis.width + 2 * PADDING, height: y };
}

function requestShape(r: Request, x: (at: number) => number, now: number): Omit<RequestShape, 'y' | 'height'> {
  const segments: Segment[] = [];
  const add = (from: number, to: number, kind: SegmentKind) => {
    const x0 = x(from);
    const width = x(to) - x0;
    if (width > 0.2) segments.push({ x: x0, width, kind });
  };
  let at = r.from;
  for (const a of r.attempts) {
    add(at, a.from, 'wait');
    const last = a === r.attempts.at(-1);
    // Reading the body belongs to the attempt that brought it.
    const final = last && a.to !== undefined && (a.status !== 401 || (r.to !== undefined && !r.error));
    const to = final ? (r.to ?? now) : (a.to ?? now);
    add(a.from, to, kindOf(a.status));
    at = to;
  }
  // What is left was spent waiting, unless the caller got the last attempt's answer.
  if (r.to === undefined || r.error) add(at, r.to ?? now, 'wait');
  const x0 = x(r.from);
  return { request: r, x: x0, width: Math.max(2, x(r.to ?? now) - x0), segments };
}

function kindOf(status: number | undefined): SegmentKind {
  if (status === undefined) return 'flight';
  if (status === 0 || status >= 500) return 'failed';
  if (status === 401) return 'refused';
  if (status >= 400) return 'denied';
  return 'ok';
}

interface Packed {
  rows: number;
  placed: [Request, number][];
}

/** Gives each request of a burst the lowest row that is free for its time. */
export function pack(requests: Request[], burstOf: (at: number) => number, now: number): Packed[] {
  const bursts = new Map<number, { ends: number[]; placed: [Request, number][] }>();
  for (const r of requests) {
    const i = burstOf(r.from);
    let b = bursts.get(i);
    if (!b) bursts.set(i, (b = { ends: [], placed: [] }));
    let row = b.ends.findIndex((end) => end + 8 <= r.from);
    if (row < 0) row = b.ends.length;
    b.ends[row] = r.to ?? now + 1e9;
    b.placed.push([r, row]);
  }
  return [...bursts.values()].map((b) => ({ rows: b.ends.length, placed: b.placed }));
}

/** Where a call's pill ends and its caption begins, from its x. */
export const CALL_PILL = 8;

function callShapes(net: Net, x: (at: number) => number, now: number, serverY: number, thiefY: number,
  renewalY: Map<string, number>, own: string): CallShape[] {
  // Calls can be a millisecond apart: each takes the first row where its caption fits.
  const ends: number[] = Array<number>(CALL_ROWS).fill(-Infinity);
  return net.calls.filter((c) => c.op !== 'confirm').map((call) => {
    const x0 = x(call.from);
    const width = Math.max(2, x(call.to ?? now) - x0);
    const caption = captionOf(call);
    let row = ends.findIndex((end) => end <= x0 - 10);
    if (row < 0) row = ends.indexOf(Math.min(...ends));
    ends[row] = x0 + width + CALL_PILL + caption.length * 6.4;
    const caller = net.renewals.findLast((r) => r.from <= call.from + 2 && (r.to ?? now) >= call.from - 2);
    return {
      call,
      x: x0,
      width,
      y: serverY + row * CALL_ROW,
      callerY: call.who === 'thief' ? thiefY : (renewalY.get(caller?.tab ?? own) ?? AXIS_HEIGHT) + RENEWAL_HEIGHT,
      caption,
    };
  });
}

function captionOf(c: Call): string {
  if (c.op !== 'refresh') return c.status && c.status >= 400 ? `${c.op} ${c.status}` : c.op;
  const word = c.fate === 'injected' ? String(c.status) : (c.outcome ?? '').replaceAll('_', ' ');
  return `${c.token ? `g${c.token.generation} ` : ''}${word}`.trim();
}
