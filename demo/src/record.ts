// Writes down what crosses the network in this tab, and tells the other tabs.
import type { NetEvent } from './model/types';

/** Names the request that an attempt belongs to, through renewals and repeats. */
export const REQUEST_HEADER = 'X-Demo-Request';

/** Milliseconds since the epoch, finer than Date.now() and never going back. */
export const now = (): number => performance.timeOrigin + performance.now();

export class Recorder {
  readonly tab = crypto.getRandomValues(new Uint32Array(1))[0]!.toString(36);
  private next = 0;

  constructor(private readonly tell: (e: NetEvent) => void) {}

  id(): string {
    return `${this.tab}-${++this.next}`;
  }

  event(kind: NetEvent['kind'], id: string, more: Partial<NetEvent> = {}): void {
    this.tell({ kind, id, tab: this.tab, at: now(), ...more });
  }

  /** Has every call of fetch in this page go through the recorder, the SDK's own too. */
  watch(): void {
    globalThis.fetch = this.fetch;
  }

  private readonly platform = globalThis.fetch.bind(globalThis);

  /** The platform's fetch, watched. It changes nothing. */
  private readonly fetch: typeof fetch = async (input, init) => {
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
    const url = new URL(input instanceof Request ? input.url : input, location.href);
    const request = headers.get(REQUEST_HEADER);
    const renewal = url.pathname.endsWith('/refresh');
    if (!request && !renewal) return this.platform(input, init);
    const id = request ?? this.id();
    const [begin, end] = request ? (['send', 'receive'] as const) : (['renew', 'renewed'] as const);
    this.event(begin, id);
    try {
      const answer = await this.platform(input, init);
      this.event(end, id, { status: answer.status });
      return answer;
    } catch (e) {
      this.event(end, id, { status: 0 });
      throw e;
    }
  };
}
