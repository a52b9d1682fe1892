import type { TimedEvent } from '../contracts/event.ts';
import type { DecisionName } from '../contracts/score.ts';
import { attackPlay } from './attack-plays.ts';
import { attacksByDay, startHabits, visitsOf } from './history.ts';
import { failureOf, labelOf, passes, refundOf } from './outcomes.ts';
import { DAY_MS } from './params.ts';
import type { Person } from './people.ts';
import { reviewsOf } from './reviews.ts';
import { isEvent, type ListAsk, NO_REPLY, type PayAsk, type Play, type Reply, type Shown, type Step } from './steps.ts';
import type { World } from './world.ts';

/** What a shop that is acted out is played against. Called in the shop's time order, one call at a time. */
export interface Audience {
  /** Something happened in the shop. */
  happened(event: TimedEvent): Promise<void> | void;
  /** A page wants a list; undefined: the shop lists by itself. */
  listed(ask: ListAsk, atMs: number): Promise<Shown | undefined> | undefined;
  /** A checkout wants to be paid; undefined: nobody judges, the payment goes to its provider. */
  judged(ask: PayAsk): Promise<DecisionName | undefined> | undefined;
  /** Everything before this moment, a multiple of a day from the start, has been told. */
  dayEnded(atMs: number): Promise<void> | void;
}

/** What comes at a moment: the next step of a play, or an outcome that becomes known. `order` keeps equal moments in the order in which they were planned. */
interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly outcome?: TimedEvent;
  readonly cast?: Cast;
}

interface Cast {
  readonly play: Play;
  /** Undefined: an attacker. */
  readonly person: Person | undefined;
  /** Asked for and not yet told; undefined before the first. */
  step: Step | undefined;
  atMs: number;
}

/** A binary heap of what is due, the earliest first. */
class Agenda {
  readonly #heap: Due[] = [];
  #planned = 0;

  add(due: Omit<Due, 'order'>): void {
    const heap = this.#heap;
    const entry = { ...due, order: this.#planned++ };
    let at = heap.push(entry) - 1;
    for (let parent = (at - 1) >> 1; at > 0 && before(entry, heap[parent]!); at = parent, parent = (at - 1) >> 1) heap[at] = heap[parent]!;
    heap[at] = entry;
  }

  /** Takes out what is due before `endMs`. */
  take(endMs: number): Due | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.atMs >= endMs) return undefined;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/**
 * The shop's whole time, acted out against somebody who answers: visits and attacks run side by side in one time order, a list that is answered is
 * the list that is walked, and who is refused goes on, gives up or tries again as people and thieves do. The same answers give the same course.
 */
export async function actOut(world: World, audience: Audience): Promise<void> {
  const { startMs, endMs, days } = world.settings;
  const stage = new Stage(world, audience);
  const attacks = attacksByDay(world);
  const habits = startHabits(world);
  for (let day = 0; day < days; day += 1) {
    const dayMs = startMs + day * DAY_MS;
    for (const { person, play, atMs } of visitsOf(world, habits, day)) stage.enter(play, person, atMs);
    for (const attack of attacks.get(day) ?? []) stage.enter(attackPlay(world, attack), undefined, attack.startMs);
    const untilMs = Math.min(endMs, dayMs + DAY_MS);
    await stage.playUntil(untilMs);
    await audience.dayEnded(untilMs);
  }
}

/** A question about a list has no time of its own: it is asked with what happened last. */
function momentOf(step: Step): number | undefined {
  if (isEvent(step)) return step.timestamp_ms;
  return step.ask === 'pay' ? step.attempt.timestamp_ms : undefined;
}

class Stage {
  readonly #world: World;
  readonly #audience: Audience;
  readonly #agenda = new Agenda();

  constructor(world: World, audience: Audience) {
    this.#world = world;
    this.#audience = audience;
  }

  /** The play's first step is asked for when its time has come, so that it sees the world as it is then. */
  enter(play: Play, person: Person | undefined, atMs: number): void {
    this.#agenda.add({ atMs, cast: { play, person, step: undefined, atMs } });
  }

  async playUntil(endMs: number): Promise<void> {
    for (let due = this.#agenda.take(endMs); due !== undefined; due = this.#agenda.take(endMs)) {
      if (due.outcome !== undefined) await this.#audience.happened(due.outcome);
      if (due.cast !== undefined) await this.#go(due.cast);
    }
  }

  async #go(cast: Cast): Promise<void> {
    const reply = cast.step === undefined ? NO_REPLY : await this.#tell(cast, cast.step);
    const next = cast.play.next(reply);
    if (next.done) return;
    cast.step = next.value;
    cast.atMs = Math.max(cast.atMs, momentOf(next.value) ?? cast.atMs);
    this.#agenda.add({ atMs: cast.atMs, cast });
  }

  async #tell(cast: Cast, step: Step): Promise<Reply> {
    if (isEvent(step)) {
      await this.#audience.happened(step);
      if (step.name === 'purchase' && cast.person !== undefined) this.#bought(step, cast.person);
      return NO_REPLY;
    }
    if (step.ask === 'list') {
      const shown = await this.#audience.listed(step, cast.atMs);
      return shown === undefined ? NO_REPLY : { shown };
    }
    const decision = await this.#audience.judged(step);
    const allowed = decision === undefined || passes(decision, step.fraud === undefined);
    if (decision === undefined) await this.#audience.happened(step.attempt);
    // The provider never hears of a payment that was refused, and nobody charges back what was never charged.
    const failure = allowed ? failureOf(step) : undefined;
    const label = labelOf(this.#world.settings.seed, { ...step, authorised: step.authorised && allowed });
    for (const later of [failure, label]) this.#later(later);
    return { allowed };
  }

  #bought(purchase: TimedEvent, person: Person): void {
    this.#later(refundOf(this.#world.settings.seed, purchase));
    for (const review of reviewsOf(this.#world, person, purchase)) this.#later(review);
  }

  #later(outcome: TimedEvent | undefined): void {
    if (outcome !== undefined) this.#agenda.add({ atMs: outcome.timestamp_ms, outcome });
  }
}
