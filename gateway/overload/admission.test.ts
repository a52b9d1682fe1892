import { expect, test } from 'vitest';
import { GatehouseError } from '../../contracts/errors.ts';
import { createAdmission, PRIORITIES, type Priority } from './admission.ts';

function admits(enter: (priority: Priority) => unknown, priority: Priority): boolean {
  try {
    enter(priority);
    return true;
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'overloaded') return false;
    throw error;
  }
}

test('sheds the least important first as the gateway fills up', () => {
  const shed: string[] = [];
  const admission = createAdmission({ inFlightMax: 100, queueDelayMaxMs: 50, queueDelayMs: () => 0, onShed: (reason) => shed.push(reason) });
  const entered: Record<string, number> = {};
  for (const priority of PRIORITIES) {
    while (admits(admission.enter, priority)) entered[priority] = (entered[priority] ?? 0) + 1;
  }
  expect(entered).toEqual({ recommend: 80, items: 5, events: 5, score: 10 });
  expect(admission.inFlight()).toBe(100);
  expect(new Set(shed)).toEqual(new Set(['in_flight']));
});

test('leaving makes room', () => {
  const admission = createAdmission({ inFlightMax: 1, queueDelayMaxMs: 50, queueDelayMs: () => 0 });
  const leave = admission.enter('score');
  expect(admits(admission.enter, 'score')).toBe(false);
  leave();
  expect(admits(admission.enter, 'score')).toBe(true);
});

test.each([
  [0, ['recommend', 'items', 'events', 'score']],
  [60, ['items', 'events', 'score']],
  [80, ['events', 'score']],
  [120, ['score']],
  [300, []],
])('a delay of %i ms lets in %j', (delayMs, expected) => {
  const admission = createAdmission({ inFlightMax: 100, queueDelayMaxMs: 50, queueDelayMs: () => delayMs });
  expect(PRIORITIES.filter((priority) => admits(admission.enter, priority))).toEqual(expected);
});
