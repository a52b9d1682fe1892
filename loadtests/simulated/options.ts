import type { Command } from 'commander';
import { createShop, type Shop } from '../../simulator/index.ts';

/** The last day of the simulated shops. */
const END_MS = Date.UTC(2026, 0, 5);
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
export const WEEK_MS = 7 * DAY_MS;

/** What can be said of the shop of each of these measurements. */
export interface ShopOptions {
  readonly users: string;
  readonly items: string;
  readonly weeks: string;
  readonly seeds: string;
}

export function withShopOptions(command: Command, defaults: ShopOptions): Command {
  return command
    .option('--users <n>', 'users of the shop', defaults.users)
    .option('--items <n>', 'its items', defaults.items)
    .option('--weeks <n>', 'weeks of its life', defaults.weeks)
    .option('--seeds <list>', 'seeds of the shop and of the training, a course of the shop each', defaults.seeds);
}

export function seedsOf({ seeds }: Pick<ShopOptions, 'seeds'>): number[] {
  return seeds.split(',').map(Number);
}

export function shopOf({ users, items, weeks }: ShopOptions, seed: number, more: Partial<Parameters<typeof createShop>[0]>): Shop {
  return createShop({ seed, endMs: END_MS, users: Number(users), items: Number(items), days: Number(weeks) * 7, ...more });
}
