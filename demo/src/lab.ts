// The state of the page: what tabs and server told, folded, and what the
// buttons do. Views read it and are called after changes.
import { createSession, TacetError, type Session, type User } from '@tacet/browser';
import { Access } from './access';
import { Feed } from './feed';
import type { Key, Params } from './i18n';
import { ChainModel } from './model/chain';
import { count, NetModel, type Counts } from './model/net';
import type { Entry, Faults } from './model/types';
import { now, Recorder, REQUEST_HEADER } from './record';

export interface Line {
  id: number;
  at: number;
  tone: 'plain' | 'good' | 'warn' | 'bad';
  key: Key;
  params: Params;
  who?: 'browser' | 'thief';
  /** Of a burst. */
  counts?: Counts;
}

const MAX_LINES = 60;

/** An extra's last result, shown under its button. */
export interface Extra {
  key: Key;
  params: Params;
  image?: string;
  bad?: boolean;
}

export class Lab {
  readonly recorder = new Recorder((e) => {
    this.net.net(e);
    this.feed.net(e);
    this.changed();
  });
  readonly net = new NetModel();
  readonly chains = new ChainModel();
  readonly session: Session;
  readonly access: Access;
  story: Line[] = [];
  faults: Faults = { lose: 0, unavailable: 0, slow: 0 };
  policy = { access_ttl: 0, overlap: 0, version: '' };
  user: User | undefined;
  status: Session['status'] = 'loading';
  tokenAt = 0;
  refused = false;
  connected = true;
  extra: Extra | undefined;
  problem: { key: Key; params: Params } | undefined;
  reuseSeen = false;
  /** How often a button was pressed: the picture follows what was just asked for. */
  bursts = 0;
  private readonly feed: Feed;
  private readonly born = now();
  private readonly listeners = new Set<() => void>();
  /** When the demo server first saw this browser. */
  private started: number | undefined;
  private lines = 0;
  private shots = 0;

  constructor() {
    this.recorder.watch();
    this.session = createSession({ baseURL: '/auth', storage: 'localStorage' });
    this.session.on('signedin', () => this.sync(true));
    this.session.on('renewed', () => this.sync(true));
    this.session.on('signedout', ({ reason }) => {
      if (reason === 'tab') this.tell('warn', 's_signedout');
      this.sync(false);
    });
    this.access = new Access(this.watchedSession(), (path, init) => this.request(path, init), {
      tell: (tone, key, params) => this.tell(tone, key, params),
      mark: (type, version) => this.net.mark(type, now(), version),
      changed: () => this.changed(),
    });
    void this.session.ready.then(() => this.sync(this.session.status === 'signedin'));
    this.feed = new Feed(this.recorder.tab, {
      entry: (e) => this.entry(e),
      net: (e) => {
        this.net.net(e);
        this.changed();
      },
      bye: (tab) => {
        this.net.close(tab, now());
        this.changed();
      },
      connected: (yes) => {
        this.connected = yes;
        this.changed();
      },
    });
  }

  subscribe(fn: () => void): () => void {
    this.listeners.add(fn);
    return () => this.listeners.delete(fn);
  }

  private changed(): void {
    for (const fn of this.listeners) fn();
  }

  private sync(fresh: boolean): void {
    this.user = this.session.user;
    this.status = this.session.status;
    if (fresh) {
      this.tokenAt = now();
      this.refused = false;
    }
    this.changed();
  }

  private tell(tone: Line['tone'], key: Key, params: Params = {}, who?: Line['who']): void {
    this.story = [{ id: ++this.lines, at: now(), tone, key, params, who }, ...this.story].slice(0, MAX_LINES);
  }

  private entry(e: Entry): void {
    const at = e.at + this.feed.ahead;
    this.chains.entry(e, at);
    if (e.faults) this.faults = e.faults;
    if (e.kind === 'hello') {
      if (e.policy) this.policy = { version: '', ...e.policy };
      if (this.started !== undefined && this.started !== e.at) this.tell('warn', 's_restarted');
      this.started = e.at;
      this.net.entry(e, at);
    }
    // What happened before this page was opened is in the chain, not in the picture.
    if (at >= this.born - 500) {
      this.net.entry(e, at);
      this.narrate(e);
    }
    this.changed();
  }

