import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ScoreResponse } from '../../contracts/score.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { testParts } from '../../training/bundle/parts.testing.ts';
import { writeBundle } from '../../training/bundle/write.ts';
import { describeWith } from '../describe-with.ts';
import { CHROMIUM } from '../services.ts';
import { launchBrowser } from './browser.ts';
import { KEYS, runOk, type ServedGateway, serve } from './command-line.ts';

/** What the shipped rule `many-cards-short-time` stops: so many cards on one device within ten minutes. */
const CARDS = 4;
const POLL_MS = 50;

describeWith(CHROMIUM, 'the dashboard in a browser', () => {
  let dir: string;
  let gateway: ServedGateway;
  let browser: Browser;
  let page: Page;
  /** Errors of scripts, the console and requests: a page at work has none. */
  let complaints: string[];
  let payments = 0;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gatehouse-dashboard-'));
    const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
    for (const version of ['v1', 'v2']) {
      const parts = await testParts(engine, version);
      // No model's decision: what is stopped here, a rule stops.
      await writeBundle(join(dir, 'bundles'), { ...parts, fraud: { ...parts.fraud, thresholds: { review: 1, challenge: 1, decline: 1 } } });
    }
    await runOk(['bundle', 'activate', 'v1', '--data-dir', dir]);
    gateway = await serve(dir);
    browser = await launchBrowser();
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await gateway?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  beforeEach(async () => {
    const context = await browser.newContext();
    page = await context.newPage();
    complaints = [];
    page.on('pageerror', (error) => complaints.push(`script: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(`console: ${message.text()}`);
    });
    page.on('response', (response) => {
      if (response.status() >= 400) complaints.push(`${response.status()} ${response.url()}`);
    });
  });
  afterEach(() => page.context().close());

  async function signIn(token: string): Promise<void> {
    await page.goto(gateway.controlUrl);
    await page.getByLabel('Admin token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).click();
  }

  function pay(user: string, card: string, device: string): Promise<ScoreResponse> {
    const transaction_id = `page-${++payments}`;
    return gateway.post('/v1/score', { transaction_id, user_id: user, card_id: card, device_id: device, amount: 12.5, currency: 'EUR' });
  }

  test('a refused token is said in words, and shows nothing', async () => {
    await signIn(`gh_adm_${'x'.repeat(43)}`);
    await page.getByText('This is not the admin token.').waitFor();
    expect(await page.locator('#app').isVisible()).toBe(false);
    // Which also shows that a refusal would be noticed below.
    expect(complaints).toContainEqual(expect.stringMatching(/^401 /));
    expect(complaints.filter((complaint) => complaint.startsWith('script'))).toEqual([]);
  });

  test('an alert appears the moment a rule stops a payment; the tiles follow the traffic; signing out ends it', async () => {
    await signIn(KEYS.admin);
    await page.locator('#stream', { hasText: 'Live' }).waitFor();
    await page.locator('#ready', { hasText: 'Ready' }).waitFor();
    expect(await page.locator('#alert-rows tr').count()).toBe(0);
    expect(await page.locator('#figure-decided b').textContent()).toBe('0');

    const answers: ScoreResponse[] = [];
    for (let card = 1; card <= CARDS; card++) answers.push(await pay('mallory', `c-${card}`, 'd-shared'));
    expect(answers.map(({ decision }) => decision)).toEqual([...Array<string>(CARDS - 1).fill('approve'), 'restrict_payment_method']);
    const row = page.locator('tr.alert', { hasText: 'mallory' });
    await row.waitFor();
    expect(await row.count()).toBe(1);
    expect(await row.textContent()).toContain('Payment method restricted for 12.50 EUR by mallory');
    await row.click();
    await page.locator('tr.detail', { hasText: `page-${CARDS}` }).waitFor();

    // Traffic until the page has seen a second of it.
    let stop = false;
    const traffic = (async () => {
      while (!stop) {
        await pay('anna', 'c-anna', `d-${payments}`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    })();
    const tile = (name: string) => page.locator(`#figure-${name} b`);
    try {
      await expect.poll(async () => Number(await tile('requests').textContent()), { timeout: 20_000 }).toBeGreaterThan(0);
      await expect.poll(() => tile('latency').textContent(), { timeout: 20_000 }).toMatch(/^[\d.]+ ?(µs|ms|s)$/);
      await expect.poll(async () => Number(await tile('decided').textContent()), { timeout: 20_000 }).toBeGreaterThan(CARDS);
    } finally {
      stop = true;
      await traffic;
    }
    await page.locator('#route-rows th', { hasText: /score/i }).waitFor();

    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Admin token').waitFor();
    expect(await page.locator('#app').isVisible()).toBe(false);
    await page.reload();
    await page.getByLabel('Admin token').waitFor();
    expect(complaints).toEqual([]);
  });

  test('who signs in later sees the alerts that were raised before', async () => {
    for (let card = 1; card <= CARDS; card++) await pay('trudy', `t-${card}`, 'd-trudy');
    await signIn(KEYS.admin);
    await page.locator('tr.alert', { hasText: 'trudy' }).waitFor();
    expect(complaints).toEqual([]);
  });

  test('the bundles are listed, and change behind a question', async () => {
    await signIn(KEYS.admin);
    const card = (version: string) => page.locator('article.bundle', { hasText: version });
    await card('v1').getByText('serving').waitFor();
    await page.getByRole('button', { name: 'Activate bundle v2' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    expect(await page.locator('#current-bundle').textContent()).toBe('v1');

    await page.getByRole('button', { name: 'Activate bundle v2' }).click();
    await page.locator('#confirm-yes').click();
    await page.getByText('v2 serves now.').waitFor();
    await card('v2').getByText('serving').waitFor();
    expect((await pay('anna', 'c-anna', 'd-anna')).bundle).toBe('v2');

    await page.getByRole('button', { name: 'Roll back' }).click();
    await page.locator('#confirm-yes').click();
    await page.getByText('v1 serves now.').waitFor();
    expect((await pay('anna', 'c-anna', 'd-anna')).bundle).toBe('v1');
    expect(complaints).toEqual([]);
  });

  test('the reference page renders every route, and its links lead somewhere', async () => {
    await page.goto(`${gateway.controlUrl}/docs`);
    const routes = await page.locator('main article h3 code').allTextContents();
    expect(routes).toEqual(expect.arrayContaining(['/v1/recommend', '/v1/score', '/v1/events', '/v1/bundles']));
    const dangling = await page
      .locator('a[href^="#"]')
      .evaluateAll((links) => links.map((link) => link.getAttribute('href')!.slice(1)).filter((id) => document.getElementById(id) === null));
    expect(dangling).toEqual([]);
    // The style sheet is there: unstyled text would not be laid out beside its navigation.
    const [nav, main] = await Promise.all([page.locator('nav').boundingBox(), page.locator('main').boundingBox()]);
    expect(main!.x).toBeGreaterThanOrEqual(nav!.x + nav!.width);
    expect(complaints).toEqual([]);
  });
});
