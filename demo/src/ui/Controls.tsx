import type { ComponentChildren } from 'preact';
import type { Translate } from '../i18n';
import type { Lab } from '../lab';
import { now } from '../record';
import { useTicker } from './hooks';
import { AccessCard } from './Access';

type Props = { lab: Lab; t: Translate };

function Action({ id, label, hint, badge, tone, disabled, onClick }: {
  id: string; label: string; hint?: string; badge?: string | false; tone?: string; disabled?: boolean; onClick: () => unknown;
}) {
  return (
    <div class="action">
      <button type="button" id={id} class={tone ?? ''} disabled={disabled} aria-describedby={hint ? `${id}-hint` : undefined} onClick={onClick}>
        {label}{badge && <span class="badge">{badge}</span>}
      </button>
      {hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
    </div>
  );
}

export function Card({ title, sub, children, kind }: { title: string; sub?: string; kind?: string; children: ComponentChildren }) {
  return (
    <section class={`panel card ${kind ?? ''}`}>
      <h2>{title}</h2>
      {sub && <p class="sub">{sub}</p>}
      {children}
    </section>
  );
}

/** How long the access token is good for, as a ring and in words. */
export function TokenAge({ lab, t }: Props) {
  useTicker(true, 250);
  const ttl = lab.policy.access_ttl;
  if (!ttl || !lab.tokenAt) return null;
  const left = lab.refused ? 0 : Math.max(0, ttl - (now() - lab.tokenAt) / 1000);
  const around = 2 * Math.PI * 9;
  const text = lab.refused ? t('token_refused') : left > 0 ? t('token_fresh', { s: Math.ceil(left) }) : t('token_old');
  return (
    <p class={`token-age ${left > 0 ? '' : 'old'}`}>
      <svg width="24" height="24" viewBox="0 0 24 24" aria-hidden="true">
        <circle class="track" cx="12" cy="12" r="9" />
        <circle class="left" cx="12" cy="12" r="9" transform="rotate(-90 12 12)" stroke-dasharray={`${(around * left) / ttl} ${around}`} />
      </svg>
      <span><b>{t('token_age')}</b> {text}</span>
    </p>
  );
}

export function Controls({ lab, t }: Props) {
  const { faults, chains: { chain }, extra } = lab;
  const held = chain.holders.thief ? chain.links.get(chain.holders.thief) : undefined;
  const armed = (n: number) => n > 0 && t('armed', { n });
  return (
    <>
      <Card title={t('requests')}>
        <div class="burst" role="group" aria-label={t('send')}>
          {[1, 20, 100].map((n) => (
            <button key={n} type="button" id={`send-${n}`} class="primary" aria-label={t('send_n', { n })} onClick={() => void lab.send(n)}>{n}</button>
          ))}
        </div>
        <div class="row">
          <button type="button" id="upload" class="small" onClick={() => void lab.upload()}>{t('upload')}</button>
          <button type="button" id="picture" class="small" onClick={() => void lab.picture()}>{t('picture')}</button>
          <button type="button" id="admin" class="small" onClick={() => void lab.admin()}>{t('admin')}</button>
        </div>
        <p class={`result ${extra?.bad ? 'bad' : ''}`} aria-live="polite" id="extra">
          {extra && t(extra.key, extra.params)}
          {extra?.image && <img src={extra.image} width="48" height="48" alt={t('picture_alt')} />}
        </p>
      </Card>
      <AccessCard lab={lab} t={t} />
      <Card title={t('mishaps')}>
        <Action id="expire" label={t('expire')} hint={t('expire_hint')} onClick={lab.expire} />
        <Action id="lose" label={t('lose')} hint={t('lose_hint')} badge={armed(faults.lose)} onClick={() => lab.arm('lose')} />
        <Action id="unavailable" label={t('unavailable')} hint={t('unavailable_hint')} badge={armed(faults.unavailable)} onClick={() => lab.arm('unavailable')} />
        <Action id="slow" label={t('slow')} hint={t('slow_hint')} badge={armed(faults.slow)} onClick={() => lab.arm('slow')} />
      </Card>
      <Card title={t('tabs')} kind="tabs">
        <div class="action">
          <a class="button" id="new-tab" href="/" target="_blank" rel="noopener" aria-describedby="new-tab-hint">{t('new_tab')}</a>
          <p class="hint" id="new-tab-hint">{t('new_tab_hint')}</p>
        </div>
      </Card>
      <Card title={t('thief')} sub={t('thief_who')} kind="thief">
        <p class="holds">{held ? t(chain.over ? 'thief_dead' : 'thief_holds', { g: held.generation }) : t('thief_empty')}</p>
        <Action id="steal" label={t(held ? 'steal_again' : 'steal')} hint={held ? t('thief_next') : t('steal_hint')} tone="danger" onClick={lab.steal} />
        {held && <ThiefActions lab={lab} t={t} />}
      </Card>
    </>
  );
}

/** What the thief can still do, also when you have been signed out. */
export function ThiefActions({ lab, t }: Props) {
  const { read } = lab.chains.chain;
  return (
    <>
      <div class="row">
        <button type="button" id="thief-renew" class="danger" onClick={lab.thiefRenew}>{t('thief_renew')}</button>
        <button type="button" id="thief-read" class="small" onClick={lab.thiefRead}>{t('thief_read')}</button>
      </div>
      <p class={`result ${read?.status === 200 ? 'bad' : ''}`} aria-live="polite">
        {read && (read.status === 200 ? t('thief_read_ok') : t('thief_read_no', { status: read.status }))}
      </p>
    </>
  );
}
