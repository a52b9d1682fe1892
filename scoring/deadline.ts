/**
 * Work that took longer than it was given. It has no stack: a timer's says nothing, and under overload, when there is least time, each request would
 * have one built.
 */
export class LateError extends Error {
  constructor(message: string) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** The value, or a LateError where it takes longer than `limitMs` (undefined: no limit). What comes after that is dropped. */
export function inTime<T>(work: Promise<T>, limitMs: number | undefined, what: string): Promise<T> {
  if (limitMs === undefined) return work;
  // One promise and two callbacks: a race makes five more, for every score.
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new LateError(`${what} took longer than ${limitMs} ms`)), limitMs);
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (cause) => {
        clearTimeout(timer);
        reject(cause);
      },
    );
  });
}
