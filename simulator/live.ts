import { setMaxListeners } from 'node:events';
import { createClient, type Fetch, sleep } from '../client/index.ts';
import { attackPlay } from './attack-plays.ts';
import { drawAttack } from './attacks.ts';
import { Desk } from './live-desk.ts';
import { Gate, type LiveClock } from './live-gate.ts';
import { Outcomes } from './live-outcomes.ts';
import { LivePlay, type Stage } from './live-play.ts';
import { emptyReport, type LiveReport } from './live-report.ts';
import type { Person } from './people.ts';
import { hash32, Rng, STREAM } from './prng.ts';
import type { Shop } from './shop.ts';
import { type Habit, startHabit, visit } from './visit.ts';

export interface LiveOptions {
  /** Data plane of a running gateway. */
  readonly baseUrl: string;
  readonly secretKey: string;
  readonly publishableKey: string;
  readonly shop: Shop;
  /** API requests a second, about. */
  readonly ratePerS: number;
  /** Ends the run, within a second. */
  readonly signal: AbortSignal;
  /** Put the shop's catalogue into the gateway first. */
  readonly putItems?: boolean | undefined;
  /** Deadline of a request. */
  readonly timeoutMs?: number | undefined;
  /** Share of plays that are attacks. */
  readonly attackShare?: number | undefined;
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined;
  readonly sleep?: LiveClock['sleep'] | undefined;
  readonly fetch?: Fetch | undefined;
  /** Tells runs apart: a whole number below 2^32. The same run of the same shop makes the same ids. */
  readonly run?: number | undefined;
}

const RATE_MAX = 10_000;
/** An attack every minute or so at 20 requests a second: often enough to be seen, and still only some tenth of the payments. */
const ATTACK_SHARE = 0.005;
/** Plays at once, a few kilobytes each. At 1,000 requests a second some 800 run. */
export const PLAYS_MAX = 2_000;
/** Rhythms of people that were here lately; beyond that, those remembered longest are forgotten. */
const HABITS_MAX = 20_000;
/** Draws of somebody who is not in the shop already. */
const DRAWS_MAX = 10;
/** Attack numbers behind every planned one, and apart for each run; 2^16 attacks of a run last for weeks. */
const ATTACKS_FIRST = 2 ** 20;
const ATTACKS_PER_RUN = 2 ** 16;
const OUTCOMES_EVERY_MS = 500;
const OUTCOMES_PER_REQUEST = 100;
/** A checkout tries again before it sells without a verdict. A page does not: its list is late by then, and its events go with the next ones. */
const SHOP_RETRIES = 2;
/** A visitor waits no longer for an answer. */
const TIMEOUT_MS = 3_000;

/**
 * Plays the shop's people and its attackers against a gateway, in real time, until `signal` aborts. What fails is counted, and the run goes on: while the
 * gateway is away or sheds load everybody waits. Rejects with RangeError on a rate out of range, and otherwise only on a defect of the simulator.
 */
export async function runLive(options: LiveOptions): Promise<LiveReport> {
  const { shop, ratePerS } = options;
  if (!(ratePerS > 0 && ratePerS <= RATE_MAX)) throw new RangeError(`ratePerS must be above 0 and at most ${RATE_MAX}, not ${ratePerS}`);
  const run = (options.run ?? Math.floor(Math.random() * 2 ** 32)) >>> 0;
  // A defect in one play ends the others too.
  const ending = new AbortController();
  // Each play, its request and its pause listen for the end; Node would take more than ten listeners for a leak.
  setMaxListeners(3 * PLAYS_MAX, ending.signal);
  const onAbort = (): void => ending.abort();
  options.signal.addEventListener('abort', onAbort, { once: true });
  if (options.signal.aborted) ending.abort();
  const live = new LiveShop(options, new Rng(hash32(shop.settings.seed, STREAM.live, run, 0), STREAM.live), run, ending);
  try {
    return await live.run();
  } finally {
    options.signal.removeEventListener('abort', onAbort);
  }
}

class LiveShop {
  readonly #options: LiveOptions;
  readonly #rng: Rng;
  readonly #ending: AbortController;
  readonly #clock: LiveClock;
  readonly #gate: Gate;
  readonly #stage: Stage;
  readonly #report = emptyReport();
  readonly #plays = new Set<Promise<void>>();
  readonly #inside = new Set<number>();
  readonly #habits = new Map<number, Habit>();
  /** Running totals of the visit rates, to draw people by. */
  readonly #visitRates: Float64Array;
  readonly #visitSeed: number;
  #nextAttack: number;
  /** Nobody comes before the catalogue is there. */
  #isOpen = false;
  #defect: { readonly error: unknown } | undefined;

