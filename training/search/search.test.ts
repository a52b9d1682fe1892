import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatehouseError } from '../../contracts/errors.ts';
import { seededRandom } from '../learners/random.ts';
import { type Evaluate, type SearchOptions, type Strategy, search } from './search.ts';
import { checkSpace, fromUnit, type Space, sampleUniform, toUnit, type Values } from './space.ts';

const SPACE: Space = {
  rate: { kind: 'float', min: 1e-4, max: 1, log: true },
  leaves: { kind: 'int', min: 2, max: 64 },
  kind: { kind: 'choice', options: ['a', 'b', 'c'] },
};
/** Best at rate 0.01, 20 leaves, kind b; 0 there. */
const bowl = ({ rate, leaves, kind }: Values) => Math.log10(Number(rate) / 0.01) ** 2 + (Number(leaves) / 20 - 1) ** 2 + (kind === 'b' ? 0 : 0.5);
const base: SearchOptions = { space: SPACE, strategy: { kind: 'random' }, seed: 1, trialsMax: 30, budgetS: 60, nowMs: () => 0 };
const TPE: Strategy = { kind: 'tpe' };
const HALVING: Strategy = { kind: 'halving', eta: 3, resourceMin: 1 / 9 };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('space', () => {
  test('values are in their bounds, whole where they must be, and even in their own measure', () => {
    const random = seededRandom(1);
    const drawn = Array.from({ length: 6000 }, () => sampleUniform({ ...SPACE, small: { kind: 'int', min: 1, max: 3 } }, random));
    expect(drawn.every(({ rate }) => Number(rate) >= 1e-4 && Number(rate) <= 1)).toBe(true);
    expect(drawn.filter(({ rate }) => Number(rate) < 0.01).length / 6000).toBeCloseTo(0.5, 1);
    expect(drawn.every(({ leaves }) => Number.isInteger(leaves))).toBe(true);
    // Each of 1, 2, 3 a third of the time, the ends too.
    for (const value of [1, 2, 3]) expect(drawn.filter(({ small }) => small === value).length / 6000).toBeCloseTo(1 / 3, 1);
  });

  test('a place of the unit comes back', () => {
    const rate = { kind: 'float', min: 1e-4, max: 1, log: true } as const;
    for (const value of [1e-4, 0.003, 1]) expect(fromUnit(rate, toUnit(rate, value))).toBeCloseTo(value, 12);
    const leaves = { kind: 'int', min: 2, max: 64, log: true } as const;
    for (const value of [2, 3, 64]) expect(fromUnit(leaves, toUnit(leaves, value))).toBe(value);
    expect([fromUnit(leaves, -5), fromUnit(leaves, 7)]).toEqual([2, 64]);
  });

  test('refuses what is no space', () => {
    for (const space of [
      {},
      { a: { kind: 'float', min: 1, max: 0 } },
      { a: { kind: 'float', min: 0, max: 1, log: true } },
      { a: { kind: 'int', min: 0.5, max: 2 } },
      { a: { kind: 'choice', options: [] } },
      { a: { kind: 'choice', options: ['x', 'x'] } },
    ] as Space[]) {
      expect(() => checkSpace(space)).toThrow(RangeError);
    }
  });
});

