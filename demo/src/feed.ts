// One event stream per browser, not per tab: browsers allow six connections to
// a server over HTTP/1.1. The tab that holds the lock reads the stream and
// passes it on; when it closes, the lock and the stream go to the next one.
import type { Entry, NetEvent } from './model/types';
import { now } from './record';

export type Message =
  | { k: 'entry'; entry: Entry }
  | { k: 'log'; entries: Entry[]; ahead: number; to: string }
  | { k: 'clock'; ahead: number }
  | { k: 'ask'; from: string }
  | { k: 'net'; event: NetEvent }
  | { k: 'bye'; tab: string };

export interface Listener {
  entry(e: Entry): void;
  net(e: NetEvent): void;
  bye(tab: string): void;
  connected(yes: boolean): void;
}

const NAME = 'tacet-demo';
const LOG = 512;
/** Less than this (ms) is the time that the message took. */
const SAME_CLOCK = 250;

export class Feed {
  private channel = new BroadcastChannel(NAME);
  private log: Entry[] = [];
  private seq = 0;
  private started = 0;
  private leads = false;
  /** Milliseconds by which this browser's clock is ahead of the server's. */
  ahead = 0;

  constructor(private readonly tab: string, private readonly listener: Listener) {
    this.channel.onmessage = ({ data }: MessageEvent<Message>) => this.hear(data);
    addEventListener('pagehide', () => this.say({ k: 'bye', tab }));
    this.say({ k: 'ask', from: tab });
    if (navigator.locks) void navigator.locks.request(NAME, () => this.lead());
    else void this.lead();
  }

  net(event: NetEvent): void {
    this.say({ k: 'net', event });
  }

  private say(m: Message): void {
    this.channel.postMessage(m);
  }

  private hear(m: Message): void {
    if (m.k === 'entry') this.take(m.entry);
    else if (m.k === 'net') this.listener.net(m.event);
    else if (m.k === 'bye') this.listener.bye(m.tab);
    else if (m.k === 'ask' && this.leads) this.say({ k: 'log', entries: this.log, ahead: this.ahead, to: m.from });
    else if (m.k === 'clock') this.ahead = m.ahead;
    else if (m.k === 'log' && m.to === this.tab) {
      this.ahead = m.ahead;
      m.entries.forEach((e) => this.take(e));
    }
  }

  /** Entries come more than once (stream, channel, resumed log) and are taken once. */
  private take(e: Entry): boolean {
    if (e.kind === 'hello' && e.at !== this.started) {
      this.started = e.at;
      this.seq = 0;
      this.log = [];
    }
    if (e.seq <= this.seq) return false;
    this.seq = e.seq;
    this.log.push(e);
    if (this.log.length > LOG) this.log.shift();
    this.listener.entry(e);
    return true;
  }

  private lead(): Promise<never> {
    this.leads = true;
    this.connect();
    return new Promise(() => {}); // for as long as the tab lives
  }

  private connect(): void {
    const source = new EventSource('/demo/stream');
    source.onopen = () => this.listener.connected(true);
    source.addEventListener('clock', ({ data }: MessageEvent<string>) => {
      const ahead = now() - (JSON.parse(data) as { at: number }).at;
      this.ahead = Math.abs(ahead) < SAME_CLOCK ? 0 : ahead;
      this.say({ k: 'clock', ahead: this.ahead });
    });
    source.onmessage = ({ data }: MessageEvent<string>) => {
      const entry = JSON.parse(data) as Entry;
      if (this.take(entry)) this.say({ k: 'entry', entry });
    };
    source.onerror = () => {
      this.listener.connected(false);
      if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
      // Refused: the server was restarted and does not know the demo cookie. The page gives a new one.
      setTimeout(() => void fetch('/', { cache: 'no-store' }).catch(() => {}).then(() => this.connect()), 1000);
    };
  }
}
