import { expect, test, vi } from 'vitest';
import { inTime, LateError } from './deadline.ts';

const never = new Promise<never>(() => undefined);

test('work in time gives its value or its own error', async () => {
  expect(await inTime(Promise.resolve(7), 1_000, 'it')).toBe(7);
  expect(await inTime(Promise.resolve(7), undefined, 'it')).toBe(7);
  await expect(inTime(Promise.reject(new Error('broken')), 1_000, 'it')).rejects.toThrow('broken');
});

test('late work is a LateError that names it, and what it gives later is dropped', async () => {
  await expect(inTime(never, 1, 'the model')).rejects.toThrow(LateError);
  let fail = (_cause: Error): void => undefined;
  const late = new Promise<number>((_, reject) => {
    fail = reject;
  });
  await expect(inTime(late, 1, 'the model')).rejects.toThrow('the model took longer than 1 ms');
  // A rejection that nobody handled would end the process.
  fail(new Error('too late'));
  await new Promise((resolve) => setImmediate(resolve));
});

test('lateness builds no stack, and leaves those of others alone', () => {
  expect(new LateError('the model took longer than 1 ms').stack?.split('\n')).toHaveLength(1);
  expect(new Error('broken').stack?.split('\n').length).toBeGreaterThan(1);
});

test('many that wait equally long are late each in its time, and what has settled is not', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  try {
    const said: string[] = [];
    const wait = (name: string, work: Promise<unknown>, limitMs = 50): void => {
      inTime(work, limitMs, name).then(
        () => said.push(`${name} done`),
        (error: unknown) => said.push(error instanceof LateError ? `${name} late` : `${name} broken`),
      );
    };
    wait('a', never);
    await vi.advanceTimersByTimeAsync(20);
    wait('b', Promise.resolve());
    wait('c', never);
    wait('d', Promise.reject(new Error('no')));
    wait('short', never, 10);
    wait('e', new Promise((resolve) => setTimeout(resolve, 40)));
    await vi.advanceTimersByTimeAsync(10);
    expect(said).toEqual(['b done', 'd broken', 'short late']);
    await vi.advanceTimersByTimeAsync(20);
    expect(said.slice(3)).toEqual(['a late']);
    await vi.advanceTimersByTimeAsync(30);
    expect(said.slice(4)).toEqual(['e done', 'c late']);
    expect(vi.getTimerCount()).toBe(0);
    wait('again', never);
    await vi.advanceTimersByTimeAsync(51);
    expect(said.at(-1)).toBe('again late');
  } finally {
    vi.useRealTimers();
  }
});
