import { describe, expect, test } from 'vitest';
import type { Item } from '../../contracts/item.ts';
import { createExactIndex } from '../../index/exact.ts';
import { contentTokens, contentVector, TOKENS_MAX } from '../../scoring/recommend/content-vector.ts';
import { fitContent } from './content.ts';
import { seededRandom } from './random.ts';

const COLOURS = ['red', 'blue', 'green', 'black'];
const KINDS = ['mug', 'lamp', 'chair', 'towel', 'clock'];

function catalogue(count: number, seed: number): Item[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, i) => {
    const kind = KINDS[i % KINDS.length]!;
    const colour = COLOURS[random.int(COLOURS.length)]!;
    return {
      item_id: `i${i}`,
      title: `The ${colour} ${kind} no ${i}`,
      category: `Home/${kind}`,
      brand: `b${random.int(9)}`,
      attributes: { colour, weight_g: i },
    };
  });
}

const items = catalogue(300, 1);
const model = fitContent(items, {}, { seed: 1 });
const vectorOf = (item: Item, of = model) => contentVector(of, contentTokens(item));
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

test('tokens are words and declared fields, in any case and order; numbers are none', () => {
  const item: Item = { item_id: 'a', title: 'Tea-Cup, ROT, tea', brand: 'ACME', attributes: { weight_g: 3, fair: true, colour: 'Red' } };
  expect([...contentTokens(item)]).toEqual([
    ['brand=acme', 2],
    ['colour=red', 1],
    ['fair=true', 1],
    ['tea', 2],
    ['cup', 1],
    ['rot', 1],
  ]);
  expect(contentTokens({ item_id: 'a', title: Array.from({ length: 400 }, (_, i) => `w${i}`).join(' ') }).size).toBe(TOKENS_MAX);
});

test('the idf of a token is by hand; what no item has is the rarest', () => {
  const three = fitContent([{ item_id: 'a', title: 'x y' }, { item_id: 'b', title: 'x x' }, { item_id: 'c' }], { buckets: 1024 }, { seed: 1 });
  expect([...three.idf].filter((value) => value > 0).sort()).toEqual([Math.log(4 / 3) + 1, Math.log(4 / 2) + 1].map(Math.fround));
  expect(three.idfUnseen).toBeCloseTo(Math.log(4) + 1, 12);
});

describe('vectors', () => {
  test('their cosine is about that of the exact TF-IDF vectors, closer with more dimensions', () => {
    const held = new Map<string, number>();
    for (const item of items) for (const token of contentTokens(item).keys()) held.set(token, (held.get(token) ?? 0) + 1);
    const exact = (item: Item) => {
      const weights = new Map(
        [...contentTokens(item)].map(([token, weight]) => [token, (1 + Math.log(weight)) * (Math.log(301 / (1 + held.get(token)!)) + 1)] as const),
      );
      const length = Math.hypot(...weights.values());
      return new Map([...weights].map(([token, weight]) => [token, weight / length]));
    };
    const errorOf = (dimensions: number) => {
      const fitted = fitContent(items, { dimensions, buckets: 2 ** 20 }, { seed: 1 });
      let square = 0;
      for (let i = 0; i < 150; i++) {
        const [a, b] = [items[i]!, items[i + 150]!];
        const wanted = [...exact(a)].reduce((sum, [token, weight]) => sum + weight * (exact(b).get(token) ?? 0), 0);
        square += (dot(vectorOf(a, fitted), vectorOf(b, fitted)) - wanted) ** 2;
      }
      return Math.sqrt(square / 150);
    };
    expect(errorOf(128)).toBeLessThan(1.3 / Math.sqrt(128));
    expect(errorOf(1024)).toBeLessThan(errorOf(128) / 2);
  });

  test('a new item is found beside its like at once, and words never seen do no harm', () => {
    const index = createExactIndex({ dimensions: model.dimensions, metric: 'cosine' });
    for (const item of items) index.upsert(item.item_id, vectorOf(item));
    const fresh: Item = { item_id: 'new', title: 'Extraordinary red clock', category: 'Home/clock', brand: 'b3' };
    const found = index.search(vectorOf(fresh), 10).map(({ id }) => items[Number(id.slice(1))]!);
    expect(found.filter(({ category }) => category === 'Home/clock').length).toBeGreaterThanOrEqual(9);
    expect(Math.hypot(...vectorOf(fresh))).toBeCloseTo(1, 6);
  });

  test('the same item has the same vector; one without tokens has zeros', () => {
    expect(vectorOf(items[7]!, fitContent(items, {}, { seed: 2 }))).toEqual(vectorOf(items[7]!));
    expect([...vectorOf({ item_id: 'bare' })].every((x) => x === 0)).toBe(true);
  });
});

test('refuses what it cannot learn from; progress counts items', () => {
  const calls: number[] = [];
  fitContent(items.slice(0, 3), {}, { seed: 1, progress: (done) => calls.push(done) });
  expect(calls).toEqual([1, 2, 3]);
  for (const none of [[], [{ item_id: 'a', price: 3 }]]) {
    expect(() => fitContent(none, {}, { seed: 1 })).toThrow(expect.objectContaining({ code: 'training_data_insufficient' }));
  }
  expect(() => fitContent(items, { buckets: 1000 }, { seed: 1 })).toThrow(RangeError);
  expect(() => fitContent(items, { dimensions: 0 }, { seed: 1 })).toThrow(RangeError);
});
