// Drives the demo against a running `tacet dev` and fails if a promise of the
// page does not hold. Usage: npm run smoke [-- URL [DIRECTORY FOR SCREENSHOTS]]
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { base, press, send, signIn, start } from './browser.mjs';

const shots = process.argv[3];
if (shots) mkdirSync(shots, { recursive: true });
const { browser, context, errors } = await start();
const step = async (name, run) => {
  await run();
  console.log('ok', name);
};
const shot = (page, name) => shots && page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });

try {
  const c = await context();
  const page = await c.newPage();

  await step('signs in with a wrong password, then with the right one', async () => {
    await page.goto(base + '/');
    await page.waitForSelector('#sign-in');
    await shot(page, 'sign-in');
    await page.fill('#password', 'wrong');
    await page.click('#sign-in');
    await page.waitForFunction(() => document.querySelector('[role=alert]')?.textContent);
    await signIn(page);
  });

  await step('100 requests with an expired token: one renewal, 100 answers', async () => {
    await press(page, 'expire');
    assert.match(await send(page, 100), /100 × 401 · 1 renewal · 100 repeated · 100 ok/);
    await shot(page, 'hundred');
  });

  await step('an answer is lost after the server committed: nobody notices', async () => {
    await press(page, 'lose');
    await press(page, 'expire');
    assert.match(await send(page, 20), /20 × 401 .* 20 ok/);
    await page.waitForSelector('.story li:has-text("was lost on the way")');
    assert.ok(await page.locator('.call.lost .cross').count(), 'the timeline shows the lost answer');
    await shot(page, 'lost');
  });

  await step('a renewal answered 503 is waited for', async () => {
    await press(page, 'unavailable');
    await press(page, 'expire');
    assert.match(await send(page, 20), / 20 ok/);
  });

  await step('a slow renewal is waited for', async () => {
    await press(page, 'slow');
    await press(page, 'expire');
    assert.match(await send(page, 20), / 20 ok/);
  });

  await step('upload, download, 403 without a renewal', async () => {
    await press(page, 'expire');
    await page.click('#upload');
    await page.waitForSelector('#extra:has-text("received the same bytes")');
    await page.click('#picture');
    await page.waitForFunction(() => document.querySelector('#extra img')?.naturalWidth > 0);
    const c2 = await context();
    const bob = await c2.newPage();
    await signIn(bob, 'bob');
    const renewals = await bob.locator('.renewal').count();
    await bob.click('#admin');
    await bob.waitForSelector('#extra:has-text("403")');
    assert.equal(await bob.locator('.renewal').count(), renewals);
    await c2.close();
  });

  await step('six tabs share one stream; two tabs renew once and draw each other', async () => {
    const others = [];
    for (let i = 0; i < 5; i++) {
      const p = await c.newPage();
      await p.goto(base + '/');
      await p.waitForSelector('#send-20');
      others.push(p);
    }
    await send(others[0], 1);
    await press(page, 'expire');
    const before = await page.locator('.call.browser').count();
    const [mine, theirs] = await Promise.all([send(page, 20), send(others[0], 20)]);
    assert.match(mine, /20 ok/);
    assert.match(theirs, /20 ok/);
    assert.equal(await page.locator('.call.browser').count(), before + 1);
    await page.waitForSelector('.names li.tab:nth-child(2)');
    await shot(page, 'tabs');
    for (const p of others) await p.close();
  });

  await step('the keyboard reaches every bar', async () => {
    await page.focus('.timeline .scroller');
    for (const key of ['End', 'ArrowLeft', 'ArrowLeft', 'Home', 'ArrowRight']) await page.keyboard.press(key);
    assert.match(await page.locator('.timeline .detail').innerText(), /GET|POST|presented|renewal|login/);
    assert.equal(await page.locator('.timeline .active').count(), 1);
  });

  await step('the thief is noticed after at most two more renewals of each, and the page says who', async () => {
    await press(page, 'steal');
    await press(page, 'thief-renew');
    await press(page, 'thief-read');
    await page.waitForSelector('.holder.thief');
    await shot(page, 'thief');
    for (let i = 0; i < 3 && !(await page.locator('.reuse').count()); i++) {
      await page.waitForTimeout(200);
      await page.click('#expire').catch(() => {});
      if (await page.locator('#send-1').count()) await page.click('#send-1');
      await page.waitForTimeout(700);
      if (!(await page.locator('.reuse').count())) await press(page, 'thief-renew');
    }
    await page.waitForSelector('.reuse');
    const said = await page.locator('.reuse').innerText();
    assert.match(said, /203\.0\.113\.66[^]*Thief\/1\.0/);
    assert.match(said, /127\.0\.0\.1|::1/);
    await page.waitForTimeout(500);
    await shot(page, 'reuse');
  });

  await step('signs in again, signs out everywhere; both languages, both colours', async () => {
    // If the thief was refused first, this tab learns it at its next renewal or when it signs out.
    await page.click('#sign-out', { timeout: 2000 }).catch(() => {});
    await page.click('#sign-in');
    await page.waitForSelector('#send-1');
    await page.click('#language');
    await page.waitForSelector('h2:has-text("时间线")');
    await page.click('#theme');
    await page.click('#theme');
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
    await shot(page, 'chinese-dark');
    await page.click('#sign-out-everywhere');
    await page.waitForSelector('#sign-in');
  });

  await step('fits on a phone', async () => {
    const phone = await (await context({ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 })).newPage();
    await signIn(phone);
    await send(phone, 20);
    assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), 360);
    await shot(phone, 'phone');
  });

  assert.deepEqual(errors, []);
  console.log('ok no errors on the console, no request elsewhere');
} finally {
  await browser.close();
}
