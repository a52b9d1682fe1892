import { expect, test } from 'vitest';
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
