import type { Progress } from './learners/contract.ts';

/** One thing that takes a while. `update` may be called as often as the work likes. */
export interface ProgressTask {
  readonly update: Progress;
  end(note?: string): void;
}

export interface ProgressReporter {
  /** `unit` is what is counted: rows, events, trees. */
  task(label: string, unit?: string): ProgressTask;
}

/** Ten redraws a second look smooth; more only cost. */
const REDRAW_MS = 100;
/** Without a terminal a line now and then keeps a log readable and a watchdog quiet. */
const LINE_MS = 5_000;
const BAR_WIDTH = 24;
const LABEL_WIDTH = 26;

export const silentProgress: ProgressReporter = { task: () => ({ update: () => {}, end: () => {} }) };

/** 1234567 -> "1.23M". */
export function compact(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)}M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(0)}k`;
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
}

function seconds(ms: number): string {
  return ms < 60_000
    ? `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)}s`
    : `${Math.floor(ms / 60_000)}m${String(Math.round((ms % 60_000) / 1000)).padStart(2, '0')}s`;
}

/** Where lines go: a terminal or a log. `process.stderr` fits. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Bars with rate and time left on a terminal, plain lines elsewhere. `now` is a monotonic clock in milliseconds. */
export function progressBars(output: ProgressOutput, now: () => number): ProgressReporter {
  return {
    task(label, unit = '') {
      const startMs = now();
      let drawnMs = output.isTTY ? Number.NEGATIVE_INFINITY : startMs;
      let last = { done: 0, total: 0 };
      const name = label.padEnd(LABEL_WIDTH);
      return {
        update(done, total, note) {
          last = { done, total };
          const nowMs = now();
          if (nowMs - drawnMs < (output.isTTY ? REDRAW_MS : LINE_MS)) return;
          drawnMs = nowMs;
          const rate = (done / Math.max(1, nowMs - startMs)) * 1000;
          const share = total > 0 ? Math.min(1, done / total) : 0;
          const left = share > 0 && share < 1 ? `, ${seconds(((nowMs - startMs) * (1 - share)) / share)} left` : '';
          const counts = total > 0 ? `${compact(done)}/${compact(total)}` : compact(done);
          const text = `${counts} ${unit} ${compact(rate)}/s${left}${note === undefined ? '' : ` ${note}`}`;
          if (!output.isTTY) output.write(`${label}: ${text}\n`);
          else {
            const full = Math.round(share * BAR_WIDTH);
            output.write(`\r\x1b[2K${name} ${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)} ${text}`);
          }
        },
        end(note) {
          const counted = last.done > 0 ? `${compact(last.done)} ${unit}`.trim() : '';
          const detail = [counted, note].filter((part) => part !== undefined && part !== '').join(', ');
          output.write(
            `${output.isTTY ? '\r\x1b[2K' : ''}${output.isTTY ? name : `${label}:`} done in ${seconds(now() - startMs)}${detail === '' ? '' : ` (${detail})`}\n`,
          );
        },
      };
    },
  };
}