  private narrate(e: Entry): void {
    const generation = e.token?.generation ?? 0;
    switch (e.kind) {
      case 'decide': {
        const who = this.chains.chain.last?.who ?? 'browser';
        const tone = e.outcome === 'reuse_detected' ? 'bad' : who === 'thief' ? 'warn' : e.outcome === 'advanced' ? 'good' : e.outcome === 'retried' ? 'plain' : 'warn';
        if (e.outcome === 'reuse_detected') this.reuseSeen = false;
        this.tell(tone, `s_${e.outcome!}`, { g: generation }, who);
        break;
      }
      case 'answer':
        if (e.fate === 'lost') this.tell('warn', 's_lost');
        else if (e.fate === 'injected') this.tell('warn', 's_injected');
        else if (e.op === 'login' && e.minted) this.tell('good', 's_login', { g: e.minted.generation });
        else if (e.op === 'logout' && e.status === 204) this.tell('plain', 's_logout');
        break;
      case 'expire':
        this.refused = true;
        this.tell('plain', 's_expire');
        break;
      case 'steal':
        this.tell('bad', 's_steal', { g: generation });
        break;
      case 'read':
        this.tell(e.status === 200 ? 'bad' : 'good', 's_read', { status: e.status ?? 0 });
        break;
    }
  }

  /** Sends n requests at once and tells what became of them. */
  async send(n: number): Promise<void> {
    this.bursts++;
    const before = this.net.renewals.length ? this.net.renewals.at(-1)! : undefined;
    const first = now();
    let error = '';
    const results = await Promise.all(Array.from({ length: n }, async () => {
      const r = await this.request(`/api/demo/orders?n=${++this.shots}`);
      if (r.error) error ||= r.error;
      return r.id;
    }));
    const mine = new Set(results);
    const c = count(this.net.requests.filter((r) => mine.has(r.id)),
      this.net.renewals.filter((r) => r !== before && (r.to ?? Infinity) >= first).length);
    this.tell(c.failed > 0 ? 'warn' : 'good', 's_burst', error ? { error } : {});
    this.story[0]!.counts = c;
    this.changed();
  }

  /** One request through the SDK, written down from the call to the last byte. */
  private async request(path: string, init: RequestInit = {}): Promise<{ id: string; body?: Blob; status?: number; error?: string }> {
    const id = this.recorder.id();
    const headers = new Headers(init.headers);
    headers.set(REQUEST_HEADER, id);
    this.recorder.event('start', id, { label: `${init.method ?? 'GET'} ${path}` });
    try {
      const answer = await this.session.fetch(path, { ...init, headers });
      const body = await answer.blob();
      this.recorder.event('end', id, { status: answer.status });
      return { id, body, status: answer.status };
    } catch (e) {
      const error = e instanceof TacetError ? e.code : e instanceof Error ? e.name : String(e);
      this.recorder.event('end', id, { error });
      return { id, error };
    }
  }

  /** The session, whose questions about grants are drawn as the page's own requests are. */
  private watchedSession(): Session {
    const fetch: Session['fetch'] = async (input, init) => {
      const { pathname } = new URL(input instanceof Request ? input.url : input, location.href);
      if (!pathname.endsWith('/me')) return this.session.fetch(input, init);
      const id = this.recorder.id();
      const headers = new Headers(init?.headers);
      headers.set(REQUEST_HEADER, id);
      this.recorder.event('start', id, { label: `GET ${pathname}` });
      try {
        const answer = await this.session.fetch(input, { ...init, headers });
        this.recorder.event('end', id, { status: answer.status });
        return answer;
      } catch (e) {
        this.recorder.event('end', id, { error: e instanceof TacetError ? e.code : String(e) });
        throw e;
      }
    };
    return Object.create(this.session, { fetch: { value: fetch } }) as Session;
  }

