// Draws docs/timeline-light.svg and docs/timeline-dark.svg for the README: the
// timeline of a real run against a running `tacet dev`, with its styles written
// into it. Usage: npm run picture [-- URL]
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { press, send, signIn, start } from './browser.mjs';

const docs = fileURLToPath(new URL('../../docs', import.meta.url));
const { browser, context } = await start();

/** Runs in the page: the drawing as an SVG that needs nothing else. */
function drawing() {
  const KEPT = ['fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'stroke-linecap', 'opacity', 'font-size', 'font-weight', 'text-anchor'];
  const DEFAULT = { stroke: 'none', 'stroke-width': '1px', 'stroke-dasharray': 'none', 'stroke-linecap': 'butt', opacity: '1', 'text-anchor': 'start' };
  const ns = 'http://www.w3.org/2000/svg';
  const round = (v) => v.replace(/\d+\.\d{2,}/g, (n) => Number(n).toFixed(1));
  const plain = (el) => {
    const copy = document.createElementNS(ns, el.tagName);
    for (const a of el.attributes) {
      if (!/^(class|style|role|id|data-|aria-|tabindex)/.test(a.name) || (a.name === 'id' && el.tagName === 'pattern')) copy.setAttribute(a.name, round(a.value));
    }
    const style = getComputedStyle(el);
    const shape = ['rect', 'line', 'path', 'text', 'circle'].includes(el.tagName);
    for (const name of shape ? KEPT : []) {
      const value = style.getPropertyValue(name);
      const text = name.startsWith('font') || name === 'text-anchor';
      if (value && value !== DEFAULT[name] && (el.tagName === 'text' || !text)) copy.setAttribute(name, value.replaceAll('"', ''));
    }
    for (const child of el.children) if (child.tagName !== 'title' && !child.classList.contains('halo')) copy.append(plain(child));
    if (el.tagName === 'text') copy.textContent = el.textContent;
    return copy;
  };
  const element = (name, attributes, text) => {
    const e = document.createElementNS(ns, name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const colour = (selector, property) => getComputedStyle(document.querySelector(selector))[property];
  const svg = document.querySelector('.timeline .drawing');
  const scroller = document.querySelector('.timeline .scroller');
  const LEFT = 96;
  const LEGEND = 54;
  const width = LEFT + scroller.clientWidth + 12;
  const TOP = 8;
  const height = TOP + Number(svg.getAttribute('height')) + LEGEND;
  const out = element('svg', { xmlns: ns, viewBox: `0 0 ${width} ${height}`, 'font-family': 'system-ui, -apple-system, Segoe UI, Noto Sans, sans-serif', role: 'img' });
  out.append(element('title', {}, 'Timeline: requests refused with 401 wait for one renewal, whose answer is lost and asked for again, and are repeated'));
  const back = colour('.panel.timeline', 'backgroundColor');
  out.append(element('rect', { width, height, rx: 12, fill: back }));
  const inner = plain(svg);
  const first = Number(svg.getAttribute('width')) - scroller.clientWidth;
  for (const [k, v] of Object.entries({ x: LEFT, y: TOP, width: scroller.clientWidth, height: svg.getAttribute('height'), viewBox: `${Math.max(0, first)} 0 ${scroller.clientWidth} ${svg.getAttribute('height')}` })) inner.setAttribute(k, v);
  out.append(inner);
  for (const li of document.querySelectorAll('.names li')) {
    const [top, h] = [TOP + parseFloat(li.style.top), parseFloat(li.style.height)];
    const tab = li.classList.contains('tab');
    const span = li.querySelector('span');
    const style = getComputedStyle(span);
    out.append(element('text', { x: 14, y: tab ? top + 18 : top + h / 2 + 4, 'font-size': 13, 'font-weight': 600, fill: style.color }, span.textContent));
    const small = li.querySelector('small');
    if (small) out.append(element('text', { x: 14, y: top + h - 9, 'font-size': 12, fill: getComputedStyle(small).color }, small.textContent));
  }
  let x = 14;
  for (const li of document.querySelectorAll('.timeline .legend li')) {
    const mark = li.querySelector('i');
    const kind = mark.classList[1];
    if (['denied', 'failed', 'thief', 'flight'].includes(kind)) continue;
    const y = height - 22;
    const fill = kind === 'wait' ? 'url(#waiting)' : getComputedStyle(mark).backgroundColor;
    out.append(kind === 'lost'
      ? element('line', { x1: x, x2: x + 18, y1: y, y2: y, stroke: colour('.mark.lost', 'borderTopColor'), 'stroke-width': 2, 'stroke-dasharray': '3 3' })
      : element('rect', { x, y: y - 5, width: 18, height: 10, rx: 3, fill }));
    out.append(element('text', { x: x + 25, y: y + 4, 'font-size': 12.5, fill: getComputedStyle(li).color }, li.textContent));
    x += li.getBoundingClientRect().width + 24;
  }
  return new XMLSerializer().serializeToString(out);
}

try {
  mkdirSync(docs, { recursive: true });
  const page = await (await context({ viewport: { width: 1280, height: 1000 }, colorScheme: 'light' })).newPage();
  await signIn(page);
  await page.click('.tools button:last-child'); // the sign-in need not be in the picture
  await send(page, 1);
  await press(page, 'lose');
  await press(page, 'expire');
  const line = await send(page, 20);
  await page.waitForTimeout(1200);
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.waitForTimeout(200);
    writeFileSync(`${docs}/timeline-${scheme}.svg`, (await page.evaluate(drawing)) + '\n');
  }
  console.log('docs/timeline-light.svg and docs/timeline-dark.svg:', line.replace(/\s+/g, ' '));
} finally {
  await browser.close();
}
