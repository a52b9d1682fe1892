import type { TimedEvent } from '../contracts/event.ts';
import { DAY_MS } from './params.ts';
import type { Person } from './people.ts';
import { hashText, Rng, STREAM } from './prng.ts';
import { REVIEW_ENGLISH, REVIEW_LANGUAGES, type Tone } from './review-words.ts';
import { CATEGORIES } from './words.ts';
import { itemById, moodAt, type World, wanted } from './world.ts';

const REVIEWED_SHARE = 0.09;
/** Share of reviewers that write in their country's language; the others write English. */
const OWN_LANGUAGE_SHARE = 0.3;

/** The reviews that a purchase brings, 3 to 16 days later. Stars follow the item's quality and the person's want, with noise; words follow the stars. */
export function reviewsOf(world: World, person: Person, purchase: TimedEvent): TimedEvent[] {
  const reviews: TimedEvent[] = [];
  const mood = moodAt(world, person, purchase.timestamp_ms);
  for (const [n, { item_id }] of (purchase.items ?? []).entries()) {
    const one = itemById(world, item_id);
    if (one === undefined || purchase.transaction_id === undefined) continue;
    const rng = new Rng(world.settings.seed, STREAM.review, hashText(purchase.transaction_id), n);
    if (!rng.chance(REVIEWED_SHARE)) continue;
    const feeling = 3.6 + 0.8 * one.quality + 0.9 * (wanted(mood, one) - 0.3) + rng.normal(0, 0.7);
    const rating = Math.max(1, Math.min(5, Math.round(feeling)));
    reviews.push({
      event_id: `v_${purchase.transaction_id.slice(2)}.${n}`,
      name: 'review',
      timestamp_ms: purchase.timestamp_ms + Math.floor(rng.between(3, 16) * DAY_MS),
      user_id: person.id,
      country: person.country,
      items: [{ item_id }],
      rating,
      ...wording(rating, person.country, String(one.item.attributes?.['kind'] ?? one.item.category), one.category, rng),
    });
  }
  return reviews;
}

function wording(rating: number, country: string, kind: string, category: number, rng: Rng): { title: string; text: string } {
  const tone: Tone = rating <= 2 ? 'bad' : rating === 3 ? 'mixed' : 'good';
  const language = rng.chance(OWN_LANGUAGE_SHARE) ? (REVIEW_LANGUAGES[country] ?? REVIEW_ENGLISH) : REVIEW_ENGLISH;
  const phrases = language[tone];
  const details = [rng.pick(phrases.details)];
  if (rng.chance(0.5)) details.push(rng.pick(phrases.details.filter((detail) => detail !== details[0])));
  const { aspects } = CATEGORIES[category]!;
  const fill = (sentence: string): string => sentence.replace('{n}', kind).replace('{a}', rng.pick(aspects));
  const text = [rng.pick(phrases.openers), ...details, rng.pick(phrases.closers)].map(fill).filter((sentence) => sentence !== '');
  return { title: rng.pick(phrases.titles), text: text.join(' ') };
}
