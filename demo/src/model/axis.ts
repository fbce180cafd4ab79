// Time runs to the right at one scale, except where nothing changes: those
// stretches shrink, so that 50 ms can be seen in a page that is open for hours.

export interface Span {
  from: number;
  /** Missing: not over yet. */
  to?: number;
}

/** A stretch that was shrunk enough to be worth a mark. */
export interface Break {
  x0: number;
  x1: number;
  /** Its real length in ms. */
  ms: number;
  /** Nothing was pending. */
  idle: boolean;
}

/** Times between two quiet stretches. */
export interface Burst {
  from: number;
  to: number;
}

export interface Axis {
  x(at: number): number;
  width: number;
  breaks: Break[];
  bursts: Burst[];
}

/** Quiet for longer than this (ms) separates two bursts. */
const QUIET = 500;
const MARKED = 1000;

/** The drawn length, in linear ms, of a stretch in which something is pending. */
const pending = (ms: number) => (ms <= 300 ? ms : 300 + 60 * Math.log1p((ms - 300) / 60));
/** The same where nothing is, in pixels: a gap is a gap at any scale. */
const idle = (ms: number, scale: number) => Math.min(ms * scale, 34 + 5 * Math.log1p(ms / 1000));

/** scale is pixels per ms; now closes the spans that are open. */
export function buildAxis(spans: Span[], now: number, scale: number): Axis {
  if (spans.length === 0) return { x: () => 0, width: 0, breaks: [], bursts: [] };
  const steps = new Map<number, number>();
  let open = false;
  for (const s of spans) {
    open ||= s.to === undefined;
    const to = Math.max(s.from, s.to ?? now);
    steps.set(s.from, (steps.get(s.from) ?? 0) + 1);
    steps.set(to, (steps.get(to) ?? 0) - 1);
  }
  const times = [...steps.keys()].sort((a, b) => a - b);
  if (!open && now > times.at(-1)!) times.push(Math.min(now, times.at(-1)! + QUIET));

  const xs = [0];
  const breaks: Break[] = [];
  const bursts: Burst[] = [{ from: times[0]!, to: times[0]! }];
  let depth = steps.get(times[0]!)!;
  for (let i = 1; i < times.length; i++) {
    const ms = times[i]! - times[i - 1]!;
    const drawn = depth > 0 ? pending(ms) * scale : idle(ms, scale);
    const x0 = xs[i - 1]!;
    xs.push(x0 + drawn);
    if (ms >= MARKED) breaks.push({ x0, x1: x0 + drawn, ms, idle: depth === 0 });
    if (depth === 0 && ms >= QUIET && i < times.length) bursts.push({ from: times[i]!, to: times[i]! });
    else bursts.at(-1)!.to = times[i]!;
    depth += steps.get(times[i]!) ?? 0;
  }
  // The last edge after a quiet stretch is "now", not the start of a burst.
  if (bursts.length > 1 && !steps.has(bursts.at(-1)!.from)) bursts.pop();
  return { x: (at) => interpolate(times, xs, at), width: xs.at(-1)!, breaks, bursts };
}

function interpolate(times: number[], xs: number[], at: number): number {
  if (at <= times[0]!) return 0;
  if (at >= times.at(-1)!) return xs.at(-1)!;
  let lo = 0;
  let hi = times.length - 1;
  while (hi - lo > 1) {
    const mid = (lo + hi) >> 1;
    if (times[mid]! <= at) lo = mid;
    else hi = mid;
  }
  return xs[lo]! + ((at - times[lo]!) / (times[hi]! - times[lo]!)) * (xs[hi]! - xs[lo]!);
}
