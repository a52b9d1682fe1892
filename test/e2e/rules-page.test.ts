import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ScoreResponse } from '../../contracts/score.ts';
import { describeWith } from '../describe-with.ts';
import { CHROMIUM } from '../services.ts';
import { launchBrowser, type SignedIn, signIn } from './browser.ts';
import { type ServedGateway, serve } from './command-line.ts';

// The rules page as an analyst works with it, in a real browser against a real gateway.

describeWith(CHROMIUM, 'the rules page in a browser', () => {
  let dir: string;
  let gateway: ServedGateway;
  let browser: Browser;
  let page: Page;
  let complaints: SignedIn['complaints'];
  let payments = 0;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gatehouse-rules-page-'));
    gateway = await serve(dir, { GATEHOUSE_BREAKER_DECISIONS_MIN: '20' });
    browser = await launchBrowser();
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await gateway?.stop();
    await rm(dir, { recursive: true, force: true });
  });
  beforeEach(async () => {
    ({ page, complaints } = await signIn(browser, gateway, 'Rules'));
    await page.locator('#rule-rows tr').first().waitFor();
  });
  afterEach(async () => {
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  const pay = (more: object = {}): Promise<ScoreResponse> =>
    gateway.post('/v1/score', { transaction_id: `desk-${++payments}`, user_id: `u${payments}`, amount: 50, ...more });
  const row = (rule: string) => page.locator(`tr[data-rule="${rule}"]`);
  const press = (name: string) => page.getByRole('button', { name, exact: true }).click();

  async function draft(id: string, when: string): Promise<void> {
    await page.getByLabel('Id', { exact: true }).fill(id);
    await page.getByLabel(/^Description, which/).fill(`the rule ${id}`);
    await page.getByLabel('When (CEL)').fill(when);
    await page.getByLabel('Action').selectOption('decline');
    await press('Save as draft');
  }

  test('who is not signed in is sent to the dashboard', async () => {
    const stranger = await (await browser.newContext()).newPage();
    await stranger.goto(`${gateway.controlUrl}/rules.html`);
    await stranger.getByText('Sign in on the').waitFor();
    expect(await stranger.locator('#app').isVisible()).toBe(false);
    await stranger.context().close();
  });

  test('a rule is written, refused with its place, backtested, taken live, tripped and reset', async () => {
    for (let i = 0; i < 5; i++) await pay();
    await draft('all-of-them', 'tx.amont > 1.0');
    await page.getByText('line 1, column 4: No such key: amont; is amount meant?').waitFor();
    await draft('all-of-them', 'tx.amount > 1.0');
    await row('all-of-them@1').getByText('draft').waitFor();

    await press('Backtest all-of-them version 1');
    await row('all-of-them@1').getByText('5 hits of 5').waitFor();
    await page.locator('#backtest-rows tr', { hasText: 'all-of-them v1' }).waitFor();

    await press('Go live all-of-them version 1');
    await page.locator('#confirm-yes').click();
    await row('all-of-them@1').locator('.pill', { hasText: 'live' }).waitFor();
    const decisions: string[] = [];
    for (let i = 0; i < 22; i++) decisions.push((await pay()).decision);
    expect(decisions[0]).toBe('decline');
    expect(decisions.at(-1)).toBe('approve');
    await row('all-of-them@1').getByText('In shadow: the breaker').waitFor();
    await press('Reset breaker all-of-them version 1');
    await page.locator('#confirm-yes').click();
    await row('all-of-them@1').locator('.pill.good', { hasText: 'live' }).waitFor();
    expect((await pay()).decision).toBe('decline');
    await press('Retire all-of-them version 1');
    await page.locator('#confirm-yes').click();
    await row('all-of-them@1').waitFor({ state: 'detached' });
    expect((await pay()).decision).toBe('approve');
  }, 60_000);

  test('a list takes entries and uploads, names wrong lines, and gives entries up again', async () => {
    await page.getByLabel('List', { exact: true }).selectOption('blocked_cards');
    await page.getByText('asked by block-lists@1').waitFor();
    await page.getByLabel('Value', { exact: true }).fill('card-1');
    await page.getByLabel('Reason', { exact: true }).fill('reported stolen');
    await press('Add');
    const entry = (value: string) => page.locator('#entry-rows tr', { hasText: value });
    await entry('card-1').getByText('reported stolen').waitFor();
    expect((await pay({ card_id: 'card-1' })).decision).toBe('decline');

    const file = join(dir, 'cards.csv');
    const upload = async (text: string) => {
      await writeFile(file, text);
      await page.locator('#list-file').setInputFiles(file);
    };
    await upload('value\ncard-2\ntwo words\n');
    await page.getByText('/line/3').waitFor();
    await upload('value\ncard-2\ncard-3\n');
    await entry('card-3').getByText('uploaded cards.csv').waitFor();
    await press('Remove card-1');
    await entry('card-1').waitFor({ state: 'detached' });
    expect([(await pay({ card_id: 'card-1' })).decision, (await pay({ card_id: 'card-2' })).decision]).toEqual(['approve', 'decline']);
  }, 60_000);
});
