import type { Item } from '../contracts/item.ts';
import { CURRENCY, DAY_MS, type ShopSettings, STYLES, TASTE_DIMENSIONS } from './params.ts';
import { normalise, Rng, STREAM } from './prng.ts';
import { BRAND_ENDS, BRAND_STARTS, CATEGORIES, COLOURS, STYLE_WORDS } from './words.ts';

/** How far an item strays from its style's centre: large enough that neighbours are not all alike, small enough that styles are learnable. */
const ITEM_NOISE = 0.55;
/** How long before the history the older items were created. */
const BACKLOG_DAYS = 500;
const SOLD_OUT_SHARE = 0.02;
const BRANDS_PER_CATEGORY = 8;
/** Neighbours kept for "more like this" browsing. */
const RELATED_MAX = 12;

/** What is true of an item; only `item` is public. */
export interface ItemTruth {
  readonly index: number;
  readonly item: Item & { readonly price: number; readonly created_ms: number };
  readonly category: number;
  readonly style: number;
  readonly vector: Float32Array;
  /** Standard normal; shows in conversion and in ratings. */
  readonly quality: number;
  /** Standard normal log-popularity; drives what listings expose. */
  readonly fame: number;
  /** Log of the price over its category's median. */
  readonly relativePrice: number;
}

/** The items of one category, with running totals of exposure for quick draws. */
export interface Shelf {
  readonly items: readonly number[];
  readonly exposure: Float64Array;
}

export interface Catalogue {
  readonly items: readonly ItemTruth[];
  readonly categoryNames: readonly string[];
  readonly shelves: readonly Shelf[];
  /** Nearest items in taste space, in the same category and in those it leads to. */
  readonly related: readonly (readonly number[])[];
  readonly leadsTo: readonly (readonly number[])[];
}

interface Brand {
  readonly name: string;
  readonly style: number;
}

function brandsOf(settings: ShopSettings, category: number): Brand[] {
  const rng = new Rng(settings.seed, STREAM.brand, category);
  const brands = new Map<string, Brand>();
  while (brands.size < BRANDS_PER_CATEGORY) {
    const name = rng.pick(BRAND_STARTS) + rng.pick(BRAND_ENDS);
    brands.set(name, { name, style: rng.int(STYLES) });
  }
  return [...brands.values()];
}

function makeItem(index: number, settings: ShopSettings, brands: readonly (readonly Brand[])[], styles: readonly Float32Array[]): ItemTruth {
  const rng = new Rng(settings.seed, STREAM.item, index);
  const category = rng.int(CATEGORIES.length);
  const spec = CATEGORIES[category]!;
  const brand = rng.pick(brands[category]!);
  // Brands have a main style, so that content says something about taste.
  const style = rng.chance(0.6) ? brand.style : rng.int(STYLES);
  const vector = rng.unitVector(TASTE_DIMENSIONS);
  const centre = styles[style]!;
  for (let d = 0; d < TASTE_DIMENSIONS; d += 1) vector[d] = centre[d]! + ITEM_NOISE * vector[d]!;
  normalise(vector);

  const relativePrice = rng.normal(style === STYLES - 5 ? 0.4 : 0, spec.priceSigma);
  const price = Math.max(1, Math.round(spec.medianPrice * Math.exp(relativePrice) * 100) / 100);
  const isNew = rng.chance(settings.newShare);
  const span = settings.endMs - settings.startMs;
  const created_ms = Math.round(isNew ? settings.startMs + rng.float() * span : settings.startMs - rng.between(1, BACKLOG_DAYS) * DAY_MS);
  const colour = rng.chance(0.5) ? COLOURS[style % COLOURS.length]! : rng.pick(COLOURS);
  const material = rng.pick(spec.materials);
  const noun = rng.pick(spec.nouns);
  const word = rng.pick(STYLE_WORDS[style]!);
  return {
    index,
    category,
    style,
    vector,
    quality: rng.normal(),
    fame: rng.normal(),
    relativePrice,
    item: {
      item_id: `i${String(index + 1).padStart(5, '0')}`,
      title: `${brand.name} ${word} ${material} ${noun}, ${colour}`,
      category: spec.name,
      brand: brand.name,
      price,
      currency: CURRENCY,
      stock: rng.chance(SOLD_OUT_SHARE) ? 0 : Math.round(rng.logNormal(80, 0.9)) + 1,
      created_ms,
      attributes: { colour, material, kind: noun, weight_g: Math.round(rng.logNormal(400, 0.8)), gift: rng.chance(0.2) },
    },
  };
}

function shelvesOf(items: readonly ItemTruth[]): Shelf[] {
  return CATEGORIES.map((_, category) => {
    const mine = items.filter((one) => one.category === category);
    const exposure = new Float64Array(mine.length);
    let total = 0;
    mine.forEach((one, i) => {
      total += Math.exp(0.9 * one.fame + 0.2 * one.quality);
      exposure[i] = total;
    });
    return { items: mine.map((one) => one.index), exposure };
  });
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let d = 0; d < TASTE_DIMENSIONS; d += 1) sum += a[d]! * b[d]!;
  return sum;
}

/** Taste neighbours: most of them in the item's own category, a third in the categories that it leads to. */
function relatedTo(one: ItemTruth, items: readonly ItemTruth[], shelves: readonly Shelf[], leadsTo: readonly (readonly number[])[]): number[] {
  const nearest = (category: number, count: number): number[] =>
    shelves[category]!.items.filter((other) => other !== one.index)
      .map((other) => ({ other, near: dot(one.vector, items[other]!.vector) }))
      .sort((x, y) => y.near - x.near || x.other - y.other)
      .slice(0, count)
      .map(({ other }) => other);
  const beyond = leadsTo[one.category]!;
  const perCategory = Math.floor(RELATED_MAX / 3 / beyond.length);
  return [...nearest(one.category, RELATED_MAX - perCategory * beyond.length), ...beyond.flatMap((category) => nearest(category, perCategory))];
}

export function styleCentres(seed: number): Float32Array[] {
  return STYLE_WORDS.map((_, style) => new Rng(seed, STREAM.style, style).unitVector(TASTE_DIMENSIONS));
}

export function makeCatalogue(settings: ShopSettings, styles: readonly Float32Array[]): Catalogue {
  const brands = CATEGORIES.map((_, category) => brandsOf(settings, category));
  const items = Array.from({ length: settings.items }, (_, index) => makeItem(index, settings, brands, styles));
  const shelves = shelvesOf(items);
  const names = CATEGORIES.map(({ name }) => name);
  const leadsTo = CATEGORIES.map((spec) => spec.leadsTo.map((name) => names.indexOf(name)));
  return { items, categoryNames: names, shelves, leadsTo, related: items.map((one) => relatedTo(one, items, shelves, leadsTo)) };
}
