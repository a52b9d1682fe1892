import type { TimedEvent } from '../contracts/event.ts';
import { attackPlay } from './attack-plays.ts';
import { type Attack, planAttacks } from './attacks.ts';
import { failureOf, labelOf, refundOf } from './outcomes.ts';
import { DAY_MS, HOUR_MS } from './params.ts';
import type { Person } from './people.ts';
import { Rng, STREAM } from './prng.ts';
import { reviewsOf } from './reviews.ts';
import { isEvent, NO_REPLY, type Play } from './steps.ts';
import { dueAt, type Habit, startHabit, visit } from './visit.ts';
import type { World } from './world.ts';

/** A consumable that is due brings its user to the shop on this share of days. */
const DUE_VISIT_SHARE = 0.4;
/** Spread of visits around the user's hour, in hours. */
const HOUR_SPREAD = 2.6;

/**
 * Events by day, so that only one day is sorted and held, together with what is already known of later days (labels, refunds,
 * reviews, sessions over midnight). Events outside of the history are dropped.
 */
class Calendar {
  private readonly days: (TimedEvent[] | undefined)[] = [];
  private readonly startMs: number;
  private readonly endMs: number;

  constructor(startMs: number, endMs: number) {
    this.startMs = startMs;
    this.endMs = endMs;
  }

  add(event: TimedEvent): void {
    const at = event.timestamp_ms;
    if (at < this.startMs || at >= this.endMs) return;
    const day = Math.floor((at - this.startMs) / DAY_MS);
    const list = this.days[day];
    if (list === undefined) this.days[day] = [event];
    else list.push(event);
  }

  /** The day's events in time order (ties in the order added). The day is then forgotten. */
  take(day: number): TimedEvent[] {
    const events = this.days[day] ?? [];
    this.days[day] = undefined;
    return events.sort((a, b) => a.timestamp_ms - b.timestamp_ms);
  }
}

/** The shop's past in time order. Every call plays it anew from the seed; memory holds about one day. */
export function* history(world: World): Generator<TimedEvent, void, undefined> {
  const { startMs, endMs, days } = world.settings;
  const calendar = new Calendar(startMs, endMs);
  const attacks = attacksByDay(world);
  const habits = startHabits(world);
  for (let day = 0; day < days; day += 1) {
    for (const { person, play } of visitsOf(world, habits, day)) playOut(world, play, calendar, person);
    for (const attack of attacks.get(day) ?? []) playOut(world, attackPlay(world, attack), calendar, undefined);
    yield* calendar.take(day);
  }
}

export interface Visit {
  readonly person: Person;
  readonly atMs: number;
  readonly play: Play;
}

export function startHabits(world: World): Habit[] {
  const { seed, startMs } = world.settings;
  return world.people.map((person) => startHabit(person, startMs, new Rng(seed, STREAM.visitsOfDay, person.index, -1)));
}

/** The visits that begin on a day, person by person. Each has random numbers of its own, so that they may be played side by side. */
export function* visitsOf(world: World, habits: readonly Habit[], day: number): Generator<Visit, void, undefined> {
  const { seed, startMs } = world.settings;
  const dayMs = startMs + day * DAY_MS;
  const rng = new Rng(seed, STREAM.visitsOfDay);
  for (const person of world.people) {
    if (person.joinedMs >= dayMs + DAY_MS) continue;
    const habit = habits[person.index]!;
    const times = visitTimes(person, dayMs, dueAt(habit, dayMs) >= 0, rng.reseed(seed, STREAM.visitsOfDay, person.index, day));
    for (const [n, atMs] of times.entries()) {
      const own = new Rng(seed, STREAM.visit, person.index, day * 64 + n);
      yield { person, atMs, play: visit(world, person, habit, own, atMs, atMs === person.joinedMs) };
    }
  }
}

export function attacksByDay(world: World): Map<number, Attack[]> {
  const byDay = new Map<number, Attack[]>();
  for (const attack of planAttacks(world)) {
    const day = Math.floor((attack.startMs - world.settings.startMs) / DAY_MS);
    byDay.set(day, [...(byDay.get(day) ?? []), attack]);
  }
  return byDay;
}

/** When a person comes on a day. The day of joining has the first visit, at the moment of joining. */
function visitTimes(person: Person, dayMs: number, due: boolean, rng: Rng): number[] {
  const weekday = new Date(dayMs).getUTCDay();
  const weekend = weekday === 0 || weekday === 6;
  let count = rng.poisson(person.visitRate * (weekend ? person.weekendFactor : 1));
  if (due && rng.chance(DUE_VISIT_SHARE)) count += 1;
  const times = person.joinedMs >= dayMs ? [person.joinedMs] : [];
  for (let n = 0; n < count; n += 1) {
    const atMs = timeOfDay(dayMs, person.hourPeak + rng.normal(0, HOUR_SPREAD));
    if (atMs > person.joinedMs) times.push(atMs);
  }
  return times.sort((a, b) => a - b);
}

/** The moment within [dayMs, dayMs + 24 h) at which the UTC clock shows `hour`. */
function timeOfDay(dayMs: number, hour: number): number {
  const wanted = ((hour % 24) + 24) % 24;
  const offset = (((wanted * HOUR_MS - (dayMs % DAY_MS)) % DAY_MS) + DAY_MS) % DAY_MS;
  return Math.floor(dayMs + offset);
}

/** Plays to the end without a gateway: the shop lists by itself and the payment provider alone decides. `person` is undefined for attackers. */
function playOut(world: World, steps: Play, calendar: Calendar, person: Person | undefined): void {
  const { seed } = world.settings;
  for (let next = steps.next(NO_REPLY); !next.done; next = steps.next(NO_REPLY)) {
    const step = next.value;
    if (isEvent(step)) {
      calendar.add(step);
      if (step.name !== 'purchase' || person === undefined) continue;
      const refund = refundOf(seed, step);
      if (refund !== undefined) calendar.add(refund);
      for (const review of reviewsOf(world, person, step)) calendar.add(review);
    } else if (step.ask === 'pay') {
      calendar.add(step.attempt);
      for (const later of [failureOf(step), labelOf(seed, step)]) if (later !== undefined) calendar.add(later);
    }
  }
}
