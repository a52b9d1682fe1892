import { InvalidArgumentError } from 'commander';
import type { TimedEvent } from '../contracts/event.ts';
import type { Fact } from '../contracts/fact.ts';
import type { Item } from '../contracts/item.ts';
import { type Config, readConfig } from '../gateway/config.ts';
import { ITEMS_COLLECTION } from '../gateway/data/items.ts';
import { openFeatures } from '../gateway/features-file.ts';
import { openStore, readRates } from '../gateway/resources.ts';
import type { EntityState, FeatureEngine } from '../scoring/features/contract.ts';
import { carrying, eventUnit } from '../scoring/ingest.ts';
import { type RateTable, withRate } from '../scoring/rates.ts';
import { Catalogue } from '../scoring/recommend/catalogue.ts';
import type { DocChange, EntityRef, Store, Unit, UnitResult } from '../store/contract.ts';
import { type ProgressReporter, progressBars } from '../training/progress.ts';

/** Settings of the environment, with the data folder of the command line. */
export function configOf(dataDir: string | undefined): Config {
  return readConfig(process.env, dataDir === undefined ? {} : { dataDir });
}

/** For an option that is a whole number from 0. What is none ends the command with one line. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('It must be a whole number.');
  return value;
}

/** For an option that is a number above 0. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

export function terminalProgress(): ProgressReporter {
  return progressBars(process.stderr, () => performance.now());
}

export interface OpenShop {
  readonly engine: FeatureEngine;
  readonly catalogue: Catalogue;
  readonly rates: RateTable | undefined;
  readonly store: Store<EntityState>;
  close(): Promise<void>;
}

/** The store with its catalogue, for commands that work on it while no gateway runs. */
export async function openShop(config: Config): Promise<OpenShop> {
  const engine = await openFeatures(config.featuresFile);
  const rates = await readRates(config);
  const catalogue = new Catalogue();
  const store = await openStore(config, engine, catalogue);
  for await (const { value } of store.docs(ITEMS_COLLECTION)) catalogue.put(value as Item);
  return { engine, catalogue, rates, store, close: () => store.close() };
}

/** Events that were not counted, because their id had been taken in before: with the same content, or with another. */
export interface NotCounted {
  readonly duplicates: number;
  readonly conflicts: number;
}

/** Writes items and events as the gateway does. Each event counts once, however often it is sent. */
export async function takeIn(shop: OpenShop, items: readonly Item[], events: readonly TimedEvent[], atMs: number): Promise<NotCounted> {
  if (items.length > 0) {
    await shop.store.write(
      items.map((item): Fact => ({ kind: 'item_put', at_ms: atMs, item })),
      items.map((item): DocChange => ({ collection: ITEMS_COLLECTION, id: item.item_id, value: item })),
      { durable: false },
    );
    for (const item of items) shop.catalogue.put(item);
  }
  if (events.length === 0) return { duplicates: 0, conflicts: 0 };
  const results: UnitResult<EntityState>[] = [];
  let units: Unit<EntityState>[] = [];
  const counted = new Set<string>();
  const take = async (durable: boolean): Promise<void> => {
    results.push(...(await shop.store.ingest(units, { durable })));
    units = [];
    counted.clear();
  };
  for (const event of events) {
    const carriers = shop.engine.carriers(event).map(nameOf);
    // What it takes along has to know what happened before it, as it would have online.
    if (carriers.some((name) => counted.has(name))) await take(false);
    const carried = await carrying(shop.engine, shop.store, withRate(event, shop.rates));
    // History keeps its own time: what the journal says about when it arrived is when it happened.
    const unit = eventUnit(shop.engine, (id) => shop.catalogue.get(id), carried, event.timestamp_ms, event);
    units.push(unit);
    for (const ref of unit.entities) counted.add(nameOf(ref));
  }
  await take(true);
  return {
    duplicates: results.filter(({ duplicate, conflict }) => duplicate && !conflict).length,
    conflicts: results.filter(({ conflict }) => conflict).length,
  };
}

function nameOf({ kind, id }: EntityRef): string {
  return `${kind}:${id}`;
}
