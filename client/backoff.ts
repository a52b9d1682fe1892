export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait before try number `failures` + 1. Jitter over the whole range: a thousand clients whose gateway restarted do not come back in
 * the same instant. Half of `firstMs` is the least, so that nobody hammers.
 */
export function backoffMs(failures: number, random: () => number, { firstMs, maxMs }: Backoff): number {
  return firstMs / 2 + random() * Math.min(maxMs, firstMs * 2 ** Math.max(0, failures - 1));
}

/** Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
