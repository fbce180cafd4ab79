import type { Translate } from '../i18n';
import type { Lab, Line } from '../lab';
import type { Reuse } from '../model/chain';
import { clock, counted } from './words';

export function Story({ lab, t }: { lab: Lab; t: Translate }) {
  return (
    <section class="panel story" aria-labelledby="story-title">
      <header class="panel-head"><h2 id="story-title">{t('story')}</h2></header>
      {lab.story.length === 0 && <p class="empty">{t('story_empty')}</p>}
      <ol aria-live="polite" aria-relevant="additions" tabIndex={0} aria-labelledby="story-title">
        {lab.story.map((line) => (
          <li key={line.id} class={line.tone}><time>{clock(line.at)}</time><span>{text(line, t)}</span></li>
        ))}
      </ol>
    </section>
  );
}

function text(line: Line, t: Translate): string {
  const who = t(line.who === 'thief' ? 'thief' : 'you');
  const who2 = line.who === 'thief' ? who.replace(/^T/, 't') : t('you_lower');
  const { error } = line.params;
  const counts = line.counts ? counted(t, line.counts) + (error ? ` (${error})` : '') : '';
  return t(line.key, { ...line.params, who, who2, counts });
}

/** Who noticed whom. */
export function ReuseBanner({ lab, reuse, t }: { lab: Lab; reuse: Reuse; t: Translate }) {
  return (
    <section class="reuse" role="alert">
      <div>
        <h2>{t('reuse_title')}</h2>
        <p>{t(reuse.presentedBy === 'thief' ? 'reuse_thief' : 'reuse_browser')}</p>
      </div>
      <dl>
        <div><dt>{t('reuse_head')}</dt><dd><b>{reuse.head.address}</b><span>{reuse.head.user_agent}</span></dd></div>
        <div><dt>{t('reuse_presented')}</dt><dd><b>{reuse.presented.address}</b><span>{reuse.presented.user_agent}</span></dd></div>
      </dl>
      <button type="button" class="small" onClick={lab.dismissReuse}>{t('dismiss')}</button>
    </section>
  );
}
