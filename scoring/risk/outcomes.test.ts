import { expect, test } from 'vitest';
import { OutcomeWindow } from './outcomes.ts';

const DAY_MS = 86_400_000;
const NOW_MS = 1_700_000_000_000;

test('precision, recall and calibration of what has become known', () => {
  const window = new OutcomeWindow(30 * DAY_MS, NOW_MS);
  window.add({ probability: 0.95, decision: 'decline', fraud: true }, NOW_MS);
  window.add({ probability: 0.95, decision: 'decline', fraud: false }, NOW_MS);
  window.add({ probability: 0.05, decision: 'approve', fraud: true }, NOW_MS);
  window.add({ probability: 0.05, decision: 'approve', fraud: false }, NOW_MS);
  window.add({ probability: null, decision: 'review', fraud: true }, NOW_MS);
  const report = window.report(NOW_MS);
  expect(report).toMatchObject({ known: 5, frauds: 3, scored: 4 });
  expect(report.precision).toBeCloseTo(2 / 3, 12);
  expect(report.recall).toBeCloseTo(2 / 3, 12);
  // Two bins of two payments: |1.9 - 1| and |0.1 - 1|.
  expect(report.calibrationError).toBeCloseTo(1.8 / 4, 12);
});

test('forgets by the time at which it became known', () => {
  const window = new OutcomeWindow(30 * DAY_MS, NOW_MS);
  window.add({ probability: 0.5, decision: 'approve', fraud: true }, NOW_MS);
  expect(window.report(NOW_MS + 29 * DAY_MS).known).toBe(1);
  expect(window.report(NOW_MS + 31 * DAY_MS).known).toBe(0);
  expect(window.report(NOW_MS + 31 * DAY_MS).precision).toBeNaN();
});
