import { progressBars } from '../../progress.ts';

/** A bar on stderr for a script whose work is a known number of steps. */
export interface Steps {
  step(): void;
  end(): void;
}

export function countSteps(label: string, total: number): Steps {
  const task = progressBars(process.stderr, () => performance.now()).task(label, 'steps');
  let done = 0;
  return {
    step() {
      done++;
      task.update(done, total);
    },
    end: () => task.end(),
  };
}
