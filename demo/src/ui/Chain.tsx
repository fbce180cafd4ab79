import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Translate } from '../i18n';
import type { Lab } from '../lab';
import { layoutChain, type Chain as Model, type Placed } from '../model/chain';
import { now } from '../record';
import { useTicker } from './hooks';

const COLUMN = 92;
const ROW = 84;
const LEFT = 48;
const TOP = 46;
const RADIUS = 17;

const px = (p: Placed) => LEFT + p.column * COLUMN;
const py = (p: Placed) => TOP + p.row * ROW;

export function Chain({ lab, t }: { lab: Lab; t: Translate }) {
  const { chain } = lab.chains;
  const scroller = useRef<HTMLDivElement>(null);
  const overlap = lab.policy.overlap * 1000;
  const age = now() - chain.headAt;
  const overlapping = Boolean(chain.head) && !chain.over && age < overlap && (chain.links.get(chain.head)?.generation ?? 0) > 0;
  useTicker(overlapping, 200);
  const l = layoutChain(chain);
  useLayoutEffect(() => {
    if (scroller.current) scroller.current.scrollLeft = scroller.current.scrollWidth;
  }, [chain.links.size, chain.session]);

  return (
    <section class="panel chain" aria-labelledby="chain-title">
      <header class="panel-head"><h2 id="chain-title">{t('chain')}</h2></header>
      {l.placed.length === 0 ? <p class="empty">{t('chain_empty')}</p> : (
        <div class="scroller" ref={scroller} tabIndex={0} role="group" aria-label={t('chain_label')}>
          <svg class={`drawing${chain.over ? ' over' : ''}`} width={LEFT * 2 + (l.columns - 1) * COLUMN} height={TOP + (Math.max(1, l.rows) - 1) * ROW + 62}>
            {l.edges.map(({ from, to, fork }) => (
              <path key={to.link.tag} class={`edge ${to.role}${fork ? ' fork' : ''}`} d={edge(from, to)} />
            ))}
            {l.placed.map((p) => <Node key={p.link.tag} p={p} t={t} overlap={p.role === 'head' && overlapping ? 1 - age / overlap : 0} />)}
          </svg>
        </div>
      )}
      {l.placed.length > 0 && <p class="detail" aria-live="polite">{sentence(chain, t)}</p>}
      <ul class="legend" aria-label={t('legend')}>
        {(['head', 'line', 'child', 'fork'] as const).map((k) => <li key={k}><i class={`dot ${k}`} aria-hidden="true" />{t(`lc_${k}`)}</li>)}
      </ul>
    </section>
  );
}

function edge(from: Placed, to: Placed): string {
  const [x0, y0, x1, y1] = [px(from) + RADIUS, py(from), px(to) - RADIUS, py(to)];
  const mid = (x0 + x1) / 2;
  return `M${x0} ${y0}C${mid} ${y0} ${mid} ${y1} ${x1} ${y1}`;
}

function Node({ p, t, overlap }: { p: Placed; t: Translate; overlap: number }) {
  const { link, role, holders } = p;
  const root = !link.mintedTo && link.generation === 0;
  const who = holders.map((h) => t(h === 'browser' ? 'you_lower' : 'thief')).join(', ');
  const note = root ? t('c_root') : link.lost && role !== 'line' ? t('c_lost') : role === 'head' ? t('c_head') : role === 'fork' ? t('c_fork') : '';
  const around = 2 * Math.PI * (RADIUS + 5);
  return (
    <g class={`node ${role}${link.lost ? ' lost' : ''}`} style={{ transform: `translate(${px(p)}px, ${py(p)}px)` }} role="img"
      aria-label={t('n_node', { g: link.generation, role: t(`r_${role}`), holders: who ? t('n_held', { who }) : '' })}>
      <title>{t('n_node', { g: link.generation, role: t(`r_${role}`), holders: who ? t('n_held', { who }) : '' })} · {link.tag.slice(0, 6)}</title>
      {overlap > 0 && (
        <circle class="overlap" r={RADIUS + 5} transform="rotate(-90)" stroke-dasharray={`${around * overlap} ${around}`}><title>{t('c_overlap')}</title></circle>
      )}
      <circle class="disc" r={RADIUS} />
      <text class="generation" y="5">{link.generation}</text>
      {note && <text class="note" y={-RADIUS - 9}>{note}</text>}
      {holders.map((h, i) => (
        <g key={h} class={`holder ${h}`} transform={`translate(${holders.length > 1 ? (i - 0.5) * 46 : 0} ${RADIUS + 17})`}>
          <rect x="-22" y="-10" width="44" height="19" rx="9.5" />
          <text y="4">{t(h === 'browser' ? 'you' : 'thief_chip')}</text>
        </g>
      ))}
    </g>
  );
}

function sentence(c: Model, t: Translate): string {
  if (c.over) return t(`chain_over_${c.over}`);
  const parts = [t('chain_state', { g: c.links.get(c.head)?.generation ?? 0 })];
  for (const [who, key] of [['browser', 'you_hold'], ['thief', 'thief_hold']] as const) {
    const tag = c.holders[who];
    const g = tag && c.links.get(tag)?.generation;
    if (g !== undefined && g !== '') parts.push(t('chain_hold', { who: t(key), g }));
  }
  return parts.join(' ');
}
