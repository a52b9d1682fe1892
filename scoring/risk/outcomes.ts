import type { DecisionName } from '../../contracts/score.ts';

/** A payment whose truth has become known. */
export interface KnownOutcome {
  /** Calibrated; null where no model answered. */
  readonly probability: number | null;
  readonly decision: DecisionName;
  readonly fraud: boolean;
}

/** How the decisions turned out. A share without anything to share is NaN. */
export interface OutcomeReport {
  readonly known: number;
  readonly frauds: number;
  /** Of those that were not simply approved, the share that was fraud. */
  readonly precision: number;
  /** Of the frauds, the share that was not simply approved. */
  readonly recall: number;
  /** Payments with a probability. */
  readonly scored: number;
  /** Mean over tenths of the probability of |mean probability - share of fraud|, each weighted by its payments: the expected calibration error of Naeini et al. (2015). */
  readonly calibrationError: number;
}

const BINS = 10;
const SLOTS = 30;

class Slot {
  readonly payments = new Uint32Array(BINS);
  readonly frauds = new Uint32Array(BINS);
  readonly probabilities = new Float64Array(BINS);
  known = 0;
  fraud = 0;
  flagged = 0;
  caught = 0;

  clear(): void {
    for (const column of [this.payments, this.frauds, this.probabilities]) column.fill(0);
    this.known = this.fraud = this.flagged = this.caught = 0;
  }
}

/** Outcomes by when they became known, over the last `windowMs`. Bounded: it holds sums alone. */
export class OutcomeWindow {
  readonly #slots = Array.from({ length: SLOTS }, () => new Slot());
  readonly #slotMs: number;
  #slot: number;

  constructor(windowMs: number, nowMs: number) {
    this.#slotMs = windowMs / SLOTS;
    this.#slot = Math.floor(nowMs / this.#slotMs);
  }

  add({ probability, decision, fraud }: KnownOutcome, nowMs: number): void {
    this.#advance(nowMs);
    const slot = this.#slots[this.#slot % SLOTS]!;
    const flagged = decision !== 'approve';
    slot.known++;
    if (fraud) slot.fraud++;
    if (flagged) slot.flagged++;
    if (flagged && fraud) slot.caught++;
    if (probability === null) return;
    const bin = Math.min(BINS - 1, Math.floor(probability * BINS));
    slot.payments[bin]!++;
    slot.probabilities[bin]! += probability;
    if (fraud) slot.frauds[bin]!++;
  }

  report(nowMs: number): OutcomeReport {
    this.#advance(nowMs);
    const sum = (of: (slot: Slot) => number): number => this.#slots.reduce((total, slot) => total + of(slot), 0);
    const [known, frauds, flagged, caught] = [sum((s) => s.known), sum((s) => s.fraud), sum((s) => s.flagged), sum((s) => s.caught)];
    let [scored, error] = [0, 0];
    for (let bin = 0; bin < BINS; bin++) {
      scored += sum((s) => s.payments[bin]!);
      error += Math.abs(sum((s) => s.probabilities[bin]!) - sum((s) => s.frauds[bin]!));
    }
    return { known, frauds, precision: caught / flagged, recall: caught / frauds, scored, calibrationError: error / scored };
  }

  #advance(nowMs: number): void {
    const slot = Math.floor(nowMs / this.#slotMs);
    for (let passed = Math.max(this.#slot + 1, slot - SLOTS + 1); passed <= slot; passed++) this.#slots[passed % SLOTS]!.clear();
    this.#slot = Math.max(this.#slot, slot);
  }
}
