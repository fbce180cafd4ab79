// What the scripts share: a page of the demo in Chromium. The server is that of
// `tacet dev`: give its URL as the first argument if it is not the default.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

export const base = process.argv[2] ?? 'http://127.0.0.1:8080';
const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

export async function start() {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  /** Console errors and exceptions; the 401s that the page is about are none. */
  const errors = [];
  const context = async (options = {}) => {
    const c = await browser.newContext({ viewport: { width: 1280, height: 1000 }, locale: 'en-US', ...options });
    c.on('page', (p) => {
      p.on('console', (m) => m.type() === 'error' && !/the server responded with a status of|ERR_EMPTY_RESPONSE|ERR_CONNECTION/.test(m.text()) && errors.push(m.text()));
      p.on('pageerror', (e) => errors.push(String(e)));
      p.on('request', (r) => !r.url().startsWith(base) && !r.url().startsWith('blob:') && errors.push(`request to ${r.url()}`));
    });
    return c;
  };
  return { browser, context, errors };
}

export async function signIn(page, user = 'alice') {
  await page.goto(base + '/');
  await page.locator('.choice', { hasText: user }).click();
  await page.click('#sign-in');
  await page.waitForSelector('#send-1');
}

/** Sends n requests and resolves to the line of the story that sums them up. */
export async function send(page, n) {
  const lines = page.locator('.story li', { hasText: n === 1 ? '1 request ·' : `${n} requests ·` });
  const before = await lines.count();
  await page.click(`#send-${n}`);
  await page.waitForFunction(([want, text]) => [...document.querySelectorAll('.story li')].filter((l) => l.textContent.includes(text)).length > want,
    [before, n === 1 ? '1 request ·' : `${n} requests ·`]);
  return lines.first().innerText();
}

/** Presses a button of the demo server and waits until it has answered. */
export async function press(page, id) {
  const [answer] = await Promise.all([
    page.waitForResponse((r) => r.request().method() === 'POST' && r.url().includes('/demo/') && !r.url().includes('/api/')),
    page.click(`#${id}`),
  ]);
  if (answer.status() !== 204) throw new Error(`${id}: the demo server answered ${answer.status()}`);
}
