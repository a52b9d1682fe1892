import { type Campaign, isTargeted, makeCampaigns } from './campaigns.ts';
import { type Catalogue, type ItemTruth, makeCatalogue, styleCentres } from './catalogue.ts';
import { DAY_MS, type ShopSettings, TASTE_DIMENSIONS } from './params.ts';
import { makePerson, type Person } from './people.ts';
import type { Rng } from './prng.ts';

/** Weights of the utility. Taste leads; the rest keeps it from being all that there is. */
const WEIGHT_TASTE = 3.2;
const WEIGHT_CATEGORY = 0.7;
const WEIGHT_FAME = 0.2;
/** A new item draws eyes for about two weeks. */
const NOVELTY_LIFT = 0.5;
const NOVELTY_DAYS = 14;
/** Utility at which an examined item is wanted with probability one half. */
const HALF_WANTED = 3.3;
/** Tries to find an offered item on a shelf where some are not created yet. */
const DRAW_TRIES_MAX = 40;

/** Everything that is true of a shop and does not change as it is played. */
export interface World {
  readonly settings: ShopSettings;
  readonly catalogue: Catalogue;
  readonly people: readonly Person[];
  readonly campaigns: readonly Campaign[];
}

export function makeWorld(settings: ShopSettings): World {
  const styles = styleCentres(settings.seed);
  return {
    settings,
    catalogue: makeCatalogue(settings, styles),
    people: Array.from({ length: settings.users }, (_, index) => makePerson(index, settings, styles)),
    campaigns: makeCampaigns(settings),
  };
}

/** A person at a time: where the taste has turned to, and which campaign reaches them. */
export interface Mood {
  readonly person: Person;
  readonly atMs: number;
  readonly taste: Float32Array;
  readonly campaign: Campaign | undefined;
  /** Weight of an item's quality. */
  readonly appeal: number;
}

export function moodAt(world: World, person: Person, atMs: number): Mood {
  const angle = (person.driftPerDay * (atMs - world.settings.startMs)) / DAY_MS;
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  const taste = new Float32Array(TASTE_DIMENSIONS);
  for (let d = 0; d < TASTE_DIMENSIONS; d += 1) taste[d] = cos * person.taste[d]! + sin * person.tasteLater[d]!;
  return { person, atMs, taste, campaign: campaignFor(world, person, atMs), appeal: world.settings.appeal };
}

function campaignFor(world: World, person: Person, atMs: number): Campaign | undefined {
  for (const campaign of world.campaigns) {
    if (atMs >= campaign.startMs && atMs < campaign.endMs && isTargeted(world.settings.seed, campaign, person.index)) return campaign;
  }
  return undefined;
}

export function utility(mood: Mood, one: ItemTruth): number {
  const { person, taste } = mood;
  const { vector } = one;
  let near = 0;
  for (let d = 0; d < TASTE_DIMENSIONS; d += 1) near += taste[d]! * vector[d]!;
  let sum = WEIGHT_TASTE * near + WEIGHT_CATEGORY * person.categoryLogits[one.category]! + mood.appeal * one.quality + WEIGHT_FAME * one.fame;
  sum -= person.priceSensitivity * one.relativePrice;
  const ageDays = (mood.atMs - one.item.created_ms) / DAY_MS;
  if (ageDays < NOVELTY_DAYS) sum += NOVELTY_LIFT * (1 - ageDays / NOVELTY_DAYS);
  if (mood.campaign?.categories.includes(one.category)) sum += mood.campaign.lift * person.promoResponse;
  return sum;
}

/** Probability that the person wants the item when they look at it. */
export function wanted(mood: Mood, one: ItemTruth): number {
  return 1 / (1 + Math.exp(HALF_WANTED - utility(mood, one)));
}

/** Price with the campaign's discount, where the person sees one. */
export function priceFor(mood: Mood, one: ItemTruth): number {
  const off = mood.campaign?.categories.includes(one.category) ? mood.campaign.discount : 0;
  return Math.round(one.item.price * (1 - off) * 100) / 100;
}

/** An offered item of a category, drawn by exposure; undefined where hardly any is offered yet. */
export function drawFromShelf(world: World, category: number, atMs: number, rng: Rng): ItemTruth | undefined {
  const shelf = world.catalogue.shelves[category];
  if (shelf === undefined || shelf.items.length === 0) return undefined;
  for (let tries = 0; tries < DRAW_TRIES_MAX; tries += 1) {
    const one = world.catalogue.items[shelf.items[rng.cumulative(shelf.exposure)]!]!;
    if (one.item.created_ms <= atMs) return one;
  }
  return undefined;
}

/** What a listing of the category shows: distinct items, the well-known first more often than not. */
export function listOf(world: World, category: number, atMs: number, count: number, rng: Rng): ItemTruth[] {
  const shown: ItemTruth[] = [];
  for (let tries = 0; shown.length < count && tries < count * 3; tries += 1) {
    const one = drawFromShelf(world, category, atMs, rng);
    if (one !== undefined && !shown.includes(one)) shown.push(one);
  }
  return shown;
}

/** The softmax choice among candidates (Gumbel-max). */
export function choose(mood: Mood, candidates: readonly ItemTruth[], rng: Rng): ItemTruth | undefined {
  let best: ItemTruth | undefined;
  let bestValue = Number.NEGATIVE_INFINITY;
  for (const one of candidates) {
    const value = utility(mood, one) + rng.gumbel();
    if (value > bestValue) {
      bestValue = value;
      best = one;
    }
  }
  return best;
}

/** The item with this id, where the shop has it: `i00001` is the first. */
export function itemById(world: World, id: string): ItemTruth | undefined {
  const one = world.catalogue.items[Number(id.slice(1)) - 1];
  return one?.item.item_id === id ? one : undefined;
}
