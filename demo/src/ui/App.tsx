import { useMemo, useState } from 'preact/hooks';
import { translator, type Language, type Translate } from '../i18n';
import type { Lab } from '../lab';
import { applyLanguage, applyTheme, type Theme } from '../prefs';
import { Chain } from './Chain';
import { Controls, ThiefActions, TokenAge } from './Controls';
import { useLab } from './hooks';
import { SignIn } from './SignIn';
import { ReuseBanner, Story } from './Story';
import { Timeline } from './Timeline';

const NEXT: Record<Theme, Theme> = { auto: 'light', light: 'dark', dark: 'auto' };

export function App({ lab, language: first, theme: firstTheme }: { lab: Lab; language: Language; theme: Theme }) {
  useLab(lab);
  const [language, setLanguage] = useState(first);
  const [theme, setTheme] = useState(firstTheme);
  const t = useMemo(() => translator(language), [language]);
  const { chain } = lab.chains;
  document.title = t('title');
  const signedIn = lab.status === 'signedin';
  return (
    <>
      <a class="skip" href="#timeline">{t('skip')}</a>
      <header class="top">
        <div class="brand">
          <Logo />
          <div><h1>Tacet</h1><p>{t('tagline')}</p></div>
        </div>
        {signedIn && <TokenAge lab={lab} t={t} />}
        <nav>
          {signedIn && <Who lab={lab} t={t} />}
          <button type="button" id="language" class="quiet" lang={language === 'en' ? 'zh-Hans' : 'en'} aria-label={t('language_label')}
            onClick={() => { const l = language === 'en' ? 'zh' : 'en'; setLanguage(l); applyLanguage(l); }}>{t('language')}</button>
          <button type="button" id="theme" class="quiet icon" title={t('theme', { theme: t(`theme_${theme}`) })} aria-label={t('theme', { theme: t(`theme_${theme}`) })}
            onClick={() => { setTheme(NEXT[theme]); applyTheme(NEXT[theme]); }}><ThemeIcon theme={theme} /></button>
        </nav>
        <p class="lede">{t('lede', { ttl: lab.policy.access_ttl || 10 })}</p>
      </header>
      <div class="status" role="status">{!lab.connected ? t('disconnected') : lab.problem ? t(lab.problem.key, lab.problem.params) : ''}</div>
      {chain.reuse && !lab.reuseSeen && <ReuseBanner lab={lab} reuse={chain.reuse} t={t} />}
      <main>
        <div class="side">
          {signedIn ? <Controls lab={lab} t={t} /> : lab.status === 'loading' || lab.status === 'offline' ? <p class="panel card sub">{t('connecting')}</p> : (
            <>
              <SignIn lab={lab} t={t} />
              {chain.holders.thief && (
                <section class="panel card thief"><h2>{t('thief')}</h2><p class="sub">{t('thief_who')}</p><ThiefActions lab={lab} t={t} /></section>
              )}
            </>
          )}
        </div>
        <div class="stage">
          <Timeline lab={lab} t={t} />
          <Chain lab={lab} t={t} />
          <Story lab={lab} t={t} />
        </div>
      </main>
      <footer>{t('footer', { version: lab.policy.version ?? '' })}</footer>
    </>
  );
}

function Who({ lab, t }: { lab: Lab; t: Translate }) {
  const user = lab.user?.display_name || lab.user?.username || '';
  return (
    <>
      <span class="who">{t('signed_in_as', { user })}</span>
      <button type="button" id="sign-out" class="quiet" onClick={() => void lab.signOut(false)}>{t('sign_out')}</button>
      <button type="button" id="sign-out-everywhere" class="quiet" onClick={() => void lab.signOut(true)}>{t('sign_out_everywhere')}</button>
    </>
  );
}

/** A whole rest: the sign for silence. */
function Logo() {
  return (
    <svg class="logo" width="40" height="40" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" />
      <path d="M5 12h22" /><path class="rest" d="M10 12h12v6H10z" /><path class="faint" d="M5 18h22M5 24h22" />
    </svg>
  );
}

function ThemeIcon({ theme }: { theme: Theme }) {
  return (
    <svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true" class="glyph">
      {theme === 'light' && <><circle cx="10" cy="10" r="4" /><path d="M10 1v2M10 17v2M1 10h2M17 10h2M3.6 3.6 5 5M15 15l1.4 1.4M3.6 16.4 5 15M15 5l1.4-1.4" /></>}
      {theme === 'dark' && <path d="M16 12.5A7 7 0 0 1 7.5 4 7 7 0 1 0 16 12.5z" />}
      {theme === 'auto' && <><circle cx="10" cy="10" r="7" /><path class="fill" d="M10 3a7 7 0 0 1 0 14z" /></>}
    </svg>
  );
}
