import { describe, expect, test } from 'vitest';
import { GatehouseError } from '../../contracts/errors.ts';
import type { BacktestResult, RuleVersion } from '../../contracts/rules.ts';
import { type BacktestOrder, backtestInChild } from './backtest-process.ts';
import { Backtests } from './backtests.ts';

const JOURNAL = { store: 'lmdb', dataDir: '/nowhere', redisUrl: '', redisPrefix: '' } as const;
const RESULT: BacktestResult = {
  transactions: 0,
  journalled: 0,
  replayed: 0,
  left_out: 0,
  without_model: 0,
  fraud: 0,
  fraud_amount: 0,
  from_ms: null,
  to_ms: null,
  duration_ms: 1,
  rules: [],
};
const version = (id: string, number: number, state: RuleVersion['state']): RuleVersion => ({
  id,
  version: number,
  description: id,
  when: 'true',
  action: 'review',
  state,
  overridable: true,
  author: 'anna',
  created_ms: 0,
  changed_by: 'anna',
  changed_ms: 0,
});

/** Jobs over rules of a list and a process that the test ends as it likes. */
function jobsOver(rules: readonly RuleVersion[]) {
  const orders: BacktestOrder[] = [];
  const backtested: string[] = [];
  let settle: { resolve: (result: BacktestResult | undefined) => void; reject: (error: unknown) => void } | undefined;
  let tell: (share: number) => void = () => undefined;
  const jobs = new Backtests({
    rules: {
      list: () => ({ approval: 'off', ruleset: '', rules: [...rules] }),
      get: (id, number) => {
        const rule = rules.find((known) => known.id === id && known.version === number);
        if (!rule) throw new GatehouseError('rule_not_found', id);
        return rule;
      },
      backtested: async (_, actor) => void backtested.push(actor),
    },
    journal: JOURNAL,
    featuresFile: undefined,
    run: (order, onProgress) => {
      orders.push(order);
      tell = onProgress;
      return {
        done: new Promise((resolve, reject) => {
          settle = { resolve, reject };
        }),
        cancel: () => settle?.resolve(undefined),
      };
    },
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    now: () => 5,
  });
  return { jobs, orders, backtested, tell: (share: number) => tell(share), end: () => settle! };
}
const RULES = [version('a', 2, 'draft'), version('a', 1, 'live'), version('b', 1, 'shadow'), version('c', 1, 'retired')];
const names = ({ rules }: BacktestOrder) => rules.map(({ id, version: number }) => `${id}@${number}`);

describe('a job', () => {
  test('runs the newest of every rule, or what was asked for, and the live rules beside it', async () => {
    for (const [asked, expected] of [
      [undefined, ['a@2', 'b@1', 'a@1']],
      [[{ id: 'b', version: 1 }], ['b@1', 'a@1']],
    ] as const) {
      const { jobs, orders } = jobsOver(RULES);
      jobs.start(asked ? { rules: [...asked] } : {}, 'anna');
      expect(names(orders[0]!)).toEqual(expected);
    }
    expect(() => jobsOver(RULES).jobs.start({ rules: [{ id: 'z', version: 1 }] }, 'anna')).toThrow(
      expect.objectContaining({ code: 'rule_not_found' }),
    );
  });

  test('runs alone, tells its progress, and gives its result to the rules', async () => {
    const { jobs, tell, end, backtested } = jobsOver(RULES);
    const { id } = jobs.start({}, 'anna');
    expect(() => jobs.start({}, 'bert')).toThrow(expect.objectContaining({ code: 'backtest_busy' }));
    tell(0.4);
    expect(jobs.get(id)).toMatchObject({ state: 'running', progress: 0.4, author: 'anna', started_ms: 5 });
    end().resolve(RESULT);
    await expect.poll(() => jobs.get(id).state).toBe('done');
    expect([jobs.get(id).result, backtested]).toEqual([RESULT, ['anna']]);
    expect(jobs.start({}, 'bert').state).toBe('running');
  });

  test('that fails says why; one that is cancelled tells the rules nothing', async () => {
    const { jobs, end, backtested } = jobsOver(RULES);
    const failed = jobs.start({}, 'anna').id;
    end().reject(new GatehouseError('store_unavailable', 'no disk'));
    await expect.poll(() => jobs.get(failed)).toMatchObject({ state: 'failed', problem: 'no disk' });
    const cancelled = jobs.start({}, 'anna').id;
    expect((await jobs.cancel(cancelled)).state).toBe('cancelled');
    expect((await jobs.cancel(failed)).state).toBe('failed');
    expect(backtested).toEqual([]);
    await expect(jobs.cancel('bt_none')).rejects.toMatchObject({ code: 'backtest_not_found' });
  });

  test('is remembered for a while', async () => {
    const { jobs, end } = jobsOver(RULES);
    for (let i = 0; i < 12; i++) {
      const { id } = jobs.start({}, 'anna');
      end().resolve(undefined);
      await expect.poll(() => jobs.get(id).state).toBe('cancelled');
    }
    expect(jobs.list()).toHaveLength(10);
  });
});

describe('the process', () => {
  test("rejects with the child's own error", async () => {
    const { done } = backtestInChild({ journal: JOURNAL, featuresFile: undefined, rules: [], request: {} }, () => undefined);
    await expect(done).rejects.toMatchObject({ code: 'input_unreadable', detail: expect.stringContaining('there is no store') });
  }, 30_000);

  test('that crashes is told as such; one that is cancelled gives nothing', async () => {
    const crash = backtestInChild({ journal: JOURNAL, featuresFile: undefined, rules: [], request: {} }, () => undefined, '/no/such/script.js');
    await expect(crash.done).rejects.toMatchObject({ code: 'backtest_failed' });
    const { done, cancel } = backtestInChild({ journal: JOURNAL, featuresFile: undefined, rules: [], request: {} }, () => undefined);
    cancel();
    expect(await done).toBeUndefined();
  }, 30_000);
});
