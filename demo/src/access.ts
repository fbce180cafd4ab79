// What the signed-in user may do, live, and for administrators the roles of
// others. The SDK's grants do the work; here their changes are told.
import type { Session } from '@tacet/browser';
import { createGrants, type Grants, type GrantsEvent, type GrantsSnapshot } from '@tacet/browser/grants';
import type { Key, Params } from './i18n';
import { changes, grant, table, type Member, type Row } from './model/access';

const ADMIN = '/auth/admin';

type Send = (path: string, init?: RequestInit) => Promise<{ body?: Blob; status?: number; error?: string }>;

export interface AccessListener {
  tell(tone: 'plain' | 'good' | 'warn' | 'bad', key: Key, params?: Params): void;
  mark(type: string, version?: number): void;
  changed(): void;
}

export class Access {
  readonly grants: Grants;
  rows: Row[] = [];
  result: { key: Key; params: Params; bad?: boolean } | undefined;
  private before: GrantsSnapshot;
  private shots = 0;

  constructor(session: Session, private readonly send: Send, private readonly to: AccessListener) {
    this.grants = createGrants(session, { refreshGrantsOnReload: true, onEvent: (e) => this.hear(e) });
    this.before = this.grants.getSnapshot();
    this.grants.subscribe(() => this.compare());
  }

  private hear(e: GrantsEvent): void {
    if (e.type === 'reset') return;
    this.to.mark(e.type, e.type === 'grants.changed' ? e.data.grants_version : undefined);
    if (e.type === 'grants.changed') this.to.tell('plain', 's_grants');
    if (e.type === 'session.ended') this.to.tell('warn', 's_disabled');
    this.to.changed();
  }

  private compare(): void {
    const [was, is] = [this.before, this.grants.getSnapshot()];
    this.before = is;
    if (was.status === 'signedin' && is.status === 'signedin' && was.user?.id === is.user?.id) {
      const { gained, lost } = changes(was.permissions, is.permissions);
      if (lost.length) this.to.tell('warn', 's_taken', { list: lost.join(', ') });
      if (gained.length) this.to.tell('good', 's_gained', { list: gained.join(', ') });
    }
    if (was.user?.id !== is.user?.id) this.result = undefined;
    if (!is.can('admin:*')) this.rows = [];
    else if (!was.can('admin:*') || was.user?.id !== is.user?.id) void this.load();
    this.to.changed();
  }

  private async json<T>(path: string): Promise<T | undefined> {
    const r = await this.send(ADMIN + path, this.said());
    if (r.status === 200) return JSON.parse(await r.body!.text()) as T;
    await this.failed(r);
    return undefined;
  }

  /** Problems in the language of the page. */
  private said = (): RequestInit => ({ headers: { 'Accept-Language': document.documentElement.lang } });

  private async failed(r: Awaited<ReturnType<Send>>): Promise<void> {
    const problem = await r.body?.text().then((text) => JSON.parse(text) as { detail?: string }).catch(() => undefined);
    this.result = { key: 'access_failed', params: { error: problem?.detail ?? r.error ?? r.status ?? 0 }, bad: true };
  }

  /** Reads who has which roles. */
  async load(): Promise<void> {
    const [roles, users] = await Promise.all([
      this.json<{ roles: { name: string }[] }>('/roles'), this.json<{ users: Member[] }>('/users'),
    ]);
    if (roles && users && this.grants.can('admin:*')) this.rows = table(users.users, roles.roles.map((r) => r.name), this.grants.user?.id);
    this.to.changed();
  }

  /** Gives a role to a user, or takes it. */
  async toggle(member: Member, role: string, give: boolean): Promise<void> {
    this.result = undefined;
    // Shown at once; what the server says comes after.
    this.rows = grant(this.rows, member.id, role, give);
    this.to.changed();
    const r = await this.send(`${ADMIN}/users/${encodeURIComponent(member.id)}/roles/${encodeURIComponent(role)}`,
      { ...this.said(), method: give ? 'PUT' : 'DELETE' });
    if (r.status === 204) this.to.tell(give ? 'good' : 'warn', give ? 's_given_role' : 's_taken_role', { user: member.username, role });
    else await this.failed(r);
    await this.load();
  }

  /** What the guarded button does. */
  async orders(): Promise<void> {
    const r = await this.send(`/api/demo/orders?n=menu-${++this.shots}`);
    if (r.status === 200) this.result = { key: 'orders_ok', params: { n: (JSON.parse(await r.body!.text()) as { orders: unknown[] }).orders.length } };
    else if (r.status === 403) this.result = { key: 'orders_denied', params: {} };
    else await this.failed(r);
    this.to.changed();
  }
}