  constructor(options: LiveOptions, rng: Rng, run: number, ending: AbortController) {
    const { signal } = ending;
    const { world } = options.shop;
    this.#options = options;
    this.#rng = rng;
    this.#ending = ending;
    this.#visitSeed = rng.next();
    this.#nextAttack = ATTACKS_FIRST + run * ATTACKS_PER_RUN;
    const now = options.now ?? Date.now;
    this.#clock = { now, sleep: options.sleep ?? sleep };
    // One random sequence each: how long a request takes must not change who comes next.
    this.#gate = new Gate(this.#clock, signal, options.ratePerS, new Rng(rng.next(), STREAM.live), () => this.#welcome());
    const clientRng = new Rng(rng.next(), STREAM.live);
    const clientOf = (key: string, retriesMax: number) =>
      createClient({
        baseUrl: options.baseUrl,
        key,
        fetch: options.fetch,
        timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
        random: () => clientRng.float(),
        now,
        sleep: this.#clock.sleep,
        retriesMax,
      });
    const desk = new Desk(clientOf(options.publishableKey, 0), clientOf(options.secretKey, SHOP_RETRIES), this.#gate, this.#report, signal);
    this.#stage = { world, desk, clock: this.#clock, signal, outcomes: new Outcomes(), report: this.#report };
    let total = 0;
    this.#visitRates = Float64Array.from(world.people, ({ visitRate }) => (total += visitRate));
  }

  async run(): Promise<LiveReport> {
    this.#keep(this.#gate.run());
    if (this.#options.putItems) {
      await this.#stage.desk.putItems(this.#options.shop.items()).catch((error: unknown) => this.#ended(error));
    }
    this.#isOpen = true;
    this.#keep(this.#sendOutcomes());
    while (this.#plays.size > 0) await Promise.all(this.#plays);
    if (this.#defect) throw this.#defect.error;
    return this.#report;
  }

  /** A turn that nobody waits for: somebody new comes in. */
  #welcome(): void {
    if (!this.#isOpen || this.#plays.size >= PLAYS_MAX) return;
    if (this.#rng.chance(this.#options.attackShare ?? ATTACK_SHARE)) this.#attack();
    else this.#visit();
  }

  #visit(): void {
    const person = this.#somebody();
    if (person === undefined) return;
    const nowMs = Math.floor(this.#clock.now());
    const rng = new Rng(this.#visitSeed, STREAM.live, person.index, this.#report.visits++);
    const steps = visit(this.#stage.world, person, this.#habitOf(person, nowMs), rng, nowMs, false);
    this.#inside.add(person.index);
    const played = new LivePlay(this.#stage, person).run(steps, nowMs);
    this.#keep(played.finally(() => this.#inside.delete(person.index)));
  }

  #attack(): void {
    const nowMs = Math.floor(this.#clock.now());
    const attack = drawAttack(this.#nextAttack++, nowMs, this.#rng);
    this.#report.attacks++;
    this.#keep(new LivePlay(this.#stage, undefined).run(attackPlay(this.#stage.world, attack), nowMs));
  }

  /** By how often they visit; nobody is in the shop twice. */
  #somebody(): Person | undefined {
    for (let draws = 0; draws < DRAWS_MAX; draws++) {
      const person = this.#stage.world.people[this.#rng.cumulative(this.#visitRates)]!;
      if (!this.#inside.has(person.index)) return person;
    }
    return undefined;
  }

  #habitOf(person: Person, nowMs: number): Habit {
    const known = this.#habits.get(person.index) ?? startHabit(person, nowMs, this.#rng);
    this.#habits.delete(person.index);
    this.#habits.set(person.index, known);
    if (this.#habits.size > HABITS_MAX) this.#habits.delete(this.#habits.keys().next().value!);
    return known;
  }

  async #sendOutcomes(): Promise<void> {
    const { outcomes, desk } = this.#stage;
    for (;;) {
      await this.#clock.sleep(OUTCOMES_EVERY_MS, this.#ending.signal);
      const due = outcomes.take(this.#clock.now(), OUTCOMES_PER_REQUEST);
      if (due.length === 0) continue;
      const { left, refused } = await desk.send(due);
      outcomes.putBack(left);
      this.#report.outcomes.lost += refused;
      this.#report.outcomes.sent += due.length - left.length - refused;
    }
  }

  #keep(work: Promise<void>): void {
    const kept: Promise<void> = work
      .catch((error: unknown) => this.#ended(error))
      .finally(() => {
        this.#plays.delete(kept);
      });
    this.#plays.add(kept);
  }

  /** Work that ends because the run ends is as it should be; anything else is a defect, and ends the run. */
  #ended(error: unknown): void {
    if (this.#ending.signal.aborted) return;
    this.#defect ??= { error };
    this.#ending.abort();
  }
}