describe('search', () => {
  test('the estimator comes nearer than chance, over twenty seeds', async () => {
    const seeds = Array.from({ length: 20 }, (_, seed) => seed);
    const bestOf = async (strategy: Strategy) =>
      (await Promise.all(seeds.map((seed) => search(bowl, { ...base, strategy, seed, trialsMax: 50 })))).map(({ best }) => best.value);
    const [chance, guided] = [await bestOf({ kind: 'random' }), await bestOf(TPE)];
    const average = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(average(guided)).toBeLessThan(average(chance) / 2);
  });

  test('halving spends the whole resource on the best alone', async () => {
    const spent: number[] = [];
    // With little of the resource the answer is rough, but not upside down.
    const rough: Evaluate = (values, { resource, seed }) => {
      spent.push(resource);
      return bowl(values) + (1 - resource) * 0.3 * seededRandom(seed).next();
    };
    const { best, trials, complete } = await search(rough, { ...base, strategy: HALVING, trialsMax: 27 });
    expect(spent.map((resource) => Math.round(9 * resource))).toEqual([...new Array<number>(27).fill(1), ...new Array<number>(9).fill(3), 9, 9, 9]);
    expect(complete).toBe(true);
    const everyValue = trials.filter(({ resource }) => resource < 0.2).map(({ values }) => bowl(values));
    expect(best.value).toBeLessThanOrEqual(everyValue.sort((a, b) => a - b)[2]!);
    expect(best.resource).toBe(1);
  });

  test.each([{ kind: 'random' }, TPE, HALVING] as Strategy[])('broken off and taken up again it makes the same trials: $kind', async (strategy) => {
    const whole = await search(bowl, { ...base, strategy });
    const file = join(folder, `${strategy.kind}.jsonl`);
    let runs = 0;
    for (let complete = false; !complete; runs++) {
      let ms = 0;
      const clock = () => ms;
      const slow: Evaluate = (values) => {
        ms += 1000;
        return bowl(values);
      };
      try {
        const result = await search(slow, { ...base, strategy, file, budgetS: 7.5, nowMs: clock });
        complete = result.complete;
        if (complete) expect(result).toEqual(whole);
        else expect(result.trials).toEqual(whole.trials.slice(0, 8 * (runs + 1)));
      } catch (error) {
        // Halving has nothing with the whole resource yet.
        expect(error).toMatchObject({ code: 'training_data_insufficient' });
      }
      expect(ms).toBeLessThanOrEqual(8000);
    }
    expect(runs).toBeGreaterThan(3);
  });

  test('a line that a crash cut off is measured again; the file ends the same', async () => {
    const file = join(folder, 'torn.jsonl');
    await search(bowl, { ...base, strategy: TPE, file, trialsMax: 20 });
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.slice(0, text.length - 25));
    let measured = 0;
    const count: Evaluate = (values) => {
      measured++;
      return bowl(values);
    };
    await search(count, { ...base, strategy: TPE, file, trialsMax: 20 });
    expect(measured).toBe(1);
    expect(readFileSync(file, 'utf8')).toBe(text);
    writeFileSync(file, text.slice(0, 10));
    await search(count, { ...base, strategy: TPE, file, trialsMax: 20 });
    expect(measured).toBe(21);
  });

  test('refuses the file of another search, and a damaged one', async () => {
    const file = join(folder, 'other.jsonl');
    const unreadable = expect.objectContaining({ code: 'input_unreadable' });
    await search(bowl, { ...base, file, trialsMax: 3 });
    await expect(search(bowl, { ...base, file, trialsMax: 3, seed: 2 })).rejects.toThrow(unreadable);
    const text = readFileSync(file, 'utf8');
    appendFileSync(file, '{"number":7}\n');
    await expect(search(bowl, { ...base, file, trialsMax: 3 })).rejects.toThrow(unreadable);
    writeFileSync(file, text.replace('"values"', '"valuez"'));
    await expect(search(bowl, { ...base, file, trialsMax: 3 })).rejects.toThrow(unreadable);
    writeFileSync(file, text.replace(/"leaves":(\d)/, '"leaves":9$1'));
    await expect(search(bowl, { ...base, file, trialsMax: 3 })).rejects.toThrow(unreadable);
    writeFileSync(file, text.replace(/("number":1.*"leaves":)\d+/, '$11'));
    await expect(search(bowl, { ...base, file, trialsMax: 3 })).rejects.toThrow(unreadable);
  });

  test('failed trials are kept and counted; a fault of the program ends the search', async () => {
    const picky: Evaluate = (values) => {
      if (values['kind'] === 'a') throw new GatehouseError('training_data_insufficient', 'too few rows');
      return values['kind'] === 'c' ? Number.NaN : bowl(values);
    };
    const { best, failed, trials } = await search(picky, { ...base, strategy: TPE, trialsMax: 40 });
    expect(best.values['kind']).toBe('b');
    expect(failed).toBe(trials.filter(({ values }) => values['kind'] !== 'b').length);
    expect(failed).toBeGreaterThan(5);
    expect(trials.find(({ values }) => values['kind'] === 'a')!.error).toContain('too few rows');
    const broken: Evaluate = () => {
      throw new TypeError('a fault');
    };
    await expect(search(broken, base)).rejects.toThrow(TypeError);
    await expect(search(() => Number.NaN, base)).rejects.toMatchObject({ code: 'training_data_insufficient' });
  });

  test('refuses settings out of bounds', async () => {
    for (const wrong of [{ trialsMax: 0 }, { budgetS: 0 }, { strategy: { ...HALVING, eta: 1 } as Strategy }, { space: {} }]) {
      await expect(search(bowl, { ...base, ...wrong })).rejects.toThrow(RangeError);
    }
  });
});
