import { type Browser, chromium, type Page } from 'playwright-core';
import { CHROMIUM } from '../services.ts';
import { KEYS, type ServedGateway } from './command-line.ts';

/** Root has no sandbox to give, and a container's /dev/shm is too small for Chromium. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM.path!, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

export interface SignedIn {
  readonly page: Page;
  /** Errors of scripts: a page at work has none. */
  readonly complaints: readonly string[];
}

/** A page of an operator's own, on which the link of this name was followed. */
export async function signIn(browser: Browser, { controlUrl }: ServedGateway, link: string): Promise<SignedIn> {
  const page = await (await browser.newContext()).newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(controlUrl);
  await page.getByLabel('Admin token').fill(KEYS.admin);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: link }).click();
  return { page, complaints };
}
