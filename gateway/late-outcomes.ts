import { setImmediate } from 'node:timers/promises';
import type { Fact } from '../contracts/fact.ts';
import type { Store } from '../store/contract.ts';

/** Labels that wait for a reading of the journal: more than a desk of hundreds gives in an hour. The rest count for training alone. */
const WAITING_MAX = 10_000;
/** Of these, what is wanted for the sake of a challenger: the model that decides is judged first. */
const WAITING_COUNTED_MAX = WAITING_MAX / 2;
/** The journal has no index by transaction, and a chargeback is weeks late: an hour more matters to nobody, and a reading is shared by all that came in it. */
export const READ_EVERY_MS = 60 * 60_000;
/** Records read at once: decoding them holds the event loop for a millisecond or two. */
const PAGE = 100;
/** Between two pages the gateway does its work: so a reading takes at most a tenth of a core from it. */
const PAUSE_PAGES_MS = 20;

/** A payment's truth that has to be held against its journalled decision. */
export interface LateLabel {
  readonly transactionId: string;
  readonly fraud: boolean;
  /** Held against the remembered answer already: what is wanted is the other model's opinion, which only the journal has. */
  readonly counted: boolean;
}

export type DecisionFact = Extract<Fact, { kind: 'decision' }>;

export interface LateOutcomes {
  /** False where too many wait already. */
  add(label: LateLabel): boolean;
  /** Reads the journal if anything waits and the last reading is long enough ago; resolves when it is through. */
  look(): Promise<void>;
  /** Ends a reading that is under way. */
  close(): Promise<void>;
}

export interface LateOutcomesOptions {
  readonly store: Pick<Store<never>, 'bounds' | 'read'>;
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<void>;
  /** A label that met the journalled decision of its payment. */
  readonly known: (decision: DecisionFact, label: LateLabel) => void;
}

/** Finds the decisions of late labels in the journal, in the background. Labels whose decision is not there any more are dropped. */
export function createLateOutcomes({ store, now, pause, known }: LateOutcomesOptions): LateOutcomes {
  let waiting = new Map<string, LateLabel>();
  let readMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;
  let closed = false;

  const read = async (wanted: Map<string, LateLabel>): Promise<void> => {
    const { first, last } = await store.bounds();
    for (let after = first - 1; after < last && wanted.size > 0 && !closed; ) {
      const records = await store.read(after, Math.min(PAGE, last - after));
      const newest = records.at(-1);
      if (!newest) return;
      after = newest.offset;
      for (const { fact } of records) {
        if (fact.kind !== 'decision') continue;
        const label = wanted.get(fact.request.transaction_id);
        if (label === undefined) continue;
        wanted.delete(fact.request.transaction_id);
        known(fact, label);
      }
      await setImmediate();
      await pause(PAUSE_PAGES_MS);
    }
  };

  return {
    add(label) {
      const max = label.counted ? WAITING_COUNTED_MAX : WAITING_MAX;
      if (waiting.size >= max && !waiting.has(label.transactionId)) return false;
      waiting.set(label.transactionId, label);
      return true;
    },
    async look() {
      if (reading || closed || waiting.size === 0 || now() - readMs < READ_EVERY_MS) return reading;
      readMs = now();
      const wanted = waiting;
      waiting = new Map();
      reading = read(wanted).finally(() => {
        reading = undefined;
      });
      return reading;
    },
    async close() {
      closed = true;
      await reading?.catch(() => undefined);
    },
  };
}
