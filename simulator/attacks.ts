import { DAY_MS } from './params.ts';
import { Rng, STREAM } from './prng.ts';
import type { World } from './world.ts';

export const FRAUD_KINDS = ['card_testing', 'stolen_card', 'account_takeover', 'fraud_ring', 'bot_burst', 'refund_abuse'] as const;
export type FraudKind = (typeof FRAUD_KINDS)[number];

export interface Attack {
  /** Unique within the shop; seeds the attack's own substream. */
  readonly index: number;
  readonly kind: FraudKind;
  readonly startMs: number;
}

/** Share of all fraudulent attempts by kind, and the mean attempts of one attack (measured over 40 seeds; a test holds them). */
const MIX: Readonly<Record<FraudKind, { readonly share: number; readonly attemptsPerAttack: number }>> = {
  card_testing: { share: 0.3, attemptsPerAttack: 13 },
  stolen_card: { share: 0.22, attemptsPerAttack: 1.2 },
  account_takeover: { share: 0.16, attemptsPerAttack: 2.2 },
  fraud_ring: { share: 0.15, attemptsPerAttack: 7 },
  bot_burst: { share: 0.1, attemptsPerAttack: 9 },
  refund_abuse: { share: 0.07, attemptsPerAttack: 4.5 },
};
/** Honest payment attempts of a visit, measured at the default size; turns a fraud rate into a number of attacks. */
const ATTEMPTS_PER_VISIT = 0.14;

/** Attacks come in waves: how much of the time a kind lasts, and how much later than the one before it begins. */
const WAVE_SHARE = 0.4;
const WAVE_STEP = (1 - WAVE_SHARE) / (FRAUD_KINDS.length - 1);

const MIX_WEIGHTS = FRAUD_KINDS.map((kind) => MIX[kind].share / MIX[kind].attemptsPerAttack);

/** The next attack on a live shop: kinds come as often as in the history. */
export function drawAttack(index: number, startMs: number, rng: Rng): Attack {
  return { index, kind: FRAUD_KINDS[rng.weighted(MIX_WEIGHTS)]!, startMs };
}

/** How many honest attempts the history will have, about. */
function expectedAttempts(world: World): number {
  const { settings, people } = world;
  let visits = 0;
  for (const { visitRate, joinedMs } of people) visits += (visitRate * (settings.endMs - Math.max(settings.startMs, joinedMs))) / DAY_MS;
  return visits * ATTEMPTS_PER_VISIT;
}

/** All attacks of the history, in no order. Every kind comes at least once (unless the rate is 0), and starts early enough to be seen. */
export function planAttacks(world: World): Attack[] {
  const { settings } = world;
  const frauds = expectedAttempts(world) * (settings.fraudRate / (1 - settings.fraudRate));
  const attacks: Attack[] = [];
  for (const kind of FRAUD_KINDS) {
    const { share, attemptsPerAttack } = MIX[kind];
    const count = frauds > 0 ? Math.max(1, Math.round((frauds * share) / attemptsPerAttack)) : 0;
    for (let n = 0; n < count; n += 1) {
      const index = attacks.length;
      const rng = new Rng(settings.seed, STREAM.attackPlan, index);
      // Spread evenly with jitter, so that a later time slice has its share of each kind; in waves, over the kind's own part of the time.
      const even = (n + rng.float()) / count;
      const place = settings.fraudWaves ? FRAUD_KINDS.indexOf(kind) * WAVE_STEP + even * WAVE_SHARE : even;
      attacks.push({ index, kind, startMs: Math.floor(settings.startMs + place * 0.97 * (settings.endMs - settings.startMs)) });
    }
  }
  return attacks;
}