  private show(extra: Extra): void {
    if (this.extra?.image) URL.revokeObjectURL(this.extra.image);
    this.extra = extra;
    this.changed();
  }

  async upload(): Promise<void> {
    if (!isSecureContext) return this.show({ key: 'upload_insecure', params: {}, bad: true }); // no SHA-256 there
    const bytes = crypto.getRandomValues(new Uint8Array(64 << 10));
    const hex = [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].map((b) => b.toString(16).padStart(2, '0')).join('');
    const r = await this.request('/api/demo/echo', { method: 'POST', body: bytes, headers: { 'Content-Type': 'application/octet-stream' } });
    if (r.status !== 200 || !r.body) return this.show({ key: 'extra_failed', params: { error: r.error ?? r.status ?? 0 }, bad: true });
    const echo = JSON.parse(await r.body.text()) as { bytes: number; sha256: string };
    const same = echo.sha256 === hex && echo.bytes === bytes.length;
    this.show({ key: same ? 'upload_ok' : 'upload_bad', params: { n: echo.bytes, hash: hex.slice(0, 8) }, bad: !same });
  }

  async picture(): Promise<void> {
    const r = await this.request('/api/demo/picture');
    if (r.status !== 200 || !r.body) return this.show({ key: 'extra_failed', params: { error: r.error ?? r.status ?? 0 }, bad: true });
    this.show({ key: 'picture_ok', params: { n: r.body.size }, image: URL.createObjectURL(r.body) });
  }

  async admin(): Promise<void> {
    const r = await this.request('/api/demo/admin');
    if (r.status === 200) this.show({ key: 'admin_ok', params: {} });
    else if (r.status === 403) this.show({ key: 'admin_denied', params: {} });
    else this.show({ key: 'extra_failed', params: { error: r.error ?? r.status ?? 0 }, bad: true });
  }

  /** Presses one of the demo server's buttons. */
  async control(path: string, body?: unknown): Promise<void> {
    this.problem = undefined;
    this.bursts++;
    try {
      const answer = await fetch(path, { method: 'POST', body: body === undefined ? null : JSON.stringify(body) });
      if (!answer.ok) {
        const p = (await answer.json().catch(() => ({}))) as { detail?: string };
        this.problem = { key: 'control_failed', params: { error: p.detail ?? answer.status } };
      }
    } catch {
      this.problem = { key: 'disconnected', params: {} };
    }
    this.changed();
  }

  /**
   * A token that was good goes bad. The SDK takes a 401 to a token that no API has accepted yet for the API's last
   * word and does not renew again, so a new token is used once before.
   */
  expire = async (): Promise<void> => {
    if (!this.refused && now() - this.tokenAt < this.policy.access_ttl * 800) {
      await this.session.fetch('/auth/me').catch(() => {}); // if it fails, the 401s will show why
    }
    await this.control('/demo/expire');
  };
  arm = (fault: keyof Faults): Promise<void> =>
    this.control('/demo/faults', { ...this.faults, [fault]: Math.min(9, this.faults[fault] + 1) });
  steal = (): Promise<void> => this.control('/auth/demo/steal');
  thiefRenew = (): Promise<void> => this.control('/demo/thief/renew');
  thiefRead = (): Promise<void> => this.control('/demo/thief/read');

  /** Resolves to the message of what went wrong, if anything did. */
  async signIn(username: string, password: string): Promise<Key | undefined> {
    try {
      await this.session.signIn({ username, password });
      this.reuseSeen = true;
      this.sync(true);
      return undefined;
    } catch (e) {
      const code = e instanceof TacetError ? e.code : '';
      return code === 'invalid_credentials' ? 'wrong_credentials' : code === 'too_many_requests' ? 'sign_in_throttled' : 'sign_in_failed';
    }
  }

  async signOut(everywhere: boolean): Promise<void> {
    await this.session.signOut({ everywhere });
    this.sync(false);
  }

  dismissReuse = (): void => {
    this.reuseSeen = true;
    this.changed();
  };

  clear = (): void => {
    this.net.clear();
    this.story = [];
    this.changed();
  };
}
