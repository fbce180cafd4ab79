import { useState } from 'preact/hooks';
import type { Translate } from '../i18n';
import type { Lab } from '../lab';
import { Card } from './Controls';

type Props = { lab: Lab; t: Translate };

/** What the user may do, as it changes; for administrators the roles of everybody. */
export function AccessCard({ lab, t }: Props) {
  const { access } = lab;
  const { roles, permissions, can } = access.grants;
  const [open, setOpen] = useState(true);
  const orders = can('orders:read');
  const admin = can('admin:*');
  return (
    <Card title={t('access')} sub={t('access_sub')} kind="access">
      <dl class="grants" aria-live="polite">
        <dt>{t('roles')}</dt><dd id="roles"><Names list={roles} t={t} /></dd>
        <dt>{t('permissions')}</dt><dd id="permissions"><Names list={permissions} t={t} /></dd>
      </dl>
      <div class="menu" role="group" aria-label={t('menu')}>
        {orders && <button key="orders" type="button" id="menu-orders" class="small" onClick={() => void access.orders()}>{t('menu_orders')}</button>}
        {admin && (
          <button key="admin" type="button" id="menu-admin" class="small" aria-expanded={open} aria-controls="members" onClick={() => setOpen(!open)}>{t('menu_admin')}</button>
        )}
        {!orders && !admin && <span key="empty" class="sub">{t('menu_empty')}</span>}
      </div>
      <p class={`result ${access.result?.bad ? 'bad' : ''}`} aria-live="polite" id="access-result">
        {access.result && t(access.result.key, access.result.params)}
      </p>
      {admin && open && <Members lab={lab} t={t} />}
      <p class="hint">{t(admin ? 'window_hint' : 'bob_hint')}</p>
    </Card>
  );
}

function Names({ list, t }: { list: readonly string[]; t: Translate }) {
  return list.length === 0 ? <span class="sub">{t('none')}</span> : <>{list.map((name) => <code key={name}>{name}</code>)}</>;
}

function Members({ lab: { access }, t }: Props) {
  const self = access.grants.user?.id;
  const { rows } = access;
  return (
    <table class="members" id="members">
      <caption>{t('members')}</caption>
      <thead>
        <tr><th scope="col">{t('member')}</th>{rows[0]?.roles.map((r) => <th key={r.name} scope="col">{r.name}</th>)}</tr>
      </thead>
      <tbody>
        {rows.map(({ member, roles }) => (
          <tr key={member.id}>
            <th scope="row">{member.id === self ? t('member_self', { user: member.username }) : member.username}</th>
            {roles.map(({ name, held }) => (
              <td key={name}>
                <label>
                  <input type="checkbox" id={`role-${member.username}-${name}`} checked={held}
                    aria-label={t('member_role', { user: member.username, role: name })}
                    onChange={(e) => void access.toggle(member, name, e.currentTarget.checked)} />
                </label>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
