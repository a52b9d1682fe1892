/** Resolves at the first SIGTERM or SIGINT. A second one ends the process at once: the operator insists. */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    let stopping = false;
    const stop = (): void => {
      if (stopping) process.exit(130);
      stopping = true;
      resolve();
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
}

/** A signal that aborts at SIGTERM or SIGINT, for work that tidies up behind itself. A second one ends the process at once. `release` stops listening. */
export function abortOnStop(): { readonly signal: AbortSignal; readonly release: () => void } {
  const abort = new AbortController();
  const stop = (): void => {
    if (abort.signal.aborted) process.exit(130);
    abort.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return {
    signal: abort.signal,
    release() {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}
