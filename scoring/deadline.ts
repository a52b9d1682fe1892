/** Work that took longer than it was given. */
export class LateError extends Error {}

/** The value, or a LateError where it takes longer than `limitMs` (undefined: no limit). What comes after that is dropped. */
export async function inTime<T>(work: Promise<T>, limitMs: number | undefined, what: string): Promise<T> {
  if (limitMs === undefined) return work;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new LateError(`${what} took longer than ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
