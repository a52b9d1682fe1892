import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { RecommendResponse } from '../../contracts/recommend.ts';
import { describeWith } from '../describe-with.ts';
import { CHROMIUM } from '../services.ts';
import { launchBrowser, type SignedIn, signIn } from './browser.ts';
import { KEYS, type ServedGateway, serve } from './command-line.ts';

// The recommendations page as a merchandiser works with it, in a real browser against a real gateway.

const ITEMS = Array.from({ length: 40 }, (_, i) => ({
  item_id: `item-${i}`,
  title: `Teapot <b>No. ${i}</b>`,
  category: `c${i % 4}`,
  created_ms: 1_600_000_000_000 + i,
}));

describeWith(CHROMIUM, 'the recommendations page in a browser', () => {
  let dir: string;
  let gateway: ServedGateway;
  let browser: Browser;
  let page: Page;
  let complaints: SignedIn['complaints'];

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gatehouse-recommend-page-'));
    gateway = await serve(dir, { GATEHOUSE_RECOMMEND_DEADLINE_MS: '10000' });
    await fetch(`${gateway.url}/v1/items`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${KEYS.secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ items: ITEMS }),
    });
    const event = (n: number, name: string, user_id: string, item: string) => ({ event_id: `e${n}`, name, user_id, items: [{ item_id: item }] });
    const views = ITEMS.slice(0, 12).map(({ item_id }, n) => event(n, 'view_item', 'somebody', item_id));
    await gateway.post('/v1/events', { events: [...views, event(50, 'purchase', 'anna', 'item-3'), event(51, 'hide_item', 'anna', 'item-5')] });
    browser = await launchBrowser();
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await gateway?.stop();
    await rm(dir, { recursive: true, force: true });
  });
  beforeEach(async () => {
    ({ page, complaints } = await signIn(browser, gateway, 'Recommendations'));
    await page.getByLabel('Placement', { exact: true }).waitFor();
  });
  afterEach(async () => {
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  const press = (name: string) => page.getByRole('button', { name, exact: true }).click();

  test('who is not signed in is sent to the dashboard', async () => {
    const stranger = await (await browser.newContext()).newPage();
    await stranger.goto(`${gateway.controlUrl}/recommend.html`);
    await stranger.getByText('Sign in on the').waitFor();
    expect(await stranger.locator('#app').isVisible()).toBe(false);
    await stranger.context().close();
  });

  test('a look shows what every stage did, and why what is missing is missing', async () => {
    await page.getByLabel('User', { exact: true }).fill('anna');
    await press('Look');
    await page.getByText('12 items for home').waitFor();
    expect(await page.locator('#answer-rows > tr').count()).toBe(12);
    await page.locator('#answer-rows').getByText('popularity score').first().waitFor();
    const popular = page.locator('#source-rows tr', { hasText: 'popular' });
    await popular.getByText('1 hidden, 1 bought lately').or(popular.getByText('1 bought lately, 1 hidden')).waitFor();
    const answered = await gateway.post<RecommendResponse>('/v1/recommend', { user_id: 'anna', placement: 'home', limit: 5 });
    const first = page.locator('#answer-rows > tr').first();
    expect(await first.locator('td').nth(1).textContent()).toBe(answered.items[0]!.item_id);
    // A title is text, whatever it says.
    await page.getByLabel('Search candidates').fill('no. 1</b>');
    await expect.poll(() => page.locator('#candidate-rows tr').count()).toBe(1);
    expect(await page.locator('#candidate-rows b').count()).toBe(0);
    await page.locator('#candidate-rows').getByText('place').waitFor();
  }, 60_000);

  test('an editorial list is written, refused, seen in an answer, edited and removed', async () => {
    await page.getByLabel('List id').fill('spring');
    await page.getByLabel('Title').fill('Spring');
    await page.getByLabel('Item ids').fill('item-30, item-31\nitem-32');
    await page.getByLabel('From').fill('2026-03-01');
    await page.getByLabel('Until').fill('2026-03-01');
    await press('Save list');
    await page.getByText('the list ends before it begins').waitFor();
    await page.getByLabel('From').fill('');
    await page.getByLabel('Until').fill('2090-01-01');
    await press('Save list');
    const row = page.locator('tr[data-list="spring"]');
    await row.getByText('item-30, item-31, item-32').waitFor();
    await row.getByText('until 2090-01-01').waitFor();
    await press('Look');
    await page.locator('#source-rows tr', { hasText: 'editorial' }).getByText('answered').waitFor();
    await page.getByLabel('Search candidates').fill('item-31');
    await page.locator('#candidate-rows tr', { hasText: 'editorial' }).waitFor();

    await press('Edit spring');
    await page.getByLabel('Item ids').fill('item-39');
    await press('Save list');
    await row.getByText('item-39').waitFor();
    await press('Remove spring');
    await row.waitFor({ state: 'detached' });
  }, 60_000);
});
