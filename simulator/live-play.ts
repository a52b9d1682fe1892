import type { TimedEvent } from '../contracts/event.ts';
import type { Desk } from './live-desk.ts';
import type { LiveClock } from './live-gate.ts';
import type { Outcomes } from './live-outcomes.ts';
import type { LiveReport } from './live-report.ts';
import { failureOf, labelOf, passes, refundOf } from './outcomes.ts';
import type { Person } from './people.ts';
import { reviewsOf } from './reviews.ts';
import { isEvent, type ListAsk, NO_REPLY, type PayAsk, type Play, type Reply } from './steps.ts';
import type { World } from './world.ts';

/** Thinking, typing and reading take a twentieth of their time, so that a visit of minutes is over in seconds. */
const THINK_SPEEDUP = 20;
/** Attacks pause for hours and days. Nobody watches that long. */
const THINK_MAX_MS = 1_500;
/** A page reports what happened on it together. */
const PAGE_EVENTS = 4;
/** Events that a visit holds back while the gateway is away; the oldest are lost beyond that. */
const HELD_MAX = 50;

export interface Stage {
  readonly world: World;
  readonly desk: Desk;
  readonly clock: LiveClock;
  readonly signal: AbortSignal;
  readonly outcomes: Outcomes;
  readonly report: LiveReport;
}

/** One visit or attack, played now. */
export class LivePlay {
  readonly #stage: Stage;
  /** Undefined for attackers. */
  readonly #person: Person | undefined;
  /** Happened on the page and not sent yet. */
  #page: TimedEvent[] = [];
  #lastMs = 0;
  #scriptMs = 0;
  #hasTurn = true;

  constructor(stage: Stage, person: Person | undefined) {
    this.#stage = stage;
    this.#person = person;
  }

  /** Plays to the end. Rejects when the run ends. */
  async run(steps: Play, startMs: number): Promise<void> {
    this.#scriptMs = startMs;
    let reply: Reply = NO_REPLY;
    for (let next = steps.next(reply); !next.done; next = steps.next(reply)) {
      const step = next.value;
      reply = NO_REPLY;
      if (isEvent(step)) await this.#happen(step);
      else if (step.ask === 'list') reply = await this.#list(step);
      else reply = await this.#pay(step);
    }
    await this.#send();
    this.#lose(this.#page.splice(0).length);
  }

  async #happen(event: TimedEvent): Promise<void> {
    await this.#think(event.timestamp_ms);
    const now = this.#stamp(event);
    this.#page.push(now);
    this.#note(now);
    // The first page is told at once: the visitor came with a turn.
    if (this.#hasTurn || this.#page.length >= PAGE_EVENTS) await this.#send();
  }

  #note(event: TimedEvent): void {
    const { world, report } = this.#stage;
    if (event.name === 'select_item' && event.recommendation_id !== undefined) report.recommended.clicks++;
    if (event.name === 'view_item_list' && event.recommendation_id !== undefined) report.recommended.lists++;
    if (event.name !== 'purchase') return;
    report.purchases++;
    if (this.#person === undefined) return;
    const refund = refundOf(world.settings.seed, event);
    for (const outcome of [...(refund === undefined ? [] : [refund]), ...reviewsOf(world, this.#person, event)])
      this.#later(outcome, event.timestamp_ms);
  }

  async #list(ask: ListAsk): Promise<Reply> {
    // What was looked at before counts in the answer: it has to be there first.
    await this.#send();
    const answer = await this.#stage.desk.recommend(ask);
    if (answer === undefined || answer.items.length === 0) return NO_REPLY;
    return { shown: { itemIds: answer.items.map(({ item_id }) => item_id), recommendationId: answer.recommendation_id } };
  }

  async #pay(ask: PayAsk): Promise<Reply> {
    await this.#think(ask.attempt.timestamp_ms);
    await this.#send();
    const { report, desk, world } = this.#stage;
    const attempt = this.#stamp(ask.attempt);
    const answer = await desk.score({ ...ask, attempt });
    if (answer === undefined) {
      report.unscored++;
      return NO_REPLY;
    }
    const { decision } = answer;
    report.decisions[decision]++;
    const allowed = passes(decision, ask.fraud === undefined);
    if (ask.fraud === undefined) report.honest[allowed ? 'passed' : 'refused']++;
    else report.frauds[allowed ? (decision === 'review' ? 'reviewed' : 'missed') : 'caught']++;
    // The provider never hears of a payment that the gateway refused, and nobody charges back what was never charged.
    const failure = allowed ? failureOf({ ...ask, attempt }) : undefined;
    const label = labelOf(world.settings.seed, { ...ask, attempt, authorised: ask.authorised && allowed });
    for (const later of [failure, label]) if (later !== undefined) this.#later(later, attempt.timestamp_ms);
    return { allowed };
  }

  #later(outcome: TimedEvent, fromMs: number): void {
    if (!this.#stage.outcomes.add(outcome, fromMs, this.#stage.clock.now())) this.#stage.report.outcomes.lost++;
  }

  async #think(scriptMs: number): Promise<void> {
    const thinkMs = Math.min(THINK_MAX_MS, (scriptMs - this.#scriptMs) / THINK_SPEEDUP);
    this.#scriptMs = scriptMs;
    if (thinkMs >= 1) await this.#stage.clock.sleep(thinkMs, this.#stage.signal);
  }

  /** The step as it happens now. A session's clock never stands still, so that its order is plain. */
  #stamp<T extends TimedEvent>(step: T): T {
    this.#lastMs = Math.max(Math.floor(this.#stage.clock.now()), this.#lastMs + 1);
    return { ...step, timestamp_ms: this.#lastMs };
  }

  async #send(): Promise<void> {
    if (this.#page.length === 0) return;
    const hasTurn = this.#hasTurn;
    this.#hasTurn = false;
    const { left, refused } = await this.#stage.desk.send(this.#page, hasTurn);
    this.#page = left;
    this.#lose(refused + left.splice(0, Math.max(0, left.length - HELD_MAX)).length);
  }

  #lose(count: number): void {
    this.#stage.report.events.lost += count;
  }
}
