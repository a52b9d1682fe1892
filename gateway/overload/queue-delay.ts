export interface QueueDelayClock {
  /** Milliseconds of a clock that only goes forward. */
  readonly nowMs: () => number;
  /** Calls back once, when the event loop has handled all that the poll it is in brought (`setImmediate`). */
  readonly afterPoll: (callback: () => void) => void;
}

/**
 * How long the request that is looked at now has waited for this process, in milliseconds: since the event loop last looked at the sockets. What arrived
 * meanwhile is handed over one after another, so the last one waits for all before it.
 *
 *   poll | timers, commits, models | poll  a  b  c  d |            a: the time from the end of the last round to its turn
 *        '---- waited by a to d ---------'--'--'--'                d: that, and what a, b and c took
 *
 * A request that finds the loop at rest has waited for nothing. The delay is of this request and this moment: an average over past seconds lets in too much
 * while a queue builds up, and then turns everyone away long after it has gone.
 */
export function createQueueDelay({ nowMs, afterPoll }: QueueDelayClock): () => number {
  /** Since when this round's requests have waited; undefined before the first of them. */
  let sinceMs: number | undefined;
  /** When the last round ended; undefined where the loop has been at rest since. */
  let endedMs: number | undefined;
  let watching = false;

  const onRoundEnd = (): void => {
    watching = sinceMs !== undefined;
    // Watch the next round as well: the loop does not rest in its poll while a callback waits, so all time until then is work.
    endedMs = watching ? nowMs() : undefined;
    sinceMs = undefined;
    if (watching) afterPoll(onRoundEnd);
  };

  return () => {
    const now = nowMs();
    if (sinceMs === undefined) {
      sinceMs = endedMs ?? now;
      if (!watching) {
        watching = true;
        afterPoll(onRoundEnd);
      }
    }
    return now - sinceMs;
  };
}
