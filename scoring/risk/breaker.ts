import type { Trip } from '../../contracts/rules.ts';
import type { RuleHit } from '../../contracts/score.ts';
import { stopsPayment } from './decision.ts';

export interface BreakerLimits {
  readonly windowMs: number;
  /** Decisions that the window must hold before a share means anything. */
  readonly decisionsMin: number;
  /** A rule that stops more of the window than this is taken out of action. */
  readonly ruleShareMax: number;
  /** When all rules together stop more than this, the one that stops the most is. */
  readonly overallShareMax: number;
}

export interface BreakerTrip extends Trip {
  readonly rule: string;
  readonly version: number;
}

/** Slices of the window: what leaves it leaves in pieces of 1/30, which is 20 s of the default ten minutes. */
const SLICES = 30;
/** Rules that are counted at once: as many as may be live. Counts of a rule that left stay until its window has passed. */
const RULES_COUNTED_MAX = 1000;

/** Counts of one thing over the window, in a ring of slices. */
class Ring {
  readonly #slices = new Uint32Array(SLICES);
  sum = 0;

  add(at: number): void {
    this.#slices[at]!++;
    this.sum++;
  }

  clear(at: number): void {
    this.sum -= this.#slices[at]!;
    this.#slices[at] = 0;
  }

  reset(): void {
    this.#slices.fill(0);
    this.sum = 0;
  }
}

/**
 * Watches what share of the payments the live rules stop. A rule that is wrong (`>` for `<`, a feature that changed its unit) declines everyone
 * within seconds of going live; here it is taken out before it has cost an evening's turnover.
 */
export class DeclineBreaker {
  readonly #limits: BreakerLimits;
  readonly #sliceMs: number;
  readonly #decisions = new Ring();
  readonly #stopped = new Ring();
  readonly #rules = new Map<string, { readonly rule: string; readonly version: number; readonly ring: Ring }>();
  #slice = -1;

  constructor(limits: BreakerLimits) {
    this.#limits = limits;
    this.#sliceMs = limits.windowMs / SLICES;
  }

  /** Counts one decision; returns the rule that has to be taken out of action, if any. It counts nothing for that rule until `reset`. */
  observe(hits: readonly RuleHit[], nowMs: number): BreakerTrip | undefined {
    const at = this.#turnTo(nowMs);
    this.#decisions.add(at);
    let stopped = false;
    for (const hit of hits) {
      if (hit.overruled || !stopsPayment(hit.action)) continue;
      stopped = true;
      this.#ringOf(hit)?.add(at);
    }
    if (!stopped) return undefined;
    this.#stopped.add(at);
    if (this.#decisions.sum < this.#limits.decisionsMin) return undefined;
    return this.#tripOf(hits, nowMs);
  }

  /** Share of the window that the rule stopped, for whoever looks. */
  stoppedBy(rule: string, version: number): { readonly decisions: number; readonly stopped: number } {
    return { decisions: this.#decisions.sum, stopped: this.#rules.get(keyOf(rule, version))?.ring.sum ?? 0 };
  }

  /** Forgets what the rule did, and what all did together: an analyst has put it back, and it gets a whole window. */
  reset(rule: string, version: number): void {
    this.#rules.delete(keyOf(rule, version));
    this.#decisions.reset();
    this.#stopped.reset();
    for (const { ring } of this.#rules.values()) ring.reset();
  }

  #tripOf(hits: readonly RuleHit[], nowMs: number): BreakerTrip | undefined {
    const decisions = this.#decisions.sum;
    for (const hit of hits) {
      const counted = this.#rules.get(keyOf(hit.rule, hit.version));
      if (counted && !hit.overruled && stopsPayment(hit.action) && counted.ring.sum > this.#limits.ruleShareMax * decisions)
        return this.#trip(counted, 'rule', nowMs);
    }
    if (this.#stopped.sum <= this.#limits.overallShareMax * decisions) return undefined;
    let worst: { rule: string; version: number; ring: Ring } | undefined;
    for (const counted of this.#rules.values()) if (worst === undefined || counted.ring.sum > worst.ring.sum) worst = counted;
    return worst && this.#trip(worst, 'overall', nowMs);
  }

  #trip({ rule, version, ring }: { rule: string; version: number; ring: Ring }, scope: Trip['scope'], nowMs: number): BreakerTrip {
    const trip = { rule, version, at_ms: nowMs, decisions: this.#decisions.sum, stopped: ring.sum, scope };
    // What it stopped would otherwise trip the next rule in its place.
    this.reset(rule, version);
    return trip;
  }

  #ringOf({ rule, version }: RuleHit): Ring | undefined {
    const key = keyOf(rule, version);
    const known = this.#rules.get(key);
    if (known) return known.ring;
    if (this.#rules.size >= RULES_COUNTED_MAX) for (const [name, { ring }] of this.#rules) if (ring.sum === 0) this.#rules.delete(name);
    if (this.#rules.size >= RULES_COUNTED_MAX) return undefined;
    const ring = new Ring();
    this.#rules.set(key, { rule, version, ring });
    return ring;
  }

  /** Empties the slices that the clock has passed. A clock that went back counts into the present slice. */
  #turnTo(nowMs: number): number {
    const slice = Math.floor(nowMs / this.#sliceMs);
    if (this.#slice < 0) this.#slice = slice;
    const behind = Math.min(SLICES, slice - this.#slice);
    for (let i = 1; i <= behind; i++) {
      const at = (this.#slice + i) % SLICES;
      this.#decisions.clear(at);
      this.#stopped.clear(at);
      for (const { ring } of this.#rules.values()) ring.clear(at);
    }
    if (slice > this.#slice) this.#slice = slice;
    return this.#slice % SLICES;
  }
}

function keyOf(rule: string, version: number): string {
  return `${rule}@${version}`;
}
