import { expect, test } from 'vitest';
import { createAdmission } from './admission.ts';
import { createQueueDelay } from './queue-delay.ts';

/** An event loop by hand: `work` takes time, `endRound` runs what waits for the end of the poll. */
function loop() {
  let atMs = 1_000;
  let waiting: (() => void)[] = [];
  return {
    clock: {
      nowMs: () => atMs,
      afterPoll: (callback: () => void): void => {
        waiting.push(callback);
      },
    },
    work(ms: number): void {
      atMs += ms;
    },
    endRound(): void {
      const due = waiting;
      waiting = [];
      for (const callback of due) callback();
    },
    waits: () => waiting.length,
  };
}

test('a request waits for those before it in the round', () => {
  const { clock, work } = loop();
  const delay = createQueueDelay(clock);
  const seen = Array.from({ length: 4 }, () => {
    const waited = delay();
    work(30);
    return waited;
  });
  expect(seen).toEqual([0, 30, 60, 90]);
});

test('what the loop did between two rounds counts, what it rested does not', () => {
  const { clock, work, endRound, waits } = loop();
  const delay = createQueueDelay(clock);
  delay();
  work(10);
  endRound();
  work(50);
  expect(delay()).toBe(50);
  endRound();
  // A round without requests: then the loop rests.
  endRound();
  expect(waits()).toBe(0);
  work(60_000);
  expect(delay()).toBe(0);
  expect(waits()).toBe(1);
});

test('of a round that is too long its end is shed, round after round, and never all of it', () => {
  const { clock, work, endRound } = loop();
  const admission = createAdmission({ inFlightMax: 1_000, queueDelayMaxMs: 50, queueDelayMs: createQueueDelay(clock) });
  for (let round = 0; round < 5; round++) {
    let admitted = 0;
    for (let i = 0; i < 64; i++) {
      try {
        admission.enter('events')();
        work(10);
        admitted++;
      } catch {
        // Shed: it costs nothing, and those behind it are as late.
      }
    }
    // Twice the limit at 10 ms each, and the one that stands right at it.
    expect(admitted).toBe(11);
    endRound();
  }
});
