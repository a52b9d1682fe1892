import type { BacktestResult, BacktestRule, Rule } from '../../contracts/rules.ts';

/** Rules that one rule's overlap names: the rest share next to nothing with it. */
const OVERLAP_SHOWN_MAX = 10;
const CAPACITY_FIRST = 1024;

/** Which rules hit: indices into the run's rules, ascending. Interned, because nearly all payments share a few of them. */
type HitSet = readonly number[];

/** What is remembered of one payment until its label is known. */
export interface JudgedPayment {
  /** 53-bit hashes: among ten million ids two meet with probability 0.006, and then one label goes to two payments. */
  readonly transaction: number;
  readonly user: number;
  readonly amount: number;
  readonly atMs: number;
  readonly hits: HitSet;
}

/**
 * Payments with the rules that hit them, in typed arrays: 36 bytes each, in a ring that keeps the newest. Labels come weeks after their payments, so the
 * figures are made at the end.
 */
export class BacktestLog {
  readonly #max: number;
  #transaction = new Float64Array(CAPACITY_FIRST);
  #user = new Float64Array(CAPACITY_FIRST);
  #amount = new Float64Array(CAPACITY_FIRST);
  #atMs = new Float64Array(CAPACITY_FIRST);
  #hits = new Uint32Array(CAPACITY_FIRST);
  readonly #hitSets: HitSet[] = [];
  readonly #hitSetIds = new Map<string, number>();
  /** All that were taken; those beyond the ring's size have left it. */
  taken = 0;

  constructor(transactionsMax: number) {
    this.#max = transactionsMax;
  }

  get full(): boolean {
    return this.taken >= this.#max;
  }

  get kept(): number {
    return Math.min(this.taken, this.#max);
  }

  take({ transaction, user, amount, atMs, hits }: JudgedPayment): void {
    const at = this.taken % this.#max;
    if (at >= this.#transaction.length) this.#grow();
    this.#transaction[at] = transaction;
    this.#user[at] = user;
    this.#amount[at] = amount;
    this.#atMs[at] = atMs;
    this.#hits[at] = this.#intern(hits);
    this.taken++;
  }

  /** Figures of each rule. `isFraud` knows labels by the hash of the transaction. */
  figures(
    rules: readonly Rule[],
    failed: readonly number[],
    isFraud: (transaction: number) => boolean,
  ): Pick<BacktestResult, 'transactions' | 'fraud' | 'fraud_amount' | 'from_ms' | 'to_ms' | 'rules'> {
    const counts = rules.map(() => ({ hits: 0, fraud: 0, saved: 0, hurt: 0, alone: 0, users: new Set<number>(), with: new Map<number, number>() }));
    let [fraud, fraudAmount, fromMs, toMs] = [0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let i = 0; i < this.kept; i++) {
      const amount = this.#amount[i]!;
      const bad = isFraud(this.#transaction[i]!);
      if (bad) {
        fraud++;
        fraudAmount += amount;
      }
      fromMs = Math.min(fromMs, this.#atMs[i]!);
      toMs = Math.max(toMs, this.#atMs[i]!);
      const hits = this.#hitSets[this.#hits[i]!]!;
      for (const rule of hits) {
        const count = counts[rule]!;
        count.hits++;
        if (bad) {
          count.fraud++;
          count.saved += amount;
        } else {
          count.hurt += amount;
          count.users.add(this.#user[i]!);
        }
        if (hits.length === 1) count.alone++;
        else for (const other of hits) if (other !== rule) count.with.set(other, (count.with.get(other) ?? 0) + 1);
      }
    }
    return {
      transactions: this.kept,
      fraud,
      fraud_amount: fraudAmount,
      from_ms: this.kept === 0 ? null : fromMs,
      to_ms: this.kept === 0 ? null : toMs,
      rules: rules.map(({ id, version, action }, i): BacktestRule => {
        const count = counts[i]!;
        return {
          id,
          version,
          action,
          hits: count.hits,
          fraud_hits: count.fraud,
          precision: count.hits === 0 ? null : count.fraud / count.hits,
          recall: fraud === 0 ? null : count.fraud / fraud,
          amount_saved: count.saved,
          amount_hurt: count.hurt,
          customers_hurt: count.users.size,
          hits_alone: count.alone,
          failed: failed[i]!,
          overlap: [...count.with]
            .sort((a, b) => b[1] - a[1] || a[0] - b[0])
            .slice(0, OVERLAP_SHOWN_MAX)
            .map(([other, hits]) => ({ id: rules[other]!.id, version: rules[other]!.version, hits })),
        };
      }),
    };
  }

  #intern(hits: HitSet): number {
    const key = hits.join(' ');
    const known = this.#hitSetIds.get(key);
    if (known !== undefined) return known;
    this.#hitSetIds.set(key, this.#hitSets.length);
    return this.#hitSets.push([...hits]) - 1;
  }

  #grow(): void {
    const length = Math.min(this.#max, this.#transaction.length * 2);
    const grown = <T extends Float64Array | Uint32Array>(old: T, next: T): T => {
      next.set(old);
      return next;
    };
    this.#transaction = grown(this.#transaction, new Float64Array(length));
    this.#user = grown(this.#user, new Float64Array(length));
    this.#amount = grown(this.#amount, new Float64Array(length));
    this.#atMs = grown(this.#atMs, new Float64Array(length));
    this.#hits = grown(this.#hits, new Uint32Array(length));
  }
}
